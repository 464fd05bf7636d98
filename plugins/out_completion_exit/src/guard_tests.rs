use super::*;
use proptest::prelude::*;
use std::sync::atomic::AtomicBool;

const MS: Duration = Duration::from_millis(1);
const SECOND: Duration = Duration::from_secs(1);

/// Plays a thread that follows `countdown` until it ends the process or `until` is there.
fn play(
    countdown: &mut Countdown,
    mut now: Duration,
    until: Duration,
    written_after: Option<Duration>,
) -> (Option<Duration>, usize) {
    let mut asked = None;
    let mut reports = 0;
    while now < until {
        let written = asked.is_some_and(|at| written_after.is_some_and(|takes| now >= at + takes));
        match countdown.step(now, written) {
            Order::Wait(time) => {
                assert!(time > Duration::ZERO && time <= LISTEN);
                now += time;
            }
            Order::Write => {
                asked = Some(now);
                reports += 1;
            }
            Order::End => return (Some(now), reports),
        }
    }
    (None, reports)
}

#[test]
fn nothing_ends_a_process_that_nobody_wants_to_end() {
    let mut countdown = Countdown::default();
    let (end, reports) = play(&mut countdown, Duration::ZERO, SECOND * 3600, Some(MS));
    assert_eq!((end, reports), (None, 0));
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
        let writing = writing.map(|ms| MS * ms as u32);
        for (at, deadline) in events {
            let at = MS * at as u32;
            let (end, asked) = play(&mut countdown, now, at, writing);
            reports += asked;
            if end.is_some() {
                gone = end;
                break;
            }
            now = at;
            let deadline = MS * deadline as u32;
            best = best.min(deadline);
            countdown.end_by(deadline);
        }
        let mut extra = Duration::ZERO;
        if gone.is_none() {
            if reload && countdown.writing.is_none() {
                countdown.put_off();
                extra = RELOAD;
            }
            let (end, asked) = play(&mut countdown, now, now + SECOND * 200, writing);
            reports += asked;
            gone = end;
        }
        let gone = gone.expect("the process ends");
        prop_assert!(gone <= best.max(now) + extra + SECOND, "{gone:?} {best:?}");
        prop_assert!(gone >= best, "{gone:?} {best:?}");
        prop_assert_eq!(reports, 1);
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
        report: None,
        will: Will {
            status: 9,
            report: None,
        },
    }
}

/// One after the other: what was decided is the process's, not an instance's.
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
        report: None,
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
