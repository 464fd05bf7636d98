//! A short Job with a random life: its main container writes lines, the last of them right before
//! it ends, also into a file that is new; then a trigger ends the sidecar. SIGTERM may come at any
//! moment, a reload around the trigger, `kill -9` and a new start after it; inputs, filters and
//! outputs differ from Job to Job.
//!
//! - this file makes the plans and runs many,
//! - `sidecar` builds the pipeline of a plan,
//! - `play` is the Job's life,
//! - `judge` compares what came with what had to come.

mod judge;
mod play;
mod sidecar;

use std::sync::Mutex;
use std::time::Duration;

use crate::host::Host;
use crate::random::Random;
use crate::say;

pub use play::run;

/// What ends the sidecar.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Trigger {
    /// A flag file with the exit status.
    Flag,
    /// The end of a process that a PID file names.
    Process,
    /// SIGTERM once the main container has ended, as native sidecars get it.
    Sigterm,
    /// Silence.
    Idle,
    /// The pod's status in the API.
    Api,
}

/// A filter that holds records where the engine does not see them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Filter {
    /// `multiline`, with its buffer.
    Multiline,
    /// `rewrite_tag`, with its emitter.
    RewriteTag,
}

/// What disturbs the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Disturbance {
    /// SIGTERM this long after the sidecar is ready, whatever happens then.
    Sigterm(Duration),
    /// SIGHUP right before the last line and the trigger.
    ReloadBefore,
    /// SIGHUP this long after the trigger.
    ReloadAfter(Duration),
    /// `kill -9` this long after the trigger, and a new start. The destination is shut until then.
    Kill(Duration),
}

/// A Job.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Its place in the run.
    pub number: u64,
    /// What ends the sidecar.
    pub trigger: Trigger,
    /// Time from the start of both containers to the trigger.
    pub life: Duration,
    /// Lines of the main container.
    pub lines: u64,
    /// Files they go to.
    pub files: u64,
    /// Exit status of the main container.
    pub code: u8,
    /// What disturbs the end.
    pub disturbance: Option<Disturbance>,
    /// An input for each file instead of one for all.
    pub inputs_apart: bool,
    /// The inputs run on threads of their own.
    pub threaded: bool,
    /// The inputs store their chunks as files.
    pub stored: bool,
    /// Lines that an earlier run stored, which was killed before it could deliver them.
    pub backlog: u64,
    /// A stock `tail` reads one more file.
    pub stock_tail: bool,
    /// A filter between inputs and outputs.
    pub filter: Option<Filter>,
    /// Over HTTP with this many workers instead of to stdout.
    pub workers: Option<u64>,
    /// A second `completion_exit`, whose flag never comes.
    pub second_exit: bool,
}

impl Plan {
    /// A random Job.
    pub fn random(random: &mut Random, number: u64) -> Self {
        const TRIGGERS: [Trigger; 6] = [
            Trigger::Flag,
            Trigger::Flag,
            Trigger::Process,
            Trigger::Sigterm,
            Trigger::Idle,
            Trigger::Api,
        ];
        let life = random.time(Duration::from_millis(5), Duration::from_secs(5));
        let trigger = TRIGGERS[random.below(6) as usize];
        let soon = random.time(Duration::from_millis(1), Duration::from_millis(500));
        let disturbance = match random.below(8) {
            0 | 1 => Some(Disturbance::Sigterm(
                random.time(Duration::from_millis(1), life + Duration::from_secs(2)),
            )),
            2 => Some(Disturbance::ReloadBefore),
            3 => Some(Disturbance::ReloadAfter(soon)),
            // A signal is forgotten with the process that got it.
            4 if trigger != Trigger::Sigterm => Some(Disturbance::Kill(soon)),
            _ => None,
        };
        let killed = matches!(disturbance, Some(Disturbance::Kill(_)));
        let (lines, files, code) = (random.below(200), random.below(3), random.below(4));
        let (backlog, workers) = (random.below(50), random.below(3));
        let mut one_in = |n| random.below(n) == 0;
        let stored = one_in(3);
        Plan {
            number,
            trigger,
            life,
            lines: 1 + lines,
            files: 1 + files,
            code: code as u8,
            disturbance,
            inputs_apart: one_in(3),
            threaded: one_in(4),
            stored,
            backlog: if stored && one_in(2) { 1 + backlog } else { 0 },
            stock_tail: one_in(6),
            filter: match (one_in(6), one_in(6)) {
                (true, _) => Some(Filter::Multiline),
                (_, true) => Some(Filter::RewriteTag),
                _ => None,
            },
            workers: (one_in(2) || killed).then_some(1 + workers),
            second_exit: one_in(4),
        }
    }

    /// A Job that shows how long the way from the flag to the end is, and nothing else.
    pub fn plain(random: &mut Random, number: u64) -> Self {
        let any = Plan::random(random, number);
        Plan {
            trigger: Trigger::Flag,
            // Long enough for the sidecar to be up.
            life: Duration::from_secs(1) + any.life / 4,
            disturbance: None,
            inputs_apart: false,
            threaded: false,
            stored: false,
            backlog: 0,
            stock_tail: false,
            filter: None,
            workers: None,
            second_exit: false,
            ..any
        }
    }

    /// Without what this host does not have.
    fn on(mut self, host: &Host) -> Self {
        self.threaded &= host.since(2, 0, 0);
        if self.reloads() && !host.since(2, 1, 0) {
            self.disturbance = None;
        }
        // Before 2.2.0 a reload runs in the handler of SIGHUP. A SIGTERM that comes to the host in it
        // stops what is being freed.
        if self.reloads() && self.trigger == Trigger::Sigterm && !host.since(2, 2, 0) {
            self.disturbance = None;
        }
        // 2.1.0 to 2.1.2 take their own records for broken ones when they find them in files that
        // a killed run has left, and discard them.
        if host.since(2, 1, 0) && !host.since(2, 1, 3) {
            self.backlog = 0;
        }
        // 5.1.1 hangs for good, without any plugin of ours (include/HOSTS.md).
        if self.reloads() && self.backlog > 0 {
            say(&format!(
                "left out: a reload while a backlog waits to be loaded ({host}, job {}): without the backlog",
                self.number
            ));
            self.backlog = 0;
        }
        self
    }

    /// The exit status is ours: after a reload, hosts before 2.2.0 take it from freed memory.
    fn keeps_status(&self, host: &Host) -> bool {
        host.since(2, 2, 0) || !self.reloads()
    }

    /// Whether lines may come twice. What a ring or an emitter may hold when a reload comes is not
    /// known to be delivered, and what was stored right before a kill is in a file of the host
    /// while the position in the log may not be: all of it is read again.
    fn may_repeat(&self) -> bool {
        (self.reloads() && (self.threaded || self.filter.is_some()))
            || (self.is_killed() && self.stored)
    }

    fn is_killed(&self) -> bool {
        matches!(self.disturbance, Some(Disturbance::Kill(_)))
    }

    fn reloads(&self) -> bool {
        matches!(
            self.disturbance,
            Some(Disturbance::ReloadBefore | Disturbance::ReloadAfter(_))
        )
    }
}

/// How a Job went.
#[derive(Debug)]
pub struct Outcome {
    /// Lines that had to come and did not.
    pub lost: u64,
    /// Lines that came more than once.
    pub twice: u64,
    /// The sidecar did not end.
    pub hung: bool,
    /// From the trigger to the end of the process, where the sidecar was ready before the trigger
    /// and nothing disturbed it.
    pub after_trigger: Option<Duration>,
    /// Everything that is wrong, with what the host said; empty if nothing is.
    pub fault: String,
}

/// Runs the Jobs on the hosts in turn, several at a time.
pub fn run_all(hosts: &[Host], plans: &[Plan], at_once: usize) -> Vec<(Host, Plan, Outcome)> {
    let work = plans.iter().zip(hosts.iter().cycle());
    let next = Mutex::new(work);
    let done = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..at_once {
            scope.spawn(|| {
                // Not in the loop's head: the lock would be held during the run.
                let take = || next.lock().ok().and_then(|mut work| work.next());
                while let Some((plan, host)) = take() {
                    let outcome = run(host, plan);
                    if let Ok(mut done) = done.lock() {
                        done.push((host.clone(), plan.clone(), outcome));
                    }
                }
            });
        }
    });
    let mut done = done.into_inner().unwrap_or_default();
    done.sort_by_key(|(_, plan, _)| plan.number);
    done
}

/// The value that this part (0 to 1) of all do not exceed.
pub fn percentile(times: &[Duration], part: f64) -> Option<Duration> {
    let mut sorted = times.to_vec();
    sorted.sort();
    let index = (sorted.len() as f64 * part).ceil() as usize;
    sorted.get(index.max(1) - 1).copied()
}
