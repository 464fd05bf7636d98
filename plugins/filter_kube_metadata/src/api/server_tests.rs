//! The API mode against a real TLS server that misbehaves.

use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use flb_sidecar_sdk::metrics::Metrics;
use kube_client::testing::{Act, Authority, Server};

use super::*;

const POD_PATH: &str = "/api/v1/namespaces/team-a/pods/app-0";
const POD: &str = r#"{"kind":"Pod","metadata":{"name":"app-0","namespace":"team-a","uid":"u-1","ownerReferences":[{"kind":"StatefulSet","name":"app"}]},
    "status":{"containerStatuses":[{"name":"app","image":"i","imageID":"r/i@sha256:ff","containerID":"containerd://cc"}]}}"#;

struct Fixture {
    dir: tempfile::TempDir,
    authority: Authority,
    server: Server,
    store: Arc<Store>,
    stop: Arc<Stop>,
    metrics: Metrics,
    options: ApiOptions,
    running: Option<(JoinHandle<()>, Interrupt)>,
}

impl Fixture {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let authority = Authority::new(dir.path());
        std::fs::write(dir.path().join("token"), "first\n").unwrap();
        let server = Server::start(authority.server_config(), "first", POD);
        let options = ApiOptions {
            client: ClientOptions {
                url: server.url.clone(),
                ca_file: dir.path().join("ca.crt"),
                token_file: dir.path().join("token"),
                verify: true,
                timeout: Duration::from_millis(1500),
            },
            pod_ttl: Duration::from_millis(1),
            namespace_ttl: Duration::ZERO,
            namespace: false,
            interval: Duration::from_millis(20),
        };
        Fixture {
            dir,
            authority,
            server,
            store: Arc::default(),
            stop: Arc::default(),
            metrics: Metrics::default(),
            options,
            running: None,
        }
    }

    fn start(&mut self) {
        let known = Pod {
            name: Some("app-0".to_owned()),
            namespace: Some("team-a".to_owned()),
            ..Pod::default()
        };
        self.start_as(&known);
    }

    fn start_as(&mut self, known: &Pod) {
        let api = Api::new(&self.options, known, &self.metrics).unwrap();
        let interrupt = api.interrupt();
        let (store, stop) = (self.store.clone(), self.stop.clone());
        let thread = std::thread::spawn(move || api.run(&store, &stop));
        self.running = Some((thread, interrupt));
    }

    fn failures(&self, reason: &str) -> u64 {
        let series = self.metrics.series();
        let of_reason = |series: &&flb_sidecar_sdk::metrics::Series| {
            series.name == "api_failures_total" && series.labels[0].1 == reason
        };
        series.iter().find(of_reason).unwrap().value.get()
    }

    fn docker_id(&self) -> Option<String> {
        self.store.pod().containers.first()?.docker_id.clone()
    }

    /// Ends the thread; how long that took.
    fn end(&mut self) -> Duration {
        let start = Instant::now();
        if let Some((thread, interrupt)) = self.running.take() {
            self.stop.stop();
            interrupt.interrupt();
            thread.join().unwrap();
        }
        start.elapsed()
    }
}

impl Drop for Fixture {
    fn drop(&mut self) {
        self.end();
    }
}

fn wait_for(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(30);
    while !condition() {
        assert!(Instant::now() < deadline, "waited in vain for: {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

#[test]
fn the_pod_is_asked_for_with_token_and_path() {
    let mut f = Fixture::new();
    f.options.pod_ttl = Duration::ZERO;
    f.start();
    wait_for("an answer", || f.docker_id().as_deref() == Some("cc"));
    assert_eq!(
        f.store.pod().owners,
        [("StatefulSet".to_owned(), "app".to_owned())]
    );
    // Everything is known and nothing expires: the thread ends by itself after one call.
    let (thread, _) = f.running.take().unwrap();
    thread.join().unwrap();
    let shared = f.server.shared.lock().unwrap();
    assert_eq!(shared.calls.len(), 1);
    assert_eq!(
        (shared.calls[0].0.as_str(), shared.calls[0].1),
        (POD_PATH, true)
    );
}

#[test]
fn every_failure_is_counted_and_overcome() {
    let cases: &[(Act, &str)] = &[
        (Act::Answer(401, "{}".into()), "unauthorized"),
        (Act::Answer(403, "{}".into()), "forbidden"),
        (Act::Answer(404, "{}".into()), "not_found"),
        (Act::Later(""), "too_many_requests"),
        (Act::Answer(500, "oops".into()), "status"),
        (Act::Answer(302, String::new()), "status"),
        (Act::Answer(200, "no json".into()), "malformed"),
        (Act::Answer(200, " ".repeat(5 << 20)), "too_large"),
        (Act::Die, "connection"),
        (Act::Refuse, "connection"),
        (Act::Hang, "timeout"),
    ];
    for (act, reason) in cases {
        let mut f = Fixture::new();
        if !matches!(act, Act::Hang) {
            // However slow the machine is, what the server does comes first.
            f.options.client.timeout = Duration::from_secs(60);
        }
        f.server.act(std::slice::from_ref(act));
        f.start();
        wait_for(reason, || f.failures(reason) == 1);
        wait_for("the answer after it", || f.docker_id().is_some());
        f.end();
        let all: u64 = Failure::REASONS
            .iter()
            .map(|reason| f.failures(reason))
            .sum();
        assert_eq!(all, 1, "{reason}");
    }
}

#[test]
fn retry_after_is_kept_to() {
    let mut f = Fixture::new();
    f.server.act(&[Act::Later("Retry-After: 1\r\n")]);
    f.start();
    wait_for("an answer", || f.docker_id().is_some());
    let shared = f.server.shared.lock().unwrap();
    assert!(shared.calls[1].2 - shared.calls[0].2 >= Duration::from_secs(1));
}

#[test]
fn calls_keep_their_distance() {
    let mut f = Fixture::new();
    f.options.interval = Duration::from_millis(60);
    f.options.namespace = true;
    f.options.namespace_ttl = Duration::from_millis(1);
    f.start();
    wait_for("some calls", || f.server.calls() >= 6);
    f.end();
    let shared = f.server.shared.lock().unwrap();
    for pair in shared.calls.windows(2) {
        assert!(
            pair[1].2 - pair[0].2 >= Duration::from_millis(55),
            "{pair:?}"
        );
    }
    assert!(shared
        .calls
        .iter()
        .any(|call| call.0 == "/api/v1/namespaces/team-a"));
}

#[test]
fn token_and_certificates_may_change() {
    let mut f = Fixture::new();
    f.start();
    wait_for("an answer", || f.docker_id().is_some());
    // The server takes a new token: 401 until the file has it.
    f.server.shared.lock().unwrap().token = "second".to_owned();
    wait_for("a 401", || f.failures("unauthorized") > 0);
    std::fs::write(f.dir.path().join("token"), "second").unwrap();
    let moved = POD.replace("//cc", "//dd");
    f.server.act(&vec![Act::Answer(200, moved); 100]);
    wait_for("an answer to the new token", || {
        f.docker_id().as_deref() == Some("dd")
    });
    // A new certificate of the same authority is accepted without a failure.
    f.server.shared.lock().unwrap().tls = f.authority.server_config();
    let before = f.failures("connection");
    let calls = f.server.calls();
    wait_for("calls with the new certificate", || {
        f.server.calls() > calls + 2
    });
    assert_eq!(f.failures("connection"), before);
    // One of another authority is not, until the CA file has it.
    let folder = tempfile::tempdir().unwrap();
    let other = Authority::new(folder.path());
    f.server.shared.lock().unwrap().tls = other.server_config();
    wait_for("a refused certificate", || {
        f.failures("connection") > before
    });
    std::fs::copy(folder.path().join("ca.crt"), f.dir.path().join("ca.crt")).unwrap();
    let calls = f.server.calls();
    wait_for("a call with the new authority", || f.server.calls() > calls);
}

#[test]
fn an_unknown_authority_is_accepted_only_without_verification() {
    let mut f = Fixture::new();
    Authority::new(f.dir.path());
    f.start();
    wait_for("a refused certificate", || f.failures("connection") > 0);
    assert_eq!(
        f.server.calls(),
        0,
        "the token is not sent to an unknown server"
    );
    f.end();
    let mut f = Fixture::new();
    std::fs::remove_file(f.dir.path().join("ca.crt")).unwrap();
    f.options.client.verify = false;
    f.start();
    wait_for("an answer", || f.docker_id().is_some());
}

#[test]
fn missing_credentials_are_a_failure_until_they_come() {
    for name in ["token", "ca.crt"] {
        let mut f = Fixture::new();
        let path = f.dir.path().join(name);
        let bytes = std::fs::read(&path).unwrap();
        std::fs::remove_file(&path).unwrap();
        f.start();
        wait_for("a failure", || f.failures("credentials") > 0);
        assert_eq!(f.server.calls(), 0);
        std::fs::write(&path, bytes).unwrap();
        wait_for("an answer", || f.docker_id().is_some());
    }
}

#[test]
fn containers_that_have_not_started_are_asked_for_again() {
    let mut f = Fixture::new();
    f.options.pod_ttl = Duration::ZERO;
    f.server
        .act(&[Act::Answer(200, POD.replace("containerd://cc", ""))]);
    f.start();
    wait_for("the container's ID", || f.docker_id().is_some());
    assert_eq!(f.server.calls(), 2);
}

#[test]
fn the_object_of_another_pod_is_not_taken() {
    let mut f = Fixture::new();
    f.start_as(&Pod {
        name: Some("app-0".to_owned()),
        namespace: Some("team-a".to_owned()),
        uid: Some("u-2".to_owned()),
        ..Pod::default()
    });
    wait_for("a failure", || f.failures("other_pod") > 0);
    assert_eq!(f.docker_id(), None);
}

#[test]
fn a_call_that_hangs_does_not_hold_up_the_end() {
    let mut f = Fixture::new();
    let timeout = Duration::from_secs(60);
    f.options.client.timeout = timeout;
    f.server.act(&[Act::Hang]);
    f.start();
    wait_for("the call", || f.server.calls() == 1);
    assert!(f.end() < timeout / 2, "the end waits for the server");
    for reason in Failure::REASONS {
        assert_eq!(f.failures(reason), 0, "the end is no failure: {reason}");
    }
}

#[test]
fn records_go_on_without_waiting_and_get_what_an_answer_adds() {
    use crate::options::OPTIONS;
    use crate::testing::Surroundings;
    use crate::KubeMetadata;
    use flb_sidecar_sdk::event::{begin_record, RecordFormat, Timestamp};
    use flb_sidecar_sdk::fake::FakeHost;
    use flb_sidecar_sdk::{Chunk, Filter as _, Verdict};

    // The filter's own.
    let timeout = Duration::from_secs(10);
    for hangs in [false, true] {
        let f = Fixture::new();
        if hangs {
            f.server.act(&[Act::Hang]);
        }
        let file = |name: &str| f.dir.path().join(name).to_str().unwrap().to_owned();
        let options = [
            ("use_api", "on".to_owned()),
            ("kube_url", f.server.url.clone()),
            ("kube_ca_file", file("ca.crt")),
            ("kube_token_file", file("token")),
            ("podinfo_path", file("none")),
            ("pod_name", "app-0".to_owned()),
            ("namespace_name", "team-a".to_owned()),
            ("container_name", "app".to_owned()),
        ];
        let settings = Settings::new("t", OPTIONS, options).unwrap();
        let mut host = FakeHost::default();
        let mut filter =
            KubeMetadata::with_environment(&settings, &mut host, &Surroundings::new()).unwrap();
        let mut data = Vec::new();
        begin_record(&mut data, RecordFormat::WithMetadata, Timestamp::now());
        data.push(0x80);
        let mut best = Duration::MAX;
        let mut record = || {
            let mut out = Vec::new();
            let chunk = Chunk {
                data: &data,
                tag: b"t",
            };
            let start = Instant::now();
            assert_eq!(filter.filter(chunk, &mut out), Verdict::Replaced);
            best = best.min(start.elapsed());
            String::from_utf8_lossy(&out).into_owned()
        };
        let first = record();
        assert!(
            first.contains("app-0") && !first.contains("docker_id"),
            "{first}"
        );
        if hangs {
            wait_for("the call that hangs", || f.server.calls() == 1);
            assert_eq!(record(), first);
        } else {
            wait_for("what the answer adds", || record().contains("sha256:ff"));
        }
        assert!(best < timeout / 2, "a record waits for the server");
        let start = Instant::now();
        filter.exit();
        assert!(
            start.elapsed() < timeout / 2,
            "the end waits for the server"
        );
    }
}
