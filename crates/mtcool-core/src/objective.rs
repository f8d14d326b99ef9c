//! The objectives of the paper: Eqs. (5) and (6) for the update of one task, and Eq. (7) for the warm-up.

use candle_core::{D, Tensor};
use candle_nn::ops::log_softmax;

use crate::batches::Batch;
use crate::error::{Error, Result};
use crate::parameters::Parameters;
use crate::problem::{OutputKind, Problem};

/// The two terms of `L_i^[t]` in Eq. (6), scalars in the graph.
pub(crate) struct Cooperative {
    /// `1/M sum_j L_i(theta_i, phi_i, {theta_k + eps_k^(j)})`.
    pub(crate) loss: Tensor,
    /// `1/M sum_j KL(yhat_i^(j) || 1/M sum_n yhat_i^(n))`, if it was asked for.
    pub(crate) regularizer: Option<Tensor>,
}

/// Eqs. (5) and (6) for task `task` on `batch`; `draws[j]` holds the parameters of draw j. With a single draw the KL term is
/// always zero, so it is left out. Predicted numbers are means of normal distributions: see [`spread`].
pub(crate) fn cooperative(
    problem: &Problem,
    draws: &[Parameters],
    task: usize,
    batch: &Batch,
    regularize: bool,
) -> Result<Cooperative> {
    let mut losses = Vec::with_capacity(draws.len());
    let mut outputs = Vec::with_capacity(draws.len());
    for parameters in draws {
        let output = problem.forward(parameters, task, &batch.input)?;
        losses.push(problem.loss(task, &output, &batch.target)?);
        if regularize && draws.len() > 1 {
            let is_distribution = output.rank() >= 2 && output.dim(1)? >= 2;
            if problem.kind(task) == OutputKind::Classes && !is_distribution {
                return Err(Error::Mismatch {
                    what: format!("output of task {task}, whose predictions the KL term compares"),
                    expected: "logits [B, K, ...] of at least two classes; or `Problem::with_kinds` for numbers; or lambda = 0".into(),
                    got: format!("{:?}", output.dims()),
                });
            }
            outputs.push(output);
        }
    }
    let regularizer = match problem.kernels() {
        _ if outputs.is_empty() => None,
        _ if problem.kind(task) == OutputKind::Numbers => Some(spread(&outputs)?),
        Some(kernels) => Some(kernels.disagreement(&outputs)?),
        None => {
            let log_predictions = outputs.iter().map(|output| log_softmax(output, 1));
            Some(disagreement(&log_predictions.collect::<candle_core::Result<Vec<_>>>()?)?)
        }
    };
    Ok(Cooperative { loss: mean(&losses)?, regularizer })
}

/// `1/M sum_j KL(p_j || 1/M sum_n p_n)` of log-probabilities `[B, K, ...]`, averaged over the batch and over pixels. Its value
/// is between 0 (all draws predict the same) and ln M.
pub(crate) fn disagreement(log_predictions: &[Tensor]) -> Result<Tensor> {
    let draws = log_predictions.len() as f64;
    // log(1/M sum_n p_n) as the log-sum-exp of the log-probabilities, which stays right where probabilities underflow.
    let log_mean = (Tensor::stack(log_predictions, 0)?.log_sum_exp(0)? - draws.ln())?;
    let divergences = log_predictions.iter().map(|log_p| {
        let pointwise = (log_p.exp()? * (log_p - &log_mean)?)?;
        Ok(pointwise.sum(1)?.mean_all()?)
    });
    mean(&divergences.collect::<Result<Vec<_>>>()?)
}

/// The KL term of Eq. (6) for numbers `[B, ...]`, the means of normal distributions with variance 1:
/// `1/M sum_j KL(N(y_j, 1) || N(1/M sum_n y_n, 1)) = 1/M sum_j (y_j - 1/M sum_n y_n)^2 / 2`, summed over the numbers of a sample
/// and averaged over the batch.
pub(crate) fn spread(outputs: &[Tensor]) -> Result<Tensor> {
    let center = Tensor::stack(outputs, 0)?.mean(0)?;
    let samples = center.dims().first().copied().unwrap_or(1) as f64;
    let divergences = outputs.iter().map(|output| Ok(((output - &center)?.sqr()?.sum_all()? / (2.0 * samples))?));
    mean(&divergences.collect::<Result<Vec<_>>>()?)
}

/// The terms of Eq. (7) for one draw: the losses of all tasks at `parameters`, each on the batch of its task.
pub(crate) fn task_losses(problem: &Problem, parameters: &Parameters, batches: &[Batch]) -> Result<Vec<Tensor>> {
    let inputs: Vec<_> = batches.iter().map(|batch| &batch.input).collect();
    let outputs = problem.forward_all(parameters, &inputs)?;
    let losses = outputs.iter().zip(batches).enumerate();
    losses.map(|(task, (output, batch))| problem.loss(task, output, &batch.target)).collect()
}

/// The sum of scalars.
pub(crate) fn total(scalars: &[Tensor]) -> Result<Tensor> {
    Ok(Tensor::stack(scalars, 0)?.sum(D::Minus1)?)
}

/// The mean of scalars.
pub(crate) fn mean(scalars: &[Tensor]) -> Result<Tensor> {
    match scalars {
        [only] => Ok(only.clone()),
        several => Ok((total(several)? / several.len() as f64)?),
    }
}

#[cfg(test)]
mod tests {
    use candle_core::Device;
    use proptest::prelude::*;

    use super::*;

    fn scalar(tensor: &Tensor) -> f64 {
        tensor.to_scalar().unwrap()
    }

    /// The definition, written out with loops over probabilities.
    fn disagreement_by_definition(logits: &[Vec<Vec<f64>>]) -> f64 {
        let softmax = |row: &Vec<f64>| {
            let sum: f64 = row.iter().map(|x| x.exp()).sum();
            row.iter().map(|x| x.exp() / sum).collect::<Vec<_>>()
        };
        let p: Vec<Vec<Vec<f64>>> = logits.iter().map(|draw| draw.iter().map(softmax).collect()).collect();
        let (draws, batch, classes) = (p.len(), p[0].len(), p[0][0].len());
        let mut total = 0.0;
        for draw in &p {
            for (b, row) in draw.iter().enumerate() {
                for k in 0..classes {
                    let mean = p.iter().map(|other| other[b][k]).sum::<f64>() / draws as f64;
                    total += row[k] * (row[k] / mean).ln();
                }
            }
        }
        total / (draws * batch) as f64
    }

    proptest! {
        #[test]
        fn disagreement_is_the_mean_divergence_from_the_mean_prediction(
            logits in (1usize..5, 1usize..4, 2usize..6).prop_flat_map(|(draws, batch, classes)| {
                prop::collection::vec(prop::collection::vec(prop::collection::vec(-5.0..5.0f64, classes), batch), draws)
            })
        ) {
            let tensors: Vec<_> = logits
                .iter()
                .map(|draw| log_softmax(&Tensor::new(draw.clone(), &Device::Cpu).unwrap(), 1).unwrap())
                .collect();
            let value = scalar(&disagreement(&tensors).unwrap());
            prop_assert!((value - disagreement_by_definition(&logits)).abs() < 1e-12);
            prop_assert!(value >= -1e-12 && value <= (logits.len() as f64).ln() + 1e-12);
        }
    }

    #[test]
    fn the_spread_of_numbers_is_the_divergence_of_normal_distributions() {
        // Two draws of two numbers for two samples: the draws of a number differ by 2, 0, 1 and 4 from each other.
        let draw = |numbers: &[[f64; 2]; 2]| Tensor::new(numbers, &Device::Cpu).unwrap();
        let value = scalar(&spread(&[draw(&[[1.0, 5.0], [0.0, 2.0]]), draw(&[[3.0, 5.0], [1.0, -2.0]])]).unwrap());
        // Each draw lies half of the difference d away from the mean of both, so that a number adds d^2 / 8.
        assert!((value - (4.0 + 0.0 + 1.0 + 16.0) / 8.0 / 2.0).abs() < 1e-12, "{value}");
    }

    #[test]
    fn disagreement_survives_probabilities_that_underflow() {
        let confident = |sign: f32| {
            let logits = Tensor::new(&[[200.0f32 * sign, -200.0 * sign]], &Device::Cpu).unwrap();
            log_softmax(&logits, 1).unwrap()
        };
        let value = disagreement(&[confident(1.0), confident(-1.0)]).unwrap().to_scalar::<f32>().unwrap();
        assert!((value - 2f32.ln()).abs() < 1e-6, "{value}");
    }
}
