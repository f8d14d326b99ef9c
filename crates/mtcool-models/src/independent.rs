//! T networks side by side that share nothing: the Independent baseline.

use candle_core::{DType, Device, Result, Tensor, bail};
use mtcool_core::{Diagram, Network, NodeId, ParameterName, Parameters};

/// One single-task network per task. All parameters of task k's network are called `theta.{k}.*` or `phi.{k}.*`. No network reads
/// another's parameters, so training on the sum of the losses trains each network on its own loss.
pub struct Independent {
    networks: Vec<Box<dyn Network>>,
}

impl Independent {
    /// The networks of tasks 0, 1, ...
    ///
    /// # Errors
    /// If a network has more or fewer than one task.
    pub fn new(networks: Vec<Box<dyn Network>>) -> Result<Self> {
        match networks.iter().position(|network| network.tasks() != 1) {
            Some(task) => bail!("Independent: network {task} has {} tasks, expected 1", networks[task].tasks()),
            None => Ok(Self { networks }),
        }
    }
}

impl Network for Independent {
    fn tasks(&self) -> usize {
        self.networks.len()
    }

    fn initial_parameters(&self, seed: u64, dtype: DType, device: &Device) -> Result<Parameters> {
        let mut all = Parameters::new();
        for (task, network) in self.networks.iter().enumerate() {
            // Initial values follow from seed and name, and the names are the same in every network: each gets its own seed.
            let seed = seed.wrapping_mul(self.networks.len() as u64).wrapping_add(task as u64);
            for (name, tensor) in network.initial_parameters(seed, dtype, device)?.iter() {
                all.insert(ParameterName { task, ..name.clone() }, tensor.clone());
            }
        }
        Ok(all)
    }

    fn forward(&self, parameters: &Parameters, task: usize, input: &Tensor) -> Result<Tensor> {
        self.networks[task].forward(&of_task(parameters, task), 0, input)
    }

    fn hidden_units(&self, parameters: &Parameters, task: usize, input: &Tensor) -> Result<Option<Tensor>> {
        self.networks[task].hidden_units(&of_task(parameters, task), 0, input)
    }

    fn initial_width(&self, name: &ParameterName) -> Option<f64> {
        let own = ParameterName { task: 0, ..name.clone() };
        self.networks.get(name.task)?.initial_width(&own)
    }

    fn decays(&self, name: &ParameterName) -> bool {
        let own = ParameterName { task: 0, ..name.clone() };
        self.networks.get(name.task).is_none_or(|network| network.decays(&own))
    }

    fn describe(&self, task: usize, input: NodeId, diagram: &mut Diagram) -> Result<NodeId> {
        diagram.with_owner(task, |diagram| self.networks[task].describe(0, input, diagram))
    }
}

/// The parameters of task `task`, with the names that its own network knows.
fn of_task(parameters: &Parameters, task: usize) -> Parameters {
    parameters.rename(|name| (name.task == task).then(|| ParameterName { task: 0, ..name.clone() }))
}
