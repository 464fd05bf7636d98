//! The plugins' counters in the host's metrics: `fluentbit_<plugin>_<name>{name="<instance>"}`.

use std::ffi::{c_char, c_int, CStr, CString};
use std::time::{Duration, Instant};

use flb_sidecar_sdk::metrics::{Metrics, SeriesKind};

use crate::abi::functions::MetricHandle;
use crate::host::Host;

/// How often values are copied.
const EVERY: Duration = Duration::from_secs(1);

/// One metric of the host; series that differ only in labels share it.
#[derive(Debug)]
struct Family {
    name: &'static str,
    handle: *mut MetricHandle,
}

/// The host's side of one instance's metrics.
#[derive(Debug)]
pub(crate) struct HostMetrics {
    context: Option<*mut MetricHandle>,
    subsystem: CString,
    instance: CString,
    families: Vec<Family>,
    last: Option<Instant>,
}

impl HostMetrics {
    /// `context` is the instance's metrics context; `None`: this host shows no metrics of ours.
    pub(crate) fn new(context: Option<*mut MetricHandle>, plugin: &str, instance: &str) -> Self {
        HostMetrics {
            context,
            subsystem: CString::new(plugin).unwrap_or_default(),
            instance: CString::new(instance).unwrap_or_default(),
            families: Vec::new(),
            last: None,
        }
    }

    /// Drops every pointer into the host.
    pub(crate) fn forget(&mut self) {
        self.context = None;
        self.families.clear();
    }

    /// Copies the values, at most every second unless `now`.
    pub(crate) fn sync(&mut self, host: &Host, metrics: &Metrics, now: bool) {
        let Some(context) = self.context else {
            return;
        };
        if !now && self.last.is_some_and(|last| last.elapsed() < EVERY) {
            return;
        }
        self.last = Some(Instant::now());
        let functions = &host.functions;
        let Some(clock) = functions
            .metrics_clock
            .or(functions.metrics_clock_before_2_0)
        else {
            return;
        };
        for series in metrics.series() {
            let (create, set) = match series.kind {
                SeriesKind::Counter => (functions.counter_create, functions.counter_set),
                SeriesKind::Gauge => (functions.gauge_create, functions.gauge_set),
            };
            let (Some(create), Some(set)) = (create, set) else {
                return;
            };
            let text = |s: &str| CString::new(s.replace('\0', "")).unwrap_or_default();
            let known = self.families.iter().find(|f| f.name == series.name);
            let handle = if let Some(family) = known {
                family.handle
            } else {
                let name = text(series.name);
                let help = text(series.help);
                let keys: Vec<CString> = std::iter::once("name")
                    .chain(series.labels.iter().map(|(key, _)| *key))
                    .map(text)
                    .collect();
                let keys: Vec<*const c_char> = keys.iter().map(|k| k.as_ptr()).collect();
                // SAFETY: the context is the instance's own and lives until `forget`; cmetrics
                // copies every string; the count is the array's length.
                let handle = unsafe {
                    create(
                        context,
                        c"fluentbit".as_ptr(),
                        self.subsystem.as_ptr(),
                        name.as_ptr(),
                        help.as_ptr(),
                        keys.len() as c_int,
                        keys.as_ptr(),
                    )
                };
                self.families.push(Family {
                    name: series.name,
                    handle,
                });
                handle
            };
            if handle.is_null() {
                continue;
            }
            let values: Vec<CString> = series.labels.iter().map(|(_, v)| text(v)).collect();
            let values: Vec<*const c_char> = std::iter::once(self.instance.as_ptr())
                .chain(values.iter().map(|v| v.as_ptr()))
                .collect();
            // SAFETY: the handle came from `create` on this context; as many values as keys,
            // since series of one name share their label names.
            unsafe {
                set(
                    handle,
                    clock(),
                    series.value.get() as f64,
                    values.len() as c_int,
                    values.as_ptr(),
                )
            };
        }
    }
}

/// The value of the metric `name` of one instance, from the text of [`text`]. A metric of an
/// instance's own context has one series only.
fn value_in(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| {
        // Plain text has the time in front.
        let line = match line.split_once(' ') {
            Some((time, rest)) if time.starts_with(|c: char| c.is_ascii_digit()) => rest,
            _ => line,
        };
        let rest = line.strip_prefix(name)?;
        (rest.starts_with('{') || rest.starts_with(' ')).then_some(rest)
    })?;
    // Labels may hold anything, values are plain numbers: the last word of the line.
    let value: f64 = line.split_whitespace().last()?.parse().ok()?;
    (value >= 0.0).then_some(value as u64)
}

/// The same of a counter: one that was never raised is not in the text.
pub(crate) fn count_in(text: &str, name: &str) -> u64 {
    value_in(text, name).unwrap_or(0)
}

/// Every metric of a context as text, Prometheus' or plain.
///
/// # Safety
/// `context` is the metrics context of a living instance of the host.
pub(crate) unsafe fn text(host: &Host, context: *mut MetricHandle) -> Option<String> {
    let functions = &host.functions;
    let (encoded, free) = match (functions.metrics_text, functions.metrics_text_free) {
        // SAFETY: the caller gives a living context; 0: without timestamps.
        (Some(create), Some(free)) => (unsafe { create(context, 0) }, free),
        _ => {
            let (create, free) = (functions.metrics_plain?, functions.metrics_plain_free?);
            // SAFETY: the caller gives a living context.
            (unsafe { create(context) }, free)
        }
    };
    if encoded.is_null() {
        return None;
    }
    // SAFETY: the host's strings end with a NUL.
    let text = unsafe { CStr::from_ptr(encoded) }
        .to_string_lossy()
        .into_owned();
    // SAFETY: made by `create`, given back once.
    unsafe { free(encoded) };
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::value_in;

    #[test]
    fn values_are_found_by_name() {
        let text = "# HELP a_total Number of 7.\n# TYPE a_total counter\n\
                    a_total{name=\"http 0\"} 31\nab_total{name=\"x\"} 5\n";
        assert_eq!(value_in(text, "a_total"), Some(31));
        assert_eq!(value_in(text, "ab_total"), Some(5));
        assert_eq!(value_in(text, "b_total"), None);
        let plain = "2026-01-01T00:00:00.000000000Z a_total{name=\"http 0\"} = 31\n\
                     2026-01-01T00:00:00.000000000Z ab_total{name=\"x\"} = 5\n";
        assert_eq!(value_in(plain, "a_total"), Some(31));
        assert_eq!(value_in(plain, "ab_total"), Some(5));
        assert_eq!(value_in(plain, "b_total"), None);
    }
}
