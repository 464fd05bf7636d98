//! Every trigger of `completion_exit` on real hosts: what starts the drain, what does not, what
//! the log and the report say of it, and the exit status.

use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant, SystemTime};

use flb_sidecar_tests::destination::{Destination, Mood};
use flb_sidecar_tests::freezer::Freezer;
use flb_sidecar_tests::pod_api::{Main, PodApi};
use flb_sidecar_tests::process::json_lines;
use flb_sidecar_tests::{
    each_real_host, each_real_host_where, each_test_host, say, wait_until, Ended, Host, Pipeline,
    Running, DEADLINE,
};
use rustix::process::Signal;
use serde_json::Value as Json;

/// A Job's sidecar: one log, everything to stdout.
struct Job {
    pipeline: Pipeline,
    written: Vec<String>,
}

impl Job {
    fn new(host: &Host) -> Self {
        let mut pipeline = Pipeline::new(host);
        let log = pipeline.file("logs/app.log", "");
        pipeline.input("sidecar_tail", &[("path", &log)]).print();
        Job {
            pipeline,
            written: Vec::new(),
        }
    }

    fn path(&self, name: &str) -> String {
        self.pipeline.path(name)
    }

    /// `completion_exit` with these options, a report and a ready file.
    fn exit<V: AsRef<str>>(&mut self, options: &[(&str, V)]) -> &mut Self {
        let report = self.path("report");
        let ready = self.path("ready");
        self.pipeline
            .output("completion_exit", "*", options)
            .options(&[("report_file", report), ("ready_file", ready)]);
        self
    }

    fn write(&mut self) {
        let line = format!("line {}", self.written.len());
        let log = OpenOptions::new()
            .append(true)
            .open(self.path("logs/app.log"));
        let written = log.and_then(|mut log| writeln!(log, "{line}"));
        written.expect("the log takes lines");
        self.written.push(line);
    }

    /// Starts it and waits until it watches.
    fn start(&self) -> Running {
        let mut running = self.pipeline.start();
        let ready = self.path("ready");
        running.wait_for("the ready file", |_| Path::new(&ready).exists());
        running
    }

    /// One more line is read and delivered, and nothing has begun to end: longer than the plugin
    /// needs to see what happened before.
    fn goes_on(&mut self, running: &mut Running) {
        self.write();
        let line = format!("\"{}\"", self.written[self.written.len() - 1]);
        running.wait_for("the next line", |out| out.stdout().contains(&line));
        let said = running.output().stderr();
        assert!(!said.contains("draining"), "{said}");
        assert!(Path::new(&self.path("ready")).exists(), "{said}");
    }

    fn report(&self) -> Json {
        let text = fs::read_to_string(self.path("report")).unwrap_or_default();
        assert!(text.len() <= 4096, "{text}");
        serde_json::from_str(&text).unwrap_or_default()
    }

    /// Every line once, this trigger in one log line and in the report, this status.
    fn check(&self, ended: &Ended, trigger: &str, status: i32) {
        let report = self.report();
        let check = |what: &str, right: bool| {
            ended.check(&format!("{what}; {report}"), right);
        };
        ended.check_status(status);
        let logs: Vec<String> = ended
            .records()
            .iter()
            .filter_map(|record| record["log"].as_str().map(str::to_owned))
            .collect();
        check("every line once, in order", logs == self.written);
        check("its trigger", report["trigger"] == trigger);
        check("its status", report["status"] == status);
        check("complete", report["complete"] == true);
        check("drained", report["ended_by"] == "drained");
        let file = &report["files"][0];
        let path = file["path"]
            .as_str()
            .is_some_and(|path| path.ends_with("/app.log"));
        let bytes: usize = self.written.iter().map(|line| line.len() + 1).sum();
        let read = file["read_bytes"] == bytes && file["unread_bytes"] == 0;
        // A file in which nothing ever was is not opened.
        check("bytes per file", (path && read) || self.written.is_empty());
        let kinds = trigger.split('+');
        for kind in kinds {
            let text = format!("completion_exit.1] {kind}: ");
            let lines = ended.stderr.lines().filter(|line| line.contains(&text));
            check(&format!("one line of {kind}"), lines.count() == 1);
        }
        check("not ready", !Path::new(&self.path("ready")).exists());
    }
}

/// A line, `happen`, and the end.
fn ends(
    host: &Host,
    options: &[(&str, &str)],
    trigger: &str,
    status: i32,
    happen: fn(&Job, &Running),
) {
    let mut job = Job::new(host);
    let in_folder: Vec<(&str, String)> = options
        .iter()
        .map(|(key, value)| (*key, value.replace("{dir}", &job.path(""))))
        .collect();
    job.exit(&in_folder);
    let mut running = job.start();
    job.goes_on(&mut running);
    job.write();
    happen(&job, &running);
    job.check(&running.end(), trigger, status);
}

fn set(job: &Job, name: &str, content: &str) {
    fs::write(job.path(name), content).expect("the folder takes files");
}

/// No look every second finds it, but inotify tells. Made again and again, since nothing tells when the
/// folder is watched.
#[test]
fn a_flag_that_is_gone_at_once() {
    each_real_host("flag for a microsecond", |host| {
        let mut job = Job::new(host);
        let flag = job.path("logs/flag");
        job.exit(&[("flag_file", flag.as_str()), ("exit_code", "3")]);
        let mut running = job.start();
        job.goes_on(&mut running);
        job.write();
        let ended = wait_until(DEADLINE, || {
            fs::write(&flag, "").expect("the folder takes files");
            fs::remove_file(&flag).expect("it is ours");
            running.ended()
        });
        assert!(ended.is_some(), "{}", running.output());
        job.check(&running.end(), "flag_file", 3);
    });
}

#[test]
fn a_flag_with_an_exit_status() {
    each_real_host("flag file", |host| {
        let options = [("flag_file", "{dir}/logs/flag"), ("exit_code", "trigger")];
        ends(host, &options, "flag_file", 7, |job, _| {
            set(job, "logs/flag", "7\n");
        });
    });
}

#[test]
fn a_flag_that_a_glob_finds() {
    each_real_host("flag glob", |host| {
        let options = [("flag_file", "{dir}/done/*.flag"), ("exit_code", "3")];
        ends(host, &options, "flag_file", 3, |job, _| {
            fs::create_dir(job.path("done")).expect("the folder takes folders");
            set(job, "done/a.flag", "");
        });
    });
}

#[test]
fn one_of_several_flags_or_all_of_them() {
    each_real_host("any and all flags", |host| {
        let options = [("flag_file", "{dir}/one, {dir}/two")];
        ends(host, &options, "flag_file", 0, |job, _| set(job, "two", ""));

        let mut job = Job::new(host);
        let flags = format!("{}, {}", job.path("one"), job.path("two-*"));
        job.exit(&[
            ("flag_file", flags.as_str()),
            ("flag_mode", "all"),
            ("exit_code", "trigger"),
        ]);
        let mut running = job.start();
        set(&job, "one", "2");
        job.goes_on(&mut running);
        job.write();
        set(&job, "two-b", "1");
        job.check(&running.end(), "flag_file", 2);
    });
}

/// A file that is made once the clock of files is past `older`.
fn younger(job: &Job, name: &str, older: &str) {
    let times = |name: &str| -> Option<(SystemTime, SystemTime)> {
        let meta = fs::metadata(job.path(name)).ok()?;
        let modified = meta.modified().ok()?;
        Some((meta.created().unwrap_or(modified), modified))
    };
    let (made, written) = times(older).expect("it is there");
    let is_younger = wait_until(DEADLINE, || {
        // Absent the first time.
        let _ = fs::remove_file(job.path(name));
        set(job, name, "");
        times(name).filter(|(birth, _)| *birth > made.max(written))
    });
    assert!(is_younger.is_some(), "times of files stand still");
}

/// A flag that is there at the start, older than the pod.
fn stale(host: &Host, policy: &str) -> (Job, Running) {
    let mut job = Job::new(host);
    set(&job, "flag", "4");
    younger(&job, "pod", "flag");
    let (flag, pod) = (job.path("flag"), job.path("pod"));
    job.exit(&[
        ("flag_file", flag.as_str()),
        ("flag_stale", policy),
        ("pod_start_file", pod.as_str()),
        ("exit_code", "trigger"),
    ]);
    let running = job.pipeline.start();
    (job, running)
}

#[test]
fn a_stale_flag_is_ignored_until_it_changes() {
    each_real_host("stale flag, ignored", |host| {
        let (mut job, mut running) = stale(host, "ignore");
        running.wait_for("the ignored flag", |out| out.stderr().contains("ignored"));
        job.goes_on(&mut running);
        set(&job, "flag", "5");
        job.check(&running.end(), "flag_file", 5);
    });
}

#[test]
fn a_stale_flag_is_removed_and_may_come_again() {
    each_real_host("stale flag, removed", |host| {
        let (mut job, mut running) = stale(host, "remove");
        let flag = job.path("flag");
        running.wait_for("the removal", |_| !Path::new(&flag).exists());
        job.goes_on(&mut running);
        set(&job, "flag", "6");
        job.check(&running.end(), "flag_file", 6);
    });
}

#[test]
fn a_stale_flag_is_honoured() {
    each_real_host("stale flag, honoured", |host| {
        let (job, running) = stale(host, "honour");
        job.check(&running.end(), "flag_file", 4);
    });
}

#[test]
fn a_flag_in_a_pod_of_unknown_age_is_honoured() {
    each_real_host("flag, unknown age", |host| {
        let mut job = Job::new(host);
        set(&job, "flag", "");
        job.write();
        let (flag, pod) = (job.path("flag"), job.path("no-such-file"));
        job.exit(&[("flag_file", &flag), ("pod_start_file", &pod)]);
        job.check(&job.pipeline.start().end(), "flag_file", 0);
    });
}

/// The flag is older than the second start of the container, but not than the pod.
#[test]
fn a_sidecar_that_is_killed_in_its_drain_drains_again() {
    each_real_host("kill -9 after the flag, and a new start", |host| {
        let destination = Destination::new(Mood::Shut);
        let mut pipeline = Pipeline::new(host);
        let log = pipeline.file("app.log", "one\ntwo\n");
        let (pod, flag) = (pipeline.file("pod", ""), pipeline.path("flag"));
        let (db, report) = (pipeline.path("state.db"), pipeline.path("report"));
        let mut options = destination.options();
        options.push(("retry_limit", "no_limits".to_owned()));
        let exit = [
            ("flag_file", flag.as_str()),
            ("pod_start_file", pod.as_str()),
            ("exit_code", "trigger"),
            ("report_file", report.as_str()),
        ];
        pipeline
            .input("sidecar_tail", &[("path", &log), ("db", &db)])
            .output("http", "*", &options)
            .output("completion_exit", "*", &exit);
        let mut first = pipeline.start();
        let refused = wait_until(DEADLINE, || (destination.refused() > 0).then_some(()));
        assert!(refused.is_some(), "{}", first.output());
        fs::write(&flag, "3").expect("the folder takes files");
        first.wait_for("the drain", |out| out.stderr().contains("draining"));
        first.signal(Signal::KILL);
        assert_eq!(first.end().status, None);
        destination.open();
        let ended = pipeline.run();
        ended.check_status(3);
        let lines = destination.lines();
        let once = lines.len() == 2 && lines.values().all(|count| *count == 1);
        ended.check(&format!("every line once: {lines:?}"), once);
        let text = fs::read_to_string(&report).unwrap_or_default();
        let report: Json = serde_json::from_str(&text).unwrap_or_default();
        ended.check(&format!("{report}"), report["complete"] == true);
    });
}

#[test]
fn sigterm_keeps_its_status() {
    each_real_host("SIGTERM", |host| {
        ends(host, &[("exit_code", "5")], "sigterm", 5, |_, running| {
            running.signal(Signal::TERM);
        });
    });
}

/// The host puts its own handlers back on SIGCONT.
#[test]
fn sigterm_is_taken_back_after_sigcont() {
    each_real_host("SIGCONT, then SIGTERM", |host| {
        let mut job = Job::new(host);
        job.exit(&[("exit_code", "5")]);
        let mut running = job.start();
        let asleep = wait_until(DEADLINE, || running.main_thread_sleeps().then_some(()));
        assert!(asleep.is_some(), "{}", running.output());
        running.signal(Signal::CONT);
        job.goes_on(&mut running);
        job.write();
        running.signal(Signal::TERM);
        job.check(&running.end(), "sigterm", 5);
    });
}

/// The host puts its own handlers back on SIGHUP, too, and then does not look for signals until
/// the reload is over.
#[test]
fn sigterm_right_behind_sighup_is_not_lost() {
    each_real_host_where(
        "SIGHUP, then SIGTERM",
        |host| host.since(2, 2, 0),
        |host| {
            let mut job = Job::new(host);
            let service = "[SERVICE]\n    hot_reload on\n";
            let service = job.pipeline.file("service.conf", service);
            job.pipeline.arg("-c").arg(service).arg("-Y");
            job.exit(&[("exit_code", "5")]);
            let running = job.start();
            let asleep = wait_until(DEADLINE, || running.main_thread_sleeps().then_some(()));
            assert!(asleep.is_some(), "{}", running.output());
            running.signal(Signal::HUP);
            running.signal(Signal::TERM);
            let ended = running.end();
            ended.check_status(5);
            // Both instances hear of it, the new one drains.
            let report = job.report();
            ended.check(&format!("{report}"), report["trigger"] == "sigterm");
            ended.check("complete", report["complete"] == true);
        },
    );
}

#[test]
fn sigterm_waits_for_the_flag_if_it_is_told_to() {
    each_real_host("sigterm_wait", |host| {
        let mut job = Job::new(host);
        let flag = job.path("flag");
        job.exit(&[
            ("flag_file", flag.as_str()),
            ("sigterm_wait", "20"),
            ("exit_code", "trigger"),
        ]);
        let mut running = job.start();
        running.signal(Signal::TERM);
        running.wait_for("the signal", |out| out.stderr().contains("reading on"));
        job.goes_on(&mut running);
        job.write();
        set(&job, "flag", "8");
        job.check(&running.end(), "sigterm+flag_file", 8);
    });
}

#[test]
fn a_native_sidecar_waits_for_nobody_at_sigterm() {
    each_real_host("SIGTERM of a native sidecar", |host| {
        for native in ["0", "1"] {
            let mut job = Job::new(host);
            job.exit(&[("deadline", "10")]);
            job.pipeline.env("FLB_SIDECAR_NATIVE", native);
            let running = job.start();
            // Its main container has written to the end, just now.
            job.write();
            running.signal(Signal::TERM);
            let ended = running.end();
            job.check(&ended, "sigterm", 0);
            let waited = ended.stderr.contains("reading on");
            ended.check("whether it reads on", waited == (native == "0"));
        }
    });
}

/// Beside its own, an instance knows the files of the others in its configuration.
#[test]
fn no_instance_takes_the_file_of_another_one() {
    each_real_host("files of two instances", |host| {
        for named in ["report_file", "flag_file"] {
            let mut pipeline = Pipeline::new(host);
            let log = pipeline.file("logs/app.log", "one\n");
            let (first, flag) = (pipeline.path("logs/flag"), pipeline.path("logs/done"));
            let second = pipeline.path("logs/../logs/flag");
            let options = [("flag_file", &flag), ("report_file", &first)];
            pipeline
                .input("sidecar_tail", &[("path", &log)])
                .output("completion_exit", "_none", &options)
                .output("completion_exit", "_none", &[(named, &second)]);
            let ended = pipeline.run();
            ended.check_refused(host, &format!("'{named}'"));
            ended.check("whose it is", ended.stderr.contains("completion_exit.0"));
        }
    });
}

/// SIGTERM that was left to the host, and one behind another before a drain has begun.
#[test]
fn a_host_that_stops_without_a_drain_leaves_a_report() {
    each_real_host("stopped without a drain", |host| {
        for (option, value, signals) in [("sigterm", "off", 1), ("sigterm_wait", "10", 6)] {
            let mut job = Job::new(host);
            let flag = job.path("flag");
            job.exit(&[("flag_file", flag.as_str()), (option, value)]);
            job.write();
            let mut running = job.start();
            for signal in 0..signals {
                running.signal(Signal::TERM);
                if signal == 0 && signals > 1 {
                    running.wait_for("the first one", |out| out.stderr().contains("reading on"));
                }
            }
            let ended = running.end();
            let report = job.report();
            let what = format!("stopped, {option} {value}: {report}");
            ended.check(&what, report["ended_by"] == "stopped");
            ended.check(&what, report["complete"] != true);
        }
    });
}

#[test]
fn the_second_sigterm_goes_to_the_host() {
    each_real_host("second SIGTERM", |host| {
        let nowhere = Destination::new(Mood::Gone);
        let mut pipeline = Pipeline::new(host);
        let log = pipeline.file("app.log", "line\n");
        let mut options = nowhere.options();
        options.push(("retry_limit", "no_limits".to_owned()));
        let report = pipeline.path("report");
        pipeline
            .input("sidecar_tail", &[("path", &log)])
            .output("http", "*", &options)
            .output("completion_exit", "*", &[("report_file", &report)]);
        let mut running = pipeline.start();
        running.wait_for("a failure", |out| out.stderr().contains("retry"));
        running.signal(Signal::TERM);
        running.wait_for("the drain", |out| out.stderr().contains("draining"));
        running.signal(Signal::TERM);
        let ended = running.end();
        let text = fs::read_to_string(&report).unwrap_or_default();
        let report: Json = serde_json::from_str(&text).unwrap_or_default();
        ended.check_status(0);
        ended.check(
            &format!("stopped; {report}"),
            report["ended_by"] == "stopped",
        );
        ended.check("no status of ours", report["status"].is_null());
        ended.check("not complete", report["complete"] == false);
    });
}

/// From the exit to the end of the process there is up to a second. A host since 4.2 that is told
/// to stop once more in it waits for ever: for a shutdown timer that it has forgotten.
#[test]
fn signals_behind_the_exit_change_nothing() {
    each_real_host("signals behind the exit", |host| {
        for signals in [
            [Signal::HUP, Signal::HUP],
            [Signal::TERM, Signal::TERM],
            [Signal::TERM, Signal::HUP],
        ] {
            for options in [&[][..], &[("sigterm", "off")]] {
                let mut job = Job::new(host);
                if host.since(2, 1, 0) {
                    let service = "[SERVICE]\n    hot_reload on\n";
                    let service = job.pipeline.file("service.conf", service);
                    job.pipeline.arg("-c").arg(service).arg("-Y");
                }
                let flag = job.path("flag");
                let mut all = vec![("flag_file", flag.as_str()), ("exit_code", "5")];
                all.extend(options);
                job.exit(&all);
                job.write();
                let mut running = job.start();
                let asleep = wait_until(DEADLINE, || running.main_thread_sleeps().then_some(()));
                assert!(asleep.is_some(), "{}", running.output());
                set(&job, "flag", "");
                running.wait_for("the engine's end to begin", |out| {
                    out.stderr().contains("service will ")
                });
                for signal in signals {
                    running.signal(signal);
                }
                job.check(&running.end(), "flag_file", 5);
            }
        }
    });
}

/// A container that is paused over its deadline, while it reads on after SIGTERM: the guard ends it when it
/// goes on, and knows what had been seen.
#[test]
fn a_container_that_was_paused_over_its_deadline_says_what_it_had_seen() {
    each_real_host("paused over the deadline", |host| {
        let mut job = Job::new(host);
        let deadline = std::time::Duration::from_secs(4);
        let options = [
            ("deadline", "4"),
            ("loss_exit_code", "9"),
            ("sigterm_wait", "3"),
        ];
        job.exit(&options);
        let mut running = job.start();
        job.goes_on(&mut running);
        let Some(freezer) = Freezer::new(running.id()) else {
            return say(&format!(
                "SKIPPED a paused container: {host}: no process can be frozen here"
            ));
        };
        running.signal(Signal::TERM);
        running.wait_for("the signal to be seen", |out| {
            out.stderr().contains("reading on")
        });
        job.goes_on(&mut running);
        freezer.freeze();
        // Time has to pass, that is all.
        std::thread::sleep(deadline);
        freezer.thaw();
        let ended = running.end();
        ended.check_status(9);
        let report = job.report();
        ended.check(&report.to_string(), report["trigger"] == "sigterm");
        let known = report["complete"] == false && report["records"]["in"] == 2;
        ended.check(&report.to_string(), known);
    });
}

/// It is said at the start, not when the Job is over; and the folder may still come.
#[test]
fn a_report_without_a_folder_is_said_at_the_start() {
    each_real_host("report without a folder", |host| {
        let mut pipeline = Pipeline::new(host);
        let log = pipeline.file("logs/app.log", "one\n");
        let (report, flag) = (pipeline.path("later/report"), pipeline.path("flag"));
        let exit = [("report_file", report.as_str()), ("flag_file", &flag)];
        pipeline
            .input("sidecar_tail", &[("path", &log)])
            .print()
            .output("completion_exit", "nothing", &exit);
        let mut running = pipeline.start();
        running.wait_for("a word about it", |out| {
            let said = out.stderr();
            said.contains(&format!(
                "report_file {report}: its folder is not there yet"
            ))
        });
        fs::create_dir(pipeline.path("later")).expect("the folder takes folders");
        fs::write(&flag, "").expect("a flag can be set");
        let ended = running.end();
        ended.check_status(0);
        let text = fs::read_to_string(&report).unwrap_or_default();
        ended.check(&text, text.contains("\"complete\":true"));
    });
}

/// A process of the main container. Killed when dropped.
struct Process(Child);

impl Process {
    fn start(program: &str) -> Self {
        let mut command = Command::new(program);
        let child = command.arg("600").stdin(Stdio::null()).spawn();
        Process(child.expect("there is sleep"))
    }

    fn end(&mut self) {
        // It may have ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.end();
    }
}

/// The start is awaited first; the end ends the Job.
fn process_ends(host: &Host, option: (&str, &str), start: impl Fn(&Job) -> Option<Process>) {
    let mut job = Job::new(host);
    let value = option.1.replace("{dir}", &job.path(""));
    job.exit(&[(option.0, value.as_str()), ("process_gone_time", "0.1")]);
    let mut running = job.start();
    job.goes_on(&mut running);
    let Some(mut main) = start(&job) else {
        return;
    };
    running.wait_for("the start", |out| out.stderr().contains("has started"));
    job.goes_on(&mut running);
    job.write();
    main.end();
    job.check(&running.end(), "process", 0);
}

#[test]
fn a_process_with_a_pid_file_ends() {
    each_real_host("PID file", |host| {
        process_ends(host, ("process_pid_file", "{dir}/pid"), |job| {
            let main = Process::start("sleep");
            set(job, "pid", &format!("{}\n", main.0.id()));
            Some(main)
        });
    });
}

#[test]
fn a_process_with_a_name_ends() {
    each_real_host("process name", |host| {
        // Its own, since other hosts run at the same time.
        let name = format!("main-{}", host.version).replace('.', "-");
        let glob = name.replace("main", "ma?n");
        process_ends(host, ("process_name", &glob), |job| {
            // A link, no copy: a file cannot be started while another thread's child still has it
            // open for writing.
            let program = job.path(&name);
            let sleep = ["/bin/sleep", "/usr/bin/sleep"].map(Path::new);
            let sleep = sleep.iter().find(|path| path.exists());
            symlink(sleep.expect("there is sleep"), &program).unwrap();
            Some(Process::start(&program))
        });
    });
}

#[test]
fn a_process_in_a_cgroup_ends() {
    /// A cgroup, removed when dropped.
    struct Group(std::path::PathBuf);
    impl Drop for Group {
        fn drop(&mut self) {
            // Its process has been waited for; a group that stays harms nobody.
            let _ = fs::remove_dir(&self.0);
        }
    }
    each_real_host("process cgroup", |host| {
        let name = format!("flb-sidecar-{}-{}", std::process::id(), host.version);
        let made = ["/sys/fs/cgroup/pids", "/sys/fs/cgroup"]
            .iter()
            .find_map(|root| {
                let path = Path::new(root).join(&name);
                fs::create_dir(&path).ok()?;
                let group = Group(path);
                group.0.join("cgroup.procs").exists().then_some(group)
            });
        let Some(group) = made else {
            return say(&format!(
                "SKIPPED process cgroup: {host}: no cgroup can be made here"
            ));
        };
        let moved = std::cell::Cell::new(false);
        process_ends(host, ("process_cgroup", &format!("*{name}*")), |_| {
            let main = Process::start("sleep");
            let procs = group.0.join("cgroup.procs");
            moved.set(fs::write(procs, main.0.id().to_string()).is_ok());
            moved.get().then_some(main)
        });
        if !moved.get() {
            say(&format!(
                "SKIPPED process cgroup: {host}: no process can be moved here"
            ));
        }
    });
}

/// The main container is killed before it writes its flag.
#[test]
fn a_fallback_ends_the_job_of_a_killed_main_container() {
    each_real_host("flag that never comes, and a fallback", |host| {
        let mut job = Job::new(host);
        let mut main = Process::start("sleep");
        set(&job, "pid", &main.0.id().to_string());
        let (flag, pid) = (job.path("flag"), job.path("pid"));
        job.exit(&[
            ("flag_file", flag.as_str()),
            ("process_pid_file", pid.as_str()),
            ("exit_code", "trigger"),
        ]);
        let mut running = job.start();
        job.goes_on(&mut running);
        job.write();
        main.end();
        job.check(&running.end(), "process", 0);
    });
}

#[test]
fn silence_ends_the_job_unless_somebody_may_still_write() {
    each_real_host("idle", |host| {
        let mut job = Job::new(host);
        job.exit(&[("idle_time", "1")]);
        let log = job.path("logs/app.log");
        let writer = OpenOptions::new().append(true).open(&log);
        let mut running = job.start();
        running.wait_for("what it relies on", |out| {
            out.stderr().contains("relies on")
        });
        job.goes_on(&mut running);
        running.wait_for("the writer", |out| {
            out.stderr().contains("app.log open for writing: waiting")
        });
        job.goes_on(&mut running);
        drop(writer);
        job.check(&running.end(), "idle", 0);
    });
}

/// Silence is about what comes: a destination that is down keeps no Job that has ended, and ends none that
/// still writes, though its log may not be read any more.
#[test]
fn silence_counts_while_nothing_can_be_delivered() {
    for reads in ["sidecar_tail", "tail"] {
        let what = format!("idle of {reads} beside a destination that is down");
        each_real_host(&what, |host| {
            let mut pipeline = Pipeline::new(host);
            let log = pipeline.file("logs/app.log", "");
            let (ready, report) = (pipeline.path("ready"), pipeline.path("report"));
            let destination = Destination::new(Mood::Shut);
            let source = [("path", &*log), ("mem_buf_limit", "50k")];
            pipeline.input(reads, &source);
            let http = pipeline.output("http", "*", &destination.options());
            http.options(&[("retry_limit", "no_limits")]);
            let exit = [
                ("idle_time", "3"),
                ("deadline", "2"),
                ("loss_exit_code", "9"),
            ];
            let files = [("ready_file", &ready), ("report_file", &report)];
            let exit = pipeline.output("completion_exit", "_none", &exit);
            exit.options(&files);
            let mut running = pipeline.start();
            running.wait_for("the ready file", |_| Path::new(&ready).exists());
            let lines = format!("{}\n", "x".repeat(99)).repeat(1000);
            append(&log, &lines);
            running.wait_for("a refused delivery", |_| destination.refused() > 0);
            // What the host's own tail may not read nobody knows of.
            if reads == "sidecar_tail" {
                write_for(&log, Duration::from_secs(5));
                let said = running.output().stderr();
                assert!(!said.contains("draining"), "{said}");
            }
            let ended = running.end();
            ended.check_status(9);
            let report = fs::read_to_string(&report).unwrap_or_default();
            let report: Json = serde_json::from_str(&report).unwrap_or_default();
            let what = format!("its trigger: {report}");
            ended.check(&what, report["trigger"] == "idle");
        });
    }
}

fn append(path: &str, lines: &str) {
    let file = OpenOptions::new().append(true).open(path);
    let written = file.and_then(|mut file| file.write_all(lines.as_bytes()));
    written.expect("the log takes lines");
}

/// A line each tenth of a second; the file is closed in between.
fn write_for(path: &str, time: Duration) {
    let begin = Instant::now();
    let mut lines = 0;
    wait_until(DEADLINE, || {
        if begin.elapsed().as_millis() / 100 > lines {
            lines += 1;
            append(path, "a line\n");
        }
        (begin.elapsed() >= time).then_some(())
    });
}

#[test]
fn the_api_says_that_the_container_has_terminated() {
    each_real_host("api_container", |host| {
        let mut job = Job::new(host);
        let api = PodApi::start(&job.pipeline);
        let mut options = api.options();
        options.push(("exit_code", "trigger".to_owned()));
        job.exit(&options);
        let mut running = job.start();
        running.wait_for("the second question", |_| api.calls() > 1);
        job.goes_on(&mut running);
        job.write();
        api.set(Main::Terminated(11));
        job.check(&running.end(), "api_container", 11);
    });
}

#[test]
fn counters_drain_first() {
    each_real_host("flush_count and record_count", |host| {
        for (option, value) in [("flush_count", "1"), ("record_count", "3")] {
            let mut job = Job::new(host);
            for _ in 0..3 {
                job.write();
            }
            job.exit(&[(option, value), ("exit_code", "6")]);
            job.check(&job.pipeline.start().end(), option, 6);
        }
    });
}

#[test]
fn time_is_counted_without_a_record() {
    each_real_host("time_count", |host| {
        let mut job = Job::new(host);
        job.exit(&[("time_count", "1"), ("exit_code", "6")]);
        job.check(&job.pipeline.start().end(), "time_count", 6);
    });
}

/// Both have drained at the same moment, and a host that is told twice to end may never do so.
#[test]
fn two_instances_with_the_same_flag_end_the_host_once() {
    each_real_host("two instances, one flag", |host| {
        let mut job = Job::new(host);
        let flag = job.path("flag");
        job.exit(&[("flag_file", flag.as_str()), ("exit_code", "trigger")]);
        let options = [("flag_file", flag.as_str()), ("exit_code", "trigger")];
        job.pipeline.output("completion_exit", "*", &options);
        let mut running = job.start();
        job.goes_on(&mut running);
        job.write();
        set(&job, "flag", "4");
        let ended = running.end();
        ended.check_status(4);
        ended.check("every line", ended.records().len() == job.written.len());
        let stops = ended.stderr.matches("service will shutdown").count();
        ended.check(&format!("{stops} stops"), stops == 1);
    });
}

#[test]
fn all_triggers_may_be_needed() {
    each_real_host("trigger_mode all", |host| {
        let mut job = Job::new(host);
        let flag = job.path("flag");
        job.exit(&[
            ("flag_file", flag.as_str()),
            ("record_count", "2"),
            ("trigger_mode", "all"),
            ("exit_code", "trigger"),
        ]);
        let mut running = job.start();
        set(&job, "flag", "9");
        job.goes_on(&mut running);
        job.write();
        job.check(&running.end(), "flag_file+record_count", 9);
    });
}

/// The C test host has no metrics, so it does not tell what was dropped.
#[test]
fn a_host_that_does_not_tell_drops_gets_no_complete_report() {
    each_test_host("report without metrics", |host| {
        let mut job = Job::new(host);
        set(&job, "flag", "");
        job.write();
        let flag = job.path("flag");
        job.exit(&[("flag_file", flag.as_str()), ("loss_exit_code", "9")]);
        let ended = job.pipeline.run();
        let report = job.report();
        ended.check_status(0);
        ended.check("the line came", json_lines(&ended.stdout).len() == 1);
        ended.check("drained", report["ended_by"] == "drained");
        ended.check(&format!("{report}"), report["complete"].is_null());
        ended.check("drops are unknown", report["records"]["dropped"].is_null());
        ended.check(
            "the start warns",
            ended.stderr.contains("does not tell what its outputs drop"),
        );
        ended.check(
            "the summary says so",
            ended.stderr.contains("drops unknown"),
        );
    });
}

/// A reload waits for every delivery before the new instances start: without the deadline a
/// destination that is down would hold the Job for ever. After a reload, hosts before 2.2.0 take
/// their exit status from memory that they have freed.
#[test]
fn a_reload_in_a_drain_that_cannot_end_keeps_the_deadline() {
    each_real_host_where(
        "reload in a drain, destination down for good",
        |host| host.since(2, 1, 0),
        |host| {
            let nowhere = Destination::new(Mood::Gone);
            let mut pipeline = Pipeline::new(host);
            let service =
                "[SERVICE]\n    hot_reload on\n    scheduler.base 1\n    scheduler.cap 2\n";
            let service = pipeline.file("service.conf", service);
            pipeline.arg("-c").arg(service).arg("-Y");
            let log = pipeline.file("app.log", "line\n");
            let (flag, report) = (pipeline.path("flag"), pipeline.path("report"));
            let mut options = nowhere.options();
            options.push(("retry_limit", "no_limits".to_owned()));
            pipeline
                .input("sidecar_tail", &[("path", &log)])
                .output("http", "*", &options)
                .output(
                    "completion_exit",
                    "*",
                    &[
                        ("flag_file", flag.as_str()),
                        ("report_file", report.as_str()),
                        ("deadline", "3"),
                        ("loss_exit_code", "9"),
                    ],
                );
            let mut running = pipeline.start();
            running.wait_for("a failure", |out| out.stderr().contains("retry"));
            let asleep = wait_until(DEADLINE, || running.main_thread_sleeps().then_some(()));
            assert!(asleep.is_some(), "{}", running.output());
            fs::write(&flag, "").expect("the folder takes files");
            running.wait_for("the drain", |out| out.stderr().contains("draining"));
            running.signal(Signal::HUP);
            let ended = running.end();
            if host.since(2, 2, 0) {
                ended.check_status(9);
            }
            let count = |text: &str| ended.stderr.matches(text).count();
            ended.check(
                "the new instance drained, too",
                count("draining, at most 3 s") == 2,
            );
            ended.check("the first stop was bounded", count("wait no longer") == 1);
            let text = fs::read_to_string(&report).unwrap_or_default();
            let report: Json = serde_json::from_str(&text).unwrap_or_default();
            ended.check(
                &format!("by deadline; {report}"),
                report["ended_by"] == "deadline",
            );
            ended.check("its status", report["status"] == 9);
        },
    );
}
