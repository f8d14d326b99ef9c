//! What no compiler checks: modules say what they are for, files stay readable, crates keep to their place.

use std::path::{Path, PathBuf};

/// Lines of a file, its tests left out.
const LONGEST_FILE: usize = 400;
/// Lines of a `lib.rs`, its documentation left out.
const LONGEST_LIB: usize = 60;
/// (crate, workspace crates it may depend on): the invariants of ARCHITECTURE.md.
const MAY_DEPEND_ON: [(&str, &[&str]); 8] = [
    ("crates/mtcool-core", &[]),
    ("crates/mtcool-ops", &[]),
    ("crates/mtcool-models", &["mtcool-core", "mtcool-ops"]),
    ("crates/mtcool-data", &[]),
    ("crates/mtcool-metrics", &[]),
    ("crates/mtcool-baselines", &["mtcool-core"]),
    (
        "crates/mtcool-bench",
        &["mtcool-core", "mtcool-ops", "mtcool-models", "mtcool-data", "mtcool-baselines", "mtcool-metrics"],
    ),
    ("xtask", &[]),
];
/// (what must stay in one place, the place, files that may hold it).
const ONLY_IN: [(&str, &str); 4] = [
    ("figment::providers", "crates/mtcool-bench/src/config/"),
    ("Split::Test)", "crates/mtcool-bench/src/train.rs"),
    ("polars", "crates/mtcool-bench/"),
    ("std::fs::rename", "crates/mtcool-bench/src/record/"),
];

/// Collects every violation before it fails.
pub(crate) fn check(root: &Path) -> Result<(), String> {
    let mut problems = Vec::new();
    for file in rust_files(root)? {
        let text = read(&file)?;
        let name = file.strip_prefix(root).unwrap_or(&file).display().to_string();
        if !text.trim_start().starts_with("//!") {
            problems.push(format!("{name}: does not open with a `//!` line that says what it is for"));
        }
        if name.ends_with("utils.rs") {
            problems.push(format!("{name}: name the module after what it does"));
        }
        let tested = name.contains("/tests/");
        let code = text.split("#[cfg(test)]\nmod tests").next().unwrap_or(&text);
        let lines = code.lines().count();
        if lines > LONGEST_FILE && !tested {
            problems.push(format!("{name}: {lines} lines without tests, at most {LONGEST_FILE}"));
        }
        let lines = code.lines().filter(|line| !line.starts_with("//!")).count();
        if name.ends_with("/lib.rs") && lines > LONGEST_LIB {
            problems.push(format!("{name}: {lines} lines, at most {LONGEST_LIB}"));
        }
        for (what, place) in ONLY_IN {
            if name.starts_with("crates/") && code.contains(what) && !name.starts_with(place) && !tested {
                problems.push(format!("{name}: `{what}` belongs in {place} alone"));
            }
        }
    }
    for (folder, allowed) in MAY_DEPEND_ON {
        let manifest = read(&root.join(folder).join("Cargo.toml"))?;
        let dependencies = manifest.split("[dependencies]").nth(1).unwrap_or_default();
        let dependencies = dependencies.split("\n[").next().unwrap_or_default();
        for line in dependencies.lines().filter(|line| line.starts_with("mtcool-")) {
            let dependency = line.split(['.', ' ', '=']).next().unwrap_or(line);
            if !allowed.contains(&dependency) {
                problems.push(format!("{folder} depends on {dependency}, which ARCHITECTURE.md rules out"));
            }
        }
    }
    if problems.is_empty() { Ok(()) } else { Err(problems.join("\n")) }
}

fn rust_files(root: &Path) -> Result<Vec<PathBuf>, String> {
    let mut files = Vec::new();
    let mut folders = vec![root.join("crates"), root.join("xtask")];
    while let Some(folder) = folders.pop() {
        let entries = std::fs::read_dir(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
        for path in entries.flatten().map(|entry| entry.path()) {
            if path.is_dir() && path.file_name().is_some_and(|name| name != "target") {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                files.push(path);
            }
        }
    }
    files.sort();
    Ok(files)
}

fn read(path: &Path) -> Result<String, String> {
    std::fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))
}
