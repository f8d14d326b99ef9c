//! Passes the git revision of the source to the program, as `PROGRAM_REVISION`.

use std::path::Path;
use std::process::Command;

fn main() {
    let git = |arguments: &[&str]| {
        let output = Command::new("git").args(arguments).output().ok()?;
        output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
    };
    let revision = git(&["rev-parse", "--short=12", "HEAD"]).unwrap_or_else(|| "unknown".to_owned());
    let is_changed = git(&["status", "--porcelain", "--untracked-files=no"]).is_some_and(|changes| !changes.is_empty());
    let suffix = if is_changed { "-modified" } else { "" };
    println!("cargo::rustc-env=PROGRAM_REVISION={revision}{suffix}");
    println!("cargo::rerun-if-changed=build.rs");
    // All sources of the program, and the files that change with a new commit.
    if Path::new("../mtcool-core").is_dir() {
        println!("cargo::rerun-if-changed=..");
    }
    if let Some(folder) = git(&["rev-parse", "--absolute-git-dir"]) {
        for file in ["HEAD", "logs/HEAD"] {
            let path = Path::new(&folder).join(file);
            if path.exists() {
                println!("cargo::rerun-if-changed={}", path.display());
            }
        }
    }
}
