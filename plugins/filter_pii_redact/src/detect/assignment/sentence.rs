//! Sentences about a secret, which stand where it would: `must be longer`, `The password field is required.`

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
    "between",
    "permission",
    "access",
    "only",
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

/// Whether `value` is a sentence about a secret.
pub(super) fn is_sentence(value: &[u8]) -> bool {
    let mut words = value.split(|b| *b == b' ');
    let first = words.next().unwrap_or_default();
    if first.len() == value.len() {
        return false;
    }
    is_one_of(OPENERS, first)
        // "The password field is required."
        || is_one_of(SUBJECTS, first)
            && words.any(|word| is_one_of(VERDICTS, word.strip_suffix(b".").unwrap_or(word)))
}

/// Whether the value without quotes at `start..end` is the first word of a sentence.
pub(super) fn opens_sentence(text: &[u8], start: usize, end: usize) -> bool {
    let rest = &text[start..text.len().min(end + 4)];
    // The value ends at the quote of "can't".
    let apostrophe = rest.get(end - start) == Some(&b'\'');
    let len = end - start + if apostrophe { 2 } else { 0 };
    matches!(rest.get(len..), Some([b' ', next, ..]) if next.is_ascii_alphanumeric() || *next >= 0x80)
        && (is_one_of(OPENERS, &rest[..len]) || is_one_of(BARE_OPENERS, &rest[..len]))
}

fn is_one_of(words: &[&str], word: &[u8]) -> bool {
    words
        .iter()
        .any(|w| w.len() == word.len() && word.eq_ignore_ascii_case(w.as_bytes()))
}
