//! Very many paths in little memory: most of them are names in the same few folders.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// Paths in the order in which they came.
#[derive(Debug, Default)]
pub(crate) struct Paths {
    /// The folder of the names from the one with this number on, until the next folder.
    folders: Vec<(usize, Box<Path>)>,
    /// Names, one behind the other.
    text: Vec<u8>,
    /// Where each name ends in it.
    ends: Vec<usize>,
}

impl Paths {
    pub(crate) fn push(&mut self, path: &Path) {
        // What has no last name is a folder, with nothing in it.
        let (folder, name) = match (path.parent(), path.file_name()) {
            (Some(folder), Some(name)) => (folder, name),
            _ => (path, OsStr::new("")),
        };
        if self
            .folders
            .last()
            .is_none_or(|(_, last)| **last != *folder)
        {
            self.folders.push((self.ends.len(), folder.into()));
        }
        self.text.extend_from_slice(name.as_bytes());
        self.ends.push(self.text.len());
    }

    /// Takes out the one that came last.
    pub(crate) fn pop(&mut self) -> Option<PathBuf> {
        let last = self.ends.len().checked_sub(1)?;
        let path = self.get(last)?;
        self.ends.pop();
        self.text.truncate(self.ends.last().copied().unwrap_or(0));
        if self.folders.last().is_some_and(|(first, _)| *first == last) {
            self.folders.pop();
        }
        Some(path)
    }

    /// Where the name with this number begins.
    fn start_of(&self, number: usize) -> usize {
        let before = number.checked_sub(1);
        before.and_then(|n| self.ends.get(n)).copied().unwrap_or(0)
    }

    /// Their numbers, the shortest names first.
    pub(crate) fn shortest_first(&self) -> Vec<usize> {
        let mut numbers: Vec<usize> = (0..self.len()).collect();
        numbers.sort_by_key(|number| self.ends[*number] - self.start_of(*number));
        numbers
    }

    pub(crate) fn get(&self, number: usize) -> Option<PathBuf> {
        let end = *self.ends.get(number)?;
        let start = self.start_of(number);
        let name = OsStr::from_bytes(&self.text[start..end]);
        let folder = self.folders.partition_point(|(first, _)| *first <= number);
        let (_, folder) = self.folders.get(folder.checked_sub(1)?)?;
        Some(if name.is_empty() {
            folder.to_path_buf()
        } else {
            folder.join(name)
        })
    }

    pub(crate) fn len(&self) -> usize {
        self.ends.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// Bytes of all names.
    pub(crate) fn bytes(&self) -> usize {
        self.text.len()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const ALL: [&str; 9] = [
        "/a.log",
        "a.log",
        "./a.log",
        "/x//y/a.log",
        "/x//y/b.log",
        "/x/y",
        "/",
        "x/é\n.log",
        "x/.log",
    ];

    proptest! {
        /// They come out as they went in, letter by letter, the last one first.
        #[test]
        fn they_are_what_they_were(steps in proptest::collection::vec(proptest::option::of(0..ALL.len()), 0..60)) {
            let mut paths = Paths::default();
            let mut model: Vec<&str> = Vec::new();
            for step in steps {
                match step {
                    Some(n) => {
                        paths.push(Path::new(ALL[n]));
                        model.push(ALL[n]);
                    }
                    None => {
                        let last = paths.pop().map(PathBuf::into_os_string);
                        prop_assert_eq!(last, model.pop().map(Into::into));
                    }
                }
                let all = (0..paths.len()).filter_map(|number| paths.get(number));
                let all: Vec<_> = all.map(PathBuf::into_os_string).collect();
                prop_assert_eq!(&all, &model);
                prop_assert_eq!(paths.len(), model.len());
            }
        }
    }
}
