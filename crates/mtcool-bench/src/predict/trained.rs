//! The network of a finished run, and everything that a prediction says about this run.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow, ensure};
use candle_core::{DType, Device};

use crate::plan::StoredConfig;
use crate::record::{read_finished_model, read_intact};
use crate::suite::{DatasetEntry, NetworkRequest, Registry, TrainedModel};

/// The number of runs that an error message names.
const NAMED: usize = 3;

/// Reads the model of the finished run in `run`, and looks up its data set.
///
/// # Errors
/// If `run` is not the folder of a finished run, a file is damaged, or a weight is not a finite number.
pub(crate) fn read_trained<'a>(registry: &'a Registry, run: &Path) -> Result<(&'a DatasetEntry, TrainedModel)> {
    let path = run.join("config.toml");
    if !path.is_file() {
        return Err(no_run(run));
    }
    let parse = || -> Result<StoredConfig> { Ok(StoredConfig::parse(std::str::from_utf8(&read_intact(&path)?)?)?) };
    let stored = parse().with_context(|| format!("`{}` is damaged", path.display()))?;
    let file = run.join("model.safetensors");
    ensure!(file.exists(), "`{}` is not there: this run is not finished", file.display());
    let dataset = registry.dataset(&stored.dataset)?;
    let spec = (dataset.spec)(&stored.data).context("`data` in the run's config.toml")?;
    let entry = registry.network(stored.network.kind.as_deref().unwrap_or(&dataset.network))?;
    let tasks = &spec.tasks[..];
    let (config, precision) = (&stored.network, stored.precision);
    let request = NetworkRequest { config, input: spec.input, tasks, all_tasks: tasks, precision, recompute: 0 };
    let network = entry.network(request, registry.method(&stored.method)?.sharing)?;
    let template = network.initial_parameters(0, DType::F32, &Device::Cpu)?;
    let model = TrainedModel {
        parameters: read_finished_model(&file, &template)?,
        network,
        side_multiple: (entry.side_multiple)(&stored.network),
        spec,
        origin: stored.origin,
        files: stored.files,
        data_settings: stored.data,
        seed: stored.seed,
    };
    Ok((dataset, model))
}

/// The error for a folder that is not the folder of a run; it names runs that are near.
fn no_run(given: &Path) -> anyhow::Error {
    let place = given.display();
    if !given.exists() {
        return anyhow!(
            "there is no folder `{place}`: expected the folder of a finished run, such as `results/table2/runs/...`"
        );
    }
    let near = runs_below(given);
    if near.is_empty() {
        return anyhow!(
            "`{place}` is not the folder of a run, and no run is in it: expected a folder that holds `config.toml` and `model.safetensors`"
        );
    }
    let named: Vec<String> = near.iter().take(NAMED).map(|run| format!("`{}`", run.display())).collect();
    let more = near.len().saturating_sub(NAMED);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    let (held, advice) = match near.len() {
        1 => ("a finished run".to_owned(), "name it"),
        count => (format!("{count} finished runs"), "name one of them"),
    };
    anyhow!("`{place}` holds {held} and is not one itself: {advice}, {}{more}", named.join(", "))
}

/// The finished runs in `given`, in its folder `runs`, or in the `runs` of the experiments in it, sorted.
fn runs_below(given: &Path) -> Vec<PathBuf> {
    let folders = |of: &Path| -> Vec<PathBuf> {
        let entries = std::fs::read_dir(of).into_iter().flatten().flatten();
        entries.map(|entry| entry.path()).filter(|path| path.is_dir()).collect()
    };
    let places = [given.to_owned(), given.join("runs")]
        .into_iter()
        .chain(folders(given).into_iter().map(|one| one.join("runs")));
    let runs = places.flat_map(|place| folders(&place));
    let mut runs: Vec<PathBuf> =
        runs.filter(|run| run.join("config.toml").is_file() && run.join("model.safetensors").is_file()).collect();
    runs.sort();
    runs.dedup();
    runs
}

/// The predictor of a run on `dataset`.
///
/// # Errors
/// If the data set has none.
pub(super) fn predictor_of(registry: &Registry, dataset: &DatasetEntry) -> Result<crate::suite::BuildPredictor> {
    let build = dataset.predictor;
    build.ok_or_else(|| no_hook(registry, dataset, "predict for photographs", |able| able.predictor.is_some()))
}

/// The error for a run on a data set that cannot `act`, with the data sets that can.
pub(crate) fn no_hook(
    registry: &Registry,
    dataset: &DatasetEntry,
    act: &str,
    can: fn(&DatasetEntry) -> bool,
) -> anyhow::Error {
    let able = registry.datasets().iter().filter(|dataset| can(dataset));
    let able: Vec<&str> = able.map(|dataset| &*dataset.name).collect();
    anyhow!("a run on `{}` cannot {act}: expected a run on one of these data sets: {}", dataset.name, able.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_that_is_no_run_is_told_with_the_runs_in_it() {
        let folder = tempfile::tempdir().unwrap();
        let message = |place: &Path| no_run(place).to_string();
        assert!(message(&folder.path().join("none")).starts_with("there is no folder `"));
        assert!(message(folder.path()).contains("no run is in it"));
        for name in ["a-s0", "a-s1", "b-s0", "b-s1", "unfinished"] {
            let run = folder.path().join("results/table2/runs").join(name);
            std::fs::create_dir_all(&run).unwrap();
            std::fs::write(run.join("config.toml"), "").unwrap();
            if name != "unfinished" {
                std::fs::write(run.join("model.safetensors"), "").unwrap();
            }
        }
        for place in ["results", "results/table2", "results/table2/runs"] {
            let message = message(&folder.path().join(place));
            assert!(message.contains("holds 4 finished runs") && message.contains("a-s0`, `"), "{message}");
            assert!(message.contains("b-s0`") && message.ends_with(" and 1 more"), "{message}");
        }
    }
}
