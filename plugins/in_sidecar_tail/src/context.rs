//! What all parts of an instance have in common.

use std::path::Path;
use std::sync::Arc;

use crate::checkpoint::store::is_kept;
use crate::counters::Counters;
use crate::fs::Fs;
use crate::host::queue::Shared;
use crate::options::Options;
use crate::time::Time;
use crate::troubles::Troubles;

/// The surroundings of one instance. Nothing here belongs to a file.
#[derive(Debug)]
pub(crate) struct Context {
    pub(crate) time: Time,
    pub(crate) fs: Fs,
    pub(crate) options: Options,
    /// The instance's tag, if it is made from the path.
    pub(crate) tag_template: Option<String>,
    pub(crate) shared: Arc<Shared>,
    pub(crate) counters: Counters,
    pub(crate) troubles: Troubles,
}

impl Context {
    pub(crate) fn new(
        options: Options,
        tag: Option<&str>,
        shared: Arc<Shared>,
        counters: Counters,
        fs: Fs,
    ) -> Self {
        let has_pattern = |t: &&str| options.tag_regex.is_some() || t.contains('*');
        Context {
            time: shared.time(),
            fs,
            tag_template: tag.filter(has_pattern).map(str::to_owned),
            options,
            shared,
            troubles: Troubles::new(counters.clone()),
            counters,
        }
    }

    /// Whether what is at `path` is a file that the instance keeps itself.
    pub(crate) fn keeps(&self, path: &Path) -> bool {
        let db = self.options.db.as_deref();
        db.is_some_and(|db| is_kept(&self.fs, db, path))
    }

    /// Whether a change at this moment, in seconds since 1970, was longer ago than `ignore_older`.
    pub(crate) fn is_older(&self, modified: i64) -> bool {
        let Some(limit) = self.options.ignore_older else {
            return false;
        };
        self.age(modified) > limit.as_secs() as i64
    }

    /// How many seconds ago a moment was, in seconds since 1970.
    pub(crate) fn age(&self, then: i64) -> i64 {
        i64::from(self.time.timestamp().seconds) - then
    }
}
