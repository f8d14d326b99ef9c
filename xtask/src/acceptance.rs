//! `cargo xtask gpu-acceptance`: runs all tests and measurements that need an NVIDIA card, in order, and prints one summary.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use crate::commands::{run, workspace_root};
use crate::cuda::{card_tests, cuda_cargo, feature, has_card, prepare, target};

const HELP: &str = "\
cargo xtask gpu-acceptance [--device cuda:0] [--results DIR] [--minutes N] [--pytorch COMMAND] [--data SET=DIR ...] [--emulated]

Tests, benchmarks and reference runs on an NVIDIA card, in this order: golden values and lock-step tests; training steps at the
card's sizes, and the same steps in PyTorch if COMMAND is given (it is called with `--device cuda --channels-last 0|1` and has to
print one JSON object per line); Table 1 with the profile `paper`, then Tables 2 and 3 until N minutes have passed in all (default:
60). Finished work is kept: call the same command again to continue. --emulated: runs only the tests, on the emulated card.
";

/// The result of one step.
struct Outcome {
    name: String,
    seconds: f64,
    result: Result<(), String>,
}

struct Plan {
    device: String,
    results: String,
    minutes: f64,
    pytorch: Option<String>,
    data: Vec<(String, String)>,
    is_emulated: bool,
}

impl Plan {
    fn parse(arguments: &[String]) -> Result<Self, String> {
        let mut plan = Self {
            device: "cuda:0".into(),
            results: "results".into(),
            minutes: 60.0,
            pytorch: None,
            data: Vec::new(),
            is_emulated: false,
        };
        let mut rest = arguments.iter();
        while let Some(flag) = rest.next() {
            let mut value = || rest.next().cloned().ok_or_else(|| format!("`{flag}` needs a value\n\n{HELP}"));
            match flag.as_str() {
                "--device" => plan.device = value()?,
                "--results" => plan.results = value()?,
                "--pytorch" => plan.pytorch = Some(value()?),
                "--emulated" => plan.is_emulated = true,
                "--minutes" => {
                    let text = value()?;
                    plan.minutes = text.parse().map_err(|_| format!("`--minutes` is `{text}`: expected a number"))?;
                }
                "--data" => {
                    let text = value()?;
                    let (set, folder) = text
                        .split_once('=')
                        .ok_or_else(|| format!("`--data` is `{text}`: expected SET=DIR, such as mnist=data/mnist"))?;
                    plan.data.push((set.into(), folder.into()));
                }
                other => return Err(format!("unknown flag `{other}`\n\n{HELP}")),
            }
        }
        Ok(plan)
    }
}

pub(crate) fn run_from(arguments: &[String]) -> Result<(), String> {
    if arguments.iter().any(|argument| argument == "--help") {
        print!("{HELP}");
        return Ok(());
    }
    let plan = Plan::parse(arguments)?;
    if !has_card() && !plan.is_emulated {
        return Err("this machine has no NVIDIA driver (no /dev/nvidiactl); use `--emulated` to run only the tests, on the emulated card".into());
    }
    let root = workspace_root();
    let started = Instant::now();
    let mut outcomes = Vec::new();
    let mut step = |name: &str, work: &mut dyn FnMut() -> Result<(), String>| {
        println!("== {name}");
        let begun = Instant::now();
        let result = work();
        outcomes.push(Outcome { name: name.into(), seconds: begun.elapsed().as_secs_f64(), result });
    };
    if has_card() {
        step("card", &mut || run(&mut Command::new("nvidia-smi")));
    }
    step("tests", &mut || run(&mut card_tests(&root, feature()?, plan.is_emulated)?));
    if !plan.is_emulated {
        step("benchmarks", &mut || bench(&root, &plan));
        if let Some(pytorch) = &plan.pytorch {
            for layout in ["0", "1"] {
                step(&format!("PyTorch, channels-last {layout}"), &mut || {
                    let command = format!("{pytorch} --device cuda --channels-last {layout}");
                    run(Command::new("sh").args(["-c", &command]))
                });
            }
        }
        for (table, set) in [("table1", "mnist"), ("table2", "refuge"), ("table3", "hrf-av")] {
            let left = Duration::from_secs_f64(plan.minutes * 60.0).saturating_sub(started.elapsed());
            step(&format!("{table} paper"), &mut || reproduce(&root, &plan, table, set, left));
        }
    }
    summarise(&outcomes, started.elapsed())
}

fn bench(root: &Path, plan: &Plan) -> Result<(), String> {
    let of_bench = format!("mtcool-bench/{}", feature()?);
    let mut bench = cuda_cargo(root)?;
    bench.args(["bench", "--profile", "dev", "--workspace", "--features", &of_bench, "--bench", "training", "--"]);
    run(bench.args(["--json", "--device", &plan.device]))
}

/// Starts or continues a table and stops it when the time `left` has passed.
fn reproduce(root: &Path, plan: &Plan, table: &str, set: &str, left: Duration) -> Result<(), String> {
    if left.is_zero() {
        return Err("no time is left; give more with `--minutes`".into());
    }
    let of_bench = format!("mtcool-bench/{}", feature()?);
    run(cuda_cargo(root)?.args(["build", "--workspace", "--bin", "mtcool", "--locked", "--features", &of_bench]))?;
    let mut program = Command::new(target(root).join("debug/mtcool"));
    prepare(root, &mut program, false)?;
    program.current_dir(root).args(["reproduce", table, "--profile", "paper", "--device", &plan.device]);
    program.args(["--results", &plan.results]);
    if let Some((_, folder)) = plan.data.iter().find(|(name, _)| name == set) {
        program.args(["--data", folder]);
    }
    let mut child = program.spawn().map_err(|error| format!("mtcool could not be started: {error}"))?;
    let started = Instant::now();
    loop {
        match child.try_wait() {
            Ok(Some(status)) if status.success() => return Ok(()),
            Ok(Some(status)) => return Err(format!("mtcool reproduce {table}: {status}")),
            Ok(None) if started.elapsed() < left => std::thread::sleep(Duration::from_millis(200)),
            Ok(None) => {
                // Nothing is lost: finished work is in the checkpoints.
                let _ = child.kill();
                let _ = child.wait();
                return Err("stopped because the time is over; call the same command again to continue".into());
            }
            Err(error) => return Err(format!("mtcool reproduce {table}: {error}")),
        }
    }
}

fn summarise(outcomes: &[Outcome], all: Duration) -> Result<(), String> {
    println!("\n== summary, {:.0} s in all", all.as_secs_f64());
    for Outcome { name, seconds, result } in outcomes {
        match result {
            Ok(()) => println!("ok      {name}: {seconds:.0} s"),
            Err(error) => println!("not ok  {name}: {seconds:.0} s: {error}"),
        }
    }
    match outcomes.iter().filter(|outcome| outcome.result.is_err()).count() {
        0 => Ok(()),
        failed => Err(format!("{failed} of {} steps failed or were stopped", outcomes.len())),
    }
}
