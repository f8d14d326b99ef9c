//! Settings of MoCo.

use mtcool_baselines::{MoCo, MoCoSettings};
use mtcool_core::{Combine, Result};
use serde::{Deserialize, Serialize};

use super::gradient::{Keys, read};
use crate::suite::{MethodEntry, MethodKind};

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Settings {
    learning_rate: f64,
    #[serde(default = "beta")]
    beta: f64,
    #[serde(default = "beta_sigma")]
    beta_sigma: f64,
    #[serde(default = "gamma")]
    gamma: f64,
    #[serde(default = "gamma_sigma")]
    gamma_sigma: f64,
    #[serde(default = "rho")]
    rho: f64,
}

fn beta() -> f64 {
    MoCoSettings::default().beta
}

fn beta_sigma() -> f64 {
    MoCoSettings::default().beta_sigma
}

fn gamma() -> f64 {
    MoCoSettings::default().gamma
}

fn gamma_sigma() -> f64 {
    MoCoSettings::default().gamma_sigma
}

fn rho() -> f64 {
    MoCoSettings::default().rho
}

impl Keys for Settings {
    fn learning_rate(&self) -> f64 {
        self.learning_rate
    }

    fn combine(&self, _seed: u64) -> Result<Combine> {
        let Self { beta, beta_sigma, gamma, gamma_sigma, rho, .. } = *self;
        Ok(Combine::Gradients(Box::new(MoCo::new(MoCoSettings { beta, beta_sigma, gamma, gamma_sigma, rho })?)))
    }
}

pub(super) fn entry() -> MethodEntry {
    MethodEntry::new("moco", "MoCo", MethodKind::Aggregator, read::<Settings>)
        .described(
            "combines running means of the gradients, ever shorter",
            "T backward passes, 1 pass over all gradients",
            "Fernando et al. 2023",
        )
        .titled("Mitigating gradient bias in multi-objective learning: a provably convergent stochastic approach")
        .explained(
            "y_i follows L_i g_i / |g_i|; lambda = softmax(lambda - gamma (y y^T + rho I) lambda); d = sum_i \
             lambda_i y_i",
            "converges to Pareto-stationary points with falling rates (in the paper's form); losses >= 0",
            &[
                ["beta", "> 0", "rate of the running means"],
                ["beta_sigma", ">= 0", "power of the step by which beta falls"],
                ["gamma", "> 0", "rate of the weights"],
                ["gamma_sigma", ">= 0", "power of the step by which gamma falls"],
                ["rho", ">= 0", "pull of the weights towards 0 before the softmax"],
            ],
        )
        .inheriting("joint")
}
