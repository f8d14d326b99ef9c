//! [`Registry`]: everything that an experiment may name. `crate::registry` adds the entries that come with the program.

use super::dataset::DatasetEntry;
use super::error::ConfigError;
use super::lookup::{find, name_meant};
use super::loss::LossEntry;
use super::method::{MethodEntry, find_method};
use super::name::Name;
use super::network::NetworkEntry;

/// The data sets, networks, losses and methods that experiments may name.
///
/// A program of your own calls
/// `main_with(Registry::builtin().with_revision(revision!()).with_dataset(..).with_network(..).with_method(..).with_loss(..))`.
#[derive(Clone, Default)]
pub struct Registry {
    datasets: Vec<DatasetEntry>,
    networks: Vec<NetworkEntry>,
    methods: Vec<MethodEntry>,
    losses: Vec<LossEntry>,
    revision: Option<&'static str>,
}

impl Registry {
    /// A registry without entries.
    pub fn empty() -> Self {
        Self::default()
    }

    /// The same registry with `dataset`, which replaces an entry of the same name.
    #[must_use]
    pub fn with_dataset(mut self, dataset: DatasetEntry) -> Self {
        put(&mut self.datasets, dataset, |entry| &entry.name);
        self
    }

    /// The same registry with `network`, which replaces an entry of the same name.
    #[must_use]
    pub fn with_network(mut self, network: NetworkEntry) -> Self {
        put(&mut self.networks, network, |entry| &entry.name);
        self
    }

    /// The same registry with `method`, which replaces an entry of the same name.
    #[must_use]
    pub fn with_method(mut self, method: MethodEntry) -> Self {
        put(&mut self.methods, method, |entry| &entry.name);
        self
    }

    /// The same registry with `loss`, which replaces an entry of the same name.
    #[must_use]
    pub fn with_loss(mut self, loss: LossEntry) -> Self {
        put(&mut self.losses, loss, |entry| &entry.name);
        self
    }

    /// The same registry of a program that was built from `revision` of its source; [`crate::revision!`] tells it.
    #[must_use]
    pub fn with_revision(mut self, revision: &'static str) -> Self {
        self.revision = Some(revision);
        self
    }

    /// The revision of the program's source, if it was named.
    pub fn revision(&self) -> Option<&'static str> {
        self.revision
    }

    /// All data sets, in the order in which they were added.
    pub fn datasets(&self) -> &[DatasetEntry] {
        &self.datasets
    }

    /// All methods, in the order in which they were added.
    pub fn methods(&self) -> &[MethodEntry] {
        &self.methods
    }

    /// The data set called `name`, with any upper and lower case, hyphens and underscores.
    ///
    /// # Errors
    /// If there is no such entry; the message suggests the most similar name.
    pub fn dataset(&self, name: &str) -> Result<&DatasetEntry, ConfigError> {
        let meant = name_meant(self.datasets.iter().map(|entry| &*entry.name), name).unwrap_or(name);
        find(&self.datasets, "data set", meant, |entry| &entry.name)
    }

    /// The network called `name`.
    ///
    /// # Errors
    /// If there is no such entry; the message suggests the most similar name.
    pub fn network(&self, name: &str) -> Result<&NetworkEntry, ConfigError> {
        find(&self.networks, "network", name, |entry| &entry.name)
    }

    /// The kind of loss called `name`.
    ///
    /// # Errors
    /// If there is no such entry; the message suggests the most similar name.
    pub fn loss(&self, name: &str) -> Result<&LossEntry, ConfigError> {
        find(&self.losses, "loss", name, |entry| &entry.name)
    }

    /// The method called `name`.
    ///
    /// # Errors
    /// If there is no such entry; the message suggests the most similar name.
    pub fn method(&self, name: &str) -> Result<&MethodEntry, ConfigError> {
        find_method(&self.methods, name)
    }
}

fn put<E>(entries: &mut Vec<E>, entry: E, name: fn(&E) -> &Name) {
    match entries.iter_mut().find(|known| name(known) == name(&entry)) {
        Some(known) => *known = entry,
        None => entries.push(entry),
    }
}
