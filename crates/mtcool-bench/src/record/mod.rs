//! The only module that writes files of results: run folders, checkpoints, metrics, and files that are written completely or not
//! at all.

mod cases;
mod checkpoint;
mod diagnostics;
mod environment;
mod experiment_folder;
mod external;
mod file_list;
mod files;
mod flatness;
mod lease;
mod metrics;
mod removal;
mod results;
mod run_folder;
mod run_index;
mod run_lock;
mod run_status;
mod runs_table;
mod settings;
mod tables;
mod tabular;
mod tensorboard;
mod times;
mod timestamp;
mod trials;

pub use cases::{read_map, read_scores};
pub use checkpoint::{BestEpoch, Checkpoint, Position, TaskSums, newest_position, read_finished_model, read_model};
pub use diagnostics::{CLAMPED_SHARE, DiagnosticSums};
pub use environment::{Environment, RunRecord, read_data_record, set_program_revision, shell_word};
pub use experiment_folder::ExperimentFolder;
pub use external::{ExternalResult, ExternalValue, read_external, write_external};
pub use file_list::{damaged_files, read_intact};
pub use files::{StorageError, create_folder, read, write_whole};
pub use flatness::{Moved, MovedLoss, read_flatness, write_flatness};
pub use lease::TakenOver;
pub use metrics::{
    Row, RunTags, TIME, final_rows, metrics_frame, predictions_frame, read_hits, read_predictions, read_rows,
    rows_frame,
};
pub use removal::remove_run;
pub use results::{check_results, missing_results};
pub use run_folder::{Claim, RunFolder, RunProgress};
pub use run_index::{RunIndex, StoredRun, stored_runs};
pub use run_lock::RunLock;
pub use run_status::{NetworkSize, RunStatus, Status};
pub use runs_table::{RecordedRun, runs_frame};
pub use settings::{Settings, differing_keys, settings_of};
pub use tables::{Published, SweepRecord};
pub use tabular::{csv_bytes, parquet_bytes};
pub use tensorboard::figure_events;
pub use times::EpochTimes;
pub use timestamp::{parse_utc, utc_text};
pub use trials::{TrialRecord, trials_frame, write_trials};
