//! What the benchmarks have in common: their flags, and a training whose batches stay the same.

#![allow(dead_code, unreachable_pub, reason = "each benchmark uses a part")]

use candle_core::{DType, Device, Tensor};
use mtcool_core::random::{Purpose, stream, uniform};
use mtcool_core::{Batch, BatchSource, Method, Parameters, Problem, Result, Step};

/// The command line of a benchmark.
pub struct Arguments(Vec<String>);

impl Arguments {
    /// Those of this process. `--bench` is cargo's.
    pub fn of_process() -> Self {
        Self(std::env::args().skip(1).filter(|argument| argument != "--bench").collect())
    }

    /// Whether `text` is one of them.
    pub fn has(&self, text: &str) -> bool {
        self.0.iter().any(|argument| argument == text)
    }

    /// The text after `flag`.
    pub fn value(&self, flag: &str) -> Option<String> {
        self.0.iter().position(|argument| argument == flag).map(|at| self.0[at + 1].clone())
    }

    /// The number after `flag`.
    pub fn number<T: std::str::FromStr>(&self, flag: &str) -> Option<T> {
        let parse = |text: String| text.parse().unwrap_or_else(|_| panic!("{flag} takes a number"));
        self.value(flag).map(parse)
    }

    /// The number of threads: `--threads`, or one per core.
    pub fn threads(&self) -> usize {
        self.number("--threads").unwrap_or_else(|| std::thread::available_parallelism().map_or(1, usize::from))
    }

    /// All of them that are no flags: names, and the values of flags.
    pub fn words(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(String::as_str).filter(|argument| !argument.starts_with("--"))
    }
}

/// Makes the global thread pool one of `threads` threads.
pub fn use_threads(threads: usize) {
    rayon::ThreadPoolBuilder::new().num_threads(threads).build_global().unwrap();
}

/// A batch source that returns the same batch of a task every time.
pub struct Fixed(pub Vec<Batch>);

impl BatchSource for Fixed {
    fn next(&mut self, task: usize) -> Result<Batch> {
        Ok(self.0[task].clone())
    }
}

/// A training of a problem by a method.
pub struct Training {
    pub problem: Problem,
    pub parameters: Parameters,
    pub method: Box<dyn Method>,
    pub batches: Fixed,
}

impl Training {
    /// From the initial parameters of the seed 0, with a batch per task.
    pub fn new(problem: Problem, method: Box<dyn Method>, batches: Vec<Batch>) -> Self {
        let parameters = problem.network().initial_parameters(0, DType::F32, &Device::Cpu).unwrap();
        Self { problem, parameters, method, batches: Fixed(batches) }
    }

    /// One step, which waits for its losses.
    pub fn step(&mut self) {
        let Self { problem, parameters, method, batches } = self;
        method.step(Step { problem, parameters, batches, progress: 0.0 }).unwrap().check_finite().unwrap();
    }
}

/// Random images of `shape` for task `task`, with the range of normalised digits.
pub fn images(task: usize, shape: &[usize]) -> Tensor {
    let mut generator = stream(0, Purpose::Method, [task as u32, 0, 0, 0], "images");
    uniform(&mut generator, 1.7, &shape.to_vec().into(), DType::F32, &Device::Cpu).unwrap()
}

/// The middle one of `times`.
pub fn median(mut times: Vec<f64>) -> f64 {
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}

/// The peak of this process's resident memory in MiB, if the system reports it.
pub fn peak_rss_mib() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    Some(line.trim().trim_end_matches("kB").trim().parse::<u64>().ok()? / 1024)
}
