//! Sixty-four bytes at once with AVX-512, whose comparisons yield the bits of a map.

use std::arch::x86_64::__m512i;

use pulp::x86::V4;

use super::x86::{Body, Maps256};
use super::{Quads, Vector, LANES, MARKS, QUOTES, WINDOW};
use crate::scan::trigrams::{Trigrams, BARE_ENDS};

/// Sixty-four bytes.
#[derive(Clone, Copy, Debug)]
pub(in crate::scan) struct Avx512(V4);

impl Avx512 {
    /// `None`: the processor has no AVX-512, or is one of the first that do, which lower the clock for all
    /// that runs beside: those have no VBMI2.
    pub(in crate::scan) fn detect() -> Option<Self> {
        let calm = std::arch::is_x86_feature_detected!("avx512vbmi2");
        V4::try_new().filter(|_| calm).map(Avx512)
    }

    /// Runs `body`, and what is inlined into it, as AVX-512 code.
    #[inline(always)]
    pub(in crate::scan) fn run<R>(self, body: impl FnOnce() -> R) -> R {
        self.0.vectorize(Body(body))
    }

    #[inline(always)]
    fn all(self, byte: u8) -> __m512i {
        self.0.avx512f._mm512_set1_epi8(byte as i8)
    }

    /// The groups that bytes are in by their low and by their high halves, as bits.
    #[inline(always)]
    fn groups(self, [low, high]: [[u8; 16]; 2], bytes: __m512i) -> __m512i {
        let (f, bw) = (self.0.avx512f, self.0.avx512bw);
        // A shuffle takes the low half of bytes below 0x80, and makes others zero.
        let upper = bw._mm512_srli_epi16::<4>(bytes);
        let upper = f._mm512_and_si512(upper, self.all(0x0f));
        let (low, high) = (pulp::cast([low; 4]), pulp::cast([high; 4]));
        f._mm512_and_si512(
            bw._mm512_shuffle_epi8(low, bytes),
            bw._mm512_shuffle_epi8(high, upper),
        )
    }
}

impl Vector for Avx512 {
    type Bytes = __m512i;
    type Mask = u64;
    type Maps = Maps256;

    #[inline(always)]
    fn load(self, window: &[u8; WINDOW]) -> __m512i {
        pulp::cast(*window)
    }

    #[inline(always)]
    fn set(self, bytes: __m512i, bits: u8) -> __m512i {
        self.0.avx512f._mm512_or_si512(bytes, self.all(bits))
    }

    #[inline(always)]
    fn has_case(self, bytes: __m512i) -> u64 {
        let case = self.all(super::CASE);
        self.0.avx512bw._mm512_test_epi8_mask(bytes, case)
    }

    #[inline(always)]
    fn equal(self, bytes: __m512i, byte: u8) -> u64 {
        let byte = self.all(byte);
        self.0.avx512bw._mm512_cmpeq_epi8_mask(bytes, byte)
    }

    #[inline(always)]
    fn within(self, bytes: __m512i, first: u8, last: u8) -> u64 {
        let bw = self.0.avx512bw;
        let offset = bw._mm512_sub_epi8(bytes, self.all(first));
        bw._mm512_cmple_epu8_mask(offset, self.all(last - first))
    }

    #[inline(always)]
    fn high(self, bytes: __m512i) -> u64 {
        self.0.avx512bw._mm512_movepi8_mask(bytes)
    }

    #[inline(always)]
    fn or(self, a: u64, b: u64) -> u64 {
        a | b
    }

    #[inline(always)]
    fn and(self, a: u64, b: u64) -> u64 {
        a & b
    }

    #[inline(always)]
    fn marks(self, bytes: __m512i) -> [u64; 2] {
        let groups = self.groups(MARKS, bytes);
        let rare = self.all((1 << QUOTES) - 1);
        let quotes = self.all(!((1 << QUOTES) - 1));
        let bw = self.0.avx512bw;
        [
            bw._mm512_test_epi8_mask(groups, rare),
            bw._mm512_test_epi8_mask(groups, quotes),
        ]
    }

    #[inline(always)]
    fn classes(self, halves: [[u8; 16]; 2], bytes: __m512i, groups: [u8; 3]) -> [u64; 3] {
        // A shuffle takes what is no ASCII for nothing.
        let all = self.groups(halves, bytes);
        groups.map(|groups| self.0.avx512bw._mm512_test_epi8_mask(all, self.all(groups)))
    }

    #[inline(always)]
    fn bare_ends(self, [first, last]: [__m512i; 2]) -> u64 {
        let Trigrams([front, _, end]) = BARE_ENDS;
        let (front, end) = (self.groups(front, first), self.groups(end, last));
        self.0.avx512bw._mm512_test_epi8_mask(front, end)
    }

    #[inline(always)]
    fn quads(self, table: &Quads, [first, second, third, fourth]: [__m512i; 4]) -> __m512i {
        let f = self.0.avx512f;
        let ascii = self.all(0x7f);
        let Trigrams([a, b, c]) = &table.front;
        let a = self.groups(*a, f._mm512_and_si512(first, ascii));
        let b = self.groups(*b, f._mm512_and_si512(second, ascii));
        let c = self.groups(*c, f._mm512_and_si512(third, ascii));
        let d = self.groups(table.fourth, f._mm512_and_si512(fourth, ascii));
        let (front, end) = (f._mm512_and_si512(a, b), f._mm512_and_si512(c, d));
        f._mm512_and_si512(front, end)
    }

    #[inline(always)]
    fn has_bits(self, bytes: __m512i, bits: u8) -> u64 {
        self.0.avx512bw._mm512_test_epi8_mask(bytes, self.all(bits))
    }

    #[inline(always)]
    fn bits(self, mask: u64) -> u64 {
        mask
    }

    #[inline(always)]
    fn maps(self, windows: [u64; LANES]) -> Maps256 {
        self.map(windows)
    }

    #[inline(always)]
    fn map(self, windows: [u64; LANES]) -> Maps256 {
        Maps256::new(*self.0, windows)
    }
}
