//! Which lines a joined record is made of, for its offset and for how far a position may go.
//!
//! The host's engine does not say. It adds lines as they are, each with a newline, or what a
//! container runtime has wrapped in them; so the length of a record's text tells how many they are.

use std::collections::VecDeque;

use serde::Deserialize;

use crate::read::decode::cri_fields;

/// A line that went in.
#[derive(Clone, Copy, Debug)]
struct Line {
    offset: u64,
    length: usize,
    /// Bytes of the text that a container runtime has wrapped, if it looks like that.
    wrapped: Option<usize>,
}

/// Lines that are in no record yet.
#[derive(Debug, Default)]
pub(crate) struct Waiting(VecDeque<Line>);

#[derive(Deserialize)]
struct DockerLine<'a> {
    #[serde(borrow)]
    log: std::borrow::Cow<'a, str>,
}

impl Waiting {
    pub(crate) fn push(&mut self, line: &[u8], offset: u64) {
        let wrapped = if line.starts_with(b"{") {
            let line = serde_json::from_slice::<DockerLine<'_>>(line);
            line.ok().map(|line| line.log.len())
        } else {
            cri_fields(line).map(|(_, _, _, text)| text.len())
        };
        self.0.push_back(Line {
            offset,
            length: line.len(),
            wrapped,
        });
    }

    /// Where the first of them begins.
    pub(crate) fn first(&self) -> Option<u64> {
        self.0.front().map(|line| line.offset)
    }

    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }

    /// Takes out the lines that a record with this text is made of; where the first one begins.
    pub(crate) fn take(&mut self, text: &[u8]) -> Option<u64> {
        // The engine may have left out lines without a byte.
        let left_out = self.0.iter().take_while(|line| line.length == 0).count();
        let made_of = self
            .count(text.len(), 0)
            .or_else(|| Some(left_out + self.count(text.len(), left_out)?));
        let count = made_of.unwrap_or_else(|| self.before_last());
        let taken: Vec<Line> = self.0.drain(..count).collect();
        let skipped = if made_of.is_some() && text.first() != Some(&b'\n') {
            left_out
        } else {
            0
        };
        taken.get(skipped).or(taken.first()).map(|line| line.offset)
    }

    /// The same where it is known that the newest line is not in the record.
    pub(crate) fn take_before_last(&mut self) -> Option<u64> {
        let first = self.first();
        self.0.drain(..self.0.len().saturating_sub(1));
        first
    }

    /// Lines that must be in a record that came out with the newest one, if nothing else is known.
    fn before_last(&self) -> usize {
        match self.0.len() {
            0 | 1 => self.0.len(),
            lines => lines - 1,
        }
    }

    /// How many lines from `from` on make up a text of this length.
    fn count(&self, length: usize, from: usize) -> Option<usize> {
        let whole = |line: &Line| Some(line.length + 1);
        let filled = |line: &Line| Some(line.length + usize::from(line.length > 0));
        let wrapped = |line: &Line| line.wrapped;
        self.sum(length, from, whole)
            .or_else(|| self.sum(length, from, filled))
            .or_else(|| self.sum(length, from, wrapped))
    }

    fn sum(
        &self,
        length: usize,
        from: usize,
        part: impl Fn(&Line) -> Option<usize>,
    ) -> Option<usize> {
        let mut sum = 0;
        for (at, line) in self.0.iter().skip(from).enumerate() {
            sum += part(line)?;
            // The newline at the end may be missing.
            if sum == length || sum == length + 1 {
                return Some(at + 1);
            }
            if sum > length {
                return None;
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Offsets of the records that come out when the lines behind them go in.
    fn offsets(steps: &[(&str, &[&str])]) -> (Vec<u64>, Option<u64>) {
        let mut waiting = Waiting::default();
        let mut at = 0;
        let mut offsets = Vec::new();
        for (line, records) in steps {
            waiting.push(line.as_bytes(), at);
            at += 1 + line.len() as u64;
            let made = records.iter().map(|text| waiting.take(text.as_bytes()));
            offsets.extend(made.map(Option::unwrap));
        }
        (offsets, waiting.first())
    }

    #[test]
    fn lines_as_they_are() {
        let steps: &[(&str, &[&str])] = &[
            ("one", &[]),
            (" more", &[]),
            ("same", &["one\n more\n"]),
            ("same", &["same\n"]),
            ("same", &["same\n"]),
            ("alone", &["same", "alone"]),
            ("next", &[]),
        ];
        assert_eq!(offsets(steps), (vec![0, 10, 15, 20, 25], Some(31)));
    }

    #[test]
    fn lines_without_a_byte_may_be_left_out() {
        for text in ["two\n more\n", "two\n\n more\n"] {
            let steps: &[(&str, &[&str])] = &[
                ("one", &[]),
                ("", &[]),
                ("two", &["one\n"]),
                ("", &[]),
                (" more", &[]),
                ("three", &[text]),
            ];
            assert_eq!(offsets(steps), (vec![0, 5], Some(16)), "{text:?}");
        }
    }

    #[test]
    fn what_container_runtimes_wrap() {
        let steps: &[(&str, &[&str])] = &[
            (r#"{"log":"one\n"}"#, &["one\n"]),
            (r#"{"log":"par"}"#, &[]),
            (r#"{"log":"tial\n"}"#, &["partial\n"]),
            ("2024-01-01T10:00:00Z stdout F hello", &["hello"]),
            ("2024-01-01T10:00:00Z stdout P hel", &[]),
            ("2024-01-01T10:00:00Z stdout F lo", &["hello"]),
        ];
        assert_eq!(offsets(steps), (vec![0, 16, 47, 83], None));
    }

    #[test]
    fn what_is_not_made_of_lines_ends_before_the_newest() {
        let steps: &[(&str, &[&str])] = &[
            ("one", &[]),
            ("two", &[]),
            ("three", &["something quite else"]),
            ("four", &["again and again"]),
        ];
        assert_eq!(offsets(steps), (vec![0, 8], Some(14)));
    }
}
