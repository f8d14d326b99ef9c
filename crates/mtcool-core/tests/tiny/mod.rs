//! A small cooperative network, shared by several test files.

use candle_core::{DType, Device, Tensor};
use mtcool_core::random::{Purpose, stream, uniform};
use mtcool_core::{Loss, Network, ParameterName, Parameters, Problem};

pub(crate) const INPUTS: usize = 4;
const CLASSES: usize = 3;

/// Each task owns two hidden units, whose outputs are concatenated, and a linear head.
pub(crate) struct Tiny {
    pub(crate) tasks: usize,
}

impl Network for Tiny {
    fn tasks(&self) -> usize {
        self.tasks
    }

    fn initial_parameters(&self, seed: u64, dtype: DType, device: &Device) -> candle_core::Result<Parameters> {
        let draw = |name: ParameterName, shape: (usize, usize)| {
            let mut generator = stream(seed, Purpose::Initialization, [0; 4], &name.to_string());
            Ok((name, uniform(&mut generator, 0.7, &shape.into(), dtype, device)?))
        };
        let theta = (0..self.tasks).map(|task| draw(ParameterName::theta(task, "hidden.weight"), (INPUTS, 2)));
        let phi = (0..self.tasks).map(|task| draw(ParameterName::phi(task, "out.weight"), (2 * self.tasks, CLASSES)));
        theta.chain(phi).collect()
    }

    fn forward(&self, parameters: &Parameters, task: usize, x: &Tensor) -> candle_core::Result<Tensor> {
        let hidden = (0..self.tasks).map(|task| parameters.theta(task, "hidden.weight"));
        let hidden = Tensor::cat(&hidden.collect::<candle_core::Result<Vec<_>>>()?, 1)?;
        x.matmul(&hidden)?.tanh()?.matmul(parameters.phi(task, "out.weight")?)
    }

    /// A width of its own for each task's theta; none for the heads, which have no bound.
    fn initial_width(&self, name: &ParameterName) -> Option<f64> {
        name.is_shared().then(|| 0.7 / (name.task + 1) as f64)
    }

    /// As if the heads were biases.
    fn decays(&self, name: &ParameterName) -> bool {
        name.is_shared()
    }
}

pub(crate) fn cross_entropy(logits: &Tensor, target: &Tensor) -> candle_core::Result<Tensor> {
    candle_nn::loss::cross_entropy(logits, target)
}

pub(crate) fn problem(tasks: usize) -> Problem {
    let losses = (0..tasks).map(|_| -> Loss { Box::new(cross_entropy) }).collect();
    Problem::new(Box::new(Tiny { tasks }), losses).unwrap()
}

pub(crate) fn initial(problem: &Problem, seed: u64) -> Parameters {
    problem.network().initial_parameters(seed, DType::F64, &Device::Cpu).unwrap()
}

/// The largest difference between two tensors of one name, among the names that `which` selects.
pub(crate) fn distance(a: &Parameters, b: &Parameters, which: impl Fn(&ParameterName) -> bool) -> f64 {
    let names = a.iter().filter(|(name, _)| which(name));
    let each = names.map(|(name, tensor)| {
        let difference = (tensor - b.get(name).unwrap()).unwrap().abs().unwrap();
        difference.flatten_all().unwrap().max(0).unwrap().to_scalar::<f64>().unwrap()
    });
    each.fold(0.0, f64::max)
}
