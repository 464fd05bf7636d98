//! Names of files that the kernel has told of and that nobody has seen.
//!
//! The kernel tells of renames in order, but what is found at a path may be further than what it has told
//! so far.

use std::path::{Path, PathBuf};

use crate::map::HashSet;
use crate::track::limit::MOST_PATHS;

/// Files that are not known, as far as the kernel has told of them.
#[derive(Debug, Default)]
pub(crate) struct Unseen {
    now: Names,
    /// The same from before the last scan: the kernel may tell of a renaming a moment after it can
    /// be seen.
    before: Names,
}

#[derive(Debug, Default)]
struct Names {
    /// Where files came to be and are not.
    created: HashSet<PathBuf>,
    /// Where they were renamed to.
    renamed: HashSet<PathBuf>,
}

impl Unseen {
    /// A file has come that matches and is not there any more.
    pub(crate) fn created(&mut self, path: &Path) {
        if self.now.created.len() < MOST_PATHS {
            self.now.created.insert(path.to_owned());
        }
    }

    /// Something was renamed. `true`: it is to be read wherever it is now, known or not.
    pub(crate) fn is_wanted(&mut self, from: &Path, to: &Path, matched: bool) -> bool {
        let known = self.now.renamed.remove(from) | self.before.renamed.remove(from);
        let wanted = known || matched;
        if wanted && self.now.renamed.len() < MOST_PATHS {
            // It may be further already, and what is there another file.
            self.now.renamed.insert(to.to_owned());
        }
        wanted
    }

    /// What was renamed has not been seen at its new name either, unless it is `followed` there.
    pub(crate) fn renamed(&mut self, from: &Path, to: &Path, followed: bool) {
        let unseen = self.now.created.remove(from) | self.before.created.remove(from);
        if unseen && !followed {
            self.now.created.insert(to.to_owned());
        }
    }

    /// What has not been found since the last scan but one.
    pub(crate) fn after_scan(&mut self) -> impl Iterator<Item = PathBuf> {
        let now = std::mem::take(&mut self.now);
        std::mem::replace(&mut self.before, now).created.into_iter()
    }
}
