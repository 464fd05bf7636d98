//! Lines that are more than text: JSON, logfmt, and what container runtimes write.

use std::borrow::Cow;

use flb_sidecar_sdk::event::Timestamp;
use flb_sidecar_sdk::msgpack;
use serde::Deserialize;

use crate::clock::Clock;
use crate::json_line::{self, TimeKey};

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
}

impl Joined {
    pub(crate) fn is_empty(&self) -> bool {
        self.streams.is_empty()
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
    },
    /// It waits for more.
    Waits,
    /// It is not in this format; nothing was written.
    Foreign,
}

#[derive(Deserialize)]
struct DockerLine<'a> {
    #[serde(borrow)]
    log: Cow<'a, str>,
    #[serde(borrow, default)]
    stream: Cow<'a, str>,
    #[serde(borrow, default)]
    time: Cow<'a, str>,
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
            Format::Json => self.json(out, line),
            Format::Logfmt => self.logfmt(out, line),
            Format::Cri => self.cri(out, joined, offset, line),
            Format::Docker => self.docker(out, joined, offset, line),
        };
        decoded.unwrap_or_else(|| {
            out.truncate(start);
            Decoded::Foreign
        })
    }

    /// What still waits, since its last piece never came: where it starts, and its pairs.
    pub(crate) fn rest(&self, joined: &mut Joined) -> Vec<(u64, Vec<u8>, Decoded)> {
        let streams = std::mem::take(&mut joined.streams);
        let record = |stream: Stream| {
            let mut pairs = Vec::new();
            let decoded = self.container(&mut pairs, &stream.name, &stream.time, &stream.text);
            (stream.start, pairs, decoded)
        };
        streams.into_iter().map(record).collect()
    }

    fn json(&self, out: &mut Vec<u8>, line: &[u8]) -> Option<Decoded> {
        let time_key = TimeKey {
            key: self.time_key.as_deref(),
            clock: &self.clock,
            keep: self.keep_time,
        };
        let (count, time) = json_line::write(out, line, time_key)?;
        Some(Decoded::Pairs { count, time })
    }

    fn cri(
        &self,
        out: &mut Vec<u8>,
        joined: &mut Joined,
        offset: u64,
        line: &[u8],
    ) -> Option<Decoded> {
        let (time, stream, last, text) = cri_fields(line)?;
        Some(self.join(out, joined, offset, (stream, time), text, last))
    }

    fn docker(
        &self,
        out: &mut Vec<u8>,
        joined: &mut Joined,
        offset: u64,
        line: &[u8],
    ) -> Option<Decoded> {
        let line: DockerLine<'_> = serde_json::from_slice(line).ok()?;
        let (text, last) = match line.log.strip_suffix('\n') {
            Some(text) => (text, true),
            None => (line.log.as_ref(), false),
        };
        let about = (line.stream.as_ref(), line.time.as_ref());
        Some(self.join(out, joined, offset, about, text.as_bytes(), last))
    }

    fn join(
        &self,
        out: &mut Vec<u8>,
        joined: &mut Joined,
        offset: u64,
        (name, time): (&str, &str),
        text: &[u8],
        last: bool,
    ) -> Decoded {
        let at = joined.streams.iter().position(|stream| stream.name == name);
        match at {
            None if last => self.container(out, name, time, text),
            None => {
                joined.streams.push(Stream {
                    name: name.to_owned(),
                    text: text.to_vec(),
                    start: offset,
                    time: time.to_owned(),
                });
                Decoded::Waits
            }
            Some(at) => {
                let stream = &mut joined.streams[at];
                stream.text.extend_from_slice(text);
                if !last && stream.text.len() < LONGEST_JOINED {
                    return Decoded::Waits;
                }
                let stream = joined.streams.swap_remove(at);
                self.container(out, &stream.name, &stream.time, &stream.text)
            }
        }
    }

    /// A container's line: its stream, its text, and its time if that is kept or not understood.
    fn container(&self, out: &mut Vec<u8>, stream: &str, time: &str, text: &[u8]) -> Decoded {
        let read = self.clock.read(time);
        let mut count = 1;
        if !stream.is_empty() {
            msgpack::write_str(out, "stream");
            msgpack::write_str(out, stream);
            count += 1;
        }
        if !time.is_empty() && (self.keep_time || read.is_none()) {
            msgpack::write_str(out, self.time_key.as_deref().unwrap_or("time"));
            msgpack::write_str(out, time);
            count += 1;
        }
        msgpack::write_str(out, &self.key);
        msgpack::write_bytes_as_str(out, text);
        Decoded::Pairs { count, time: read }
    }

    fn logfmt(&self, out: &mut Vec<u8>, line: &[u8]) -> Option<Decoded> {
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
        (count > 0 || time.is_some()).then_some(Decoded::Pairs { count, time })
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
