//! What is still to be done. Whatever looks at a file, or lets it go, adds to this and returns: nothing
//! is done to a file in the middle of something else that is done to it.

use std::collections::VecDeque;
use std::path::PathBuf;

use crate::source::inotify::Change;
use crate::track::file::{FileId, Seen};
use crate::track::transition::Effect;

/// Room that a queue keeps when it is empty.
const KEPT: usize = 256;

/// One thing to be done.
#[derive(Debug)]
pub(crate) enum Task {
    /// What a file's life asks for.
    Do(FileId, Effect),
    /// A file that was just opened, and what was seen of it then.
    Seen(FileId, Seen),
    /// A look at a file that need not have changed.
    Glance(FileId),
    /// Others need the file's descriptor.
    Crowd(FileId),
    /// It was looked at, and may be closed.
    Rest(FileId),
    /// All text of a compressed file was read.
    Unpacked(FileId),
    /// Something happened to what is at this path.
    Recheck(PathBuf),
    /// There may be a new file.
    Consider(PathBuf),
    /// A file and its path are looked at in their turn.
    Check(FileId),
    /// The same for a link and what is behind it.
    CheckLink(PathBuf),
    /// The kernel has told of something.
    Told(Change),
}

/// Tasks, in two rows.
#[derive(Debug, Default)]
pub(crate) struct Queue {
    /// What follows from what is being done, and is done before all else.
    next: VecDeque<Task>,
    later: VecDeque<Task>,
    /// Room for what the life of one file asks for.
    effects: Vec<Effect>,
}

impl Queue {
    /// It follows from what is being done.
    pub(crate) fn push(&mut self, task: Task) {
        self.next.push_back(task);
    }

    /// What `step` says is to be done with a file.
    pub(crate) fn follow(&mut self, id: FileId, step: impl FnOnce(&mut Vec<Effect>)) {
        step(&mut self.effects);
        let effects = self.effects.drain(..);
        self.next.extend(effects.map(|effect| Task::Do(id, effect)));
    }

    /// It has its turn when nothing is left of what comes before it.
    pub(crate) fn later(&mut self, task: Task) {
        self.later.push_back(task);
    }

    pub(crate) fn pop(&mut self) -> Option<Task> {
        let task = self.next.pop_front().or_else(|| self.later.pop_front());
        if task.is_none() && self.later.capacity() > KEPT {
            self.later.shrink_to(KEPT);
        }
        task
    }
}
