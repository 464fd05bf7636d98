//! JSON ↔ msgpack for cases, reports and diagnostics. Not for hot paths.

use serde_json::{Map, Number, Value as Json};

use crate::msgpack::{self, Value};

/// Writes a JSON value as msgpack; objects keep their order.
pub fn write(out: &mut Vec<u8>, json: &Json) {
    match json {
        Json::Null => out.push(0xc0),
        Json::Bool(value) => msgpack::write_bool(out, *value),
        Json::Number(n) => {
            if let Some(n) = n.as_i64() {
                msgpack::write_int(out, n);
            } else if let Some(n) = n.as_u64() {
                msgpack::write_uint(out, n);
            } else {
                out.push(0xcb);
                let float = n.as_f64().unwrap_or(f64::NAN);
                out.extend_from_slice(&float.to_bits().to_be_bytes());
            }
        }
        Json::String(text) => msgpack::write_str(out, text),
        Json::Array(items) => {
            msgpack::write_array_len(out, items.len());
            for item in items {
                write(out, item);
            }
        }
        Json::Object(map) => {
            msgpack::write_map_len(out, map.len());
            for (key, value) in map {
                msgpack::write_str(out, key);
                write(out, value);
            }
        }
    }
}

/// Deepest nesting that [`read`] takes: it recurses, for values of cases and reports only.
const MAX_DEPTH: usize = 128;

/// Reads the value at `at` as JSON, and where it ends. Bytes that are not UTF-8 are replaced;
/// binaries and extensions become a string of hexadecimal digits. `None`: truncated, invalid or
/// nested deeper than 128 containers.
pub fn read(buf: &[u8], at: usize) -> Option<(Json, usize)> {
    read_nested(buf, at, 0)
}

fn read_nested(buf: &[u8], at: usize, depth: usize) -> Option<(Json, usize)> {
    if depth > MAX_DEPTH {
        return None;
    }
    let (value, next) = msgpack::read(buf, at)?;
    let json = match value {
        Value::Nil => Json::Null,
        Value::Boolean(value) => Json::Bool(value),
        Value::Unsigned(n) => Json::from(n),
        Value::Negative(n) => Json::from(n),
        Value::Float(bits) => Number::from_f64(f64::from_bits(bits)).map_or(Json::Null, Json::from),
        Value::String { start, end } => {
            Json::from(String::from_utf8_lossy(&buf[start..end]).into_owned())
        }
        Value::Binary { start, end } | Value::Extension { start, end, .. } => {
            Json::from(buf[start..end].iter().fold(String::new(), |mut hex, b| {
                use std::fmt::Write as _;
                // Writing to a String does not fail.
                let _ = write!(hex, "{b:02x}");
                hex
            }))
        }
        Value::Array(len) => {
            let mut items = Vec::new();
            let mut at = next;
            for _ in 0..len {
                let (item, end) = read_nested(buf, at, depth + 1)?;
                items.push(item);
                at = end;
            }
            return Some((Json::Array(items), at));
        }
        Value::Map(pairs) => {
            let mut map = Map::new();
            let mut at = next;
            for _ in 0..pairs {
                let (key, end) = read_nested(buf, at, depth + 1)?;
                let (item, end) = read_nested(buf, end, depth + 1)?;
                let key = match key {
                    Json::String(key) => key,
                    other => other.to_string(),
                };
                map.insert(key, item);
                at = end;
            }
            return Some((Json::Object(map), at));
        }
    };
    Some((json, next))
}
