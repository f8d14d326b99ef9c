//! Fills the folder of a pack: stripped executables, golden files, experiments, `run.sh` and its Python part, `manifest.json`.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::data;
use super::plan::Plan;
use super::programs::{Program, Target, oldest_card};
use crate::commands::run;
use crate::cuda::feature;

/// What was built for a pack.
pub(super) struct Contents {
    pub(super) programs: Vec<(Program, PathBuf)>,
    /// The version of CUDA's compiler; `None` in a build for processors.
    pub(super) cuda: Option<String>,
}

/// Folders whose golden files the packed tests read. All of them land in one folder, which `MTCOOL_GOLDEN_DIR` names.
const GOLDEN: [&str; 2] = ["crates/mtcool-ops/tests/golden", "crates/mtcool-models/tests/golden"];

/// Major versions of the libraries that the bindings are made for, by soname.
const VERSIONS: [(&str, &str); 3] = [("libcudnn.so.9", "9"), ("libcublas.so.13", "13"), ("libnvrtc.so.13", "13")];

/// Writes the folder anew. A folder that is there and is no pack is left alone.
pub(super) fn write(root: &Path, plan: &Plan, contents: &Contents) -> Result<(), String> {
    let out = &plan.out;
    let at = |error: std::io::Error| format!("{}: {error}", out.display());
    if out.exists() {
        let is_empty = std::fs::read_dir(out).map_err(at)?.next().is_none();
        if !is_empty && !out.join("manifest.json").is_file() {
            return Err(format!("`{}` is there already and is no pack: name another folder", out.display()));
        }
        // What runs have found out stays.
        for part in ["bin", "golden", "experiments", "python", "peers", "data"] {
            match std::fs::remove_dir_all(out.join(part)) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(at(error)),
                _ => {}
            }
        }
    }
    std::fs::create_dir_all(out.join("bin")).map_err(at)?;
    for (program, built) in &contents.programs {
        run(Command::new("strip").arg("-o").arg(out.join("bin").join(program.name())).arg(built))
            .map_err(|error| format!("{error} (`strip` comes with the linker, in the package binutils)"))?;
    }
    for folder in GOLDEN {
        data::copy(&root.join(folder), &out.join("golden"), &|name| !name.ends_with(".md"))?;
    }
    data::copy(&root.join("experiments"), &out.join("experiments"), &|_| true)?;
    data::copy(&root.join("pack/python"), &out.join("python"), &|name| name.ends_with(".py"))?;
    for file in ["run.sh", "README.md"] {
        std::fs::copy(root.join("pack").join(file), out.join(file)).map_err(at)?;
    }
    if let Some(peers) = &plan.peers {
        data::copy(peers, &out.join("peers"), &|name| name.ends_with(".py"))?;
    }
    for (set, folder) in &plan.data {
        data::copy(folder, &out.join("data").join(set), &|_| true)?;
    }
    let manifest = manifest(root, plan, contents)?;
    std::fs::write(out.join("manifest.json"), manifest).map_err(at)
}

/// `manifest.json`: what the pack was built from and for, and what its programs need.
fn manifest(root: &Path, plan: &Plan, contents: &Contents) -> Result<String, String> {
    let mut needed: Vec<String> = Vec::new();
    let mut glibc = (2, 17);
    for (program, _) in &contents.programs {
        let path = plan.out.join("bin").join(program.name());
        needed.extend(libraries(&read_elf("-dW", &path)?));
        glibc = glibc.max(newest_glibc(&read_elf("-VW", &path)?));
    }
    needed.sort();
    needed.dedup();
    let texts = |items: &[String]| items.iter().map(|item| quoted(item)).collect::<Vec<_>>().join(", ");
    let names: Vec<String> = contents.programs.iter().map(|(program, _)| program.name().to_owned()).collect();
    let (device, features, compute) = match plan.target {
        Target::Cuda => ("cuda", feature()?, vec![oldest_card()]),
        Target::Cpu => ("cpu", "", Vec::new()),
    };
    let versions: Vec<String> =
        VERSIONS.iter().map(|(library, version)| format!("{}: {}", quoted(library), quoted(version))).collect();
    Ok(format!(
        "{{\n \"revision\": {},\n \"device\": {},\n \"feature\": {},\n \"cuda\": {},\n \"compute\": [{}],\n \"architecture\": {},\n \
         \"glibc\": \"{}.{}\",\n \"needed\": [{}],\n \"versions\": {{{}}},\n \"programs\": [{}]\n}}\n",
        quoted(&revision(root)),
        quoted(device),
        quoted(features),
        contents.cuda.as_deref().map_or_else(|| "null".to_owned(), quoted),
        texts(&compute),
        quoted(std::env::consts::ARCH),
        glibc.0,
        glibc.1,
        texts(&needed),
        versions.join(", "),
        texts(&names),
    ))
}

fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

/// The revision of the source, with a mark if files have changed since.
fn revision(root: &Path) -> String {
    let git = |arguments: &[&str]| {
        let output = Command::new("git").current_dir(root).args(arguments).output().ok()?;
        output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
    };
    let is_changed = git(&["status", "--porcelain", "--untracked-files=no"]).is_some_and(|changes| !changes.is_empty());
    let revision = git(&["rev-parse", "--short=12", "HEAD"]).unwrap_or_else(|| "unknown".into());
    format!("{revision}{}", if is_changed { "-modified" } else { "" })
}

fn read_elf(what: &str, path: &Path) -> Result<String, String> {
    let output = Command::new("readelf").arg(what).arg(path).output();
    let output = output.map_err(|error| format!("`readelf` could not be started ({error}); it comes with binutils"))?;
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// The NVIDIA libraries among those that an executable needs, from `readelf -d`.
fn libraries(dynamic: &str) -> Vec<String> {
    let needed = dynamic.lines().filter(|line| line.contains("(NEEDED)"));
    let names = needed.filter_map(|line| line.split_once('[')?.1.split(']').next());
    names.filter(|name| name.starts_with("libcu") || name.starts_with("libnv")).map(str::to_owned).collect()
}

/// The newest version of the C library that an executable needs, from `readelf -V`.
fn newest_glibc(versions: &str) -> (u32, u32) {
    let names = versions.split("GLIBC_").skip(1);
    let number = |text: &str| -> Option<(u32, u32)> {
        let end = text.find(|character: char| !character.is_ascii_digit() && character != '.').unwrap_or(text.len());
        let mut parts = text[..end].split('.').map(|part| part.parse().ok());
        Some((parts.next()??, parts.next()??))
    };
    names.filter_map(number).max().unwrap_or((2, 17))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_executable_needs_is_read_from_its_headers() {
        let dynamic = " 0x0001 (NEEDED)  Shared library: [libcuda.so.1]\n 0x0001 (NEEDED)  Shared library: [libc.so.6]\n \
                       0x0001 (NEEDED)  Shared library: [libnvrtc.so.13]\n 0x000e (SONAME)  Library soname: [libcurand.so.10]\n";
        assert_eq!(libraries(dynamic), ["libcuda.so.1", "libnvrtc.so.13"]);
        let versions = "  0x0010:   Name: GLIBC_2.2.5  Flags: none  Version: 4\n  Name: GLIBC_2.34  Flags: none\n Name: GLIBC_2.9\n";
        assert_eq!(newest_glibc(versions), (2, 34));
        assert_eq!(newest_glibc("nothing"), (2, 17));
    }
}
