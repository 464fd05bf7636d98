//! Shapes as shifts and ANDs of bit maps, one bit a byte of a window.
//!
//! A shape is seen where it ends and reaches back at most [`REACH`] bytes. Windows overlap by as
//! much, so what ends behind the overlap is seen whole. Runs reach further; they are put together
//! from the maps of two windows.

use super::vector::{Vector, WINDOW};
use super::Shapes;

/// The furthest that a shape reaches back from the byte where it is seen.
pub(crate) const REACH: usize = 16;

/// Candidates of a window, per kind.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Hits {
    /// `@` in front of a host, `%`, backslashes and tildes; digits behind a typographic separator.
    pub(crate) rare: u64,
    pub(crate) number: u64,
    pub(crate) phone: u64,
    pub(crate) code: u64,
    pub(crate) long: u64,
    pub(crate) token: u64,
    pub(crate) assign: u64,
    pub(crate) ipv4: u64,
    pub(crate) ipv6: u64,
    pub(crate) mac: u64,
    pub(crate) int: u64,
    /// Letters and digits; only where tokens are looked for.
    pub(crate) alnum: u64,
    /// The same with hyphens and underscores.
    pub(crate) word: u64,
}

/// The bytes of a window that tokens are made of.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Words {
    /// Letters and digits.
    pub(crate) alnum: u64,
    /// The same with hyphens and underscores.
    pub(crate) word: u64,
}

impl Hits {
    pub(crate) fn words(&self) -> Words {
        Words {
            alnum: self.alnum,
            word: self.word,
        }
    }

    /// Where any candidate is.
    #[inline(always)]
    pub(super) fn any(&self) -> u64 {
        self.rare | self.number | self.phone | self.others()
    }

    /// Where a candidate is that is neither rare nor in a row of digits.
    #[inline(always)]
    pub(super) fn others(&self) -> u64 {
        self.code
            | self.long
            | self.token
            | self.assign
            | self.ipv4
            | self.ipv6
            | self.mac
            | self.int
    }

    /// Leaves only the candidates in `part` of the window.
    #[inline(always)]
    pub(super) fn keep(&mut self, part: u64) {
        self.rare &= part;
        self.number &= part;
        self.phone &= part;
        self.code &= part;
        self.long &= part;
        self.token &= part;
        self.assign &= part;
        self.ipv4 &= part;
        self.ipv6 &= part;
        self.mac &= part;
        self.int &= part;
    }
}

/// The bytes that runs are made of, in the window before.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Runs {
    alnum: u64,
    word: u64,
}

/// The candidates of a window that starts `step` bytes behind the one before.
#[inline(always)]
pub(super) fn hits<V: Vector>(
    v: V,
    bytes: V::Bytes,
    shapes: Shapes,
    runs: &mut Runs,
    step: usize,
) -> Hits {
    let equal = |byte| v.bits(v.equal(bytes, byte));
    let digit = v.bits(v.within(bytes, b'0', b'9'));
    let letter = v.bits(v.within(v.fold(bytes), b'a', b'z'));
    let sign = v.bits(v.or(v.equal(bytes, b':'), v.within(bytes, b'=', b'>')));
    let high = v.bits(v.high(bytes));
    let hyphen = equal(b'-');
    let dot = equal(b'.');
    let mut hits = Hits {
        rare: v.bits(v.or(
            v.or(v.equal(bytes, b'@'), v.equal(bytes, b'~')),
            v.or(v.equal(bytes, b'%'), v.equal(bytes, b'\\')),
        )),
        ..Hits::default()
    };
    if hits.rare != 0 {
        // An "@" counts only in front of a host. What is behind the window is not known.
        let host = digit | letter | high | equal(b'[');
        hits.rare &= !(equal(b'@') & !(host >> 1 | 1 << (WINDOW - 1)));
    }
    // A digit behind a character of two or three bytes, which may be a blank or a hyphen.
    let behind = digit & high << 1 & high << 2;
    if behind != 0 {
        let ascii = !(high | letter);
        hits.rare |= behind & (ascii << 3 | high << 3 & ascii << 4);
    }
    let pair = hyphen & hyphen << 1;
    if shapes.assign {
        // A name ends in a letter or a quote, and a msgpack key is followed by a header byte, most
        // of which have the high bit. The name of an argument stands behind two hyphens.
        let argument = letter & pair << 1;
        hits.assign = (sign & !(digit << 1)) | (high & letter << 1) | argument;
    }
    if shapes.int && high != 0 {
        // 0xce, 0xcf, 0xd2, 0xd3
        hits.int = v.bits(v.or(v.within(bytes, 0xce, 0xcf), v.within(bytes, 0xd2, 0xd3)));
    }
    let two = digit & digit << 1;
    if shapes.number {
        hits.number = digit & equal(b'+') << 1;
    }
    // The second digit of a code may be in the next window.
    if two | digit >> 63 != 0 && (shapes.number || shapes.code) {
        let blank = equal(b' ');
        let paren = v.bits(v.within(bytes, b'(', b')'));
        let separator = blank | hyphen | dot | paren | equal(b'/');
        if shapes.number {
            let point = dot | equal(b',');
            let groups = Groups {
                digit,
                two,
                zero: equal(b'0'),
                separator,
                blank,
                hyphen,
                dot,
                paren,
                point,
            };
            hits.number |= numbers(&groups);
            if shapes.phone {
                hits.phone = phones(&groups) & !hits.number;
            }
        }
        if shapes.code {
            let upper = v.bits(v.within(bytes, b'A', b'Z'));
            hits.code = codes(digit, letter, upper, separator, hyphen);
        }
    }
    if shapes.token || shapes.long {
        let alnum = digit | letter;
        let word = alnum | hyphen | equal(b'_');
        // What is seen of a run of 20 is 17 bytes at least.
        if seventeen(word) >> REACH != 0 {
            if shapes.token {
                hits.token = at_length_20(word, runs.word, step);
            }
            if shapes.long {
                hits.long = at_length_26(alnum, runs.alnum, step);
            }
        }
        *runs = Runs { alnum, word };
        (hits.alnum, hits.word) = (alnum, word);
    }
    if shapes.token {
        let five = pair & pair << 2 & hyphen << 4;
        hits.token |= five & !(five << 1);
    }
    if shapes.mac || shapes.ip {
        let colon = equal(b':');
        if shapes.mac {
            let third = |map: u64| map & map << 3 & map << 6;
            hits.mac = third(colon) | third(hyphen) | (dot & dot << 5);
        }
        if shapes.ip {
            hits.ipv4 = addresses(digit, dot);
            // The fourth of a row of colons with at most four bytes between them, or a double one.
            let near = |map: u64| map << 2 | map << 3 | map << 4 | map << 5;
            let double = colon & colon << 1;
            hits.ipv6 = double | (colon & near(colon & near(colon & near(colon))));
        }
    }
    hits
}

/// The byte classes that numbers in groups are made of.
struct Groups {
    digit: u64,
    /// The second digit of two and all behind it.
    two: u64,
    zero: u64,
    /// Blank, hyphen, dot, slash and parentheses.
    separator: u64,
    blank: u64,
    hyphen: u64,
    dot: u64,
    paren: u64,
    /// Dot and comma: what a fraction of a second stands behind.
    point: u64,
}

impl Groups {
    /// Zeros that start a number.
    #[inline(always)]
    fn lead(&self) -> u64 {
        self.zero & !((self.digit | self.point) << 1)
    }
}

/// Where numbers that are long enough or grouped like identifiers end.
#[inline(always)]
fn numbers(of: &Groups) -> u64 {
    let (digit, two, sep) = (of.digit, of.two, of.separator);
    let (point, hyphen, paren) = (of.point, of.hyphen, of.paren);
    let three = two & digit << 2;
    let four = two & two << 2;
    let seven = four & four << 3;
    let nine = seven & two << 7;
    // The ninth digit of a run, once.
    let long = nine & !(nine << 1);
    // "123-4567", "(123)4567", "(12) 345"
    let joined = four & (hyphen | paren) << 4 & three << 5;
    let bracketed = three & sep << 3 & paren << 4 & two << 5;
    // "123-45-6789"
    let ssn = four & sep << 4 & two << 5 & sep << 7 & three << 8;
    // "123 456 789", "1234 5678 901": two separators, since a fraction of a second in front of a
    // number is everywhere
    let rows = three
        & sep << 3
        & ((three << 4 & sep << 7 & three << 8) | (four << 4 & sep << 8 & three << 9));
    // "1234 567890 1234"
    let six = four & two << 4;
    let card = four & sep << 4 & six << 5 & sep << 11 & four << 12 & !(digit << 16);
    // "012 345", "01234 567": a trunk prefix, but no fraction
    let lead = of.lead();
    let trunk = three & sep << 3 & three << 4 & (lead << 6 | lead << 7 | lead << 8);
    // "123 456 78", "123.456-78"
    let plain = sep & !(point | hyphen | paren);
    let tail =
        two & three << 3 & three << 7 & ((plain << 2 & plain << 6) | (hyphen << 2 & point << 6));
    // "01 23 45 67", but not the end of "2015-10-18 18", nor "17/06/09 20"
    let gap = of.blank | hyphen | of.dot;
    let pair = two & !(digit << 2);
    let spaced = pair & gap << 2;
    let opening = pair & !((point | hyphen) << 2);
    let pairs = spaced & spaced << 3 & spaced << 6 & opening << 9;
    long | joined | bracketed | ssn | rows | card | trunk | tail | pairs
}

/// Where numbers end that are grouped as phone numbers are, and other numbers, too.
#[inline(always)]
fn phones(of: &Groups) -> u64 {
    let (two, blank) = (of.two, of.blank);
    let three = two & of.digit << 2;
    let four = two & two << 2;
    let six = four & two << 4;
    // "451 5986", "9472 7916"
    let halves = four & blank << 4 & three << 5;
    // "99 668472"
    let end = six & blank << 6 & two << 7;
    // "78 651 450", "416 60 039"
    let middle = three
        & blank << 3
        & ((three << 4 & blank << 7 & two << 8) | (two << 4 & blank << 6 & three << 7));
    // "490 75 40", "181-78 78"
    let tens = two & blank << 2 & two << 3 & (blank | of.hyphen) << 5 & three << 6;
    // "(03)7152"
    let area = four & of.paren << 4 & two << 5;
    // "02 123", "02-123"
    let mobile = three & (blank | of.hyphen) << 3 & two << 4 & of.lead() << 5;
    halves | end | middle | tens | area | mobile
}

/// Where two capitals and a digit are, at times with a blank between; a capital behind seven
/// digits, at times with a hyphen between, or in front of eight.
#[inline(always)]
fn codes(digit: u64, letter: u64, upper: u64, separator: u64, hyphen: u64) -> u64 {
    let capitals = upper << 1 & upper << 2;
    let apart = separator << 1 & upper << 2 & upper << 3 & !((digit | letter) << 4);
    let two = digit & digit << 1;
    let four = two & two << 2;
    let seven = four & four << 3;
    let eight = seven & digit << 7 & upper << 8;
    let behind = upper & (seven | (hyphen & seven << 1)) << 1;
    (digit & (capitals | apart)) | behind | eight
}

/// The first digit behind the third dot between numbers, the middle ones of at most three digits.
#[inline(always)]
fn addresses(digit: u64, dot: u64) -> u64 {
    let dotted = digit & dot << 1 & digit << 2;
    let next = |map: u64| dotted & (map << 2 | map << 3 | (map << 4 & digit << 3));
    next(next(dotted))
}

/// The 17th byte of a run and all behind it.
#[inline(always)]
fn seventeen(map: u64) -> u64 {
    let two = map & map << 1;
    let four = two & two << 2;
    let eight = four & four << 4;
    eight & eight << 8 & map << 16
}

/// A window and the one before it, `step` bytes further on.
#[inline(always)]
fn joined(now: u64, before: u64, step: usize) -> u128 {
    u128::from(now) << step | u128::from(before)
}

/// Where runs reach 20 bytes.
#[inline(never)]
fn at_length_20(now: u64, before: u64, step: usize) -> u64 {
    let map = joined(now, before, step);
    let two = map & map << 1;
    let four = two & two << 2;
    let sixteen = {
        let eight = four & four << 4;
        eight & eight << 8
    };
    let twenty = sixteen & four << 16;
    ((twenty & !(twenty << 1)) >> step) as u64
}

/// Where runs reach 26 bytes.
#[inline(never)]
fn at_length_26(now: u64, before: u64, step: usize) -> u64 {
    let map = joined(now, before, step);
    let two = map & map << 1;
    let four = two & two << 2;
    let eight = four & four << 4;
    let long = eight & eight << 8 & eight << 16 & two << 24;
    ((long & !(long << 1)) >> step) as u64
}
