//! Fluent Bit's log events: a chunk is a row of `[header, body]` arrays in msgpack.
//!
//! The header is a timestamp, or `[timestamp, metadata]` on hosts from 2.1.0 on. A timestamp is
//! the extension of type 0 with seconds and nanoseconds (big endian, 32 bits each), an unsigned
//! integer (seconds) or a float. From 3.1.0 on a chunk may hold *group markers*: records whose
//! seconds are -1 (start) or -2 (end); a filter passes them on byte for byte.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::msgpack::{self, Value};

/// Header form of the records an input writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RecordFormat {
    /// `[timestamp, body]`: hosts before 2.1.0.
    Legacy,
    /// `[[timestamp, metadata], body]`: hosts from 2.1.0 on.
    WithMetadata,
}

/// Seconds and nanoseconds since the epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Timestamp {
    /// Seconds since 1970-01-01 UTC.
    pub seconds: u32,
    /// Nanoseconds, below 1,000,000,000.
    pub nanos: u32,
}

impl Timestamp {
    /// The current time.
    pub fn now() -> Self {
        SystemTime::now().into()
    }
}

impl From<SystemTime> for Timestamp {
    fn from(time: SystemTime) -> Self {
        let since = time.duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
        Timestamp {
            seconds: u32::try_from(since.as_secs()).unwrap_or(u32::MAX),
            nanos: since.subsec_nanos(),
        }
    }
}

/// Writes the opening of a record: the outer array and the header. The body, one map, follows.
pub fn begin_record(out: &mut Vec<u8>, format: RecordFormat, time: Timestamp) {
    match format {
        RecordFormat::Legacy => out.push(0x92),
        RecordFormat::WithMetadata => out.extend_from_slice(&[0x92, 0x92]),
    }
    out.extend_from_slice(&[0xd7, 0x00]);
    out.extend_from_slice(&time.seconds.to_be_bytes());
    out.extend_from_slice(&time.nanos.to_be_bytes());
    if format == RecordFormat::WithMetadata {
        out.push(0x80);
    }
}

/// What a record of a chunk is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RecordKind {
    /// A log record: `body` is a map.
    Log,
    /// A group marker, or a record of a shape this project does not know: pass it on unchanged.
    Opaque,
}

/// One record inside a chunk, as offsets: `start..body` is the header, `body..end` the body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record {
    /// Offset of the outer array.
    pub start: usize,
    /// Offset of the body map.
    pub body: usize,
    /// Offset behind the record.
    pub end: usize,
    /// Whether the body may be touched.
    pub kind: RecordKind,
    /// Time of the record; `None` for opaque ones.
    pub time: Option<Timestamp>,
}

/// The chunk cannot be read from this offset on: truncated or not msgpack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Malformed {
    /// Where the unreadable rest starts.
    pub at: usize,
}

/// Iterates over the records of a chunk; ends behind the first [`Malformed`].
#[derive(Clone, Debug)]
pub struct Records<'a> {
    chunk: &'a [u8],
    at: usize,
}

/// The records of `chunk`.
pub fn records(chunk: &[u8]) -> Records<'_> {
    Records { chunk, at: 0 }
}

impl Iterator for Records<'_> {
    type Item = Result<Record, Malformed>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.at >= self.chunk.len() {
            return None;
        }
        let start = self.at;
        if let Some(record) = usual_record(self.chunk, start) {
            self.at = record.end;
            return Some(Ok(record));
        }
        let Some(end) = msgpack::skip(self.chunk, start) else {
            self.at = self.chunk.len();
            return Some(Err(Malformed { at: start }));
        };
        self.at = end;
        Some(Ok(log_record(self.chunk, start, end).unwrap_or(Record {
            start,
            body: end,
            end,
            kind: RecordKind::Opaque,
            time: None,
        })))
    }
}

/// The record at `start` if its header has one of the two forms that [`begin_record`] writes, as
/// nearly all have: the same as [`log_record`] in one look. `None`: it is to be read step by step.
fn usual_record(chunk: &[u8], start: usize) -> Option<Record> {
    let (time, body) = match chunk.get(start..)? {
        [0x92, 0x92, 0xd7, 0, time @ ..] => (time.first_chunk()?, start + 13),
        [0x92, 0xd7, 0, time @ ..] => (time.first_chunk()?, start + 11),
        _ => return None,
    };
    let metadata_is_empty = body == start + 11 || chunk.get(body - 1) == Some(&0x80);
    let is_map = matches!(chunk.get(body)?, 0x80..=0x8f | 0xde | 0xdf);
    if !(metadata_is_empty && is_map) {
        return None;
    }
    let time = event_time(*time)?;
    let end = msgpack::skip(chunk, body)?;
    Some(Record {
        start,
        body,
        end,
        kind: RecordKind::Log,
        time: Some(time),
    })
}

/// `None`: it is that of a group marker.
fn event_time(bytes: [u8; 8]) -> Option<Timestamp> {
    let both = u64::from_be_bytes(bytes);
    let (seconds, nanos) = ((both >> 32) as u32, both as u32);
    (!(seconds >= GROUP_END && nanos == 0)).then_some(Timestamp { seconds, nanos })
}

fn log_record(chunk: &[u8], start: usize, end: usize) -> Option<Record> {
    let (Value::Array(2), header) = msgpack::read(chunk, start)? else {
        return None;
    };
    let (first, inner) = msgpack::read(chunk, header)?;
    let time = match first {
        Value::Array(2) => read_time(chunk, inner)?,
        _ => read_time(chunk, header)?,
    };
    let body = msgpack::skip(chunk, header)?;
    let (Value::Map(_), _) = msgpack::read(chunk, body)? else {
        return None;
    };
    Some(Record {
        start,
        body,
        end,
        kind: RecordKind::Log,
        time: Some(time),
    })
}

/// `None` for group markers and for what is no timestamp.
fn read_time(chunk: &[u8], at: usize) -> Option<Timestamp> {
    match msgpack::read(chunk, at)?.0 {
        Value::Extension {
            kind: 0,
            start,
            end,
        } if end - start == 8 => event_time(*chunk[start..].first_chunk()?),
        Value::Unsigned(n) => Some(Timestamp {
            seconds: u32::try_from(n).unwrap_or(u32::MAX),
            nanos: 0,
        }),
        Value::Float(bits) => {
            let seconds = f64::from_bits(bits);
            (seconds >= 0.0).then(|| Timestamp {
                seconds: seconds as u32,
                nanos: ((seconds.fract() * 1e9) as u32).min(999_999_999),
            })
        }
        _ => None,
    }
}

/// Seconds of a group end (-2); a group start is -1, the next higher value.
const GROUP_END: u32 = 0xffff_fffe;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn record(format: RecordFormat, seconds: u32) -> Vec<u8> {
        let mut out = Vec::new();
        begin_record(&mut out, format, Timestamp { seconds, nanos: 7 });
        out.extend_from_slice(&[0x81, 0xa1, b'k', 0xa1, b'v']);
        out
    }

    #[test]
    fn both_header_forms_are_read_from_one_chunk() {
        let mut chunk = record(RecordFormat::Legacy, 1);
        let first = chunk.len();
        chunk.extend(record(RecordFormat::WithMetadata, 2));
        let read: Vec<Record> = records(&chunk).map(Result::unwrap).collect();
        assert_eq!(read.len(), 2);
        assert_eq!((read[0].start, read[0].end), (0, first));
        assert_eq!(chunk[read[0].body], 0x81);
        assert_eq!(chunk[read[1].body], 0x81);
        assert_eq!(
            read[1].time,
            Some(Timestamp {
                seconds: 2,
                nanos: 7
            })
        );
    }

    #[test]
    fn group_markers_are_opaque() {
        for seconds in [0xffff_ffffu32, 0xffff_fffe] {
            let mut chunk = Vec::new();
            begin_record(
                &mut chunk,
                RecordFormat::WithMetadata,
                Timestamp { seconds, nanos: 0 },
            );
            chunk.push(0x80);
            let read = records(&chunk).next().unwrap().unwrap();
            assert_eq!(read.kind, RecordKind::Opaque);
        }
    }

    #[test]
    fn integer_and_float_times_are_log_records() {
        for header in [&[0x05u8][..], &[0xcb, 0x3f, 0xf8, 0, 0, 0, 0, 0, 0]] {
            let mut chunk = vec![0x92];
            chunk.extend_from_slice(header);
            chunk.push(0x80);
            let read = records(&chunk).next().unwrap().unwrap();
            assert_eq!(read.kind, RecordKind::Log, "{header:x?}");
        }
    }

    #[test]
    fn a_truncated_chunk_yields_what_is_whole_and_then_where_it_breaks() {
        let mut chunk = record(RecordFormat::WithMetadata, 1);
        let first = chunk.len();
        chunk.extend(record(RecordFormat::WithMetadata, 2));
        chunk.pop();
        let read: Vec<_> = records(&chunk).collect();
        assert_eq!(read.len(), 2);
        assert!(read[0].is_ok());
        assert_eq!(read[1], Err(Malformed { at: first }));
    }

    proptest! {
        #[test]
        fn usual_headers_are_read_as_all_others(
            head in prop_oneof![Just(&[0x92u8, 0x92, 0xd7, 0][..]), Just(&[0x92, 0xd7, 0][..])],
            time in prop_oneof![any::<u64>(), Just(0xffff_ffff_0000_0000), Just(0xffff_fffe_0000_0000)],
            metadata in prop_oneof![Just(&[0x80u8][..]), Just(&[0x81, 1, 2][..]), Just(&[][..])],
            body in proptest::collection::vec(prop_oneof![Just(0x80u8), Just(0x81), Just(0xa1), any::<u8>()], 0..12),
        ) {
            let mut chunk = [head, &time.to_be_bytes(), metadata, &body].concat();
            for len in (0..=chunk.len()).rev() {
                chunk.truncate(len);
                if let Some(record) = usual_record(&chunk, 0) {
                    prop_assert_eq!(msgpack::skip(&chunk, 0), Some(record.end));
                    prop_assert_eq!(log_record(&chunk, 0, record.end), Some(record));
                }
            }
        }
    }
}
