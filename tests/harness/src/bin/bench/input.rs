//! What the hosts read: log lines and the metadata of a pod.

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};

/// Pod, namespace and container that the lines come from.
pub const POD: &str = "web-7d4b9c-x2z8q";
pub const NAMESPACE: &str = "shop";
const DOCKER_ID: &str = "c7761e58969f7edd498186641b2021e8477e1bcd230de4cf3435242da4a40d14";

/// As good as random, like a real one: runs of digits are work for a redaction.
const IMAGE_ID: &str = "6105d6cc76af400325e94d588ce511be5bfdbb73b437dc51eca43917d7a43e3d";

/// The Lua filter that redacts.
pub const LUA: &str = include_str!("redact.lua");

/// A log file.
#[derive(Debug, Clone)]
pub struct Log {
    pub path: PathBuf,
    pub bytes: u64,
    pub lines: u64,
}

impl Log {
    /// Has the kernel's cache hold all of it: our plugin tells the kernel to drop what it has read, and
    /// who reads next would wait for the disk.
    ///
    /// # Panics
    /// When it cannot be read.
    pub fn warm(&self) {
        let mut files = vec![self.path.clone()];
        if self.path.ends_with("*.log") {
            let folder = self.path.parent().expect("a pattern is in a folder");
            let entries = std::fs::read_dir(folder).expect("the folder was made");
            files = entries.flatten().map(|entry| entry.path()).collect();
        }
        for file in files {
            let mut file = std::fs::File::open(file).expect("the log was written");
            std::io::copy(&mut file, &mut std::io::sink()).expect("the log can be read");
        }
    }
}

/// The same pseudo-random numbers on every run.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) % end
    }

    fn pick<'a>(&mut self, words: &[&'a str]) -> &'a str {
        words[self.below(words.len() as u64) as usize]
    }
}

const WORDS: &[&str] = &[
    "request",
    "finished",
    "order",
    "accepted",
    "cache",
    "miss",
    "for",
    "session",
    "user",
    "retry",
    "queue",
    "worker",
    "started",
    "payment",
    "service",
    "timeout",
    "after",
    "commit",
    "segment",
    "replica",
    "shard",
    "index",
    "connection",
    "closed",
    "by",
    "peer",
    "upstream",
];
const LEVELS: &[&str] = &["INFO", "INFO", "INFO", "DEBUG", "WARN", "ERROR"];

/// What a line is about, with something personal in about one of six lines.
fn message(numbers: &mut Numbers, personal: bool, out: &mut String) {
    for _ in 0..5 {
        out.push_str(numbers.pick(WORDS));
        out.push(' ');
    }
    let _ = write!(
        out,
        "id={} took={}ms ",
        numbers.below(90_000),
        numbers.below(900)
    );
    if !personal {
        return;
    }
    let number = numbers.below(10);
    match numbers.below(24) {
        0 => out.push_str("mail=jane.doe@example.org "),
        1 => out.push_str("card=4111 1111 1111 1111 "),
        2 => out.push_str("ssn=123-45-6789 "),
        3 => {
            let _ = write!(out, "client=203.0.113.1{number} ");
        }
        _ => {}
    }
}

fn time(numbers: &mut Numbers) -> String {
    format!(
        "2025-03-{:02}T{:02}:{:02}:{:02}.{:06}Z",
        1 + numbers.below(28),
        numbers.below(24),
        numbers.below(60),
        numbers.below(60),
        numbers.below(1_000_000)
    )
}

/// A line of text of 150 bytes with its newline.
fn text_line(numbers: &mut Numbers, personal: bool) -> String {
    let mut line = time(numbers);
    let level = numbers.pick(LEVELS);
    let thread = numbers.below(32);
    let _ = write!(line, " {level} [worker-{thread}] shop.Checkout - ");
    message(numbers, personal, &mut line);
    while line.len() < 149 {
        line.push_str(numbers.pick(WORDS));
        line.push(' ');
    }
    line.truncate(149);
    line.push('\n');
    line
}

/// A line of JSON of about 230 bytes.
fn json_line(numbers: &mut Numbers, personal: bool) -> String {
    let time = time(numbers);
    let level = numbers.pick(LEVELS);
    let mut text = String::new();
    message(numbers, personal, &mut text);
    let line = serde_json::json!({
        "time": time,
        "level": level,
        "logger": "shop.Checkout",
        "message": text.trim_end(),
        "status": 200 + numbers.below(4) * 100,
        "duration": numbers.below(100_000) as f64 / 100.0,
        "http": {"method": numbers.pick(&["GET", "POST"]), "path": "/api/v1/orders"},
        "cached": numbers.below(2) == 0,
    });
    format!("{line}\n")
}

/// Kinds of lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// 150 bytes of text without anything personal.
    Clean,
    /// 150 bytes of text.
    Text,
    /// JSON objects.
    Json,
}

/// Writes about `megabytes` of lines.
///
/// # Panics
/// When the folder does not take them.
pub fn write_log(folder: &Path, kind: Kind, megabytes: u64) -> Log {
    let mut numbers = Numbers(0x2545_f491_4f6c_dd1d);
    let mut block = Vec::new();
    let mut lines = 0;
    while block.len() < 1_000_000 {
        let line = match kind {
            Kind::Clean => text_line(&mut numbers, false),
            Kind::Text => text_line(&mut numbers, true),
            Kind::Json => json_line(&mut numbers, true),
        };
        block.extend_from_slice(line.as_bytes());
        lines += 1;
    }
    let path = folder.join(format!("{kind:?}-{megabytes}.log").to_lowercase());
    let mut file = std::fs::File::create(&path).expect("a temporary folder takes files");
    for _ in 0..megabytes {
        file.write_all(&block).expect("there is room for the log");
    }
    // What is not written yet cannot be dropped from the cache: the first run would be another one.
    file.sync_all().expect("there is room for the log");
    Log {
        path,
        bytes: block.len() as u64 * megabytes,
        lines: lines * megabytes,
    }
}

/// Writes `count` files of one line each into a folder of their own. The path is a pattern.
///
/// # Panics
/// When the folder does not take them.
pub fn write_files(folder: &Path, count: u64) -> Log {
    let mut numbers = Numbers(0x2545_f491_4f6c_dd1d);
    let folder = folder.join("files");
    std::fs::create_dir(&folder).expect("a temporary folder takes folders");
    let mut bytes = 0;
    for n in 0..count {
        let line = text_line(&mut numbers, true);
        bytes += line.len() as u64;
        std::fs::write(folder.join(format!("{n}.log")), line).expect("there is room for a line");
    }
    Log {
        path: folder.join("*.log"),
        bytes,
        lines: count,
    }
}

/// The tag from which the filter `kubernetes` takes pod, namespace and container.
pub fn kube_tag() -> String {
    format!("kube.var.log.containers.{POD}_{NAMESPACE}_app-{DOCKER_ID}.log")
}

/// The pod as the API gives it, for `kube_meta_preload_cache_dir`.
pub fn pod() -> String {
    serde_json::json!({
        "kind": "Pod",
        "apiVersion": "v1",
        "metadata": {
            "name": POD,
            "namespace": NAMESPACE,
            "uid": "f3a9c1d2-7b4e-4c8a-9d15-6e2b8f0a37c4",
            "labels": {"app": "web", "app.kubernetes.io/name": "web", "pod-template-hash": "7d4b9c"},
            "annotations": {"prometheus.io/scrape": "true", "team": "checkout"},
        },
        "spec": {"nodeName": "node-1", "containers": [{"name": "app", "image": "registry/app:1.2"}]},
        "status": {
            "phase": "Running",
            "podIP": "10.0.0.7",
            "podIPs": [{"ip": "10.0.0.7"}],
            "containerStatuses": [{
                "name": "app",
                "state": {},
                "ready": true,
                "restartCount": 0,
                "image": "registry/app:1.2",
                "imageID": format!("registry/app@sha256:{IMAGE_ID}"),
                "containerID": format!("containerd://{DOCKER_ID}"),
            }],
        },
    })
    .to_string()
}
