//! `cargo xtask check`: every check that CI runs, the cheapest first.

use std::path::Path;
use std::process::Command;
use std::time::Instant;

use crate::commands::{cargo, read, run, say, target_folder, workspace_root};
use crate::{cuda, first_build, tidy};

fn run_all(fast: bool) -> Result<(), String> {
    let root = workspace_root();
    let step = |name: &str, work: &mut dyn FnMut() -> Result<(), String>| {
        say(&format!("== {name}"));
        let started = Instant::now();
        let result = work();
        let outcome = if result.is_ok() { "ok" } else { "FAILED" };
        say(&format!("== {name}: {outcome} in {:.0} s", started.elapsed().as_secs_f64()));
        result
    };
    step("format", &mut || run(cargo(&root).args(["fmt", "--all", "--", "--check"])))?;
    step("tidy", &mut || tidy::check(&root))?;
    step("oldest Rust", &mut || oldest_rust(&root))?;
    step("dependencies", &mut || dependencies(&root))?;
    first_build::announce(&target_folder(&root), first_build::USUAL);
    step("lints", &mut || {
        run(cargo(&root).args(["clippy", "--workspace", "--all-targets", "--locked", "--", "-D", "warnings"]))
    })?;
    if fast {
        return Ok(());
    }
    // All features but those for cards, which need NVIDIA's compiler.
    step("docs", &mut || {
        run(cargo(&root).env("RUSTDOCFLAGS", "-D warnings").args(["doc", "--workspace", "--no-deps", "--locked"]))
    })?;
    step("tests", &mut || run(cargo(&root).args(["test", "--workspace", "--locked"])))
}

/// Says whether this check builds with the oldest Rust that the crates promise. `cargo xtask tidy` requires that rust-toolchain.toml
/// names it, and clippy (`incompatible_msrv`) refuses what came to the standard library later.
fn oldest_rust(root: &Path) -> Result<(), String> {
    let manifest = read(&root.join("Cargo.toml"))?;
    let promised = tidy::value(&manifest, "rust-version").ok_or("Cargo.toml: lacks rust-version")?;
    let output = Command::new("rustc").current_dir(root).arg("--version").output();
    let output = output.map_err(|error| format!("`rustc --version` could not be started: {error}"))?;
    say(&which_rust(String::from_utf8_lossy(&output.stdout).trim(), promised));
    Ok(())
}

/// `used` is what `rustc --version` prints.
fn which_rust(used: &str, promised: &str) -> String {
    let version = used.split(' ').nth(1).unwrap_or_default();
    if version == promised || version.starts_with(&format!("{promised}.")) {
        return format!("{used} builds everything: the oldest Rust that Cargo.toml promises");
    }
    format!(
        "{used} builds everything, not Rust {promised}, the oldest that Cargo.toml promises: only clippy looks for what it lacks"
    )
}

/// Licences, sources, duplicates and security advisories of all dependencies by deny.toml, where cargo-deny is installed.
fn dependencies(root: &Path) -> Result<(), String> {
    let deny = |arguments: &[&str]| {
        let mut command = cargo(root);
        command.arg("deny").args(arguments);
        command
    };
    if !deny(&["--version"]).output().is_ok_and(|output| output.status.success()) {
        say(
            "cargo-deny is not installed (`cargo install --locked cargo-deny`): licences, sources, duplicates and advisories of the \
             dependencies are not checked",
        );
        return Ok(());
    }
    run(&mut deny(&["--offline", "check", "licenses", "bans", "sources"]))?;
    if !deny(&["fetch", "db"]).output().is_ok_and(|output| output.status.success()) {
        say("the database of advisories cannot be fetched: advisories are not checked");
        return Ok(());
    }
    run(&mut deny(&["--offline", "check", "advisories"]))
}

pub(crate) fn run_from(arguments: &[String]) -> Result<(), String> {
    match arguments {
        [] => run_all(false),
        [flag] if flag == "--fast" => run_all(true),
        [flag] if flag == "--cuda" => cuda::check(&workspace_root()),
        other => Err(format!("check: unexpected {other:?}; expected nothing, `--fast` or `--cuda`")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_check_says_whether_it_builds_with_the_oldest_rust() {
        let is_oldest = |used: &str| which_rust(used, "1.95").ends_with("the oldest Rust that Cargo.toml promises");
        assert!(is_oldest("rustc 1.95.0 (0123 2026-03-21)") && is_oldest("rustc 1.95.1"));
        assert!(!is_oldest("rustc 1.96.0") && !is_oldest("rustc 1.950.0") && !is_oldest(""));
    }
    #[cfg(unix)]
    #[test]
    fn ci_names_missing_programs_before_anything_is_downloaded() {
        let programs = std::env::temp_dir().join(format!("mtcool-no-programs-{}", std::process::id()));
        std::fs::create_dir_all(&programs).unwrap();
        let path = std::env::var_os("PATH").unwrap();
        let find = |name: &str| std::env::split_paths(&path).map(|folder| folder.join(name)).find(|file| file.exists());
        for name in ["bash", "dirname", "id"] {
            std::os::unix::fs::symlink(find(name).unwrap(), programs.join(name)).unwrap();
        }
        let script = workspace_root().join(".ci/run");
        let mut command = Command::new(programs.join("bash"));
        let output = command.arg(script).env_clear().env("PATH", &programs).output().unwrap();
        std::fs::remove_dir_all(&programs).unwrap();
        let (said, complained) = (output.stdout, String::from_utf8_lossy(&output.stderr).into_owned());
        assert!(!output.status.success() && said.is_empty(), "{}", String::from_utf8_lossy(&said));
        for expected in ["rustup", "the package gcc", "the package git"] {
            assert!(complained.contains(expected), "{complained}");
        }
    }
}
