//! Options: declared as data, checked once, read typed.
//!
//! The spelling of values follows Fluent Bit: booleans are `on|off|true|false|yes|no`, sizes
//! take `K`, `M`, `G` (powers of 1,000, as the host has them), times `s`, `m`, `h`, `d`.

use std::fmt;
use std::time::Duration;

/// The type of an option's value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Any text.
    String,
    /// A whole number, negative ones included.
    Integer,
    /// `on|off|true|false|yes|no`, any case.
    Boolean,
    /// Bytes: a number, optionally with `K`, `M` or `G` (and `B`); `false` is 0.
    Size,
    /// Seconds: a number, optionally with `s`, `m`, `h` or `d`.
    Time,
    /// Values separated by commas.
    CommaList,
    /// Values separated by blanks.
    SpaceList,
    /// A family of options: the declared name is the prefix of the real ones (`parser_` → `parser_1`).
    Prefix,
}

impl Kind {
    /// What a value of this kind may look like, for messages.
    pub fn allowed(self) -> &'static str {
        match self {
            Kind::String | Kind::Prefix => "any text",
            Kind::Integer => "a whole number",
            Kind::Boolean => "on, off, true, false, yes or no",
            Kind::Size => "bytes as a number, optionally with K, M or G, such as 32K or 5M",
            Kind::Time => "seconds as a number, optionally with s, m, h or d, such as 30s or 24h",
            Kind::CommaList => "values separated by commas",
            Kind::SpaceList => "values separated by blanks",
        }
    }

    fn accepts(self, value: &str) -> bool {
        match self {
            Kind::String | Kind::Prefix | Kind::CommaList | Kind::SpaceList => true,
            Kind::Integer => value.trim().parse::<i64>().is_ok(),
            Kind::Boolean => parse_bool(value).is_some(),
            Kind::Size => parse_size(value).is_some(),
            Kind::Time => parse_time(value).is_some(),
        }
    }
}

/// One option of a plugin, as `fluent-bit -h` lists it.
#[derive(Clone, Copy, Debug)]
pub struct OptionSpec {
    /// Name in lower case; matched without regard to case.
    pub name: &'static str,
    /// Type of the value.
    pub kind: Kind,
    /// Value when the option is absent; `None`: the option stays unset.
    pub default: Option<&'static str>,
    /// May be given several times; [`Settings::all`] has every value.
    pub repeatable: bool,
    /// One or two sentences for the help text and the README.
    pub help: &'static str,
}

impl OptionSpec {
    /// An option of `kind` that is unset unless given.
    pub const fn new(name: &'static str, kind: Kind, help: &'static str) -> Self {
        OptionSpec {
            name,
            kind,
            default: None,
            repeatable: false,
            help,
        }
    }

    /// The same with a default.
    #[must_use]
    pub const fn default(mut self, value: &'static str) -> Self {
        self.default = Some(value);
        self
    }

    /// The same, to be given any number of times.
    #[must_use]
    pub const fn repeatable(mut self) -> Self {
        self.repeatable = true;
        self
    }

    /// Whether `key` names this option, or one of the family if it is a [`Kind::Prefix`].
    pub fn is_named(&self, key: &str) -> bool {
        if self.kind == Kind::Prefix {
            key.len() > self.name.len()
                && key
                    .get(..self.name.len())
                    .is_some_and(|head| head.eq_ignore_ascii_case(self.name))
        } else {
            key.eq_ignore_ascii_case(self.name)
        }
    }
}

/// A value that an option does not take. Its text names the option, the value and what is allowed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError(String);

impl ConfigError {
    /// `option` has `value`, but takes only `allowed`.
    pub fn value(option: &str, value: &str, allowed: impl fmt::Display) -> Self {
        ConfigError(format!(
            "option '{option}': invalid value '{value}', allowed: {allowed}"
        ))
    }

    /// `option` is required and missing.
    pub fn missing(option: &str, allowed: impl fmt::Display) -> Self {
        ConfigError(format!("option '{option}' is required: {allowed}"))
    }

    /// Any other reason why the configuration cannot be used.
    pub fn other(text: impl Into<String>) -> Self {
        ConfigError(text.into())
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for ConfigError {}

/// The options of one instance, checked against their declaration.
#[derive(Clone, Debug)]
pub struct Settings {
    instance: String,
    specs: &'static [OptionSpec],
    entries: Vec<(String, String)>,
}

impl Settings {
    /// Checks `entries` (in configuration order) against `specs`.
    ///
    /// # Errors
    /// An unknown name, a value its kind does not take, or a second value of an option that is
    /// not repeatable.
    pub fn new<K: Into<String>, V: Into<String>>(
        instance: impl Into<String>,
        specs: &'static [OptionSpec],
        entries: impl IntoIterator<Item = (K, V)>,
    ) -> Result<Self, ConfigError> {
        let entries: Vec<(String, String)> = entries
            .into_iter()
            .map(|(k, v)| (k.into(), v.into()))
            .collect();
        for (index, (key, value)) in entries.iter().enumerate() {
            let Some(spec) = specs.iter().find(|s| s.is_named(key)) else {
                return Err(ConfigError::other(format!("unknown option '{key}'")));
            };
            if !spec.kind.accepts(value) {
                return Err(ConfigError::value(key, value, spec.kind.allowed()));
            }
            let twice = entries[..index]
                .iter()
                .any(|(k, _)| k.eq_ignore_ascii_case(key));
            if twice && !spec.repeatable {
                return Err(ConfigError::other(format!(
                    "option '{key}' is given more than once"
                )));
            }
        }
        Ok(Settings {
            instance: instance.into(),
            specs,
            entries,
        })
    }

    /// Name of the instance: its alias, or the plugin's name with a number (`sidecar_tail.0`).
    pub fn instance(&self) -> &str {
        &self.instance
    }

    fn spec(&self, name: &str) -> &'static OptionSpec {
        self.specs
            .iter()
            .find(|s| s.name == name)
            .unwrap_or_else(|| panic!("option is read but not declared: {name}"))
    }

    /// Whether the option was given (its default does not count).
    pub fn is_set(&self, name: &str) -> bool {
        self.spec(name);
        self.entries
            .iter()
            .any(|(k, _)| k.eq_ignore_ascii_case(name))
    }

    /// The value or the default, as text.
    ///
    /// # Panics
    /// When `name` is not declared: a mistake in the plugin.
    pub fn string(&self, name: &str) -> Option<&str> {
        let spec = self.spec(name);
        self.entries
            .iter()
            .find(|(k, _)| k.eq_ignore_ascii_case(name))
            .map(|(_, v)| v.as_str())
            .or(spec.default)
    }

    /// Every value of a repeatable option in configuration order; the default if there is none.
    pub fn all(&self, name: &str) -> Vec<&str> {
        let spec = self.spec(name);
        let given: Vec<&str> = self
            .entries
            .iter()
            .filter(|(k, _)| k.eq_ignore_ascii_case(name))
            .map(|(_, v)| v.as_str())
            .collect();
        if given.is_empty() {
            spec.default.into_iter().collect()
        } else {
            given
        }
    }

    /// The options of a [`Kind::Prefix`] family: what follows the prefix, and the value.
    pub fn prefixed(&self, name: &str) -> Vec<(&str, &str)> {
        let spec = self.spec(name);
        self.entries
            .iter()
            .filter(|(k, _)| spec.is_named(k))
            .map(|(k, v)| (&k[spec.name.len()..], v.as_str()))
            .collect()
    }

    /// A boolean; unset is `false`.
    pub fn boolean(&self, name: &str) -> bool {
        self.string(name).and_then(parse_bool).unwrap_or(false)
    }

    /// A whole number.
    pub fn integer(&self, name: &str) -> Option<i64> {
        self.string(name).and_then(|v| v.trim().parse().ok())
    }

    /// A size in bytes.
    pub fn size(&self, name: &str) -> Option<u64> {
        self.string(name).and_then(parse_size)
    }

    /// A duration of at most 100 years.
    pub fn time(&self, name: &str) -> Option<Duration> {
        let time = self.string(name).and_then(parse_time)?;
        Some(time.min(LONGEST_TIME))
    }

    /// The items of every value of a list option, trimmed, empty ones left out.
    pub fn list(&self, name: &str) -> Vec<&str> {
        let blanks = self.spec(name).kind == Kind::SpaceList;
        self.all(name)
            .into_iter()
            .flat_map(|v| {
                v.split(move |c: char| {
                    if blanks {
                        c.is_ascii_whitespace()
                    } else {
                        c == ','
                    }
                })
            })
            .map(str::trim)
            .filter(|v| !v.is_empty())
            .collect()
    }
}

fn parse_bool(value: &str) -> Option<bool> {
    match value.trim().to_ascii_lowercase().as_str() {
        "on" | "true" | "yes" => Some(true),
        "off" | "false" | "no" => Some(false),
        _ => None,
    }
}

fn parse_size(value: &str) -> Option<u64> {
    let text = value.trim().to_ascii_lowercase();
    if text == "false" {
        return Some(0);
    }
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let factor = match &text[digits.len()..] {
        "" | "b" => 1.0,
        "k" | "kb" => 1e3,
        "m" | "mb" => 1e6,
        "g" | "gb" => 1e9,
        _ => return None,
    };
    if let (Ok(whole), true) = (digits.parse::<u64>(), factor == 1.0) {
        return Some(whole);
    }
    if !digits.bytes().all(|b| b.is_ascii_digit() || b == b'.') {
        return None;
    }
    let bytes = digits.parse::<f64>().ok()? * factor;
    (bytes.is_finite() && bytes < 9e18).then_some(bytes as u64)
}

/// Times are added to clocks, which end somewhere.
const LONGEST_TIME: Duration = Duration::from_secs(100 * 365 * 24 * 3600);

fn parse_time(value: &str) -> Option<Duration> {
    let text = value.trim().to_ascii_lowercase();
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    // What the host reads otherwise than it is meant (`10min` is 10 s there) is refused.
    let factor: u64 = match &text[digits.len()..] {
        "" | "s" | "sec" | "secs" | "second" | "seconds" => 1,
        "m" => 60,
        "h" => 3600,
        "d" => 86400,
        _ => return None,
    };
    let digits = digits.trim_end();
    if let Ok(whole) = digits.parse::<u64>() {
        return whole.checked_mul(factor).map(Duration::from_secs);
    }
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit() || b == b'.') {
        return None;
    }
    Duration::try_from_secs_f64(digits.parse::<f64>().ok()? * factor as f64).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    static SPECS: &[OptionSpec] = &[
        OptionSpec::new("path", Kind::CommaList, "files").repeatable(),
        OptionSpec::new("keep", Kind::Boolean, "keep it").default("on"),
        OptionSpec::new("limit", Kind::Size, "limit"),
        OptionSpec::new("wait", Kind::Time, "wait").default("5"),
        OptionSpec::new("count", Kind::Integer, "count"),
        OptionSpec::new("parser_", Kind::Prefix, "more parsers").repeatable(),
    ];

    fn settings(entries: &[(&str, &str)]) -> Result<Settings, ConfigError> {
        Settings::new("test.0", SPECS, entries.iter().copied())
    }

    #[test]
    fn values_are_read_typed_and_names_ignore_case() {
        let s = settings(&[
            ("Path", "a, b"),
            ("path", "c"),
            ("LIMIT", "5M"),
            ("Wait", "24h"),
            ("count", "-3"),
            ("Parser_1", "x"),
        ])
        .unwrap();
        assert_eq!(s.list("path"), ["a", "b", "c"]);
        assert_eq!(s.size("limit"), Some(5_000_000));
        assert_eq!(s.time("wait"), Some(Duration::from_secs(86_400)));
        assert_eq!(s.integer("count"), Some(-3));
        assert!(s.boolean("keep"));
        assert_eq!(s.prefixed("parser_"), [("1", "x")]);
        assert!(s.is_set("limit") && !s.is_set("keep"));
    }

    #[test]
    fn times_are_read_where_the_host_reads_the_same() {
        for (text, seconds) in [
            ("5", Some(5)),
            ("5s", Some(5)),
            ("5 S", Some(5)),
            ("10sec", Some(10)),
            ("1m", Some(60)),
            ("2 h", Some(7200)),
            // The host reads 10 s, 10 s, 1 s and 0 s.
            ("10min", None),
            ("10ms", None),
            ("1m30s", None),
            ("s", None),
        ] {
            assert_eq!(parse_time(text).map(|t| t.as_secs()), seconds, "{text}");
        }
    }

    #[test]
    fn no_time_is_too_long_for_a_clock() {
        for text in ["18446744073709551615", "200000d"] {
            let time = settings(&[("wait", text)]).unwrap().time("wait").unwrap();
            assert_eq!(time, LONGEST_TIME, "{text}");
            assert!(std::time::Instant::now().checked_add(time).is_some());
        }
    }

    #[test]
    fn a_bad_value_names_option_value_and_what_is_allowed() {
        for (key, value) in [
            ("keep", "maybe"),
            ("limit", "5X"),
            ("limit", "-1"),
            ("limit", "K"),
            ("wait", "soon"),
            ("wait", "-1"),
            ("count", "1.5"),
        ] {
            let text = settings(&[(key, value)]).unwrap_err().to_string();
            assert!(text.contains(&format!("'{key}'")), "{text}");
            assert!(text.contains(&format!("'{value}'")), "{text}");
            assert!(text.contains("allowed: "), "{text}");
        }
    }

    #[test]
    fn unknown_and_repeated_options_are_refused() {
        assert!(settings(&[("pth", "a")]).is_err());
        assert!(settings(&[("wait", "1"), ("Wait", "2")]).is_err());
        assert!(settings(&[("parser_", "x")]).is_err());
    }

    #[test]
    fn sizes_are_powers_of_a_thousand_like_the_hosts() {
        for (text, bytes) in [
            ("32K", 32_000),
            ("1.5mb", 1_500_000),
            ("2G", 2_000_000_000),
            ("77", 77),
            ("false", 0),
        ] {
            assert_eq!(parse_size(text), Some(bytes), "{text}");
        }
    }
}
