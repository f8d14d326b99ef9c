//! The outputs of multi-label tasks: a network computes two logits per label in a row, and losses expect them along a dimension
//! of their own.

use candle_core::{DType, Device, Result, Tensor};
use mtcool_core::{Diagram, Layer, Network, NodeId, ParameterName, Parameters};

use crate::suite::{TaskOutput, TaskSpec};

/// Number of outputs per image that a network needs for a task with one answer per image.
pub(super) fn image_outputs(output: TaskOutput) -> usize {
    match output {
        TaskOutput::Multilabel { labels } => 2 * labels,
        other => other.channels(),
    }
}

/// `network` with the outputs of multi-label tasks as `[B, 2, labels]` instead of `[B, 2 labels]`; the same network if `tasks` has
/// no such task.
pub(super) fn shaped(network: Box<dyn Network>, tasks: &[TaskSpec]) -> Box<dyn Network> {
    let labels = |task: &TaskSpec| match task.output {
        TaskOutput::Multilabel { labels } => Some(labels),
        _ => None,
    };
    let labels: Vec<Option<usize>> = tasks.iter().map(labels).collect();
    if labels.iter().all(Option::is_none) { network } else { Box::new(Shaped { network, labels }) }
}

struct Shaped {
    network: Box<dyn Network>,
    /// Number of labels of each multi-label task.
    labels: Vec<Option<usize>>,
}

impl Shaped {
    fn shape(&self, task: usize, output: Tensor) -> Result<Tensor> {
        match self.labels[task] {
            Some(labels) => output.reshape(((), 2, labels)),
            None => Ok(output),
        }
    }
}

impl Network for Shaped {
    fn tasks(&self) -> usize {
        self.network.tasks()
    }

    fn initial_parameters(&self, seed: u64, dtype: DType, device: &Device) -> Result<Parameters> {
        self.network.initial_parameters(seed, dtype, device)
    }

    fn forward(&self, parameters: &Parameters, task: usize, input: &Tensor) -> Result<Tensor> {
        self.shape(task, self.network.forward(parameters, task, input)?)
    }

    fn forward_all(&self, parameters: &Parameters, inputs: &[&Tensor]) -> Result<Vec<Tensor>> {
        let outputs = self.network.forward_all(parameters, inputs)?.into_iter().enumerate();
        outputs.map(|(task, output)| self.shape(task, output)).collect()
    }

    fn hidden_units(&self, parameters: &Parameters, task: usize, input: &Tensor) -> Result<Option<Tensor>> {
        self.network.hidden_units(parameters, task, input)
    }

    fn initial_width(&self, name: &ParameterName) -> Option<f64> {
        self.network.initial_width(name)
    }

    fn decays(&self, name: &ParameterName) -> bool {
        self.network.decays(name)
    }

    fn describe(&self, task: usize, input: NodeId, diagram: &mut Diagram) -> Result<NodeId> {
        let output = self.network.describe(task, input, diagram)?;
        Ok(match self.labels[task] {
            Some(columns) => diagram.add(Layer::Split { columns }, &[output]),
            None => output,
        })
    }
}
