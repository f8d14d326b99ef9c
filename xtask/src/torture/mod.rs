//! `cargo xtask torture`: sweeps that are killed, stopped, starved of disk space and started several times at once, until their results
//! are complete; these are then compared with those of an undisturbed sweep, file by file.

mod compare;
mod disk;
mod faults;
mod machines;
mod program;
mod random;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

use crate::commands::{cargo, run, say, target_folder, workspace_root};
use compare::{Compared, compare};
use disk::Disk;
use faults::Torturer;
use program::{Process, Sweep};
use random::Random;

const HELP: &str = "\
cargo xtask torture [--kills N] [--minutes N] [--seed N]

Sweeps on drawn digits and drawn photographs under random kills, signals, full disks, read-only folders, jumping clocks and several
processes at once. In the end all results must be those of an undisturbed sweep, to the bit.

  --kills N     number of kills that must meet a running process, by default 100
  --minutes N   end after this time, with fewer kills if need be; by default 60
  --seed N      the seed of all faults; by default another one each time

What needs the rights of root (a small disk, another machine) is left out with a line without them. The variable MTCOOL_PROGRAM names
another executable than the one that cargo builds.
";

/// The arguments.
struct Request {
    kills: u64,
    time: Duration,
    seed: u64,
}

/// Runs the command.
///
/// # Errors
/// If an argument is wrong, or at the first finding; the files are kept.
pub(crate) fn run_from(arguments: &[String]) -> Result<(), String> {
    if arguments.iter().any(|argument| ["--help", "-h"].contains(&argument.as_str())) {
        say(HELP);
        return Ok(());
    }
    let request = Request::parse(arguments)?;
    let program = match std::env::var_os("MTCOOL_PROGRAM") {
        Some(program) => program.into(),
        None => built()?,
    };
    let work = std::env::temp_dir().join(format!("mtcool-torture-{}", std::process::id()));
    fs::create_dir_all(&work).map_err(|error| format!("`{}`: {error}", work.display()))?;
    say(&format!("seed {}, in `{}`", request.seed, work.display()));
    torture(&request, &absolute(&program)?, &absolute(&work)?)?;
    fs::remove_dir_all(&work).map_err(|error| format!("`{}`: {error}", work.display()))
}

/// The program, built as for all other commands.
fn built() -> Result<PathBuf, String> {
    let root = workspace_root();
    run(cargo(&root).args(["build", "--workspace", "--bin", "mtcool"]))?;
    Ok(target_folder(&root).join("debug").join(format!("mtcool{}", std::env::consts::EXE_SUFFIX)))
}

impl Request {
    fn parse(arguments: &[String]) -> Result<Self, String> {
        let now = SystemTime::UNIX_EPOCH.elapsed().map_or(1, |time| time.as_secs());
        let mut request = Self { kills: 100, time: Duration::from_secs(3600), seed: now };
        let mut rest = arguments.iter();
        while let Some(flag) = rest.next() {
            let known = ["--kills", "--minutes", "--seed"].contains(&flag.as_str());
            let text = known.then(|| rest.next()).flatten().ok_or_else(|| format!("unexpected `{flag}`\n\n{HELP}"))?;
            let number = text.parse::<u32>().map_err(|_| format!("`{flag}` is `{text}`: expected a whole number"))?;
            match flag.as_str() {
                "--kills" => request.kills = number.into(),
                "--minutes" => request.time = Duration::from_secs(60 * u64::from(number)),
                _ => request.seed = number.into(),
            }
        }
        Ok(request)
    }
}

fn absolute(path: &Path) -> Result<PathBuf, String> {
    path.canonicalize().map_err(|error| format!("`{}`: {error}", path.display()))
}

fn torture(request: &Request, program: &Path, work: &Path) -> Result<(), String> {
    let started = Instant::now();
    let mut random = Random::new(request.seed);
    let disk = Disk::new(work)?;
    if !disk.is_mounted() {
        say("left out, since nothing can be mounted here: full disks and read-only folders");
    }
    let sweeps = Sweep::both(program, work);
    let mut lengths = Vec::new();
    for sweep in &sweeps {
        // The first process also draws the data, so the second one tells the length of the sweep.
        for results in ["whole", "again"] {
            let begun = Instant::now();
            undisturbed(sweep, &work.join(results), &mut random)?;
            lengths.push(begun.elapsed());
        }
        let compared = compare(&of(sweep, &work.join("whole")), &of(sweep, &work.join("again")))?;
        checked(sweep, "undisturbed twice", &compared)?;
    }
    let lengths = [lengths[1], lengths[3]];
    say(&format!("undisturbed, the sweeps take {lengths:.1?}"));
    let mut torturer = Torturer::new(&disk, random);
    let (mut rounds, mut files, mut bytes) = (0, 0, 0);
    while torturer.figures.kills < request.kills && started.elapsed() < request.time {
        for (sweep, length) in sweeps.iter().zip(lengths) {
            let results = disk.path().join("results");
            // A full file system may refuse even this.
            disk.empty();
            let _ = fs::remove_dir_all(&results);
            torturer.until_complete(sweep, &results, length)?;
            let compared = compare(&of(sweep, &work.join("whole")), &of(sweep, &results))?;
            checked(sweep, &format!("round {rounds}, {}", torturer.figures), &compared)?;
            (files, bytes) = (files + compared.files, bytes + compared.bytes);
        }
        rounds += 1;
    }
    let figures = torturer.figures.to_string();
    let machines = machines::torture(&sweeps[0], work, &mut torturer.random)?;
    say(&format!(
        "{figures}\n{machines}\n{rounds} rounds of two sweeps; compared with undisturbed ones: {files} files, {bytes} bytes; bits changed: 0"
    ));
    Ok(())
}

/// The folder of the sweep's experiment in `results`.
fn of(sweep: &Sweep, results: &Path) -> PathBuf {
    results.join(sweep.experiment)
}

fn undisturbed(sweep: &Sweep, results: &Path, random: &mut Random) -> Result<(), String> {
    Process::start(sweep.command(results, &[]), &sweep.work, random)?.wait()?.succeeded()
}

/// Tells what was compared.
///
/// # Errors
/// If there is a difference.
fn checked(sweep: &Sweep, what: &str, compared: &Compared) -> Result<(), String> {
    let Compared { files, bytes, but_for_times, not_compared, differences } = compared;
    if !differences.is_empty() {
        return Err(format!("{}, {what}: the results differ:\n{}", sweep.experiment, differences.join("\n")));
    }
    say(&format!(
        "{}, {what}: {files} files with {bytes} bytes are the same, {but_for_times} but for times, {not_compared} are full of times",
        sweep.experiment
    ));
    Ok(())
}
