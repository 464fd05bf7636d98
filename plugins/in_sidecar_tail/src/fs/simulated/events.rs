//! Queues of what happens in simulated folders, as inotify(7) has them.

use std::collections::VecDeque;
use std::ffi::{OsStr, OsString};

use super::tree::NodeId;
use crate::fs::notify::Wanted;
use crate::fs::Event;

pub(super) use crate::fs::Mask;

/// Those of one instance.
#[derive(Debug, Default)]
struct Queue {
    open: bool,
    watches: Vec<Watch>,
    events: VecDeque<Told>,
    watched: i32,
}

#[derive(Debug)]
struct Watch {
    number: i32,
    node: NodeId,
    mask: u32,
}

/// An event, and from when on it can be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Told {
    from: u64,
    watch: i32,
    mask: Mask,
    cookie: u32,
    name: Option<OsString>,
}

impl Told {
    pub(crate) fn borrowed(&self) -> Event<'_> {
        Event {
            watch: self.watch,
            mask: self.mask,
            cookie: self.cookie,
            name: self.name.as_deref(),
        }
    }

    fn is_same(&self, other: &Told) -> bool {
        (self.watch, self.mask, self.cookie, &self.name)
            == (other.watch, other.mask, other.cookie, &other.name)
    }
}

#[derive(Debug)]
pub(super) struct Queues {
    all: Vec<Queue>,
    /// Nanoseconds after which an event can be read.
    pub(super) late: u64,
    /// Events that one queue holds.
    pub(super) room: usize,
}

impl Default for Queues {
    fn default() -> Self {
        Queues {
            all: Vec::new(),
            late: 0,
            room: 16_384,
        }
    }
}

impl Queues {
    pub(super) fn open(&mut self) -> usize {
        self.all.push(Queue {
            open: true,
            ..Queue::default()
        });
        self.all.len() - 1
    }

    pub(super) fn close(&mut self, queue: usize) {
        self.all[queue] = Queue::default();
    }

    pub(super) fn is_empty(&self) -> bool {
        self.all.iter().all(|queue| queue.watches.is_empty())
    }

    pub(super) fn watch(&mut self, queue: usize, node: NodeId, wanted: Wanted) -> i32 {
        let queue = &mut self.all[queue];
        let add = wanted.contains(Wanted::MASK_ADD);
        let mask = wanted.bits();
        if let Some(watch) = queue.watches.iter_mut().find(|watch| watch.node == node) {
            watch.mask = if add { watch.mask | mask } else { mask };
            return watch.number;
        }
        queue.watched += 1;
        queue.watches.push(Watch {
            number: queue.watched,
            node,
            mask,
        });
        queue.watched
    }

    pub(super) fn forget(&mut self, queue: usize, number: i32, now: u64) {
        let room = self.room;
        let from = now + self.late;
        let queue = &mut self.all[queue];
        let before = queue.watches.len();
        queue.watches.retain(|watch| watch.number != number);
        if queue.watches.len() < before {
            queue.push(ignored(number, from), room);
        }
    }

    /// A folder is gone, and whatever watched it.
    pub(super) fn gone(&mut self, node: NodeId, now: u64) {
        self.tell(node, Mask::DELETE_SELF, 0, None, now);
        let from = now + self.late;
        for queue in &mut self.all {
            let found = queue.watches.iter().position(|watch| watch.node == node);
            if let Some(at) = found {
                let watch = queue.watches.remove(at);
                queue.push(ignored(watch.number, from), self.room);
            }
        }
    }

    pub(super) fn tell(
        &mut self,
        node: NodeId,
        mask: Mask,
        cookie: u32,
        name: Option<&OsStr>,
        now: u64,
    ) {
        let from = now + self.late;
        for queue in &mut self.all {
            let watch = queue.watches.iter().find(|watch| watch.node == node);
            let wanted = mask & !Mask::ISDIR;
            let Some(watch) = watch.filter(|watch| watch.mask & wanted.bits() != 0) else {
                continue;
            };
            let told = Told {
                from,
                watch: watch.number,
                mask,
                cookie,
                name: name.map(OsStr::to_owned),
            };
            queue.push(told, self.room);
        }
    }

    pub(super) fn next(&mut self, queue: usize, now: u64) -> Option<Told> {
        let events = &mut self.all[queue].events;
        let first = events.front()?;
        if first.from > now {
            return None;
        }
        events.pop_front()
    }

    /// When the next event can be read.
    pub(super) fn next_at(&self) -> Option<u64> {
        let first = self.all.iter().filter_map(|queue| queue.events.front());
        first.map(|told| told.from).min()
    }
}

fn ignored(watch: i32, from: u64) -> Told {
    Told {
        from,
        watch,
        mask: Mask::IGNORED,
        cookie: 0,
        name: None,
    }
}

impl Queue {
    fn push(&mut self, told: Told, room: usize) {
        // The same again is told once.
        if !self.open || self.events.back().is_some_and(|last| last.is_same(&told)) {
            return;
        }
        if self.events.len() < room {
            self.events.push_back(told);
        } else if self.events.back().is_some_and(|last| last.watch != -1) {
            self.events.push_back(Told {
                watch: -1,
                mask: Mask::QUEUE_OVERFLOW,
                cookie: 0,
                name: None,
                ..told
            });
        }
    }
}
