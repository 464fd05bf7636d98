//! Pods that something happens to.

use std::fs;
use std::time::{Duration, Instant};

use flb_sidecar_tests::build::root;
use flb_sidecar_tests::e2e::{account, poll, seconds_between};
use flb_sidecar_tests::e2e::{Account, Act, Cluster, Collector, Ends, Images, Kustomization, Life};
use flb_sidecar_tests::e2e::{Placement, Verdict, FINALIZER};
use serde_json::{json, Value as Json};

use crate::{expect, Found, LIMIT};

/// The grace period of these pods, and what a kubelet may add.
const GRACE: i64 = 30;
const KUBELET: i64 = 8;
/// `Deadline` of conf/sidecarset, and the second after it that `completion_exit` may take.
const SIDECAR: i64 = 11;
/// What these pods send is kept under this name: `URI` of conf/sidecarset.
const URI: &str = "app";

/// What conf/sidecarset and the accounts of Jobs need in the namespace.
pub(crate) fn prepare(cluster: &Cluster, collector: &Collector<'_>) -> Result<(), String> {
    let read = |file: &str| {
        let path = root().join("conf").join(file);
        fs::read_to_string(path).map_err(|error| format!("{file}: {error}"))
    };
    cluster.kubectl(&["apply", "-f", "-"], &read("kubernetes/base/rbac.yaml")?)?;
    let map = |name: &str, data: Json| json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data});
    let configuration = read("sidecarset/fluent-bit.conf")?;
    cluster.apply(&[
        map(
            "fluent-bit-sidecar",
            json!({"fluent-bit.conf": configuration}),
        ),
        map(
            "fluent-bit-sidecar-env",
            json!({"COLLECTOR_HOST": collector.host(), "COLLECTOR_PORT": "8080"}),
        ),
    ])?;
    Ok(())
}

pub(crate) fn check(
    cluster: &Cluster,
    collector: &Collector<'_>,
    images: &Images,
    life: &Life,
) -> Found {
    let pod = Pod {
        cluster,
        collector,
        life,
    };
    if life.act == Act::ChangeImage(None) {
        let why = "no second image to change to: make e2e NEXT=…";
        return Ok(Verdict::Skipped(why.into()));
    }
    let made = Kustomization::new(
        images,
        &cluster.namespace,
        &life.name,
        std::slice::from_ref(&life.deployment),
        &[],
        &[life.placement.component()],
    )?;
    let folder = made.folder().to_string_lossy();
    cluster.kubectl(&["apply", "-k", &folder], "")?;
    let found = pod.check();
    // A pod that was not looked at to the end must not stay for ever.
    let freed = pod.forget();
    found.and_then(|found| freed.map(|()| found))
}

struct Pod<'a> {
    cluster: &'a Cluster,
    collector: &'a Collector<'a>,
    life: &'a Life,
}

impl Pod<'_> {
    fn check(&self) -> Found {
        self.wait_for("lines", |account, _| account.lines >= 20)?;
        match &self.life.act {
            Act::Delete => {
                let (seconds, code) = self.delete()?;
                let account = self.wait_for("its last line", |account, _| account.ended == 1)?;
                account.has_no_hole()?;
                expect(code == 0, || format!("exit code {code}"))?;
                Ok(Verdict::Ok(format!("{seconds} s, {} lines", account.lines)))
            }
            Act::DeleteInVain => {
                let (seconds, code) = self.delete()?;
                // A native sidecar has 2 s, all that the main container left of the grace period.
                expect(code == 0, || format!("exit code {code}"))?;
                let account = self.account()?;
                account.has_no_hole()?;
                Ok(Verdict::Ok(format!(
                    "{seconds} s, exit code {code}, {} lines",
                    account.lines
                )))
            }
            Act::Restart(container) => {
                let account = self.wait_for("its last line", |account, pod| {
                    account.ended == 1 && Ends(pod).restarts(container) == 1
                })?;
                account.is_whole(1, 41)?;
                let (seconds, _) = self.delete()?;
                self.account()?.is_whole(1, 41)?;
                Ok(Verdict::Ok(format!("41 lines, then {seconds} s")))
            }
            Act::ChangeImage(image) => self.change(image.as_deref().unwrap_or_default()),
            Act::Relabel => self.relabel(),
        }
    }

    fn now(&self) -> Result<Json, String> {
        let pods = self.cluster.pods(&self.life.name)?;
        pods.into_iter().next().ok_or_else(|| "no pod".into())
    }

    fn account(&self) -> Result<Account, String> {
        Ok(account(&self.collector.kept(URI)?, &self.life.name))
    }

    fn wait_for(
        &self,
        what: &str,
        ready: impl Fn(&Account, &Json) -> bool,
    ) -> Result<Account, String> {
        let mut last = String::new();
        let found = poll(LIMIT, || {
            let (account, pod) = (self.account().ok()?, self.now().ok()?);
            last = format!(
                "{account:?}, {} {}",
                pod["status"]["initContainerStatuses"], pod["status"]["containerStatuses"]
            );
            ready(&account, &pod).then_some(account)
        });
        found.ok_or_else(|| format!("{what} did not come: {last}"))
    }

    /// Deletes the Deployment: seconds from the main container's end to the sidecar's, and its exit
    /// status. Times of the kubelet alone: it may take long to begin.
    fn delete(&self) -> Result<(i64, i64), String> {
        let what = format!("deployment/{}", self.life.name);
        self.cluster
            .kubectl(&["delete", &what, "--wait=false"], "")?;
        let pod = poll(LIMIT, || {
            let pod = self.now().ok()?;
            let going = pod["metadata"]["deletionTimestamp"].is_string();
            (going && Ends(&pod).all_ended()).then_some(pod)
        });
        let pod = pod.ok_or("the pod does not end")?;
        let (main, logs) = (Ends(&pod).end("main"), Ends(&pod).end("logs"));
        let (main, logs) = (main.ok_or("no main container")?, logs.ok_or("no sidecar")?);
        let seconds = seconds_between(&main.at, &logs.at).ok_or("no times")?;
        let limit = match (self.life.placement, &self.life.act) {
            (Placement::Native, Act::DeleteInVain) => 2,
            // The main container is killed after the grace period, long after the sidecar's end.
            (Placement::Second, Act::DeleteInVain) => SIDECAR - GRACE,
            _ => SIDECAR,
        };
        expect(seconds <= limit + KUBELET, || {
            format!("ended {seconds} s after the main container")
        })?;
        Ok((seconds, logs.code))
    }

    fn change(&self, image: &str) -> Found {
        let pod = self.now()?;
        let name = pod["metadata"]["name"].as_str().unwrap_or_default();
        let list = match self.life.placement {
            Placement::Native => "initContainers",
            Placement::Second => "containers",
        };
        let patch = json!({"spec": {list: [{"name": "logs", "image": image}]}}).to_string();
        let before = self.account()?.lines;
        self.cluster
            .kubectl(&["patch", "pod", name, "-p", &patch], "")?;
        self.wait_for("the new sidecar", |account, pod| {
            let ready = Ends(pod)
                .status("logs")
                .is_some_and(|status| status["ready"] == true);
            ready && Ends(pod).restarts("logs") == 1 && account.lines > before + 100
        })?;
        let (seconds, code) = self.delete()?;
        let account = self.wait_for("its last line", |account, _| account.ended == 1)?;
        account.has_no_hole()?;
        expect(code == 0, || format!("exit code {code}"))?;
        Ok(Verdict::Ok(format!(
            "to {image}, {} lines, then {seconds} s",
            account.lines
        )))
    }

    /// A new label comes into the records; meanwhile the probes hold.
    fn relabel(&self) -> Found {
        let pod = self.now()?;
        let name = pod["metadata"]["name"].as_str().unwrap_or_default();
        let status = Ends(&pod).status("logs").cloned().unwrap_or_default();
        let probed = status["started"] == true && status["ready"] == true;
        expect(probed, || format!("the probes do not hold: {status}"))?;
        let probe = |file: &str| {
            let program = "/fluent-bit/plugins/flb-sidecar-probe";
            let words = ["exec", name, "-c", "logs", "--", program, file];
            self.cluster.kubectl(&words, "")
        };
        probe("/state/ready")?;
        let none = probe("/state/nothing");
        expect(none.is_err(), || "the probe finds what is not there".into())?;
        let get = |path: &str| {
            let namespace = &self.cluster.namespace;
            let path = format!("/api/v1/namespaces/{namespace}/pods/{name}:2020/proxy{path}");
            self.cluster.kubectl(&["get", "--raw", &path], "")
        };
        get("/api/v1/health")?;
        // Hosts before 2.0.9 have no such path.
        let metrics = get("/api/v2/metrics/prometheus").unwrap_or_default();
        let ours = metrics.contains("fluentbit_sidecar_tail");
        self.cluster
            .kubectl(&["label", "pod", name, "--overwrite", "flb-e2e=second"], "")?;
        let start = Instant::now();
        self.wait_for("the new label", |account, _| {
            account.labels.contains("second")
        })?;
        let seconds = start.elapsed().as_secs();
        // Long enough for six liveness probes that fail.
        let lived = poll(LIMIT, || {
            (start.elapsed() > Duration::from_secs(75)).then_some(())
        });
        lived.ok_or("time does not pass")?;
        let pod = self.now()?;
        let restarts = Ends(&pod).restarts("logs");
        expect(restarts == 0, || format!("{restarts} restarts"))?;
        self.delete()?;
        Ok(Verdict::Ok(format!(
            "in the records after {seconds} s; probes hold; metrics {}",
            if ours { "there" } else { "not of this host" }
        )))
    }

    /// Lets go of the pod.
    fn forget(&self) -> Result<(), String> {
        let what = format!("deployment/{}", self.life.name);
        self.cluster
            .kubectl(&["delete", &what, "--ignore-not-found", "--wait=false"], "")?;
        let gone = poll(LIMIT, || {
            let pods = self.cluster.pods(&self.life.name).ok()?;
            for pod in &pods {
                let name = pod["metadata"]["name"].as_str().unwrap_or_default();
                let finalizers = pod["metadata"]["finalizers"].as_array()?;
                if finalizers.iter().any(|one| one == FINALIZER) {
                    let patch = "{\"metadata\":{\"finalizers\":null}}";
                    self.cluster
                        .kubectl(&["patch", "pod", name, "-p", patch], "")
                        .ok()?;
                }
            }
            let going = |pod: &Json| pod["metadata"]["deletionTimestamp"].is_string();
            pods.iter().all(going).then_some(())
        });
        gone.ok_or_else(|| "the pod does not go".into())
    }
}
