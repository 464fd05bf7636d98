//! Words that stand where a secret would, in prose and in configurations.

use super::value::Place;
use crate::list::{hash, HASH};

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
    "tbd",
    "ask",
    "same",
    "stdin",
    "vault",
    "any",
    "bool",
    "todo",
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
    "nothing",
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
    "string!",
    "string?",
    "optional[str",
    "option<string",
    "secretstr",
    "bytes",
    "env",
    "stored",
    "active",
    "inactive",
    "applied",
    "granted",
    "detected",
    "supported",
    "confirmed",
    "usize",
    "c_char",
    "c_int",
    "u32",
    "u64",
    "self",
    "optarg",
    "passphrase",
    "varchar",
    "passwd",
    "secret",
    "hidden",
    "secure",
    "secured",
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
    "todo", "ask", "same", "stdin", "vault", "secret", "true", "false", "password", "token",
    "change", "text", "flag", "short", "blank", "weak", "valid", "with", "via", "option",
    "present", "session", "active",
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

/// The word of this number: those of [`WORDS`], then those of [`FOREIGN`].
const fn word(number: usize) -> &'static [u8] {
    match number < WORDS.len() {
        true => WORDS[number].as_bytes(),
        false => FOREIGN[number - WORDS.len()].as_bytes(),
    }
}

/// The number of a word and one more at the place that it hashes to, or the next that is free.
static PLACES: [u16; 1 << HASH] = {
    let mut places = [0; 1 << HASH];
    let mut n = 0;
    assert!(WORDS.len() + FOREIGN.len() < places.len() / 2);
    while n < WORDS.len() + FOREIGN.len() {
        let mut place = hash(word(n));
        while places[place] != 0 {
            place = (place + 1) % places.len();
        }
        places[place] = n as u16 + 1;
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

/// Whether a word in front of the name may say that it is a pass of another kind.
pub(super) fn may_be_pass(name: &[u8]) -> bool {
    name.eq_ignore_ascii_case(b"pass") || name.eq_ignore_ascii_case(b"clave")
}

/// Whether a name is that of a pass over something: `multi-pass: ...`.
pub(super) fn is_passing(name: &[u8]) -> bool {
    const MORE: &[&[u8]] = &[b"multi", b"one", b"two", b"dual"];
    let Some((front, end)) = name.split_last_chunk::<5>() else {
        return false;
    };
    end.eq_ignore_ascii_case(b"-pass")
        && MORE
            .iter()
            .chain(PASSES)
            .any(|w| w.eq_ignore_ascii_case(front))
}

/// Whether the name `name` behind the word `before` is a pass of another kind: `boarding pass`.
pub(super) fn is_pass(before: &[u8], name: &[u8]) -> bool {
    may_be_pass(name) && PASSES.iter().any(|w| w.eq_ignore_ascii_case(before))
}
