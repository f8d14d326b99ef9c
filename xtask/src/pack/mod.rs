//! `cargo xtask pack`: one folder, and one archive, with everything that a machine without Rust and without a network needs to
//! test, measure and train: programs, golden files, experiments, and `run.sh` (`pack/` in this repository).

mod contents;
mod data;
mod plan;
mod programs;

use std::process::Command;

use crate::commands::{run, say, workspace_root};
pub(crate) use plan::Plan;
pub(crate) use programs::{Program, Target};

pub(crate) fn run_from(arguments: &[String]) -> Result<(), String> {
    if arguments.iter().any(|argument| argument == "--help") {
        say(plan::HELP);
        return Ok(());
    }
    build(&Plan::parse(arguments)?)
}

/// Builds a pack.
pub(crate) fn build(plan: &Plan) -> Result<(), String> {
    let root = workspace_root();
    let built = programs::build(&root, plan.target, &plan.programs)?;
    contents::write(
        &root,
        plan,
        &contents::Contents { programs: built, cuda: programs::cuda_version(&root, plan.target)? },
    )?;
    say(&format!("{}: {}", plan.out.display(), data::in_mib(data::size_of(&plan.out)?)));
    if plan.is_archived {
        let script = root.join("pack/archive.py");
        let archive = data::beside(&plan.out, "tar.xz");
        run(Command::new("python3").arg(script).arg(&plan.out).arg(&archive))?;
        for (set, _) in &plan.data {
            data::in_pieces(&plan.out, set)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::complain;

    /// The scripts of a pack have tests in their own language; they take stand-ins for programs and libraries.
    #[test]
    fn the_scripts_pass_their_tests() {
        let folder = workspace_root().join("pack/tests");
        let mut python = Command::new("python3");
        match python.env("PYTHONDONTWRITEBYTECODE", "1").args(["-m", "unittest", "discover", "-s"]).arg(folder).output()
        {
            Ok(output) => assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr)),
            // Nothing else in the workspace needs Python.
            Err(error) => complain(&format!("not tested, since there is no `python3`: {error}")),
        }
    }
}
