//! Lines that are not complete: how long what is there of them waits for the rest, and what becomes of
//! it when nothing comes.

use std::time::Duration;

use crate::checkpoint::folder::list;
use crate::fs::Fs;
use crate::host::queue::{Item, Purpose};
use crate::map::HashSet;
use crate::read::decode::Joined;
use crate::read::outbox::Outbox;
use crate::track::file::{FileId, TrackedFile};
use crate::track::files::Files;
use crate::track::fingerprint::Identity;
use crate::track::names::may_be_at;

/// How long pieces of a container's line wait for the next one: as long as in the host's multiline
/// parsers.
pub(crate) const PIECES_WAIT: Duration = Duration::from_secs(4);

/// Bytes of lines that are not complete that are kept of files at their end, all together: whoever makes
/// ten thousand files, each with the beginning of a line, does not fill the memory.
pub(crate) const MOST_UNFINISHED: u64 = 16 << 20;

/// What is kept of lines that are not complete.
#[derive(Debug, Default)]
pub(crate) struct Unfinished {
    /// Bytes of all lines that have no newline yet.
    bytes: u64,
    /// Files with pieces of a container's line that wait for the next one.
    in_pieces: HashSet<FileId>,
}

impl Unfinished {
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    #[cfg(test)]
    pub(crate) fn has_pieces(&self) -> bool {
        !self.in_pieces.is_empty()
    }

    /// So many bytes were read, and so many came out as whole lines or parts.
    pub(crate) fn read(&mut self, bytes: u64, out: u64) {
        self.bytes = self.bytes + bytes - out;
    }

    /// A file has pieces that wait.
    pub(crate) fn waits(&mut self, id: FileId) {
        self.in_pieces.insert(id);
    }

    /// Makes records of pieces whose next one does not come.
    pub(crate) fn end_pieces(&mut self, files: &mut Files, outbox: &mut Outbox) {
        let waiting: Vec<FileId> = self.in_pieces.iter().copied().collect();
        for id in waiting {
            let file = files.registry.get(id);
            let comes = file.is_some_and(|file| {
                let since = file.life.since();
                let soon = since.is_some_and(|at| files.ctx.time.since(at) < PIECES_WAIT);
                file.joined.is_some() && (file.life.waits_for_turn() || soon)
            });
            if !comes {
                self.end_pieces_of(files, outbox, id);
            }
        }
    }

    fn end_pieces_of(&mut self, files: &mut Files, outbox: &mut Outbox, id: FileId) {
        self.in_pieces.remove(&id);
        let Some(file) = files.registry.get_mut(id) else {
            return;
        };
        let Some(mut pieces) = file.joined.take() else {
            return;
        };
        let records = outbox.begin(&files.ctx, id, file);
        outbox.rest(&mut pieces);
        let start = file.lines.line_start();
        outbox.end(&files.ctx, (id, file.epoch), (Some(start), 0), records);
    }

    /// A file is read to its end: what is kept of it until more comes is no more than its part of what
    /// may be kept of all files together.
    pub(crate) fn bound(&mut self, files: &mut Files, outbox: &mut Outbox, id: FileId) {
        let part = MOST_UNFINISHED as usize / self.in_pieces.len().max(1);
        let Some(file) = files.registry.get_mut(id) else {
            return;
        };
        file.lines.give_back();
        let joined = file.joined.as_ref().map_or(0, |joined| joined.len());
        if joined > part {
            self.end_pieces_of(files, outbox, id);
        }
        if self.bytes <= MOST_UNFINISHED {
            return;
        }
        self.end_or_cut(files, outbox, id);
        if let Some(file) = files.registry.get_mut(id) {
            file.lines.give_back();
        }
    }

    /// What becomes of a line that is not complete at the end of a drain. With positions it can go on
    /// after a restart.
    pub(crate) fn end_drained(&mut self, files: &mut Files, outbox: &mut Outbox, id: FileId) {
        let file = files.registry.get(id);
        let comes_back = files.checkpointer.is_some()
            && file.is_some_and(|file| is_found_again(&files.ctx.fs, file));
        match files.ctx.shared.drain_purpose() {
            _ if !comes_back => self.finish_line(files, outbox, id),
            // The position is before it.
            Purpose::Stop => {}
            Purpose::Completion => self.end_or_cut(files, outbox, id),
        }
    }

    fn end_or_cut(&mut self, files: &mut Files, outbox: &mut Outbox, id: FileId) {
        // What the host joins has no parts.
        if files.ctx.options.join.is_some() {
            self.finish_line(files, outbox, id);
        } else {
            self.cut_line(files, outbox, id);
        }
    }

    /// Makes a part of a line of what is there of one that is not complete.
    fn cut_line(&mut self, files: &mut Files, outbox: &mut Outbox, id: FileId) {
        let Some(file) = files.registry.get_mut(id) else {
            return;
        };
        if file.joined.is_some() || file.lines.line_start() == file.offset {
            return self.finish_line(files, outbox, id);
        }
        let ctx = &files.ctx;
        let records = outbox.begin(ctx, id, file);
        let before = file.lines.start();
        let (code, _) = file.recognise(ctx.options.source);
        let parts_of = file.parts_of();
        let mut pieces = Joined::default();
        let cut = file.lines.cut(code, |piece, offset, first, second| {
            let file = (&parts_of, code, &mut pieces);
            outbox.piece(ctx, file, (piece, offset), (first, second));
        });
        let Some(line) = cut else {
            return;
        };
        let at = file.lines.start();
        file.rare().cut = Some((at, line));
        self.taken(files, outbox, id, (at, at - before), records);
    }

    /// Makes a record of a last line that has no newline.
    pub(crate) fn finish_line(&mut self, files: &mut Files, outbox: &mut Outbox, id: FileId) {
        let Some(file) = files.registry.get_mut(id) else {
            return;
        };
        let all_lines = file.lines.start() == file.offset && file.lines.line_start() == file.offset;
        if all_lines && file.joined.is_none() {
            return;
        }
        let ctx = &files.ctx;
        let records = outbox.begin(ctx, id, file);
        let before = file.lines.start();
        let (code, _) = file.recognise(ctx.options.source);
        let parts_of = file.parts_of();
        let mut pieces = file.joined.take().unwrap_or_default();
        file.lines.finish(code, |piece, offset, first, second| {
            let file = (&parts_of, code, &mut *pieces);
            outbox.piece(ctx, file, (piece, offset), (first, second));
        });
        outbox.rest(&mut pieces);
        let (at, consumed) = (file.offset, file.lines.start() - before);
        self.taken(files, outbox, id, (at, consumed), records);
    }

    /// Accounts for so many bytes up to `at` that are in the batch now, which had `records` before.
    fn taken(
        &mut self,
        files: &mut Files,
        outbox: &mut Outbox,
        id: FileId,
        (at, consumed): (u64, u64),
        records: usize,
    ) {
        if let Some(file) = files.registry.get_mut(id) {
            outbox.end(&files.ctx, (id, file.epoch), (Some(at), consumed), records);
            file.read += consumed;
            self.bytes -= consumed;
        }
    }

    /// The text of a file ends here, its last line and what the host joins included.
    pub(crate) fn end_text(&mut self, files: &mut Files, outbox: &mut Outbox, id: FileId) {
        self.finish_line(files, outbox, id);
        self.end_stream(files, outbox, id);
    }

    /// What the host joins of a file is complete.
    pub(crate) fn end_stream(&self, files: &Files, outbox: &mut Outbox, id: FileId) {
        if files.ctx.options.join.is_some() {
            outbox.flush(&files.ctx.shared);
            files.ctx.shared.push(Item::FileEnd(id));
        }
    }
}

/// Whether the next start will find a file: it is at its path, or where it is looked for.
fn is_found_again(fs: &Fs, file: &TrackedFile) -> bool {
    file.path().is_some()
        || file.lines.line_start() < file.offset
            && file.name.parent().is_some_and(|folder| {
                let path = list(fs, folder).remove(&file.identity.inode);
                let path = path.filter(|path| may_be_at(&file.identity, &file.name, path));
                let metadata = path.and_then(|path| fs.metadata(&path).ok());
                metadata.is_some_and(|metadata| Identity::of(&metadata) == file.identity)
            })
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
        assert!(!steps.worker.reader.has_pieces());
        steps.append("a.log", &line("P", "three, "));
        steps.round();
        steps.append("a.log", &line("F", "four"));
        steps.round();
        steps.round_after(PIECES_WAIT);
        assert_eq!(steps.lines, ["one, two", "three, four"]);
        assert!(!steps.worker.reader.has_pieces());
        let reach = std::fs::metadata(steps.path("a.log")).unwrap().len();
        assert!(steps
            .worker
            .files
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
            let files = steps.worker.files.registry.iter();
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
            assert_eq!(steps.worker.reader.unfinished(), 0);
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
        let files = steps.worker.files.registry.iter();
        let waits: usize = files
            .map(|(_, file)| file.joined.as_ref().map_or(0, |joined| joined.len()))
            .sum();
        assert!(waits < 10, "{waits}");
        steps.round_after(PIECES_WAIT);
        assert_eq!(letters(&steps), 20_000);
    }
}
