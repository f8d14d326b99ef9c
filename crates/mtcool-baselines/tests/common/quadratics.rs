//! Two tasks with a known Pareto front: `L_i = 1/2 sum_k a_ik (theta_k - c_ik)^2 + 1/2 (phi_i - i)^2 + 1/2`.

use candle_core::{DType, Device, Tensor};
use mtcool_core::{
    Batch, BatchSource, Combine, EpochSummary, GradientMethod, Loss, Method, Network, ParameterName, Parameters,
    Problem, RateSchedule, Result, Sgd, Step, UpdateSettings,
};

/// `a_ik`.
pub const CURVATURES: [[f64; 2]; 2] = [[1.0, 0.3], [0.4, 2.0]];
/// `c_ik`, where the loss of task i is smallest.
pub const CENTERS: [[f64; 2]; 2] = [[1.0, 0.0], [-1.0, 1.5]];
/// The smallest value of every loss; real losses do not reach 0 either, because labels have noise.
pub const FLOOR: f64 = 0.5;

/// Two coordinates that both tasks read. By their names, task 0 owns the first and task 1 the second.
struct Coordinates;

impl Network for Coordinates {
    fn tasks(&self) -> usize {
        2
    }

    fn initial_parameters(&self, _seed: u64, dtype: DType, device: &Device) -> candle_core::Result<Parameters> {
        let one = |name, value: f64| Ok((name, Tensor::new(&[value], device)?.to_dtype(dtype)?));
        let theta = [2.0, 2.5].into_iter().enumerate().map(|(k, value)| one(ParameterName::theta(k, "x"), value));
        let phi = (0..2).map(|task| one(ParameterName::phi(task, "y"), 0.7));
        theta.chain(phi).collect()
    }

    fn forward(&self, parameters: &Parameters, task: usize, _input: &Tensor) -> candle_core::Result<Tensor> {
        Tensor::cat(&[parameters.theta(0, "x")?, parameters.theta(1, "x")?, parameters.phi(task, "y")?], 0)
    }
}

/// Steps per epoch.
pub const EPOCH: u64 = 4;

/// The same batch in every step: a task's curvatures and centers.
pub struct Always;

impl BatchSource for Always {
    fn next(&mut self, task: usize) -> Result<Batch> {
        let ([a, b], [c, d]) = (CURVATURES[task], CENTERS[task]);
        let input = Tensor::new(&[a, b, 1.0], &Device::Cpu)?;
        let target = Tensor::new(&[c, d, task as f64], &Device::Cpu)?;
        Ok(Batch { target: Tensor::stack(&[&input, &target], 0)?, input })
    }
}

pub fn problem() -> Problem {
    let loss = || -> Loss {
        Box::new(|output, target| {
            let off = (output - target.get(1)?)?.sqr()?;
            ((off * target.get(0)?)?.sum_all()? * 0.5)? + FLOOR
        })
    };
    Problem::new(Box::new(Coordinates), vec![loss(), loss()]).unwrap()
}

pub fn method(combine: Combine, rate: f64, sgd: Sgd) -> GradientMethod {
    GradientMethod::new(combine, rate, UpdateSettings { rate: RateSchedule::Cosine, ..UpdateSettings::new(sgd) })
        .unwrap()
}

/// Trains for `steps` steps, of a run of `length` steps of which `done` are over. Returns the losses of the last step.
pub fn train(method: &mut dyn Method, parameters: &mut Parameters, done: u64, steps: u64, length: u64) -> Vec<f64> {
    let problem = problem();
    let mut losses = Vec::new();
    for step in done..done + steps {
        let progress = step as f64 / length as f64;
        let report = method.step(Step { problem: &problem, parameters, batches: &mut Always, progress }).unwrap();
        losses = report.check_finite().unwrap().iter().map(|entry| entry.loss).collect();
        if (step + 1) % EPOCH == 0 {
            let (epochs, validation) = ((step + 1) / EPOCH, [losses[0] + 0.1, losses[1] + 0.3]);
            let summary = EpochSummary { epochs, training_losses: &losses, validation_losses: &validation };
            method.end_epoch(&summary).unwrap();
        }
    }
    losses
}

pub fn start() -> Parameters {
    problem().network().initial_parameters(0, DType::F64, &Device::Cpu).unwrap()
}

/// The values of theta, then those of phi.
pub fn values(parameters: &Parameters) -> Vec<f64> {
    parameters.iter().map(|(_, tensor)| tensor.to_vec1::<f64>().unwrap()[0]).collect()
}

/// The minimum of `sum_i w_i L_i`. For w on the simplex, these points are the Pareto front.
pub fn optimum(weights: [f64; 2]) -> [f64; 2] {
    [0, 1].map(|k| {
        let pull = |i: usize| weights[i] * CURVATURES[i][k];
        (pull(0) * CENTERS[0][k] + pull(1) * CENTERS[1][k]) / (pull(0) + pull(1))
    })
}

pub fn distance(theta: &[f64], to: [f64; 2]) -> f64 {
    (theta[0] - to[0]).hypot(theta[1] - to[1])
}

/// How far theta is from the nearest Pareto-optimal point.
pub fn distance_to_front(theta: &[f64]) -> f64 {
    let distances = (0..=20_000).map(|n| f64::from(n) / 20_000.0).map(|w| distance(theta, optimum([w, 1.0 - w])));
    distances.fold(f64::INFINITY, f64::min)
}
