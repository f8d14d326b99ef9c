//! The circumstances of a run: program, machine, command, times, and the data that it used. They tell where a number comes
//! from, and no result depends on them.

use std::path::Path;
use std::sync::OnceLock;
use std::time::SystemTime;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use super::file_list::{exists_intact, read_intact};
use super::timestamp::utc_text;
use crate::suite::DataRecord;

/// The end of the revision of a program that was built from changed files.
const MODIFIED: &str = "-modified";

/// The revision of this process's program.
static REVISION: OnceLock<&str> = OnceLock::new();

/// Names the revision of this process's program, which all records of its runs have from now on; the first call counts.
pub fn set_program_revision(revision: &'static str) {
    let _ = REVISION.set(revision);
}

/// The content of `environment.json`. What an earlier version of the program did not write is empty.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Environment {
    /// Version of the program.
    #[serde(rename = "mtcool")]
    pub version: String,
    /// Revision of the program in git; it ends with `-modified` if the program was built from changed files.
    pub revision: String,
    /// Version of candle; `None` if it was not known when the program was built, as for one from `cargo install`.
    #[serde(rename = "candle-core")]
    pub candle: Option<String>,
    /// Version of the matrix product.
    pub gemm: Option<String>,
    /// The oldest compiler that builds the program.
    pub rust_required: String,
    /// The operating system.
    pub os: String,
    /// The instruction set.
    pub architecture: String,
    /// The processor's name.
    pub processor: Option<String>,
    /// Number of threads.
    pub threads: usize,
    /// The device that computed: `cpu`, or a name such as `cuda:0`.
    pub device: String,
    /// The machine's name.
    pub host: Option<String>,
    /// The number of the process.
    pub process: Option<u32>,
    /// The command line of the process.
    pub command: Option<String>,
    /// When this process began to work on the run, in UTC.
    pub since: Option<String>,
    /// Number of batches per task that earlier processes had trained.
    #[serde(skip_serializing_if = "is_zero")]
    pub batches_before: u64,
    /// The circumstances of the earlier processes that worked on the run, from the first to the last.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub earlier: Vec<Environment>,
}

fn is_zero(number: &u64) -> bool {
    *number == 0
}

impl Environment {
    /// The circumstances of this process, which computes on `device`.
    pub fn of_process(device: &str) -> Self {
        Self {
            version: env!("CARGO_PKG_VERSION").into(),
            revision: REVISION.get().copied().unwrap_or("unknown").into(),
            // `build.rs` reads them from the lock file.
            candle: option_env!("BUILT_WITH_CANDLE").map(str::to_owned),
            gemm: option_env!("BUILT_WITH_GEMM").map(str::to_owned),
            rust_required: env!("CARGO_PKG_RUST_VERSION").into(),
            os: std::env::consts::OS.into(),
            architecture: std::env::consts::ARCH.into(),
            processor: processor(),
            threads: rayon::current_num_threads(),
            device: device.into(),
            host: host(),
            process: Some(std::process::id()),
            command: Some(command()),
            ..Self::default()
        }
    }

    /// The same for a run that this process takes up now. `earlier` has what the last process before it wrote, and that process
    /// and those before it had trained `batches_before` batches per task.
    pub(super) fn take_up(&self, earlier: Option<Self>, batches_before: u64) -> Self {
        let mut taken = Self { since: Some(utc_text(SystemTime::now())), batches_before, ..self.clone() };
        // A process that trained nothing left no trace in the results.
        if let Some(mut last) = earlier.filter(|_| batches_before > 0) {
            taken.earlier = std::mem::take(&mut last.earlier);
            taken.earlier.push(last);
        }
        taken
    }

    /// Reads `environment.json` in a run's folder.
    ///
    /// # Errors
    /// If it is missing or damaged.
    pub fn read(run: &Path) -> Result<Self> {
        let path = run.join("environment.json");
        let bytes = read_intact(&path)?;
        serde_json::from_slice(&bytes).with_context(|| format!("`{}` is damaged", path.display()))
    }

    /// The revision without its mark, and whether the program was built from changed files.
    pub fn revision(&self) -> (&str, bool) {
        match self.revision.strip_suffix(MODIFIED) {
            Some(revision) => (revision, true),
            None => (if self.revision.is_empty() { "unknown" } else { &self.revision }, false),
        }
    }
}

/// The circumstances of the runs of a sweep.
#[derive(Clone, Debug)]
pub struct RunRecord {
    /// Program and machine.
    pub environment: Environment,
    /// The files and samples.
    pub data: DataRecord,
}

/// Reads `data.json` in a run's folder; `None` if an earlier version of the program made the run.
///
/// # Errors
/// If it is damaged.
pub fn read_data_record(run: &Path) -> Result<Option<DataRecord>> {
    let path = run.join("data.json");
    if !exists_intact(&path)? {
        return Ok(None);
    }
    let bytes = read_intact(&path)?;
    serde_json::from_slice(&bytes).map(Some).with_context(|| format!("`{}` is damaged", path.display()))
}

fn processor() -> Option<String> {
    let text = std::fs::read_to_string("/proc/cpuinfo").ok()?;
    let line = text.lines().find(|line| line.starts_with("model name"))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}

/// The machine's name: from the kernel, or from the variable that shells and Windows set.
pub(super) fn host() -> Option<String> {
    let of_kernel = std::fs::read_to_string("/proc/sys/kernel/hostname").ok();
    let of_variable = || ["HOSTNAME", "COMPUTERNAME"].iter().find_map(|name| std::env::var(name).ok());
    Some(of_kernel.or_else(of_variable)?.trim().to_owned()).filter(|name| !name.is_empty())
}

/// The command line of this process as a shell reads it.
fn command() -> String {
    std::env::args_os().map(|argument| shell_word(&argument.to_string_lossy())).collect::<Vec<_>>().join(" ")
}

/// The argument as a shell reads it: in quotes if it has other characters than letters, digits and a few signs.
pub fn shell_word(argument: &str) -> String {
    let is_plain = |character: char| character.is_ascii_alphanumeric() || "_-./:=,+@%".contains(character);
    if !argument.is_empty() && argument.chars().all(is_plain) {
        return argument.to_owned();
    }
    format!("'{}'", argument.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_remembers_every_process_that_worked_on_it() {
        let process = Environment::of_process("cpu");
        let first = process.take_up(None, 0);
        assert!(first.since.is_some() && first.earlier.is_empty());
        // Interrupted before anything was trained: the run begins now.
        assert!(process.take_up(Some(first.clone()), 0).earlier.is_empty());

        let early = Environment { since: Some("2020-01-01T00:00:00Z".into()), ..first };
        let second = process.take_up(Some(early.clone()), 7);
        assert!(second.since > early.since && second.batches_before == 7, "{second:?}");
        assert_eq!(second.earlier, std::slice::from_ref(&early));
        let third = process.take_up(Some(second.clone()), 9);
        assert_eq!(third.earlier, [early, Environment { earlier: Vec::new(), ..second }]);
        let text = serde_json::to_string(&third).unwrap();
        assert_eq!(serde_json::from_str::<Environment>(&text).unwrap(), third);
    }

    #[test]
    fn the_versions_of_the_libraries_are_those_of_the_lock_file() {
        let lock = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../Cargo.lock")).unwrap();
        let process = Environment::of_process("cpu");
        for (library, version) in [("candle-core", process.candle), ("gemm", process.gemm)] {
            let entry = format!("name = \"{library}\"\nversion = \"{}\"\n", version.unwrap());
            assert_eq!(lock.matches(&entry).count(), 1, "{entry}");
        }
    }

    #[test]
    fn earlier_versions_files_are_read_and_revisions_know_whether_files_were_changed() {
        let old: Environment = serde_json::from_str(r#"{ "mtcool": "0.1.0", "threads": 2 }"#).unwrap();
        assert_eq!((old.version.as_str(), old.threads, old.host.as_ref()), ("0.1.0", 2, None));
        assert_eq!(old.revision(), ("unknown", false));
        let of = |revision: &str| Environment { revision: revision.into(), ..Environment::default() };
        assert_eq!(of("0123456789ab-modified").revision(), ("0123456789ab", true));
        assert_eq!(of("0123456789ab").revision(), ("0123456789ab", false));
    }

    #[test]
    fn a_shell_reads_the_words_back() {
        for word in ["table1", "--set", "data.synthetic={ train = 24 }", "it's", "", "$HOME", "a\nb"] {
            let echoed = std::process::Command::new("sh")
                .args(["-c", &format!("printf %s {}", shell_word(word))])
                .output()
                .unwrap();
            assert_eq!(String::from_utf8_lossy(&echoed.stdout), word);
        }
        assert_eq!(
            (shell_word("training.epochs=5").as_str(), shell_word("a b").as_str()),
            ("training.epochs=5", "'a b'")
        );
    }
}
