//! The `mtcool` program.

use std::process::ExitCode;

use mtcool_bench::{Registry, main_with};

fn main() -> ExitCode {
    main_with(Registry::builtin())
}
