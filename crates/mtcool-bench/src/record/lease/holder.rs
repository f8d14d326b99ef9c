//! Who holds a lease.

use std::path::Path;
use std::time::SystemTime;

use serde::{Deserialize, Serialize};

use super::super::environment::host;
use super::super::timestamp::utc_text;

/// The content of a generation of a lease.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::record) struct Holder {
    /// The name of its machine.
    pub(in crate::record) host: String,
    /// What the machine's kernel calls the time since it was started; empty where it has no name for it.
    pub(in crate::record) boot: String,
    /// The number of the file system in its kernel; one that is mounted twice has two, and may keep locks of files apart.
    pub(in crate::record) volume: u64,
    /// The number of its process.
    pub(in crate::record) process: u32,
    /// When it took the lease, in UTC.
    pub(in crate::record) since: String,
    /// Whether it keeps the file locked as long as it lives, which other processes of the same machine can see.
    pub(in crate::record) is_locked: bool,
    /// Whether it gave the lease back.
    pub(in crate::record) is_released: bool,
}

impl Holder {
    /// This process, from now on.
    pub(in crate::record) fn of_process() -> Self {
        let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
        Self {
            host: host().unwrap_or_default(),
            boot: boot.trim().to_owned(),
            volume: 0,
            process: std::process::id(),
            since: utc_text(SystemTime::now()),
            is_locked: false,
            is_released: false,
        }
    }

    /// The same on the file system of `folder`.
    pub(super) fn on_volume_of(self, folder: &Path) -> Self {
        #[cfg(unix)]
        let volume = folder.metadata().map_or(0, |facts| std::os::unix::fs::MetadataExt::dev(&facts));
        #[cfg(not(unix))]
        let volume = 0;
        Self { volume, ..self }
    }

    /// Whether both are processes of one kernel on one file system, whose locks the kernel releases when a process ends.
    pub(super) fn is_neighbour(&self, other: &Self) -> bool {
        (&self.host, &self.boot, self.volume) == (&other.host, &other.boot, other.volume)
    }
}

impl std::fmt::Display for Holder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "process {} on {} (since {})", self.process, self.host, self.since)
    }
}
