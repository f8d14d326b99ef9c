//! The `mtcool` program.

use std::process::ExitCode;

use clap::Parser;
use mtcool_bench::{cli::Cli, commands};

fn main() -> ExitCode {
    mtcool_ops::keep_freed_memory();
    match commands::run(Cli::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
