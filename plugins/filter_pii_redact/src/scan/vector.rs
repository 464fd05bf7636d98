//! 64 bytes at a time in safe Rust: AVX2 where the processor has it, else what `wide` makes of the
//! target's baseline (SSE2, NEON).

use wide::u8x16;

/// Bytes in a window.
pub(super) const WINDOW: usize = 64;

/// Comparisons of the bytes of a window, which yield a mask of them.
pub(super) trait Vector: Copy {
    /// The bytes of a window.
    type Bytes: Copy;
    /// Which of them are of a class.
    type Mask: Copy;

    fn load(self, window: &[u8; WINDOW]) -> Self::Bytes;
    /// Letters in lower case; other bytes may change, but become no letter.
    fn fold(self, bytes: Self::Bytes) -> Self::Bytes;
    fn equal(self, bytes: Self::Bytes, byte: u8) -> Self::Mask;
    /// From `first` to `last`, both included.
    fn within(self, bytes: Self::Bytes, first: u8, last: u8) -> Self::Mask;
    /// Bytes of 0x80 and more.
    fn high(self, bytes: Self::Bytes) -> Self::Mask;
    fn or(self, a: Self::Mask, b: Self::Mask) -> Self::Mask;
    /// The mask as bits, the first byte the lowest.
    fn bits(self, mask: Self::Mask) -> u64;
}

/// Four times sixteen bytes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Portable;

impl Vector for Portable {
    type Bytes = [u8x16; 4];
    type Mask = [u8x16; 4];

    #[inline(always)]
    fn load(self, window: &[u8; WINDOW]) -> [u8x16; 4] {
        std::array::from_fn(|n| {
            let mut bytes = [0u8; 16];
            bytes.copy_from_slice(&window[n * 16..n * 16 + 16]);
            u8x16::new(bytes)
        })
    }

    #[inline(always)]
    fn fold(self, bytes: [u8x16; 4]) -> [u8x16; 4] {
        bytes.map(|b| b | u8x16::splat(0x20))
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
    fn bits(self, mask: [u8x16; 4]) -> u64 {
        let part = |n: usize| u64::from(mask[n].move_mask() as u16) << (16 * n);
        part(0) | part(1) | part(2) | part(3)
    }
}

#[cfg(target_arch = "x86_64")]
pub(super) use x86::Avx2;

#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::arch::x86_64::__m256i;

    use pulp::x86::V3;

    use super::{Vector, WINDOW};

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
            struct Body<F>(F);
            impl<R, F: FnOnce() -> R> pulp::NullaryFnOnce for Body<F> {
                type Output = R;
                #[inline(always)]
                fn call(self) -> R {
                    (self.0)()
                }
            }
            self.0.vectorize(Body(body))
        }

        #[inline(always)]
        fn all(self, byte: u8) -> __m256i {
            self.0.avx._mm256_set1_epi8(byte as i8)
        }
    }

    impl Vector for Avx2 {
        type Bytes = [__m256i; 2];
        type Mask = [__m256i; 2];

        #[inline(always)]
        fn load(self, window: &[u8; WINDOW]) -> [__m256i; 2] {
            pulp::cast(*window)
        }

        #[inline(always)]
        fn fold(self, [a, b]: [__m256i; 2]) -> [__m256i; 2] {
            let case = self.all(0x20);
            let fold = self.0.avx2;
            [fold._mm256_or_si256(a, case), fold._mm256_or_si256(b, case)]
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
            let (first, width) = (self.all(first), self.all(last - first));
            let (a, b) = (
                avx2._mm256_sub_epi8(a, first),
                avx2._mm256_sub_epi8(b, first),
            );
            [
                avx2._mm256_cmpeq_epi8(avx2._mm256_min_epu8(a, width), a),
                avx2._mm256_cmpeq_epi8(avx2._mm256_min_epu8(b, width), b),
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
        fn bits(self, [a, b]: [__m256i; 2]) -> u64 {
            let avx2 = self.0.avx2;
            let low = avx2._mm256_movemask_epi8(a) as u32;
            let high = avx2._mm256_movemask_epi8(b) as u32;
            u64::from(high) << 32 | u64::from(low)
        }
    }
}
