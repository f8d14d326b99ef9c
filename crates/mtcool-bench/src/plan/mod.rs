//! Builds one checked [`Plan`] from an experiment's file, `MTCOOL_*` variables and flags.
//!
//! This is the only module that reads TOML. It opens no data and trains nothing.

mod budget;
mod check;
mod claims;
mod diagnosis;
mod experiment;
mod external;
mod factors;
mod fast_dev_run;
mod grid;
mod keys;
mod layers;
mod layout;
mod losses;
mod methods;
mod objective;
mod only;
mod ranges;
mod resolve;
mod roles;
mod run_config;
mod search;
mod seeds;
mod source;
mod spaces;
mod stored;
mod variables;
mod variants;
mod winners;

pub use claims::{Claim, Direction};
pub use diagnosis::Diagnosis;
pub use experiment::{CACHE, Cell, DataConfig, DataSource, Experiment, MetricLog, PaperSetting, Reference};
pub use external::ExternalConfig;
pub use factors::Factor;
pub use layers::Overrides;
pub use layout::layout;
pub use losses::PlannedLoss;
pub use methods::PlannedMethod;
pub use objective::score;
pub use only::NamedRun;
pub use resolve::{Plan, PlannedRun};
pub use roles::Roles;
pub use run_config::{DataIdentity, RESULTS_VERSION, RunConfig};
pub use search::Search;
pub use seeds::Seeds;
pub use source::ExperimentSource;
pub use spaces::{Rung, Space, Trial};
pub use stored::{StoredConfig, StoredSettings};
#[doc(hidden)]
pub use variables::assignments_of;
pub use variables::configuring_variables;
pub use winners::{Winner, with_winners};
