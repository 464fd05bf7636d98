//! A window of a decompressed file: memory with the text around the read position, where it is in the
//! original, so that it is read as any file is.

use std::io;
use std::time::Instant;

use crate::compressed::growth::Growth;
use crate::compressed::gunzip::{Gunzip, Step, OUTPUT_AT_ONCE};
use crate::fs::{Fs, Handle, Memory};
use crate::map::HashMap;
use crate::track::file::FileId;
use crate::track::fingerprint::HEAD;

/// Bytes before the read position that are kept: positions that are confirmed are behind it.
const KEPT: u64 = 256 << 10;
/// Bytes in which no text is that are passed at once.
pub(crate) const BLANK: u64 = 1 << 20;
/// Bytes that are dropped together, since what is behind them is moved then.
const DROPPED: u64 = 1 << 20;

/// A compressed file that is being read, and how much of it is in the window.
#[derive(Debug)]
pub(crate) struct Window {
    pub(crate) gunzip: Gunzip,
    memory: Memory,
    /// Where the window ends.
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
        Ok(Window {
            growth: Growth::new(gunzip.size()?, now),
            gunzip,
            memory: fs.memory(head, tail, offset)?,
            end: offset,
            waits: false,
            over: None,
        })
    }

    /// A handle of the window.
    pub(crate) fn handle(&self) -> Handle {
        Handle::Memory(self.memory.clone())
    }

    /// Whether the window still has what is before `offset`.
    pub(crate) fn has(&self, offset: u64) -> bool {
        let before = offset.saturating_sub(crate::track::fingerprint::TAIL as u64);
        before >= self.memory.range().0
    }

    /// Adds text that was decompressed before.
    pub(crate) fn push(&mut self, text: &[u8]) {
        self.memory.grow(text.len(), |room| {
            room.copy_from_slice(text);
            text.len()
        });
        self.end += text.len() as u64;
    }

    /// Goes on by one step, when everything before `offset` has been read.
    pub(crate) fn fill(&mut self, offset: u64) {
        self.waits = false;
        let start = offset.saturating_sub(KEPT);
        if start >= self.memory.range().0 + DROPPED {
            self.memory.drop_before(start, HEAD);
        }
        let mut step = Ok(Step::More);
        let gunzip = &mut self.gunzip;
        self.memory.grow(OUTPUT_AT_ONCE, |room| {
            let (length, came) = gunzip.step_into(room);
            step = came;
            length
        });
        self.end = self.memory.range().1;
        match step {
            Ok(Step::More) => {}
            Ok(Step::Waits) => self.waits = true,
            Ok(Step::End) => self.over = Some(Ok(())),
            Err(error) => self.over = Some(Err(error)),
        }
    }

    /// Since when the compressed file has not grown.
    pub(crate) fn quiet_since(&mut self, now: Instant) -> Instant {
        let size = self.gunzip.size().unwrap_or(self.growth.size());
        self.waits &= !self.growth.see(size, now);
        self.growth.since()
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

    use super::*;
    use crate::compressed::gunzip::tests::member;
    use crate::fs::Fs;

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
        let handle = window.handle();
        let mut most = 0;
        while window.over.is_none() {
            let read = window.end;
            window.fill(read);
            most = most.max(window.memory.size());
            assert!(window.has(window.end) && window.has(read));
        }
        assert_eq!(window.end, (1 << 40) + (32 << 20));
        assert!(most <= 2 << 20, "{most}");
        let mut head = [0; 4];
        handle.read_at(&mut head, 0).unwrap();
        assert_eq!(&head, b"head");
    }
}
