//! Where in a record a byte is.

use flb_sidecar_sdk::depth;
use flb_sidecar_sdk::msgpack::{self, Value};

/// What a value without others in it is. It has nothing in a byte or two, as [`Value`] has: to copy these
/// takes longer than to read the value.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Held {
    /// Anything else.
    #[default]
    Other,
    /// A string or bytes.
    Text { start: usize, end: usize },
    /// A number without a sign.
    Unsigned(u64),
    /// The bits of a number.
    Float(u64),
}

/// A value of a record without others in it, as offsets into the batch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Place {
    /// What it is.
    pub(super) value: Held,
    /// The key that it stands under, that of the array for an element of one; nothing for a key.
    pub(super) key: (usize, usize),
}

impl Place {
    /// The bytes of a string.
    pub(super) fn text(&self) -> Option<(usize, usize)> {
        match self.value {
            Held::Text { start, end } => Some((start, end)),
            _ => None,
        }
    }
}

/// A container that is gone through.
#[derive(Clone, Copy, Debug)]
struct Container {
    /// Values that are still to come.
    left: usize,
    is_map: bool,
    /// Of a map the key of the value that is next, of an array the one that it stands under itself.
    key: (usize, usize),
}

/// Goes through the values of a record once, whatever is asked for: to the end of a container only where
/// something behind it is.
#[derive(Debug, Default)]
pub(super) struct Walk {
    /// What is next.
    at: usize,
    around: Vec<Container>,
}

impl Walk {
    /// Starts at the value at `at`.
    pub(super) fn start(&mut self, at: usize) {
        self.at = at;
        self.around.clear();
        self.around.push(Container {
            left: 1,
            is_map: false,
            key: (0, 0),
        });
    }

    /// How far it has come.
    pub(super) fn at(&self) -> usize {
        self.at
    }

    /// What has the byte at `wanted` of the batch, which is not in front of one that was asked for before.
    /// For the header of a map or an array it is that. `None`: it is not in the value, or the value is not
    /// readable or nested too deeply.
    pub(super) fn to(&mut self, chunk: &[u8], wanted: usize) -> Option<Place> {
        loop {
            let level = self.around.len();
            let last = self.around.last_mut()?;
            if last.left == 0 {
                self.around.pop();
                continue;
            }
            let is_key = last.is_map && last.left % 2 == 0;
            let key = if is_key { (0, 0) } else { last.key };
            let (value, first) = msgpack::read(chunk, self.at)?;
            let (value, mut end, children) = match value {
                Value::String { start, end } | Value::Binary { start, end } => {
                    (Held::Text { start, end }, end, None)
                }
                Value::Unsigned(n) => (Held::Unsigned(n), first, None),
                Value::Float(bits) => (Held::Float(bits), first, None),
                Value::Map(pairs) => (Held::Other, first, Some((true, pairs.checked_mul(2)?))),
                Value::Array(len) => (Held::Other, first, Some((false, len))),
                _ => (Held::Other, first, None),
            };
            if children.is_some() && wanted >= first && level > depth::MAX_WALK {
                end = msgpack::skip(chunk, self.at)?;
                if wanted < end {
                    return None;
                }
            }
            let place = Place { value, key };
            if wanted < end {
                return Some(place);
            }
            last.left -= 1;
            if is_key {
                last.key = place.text().unwrap_or_default();
            }
            self.at = end;
            if let Some((is_map, left)) = children.filter(|_| level <= depth::MAX_WALK) {
                self.around.push(Container { left, is_map, key });
            }
        }
    }
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
        let mut walk = Walk::default();
        walk.start(0);
        for at in 0..chunk.len() {
            let place = walk.to(&chunk, at).expect("every byte is in a value");
            let mut alone = Walk::default();
            alone.start(0);
            assert_eq!(alone.to(&chunk, at), Some(place), "{at} of {value}");
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

    #[test]
    fn a_long_list_is_gone_through_once() {
        // A walk to the end of the list for each of its elements would take minutes.
        let chunk = rmp_serde::to_vec(&json!({ "list": vec!["@"; 500_000] })).expect("a list");
        let mut walk = Walk::default();
        walk.start(0);
        let last = chunk.len() - 1;
        let texts =
            (0..=last).filter(|at| walk.to(&chunk, *at).is_some_and(|p| p.text().is_some()));
        assert_eq!(texts.count(), 2 * 500_000 + "list".len() + 1);
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
