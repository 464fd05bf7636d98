//! Words that stand where a secret would, in prose and in configurations.

use super::value::Place;

/// Those that are all of a value.
const WORDS: &[&str] = &[
    "no",
    "is",
    "or",
    "nil",
    "yes",
    "not",
    "was",
    "the",
    "for",
    "and",
    "has",
    "str",
    "n/a",
    "set",
    "all",
    "via",
    "true",
    "null",
    "none",
    "from",
    "have",
    "must",
    "text",
    "auth",
    "weak",
    "sent",
    "flag",
    "with",
    "false",
    "empty",
    "reset",
    "wrong",
    "token",
    "unset",
    "amd64",
    "arm64",
    "armhf",
    "armel",
    "files",
    "valid",
    "short",
    "blank",
    "given",
    "stale",
    "change",
    "failed",
    "string",
    "passwd",
    "secret",
    "hidden",
    "masked",
    "prompt",
    "public",
    "compat",
    "denied",
    "issued",
    "locked",
    "loaded",
    "option",
    "absent",
    "invalid",
    "expired",
    "changed",
    "missing",
    "failure",
    "success",
    "removed",
    "unknown",
    "enabled",
    "default",
    "account",
    "session",
    "setcred",
    "omitted",
    "deleted",
    "revoked",
    "rotated",
    "present",
    "updated",
    "created",
    "blocked",
    "entered",
    "matched",
    "expires",
    "mounted",
    "required",
    "optional",
    "accepted",
    "rejected",
    "password",
    "redacted",
    "filtered",
    "disabled",
    "scrubbed",
    "verified",
    "mismatch",
    "provided",
    "supplied",
    "mandatory",
    "malformed",
    "unchanged",
    "undefined",
    "incorrect",
    "forbidden",
    "chauthtok",
    "sensitive",
    "protected",
    "sanitized",
    "encrypted",
    "generated",
    "forgotten",
    "available",
    "obfuscated",
    "registered",
    "configured",
    "unavailable",
    "unverified",
    "unsupported",
    "unencrypted",
    "confidential",
    "unauthorized",
    "authenticated",
    "authentication",
    "value_specified_in_no_log_parameter",
];

/// What somebody may well have as a password.
const WEAK: &[&str] = &[
    "secret", "true", "false", "password", "token", "change", "text", "flag", "short", "blank",
    "weak", "valid", "with", "via", "option", "present", "session",
];

/// The same in other languages: that it is required, wrong, expired, missing, forgotten, changed.
const FOREIGN: &[&str] = &[
    "erforderlich",
    "abgelaufen",
    "ungültig",
    "falsch",
    "fehlt",
    "fehlerhaft",
    "leer",
    "vergessen",
    "geändert",
    "zurückgesetzt",
    "requis",
    "requise",
    "obligatoire",
    "invalide",
    "incorrect",
    "incorrecte",
    "manquant",
    "expiré",
    "oublié",
    "modifié",
    "requerida",
    "requerido",
    "obligatoria",
    "obligatorio",
    "inválida",
    "inválido",
    "incorrecta",
    "incorrecto",
    "caducada",
    "vacía",
    "olvidada",
    "faltante",
    "obrigatória",
    "obrigatório",
    "incorreta",
    "incorreto",
    "expirada",
    "ausente",
    "vazia",
    "richiesta",
    "obbligatoria",
    "errata",
    "scaduta",
    "mancante",
    "verplicht",
    "onjuist",
    "ongeldig",
    "verlopen",
    "ontbreekt",
    "wymagane",
    "nieprawidłowe",
    "błędne",
    "puste",
    "povinné",
    "nesprávné",
    "chybí",
    "kötelező",
    "érvénytelen",
    "hibás",
    "krävs",
    "ogiltigt",
    "saknas",
    "påkrævet",
    "mangler",
    "forkert",
    "ugyldig",
    "påkrevd",
    "puuttuu",
    "virheellinen",
    "pakollinen",
    "gerekli",
    "geçersiz",
    "hatalı",
    "zorunlu",
    "obavezno",
    "неверный",
    "неверен",
    "неправильный",
    "обязательное",
    "обязателен",
    "не",
    "отсутствует",
    "истек",
    "грешна",
    "无效",
    "错误",
    "必填",
    "不能为空",
    "不正确",
    "已过期",
    "無効",
    "必須",
    "必須です",
    "無効です",
    "間違っています",
    "필수",
    "잘못됨",
    "만료됨",
];

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

/// Words in front of `pass` with which it is no password.
const PASSES: &[&[u8]] = &[
    b"boarding",
    b"first",
    b"second",
    b"third",
    b"final",
    b"last",
    b"next",
    b"single",
    b"each",
    b"every",
    b"season",
    b"day",
    b"ski",
    b"bus",
    b"hall",
    b"compiler",
    b"optimization",
    b"render",
    b"shader",
    b"palabra",
];

/// Bits of a hash that [`PLACES`] is asked with.
const HASH: usize = 12;

/// A number for the length and the first, the middle and the last letter of a word, in whatever case
/// (Knuth's multiplicative hash).
const fn hash(word: &[u8]) -> usize {
    let (first, last) = (word[0] as u32 & 31, word[word.len() - 1] as u32 & 31);
    let middle = word[word.len() / 2] as u32 & 31;
    let all = first << 17 | middle << 12 | last << 7 | word.len() as u32 & 127;
    (all.wrapping_mul(0x9e37_79b1) >> (32 - HASH)) as usize
}

/// The word of this number: those of [`WORDS`], then those of [`FOREIGN`].
const fn word(number: usize) -> &'static [u8] {
    match number < WORDS.len() {
        true => WORDS[number].as_bytes(),
        false => FOREIGN[number - WORDS.len()].as_bytes(),
    }
}

/// The number of a word and one more at the place that it hashes to, or the next that is free.
static PLACES: [u8; 1 << HASH] = {
    let mut places = [0; 1 << HASH];
    let mut n = 0;
    assert!(WORDS.len() + FOREIGN.len() < u8::MAX as usize);
    while n < WORDS.len() + FOREIGN.len() {
        let mut place = hash(word(n));
        while places[place] != 0 {
            place = (place + 1) % places.len();
        }
        places[place] = n as u8 + 1;
        n += 1;
    }
    places
};

/// Whether `value` is one of the words that stand where a secret would.
pub(super) fn is_word(value: &[u8], place: Place) -> bool {
    if value.is_empty() {
        return false;
    }
    let mut at = hash(value);
    while let Some(number) = usize::from(PLACES[at]).checked_sub(1) {
        if value.eq_ignore_ascii_case(word(number)) {
            let weak = || WORDS.get(number).is_some_and(|word| WEAK.contains(word));
            return place == Place::Text || !weak();
        }
        at = (at + 1) % PLACES.len();
    }
    false
}

/// Whether `value` is a sentence about a secret.
pub(super) fn is_sentence(value: &[u8]) -> bool {
    let first = value.iter().position(|b| *b == b' ');
    first.is_some_and(|len| is_one_of(OPENERS, &value[..len]))
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

/// Whether a word in front of the name may say that it is a pass of another kind.
pub(super) fn may_be_pass(name: &[u8]) -> bool {
    name.eq_ignore_ascii_case(b"pass") || name.eq_ignore_ascii_case(b"clave")
}

/// Whether the name `name` behind the word `before` is a pass of another kind: `boarding pass`.
pub(super) fn is_pass(before: &[u8], name: &[u8]) -> bool {
    may_be_pass(name) && PASSES.iter().any(|w| w.eq_ignore_ascii_case(before))
}
