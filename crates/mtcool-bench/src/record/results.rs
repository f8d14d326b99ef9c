//! What a table reads of a finished run: whether it is all there.

use std::path::{Path, PathBuf};

use anyhow::Result;

use super::cases::read_scores;
use super::environment::{Environment, read_data_record};
use super::file_list::exists_intact;
use super::metrics::{read_predictions, read_rows};

/// The file that every finished run has.
const METRICS: &str = "metrics.parquet";
/// The files that a run has only if it has content for them.
const FURTHER: [&str; 2] = ["predictions.parquet", "cases.parquet"];

/// Reads every file of the finished run in `folder` that a table needs.
///
/// # Errors
/// If one of them is missing or damaged; the message names it.
pub fn check_results(folder: &Path) -> Result<()> {
    read_rows(&folder.join(METRICS))?;
    // No task has this name: the files are read and checked, and nothing of them is picked.
    let no_task = "";
    read_predictions(&folder.join(FURTHER[0]), no_task)?;
    read_scores(folder, no_task, no_task)?;
    Environment::read(folder)?;
    read_data_record(folder)?;
    Ok(())
}

/// The first of the result files of the finished run in `folder` that was written and is not there; no file is read for it except the
/// list of files.
pub fn missing_results(folder: &Path) -> Option<PathBuf> {
    let metrics = Some(folder.join(METRICS)).filter(|path| !path.exists());
    metrics.or_else(|| FURTHER.map(|name| folder.join(name)).into_iter().find(|path| exists_intact(path).is_err()))
}

#[cfg(test)]
mod tests {
    use super::super::cases::scores_frame;
    use super::super::file_list::FileList;
    use super::super::files::write_whole;
    use super::super::metrics::{Row, RunTags, metrics_frame};
    use super::super::tabular::parquet_bytes;
    use super::*;
    use crate::suite::CaseScore;

    #[test]
    fn a_file_that_is_missing_or_damaged_is_named() {
        let place = tempfile::tempdir().unwrap();
        let run = place.path();
        let score = CaseScore { task: "a".into(), case: "x".into(), metric: "dice".into(), value: 0.5 };
        let scores = parquet_bytes(scores_frame(&[score]).unwrap()).unwrap();
        let name = |name: &str| name.to_owned();
        let row = Row { step: 1, epoch: 1, split: name("test"), task: name("a"), metric: name("dice"), value: 0.5 };
        let tags = RunTags {
            experiment: name("own"),
            label: name("joint"),
            method: name("joint"),
            seed: 0,
            hash: name("ab"),
            learning_rate: None,
        };
        let metrics = parquet_bytes(metrics_frame(&[row], &tags).unwrap()).unwrap();
        write_whole(&run.join("metrics.parquet"), &metrics).unwrap();
        write_whole(&run.join("cases.parquet"), &scores).unwrap();
        write_whole(&run.join("environment.json"), b"{ \"mtcool\": \"0.1.0\", \"revision\": \"ab\" }").unwrap();
        check_results(run).unwrap();
        assert_eq!(missing_results(run), None);
        FileList::of(run).unwrap().write(run).unwrap();
        check_results(run).unwrap();
        for (name, whole) in [("metrics.parquet", &metrics), ("cases.parquet", &scores)] {
            let path = run.join(name);
            std::fs::write(&path, "damaged").unwrap();
            let message = format!("{:#}", check_results(run).unwrap_err());
            assert!(message.contains(name) && message.contains("restore it from a copy"), "{message}");
            assert_eq!(missing_results(run), None, "it is there");
            std::fs::remove_file(&path).unwrap();
            let message = format!("{:#}", check_results(run).unwrap_err());
            assert!(message.contains(name) && message.contains("restore it from a copy"), "{message}");
            assert_eq!(missing_results(run), Some(path.clone()));
            std::fs::write(&path, whole).unwrap();
        }
        // A run without a list of its files, by an earlier version.
        FileList::remove(run).unwrap();
        std::fs::write(run.join("metrics.parquet"), "damaged").unwrap();
        assert!(format!("{:#}", check_results(run).unwrap_err()).contains("metrics.parquet"));
    }
}
