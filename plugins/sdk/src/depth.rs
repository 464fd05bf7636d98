//! How deep containers may be nested in what is handed to the host.
//!
//! The host unpacks records with a stack of 32 containers ([msgpack-c]'s `MSGPACK_EMBED_STACK_SIZE`;
//! newer releases have more, none has fewer), arrays and maps alike, empty ones included. What is
//! nested deeper ends the unpacking of its whole chunk: the records behind it are lost, and nobody
//! is told. So whoever makes records keeps to [`MAX_BODY`], and what is deeper stays the text that it
//! was.
//!
//! [`msgpack::skip`] takes any depth. What goes into containers, of records or of JSON in a string,
//! does so to [`MAX_WALK`], since callers' stacks may be small.
//!
//! [msgpack-c]: https://github.com/msgpack/msgpack-c/blob/c_master/include/msgpack/unpack_define.h

use crate::msgpack::{self, Value};

/// Containers that every host reads in each other, the event's own array included.
const HOST: usize = 32;

/// Containers that others put around a record later on: filters that nest fields or lift them, and the
/// forward protocol, whose messages are `[tag, [[time, body]]]`.
const MARGIN: usize = 4;

/// Deepest nesting of an event's body, counted with the body's own map: `{"log": "x"}` has 1,
/// `{"a": [{}]}` has 3.
pub const MAX_BODY: usize = HOST - 1 - MARGIN;

/// How deep a walker of this project goes into containers: twice what the hosts read. What is
/// deeper it takes as one: JSON as the text that it is.
pub const MAX_WALK: usize = 64;

/// Whether the msgpack value at `at` has at most `levels` containers in each other, its own included.
/// `false` also for what is no whole value, and for `levels` that no host reads. Linear.
///
/// ```
/// use flb_sidecar_sdk::depth;
///
/// let nested = [0x91, 0x91, 0x90]; // [[[]]]
/// assert!(depth::fits(&nested, 0, 3));
/// assert!(!depth::fits(&nested, 0, 2));
/// ```
pub fn fits(buf: &[u8], at: usize, levels: usize) -> bool {
    if levels > HOST {
        return false;
    }
    // What is left of each open container.
    let mut open = [0usize; HOST];
    let mut depth = 0;
    let mut at = at;
    loop {
        let Some((value, next)) = msgpack::read(buf, at) else {
            return false;
        };
        at = next;
        let children = match value {
            Value::Array(n) => Some(n),
            Value::Map(n) => n.checked_mul(2),
            _ => Some(0),
        };
        let Some(children) = children else {
            return false;
        };
        if matches!(value, Value::Array(_) | Value::Map(_)) {
            if depth == levels {
                return false;
            }
            if children > 0 {
                open[depth] = children;
                depth += 1;
                continue;
            }
        }
        while depth > 0 {
            open[depth - 1] -= 1;
            if open[depth - 1] > 0 {
                break;
            }
            depth -= 1;
        }
        if depth == 0 {
            return true;
        }
    }
}

/// Whether the JSON in `text` has at most `levels` objects and arrays in each other. Brackets in
/// strings do not count. For what is no JSON the answer means nothing. Linear, and for the usual
/// text that has few brackets no more than a count.
///
/// ```
/// use flb_sidecar_sdk::depth;
///
/// assert!(depth::json_fits(br#"{"a": "[[[", "b": [1]}"#, 2));
/// assert!(!depth::json_fits(b"[[[]]]", 2));
/// ```
pub fn json_fits(text: &[u8], levels: usize) -> bool {
    // `[` and `{` differ in one bit; so do their partners.
    let opening = |bytes: &[u8]| -> u8 { bytes.iter().map(|b| u8::from(b | 0x20 == b'{')).sum() };
    // Counted in bytes, of which a register holds many.
    let pieces = text.chunks(usize::from(u8::MAX));
    let all: usize = pieces.map(|piece| usize::from(opening(piece))).sum();
    all <= levels || json_nesting_fits(text, levels)
}

fn json_nesting_fits(text: &[u8], levels: usize) -> bool {
    let mut depth = 0usize;
    let mut in_string = false;
    let mut bytes = text.iter();
    while let Some(byte) = bytes.next() {
        match byte {
            b'"' => in_string = !in_string,
            b'\\' if in_string => {
                bytes.next();
            }
            b'{' | b'[' if !in_string => {
                depth += 1;
                if depth > levels {
                    return false;
                }
            }
            b'}' | b']' if !in_string => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::Value as Json;

    fn nesting(json: &Json) -> usize {
        match json {
            Json::Array(items) => 1 + items.iter().map(nesting).max().unwrap_or(0),
            Json::Object(map) => 1 + map.values().map(nesting).max().unwrap_or(0),
            _ => 0,
        }
    }

    fn any_json() -> impl Strategy<Value = Json> {
        let leaf = prop_oneof![
            Just(Json::Null),
            "[\\[\\]{}\"\\\\a]{0,6}".prop_map(Json::from)
        ];
        leaf.prop_recursive(8, 60, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Json::from),
                prop::collection::hash_map("[\\[{\"a]{0,3}", inner, 0..4)
                    .prop_map(|map| Json::Object(map.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn what_fits_is_what_is_nested_no_deeper(json in any_json()) {
            let mut packed = Vec::new();
            crate::json::write(&mut packed, &json);
            let text = json.to_string();
            for levels in 0..12 {
                prop_assert_eq!(fits(&packed, 0, levels), nesting(&json) <= levels);
                prop_assert_eq!(json_fits(text.as_bytes(), levels), nesting(&json) <= levels);
            }
        }

        #[test]
        fn any_bytes_are_answered(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = fits(&bytes, 0, MAX_BODY);
            let _ = json_fits(&bytes, MAX_BODY);
        }
    }

    #[test]
    fn any_depth_is_answered_without_recursion() {
        let deep = vec![0x91u8; 1 << 20];
        assert!(!fits(&deep, 0, MAX_BODY));
        assert!(!json_fits(&vec![b'['; 1 << 20], MAX_BODY));
        assert!(!fits(&[0xc0], 0, HOST + 1));
    }

    #[test]
    fn an_empty_container_counts_as_the_host_counts_it() {
        let mut nested = vec![0x91u8; MAX_BODY];
        nested.push(0x90);
        assert!(!fits(&nested, 0, MAX_BODY));
        assert!(fits(&nested, 1, MAX_BODY));
    }
}
