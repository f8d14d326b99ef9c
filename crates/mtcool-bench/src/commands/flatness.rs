//! `mtcool flatness`: how much the losses of finished runs rise when their weights are moved at random.

use anyhow::{Context, Result, ensure};
use candle_core::{DType, Device};
use mtcool_core::Batch;
use mtcool_ops::open_device;

use super::experiment::{Remembered, open_data, publish_table, remembered};
use super::table_runs::{TableRuns, table_runs};
use crate::cli::Flatness;
use crate::logging;
use crate::output::print;
use crate::plan::Plan;
use crate::progress::Console;
use crate::record::{MovedLoss, StoredRun, read_finished_model, read_flatness, write_flatness};
use crate::report::{Table, TableContext, TableRow, flatness_markdown};
use crate::run::{FlatnessRequest, measure_flatness, problem};
use crate::suite::{Name, Registry, Suite};

/// The most batches of each task, which are held in memory together.
const MOST_BATCHES: usize = 10_000;

/// Measures the finished runs of the experiment's table that have not been measured in this way, writes the result into their folders
/// and into the report, and prints it.
///
/// # Errors
/// If there are no runs, if their data is not available, or if a file cannot be read or written.
pub(super) fn flatness(registry: &Registry, arguments: &Flatness) -> Result<()> {
    logging::start(&Console::default(), None)?;
    let request = FlatnessRequest { radii: arguments.radii.clone(), draws: arguments.draws };
    request.check()?;
    let batches = arguments.batches;
    ensure!((1..=MOST_BATCHES).contains(&batches), "`--batches` is {batches}: expected 1 to {MOST_BATCHES}");
    let Remembered { plan, record, folder } =
        remembered(registry, &arguments.experiment, &arguments.config, &arguments.results)?;
    let device = open_device(&plan.experiment.device)?;
    let suite = open_data(&plan, &record.data).context("flatness is measured on the training data of the runs")?;
    let TableRuns { runs, note: _ } = table_runs(&folder.runs(), &plan, &record.data)?;
    let (data, caveats, overrides) = (&record.data, &record.caveats[..], record.overrides());
    let context = TableContext { plan: &plan, data, caveats, overrides, runs: &runs, folder: folder.path() };
    let table = Table::collect(&context)?;
    let batches = first_batches(&plan, suite.as_ref(), &device, batches)?;
    let (methods, seeds) = (&arguments.config.methods, plan.experiment.seeds.all());
    let is_asked =
        |row: &&TableRow| methods.is_none() || plan.methods.iter().any(|method| *method.entry.name == *row.method.name);
    let has_asked_seed = |run: &&StoredRun| arguments.config.seeds.is_none() || seeds.contains(&run.seed);
    let work = || -> Result<()> {
        for row in table.rows.iter().filter(is_asked) {
            for run in row.stored.iter().filter(has_asked_seed) {
                measure_run(&plan, suite.as_ref(), &device, (run, row), &batches, &request)?;
            }
        }
        Ok(())
    };
    // As in training, the parallel parts do not have to change the thread.
    rayon::scope(|_| work())?;
    publish_table(&plan, &record, &folder, Some(suite.as_ref()), false)?;
    print(&flatness_markdown(&table)?)
}

/// The first batches of every task, for all runs the same.
fn first_batches(plan: &Plan, suite: &dyn Suite, device: &Device, count: usize) -> Result<Vec<Vec<Batch>>> {
    let mut source = suite.batches(device, plan.experiment.training.batch_size, 0, 0)?;
    let batches = (0..count).map(|_| Ok(source.next_all(plan.spec.tasks.len())?));
    batches.collect()
}

fn measure_run(
    plan: &Plan,
    suite: &dyn Suite,
    device: &Device,
    (run, row): (&StoredRun, &TableRow),
    batches: &[Vec<Batch>],
    request: &FlatnessRequest,
) -> Result<()> {
    if read_flatness(&run.folder)?.is_some_and(|known| is_answered(&known, batches.len(), request)) {
        tracing::info!("{} is measured", run.name());
        return Ok(());
    }
    let of_row = plan.methods.iter().chain(&plan.further).find(|method| *method.entry.name == *row.method.name);
    let network = of_row.map_or(&plan.experiment.network, |method| &method.network);
    let problem = problem(plan, network, suite, row.method.sharing, device)?;
    let template = problem.network().initial_parameters(0, DType::F32, device)?;
    let parameters = read_finished_model(&run.folder.join("model.safetensors"), &template)?;
    let tasks: Vec<Name> = plan.spec.tasks.iter().map(|task| task.name.clone()).collect();
    let losses = measure_flatness(&problem, &parameters, batches, &tasks, request).with_context(|| run.name())?;
    write_flatness(&run.folder, &losses)?;
    tracing::info!("{} has been measured", run.name());
    Ok(())
}

/// Whether `known` was measured as `request` asks.
fn is_answered(known: &[MovedLoss], batches: usize, request: &FlatnessRequest) -> bool {
    let is_alike = |entry: &MovedLoss| (entry.draws, entry.batches) == (request.draws as u64, batches as u64);
    let has = |radius: &f64| known.iter().any(|entry| entry.radius == *radius);
    known.iter().all(is_alike) && request.radii.iter().all(has)
}
