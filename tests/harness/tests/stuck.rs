//! A destination that is stuck does not keep a Job: on every real host the process is gone one
//! second after the deadline at most, with the right status and report, and no line counts as
//! delivered. All ways to be stuck with all outputs: `make soak-stuck`.

use std::fs::{self, OpenOptions};
use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::process::{Command, Stdio};
use std::time::Duration;

use flb_sidecar_tests::port::free_port;
use flb_sidecar_tests::stuck::{Play, Trigger, Way};
use flb_sidecar_tests::{each_real_host, say, side_by_side, wait_until, Pipeline, DEADLINE};

#[test]
fn a_stuck_destination_does_not_keep_the_process() {
    each_real_host("stuck destinations", |host| {
        let play = |output, way, workers, trigger| Play {
            way,
            output,
            workers,
            trigger,
            deadline: Duration::from_secs(3),
        };
        let plays = [
            play("http", Way::Silent, 1, Trigger::Flag),
            play("forward", Way::Silent, 2, Trigger::Sigterm),
            play("tcp", Way::Full, 0, Trigger::Twice),
            play("http", Way::Drip, 2, Trigger::Sigint),
            play("http", Way::HalfAnswer, 1, Trigger::AtOnce),
            play("http", Way::Reads, 2, Trigger::Left),
        ];
        side_by_side(plays, |play| {
            let outcome = play.run(host);
            let mut faults = outcome.faults(&play);
            // The machine may be busy: how late it is, is for the soak; a hang is a hang.
            faults.retain(|fault| !fault.ends_with("late"));
            assert!(faults.is_empty(), "{play}: {faults:?}\n{}", outcome.said);
        });
    });
}

/// Whoever read the log has hung, and the pipe is full: every line from now on waits for ever.
#[test]
fn a_log_that_nobody_reads_does_not_keep_the_process() {
    each_real_host("a log that nobody reads", |host| {
        let silent = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let port = silent
            .local_addr()
            .expect("a bound socket")
            .port()
            .to_string();
        let mut pipeline = Pipeline::new(host);
        let log = pipeline.file("logs/app.log", "one\ntwo\n");
        let (report, ready) = (pipeline.path("report"), pipeline.path("ready"));
        let healthy = pipeline.path("healthy");
        let http = [
            ("host", "127.0.0.1"),
            ("port", &port),
            ("retry_limit", "no_limits"),
        ];
        let end = [
            ("report_file", report.as_str()),
            ("ready_file", &ready),
            ("healthy_file", &healthy),
            ("deadline", "3"),
            ("loss_exit_code", "9"),
            ("sigterm_wait", "0"),
        ];
        pipeline
            .input("sidecar_tail", &[("path", &log)])
            .output("http", "*", &http)
            .output("completion_exit", "nothing", &end);
        let (mut reader, writer) = std::io::pipe().expect("a pipe");
        // A handle of its own: the host's stays one that waits.
        let mut filler = OpenOptions::new()
            .write(true)
            .custom_flags(rustix::fs::OFlags::NONBLOCK.bits().cast_signed())
            .open(format!("/proc/self/fd/{}", writer.as_raw_fd()))
            .expect("the pipe opens");
        let mut child = pipeline
            .command()
            .stdout(Stdio::null())
            .stderr(writer)
            .spawn()
            .expect("the host starts");
        let is_ready = || fs::metadata(&ready).and(fs::metadata(&healthy)).ok();
        wait_until(Duration::from_secs(60), is_ready).expect("the host is ready");
        while filler.write(&[b'x'; 512]).is_ok() {}
        let pid = rustix::process::Pid::from_child(&child);
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).expect("it lives");
        let ended = wait_until(Duration::from_secs(30), || child.try_wait().ok().flatten());
        if ended.is_none() {
            let _ = child.kill();
            let _ = child.wait();
        }
        assert_eq!(ended.and_then(|ended| ended.code()), Some(9), "{host}");
        let text = fs::read_to_string(&report).expect("a report");
        assert!(text.contains("\"complete\":false"), "{text}");
        for sign in [&ready, &healthy] {
            assert!(
                fs::symlink_metadata(sign).is_err(),
                "{host}: {sign} is there"
            );
        }
        drop(filler);
        let mut said = Vec::new();
        let _ = reader.read_to_end(&mut said);
    });
}

/// A filesystem of its own that can be frozen, as a disk that hangs. Thawed and gone when dropped.
struct Disk(String);

impl Disk {
    fn run(program: &str, arguments: &[&str]) -> bool {
        let mut command = Command::new(program);
        command
            .args(arguments)
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        command.status().is_ok_and(|status| status.success())
    }

    /// `None`: not allowed here.
    fn new(pipeline: &Pipeline) -> Option<Self> {
        let (image, place) = (pipeline.path("disk.img"), pipeline.path("disk"));
        let file = fs::File::create(&image).expect("the folder takes files");
        file.set_len(64 << 20).expect("there is room");
        fs::create_dir(&place).expect("the folder takes folders");
        let made = Disk::run("mkfs.ext4", &["-q", "-F", &image])
            && Disk::run("mount", &["-o", "loop", &image, &place]);
        if !made {
            return None;
        }
        let disk = Disk(place);
        (disk.freeze() && disk.thaw()).then_some(disk)
    }

    fn freeze(&self) -> bool {
        Disk::run("fsfreeze", &["--freeze", &self.0])
    }

    fn thaw(&self) -> bool {
        Disk::run("fsfreeze", &["--unfreeze", &self.0])
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        self.thaw();
        Disk::run("umount", &["--lazy", &self.0]);
    }
}

/// The kernel keeps a process for as long as one of its threads waits for the disk, whatever kills it.
/// But nothing of ours waits for that thread: all others are gone, and its end is ours.
#[test]
fn a_disk_that_hangs_over_the_deadline_keeps_nothing_but_the_thread_that_waits_for_it() {
    each_real_host("a disk that hangs", |host| {
        let mut pipeline = Pipeline::new(host);
        let Some(disk) = Disk::new(&pipeline) else {
            say(&format!(
                "SKIPPED a disk that hangs: {host}: no filesystem can be mounted and frozen here"
            ));
            return;
        };
        let storage = format!("[SERVICE]\n    storage.path {}/storage\n", disk.0);
        let service = pipeline.file("service.conf", storage);
        let log = pipeline.file("logs/app.log", "one\ntwo\n");
        let port = free_port().to_string();
        let input = [
            ("path", log),
            ("db", format!("{}/db", disk.0)),
            ("storage.type", "filesystem".to_owned()),
        ];
        let http = [
            ("host", "127.0.0.1"),
            ("port", &port),
            ("retry_limit", "no_limits"),
        ];
        let end = [
            ("report_file", format!("{}/report", disk.0)),
            ("flag_file", pipeline.path("flag")),
            ("deadline", "3".to_owned()),
            ("loss_exit_code", "9".to_owned()),
        ];
        pipeline.arg("-c").arg(service);
        pipeline
            .input("sidecar_tail", &input)
            .output("http", "*", &http)
            .output("completion_exit", "nothing", &end);
        let mut running = pipeline.start();
        running.wait_for("a failed delivery", |out| out.stderr().contains("retry in"));
        fs::write(pipeline.path("flag"), "").expect("a flag can be set");
        running.wait_for("the drain", |out| out.stderr().contains("draining"));
        assert!(disk.freeze());
        // Only the kernel still knows it.
        let stat = format!("/proc/{}/stat", running.id());
        let gone = wait_until(DEADLINE, || {
            let text = fs::read_to_string(&stat).unwrap_or_default();
            text.rsplit(") ").next()?.starts_with('Z').then_some(())
        });
        assert!(disk.thaw());
        assert!(gone.is_some(), "{}", running.output());
        running.end().check_status(9);
    });
}
