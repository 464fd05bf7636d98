//! The candidates of the gate in a batch, and which of them are worth a look at the whole record.

use flb_sidecar_sdk::event::Record;
use flb_sidecar_sdk::msgpack::{self, Value};

use super::place::{Held, Place, Walk};
use crate::detect::{whole, Finder, Passed};
use crate::inspect::Inspector;
use crate::name::{class_of_name, is_argument};
use crate::rules_file::{Checks, Scan, Sighting};
use crate::scan::{Cursor, Kind};

/// What the way to the string of a candidate counts for, and that it is begun.
const WALK: usize = 32;

/// Goes through the candidates of a batch.
#[derive(Debug)]
pub(super) struct Candidates {
    cursor: Cursor,
    /// The first one that was not passed yet.
    next: Option<(Kind, usize)>,
    /// The string whose candidates were looked at last.
    place: Place,
    walk: Walk,
    /// Where no prefix of a token begins in the batch.
    passed: Passed,
    /// What a rule of the file may have a match at, and was not passed yet.
    scan: Scan,
    of_file: Option<Sighting>,
}

impl Candidates {
    pub(super) fn new(finder: &Finder) -> Self {
        Candidates {
            cursor: finder.cursor(),
            next: None,
            place: Place::default(),
            walk: Walk::default(),
            passed: Passed::default(),
            scan: Scan::default(),
            of_file: None,
        }
    }

    /// Goes to the first candidate of a batch.
    pub(super) fn start(&mut self, finder: &Finder, chunk: &[u8]) {
        self.cursor.restart();
        self.scan.start(0);
        self.of_file = finder.next_of_file(&mut self.scan, chunk);
        self.place = Place::default();
        self.passed = Passed::default();
        self.advance(chunk);
    }

    fn advance(&mut self, chunk: &[u8]) {
        self.next = self.cursor.next(chunk);
    }

    /// Whether there is none any more, nor one of the file.
    pub(super) fn is_empty(&self) -> bool {
        self.next.is_none() && self.of_file.is_none()
    }

    /// Goes on to what is seen at `at` or behind it.
    fn pass_of_file(&mut self, finder: &Finder, chunk: &[u8], at: usize) {
        while self.of_file.is_some_and(|seen| seen.at < at) {
            self.of_file = finder.next_of_file(&mut self.scan, chunk);
        }
    }

    /// Whether a rule of the file may have a match in a record.
    pub(super) fn may_be_of_file(
        &mut self,
        finder: &Finder,
        chunk: &[u8],
        record: &Record,
    ) -> bool {
        self.pass_of_file(finder, chunk, record.body);
        self.of_file.is_some_and(|seen| seen.at < record.end)
    }

    /// Whether there is one in front of `end`.
    pub(super) fn any_before(&self, end: usize) -> bool {
        self.next.is_some_and(|next| next.1 < end)
    }

    /// Passes those in front of `at`.
    pub(super) fn seek(&mut self, chunk: &[u8], at: usize) {
        if self.any_before(at) {
            self.cursor.pass(at);
            self.advance(chunk);
        }
    }

    /// Whether one in the string at `start..end` is not ruled out at a glance.
    pub(super) fn any_in(
        &mut self,
        finder: &Finder,
        chunk: &[u8],
        start: usize,
        end: usize,
    ) -> bool {
        self.seek(chunk, start);
        while let Some((kind, at)) = self.next.filter(|next| next.1 < end) {
            let (text, candidate) = (&chunk[start..end], (kind, at - start));
            let runs = || self.cursor.runs(start);
            if finder.is_plausible(text, candidate, &Passed::default(), runs) {
                return true;
            }
            self.advance(chunk);
        }
        false
    }

    /// Whether one in the record stands a look at the string that it is in. Those that do not are
    /// passed, and what validators refused is counted.
    pub(super) fn confirm(
        &mut self,
        inspector: &mut Inspector,
        chunk: &[u8],
        record: &Record,
    ) -> bool {
        self.seek(chunk, record.body);
        self.walk.start(record.body);
        while let Some(next @ (_, at)) = self.next.filter(|next| next.1 < record.end) {
            let text = self.place.text();
            if inspector.finder.budget.is_spent() {
                return false;
            }
            if !text.is_some_and(|text| (text.0..text.1).contains(&at)) {
                let runs = || self.cursor.runs(0);
                if inspector
                    .finder
                    .is_ruled_out(chunk, next, &self.passed, runs)
                {
                    self.advance(chunk);
                    continue;
                }
                inspector.count_rejected();
                let from = self.walk.at();
                let place = self.walk.to(chunk, at);
                inspector
                    .finder
                    .budget
                    .look(WALK + self.walk.at().saturating_sub(from));
                match place {
                    Some(place) => self.place = place,
                    None => return true,
                }
                inspector.finder.start();
            }
            if self.is_confirmed(&mut inspector.finder, chunk, next) {
                // The look at the record counts again what was refused in this string.
                inspector.finder.start();
                self.place = Place::default();
                return true;
            }
            self.advance(chunk);
        }
        self.may_be_of_file(&inspector.finder, chunk, record)
            && self.of_file(inspector, chunk, record)
    }

    /// Whether a rule of the file finds something in a string of the record. Nesting does not matter.
    fn of_file(&mut self, inspector: &mut Inspector, chunk: &[u8], record: &Record) -> bool {
        let mut next = record.body;
        while let Some((value, end)) = msgpack::read(chunk, next).filter(|_| next < record.end) {
            next = end;
            let (Value::String { start, end } | Value::Binary { start, end }) = value else {
                continue;
            };
            let text = &chunk[start..end];
            let mut checks = Checks::new(text);
            while let Some(seen) = self.of_file.filter(|seen| seen.at < end) {
                let finder = &mut inspector.finder;
                if finder.budget.is_spent() {
                    return false;
                }
                let may = seen
                    .behind(start)
                    .is_some_and(|seen| finder.may_be_of_file_at(text, seen, &mut checks));
                if may {
                    if finder.finds_of_file(text, seen.at - start) {
                        // The look at the record counts again what was refused.
                        finder.start();
                        return true;
                    }
                    inspector.count_rejected();
                }
                // After a look at all of the string, what else is seen in it says nothing new.
                let passed = if may { end } else { seen.at };
                self.of_file = inspector.finder.next_of_file(&mut self.scan, chunk);
                self.pass_of_file(&inspector.finder, chunk, passed);
            }
            if self.of_file.is_none_or(|seen| seen.at >= record.end) {
                return false;
            }
        }
        false
    }

    fn is_confirmed(
        &mut self,
        finder: &mut Finder,
        chunk: &[u8],
        (kind, at): (Kind, usize),
    ) -> bool {
        let Place { value, key } = self.place;
        let key = &chunk[key.0..key.1];
        let (start, end) = match value {
            Held::Text { start, end } if at >= start => (start, end),
            Held::Unsigned(n) if kind == Kind::Int => return finder.finds_number(n, key),
            Held::Float(bits) if kind == Kind::Int => {
                return whole(bits).is_some_and(|n| finder.finds_number(n, key));
            }
            // The header of what stands under a key.
            _ => {
                let named = class_of_name(key).is_secret() || is_argument(chunk, at);
                return kind == Kind::Assign && named;
            }
        };
        let (text, candidate) = (&chunk[start..end], (kind, at - start));
        let plausible = !finder.is_done(candidate)
            && finder.is_plausible(text, candidate, finder.passed(), || self.cursor.runs(start));
        if !plausible {
            return false;
        }
        let confirmed = finder.confirms(text, key, candidate);
        self.cursor.pass_numbers(start + finder.numbers_done());
        confirmed
    }
}
