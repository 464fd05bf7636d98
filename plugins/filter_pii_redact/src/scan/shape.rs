//! Shapes as shifts and ANDs of bit maps, one bit a byte of a window, four windows at a time.
//!
//! A shape is seen where it ends and reaches back at most [`REACH`] bytes. Windows overlap by as
//! much, so what ends behind the overlap is seen whole.

use super::vector::{Maps, Vector, LANES, WINDOW};
use super::{Kind, Shapes};

/// The furthest that a shape reaches back from the byte where it is seen.
pub(super) const REACH: usize = 16;
/// From one window to the next.
pub(super) const STEP: usize = WINDOW - REACH;
/// What the windows of one look cover.
pub(super) const LOOK: usize = (LANES - 1) * STEP + WINDOW;
/// What a look needs: the two bytes behind its windows, too.
pub(super) const BYTES: usize = LOOK + 2;

/// Length at which a run of letters, digits and the like is seen: once, and whole with the byte in
/// front of it.
pub(crate) const RUN: usize = 16;

/// The kinds that have a map, those first that are most often found. What is rare has one map, and
/// stands under [`Kind::Escape`].
pub(super) const KINDS: [Kind; 11] = [
    Kind::Assign,
    Kind::Number,
    Kind::Token,
    Kind::Phone,
    Kind::Escape,
    Kind::Code,
    Kind::Long,
    Kind::Ipv4,
    Kind::Ipv6,
    Kind::Mac,
    Kind::Int,
];

/// Candidates of some windows.
#[derive(Clone, Copy, Debug)]
pub(super) struct Hits<M> {
    /// `@`, `%`, `+`, `$`, backslashes and tildes; digits behind a character that is no ASCII.
    pub(super) rare: M,
    number: M,
    phone: M,
    code: M,
    long: M,
    token: M,
    pub(super) assign: M,
    ipv4: M,
    ipv6: M,
    mac: M,
    int: M,
    /// Letters and digits; only where tokens are looked for.
    pub(super) alnum: M,
    /// The same with hyphens and underscores.
    pub(super) word: M,
}

impl<M: Maps> Hits<M> {
    #[inline(always)]
    fn new(none: M) -> Self {
        Hits {
            rare: none,
            number: none,
            phone: none,
            code: none,
            long: none,
            token: none,
            assign: none,
            ipv4: none,
            ipv6: none,
            mac: none,
            int: none,
            alnum: none,
            word: none,
        }
    }

    /// All but names and what is rare, in one.
    #[inline(always)]
    pub(super) fn others(&self) -> M {
        let numbers = self.number | self.phone | self.code | self.int;
        let runs = self.token | self.long;
        numbers | runs | self.ipv4 | self.ipv6 | self.mac
    }

    /// In the order of [`KINDS`].
    #[inline(always)]
    pub(super) fn by_kind(&self) -> [M; KINDS.len()] {
        [
            self.assign,
            self.number,
            self.token,
            self.phone,
            self.rare,
            self.code,
            self.long,
            self.ipv4,
            self.ipv6,
            self.mac,
            self.int,
        ]
    }
}

/// Some windows, of which one asks which bytes are of a class. There are no closures and no functions
/// of arrays here: these are not inlined into code for AVX2.
#[derive(Clone, Copy)]
struct Windows<'a, V>(V, &'a [u8; BYTES]);

impl<V: Vector> Windows<'_, V> {
    /// Window `n`, from its byte `from` on.
    #[inline(always)]
    fn get(self, n: usize, from: usize) -> V::Bytes {
        let start = n * STEP + from;
        match self.1[start..].first_chunk() {
            Some(bytes) => self.0.load(bytes),
            None => self.0.load(&[0; WINDOW]),
        }
    }

    #[inline(always)]
    fn all(self) -> [V::Bytes; LANES] {
        [
            self.get(0, 0),
            self.get(1, 0),
            self.get(2, 0),
            self.get(3, 0),
        ]
    }

    #[inline(always)]
    fn equal(self, byte: u8) -> V::Maps {
        let (v, [a, b, c, d]) = (self.0, self.all());
        v.maps([
            v.equal(a, byte),
            v.equal(b, byte),
            v.equal(c, byte),
            v.equal(d, byte),
        ])
    }

    #[inline(always)]
    fn any_of(self, bytes: [u8; 2]) -> V::Maps {
        let (v, [a, b, c, d]) = (self.0, self.all());
        v.maps([
            v.any_of(a, bytes),
            v.any_of(b, bytes),
            v.any_of(c, bytes),
            v.any_of(d, bytes),
        ])
    }

    /// From `first` to `last`, both included.
    #[inline(always)]
    fn within(self, first: u8, last: u8) -> V::Maps {
        let (v, [a, b, c, d]) = (self.0, self.all());
        v.maps([
            v.within(a, first, last),
            v.within(b, first, last),
            v.within(c, first, last),
            v.within(d, first, last),
        ])
    }

    #[inline(always)]
    fn letters(self) -> V::Maps {
        let (v, [a, b, c, d]) = (self.0, self.all());
        v.maps([v.letters(a), v.letters(b), v.letters(c), v.letters(d)])
    }

    /// Bytes that are lower case if they are letters.
    #[inline(always)]
    fn small(self) -> V::Maps {
        let (v, [a, b, c, d]) = (self.0, self.all());
        v.maps([v.has_case(a), v.has_case(b), v.has_case(c), v.has_case(d)])
    }

    /// Headers of 32- and 64-bit integers and floats.
    #[inline(always)]
    fn integers(self) -> V::Maps {
        let (v, [a, b, c, d]) = (self.0, self.all());
        v.maps([v.integers(a), v.integers(b), v.integers(c), v.integers(d)])
    }

    /// `@`, `%`, `&`, `+`, `#`, `$`, `<`, backslashes, tildes, escapes and new lines; and quotes, blanks and
    /// what else may stand between a name and its sign.
    #[inline(always)]
    fn marks(self) -> [V::Maps; 2] {
        let (v, [a, b, c, d]) = (self.0, self.all());
        let (a, b, c, d) = (v.marks(a), v.marks(b), v.marks(c), v.marks(d));
        [
            v.maps([a[0], b[0], c[0], d[0]]),
            v.maps([a[1], b[1], c[1], d[1]]),
        ]
    }

    /// Blanks, commas and bars.
    #[inline(always)]
    fn gaps(self) -> V::Maps {
        let (v, [a, b, c, d]) = (self.0, self.all());
        v.maps([v.gaps(a), v.gaps(b), v.gaps(c), v.gaps(d)])
    }

    /// The last letter of what may be a name that says something of its value without a sign.
    #[inline(always)]
    fn bare_ends(self) -> V::Maps {
        let (v, [a, b, c, d]) = (self.0, self.all());
        v.maps([
            v.bare_ends([a, self.get(0, 2)]),
            v.bare_ends([b, self.get(1, 2)]),
            v.bare_ends([c, self.get(2, 2)]),
            v.bare_ends([d, self.get(3, 2)]),
        ]) << 2
    }

    /// Bytes of 0x80 and more.
    #[inline(always)]
    fn high(self) -> V::Maps {
        let (v, [a, b, c, d]) = (self.0, self.all());
        v.maps([v.high(a), v.high(b), v.high(c), v.high(d)])
    }
}

/// The candidates of some windows, each [`STEP`] behind the one before. The last byte is in none of
/// them.
#[inline(always)]
pub(super) fn hits<V: Vector>(v: V, bytes: &[u8; BYTES], shapes: Shapes) -> Hits<V::Maps> {
    let windows = Windows(v, bytes);
    let digit = windows.within(b'0', b'9');
    let letter = windows.letters();
    let high = windows.high();
    let hyphen = windows.equal(b'-');
    let dot = windows.equal(b'.');
    let colon = windows.equal(b':');
    let mut hits = Hits::new(v.map([0; LANES]));
    let underscore = windows.equal(b'_');
    let last = v.map([1 << (WINDOW - 1); LANES]);
    let [rare, quote] = windows.marks();
    // Which of these count is told one by one: they are few.
    hits.rare = rare;
    // "4111_1111", "219_09_9999": groups of two to four digits, two of them only in front of four. What
    // is behind the window is not known.
    let joined = digit & underscore << 1 & digit << 2 & digit << 3;
    if !joined.is_empty() {
        let unknown = v.map([0b111 << (WINDOW - 3); LANES]);
        let some = unknown | digit >> 1;
        let many = unknown | digit >> 1 & digit >> 2 & digit >> 3;
        let wide = digit << 4 & !(digit << 5 & digit << 6);
        hits.rare = hits.rare | (joined & (wide & some | !(digit << 4) & many));
    }
    // A digit behind a character of two or three bytes, which may be a blank or a hyphen.
    let behind = digit & high << 1 & high << 2;
    if !behind.is_empty() {
        let ascii = !(high | letter);
        hits.rare = hits.rare | (behind & (ascii << 3 | high << 3 & ascii << 4));
    }
    // Characters of other scripts, several in a row; of three bytes, one that is full-width or not seen:
    // "password\u{ff1a}x". What is in front of every record in msgpack has three such bytes as well.
    let row = high & high << 1 & high << 2;
    if !row.is_empty() {
        let lead = windows.any_of([0xe2, 0xef]);
        hits.rare = hits.rare | (row & (high << 3 | lead << 2));
    }
    let pair = hyphen & hyphen << 1;
    // Colons, equals signs, and what ends the name of an element.
    let sign = colon | windows.within(b'=', b'>');
    let gap = windows.gaps();
    let mut blank = v.map([0; LANES]);
    if shapes.assign {
        // A quote or two may stand behind a name; the rest is looked at later, as is which name it is:
        // signs are fewer than the letters of which one would be looked for everywhere. A msgpack key is
        // followed by a header byte, which has the high bit. The name of an argument stands behind
        // two hyphens.
        let bare = windows.bare_ends();
        // "password1", "password_1"
        let front = letter | underscore & letter << 1;
        let name = letter | (digit & (front | digit & front << 1) << 1);
        // The last letter alone may be one of two bytes: "jelszó".
        let other = high << 1 & ((high | letter) & high << 2 | high & letter << 2);
        let name = name | other;
        let ends = name | (quote & (name | quote) << 1);
        let signed = sign & ends << 1;
        // Blanks are among the quotes.
        blank = gap & quote;
        let comma = gap & !quote;
        // "password hunter2", "BY 'x'", "-p", and a quoted name in a list.
        let alone = gap & bare << 1;
        let option = letter & hyphen << 1 & quote << 2;
        let listed = comma & quote << 1 & (name | quote) << 2;
        hits.assign = signed | (high & name << 1) | (letter & pair << 1) | alone | option | listed;
        if shapes.escape {
            // `""` at a word, where quotes follow each other, and "=40".
            let word = digit | letter | underscore;
            let near = word << 2 | word >> 1 | last;
            let doubled = quote & quote << 1 & near & !(blank | blank << 1);
            let number = digit & (sign & !colon) << 1;
            hits.rare = hits.rare | doubled | ((digit | letter) & number << 1);
        }
    }
    if !shapes.escape {
        let other = windows.any_of([b'@', b'+']) | windows.any_of([b'~', b'$']);
        hits.rare = rare & other;
    }
    if shapes.int && !high.is_empty() {
        hits.int = windows.integers();
    }
    let two = digit & digit << 1;
    // The second digit of a code may be in the next window.
    if !(two | digit >> (WINDOW as i32 - 1)).is_empty() && (shapes.number || shapes.code) {
        if !shapes.assign {
            blank = windows.equal(b' ');
        }
        let paren = windows.within(b'(', b')');
        let separator = blank | paren | hyphen | dot | windows.equal(b'/');
        let headers = Headers([windows.any_of([0xc4, 0xd9]), windows.any_of([0xc5, 0xda])]);
        if shapes.number {
            let point = dot | windows.equal(b',');
            let groups = Groups {
                digit,
                two,
                zero: windows.equal(b'0'),
                separator,
                blank,
                hyphen,
                dot,
                paren,
                point,
                time: colon & two << 1 & colon << 3,
                no_sign: !(sign | high),
                headers,
            };
            hits.number = numbers(&groups);
            if shapes.phone {
                hits.phone = phones(&groups) & !hits.number;
            }
        }
        if shapes.code {
            // "gb82west": an IBAN in small letters
            let small = windows.small();
            let alone = !((digit | letter) << 1) | headers.length(1);
            // What is behind the window is not known.
            let on = (digit | letter | blank | hyphen) >> 1 | last;
            let head = on & two & (letter & small) << 2 & (letter & small & alone) << 3;
            hits.code = head | codes(digit, letter & !small, separator, hyphen, alone);
        }
    }
    if shapes.token || shapes.long {
        hits.alnum = digit | letter;
        hits.word = hits.alnum | hyphen | underscore;
    }
    if shapes.long {
        // 26 bytes at least, as far as they are in the window.
        let end = ahead_4(!hits.alnum);
        hits.long = runs(hits.alnum) & !(end | end >> 4 | end >> 6);
    }
    if shapes.token {
        // The fourth of four hyphens or more.
        let hyphens = pair & pair << 2;
        // 20 bytes at least, as far as they are in the window.
        hits.token = (runs(hits.word) & !ahead_4(!hits.word)) | (hyphens & !(hyphens << 1));
    }
    if shapes.mac || shapes.ip {
        if shapes.mac {
            let dotted = dot & dot << 5;
            // A row of nothing but hyphens divides a log.
            let pairs = (digit | letter) << 1 & (digit | letter) << 2;
            hits.mac = (fifth(colon) | fifth(hyphen)) & pairs | dotted;
            if !dotted.is_empty() {
                // Groups of words are everywhere: "com.acme.shop".
                let hex = digit | windows.within(b'a', b'f') | windows.within(b'A', b'F');
                let pair = hex & hex << 1;
                hits.mac = hits.mac & (!dotted | (pair & pair << 2) << 1);
            }
        }
        if shapes.ip {
            hits.ipv4 = addresses(digit, dot);
            // The fourth of a row of colons with at most four bytes between them, or a double one, which
            // may have one in front: "addr:::1".
            let double = colon & colon << 1;
            let fourth = colon & near(colon & near(colon & near(colon)));
            hits.ipv6 = (double & !(double << 2)) | (fourth & !(colon << 1));
        }
    }
    hits
}

/// The byte classes that numbers in groups are made of.
struct Groups<M> {
    digit: M,
    /// The second digit of two and all behind it.
    two: M,
    zero: M,
    /// Blank, hyphen, dot, slash and parentheses.
    separator: M,
    blank: M,
    hyphen: M,
    dot: M,
    paren: M,
    /// Dot and comma: what a fraction of a second stands behind.
    point: M,
    /// The colon in front of the seconds of a time.
    time: M,
    /// What is no sign in front of a value, nor the header of a text.
    no_sign: M,
    headers: Headers<M>,
}

/// Headers of strings and binary data with the length in one byte, and in two.
#[derive(Clone, Copy)]
struct Headers<M>([M; 2]);

impl<M: Maps> Headers<M> {
    /// Where `back` bytes in front the length of a string ends, whose bytes may look like anything.
    #[inline(always)]
    fn length(&self, back: i32) -> M {
        let Headers([short, long]) = self;
        *short << (back + 1) | *long << (back + 2)
    }
}

impl<M: Maps> Groups<M> {
    /// Zeros that start a number, but no seconds.
    #[inline(always)]
    fn lead(&self) -> M {
        let before = (self.digit | self.point | self.time) << 1;
        self.zero & (!before | self.headers.length(1))
    }
}

/// Where numbers that are long enough or grouped like identifiers end.
#[inline(always)]
fn numbers<M: Maps>(of: &Groups<M>) -> M {
    let (digit, two, sep) = (of.digit, of.two, of.separator);
    let (point, hyphen, paren) = (of.point, of.hyphen, of.paren);
    let three = two & digit << 2;
    let four = two & two << 2;
    let seven = four & four << 3;
    let nine = seven & two << 7;
    // The ninth digit of a run, once.
    let long = nine & !(nine << 1);
    // "123-4567", "(123)4567", "(12) 345"
    let joined = four & (hyphen | paren) << 4 & three << 5;
    let bracketed = three & sep << 3 & paren << 4 & two << 5;
    // "123-45-6789"
    let ssn = four & sep << 4 & two << 5 & sep << 7 & three << 8;
    // "123 456 789", "1234 5678 901": two separators, since a fraction of a second in front of a
    // number is everywhere
    let rows = three
        & sep << 3
        & ((three << 4 & sep << 7 & three << 8) | (four << 4 & sep << 8 & three << 9));
    // "1234 567890 1234"
    let six = four & two << 4;
    let card = four & sep << 4 & six << 5 & sep << 11 & four << 12;
    // "012 345", "01234 567": a trunk prefix, but no fraction
    let lead = of.lead();
    let trunk = three & sep << 3 & three << 4 & (lead << 6 | lead << 7 | lead << 8);
    // "123 456 78", "123.456-78"
    let plain = sep & !(point | hyphen | paren);
    let tail =
        two & three << 3 & three << 7 & ((plain << 2 & plain << 6) | (hyphen << 2 & point << 6));
    // "01 23 45 67", but not the end of "2015-10-18 18", nor "17/06/09 20"
    let gap = of.blank | hyphen | of.dot;
    let first = of.headers.length(2);
    let pair = two & (!(digit << 2) | first);
    let spaced = pair & gap << 2;
    let opening = pair & (!((point | hyphen) << 2) | first);
    let pairs = spaced & spaced << 3 & spaced << 6 & opening << 9;
    long | joined | bracketed | ssn | rows | card | trunk | tail | pairs
}

/// Where numbers end that are grouped as phone numbers are, and other numbers, too.
#[inline(always)]
fn phones<M: Maps>(of: &Groups<M>) -> M {
    let (two, blank) = (of.two, of.blank);
    let three = two & of.digit << 2;
    let four = two & two << 2;
    let six = four & two << 4;
    // "451 5986", "9472 7916", but not "42.093 2574"
    let fraction = of.point & of.digit << 1;
    let halves =
        four & blank << 4 & three << 5 & !(fraction << 8) & (!(six << 5) | of.headers.length(10));
    // "99 668472"
    let end = six & blank << 6 & two << 7 & (!(three << 7) | of.headers.length(9));
    // "78 651 450", "416 60 039"
    let middle = three
        & blank << 3
        & ((three << 4 & blank << 7 & two << 8) | (two << 4 & blank << 6 & three << 7));
    // "490 75 40", "181-78 78"
    let tens = two & blank << 2 & two << 3 & (blank | of.hyphen) << 5 & three << 6;
    // "(03)7152"
    let area = four & of.paren << 4 & two << 5;
    // "02 123", "02-123"
    let mobile = three & (blank | of.hyphen) << 3 & two << 4 & of.lead() << 5;
    // "074104 10123", but not "081109 203615"
    let five = four & of.digit << 4 & !(of.digit >> 1) & blank << 5 & six << 6 & of.lead() << 11;
    // "5551234" and "55512345", at the start of a text or not far behind a sign; no fraction
    let none = of.no_sign;
    let far = none << 7 & none << 8 & none << 9 & none << 10;
    let seven = four & four << 3 & !((of.digit | of.hyphen) >> 1);
    let value = seven & !(far | (two | of.dot) << 7);
    halves | end | middle | tens | area | mobile | five | value
}

/// Where two capitals and a digit are, at times with a blank between; a capital behind seven
/// digits, at times with a hyphen between, or in front of eight. `alone`: behind no letter or digit.
#[inline(always)]
fn codes<M: Maps>(digit: M, upper: M, separator: M, hyphen: M, alone: M) -> M {
    let capitals = upper << 1 & upper << 2;
    let apart = separator << 1 & upper << 2 & (upper & alone) << 3;
    let two = digit & digit << 1;
    let four = two & two << 2;
    let seven = four & four << 3;
    let eight = seven & digit << 7 & upper << 8;
    let behind = upper & (seven | (hyphen & seven << 1)) << 1;
    (digit & (capitals | apart)) | behind | eight
}

/// The first digit behind the third dot between numbers, the middle ones of at most three digits.
#[inline(always)]
fn addresses<M: Maps>(digit: M, dot: M) -> M {
    let dotted = digit & dot << 1 & digit << 2;
    let second = dotted & (dotted << 2 | dotted << 3 | (dotted << 4 & digit << 3));
    dotted & (second << 2 | second << 3 | (second << 4 & digit << 3))
}

/// The fifth of a row with two bytes between each two.
#[inline(always)]
fn fifth<M: Maps>(map: M) -> M {
    let two = map & map << 3;
    two & two << 6 & map << 12
}

/// What is one to four bytes in front of a set bit.
#[inline(always)]
fn ahead_4<M: Maps>(map: M) -> M {
    let two = map >> 1 | map >> 2;
    two | two >> 2
}

/// What is two to five bytes behind a set bit.
#[inline(always)]
fn near<M: Maps>(map: M) -> M {
    map << 2 | map << 3 | map << 4 | map << 5
}

/// Where runs reach [`RUN`] bytes.
#[inline(always)]
fn runs<M: Maps>(map: M) -> M {
    let two = map & map << 1;
    let four = two & two << 2;
    let eight = four & four << 4;
    eight & eight << 8 & !(map << 16)
}
