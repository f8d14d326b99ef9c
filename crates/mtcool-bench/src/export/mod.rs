//! `mtcool export`: the network of a finished run in a file that other programs read, with the preparation of its pictures.

mod content;
mod onnx;
mod pytorch;

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::plan::StoredSettings;
use crate::predict::{find_runs, read_trained};
use crate::record::{create_folder, read_intact, write_whole};
use crate::suite::{AnswerForm, ExportForm, PictureForm, Registry, TrainedModel};
use content::Content;

/// The arguments of `mtcool export`.
pub struct ExportRequest<'a> {
    /// The folder of a finished run. `*` in the last part of the path stands for any text, if a single run fits.
    pub run: &'a Path,
    /// The names of the tasks; all tasks if there are none.
    pub tasks: &'a [String],
    /// The ONNX file to write.
    pub onnx: Option<&'a Path>,
    /// The safetensors file for PyTorch to write.
    pub pytorch: Option<&'a Path>,
    /// Whether to replace files.
    pub force: bool,
}

/// Executes `mtcool export`, and returns what was written, one line per file.
///
/// # Errors
/// If the run cannot be used, a task is unknown, the network does not describe its layers, or a file cannot be written.
pub fn run(registry: &Registry, request: &ExportRequest<'_>) -> Result<String> {
    let files = [request.onnx, request.pytorch];
    for file in files.into_iter().flatten() {
        ensure!(
            request.force || !file.exists(),
            "`{}` is there already: choose another name, or replace it with `--force`",
            file.display()
        );
    }
    let content = open(registry, request.run, request.tasks)?;
    let mut lines = String::new();
    if let Some(file) = request.onnx {
        write(file, &onnx::bytes(&content)?, "mtcool export --run RUN")?;
        lines += &format!("`{}`: ONNX, {}\n", file.display(), content.summary());
    }
    if let Some(file) = request.pytorch {
        write(file, &pytorch::bytes(&content)?, "--pytorch")?;
        lines += &format!("`{}`: weights for PyTorch, {}\n", file.display(), content.summary());
    }
    Ok(lines)
}

/// Writes a file, and its folder if it is not there. `flag` is where the command line names it.
fn write(file: &Path, bytes: &[u8], flag: &'static str) -> Result<()> {
    if let Some(folder) = file.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        create_folder(folder).map_err(|error| error.for_flag(flag))?;
    }
    Ok(write_whole(file, bytes).map_err(|error| error.for_flag(flag))?)
}

/// The content of the files for the run in `run`.
fn open(registry: &Registry, run: &Path, tasks: &[String]) -> Result<Content> {
    let run = only(find_runs(&[run.to_owned()])?.folders)?;
    let (dataset, model) = read_trained(registry, &run)?;
    let config = String::from_utf8(read_intact(&run.join("config.toml"))?)?;
    let stored = StoredSettings::parse(&config)?;
    let model_file = read_intact(&run.join("model.safetensors"))?;
    let precision = stored.table.get("precision").and_then(|value| value.as_str()).unwrap_or("f32");
    if precision != "f32" {
        tracing::warn!(
            "the run computed with `precision = \"{precision}\"`; the exported network computes in f32, so that its outputs differ \
             slightly"
        );
    }
    let about = json!({
        "program": format!("mtcool {} ({})", env!("CARGO_PKG_VERSION"), registry.revision().unwrap_or("unknown")),
        "dataset": dataset.name,
        "trained_on": model.origin,
        "method": stored.method,
        "seed": stored.seed,
        "config_sha256": stored.table.get("hash").and_then(|hash| hash.as_str()),
        "checkpoint_sha256": sha256(&model_file),
        "precision": precision,
    });
    let form = match dataset.export {
        Some(form) => form(&model).with_context(|| format!("`{}`", run.display()))?,
        None => plain_form(&model),
    };
    let chosen = chosen(&model, tasks)?;
    Content::of(model, form, &chosen, about).with_context(|| format!("`{}` cannot be exported", run.display()))
}

fn only(runs: Vec<PathBuf>) -> Result<PathBuf> {
    match <[PathBuf; 1]>::try_from(runs) {
        Ok([run]) => Ok(run),
        Err(runs) => {
            let names: Vec<String> = runs.iter().map(|run| format!("`{}`", run.display())).collect();
            bail!("`--run` names {} runs, and one is exported at a time: name one of {}", runs.len(), names.join(", "))
        }
    }
}

/// The numbers of the tasks with these names, or of all tasks.
fn chosen(model: &TrainedModel, names: &[String]) -> Result<Vec<usize>> {
    let known: Vec<&str> = model.spec.tasks.iter().map(|task| &*task.name).collect();
    if names.is_empty() {
        return Ok((0..known.len()).collect());
    }
    let number = |name: &String| {
        let found = known.iter().position(|known| known == name);
        found.with_context(|| format!("`--task` names `{name}`: the run's tasks are {}", known.join(", ")))
    };
    let mut numbers = names.iter().map(number).collect::<Result<Vec<_>>>()?;
    numbers.sort_unstable();
    numbers.dedup();
    Ok(numbers)
}

/// The form for a data set that says nothing: the network's own input and output.
fn plain_form(model: &TrainedModel) -> ExportForm {
    let input = PictureForm {
        description: "the network's input, prepared as for training".into(),
        white: 1.0,
        mean: Vec::new(),
        deviation: Vec::new(),
        multiple: None,
    };
    let nameless = AnswerForm::new(Vec::<String>::new());
    ExportForm { pictures: vec![input], answers: vec![nameless; model.spec.tasks.len()] }
}

fn sha256(bytes: &[u8]) -> Value {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect::<String>().into()
}

#[cfg(test)]
mod tests;
