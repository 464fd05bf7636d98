//! The end of the host: the report, the exit, and the guard behind both.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use flb_sidecar_sdk::{EngineHost, ProcessEnd};

use crate::config::Config;
use crate::drain::Cause;
use crate::files::Files;
use crate::guard::{Alarm, Guard, LastReport, Setup, Will};
use crate::report::{self, Report};
use crate::stop::Stop;
use crate::{DEADLINE, LAST_GRACE, SIGTERM_DEADLINE};

/// How long the exit waits for the report.
const REPORT_WAIT: Duration = Duration::from_millis(250);
/// How often what is to be reported is kept ready, should the engine hang.
const WILL_EVERY: Duration = Duration::from_millis(500);
/// At most this part of the time is spent on that: with very many files it takes long.
const WILL_SHARE: u32 = 20;

/// The drain is over; the report is being written.
#[derive(Clone, Copy, Debug)]
struct Leaving {
    status: i32,
    expired: bool,
    at_latest: Duration,
    /// The host's own stop is awaited, and that was said.
    told: bool,
}

/// Ends the host, and what there is to say of that.
#[derive(Debug)]
pub(crate) struct Ending {
    report_file: Option<PathBuf>,
    files: Option<Files>,
    guard: Option<Guard>,
    next_will: Duration,
    leaving: Option<Leaving>,
    /// The host stops by itself.
    stop: Stop,
    /// What was last reported of a stop without a drain.
    stop_reported: Option<String>,
}

impl Ending {
    /// Starts the guard, if the process can be ended. `sigterm`: the signal is ours.
    ///
    /// # Errors
    /// When the system has no thread left.
    pub(crate) fn start(
        config: &Config,
        start: Instant,
        sigterm: bool,
        end: Option<Arc<dyn ProcessEnd>>,
        files: Option<Files>,
    ) -> std::io::Result<Self> {
        if let (Some(files), Some(path)) = (&files, &config.report_file) {
            files.look_ahead("report_file", path);
        }
        let guard = match end {
            Some(end) => {
                let setup = guard_setup(config, start, sigterm, files.as_ref());
                Some(Guard::start(setup, end)?)
            }
            None => None,
        };
        Ok(Ending {
            report_file: config.report_file.clone(),
            files,
            guard,
            next_will: Duration::ZERO,
            leaving: None,
            stop: Stop::default(),
            stop_reported: None,
        })
    }

    /// For threads that see a trigger which is the end by itself.
    pub(crate) fn alarm(&self) -> Alarm {
        self.guard.as_ref().map_or_else(Alarm::silent, Guard::alarm)
    }

    /// The process is to be gone shortly after `deadline`.
    pub(crate) fn end_by(&self, deadline: Duration) {
        if let Some(guard) = &self.guard {
            guard.end_by(deadline);
        }
    }

    /// The same for a host that stops by itself.
    pub(crate) fn stop_by(&mut self, by: Duration, host: &dyn EngineHost) {
        self.end_by(by);
        if !self.stop.is_due() && host.may_reload() {
            if let Some(guard) = &self.guard {
                guard.reloading();
            }
        }
        self.stop.end_by(by);
    }

    /// The host that stops by itself has less time now.
    pub(crate) fn shorten(&mut self, by: Duration) {
        self.stop.end_by(by);
        self.end_by(by);
    }

    /// Something asks for the end of a stop.
    pub(crate) fn stop_is_due(&self) -> bool {
        self.stop.is_due()
    }

    /// Has the host end its wait, if that has lasted for long enough.
    pub(crate) fn look_at_stop(&mut self, now: Duration, host: &mut dyn EngineHost) {
        self.stop.look(now, host);
    }

    /// It is time to keep ready what is to be reported, or to report a stop again.
    pub(crate) fn is_time_for_will(&self, now: Duration) -> bool {
        now >= self.next_will
    }

    /// Somebody keeps it.
    pub(crate) fn has_guard(&self) -> bool {
        self.guard.is_some()
    }

    /// Keeps ready what is to be reported, should the engine hang before it decides. The report was asked for
    /// since `began`.
    pub(crate) fn make_will(
        &mut self,
        now: Duration,
        began: Instant,
        report: &Report,
        last: fn(Vec<u8>) -> LastReport,
    ) {
        if let (Some(guard), Some(status)) = (&self.guard, report.status) {
            let report = last(report.json().into_bytes());
            guard.will(Will { status, report });
        }
        self.next_will = now + WILL_EVERY.max(began.elapsed() * WILL_SHARE);
    }

    /// Reports a stop without a drain, again and again, since nobody knows which tick is the last.
    pub(crate) fn report_stop(&mut self, report: &Report) {
        let json = report.json();
        if self.stop_reported.as_ref() == Some(&json) {
            return;
        }
        if self.stop_reported.is_none() {
            log(report);
        }
        if let (Some(files), Some(path)) = (&self.files, &self.report_file) {
            files.write("report_file", path, json.clone().into_bytes());
        }
        self.stop_reported = Some(json);
    }

    /// The host stops in the middle of a drain.
    pub(crate) fn stopped(&mut self, by: Duration, report: &Report, host: &dyn EngineHost) {
        self.stop_by(by, host);
        if let Some(guard) = &self.guard {
            guard.reported();
        }
        self.say(report);
    }

    /// Says how it went, then ends the engine once the report is written.
    pub(crate) fn leave(&mut self, now: Duration, report: &Report, status: i32) {
        // In this order: what the guard has written before is of the past.
        if let Some(guard) = &self.guard {
            let report = LastReport::Written;
            guard.will(Will { status, report });
        }
        self.say(report);
        self.leaving = Some(Leaving {
            status,
            expired: report.end.cause == Cause::Deadline,
            at_latest: now + REPORT_WAIT,
            told: false,
        });
    }

    /// The report is written before the exit, not during it: hosts up to 3.2 close the timers of
    /// their inputs twice when they pause them, and the second time may hit a file that another
    /// thread has just opened.
    ///
    /// A host that is about to stop or to reload does that first: then the new instance drains.
    pub(crate) fn leave_if_written(
        &mut self,
        now: Duration,
        deadline: Duration,
        host: &mut dyn EngineHost,
    ) {
        let written = self.files.as_ref().is_none_or(Files::done);
        let Some(leaving) = self.leaving.take_if(|l| written || now >= l.at_latest) else {
            return;
        };
        if host.is_stopping() {
            self.stop_by(deadline, host);
            return;
        }
        if leaving.expired {
            host.limit_grace(LAST_GRACE);
        }
        if host.exit(leaving.status) {
            Guard::decided(leaving.status);
        } else {
            if !leaving.told {
                tracing::info!("the host is about to stop or to reload: that comes first");
            }
            self.leaving = Some(Leaving {
                told: true,
                ..leaving
            });
        }
    }

    fn say(&self, report: &Report) {
        log(report);
        if let (Some(files), Some(path)) = (&self.files, &self.report_file) {
            let json = report.json().into_bytes();
            // The deadline comes before the disk.
            match report.end.cause {
                Cause::Drained => files.write_synced("report_file", path, json),
                Cause::Deadline | Cause::Host => files.write("report_file", path, json),
            }
        }
    }
}

fn log(report: &Report) {
    if report.has_loss() {
        tracing::warn!("{report}");
    } else {
        tracing::info!("{report}");
    }
}

fn guard_setup(config: &Config, start: Instant, sigterm: bool, files: Option<&Files>) -> Setup {
    let status = config.status(None, true);
    Setup {
        start,
        after_trigger: config.deadline.unwrap_or(DEADLINE),
        after_sigterm: sigterm.then(|| config.deadline.unwrap_or(SIGTERM_DEADLINE)),
        files: files.map(Files::scribe),
        report: config.report_file.clone(),
        signs: config.signs(),
        will: Will {
            status,
            report: LastReport::Missing(report::of_a_hang(status).into_bytes()),
        },
    }
}
