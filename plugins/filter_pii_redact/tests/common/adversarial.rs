//! Texts that are made to be expensive: whatever begins something sensitive, again and again, with
//! every kind of rest behind it.

/// What begins a candidate of some detector: by hand, and from the catalogue.
pub fn triggers() -> Vec<String> {
    let mut all: Vec<String> = TRIGGERS.iter().copied().map(str::to_owned).collect();
    all.extend(tokens());
    let mut seen = std::collections::HashSet::new();
    all.retain(|trigger| seen.insert(trigger.clone()));
    all
}

const TRIGGERS: &[&str] = &[
    // Tokens with a fixed prefix.
    "-----BEGIN RSA PRIVATE KEY-----",
    "-----BEGIN ",
    "-----END ",
    "PuTTY-User-Key-File-",
    "---- BEGIN SSH2 ENCRYPTED PRIVATE KEY",
    "\"d\":\"",
    "$ANSIBLE_VAULT;",
    "eyJ",
    "eyJhbGciOiJIUzI1NiJ9.",
    "AKIA",
    "ASIA",
    "AIza",
    "ya29.",
    "GOCSPX-",
    "AccountKey=",
    "SharedAccessKey=",
    "-Signature=",
    "8Q~",
    "7Q~",
    "ghp_",
    "gho_",
    "github_pat_",
    "glpat-",
    "gldt-",
    "glrt-",
    "glptt-",
    "glft-",
    "glsoat-",
    "glagent-",
    "xoxb-",
    "xoxe.",
    "xapp-",
    "hooks.slack.com/",
    "hooks.slack.com/services/T",
    "sk_live_",
    "rk_test_",
    "whsec_",
    "npm_",
    "pypi-AgE",
    "sk-",
    "sk-ant-",
    "hf_",
    "gsk_",
    "xai-",
    "pplx-",
    "r8_",
    "dop_v1_",
    "dapi",
    "hvs.",
    "hvb.",
    "pul-",
    "dckr_pat_",
    "tskey-",
    "LTAI",
    "HRKU-",
    "SG.",
    "shpat_",
    "sq0atp-",
    "12345678:AA",
    "glsa_",
    "sntrys_",
    "sntryu_",
    "lin_api_",
    "ntn_",
    "figd_",
    "rubygems_",
    "ATATT3",
    "AGE-SECRET-KEY-1",
    "PMAK-",
    "1//",
    "sbp_",
    "glc_",
    "ops_",
    "sl.",
    "sha256~",
    "nvapi-",
    "LS0tLS1CRUdJTi",
    "$2b$10$",
    "$argon2id$",
    "EAA",
    "pat-na1-",
    "atlasv1.",
    "MTAxMjM0NTY3ODkwMTIzNDU2",
    "data:image/png;base64,iVBORw0KGgo",
    // Addresses and URLs.
    "@",
    "a@",
    "a@b.",
    "@a.b",
    "\"a\"@",
    "a@[",
    "://",
    "https://a:",
    "https://a:b@",
    "user:pw@",
    "mailto:a@b.co",
    // Numbers.
    "4111 1111 1111 1111 ",
    "4111-1111-",
    "4012888888881881",
    "1234567",
    "123-45-6789 ",
    "+1",
    "+49 (0)",
    "(555) 123-",
    "01 ",
    "1.2.3.",
    "10.0.0.1 ",
    "fe80::",
    "::",
    "00:1a:",
    "1a2b.3c4d.",
    "0 2049 ",
    "1-",
    "1.",
    "1/",
    "(1)",
    // Codes and coins.
    "GB82",
    "GB82 WEST ",
    "DE44500105175407324931 ",
    "gb82",
    "AB123456C ",
    "12345678Z ",
    "X1234567L ",
    "AB1",
    "A1",
    "1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa ",
    "0x52908400098527886E0F7030069857D2E4169EE7 ",
    "bc1q",
    "1BvBMSEYstWetqTFn5Au4m4GFg7xJaNVN2 ",
    // Names and values.
    "password=",
    "password: ",
    "\"password\":\"",
    "\\\"password\\\":\\\"",
    "password='",
    "password=[",
    "<password>",
    "--password ",
    "token=",
    "api_key=",
    "secret: \"",
    "Authorization: ",
    "Authorization: Digest ",
    "Authorization: Bearer ",
    "[Authorization:[Bearer ",
    "key=",
    "pwd=${",
    "pass=\"${",
    // Encodings.
    "%40",
    "%2540",
    "%",
    "\\u0040",
    "\\n",
    "\\",
    "\\\\",
    "\\\"",
    "&quot;",
    "&#64;",
    "=40",
    "\u{1b}[31m",
    "\u{a0}1",
    "1\u{2011}2",
    "[",
    "{\"a\":",
    "{\"a\":1}",
    "[1,",
    "\"",
    "'",
    "\"a\":\"b\",",
    "{\"password\":\"",
    "[[\"",
    // Placeholders of ours.
    "[EMAIL]",
    "[CARD:k1:",
    "[",
    "[SECRET:",
    "[CARD:4111111111111111:",
    // Keywords.
    "ssn ",
    "card ",
    "phone ",
    "call ",
    "iban ",
    "ssn:1",
    "tel 1",
];

/// What begins the tokens of the catalogue.
fn tokens() -> Vec<String> {
    let page = include_str!("../../CATALOGUE.md");
    let rows = page.lines().filter(|line| line.starts_with("| "));
    let starts: Vec<String> = rows
        .filter_map(|row| {
            row.split(" | ")
                .nth(1)?
                .strip_prefix('`')?
                .strip_suffix('`')
        })
        .filter_map(|example| {
            // Up to what stands for random bytes: "{a36}".
            let random = |(at, _): &(usize, &str)| {
                let rest = &example[at + 1..];
                let inside = rest.split('}').next().unwrap_or_default();
                !inside.is_empty() && inside.bytes().all(|b| b.is_ascii_alphanumeric())
            };
            let (end, _) = example.match_indices('{').find(random)?;
            (end > 0).then(|| example[..end].replace('\u{23ce}', "\n"))
        })
        .collect();
    assert!(starts.len() > 100, "the rows of tokens in CATALOGUE.md");
    starts
}

/// What may stand behind it.
pub const TAILS: &[&str] = &[
    "",
    "a",
    "-",
    "_",
    " ",
    ".",
    "=",
    "1",
    "A1b2C3d4E5f6G7h8I9j0",
    "aaaaaaaaaaaaaaaaaaaaaaaa",
    "\n",
    "@",
    ":",
    "/",
    "\"",
    "\\",
    "~",
    "abcdefghijklmnopqrstuvwxyz0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ-_",
    "0123456789abcdef0123456789abcdef",
];

/// `piece` over and over, cut to `len` at a character.
pub fn repeated(piece: &str, len: usize) -> String {
    let mut text = piece.repeat(len / piece.len().max(1) + 1);
    let mut end = len.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.truncate(end);
    text
}

/// The shapes of a text of about `len` bytes for a trigger and a tail, each with a name.
pub fn shapes(trigger: &str, tail: &str, len: usize) -> Vec<(String, String)> {
    let both = format!("{trigger}{tail}");
    let mut shapes = vec![(format!("({both:?})*"), repeated(&both, len))];
    if tail.is_empty() {
        return shapes;
    }
    // All triggers first, then all tails: what each of the first looks for is far away.
    let half = repeated(trigger, len / 2) + &repeated(tail, len / 2);
    shapes.push((format!("({trigger:?})*({tail:?})*"), half));
    let front = repeated(tail, len / 2) + &repeated(trigger, len / 2);
    shapes.push((format!("({tail:?})*({trigger:?})*"), front));
    let one = format!("{trigger}{}", repeated(tail, len));
    shapes.push((format!("{trigger:?}({tail:?})*"), one));
    shapes
}
