//! A line of Docker's `json-file` driver: the text, where it came from, when, and whatever else.

use std::borrow::Cow;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, Visitor};
use serde::Deserialize;

use crate::read::json_line::Value;
use crate::read::json_repair;

/// What such a line has.
#[derive(Debug, Default)]
pub(crate) struct DockerLine<'a> {
    pub(crate) text: Cow<'a, [u8]>,
    pub(crate) stream: Cow<'a, str>,
    pub(crate) time: Cow<'a, str>,
    pub(crate) others: Others,
}

/// Pairs of other keys, such as `attrs`, as msgpack.
#[derive(Clone, Debug, Default)]
pub(crate) struct Others {
    pub(crate) count: usize,
    pub(crate) pairs: Vec<u8>,
}

/// Reads a line; `None`: it is none of Docker's, or nested deeper than a host reads.
pub(crate) fn read(line: &[u8]) -> Option<DockerLine<'_>> {
    if let Some(line) = std::str::from_utf8(line).ok().and_then(parse) {
        return Some(line);
    }
    let mended = json_repair::mend(line)?;
    let line = parse(&mended)?;
    let mut others = line.others;
    json_repair::restore(&mut others.pairs, 0);
    let text = match &line.text {
        Cow::Borrowed(text) => std::str::from_utf8(text),
        Cow::Owned(text) => std::str::from_utf8(text),
    };
    Some(DockerLine {
        text: Cow::Owned(json_repair::bytes_of(text.ok()?).into_owned()),
        stream: Cow::Owned(line.stream.into_owned()),
        time: Cow::Owned(line.time.into_owned()),
        others,
    })
}

fn parse(line: &str) -> Option<DockerLine<'_>> {
    let mut json = serde_json::Deserializer::from_str(line);
    let line = json.deserialize_map(Line).ok()?;
    json.end().ok()?;
    line
}

struct Line;

impl<'de> Visitor<'de> for Line {
    /// `None`: an object without a text.
    type Value = Option<DockerLine<'de>>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut line = DockerLine::default();
        let mut has_text = false;
        while let Some(key) = map.next_key_seed(Key(&mut line.others))? {
            match key {
                Known::Text => {
                    line.text = match map.next_value::<Text<'de>>()?.0 {
                        Cow::Borrowed(text) => Cow::Borrowed(text.as_bytes()),
                        Cow::Owned(text) => Cow::Owned(text.into_bytes()),
                    };
                    has_text = true;
                }
                Known::Stream => line.stream = map.next_value::<Text<'de>>()?.0,
                Known::Time => line.time = map.next_value::<Text<'de>>()?.0,
                Known::Other => map.next_value_seed(Value::of_pair(&mut line.others.pairs))?,
            }
        }
        Ok(has_text.then_some(line))
    }
}

#[derive(Deserialize)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

enum Known {
    Text,
    Stream,
    Time,
    /// It was written.
    Other,
}

struct Key<'a>(&'a mut Others);

impl<'de> DeserializeSeed<'de> for Key<'_> {
    type Value = Known;

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<Known, D::Error> {
        json.deserialize_str(self)
    }
}

impl Visitor<'_> for Key<'_> {
    type Value = Known;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_str<E: Error>(self, key: &str) -> Result<Known, E> {
        Ok(match key {
            "log" => Known::Text,
            "stream" => Known::Stream,
            "time" => Known::Time,
            other => {
                self.0.count += 1;
                flb_sidecar_sdk::msgpack::write_str(&mut self.0.pairs, other);
                Known::Other
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_is_kept() {
        let line =
            r#"{"attrs":{"tag":"x"},"log":"a\tb\n","stream":"stderr","n":[1,null],"time":"t"}"#;
        let read = read(line.as_bytes()).unwrap();
        assert_eq!(
            (&*read.text, &*read.stream, &*read.time),
            (&b"a\tb\n"[..], "stderr", "t")
        );
        let mut map = vec![0x80 | read.others.count as u8];
        map.extend_from_slice(&read.others.pairs);
        let (json, _) = flb_sidecar_sdk::json::read(&map, 0).unwrap();
        assert_eq!(json.to_string(), r#"{"attrs":{"tag":"x"},"n":[1,null]}"#);
    }

    #[test]
    fn bytes_that_are_no_text_stay() {
        let line = read(b"{\"log\":\"caf\xe9\n\\n\",\"attrs\":{\"k\xff\":\"\x01\"}}").unwrap();
        assert_eq!(&*line.text, b"caf\xe9\n\n");
        assert_eq!(line.others.pairs, b"\xa5attrs\x81\xa2k\xff\xa1\x01");
    }

    #[test]
    fn other_lines_are_none() {
        for line in [
            "",
            "{}",
            "[]",
            "plain",
            r#"{"log":1}"#,
            r#"{"log":"a"} x"#,
            r#"{"log":"a""#,
        ] {
            assert!(read(line.as_bytes()).is_none(), "{line}");
        }
    }
}
