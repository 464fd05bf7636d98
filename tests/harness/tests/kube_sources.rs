//! Where `kube_metadata` finds the pod, inside real hosts: Downward API files that the kubelet
//! swaps, mounts, and nothing at all.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use flb_sidecar_tests::{each_real_host, say, wait_until, Host, Pipeline, Running, DEADLINE};
use serde_json::{json, Value as Json};

/// A Downward API volume as the kubelet lays it out: `labels` and `annotations` are links through
/// `..data`, a link to the folder of the current version.
struct PodInfo {
    folder: PathBuf,
    versions: usize,
}

impl PodInfo {
    fn new(pipeline: &Pipeline, labels: &str, annotations: &str) -> Self {
        let folder = PathBuf::from(pipeline.path("podinfo"));
        fs::create_dir(&folder).unwrap();
        for name in ["labels", "annotations"] {
            symlink(format!("..data/{name}"), folder.join(name)).unwrap();
        }
        let mut podinfo = PodInfo {
            folder,
            versions: 0,
        };
        podinfo.swap(labels, annotations);
        podinfo
    }

    fn swap(&mut self, labels: &str, annotations: &str) {
        self.versions += 1;
        let version = format!("..version_{}", self.versions);
        fs::create_dir(self.folder.join(&version)).unwrap();
        fs::write(self.folder.join(&version).join("labels"), labels).unwrap();
        fs::write(self.folder.join(&version).join("annotations"), annotations).unwrap();
        let fresh = self.folder.join("..data_tmp");
        symlink(&version, &fresh).unwrap();
        fs::rename(&fresh, self.folder.join("..data")).unwrap();
    }

    fn path(&self) -> &str {
        self.folder.to_str().expect("a plain path")
    }
}

/// A record every 50 ms, or once a second on hosts whose input cannot do that, on stdout.
fn records(pipeline: &mut Pipeline, options: &[(&str, &str)]) {
    pipeline.input("dummy", &[("rate", "20")]);
    pipeline.filter("kube_metadata", "*", options);
    pipeline.print();
}

/// `kubernetes` of the last record.
fn last(running: &Running) -> Option<Json> {
    let text = running.output().stdout();
    let line = text
        .lines()
        .rfind(|line| line.starts_with('{') && line.ends_with('}'))?;
    let record: Json = serde_json::from_str(line).ok()?;
    Some(record["kubernetes"].clone())
}

fn wait_for(running: &Running, what: &str, mut is: impl FnMut(&Json) -> bool) {
    let seen = wait_until(DEADLINE, || last(running).filter(|map| is(map)));
    assert!(
        seen.is_some(),
        "waited in vain for {what}\n{}",
        running.output()
    );
}

fn swapped_files(host: &Host) {
    let mut pipeline = Pipeline::new(host);
    let mut podinfo = PodInfo::new(&pipeline, "app=\"web\"\n", "note=\"two\\nlines \\u65e5\"\n");
    let path = podinfo.path().to_owned();
    records(&mut pipeline, &[("podinfo_path", &path)]);
    pipeline.env("POD_NAME", "web-0");
    let running = pipeline.start();
    wait_for(&running, "a record", |map| {
        *map == json!({"pod_name": "web-0", "labels": {"app": "web"}, "annotations": {"note": "two\nlines 日"}})
    });

    let swap = Instant::now();
    podinfo.swap("app=\"web\"\nstage=\"next\"\n", "");
    wait_for(&running, "the new label", |map| {
        map["labels"]["stage"] == "next"
    });
    let took = swap.elapsed().as_secs_f64();
    say(&format!(
        "{host}: changed labels were on stdout after {took:.1} s"
    ));

    // A file that no kubelet writes: the last good values stay, and it is said once.
    podinfo.swap("app=\"web\nstage", "");
    let lines = |running: &Running| {
        let text = running.output().stderr();
        let about = text.lines().filter(|line| line.contains("podinfo/labels"));
        about.map(str::to_owned).collect::<Vec<_>>()
    };
    let said = wait_until(DEADLINE, || (!lines(&running).is_empty()).then_some(()));
    assert!(said.is_some(), "nothing was said\n{}", running.output());
    let records = || running.output().stdout().lines().count();
    let before = records();
    let more = wait_until(DEADLINE, || (records() > before + 3).then_some(()));
    assert!(more.is_some(), "no more records\n{}", running.output());
    assert_eq!(
        last(&running).unwrap()["labels"],
        json!({"app": "web", "stage": "next"})
    );

    podinfo.swap("app=\"api\"\n", "");
    wait_for(&running, "the repaired file", |map| {
        map["labels"] == json!({"app": "api"})
    });
    let said: Vec<String> = lines(&running);
    let ended = running.terminate();
    let complaints = said
        .iter()
        .filter(|line| line.contains("[ warn]") || line.contains("[error]"));
    ended.check(&format!("said: {said:?}"), complaints.count() == 1);
}

#[test]
fn a_swapped_file_is_seen_and_a_malformed_one_is_not() {
    each_real_host("Downward API files", swapped_files);
}

fn outside(host: &Host) {
    let mut pipeline = Pipeline::new(host);
    records(&mut pipeline, &[("podinfo_path", "/nowhere")]);
    // A name that may be anyone's.
    pipeline.env("HOSTNAME", "laptop");
    let mut running = pipeline.start();
    running.wait_for("a record", |output| output.stdout().contains("dummy"));
    let ended = running.terminate();
    let said = ended.stderr.matches("nothing is known of the pod").count();
    ended.check("it says once that nothing is known", said == 1);
    let untouched = ended
        .records()
        .iter()
        .all(|record| record.get("kubernetes").is_none());
    ended.check("records stay as they are", untouched);
}

#[test]
fn outside_kubernetes_records_stay_as_they_are() {
    each_real_host("outside Kubernetes", outside);
}

const UID: &str = "0a1b2c3d-1111-2222-3333-444455556666";

/// A command that sees this file as its `/etc/hosts`.
fn with_hosts(file: &Path) -> Command {
    let mut command = Command::new("bwrap");
    command.args(["--dev-bind", "/", "/", "--bind"]);
    command
        .arg(file)
        .args(["/etc/hosts", "--die-with-parent", "--"]);
    command
}

fn mounted(host: &Host) {
    let mut pipeline = Pipeline::new(host);
    records(&mut pipeline, &[("podinfo_path", "/nowhere")]);
    // The kubelet mounts each pod's own file.
    let hosts = pipeline.file(
        &format!("kubelet/pods/{UID}/etc-hosts"),
        "127.0.0.1 localhost\n",
    );
    pipeline.env("HOSTNAME", "web-7d4b9c-x2z8q");
    let inner = pipeline.command();
    let mut command = with_hosts(Path::new(&hosts));
    command
        .arg(inner.get_program())
        .args(inner.get_args())
        .env_clear();
    for (name, value) in inner.get_envs() {
        command.env(name, value.unwrap_or_default());
    }
    let running = Running::start(command.current_dir(pipeline.folder()), pipeline.folder());
    // With the UID this is a pod, so HOSTNAME is its name.
    wait_for(&running, "the UID", |map| {
        *map == json!({"pod_name": "web-7d4b9c-x2z8q", "pod_id": UID})
    });
}

#[test]
fn mounts_have_the_uid() {
    let title = "UID from mountinfo";
    let mut probe = with_hosts(Path::new("/etc/hosts"));
    if !probe
        .arg("true")
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|s| s.success())
    {
        say(&format!(
            "SKIPPED {title}: bubblewrap cannot make mounts here"
        ));
        return;
    }
    each_real_host(title, mounted);
}
