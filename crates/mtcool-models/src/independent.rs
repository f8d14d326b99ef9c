//! T networks side by side that share nothing: the Independent baseline.

use candle_core::{DType, Device, Result, Tensor, bail};
use mtcool_core::{Network, ParameterName, Parameters};

/// One single-task network a task. Task k's parameters are `theta.{k}.*` and `phi.{k}.*`, whole networks both; the sum of the
/// losses falls apart into T separate problems.
pub struct Independent {
    networks: Vec<Box<dyn Network>>,
}

impl Independent {
    /// # Errors
    /// If one of the networks has other than one task.
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
            // Every network draws under the same names, so each gets a seed of its own.
            let seed = seed.wrapping_mul(self.networks.len() as u64).wrapping_add(task as u64);
            for (name, tensor) in network.initial_parameters(seed, dtype, device)?.iter() {
                all.insert(ParameterName { task, ..name.clone() }, tensor.clone());
            }
        }
        Ok(all)
    }

    fn forward(&self, parameters: &Parameters, task: usize, input: &Tensor) -> Result<Tensor> {
        let own = parameters.rename(|name| (name.task == task).then(|| ParameterName { task: 0, ..name.clone() }));
        self.networks[task].forward(&own, 0, input)
    }

    fn decays(&self, name: &ParameterName) -> bool {
        let own = ParameterName { task: 0, ..name.clone() };
        self.networks.get(name.task).is_none_or(|network| network.decays(&own))
    }
}
