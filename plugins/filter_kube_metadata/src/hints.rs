//! What the pod's annotations `fluentbit.io/...` ask for.
//!
//! Forms: `parser` or `exclude`, then optionally `_stdout` or `_stderr`, then optionally
//! `-<container>`. What is said for a container comes before what is said for all; of the rest the
//! first annotation counts.

use tracing::warn;

use crate::podinfo::Pairs;

const PREFIX: &[u8] = b"fluentbit.io/";

/// Which hints the configuration allows.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Allowed {
    pub(crate) parser: bool,
    pub(crate) exclude: bool,
}

/// Hints for the records of one container.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Hints {
    pub(crate) stdout: Hint,
    pub(crate) stderr: Hint,
}

/// Hints for one stream.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Hint {
    /// Name of the parser for `log`.
    pub(crate) parser: Option<String>,
    /// Drop the records; `None`: not said.
    pub(crate) exclude: Option<bool>,
}

/// Stream of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stream {
    Stdout,
    Stderr,
    /// Its key `stream` has another value.
    Unknown,
    /// It has no key `stream`.
    None,
}

impl Hints {
    /// Reads the annotations for the records of `container`. `knows` tells whether the host has a
    /// parser of that name. `said`: log what is wrong with an annotation.
    pub(crate) fn read(
        annotations: &Pairs,
        container: Option<&[u8]>,
        allowed: Allowed,
        knows: &dyn Fn(&str) -> bool,
        said: bool,
    ) -> Hints {
        let mut hints = Hints::default();
        for (key, value) in annotations {
            let Some(property) = key.strip_prefix(PREFIX).filter(|p| !p.is_empty()) else {
                continue;
            };
            let property = Property::read(property);
            if let Err(reason) =
                property.and_then(|p| hints.apply(&p, value, container, allowed, knows))
            {
                if said {
                    warn!("annotation '{}' {reason}", String::from_utf8_lossy(key));
                }
            }
        }
        hints
    }

    fn apply(
        &mut self,
        property: &Property<'_>,
        value: &[u8],
        container: Option<&[u8]>,
        allowed: Allowed,
        knows: &dyn Fn(&str) -> bool,
    ) -> Result<(), &'static str> {
        if property.container.is_some() && property.container != container {
            return Ok(());
        }
        let specific = property.container.is_some();
        let streams = [
            (property.stream != Some(Stream::Stderr)).then_some(&mut self.stdout),
            (property.stream != Some(Stream::Stdout)).then_some(&mut self.stderr),
        ];
        if property.is_parser {
            if !allowed.parser {
                return Err("is not allowed: k8s-logging.parser is off");
            }
            let name = std::str::from_utf8(value)
                .ok()
                .filter(|name| knows(name))
                .ok_or("names a parser that does not exist")?;
            for hint in streams.into_iter().flatten() {
                if specific || hint.parser.is_none() {
                    hint.parser = Some(name.to_owned());
                }
            }
        } else {
            if !allowed.exclude {
                return Err("is not allowed: k8s-logging.exclude is off");
            }
            let exclude = [&b"true"[..], b"on", b"yes"]
                .iter()
                .any(|word| value.eq_ignore_ascii_case(word));
            for hint in streams.into_iter().flatten() {
                if specific || hint.exclude.is_none() {
                    hint.exclude = Some(exclude);
                }
            }
        }
        Ok(())
    }

    /// The record is to be dropped.
    pub(crate) fn excludes(&self, stream: Stream) -> bool {
        let stdout = self.stdout.exclude == Some(true);
        let stderr = self.stderr.exclude == Some(true);
        match stream {
            Stream::Stdout => stdout,
            Stream::Stderr => stderr,
            Stream::Unknown | Stream::None => stdout && stderr,
        }
    }

    /// Some record may be dropped.
    pub(crate) fn may_exclude(&self) -> bool {
        self.excludes(Stream::Stdout) || self.excludes(Stream::Stderr)
    }

    /// Some record has a parser.
    pub(crate) fn may_parse(&self) -> bool {
        self.stdout.parser.is_some() || self.stderr.parser.is_some()
    }

    /// The parser for the record. As in Fluent Bit's own filter a record whose stream is not known
    /// has none, even where both streams name the same one.
    pub(crate) fn parser(&self, stream: Stream) -> Option<&str> {
        match stream {
            Stream::Stdout => self.stdout.parser.as_deref(),
            Stream::Stderr => self.stderr.parser.as_deref(),
            Stream::Unknown | Stream::None => None,
        }
    }
}

/// The part of an annotation's key behind `fluentbit.io/`.
struct Property<'a> {
    is_parser: bool,
    stream: Option<Stream>,
    container: Option<&'a [u8]>,
}

impl<'a> Property<'a> {
    fn read(text: &'a [u8]) -> Result<Self, &'static str> {
        let (is_parser, mut rest) = if let Some(rest) = text.strip_prefix(b"parser") {
            (true, rest)
        } else if let Some(rest) = text.strip_prefix(b"exclude") {
            (false, rest)
        } else {
            return Err("is unknown");
        };
        let mut stream = None;
        if let Some(name) = rest.strip_prefix(b"_") {
            (stream, rest) = if let Some(rest) = name.strip_prefix(b"stdout") {
                (Some(Stream::Stdout), rest)
            } else if let Some(rest) = name.strip_prefix(b"stderr") {
                (Some(Stream::Stderr), rest)
            } else {
                return Err("has an invalid stream, allowed: stdout, stderr");
            };
        }
        let container = match rest.split_first() {
            None => None,
            Some((b'-', [])) => return Err("has no container name behind '-'"),
            Some((b'-', name)) => Some(name),
            Some(_) => return Err("is invalid"),
        };
        Ok(Property {
            is_parser,
            stream,
            container,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hints(annotations: &[(&str, &str)], container: &str, allowed: Allowed) -> Hints {
        let pairs = annotations
            .iter()
            .map(|(k, v)| {
                (
                    format!("fluentbit.io/{k}").into_bytes(),
                    v.as_bytes().to_vec(),
                )
            })
            .collect();
        let container = Some(container.as_bytes()).filter(|c| !c.is_empty());
        Hints::read(&pairs, container, allowed, &|name| name != "missing", false)
    }

    const ALL: Allowed = Allowed {
        parser: true,
        exclude: true,
    };

    #[test]
    fn a_container_comes_before_all_and_the_first_of_equals_counts() {
        let h = hints(
            &[
                ("parser", "a"),
                ("parser_stdout", "b"),
                ("parser_stderr-app", "c"),
                ("parser-other", "d"),
            ],
            "app",
            ALL,
        );
        assert_eq!(h.parser(Stream::Stdout), Some("a"));
        assert_eq!(h.parser(Stream::Stderr), Some("c"));
        assert_eq!(h.parser(Stream::None), None);
        let h = hints(&[("parser-app", "d")], "", ALL);
        assert_eq!(h, Hints::default());
    }

    #[test]
    fn exclusion_needs_both_streams_where_the_stream_is_unknown() {
        let h = hints(&[("exclude", "True")], "app", ALL);
        assert!(
            h.excludes(Stream::None) && h.excludes(Stream::Stdout) && h.excludes(Stream::Stderr)
        );
        let h = hints(&[("exclude_stderr", "on")], "app", ALL);
        assert!(
            !h.excludes(Stream::Unknown)
                && !h.excludes(Stream::Stdout)
                && h.excludes(Stream::Stderr)
        );
        let h = hints(&[("exclude", "true"), ("exclude-app", "no")], "app", ALL);
        assert!(!h.may_exclude());
        let h = hints(&[("exclude", "1")], "app", ALL);
        assert!(!h.may_exclude());
    }

    #[test]
    fn what_is_not_allowed_unknown_or_malformed_does_nothing() {
        assert_eq!(
            hints(
                &[("parser", "a"), ("exclude", "on")],
                "app",
                Allowed::default()
            ),
            Hints::default()
        );
        for key in [
            "parserx",
            "parser_",
            "parser_std",
            "parser-",
            "parse",
            "exclude_stdoutx",
            "",
            "parser_stdout-",
        ] {
            assert_eq!(hints(&[(key, "on")], "app", ALL), Hints::default(), "{key}");
        }
        assert_eq!(
            hints(&[("parser", "missing")], "app", ALL),
            Hints::default()
        );
    }
}
