//! What `completion_exit` says of losses is what the destination and the files say, on real hosts.

use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::time::Duration;

use flb_sidecar_tests::destination::{Destination, Mood};
use flb_sidecar_tests::sidecar::append;
use flb_sidecar_tests::{each_real_host, wait_until, Host, Pipeline, Running, DEADLINE};
use rustix::process::Signal;
use serde_json::Value as Json;

/// About half of what all portions take.
const ROOM: &str = "2M";
/// Each makes a chunk of its own.
const PORTIONS: usize = 20;
const LINES: usize = 1000;

/// A Job with one log that goes to an `http` output.
struct Job {
    pipeline: Pipeline,
    destination: Destination,
}

impl Job {
    fn new(host: &Host, mood: Mood, more: &[(&str, &str)]) -> Self {
        Job::stored(host, mood, "filesystem", more)
    }

    fn stored(host: &Host, mood: Mood, storage_type: &str, more: &[(&str, &str)]) -> Self {
        let destination = Destination::new(mood);
        let mut pipeline = Pipeline::new(host);
        let storage = pipeline.path("storage");
        let service = format!("[SERVICE]\n    storage.path {storage}\n");
        let service = pipeline.file("service.conf", service);
        let log = pipeline.file("logs/app.log", "");
        let (flag, report) = (pipeline.path("flag"), pipeline.path("report"));
        let input = [
            ("path", log),
            ("db", pipeline.path("positions.json")),
            ("storage.type", storage_type.to_owned()),
        ];
        let exit = [
            ("flag_file", flag),
            ("report_file", report),
            ("loss_exit_code", "9".to_owned()),
        ];
        pipeline
            .arg("-c")
            .arg(service)
            .input("sidecar_tail", &input)
            .output("http", "*", &destination.options())
            .options(&[("retry_limit", "no_limits")])
            .options(more)
            .output("completion_exit", "nothing", &exit);
        Job {
            pipeline,
            destination,
        }
    }

    /// Writes portion by portion, each after the one before was refused once more.
    fn write(&self, running: &mut Running) {
        let log = self.pipeline.path("logs/app.log");
        for portion in 0..PORTIONS {
            let refused = self.destination.refused();
            let lines = (0..LINES).map(|n| format!("line {portion} {n} {}", "x".repeat(200)));
            append(Path::new(&log), lines);
            running.wait_for("a refusal", |_| self.destination.refused() > refused);
        }
    }

    /// The flag, the end: the status, and what the report says.
    fn end(&self, mut running: Running) -> (Option<i32>, Json) {
        fs::write(self.pipeline.path("flag"), "").expect("a flag can be set");
        let status = running.wait_for_end().code();
        let report = fs::read_to_string(self.pipeline.path("report")).unwrap_or_default();
        (status, serde_json::from_str(&report).unwrap_or_default())
    }
}

/// What came is out, dropped or left, and each is what the destination and the files say.
fn adds_up(report: &Json, read: u64, came: u64, dropped: u64) {
    let number = |value: &Json| value.as_u64().unwrap_or(u64::MAX);
    let records = &report["records"];
    let expected = [read, 0, came, dropped, 0];
    let said = ["in", "filtered", "out", "dropped", "left"].map(|key| number(&records[key]));
    assert_eq!(said, expected, "{report}");
    for kind in ["outputs", "inputs"] {
        let said = ["in", "out", "dropped", "left"].map(|key| number(&report[kind][0][key]));
        assert_eq!(said, [read, came, dropped, 0], "{kind}: {report}");
    }
}

/// Releases before 2.2 count what they throw away nowhere.
#[test]
fn chunks_that_the_host_throws_away_are_a_loss() {
    each_real_host("storage.total_limit_size", |host| {
        let room = [("storage.total_limit_size", ROOM)];
        let job = Job::new(host, Mood::Shut, &room);
        let mut running = job.pipeline.start();
        job.write(&mut running);
        if !host.since(2, 2, 0) {
            running.wait_for("word of it", |out| {
                out.stderr().contains("throws chunks away")
            });
        }
        job.destination.open();
        let (status, report) = job.end(running);
        let lost = (PORTIONS * LINES) as u64 - job.destination.count();
        assert!(lost > 0, "the host had room for all: {report}");
        let said = report["evicted_chunks"].as_u64() > Some(0);
        assert!(said && report["complete"] == false, "{lost} lost: {report}");
        let lines = (PORTIONS * LINES) as u64;
        adds_up(&report, lines, lines - lost, lost);
        assert_eq!(status, Some(9), "{report}");
    });
}

/// What the host throws away is still in the file, and the next start reads it again.
#[test]
fn what_was_thrown_away_is_read_again_by_the_next_start() {
    each_real_host("a start after storage.total_limit_size", |host| {
        let room = [("storage.total_limit_size", ROOM)];
        let job = Job::new(host, Mood::Shut, &room);
        let mut running = job.pipeline.start();
        job.write(&mut running);
        job.destination.open();
        let (status, report) = job.end(running);
        let lines = (PORTIONS * LINES) as u64;
        let lost = lines - job.destination.count();
        assert!(lost > 0, "the host had room for all: {report}");
        assert_eq!(status, Some(9), "{report}");
        fs::remove_file(job.pipeline.path("flag")).expect("the flag is there");
        let mut running = job.pipeline.start();
        running.wait_for("the rest", |_| job.destination.count() == lines);
        let (status, report) = job.end(running);
        assert_eq!(status, Some(0), "{report}");
        assert!(report["complete"] == true, "{report}");
        // It is delivered now, so a third start repeats nothing.
        fs::remove_file(job.pipeline.path("flag")).expect("the flag is there");
        let before: u64 = job.destination.lines().values().sum();
        let (_, report) = job.end(job.pipeline.start());
        let after: u64 = job.destination.lines().values().sum();
        assert_eq!(before, after, "{report}");
    });
}

/// An output gives a chunk up when its retries are used up: that is no delivery either.
#[test]
fn what_an_output_gives_up_is_read_again_by_the_next_start() {
    each_real_host("a start after an output gave up", |host| {
        let job = Job::new(host, Mood::Shut, &[("retry_limit", "no_retries")]);
        let mut running = job.pipeline.start();
        let log = job.pipeline.path("logs/app.log");
        append(Path::new(&log), ["given up".to_owned()]);
        running.wait_for("a refusal", |_| job.destination.refused() > 0);
        job.destination.open();
        append(Path::new(&log), ["delivered".to_owned()]);
        running.wait_for("the second line", |_| job.destination.has("delivered"));
        let (status, report) = job.end(running);
        assert!(report["complete"] == false, "{report}");
        adds_up(&report, 2, 1, 1);
        assert_eq!(status, Some(9), "{report}");
        fs::remove_file(job.pipeline.path("flag")).expect("the flag is there");
        let mut running = job.pipeline.start();
        running.wait_for("the first line", |_| job.destination.has("given up"));
        let (status, report) = job.end(running);
        assert_eq!(status, Some(0), "{report}");
    });
}

#[test]
fn a_destination_that_was_down_and_lost_nothing_is_complete() {
    each_real_host("an outage without a loss", |host| {
        let job = Job::new(host, Mood::Shut, &[]);
        let mut running = job.pipeline.start();
        job.write(&mut running);
        job.destination.open();
        let (status, report) = job.end(running);
        let right = report["complete"] == true && report["evicted_chunks"] == 0;
        assert!(
            right && job.destination.count() == (PORTIONS * LINES) as u64,
            "{report}"
        );
        let lines = (PORTIONS * LINES) as u64;
        adds_up(&report, lines, lines, 0);
        assert_eq!(status, Some(0), "{report}");
    });
}

/// 2.1.0 counts what it prints without a format as dropped.
#[test]
fn what_stdout_prints_is_no_loss() {
    each_real_host("stdout without a format", |host| {
        let mut pipeline = Pipeline::new(host);
        let log = pipeline.file("logs/app.log", "one\ntwo\n");
        let (flag, report) = (pipeline.file("flag", ""), pipeline.path("report"));
        let none: &[(&str, &str)] = &[];
        let exit = [
            ("flag_file", flag),
            ("flag_stale", "honour".to_owned()),
            ("report_file", report.clone()),
            ("loss_exit_code", "9".to_owned()),
        ];
        pipeline
            .input("sidecar_tail", &[("path", &log)])
            .output("stdout", "*", none)
            .output("completion_exit", "nothing", &exit);
        let ended = pipeline.run();
        let report: Json = serde_json::from_str(&fs::read_to_string(report).unwrap_or_default())
            .unwrap_or_default();
        ended.check(&format!("complete: {report}"), report["complete"] == true);
        ended.check(
            &format!("both counted: {report}"),
            report["records"]["out"] == 2,
        );
        ended.check_status(0);
    });
}

/// Without descriptors the host gives up what it cannot send, and counts that nowhere.
#[test]
fn what_is_given_up_for_want_of_descriptors_is_a_loss() {
    each_real_host("no descriptors left", |host| {
        for freed in [Freed::InTheDrain, Freed::Never] {
            let more = [("workers", "0"), ("net.keepalive", "off")];
            let mut job = Job::stored(host, Mood::Well, "memory", &more);
            // Some hosts cannot end by themselves then.
            job.pipeline.options(&[("deadline", "6")]);
            let mut running = job.pipeline.start();
            running.wait_for("the trigger", |out| out.stderr().contains("waits for flag"));
            let log = job.pipeline.path("logs/app.log");
            append(Path::new(&log), (0..10).map(|n| format!("before {n}")));
            running.wait_for("the first lines", |_| job.destination.count() == 10);
            running.may_open(false);
            append(Path::new(&log), (0..10).map(|n| format!("line {n}")));
            if freed == Freed::InTheDrain {
                fs::write(job.pipeline.path("flag"), "").expect("a flag can be set");
                running.wait_for("the drain", |out| out.stderr().contains("draining, "));
                running.may_open(true);
            }
            let (status, report) = job.end(running);
            let came = job.destination.count();
            let expected = if came == 20 { 0 } else { 9 };
            assert_eq!(status, Some(expected), "{freed:?}, {came} came: {report}");
            // A lower limit than at the start leaves no number that a report could have.
            if freed == Freed::InTheDrain {
                assert_eq!(report["complete"], came == 20, "{came} came: {report}");
                assert_eq!(report["records"]["out"], came, "{report}");
            }
        }
    });
}

/// When there are descriptors again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Freed {
    InTheDrain,
    Never,
}

/// Whoever writes on behind the trigger: what is in the account has come and nothing else has; the next
/// start has the rest.
#[test]
fn a_writer_who_goes_on_is_in_no_account_behind_its_end() {
    each_real_host("a writer who goes on", |host| {
        for ends in [Ends::Flag, Ends::Sigterm] {
            let mut job = Job::new(host, Mood::Well, &[]);
            job.pipeline
                .options(&[("sigterm_wait", "1"), ("deadline", "4")]);
            let mut running = job.pipeline.start();
            running.wait_for("the trigger", |out| out.stderr().contains("waits for flag"));
            let path = job.pipeline.path("logs/app.log");
            let mut log = fs::File::options().append(true).open(path).expect("a log");
            let mut written = 0;
            writeln!(log, "line {written}").expect("it can be written");
            running.wait_for("the first line", |_| job.destination.count() == 1);
            match ends {
                Ends::Flag => fs::write(job.pipeline.path("flag"), "").expect("a flag"),
                Ends::Sigterm => running.signal(Signal::TERM),
            }
            let ended = wait_until(DEADLINE, || {
                written += 1;
                writeln!(log, "line {written}").expect("it can be written");
                std::thread::sleep(PACE);
                running.ended()
            });
            let report = fs::read_to_string(job.pipeline.path("report")).unwrap_or_default();
            let report: Json = serde_json::from_str(&report).unwrap_or_default();
            let came = job.destination.count();
            let said = format!("{ends:?}, {ended:?}, {came} of {written} came: {report}");
            assert!(ended.is_some(), "{said}");
            let records = |name: &str| report["records"][name].as_u64().unwrap_or(u64::MAX);
            let known = records("out")..=records("out").saturating_add(records("left"));
            assert!(known.contains(&came), "{said}");
            if ends == Ends::Sigterm {
                assert!(report["complete"] != true, "{said}");
            }
            let _ = fs::remove_file(job.pipeline.path("flag"));
            let (status, report) = job.end(job.pipeline.start());
            assert_eq!(status, Some(0), "{report}");
            let lines = job.destination.lines();
            let once = (0..=written).all(|n| lines.get(&format!("line {n}")) == Some(&1));
            assert!(once, "{said}, then {report}: {lines:?}");
        }
    });
}

/// Between two lines.
const PACE: Duration = Duration::from_millis(20);

/// What the trigger is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ends {
    Flag,
    Sigterm,
}
