//! Tables that tell with two shuffles a byte where any of many words of three or four bytes may be, and
//! that of the ends of names that need no sign.

use super::vector::CASE;
use crate::lexicon::ENDS as NAME_ENDS;

/// Many times three bytes in eight groups, a bit each. Which groups have a first, second and third byte
/// with this low half and with this high half. Other bytes may be taken for one of them; those that are no
/// ASCII are none.
#[derive(Clone, Debug)]
pub(crate) struct Trigrams(pub(super) [[[u8; 16]; 2]; 3]);

/// Ends of words, behind which a blank is everywhere in logs: these are kept out of the groups as far as
/// that goes.
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

    /// With all of another one.
    fn and(self, other: Group) -> Self {
        let Group(mut halves) = self;
        for (all, more) in halves.iter_mut().flatten().zip(other.0.iter().flatten()) {
            *all |= more;
        }
        Group(halves)
    }

    /// How many ends look like one of it, by the bytes that count; ordinary ones weigh more.
    const fn size(self) -> u32 {
        let mut size = 1;
        let mut n = 0;
        while n < 3 {
            let [low, high] = self.0[n];
            if low != u16::MAX || high != u16::MAX {
                size *= low.count_ones() * high.count_ones();
            }
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
    /// one; which it is.
    const fn add(&mut self, bytes: [u8; 3], first: usize, last: usize) -> usize {
        let (mut place, mut best, mut least, mut known) = (first, first, u32::MAX, false);
        while place < last && !known {
            known = self.groups[place].has(&bytes) && bytes[0] != 0 && bytes[2] != 0;
            let more = if known {
                0
            } else {
                self.groups[place]
                    .with(bytes)
                    .size()
                    .saturating_sub(self.sizes[place])
            };
            if more < least {
                (best, least) = (place, more);
            }
            place += 1;
        }
        // Its capitals may be new.
        self.groups[best] = self.groups[best].with(bytes);
        self.sizes[best] = self.groups[best].size();
        best
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

/// The same with a fourth byte: its low and its high half.
#[derive(Clone, Debug)]
pub(crate) struct Quads {
    pub(super) front: Trigrams,
    pub(super) fourth: [[u8; 16]; 2],
    /// Words of two bytes, which look like too many others: each with the bits that are set before it is
    /// compared.
    pub(super) pairs: Vec<[[u8; 2]; 2]>,
}

/// The halves that a byte may have, the low one and the high one, a bit each.
pub(crate) type Halves = [u16; 2];

/// Most words of two bytes that are compared by themselves.
const PAIRS: usize = 8;

impl Quads {
    /// The table of these, in whatever case. 0 stands for any byte.
    pub(super) fn of(all: impl Iterator<Item = [u8; 4]>) -> Self {
        let mut groups = Groups::new();
        let mut fourth = [[0; 16]; 2];
        let mut pairs = Vec::new();
        for bytes in all {
            let [first, second, third, _] = bytes;
            if first != 0 && second != 0 && third == 0 && pairs.len() < PAIRS {
                let case = |byte: u8| if byte.is_ascii_lowercase() { CASE } else { 0 };
                pairs.push([[first, second], [case(first), case(second)]]);
                continue;
            }
            // What is no ASCII is looked for without its high bit.
            let [a, b, c, last] = bytes.map(|byte| byte & 0x7f);
            let front = [a, b, c];
            // What has a wildcard looks like many others, and stays for itself.
            let place = match (front.contains(&0), last) {
                (true, _) => groups.add(front, 7, 8),
                (false, 0) => groups.add(front, 6, 7),
                (false, _) => groups.add(front, 0, 6),
            };
            let alone = Group([[0; 2]; 3]).with([last, b' ', b' ']).0[0];
            for (half, bits) in fourth.iter_mut().zip(alone) {
                for (n, groups) in half.iter_mut().enumerate() {
                    *groups |= ((bits >> n & 1) as u8) << place;
                }
            }
        }
        Quads {
            front: groups.table(),
            fourth,
            pairs,
        }
    }
}

/// Words of several kinds in the same tables, each kind in groups of its own.
#[derive(Clone, Debug)]
pub(crate) struct Kinds<const N: usize> {
    /// Each table, and the groups of each kind in it.
    pub(super) tables: Vec<(Quads, [u8; N])>,
}

/// Groups of a table.
const GROUPS: usize = 8;
/// So many words in one table look like few others.
const FEW: usize = 32;

impl<const N: usize> Kinds<N> {
    /// The tables of what begins with such bytes, by kind. What is no ASCII counts without its high bit.
    pub(crate) fn of_halves(all: [&[[Halves; 4]]; N]) -> Self {
        // What many bytes are looks like many others, and stays for itself.
        const MANY: u32 = 16;
        let size = |[low, high]: Halves| low.count_ones() * high.count_ones();
        let count: usize = all.iter().map(|words| words.len()).sum();
        let tables = count.div_ceil(FEW).min(4);
        let mut groups: Vec<Groups> = (0..tables).map(|_| Groups::new()).collect();
        let mut fourths = vec![[[0; 16]; 2]; tables];
        let mut kinds = vec![[0; N]; tables];
        let mut free = 0..tables * GROUPS;
        let mut others = count;
        for (kind, words) in all.into_iter().enumerate().filter(|(_, w)| !w.is_empty()) {
            // As many groups as it has words among those that are left, but two at least for each.
            let left = N - 1 - kind;
            let share = (free.len() * words.len() / others).max(2);
            let share = share.min(free.len().saturating_sub(2 * left)).max(1);
            others -= words.len();
            let own: Vec<usize> = free.by_ref().take(share).collect();
            for place in &own {
                kinds[place / GROUPS][kind] |= 1 << (place % GROUPS);
            }
            let (alone, plain) = own.split_at(if share > 3 { 2 } else { share.min(1) });
            for [first, second, third, last] in words.iter().copied() {
                let front = Group([first, second, third]);
                let places = match (size(third) > MANY, size(last) > MANY) {
                    (true, _) => &alone[..1],
                    (false, true) => &alone[alone.len() - 1..],
                    (false, false) if plain.is_empty() => alone,
                    (false, false) => plain,
                };
                let more = |place: &&usize| {
                    let Groups { groups, sizes } = &groups[*place / GROUPS];
                    let place = *place % GROUPS;
                    groups[place].and(front).size().saturating_sub(sizes[place])
                };
                let place = places.iter().min_by_key(more).copied().unwrap_or(own[0]);
                let (table, place) = (place / GROUPS, place % GROUPS);
                let Groups { groups, sizes } = &mut groups[table];
                groups[place] = groups[place].and(front);
                sizes[place] = groups[place].size();
                for (half, bits) in fourths[table].iter_mut().zip(last) {
                    for (n, groups) in half.iter_mut().enumerate() {
                        *groups |= ((bits >> n & 1) as u8) << place;
                    }
                }
            }
        }
        let quads = |(groups, fourth): (&Groups, _)| Quads {
            front: groups.table(),
            fourth,
            pairs: Vec::new(),
        };
        let tables = groups.iter().zip(fourths).map(quads);
        Kinds {
            tables: tables.zip(kinds).collect(),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.tables.is_empty()
    }
}

/// The last three bytes of names that need no sign. Which one the second of them is does not count: the
/// first and the last tell nearly as much, and the rest is looked at later.
pub(super) const BARE_ENDS: Trigrams = {
    let mut groups = Groups::new();
    let mut n = 0;
    while n < NAME_ENDS.len() {
        let [first, _, last] = NAME_ENDS[n].three;
        if NAME_ENDS[n].bare {
            assert!(first.is_ascii() && last.is_ascii() && first != 0);
            groups.add([first, 0, last], 0, 8);
        }
        n += 1;
    }
    groups.table()
};
