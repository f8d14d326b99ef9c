//! `runs.parquet` and `runs.csv`: a row per run, split, task and metric, with everything that tells where the number comes from.

use std::time::{Duration, SystemTime};

use anyhow::Result;
use polars::prelude::{Column, DataFrame, NamedFrom, Series};

use super::environment::{Environment, read_data_record};
use super::external::read_external;
use super::metrics::{Row, final_rows, read_rows};
use super::run_index::StoredRun;
use super::timestamp::utc_text;
use crate::suite::DataRecord;

/// A run with its circumstances and its metrics.
pub struct RecordedRun {
    /// Names, status and configuration.
    pub stored: StoredRun,
    /// Program and machine.
    pub environment: Environment,
    /// The files and samples; `None` if an earlier version of the program made the run.
    pub data: Option<DataRecord>,
    /// Its metrics.
    pub rows: Vec<Row>,
}

impl RecordedRun {
    /// Reads the files of a run that has metrics.
    ///
    /// # Errors
    /// If a file is missing or damaged.
    pub fn read(stored: StoredRun) -> Result<Self> {
        let environment = Environment::read(&stored.folder)?;
        let data = read_data_record(&stored.folder)?;
        let rows = read_rows(&stored.folder.join("metrics.parquet"))?;
        Ok(Self { stored, environment, data, rows })
    }

    /// Adds what was measured of it on the folder `external` beside the training data, if anything was, to its metrics.
    ///
    /// # Errors
    /// If the file is damaged.
    pub fn add_external(&mut self, external: &str) -> Result<()> {
        if let Some(result) = read_external(&self.stored.folder, external)? {
            let status = &self.stored.status;
            self.rows.extend(result.rows(external, status.step, status.epoch));
        }
        Ok(())
    }

    /// A digest of the content of its data's files; `None` if it is not known.
    pub fn data_digest(&self) -> Option<String> {
        let recorded = self.data.as_ref().and_then(|data| data.digest.clone());
        let in_config = || {
            let files = self.stored.config.table.get("files")?;
            let digest = files.get("digest").or_else(|| files.get("sha256"))?;
            Some(digest.as_str()?.to_owned())
        };
        recorded.or_else(in_config)
    }

    /// When it began, in UTC, if that is known.
    pub fn started(&self) -> Option<String> {
        moment(self.stored.status.started)
    }

    /// When it ended, in UTC, if that is known.
    pub fn ended(&self) -> Option<String> {
        moment(self.stored.status.updated).filter(|_| self.stored.status.status.is_over())
    }

    /// The version of the program's numbers, if the run's configuration names one.
    pub fn results_version(&self) -> Option<i64> {
        self.stored.config.table.get("results_version")?.as_integer()
    }

    /// The name of its folder.
    pub fn folder_name(&self) -> String {
        self.stored.folder.file_name().unwrap_or_default().to_string_lossy().into_owned()
    }
}

/// A number of seconds since 1970 as text; 0 stands for an unknown moment.
fn moment(seconds: u64) -> Option<String> {
    (seconds > 0).then(|| utc_text(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)))
}

/// The final rows of a run. Of a loss over a few steps, the last value says nothing about the run.
fn final_values(run: &RecordedRun) -> impl Iterator<Item = &Row> {
    final_rows(&run.rows, run.stored.status.selected_epoch).into_iter().filter(|row| !row.metric.starts_with("step_"))
}

/// The final values of all metrics of `runs`. Columns: experiment, label, method, seed, split, task, metric, value, epoch (of the
/// value), epochs (of the run), hash, results_version, version and revision of the program, modified (whether it was built from
/// changed files), started, ended (UTC), train_seconds (without evaluation), host, device, processor, threads, command, data (a
/// digest of the files' content), run (the name of its folder in `runs`).
///
/// # Errors
/// If polars fails, which cannot happen because all columns have the same length.
pub fn runs_frame(runs: &[RecordedRun]) -> Result<DataFrame> {
    let values = || runs.iter().flat_map(|run| final_values(run).map(move |row| (run, row)));
    let text = |name: &str, pick: &dyn Fn(&RecordedRun) -> Option<String>| -> Column {
        Series::new(name.into(), values().map(|(run, _)| pick(run)).collect::<Vec<_>>()).into()
    };
    let of_row = |name: &str, pick: &dyn Fn(&Row) -> &str| -> Column {
        let all: Vec<String> = values().map(|(_, row)| pick(row).to_owned()).collect();
        Series::new(name.into(), all).into()
    };
    let count = |name: &str, pick: &dyn Fn(&RecordedRun, &Row) -> u64| -> Column {
        Series::new(name.into(), values().map(|(run, row)| pick(run, row)).collect::<Vec<_>>()).into()
    };
    let number = |name: &str, pick: &dyn Fn(&RecordedRun, &Row) -> f64| -> Column {
        Series::new(name.into(), values().map(|(run, row)| pick(run, row)).collect::<Vec<_>>()).into()
    };
    let experiment = |run: &RecordedRun| Some(run.stored.config.table.get("experiment")?.as_str()?.to_owned());
    let columns = vec![
        text("experiment", &experiment),
        text("label", &|run| Some(run.stored.label.clone())),
        text("method", &|run| Some(run.stored.method.clone())),
        count("seed", &|run, _| run.stored.seed),
        of_row("split", &|row| &row.split),
        of_row("task", &|row| &row.task),
        of_row("metric", &|row| &row.metric),
        number("value", &|_, row| row.value),
        count("epoch", &|_, row| row.epoch),
        count("epochs", &|run, _| run.stored.status.epochs),
        text("hash", &|run| Some(run.stored.hash.clone())),
        Series::new("results_version".into(), values().map(|(run, _)| run.results_version()).collect::<Vec<_>>())
            .into(),
        text("version", &|run| Some(run.environment.version.clone())),
        text("revision", &|run| Some(run.environment.revision().0.to_owned())),
        Series::new("modified".into(), values().map(|(run, _)| run.environment.revision().1).collect::<Vec<_>>())
            .into(),
        text("started", &RecordedRun::started),
        text("ended", &RecordedRun::ended),
        number("train_seconds", &|run, _| run.stored.status.train_seconds),
        text("host", &|run| run.environment.host.clone()),
        text("device", &|run| Some(run.environment.device.clone())),
        text("processor", &|run| run.environment.processor.clone()),
        count("threads", &|run, _| run.environment.threads as u64),
        text("command", &|run| run.environment.command.clone()),
        text("data", &RecordedRun::data_digest),
        text("run", &|run| Some(run.folder_name())),
    ];
    Ok(DataFrame::new(values().count(), columns)?)
}
