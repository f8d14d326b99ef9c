//! `cargo xtask`: builds and calls the `mtcool` program and runs the checks. It depends on no other crate and therefore compiles
//! in seconds.

// A closed pipe ends these macros with a panic; `commands` prints without one.
#![warn(clippy::print_stdout, clippy::print_stderr)]

mod acceptance;
mod check;
mod commands;
mod cuda;
mod first_build;
mod fuzz;
mod pack;
mod package;
mod tidy;
mod torture;

use std::process::{Command, ExitCode};

use commands::{cargo, complain, run, say, target_folder, workspace_root};

const HELP: &str = "\
cargo xtask COMMAND

  reproduce EXPERIMENT [FLAGS]     train every method of a table, continue interrupted runs, and print the table
  sweep EXPERIMENT [FLAGS]         write the runs of a table as a job array for Slurm, and submit it with --slurm
  report EXPERIMENT                write and print the table again from the finished runs
  search EXPERIMENT [FLAGS]        find good settings of the methods by the validation split
  flatness EXPERIMENT              measure how much the losses of finished runs rise when their weights are moved at random
  status EXPERIMENT                show what is done, running, waiting, interrupted and failed
  runs [verify|rm] EXPERIMENT      list the runs with the settings that differ, check their files, or remove some
  compare [EXPERIMENT] A B         compare two runs, rows or configurations
  predict --run RUN IMAGE          write masks and probabilities for your own photographs
  export --run RUN FILE.onnx       write the network of a finished run into a file for other programs
  evaluate --run RUN --data DIR    measure finished runs on a labelled folder that they were not trained on
  data fetch|synth|verify SET      get or check a data set
  methods                          list the methods
  cite [EXPERIMENT|RUN]            print the papers to cite
  completions SHELL, man DIR       scripts for shells and manual pages of the installed program
  bench [--json] [CASE ...]        time training steps, operations and methods, and the memory for many tasks, or only the
                                   named cases; --json: one line per case
  check [--fast|--cuda]            check format, tidiness, lints, docs and tests; --fast leaves out docs and tests; --cuda: lints
                                   and tests of the build for NVIDIA cards, on a card or on the emulated one
  fuzz [TARGET] [--minutes N]      feed the parsers with damaged files, a minute for each unless told otherwise
  torture [--kills N] [--minutes N]  disturb sweeps by kills, signals, full disks and more, and compare their results to the bit
  tidy [FOLDER]                    check what no compiler checks, in a second: sizes of files, dependencies, circles of modules
  package [FLAGS]                  package all crates, and build each from its package alone, before they are published
  cuda-toolkit                     fetch the compiler and libraries for NVIDIA cards if the system has no toolkit
  pack [--help] OUT                 put programs, tests and benchmarks into a folder and an archive for a machine without Rust
  gpu-acceptance [--help]          a pack for this machine's card, and all its tests, benchmarks and tables

`cargo xtask COMMAND --help` shows the flags of the commands before `bench`.
";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let result = match arguments.first().map(String::as_str) {
        Some(
            "reproduce" | "sweep" | "report" | "search" | "flatness" | "predict" | "export" | "evaluate" | "data"
            | "methods" | "runs" | "compare" | "status" | "cite" | "completions" | "man",
        ) => mtcool(&arguments),
        Some("bench") => bench(&arguments[1..]),
        Some("tidy") => tidy::run_from(&arguments[1..]),
        Some("fuzz") => fuzz::run_from(&arguments[1..]),
        Some("torture") => torture::run_from(&arguments[1..]),
        Some("check") => check::run_from(&arguments[1..]),
        Some("cuda-toolkit") => cuda::fetch_toolkit(&arguments[1..]),
        Some("pack") => pack::run_from(&arguments[1..]),
        Some("package") => package::run_from(&arguments[1..]),
        Some("gpu-acceptance") => acceptance::run_from(&arguments[1..]),
        Some("help" | "--help" | "-h") | None => {
            say(HELP);
            Ok(())
        }
        Some(other) => Err(format!("unknown command `{other}`\n\n{HELP}")),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            complain(&format!("error: {message}"));
            ExitCode::FAILURE
        }
    }
}

/// Builds the program, with support for cards if the arguments name one, and runs it. The build selects the whole workspace, so
/// that the program shares every compiled dependency with the tests.
fn mtcool(arguments: &[String]) -> Result<(), String> {
    let root = workspace_root();
    if cuda::is_wanted(arguments) {
        first_build::announce(&cuda::target(&root), "about 18 minutes on two cores, and 2 GB");
        let of_bench = format!("mtcool-bench/{}", cuda::feature()?);
        run(cuda::cuda_cargo(&root)?.args(["build", "--workspace", "--bin", "mtcool", "--features", &of_bench]))?;
        let mut program = Command::new(cuda::target(&root).join("debug/mtcool"));
        cuda::prepare(&root, &mut program, false)?;
        return run(program.args(arguments));
    }
    first_build::announce(&target_folder(&root), first_build::USUAL);
    run(cargo(&root).args(["build", "--workspace", "--bin", "mtcool"]))?;
    let program = target_folder(&root).join("debug").join(format!("mtcool{}", std::env::consts::EXE_SUFFIX));
    run(Command::new(program).args(arguments))
}

/// Runs the benches of the named cases, or all benches. They use the profile `dev`: kernels and dependencies are optimised in it,
/// and nothing has to be compiled a second time.
fn bench(arguments: &[String]) -> Result<(), String> {
    let is_value = |at: usize| {
        at > 0 && ["--seconds", "--threads", "--recompute", "--device"].contains(&arguments[at - 1].as_str())
    };
    let numbered = arguments.iter().enumerate();
    let (flags, names): (Vec<_>, Vec<_>) = numbered.partition(|&(at, word)| word.starts_with("--") || is_value(at));
    let bench_of = |name: &str| match name {
        "training" | "operations" | "methods" | "costs" => name.to_owned(),
        case if case.starts_with("costs_") => "costs".to_owned(),
        case if case.starts_with("lenet_") || case.starts_with("unet_") => "training".to_owned(),
        _ => "methods".to_owned(),
    };
    let root = workspace_root();
    // On a card only the training steps are compared.
    let benches =
        if cuda::is_wanted(arguments) { &["training"][..] } else { &["training", "operations", "methods", "costs"] };
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
