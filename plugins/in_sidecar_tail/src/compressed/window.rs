//! A window of a decompressed file: a file in memory with the text around the read position, where
//! it is in the original, so that it is read as any file is.

use std::io;
use std::time::Instant;

use crate::compressed::growth::Growth;
use crate::compressed::gunzip::{Gunzip, Step, OUTPUT_AT_ONCE};
use crate::fs::{Fs, Handle};
use crate::map::HashMap;
use crate::track::file::FileId;
use crate::track::fingerprint::HEAD;

/// Bytes before the read position that are kept: positions that are confirmed are behind it.
const KEPT: u64 = 256 << 10;
/// Bytes in which no text is that are passed at once.
pub(crate) const BLANK: u64 = 1 << 20;
const PAGE: u64 = 4096;
// The head stays.
const _: () = assert!(HEAD as u64 <= PAGE);

/// A compressed file that is being read, and how much of it is in the window.
#[derive(Debug)]
pub(crate) struct Window {
    pub(crate) gunzip: Gunzip,
    memory: Handle,
    /// Where the window begins and ends.
    start: u64,
    pub(crate) end: u64,
    growth: Growth,
    /// What is there of the file is read.
    pub(crate) waits: bool,
    /// How the file ended.
    pub(crate) over: Option<io::Result<()>>,
}

impl Window {
    /// A window that begins with the text before `offset` (`tail`), and the head.
    pub(crate) fn new(
        fs: &Fs,
        gunzip: Gunzip,
        head: &[u8],
        tail: &[u8],
        offset: u64,
        now: Instant,
    ) -> io::Result<Self> {
        let memory = fs.anonymous()?;
        memory.write_all_at(head, 0)?;
        let start = offset - tail.len() as u64;
        memory.write_all_at(tail, start)?;
        // The head may reach beyond the position.
        memory.set_len(offset)?;
        Ok(Window {
            growth: Growth::new(gunzip.size()?, now),
            gunzip,
            memory,
            start,
            end: offset,
            waits: false,
            over: None,
        })
    }

    /// A handle of the window.
    pub(crate) fn handle(&self) -> io::Result<Handle> {
        self.memory.try_clone()
    }

    /// Whether the window still has what is before `offset`.
    pub(crate) fn has(&self, offset: u64) -> bool {
        offset.saturating_sub(crate::track::fingerprint::TAIL as u64) >= self.start
    }

    /// Adds text that was decompressed before.
    pub(crate) fn push(&mut self, text: &[u8]) -> io::Result<()> {
        self.memory.write_all_at(text, self.end)?;
        self.end += text.len() as u64;
        Ok(())
    }

    /// Goes on by one step, when everything before `offset` has been read.
    pub(crate) fn fill(&mut self, offset: u64, text: &mut Vec<u8>) -> io::Result<()> {
        self.waits = false;
        text.clear();
        let step = self.gunzip.step(text, OUTPUT_AT_ONCE);
        self.push(text)?;
        match step {
            Ok(Step::More) => {}
            Ok(Step::Waits) => self.waits = true,
            Ok(Step::End) => self.over = Some(Ok(())),
            Err(error) => self.over = Some(Err(error)),
        }
        self.drop_before(offset.saturating_sub(KEPT));
        Ok(())
    }

    /// Since when the compressed file has not grown.
    pub(crate) fn quiet_since(&mut self, now: Instant) -> Instant {
        let size = self.gunzip.size().unwrap_or(self.growth.size());
        self.waits &= !self.growth.see(size, now);
        self.growth.since()
    }

    fn drop_before(&mut self, start: u64) {
        let start = start / PAGE * PAGE;
        let from = self.start.max(PAGE) / PAGE * PAGE;
        // A few steps together.
        if start < from + KEPT {
            return;
        }
        if self.memory.punch_hole(from, start - from).is_ok() {
            self.start = start;
        }
    }
}

/// The windows of compressed files that are being read.
#[derive(Debug, Default)]
pub(crate) struct Windows(HashMap<FileId, Window>);

impl Windows {
    pub(crate) fn has(&self, id: FileId) -> bool {
        self.0.contains_key(&id)
    }

    pub(crate) fn get(&self, id: FileId) -> Option<&Window> {
        self.0.get(&id)
    }

    pub(crate) fn get_mut(&mut self, id: FileId) -> Option<&mut Window> {
        self.0.get_mut(&id)
    }

    pub(crate) fn insert(&mut self, id: FileId, window: Window) {
        self.0.insert(id, window);
    }

    pub(crate) fn remove(&mut self, id: FileId) -> Option<Window> {
        self.0.remove(&id)
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    pub(crate) fn ids(&self) -> Vec<FileId> {
        self.0.keys().copied().collect()
    }

    /// Compressed bytes of a file that are not decompressed yet: its text has more, as a rule.
    pub(crate) fn left(&self, id: FileId) -> u64 {
        self.get(id).map_or(0, |window| window.gunzip.left())
    }

    /// The same of all files.
    pub(crate) fn left_of_all(&self) -> u64 {
        self.0.values().map(|window| window.gunzip.left()).sum()
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::os::unix::fs::MetadataExt;

    use super::*;
    use crate::compressed::gunzip::tests::member;
    use crate::fs::{Fs, Handle};

    #[test]
    fn a_window_stays_small_however_much_goes_through_it() {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(&member(&vec![b'x'; 32 << 20])).unwrap();
        let gunzip = Gunzip::new(file.into());
        let mut window = Window::new(
            &Fs::default(),
            gunzip,
            b"head",
            &[0; 64],
            1 << 40,
            Instant::now(),
        )
        .unwrap();
        window.gunzip.complete();
        let handle = window.handle().unwrap();
        let (mut text, mut most) = (Vec::new(), 0);
        while window.over.is_none() {
            let read = window.end;
            window.fill(read, &mut text).unwrap();
            let Handle::Kernel(memory) = &handle else {
                unreachable!("it is the kernel's");
            };
            most = most.max(memory.metadata().unwrap().blocks() * 512);
            assert!(window.has(window.end) && window.has(read));
        }
        assert_eq!(window.end, (1 << 40) + (32 << 20));
        assert!(most <= 1 << 20, "{most}");
        let mut head = [0; 4];
        handle.read_at(&mut head, 0).unwrap();
        assert_eq!(&head, b"head");
    }
}
