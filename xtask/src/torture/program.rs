//! Processes of the program, with everything that they print kept, and what no process may do.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use super::random::Random;

/// A process that takes longer hangs.
const PATIENCE: Duration = Duration::from_secs(300);

/// A sweep on drawn data.
pub(super) struct Sweep {
    pub(super) experiment: &'static str,
    arguments: Vec<String>,
    /// The executable.
    program: PathBuf,
    /// The working folder, which holds the data.
    pub(super) work: PathBuf,
}

/// A running process.
pub(super) struct Process {
    child: Child,
    said: PathBuf,
}

/// How a process ended.
pub(super) struct End {
    pub(super) status: ExitStatus,
    pub(super) said: String,
}

impl Sweep {
    /// A sweep on drawn digits and one on drawn photographs; each takes seconds.
    pub(super) fn both(program: &Path, work: &Path) -> [Self; 2] {
        let sweep = |experiment: &'static str, methods: &str, seeds: &str, settings: &[&str]| {
            let fixed = ["reproduce", experiment, "--data", "synth", "--methods", methods, "--seeds", seeds];
            // Files with times in them have other bits each time.
            let settings = settings.iter().chain(&["log_times=false"]).flat_map(|setting| ["--set", setting]);
            let arguments = fixed.into_iter().chain(settings).map(str::to_owned).collect();
            Self { experiment, arguments, program: program.to_owned(), work: work.to_owned() }
        };
        let digits = [
            "data.synthetic={ train = 600, test = 100, seed = 1 }",
            "training.batch_size=16",
            "training.epochs=20",
            "method.mtcool.warmup_iterations=5",
            "method.mtcool.inner_iterations=2",
        ];
        let photographs = [
            "data.synthetic={ train = 24, test = 10, seed = 3, shrink = 16 }",
            "data.settings.side=32",
            "network.widths=[4, 8, 16]",
            "network.groups=2",
            "training.epochs=8",
            "method.mtcool.warmup_iterations=2",
        ];
        [sweep("table1", "independent,mtcool,joint", "2", &digits), sweep("table2", "mtcool,joint", "2", &photographs)]
    }

    /// The command that executes the sweep with its results in `results`.
    pub(super) fn command(&self, results: &Path, further: &[&str]) -> Command {
        let mut command = Command::new(&self.program);
        command.current_dir(&self.work).args(&self.arguments).arg("--results").arg(results);
        command.args(["--threads", "1", "--checkpoint-seconds", "0.02"]).args(further);
        command
    }
}

impl Process {
    /// Starts `command`; what it prints goes into files in `work`.
    pub(super) fn start(mut command: Command, work: &Path, random: &mut Random) -> Result<Self, String> {
        let said = work.join(format!("said-{:016x}.txt", random.next()));
        let file = File::create(&said).map_err(|error| format!("`{}`: {error}", said.display()))?;
        for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("MTCOOL_")) {
            command.env_remove(name);
        }
        let command = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(file);
        let child = command.spawn().map_err(|error| format!("`{}`: {error}", command.get_program().display()))?;
        Ok(Self { child, said })
    }

    pub(super) fn is_running(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// Ends the process at once, as a power failure would; returns whether it was still running.
    pub(super) fn kill(mut self) -> Result<bool, String> {
        let was_running = self.is_running();
        self.child.kill().map_err(|error| format!("a process cannot be killed: {error}"))?;
        self.wait()?;
        Ok(was_running)
    }

    /// Sends a signal, such as `TERM`.
    pub(super) fn signal(&self, name: &str) {
        let number = self.child.id().to_string();
        // The process may be over by now.
        let _ = Command::new("kill").args([&format!("-{name}"), &number]).stderr(Stdio::null()).status();
    }

    /// Waits for the end of the process.
    ///
    /// # Errors
    /// If it hangs or panics.
    pub(super) fn wait(mut self) -> Result<End, String> {
        let started = Instant::now();
        let status = loop {
            match self.child.try_wait().map_err(|error| error.to_string())? {
                Some(status) => break status,
                None if started.elapsed() > PATIENCE => {
                    let _ = self.child.kill();
                    return Err(format!("a process hung for {} s: `{}`", PATIENCE.as_secs(), self.said.display()));
                }
                None => std::thread::sleep(Duration::from_millis(2)),
            }
        };
        let said = String::from_utf8_lossy(&fs::read(&self.said).unwrap_or_default()).into_owned();
        if said.contains("panicked") {
            return Err(format!("a panic, in `{}`:\n{said}", self.said.display()));
        }
        let _ = fs::remove_file(&self.said);
        Ok(End { status, said })
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // After an error nothing stays behind, not even a stopped process.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl End {
    /// That the process did its work.
    ///
    /// # Errors
    /// With what it said if it did not.
    pub(super) fn succeeded(&self) -> Result<(), String> {
        if self.status.success() { Ok(()) } else { Err(format!("unexpected: {}\n{}", self.status, self.said)) }
    }

    /// That the process did its work, or ended with an error that contains one of `parts`; returns whether it did its work.
    ///
    /// # Errors
    /// With what it said otherwise.
    pub(super) fn succeeded_or_said(&self, parts: &[&str]) -> Result<bool, String> {
        if self.status.success() {
            return Ok(true);
        }
        match self.status.code() {
            Some(1 | 3) if parts.iter().any(|part| self.said.contains(part)) => Ok(false),
            _ => Err(format!("{}, and none of {parts:?} in:\n{}", self.status, self.said)),
        }
    }
}
