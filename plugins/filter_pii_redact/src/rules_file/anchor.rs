//! What every match of an expression has: a word, and what stands around it.
//!
//! A match is looked for only where its word is, and only if what is behind the word can be a match. Both
//! follow from the expression, so nothing is missed; an expression in which no word is for certain has no
//! anchors.

use regex_syntax::hir::{Class, Hir, HirKind, Look};

use crate::scan::{is_gap, is_sign, is_value, is_word, Halves, GAP, TOKEN, VALUE};

/// So much of a word is looked for.
const LONGEST: usize = 8;
/// Most words of an anchor.
const MANY: usize = 32;
/// Most bytes of a class that make words of their own.
const CHOICES: usize = 4;
/// So many bytes of a match are compared one by one.
const FRONT: usize = 16;
/// Farthest from a sign that the name in front of it may begin.
const REACH: usize = 64;

/// A set of bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Bytes([u64; 4]);

impl Bytes {
    pub(super) const ALL: Bytes = Bytes([u64::MAX; 4]);

    pub(super) fn has(&self, byte: u8) -> bool {
        self.0[usize::from(byte >> 6)] >> (byte & 63) & 1 != 0
    }

    fn add(&mut self, byte: u8) {
        self.0[usize::from(byte >> 6)] |= 1 << (byte & 63);
    }

    pub(super) fn add_all(&mut self, other: &Bytes) {
        for (all, more) in self.0.iter_mut().zip(other.0) {
            *all |= more;
        }
    }

    /// Those of the set that are a letter in whatever case.
    pub(super) fn cases(&self, letter: u8) -> Self {
        let mut both = Bytes::default();
        for byte in [letter, letter.to_ascii_uppercase()] {
            if self.has(byte) {
                both.add(byte);
            }
        }
        both
    }

    /// The halves of its bytes without their high bits.
    pub(super) fn halves(&self) -> Halves {
        self.iter().fold([0; 2], |[low, high], byte| {
            let byte = byte & 0x7f;
            [low | 1 << (byte & 15), high | 1 << (byte >> 4)]
        })
    }

    fn iter(&self) -> impl Iterator<Item = u8> + '_ {
        (0..=u8::MAX).filter(|byte| self.has(*byte))
    }

    /// The bytes of a class; `None`: it has characters beyond ASCII.
    fn of_class(class: &Class) -> Option<Self> {
        let mut bytes = Bytes::default();
        match class {
            Class::Bytes(class) => {
                for range in class.iter() {
                    (range.start()..=range.end()).for_each(|byte| bytes.add(byte));
                }
            }
            Class::Unicode(class) => {
                for range in class.iter() {
                    let end = u8::try_from(range.end()).ok().filter(u8::is_ascii)?;
                    let start = u8::try_from(range.start()).ok()?;
                    (start..=end).for_each(|byte| bytes.add(byte));
                }
            }
        }
        Some(bytes)
    }

    /// All bytes that a match of a part may have; `None`: it has characters beyond ASCII.
    fn of(part: &Hir) -> Option<Self> {
        let mut bytes = Bytes::default();
        match part.kind() {
            HirKind::Empty | HirKind::Look(_) => {}
            HirKind::Literal(text) => text.0.iter().for_each(|byte| bytes.add(*byte)),
            HirKind::Class(class) => bytes = Bytes::of_class(class)?,
            HirKind::Repetition(some) => bytes = Bytes::of(&some.sub)?,
            HirKind::Capture(group) => bytes = Bytes::of(&group.sub)?,
            HirKind::Concat(parts) | HirKind::Alternation(parts) => {
                for part in parts {
                    bytes.add_all(&Bytes::of(part)?);
                }
            }
        }
        Some(bytes)
    }
}

/// Where a word is looked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// In front of a sign with a value behind it: what so many bytes in front of the sign may be, back to
    /// where the name begins. The sign itself is the first.
    Name(Vec<Bytes>),
    /// Where a long run begins, behind no letter, digit or underscore.
    Token,
    /// Where so many bytes of a run are left, behind whatever.
    Run,
    /// Anywhere.
    Anywhere,
}

impl Place {
    /// The less text has such places, the higher.
    fn rank(&self) -> u8 {
        match self {
            Place::Name(_) | Place::Token => 2,
            Place::Run => 1,
            Place::Anywhere => 0,
        }
    }
}

/// One of the words is in every match of an alternative, and what is behind its start is one of `tail`.
#[derive(Debug)]
pub(super) struct Anchor {
    /// In small letters, whatever case they have in a text.
    pub(super) words: Vec<Vec<u8>>,
    pub(super) place: Place,
    /// What each of the bytes may be that every match begins with, from the word on.
    pub(super) front: Vec<Bytes>,
    pub(super) tail: Hir,
}

/// The anchors of an expression: every match has one of them. `None`: there are none.
pub(super) fn anchors(hir: &Hir) -> Option<Vec<Anchor>> {
    let parts = flat(hir);
    match parts.as_slice() {
        [one] => match one.kind() {
            HirKind::Alternation(alternatives) => {
                let all: Option<Vec<_>> =
                    alternatives.iter().map(|one| anchor(&flat(one))).collect();
                all
            }
            _ => Some(vec![anchor(&parts)?]),
        },
        _ => Some(vec![anchor(&parts)?]),
    }
}

/// The parts of an expression one behind the other, without groups.
fn flat(hir: &Hir) -> Vec<Hir> {
    match hir.kind() {
        HirKind::Concat(parts) => parts.iter().flat_map(flat).collect(),
        HirKind::Capture(group) => flat(&group.sub),
        _ => vec![hir.clone()],
    }
}

/// The best anchor of an alternative: a name or a token before a word that may be anywhere in a run, and that
/// before one that may be anywhere; long words before short ones.
fn anchor(parts: &[Hir]) -> Option<Anchor> {
    let (mut best, mut most) = (None, (0, 0));
    for at in 0..parts.len() {
        let words = words(&parts[at..]);
        let shortest = words.iter().map(Vec::len).min().unwrap_or(0);
        let place = match name(&parts[at..]) {
            Some(place) if shortest > 2 => place,
            _ if shortest > 1 && run(&parts[at..]).0 >= TOKEN => {
                let is_behind_none = at > 0 && ends_outside_word(&parts[at - 1]);
                match is_behind_none && words.iter().all(|word| is_word(word[0])) {
                    true => Place::Token,
                    false => Place::Run,
                }
            }
            _ if shortest > 2 => Place::Anywhere,
            _ => continue,
        };
        let rank = (place.rank(), shortest);
        if rank > most {
            most = rank;
            best = Some((at, words, place));
        }
    }
    let (at, words, place) = best?;
    Some(Anchor {
        words,
        place,
        front: front(&parts[at..]),
        tail: Hir::concat(parts[at..].to_vec()),
    })
}

/// The bytes of values that a match of these parts begins with at least, and whether it may go on with more.
fn run(parts: &[Hir]) -> (usize, bool) {
    let mut all = 0;
    for part in parts {
        let (len, more) = run_of(part);
        all += len;
        if !more || all >= REACH {
            return (all, more);
        }
    }
    (all, true)
}

/// The same of one part; `true`: all of it is bytes of values.
fn run_of(part: &Hir) -> (usize, bool) {
    match part.kind() {
        HirKind::Empty | HirKind::Look(_) => (0, true),
        HirKind::Literal(text) => {
            let len = text.0.iter().take_while(|byte| is_value(**byte)).count();
            (len, len == text.0.len())
        }
        HirKind::Class(class) => {
            let all = Bytes::of_class(class).is_some_and(|bytes| bytes.iter().all(is_value));
            (usize::from(all), all)
        }
        HirKind::Repetition(some) => {
            let (len, all) = run_of(&some.sub);
            let times = if all { some.min } else { some.min.min(1) };
            (len.saturating_mul(times as usize), all)
        }
        HirKind::Capture(group) => run_of(&group.sub),
        HirKind::Concat(parts) => run(parts),
        HirKind::Alternation(parts) => {
            let runs = parts.iter().map(run_of);
            runs.reduce(|a, b| (a.0.min(b.0), a.1 && b.1))
                .unwrap_or((0, false))
        }
    }
}

/// Whether a sign and a value are behind the first of the parts, near enough.
fn name(parts: &[Hir]) -> Option<Place> {
    let mut reach = 0usize;
    for (n, part) in parts.iter().enumerate() {
        reach = reach.checked_add(part.properties().maximum_len()?)?;
        if reach > REACH {
            return None;
        }
        if n > 0 && ends_in_sign(part) && is_value_next(&parts[n + 1..]) {
            return between(&parts[..=n]).map(Place::Name);
        }
    }
    None
}

/// What so many bytes in front of the end of a match of the parts may be.
fn between(parts: &[Hir]) -> Option<Vec<Bytes>> {
    let (mut all, mut least, mut most) = (Vec::<Bytes>::new(), 0, 0);
    for part in parts.iter().rev() {
        let bytes = Bytes::of(part)?;
        most += part.properties().maximum_len()?;
        all.resize(most, Bytes::default());
        all[least..].iter_mut().for_each(|all| all.add_all(&bytes));
        least += part.properties().minimum_len()?;
    }
    Some(all)
}

/// What each byte may be that every match of the parts begins with.
fn front(parts: &[Hir]) -> Vec<Bytes> {
    let (mut all, mut least, mut most) = (vec![Bytes::default(); FRONT], 0, 0);
    for part in parts {
        let bytes = Bytes::of(part).unwrap_or(Bytes::ALL);
        let len = part.properties();
        most = len.maximum_len().map_or(FRONT, |len| FRONT.min(most + len));
        all[least..most]
            .iter_mut()
            .for_each(|all| all.add_all(&bytes));
        least = FRONT.min(least + len.minimum_len().unwrap_or(0));
    }
    all.truncate(least);
    all
}

/// Whether no letter, digit or underscore is in front of what follows, if it begins with one itself.
fn ends_outside_word(part: &Hir) -> bool {
    match part.kind() {
        HirKind::Empty => false,
        HirKind::Look(look) => matches!(
            look,
            Look::Start
                | Look::StartLF
                | Look::StartCRLF
                | Look::WordAscii
                | Look::WordUnicode
                | Look::WordStartAscii
                | Look::WordStartUnicode
        ),
        HirKind::Literal(text) => text.0.last().is_some_and(|byte| !is_word(*byte)),
        HirKind::Class(class) => {
            Bytes::of_class(class).is_some_and(|bytes| !bytes.iter().any(is_word))
        }
        HirKind::Repetition(some) => some.min > 0 && ends_outside_word(&some.sub),
        HirKind::Capture(group) => ends_outside_word(&group.sub),
        HirKind::Concat(parts) => parts.last().is_some_and(ends_outside_word),
        HirKind::Alternation(parts) => parts.iter().all(ends_outside_word),
    }
}

fn ends_in_sign(part: &Hir) -> bool {
    match part.kind() {
        HirKind::Empty | HirKind::Look(_) => false,
        HirKind::Literal(text) => text.0.last().copied().is_some_and(is_sign),
        HirKind::Class(class) => {
            Bytes::of_class(class).is_some_and(|bytes| bytes.iter().all(is_sign))
        }
        HirKind::Repetition(some) => some.min > 0 && ends_in_sign(&some.sub),
        HirKind::Capture(group) => ends_in_sign(&group.sub),
        HirKind::Concat(parts) => parts.last().is_some_and(ends_in_sign),
        HirKind::Alternation(parts) => parts.iter().all(ends_in_sign),
    }
}

/// Whether the parts begin with a value, behind few bytes that may be in front of it.
fn is_value_next(parts: &[Hir]) -> bool {
    let mut gap = 0;
    for (n, part) in parts.iter().enumerate() {
        if run(&parts[n..]).0 >= VALUE {
            return true;
        }
        gap += part.properties().maximum_len().unwrap_or(GAP + 1);
        let only_gap = Bytes::of(part).is_some_and(|bytes| bytes.iter().all(is_gap));
        if gap > GAP || !only_gap {
            return false;
        }
    }
    false
}

/// A word, and whether what follows in the expression goes on with it.
#[derive(Clone, Debug)]
struct Word {
    text: Vec<u8>,
    open: bool,
}

/// What a match of these parts begins with: one of these.
fn words(parts: &[Hir]) -> Vec<Vec<u8>> {
    let mut words = vec![Word {
        text: Vec::new(),
        open: true,
    }];
    for part in parts {
        match with(&words, part) {
            Some(more) if more.iter().any(|word| word.open) => words = more,
            Some(last) => {
                words = last;
                break;
            }
            None => break,
        }
    }
    let mut texts: Vec<_> = words.into_iter().map(|word| word.text).collect();
    texts.sort_unstable();
    texts.dedup();
    texts
}

/// The words with one more part behind them. `None`: there are too many.
fn with(words: &[Word], part: &Hir) -> Option<Vec<Word>> {
    let closed = || {
        let close = |word: &Word| Word {
            text: word.text.clone(),
            open: false,
        };
        words.iter().map(close).collect()
    };
    let more: Vec<Word> = match part.kind() {
        HirKind::Empty | HirKind::Look(_) => words.to_vec(),
        HirKind::Literal(text) => {
            let mut words = words.to_vec();
            for word in words.iter_mut().filter(|word| word.open) {
                word.text.extend(text.0.iter().map(u8::to_ascii_lowercase));
                word.open = word.text.len() < LONGEST;
                word.text.truncate(LONGEST);
            }
            words
        }
        HirKind::Class(class) => {
            let mut small = Bytes::default();
            if let Some(bytes) = Bytes::of_class(class) {
                bytes
                    .iter()
                    .for_each(|byte| small.add(byte.to_ascii_lowercase()));
            }
            let choices = small.iter().count();
            if choices == 0 || choices > CHOICES {
                return Some(closed());
            }
            let (open, mut all): (Vec<Word>, Vec<Word>) =
                words.iter().cloned().partition(|w| w.open);
            for word in open {
                for byte in small.iter() {
                    let text = [&word.text[..], &[byte]].concat();
                    let open = text.len() < LONGEST;
                    all.push(Word { text, open });
                }
            }
            all
        }
        HirKind::Capture(group) => with(words, &group.sub)?,
        HirKind::Concat(parts) => {
            let first: Vec<Word> = words.to_vec();
            parts
                .iter()
                .try_fold(first, |words, part| with(&words, part))?
        }
        HirKind::Alternation(parts) => {
            let (open, mut all): (Vec<Word>, Vec<Word>) =
                words.iter().cloned().partition(|w| w.open);
            for part in parts {
                all.extend(with(&open, part)?);
                if all.len() > MANY {
                    return None;
                }
            }
            all
        }
        HirKind::Repetition(some) => {
            let mut all = words.to_vec();
            for _ in 0..some.min.min(LONGEST as u32) {
                all = with(&all, &some.sub)?;
            }
            match (some.min, some.max) {
                (0, Some(1)) => {
                    let (open, mut all): (Vec<Word>, Vec<Word>) =
                        words.iter().cloned().partition(|w| w.open);
                    all.extend(with(&open, &some.sub)?);
                    all.extend(open);
                    all
                }
                (min, Some(max)) if min == max => all,
                _ => {
                    all.iter_mut().for_each(|word| word.open = false);
                    all
                }
            }
        }
    };
    (more.len() <= MANY).then_some(more)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules_file::syntax;

    fn of(pattern: &str) -> Vec<(String, &'static str)> {
        let hir = syntax::compile(pattern).unwrap().parts().unwrap();
        let place = |place: Place| match place {
            Place::Name(_) => "name",
            Place::Token => "token",
            Place::Run => "run",
            Place::Anywhere => "anywhere",
        };
        let words = |anchor: Anchor| {
            let text = anchor.words.join(&b' ');
            (
                String::from_utf8_lossy(&text).into_owned(),
                place(anchor.place),
            )
        };
        anchors(&hir).into_iter().flatten().map(words).collect()
    }

    #[test]
    fn the_word_of_an_expression_is_the_one_that_says_most() {
        const ASSIGN: &str =
            r#"(?:[ \t\w.-]{0,20})[\s'"]{0,3}(?:=|>|:{1,3}=|\|\||:|=>|\?=|,)[\x60'"\s=]{0,5}"#;
        let assign = |name: &str, value: &str| {
            format!("(?i)[\\w.-]{{0,50}}?(?:{name}){ASSIGN}({value})(?:\\s|$)")
        };
        for (pattern, expected) in [
            (
                assign("shop|till", "[a-z0-9]{16}"),
                &[("shop till", "name")][..],
            ),
            (
                assign("pass(?:ed)?", "[a-z0-9]{10}"),
                &[("pass passed", "name")],
            ),
            // Too short for a value.
            (assign("shop", "[a-z0-9]{7}"), &[("shop", "anywhere")]),
            (assign("shop", "\"[a-z0-9]{8,20}\""), &[("shop", "name")]),
            // Too far from the sign.
            (assign("shop", "\"\'[a-z0-9]{20}"), &[("shop", "anywhere")]),
            // There are fewer names than runs.
            (assign("shop", "skey_[a-z0-9]{20}"), &[("shop", "name")]),
            (r"skey_[a-z0-9]{20}".to_owned(), &[("skey_", "run")]),
            (r"\Bskey_[a-z0-9]{20}".to_owned(), &[("skey_", "run")]),
            (r"\b-key_[a-z0-9]{20}".to_owned(), &[("-key_", "run")]),
            (
                r"(?:^|[ =])skey_[a-z0-9]{20}".to_owned(),
                &[("skey_", "token")],
            ),
            (r"[ =x]skey_[a-z0-9]{20}".to_owned(), &[("skey_", "run")]),
            (
                r"=?skey_[a-z0-9]{20}".to_owned(),
                &[("=skey_ skey_", "run")],
            ),
            (
                r"(?:\b|x)skey_[a-z0-9]{20}".to_owned(),
                &[("skey_ xskey_", "run")],
            ),
            (
                r"\b(q[ab]_(?i)[a-z0-9]{20})\b".to_owned(),
                &[("qa_ qb_", "token")],
            ),
            (r"q_[0-9]{13}".to_owned(), &[]),
            (r"qr_[0-9]{12}x?".to_owned(), &[("qr_", "anywhere")]),
            (r"[a-f0-9]{32}".to_owned(), &[]),
            (
                r"a{3}\.[a-z]{20}|key: ?[x-z0-9]{60}".to_owned(),
                &[("aaa.", "run"), ("key: key: ", "anywhere")],
            ),
            (r"abc|[a-z]{20}".to_owned(), &[]),
            (r"(?i)abc\d+".to_owned(), &[("abc", "anywhere")]),
            (r"ab?cd[0-9]{30}".to_owned(), &[("abcd acd", "run")]),
            (r"(?:ab|[a-z]c)[0-9]{30}".to_owned(), &[]),
        ] {
            let found = of(&pattern);
            let found: Vec<_> = found
                .iter()
                .map(|(words, place)| (words.as_str(), *place))
                .collect();
            assert_eq!(found, expected, "{pattern}");
        }
    }
}
