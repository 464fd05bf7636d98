//! JSON lines to msgpack in one pass, without a tree in between.

use std::fmt;

use flb_sidecar_sdk::event::Timestamp;
use flb_sidecar_sdk::{depth, msgpack};
use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};

use crate::read::json_repair;
use crate::read::timestamp::Clock;

/// What to do with one key of the outermost object.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TimeKey<'a> {
    pub(crate) key: Option<&'a str>,
    pub(crate) clock: &'a Clock,
    pub(crate) keep: bool,
}

/// Writes the pairs of the object in `line`, without a map's header; returns their number and
/// the time. `None`: it is not one JSON object, or nested deeper than a host reads; what was written is to be
/// taken back.
pub(crate) fn write(
    out: &mut Vec<u8>,
    line: &[u8],
    time_key: TimeKey<'_>,
) -> Option<(usize, Option<Timestamp>)> {
    let start = out.len();
    // Checked at once, not string by string.
    let plain = std::str::from_utf8(line).ok();
    if let Some(pairs) = plain.and_then(|line| read(out, line, time_key)) {
        return Some(pairs);
    }
    let mended = json_repair::mend(line)?;
    out.truncate(start);
    let pairs = read(out, &mended, time_key)?;
    json_repair::restore(out, start);
    Some(pairs)
}

fn read(
    out: &mut Vec<u8>,
    line: &str,
    time_key: TimeKey<'_>,
) -> Option<(usize, Option<Timestamp>)> {
    let mut json = serde_json::Deserializer::from_str(line);
    let object = Object { out, time_key };
    let result = object.deserialize(&mut json).ok()?;
    json.end().ok()?;
    Some(result)
}

/// A map's header in one byte; [`close_map`] makes it larger if it must be.
pub(crate) fn open_map(out: &mut Vec<u8>) -> usize {
    out.push(0x80);
    out.len()
}

/// Sets the number of pairs in the header before `start`.
pub(crate) fn close_map(out: &mut Vec<u8>, start: usize, pairs: usize) {
    if pairs < 16 {
        out[start - 1] = 0x80 | pairs as u8;
        return;
    }
    let mut header = Vec::with_capacity(5);
    msgpack::write_map_len(&mut header, pairs);
    out.splice(start - 1..start, header);
}

/// The outermost object.
struct Object<'a, 'b> {
    out: &'a mut Vec<u8>,
    time_key: TimeKey<'b>,
}

impl<'de> DeserializeSeed<'de> for Object<'_, '_> {
    type Value = (usize, Option<Timestamp>);

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<Self::Value, D::Error> {
        json.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Object<'_, '_> {
    type Value = (usize, Option<Timestamp>);

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let Object { out, time_key } = self;
        let mut pairs = 0;
        let mut time = None;
        loop {
            let mut is_time = false;
            let key = Key {
                out,
                time: time_key.key,
                is_time: &mut is_time,
            };
            if map.next_key_seed(key)?.is_none() {
                return Ok((pairs, time));
            }
            if !is_time {
                map.next_value_seed(Value::of_pair(out))?;
                pairs += 1;
                continue;
            }
            let value = TimeValue { out, time_key };
            let (read, written) = map.next_value_seed(value)?;
            time = read.or(time);
            pairs += usize::from(written);
        }
    }
}

/// A key of the outermost object. The time's own is not written: its value may be left out, too.
struct Key<'a> {
    out: &'a mut Vec<u8>,
    time: Option<&'a str>,
    is_time: &'a mut bool,
}

impl<'de> DeserializeSeed<'de> for Key<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<(), D::Error> {
        json.deserialize_str(self)
    }
}

impl<'de> Visitor<'de> for Key<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_str<E: Error>(self, key: &str) -> Result<(), E> {
        *self.is_time = self.time == Some(key);
        if !*self.is_time {
            msgpack::write_str(self.out, key);
        }
        Ok(())
    }
}

/// The value of the time's key: the time, if it is one, and whether the pair was written.
struct TimeValue<'a, 'b> {
    out: &'a mut Vec<u8>,
    time_key: TimeKey<'b>,
}

impl<'a> TimeValue<'a, '_> {
    /// Goes on with a value that is no time.
    fn other(self) -> Value<'a> {
        msgpack::write_str(self.out, self.time_key.key.unwrap_or_default());
        Value::of_pair(self.out)
    }

    /// Writes the value of a time, if it is kept or none after all.
    fn time<E: Error>(
        self,
        time: Option<Timestamp>,
        write: impl FnOnce(Value<'a>) -> Result<(), E>,
    ) -> Result<(Option<Timestamp>, bool), E> {
        let written = self.time_key.keep || time.is_none();
        if written {
            write(self.other())?;
        }
        Ok((time, written))
    }
}

impl<'de> DeserializeSeed<'de> for TimeValue<'_, '_> {
    type Value = (Option<Timestamp>, bool);

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<Self::Value, D::Error> {
        json.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for TimeValue<'_, '_> {
    type Value = (Option<Timestamp>, bool);

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
        let time = self.time_key.clock.read(text);
        self.time(time, |value| value.visit_str(text))
    }

    fn visit_u64<E: Error>(self, seconds: u64) -> Result<Self::Value, E> {
        let time = Clock::of_seconds(seconds as f64);
        self.time(time, |value| value.visit_u64(seconds))
    }

    fn visit_f64<E: Error>(self, seconds: f64) -> Result<Self::Value, E> {
        let time = Clock::of_seconds(seconds);
        self.time(time, |value| value.visit_f64(seconds))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Self::Value, E> {
        self.time(None, |other| other.visit_i64(value))
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Self::Value, E> {
        self.time(None, |other| other.visit_bool(value))
    }

    fn visit_unit<E: Error>(self) -> Result<Self::Value, E> {
        self.time(None, Visitor::visit_unit)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<Self::Value, A::Error> {
        self.time(None, |other| other.visit_seq(seq))
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
        self.time(None, |other| other.visit_map(map))
    }
}

/// Writes any value, in which so many more objects and arrays may be in each other.
pub(crate) struct Value<'a> {
    out: &'a mut Vec<u8>,
    levels: usize,
}

impl<'a> Value<'a> {
    /// One of a record's pairs.
    pub(crate) fn of_pair(out: &'a mut Vec<u8>) -> Self {
        let levels = depth::MAX_BODY - 1;
        Value { out, levels }
    }

    /// What is inside it is nested one deeper.
    fn inner<E: Error>(self) -> Result<(&'a mut Vec<u8>, usize), E> {
        let levels = self.levels.checked_sub(1);
        let levels = levels.ok_or_else(|| E::custom("nested too deep"))?;
        Ok((self.out, levels))
    }
}

impl<'de> DeserializeSeed<'de> for Value<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<(), D::Error> {
        json.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Value<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E: Error>(self) -> Result<(), E> {
        self.out.push(0xc0);
        Ok(())
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<(), E> {
        msgpack::write_bool(self.out, value);
        Ok(())
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<(), E> {
        msgpack::write_uint(self.out, value);
        Ok(())
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<(), E> {
        msgpack::write_int(self.out, value);
        Ok(())
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<(), E> {
        self.out.push(0xcb);
        self.out.extend_from_slice(&value.to_bits().to_be_bytes());
        Ok(())
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<(), E> {
        msgpack::write_str(self.out, value);
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        let (out, levels) = self.inner()?;
        out.push(0x90);
        let start = out.len();
        let mut items = 0usize;
        while seq.next_element_seed(Value { out, levels })?.is_some() {
            items += 1;
        }
        if items < 16 {
            out[start - 1] = 0x90 | items as u8;
        } else {
            let mut header = Vec::with_capacity(5);
            msgpack::write_array_len(&mut header, items);
            out.splice(start - 1..start, header);
        }
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let (out, levels) = self.inner()?;
        let start = open_map(out);
        let mut pairs = 0;
        while map.next_key_seed(Value { out, levels })?.is_some() {
            map.next_value_seed(Value { out, levels })?;
            pairs += 1;
        }
        close_map(out, start, pairs);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::Value as Json;

    fn roundtrip(line: impl AsRef<[u8]>) -> Option<Json> {
        let mut out = vec![];
        let time_key = TimeKey {
            key: None,
            clock: &Clock::rfc3339(),
            keep: false,
        };
        let start = open_map(&mut out);
        let (pairs, _) = write(&mut out, line.as_ref(), time_key)?;
        close_map(&mut out, start, pairs);
        let (json, end) = flb_sidecar_sdk::json::read(&out, 0)?;
        assert_eq!(end, out.len());
        Some(json)
    }

    #[test]
    fn objects_are_written_as_they_are() {
        let many: String = (0..20).map(|n| format!("\"k{n}\":{n},")).collect();
        let long: Vec<u32> = (0..20).collect();
        for line in [
            "{}".to_owned(),
            r#"{"a":1,"b":-1,"c":1.5,"d":"x\n\u00e9","e":null,"f":true,"g":[1,{"h":[]}]}"#
                .to_owned(),
            format!("{{{many}\"inner\":{{{many}\"end\":0}}}}"),
            format!("{{\"a\":{long:?}}} "),
            r#"{"a":18446744073709551615,"b":-9223372036854775808}"#.to_owned(),
        ] {
            let json: Json = serde_json::from_str(&line).unwrap();
            assert_eq!(roundtrip(&line), Some(json), "{line}");
        }
    }

    #[test]
    fn the_time_is_taken_out_if_it_is_one() {
        let text = r#""2024-01-01T10:00:00.5Z""#;
        for (value, seconds) in [
            (text, Some(1_704_103_200)),
            ("1704103200", Some(1_704_103_200)),
            ("1704103200.5", Some(1_704_103_200)),
            ("-1", None),
            ("99999999999", None),
            (r#""soon""#, None),
            ("null", None),
            ("true", None),
            (r#"["2024-01-01T10:00:00Z"]"#, None),
            (r#"{"t":"2024-01-01T10:00:00Z"}"#, None),
        ] {
            for keep in [false, true] {
                let line = format!(r#"{{"a":1,"t":{value},"b":{{"t":{text}}}}}"#);
                let time_key = TimeKey {
                    key: Some("t"),
                    clock: &Clock::rfc3339(),
                    keep,
                };
                let mut out = vec![];
                let start = open_map(&mut out);
                let (pairs, time) = write(&mut out, line.as_bytes(), time_key).unwrap();
                close_map(&mut out, start, pairs);
                assert_eq!(time.map(|time| time.seconds), seconds, "{line}");
                let mut expect: Json = serde_json::from_str(&line).unwrap();
                if seconds.is_some() && !keep {
                    expect.as_object_mut().unwrap().shift_remove("t");
                }
                let (json, end) = flb_sidecar_sdk::json::read(&out, 0).unwrap();
                // In the same order, too.
                assert_eq!(json.to_string(), expect.to_string());
                assert_eq!(end, out.len());
            }
        }
    }

    #[test]
    fn other_lines_are_not_objects() {
        let deep = "{\"a\":".repeat(1000);
        for line in [
            "",
            "1",
            "[]",
            "{",
            "{} {}",
            "{\"a\":1,}",
            "text",
            deep.as_str(),
        ] {
            assert_eq!(roundtrip(line), None, "{line}");
        }
        assert_eq!(roundtrip(b"{\"a\":\xff}"), None);
    }

    #[test]
    fn lines_that_are_not_quite_json_are_written_as_the_host_reads_them() {
        let mut out = vec![];
        let time_key = TimeKey {
            key: None,
            clock: &Clock::rfc3339(),
            keep: false,
        };
        let line = b"{\"a\":\"caf\xe9\t\",\"k\xff\":[\"\\ud83d!\"]}";
        let (pairs, _) = write(&mut out, line, time_key).unwrap();
        assert_eq!(pairs, 2);
        assert_eq!(out, b"\xa1a\xa5caf\xe9\t\xa2k\xff\x91\xa4\xef\xbf\xbd!");
    }

    proptest! {
        #[test]
        fn no_line_makes_it_panic(line in "\\PC*") {
            let _ = roundtrip(&line);
        }
    }
}
