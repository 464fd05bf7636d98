//! Whether a match can begin at a place, told from there on.

use std::cell::{OnceCell, RefCell};

use regex_automata::hybrid::dfa::{Cache, DFA};
use regex_automata::nfa::thompson::{self, WhichCaptures};
use regex_automata::{Anchored, Input, MatchKind};
use regex_syntax::hir::Hir;

/// Largest automaton, in bytes; without one, everything may be a match.
const MAX_AUTOMATON: usize = 1 << 20;
/// What it may keep of what it has seen, in bytes: it is asked about a few bytes at a time.
const MAX_CACHE: usize = 128 << 10;
/// How often that may be thrown away before it is no use.
const MAX_CLEARED: usize = 8;
/// So far is looked.
const FAR: usize = 128;

/// An automaton, and what it has seen.
type Automaton = (DFA, RefCell<Cache>);

/// The end of an expression, from a word of it on; compiled when it is first asked for.
#[derive(Debug)]
pub(super) struct Tail {
    hir: Hir,
    automaton: OnceCell<Option<Automaton>>,
}

impl Tail {
    pub(super) fn new(hir: Hir) -> Self {
        Tail {
            hir,
            automaton: OnceCell::new(),
        }
    }

    /// Whether a match may begin at `start`, and how many bytes it took to tell.
    pub(super) fn may_begin(&self, text: &[u8], start: usize) -> (bool, usize) {
        let automaton = self.automaton.get_or_init(|| compile(&self.hir));
        let Some((dfa, cache)) = automaton else {
            return (true, 1);
        };
        let Ok(mut cache) = cache.try_borrow_mut() else {
            return (true, 1);
        };
        let mut looked = 0;
        let may = begins(dfa, &mut cache, text, start, &mut looked);
        // What can not be told may be.
        (may.unwrap_or(true), looked + 1)
    }
}

fn begins(
    dfa: &DFA,
    cache: &mut Cache,
    text: &[u8],
    start: usize,
    looked: &mut usize,
) -> Option<bool> {
    let input = Input::new(text)
        .span(start..text.len())
        .anchored(Anchored::Yes);
    let mut state = dfa.start_state_forward(cache, &input).ok()?;
    for byte in &text[start..] {
        if *looked == FAR {
            return None;
        }
        *looked += 1;
        state = dfa.next_state(cache, state, *byte).ok()?;
        if state.is_tagged() {
            if state.is_match() {
                return Some(true);
            }
            if state.is_dead() {
                return Some(false);
            }
            if state.is_quit() {
                return None;
            }
        }
    }
    Some(dfa.next_eoi_state(cache, state).ok()?.is_match())
}

fn compile(hir: &Hir) -> Option<Automaton> {
    let nfa = thompson::Compiler::new()
        .configure(
            thompson::Config::new()
                .utf8(false)
                .which_captures(WhichCaptures::None)
                .nfa_size_limit(Some(MAX_AUTOMATON)),
        )
        .build_from_hir(hir)
        .ok()?;
    let config = DFA::config()
        .match_kind(MatchKind::All)
        .cache_capacity(MAX_CACHE)
        .skip_cache_capacity_check(true)
        .minimum_cache_clear_count(Some(MAX_CLEARED));
    let dfa = DFA::builder().configure(config).build_from_nfa(nfa).ok()?;
    let cache = dfa.create_cache();
    Some((dfa, RefCell::new(cache)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_begins_at_a_place_is_told_up_to_the_end_of_the_text() {
        for (pattern, text, start, expected) in [
            (r"\bab{3}\b", "abbb", 0, true),
            (r"\bab{3}\b", "xabbb", 1, false),
            (r"\bab{3}\b", "abbbb", 0, false),
            (r"ab{3}(?:;|$)", "abbb", 0, true),
            (r"ab{3}(?:;|$)", "abbbx", 0, false),
            // Too far to tell.
            (r"a.{300}x", &"a".repeat(400), 0, true),
            (r"a.{100}x", &"a".repeat(400), 0, false),
        ] {
            let hir = regex_syntax::ParserBuilder::new()
                .unicode(false)
                .utf8(false)
                .build()
                .parse(pattern)
                .unwrap();
            let (found, looked) = Tail::new(hir).may_begin(text.as_bytes(), start);
            assert_eq!(found, expected, "{pattern} in {text}");
            assert!(looked <= FAR + 1, "{looked}");
        }
    }
}
