//! Configuration: defaults, then the experiment's TOML, then `MTCOOL_*` variables, then flags; checked once, here.

mod error;
mod resolve;
mod schema;
mod stored;

pub use error::ConfigError;
pub use resolve::{Overrides, ResolvedRun, data_settings, find_experiment, load, resolve, resolve_run};
pub use schema::{
    Cell, DataConfig, DataIdentity, DataSource, Experiment, MapGradient, NetworkConfig, NormKind, Precision, Reference,
    ReportedSplit, RunConfig, ScheduleKind, SyntheticConfig, TrainingConfig,
};
pub use stored::StoredConfig;
