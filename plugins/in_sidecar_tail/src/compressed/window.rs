//! A window of a decompressed file: memory with the text around the read position, where it is in the
//! original, so that it is read as any file is.

use std::io;
use std::time::Instant;

use crate::compressed::growth::Growth;
use crate::compressed::gunzip::{Gunzip, Step, OUTPUT_AT_ONCE};
use crate::fs::{Fs, Handle, Memory};
use crate::map::HashMap;
use crate::track::file::FileId;
use crate::track::files::Files;
use crate::track::fingerprint::{Tail, HEAD, TAIL};

/// Bytes before the read position that are kept: positions that are confirmed are behind it.
const KEPT: u64 = 256 << 10;
/// Bytes in which no text is that are passed at once.
pub(crate) const BLANK: u64 = 1 << 20;
/// Bytes that are dropped together, since what is behind them is moved then.
const DROPPED: u64 = 1 << 20;

/// Files that end inside a member and wait for the rest, at most.
const MOST_CUT: usize = 32;

/// How much of a file has been decompressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reach {
    /// There may be more.
    More,
    /// What is there.
    All,
    /// What is there, and that ends inside a member: somebody still writes it, or it is broken.
    Cut,
}

/// How a file ended.
#[derive(Debug)]
pub(crate) enum Ending {
    /// With a member.
    Whole,
    /// Inside one, and nothing more is waited for.
    Cut,
    Broken(io::Error),
    /// It holds something else than what was read.
    Rewritten,
}

impl From<io::Result<()>> for Ending {
    fn from(result: io::Result<()>) -> Self {
        result.map_or_else(Ending::Broken, |()| Ending::Whole)
    }
}

/// What is before the end of a window is decompressed again, so far.
#[derive(Debug, Default)]
struct Again {
    at: u64,
    tail: Tail,
}

/// A compressed file that is being read, and how much of it is in the window.
#[derive(Debug)]
pub(crate) struct Window {
    pub(crate) gunzip: Gunzip,
    memory: Memory,
    /// Where the window ends.
    pub(crate) end: u64,
    growth: Growth,
    pub(crate) reach: Reach,
    again: Option<Again>,
    pub(crate) over: Option<Ending>,
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
            reach: Reach::More,
            again: None,
            over: None,
        })
    }

    /// A handle of the window.
    pub(crate) fn handle(&self) -> Handle {
        Handle::Memory(self.memory.clone())
    }

    /// Whether the window still has what is before `offset`.
    pub(crate) fn has(&self, offset: u64) -> bool {
        let before = offset.saturating_sub(TAIL as u64);
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
        self.reach = Reach::More;
        let start = offset.saturating_sub(KEPT);
        if start >= self.memory.range().0 + DROPPED {
            self.memory.drop_before(start, HEAD);
        }
        let step = match self.again.take() {
            Some(again) => self.pass(again),
            None => self.grow(),
        };
        match step {
            Ok(Step::More) => {}
            Ok(Step::Waits) => self.reach = Reach::All,
            Ok(Step::End) if self.over.is_none() => self.over = Some(Ending::Whole),
            Ok(Step::End) => {}
            Ok(Step::Cut) => {
                self.reach = Reach::Cut;
                self.begin_again();
            }
            Err(error) => self.over = Some(Ending::Broken(error)),
        }
    }

    /// What was decompressed has to be once more, before what follows it can be.
    pub(crate) fn begin_again(&mut self) {
        self.gunzip.begin_again();
        self.again = Some(Again::default());
    }

    /// Adds what comes next.
    fn grow(&mut self) -> io::Result<Step> {
        let mut step = Ok(Step::More);
        let gunzip = &mut self.gunzip;
        self.memory.grow(OUTPUT_AT_ONCE, |room| {
            let (length, came) = gunzip.step_into(room);
            step = came;
            length
        });
        self.end = self.memory.range().1;
        step
    }

    /// Goes over what the window had before.
    fn pass(&mut self, mut again: Again) -> io::Result<Step> {
        let mut text = Vec::new();
        let left = usize::try_from(self.end - again.at).unwrap_or(usize::MAX);
        let step = self.gunzip.step(&mut text, left)?;
        again.at += text.len() as u64;
        again.tail.push(&text);
        let passed = again.at == self.end;
        if passed && !self.ends_with(&again.tail)? || !passed && step == Step::End {
            self.over = Some(Ending::Rewritten);
        } else if !passed {
            self.again = Some(again);
        }
        Ok(step)
    }

    /// Whether these bytes are before the end, as far as the window has them.
    fn ends_with(&self, tail: &Tail) -> io::Result<bool> {
        let its = Tail::read(&self.handle(), self.end)?;
        let known = usize::try_from(self.end - self.memory.range().0).unwrap_or(usize::MAX);
        let (its, tail) = (its.bytes().iter().rev(), tail.bytes().iter().rev());
        Ok(its.zip(tail).take(known).all(|(one, other)| one == other))
    }

    /// Since when the compressed file has not grown.
    pub(crate) fn quiet_since(&mut self, now: Instant) -> Instant {
        let size = self.gunzip.size().unwrap_or(self.growth.size());
        if self.growth.see(size, now) {
            self.reach = Reach::More;
        }
        self.growth.since()
    }

    /// Compressed bytes that are not decompressed yet.
    fn left(&self) -> u64 {
        match self.reach {
            Reach::Cut => 0,
            Reach::More | Reach::All => self.gunzip.left(),
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

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Those that end inside a member, and wait for the rest.
    fn cut(&self) -> usize {
        let cut = self.0.values().filter(|w| w.reach == Reach::Cut);
        cut.count()
    }

    /// Those that are being read.
    pub(crate) fn reading(&self) -> usize {
        self.0.len() - self.cut()
    }

    /// A file ends inside a member. If no more can be waited for, that is its end.
    pub(crate) fn bound_cut(&mut self, id: FileId) {
        if self.cut() > MOST_CUT {
            if let Some(window) = self.get_mut(id).filter(|w| w.reach == Reach::Cut) {
                window.over = Some(Ending::Cut);
            }
        }
    }

    pub(crate) fn ids(&self) -> Vec<FileId> {
        self.0.keys().copied().collect()
    }

    /// Files of which nothing more comes before they are written on.
    pub(crate) fn that_are_cut(&self) -> impl Iterator<Item = FileId> + '_ {
        let cut = self.0.iter().filter(|(_, w)| w.reach == Reach::Cut);
        cut.map(|(id, _)| *id)
    }

    /// Compressed bytes of a file that are not decompressed yet: its text has more, as a rule.
    pub(crate) fn left(&self, id: FileId) -> u64 {
        self.get(id).map_or(0, Window::left)
    }

    /// The same of all files.
    pub(crate) fn left_of_all(&self) -> u64 {
        self.0.values().map(Window::left).sum()
    }
}

/// Files that waited to grow, or to be complete, have their turn.
pub(crate) fn wake(files: &mut Files) {
    let now = files.ctx.time.now();
    for id in files.windows.ids() {
        let window = files.windows.get_mut(id);
        let Some((window, file)) = window.zip(files.registry.get(id)) else {
            continue;
        };
        window.quiet_since(now);
        if window.reach == Reach::Cut {
            // Where its writer may still be, it waits as any file does.
            if !file.life.ends(now, files.ctx.options.rotate_wait) {
                continue;
            }
            window.over = Some(Ending::Cut);
        }
        files.observe_unread(id);
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
