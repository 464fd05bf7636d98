//! Vectors of bytes in safe Rust: AVX2 where the processor has it, else what `wide` makes of the
//! target's baseline (SSE2, NEON).

use wide::u8x16;

/// Operations on some bytes at a time. Comparisons set all bits of a byte.
pub(super) trait Vector: Copy {
    /// The bytes.
    type Bytes: Copy;
    /// How many there are.
    const WIDTH: usize;

    /// Those at `block[at..]`.
    fn load(self, block: &[u8; 64], at: usize) -> Self::Bytes;
    /// All the same.
    fn all(self, byte: u8) -> Self::Bytes;
    fn or(self, a: Self::Bytes, b: Self::Bytes) -> Self::Bytes;
    fn equal(self, bytes: Self::Bytes, byte: u8) -> Self::Bytes;
    /// From `first` to `last`, both included.
    fn within(self, bytes: Self::Bytes, first: u8, last: u8) -> Self::Bytes;
    /// The highest bit of each.
    fn bits(self, bytes: Self::Bytes) -> u64;
}

/// Sixteen bytes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Portable;

impl Vector for Portable {
    type Bytes = u8x16;
    const WIDTH: usize = 16;

    #[inline(always)]
    fn load(self, block: &[u8; 64], at: usize) -> u8x16 {
        let mut bytes = [0u8; 16];
        bytes.copy_from_slice(&block[at..at + 16]);
        u8x16::new(bytes)
    }

    #[inline(always)]
    fn all(self, byte: u8) -> u8x16 {
        u8x16::splat(byte)
    }

    #[inline(always)]
    fn or(self, a: u8x16, b: u8x16) -> u8x16 {
        a | b
    }

    #[inline(always)]
    fn equal(self, bytes: u8x16, byte: u8) -> u8x16 {
        bytes.cmp_eq(u8x16::splat(byte))
    }

    #[inline(always)]
    fn within(self, bytes: u8x16, first: u8, last: u8) -> u8x16 {
        let offset = bytes - u8x16::splat(first);
        offset.min(u8x16::splat(last - first)).cmp_eq(offset)
    }

    #[inline(always)]
    fn bits(self, bytes: u8x16) -> u64 {
        u64::from(bytes.move_mask() as u16)
    }
}

#[cfg(target_arch = "x86_64")]
pub(super) use x86::Avx2;

#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::arch::x86_64::__m256i;

    use pulp::x86::V3;

    use super::Vector;

    /// Thirty-two bytes.
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
    }

    impl Vector for Avx2 {
        type Bytes = __m256i;
        const WIDTH: usize = 32;

        #[inline(always)]
        fn load(self, block: &[u8; 64], at: usize) -> __m256i {
            let mut bytes = [0u8; 32];
            bytes.copy_from_slice(&block[at..at + 32]);
            pulp::cast(bytes)
        }

        #[inline(always)]
        fn all(self, byte: u8) -> __m256i {
            self.0.avx._mm256_set1_epi8(byte as i8)
        }

        #[inline(always)]
        fn or(self, a: __m256i, b: __m256i) -> __m256i {
            self.0.avx2._mm256_or_si256(a, b)
        }

        #[inline(always)]
        fn equal(self, bytes: __m256i, byte: u8) -> __m256i {
            self.0.avx2._mm256_cmpeq_epi8(bytes, self.all(byte))
        }

        #[inline(always)]
        fn within(self, bytes: __m256i, first: u8, last: u8) -> __m256i {
            let offset = self.0.avx2._mm256_sub_epi8(bytes, self.all(first));
            let least = self.0.avx2._mm256_min_epu8(offset, self.all(last - first));
            self.0.avx2._mm256_cmpeq_epi8(least, offset)
        }

        #[inline(always)]
        fn bits(self, bytes: __m256i) -> u64 {
            u64::from(self.0.avx2._mm256_movemask_epi8(bytes) as u32)
        }
    }
}
