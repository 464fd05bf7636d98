//! The thread that asks the Kubernetes API whether the named containers of the own pod have
//! terminated.
//!
//! One `GET` of the own pod per interval; nothing is watched or listed, so a Role with the verb
//! `get` on pods is enough.

use std::io;
use std::sync::mpsc::{channel, Receiver, RecvTimeoutError, Sender};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use kube_client::{jitter, Client, Failure, Interrupt, Pace};
use serde_json::Value;

use crate::config::PodConfig;
use crate::guard::Alarm;
use crate::trigger::{Fired, Trigger};
use crate::worker::Worker;

/// Longest wait after failures, in intervals: the Job waits as long.
const LONGEST_WAIT: u32 = 6;

/// The running thread.
pub(crate) struct PodStatus {
    fired: Arc<Mutex<Option<Fired>>>,
    interrupt: Interrupt,
    /// Dropped to end the thread.
    stop: Option<Sender<()>>,
    _thread: Worker,
}

impl std::fmt::Debug for PodStatus {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PodStatus").finish_non_exhaustive()
    }
}

impl PodStatus {
    /// Starts to ask.
    ///
    /// # Errors
    /// When the system has no thread left.
    pub(crate) fn start(config: PodConfig, alarm: Alarm) -> io::Result<Self> {
        let fired = Arc::new(Mutex::new(None));
        let client = Client::new(&config.client);
        let interrupt = client.interrupt();
        let (stop, stopped) = channel();
        let thread = Worker::start("flb-sc-pod", {
            let fired = fired.clone();
            move || run(&config, client, &stopped, &fired, &alarm)
        })?;
        Ok(PodStatus {
            fired,
            interrupt,
            stop: Some(stop),
            _thread: thread,
        })
    }

    /// The trigger, once. Never waits.
    pub(crate) fn news(&self) -> Option<Fired> {
        // The thread holds the lock for one assignment; the next tick looks again.
        self.fired.try_lock().ok()?.take()
    }

    /// Tells the thread to end and breaks off its call; it is joined when this is dropped.
    pub(crate) fn stop(&mut self) {
        self.stop = None;
        self.interrupt.interrupt();
    }
}

impl Drop for PodStatus {
    fn drop(&mut self) {
        self.stop();
    }
}

fn run(
    config: &PodConfig,
    mut client: Client,
    stopped: &Receiver<()>,
    fired: &Mutex<Option<Fired>>,
    alarm: &Alarm,
) {
    let mut pace = Pace::new(config.interval, Instant::now()).at_most(LONGEST_WAIT);
    // Sidecars of many pods that start together do not call together.
    let mut wait = jitter(config.interval / 10);
    let mut failed: Option<Failure> = None;
    let mut absent: Vec<String> = Vec::new();
    while stopped.recv_timeout(wait) == Err(RecvTimeoutError::Timeout) {
        let answer = client
            .get(&config.path)
            .and_then(|body| judge(&body, &config.containers, config.uid.as_deref()));
        let now = Instant::now();
        match answer {
            Ok(verdict) => {
                if failed.take().is_some() {
                    tracing::info!("the API answers again");
                }
                pace.done(now, config.interval);
                match verdict {
                    Verdict::Done(done) => {
                        alarm.fired();
                        *fired.lock().unwrap_or_else(PoisonError::into_inner) = Some(done);
                        return;
                    }
                    Verdict::Running => absent.clear(),
                    Verdict::Absent(names) => {
                        if absent != names {
                            tracing::warn!(
                                "the pod has no container '{}': this trigger cannot fire",
                                names.join("', '")
                            );
                            absent = names;
                        }
                    }
                }
            }
            Err(Failure::Interrupted) => return,
            Err(failure) => {
                pace.again(now);
                if let Failure::TooMany(Some(after)) = failure {
                    pace.not_before(now + after);
                }
                if failed.as_ref().map(Failure::reason) != Some(failure.reason()) {
                    tracing::warn!("the API does not tell the pod's status: {failure}");
                    failed = Some(failure);
                }
            }
        }
        wait = pace
            .due()
            .map_or(Duration::ZERO, |due| due.saturating_duration_since(now));
    }
}

/// What the pod's status says.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Verdict {
    Running,
    /// Every named container has terminated for good.
    Done(Fired),
    /// Names that the pod does not have.
    Absent(Vec<String>),
}

/// Reads a pod as the API gives it. A container that the kubelet starts again (`restartPolicy`
/// Always, or OnFailure and another status than 0) is not done; it is between two runs.
fn judge(body: &[u8], containers: &[String], uid: Option<&str>) -> Result<Verdict, Failure> {
    let pod: Value =
        serde_json::from_slice(body).map_err(|error| Failure::Malformed(error.to_string()))?;
    if pod["kind"] != "Pod" {
        return Err(Failure::Malformed("it is no pod".to_owned()));
    }
    if let (Some(ours), Some(theirs)) = (uid, pod["metadata"]["uid"].as_str()) {
        if ours != theirs {
            return Err(Failure::OtherPod);
        }
    }
    let named = |list: &Value, name: &str| {
        let list = list.as_array()?;
        list.iter().find(|entry| entry["name"] == name).cloned()
    };
    let absent: Vec<String> = containers
        .iter()
        .filter(|name| named(&pod["spec"]["containers"], name).is_none())
        .cloned()
        .collect();
    if !absent.is_empty() {
        return Ok(Verdict::Absent(absent));
    }
    // A pod that is being deleted starts nothing again.
    let leaving = pod["metadata"]["deletionTimestamp"].is_string();
    let policy = pod["spec"]["restartPolicy"].as_str().unwrap_or("Always");
    let mut code = 0;
    let mut reasons = Vec::new();
    for name in containers {
        let status = named(&pod["status"]["containerStatuses"], name).unwrap_or_default();
        let terminated = &status["state"]["terminated"];
        if !terminated.is_object() {
            return Ok(Verdict::Running);
        }
        let Some(status) = terminated["exitCode"].as_i64() else {
            // Whether it starts again cannot be known.
            let text = format!("the exitCode of {name} is no whole number");
            return Err(Failure::Malformed(text));
        };
        let again = match policy {
            "Never" => false,
            "OnFailure" => status != 0,
            _ => true,
        };
        if again && !leaving {
            return Ok(Verdict::Running);
        }
        let reason = terminated["reason"].as_str().unwrap_or("no reason given");
        reasons.push(format!("{name} terminated with {status} ({reason})"));
        code = code.max(u8::try_from(status).unwrap_or(u8::MAX));
    }
    let mut fired = Fired::new(Trigger::Container, reasons.join(", "));
    fired.code = Some(code);
    Ok(Verdict::Done(fired))
}

#[cfg(test)]
#[path = "pod_status_tests.rs"]
mod tests;
