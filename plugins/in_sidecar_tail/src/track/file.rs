//! One followed file: where it is, how far it is read, and how it is known again.

use std::io;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use crate::fs::{Handle, Metadata};
use crate::read::charset::{detect, Code, Source};
use crate::read::decode::Joined;
use crate::read::holes::next_text;
use crate::read::lines::{CutLine, Splitter};
use crate::track::fingerprint::{read_full, Fingerprint, Head, Identity, Print, Tail, HEAD};
use crate::track::life::Life;

/// Number of a followed file within one instance; never used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct FileId(pub(crate) u64);

impl FileId {
    /// That of no file.
    pub(crate) const NONE: FileId = FileId(u64::MAX);
}

/// Size and change time when a file was last looked at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Seen {
    pub(crate) size: u64,
    /// Nanoseconds since 1970.
    pub(crate) modified: i64,
}

/// In nanoseconds.
const SECOND: i64 = 1_000_000_000;

impl Seen {
    pub(crate) fn of(metadata: &Metadata) -> Self {
        Seen {
            size: metadata.len(),
            modified: metadata.modified_nanos(),
        }
    }

    /// Seconds since 1970.
    pub(crate) fn modified_second(&self) -> i64 {
        self.modified.div_euclid(SECOND)
    }
}

/// A file that is followed.
#[derive(Debug)]
pub(crate) struct TrackedFile {
    pub(crate) identity: Identity,
    /// The path it was first found at, for records and tags.
    pub(crate) name: Arc<Path>,
    pub(crate) tag: Option<Arc<str>>,
    /// Where it is in its life; [`crate::track::registry`] alone has that go on.
    pub(crate) life: Life,
    /// It is on a network filesystem, whose answers may be old.
    pub(crate) remote: bool,
    pub(crate) handle: Option<Box<Handle>>,
    pub(crate) seen: Seen,
    /// Offset of the next byte to read.
    pub(crate) offset: u64,
    pub(crate) lines: Splitter,
    /// What its bytes are, once its head has told.
    pub(crate) code: Option<Code>,
    /// Pieces of a container's lines that wait for their last one.
    pub(crate) joined: Option<Box<Joined>>,
    pub(crate) head: Head,
    pub(crate) tail: Tail,
    /// Grows when the file starts anew, so that older positions are not taken for newer ones.
    pub(crate) epoch: u32,
    /// Everything before this offset has left the host.
    pub(crate) checkpoint: u64,
    /// The bytes before the checkpoint.
    pub(crate) checkpoint_tail: Print,
    /// Nothing is written behind `offset`: as far as it was seen, there are only NULs.
    pub(crate) blank: bool,
    /// Skip NUL bytes at the head: a writer went on at its old position after a truncation.
    pub(crate) hollow: bool,
    /// It was found after the first scan.
    pub(crate) fresh: bool,
    /// Whether it is a copy of another file has been looked into.
    pub(crate) compared: bool,
    /// What few files have.
    pub(crate) rare: Option<Box<Rare>>,
    /// Bytes read into records since the start, for the report.
    pub(crate) read: u64,
}

/// Bytes that are looked at to see whether something is written now.
const BLANK: usize = 1024;

/// Bytes of a file after which the kernel is told that they need not stay in its cache.
const ADVISE: u64 = 1 << 20;

/// How many such pieces are before `offset`.
pub(crate) fn pieces_to_advise(offset: u64) -> u64 {
    offset / ADVISE
}

/// What reading a block came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Block {
    /// There is nothing at the moment.
    End,
    /// Where it is in the buffer.
    Text(Range<usize>),
    /// What was read before is not there any more.
    Rewritten,
}

// There may be ten thousand, and allocators have one size for all up to this one.
#[cfg(all(target_pointer_width = "64", not(test)))]
const _: () = assert!(size_of::<TrackedFile>() <= 320);

/// What few files have.
#[derive(Clone, Debug, Default)]
pub(crate) struct Rare {
    /// Where its path led, if that was a symbolic link; it may be there when the link is gone or leads
    /// elsewhere.
    pub(crate) target: Option<Arc<Path>>,
    /// What it goes on with, if it is the copy of a truncated file.
    pub(crate) continues: Option<Continued>,
    /// The line that the checkpoint is in, if its beginning was passed on.
    pub(crate) before_checkpoint: Option<CutLine>,
    /// It is compressed, and was this long when it was read to its end; 0: it was not yet.
    pub(crate) packed: Option<u64>,
    /// Where a drain cut a line that was not complete, and that line.
    pub(crate) cut: Option<(u64, CutLine)>,
    /// Some of what was read of it is lost behind the host.
    pub(crate) lost: Option<Lost>,
    /// When it was first seen to be shorter than what was read; on network filesystems only.
    pub(crate) shorter_since: Option<Instant>,
    /// Pieces ([`ADVISE`]) of which the kernel was told that it need not cache them.
    pub(crate) advised: u64,
    /// It cannot be read, and that was said.
    pub(crate) failing: bool,
    /// It was not deleted when it was let go: it has a name that nobody has told.
    pub(crate) elsewhere: bool,
    /// What the parts of its over-long lines are named after, if this one begins inside one: the file that had the
    /// beginning of it.
    pub(crate) parts_of: Option<Identity>,
}

/// What a file's position must not move over: the next start reads from there.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Lost {
    /// What is lost begins here or later.
    pub(crate) from: u64,
    /// Everything else before this offset has left the host.
    pub(crate) confirmed: u64,
}

/// A file whose text goes on in a copy.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Continued {
    pub(crate) file: FileId,
    /// The text's epoch.
    pub(crate) epoch: u32,
}

impl TrackedFile {
    pub(crate) fn new(identity: Identity, name: Arc<Path>, life: Life, offset: u64) -> Self {
        TrackedFile {
            identity,
            name,
            tag: None,
            life,
            remote: false,
            handle: None,
            seen: Seen::default(),
            offset,
            lines: Splitter::at(offset),
            code: None,
            joined: None,
            head: Head::default(),
            tail: Tail::default(),
            epoch: 0,
            checkpoint: offset,
            checkpoint_tail: Print::default(),
            blank: false,
            hollow: false,
            fresh: false,
            compared: false,
            rare: None,
            read: 0,
        }
    }

    /// What it goes on with, if it is the copy of a truncated file.
    pub(crate) fn continues(&self) -> Option<&Continued> {
        self.rare.as_ref()?.continues.as_ref()
    }

    /// The line that the checkpoint is in, if its beginning was passed on.
    pub(crate) fn cut_line(&self) -> Option<CutLine> {
        self.rare.as_ref()?.before_checkpoint
    }

    /// Where its path led, if that was a symbolic link.
    pub(crate) fn target(&self) -> Option<&Arc<Path>> {
        self.rare.as_ref()?.target.as_ref()
    }

    /// How long it was when it was read to its end, if it is compressed; 0: not all of it has left the
    /// host.
    pub(crate) fn packed(&self) -> Option<u64> {
        let packed = self.rare.as_ref()?.packed;
        let whole = self.checkpoint == self.offset;
        packed.map(|length| if whole { length } else { 0 })
    }

    pub(crate) fn rare(&mut self) -> &mut Rare {
        self.rare.get_or_insert_default()
    }

    /// What the parts of its over-long lines are named after.
    pub(crate) fn parts_of(&self) -> Identity {
        let of = self.rare.as_ref().and_then(|rare| rare.parts_of);
        of.unwrap_or(self.identity)
    }

    /// Where it can be opened.
    pub(crate) fn path(&self) -> Option<&Arc<Path>> {
        self.life.path()
    }

    /// Whether it is open, and its server still knows it.
    pub(crate) fn is_held(&self) -> bool {
        let handle = self.handle.as_ref();
        handle.is_some_and(|handle| handle.metadata().is_ok())
    }

    /// Its path, or where it was found.
    pub(crate) fn shown(&self) -> &Arc<Path> {
        self.path().unwrap_or(&self.name)
    }

    /// How long it is, as far as is known.
    pub(crate) fn size(&self) -> u64 {
        self.seen.size.max(self.offset)
    }

    /// Bytes that are known to be there and were not read.
    pub(crate) fn ahead(&self) -> u64 {
        let ahead = self.seen.size.saturating_sub(self.offset);
        if self.blank {
            0
        } else {
            ahead
        }
    }

    /// Whether the file, `size` bytes long, has something behind what was read. That is known from then on: the
    /// handle may be closed before its turn to be read.
    pub(crate) fn has_more(&mut self, size: u64) -> bool {
        let more = size > self.offset && !self.is_still_blank();
        self.blank &= !more;
        more
    }

    /// Whether nothing is written where nothing was. Without a handle nobody can tell.
    fn is_still_blank(&self) -> bool {
        if self.ahead() > 0 {
            return false;
        }
        let mut start = [0; BLANK];
        let start = self.handle.as_ref().map(|handle| {
            let length = read_full(handle, &mut start, self.offset);
            length.is_ok_and(|length| start[..length].iter().all(|byte| *byte == 0))
        });
        start.unwrap_or(true)
    }

    /// Bytes that are known to be there and that no record stands for.
    pub(crate) fn unread(&self) -> u64 {
        self.offset - self.lines.start() + self.ahead()
    }

    /// Reads the next block into `buffer`, behind what was read last: the same call tells whether
    /// that is still there.
    pub(crate) fn read(&self, buffer: &mut [u8]) -> io::Result<Block> {
        let Some(handle) = &self.handle else {
            return Ok(Block::End);
        };
        let before = self.tail.bytes();
        let start = self.offset.saturating_sub(before.len() as u64);
        let length = loop {
            match handle.read_at(buffer, start) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                result => break result?,
            }
        };
        let other = self.offset == 0 && !self.head.begins_like(&buffer[..length]);
        Ok(match buffer[..length].strip_prefix(before) {
            Some([]) => Block::End,
            Some(_) if other => Block::Rewritten,
            Some(_) => Block::Text(before.len()..length),
            None => Block::Rewritten,
        })
    }

    /// What the file's bytes are, and whether that was taken for something else until now.
    pub(crate) fn recognise(&mut self, source: Source) -> (Code, bool) {
        if let Source::Fixed(code) = source {
            return (code, false);
        }
        let known = self.code.unwrap_or(Code::Utf8);
        if self.code.is_some() && self.offset > 0 {
            return (known, false);
        }
        let mut head = [0; HEAD];
        let length = self
            .handle
            .as_ref()
            .and_then(|handle| read_full(handle, &mut head, 0).ok());
        // A file that begins anew is taken for what it was before, as long as nothing else is seen.
        self.code = length
            .and_then(|length| detect(&head[..length]))
            .or(self.code);
        let code = self.code.unwrap_or(known);
        (code, code != known)
    }

    /// Whether the file still holds what was read from it. Without a handle nobody can tell.
    pub(crate) fn holds_what_was_read(&self) -> io::Result<bool> {
        let handle = self.handle.as_ref();
        handle.map_or(Ok(true), |handle| self.is_held_by(handle))
    }

    fn is_held_by(&self, handle: &Handle) -> io::Result<bool> {
        if !self.tail.is_before(handle, self.offset)? {
            return Ok(false);
        }
        // Bytes that were not read yet may change as they like, unless nothing was read by which it is known.
        let known = self.head.len();
        let mut head = [0; HEAD];
        let length = read_full(handle, &mut head[..known], 0)?;
        let begun = (1..known as u64).contains(&self.offset);
        Ok(begun || self.head.begins_like(&head[..length]))
    }

    /// Whether the file, now `size` bytes long, is shorter than it was, or not what was read.
    pub(crate) fn is_rewritten(&self, size: u64) -> bool {
        let handle = self.handle.as_ref();
        handle.is_some_and(|handle| self.is_rewritten_in(handle, size))
    }

    /// The same of what is open by another handle.
    pub(crate) fn is_rewritten_in(&self, handle: &Handle, size: u64) -> bool {
        // What was never written may go as it came.
        let written = if self.ahead() == 0 { 0 } else { self.seen.size };
        size < written.max(self.offset) || !self.is_held_by(handle).unwrap_or(true)
    }

    /// Whether a file that is now `size` bytes long, shorter than it was, merely lost its end.
    pub(crate) fn was_cut_to(&self, size: u64) -> io::Result<bool> {
        let Some(handle) = &self.handle else {
            return Ok(false);
        };
        if size == 0 || size >= self.seen.size.max(self.offset) {
            return Ok(false);
        }
        let known = self.head.len().min(size as usize);
        let mut head = [0; HEAD];
        let length = read_full(handle, &mut head[..known], 0)?;
        if length < known || !self.head.begins_like(&head[..known]) {
            return Ok(false);
        }
        if size < self.offset {
            // Rather what was read comes again than that what begins alike is not read.
            Ok(size as usize <= known || self.tail.is_left(handle, self.offset, size)?)
        } else {
            self.holds_what_was_read()
        }
    }

    /// Takes in more of the file's head as the file grows.
    pub(crate) fn grow_head(&mut self) -> io::Result<()> {
        self.grow_head_in(&mut [0; HEAD]).map(|_| ())
    }

    /// The same, and how many of its first bytes were read for that.
    pub(crate) fn grow_head_in(&mut self, head: &mut [u8; HEAD]) -> io::Result<usize> {
        let known = self.head.len();
        if known == HEAD || self.seen.size <= known as u64 {
            return Ok(0);
        }
        if let Some(handle) = &self.handle {
            let size = usize::try_from(self.seen.size).unwrap_or(HEAD).min(HEAD);
            let length = read_full(handle, &mut head[..size], 0)?;
            // It may have been truncated this very moment.
            if length > known && self.head.begins_like(&head[..length]) {
                // What is not written yet is none of it.
                let written = head[..length].iter().rposition(|byte| *byte != 0);
                let written = match written {
                    Some(last) => last + 1,
                    // A hole is, as soon as there is something behind it.
                    None => self.hole_ends(handle).map_or(0, |()| length),
                };
                let read = usize::try_from(self.offset).unwrap_or(HEAD).min(length);
                self.head = Head::of(&head[..written.max(read).max(known)]);
            }
            return Ok(length);
        }
        Ok(0)
    }

    /// `None`: nothing is written behind the head, as far as that is looked into.
    fn hole_ends(&self, handle: &Handle) -> Option<()> {
        let mut block = vec![0; BLANK];
        let text = next_text(handle, HEAD as u64, self.seen.size, &mut block);
        text.ok()?.ok().map(|_| ())
    }

    /// Tells the kernel that what was read need not stay in its cache, if it is much.
    pub(crate) fn advise(&mut self) {
        let read = pieces_to_advise(self.offset);
        let advised = self.rare.as_ref().map_or(0, |rare| rare.advised);
        if read <= advised {
            return;
        }
        if let Some(handle) = &self.handle {
            handle.advise_read(self.offset);
        }
        self.rare().advised = read;
    }

    /// How what was read is known again in another file.
    pub(crate) fn fingerprint(&self) -> Fingerprint {
        Fingerprint {
            offset: self.offset,
            head: self.head.print(),
            tail: Print::of(self.tail.bytes()),
        }
    }

    /// Everything before this offset has left the host, or is lost.
    pub(crate) fn settled(&self) -> u64 {
        let lost = self.rare.as_ref().and_then(|rare| rare.lost);
        lost.map_or(self.checkpoint, |lost| lost.confirmed)
    }

    /// Some of what is lost is in this file.
    pub(crate) fn has_lost(&self) -> bool {
        self.rare.as_ref().is_some_and(|rare| rare.lost.is_some())
    }

    /// What was read behind `from` left the host without being delivered: the position stays there, or
    /// goes back there.
    pub(crate) fn lost_behind(&mut self, from: u64) {
        let confirmed = self.settled();
        let known = self.rare().lost.get_or_insert(Lost { from, confirmed });
        known.from = known.from.min(from);
        let from = known.from;
        if self.checkpoint > from {
            self.confirm(from);
        }
    }

    /// Everything before `offset` has left the host.
    pub(crate) fn confirm(&mut self, offset: u64) {
        let lost = self.rare.as_mut().and_then(|rare| rare.lost.as_mut());
        let offset = lost.map_or(offset, |lost| {
            lost.confirmed = lost.confirmed.max(offset);
            lost.from.min(offset)
        });
        let tail = if offset == self.offset {
            Some(self.tail)
        } else {
            self.tail_before(offset)
        };
        if tail.is_none() && offset > self.checkpoint {
            // It would fit whatever begins alike: repeating is better than going on in another text.
            return;
        }
        self.checkpoint = offset;
        if let Some(rare) = &mut self.rare {
            let cut = rare.cut.filter(|(at, _)| *at == offset);
            rare.before_checkpoint = cut.map(|(_, line)| line);
        }
        self.checkpoint_tail = tail.map_or(Print::default(), |tail| Print::of(tail.bytes()));
    }

    /// The bytes that were read before `offset`; `None`: the file has been rewritten since, or cannot be
    /// read now.
    fn tail_before(&self, offset: u64) -> Option<Tail> {
        let handle = self.handle.as_ref()?;
        if !self.holds_what_was_read().unwrap_or(false) {
            return None;
        }
        Tail::read(handle, offset).ok()
    }

    /// The file begins anew: nothing of it has been read.
    pub(crate) fn begin_anew(&mut self) {
        self.seen = Seen::default();
        self.offset = 0;
        self.blank = false;
        self.lines = Splitter::at(0);
        self.joined = None;
        self.head = Head::default();
        self.tail = Tail::default();
        self.epoch += 1;
        self.checkpoint = 0;
        self.checkpoint_tail = Print::default();
        self.rare = self.target().cloned().map(|target| {
            Box::new(Rare {
                target: Some(target),
                ..Rare::default()
            })
        });
        self.hollow = true;
    }
}

#[cfg(test)]
mod tests {
    use crate::sim::steps::Steps;
    use crate::track::fingerprint::Print;

    #[test]
    fn a_position_moves_only_with_the_bytes_before_it() {
        let rewritten = "four, which is longer than what was there\n";
        for (text, moves) in [(None, true), (Some(""), false), (Some(rewritten), false)] {
            let mut steps = Steps::new("a.log");
            steps.append("a.log", "one\n");
            steps.round();
            let id = steps
                .worker
                .files
                .registry
                .ids()
                .into_iter()
                .next()
                .unwrap();
            steps.worker.files.registry.get_mut(id).unwrap().confirm(4);
            steps.append("a.log", "two\nthree\n");
            steps.round();
            if let Some(text) = text {
                steps.cut("a.log", 0);
                steps.append("a.log", text);
            }
            let file = steps.worker.files.registry.get_mut(id).unwrap();
            file.confirm(8);
            let (at, tail) = if moves {
                (8, Print::of(b"one\ntwo\n"))
            } else {
                (4, Print::of(b"one\n"))
            };
            assert_eq!(
                (file.checkpoint, file.checkpoint_tail),
                (at, tail),
                "{text:?}"
            );
        }
    }
}
