//! The Kubernetes API, asked for the own pod and its namespace in a thread of its own.
//!
//! Off unless `use_api` is on. Records never wait for it: they go on with what is known, and what
//! an answer adds is in the records after it.

#[cfg(test)]
mod server_tests;

use std::time::{Duration, Instant};

use flb_sidecar_sdk::metrics::{Metric, Metrics};
use flb_sidecar_sdk::{ConfigError, Settings};
pub(crate) use kube_client::Interrupt;
use kube_client::{is_name, jitter, Client, ClientOptions, Failure, Pace};
use tracing::{info, warn};

use crate::object;
use crate::pod::Pod;
use crate::store::{Source, Stop, Store};

/// At most one call in this time.
const INTERVAL: Duration = Duration::from_secs(10);

/// Options of the filter `kubernetes` that only have a meaning with the API.
const ONLY_WITH_API: &[&str] = &[
    "kube_url",
    "kube_ca_file",
    "kube_token_file",
    "kube_meta_cache_ttl",
    "kube_meta_namespace_cache_ttl",
    "tls.verify",
];

/// Where the API is and what to ask it for.
#[derive(Clone, Debug)]
pub(crate) struct ApiOptions {
    client: ClientOptions,
    pod_ttl: Duration,
    namespace_ttl: Duration,
    namespace: bool,
    interval: Duration,
}

impl ApiOptions {
    /// `None`: the API is not used. `namespace`: its object is needed too.
    ///
    /// # Errors
    /// A `kube_url` that is none.
    pub(crate) fn new(settings: &Settings, namespace: bool) -> Result<Option<Self>, ConfigError> {
        let text = |name| settings.string(name).unwrap_or_default();
        let given = text("kube_url");
        let url = kube_client::url(given)
            .ok_or_else(|| ConfigError::value("kube_url", given, kube_client::URL_ALLOWED))?;
        if !settings.boolean("use_api") {
            let given: Vec<_> = ONLY_WITH_API
                .iter()
                .filter(|name| settings.is_set(name))
                .copied()
                .collect();
            if !given.is_empty() {
                let given = given.join(", ");
                info!("the API is not asked, so {given} has no effect: the pod is known from its environment; use_api turns it on");
            }
            return Ok(None);
        }
        let time = |name| settings.time(name).unwrap_or_default();
        Ok(Some(ApiOptions {
            client: ClientOptions {
                url: url.to_owned(),
                ca_file: text("kube_ca_file").into(),
                token_file: text("kube_token_file").into(),
                verify: settings.boolean("tls.verify"),
                timeout: Duration::from_secs(10),
            },
            pod_ttl: time("kube_meta_cache_ttl"),
            namespace_ttl: time("kube_meta_namespace_cache_ttl"),
            namespace,
            interval: INTERVAL,
        }))
    }
}

/// Counters of the calls.
#[derive(Clone, Debug)]
struct Counters {
    requests: Metric,
    failures: Vec<(&'static str, Metric)>,
}

impl Counters {
    fn new(metrics: &Metrics) -> Self {
        let help = "Calls of the API that brought nothing, by reason.";
        Counters {
            requests: metrics.counter("api_requests_total", "Calls of the API.", &[]),
            failures: Failure::REASONS
                .iter()
                .map(|reason| {
                    let labels = [("reason", *reason)];
                    (
                        *reason,
                        metrics.counter("api_failures_total", help, &labels),
                    )
                })
                .collect(),
        }
    }

    fn fail(&self, failure: &Failure) {
        let reason = failure.reason();
        for (_, counter) in self.failures.iter().filter(|(name, _)| *name == reason) {
            counter.add(1);
        }
    }
}

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Target {
    Pod,
    Namespace,
}

/// One target: its path, when it is due, and how the last call ended.
struct Question {
    target: Target,
    name: String,
    path: String,
    ttl: Duration,
    pace: Pace,
    failed: Option<&'static str>,
}

/// The thread's state.
pub(crate) struct Api {
    client: Client,
    interval: Duration,
    questions: Vec<Question>,
    known_uid: Option<String>,
    pod: Pod,
    namespace: Pod,
    counters: Counters,
}

impl Api {
    /// `None`, and a line that says why: the pod's name or namespace is not known.
    pub(crate) fn new(options: &ApiOptions, known: &Pod, metrics: &Metrics) -> Option<Self> {
        let (Some(name), Some(namespace)) = (&known.name, &known.namespace) else {
            warn!("the API cannot be asked: the pod's name or namespace is not known");
            return None;
        };
        if ![name, namespace].iter().all(|text| is_name(text)) {
            warn!("the API cannot be asked: '{namespace}/{name}' is no name of a pod");
            return None;
        }
        let now = Instant::now();
        let question = |target, name: &str, path, ttl| Question {
            target,
            name: name.to_owned(),
            path,
            ttl,
            pace: Pace::new(options.interval, now),
            failed: None,
        };
        let namespace_path = format!("/api/v1/namespaces/{namespace}");
        let pod_path = format!("{namespace_path}/pods/{name}");
        let mut questions = vec![question(Target::Pod, name, pod_path, options.pod_ttl)];
        if options.namespace {
            let ttl = options.namespace_ttl;
            questions.push(question(Target::Namespace, namespace, namespace_path, ttl));
        }
        Some(Api {
            client: Client::new(&options.client),
            interval: options.interval,
            questions,
            known_uid: known.uid.clone(),
            pod: Pod::default(),
            namespace: Pod::default(),
            counters: Counters::new(metrics),
        })
    }

    /// Ends the call that is under way.
    pub(crate) fn interrupt(&self) -> Interrupt {
        self.client.interrupt()
    }

    /// Asks whenever something is due, until told to stop.
    pub(crate) fn run(mut self, store: &Store, stop: &Stop) {
        let mut next_call = Instant::now() + jitter(self.interval / 10);
        loop {
            let due = self
                .questions
                .iter()
                .enumerate()
                .filter_map(|(index, question)| Some((question.pace.due()?, index)))
                .min();
            let Some((due, index)) = due else {
                // Everything is known, and nothing is to be asked again.
                return;
            };
            let wait = due.max(next_call).saturating_duration_since(Instant::now());
            if stop.wait(wait) {
                return;
            }
            self.ask(index, store);
            next_call = Instant::now() + self.interval;
        }
    }

    fn ask(&mut self, index: usize, store: &Store) {
        let question = &mut self.questions[index];
        self.counters.requests.add(1);
        let target = question.target;
        let answer = self.client.get(&question.path).and_then(|body| {
            let pod = match target {
                Target::Pod => object::pod(&body),
                Target::Namespace => object::namespace(&body),
            };
            let pod = pod.map_err(|error| Failure::Malformed(error.to_string()))?;
            match (&pod.uid, &self.known_uid) {
                (Some(theirs), Some(ours)) if theirs != ours => Err(Failure::OtherPod),
                _ => Ok(pod),
            }
        });
        let now = Instant::now();
        match answer {
            Ok(pod) => {
                if question.failed.take().is_some() {
                    info!("the API answers for {:?} '{}' again", target, question.name);
                }
                if target == Target::Pod && !is_complete(&pod) {
                    question.pace.again(now);
                } else {
                    question.pace.done(now, question.ttl);
                }
                match target {
                    Target::Pod => self.pod = pod,
                    Target::Namespace => self.namespace = pod,
                }
                let mut both = self.pod.clone();
                both.fill(&self.namespace);
                store.set(Source::Api, both);
            }
            Err(Failure::Interrupted) => {}
            Err(failure) => {
                self.counters.fail(&failure);
                if question.failed != Some(failure.reason()) {
                    question.failed = Some(failure.reason());
                    warn!("the API has nothing for {target:?} '{}': {failure}; records go on with what is known", question.name);
                }
                question.pace.again(now);
                if let Failure::TooMany(Some(after)) = failure {
                    question.pace.not_before(now + after);
                }
            }
        }
    }
}

/// Containers that have not started have no ID yet.
fn is_complete(pod: &Pod) -> bool {
    !pod.containers.is_empty() && pod.containers.iter().all(|c| c.docker_id.is_some())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::options::OPTIONS;

    fn options(given: &[(&str, &str)]) -> Result<Option<ApiOptions>, ConfigError> {
        let settings = Settings::new("t", OPTIONS, given.iter().copied()).unwrap();
        ApiOptions::new(&settings, false)
    }

    #[test]
    fn the_api_is_off_whatever_kube_url_says() {
        assert!(options(&[]).unwrap().is_none());
        assert!(options(&[("kube_url", "https://api:443")])
            .unwrap()
            .is_none());
        assert!(options(&[("use_api", "on")]).unwrap().is_some());
    }

    #[test]
    fn a_url_must_be_one() {
        for url in ["kubernetes", "https://", "ftp://api", ""] {
            let error = options(&[("use_api", "on"), ("kube_url", url)]).unwrap_err();
            assert!(error.to_string().contains("'kube_url'"), "{error}");
        }
    }

    #[test]
    fn without_a_name_nothing_is_asked() {
        let options = options(&[("use_api", "on")]).unwrap().unwrap();
        for (name, namespace) in [
            (None, None),
            (Some("p"), None),
            (Some("a/../b"), Some("ns")),
            (Some(".."), Some("ns")),
        ] {
            let pod = Pod {
                name: name.map(str::to_owned),
                namespace: namespace.map(str::to_owned),
                ..Pod::default()
            };
            assert!(Api::new(&options, &pod, &Metrics::default()).is_none());
        }
    }
}
