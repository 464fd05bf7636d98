//! Copies of truncated files that cannot be opened when they are looked for, and can be later: whoever rotates may
//! give them rights that only their owner has.

use std::path::Path;
use std::time::Duration;

use super::costs::{append, Costs};
use super::fell::{all_stand, write, PLAIN};
use super::host::Tells;
use super::schedule::{Action, Mode, Scheme, Setting, Step};

const LOG: &str = "/logs/0.log";
/// One that the patterns match, and one that they do not.
const COPIES: [&str; 2] = ["/logs/0-1.log", "/logs/0.log.1"];
/// Longer than the pause between two looks, and than a copy is held.
const LONG: Duration = Duration::from_secs(120);

/// `0.log` has the line `one`, which was read.
fn one_is_read(options: &[(&str, &str)]) -> Costs {
    let mut costs = Costs::of(1, options);
    costs.go_on(Duration::from_secs(5));
    assert_eq!(costs.lines(), 1);
    costs
}

/// A line more is copied and truncated, and another one comes; the copy cannot be opened.
fn copy_and_truncate(costs: &Costs, copy: &str) {
    append(&costs.disk, "0.log", b"two\n");
    let text = b"one\ntwo\n";
    costs.disk.writer(Path::new(copy)).unwrap().append(text);
    allow(costs, copy, false);
    costs.disk.writer(Path::new(LOG)).unwrap().set_len(0);
    append(&costs.disk, "0.log", b"three\n");
}

fn allow(costs: &Costs, path: &str, allowed: bool) {
    costs.disk.set_readable(Path::new(path), allowed).unwrap();
}

/// The next run, as if somebody had stopped the host.
fn start_again(mut costs: Costs, options: &[(&str, &str)]) -> Costs {
    costs.worker.end();
    let Costs {
        time, disk, worker, ..
    } = costs;
    drop(worker);
    Costs::on(disk, time, options)
}

#[test]
fn a_copy_that_can_be_opened_later_is_waited_for() {
    let db = [("db", "/state/tail.db")];
    for copy in COPIES {
        for options in [&[][..], &db] {
            let mut costs = one_is_read(options);
            copy_and_truncate(&costs, copy);
            costs.go_on(LONG);
            assert_eq!(costs.lines(), 2, "{copy} {options:?}");
            allow(&costs, copy, true);
            costs.go_on(LONG);
            assert_eq!(costs.lines(), 3, "{copy} {options:?}");
            assert_eq!(costs.worker.ctx.counters.lost_bytes.get(), 0);
            if options.is_empty() {
                continue;
            }
            // It is waited for no longer.
            let mut costs = start_again(costs, options);
            costs.go_on(LONG);
            assert_eq!(costs.lines(), 0, "{copy} {options:?}");
        }
    }
}

#[test]
fn a_copy_that_the_next_start_can_open_is_waited_for_until_then() {
    let db = [("db", "/state/tail.db")];
    for copy in COPIES {
        for starts in 1..4 {
            let mut costs = one_is_read(&db);
            copy_and_truncate(&costs, copy);
            costs.go_on(LONG);
            let mut lines = 0;
            for _ in 0..starts {
                lines += costs.lines();
                costs = start_again(costs, &db);
                costs.go_on(LONG);
            }
            allow(&costs, copy, true);
            costs.go_on(LONG);
            assert_eq!(lines + costs.lines(), 3, "{copy}, {starts} starts");
        }
    }
}

/// The log was truncated while nobody was reading, and cannot be opened itself at first.
#[test]
fn what_was_truncated_unseen_is_read_whatever_can_be_opened_first() {
    let db = [("db", "/state/tail.db")];
    for copy in COPIES {
        for first in [&[LOG, copy], &[copy, LOG]] {
            for starts in 0..3 {
                let mut costs = one_is_read(&db);
                costs.worker.end();
                copy_and_truncate(&costs, copy);
                allow(&costs, LOG, false);
                let mut lines = costs.lines();
                costs = start_again(costs, &db);
                for path in first {
                    costs.go_on(LONG);
                    allow(&costs, path, true);
                    costs.go_on(LONG);
                    for _ in 0..starts {
                        lines += costs.lines();
                        costs = start_again(costs, &db);
                        costs.go_on(LONG);
                    }
                }
                assert_eq!(lines + costs.lines(), 3, "{first:?} {starts}");
            }
        }
    }
}

#[test]
fn a_copy_of_what_cannot_be_opened_is_younger_and_found_once() {
    let setting = Setting {
        scheme: Scheme::Numbered,
        pattern: "app.log",
        header: true,
        wide: true,
        ..PLAIN
    };
    let steps = vec![
        Step::Start,
        Step::Rotate,
        Step::Wait(7_200_000),
        Step::Reopen,
        Step::Stop,
        Step::Deny,
        Step::Start,
    ];
    let of_few_descriptors = Setting {
        mode: Mode::Preallocated,
        header: false,
        from_head: false,
        tells: Tells::Ring,
        ..setting
    };
    let found_twice = vec![
        write(1, true),
        Step::Start,
        write(1, true),
        Step::Stop,
        Step::During(15, Action::CopyTruncate),
        Step::Deny,
        write(4, false),
        Step::Descriptors(0),
        Step::Start,
    ];
    all_stand(&[(setting, steps), (of_few_descriptors, found_twice)]);
}
