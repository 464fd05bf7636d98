//! Reading a rules file: TOML in the form of gitleaks.

use std::cell::Cell;
use std::collections::HashSet;
use std::fmt;

use toml::{Table, Value};

use super::{anchor, syntax, Allowlist, FileRule, Target};

/// What a file holds.
#[derive(Debug, Default)]
pub(super) struct Contents {
    pub(super) rules: Vec<FileRule>,
    /// What of the file has no meaning for logs, one sentence each.
    pub(super) notices: Vec<String>,
}

/// Why a file is refused: the rule, the key, and what is allowed.
pub(super) struct Refused(pub(super) String);

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Most rules of a file.
const MAX_RULES: usize = 4096;
/// Most parts of all expressions together, each some hundred bytes when it is compiled.
const MAX_PARTS: usize = 1 << 20;

type Result<T> = std::result::Result<T, Refused>;

/// A table of the file, and what it is called in messages.
struct Place<'a> {
    name: String,
    table: &'a Table,
    /// How many parts the expressions of the file may still have.
    left: &'a Cell<usize>,
}

impl<'a> Place<'a> {
    fn refuse<T>(&self, key: &str, what: impl fmt::Display) -> Result<T> {
        Err(Refused(format!("{}: '{key}': {what}", self.name)))
    }

    fn text(&self, key: &str) -> Result<Option<&'a str>> {
        match self.table.get(key) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(_) => self.refuse(key, "a string is allowed"),
        }
    }

    fn texts(&self, key: &str) -> Result<Vec<&'a str>> {
        let Some(value) = self.table.get(key) else {
            return Ok(Vec::new());
        };
        let texts = value
            .as_array()
            .and_then(|values| values.iter().map(Value::as_str).collect::<Option<Vec<_>>>());
        texts.map_or_else(|| self.refuse(key, "a list of strings is allowed"), Ok)
    }

    fn expression(&self, key: &str, pattern: &str) -> Result<syntax::Expression> {
        let expression = syntax::compile(pattern).or_else(|error| {
            let text = error.to_string();
            let reason = text.lines().last().unwrap_or_default();
            let reason = reason.trim_start_matches("error: ");
            self.refuse(
                key,
                format_args!("a regular expression is allowed: {reason}"),
            )
        })?;
        match self.left.get().checked_sub(expression.size()) {
            Some(left) => self.left.set(left),
            None => {
                let what =
                    "bytes and classes in all expressions of the file are allowed, repetitions \
                            counted as often as they may be";
                return self.refuse(key, format_args!("up to {MAX_PARTS} {what}"));
            }
        }
        Ok(expression)
    }

    /// The tables of a list, or the one table under one of the keys.
    fn tables(&self, keys: &[&str]) -> Result<Vec<&'a Table>> {
        let mut tables = Vec::new();
        for key in keys {
            match self.table.get(*key) {
                None => {}
                Some(Value::Table(table)) => tables.push(table),
                Some(Value::Array(values)) => {
                    for value in values {
                        match value.as_table() {
                            Some(table) => tables.push(table),
                            None => return self.refuse(key, "tables are allowed"),
                        }
                    }
                }
                Some(_) => return self.refuse(key, "a table is allowed"),
            }
        }
        Ok(tables)
    }

    fn knows(&self, allowed: &[&str]) -> Result<()> {
        let unknown = self.table.keys().find(|key| {
            !allowed
                .iter()
                .any(|allowed| allowed.eq_ignore_ascii_case(key))
        });
        match unknown {
            Some(key) => self.refuse(key, format_args!("allowed: {}", allowed.join(", "))),
            None => Ok(()),
        }
    }
}

/// Reads the text of a file.
pub(super) fn read(text: &str) -> Result<Contents> {
    let table: Table = text.parse().map_err(|error: toml::de::Error| {
        let line = error
            .span()
            .map(|span| 1 + text[..span.start.min(text.len())].matches('\n').count());
        let line = line.map_or_else(String::new, |line| format!(" in line {line}"));
        Refused(format!("TOML is allowed{line}: {}", error.message()))
    })?;
    let left = &Cell::new(MAX_PARTS);
    let file = Place {
        name: "the file".to_owned(),
        table: &table,
        left,
    };
    if table.contains_key("extend") {
        return file.refuse(
            "extend",
            "other files are not read: put all rules into this one",
        );
    }
    file.knows(&[
        "title",
        "description",
        "minVersion",
        "allowlist",
        "allowlists",
        "rules",
    ])?;
    let mut contents = Contents::default();
    let rules = file.tables(&["rules"])?;
    if rules.len() > MAX_RULES {
        let count = rules.len();
        return file.refuse(
            "rules",
            format_args!("up to {MAX_RULES} are allowed, there are {count}"),
        );
    }
    let mut names = HashSet::new();
    for (index, table) in rules.into_iter().enumerate() {
        rule(index, table, left, &mut names, &mut contents)?;
    }
    if contents.rules.is_empty() {
        return file.refuse("rules", "at least one with a regex is needed");
    }
    for table in file.tables(&["allowlist", "allowlists"])? {
        let place = Place {
            name: "the allowlist of the file".to_owned(),
            table,
            left,
        };
        let targets = place.texts("targetRules")?;
        let Some(list) = allowlist(&place)? else {
            continue;
        };
        if let Some(unknown) = targets
            .iter()
            .find(|id| !contents.rules.iter().any(|rule| rule.id == **id))
        {
            return place.refuse("targetRules", format_args!("there is no rule '{unknown}'"));
        }
        for rule in &mut contents.rules {
            if targets.is_empty() || targets.contains(&rule.id.as_str()) {
                rule.allow.push(list.clone());
            }
        }
    }
    Ok(contents)
}

fn rule<'a>(
    index: usize,
    table: &'a Table,
    left: &'a Cell<usize>,
    names: &mut HashSet<&'a str>,
    contents: &mut Contents,
) -> Result<()> {
    let mut place = Place {
        name: format!("rule {}", index + 1),
        table,
        left,
    };
    let Some(id) = place.text("id")?.filter(|id| !id.trim().is_empty()) else {
        return place.refuse("id", "a name is needed");
    };
    let named = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.');
    if id.len() > 64 || !id.bytes().all(named) {
        return place.refuse(
            "id",
            "up to 64 letters, digits, '_', '-' and '.' are allowed",
        );
    }
    place.name = format!("rule '{id}'");
    place.knows(&[
        "id",
        "description",
        "regex",
        "path",
        "secretGroup",
        "entropy",
        "keywords",
        "tags",
        "allowlist",
        "allowlists",
        "required",
        "skipReport",
    ])?;
    if !names.insert(id) {
        return place.refuse("id", "another rule has this name");
    }
    let Some(pattern) = place.text("regex")?.filter(|pattern| !pattern.is_empty()) else {
        if place.text("path")?.is_none() {
            return place.refuse("regex", "an expression is needed");
        }
        contents.notices.push(format!(
            "rule '{id}' is about names of files and is left out"
        ));
        return Ok(());
    };
    if place.text("path")?.is_some() {
        contents.notices.push(format!(
            "'path' of rule '{id}' is ignored: it applies to all records"
        ));
    }
    if table.contains_key("required") {
        contents.notices.push(format!(
            "'required' of rule '{id}' is ignored: it applies on its own"
        ));
    }
    let expression = place.expression("regex", pattern)?;
    let group = match table.get("secretGroup") {
        None => 0,
        Some(value) => {
            let most = expression.regex.captures_len() - 1;
            let group = value
                .as_integer()
                .and_then(|group| usize::try_from(group).ok());
            match group.filter(|group| *group <= most) {
                Some(group) => group,
                None => return place.refuse("secretGroup", format_args!("0 to {most} is allowed")),
            }
        }
    };
    let entropy = match table.get("entropy") {
        None => 0.0,
        Some(Value::Float(bits)) if (0.0..=8.0).contains(bits) => *bits as f32,
        Some(Value::Integer(bits)) if (0..=8).contains(bits) => *bits as f32,
        Some(_) => return place.refuse("entropy", "0 to 8 is allowed"),
    };
    let keywords = place.texts("keywords")?;
    if keywords.iter().any(|word| word.is_empty()) {
        return place.refuse("keywords", "words that are not empty are allowed");
    }
    let mut allow = Vec::new();
    for table in place.tables(&["allowlist", "allowlists"])? {
        let place = Place {
            name: format!("allowlist of rule '{id}'"),
            table,
            left,
        };
        allow.extend(allowlist(&place)?);
    }
    contents.rules.push(FileRule {
        id: id.to_owned(),
        anchors: expression.parts().as_ref().and_then(anchor::anchors),
        regex: expression.regex,
        group,
        entropy,
        keywords: keywords.into_iter().map(str::to_ascii_lowercase).collect(),
        allow,
    });
    Ok(())
}

/// `None`: it is about files or commits, which logs do not have.
fn allowlist(place: &Place<'_>) -> Result<Option<Allowlist>> {
    place.knows(&[
        "description",
        "condition",
        "commits",
        "paths",
        "regexes",
        "regexTarget",
        "stopwords",
        "targetRules",
    ])?;
    let all = match place.text("condition")? {
        None => false,
        Some(text) if text.eq_ignore_ascii_case("or") || text == "||" => false,
        Some(text) if text.eq_ignore_ascii_case("and") || text == "&&" => true,
        Some(_) => return place.refuse("condition", "OR or AND is allowed"),
    };
    let target = match place.text("regexTarget")? {
        None | Some("" | "secret") => Target::Secret,
        Some("match") => Target::Match,
        Some("line") => Target::Line,
        Some(_) => return place.refuse("regexTarget", "secret, match or line is allowed"),
    };
    let elsewhere = !place.texts("commits")?.is_empty() || !place.texts("paths")?.is_empty();
    let patterns = place.texts("regexes")?;
    let regexes = patterns
        .iter()
        .map(|pattern| Ok(place.expression("regexes", pattern)?.regex))
        .collect::<Result<Vec<_>>>()?;
    let stopwords = place.texts("stopwords")?;
    // An empty one is in every secret: the rule would never find anything.
    if stopwords.iter().any(|word| word.is_empty()) {
        return place.refuse("stopwords", "words that are not empty are allowed");
    }
    // With all of them needed, one that never holds makes the list say nothing.
    if regexes.is_empty() && stopwords.is_empty() || all && elsewhere {
        return Ok(None);
    }
    Ok(Some(Allowlist {
        all,
        target,
        regexes,
        stopwords: stopwords
            .into_iter()
            .map(|word| word.to_ascii_lowercase().into_bytes())
            .collect(),
    }))
}
