//! Text in memory that is read like a file: as much of it as is near the position, and its head. What stands
//! for it in the kernel is an empty file without a name, whose number no other file has.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::{Handle, Metadata};

#[derive(Clone, Debug)]
pub(crate) struct Memory(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    file: Handle,
    text: Mutex<Text>,
}

#[derive(Debug)]
struct Text {
    /// The very first bytes.
    head: Vec<u8>,
    /// Where what is kept of it begins. Between the head and this there are NULs.
    start: u64,
    /// Room for text, and how much of it is text.
    room: Vec<u8>,
    used: usize,
}

impl Text {
    fn end(&self) -> u64 {
        self.start + self.used as u64
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> usize {
        let left = self.end().saturating_sub(offset);
        let length = usize::try_from(left).map_or(buffer.len(), |left| left.min(buffer.len()));
        let (before, text) = match self.start.checked_sub(offset) {
            Some(before) => {
                let before = usize::try_from(before).unwrap_or(length).min(length);
                buffer[..length].split_at_mut(before)
            }
            None => (&mut [][..], &mut buffer[..length]),
        };
        before.fill(0);
        let head = usize::try_from(offset)
            .ok()
            .and_then(|at| self.head.get(at..));
        let head = head.unwrap_or_default();
        let known = head.len().min(before.len());
        before[..known].copy_from_slice(&head[..known]);
        let from = offset.saturating_sub(self.start) as usize;
        text.copy_from_slice(&self.room[from..from + text.len()]);
        length
    }

    /// Gives room behind the text, and says how much of it became text.
    fn grow(&mut self, most: usize, fill: impl FnOnce(&mut [u8]) -> usize) {
        let need = self.used + most;
        if self.room.len() < need {
            // Twice as much is never needed.
            self.room.reserve_exact(need - self.room.len());
            self.room.resize(need, 0);
        }
        self.used += fill(&mut self.room[self.used..need]).min(most);
    }

    fn drop_before(&mut self, start: u64, head: usize) {
        let gone = start.min(self.end()).saturating_sub(self.start) as usize;
        if self.start < head as u64 {
            let mut first = vec![0; head];
            let length = self.read_at(&mut first, 0);
            first.truncate(length);
            self.head = first;
        }
        self.room.copy_within(gone..self.used, 0);
        self.used -= gone;
        self.start += gone as u64;
    }
}

impl Memory {
    /// What is known of a text up to `offset`: its head, and what is before that (`tail`). `file` is one
    /// without a name.
    pub(super) fn new(file: Handle, head: &[u8], tail: &[u8], offset: u64) -> Self {
        let text = Text {
            head: head.to_vec(),
            start: offset - tail.len() as u64,
            room: tail.to_vec(),
            used: tail.len(),
        };
        Memory(Arc::new(Inner {
            file,
            text: Mutex::new(text),
        }))
    }

    fn text(&self) -> MutexGuard<'_, Text> {
        self.0.text.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds what `fill` writes into so many bytes at most, and says how much that was.
    pub(crate) fn grow(&self, most: usize, fill: impl FnOnce(&mut [u8]) -> usize) {
        self.text().grow(most, fill);
    }

    /// Drops what is before `start`, but for the first `head` bytes.
    pub(crate) fn drop_before(&self, start: u64, head: usize) {
        self.text().drop_before(start, head);
    }

    /// Where what is kept begins and ends.
    pub(crate) fn range(&self) -> (u64, u64) {
        let text = self.text();
        (text.start, text.end())
    }

    /// Bytes that it takes.
    #[cfg(test)]
    pub(crate) fn size(&self) -> usize {
        self.text().room.capacity()
    }

    pub(super) fn read_at(&self, buffer: &mut [u8], offset: u64) -> usize {
        self.text().read_at(buffer, offset)
    }

    /// Of a piece that is not kept nothing is known.
    pub(super) fn next_data(&self, offset: u64) -> Option<u64> {
        let (start, end) = self.range();
        let data = offset.max(start);
        (data < end).then_some(data)
    }

    pub(super) fn metadata(&self) -> io::Result<Metadata> {
        let size = self.range().1;
        let file = self.0.file.metadata()?;
        Ok(Metadata { size, ..file })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::fs::Fs;

    const HEAD: usize = 8;

    proptest! {
        /// What is kept is read as from a file that has all of it; of what is not, nothing but the head.
        #[test]
        fn what_is_kept_is_read_as_it_was_written(
            steps in proptest::collection::vec((0u64..40, 0usize..30, 0usize..60), 1..40),
        ) {
            let file = Fs::default().anonymous().unwrap();
            let memory = Memory::new(file, &[], &[], 0);
            let mut all: Vec<u8> = Vec::new();
            for (drop, more, look) in steps {
                memory.grow(30, |room| {
                    room[more..].fill(0xff);
                    for byte in &mut room[..more] {
                        *byte = all.len() as u8 | 1;
                        all.push(*byte);
                    }
                    more
                });
                memory.drop_before((all.len() as u64).saturating_sub(drop), HEAD);
                let (start, end) = memory.range();
                prop_assert_eq!(end, all.len() as u64);
                prop_assert_eq!(memory.metadata().unwrap().len(), end);
                for offset in 0..all.len() + 2 {
                    let mut buffer = vec![7; look];
                    let length = memory.read_at(&mut buffer, offset as u64);
                    prop_assert_eq!(length, all.len().saturating_sub(offset).min(look));
                    let known = |at: &usize| *at < HEAD || *at as u64 >= start;
                    for at in (offset..offset + length).filter(known) {
                        prop_assert_eq!(buffer[at - offset], all[at]);
                    }
                }
            }
        }
    }
}
