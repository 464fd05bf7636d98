//! The same records through Fluent Bit's own `kubernetes` filter, in a real host, and through this
//! one: the results must be the same, value by value.
//!
//! One host reads a file twice: once as it is, once with the `kubernetes` filter, whose pod object
//! comes from a file. What it sends is compared with what this filter makes of the plain records,
//! and, where the plugin library is built, with what the same host makes of them through it.
#![allow(clippy::print_stdout)] // What is skipped is said.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use filter_kube_metadata::{Environment, KubeMetadata};
use flb_sidecar_sdk::event::records;
use flb_sidecar_sdk::fake::FakeHost;
use flb_sidecar_sdk::msgpack::{read, Value};
use flb_sidecar_sdk::{Chunk, Filter, Settings, Verdict};

const POD: &str = "app-7d4b9c-x2z8q";
const NAMESPACE: &str = "team-a";
const DOCKER_ID: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

/// A configuration of both filters.
struct Scenario {
    name: &'static str,
    options: &'static [(&'static str, &'static str)],
    /// Options and lines need the host's parsers, which only the library can ask for.
    parsers: bool,
}

impl Scenario {
    fn needs_api(&self) -> bool {
        let in_api = |name: &str| name == "owner_references" || name.starts_with("namespace_");
        self.options.iter().any(|(name, _)| in_api(name))
    }
}

const fn scenario(
    name: &'static str,
    options: &'static [(&'static str, &'static str)],
) -> Scenario {
    Scenario {
        name,
        options,
        parsers: false,
    }
}

const SCENARIOS: &[Scenario] = &[
    scenario("defaults", &[]),
    scenario(
        "everything on",
        &[
            ("owner_references", "on"),
            ("namespace_labels", "on"),
            ("namespace_annotations", "on"),
        ],
    ),
    scenario(
        "namespace only",
        &[
            ("namespace_labels", "on"),
            ("namespace_metadata_only", "on"),
        ],
    ),
    scenario(
        "nothing but names",
        &[("labels", "off"), ("annotations", "off")],
    ),
    scenario("merge_log", &[("merge_log", "on")]),
    scenario(
        "merge_log without log",
        &[("merge_log", "on"), ("keep_log", "off")],
    ),
    scenario(
        "merge_log under a key, untrimmed",
        &[
            ("merge_log", "on"),
            ("merge_log_key", "inner"),
            ("merge_log_trim", "off"),
            ("keep_log", "off"),
        ],
    ),
    scenario(
        "merge_log under a key",
        &[("merge_log", "on"), ("merge_log_key", "inner")],
    ),
    scenario("exclude", &[("k8s-logging.exclude", "on")]),
    Scenario {
        name: "merge_parser",
        options: &[
            ("merge_log", "on"),
            ("merge_parser", "words"),
            ("keep_log", "off"),
        ],
        parsers: true,
    },
    Scenario {
        name: "annotated parser",
        options: &[("merge_log", "on"), ("k8s-logging.parser", "on")],
        parsers: true,
    },
];

/// What runs once; dropping it ends it.
struct Host(Child);

impl Drop for Host {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Bodies of the requests by path.
type Received = Arc<Mutex<BTreeMap<String, Vec<u8>>>>;

fn serve() -> (u16, Received) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let received = Received::default();
    let all = received.clone();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let received = all.clone();
            std::thread::spawn(move || serve_one(stream, &received));
        }
    });
    (port, received)
}

fn serve_one(stream: TcpStream, received: &Received) -> Option<()> {
    let mut writer = stream.try_clone().ok()?;
    let mut reader = BufReader::new(stream);
    loop {
        let mut path = String::new();
        let mut length = 0;
        let mut first = true;
        loop {
            let mut line = String::new();
            if reader.read_line(&mut line).ok()? == 0 {
                return None;
            }
            let line = line.trim_end();
            if first {
                path = line.split(' ').nth(1)?.to_owned();
                first = false;
            } else if line.is_empty() {
                break;
            } else if let Some((key, value)) = line.split_once(':') {
                if key.eq_ignore_ascii_case("content-length") {
                    length = value.trim().parse().ok()?;
                }
            }
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body).ok()?;
        received
            .lock()
            .unwrap()
            .entry(path)
            .or_default()
            .extend(body);
        writer
            .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
            .ok()?;
    }
}

/// A value with its types, all bytes visible.
fn describe(buf: &[u8], at: usize, out: &mut String) -> usize {
    let (value, mut at) = read(buf, at).expect("whole msgpack");
    match value {
        Value::String { start, end } => {
            write!(out, "\"{}\"", buf[start..end].escape_ascii()).unwrap();
        }
        Value::Binary { start, end } => {
            write!(out, "bin\"{}\"", buf[start..end].escape_ascii()).unwrap();
        }
        Value::Extension { start, end, .. } => {
            write!(out, "ext\"{}\"", buf[start..end].escape_ascii()).unwrap();
        }
        Value::Float(bits) => write!(out, "{:?}f{bits:x}", f64::from_bits(bits)).unwrap(),
        Value::Unsigned(n) => write!(out, "{n}").unwrap(),
        Value::Negative(n) => write!(out, "{n}").unwrap(),
        Value::Nil => out.push_str("nil"),
        Value::Boolean(value) => write!(out, "{value}").unwrap(),
        Value::Array(len) => {
            out.push('[');
            for _ in 0..len {
                at = describe(buf, at, out);
                out.push(',');
            }
            out.push(']');
        }
        Value::Map(len) => {
            out.push('{');
            for _ in 0..len {
                at = describe(buf, at, out);
                out.push(':');
                at = describe(buf, at, out);
                out.push(',');
            }
            out.push('}');
        }
    }
    at
}

fn bodies(chunk: &[u8]) -> Vec<String> {
    records(chunk)
        .map(|record| {
            let mut text = String::new();
            describe(chunk, record.expect("whole records").body, &mut text);
            text
        })
        .collect()
}

struct NoEnvironment;

impl Environment for NoEnvironment {
    fn variable(&self, _: &str) -> Option<String> {
        None
    }

    fn file(&self, _: &Path) -> std::io::Result<Vec<u8>> {
        Err(std::io::ErrorKind::NotFound.into())
    }
}

/// What this filter makes of `chunk`.
fn ours(chunk: &[u8], options: &[(String, String)]) -> Vec<u8> {
    let settings =
        Settings::new("stock", KubeMetadata::INFO.options, options.iter().cloned()).unwrap();
    let mut host = FakeHost::default();
    let mut filter = KubeMetadata::with_environment(&settings, &mut host, &NoEnvironment).unwrap();
    let mut out = Vec::new();
    let input = Chunk {
        data: chunk,
        tag: b"app",
    };
    match filter.filter(input, &mut out) {
        Verdict::Unchanged => chunk.to_vec(),
        Verdict::Replaced => out,
    }
}

/// The pod of `stock_pod.json` as options and Downward API files.
fn downward_api(folder: &Path, options: &[(&str, &str)]) -> Vec<(String, String)> {
    let pod: serde_json::Value = serde_json::from_str(include_str!("stock_pod.json")).unwrap();
    let mut own: Vec<(String, String)> = options
        .iter()
        .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
        .collect();
    for name in ["labels", "annotations"] {
        let mut text = String::new();
        for (key, value) in pod["metadata"][name].as_object().unwrap() {
            // The values have no character for which JSON and Go escape differently.
            writeln!(text, "{key}={value}").unwrap();
        }
        std::fs::write(folder.join(name), text).unwrap();
    }
    for (option, value) in [
        ("pod_id", &pod["metadata"]["uid"]),
        ("host", &pod["spec"]["nodeName"]),
        ("pod_ip", &pod["status"]["podIP"]),
    ] {
        own.push((option.to_owned(), value.as_str().unwrap().to_owned()));
    }
    for (option, value) in [
        ("pod_name", POD),
        ("namespace_name", NAMESPACE),
        ("container_name", "app"),
        ("podinfo_path", folder.to_str().unwrap()),
    ] {
        own.push((option.to_owned(), value.to_owned()));
    }
    own
}

/// The same without what only the pod's status has.
fn without_status(bodies: Vec<String>) -> Vec<String> {
    bodies
        .into_iter()
        .map(|body| {
            let Some(start) = body.find("\"docker_id\":") else {
                return body;
            };
            let image = start + body[start..].find("\"container_image\":").unwrap();
            let end = image + body[image..].find(',').unwrap() + 1;
            // The map is described without its length, so nothing else changes.
            body[..start].to_owned() + &body[end..]
        })
        .collect()
}

/// Texts for `log`.
fn texts() -> Vec<Vec<u8>> {
    let mut texts: Vec<Vec<u8>> = include_str!("stock_texts.txt")
        .lines()
        .filter(|line| !line.is_empty())
        .map(|line| line.as_bytes().to_vec())
        .collect();
    let seeds = texts.clone();
    // The same texts with bytes changed, left out or doubled, always the same way.
    let mut state = 0x2545_f491_4f6c_dd1du64;
    let mut random = |below: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 11) as usize % below
    };
    let pieces: &[&[u8]] = &[
        b"\"",
        b"\\",
        b"{",
        b"}",
        b"[",
        b"]",
        b",",
        b":",
        b"\\u",
        b"\\ud83d",
        b"\\ude00",
        b"0",
        b"-",
        b".",
        b"e",
        b"E+",
        b" ",
        b"\n",
        b"\t",
        b"\x01",
        b"\xff",
        b"\xc3",
        b"\xe6\x97",
        b"\xf0\x9f\x98\x80",
        b"null",
        b"true",
        b"1",
    ];
    for _ in 0..3000 {
        let mut text = seeds[random(seeds.len())].clone();
        for _ in 0..=random(3) {
            let at = random(text.len() + 1);
            match random(4) {
                0 => text.truncate(at.max(1)),
                1 => {
                    let end = (at + random(4)).min(text.len());
                    text.drain(at..end);
                }
                _ => {
                    let piece = pieces[random(pieces.len())];
                    text.splice(at..at, piece.iter().copied());
                }
            }
        }
        texts.push(text);
    }
    texts
}

/// The file that the host reads: one JSON object a line.
fn lines() -> Vec<u8> {
    let mut file = Vec::new();
    let fixed: &[&str] = &[
        r#"{"log":"plain"}"#,
        r#"{}"#,
        r#"{"a":1,"log":"{\"x\":1}","b":[1,{"c":null}]}"#,
        r#"{"log":"{\"log\":\"inner\",\"a\":2}","a":1}"#,
        r#"{"log":"{\"a\":1}","log":"{\"b\":1}"}"#,
        r#"{"log":5,"a":1}"#,
        r#"{"log":null}"#,
        r#"{"log":["{}"]}"#,
        r#"{"log":{"m":"text\n","n":{"o":1}}}"#,
        r#"{"log":{}}"#,
        r#"{"stream":"stdout","log":"{\"a\":\"b\\n\"}"}"#,
        r#"{"stream":"stderr","log":"A B"}"#,
        r#"{"stream":"stdout","log":"A B"}"#,
        r#"{"stream":"other","log":"A B"}"#,
        r#"{"stream":"std","log":"A B"}"#,
        r#"{"stream":"","log":"A B"}"#,
        r#"{"s":"x","stream":"stderr","log":"A B"}"#,
        r#"{"streams":"stderr","log":"A B"}"#,
        r#"{"message":"no log"}"#,
        r#"{"f":1.5,"i":-7,"u":18446744073709551615,"t":true}"#,
    ];
    for line in fixed {
        file.extend_from_slice(line.as_bytes());
        file.push(b'\n');
    }
    for text in texts() {
        file.extend_from_slice(b"{\"log\":\"");
        for byte in text {
            match byte {
                b'"' | b'\\' => file.extend_from_slice(&[b'\\', byte]),
                0..=0x1f => write!(file, "\\u{byte:04x}").unwrap(),
                _ => file.push(byte),
            }
        }
        file.extend_from_slice(b"\"}\n");
    }
    file
}

fn section(out: &mut String, name: &str, pairs: &[(&str, &str)]) {
    writeln!(out, "[{name}]").unwrap();
    for (key, value) in pairs {
        writeln!(out, "    {key} {value}").unwrap();
    }
}

fn host_binary() -> Option<PathBuf> {
    let path = std::env::var_os("FLUENT_BIT_5_1_1").map_or_else(
        || "/opt/fluent-bit-5.1.1/bin/fluent-bit".into(),
        PathBuf::from,
    );
    path.is_file().then_some(path)
}

fn library() -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../target/plugins/flb-filter_kube_metadata.so");
    path.is_file().then_some(path)
}

#[test]
fn the_results_are_those_of_the_filter_kubernetes() {
    let Some(binary) = host_binary() else {
        println!("SKIPPED: no Fluent Bit 5.1.1 (FLUENT_BIT_5_1_1 or /opt/fluent-bit-5.1.1)");
        return;
    };
    let library = library();
    if library.is_none() {
        println!(
            "SKIPPED in part: the plugin library is not built (make build); compared without it"
        );
    }
    let file = lines();
    for scenario in SCENARIOS {
        if scenario.parsers && library.is_none() {
            println!(
                "SKIPPED: scenario '{}' needs the plugin library",
                scenario.name
            );
            continue;
        }
        compare(&binary, library.as_deref(), scenario, &file);
    }
}

fn compare(binary: &Path, library: Option<&Path>, scenario: &Scenario, file: &[u8]) {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().to_str().unwrap().to_owned();
    let write = |name: &str, bytes: &[u8]| std::fs::write(dir.path().join(name), bytes).unwrap();
    write("app.log", file);
    write(
        &format!("{NAMESPACE}_{POD}.meta"),
        include_bytes!("stock_pod.json"),
    );
    write(
        &format!("{NAMESPACE}.namespace_meta"),
        include_bytes!("stock_namespace.json"),
    );
    write(
        "parsers.conf",
        b"[PARSER]\n    Name json\n    Format json\n[PARSER]\n    Name words\n    Format regex\n    Regex ^(?<first>[^ ]+) (?<second>[^ ]+)$\n",
    );
    let (port, received) = serve();
    let port = port.to_string();
    let path = format!("{root}/app.log");
    let stock_tag = format!("kube.var.log.containers.{POD}_{NAMESPACE}_app-{DOCKER_ID}.log");
    let mut config = String::new();
    let parsers = format!("{root}/parsers.conf");
    section(
        &mut config,
        "SERVICE",
        &[
            ("Flush", "0.2"),
            ("Log_Level", "info"),
            ("Parsers_File", &parsers),
        ],
    );
    let mut targets = vec![("raw", "raw"), ("stock", stock_tag.as_str())];
    if library.is_some() {
        targets.push(("ours", "ours"));
    }
    for (_, tag) in &targets {
        section(
            &mut config,
            "INPUT",
            &[
                ("Name", "tail"),
                ("Path", &path),
                ("Tag", tag),
                ("Parser", "json"),
                ("Read_from_Head", "on"),
                ("Buffer_Max_Size", "1M"),
            ],
        );
    }
    // Without them the stock filter believes that it is in no pod, and crashes where namespace
    // labels are asked for.
    let account = |name: &str, text: &str| {
        write(name, text.as_bytes());
        dir.path().join(name).to_string_lossy().into_owned()
    };
    let namespace_file = account("namespace", NAMESPACE);
    let token_file = account("token", "token");
    let mut stock = vec![
        ("Name", "kubernetes"),
        ("Match", &stock_tag),
        ("kube_meta_preload_cache_dir", &root),
        // Plain HTTP, never called: with TLS it would want the CA file of a cluster.
        ("kube_url", "http://127.0.0.1:9"),
        ("kube_namespace_file", &namespace_file),
        ("kube_token_file", &token_file),
    ];
    stock.extend_from_slice(scenario.options);
    section(&mut config, "FILTER", &stock);
    let mut own = vec![
        ("kube_meta_preload_cache_dir", root.as_str()),
        ("pod_name", POD),
        ("namespace_name", NAMESPACE),
        ("container_name", "app"),
        ("podinfo_path", "/nowhere"),
    ];
    own.extend_from_slice(scenario.options);
    if library.is_some() {
        let mut named = vec![("Name", "kube_metadata"), ("Match", "ours")];
        named.extend_from_slice(&own);
        section(&mut config, "FILTER", &named);
    }
    for (name, tag) in &targets {
        let uri = format!("/{name}");
        section(
            &mut config,
            "OUTPUT",
            &[
                ("Name", "http"),
                ("Match", tag),
                ("Host", "127.0.0.1"),
                ("Port", &port),
                ("URI", &uri),
                ("Format", "msgpack"),
            ],
        );
    }
    write("fluent-bit.conf", config.as_bytes());
    let log = std::fs::File::create(dir.path().join("host.log")).unwrap();
    let mut command = Command::new(binary);
    if let Some(library) = library {
        command.arg("-e").arg(library);
    }
    let host = command
        .arg("-c")
        .arg(dir.path().join("fluent-bit.conf"))
        .stdout(Stdio::null())
        .stderr(log)
        .spawn()
        .unwrap();
    let mut host = Host(host);

    // Plain records tell how many there are; the others follow, fewer if some are excluded.
    let expected = file.iter().filter(|byte| **byte == b'\n').count();
    let count = |name: &str| {
        let received = received.lock().unwrap();
        received
            .get(&format!("/{name}"))
            .map_or(0, |chunk| records(chunk).count())
    };
    let deadline = Instant::now() + Duration::from_secs(60);
    let mut last = (0, Instant::now());
    loop {
        let log = || std::fs::read_to_string(dir.path().join("host.log")).unwrap();
        assert!(
            host.0.try_wait().unwrap().is_none(),
            "the host ended:\n{}",
            log()
        );
        assert!(
            Instant::now() < deadline,
            "{}: too few records:\n{}",
            scenario.name,
            log()
        );
        let total: usize = targets.iter().map(|(name, _)| count(name)).sum();
        if total != last.0 {
            last = (total, Instant::now());
        }
        let all = targets.iter().all(|(name, _)| count(name) > 0) && count("raw") == expected;
        if all && last.1.elapsed() > Duration::from_secs(1) {
            break;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    drop(host);

    let received = received.lock().unwrap();
    let stock = bodies(&received["/stock"]);
    if let Some(through_host) = received.get("/ours") {
        equal(
            scenario.name,
            "through the host",
            &stock,
            &bodies(through_host),
        );
    }
    if !scenario.parsers {
        let own: Vec<(String, String)> = own
            .iter()
            .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
            .collect();
        let result = ours(&received["/raw"], &own);
        equal(scenario.name, "pure", &stock, &bodies(&result));
        if !scenario.needs_api() {
            let own = downward_api(dir.path(), scenario.options);
            let result = ours(&received["/raw"], &own);
            equal(
                scenario.name,
                "without the API",
                &without_status(stock.clone()),
                &bodies(&result),
            );
        }
    }
    println!("'{}': {} records are the same", scenario.name, stock.len());
}

fn equal(scenario: &str, level: &str, stock: &[String], ours: &[String]) {
    let differing: Vec<_> = stock.iter().zip(ours).filter(|(a, b)| a != b).collect();
    let mut shown = String::new();
    for (theirs, own) in differing.iter().take(10) {
        write!(shown, "\n  kubernetes    {theirs}\n  kube_metadata {own}").unwrap();
    }
    assert!(
        differing.is_empty() && stock.len() == ours.len(),
        "{scenario}, {level}: {} of {} records differ ({} of ours):{shown}",
        differing.len(),
        stock.len(),
        ours.len()
    );
}
