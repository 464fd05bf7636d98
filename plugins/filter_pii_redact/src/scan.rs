//! The gate: which bytes of a buffer could be part of something sensitive?
//!
//! The buffer is read in blocks of 64 bytes. Each block becomes a handful of 64-bit maps, one bit
//! a byte: digits, letters, separators and so on. Shapes such as "three digits, a separator, three
//! digits" are shifts and ANDs of these maps, with the previous block's maps carried in, so a
//! block costs the same whatever it holds. A set bit is a candidate; the detectors verify it.
//!
//! The maps look at bytes only, never at where a string starts or ends. So the gate runs over raw
//! msgpack as well as over one string, and what it finds in a string it also finds in the batch.

use wide::u8x16;

/// Bytes in a block.
const BLOCK: usize = 64;

/// What a candidate could belong to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// An `@`.
    At,
    /// A digit inside a number that is long enough, or grouped like an identifier.
    Number,
    /// A digit behind two capitals, or a capital behind seven digits.
    Code,
    /// The 26th alphanumeric byte of a run.
    Long,
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
    /// Codes of capitals and digits.
    pub(crate) code: bool,
    /// Long alphanumeric runs.
    pub(crate) long: bool,
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

/// The byte classes of one block.
#[derive(Clone, Copy, Default)]
struct Maps {
    digit: u64,
    letter: u64,
    upper: u64,
    separator: u64,
    /// The separators between groups of two digits.
    pair_gap: u64,
    name_end: u64,
    colon: u64,
    dot: u64,
    hyphen: u64,
    high: u64,
    rare: u64,
    int: u64,
}

/// Maps that the next block needs from this one.
#[derive(Clone, Copy, Default)]
struct Carry {
    maps: Maps,
    two: u64,
    three: u64,
    four: u64,
    seven: u64,
    nine: u64,
    alnum: u64,
    alnum2: u64,
    alnum4: u64,
    alnum8: u64,
    alnum16: u64,
    alnum26: u64,
    pair: u64,
    opening: u64,
    chain2: u64,
    chain3: u64,
}

/// `now` moved `by` bytes on, filled up from the block before.
#[inline(always)]
const fn back(now: u64, before: u64, by: u32) -> u64 {
    now << by | before >> (64 - by)
}

#[inline(always)]
fn within(bytes: u8x16, first: u8, last: u8) -> u8x16 {
    let offset = bytes - u8x16::splat(first);
    offset.min(u8x16::splat(last - first)).cmp_eq(offset)
}

#[inline(always)]
fn equals(bytes: u8x16, byte: u8) -> u8x16 {
    bytes.cmp_eq(u8x16::splat(byte))
}

#[inline(always)]
fn map(lane: u8x16, index: usize) -> u64 {
    u64::from(lane.move_mask() as u16) << (16 * index)
}

#[inline(always)]
fn classify(block: &[u8; BLOCK], shapes: Shapes) -> Maps {
    let mut maps = Maps::default();
    for (index, lane) in block.chunks_exact(16).enumerate() {
        let mut bytes = [0u8; 16];
        bytes.copy_from_slice(lane);
        let bytes = u8x16::new(bytes);
        let lower = bytes | u8x16::splat(0x20);
        maps.digit |= map(within(bytes, b'0', b'9'), index);
        maps.letter |= map(within(lower, b'a', b'z'), index);
        maps.upper |= map(within(bytes, b'A', b'Z'), index);
        // The hyphen, the dot and the slash are neighbours; so are the parentheses.
        let separator = within(bytes, b'-', b'/') | equals(bytes, b' ') | within(bytes, b'(', b')');
        maps.separator |= map(separator, index);
        maps.pair_gap |= map(within(bytes, b'-', b'.') | equals(bytes, b' '), index);
        let colon = equals(bytes, b':');
        maps.name_end |= map(colon | equals(bytes, b'='), index);
        maps.high |= map(bytes, index);
        let rare =
            equals(bytes, b'@') | equals(bytes, b'%') | equals(bytes, b'\\') | equals(bytes, b'+');
        maps.rare |= map(rare, index);
        if shapes.ip || shapes.mac {
            maps.colon |= map(colon, index);
            maps.dot |= map(equals(bytes, b'.'), index);
            maps.hyphen |= map(equals(bytes, b'-'), index);
        }
        if shapes.int {
            let odd = bytes | u8x16::splat(1);
            maps.int |= map(equals(odd, 0xcf) | equals(odd, 0xd3), index);
        }
    }
    maps
}

/// Where the shapes of this block end, per kind.
#[derive(Clone, Copy, Default)]
struct Hits {
    number: u64,
    code: u64,
    long: u64,
    assign: u64,
    ipv4: u64,
    ipv6: u64,
    mac: u64,
    rare: u64,
    int: u64,
}

#[inline(always)]
fn shapes_of(m: &Maps, c: &mut Carry, shapes: Shapes) -> Hits {
    let mut hits = Hits::default();
    let p = c.maps;
    let two = m.digit & back(m.digit, p.digit, 1);
    let three = two & back(m.digit, p.digit, 2);
    let four = two & back(two, c.two, 2);
    let seven = four & back(four, c.four, 3);
    if shapes.number {
        let nine = seven & back(two, c.two, 7);
        let first_nine = nine & !back(nine, c.nine, 1);
        // "123 456", "123-456", "(123) 456"
        let sep = m.separator;
        let grouped = three
            & back(sep, p.separator, 3)
            & (back(three, c.three, 4) | (back(sep, p.separator, 4) & back(three, c.three, 5)));
        // "123-45-6789"
        let ssn = four
            & back(sep, p.separator, 4)
            & back(two, c.two, 5)
            & back(sep, p.separator, 7)
            & back(three, c.three, 8);
        // "01 23 45 67", but not the end of "2015-10-18 18", nor "17/06/09 20"
        let pair = two & !back(m.digit, p.digit, 2) & back(m.pair_gap, p.pair_gap, 2);
        let chain = pair & back(pair, c.pair, 3);
        let opening = two & !back(m.digit, p.digit, 2);
        let pairs = chain & back(pair, c.pair, 6) & back(opening, c.opening, 9);
        hits.number = first_nine | grouped | ssn | pairs;
        c.pair = pair;
        c.opening = opening;
        c.nine = nine;
    }
    let alnum = m.digit | m.letter;
    if shapes.code {
        let capitals = back(m.upper, p.upper, 1) & back(m.upper, p.upper, 2);
        let spaced = back(m.separator, p.separator, 1)
            & back(m.upper, p.upper, 2)
            & back(m.upper, p.upper, 3)
            & !back(alnum, c.alnum, 4);
        hits.code = (m.digit & (capitals | spaced)) | (m.upper & back(seven, c.seven, 1));
    }
    if shapes.long {
        let alnum2 = alnum & back(alnum, c.alnum, 1);
        let alnum4 = alnum2 & back(alnum2, c.alnum2, 2);
        let alnum8 = alnum4 & back(alnum4, c.alnum4, 4);
        let alnum16 = alnum8 & back(alnum8, c.alnum8, 8);
        let alnum26 = alnum16 & back(alnum8, c.alnum8, 16) & back(alnum2, c.alnum2, 24);
        hits.long = alnum26 & !back(alnum26, c.alnum26, 1);
        c.alnum2 = alnum2;
        c.alnum4 = alnum4;
        c.alnum8 = alnum8;
        c.alnum16 = alnum16;
        c.alnum26 = alnum26;
    }
    if shapes.assign {
        // A name ends in a letter, at times behind a quote; a msgpack key is followed by a
        // header byte, most of which have the high bit.
        hits.assign = m.name_end & !back(m.digit, p.digit, 1);
        hits.assign |= m.high & back(m.letter, p.letter, 1);
    }
    if shapes.ip {
        hits.ipv4 = m.digit & back(m.dot, p.dot, 1) & back(m.digit, p.digit, 2);
        let near = |now, before| {
            back(now, before, 2)
                | back(now, before, 3)
                | back(now, before, 4)
                | back(now, before, 5)
        };
        let chain2 = m.colon & near(m.colon, p.colon);
        let chain3 = m.colon & near(chain2, c.chain2);
        let double = m.colon & back(m.colon, p.colon, 1);
        hits.ipv6 = double | (m.colon & near(chain3, c.chain3));
        c.chain2 = chain2;
        c.chain3 = chain3;
    }
    if shapes.mac {
        let third = |now: u64, before: u64| now & back(now, before, 3) & back(now, before, 6);
        hits.mac = third(m.colon, p.colon) | third(m.hyphen, p.hyphen);
    }
    hits.rare = m.rare;
    hits.int = m.int;
    c.maps = *m;
    c.two = two;
    c.three = three;
    c.four = four;
    c.seven = seven;
    c.alnum = alnum;
    hits
}

/// Calls `visit` for every candidate of `buf[from..]`, in ascending order, until it returns `true`.
#[inline(always)]
pub(crate) fn candidates(
    buf: &[u8],
    from: usize,
    shapes: Shapes,
    mut visit: impl FnMut(Kind, usize) -> bool,
) {
    let mut carry = Carry::default();
    let mut at = from;
    while at < buf.len() {
        let rest = &buf[at..];
        let maps = if let Some(block) = rest.first_chunk::<BLOCK>() {
            classify(block, shapes)
        } else {
            let mut block = [0u8; BLOCK];
            block[..rest.len()].copy_from_slice(rest);
            classify(&block, shapes)
        };
        let hits = shapes_of(&maps, &mut carry, shapes);
        let mut any = hits.number
            | hits.code
            | hits.long
            | hits.assign
            | hits.ipv4
            | hits.ipv6
            | hits.mac
            | hits.rare
            | hits.int;
        while any != 0 {
            let index = any.trailing_zeros();
            let bit = 1u64 << index;
            any &= any - 1;
            let position = at + index as usize;
            if hits.rare & bit != 0 {
                let kind = match buf[position] {
                    b'@' => Kind::At,
                    b'+' => Kind::Number,
                    _ => Kind::Escape,
                };
                let wanted = match kind {
                    Kind::At => shapes.at,
                    Kind::Number => shapes.number,
                    _ => shapes.escape,
                };
                if wanted && visit(kind, position) {
                    return;
                }
            }
            for (map, kind) in [
                (hits.number, Kind::Number),
                (hits.code, Kind::Code),
                (hits.long, Kind::Long),
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
        at += BLOCK;
    }
}
