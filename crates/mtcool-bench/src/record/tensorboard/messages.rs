//! The messages in event files. The field numbers are those of TensorBoard's `event.proto`, `summary.proto` and of its plugins.

use anyhow::{Context, Result};

use super::super::metrics::Row;
use super::super::settings::settings_of;
use crate::plan::StoredSettings;
use crate::protobuf::Message;

/// Keys of a configuration that identify data instead of setting something.
const NO_SETTINGS: [&str; 3] = ["files", "origin", "results_version"];
/// Numbers of the types in TensorBoard's tensors.
const FLOAT: i64 = 1;
const STRING: i64 = 7;

/// The first event of each file, without its time, like all events here.
pub(super) fn version() -> Message {
    Message::default().text(3, "brain.Event:2")
}

/// A row as a scalar called `task/metric/split`, so that the curves of training and validation stand side by side.
pub(super) fn scalar(row: &Row) -> Message {
    let tag = format!("{}/{}/{}", row.task, row.metric, row.split);
    let value = Message::default().text(1, &tag).float(2, row.value as f32);
    Message::default().integer(2, row.step as i64).message(5, &summary(&value))
}

/// The configuration of the run as a text.
pub(super) fn configuration(toml: &str) -> Message {
    let indented: String = toml.lines().map(|line| format!("    {line}\n")).collect();
    let tensor = Message::default().integer(1, STRING).message(2, &one_element()).bytes(8, indented.as_bytes());
    plugin("configuration", "text", &Message::default(), &tensor)
}

/// The settings of the run for the page that compares hyperparameters.
pub(super) fn hyperparameters(settings: &StoredSettings) -> Message {
    let mut all = settings_of(settings);
    all.retain(|key, _| !NO_SETTINGS.contains(&key.split('.').next().unwrap_or(key)));
    all.insert("method".into(), settings.method.clone());
    all.insert("seed".into(), settings.seed.to_string());
    let entries: Vec<Message> =
        all.iter().map(|(key, value)| Message::default().text(1, key).message(2, &typed(value))).collect();
    let session = Message::default().messages(1, &entries);
    let content = Message::default().message(3, &session);
    let nothing = Message::default().integer(1, FLOAT).message(2, &one_element()).float(5, 0.0);
    plugin("_hparams_/session_start_info", "hparams", &content, &nothing)
}

/// A picture at step 0.
///
/// # Errors
/// If `png` is no PNG file.
pub(super) fn picture(title: &str, png: &[u8]) -> Result<Message> {
    let reader = png::Decoder::new(std::io::Cursor::new(png)).read_info().context("a figure that is no PNG file")?;
    let info = reader.info();
    let channels = info.color_type.samples() as i64;
    let image = Message::default()
        .integer(1, info.height.into())
        .integer(2, info.width.into())
        .integer(3, channels)
        .bytes(4, png);
    let value = Message::default().text(1, title).message(4, &image);
    Ok(Message::default().integer(2, 0).message(5, &summary(&value)))
}

fn summary(value: &Message) -> Message {
    Message::default().message(1, value)
}

/// A value that the plugin `name` shows.
fn plugin(tag: &str, name: &str, content: &Message, tensor: &Message) -> Message {
    let data = Message::default().text(1, name).message(2, content);
    let metadata = Message::default().message(1, &data);
    let value = Message::default().text(1, tag).message(8, tensor).message(9, &metadata);
    Message::default().integer(2, 0).message(5, &summary(&value))
}

/// The shape of a vector of one element.
fn one_element() -> Message {
    Message::default().message(2, &Message::default().integer(1, 1))
}

/// A setting as a number, as true or false, or as a text.
fn typed(value: &str) -> Message {
    match (value.parse::<f64>(), value) {
        (Ok(number), _) => Message::default().double(2, number),
        (_, "true" | "false") => Message::default().integer(4, i64::from(value == "true")),
        _ => Message::default().text(3, value),
    }
}
