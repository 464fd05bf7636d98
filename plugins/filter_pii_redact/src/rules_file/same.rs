//! What the rules of a file find is what their expressions find, each tried on every text by itself.
//!
//! `PII_RULES=file` takes other rules than those here, such as those of gitleaks, and
//! `PROPTEST_CASES` another number of texts.

use flb_sidecar_sdk::msgpack;
use proptest::prelude::*;
use proptest::string::bytes_regex_parsed;
use regex_syntax::hir::{Capture, Hir, HirKind, Repetition};
use regex_syntax::ParserBuilder;

use super::*;

/// A rule of every shape that is looked for in a way of its own; none that is tried on every text.
const FILE: &str = r##"
[[rules]]
id = "name"
regex = '''(?i)[\w.-]{0,50}?(?:shop|till(?:er)?)(?:[ \t\w.-]{0,20})[\s'"]{0,3}(?:=|>|:{1,3}=|\|\||:|=>|\?=|,)[\x60'"\s=]{0,5}([a-z0-9]{16}|q[a-z0-9+/]{11,}={0,3})(?:[\x60'"\s;]|\\[nr]|$)'''
keywords = ["shop", "till"]
[[rules]]
id = "name-and-token"
regex = '''(?i)[\w.-]{0,50}?(?:(?-i:BANK|[Bb]ank))(?:[ \t\w.-]{0,20})[\s'"]{0,3}(?:=|:)[\x60'"\s=]{0,5}([0-9a-f]{24})(?:\s|$)|\b(TEL3[A-Za-z0-9_\-=]{20})(?:\s|$)'''
keywords = ["bank", "tel3"]
[[rules]]
id = "quoted-name"
regex = '''(?i)till_pin["']?[ \t]{0,3}(?:=>|[:=])[ \t]?"([a-z0-9=_-]{8,20})"'''
keywords = ["till_pin", "pin"]
[[rules]]
id = "nested"
regex = '''[\w.-]{0,50}?(?i:[\w.-]{0,50}?(?:(?-i:[Ss]umo|SUMO))(?:[ \t\w.-]{0,20})[\s'"]{0,3})(?:=|>|:|,)[\x60'"\s=]{0,5}(su[a-zA-Z0-9]{12})(?:[\x60'"\s;]|$)'''
keywords = ["sumo"]
[[rules]]
id = "token"
regex = '''\b((?:qa|qb|x[cd])_(?i)[a-z0-9]{20})\b'''
keywords = ["qa_", "qb_", "xc_", "xd_"]
[[rules]]
id = "short-word"
regex = '''\b((?:hvs\.[\w-]{30,40}|s\.(?i:[a-z0-9]{24})))(?:[\x60'"\s;]|\\[nr]|$)'''
keywords = ["hvs.", "s."]
[[rules]]
id = "word-in-the-middle"
regex = '''(?:^|[\\'"\x60\s>=:(,)])([a-zA-Z0-9_~.]{3}\dQ~[a-zA-Z0-9_~.-]{31,34})(?:$|[\\'"\x60\s<),])'''
keywords = ["q~"]
[[rules]]
id = "word-at-the-end"
regex = '''\b([A-Za-z0-9]{6}_[A-Za-z0-9]{9}_mmk)(?:\s|$)'''
keywords = ["_mmk"]
[[rules]]
id = "keyword-elsewhere"
regex = '''\b(\d{15,16}(?:\||%)[0-9a-z_-]{27,40})\b'''
keywords = ["book"]
[[rules]]
id = "token-and-keyword"
regex = '''\b(pat[[:alnum:]]{14}\.[a-f0-9]{24})\b'''
keywords = ["table"]
[[rules]]
id = "one-of-them-without-a-word"
regex = '''(?i)\b(sgp_[a-f0-9]{16}|[a-f0-9]{40})\b'''
keywords = ["sgp_", "graph"]
[[rules]]
id = "text"
regex = '''(?i)-----BEGIN[ A-Z0-9_-]{0,20}KEY-----[\s\S-]{6,}?KEY-----'''
keywords = ["-----begin"]
[[rules]]
id = "far"
regex = '''\bcurl\b(?:.*|.*(?:[\r\n]{1,2}.*){1,5})[ \t\n\r](?:-u|--user)(?:=|[ \t]{0,5})("[^:"]{3,}:[^"]{3,}"|'[^':]{3,}:[^']{3,}')(?:\s|\z)'''
keywords = ["curl"]
[[rules]]
id = "letters"
regex = '''(?i)schl\u00fcssel[=:] ?([a-z\u00e4\u00f6]{10,})'''
keywords = ["schl"]
[[rules]]
id = "no-keyword"
regex = '''wrt-[0-9a-f]{8}-[0-9a-f]{4}'''
[[rules]]
id = "one-byte"
regex = '''[0-9]{3}x[0-9]{2}y'''
keywords = ["x"]
[[rules]]
id = "unbounded"
regex = '''(?m)^depot\s*[:=]\s*(\S{6,})$'''
keywords = ["depot"]
"##;

fn rules() -> FileRules {
    let file = std::env::var_os("PII_RULES").map(|path| std::fs::read_to_string(path).unwrap());
    // Literal strings of TOML have no escapes.
    let own = FILE
        .replace("\\u00fc", "\u{fc}")
        .replace("\\u00e4\\u00f6", "\u{e4}\u{f6}");
    let contents = read::read(&file.unwrap_or(own))
        .map_err(|e| e.to_string())
        .unwrap();
    FileRules::new(contents.rules).unwrap()
}

/// The expression without what is said of the places in a text.
fn without_places(hir: &Hir) -> Hir {
    match hir.kind() {
        HirKind::Look(_) => Hir::empty(),
        HirKind::Repetition(some) => Hir::repetition(Repetition {
            sub: Box::new(without_places(&some.sub)),
            ..some.clone()
        }),
        HirKind::Capture(group) => Hir::capture(Capture {
            sub: Box::new(without_places(&group.sub)),
            ..group.clone()
        }),
        HirKind::Concat(parts) => Hir::concat(parts.iter().map(without_places).collect()),
        HirKind::Alternation(parts) => Hir::alternation(parts.iter().map(without_places).collect()),
        _ => hir.clone(),
    }
}

/// Texts that the expression of a rule was made for.
fn examples(rule: &FileRule) -> BoxedStrategy<Vec<u8>> {
    let parse = |unicode: bool| {
        let mut parser = ParserBuilder::new();
        let parser = parser.unicode(unicode).utf8(false);
        parser.build().parse(rule.regex.as_str()).ok()
    };
    let hir = parse(false).or_else(|| parse(true)).unwrap();
    bytes_regex_parsed(&without_places(&hir)).unwrap().boxed()
}

/// Texts of examples, some with a byte too many, too few or another one, between whatever.
fn texts(rules: &FileRules) -> BoxedStrategy<Vec<u8>> {
    let all: Vec<_> = rules.rules.iter().map(examples).collect();
    let keywords: Vec<String> = rules
        .rules
        .iter()
        .flat_map(|rule| rule.keywords.clone())
        .collect();
    let change = prop_oneof![
        4 => Just(None),
        1 => (any::<prop::sample::Index>(), prop::option::of(any::<u8>())).prop_map(Some),
    ];
    let example = (proptest::strategy::Union::new(all), change).prop_map(|(mut text, change)| {
        if let Some((at, byte)) = change.filter(|_| !text.is_empty()) {
            let at = at.index(text.len());
            match byte {
                None => drop(text.remove(at)),
                Some(byte) if byte & 1 == 0 => text[at] = byte >> 1,
                Some(byte) => text.insert(at, byte >> 1),
            }
        }
        text
    });
    let piece = prop_oneof![
        3 => example,
        1 => prop::sample::select(keywords).prop_map(String::into_bytes),
        1 => prop::sample::select(vec!["", " ", "\n", "\"", "=", ": ", ";", "x", "\u{e9}"])
            .prop_map(|text| text.as_bytes().to_vec()),
        1 => "[ -~\t\n]{0,60}".prop_map(String::into_bytes),
    ];
    prop::collection::vec(piece, 1..6)
        .prop_map(|pieces| pieces.concat())
        .boxed()
}

type All = Vec<(usize, (usize, usize), bool)>;

fn budget() -> Budget {
    let budget = Budget::new(0);
    budget.start(None);
    budget.start_record(1 << 30);
    budget
}

/// Each rule whose keyword is in the text tried by itself.
fn plain(rules: &FileRules, text: &[u8]) -> All {
    let small = text.to_ascii_lowercase();
    let mut all = Vec::new();
    for (number, rule) in rules.rules.iter().enumerate() {
        let has = |word: &String| memmem::find(&small, word.as_bytes()).is_some();
        if rule.keywords.is_empty() || rule.keywords.iter().any(has) {
            rule.find(text, &budget(), |secret, valid| {
                all.push((number, secret, valid));
            });
        }
    }
    all
}

fn found(rules: &mut FileRules, text: &[u8], passed: usize) -> All {
    let mut all = Vec::new();
    rules.find(text, passed, &budget(), |number, secret, valid| {
        all.push((number, secret, valid));
    });
    all
}

#[test]
fn rules_find_what_their_expressions_find() {
    let mut rules = rules();
    let strategy = texts(&rules);
    let mut matches = 0usize;
    let mut runner = proptest::test_runner::TestRunner::new(ProptestConfig::default());
    let strategy = (strategy, "[ -~]{0,70}", "[ -~]{0,40}");
    let counted = std::cell::Cell::from_mut(&mut matches);
    let rules = std::cell::RefCell::new(&mut rules);
    let result = runner.run(&strategy, |(text, before, behind)| {
        let mut rules = rules.borrow_mut();
        let expected = plain(&rules, &text);
        counted.set(counted.get() + expected.len());
        prop_assert_eq!(&found(&mut rules, &text, 0), &expected);
        prop_assert!(expected.is_empty() || rules.may_match(&text, &budget()));
        // In a batch it is seen in its string, and nothing that counts is in front of that.
        let mut batch = before.into_bytes();
        msgpack::write_bytes_as_str(&mut batch, &text);
        let start = batch.len() - text.len();
        batch.extend(behind.as_bytes());
        let (mut scan, mut checks) = (Scan::default(), Checks::new(&text));
        let first = std::iter::from_fn(|| rules.next(&mut scan, &batch))
            .filter_map(|seen| seen.behind(start))
            .find(|seen| {
                seen.at < text.len() && rules.may_match_at(&text, *seen, &budget(), &mut checks)
            });
        if let Some(seen) = first {
            prop_assert_eq!(&found(&mut rules, &text, seen.at), &expected);
        } else {
            prop_assert!(expected.is_empty());
        }
        Ok(())
    });
    result.unwrap_or_else(|e| panic!("{e}"));
    assert!(matches > 0, "there was nothing to find");
}
