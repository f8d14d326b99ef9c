//! The folders of runs that flags name, also by a pattern.

use std::path::{Path, PathBuf};

use anyhow::{Result, bail, ensure};

use crate::plan::StoredSettings;
use crate::record::{Settings, differing_keys, read, settings_of};

/// The key that the configuration of a run has only if the run is an overfit diagnosis.
const OVERFIT: &str = "overfit";
/// The number of differing settings that a notice names.
const NAMED: usize = 6;

/// The finished runs that flags name for results.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct FoundRuns {
    /// Their folders.
    pub(crate) folders: Vec<PathBuf>,
    /// What a reader of results of all of them together has to know: that their configurations differ.
    pub(crate) notices: Vec<String>,
}

/// The folders that `given` names, in this order. `*` in the last part of a path stands for any text, and the folders that fit are
/// sorted; only those that hold a finished run count. Runs of an overfit diagnosis are left out with a warning: their networks know a
/// few examples by heart.
///
/// # Errors
/// If no finished run fits a pattern, a folder is named twice, or all of them are runs of an overfit diagnosis.
pub(crate) fn find_runs(given: &[PathBuf]) -> Result<FoundRuns> {
    let (mut runs, mut overfit) = (Vec::new(), Vec::new());
    for run in named(given)? {
        let settings = settings(&run);
        match settings.as_ref().and_then(|settings| settings.get(OVERFIT)) {
            Some(examples) => overfit.push((run, examples.clone())),
            None => runs.push((run, settings)),
        }
    }
    if !overfit.is_empty() {
        let names = |(run, examples): &(PathBuf, String)| format!("`{}` (`{OVERFIT}` is {examples})", run.display());
        let names = overfit.iter().map(names).collect::<Vec<_>>().join(", ");
        let reason = "trained by the diagnosis `--overfit` on a few examples, which the network knows by heart";
        if runs.is_empty() {
            bail!("{names}: {reason}, so that it gives no results: name runs of a sweep without `--overfit`");
        }
        tracing::warn!("left out of the results: {names}: {reason}");
    }
    let notices = difference(&runs).into_iter().collect();
    Ok(FoundRuns { folders: runs.into_iter().map(|(run, _)| run).collect(), notices })
}

/// The settings of the run in `folder`, with its method and without its seed; `None` if they cannot be read, which the reader of the
/// run tells.
fn settings(folder: &Path) -> Option<Settings> {
    let text = String::from_utf8(read(&folder.join("config.toml")).ok()?).ok()?;
    let stored = StoredSettings::parse(&text).ok()?;
    let mut settings = settings_of(&stored);
    settings.insert("method".into(), stored.method);
    Some(settings)
}

/// The notice that runs differ in more than their seed; `None` if they do not.
fn difference(runs: &[(PathBuf, Option<Settings>)]) -> Option<String> {
    let known: Vec<&Settings> = runs.iter().filter_map(|(_, settings)| settings.as_ref()).collect();
    let mut keys: Vec<String> = differing_keys(known.iter().copied()).into_iter().collect();
    if keys.is_empty() {
        return None;
    }
    // Of different methods, the methods' names say more than all of their own settings.
    keys.sort_by_key(|key| (key != "method", key.starts_with("settings.")));
    let values = |key: &String| {
        let mut values: Vec<&str> =
            known.iter().map(|settings| settings.get(key).map_or("not set", String::as_str)).collect();
        values.sort_unstable();
        values.dedup();
        format!("`{key}` ({})", values.join(", "))
    };
    let named: Vec<String> = keys.iter().take(NAMED).map(values).collect();
    let more = keys.len().saturating_sub(NAMED);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    Some(format!("the {} runs differ in more than their seed: in {}{more}", runs.len(), named.join(", ")))
}

/// The folders that `given` names, whatever their configuration.
fn named(given: &[PathBuf]) -> Result<Vec<PathBuf>> {
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

    fn paths(folder: &Path, names: &[&str]) -> Vec<PathBuf> {
        names.iter().map(|name| folder.join(name)).collect()
    }

    fn names_of(found: &FoundRuns) -> Vec<String> {
        found.folders.iter().map(|run| run.file_name().unwrap().to_string_lossy().into_owned()).collect()
    }

    #[test]
    fn runs_of_an_overfit_diagnosis_are_left_out_and_other_configurations_are_told() {
        let folder = tempfile::tempdir().unwrap();
        let run = |name: &str, method: &str, seed: u64, overfit: &str, epochs: u64| {
            let run = folder.path().join(name);
            std::fs::create_dir(&run).unwrap();
            std::fs::write(run.join("model.safetensors"), "").unwrap();
            let text = format!(
                "experiment = \"own\"\nmethod = \"{method}\"\nseed = {seed}\nhash = \"{name}\"\n{overfit}\n\
                 [training]\nepochs = {epochs}\n[settings]\n{method}_rate = 0.1\n"
            );
            std::fs::write(run.join("config.toml"), text).unwrap();
        };
        run("joint-s0-a", "joint", 0, "", 2);
        run("joint-s1-b", "joint", 1, "", 2);
        run("joint-s0-few", "joint", 0, "overfit = 8", 2);
        let found = |names: &[&str]| find_runs(&paths(folder.path(), names));
        let all = found(&["joint-s*"]).unwrap();
        assert_eq!(
            (names_of(&all), all.notices),
            (vec!["joint-s0-a".to_owned(), "joint-s1-b".to_owned()], Vec::<String>::new())
        );
        assert_eq!(names_of(&found(&["joint-s0-few", "joint-s1-b"]).unwrap()), ["joint-s1-b"], "also if it is named");
        for alone in ["joint-s0-few", "joint-*few"] {
            let message = found(&[alone]).unwrap_err().to_string();
            for words in ["joint-s0-few` (`overfit` is 8)", "by heart", "without `--overfit`"] {
                assert!(message.contains(words), "no `{words}` in {message}");
            }
        }
        run("joint-s2-c", "joint", 2, "", 5);
        let notices = found(&["joint-s*"]).unwrap().notices;
        assert_eq!(notices, ["the 3 runs differ in more than their seed: in `training.epochs` (2, 5)"]);
        run("mtcool-s0-d", "mtcool", 0, "", 2);
        let notices = found(&["*-s0-*"]).unwrap().notices;
        let want = "the 2 runs differ in more than their seed: in `method` (joint, mtcool), `settings.joint_rate` (0.1, not set), \
                    `settings.mtcool_rate` (0.1, not set)";
        assert_eq!(notices, [want]);
    }

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
        let of = |names: &[&str]| find_runs(&paths(folder.path(), names)).map(|found| names_of(&found));
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
