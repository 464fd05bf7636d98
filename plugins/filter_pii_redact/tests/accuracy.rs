//! Accuracy on generated text: values as data generators write them, in sentences and log lines.

mod common;

use common::lines::{log_lines, Random};
use common::{with_luhn, Bench};

fn digits(r: &mut Random, count: usize) -> String {
    (0..count)
        .map(|_| char::from(b'0' + r.below(10) as u8))
        .collect()
}

/// Issuer prefixes and lengths of the types that the well-known generators have.
const CARDS: &[(&[&str], usize)] = &[
    (
        &[
            "5018", "5020", "5038", "5612", "5893", "6304", "6759", "6761", "6762", "6763", "0604",
            "6390",
        ],
        12,
    ),
    (&["51", "52", "53", "54", "55", "2221", "2345", "2720"], 16),
    (&["4"], 13),
    (&["4"], 16),
    (&["4"], 19),
    (&["34", "37"], 15),
    (&["6011", "65", "644", "649"], 16),
    (&["300", "301", "305", "36", "38"], 14),
    (&["2131", "1800"], 15),
    (&["35"], 16),
    (&["62"], 16),
];

fn card(r: &mut Random, n: usize) -> String {
    let (prefixes, length) = CARDS[n % CARDS.len()];
    let prefix = prefixes[r.below(prefixes.len() as u64) as usize];
    let body = format!("{prefix}{}", digits(r, length - 1 - prefix.len()));
    with_luhn(&body)
}

fn grouped(card: &str, separator: &str) -> String {
    let groups: &[usize] = match card.len() {
        16 => &[4, 4, 4, 4],
        15 => &[4, 6, 5],
        14 => &[4, 6, 4],
        _ => return card.to_owned(),
    };
    let mut at = 0;
    let parts: Vec<&str> = groups
        .iter()
        .map(|len| {
            at += len;
            &card[at - len..at]
        })
        .collect();
    parts.join(separator)
}

fn iban(r: &mut Random, n: usize) -> String {
    let (country, bank, tail) = [
        ("DE", "", 18),
        ("GB", "WEST", 14),
        ("NL", "ABNA", 10),
        ("BE", "", 12),
        ("AT", "", 16),
        ("CH", "", 17),
        ("DK", "", 14),
    ][n % 7];
    let bban = format!("{bank}{}", digits(r, tail));
    let number: u64 = format!("{bban}{country}00")
        .chars()
        .flat_map(|c| c.to_digit(36).unwrap_or(0).to_string().into_bytes())
        .fold(0, |rest, b| (rest * 10 + u64::from(b - b'0')) % 97);
    format!("{country}{:02}{bban}", 98 - number)
}

fn ssn(r: &mut Random) -> String {
    loop {
        let area = 1 + r.below(899);
        if area != 666 {
            return format!("{area:03}-{:02}-{:04}", 1 + r.below(99), 1 + r.below(9999));
        }
    }
}

fn phone(r: &mut Random, n: usize) -> String {
    let (area, exchange) = (200 + r.below(800), 200 + r.below(800));
    let (line, extension) = (r.below(10_000), r.below(100_000));
    match n % 8 {
        0 => format!("{area}-{exchange}-{line:04}"),
        1 => format!("({area}){exchange}-{line:04}"),
        2 => format!("({area}) {exchange}-{line:04}"),
        3 => format!("{area}.{exchange}.{line:04}x{extension}"),
        4 => format!("+1-{area}-{exchange}-{line:04}"),
        5 => format!("001-{area}-{exchange}-{line:04}x{extension}"),
        6 => format!("+1 ({area}) {exchange}-{line:04}"),
        _ => format!("+44 20 {:04} {line:04}", 1000 + r.below(9000)),
    }
}

const FRAMES: &[(&str, &str)] = &[
    ("", ""),
    ("My number is ", "."),
    ("Please use ", ", thanks"),
    ("value=", " next"),
    ("(", ")"),
    ("\"v\":\"", "\""),
    ("user paid with ", "; done"),
    ("| ", " |"),
    ("a,", ",b"),
    ("<", ">"),
];

/// Puts every value into every frame; all must be replaced by exactly the placeholder.
fn all_found(detector: &str, label: &str, values: &[String]) {
    let mut bench = Bench::new(&[("preset", "all")]);
    for value in values {
        for (before, after) in FRAMES {
            let out = bench.text(&format!("{before}{value}{after}"));
            assert_eq!(
                out,
                format!("{before}{label}{after}"),
                "{detector}: {value}"
            );
        }
    }
}

#[test]
fn every_valid_card_is_found() {
    let mut r = Random(1);
    let mut words = Bench::new(&[("preset", "all")]);
    let mut cards = Vec::new();
    for n in 0..400 {
        let card = card(&mut r, n);
        // Identifiers are as long: these need a word.
        if card.len() > 16 {
            assert_eq!(words.text(&format!("card {card} used")), "card [CARD] used");
            assert!(!words
                .text(&format!("message {card} sent"))
                .contains("[CARD]"));
            continue;
        }
        cards.push(grouped(&card, " "));
        cards.push(grouped(&card, "-"));
        cards.push(card);
    }
    all_found("card", "[CARD]", &cards);
}

#[test]
fn every_valid_iban_is_found() {
    let mut r = Random(2);
    let mut ibans = Vec::new();
    for n in 0..200 {
        let iban = iban(&mut r, n);
        let parts: Vec<&str> = (0..iban.len())
            .step_by(4)
            .map(|at| &iban[at..iban.len().min(at + 4)])
            .collect();
        ibans.push(parts.join(" "));
        ibans.push(iban);
    }
    all_found("iban", "[IBAN]", &ibans);
}

#[test]
fn every_valid_social_security_number_is_found() {
    let mut r = Random(3);
    let ssns: Vec<String> = (0..300).map(|_| ssn(&mut r)).collect();
    all_found("ssn", "[SSN]", &ssns);
    let spaced: Vec<String> = ssns.iter().map(|s| s.replace('-', " ")).collect();
    all_found("ssn", "[SSN]", &spaced);
    let mut bench = Bench::new(&[]);
    for ssn in &ssns {
        let bare = ssn.replace('-', "");
        assert_eq!(
            bench.text(&format!("SSN {bare} on file")),
            "SSN [SSN] on file"
        );
        let out = bench.text(&format!("order {bare} shipped"));
        assert!(!out.contains("[SSN]"), "{out}");
    }
}

#[test]
fn phone_numbers_are_found_whole() {
    let mut r = Random(4);
    let phones: Vec<String> = (0..400).map(|n| phone(&mut r, n)).collect();
    all_found("phone", "[PHONE]", &phones);
}

#[test]
fn every_address_is_found() {
    let mut r = Random(5);
    let v4: Vec<String> = (0..200)
        .map(|_| {
            let n = r.next().to_be_bytes();
            format!("{}.{}.{}.{}", n[0], n[1], n[2], n[3])
        })
        .collect();
    all_found("ip", "[IP]", &v4);
    let v6: Vec<String> = (0..200)
        .map(|_| {
            std::net::Ipv6Addr::from(u128::from(r.next()) << 64 | u128::from(r.next())).to_string()
        })
        .collect();
    all_found("ip", "[IP]", &v6);
    let mails: Vec<String> = (0..200)
        .map(|n| {
            format!(
                "u{}.x+{n}@mail-{}.example.co.uk",
                r.below(1000),
                r.below(1000)
            )
        })
        .collect();
    all_found("email", "[EMAIL]", &mails);
}

#[test]
fn nothing_is_found_in_server_logs() {
    let mut bench = Bench::new(&[]);
    for line in log_lines(20_000) {
        let line = String::from_utf8(line).expect("lines are UTF-8");
        let out = bench.text(&line);
        assert_eq!(out, line);
    }
}

#[test]
fn identifiers_around_valid_numbers_are_left_alone() {
    let mut r = Random(6);
    let mut bench = Bench::new(&[]);
    for n in 0..400 {
        let card = card(&mut r, n);
        for (before, after) in [
            ("blk_", ""),
            ("blk_-", ""),
            ("task-", ""),
            ("0x", ""),
            ("id", ""),
            ("0.", ""),
            ("", "f"),
            ("", ".5"),
            ("", "-a1"),
            ("7-", "-7"),
            ("8", "1".repeat(20).as_str()),
        ] {
            let text = format!("x {before}{card}{after} y");
            assert!(!bench.text(&text).contains("[CARD]"), "{text}");
        }
    }
}
