//! What files cost: calls of the filesystem, of which each is a look at a disk at worst.
//!
//! As was reported of others, which look at each file again and again (Fluent Bit issues 1843 and 4310, Beats
//! issue 1457, TimberWinR issue 56, bevry/watchr issue 22, basisjs-tools issue 8), at files that no pattern matches
//! (Loki issue 10008), at files that are done (Loki issue 5350), or at all of them whenever they write or find one
//! position (Beats issues 16076, 21174 and 33382).

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use flb_sidecar_sdk::event::RecordFormat;
use flb_sidecar_sdk::{fake::FakeHost, metrics::Metrics, Settings};

use crate::counters::Counters;
use crate::fs::simulated::{Device, SimFs};
use crate::fs::Fs;
use crate::host::queue::{Item, Purpose, Shared};
use crate::options::{Options, OPTIONS};
use crate::time::Time;
use crate::worker::{Turn, Worker};

/// More than any of these needs.
const PATIENCE: u64 = 1 << 40;

/// A worker of simulated files, and a host that takes all at once.
pub(super) struct Costs {
    pub(super) time: Time,
    pub(super) disk: SimFs,
    pub(super) worker: Worker,
    drained: bool,
}

fn disk_of(files: u64, time: &Time) -> SimFs {
    let disk = SimFs::new(time.clone(), Device::LOCAL);
    for folder in ["/logs", "/state"] {
        disk.make_folder(Path::new(folder)).unwrap();
    }
    for n in 0..files {
        append(&disk, &format!("{n}.log"), b"one\n");
    }
    // Nobody takes them to have been made just now.
    time.advance(Duration::from_secs(3600));
    disk
}

pub(super) fn append(disk: &SimFs, name: &str, text: &[u8]) {
    let path = format!("/logs/{name}");
    disk.writer(Path::new(&path)).unwrap().append(text);
}

impl Costs {
    pub(super) fn of(files: u64, options: &[(&str, &str)]) -> Self {
        let time = Time::simulated(Duration::from_secs(1_000_000_000));
        let disk = disk_of(files, &time);
        Costs::on(disk, time, options)
    }

    pub(super) fn on(disk: SimFs, time: Time, options: &[(&str, &str)]) -> Self {
        let path = ("path", "/logs/*.log,/logs/*/*.log");
        let options = [&[path], options].concat();
        let settings = Settings::new("tail", OPTIONS, options).unwrap();
        let shared = Arc::new(Shared::new(time.clone()).unwrap());
        let mut worker = Worker::new(
            Options::read(&settings, &FakeHost::default()).unwrap(),
            None,
            RecordFormat::WithMetadata,
            shared,
            Counters::new(&Metrics::default()),
            Fs::simulated(disk.clone()),
        );
        worker.files.handles = worker.files.handles.apart(100);
        disk.has_patience(PATIENCE);
        assert!(worker.take_state());
        Costs {
            time,
            disk,
            worker,
            drained: false,
        }
    }

    /// Calls since the last time.
    fn calls(&self) -> u64 {
        let calls = PATIENCE - self.disk.calls_left();
        self.disk.has_patience(PATIENCE);
        calls
    }

    pub(super) fn lines(&self) -> u64 {
        self.worker.ctx.counters.lines.get()
    }

    /// Does what there is to do, and waits for so long.
    pub(super) fn go_on(&mut self, time: Duration) {
        let end = self.time.now() + time;
        loop {
            let turn = self.worker.turn();
            let shared = &self.worker.ctx.shared;
            let mut idle = true;
            while let Some(item) = shared.pop() {
                idle = false;
                match item {
                    Item::Batch(batch) => {
                        let reaches = batch.reaches.iter();
                        let reaches = reaches.map(|r| ((r.file, r.epoch), r.offset)).collect();
                        shared.confirm(reaches);
                        shared.delivered(batch);
                    }
                    Item::DrainEnd(request) => {
                        shared.drain_ended(request);
                        self.drained = true;
                    }
                    Item::FileEnd(_) => {}
                }
            }
            let now = self.time.now();
            if let Turn::Until(next) = turn {
                if now >= end {
                    return;
                }
                if idle {
                    let next = next.max(now + Duration::from_millis(1)).min(end);
                    self.time.advance(next - now);
                }
            }
        }
    }

    fn drain(&mut self) {
        let shared = &self.worker.ctx.shared;
        shared.start_drain(Duration::from_secs(60), Purpose::Completion);
        for _ in 0..600 {
            if self.drained {
                return;
            }
            self.go_on(Duration::from_millis(100));
        }
        panic!("the drain does not end");
    }
}

#[test]
fn a_drain_asks_little_about_each_file_that_waits() {
    const FILES: u64 = 2000;
    let mut costs = Costs::of(FILES, &[("max_files", "200")]);
    costs.drain();
    assert_eq!(costs.lines(), FILES);
    // Asked about when it is found; opened, asked once more, read (closing is no call here). The first ones are
    // read in their turn, looked at again for the drain, and opened again for that. What else is asked is about
    // folders.
    let calls = costs.calls();
    assert!(
        calls <= 5 * FILES,
        "{calls} calls for {FILES} files of a drain"
    );
    // Nobody is asked about what the kernel would tell while the host comes to its end.
    costs.go_on(Duration::from_secs(5));
    let calls = costs.calls();
    assert!(calls <= FILES, "{calls} calls behind a drain");
}

#[test]
fn what_is_written_behind_its_end_in_a_drain_is_read() {
    for room in [16_384, 1] {
        let mut costs = Costs::of(300, &[("max_files", "30")]);
        costs.disk.tell_at_most(room);
        costs.drain();
        assert_eq!(costs.lines(), 300);
        for n in 0..300 {
            append(&costs.disk, &format!("{n}.log"), b"two\n");
        }
        costs.go_on(Duration::from_secs(5));
        assert!(costs.lines() > 300, "with room for {room} events");
        // Others wait for a drain.
        costs.drained = false;
        costs.drain();
        assert_eq!(costs.lines(), 600, "with room for {room} events");
    }
}

#[test]
fn nothing_is_asked_about_names_that_no_pattern_matches() {
    let calls = |others: u64| {
        let mut costs = Costs::of(10, &[]);
        for n in 0..others {
            append(&costs.disk, &format!("{n}.txt"), b"one\n");
        }
        costs.go_on(Duration::from_secs(10));
        for n in 0..others {
            append(&costs.disk, &format!("{n}.txt"), b"two\n");
        }
        costs.go_on(Duration::from_secs(60));
        assert_eq!(costs.lines(), 10);
        costs.calls()
    };
    let (few, many) = (calls(10), calls(2000));
    // A name that comes may be that of a link to a folder.
    assert!(
        many <= few + 2000,
        "{few} calls beside 10, {many} beside 2000"
    );
}

#[test]
fn files_that_are_done_cost_little_however_many_there_are() {
    for db in [None, Some(("db", "/state/tail.db"))] {
        let calls = |files: u64| {
            let options: Vec<_> = db.into_iter().collect();
            let mut costs = Costs::of(files, &options);
            costs.go_on(Duration::from_secs(10));
            assert_eq!(costs.lines(), files);
            costs.calls();
            costs.go_on(Duration::from_secs(20));
            costs.calls()
        };
        // So many are looked at in one check.
        let (few, many) = (calls(1000), calls(2000));
        assert!(
            many <= few + few / 10,
            "{few} calls for 1000, {many} for 2000 ({db:?})"
        );
    }
}

#[test]
fn a_start_with_positions_asks_little_about_each_file() {
    let db = [("db", "/state/tail.db")];
    let calls = |files: u64| {
        let mut costs = Costs::of(files, &db);
        costs.go_on(Duration::from_secs(10));
        costs.worker.end();
        let Costs { time, disk, .. } = costs;
        let mut costs = Costs::on(disk, time, &db);
        costs.go_on(Duration::from_secs(5));
        assert_eq!(costs.lines(), 0);
        costs.calls()
    };
    let (few, many) = (calls(250), calls(1000));
    assert!(many <= 5 * few, "{few} calls for 250, {many} for 1000");
    // Those of the checks of these seconds included.
    assert!(many <= 15 * 1000, "{many} calls for 1000");
}
