//! Open files: not too many at a time, and what is said when one cannot be opened.

use std::io;
use std::path::Path;
use std::time::Instant;

use tracing::{info, warn};

use crate::counters::Trouble;
use crate::followed::{self, FileId, Followed};
use crate::worker::Worker;

/// Handles kept open; beyond that, files that are read to their end are closed and watched.
const MAX_OPEN: usize = 400;

impl Worker {
    /// Opens a file that was closed at its end. `false`: it cannot be read now.
    pub(crate) fn ensure_open(&mut self, id: FileId) -> bool {
        let Some(file) = self.files.get(&id) else {
            return false;
        };
        if file.handle.is_some() {
            return true;
        }
        let Some(path) = file.path.clone() else {
            return false;
        };
        match followed::open(&path) {
            Ok((handle, metadata)) if self.is_file(id, &metadata) => {
                if let Some(file) = self.files.get_mut(&id) {
                    file.handle = Some(handle);
                    self.open_handles += 1;
                }
                self.trouble_over(Trouble::Open, &path);
                self.bound_handles();
                true
            }
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                self.trouble(Trouble::Open, &path, &error.to_string());
                false
            }
            // Another file is there, or none.
            _ => {
                self.recheck(&path, false);
                false
            }
        }
    }

    /// Closes files that have been at their end for longest, if too many are open.
    pub(crate) fn bound_handles(&mut self) {
        if self.open_handles <= MAX_OPEN {
            return;
        }
        // At the start nothing has been read yet: not every new file is worth a look at all.
        let files = self.files.iter().filter(|_| !self.none_idle);
        let mut idle: Vec<(Instant, FileId)> = files
            .filter(|(_, file)| {
                file.handle.is_some()
                    && file.path.is_some()
                    && file.matched
                    && !file.queued
                    && file.held.is_none()
                    && file.seen.size <= file.offset
            })
            .map(|(id, file)| (file.since, *id))
            .collect();
        self.none_idle = idle.is_empty();
        idle.sort_unstable();
        for (_, id) in idle.into_iter().take(MAX_OPEN / 4) {
            self.close(id);
        }
        if self.open_handles > MAX_OPEN {
            // All have something unread: the newest is opened again when it has its turn.
            let newest = FileId(self.next_id - 1);
            if self.files.get(&newest).is_some_and(|file| file.matched) {
                self.close(newest);
            }
        }
    }

    /// Many files may change at once: beyond the limit each is opened again when it is read.
    pub(crate) fn close_until_its_turn(&mut self, id: FileId) {
        let can_be_opened = |file: &Followed| file.path.is_some() && file.matched && file.queued;
        if self.open_handles > MAX_OPEN && self.files.get(&id).is_some_and(|f| can_be_opened(f)) {
            self.close(id);
        }
    }

    pub(crate) fn close(&mut self, id: FileId) {
        if let Some(file) = self.files.get_mut(&id) {
            if file.handle.take().is_some() {
                self.open_handles -= 1;
            }
        }
    }

    // Troubles.

    /// Counts and says what is wrong with a path, once until it is over.
    pub(crate) fn trouble(&mut self, trouble: Trouble, path: &Path, text: &str) {
        if self.troubles.insert((trouble, path.to_owned())) {
            self.counters.error(trouble);
            warn!("{}: {text}", path.display());
        }
    }

    pub(crate) fn trouble_over(&mut self, trouble: Trouble, path: &Path) {
        if !self.troubles.is_empty() && self.troubles.remove(&(trouble, path.to_owned())) {
            info!("{}: in order again", path.display());
        }
    }

    pub(crate) fn trouble_free(&self, path: &Path) -> bool {
        !self.troubles.contains(&(Trouble::Open, path.to_owned()))
    }
}
