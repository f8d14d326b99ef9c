//! `mtcool` with a data set, a network and a method more.

mod median;
mod mlp;
mod ring;

use std::process::ExitCode;

use mtcool_bench::{Registry, main_with};

fn main() -> ExitCode {
    main_with(Registry::builtin().with_dataset(ring::entry()).with_network(mlp::entry()).with_method(median::entry()))
}
