//! Whether a name may end in a word of the lexicon, told by its last four bytes.

use crate::lexicon::{End, ENDS};

/// Bits of a hash.
pub(super) const HASH: usize = 14;

/// So many bits of three bytes in whatever case (Knuth's multiplicative hash).
pub(super) const fn hash(bytes: u32) -> usize {
    ((bytes | 0x0020_2020).wrapping_mul(0x9e37_79b1) >> (32 - HASH)) as usize
}

/// Three bytes as a number.
pub(super) const fn three([first, second, third]: [u8; 3]) -> u32 {
    u32::from_le_bytes([first, second, third, 0])
}

/// Which names are asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Names {
    /// Those that need no sign.
    Bare,
    All,
}

impl Names {
    #[inline(always)]
    fn table(self) -> &'static Ends {
        match self {
            Names::Bare => &TABLES[0],
            Names::All => &TABLES[1],
        }
    }
}

/// A bit for what the ends of names hash to.
struct Ends {
    /// The last three bytes; of a word of two letters with any in front.
    three: [u64; 1 << (HASH - 6)],
    /// The last four of what is longer. The one in front of the last three may be no letter: what stands
    /// between the words of a name is anywhere.
    four: [u64; 1 << (HASH - 6)],
}

impl Ends {
    const fn with(mut self, end: End) -> Self {
        let bit = hash(three(end.three));
        self.three[bit / 64] |= 1 << (bit % 64);
        let [first, second, third] = end.three;
        let mut any = 0;
        while first == 0 && any <= u8::MAX as u32 {
            let bit = hash(three([any as u8, second, third]));
            self.three[bit / 64] |= 1 << (bit % 64);
            any += 1;
        }
        if let Some(fourth) = end.fourth {
            let bit = hash_with(fourth, bit);
            self.four[bit / 64] |= 1 << (bit % 64);
        } else {
            let mut fourth = b'a';
            while fourth <= b'z' {
                let bit = hash_with(fourth, bit);
                self.four[bit / 64] |= 1 << (bit % 64);
                fourth += 1;
            }
        }
        self
    }

    /// Whether the bytes may end like a name. Most are told by the last three.
    #[inline(always)]
    fn may_have(&self, end: u32, fourth: u8) -> bool {
        self.has_three(end)
            // A word of two letters has any byte in front.
            && (self.has(end, fourth) || self.has(end & 0x00ff_ff00, 0))
    }

    #[inline(always)]
    fn has_three(&self, end: u32) -> bool {
        let bit = hash(end);
        self.three[bit / 64] >> (bit % 64) & 1 != 0
    }

    #[inline(always)]
    fn has(&self, end: u32, fourth: u8) -> bool {
        let bit = hash(end);
        if self.three[bit / 64] >> (bit % 64) & 1 == 0 {
            return false;
        }
        let bit = hash_with(fourth, bit);
        !fourth.is_ascii_alphabetic() || self.four[bit / 64] >> (bit % 64) & 1 != 0
    }
}

/// The same number with one more letter, in whatever case.
const fn hash_with(fourth: u8, bit: usize) -> usize {
    bit ^ (((fourth as usize & 31) * 0x1b5) & ((1 << HASH) - 1))
}

/// Those of bare words, and all.
static TABLES: [Ends; 2] = {
    let (mut bare, mut all) = (
        Ends {
            three: [0; 1 << (HASH - 6)],
            four: [0; 1 << (HASH - 6)],
        },
        Ends {
            three: [0; 1 << (HASH - 6)],
            four: [0; 1 << (HASH - 6)],
        },
    );
    let mut n = 0;
    while n < ENDS.len() {
        all = all.with(ENDS[n]);
        if ENDS[n].bare {
            bare = bare.with(ENDS[n]);
        }
        n += 1;
    }
    [bare, all]
};

/// Whether a name of the lexicon may end in these three bytes, the last one highest.
#[inline(always)]
pub(super) fn may_end_in(end: u32) -> bool {
    Names::All.table().has_three(end)
}

/// Whether a name ends like one of the lexicon. Digits at its end do not count.
#[inline(always)]
pub(super) fn may_end(name: &[u8], names: Names) -> bool {
    let mut end = name.len();
    let mut digits = 0;
    while end > 0 && digits < 3 && name[end - 1].is_ascii_digit() {
        end -= 1;
        digits += 1;
    }
    // "password_1"
    let joint = usize::from(digits > 0 && end > 0 && matches!(name[end - 1], b'_' | b'-'));
    ends_like(&name[..end - joint], names) || digits > 0 && ends_like(name, names)
}

#[inline(always)]
fn ends_like(name: &[u8], names: Names) -> bool {
    let table = names.table();
    let (end, fourth) = match *name {
        [.., fourth, first, second, third] => (three([first, second, third]), fourth),
        [first, second, third] => (three([first, second, third]), 0),
        [second, third] => (three([0, second, third]), 0),
        _ => return false,
    };
    table.may_have(end, fourth)
}
