//! Reads the host's memory without trusting an address.
//!
//! Offsets come from the table of generations; a fork of the host may have moved a field all the
//! same. So every read goes through the kernel, which answers an unmapped address with an error
//! instead of a signal: `write` into a pipe, then read back.

use std::ffi::{c_int, c_void};
use std::fs::File;
use std::io::Read;
use std::mem::ManuallyDrop;
use std::os::fd::{AsRawFd, FromRawFd};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::sync::{Arc, Mutex};

/// Longest text that is believed to be one of the host's strings.
const MAX_TEXT: usize = 1 << 20;
/// Longest name of a plugin or an option.
const MAX_NAME: usize = 64;
/// Longest description of an option.
const MAX_DESCRIPTION: usize = 8192;
/// Most nodes that are believed to be a list of the host.
const MAX_NODES: usize = 1 << 16;
/// Longest range that is believed to be records.
const MAX_RANGE: usize = 1 << 30;
/// A pipe takes this much at once or nothing.
const PIECE: usize = 4096;
const WORD: usize = size_of::<usize>();

/// Where a number of the host is, and how long it is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place {
    address: usize,
    bytes: usize,
}

impl Place {
    /// A pointer-sized word.
    pub(crate) fn word(address: usize) -> Self {
        Place {
            address,
            bytes: WORD,
        }
    }

    /// An int, which is taken to be positive.
    pub(crate) fn int(address: usize) -> Self {
        Place { address, bytes: 4 }
    }
}

/// Most readers that one callback has at a time, and a thread beside it.
const RESERVED: usize = 3;

/// Pipes for a process that has no descriptor left. Never closed, since a host may have closed them by
/// mistake, and given their numbers to others.
static RESERVE: Mutex<Vec<ManuallyDrop<Kept>>> = Mutex::new(Vec::new());

#[derive(Debug)]
struct Pipe {
    reader: File,
    writer: File,
}

impl Pipe {
    fn new() -> Option<Self> {
        let mut ends = [-1; 2];
        // SAFETY: pipe2 writes two descriptors into the array.
        if unsafe { libc::pipe2(ends.as_mut_ptr(), libc::O_CLOEXEC | libc::O_NONBLOCK) } != 0 {
            return None;
        }
        // SAFETY: pipe2 has just given both descriptors, and nobody else owns them.
        let (reader, writer) = unsafe { (File::from_raw_fd(ends[0]), File::from_raw_fd(ends[1])) };
        Some(Pipe { reader, writer })
    }
}

/// A pipe that is kept, and by what it is known again.
#[derive(Debug)]
struct Kept {
    pipe: Arc<Pipe>,
    inode: u64,
    process: u32,
}

impl Kept {
    fn new() -> Option<Self> {
        let pipe = Pipe::new()?;
        Some(Kept {
            inode: pipe.reader.metadata().ok()?.ino(),
            process: std::process::id(),
            pipe: Arc::new(pipe),
        })
    }

    /// Both descriptors are still this pipe's, and no other process has it.
    fn is_ours(&self) -> bool {
        let is_same = |end: &File| {
            let metadata = end.metadata();
            metadata.is_ok_and(|metadata| {
                metadata.file_type().is_fifo() && metadata.ino() == self.inode
            })
        };
        let Pipe { reader, writer } = &*self.pipe;
        self.process == std::process::id() && is_same(reader) && is_same(writer)
    }

    fn is_free(&self) -> bool {
        Arc::strong_count(&self.pipe) == 1
    }
}

/// Reads memory of this process by address.
#[derive(Debug)]
pub(crate) struct Memory(Arc<Pipe>);

impl Memory {
    /// `None` when the process has no descriptor left, and more readers are wanted than are kept for that.
    pub(crate) fn open() -> Option<Self> {
        // Who forks holds no lock in the child, and whoever held it is not there.
        let reserve = RESERVE.try_lock().ok();
        if let Some(pipe) = Pipe::new() {
            if let Some(mut reserve) = reserve {
                while reserve.len() < RESERVED {
                    let Some(kept) = Kept::new() else {
                        break;
                    };
                    reserve.push(ManuallyDrop::new(kept));
                }
            }
            return Some(Memory(Arc::new(pipe)));
        }
        let mut reserve = reserve?;
        // What others have closed is theirs now.
        reserve.retain(|kept| kept.is_ours());
        let free = reserve.iter().find(|kept| kept.is_free())?;
        Some(Memory(free.pipe.clone()))
    }

    /// Fills `out` from `address`; false when any of it is not readable.
    pub(crate) fn read(&mut self, address: usize, out: &mut [u8]) -> bool {
        for (index, piece) in out.chunks_mut(PIECE).enumerate() {
            let Some(from) = address.checked_add(index * PIECE) else {
                return false;
            };
            // SAFETY: the kernel checks the range and fails with EFAULT where it is not mapped.
            let written = unsafe {
                libc::write(
                    self.0.writer.as_raw_fd(),
                    from as *const c_void,
                    piece.len(),
                )
            };
            let Ok(written) = usize::try_from(written) else {
                return false;
            };
            // A range that ends in unmapped memory is written in part: take it out again.
            if (&self.0.reader).read_exact(&mut piece[..written]).is_err() || written < piece.len()
            {
                return false;
            }
        }
        true
    }

    /// Whether all of a range can be read: a byte of each page is looked at.
    pub(crate) fn is_readable(&mut self, address: usize, bytes: usize) -> bool {
        let Some(last) = address.checked_add(bytes.saturating_sub(1)) else {
            return false;
        };
        // More than a host holds in one piece; looking at all of it would take long, too.
        if bytes > MAX_RANGE {
            return false;
        }
        (address..last)
            .step_by(PIECE)
            .chain([last])
            .all(|at| self.read(at, &mut [0]))
    }

    /// The numbers at these places, by one question to the kernel; `None` when any is not readable.
    pub(crate) fn numbers<const N: usize>(&mut self, places: [Place; N]) -> Option<[usize; N]> {
        const { assert!(N > 0 && N * WORD <= PIECE) };
        let vectors = places.map(|Place { address, bytes }| libc::iovec {
            iov_base: address as *mut c_void,
            iov_len: bytes.min(WORD),
        });
        let wanted: usize = vectors.iter().map(|vector| vector.iov_len).sum();
        // SAFETY: as many vectors as are said, each only read from; the kernel checks every range.
        let written =
            unsafe { libc::writev(self.0.writer.as_raw_fd(), vectors.as_ptr(), N as c_int) };
        let written = usize::try_from(written).ok()?;
        let mut all = [[0; WORD]; N];
        let all = all.as_flattened_mut();
        // Where one of them ends in unmapped memory only a part was written: take it out again.
        (&self.0.reader).read_exact(&mut all[..written]).ok()?;
        let mut rest = (written == wanted).then_some(&*all)?;
        Some(vectors.map(|vector| {
            let (number, behind) = rest.split_at(vector.iov_len);
            rest = behind;
            let mut word = [0; WORD];
            // The lower bytes of a shorter number stand first or last.
            let at = if cfg!(target_endian = "little") {
                0
            } else {
                WORD - number.len()
            };
            word[at..at + number.len()].copy_from_slice(number);
            usize::from_ne_bytes(word)
        }))
    }

    /// The pointer-sized word at `address`.
    pub(crate) fn word(&mut self, address: usize) -> Option<usize> {
        let mut bytes = [0; size_of::<usize>()];
        self.read(address, &mut bytes)
            .then(|| usize::from_ne_bytes(bytes))
    }

    /// The int at `address`.
    pub(crate) fn int(&mut self, address: usize) -> Option<i32> {
        let mut bytes = [0; 4];
        self.read(address, &mut bytes)
            .then(|| i32::from_ne_bytes(bytes))
    }

    /// One of the host's strings: its length stands 16 bytes in front of the text.
    pub(crate) fn sds(&mut self, address: usize) -> Option<Vec<u8>> {
        let len = self.word(address.checked_sub(16)?)?;
        if len > MAX_TEXT {
            return None;
        }
        let mut text = vec![0; len + 1];
        if !self.read(address, &mut text) || text.pop() != Some(0) {
            return None;
        }
        Some(text)
    }

    /// A short C string of printable ASCII, as names are.
    pub(crate) fn name(&mut self, address: usize) -> Option<String> {
        let name = self.c_string(address, MAX_NAME)?;
        let printable = name.iter().all(|byte| (b'!'..=b'~').contains(byte));
        (printable && !name.is_empty())
            .then(|| String::from_utf8(name).ok())
            .flatten()
    }

    /// A C string of printable text, as descriptions are.
    pub(crate) fn text(&mut self, address: usize) -> Option<String> {
        let text = String::from_utf8(self.c_string(address, MAX_DESCRIPTION)?).ok()?;
        let printable = |c: char| !c.is_control() || c == '\n' || c == '\t';
        text.chars().all(printable).then_some(text)
    }

    /// The bytes up to a NUL, which must be among the first `most`. One at a time: what stands behind
    /// the NUL is another object's, and sanitizers object to a look at it.
    fn c_string(&mut self, address: usize, most: usize) -> Option<Vec<u8>> {
        let mut text = Vec::new();
        while text.len() < most {
            let mut byte = [0];
            if !self.read(address.checked_add(text.len())?, &mut byte) {
                return None;
            }
            match byte {
                [0] => return Some(text),
                [byte] => text.push(byte),
            }
        }
        None
    }

    /// The nodes of a circular list, without its head. `None`: no list is here.
    pub(crate) fn list(&mut self, head: usize) -> Option<Vec<usize>> {
        let mut nodes = Vec::new();
        let mut before = head;
        let [last, mut node] = self.pair(head)?;
        while node != head {
            let [previous, next] = self.pair(node)?;
            // Both directions must agree, or this is not a list.
            if previous != before || nodes.len() == MAX_NODES {
                return None;
            }
            nodes.push(node);
            before = node;
            node = next;
        }
        (last == before).then_some(nodes)
    }

    fn pair(&mut self, address: usize) -> Option<[usize; 2]> {
        let mut bytes = [[0; size_of::<usize>()]; 2];
        self.read(address, bytes.as_flattened_mut())
            .then(|| bytes.map(usize::from_ne_bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn readable_memory_is_read_and_the_rest_refused() {
        let mut memory = Memory::open().unwrap();
        let text: Vec<u8> = (0..10_000).map(|n| n as u8).collect();
        let mut copy = vec![0; text.len()];
        assert!(memory.read(text.as_ptr() as usize, &mut copy));
        assert_eq!(copy, text);
        assert!(!memory.read(8, &mut copy));
        assert!(!memory.read(usize::MAX - 2, &mut copy));
        // Still usable after a refusal.
        assert!(memory.read(text.as_ptr() as usize, &mut copy[..3]));
    }

    #[test]
    fn numbers_in_several_places_are_read_at_once_or_not_at_all() {
        let mut memory = Memory::open().unwrap();
        let (word, int) = (usize::MAX - 5, 7i32);
        let places = [
            Place::word(&raw const word as usize),
            Place::int(&raw const int as usize),
            Place::word(&raw const word as usize),
        ];
        assert_eq!(memory.numbers(places), Some([word, 7, word]));
        for wrong in 0..places.len() {
            let mut places = places;
            places[wrong] = Place::word(8);
            assert_eq!(memory.numbers(places), None);
        }
        // Nothing is left of what was refused.
        assert_eq!(memory.numbers(places), Some([word, 7, word]));
    }

    #[test]
    fn a_range_that_ends_in_unmapped_memory_is_refused_and_leaves_nothing_behind() {
        // SAFETY: an anonymous mapping of two pages at an address the kernel chooses.
        let pages = unsafe {
            libc::mmap(
                std::ptr::null_mut(),
                8192,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_PRIVATE | libc::MAP_ANONYMOUS,
                -1,
                0,
            )
        };
        assert_ne!(pages, libc::MAP_FAILED);
        // SAFETY: the second of the two pages just mapped.
        assert_eq!(unsafe { libc::munmap(pages.add(4096), 4096) }, 0);
        let mut memory = Memory::open().unwrap();
        let mut out = [1; 64];
        assert!(!memory.read(pages as usize + 4096 - 32, &mut out));
        assert!(memory.is_readable(pages as usize, 4096));
        for range in [
            (pages as usize, 4097),
            (8, 1),
            (usize::MAX - 9, 20),
            (8, usize::MAX),
        ] {
            assert!(!memory.is_readable(range.0, range.1), "{range:?}");
        }
        let word = 77usize;
        assert_eq!(memory.word(&raw const word as usize), Some(77));
        // SAFETY: the first page, mapped above and not unmapped since.
        assert_eq!(unsafe { libc::munmap(pages, 4096) }, 0);
    }

    #[test]
    fn texts_end_with_a_nul_and_are_printable() {
        let mut memory = Memory::open().unwrap();
        let long = format!("{}\0", "word ".repeat(100));
        let at = |text: &str| text.as_ptr() as usize;
        assert_eq!(memory.text(at(&long)).unwrap().len(), 500);
        assert_eq!(memory.name(at(&long)), None);
        assert_eq!(memory.name(at("dummy\0")).as_deref(), Some("dummy"));
        assert_eq!(memory.name(at("\0")), None);
        assert_eq!(memory.text(at("\0")).as_deref(), Some(""));
        assert_eq!(memory.text(at("a\u{7}b\0")), None);
        let endless = "x".repeat(10_000);
        assert_eq!(memory.text(at(&endless)), None);
        assert_eq!(memory.text(8), None);
    }

    #[test]
    fn lists_are_walked_only_if_they_are_lists() {
        let mut ring = [[0usize; 2]; 3];
        let at = |i: usize| ring.as_ptr() as usize + i * 16;
        let addresses = [at(0), at(1), at(2)];
        for i in 0..3 {
            ring[i] = [addresses[(i + 2) % 3], addresses[(i + 1) % 3]];
        }
        let mut memory = Memory::open().unwrap();
        assert_eq!(
            memory.list(addresses[0]),
            Some(vec![addresses[1], addresses[2]])
        );
        ring[2][0] = 8;
        std::hint::black_box(&ring);
        assert_eq!(memory.list(addresses[0]), None);
    }
}
