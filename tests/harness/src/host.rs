//! The hosts a scenario runs on.

use std::collections::BTreeMap;
use std::fmt;
use std::panic::{catch_unwind, AssertUnwindSafe};
use std::path::{Path, PathBuf};
use std::time::Instant;

use crate::build::{self, Check};
use crate::say;

/// A Fluent Bit release.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version(pub u32, pub u32, pub u32);

impl Version {
    /// As the test host wants it: 5.1.0 is 50100.
    pub fn number(self) -> u32 {
        self.0 * 10_000 + self.1 * 100 + self.2
    }

    fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split('.').map(|part| part.parse().ok());
        Some(Version(parts.next()??, parts.next()??, parts.next()??))
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.0, self.1, self.2)
    }
}

/// First releases of every row of layouts and calls.
pub const GENERATIONS: &[Version] = &[
    Version(1, 9, 0),
    Version(1, 9, 3),
    Version(2, 0, 0),
    Version(2, 0, 1),
    Version(2, 0, 7),
    Version(2, 1, 0),
    Version(2, 1, 4),
    Version(2, 2, 0),
    Version(3, 1, 0),
    Version(3, 2, 0),
    Version(3, 2, 2),
    Version(3, 2, 3),
    Version(4, 0, 0),
    Version(4, 0, 3),
    Version(5, 0, 3),
    Version(5, 1, 0),
];

/// A program that plays Fluent Bit, or is it.
#[derive(Clone, Debug)]
pub struct Host {
    /// Release.
    pub version: Version,
    /// Program to start.
    pub program: PathBuf,
    /// A real Fluent Bit.
    pub real: bool,
}

impl Host {
    /// The C test host of a release.
    pub fn test(version: Version, check: Check) -> Self {
        Host {
            version,
            program: build::test_host(version, check, "", &[]),
            real: false,
        }
    }

    /// Whether the release is `(major, minor, patch)` or later.
    pub fn since(&self, major: u32, minor: u32, patch: u32) -> bool {
        self.version >= Version(major, minor, patch)
    }

    /// Whether `Plugins_File` may be a classic list: 3.2.0 to 3.2.2 read one in YAML only.
    pub fn reads_classic_lists(&self) -> bool {
        !self.since(3, 2, 0) || self.since(3, 2, 3)
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = if self.real { "Fluent Bit" } else { "test host" };
        write!(f, "{name} {}", self.version)
    }
}

fn real_host(program: &Path) -> Option<Host> {
    let output = build::host_command(program)
        .arg("--version")
        .output()
        .ok()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let version = text.lines().next()?.strip_prefix("Fluent Bit v")?;
    Some(Host {
        version: Version::parse(version.trim())?,
        program: program.to_owned(),
        real: true,
    })
}

/// The Fluent Bit that `FLUENT_BIT_BINARY` names, the first of several: what is named is wanted,
/// whatever else is installed.
pub fn named_host() -> Option<Host> {
    let list = std::env::var_os("FLUENT_BIT_BINARY")?;
    let first = std::env::split_paths(&list).find(|path| !path.as_os_str().is_empty())?;
    real_host(&first)
}

/// Every Fluent Bit on this machine: `FLUENT_BIT_BINARY` (several with `:`), `PATH`,
/// `/opt/fluent-bit*/bin/fluent-bit`; one per release, the oldest first. With `FLUENT_BIT_ONLY`
/// set, nothing but `FLUENT_BIT_BINARY` counts, so that an empty one means none.
///
/// # Panics
/// When `FLUENT_BIT_BINARY` names something else.
pub fn real_hosts() -> Vec<Host> {
    let mut programs: Vec<PathBuf> = Vec::new();
    if let Some(list) = std::env::var_os("FLUENT_BIT_BINARY") {
        programs.extend(std::env::split_paths(&list).filter(|path| !path.as_os_str().is_empty()));
        for program in &programs {
            let known = real_host(program).is_some();
            assert!(
                known,
                "FLUENT_BIT_BINARY: {} is no Fluent Bit",
                program.display()
            );
        }
    }
    if std::env::var_os("FLUENT_BIT_ONLY").is_none() {
        if let Some(path) = std::env::var_os("PATH") {
            programs.extend(std::env::split_paths(&path).map(|folder| folder.join("fluent-bit")));
        }
        for entry in std::fs::read_dir("/opt").into_iter().flatten().flatten() {
            let name = entry.file_name();
            if name.to_string_lossy().starts_with("fluent-bit") {
                programs.push(entry.path().join("bin/fluent-bit"));
            }
        }
    }
    let mut hosts = BTreeMap::new();
    for host in programs.iter().filter_map(|program| real_host(program)) {
        hosts.entry(host.version).or_insert(host);
    }
    hosts.into_values().collect()
}

/// Runs the scenario on one host and says how it went.
fn run_on(scenario: &str, host: &Host, run: &impl Fn(&Host)) -> Result<(), String> {
    let start = Instant::now();
    let result = catch_unwind(AssertUnwindSafe(|| run(host)));
    let took = start.elapsed().as_secs_f64();
    result
        .map(|()| say(&format!("{scenario}: {host}: ok in {took:.1} s")))
        .map_err(|panic| {
            let text = panic
                .downcast_ref::<String>()
                .cloned()
                .or_else(|| panic.downcast_ref::<&str>().map(|&s| s.to_owned()))
                .unwrap_or_default();
            say(&format!("{scenario}: {host}: FAILED in {took:.1} s"));
            format!("{scenario}: {host}: {text}")
        })
}

/// Runs the scenario on all hosts, a few at a time, and fails with every host that failed.
fn each(scenario: &str, hosts: &[Host], run: &(impl Fn(&Host) + Sync)) {
    // A run mostly waits for the host's timers, so more than there are processors.
    const AT_ONCE: usize = 4;
    let next = std::sync::Mutex::new(hosts.iter());
    let failed = std::sync::Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..AT_ONCE.min(hosts.len()) {
            scope.spawn(|| {
                // Not in the loop's head: the lock would be held during the run.
                let take = || next.lock().ok().and_then(|mut hosts| hosts.next());
                while let Some(host) = take() {
                    if let Err(text) = run_on(scenario, host, run) {
                        if let Ok(mut failed) = failed.lock() {
                            failed.push(text);
                        }
                    }
                }
            });
        }
    });
    let failed = failed.into_inner().unwrap_or_default();
    assert!(failed.is_empty(), "{}", failed.join("\n"));
}

/// The C test host of the newest generation.
pub fn newest_test_host() -> Host {
    let newest = GENERATIONS.last().copied().unwrap_or(Version(5, 1, 0));
    Host::test(newest, Check::None)
}

/// Those of [`GENERATIONS`] that `FLB_SIDECAR_GENERATIONS` names (`1.9.0,5.1.0`), or all.
///
/// # Panics
/// When it names another one.
fn generations() -> Vec<Version> {
    let Ok(names) = std::env::var("FLB_SIDECAR_GENERATIONS") else {
        return GENERATIONS.to_vec();
    };
    let known = |name: &str| Version::parse(name).filter(|version| GENERATIONS.contains(version));
    let named = names.split(',').map(|name| {
        known(name).unwrap_or_else(|| panic!("FLB_SIDECAR_GENERATIONS: '{name}' begins none"))
    });
    named.collect()
}

/// Runs a scenario on the C test host of every generation.
pub fn each_test_host(scenario: &str, run: impl Fn(&Host) + Sync) {
    let hosts: Vec<Host> = generations()
        .into_iter()
        .map(|version| Host::test(version, Check::None))
        .collect();
    each(scenario, &hosts, &run);
}

/// Runs a scenario on every Fluent Bit found that `wanted` takes; says SKIPPED when there is none.
pub fn each_real_host_where(
    scenario: &str,
    wanted: impl Fn(&Host) -> bool,
    run: impl Fn(&Host) + Sync,
) {
    let all = real_hosts();
    let hosts: Vec<Host> = all.iter().filter(|host| wanted(host)).cloned().collect();
    if all.is_empty() {
        say(&format!("SKIPPED {scenario}: no Fluent Bit found"));
    } else if hosts.is_empty() {
        say(&format!(
            "SKIPPED {scenario}: no Fluent Bit of a fitting release found"
        ));
    }
    each(scenario, &hosts, &run);
}

/// Runs a scenario on every Fluent Bit found; says SKIPPED when there is none.
pub fn each_real_host(scenario: &str, run: impl Fn(&Host) + Sync) {
    each_real_host_where(scenario, |_| true, run);
}
