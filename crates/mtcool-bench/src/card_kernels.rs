//! What an NVIDIA card has kernels for.

use candle_core::{Result, Tensor};
use mtcool_core::{Kernels, Sgd};
use mtcool_ops::{SgdStep, clamp_on_card, disagreement_on_card, sgd_on_card};

/// By `mtcool-ops`.
#[derive(Clone, Copy, Debug)]
pub struct CardKernels;

impl Kernels for CardKernels {
    fn sgd(
        &self,
        sgd: Sgd,
        parameter: &Tensor,
        gradient: &Tensor,
        velocity: Option<&Tensor>,
        rate: f64,
    ) -> Result<(Tensor, Option<Tensor>)> {
        let step = SgdStep { rate, momentum: sgd.momentum, weight_decay: sgd.weight_decay };
        sgd_on_card(step, parameter, gradient, velocity)
    }

    fn clamp(&self, x: &Tensor, center: &Tensor, bound: f64) -> Result<Tensor> {
        clamp_on_card(x, center, bound)
    }

    fn disagreement(&self, logits: &[Tensor]) -> Result<Tensor> {
        disagreement_on_card(logits)
    }
}
