//! The implementation of each subcommand.

mod cite;
mod columns;
mod compare;
mod conditions;
mod data;
mod diagnosis;
mod documents;
mod ended;
mod experiment;
mod external;
mod fast_dev_run;
mod flags;
mod flatness;
mod interrupt;
mod listing;
mod methods;
mod nothing;
mod own_data;
mod planned;
mod runs;
mod search;
mod status;
mod sweep;
mod table_runs;

use std::process::ExitCode;

use anyhow::Result;
use clap::FromArgMatches;

use self::ended::Ended;
use crate::cli::{Cli, Command, Evaluate, Export, Predict, Reproduce, Sweep, command_line, predict_options};
use crate::export::ExportRequest;
use crate::external::EvaluateRequest;
use crate::logging;
use crate::output::{complain, print};
use crate::predict::{self, PredictRequest};
use crate::progress::Console;
use crate::record::set_program_revision;
use crate::suite::{Registry, one_line};

/// The whole program with the entries of `registry`: reads the command line, executes the command, and prints an error if it
/// fails.
pub fn main_with(registry: Registry) -> ExitCode {
    mtcool_ops::keep_freed_memory();
    match run(&registry) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => match error.downcast_ref::<Ended>() {
            Some(ended) => {
                complain(&ended.to_string());
                ExitCode::from(ended.status)
            }
            None => {
                complain(&format!("error: {}", one_line(&error)));
                ExitCode::FAILURE
            }
        },
    }
}

fn run(registry: &Registry) -> Result<()> {
    if let Some(revision) = registry.revision() {
        set_program_revision(revision);
    }
    let matches = command_line(registry).get_matches();
    let options = predict_options(registry, &matches);
    match Cli::from_arg_matches(&matches).unwrap_or_else(|error| error.exit()).command {
        Command::Reproduce(Reproduce { experiment, config, training, fast_dev_run: true, .. })
        | Command::Sweep(Sweep { experiment, config, training, fast_dev_run: true, .. }) => {
            fast_dev_run::fast_dev_run(registry, &experiment, (&config, &training))
        }
        Command::Reproduce(arguments) => match arguments.diagnose {
            Some(diagnosis) => diagnosis::diagnose(registry, &arguments, diagnosis),
            None => experiment::reproduce(registry, &arguments),
        },
        Command::Sweep(arguments) => sweep::sweep(registry, &arguments),
        Command::Report(arguments) => experiment::report(registry, &arguments),
        Command::Search(arguments) => search::search(registry, &arguments),
        Command::Flatness(arguments) => flatness::flatness(registry, &arguments),
        Command::Predict(arguments) => {
            logging::start(&Console::default(), None)?;
            let Predict { runs, out, probabilities, images } = &arguments;
            predict::run(registry, &PredictRequest { runs, out, images, probabilities: *probabilities, options })
        }
        Command::Evaluate(arguments) => {
            logging::start(&Console::default(), None)?;
            let Evaluate { runs, data, assignments, out } = &arguments;
            crate::external::run(registry, &EvaluateRequest { runs, data, assignments, out })
        }
        Command::Export(arguments) => {
            logging::start(&Console::default(), None)?;
            let Export { run, tasks, onnx, pytorch, force } = &arguments;
            let (onnx, pytorch) = (onnx.as_deref(), pytorch.as_deref());
            print(&crate::export::run(registry, &ExportRequest { run, tasks, onnx, pytorch, force: *force })?)
        }
        Command::Data(arguments) => data::data(registry, arguments),
        Command::Methods(flags) => print(&methods::methods(registry, &flags)?),
        Command::Runs(arguments) => runs::runs(registry, &arguments),
        Command::Compare(arguments) => compare::compare(&arguments),
        Command::Status(arguments) => status::status(registry, &arguments),
        Command::Cite(arguments) => cite::cite(registry, &arguments),
        Command::Completions(arguments) => documents::completions(registry, &arguments),
        Command::Man(arguments) => documents::man(registry, &arguments),
    }
}
