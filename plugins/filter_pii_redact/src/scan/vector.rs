//! 64 bytes at a time in safe Rust, and the bit maps of four such windows at a time: AVX-512 or AVX2 where
//! the processor has it, else what `wide` makes of the target's baseline (SSE2, NEON).

use std::ops::{BitAnd, BitOr, Not, Shl, Shr};

use wide::{u64x4, u8x16};

use super::trigrams::Quads;

/// Bytes in a window.
pub(crate) const WINDOW: usize = 64;
/// Windows whose maps are looked at together.
pub(super) const LANES: usize = 4;
/// The bit that lower case letters have and capitals do not.
pub(super) const CASE: u8 = 0x20;

/// Comparisons of the bytes of a window, which yield a mask of them.
pub(super) trait Vector: Copy {
    /// The bytes of a window.
    type Bytes: Copy;
    /// Which of them are of a class.
    type Mask: Copy;
    /// Bit maps of [`LANES`] windows.
    type Maps: Maps;

    fn load(self, window: &[u8; WINDOW]) -> Self::Bytes;
    /// Each byte with these bits set.
    fn set(self, bytes: Self::Bytes, bits: u8) -> Self::Bytes;
    /// Bytes that have the bit [`CASE`].
    fn has_case(self, bytes: Self::Bytes) -> Self::Mask;
    fn equal(self, bytes: Self::Bytes, byte: u8) -> Self::Mask;
    /// From `first` to `last`, both included.
    fn within(self, bytes: Self::Bytes, first: u8, last: u8) -> Self::Mask;
    /// Bytes of 0x80 and more.
    fn high(self, bytes: Self::Bytes) -> Self::Mask;
    fn or(self, a: Self::Mask, b: Self::Mask) -> Self::Mask;
    fn and(self, a: Self::Mask, b: Self::Mask) -> Self::Mask;
    #[inline(always)]
    fn any_of(self, bytes: Self::Bytes, [a, b]: [u8; 2]) -> Self::Mask {
        self.or(self.equal(bytes, a), self.equal(bytes, b))
    }
    #[inline(always)]
    fn letters(self, bytes: Self::Bytes) -> Self::Mask {
        self.within(self.set(bytes, CASE), b'a', b'z')
    }
    /// Headers of 32- and 64-bit msgpack integers and floats: 0xca, 0xcb, 0xce, 0xcf, 0xd2, 0xd3.
    #[inline(always)]
    fn integers(self, bytes: Self::Bytes) -> Self::Mask {
        let odd = self.set(bytes, 1);
        self.or(self.any_of(odd, [0xcf, 0xd3]), self.equal(odd, 0xcb))
    }
    /// `@`, `%`, `&`, `+`, `#`, `$`, `<`, backslashes, tildes, escapes and new lines.
    #[inline(always)]
    fn rare(self, bytes: Self::Bytes) -> Self::Mask {
        let first = self.or(
            self.any_of(bytes, [b'@', b'~']),
            self.any_of(bytes, [0x1b, b'\\']),
        );
        // The number sign, the dollar, the percent sign and the ampersand are neighbours.
        let more = self.or(self.within(bytes, b'#', b'&'), self.equal(bytes, b'+'));
        let breaks = self.any_of(bytes, [b'\n', b'<']);
        self.or(self.or(first, more), breaks)
    }
    /// Quotes, blanks, backslashes and closing brackets.
    #[inline(always)]
    fn quotes(self, bytes: Self::Bytes) -> Self::Mask {
        // The backslash and the bracket are neighbours.
        let first = self.or(self.any_of(bytes, [b'"', b'\'']), self.equal(bytes, b' '));
        self.or(first, self.within(bytes, b'\\', b']'))
    }
    /// The rare ones and the quotes.
    #[inline(always)]
    fn marks(self, bytes: Self::Bytes) -> [Self::Mask; 2] {
        [self.rare(bytes), self.quotes(bytes)]
    }
    /// Blanks, commas and bars.
    #[inline(always)]
    fn gaps(self, bytes: Self::Bytes) -> Self::Mask {
        self.or(self.any_of(bytes, [b',', b'|']), self.equal(bytes, b' '))
    }
    /// Bytes that are in one of some groups, for three choices of them. A byte is in a group if its low half
    /// and its high half are.
    fn classes(self, halves: [[u8; 16]; 2], bytes: Self::Bytes, groups: [u8; 3])
        -> [Self::Mask; 3];
    /// Bytes that with the second behind them may be of the last three of a name that needs no sign.
    fn bare_ends(self, bytes: [Self::Bytes; 2]) -> Self::Mask;
    /// The groups of a table that bytes with the three behind them may be in, as bits.
    fn quads(self, table: &Quads, bytes: [Self::Bytes; 4]) -> Self::Bytes;
    /// Bytes that have one of these bits.
    fn has_bits(self, bytes: Self::Bytes, bits: u8) -> Self::Mask;
    /// The mask as bits, the first byte the lowest.
    fn bits(self, mask: Self::Mask) -> u64;
    /// The masks of [`LANES`] windows as bits.
    fn maps(self, masks: [Self::Mask; LANES]) -> Self::Maps;
    /// The same bits in every window, the first window's apart.
    fn map(self, windows: [u64; LANES]) -> Self::Maps;
}

/// Bit maps of [`LANES`] windows, each shifted by itself.
pub(crate) trait Maps:
    Copy
    + BitAnd<Output = Self>
    + BitOr<Output = Self>
    + Not<Output = Self>
    + Shl<i32, Output = Self>
    + Shr<i32, Output = Self>
{
    fn is_empty(self) -> bool;
    fn windows(self) -> [u64; LANES];
}

/// The bytes of [`Vector::rare`] and [`Vector::quotes`] by their halves: six groups of the first, a bit
/// each, and from [`QUOTES`] on two of the others. The bytes of a group are all that have a low half and a
/// high half of it.
const MARKS: [[u8; 16]; 2] = {
    const GROUPS: [(u8, &[u8]); 8] = [
        (0, b"#$%&+"),
        (1, b"<\\"),
        (2, b"@"),
        (3, b"~"),
        (4, b"\x1b"),
        (5, b"\n"),
        (6, b" \"'"),
        (7, b"\\]"),
    ];
    let (mut low, mut high) = ([0; 16], [0; 16]);
    let mut n = 0;
    while n < GROUPS.len() {
        let (place, bytes) = GROUPS[n];
        let mut at = 0;
        while at < bytes.len() {
            low[(bytes[at] & 15) as usize] |= 1 << place;
            high[(bytes[at] >> 4) as usize] |= 1 << place;
            at += 1;
        }
        n += 1;
    }
    [low, high]
};

/// The first group of quotes among the [`MARKS`].
const QUOTES: u32 = 6;

/// Four times sixteen bytes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Portable;

impl Vector for Portable {
    type Bytes = [u8x16; 4];
    type Mask = [u8x16; 4];
    type Maps = u64x4;

    #[inline(always)]
    fn load(self, window: &[u8; WINDOW]) -> [u8x16; 4] {
        std::array::from_fn(|n| {
            let mut bytes = [0u8; 16];
            bytes.copy_from_slice(&window[n * 16..n * 16 + 16]);
            u8x16::new(bytes)
        })
    }

    #[inline(always)]
    fn set(self, bytes: [u8x16; 4], bits: u8) -> [u8x16; 4] {
        bytes.map(|b| b | u8x16::splat(bits))
    }

    #[inline(always)]
    fn has_case(self, bytes: [u8x16; 4]) -> [u8x16; 4] {
        let case = u8x16::splat(CASE);
        bytes.map(|b| (b & case).cmp_eq(case))
    }

    #[inline(always)]
    fn equal(self, bytes: [u8x16; 4], byte: u8) -> [u8x16; 4] {
        bytes.map(|b| b.cmp_eq(u8x16::splat(byte)))
    }

    #[inline(always)]
    fn within(self, bytes: [u8x16; 4], first: u8, last: u8) -> [u8x16; 4] {
        bytes.map(|b| {
            let offset = b - u8x16::splat(first);
            offset.min(u8x16::splat(last - first)).cmp_eq(offset)
        })
    }

    #[inline(always)]
    fn high(self, bytes: [u8x16; 4]) -> [u8x16; 4] {
        bytes
    }

    #[inline(always)]
    fn or(self, a: [u8x16; 4], b: [u8x16; 4]) -> [u8x16; 4] {
        std::array::from_fn(|n| a[n] | b[n])
    }

    #[inline(always)]
    fn and(self, a: [u8x16; 4], b: [u8x16; 4]) -> [u8x16; 4] {
        std::array::from_fn(|n| a[n] & b[n])
    }

    #[inline(always)]
    fn classes(
        self,
        [low, high]: [[u8; 16]; 2],
        bytes: [u8x16; 4],
        groups: [u8; 3],
    ) -> [[u8x16; 4]; 3] {
        // Without a shuffle of bytes, one by one.
        let of = |byte: u8| low[usize::from(byte & 15)] & high[usize::from(byte >> 4)];
        let all = bytes.map(|bytes| bytes.to_array().map(of));
        groups.map(|groups| {
            all.map(|all| u8x16::new(all.map(|of| if of & groups != 0 { 0xff } else { 0 })))
        })
    }

    #[inline(always)]
    fn bare_ends(self, [_, last]: [[u8x16; 4]; 2]) -> [u8x16; 4] {
        // Without a shuffle of bytes, the last letters.
        let lower = self.set(last, CASE);
        let some = |letters: [u8; 2]| self.any_of(lower, letters);
        let bare = self.or(some([b'd', b't']), some([b'n', b'l']));
        let more = self.or(some([b's', b'r']), some([b'c', b'y']));
        self.or(self.or(bare, more), self.equal(lower, b'h'))
    }

    #[inline(always)]
    fn quads(self, _: &Quads, _: [[u8x16; 4]; 4]) -> [u8x16; 4] {
        [u8x16::splat(u8::MAX); 4]
    }

    #[inline(always)]
    fn has_bits(self, bytes: [u8x16; 4], bits: u8) -> [u8x16; 4] {
        bytes.map(|b| !(b & u8x16::splat(bits)).cmp_eq(u8x16::splat(0)))
    }

    #[inline(always)]
    fn bits(self, mask: [u8x16; 4]) -> u64 {
        let part = |n: usize| u64::from(mask[n].move_mask() as u16) << (16 * n);
        part(0) | part(1) | part(2) | part(3)
    }

    #[inline(always)]
    fn maps(self, [a, b, c, d]: [[u8x16; 4]; LANES]) -> u64x4 {
        u64x4::new([self.bits(a), self.bits(b), self.bits(c), self.bits(d)])
    }

    #[inline(always)]
    fn map(self, windows: [u64; LANES]) -> u64x4 {
        u64x4::new(windows)
    }
}

impl Maps for u64x4 {
    #[inline(always)]
    fn is_empty(self) -> bool {
        self.to_array() == [0; LANES]
    }

    #[inline(always)]
    fn windows(self) -> [u64; LANES] {
        self.to_array()
    }
}

#[cfg(all(target_arch = "x86_64", feature = "avx512"))]
pub(super) use avx512::Avx512;
#[cfg(target_arch = "x86_64")]
pub(super) use x86::Avx2;

#[cfg(all(target_arch = "x86_64", feature = "avx512"))]
mod avx512;
#[cfg(target_arch = "x86_64")]
mod x86;
