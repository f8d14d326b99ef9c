//! Builds with the feature `cuda` or `cudnn`: where the compiler is, and where the results go.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::{cargo, run, target_folder, workspace_root};

/// A folder of their own, so that neither build throws away what the other has compiled.
pub(crate) fn target(root: &Path) -> PathBuf {
    target_folder(root).join("cuda")
}

fn toolkit_folder(root: &Path) -> PathBuf {
    target_folder(root).join("cuda-toolkit")
}

/// The feature that turns CUDA on: `cudnn`, unless the variable `XTASK_CUDA_FEATURE` says `cuda`.
pub(crate) fn feature() -> Result<&'static str, String> {
    match std::env::var("XTASK_CUDA_FEATURE").as_deref() {
        Err(_) | Ok("cudnn") => Ok("cudnn"),
        Ok("cuda") => Ok("cuda"),
        Ok(other) => Err(format!("`XTASK_CUDA_FEATURE` is `{other}`: expected `cudnn` or `cuda`")),
    }
}

/// Whether the system has the driver of a card.
pub(crate) fn has_card() -> bool {
    Path::new("/dev/nvidiactl").exists()
}

/// Whether flags ask for a card, or the variable that stands for `--device`.
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

/// Cargo with a compiler for CUDA: the system's, or else that of `cargo xtask cuda-toolkit`.
pub(crate) fn cuda_cargo(root: &Path) -> Result<Command, String> {
    let mut command = cargo(root);
    prepare(root, &mut command, false)?;
    command.env("CARGO_TARGET_DIR", target(root));
    Ok(command)
}

/// Variables that say where a system's toolkit is.
const HOMES: [&str; 4] = ["CUDA_HOME", "CUDA_PATH", "CUDA_ROOT", "CUDA_TOOLKIT_ROOT_DIR"];

/// The `bin` folder of a system's toolkit: on the path, where a variable says, or at the usual place.
fn system_compiler() -> Option<PathBuf> {
    let paths = std::env::var_os("PATH").unwrap_or_default();
    let named = HOMES.iter().filter_map(std::env::var_os).map(|home| PathBuf::from(home).join("bin"));
    let usual = [PathBuf::from("/usr/local/cuda/bin")];
    let mut folders = std::env::split_paths(&paths).collect::<Vec<_>>().into_iter().chain(named).chain(usual);
    folders.find(|folder| folder.join("nvcc").exists())
}

/// Gives a command what building for a card needs where the system lacks it: the compiler, and without a card, or if the
/// emulated one is wanted, the libraries of one.
pub(crate) fn prepare(root: &Path, command: &mut Command, is_emulated: bool) -> Result<(), String> {
    let folder = toolkit_folder(root);
    let (home, stubs) = (folder.join("nvidia/cu13"), folder.join("stubs"));
    let libraries = home.join("lib");
    let mut at_link_time = vec![stubs.clone()];
    match system_compiler() {
        // The bindings' build script looks for it on the path alone.
        Some(bin) => command.env("PATH", joined(&[bin], "PATH")?),
        None if home.join("bin/nvcc").exists() => {
            for name in &HOMES[..3] {
                command.env(name, &home);
            }
            at_link_time.push(libraries.clone());
            command.env("PATH", joined(&[home.join("bin")], "PATH")?)
        }
        None => {
            return Err("a build for CUDA needs NVIDIA's compiler, and there is none: install a CUDA 13 toolkit and set CUDA_HOME to \
                        it, or run `cargo xtask cuda-toolkit`, which takes what a build needs from PyPI (docs/cuda.md)"
                .into());
        }
    };
    if has_card() && !is_emulated {
        // The system's own libraries come first.
        command.env("LIBRARY_PATH", joined_behind("LIBRARY_PATH", &at_link_time)?);
        command.env("LD_LIBRARY_PATH", joined_behind("LD_LIBRARY_PATH", &[libraries])?);
        return Ok(());
    }
    command.env("LIBRARY_PATH", joined(&at_link_time, "LIBRARY_PATH")?);
    // So that programs start, and say that there is no card.
    command.env("LD_LIBRARY_PATH", joined(&[stubs, libraries], "LD_LIBRARY_PATH")?);
    if !has_card() && std::env::var_os("CUDA_COMPUTE_CAP").is_none() {
        command.env("CUDA_COMPUTE_CAP", "90");
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
    command.args(["--test", "cuda", "--test", "golden", "--test", "trajectories", "--test", "card"]);
    // Tests that need a card are marked as ignored for everyone else.
    command.args(["--", "--include-ignored"]);
    Ok(command)
}

/// `folders` before those of a variable.
fn joined(folders: &[PathBuf], variable: &str) -> Result<std::ffi::OsString, String> {
    join(folders.iter().cloned().chain(folders_of(variable)), variable)
}

/// `folders` behind those of a variable.
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
    // The stub libraries have the functions that the bindings declare, whose source cargo brings.
    run(cargo(&root).args(["fetch", "--locked"]))?;
    let script = root.join("emulated-card/toolkit.py");
    run(Command::new("python3").arg(script).arg("--folder").arg(toolkit_folder(&root)).args(arguments))
}

/// `cargo xtask check --cuda`: both feature sets, and the tests of the operations, the method and the networks, on a card or on
/// the emulated one.
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
            println!("no card here: the tests run on the emulated one, which is slow");
        }
        run(&mut card_tests(root, feature, is_emulated)?)?;
    }
    Ok(())
}
