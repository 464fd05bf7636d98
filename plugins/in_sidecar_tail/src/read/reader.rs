//! Reading files, turn by turn, into batches of records.

use flb_sidecar_sdk::event::RecordFormat;
use flb_sidecar_sdk::Why;
use tracing::{info, warn};

use crate::compressed::left_alone::COMPLETE;
use crate::compressed::window::{Reach, BLANK};
use crate::context::Context;
use crate::counters::Trouble;
use crate::map::HashMap;
use crate::read::charset::Code;
use crate::read::decode::Joined;
use crate::read::holes::{begins, next_text, Begins, Least};
use crate::read::lines::Limits;
use crate::read::outbox::Outbox;
use crate::read::unfinished::Unfinished;
use crate::track::descriptors::ensure_open;
use crate::track::file::{Block, FileId, TrackedFile};
use crate::track::files::Files;
use crate::track::fingerprint::{Tail, TAIL};
use crate::track::queue::Task;
use crate::track::transition::Observation;

/// What reading a block came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Read {
    /// There may be more.
    More,
    /// There is more, for the next turn.
    Later,
    /// There is nothing more at the moment.
    End,
}

/// What a turn of decompressing came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Unpacked {
    /// There is something to read, or nothing to decompress.
    Text,
    /// Nothing yet.
    Later,
    /// Nothing before the file grows.
    Waits,
    End,
}

/// Reads the files of an instance.
#[derive(Debug)]
pub(crate) struct Reader {
    outbox: Outbox,
    unfinished: Unfinished,
    block: Vec<u8>,
    /// How far holes have been searched whose end is not found yet.
    holes: HashMap<FileId, u64>,
    /// Bytes read since the start.
    bytes: u64,
}

impl Reader {
    pub(crate) fn new(ctx: &Context, format: RecordFormat) -> Self {
        Reader {
            outbox: Outbox::new(&ctx.options, format),
            unfinished: Unfinished::default(),
            block: vec![0; TAIL + ctx.options.block],
            holes: HashMap::default(),
            bytes: 0,
        }
    }

    /// Bytes read since the start.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Nothing waits to be sent.
    pub(crate) fn is_idle(&self) -> bool {
        self.outbox.is_empty()
    }

    /// Bytes of lines that have no newline yet.
    pub(crate) fn unfinished(&self) -> u64 {
        self.unfinished.bytes()
    }

    #[cfg(test)]
    pub(crate) fn has_pieces(&self) -> bool {
        self.unfinished.has_pieces()
    }

    /// Sends what has been collected, however little.
    pub(crate) fn flush(&mut self, ctx: &Context) {
        self.outbox.flush(&ctx.shared);
    }

    /// Makes records of pieces whose next one does not come.
    pub(crate) fn end_pieces(&mut self, files: &mut Files) {
        self.unfinished.end_pieces(files, &mut self.outbox);
    }

    /// The text of a file ends here, its last line and what the host joins included.
    pub(crate) fn end_text(&mut self, files: &mut Files, id: FileId) {
        self.unfinished.end_text(files, &mut self.outbox, id);
    }

    /// A drain ends here, and so may a last line.
    pub(crate) fn end_drained(&mut self, files: &mut Files, id: FileId) {
        self.unfinished.end_drained(files, &mut self.outbox, id);
    }

    /// The same where the file is not followed any longer then.
    pub(crate) fn end_given_way(&mut self, files: &mut Files, id: FileId) {
        self.end_drained(files, id);
        self.unfinished.end_stream(files, &mut self.outbox, id);
    }

    /// What was kept of a file's last line has changed, from so many bytes to so many.
    pub(crate) fn kept(&mut self, before: u64, now: u64) {
        self.unfinished.read(now, before);
    }

    /// A file has pieces of a container's line that came from another one.
    pub(crate) fn has_pieces_of(&mut self, id: FileId) {
        self.unfinished.waits(id);
    }

    /// A file is not read any more.
    pub(crate) fn let_go(&mut self, ctx: &Context, id: FileId) {
        self.flush(ctx);
        self.holes.remove(&id);
    }

    /// Reads one file for one turn. `false`: there is nothing to do, or no room for it.
    pub(crate) fn read_turn(&mut self, files: &mut Files) -> bool {
        if files.registry.ready().len() == 0 || !files.ctx.shared.has_room() {
            self.flush(&files.ctx);
            return false;
        }
        let Some(id) = files.registry.next_ready() else {
            return false;
        };
        if ensure_open(files, id) && self.read_file(files, id) {
            files.registry.again(id);
        } else if let Some(file) = files.registry.get_mut(id) {
            files.handles.one_is_idle();
            if files.ctx.options.advise_cache {
                file.advise();
            }
            let unfinished = file.lines.start() < file.offset || file.joined.is_some();
            files.observe(id, Observation::ReadToEnd { unfinished });
            self.unfinished.bound(files, &mut self.outbox, id);
        }
        files.queue.push(Task::Rest(id));
        true
    }

    /// Reads until the file's end (`false`) or the end of its turn (`true`).
    fn read_file(&mut self, files: &mut Files, id: FileId) -> bool {
        let Some(file) = files.registry.get(id) else {
            return false;
        };
        self.outbox.begin_batch(&files.ctx, id, file);
        let options = &files.ctx.options;
        let turn = if file.fresh {
            options.event_turn
        } else {
            options.static_turn
        };
        let turn_end = file.offset.saturating_add(turn);
        match self.unpack(files, id) {
            Unpacked::Text => {}
            Unpacked::Later => return true,
            Unpacked::Waits => return false,
            Unpacked::End => {
                files.queue.push(Task::Unpacked(id));
                return false;
            }
        }
        loop {
            match self.read_block(files, id) {
                Read::More if files.registry.get(id).is_some_and(|f| f.offset < turn_end) => {}
                Read::More | Read::Later => return true,
                // There may be more of what is compressed.
                Read::End => return files.windows.has(id),
            }
        }
    }

    /// Reads the next block of a file.
    fn read_block(&mut self, files: &mut Files, id: FileId) -> Read {
        let draining = files.is_draining();
        let compressed = files.windows.has(id);
        let ctx = &files.ctx;
        let begun = files.heads.take(id);
        let Some(file) = files.registry.get_mut(id) else {
            return Read::End;
        };
        let read = match begun.filter(|_| file.offset == 0) {
            Some(text) => {
                self.block[..text.len()].copy_from_slice(&text);
                Ok(Block::Text(0..text.len()))
            }
            None => file.read(&mut self.block),
        };
        let place = match read {
            Ok(Block::Text(place)) => place,
            Ok(Block::End) => return Read::End,
            // A network filesystem's answer may be older than what was read: it is looked into once more, whether
            // its size and time have changed or not.
            Ok(Block::Rewritten) if file.remote => {
                files.unsettled.insert(id, ctx.time.now());
                return Read::End;
            }
            Ok(Block::Rewritten) => {
                files.look_at(id);
                return Read::Later;
            }
            Err(error) => {
                if !std::mem::replace(&mut file.rare().failing, true) {
                    ctx.counters.error(Trouble::Read);
                    warn!("cannot read {}: {}", file.name.display(), Why(&error));
                }
                return Read::End;
            }
        };
        let failing = file.rare.as_mut().map(|rare| &mut rare.failing);
        if failing.is_some_and(std::mem::take) {
            info!("{} can be read again", file.name.display());
        }
        let full = place.end == self.block.len();
        let (code, recode) = file.recognise(ctx.options.source);
        let inside = file.lines.line_start() != file.offset;
        let least = if inside {
            Least::InsideLine
        } else if file.hollow {
            Least::AtTruncation
        } else if file.offset == 0 {
            Least::AtHead
        } else {
            Least::BetweenLines
        };
        let block = &self.block[place];
        let (text, rest) = match begins(block, file.offset, code, least) {
            Begins::Text(length) => block.split_at(length),
            Begins::Hole(length) => {
                let end = file.offset + length as u64;
                self.skip_hole(files, id, end);
                return Read::More;
            }
            Begins::Blank => {
                let end = file.offset + block.len() as u64;
                if full {
                    return self.search_hole(files, id, end, code);
                }
                file.blank = true;
                return Read::End;
            }
        };
        let length = text.len() as u64;
        file.offset += length;
        self.bytes += length;
        file.seen.size = file.seen.size.max(file.offset);
        file.tail.push(text);
        let before = file.lines.start();
        file.hollow = false;
        let records = self.outbox.begin(ctx, id, file);
        let parts_of = file.parts_of();
        let TrackedFile {
            lines,
            epoch,
            joined,
            ..
        } = file;
        let line_start = lines.line_start();
        let mut pieces = joined.take().map_or_else(Joined::default, |pieces| *pieces);
        let limits = Limits {
            length: ctx.options.longest_line,
            long: ctx.options.long_lines,
            code,
        };
        let outbox = &mut self.outbox;
        let mut piece = |piece, offset, first: &[u8], second: &[u8]| {
            let file = (&parts_of, code, &mut pieces);
            outbox.piece(ctx, file, (piece, offset), (first, second));
        };
        if recode {
            let carry = lines.take_carry();
            lines.split(&carry, limits, &mut piece);
        }
        lines.split(text, limits, &mut piece);
        let consumed = lines.start() - before;
        self.unfinished.read(length, consumed);
        // A line that goes on in later ones is read again from its beginning.
        let whole = pieces.start().unwrap_or(u64::MAX).min(lines.line_start());
        let whole = (lines.line_start() > line_start || consumed > 0).then_some(whole);
        outbox.end(ctx, (id, *epoch), (whole, consumed), records);
        *joined = (!pieces.is_empty()).then(|| Box::new(pieces));
        if joined.is_some() {
            self.unfinished.waits(id);
        }
        file.read += consumed;
        let blank = !rest.is_empty() && rest.iter().all(|byte| *byte == 0);
        file.blank = blank && !full;
        // A drain waits for what a server tells late, and for all of what is compressed; anything else that was
        // there when it began was read.
        let sure = !draining || !file.remote && !compressed;
        let at_end = !full && (blank || rest.is_empty() && sure);
        if self.outbox.send_full(&ctx.shared) && !ctx.shared.has_room() {
            return Read::Later;
        }
        if at_end {
            // The end, as far as the kernel said; a later write is a change of its own.
            Read::End
        } else {
            Read::More
        }
    }

    /// Looks behind a block in which nothing is written, whose end is at `end`.
    fn search_hole(&mut self, files: &mut Files, id: FileId, end: u64, code: Code) -> Read {
        let handle = files.registry.get(id).and_then(|file| file.handle.as_ref());
        let Some(handle) = handle else {
            return Read::End;
        };
        let from = self.holes.remove(&id).unwrap_or(end).max(end);
        let found = handle
            .metadata()
            .and_then(|m| Ok((m.len(), next_text(handle, from, m.len(), &mut self.block)?)));
        match found {
            Ok((_, Ok(text))) => {
                // Not half of a character.
                self.skip_hole(files, id, text - text % code.width() as u64);
                Read::More
            }
            Ok((size, Err(nothing))) if nothing < size => {
                self.holes.insert(id, nothing);
                Read::Later
            }
            Ok(_) => {
                if let Some(file) = files.registry.get_mut(id) {
                    file.blank = true;
                }
                Read::End
            }
            // The next read says so.
            Err(_) => Read::Later,
        }
    }

    /// Goes on behind bytes that nobody wrote.
    fn skip_hole(&mut self, files: &mut Files, id: FileId, end: u64) {
        // What is before them has no more to come.
        self.unfinished.finish_line(files, &mut self.outbox, id);
        let Some(file) = files.registry.get_mut(id) else {
            return;
        };
        let nuls = end - file.offset;
        file.lines.leave_out(nuls);
        files.ctx.counters.nul_bytes.add(nuls);
        file.offset = end;
        file.seen.size = file.seen.size.max(end);
        file.hollow = false;
        file.blank = false;
        let tail = file.handle.as_ref().map(|handle| Tail::read(handle, end));
        file.tail = tail.and_then(Result::ok).unwrap_or_default();
        // The next read tells if it cannot be read.
        let _ = file.grow_head();
    }

    /// Decompresses some more of a file all of whose text was read.
    fn unpack(&mut self, files: &mut Files, id: FileId) -> Unpacked {
        let draining = files.is_draining();
        let window = files.windows.get_mut(id);
        let Some((window, file)) = window.zip(files.registry.get_mut(id)) else {
            return Unpacked::Text;
        };
        let ahead = window.end - file.offset;
        if ahead > 0 && !file.blank {
            return Unpacked::Text;
        }
        if file.blank && ahead >= BLANK {
            // Not half of a character.
            let end = window.end / 4 * 4;
            self.skip_hole(files, id, end);
            return Unpacked::Later;
        }
        if window.over.is_some() {
            return Unpacked::End;
        }
        let now = files.ctx.time.now();
        let quiet = files.ctx.time.since(window.quiet_since(now));
        match window.reach {
            Reach::More => {}
            Reach::All if quiet >= COMPLETE || draining => window.gunzip.complete(),
            Reach::All | Reach::Cut => return Unpacked::Waits,
        }
        window.fill(file.offset);
        file.blank = false;
        file.seen.size = window.end;
        // The first read tells if it cannot be read.
        let _ = file.grow_head();
        if window.end == file.offset {
            files.windows.bound_cut(id);
            Unpacked::Later
        } else {
            Unpacked::Text
        }
    }
}
