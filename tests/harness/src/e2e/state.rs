//! What the API says of a pod's containers.

use serde_json::Value as Json;

/// How a container ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ContainerEnd {
    /// Its exit status.
    pub code: i64,
    /// When, as the kubelet says it.
    pub at: String,
    /// What it left as its termination message.
    pub message: String,
}

/// The containers of a pod.
#[derive(Clone, Copy, Debug)]
pub struct Ends<'a>(pub &'a Json);

impl<'a> Ends<'a> {
    fn statuses(self) -> impl Iterator<Item = &'a Json> {
        let status = &self.0["status"];
        let all = ["initContainerStatuses", "containerStatuses"].map(|key| status[key].as_array());
        all.into_iter().flatten().flatten()
    }

    /// The status of a container.
    pub fn status(self, container: &str) -> Option<&'a Json> {
        self.statuses().find(|status| status["name"] == container)
    }

    /// How often a container was started again.
    pub fn restarts(self, container: &str) -> u64 {
        self.status(container)
            .and_then(|status| status["restartCount"].as_u64())
            .unwrap_or_default()
    }

    /// How a container ended; `None` while it runs.
    pub fn end(self, container: &str) -> Option<ContainerEnd> {
        let ended = &self.status(container)?["state"]["terminated"];
        let text = |key: &str| ended[key].as_str().unwrap_or_default().to_owned();
        Some(ContainerEnd {
            code: ended["exitCode"].as_i64()?,
            at: text("finishedAt"),
            message: text("message"),
        })
    }

    /// Whether every container has ended.
    pub fn all_ended(self) -> bool {
        let mut all = self.statuses().peekable();
        all.peek().is_some() && all.all(|status| status["state"]["terminated"].is_object())
    }
}

/// Seconds from one time of the API to a later one, less than a day after it.
pub fn seconds_between(from: &str, to: &str) -> Option<i64> {
    let of_day = |time: &str| -> Option<i64> {
        let clock = time.split('T').nth(1)?.trim_end_matches('Z');
        let mut parts = clock.split(':').map(|part| part.parse::<i64>().ok());
        Some(parts.next()?? * 3600 + parts.next()?? * 60 + parts.next()??)
    };
    let day = 24 * 3600;
    let passed = (of_day(to)? - of_day(from)?).rem_euclid(day);
    // A kubelet that says the sidecar's end first was at most a second off.
    Some(if passed > day / 2 {
        passed - day
    } else {
        passed
    })
}
