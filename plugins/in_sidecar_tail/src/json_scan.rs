//! JSON objects as logs have them to msgpack, straight from the text. What is rare here (control
//! characters between tokens, deep nesting, numbers at the limits) is left to [`crate::json_line`],
//! which gives the same for everything else.
//!
//! Grammar: RFC 8259.

use flb_sidecar_sdk::event::Timestamp;
use flb_sidecar_sdk::msgpack;

use crate::json_line::{close_array, close_map, ends_with_key, open_map, time_of, TimeKey};

/// Objects and arrays inside each other; deeper ones are rare.
const DEPTH: usize = 32;
/// Digits that fit 64 bits whatever they are.
const DIGITS: usize = 18;

/// Writes the pairs of the object in `line`, without a map's header; returns their number and
/// the time. `None`: it is not one object, or a rare one; what was written is to be taken back.
pub(crate) fn write(
    out: &mut Vec<u8>,
    line: &[u8],
    time_key: TimeKey<'_>,
) -> Option<(usize, Option<Timestamp>)> {
    let has_control = line.iter().fold(false, |any, byte| any | (*byte < b' '));
    if has_control || std::str::from_utf8(line).is_err() {
        return None;
    }
    let mut scan = Scan { line, at: 0, out };
    let mut time = None;
    scan.begin(b'{')?;
    let pairs = scan.pairs(DEPTH, &mut |key, value| {
        let is_time = |name: &str| key.ends_with(name.as_bytes()) && ends_with_key(key, name);
        if !time_key.key.is_some_and(is_time) {
            return false;
        }
        time = time_of(value, time_key.clock);
        time.is_some() && !time_key.keep
    })?;
    scan.skip_blanks();
    (scan.at == line.len()).then_some((pairs, time))
}

struct Scan<'a> {
    line: &'a [u8],
    at: usize,
    out: &'a mut Vec<u8>,
}

impl Scan<'_> {
    /// The next byte that is no blank; it is not passed.
    fn skip_blanks(&mut self) -> Option<u8> {
        while self.line.get(self.at) == Some(&b' ') {
            self.at += 1;
        }
        self.line.get(self.at).copied()
    }

    fn begin(&mut self, byte: u8) -> Option<()> {
        (self.skip_blanks()? == byte).then(|| self.at += 1)
    }

    /// Behind `{`, to behind `}`. `leaves_out` is asked of each key and value as written.
    fn pairs(
        &mut self,
        depth: usize,
        leaves_out: &mut dyn FnMut(&[u8], &[u8]) -> bool,
    ) -> Option<usize> {
        let mut pairs = 0;
        if self.skip_blanks()? == b'}' {
            self.at += 1;
            return Some(pairs);
        }
        loop {
            let key_at = self.out.len();
            self.begin(b'"')?;
            self.string()?;
            self.begin(b':')?;
            let value_at = self.out.len();
            self.value(depth)?;
            let (key, value) = self.out[key_at..].split_at(value_at - key_at);
            if leaves_out(key, value) {
                self.out.truncate(key_at);
            } else {
                pairs += 1;
            }
            let next = self.skip_blanks()?;
            self.at += 1;
            match next {
                b',' => {}
                b'}' => return Some(pairs),
                _ => return None,
            }
        }
    }

    fn items(&mut self, depth: usize) -> Option<usize> {
        let mut items = 0;
        if self.skip_blanks()? == b']' {
            self.at += 1;
            return Some(items);
        }
        loop {
            self.value(depth)?;
            items += 1;
            let next = self.skip_blanks()?;
            self.at += 1;
            match next {
                b',' => {}
                b']' => return Some(items),
                _ => return None,
            }
        }
    }

    fn value(&mut self, depth: usize) -> Option<()> {
        let depth = depth.checked_sub(1)?;
        match self.skip_blanks()? {
            b'"' => {
                self.at += 1;
                self.string()?;
            }
            b'{' => {
                self.at += 1;
                let start = open_map(self.out);
                let pairs = self.pairs(depth, &mut |_, _| false)?;
                close_map(self.out, start, pairs);
            }
            b'[' => {
                self.at += 1;
                // Its header has one byte, too.
                let start = open_map(self.out);
                let items = self.items(depth)?;
                close_array(self.out, start, items);
            }
            b't' => self.word(b"true", 0xc3)?,
            b'f' => self.word(b"false", 0xc2)?,
            b'n' => self.word(b"null", 0xc0)?,
            _ => self.number()?,
        }
        Some(())
    }

    fn word(&mut self, word: &[u8], byte: u8) -> Option<()> {
        self.line[self.at..].starts_with(word).then(|| {
            self.at += word.len();
            self.out.push(byte);
        })
    }

    /// Behind the first quote, to behind the last one.
    fn string(&mut self) -> Option<()> {
        let start = self.at;
        let mut end = start + stop(&self.line[start..])?;
        if self.line[end] == b'"' {
            msgpack::write_bytes_as_str(self.out, &self.line[start..end]);
            self.at = end + 1;
            return Some(());
        }
        while self.line[end] == b'\\' {
            let behind = end + 2;
            end = behind + stop(self.line.get(behind..)?)?;
        }
        let text = serde_json::from_slice::<String>(&self.line[start - 1..=end]).ok()?;
        msgpack::write_str(self.out, &text);
        self.at = end + 1;
        Some(())
    }

    fn number(&mut self) -> Option<()> {
        let rest = &self.line[self.at..];
        let negative = rest.first() == Some(&b'-');
        let unsigned = &rest[usize::from(negative)..];
        let whole = digits(unsigned);
        if whole == 0 || whole > DIGITS || (whole > 1 && unsigned[0] == b'0') {
            return None;
        }
        let mut length = whole;
        if unsigned.get(length) == Some(&b'.') {
            let fraction = digits(&unsigned[length + 1..]);
            length += 1 + fraction;
            if fraction == 0 {
                return None;
            }
        }
        // With an exponent it may be too large.
        if matches!(unsigned.get(length), Some(b'e' | b'E')) {
            return None;
        }
        self.at += length + usize::from(negative);
        if length > whole {
            let text = std::str::from_utf8(&rest[..length + usize::from(negative)]).ok()?;
            let value: f64 = text.parse().ok()?;
            self.out.push(0xcb);
            self.out.extend_from_slice(&value.to_bits().to_be_bytes());
            return Some(());
        }
        let value = unsigned[..whole]
            .iter()
            .fold(0, |value, digit| value * 10 + i64::from(digit - b'0'));
        match (negative, value) {
            // A double: integers have no such zero.
            (true, 0) => return None,
            (true, value) => msgpack::write_int(self.out, -value),
            (false, value) => msgpack::write_uint(self.out, value as u64),
        }
        Some(())
    }
}

fn digits(text: &[u8]) -> usize {
    let other = text.iter().position(|byte| !byte.is_ascii_digit());
    other.unwrap_or(text.len())
}

/// Where the first quote or backslash is. Most strings are short: eight bytes at a time, in a
/// register (Mycroft's test for a zero byte; the first one it finds is one).
fn stop(text: &[u8]) -> Option<usize> {
    const ONES: u64 = u64::MAX / 0xff;
    const HIGH: u64 = ONES << 7;
    let zeros = |word: u64| word.wrapping_sub(ONES) & !word & HIGH;
    let mut chunks = text.chunks_exact(8);
    let mut at = 0;
    for chunk in &mut chunks {
        let word = u64::from_le_bytes(chunk.try_into().unwrap_or_default());
        let quote = zeros(word ^ (ONES * u64::from(b'"')));
        let backslash = zeros(word ^ (ONES * u64::from(b'\\')));
        let found = quote | backslash;
        if found != 0 {
            return Some(at + found.trailing_zeros() as usize / 8);
        }
        at += 8;
    }
    let rest = chunks.remainder();
    let found = rest.iter().position(|byte| matches!(byte, b'"' | b'\\'));
    found.map(|found| at + found)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::clock::Clock;
    use crate::json_line::write_rare;

    type Written = Option<(Vec<u8>, usize, Option<Timestamp>)>;

    fn both(line: &[u8], keep: bool) -> (Written, Written) {
        let time_key = TimeKey {
            key: Some("time"),
            clock: &Clock::Rfc3339,
            keep,
        };
        let [mut here, mut there] = [Vec::new(), Vec::new()];
        let scanned = write(&mut here, line, time_key).map(|(pairs, time)| (here, pairs, time));
        let other = write_rare(&mut there, line, time_key);
        (scanned, other.map(|(pairs, time)| (there, pairs, time)))
    }

    #[test]
    fn usual_lines_are_scanned() {
        for line in [
            r#"{}"#,
            r#" { "a" : [ ] , "b" : [ 1 , -2.5 , { } ] } "#,
            r#"{"time":"2024-01-01T10:00:00.5Z","a":"said \"hi\" \\","\u00e9\n":1}"#,
            r#"{"time":"yesterday","n":-1,"m":123456789012345678,"t":true,"f":false,"x":null}"#,
            r#"{"many":[1,2,3,4,5,6,7,8,9,0,1,2,3,4,5,6,7],"text":"日本語 and more of it"}"#,
        ] {
            for keep in [false, true] {
                let (scanned, other) = both(line.as_bytes(), keep);
                assert!(scanned.is_some(), "{line}");
                assert_eq!(scanned, other, "{line}");
            }
        }
    }

    #[test]
    fn what_is_rare_or_wrong_is_left_alone() {
        for line in [
            &b"{\"a\":-0}"[..],
            b"{\"a\":1e3}",
            b"{\"a\":1234567890123456789}",
            b"{\"a\":\t1}",
            b"{\"a\":\"\xff\"}",
            b"{\"a\":01}",
            b"{\"a\":1.}",
            b"{\"a\":\"\\x\"}",
            b"{\"a\":\"x\\",
            b"{\"a\":1,}",
            b"{\"a\":1}x",
            b"[1]",
        ] {
            assert_eq!(both(line, false).0, None);
        }
    }

    fn json() -> impl Strategy<Value = String> {
        let leaf = prop_oneof![
            "null|true|false|-?(0|[1-9][0-9]{0,20})|-?[0-9]{1,6}\\.[0-9]{0,6}",
            r#""([ -!#-\[\]-~é日]|\\["\\/bfnrtu]|\\u[0-9a-d]{4}){0,24}""#,
        ];
        leaf.prop_recursive(4, 32, 20, |inner| {
            let key = r#""(time|[a-c]{0,9}|\\n)""#;
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..20)
                    .prop_map(|items| format!("[{}]", items.join(","))),
                prop::collection::vec((key, " ?", inner), 0..20).prop_map(|pairs| {
                    let pairs = pairs.into_iter();
                    let pairs =
                        pairs.map(|(key, blank, value)| format!("{key}{blank}:{blank}{value}"));
                    format!("{{{}}}", pairs.collect::<Vec<_>>().join(","))
                }),
            ]
        })
    }

    proptest! {
        #[test]
        fn what_is_scanned_is_what_a_json_library_reads(
            value in json(),
            (at, byte) in (0usize..400, 0u8..=255),
            (damaged, keep) in any::<(bool, bool)>(),
        ) {
            let mut line = format!("{{\"time\":\"2024-01-01T10:00:00Z\",\"v\":{value}}}").into_bytes();
            if damaged {
                let at = at % line.len();
                line[at] = byte;
            }
            let (scanned, other) = both(&line, keep);
            if scanned.is_some() {
                prop_assert_eq!(scanned, other, "{}", String::from_utf8_lossy(&line));
            }
        }

        #[test]
        fn the_first_stop_is_found(text in prop::collection::vec(any::<u8>(), 0..40)) {
            let plain = text.iter().position(|byte| matches!(byte, b'"' | b'\\'));
            prop_assert_eq!(stop(&text), plain);
        }
    }
}
