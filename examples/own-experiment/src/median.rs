//! A method: every task's gradient is made as long as the median of all, then they are added.

use mtcool_bench::suite::{MethodEntry, MethodKind, MethodSettings, TrainingConfig};
use mtcool_core::{Aggregator, Combination, Combine, GradientMethod, Jacobian, Method, Result};
use serde::{Deserialize, Serialize};

pub(crate) fn entry() -> MethodEntry {
    MethodEntry {
        summary: "gradients made as long as their median".into(),
        // What its own table `[method.median]` does not say is taken from Joint's.
        inherits: Some("joint".into()),
        ..MethodEntry::new("median", "Median length", MethodKind::Aggregator, |settings, _| {
            Ok(Box::new(settings.read::<MedianSettings>()?))
        })
    }
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct MedianSettings {
    learning_rate: f64,
}

impl MethodSettings for MedianSettings {
    fn describe(&self) -> serde_json::Value {
        serde_json::json!(self)
    }

    fn build(&self, training: &TrainingConfig, _seed: u64) -> Result<Box<dyn Method>> {
        let combine = Combine::Gradients(Box::new(Median));
        Ok(Box::new(GradientMethod::new(combine, self.learning_rate, training.updates()?)?))
    }
}

struct Median;

impl Aggregator for Median {
    fn combine(&mut self, jacobian: &Jacobian<'_>, _iteration: u64) -> Result<Combination> {
        let lengths: Vec<f64> =
            jacobian.gramian()?.iter().enumerate().map(|(task, products)| products[task].sqrt()).collect();
        let mut sorted = lengths.clone();
        sorted.sort_by(f64::total_cmp);
        let median = sorted[(sorted.len() - 1) / 2];
        Ok(Combination::Weights(lengths.iter().map(|length| median / length.max(1e-12)).collect()))
    }
}
