//! The environment of a run: enough to distinguish two machines and two versions of the program.

use std::path::Path;

use anyhow::{Context, Result};
use serde_json::{Value, json};

use super::file_list::read_intact;

/// Version and revision of the program, processor, threads, device.
pub fn environment(device: &str) -> Value {
    json!({
        "mtcool": env!("CARGO_PKG_VERSION"),
        "candle-core": locked_version("candle-core"),
        "gemm": locked_version("gemm"),
        "rust_required": env!("CARGO_PKG_RUST_VERSION"),
        "revision": env!("PROGRAM_REVISION"),
        "os": std::env::consts::OS,
        "architecture": std::env::consts::ARCH,
        "processor": processor(),
        "threads": rayon::current_num_threads(),
        "device": device,
    })
}

/// The version of a dependency in the workspace's lock file.
fn locked_version(package: &str) -> Option<&'static str> {
    const LOCK: &str = include_str!("../../../../Cargo.lock");
    let (_, entry) = LOCK.split_once(&format!("name = \"{package}\"\n"))?;
    entry.lines().next()?.strip_prefix("version = \"")?.strip_suffix('"')
}

/// The revision of the program that executed the run in `run`; `unknown` if `environment.json` does not name it.
///
/// # Errors
/// If `environment.json` is damaged.
pub fn read_revision(run: &Path) -> Result<String> {
    let path = run.join("environment.json");
    let environment: Value =
        serde_json::from_slice(&read_intact(&path)?).with_context(|| format!("`{}`", path.display()))?;
    Ok(environment["revision"].as_str().unwrap_or("unknown").to_owned())
}

fn processor() -> Option<String> {
    let text = std::fs::read_to_string("/proc/cpuinfo").ok()?;
    let line = text.lines().find(|line| line.starts_with("model name"))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}
