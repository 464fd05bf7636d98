//! Twice thirty-two bytes with AVX2.

use std::arch::x86_64::__m256i;
use std::ops::{BitAnd, BitOr, Not, Shl, Shr};

use pulp::x86::V3;

use super::{Maps, Quads, Vector, LANES, MARKS, QUOTES, WINDOW};
use crate::scan::trigrams::{Trigrams, BARE_ENDS};

/// What is to be code for a processor, with what is inlined into it.
pub(super) struct Body<F>(pub(super) F);

impl<R, F: FnOnce() -> R> pulp::NullaryFnOnce for Body<F> {
    type Output = R;

    #[inline(always)]
    fn call(self) -> R {
        (self.0)()
    }
}

/// Twice thirty-two bytes.
#[derive(Clone, Copy, Debug)]
pub(in crate::scan) struct Avx2(V3);

impl Avx2 {
    /// `None`: the processor has no AVX2.
    pub(in crate::scan) fn detect() -> Option<Self> {
        V3::try_new().map(Avx2)
    }

    /// Runs `body`, and what is inlined into it, as AVX2 code.
    #[inline(always)]
    pub(in crate::scan) fn run<R>(self, body: impl FnOnce() -> R) -> R {
        self.0.vectorize(Body(body))
    }

    #[inline(always)]
    fn all(self, byte: u8) -> __m256i {
        self.0.avx._mm256_set1_epi8(byte as i8)
    }

    /// The groups that bytes are in by their low and by their high halves, as bits.
    #[inline(always)]
    fn groups(self, [low, high]: [[u8; 16]; 2], bytes: __m256i) -> __m256i {
        let avx2 = self.0.avx2;
        // A shuffle takes the low half of bytes below 0x80, and makes others zero.
        let upper = avx2._mm256_srli_epi16::<4>(bytes);
        let upper = avx2._mm256_and_si256(upper, self.all(0x0f));
        let (low, high) = (pulp::cast([low; 2]), pulp::cast([high; 2]));
        avx2._mm256_and_si256(
            avx2._mm256_shuffle_epi8(low, bytes),
            avx2._mm256_shuffle_epi8(high, upper),
        )
    }

    /// The groups of a table that three bytes are in.
    #[inline(always)]
    fn in_table(
        self,
        Trigrams([a, b, c]): &Trigrams,
        [first, second, third]: [__m256i; 3],
    ) -> __m256i {
        let avx2 = self.0.avx2;
        let (a, b, c) = (*a, *b, *c);
        let front = avx2._mm256_and_si256(self.groups(a, first), self.groups(b, second));
        avx2._mm256_and_si256(front, self.groups(c, third))
    }

    /// Whether a byte has a bit of `least` or a higher one. What counts in a mask is the high bit,
    /// which the sum reaches then.
    #[inline(always)]
    fn reaches(self, groups: __m256i, least: u8) -> __m256i {
        self.0.avx2._mm256_adds_epu8(groups, self.all(0x80 - least))
    }

    /// Bytes that have one of these bits.
    #[inline(always)]
    fn has_any(self, bytes: __m256i, bits: u8) -> __m256i {
        let some = self.0.avx2._mm256_and_si256(bytes, self.all(bits));
        self.reaches(some, 1)
    }
}

impl Vector for Avx2 {
    type Bytes = [__m256i; 2];
    type Mask = [__m256i; 2];
    type Maps = Maps256;

    #[inline(always)]
    fn load(self, window: &[u8; WINDOW]) -> [__m256i; 2] {
        pulp::cast(*window)
    }

    #[inline(always)]
    fn set(self, [a, b]: [__m256i; 2], bits: u8) -> [__m256i; 2] {
        let bits = self.all(bits);
        let avx2 = self.0.avx2;
        [avx2._mm256_or_si256(a, bits), avx2._mm256_or_si256(b, bits)]
    }

    #[inline(always)]
    fn has_case(self, [a, b]: [__m256i; 2]) -> [__m256i; 2] {
        // Where the high bit is, which is what counts in a mask.
        let avx2 = self.0.avx2;
        [
            avx2._mm256_slli_epi16::<2>(a),
            avx2._mm256_slli_epi16::<2>(b),
        ]
    }

    #[inline(always)]
    fn equal(self, [a, b]: [__m256i; 2], byte: u8) -> [__m256i; 2] {
        let byte = self.all(byte);
        let avx2 = self.0.avx2;
        [
            avx2._mm256_cmpeq_epi8(a, byte),
            avx2._mm256_cmpeq_epi8(b, byte),
        ]
    }

    #[inline(always)]
    fn within(self, [a, b]: [__m256i; 2], first: u8, last: u8) -> [__m256i; 2] {
        let avx2 = self.0.avx2;
        // With the last one moved to the top of what has a sign, the first one is the only border.
        let top = i8::MAX as u8;
        let (up, below) = (self.all(top - last), self.all(top - 1 - (last - first)));
        [
            avx2._mm256_cmpgt_epi8(avx2._mm256_add_epi8(a, up), below),
            avx2._mm256_cmpgt_epi8(avx2._mm256_add_epi8(b, up), below),
        ]
    }

    #[inline(always)]
    fn high(self, bytes: [__m256i; 2]) -> [__m256i; 2] {
        bytes
    }

    #[inline(always)]
    fn or(self, [a, b]: [__m256i; 2], [c, d]: [__m256i; 2]) -> [__m256i; 2] {
        let avx2 = self.0.avx2;
        [avx2._mm256_or_si256(a, c), avx2._mm256_or_si256(b, d)]
    }

    #[inline(always)]
    fn and(self, [a, b]: [__m256i; 2], [c, d]: [__m256i; 2]) -> [__m256i; 2] {
        let avx2 = self.0.avx2;
        [avx2._mm256_and_si256(a, c), avx2._mm256_and_si256(b, d)]
    }

    #[inline(always)]
    fn marks(self, [a, b]: [__m256i; 2]) -> [[__m256i; 2]; 2] {
        let avx2 = self.0.avx2;
        let (a, b) = (self.groups(MARKS, a), self.groups(MARKS, b));
        let rare = self.all((1 << QUOTES) - 1);
        let [c, d] = [
            avx2._mm256_and_si256(a, rare),
            avx2._mm256_and_si256(b, rare),
        ];
        let quote = 1 << QUOTES;
        [
            [self.reaches(c, 1), self.reaches(d, 1)],
            [self.reaches(a, quote), self.reaches(b, quote)],
        ]
    }

    #[inline(always)]
    fn classes(
        self,
        halves: [[u8; 16]; 2],
        [a, b]: [__m256i; 2],
        groups: [u8; 3],
    ) -> [[__m256i; 2]; 3] {
        // No closures and no functions of arrays: what is called for each would not be code for AVX2.
        let (a, b) = (self.groups(halves, a), self.groups(halves, b));
        let [first, second, third] = groups;
        [
            [self.has_any(a, first), self.has_any(b, first)],
            [self.has_any(a, second), self.has_any(b, second)],
            [self.has_any(a, third), self.has_any(b, third)],
        ]
    }

    #[inline(always)]
    fn bare_ends(self, [first, last]: [[__m256i; 2]; 2]) -> [__m256i; 2] {
        let Trigrams([front, _, end]) = BARE_ENDS;
        let avx2 = self.0.avx2;
        let (a, b) = (self.groups(front, first[0]), self.groups(front, first[1]));
        let (c, d) = (self.groups(end, last[0]), self.groups(end, last[1]));
        let (a, b) = (avx2._mm256_and_si256(a, c), avx2._mm256_and_si256(b, d));
        [self.reaches(a, 1), self.reaches(b, 1)]
    }

    #[inline(always)]
    fn quads(
        self,
        table: &Quads,
        [first, second, third, fourth]: [[__m256i; 2]; 4],
    ) -> [__m256i; 2] {
        let avx2 = self.0.avx2;
        let ascii = self.all(0x7f);
        let a = [
            avx2._mm256_and_si256(first[0], ascii),
            avx2._mm256_and_si256(second[0], ascii),
            avx2._mm256_and_si256(third[0], ascii),
        ];
        let b = [
            avx2._mm256_and_si256(first[1], ascii),
            avx2._mm256_and_si256(second[1], ascii),
            avx2._mm256_and_si256(third[1], ascii),
        ];
        let (a, b) = (
            self.in_table(&table.front, a),
            self.in_table(&table.front, b),
        );
        let c = self.groups(table.fourth, avx2._mm256_and_si256(fourth[0], ascii));
        let d = self.groups(table.fourth, avx2._mm256_and_si256(fourth[1], ascii));
        [avx2._mm256_and_si256(a, c), avx2._mm256_and_si256(b, d)]
    }

    #[inline(always)]
    fn has_bits(self, [a, b]: [__m256i; 2], bits: u8) -> [__m256i; 2] {
        [self.has_any(a, bits), self.has_any(b, bits)]
    }

    #[inline(always)]
    fn bits(self, [a, b]: [__m256i; 2]) -> u64 {
        let avx2 = self.0.avx2;
        let low = avx2._mm256_movemask_epi8(a) as u32;
        let high = avx2._mm256_movemask_epi8(b) as u32;
        u64::from(high) << 32 | u64::from(low)
    }

    #[inline(always)]
    fn maps(self, [a, b, c, d]: [[__m256i; 2]; LANES]) -> Maps256 {
        // A window in one register each: putting halves into a vector is what costs most.
        let windows = [self.bits(a), self.bits(b), self.bits(c), self.bits(d)];
        self.map(windows)
    }

    #[inline(always)]
    fn map(self, windows: [u64; LANES]) -> Maps256 {
        Maps256::new(self.0, windows)
    }
}

/// Maps in one register, with the proof that the processor has it.
#[derive(Clone, Copy, Debug)]
pub(in crate::scan) struct Maps256(V3, __m256i);

impl Maps256 {
    #[inline(always)]
    pub(super) fn new(v3: V3, windows: [u64; LANES]) -> Self {
        Maps256(v3, pulp::cast(windows))
    }
}

impl Maps for Maps256 {
    #[inline(always)]
    fn is_empty(self) -> bool {
        self.0.avx._mm256_testz_si256(self.1, self.1) == 1
    }

    #[inline(always)]
    fn windows(self) -> [u64; LANES] {
        pulp::cast(self.1)
    }
}

impl BitAnd for Maps256 {
    type Output = Self;
    #[inline(always)]
    fn bitand(self, other: Self) -> Self {
        Maps256(self.0, self.0.avx2._mm256_and_si256(self.1, other.1))
    }
}

impl BitOr for Maps256 {
    type Output = Self;
    #[inline(always)]
    fn bitor(self, other: Self) -> Self {
        Maps256(self.0, self.0.avx2._mm256_or_si256(self.1, other.1))
    }
}

impl Not for Maps256 {
    type Output = Self;
    #[inline(always)]
    fn not(self) -> Self {
        let ones = self.0.avx._mm256_set1_epi64x(-1);
        Maps256(self.0, self.0.avx2._mm256_xor_si256(self.1, ones))
    }
}

impl Shl<i32> for Maps256 {
    type Output = Self;
    #[inline(always)]
    fn shl(self, by: i32) -> Self {
        let by = self.0.sse2._mm_cvtsi32_si128(by);
        Maps256(self.0, self.0.avx2._mm256_sll_epi64(self.1, by))
    }
}

impl Shr<i32> for Maps256 {
    type Output = Self;
    #[inline(always)]
    fn shr(self, by: i32) -> Self {
        let by = self.0.sse2._mm_cvtsi32_si128(by);
        Maps256(self.0, self.0.avx2._mm256_srl_epi64(self.1, by))
    }
}
