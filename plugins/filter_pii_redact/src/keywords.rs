//! Words that say what a number is: "routing", "SSN", "phone" near it, or the key it stands under.

use std::ops::Range;

use crate::scan::{Gate, WINDOW};

/// Groups of keywords, as bits.
pub(crate) mod group {
    pub(crate) const CARD: u32 = 1;
    pub(crate) const SSN: u32 = 1 << 1;
    pub(crate) const ITIN: u32 = 1 << 2;
    pub(crate) const ABA: u32 = 1 << 3;
    pub(crate) const NPI: u32 = 1 << 4;
    pub(crate) const NHS: u32 = 1 << 5;
    pub(crate) const SIN: u32 = 1 << 6;
    pub(crate) const AADHAAR: u32 = 1 << 7;
    pub(crate) const CPF: u32 = 1 << 8;
    pub(crate) const CNPJ: u32 = 1 << 9;
    pub(crate) const DE_TAX_ID: u32 = 1 << 10;
    pub(crate) const NIR: u32 = 1 << 11;
    /// Words that mean a phone and nothing else.
    pub(crate) const PHONE: u32 = 1 << 12;
    /// Words that go with a phone number, among others.
    pub(crate) const CALL: u32 = 1 << 13;
    pub(crate) const BANK: u32 = 1 << 14;
    /// Words that stand directly behind a phone number.
    pub(crate) const LABEL: u32 = 1 << 15;
}

use group::{
    AADHAAR, ABA, BANK, CALL, CARD, CNPJ, CPF, DE_TAX_ID, ITIN, LABEL, NHS, NIR, NPI, PHONE, SIN,
    SSN,
};

/// How far in front of a number a keyword counts, in bytes.
const BEFORE: usize = 56;
/// How far behind a number a keyword counts.
const AFTER: usize = 28;
/// Longest number, separators included.
const SPAN: usize = 48;

/// So many words are kept before those that nobody asks for any more are forgotten.
const MANY: usize = 1024;
/// How far in front of a question no earlier one is likely to follow.
const FAR: usize = 1024;
/// How much is gone through beyond what is asked for, from the second time on.
const AHEAD: usize = 192;

const WORDS: &[(&str, u32)] = &[
    ("card", CARD),
    ("credit", CARD),
    ("debit", CARD),
    ("visa", CARD),
    ("mastercard", CARD),
    ("maestro", CARD),
    ("amex", CARD),
    ("american express", CARD),
    ("ccnum", CARD),
    ("pan", CARD),
    ("mc", CARD),
    ("paid", CARD),
    ("cc", CARD),
    ("ssn", SSN),
    ("ss#", SSN),
    ("social security", SSN),
    ("social_security", SSN),
    ("social-security", SSN),
    ("socialsecurity", SSN),
    ("soc sec", SSN),
    ("socsec", SSN),
    ("s.s.n", SSN),
    ("ss number", SSN),
    ("ss no", SSN),
    ("my social", SSN),
    ("your social", SSN),
    ("his social", SSN),
    ("her social", SSN),
    ("social is", SSN),
    ("social:", SSN),
    ("itin", ITIN),
    ("taxpayer", ITIN | DE_TAX_ID),
    ("tax id", ITIN | DE_TAX_ID),
    ("tax_id", ITIN | DE_TAX_ID),
    ("tax-id", ITIN | DE_TAX_ID),
    ("taxid", ITIN | DE_TAX_ID),
    ("tax number", ITIN | DE_TAX_ID),
    ("aba", ABA),
    ("routing", ABA),
    ("rtn", ABA),
    ("transit", ABA),
    ("iban", BANK),
    ("account", BANK),
    ("acct", BANK),
    ("bank", BANK),
    ("transfer", BANK),
    ("wire", BANK),
    ("deposit", BANK),
    ("payment", BANK | CARD),
    ("npi", NPI),
    ("national provider", NPI),
    ("provider id", NPI),
    ("provider_id", NPI),
    ("nhs", NHS),
    ("national health", NHS),
    ("sin", SIN),
    ("social insurance", SIN),
    ("social_insurance", SIN),
    ("aadhaar", AADHAAR),
    ("aadhar", AADHAAR),
    ("uidai", AADHAAR),
    ("cpf", CPF),
    ("cnpj", CNPJ),
    ("steuer", DE_TAX_ID),
    ("idnr", DE_TAX_ID),
    ("tin", DE_TAX_ID | ITIN | SSN),
    ("nir", NIR),
    ("insee", NIR),
    ("curit\u{e9} sociale", NIR),
    ("curite sociale", NIR),
    ("phone", PHONE),
    ("tel", PHONE),
    ("telephone", PHONE),
    ("cellphone", PHONE),
    ("smartphone", PHONE),
    ("tele", PHONE),
    ("telefon", PHONE),
    ("mobile", PHONE),
    ("mobil", PHONE),
    ("mob", PHONE),
    ("ph", PHONE),
    ("cel", PHONE),
    ("celular", PHONE),
    ("movil", PHONE),
    ("m\u{f3}vil", PHONE),
    ("cellular", PHONE),
    ("cell", PHONE),
    ("fax", PHONE),
    ("whatsapp", PHONE),
    ("msisdn", PHONE),
    ("hotline", PHONE),
    ("voicemail", PHONE),
    ("landline", PHONE),
    ("call", CALL),
    ("calling", CALL),
    ("caller", CALL),
    ("dial", CALL),
    ("sms", CALL),
    ("text", CALL),
    ("contact", CALL),
    ("reach", CALL),
    ("ring", CALL),
    ("answering", CALL),
    ("office", LABEL),
    ("my number", CALL),
    ("her number", CALL),
    ("his number", CALL),
    ("their number", CALL),
];

/// The keywords by their first letters. Only where a word starts is one looked up, so most text costs
/// no more than finding these places.
#[derive(Debug)]
pub(crate) struct Keywords {
    gate: Gate,
    /// For each pair of first letters (`byte & 31`), its keywords.
    pairs: Box<[[Pair; 32]; 32]>,
    /// By pair, the longest first.
    words: Vec<Word>,
}

/// A keyword and its groups.
#[derive(Clone, Copy, Debug)]
struct Word {
    text: &'static [u8],
    /// Its first eight bytes as a number, the bit of small letters set where it is one, and the bits that
    /// count.
    start: u64,
    mask: u64,
    groups: u32,
}

impl Word {
    fn new((text, groups): (&'static str, u32)) -> Self {
        let text = text.as_bytes();
        let (mut start, mut mask) = ([0; 8], [0; 8]);
        for (n, byte) in text.iter().take(8).enumerate() {
            // Only letters have a case.
            mask[n] = if byte.is_ascii_alphabetic() {
                !CASE
            } else {
                0xff
            };
            start[n] = byte & mask[n];
        }
        Word {
            text,
            start: u64::from_le_bytes(start),
            mask: u64::from_le_bytes(mask),
            groups,
        }
    }

    /// Whether a text begins with it, of which the first eight bytes are `start`.
    #[inline(always)]
    fn begins(&self, start: u64, rest: &[u8]) -> bool {
        start & self.mask == self.start
            && (self.text.len() <= 8 && self.text.len() <= rest.len()
                || rest
                    .get(..self.text.len())
                    .is_some_and(|w| w.eq_ignore_ascii_case(self.text)))
    }
}

/// The bit in which small letters and capitals differ.
const CASE: u8 = 0x20;

/// The keywords that begin with two letters.
#[derive(Clone, Copy, Debug, Default)]
struct Pair {
    /// Where they are.
    start: u8,
    end: u8,
    /// A bit for each third letter that one of them has.
    thirds: u32,
}

impl Keywords {
    pub(crate) fn new(gate: Gate) -> Self {
        let place = |word: &[u8], n: usize| usize::from(word[n] & 31);
        let mut words: Vec<_> = WORDS.iter().copied().map(Word::new).collect();
        words.sort_by_key(|Word { text, .. }| {
            (
                place(text, 0),
                place(text, 1),
                std::cmp::Reverse(text.len()),
            )
        });
        let mut pairs = Box::new([[Pair::default(); 32]; 32]);
        for (n, Word { text: word, .. }) in (0u8..).zip(&words) {
            let pair = &mut pairs[place(word, 0)][place(word, 1)];
            if pair.thirds == 0 {
                pair.start = n;
            }
            pair.end = n + 1;
            // A word of two letters goes with any third.
            pair.thirds |= match word.len() {
                2 => u32::MAX,
                _ => 1 << place(word, 2),
            };
        }
        Keywords { gate, pairs, words }
    }

    /// Calls `visit` with start and groups of every keyword that begins in `text[from..to]`.
    #[inline]
    fn each(&self, text: &[u8], from: usize, to: usize, mut visit: impl FnMut(usize, u32)) {
        let mut at = from;
        while at < to {
            let mut starts = self.gate.word_starts(text, at);
            if to - at < WINDOW {
                starts &= (1 << (to - at)) - 1;
            }
            while starts != 0 {
                let start = at + starts.trailing_zeros() as usize;
                starts &= starts - 1;
                if let Some((len, groups)) = self.at(text, start) {
                    if is_word(text, start, len) {
                        visit(start, groups);
                    }
                }
            }
            at += WINDOW;
        }
    }

    /// Length and groups of the longest keyword at `start`, whatever is around it.
    #[inline(always)]
    fn at(&self, text: &[u8], start: usize) -> Option<(usize, u32)> {
        let rest = &text[start..];
        let (first, second, third) = match rest {
            [first, second, third, ..] => (first, second, third),
            [first, second] => (first, second, &0),
            _ => return None,
        };
        let pair = self.pairs[usize::from(first & 31)][usize::from(second & 31)];
        if pair.thirds >> (third & 31) & 1 == 0 {
            return None;
        }
        self.longest(pair, rest)
    }

    #[inline(never)]
    fn longest(&self, pair: Pair, rest: &[u8]) -> Option<(usize, u32)> {
        let start = match rest.first_chunk::<8>() {
            Some(start) => u64::from_le_bytes(*start),
            None => rest.iter().rev().fold(0, |n, b| n << 8 | u64::from(*b)),
        };
        let words = &self.words[usize::from(pair.start)..usize::from(pair.end)];
        let found = words.iter().find(|word| word.begins(start, rest));
        found.map(|word| (word.text.len(), word.groups))
    }

    /// The groups that a key's name belongs to.
    pub(crate) fn of_key(&self, key: &[u8]) -> u32 {
        let mut groups = 0;
        self.each(key, 0, key.len(), |_, of| groups |= of);
        groups
    }
}

/// Whether the keyword stands for itself: not inside a longer word, though `userSsn` and `ssn_2` do.
fn is_word(text: &[u8], start: usize, len: usize) -> bool {
    let before = start.checked_sub(1).map(|n| text[n]);
    let left = before.is_none_or(|b| {
        !b.is_ascii_alphabetic() || (b.is_ascii_lowercase() && text[start].is_ascii_uppercase())
    });
    if !left || is_placeholder(text, start, len) {
        return false;
    }
    // Short words are part of many others; long ones have compounds ("phones", "cardholder").
    let Some(after) = text.get(start + len) else {
        return true;
    };
    let last = text[start + len - 1];
    if !after.is_ascii_alphabetic() || (last.is_ascii_lowercase() && after.is_ascii_uppercase()) {
        return true;
    }
    let compound = text
        .get(start..start + len)
        .is_some_and(|w| w.eq_ignore_ascii_case(b"card") || w.eq_ignore_ascii_case(b"steuer"));
    compound
        || len > 4
        || (after.eq_ignore_ascii_case(&b's')
            && !text
                .get(start + len + 1)
                .is_some_and(u8::is_ascii_alphabetic))
}

/// `[PHONE]` and `[CARD:k1:…]` are what an earlier pass left, and announce nothing.
fn is_placeholder(text: &[u8], start: usize, len: usize) -> bool {
    let label = |b: &u8| b.is_ascii_uppercase() || *b == b'_';
    let before = text[..start].iter().rev().take(24);
    let after = &text[start + len..];
    if !(text[start..start + len].iter().all(label)
        && before.skip_while(|b| label(b)).take(1).eq([&b'[']))
    {
        return false;
    }
    let rest = &after[after.iter().take(24).take_while(|b| label(b)).count()..];
    rest.first() == Some(&b']') || crate::action::rest_of_token(rest).is_some()
}

/// The keywords of one string, found on demand; hardly a byte is looked at twice.
#[derive(Debug, Default)]
pub(crate) struct Context {
    /// Those that begin in the part of the string that was gone through.
    hits: Vec<(usize, u32)>,
    gone: Range<usize>,
    /// The first hit that the last question was about.
    first: usize,
    /// The groups of the field's key, once they were asked for.
    key: Option<u32>,
    /// The last key that was gone through, and its groups: most strings have the same.
    last_key: (Vec<u8>, u32),
    /// Numbers that start between the first two have all the same words around them, and their groups.
    around: (usize, usize, u32),
    /// Numbers from the first on whose surroundings end at the second at the latest have no word
    /// around them.
    quiet: (usize, usize),
}

impl Context {
    /// Starts a new string.
    pub(crate) fn reset(&mut self) {
        self.hits.clear();
        self.gone = 0..0;
        self.first = 0;
        self.key = None;
        self.around = (0, 0, 0);
        self.quiet = (0, 0);
    }

    /// Whether one of `groups` may be near a number that starts at `start`, however long that is,
    /// or is named by the key. Several families ask this of one number; the words are gone through
    /// only once.
    #[inline]
    pub(crate) fn may_be_near(
        &mut self,
        keywords: &Keywords,
        text: &[u8],
        key: &[u8],
        start: usize,
        groups: u32,
    ) -> bool {
        let to = text.len().min(start + SPAN + AFTER);
        if start >= self.quiet.0 && to <= self.quiet.1 {
            return false;
        }
        let (from, until, around) = self.around;
        if (from..until).contains(&start) {
            return around & groups != 0;
        }
        self.look_around(keywords, text, key, start, to) & groups != 0
    }

    /// The groups of the key and of all words around a number.
    #[inline(never)]
    fn look_around(
        &mut self,
        keywords: &Keywords,
        text: &[u8],
        key: &[u8],
        start: usize,
        to: usize,
    ) -> u32 {
        let of_key = self.of_key(keywords, key);
        let hits = self.between(keywords, text, start, to);
        let (count, first, around) = hits.fold((0, None, of_key), |(n, first, all), hit| {
            (n + 1, first.or(Some(hit.0)), all | hit.1)
        });
        // Until the first of them is too far in front, or the next near enough.
        let last = first.map_or(usize::MAX, |at| at + BEFORE + 1);
        let next = match self.hits.get(self.first + count) {
            Some(hit) => hit.0,
            None => self.gone.end,
        };
        let until = match next {
            end if end == text.len() => last,
            next => last.min((next + 1).saturating_sub(SPAN + AFTER)),
        };
        self.around = (start, until.max(start + 1), around);
        if of_key == 0 {
            let next = self.hits.get(self.first).map(|hit| hit.0);
            self.quiet = (start, next.unwrap_or(self.gone.end));
        }
        around
    }

    /// Whether one of `groups` is near `start..end`, or named by the key.
    pub(crate) fn near(
        &mut self,
        keywords: &Keywords,
        text: &[u8],
        key: &[u8],
        (start, end): (usize, usize),
        groups: u32,
    ) -> bool {
        debug_assert!(end <= start + SPAN);
        if !self.may_be_near(keywords, text, key, start, groups) {
            return false;
        }
        if self.of_key(keywords, key) & groups != 0 {
            return true;
        }
        let to = text.len().min(end + AFTER);
        self.between(keywords, text, start, to)
            .any(|hit| hit.1 & groups != 0)
    }

    /// Where the last word of `groups` in front of `start` begins, close enough to count. If the key
    /// names the group, it stands in front of the text; one for phones is close to all of it.
    pub(crate) fn last_before(
        &mut self,
        keywords: &Keywords,
        text: &[u8],
        key: &[u8],
        start: usize,
        groups: u32,
    ) -> Option<usize> {
        let of_key = self.of_key(keywords, key) & groups;
        let counts = of_key & group::PHONE != 0 || (of_key != 0 && start < BEFORE);
        self.between(keywords, text, start, start)
            .filter(|hit| hit.1 & groups != 0)
            .last()
            .map(|hit| hit.0)
            .or_else(|| counts.then_some(0))
    }

    /// Whether a word of `groups` starts at `at`.
    pub(crate) fn starts_at(
        &mut self,
        keywords: &Keywords,
        text: &[u8],
        at: usize,
        groups: u32,
    ) -> bool {
        let to = text.len().min(at + 1);
        self.between(keywords, text, at, to)
            .any(|hit| hit.0 == at && hit.1 & groups != 0)
    }

    #[inline]
    fn of_key(&mut self, keywords: &Keywords, key: &[u8]) -> u32 {
        if let Some(groups) = self.key {
            return groups;
        }
        let (last, groups) = &mut self.last_key;
        if last != key {
            key.clone_into(last);
            // "cell_id", "phone_ids": what it is called, no number of it.
            let id = [&b"id"[..], b"ids"];
            let id = id.iter().any(|end| crate::name::ends_with(key, end));
            // "text", "call" and "contact" are what fields of anything are called.
            let other = group::CALL | if id { group::PHONE } else { 0 };
            *groups = keywords.of_key(key) & !other;
        }
        self.key = Some(*groups);
        *groups
    }

    /// The words from as far in front of `start` as one counts up to `to`.
    #[inline]
    fn between(
        &mut self,
        keywords: &Keywords,
        text: &[u8],
        start: usize,
        to: usize,
    ) -> impl Iterator<Item = &(usize, u32)> {
        let from = start.saturating_sub(BEFORE);
        if from < self.gone.start || to > self.gone.end {
            self.go_through(keywords, text, from, to);
        }
        // One question is about much the same place as the last.
        let hits = &self.hits;
        let mut first = self.first.min(hits.len());
        while first > 0 && hits[first - 1].0 >= from {
            first -= 1;
        }
        while first < hits.len() && hits[first].0 < from {
            first += 1;
        }
        self.first = first;
        hits[first..].iter().take_while(move |hit| hit.0 < to)
    }

    /// Finds the words that begin in `from..to`, beside those that are known.
    fn go_through(&mut self, keywords: &Keywords, text: &[u8], from: usize, to: usize) {
        let hits = &mut self.hits;
        if from > self.gone.end || to < self.gone.start || self.gone.is_empty() {
            hits.clear();
            self.gone = from..from;
        } else if from < self.gone.start {
            // The families take turns, so a question may be about an earlier place than the last.
            let known = std::mem::take(hits);
            keywords.each(text, from, self.gone.start, |start, groups| {
                hits.push((start, groups));
            });
            hits.extend(known);
            self.gone.start = from;
        }
        if hits.len() > MANY {
            let floor = from.saturating_sub(FAR).max(self.gone.start);
            let old = hits.partition_point(|hit| hit.0 < floor);
            hits.drain(..old);
            self.gone.start = floor;
        }
        if to > self.gone.end {
            // Some more than is needed now, so that a row of numbers does not do it in small steps.
            let more = if self.gone.is_empty() { 0 } else { AHEAD };
            let until = text.len().min(to + more);
            keywords.each(text, self.gone.end, until, |start, groups| {
                hits.push((start, groups));
            });
            self.gone.end = until;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn groups(text: &str) -> u32 {
        Keywords::new(Gate::new()).of_key(text.as_bytes())
    }

    #[test]
    fn keywords_are_words() {
        for (text, expected) in [
            ("SSN", SSN),
            ("user_ssn", SSN),
            ("userSsn", SSN),
            ("phones", PHONE),
            ("cardNumber", CARD),
            ("Routing number", ABA),
            ("business", 0),
            ("using", 0),
            ("recall", 0),
            ("hotel", 0),
            ("cancelled", 0),
            ("martin", 0),
            ("classname", 0),
            ("[PHONE]", 0),
            ("[DE_TAX_ID:k1:0123456789abcdef0123456789abcdef]", 0),
            ("[PHONE: 5551234]", PHONE),
            ("[phone]", PHONE),
        ] {
            assert_eq!(groups(text), expected, "{text}");
        }
    }

    #[test]
    fn a_keyword_counts_only_nearby() {
        let keywords = Keywords::new(Gate::new());
        let mut context = Context::default();
        let text = format!("ssn {}123456789 is my ssn", " ".repeat(100));
        let start = text.find('1').unwrap();
        let near = |context: &mut Context, from: usize, to: usize, g| {
            context.near(&keywords, text.as_bytes(), b"", (from, to), g)
        };
        assert!(near(&mut context, 4, 6, SSN));
        assert!(!near(&mut context, 60 + 10, 61 + 10, SSN));
        assert!(near(&mut context, start, start + 9, SSN));
        assert!(!near(&mut context, start, start + 9, PHONE));
    }
}
