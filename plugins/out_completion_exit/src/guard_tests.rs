use super::*;
use proptest::prelude::*;
use std::sync::atomic::AtomicBool;

const MS: Duration = Duration::from_millis(1);
const SECOND: Duration = Duration::from_secs(1);

#[derive(Debug, Default, PartialEq)]
struct Played {
    end: Option<Duration>,
    /// When the report was asked for before the deadline, last.
    ahead: Option<Duration>,
    /// How often it was asked for behind it.
    reports: usize,
}

/// Plays a thread that follows `countdown` until it ends the process or `until` is there.
fn play(
    countdown: &mut Countdown,
    mut now: Duration,
    until: Duration,
    written_after: Option<Duration>,
) -> Played {
    let mut asked = None;
    let mut played = Played::default();
    while now < until {
        let written = asked.is_some_and(|at| written_after.is_some_and(|takes| now >= at + takes));
        match countdown.step(now, written) {
            Order::Wait(time) => {
                assert!(time > Duration::ZERO && time <= LISTEN);
                now += time;
            }
            Order::WriteAhead => played.ahead = Some(now),
            Order::Write => {
                asked = Some(now);
                played.reports += 1;
            }
            Order::End => {
                played.end = Some(now);
                return played;
            }
        }
    }
    played
}

#[test]
fn nothing_ends_a_process_that_nobody_wants_to_end() {
    let mut countdown = Countdown::default();
    let played = play(&mut countdown, Duration::ZERO, SECOND * 3600, Some(MS));
    assert_eq!(played, Played::default());
}

proptest! {
    /// Triggers and a reload in any order and at any time: the process is gone within a
    /// second of the earliest deadline (a reload gets its extra time), the report was asked for
    /// once before, and it never goes before that deadline.
    #[test]
    fn the_process_is_gone_within_a_second_of_the_deadline(
        deadlines in prop::collection::vec((0u64..40_000, 0u64..40_000), 1..4),
        reload in any::<bool>(),
        writing in prop::option::of(0u64..1_000),
    ) {
        let mut events: Vec<(u64, u64)> =
            deadlines.iter().map(|(at, after)| (*at, at + after)).collect();
        events.sort_unstable();
        let mut countdown = Countdown::default();
        let mut now = Duration::ZERO;
        let mut best = Duration::MAX;
        let mut gone = None;
        let mut reports = 0;
        // When the deadline that counts was told, and when the report was asked for before it.
        let mut told = Duration::ZERO;
        let mut ahead = None;
        let writing = writing.map(|ms| MS * ms as u32);
        for (at, deadline) in events {
            let at = MS * at as u32;
            let played = play(&mut countdown, now, at, writing);
            reports += played.reports;
            ahead = played.ahead.or(ahead);
            if played.end.is_some() {
                gone = played.end;
                break;
            }
            now = at;
            let deadline = MS * deadline as u32;
            if deadline < best {
                told = at;
            }
            best = best.min(deadline);
            countdown.end_by(deadline);
        }
        let mut extra = Duration::ZERO;
        if gone.is_none() {
            if reload && countdown.writing.is_none() {
                countdown.put_off();
                extra = RELOAD;
            }
            let played = play(&mut countdown, now, now + SECOND * 200, writing);
            reports += played.reports;
            ahead = played.ahead.or(ahead);
            gone = played.end;
        }
        let gone = gone.expect("the process ends");
        prop_assert!(gone <= best.max(now) + extra + SECOND, "{gone:?} {best:?}");
        prop_assert!(gone >= best, "{gone:?} {best:?}");
        prop_assert_eq!(reports, 1);
        // A busy disk has half a second more.
        let ahead = ahead.expect("the report is written before the deadline, too");
        let earliest = best.saturating_sub(AHEAD);
        prop_assert!(ahead >= earliest, "{ahead:?} {best:?}");
        prop_assert!(ahead <= earliest.max(told) + extra, "{ahead:?} {best:?}");
    }
}

#[derive(Default)]
struct Process {
    terminated: Mutex<Option<Duration>>,
    status: AtomicI32,
    ended: AtomicBool,
    /// Whoever reads stderr has hung.
    mute: bool,
}

impl ProcessEnd for Process {
    fn terminated(&self) -> Option<Duration> {
        *lock(&self.terminated)
    }

    fn last_words(&self) {
        while self.mute && !self.ended.load(Ordering::SeqCst) {
            std::thread::sleep(MS);
        }
    }

    fn end(&self, status: i32) {
        self.status.store(status, Ordering::SeqCst);
        self.ended.store(true, Ordering::SeqCst);
    }
}

impl Process {
    fn status_at_end(&self) -> i32 {
        let begin = Instant::now();
        while !self.ended.load(Ordering::SeqCst) && begin.elapsed() < SECOND * 20 {
            std::thread::sleep(MS);
        }
        assert!(self.ended.load(Ordering::SeqCst), "the process lives on");
        self.status.load(Ordering::SeqCst)
    }
}

/// A plugin that started `ago`.
fn setup(ago: Duration) -> Setup {
    Setup {
        start: Instant::now()
            .checked_sub(ago)
            .expect("the machine is up for longer"),
        after_trigger: SECOND * 30,
        after_sigterm: Some(SECOND * 25),
        files: None,
        report: None,
        signs: Vec::new(),
        will: Will {
            status: 9,
            report: LastReport::Written,
        },
    }
}

#[test]
fn the_threads_end_the_process_with_the_right_status() {
    // An engine that never says anything after a flag was seen.
    let process = Arc::new(Process::default());
    let mut early = setup(SECOND * 10);
    early.after_trigger = Duration::ZERO;
    let guard = Guard::start(early, process.clone()).unwrap();
    guard.alarm().fired();
    assert_eq!(process.status_at_end(), 9);
    drop(guard);

    // SIGTERM that the engine does not notice.
    let process = Arc::new(Process::default());
    *lock(&process.terminated) = Some(SECOND * 26);
    let guard = Guard::start(setup(SECOND * 60), process.clone()).unwrap();
    assert_eq!(process.status_at_end(), 9);
    drop(guard);

    // The exit of the instance is behind it, and the host hangs: it counts on.
    let process = Arc::new(Process::default());
    let guard = Guard::start(setup(SECOND), process.clone()).unwrap();
    guard.will(Will {
        status: 4,
        report: LastReport::Written,
    });
    Guard::decided(3);
    guard.end_by(SECOND);
    drop(guard);
    assert_eq!(process.status_at_end(), 3);

    // Nobody reads stderr.
    let process = Arc::new(Process {
        mute: true,
        ..Process::default()
    });
    let guard = Guard::start(setup(SECOND), process.clone()).unwrap();
    guard.end_by(SECOND);
    assert_eq!(process.status_at_end(), 9);
    drop(guard);

    // A new instance says that the host lives: the old guard is called off.
    let old = Arc::new(Process::default());
    let guard = Guard::start(setup(Duration::ZERO), old.clone()).unwrap();
    guard.end_by(MS * 200);
    drop(guard);
    let new = Arc::new(Process::default());
    let guard = Guard::start(setup(SECOND), new.clone()).unwrap();
    guard.end_by(SECOND);
    assert_eq!(new.status_at_end(), 9);
    assert!(!old.ended.load(Ordering::SeqCst));
    drop(guard);
}

/// What the guard writes of a host that hangs, and what it leaves to the engine.
#[test]
fn the_report_is_the_engines_if_it_has_one() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("report");
    let files = crate::files::Files::start().unwrap();
    let read = || std::fs::read_to_string(&path).unwrap_or_default();
    let end_with = |report: LastReport, then: &dyn Fn(&Guard)| {
        let _ = std::fs::remove_file(&path);
        let process = Arc::new(Process::default());
        let mut setup = setup(SECOND);
        setup.files = Some(files.scribe());
        setup.report = Some(path.clone());
        let guard = Guard::start(setup, process.clone()).unwrap();
        guard.will(Will { status: 9, report });
        guard.end_by(SECOND);
        then(&guard);
        process.status_at_end();
        read()
    };
    let will = || b"will".to_vec();
    assert_eq!(end_with(LastReport::Missing(will()), &|_| ()), "will");
    assert_eq!(end_with(LastReport::Replace(will()), &|_| ()), "will");
    assert_eq!(end_with(LastReport::Written, &|_| ()), "");
    // What was written ahead is of the past once the engine says something.
    let engine = |guard: &Guard| {
        guard.will(Will {
            status: 9,
            report: LastReport::Written,
        });
        files.write("report_file", &path, b"engine".to_vec());
    };
    assert_eq!(end_with(LastReport::Missing(will()), &engine), "engine");
    let stopped = |guard: &Guard| {
        guard.reported();
        files.write("report_file", &path, b"stopped".to_vec());
    };
    // The host hangs in its stop: the deadline has the last word.
    assert_eq!(end_with(LastReport::Missing(will()), &stopped), "will");
}

#[test]
fn a_process_that_is_ended_is_neither_ready_nor_healthy() {
    let dir = tempfile::tempdir().unwrap();
    let signs = ["ready_file", "healthy_file"].map(|option| (option, dir.path().join(option)));
    for (_, path) in &signs {
        std::fs::write(path, "here").unwrap();
    }
    let files = crate::files::Files::start().unwrap();
    let setup = Setup {
        files: Some(files.scribe()),
        signs: signs.to_vec(),
        ..setup(SECOND * 60)
    };
    let process = Arc::new(Process::default());
    let guard = Guard::start(setup, process.clone()).unwrap();
    // The engine hangs before it can say anything.
    guard.end_by(SECOND * 50);
    assert_eq!(process.status_at_end(), 9);
    for (_, path) in &signs {
        assert!(!path.exists(), "{}", path.display());
    }
}
