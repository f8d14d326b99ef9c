//! ONNX files: operator set 21, all numbers in f32, batch and sides of the pictures free where the network allows it.
//!
//! The graph contains the whole way from pixels to probabilities, or to numbers in their own unit. The field numbers of the
//! messages are those of `onnx.proto`.

mod builder;
mod frame;
mod layers;

use anyhow::{Result, ensure};

use super::content::Content;
use crate::protobuf::Message;
use builder::Builder;

/// The version of the file format, and that of the operators.
const FORMAT: i64 = 10;
const OPERATORS: i64 = 21;
/// The largest message of Protocol Buffers, in bytes.
const MOST: usize = i32::MAX as usize;

/// The content of the file.
///
/// # Errors
/// If a parameter is missing, or the network is too large for one file.
pub(super) fn bytes(content: &Content) -> Result<Vec<u8>> {
    let mut graph = Builder::default();
    let pictures: Vec<_> = content.pictures.iter().map(|picture| frame::read(&mut graph, picture)).collect();
    let values = layers::add(&mut graph, content, &pictures)?;
    for task in &content.tasks {
        frame::answer(&mut graph, task, &values[task.node.index()], &pictures[task.form.picture]);
    }
    let checkpoint = content.about["checkpoint_sha256"].as_str().unwrap_or_default();
    let facts = [
        ("mtcool.tasks", content.tasks_json().to_string()),
        ("mtcool.pictures", content.pictures_json().to_string()),
        ("mtcool.run", content.about.to_string()),
        ("mtcool.checkpoint_sha256", checkpoint.to_owned()),
    ];
    let facts = facts.map(|(key, value)| Message::default().text(1, key).text(2, &value));
    let operators = Message::default().text(1, "").integer(2, OPERATORS);
    let model = Message::default()
        .integer(1, FORMAT)
        .text(2, "mtcool")
        .text(3, env!("CARGO_PKG_VERSION"))
        .message(7, &graph.graph("mtcool"))
        .message(8, &operators)
        .messages(14, &facts);
    let bytes = model.into_bytes();
    ensure!(bytes.len() <= MOST, "the network is too large for one ONNX file: {} bytes, at most {MOST}", bytes.len());
    Ok(bytes)
}
