//! [`Plan`]: an experiment, checked as far as possible without its data.

use serde_json::Value;
use sha2::{Digest, Sha256};

use super::check::{check, check_columns_of_claims};
use super::diagnosis::Diagnosis;
use super::experiment::Experiment;
use super::external::check_external;
use super::layers::{Layers, Overrides, read};
use super::losses::{PlannedLoss, describe, losses};
use super::methods::{PlannedMethod, planned};
use super::objective::selection;
use super::run_config::{DataIdentity, RESULTS_VERSION, RunConfig};
use super::source::ExperimentSource;
use super::variants::{Rows, Variant};
use crate::suite::{
    Column, ConfigError, DatasetEntry, DatasetSpec, NetworkConfig, NetworkEntry, NetworkRequest, Registry, Sharing,
    Split, TrainingConfig, number_of, one_line,
};

/// An experiment after a profile has been chosen, all names have been looked up, and all settings have been checked.
pub struct Plan {
    /// Its name and its file.
    pub source: ExperimentSource,
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
    /// The requested methods and variants, in the order of the table's rows.
    pub methods: Vec<PlannedMethod>,
    /// The other methods of the registry and variants of the file for which the experiment has valid settings. Earlier runs of
    /// them may exist, and then they belong in the table.
    pub further: Vec<PlannedMethod>,
    /// What the runs are executed for if not for the table.
    pub diagnosis: Option<Diagnosis>,
    /// Names of the methods and variants that the experiment's file itself names, in the file's order.
    first_block: Vec<String>,
}

/// The note below a table whose data set has no test part.
const NO_TEST: &str = "There is no test part: the table shows the validation part, on which settings may have been chosen, so that \
                       its figures are too good for new cases.";

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
        let source = ExperimentSource::find(experiment)?;
        let mut layers = read(&source, overrides, registry)?;
        Self::of_layers(registry, source, &mut layers)
    }

    /// The same for the merged layers of `source`.
    pub(super) fn of_layers(
        registry: &Registry,
        source: ExperimentSource,
        layers: &mut Layers,
    ) -> Result<Self, ConfigError> {
        let rows = Rows { experiment: &layers.experiment, points: &layers.points, registry };
        check(&rows)?;
        layers.search()?;
        let (asked, first_block, mut further) = (rows.asked(), rows.expand(&layers.first_block), rows.all());
        further.retain(|name| !asked.contains(name));
        let find = |names: Vec<String>| names.iter().map(|name| rows.find(name)).collect::<Result<Vec<_>, _>>();
        let (asked, further) = (find(asked)?, find(further)?);
        layers.first_block.clone_from(&first_block);
        let layers = &*layers;
        let read = &layers.experiment;
        let dataset = registry.dataset(&read.dataset)?.clone();
        check_external(&read.external, &dataset)?;
        let data_settings = data_settings(layers, &dataset)?;
        let spec = (dataset.spec)(&data_settings).map_err(|error| ConfigError::new(format!("{error:#}")))?;
        check_columns_of_claims(read, &spec.columns)?;
        let network = registry.network(read.network.kind.as_deref().unwrap_or(&dataset.network))?.clone();
        let losses = losses(layers, &spec, registry)?;
        let method = |variant| planned(layers, variant, registry, spec.tasks.len());
        // `all` means all methods that are defined for the number of tasks.
        let is_all = read.methods[..] == ["all"];
        let fits = |variant: &&Variant| !is_all || variant.entry.least_tasks <= spec.tasks.len();
        let methods: Vec<PlannedMethod> = asked.iter().filter(fits).map(method).collect::<Result<_, _>>()?;
        check_rows(&methods)?;
        for method in &methods {
            selection(&method.training, &spec.columns)?;
        }
        let is_new = |further: &PlannedMethod| !methods.iter().any(|method| method.is_same_as(further));
        let further = further.iter().filter_map(|variant| method(variant).ok()).filter(is_new).collect();
        let mut experiment = layers.experiment.clone();
        if !spec.has_test {
            experiment.report = Split::Validation;
            experiment.notes.push(NO_TEST.into());
        }
        mark_overfit(&mut experiment);
        experiment.dataset = dataset.name.to_string();
        let plan = Self {
            source,
            experiment,
            dataset,
            data_settings,
            spec,
            network,
            losses,
            methods,
            further,
            diagnosis: None,
            first_block,
        };
        plan.check_networks()?;
        Ok(plan)
    }

    /// Builds the network of each method, so that sizes that no network can have are refused before any data is read.
    fn check_networks(&self) -> Result<(), ConfigError> {
        for method in &self.methods {
            let built = self.network_of(&method.network, method.entry.sharing);
            let is_variant = method.network != self.experiment.network;
            let within = |error: ConfigError| {
                if is_variant { error.within(format!("method.{}", method.entry.name)) } else { error }
            };
            built.map_err(|error| within(ConfigError::new(one_line(&error))))?;
        }
        Ok(())
    }

    /// The same plan with runs for `diagnosis`, which reads the test split.
    ///
    /// # Errors
    /// If the plan's table is about the validation split: there is no test split, or it is not to be read.
    pub fn diagnosing(self, diagnosis: Diagnosis) -> Result<Self, ConfigError> {
        if self.experiment.report == Split::Validation {
            let why = if self.spec.has_test { "`report` is \"validation\"" } else { "the data has no test part" };
            return Err(ConfigError::new(format!(
                "`--diagnose {}` reads the test split, but {why}: expected an experiment whose table is about the test split",
                diagnosis.name()
            )));
        }
        Ok(Self { diagnosis: Some(diagnosis), ..self })
    }

    /// All runs on data of this identity: all methods with the first seed, then all methods with the next seed.
    pub fn runs(&self, data: &DataIdentity) -> Vec<PlannedRun> {
        let of_seed = |seed| {
            self.methods.iter().map(move |method| {
                let config = self.run_config(method, seed, data);
                PlannedRun { config, method: self.fitted(method, data) }
            })
        };
        self.experiment.seeds.all().into_iter().flat_map(of_seed).collect()
    }

    /// The columns by which runs with the settings `training` select their best epoch; `None` if they take the last one.
    ///
    /// # Errors
    /// None for a method of this plan, whose columns were checked.
    pub fn selection(&self, training: &TrainingConfig) -> Result<Option<Vec<Column>>, ConfigError> {
        selection(training, &self.spec.columns)
    }

    /// The run of `method` with `seed` on data of this identity.
    pub fn run_config(&self, method: &PlannedMethod, seed: u64, data: &DataIdentity) -> RunConfig {
        let experiment = &self.experiment;
        RunConfig {
            results_version: RESULTS_VERSION,
            experiment: self.source.name.clone(),
            method: method.like.clone(),
            seed,
            device: experiment.device.split(':').next().unwrap_or_default().to_owned(),
            dataset: experiment.dataset.clone(),
            report: experiment.report,
            diagnosis: self.diagnosis,
            precision: experiment.precision,
            probe_every: experiment.probe_every,
            origin: data.origin.clone(),
            files: data.files.clone(),
            data: self.data_settings.clone(),
            overfit: experiment.overfit,
            network: method.network.clone(),
            training: method.training.clone(),
            loss: describe(&self.losses, &self.spec),
            settings: self.fitted(method, data).settings.describe(),
        }
    }

    /// Whether a row of the table has the run with this hash, of the registry's method `like` with this seed on data of this
    /// identity.
    pub fn has_run(&self, like: &str, seed: u64, hash: &str, data: &DataIdentity) -> bool {
        let mut methods = self.methods.iter().chain(&self.further).filter(|method| method.like == like);
        methods.any(|method| self.run_config(method, seed, data).has_hash(hash))
    }

    /// The identity of everything that the rows of this plan's table have: two plans with the same identity ask the same question
    /// of the runs, whatever methods and seeds they run themselves.
    pub fn table_id(&self, data: &DataIdentity) -> String {
        let of_row = |method: &PlannedMethod| (method.entry.name.to_string(), self.run_config(method, 0, data).hash());
        let mut rows: Vec<(String, String)> = self.methods.iter().chain(&self.further).map(of_row).collect();
        rows.sort();
        let text: String = rows.iter().map(|(name, hash)| format!("{name} {hash}\n")).collect();
        Sha256::digest(text.as_bytes()).iter().take(4).map(|byte| format!("{byte:02x}")).collect()
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
        self.network_of(&self.experiment.network, sharing)
    }

    /// The same with the sizes `config`, such as those of a variant.
    ///
    /// # Errors
    /// As [`Plan::build_network`].
    pub fn network_of(
        &self,
        config: &NetworkConfig,
        sharing: Sharing,
    ) -> anyhow::Result<Box<dyn mtcool_core::Network>> {
        let tasks = &self.spec.tasks[..];
        let Experiment { precision, recompute, .. } = self.experiment;
        let request = NetworkRequest { config, input: self.spec.input, tasks, all_tasks: tasks, precision, recompute };
        self.network.network(request, sharing)
    }
}

/// Marks an experiment that trains and measures on the same few examples (`overfit`), and takes away everything that compares results.
fn mark_overfit(experiment: &mut Experiment) {
    if let Some(count) = experiment.overfit {
        experiment.title =
            format!("OVERFIT DIAGNOSIS on {}: {}", number_of(count, "training example"), experiment.title);
        experiment.reference.clear();
        experiment.claims.clear();
    }
}

/// Checks that the table has no two rows with the same name or the same results.
fn check_rows(methods: &[PlannedMethod]) -> Result<(), ConfigError> {
    for (at, method) in methods.iter().enumerate() {
        for other in &methods[..at] {
            let names = format!("`{}` and `{}`", other.entry.name, method.entry.name);
            if method.is_same_as(other) {
                let message =
                    format!("{names} have the same settings, so that they are the same run: leave one of them out");
                return Err(ConfigError::new(message));
            }
            if method.entry.label == other.entry.label {
                let label = &method.entry.label;
                let message =
                    format!("{names} would both be called \"{label}\" in the table: give one of them another `label`");
                return Err(ConfigError::new(message));
            }
        }
    }
    Ok(())
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
