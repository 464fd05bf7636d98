//! Decompressing gzip files (RFC 1952) in small steps, member by member, as far as they are written.

use std::io::{self, Read};
use std::sync::Arc;

use flate2::read::MultiGzDecoder;

use crate::fs::{Handle, Metadata};

/// Compressed bytes taken in one step: members of a few bytes that hold nothing cost as much time
/// as text, and a step of them some milliseconds.
pub(crate) const INPUT_AT_ONCE: usize = 16 << 10;
/// Decompressed bytes that a step gives at most.
pub(crate) const OUTPUT_AT_ONCE: usize = 256 << 10;

/// What a step came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// There is more to be decompressed.
    More,
    /// What is there of the file is read, and its text need not be complete.
    Waits,
    /// The file is read to its end.
    End,
    /// It was said to be complete and ends inside a member: nothing more can be read before
    /// [`Gunzip::begin_again`].
    Cut,
}

/// A gzip file that is decompressed from its head.
#[derive(Debug)]
pub(crate) struct Gunzip {
    decoder: MultiGzDecoder<FromHead>,
}

/// Reads a file from its head, whatever others do with its handle.
#[derive(Debug)]
struct FromHead {
    handle: Arc<Handle>,
    at: u64,
    /// What may be read in this step.
    left: usize,
    /// The end was reached in this step.
    at_end: bool,
    /// The file's end is the text's: nothing more is written.
    complete: bool,
    /// That end was reached.
    over: bool,
}

impl FromHead {
    fn new(handle: Arc<Handle>) -> Self {
        FromHead {
            handle,
            at: 0,
            left: 0,
            at_end: false,
            complete: false,
            over: false,
        }
    }
}

impl Read for FromHead {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.left == 0 {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let most = buffer.len().min(self.left);
        let length = self.handle.read_at(&mut buffer[..most], self.at)?;
        if length == 0 && !self.complete {
            self.at_end = true;
            return Err(io::ErrorKind::WouldBlock.into());
        }
        self.over = length == 0;
        self.at += length as u64;
        self.left -= length;
        Ok(length)
    }
}

impl Gunzip {
    pub(crate) fn new(handle: Handle) -> Self {
        Gunzip::of(handle.into())
    }

    fn of(handle: Arc<Handle>) -> Self {
        // It reads the head of the first member at once.
        let decoder = MultiGzDecoder::new(FromHead::new(handle));
        Gunzip { decoder }
    }

    /// It was read to an end behind which nothing more can be read.
    pub(crate) fn is_over(&self) -> bool {
        self.decoder.get_ref().over
    }

    /// Decompresses the file from its head again, which may be written on.
    pub(crate) fn begin_again(&mut self) {
        *self = Gunzip::of(self.decoder.get_ref().handle.clone());
    }

    /// Nothing will be added to the file.
    pub(crate) fn complete(&mut self) {
        self.decoder.get_mut().complete = true;
    }

    /// Compressed bytes taken so far.
    #[cfg(test)]
    pub(crate) fn taken(&self) -> u64 {
        self.decoder.get_ref().at
    }

    /// Compressed bytes that were not taken.
    pub(crate) fn left(&self) -> u64 {
        self.size()
            .map_or(0, |size| size.saturating_sub(self.decoder.get_ref().at))
    }

    /// The file as it is now.
    pub(crate) fn metadata(&self) -> io::Result<Metadata> {
        self.decoder.get_ref().handle.metadata()
    }

    /// Bytes that the file has now.
    pub(crate) fn size(&self) -> io::Result<u64> {
        Ok(self.metadata()?.len())
    }

    /// Decompresses some more, at most so many bytes, and adds it to `text`. With an error, what
    /// was added is text all the same.
    pub(crate) fn step(&mut self, text: &mut Vec<u8>, most: usize) -> io::Result<Step> {
        let before = text.len();
        text.resize(before + most.min(OUTPUT_AT_ONCE), 0);
        let (length, step) = self.step_into(&mut text[before..]);
        text.truncate(before + length);
        step
    }

    /// The same into this room; how much it was.
    pub(crate) fn step_into(&mut self, room: &mut [u8]) -> (usize, io::Result<Step>) {
        let input = self.decoder.get_mut();
        input.left = INPUT_AT_ONCE;
        input.at_end = false;
        let mut length = 0;
        let step = loop {
            if length == room.len() {
                break Ok(Step::More);
            }
            match self.decoder.read(&mut room[length..]) {
                Ok(0) => break Ok(Step::End),
                Ok(more) => length += more,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    break Ok(if self.decoder.get_ref().at_end {
                        Step::Waits
                    } else {
                        Step::More
                    });
                }
                // At the end of a member there would be no error.
                Err(_) if self.decoder.get_ref().over => break Ok(Step::Cut),
                Err(error) => break Err(error),
            }
        };
        (length, step)
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use std::fs::File;
    use std::io::Write;

    use flate2::{write::GzEncoder, Compression};

    use super::*;

    pub(crate) fn member(text: &[u8]) -> Vec<u8> {
        let mut member = GzEncoder::new(Vec::new(), Compression::best());
        member.write_all(text).unwrap();
        member.finish().unwrap()
    }

    fn file(bytes: &[u8]) -> File {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(bytes).unwrap();
        file
    }

    /// Everything, and how many steps it took, none of which took or gave too much.
    fn all(gunzip: &mut Gunzip) -> (Vec<u8>, usize, io::Result<Step>) {
        let (mut text, mut steps) = (Vec::new(), 0);
        loop {
            let (taken, given) = (gunzip.taken(), text.len());
            let step = gunzip.step(&mut text, usize::MAX);
            steps += 1;
            assert!(gunzip.taken() - taken <= INPUT_AT_ONCE as u64);
            assert!(text.len() - given <= OUTPUT_AT_ONCE);
            if !matches!(step, Ok(Step::More)) {
                return (text, steps, step);
            }
            assert!(gunzip.taken() > taken || text.len() > given, "no progress");
        }
    }

    #[test]
    fn no_step_takes_or_gives_much() {
        let empty = member(b"");
        let bomb = member(&vec![b'x'; 8 << 20]);
        for (bytes, length) in [
            (empty.repeat(20_000), 0),
            (
                [member(b"one"), empty.repeat(9_000), member(b"two")].concat(),
                6,
            ),
            (bomb, 8 << 20),
        ] {
            let mut gunzip = Gunzip::new(file(&bytes).into());
            gunzip.complete();
            let (text, steps, end) = all(&mut gunzip);
            assert_eq!((text.len(), end.unwrap()), (length, Step::End));
            assert!(steps > bytes.len() / INPUT_AT_ONCE && steps > length / OUTPUT_AT_ONCE);
        }
    }

    #[test]
    fn a_file_that_is_still_written_is_waited_for_at_any_byte() {
        let bytes = [member(b"one\n"), member(b""), member(b"two\n")].concat();
        for cut in 0..bytes.len() {
            let mut written = file(&bytes[..cut]);
            let mut gunzip = Gunzip::new(written.try_clone().unwrap().into());
            let (mut text, _, end) = all(&mut gunzip);
            assert_eq!(end.unwrap(), Step::Waits, "{cut}");
            written.write_all(&bytes[cut..]).unwrap();
            gunzip.complete();
            let (more, _, end) = all(&mut gunzip);
            text.extend(more);
            assert_eq!(
                (text.as_slice(), end.unwrap()),
                (&b"one\ntwo\n"[..], Step::End)
            );
        }
    }

    #[test]
    fn what_is_before_the_end_of_a_broken_file_is_text() {
        let bytes = [member(b"one\n"), member(b"two\n")].concat();
        let mut wrong = bytes.clone();
        *wrong.last_mut().unwrap() += 1;
        for broken in [wrong, [&bytes[..], b"rubbish behind it"].concat()] {
            let mut gunzip = Gunzip::new(file(&broken).into());
            gunzip.complete();
            let (text, _, end) = all(&mut gunzip);
            assert_eq!(text, b"one\ntwo\n");
            assert!(end.is_err());
        }
    }

    #[test]
    fn a_file_ends_at_the_end_of_a_member_only() {
        let (first, second) = (member(b"one\n"), member(b"two\n"));
        let bytes = [&first[..], &second].concat();
        for cut in 0..=bytes.len() {
            let mut written = file(&bytes[..cut]);
            let mut gunzip = Gunzip::new(written.try_clone().unwrap().into());
            gunzip.complete();
            let (text, _, end) = all(&mut gunzip);
            let whole = [first.len(), bytes.len()].contains(&cut);
            let expect = if whole { Step::End } else { Step::Cut };
            assert_eq!(end.unwrap(), expect, "{cut}");
            assert!(b"one\ntwo\n".starts_with(&text));
            written.write_all(&bytes[cut..]).unwrap();
            gunzip.begin_again();
            gunzip.complete();
            let (text, _, end) = all(&mut gunzip);
            assert_eq!((&text[..], end.unwrap()), (&b"one\ntwo\n"[..], Step::End));
        }
    }
}
