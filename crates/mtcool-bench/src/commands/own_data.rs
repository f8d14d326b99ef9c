//! `mtcool data inspect` and `mtcool data init`: what is in a folder of the user's own, and a configuration to start from.

use std::path::Path;

use anyhow::{Context, Result, ensure};

use super::experiment::unwritable;
use super::flags::overrides;
use crate::cli::{Init, Inspect};
use crate::output::print;
use crate::plan::Plan;
use crate::record::{read, write_whole};
use crate::suite::{DataPlace, Registry};

/// The last line of each page, by which this command knows its own pages.
const MARK: &str = "<!-- written by mtcool data inspect -->\n";

/// Prints what is in the folder of an experiment, and writes a page with pictures.
///
/// # Errors
/// If the experiment is invalid, its data set is none of the user's own files, or the folder has something that has to be mended.
pub(super) fn inspect(registry: &Registry, arguments: &Inspect) -> Result<()> {
    check_place(&arguments.page)?;
    let plan = Plan::load(registry, &arguments.experiment, &overrides(&arguments.config)?)?;
    let inspect = plan.dataset.inspect.with_context(|| {
        format!("`{}` is checked by `mtcool data verify {0}`; `inspect` is for your own files", plan.dataset.name)
    })?;
    let folder = plan.experiment.data.folder_of(&plan.dataset);
    let cache = plan.experiment.data.cache();
    let found = inspect(DataPlace { folder: &folder, cache }, &plan.data_settings)
        .map_err(|error| unwritable(error, cache, "the folder for decoded pictures", "data.cache"))?;
    let content = format!("{}{MARK}", found.page);
    write_whole(&arguments.page, content.as_bytes()).map_err(|error| error.for_flag("--page"))?;
    print(&format!("{}\nPictures with their masks and labels: {}\n", found.text, arguments.page.display()))?;
    ensure!(found.is_usable, "`{}` cannot be used yet: see the problems above", folder.display());
    Ok(())
}

/// Checks that the page is no file that this command did not write.
fn check_place(page: &Path) -> Result<()> {
    if page.exists() {
        ensure!(
            read(page)?.ends_with(MARK.as_bytes()),
            "`{}` is there already, and this command did not write it: choose another file with `--page`",
            page.display()
        );
    }
    Ok(())
}

/// Writes a starting configuration for a folder.
///
/// # Errors
/// If there is nothing to predict in the folder, or the file exists.
pub(super) fn init(registry: &Registry, arguments: &Init) -> Result<()> {
    let Init { folder, out } = arguments;
    ensure!(!out.exists(), "`{}` exists: name another file with `--out`, or remove it", out.display());
    let entry = registry.datasets().iter().find_map(|dataset| dataset.suggest);
    let suggest = entry.context("no data set of this program is for files of your own")?;
    write_whole(out, suggest(folder)?.as_bytes()).map_err(|error| error.for_flag("--out"))?;
    let next = |command: &str| format!("  mtcool {command} {}\n", Path::new(out).display());
    print(&format!(
        "`{}` is a configuration to start from. Read it and name the classes; then\n{}{}",
        out.display(),
        next("data inspect"),
        next("reproduce")
    ))
}
