//! Tag expansion: a `*` in the instance's tag stands for the file's path.

use std::sync::{Mutex, PoisonError};

use flb_sidecar_sdk::{ConfigError, HostRegex, InputHost, RegexError};
use regex::Regex;

/// `tag_regex`: the host's own expression, which patterns were written for; one of ours where a host
/// does not give its own.
pub(crate) enum TagRegex {
    /// It is for one thread at a time.
    Host(Mutex<Box<dyn HostRegex>>),
    Own(Regex),
}

impl std::fmt::Debug for TagRegex {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TagRegex").finish_non_exhaustive()
    }
}

impl TagRegex {
    pub(crate) fn new(pattern: &str, host: &dyn InputHost) -> Result<Self, ConfigError> {
        let invalid = |why: &str| {
            let allowed = format_args!("a regular expression with named groups{why}");
            ConfigError::value("tag_regex", pattern, allowed)
        };
        match host.regex(pattern) {
            Ok(regex) => Ok(TagRegex::Host(regex.into())),
            Err(RegexError::Invalid) => Err(invalid(", in the syntax of Ruby")),
            Err(RegexError::Unavailable) => {
                // Ruby and the regex crate both read (?<name>...).
                let bare = pattern
                    .strip_prefix('/')
                    .and_then(|rest| rest.strip_suffix('/'));
                let regex = Regex::new(bare.unwrap_or(pattern));
                regex.map(TagRegex::Own).map_err(|error| {
                    invalid(&format!(
                        ", without the host's own syntax, which it does not give ({error})"
                    ))
                })
            }
        }
    }

    /// Calls `group(name, value)` for every named group that matched; `false`: the path does not match.
    fn named_groups(&self, path: &str, group: &mut dyn FnMut(&[u8], &[u8])) -> bool {
        match self {
            TagRegex::Host(regex) => {
                let regex = regex.lock().unwrap_or_else(PoisonError::into_inner);
                regex.named_groups(path.as_bytes(), group)
            }
            TagRegex::Own(regex) => {
                let Some(found) = regex.captures(path) else {
                    return false;
                };
                for name in regex.capture_names().flatten() {
                    if let Some(value) = found.name(name).filter(|value| !value.is_empty()) {
                        group(name.as_bytes(), value.as_str().as_bytes());
                    }
                }
                true
            }
        }
    }
}

/// The tag of the file at `path`, or `None` when `template` has no `*`.
///
/// As the stock tail does it: slashes, backslashes and colons become dots, a leading one goes,
/// rows of dots become one, further `*` and a dot at the end are dropped.
pub(crate) fn expand(template: &str, path: &str) -> Option<String> {
    let (before, after) = template.split_once('*')?;
    let mut tag = String::with_capacity(template.len() + path.len());
    for c in before.chars().chain(path.chars()).chain(after.chars()) {
        match c {
            '/' | '\\' | ':' if tag.is_empty() => {}
            '/' | '\\' | ':' | '.' => {
                if !tag.ends_with('.') {
                    tag.push('.');
                }
            }
            '*' => {}
            c => tag.push(c),
        }
    }
    if tag.ends_with('.') {
        tag.pop();
    }
    Some(tag)
}

/// The tag of the file at `path` by the named groups of `regex`: `<name>` in `template` becomes
/// what the group matched, or `_` when there is no such group. `None`: the path does not match.
pub(crate) fn expand_groups(template: &str, regex: &TagRegex, path: &str) -> Option<String> {
    let mut groups: Vec<(Vec<u8>, String)> = Vec::new();
    let matches = regex.named_groups(path, &mut |name, value| {
        groups.push((name.to_vec(), String::from_utf8_lossy(value).into_owned()));
    });
    if !matches {
        return None;
    }
    // Of groups with one name the last one counts, as with the stock tail.
    let value_of = |name: &str| {
        let mut named = groups.iter().rev();
        named
            .find(|(known, _)| known == name.as_bytes())
            .map_or("_", |(_, value)| value)
    };
    let mut tag = String::with_capacity(template.len() + path.len());
    let mut rest = template;
    while let Some((before, name, after)) = rest.split_once('<').and_then(|(before, from)| {
        let (name, after) = from.split_once('>')?;
        Some((before, name, after))
    }) {
        tag.push_str(before);
        tag.push_str(value_of(name));
        rest = after;
    }
    tag.push_str(rest);
    Some(tag)
}

#[cfg(test)]
mod tests {
    use super::*;
    use flb_sidecar_sdk::fake::FakeHost;

    #[test]
    fn the_path_takes_the_place_of_the_star() {
        for (template, path, tag) in [
            ("kube.*", "/var/log/app.log", Some("kube.var.log.app.log")),
            ("*", "/var/log/app.log", Some("var.log.app.log")),
            ("a.*.b", "/x//y", Some("a.x.y.b")),
            ("app.*", "c:\\logs\\a*b.", Some("app.c.logs.ab")),
            ("plain", "/var/log/app.log", None),
        ] {
            assert_eq!(expand(template, path).as_deref(), tag, "{template} {path}");
        }
    }

    #[test]
    fn named_groups_take_the_place_of_their_names() {
        // Without a host's own: between slashes or not.
        let host = FakeHost::default();
        let pattern = r"/(?<pod>[^_/]+)_(?<space>[^_/]+)\.log$";
        let regex = TagRegex::new(&format!("/{pattern}/"), &host).unwrap();
        for (path, tag) in [
            ("/var/log/web_shop.log", Some("kube.shop.web._.x")),
            ("/var/log/other", None),
        ] {
            let expanded = expand_groups("kube.<space>.<pod>.<none>.x", &regex, path);
            assert_eq!(expanded.as_deref(), tag);
        }
        let plain = expand_groups("a<b", &regex, "/x_y.log");
        assert_eq!(plain.as_deref(), Some("a<b"));
    }

    #[test]
    fn a_pattern_that_is_none_stops_the_start() {
        let error = TagRegex::new("(?<name>", &FakeHost::default()).unwrap_err();
        assert!(error.to_string().contains("'tag_regex'"), "{error}");
    }
}
