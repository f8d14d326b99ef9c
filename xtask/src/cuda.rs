//! Builds with the feature `cuda` or `cudnn`: finds the compiler and the libraries, and sets the environment for cargo.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::commands::{cargo, run, say, target_folder, workspace_root};

/// The target folder of builds for cards. It is separate, so that neither build discards what the other has compiled.
pub(crate) fn target(root: &Path) -> PathBuf {
    target_folder(root).join("cuda")
}

fn toolkit_folder(root: &Path) -> PathBuf {
    target_folder(root).join("cuda-toolkit")
}

/// The folder of the stub libraries, which contain the emulated card.
pub(crate) fn stubs(root: &Path) -> PathBuf {
    toolkit_folder(root).join("stubs")
}

/// The feature that turns CUDA on: `cudnn`, unless the variable `XTASK_CUDA_FEATURE` says `cuda`.
pub(crate) fn feature() -> Result<&'static str, String> {
    match std::env::var("XTASK_CUDA_FEATURE").as_deref() {
        Err(_) | Ok("cudnn") => Ok("cudnn"),
        Ok("cuda") => Ok("cuda"),
        Ok(other) => Err(format!("`XTASK_CUDA_FEATURE` is `{other}`: expected `cudnn` or `cuda`")),
    }
}

/// Whether this machine has the driver of an NVIDIA card.
pub(crate) fn has_card() -> bool {
    Path::new("/dev/nvidiactl").exists()
}

/// Whether the flags name a card, or the environment variable that replaces `--device` does.
pub(crate) fn is_wanted(arguments: &[String]) -> bool {
    let is_card = |name: &str| name.starts_with("cuda");
    if std::env::var("MTCOOL_DEVICE").is_ok_and(|name| is_card(&name)) {
        return true;
    }
    let pairs = arguments.windows(2).any(|pair| pair[0] == "--device" && is_card(&pair[1]));
    let assigned = |argument: &String| {
        ["--device=", "device=", "--set=device="].iter().any(|flag| argument.strip_prefix(flag).is_some_and(is_card))
    };
    pairs || arguments.iter().any(assigned)
}

/// Cargo with a compiler for CUDA: the system's, or otherwise the one that `cargo xtask cuda-toolkit` has fetched.
pub(crate) fn cuda_cargo(root: &Path) -> Result<Command, String> {
    let mut command = cargo(root);
    prepare(root, &mut command, false)?;
    command.env("CARGO_TARGET_DIR", target(root));
    Ok(command)
}

/// The architecture of candle's kernels on machines without a card, and in packs: cards since the A100. Drivers make code for newer
/// ones of it.
pub(crate) const OLDEST_CARD: &str = "80";

/// Environment variables that name the folder of a system's toolkit.
const HOMES: [&str; 4] = ["CUDA_HOME", "CUDA_PATH", "CUDA_ROOT", "CUDA_TOOLKIT_ROOT_DIR"];

/// The `bin` folder of a system's toolkit: from `PATH`, from one of [`HOMES`], or at the usual place.
fn system_compiler() -> Option<PathBuf> {
    let paths = std::env::var_os("PATH").unwrap_or_default();
    let named = HOMES.iter().filter_map(std::env::var_os).map(|home| PathBuf::from(home).join("bin"));
    let usual = [PathBuf::from("/usr/local/cuda/bin")];
    let mut folders = std::env::split_paths(&paths).collect::<Vec<_>>().into_iter().chain(named).chain(usual);
    folders.find(|folder| folder.join("nvcc").exists())
}

/// Sets the environment of a command so that it can build and start programs for a card: the compiler if the system has none,
/// and the stub libraries if there is no card or the emulated one is wanted.
pub(crate) fn prepare(root: &Path, command: &mut Command, is_emulated: bool) -> Result<(), String> {
    let folder = toolkit_folder(root);
    let (home, stubs) = (folder.join("nvidia/cu13"), stubs(root));
    let libraries = home.join("lib");
    let mut at_link_time = vec![stubs.clone()];
    match system_compiler() {
        // The bindings' build script searches only `PATH` for the compiler.
        Some(bin) => command.env("PATH", joined(&[bin], "PATH")?),
        None if home.join("bin/nvcc").exists() => {
            for name in &HOMES[..3] {
                command.env(name, &home);
            }
            at_link_time.push(libraries.clone());
            command.env("PATH", joined(&[home.join("bin")], "PATH")?)
        }
        None => {
            return Err("a build for CUDA needs NVIDIA's compiler, and this machine has none: install a CUDA 13 toolkit and set CUDA_HOME \
                        to its folder, or run `cargo xtask cuda-toolkit`, which fetches what a build needs from PyPI (docs/cuda.md)"
                .into());
        }
    };
    if has_card() && !is_emulated {
        // The system's own libraries are found before the fetched ones.
        command.env("LIBRARY_PATH", joined_behind("LIBRARY_PATH", &at_link_time)?);
        command.env("LD_LIBRARY_PATH", joined_behind("LD_LIBRARY_PATH", &[libraries])?);
        return Ok(());
    }
    command.env("LIBRARY_PATH", joined(&at_link_time, "LIBRARY_PATH")?);
    // With the stubs programs start and can report that there is no card.
    command.env("LD_LIBRARY_PATH", joined(&[stubs, libraries], "LD_LIBRARY_PATH")?);
    if !has_card() && std::env::var_os("CUDA_COMPUTE_CAP").is_none() {
        command.env("CUDA_COMPUTE_CAP", OLDEST_CARD);
    }
    Ok(())
}

/// The tests of the operations, the method and the networks that need a card, on the system's card or on the emulated one.
pub(crate) fn card_tests(root: &Path, feature: &str, is_emulated: bool) -> Result<Command, String> {
    let mut command = cargo(root);
    prepare(root, &mut command, is_emulated)?;
    command.env("CARGO_TARGET_DIR", target(root));
    if is_emulated {
        command.env("EMULATED_NVIDIA_CARD", "1");
    }
    command.args(["test", "--workspace", "--locked", "--features", &format!("mtcool-bench/{feature}")]);
    command.args(["--test", "pack"]);
    // Tests that need a card are marked as ignored for everyone else.
    command.args(["--", "--include-ignored"]);
    Ok(command)
}

/// `folders`, then those of an environment variable.
fn joined(folders: &[PathBuf], variable: &str) -> Result<std::ffi::OsString, String> {
    join(folders.iter().cloned().chain(folders_of(variable)), variable)
}

/// The folders of an environment variable, then `folders`.
fn joined_behind(variable: &str, folders: &[PathBuf]) -> Result<std::ffi::OsString, String> {
    join(folders_of(variable).into_iter().chain(folders.iter().cloned()), variable)
}

fn folders_of(variable: &str) -> Vec<PathBuf> {
    let value = std::env::var_os(variable).unwrap_or_default();
    std::env::split_paths(&value).filter(|path| !path.as_os_str().is_empty()).collect()
}

fn join(folders: impl Iterator<Item = PathBuf>, variable: &str) -> Result<std::ffi::OsString, String> {
    std::env::join_paths(folders).map_err(|error| format!("{variable}: {error}"))
}

/// `cargo xtask cuda-toolkit`.
pub(crate) fn fetch_toolkit(arguments: &[String]) -> Result<(), String> {
    let root = workspace_root();
    // The stub libraries define the functions that the bindings declare; cargo fetches the source of the bindings.
    run(cargo(&root).args(["fetch", "--locked"]))?;
    let script = root.join("emulated-card/toolkit.py");
    run(Command::new("python3").arg(script).arg("--folder").arg(toolkit_folder(&root)).args(arguments))
}

/// `cargo xtask check --cuda`: lints and tests (operations, method, networks) with either feature, on a card if there is one and
/// on the emulated card otherwise.
pub(crate) fn check(root: &Path) -> Result<(), String> {
    let mut flags = Vec::new();
    if system_compiler().is_some() {
        flags.push("--stubs-only".to_owned());
    }
    if !has_card() {
        flags.push("--check".to_owned());
    }
    fetch_toolkit(&flags)?;
    for feature in ["cuda", "cudnn"] {
        let of_bench = format!("mtcool-bench/{feature}");
        run(cuda_cargo(root)?
            .args(["clippy", "--workspace", "--all-targets", "--locked", "--features", &of_bench])
            .args(["--", "-D", "warnings"]))?;
        let is_emulated = !has_card();
        if is_emulated {
            say("this machine has no card: the tests run on the emulated one, which is slow");
        }
        run(&mut card_tests(root, feature, is_emulated)?)?;
    }
    Ok(())
}
