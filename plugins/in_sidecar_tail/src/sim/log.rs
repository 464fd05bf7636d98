//! What the oracle of a simulation knows of files and of their lines.

use std::path::PathBuf;

/// A file, wherever it is.
#[derive(Debug)]
pub(super) struct Log {
    /// `None`: where nobody looks.
    pub(super) path: Option<PathBuf>,
    /// The patterns match it there.
    pub(super) matched: bool,
    /// Since when it is rotated, and when there was last a byte in it.
    pub(super) rotated: Option<u64>,
    /// The instance knew it then, so it knows that its last line is complete.
    pub(super) seen_rotated: bool,
    pub(super) written: u64,
    /// The instance had the opportunity to see it since it began; and to keep its position.
    pub(super) known: bool,
    pub(super) saved: bool,
    /// That has what it begins with.
    pub(super) headed: bool,
    /// Where it was then.
    pub(super) saved_at: Option<PathBuf>,
    /// When it came to where it is.
    pub(super) moved: u64,
    /// It got another name while nobody was reading, or is a copy that was made then.
    pub(super) renamed_unseen: bool,
    /// It was rotated and quiet for so long that the instance need not read it any more.
    pub(super) let_go: bool,
    pub(super) has_header: bool,
    /// Another writer's, and its name is no rotated one.
    pub(super) stranger: bool,
    /// It was copied from one that was truncated then.
    pub(super) copy: bool,
    /// The same, and nothing was read of it that does not begin others, too.
    pub(super) alike: bool,
    /// It was truncated, and its writer went on where he was: it begins with NULs, as others do.
    pub(super) hollow: bool,
    /// All of it was read where no pattern looks: nothing is kept of it any more.
    pub(super) dropped: bool,
    /// When it was compressed.
    pub(super) packed_at: u64,
    /// It was too old at the start, and nobody tells of what is written through a map.
    pub(super) left_out: bool,
    /// It could not be opened when the instance had not known it yet.
    pub(super) blind: bool,
}

impl Log {
    /// A new one, at a moment.
    pub(super) fn new(path: PathBuf, matched: bool, now: u64) -> Self {
        Log {
            path: Some(path),
            matched,
            rotated: None,
            seen_rotated: false,
            written: now,
            known: false,
            saved: false,
            headed: false,
            saved_at: None,
            moved: now,
            renamed_unseen: false,
            let_go: false,
            has_header: false,
            stranger: false,
            copy: false,
            alike: false,
            hollow: false,
            dropped: false,
            packed_at: 0,
            left_out: false,
            blind: false,
        }
    }

    pub(super) fn is_packed(&self) -> bool {
        let path = self.path.as_ref();
        path.is_some_and(|path| path.extension() == Some("gz".as_ref()))
    }
}

/// A line, made of words that no other line has.
#[derive(Debug)]
pub(super) struct Line {
    pub(super) log: usize,
    pub(super) words: u64,
    /// Its newline is written, too.
    pub(super) ended: bool,
    /// Words before which it may be cut.
    pub(super) cuts: Vec<u64>,
    /// How often each word came, and how often it may.
    pub(super) came: Vec<u64>,
    pub(super) most: u64,
    pub(super) duty: Duty,
    /// The instance had the opportunity to read it while it was there.
    pub(super) offered: bool,
    /// It came, and the host could say so in time.
    pub(super) safe: bool,
    /// How often it had come when its file was to be read anew.
    pub(super) anew: Option<u64>,
}

impl Line {
    /// One without a word.
    pub(super) fn new(log: usize, duty: Duty) -> Self {
        Line {
            log,
            words: 0,
            ended: false,
            cuts: Vec::new(),
            came: Vec::new(),
            most: 1,
            duty,
            offered: false,
            safe: false,
            anew: None,
        }
    }

    /// Some of it has not come.
    pub(super) fn is_late(&self) -> bool {
        self.came.contains(&0)
    }

    /// It may come in pieces.
    pub(super) fn may_be_cut(&mut self) {
        self.cuts.extend(0..=self.words);
    }

    /// It need not come any more.
    pub(super) fn excuse(&mut self) {
        if self.duty == Duty::Must {
            self.duty = Duty::May;
        }
    }
}

/// What is to become of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Duty {
    Must,
    May,
    Never,
}
