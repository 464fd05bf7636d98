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

use crate::catalog::{Id, Set};
use crate::keywords::{group, Context, Keywords};
use crate::name::{class_of_name, NameClass};
use crate::rules::UserRule;
use crate::scan::{Gate, Kind, Shapes};

pub(crate) use assignment::{credentials, is_secret_value};
pub(crate) use card::TEST_CARDS;
pub(crate) use phone::Plan;

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
}

/// One string under inspection.
pub(crate) struct Inspection<'a> {
    pub(crate) text: &'a [u8],
    /// Name of the field that holds the string; empty if there is none.
    pub(crate) key: &'a [u8],
    gate: Gate,
    settings: &'a Settings,
    keywords: &'a Keywords,
    context: &'a mut Context,
    found: &'a mut Vec<Match>,
    rejected: &'a mut [u64],
}

impl Inspection<'_> {
    fn wants(&self, id: Id) -> bool {
        self.settings.set.has(id)
    }

    /// Reports a match; `valid` is what the validator said of the candidate.
    fn report(&mut self, id: Id, start: usize, end: usize, valid: bool) -> bool {
        if valid {
            self.found.push(Match {
                start,
                end,
                rule: id as u16,
            });
        } else {
            self.rejected[id as usize] += 1;
        }
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
    prefixes: token::Prefixes,
    gate: Gate,
    text_shapes: Shapes,
    context: Context,
    groups: Vec<row::Group>,
    /// Matches of the last string, overlaps included.
    pub(crate) found: Vec<Match>,
    /// Candidates in the last string that a validator refused, per rule.
    pub(crate) rejected: Vec<u64>,
    /// The last string has a byte that may begin an encoding.
    pub(crate) encoded: bool,
}

impl Finder {
    /// `None` if a fixed table does not compile, which no configuration causes.
    pub(crate) fn new(settings: Settings) -> Option<Self> {
        let set = settings.set;
        let text_shapes = shapes_of(set);
        let rules = Id::Secret as usize + 1 + settings.user_rules.len();
        let gate = Gate::new();
        Some(Finder {
            prefixes: token::Prefixes::new(set)?,
            keywords: Keywords::new(gate),
            gate,
            text_shapes,
            context: Context::default(),
            groups: Vec::new(),
            found: Vec::new(),
            rejected: vec![0; rules],
            encoded: false,
            settings,
        })
    }

    /// Settings it was made with.
    pub(crate) fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Whether the value of a field is to be looked at because of its name. The gate says the same of
    /// such a name in front of its value.
    pub(crate) fn announces(&self, key: &[u8]) -> bool {
        let class = class_of_name(key);
        class != NameClass::Plain && self.settings.set.has(class.id())
    }

    /// Whether a name has a word that goes with phones. What is near it in a record is not seen in a
    /// text alone.
    pub(crate) fn speaks_of_phones(&self, key: &[u8]) -> bool {
        self.text_shapes.phone && self.keywords.of_key(key) & (group::PHONE | group::CALL) != 0
    }

    /// Offset of the first byte at or after `from` of raw msgpack that could be sensitive.
    pub(crate) fn first_candidate(&self, chunk: &[u8], from: usize) -> Option<usize> {
        let shapes = Shapes {
            int: self.text_shapes.number,
            ..self.text_shapes
        };
        let mut first = None;
        self.gate.windows(chunk, from, shapes, |at, hits| {
            first = hits.first(chunk, at, shapes, |kind, position| match kind {
                Kind::Token => self.prefixes.plausible(chunk, position, at, hits.words()),
                Kind::Phone => phone::plausible(&self.keywords, chunk, position),
                _ => plausible(chunk, kind, position),
            });
            first.is_some()
        });
        first
    }

    /// Replaces [`Finder::found`] with every match in `text`, the value of the field `key`, or one of
    /// its elements: `near` if it directly follows the name.
    pub(crate) fn find(&mut self, text: &[u8], key: &[u8], near: bool) {
        self.found.clear();
        self.rejected.fill(0);
        self.context.reset(near);
        let mut inspection = Inspection {
            text,
            key,
            gate: self.gate,
            settings: &self.settings,
            keywords: &self.keywords,
            context: &mut self.context,
            found: &mut self.found,
            rejected: &mut self.rejected,
        };
        let groups = &mut self.groups;
        let mut done = Done::default();
        let mut tokens = false;
        let mut encoded = false;
        let prefixes = &self.prefixes;
        let (gate, shapes) = (self.gate, self.text_shapes);
        if text.len() <= FIELD && class_of_name(key) == NameClass::Phone && shapes.phone {
            phone::find_named(&mut inspection, 0, text.len());
            let digits = text.iter().enumerate().filter(|(_, b)| b.is_ascii_digit());
            for (at, _) in digits {
                number::find(&mut inspection, at, groups, &mut done.number);
            }
        }
        gate.windows(text, 0, shapes, |window, hits| {
            hits.pass_numbers(window, done.number);
            let words = hits.words();
            hits.each(text, window, shapes, |kind, at| {
                let i = &mut inspection;
                match kind {
                    Kind::At => {
                        url::find(i, at, &mut done.url);
                        email::find(i, at, &mut done.email);
                    }
                    Kind::Number | Kind::Phone => {
                        number::find(i, at, groups, &mut done.number);
                    }
                    Kind::Code => code::find(i, at, &mut done.code),
                    Kind::Long => coin::find(i, at),
                    Kind::Assign => tokens |= assignment::find(i, at, &mut done.assign),
                    Kind::Ipv4 => network::find_ipv4(i, at, &mut done.ip),
                    Kind::Ipv6 => network::find_ipv6(i, at, &mut done.ip),
                    Kind::Mac => network::find_mac(i, at, &mut done.mac),
                    Kind::Token => {
                        tokens = tokens || prefixes.worth(text, at, window, words);
                    }
                    Kind::Escape => encoded = true,
                    Kind::Int => {}
                }
                done.number
            });
            false
        });
        self.encoded = encoded;
        if tokens {
            prefixes.find(&mut inspection);
        }
        for (index, rule) in self.settings.user_rules.iter().enumerate() {
            let id = Id::Secret as usize + 1 + index;
            rule.find(text, |start, end, valid| {
                if valid {
                    self.found.push(Match {
                        start,
                        end,
                        rule: id as u16,
                    });
                } else {
                    self.rejected[id] += 1;
                }
            });
        }
    }
}

/// Whether a candidate in raw msgpack needs a closer look.
#[inline]
fn plausible(chunk: &[u8], kind: Kind, at: usize) -> bool {
    match kind {
        Kind::At => url::or_email_plausible(chunk, at),
        Kind::Assign => assignment::plausible(chunk, at),
        Kind::Escape => crate::text::is_escape(chunk, at),
        Kind::Int => number::integer_plausible(chunk, at),
        Kind::Number => number::plausible(chunk, at),
        Kind::Long => coin::plausible(chunk, at),
        Kind::Code => code::plausible(chunk, at),
        Kind::Mac => network::mac_plausible(chunk, at),
        Kind::Token | Kind::Phone | Kind::Ipv4 | Kind::Ipv6 => true,
    }
}

/// Longest value of a field for phone numbers in which every digit is looked at.
const FIELD: usize = 64;

/// How far each family has come in a string, so that no byte is verified twice.
#[derive(Clone, Copy, Debug, Default)]
struct Done {
    email: usize,
    url: (usize, Option<usize>),
    number: usize,
    code: usize,
    assign: usize,
    ip: usize,
    mac: usize,
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
        assign: set.any(&[Password, Secret, AzureKey, Phone]),
        escape: true,
        ip: set.has(Id::Ip),
        mac: set.has(Id::Mac),
        int: false,
    }
}
