//! States of those who read logs, where they lie among the logs: ours, by whatever instance, and databases of
//! `tail`. They are no logs. They are known by what they begin with, since anything may have any name; a log
//! that merely looks like one is read.

use std::path::Path;
use std::sync::Arc;

use crate::counters::Trouble;
use crate::fs::Handle;
use crate::map::HashMap;
use crate::track::file::{FileId, Seen};
use crate::track::files::Files;
use crate::track::fingerprint::{read_full, Identity, HEAD};
use crate::track::limit::MOST_PATHS;
use crate::track::transition::Observation;

/// What a database of SQLite begins with, its write-ahead log, and its rollback journal:
/// <https://www.sqlite.org/fileformat.html>. The index of a write-ahead log begins with the format's version, in
/// the machine's order, and nothing.
const SQLITE: &[u8] = b"SQLite format 3\0";
const AHEAD: [&[u8]; 2] = [
    b"\x37\x7f\x06\x82\x00\x2d\xe2\x18",
    b"\x37\x7f\x06\x83\x00\x2d\xe2\x18",
];
const ROLLBACK: &[u8] = b"\xd9\xd5\x05\xf9\x20\xa1\x63\xd7";
const INDEX: [&[u8]; 2] = [
    b"\x18\xe2\x2d\x00\x00\x00\x00\x00",
    b"\x00\x2d\xe2\x18\x00\x00\x00\x00",
];

/// What a document of ours begins with, and how many digits the hash of a journal's line has.
const VERSION: &[u8] = b"{\"version\":";
const HASH: usize = 16;

/// Whether a file that begins with these bytes, up to [`HEAD`], is a state.
fn is_state(head: &[u8]) -> bool {
    is_of_sqlite(head) || is_document(head) || is_journal(head)
}

fn is_of_sqlite(head: &[u8]) -> bool {
    let mut all = [SQLITE, ROLLBACK].into_iter().chain(AHEAD).chain(INDEX);
    all.any(|magic| head.starts_with(magic))
}

/// Whether more of a file that begins with these few bytes is worth a look.
pub(crate) fn may_begin_a_state(start: &[u8]) -> bool {
    is_of_sqlite(start) || start.starts_with(VERSION) || is_hash(start)
}

/// As many hexadecimal digits as a hash has, at least.
fn is_hash(text: &[u8]) -> bool {
    let hexadecimal = |byte: &u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(byte);
    text.len() >= HASH && text[..HASH].iter().all(hexadecimal)
}

fn is_document(head: &[u8]) -> bool {
    let rest = head.strip_prefix(VERSION).and_then(number);
    let rest = rest.and_then(|rest| number(rest.strip_prefix(b",\"journal\":")?));
    rest.is_some_and(|rest| rest.starts_with(b",\"files\":["))
}

fn is_journal(head: &[u8]) -> bool {
    let Some((hash, rest)) = head.split_at_checked(HASH) else {
        return false;
    };
    let rest = rest.strip_prefix(b" {\"journal\":").and_then(number);
    is_hash(hash)
        && rest.is_some_and(|rest| {
            rest.starts_with(b",\"gone\":[{\"device\":") || rest.starts_with(b",\"files\":[")
        })
}

/// What is behind a number.
fn number(text: &[u8]) -> Option<&[u8]> {
    let digits = text.iter().take_while(|byte| byte.is_ascii_digit()).count();
    (digits > 0).then(|| &text[digits..])
}

/// The states that were found, by their paths: ours have another inode every second.
#[derive(Debug, Default)]
pub(crate) struct StateFiles(HashMap<Arc<Path>, (Identity, Seen)>);

impl StateFiles {
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// Forgets those that are gone, as `is_there` says.
    pub(crate) fn retain(&mut self, is_there: impl Fn(&Path) -> bool) {
        self.0.retain(|path, _| is_there(path));
    }
}

/// A file is looked at for the first time: if it is a state it is not followed. `false`: it is none.
pub(crate) fn leave_state(files: &mut Files, id: FileId) -> bool {
    let Some(file) = files.registry.get(id) else {
        return false;
    };
    if !file
        .handle
        .as_ref()
        .is_some_and(|handle| begins_a_state(handle))
    {
        return false;
    }
    let (path, known) = (file.shown().clone(), (file.identity, file.seen));
    files.observe(id, Observation::Compressed);
    let text = "it is the state of somebody who reads logs, so it is not read";
    files.ctx.troubles.say(Trouble::NotALog, &path, text);
    if files.states.len() < MOST_PATHS {
        files.states.0.insert(path, known);
    }
    true
}

fn begins_a_state(handle: &Handle) -> bool {
    let mut head = [0; HEAD];
    let length = read_full(handle, &mut head, 0);
    length.is_ok_and(|length| is_state(&head[..length]))
}

/// Whether what is at a path, where a state was, is still one.
pub(crate) fn is_still_a_state(
    files: &mut Files,
    path: &Path,
    identity: &Identity,
    seen: Seen,
) -> bool {
    let Some(known) = files.states.0.get(path) else {
        return false;
    };
    if *known == (*identity, seen) {
        return true;
    }
    let opened = files.handles.open_at_once(path);
    if opened.is_ok_and(|(handle, _)| begins_a_state(&handle)) {
        if let Some(known) = files.states.0.get_mut(path) {
            *known = (*identity, seen);
        }
        return true;
    }
    files.states.0.remove(path);
    files.ctx.troubles.over(Trouble::NotALog, path);
    false
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::Write as _;

    use super::*;
    use crate::checkpoint::entry::{write_changes, write_document, Changes};
    use crate::sim::steps::Steps;

    fn ours() -> [Vec<u8>; 3] {
        let gone = Identity {
            device: 1,
            inode: 2,
            birth: None,
        };
        let mut files = [Vec::new(), Vec::new(), Vec::new()];
        write_document(&mut files[0], &[], 17).unwrap();
        write_changes(&mut files[1], &Changes::default(), 17).unwrap();
        let changes = Changes {
            gone: vec![gone],
            files: Vec::new(),
        };
        write_changes(&mut files[2], &changes, 17).unwrap();
        files
    }

    /// Whatever name they have, and however often they are replaced. As was reported of others that take for
    /// one kind of file what lies beside it (dolphie pull request 127, iLEAPP pull request 614, blocky pull
    /// request 2080), or read what they write themselves (fluentd-kubernetes-daemonset pull request 1594).
    #[test]
    fn the_state_of_somebody_else_is_no_log() {
        let mut all: Vec<Vec<u8>> = ours().to_vec();
        all.extend([SQLITE, ROLLBACK].map(<[u8]>::to_vec));
        all.extend(AHEAD.into_iter().chain(INDEX).map(<[u8]>::to_vec));
        let mut steps = Steps::new("*");
        for (n, state) in all.iter().enumerate() {
            let text = [state, &b"\nmore of it\n"[..]].concat();
            fs::write(steps.path(&format!("{n}.log")), text).unwrap();
        }
        for round in 0..3 {
            steps.round();
            for n in 0..all.len() {
                let (old, new) = (steps.path(&format!("{n}.log")), steps.path("../new"));
                let mut text = fs::read(&old).unwrap();
                writeln!(text, "round {round}").unwrap();
                let new = new.with_file_name(format!("state-{}", std::process::id()));
                fs::write(&new, text).unwrap();
                fs::rename(&new, &old).unwrap();
            }
        }
        steps.round();
        assert_eq!(steps.lines, [""; 0]);
        assert_eq!(steps.worker.files.states.len(), all.len());
        assert_eq!(steps.worker.files.registry.len(), 0);
        let counters = &steps.worker.ctx.counters;
        assert_eq!(counters.errors(Trouble::NotALog), all.len() as u64);
        // A log may have that name later.
        fs::write(steps.path("0.log"), "one\n").unwrap();
        steps.round();
        assert_eq!(steps.lines, ["one"]);
        // Nothing is kept of what is gone.
        for n in 1..all.len() {
            fs::remove_file(steps.path(&format!("{n}.log"))).unwrap();
        }
        steps.worker.files.states.retain(Path::exists);
        assert_eq!(steps.worker.files.states.len(), 0);
    }

    #[test]
    fn a_log_that_begins_almost_like_a_state_is_read() {
        let [document, journal, gone] = ours();
        let mut lines = vec![
            r#"{"version":1,"journal":"app","files":[]}"#.to_owned(),
            r#"{"version":1,"journal":17,"file":"x"}"#.to_owned(),
            r#"{"version":1,"files":[]}"#.to_owned(),
            r#" {"version":1,"journal":17,"files":[]}"#.to_owned(),
            "0123456789abcdef a trace".to_owned(),
            r#"0123456789abcdef {"journal":"x"}"#.to_owned(),
            r#"0123456789ABCDEF {"journal":17,"files":[]}"#.to_owned(),
            "SQLite format 3 is not supported".to_owned(),
            "SQLite format 3".to_owned(),
        ];
        // With one byte changed.
        for state in [document, journal, gone] {
            let text = String::from_utf8(state).unwrap();
            lines.push(text.trim().replacen("journal", "journey", 1));
        }
        let mut steps = Steps::new("*");
        for (n, line) in lines.iter().enumerate() {
            fs::write(steps.path(&format!("{n:02}.log")), format!("{line}\n")).unwrap();
        }
        steps.round();
        steps.lines.sort();
        lines.sort();
        assert_eq!(steps.lines, lines);
        assert_eq!(steps.worker.ctx.counters.errors(Trouble::NotALog), 0);
    }
}
