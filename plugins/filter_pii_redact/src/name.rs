//! What names say of their values. A name is split into its words (`dbPassword`, `DB_PASSWORD`,
//! `db.password`), and [`crate::lexicon`] says what the last of them mean.

use std::ops::Range;

use crate::catalog::Id;
use crate::lexicon::{End, Fit, Word, ENDS, FRONTS, TAILS, WORDS};

/// Longest name looked at.
const MAX_NAME: usize = 64;
/// Most blanks between a name and its sign.
const MAX_BLANKS: usize = 40;

/// What a name says of its value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NameClass {
    /// Nothing.
    Plain,
    /// A password: any value is secret.
    Password,
    /// The same, or a count of what has passed.
    Pass,
    /// A secret or token: any value of a field, or what looks random in a text.
    Secret,
    /// Secret if it looks random.
    Key,
    /// The same, for names that are at times those of keys of a table.
    OtherKey,
    /// Secret if it is long and looks random: a status has a code as well.
    Code,
    /// Secret if letters and digits are mixed.
    Weak,
    /// A few digits, or what looks random.
    Pin,
    /// An HTTP header: a scheme, then credentials.
    Authorization,
    /// The same, or a word about how somebody has signed in.
    Auth,
    /// Pairs of which the values are secret.
    Cookie,
    /// The name is said elsewhere: `{"name": "DB_PASSWORD", "value": "..."}`.
    Indirect,
    /// A phone number, at times without anything else that tells it from other numbers.
    Phone,
}

use NameClass::{Auth, Authorization, Pass, Password, Phone, Plain};

impl NameClass {
    /// Whether a value under such a name may be a secret.
    pub(crate) fn is_secret(self) -> bool {
        !matches!(self, Plain | Phone)
    }

    /// Whether the value begins with a scheme.
    pub(crate) fn is_header(self) -> bool {
        matches!(self, Authorization | Auth)
    }

    /// Whether only what looks random is secret in a text.
    pub(crate) fn is_random(self) -> bool {
        matches!(
            self,
            NameClass::Secret | NameClass::Key | NameClass::OtherKey | NameClass::Code
        )
    }

    /// The detector that reports values under such a name.
    pub(crate) fn id(self) -> Id {
        match self {
            Password | Pass => Id::Password,
            Phone => Id::Phone,
            _ => Id::Secret,
        }
    }
}

/// Bits of a hash.
const HASH: usize = 14;

/// So many bits of three bytes in whatever case (Knuth's multiplicative hash).
const fn hash(bytes: u32) -> usize {
    ((bytes | 0x0020_2020).wrapping_mul(0x9e37_79b1) >> (32 - HASH)) as usize
}

/// Three bytes as a number.
const fn three([first, second, third]: [u8; 3]) -> u32 {
    u32::from_le_bytes([first, second, third, 0])
}

/// A bit for what the ends of names hash to.
struct Ends {
    /// The last three bytes.
    three: [u64; 1 << (HASH - 6)],
    /// The last four of what is longer. The one in front of the last three may be no letter: what stands
    /// between the words of a name is anywhere.
    four: [u64; 1 << (HASH - 6)],
}

impl Ends {
    const fn with(mut self, end: End) -> Self {
        let bit = hash(three(end.three));
        self.three[bit / 64] |= 1 << (bit % 64);
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

    /// Whether the bytes end like a name.
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

/// The last eight letters of a word or tail as a number, the last one lowest; which bits of it count; and
/// which it is, tails behind words.
#[derive(Clone, Copy)]
struct Row {
    letters: u64,
    mask: u64,
    number: usize,
}

impl Row {
    const fn is_long(self) -> bool {
        self.mask >> 40 != 0
    }
}

/// Bits of a hash that [`FIRST`] is asked with.
const SLOT: usize = 10;

/// The slot of a number's last three letters.
const fn slot(letters: u64) -> usize {
    let [third, second, first, ..] = letters.to_le_bytes();
    hash(three([first, second, third])) >> (HASH - SLOT)
}

/// Whether a row stands behind another one: by slot, then those of more than five letters.
const fn comes_behind(one: Row, other: Row) -> bool {
    let (first, second) = (slot(one.letters), slot(other.letters));
    first > second || first == second && one.is_long() && !other.is_long()
}

/// All words and tails, those of a slot behind each other.
static ROWS: [Row; WORDS.len() + TAILS.len()] = {
    let none = Row {
        letters: 0,
        mask: 0,
        number: 0,
    };
    let mut rows = [none; WORDS.len() + TAILS.len()];
    let mut n = 0;
    while n < rows.len() {
        let text = if n < WORDS.len() {
            WORDS[n].text.as_bytes()
        } else {
            TAILS[n - WORDS.len()].as_bytes()
        };
        let mut row = Row { number: n, ..none };
        let mut back = 0;
        while back < text.len() && back < 8 {
            row.letters |= (text[text.len() - 1 - back] as u64) << (8 * back);
            row.mask |= 0xff << (8 * back);
            back += 1;
        }
        let mut place = n;
        while place > 0 && comes_behind(rows[place - 1], row) {
            rows[place] = rows[place - 1];
            place -= 1;
        }
        rows[place] = row;
        n += 1;
    }
    rows
};

/// The first of [`ROWS`] in this slot or behind it.
static FIRST: [u16; (1 << SLOT) + 1] = {
    let mut first = [0; (1 << SLOT) + 1];
    let (mut n, mut place) = (0, 0);
    while place < first.len() {
        while n < ROWS.len() && slot(ROWS[n].letters) < place {
            n += 1;
        }
        first[place] = n as u16;
        place += 1;
    }
    first
};

/// Where the long rows of a slot begin, and what the sixth and the seventh letter of these may be, as
/// bits of [`front_bit`].
static LONG: [(u16, u64); 1 << SLOT] = {
    let mut long = [(0, 0); 1 << SLOT];
    let mut place = 0;
    while place < long.len() {
        let (mut n, mut letters) = (FIRST[place] as usize, 0);
        while n < FIRST[place + 1] as usize && !ROWS[n].is_long() {
            n += 1;
        }
        let first = n as u16;
        while n < FIRST[place + 1] as usize {
            letters |= if ROWS[n].mask >> 48 == 0 {
                u64::MAX
            } else {
                front_bit(ROWS[n].letters)
            };
            n += 1;
        }
        long[place] = (first, letters);
        place += 1;
    }
    long
};

/// A bit for the sixth and the seventh letter from the end.
const fn front_bit(letters: u64) -> u64 {
    1 << ((letters >> 40 ^ letters >> 47) & 63)
}

/// Whether a name ends like one of the lexicon. Digits at its end do not count.
#[inline(always)]
fn may_end(name: &[u8], bare: bool) -> bool {
    let mut end = name.len();
    let mut digits = 0;
    while end > 0 && digits < 3 && name[end - 1].is_ascii_digit() {
        end -= 1;
        digits += 1;
    }
    ends_like(&name[..end], bare) || digits > 0 && ends_like(name, bare)
}

#[inline(always)]
fn ends_like(name: &[u8], bare: bool) -> bool {
    let table = &TABLES[usize::from(!bare)];
    let (end, fourth) = match *name {
        [.., fourth, first, second, third] => (three([first, second, third]), fourth),
        [first, second, third] => (three([first, second, third]), 0),
        [second, third] => (three([0, second, third]), 0),
        _ => return false,
    };
    // A word of two letters has any byte in front.
    table.has(end, fourth) || table.has(end & 0x00ff_ff00, 0)
}

/// Where a name in front of the sign at `at` ends: quotes and blanks may stand between them.
#[inline(always)]
fn end_before(buf: &[u8], at: usize) -> usize {
    let mut end = at;
    while end > 0 && at - end < 4 && matches!(buf[end - 1], b'"' | b'\'' | b'\\' | b' ' | b']') {
        end -= 1;
    }
    if at - end == 4 {
        while end > 0 && at - end < MAX_BLANKS && matches!(buf[end - 1], b' ' | b'\t') {
            end -= 1;
        }
    }
    end
}

/// Whether a name in front of the sign at `at` ends like one of the lexicon.
#[inline(always)]
pub(crate) fn may_be_named(buf: &[u8], at: usize) -> bool {
    may_end(&buf[..end_before(buf, at)], false)
}

/// Whether a name that ends directly in front of `at` ends like one that needs no sign.
#[inline(always)]
pub(crate) fn may_be_bare(buf: &[u8], at: usize) -> bool {
    may_end(&buf[..at], true)
}

/// Whether a byte that the gate takes for what stands behind a name may be that, told by the end of the
/// name.
#[inline(always)]
pub(crate) fn may_be_assigned(buf: &[u8], at: usize) -> bool {
    match buf[at] {
        b' ' | b'|' => may_be_bare(buf, at) && is_bare(buf, at),
        b',' => may_be_bare(buf, at) || may_be_named(buf, at),
        b';' | b'<' => false,
        // The name of an argument starts here.
        letter if letter.is_ascii_alphabetic() => true,
        _ => may_be_named(buf, at),
    }
}

/// Whether a name that ends at the blank at `at`, and needs no sign, may have its value behind it, told by
/// the first bytes there: not "Failed password for root", nor a sign with a blank behind it, which is
/// looked at by itself.
#[inline(always)]
pub(crate) fn is_bare(buf: &[u8], at: usize) -> bool {
    match buf.get(at + 1..).unwrap_or_default() {
        [b'=' | b':', b' ', ..] => false,
        [b'f', b'o', b'r', b' ', ..] => {
            // "SET PASSWORD FOR", and the name of an element.
            let before = &buf[..name_start(buf, at)];
            let set = before.trim_ascii_end().last_chunk::<3>();
            !before.ends_with(b" ") || set.is_some_and(|end| end.eq_ignore_ascii_case(b"set"))
        }
        _ => !buf[..at].ends_with(b"by") || may_be_quoted(buf, at),
    }
}

/// Whether the blank at `at` stands behind the word `BY`, and a quote behind it.
pub(crate) fn may_be_quoted(text: &[u8], at: usize) -> bool {
    let quoted = matches!(text.get(at + 1), Some(b'"' | b'\'' | b'`'));
    let before = text[..at].last_chunk::<3>();
    quoted && before.is_some_and(|end| end.eq_ignore_ascii_case(b" by"))
}

/// The name in front of the sign at `at`; empty if it ends like none of the lexicon.
pub(crate) fn name_before(buf: &[u8], at: usize) -> Range<usize> {
    let end = end_before(buf, at);
    match may_end(&buf[..end], false) {
        false => end..end,
        true => name_start(buf, end)..end,
    }
}

/// Whether the value at `at` stands behind a name for phone numbers: `phone=1234567`,
/// `"mobile": "1234567"`.
pub(crate) fn is_named_phone(text: &[u8], at: usize) -> bool {
    let joint = |b: &u8| matches!(b, b' ' | b'\t' | b'[' | b'"' | b'\'' | b'\\');
    let joints = text[..at].iter().rev().take(6).take_while(|b| joint(b));
    let behind = at - joints.count();
    let Some(sign) = behind.checked_sub(1) else {
        return false;
    };
    matches!(text[sign], b':' | b'=' | b'>')
        && class_of_name(&text[name_before(text, sign)]) == Phone
}

/// Whether a string that ends in front of the header at `at` is the name of an argument, as in
/// `["--password", "…"]`.
pub(crate) fn is_argument(chunk: &[u8], at: usize) -> bool {
    let name = &chunk[name_before(chunk, at)];
    let header = name.iter().rposition(|b| *b >= 0x80);
    class_of_argument(&name[header.map_or(0, |n| n + 1)..]).is_secret()
}

/// What an element of a list says of the one behind it.
pub(crate) fn class_of_argument(element: &[u8]) -> NameClass {
    let name = element.trim_ascii_start();
    let hyphens = name.iter().take(2).take_while(|b| **b == b'-').count();
    let class = class_of_name(&name[hyphens..]);
    match hyphens > 0 || class.is_header() {
        true => class,
        false => Plain,
    }
}

/// Whether a member of this name says how another one is called.
pub(crate) fn is_label(name: &[u8]) -> bool {
    const LABELS: &[&[u8]] = &[
        b"name",
        b"key",
        b"id",
        b"field",
        b"header",
        b"variable",
        b"var",
        b"property",
        b"k",
        b"n",
        b"parameter",
        b"label",
    ];
    LABELS.iter().any(|label| label.eq_ignore_ascii_case(name))
}

pub(crate) fn is_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.') || byte >= 0x80
}

/// Where the name begins that ends at `end`.
pub(crate) fn name_start(buf: &[u8], end: usize) -> usize {
    let floor = end.saturating_sub(MAX_NAME);
    let mut start = end;
    while start > floor && is_name(buf[start - 1]) {
        start -= 1;
    }
    start
}

/// Whether a byte is of a word, and does not stand between two.
fn is_of_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte >= 0x80
}

/// A name, read from its end without what stands between its words, and without a copy of it.
#[derive(Clone, Copy)]
struct Words<'a>(&'a [u8]);

impl<'a> Words<'a> {
    /// The bytes of its words from the last to the first, in small letters, and where they are.
    fn letters(self) -> impl Iterator<Item = (usize, u8)> + use<'a> {
        let bytes = self.0.iter().enumerate().rev();
        bytes
            .filter(|(_, byte)| is_of_word(**byte))
            .map(|(at, byte)| (at, byte.to_ascii_lowercase()))
    }

    /// Where the letters of `text` begin that it ends in.
    fn front_of(self, text: &str) -> Option<usize> {
        // Most are written in one.
        if let Some(first) = self.0.len().checked_sub(text.len()) {
            if self.0[first..].eq_ignore_ascii_case(text.as_bytes()) {
                return Some(first);
            }
        }
        let mut letters = self.letters();
        let mut first = None;
        for byte in text.bytes().rev() {
            let (at, letter) = letters.next()?;
            if letter != byte {
                return None;
            }
            first = Some(at);
        }
        first
    }

    /// Whether the letter at `at` starts a word: `dbPassword`, `DBPassword`.
    fn is_start(self, at: usize) -> bool {
        let byte = self.0[at];
        let before = at.checked_sub(1).map_or(0, |n| self.0[n]);
        let next = self.0.get(at + 1).is_some_and(u8::is_ascii_lowercase);
        let hump = byte.is_ascii_uppercase()
            && (before.is_ascii_lowercase() || before.is_ascii_uppercase() && next);
        hump || !(before.is_ascii_alphabetic() || before >= 0x80) || byte.is_ascii_digit()
    }

    /// What is in front of `at`.
    fn before(self, at: usize) -> Self {
        Words(&self.0[..at])
    }

    fn is_empty(self) -> bool {
        self.letters().next().is_none()
    }

    fn fits(self, word: &Word) -> bool {
        let Some(first) = self.front_of(word.text) else {
            return false;
        };
        match word.fit {
            Fit::Any => true,
            Fit::Whole => self.before(first).is_empty(),
            Fit::Part => self.is_start(first),
            Fit::Behind => self.is_start(first) && !self.before(first).is_empty(),
            Fit::Glued => self.is_start(first) || self.is_glued(first),
        }
    }

    /// Whether the part of a word in front of `first` is one that others are glued to.
    fn is_glued(self, first: usize) -> bool {
        let mut front = [0; MAX_FRONT];
        let mut from = MAX_FRONT;
        for (at, letter) in self.before(first).letters() {
            let Some(next) = from.checked_sub(1) else {
                return false;
            };
            from = next;
            front[from] = letter;
            if self.is_start(at) {
                break;
            }
        }
        let front = &front[from..];
        !front.is_empty()
            && IS_FRONT[slot_of_front(front)]
            && FRONTS.iter().any(|f| f.as_bytes() == front)
    }

    /// Its last eight letters as a number, the last one lowest.
    fn end(self) -> u64 {
        // Most names end in one word.
        if let Some(last) = self.0.last_chunk::<8>() {
            if last.iter().all(|byte| is_of_word(*byte)) {
                return u64::from_be_bytes(last.map(|byte| byte.to_ascii_lowercase()));
            }
        }
        let (mut number, mut shift) = (0, 0);
        for byte in self.0.iter().rev() {
            if is_of_word(*byte) {
                number |= u64::from(byte.to_ascii_lowercase()) << shift;
                shift += 8;
                if shift == u64::BITS {
                    break;
                }
            }
        }
        number
    }

    /// The longest word that it ends in; else what is left of it without its tail, if it has one.
    fn last(self) -> Result<&'static Word, Option<Self>> {
        let end = self.end();
        let (mut longest, mut tail): (Option<&'static Word>, _) = (None, None);
        // A word of two letters has any byte in front.
        for end_or_short in [end, end & 0xffff] {
            let slot = slot(end_or_short);
            let (long, letters) = LONG[slot];
            // Most words are the tails of many longer ones.
            let last = match letters & front_bit(end) {
                0 => long,
                _ => FIRST[slot + 1],
            };
            for row in &ROWS[usize::from(FIRST[slot])..usize::from(last)] {
                if end & row.mask != row.letters {
                    continue;
                }
                if let Some(word) = WORDS.get(row.number) {
                    let longer = longest.is_none_or(|other| word.text.len() > other.text.len());
                    if longer && self.fits(word) {
                        longest = Some(word);
                    }
                } else if let Some(text) = TAILS.get(row.number - WORDS.len()) {
                    tail = tail.or(self.front_of(text).filter(|at| self.is_start(*at)));
                }
            }
        }
        if let Some(word) = longest {
            return Ok(word);
        }
        if (end as u8).is_ascii_digit() {
            let digits = self.letters().take_while(|(_, b)| b.is_ascii_digit());
            tail = digits.last().map(|(at, _)| at);
        }
        Err(tail
            .map(|at| self.before(at))
            .filter(|name| !name.is_empty()))
    }
}

/// The longest of [`FRONTS`].
const MAX_FRONT: usize = {
    let (mut most, mut n) = (0, 0);
    while n < FRONTS.len() {
        if FRONTS[n].len() > most {
            most = FRONTS[n].len();
        }
        n += 1;
    }
    most
};

/// A number below 1024 for what may be glued to a word.
const fn slot_of_front(front: &[u8]) -> usize {
    let (first, last) = (front[0] as usize, front[front.len() - 1] as usize);
    (first & 31) << 5 ^ (last & 31) ^ front.len() << 3 & 0x3ff
}

/// Whether one of [`FRONTS`] has such a number.
static IS_FRONT: [bool; 1024] = {
    let mut is_front = [false; 1024];
    let mut n = 0;
    while n < FRONTS.len() {
        is_front[slot_of_front(FRONTS[n].as_bytes())] = true;
        n += 1;
    }
    is_front
};

/// The word of the lexicon that a name ends in.
fn word_of_name(name: &[u8]) -> Option<&'static Word> {
    if !may_end(name, false) {
        return None;
    }
    let mut words = Words(name);
    if name.len() > MAX_NAME && words.letters().count() > MAX_NAME {
        return None;
    }
    for _ in 0..4 {
        match words.last() {
            Ok(word) => return Some(word),
            Err(rest) => words = rest?,
        }
    }
    None
}

/// What a name says of its value.
#[inline]
pub(crate) fn class_of_name(name: &[u8]) -> NameClass {
    word_of_name(name).map_or(Plain, |word| word.class)
}

/// The same of a name that stands in front of its value without a sign.
pub(crate) fn class_of_bare(name: &[u8]) -> NameClass {
    word_of_name(name)
        .filter(|word| word.bare)
        .map_or(Plain, |word| word.class)
}

/// Whether `name` ends in the word `end`, whatever its case and with `_`, `-`, `.` and blanks left
/// out, and that starts a part of the name: `authToken`, not `wtoken`.
pub(crate) fn ends_with(name: &[u8], end: &[u8]) -> bool {
    front_of(name, end).is_some_and(|first| is_start(name, first))
}

/// Where the word `end` begins that `name` ends in.
fn front_of(name: &[u8], end: &[u8]) -> Option<usize> {
    let mut at = name.len();
    let mut first = 0;
    for wanted in end.iter().rev() {
        while at > 0 && matches!(name[at - 1], b'_' | b'-' | b'.' | b' ') {
            at -= 1;
        }
        if at == 0 || name[at - 1].to_ascii_lowercase() != *wanted {
            return None;
        }
        at -= 1;
        first = at;
    }
    Some(first)
}

/// Whether a part of the name starts at `first`.
fn is_start(name: &[u8], first: usize) -> bool {
    let Some(before) = first.checked_sub(1).map(|n| name[n]) else {
        return true;
    };
    !before.is_ascii_alphanumeric()
        || (name[first].is_ascii_uppercase() && !before.is_ascii_uppercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(class: NameClass, names: &[&str]) {
        for name in names {
            assert_eq!(class_of_name(name.as_bytes()), class, "{name}");
        }
    }

    #[test]
    fn names_are_classed_by_their_last_words() {
        all(
            NameClass::Password,
            &[
                "password",
                "DB_PASSWORD",
                "userPassword",
                "spring.datasource.password",
                "pwd",
                "client-secret",
                "password1",
                "password_confirmation",
                "newPasswordRepeat",
                "pwdHash",
                "PGPASSWORD",
                "dbpwd",
                "Passwort",
                "mot_de_passe",
                "contraseña",
                "用户密码",
                "пароль",
                "secret_key_base",
            ],
        );
        all(
            NameClass::Secret,
            &[
                "api_key",
                "apiKey",
                "x-api-key",
                "access_token",
                "accessToken",
                "secret",
                "API-KEY",
                "authtoken",
                "masterKey",
                "csrftoken",
                "X-CSRFToken",
                "jwtsecret",
            ],
        );
        all(
            NameClass::OtherKey,
            &["privateClientKey", "DD_APP_KEY", "x-functions-key"],
        );
        all(NameClass::Pass, &["db_pass", "dbpass", "userpass", "pw"]);
        all(
            NameClass::Plain,
            &[
                "compass",
                "bypass",
                "key",
                "monkey",
                "tokens",
                "author",
                "none",
                "file",
                "number",
                "passwordless",
                "wtoken",
                "primary_key",
                "PublicKeyToken",
                "next_token",
                "token_ttl",
                "secret_name",
                "keystore",
                "inside",
                "",
            ],
        );
        all(
            NameClass::Phone,
            &[
                "phone",
                "cellphone",
                "customer_phone",
                "phone_number",
                "mobileNumber",
                "mobile",
                "phoneNo",
                "phone_no",
                "MSISDN",
                "contact-number",
            ],
        );
        all(NameClass::Authorization, &["Proxy-Authorization"]);
    }

    #[test]
    fn every_word_of_the_lexicon_is_seen_as_a_name_and_in_front_of_a_sign() {
        for word in WORDS {
            let name = match word.fit {
                Fit::Behind => format!("x_{}", word.text),
                _ => word.text.to_owned(),
            };
            assert_eq!(class_of_name(name.as_bytes()), word.class, "{name}");
            let text = format!("{name}=x");
            assert!(may_be_named(text.as_bytes(), name.len()), "{name}");
            assert!(
                !word.bare || may_be_bare(text.as_bytes(), name.len()),
                "{name}"
            );
        }
    }
}
