//! The comparison of two folders of results, file by file.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// Files full of times and circumstances, or of digests of such files: only whether they are there is compared. What the Parquet files
/// hold is also in CSV files.
const CIRCUMSTANCES: [&str; 6] =
    ["environment.json", "files.json", "log.jsonl", "report.html", "runs.parquet", "table.parquet"];
/// The keys of `run.json` and the columns of CSV files that hold times, or the command with the folder of results.
const TIMES: [&str; 6] = ["train_seconds", "started", "updated", "ended", "seconds_per_epoch", "command"];
/// The beginnings of the lines of `table.md` with times, or with the command.
const TIMED_LINES: [&str; 2] = ["- Runs: ", "- To repeat it: "];

/// What was compared.
#[derive(Debug, Default)]
pub(super) struct Compared {
    /// Number of files whose bits are the same, and their bytes.
    pub(super) files: usize,
    pub(super) bytes: usize,
    /// Number of files that are the same but for times.
    pub(super) but_for_times: usize,
    /// Number of files that were not compared.
    pub(super) not_compared: usize,
    /// What differs and must not.
    pub(super) differences: Vec<String>,
}

/// Compares the experiment's results in `found` with those in `expected`. Checkpoints and hidden files are left out, since a finished run
/// does not need them.
pub(super) fn compare(expected: &Path, found: &Path) -> Result<Compared, String> {
    let (expected, found) = (files(expected)?, files(found)?);
    let mut compared = Compared::default();
    for (name, path) in &expected {
        let file = name.rsplit('/').next().unwrap_or(name);
        let Some(other) = found.get(name) else {
            compared.differences.push(format!("`{name}` is missing"));
            continue;
        };
        let (one, other) = (read(path)?, read(other)?);
        if CIRCUMSTANCES.contains(&file) {
            compared.not_compared += 1;
        } else if one == other {
            (compared.files, compared.bytes) = (compared.files + 1, compared.bytes + one.len());
        } else if without_times(file, &one).is_some_and(|one| Some(one) == without_times(file, &other)) {
            compared.but_for_times += 1;
        } else {
            compared.differences.push(format!("`{name}` has other bits"));
        }
    }
    let further = found.keys().filter(|name| !expected.contains_key(*name));
    compared.differences.extend(further.map(|name| format!("`{name}` is there, but not in the undisturbed results")));
    Ok(compared)
}

/// The lines of a file whose times can be left out, without them.
fn without_times(file: &str, content: &[u8]) -> Option<Vec<String>> {
    let text = String::from_utf8_lossy(content);
    let lines = text.lines();
    match file {
        "run.json" => {
            let is_time = |line: &str| TIMES.iter().any(|key| line.trim_start().starts_with(&format!("\"{key}\"")));
            Some(lines.filter(|line| !is_time(line)).map(|line| line.trim_end_matches(',').to_owned()).collect())
        }
        "table.csv" | "runs.csv" => {
            let cells: Vec<Vec<&str>> = lines.map(cells).collect();
            let is_kept = |at: &usize| cells[0].get(*at).is_some_and(|name| !TIMES.contains(name));
            let kept =
                |line: &Vec<&str>| (0..line.len()).filter(is_kept).map(|at| line[at]).collect::<Vec<_>>().join(",");
            Some(cells.iter().map(kept).collect())
        }
        "table.md" => {
            let mut has_times = false;
            let without = |line: &str| {
                has_times = line.starts_with('|') && (has_times || line.contains("s/epoch"));
                let end = if has_times { line.trim_end_matches('|').rfind('|') } else { None };
                line[..end.unwrap_or(line.len())].to_owned()
            };
            let is_time = |line: &&str| TIMED_LINES.iter().any(|start| line.starts_with(start));
            Some(lines.filter(|line| !is_time(line)).map(without).collect())
        }
        _ => None,
    }
}

/// The cells of a line of CSV; a comma within quotes separates none.
fn cells(line: &str) -> Vec<&str> {
    let mut is_quoted = false;
    line.split(|letter| {
        is_quoted ^= letter == '"';
        letter == ',' && !is_quoted
    })
    .collect()
}

/// The files below `folder` by their path in it, with `/` between folders.
fn files(folder: &Path) -> Result<BTreeMap<String, PathBuf>, String> {
    let mut found = BTreeMap::new();
    let mut folders = vec![(folder.to_owned(), String::new())];
    while let Some((folder, prefix)) = folders.pop() {
        let failed = |error| format!("`{}`: {error}", folder.display());
        for entry in fs::read_dir(&folder).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            let name = entry.file_name().to_string_lossy().into_owned();
            if name.starts_with('.') || name == "checkpoints" {
                continue;
            }
            let inside = format!("{prefix}{name}");
            if entry.path().is_dir() {
                folders.push((entry.path(), inside + "/"));
            } else {
                found.insert(inside, entry.path());
            }
        }
    }
    Ok(found)
}

fn read(path: &Path) -> Result<Vec<u8>, String> {
    fs::read(path).map_err(|error| format!("`{}`: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changed_missing_and_further_files_are_named() {
        let place = std::env::temp_dir().join(format!("xtask-compare-{}", std::process::id()));
        let write = |name: &str, content: &str| {
            let path = place.join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, content).unwrap();
        };
        let status = |seconds: u32, step: u32| format!("{{\n  \"step\": {step},\n  \"train_seconds\": {seconds}\n}}");
        for (side, seconds) in [("a", 1), ("b", 2)] {
            write(&format!("{side}/runs/x/model.safetensors"), "weights");
            write(&format!("{side}/runs/x/run.json"), &status(seconds, 7));
            write(&format!("{side}/runs/x/checkpoints/step-{seconds}"), "");
            write(&format!("{side}/runs/x/.tmp-{seconds}"), "");
            write(&format!("{side}/log.jsonl"), side);
            let (wide, command) = ("-".repeat(seconds as usize), format!("\"x, {side}\""));
            write(
                &format!("{side}/table.md"),
                &format!("| a | s/epoch |\n| - | {wide} |\n| 1 | {seconds} |\n\n| b | {seconds} |\n")
                    .replace("| b | 2", "| b | 1"),
            );
            write(&format!("{side}/runs.csv"), &format!("run,command,value\nx,{command},1\n"));
        }
        let same = compare(&place.join("a"), &place.join("b")).unwrap();
        assert_eq!((same.files, same.bytes, same.but_for_times, same.not_compared), (1, 7, 3, 1), "{same:?}");
        assert_eq!(same.differences, Vec::<String>::new());
        write("b/runs/x/model.safetensors", "weighty");
        write("b/runs/x/run.json", &status(1, 8));
        write("b/more", "");
        write("b/runs.csv", "run,command,value\nx,\"x, b\",2\n");
        fs::remove_file(place.join("b/table.md")).unwrap();
        let other = compare(&place.join("a"), &place.join("b")).unwrap();
        let named = ["runs/x/model.safetensors", "runs/x/run.json", "runs.csv", "table.md", "more"];
        assert!(named.iter().all(|name| other.differences.iter().any(|line| line.contains(name))), "{other:?}");
        assert_eq!(other.differences.len(), 5, "{other:?}");
        fs::remove_dir_all(&place).unwrap();
    }
}
