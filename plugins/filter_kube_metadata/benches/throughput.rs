//! The filter without a host: time to the first record; CPU time per record of adding metadata and
//! of `merge_log`. Each line is `what: nanoseconds nanoseconds …`, the figures of some rounds; `make bench` takes them over.
//!
//! `cargo bench -p filter_kube_metadata`
#![allow(clippy::print_stdout)] // The result.

use std::fmt::Write as _;
use std::path::Path;
use std::time::{Duration, Instant};

use filter_kube_metadata::{Environment, KubeMetadata};
use flb_sidecar_sdk::event::{begin_record, RecordFormat, Timestamp};
use flb_sidecar_sdk::fake::FakeHost;
use flb_sidecar_sdk::msgpack::{write_map_len, write_str};
use flb_sidecar_sdk::{Chunk, Filter, Settings, Verdict};

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

/// Prints what a record takes in each round, with a copy of the result as the host gets one.
fn measure(name: &str, filter: &mut KubeMetadata, log: &str) {
    const RECORDS: u32 = 1500;
    const BATCHES: u32 = 40;
    const ROUNDS: usize = 5;
    let mut chunk = Vec::new();
    for _ in 0..RECORDS {
        begin_record(&mut chunk, RecordFormat::WithMetadata, Timestamp::now());
        write_map_len(&mut chunk, 2);
        write_str(&mut chunk, "log");
        write_str(&mut chunk, log);
        write_str(&mut chunk, "stream");
        write_str(&mut chunk, "stdout");
    }
    let mut line = format!("{name}:");
    let (mut out, mut copy) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let before = thread_time();
        for _ in 0..BATCHES {
            out.clear();
            let input = Chunk {
                data: &chunk,
                tag: b"app",
            };
            filter.filter(std::hint::black_box(input), &mut out);
            copy.clear();
            copy.extend_from_slice(&out);
            std::hint::black_box(&copy);
        }
        let time = (thread_time() - before) / RECORDS / BATCHES;
        write!(line, " {}", time.as_nanos()).unwrap();
    }
    println!("{line}");
}

/// Prints how long it takes from nothing to the first enriched record in each round.
fn measure_start(folder: &Path) {
    const ROUNDS: usize = 20;
    let mut chunk = Vec::new();
    begin_record(&mut chunk, RecordFormat::WithMetadata, Timestamp::now());
    write_map_len(&mut chunk, 0);
    let mut line = "start to first record:".to_owned();
    for _ in 0..ROUNDS {
        let before = Instant::now();
        let mut out = Vec::new();
        let input = Chunk {
            data: &chunk,
            tag: b"app",
        };
        let mut filter = filter(folder, &[]);
        assert_eq!(filter.filter(input, &mut out), Verdict::Replaced);
        write!(line, " {}", before.elapsed().as_nanos()).unwrap();
        filter.exit();
    }
    println!("{line}");
}

/// CPU time of this thread: others may want the machine, too.
fn thread_time() -> Duration {
    let stat = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    Duration::from_nanos(stat.split(' ').next().unwrap().parse().unwrap())
}

fn main() {
    let dir = tempfile::tempdir().unwrap();
    let labels: String = (0..6).fold(String::new(), |mut text, n| {
        writeln!(text, "app.kubernetes.io/label-{n}=\"value-{n}\"").unwrap();
        text
    });
    std::fs::write(dir.path().join("labels"), labels).unwrap();
    std::fs::write(dir.path().join("annotations"), "note=\"a note\"\n").unwrap();
    measure_start(dir.path());
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
}
