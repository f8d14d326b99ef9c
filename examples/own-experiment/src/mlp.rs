//! A network: one hidden layer whose units the tasks own in equal shares, and a linear head for each task.

use anyhow::ensure;
use candle_core::{DType, Device, Result, Tensor};
use mtcool_bench::suite::{NetworkEntry, NetworkRequest};
use mtcool_core::random::{Purpose, stream, uniform};
use mtcool_core::{Network, ParameterName, Parameters};

pub(crate) fn entry() -> NetworkEntry {
    NetworkEntry::new("mlp", |request: &NetworkRequest<'_>| {
        let [units] = request.config.widths(["hidden"])?;
        let outputs: Vec<usize> = request.tasks.iter().map(|task| task.output.channels()).collect();
        let tasks = outputs.len();
        ensure!(units >= tasks, "`network.widths` is [{units}]: expected a unit for each of {tasks} tasks at least");
        Ok(Box::new(Mlp { inputs: request.input[0], share: units / tasks, outputs }))
    })
}

/// `share` hidden units of each task, over `inputs` numbers.
struct Mlp {
    inputs: usize,
    share: usize,
    outputs: Vec<usize>,
}

impl Network for Mlp {
    fn tasks(&self) -> usize {
        self.outputs.len()
    }

    fn initial_parameters(&self, seed: u64, dtype: DType, device: &Device) -> Result<Parameters> {
        let draw = |name: ParameterName, inputs: usize, outputs: usize| {
            let mut generator = stream(seed, Purpose::Initialization, [0; 4], &name.to_string());
            let bound = 1.0 / (inputs as f64).sqrt();
            Ok((name, uniform(&mut generator, bound, &(inputs + 1, outputs).into(), dtype, device)?))
        };
        let hidden = self.share * self.tasks();
        let theta = (0..self.tasks()).map(|k| draw(ParameterName::theta(k, "hidden.weight"), self.inputs, self.share));
        let phi = (0..self.tasks()).map(|k| draw(ParameterName::phi(k, "out.weight"), hidden, self.outputs[k]));
        theta.chain(phi).collect()
    }

    fn forward(&self, parameters: &Parameters, task: usize, x: &Tensor) -> Result<Tensor> {
        // A column of ones in place of biases.
        let with_one = |x: &Tensor| Tensor::cat(&[x, &x.narrow(1, 0, 1)?.ones_like()?], 1);
        let owned = (0..self.tasks()).map(|k| parameters.theta(k, "hidden.weight")).collect::<Result<Vec<_>>>()?;
        let features = with_one(x)?.matmul(&Tensor::cat(&owned, 1)?)?.tanh()?;
        with_one(&features)?.matmul(parameters.phi(task, "out.weight")?)
    }
}
