//! Where a run was made: enough to tell two machines and two versions apart.

use std::process::Command;

use serde_json::{Value, json};

/// Program version, git revision of the working folder, processor, threads, device.
pub fn environment(device: &str) -> Value {
    json!({
        "mtcool": env!("CARGO_PKG_VERSION"),
        "candle-core": locked_version("candle-core"),
        "gemm": locked_version("gemm"),
        "rust_required": env!("CARGO_PKG_RUST_VERSION"),
        "git_revision": git(&["rev-parse", "HEAD"]),
        "git_dirty": git(&["status", "--porcelain", "--untracked-files=no"]).map(|changes| !changes.is_empty()),
        "os": std::env::consts::OS,
        "architecture": std::env::consts::ARCH,
        "processor": processor(),
        "threads": rayon::current_num_threads(),
        "device": device,
    })
}

/// The version that the workspace's lock file gives a dependency.
fn locked_version(package: &str) -> Option<&'static str> {
    const LOCK: &str = include_str!("../../../../Cargo.lock");
    let (_, entry) = LOCK.split_once(&format!("name = \"{package}\"\n"))?;
    entry.lines().next()?.strip_prefix("version = \"")?.strip_suffix('"')
}

fn git(arguments: &[&str]) -> Option<String> {
    let output = Command::new("git").args(arguments).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

fn processor() -> Option<String> {
    let text = std::fs::read_to_string("/proc/cpuinfo").ok()?;
    let line = text.lines().find(|line| line.starts_with("model name"))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}
