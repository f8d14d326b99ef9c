//! Settings of the losses for numbers: L1, L2 and Huber. `mtcool_ops::RegressionLoss` states the formulas.

use anyhow::Result;
use mtcool_ops::Huber;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::suite::{ClassCounts, LossEntry, LossPart, LossSettings, Settings, SettingsError, TaskSpec};

/// `l1 = { weight }`.
pub(super) fn l1() -> LossEntry {
    LossEntry { name: "l1".into(), settings: |settings, task| read(settings, task, L1) }
}

/// `l2 = { weight }`.
pub(super) fn l2() -> LossEntry {
    LossEntry { name: "l2".into(), settings: |settings, task| read(settings, task, L2) }
}

/// `huber = { weight, delta }`.
pub(super) fn huber() -> LossEntry {
    LossEntry { name: "huber".into(), settings: |settings, task| read(settings, task, |keys: HuberKeys| keys) }
}

fn read<K: DeserializeOwned, L: LossSettings + 'static>(
    settings: &Settings,
    task: &TaskSpec,
    loss: fn(K) -> L,
) -> Result<Box<dyn LossSettings>, SettingsError> {
    if !task.output.is_numbers() {
        let message = format!(
            "task `{}` predicts classes: expected one of the losses `cross_entropy`, `dice` or `focal`",
            task.name
        );
        return Err(SettingsError::new("", message));
    }
    Ok(Box::new(loss(settings.read::<K>()?)))
}

fn one() -> f64 {
    1.0
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct WeightKey {
    #[serde(default = "one")]
    weight: f64,
}

#[derive(Clone, Debug)]
struct L1(WeightKey);

#[derive(Clone, Debug)]
struct L2(WeightKey);

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct HuberKeys {
    #[serde(default = "one")]
    weight: f64,
    #[serde(default = "one")]
    delta: f64,
}

impl LossSettings for L1 {
    fn describe(&self) -> Value {
        json!(self.0)
    }

    fn part(&self, _: &ClassCounts<'_>) -> Result<LossPart> {
        Ok(LossPart::L1(self.0.weight))
    }
}

impl LossSettings for L2 {
    fn describe(&self) -> Value {
        json!(self.0)
    }

    fn part(&self, _: &ClassCounts<'_>) -> Result<LossPart> {
        Ok(LossPart::L2(self.0.weight))
    }
}

impl LossSettings for HuberKeys {
    fn describe(&self) -> Value {
        json!(self)
    }

    fn part(&self, _: &ClassCounts<'_>) -> Result<LossPart> {
        Ok(LossPart::Huber(Huber { weight: self.weight, delta: self.delta }))
    }
}
