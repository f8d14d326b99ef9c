//! Looks for inputs on which a parser panics, takes too long or takes too much memory: seeds that are changed at random.
//!
//! The inputs of a target follow from its name, its seeds and a number, so that a finding can be repeated. `FUZZ_INPUTS` is the number
//! of inputs of each target, or `FUZZ_SECONDS` the time; `FUZZ_FIRST` is the number of the first input, `FUZZ_TARGET` the only target.
//! An input that fails is kept below `fuzz` in the folder of temporary build files; put it into `tests/regressions/TARGET/` once the
//! parser is mended.

#![allow(dead_code, reason = "each test file uses a part")]

mod mutation;

use std::panic::AssertUnwindSafe;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use mutation::Mutator;

/// Number of inputs of a target in a plain `cargo test`: the same ones each time, a second or two.
const INPUTS: u64 = 320;
/// An input must be refused or read within this time.
const PATIENCE: Duration = Duration::from_secs(5);
/// The address space that a target may add to that of the process, in KiB.
const MEMORY: u64 = 1 << 20;
/// The memory is looked at after this many inputs.
const INSPECTED: u64 = 16;

/// Held while a target runs.
static ALONE: Mutex<()> = Mutex::new(());

/// A parser with valid inputs to start from.
pub(crate) struct Target {
    /// Its name, also of the folder of its regressions.
    pub(crate) name: &'static str,
    /// Small valid inputs.
    pub(crate) seeds: Vec<Vec<u8>>,
    /// Pieces that inputs of this kind contain.
    pub(crate) words: &'static [&'static str],
    /// Repairs checksums after a change, so that it reaches the parser behind them.
    pub(crate) repair: fn(&mut [u8]),
    /// Parses an input; the folder is empty, and nothing outside of it may be written.
    pub(crate) run: fn(&[u8], &Path),
}

impl Target {
    /// A target without words and checksums.
    pub(crate) fn new(name: &'static str, seeds: Vec<Vec<u8>>, run: fn(&[u8], &Path)) -> Self {
        Self { name, seeds, words: &[], repair: |_| {}, run }
    }

    /// Runs all regressions, and then as many inputs, or inputs for as long, as the variables say.
    ///
    /// # Panics
    /// If an input panics, takes too long or too much memory, or if something is written outside of the folder.
    pub(crate) fn check(&self) {
        if std::env::var("FUZZ_TARGET").is_ok_and(|only| !only.is_empty() && only != self.name) {
            return;
        }
        let setting = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<f64>().ok());
        let first = setting("FUZZ_FIRST").map_or(0, |first| first as u64);
        let (seconds, most) = match (setting("FUZZ_SECONDS"), setting("FUZZ_INPUTS")) {
            (Some(seconds), _) => (seconds, u64::MAX),
            (None, most) => (f64::INFINITY, most.map_or(INPUTS, |most| most as u64)),
        };
        // The memory is that of the process, so one target runs at a time.
        let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
        let watch = Watch::default();
        let counted = std::thread::scope(|scope| {
            let worker = scope.spawn(|| self.work((seconds, most), first, &watch));
            while !worker.is_finished() {
                std::thread::sleep(Duration::from_millis(20));
                if let Some(input) = watch.stuck() {
                    // The thread cannot be stopped, so the process ends.
                    eprintln!("{}: {}", self.name, self.keep(&input, "more than five seconds"));
                    std::process::exit(101);
                }
            }
            worker.join()
        });
        let (regressions, inputs) = counted.unwrap_or_else(|_| panic!("{}: a finding, see above", self.name));
        println!("fuzz {}: {regressions} regressions, {inputs} inputs from {first} on", self.name);
    }

    fn work(&self, (seconds, most): (f64, u64), first: u64, watch: &Watch) -> (usize, u64) {
        let root = tempfile::tempdir().unwrap();
        let scratch = root.path().join("scratch");
        let regressions = self.regressions();
        for (path, bytes) in &regressions {
            println!("fuzz {}: {}", self.name, path.display());
            self.one(bytes, &scratch, watch);
        }
        let start = Instant::now();
        let mut inputs = 0;
        let mut mutator = Mutator::new(self.name, &self.seeds, self.words, self.repair);
        let mut before = address_space();
        while start.elapsed().as_secs_f64() < seconds && inputs < most {
            let recent: Vec<Vec<u8>> = (0..INSPECTED).map(|at| mutator.input(first + inputs + at)).collect();
            for input in &recent {
                self.one(input, &scratch, watch);
            }
            inputs += INSPECTED;
            let after = address_space();
            if after > before + MEMORY {
                recent
                    .iter()
                    .for_each(|input| drop(self.keep(input, "this or one of its neighbours: more than 1 GiB")));
                panic!("{}: more than 1 GiB for one of {INSPECTED} inputs, which were kept", self.name);
            }
            before = before.max(after);
        }
        (regressions.len(), inputs)
    }

    fn one(&self, input: &[u8], scratch: &Path, watch: &Watch) {
        std::fs::create_dir_all(scratch).unwrap();
        // What ends the process, such as memory that cannot be had, leaves this file.
        let current = self.findings().join("current.bin");
        std::fs::create_dir_all(self.findings()).unwrap();
        std::fs::write(&current, input).unwrap();
        watch.begin(input);
        let outcome = std::panic::catch_unwind(AssertUnwindSafe(|| (self.run)(input, scratch)));
        watch.end();
        std::fs::remove_file(&current).unwrap();
        if outcome.is_err() {
            panic!("{}", self.keep(input, "a panic"));
        }
        let beside = std::fs::read_dir(scratch.parent().unwrap()).unwrap().count();
        assert!(beside == 1, "{}", self.keep(input, "a file outside of the folder"));
        if std::fs::read_dir(scratch).unwrap().next().is_some() {
            std::fs::remove_dir_all(scratch).unwrap();
        }
    }

    /// The folder of inputs that fail.
    fn findings(&self) -> PathBuf {
        Path::new(env!("CARGO_TARGET_TMPDIR")).join("fuzz").join(self.name)
    }

    /// Keeps an input and says where.
    fn keep(&self, input: &[u8], what: &str) -> String {
        let file = self.findings().join(format!("{:016x}.bin", mutation::digest(input)));
        std::fs::write(&file, input).unwrap();
        format!("{what} on `{}` ({} bytes)", file.display(), input.len())
    }

    fn regressions(&self) -> Vec<(PathBuf, Vec<u8>)> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/regressions").join(self.name);
        let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
        let mut files: Vec<PathBuf> = entries.map(|entry| entry.path()).collect();
        files.sort();
        files.into_iter().map(|path| (path.clone(), std::fs::read(path).unwrap())).collect()
    }
}

/// The input that is being parsed, and since when.
#[derive(Default)]
struct Watch(Mutex<Option<(Instant, Vec<u8>)>>);

impl Watch {
    fn begin(&self, input: &[u8]) {
        *self.0.lock().unwrap() = Some((Instant::now(), input.to_vec()));
    }

    fn end(&self) {
        *self.0.lock().unwrap() = None;
    }

    fn stuck(&self) -> Option<Vec<u8>> {
        let current = self.0.lock().unwrap();
        current.as_ref().filter(|(since, _)| since.elapsed() > PATIENCE).map(|(_, input)| input.clone())
    }
}

/// The largest address space that the process had, in KiB; 0 where the system does not tell.
fn address_space() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmPeak:"));
    peak.and_then(|text| text.trim().trim_end_matches(" kB").parse().ok()).unwrap_or(0)
}
