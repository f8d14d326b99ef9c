//! The first build of a clone takes long: a line says so before it begins.

use std::path::Path;
use std::process::Command;

use crate::commands::{say, workspace_root};

/// What a build of program or tests takes from nothing.
pub(crate) const USUAL: &str = "10 to 35 minutes on two cores";

/// Says what a build into `target` is about to do and how long it takes, if nothing is compiled there yet.
pub(crate) fn announce(target: &Path, duration: &str) {
    if has_dependencies(target) {
        return;
    }
    let packages = std::fs::read_to_string(workspace_root().join("Cargo.lock")).unwrap_or_default();
    let packages = packages.matches("[[package]]").count();
    say(&format!(
        "This is the first build: cargo downloads and compiles up to {packages} packages into {}, which takes {duration}. It happens \
         once, and after an interruption it goes on where it was.",
        target.display()
    ));
    if !is_installed("git") {
        say(
            "`git` is not installed (on Debian and Ubuntu: `apt install git`): runs will not know the revision of the program.",
        );
    }
}

/// Whether the dependencies have been compiled; xtask itself has none.
fn has_dependencies(target: &Path) -> bool {
    let compiled = std::fs::read_dir(target.join("debug/deps"));
    compiled
        .is_ok_and(|files| files.flatten().any(|file| file.file_name().to_string_lossy().starts_with("libcandle_core")))
}

fn is_installed(program: &str) -> bool {
    Command::new(program).arg("--version").output().is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_build_is_the_first_one_until_the_dependencies_are_compiled() {
        let target = std::env::temp_dir().join(format!("mtcool-first-build-{}", std::process::id()));
        let deps = target.join("debug/deps");
        assert!(!has_dependencies(&target));
        std::fs::create_dir_all(&deps).unwrap();
        std::fs::write(deps.join("xtask-0123"), "").unwrap();
        assert!(!has_dependencies(&target));
        std::fs::write(deps.join("libcandle_core-0123.rmeta"), "").unwrap();
        assert!(has_dependencies(&target));
        std::fs::remove_dir_all(&target).unwrap();
    }

    #[test]
    fn programs_are_found_on_the_path() {
        assert!(is_installed("cargo"));
        assert!(!is_installed("no-such-program-of-mtcool"));
    }
}
