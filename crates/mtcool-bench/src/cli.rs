//! The command line.

mod documents;
mod export;
mod flags;
mod sweep;

use std::path::PathBuf;

use clap::builder::NonEmptyStringValueParser;
use clap::{Arg, ArgAction, ArgMatches, Args, CommandFactory, Parser, Subcommand, value_parser};

pub(crate) use self::documents::{Cite, Completions, Man};
pub(crate) use self::export::Export;
pub(crate) use self::flags::{ConfigFlags, TrainingFlags};
pub(crate) use self::sweep::{SlurmFlags, Sweep};
use crate::plan::Diagnosis;
use crate::suite::{PredictOptions, Registry};

/// Multi-task cooperative learning by searching for flat minima: reproduce the paper's tables, or compare your own methods.
#[derive(Debug, Parser)]
#[command(name = "mtcool", version)]
pub(crate) struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// The subcommands.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run all methods and seeds of an experiment, or resume them; then print its table.
    Reproduce(Reproduce),
    /// Write a job array for Slurm that executes the runs of an experiment, one run an element, and submit it.
    Sweep(Sweep),
    /// Write and print an experiment's table from the finished runs, without training.
    Report(Report),
    /// Find good settings of the methods by the validation split, with the same number of trials for each method.
    Search(Search),
    /// Measure how much the losses of finished runs rise when their weights are moved at random.
    Flatness(Flatness),
    /// Apply the network of a finished run to your own photographs: masks, probabilities of classes, numbers.
    Predict(Predict),
    /// Measure finished runs on a labelled folder that they were not trained on.
    Evaluate(Evaluate),
    /// Write the network of a finished run into a file for other programs: ONNX, or weights for PyTorch.
    Export(Export),
    /// Download, draw or check a data set.
    #[command(subcommand)]
    Data(Data),
    /// List the methods that an experiment can compare, or explain one.
    Methods(Methods),
    /// List all runs of an experiment with the settings that differ, check their files, or remove some.
    Runs(Runs),
    /// Compare two runs, or two rows or configurations of an experiment: settings that differ, metrics, paired tests.
    Compare(Compare),
    /// Show how far an experiment and its search are: what is done, where it is running, how long it will take, and what waits.
    Status(OfExperiment),
    /// Print the papers to cite, as BibTeX or plain text: MT-COOL's, this program, and those of an experiment's methods.
    Cite(Cite),
    /// Print a script that completes commands and flags in a shell.
    Completions(Completions),
    /// Write manual pages for `man`.
    Man(Man),
}

/// `mtcool reproduce`.
#[derive(Args, Debug)]
#[command(
    after_help = "Exit status: 0 if all runs of the sweep are finished, 1 after an error or if runs failed, 3 if other processes \
                        execute the rest of the runs, 75 after SIGTERM and SIGUSR1, with which job schedulers end a job, and 130 after Ctrl-C; \
                        the same command goes on."
)]
pub(crate) struct Reproduce {
    /// An experiment: a name such as `table1`, or the path of a TOML file.
    #[arg(value_parser = NonEmptyStringValueParser::new())]
    pub(crate) experiment: String,
    /// Its configuration.
    #[command(flatten)]
    pub(crate) config: ConfigFlags,
    /// How it trains.
    #[command(flatten)]
    pub(crate) training: TrainingFlags,
    /// Check the whole way with one training step, one batch of validation and one of the test for each row, and draw the report;
    /// nothing is kept, and nothing else is done. For example `mtcool reproduce own.toml --fast-dev-run` before a long sweep.
    #[arg(long)]
    pub(crate) fast_dev_run: bool,
    /// Wait for runs that other processes execute, and write the table in the end. Without it, a process ends as soon as nothing is
    /// left to take.
    #[arg(long)]
    pub(crate) wait: bool,
    /// Execute runs, but write no table: `mtcool report` writes it. For one of several processes, such as the element of a job array.
    #[arg(long, conflicts_with = "force")]
    pub(crate) no_table: bool,
    /// Replace a table that has more results.
    #[arg(long)]
    pub(crate) force: bool,
    /// Train for a diagnosis instead of a table. `test-selection`: measure the test split after every epoch, to show how much better
    /// results look if the epoch is chosen on it. The runs and the report lie in a folder of their own and are labelled "optimistic:
    /// chosen on the test split"; no table has them.
    #[arg(long, value_name = "WHAT", conflicts_with_all = ["force", "no_table"])]
    pub(crate) diagnose: Option<Diagnosis>,
}

/// `mtcool report`.
#[derive(Args, Debug)]
pub(crate) struct Report {
    /// An experiment: a name such as `table1`, or the path of a TOML file.
    #[arg(value_parser = NonEmptyStringValueParser::new())]
    pub(crate) experiment: String,
    /// Its configuration; the flags are added to those of the last table.
    #[command(flatten)]
    pub(crate) config: ConfigFlags,
    /// The folder for results, such as `--results /scratch/results`.
    #[arg(long, default_value = "results")]
    pub(crate) results: PathBuf,
    /// Replace a table that has more results.
    #[arg(long)]
    pub(crate) force: bool,
}

/// `mtcool search`.
#[derive(Args, Debug)]
#[command(
    after_help = "The experiment's file says which values are tried, such as `[default.search.joint]` with `learning_rate = { log = [0.001, \
                  0.1] }`; `[default.search]` has `trials`, `seed`, `rungs`, `keep` and `objective`. Interrupt it at any time, and start it \
                  again or in several processes: the trials are the same."
)]
pub(crate) struct Search {
    /// An experiment: a name such as `table1`, or the path of a TOML file.
    #[arg(value_parser = NonEmptyStringValueParser::new())]
    pub(crate) experiment: String,
    /// Its configuration.
    #[command(flatten)]
    pub(crate) config: ConfigFlags,
    /// How it trains.
    #[command(flatten)]
    pub(crate) training: TrainingFlags,
    /// Number of trials of each method, such as `--trials 20`; by default `search.trials` of the experiment's file.
    #[arg(long, value_name = "NUMBER")]
    pub(crate) trials: Option<usize>,
    /// Write the best settings into the experiment's file; for an experiment that comes with the program, print the lines to write.
    #[arg(long)]
    pub(crate) write: bool,
}

/// `mtcool flatness`.
#[derive(Args, Debug)]
pub(crate) struct Flatness {
    /// An experiment: a name such as `table1`, or the path of a TOML file.
    pub(crate) experiment: String,
    /// Its configuration; the flags are added to those of the last table.
    #[command(flatten)]
    pub(crate) config: ConfigFlags,
    /// The folder for results, such as `--results /scratch/results`.
    #[arg(long, default_value = "results")]
    pub(crate) results: PathBuf,
    /// Half-widths of the uniform noise that moves the weights, separated by commas, such as `--radii 0.01,0.1`.
    #[arg(long, value_delimiter = ',', default_value = "0.01,0.02,0.05,0.1", value_name = "R,R,...")]
    pub(crate) radii: Vec<f64>,
    /// Number of draws of the noise per half-width, such as `--draws 8`.
    #[arg(long, default_value_t = 4)]
    pub(crate) draws: usize,
    /// Number of training batches on which the losses are measured, such as `--batches 16`.
    #[arg(long, default_value_t = 8)]
    pub(crate) batches: usize,
}

/// `mtcool predict`.
#[derive(Args, Debug)]
pub(crate) struct Predict {
    /// The folder of a finished run, such as `results/table2/runs/mtcool-s0-1a2b3c4d`. If it is given several times, or as a
    /// pattern in quotes, such as `'results/own/runs/joint-*'`, the networks of all these runs predict together: probabilities and
    /// numbers are averaged.
    #[arg(long = "run", value_name = "FOLDER", alias = "checkpoint", required = true)]
    pub(crate) runs: Vec<PathBuf>,
    /// The folder for masks, numbers and the table of all photographs in it, such as `--out masks`.
    #[arg(long, default_value = "predictions")]
    pub(crate) out: PathBuf,
    /// Also write the probability of each class at each pixel, as 16-bit grey pictures.
    #[arg(long)]
    pub(crate) probabilities: bool,
    /// Photographs like those that the run was trained on, of the same size if they are not resized for the network; or folders
    /// of them.
    #[arg(required = true, value_name = "IMAGE")]
    pub(crate) images: Vec<PathBuf>,
}

/// `mtcool evaluate`.
#[derive(Args, Debug)]
pub(crate) struct Evaluate {
    /// The folder of a finished run; may be given several times, or as a pattern in quotes, such as `'results/own/runs/joint-*'`.
    /// Each run is measured by itself.
    #[arg(long = "run", value_name = "FOLDER", alias = "checkpoint", required = true)]
    pub(crate) runs: Vec<PathBuf>,
    /// A folder with pictures and labels of the same tasks, such as `--data ~/drive`. A task without labels is left out.
    #[arg(long, value_name = "DIR")]
    pub(crate) data: PathBuf,
    /// A setting in which the folder's layout differs from that of the training data, such as `images=test/{case}.png` or
    /// `tasks.disc.mask=truth/{case}.png`; may be given several times.
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub(crate) assignments: Vec<String>,
    /// The file for the figures, as CSV, such as `--out drive.csv`.
    #[arg(long, value_name = "FILE", default_value = "evaluation.csv")]
    pub(crate) out: PathBuf,
}

/// An experiment and the folder in which its runs are.
#[derive(Args, Clone, Debug)]
pub(crate) struct OfExperiment {
    /// An experiment: a name such as `table1`, or the path of a TOML file.
    pub(crate) experiment: String,
    /// The folder for results, such as `--results /scratch/results`.
    #[arg(long, default_value = "results")]
    pub(crate) results: PathBuf,
}

/// `mtcool runs`.
#[derive(Args, Debug)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub(crate) struct Runs {
    /// Another action than the list.
    #[command(subcommand)]
    pub(crate) action: Option<RunsAction>,
    /// An experiment: a name such as `table1`, or the path of a TOML file.
    #[arg(required = true)]
    pub(crate) experiment: Option<String>,
    /// The folder for results, such as `--results /scratch/results`.
    #[arg(long, default_value = "results")]
    pub(crate) results: PathBuf,
    /// Only the runs for which these conditions hold, such as `label=mtcool,seed<3,training.epochs>=10`; `KEY=-` holds for runs
    /// without the key.
    #[arg(long = "where", value_name = "CONDITIONS", default_value = "", hide_default_value = true)]
    pub(crate) conditions: String,
    /// Write the list as CSV.
    #[arg(long)]
    pub(crate) csv: bool,
}

/// What `mtcool runs` does other than listing.
#[derive(Debug, Subcommand)]
pub(crate) enum RunsAction {
    /// Check every file of every finished run against the SHA-256 that was written with it.
    Verify(OfExperiment),
    /// Remove runs with everything that they computed.
    Rm {
        /// The experiment.
        #[command(flatten)]
        of: OfExperiment,
        /// The runs for which these conditions hold, such as `label=mtcool,seed>=3`.
        #[arg(long = "where", value_name = "CONDITIONS")]
        conditions: String,
        /// Do not ask.
        #[arg(long)]
        yes: bool,
    },
}

/// `mtcool compare`.
#[derive(Args, Debug)]
pub(crate) struct Compare {
    /// Two sides: the folders of two runs; or an experiment and then two of its rows (`table1 mtcool joint`), or two conditions on
    /// its runs (`table1 label=mtcool,bound=0.01 label=mtcool,bound=0.02`). Runs of `--overfit` are left out, unless a condition
    /// names the key `overfit`.
    #[arg(required = true, num_args = 2..=3, value_name = "SIDE")]
    pub(crate) sides: Vec<String>,
    /// The folder for results, such as `--results /scratch/results`.
    #[arg(long, default_value = "results")]
    pub(crate) results: PathBuf,
}

/// `mtcool methods`.
#[derive(Args, Clone, Debug, Default)]
pub(crate) struct Methods {
    /// Formula, paper, guarantee, cost and settings of this method, such as `--explain fairgrad`.
    #[arg(long, value_name = "METHOD")]
    pub(crate) explain: Option<String>,
    /// Only these kinds, separated by commas, such as `--kind aggregator,weighting`: separate, alternating, weighting, aggregator,
    /// passes, wrapper.
    #[arg(long, value_delimiter = ',')]
    pub(crate) kind: Vec<String>,
    /// As a table in Markdown.
    #[arg(long)]
    pub(crate) markdown: bool,
}

/// The command line of a program with this registry. `predict` also has the flags of the predictors of its data sets.
pub(crate) fn command_line(registry: &Registry) -> clap::Command {
    let of_predictors = |mut predict: clap::Command| {
        for dataset in registry.datasets() {
            for option in dataset.predict_options {
                let help = format!("Runs on {}: {}", dataset.name, option.help);
                let flag = Arg::new(option.name).long(option.name).help(help).help_heading("For some data sets");
                predict = predict.arg(match option.value_name {
                    Some(name) => flag.value_name(name).action(ArgAction::Set),
                    None => flag.action(ArgAction::SetTrue),
                });
            }
        }
        predict
    };
    let version = format!("{} ({})", env!("CARGO_PKG_VERSION"), registry.revision().unwrap_or("unknown"));
    Cli::command().version(version).mut_subcommand("predict", of_predictors)
}

/// The given flags of `predict` that belong to the predictors of data sets.
pub(crate) fn predict_options(registry: &Registry, matches: &ArgMatches) -> PredictOptions {
    let mut given = PredictOptions::new();
    let Some(matches) = matches.subcommand_matches("predict") else { return given };
    for option in registry.datasets().iter().flat_map(|dataset| dataset.predict_options) {
        let value = match option.value_name {
            Some(_) => matches.get_one::<String>(option.name).cloned(),
            None => matches.get_flag(option.name).then(String::new),
        };
        given.extend(value.map(|value| (option.name.to_owned(), value)));
    }
    given
}

/// `mtcool data`.
#[derive(Debug, Subcommand)]
pub(crate) enum Data {
    /// Download a data set and verify its checksums.
    Fetch {
        /// The data set.
        dataset: String,
        /// The folder for it, such as `--data ~/mnist`; by default `data/DATASET`.
        #[arg(long)]
        data: Option<PathBuf>,
    },
    /// Draw a synthetic data set in the official layout.
    Synth {
        /// The data set.
        dataset: String,
        /// The folder for it, such as `--data drawn`; by default `data/DATASET-synth`.
        #[arg(long)]
        data: Option<PathBuf>,
        /// Number of training images, validation images included, such as `--train 40`; by default as many as in the real data set.
        #[arg(long)]
        train: Option<usize>,
        /// Number of test images, such as `--test 20`; by default as many as in the real data set.
        #[arg(long)]
        test: Option<usize>,
        /// The seed from which every image is drawn, such as `--seed 1`.
        #[arg(long, default_value_t = 0, value_parser = value_parser!(u64).range(..=i64::MAX as u64))]
        seed: u64,
        /// The factor by which the sides of the images are shorter than those of the official photographs, such as `--shrink 4`; 1 by
        /// default.
        #[arg(long)]
        shrink: Option<usize>,
    },
    /// Look at a folder of your own: labels of each task, sizes, mistakes, and a page with pictures and masks.
    Inspect(Inspect),
    /// Write a configuration to start from, for a folder of your own.
    Init(Init),
    /// Check the files of a data set.
    Verify {
        /// The data set.
        dataset: String,
        /// The folder of the data set, such as `--data ~/refuge`; by default `data/DATASET`.
        #[arg(long)]
        data: Option<PathBuf>,
    },
}

/// `mtcool data inspect`.
#[derive(Args, Debug)]
pub(crate) struct Inspect {
    /// An experiment on a folder of your own: the path of a TOML file.
    pub(crate) experiment: String,
    /// Its configuration.
    #[command(flatten)]
    pub(crate) config: ConfigFlags,
    /// The file for the page with pictures, masks and labels, such as `--page cells.html`.
    #[arg(long, value_name = "FILE", default_value = "inspection.html")]
    pub(crate) page: PathBuf,
}

/// `mtcool data init`.
#[derive(Args, Debug)]
pub(crate) struct Init {
    /// The folder with pictures, and masks or a table.
    pub(crate) folder: PathBuf,
    /// The file to write, such as `--out cells.toml`; it must not exist.
    #[arg(long, value_name = "FILE", default_value = "own.toml")]
    pub(crate) out: PathBuf,
}
