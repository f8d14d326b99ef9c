//! The `mtcool` program.

use std::process::ExitCode;

use mtcool_bench::{Registry, main_with, revision};

fn main() -> ExitCode {
    main_with(Registry::builtin().with_revision(revision!()))
}
