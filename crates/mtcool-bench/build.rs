//! Tells the program which versions of the libraries that compute it is built with: its runs remember them.

use std::path::{Path, PathBuf};

/// (a library, the variable from which `record/environment.rs` reads its version). Programs that cargo starts have these variables, too,
/// so they must not be named as settings of an experiment are (`MTCOOL_...`).
const LIBRARIES: [(&str, &str); 2] = [("candle-core", "BUILT_WITH_CANDLE"), ("gemm", "BUILT_WITH_GEMM")];

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    let Some(lock) = lock_file() else { return };
    println!("cargo::rerun-if-changed={}", lock.display());
    let text = std::fs::read_to_string(&lock).unwrap_or_default();
    for (library, variable) in LIBRARIES {
        if let Some(version) = version(&text, library) {
            println!("cargo::rustc-env={variable}={version}");
        }
    }
}

/// The lock file of this build: of the workspace that it is built in, or of this one if cargo builds into another place. The lock
/// file inside of a published package is none: `cargo install` uses it only with `--locked`, which a build script cannot see.
fn lock_file() -> Option<PathBuf> {
    let folder = |variable: &str| std::env::var_os(variable).map(PathBuf::from);
    let above = |folder: &Path| folder.ancestors().skip(1).map(|at| at.join("Cargo.lock")).find(|lock| lock.is_file());
    folder("OUT_DIR").and_then(|out| above(&out)).or_else(|| above(&folder("CARGO_MANIFEST_DIR")?))
}

/// The version of `library` in a lock file; `None` if it has none or several.
fn version<'a>(lock: &'a str, library: &str) -> Option<&'a str> {
    let start = format!("name = \"{library}\"\nversion = \"");
    let mut entries = lock.split(&*start).skip(1);
    let version = entries.next()?.split_once('"')?.0;
    entries.next().is_none().then_some(version)
}
