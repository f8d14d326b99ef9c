//! `cargo xtask`: builds and calls the `mtcool` program, runs the checks. It depends on no other crate, so it compiles in
//! seconds.

mod acceptance;
mod check;
mod cuda;
mod tidy;

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

const HELP: &str = "\
cargo xtask COMMAND

  reproduce EXPERIMENT [FLAGS]     train every method of a table, resuming what was begun, and print it
  report EXPERIMENT                write and print the table again from the runs that are finished
  predict --checkpoint RUN IMAGE   masks and probabilities for photographs of your own
  data fetch|synth|verify SET      get or check a data set
  methods                          list the methods
  bench [--json] [CASE ...]        time training steps, operations and methods, or cases named; --json: one line a case
  check [--fast|--cuda]            format, tidiness, lints, docs, tests; --fast leaves out docs and tests; --cuda: lints and
                                   tests of the build for NVIDIA cards, on a card or on the emulated one
  cuda-toolkit                     gets what a build for NVIDIA cards needs, where the system has no toolkit
  gpu-acceptance [--help]          tests, benchmarks and tables on an NVIDIA card, in order, with one summary

`cargo xtask reproduce --help` and the like show the flags of each.
";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let result = match arguments.first().map(String::as_str) {
        Some("reproduce" | "report" | "predict" | "data" | "methods") => mtcool(&arguments),
        Some("bench") => bench(&arguments[1..]),
        Some("check") => check::run_from(&arguments[1..]),
        Some("cuda-toolkit") => cuda::fetch_toolkit(&arguments[1..]),
        Some("gpu-acceptance") => acceptance::run_from(&arguments[1..]),
        Some("help" | "--help" | "-h") | None => {
            print!("{HELP}");
            Ok(())
        }
        Some(other) => Err(format!("unknown command `{other}`\n\n{HELP}")),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("error: {message}");
            ExitCode::FAILURE
        }
    }
}

/// Builds the program as part of the whole workspace, so that it shares every compiled dependency with the tests, and runs it;
/// for a card if the arguments name one.
fn mtcool(arguments: &[String]) -> Result<(), String> {
    let root = workspace_root();
    if cuda::is_wanted(arguments) {
        let of_bench = format!("mtcool-bench/{}", cuda::feature()?);
        run(cuda::cuda_cargo(&root)?.args(["build", "--workspace", "--bin", "mtcool", "--features", &of_bench]))?;
        let mut program = Command::new(cuda::target(&root).join("debug/mtcool"));
        cuda::prepare(&root, &mut program, false)?;
        return run(program.args(arguments));
    }
    run(cargo(&root).args(["build", "--workspace", "--bin", "mtcool"]))?;
    let program = target_folder(&root).join("debug").join(format!("mtcool{}", std::env::consts::EXE_SUFFIX));
    run(Command::new(program).args(arguments))
}

/// In the profile of everything else: kernels and dependencies are optimised there, and nothing is built twice.
/// Runs the benches that the arguments name cases of, or all of them.
fn bench(arguments: &[String]) -> Result<(), String> {
    let is_value = |at: usize| at > 0 && ["--seconds", "--threads", "--device"].contains(&arguments[at - 1].as_str());
    let numbered = arguments.iter().enumerate();
    let (flags, names): (Vec<_>, Vec<_>) = numbered.partition(|&(at, word)| word.starts_with("--") || is_value(at));
    let bench_of = |name: &str| match name {
        "training" | "operations" | "methods" => name.to_owned(),
        case if case.starts_with("lenet_") || case.starts_with("unet_") => "training".to_owned(),
        _ => "methods".to_owned(),
    };
    let root = workspace_root();
    // On a card, training steps are what is compared.
    let benches = if cuda::is_wanted(arguments) { &["training"][..] } else { &["training", "operations", "methods"] };
    for bench in benches.iter().copied() {
        let own: Vec<&String> = names.iter().map(|&(_, name)| name).filter(|name| bench_of(name) == bench).collect();
        if names.is_empty() || !own.is_empty() {
            let cases = own.into_iter().filter(|name| *name != bench);
            let flags = flags.iter().map(|&(_, flag)| flag);
            let mut command = cargo(&root);
            let mut features = Vec::new();
            if cuda::is_wanted(arguments) {
                command = cuda::cuda_cargo(&root)?;
                features = vec!["--features".to_owned(), format!("mtcool-bench/{}", cuda::feature()?)];
            }
            command.args(["bench", "--profile", "dev", "--workspace"]).args(features).args(["--bench", bench, "--"]);
            run(command.args(flags.chain(cases)))?;
        }
    }
    Ok(())
}

/// The folder that holds the workspace's `Cargo.toml`.
pub(crate) fn workspace_root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap_or(Path::new(".")).to_owned()
}

pub(crate) fn target_folder(root: &Path) -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), PathBuf::from)
}

/// Cargo, in the workspace's root.
pub(crate) fn cargo(root: &Path) -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(root);
    command
}

/// Runs a command; its failure becomes a message.
pub(crate) fn run(command: &mut Command) -> Result<(), String> {
    let shown = format!(
        "{} {}",
        command.get_program().to_string_lossy(),
        command.get_args().map(|a| a.to_string_lossy()).collect::<Vec<_>>().join(" ")
    );
    match command.status() {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(format!("`{shown}` failed: {status}")),
        Err(error) => Err(format!("`{shown}` could not be started: {error}")),
    }
}
