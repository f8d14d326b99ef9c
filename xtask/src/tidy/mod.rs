//! Checks that no compiler makes: modules say what they are for, files stay short, crates depend only on what ARCHITECTURE.md
//! allows, no files or rooms of a crate use each other in a circle, and every crate can be packaged.

mod circles;
mod modules;
mod packages;
mod tokens;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::commands::{read, workspace_root};
pub(crate) use packages::{published, value};

/// The largest number of lines of a file without its tests.
const LONGEST_FILE: usize = 400;
/// The largest number of lines of a `lib.rs` without its documentation.
const LONGEST_LIB: usize = 60;
/// (crate, the crates of this workspace that it may depend on), as ARCHITECTURE.md says.
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
/// (text that only one place may contain, path of that place).
const ONLY_IN: [(&str, &str); 4] = [
    ("figment::providers", "crates/mtcool-bench/src/plan/"),
    ("suite.evaluate(", "crates/mtcool-bench/src/run/evaluate.rs"),
    ("polars", "crates/mtcool-bench/"),
    ("std::fs::rename", "crates/mtcool-bench/src/record/"),
];

/// `cargo xtask tidy [FOLDER]`: checks the workspace, or one in another folder.
pub(crate) fn run_from(arguments: &[String]) -> Result<(), String> {
    match arguments {
        [] => check(&workspace_root()),
        [folder] if !folder.starts_with('-') => check(Path::new(folder)),
        other => Err(format!("tidy: unexpected {other:?}; expected nothing or the folder of a workspace")),
    }
}

/// Checks everything and reports all violations together.
pub(crate) fn check(root: &Path) -> Result<(), String> {
    let mut files = BTreeMap::new();
    for file in rust_files(root)? {
        files.insert(file.strip_prefix(root).unwrap_or(&file).display().to_string(), read(&file)?);
    }
    let mut problems: Vec<String> = files.iter().flat_map(|(name, text)| problems_of_file(name, text)).collect();
    for (name, sources) in crates(&files) {
        problems.extend(forbidden_dependencies(name, &read(&root.join(name).join("Cargo.toml"))?));
        match circles::circles(&sources) {
            Ok(found) => problems.extend(found.into_iter().map(|circle| format!("{name}: {circle}"))),
            Err(error) => problems.push(format!("{name}/src/{error}")),
        }
    }
    problems.extend(packages::problems(root, &files)?);
    if problems.is_empty() { Ok(()) } else { Err(problems.join("\n")) }
}

fn problems_of_file(name: &str, text: &str) -> Vec<String> {
    let mut problems = Vec::new();
    if !text.trim_start().starts_with("//!") {
        problems.push(format!("{name}: does not open with a `//!` line that says what it is for"));
    }
    if name.ends_with("utils.rs") {
        problems.push(format!("{name}: name the module after what it does"));
    }
    let is_test = name.contains("/tests/");
    let code = text.split("#[cfg(test)]\nmod tests").next().unwrap_or(text);
    let lines = code.lines().count();
    if lines > LONGEST_FILE && !is_test {
        problems.push(format!("{name}: {lines} lines without tests, at most {LONGEST_FILE}"));
    }
    let lines = code.lines().filter(|line| !line.starts_with("//!")).count();
    if name.ends_with("/lib.rs") && lines > LONGEST_LIB {
        problems.push(format!("{name}: {lines} lines, at most {LONGEST_LIB}"));
    }
    for (what, place) in ONLY_IN {
        if name.starts_with("crates/") && code.contains(what) && !name.starts_with(place) && !is_test {
            problems.push(format!("{name}: `{what}` belongs in {place} alone"));
        }
    }
    problems
}

/// Dependencies of the crate in `folder` that the table does not allow. Examples may depend on every crate.
fn forbidden_dependencies(folder: &str, manifest: &str) -> Vec<String> {
    if folder.starts_with("examples/") {
        return Vec::new();
    }
    let Some((_, allowed)) = MAY_DEPEND_ON.iter().find(|(name, _)| *name == folder) else {
        return vec![format!(
            "{folder}: say in ARCHITECTURE.md and in xtask/src/tidy/mod.rs which crates it may depend on"
        )];
    };
    let dependencies = manifest.split("[dependencies]").nth(1).unwrap_or_default();
    let dependencies = dependencies.split("\n[").next().unwrap_or_default();
    let own = dependencies.lines().filter(|line| line.starts_with("mtcool-"));
    own.map(|line| line.split(['.', ' ', '=']).next().unwrap_or(line))
        .filter(|dependency| !allowed.contains(dependency))
        .map(|dependency| format!("{folder} depends on {dependency}, which ARCHITECTURE.md rules out"))
        .collect()
}

/// Sources by crate.
fn crates(files: &BTreeMap<String, String>) -> BTreeMap<&str, circles::Sources> {
    let mut crates: BTreeMap<&str, circles::Sources> = BTreeMap::new();
    for (name, text) in files {
        if let Some((folder, file)) = name.split_once("/src/") {
            crates.entry(folder).or_default().insert(file.into(), text.clone());
        }
    }
    crates
}

fn rust_files(root: &Path) -> Result<Vec<PathBuf>, String> {
    let mut files = Vec::new();
    let mut folders: Vec<PathBuf> = ["crates", "examples", "xtask"]
        .into_iter()
        .map(|name| root.join(name))
        .filter(|folder| folder.is_dir())
        .collect();
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_judged_by_its_first_line_and_its_length_without_tests() {
        let of = |name: &str, lines: usize, rest: &str| {
            problems_of_file(name, &format!("//! A.\n{}{rest}", "x\n".repeat(lines - 1)))
        };
        let tests = format!("#[cfg(test)]\nmod tests {{\n{}}}\n", "x\n".repeat(LONGEST_FILE));
        assert!(of("crates/a/src/b.rs", LONGEST_FILE, &tests).is_empty());
        assert!(of("crates/a/tests/b.rs", LONGEST_FILE + 1, "").is_empty());
        assert_eq!(
            of("crates/a/src/b.rs", LONGEST_FILE + 1, ""),
            ["crates/a/src/b.rs: 401 lines without tests, at most 400"]
        );
        assert_eq!(of("crates/a/src/lib.rs", LONGEST_LIB + 2, ""), ["crates/a/src/lib.rs: 61 lines, at most 60"]);
        let problem = "crates/a/src/b.rs: does not open with a `//!` line that says what it is for";
        assert_eq!(problems_of_file("crates/a/src/b.rs", "// A.\n"), [problem]);
    }

    #[test]
    fn a_crate_depends_on_what_the_table_allows() {
        let manifest = "[dependencies]\nmtcool-core.workspace = true\nmtcool-data = { path = \"x\" }\n\n[dev-dependencies]\nmtcool-bench.workspace = true\n";
        let problem = "crates/mtcool-models depends on mtcool-data, which ARCHITECTURE.md rules out";
        assert_eq!(forbidden_dependencies("crates/mtcool-models", manifest), [problem]);
        assert!(forbidden_dependencies("crates/mtcool-new", manifest)[0].contains("which crates it may depend on"));
        assert!(forbidden_dependencies("examples/own", manifest).is_empty());
    }
}
