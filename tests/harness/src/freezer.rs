//! Holding a process still without a signal: Fluent Bit dumps its state on SIGCONT, and some
//! releases crash at it.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use crate::{wait_until, DEADLINE};

/// A control group (version 2) with one process in it, which ends before this does.
#[derive(Debug)]
pub struct Freezer(PathBuf);

static NEXT: AtomicU64 = AtomicU64::new(0);

impl Freezer {
    /// `None`: not possible here, which takes root.
    pub fn new(process: u32) -> Option<Self> {
        let mounts = fs::read_to_string("/proc/self/mounts").ok()?;
        let mut mounts = mounts.lines().map(|line| line.split(' '));
        let root = mounts.find_map(|mut parts| {
            let at = parts.nth(1)?;
            (parts.next() == Some("cgroup2")).then_some(at)
        })?;
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("flb-sidecar-{}-{number}", std::process::id());
        let group = Path::new(root).join(name);
        fs::create_dir(&group).ok()?;
        let freezer = Freezer(group);
        fs::write(freezer.0.join("cgroup.procs"), process.to_string()).ok()?;
        Some(freezer)
    }

    /// From here on the process does nothing.
    ///
    /// # Panics
    /// When it does not come to a halt.
    pub fn freeze(&self) {
        self.set("1");
        let frozen = wait_until(DEADLINE, || {
            let events = fs::read_to_string(self.0.join("cgroup.events")).ok()?;
            events.lines().any(|line| line == "frozen 1").then_some(())
        });
        frozen.expect("a process can be frozen");
    }

    /// It goes on.
    pub fn thaw(&self) {
        self.set("0");
    }

    fn set(&self, state: &str) {
        fs::write(self.0.join("cgroup.freeze"), state).expect("the group is ours");
    }
}

impl Drop for Freezer {
    fn drop(&mut self) {
        // Fails while the process is there; an empty group left behind does no harm.
        let _ = fs::write(self.0.join("cgroup.freeze"), "0");
        wait_until(DEADLINE, || fs::remove_dir(&self.0).ok());
    }
}
