//! The gate: which bytes of a buffer could be part of something sensitive?
//!
//! The buffer is read in windows of 64 bytes. Each window becomes a handful of 64-bit maps
//! ([`vector`]), one bit a byte: digits, letters and so on. Shapes such as "three digits, a
//! separator, three digits" are shifts and ANDs of these maps ([`shape`]), so a window costs the
//! same whatever it holds. A set bit is a candidate; the detectors verify it.
//!
//! The maps look at bytes only, never at where a string starts or ends. So the gate runs over raw
//! msgpack as well as over one string, and what it finds in a string it also finds in the batch.

mod shape;
mod vector;

use shape::Runs;
use vector::{Portable, Vector};

pub(crate) use shape::{Hits, Words, REACH};
pub(crate) use vector::WINDOW;

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
    /// The 26th alphanumeric byte of a run.
    Long,
    /// The 20th byte of a run of letters, digits, underscores and hyphens, the fifth of a run of
    /// hyphens, or a tilde behind `Q`.
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

impl Hits {
    /// Calls `visit` for every candidate in ascending order. `at` is where the window starts. What
    /// `visit` returns for a number is the end of the row that it is in: candidates in front of that
    /// are passed over, since a row has one in every group.
    #[inline]
    pub(crate) fn each(
        &mut self,
        buf: &[u8],
        at: usize,
        shapes: Shapes,
        mut visit: impl FnMut(Kind, usize) -> usize,
    ) {
        let others = self.others();
        let mut any = self.any();
        while any != 0 {
            let index = any.trailing_zeros();
            let bit = 1u64 << index;
            any &= any - 1;
            let position = at + index as usize;
            if self.rare & bit != 0 {
                let (kind, wanted) = rare(buf[position], shapes);
                if wanted {
                    visit(kind, position);
                }
            }
            if (self.number | self.phone) & bit != 0 {
                let kind = match self.number & bit {
                    0 => Kind::Phone,
                    _ => Kind::Number,
                };
                let end = visit(kind, position);
                self.pass_numbers(at, end);
                any = (self.number | self.phone | self.rare | others) & (u64::MAX << index << 1);
            }
            if others & bit == 0 {
                continue;
            }
            for (map, kind) in [
                (self.code, Kind::Code),
                (self.long, Kind::Long),
                (self.token, Kind::Token),
                (self.assign, Kind::Assign),
                (self.ipv4, Kind::Ipv4),
                (self.ipv6, Kind::Ipv6),
                (self.mac, Kind::Mac),
                (self.int, Kind::Int),
            ] {
                if map & bit != 0 {
                    visit(kind, position);
                }
            }
        }
    }

    /// Forgets the candidates for numbers in front of `end`; the window starts at `at`.
    #[inline]
    pub(crate) fn pass_numbers(&mut self, at: usize, end: usize) {
        let passed = end.saturating_sub(at);
        let left = match passed < WINDOW {
            true => u64::MAX << passed,
            false => 0,
        };
        self.number &= left;
        self.phone &= left;
    }

    /// The first candidate that `test` takes. Kinds are asked one after the other, those first that
    /// are most often taken.
    #[inline(always)]
    pub(crate) fn first(
        &self,
        buf: &[u8],
        at: usize,
        shapes: Shapes,
        mut test: impl FnMut(Kind, usize) -> bool,
    ) -> Option<usize> {
        let mut first = WINDOW;
        let mut ask = |map: u64, kind: Kind| {
            let mut map = map;
            while map != 0 {
                let index = map.trailing_zeros() as usize;
                if index >= first {
                    break;
                }
                map &= map - 1;
                if test(kind, at + index) {
                    first = index;
                }
            }
        };
        ask(self.assign, Kind::Assign);
        ask(self.number, Kind::Number);
        ask(self.token, Kind::Token);
        let others =
            self.phone | self.code | self.long | self.ipv4 | self.ipv6 | self.mac | self.int;
        if others != 0 {
            ask(self.phone, Kind::Phone);
            ask(self.code, Kind::Code);
            ask(self.long, Kind::Long);
            ask(self.ipv4, Kind::Ipv4);
            ask(self.ipv6, Kind::Ipv6);
            ask(self.mac, Kind::Mac);
            ask(self.int, Kind::Int);
        }
        let mut map = self.rare;
        while map != 0 {
            let index = map.trailing_zeros() as usize;
            map &= map - 1;
            if index >= first {
                break;
            }
            let (kind, wanted) = rare(buf[at + index], shapes);
            if wanted && test(kind, at + index) {
                first = index;
            }
        }
        (first < WINDOW).then_some(at + first)
    }
}

/// What a byte of the rare ones could belong to, and whether that is looked for.
fn rare(byte: u8, shapes: Shapes) -> (Kind, bool) {
    match byte {
        b'0'..=b'9' => (Kind::Escape, shapes.escape && shapes.number),
        b'@' => (Kind::At, shapes.at),
        b'~' => (Kind::Token, shapes.token),
        _ => (Kind::Escape, shapes.escape),
    }
}

/// Only what numbers are seen by.
const NUMBERS: Shapes = Shapes {
    at: false,
    number: true,
    phone: true,
    code: false,
    long: false,
    token: false,
    assign: false,
    escape: false,
    ip: false,
    mac: false,
    int: false,
};

/// The gate, with the widest vectors that the processor has.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Gate {
    #[cfg(target_arch = "x86_64")]
    avx2: Option<vector::Avx2>,
}

impl Gate {
    pub(crate) fn new() -> Self {
        Gate {
            #[cfg(target_arch = "x86_64")]
            avx2: vector::Avx2::detect(),
        }
    }

    /// Calls `visit` with the start and the candidates of every window of `buf[from..]` that has
    /// some, in ascending order, until it returns `true`.
    #[inline]
    pub(crate) fn windows(
        &self,
        buf: &[u8],
        from: usize,
        shapes: Shapes,
        visit: impl FnMut(usize, &mut Hits) -> bool,
    ) {
        #[cfg(target_arch = "x86_64")]
        if let Some(avx2) = self.avx2 {
            return avx2.run(
                #[inline(always)]
                move || scan(avx2, buf, from, shapes, visit),
            );
        }
        scan(Portable, buf, from, shapes, visit);
    }

    /// Where numbers in groups and those that are long end, in the window that starts at `from`: those
    /// that stand for themselves, and those that words must announce.
    #[inline(never)]
    pub(crate) fn numbers(&self, text: &[u8], from: usize) -> (u64, u64) {
        let mut maps = (0, 0);
        self.windows(text, from, NUMBERS, |_, hits| {
            maps = (hits.number, hits.phone);
            true
        });
        maps
    }

    /// The digits and separators of the window at `at`.
    pub(crate) fn numerals(&self, text: &[u8], at: usize) -> Numerals {
        let rest = &text[at.min(text.len())..];
        #[cfg(target_arch = "x86_64")]
        if let Some(avx2) = self.avx2 {
            return avx2.run(
                #[inline(always)]
                move || numerals(avx2, rest),
            );
        }
        numerals(Portable, rest)
    }

    /// Calls `visit` for every letter of `text[from..to]` that starts a word: behind no letter, or
    /// as the hump of `camelCase`.
    #[inline]
    pub(crate) fn words(&self, text: &[u8], from: usize, to: usize, visit: impl FnMut(usize)) {
        let (text, from) = (&text[..to], from.min(to));
        #[cfg(target_arch = "x86_64")]
        if let Some(avx2) = self.avx2 {
            return avx2.run(
                #[inline(always)]
                move || words(avx2, text, from, visit),
            );
        }
        words(Portable, text, from, visit);
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
fn numerals<V: Vector>(v: V, rest: &[u8]) -> Numerals {
    let bytes = load(v, rest);
    // The hyphen, the dot and the slash are neighbours, as the parentheses are.
    let marks = v.or(v.within(bytes, b'-', b'/'), v.within(bytes, b'(', b')'));
    Numerals {
        digit: v.bits(v.within(bytes, b'0', b'9')),
        separator: v.bits(v.or(marks, v.equal(bytes, b' '))),
    }
}

/// The window at the start of `rest`, filled up with zeros.
#[inline(always)]
fn load<V: Vector>(v: V, rest: &[u8]) -> V::Bytes {
    match rest.first_chunk::<WINDOW>() {
        Some(window) => v.load(window),
        None => {
            let mut window = [0u8; WINDOW];
            window[..rest.len()].copy_from_slice(rest);
            v.load(&window)
        }
    }
}

#[inline(always)]
fn words<V: Vector>(v: V, text: &[u8], from: usize, mut visit: impl FnMut(usize)) {
    let before = from.checked_sub(1).map_or(0, |n| text[n]);
    let mut letter_before = u64::from(before.is_ascii_alphabetic());
    let mut lower_before = u64::from(before.is_ascii_lowercase());
    let mut at = from;
    while at < text.len() {
        let bytes = load(v, &text[at..]);
        let lower = v.bits(v.within(bytes, b'a', b'z'));
        let upper = v.bits(v.within(bytes, b'A', b'Z'));
        let letter = lower | upper;
        let mut starts =
            (letter & !(letter << 1 | letter_before)) | (upper & (lower << 1 | lower_before));
        while starts != 0 {
            visit(at + starts.trailing_zeros() as usize);
            starts &= starts - 1;
        }
        letter_before = letter >> 63;
        lower_before = lower >> 63;
        at += WINDOW;
    }
}

#[inline(always)]
fn scan<V: Vector>(
    v: V,
    buf: &[u8],
    from: usize,
    shapes: Shapes,
    mut visit: impl FnMut(usize, &mut Hits) -> bool,
) {
    const STEP: usize = WINDOW - REACH;
    let mut runs = Runs::default();
    let mut step = STEP;
    let mut seen = 0;
    let mut at = from;
    while seen < WINDOW {
        let Some(rest) = buf.get(at..).filter(|rest| !rest.is_empty()) else {
            return;
        };
        let mut hits = shape::hits(v, load(v, rest), shapes, &mut runs, step);
        hits.keep(u64::MAX << seen);
        if hits.any() != 0 && visit(at, &mut hits) {
            return;
        }
        // The last window ends where the buffer ends.
        step = STEP.min(rest.len().saturating_sub(WINDOW));
        seen = WINDOW - step;
        at += step;
    }
}

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

    fn collect<V: Vector>(v: V, buf: &[u8]) -> Vec<(Kind, usize)> {
        let mut found = Vec::new();
        scan(v, buf, 0, ALL, |at, hits| {
            hits.each(buf, at, ALL, |kind, at| {
                found.push((kind, at));
                0
            });
            false
        });
        found
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
            ("451 5986", Kind::Phone),
            ("9472 7916", Kind::Phone),
            ("99 668472", Kind::Phone),
            ("78 651 450", Kind::Phone),
            ("416 60 039", Kind::Phone),
            ("0490 75 40 81", Kind::Phone),
            ("0181-78 78 10", Kind::Phone),
            ("(03)71528659", Kind::Phone),
            ("02-217-8789", Kind::Phone),
            ("GB82WEST", Kind::Code),
            ("QQ 12 34 56 C", Kind::Code),
            ("12345678Z", Kind::Code),
            ("12345678-Z", Kind::Code),
            ("1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa", Kind::Long),
            ("AKIA2345ABCD2345ABCD", Kind::Token),
            ("-----BEGIN", Kind::Token),
            ("8Q~", Kind::Token),
            ("password=", Kind::Assign),
            ("%40", Kind::Escape),
            ("1\u{a0}2", Kind::Escape),
            (")\u{2011}2", Kind::Escape),
            ("10.0.0.1", Kind::Ipv4),
            ("fe80::1", Kind::Ipv6),
            ("2001:db8:0:0:1:0:0:1", Kind::Ipv6),
            ("00:1a:2b:3c:4d:5e", Kind::Mac),
        ] {
            for shift in 0..130 {
                let buf = format!("{}{text} ", "|".repeat(shift));
                let found = collect(Portable, buf.as_bytes());
                assert!(
                    found.iter().any(|f| f.0 == kind),
                    "{text} behind {shift} bytes"
                );
            }
        }
    }

    proptest! {
        #[test]
        #[cfg(target_arch = "x86_64")]
        fn wide_and_narrow_vectors_find_the_same(
            text in "([0-9]{1,4}[-. ()]{0,2}|[A-Z]{1,3}|[a-z=:@%+]{1,5}|.){0,90}"
        ) {
            if let Some(avx2) = vector::Avx2::detect() {
                prop_assert_eq!(collect(avx2, text.as_bytes()), collect(Portable, text.as_bytes()));
            }
        }
    }
}
