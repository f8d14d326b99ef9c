//! [`Plan`]: an experiment, checked as far as possible without its data.

use std::sync::Arc;

use serde_json::Value;

use super::check::check;
use super::experiment::Experiment;
use super::layers::{Layers, Overrides, read};
use super::losses::{PlannedLoss, describe, losses};
use super::run_config::{DataIdentity, RESULTS_VERSION, RunConfig};
use super::source::{experiment_name, find_experiment};
use crate::suite::{
    ConfigError, DatasetEntry, DatasetSpec, MethodEntry, MethodSettings, NetworkEntry, NetworkRequest, Registry,
    Sharing,
};

/// An experiment after a profile has been chosen, all names have been looked up, and all settings have been checked.
pub struct Plan {
    /// The experiment's name.
    pub name: String,
    /// The content of its file, merged with variables and flags.
    pub experiment: Experiment,
    /// Its data set.
    pub dataset: DatasetEntry,
    /// The data set's own settings with defaults filled in; `null` if it has none.
    pub data_settings: Value,
    /// Tasks, columns and input size.
    pub spec: DatasetSpec,
    /// Its network.
    pub network: NetworkEntry,
    /// The loss of each task.
    pub losses: Vec<PlannedLoss>,
    /// The requested methods, in the order of the table's rows.
    pub methods: Vec<PlannedMethod>,
    /// The other methods of the registry for which the experiment has valid settings. Earlier runs of these methods may exist,
    /// and then they belong in the table.
    pub further: Vec<PlannedMethod>,
    /// Names of the methods that the experiment's file itself names, in the file's order.
    first_block: Vec<String>,
}

/// A method with its settings.
#[derive(Clone, Debug)]
pub struct PlannedMethod {
    /// The method.
    pub entry: MethodEntry,
    /// Its settings, which were checked by building the method once.
    pub settings: Arc<dyn MethodSettings>,
    /// Whether the experiment's file itself names the method. These methods form the first block of the table.
    pub is_in_first_block: bool,
}

/// A run of the plan.
#[derive(Clone, Debug)]
pub struct PlannedRun {
    /// Everything that determines its result.
    pub config: RunConfig,
    /// Its method.
    pub method: PlannedMethod,
}

impl Plan {
    /// Finds the experiment called `experiment`, reads its layers, and checks everything that does not need the data.
    ///
    /// # Errors
    /// [`ConfigError`] with the first unknown name or value out of range, its place, and the expected value.
    pub fn load(registry: &Registry, experiment: &str, overrides: &Overrides) -> Result<Self, ConfigError> {
        let (source, text) = find_experiment(experiment)?;
        let layers = read(&source, &text, overrides)?;
        let read = &layers.experiment;
        check(read, registry)?;
        let dataset = registry.dataset(&read.dataset)?.clone();
        let data_settings = data_settings(&layers, &dataset)?;
        let spec = (dataset.spec)(&data_settings).map_err(|error| ConfigError::new(format!("{error:#}")))?;
        let network = registry.network(read.network.kind.as_deref().unwrap_or(&dataset.network))?.clone();
        let losses = losses(&layers, &spec, registry)?;
        let method = |entry: &MethodEntry| planned(&layers, entry, registry);
        let asked = |name: &String| method(registry.method(name)?);
        let methods = read.methods.iter().map(asked).collect::<Result<_, _>>()?;
        let is_further = |entry: &&MethodEntry| !read.methods.iter().any(|name| *name == entry.name);
        let further = registry.methods().iter().filter(is_further).filter_map(|entry| method(entry).ok()).collect();
        let (name, Layers { experiment, first_block, .. }) = (experiment_name(experiment), layers);
        Ok(Self { name, experiment, dataset, data_settings, spec, network, losses, methods, further, first_block })
    }

    /// All runs on data of this identity: all methods with the first seed, then all methods with the next seed.
    pub fn runs(&self, data: &DataIdentity) -> Vec<PlannedRun> {
        let of_seed = |seed| {
            self.methods.iter().map(move |method| {
                let config = self.run_config(method, seed, data);
                PlannedRun { config, method: method.clone() }
            })
        };
        (0..self.experiment.seeds).flat_map(of_seed).collect()
    }

    /// The run of `method` with `seed` on data of this identity.
    pub fn run_config(&self, method: &PlannedMethod, seed: u64, data: &DataIdentity) -> RunConfig {
        let experiment = &self.experiment;
        RunConfig {
            results_version: RESULTS_VERSION,
            experiment: self.name.clone(),
            method: method.entry.name.to_string(),
            seed,
            device: experiment.device.clone(),
            dataset: experiment.dataset.clone(),
            report: experiment.report,
            precision: experiment.precision,
            probe_every: experiment.probe_every,
            origin: data.origin.clone(),
            files: data.files.clone(),
            data: self.data_settings.clone(),
            network: experiment.network.clone(),
            training: experiment.training.clone(),
            loss: describe(&self.losses, &self.spec),
            settings: method.settings.describe(),
        }
    }

    /// `methods`, which belong to the first block, sorted in the order of the experiment's file.
    pub fn in_order_of_file<'a>(&self, mut methods: Vec<&'a PlannedMethod>) -> Vec<&'a PlannedMethod> {
        methods.sort_by_key(|method| self.first_block.iter().position(|name| *name == method.entry.name));
        methods
    }

    /// Builds the network of the experiment's tasks: one shared network, or one network per task.
    ///
    /// # Errors
    /// If the network's sizes do not fit the tasks.
    pub fn build_network(&self, sharing: Sharing) -> anyhow::Result<Box<dyn mtcool_core::Network>> {
        let (config, tasks) = (&self.experiment.network, &self.spec.tasks[..]);
        let precision = self.experiment.precision;
        let request = NetworkRequest { config, input: self.spec.input, tasks, all_tasks: tasks, precision };
        self.network.network(request, sharing)
    }
}

/// The checked settings of the experiment's data set with defaults filled in; `null` if it has none.
fn data_settings(layers: &Layers, dataset: &DatasetEntry) -> Result<Value, ConfigError> {
    let table = if layers.experiment.data.settings.is_empty() {
        crate::suite::Settings::default()
    } else {
        layers.table("data.settings")
    };
    let settings = (dataset.settings)(&table).map_err(|error| ConfigError::from_settings(error, "data.settings"))?;
    Ok(if settings.as_object().is_some_and(|fields| fields.is_empty()) { Value::Null } else { settings })
}

/// A method with its settings, which are checked by building the method once.
fn planned(layers: &Layers, entry: &MethodEntry, registry: &Registry) -> Result<PlannedMethod, ConfigError> {
    let given = &layers.experiment.method;
    let tables: Vec<&str> = entry.tables().filter(|table| given.contains_key(*table)).collect();
    let keys: Vec<String> = tables.iter().map(|table| format!("method.{table}")).collect();
    let settings =
        (entry.settings)(&layers.tables(keys.iter().map(String::as_str)), registry.methods()).map_err(|error| {
            // The value comes from the last table that has the key.
            let has_key = |table: &&&str| error.key().and_then(|key| given.get(**table)?.get(key)).is_some();
            let table = tables.iter().rfind(has_key).copied().unwrap_or(&entry.name).to_owned();
            ConfigError::from_settings(error, &format!("method.{table}"))
        })?;
    settings
        .build(&layers.experiment.training, 0)
        .map_err(|error| ConfigError::new(format!("method.{}: {error}", entry.name)))?;
    let is_in_first_block = layers.first_block.iter().any(|name| *name == entry.name);
    Ok(PlannedMethod { entry: entry.clone(), settings: settings.into(), is_in_first_block })
}
