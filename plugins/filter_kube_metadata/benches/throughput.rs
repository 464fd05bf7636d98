//! Time per record: adding metadata, and `merge_log` of JSON; the latter also against the filter
//! `kubernetes` in a real host, as CPU time of the whole process above that without a filter.
//!
//! `cargo bench -p filter_kube_metadata`
#![allow(clippy::print_stdout)] // The result.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use filter_kube_metadata::{Environment, KubeMetadata};
use flb_sidecar_sdk::event::{begin_record, RecordFormat, Timestamp};
use flb_sidecar_sdk::fake::FakeHost;
use flb_sidecar_sdk::msgpack::{write_map_len, write_str};
use flb_sidecar_sdk::{Chunk, Filter, Settings};

const JSON: &str = r#"{"time":"2026-01-02T03:04:05.678Z","level":"info","logger":"com.example.orders.OrderService","thread":"http-nio-8080-exec-7","message":"order \"4711\" accepted for delivery in 3 days","order":{"id":4711,"items":[{"sku":"A-1","n":2},{"sku":"B-9","n":1}],"total":129.95},"duration_ms":12.75,"status":200,"ok":true,"user":null}"#;

const PLAIN: &str = "2026-01-02T03:04:05.678Z INFO  [http-nio-8080-exec-7] com.example.orders.OrderService: order 4711 accepted for delivery in 3 days";

struct NoEnvironment;

impl Environment for NoEnvironment {
    fn variable(&self, _: &str) -> Option<String> {
        None
    }

    fn file(&self, _: &Path) -> std::io::Result<Vec<u8>> {
        Err(std::io::ErrorKind::NotFound.into())
    }
}

fn filter(folder: &Path, options: &[(&str, &str)]) -> KubeMetadata {
    let mut all = vec![
        ("pod_name", "app-7d4b9c-x2z8q"),
        ("namespace_name", "team-a"),
        ("pod_id", "0a1b2c3d-1111-2222-3333-444455556666"),
        ("pod_ip", "10.0.0.7"),
        ("host", "node-1"),
        ("container_name", "app"),
        ("podinfo_path", folder.to_str().unwrap()),
    ];
    all.retain(|(name, _)| !options.iter().any(|(other, _)| other == name));
    all.extend_from_slice(options);
    let settings = Settings::new("bench", KubeMetadata::INFO.options, all).unwrap();
    KubeMetadata::with_environment(&settings, &mut FakeHost::default(), &NoEnvironment).unwrap()
}

/// Best time and mean CPU time per record, with a copy of the result as the host gets one.
fn measure(name: &str, filter: &mut KubeMetadata, log: &str) -> Duration {
    const RECORDS: u32 = 1500;
    const ROUNDS: u32 = 200;
    let mut chunk = Vec::new();
    for _ in 0..RECORDS {
        begin_record(&mut chunk, RecordFormat::WithMetadata, Timestamp::now());
        write_map_len(&mut chunk, 2);
        write_str(&mut chunk, "log");
        write_str(&mut chunk, log);
        write_str(&mut chunk, "stream");
        write_str(&mut chunk, "stdout");
    }
    let (mut out, mut copy) = (Vec::new(), Vec::new());
    let mut best = Duration::MAX;
    let before = thread_time();
    for _ in 0..ROUNDS {
        out.clear();
        let start = Instant::now();
        let input = Chunk {
            data: &chunk,
            tag: b"app",
        };
        filter.filter(std::hint::black_box(input), &mut out);
        copy.clear();
        copy.extend_from_slice(&out);
        std::hint::black_box(&copy);
        best = best.min(start.elapsed());
    }
    let mean = (thread_time() - before) / RECORDS / ROUNDS;
    let best = best / RECORDS;
    let rate = log.len() as f64 * 1e3 / best.as_nanos() as f64;
    println!(
        "{name:<40} {:>6} ns per record (mean {:>5}), {rate:>5.0} MB/s of log",
        best.as_nanos(),
        mean.as_nanos()
    );
    mean
}

/// CPU time of this thread: others may want the machine, too.
fn thread_time() -> Duration {
    let stat = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    Duration::from_nanos(stat.split(' ').next().unwrap().parse().unwrap())
}

/// User and system time of all children that have ended.
fn children_time() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let behind = stat.rsplit_once(')').unwrap().1;
    let fields: Vec<&str> = behind.split_whitespace().collect();
    let ticks: u64 = fields[13].parse::<u64>().unwrap() + fields[14].parse::<u64>().unwrap();
    // The kernel counts in USER_HZ, which is 100 everywhere.
    Duration::from_millis(ticks * 10)
}

/// CPU time of a host that reads `log` through `filter`.
fn host_time(binary: &Path, library: &Path, folder: &Path, filter: &str) -> Duration {
    let mut config = String::new();
    let log = folder.join("app.log");
    let tag = "kube.var.log.containers.app-7d4b9c-x2z8q_team-a_app-0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef.log";
    write!(
        config,
        "[SERVICE]\n    Flush 0.2\n    Log_Level error\n\
         [INPUT]\n    Name tail\n    Path {}\n    Tag {tag}\n    Read_from_Head on\n    Exit_On_Eof on\n    Buffer_Chunk_Size 512K\n    Buffer_Max_Size 1M\n\
         {filter}[OUTPUT]\n    Name null\n    Match *\n",
        log.display()
    )
    .unwrap();
    let path = folder.join("bench.conf");
    std::fs::write(&path, config).unwrap();
    let mut best = Duration::MAX;
    for _ in 0..3 {
        let before = children_time();
        let status = Command::new(binary)
            .arg("-e")
            .arg(library)
            .arg("-c")
            .arg(&path)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .unwrap();
        assert!(status.success(), "the host ended with {status}");
        best = best.min(children_time() - before);
    }
    best
}

fn against_stock(folder: &Path) {
    const LINES: usize = 400_000;
    let binary = PathBuf::from("/opt/fluent-bit-5.1.1/bin/fluent-bit");
    let library = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../target/plugins/flb-filter_kube_metadata.so");
    if !binary.is_file() || !library.is_file() {
        println!("SKIPPED: comparison in a host (needs Fluent Bit 5.1.1 in /opt and make build)");
        return;
    }
    std::fs::write(folder.join("app.log"), format!("{JSON}\n").repeat(LINES)).unwrap();
    std::fs::write(
        folder.join("team-a_app-7d4b9c-x2z8q.meta"),
        include_bytes!("../tests/stock_pod.json"),
    )
    .unwrap();
    let section = |name: &str, own: &str| {
        format!(
            "[FILTER]\n    Name {name}\n    Match *\n    kube_meta_preload_cache_dir {}\n    merge_log on\n    keep_log off\n{own}",
            folder.display()
        )
    };
    let own = [
        ("kube_meta_preload_cache_dir", folder.to_str().unwrap()),
        ("podinfo_path", "/nowhere"),
        ("merge_log", "on"),
        ("keep_log", "off"),
    ];
    let alone = measure(
        "merge_log, JSON, as in the host",
        &mut filter(folder, &own),
        JSON,
    );
    let alone = alone.as_nanos() as f64;
    let none = host_time(&binary, &library, folder, "");
    let stock = host_time(&binary, &library, folder, &section("kubernetes", ""));
    let own = "    pod_name app-7d4b9c-x2z8q\n    namespace_name team-a\n    container_name app\n";
    let ours = host_time(&binary, &library, folder, &section("kube_metadata", own));
    let per_record = |time: Duration| time.as_nanos() as f64 / LINES as f64;
    let (none, stock, ours) = (per_record(none), per_record(stock), per_record(ours));
    println!(
        "CPU time of a host per record, {LINES} records of {} bytes:",
        JSON.len()
    );
    println!("    no filter {none:.0} ns, kubernetes {stock:.0} ns, kube_metadata {ours:.0} ns");
    // Both filters hand on the same records, so all else that the host does costs the same: the
    // difference of the two hosts is that of the filters.
    let stock_alone = alone + stock - ours;
    println!("time in the filter per record:");
    println!("    kubernetes {stock_alone:.0} ns, kube_metadata {alone:.0} ns: {:.1} times the throughput", stock_alone / alone);
}

fn main() {
    let dir = tempfile::tempdir().unwrap();
    let labels: String = (0..6).fold(String::new(), |mut text, n| {
        writeln!(text, "app.kubernetes.io/label-{n}=\"value-{n}\"").unwrap();
        text
    });
    std::fs::write(dir.path().join("labels"), labels).unwrap();
    std::fs::write(dir.path().join("annotations"), "note=\"a note\"\n").unwrap();
    measure("metadata", &mut filter(dir.path(), &[]), PLAIN);
    measure(
        "metadata, record mentions kubernetes",
        &mut filter(dir.path(), &[]),
        &format!("{PLAIN} kubernetes"),
    );
    measure(
        "metadata, container from the path",
        &mut filter(
            dir.path(),
            &[
                ("path_key", "stream"),
                ("path_template", "{container_name}"),
            ],
        ),
        PLAIN,
    );
    measure(
        "merge_log, no JSON",
        &mut filter(dir.path(), &[("merge_log", "on")]),
        PLAIN,
    );
    measure(
        "merge_log, JSON",
        &mut filter(dir.path(), &[("merge_log", "on")]),
        JSON,
    );
    measure(
        "merge_log, JSON, without log",
        &mut filter(dir.path(), &[("merge_log", "on"), ("keep_log", "off")]),
        JSON,
    );
    against_stock(dir.path());
}
