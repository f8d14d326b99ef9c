//! The `mtcool` program: configuration, training, evaluation, resumable sweeps, tables.
//!
//! `mtcool reproduce table1` reads `experiments/table1.toml`, prepares the data, runs every (method, seed) that has not been
//! run, and writes the table. Each part has its place: only [`config`] reads TOML, only [`record`] writes results, the report
//! never trains, and the test split is read at the end of [`train`] alone.

pub mod card_kernels;
pub mod cli;
pub mod commands;
pub mod config;
pub mod datasets;
pub mod logging;
pub mod methods;
pub mod predict;
pub mod progress;
pub mod record;
pub mod report;
pub mod sweep;
pub mod train;
