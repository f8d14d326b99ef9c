//! The messages of an ONNX graph: nodes, constants, inputs, outputs.

use std::collections::BTreeSet;

use crate::protobuf::Message;

/// Numbers of the types in ONNX.
const FLOAT: i64 = 1;
const INT64: i64 = 7;

/// A graph that is being written.
#[derive(Default)]
pub(super) struct Builder {
    graph: Message,
    /// Names of the constants.
    constants: BTreeSet<String>,
    /// Number of nodes.
    nodes: usize,
}

/// An attribute of a node.
pub(super) enum Attribute {
    /// A whole number.
    Integer(&'static str, i64),
    /// Whole numbers.
    Integers(&'static str, Vec<i64>),
    /// A number.
    Float(&'static str, f32),
}

/// A dimension of an input or output.
#[derive(Clone, Debug)]
pub(super) enum Dim {
    /// Of this size.
    Fixed(usize),
    /// Of any size; dimensions of one name are of one size.
    Named(String),
}

impl Attribute {
    fn message(&self) -> Message {
        let message = Message::default();
        match self {
            Self::Integer(name, value) => message.text(1, name).integer(3, *value).integer(20, 2),
            Self::Integers(name, values) => message.text(1, name).integers(8, values).integer(20, 7),
            Self::Float(name, value) => message.text(1, name).float(2, *value).integer(20, 1),
        }
    }
}

impl Builder {
    /// Adds a node and returns the name of its output.
    pub(super) fn node(&mut self, operator: &str, inputs: &[&str], attributes: &[Attribute]) -> String {
        let output = format!("/{}/{operator}", self.nodes + 1);
        self.node_to(&output, operator, inputs, attributes);
        output
    }

    /// Adds a node whose output is called `output`.
    pub(super) fn node_to(&mut self, output: &str, operator: &str, inputs: &[&str], attributes: &[Attribute]) {
        self.nodes += 1;
        let attributes: Vec<Message> = attributes.iter().map(Attribute::message).collect();
        let node = Message::default()
            .texts(1, inputs)
            .text(2, output)
            .text(3, &format!("{operator}_{}", self.nodes))
            .text(4, operator)
            .messages(5, &attributes);
        self.add(1, &node);
    }

    /// The constant `name` of f32, which is added if it is not there.
    pub(super) fn floats(&mut self, name: &str, shape: &[usize], values: &[f32]) -> String {
        let bytes = values.iter().flat_map(|value| value.to_le_bytes());
        self.constant(name.to_owned(), FLOAT, shape, bytes)
    }

    /// The constant of one number without dimensions.
    pub(super) fn number(&mut self, value: f32) -> String {
        self.floats(&format!("/number/{value:?}"), &[], &[value])
    }

    /// The constant of whole numbers `[N]`.
    pub(super) fn integers(&mut self, values: &[i64]) -> String {
        let bytes = values.iter().flat_map(|value| value.to_le_bytes());
        self.constant(format!("/integers/{values:?}"), INT64, &[values.len()], bytes)
    }

    /// The constant of one whole number without dimensions.
    pub(super) fn integer(&mut self, value: i64) -> String {
        self.constant(format!("/integer/{value}"), INT64, &[], value.to_le_bytes().into_iter())
    }

    fn constant(&mut self, name: String, kind: i64, shape: &[usize], bytes: impl Iterator<Item = u8>) -> String {
        if self.constants.insert(name.clone()) {
            let shape: Vec<i64> = shape.iter().map(|&side| side as i64).collect();
            let bytes: Vec<u8> = bytes.collect();
            let tensor = Message::default().integers(1, &shape).integer(2, kind).text(8, &name).bytes(9, &bytes);
            self.add(5, &tensor);
        }
        name
    }

    /// Adds an input of f32.
    pub(super) fn input(&mut self, name: &str, shape: &[Dim], description: &str) {
        self.add(11, &value_info(name, shape, description));
    }

    /// Declares the value `name`, f32, to be an output.
    pub(super) fn output(&mut self, name: &str, shape: &[Dim], description: &str) {
        self.add(12, &value_info(name, shape, description));
    }

    /// The whole graph.
    pub(super) fn graph(self, name: &str) -> Message {
        self.graph.text(2, name)
    }

    fn add(&mut self, field: u32, message: &Message) {
        self.graph = std::mem::take(&mut self.graph).message(field, message);
    }
}

fn value_info(name: &str, shape: &[Dim], description: &str) -> Message {
    let dim = |dim: &Dim| match dim {
        Dim::Fixed(size) => Message::default().integer(1, *size as i64),
        Dim::Named(name) => Message::default().text(2, name),
    };
    let shape = Message::default().messages(1, &shape.iter().map(dim).collect::<Vec<_>>());
    let tensor = Message::default().integer(1, FLOAT).message(2, &shape);
    Message::default().text(1, name).message(2, &Message::default().message(1, &tensor)).text(3, description)
}
