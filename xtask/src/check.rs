//! `cargo xtask check`: every check that CI runs, the cheapest first.

use std::time::Instant;

use crate::commands::{cargo, run, say, workspace_root};
use crate::{cuda, tidy};

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
    step("lints", &mut || {
        run(cargo(&root).args(["clippy", "--workspace", "--all-targets", "--locked", "--", "-D", "warnings"]))
    })?;
    if fast {
        return Ok(());
    }
    step("docs", &mut || {
        run(cargo(&root).env("RUSTDOCFLAGS", "-D warnings").args(["doc", "--workspace", "--no-deps", "--locked"]))
    })?;
    step("tests", &mut || run(cargo(&root).args(["test", "--workspace", "--locked"])))
}

pub(crate) fn run_from(arguments: &[String]) -> Result<(), String> {
    match arguments {
        [] => run_all(false),
        [flag] if flag == "--fast" => run_all(true),
        [flag] if flag == "--cuda" => cuda::check(&workspace_root()),
        other => Err(format!("check: unexpected {other:?}; expected nothing, `--fast` or `--cuda`")),
    }
}
