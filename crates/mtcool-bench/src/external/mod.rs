//! Measures the networks of finished runs on labelled data that they were not trained on: `mtcool evaluate`, and the folders that
//! an experiment names under `external`. Nothing is trained here, and nothing is chosen.

mod evaluate;

use std::path::Path;

use anyhow::{Context, Result};

use crate::predict::{no_hook, read_trained};
use crate::record::{ExternalResult, ExternalValue, read_data_record, read_external, write_external};
use crate::suite::{DataRecord, ExternalFolder, ExternalSet, Registry, TrainedOn};

pub use evaluate::{EvaluateRequest, run};

/// Measures the network of the finished run in `run` on the folder `external`. If `known` is a result that must be the same, it is
/// returned.
///
/// # Errors
/// If the run cannot be used, its data set has no external tests, something is wrong with the folder, or outputs are not finite.
pub fn measure_run(
    registry: &Registry,
    run: &Path,
    external: ExternalFolder<'_>,
    known: Option<ExternalResult>,
) -> Result<ExternalResult> {
    let (dataset, model) = read_trained(registry, run)?;
    let open = dataset.external.ok_or_else(|| {
        no_hook(registry, dataset, "be measured on a folder beside its data", |able| able.external.is_some())
    })?;
    let trained = TrainedOn { settings: &model.data_settings, files: &model.files, seed: model.seed };
    let set = open(trained, external).with_context(|| format!("`{}`", external.folder.display()))?;
    let digest = set.digest();
    if let Some(known) = known.filter(|known| known.digest == digest) {
        return Ok(known);
    }
    let record = read_data_record(run)?.unwrap_or_default();
    let measured = set.measure(model.network.as_ref(), &model.parameters);
    let evaluation = measured.with_context(|| format!("`{}` on `{}`", run.display(), external.folder.display()))?;
    let values = evaluation.measurements.into_iter().filter(|measured| measured.value.is_finite());
    Ok(ExternalResult {
        digest,
        folder: external.folder.to_owned(),
        cases: set.cases().into_iter().map(|(task, cases)| (task.into_owned(), cases)).collect(),
        notes: set.notes().into_iter().chain(seen(set.as_ref(), &record)).collect(),
        values: values
            .map(|measured| ExternalValue {
                task: measured.task.into_owned(),
                metric: measured.metric.into_owned(),
                value: measured.value,
            })
            .collect(),
    })
}

/// As [`measure_run`], and writes the result into the run's folder under the name `name`, unless it is there.
///
/// # Errors
/// As for [`measure_run`], or if the file cannot be read or written.
pub fn measure_and_keep(registry: &Registry, run: &Path, name: &str, external: ExternalFolder<'_>) -> Result<()> {
    let known = read_external(run, name)?;
    let result = measure_run(registry, run, external, known.clone())?;
    if known.as_ref() != Some(&result) {
        write_external(run, name, &result)?;
    }
    Ok(())
}

/// The note that pictures of `set` belong to the data of the run.
fn seen(set: &dyn ExternalSet, record: &DataRecord) -> Option<String> {
    let files = set.files();
    let parts = ["training", "validation"].into_iter().zip(record.seen(files.values()));
    let parts = parts.filter(|(_, count)| *count > 0).map(|(part, count)| format!("{count} to the {part} part"));
    let parts: Vec<String> = parts.collect();
    (!parts.is_empty()).then(|| {
        format!(
            "Of the {} pictures, some belong to the run's own data, {}: the figures say little about new pictures",
            files.len(),
            parts.join(" and ")
        )
    })
}
