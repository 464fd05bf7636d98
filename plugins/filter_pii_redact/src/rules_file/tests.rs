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

/// The ways in which sources and logs write a name and its value: `{n}` and `{v}`.
const WAYS: &[&str] = &[
    "{n}_token = \"{v}\"",
    "{n}Token={v}",
    "{n}_token: '{v}'",
    "{\n  \"{n}_token\": \"{v}\"\n}",
    r#"{"till.ini": "{N}_TOKEN={v}\nOPEN=true"}"#,
    "<{n}Token>\n  {v}\n</{n}Token>",
    "let {n}Token := `{v}`",
    "string {n}Token = \"{v}\";",
    "put(\"{N}_TOKEN\", \"{v}\")",
    "\"{n}Token\" => \"{v}\"",
    "{n}_TOKEN :::= \"{v}\"",
    "{n}_TOKEN ?= \"{v}\"",
];

#[test]
fn rules_find_their_examples_in_every_way_of_writing() {
    const ASSIGNED: &str =
        r#"(?:[ \t\w.-]{0,20})[\s'"]{0,3}(?:=|>|:{1,3}=|\|\||:|=>|\?=|,)[\x60'"\s=]{0,5}"#;
    const END: &str = r#"(?:[\x60'"\s;]|\\[nr]|$)"#;
    let rule = |id: &str, regex: &str, keyword: &str| {
        format!("[[rules]]\nid = \"{id}\"\nregex = '''{regex}'''\nentropy = 2\nkeywords = [\"{keyword}\"]\n")
    };
    let named = |value: &str| format!(r"(?i)[\w.-]{{0,50}}?(?:teashop){ASSIGNED}({value}){END}");
    for (regex, keyword, value) in [
        (named("[a-z0-9]{17}"), "teashop", "q7w1e9r3t5y2u4i8o"),
        (
            named(r"ts-[a-z0-9_=\-]{20}"),
            "teashop",
            "ts-q7w1e9r3t5y2u_i8o-1p",
        ),
        // Shorter than what is behind a sign as a rule.
        (named("[a-f0-9]{6}"), "teashop", "b8a1f3"),
        (
            format!(r"\b(ts_(?i)[a-z0-9]{{20}}){END}"),
            "ts_",
            "ts_q7w1e9r3t5y2u4i8o0pA",
        ),
        (
            r"tea-(?:pot|cup)_[0-9A-Za-z]{16}".to_owned(),
            "tea-",
            "tea-cup_q7w1e9r3t5Y2u4i8",
        ),
        (
            r"(?:^|[^0-9a-z])([0-9a-z]{5}T~[0-9a-z]{10})".to_owned(),
            "t~",
            "q7w1eT~9r3t5y2u4i",
        ),
    ] {
        let (mut rules, _) = open(&rule("tea", &regex, keyword)).unwrap();
        for way in WAYS {
            let text = way.replace("{v}", value);
            let text = text.replace("{n}", "teashop").replace("{N}", "TEASHOP");
            let found = found(&mut rules, &text);
            let is_secret = |found: &(String, String, bool)| found.2 && found.1.contains(value);
            assert!(found.iter().any(is_secret), "{regex} in {text:?}");
        }
    }
    // Those of another project: `PII_RULES=file PII_RULES_EXAMPLES=lines of rule, kind (tp, fp) and text`.
    let of = |name: &str| std::env::var_os(name).map(|path| std::fs::read_to_string(path).unwrap());
    if let (Some(file), Some(examples)) = (of("PII_RULES"), of("PII_RULES_EXAMPLES")) {
        public_examples(&file, &examples);
    }
}

/// Says which examples of rules are not found, and which are that are none.
#[allow(clippy::print_stdout)]
fn public_examples(file: &str, examples: &str) {
    let (mut rules, _) = open(file).unwrap();
    let (mut right, mut all) = ([0, 0], [0, 0]);
    for line in examples.lines() {
        let line: serde_json::Value = serde_json::from_str(line).unwrap();
        let [rule, kind, text] = ["rule", "kind", "text"].map(|key| line[key].as_str().unwrap());
        let is_secret = |found: (String, String, bool)| found.2 && found.0 == rule;
        let expected = kind.starts_with("tp");
        let is_found = found(&mut rules, text).into_iter().any(is_secret);
        all[usize::from(expected)] += 1;
        right[usize::from(expected)] += usize::from(is_found == expected);
        if is_found != expected {
            println!("{kind} {rule}: {text:?}");
        }
    }
    println!("examples found: {} of {}", right[1], all[1]);
    println!("others not found: {} of {}", right[0], all[0]);
    assert!(right[1] * 100 >= all[1] * 95);
}
