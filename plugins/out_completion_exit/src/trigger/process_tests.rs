use super::*;
use std::fs;

const OWN: u32 = 77;

/// A made-up `/proc`.
struct Proc {
    dir: tempfile::TempDir,
}

impl Proc {
    fn new() -> Self {
        let proc = Proc {
            dir: tempfile::tempdir().unwrap(),
        };
        proc.run(OWN, "fluent-bit", "/fluent-bit", 1, "/pod/sidecar");
        proc
    }

    fn path(&self) -> &Path {
        self.dir.path()
    }

    fn run(&self, pid: u32, comm: &str, program: &str, start: u64, cgroup: &str) {
        let folder = self.path().join(pid.to_string());
        fs::create_dir_all(&folder).unwrap();
        self.state(pid, comm, 'S', start);
        fs::write(folder.join("comm"), format!("{comm}\n")).unwrap();
        fs::write(folder.join("cmdline"), format!("{program}\0-x\0")).unwrap();
        fs::write(folder.join("cgroup"), format!("0::{cgroup}\n")).unwrap();
    }

    fn state(&self, pid: u32, comm: &str, state: char, start: u64) {
        let line = format!("{pid} ({comm}) {state} {} {start} 0 0", ["0"; 18].join(" "));
        fs::write(self.path().join(pid.to_string()).join("stat"), line).unwrap();
    }

    fn end(&self, pid: u32) {
        fs::remove_dir_all(self.path().join(pid.to_string())).unwrap();
    }

    fn watch(&self, config: &ProcessConfig, now: Instant) -> Processes {
        Processes::new(config, self.path(), OWN, now)
    }
}

fn config() -> ProcessConfig {
    ProcessConfig {
        pid_files: Vec::new(),
        names: Vec::new(),
        cgroups: Vec::new(),
        start_timeout: None,
        gone_time: Duration::ZERO,
    }
}

fn names(pattern: &str) -> ProcessConfig {
    ProcessConfig {
        names: vec![Pattern::new(pattern).unwrap()],
        ..config()
    }
}

#[test]
fn a_name_is_the_kernels_or_that_of_the_program() {
    for (pattern, comm, program) in [
        ("main-a", "main-a", "python3"),
        ("main-b*", "python3", "/usr/bin/main-b-long-name"),
        ("we(ird) n", "we(ird) n", "x"),
    ] {
        let proc = Proc::new();
        let now = Instant::now();
        let mut watch = proc.watch(&names(pattern), now);
        assert_eq!(watch.look(now), None, "a start is awaited");
        proc.run(5, comm, program, 10, "/pod/main");
        assert_eq!(watch.look(now), None);
        proc.end(5);
        let fired = watch.look(now).unwrap();
        assert!(fired.reason.contains(pattern), "{fired}");
    }
}

#[test]
fn a_zombie_has_ended() {
    let proc = Proc::new();
    let now = Instant::now();
    let mut watch = proc.watch(&names("zombie-main"), now);
    proc.run(5, "zombie-main", "x", 10, "/");
    assert_eq!(watch.look(now), None);
    proc.state(5, "zombie-main", 'Z', 10);
    assert!(watch.look(now).is_some());
}

#[test]
fn every_matching_process_must_end_and_stay_away() {
    let proc = Proc::new();
    let now = Instant::now();
    let mut watch = proc.watch(
        &ProcessConfig {
            gone_time: Duration::from_secs(2),
            ..names("several-mains")
        },
        now,
    );
    proc.run(5, "several-mains", "x", 10, "/");
    proc.run(6, "several-mains", "x", 11, "/");
    assert_eq!(watch.look(now), None);
    proc.end(5);
    assert_eq!(watch.look(now), None);
    assert_eq!(watch.next_look(now), None);
    proc.end(6);
    assert_eq!(watch.look(now), None);
    let second = Duration::from_secs(1);
    assert_eq!(watch.next_look(now + second), Some(second));
    proc.run(7, "several-mains", "x", 12, "/");
    assert_eq!(watch.look(now + second), None);
    proc.end(7);
    assert_eq!(watch.look(now + second * 2), None);
    assert!(watch.look(now + second * 4).is_some());
}

#[test]
fn a_pid_file_is_followed_to_the_process_and_not_to_its_number() {
    let proc = Proc::new();
    let file = proc.path().join("main.pid");
    let config = ProcessConfig {
        pid_files: vec![file.clone()],
        ..config()
    };
    let now = Instant::now();
    let mut watch = proc.watch(&config, now);
    assert_eq!(watch.look(now), None);
    fs::write(&file, "not yet").unwrap();
    assert_eq!(watch.look(now), None);
    proc.run(9, "main", "x", 10, "/");
    fs::write(&file, "9\n").unwrap();
    assert_eq!(watch.look(now), None);
    // The daemon removes its file first and ends later.
    fs::remove_file(&file).unwrap();
    assert_eq!(watch.look(now), None);
    // Another process gets the number.
    proc.run(9, "other", "x", 99, "/");
    assert!(watch.look(now).is_some());
}

#[test]
fn a_pid_file_of_a_process_that_is_gone_has_started_and_ended() {
    let proc = Proc::new();
    let file = proc.path().join("gone.pid");
    fs::write(&file, "12345").unwrap();
    let config = ProcessConfig {
        pid_files: vec![file],
        ..config()
    };
    let now = Instant::now();
    assert!(proc.watch(&config, now).look(now).is_some());
}

#[test]
fn a_star_means_every_other_container() {
    let proc = Proc::new();
    proc.run(1, "pause", "/pause", 1, "/pod/sandbox");
    proc.run(8, "sh", "sh", 1, "/pod/sidecar");
    let config = ProcessConfig {
        cgroups: vec![Pattern::new("*").unwrap()],
        ..config()
    };
    let now = Instant::now();
    let mut watch = proc.watch(&config, now);
    assert_eq!(watch.look(now), None);
    proc.run(5, "main", "x", 10, "/pod/main");
    assert_eq!(watch.look(now), None);
    proc.end(5);
    assert!(watch.look(now).is_some());
    // After a hot reload nobody waits for its start again.
    assert!(proc.watch(&config, now).look(now).is_some());
}

#[test]
fn a_process_that_never_starts_counts_as_ended_if_so_configured() {
    let proc = Proc::new();
    let now = Instant::now();
    let limit = Duration::from_secs(60);
    let config = ProcessConfig {
        start_timeout: Some(limit),
        ..names("never-started")
    };
    let mut watch = proc.watch(&config, now);
    assert_eq!(watch.look(now + limit - Duration::from_millis(1)), None);
    assert!(watch.look(now + limit).is_some());
    let mut patient = proc.watch(&names("never-started"), now);
    assert_eq!(patient.look(now + limit * 1000), None);
}

#[test]
fn broken_entries_are_passed_over() {
    let proc = Proc::new();
    for (pid, stat) in [
        (11, ""),
        (12, "12 (x"),
        (13, "13 (x) S 1"),
        (14, "14 (x) S a b c"),
    ] {
        proc.run(pid, "broken-main", "x", 1, "/");
        fs::write(proc.path().join(pid.to_string()).join("stat"), stat).unwrap();
    }
    let now = Instant::now();
    let mut watch = proc.watch(&names("broken-main"), now);
    assert_eq!(watch.look(now), None);
}
