//! `merge_log`: what the field `log` holds becomes fields of its own.

use flb_sidecar_sdk::depth;
use flb_sidecar_sdk::msgpack::{read, skip, write_bytes_as_str, write_str, Value};
use flb_sidecar_sdk::{ParsedTime, Parser, Settings};

use crate::encode::Content;
use crate::json::{trimmed_len, write_len, JsonReader, Object};

/// The options, and buffers that are kept between records.
#[derive(Debug)]
pub(crate) struct MergeLog {
    key: Option<String>,
    /// That key may be the name of a field that records get.
    key_is_name: bool,
    trim: bool,
    keep: bool,
    json: JsonReader,
    parsed: Vec<u8>,
}

/// What became of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Merged {
    /// Number of pairs that the record has now.
    pub(crate) len: usize,
    /// A parser found this time.
    pub(crate) time: Option<ParsedTime>,
    /// Some key is not in the record's bytes as it stands.
    pub(crate) has_new_key: bool,
}

/// What `log` was found to be.
enum Log {
    /// Text that holds no fields.
    Plain,
    /// Neither text nor map.
    Other,
    /// A JSON object, whose pairs were appended.
    Json(Object),
    /// Fields that a parser found, this many, which were appended.
    Parsed(usize, ParsedTime),
    /// The record's own map.
    Map(usize),
}

impl MergeLog {
    /// `None`: off.
    pub(crate) fn new(settings: &Settings, content: &Content) -> Option<Self> {
        if !settings.boolean("merge_log") {
            return None;
        }
        let key = settings
            .string("merge_log_key")
            .filter(|key| !key.is_empty());
        Some(MergeLog {
            key: key.map(str::to_owned),
            key_is_name: key.is_some_and(|key| content.may_be_in(key.as_bytes())),
            trim: settings.boolean("merge_log_trim"),
            keep: settings.boolean("keep_log"),
            json: JsonReader::default(),
            parsed: Vec::new(),
        })
    }

    /// Merges the record whose body is the map `body`, with `parser` or as JSON: appends its pairs
    /// to `out`, without a map header. `None`: the record stays as it is, and so does `out`.
    pub(crate) fn merge(
        &mut self,
        body: &[u8],
        parser: Option<&mut dyn Parser>,
        out: &mut Vec<u8>,
    ) -> Option<Merged> {
        let (Value::Map(len), first) = read(body, 0)? else {
            return None;
        };
        let (key, value, end) = find_log(body, len, first)?;
        // What was the body of `log` is that of the record, or a field of it.
        let levels = depth::MAX_BODY - usize::from(self.key.is_some());
        let before = out.len();
        let mut len = len;
        if self.keep {
            out.extend_from_slice(&body[first..]);
        } else {
            out.extend_from_slice(&body[first..key]);
            out.extend_from_slice(&body[end..]);
            len -= 1;
        }
        let behind = out.len();
        // The header of the inner map: one byte, which grows if that is not enough.
        let head = self.key.as_ref().map(|name| {
            write_str(out, name);
            out.push(0);
            out.len() - 1
        });
        let (added, time, new_key) = match self.read_log(body, value, levels, parser, out) {
            // As in Fluent Bit's own filter a `log` that is neither text nor map is dropped
            // where merged ones are.
            Log::Other if !self.keep => (0, None, false),
            Log::Plain | Log::Other => {
                out.truncate(before);
                return None;
            }
            Log::Json(object) => (object.len, None, object.escaped_key),
            Log::Parsed(added, time) => (added, Some(time), true),
            Log::Map(added) => (added, None, false),
        };
        match head {
            Some(_) if added == 0 => out.truncate(behind),
            Some(head) => {
                write_len(out, head, added, 0x80, 0xde)?;
                len += 1;
            }
            None => len += added,
        }
        Some(Merged {
            len,
            time,
            has_new_key: new_key || self.key_is_name,
        })
    }

    fn read_log(
        &mut self,
        body: &[u8],
        value: usize,
        levels: usize,
        parser: Option<&mut dyn Parser>,
        out: &mut Vec<u8>,
    ) -> Log {
        match read(body, value) {
            Some((Value::String { start, end }, _)) => {
                let text = &body[start..end];
                let Some(parser) = parser else {
                    return match self.json.object(text, levels, self.trim, out) {
                        Some(object) => Log::Json(object),
                        None => Log::Plain,
                    };
                };
                self.parsed.clear();
                let Some(time) = parser.parse(text, &mut self.parsed) else {
                    return Log::Plain;
                };
                // The host's parsers know no limit.
                if !depth::fits(&self.parsed, 0, levels) {
                    return Log::Plain;
                }
                match append_pairs(&self.parsed, self.trim, out) {
                    Some(added) => Log::Parsed(added, time),
                    None => Log::Plain,
                }
            }
            Some((Value::Map(added), first)) => match skip(body, value) {
                Some(end) => {
                    out.extend_from_slice(&body[first..end]);
                    Log::Map(added)
                }
                None => Log::Plain,
            },
            _ => Log::Other,
        }
    }
}

/// Where the first pair `log` has its key, its value and its end.
fn find_log(body: &[u8], len: usize, first: usize) -> Option<(usize, usize, usize)> {
    let mut at = first;
    for _ in 0..len {
        let value = skip(body, at)?;
        let end = skip(body, value)?;
        if matches!(read(body, at), Some((Value::String { start, end }, _)) if &body[start..end] == b"log")
        {
            return Some((at, value, end));
        }
        at = end;
    }
    None
}

/// Appends the pairs of a map, its string values trimmed if asked for. `None`: no whole map, and
/// nothing was appended.
fn append_pairs(map: &[u8], trim: bool, out: &mut Vec<u8>) -> Option<usize> {
    let (Value::Map(len), first) = read(map, 0)? else {
        return None;
    };
    let end = skip(map, 0)?;
    if !trim {
        out.extend_from_slice(&map[first..end]);
        return Some(len);
    }
    let mut at = first;
    for _ in 0..len {
        let value = skip(map, at)?;
        let next = skip(map, value)?;
        out.extend_from_slice(&map[at..value]);
        match read(map, value)? {
            (Value::String { start, end }, _) => {
                let text = &map[start..end];
                write_bytes_as_str(out, &text[..trimmed_len(text)]);
            }
            _ => out.extend_from_slice(&map[value..next]),
        }
        at = next;
    }
    Some(len)
}
