//! What a published package needs: nothing from outside of its folder, a page of its own and the licences; one version of all
//! crates; and a toolchain that is the oldest one which the crates promise to build with.

use std::collections::BTreeMap;
use std::path::{Component, Path, PathBuf};

use crate::commands::read;

/// Files of every published crate.
const FILES: [&str; 3] = ["README.md", "LICENSE-MIT", "LICENSE-APACHE"];
/// What takes in another file, in front of its path.
const TAKES_IN: [&str; 4] = ["include_str!(", "include_bytes!(", "include!(", "#[path = "];

/// All problems of the crates in `crates/`, whose sources are `files`.
pub(super) fn problems(root: &Path, files: &BTreeMap<String, String>) -> Result<Vec<String>, String> {
    let mut problems: Vec<String> = files.iter().flat_map(|(name, text)| outside(name, text)).collect();
    for folder in published(root)? {
        for file in FILES {
            if !folder.join(file).is_file() {
                problems.push(format!("{}: lacks {file}", folder.strip_prefix(root).unwrap_or(&folder).display()));
            }
        }
    }
    let text = |name: &str| read(&root.join(name));
    let (manifest, toolchain) = (text("Cargo.toml")?, text("rust-toolchain.toml")?);
    problems.extend(versions(&manifest, &text("CITATION.cff")?, &text("CHANGELOG.md")?));
    problems.extend(oldest_rust(&manifest, &toolchain));
    Ok(problems)
}

/// The folders of the published crates.
pub(crate) fn published(root: &Path) -> Result<Vec<PathBuf>, String> {
    let folder = root.join("crates");
    let entries = std::fs::read_dir(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    let mut folders: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).filter(|path| path.is_dir()).collect();
    folders.sort();
    Ok(folders)
}

/// Files that a source takes in from outside of its crate. Tests are not part of a package.
fn outside(name: &str, text: &str) -> Vec<String> {
    let mut parts = name.split('/');
    let (Some("crates"), Some(package)) = (parts.next(), parts.next()) else { return Vec::new() };
    if parts.next() == Some("tests") {
        return Vec::new();
    }
    let folder = Path::new(name).parent().unwrap_or(Path::new(""));
    let named = TAKES_IN.iter().flat_map(|word| text.split(word).skip(1));
    let paths = named.filter_map(|rest| rest.trim_start().strip_prefix('"')?.split('"').next());
    let is_outside = |path: &&str| !plain(&folder.join(path)).starts_with(Path::new("crates").join(package));
    let problem = |path| format!("{name}: `{path}` is outside of the crate: a package would lack it");
    paths.filter(is_outside).map(problem).collect()
}

/// The path without `..`.
fn plain(path: &Path) -> PathBuf {
    path.components().fold(PathBuf::new(), |mut plain, part| {
        match part {
            Component::ParentDir if plain.file_name().is_some() => drop(plain.pop()),
            other => plain.push(other),
        }
        plain
    })
}

/// The value of the first line `key = "value"` of a manifest.
pub(crate) fn value<'a>(manifest: &'a str, key: &str) -> Option<&'a str> {
    let line = manifest.lines().find_map(|line| line.strip_prefix(key)?.trim_start().strip_prefix('='))?;
    line.trim().strip_prefix('"')?.split('"').next()
}

/// Places that name another version than the workspace's.
fn versions(manifest: &str, citation: &str, changelog: &str) -> Vec<String> {
    let Some(version) = value(manifest, "version") else { return vec!["Cargo.toml: lacks the version".into()] };
    let mut problems = Vec::new();
    for line in manifest.lines().filter(|line| line.starts_with("mtcool-")) {
        if !line.contains(&format!("version = \"{version}\"")) {
            problems.push(format!("Cargo.toml: `{line}`: expected version {version}"));
        }
    }
    if !citation.lines().any(|line| line == format!("version: {version}")) {
        problems.push(format!("CITATION.cff: expected the line `version: {version}`"));
    }
    let newest = changelog.lines().filter_map(|line| line.strip_prefix("## ")).find(|heading| *heading != "Unreleased");
    if newest.and_then(|heading| heading.split(' ').next()) != Some(version) {
        problems.push(format!("CHANGELOG.md: expected the heading `## {version}` first, or after `## Unreleased`"));
    }
    problems
}

/// Whether the toolchain is another one than the oldest that the crates promise: then no check would build with that.
fn oldest_rust(manifest: &str, toolchain: &str) -> Option<String> {
    let (promised, used) = (value(manifest, "rust-version")?, value(toolchain, "channel")?);
    let is_same = used.strip_prefix(promised).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'));
    (!is_same).then(|| {
        format!(
            "rust-toolchain.toml: channel {used}, but Cargo.toml has rust-version {promised}: nothing would check it"
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_takes_in_files_of_its_own_crate_alone() {
        let of =
            |name: &str, path: &str| outside(name, &format!("const A: &str = include_str!(\n    \"{path}\"\n);\n"));
        assert!(of("crates/a/src/b/c.rs", "style.css").is_empty());
        assert!(of("crates/a/src/lib.rs", "../README.md").is_empty());
        assert_eq!(
            of("crates/a/src/b/c.rs", "../../../experiments/x.toml"),
            ["crates/a/src/b/c.rs: `../../../experiments/x.toml` is outside of the crate: a package would lack it"]
        );
        assert_eq!(of("crates/a/build.rs", "../ab/x").len(), 1, "a name that begins with the crate's");
        assert!(of("crates/a/tests/b.rs", "../../../README.md").is_empty());
        assert_eq!(outside("crates/a/src/b.rs", "#[path = \"../../c/d.rs\"]\nmod d;\n").len(), 1);
        assert!(outside("crates/a/src/b.rs", "include_str!(concat!(env!(\"OUT_DIR\"), \"x\"))").is_empty());
    }

    #[test]
    fn all_places_name_one_version() {
        let manifest = "[workspace.package]\nversion = \"0.2.0\"\n\n[workspace.dependencies]\nmtcool-core = { version = \"0.2.0\" }\n";
        let (citation, changelog) =
            ("cff-version: 1.2.0\nversion: 0.2.0\n", "# Changelog\n\n## Unreleased\n\n## 0.2.0 (2026-11-27)\n");
        assert_eq!(versions(manifest, citation, changelog), [""; 0]);
        assert_eq!(versions(&manifest.replace("{ version = \"0.2", "{ version = \"0.1"), citation, changelog).len(), 1);
        assert_eq!(versions(manifest, "version: 0.1.0\n", "# Changelog\n\n## 0.1.0\n").len(), 2);
        assert_eq!(versions("", citation, changelog), ["Cargo.toml: lacks the version"]);
    }

    #[test]
    fn the_toolchain_is_the_oldest_that_is_promised() {
        let of = |used: &str| oldest_rust("rust-version = \"1.95\"\n", &format!("channel = \"{used}\"\n"));
        assert!(of("1.95.0").is_none() && of("1.95").is_none());
        assert!(of("1.96.0").is_some() && of("1.950.0").is_some() && of("stable").is_some());
    }
}
