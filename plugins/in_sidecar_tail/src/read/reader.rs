//! Reading files, turn by turn, into batches of records.

use std::os::unix::ffi::OsStrExt;
use std::time::Duration;

use flb_sidecar_sdk::Why;
use tracing::{info, warn};

use crate::checkpoint::folder::list;
use crate::compressed::search::Unpacked;
use crate::counters::Trouble;
use crate::fs::Fs;
use crate::host::queue::{Item, Purpose, Shared};
use crate::options::Options;
use crate::read::charset::Code;
use crate::read::decode::Joined;
use crate::read::encode::Batch;
use crate::read::holes::{begins, next_text, Begins, Least};
use crate::read::lines::Limits;
use crate::track::file::{Block, FileId, TrackedFile};
use crate::track::fingerprint::{Identity, Tail};
use crate::track::transition::Observation;
use crate::worker::Worker;

/// How long pieces of a container's line wait for the next one: as long as in the host's multiline
/// parsers.
const PIECES_WAIT: Duration = Duration::from_secs(4);

/// Bytes of lines that are not complete that are kept of files at their end, all together: whoever makes
/// ten thousand files, each with the beginning of a line, does not fill the memory.
const MOST_UNFINISHED: u64 = 16 << 20;

/// A batch goes to the queue when it is this long.
const BATCH: usize = 192 << 10;

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

impl Worker {
    /// Reads one file for one turn. `false`: there is nothing to do, or no room for it.
    pub(crate) fn read_turn(&mut self) -> bool {
        if self.registry.ready().len() == 0 || !self.shared.has_room() {
            self.flush();
            return false;
        }
        let Some(id) = self.registry.next_ready() else {
            return false;
        };
        if self.ensure_open(id) && self.read_file(id) {
            self.registry.again(id);
        } else if let Some(file) = self.registry.get_mut(id) {
            self.none_idle = false;
            if self.options.advise_cache {
                file.advise();
            }
            let unfinished = file.lines.start() < file.offset || file.joined.is_some();
            self.observe(id, Observation::ReadToEnd { unfinished });
            self.bound_unfinished(id);
        }
        self.go_on();
        self.done_with(id);
        true
    }

    /// Reads until the file's end (`false`) or the end of its turn (`true`).
    fn read_file(&mut self, id: FileId) -> bool {
        let Some(file) = self.registry.get(id) else {
            return false;
        };
        begin_batch(&self.shared, &mut self.batch, id, file, &self.options);
        let turn = if file.fresh {
            self.options.event_turn
        } else {
            self.options.static_turn
        };
        let turn_end = file.offset.saturating_add(turn);
        match self.unpack(id) {
            Unpacked::Text => {}
            Unpacked::Later => return true,
            Unpacked::Waits => return false,
            Unpacked::End => {
                self.unpacked(id);
                return false;
            }
        }
        loop {
            match self.read_block(id) {
                Read::More if self.registry.get(id).is_some_and(|f| f.offset < turn_end) => {}
                Read::More | Read::Later => return true,
                // There may be more of what is compressed.
                Read::End => return self.windows.contains_key(&id),
            }
        }
    }

    /// Reads the next block of a file.
    fn read_block(&mut self, id: FileId) -> Read {
        let Some(file) = self.registry.get_mut(id) else {
            return Read::End;
        };
        let place = match file.read(&mut self.block) {
            Ok(Block::Text(place)) => place,
            Ok(Block::End) => return Read::End,
            // A network filesystem's answer may be older than what was read.
            Ok(Block::Rewritten) if file.remote => return Read::End,
            Ok(Block::Rewritten) => {
                self.look_at(id);
                return Read::Later;
            }
            Err(error) => {
                if !std::mem::replace(&mut file.rare().failing, true) {
                    self.counters.error(Trouble::Read);
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
        let (code, recode) = file.recognise(self.options.source);
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
                self.skip_hole(id, end);
                return Read::More;
            }
            Begins::Blank => {
                let end = file.offset + block.len() as u64;
                if full {
                    return self.search_hole(id, end, code);
                }
                file.blank = true;
                return Read::End;
            }
        };
        let Worker {
            encoder,
            batch,
            counters,
            options,
            shared,
            ..
        } = self;
        let length = text.len();
        file.offset += length as u64;
        file.seen.size = file.seen.size.max(file.offset);
        file.tail.push(text);
        self.carried += length as u64;
        let before = file.lines.start();
        file.hollow = false;
        encoder.begin(file.name.as_os_str().as_bytes(), self.time.timestamp());
        begin_batch(shared, batch, id, file, options);
        let records = batch.records;
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
            length: options.longest_line,
            long: options.long_lines,
            code,
        };
        let mut piece = |piece, offset, first: &[u8], second: &[u8]| {
            let file = (&parts_of, code, &mut pieces);
            encoder.piece(batch, counters, file, (piece, offset), (first, second));
        };
        if recode {
            let carry = lines.take_carry();
            lines.split(&carry, limits, &mut piece);
        }
        lines.split(text, limits, &mut piece);
        let consumed = lines.start() - before;
        self.carried -= consumed;
        let made = (batch.records - records) as u64;
        counters.bytes.add(consumed);
        counters.lines.add(made);
        if lines.line_start() > line_start || consumed > 0 {
            // A line that goes on in later ones is read again from its beginning.
            let whole = pieces.start().unwrap_or(u64::MAX).min(lines.line_start());
            batch.reached(id, *epoch, whole, consumed);
        }
        *joined = (!pieces.is_empty()).then(|| Box::new(pieces));
        if joined.is_some() {
            self.in_pieces.insert(id);
        }
        file.read += consumed;
        let blank = !rest.is_empty() && rest.iter().all(|byte| *byte == 0);
        file.blank = blank && !full;
        let at_end = !full && (blank || rest.is_empty() && self.draining.is_none());
        if self.batch.events.len() >= BATCH {
            send(&self.shared, &mut self.batch);
            if !self.shared.has_room() {
                return Read::Later;
            }
        }
        if at_end {
            // The end, as far as the kernel said; a later write is a change of its own.
            Read::End
        } else {
            Read::More
        }
    }

    /// Looks behind a block in which nothing is written, whose end is at `end`.
    fn search_hole(&mut self, id: FileId, end: u64, code: Code) -> Read {
        let handle = self.registry.get(id).and_then(|file| file.handle.as_ref());
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
                self.skip_hole(id, text - text % code.width() as u64);
                Read::More
            }
            Ok((size, Err(nothing))) if nothing < size => {
                self.holes.insert(id, nothing);
                Read::Later
            }
            Ok(_) => {
                if let Some(file) = self.registry.get_mut(id) {
                    file.blank = true;
                }
                Read::End
            }
            // The next read says so.
            Err(_) => Read::Later,
        }
    }

    /// Goes on behind bytes that nobody wrote.
    pub(crate) fn skip_hole(&mut self, id: FileId, end: u64) {
        // What is before them has no more to come.
        self.finish_line(id);
        let Some(file) = self.registry.get_mut(id) else {
            return;
        };
        let nuls = end - file.offset;
        file.lines.leave_out(nuls);
        self.counters.nul_bytes.add(nuls);
        file.offset = end;
        file.seen.size = file.seen.size.max(end);
        file.hollow = false;
        file.blank = false;
        let tail = file.handle.as_ref().map(|handle| Tail::read(handle, end));
        file.tail = tail.and_then(Result::ok).unwrap_or_default();
        // The next read tells if it cannot be read.
        let _ = file.grow_head();
    }

    /// Makes records of pieces whose next one does not come.
    pub(crate) fn end_pieces(&mut self) {
        let waiting: Vec<FileId> = self.in_pieces.iter().copied().collect();
        for id in waiting {
            let Some(file) = self.registry.get_mut(id) else {
                self.in_pieces.remove(&id);
                continue;
            };
            if file.joined.is_some()
                && (file.life.waits_for_turn()
                    || file
                        .life
                        .since()
                        .is_some_and(|since| self.time.since(since) < PIECES_WAIT))
            {
                continue;
            }
            self.end_pieces_of(id);
        }
    }

    fn end_pieces_of(&mut self, id: FileId) {
        self.in_pieces.remove(&id);
        let Some(file) = self.registry.get_mut(id) else {
            return;
        };
        let Some(mut pieces) = file.joined.take() else {
            return;
        };
        begin_batch(&self.shared, &mut self.batch, id, file, &self.options);
        let name = file.name.as_os_str().as_bytes();
        self.encoder.begin(name, self.time.timestamp());
        let records = self.batch.records;
        self.encoder.rest(&mut self.batch, &mut pieces);
        self.counters
            .lines
            .add((self.batch.records - records) as u64);
        let start = file.lines.line_start();
        self.batch.reached(id, file.epoch, start, 0);
    }

    /// A file is read to its end: what is kept of it until more comes is no more than its part of what
    /// may be kept of all files together.
    fn bound_unfinished(&mut self, id: FileId) {
        let part = MOST_UNFINISHED as usize / self.in_pieces.len().max(1);
        let Some(file) = self.registry.get_mut(id) else {
            return;
        };
        file.lines.give_back();
        if file
            .joined
            .as_ref()
            .is_some_and(|joined| joined.len() > part)
        {
            self.end_pieces_of(id);
        }
        if self.carried <= MOST_UNFINISHED {
            return;
        }
        // What the host joins has no parts.
        if self.options.join.is_some() {
            self.finish_line(id);
        } else {
            self.cut_line(id);
        }
        if let Some(file) = self.registry.get_mut(id) {
            file.lines.give_back();
        }
    }

    /// What becomes of a line that is not complete at the end of a drain. With positions it can go on
    /// after a restart.
    pub(crate) fn end_unfinished(&mut self, id: FileId) {
        let comes_back = self.checkpointer.is_some()
            && self
                .registry
                .get(id)
                .is_some_and(|file| is_found_again(&self.fs, file));
        match self.shared.drain_purpose() {
            _ if !comes_back => self.finish_line(id),
            // The position is before it.
            Purpose::Stop => {}
            // What the host joins has no parts.
            Purpose::Completion if self.options.join.is_some() => self.finish_line(id),
            Purpose::Completion => self.cut_line(id),
        }
    }

    /// Makes a part of a line of what is there of one that is not complete.
    fn cut_line(&mut self, id: FileId) {
        let Some(file) = self.registry.get_mut(id) else {
            return;
        };
        if file.joined.is_some() || file.lines.line_start() == file.offset {
            return self.finish_line(id);
        }
        begin_batch(&self.shared, &mut self.batch, id, file, &self.options);
        let Worker {
            encoder,
            batch,
            counters,
            ..
        } = self;
        encoder.begin(file.name.as_os_str().as_bytes(), self.time.timestamp());
        let records = batch.records;
        let before = file.lines.start();
        let (code, _) = file.recognise(self.options.source);
        let parts_of = file.parts_of();
        let mut pieces = Joined::default();
        let cut = file.lines.cut(code, |piece, offset, first, second| {
            let file = (&parts_of, code, &mut pieces);
            encoder.piece(batch, counters, file, (piece, offset), (first, second));
        });
        let Some(line) = cut else {
            return;
        };
        let at = file.lines.start();
        file.rare().cut = Some((at, line));
        self.last_line_taken(id, at, at - before, records);
    }

    /// Makes a record of a last line that has no newline.
    pub(crate) fn finish_line(&mut self, id: FileId) {
        let Some(file) = self.registry.get_mut(id) else {
            return;
        };
        let all_lines = file.lines.start() == file.offset && file.lines.line_start() == file.offset;
        if all_lines && file.joined.is_none() {
            return;
        }
        begin_batch(&self.shared, &mut self.batch, id, file, &self.options);
        let Worker {
            encoder,
            batch,
            counters,
            ..
        } = self;
        encoder.begin(file.name.as_os_str().as_bytes(), self.time.timestamp());
        let records = batch.records;
        let before = file.lines.start();
        let (code, _) = file.recognise(self.options.source);
        let parts_of = file.parts_of();
        let mut pieces = file.joined.take().unwrap_or_default();
        file.lines.finish(code, |piece, offset, first, second| {
            let file = (&parts_of, code, &mut *pieces);
            encoder.piece(batch, counters, file, (piece, offset), (first, second));
        });
        encoder.rest(batch, &mut pieces);
        let (at, consumed) = (file.offset, file.lines.start() - before);
        self.last_line_taken(id, at, consumed, records);
    }

    /// Accounts for so many bytes up to `at` that are in the batch now, which had `records` before.
    fn last_line_taken(&mut self, id: FileId, at: u64, consumed: u64, records: usize) {
        let Some(file) = self.registry.get_mut(id) else {
            return;
        };
        self.batch.reached(id, file.epoch, at, consumed);
        self.counters.bytes.add(consumed);
        self.counters
            .lines
            .add((self.batch.records - records) as u64);
        file.read += consumed;
        self.carried -= consumed;
    }

    /// The text of a file ends here, its last line and what the host joins included.
    pub(crate) fn end_text(&mut self, id: FileId) {
        self.finish_line(id);
        self.end_stream(id);
    }

    /// What the host joins of a file is complete.
    pub(crate) fn end_stream(&mut self, id: FileId) {
        if self.options.join.is_some() {
            self.flush();
            self.shared.push(Item::FileEnd(id));
        }
    }

    /// Sends what has been collected, however little.
    pub(crate) fn flush(&mut self) {
        if !self.batch.is_empty() {
            send(&self.shared, &mut self.batch);
        }
    }
}

/// Whether the next start will find a file: it is at its path, or where it is looked for.
fn is_found_again(fs: &Fs, file: &TrackedFile) -> bool {
    file.path().is_some()
        || file.lines.line_start() < file.offset
            && file.name.parent().is_some_and(|folder| {
                let path = list(fs, folder).remove(&file.identity.inode);
                let metadata = path.and_then(|path| fs.metadata(&path).ok());
                metadata.is_some_and(|metadata| Identity::of(&metadata) == file.identity)
            })
}

/// Has the batch be one for this file.
fn begin_batch(
    shared: &Shared,
    batch: &mut Batch,
    id: FileId,
    file: &TrackedFile,
    options: &Options,
) {
    let alone = options.join.is_some();
    let other = alone
        && batch
            .reaches
            .last()
            .is_some_and(|r| r.file != id || r.epoch != file.epoch);
    if !batch.is_empty() && (batch.tag != file.tag || other) {
        send(shared, batch);
    }
    if batch.is_empty() {
        batch.tag.clone_from(&file.tag);
        batch.name = alone.then(|| file.name.clone());
    }
}

/// Hands the batch over and begins an empty one.
fn send(shared: &Shared, batch: &mut Batch) {
    let next = Batch {
        events: shared.spare_buffer(),
        ..Batch::default()
    };
    shared.push(Item::Batch(std::mem::replace(batch, next)));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sim::steps::Steps;

    #[test]
    fn pieces_without_a_last_one_are_a_record_after_a_while() {
        let line = |kind, text| format!("2026-01-01T00:00:00Z stdout {kind} {text}\n");
        let mut steps = Steps::prepared("*.log", &[("format", "cri")], |_| {});
        steps.append("a.log", &line("P", "one, "));
        steps.append("a.log", &line("P", "two"));
        steps.round();
        assert!(steps.lines.is_empty());
        steps.round_after(PIECES_WAIT);
        assert_eq!(steps.lines, ["one, two"]);
        assert!(steps.worker.in_pieces.is_empty());
        steps.append("a.log", &line("P", "three, "));
        steps.round();
        steps.append("a.log", &line("F", "four"));
        steps.round();
        steps.round_after(PIECES_WAIT);
        assert_eq!(steps.lines, ["one, two", "three, four"]);
        assert!(steps.worker.in_pieces.is_empty());
        let reach = std::fs::metadata(steps.path("a.log")).unwrap().len();
        assert!(steps
            .worker
            .registry
            .iter()
            .all(|(_, file)| file.offset == reach));
    }

    /// Text of `a` that came.
    fn letters(steps: &Steps) -> usize {
        let lines = steps.lines.iter();
        lines.map(|line| line.matches('a').count()).sum()
    }

    #[test]
    fn beginnings_of_lines_in_many_files_do_not_fill_the_memory() {
        const FILES: usize = 40;
        const SIZE: usize = 1 << 20;
        let text = "a".repeat(SIZE);
        let piece = format!("2026-01-01T00:00:00Z stdout P {text}\n");
        let last = "2026-01-01T00:00:00Z stdout F \n";
        for (format, begin, end) in [("none", &text, "\n"), ("cri", &piece, last)] {
            let options = [("format", format), ("buffer_max_size", "2m")];
            let mut steps = Steps::prepared("*.log", &options, |_| {});
            for n in 0..FILES {
                steps.append(&format!("{n}.log"), begin);
            }
            steps.round();
            let files = steps.worker.registry.iter();
            let kept = files.map(|(_, file)| {
                let joined = file.joined.as_ref().map_or(0, |joined| joined.len());
                file.lines.kept() + joined
            });
            let kept = kept.sum::<usize>() as u64;
            // What was kept before there were so many has its part of when it came.
            assert!(kept < 2 * MOST_UNFINISHED, "{format}: {kept}");
            for n in 0..FILES {
                steps.append(&format!("{n}.log"), end);
            }
            steps.round();
            steps.round_after(PIECES_WAIT);
            assert_eq!(letters(&steps), FILES * SIZE, "{format}");
            assert_eq!(steps.worker.carried, 0);
        }
    }

    #[test]
    fn a_file_with_any_number_of_streams_is_read_line_by_line() {
        let mut steps = Steps::prepared("*.log", &[("format", "cri")], |_| {});
        let mut text = String::new();
        for n in 0..20_000 {
            text += &format!("2026-01-01T00:00:00Z s{n} P a\n");
        }
        steps.append("a.log", &text);
        steps.round();
        let files = steps.worker.registry.iter();
        let waits: usize = files
            .map(|(_, file)| file.joined.as_ref().map_or(0, |joined| joined.len()))
            .sum();
        assert!(waits < 10, "{waits}");
        steps.round_after(PIECES_WAIT);
        assert_eq!(letters(&steps), 20_000);
    }
}
