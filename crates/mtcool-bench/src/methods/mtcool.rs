//! Settings of MT-COOL and its ablations.

use mtcool_core::{
    BoundUnit, ClampedVelocity, Method, Mtcool, MtcoolConfig, PerturbedParameters, UniformNoise, UpdateOrder, Variant,
};
use mtcool_models::PlacedNoise;
use serde::{Deserialize, Serialize};

use crate::suite::{MethodEntry, MethodSettings, Settings, SettingsError, TrainingConfig};

type Read = Result<Box<dyn MethodSettings>, SettingsError>;

/// The keys of `[method.mtcool]`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Keys {
    bound: f64,
    // Settings that later versions added stay out of the run's identity where they have their usual value.
    #[serde(default, skip_serializing_if = "is_usual")]
    bound_unit: Unit,
    #[serde(default, skip_serializing_if = "is_usual")]
    perturbed: Perturbed,
    #[serde(default, skip_serializing_if = "is_usual")]
    clamped_velocity: Velocity,
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

#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Unit {
    #[default]
    Absolute,
    InitialWidth,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Perturbed {
    #[default]
    All,
    Weights,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Velocity {
    #[default]
    Keeps,
    Stops,
}

fn is_usual<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
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
            bound_unit: match keys.bound_unit {
                Unit::Absolute => BoundUnit::Absolute,
                Unit::InitialWidth => BoundUnit::InitialWidth,
            },
            perturbed: match keys.perturbed {
                Perturbed::All => PerturbedParameters::All,
                Perturbed::Weights => PerturbedParameters::Weights,
            },
            clamped_velocity: match keys.clamped_velocity {
                Velocity::Keeps => ClampedVelocity::Keeps,
                Velocity::Stops => ClampedVelocity::Stops,
            },
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
        self.keys.warmup_iterations.saturating_add(self.keys.inner_iterations).saturating_mul(training.accumulate)
            as u64
    }

    /// The warm-up becomes half of the run, so that as much is left for the cooperative updates.
    fn shortened(&self, training: &TrainingConfig, batches: u64) -> Option<(Box<dyn MethodSettings>, String)> {
        let asked = self.keys.warmup_iterations;
        let iterations = usize::try_from(batches).ok()? / training.accumulate.max(1);
        let most = iterations.checked_sub(self.keys.inner_iterations)?;
        if asked <= most {
            return None;
        }
        let warmup_iterations = most.min(iterations / 2);
        let keys = Keys { warmup_iterations, ..self.keys.clone() };
        let note = format!(
            "the warm-up of {asked} iterations does not fit into {batches} batches of each task, so it is shortened to \
             {warmup_iterations}"
        );
        Some((Box::new(Self { keys, variant: self.variant }), note))
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

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(warmup_iterations: usize, inner_iterations: usize) -> MtcoolSettings {
        let schedule = Order::GaussSeidel;
        let (bound, rate) = (0.02, 0.1);
        let keys = Keys {
            bound,
            bound_unit: Unit::Absolute,
            perturbed: Perturbed::All,
            clamped_velocity: Velocity::Keeps,
            alpha: rate,
            beta: rate,
            samples: 2,
            inner_iterations,
            warmup_iterations,
            lambda: 1.0,
            schedule,
        };
        MtcoolSettings { keys, variant: Variant::Full }
    }

    /// The warm-up iterations of a run with this number of batches, if they have to be fewer.
    fn shortened(settings: &MtcoolSettings, accumulate: usize, batches: u64) -> Option<u64> {
        let training = TrainingConfig { accumulate, ..TrainingConfig::plain(1, 1) };
        let (shorter, note) = settings.shortened(&training, batches)?;
        assert!(shorter.least_batches(&training) <= batches, "{note}");
        let warmup = shorter.describe()["warmup_iterations"].as_u64().unwrap();
        assert!(note.contains(&format!("shortened to {warmup}")), "{note}");
        Some(warmup)
    }

    #[test]
    fn a_warm_up_that_fits_stays_and_another_one_becomes_half_of_the_run() {
        assert_eq!(shortened(&settings(800, 1), 1, 1584), None);
        assert_eq!(shortened(&settings(800, 1), 1, 801), None);
        assert_eq!(shortened(&settings(800, 1), 1, 800), Some(400));
        assert_eq!(shortened(&settings(800, 1), 1, 3), Some(1));
        assert_eq!(shortened(&settings(800, 1), 1, 1), Some(0));
        assert_eq!(shortened(&settings(800, 1), 4, 800), Some(100));
        assert_eq!(shortened(&settings(8, 7), 1, 10), Some(3));
        // Without a warm-up there is nothing to shorten, and the check of the budget refuses the run.
        assert_eq!(shortened(&settings(0, 2), 1, 1), None);
        assert_eq!(shortened(&settings(usize::MAX, 1), 1, 10), Some(5));
        assert_eq!(settings(usize::MAX, 1).least_batches(&TrainingConfig::plain(1, 1)), u64::MAX);
    }
}
