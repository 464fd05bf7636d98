//! Draining: an input is asked to read all there is, and says when it has.
//!
//! `completion_exit` asks, `sidecar_tail` answers. The two may come from different copies of the
//! library (`flb-*.so` files that are copies instead of links), so nothing here may live in a
//! shared static: the border puts a handle where the other copy finds it, in the host's instance.

use std::time::Duration;

/// How long records are waited for that may be on their way through filters' emitters, one after the other, at most.
/// An emitter with a name of its own may be that of `multiline`, which keeps records for up to 4.5 s; two such are
/// allowed for, and several of `rewrite_tag`, which passes its records on at once.
pub const MOST_IN_EMITTERS: Duration = Duration::from_secs(10);

/// How far a drain has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DrainState {
    /// Nobody asked for it.
    #[default]
    Idle,
    /// Reading on to the end of every file.
    Draining,
    /// All that was readable has been handed to the host.
    Drained,
    /// The deadline passed first; what is unread stands in the status.
    GaveUp,
}

/// What an input says of its drain.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DrainStatus {
    /// How far it is.
    pub state: DrainState,
    /// Its first look around is not over: it does not watch yet.
    pub starting: bool,
    /// Files being read.
    pub files: u64,
    /// Bytes handed to the host since the start.
    pub read_bytes: u64,
    /// Bytes seen in files but not handed to the host.
    pub unread_bytes: u64,
    /// Records handed to the host since the start.
    pub records: u64,
    /// Files that are known and cannot be read, or were gone before they could be.
    pub missed_files: u64,
}

/// An input that can be drained. Callable from any thread, never blocking.
pub trait Drain: Send + Sync {
    /// Starts draining: rescan, read every file to its end, let partial lines out. A second
    /// call only moves the deadline; behind that an input that keeps its positions hands over nothing more.
    fn request(&self, deadline: Duration);

    /// How far it is.
    fn status(&self) -> DrainStatus;

    /// What was read per file, as a JSON array of objects with at least `path`, `read_bytes` and
    /// `unread_bytes`, for the completion report and for the search for open writers.
    fn report(&self) -> String {
        "[]".to_owned()
    }
}
