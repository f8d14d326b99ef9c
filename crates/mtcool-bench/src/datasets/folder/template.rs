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
    let Suggestion { config, batch_size, samples, reasons } = suggestion;
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
        let is_classification = task.get("kind").and_then(Value::as_str) == Some("classification");
        for (key, value) in task {
            let classes = value.as_array().filter(|_| is_classification && key == "classes");
            text.value(key, value, classes.map(|classes| order_of(classes)).as_deref());
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
        Some("`mtcool search FILE` finds one by the validation part, once `[default.search.joint]` says what to try"),
    );
    if tasks > 1 {
        text.line("\n[default.method.mtcool]");
        text.value("bound", &Value::from(0.01), Some("half-width of the flat region"));
        text.line("alpha = 0.001\nbeta = 0.001\nsamples = 2\ninner_iterations = 1");
        let batches = (samples / (*batch_size).max(1)).max(1);
        let steps = EPOCHS * batches;
        let plural = if batches == 1 { "" } else { "es" };
        let reason = format!("a tenth of the run: {EPOCHS} epochs of about {batches} batch{plural} are {steps} steps");
        text.value("warmup_iterations", &Value::from((steps / 10).max(1) as i64), Some(&reason));
        text.line("lambda = 1.0\nschedule = \"gauss_seidel\"");
    }
    Ok(text.lines)
}

/// The text without the ends of lines that a cell may hold, which would end a comment.
fn one_line(text: &str) -> String {
    text.replace(char::is_control, " ")
}

/// What the order of the `classes` of a classification means.
fn order_of(classes: &[Value]) -> String {
    match classes {
        [_, positive] => format!(
            "the second one is the positive class (sensitivity, F1, probability): {}; exchange them if it is the other one",
            one_line(&inline(positive))
        ),
        _ => "if these are grades, write them in their order".to_owned(),
    }
}

/// The reasons by setting; several reasons of one setting become one text.
struct Reasons(BTreeMap<String, String>);

impl Reasons {
    fn of(reasons: &[Suggested]) -> Self {
        let mut by_key: BTreeMap<String, String> = BTreeMap::new();
        for Suggested { key, reason } in reasons {
            let reason = one_line(reason);
            by_key
                .entry(key.clone())
                .and_modify(|text| {
                    text.push_str("; ");
                    text.push_str(&reason);
                })
                .or_insert(reason);
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
        let suggestion = Suggestion { config: config.clone(), batch_size: 8, samples: 100, reasons };
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
        assert!(text.contains("the second one is the positive class (sensitivity, F1, probability): \"1\""), "{text}");
        assert!(text.contains("mtcool search FILE"), "{text}");
        assert!(text.contains("contrast = 0.1,") || text.contains("contrast = 0.1 "), "{text}");
    }

    #[test]
    fn the_warm_up_is_a_tenth_of_the_run() {
        let settings = r#"
            images = "images/{case}.jpg"
            size = [96, 96]
            [[tasks]]
            name = "grade"
            kind = "classification"
            column = "grade"
            classes = ["low", "middle", "high\nest"]
            [[tasks]]
            name = "age"
            kind = "regression"
            column = "age"
        "#;
        let config: FolderConfig = toml::from_str(settings).unwrap();
        for (samples, batch_size, warmup, told) in [
            (48, 8, 12, "20 epochs of about 6 batches are 120 steps"),
            (7, 8, 2, "20 epochs of about 1 batch are 20 steps"),
            (10_000, 4, 5000, "2500 batches are 50000 steps"),
        ] {
            let reasons = vec![Suggested { key: "tasks.grade".into(), reason: "low: 3, high\nest: 3".into() }];
            let suggestion = Suggestion { config: config.clone(), batch_size, samples, reasons };
            let text = template(Path::new("data"), &suggestion).unwrap();
            let read: Table = text.parse().unwrap_or_else(|error| panic!("{error}\n{text}"));
            assert_eq!(read["default"]["method"]["mtcool"]["warmup_iterations"].as_integer(), Some(warmup));
            assert!(text.contains(told) && text.contains("if these are grades"), "{text}");
        }
    }
}
