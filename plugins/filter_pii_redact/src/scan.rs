//! The gate: which bytes of a buffer could be part of something sensitive?
//!
//! The buffer is read in blocks of 64 bytes. Each block becomes a handful of 64-bit maps, one bit
//! a byte: digits, letters and so on. Shapes such as "three digits, a separator, three digits" are
//! shifts and ANDs of these maps, over a window of this block and the one before, so a block costs
//! the same whatever it holds. A set bit is a candidate; the detectors verify it.
//!
//! Most shapes need two digits side by side, so most maps are made only of blocks that have them.
//!
//! The maps look at bytes only, never at where a string starts or ends. So the gate runs over raw
//! msgpack as well as over one string, and what it finds in a string it also finds in the batch.

mod vector;

use vector::{Portable, Vector};

/// Bytes in a block.
const BLOCK: usize = 64;

/// What a candidate could belong to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// An `@`.
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
    /// A dot between digits.
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

/// The byte classes of a block that every block needs.
#[derive(Clone, Copy, Default)]
struct Basic {
    digit: u64,
    letter: u64,
    /// `:` and `=`.
    sign: u64,
    /// `@`, `%`, `~` and the backslash.
    rare: u64,
    /// Bytes that are not ASCII.
    high: u64,
    plus: u64,
    hyphen: u64,
    underscore: u64,
    dot: u64,
    colon: u64,
}

/// The byte classes of a block that only numbers and codes need.
#[derive(Clone, Copy, Default)]
struct Detail {
    upper: u64,
    /// Blank, hyphen, dot, slash and parentheses.
    separator: u64,
    /// Blank, hyphen and dot: what separates groups of two digits.
    pair_gap: u64,
    paren: u64,
    zero: u64,
    /// Dot and comma: what a fraction of a second stands behind.
    point: u64,
}

/// One bit per byte of the class.
#[inline(always)]
fn map<V: Vector>(v: V, block: &[u8; BLOCK], class: impl Fn(V::Bytes) -> V::Bytes) -> u64 {
    let mut bits = 0;
    let mut at = 0;
    while at < BLOCK {
        bits |= v.bits(class(v.load(block, at))) << at;
        at += V::WIDTH;
    }
    bits
}

#[inline(always)]
fn basic<V: Vector>(v: V, block: &[u8; BLOCK], shapes: Shapes) -> Basic {
    let mut basic = Basic {
        digit: map(
            v,
            block,
            #[inline(always)]
            |b| v.within(b, b'0', b'9'),
        ),
        letter: map(
            v,
            block,
            #[inline(always)]
            |b| v.within(v.or(b, v.all(0x20)), b'a', b'z'),
        ),
        sign: map(
            v,
            block,
            #[inline(always)]
            |b| v.or(v.equal(b, b':'), v.equal(b, b'=')),
        ),
        rare: map(
            v,
            block,
            #[inline(always)]
            |b| {
                v.or(
                    v.or(v.equal(b, b'@'), v.equal(b, b'~')),
                    v.or(v.equal(b, b'%'), v.equal(b, b'\\')),
                )
            },
        ),
        high: map(
            v,
            block,
            #[inline(always)]
            |b| b,
        ),
        hyphen: map(
            v,
            block,
            #[inline(always)]
            |b| v.equal(b, b'-'),
        ),
        underscore: map(
            v,
            block,
            #[inline(always)]
            |b| v.equal(b, b'_'),
        ),
        plus: map(
            v,
            block,
            #[inline(always)]
            |b| v.equal(b, b'+'),
        ),
        ..Basic::default()
    };
    if shapes.ip || shapes.mac {
        basic.colon = map(
            v,
            block,
            #[inline(always)]
            |b| v.equal(b, b':'),
        );
    }
    if shapes.ip {
        basic.dot = map(
            v,
            block,
            #[inline(always)]
            |b| v.equal(b, b'.'),
        );
    }
    basic
}

#[inline(always)]
fn detail<V: Vector>(v: V, block: &[u8; BLOCK]) -> Detail {
    Detail {
        upper: map(
            v,
            block,
            #[inline(always)]
            |b| v.within(b, b'A', b'Z'),
        ),
        // The hyphen, the dot and the slash are neighbours; so are the parentheses.
        separator: map(
            v,
            block,
            #[inline(always)]
            |b| {
                let parens = v.within(b, b'(', b')');
                v.or(v.within(b, b'-', b'/'), v.or(parens, v.equal(b, b' ')))
            },
        ),
        pair_gap: map(
            v,
            block,
            #[inline(always)]
            |b| v.or(v.within(b, b'-', b'.'), v.equal(b, b' ')),
        ),
        paren: map(
            v,
            block,
            #[inline(always)]
            |b| v.within(b, b'(', b')'),
        ),
        zero: map(
            v,
            block,
            #[inline(always)]
            |b| v.equal(b, b'0'),
        ),
        point: map(
            v,
            block,
            #[inline(always)]
            |b| v.or(v.equal(b, b'.'), v.equal(b, b',')),
        ),
    }
}

/// Headers of 32- and 64-bit integers: 0xce, 0xcf, 0xd2, 0xd3.
#[inline(always)]
fn int_headers<V: Vector>(v: V, block: &[u8; BLOCK]) -> u64 {
    map(
        v,
        block,
        #[inline(always)]
        |b| {
            let odd = v.or(b, v.all(1));
            v.or(v.equal(odd, 0xcf), v.equal(odd, 0xd3))
        },
    )
}

/// `now` moved `by` bytes on, filled up from the block before.
#[inline(always)]
const fn back(now: u64, before: u64, by: u32) -> u64 {
    now << by | before >> (64 - by)
}

/// This block and the one before as one map, this one in the upper half.
#[inline(always)]
const fn window(now: u64, before: u64) -> u128 {
    (now as u128) << 64 | before as u128
}

/// The half of a window that is this block.
#[inline(always)]
const fn here(window: u128) -> u64 {
    (window >> 64) as u64
}

/// Whether this block can hold the end of a number or code at all, whatever the separators are.
/// Most times and dates cannot, which saves making the other maps.
#[inline(always)]
fn may_have_numbers_or_codes(now: &Basic, before: &Basic) -> bool {
    let digit = window(now.digit, before.digit);
    let letter = window(now.letter, before.letter);
    let gap = !(digit | letter | window(now.sign | now.high, before.sign | before.high));
    let two = digit & digit << 1;
    let three = two & digit << 2;
    let four = two & two << 2;
    let seven = four & four << 3;
    // Two groups of at least three, at times with a parenthesis and a blank between; or one of two
    // in front of one of three, but no seconds of a time.
    let seconds = window(now.sign, before.sign) << 6 & digit << 7;
    let groups = three & gap << 3 & (three << 4 | (gap << 4 & two << 5) | (two << 4 & !seconds));
    // "123 45 67", but no date
    let tens = two & gap << 2 & two << 3 & gap << 5 & three << 6;
    let tens = tens & !(window(now.hyphen, before.hyphen) << 2);
    let ssn = four & gap << 4 & two << 5 & gap << 7 & three << 8;
    let tail = two & gap << 2 & three << 3 & gap << 6 & three << 7;
    let spaced = two & gap << 2;
    let pairs = spaced & spaced << 3 & spaced << 6 & two << 9;
    let code = two & letter << 2 & letter << 3;
    let nino = two & gap << 2 & letter << 3 & letter << 4 & !((letter | digit) << 5);
    let eight = seven & digit << 7;
    let behind = letter & seven << 1;
    // A shape may end a few bytes behind what is seen of it here, so the end of the block before
    // counts as well; and what begins in the last bytes may be seen in the next block only.
    let seen = groups | tens | ssn | tail | pairs | code | nino | eight | behind;
    seen >> 56 != 0 || (now.digit >> 62 != 0 && now.letter >> 58 != 0)
}

/// Where the shapes of numbers and codes end in this block.
#[inline(always)]
fn numbers_and_codes(
    digit: u128,
    letter: u128,
    hyphen: u128,
    now: &Detail,
    before: &Detail,
    shapes: Shapes,
) -> (u64, u64, u64) {
    let upper = window(now.upper, before.upper);
    let sep = window(now.separator, before.separator);
    let two = digit & digit << 1;
    let three = two & digit << 2;
    let four = two & two << 2;
    let seven = four & four << 3;
    let mut numbers = 0;
    let mut phones = 0;
    if shapes.number {
        let paren = window(now.paren, before.paren);
        let point = window(now.point, before.point);
        let nine = seven & two << 7;
        // The ninth digit of a run, once.
        let long = nine & !(nine << 1);
        // "123-4567", "(123)4567", "(12) 345"
        let joined = four & (hyphen | paren) << 4 & three << 5;
        let bracketed = three & sep << 3 & paren << 4 & two << 5;
        // "123-45-6789"
        let ssn = four & sep << 4 & two << 5 & sep << 7 & three << 8;
        // "123 456 789", "1234 5678 901": two separators, since a fraction of a second in front
        // of a number is everywhere
        let rows = three
            & sep << 3
            & ((three << 4 & sep << 7 & three << 8) | (four << 4 & sep << 8 & three << 9));
        // "1234 567890 1234"
        let six = four & two << 4;
        let card = four & sep << 4 & six << 5 & sep << 11 & four << 12 & !(digit << 16);
        // "012 345", "01234 567": a trunk prefix, but no fraction
        let lead = window(now.zero, before.zero) & !((digit | point) << 1);
        let trunk = three & sep << 3 & three << 4 & (lead << 6 | lead << 7 | lead << 8);
        // "123 456 78", "123.456-78"
        let blank = sep & !(point | hyphen | paren);
        let tail = two
            & three << 3
            & three << 7
            & ((blank << 2 & blank << 6) | (hyphen << 2 & point << 6));
        // "01 23 45 67", but not the end of "2015-10-18 18", nor "17/06/09 20"
        let gap = window(now.pair_gap, before.pair_gap);
        let pair = two & !(digit << 2);
        let spaced = pair & gap << 2;
        let opening = pair & !((point | hyphen) << 2);
        let pairs = spaced & spaced << 3 & spaced << 6 & opening << 9;
        numbers = here(long | joined | bracketed | ssn | rows | card | trunk | tail | pairs);
        if shapes.phone {
            // "451 5986", "9472 7916"
            let halves = four & blank << 4 & three << 5;
            // "99 668472"
            let end = six & blank << 6 & two << 7;
            // "78 651 450", "416 60 039"
            let middle = three
                & blank << 3
                & ((three << 4 & blank << 7 & two << 8) | (two << 4 & blank << 6 & three << 7));
            // "490 75 40", "181-78 78"
            let tens = two & blank << 2 & two << 3 & (blank | hyphen) << 5 & three << 6;
            // "(03)7152"
            let area = four & paren << 4 & two << 5;
            // "02 123", "02-123", but no seconds of a time
            let mobile = three & (blank | hyphen) << 3 & two << 4 & lead << 5;
            phones = here(halves | end | middle | tens | area | mobile);
        }
    }
    let mut codes = 0;
    if shapes.code {
        // Two capitals and a digit, at times with a blank between; a capital behind seven digits,
        // or in front of eight.
        let capitals = upper << 1 & upper << 2;
        let apart = sep << 1 & upper << 2 & upper << 3 & !((digit | letter) << 4);
        let eight = seven & digit << 7 & upper << 8;
        codes = here((digit & (capitals | apart)) | (upper & seven << 1) | eight);
    }
    (numbers, codes, phones & !numbers)
}

/// Where runs of letters and digits reach 26 in this block.
#[inline(always)]
fn long_runs(alnum: u128) -> u64 {
    let two = alnum & alnum << 1;
    let four = two & two << 2;
    let eight = four & four << 4;
    let sixteen = eight & eight << 8;
    let long = sixteen & eight << 16 & two << 24;
    here(long & !(long << 1))
}

/// Where runs of the bytes of tokens reach 20 in this block.
#[inline(always)]
fn token_runs(word: u128) -> u64 {
    let two = word & word << 1;
    let four = two & two << 2;
    let eight = four & four << 4;
    let twenty = eight & eight << 8 & four << 16;
    here(twenty & !(twenty << 1))
}

/// Candidates of a block, per kind.
#[derive(Clone, Copy, Default)]
struct Hits {
    rare: u64,
    number: u64,
    phone: u64,
    code: u64,
    long: u64,
    token: u64,
    assign: u64,
    ipv4: u64,
    ipv6: u64,
    mac: u64,
    int: u64,
}

impl Hits {
    #[inline(always)]
    fn any(&self) -> u64 {
        self.rare
            | self.number
            | self.phone
            | self.code
            | self.long
            | self.token
            | self.assign
            | self.ipv4
            | self.ipv6
            | self.mac
            | self.int
    }
}

/// What the next block has to know of this one.
#[derive(Clone, Copy, Default)]
struct Previous {
    basic: Basic,
    two: u64,
    thirteen: u64,
    ten: u64,
    /// The colons of an address that is going on.
    chains: [u64; 2],
    /// Made already, since the block had numbers.
    detail: Option<Detail>,
}

impl Previous {
    #[inline(always)]
    fn hits<V: Vector>(
        &mut self,
        v: V,
        block: &[u8; BLOCK],
        block_before: Option<&[u8; BLOCK]>,
        shapes: Shapes,
    ) -> Hits {
        let now = basic(v, block, shapes);
        let before = self.basic;
        let mut hits = Hits {
            rare: now.rare,
            ..Hits::default()
        };
        if shapes.assign {
            // A name ends in a letter or a quote, and a msgpack key is followed by a header byte,
            // most of which have the high bit.
            hits.assign = now.sign & !back(now.digit, before.digit, 1);
            hits.assign |= now.high & back(now.letter, before.letter, 1);
        }
        if shapes.int && now.high != 0 {
            hits.int = int_headers(v, block);
        }
        let two = now.digit & back(now.digit, before.digit, 1);
        let mut made = None;
        // What starts in the last bytes of a block may have its digits in the next; no shape
        // reaches back further than 20 bytes.
        let recent = self.two >> 44;
        let numbers = two | now.digit >> 62 | self.two >> 63 != 0
            || (recent != 0 && now.digit & 0xf_ffff != 0);
        if shapes.number {
            hits.number = now.digit & back(now.plus, before.plus, 1);
        }
        if numbers && (shapes.number || shapes.code) && may_have_numbers_or_codes(&now, &before) {
            let detail_before = match (self.detail, block_before) {
                (Some(detail), _) => detail,
                (None, Some(block)) => detail(v, block),
                (None, None) => Detail::default(),
            };
            let detail_now = detail(v, block);
            let digit = window(now.digit, before.digit);
            let letter = window(now.letter, before.letter);
            let hyphen = window(now.hyphen, before.hyphen);
            let (number, code, phone) =
                numbers_and_codes(digit, letter, hyphen, &detail_now, &detail_before, shapes);
            hits.number |= number;
            hits.code = code;
            hits.phone = phone;
            made = Some(detail_now);
        }
        if shapes.long {
            // A run of 26 has 13 bytes in one of two blocks.
            let alnum = now.digit | now.letter;
            let two = alnum & alnum << 1;
            let four = two & two << 2;
            let eight = four & four << 4;
            let thirteen = eight & eight << 5;
            if thirteen | self.thirteen != 0 {
                hits.long = long_runs(window(alnum, before.digit | before.letter));
            }
            self.thirteen = thirteen;
        }
        if shapes.token {
            // A run of 20 has 10 bytes in one of two blocks.
            let word = now.digit | now.letter | now.underscore | now.hyphen;
            let two = word & word << 1;
            let four = two & two << 2;
            let ten = four & four << 4 & two << 8;
            if ten | self.ten != 0 {
                let before = before.digit | before.letter | before.underscore | before.hyphen;
                hits.token = token_runs(window(word, before));
            }
            let dashes = window(now.hyphen, before.hyphen);
            let five = dashes & dashes << 1 & dashes << 2 & dashes << 3 & dashes << 4;
            hits.token |= here(five & !(five << 1));
            self.ten = ten;
        }
        if shapes.ip {
            self.addresses(&now, &mut hits);
        }
        if shapes.mac {
            let third = |now, before| now & back(now, before, 3) & back(now, before, 6);
            hits.mac = third(now.colon, before.colon) | third(now.hyphen, before.hyphen);
        }
        self.basic = now;
        self.two = two;
        self.detail = made;
        hits
    }

    #[inline(always)]
    fn addresses(&mut self, now: &Basic, hits: &mut Hits) {
        let before = self.basic;
        let dot = back(now.dot, before.dot, 1);
        hits.ipv4 = now.digit & dot & back(now.digit, before.digit, 2);
        // The fourth of a row of colons with at most four bytes between them, or a double colon.
        let near = |now, before| {
            back(now, before, 2)
                | back(now, before, 3)
                | back(now, before, 4)
                | back(now, before, 5)
        };
        let second = now.colon & near(now.colon, before.colon);
        let third = now.colon & near(second, self.chains[0]);
        let double = now.colon & back(now.colon, before.colon, 1);
        hits.ipv6 = double | (now.colon & near(third, self.chains[1]));
        self.chains = [second, third];
    }
}

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

    /// Calls `visit` for every candidate of `buf[from..]`, in ascending order, until it returns
    /// `true`.
    #[inline]
    pub(crate) fn candidates(
        &self,
        buf: &[u8],
        from: usize,
        shapes: Shapes,
        visit: impl FnMut(Kind, usize) -> bool,
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
}

#[inline(always)]
fn scan<V: Vector>(
    v: V,
    buf: &[u8],
    from: usize,
    shapes: Shapes,
    mut visit: impl FnMut(Kind, usize) -> bool,
) {
    let mut previous = Previous::default();
    let mut block_before: Option<&[u8; BLOCK]> = None;
    let mut at = from;
    let mut last = [0u8; BLOCK];
    while at < buf.len() {
        let rest = &buf[at..];
        let block = match rest.first_chunk::<BLOCK>() {
            Some(block) => block,
            None => {
                last[..rest.len()].copy_from_slice(rest);
                &last
            }
        };
        let hits = previous.hits(v, block, block_before, shapes);
        let mut any = hits.any();
        while any != 0 {
            let index = any.trailing_zeros();
            let bit = 1u64 << index;
            any &= any - 1;
            let position = at + index as usize;
            if hits.rare & bit != 0 {
                let (kind, wanted) = match buf[position] {
                    b'@' => (Kind::At, shapes.at),
                    b'~' => (Kind::Token, shapes.token),
                    _ => (Kind::Escape, shapes.escape),
                };
                if wanted && visit(kind, position) {
                    return;
                }
            }
            for (map, kind) in [
                (hits.number, Kind::Number),
                (hits.phone, Kind::Phone),
                (hits.code, Kind::Code),
                (hits.long, Kind::Long),
                (hits.token, Kind::Token),
                (hits.assign, Kind::Assign),
                (hits.ipv4, Kind::Ipv4),
                (hits.ipv6, Kind::Ipv6),
                (hits.mac, Kind::Mac),
                (hits.int, Kind::Int),
            ] {
                if map & bit != 0 && visit(kind, position) {
                    return;
                }
            }
        }
        if rest.len() < BLOCK {
            return;
        }
        block_before = rest.first_chunk::<BLOCK>();
        at += BLOCK;
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
        scan(v, buf, 0, ALL, |kind, at| {
            found.push((kind, at));
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
            ("1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa", Kind::Long),
            ("AKIA2345ABCD2345ABCD", Kind::Token),
            ("-----BEGIN", Kind::Token),
            ("8Q~", Kind::Token),
            ("password=", Kind::Assign),
            ("%40", Kind::Escape),
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
