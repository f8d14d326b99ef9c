//! `mtcool sweep`: writes the runs of an experiment as a job array, and submits it to Slurm.

mod script;

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::AtomicUsize;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use candle_core::Device;
use mtcool_ops::open_device;
use sha2::{Digest, Sha256};

use self::script::Script;
use super::experiment::{Ready, checkpoint_interval, planned};
use super::external;
use super::flags::named_runs;
use crate::cli::{self, ConfigFlags, TrainingFlags};
use crate::output::print;
use crate::plan::{Plan, PlannedRun, Seeds, configuring_variables};
use crate::progress::Console;
use crate::record::{create_folder, shell_word, write_whole};
use crate::run::Sweep;
use crate::suite::Registry;

/// Checks the sweep and obtains its data, as `reproduce` does before it trains, writes the script, and submits it if the flags say so.
///
/// # Errors
/// If the experiment or its data is invalid, if a file cannot be written, or if Slurm is missing or refuses the script.
pub(super) fn sweep(registry: &Registry, arguments: &cli::Sweep) -> Result<()> {
    let console = Console::default();
    let (plan, overrides) = planned(registry, &arguments.experiment, &arguments.config)?;
    let on_card = plan.experiment.device != "cpu";
    if on_card && !cfg!(feature = "cuda") {
        open_device(&plan.experiment.device)?;
    }
    checkpoint_interval(&arguments.training)?;
    let Ready { folder, suite, record, runs } = Ready::open(&plan, overrides, &arguments.training.results, &console)?;
    let runs = plan.only(runs, &named_runs(&arguments.config)?)?;
    // The machine that submits a job may have no card; what is checked here does not depend on the device.
    let checked = Sweep {
        plan: &plan,
        runs: &runs,
        suite: suite.as_ref(),
        device: &Device::Cpu,
        folder: &folder.runs(),
        checkpoint_every: Duration::MAX,
        waits: false,
        stop: &AtomicUsize::new(0),
    };
    checked.check()?;
    external::check(&plan, &record.data)?;
    folder.begin_sweep(&record)?;
    match (&arguments.request.gpus, on_card) {
        (Some(gpus), false) => {
            tracing::warn!(
                "`--gpus {gpus}` asks for cards, but the runs compute on the CPU: `--device cuda:0` uses a card"
            );
        }
        (None, true) => {
            tracing::warn!("the runs compute on `{}`: `--gpus 1` asks Slurm for a card", plan.experiment.device);
        }
        _ => {}
    }
    let script = write(&plan, &runs, arguments, &folder.sweeps())?;
    if arguments.slurm { submit(&script) } else { print(&usage(&script)) }
}

/// Writes the script into a folder of its own below `sweeps`. Returns its path.
fn write(plan: &Plan, runs: &[PlannedRun], arguments: &cli::Sweep, sweeps: &Path) -> Result<PathBuf> {
    let runs: Vec<String> = runs.iter().map(|run| format!("{}:{}", run.method.entry.name, run.config.seed)).collect();
    let experiment = &arguments.experiment;
    let results = arguments.training.results.display().to_string();
    let script = Script {
        name: &plan.source.name,
        request: &arguments.request,
        start: &std::env::current_dir().context("the folder in which the program was started")?,
        program: &std::env::current_exe().context("the path of this program")?,
        variables: &configuring_variables()?,
        sweep: &[
            vec![experiment.clone()],
            config_words(plan, &arguments.config),
            vec!["--results".into(), results.clone()],
        ]
        .concat(),
        training: &training_words(&arguments.training),
        has_free_threads: arguments.training.threads.is_none(),
        status: &["status".into(), experiment.clone(), "--results".into(), results],
        runs: &runs,
    };
    // The same command has the same script, and another command writes another one.
    let digest = Sha256::digest(script.text(Path::new("")).as_bytes());
    let digest: String = digest.iter().take(4).map(|byte| format!("{byte:02x}")).collect();
    let folder = sweeps.join(digest);
    create_folder(&folder)?;
    let folder = folder.canonicalize().with_context(|| format!("`{}`", folder.display()))?;
    let path = folder.join("sweep.sh");
    write_whole(&path, script.text(&folder).as_bytes())?;
    Ok(path)
}

/// The flags `config` for the script. Methods and seeds are always named, so that a later change of the experiment's file does not
/// change the sweep, and each element knows the whole sweep.
fn config_words(plan: &Plan, config: &ConfigFlags) -> Vec<String> {
    let ConfigFlags { profile, grid, device, data, overfit, assignments, methods: _, seeds: _, only: _ } = config;
    let seeds = match &plan.experiment.seeds {
        Seeds::Count(count) => count.to_string(),
        Seeds::List(seeds) => seeds.iter().map(|seed| format!("{seed},")).collect(),
    };
    let mut words = Vec::new();
    let mut add = |flag: &str, value: &str| words.extend([flag.to_owned(), value.to_owned()]);
    let named = [("--profile", profile), ("--device", device), ("--data", data)];
    for (flag, value) in named.into_iter().filter_map(|(flag, value)| Some((flag, value.as_ref()?))) {
        add(flag, value);
    }
    if let Some(count) = overfit {
        add("--overfit", &count.to_string());
    }
    add("--methods", &plan.experiment.methods.join(","));
    add("--seeds", &seeds);
    for (flag, values) in [("--grid", grid), ("--set", assignments)] {
        values.iter().for_each(|value| add(flag, value));
    }
    words
}

/// The flags `training` for the script, except for the folder of results.
fn training_words(training: &TrainingFlags) -> Vec<String> {
    let threads = training.threads.iter().flat_map(|threads| ["--threads".to_owned(), threads.to_string()]);
    threads.chain(["--checkpoint-seconds".to_owned(), training.checkpoint_seconds.to_string()]).collect()
}

/// Has the script submit itself.
fn submit(script: &Path) -> Result<()> {
    let known = Command::new("sbatch").arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
    let is_missing = known.as_ref().is_err_and(|error| error.kind() == ErrorKind::NotFound);
    ensure!(
        !is_missing,
        "`sbatch` was not found, so that nothing was submitted: this machine has no Slurm, or its folder is not in `PATH`. {}",
        usage(script).trim_end()
    );
    let status = Command::new("bash").arg(script).arg("submit").status().context("bash")?;
    ensure!(
        status.success(),
        "Slurm did not take the job ({status}; its message stands above). `{}` is written: change its lines `#SBATCH`, or the flags of \
         this command",
        script.display()
    );
    print(&format!("The script: {}\n", script.display()))
}

/// How `script` is used.
fn usage(script: &Path) -> String {
    let script = shell_word(&script.to_string_lossy());
    format!(
        "The script is written:\n  bash {script} submit    gives it to Slurm, on a machine that has `sbatch`\n  bash {script}    executes it \
         here, one element after the other\n"
    )
}
