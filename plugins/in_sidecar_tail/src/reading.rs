//! Reading files, turn by turn, into batches of records.

use std::os::unix::ffi::OsStrExt;
use std::time::{Duration, Instant};

use flb_sidecar_sdk::event::Timestamp;
use tracing::{info, warn};

use crate::counters::Trouble;
use crate::decode::Joined;
use crate::encode::Batch;
use crate::followed::{Block, FileId, Followed};
use crate::lines::Limits;
use crate::options::Options;
use crate::queue::{Item, Shared};
use crate::worker::Worker;

/// How long pieces of a container's line wait for the next one: as long as in the host's multiline
/// parsers.
const PIECES_WAIT: Duration = Duration::from_secs(4);

/// A batch goes to the queue when it is this long.
const BATCH: usize = 192 << 10;

impl Worker {
    /// Puts a file into the row of those that are read.
    pub(crate) fn give_turn(&mut self, id: FileId) {
        if let Some(file) = self.files.get_mut(&id) {
            if !file.queued && !file.held && !file.retired {
                file.queued = true;
                file.since = Instant::now();
                self.turns.push_back(id);
            }
        }
    }

    /// Reads one file for one turn. `false`: there is nothing to do, or no room for it.
    pub(crate) fn read_turn(&mut self) -> bool {
        if self.turns.is_empty() || !self.shared.has_room() {
            self.flush();
            return false;
        }
        let Some(id) = self.turns.pop_front() else {
            return false;
        };
        if self.ensure_open(id) && self.read_file(id) {
            self.turns.push_back(id);
        } else if let Some(file) = self.files.get_mut(&id) {
            file.queued = false;
            self.none_idle = false;
            file.since = Instant::now();
            if self.options.advise_cache {
                file.advise();
            }
            self.drain_left -= usize::from(std::mem::take(&mut file.drains));
        }
        true
    }

    /// Reads until the file's end (`false`) or the end of its turn (`true`).
    fn read_file(&mut self, id: FileId) -> bool {
        let Some(file) = self.files.get_mut(&id) else {
            return false;
        };
        begin_batch(&self.shared, &mut self.batch, id, file, &self.options);
        let turn = if file.fresh {
            self.options.event_turn
        } else {
            self.options.static_turn
        };
        let turn_end = file.offset.saturating_add(turn);
        while file.offset < turn_end {
            let place = match file.read(&mut self.block) {
                Ok(Block::Text(place)) => place,
                Ok(Block::End) => return false,
                // A network filesystem's answer may be older than what was read.
                Ok(Block::Rewritten) if file.remote => return false,
                Ok(Block::Rewritten) => {
                    self.look(id, true);
                    return true;
                }
                Err(error) => {
                    if !file.failing {
                        self.counters.error(Trouble::Read);
                        warn!("cannot read {}: {error}", file.name.display());
                    }
                    file.failing = true;
                    return false;
                }
            };
            if file.failing {
                info!("{} can be read again", file.name.display());
                file.failing = false;
            }
            let Worker {
                encoder,
                batch,
                counters,
                options,
                block,
                shared,
                ..
            } = self;
            let full = place.end == block.len();
            let mut text = &block[place];
            let length = text.len();
            let (code, recode) = file.recognise(options.source);
            file.offset += length as u64;
            file.seen.size = file.seen.size.max(file.offset);
            file.tail.push(text);
            self.carried += length as u64;
            let before = file.lines.start();
            if file.hollow && before == file.lines.line_start() {
                let nuls = text.iter().take_while(|byte| **byte == 0).count();
                // Not half of a character.
                let nuls = nuls / code.width() * code.width();
                file.lines.leave_out(nuls as u64);
                counters.nul_bytes.add(nuls as u64);
                text = &text[nuls..];
                file.hollow = text.is_empty();
            }
            encoder.begin(file.name.as_os_str().as_bytes(), Timestamp::now());
            begin_batch(shared, batch, id, file, options);
            let records = batch.records;
            let parts_of = file.parts_of();
            let Followed {
                lines,
                epoch,
                joined,
                ..
            } = &mut **file;
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
            if self.batch.events.len() >= BATCH {
                send(&self.shared, &mut self.batch);
                if !self.shared.has_room() {
                    return true;
                }
            }
            if !full && self.draining.is_none() {
                // The end, as far as the kernel said; a later write is a change of its own.
                return false;
            }
        }
        true
    }

    /// Makes records of pieces whose next one does not come.
    pub(crate) fn end_pieces(&mut self) {
        let waiting: Vec<FileId> = self.in_pieces.iter().copied().collect();
        for id in waiting {
            let Some(file) = self.files.get_mut(&id) else {
                self.in_pieces.remove(&id);
                continue;
            };
            if file.joined.is_some() && (file.queued || file.since.elapsed() < PIECES_WAIT) {
                continue;
            }
            self.in_pieces.remove(&id);
            let Some(mut pieces) = file.joined.take() else {
                continue;
            };
            begin_batch(&self.shared, &mut self.batch, id, file, &self.options);
            let name = file.name.as_os_str().as_bytes();
            self.encoder.begin(name, Timestamp::now());
            let records = self.batch.records;
            self.encoder.rest(&mut self.batch, &mut pieces);
            self.counters
                .lines
                .add((self.batch.records - records) as u64);
            let start = file.lines.line_start();
            self.batch.reached(id, file.epoch, start, 0);
        }
    }

    /// Makes a record of a last line that has no newline.
    pub(crate) fn finish_line(&mut self, id: FileId) {
        let Some(file) = self.files.get_mut(&id) else {
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
        encoder.begin(file.name.as_os_str().as_bytes(), Timestamp::now());
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
        let consumed = file.lines.start() - before;
        let made = (batch.records - records) as u64;
        batch.reached(id, file.epoch, file.offset, consumed);
        counters.bytes.add(consumed);
        counters.lines.add(made);
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

/// Has the batch be one for this file.
fn begin_batch(shared: &Shared, batch: &mut Batch, id: FileId, file: &Followed, options: &Options) {
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
    use crate::steps::Steps;

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
        assert!(steps.worker.files.values().all(|file| file.offset == reach));
    }
}
