//! MT-COOL's noise around another method.

use mtcool_core::random::{Purpose, stream, uniform};
use mtcool_core::{Combine, Direction, DirectionSource, EpochSummary, Error, Parameters, Point, Result, StateTensors};

use crate::checks::{positive, without_own_passes};

/// The perturbations of MT-COOL (Wu et al. 2023) around an aggregator or a loss weighting, without its alternating updates, its clamp
/// and its KL term.
///
/// For draw j of M:
///
/// 1. `eps^(j) ~ U(-b, b)` for every element of the shared parameters theta
/// 2. losses and gradients at `theta + eps^(j)`
///
/// The wrapped method then combines the means over the draws. As in Eq. (7), it descends the mean loss in a box around theta, so that it
/// favours flat minima; compared with MT-COOL it tells what the noise does and what the alternation does.
///
/// Cost of a step: M times the passes of the wrapped method, and its own work once.
pub struct Perturbed {
    inside: Combine,
    seed: u64,
    bound: f64,
    samples: usize,
}

impl Perturbed {
    /// `bound` is b, positive; `samples` is M, at least 1. The noise follows from `seed` and the iteration.
    ///
    /// # Errors
    /// If a setting is out of its range, or `inside` finds its direction by passes of its own.
    pub fn new(inside: Combine, seed: u64, bound: f64, samples: usize) -> Result<Self> {
        if samples == 0 {
            return Err(Error::out_of_range("samples", samples, "at least 1"));
        }
        without_own_passes("the method inside the noise", &inside)?;
        Ok(Self { inside, seed, bound: positive("bound", bound)?, samples })
    }

    /// theta + eps of draw `sample`, and the other parameters as they are.
    fn place(&self, parameters: &Parameters, iteration: u64, sample: usize) -> Result<Parameters> {
        parameters.map(|name, tensor| {
            if !name.is_shared() {
                return Ok(tensor.clone());
            }
            let at = [iteration as u32, (iteration >> 32) as u32, sample as u32, 0];
            let mut generator = stream(self.seed, Purpose::Method, at, &format!("perturbed.{name}"));
            let noise = uniform(&mut generator, self.bound, tensor.shape(), tensor.dtype(), tensor.device())?;
            Ok((tensor + noise)?)
        })
    }
}

impl DirectionSource for Perturbed {
    fn direction(&mut self, point: &Point<'_>, iteration: u64) -> Result<Direction> {
        let place = |sample| self.place(point.parameters(), iteration, sample);
        let places = (0..self.samples).map(place).collect::<Result<Vec<_>>>()?;
        self.inside.direction(&point.at_places(&places), iteration)
    }

    state_of_inside!();
}
