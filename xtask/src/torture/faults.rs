//! The faults, one after the other at random, until a sweep is complete.

use std::fmt;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use super::disk::{Disk, cover, date_at_random, unmount};
use super::program::{Process, Sweep};
use super::random::Random;

/// What was done, and what came of it.
#[derive(Debug, Default)]
pub(super) struct Figures {
    pub(super) processes: u64,
    /// Kills that met a running process.
    pub(super) kills: u64,
    /// Signals that a process answered by a checkpoint and its exit status.
    pub(super) stops: u64,
    /// Processes that a full disk or a limit on files ended.
    pub(super) full_disks: u64,
    /// Processes that a read-only folder ended.
    pub(super) read_only: u64,
    /// Files with another date.
    pub(super) dated: u64,
    /// Times that two processes and a third one shared a sweep.
    pub(super) shared: u64,
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { processes, kills, stops, full_disks, read_only, dated, shared } = self;
        write!(
            f,
            "{processes} processes, {kills} kills, {stops} signals, {full_disks} full disks, {read_only} read-only folders, {dated} \
             dates of files, {shared} times three processes at once"
        )
    }
}

/// The least size of a file under a limit, in blocks of 512 bytes: more than a process says before it ends.
const ROOM_FOR_MESSAGES: u64 = 32;

/// Does the faults.
pub(super) struct Torturer<'a> {
    disk: &'a Disk,
    pub(super) random: Random,
    pub(super) figures: Figures,
}

impl<'a> Torturer<'a> {
    pub(super) fn new(disk: &'a Disk, random: Random) -> Self {
        Self { disk, random, figures: Figures::default() }
    }

    /// Disturbs processes of `sweep`, which takes about `length`, until one of them ends with everything done.
    ///
    /// # Errors
    /// If a process panics, hangs, or ends with an error that its fault does not explain.
    pub(super) fn until_complete(&mut self, sweep: &Sweep, results: &Path, length: Duration) -> Result<(), String> {
        let mut is_complete = false;
        while !is_complete {
            is_complete = match self.random.below(8) {
                0..=2 => self.kill(sweep, results, length)?,
                3 => self.stop(sweep, results, length)?,
                4 => self.share(sweep, results, length)?,
                5 if self.disk.is_mounted() => self.fill(sweep, results)?,
                5 | 6 => self.limit(sweep, results)?,
                _ => self.close(sweep, results, length)?,
            };
        }
        // The table of the complete sweep, whatever happened while it was written.
        self.start(sweep.command(results, &["--wait"]), sweep)?.wait()?.succeeded()
    }

    fn start(&mut self, command: Command, sweep: &Sweep) -> Result<Process, String> {
        self.figures.processes += 1;
        Process::start(command, &sweep.work, &mut self.random)
    }

    /// A share of the sweep's length: on average ten such moments complete it.
    fn moment(&mut self, length: Duration) -> Duration {
        self.random.moment(length.mul_f64(0.2))
    }

    /// Kills a process while files get other dates.
    fn kill(&mut self, sweep: &Sweep, results: &Path, length: Duration) -> Result<bool, String> {
        let process = self.start(sweep.command(results, &[]), sweep)?;
        for _ in 0..2 {
            std::thread::sleep(self.moment(length) / 2);
            self.figures.dated += date_at_random(results, &mut self.random) as u64;
        }
        self.end(process)
    }

    /// Kills a process; returns whether it was over.
    fn end(&mut self, process: Process) -> Result<bool, String> {
        let was_running = process.kill()?;
        self.figures.kills += u64::from(was_running);
        Ok(!was_running)
    }

    /// Sends Ctrl-C or the signal to terminate.
    fn stop(&mut self, sweep: &Sweep, results: &Path, length: Duration) -> Result<bool, String> {
        let process = self.start(sweep.command(results, &[]), sweep)?;
        std::thread::sleep(self.moment(length));
        let (name, status) = if self.random.below(2) == 0 { ("INT", 130) } else { ("TERM", 75) };
        process.signal(name);
        let end = process.wait()?;
        match end.status.code() {
            Some(0) => Ok(true),
            Some(code) if code == status => {
                self.figures.stops += 1;
                Ok(false)
            }
            // The signal came before the process began to train.
            None => Ok(false),
            Some(code) => Err(format!("{name} ended a process with status {code}, not {status}:\n{}", end.said)),
        }
    }

    /// Two processes and a third one that comes late; each is killed at some moment.
    fn share(&mut self, sweep: &Sweep, results: &Path, length: Duration) -> Result<bool, String> {
        self.figures.shared += 1;
        let mut processes = Vec::new();
        for _ in 0..3 {
            processes.push(self.start(sweep.command(results, &["--wait"]), sweep)?);
            std::thread::sleep(self.moment(length) / 3);
        }
        let mut is_complete = false;
        while !processes.is_empty() {
            let next = self.random.below(processes.len() as u64) as usize;
            is_complete |= self.end(processes.swap_remove(next))?;
            std::thread::sleep(self.moment(length) / 3);
        }
        Ok(is_complete)
    }

    /// Leaves up to 200 KiB on the disk, for the whole time of a process or from some moment on.
    fn fill(&mut self, sweep: &Sweep, results: &Path) -> Result<bool, String> {
        let is_early = self.random.below(2) == 0;
        let left = self.random.below(200 << 10);
        if is_early {
            self.disk.fill(left)?;
        }
        let process = self.start(sweep.command(results, &[]), sweep)?;
        if !is_early {
            std::thread::sleep(self.random.moment(Duration::from_secs(2)));
            self.disk.fill(left)?;
        }
        let end = process.wait()?;
        self.disk.empty();
        let is_done = end.succeeded_or_said(&["there is no room left"])?;
        self.figures.full_disks += u64::from(!is_done);
        Ok(is_done)
    }

    /// Limits the size of a process's files, as a quota would.
    fn limit(&mut self, sweep: &Sweep, results: &Path) -> Result<bool, String> {
        let program = sweep.command(results, &[]);
        let mut limited = Command::new("sh");
        // What the process says goes to a file as well, which needs room for the error at its end.
        let blocks = ROOM_FOR_MESSAGES + self.random.below(400);
        let script = format!("trap '' XFSZ; ulimit -f {blocks}; exec \"$0\" \"$@\"");
        limited.current_dir(&sweep.work).args(["-c", &script]).arg(program.get_program()).args(program.get_args());
        let end = self.start(limited, sweep)?.wait()?;
        let is_done = end.succeeded_or_said(&["there is no room left"])?;
        self.figures.full_disks += u64::from(!is_done);
        Ok(is_done)
    }

    /// Makes the results read-only, before a process starts or while it runs.
    fn close(&mut self, sweep: &Sweep, results: &Path, length: Duration) -> Result<bool, String> {
        if !self.disk.is_mounted() {
            return Ok(false);
        }
        let is_early = self.random.below(2) == 0;
        let is_done = if is_early && self.disk.set_read_only(true) {
            let end = self.start(sweep.command(results, &[]), sweep)?.wait()?;
            if !self.disk.set_read_only(false) {
                return Err("the file system cannot be made writable again".into());
            }
            end.succeeded_or_said(&["read-only"])?
        } else {
            let process = self.start(sweep.command(results, &[]), sweep)?;
            std::thread::sleep(self.moment(length));
            // Files are open for writing, so the file system stays; another one hides the runs.
            let runs = results.join(sweep.experiment).join("runs");
            let is_covered = runs.is_dir() && cover(&runs);
            let end = process.wait();
            if is_covered {
                unmount(&runs);
            }
            end?.succeeded_or_said(&["cannot ", "`runs` "])?
        };
        self.figures.read_only += u64::from(!is_done);
        // What was done before the runs were hidden may be incomplete, whatever the process says.
        Ok(is_done && is_early)
    }
}
