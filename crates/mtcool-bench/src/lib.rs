//! The `mtcool` program: configuration, training, evaluation, resumable sweeps and tables. A program of your own is built from
//! the same parts.
//!
//! `mtcool reproduce table1` reads `experiments/table1.toml`, prepares the data, runs every pair (method, seed) that has not been
//! run yet, and writes the table. The modules, from the lowest to the highest:
//!
//! - [`suite`]: the traits that data sets, networks, losses, methods and predictors implement, and the values that they exchange;
//! - [`datasets`], [`networks`], [`losses`], [`methods`]: the implementations that come with the program;
//! - [`plan`]: builds one checked plan from TOML, variables and flags;
//! - [`record`]: the only module that writes results of runs;
//! - [`run`]: the only module that trains and reads the test split;
//! - [`report`], [`predict`], [`external`], [`export`]: tables and figures of finished runs, predictions of their networks for
//!   other photographs, their metrics on other labelled data, and files of their networks for other programs;
//! - [`main_with`]: the command line for everything in a [`Registry`].
//!
//! A program with your own data sets, networks, methods and losses is this crate and one line:
//!
//! ```no_run
//! use mtcool_bench::{Registry, main_with};
//!
//! fn main() -> std::process::ExitCode {
//!     main_with(Registry::builtin()) // .with_revision(mtcool_bench::revision!()).with_dataset(..).with_network(..).with_method(..).with_loss(..)
//! }
//! ```

// A closed pipe ends these macros with a panic; `output` writes without one.
#![warn(clippy::print_stdout, clippy::print_stderr)]

mod cli;
mod commands;
pub mod datasets;
pub mod export;
pub mod external;
mod logging;
pub mod losses;
pub mod methods;
pub mod networks;
mod output;
pub mod plan;
pub mod predict;
pub mod progress;
mod protobuf;
pub mod record;
mod registry;
pub mod report;
pub mod run;
pub mod suite;

pub use commands::main_with;
#[doc(hidden)]
pub use git_version::git_version;
pub use suite::Registry;

/// The git revision of the program that calls it, `-modified` added where files under version control differ from it; `unknown`
/// outside of a repository.
///
/// It is told when the executable is compiled, so a commit compiles the executable again and no library.
#[macro_export]
macro_rules! revision {
    () => {
        $crate::git_version!(
            args = ["--always", "--abbrev=12", "--exclude=*", "--dirty=-modified"],
            fallback = "unknown"
        )
    };
}

/// The example in README.md as a test.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
