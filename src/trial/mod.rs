//! A trial run of a host that no table vouches for, before it gets any record.
//!
//! Layouts and signatures show where things are, not what a release does with them. So the same
//! program is started once more, with plugins of ours that only try: an input appends one record, a
//! filter gets it and hands on a longer one, an output sees that come. The other process has nothing
//! of this one's configuration, and what goes wrong there, be it a crash, goes wrong only there.

mod plugins;
mod run;

use std::fmt;
use std::io::Write as _;
use std::time::Duration;

pub(crate) use plugins::exports;
pub(crate) use run::run;

/// Set for the other process: the number of the one that started it.
const VARIABLE: &str = "FLB_SIDECAR_TRIAL";
/// What a line of the other process starts with that is for this one.
const MARK: &str = "flb-sidecar trial: ";

/// How a trial run came out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// The record came through, and how long that took.
    Passed(Duration),
    /// There was none, and why.
    NotDone(String),
    /// Records of this host do not come to filters as this library knows them.
    NoFilters(String),
    /// Nothing works here.
    Nothing(String),
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Outcome::Passed(took) => {
                write!(
                    f,
                    "a record went through a trial run in {} ms",
                    took.as_millis()
                )
            }
            Outcome::NotDone(why) => write!(f, "no trial run shows how records fare here: {why}"),
            Outcome::NoFilters(why) | Outcome::Nothing(why) => {
                write!(f, "in a trial run of this Fluent Bit, {why}")
            }
        }
    }
}

/// What a plugin of the trial has seen.
enum Report {
    Passed,
    /// A record came, but what this host says of its size is not known.
    Unmeasured,
    NoFilters(String),
    Nothing(String),
}

const PASSED: &str = "passed";
const UNMEASURED: &str = "unmeasured";
const NO_FILTERS: &str = "filters ";
const NOTHING: &str = "nothing ";

impl Report {
    /// Tells the process that waits for it, and ends this one.
    fn send(&self) -> ! {
        let text = match self {
            Report::Passed => PASSED.to_owned(),
            Report::Unmeasured => UNMEASURED.to_owned(),
            Report::NoFilters(why) => format!("{NO_FILTERS}{why}"),
            Report::Nothing(why) => format!("{NOTHING}{why}"),
        };
        let mut out = std::io::stdout();
        // Nobody is there to be told that nobody reads.
        let _ = writeln!(out, "\n{MARK}{text}");
        let _ = out.flush();
        // SAFETY: ends the process; nothing in it is worth an orderly end.
        unsafe { libc::_exit(0) }
    }

    /// The report in what the other process wrote.
    fn find(output: &str) -> Option<Self> {
        let text = output.lines().find_map(|line| line.strip_prefix(MARK))?;
        let part = |kind| text.strip_prefix(kind).map(str::to_owned);
        match text {
            PASSED => return Some(Report::Passed),
            UNMEASURED => return Some(Report::Unmeasured),
            _ => {}
        }
        part(NO_FILTERS)
            .map(Report::NoFilters)
            .or_else(|| part(NOTHING).map(Report::Nothing))
    }
}

/// Whether this process is the other one: started for a trial, by the process that it names.
pub(crate) fn is_running() -> bool {
    let started_by = std::env::var(VARIABLE)
        .ok()
        .and_then(|text| text.parse().ok());
    // SAFETY: takes nothing and always succeeds.
    started_by.is_some_and(|pid: libc::pid_t| pid > 0 && pid == unsafe { libc::getppid() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reports_are_found_among_what_the_host_writes() {
        let found = |text: &str| Report::find(text);
        assert!(matches!(
            found("Fluent Bit v9\n\nflb-sidecar trial: passed\n"),
            Some(Report::Passed)
        ));
        let Some(Report::NoFilters(why)) = found("x\nflb-sidecar trial: filters got 3 bytes\n")
        else {
            panic!("no report");
        };
        assert_eq!(why, "got 3 bytes");
        assert!(matches!(
            found("flb-sidecar trial: unmeasured"),
            Some(Report::Unmeasured)
        ));
        assert!(matches!(
            found("flb-sidecar trial: nothing came"),
            Some(Report::Nothing(_))
        ));
        for other in [
            "",
            "passed",
            "a flb-sidecar trial: passed",
            "flb-sidecar trial: maybe",
        ] {
            assert!(found(other).is_none(), "{other}");
        }
    }
}
