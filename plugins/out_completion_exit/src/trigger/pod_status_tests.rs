use super::*;
use crate::guard::Alarm;
use kube_client::testing::{Act, Authority, Server};
use kube_client::ClientOptions;
use serde_json::json;

const PATH: &str = "/api/v1/namespaces/team-a/pods/job-x7k2p";

/// A pod with the containers `main`, `helper` and `logs` and these states of theirs.
fn pod(policy: &str, states: &[(&str, Value)]) -> String {
    let statuses: Vec<Value> = states
        .iter()
        .map(|(name, state)| json!({"name": name, "state": state}))
        .collect();
    json!({
        "kind": "Pod",
        "metadata": {"name": "job-x7k2p", "uid": "u-1"},
        "spec": {
            "restartPolicy": policy,
            "containers": [{"name": "main"}, {"name": "helper"}, {"name": "logs"}],
        },
        "status": {"containerStatuses": statuses},
    })
    .to_string()
}

fn running() -> Value {
    json!({"running": {"startedAt": "2026-01-01T00:00:00Z"}})
}

fn ended(code: i64) -> Value {
    json!({"terminated": {"exitCode": code, "reason": "Error"}})
}

fn verdict(body: &str, containers: &[&str]) -> Result<Verdict, Failure> {
    let containers: Vec<String> = containers.iter().map(|&name| name.to_owned()).collect();
    judge(body.as_bytes(), &containers, Some("u-1"))
}

fn code(body: &str, containers: &[&str]) -> Option<u8> {
    match verdict(body, containers) {
        Ok(Verdict::Done(fired)) => fired.code,
        _ => None,
    }
}

#[test]
fn all_named_containers_must_have_terminated_and_the_highest_status_counts() {
    let one = pod("Never", &[("main", ended(3)), ("helper", running())]);
    assert_eq!(code(&one, &["main"]), Some(3));
    assert_eq!(verdict(&one, &["main", "helper"]), Ok(Verdict::Running));
    let both = pod("Never", &[("main", ended(3)), ("helper", ended(137))]);
    assert_eq!(code(&both, &["main", "helper"]), Some(137));
    assert_eq!(
        code(&pod("Never", &[("main", ended(0))]), &["main"]),
        Some(0)
    );
    // Windows has statuses of 32 bits.
    let large = pod("Never", &[("main", ended(3_221_225_786))]);
    assert_eq!(code(&large, &["main"]), Some(255));
    let waiting = json!({"waiting": {"reason": "ContainerCreating"}});
    for body in [pod("Never", &[("main", waiting)]), pod("Never", &[])] {
        assert_eq!(verdict(&body, &["main"]), Ok(Verdict::Running));
    }
}

#[test]
fn a_container_that_starts_again_is_not_done() {
    for (policy, status, done) in [
        ("Never", 1, true),
        ("OnFailure", 1, false),
        ("OnFailure", 0, true),
        ("Always", 0, false),
        ("Always", 1, false),
    ] {
        let body = pod(policy, &[("main", ended(status))]);
        assert_eq!(code(&body, &["main"]).is_some(), done, "{policy} {status}");
        // Unless the pod is on its way out.
        let body = body.replace(
            r#""uid":"u-1""#,
            r#""uid":"u-1","deletionTimestamp":"2026-01-01T00:00:00Z""#,
        );
        assert!(code(&body, &["main"]).is_some(), "{policy} {status}");
    }
}

#[test]
fn what_is_not_our_pod_is_a_failure() {
    assert_eq!(
        verdict(&pod("Never", &[]), &["main", "mian"]),
        Ok(Verdict::Absent(vec!["mian".to_owned()]))
    );
    let other = pod("Never", &[("main", ended(0))]).replace("u-1", "u-2");
    assert_eq!(verdict(&other, &["main"]), Err(Failure::OtherPod));
    for text in ["", "[]", "null", r#"{"kind":"Status"}"#, r#"{"kind":"Pod""#] {
        let failure = verdict(text, &["main"]).unwrap_err();
        assert_eq!(failure.reason(), "malformed", "{text}");
    }
    // Whatever the types are.
    for text in [
        r#"{"kind":"Pod"}"#,
        r#"{"kind":"Pod","spec":{"containers":{}},"status":[]}"#,
        r#"{"kind":"Pod","spec":{"containers":[1,{"name":2}]}}"#,
    ] {
        assert!(matches!(verdict(text, &["main"]), Ok(Verdict::Absent(_))));
    }
}

struct Fixture {
    dir: tempfile::TempDir,
    server: Server,
    config: PodConfig,
}

fn fixture() -> Fixture {
    let dir = tempfile::tempdir().unwrap();
    let authority = Authority::new(dir.path());
    std::fs::write(dir.path().join("token"), "secret\n").unwrap();
    let body = pod("Never", &[("main", running())]);
    let server = Server::start(authority.server_config(), "secret", &body);
    let config = PodConfig {
        containers: vec!["main".to_owned()],
        path: PATH.to_owned(),
        uid: Some("u-1".to_owned()),
        interval: Duration::from_millis(20),
        client: ClientOptions {
            url: server.url.clone(),
            ca_file: dir.path().join("ca.crt"),
            token_file: dir.path().join("token"),
            verify: true,
            timeout: Duration::from_millis(1500),
        },
    };
    Fixture {
        dir,
        server,
        config,
    }
}

fn wait_for<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + Duration::from_secs(30);
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < deadline, "waited in vain for: {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

#[test]
fn it_asks_until_the_container_has_terminated() {
    let f = fixture();
    let status = PodStatus::start(f.config.clone(), Alarm::silent()).unwrap();
    wait_for("some calls", || (f.server.calls() >= 3).then_some(()));
    assert_eq!(status.news(), None);
    f.server.set_body(&pod("Never", &[("main", ended(7))]));
    let fired = wait_for("the trigger", || status.news());
    assert_eq!(fired.code, Some(7));
    assert_eq!(
        fired.to_string(),
        "api_container: main terminated with 7 (Error)"
    );
    let shared = f.server.shared.lock().unwrap();
    assert!(shared.calls.iter().all(|call| call.0 == PATH && call.1));
}

#[test]
fn failures_are_overcome() {
    for act in [
        Act::Answer(401, "{}".into()),
        Act::Answer(403, "{}".into()),
        Act::Answer(404, "{}".into()),
        Act::Answer(500, "oops".into()),
        Act::Answer(200, "no json".into()),
        Act::Answer(
            200,
            pod("Never", &[("main", ended(1))]).replace("u-1", "u-2"),
        ),
        Act::Later(""),
        Act::Hang,
        Act::Die,
        Act::Refuse,
    ] {
        let f = fixture();
        f.server.act(std::slice::from_ref(&act));
        f.server.set_body(&pod("Never", &[("main", ended(0))]));
        let status = PodStatus::start(f.config.clone(), Alarm::silent()).unwrap();
        let fired = wait_for("the trigger", || status.news());
        assert_eq!(fired.code, Some(0), "{act:?}");
        assert_eq!(f.server.calls(), 2, "{act:?}");
    }
}

#[test]
fn an_unknown_server_gets_no_token_and_ends_nothing() {
    let f = fixture();
    f.server.set_body(&pod("Never", &[("main", ended(0))]));
    // Its certificate is of another authority now.
    let folder = tempfile::tempdir().unwrap();
    let other = Authority::new(folder.path());
    f.server.shared.lock().unwrap().tls = other.server_config();
    let status = PodStatus::start(f.config.clone(), Alarm::silent()).unwrap();
    assert!(status.news().is_none());
    assert_eq!(f.server.calls(), 0);
    // With that authority's certificate it is the server.
    std::fs::copy(folder.path().join("ca.crt"), f.dir.path().join("ca.crt")).unwrap();
    wait_for("the trigger", || status.news());
}

#[test]
fn a_call_that_hangs_does_not_hold_up_the_end() {
    let mut f = fixture();
    f.config.client.timeout = Duration::from_secs(60);
    f.server.act(&[Act::Hang]);
    let status = PodStatus::start(f.config.clone(), Alarm::silent()).unwrap();
    wait_for("the call", || (f.server.calls() == 1).then_some(()));
    let start = Instant::now();
    drop(status);
    assert!(start.elapsed() < Duration::from_secs(1));
}

#[test]
fn a_status_that_is_no_whole_number_is_said() {
    for code in [
        json!(1e30),
        json!("0"),
        json!(0.5),
        json!(u64::MAX),
        Value::Null,
    ] {
        let state = json!({"terminated": {"exitCode": code}});
        let answer = verdict(&pod("Never", &[("main", state)]), &["main"]);
        let Err(Failure::Malformed(text)) = answer else {
            panic!("{code}: {answer:?}");
        };
        assert!(text.contains("main"), "{text}");
    }
    let state = json!({"terminated": null, "running": {}});
    let answer = verdict(&pod("Never", &[("main", state)]), &["main"]);
    assert_eq!(answer.ok(), Some(Verdict::Running));
}
