//! The executables of a pack: built by cargo, found in what cargo reports.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::commands::cargo;
use crate::cuda::{OLDEST_CARD, cuda_cargo, feature};

/// What a pack is built for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    /// NVIDIA cards.
    Cuda,
    /// Processors.
    Cpu,
}

/// An executable of a pack.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Program {
    /// The program itself.
    Mtcool,
    /// Golden values, and all tests that need a card, in one executable.
    Tests,
    /// The benchmark of training steps.
    Training,
}

impl Program {
    pub(crate) const ALL: [Self; 3] = [Self::Mtcool, Self::Tests, Self::Training];

    /// Its name in a pack's folder `bin`.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Mtcool => "mtcool",
            Self::Tests => "tests",
            Self::Training => "training",
        }
    }

    /// The name of cargo's target, and the flag that selects it.
    fn target(self) -> (&'static str, &'static str) {
        match self {
            Self::Mtcool => ("--bin", "mtcool"),
            Self::Tests => ("--test", "pack"),
            Self::Training => ("--bench", "training"),
        }
    }

    /// Names separated by commas.
    pub(crate) fn list(text: &str) -> Result<Vec<Self>, String> {
        let named = |name: &str| {
            Self::ALL.into_iter().find(|program| program.name() == name).ok_or_else(|| {
                format!("`--programs` names `{name}`: expected {}", Self::ALL.map(Self::name).join(", "))
            })
        };
        let mut programs = text.split(',').map(named).collect::<Result<Vec<_>, _>>()?;
        programs.sort();
        programs.dedup();
        Ok(programs)
    }
}

fn cargo_for(root: &Path, target: Target) -> Result<Command, String> {
    match target {
        Target::Cpu => Ok(cargo(root)),
        Target::Cuda => {
            let mut command = cuda_cargo(root)?;
            if std::env::var_os("CUDA_COMPUTE_CAP").is_none() {
                command.env("CUDA_COMPUTE_CAP", OLDEST_CARD);
            }
            Ok(command)
        }
    }
}

/// The compute capability of the oldest cards that a build runs on, such as `8.0`.
pub(super) fn oldest_card() -> String {
    let number = std::env::var("CUDA_COMPUTE_CAP").unwrap_or_else(|_| OLDEST_CARD.into());
    let (major, minor) = number.split_at(number.len().saturating_sub(1));
    format!("{major}.{minor}")
}

/// Builds programs and returns the path of each.
pub(super) fn build(root: &Path, target: Target, programs: &[Program]) -> Result<Vec<(Program, PathBuf)>, String> {
    let mut command = cargo_for(root, target)?;
    command.args(["build", "--workspace", "--locked", "--message-format=json-render-diagnostics"]);
    if target == Target::Cuda {
        command.args(["--features", &format!("mtcool-bench/{}", feature()?)]);
    }
    for program in programs {
        let (flag, name) = program.target();
        command.args([flag, name]);
    }
    let output =
        command.stderr(Stdio::inherit()).output().map_err(|error| format!("cargo could not be started: {error}"))?;
    if !output.status.success() {
        return Err(format!("`cargo build` failed: {}", output.status));
    }
    let messages = String::from_utf8_lossy(&output.stdout);
    let found = |program: &Program| {
        let path = executable(&messages, program.target().1);
        path.map(|path| (*program, path)).ok_or_else(|| format!("cargo reports no executable `{}`", program.target().1))
    };
    programs.iter().map(found).collect()
}

/// The path of the executable of target `name` in cargo's messages, which are one JSON object per line.
fn executable(messages: &str, name: &str) -> Option<PathBuf> {
    let artifact = |line: &&str| line.contains("\"reason\":\"compiler-artifact\"");
    messages.lines().filter(artifact).find_map(|line| {
        let target = line.split_once("\"target\":{")?.1;
        (text_behind(target, "\"name\":")? == name).then_some(())?;
        text_behind(line, "\"executable\":").map(PathBuf::from)
    })
}

/// The JSON string right behind `key`; `None` if another value follows.
fn text_behind(json: &str, key: &str) -> Option<String> {
    let mut characters = json.split_once(key)?.1.strip_prefix('"')?.chars();
    let mut text = String::new();
    loop {
        match characters.next()? {
            '"' => return Some(text),
            // Paths and names hold no other escapes than these.
            '\\' => text.push(characters.next()?),
            other => text.push(other),
        }
    }
}

/// The version of the compiler of the kernels, such as `13.0`; `None` for processors.
pub(super) fn cuda_version(root: &Path, target: Target) -> Result<Option<String>, String> {
    if target == Target::Cpu {
        return Ok(None);
    }
    // The compiler is the first on the path that cargo gets.
    let cargo = cuda_cargo(root)?;
    let path = cargo.get_envs().find(|(name, _)| *name == "PATH").and_then(|(_, value)| value);
    let mut nvcc = Command::new("sh");
    nvcc.args(["-c", "nvcc --version"]).envs(path.map(|path| ("PATH", path)));
    let output = nvcc.output().map_err(|error| format!("nvcc could not be started: {error}"))?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let version = text.split_once("release ").and_then(|(_, rest)| rest.split(',').next());
    version.map(|version| Some(version.to_owned())).ok_or_else(|| format!("`nvcc --version` says no release: {text}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn executables_are_found_in_what_cargo_says() {
        let messages = concat!(
            "{\"reason\":\"compiler-artifact\",\"target\":{\"kind\":[\"lib\"],\"name\":\"mtcool\"},\"executable\":null}\n",
            "{\"reason\":\"build-script-executed\",\"executable\":\"/no\"}\n",
            "{\"reason\":\"compiler-artifact\",\"package_id\":\"x\",\"target\":{\"kind\":[\"test\"],\"name\":\"pack\"},",
            "\"filenames\":[\"/t/pack-1\"],\"executable\":\"/a \\\"b\\\"/pack-1\",\"fresh\":true}\n",
        );
        assert_eq!(executable(messages, "pack"), Some(PathBuf::from("/a \"b\"/pack-1")));
        assert_eq!(executable(messages, "mtcool"), None);
        assert_eq!(executable(messages, "training"), None);
    }
}
