//! Where the host's own `tail` loses or repeats lines: each row names the issues of
//! `fluent/fluent-bit` that it answers. `sidecar_tail` must deliver every line once, on every real
//! host; the newest host's `tail` plays the same script for comparison, and what it lost or
//! repeated is only said. `FLB_SIDECAR_ROW` picks the rows whose name has this text.

use std::fs;
use std::io::{Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::MetadataExt as _;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use flb_sidecar_tests::build::library_is_release;
use flb_sidecar_tests::freezer::Freezer;
use flb_sidecar_tests::host::real_hosts;
use flb_sidecar_tests::site::Site;
use flb_sidecar_tests::{each_real_host, say, wait_until, Host, Pipeline, Running, DEADLINE};
use rustix::process::Signal;

/// How long `tail` gets where `sidecar_tail` would fail the test.
const PATIENCE: Duration = Duration::from_secs(4);

/// A row of the table.
struct Row {
    case: &'static str,
    issues: &'static str,
    pattern: &'static str,
    script: fn(&mut Play),
}

/// A script being played with one input.
struct Play {
    site: Site,
    host: Host,
    input: &'static str,
    pattern: &'static str,
    running: Option<Running>,
    /// Dropped when the process has ended.
    freezer: Option<Freezer>,
    /// Their folders are needed as long as they run.
    pipelines: Vec<Pipeline>,
    /// What the script found that does not hold.
    broken: Vec<String>,
}

impl Play {
    fn new(host: &Host, input: &'static str, row: &Row) -> Self {
        Play {
            site: Site::new(),
            host: host.clone(),
            input,
            pattern: row.pattern,
            running: None,
            freezer: None,
            pipelines: Vec::new(),
            broken: Vec::new(),
        }
    }

    fn ours(&self) -> bool {
        self.input == "sidecar_tail"
    }

    fn start(&mut self) {
        let more: &[(&str, &str)] = if self.ours() {
            &[("rotate_wait", "1")]
        } else {
            &[
                ("read_from_head", "on"),
                ("refresh_interval", "1"),
                ("rotate_wait", "1"),
            ]
        };
        let mut pipeline = self.site.input(&self.host, self.input, self.pattern, more);
        self.site.deliver(&mut pipeline);
        let running = pipeline.start();
        self.freezer = Freezer::new(running.id());
        self.running = Some(running);
        self.pipelines.push(pipeline);
    }

    /// Until [`Play::awake`] nothing is read; or not for sure, where no process can be frozen.
    fn asleep(&self) {
        match &self.freezer {
            Some(freezer) => freezer.freeze(),
            None => say("SKIPPED holding the host still: no control groups, or not root"),
        }
    }

    fn awake(&self) {
        if let Some(freezer) = &self.freezer {
            freezer.thaw();
        }
    }

    /// Ends the host in order.
    fn stop(&mut self) {
        if let Some(running) = self.running.take() {
            running.terminate();
            self.freezer = None;
        }
    }

    /// Every line comes.
    fn all_come(&mut self) {
        let deadline = if self.ours() { DEADLINE } else { PATIENCE };
        let site = &self.site;
        let all = wait_until(deadline, || site.all_delivered().then_some(()));
        if all.is_none() {
            self.broken.push("lines did not come".to_owned());
        }
    }

    /// Starts with some lines, which come.
    fn begin(&mut self) {
        self.site.write("app.log", 50);
        self.start();
        self.all_come();
    }

    /// The same, and then nobody reads: the position is kept.
    fn begin_and_stop(&mut self) {
        self.begin();
        if self.ours() {
            let site = &self.site;
            wait_until(DEADLINE, || site.all_saved("app.log").then_some(()));
        }
        self.stop();
    }

    /// What a log rotation does by renaming.
    fn rename(&self, to: &str) {
        let moved = fs::rename(self.site.log("app.log"), self.site.log(to));
        moved.expect("a log can be renamed");
    }

    /// What a log rotation does with `copytruncate`.
    fn copy_and_truncate(&self, to: &str) {
        let log = self.site.log("app.log");
        fs::copy(&log, self.site.log(to)).expect("a log can be copied");
        fs::OpenOptions::new()
            .write(true)
            .truncate(true)
            .open(&log)
            .expect("a log can be truncated");
    }

    /// Replaces the log by a new one of the same inode, if the filesystem gives it again.
    fn reuse_inode(&mut self, count: usize) {
        let log = self.site.log("app.log");
        let inode = |path: &str| fs::metadata(path).expect("the log is there").ino();
        let old = inode(&log);
        fs::remove_file(&log).expect("a log can be deleted");
        let text = self.site.lines(count);
        // Other names take what the filesystem would rather give.
        let reused = (0..200).any(|n| {
            self.site.write_text("app.log", "");
            let same = inode(&log) == old;
            if !same {
                let _ = fs::rename(&log, self.site.path(&format!("storage/{n}")));
            }
            same
        });
        if !reused && self.ours() {
            say(&format!(
                "SKIPPED the reuse of an inode: {log} gets none again"
            ));
        }
        self.site.write_text("app.log", &text);
    }

    /// Ends the play: what was lost and what came twice.
    fn end(mut self) -> String {
        self.all_come();
        let output = self
            .running
            .as_ref()
            .map(|running| running.output().stderr());
        self.stop();
        let (lost, repeated) = self.site.faults();
        let mut faults = self.broken;
        if !lost.is_empty() {
            faults.push(format!(
                "lost {} of {} lines",
                lost.len(),
                self.site.written()
            ));
        }
        if !repeated.is_empty() {
            faults.push(format!("repeated {} lines", repeated.len()));
        }
        if !faults.is_empty() && self.input == "sidecar_tail" {
            faults.extend(output);
        }
        faults.join(", ")
    }
}

const ROWS: &[Row] = &[
    Row {
        case: "renamed with unread bytes",
        issues: "#1108 #2110",
        pattern: "app.log",
        script: |play| {
            play.begin();
            play.asleep();
            let mut old = play.site.open("app.log");
            play.site.write("app.log", 500);
            play.rename("app.log.1");
            let text = play.site.lines(50);
            old.write_all(text.as_bytes()).expect("a writer goes on");
            play.site.write("app.log", 50);
            play.awake();
        },
    },
    Row {
        case: "renamed to a name that the pattern matches",
        issues: "#1145 #5024",
        pattern: "app.log*",
        script: |play| {
            play.begin();
            for generation in 1..4 {
                play.rename(&format!("app.log.{generation}"));
                play.site.write("app.log", 50);
                play.all_come();
            }
        },
    },
    Row {
        case: "copied and truncated with unread bytes",
        issues: "#9580",
        pattern: "app.log",
        script: |play| {
            play.begin();
            play.asleep();
            play.site.write("app.log", 500);
            play.copy_and_truncate("app.log.1");
            play.site.write("app.log", 50);
            play.awake();
        },
    },
    Row {
        case: "copied and truncated, and the pattern matches the copy",
        issues: "#9580 #1145",
        pattern: "app.log*",
        script: |play| {
            play.begin();
            play.asleep();
            play.site.write("app.log", 500);
            play.copy_and_truncate("app.log.1");
            play.site.write("app.log", 50);
            play.awake();
        },
    },
    Row {
        case: "deleted and made anew under the same name",
        issues: "#4895",
        pattern: "app.log",
        script: |play| {
            play.begin();
            play.asleep();
            play.site.write("app.log", 50);
            fs::remove_file(play.site.log("app.log")).expect("a log can be deleted");
            play.site.write("app.log", 80);
            play.awake();
        },
    },
    Row {
        case: "an inode used again while nobody read",
        issues: "#1875 #8025 #11455",
        pattern: "app.log",
        script: |play| {
            play.begin_and_stop();
            play.reuse_inode(80);
            play.start();
        },
    },
    Row {
        case: "deleted while unread",
        issues: "#10319",
        pattern: "app.log",
        script: |play| {
            play.begin();
            play.asleep();
            play.site.write("app.log", 20_000);
            fs::remove_file(play.site.log("app.log")).expect("a log can be deleted");
            play.awake();
        },
    },
    Row {
        case: "renamed while nobody read, out of the pattern",
        issues: "#5024 #8025",
        pattern: "app.log",
        script: |play| {
            play.begin_and_stop();
            play.site.write("app.log", 50);
            play.rename("app.log.1");
            play.site.write("app.log", 50);
            play.start();
        },
    },
    Row {
        case: "renamed while nobody read, inside the pattern",
        issues: "#1330 #5024",
        pattern: "app.log*",
        script: |play| {
            play.begin_and_stop();
            play.site.write("app.log", 50);
            play.rename("app.log.1");
            play.site.write("app.log", 50);
            play.start();
        },
    },
    Row {
        case: "a last line without a newline, at a rotation and at a stop",
        issues: "#11265",
        pattern: "app.log",
        script: |play| {
            play.site.write("app.log", 50);
            let text = play.site.lines(1);
            play.site.write_text("app.log", text.trim_end());
            play.start();
            wait_until(DEADLINE, || {
                (play.site.delivered().len() >= 50).then_some(())
            });
            play.rename("app.log.1");
            play.site.write("app.log", 50);
            play.all_come();
            let text = play.site.lines(1);
            let (head, rest) = text.split_at(text.len() / 2);
            play.site.write_text("app.log", head);
            play.stop();
            // The line goes on while nobody reads: it must come whole.
            play.site.write_text("app.log", rest);
            play.start();
        },
    },
    Row {
        case: "NUL bytes at the head and inside",
        issues: "#3117",
        pattern: "app.log",
        script: |play| {
            let text = play.site.lines(500);
            fs::write(play.site.log("app.log"), &text).expect("a log takes text");
            play.start();
            play.all_come();
            // A writer that does not append goes on where it was.
            let mut writer = fs::OpenOptions::new()
                .write(true)
                .open(play.site.log("app.log"))
                .expect("the log is there");
            writer.set_len(0).expect("a log can be truncated");
            writer
                .seek(SeekFrom::Start(text.len() as u64))
                .expect("a file has offsets");
            let text = play.site.lines(50).replace("\n", "\n\0\0");
            writer
                .write_all(text.as_bytes())
                .and_then(|()| writer.write_all(b"\n"))
                .expect("a writer goes on");
        },
    },
    Row {
        case: "10,000 files (2,000 with an unoptimised library)",
        issues: "#1843 #2474",
        pattern: "*.log",
        script: |play| {
            let files = if library_is_release() { 10_000 } else { 2_000 };
            for n in 0..files {
                play.site.write(&format!("{n}.log"), 1);
            }
            play.start();
            play.all_come();
            for n in 0..files {
                play.site.write(&format!("{n}.log"), 1);
            }
            play.all_come();
            let open = play.running.as_ref().map_or(0, |running| {
                let open = fs::read_dir(format!("/proc/{}/fd", running.id()));
                open.into_iter().flatten().count()
            });
            // Some are the host's own.
            if open > 512 {
                play.broken.push(format!("{open} descriptors are open"));
            }
        },
    },
    Row {
        case: "SIGTERM with unread bytes",
        issues: "#2715",
        pattern: "app.log",
        script: |play| {
            play.begin();
            play.asleep();
            play.site.write("app.log", 20_000);
            if let Some(running) = play.running.take() {
                running.signal(Signal::TERM);
                play.awake();
                running.end();
            }
        },
    },
];

fn play(host: &Host, input: &'static str, row: &Row) -> String {
    let mut play = Play::new(host, input, row);
    (row.script)(&mut play);
    play.end()
}

#[test]
fn nothing_is_lost_and_nothing_comes_twice() {
    let only = std::env::var("FLB_SIDECAR_ROW").unwrap_or_default();
    let newest = real_hosts().pop().map(|host| host.version);
    for row in ROWS.iter().filter(|row| row.case.contains(&only)) {
        let scenario = format!("{} ({})", row.case, row.issues);
        each_real_host(&scenario, |host| {
            if newest == Some(host.version) {
                let faults = play(host, "tail", row);
                let faults = if faults.is_empty() {
                    "no fault"
                } else {
                    &faults
                };
                say(&format!("{scenario}: {host}: its own tail: {faults}"));
            }
            let faults = play(host, "sidecar_tail", row);
            assert!(faults.is_empty(), "sidecar_tail: {faults}");
        });
    }
}

/// A mount that ends with the test.
struct Mount(String);

impl Drop for Mount {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

/// A folder on a FUSE filesystem: what is written below it elsewhere, the kernel here is not told.
fn fuse(from: &str, to: &str) -> Option<Mount> {
    fs::create_dir_all(to).ok()?;
    let done = Command::new("bindfs").args([from, to]).output().ok()?;
    done.status.success().then(|| Mount(to.to_owned()))
}

#[test]
fn folders_on_fuse_are_polled() {
    const SCENARIO: &str = "a folder on FUSE (#3111 #10276)";
    let skipped = AtomicBool::new(false);
    each_real_host(SCENARIO, |host| {
        let mut site = Site::new();
        let Some(_mount) = fuse(&site.path("log"), &site.path("fuse")) else {
            skipped.store(true, Ordering::Relaxed);
            return;
        };
        site.write("app.log", 50);
        let mut pipeline = site.input(host, "sidecar_tail", "../fuse/*.log", &[]);
        site.deliver(&mut pipeline);
        let mut running = pipeline.start();
        running.wait_for("what was there", |_| site.all_delivered());
        // Behind the back of the filesystem that is read.
        site.write("app.log", 50);
        running.wait_for("what was appended elsewhere", |_| site.all_delivered());
        site.write("new.log", 50);
        running.wait_for("a file made elsewhere", |_| site.all_delivered());
        fs::rename(site.log("app.log"), site.log("old")).expect("a log can be renamed");
        site.write("app.log", 50);
        running.wait_for("what came after a rotation", |_| site.all_delivered());
        let text = site.lines(3);
        fs::write(site.log("app.log"), text).expect("a log can be rewritten");
        running.wait_for("what came after a truncation", |_| site.all_delivered());
        let ended = running.terminate();
        ended.check("it says so", ended.output().contains("network filesystem"));
        let (_, repeated) = site.faults();
        ended.check(&format!("repeated: {repeated:?}"), repeated.is_empty());
    });
    if skipped.into_inner() {
        say(&format!("SKIPPED {SCENARIO}: bindfs cannot mount here"));
    }
}
