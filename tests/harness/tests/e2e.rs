//! What `make e2e` is made of, without a cluster: its objects are valid, its account adds up, and the
//! collector answers as it is told.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use flb_sidecar_tests::build::root;
use flb_sidecar_tests::e2e::{account, lives, matrix, seconds_between, to_collector};
use flb_sidecar_tests::e2e::{Account, Collector, Ends, Images, Table, Verdict, LINES};
use flb_sidecar_tests::say;
use serde_json::{json, Value as Json};

#[test]
fn every_object_is_valid() {
    let python = root().join("target/tools/bin/python");
    if !python.exists() {
        return say("SKIPPED objects of make e2e: no kubernetes-validate, see tests/tools.txt");
    }
    let all = matrix("sidecar:1");
    assert_eq!(all.len(), 4 * 5);
    let mut objects: Vec<Json> = Collector::objects("collector:1");
    objects.extend(all.into_iter().flat_map(|attempt| attempt.objects));
    objects.extend(lives(&images()).into_iter().map(|life| life.deployment));
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("all.yaml");
    let text: String = objects
        .iter()
        .map(|object| format!("---\n{object}\n"))
        .collect();
    std::fs::write(&file, text).expect("it takes files");
    for release in ["1.29", "1.37"] {
        let output = Command::new(&python)
            .arg(root().join("tests/manifests.py"))
            .arg(release)
            .arg(&file)
            .output()
            .expect("Python starts");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{release}: {said}");
    }
}

#[test]
fn the_account_adds_up() {
    let record = |pod: &str, log: &str| json!({"log": log, "kubernetes": {"pod_name": pod}});
    let lines = |pod: &str, range: std::ops::Range<usize>| -> Json {
        range
            .map(|n| record(pod, &format!("line {n} of [EMAIL]")))
            .collect()
    };
    let whole = format!(
        "{}\n{}\n",
        lines("flag-ok-x", 1..8),
        lines("flag-ok-x", 8..LINES + 1)
    );
    assert_eq!(account(&whole, "flag-ok").is_whole(1, LINES), Ok(()));
    // Another Job's pods do not count, nor what is cut.
    let other = format!("{whole}{}\n[{{\"log\":", lines("flag-hangs-x", 1..3));
    assert_eq!(account(&other, "flag-ok").is_whole(1, LINES), Ok(()));
    let few = account(&other, "flag-hangs");
    assert_eq!((few.lines, few.pods, few.gaps), (2, 1, 0));
    assert!(few.has_no_hole().is_ok() && few.is_whole(1, LINES).is_err());
    let twice = format!("{whole}{}\n", lines("flag-ok-x", 3..5));
    assert_eq!(account(&twice, "flag-ok").twice, 2);
    assert!(account(&twice, "flag-ok").has_no_hole().is_err());
    let plain = format!(
        "{whole}{}\n",
        json!([record("flag-ok-x", "line 1 of user1@example.com")])
    );
    assert_eq!(account(&plain, "flag-ok").plain, 1);
    assert!(account(&plain, "flag-ok").has_no_hole().is_err());
    // What is missing at the beginning or between is a gap; objects a line are records, too.
    let late = [2, 4].map(|n| record("late-x", &format!("step {n}")).to_string());
    assert_eq!(account(&late.join("\n"), "late").gaps, 2);
    let mut last = record("late-x", "line 1 of [EMAIL] bye");
    last["kubernetes"]["labels"] = json!({"flb-e2e": "second"});
    let found = account(&last.to_string(), "late");
    assert_eq!((found.ended, found.gaps), (1, 0));
    assert!(found.labels.contains("second"));
    assert_eq!(account("", "late"), Account::default());
}

fn images() -> Images {
    Images {
        prefix: "localhost/x".into(),
        tag: "1".into(),
        next: Some("2".into()),
    }
}

#[test]
fn a_manifest_gets_the_collector_and_the_image() {
    let manifest =
        "    [OUTPUT]\n        Host   logs.example.com\n        Port   443\n        Tls on\n  \
                    image: registry.example.com/fluent-bit-sidecar:5.1.1\n";
    let wanted = "    [OUTPUT]\n        Host collector\n        Port 8080\n        Tls off\n  \
                  image: localhost/x/sidecar:1\n";
    assert_eq!(to_collector(manifest, &images()), wanted);
}

#[test]
fn ends_and_times_are_read_from_a_pod() {
    let ended = json!({"terminated": {"exitCode": 3, "finishedAt": "2026-01-01T00:00:02Z", "message": "{}"}});
    let mut pod = json!({"status": {
        "initContainerStatuses": [{"name": "logs", "restartCount": 1, "state": {"running": {}}}],
        "containerStatuses": [{"name": "main", "state": ended.clone()}],
    }});
    let end = Ends(&pod).end("main").expect("it has ended");
    assert_eq!((end.code, end.message.as_str()), (3, "{}"));
    assert_eq!(Ends(&pod).restarts("logs"), 1);
    assert!(Ends(&pod).end("logs").is_none() && !Ends(&pod).all_ended());
    pod["status"]["initContainerStatuses"][0]["state"] = ended;
    assert!(Ends(&pod).all_ended());
    assert!(!Ends(&json!({})).all_ended());
    let passed = |from: &str| seconds_between(from, &end.at);
    assert_eq!(passed("2025-12-31T23:59:59Z"), Some(3));
    assert_eq!(passed("2026-01-01T00:00:04Z"), Some(-2));
    assert_eq!(passed("soon"), None);
}

#[test]
fn a_skipped_row_is_no_failure_and_a_failed_one_is() {
    let mut table = Table::default();
    table.add("a", 1.0, Verdict::Ok("2 s".into()));
    table.add("b", 0.0, Verdict::Skipped("no such thing here".into()));
    assert!(table.is_good());
    table.add("c", 2.5, Verdict::Failed("why".into()));
    assert!(!table.is_good());
    assert!(
        table.to_string().contains("| c | 2.5 | FAILED: why |"),
        "{table}"
    );
}

#[test]
fn without_a_cluster_it_says_so() {
    let output = Command::new(env!("CARGO_BIN_EXE_e2e"))
        .args(["localhost/x", "1"])
        .env_remove("KUBECONFIG")
        .output()
        .expect("it starts");
    assert!(output.status.success());
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(said.starts_with("SKIPPED make e2e: KUBECONFIG"), "{said}");
}

/// A collector of its own, killed at the end.
struct Destination {
    child: Child,
    address: String,
}

impl Destination {
    fn start() -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_collector"))
            .arg("127.0.0.1:0")
            .stdout(Stdio::piped())
            .spawn()
            .expect("it starts");
        let mut line = String::new();
        let out = child.stdout.take().expect("it is piped");
        BufReader::new(out)
            .read_line(&mut line)
            .expect("it says where");
        let address = line
            .trim()
            .rsplit(' ')
            .next()
            .unwrap_or_default()
            .to_owned();
        Destination { child, address }
    }

    fn send(&self, request: &str) -> TcpStream {
        let mut stream = TcpStream::connect(&self.address).expect("it listens");
        stream
            .write_all(request.as_bytes())
            .expect("it takes bytes");
        stream
    }

    /// The answer to one request; what was read before the end of the connection or of `limit`.
    fn ask(&self, method: &str, path: &str, body: &str, limit: Duration) -> String {
        let length = body.len();
        let mut stream = self.send(&format!(
            "{method} {path} HTTP/1.1\r\ncontent-length: {length}\r\n\r\n{body}"
        ));
        stream
            .set_read_timeout(Some(limit))
            .expect("a timeout can be set");
        let mut answer = Vec::new();
        let mut block = [0; 4096];
        loop {
            match stream.read(&mut block) {
                Ok(0) | Err(_) => break,
                Ok(count) => answer.extend_from_slice(&block[..count]),
            }
            let text = String::from_utf8_lossy(&answer);
            if let Some((head, body)) = text.split_once("\r\n\r\n") {
                let length = head
                    .split("Content-Length: ")
                    .nth(1)
                    .and_then(|n| n.trim().parse().ok());
                if Some(body.len()) == length {
                    break;
                }
            }
        }
        String::from_utf8_lossy(&answer).into_owned()
    }
}

impl Drop for Destination {
    fn drop(&mut self) {
        // It may be gone already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn the_collector_answers_as_it_is_told_and_keeps_what_it_took() {
    let destination = Destination::start();
    let long = Duration::from_secs(20);
    let post = |body: &str, limit| destination.ask("POST", "/lines", body, limit);
    let mood = |name: &str| destination.ask("PUT", &format!("/lines?mood={name}"), "", long);
    assert!(post("[1]", long).starts_with("HTTP/1.1 200"));
    assert!(mood("refuse").starts_with("HTTP/1.1 200"));
    assert!(post("[2]", long).starts_with("HTTP/1.1 503"));
    assert!(mood("sulk").starts_with("HTTP/1.1 400"));
    mood("reset");
    assert_eq!(post("[3]", long), "");
    mood("hang");
    assert_eq!(post("[4]", Duration::from_millis(200)), "");
    mood("drip");
    let begun = post("[5]", Duration::from_millis(300));
    assert!(!begun.contains("200 OK"), "{begun}");
    mood("ok");
    post("[6]", long);
    let kept = destination.ask("GET", "/lines", "", long);
    assert!(kept.ends_with("[1]\n[6]"), "{kept}");
    // Another name has a mood of its own.
    mood("hang");
    assert!(destination
        .ask("POST", "/other", "[7]", long)
        .starts_with("HTTP/1.1 200"));
    assert!(destination
        .ask("GET", "/other", "", long)
        .ends_with("\r\n\r\n[7]"));
    // As an API server hands it on; the next request on the connection is understood.
    let chunked =
        "PUT /lines?mood=ok HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n";
    let mut stream = destination.send(&format!("{chunked}GET /other HTTP/1.1\r\n\r\n"));
    stream
        .set_read_timeout(Some(long))
        .expect("a timeout can be set");
    let mut answers = Vec::new();
    let mut block = [0; 4096];
    while !answers.ends_with(b"[7]") {
        let count = stream.read(&mut block).expect("it answers");
        assert!(count > 0, "{}", String::from_utf8_lossy(&answers));
        answers.extend_from_slice(&block[..count]);
    }
    destination.ask("DELETE", "/lines", "", long);
    assert!(destination
        .ask("GET", "/lines", "", long)
        .ends_with("\r\n\r\n"));
    assert!(destination
        .ask("PATCH", "/lines", "", long)
        .starts_with("HTTP/1.1 405"));
}
