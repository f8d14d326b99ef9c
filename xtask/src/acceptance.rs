//! `cargo xtask gpu-acceptance`: a pack for this machine's card, and all of its steps.

use std::path::PathBuf;
use std::process::Command;

use crate::commands::{run, say, target_folder, workspace_root};
use crate::cuda::{has_card, stubs};
use crate::pack::{Plan, Program, Target, build};

const HELP: &str = "\
cargo xtask gpu-acceptance [--peers DIR] [--emulated] [STEP ...] [FLAGS of run.sh]

Tests, benchmarks and reference runs on an NVIDIA card: builds a pack (`cargo xtask pack --help`) in target/pack and runs its
`run.sh`, whose steps and flags `target/pack/run.sh --help` lists. What was found out is in target/pack/out, unless `--out DIR` names
another folder. Finished work is kept: call the same command again to continue.

  --peers DIR   also measure the PyTorch side of the benchmark, the folder with `torch_bench.py`
  --emulated    on the emulated card, which is slow; without named steps only the tests
";

pub(crate) fn run_from(arguments: &[String]) -> Result<(), String> {
    if arguments.iter().any(|argument| argument == "--help") {
        say(HELP);
        return Ok(());
    }
    let (mut peers, mut is_emulated, mut passed_on) = (None, false, Vec::new());
    let mut rest = arguments.iter();
    while let Some(word) = rest.next() {
        match word.as_str() {
            "--peers" => {
                let folder = rest.next().ok_or_else(|| format!("`--peers` needs a folder\n\n{HELP}"))?;
                peers = Some(PathBuf::from(folder));
            }
            "--emulated" => is_emulated = true,
            _ => passed_on.push(word.clone()),
        }
    }
    if !has_card() && !is_emulated {
        return Err("this machine has no NVIDIA driver (no /dev/nvidiactl); use `--emulated` for the emulated card, or `cargo xtask \
                    pack` for another machine"
            .into());
    }
    let root = workspace_root();
    let out = target_folder(&root).join("pack");
    let programs = Program::ALL.to_vec();
    build(&Plan { target: Target::Cuda, data: Vec::new(), peers, programs, is_archived: false, out: out.clone() })?;
    let mut command = Command::new(out.join("run.sh"));
    if !passed_on.iter().any(|argument| argument == "--out") {
        command.arg("--out").arg(out.join("out"));
    }
    if is_emulated {
        command.arg("--emulated").arg(stubs(&root));
        if passed_on.first().is_none_or(|first| first.starts_with('-')) {
            command.arg("tests");
        }
    }
    run(command.args(passed_on))
}
