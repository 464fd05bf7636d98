//! Very many paths in little memory: most of them are names in the same few folders.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Bytes of names in one piece, and names.
const TEXT: usize = 16 << 10;
const NAMES: usize = 1024;
/// What is longer counts as if it were as long.
const LONGEST: usize = 255;

/// Paths in the order in which they came, and something of each. They are in pieces: nothing is copied as they
/// become more, and memory goes back as they become less.
#[derive(Debug)]
pub(crate) struct Paths<T> {
    /// None is empty.
    pieces: Vec<Piece<T>>,
    len: usize,
    bytes: usize,
}

#[derive(Debug)]
struct Piece<T> {
    /// The folder of the names from the one with this number on, until the next folder.
    folders: Vec<(u32, Arc<Path>)>,
    /// Names, one behind the other.
    text: Vec<u8>,
    /// Where each name ends in it.
    ends: Vec<u32>,
    of: Vec<T>,
}

impl<T> Default for Paths<T> {
    fn default() -> Self {
        Paths {
            pieces: Vec::new(),
            len: 0,
            bytes: 0,
        }
    }
}

impl<T> Default for Piece<T> {
    fn default() -> Self {
        Piece {
            folders: Vec::new(),
            text: Vec::new(),
            ends: Vec::new(),
            of: Vec::new(),
        }
    }
}

impl<T> Piece<T> {
    fn is_full(&self) -> bool {
        self.ends.len() >= NAMES || self.text.len() >= TEXT
    }

    /// Where the name with this number begins.
    fn start_of(&self, number: usize) -> u32 {
        number.checked_sub(1).map_or(0, |n| self.ends[n])
    }

    fn get(&self, number: usize) -> Option<PathBuf> {
        let end = *self.ends.get(number)?;
        let start = self.start_of(number);
        let name = &self.text[start as usize..end as usize];
        let folder = self
            .folders
            .partition_point(|(first, _)| *first as usize <= number);
        let (_, folder) = self.folders.get(folder.checked_sub(1)?)?;
        // As it would be joined, in one step.
        let folder = folder.as_os_str().as_bytes();
        let mut path = Vec::with_capacity(folder.len() + 1 + name.len());
        path.extend_from_slice(folder);
        if !name.is_empty() && !folder.is_empty() && !folder.ends_with(b"/") {
            path.push(b'/');
        }
        path.extend_from_slice(name);
        Some(PathBuf::from(OsString::from_vec(path)))
    }

    /// Takes out the last one; with it, how many bytes that were.
    fn pop(&mut self) -> Option<(PathBuf, T, usize)> {
        let last = self.ends.len().checked_sub(1)?;
        let path = self.get(last)?;
        self.ends.pop();
        let start = self.ends.last().map_or(0, |end| *end as usize);
        let mut bytes = self.text.len() - start;
        self.text.truncate(start);
        let folder = self.folders.last();
        if folder.is_some_and(|(first, _)| *first as usize == last) {
            let folder = self.folders.pop();
            bytes += folder.map_or(0, |(_, folder)| folder.as_os_str().len());
        }
        Some((path, self.of.pop()?, bytes))
    }
}

impl<T> Paths<T> {
    pub(crate) fn push(&mut self, path: &Path, of: T) {
        let whole = path.as_os_str().as_bytes();
        let slash = memchr::memrchr(b'/', whole);
        // What could not be put together again letter by letter is a folder, with nothing in it.
        let (folder, name) = match slash {
            Some(0) if whole.len() > 1 => whole.split_at(1),
            Some(slash) if slash > 0 && whole[slash - 1] != b'/' && slash + 1 < whole.len() => {
                (&whole[..slash], &whole[slash + 1..])
            }
            _ => (whole, &[][..]),
        };
        let folder = Path::new(OsStr::from_bytes(folder));
        self.push_in(folder, OsStr::from_bytes(name), of);
    }

    /// The same of a name in a folder.
    pub(crate) fn push_in(&mut self, folder: &Path, name: &OsStr, of: T) {
        let last = self.pieces.last().and_then(|piece| piece.folders.last());
        let same = last.filter(|(_, last)| last.as_os_str() == folder.as_os_str());
        let same = same.map(|(_, last)| last.clone());
        let piece = match self.pieces.last_mut() {
            Some(piece) if !piece.is_full() => piece,
            full => {
                if let Some(piece) = full {
                    piece.text.shrink_to_fit();
                    piece.ends.shrink_to_fit();
                    piece.of.shrink_to_fit();
                }
                self.pieces.push(Piece::default());
                let Some(piece) = self.pieces.last_mut() else {
                    return;
                };
                piece
            }
        };
        if same.is_none() || piece.folders.is_empty() {
            let folder = same.unwrap_or_else(|| folder.into());
            self.bytes += folder.as_os_str().len();
            piece.folders.push((piece.ends.len() as u32, folder));
        }
        piece.text.extend_from_slice(name.as_bytes());
        piece.ends.push(piece.text.len() as u32);
        piece.of.push(of);
        self.len += 1;
        self.bytes += name.len();
    }

    /// Takes out the one that came last.
    pub(crate) fn pop(&mut self) -> Option<(PathBuf, T)> {
        let piece = self.pieces.last_mut()?;
        let (path, of, bytes) = piece.pop()?;
        self.bytes -= bytes;
        self.len -= 1;
        if piece.ends.is_empty() {
            self.pieces.pop();
        }
        Some((path, of))
    }

    /// Where they are, the shortest names first, and of those that are as long the one that came first.
    pub(crate) fn shortest_first(&self) -> Vec<u32> {
        // Each length has its part of the whole: there may be a hundred thousand, but a name has 255 bytes.
        let mut begins = [0usize; LONGEST + 1];
        self.each(|len, _| begins[len] += 1);
        let mut sum = 0;
        for begin in &mut begins {
            (*begin, sum) = (sum, sum + *begin);
        }
        let mut all = vec![0; self.len];
        self.each(|len, place| {
            all[begins[len]] = place;
            begins[len] += 1;
        });
        all
    }

    /// The length of every name, and where it is.
    fn each(&self, mut tell: impl FnMut(usize, u32)) {
        for (piece, held) in self.pieces.iter().enumerate() {
            for number in 0..held.ends.len() {
                let len = held.ends[number] - held.start_of(number);
                tell((len as usize).min(LONGEST), (piece * NAMES + number) as u32);
            }
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.len
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Bytes of all names, and of their folders.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }
}

impl<T: Copy> Paths<T> {
    /// One that [`Paths::shortest_first`] tells of.
    pub(crate) fn get(&self, place: u32) -> Option<(PathBuf, T)> {
        let (piece, number) = (place as usize / NAMES, place as usize % NAMES);
        let piece = self.pieces.get(piece)?;
        Some((piece.get(number)?, *piece.of.get(number)?))
    }

    /// All as they came, and none stays: a piece goes when all of it is through.
    pub(crate) fn into_iter(self) -> impl Iterator<Item = (PathBuf, T)> {
        self.pieces.into_iter().flat_map(|piece| {
            let all = 0..piece.of.len();
            all.filter_map(move |number| Some((piece.get(number)?, piece.of[number])))
        })
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

    #[test]
    fn a_log_comes_before_its_copies() {
        let mut paths = Paths::default();
        for path in ["/x/app.log.1", "/x/app.log", "/a/b.log", "/x/c.log"] {
            paths.push(Path::new(path), ());
        }
        let places = paths.shortest_first().into_iter();
        let all: Vec<_> = places.filter_map(|place| paths.get(place)).collect();
        let all: Vec<_> = all.iter().filter_map(|(path, ())| path.to_str()).collect();
        assert_eq!(all, ["/a/b.log", "/x/c.log", "/x/app.log", "/x/app.log.1"]);
    }

    proptest! {
        /// They come out as they went in, letter by letter, the last one first.
        #[test]
        fn they_are_what_they_were(steps in proptest::collection::vec(proptest::option::of(0..ALL.len()), 0..60)) {
            let mut paths = Paths::default();
            let mut model: Vec<(OsString, usize)> = Vec::new();
            let told = |(path, of): (PathBuf, usize)| (path.into_os_string(), of);
            for (number, step) in steps.into_iter().enumerate() {
                match step {
                    // Many at once, so that they come to be in several pieces.
                    Some(n) => for _ in 0..if n % 2 == 0 { 1 } else { NAMES / 3 } {
                        paths.push(Path::new(ALL[n]), number);
                        model.push((ALL[n].into(), number));
                    }
                    None => for _ in 0..if number % 2 == 0 { 1 } else { NAMES / 2 } {
                        prop_assert_eq!(paths.pop().map(told), model.pop());
                    }
                }
                prop_assert_eq!(paths.len(), model.len());
                prop_assert_eq!(paths.is_empty(), model.is_empty());
                prop_assert_eq!(paths.bytes() == 0, model.is_empty());
            }
            let places = paths.shortest_first().into_iter();
            let mut shortest: Vec<_> = places.filter_map(|place| paths.get(place)).map(told).collect();
            shortest.sort();
            let mut sorted = model.clone();
            sorted.sort();
            prop_assert_eq!(shortest, sorted);
            prop_assert_eq!(&paths.into_iter().map(told).collect::<Vec<_>>(), &model);
        }
    }
}
