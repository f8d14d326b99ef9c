//! Settings of MT-COOL and its ablations.

use mtcool_core::{Method, Mtcool, MtcoolConfig, UniformNoise, UpdateOrder, Variant};
use mtcool_models::PlacedNoise;
use serde::{Deserialize, Serialize};

use crate::suite::{MethodEntry, MethodSettings, Settings, SettingsError, TrainingConfig};

type Read = Result<Box<dyn MethodSettings>, SettingsError>;

/// The keys of `[method.mtcool]`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Keys {
    bound: f64,
    alpha: f64,
    beta: f64,
    samples: usize,
    inner_iterations: usize,
    warmup_iterations: usize,
    lambda: f64,
    schedule: Order,
}

#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Order {
    GaussSeidel,
    Jacobi,
}

#[derive(Debug)]
struct MtcoolSettings {
    keys: Keys,
    variant: Variant,
}

fn read(settings: &Settings, variant: Variant) -> Read {
    Ok(Box::new(MtcoolSettings { keys: settings.read()?, variant }))
}

pub(super) fn vanilla(settings: &Settings, _: &[MethodEntry]) -> Read {
    read(settings, Variant::Vanilla)
}

pub(super) fn no_regularizer(settings: &Settings, _: &[MethodEntry]) -> Read {
    read(settings, Variant::NoRegularizer)
}

pub(super) fn full(settings: &Settings, _: &[MethodEntry]) -> Read {
    read(settings, Variant::Full)
}

impl MtcoolSettings {
    fn config(&self, training: &TrainingConfig) -> mtcool_core::Result<MtcoolConfig> {
        let keys = self.keys.clone();
        Ok(MtcoolConfig {
            variant: self.variant,
            bound: keys.bound,
            alpha: keys.alpha,
            beta: keys.beta,
            samples: keys.samples,
            inner_iterations: keys.inner_iterations,
            warmup_iterations: keys.warmup_iterations,
            lambda: keys.lambda,
            schedule: match keys.schedule {
                Order::GaussSeidel => UpdateOrder::GaussSeidel,
                Order::Jacobi => UpdateOrder::Jacobi,
            },
            updates: training.updates()?,
        })
    }
}

impl MethodSettings for MtcoolSettings {
    fn describe(&self) -> serde_json::Value {
        serde_json::json!(self.keys)
    }

    fn build(&self, training: &TrainingConfig, seed: u64) -> mtcool_core::Result<Box<dyn Method>> {
        let config = self.config(training)?.check()?;
        let noise = PlacedNoise(UniformNoise::new(seed, config.bound)?);
        Ok(Box::new(Mtcool::new(config, Box::new(noise))?))
    }

    fn least_batches(&self, training: &TrainingConfig) -> u64 {
        ((self.keys.warmup_iterations + self.keys.inner_iterations) * training.accumulate) as u64
    }

    fn warning(&self) -> Option<&'static str> {
        let variant = (self.variant == Variant::Full).then_some(&self.keys)?;
        MtcoolConfig {
            variant: self.variant,
            lambda: variant.lambda,
            samples: variant.samples,
            ..MtcoolConfig::default()
        }
        .warning()
    }
}
