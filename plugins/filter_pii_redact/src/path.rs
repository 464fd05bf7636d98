//! Key paths in record-accessor syntax (`$kubernetes['labels']['app']`), and patterns for keys.

/// One step of a path.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Step {
    Key(Vec<u8>),
    Index(usize),
}

/// A key path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Path(Vec<Step>);

impl Path {
    /// Reads `$a['b'][0]` or a bare key.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        let Some(rest) = text.strip_prefix('$') else {
            return (!text.is_empty()).then(|| Path(vec![Step::Key(text.as_bytes().to_vec())]));
        };
        let head = rest.find('[').unwrap_or(rest.len());
        if head == 0 {
            return None;
        }
        let mut steps = vec![Step::Key(rest.as_bytes()[..head].to_vec())];
        let mut rest = &rest[head..];
        while let Some(inner) = rest.strip_prefix('[') {
            let quote = inner.chars().next().filter(|c| matches!(c, '\'' | '"'));
            if let Some(quote) = quote {
                let body = &inner[1..];
                let end = body.find(quote)?;
                steps.push(Step::Key(body.as_bytes()[..end].to_vec()));
                rest = body[end + 1..].strip_prefix(']')?;
            } else {
                let (digits, after) = inner.split_once(']')?;
                steps.push(Step::Index(digits.parse().ok()?));
                rest = after;
            }
        }
        rest.is_empty().then_some(Path(steps))
    }
}

/// Which parts of a record are looked at.
#[derive(Clone, Debug, Default)]
pub(crate) struct Scope {
    /// What is included first.
    paths: Vec<Path>,
    included: usize,
}

/// Where a value stands, relative to the paths of a [`Scope`].
#[derive(Clone, Copy, Debug)]
pub(crate) struct Position {
    /// A bit per path whose steps so far agree.
    open: u128,
    /// Number of steps so far.
    steps: usize,
    included: bool,
    excluded: bool,
}

impl Scope {
    /// Most paths of one scope.
    pub(crate) const MAX: usize = u128::BITS as usize;

    /// `None`: more than [`Scope::MAX`] paths.
    pub(crate) fn new(include: Vec<Path>, exclude: Vec<Path>) -> Option<Self> {
        let included = include.len();
        let mut paths = include;
        paths.extend(exclude);
        (paths.len() <= Scope::MAX).then_some(Scope { paths, included })
    }

    pub(crate) fn is_everything(&self) -> bool {
        self.paths.is_empty()
    }

    /// The body of a record.
    pub(crate) fn root(&self) -> Position {
        Position {
            open: (0..self.paths.len()).fold(0, |open, n| open | 1 << n),
            steps: 0,
            included: self.included == 0,
            excluded: false,
        }
    }

    /// The value under `key` of the value at `position`.
    pub(crate) fn under_key(&self, position: &Position, key: &[u8]) -> Position {
        self.step(position, |step| matches!(step, Step::Key(k) if k == key))
    }

    /// The element `index` of the array at `position`.
    pub(crate) fn under_index(&self, position: &Position, index: usize) -> Position {
        self.step(position, |step| *step == Step::Index(index))
    }

    fn step(&self, position: &Position, agrees: impl Fn(&Step) -> bool) -> Position {
        let taken = position.steps;
        let mut next = Position {
            open: 0,
            steps: taken + 1,
            ..*position
        };
        for (n, Path(steps)) in self.paths.iter().enumerate() {
            let agreed = position.open >> n & 1 == 1 && steps.get(taken).is_some_and(&agrees);
            if !agreed {
                continue;
            }
            if taken + 1 < steps.len() {
                next.open |= 1 << n;
            } else if n < self.included {
                next.included = true;
            } else {
                next.excluded = true;
            }
        }
        next
    }
}

impl Position {
    /// Whether the value here is looked at.
    pub(crate) fn is_in(&self) -> bool {
        self.included && !self.excluded
    }

    /// Whether anything below is.
    pub(crate) fn leads_in(&self) -> bool {
        !self.excluded && (self.included || self.open != 0)
    }
}

/// A pattern for a key: `*` stands for any number of characters, `?` for one; case does not matter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct KeyPattern(Vec<u8>);

impl KeyPattern {
    pub(crate) fn new(text: &str) -> Self {
        KeyPattern(text.to_ascii_lowercase().into_bytes())
    }

    /// Whether the whole key matches. Linear in the key for each `*`.
    pub(crate) fn matches(&self, key: &[u8]) -> bool {
        let pattern = &self.0;
        let (mut p, mut k) = (0, 0);
        let mut star: Option<(usize, usize)> = None;
        while k < key.len() {
            match pattern.get(p) {
                Some(b'*') => {
                    star = Some((p, k));
                    p += 1;
                }
                Some(c) if *c == b'?' || *c == key[k].to_ascii_lowercase() => {
                    p += 1;
                    k += 1;
                }
                _ => {
                    let Some((at, from)) = star else {
                        return false;
                    };
                    star = Some((at, from + 1));
                    p = at + 1;
                    k = from + 1;
                }
            }
        }
        pattern[p..].iter().all(|b| *b == b'*')
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_read_as_the_record_accessor_reads_them() {
        let keys = |text: &str| Path::parse(text).map(|p| p.0.len());
        assert_eq!(keys("$log"), Some(1));
        assert_eq!(keys("$kubernetes['labels'][\"app\"]"), Some(3));
        assert_eq!(keys("$a['b'][0]"), Some(3));
        assert_eq!(keys("log"), Some(1));
        for text in ["$", "", "$a['b'", "$a[x]", "$a['b']c", "$['a']"] {
            assert_eq!(keys(text), None, "{text}");
        }
    }

    #[test]
    fn excluded_parts_are_out_and_included_ones_in() {
        let scope = Scope::new(
            vec![Path::parse("$a").unwrap()],
            vec![Path::parse("$a['b']").unwrap()],
        )
        .unwrap();
        let a = scope.under_key(&scope.root(), b"a");
        assert!(a.is_in());
        assert!(!scope.under_key(&a, b"b").leads_in());
        assert!(scope.under_key(&a, b"c").is_in());
        assert!(!scope.under_key(&scope.root(), b"z").leads_in());
        assert!(!scope.root().is_in() && scope.root().leads_in());
    }

    #[test]
    fn key_patterns_ignore_case_and_know_wildcards() {
        for (pattern, key, expected) in [
            ("password", "PassWord", true),
            ("password", "passwords", false),
            ("*secret*", "my_SECRET_key", true),
            ("*_key", "api_key", true),
            ("a?c", "abc", true),
            ("a?c", "ac", false),
            ("*", "", true),
            ("*a*b", "xaxxb", true),
            ("*a*b", "xaxxbc", false),
        ] {
            assert_eq!(
                KeyPattern::new(pattern).matches(key.as_bytes()),
                expected,
                "{pattern} {key}"
            );
        }
    }
}
