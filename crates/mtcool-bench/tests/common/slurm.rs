//! A Slurm of one node for a test. Its daemons are children of the test and all its files are in a temporary folder, so that it needs no
//! rights, and several of them run at the same time.

use std::fs::File;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use super::{succeed, text};

/// The programs of Debian's packages `slurm-wlm` and `munge` that are needed here.
const PROGRAMS: [&str; 7] = ["mungekey", "munged", "slurmctld", "slurmd", "sbatch", "scontrol", "squeue"];

/// A running Slurm; it ends when the value is dropped.
pub struct Cluster {
    folder: TempDir,
    daemons: Vec<Child>,
}

impl Cluster {
    /// Starts one; `None`, and a line that says so, where Slurm is not installed.
    pub fn start() -> Option<Self> {
        let is_missing = |name: &&str| !std::env::split_paths(&path()).any(|folder| folder.join(name).exists());
        if let Some(missing) = PROGRAMS.into_iter().find(is_missing) {
            eprintln!(
                "skipped: there is no `{missing}` on this machine; Debian's packages slurm-wlm and munge have it"
            );
            return None;
        }
        let mut cluster = Self { folder: tempfile::tempdir().unwrap(), daemons: Vec::new() };
        std::fs::set_permissions(cluster.path(), PermissionsExt::from_mode(0o755)).unwrap();
        for folder in ["state", "spool"] {
            std::fs::create_dir(cluster.path().join(folder)).unwrap();
        }
        let socket = cluster.path().join("socket");
        let key = cluster.path().join("key");
        succeed(cluster.command("mungekey").arg("--create").arg("--keyfile").arg(&key));
        let mut munged = cluster.command("munged");
        munged.args(["--foreground", "--force"]);
        for (flag, file) in [("--key-file", &key), ("--socket", &socket)] {
            munged.arg(flag).arg(file);
        }
        for (flag, name) in [("--pid-file", "munged.pid"), ("--log-file", "munged.log"), ("--seed-file", "munged.seed")]
        {
            munged.arg(flag).arg(cluster.path().join(name));
        }
        cluster.daemon(munged, "munged");
        if !is_soon(|| socket.exists()) {
            return cluster.unusable("munged");
        }
        std::fs::write(cluster.path().join("slurm.conf"), configuration(cluster.path(), &socket)).unwrap();
        for name in ["slurmctld", "slurmd"] {
            let mut daemon = cluster.command(name);
            daemon.arg("-D");
            cluster.daemon(daemon, name);
        }
        let is_up = || {
            let output = cluster.command("sinfo").args(["--noheader", "--format=%T"]).output().unwrap();
            text(&output.stdout).trim() == "idle"
        };
        if !is_soon(is_up) {
            return cluster.unusable("slurmctld");
        }
        Some(cluster)
    }

    /// Says that the daemon `name` does not work on this machine, with the end of what it printed.
    fn unusable(&self, name: &str) -> Option<Self> {
        let printed = std::fs::read_to_string(self.path().join(format!("{name}.err"))).unwrap_or_default();
        let lines: Vec<&str> = printed.lines().collect();
        let end = lines[lines.len().saturating_sub(5)..].join("\n");
        eprintln!("skipped: Slurm is installed and does not start on this machine ({name}):\n{end}");
        None
    }

    /// The command `program` in the environment of this Slurm.
    pub fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        self.enter(&mut command);
        command
    }

    /// Gives `command` the environment of this Slurm.
    pub fn enter<'a>(&self, command: &'a mut Command) -> &'a mut Command {
        command.env("SLURM_CONF", self.path().join("slurm.conf")).env("PATH", path())
    }

    /// Whether all of `jobs` are over, with all their elements.
    pub fn is_over(&self, jobs: &[&str]) -> bool {
        let jobs = format!("--jobs={}", jobs.join(","));
        let output = self.command("squeue").args(["--noheader", &jobs]).output().unwrap();
        output.status.success() && output.stdout.is_empty()
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    fn daemon(&mut self, mut command: Command, name: &str) {
        let log = |end: &str| File::create(self.path().join(format!("{name}.{end}"))).unwrap();
        command.stdin(Stdio::null()).stdout(log("out")).stderr(log("err"));
        self.daemons.push(command.spawn().unwrap());
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        // What still runs after a failed test.
        let jobs = self.command("squeue").args(["--noheader", "--format=%A"]).output();
        let jobs = jobs.map(|output| text(&output.stdout)).unwrap_or_default();
        if !jobs.trim().is_empty() {
            let _ = self.command("scancel").args(["--signal=KILL", "--full"]).args(jobs.split_whitespace()).status();
            let _ = self.command("scancel").args(jobs.split_whitespace()).status();
            std::thread::sleep(Duration::from_secs(1));
        }
        for daemon in self.daemons.iter_mut().rev() {
            let _ = daemon.kill();
            let _ = daemon.wait();
        }
    }
}

/// The path with the folders of daemons, which not every user has in it.
fn path() -> std::ffi::OsString {
    let own = std::env::var_os("PATH").unwrap_or_default();
    let daemons = ["/usr/sbin", "/sbin"].map(PathBuf::from);
    std::env::join_paths(std::env::split_paths(&own).chain(daemons)).unwrap()
}

/// `slurm.conf` of a node with eight processors, whatever the machine has. A job that is started again may begin after six seconds.
fn configuration(folder: &Path, socket: &Path) -> String {
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap();
    let host = host.trim().split('.').next().unwrap();
    let user = succeed(Command::new("id").arg("-un"));
    let ports =
        [(); 2].map(|()| TcpListener::bind("127.0.0.1:0").unwrap()).map(|port| port.local_addr().unwrap().port());
    let (user, folder, socket) = (user.trim(), folder.display(), socket.display());
    format!(
        "ClusterName=test
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={}
SlurmdPort={}
SlurmUser={user}
SlurmdUser={user}
AuthType=auth/munge
AuthInfo=socket={socket},cred_expire=5
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmdParameters=config_overrides
SwitchType=switch/none
MpiDefault=none
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
ReturnToService=2
SchedulerType=sched/backfill
SchedulerParameters=batch_sched_delay=0,sched_interval=1,bf_interval=1
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
AccountingStorageType=accounting_storage/none
KillWait=5
NodeName={host} NodeAddr=127.0.0.1 CPUs=8 State=UNKNOWN
PartitionName=all Nodes=ALL Default=YES MaxTime=INFINITE State=UP
",
        ports[0], ports[1]
    )
}

/// Waits for `condition`, two minutes at most.
pub fn wait_until(what: &str, condition: impl FnMut() -> bool) {
    assert!(is_soon(condition), "waited in vain for {what}");
}

/// Whether `condition` comes to hold within two minutes.
fn is_soon(mut condition: impl FnMut() -> bool) -> bool {
    let started = Instant::now();
    while !condition() {
        if started.elapsed() > Duration::from_secs(120) {
            return false;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    true
}
