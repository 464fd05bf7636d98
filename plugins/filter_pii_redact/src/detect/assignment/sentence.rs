//! Sentences about a secret, which stand where it would: `must be longer`, `The password field is required.`

/// How far a sentence is read.
const LINE: usize = 96;

/// Words that begin a sentence about a value, and no value, if another word follows: `can't be blank`,
/// `too weak`.
const OPENERS: &[&str] = &[
    "is",
    "must",
    "can't",
    "cannot",
    "couldn't",
    "should",
    "does",
    "doesn't",
    "don't",
    "has",
    "not",
    "too",
    "needs",
    "required",
    "invalid",
    "minimum",
    "maximum",
    "contains",
    "expected",
    "unexpected",
    "failed",
    "unable",
    "missing",
    "nicht",
    "muss",
    "doit",
    "moet",
];

/// Words that such a sentence begins with, and what it says then.
const SUBJECTS: &[&str] = &[
    "the",
    "your",
    "this",
    "password",
    "passwords",
    "value",
    "field",
    "please",
    "new",
    "old",
    "current",
];
const VERDICTS: &[&str] = &[
    "required",
    "must",
    "invalid",
    "incorrect",
    "match",
    "short",
    "long",
    "least",
    "characters",
    "empty",
    "blank",
    "wrong",
    "valid",
    "expired",
    "cannot",
    "should",
    "contain",
    "already",
    "mismatch",
    "differ",
    "failed",
    "changed",
    "reset",
];

/// The same where nothing is around the value: `password: size must be ...`.
const BARE_OPENERS: &[&str] = &[
    "are",
    "was",
    "can",
    "could",
    "do",
    "did",
    "didn't",
    "may",
    "need",
    "please",
    "min",
    "max",
    "length",
    "size",
    "unbound",
    "parameter",
    "variable",
    "environment",
    "authentication",
    "verification",
    "validation",
    "between",
    "permission",
    "access",
    "only",
    "input",
    "output",
    "represents",
    "non",
    "ne",
    "no",
    "não",
    "darf",
    "mindestens",
    "höchstens",
    "al",
    "au",
    "at",
    "almeno",
    "minst",
    "debe",
    "deve",
];

/// What changes do, in lists of them: `hash_password: Use the new parameters`.
const CHANGES: &str = " use used uses using fix fixed fixes add added adds remove removed set sets make allow \
    try get check handle update rename support document changes ignore invert avoid improve clean move \
    convert correct drop enable print return returns show store unicode implement introduce refactor revert got pass see \
    refer ";

/// What only a word of a sentence has behind it.
const ARTICLES: &str = " the a an this your its their any all ";

/// What follows an option that is spoken of: `the --password option`, `--user and --password may be …`.
const MENTIONS: &str = " option options switch switches flag flags argument arguments parameter when may can and \
    or command command-line to is must should now will not in the with was has for line without are instead \
    cannot can't sets setting which that if as at by on also but accepts respectively simultaneously \
    description arg val key str phrase ";

/// Whether `word` is in a list, in whatever case.
fn is_in(list: &str, word: &[u8]) -> bool {
    let mut words = list.as_bytes().split(|b| *b == b' ');
    !word.is_empty() && words.any(|w| word.eq_ignore_ascii_case(w))
}

/// Whether an option or a name without a value is spoken of, of which `word` is what follows.
pub(super) fn is_mention(word: &[u8]) -> bool {
    let end = word
        .iter()
        .rposition(|b| !matches!(b, b'.' | b',' | b':' | b')'));
    is_in(MENTIONS, &word[..end.map_or(0, |n| n + 1)])
}

/// Whether `value` is a sentence about a secret.
pub(super) fn is_sentence(value: &[u8]) -> bool {
    let mut words = value.split(|b| *b == b' ');
    let first = words.next().unwrap_or_default();
    if first.len() == value.len() {
        return false;
    }
    is_one_of(OPENERS, first)
        // "The password field is required."
        || is_one_of(SUBJECTS, first) && words.any(is_verdict)
}

fn is_verdict(word: &[u8]) -> bool {
    is_one_of(VERDICTS, word.strip_suffix(b".").unwrap_or(word))
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
    let next = text[end + 1..].split(|b| !b.is_ascii_alphabetic()).next();
    let article =
        first.iter().all(u8::is_ascii_alphabetic) && next.is_some_and(|next| is_in(ARTICLES, next));
    is_one_of(OPENERS, first)
        || is_one_of(BARE_OPENERS, first)
        || is_in(CHANGES, first)
        || article
        || is_one_of(SUBJECTS, first) && says()
}

fn is_one_of(words: &[&str], word: &[u8]) -> bool {
    words
        .iter()
        .any(|w| w.len() == word.len() && word.eq_ignore_ascii_case(w.as_bytes()))
}
