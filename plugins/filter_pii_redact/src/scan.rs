//! The gate: which bytes of a buffer could be part of something sensitive?
//!
//! The buffer is read in windows of 64 bytes, four at a time. Each window becomes a handful of 64-bit
//! maps ([`vector`]), one bit a byte: digits, letters and so on. Shapes such as "three digits, a
//! separator, three digits" are shifts and ANDs of these maps ([`shape`]), so a window costs the
//! same whatever it holds. A set bit is a candidate; the detectors verify it.
//!
//! The maps look at bytes only, never at where a string starts or ends. So the gate runs over raw
//! msgpack as well as over one string, and what it finds in a string it also finds in the batch.

mod cursor;
mod shape;
mod signs;
#[cfg_attr(not(target_arch = "x86_64"), allow(dead_code))]
mod trigrams;
// The ends of names are looked for with AVX2 only.
#[cfg_attr(not(target_arch = "x86_64"), allow(dead_code))]
mod vector;
mod words;

use crate::name::may_be_assigned;
use crate::text::is_escape;
use shape::{BYTES, LOOK, REACH, STEP};
use vector::{Maps, Portable, Vector, LANES};

pub(crate) use cursor::{Cursor, Runs};
pub(crate) use shape::RUN;
pub(crate) use signs::{
    is_gap, is_sign, is_value, is_word, SignTables, SignWindows, Signs, GAP, TOKEN, VALUE,
};
use trigrams::Quads;
pub(crate) use trigrams::{Halves, Kinds};
pub(crate) use vector::WINDOW;
pub(crate) use words::{Case, Next, Words};

/// What a candidate could belong to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// An `@` in front of a host.
    At,
    /// A digit inside a number that is long enough, or grouped like an identifier, or behind `+`.
    Number,
    /// A digit inside a row of groups that only its surroundings can make a phone number.
    Phone,
    /// A digit behind two capitals, or a capital behind seven digits.
    Code,
    /// The [`RUN`]th alphanumeric byte of a run.
    Long,
    /// The same of a run of letters, digits, underscores and hyphens, the fourth of a run of hyphens,
    /// or a tilde behind `Q`.
    Token,
    /// A `:` or `=` behind a name, or the byte behind a msgpack key.
    Assign,
    /// A `%` or a backslash.
    Escape,
    /// The first digit of the fourth of four numbers with dots between.
    Ipv4,
    /// A colon of what could be an IPv6 address.
    Ipv6,
    /// A separator of what could be a MAC address.
    Mac,
    /// The header byte of a 32- or 64-bit msgpack integer.
    Int,
}

/// Which groups of shapes to look for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Shapes {
    /// `@`.
    pub(crate) at: bool,
    /// Numbers.
    pub(crate) number: bool,
    /// Groups of digits that need a keyword.
    pub(crate) phone: bool,
    /// Codes of capitals and digits.
    pub(crate) code: bool,
    /// Long alphanumeric runs.
    pub(crate) long: bool,
    /// Runs that tokens with a fixed prefix are made of.
    pub(crate) token: bool,
    /// Names in front of a value.
    pub(crate) assign: bool,
    /// Percent-encoding and backslash escapes.
    pub(crate) escape: bool,
    /// IP addresses.
    pub(crate) ip: bool,
    /// MAC addresses.
    pub(crate) mac: bool,
    /// msgpack integers; only for raw msgpack.
    pub(crate) int: bool,
}

/// The gate, with the widest vectors that the processor has.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Gate {
    #[cfg(all(target_arch = "x86_64", feature = "avx512"))]
    avx512: Option<vector::Avx512>,
    #[cfg(target_arch = "x86_64")]
    avx2: Option<vector::Avx2>,
}

impl Gate {
    pub(crate) fn new() -> Self {
        Gate {
            #[cfg(all(target_arch = "x86_64", feature = "avx512"))]
            avx512: vector::Avx512::detect(),
            #[cfg(target_arch = "x86_64")]
            avx2: vector::Avx2::detect(),
        }
    }

    #[cfg(test)]
    fn portable() -> Self {
        Gate {
            #[cfg(all(target_arch = "x86_64", feature = "avx512"))]
            avx512: None,
            #[cfg(target_arch = "x86_64")]
            avx2: None,
        }
    }

    /// With every kind of vectors that the processor has.
    #[cfg(test)]
    #[allow(unused_mut)]
    fn every() -> Vec<Self> {
        let mut second = Gate::portable();
        #[cfg(target_arch = "x86_64")]
        {
            second.avx2 = vector::Avx2::detect();
        }
        vec![Gate::new(), second, Gate::portable()]
    }

    /// Looks at `buf[at..]`, [`LOOK`] bytes at a time, until there is a candidate; where that look
    /// began. What ends in the first `seen` bytes is not reported. `None`: there is none any more.
    fn look(
        &self,
        buf: &[u8],
        at: usize,
        seen: usize,
        shapes: Shapes,
        sight: &mut Sight,
    ) -> Option<usize> {
        #[cfg(all(target_arch = "x86_64", feature = "avx512"))]
        if let Some(avx512) = self.avx512 {
            return avx512.run(
                #[inline(always)]
                move || look(avx512, buf, at, seen, shapes, sight),
            );
        }
        #[cfg(target_arch = "x86_64")]
        if let Some(avx2) = self.avx2 {
            return avx2.run(
                #[inline(always)]
                move || look(avx2, buf, at, seen, shapes, sight),
            );
        }
        look(Portable, buf, at, seen, shapes, sight)
    }

    /// The digits and separators of the window at `at`.
    pub(crate) fn numerals(&self, text: &[u8], at: usize) -> Numerals {
        #[cfg(target_arch = "x86_64")]
        if let Some(avx2) = self.avx2 {
            return avx2.run(
                #[inline(always)]
                move || numerals(avx2, text, at),
            );
        }
        numerals(Portable, text, at)
    }

    /// Where in the window at `at` one of the table may be.
    fn quads(&self, text: &[u8], at: usize, table: &Quads) -> u64 {
        #[cfg(all(target_arch = "x86_64", feature = "avx512"))]
        if let Some(avx512) = self.avx512 {
            return avx512.run(
                #[inline(always)]
                move || quads(avx512, text, at, table),
            );
        }
        #[cfg(target_arch = "x86_64")]
        if let Some(avx2) = self.avx2 {
            return avx2.run(
                #[inline(always)]
                move || quads(avx2, text, at, table),
            );
        }
        quads(Portable, text, at, table)
    }

    /// Where in the window at `at` one of each kind may be.
    pub(crate) fn kinds<const N: usize>(&self, text: &[u8], at: usize, all: &Kinds<N>) -> [u64; N] {
        #[cfg(all(target_arch = "x86_64", feature = "avx512"))]
        if let Some(avx512) = self.avx512 {
            return avx512.run(
                #[inline(always)]
                move || kinds(avx512, text, at, all),
            );
        }
        #[cfg(target_arch = "x86_64")]
        if let Some(avx2) = self.avx2 {
            return avx2.run(
                #[inline(always)]
                move || kinds(avx2, text, at, all),
            );
        }
        kinds(Portable, text, at, all)
    }

    /// What rules of the user may begin with in the next windows.
    fn signs(&self, text: &[u8], tables: &SignTables, windows: &mut SignWindows) {
        #[cfg(all(target_arch = "x86_64", feature = "avx512"))]
        if let Some(avx512) = self.avx512 {
            return avx512.run(
                #[inline(always)]
                move || signs::signs(avx512, text, tables, windows),
            );
        }
        #[cfg(target_arch = "x86_64")]
        if let Some(avx2) = self.avx2 {
            return avx2.run(
                #[inline(always)]
                move || signs::signs(avx2, text, tables, windows),
            );
        }
        signs::signs(Portable, text, tables, windows);
    }

    /// The letters in the window at `at` that start a word: behind no letter, or as the hump of
    /// `camelCase`.
    pub(crate) fn word_starts(&self, text: &[u8], at: usize) -> u64 {
        #[cfg(target_arch = "x86_64")]
        if let Some(avx2) = self.avx2 {
            return avx2.run(
                #[inline(always)]
                move || word_starts(avx2, text, at),
            );
        }
        word_starts(Portable, text, at)
    }
}

/// What rows of digit groups are made of, in one window.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Numerals {
    pub(crate) digit: u64,
    /// Blanks, parentheses, hyphens, dots and slashes.
    pub(crate) separator: u64,
}

#[inline(always)]
fn numerals<V: Vector>(v: V, text: &[u8], at: usize) -> Numerals {
    let (bytes, behind) = window(v, text, at);
    // The hyphen, the dot and the slash are neighbours, as the parentheses are.
    let marks = v.or(v.within(bytes, b'-', b'/'), v.within(bytes, b'(', b')'));
    Numerals {
        digit: v.bits(v.within(bytes, b'0', b'9')) >> behind,
        separator: v.bits(v.or(marks, v.equal(bytes, b' '))) >> behind,
    }
}

/// The window at `at`, and the bit of it that is at `at`: the last window ends where the text does.
#[inline(always)]
fn window<V: Vector>(v: V, text: &[u8], at: usize) -> (V::Bytes, usize) {
    if let Some(window) = text.get(at..).and_then(<[u8]>::first_chunk::<WINDOW>) {
        return (v.load(window), 0);
    }
    match text.last_chunk::<WINDOW>() {
        Some(last) if at < text.len() => (v.load(last), at + WINDOW - text.len()),
        _ => {
            let rest = text.get(at..).unwrap_or_default();
            let mut window = [0u8; WINDOW];
            window[..rest.len()].copy_from_slice(rest);
            (v.load(&window), 0)
        }
    }
}

/// The window that begins at `from`.
#[inline(always)]
fn load_from<V: Vector>(v: V, bytes: &[u8], from: usize) -> V::Bytes {
    match bytes[from..].first_chunk() {
        Some(window) => v.load(window),
        None => v.load(&[0; WINDOW]),
    }
}

/// Bytes of a window with those behind it that a quad may reach.
const QUADS: usize = WINDOW + 3;

/// The bytes from `at` on, filled up with zeros, and the bits of the window that are in the text.
#[inline(always)]
fn padded(text: &[u8], at: usize) -> ([u8; QUADS], u64) {
    let rest = text.get(at..).unwrap_or_default();
    let mut window = [0; QUADS];
    let len = rest.len().min(QUADS);
    window[..len].copy_from_slice(&rest[..len]);
    match len < WINDOW {
        true => (window, (1 << len) - 1),
        false => (window, u64::MAX),
    }
}

#[inline(always)]
fn quads<V: Vector>(v: V, text: &[u8], at: usize, table: &Quads) -> u64 {
    match text.get(at..).and_then(<[u8]>::first_chunk) {
        Some(window) => quads_in(v, window, table),
        None => {
            let (window, bits) = padded(text, at);
            quads_in(v, &window, table) & bits
        }
    }
}

#[inline(always)]
fn kinds<V: Vector, const N: usize>(v: V, text: &[u8], at: usize, all: &Kinds<N>) -> [u64; N] {
    match text.get(at..).and_then(<[u8]>::first_chunk) {
        Some(window) => kinds_in(v, window, all),
        None => {
            let (window, bits) = padded(text, at);
            kinds_in(v, &window, all).map(|found| found & bits)
        }
    }
}

#[inline(always)]
fn quads_in<V: Vector>(v: V, bytes: &[u8; QUADS], table: &Quads) -> u64 {
    let shifted = shifted(v, bytes);
    let mut mask = v.has_bits(v.quads(table, shifted), u8::MAX);
    for [[first, second], [a, b]] in &table.pairs {
        let first = v.equal(v.set(shifted[0], *a), *first);
        let second = v.equal(v.set(shifted[1], *b), *second);
        mask = v.or(mask, v.and(first, second));
    }
    v.bits(mask)
}

/// Where one of each kind may be.
#[inline(always)]
fn kinds_in<V: Vector, const N: usize>(v: V, bytes: &[u8; QUADS], all: &Kinds<N>) -> [u64; N] {
    let shifted = shifted(v, bytes);
    let mut found = [0; N];
    // No iterators: what is called for each would not be code for the processor.
    for (table, kinds) in &all.tables {
        let groups = v.quads(table, shifted);
        let mut kind = 0;
        while kind < N {
            found[kind] |= v.bits(v.has_bits(groups, kinds[kind]));
            kind += 1;
        }
    }
    found
}

/// The window, and those that begin one, two and three bytes later.
#[inline(always)]
fn shifted<V: Vector>(v: V, bytes: &[u8; QUADS]) -> [V::Bytes; 4] {
    [
        load_from(v, bytes, 0),
        load_from(v, bytes, 1),
        load_from(v, bytes, 2),
        load_from(v, bytes, 3),
    ]
}

#[inline(always)]
fn word_starts<V: Vector>(v: V, text: &[u8], at: usize) -> u64 {
    let (bytes, behind) = window(v, text, at);
    let before = at.checked_sub(1).map_or(0, |n| text[n]);
    let lower = v.bits(v.within(bytes, b'a', b'z')) >> behind;
    let upper = v.bits(v.within(bytes, b'A', b'Z')) >> behind;
    let letter = lower | upper;
    let behind_letter = letter << 1 | u64::from(before.is_ascii_alphabetic());
    let behind_lower = lower << 1 | u64::from(before.is_ascii_lowercase());
    (letter & !behind_letter) | (upper & behind_lower)
}

/// What is seen in one look, per window.
#[derive(Clone, Copy, Debug, Default)]
struct Sight {
    /// Candidates of each kind of [`shape::KINDS`]; also some that were reported before.
    maps: [[u64; LANES]; shape::KINDS.len()],
    /// Where any candidate is.
    any: [u64; LANES],
    /// Where candidates of several kinds are.
    several: [u64; LANES],
    /// Letters and digits; only where tokens are looked for.
    alnum: [u64; LANES],
    /// The same with hyphens and underscores.
    word: [u64; LANES],
}

#[inline(always)]
fn look<V: Vector>(
    v: V,
    buf: &[u8],
    from: usize,
    seen: usize,
    shapes: Shapes,
    sight: &mut Sight,
) -> Option<usize> {
    const BEHIND: u64 = u64::MAX << REACH;
    let mut first = u64::MAX << seen;
    let mut at = from;
    while let Some(rest) = buf.get(at..).filter(|rest| !rest.is_empty()) {
        let found = match rest.first_chunk() {
            Some(bytes) => shape::hits(v, bytes, shapes),
            None => {
                let mut bytes = [0u8; BYTES];
                bytes[..rest.len()].copy_from_slice(rest);
                shape::hits(v, &bytes, shapes)
            }
        };
        let fresh = v.map([first, BEHIND, BEHIND, BEHIND]);
        let mut found = found;
        found.assign = found.assign & fresh;
        if !found.assign.is_empty() {
            let names = found.assign.windows();
            found.assign = v.map(sift(names, at, |at| may_be_assigned(buf, at)));
        }
        found.rare = found.rare & fresh;
        if !found.rare.is_empty() {
            let rare = found.rare.windows();
            found.rare = v.map(sift(rare, at, |at| stays(buf, at)));
        }
        let any = (found.assign | found.rare | found.others()) & fresh;
        if !any.is_empty() {
            let maps = found.by_kind();
            let (mut one, mut several) = (maps[0], v.map([0; LANES]));
            for map in &maps[1..] {
                several = several | one & *map;
                one = one | *map;
            }
            for (n, map) in maps.iter().enumerate() {
                sight.maps[n] = map.windows();
            }
            sight.any = any.windows();
            sight.several = several.windows();
            sight.alnum = found.alnum.windows();
            sight.word = found.word.windows();
            return Some(at);
        }
        if rest.len() <= LOOK {
            return None;
        }
        first = BEHIND;
        at += LANES * STEP;
    }
    None
}

/// Takes out most of what only looks like one of a kind to the gate. `from` is where the first window
/// begins.
#[inline(always)]
fn sift(mut windows: [u64; LANES], from: usize, stays: impl Fn(usize) -> bool) -> [u64; LANES] {
    for (lane, window) in windows.iter_mut().enumerate() {
        let mut left = *window;
        let mut kept = left;
        while left != 0 {
            let at = from + lane * STEP + left.trailing_zeros() as usize;
            let rest = left & (left - 1);
            if !stays(at) {
                kept ^= left ^ rest;
            }
            left = rest;
        }
        *window = kept;
    }
    windows
}

/// Whether what is rare may count.
#[inline(always)]
fn stays(buf: &[u8], at: usize) -> bool {
    match buf[at] {
        // In front of a host.
        b'@' => buf.get(at + 1).is_some_and(|next| {
            next.is_ascii_alphanumeric() || matches!(next, b'[' | b'/' | b'(' | 0x80..)
        }),
        b'+' => true,
        // "8Q~"
        b'~' => at > 0 && buf[at - 1] == b'Q',
        // "$2b$", "$argon2id$"
        b'$' => {
            let signs = [2, 3, 5, 7, 8, 9, 14];
            signs.iter().any(|n| at >= *n && buf[at - n] == b'$')
        }
        // A break between groups of digits: most are not looked at more closely.
        b'\n' => buf.get(at + 1).is_some_and(u8::is_ascii_digit) && is_escape(buf, at),
        b'<' => buf.get(at + 1) == Some(&b'b') && is_escape(buf, at),
        _ => is_escape(buf, at),
    }
}

#[cfg(test)]
#[allow(clippy::duplicate_mod)]
#[path = "../tests/common/lines.rs"]
mod lines;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const ALL: Shapes = Shapes {
        at: true,
        number: true,
        phone: true,
        code: true,
        long: true,
        token: true,
        assign: true,
        escape: true,
        ip: true,
        mac: true,
        int: true,
    };

    fn collect(gate: Gate, buf: &[u8]) -> Vec<(Kind, usize)> {
        let mut found = Vec::new();
        let mut cursor = Cursor::new(gate, ALL);
        while let Some(candidate) = cursor.next(buf) {
            found.push(candidate);
        }
        found
    }

    /// Whether a name that needs no sign may end here.
    fn ends_bare(text: &[u8]) -> bool {
        let end = text
            .last_chunk::<3>()
            .map(|end| end.map(|b| b.to_ascii_lowercase()));
        let mut bare = crate::lexicon::ENDS.iter().filter(|end| end.bare);
        bare.any(|bare| Some(bare.three) == end)
    }

    #[test]
    fn shapes_are_found_wherever_they_cross_a_block() {
        for (text, kind) in [
            ("a@b", Kind::At),
            ("4012888888881881", Kind::Number),
            ("4012 8888 8888 1881", Kind::Number),
            ("3782 822463 10005", Kind::Number),
            ("123-45-6789", Kind::Number),
            ("555-123-4567", Kind::Number),
            ("(555) 123-4567", Kind::Number),
            ("046 454 286", Kind::Number),
            ("01 23 45 67 89", Kind::Number),
            ("0115 4960991", Kind::Number),
            ("0931/312345", Kind::Number),
            ("+4420", Kind::Number),
            ("+(44) 20", Kind::Number),
            ("451 5986", Kind::Phone),
            ("9472 7916", Kind::Phone),
            ("99 668472", Kind::Phone),
            ("78 651 450", Kind::Phone),
            ("416 60 039", Kind::Phone),
            ("0490 75 40 81", Kind::Phone),
            ("0181-78 78 10", Kind::Phone),
            ("(03)71528659", Kind::Phone),
            ("02-217-8789", Kind::Phone),
            ("074104 10123", Kind::Phone),
            ("0 2049 0495", Kind::Phone),
            ("=5551234", Kind::Phone),
            ("=55512345", Kind::Phone),
            ("\": 55512345", Kind::Phone),
            ("GB82WEST", Kind::Code),
            ("QQ 12 34 56 C", Kind::Code),
            ("12345678Z", Kind::Code),
            ("12345678-Z", Kind::Code),
            ("1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa", Kind::Long),
            ("AKIA2345ABCD2345ABCD", Kind::Token),
            ("-----BEGIN", Kind::Token),
            ("8Q~", Kind::Token),
            ("password=", Kind::Assign),
            ("password>", Kind::Assign),
            ("--password", Kind::Assign),
            ("%40", Kind::Escape),
            ("4012\n8888", Kind::Escape),
            ("4012<br>8888", Kind::Escape),
            ("\"\"b", Kind::Escape),
            ("a\"\"", Kind::Escape),
            ("bob=40example.com", Kind::Escape),
            ("$2b$12$", Kind::Token),
            ("1\u{a0}2", Kind::Escape),
            (")\u{2011}2", Kind::Escape),
            ("10.0.0.1", Kind::Ipv4),
            ("fe80::1", Kind::Ipv6),
            ("2001:db8:0:0:1:0:0:1", Kind::Ipv6),
            ("00:1a:2b:3c:4d:5e", Kind::Mac),
            ("1a2b.3c4d.5e6f", Kind::Mac),
        ] {
            for (gate, shift) in Gate::every()
                .into_iter()
                .flat_map(|g| (0..130).map(move |n| (g, n)))
            {
                let buf = format!("{}{text} ", "|".repeat(shift));
                let found = collect(gate, buf.as_bytes());
                assert!(
                    found.iter().any(|f| f.0 == kind),
                    "{text} behind {shift} bytes"
                );
            }
        }
    }

    #[test]
    fn what_is_written_otherwise_is_seen_with_nothing_else_beside_it() {
        let written = crate::text::WRITTEN.iter().filter(|row| row.0 != row.1);
        let mut texts: Vec<String> = written.map(|row| row.0.to_owned()).collect();
        // Characters that are not seen, and full-width ones.
        let single = "\u{200b}\u{200c}\u{200d}\u{2060}\u{feff}\u{ff01}\u{ff1a}\u{ff1d}\u{ff20}\u{ff21}\u{ff41}\u{ff5e}";
        for c in single.chars() {
            texts.push(format!("password{c}x"));
            texts.push(format!("4111{c}1111"));
        }
        for (gate, shift) in Gate::every()
            .into_iter()
            .flat_map(|g| (0..70).map(move |n| (g, n)))
        {
            for text in &texts {
                let buf = format!("{}{text} ", " ".repeat(shift));
                let found = collect(gate, buf.as_bytes());
                let seen = found.iter().any(|found| found.0 == Kind::Escape);
                assert!(seen, "{text:?} behind {shift} bytes");
            }
        }
    }

    #[test]
    fn every_name_of_the_lexicon_is_seen_in_front_of_its_sign() {
        use crate::lexicon::{Fit, WORDS};
        for gate in Gate::every() {
            for word in WORDS {
                let name = match word.fit {
                    Fit::Behind => format!("x_{}", word.text),
                    _ => word.text.to_owned(),
                };
                for sign in ["=x", ": x", "\": \"x"] {
                    let text = format!("{name}{sign}");
                    let found = collect(gate, text.as_bytes());
                    assert!(found.iter().any(|found| found.0 == Kind::Assign), "{text}");
                }
                if word.bare {
                    let text = format!(" {name} x");
                    let found = collect(gate, text.as_bytes());
                    assert!(found.iter().any(|found| found.0 == Kind::Assign), "{text}");
                }
            }
        }
    }

    #[test]
    #[cfg(target_arch = "x86_64")]
    fn ordinary_words_are_not_taken_for_the_names_of_secrets() {
        let lines = lines::log_lines(1000);
        let shapes = Shapes {
            assign: true,
            ..Shapes::default()
        };
        let mut names = 0;
        for line in &lines {
            let mut cursor = Cursor::new(Gate::new(), shapes);
            while let Some((kind, _)) = cursor.next(line) {
                names += usize::from(kind == Kind::Assign);
            }
        }
        // One line of ten says "password for", another one "token" three times.
        let few = lines.len() * 3 / 2;
        assert!(names < few, "{names}");
    }

    proptest! {
        #[test]
        #[cfg(target_arch = "x86_64")]
        fn wide_and_narrow_vectors_find_the_same(
            text in "([0-9]{1,4}[-. ()]{0,2}|[A-Z]{1,3}|[a-z=:@%+]{1,5}|.){0,90}"
        ) {
            let narrow = collect(Gate::portable(), text.as_bytes());
            for gate in Gate::every() {
                let wide = collect(gate, text.as_bytes());
                let more: Vec<_> = wide.iter().filter(|found| !narrow.contains(found)).collect();
                prop_assert!(more.is_empty(), "{more:?}");
                // Narrow ones go by the last letter of a name that needs no sign, and a hash of the rest.
                for (kind, at) in narrow.iter().filter(|found| !wide.contains(found)) {
                    prop_assert_eq!(*kind, Kind::Assign);
                    prop_assert!(!ends_bare(&text.as_bytes()[..*at]), "{}", at);
                }
            }
        }
    }
}
