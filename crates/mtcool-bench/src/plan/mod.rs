//! Builds one checked [`Plan`] from an experiment's file, `MTCOOL_*` variables and flags.
//!
//! This is the only module that reads TOML. It opens no data and trains nothing.

mod check;
mod experiment;
mod layers;
mod losses;
mod resolve;
mod run_config;
mod source;
mod stored;

pub use experiment::{Cell, DataConfig, DataSource, Experiment, PaperSetting, Reference};
pub use layers::Overrides;
pub use losses::PlannedLoss;
pub use resolve::{Plan, PlannedMethod, PlannedRun};
pub use run_config::{DataIdentity, RESULTS_VERSION, RunConfig};
pub use source::experiment_name;
pub use stored::StoredConfig;
