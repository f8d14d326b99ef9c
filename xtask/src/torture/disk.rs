//! The file system of the results: a small one in memory that can be filled and made read-only, or another folder in memory where
//! this process may mount nothing.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, SystemTime};

use super::random::Random;

/// Size of the file system in MiB; a sweep's results take a few.
const SIZE: u64 = 48;

/// A file system for results, which is removed with the value.
pub(super) struct Disk {
    folder: PathBuf,
    is_mounted: bool,
}

impl Disk {
    /// A new file system at `work/disk`, or a folder in `/dev/shm` if nothing can be mounted.
    pub(super) fn new(work: &Path) -> Result<Self, String> {
        let folder = work.join("disk");
        create(&folder)?;
        if mount(&["-t", "tmpfs", "-o", &format!("size={SIZE}m"), "tmpfs"], &folder) {
            return Ok(Self { folder, is_mounted: true });
        }
        let shared = Path::new("/dev/shm");
        let folder =
            if shared.is_dir() { shared.join(format!("mtcool-torture-{}", std::process::id())) } else { folder };
        create(&folder)?;
        Ok(Self { folder, is_mounted: false })
    }

    pub(super) fn path(&self) -> &Path {
        &self.folder
    }

    /// Whether it can be filled and made read-only.
    pub(super) fn is_mounted(&self) -> bool {
        self.is_mounted
    }

    /// Fills it up to `left` bytes.
    pub(super) fn fill(&self, left: u64) -> Result<(), String> {
        let ballast = self.folder.join("ballast");
        let failed = |error: std::io::Error| format!("`{}`: {error}", ballast.display());
        let mut file = File::create(&ballast).map_err(failed)?;
        let zeros = vec![0; 1 << 16];
        // The last part of it does not fit any more.
        while file.write_all(&zeros).is_ok() {}
        let full = file.metadata().map_err(failed)?.len();
        file.set_len(full.saturating_sub(left)).map_err(failed)
    }

    pub(super) fn empty(&self) {
        let _ = fs::remove_file(self.folder.join("ballast"));
    }

    /// Makes it read-only, or writable again; returns whether that was possible (not while a file is open for writing).
    pub(super) fn set_read_only(&self, is_read_only: bool) -> bool {
        mount(&["-o", if is_read_only { "remount,ro" } else { "remount,rw" }], &self.folder)
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        if self.is_mounted {
            unmount(&self.folder);
        }
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// Puts an empty read-only file system over `folder`; returns whether that was possible.
pub(super) fn cover(folder: &Path) -> bool {
    mount(&["-t", "tmpfs", "-o", "ro", "tmpfs"], folder)
}

pub(super) fn unmount(folder: &Path) {
    // A process may still look at it.
    let _ = Command::new("umount").arg("-l").arg(folder).stderr(Stdio::null()).status();
}

/// Dates about half of the files below `folder` up to two days back or ahead, as a clock that jumps would.
pub(super) fn date_at_random(folder: &Path, random: &mut Random) -> usize {
    let mut dated = 0;
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            dated += date_at_random(&path, random);
        } else if random.below(2) == 0 {
            let (now, jump) = (SystemTime::now(), random.moment(Duration::from_secs(48 * 3600)));
            let time = if random.below(2) == 0 { now - jump } else { now + jump };
            let file = File::options().append(true).open(&path);
            dated += usize::from(file.is_ok_and(|file| file.set_modified(time).is_ok()));
        }
    }
    dated
}

fn create(folder: &Path) -> Result<(), String> {
    fs::create_dir_all(folder).map_err(|error| format!("`{}`: {error}", folder.display()))
}

fn mount(arguments: &[&str], folder: &Path) -> bool {
    let mut command = Command::new("mount");
    command.args(arguments).arg(folder).stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}
