//! `cargo xtask fuzz`: the fuzz tests for as long as one likes.

use std::fs;

use super::commands::{cargo, run, say, workspace_root};

const HELP: &str = "\
cargo xtask fuzz [TARGET] [--minutes N | --inputs N] [--first NUMBER]

  TARGET            only this target, such as `photograph` or `toml`; the tests in crates/*/tests/fuzz.rs name all of them
  --minutes N       the time for each target, by default 1
  --inputs N        the number of inputs of each target instead
  --first NUMBER    the number of the first input, so that a later campaign goes on where an earlier one ended";

/// Runs the fuzz tests of all crates.
///
/// # Errors
/// If an argument is wrong, or a test fails.
pub(crate) fn run_from(arguments: &[String]) -> Result<(), String> {
    let (mut target, mut minutes, mut inputs, mut first) = (String::new(), 1.0, None, 0u64);
    let mut rest = arguments.iter();
    while let Some(argument) = rest.next() {
        let mut value = |name: &str| rest.next().ok_or_else(|| format!("`{name}` needs a value\n\n{HELP}"));
        match argument.as_str() {
            "--help" | "-h" => {
                say(HELP);
                return Ok(());
            }
            "--minutes" => {
                let text = value("--minutes")?;
                minutes = text
                    .parse::<f64>()
                    .ok()
                    .filter(|minutes| minutes.is_finite() && *minutes > 0.0)
                    .ok_or_else(|| format!("`--minutes` is `{text}`: expected a number larger than 0"))?;
            }
            "--inputs" => {
                let text = value("--inputs")?;
                let number = text.parse::<u64>();
                inputs = Some(number.map_err(|_| format!("`--inputs` is `{text}`: expected a whole number"))?);
            }
            "--first" => {
                let text = value("--first")?;
                first = text.parse().map_err(|_| format!("`--first` is `{text}`: expected a whole number"))?;
            }
            other if other.starts_with('-') || !target.is_empty() => {
                return Err(format!("unknown argument `{other}`\n\n{HELP}"));
            }
            other => target = other.to_owned(),
        }
    }
    let known = targets()?;
    if !target.is_empty() && !known.contains(&target) {
        return Err(format!("there is no target `{target}`; the targets are {}", known.join(", ")));
    }
    let mut command = cargo(&workspace_root());
    command.args(["test", "--workspace", "--no-fail-fast", "--test", "fuzz", "--", "--nocapture"]);
    command.env("FUZZ_TARGET", target).env("FUZZ_FIRST", first.to_string());
    match inputs {
        Some(inputs) => command.env("FUZZ_INPUTS", inputs.to_string()),
        None => command.env("FUZZ_SECONDS", (60.0 * minutes).to_string()),
    };
    run(&mut command)
}

/// The names of all targets, from the tests that define them.
fn targets() -> Result<Vec<String>, String> {
    let crates = workspace_root().join("crates");
    let folders = fs::read_dir(&crates).map_err(|error| format!("`{}`: {error}", crates.display()))?;
    let mut names = Vec::new();
    for folder in folders.flatten() {
        let text = fs::read_to_string(folder.path().join("tests/fuzz.rs")).unwrap_or_default();
        let named = text.split("Target::new(\"").skip(1).filter_map(|rest| rest.split('"').next());
        names.extend(named.map(str::to_owned));
    }
    names.sort();
    Ok(names)
}
