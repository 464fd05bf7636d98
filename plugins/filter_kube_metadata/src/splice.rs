//! Adding encoded fields to a record's map without decoding it.

use flb_sidecar_sdk::msgpack::{read, skip, write_map_len, Value};

use crate::encode::{Encoded, Field};

/// What became of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Spliced {
    /// The fields are in.
    Added,
    /// A field of the same name is there and is no map; it stays as it is.
    Kept,
}

/// Writes the map at `buf[0]` to `out` with the fields behind its own.
///
/// A field that exists already is merged where it stands: what it has stays, what it lacks is
/// added. `may_have` `false`: the caller knows that none exists. `None`: `buf` is no whole map,
/// and nothing was written.
pub(crate) fn splice(
    buf: &[u8],
    encoded: &Encoded,
    may_have: bool,
    out: &mut Vec<u8>,
) -> Option<Spliced> {
    let (Value::Map(pairs), first) = read(buf, 0)? else {
        return None;
    };
    if !may_have {
        write_map_len(out, pairs + encoded.fields.len());
        out.extend_from_slice(&buf[first..]);
        out.extend_from_slice(&encoded.suffix);
        return Some(Spliced::Added);
    }
    let existing = existing(buf, pairs, first, &encoded.fields)?;
    let missing = encoded
        .fields
        .iter()
        .filter(|f| !existing.iter().any(|e| e.field.name == f.name));
    write_map_len(out, pairs + missing.clone().count());
    let mut at = first;
    let mut result = Spliced::Added;
    for found in &existing {
        out.extend_from_slice(&buf[at..found.start]);
        let value = &buf[found.start..found.end];
        if !merge(value, &found.field.map, out)? {
            out.extend_from_slice(value);
            result = Spliced::Kept;
        }
        at = found.end;
    }
    out.extend_from_slice(&buf[at..]);
    for field in missing {
        flb_sidecar_sdk::msgpack::write_str(out, field.name);
        out.extend_from_slice(&field.map);
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
fn existing<'a>(
    buf: &[u8],
    pairs: usize,
    first: usize,
    fields: &'a [Field],
) -> Option<Vec<Existing<'a>>> {
    let mut found: Vec<Existing<'a>> = Vec::new();
    let mut at = first;
    for _ in 0..pairs {
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
        match flb_sidecar_sdk::msgpack::map_get(own, 0, key) {
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
        let map = encode(map);
        let mut suffix = Vec::new();
        flb_sidecar_sdk::msgpack::write_str(&mut suffix, "kubernetes");
        suffix.extend_from_slice(&map);
        Encoded {
            fields: vec![Field {
                name: "kubernetes",
                map,
            }],
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
        assert_eq!(result, Spliced::Added);
        assert_eq!(
            text,
            r#"{"kubernetes":{"pod_name":"own","labels":{"a":"1","b":"3"},"extra":[1],"host":"h"},"log":"x"}"#
        );
    }

    #[test]
    fn a_field_that_is_no_map_stays() {
        let (result, text) = spliced(&json!({"kubernetes": "no", "a": 1}), &json!({"host": "h"}));
        assert_eq!(result, Spliced::Kept);
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
                flb_sidecar_sdk::msgpack::write_str(&mut record, key);
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
