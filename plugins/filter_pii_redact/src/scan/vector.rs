//! 64 bytes at a time in safe Rust, and the bit maps of four such windows at a time: AVX2 where the
//! processor has it, else what `wide` makes of the target's baseline (SSE2, NEON).

use std::ops::{BitAnd, BitOr, Not, Shl, Shr};

use wide::{u64x4, u8x16};

use crate::lexicon::ENDS as NAME_ENDS;

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
    /// `@`, `%`, `&`, `+`, `$`, `<`, backslashes, tildes, escapes and new lines.
    #[inline(always)]
    fn rare(self, bytes: Self::Bytes) -> Self::Mask {
        let first = self.or(
            self.any_of(bytes, [b'@', b'~']),
            self.any_of(bytes, [0x1b, b'\\']),
        );
        // The dollar, the percent sign and the ampersand are neighbours.
        let more = self.or(self.within(bytes, b'$', b'&'), self.equal(bytes, b'+'));
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
    /// Bytes that with the two behind them may be the last three of a name of a secret, and of one that
    /// needs no sign.
    fn name_ends(self, bytes: [Self::Bytes; 3]) -> [Self::Mask; 2];
    /// Bytes that with the two behind them may be one of the table.
    fn trigrams(self, table: &Trigrams, bytes: [Self::Bytes; 3]) -> Self::Mask;
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

/// Many times three bytes in eight groups, a bit each. Which groups have a first, second and third byte
/// with this low half and with this high half. Other bytes may be taken for one of them; those that are no
/// ASCII are none.
#[derive(Clone, Debug)]
pub(crate) struct Trigrams([[[u8; 16]; 2]; 3]);

/// Of the groups of [`ENDS`], those of ends that need no sign are from this one on.
const BARE: u32 = 6;

/// Ends of words, behind which a sign or a blank is everywhere in logs: these are kept out of the groups
/// as far as that goes.
const ORDINARY: &[&[u8; 3]] = &[
    b"log", b"age", b"ime", b"vel", b"nfo", b"der", b"ter", b"tor", b"tus", b"len", b"ger", b"ler",
    b"ved", b"msg", b"ost", b"eam", b"out", b"ess", b"ent", b"ion", b"url", b"uri", b"ath", b"hod",
    b"ize", b"ype", b"ame", b"ver", b"bug", b"ror", b"arn", b"ing", b"ted", b"lue", b"unt", b"mit",
    b"ait", b"oot", b"ser", b"cpu", b"bel", b"ace", b"ode", b"not", b"and", b"the", b"for", b"one",
    b"ale", b"ule", b"irt", b"end", b"iew", b"ers", b"ult", b"ead", b"ask", b"hed", b"dle", b"ery",
    b"ond", b"nse", b"est", b"ate", b"our", b"ute", b"ten", b"ced", b"rce", b"zed", b"led", b"ned",
    b"red", b"her", b"ull", b"rue", b"lse", b"ogs", b"ies", b"son", b"ory", b"ine", b"ndo", b"era",
    b"via", b"all", b"per", b"app", b"pod", b"iod", b"ose", b"ave", b"\"ts", b"\"id", b":00",
    b":12", b":23", b":34", b":45", b":56", b":47", b":58", b":19", b"012", b"234", b"345", b"469",
    b"780", b"195",
];
/// What one of them weighs, against ends that nothing is known of.
const WEIGHT: u32 = 200;

/// Halves of bytes, a bit each: of the first, second and third byte, the low and the high.
#[derive(Clone, Copy)]
struct Group([[u16; 2]; 3]);

impl Group {
    /// With one more end. Of a wildcard, every half counts; of a letter, that of its capital as well.
    const fn with(self, end: [u8; 3]) -> Self {
        let Group(mut halves) = self;
        let mut n = 0;
        while n < 3 {
            let byte = end[n];
            let capital = byte ^ if byte.is_ascii_lowercase() { 0x20 } else { 0 };
            if byte == 0 {
                halves[n] = [u16::MAX; 2];
            } else {
                halves[n][0] |= 1 << (byte & 15);
                halves[n][1] |= 1 << (byte >> 4) | 1 << (capital >> 4);
            }
            n += 1;
        }
        Group(halves)
    }

    const fn has(self, end: &[u8; 3]) -> bool {
        let mut n = 0;
        while n < 3 {
            let [low, high] = self.0[n];
            if low >> (end[n] & 15) & 1 == 0 || high >> (end[n] >> 4) & 1 == 0 {
                return false;
            }
            n += 1;
        }
        true
    }

    /// How many ends look like one of it; ordinary ones weigh more.
    const fn size(self) -> u32 {
        let mut size = 1;
        let mut n = 0;
        while n < 3 {
            size *= self.0[n][0].count_ones() * self.0[n][1].count_ones();
            n += 1;
        }
        let mut n = 0;
        while n < ORDINARY.len() {
            if self.has(ORDINARY[n]) {
                size += WEIGHT;
            }
            n += 1;
        }
        size
    }
}

/// Groups of three bytes and how many others look like one of each.
struct Groups {
    groups: [Group; 8],
    sizes: [u32; 8],
}

impl Groups {
    const fn new() -> Self {
        Groups {
            groups: [Group([[0; 2]; 3]); 8],
            sizes: [0; 8],
        }
    }

    /// Puts three bytes into that group from `first` to `last` where they add least to what looks like
    /// one.
    const fn add(&mut self, bytes: [u8; 3], first: usize, last: usize) {
        let (mut place, mut best, mut least, mut known) = (first, first, u32::MAX, false);
        while place < last && !known {
            known = self.groups[place].has(&bytes) && bytes[0] != 0 && bytes[2] != 0;
            let more = if known {
                0
            } else {
                self.groups[place].with(bytes).size() - self.sizes[place]
            };
            if more < least {
                (best, least) = (place, more);
            }
            place += 1;
        }
        // Its capitals may be new.
        self.groups[best] = self.groups[best].with(bytes);
        self.sizes[best] = self.groups[best].size();
    }

    const fn table(&self) -> Trigrams {
        let mut table = [[[0; 16]; 2]; 3];
        let mut place = 0;
        while place < 8 {
            let mut n = 0;
            while n < 6 * 16 {
                let (byte, part, half) = (n / 32, n / 16 % 2, n % 16);
                let has = self.groups[place].0[byte][part] >> half & 1;
                table[byte][part][half] |= (has as u8) << place;
                n += 1;
            }
            place += 1;
        }
        Trigrams(table)
    }
}

impl Trigrams {
    /// The table of these, in whatever case. 0 stands for any byte.
    pub(super) fn of(all: impl Iterator<Item = [u8; 3]>) -> Self {
        let mut groups = Groups::new();
        for bytes in all {
            // What is no ASCII is looked for without its high bit.
            let bytes = bytes.map(|byte| byte & 0x7f);
            // What has a wildcard looks like many others, and stays for itself.
            match bytes.contains(&0) {
                true => groups.add(bytes, 7, 8),
                false => groups.add(bytes, 0, 7),
            }
        }
        groups.table()
    }
}

// A few million steps: so many ends, each in every group.
#[allow(long_running_const_eval)]
const ENDS: Trigrams = {
    let mut groups = Groups::new();
    let mut n = 0;
    while n < NAME_ENDS.len() {
        let (end, bare) = (NAME_ENDS[n].three, NAME_ENDS[n].bare);
        n += 1;
        if !end[0].is_ascii() || !end[1].is_ascii() || !end[2].is_ascii() {
            continue;
        }
        match bare {
            true => groups.add(end, BARE as usize, 8),
            false => groups.add(end, 0, BARE as usize),
        }
    }
    groups.table()
};

/// The bytes of [`Vector::rare`] and [`Vector::quotes`] by their halves: six groups of the first, a bit
/// each, and from [`QUOTES`] on two of the others. The bytes of a group are all that have a low half and a
/// high half of it.
const MARKS: [[u8; 16]; 2] = {
    const GROUPS: [(u8, &[u8]); 8] = [
        (0, b"$%&+"),
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
    fn name_ends(self, [_, _, last]: [[u8x16; 4]; 3]) -> [[u8x16; 4]; 2] {
        // Without a shuffle of bytes, any letter, and the last letters of names that need no sign.
        let lower = self.set(last, CASE);
        let some = |letters: [u8; 2]| self.any_of(lower, letters);
        let bare = self.or(some([b'd', b't']), some([b'n', b'l']));
        let more = self.or(some([b's', b'r']), some([b'c', b'y']));
        [self.letters(last), self.or(bare, more)]
    }

    #[inline(always)]
    fn trigrams(self, _: &Trigrams, [first, _, _]: [[u8x16; 4]; 3]) -> [u8x16; 4] {
        self.within(first, 0, u8::MAX)
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

#[cfg(target_arch = "x86_64")]
pub(super) use x86::Avx2;

#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::arch::x86_64::__m256i;
    use std::ops::{BitAnd, BitOr, Not, Shl, Shr};

    use pulp::x86::V3;

    use super::{Maps, Trigrams, Vector, BARE, ENDS, LANES, MARKS, QUOTES, WINDOW};

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
        fn name_ends(self, [first, second, third]: [[__m256i; 2]; 3]) -> [[__m256i; 2]; 2] {
            let a = self.in_table(&ENDS, [first[0], second[0], third[0]]);
            let b = self.in_table(&ENDS, [first[1], second[1], third[1]]);
            let bare = 1 << BARE;
            [
                [self.reaches(a, 1), self.reaches(b, 1)],
                [self.reaches(a, bare), self.reaches(b, bare)],
            ]
        }

        #[inline(always)]
        fn trigrams(
            self,
            table: &Trigrams,
            [first, second, third]: [[__m256i; 2]; 3],
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
            let (a, b) = (self.in_table(table, a), self.in_table(table, b));
            [self.reaches(a, 1), self.reaches(b, 1)]
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
            Maps256(self.0, pulp::cast(windows))
        }

        #[inline(always)]
        fn map(self, windows: [u64; LANES]) -> Maps256 {
            Maps256(self.0, pulp::cast(windows))
        }
    }

    /// Maps in one register, with the proof that the processor has it.
    #[derive(Clone, Copy, Debug)]
    pub(in crate::scan) struct Maps256(V3, __m256i);

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
}
