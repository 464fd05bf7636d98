//! The detectors: one family per module, each a verifier of the gate's candidates.

mod assignment;
mod bounds;
mod card;
mod code;
mod coin;
mod email;
mod iban;
mod label;
mod national;
mod network;
mod number;
mod phone;
mod row;
mod ssn;
mod token;
mod url;

use std::time::Duration;

use crate::budget::Budget;
use crate::catalog::{Id, Set};
use crate::keywords::{Context, Keywords};
use crate::name::{class_of_name, NameClass};
use crate::rejected::Rejected;
use crate::rules::UserRule;
use crate::rules_file::{Checks, FileRules, Scan, Sighting};
use crate::scan::{Cursor, Gate, Kind, Runs, Shapes, RUN};
use crate::text::{self, Views};

pub(crate) use assignment::{credentials, each_cookie, is_secret_value, Place};
pub(crate) use card::TEST_CARDS;
pub(crate) use phone::Plan;
pub(crate) use token::Passed;
#[cfg(test)]
pub(crate) use token::{rows as token_rows, Row as TokenRow};

/// What the look at a candidate counts for, about.
const CANDIDATE: usize = 24;

/// What counts for a string, however short it is, and beyond that for one that is no word.
const WORD: usize = 16;
const STRING: usize = 64;

/// What counts beyond that for what stands on both sides of an `@`, and is read more than once.
const ADDRESS: usize = 40;

/// What counts for a match of a user's rule: the search for the next one may go far.
const RULE_MATCH: usize = 1024;

/// Bytes of the header of a string, at most.
const HEADER: usize = 5;

/// What was found, as offsets into the string. `rule` is the detector's [`Id`] as a number, or
/// behind the last of these the index of a user rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Match {
    pub(crate) start: usize,
    pub(crate) end: usize,
    pub(crate) rule: u16,
}

/// What the detectors are told of the configuration.
#[derive(Debug)]
pub(crate) struct Settings {
    pub(crate) set: Set,
    pub(crate) phone: Plan,
    /// Addresses of private, loopback and other special ranges count as well.
    pub(crate) reserved_ips: bool,
    pub(crate) user_rules: Vec<UserRule>,
    /// Those of `rules_file`.
    pub(crate) file_rules: Option<FileRules>,
}

impl Settings {
    /// How many rules of the user are tried on every text.
    pub(crate) fn tried_rules(&self) -> usize {
        let file = self.file_rules.as_ref();
        self.user_rules.len() + file.map_or(0, FileRules::tried_on_all)
    }

    /// Number of the first rule of the file, behind the detectors and the user's own.
    fn first_of_file(&self) -> usize {
        Id::Secret as usize + 1 + self.user_rules.len()
    }
}

/// What is looked for in a string.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    All,
    /// Names with their values, and what rules of a file find: what may be in several members of JSON.
    Names,
}

/// One string under inspection.
pub(crate) struct Inspection<'a> {
    pub(crate) text: &'a [u8],
    /// Name of the field that holds the string; empty if there is none.
    pub(crate) key: &'a [u8],
    settings: &'a Settings,
    budget: &'a Budget,
    keywords: &'a Keywords,
    context: &'a mut Context,
    found: &'a mut Vec<Match>,
    rejected: &'a mut Rejected,
}

/// Keeps a match of the rule `id`, or counts that its validator refused it.
#[inline]
fn keep(
    found: &mut Vec<Match>,
    rejected: &mut Rejected,
    id: usize,
    (start, end): (usize, usize),
    valid: bool,
) {
    if valid {
        found.push(Match {
            start,
            end,
            rule: id as u16,
        });
    } else {
        rejected.add(id);
    }
}

impl Inspection<'_> {
    fn wants(&self, id: Id) -> bool {
        self.settings.set.has(id)
    }

    /// Reports a match; `valid` is what the validator said of the candidate.
    fn report(&mut self, id: Id, start: usize, end: usize, valid: bool) -> bool {
        keep(self.found, self.rejected, id as usize, (start, end), valid);
        valid
    }

    /// Whether a keyword of `groups` may be near a number that starts at `start`.
    fn may_be_near(&mut self, start: usize, groups: u32) -> bool {
        self.context
            .may_be_near(self.keywords, self.text, self.key, start, groups)
    }

    /// Whether a keyword of `groups` is near.
    fn near(&mut self, start: usize, end: usize, groups: u32) -> bool {
        self.context
            .near(self.keywords, self.text, self.key, (start, end), groups)
    }

    /// Whether a keyword of `groups` begins at most `far` in front with nothing but words between:
    /// "call me at 5".
    fn introduced(&mut self, start: usize, groups: u32, far: usize) -> bool {
        let word = self
            .context
            .last_before(self.keywords, self.text, self.key, start, groups);
        let other = |b: &u8| b.is_ascii_digit() || matches!(b, b'/' | b'?' | b'&' | b'%');
        word.is_some_and(|word| start - word <= far && !self.text[word..start].iter().any(other))
    }

    /// Whether a keyword of `groups` starts at `at`.
    fn starts_with_keyword(&mut self, at: usize, groups: u32) -> bool {
        self.context.starts_at(self.keywords, self.text, at, groups)
    }
}

/// Finds matches; its buffers are kept from string to string.
#[derive(Debug)]
pub(crate) struct Finder {
    settings: Settings,
    keywords: Keywords,
    /// What the strings may cost.
    pub(crate) budget: Budget,
    prefixes: token::Prefixes,
    gate: Gate,
    text_shapes: Shapes,
    context: Context,
    groups: Vec<row::Group>,
    /// Those of the last string that was decoded.
    pub(crate) views: Views,
    done: Done,
    programs: assignment::Programs,
    /// Whether prefixes of tokens are to be looked for in the string, and whether they were.
    tokens: bool,
    tokens_done: bool,
    /// Whether something may be encoded in the last string that was searched.
    pub(crate) encoded: bool,
    /// Matches of the last string, overlaps included.
    pub(crate) found: Vec<Match>,
    /// Candidates in the last string that a validator refused, per rule.
    pub(crate) rejected: Rejected,
}

impl Finder {
    /// `None` if a fixed table does not compile, which no configuration causes.
    pub(crate) fn new(settings: Settings) -> Option<Self> {
        let set = settings.set;
        let text_shapes = shapes_of(set);
        let file = settings.file_rules.as_ref();
        let of_file = file.map_or(0, |file| file.rules().len());
        let rules = settings.first_of_file() + of_file;
        let gate = Gate::new();
        Some(Finder {
            budget: Budget::new(settings.tried_rules()),
            prefixes: token::Prefixes::new(set)?,
            keywords: Keywords::new(gate),
            gate,
            text_shapes,
            context: Context::default(),
            groups: Vec::new(),
            views: Views::default(),
            done: Done::default(),
            programs: assignment::Programs::default(),
            tokens: false,
            encoded: false,
            tokens_done: false,
            found: Vec::new(),
            rejected: Rejected::new(rules),
            settings,
        })
    }

    /// Starts a batch that may take `time`.
    pub(crate) fn start_batch(&mut self, time: Option<Duration>) {
        self.budget.start(time);
        self.views.forget();
    }

    /// Settings it was made with.
    pub(crate) fn settings(&self) -> &Settings {
        &self.settings
    }

    /// At the start of raw msgpack.
    pub(crate) fn cursor(&self) -> Cursor {
        let shapes = Shapes {
            int: self.text_shapes.number,
            ..self.text_shapes
        };
        Cursor::new(self.gate, shapes)
    }

    /// Whether a candidate of the string under inspection is in what was looked at before.
    #[inline]
    pub(crate) fn is_done(&self, (kind, at): (Kind, usize)) -> bool {
        let done = match kind {
            Kind::At => self.done.at,
            Kind::Code => self.done.code,
            Kind::Mac => self.done.mac,
            Kind::Number | Kind::Phone => self.done.number,
            Kind::Assign => self.done.assign,
            Kind::Escape => self.done.escape,
            // All of the string is searched for them, once.
            Kind::Token => return self.tokens,
            _ => 0,
        };
        at < done
    }

    /// Whether a candidate of raw msgpack is ruled out by the bytes around it, whichever of them are in
    /// its text.
    #[inline]
    pub(crate) fn is_ruled_out(
        &self,
        chunk: &[u8],
        (kind, at): (Kind, usize),
        passed: &Passed,
        runs: impl FnOnce() -> Runs,
    ) -> bool {
        match kind {
            Kind::At => !url::or_email_plausible(chunk, at),
            Kind::Mac => !network::mac_plausible(chunk, at),
            Kind::Token | Kind::Long => {
                // The length of the text may look like a part of its first run.
                let before = at.checked_sub(RUN + HEADER).map(|from| &chunk[from..at]);
                before.is_some_and(<[u8]>::is_ascii)
                    && match kind {
                        Kind::Long => !coin::plausible(chunk, at),
                        _ => {
                            let known = (passed, &self.budget);
                            !self.prefixes.plausible(chunk, at, runs(), known)
                        }
                    }
            }
            _ => false,
        }
    }

    /// Whether a candidate in `text` is not ruled out by the bytes around it. `runs` are those of its
    /// window.
    #[inline]
    pub(crate) fn is_plausible(
        &self,
        text: &[u8],
        (kind, at): (Kind, usize),
        passed: &Passed,
        runs: impl FnOnce() -> Runs,
    ) -> bool {
        match kind {
            Kind::At => url::or_email_plausible(text, at),
            Kind::Assign => assignment::plausible(text, at, &self.budget),
            // In raw msgpack a header may stand in front.
            Kind::Escape => text::is_escape(text, at),
            Kind::Number => number::plausible(text, at),
            Kind::Long => coin::plausible(text, at),
            Kind::Code => code::plausible(text, at, &self.budget),
            Kind::Mac => network::mac_plausible(text, at),
            Kind::Token => {
                let known = (passed, &self.budget);
                self.prefixes.plausible(text, at, runs(), known)
            }
            Kind::Phone => phone::plausible(text, at),
            Kind::Ipv4 | Kind::Ipv6 => true,
            Kind::Int => false,
        }
    }

    /// Whether a text, the value of the field `key`, has anything in it.
    pub(crate) fn finds_any(&mut self, text: &[u8], key: &[u8]) -> bool {
        self.finds(text, key, 0)
    }

    /// The same; escapes in front of `seen` are left alone.
    fn finds(&mut self, text: &[u8], key: &[u8], seen: usize) -> bool {
        let mut cursor = Cursor::new(self.gate, self.text_shapes);
        let mut any = false;
        self.start();
        self.done.escape = seen;
        self.budget.look(WORD + STRING + text.len());
        while let Some(candidate) = cursor.next(text).filter(|_| !any) {
            if self.budget.is_spent() {
                break;
            }
            if self.is_done(candidate)
                || !self.is_plausible(text, candidate, &self.done.passed, || cursor.runs(0))
            {
                continue;
            }
            any = self.confirms(text, key, candidate);
            if any {
                break;
            }
            cursor.pass_numbers(self.done.number);
        }
        if !any && seen == 0 {
            any = self.finds_of_file(text, 0);
        }
        self.start();
        any
    }

    /// What may be a match of a rule of the file next, where the scan is in a batch.
    pub(crate) fn next_of_file(&self, scan: &mut Scan, chunk: &[u8]) -> Option<Sighting> {
        let file = self.settings.file_rules.as_ref()?;
        file.next(scan, chunk)
    }

    /// Whether a record may have something that a rule of the file finds.
    pub(crate) fn may_be_of_file(&self, record: &[u8]) -> bool {
        let file = self.settings.file_rules.as_ref();
        file.is_some_and(|file| file.may_match(record, &self.budget))
    }

    /// Whether a rule of the file may have a match at a sighting in a text.
    pub(crate) fn may_be_of_file_at(
        &self,
        text: &[u8],
        sighting: Sighting,
        checks: &mut Checks,
    ) -> bool {
        let file = self.settings.file_rules.as_ref();
        file.is_some_and(|file| file.may_match_at(text, sighting, &self.budget, checks))
    }

    /// Whether a rule of the file finds something in a text, in whose first `passed` bytes there
    /// is nothing to see for it. What it refuses is counted.
    pub(crate) fn finds_of_file(&mut self, text: &[u8], passed: usize) -> bool {
        let first = self.settings.first_of_file();
        let mut any = false;
        if let Some(file) = &mut self.settings.file_rules {
            file.find(text, passed, &self.budget, |number, _, valid| {
                any |= valid;
                if !valid {
                    self.rejected.add(first + number);
                }
            });
        }
        any
    }

    /// Whether a match is that of a rule of the file.
    pub(crate) fn is_of_file(&self, rule: u16) -> bool {
        usize::from(rule) >= self.settings.first_of_file()
    }

    /// Whether an integer, the value of the field `key`, is anything.
    pub(crate) fn finds_number(&mut self, n: u64, key: &[u8]) -> bool {
        if !is_number_plausible(n, key) {
            return false;
        }
        let mut buffer = [0; 20];
        let digits = digits_of(n, &mut buffer);
        self.find(digits, key, Part::All);
        let whole = |found: &Match| found.start == 0 && found.end == digits.len();
        self.found.iter().any(whole)
    }

    /// Forgets the string before.
    pub(crate) fn start(&mut self) {
        self.found.clear();
        self.rejected.clear();
        self.context.reset();
        self.done = Done::default();
        self.programs.reset();
        (self.tokens, self.tokens_done) = (false, false);
        self.encoded = false;
    }

    /// Whether there is a match at a candidate in `text`, the value of the field `key`. The calls of
    /// one string come in ascending order, behind one of [`Finder::start`]. A candidate that only all
    /// of the text can tell about is taken for a match.
    pub(crate) fn confirms(&mut self, text: &[u8], key: &[u8], candidate: (Kind, usize)) -> bool {
        match candidate.0 {
            Kind::Int => return true,
            // JSON with texts in it: what its members are called counts.
            Kind::Escape if is_container(text) => return true,
            Kind::Escape => return self.confirms_view(text, key),
            _ => {}
        }
        self.verify(text, key, candidate);
        self.find_tokens(text, key);
        !self.found.is_empty()
    }

    /// Whether there is a match in a view of `text`. What is found in the text itself stays.
    fn confirms_view(&mut self, text: &[u8], key: &[u8]) -> bool {
        let done = std::mem::replace(&mut self.done.escape, text.len());
        if done > 0 {
            return false;
        }
        let mut views = std::mem::take(&mut self.views);
        // Each view has those behind it taken off already.
        let count = views.decode(text, &self.budget);
        let first = (0..count).find(|n| {
            let view = views.text(*n);
            views.is_worth_a_look(*n)
                && (self.finds(view, key, usize::MAX)
                    || self.settings.file_rules.is_some() && self.finds_of_file(view, 0))
        });
        if let Some(clean) = first {
            views.keep(text, clean);
        }
        self.views = views;
        // The text itself is looked at from the start.
        self.done.escape = text.len();
        first.is_some()
    }

    /// Looks for prefixes of tokens in the string, if it may have some.
    fn find_tokens(&mut self, text: &[u8], key: &[u8]) {
        if self.tokens && !std::mem::replace(&mut self.tokens_done, true) {
            self.prefixes.find(&mut Inspection {
                text,
                key,
                settings: &self.settings,
                budget: &self.budget,
                keywords: &self.keywords,
                context: &mut self.context,
                found: &mut self.found,
                rejected: &mut self.rejected,
            });
        }
    }

    /// Where no prefix of a token begins in the string.
    pub(crate) fn passed(&self) -> &Passed {
        &self.done.passed
    }

    /// How far the numbers of the string were looked at.
    pub(crate) fn numbers_done(&self) -> usize {
        self.done.number
    }

    /// Replaces [`Finder::found`] with every match in `text`, the value of the field `key`.
    pub(crate) fn find(&mut self, text: &[u8], key: &[u8], part: Part) {
        self.start();
        self.budget.look(WORD + text.len());
        if !is_short_word(text) {
            self.budget.look(STRING);
            self.find_candidates(text, key, part);
        }
        if part == Part::All {
            self.find_of_user(text);
        }
        let first = self.settings.first_of_file();
        if let Some(file) = &mut self.settings.file_rules {
            file.find(text, 0, &self.budget, |number, span, valid| {
                keep(
                    &mut self.found,
                    &mut self.rejected,
                    first + number,
                    span,
                    valid,
                );
            });
        }
    }

    /// Adds what the detectors find.
    fn find_candidates(&mut self, text: &[u8], key: &[u8], part: Part) {
        let shapes = match part {
            Part::All => self.text_shapes,
            Part::Names => Shapes {
                assign: self.text_shapes.assign,
                ..Shapes::default()
            },
        };
        let mut cursor = Cursor::new(self.gate, shapes);
        while let Some(candidate) = cursor.next(text) {
            if self.budget.is_spent() {
                return;
            }
            if candidate.0 == Kind::Escape {
                // One is enough for a look at the views.
                if !self.encoded && text::is_escape(text, candidate.1) {
                    self.encoded = true;
                    cursor.pass_escapes();
                }
                continue;
            }
            if !self.is_done(candidate)
                && self.is_plausible(text, candidate, &self.done.passed, || cursor.runs(0))
            {
                self.verify(text, key, candidate);
                cursor.pass_numbers(self.done.number);
            }
        }
        if part == Part::All {
            self.find_tokens(text, key);
        }
    }

    /// Adds what the rules of the user find.
    fn find_of_user(&mut self, text: &[u8]) {
        for (index, rule) in self.settings.user_rules.iter().enumerate() {
            let id = Id::Secret as usize + 1 + index;
            self.budget.look(text.len());
            rule.find(text, |start, end, valid| {
                self.budget.look(RULE_MATCH);
                keep(&mut self.found, &mut self.rejected, id, (start, end), valid);
                !self.budget.is_spent()
            });
        }
    }

    /// Offers a candidate to the families.
    #[inline]
    fn verify(&mut self, text: &[u8], key: &[u8], (kind, at): (Kind, usize)) {
        self.budget.look(CANDIDATE);
        let done = &mut self.done;
        let i = &mut Inspection {
            text,
            key,
            settings: &self.settings,
            budget: &self.budget,
            keywords: &self.keywords,
            context: &mut self.context,
            found: &mut self.found,
            rejected: &mut self.rejected,
        };
        match kind {
            Kind::At => {
                i.budget.look(ADDRESS);
                url::find(i, at, &mut done.url);
                email::find(i, at, &mut done.email);
                if done.url.1.is_none() {
                    done.at = url::chain(text, at);
                    i.budget.look(done.at.saturating_sub(at));
                }
            }
            Kind::Number | Kind::Phone => {
                number::find(i, self.gate, at, &mut self.groups, &mut done.number);
            }
            Kind::Code => code::find(i, at, &mut done.code),
            Kind::Long => coin::find(i, at),
            Kind::Assign => {
                self.tokens |= assignment::find(
                    i,
                    at,
                    &mut self.programs,
                    &mut done.listed,
                    &mut done.assign,
                );
            }
            Kind::Ipv4 => network::find_ipv4(i, at, &mut done.ip),
            Kind::Ipv6 => network::find_ipv6(i, at, &mut done.ip),
            Kind::Mac => network::find_mac(i, at, &mut done.mac),
            Kind::Token => self.tokens = true,
            Kind::Escape | Kind::Int => {}
        }
    }
}

/// Whether an integer, the value of the field `key`, has at least eight digits, or seven if it may be a
/// phone number, and no more than a card has.
pub(crate) fn is_number_plausible(n: u64, key: &[u8]) -> bool {
    match n {
        0..=999_999 => false,
        1_000_000..=9_999_999 => class_of_name(key) == NameClass::Phone,
        _ => n < 10_000_000_000_000_000_000,
    }
}

/// Whether a text is a word in which no detector finds anything: most names of members are.
fn is_short_word(text: &[u8]) -> bool {
    text.len() < RUN && text.iter().all(|b| b.is_ascii_alphabetic() || *b == b'_')
}

/// Whether a text may be an object or an array of JSON.
fn is_container(text: &[u8]) -> bool {
    let text = text.trim_ascii();
    matches!(
        (text.first(), text.last()),
        (Some(b'{'), Some(b'}')) | (Some(b'['), Some(b']'))
    )
}

/// The number that a float is, if it is whole and as long as numbers are that somebody has: spreadsheets
/// and JSON make such of cards.
pub(crate) fn whole(bits: u64) -> Option<u64> {
    let float = f64::from_bits(bits);
    let long = (1e7..1e17).contains(&float);
    (long && float.fract() == 0.0).then_some(float as u64)
}

/// The digits of an integer.
pub(crate) fn digits_of(n: u64, buffer: &mut [u8; 20]) -> &[u8] {
    let mut first = buffer.len();
    let mut rest = n;
    while rest > 0 || first == buffer.len() {
        first -= 1;
        buffer[first] = b'0' + (rest % 10) as u8;
        rest /= 10;
    }
    &buffer[first..]
}

/// How far each family has come in a string, so that no byte is verified twice.
#[derive(Clone, Debug, Default)]
struct Done {
    /// The last of a chain of `@`.
    at: usize,
    email: usize,
    url: (usize, Option<usize>),
    number: usize,
    code: usize,
    assign: usize,
    /// Where a list ends that may be one of columns.
    listed: usize,
    ip: usize,
    mac: usize,
    passed: Passed,
    /// All of the string, once its views were looked at.
    escape: usize,
}

fn shapes_of(set: Set) -> Shapes {
    use Id::{
        Aadhaar, Aba, AzureKey, Btc, Card, Cnpj, CodiceFiscale, Cpf, DeTax, Dea, Dni, Email, Eth,
        Iban, InPan, Itin, Nhs, Nie, Nino, Nir, Npi, Password, Phone, Secret, Sin, Ssn,
        UrlCredentials,
    };
    Shapes {
        at: set.any(&[Email, UrlCredentials]),
        number: set.any(&[
            Aadhaar, Aba, Card, Cnpj, Cpf, DeTax, Iban, Itin, Nhs, Nir, Npi, Phone, Sin, Ssn,
        ]),
        phone: set.has(Phone),
        code: set.any(&[Iban, CodiceFiscale, Nino, InPan, Dea, Dni, Nie, Nir]),
        long: set.any(&[Btc, Eth]),
        token: token::wanted(set),
        assign: set.any(&[Password, Secret, AzureKey]),
        escape: true,
        ip: set.has(Id::Ip),
        mac: set.has(Id::Mac),
        int: false,
    }
}
