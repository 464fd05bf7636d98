//! Writes lines as records into batches: one pass, no allocation per line.

use std::path::Path;
use std::sync::Arc;

use flb_sidecar_sdk::event::{self, RecordFormat, Timestamp};
use flb_sidecar_sdk::msgpack;
use tracing::warn;

use crate::counters::Counters;
use crate::host::multiline;
use crate::options::Options;
use crate::read::charset::{Code, Transcoder};
use crate::read::decode::{Decoded, Decoder, Joined};
use crate::read::json_line;
use crate::read::lines::Piece;
use crate::track::file::FileId;
use crate::track::fingerprint::Identity;

/// Batches are put together up to this.
const JOINED: usize = 64 << 10;

/// Marks lines that stay text since they are nested deeper than a host reads.
const TOO_DEEP: &str = "nested_too_deep";

/// How far into a file the records of a batch reach.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Reach {
    pub(crate) file: FileId,
    pub(crate) epoch: u32,
    /// Offset behind the last byte that a record of the batch stands for.
    pub(crate) offset: u64,
    /// Bytes of the file that the batch has.
    pub(crate) bytes: u64,
}

/// Records on their way to the host.
#[derive(Debug, Default)]
pub(crate) struct Batch {
    /// `None`: the instance's own tag.
    pub(crate) tag: Option<Arc<str>>,
    pub(crate) records: usize,
    pub(crate) events: Vec<u8>,
    /// Bytes of files that the records stand for.
    pub(crate) read_bytes: u64,
    /// One entry per file and batch, in reading order.
    pub(crate) reaches: Vec<Reach>,
    /// The host's parser has seen it.
    pub(crate) parsed: bool,
    /// The file, where a batch is of one file only.
    pub(crate) name: Option<Arc<Path>>,
}

impl Batch {
    /// Notes that `bytes` more of `file` are in this batch, and whole lines up to `offset`.
    pub(crate) fn reached(&mut self, file: FileId, epoch: u32, offset: u64, bytes: u64) {
        self.read_bytes += bytes;
        match self.reaches.last_mut() {
            Some(reach) if reach.file == file && reach.epoch == epoch => {
                reach.offset = offset;
                reach.bytes += bytes;
            }
            _ => self.reaches.push(Reach {
                file,
                epoch,
                offset,
                bytes,
            }),
        }
    }

    /// Adds `next` behind this and returns its buffer, or `next` if the two may not come together.
    pub(crate) fn join(&mut self, next: Batch) -> Result<Vec<u8>, Batch> {
        let fits = self.events.len() + next.events.len() <= JOINED;
        let is_alone = |batch: &Batch| batch.parsed || batch.name.is_some();
        if !fits || is_alone(self) || is_alone(&next) || self.tag != next.tag {
            return Err(next);
        }
        self.events.extend_from_slice(&next.events);
        self.records += next.records;
        for reach in next.reaches {
            self.reached(reach.file, reach.epoch, reach.offset, reach.bytes);
        }
        Ok(next.events)
    }

    /// There is nothing in it for anybody.
    pub(crate) fn is_empty(&self) -> bool {
        self.records == 0 && self.reaches.is_empty()
    }
}

/// Writes records of one instance.
#[derive(Debug)]
pub(crate) struct Encoder {
    format: RecordFormat,
    path_key: Option<String>,
    offset_key: Option<String>,
    key: String,
    /// Everything of a record up to the offset's value or the line: it is the same for all
    /// lines of one file and block.
    head: Vec<u8>,
    /// Where the map's header is in the head.
    map_at: usize,
    decoder: Option<Decoder>,
    /// The file's path and the time, for records that are not made from the head.
    path: Vec<u8>,
    time: Timestamp,
    scratch: Vec<u8>,
    /// The line's key, when an offset stands between it and the head.
    line_key: Vec<u8>,
    skip_empty_lines: bool,
    /// That a line was left out for its length has been said.
    skipping_said: bool,
    transcoder: Transcoder,
}

impl Encoder {
    pub(crate) fn new(options: &Options, format: RecordFormat) -> Self {
        let lines_only = options.join.is_some();
        Encoder {
            format,
            path_key: options.path_key.clone().filter(|_| !lines_only),
            offset_key: if lines_only {
                Some(multiline::OFFSET.to_owned())
            } else {
                options.offset_key.clone()
            },
            key: if lines_only {
                multiline::LINE.to_owned()
            } else {
                options.key.clone()
            },
            head: Vec::new(),
            map_at: 0,
            decoder: options.decoder(),
            path: Vec::new(),
            time: Timestamp {
                seconds: 0,
                nanos: 0,
            },
            scratch: Vec::new(),
            line_key: Vec::new(),
            skip_empty_lines: options.skip_empty_lines,
            skipping_said: false,
            transcoder: Transcoder::default(),
        }
    }

    /// Gets ready for the lines of the file at `path`, read at `time`.
    pub(crate) fn begin(&mut self, path: &[u8], time: Timestamp) {
        self.time = time;
        if self.decoder.is_some() && self.path != path {
            self.path.clear();
            self.path.extend_from_slice(path);
        }
        self.head.clear();
        self.line_key.clear();
        event::begin_record(&mut self.head, self.format, time);
        self.map_at = self.head.len();
        let keys = self.keys();
        msgpack::write_map_len(&mut self.head, keys);
        if let Some(key) = &self.path_key {
            msgpack::write_str(&mut self.head, key);
            msgpack::write_bytes_as_str(&mut self.head, path);
        }
        if let Some(key) = &self.offset_key {
            msgpack::write_str(&mut self.head, key);
            msgpack::write_str(&mut self.line_key, &self.key);
        } else {
            msgpack::write_str(&mut self.head, &self.key);
        }
    }

    /// Adds what becomes of a piece of a file: a record, none, or one later.
    pub(crate) fn piece(
        &mut self,
        batch: &mut Batch,
        counters: &Counters,
        file: (&Identity, Code, &mut Joined),
        (piece, offset): (Piece, u64),
        text: (&[u8], &[u8]),
    ) {
        let (identity, code, joined) = file;
        if code == Code::Plain {
            return self.text(batch, counters, (identity, joined), (piece, offset), text);
        }
        let mut transcoder = std::mem::take(&mut self.transcoder);
        let (text, invalid) = transcoder.line(code, offset == 0, text);
        counters.invalid.add(invalid);
        self.text(batch, counters, (identity, joined), (piece, offset), text);
        self.transcoder = transcoder;
    }

    fn text(
        &mut self,
        batch: &mut Batch,
        counters: &Counters,
        (identity, joined): (&Identity, &mut Joined),
        (piece, offset): (Piece, u64),
        text: (&[u8], &[u8]),
    ) {
        match piece {
            Piece::Whole if self.skip_empty_lines && text.0.is_empty() && text.1.is_empty() => {
                counters.empty_lines_skipped.add(1);
            }
            Piece::Whole => self.record(batch, counters, joined, offset, text),
            piece => self.long(batch, counters, identity, piece, offset, text),
        }
    }

    /// Adds one record for a line, decoded if the instance has a format; or none yet, when the
    /// line goes on in the next one. The line is `first` followed by `second`.
    fn record(
        &mut self,
        batch: &mut Batch,
        counters: &Counters,
        joined: &mut Joined,
        offset: u64,
        (first, second): (&[u8], &[u8]),
    ) {
        let Some(decoder) = &self.decoder else {
            return self.line(batch, offset, first, second);
        };
        let line = if second.is_empty() {
            first
        } else {
            self.scratch.clear();
            self.scratch.extend_from_slice(first);
            self.scratch.extend_from_slice(second);
            &self.scratch
        };
        let start = batch.events.len();
        event::begin_record(&mut batch.events, self.format, self.time);
        let map = json_line::open_map(&mut batch.events);
        match decoder.line(&mut batch.events, joined, offset, line) {
            Decoded::Pairs {
                count,
                time,
                offset,
            } => self.close(batch, offset, (start, map), count, time),
            Decoded::Waits => batch.events.truncate(start),
            Decoded::Foreign => {
                batch.events.truncate(start);
                counters.undecoded_lines.add(1);
                self.line(batch, offset, first, second);
            }
            Decoded::TooDeep => {
                counters.deep_lines.add(1);
                let out = &mut batch.events;
                msgpack::write_str(out, &self.key);
                msgpack::write_bytes_as_str(out, line);
                msgpack::write_str(out, TOO_DEEP);
                msgpack::write_bool(out, true);
                self.close(batch, offset, (start, map), 2, None);
            }
        }
    }

    /// Adds records for what waited for more, since nothing will come.
    pub(crate) fn rest(&self, batch: &mut Batch, joined: &mut Joined) {
        let Some(decoder) = &self.decoder else {
            return;
        };
        for (pairs, decoded) in decoder.rest(joined) {
            let start = batch.events.len();
            event::begin_record(&mut batch.events, self.format, self.time);
            let map = json_line::open_map(&mut batch.events);
            batch.events.extend_from_slice(&pairs);
            if let Decoded::Pairs {
                count,
                time,
                offset,
            } = decoded
            {
                self.close(batch, offset, (start, map), count, time);
            }
        }
    }

    /// Adds path and offset behind the pairs of a decoded line, and completes the record.
    fn close(
        &self,
        batch: &mut Batch,
        offset: u64,
        (start, map): (usize, usize),
        count: usize,
        time: Option<Timestamp>,
    ) {
        let out = &mut batch.events;
        if let Some(key) = &self.path_key {
            msgpack::write_str(out, key);
            msgpack::write_bytes_as_str(out, &self.path);
        }
        if let Some(key) = &self.offset_key {
            msgpack::write_str(out, key);
            msgpack::write_uint(out, offset);
        }
        json_line::close_map(out, map, count + self.keys() - 1);
        if let Some(time) = time {
            let end = out.len();
            event::begin_record(out, self.format, time);
            out.copy_within(end.., start);
            out.truncate(end);
        }
        batch.records += 1;
    }

    /// Adds one record; the line is `first` followed by `second` and starts at `offset`.
    fn line(&self, batch: &mut Batch, offset: u64, first: &[u8], second: &[u8]) {
        batch.events.extend_from_slice(&self.head);
        if self.offset_key.is_some() {
            msgpack::write_uint(&mut batch.events, offset);
            batch.events.extend_from_slice(&self.line_key);
        }
        msgpack::write_str_len(&mut batch.events, first.len() + second.len());
        batch.events.extend_from_slice(first);
        batch.events.extend_from_slice(second);
        batch.records += 1;
    }

    /// Adds a record, or counts one that is left out, for a piece of an over-long line.
    ///
    /// Parts get the fields of Docker's partial messages, which the host's multiline filter
    /// joins (`mode partial_message`).
    fn long(
        &mut self,
        batch: &mut Batch,
        counters: &Counters,
        file: &Identity,
        piece: Piece,
        offset: u64,
        (first, second): (&[u8], &[u8]),
    ) {
        match piece {
            Piece::Whole => self.line(batch, offset, first, second),
            Piece::Cut => {
                counters.long_lines_cut.add(1);
                self.line(batch, offset, first, second);
            }
            Piece::Rest { cut } => {
                if !cut {
                    counters.long_lines_skipped.add(1);
                    if !self.skipping_said {
                        self.skipping_said = true;
                        warn!("a line longer than buffer_max_size is left out (skip_long_lines on); long_lines_total counts them");
                    }
                }
            }
            Piece::Part {
                ordinal,
                last,
                line,
            } => {
                if ordinal == 1 {
                    counters.long_lines_split.add(1);
                }
                let id = format!("{:016x}{:016x}{line:016x}", file.device, file.inode);
                self.pairs(4);
                self.line(batch, offset, first, second);
                self.pairs(0);
                let last = if last { "true" } else { "false" };
                let ordinal = ordinal.to_string();
                for (key, value) in [
                    ("partial_message", "true"),
                    ("partial_id", &id),
                    ("partial_ordinal", &ordinal),
                    ("partial_last", last),
                ] {
                    msgpack::write_str(&mut batch.events, key);
                    msgpack::write_str(&mut batch.events, value);
                }
            }
        }
    }

    /// Has the head announce `more` pairs behind the line.
    fn pairs(&mut self, more: usize) {
        // At most seven pairs: the header is one byte.
        let pairs = self.keys() + more;
        if let Some(header) = self.head.get_mut(self.map_at) {
            *header = 0x80 | pairs as u8;
        }
    }

    fn keys(&self) -> usize {
        1 + usize::from(self.path_key.is_some()) + usize::from(self.offset_key.is_some())
    }
}
