//! Which container wrote a record: from a template of its file's path or of its tag.

use flb_sidecar_sdk::msgpack::{map_get, read, Value};
use flb_sidecar_sdk::{ConfigError, Settings};
use regex::bytes::Regex;

/// Where the container's name is found.
#[derive(Clone, Debug)]
pub(crate) struct Names {
    fixed: Option<Vec<u8>>,
    tag: Option<Template>,
    path: Option<(Vec<u8>, Template)>,
}

impl Names {
    /// Reads the options.
    ///
    /// # Errors
    /// A template that is none, or one for the path without the field that has the path.
    pub(crate) fn new(settings: &Settings) -> Result<Self, ConfigError> {
        let given = |option| settings.string(option).filter(|text| !text.is_empty());
        let tag = given("tag_template")
            .map(|text| Template::new("tag_template", text, '.'))
            .transpose()?;
        let path = match (given("path_template"), given("path_key")) {
            (None, _) => None,
            (Some(text), Some(key)) => Some((
                key.as_bytes().to_vec(),
                Template::new("path_template", text, '/')?,
            )),
            (Some(_), None) => {
                let needed = "with path_template, the field that the input's Path_Key sets";
                return Err(ConfigError::missing("path_key", needed));
            }
        };
        Ok(Names {
            fixed: given("container_name").map(|name| name.as_bytes().to_vec()),
            tag,
            path,
        })
    }

    /// The name for a batch.
    pub(crate) fn of_tag<'t>(&'t self, tag: &'t [u8]) -> Option<&'t [u8]> {
        let found = self.tag.as_ref().and_then(|template| template.find(tag));
        found.or(self.fixed.as_deref())
    }

    /// Records may have names of their own.
    pub(crate) fn in_paths(&self) -> bool {
        self.path.is_some()
    }

    /// The path in a record, if its path is to be looked at.
    pub(crate) fn path<'r>(&self, body: &'r [u8]) -> Option<&'r [u8]> {
        let (key, _) = self.path.as_ref()?;
        let value = map_get(body, 0, key)?;
        let (Value::String { start, end }, _) = read(value, 0)? else {
            return None;
        };
        Some(&value[start..end])
    }

    /// The name in a path.
    pub(crate) fn of_path<'p>(&self, path: &'p [u8]) -> Option<&'p [u8]> {
        self.path.as_ref()?.1.find(path)
    }
}

/// A template such as `/var/log/app/{container_name}/*.log`.
#[derive(Clone, Debug)]
pub(crate) struct Template(Regex);

const CAPTURE: &str = "{container_name}";

/// A DNS label, as every container name is.
const NAME: &str = "([a-z0-9](?:[-a-z0-9]{0,61}[a-z0-9])?)";

impl Template {
    /// Reads the template of `option`. `separator` is what `*` does not go over: `/` in a path, `.`
    /// in a tag. `**` goes over everything.
    ///
    /// # Errors
    /// Without exactly one `{container_name}`, or with another brace.
    pub(crate) fn new(option: &str, text: &str, separator: char) -> Result<Self, ConfigError> {
        let error = || {
            ConfigError::value(
                option,
                text,
                "text with one {container_name}, and * or ** for any other part",
            )
        };
        let (head, tail) = text.split_once(CAPTURE).ok_or_else(error)?;
        if [head, tail].iter().any(|part| part.contains(['{', '}'])) {
            return Err(error());
        }
        let part = |text: &str| {
            regex::escape(text)
                .replace(r"\*\*", ".*")
                .replace(r"\*", &format!("[^{separator}]*"))
        };
        let pattern = format!("(?s-u)^{}{NAME}{}$", part(head), part(tail));
        Regex::new(&pattern).map(Template).map_err(|_| error())
    }

    /// The container's name in `text`.
    pub(crate) fn find<'t>(&self, text: &'t [u8]) -> Option<&'t [u8]> {
        Some(self.0.captures(text)?.get(1)?.as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn find<'t>(template: &str, separator: char, text: &'t str) -> Option<&'t str> {
        Template::new("o", template, separator)
            .unwrap()
            .find(text.as_bytes())
            .map(|name| std::str::from_utf8(name).unwrap())
    }

    #[test]
    fn the_name_is_taken_from_where_the_template_says() {
        let path = "/var/log/app/{container_name}/*.log";
        assert_eq!(find(path, '/', "/var/log/app/web-1/out.log"), Some("web-1"));
        assert_eq!(find(path, '/', "/var/log/app/web/sub/out.log"), None);
        assert_eq!(find(path, '/', "/var/log/app/Web/out.log"), None);
        assert_eq!(find(path, '/', "/x/var/log/app/web/out.log"), None);
        assert_eq!(
            find("**/{container_name}.log", '/', "/a/b/web.log"),
            Some("web")
        );
        assert_eq!(
            find("app.{container_name}.*", '.', "app.web.out"),
            Some("web")
        );
        assert_eq!(find("app.{container_name}", '.', "app.web.out"), None);
        assert_eq!(find("a+(b){container_name}", '.', "a+(b)c"), Some("c"));
    }

    #[test]
    fn other_templates_are_refused() {
        for text in [
            "",
            "/var/log/*.log",
            "{container_name}{container_name}",
            "{pod}/{container_name}",
            "{",
        ] {
            let error = Template::new("path_template", text, '/')
                .unwrap_err()
                .to_string();
            assert!(error.contains("'path_template'"), "{error}");
        }
    }
}
