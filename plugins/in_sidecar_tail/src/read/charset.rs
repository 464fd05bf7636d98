//! Files that are not UTF-8: where lines and characters end in them, and their text as UTF-8.
//!
//! Lines are found in the bytes as they are, so every offset is one of the file; only a line's
//! text is decoded. That works since no encoding here has a newline's byte inside a character,
//! but for UTF-16, whose units are taken in pairs of bytes from the file's head on.

use encoding_rs::{DecoderResult, Encoding, BIG5, EUC_KR, GB18030, GBK, SHIFT_JIS};

use crate::track::fingerprint::HEAD;

/// What a file's bytes are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Code {
    /// Passed on as they are.
    Plain,
    /// The same, but for a byte order mark at the file's head.
    Utf8,
    Utf16(Order),
    /// A superset of ASCII in which characters have one, two or four bytes.
    Other(Generic),
}

/// One of the encodings of `generic.encoding`, by its place among them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Generic(u8);

#[cfg(any(test, feature = "fuzzing"))]
pub(crate) const SHIFT_JIS_CODE: Code = Code::Other(Generic(0));
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) const GB18030_CODE: Code = Code::Other(Generic(3));

impl Generic {
    fn encoding(self) -> &'static Encoding {
        GENERIC[usize::from(self.0)].1
    }
}

/// Which byte of a unit of UTF-16 comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Order {
    Little,
    Big,
}

/// The options `unicode.encoding` and `generic.encoding`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    /// Every file is in this one.
    Fixed(Code),
    /// UTF-8 or UTF-16, as a file's head tells.
    Auto,
}

impl Source {
    /// Whether every line ends with a byte that is a newline.
    pub(crate) fn has_newlines(self) -> bool {
        !matches!(self, Source::Auto | Source::Fixed(Code::Utf16(_)))
    }
}

/// Names of `generic.encoding` and its other names, as in the host's `tail`.
#[rustfmt::skip]
static GENERIC: [(&[&str], &Encoding); 14] = [
    (&["ShiftJIS", "SJIS", "CP932", "Windows-31J"], SHIFT_JIS),
    (&["UHC", "CP949", "Windows-949"], EUC_KR),
    (&["GBK", "CP936"], GBK),
    (&["GB18030"], GB18030),
    (&["Big5", "CP950"], BIG5),
    (&["Win866", "CP866"], encoding_rs::IBM866),
    (&["Win874", "CP874"], encoding_rs::WINDOWS_874),
    (&["Win1250", "CP1250"], encoding_rs::WINDOWS_1250),
    (&["Win1251", "CP1251"], encoding_rs::WINDOWS_1251),
    (&["Win1252", "CP1252"], encoding_rs::WINDOWS_1252),
    (&["Win1253", "CP1253"], encoding_rs::WINDOWS_1253),
    (&["Win1254", "CP1254"], encoding_rs::WINDOWS_1254),
    (&["Win1255", "CP1255"], encoding_rs::WINDOWS_1255),
    (&["Win1256", "CP1256"], encoding_rs::WINDOWS_1256),
];

/// The encoding that `generic.encoding` calls by this name.
pub(crate) fn generic(name: &str) -> Option<Code> {
    let named = |names: &[&str]| names.iter().any(|other| other.eq_ignore_ascii_case(name));
    let found = GENERIC.iter().position(|(names, _)| named(names));
    found.map(|place| Code::Other(Generic(place as u8)))
}

/// What `unicode.encoding` calls by this name.
pub(crate) fn unicode(name: &str) -> Option<Source> {
    match name.to_ascii_lowercase().as_str() {
        "auto" => Some(Source::Auto),
        "utf-16le" | "utf16-le" => Some(Source::Fixed(Code::Utf16(Order::Little))),
        "utf-16be" | "utf16-be" => Some(Source::Fixed(Code::Utf16(Order::Big))),
        _ => None,
    }
}

/// What a file is that begins with `head`, at most [`HEAD`] bytes; `None`: more of it will tell.
///
/// A byte order mark tells. Without one it is UTF-16 if NULs are in every second place only, and
/// are many or the bytes are no UTF-8: there is one beside every newline, digit and blank.
pub(crate) fn detect(head: &[u8]) -> Option<Code> {
    match head {
        [0xff, 0xfe, ..] => return Some(Code::Utf16(Order::Little)),
        [0xfe, 0xff, ..] => return Some(Code::Utf16(Order::Big)),
        [0xef, 0xbb, 0xbf, ..] => return Some(Code::Utf8),
        _ => {}
    }
    let nuls = head.iter().filter(|byte| **byte == 0).count();
    if nuls == head.len() {
        return None;
    }
    let is_utf8 = match std::str::from_utf8(head) {
        Ok(_) => true,
        // The last character may go on behind the head.
        Err(error) => error.error_len().is_none(),
    };
    let nul_at = |first: usize| head.iter().skip(first).step_by(2).any(|byte| *byte == 0);
    match (nul_at(0), nul_at(1)) {
        (false, true) if !is_utf8 || nuls * 4 >= head.len() => Some(Code::Utf16(Order::Little)),
        (true, false) if !is_utf8 || nuls * 4 >= head.len() => Some(Code::Utf16(Order::Big)),
        _ => (head.len() == HEAD || head.contains(&b'\n')).then_some(Code::Utf8),
    }
}

impl Order {
    fn unit(self, bytes: [u8; 2]) -> u16 {
        match self {
            Order::Little => u16::from_le_bytes(bytes),
            Order::Big => u16::from_be_bytes(bytes),
        }
    }

    /// A unit that is an ASCII character.
    pub(crate) fn ascii(self, byte: u8) -> [u8; 2] {
        match self {
            Order::Little => [byte, 0],
            Order::Big => [0, byte],
        }
    }
}

impl Code {
    /// Bytes of a newline.
    pub(crate) fn width(self) -> usize {
        match self {
            Code::Utf16(_) => 2,
            _ => 1,
        }
    }

    /// Where to cut what is in `first` and `second`: at `cut`, or a bit before it, so that no
    /// character is torn. The beginning of `first` is that of a character.
    pub(crate) fn boundary(self, first: &[u8], second: &[u8], cut: usize) -> usize {
        let byte = |at: usize| match at.checked_sub(first.len()) {
            Some(at) => second.get(at).copied(),
            None => first.get(at).copied(),
        };
        let found = match self {
            Code::Plain | Code::Utf8 => (cut.saturating_sub(3)..=cut)
                .rev()
                .find(|at| byte(*at).is_none_or(|byte| byte & 0xc0 != 0x80)),
            Code::Utf16(order) => {
                let cut = cut & !1;
                let unit = |at: usize| Some(order.unit([byte(at)?, byte(at + 1)?]));
                let torn = unit(cut).is_some_and(|unit| (0xdc00..0xe000).contains(&unit));
                Some(if torn { cut.saturating_sub(2) } else { cut })
            }
            Code::Other(generic) if generic.encoding().is_single_byte() => Some(cut),
            Code::Other(generic) => {
                let encoding = generic.encoding();
                let mut at = 0;
                while let Some(lead) = byte(at) {
                    let next = at + char_len(encoding, lead, byte(at + 1).unwrap_or(0));
                    if next > cut {
                        break;
                    }
                    at = next;
                }
                Some(at)
            }
        };
        found.filter(|at| *at > 0).unwrap_or(cut)
    }
}

/// Bytes of the character that begins with these two.
fn char_len(encoding: &'static Encoding, lead: u8, next: u8) -> usize {
    let half_width_kana = encoding == SHIFT_JIS && matches!(lead, 0xa0..=0xdf);
    if !matches!(lead, 0x81..=0xfe) || half_width_kana {
        1
    } else if (encoding == GBK || encoding == GB18030) && next.is_ascii_digit() {
        4
    } else {
        2
    }
}

/// Decodes lines.
#[derive(Debug, Default)]
pub(crate) struct Transcoder {
    text: String,
    bytes: Vec<u8>,
}

impl Transcoder {
    /// The text of the line `first` followed by `second`, in the same form, and how many invalid
    /// sequences became U+FFFD. `at_head`: it is the file's first line.
    pub(crate) fn line<'a>(
        &'a mut self,
        code: Code,
        at_head: bool,
        (first, second): (&'a [u8], &'a [u8]),
    ) -> ((&'a [u8], &'a [u8]), u64) {
        let encoding = match code {
            Code::Plain => return ((first, second), 0),
            Code::Utf8 if !at_head => return ((first, second), 0),
            Code::Utf8 => {
                self.bytes.clear();
                self.bytes.extend_from_slice(first);
                self.bytes.extend_from_slice(second);
                let mark = "\u{feff}".as_bytes();
                let text = self.bytes.strip_prefix(mark).unwrap_or(&self.bytes);
                return ((text, &[]), 0);
            }
            Code::Utf16(Order::Little) => encoding_rs::UTF_16LE,
            Code::Utf16(Order::Big) => encoding_rs::UTF_16BE,
            Code::Other(_) if first.is_ascii() && second.is_ascii() => {
                return ((first, second), 0);
            }
            Code::Other(generic) => generic.encoding(),
        };
        let invalid = self.decode(encoding, first, second);
        let text = if at_head {
            self.text.strip_prefix('\u{feff}').unwrap_or(&self.text)
        } else {
            &self.text
        };
        ((text.as_bytes(), &[]), invalid)
    }

    fn decode(&mut self, encoding: &'static Encoding, first: &[u8], second: &[u8]) -> u64 {
        self.text.clear();
        let mut invalid = 0;
        let mut decoder = encoding.new_decoder_without_bom_handling();
        for (mut rest, last) in [(first, false), (second, true)] {
            loop {
                let room = decoder.max_utf8_buffer_length_without_replacement(rest.len());
                self.text.reserve(room.unwrap_or(rest.len()));
                let (result, read) =
                    decoder.decode_to_string_without_replacement(rest, &mut self.text, last);
                rest = &rest[read..];
                match result {
                    DecoderResult::InputEmpty => break,
                    DecoderResult::OutputFull => {}
                    DecoderResult::Malformed(..) => {
                        invalid += 1;
                        self.text.push(char::REPLACEMENT_CHARACTER);
                    }
                }
            }
        }
        invalid
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const LITTLE: Code = Code::Utf16(Order::Little);
    const BIG: Code = Code::Utf16(Order::Big);

    fn utf16(text: &str, order: Order) -> Vec<u8> {
        let bytes = |unit: u16| match order {
            Order::Little => unit.to_le_bytes(),
            Order::Big => unit.to_be_bytes(),
        };
        text.encode_utf16().flat_map(bytes).collect()
    }

    #[test]
    fn the_head_tells_what_a_file_is() {
        let long = "x".repeat(HEAD);
        for (head, code) in [
            (&b""[..], None),
            (b"\xff", None),
            (b"\xff\xfe", Some(LITTLE)),
            (b"\xfe\xff\0a", Some(BIG)),
            (b"\xef\xbb\xbf", Some(Code::Utf8)),
            (b"text", None),
            (b"text\n", Some(Code::Utf8)),
            (b"a NUL \0 in it\n", Some(Code::Utf8)),
            (b"\0\0\0\0", None),
            (b"\0\0\0text\n", Some(Code::Utf8)),
            (long.as_bytes(), Some(Code::Utf8)),
            (&utf16("text", Order::Little), Some(LITTLE)),
            (&utf16("text", Order::Big), Some(BIG)),
            (
                &utf16("\u{65e5}\u{672c}\u{8a9e}\n", Order::Little),
                Some(LITTLE),
            ),
            (&utf16("\u{65e5}\u{672c}\u{8a9e}\n", Order::Big), Some(BIG)),
            (&"\u{65e5}\u{672c}\n".as_bytes()[..5], None),
        ] {
            assert_eq!(detect(head), code, "{head:?}");
        }
    }

    #[test]
    fn names_are_those_of_tail_in_any_case() {
        for (place, (names, _)) in GENERIC.iter().enumerate() {
            for name in *names {
                let code = Some(Code::Other(Generic(place as u8)));
                assert_eq!(generic(&name.to_lowercase()), code, "{name}");
                assert_eq!(generic(&name.to_uppercase()), code, "{name}");
            }
        }
        assert_eq!(generic("latin-9"), None);
        assert_eq!(unicode("UTF-16LE"), Some(Source::Fixed(LITTLE)));
        assert_eq!(unicode("utf16-be"), Some(Source::Fixed(BIG)));
        assert_eq!(unicode("utf-32"), None);
    }

    #[test]
    fn invalid_sequences_are_replaced_and_counted() {
        let mut transcoder = Transcoder::default();
        let sjis = generic("sjis").unwrap();
        let parts: (&[u8], &[u8]) = (b"a\xff\x82", b"\xa0b\x82");
        let ((text, rest), invalid) = transcoder.line(sjis, false, parts);
        assert_eq!(text, "a\u{fffd}\u{3042}b\u{fffd}".as_bytes());
        assert_eq!((rest, invalid), (&[][..], 2));
        let parts: (&[u8], &[u8]) = (b"\x00\xd8a\0", b"b");
        let ((text, _), invalid) = transcoder.line(LITTLE, false, parts);
        assert_eq!(text, "\u{fffd}a\u{fffd}".as_bytes());
        assert_eq!(invalid, 2);
    }

    #[test]
    fn a_byte_order_mark_is_left_out_at_the_head_only() {
        let mut transcoder = Transcoder::default();
        let marked = "\u{feff}x";
        for (code, bytes) in [
            (Code::Utf8, marked.as_bytes().to_vec()),
            (LITTLE, utf16(marked, Order::Little)),
            (BIG, utf16(marked, Order::Big)),
        ] {
            for (at_head, text) in [(true, "x"), (false, marked)] {
                let ((got, rest), _) = transcoder.line(code, at_head, (&bytes[..2], &bytes[2..]));
                assert_eq!([got, rest].concat(), text.as_bytes(), "{code:?}");
            }
        }
    }

    proptest! {
        #[test]
        fn utf16_is_read_as_the_standard_library_reads_it(
            units in proptest::collection::vec(prop_oneof![any::<u16>(), 0xd7f0u16..0xe010], 0..40),
            cut in 0usize..40,
        ) {
            let expect = String::from_utf16_lossy(&units);
            let unpaired = char::decode_utf16(units.iter().copied()).filter(Result::is_err).count();
            let bytes: Vec<u8> = units.iter().flat_map(|unit| unit.to_be_bytes()).collect();
            let (first, second) = bytes.split_at(cut.min(bytes.len()));
            let mut transcoder = Transcoder::default();
            let ((text, _), invalid) = transcoder.line(BIG, false, (first, second));
            prop_assert_eq!(text, expect.as_bytes());
            prop_assert_eq!(invalid, unpaired as u64);
        }

        #[test]
        fn no_character_is_torn(text in "[a-z\u{e9}\u{3042}-\u{3093}\u{4e00}-\u{4eff}\u{1f600}]{1,20}", cut in 4usize..40) {
            for code in ["sjis", "gb18030", "uhc", "big5"].map(|name| generic(name).unwrap()) {
                let Code::Other(generic) = code else { continue };
                let encoding = generic.encoding();
                let (bytes, _, unmappable) = encoding.encode(&text);
                if unmappable || cut >= bytes.len() {
                    continue;
                }
                let (first, second) = bytes.split_at(cut / 2);
                let at = code.boundary(first, second, cut);
                prop_assert!(at <= cut && at + 4 > cut);
                for half in [&bytes[..at], &bytes[at..]] {
                    prop_assert!(!encoding.decode_without_bom_handling(half).1, "{code:?} {text} {at}");
                }
            }
        }
    }
}
