//! The older ways of `tail` to join lines: `multiline` with `parser_firstline`, and
//! `docker_mode`. Both use the host's parsers, so they run on the host's thread.

use std::borrow::Cow;
use std::ops::Range;

use flb_sidecar_sdk::event::{self, RecordFormat, Timestamp};
use flb_sidecar_sdk::msgpack::{self, Value};
use flb_sidecar_sdk::{Multiline, ParsedTime, Parser};
use serde::Deserialize;
use serde_json::value::RawValue;

/// Longest text of one record, as in the host's multiline engine.
const LONGEST: usize = 2 << 20;

/// `multiline`: a line that the first parser matches begins a record. What follows and no other
/// parser matches is added to the record's last text.
pub(crate) struct FirstLine {
    pub(crate) first: Box<dyn Parser>,
    pub(crate) others: Vec<Box<dyn Parser>>,
    pub(crate) format: RecordFormat,
    /// Key of a line that stays text.
    pub(crate) key: String,
    pub(crate) pending: Option<Pending>,
}

/// A record that may get more lines.
pub(crate) struct Pending {
    time: Timestamp,
    count: usize,
    /// The pairs without their map's header.
    pairs: Vec<u8>,
    /// Lines behind, each with a newline before it.
    more: Vec<u8>,
}

impl Multiline for FirstLine {
    fn push(&mut self, line: &[u8], time: Timestamp, out: &mut Vec<u8>) -> usize {
        let mut fields = Vec::new();
        if let Some(parsed) = self.first.parse(line, &mut fields) {
            let made = self.flush(out);
            if let Some((count, pairs)) = pairs_of(&fields) {
                self.pending = Some(Pending {
                    time: time_or(parsed, time),
                    count,
                    pairs: pairs.to_vec(),
                    more: Vec::new(),
                });
            }
            return made;
        }
        let Some(pending) = &mut self.pending else {
            // There is nothing that it could go on with.
            plain(out, self.format, time, &self.key, line);
            return 1;
        };
        let others = &mut self.others;
        if others
            .iter_mut()
            .any(|p| p.parse(line, &mut fields).is_some())
        {
            if let Some((count, pairs)) = pairs_of(&fields) {
                pending.count += count;
                pending.pairs.extend_from_slice(pairs);
            }
        } else {
            pending.more.push(b'\n');
            pending.more.extend_from_slice(line);
        }
        if pending.more.len() + pending.pairs.len() > LONGEST {
            return self.flush(out);
        }
        0
    }

    fn flush(&mut self, out: &mut Vec<u8>) -> usize {
        let Some(pending) = self.pending.take() else {
            return 0;
        };
        event::begin_record(out, self.format, pending.time);
        msgpack::write_map_len(out, pending.count);
        match last_text(&pending).filter(|_| !pending.more.is_empty()) {
            Some((at, start, end)) => {
                out.extend_from_slice(&pending.pairs[..at]);
                msgpack::write_str_len(out, end - start + pending.more.len());
                out.extend_from_slice(&pending.pairs[start..end]);
                out.extend_from_slice(&pending.more);
                out.extend_from_slice(&pending.pairs[end..]);
            }
            None => out.extend_from_slice(&pending.pairs),
        }
        1
    }

    fn is_pending(&self) -> Option<bool> {
        Some(self.pending.is_some())
    }
}

/// Where the last value that is a text is: its header, its first byte and its end.
fn last_text(pending: &Pending) -> Option<(usize, usize, usize)> {
    let mut at = 0;
    let mut found = None;
    for _ in 0..pending.count {
        let value = msgpack::skip(&pending.pairs, at)?;
        if let Value::String { start, end } = msgpack::read(&pending.pairs, value)?.0 {
            found = Some((value, start, end));
        }
        at = msgpack::skip(&pending.pairs, value)?;
    }
    found
}

/// `docker_mode`: puts the pieces of Docker's JSON lines together again, then parses the line.
/// With a parser for first lines (`docker_mode_parser`), whole lines are added, too, until one
/// comes that it matches; lines before the first such one are records of their own.
pub(crate) struct DockerMode {
    pub(crate) first: Option<Box<dyn Parser>>,
    pub(crate) parser: Option<Box<dyn Parser>>,
    pub(crate) format: RecordFormat,
    /// Key of a line that stays text.
    pub(crate) key: String,
    pub(crate) first_seen: bool,
    pub(crate) pending: Option<Pieces>,
}

/// Pieces of a record.
pub(crate) struct Pieces {
    time: Timestamp,
    /// The newest piece as it was written. The record is this line with all texts in place of its.
    line: Vec<u8>,
    /// Where the text is in it, without its quotes.
    text_at: Range<usize>,
    /// The texts, escaped as they were.
    text: Vec<u8>,
    /// The last of them ended a line.
    complete: bool,
}

#[derive(Deserialize)]
struct DockerLine<'a> {
    #[serde(borrow)]
    log: &'a RawValue,
}

/// Where the text of a Docker line is, and whether it ends a line.
fn docker_text(line: &[u8]) -> Option<(Range<usize>, bool)> {
    let line = std::str::from_utf8(line).ok()?;
    let raw = serde_json::from_str::<DockerLine<'_>>(line).ok()?.log.get();
    let text: Cow<'_, str> = serde_json::from_str(raw).ok()?;
    let start = raw.as_ptr() as usize - line.as_ptr() as usize + 1;
    Some((start..start + raw.len() - 2, text.ends_with('\n')))
}

impl Multiline for DockerMode {
    fn push(&mut self, line: &[u8], time: Timestamp, out: &mut Vec<u8>) -> usize {
        let mut made = 0;
        if let Some(first) = &mut self.first {
            let begins = first.parse(line, &mut Vec::new()).is_some();
            self.first_seen |= begins;
            let whole = self.pending.as_ref().is_some_and(|p| p.complete);
            if whole && (begins || !self.first_seen) {
                made += self.flush(out);
            }
        }
        let Some((text_at, complete)) = docker_text(line) else {
            made += self.flush(out);
            self.write(out, time, line);
            return made + 1;
        };
        let mut text = self.pending.take().map_or_else(Vec::new, |p| p.text);
        text.extend_from_slice(&line[text_at.clone()]);
        let too_long = text.len() > LONGEST;
        self.pending = Some(Pieces {
            time,
            line: line.to_vec(),
            text_at,
            text,
            complete,
        });
        if too_long || complete && self.first.is_none() {
            made += self.flush(out);
        }
        made
    }

    fn flush(&mut self, out: &mut Vec<u8>) -> usize {
        let Some(pieces) = self.pending.take() else {
            return 0;
        };
        let mut line = pieces.line;
        line.splice(pieces.text_at, pieces.text);
        self.write(out, pieces.time, &line);
        1
    }

    fn is_pending(&self) -> Option<bool> {
        Some(self.pending.is_some())
    }
}

impl DockerMode {
    fn write(&mut self, out: &mut Vec<u8>, time: Timestamp, line: &[u8]) {
        let mut fields = Vec::new();
        let parsed = self
            .parser
            .as_mut()
            .and_then(|p| p.parse(line, &mut fields));
        match parsed {
            Some(parsed) => {
                event::begin_record(out, self.format, time_or(parsed, time));
                out.extend_from_slice(&fields);
            }
            None => plain(out, self.format, time, &self.key, line),
        }
    }
}

fn pairs_of(fields: &[u8]) -> Option<(usize, &[u8])> {
    match msgpack::read(fields, 0)? {
        (Value::Map(count), body) => Some((count, &fields[body..])),
        _ => None,
    }
}

fn time_or(parsed: ParsedTime, time: Timestamp) -> Timestamp {
    match parsed {
        ParsedTime::At(parsed) => parsed,
        ParsedTime::Absent => time,
    }
}

fn plain(out: &mut Vec<u8>, format: RecordFormat, time: Timestamp, key: &str, line: &[u8]) {
    event::begin_record(out, format, time);
    msgpack::write_map_len(out, 1);
    msgpack::write_str(out, key);
    msgpack::write_bytes_as_str(out, line);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Matches what begins with a letter: `text` and the time.
    struct Prefix(u8, &'static str);

    impl Parser for Prefix {
        fn parse(&mut self, text: &[u8], fields: &mut Vec<u8>) -> Option<ParsedTime> {
            let rest = text.strip_prefix(&[self.0])?;
            msgpack::write_map_len(fields, 1);
            msgpack::write_str(fields, self.1);
            msgpack::write_bytes_as_str(fields, rest);
            Some(ParsedTime::Absent)
        }
    }

    fn run(join: &mut dyn Multiline, lines: &[&str]) -> Vec<String> {
        let mut out = Vec::new();
        let time = Timestamp {
            seconds: 1,
            nanos: 0,
        };
        let mut made = 0;
        for line in lines {
            made += join.push(line.as_bytes(), time, &mut out);
        }
        made += join.flush(&mut out);
        let bodies: Vec<String> = event::records(&out)
            .map(|r| {
                flb_sidecar_sdk::json::read(&out, r.unwrap().body)
                    .unwrap()
                    .0
                    .to_string()
            })
            .collect();
        assert_eq!(bodies.len(), made);
        bodies
    }

    #[test]
    fn first_lines_begin_records() {
        let mut join = FirstLine {
            first: Box::new(Prefix(b'A', "text")),
            others: vec![Box::new(Prefix(b'B', "other"))],
            format: RecordFormat::WithMetadata,
            key: "log".to_owned(),
            pending: None,
        };
        assert_eq!(
            run(
                &mut join,
                &["lone", "Aone", " more", "Bthing", "end", "Atwo"]
            ),
            [
                r#"{"log":"lone"}"#,
                r#"{"text":"one","other":"thing\n more\nend"}"#,
                r#"{"text":"two"}"#
            ]
        );
    }

    fn docker(first: Option<Box<dyn Parser>>) -> DockerMode {
        DockerMode {
            first,
            parser: None,
            format: RecordFormat::WithMetadata,
            key: "line".to_owned(),
            first_seen: false,
            pending: None,
        }
    }

    #[test]
    fn docker_pieces_are_put_together() {
        assert_eq!(
            run(
                &mut docker(None),
                &[
                    r#"{ "log":"\u00e9ne ","time":1}"#,
                    r#"{ "log":"t\\\nwo\n", "time":2.0}"#,
                    "plain",
                    r#"{"log":"half\\n"}"#
                ]
            ),
            [
                r#"{"line":"{ \"log\":\"\\u00e9ne t\\\\\\nwo\\n\", \"time\":2.0}"}"#,
                r#"{"line":"plain"}"#,
                r#"{"line":"{\"log\":\"half\\\\n\"}"}"#
            ]
        );
    }

    /// Matches Docker lines whose text begins with a digit.
    struct Numbered;

    impl Parser for Numbered {
        fn parse(&mut self, text: &[u8], _fields: &mut Vec<u8>) -> Option<ParsedTime> {
            let text = text.strip_prefix(br#"{"log":""#)?;
            text.first()?.is_ascii_digit().then_some(ParsedTime::Absent)
        }
    }

    #[test]
    fn docker_lines_are_added_to_a_first_line() {
        assert_eq!(
            run(
                &mut docker(Some(Box::new(Numbered))),
                &[
                    r#"{"log":"before\n"}"#,
                    r#"{"log":"still before\n"}"#,
                    r#"{"log":"1 one\n"}"#,
                    r#"{"log":" two "}"#,
                    r#"{"log":"3 is a piece of two\n"}"#,
                    r#"{"log":"4 four\n"}"#,
                    r#"{"log":" five\n","last":true}"#,
                    "plain",
                    r#"{"log":"behind\n"}"#,
                ]
            ),
            [
                r#"{"line":"{\"log\":\"before\\n\"}"}"#,
                r#"{"line":"{\"log\":\"still before\\n\"}"}"#,
                r#"{"line":"{\"log\":\"1 one\\n two 3 is a piece of two\\n\"}"}"#,
                r#"{"line":"{\"log\":\"4 four\\n five\\n\",\"last\":true}"}"#,
                r#"{"line":"plain"}"#,
                r#"{"line":"{\"log\":\"behind\\n\"}"}"#,
            ]
        );
    }
}
