//! Sentences about a secret, which stand where it would: `must be longer`, `The password field is required.`

use crate::list::List;

/// How far a sentence is read.
const LINE: usize = 96;

/// Words that begin a sentence about a value, and no value, if another word follows: `can't be blank`,
/// `too weak`.
static OPENERS: List = List::new(
    "is must can't cannot couldn't should does doesn't don't has not too needs required invalid minimum \
    maximum contains expected unexpected failed unable missing nicht muss doit moet",
);

/// Words that such a sentence begins with, and what it says then.
static SUBJECTS: List =
    List::new("the your this password passwords value field please new old current");
static VERDICTS: List = List::new(
    "required must invalid incorrect match short long least characters empty blank wrong valid expired \
    cannot should contain already mismatch differ failed changed reset",
);

/// The same where nothing is around the value: `password: size must be ...`.
static BARE_OPENERS: List = List::new(
    "are was can could do did didn't may need please min max length size unbound parameter variable \
    environment authentication verification validation between permission access only input output \
    represents non ne no não darf mindestens höchstens al au at almeno minst debe deve",
);

/// What changes do, in lists of them: `hash_password: Use the new parameters`.
static CHANGES: List = List::new(
    "use used uses using fix fixed fixes add added adds remove removed set sets make allow \
    try get check handle update rename support document changes ignore invert avoid improve clean move \
    convert correct drop enable print return returns show store unicode implement introduce refactor revert got pass see \
    refer",
);

/// What only a word of a sentence has behind it.
static ARTICLES: List = List::new("the a an this your its their any all");

/// What follows an option that is spoken of: `the --password option`, `--user and --password may be …`.
static MENTIONS: List = List::new(
    "option options switch switches flag flags argument arguments parameter when may can and \
    or command command-line to is must should now will not in the with was has for line without are instead \
    cannot can't sets setting which that if as at by on also but accepts respectively simultaneously \
    description arg val key str phrase",
);

/// Whether an option or a name without a value is spoken of, of which `word` is what follows.
pub(super) fn is_mention(word: &[u8]) -> bool {
    let end = word
        .iter()
        .rposition(|b| !matches!(b, b'.' | b',' | b':' | b')'));
    MENTIONS.has(&word[..end.map_or(0, |n| n + 1)])
}

/// Whether `value` is a sentence about a secret.
pub(super) fn is_sentence(value: &[u8]) -> bool {
    let Some(blank) = memchr::memchr(b' ', value) else {
        return false;
    };
    let first = &value[..blank];
    let mut words = value[blank + 1..].split(|b| *b == b' ');
    OPENERS.has(first)
        // "The password field is required."
        || SUBJECTS.has(first) && words.any(is_verdict)
}

fn is_verdict(word: &[u8]) -> bool {
    VERDICTS.has(word.strip_suffix(b".").unwrap_or(word))
}

/// Whether the value without quotes at `start..end` is the first word of a sentence.
pub(super) fn opens_sentence(text: &[u8], start: usize, end: usize) -> bool {
    let rest = &text[start..text.len().min(end + 4)];
    // The value ends at the quote of "can't".
    let apostrophe = rest.get(end - start) == Some(&b'\'');
    let len = end - start + if apostrophe { 2 } else { 0 };
    if !matches!(rest.get(len..), Some([b' ', next, ..]) if next.is_ascii_alphanumeric() || *next >= 0x80)
    {
        return false;
    }
    let first = &rest[..len];
    // "Passwords must contain a digit", with nothing around it.
    let says = || {
        let more = &text[end..text.len().min(end + LINE)];
        let line = more.iter().position(|b| b"\"\n\r;".contains(b));
        let mut words = more[..line.unwrap_or(more.len())].split(|b| *b == b' ');
        words.any(is_verdict)
    };
    let article = || {
        let next = text[end + 1..].split(|b| !b.is_ascii_alphabetic()).next();
        first.iter().all(u8::is_ascii_alphabetic) && next.is_some_and(|next| ARTICLES.has(next))
    };
    OPENERS.has(first)
        || BARE_OPENERS.has(first)
        || CHANGES.has(first)
        || article()
        || SUBJECTS.has(first) && says()
}
