//! The only module that writes files of results: run folders, checkpoints, metrics, and files that are written completely or not
//! at all.

mod cases;
mod checkpoint;
mod diagnostics;
mod environment;
mod files;
mod metrics;
mod run_folder;

pub use cases::{read_map, read_scores};
pub use checkpoint::{Checkpoint, Position, TaskSums, read_model};
pub use diagnostics::DiagnosticSums;
pub use environment::{environment, read_revision};
pub use files::{StorageError, create_folder, read, write_whole};
pub use metrics::{Row, parquet_bytes, predictions_frame, read_hits, read_rows, rows_frame};
pub use run_folder::{Claim, NetworkSize, RunFolder, RunStatus, Status};
