//! What a data set says about the pictures and answers of its networks, so that a file for other programs needs neither this
//! program nor the training data.

use anyhow::Result;

use super::predictor::TrainedModel;

/// The pictures that a network reads, and the meaning of its outputs.
#[derive(Clone, Debug, PartialEq)]
pub struct ExportForm {
    /// The pictures: one entry if all tasks read the same ones.
    pub pictures: Vec<PictureForm>,
    /// The answers of all tasks, in their order.
    pub answers: Vec<AnswerForm>,
}

/// How pixels become the network's input: `(pixel / white - mean) / deviation`, channel by channel.
#[derive(Clone, Debug, PartialEq)]
pub struct PictureForm {
    /// Which pictures these are and how they are made, in one sentence without the final full stop.
    pub description: String,
    /// The value of a white pixel.
    pub white: f32,
    /// The mean of each channel on the scale 0..1; empty if none is subtracted.
    pub mean: Vec<f32>,
    /// The standard deviation of each channel on the same scale; empty if the channels are not divided.
    pub deviation: Vec<f32>,
    /// Pictures are padded, below and on the right, with the mean colour up to multiples of this number. `None` for the number
    /// that the network needs.
    pub multiple: Option<usize>,
}

/// The meaning of a task's outputs.
#[derive(Clone, Debug, PartialEq)]
pub struct AnswerForm {
    /// Which of the pictures the task reads.
    pub picture: usize,
    /// The names of the classes, properties or numbers, in the order of the outputs.
    pub names: Vec<String>,
    /// Mean and standard deviation by which the targets of numbers were standardised.
    pub scale: [f64; 2],
    /// The unit of the numbers.
    pub unit: Option<String>,
}

impl AnswerForm {
    /// The answer of a task that reads the first pictures, without a scale.
    pub fn new(names: impl IntoIterator<Item = impl Into<String>>) -> Self {
        Self { picture: 0, names: names.into_iter().map(Into::into).collect(), scale: [0.0, 1.0], unit: None }
    }
}

/// The form of the pictures and answers of a trained network.
pub type DescribeExport = fn(&TrainedModel) -> Result<ExportForm>;
