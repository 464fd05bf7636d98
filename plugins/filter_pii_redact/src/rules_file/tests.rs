use super::*;

const FILE: &str = r#"
title = "rules of a shop"

[[rules]]
id = "shop-key"
description = "Key of the shop's own API"
regex = '''(?i)\bshop_([a-z0-9]{12})\b'''
entropy = 2.5
keywords = ["SHOP_"]

[[rules]]
id = "voucher"
regex = '''(?P<kind>gift|bonus)-(\d{6})'''
secretGroup = 2
keywords = ["gift-", "bonus-"]
tags = ["shop"]
[[rules.allowlists]]
description = "vouchers of the examples"
condition = "AND"
regexTarget = "line"
regexes = ['''example''']
stopwords = ["000000"]

[[rules]]
id = "warehouse"
regex = '''bin=[[]\w+]'''
path = '''\.yaml$'''
keywords = ["bin="]
[rules.allowlist]
regexTarget = "match"
regexes = ['''bin=\[empty]''']

[[rules]]
id = "key-files"
path = '''\.p12$'''

[allowlist]
paths = ['''vendor/''']
stopwords = ["sample"]
"#;

fn open(text: &str) -> Result<(FileRules, Vec<String>), String> {
    let contents = read::read(text).map_err(|refused| refused.to_string())?;
    let rules = FileRules::new(contents.rules).expect("the keywords compile");
    Ok((rules, contents.notices))
}

fn found(rules: &mut FileRules, text: &str) -> Vec<(String, String, bool)> {
    let budget = Budget::new(0);
    budget.start(None);
    budget.start_record(text.len());
    let mut all = Vec::new();
    rules.find(
        text.as_bytes(),
        0,
        &budget,
        |number, (start, end), valid| {
            all.push((number, text[start..end].to_owned(), valid));
        },
    );
    let id = |number: usize| rules.rules()[number].id.clone();
    all.into_iter()
        .map(|(number, secret, valid)| (id(number), secret, valid))
        .collect()
}

#[test]
fn a_rule_finds_its_secret_behind_its_keyword() {
    let (mut rules, notices) = open(FILE).unwrap();
    assert_eq!(rules.rules().len(), 3);
    assert!(
        notices
            .iter()
            .any(|n| n.contains("'warehouse'") && n.contains("path")),
        "{notices:?}"
    );
    assert!(
        notices.iter().any(|n| n.contains("'key-files'")),
        "{notices:?}"
    );
    let mut check = |text: &str, expected: &[(&str, &str, bool)]| {
        let got = found(&mut rules, text);
        let got: Vec<_> = got
            .iter()
            .map(|(id, s, v)| (id.as_str(), s.as_str(), *v))
            .collect();
        assert_eq!(got, expected, "{text}");
    };
    check("nothing here", &[]);
    check(
        "use SHOP_a1b2c3d4e5f6 now",
        &[("shop-key", "a1b2c3d4e5f6", true)],
    );
    check("shop_aaaaaaaaaaaa", &[("shop-key", "aaaaaaaaaaaa", false)]);
    check(
        "my sample shop_sample123456",
        &[("shop-key", "sample123456", false)],
    );
    check(
        "gift-123456 bonus-654321",
        &[("voucher", "123456", true), ("voucher", "654321", true)],
    );
    check("example of gift-000000", &[("voucher", "000000", false)]);
    check("gift-000000", &[("voucher", "000000", true)]);
    check(
        "no example\nGIFT gift-000000",
        &[("voucher", "000000", true)],
    );
    check(
        "bin=[a7] bin=[empty]",
        &[
            ("warehouse", "bin=[a7]", true),
            ("warehouse", "bin=[empty]", false),
        ],
    );
}

#[test]
fn a_rule_without_keywords_is_tried_everywhere() {
    let (mut rules, _) = open("[[rules]]\nid = \"x\"\nregex = \"q[0-9]+\"\n").unwrap();
    assert!(rules.tried_on_all() > 0 && rules.may_match(b"", &Budget::new(0)));
    assert_eq!(found(&mut rules, "q1 q22").len(), 2);
}

#[test]
fn what_is_wrong_is_said_with_rule_and_key() {
    for (text, parts) in [
        ("", &["rules"][..]),
        ("[[rules]\n", &["TOML", "line 1"]),
        ("[extend]\nuseDefault = true\n", &["extend", "this one"]),
        ("[[rules]]\nregex = \"a\"\n", &["rule 1", "'id'"]),
        ("[[rules]]\nid = \"x y\"\nregex = \"a\"\n", &["rule 1", "'id'"]),
        ("[[rules]]\nid = \"x\"\n", &["rule 'x'", "'regex'"]),
        ("[[rules]]\nid = \"x\"\nregex = \"a(\"\n", &["rule 'x'", "'regex'", "unclosed group"]),
        ("[[rules]]\nid = \"x\"\nregex = \"(?=a)\"\n", &["rule 'x'", "look-around"]),
        ("[[rules]]\nid = \"x\"\nregex = 1\n", &["rule 'x'", "'regex'", "string"]),
        ("[[rules]]\nid = \"x\"\nregex = \"a\"\nentropy = 9\n", &["rule 'x'", "'entropy'", "0 to 8"]),
        ("[[rules]]\nid = \"x\"\nregex = \"a\"\nsecretGroup = 1\n", &["rule 'x'", "'secretGroup'", "0 to 0"]),
        ("[[rules]]\nid = \"x\"\nregex = \"a\"\nkeywords = \"a\"\n", &["rule 'x'", "'keywords'", "list"]),
        ("[[rules]]\nid = \"x\"\nregex = \"a\"\nkeywords = [\"\"]\n", &["rule 'x'", "'keywords'"]),
        ("[[rules]]\nid = \"x\"\nregex = \"a\"\nregexp = \"b\"\n", &["rule 'x'", "'regexp'", "allowed"]),
        ("[[rules]]\nid = \"x\"\nregex = \"a\"\n[[rules]]\nid = \"x\"\nregex = \"b\"\n", &["rule 'x'", "another"]),
        ("[[rules]]\nid = \"x\"\nregex = \"a\"\n[rules.allowlist]\nregexes = [\"(\"]\n", &["allowlist of rule 'x'", "'regexes'"]),
        ("[[rules]]\nid = \"x\"\nregex = \"a\"\n[rules.allowlist]\nstopwords = [\"\"]\n", &["allowlist of rule 'x'", "'stopwords'"]),
        ("[[rules]]\nid = \"x\"\nregex = \"a\"\n[rules.allowlist]\nregexTarget = \"file\"\n", &["allowlist of rule 'x'", "regexTarget", "match"]),
        ("[[rules]]\nid = \"x\"\nregex = \"a\"\n[[allowlists]]\ntargetRules = [\"y\"]\nstopwords = [\"a\"]\n", &["targetRules", "'y'"]),
    ] {
        let error = open(text).map(|_| ()).unwrap_err();
        assert!(parts.iter().all(|part| error.contains(part)), "{text}: {error}");
        assert!(!error.contains('\n'), "one line: {error}");
    }
}

#[test]
fn a_file_is_bounded() {
    let rule = |n: usize, regex: &str| {
        format!("[[rules]]\nid = \"r{n}\"\nregex = \"{regex}\"\nkeywords = [\"k{n}\"]\n")
    };
    let many =
        |count: usize, regex: &str| -> String { (0..count).map(|n| rule(n, regex)).collect() };
    assert!(open(&many(300, "k[0-9]x[a-f0-9]{32}")).is_ok());
    for (text, parts) in [
        (many(4097, "a"), ["'rules'", "4096", "4097"]),
        (
            many(200, "(?:[a-z]{100}){60}"),
            ["rule 'r174'", "'regex'", "1048576"],
        ),
        (
            rule(0, "(?:[a-z]{1000}){1000}"),
            ["rule 'r0'", "'regex'", "size limit"],
        ),
        (
            format!("a = {}1{}", "[".repeat(100_000), "]".repeat(100_000)),
            ["TOML", "line 1", "recurs"],
        ),
        (
            format!("a{} = 1", ".a".repeat(100_000)),
            ["TOML", "recursion", "limit"],
        ),
    ] {
        let error = open(&text).map(|_| ()).unwrap_err();
        assert!(
            parts.iter().all(|part| error.contains(part)),
            "{error:.300}"
        );
        assert!(error.len() < 300, "{} bytes", error.len());
    }
}

#[test]
fn work_ends_where_the_budget_does() {
    let (mut rules, _) = open(FILE).unwrap();
    let text = "gift-123456 ".repeat(100_000);
    let budget = Budget::new(0);
    budget.start(Some(std::time::Duration::ZERO));
    let mut count = 0;
    rules.find(text.as_bytes(), 0, &budget, |_, _, _| count += 1);
    assert!(budget.is_spent() && count < 1000, "{count}");
}
