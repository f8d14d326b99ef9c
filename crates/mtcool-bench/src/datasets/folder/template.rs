//! The text of a starting configuration: every setting with the reason why it is as it is.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::Path;

use anyhow::{Context, Result};
use mtcool_data::folder::{Suggested, Suggestion};
use toml::{Table, Value};

/// Epochs of a first run.
const EPOCHS: usize = 20;
/// The smallest number of channels of the first level.
const CHANNELS: usize = 16;
/// Levels of the network, if the pictures are large enough.
const LEVELS: u32 = 5;
/// The smallest side of the maps of the last level, in pixels.
const LEAST_SIDE: usize = 4;

/// The experiment's file for the folder `root`.
///
/// # Errors
/// If a setting has no form in TOML.
pub(super) fn template(root: &Path, suggestion: &Suggestion) -> Result<String> {
    let Suggestion { config, batch_size, reasons } = suggestion;
    let tasks = config.tasks.len();
    let name = root.file_name().map_or_else(|| "folder".to_owned(), |name| name.to_string_lossy().into_owned());
    let mut text = Text { lines: String::new(), reasons: Reasons::of(reasons) };
    text.line("# A starting configuration, made by `mtcool data init`. Read it, name the classes, then run");
    text.line("#   mtcool data inspect FILE      what is in the folder, and whether anything has to be mended");
    text.line("#   mtcool reproduce FILE         the table");
    text.line("\n[default]");
    text.value("title", &Value::from(format!("{name}: {tasks} task{}", if tasks == 1 { "" } else { "s" })), None);
    text.line("dataset = \"folder\"");
    let methods = match tasks {
        1 => vec!["joint"],
        _ => vec!["independent", "joint", "pcgrad", "mtcool"],
    };
    text.value(
        "methods",
        &Value::from(methods),
        Some("`mtcool methods` lists all; one task: all methods are the same"),
    );
    text.value("seeds", &Value::from(3), Some("three runs of each method show the spread"));
    text.line("device = \"cpu\"");
    text.line("\n[default.data]");
    text.line("source = \"folder\"");
    text.value("folder", &Value::from(root.to_string_lossy().into_owned()), None);
    text.line("\n[default.data.settings]");
    let settings = Table::try_from(config).context("the suggested settings")?;
    for (key, value) in settings.iter().filter(|(key, _)| *key != "tasks" && *key != "split") {
        let reason = text.reasons.take(key);
        text.value(key, value, reason.as_deref());
    }
    if let Some(Value::Table(split)) = settings.get("split") {
        text.line("\n[default.data.settings.split]");
        // Fractions and seed divide cases; a column has divided them already.
        let is_divided = split.contains_key("column");
        for (key, value) in split.iter().filter(|(key, _)| !is_divided || *key == "column") {
            let reason = text.reasons.take(&format!("split.{key}"));
            text.value(key, value, reason.as_deref());
        }
    }
    for reason in text.reasons.rest("tasks.") {
        text.line(&format!("# {reason}"));
    }
    for task in settings.get("tasks").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_table) {
        let name = task.get("name").and_then(Value::as_str).unwrap_or_default();
        text.line("\n[[default.data.settings.tasks]]");
        if let Some(reason) = text.reasons.take(&format!("tasks.{name}")) {
            text.line(&format!("# {reason}"));
        }
        for (key, value) in task {
            text.value(key, value, None);
        }
    }
    let fits =
        |level: &u32| config.size.iter().all(|side| side.is_multiple_of(1 << level) && side >> level >= LEAST_SIDE);
    let levels = (0..LEVELS).take_while(fits).count().max(2);
    let base = CHANNELS.next_multiple_of(tasks);
    let widths: Vec<i64> = (0..levels).map(|level| (base << level) as i64).collect();
    text.line("\n[default.network]");
    let reason = format!("channels of each level, a multiple of the {tasks} task{}", if tasks == 1 { "" } else { "s" });
    text.value("widths", &Value::from(widths), Some(&reason));
    text.value(
        "classifier",
        &Value::from("normalized"),
        Some("heads with one answer per image stay alive in small batches"),
    );
    text.line("\n[default.training]");
    text.value("epochs", &Value::from(EPOCHS as i64), Some("a first look; more for the final table"));
    let reason = text.reasons.take("batch_size");
    text.value("batch_size", &Value::from(*batch_size as i64), reason.as_deref());
    text.line("optimizer = \"adamw\"");
    text.line("weight_decay = 1e-4");
    text.line("schedule = \"cosine\"");
    text.line("\n[default.method.joint]");
    text.value(
        "learning_rate",
        &Value::from(0.001),
        Some("search it on the validation part, `report = \"validation\"`"),
    );
    if tasks > 1 {
        text.line("\n[default.method.mtcool]");
        text.value("bound", &Value::from(0.01), Some("half-width of the flat region"));
        text.line("alpha = 0.001\nbeta = 0.001\nsamples = 2\ninner_iterations = 1");
        text.value("warmup_iterations", &Value::from(50), Some("about a tenth of the run"));
        text.line("lambda = 1.0\nschedule = \"gauss_seidel\"");
    }
    Ok(text.lines)
}

/// The reasons by setting; several reasons of one setting become one text.
struct Reasons(BTreeMap<String, String>);

impl Reasons {
    fn of(reasons: &[Suggested]) -> Self {
        let mut by_key: BTreeMap<String, String> = BTreeMap::new();
        for Suggested { key, reason } in reasons {
            by_key
                .entry(key.clone())
                .and_modify(|text| {
                    text.push_str("; ");
                    text.push_str(reason);
                })
                .or_insert_with(|| reason.clone());
        }
        Self(by_key)
    }

    fn take(&mut self, key: &str) -> Option<String> {
        self.0.remove(key)
    }

    /// Takes the reasons that belong to no setting that was written, except those whose key begins with `later` and the batch's.
    fn rest(&mut self, later: &str) -> Vec<String> {
        let is_rest = |key: &String| !key.starts_with(later) && key != "batch_size";
        let keys: Vec<String> = self.0.keys().filter(|key| is_rest(key)).cloned().collect();
        keys.iter().filter_map(|key| self.0.remove(key)).collect()
    }
}

struct Text {
    lines: String,
    reasons: Reasons,
}

impl Text {
    fn line(&mut self, line: &str) {
        self.lines.push_str(line);
        self.lines.push('\n');
    }

    /// A setting, with its reason behind it or, if that is long, above it.
    fn value(&mut self, key: &str, value: &Value, reason: Option<&str>) {
        let setting = format!("{} = {}", quoted(key), inline(value));
        match reason {
            Some(reason) if setting.len() + reason.len() > 110 => self.line(&format!("# {reason}\n{setting}")),
            Some(reason) => self.line(&format!("{setting:<38} # {reason}")),
            None => self.line(&setting),
        }
    }
}

/// The value in one line.
fn inline(value: &Value) -> String {
    match value {
        Value::Table(table) => {
            let fields: Vec<String> =
                table.iter().map(|(key, value)| format!("{} = {}", quoted(key), inline(value))).collect();
            if fields.is_empty() { "{}".into() } else { format!("{{ {} }}", fields.join(", ")) }
        }
        Value::Array(values) => format!("[{}]", values.iter().map(inline).collect::<Vec<_>>().join(", ")),
        // Numbers of f32 were widened, which shows digits that nobody wrote.
        Value::Float(number) => {
            let short = *number as f32;
            let mut text = if f64::from(short) == *number { short.to_string() } else { number.to_string() };
            if !text.contains(['.', 'e']) {
                let _ = write!(text, ".0");
            }
            text
        }
        other => other.to_string(),
    }
}

/// The key, in quotation marks where TOML needs them.
fn quoted(key: &str) -> String {
    let is_bare = !key.is_empty() && key.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-');
    if is_bare { key.to_owned() } else { Value::from(key).to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mtcool_data::folder::FolderConfig;

    #[test]
    fn the_text_is_the_suggestion_with_its_reasons() {
        let settings = r##"
            images = "images/{case}.jpg"
            table = "labels.csv"
            case = "image name"
            size = [96, 128]
            augmentation = { mirror = true, rotation = 10.0, contrast = 0.1 }
            split = { column = "part" }
            [[tasks]]
            name = "disc"
            kind = "segmentation"
            mask = "masks/{case}.png"
            classes = { 0 = "background", "#ff8000" = "disc" }
            [[tasks]]
            name = "glaucoma"
            kind = "classification"
            column = "glaucoma"
            classes = [0, 1]
            [[tasks]]
            name = "age"
            kind = "regression"
            column = "age"
        "##;
        let config: FolderConfig = toml::from_str(settings).unwrap();
        let reason = |key: &str, reason: &str| Suggested { key: key.into(), reason: reason.into() };
        let reasons = vec![
            reason("size", "as they are"),
            reason("tasks.disc", "12 of 12 cases have masks"),
            reason("tasks", "column `notes` is left out"),
            reason("batch_size", "for 100 cases"),
            reason("split.column", "it names the parts"),
        ];
        let suggestion = Suggestion { config: config.clone(), batch_size: 8, reasons };
        let text = template(Path::new("data/my eyes"), &suggestion).unwrap();
        let read: Table = text.parse().unwrap_or_else(|error| panic!("{error}\n{text}"));
        let default = read["default"].as_table().unwrap();
        let back: FolderConfig = default["data"]["settings"].clone().try_into().unwrap();
        assert_eq!(back, config);
        assert_eq!(default["network"]["widths"].as_array().unwrap().len(), 5);
        assert_eq!(default["network"]["widths"][0].as_integer(), Some(18));
        assert_eq!(default["training"]["batch_size"].as_integer(), Some(8));
        for reason in
            ["# as they are", "# 12 of 12 cases", "# column `notes`", "# for 100 cases", "# it names the parts"]
        {
            assert!(text.contains(reason), "no `{reason}` in:\n{text}");
        }
        assert!(text.contains("contrast = 0.1,") || text.contains("contrast = 0.1 "), "{text}");
    }
}
