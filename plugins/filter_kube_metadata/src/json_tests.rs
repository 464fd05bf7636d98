use super::*;
use flb_sidecar_sdk::json;
use flb_sidecar_sdk::msgpack::{write_bytes_as_str, write_map_len};
use proptest::prelude::*;
use serde_json::Value as Json;

fn read(text: impl AsRef<[u8]>) -> Option<Vec<u8>> {
    read_with(text, false)
}

fn read_with(text: impl AsRef<[u8]>, trim: bool) -> Option<Vec<u8>> {
    let mut pairs = b"before".to_vec();
    let object = JsonReader::default().object(text.as_ref(), 31, trim, &mut pairs);
    if object.is_none() {
        assert_eq!(pairs, b"before");
    }
    let mut out = Vec::new();
    write_map_len(&mut out, object?.len);
    out.extend_from_slice(&pairs[6..]);
    Some(out)
}

/// The value of the key `a`, as bytes.
fn a(value: impl AsRef<[u8]>) -> Option<Vec<u8>> {
    let text = [b"{\"a\":", value.as_ref(), b"}"].concat();
    read(text).map(|map| map[3..].to_vec())
}

#[test]
fn integers_stay_integers_and_the_rest_are_doubles() {
    for (text, packed) in [
        ("0", &[0x00][..]),
        ("-0", &[0x00]),
        ("127", &[0x7f]),
        ("-32", &[0xe0]),
        ("-33", &[0xd0, 0xdf]),
        ("65536", &[0xce, 0, 1, 0, 0]),
        (
            "18446744073709551615",
            &[0xcf, 255, 255, 255, 255, 255, 255, 255, 255],
        ),
        ("-9223372036854775808", &[0xd3, 0x80, 0, 0, 0, 0, 0, 0, 0]),
        ("1.0", &[0xcb, 0x3f, 0xf0, 0, 0, 0, 0, 0, 0]),
        ("1e0", &[0xcb, 0x3f, 0xf0, 0, 0, 0, 0, 0, 0]),
        ("-0.0", &[0xcb, 0x80, 0, 0, 0, 0, 0, 0, 0]),
        (
            "18446744073709551616",
            &[0xcb, 0x43, 0xf0, 0, 0, 0, 0, 0, 0],
        ),
        (
            "-9223372036854775809",
            &[0xcb, 0xc3, 0xe0, 0, 0, 0, 0, 0, 0],
        ),
    ] {
        assert_eq!(a(text).as_deref(), Some(packed), "{text}");
    }
    for text in [
        "01", "-", "1.", ".5", "1e", "1e+", "+1", "1e999", "0x1", "NaN", "--1", "-a",
    ] {
        assert_eq!(a(text), None, "{text}");
    }
}

#[test]
fn strings_keep_what_strict_json_refuses() {
    for (text, expected) in [
        (&b"\"a\tb\x01\xff\xc3\""[..], &b"a\tb\x01\xff\xc3"[..]),
        (br#""\"\\\/\b\f\n\r\t""#, b"\"\\/\x08\x0c\n\r\t"),
        (
            br#""\u00e9\u65e5\ud83d\ude00\u0000""#,
            "\u{e9}日😀\0".as_bytes(),
        ),
        (br#""\ud83d-\ude00""#, "\u{fffd}-\u{fffd}".as_bytes()),
        (br#""\ud83d\u0041B""#, "\u{fffd}B".as_bytes()),
        (br#""\ud83d\u00""#, "\u{fffd}".as_bytes()),
        (br#""\u12G4""#, b"\\u124"),
        (br#""\u12""#, b"\\u12"),
        (br#""\u12\""#, b"\\u12"),
        (br#""\u'x""#, b"\\u'x"),
    ] {
        let mut packed = Vec::new();
        write_bytes_as_str(&mut packed, expected);
        assert_eq!(a(text), Some(packed), "{}", String::from_utf8_lossy(text));
    }
    for text in [&br#""\x41""#[..], br#""abc"#, br#""abc\"#, b"'a'"] {
        assert_eq!(a(text), None, "{}", String::from_utf8_lossy(text));
    }
}

#[test]
fn only_a_single_object_is_one() {
    for text in [
        "",
        " ",
        "[]",
        "1",
        "\"a\"",
        "null",
        "{",
        "{\"a\"}",
        "{\"a\":}",
        "{\"a\":1,}",
        "{,}",
        "{a:1}",
        "{\"a\":1}{}",
        "{\"a\":1} 5x",
        "{\"a\":1}\n\"b\"",
        "{\"a\":tru}",
        "[{}]",
        "{\"a\":[1,]}",
        "{\"a\":1 \"b\":2}",
    ] {
        assert_eq!(read(text), None, "{text}");
    }
    for text in [
        "{\"a\":1}",
        " \t\r\n{ \"a\" : 1 } \n",
        "{\"a\":1}junk",
        "{\"a\":1},",
        "{\"a\":1} \"b",
    ] {
        assert_eq!(read(text).unwrap(), [0x81, 0xa1, b'a', 1], "{text}");
    }
    assert_eq!(read("{}").unwrap(), [0x80]);
    assert_eq!(
        read("{\"a\":1,\"a\":2}").unwrap(),
        [0x82, 0xa1, b'a', 1, 0xa1, b'a', 2]
    );
}

#[test]
fn escapes_in_keys_of_the_object_itself_are_told() {
    for (text, escaped_key) in [
        (r#"{"a":"\n","b":{"\u0063":1}}"#, false),
        (r#"{"a":1,"\u0062":2,"c":3}"#, true),
    ] {
        let object = JsonReader::default().object(text.as_bytes(), 31, false, &mut Vec::new());
        assert_eq!(object.unwrap().escaped_key, escaped_key, "{text}");
    }
}

#[test]
fn texts_of_any_length_are_read() {
    let mut reader = JsonReader::default();
    for len in [0, 10, 31, 32, 255, 256, 65536, 2 << 20, 100] {
        // Doubles grow most of all values.
        for (item, packed) in [("1.5", 9), ("\"\\\"\"", 2)] {
            let items = vec![item; len / item.len() + 1];
            let text = format!("{{\"a\":[{}]}}", items.join(","));
            let mut out = Vec::new();
            reader.object(text.as_bytes(), 31, false, &mut out).unwrap();
            assert!(out.len() - items.len() * packed < 8);
        }
    }
}

#[test]
fn the_depth_is_limited() {
    let nested = |depth: usize| {
        let inner = depth - 1;
        format!("{{\"a\":{}{}}}", "[".repeat(inner), "]".repeat(inner))
    };
    assert!(read(nested(31)).is_some());
    assert!(read(nested(32)).is_none());
    assert!(read(nested(100_000)).is_none());
}

#[test]
fn long_containers_get_longer_headers() {
    for len in [15, 16, 65535, 65536] {
        let items = vec!["1"; len].join(",");
        let packed = a(format!("[{items}]")).unwrap();
        assert_eq!(
            flb_sidecar_sdk::msgpack::skip(&packed, 0),
            Some(packed.len())
        );
        let (value, _) = flb_sidecar_sdk::msgpack::read(&packed, 0).unwrap();
        assert_eq!(value, flb_sidecar_sdk::msgpack::Value::Array(len));
    }
}

#[test]
fn trimming_touches_the_ends_of_strings_of_the_object_itself() {
    for (text, len) in [
        ("", 0),
        ("\n", 1),
        ("a\n", 1),
        ("a\n\n", 1),
        ("\n\n", 1),
        ("a\r", 2),
        ("a\\n", 1),
        ("a\\r\\n", 1),
        ("a\\n\n", 1),
        ("\\n", 0),
        ("n", 1),
        ("a\\\\n", 2),
        ("a \n", 2),
    ] {
        assert_eq!(trimmed_len(text.as_bytes()), len, "{text:?}");
    }
    let packed = read_with(r#"{"a\n":"b\n","c":["d\n"],"e":"f\\n"}"#, true).unwrap();
    let (json, _) = json::read(&packed, 0).unwrap();
    assert_eq!(json.to_string(), r#"{"a\n":"b","c":["d\n"],"e":"f"}"#);
}

fn any_json() -> impl Strategy<Value = Json> {
    let leaf = prop_oneof![
        Just(Json::Null),
        any::<bool>().prop_map(Json::from),
        any::<i64>().prop_map(Json::from),
        any::<u64>().prop_map(Json::from),
        "\\PC{0,12}".prop_map(Json::from),
        "[a\\\\\"\n\u{1}é日😀]{0,8}".prop_map(Json::from),
    ];
    leaf.prop_recursive(5, 60, 20, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..20).prop_map(Json::from),
            proptest::collection::vec(("\\PC{0,6}", inner), 0..20)
                .prop_map(|pairs| pairs.into_iter().collect::<serde_json::Map<_, _>>().into()),
        ]
    })
}

proptest! {
    #[test]
    fn strict_json_is_read_as_serde_json_does(value in any_json(), pretty in any::<bool>()) {
        let object = serde_json::json!({"k": value});
        let text = if pretty {
            serde_json::to_string_pretty(&object).unwrap()
        } else {
            object.to_string()
        };
        let mut expected = Vec::new();
        json::write(&mut expected, &object);
        prop_assert_eq!(read(text).unwrap(), expected);
    }

    #[test]
    fn floats_are_the_nearest_ones(float in any::<f64>().prop_filter("finite", |f| f.is_finite())) {
        let packed = a(format!("{float:e}")).unwrap();
        prop_assert_eq!(&packed[1..], &float.to_bits().to_be_bytes());
    }

    #[test]
    fn any_text_is_read_or_left(bytes in proptest::collection::vec(any::<u8>(), 0..60), text in "[{}\\[\\]\",:\\\\u0-9a-ftrue ]{0,60}") {
        for text in [bytes, text.clone().into_bytes(), format!("{{\"a\":\"{text}\"}}").into_bytes()] {
            if let Some(packed) = read(text) {
                prop_assert_eq!(flb_sidecar_sdk::msgpack::skip(&packed, 0), Some(packed.len()));
            }
        }
    }

    #[test]
    fn what_is_no_number_in_the_model_is_none_here(text in "-?[0-9]{0,3}(\\.[0-9]{0,2})?([eE][+-]?[0-9]{0,2})?") {
        let strict = serde_json::from_str::<Json>(&text).is_ok();
        prop_assert_eq!(a(&text).is_some(), strict, "{}", text);
    }
}
