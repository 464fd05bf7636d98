//! Tag expansion: a `*` in the instance's tag stands for the file's path.

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

#[cfg(test)]
mod tests {
    use super::expand;

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
}
