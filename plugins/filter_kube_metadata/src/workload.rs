//! The workload that made the pod, where labels and pod name leave no doubt.

use std::time::{SystemTime, UNIX_EPOCH};

use crate::pod::Pod;

/// Names of the workload's objects. What is not certain is `None`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Workload {
    pub(crate) deployment: Option<String>,
    pub(crate) statefulset: Option<String>,
    pub(crate) job: Option<String>,
    pub(crate) cronjob: Option<String>,
}

impl Workload {
    /// Derives the names. `start` of the filter is compared with the time in the name of a
    /// CronJob's Job.
    pub(crate) fn of(pod: &Pod, start: SystemTime) -> Workload {
        let owner = |kind: &str| {
            pod.owners
                .iter()
                .find(|(k, _)| k == kind)
                .map(|(_, name)| name.clone())
        };
        let job = owner("Job").or_else(|| job(pod));
        Workload {
            deployment: deployment(pod),
            statefulset: owner("StatefulSet").or_else(|| statefulset(pod)),
            cronjob: job.as_deref().and_then(|job| cronjob(job, start)),
            job,
        }
    }
}

/// The Deployment controller names pods `<deployment>-<pod-template-hash>-<five characters>`.
fn deployment(pod: &Pod) -> Option<String> {
    let hash = pod.label("pod-template-hash")?;
    let (set, suffix) = pod.name.as_deref()?.rsplit_once('-')?;
    let name = set.strip_suffix(hash)?.strip_suffix('-')?;
    (suffix.len() == 5 && !name.is_empty()).then(|| name.to_owned())
}

/// The StatefulSet controller labels each pod with its own name, `<set>-<ordinal>`.
fn statefulset(pod: &Pod) -> Option<String> {
    let name = pod.name.as_deref()?;
    if pod.label("statefulset.kubernetes.io/pod-name")? != name {
        return None;
    }
    let (set, ordinal) = name.rsplit_once('-')?;
    let digits = !ordinal.is_empty() && ordinal.bytes().all(|b| b.is_ascii_digit());
    (digits && !set.is_empty()).then(|| set.to_owned())
}

/// The Job controller's own label; the older one, which anybody may set, if the pod's name agrees.
fn job(pod: &Pod) -> Option<String> {
    if let Some(name) = pod.label("batch.kubernetes.io/job-name") {
        return Some(name.to_owned());
    }
    let name = pod.label("job-name")?;
    let rest = pod.name.as_deref()?.strip_prefix(name)?;
    rest.starts_with('-').then(|| name.to_owned())
}

/// The CronJob controller names Jobs `<cronjob>-<minutes since 1970 of the schedule>`. Eight digits
/// that are a time in the week before the start are no coincidence; dates are far from it.
fn cronjob(job: &str, start: SystemTime) -> Option<String> {
    const WEEK: u64 = 7 * 24 * 60;
    const CLOCK_ERROR: u64 = 60;
    let (name, minutes) = job.rsplit_once('-')?;
    if minutes.len() != 8 || !minutes.bytes().all(|b| b.is_ascii_digit()) || name.is_empty() {
        return None;
    }
    let scheduled: u64 = minutes.parse().ok()?;
    let start = start.duration_since(UNIX_EPOCH).ok()?.as_secs() / 60;
    let plausible = scheduled <= start + CLOCK_ERROR && scheduled + WEEK >= start;
    plausible.then(|| name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    const NOW: u64 = 29_000_000;

    fn of(name: &str, labels: &[(&str, &str)]) -> Workload {
        let pod = Pod {
            name: Some(name.to_owned()),
            labels: Some(
                labels
                    .iter()
                    .map(|(k, v)| (k.as_bytes().to_vec(), v.as_bytes().to_vec()))
                    .collect(),
            ),
            ..Pod::default()
        };
        Workload::of(&pod, UNIX_EPOCH + Duration::from_secs(NOW * 60))
    }

    #[test]
    fn certain_names_are_found() {
        let found = of("my-web-7d4b9c-x2z8q", &[("pod-template-hash", "7d4b9c")]);
        assert_eq!(found.deployment.as_deref(), Some("my-web"));
        let found = of("db-12", &[("statefulset.kubernetes.io/pod-name", "db-12")]);
        assert_eq!(found.statefulset.as_deref(), Some("db"));
        let found = of(
            "report-28999990-abcde",
            &[("batch.kubernetes.io/job-name", "report-28999990")],
        );
        assert_eq!(found.job.as_deref(), Some("report-28999990"));
        assert_eq!(found.cronjob.as_deref(), Some("report"));
        let found = of("load-abcde", &[("job-name", "load")]);
        assert_eq!((found.job.as_deref(), found.cronjob), (Some("load"), None));
    }

    #[test]
    fn doubtful_ones_are_not() {
        for (name, labels) in [
            ("my-web-7d4b9c-x2z8q", vec![]),
            ("my-web-7d4b9d-x2z8q", vec![("pod-template-hash", "7d4b9c")]),
            ("7d4b9c-x2z8q", vec![("pod-template-hash", "7d4b9c")]),
            ("web-7d4b9c-toolong", vec![("pod-template-hash", "7d4b9c")]),
            (
                "db-12",
                vec![("statefulset.kubernetes.io/pod-name", "db-1")],
            ),
            ("db-x", vec![("statefulset.kubernetes.io/pod-name", "db-x")]),
            ("other-abcde", vec![("job-name", "load")]),
        ] {
            assert_eq!(of(name, &labels), Workload::default(), "{name}");
        }
        for job in [
            "report-12345678",
            "report-20261121",
            "report-29000061",
            "report-28989919",
            "report-2899999",
            "report-x8999990",
            "-28999990",
        ] {
            assert_eq!(
                of("p", &[("batch.kubernetes.io/job-name", job)]).cronjob,
                None,
                "{job}"
            );
        }
    }

    #[test]
    fn owners_from_the_api_are_certain() {
        let pod = Pod {
            owners: vec![
                ("Job".into(), "j".into()),
                ("StatefulSet".into(), "s".into()),
            ],
            ..Pod::default()
        };
        let found = Workload::of(&pod, UNIX_EPOCH);
        assert_eq!(found.job.as_deref(), Some("j"));
        assert_eq!(found.statefulset.as_deref(), Some("s"));
    }
}
