//! Two machines that share a results folder: processes with another host name and network, as the kernel can give them.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use super::compare::compare;
use super::disk::unmount;
use super::program::{Process, Sweep};
use super::random::Random;

/// A lease ends this time after the last sign of life of a process on another machine (60 s), and not before it was watched (12 s).
const AGE: Duration = Duration::from_secs(60);
const LATEST: Duration = Duration::from_secs(60 + 12 + 20);

/// Stops a process on another machine for longer than its lease, and lets it go on when this machine has taken its runs. Returns what was
/// seen.
///
/// # Errors
/// If a run is taken too early or too late, or if a bit changes.
pub(super) fn torture(sweep: &Sweep, work: &Path, random: &mut Random) -> Result<String, String> {
    if !can_pretend() {
        return Ok("left out, since no other machine can be pretended here: leases between machines".into());
    }
    let (results, mount) = (work.join("machines"), Mount::again(&work.join("machines"), &work.join("mounted"))?);
    let seen = mount.as_ref().map_or(&results, |mount| &mount.at);
    let other = Process::start(elsewhere(&sweep.command(seen, &["--wait"])), work, random)?;
    let runs = results.join(sweep.experiment).join("runs");
    let begun = Instant::now();
    // A checkpoint, so that there is something to continue.
    while !has_checkpoint(&runs) && begun.elapsed() < Duration::from_secs(60) {
        std::thread::sleep(Duration::from_millis(1));
    }
    other.signal("STOP");
    let stopped = Instant::now();
    // The machine's other runs are free, the stopped one is not.
    let end = Process::start(sweep.command(&results, &[]), work, random)?.wait()?;
    if end.status.code() != Some(3) || stopped.elapsed() > AGE {
        return Err(format!(
            "a living machine's run was taken, or its lease was not told: {}\n{}",
            end.status, end.said
        ));
    }
    let end = Process::start(sweep.command(&results, &["--wait"]), work, random)?.wait()?;
    end.succeeded()?;
    let taken_over = stopped.elapsed();
    if !(AGE..LATEST).contains(&taken_over) {
        return Err(format!("the run of a stopped machine was complete after {taken_over:?}"));
    }
    other.signal("CONT");
    let end = other.wait()?;
    let has_noticed = end.said.contains("has taken over");
    if !has_noticed {
        return Err(format!("a machine that returned did not notice that its run was taken:\n{}", end.said));
    }
    end.succeeded()?;
    let compared = compare(&work.join("whole").join(sweep.experiment), &results.join(sweep.experiment))?;
    if !compared.differences.is_empty() {
        return Err(format!("two machines, other results:\n{}", compared.differences.join("\n")));
    }
    let own = if mount.is_some() { "host name, network, mount and locks" } else { "host name and network" };
    Ok(format!(
        "another machine (own {own}), stopped: its run was respected at first, taken and complete after {:.0} s, and left alone by the \
         machine when it returned; {} files are the same",
        taken_over.as_secs_f64(),
        compared.files
    ))
}

/// A folder that is mounted a second time by `bindfs`, with locks and caches of its own as on another machine.
struct Mount {
    at: PathBuf,
}

impl Mount {
    /// Mounts `folder` at `at`; both are created. `None` without `bindfs`.
    fn again(folder: &Path, at: &Path) -> Result<Option<Self>, String> {
        for path in [folder, at] {
            std::fs::create_dir_all(path).map_err(|error| format!("`{}`: {error}", path.display()))?;
        }
        let mut command = Command::new("bindfs");
        command.arg(folder).arg(at).stdout(Stdio::null()).stderr(Stdio::null());
        Ok(command.status().is_ok_and(|status| status.success()).then(|| Self { at: at.to_owned() }))
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        unmount(&self.at);
    }
}

/// Whether a process may get another host name.
fn can_pretend() -> bool {
    let mut command = Command::new("unshare");
    command.args(["--uts", "--net", "hostname", "elsewhere"]).stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

/// `command` in a network and with a host name of its own.
fn elsewhere(command: &Command) -> Command {
    let mut wrapped = Command::new("unshare");
    wrapped.args(["--uts", "--net", "sh", "-c", "hostname elsewhere && exec \"$0\" \"$@\""]);
    wrapped.arg(command.get_program()).args(command.get_args());
    if let Some(folder) = command.get_current_dir() {
        wrapped.current_dir(folder);
    }
    wrapped
}

fn has_checkpoint(runs: &Path) -> bool {
    let folders = std::fs::read_dir(runs).into_iter().flatten().flatten();
    let is_checkpoint = |entry: std::fs::DirEntry| entry.file_name().to_string_lossy().starts_with("step-");
    folders
        .flat_map(|run| std::fs::read_dir(run.path().join("checkpoints")).into_iter().flatten().flatten())
        .any(is_checkpoint)
}
