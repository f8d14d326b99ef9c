//! All runs in an experiment's folder, with their configurations: what tables and lists of runs are collected from.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use super::file_list::read_intact;
use super::run_folder::run_folders;
use super::run_lock::RunLock;
use super::run_status::{RunStatus, Status};
use crate::plan::StoredSettings;

/// A run that has begun.
#[derive(Clone, Debug)]
pub struct StoredRun {
    /// Its folder.
    pub folder: PathBuf,
    /// The name of the row that it was executed for: a method's name or a variant's name.
    pub label: String,
    /// The name of its method in the registry.
    pub method: String,
    /// Its seed.
    pub seed: u64,
    /// The hash of its configuration.
    pub hash: String,
    /// Its status. Other than `run.json`, it says [`Status::Interrupted`] of a run whose process was killed.
    pub status: RunStatus,
    /// Its `config.toml`.
    pub config: StoredSettings,
}

/// The runs in a folder.
#[derive(Debug, Default)]
pub struct RunIndex {
    /// The runs that have begun, sorted by label, seed and hash.
    pub runs: Vec<StoredRun>,
    /// The folders that cannot be read, with the reason.
    pub damaged: Vec<(PathBuf, anyhow::Error)>,
}

/// All runs in `runs`, the folder `runs` of an experiment, whatever their configuration and their status; also runs under the
/// names that earlier versions of the program gave. A folder that does not exist has no runs.
///
/// # Errors
/// If the lock of a run cannot be read. A damaged run is an entry of [`RunIndex::damaged`].
pub fn stored_runs(runs: &Path) -> Result<RunIndex> {
    let mut index = RunIndex::default();
    for folder in run_folders(runs) {
        match stored_run(&folder) {
            Ok(Some(mut run)) => {
                if run.status.status == Status::Running && !RunLock::is_held(runs, &run.hash)? {
                    // The run may have ended between the two looks at it.
                    run.status = RunStatus::read(&run.folder)?.unwrap_or(run.status);
                    if run.status.status == Status::Running {
                        run.status.status = Status::Interrupted;
                    }
                }
                index.runs.push(run);
            }
            Ok(None) => {}
            Err(error) => index.damaged.push((folder, error)),
        }
    }
    index.runs.sort_by(|a, b| (&a.label, a.seed, &a.hash).cmp(&(&b.label, b.seed, &b.hash)));
    Ok(index)
}

impl StoredRun {
    /// The run's name in messages: label and seed.
    pub fn name(&self) -> String {
        format!("{}-s{}", self.label, self.seed)
    }
}

/// The run in `folder`; `None` before it has begun.
fn stored_run(folder: &Path) -> Result<Option<StoredRun>> {
    let Some(status) = RunStatus::read(folder)? else { return Ok(None) };
    let path = folder.join("config.toml");
    let bytes = read_intact(&path)?;
    let parse = || -> Result<StoredSettings> { Ok(StoredSettings::parse(std::str::from_utf8(&bytes)?)?) };
    let config = parse().with_context(|| format!("`{}` is damaged", path.display()))?;
    let (method, seed) = (config.method.clone(), config.seed);
    let name = folder.file_name().unwrap_or_default().to_string_lossy();
    let label = name.rfind(&format!("-s{seed}")).map_or(&*name, |end| &name[..end]).to_owned();
    Ok(Some(StoredRun { folder: folder.to_owned(), label, method, seed, hash: status.hash.clone(), status, config }))
}

#[cfg(test)]
mod tests {
    use super::super::environment::{Environment, RunRecord};
    use super::super::run_folder::{Claim, RunFolder, RunProgress};
    use super::super::run_status::NetworkSize;
    use super::*;
    use crate::plan::{DataIdentity, Overrides, Plan, RunConfig};
    use crate::suite::{DataRecord, Registry};

    fn config(method: &str, seed: u64, assignments: &[&str]) -> RunConfig {
        let methods = format!("methods=[\"{method}\"]");
        let assignments = assignments.iter().map(|assignment| (*assignment).to_owned()).chain([methods]).collect();
        let plan = Plan::load(&Registry::builtin(), "table1", &Overrides { profile: None, assignments }).unwrap();
        plan.run_config(&plan.methods[0], seed, &DataIdentity::default())
    }

    /// Begins a run and leaves it at `status`; the returned folder holds the run.
    fn begin(runs: &Path, label: &str, config: &RunConfig, status: Status) -> Box<RunFolder> {
        let Claim::Ours(folder) = RunFolder::claim(runs, config, label).unwrap() else { panic!("not free") };
        let size = NetworkSize { parameters: 2, joint_parameters: 1 };
        let record = RunRecord { environment: Environment::of_process("cpu"), data: DataRecord::default() };
        let begun = folder.begin(config, size, 10, RunProgress::default(), &record).unwrap();
        let progress = RunProgress { epoch: 1, step: 7, batches: 7, train_seconds: 2.5, selected_epoch: None };
        folder.set_status(&begun, status, None, progress).unwrap();
        folder
    }

    fn list(runs: &Path) -> Vec<(String, u64, Status)> {
        let index = stored_runs(runs).unwrap();
        index.runs.into_iter().map(|run| (run.label, run.seed, run.status.status)).collect()
    }

    #[test]
    fn all_runs_are_listed_with_their_true_status() {
        let place = tempfile::tempdir().unwrap();
        let runs = &place.path().join("runs");
        assert_eq!(list(runs), []);
        let plain = config("joint", 10, &[]);
        drop(begin(runs, "joint", &plain, Status::Finished));
        drop(begin(runs, "joint", &config("joint", 2, &[]), Status::Failed));
        drop(begin(runs, "b05-s1", &config("mtcool", 1, &["method.mtcool.bound=0.05"]), Status::Interrupted));
        let killed = config("pcgrad", 0, &[]);
        let held = begin(runs, "pcgrad", &killed, Status::Running);
        let want = |pcgrad| {
            let joint = |seed, status| ("joint".to_owned(), seed, status);
            let first = ("b05-s1".to_owned(), 1, Status::Interrupted);
            vec![first, joint(2, Status::Failed), joint(10, Status::Finished), ("pcgrad".to_owned(), 0, pcgrad)]
        };
        assert_eq!(list(runs), want(Status::Running));
        drop(held);
        assert_eq!(list(runs), want(Status::Interrupted), "nobody holds the run any more");
        let index = stored_runs(runs).unwrap();
        let run = &index.runs[2];
        assert_eq!((run.method.as_str(), &run.hash, run.name().as_str()), ("joint", &plain.hash(), "joint-s10"));
        assert_eq!(run.config.settings()["training.epochs"], "8");
        assert_eq!((run.status.step, run.status.train_seconds), (7, 2.5));
        assert!(run.status.started > 0 && run.status.updated >= run.status.started);

        // Names of earlier versions.
        std::fs::create_dir(runs.join(".earlier")).unwrap();
        std::fs::rename(&run.folder, runs.join(".earlier").join(format!("joint-s10-{}", &plain.hash()[..12]))).unwrap();
        std::fs::rename(&index.runs[3].folder, runs.join("pcgrad-s0")).unwrap();
        assert_eq!(list(runs), want(Status::Interrupted));
    }

    #[test]
    fn a_run_is_found_by_its_hash_whatever_its_label() {
        let place = tempfile::tempdir().unwrap();
        let (runs, run) = (place.path(), config("joint", 0, &[]));
        drop(begin(runs, "first", &run, Status::Finished));
        assert!(matches!(RunFolder::claim(runs, &run, "second").unwrap(), Claim::Done(_)));
        // Another card is the same device, and another seed is another run.
        let cards = [config("joint", 0, &["device=\"cuda:0\""]), config("joint", 0, &["device=\"cuda:3\""])];
        assert!(cards[0].hash() == cards[1].hash() && cards[0].hash() != run.hash());
        assert!(matches!(RunFolder::claim(runs, &config("joint", 1, &[]), "first").unwrap(), Claim::Ours(_)));
        // Earlier versions had the number of the card in the hash, and no hash in the name.
        let earlier = RunConfig { device: "cuda:3".into(), ..cards[0].clone() };
        drop(begin(runs, "joint", &earlier, Status::Finished));
        let of_earlier = stored_runs(runs).unwrap().runs.into_iter().find(|run| run.hash == earlier.hash()).unwrap();
        std::fs::rename(of_earlier.folder, runs.join("joint-s0")).unwrap();
        assert!(matches!(RunFolder::claim(runs, &cards[1], "joint").unwrap(), Claim::Done(_)));
        // A folder whose name is taken by another run with the same first digits.
        let other = config("joint", 0, &["training.epochs=3"]);
        let taken = runs.join(format!("x-s0-{}", &other.hash()[..8]));
        let first = stored_runs(runs).unwrap().runs.into_iter().find(|stored| stored.hash == run.hash()).unwrap();
        std::fs::rename(first.folder, &taken).unwrap();
        let folder = begin(runs, "x", &other, Status::Running);
        assert_eq!(folder.path(), runs.join(format!("x-s0-{}", &other.hash()[..16])));
        assert!(matches!(RunFolder::claim(runs, &other, "x").unwrap(), Claim::Busy));
        drop(folder);
        let Claim::Ours(again) = RunFolder::claim(runs, &other, "x").unwrap() else { panic!("not free") };
        assert_eq!(again.path(), runs.join(format!("x-s0-{}", &other.hash()[..16])));
    }

    #[test]
    fn a_damaged_run_is_told_and_hides_no_other() {
        let place = tempfile::tempdir().unwrap();
        let runs = place.path();
        drop(begin(runs, "joint", &config("joint", 0, &[]), Status::Finished));
        let damaged = begin(runs, "joint", &config("joint", 1, &[]), Status::Finished).path().to_owned();
        std::fs::write(damaged.join("run.json"), "{").unwrap();
        let index = stored_runs(runs).unwrap();
        assert_eq!((index.runs.len(), index.damaged.len()), (1, 1));
        assert_eq!(index.damaged[0].0, damaged);
        let message = format!("{:#}", index.damaged[0].1);
        assert!(message.contains("run.json") && message.contains("delete the folder"), "{message}");
    }
}
