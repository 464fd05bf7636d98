//! Where in a record a byte is.

use flb_sidecar_sdk::depth;
use flb_sidecar_sdk::msgpack::{self, Value};

/// A value of a record without others in it, as offsets into the batch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Place {
    /// What it is.
    pub(super) value: Value,
    /// The key that it stands under, that of the array for an element of one; nothing for a key.
    pub(super) key: (usize, usize),
}

impl Place {
    /// The bytes of a string.
    pub(super) fn text(&self) -> Option<(usize, usize)> {
        match self.value {
            Value::String { start, end } | Value::Binary { start, end } => Some((start, end)),
            _ => None,
        }
    }
}

/// What has the byte at `wanted` of the batch, in the value at `at`. For the header of a map or an
/// array it is that. `None`: it is not in the value, or the value is not readable or nested too deeply.
pub(super) fn place_at(chunk: &[u8], at: usize, wanted: usize) -> Option<Place> {
    let mut key = (0, 0);
    let mut at = at;
    for _ in 0..=depth::MAX_WALK {
        let (value, first) = msgpack::read(chunk, at)?;
        let children = match value {
            Value::Map(pairs) if wanted >= first => pairs.checked_mul(2)?,
            Value::Array(len) if wanted >= first => len,
            _ => return Some(Place { value, key }),
        };
        let is_map = matches!(value, Value::Map(_));
        let mut inside = None;
        at = first;
        for n in 0..children {
            let (value, first) = msgpack::read(chunk, at)?;
            let (text, end) = match value {
                Value::String { start, end } | Value::Binary { start, end } => ((start, end), end),
                Value::Map(_) | Value::Array(_) => ((0, 0), msgpack::skip(chunk, at)?),
                _ => ((0, 0), first),
            };
            if is_map && n % 2 == 0 {
                key = if wanted >= end { text } else { (0, 0) };
            }
            if wanted < end {
                inside = Some(at);
                break;
            }
            at = end;
        }
        at = inside?;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::{json, Value as Json};

    /// Every string of a value, with the key that it stands under.
    fn strings(value: &Json, key: &str, all: &mut Vec<(String, String)>) {
        match value {
            Json::String(text) => all.push((text.clone(), key.to_owned())),
            Json::Array(values) => values.iter().for_each(|value| strings(value, key, all)),
            Json::Object(fields) => {
                for (name, value) in fields {
                    all.push((name.clone(), String::new()));
                    strings(value, name, all);
                }
            }
            _ => {}
        }
    }

    fn check(value: &Json) {
        let chunk = rmp_serde::to_vec(value).expect("any value can be written");
        let mut found = Vec::new();
        let mut last = None;
        for at in 0..chunk.len() {
            let place = place_at(&chunk, 0, at).expect("every byte is in a value");
            let text = |(start, end): (usize, usize)| {
                String::from_utf8_lossy(&chunk[start..end]).into_owned()
            };
            match place.text() {
                Some(span) if Some(place) != last => found.push((text(span), text(place.key))),
                _ => {}
            }
            last = Some(place);
        }
        let mut expected = Vec::new();
        strings(value, "", &mut expected);
        assert_eq!(found, expected, "{value}");
    }

    #[test]
    fn a_string_is_found_by_each_of_its_bytes_with_its_key() {
        check(&json!({
            "log": "some text", "n": 7, "list": ["a", {"inner": "b"}, [["c"], 3]],
            "kubernetes": {"labels": {"app": "web"}, "none": null}, "": "no name", "last": "z"
        }));
    }

    fn any_json() -> impl Strategy<Value = Json> {
        let leaf = prop_oneof![
            Just(Json::Null),
            any::<i64>().prop_map(|n| json!(n)),
            "[a-z]{0,40}".prop_map(Json::String),
        ];
        leaf.prop_recursive(4, 40, 6, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..6).prop_map(Json::Array),
                prop::collection::btree_map("[a-z]{0,4}", inner, 0..6)
                    .prop_map(|fields| Json::Object(fields.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn strings_are_found_in_any_value(value in any_json()) {
            check(&value);
        }
    }
}
