//! The command line of `cargo xtask pack`.

use std::path::{Path, PathBuf};

use super::programs::{Program, Target};

pub(super) const HELP: &str = "\
cargo xtask pack [--device cuda|cpu] [--data SET=DIR ...] [--peers DIR] [--programs LIST] [--no-archive] OUT

Builds programs, tests and benchmarks and puts them into the folder OUT, with golden files, experiments and `run.sh`; then packs the
folder into OUT.tar.xz, which Python's standard library or tar unpacks. docs/cuda.md describes both.

  --device cuda|cpu    for NVIDIA cards of compute capability 8.0 and later (default), or for processors
  --data SET=DIR       also pack a data set (mnist, refuge, hrf-av): in OUT/data/SET, and outside of the archive in
                       OUT.SET.tar.gz.00, .01, ..., which `cat OUT.SET.tar.gz.* | tar xzf - -C OUT` unpacks
  --peers DIR          also pack the PyTorch side of the benchmark, the folder with `torch_bench.py`
  --programs LIST      only some of mtcool,tests,training (default: all)
  --no-archive         only the folder
";

/// A checked command line.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Plan {
    pub(crate) target: Target,
    pub(crate) data: Vec<(String, PathBuf)>,
    pub(crate) peers: Option<PathBuf>,
    pub(crate) programs: Vec<Program>,
    pub(crate) is_archived: bool,
    pub(crate) out: PathBuf,
}

impl Plan {
    pub(super) fn parse(arguments: &[String]) -> Result<Self, String> {
        let mut plan = Self {
            target: Target::Cuda,
            data: Vec::new(),
            peers: None,
            programs: Program::ALL.to_vec(),
            is_archived: true,
            out: PathBuf::new(),
        };
        let mut rest = arguments.iter();
        while let Some(word) = rest.next() {
            let mut value = || rest.next().ok_or_else(|| format!("`{word}` needs a value\n\n{HELP}"));
            match word.as_str() {
                "--device" => {
                    plan.target = match value()?.as_str() {
                        "cuda" => Target::Cuda,
                        "cpu" => Target::Cpu,
                        other => return Err(format!("`--device` is `{other}`: expected `cuda` or `cpu`")),
                    }
                }
                "--data" => plan.data.push(data_set(value()?)?),
                "--peers" => plan.peers = Some(PathBuf::from(value()?)),
                "--programs" => plan.programs = Program::list(value()?)?,
                "--no-archive" => plan.is_archived = false,
                flag if flag.starts_with('-') => return Err(format!("unknown flag `{flag}`\n\n{HELP}")),
                folder if plan.out.as_os_str().is_empty() => plan.out = PathBuf::from(folder),
                other => return Err(format!("unexpected `{other}`: one folder OUT is enough\n\n{HELP}")),
            }
        }
        if plan.out.as_os_str().is_empty() {
            return Err(format!("the folder OUT is missing\n\n{HELP}"));
        }
        if let Some(peers) = plan.peers.as_ref().filter(|peers| !peers.join("torch_bench.py").is_file()) {
            return Err(format!("`--peers` is `{}`: expected a folder with `torch_bench.py`", peers.display()));
        }
        Ok(plan)
    }
}

/// `SET=DIR`.
fn data_set(text: &str) -> Result<(String, PathBuf), String> {
    let known = ["mnist", "refuge", "hrf-av"];
    match text.split_once('=') {
        Some((set, folder)) if known.contains(&set) && Path::new(folder).is_dir() => Ok((set.into(), folder.into())),
        Some((set, folder)) if known.contains(&set) => Err(format!("`--data {text}`: `{folder}` is no folder")),
        _ => Err(format!("`--data` is `{text}`: expected SET=DIR, SET being {}", known.join(", "))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &str) -> Result<Plan, String> {
        Plan::parse(&line.split_whitespace().map(str::to_owned).collect::<Vec<_>>())
    }

    #[test]
    fn a_command_line_is_checked_before_anything_is_built() {
        let plan = parsed("--device cpu --programs training,mtcool --no-archive out").unwrap();
        assert_eq!((plan.target, plan.is_archived, plan.out), (Target::Cpu, false, PathBuf::from("out")));
        assert_eq!(plan.programs, [Program::Mtcool, Program::Training]);
        for (line, part) in [
            ("", "the folder OUT is missing"),
            ("--device gpu out", "`--device` is `gpu`: expected `cuda` or `cpu`"),
            ("--data faces=. out", "expected SET=DIR, SET being mnist"),
            ("--data mnist=/no/folder out", "`/no/folder` is no folder"),
            ("--peers . out", "expected a folder with `torch_bench.py`"),
            ("--programs bench out", "expected mtcool, tests, training"),
            ("--quick out", "unknown flag `--quick`"),
            ("out --data", "`--data` needs a value"),
            ("out more", "unexpected `more`"),
        ] {
            let message = parsed(line).unwrap_err();
            assert!(message.contains(part), "{line}: {message}");
        }
    }
}
