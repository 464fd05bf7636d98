//! `kube_metadata` with `use_api` inside real hosts, against TLS servers that misbehave: records go
//! on at once and complete, whatever the API does, and get what it adds once it answers.

use std::fs;
use std::path::Path;
use std::time::Duration;

use flb_sidecar_sdk::event::{begin_record, records, RecordFormat, Timestamp};
use flb_sidecar_sdk::json;
use flb_sidecar_tests::forward::Forward;
use flb_sidecar_tests::port::free_port;
use flb_sidecar_tests::process::Output;
use flb_sidecar_tests::sink::Sink;
use flb_sidecar_tests::{each_real_host, http, wait_until, Host, Pipeline};
use kube_client::testing::{Act, Authority, Server};
use serde_json::{json, Value as Json};
use tempfile::TempDir;

const POD_PATH: &str = "/api/v1/namespaces/team-a/pods/app-0";

/// What an instance says when its trouble begins.
const NOTHING: &str = "the API has nothing for Pod 'app-0': ";

/// Two calls are at least 10 s apart, one more than that after a failure.
const DEADLINE: Duration = Duration::from_secs(90);

fn pod(container_id: &str) -> String {
    json!({
        "kind": "Pod",
        "metadata": {"name": "app-0", "namespace": "team-a", "uid": "u-1"},
        "status": {"containerStatuses": [
            {"name": "app", "image": "i", "imageID": "r/i@sha256:ff", "containerID": format!("containerd://{container_id}")},
        ]},
    })
    .to_string()
}

/// The host's metrics as Prometheus reads them.
fn metrics(port: u16) -> Option<String> {
    http::get(port, "/api/v2/metrics/prometheus").map(|(_, text)| text)
}

/// What the API does first.
#[derive(Clone, Copy, Debug)]
enum Trouble {
    Nothing,
    Status(u16),
    /// 429 with `Retry-After`.
    Later,
    Hangs,
    FiveMiB,
    DiesInTheBody,
    NoHandshake,
    /// The token is not the one that is accepted until the file has the next one.
    OldToken,
    /// The certificate is of another authority until the CA file has that one's.
    OldAuthority,
    /// The file is not there yet.
    NoToken,
}

/// With the reason in `api_failures_total`.
const TROUBLES: &[(Trouble, Option<&str>)] = &[
    (Trouble::Nothing, None),
    (Trouble::Status(401), Some("unauthorized")),
    (Trouble::Status(403), Some("forbidden")),
    (Trouble::Status(404), Some("not_found")),
    (Trouble::Status(500), Some("status")),
    (Trouble::Later, Some("too_many_requests")),
    (Trouble::Hangs, Some("timeout")),
    (Trouble::FiveMiB, Some("too_large")),
    (Trouble::DiesInTheBody, Some("connection")),
    (Trouble::NoHandshake, Some("connection")),
    (Trouble::OldToken, Some("unauthorized")),
    (Trouble::OldAuthority, Some("connection")),
    (Trouble::NoToken, Some("credentials")),
];

/// An instance of the filter, the API that it asks, and the records that were sent to it.
struct Instance {
    trouble: Trouble,
    reason: Option<&'static str>,
    tag: String,
    alias: String,
    folder: TempDir,
    authority: Authority,
    server: Server,
    sent: usize,
}

impl Instance {
    fn new(index: usize, trouble: Trouble, reason: Option<&'static str>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let authority = Authority::new(folder.path());
        let server = Server::start(authority.server_config(), "first", &pod("aaa"));
        if !matches!(trouble, Trouble::NoToken) {
            fs::write(folder.path().join("token"), "first\n").unwrap();
        }
        let act = match trouble {
            Trouble::Status(status) => Some(Act::Answer(status, "{}".to_owned())),
            Trouble::Later => Some(Act::Later("Retry-After: 11\r\n")),
            Trouble::Hangs => Some(Act::Hang),
            Trouble::FiveMiB => Some(Act::Answer(200, " ".repeat(5 << 20))),
            Trouble::DiesInTheBody => Some(Act::Die),
            Trouble::NoHandshake => Some(Act::Refuse),
            Trouble::OldToken => {
                server.shared.lock().unwrap().token = "second".to_owned();
                None
            }
            Trouble::OldAuthority => {
                let next = Authority::new(&place(folder.path(), "next"));
                server.shared.lock().unwrap().tls = next.server_config();
                None
            }
            Trouble::Nothing | Trouble::NoToken => None,
        };
        server.act(&act.into_iter().collect::<Vec<_>>());
        Instance {
            trouble,
            reason,
            tag: format!("api.{index}"),
            alias: format!("kube_{index}"),
            folder,
            authority,
            server,
            sent: 0,
        }
    }

    fn path(&self, name: &str) -> String {
        let path = self.folder.path().join(name);
        path.to_str().expect("a plain path").to_owned()
    }

    fn add_to(&self, pipeline: &mut Pipeline) {
        let options = [
            ("alias", self.alias.clone()),
            ("use_api", "on".to_owned()),
            ("kube_url", self.server.url.clone()),
            ("kube_ca_file", self.path("ca.crt")),
            ("kube_token_file", self.path("token")),
            // Asked for again as soon as the pace allows it.
            ("kube_meta_cache_ttl", "1".to_owned()),
            ("podinfo_path", "/nowhere".to_owned()),
            ("pod_name", "app-0".to_owned()),
            ("namespace_name", "team-a".to_owned()),
            ("container_name", "app".to_owned()),
        ];
        pipeline.filter("kube_metadata", &self.tag, &options);
    }

    fn send(&mut self, client: &mut Forward) {
        let mut record = Vec::new();
        begin_record(&mut record, RecordFormat::Legacy, Timestamp::now());
        json::write(&mut record, &json!({"n": self.sent}));
        client.send(&self.tag, 1, &record);
        self.sent += 1;
    }

    /// The records that came so far.
    fn delivered(&self, sink: &Sink) -> Vec<Json> {
        let chunk = sink.chunk(&self.tag);
        records(&chunk)
            .map(|record| json::read(&chunk, record.unwrap().body).unwrap().0)
            .collect()
    }

    /// The container's ID in the last record.
    fn last_id(&self, sink: &Sink) -> Option<String> {
        let last = self.delivered(sink).pop()?;
        Some(last["kubernetes"]["docker_id"].as_str()?.to_owned())
    }

    /// The trouble is over.
    fn mend(&self) {
        match self.trouble {
            Trouble::OldToken => fs::write(self.path("token"), "second\n").unwrap(),
            Trouble::NoToken => fs::write(self.path("token"), "first\n").unwrap(),
            Trouble::OldAuthority => {
                fs::copy(self.path("next/ca.crt"), self.path("ca.crt")).unwrap();
            }
            _ => {}
        }
    }

    /// Its calls and its failure are in the metrics.
    fn is_counted(&self, metrics: &str) -> bool {
        let name = format!("name=\"{}\"", self.alias);
        let value = |series: &str, label: &str| {
            let mut lines = metrics.lines().filter(|line| line.contains(series));
            let line = lines.find(|line| line.contains(&name) && line.contains(label))?;
            let (_, value) = line.rsplit_once("} ")?;
            value.split(' ').next()?.parse::<f64>().ok()
        };
        let failed = self.reason.is_none_or(|reason| {
            let label = format!("reason=\"{reason}\"");
            value("api_failures_total", &label) >= Some(1.0)
        });
        failed && value("api_requests_total", "") >= Some(2.0)
    }

    /// The first call was made, or failed before a request was sent.
    fn is_in_trouble(&self, output: &Output) -> bool {
        if matches!(self.trouble, Trouble::OldAuthority | Trouble::NoToken) {
            self.said(&output.stderr(), NOTHING) > 0
        } else {
            self.server.calls() > 0
        }
    }

    /// How many lines it wrote with this.
    fn said(&self, stderr: &str, part: &str) -> usize {
        let alias = format!(":{}]", self.alias);
        let own = stderr.lines().filter(|line| line.contains(&alias));
        own.filter(|line| line.contains(part)).count()
    }
}

fn place(folder: &Path, name: &str) -> std::path::PathBuf {
    let place = folder.join(name);
    fs::create_dir(&place).unwrap();
    place
}

/// Sends a record to each instance, again and again, until each is as wanted.
fn send_until(
    what: &str,
    instances: &mut [Instance],
    client: &mut Forward,
    mut is: impl FnMut(&Instance) -> bool,
) {
    let reached = wait_until(DEADLINE, || {
        for instance in &mut *instances {
            instance.send(client);
        }
        std::thread::sleep(Duration::from_millis(100));
        instances.iter().all(&mut is).then_some(())
    });
    let missing = instances.iter().filter(|instance| !is(instance));
    let missing: Vec<_> = missing.map(|instance| instance.trouble).collect();
    assert!(reached.is_some(), "waited in vain for {what}: {missing:?}");
}

fn troubles(host: &Host) {
    let sink = Sink::listen();
    let troubles = TROUBLES.iter().enumerate();
    let mut instances: Vec<Instance> = troubles
        .map(|(index, (trouble, reason))| Instance::new(index, *trouble, *reason))
        .collect();
    let mut pipeline = Pipeline::new(host);
    let port = free_port();
    pipeline.arg("-H").arg("-P").arg(port.to_string());
    let socket = pipeline.path("socket");
    pipeline.input("forward", &[("unix_path", &socket)]);
    for instance in &instances {
        instance.add_to(&mut pipeline);
    }
    pipeline.output("http", "*", &sink.options());
    let running = pipeline.start();
    let mut client = Forward::connect(Path::new(&socket));

    // The first records are there before any call is answered well.
    send_until("the first calls", &mut instances, &mut client, |instance| {
        instance.is_in_trouble(running.output())
    });
    let sent: Vec<usize> = instances.iter().map(|instance| instance.sent).collect();
    let came = wait_until(DEADLINE, || {
        let mut both = instances.iter().zip(&sent);
        both.all(|(instance, sent)| instance.delivered(&sink).len() >= *sent)
            .then_some(())
    });
    assert!(came.is_some(), "records are missing\n{}", running.output());
    let hanging = instances
        .iter()
        .find(|i| matches!(i.trouble, Trouble::Hangs));
    let hanging = hanging.expect("one hangs");
    assert_eq!(hanging.server.calls(), 1, "its records came while it hung");
    assert_eq!(hanging.last_id(&sink), None);

    // What the API knows is in the records once it answers.
    instances.iter().for_each(Instance::mend);
    send_until(
        "the container's ID",
        &mut instances,
        &mut client,
        |instance| instance.last_id(&sink).as_deref() == Some("aaa"),
    );

    // All rotates at once: token, certificate, and what the API knows.
    for instance in &instances {
        fs::write(instance.path("token.next"), "third\n").unwrap();
        fs::rename(instance.path("token.next"), instance.path("token")).unwrap();
        let mut shared = instance.server.shared.lock().unwrap();
        shared.token = "third".to_owned();
        if !matches!(instance.trouble, Trouble::OldAuthority) {
            shared.tls = instance.authority.server_config();
        }
        drop(shared);
        instance.server.set_body(&pod("bbb"));
    }
    send_until(
        "the container's new ID",
        &mut instances,
        &mut client,
        |instance| instance.last_id(&sink).as_deref() == Some("bbb"),
    );

    // Metrics are handed over with the next record or once a second; 1.9 does not offer them.
    let mut missing = Vec::new();
    let counted = wait_until(DEADLINE, || {
        if !host.since(2, 0, 0) {
            return Some(());
        }
        let text = metrics(port)?;
        missing = instances
            .iter()
            .filter(|instance| !instance.is_counted(&text))
            .collect();
        missing.is_empty().then_some(())
    });
    let missing: Vec<_> = missing.iter().map(|instance| instance.trouble).collect();
    let offered = metrics(port).unwrap_or_default();
    assert!(counted.is_some(), "not counted: {missing:?}\n{offered}");

    let ended = running.terminate();
    for instance in &instances {
        let trouble = instance.trouble;
        let delivered = instance.delivered(&sink);
        let mut numbers: Vec<u64> = delivered.iter().filter_map(|r| r["n"].as_u64()).collect();
        // The output's workers deliver chunks side by side.
        numbers.sort_unstable();
        let expected: Vec<u64> = (0..instance.sent as u64).collect();
        ended.check(&format!("{trouble:?}: {numbers:?}"), numbers == expected);
        let named = |record: &Json| record["kubernetes"]["pod_name"] == "app-0";
        ended.check(
            &format!("{trouble:?}: first records lack the pod"),
            delivered.iter().all(named),
        );
        for (path, _, _) in &instance.server.shared.lock().unwrap().calls {
            assert!(path == POD_PATH || path.is_empty(), "{trouble:?}: {path}");
        }
        // Said once when it begins and once when it is over.
        let began = instance.said(&ended.stderr, NOTHING);
        let over = instance.said(&ended.stderr, "the API answers for Pod 'app-0' again");
        // A call may be under way while all rotates: that is one trouble more.
        let times = usize::from(instance.reason.is_some());
        let right = began == over && (times..=times + 1).contains(&began);
        ended.check(
            &format!("{trouble:?}: said {began} and {over} times"),
            right,
        );
    }
}

#[test]
fn records_go_on_whatever_the_api_does() {
    each_real_host("kube_metadata with an API in trouble", troubles);
}
