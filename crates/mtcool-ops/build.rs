//! Compiles the CUDA kernels to PTX, with the feature `cuda`.

use std::path::{Path, PathBuf};
use std::process::Command;

/// The oldest architecture that CUDA 13 compiles for; a driver makes code for newer cards of it.
const ARCHITECTURE: &str = "-arch=compute_75";

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    if std::env::var_os("CARGO_FEATURE_CUDA").is_none() {
        return;
    }
    println!("cargo::rerun-if-changed=src/cuda/kernels");
    let names = ["CUDA_HOME", "CUDA_PATH", "CUDA_ROOT", "CUDA_TOOLKIT_ROOT_DIR"];
    for name in names {
        println!("cargo::rerun-if-env-changed={name}");
    }
    // As the bindings and candle's kernels look for it: the path comes first.
    let paths = std::env::var_os("PATH").unwrap_or_default();
    let homes = names.iter().filter_map(std::env::var_os).map(PathBuf::from).chain([PathBuf::from("/usr/local/cuda")]);
    let folders =
        std::env::split_paths(&paths).collect::<Vec<_>>().into_iter().chain(homes.map(|home| home.join("bin")));
    let nvcc = folders.map(|folder| folder.join("nvcc")).find(|path| path.exists());
    let nvcc = nvcc.unwrap_or_else(|| PathBuf::from("nvcc"));
    let out = std::env::var_os("OUT_DIR").map(PathBuf::from).expect("cargo sets OUT_DIR");
    for file in
        ["elementwise", "reduce", "norm", "pool", "softmax", "losses", "regression", "conv", "cut", "noise", "update"]
    {
        let source = Path::new("src/cuda/kernels").join(file).with_extension("cu");
        let target = out.join(file).with_extension("ptx");
        let mut command = Command::new(&nvcc);
        command.args(["--ptx", ARCHITECTURE, "-O3", "--std=c++17", "-o"]).arg(target).arg(source);
        match command.output() {
            Ok(output) if output.status.success() => {}
            Ok(output) => panic!("{command:?} failed:\n{}", String::from_utf8_lossy(&output.stderr)),
            Err(error) => panic!(
                "the feature `cuda` needs NVIDIA's compiler: `{}` could not be started ({error}); docs/cuda.md tells how to get \
                 it, without a system toolkit by `cargo xtask cuda-toolkit`",
                nvcc.display()
            ),
        }
    }
}
