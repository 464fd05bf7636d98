//! Adding encoded fields to a record's map without decoding it.

use flb_sidecar_sdk::msgpack::{map_get, read, skip, write_map_len, write_str, Value};

use crate::encode::{Encoded, Field};

/// What became of a record.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Spliced {
    /// Something was added.
    pub(crate) changed: bool,
    /// A field that should be a map is there and is none; it stays as it is.
    pub(crate) kept: bool,
}

/// Writes the map at `buf[0]` to `out` with the fields behind its own.
///
/// A field that exists already is merged where it stands: what it has stays, what it lacks is
/// added. `may_have` `false`: the caller knows that none exists. `None`: `buf` is no whole map;
/// what was written is to be thrown away.
pub(crate) fn splice(
    buf: &[u8],
    encoded: &Encoded,
    may_have: bool,
    out: &mut Vec<u8>,
) -> Option<Spliced> {
    let (Value::Map(len), first) = read(buf, 0)? else {
        return None;
    };
    splice_pairs(len, &buf[first..], encoded, may_have, out)
}

/// [`splice`] for a map given as its `len` pairs without the header.
pub(crate) fn splice_pairs(
    len: usize,
    pairs: &[u8],
    encoded: &Encoded,
    may_have: bool,
    out: &mut Vec<u8>,
) -> Option<Spliced> {
    if !may_have {
        write_map_len(out, len + encoded.fields.len());
        out.extend_from_slice(pairs);
        out.extend_from_slice(&encoded.suffix);
        return Some(Spliced {
            changed: !encoded.fields.is_empty(),
            kept: false,
        });
    }
    let existing = existing(pairs, len, &encoded.fields)?;
    let missing = encoded
        .fields
        .iter()
        .filter(|f| !existing.iter().any(|e| e.field.name == f.name));
    write_map_len(out, len + missing.clone().count());
    let mut at = 0;
    let mut result = Spliced {
        changed: existing.len() < encoded.fields.len(),
        kept: false,
    };
    for found in &existing {
        out.extend_from_slice(&pairs[at..found.start]);
        let value = &pairs[found.start..found.end];
        if merge(value, &found.field.value, out)? {
            result.changed = true;
        } else {
            out.extend_from_slice(value);
            result.kept |= matches!(read(&found.field.value, 0), Some((Value::Map(_), _)));
        }
        at = found.end;
    }
    out.extend_from_slice(&pairs[at..]);
    for field in missing {
        write_str(out, &field.name);
        out.extend_from_slice(&field.value);
    }
    Some(result)
}

/// A field that the record has already; its value is at `start..end`.
struct Existing<'a> {
    field: &'a Field,
    start: usize,
    end: usize,
}

/// The first occurrence of each field, in the record's order.
fn existing<'a>(buf: &[u8], len: usize, fields: &'a [Field]) -> Option<Vec<Existing<'a>>> {
    let mut found: Vec<Existing<'a>> = Vec::new();
    let mut at = 0;
    for _ in 0..len {
        let start = skip(buf, at)?;
        let end = skip(buf, start)?;
        let field = fields
            .iter()
            .find(|field| is_string(buf, at, field.name.as_bytes()));
        if let Some(field) = field {
            if !found.iter().any(|e| e.field.name == field.name) {
                found.push(Existing { field, start, end });
            }
        }
        at = end;
    }
    Some(found)
}

fn is_string(buf: &[u8], at: usize, text: &[u8]) -> bool {
    matches!(read(buf, at), Some((Value::String { start, end }, _)) if &buf[start..end] == text)
}

/// Writes the map `own` to `out` with what `more` has besides; maps in both are merged in turn.
/// `Some(false)`, and nothing written: `own` is no map.
fn merge(own: &[u8], more: &[u8], out: &mut Vec<u8>) -> Option<bool> {
    let Some((Value::Map(own_pairs), own_first)) = read(own, 0) else {
        return Some(false);
    };
    let (Value::Map(more_pairs), mut at) = read(more, 0)? else {
        return Some(false);
    };
    let mut missing: Vec<(usize, usize)> = Vec::new();
    let mut nested: Vec<(&[u8], &[u8])> = Vec::new();
    for _ in 0..more_pairs {
        let value = skip(more, at)?;
        let end = skip(more, value)?;
        let (Value::String { start, end: stop }, _) = read(more, at)? else {
            return Some(false);
        };
        let key = &more[start..stop];
        match map_get(own, 0, key) {
            None => missing.push((at, end)),
            Some(_) => nested.push((key, &more[value..end])),
        }
        at = end;
    }
    write_map_len(out, own_pairs + missing.len());
    let mut at = own_first;
    for _ in 0..own_pairs {
        let value = skip(own, at)?;
        let end = skip(own, value)?;
        let other = nested.iter().position(|(key, _)| is_string(own, at, key));
        out.extend_from_slice(&own[at..value]);
        // Of a key that is there twice only the first is merged.
        let merged = match other.map(|index| nested.swap_remove(index)) {
            Some((_, more)) => merge(&own[value..end], more, out)?,
            None => false,
        };
        if !merged {
            out.extend_from_slice(&own[value..end]);
        }
        at = end;
    }
    for (start, end) in missing {
        out.extend_from_slice(&more[start..end]);
    }
    Some(true)
}

#[cfg(test)]
mod tests {
    use super::*;
    use flb_sidecar_sdk::json;
    use proptest::prelude::*;
    use serde_json::{json, Value as Json};

    fn encode(json: &Json) -> Vec<u8> {
        let mut out = Vec::new();
        json::write(&mut out, json);
        out
    }

    fn encoded(map: &Json) -> Encoded {
        let value = encode(map);
        let mut suffix = Vec::new();
        write_str(&mut suffix, "kubernetes");
        suffix.extend_from_slice(&value);
        let name = "kubernetes".to_owned();
        Encoded {
            fields: vec![Field { name, value }],
            suffix,
        }
    }

    fn spliced(record: &Json, map: &Json) -> (Spliced, String) {
        let mut out = Vec::new();
        let result = splice(&encode(record), &encoded(map), true, &mut out).unwrap();
        let (json, end) = json::read(&out, 0).unwrap();
        assert_eq!(end, out.len());
        (result, json.to_string())
    }

    #[test]
    fn the_field_comes_last() {
        let (_, text) = spliced(&json!({"log": "x", "n": 1}), &json!({"pod_name": "p"}));
        assert_eq!(text, r#"{"log":"x","n":1,"kubernetes":{"pod_name":"p"}}"#);
    }

    #[test]
    fn an_existing_map_is_merged_where_it_stands_and_its_values_win() {
        let (result, text) = spliced(
            &json!({"kubernetes": {"pod_name": "own", "labels": {"a": "1"}, "extra": [1]}, "log": "x"}),
            &json!({"pod_name": "p", "labels": {"a": "2", "b": "3"}, "host": "h"}),
        );
        assert!(result.changed && !result.kept);
        assert_eq!(
            text,
            r#"{"kubernetes":{"pod_name":"own","labels":{"a":"1","b":"3"},"extra":[1],"host":"h"},"log":"x"}"#
        );
    }

    #[test]
    fn a_field_that_is_no_map_stays() {
        let (result, text) = spliced(&json!({"kubernetes": "no", "a": 1}), &json!({"host": "h"}));
        assert!(!result.changed && result.kept);
        assert_eq!(text, r#"{"kubernetes":"no","a":1}"#);
    }

    #[test]
    fn the_header_grows_with_the_count() {
        for pairs in [15usize, 16, 65535] {
            let mut record = Vec::new();
            write_map_len(&mut record, pairs);
            for n in 0..pairs {
                flb_sidecar_sdk::msgpack::write_int(&mut record, n as i64);
                record.push(0xc0);
            }
            for may_have in [false, true] {
                let mut out = Vec::new();
                splice(&record, &encoded(&json!({"host": "h"})), may_have, &mut out).unwrap();
                let (value, _) = read(&out, 0).unwrap();
                assert_eq!(value, Value::Map(pairs + 1));
                assert_eq!(skip(&out, 0), Some(out.len()));
            }
        }
    }

    proptest! {
        #[test]
        fn both_ways_agree_where_the_field_is_absent(
            pairs in proptest::collection::vec(("[a-j]{0,4}", any::<i64>()), 0..20),
        ) {
            let mut record = Vec::new();
            write_map_len(&mut record, pairs.len());
            for (key, value) in &pairs {
                write_str(&mut record, key);
                flb_sidecar_sdk::msgpack::write_int(&mut record, *value);
            }
            let more = encoded(&json!({"host": "h", "labels": {"a": "b"}}));
            let (mut fast, mut slow) = (Vec::new(), Vec::new());
            splice(&record, &more, false, &mut fast).unwrap();
            splice(&record, &more, true, &mut slow).unwrap();
            prop_assert_eq!(fast, slow);
        }

        #[test]
        fn any_bytes_are_taken_or_left(bytes in proptest::collection::vec(any::<u8>(), 0..80)) {
            let mut out = Vec::new();
            let _ = splice(&bytes, &encoded(&json!({"host": "h"})), true, &mut out);
        }
    }
}
