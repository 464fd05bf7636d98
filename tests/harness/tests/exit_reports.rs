//! What others have reported of Fluent Bit's end, in our words: each case names the issue or pull request
//! that it comes from. On every real host.

use std::fs;
use std::path::Path;
use std::process::Command;

use flb_sidecar_tests::destination::{Destination, Mood, Phase};
use flb_sidecar_tests::host::Version;
use flb_sidecar_tests::sidecar::append;
use flb_sidecar_tests::{each_real_host, wait_until, Host, Pipeline, Running, DEADLINE};
use rustix::process::Signal;
use serde_json::Value as Json;

const LOSS: i32 = 9;
/// Longer than any deadline here.
const FAR_RETRIES: &str = "scheduler.base 600\n    scheduler.cap 900";

/// A Job's sidecar with one destination.
struct Job {
    pipeline: Pipeline,
    destination: Destination,
}

impl Job {
    /// Nothing but the destination and the service section, yet.
    fn new(host: &Host, mood: Mood, service: &str) -> Self {
        let destination = Destination::new(mood);
        let mut pipeline = Pipeline::new(host);
        let service = service.replace("{dir}", &pipeline.path(""));
        let service = pipeline.file("service.conf", format!("[SERVICE]\n    {service}\n"));
        pipeline.arg("-c").arg(service).arg("-f").arg("0.2");
        Job {
            pipeline,
            destination,
        }
    }

    fn tail(&mut self, options: &[(&str, &str)]) -> &mut Self {
        let log = self.pipeline.file("logs/app.log", "");
        let db = self.pipeline.path("db");
        self.pipeline
            .input("sidecar_tail", &[("path", &log), ("db", &db)])
            .options(options);
        self
    }

    fn http(&mut self, workers: &str) -> &mut Self {
        let options = self.destination.options();
        self.pipeline
            .output("http", "*", &options)
            .options(&[("retry_limit", "no_limits"), ("workers", workers)]);
        self
    }

    fn exit(&mut self, options: &[(&str, &str)]) -> &mut Self {
        let path = |name| self.pipeline.path(name);
        let files = [
            ("flag_file", path("flag")),
            ("report_file", path("report")),
            ("ready_file", path("ready")),
            ("loss_exit_code", LOSS.to_string()),
        ];
        self.pipeline
            .output("completion_exit", "nothing", &files)
            .options(options);
        self
    }

    fn start(&self) -> Running {
        // The last run's is not this one's.
        let _ = fs::remove_file(self.pipeline.path("flag"));
        let mut running = self.pipeline.start();
        let ready = self.pipeline.path("ready");
        running.wait_for("readiness", |_| Path::new(&ready).exists());
        running
    }

    fn write(&self, lines: impl IntoIterator<Item = String>) {
        append(Path::new(&self.pipeline.path("logs/app.log")), lines);
    }

    fn flag(&self) {
        fs::write(self.pipeline.path("flag"), "").expect("a flag can be set");
    }

    /// Its end: the status and the report.
    fn end(&self, running: &mut Running) -> (Option<i32>, Json, String) {
        let status = running.wait_for_end().code();
        let report = fs::read_to_string(self.pipeline.path("report")).unwrap_or_default();
        let report: Json = serde_json::from_str(&report).unwrap_or_default();
        let said = format!("{status:?}: {report}\n{}", running.output());
        (status, report, said)
    }

    fn check_all_came(&self, running: &mut Running, lines: &[&str]) {
        let (status, report, said) = self.end(running);
        assert_eq!(status, Some(0), "{said}");
        assert_eq!(report["complete"], true, "{said}");
        let came = self.destination.lines();
        for line in lines {
            assert_eq!(came.get(*line), Some(&1), "{line}: {said}");
        }
    }
}

/// fluent/fluent-bit #5960: the output's back-off had grown to minutes; at SIGTERM the destination was there
/// again, and what was buffered was not sent.
#[test]
fn what_waits_for_a_far_retry_is_sent_at_sigterm() {
    each_real_host("#5960: back-off at SIGTERM", |host| {
        let mut job = Job::new(host, Mood::Shut, FAR_RETRIES);
        job.tail(&[]).http("1").exit(&[("sigterm_wait", "0")]);
        let mut running = job.start();
        job.write(["one".to_owned()]);
        let destination = &job.destination;
        running.wait_for("a retry that waits", |out| {
            destination.refused() > 0 && out.stderr().contains("retry in")
        });
        job.write(["two".to_owned()]);
        destination.open();
        running.signal(Signal::TERM);
        job.check_all_came(&mut running, &["one", "two"]);
    });
}

/// fluent/fluent-bit #2135 #2411 #5223: with the destination down, SIGTERM was answered with "still running"
/// for ever; who helped with `kill -9` lost what was stored.
#[test]
fn a_destination_that_is_down_keeps_neither_the_process_nor_what_is_stored() {
    each_real_host("#2135: stored, down, SIGTERM", |host| {
        let mut job = Job::new(host, Mood::Played, "storage.path {dir}/storage");
        job.tail(&[("storage.type", "filesystem")])
            .http("1")
            .exit(&[("sigterm_wait", "0"), ("deadline", "3")]);
        job.destination.set(Phase::Down);
        let mut running = job.start();
        job.write((0..50).map(|n| format!("line {n}")));
        running.signal(Signal::TERM);
        let (status, report, said) = job.end(&mut running);
        assert_eq!(status, Some(LOSS), "{said}");
        assert_eq!(report["complete"], false, "{said}");
        let output = &report["outputs"][0];
        assert_eq!(
            (&output["in"], &output["left"]),
            (&50.into(), &50.into()),
            "{said}"
        );

        job.destination.set(Phase::Well);
        let mut running = job.start();
        let destination = &job.destination;
        let came = wait_until(DEADLINE, || (destination.count() == 50).then_some(()));
        assert!(came.is_some(), "{}", running.output());
        job.flag();
        let (status, _, said) = job.end(&mut running);
        assert_eq!(status, Some(0), "{said}");
        let twice = destination.lines().into_values().filter(|times| *times > 1);
        assert_eq!(twice.count(), 0, "{said}");
    });
}

/// fluent/fluent-bit #11744: an input that ends the host by itself (`exit_on_eof`), and SIGTERM right behind
/// it: the engine turned in circles for ever.
#[test]
fn sigterm_behind_an_input_that_ends_the_host() {
    each_real_host("#11744: two stops", |host| {
        let mut job = Job::new(host, Mood::Played, "grace 3");
        let log = job.pipeline.file("logs/other.log", "one\n");
        job.tail(&[]).http("1").exit(&[("deadline", "5")]);
        let options = [
            ("path", log.as_str()),
            ("exit_on_eof", "on"),
            ("read_from_head", "on"),
        ];
        job.pipeline.input("tail", &options);
        let mut running = job.pipeline.start();
        running.wait_for("the host's own stop", |out| {
            out.stderr().contains("service will ")
        });
        running.signal(Signal::TERM);
        running.signal(Signal::TERM);
        let (status, _, said) = job.end(&mut running);
        assert!(matches!(status, Some(0 | LOSS)), "{said}");
    });
}

/// A process that opens the file, waits for somebody who writes to it, and says nothing.
fn wait_for_writer(pipeline: &Pipeline) -> String {
    let fifo = pipeline.path("fifo");
    let made = Command::new("mkfifo").arg(&fifo).status();
    assert!(made.is_ok_and(|status| status.success()));
    fifo
}

/// fluent/fluent-bit #12185: an input `exec` whose command keeps its stdout open cannot be stopped: on a thread
/// of its own the host joins that for ever, on the engine's nothing else happens any more.
#[test]
fn a_command_that_never_ends_does_not_keep_the_process() {
    each_real_host("#12185: exec", |host| {
        let since = Version(2, 1, 0);
        let threads: &[&str] = match host.version >= since {
            true => &["off", "on"],
            false => &["off"],
        };
        for threaded in threads {
            let mut job = Job::new(host, Mood::Played, "grace 1");
            job.tail(&[]).http("1").exit(&[("deadline", "3")]);
            let fifo = wait_for_writer(&job.pipeline);
            let command = format!("echo begun; cat {fifo}");
            let options = [("command", command.as_str()), ("interval_sec", "1")];
            job.pipeline.input("exec", &options);
            if host.version >= since {
                job.pipeline.options(&[("threaded", threaded)]);
            }
            let mut running = job.pipeline.start();
            // The command waits: it has the FIFO open.
            let writer = wait_until(DEADLINE, || {
                let flags = rustix::fs::OFlags::WRONLY | rustix::fs::OFlags::NONBLOCK;
                rustix::fs::open(&fifo, flags, rustix::fs::Mode::empty()).ok()
            });
            assert!(writer.is_some(), "{}", running.output());
            job.flag();
            let (status, report, said) = job.end(&mut running);
            // The command ends with its writer, which nobody else would see to.
            drop(writer);
            assert!(matches!(status, Some(0 | LOSS)), "{threaded}: {said}");
            assert!(report["ended_by"].is_string(), "{threaded}: {said}");
            if *threaded == "off" {
                // Its thread is the engine's.
                assert_eq!(status, Some(LOSS), "{said}");
                assert_eq!(report["complete"], false, "{said}");
            }
        }
    });
}

/// aws/aws-for-fluent-bit #859: more than a hundred tasks were pending when SIGTERM came; the engine said that
/// it had ended, and the process stayed.
#[test]
fn a_hundred_pending_tasks_do_not_keep_the_process() {
    each_real_host("aws #859: many tasks", |host| {
        for workers in ["0", "2"] {
            let mut job = Job::new(host, Mood::Played, "grace 5");
            for n in 0..150 {
                job.pipeline
                    .file(&format!("logs/{n}.log"), format!("line {n}\n"));
            }
            let all = job.pipeline.path("logs/*.log");
            job.pipeline
                .input("sidecar_tail", &[("path", all.as_str()), ("tag", "app.*")]);
            job.http(workers)
                .exit(&[("deadline", "4"), ("sigterm_wait", "0")]);
            job.destination.set(Phase::Silent);
            let mut running = job.start();
            running.signal(Signal::TERM);
            let (status, report, said) = job.end(&mut running);
            assert_eq!(status, Some(LOSS), "{said}");
            let output = &report["outputs"][0];
            assert_eq!(
                (&output["in"], &output["left"]),
                (&150.into(), &150.into()),
                "{said}"
            );
        }
    });
}

/// fluent/fluent-bit #6265 (and #1496): what came while a delivery was under way at SIGTERM was lost.
#[test]
fn what_comes_while_a_delivery_is_under_way_is_delivered() {
    each_real_host("#6265: a slow delivery at SIGTERM", |host| {
        for stored in [false, true] {
            let mut job = Job::new(host, Mood::Played, "storage.path {dir}/storage");
            let kind = if stored { "filesystem" } else { "memory" };
            job.tail(&[("storage.type", kind)]).http("1").exit(&[]);
            job.destination.set(Phase::Silent);
            let mut running = job.start();
            job.write(["one".to_owned()]);
            running.signal(Signal::TERM);
            job.write(["two".to_owned()]);
            running.wait_for("the signal to be seen", |out| {
                out.stderr().contains("sigterm: received")
            });
            job.write(["three".to_owned()]);
            job.destination.set(Phase::Well);
            job.check_all_came(&mut running, &["one", "two", "three"]);
        }
    });
}

/// aws/aws-for-fluent-bit #613: a crash while the host took its outputs apart was the status of the task.
#[test]
fn a_host_that_crashes_while_it_ends_has_the_status_that_was_decided() {
    each_real_host("aws #613: a crash while it ends", |host| {
        for crash in [Signal::SEGV, Signal::ABORT, Signal::BUS, Signal::ILL] {
            let mut job = Job::new(host, Mood::Played, FAR_RETRIES);
            job.destination.set(Phase::Silent);
            job.tail(&[]).http("1").exit(&[("deadline", "2")]);
            let mut running = job.start();
            job.write(["one".to_owned()]);
            job.flag();
            running.wait_for("the end that was decided", |out| {
                out.stderr().contains("service will ")
            });
            running.signal(crash);
            let (status, report, said) = job.end(&mut running);
            assert_eq!(status, Some(LOSS), "{crash:?}: {said}");
            assert_eq!(report["records"]["left"], 1, "{said}");
        }
    });
}
