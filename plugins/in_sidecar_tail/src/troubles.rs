//! What is wrong with paths at present: each trouble is counted and said once, until it is over.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use tracing::{info, warn};

use crate::counters::{Counters, Trouble};
use crate::map::HashSet;
use crate::track::limit::MOST_TROUBLES;

/// What is in trouble when there is no descriptor left: no file more than others.
pub(crate) const EVERY_FILE: &str = "files";

type Said = HashSet<(Trouble, PathBuf)>;

/// The troubles of one instance.
#[derive(Debug)]
pub(crate) struct Troubles {
    said: Mutex<Said>,
    counters: Counters,
}

impl Troubles {
    pub(crate) fn new(counters: Counters) -> Self {
        Troubles {
            said: Mutex::default(),
            counters,
        }
    }

    fn said(&self) -> MutexGuard<'_, Said> {
        self.said.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts and says what is wrong with a path, once until it is over.
    pub(crate) fn say(&self, trouble: Trouble, path: &Path, text: &str) {
        let of_all = path.as_os_str() == EVERY_FILE;
        let mut said = self.said();
        if said.len() >= MOST_TROUBLES && !of_all {
            let known = said.contains(&(trouble, path.to_owned()));
            self.counters.errors_of(trouble).add(u64::from(!known));
        } else if said.insert((trouble, path.to_owned())) {
            self.counters.error(trouble);
            warn!("{}: {text}", path.display());
        }
    }

    /// The same for what is over as soon as it is said.
    pub(crate) fn say_of_gone(&self, trouble: Trouble, path: PathBuf, text: &str) {
        self.say(trouble, &path, text);
        self.said().remove(&(trouble, path));
    }

    pub(crate) fn over(&self, trouble: Trouble, path: &Path) {
        let mut said = self.said();
        if !said.is_empty() && said.remove(&(trouble, path.to_owned())) {
            info!("{}: in order again", path.display());
        }
    }

    /// Whether it can be opened, as far as is known.
    pub(crate) fn can_be_opened(&self, path: &Path) -> bool {
        !self.said().contains(&(Trouble::Open, path.to_owned()))
    }

    /// Paths that cannot be opened or read.
    pub(crate) fn unreadable(&self) -> usize {
        let unreadable =
            |(trouble, _): &&(Trouble, PathBuf)| matches!(trouble, Trouble::Open | Trouble::Read);
        self.said().iter().filter(unreadable).count()
    }

    pub(crate) fn len(&self) -> usize {
        self.said().len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.said().is_empty()
    }

    /// Forgets paths that are gone, as `is_there` says.
    pub(crate) fn retain(&self, is_there: impl Fn(&Path) -> bool) {
        self.said()
            .retain(|(_, path)| path.as_os_str() == EVERY_FILE || is_there(path));
    }
}
