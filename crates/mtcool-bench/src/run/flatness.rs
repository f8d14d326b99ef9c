//! How much a task's loss rises when weights are moved at random: the flatness that MT-COOL searches for, measured on any network.

use anyhow::{Result, ensure};
use mtcool_core::{Batch, NoiseDraw, NoiseSource, ParameterKind, Parameters, Problem, UniformNoise};

use crate::record::{Moved, MovedLoss};
use crate::suite::Name;

/// The most draws of the noise.
const MOST_DRAWS: usize = 10_000;

/// How flatness is measured.
#[derive(Clone, Debug, PartialEq)]
pub struct FlatnessRequest {
    /// The half-widths r of the uniform noise, each 0 or more.
    pub radii: Vec<f64>,
    /// Number of draws of the noise for each radius.
    pub draws: usize,
}

impl FlatnessRequest {
    /// Checks the values.
    ///
    /// # Errors
    /// If there is no radius, a radius is negative or not finite, or the number of draws is out of range.
    pub fn check(&self) -> Result<()> {
        ensure!(!self.radii.is_empty(), "`--radii` is empty: expected numbers such as 0.01,0.02,0.05");
        for radius in &self.radii {
            ensure!(
                *radius >= 0.0 && radius.is_finite(),
                "`--radii` has {radius}: expected numbers that are not negative"
            );
        }
        let draws = self.draws;
        ensure!((1..=MOST_DRAWS).contains(&draws), "`--draws` is {draws}: expected 1 to {MOST_DRAWS}");
        Ok(())
    }
}

/// The losses of all tasks on `batches` around `parameters`; `batches[k][i]` is a batch of task i. For all radii the noise has the same
/// directions, so that their losses differ by the radius alone.
///
/// # Errors
/// If a forward pass fails.
pub fn measure_flatness(
    problem: &Problem,
    parameters: &Parameters,
    batches: &[Vec<Batch>],
    tasks: &[Name],
    request: &FlatnessRequest,
) -> Result<Vec<MovedLoss>> {
    let mut losses = Vec::new();
    for (task, name) in tasks.iter().enumerate() {
        let at_zero = loss(problem, parameters, batches, task)?;
        for moved in Moved::ALL {
            for &radius in &request.radii {
                let mut sum = 0.0;
                for draw in 0..request.draws {
                    let there = displaced(parameters, task, moved, radius, draw)?;
                    sum += loss(problem, &there, batches, task)?;
                }
                losses.push(MovedLoss {
                    task: name.clone(),
                    moved,
                    radius,
                    draws: request.draws as u64,
                    batches: batches.len() as u64,
                    loss: sum / request.draws as f64,
                    at_zero,
                });
            }
        }
    }
    Ok(losses)
}

/// `parameters` with theta moved by `radius` times draw `draw` of U(-1, 1).
fn displaced(parameters: &Parameters, task: usize, moved: Moved, radius: f64, draw: usize) -> Result<Parameters> {
    let mut noise = UniformNoise::new(0, 1.0)?;
    let draw = NoiseDraw::Warmup { iteration: 0, sample: draw };
    let is_moved = |owner: usize| match moved {
        Moved::Others => owner != task,
        Moved::Own => owner == task,
    };
    Ok(parameters.map(|name, tensor| {
        if name.kind == ParameterKind::Theta && is_moved(name.task) {
            Ok((tensor + (noise.noise(draw, name, tensor)? * radius)?)?)
        } else {
            Ok(tensor.clone())
        }
    })?)
}

/// The mean loss of `task` over its batches.
fn loss(problem: &Problem, parameters: &Parameters, batches: &[Vec<Batch>], task: usize) -> Result<f64> {
    let mut sum = 0.0;
    for batch in batches.iter().map(|batches| &batches[task]) {
        let output = problem.network().forward(parameters, task, &batch.input)?;
        sum += problem.loss(task, &output, &batch.target)?.to_dtype(candle_core::DType::F64)?.to_scalar::<f64>()?;
    }
    Ok(sum / batches.len().max(1) as f64)
}

#[cfg(test)]
mod tests {
    use candle_core::{DType, Device, Tensor};
    use mtcool_core::{Loss, Network, ParameterName};

    use super::*;

    /// Two tasks with one theta each; the output of a task is theta of both: `2 own + other`.
    struct Sum;

    impl Network for Sum {
        fn tasks(&self) -> usize {
            2
        }

        fn initial_parameters(&self, _: u64, dtype: DType, device: &Device) -> candle_core::Result<Parameters> {
            let mut parameters = Parameters::new();
            for task in 0..2 {
                parameters.insert(ParameterName::theta(task, "a"), Tensor::ones(1, dtype, device)?);
            }
            Ok(parameters)
        }

        fn forward(&self, parameters: &Parameters, task: usize, _: &Tensor) -> candle_core::Result<Tensor> {
            let of = |task: usize| parameters.theta(task, "a");
            (of(task)? * 2.0)?.add(of(1 - task)?)
        }
    }

    #[test]
    fn only_the_named_weights_move_and_as_far_as_the_radius() {
        let squared = || -> Loss {
            Box::new(|output: &Tensor, _: &Tensor| -> candle_core::Result<Tensor> { (output - 3.0)?.sqr()?.sum_all() })
        };
        let problem = Problem::new(Box::new(Sum), vec![squared(), squared()]).unwrap();
        let parameters = Sum.initial_parameters(0, DType::F64, &Device::Cpu).unwrap();
        let batch = Batch {
            input: parameters.theta(0, "a").unwrap().clone(),
            target: Tensor::new(0f64, &Device::Cpu).unwrap(),
        };
        let request = FlatnessRequest { radii: vec![0.0, 0.1, 0.2], draws: 400 };
        let names = [Name::from("a"), Name::from("b")];
        let found = measure_flatness(&problem, &parameters, &[vec![batch.clone(), batch]], &names, &request).unwrap();
        assert_eq!(found.len(), 2 * 2 * 3);
        for entry in &found {
            // The output at the minimum is 3; E[(factor r u)^2] = (factor r)^2 / 3 for u of U(-1, 1).
            let factor = if entry.moved == Moved::Own { 2.0 } else { 1.0 };
            let want = (factor * entry.radius).powi(2) / 3.0;
            assert!((entry.loss - want).abs() <= 0.2 * want, "{entry:?}, {want}");
            assert_eq!(entry.at_zero, 0.0);
        }
        let ratio = |radius: f64| found.iter().find(|entry| entry.radius == radius).unwrap().loss;
        assert!((ratio(0.2) / ratio(0.1) - 4.0).abs() < 1e-9, "the directions are the same for all radii");
        assert!(FlatnessRequest { radii: vec![-0.1], draws: 1 }.check().is_err());
        assert!(FlatnessRequest { radii: vec![0.1], draws: 0 }.check().is_err());
    }
}
