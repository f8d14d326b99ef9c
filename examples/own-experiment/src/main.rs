//! `mtcool` with a data set, a network and a method more.

mod median;
mod mlp;
mod ring;

use std::process::ExitCode;

use mtcool_bench::{Registry, main_with, revision};

fn main() -> ExitCode {
    let registry = Registry::builtin().with_revision(revision!());
    main_with(registry.with_dataset(ring::entry()).with_network(mlp::entry()).with_method(median::entry()))
}
