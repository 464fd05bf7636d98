//! Single facts of a record, read or written without decoding it.

use flb_sidecar_sdk::msgpack::{read, skip, Value};
use flb_sidecar_sdk::ParsedTime;

use crate::hints::Stream;

/// The stream of a record, read as Fluent Bit's filter does: the first key that `stream` starts
/// with counts, and so does a value that `stdout` or `stderr` starts with.
pub(crate) fn stream(body: &[u8]) -> Stream {
    let Some((Value::Map(len), mut at)) = read(body, 0) else {
        return Stream::None;
    };
    for _ in 0..len {
        let Some((key, value)) = read(body, at) else {
            break;
        };
        match key {
            Value::String { start, end } if b"stream".starts_with(&body[start..end]) => {
                return match read(body, value) {
                    Some((Value::String { start, end }, _)) => {
                        let name = &body[start..end];
                        if b"stdout".starts_with(name) {
                            Stream::Stdout
                        } else if b"stderr".starts_with(name) {
                            Stream::Stderr
                        } else {
                            Stream::Unknown
                        }
                    }
                    _ => Stream::Unknown,
                };
            }
            _ => {}
        }
        let Some(end) = skip(body, at).and_then(|value| skip(body, value)) else {
            break;
        };
        at = end;
    }
    Stream::None
}

/// Copies the header of a record; with the time of a parser in place of its own.
pub(crate) fn write_header(header: &[u8], time: Option<ParsedTime>, out: &mut Vec<u8>) {
    let (Some(ParsedTime::At(time)), Some((Value::Array(2), mut at))) = (time, read(header, 0))
    else {
        out.extend_from_slice(header);
        return;
    };
    if let Some((Value::Array(2), inner)) = read(header, at) {
        at = inner;
    }
    let end = skip(header, at).unwrap_or(header.len());
    out.extend_from_slice(&header[..at]);
    out.extend_from_slice(&[0xd7, 0x00]);
    out.extend_from_slice(&time.seconds.to_be_bytes());
    out.extend_from_slice(&time.nanos.to_be_bytes());
    out.extend_from_slice(&header[end..]);
}
