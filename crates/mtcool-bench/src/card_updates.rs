//! The updates of parameters that an NVIDIA card has kernels for.

use candle_core::{Result, Tensor};
use mtcool_core::{Sgd, Updates};
use mtcool_ops::{SgdStep, clamp_on_card, sgd_on_card};

/// By `mtcool-ops`.
#[derive(Clone, Copy, Debug)]
pub struct CardUpdates;

impl Updates for CardUpdates {
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
}
