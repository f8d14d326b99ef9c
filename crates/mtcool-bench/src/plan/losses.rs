//! The losses of an experiment's tasks, read from its tables `[loss.TASK]`.

use std::collections::BTreeMap;
use std::sync::Arc;

use anyhow::Result;
use serde_json::Value;

use super::layers::Layers;
use crate::suite::{
    ClassCounts, ConfigError, DatasetSpec, LossPart, LossSettings, Name, Registry, Settings, TaskOutput, TaskSpec,
};

/// The parts of a task's loss, with checked settings.
#[derive(Clone, Debug)]
pub struct PlannedLoss(Vec<(Name, Arc<dyn LossSettings>)>);

impl PlannedLoss {
    /// The parts of the loss, given the number of training targets of each class.
    ///
    /// # Errors
    /// If a setting is out of range, or the classes cannot be counted.
    pub fn parts(&self, counts: &ClassCounts<'_>) -> Result<Vec<LossPart>> {
        self.0.iter().map(|(_, settings)| settings.part(counts)).collect()
    }

    /// All settings with defaults filled in. They are part of a run's identity.
    pub fn describe(&self) -> Value {
        self.0.iter().map(|(name, settings)| (name.to_string(), settings.describe())).collect()
    }
}

/// The loss of each task: from its table, or, without a table, the data set's usual losses, plain cross-entropy for classes and
/// squared error for numbers if it names none.
pub(super) fn losses(
    layers: &Layers,
    spec: &DatasetSpec,
    registry: &Registry,
) -> Result<Vec<PlannedLoss>, ConfigError> {
    let given = &layers.experiment.loss;
    let names: Vec<&str> = spec.tasks.iter().map(|task| &*task.name).collect();
    if let Some(unknown) = given.keys().find(|name| !names.contains(&name.as_str())) {
        return Err(ConfigError::unknown("task in `loss`", unknown, &names));
    }
    let loss = |task: &TaskSpec| match given.get(&*task.name) {
        Some(table) => {
            if let Some((key, value)) = table.iter().find(|(_, value)| value.as_dict().is_none()) {
                let shown =
                    value.clone().deserialize::<Value>().map_or_else(|_| "no table".into(), |value| value.to_string());
                return Err(ConfigError::new(format!(
                    "`loss.{}.{key}` is {shown}: expected a table of its settings, such as {{ weight = 1.0 }}",
                    task.name
                )));
            }
            let keys = table.keys().map(String::as_str);
            planned(task, keys, &|key| layers.table(&format!("loss.{}.{key}", task.name)), registry)
        }
        None if task.usual_losses.is_empty() => {
            planned(task, [usual(task.output)].into_iter(), &|_| Settings::default(), registry)
        }
        None => {
            let usual = |key: &str| task.usual_losses.iter().find(|(name, _)| name == key).map(|(_, value)| value);
            let table = |key: &str| {
                let fields = usual(key).and_then(Value::as_object).into_iter().flatten();
                fields.fold(Settings::default(), |table, (field, value)| table.or(field, value))
            };
            planned(task, task.usual_losses.iter().map(|(name, _)| &**name), &table, registry)
        }
    };
    spec.tasks.iter().map(loss).collect()
}

/// The default loss of a task.
fn usual(output: TaskOutput) -> &'static str {
    match output {
        TaskOutput::Class { .. } | TaskOutput::Segmentation { .. } | TaskOutput::Multilabel { .. } => "cross_entropy",
        TaskOutput::Regression { .. } => "l2",
    }
}

fn planned<'a>(
    task: &TaskSpec,
    keys: impl Iterator<Item = &'a str>,
    table: &dyn Fn(&str) -> Settings,
    registry: &Registry,
) -> Result<PlannedLoss, ConfigError> {
    let part = |key: &str| {
        let entry = registry.loss(key).map_err(|error| error.within(format!("loss.{}", task.name)))?;
        let place = format!("loss.{}.{key}", task.name);
        let settings =
            (entry.settings)(&table(key), task).map_err(|error| ConfigError::from_settings(error, &place))?;
        Ok((entry.name.clone(), settings.into()))
    };
    keys.map(part).collect::<Result<_, _>>().map(PlannedLoss)
}

/// The losses of all tasks, as part of a run's identity.
pub(super) fn describe(losses: &[PlannedLoss], spec: &DatasetSpec) -> BTreeMap<String, Value> {
    spec.tasks.iter().zip(losses).map(|(task, loss)| (task.name.to_string(), loss.describe())).collect()
}
