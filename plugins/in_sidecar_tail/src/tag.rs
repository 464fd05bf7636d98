//! Tag expansion: a `*` in the instance's tag stands for the file's path.

use regex::Regex;

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
pub(crate) fn expand_groups(template: &str, regex: &Regex, path: &str) -> Option<String> {
    let groups = regex.captures(path)?;
    let mut tag = String::with_capacity(template.len() + path.len());
    let mut rest = template;
    while let Some((before, name, after)) = rest.split_once('<').and_then(|(before, from)| {
        let (name, after) = from.split_once('>')?;
        Some((before, name, after))
    }) {
        tag.push_str(before);
        tag.push_str(groups.name(name).map_or("_", |group| group.as_str()));
        rest = after;
    }
    tag.push_str(rest);
    Some(tag)
}

#[cfg(test)]
mod tests {
    use super::*;

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
        let regex = Regex::new(r"/(?<pod>[^_/]+)_(?<space>[^_/]+)\.log$").unwrap();
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
}
