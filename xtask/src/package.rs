//! `cargo xtask package`: packages all published crates in their order, and builds each from its package alone.

use crate::commands::{cargo, read, run, say, target_folder, workspace_root};
use crate::tidy::{published, value};

const HELP: &str = "\
cargo xtask package [FLAGS OF cargo package]

Packages the crates in `crates/` in the order of their dependencies, builds each package from its own files and those of the packages
before it, and prints the sizes. Alone, a crate needs its dependencies with other features than in the workspace, so that most of them are
compiled again the first time. `--no-verify` builds nothing and takes seconds, `--allow-dirty` packages changes that are not committed,
`--offline` uses no network. cargo warns that the tests are not in the packages. `cargo publish --workspace` then publishes them in the same
order; with `--dry-run` it stops before the upload.";

pub(crate) fn run_from(arguments: &[String]) -> Result<(), String> {
    if arguments.iter().any(|argument| argument == "--help") {
        say(HELP);
        return Ok(());
    }
    let root = workspace_root();
    let target = target_folder(&root);
    let mut command = cargo(&root);
    // With the workspace's profiles and its folder of compiled crates, what has the same features is not compiled again.
    command.env("CARGO_BUILD_BUILD_DIR", &target).args(["package", "--locked", "--config", "Cargo.toml"]);
    let folders = published(&root)?;
    for name in folders.iter().filter_map(|folder| folder.file_name()) {
        command.arg("--package").arg(name);
    }
    run(command.args(arguments))?;
    let manifest = read(&root.join("Cargo.toml"))?;
    let version = value(&manifest, "version").unwrap_or_default();
    for name in folders.iter().filter_map(|folder| folder.file_name()) {
        let file = target.join("package").join(format!("{}-{version}.crate", name.to_string_lossy()));
        let about = std::fs::metadata(&file).map_err(|error| format!("{}: {error}", file.display()))?;
        say(&format!("{}: {} kB", file.display(), about.len().div_ceil(1000)));
    }
    Ok(())
}
