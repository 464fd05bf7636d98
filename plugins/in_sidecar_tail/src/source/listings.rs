//! What folders hold, as long as it has not changed.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

use crate::fs::{Fs, Metadata};
use crate::map::HashMap;
use crate::time::Time;

/// Folders whose listing has not changed since: not listed again.
#[derive(Debug, Default)]
pub(crate) struct Listings {
    known: HashMap<ListingKey, Listing>,
    time: Time,
    pub(super) fs: Fs,
    /// When a folder was listed last, on both clocks.
    last: Option<(Instant, SystemTime)>,
    /// When the time of day was set forward last, as far as that was seen.
    set_forward: Option<Instant>,
}

/// Folder, pattern and depth: several patterns may look into one folder for different names.
pub(super) type ListingKey = (PathBuf, usize, usize);

#[derive(Debug)]
struct Listing {
    identity: (u64, u64),
    modified: SystemTime,
    /// When it was listed, on both clocks.
    listed: (Instant, SystemTime),
    subfolders: Vec<PathBuf>,
}

impl Listing {
    /// The time of day was set back since, so a later change may have the time of the last one.
    fn was_set_back(&self, time: &Time) -> bool {
        let (at, wall) = self.listed;
        let passed = time.since(at).saturating_sub(CLOCK_STEP / 2);
        time.wall() < wall + passed
    }
}

/// A folder's change time says nothing about a change that came this soon after the last one.
const CLOCK_STEP: Duration = Duration::from_secs(2);

/// Neither does that of a network filesystem, as long as an old answer may be given again.
const CACHED: Duration = Duration::from_secs(90);

impl Listings {
    pub(crate) fn new(time: Time, fs: Fs) -> Self {
        Listings {
            known: HashMap::default(),
            // It may have been just before.
            set_forward: Some(time.now()),
            time,
            fs,
            last: None,
        }
    }

    /// Forgets everything: the next scan lists every folder.
    pub(crate) fn clear(&mut self) {
        self.known.clear();
    }

    /// Forgets folders other than these.
    pub(crate) fn retain(&mut self, keep: impl Fn(&Path) -> bool) {
        self.known.retain(|(folder, ..), _| keep(folder));
    }

    pub(crate) fn len(&self) -> usize {
        self.known.len()
    }

    /// Whether the folder must be listed again.
    pub(super) fn is_changed(&self, key: &ListingKey, metadata: &Metadata) -> bool {
        self.known.get(key).is_none_or(|listing| {
            listing.identity != (metadata.dev(), metadata.ino())
                || metadata.modified() != listing.modified
                || listing.was_set_back(&self.time)
        })
    }

    pub(super) fn forget(&mut self, key: &ListingKey) {
        self.known.remove(key);
    }

    /// There is something new in a folder, though its names are the same.
    pub(crate) fn changed(&mut self, folder: &Path) {
        self.known.retain(|(known, ..), _| known != folder);
    }

    pub(super) fn subfolders(&self, key: &ListingKey) -> impl Iterator<Item = PathBuf> + '_ {
        let listing = self.known.get(key).into_iter();
        listing.flat_map(|listing| listing.subfolders.iter().cloned())
    }

    /// Looks whether the time of day was set forward: a change that has just been seems to be long ago then.
    fn look_at_clocks(&mut self, (now, wall): (Instant, SystemTime)) {
        if let Some((last, last_wall)) = self.last.replace((now, wall)) {
            let passed = wall.duration_since(last_wall).unwrap_or_default();
            if passed > now.saturating_duration_since(last) + CLOCK_STEP / 2 {
                self.set_forward = Some(now);
            }
        }
    }

    /// It was within this time.
    fn was_set_forward(&self, within: Duration) -> bool {
        self.set_forward
            .is_some_and(|at| self.time.since(at) <= within)
    }

    /// Remembers the listing, if the folder has been quiet for long enough to trust its change time.
    pub(super) fn put(&mut self, key: ListingKey, metadata: &Metadata, subfolders: Vec<PathBuf>) {
        let modified = metadata.modified();
        let listed = (self.time.now(), self.time.wall());
        let since = listed.1.duration_since(modified).unwrap_or_default();
        self.look_at_clocks(listed);
        // Only then it matters where the folder is.
        let told_late = (since <= CACHED || self.was_set_forward(CACHED))
            && self.fs.is_remote(&key.0).unwrap_or(true);
        let enough = if told_late { CACHED } else { CLOCK_STEP };
        let quiet = since > enough && !self.was_set_forward(enough);
        if quiet {
            let listing = Listing {
                identity: (metadata.dev(), metadata.ino()),
                modified,
                listed,
                subfolders,
            };
            self.known.insert(key, listing);
        } else {
            self.known.remove(&key);
        }
    }
}
