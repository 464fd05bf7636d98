//! The sidecar of conf/full in a container with a memory limit: a burst of log while its
//! destination is down.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::ServerConfig;

use crate::destination::{Destination, Mood};
use crate::host::Host;
use crate::process::Running;
use crate::sidecar::{form, Sidecar};
use crate::wait_until;

/// What is tried.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// The container's memory limit in bytes.
    pub limit: u64,
    /// Bytes of log, written as fast as the disk takes them.
    pub burst: u64,
    /// How long the destination is down.
    pub down: Duration,
    /// How long everything may take.
    pub patience: Duration,
}

/// How it went.
#[derive(Debug)]
pub struct Outcome {
    /// Lines of the burst.
    pub lines: u64,
    /// Lines that did not come.
    pub lost: u64,
    /// Lines that came more than once.
    pub twice: u64,
    /// Processes that the limit killed.
    pub killed: u64,
    /// Largest memory of the container, with its page cache.
    pub peak: u64,
    /// Largest resident memory of the host, with the files it maps.
    pub resident: u64,
    /// From the first line to the last delivery.
    pub took: Duration,
}

/// A control group with a memory limit; gone when dropped.
#[derive(Debug)]
pub struct Group {
    folder: PathBuf,
    /// Of version 2, else of version 1.
    unified: bool,
}

impl Group {
    /// Makes one, or says why that is not possible here.
    ///
    /// # Errors
    /// No controller, or no permission.
    pub fn new(limit: u64) -> Result<Self, String> {
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        let unified = Path::new("/sys/fs/cgroup/cgroup.controllers").exists();
        let parent = if unified {
            // Already on where groups with limits are made; a refusal shows below.
            let _ = fs::write("/sys/fs/cgroup/cgroup.subtree_control", "+memory");
            "/sys/fs/cgroup"
        } else {
            "/sys/fs/cgroup/memory"
        };
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("flb-sidecar-test-{}-{number}", std::process::id());
        let folder = Path::new(parent).join(name);
        let reason = |error: std::io::Error| format!("{}: {error}", folder.display());
        fs::create_dir(&folder).map_err(reason)?;
        let group = Group {
            folder: folder.clone(),
            unified,
        };
        // Swap would hide what is over the limit.
        let (memory, swap, most) = if unified {
            ("memory.max", "memory.swap.max", 0)
        } else {
            (
                "memory.limit_in_bytes",
                "memory.memsw.limit_in_bytes",
                limit,
            )
        };
        fs::write(folder.join(memory), limit.to_string()).map_err(reason)?;
        if folder.join(swap).exists() {
            fs::write(folder.join(swap), most.to_string()).map_err(reason)?;
        }
        Ok(group)
    }

    /// The command, in the group from its first instruction.
    pub fn command(&self, inner: &Command) -> Command {
        let mut command = Command::new("sh");
        command
            .args(["-c", "echo $$ > \"$0\" && exec \"$@\""])
            .arg(self.folder.join("cgroup.procs"))
            .arg(inner.get_program())
            .args(inner.get_args())
            .env_clear();
        for (name, value) in inner.get_envs() {
            if let Some(value) = value {
                command.env(name, value);
            }
        }
        if let Some(folder) = inner.get_current_dir() {
            command.current_dir(folder);
        }
        command
    }

    fn number(&self, unified: &str, old: &str) -> u64 {
        let name = if self.unified { unified } else { old };
        let text = fs::read_to_string(self.folder.join(name)).unwrap_or_default();
        // A number, or lines of a name and a number.
        let kills = text.lines().find_map(|line| line.strip_prefix("oom_kill "));
        kills.unwrap_or(&text).trim().parse().unwrap_or(0)
    }

    /// Processes that the limit killed.
    pub fn killed(&self) -> u64 {
        self.number("memory.events", "memory.oom_control")
    }

    /// Most that was used at a time.
    pub fn peak(&self) -> u64 {
        self.number("memory.peak", "memory.max_usage_in_bytes")
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        // Its process is gone but for a moment.
        wait_until(Duration::from_secs(5), || fs::remove_dir(&self.folder).ok());
    }
}

/// Largest resident memory of a process.
fn resident(running: &Running) -> u64 {
    let text = fs::read_to_string(format!("/proc/{}/status", running.id())).unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let number = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
    number.unwrap_or(0) * 1024
}

/// Bytes after which the burst's log is rotated.
const ROTATION: u64 = 20 << 20;

/// Writes `size` bytes of JSON lines with a number each, and gives their count.
fn burst(folder: &Path, size: u64) -> u64 {
    let log = folder.join("app.log");
    let filler = "the order was taken and will be sent soon; ".repeat(20);
    let (mut lines, mut written) = (0, 0);
    while written < size {
        let mut file = File::create(&log).expect("the folder takes files");
        let end = size.min(written + ROTATION);
        while written < end {
            let mut text = String::with_capacity(1 << 17);
            while text.len() < 1 << 16 {
                text.push_str(&format!(
                    "{{\"order\":\"n{lines}\",\"mail\":\"ann@example.com\",\"text\":\"{filler}\"}}\n"
                ));
                lines += 1;
            }
            file.write_all(text.as_bytes())
                .expect("the log takes lines");
            written += text.len() as u64;
        }
        if written < size {
            fs::rename(&log, folder.join(format!("app.log.{written}")))
                .expect("a rename within one folder");
        }
    }
    lines
}

/// A certificate for localhost, signed by itself, which is written to `authority`.
fn certificate(authority: &Path) -> Arc<ServerConfig> {
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]);
    let made = made.expect("a key can be made");
    fs::write(authority, made.cert.pem()).expect("a fresh folder takes files");
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(made.key_pair.serialize_der()));
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("the provider has the default versions")
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)
        .expect("key and certificate belong together");
    Arc::new(config)
}

/// Runs it.
///
/// # Errors
/// Why there can be no memory limit here.
///
/// # Panics
/// When something does not start, or the sidecar ends before all is delivered.
pub fn run(host: &Host, plan: &Plan) -> Result<Outcome, String> {
    let group = Group::new(plan.limit)?;
    let place = tempfile::tempdir().expect("a temporary folder");
    let authority = place.path().join("ca.crt");
    let tls = certificate(&authority);
    let destination = Destination::listen(Mood::Down(plan.down), "order", Some(tls));
    let environment = [
        ("COLLECTOR_HOST", "localhost".to_owned()),
        ("COLLECTOR_PORT", destination.port().to_string()),
        ("CA_FILE", authority.to_string_lossy().into_owned()),
        ("COLLECTOR_USER", "sidecar".to_owned()),
        ("COLLECTOR_PASSWORD", "secret".to_owned()),
    ];
    let sidecar = Sidecar::new(host, "full", form(host), &environment);
    let command = sidecar.pipeline.command();
    let mut running = Running::start(&mut group.command(&command), sidecar.pipeline.folder());
    sidecar.wait_until_ready(&mut running);
    let start = Instant::now();
    let lines = burst(&sidecar.path("logs"), plan.burst);
    wait_until(plan.patience, || {
        (destination.count() >= lines || running.ended().is_some()).then_some(())
    });
    let took = start.elapsed();
    let resident = resident(&running);
    let (killed, peak) = (group.killed(), group.peak());
    if killed == 0 {
        running.terminate().check_status(0);
    }
    let came = destination.lines();
    let expected = |n: &u64| came.contains_key(&format!("n{n}"));
    Ok(Outcome {
        lines,
        lost: (0..lines).filter(|n| !expected(n)).count() as u64,
        twice: came.values().filter(|times| **times > 1).count() as u64,
        killed,
        peak,
        resident,
        took,
    })
}

impl std::fmt::Display for Outcome {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mib = |bytes: u64| bytes as f64 / f64::from(1 << 20);
        write!(
            f,
            "{} lines, {} lost, {} twice, {} killed, {:.1} MiB resident and {:.1} MiB with page \
             cache at most, {:.0} s",
            self.lines,
            self.lost,
            self.twice,
            self.killed,
            mib(self.resident),
            mib(self.peak),
            self.took.as_secs_f64()
        )
    }
}
