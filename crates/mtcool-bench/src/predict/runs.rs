//! The folders of runs that flags name, also by a pattern.

use std::path::{Path, PathBuf};

use anyhow::{Result, ensure};

/// The folders that `given` names, in this order. `*` in the last part of a path stands for any text, and the folders that fit are
/// sorted; only those that hold a finished run count.
///
/// # Errors
/// If no finished run fits a pattern, or a folder is named twice.
pub(crate) fn find_runs(given: &[PathBuf]) -> Result<Vec<PathBuf>> {
    let mut runs: Vec<PathBuf> = Vec::new();
    for path in given {
        let found = matching(path);
        ensure!(
            !found.is_empty(),
            "no finished run fits `--run {}`: expected folders with `config.toml` and `model.safetensors`",
            path.display()
        );
        for run in found {
            ensure!(!runs.contains(&run), "`--run` names `{}` twice: name each run once", run.display());
            runs.push(run);
        }
    }
    Ok(runs)
}

/// `path` itself, or the finished runs that fit it as a pattern.
fn matching(path: &Path) -> Vec<PathBuf> {
    let Some(pattern) = path.file_name().and_then(|name| name.to_str()).filter(|name| name.contains('*')) else {
        return vec![path.to_owned()];
    };
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    let folder = parent.unwrap_or(Path::new("."));
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.file_name());
    let names = entries.filter(|name| name.to_str().is_some_and(|name| fits(pattern, name)));
    let places = names.map(|name| parent.map_or_else(|| PathBuf::from(&name), |parent| parent.join(&name)));
    let is_finished = |run: &PathBuf| run.join("config.toml").is_file() && run.join("model.safetensors").is_file();
    let mut runs: Vec<PathBuf> = places.filter(is_finished).collect();
    runs.sort();
    runs
}

/// Whether `name` fits `pattern`, in which `*` stands for any text.
fn fits(pattern: &str, name: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == name,
        Some((before, after)) => name.strip_prefix(before).is_some_and(|rest| {
            let ends = (0..=rest.len()).filter(|&end| rest.is_char_boundary(end));
            ends.map(|end| &rest[end..]).any(|rest| fits(after, rest))
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_name_finished_runs() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["joint-s0-ab", "joint-s1-ab", "mtcool-s0-ab", "joint-s2-open"] {
            let run = folder.path().join(name);
            std::fs::create_dir(&run).unwrap();
            std::fs::write(run.join("config.toml"), "").unwrap();
            if !name.ends_with("open") {
                std::fs::write(run.join("model.safetensors"), "").unwrap();
            }
        }
        let of = |names: &[&str]| {
            let given: Vec<PathBuf> = names.iter().map(|name| folder.path().join(name)).collect();
            find_runs(&given).map(|runs| {
                let name = |run: PathBuf| run.file_name().unwrap().to_string_lossy().into_owned();
                runs.into_iter().map(name).collect::<Vec<_>>()
            })
        };
        assert_eq!(of(&["joint-*"]).unwrap(), ["joint-s0-ab", "joint-s1-ab"]);
        assert_eq!(of(&["m*-s0-*", "joint-s1-ab"]).unwrap(), ["mtcool-s0-ab", "joint-s1-ab"]);
        assert_eq!(of(&["elsewhere"]).unwrap(), ["elsewhere"], "a name is told when it is read");
        assert!(of(&["pcgrad-*"]).unwrap_err().to_string().contains("pcgrad-*"));
        assert!(of(&["joint-s1-ab", "joint-*"]).unwrap_err().to_string().contains("twice"));
    }

    #[test]
    fn stars_stand_for_any_text() {
        for (pattern, name, expected) in [
            ("a*", "a", true),
            ("a*c", "abc", true),
            ("a*c", "abd", false),
            ("*b*", "abc", true),
            ("a*b*c", "aXbYc", true),
            ("a*a", "a", false),
            ("ü*", "üö", true),
        ] {
            assert_eq!(fits(pattern, name), expected, "{pattern} {name}");
        }
    }
}
