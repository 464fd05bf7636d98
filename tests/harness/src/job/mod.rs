//! The main job: an application writes logs with personal data to a shared folder, ends whatever
//! its status, and creates `completion-flag`; the sidecar prints every line once, redacted and
//! enriched, and ends, too.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, SystemTime};

use serde_json::Value as Json;

use crate::build::{self, root};
use crate::host::Host;
use crate::pipeline::Pipeline;
use crate::process::Ended;

/// From the flag to the end of the sidecar.
pub const LIMIT: Duration = Duration::from_secs(2);

/// How the Job went.
#[derive(Debug)]
pub struct Outcome {
    /// What the sidecar left.
    pub sidecar: Ended,
    /// Lines that the application wrote.
    pub lines: usize,
    /// From the flag to the end of the sidecar.
    pub after_flag: Duration,
}

/// A folder next to which the sidecar runs.
#[derive(Debug)]
pub struct Job {
    pipeline: Pipeline,
    shared: PathBuf,
}

impl Job {
    /// The sidecar's pipeline, with a shared folder.
    ///
    /// # Panics
    /// When there is no place for temporary files.
    pub fn new(host: &Host) -> Self {
        let mut pipeline = Pipeline::new(host);
        let log = pipeline.file("shared/app.log", "");
        let flag = pipeline.path("shared/completion-flag");
        let labels = pipeline.file("podinfo/labels", "app=\"orders\"\njob-name=\"demo\"\n");
        let podinfo = Path::new(&labels).parent().and_then(Path::to_str);
        pipeline
            .env("POD_NAME", "demo-x7k2p")
            .env("POD_NAMESPACE", "shop")
            .input("sidecar_tail", &[("path", log.as_str()), ("tag", "app")])
            .filter("pii_redact", "*", crate::NO_OPTIONS)
            .filter(
                "kube_metadata",
                "*",
                &[("podinfo_path", podinfo.unwrap_or_default())],
            )
            .print()
            .output("completion_exit", "*", &[("flag_file", &flag)]);
        let shared = pipeline.folder().join("shared");
        Job { pipeline, shared }
    }

    /// The sidecar's command line.
    pub fn command_line(&self) -> String {
        let command = self.pipeline.command();
        let words = std::iter::once(command.get_program()).chain(command.get_args());
        words
            .map(|word| word.to_string_lossy())
            .collect::<Vec<_>>()
            .join(" ")
    }

    /// Starts both and waits for both. `show` gets the sidecar's stdout as it grows.
    ///
    /// # Panics
    /// When something does not start or end.
    pub fn run(&self, lines: usize, pause: &str, mut show: impl FnMut(&str)) -> Outcome {
        let mut sidecar = self.pipeline.start();
        let mut application = Command::new("sh")
            .arg(root().join("tests/harness/src/job/application.sh"))
            .arg(&self.shared)
            .arg(lines.to_string())
            .arg(pause)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .expect("there is a shell");
        let mut shown = 0;
        let mut show_more = |all: &str| {
            // Whole lines only.
            let end = all.rfind('\n').map_or(0, |at| at + 1);
            if let Some(more) = all.get(shown..end) {
                show(more);
                shown = end;
            }
        };
        while matches!(application.try_wait(), Ok(None)) {
            show_more(&sidecar.output().stdout());
            std::thread::sleep(Duration::from_millis(20));
        }
        sidecar.wait_for_end();
        let now = SystemTime::now();
        let sidecar = sidecar.end();
        show_more(&sidecar.stdout);
        let flag = std::fs::metadata(self.shared.join("completion-flag"))
            .and_then(|metadata| metadata.modified())
            .expect("the application leaves the flag");
        Outcome {
            sidecar,
            lines,
            after_flag: now.duration_since(flag).unwrap_or_default(),
        }
    }
}

/// Number of the order in a log line.
fn order(record: &Json) -> Option<usize> {
    let text = record["log"].as_str()?.strip_prefix("order ")?;
    text.split(':').next()?.parse().ok()
}

impl Outcome {
    /// Every line once and in order, nothing personal left, metadata added, status 0, in time.
    ///
    /// # Errors
    /// What is wrong.
    pub fn verdict(&self) -> Result<(), String> {
        let records = self.sidecar.records();
        let mut seen: BTreeMap<usize, usize> = BTreeMap::new();
        for record in &records {
            let number = order(record).ok_or_else(|| format!("an unknown line: {record}"))?;
            *seen.entry(number).or_default() += 1;
            let expected = format!("order {number}: [EMAIL] pays with [CARD]");
            if record["log"] != expected.as_str() {
                return Err(format!("not redacted: {record}"));
            }
            let pod = &record["kubernetes"];
            if pod["pod_name"] != "demo-x7k2p" || pod["labels"]["app"] != "orders" {
                return Err(format!("not enriched: {record}"));
            }
        }
        let wrong: Vec<String> = (1..=self.lines)
            .filter(|n| seen.get(n) != Some(&1))
            .map(|n| format!("line {n} came {} times", seen.get(&n).unwrap_or(&0)))
            .collect();
        if !wrong.is_empty() {
            return Err(wrong.join(", "));
        }
        if records.iter().filter_map(order).ne(1..=self.lines) {
            return Err("lines came in another order".into());
        }
        if self.sidecar.status != Some(0) {
            return Err(format!("the sidecar ended with {:?}", self.sidecar.status));
        }
        // An emulator's time says nothing about a processor's.
        if self.after_flag > LIMIT && build::runner().is_empty() {
            return Err(format!(
                "the sidecar ended {:?} after the flag",
                self.after_flag
            ));
        }
        Ok(())
    }
}
