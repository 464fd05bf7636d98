//! The host as process 1 of its PID namespace, as a container has it: the kernel gives it no signal
//! that it has no handler for, it inherits orphans, and what it does not wait for stays a zombie.

use std::fs;
use std::path::Path;
use std::process::{Command, ExitStatus, Stdio};

use flb_sidecar_tests::destination::{Destination, Mood, Phase};
use flb_sidecar_tests::sidecar::append;
use flb_sidecar_tests::{each_real_host, say, wait_until, Host, Pipeline, Running, DEADLINE};
use rustix::process::{kill_process, Pid, Signal};
use serde_json::Value as Json;

const LOSS: i32 = 9;

/// A new PID namespace with its own `/proc`, which dies with the test.
fn namespace() -> Command {
    let mut command = Command::new("unshare");
    command.args(["--pid", "--fork", "--mount-proc", "--kill-child", "--"]);
    command
}

fn possible() -> bool {
    let mut command = namespace();
    command.arg("true").stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

/// On every real host, where such a namespace can be made.
fn each(name: &str, scenario: impl Fn(&Host) + Sync) {
    if possible() {
        each_real_host(name, scenario);
    } else {
        say(&format!(
            "SKIPPED {name}: no PID namespace can be made here (unshare)"
        ));
    }
}

/// A sidecar that is process 1.
struct Container {
    running: Running,
    pipeline: Pipeline,
    destination: Destination,
}

impl Container {
    /// The host takes the place of a shell that has run `before`.
    fn start(host: &Host, before: &str, options: &[(&str, &str)]) -> Self {
        let destination = Destination::new(Mood::Played);
        let mut pipeline = Pipeline::new(host);
        let log = pipeline.file("logs/app.log", "");
        let ready = pipeline.path("ready");
        let report = pipeline.path("report");
        let flag = pipeline.path("flag");
        let mut http = destination.options();
        http.push(("retry_limit", "no_limits".to_owned()));
        pipeline
            .input("sidecar_tail", &[("path", &log)])
            .output("http", "*", &http)
            .output("completion_exit", "nothing", options)
            .options(&[
                ("ready_file", ready.as_str()),
                ("report_file", report.as_str()),
                ("flag_file", flag.as_str()),
                ("loss_exit_code", &LOSS.to_string()),
            ]);
        let host = pipeline.command();
        let mut command = namespace();
        command
            .args(["sh", "-c"])
            .arg(format!("{before}\nexec \"$@\""))
            .arg("sh")
            .arg(host.get_program())
            .args(host.get_args())
            .current_dir(pipeline.folder());
        let mut running = Running::start(&mut command, pipeline.folder());
        running.wait_for("readiness", |_| Path::new(&ready).exists());
        Container {
            running,
            pipeline,
            destination,
        }
    }

    /// The host, as it is seen from outside.
    fn pid(&self) -> i32 {
        let outer = self.running.id();
        let children = format!("/proc/{outer}/task/{outer}/children");
        let text = fs::read_to_string(children).unwrap_or_default();
        let first = text.split_whitespace().next();
        first.and_then(|pid| pid.parse().ok()).expect("it runs")
    }

    fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(self.pid()).expect("a process");
        kill_process(pid, signal).expect("it can be signalled");
    }

    fn write(&self, line: &str) {
        let log = self.pipeline.path("logs/app.log");
        append(Path::new(&log), [line.to_owned()]);
    }

    fn set(&self, name: &str, content: &str) {
        fs::write(self.pipeline.path(name), content).expect("the folder takes files");
    }

    fn wait_for(&mut self, what: &str) {
        self.running
            .wait_for(what, |output| output.stderr().contains(what));
    }

    fn came(&self, line: &str) -> bool {
        self.destination.lines().contains_key(line)
    }

    fn wait_until_came(&mut self, line: &str) {
        let came = wait_until(DEADLINE, || self.came(line).then_some(()));
        assert!(came.is_some(), "{line}: {}", self.running.output());
    }

    fn end(&mut self) -> (ExitStatus, Json) {
        let status = self.running.wait_for_end();
        let report = fs::read_to_string(self.pipeline.path("report")).unwrap_or_default();
        (status, serde_json::from_str(&report).unwrap_or_default())
    }

    fn check_complete(&mut self, status: i32, trigger: &str) {
        let (ended, report) = self.end();
        let said = format!("{ended}, {report}, {}", self.running.output());
        assert_eq!(ended.code(), Some(status), "{said}");
        assert_eq!(report["trigger"], trigger, "{said}");
        assert_eq!(report["complete"], true, "{said}");
        assert!(self.came("one") && self.came("last"), "{said}");
    }
}

#[test]
fn a_flag_ends_process_1_with_its_status() {
    each("process 1: flag", |host| {
        let mut job = Container::start(host, "", &[("exit_code", "trigger")]);
        let status = fs::read_to_string(format!("/proc/{}/status", job.pid()));
        let numbers = status.unwrap_or_default();
        let numbers = numbers.lines().find(|line| line.starts_with("NSpid:"));
        assert!(
            numbers.is_some_and(|line| line.ends_with("\t1")),
            "{numbers:?}"
        );
        job.write("one");
        job.wait_until_came("one");
        job.write("last");
        job.set("flag", "7");
        job.check_complete(7, "flag_file");
    });
}

#[test]
fn sigterm_ends_process_1_when_all_is_delivered() {
    each("process 1: SIGTERM", |host| {
        let mut job = Container::start(host, "", &[("exit_code", "5")]);
        job.write("one");
        job.wait_until_came("one");
        job.write("last");
        job.signal(Signal::TERM);
        job.check_complete(5, "sigterm");
    });
}

/// The second one goes to the host, which waits for its destination; the guard does not.
#[test]
fn a_second_sigterm_does_not_keep_process_1() {
    each("process 1: second SIGTERM", |host| {
        for wait in ["0", "auto"] {
            let options = [("deadline", "4"), ("sigterm_wait", wait)];
            let mut job = Container::start(host, "", &options);
            job.destination.set(Phase::Silent);
            job.write("one");
            job.signal(Signal::TERM);
            job.wait_for("sigterm: received");
            job.signal(Signal::TERM);
            let (ended, report) = job.end();
            let said = format!("{wait}: {ended}, {report}, {}", job.running.output());
            // A host that ends by itself at a signal takes a status of its own.
            assert!(matches!(ended.code(), Some(0 | LOSS)), "{said}");
            assert_eq!(report["complete"], false, "{said}");
        }
    });
}

/// What was started before the host in its container is its child, and it waits for none of them.
#[test]
fn zombies_and_orphans_do_not_keep_process_1() {
    each("process 1: zombies", |host| {
        let before = "sleep 0 &\nsleep 600 &\necho $! > main.pid\n(trap '' TERM; sleep 600) &";
        let pid_file = ("process_pid_file", "main.pid");
        let mut job = Container::start(host, before, &[pid_file, ("exit_code", "3")]);
        job.write("one");
        job.wait_until_came("one");
        job.wait_for("has started");
        job.write("last");
        // By its number in the host's namespace, so from there.
        let inside = Command::new("nsenter")
            .args(["--pid", "--mount", "--target", &job.pid().to_string()])
            .args(["sh", "-c", "kill -9 $(cat \"$0\")"])
            .arg(job.pipeline.path("main.pid"))
            .status();
        assert!(inside.is_ok_and(|status| status.success()));
        // Nobody waits for it: it stays a zombie, and has ended all the same.
        job.check_complete(3, "process");
    });
}

/// They have no open files that anybody could look at, and are no writers.
#[test]
fn zombies_are_no_writers() {
    each("process 1: many zombies", |host| {
        let before = "n=0; while [ $n -lt 200 ]; do sleep 0 & n=$((n + 1)); done";
        let mut job = Container::start(host, before, &[("idle_time", "1")]);
        job.write("one");
        job.write("last");
        let (ended, report) = job.end();
        let said = format!("{ended}, {report}, {}", job.running.output());
        assert_eq!(ended.code(), Some(0), "{said}");
        assert_eq!(report["trigger"], "idle", "{said}");
        assert_eq!(report["complete"], true, "{said}");
    });
}
