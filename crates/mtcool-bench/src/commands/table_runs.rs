//! The runs that a table reads: those whose files are all there and as they were written.

use std::path::Path;

use anyhow::Result;

use crate::plan::{DataIdentity, Plan};
use crate::record::{Status, StoredRun, check_results, stored_runs};
use crate::suite::Caveat;

/// The runs of an experiment, as far as a table can read them.
pub(super) struct TableRuns {
    /// All runs, whatever their configuration, without those that are left out.
    pub(super) runs: Vec<StoredRun>,
    /// The note of the table on its own runs that are left out.
    pub(super) note: Option<Caveat>,
}

/// The runs in the folder `runs`. Those that cannot be read are left out with a warning; among them the finished runs of the table of
/// `plan` with a file of results that is missing or damaged.
///
/// # Errors
/// If the lock of a run cannot be read.
pub(super) fn table_runs(runs: &Path, plan: &Plan, data: &DataIdentity) -> Result<TableRuns> {
    let index = stored_runs(runs)?;
    for (path, error) in &index.damaged {
        tracing::warn!("`{}` is left out of the table: {error:#}", path.display());
    }
    let (mut whole, mut left_out) = (Vec::new(), Vec::new());
    for run in index.runs {
        let is_read = run.status.status == Status::Finished && plan.has_run(&run.method, run.seed, &run.hash, data);
        let checked = if is_read { check_results(&run.folder) } else { Ok(()) };
        match checked {
            Ok(()) => whole.push(run),
            Err(error) => {
                tracing::warn!(
                    "`{}` is left out of the table: {error:#}; if there is no copy, delete the folder of the run, and the next \
                     `mtcool reproduce` executes it again",
                    run.folder.display()
                );
                left_out.push(run.folder.file_name().unwrap_or_default().to_string_lossy().into_owned());
            }
        }
    }
    let note = (!left_out.is_empty()).then(|| Caveat {
        text: format!("Left out, since files of results are missing or damaged: {}", left_out.join(", ")),
        is_comparable: true,
    });
    Ok(TableRuns { runs: whole, note })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::Overrides;
    use crate::record::{Claim, Environment, NetworkSize, Row, RunFolder, RunProgress, RunRecord};
    use crate::suite::{DataRecord, Registry};

    #[test]
    fn a_run_without_its_results_blocks_no_table() {
        let place = tempfile::tempdir().unwrap();
        let runs = place.path();
        let load = |epochs: u64| {
            let assignments = vec!["methods=[\"joint\"]".to_owned(), format!("training.epochs={epochs}")];
            Plan::load(&Registry::builtin(), "table1", &Overrides { profile: None, assignments }).unwrap()
        };
        let (plan, other, data) = (load(2), load(3), DataIdentity::default());
        let finish = |plan: &Plan, seed: u64| {
            let config = plan.run_config(&plan.methods[0], seed, &data);
            let Claim::Ours(folder) = RunFolder::claim(runs, &config, "joint").unwrap() else { panic!("not free") };
            let record = RunRecord { environment: Environment::of_process("cpu"), data: DataRecord::default() };
            let size = NetworkSize { parameters: 2, joint_parameters: 1 };
            let begun = folder.begin(&config, size, 10, RunProgress::default(), &record).unwrap();
            let (split, task, metric) = ("test".to_owned(), "even".to_owned(), "accuracy".to_owned());
            folder.write_rows(&[Row { step: 10, epoch: 2, split, task, metric, value: 99.0 }]).unwrap();
            folder
                .set_status(&begun, Status::Finished, None, RunProgress { epoch: 2, ..RunProgress::default() })
                .unwrap();
            folder.path().to_owned()
        };
        let (first, second, elsewhere) = (finish(&plan, 0), finish(&plan, 1), finish(&other, 0));
        let all = || table_runs(runs, &plan, &data).unwrap();
        assert!(all().runs.len() == 3 && all().note.is_none());
        // A run of another table is not looked into.
        std::fs::remove_file(elsewhere.join("metrics.parquet")).unwrap();
        assert!(all().runs.len() == 3 && all().note.is_none());

        let name = |run: &Path| run.file_name().unwrap().to_string_lossy().into_owned();
        std::fs::remove_file(first.join("metrics.parquet")).unwrap();
        let left: Vec<_> = all().runs.into_iter().map(|run| run.folder).collect();
        assert!(left.len() == 2 && !left.contains(&first), "{left:?}");
        let note = all().note.unwrap();
        assert!(note.is_comparable && note.text.ends_with(&format!("damaged: {}", name(&first))), "{}", note.text);
        std::fs::write(second.join("metrics.parquet"), "damaged").unwrap();
        let note = all().note.unwrap().text;
        assert!(note.contains(&name(&first)) && note.contains(&name(&second)), "{note}");
    }
}
