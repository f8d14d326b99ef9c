//! Python for tests that compare with other programs, where it is installed.

#![allow(dead_code, unreachable_pub, reason = "each test file uses a part")]

use std::path::{Path, PathBuf};
use std::process::Command;

/// `name` beside this crate's tests.
pub fn beside_tests(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests").join(name)
}

/// `python/run.py` with `argument`, for the Python that `PYTHON` names or `python3`. `None`, with a line that says so, if it lacks
/// one of `modules`.
pub fn script(argument: &str, modules: &[&str]) -> Option<Command> {
    let program = std::env::var_os("PYTHON").unwrap_or_else(|| "python3".into());
    let script = beside_tests("python/run.py");
    let found = Command::new(&program).arg(&script).arg("has").args(modules).output();
    if !found.is_ok_and(|output| output.status.success()) {
        eprintln!("SKIPPED: `{}` lacks one of {} (`PYTHON` names another)", program.display(), modules.join(", "));
        return None;
    }
    let mut command = Command::new(program);
    command.arg(script).arg(argument);
    Some(command)
}

/// Runs a command to its end, expects success, and returns what it prints.
pub fn run(command: &mut Command) -> String {
    let output = command.output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(output.status.success(), "{}\n{}", text(&output.stdout), text(&output.stderr));
    text(&output.stdout)
}
