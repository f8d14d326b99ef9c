//! `mtcool completions` and `mtcool man`: what shells and `man` know about the command line.

use anyhow::{Context, Result};
use clap_complete::generate;
use clap_mangen::generate_to;

use crate::cli::{Completions, Man, command_line};
use crate::output::print;
use crate::record::create_folder;
use crate::suite::Registry;

/// The name under which the program is installed.
const PROGRAM: &str = "mtcool";

/// Prints the script that completes commands and flags in a shell.
///
/// # Errors
/// If it cannot be printed.
pub(super) fn completions(registry: &Registry, arguments: &Completions) -> Result<()> {
    let mut script = Vec::new();
    generate(arguments.shell, &mut command_line(registry), PROGRAM, &mut script);
    print(&String::from_utf8_lossy(&script))
}

/// Writes a manual page for the program and for each command.
///
/// # Errors
/// If the folder cannot be written.
pub(super) fn man(registry: &Registry, arguments: &Man) -> Result<()> {
    let folder = &arguments.folder;
    create_folder(folder)?;
    let failed = || format!("`{}` cannot be written; choose another folder", folder.display());
    generate_to(command_line(registry), folder).with_context(failed)?;
    print(&format!("The pages are in `{}`: `man {}`\n", folder.display(), folder.join("mtcool.1").display()))
}
