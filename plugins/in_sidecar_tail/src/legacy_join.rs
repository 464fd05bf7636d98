//! The older ways of `tail` to join lines: `multiline` with `parser_firstline`, and
//! `docker_mode`. Both use the host's parsers, so they run on the host's thread.

use flb_sidecar_sdk::event::{self, RecordFormat, Timestamp};
use flb_sidecar_sdk::msgpack::{self, Value};
use flb_sidecar_sdk::{Multiline, ParsedTime, Parser};

/// Longest text of one record, as in the host's multiline engine.
const LONGEST: usize = 2 << 20;

/// `multiline`: a line that the first parser matches begins a record. What follows and no other
/// parser matches is added to the record's last text.
pub(crate) struct FirstLine {
    pub(crate) first: Box<dyn Parser>,
    pub(crate) others: Vec<Box<dyn Parser>>,
    pub(crate) format: RecordFormat,
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
            plain(out, self.format, time, line);
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
pub(crate) struct DockerMode {
    pub(crate) parser: Option<Box<dyn Parser>>,
    pub(crate) format: RecordFormat,
    pub(crate) pending: Option<(
        Timestamp,
        serde_json::Map<String, serde_json::Value>,
        String,
    )>,
}

impl Multiline for DockerMode {
    fn push(&mut self, line: &[u8], time: Timestamp, out: &mut Vec<u8>) -> usize {
        let object: Option<serde_json::Map<String, serde_json::Value>> =
            serde_json::from_slice(line).ok();
        let Some((object, text)) = object.and_then(|object| {
            let text = object.get("log")?.as_str()?.to_owned();
            Some((object, text))
        }) else {
            let made = self.flush(out);
            self.write(out, time, line);
            return made + 1;
        };
        let (_, _, joined) = self
            .pending
            .get_or_insert_with(|| (time, object, String::new()));
        joined.push_str(&text);
        if text.ends_with('\n') || joined.len() > LONGEST {
            return self.flush(out);
        }
        0
    }

    fn flush(&mut self, out: &mut Vec<u8>) -> usize {
        let Some((time, mut object, joined)) = self.pending.take() else {
            return 0;
        };
        if let Some(log) = object.get_mut("log") {
            *log = joined.into();
        }
        let line = serde_json::Value::Object(object).to_string();
        self.write(out, time, line.as_bytes());
        1
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
            None => plain(out, self.format, time, line),
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

fn plain(out: &mut Vec<u8>, format: RecordFormat, time: Timestamp, line: &[u8]) {
    event::begin_record(out, format, time);
    msgpack::write_map_len(out, 1);
    msgpack::write_str(out, "log");
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

    #[test]
    fn docker_pieces_are_put_together() {
        let mut join = DockerMode {
            parser: None,
            format: RecordFormat::WithMetadata,
            pending: None,
        };
        assert_eq!(
            run(
                &mut join,
                &[
                    r#"{"log":"one ","stream":"stdout"}"#,
                    r#"{"log":"two\n","stream":"stdout"}"#,
                    "plain",
                    r#"{"log":"half"}"#
                ]
            ),
            [
                r#"{"log":"{\"log\":\"one two\\n\",\"stream\":\"stdout\"}"}"#,
                r#"{"log":"plain"}"#,
                r#"{"log":"{\"log\":\"half\"}"}"#
            ]
        );
    }
}
