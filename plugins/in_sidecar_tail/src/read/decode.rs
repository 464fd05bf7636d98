//! Lines that are more than text: JSON, logfmt, and what container runtimes write.

use std::borrow::Cow;

use flb_sidecar_sdk::event::Timestamp;
use flb_sidecar_sdk::{depth, msgpack};

use crate::read::docker_line::{self, Others};
use crate::read::json_line::{self, TimeKey};
use crate::read::timestamp::Clock;

/// How lines are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    /// A JSON object each.
    Json,
    /// `time stream P|F text`, as containerd and CRI-O write.
    Cri,
    /// A JSON object with `log`, `stream` and `time`, as Docker's `json-file` driver writes.
    Docker,
    /// `key=value key="quoted value"`.
    Logfmt,
}

/// Longest text joined from a container runtime's pieces, as in the host's multiline engine.
const LONGEST_JOINED: usize = 2 << 20;

/// Streams of a file whose pieces are joined at a time.
const MOST_STREAMS: usize = 4;

/// Decodes the lines of an instance.
#[derive(Debug)]
pub(crate) struct Decoder {
    pub(crate) format: Format,
    pub(crate) time_key: Option<String>,
    pub(crate) clock: Clock,
    pub(crate) keep_time: bool,
    /// Key of the text in records of container runtimes.
    pub(crate) key: String,
}

/// Pieces of a container's line, until its last one comes.
#[derive(Debug, Default)]
pub(crate) struct Joined {
    streams: Vec<Stream>,
}

#[derive(Debug)]
struct Stream {
    name: String,
    text: Vec<u8>,
    /// Offset of the first piece.
    start: u64,
    time: String,
    /// Other pairs of the first piece.
    others: Others,
}

impl Stream {
    /// What has come of it, as one line.
    fn whole(&self) -> Piece<'_> {
        Piece {
            stream: &self.name,
            time: &self.time,
            text: &self.text,
            others: self.others.clone(),
            start: self.start,
            last: true,
        }
    }
}

impl Joined {
    pub(crate) fn is_empty(&self) -> bool {
        self.streams.is_empty()
    }

    /// Bytes that wait, as far as they matter.
    pub(crate) fn len(&self) -> usize {
        let text = self.streams.iter().map(|stream| stream.text.len());
        text.sum()
    }

    /// Offset of the first piece that waits for its last one.
    pub(crate) fn start(&self) -> Option<u64> {
        self.streams.iter().map(|stream| stream.start).min()
    }
}

/// What became of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Decoded {
    /// The pairs were written, without their map's header.
    Pairs {
        count: usize,
        time: Option<Timestamp>,
        /// Where the text begins in the file.
        offset: u64,
    },
    /// It waits for more.
    Waits,
    /// It is not in this format; nothing was written.
    Foreign,
    /// It is nested deeper than a host reads; nothing was written.
    TooDeep,
}

/// A piece of a container's line, or all of it.
struct Piece<'a> {
    stream: &'a str,
    time: &'a str,
    text: &'a [u8],
    others: Others,
    start: u64,
    last: bool,
}

impl Decoder {
    /// Writes the pairs of `line`, which starts at `offset`, to `out`.
    pub(crate) fn line(
        &self,
        out: &mut Vec<u8>,
        joined: &mut Joined,
        offset: u64,
        line: &[u8],
    ) -> Decoded {
        let start = out.len();
        let decoded = match self.format {
            Format::Json => self.json(out, offset, line),
            Format::Logfmt => self.logfmt(out, offset, line),
            Format::Cri => self.cri(out, joined, offset, line),
            Format::Docker => self.docker(out, joined, offset, line),
        };
        decoded.unwrap_or_else(|| {
            out.truncate(start);
            if self.is_too_deep(line) {
                Decoded::TooDeep
            } else {
                Decoded::Foreign
            }
        })
    }

    /// Whether the record of a line that was not decoded would take those behind it with it: the host reads no
    /// further then.
    fn is_too_deep(&self, line: &[u8]) -> bool {
        let nests = matches!(self.format, Format::Json | Format::Docker);
        nests
            && !depth::json_fits(line, depth::MAX_BODY)
            && line.trim_ascii_start().starts_with(b"{")
    }

    /// What still waits, since its last piece never came.
    pub(crate) fn rest(&self, joined: &mut Joined) -> Vec<(Vec<u8>, Decoded)> {
        let streams = std::mem::take(&mut joined.streams);
        let record = |stream: Stream| {
            let mut pairs = Vec::new();
            let decoded = self.container(&mut pairs, stream.whole());
            (pairs, decoded)
        };
        streams.into_iter().map(record).collect()
    }

    fn json(&self, out: &mut Vec<u8>, offset: u64, line: &[u8]) -> Option<Decoded> {
        let time_key = TimeKey {
            key: self.time_key.as_deref(),
            clock: &self.clock,
            keep: self.keep_time,
        };
        let (count, time) = json_line::write(out, line, time_key)?;
        Some(Decoded::Pairs {
            count,
            time,
            offset,
        })
    }

    fn cri(
        &self,
        out: &mut Vec<u8>,
        joined: &mut Joined,
        offset: u64,
        line: &[u8],
    ) -> Option<Decoded> {
        let (time, stream, last, text) = cri_fields(line)?;
        let piece = Piece {
            stream,
            time,
            text,
            others: Others::default(),
            start: offset,
            last,
        };
        Some(self.join(out, joined, piece))
    }

    fn docker(
        &self,
        out: &mut Vec<u8>,
        joined: &mut Joined,
        offset: u64,
        line: &[u8],
    ) -> Option<Decoded> {
        let line = docker_line::read(line)?;
        let (text, last) = match line.text.strip_suffix(b"\n") {
            Some(text) => (text, true),
            None => (line.text.as_ref(), false),
        };
        let piece = Piece {
            stream: &line.stream,
            time: &line.time,
            text,
            others: line.others,
            start: offset,
            last,
        };
        Some(self.join(out, joined, piece))
    }

    fn join(&self, out: &mut Vec<u8>, joined: &mut Joined, piece: Piece<'_>) -> Decoded {
        let mut streams = joined.streams.iter();
        match streams.position(|stream| stream.name == piece.stream) {
            // A runtime has two.
            None if piece.last || joined.streams.len() >= MOST_STREAMS => {
                self.container(out, piece)
            }
            None => {
                joined.streams.push(Stream {
                    name: piece.stream.to_owned(),
                    text: piece.text.to_vec(),
                    start: piece.start,
                    time: piece.time.to_owned(),
                    others: piece.others,
                });
                Decoded::Waits
            }
            Some(at) => {
                let stream = &mut joined.streams[at];
                stream.text.extend_from_slice(piece.text);
                if !piece.last && stream.text.len() < LONGEST_JOINED {
                    return Decoded::Waits;
                }
                let stream = joined.streams.swap_remove(at);
                self.container(out, stream.whole())
            }
        }
    }

    /// A container's line: its stream, its text, whatever else it has, and its time if that is kept or
    /// not understood.
    fn container(&self, out: &mut Vec<u8>, line: Piece<'_>) -> Decoded {
        let read = self.clock.read(line.time);
        let mut count = 1 + line.others.count;
        if !line.stream.is_empty() {
            msgpack::write_str(out, "stream");
            msgpack::write_str(out, line.stream);
            count += 1;
        }
        if !line.time.is_empty() && (self.keep_time || read.is_none()) {
            msgpack::write_str(out, self.time_key.as_deref().unwrap_or("time"));
            msgpack::write_str(out, line.time);
            count += 1;
        }
        msgpack::write_str(out, &self.key);
        msgpack::write_bytes_as_str(out, line.text);
        out.extend_from_slice(&line.others.pairs);
        Decoded::Pairs {
            count,
            time: read,
            offset: line.start,
        }
    }

    fn logfmt(&self, out: &mut Vec<u8>, offset: u64, line: &[u8]) -> Option<Decoded> {
        let mut count = 0;
        let mut time = None;
        let mut rest = line.trim_ascii();
        while !rest.is_empty() {
            let end = rest
                .iter()
                .position(|byte| matches!(byte, b'=' | b' ' | b'\t'))
                .unwrap_or(rest.len());
            let (key, after) = rest.split_at(end);
            if key.is_empty() || key.contains(&b'"') {
                return None;
            }
            let pair_at = out.len();
            msgpack::write_bytes_as_str(out, key);
            let mut value: Cow<'_, [u8]> = Cow::Borrowed(&[]);
            rest = match after {
                [b'=', b'"', quoted @ ..] => {
                    let (text, after) = unquote(quoted)?;
                    msgpack::write_bytes_as_str(out, &text);
                    value = text;
                    after
                }
                [b'=', plain @ ..] => {
                    let end = plain
                        .iter()
                        .position(u8::is_ascii_whitespace)
                        .unwrap_or(plain.len());
                    msgpack::write_bytes_as_str(out, &plain[..end]);
                    value = Cow::Borrowed(&plain[..end]);
                    &plain[end..]
                }
                after => {
                    msgpack::write_bool(out, true);
                    after
                }
            };
            rest = rest.trim_ascii_start();
            count += 1;
            if self.time_key.as_deref().map(str::as_bytes) == Some(key) {
                time = std::str::from_utf8(&value)
                    .ok()
                    .and_then(|t| self.clock.read(t));
                if time.is_some() && !self.keep_time {
                    out.truncate(pair_at);
                    count -= 1;
                }
            }
        }
        (count > 0 || time.is_some()).then_some(Decoded::Pairs {
            count,
            time,
            offset,
        })
    }
}

/// Time, stream and text of a line that containerd or CRI-O wrote, and whether the text ends there.
pub(crate) fn cri_fields(line: &[u8]) -> Option<(&str, &str, bool, &[u8])> {
    let mut fields = line.splitn(4, |byte| *byte == b' ');
    let time = std::str::from_utf8(fields.next()?).ok()?;
    let stream = std::str::from_utf8(fields.next()?).ok()?;
    let tag = fields.next()?;
    let text = fields.next().unwrap_or_default();
    if !matches!(stream, "stdout" | "stderr") {
        return None;
    }
    let last = match tag.split(|byte| *byte == b':').next()? {
        b"F" => true,
        b"P" => false,
        _ => return None,
    };
    Some((time, stream, last, text))
}

/// The text up to the closing quote, and what follows it. `None`: there is no such quote.
fn unquote(text: &[u8]) -> Option<(Cow<'_, [u8]>, &[u8])> {
    let end = memchr::memchr2(b'"', b'\\', text)?;
    if text[end] == b'"' {
        return Some((Cow::Borrowed(&text[..end]), &text[end + 1..]));
    }
    let mut plain = text[..end].to_vec();
    let mut bytes = text[end..].iter().enumerate();
    while let Some((at, byte)) = bytes.next() {
        match byte {
            b'"' => return Some((Cow::Owned(plain), &text[end + at + 1..])),
            b'\\' => match bytes.next()?.1 {
                b'n' => plain.push(b'\n'),
                b't' => plain.push(b'\t'),
                b'r' => plain.push(b'\r'),
                other => plain.push(*other),
            },
            byte => plain.push(*byte),
        }
    }
    None
}
