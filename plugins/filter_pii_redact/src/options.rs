//! The options, declared once, and the configuration read from them.

use std::time::Duration;

use flb_sidecar_sdk::{foreign_file, ConfigError, Kind, OptionSpec, Settings};
use regex::bytes::RegexSet;

use crate::action::{self, Action, HmacKey};
use crate::allow::{Allow, Network};
use crate::catalog::{self, preset, Form, Set, DETECTORS};
use crate::detect::{self, Plan, TEST_CARDS};
use crate::inspect::Rule;
use crate::path::{KeyPattern, Path, Scope};
use crate::rules::{self, UserRule};
use crate::rules_file::FileRules;

/// Every option of the filter.
pub(crate) const OPTIONS: &[OptionSpec] = &[
    OptionSpec::new("preset", Kind::CommaList, "Detectors to start from: default, pci, gdpr, hipaa, secrets, all, none. Several are added up.")
        .default("default"),
    OptionSpec::new("enable", Kind::CommaList, "Further detectors by name.").repeatable(),
    OptionSpec::new("disable", Kind::CommaList, "Detectors that stay off.").repeatable(),
    OptionSpec::new("action", Kind::String, "What becomes of a match: placeholder, mask, keep_first:N, keep_last:N, keep:FIRST:LAST, hmac, truncate, remove, drop or tag.")
        .default("placeholder"),
    OptionSpec::new("action_", Kind::Prefix, "Action of one detector or rule, such as action_card keep_last:4."),
    OptionSpec::new("rule", Kind::String, "Rule of your own: NAME /regex/ [action] [validator].").repeatable(),
    OptionSpec::new("rules_file", Kind::String, "File of rules in the TOML form of gitleaks, for the strings that have one of their keywords."),
    OptionSpec::new("remove_key", Kind::CommaList, "Keys that are removed wherever they are; * and ? are wildcards, case does not matter.")
        .repeatable(),
    OptionSpec::new("redact_key", Kind::CommaList, "Keys whose values are redacted wherever they are; wildcards as in remove_key.")
        .repeatable(),
    OptionSpec::new("key_action", Kind::String, "Action for the values of redact_key.").default("placeholder"),
    OptionSpec::new("include_path", Kind::String, "Look only at this part of the record, such as $log or $a['b'][0].").repeatable(),
    OptionSpec::new("exclude_path", Kind::String, "Do not look at this part of the record.").repeatable(),
    OptionSpec::new("scan_keys", Kind::Boolean, "Look at map keys, too.").default("on"),
    OptionSpec::new("scan_integers", Kind::Boolean, "Look at integers, too.").default("on"),
    OptionSpec::new("json_depth", Kind::Integer, "How deep JSON inside strings is decoded, 0 to 4.").default("4"),
    OptionSpec::new("allow_exact", Kind::String, "A match that stays.").repeatable(),
    OptionSpec::new("allow_prefix", Kind::String, "Matches that start so stay.").repeatable(),
    OptionSpec::new("allow_suffix", Kind::String, "Matches that end so stay.").repeatable(),
    OptionSpec::new("allow_regex", Kind::String, "Matches in which the regular expression is found stay.").repeatable(),
    OptionSpec::new("allow_cidr", Kind::CommaList, "IP addresses of these networks stay.").repeatable(),
    OptionSpec::new("allow_email_domain", Kind::CommaList, "E-mail addresses of these domains and their subdomains stay.")
        .repeatable(),
    OptionSpec::new("allow_test_cards", Kind::Boolean, "Well-known test card numbers stay.").default("off"),
    OptionSpec::new("phone_country", Kind::String, "Country whose national phone numbers are found, as an ISO 3166 code, or NONE.")
        .default("US"),
    OptionSpec::new("reserved_ips", Kind::Boolean, "IP addresses of private, loopback and other special ranges count as well.")
        .default("on"),
    OptionSpec::new("hmac_key_file", Kind::String, "File with the key of the hmac action; a newline at its end is not part of it."),
    OptionSpec::new("hmac_key_env", Kind::String, "Environment variable with the key of the hmac action."),
    OptionSpec::new("hmac_key_id", Kind::String, "Name of the key in the tokens, to tell keys apart after a rotation.").default("k1"),
    OptionSpec::new("shadow", Kind::Boolean, "Change nothing, only count and tag.").default("off"),
    OptionSpec::new("tag_key", Kind::String, "Field that lists the rules found, for the tag action and shadow mode; off for none.")
        .default("pii_detected"),
    OptionSpec::new("on_error", Kind::String, "What goes on after an internal error, an overrun of time_budget or for a value over max_value_size: pass, mask or drop.")
        .default("mask"),
    OptionSpec::new("time_budget", Kind::Time, "Longest CPU time for one batch of records; 0 for no limit.").default("5"),
    OptionSpec::new("max_value_size", Kind::Size, "Longest string that is looked at; 0 for no limit.").default("32M"),
];

/// What goes on when something cannot be looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OnError {
    Pass,
    Mask,
    Drop,
}

/// What a key pattern does with the value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum KeyRule {
    Remove,
    Redact,
}

/// The configuration of an instance.
#[derive(Debug)]
pub(crate) struct Config {
    /// Detectors, then user rules, then the rule for keys.
    pub(crate) rules: Vec<Rule>,
    pub(crate) keys: Vec<(KeyPattern, KeyRule)>,
    pub(crate) allow: Allow,
    pub(crate) scope: Scope,
    pub(crate) hmac: Option<HmacKey>,
    pub(crate) scan_keys: bool,
    pub(crate) scan_integers: bool,
    pub(crate) json_depth: usize,
    pub(crate) shadow: bool,
    pub(crate) tag_key: String,
    pub(crate) on_error: OnError,
    pub(crate) time_budget: Option<Duration>,
    pub(crate) max_value_size: usize,
}

impl Config {
    /// Reads and checks the options.
    pub(crate) fn new(settings: &Settings) -> Result<(Self, detect::Settings), ConfigError> {
        let mut user_rules = settings
            .all("rule")
            .into_iter()
            .map(UserRule::parse)
            .collect::<Result<Vec<_>, _>>()?;
        // The order of the options does not matter.
        user_rules.sort_unstable_by(|a, b| a.name.cmp(&b.name));
        check_names(&user_rules)?;
        let file = settings.string("rules_file").map(str::trim);
        let file_rules = file
            .filter(|path| !path.is_empty())
            .map(|path| FileRules::open("rules_file", path))
            .transpose()?;
        let rules = rules(settings, &user_rules, file_rules.as_ref())?;
        let hmac = hmac_key(settings)?;
        if hmac.is_none() && rules.iter().any(|r| r.action == Action::Hmac) {
            return Err(ConfigError::missing(
                "hmac_key_file",
                "the action hmac needs hmac_key_file or hmac_key_env",
            ));
        }
        let country = settings.string("phone_country").unwrap_or_default().trim();
        let phone = Plan::of(country).ok_or_else(|| {
            let countries: Vec<&str> = Plan::countries().collect();
            ConfigError::value("phone_country", country, countries.join(", "))
        })?;
        let on_error = match settings.string("on_error").unwrap_or_default().trim() {
            t if t.eq_ignore_ascii_case("pass") => OnError::Pass,
            t if t.eq_ignore_ascii_case("mask") => OnError::Mask,
            t if t.eq_ignore_ascii_case("drop") => OnError::Drop,
            t => return Err(ConfigError::value("on_error", t, "pass, mask or drop")),
        };
        let depth = settings.integer("json_depth").unwrap_or(4);
        let json_depth = usize::try_from(depth)
            .ok()
            .filter(|depth| *depth <= 4)
            .ok_or_else(|| ConfigError::value("json_depth", &depth.to_string(), "0 to 4"))?;
        let limit = settings.size("max_value_size").unwrap_or(0);
        let detect = detect::Settings {
            set: set(settings)?,
            phone,
            reserved_ips: settings.boolean("reserved_ips"),
            user_rules,
            file_rules,
        };
        let config = Config {
            rules,
            keys: keys(settings),
            allow: allow(settings)?,
            scope: scope(settings)?,
            hmac,
            scan_keys: settings.boolean("scan_keys"),
            scan_integers: settings.boolean("scan_integers"),
            json_depth,
            shadow: settings.boolean("shadow"),
            // Hosts before 2.0.0 drop an empty value, so there is a word for it.
            tag_key: settings
                .string("tag_key")
                .map(str::trim)
                .filter(|key| !key.eq_ignore_ascii_case("off"))
                .unwrap_or_default()
                .to_owned(),
            on_error,
            time_budget: settings.time("time_budget").filter(|t| !t.is_zero()),
            max_value_size: match usize::try_from(limit) {
                Ok(0) | Err(_) => usize::MAX,
                Ok(limit) => limit,
            },
        };
        Ok((config, detect))
    }
}

fn check_names(user_rules: &[UserRule]) -> Result<(), ConfigError> {
    for (index, rule) in user_rules.iter().enumerate() {
        let twice = user_rules[..index].iter().any(|r| r.name == rule.name);
        if twice || catalog::by_name(&rule.name).is_some() || rule.name == KEY_RULE {
            return Err(ConfigError::value(
                "rule",
                &rule.name,
                "a name that no detector and no other rule has",
            ));
        }
    }
    Ok(())
}

/// Name of the rule that counts what `remove_key` and `redact_key` do.
pub(crate) const KEY_RULE: &str = "key";

fn detector_names() -> String {
    let names: Vec<&str> = DETECTORS.iter().map(|d| d.name).collect();
    names.join(", ")
}

fn set(settings: &Settings) -> Result<Set, ConfigError> {
    let mut bits = 0;
    for name in settings.list("preset") {
        bits |= preset::by_name(&name.to_ascii_lowercase()).ok_or_else(|| {
            ConfigError::value(
                "preset",
                name,
                "default, pci, gdpr, hipaa, secrets, all or none",
            )
        })?;
    }
    let mut set = Set::preset(bits);
    for (option, on) in [("enable", true), ("disable", false)] {
        for name in settings.list(option) {
            let row = catalog::by_name(name)
                .ok_or_else(|| ConfigError::value(option, name, detector_names()))?;
            if on {
                set.0 |= row.id.bit();
            } else {
                set.0 &= !row.id.bit();
            }
        }
    }
    Ok(set)
}

fn parse_action(option: &str, text: &str) -> Result<Action, ConfigError> {
    Action::parse(text).ok_or_else(|| ConfigError::value(option, text, action::ALLOWED))
}

fn rules(
    settings: &Settings,
    user_rules: &[UserRule],
    file_rules: Option<&FileRules>,
) -> Result<Vec<Rule>, ConfigError> {
    let general = parse_action("action", settings.string("action").unwrap_or_default())?;
    let key_action = parse_action(
        "key_action",
        settings.string("key_action").unwrap_or_default(),
    )?;
    let mut rules = Vec::new();
    for row in DETECTORS {
        rules.push(Rule {
            name: row.name.to_owned(),
            label: row.placeholder.trim_matches(['[', ']']).to_owned(),
            action: general,
            form: row.form,
        });
    }
    for rule in user_rules {
        rules.push(Rule {
            name: rule.name.clone(),
            label: rule.name.to_ascii_uppercase(),
            action: rule.action.unwrap_or(general),
            form: Form::Verbatim,
        });
    }
    for rule in file_rules.into_iter().flat_map(FileRules::rules) {
        let id = rule.id.to_ascii_lowercase();
        // Others may have the name: a file from elsewhere knows nothing of ours.
        let taken = id == KEY_RULE || rules.iter().any(|rule| rule.name == id);
        let name = if taken { format!("file_{id}") } else { id };
        rules.push(Rule {
            label: name.to_ascii_uppercase(),
            name,
            action: general,
            form: Form::Verbatim,
        });
    }
    for (name, text) in settings.prefixed("action_") {
        let rule = rules
            .iter_mut()
            .find(|r| r.name.eq_ignore_ascii_case(name))
            .ok_or_else(|| {
                ConfigError::other(format!(
                    "option 'action_{name}': no detector or rule has this name, allowed: {}",
                    detector_names()
                ))
            })?;
        rule.action = parse_action(&format!("action_{name}"), text)?;
    }
    rules.push(Rule {
        name: KEY_RULE.to_owned(),
        label: "REDACTED".to_owned(),
        action: key_action,
        form: Form::Verbatim,
    });
    Ok(rules)
}

fn keys(settings: &Settings) -> Vec<(KeyPattern, KeyRule)> {
    let list = |option, rule| {
        settings
            .list(option)
            .into_iter()
            .map(move |pattern| (KeyPattern::new(pattern), rule))
            .collect::<Vec<_>>()
    };
    // A key that is in both lists is removed.
    let mut keys = list("remove_key", KeyRule::Remove);
    keys.extend(list("redact_key", KeyRule::Redact));
    keys
}

fn scope(settings: &Settings) -> Result<Scope, ConfigError> {
    let include = paths(settings, "include_path")?;
    let exclude = paths(settings, "exclude_path")?;
    Scope::new(include, exclude).ok_or_else(|| {
        let most = Scope::MAX;
        ConfigError::other(format!(
            "options 'include_path' and 'exclude_path': more than {most} paths together"
        ))
    })
}

fn paths(settings: &Settings, option: &str) -> Result<Vec<Path>, ConfigError> {
    let read = |text: &str| {
        Path::parse(text).ok_or_else(|| {
            ConfigError::value(option, text, "a key path such as $log or $a['b'][0]")
        })
    };
    settings.all(option).into_iter().map(read).collect()
}

fn allow(settings: &Settings) -> Result<Allow, ConfigError> {
    let bytes = |option| -> Vec<Vec<u8>> {
        let values = settings.all(option).into_iter();
        values
            .filter(|v| !v.is_empty())
            .map(|v| v.as_bytes().to_vec())
            .collect()
    };
    let patterns = settings.all("allow_regex");
    for pattern in &patterns {
        rules::compile("allow_regex", "", pattern)?;
    }
    let regexes = RegexSet::new(&patterns).map_err(|_| {
        ConfigError::other("option 'allow_regex': the expressions are too large together")
    })?;
    let networks = settings
        .list("allow_cidr")
        .into_iter()
        .map(|text| {
            Network::parse(text).ok_or_else(|| {
                ConfigError::value(
                    "allow_cidr",
                    text,
                    "a network such as 10.0.0.0/8 or 2001:db8::/32",
                )
            })
        })
        .collect::<Result<_, _>>()?;
    let domain = |text: &str| {
        text.trim_start_matches(['.', '@', '*'])
            .to_ascii_lowercase()
            .into_bytes()
    };
    let cards = settings.boolean("allow_test_cards");
    Ok(Allow {
        exact: bytes("allow_exact").into_iter().collect(),
        prefixes: bytes("allow_prefix"),
        suffixes: bytes("allow_suffix"),
        regexes,
        networks,
        email_domains: settings
            .list("allow_email_domain")
            .into_iter()
            .map(domain)
            .filter(|d| !d.is_empty())
            .collect(),
        cards: TEST_CARDS
            .iter()
            .filter(|_| cards)
            .map(|card| card.as_bytes().to_vec())
            .collect(),
    })
}

/// Bytes of a key at most: more than any is worth.
const LONGEST_KEY: u64 = 64 << 10;

fn hmac_key(settings: &Settings) -> Result<Option<HmacKey>, ConfigError> {
    let file = settings.string("hmac_key_file").filter(|v| !v.is_empty());
    let variable = settings.string("hmac_key_env").filter(|v| !v.is_empty());
    let key = match (file, variable) {
        (Some(_), Some(_)) => {
            return Err(ConfigError::other(
                "options 'hmac_key_file' and 'hmac_key_env': only one of them can be given",
            ))
        }
        (Some(path), None) => {
            let mut key = foreign_file::read(path.as_ref(), LONGEST_KEY).map_err(|error| {
                ConfigError::value("hmac_key_file", path, format!("a readable file ({error})"))
            })?;
            while key.last().is_some_and(|b| matches!(b, b'\n' | b'\r')) {
                key.pop();
            }
            ("hmac_key_file", path, key)
        }
        (None, Some(name)) => {
            let key = std::env::var_os(name).map(std::ffi::OsString::into_encoded_bytes);
            ("hmac_key_env", name, key.unwrap_or_default())
        }
        (None, None) => return Ok(None),
    };
    let (option, from, key) = key;
    if key.len() < 16 {
        return Err(ConfigError::value(
            option,
            from,
            "a key of at least 16 bytes",
        ));
    }
    let id = settings.string("hmac_key_id").unwrap_or_default().trim();
    let named = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.');
    if id.is_empty() || id.len() > action::MAX_KEY_ID || !id.bytes().all(named) {
        return Err(ConfigError::value(
            "hmac_key_id",
            id,
            "1 to 32 letters, digits, '_', '-' and '.'",
        ));
    }
    Ok(HmacKey::new(&key, id))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_readme_lists_every_option_with_its_default() {
        let readme = include_str!("../README.md");
        for spec in OPTIONS {
            let row = readme
                .lines()
                .find(|line| line.starts_with(&format!("| `{}` |", spec.name)))
                .unwrap_or_else(|| panic!("the README has no row for {}", spec.name));
            let default = row.split('|').nth(3).unwrap().trim().trim_matches('`');
            assert_eq!(default, spec.default.unwrap_or(""), "{}", spec.name);
        }
    }

    #[test]
    fn the_readme_lists_every_detector_with_placeholder_and_check() {
        let readme = include_str!("../README.md");
        for row in DETECTORS {
            let line = format!(
                "\n| `{}` | `{}` | {} |",
                row.name, row.placeholder, row.check
            );
            assert!(readme.contains(&line), "the README has no row\n{line}");
        }
    }
}
