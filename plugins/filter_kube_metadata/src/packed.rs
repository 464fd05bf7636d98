//! msgpack written into a buffer that has room for all of it from the start, so that nothing grows
//! on the way and short strings are copied as blocks of fixed length.

/// Bytes that a short string is copied with; what is too much is written over by what follows.
const BLOCK: usize = 32;

/// Room that must be left behind everything that is written.
pub(crate) const SLACK: usize = 2 * BLOCK;

/// A writer.
///
/// Its methods panic when there is no room: its owner knows the most that can come.
#[derive(Debug)]
pub(crate) struct Packed<'b> {
    bytes: &'b mut [u8],
    len: usize,
}

impl<'b> Packed<'b> {
    pub(crate) fn new(bytes: &'b mut [u8]) -> Self {
        Packed { bytes, len: 0 }
    }

    /// How much was written.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    #[inline(always)]
    pub(crate) fn byte(&mut self, byte: u8) {
        self.bytes[self.len] = byte;
        self.len += 1;
    }

    #[inline]
    fn array<const N: usize>(&mut self, marker: u8, bytes: [u8; N]) {
        self.bytes[self.len] = marker;
        self.bytes[self.len + 1..][..N].copy_from_slice(&bytes);
        self.len += 1 + N;
    }

    /// An unsigned integer in its shortest form.
    #[inline]
    pub(crate) fn unsigned(&mut self, n: u64) {
        match n {
            0..=0x7f => self.byte(n as u8),
            0x80..=0xff => self.array(0xcc, [n as u8]),
            0x100..=0xffff => self.array(0xcd, (n as u16).to_be_bytes()),
            0x1_0000..=0xffff_ffff => self.array(0xce, (n as u32).to_be_bytes()),
            _ => self.array(0xcf, n.to_be_bytes()),
        }
    }

    /// A negative integer, or 0, in its shortest form.
    pub(crate) fn negative(&mut self, n: i64) {
        match n {
            -0x20.. => self.byte(n as u8),
            -0x80..=-0x21 => self.array(0xd0, [n as u8]),
            -0x8000..=-0x81 => self.array(0xd1, (n as i16).to_be_bytes()),
            -0x8000_0000..=-0x8001 => self.array(0xd2, (n as i32).to_be_bytes()),
            _ => self.array(0xd3, n.to_be_bytes()),
        }
    }

    /// A double.
    pub(crate) fn double(&mut self, float: f64) {
        self.array(0xcb, float.to_bits().to_be_bytes());
    }

    /// `len` bytes of `text`, from `start` on, without a header.
    #[inline(always)]
    pub(crate) fn raw(&mut self, text: &[u8], start: usize, len: usize) {
        let block = text.get(start..).and_then(<[u8]>::first_chunk::<BLOCK>);
        match block {
            Some(block) if len <= BLOCK => {
                self.bytes[self.len..][..BLOCK].copy_from_slice(block);
            }
            _ => self.bytes[self.len..][..len].copy_from_slice(&text[start..start + len]),
        }
        self.len += len;
    }

    /// `len` bytes of `text`, from `start` on, as a string.
    #[inline(always)]
    pub(crate) fn string(&mut self, text: &[u8], start: usize, len: usize) {
        if len < 32 {
            self.byte(0xa0 | len as u8);
        } else {
            self.long_header(len);
        }
        self.raw(text, start, len);
    }

    fn long_header(&mut self, len: usize) {
        match len {
            0..=0xff => self.array(0xd9, [len as u8]),
            0x100..=0xffff => self.array(0xda, (len as u16).to_be_bytes()),
            // A host's chunk is shorter than 4 GiB.
            _ => self.array(0xdb, (len as u32).to_be_bytes()),
        }
    }

    /// Opens a string whose length is not known yet: what is written next is in it.
    pub(crate) fn open_string(&mut self) -> OpenString {
        // The header of most strings that need this has two bytes.
        self.len += 2;
        OpenString { start: self.len }
    }

    /// What was written since.
    pub(crate) fn text(&self, open: &OpenString) -> &[u8] {
        &self.bytes[open.start..self.len]
    }

    /// Ends the string after `len` bytes of it.
    pub(crate) fn close_string(&mut self, open: OpenString, len: usize) {
        let header = match len {
            0..=0x1f => 1,
            0x20..=0xff => 2,
            0x100..=0xffff => 3,
            _ => 5,
        };
        let start = open.start - 2;
        if header != 2 {
            self.bytes
                .copy_within(open.start..open.start + len, start + header);
        }
        self.len = start;
        if len < 32 {
            self.byte(0xa0 | len as u8);
        } else {
            self.long_header(len);
        }
        self.len += len;
    }

    /// Opens a map or an array.
    #[inline]
    pub(crate) fn open(&mut self) -> usize {
        self.len += 1;
        self.len - 1
    }

    /// Writes the header of what was opened at `head`, now that it has `len` pairs or elements.
    #[inline]
    pub(crate) fn close(&mut self, head: usize, len: usize, kind: Container) {
        let (short, marker16) = match kind {
            Container::Map => (0x80, 0xde),
            Container::Array => (0x90, 0xdc),
        };
        if len < 16 {
            self.bytes[head] = short | len as u8;
            return;
        }
        let wide = len > 0xffff;
        let extra = if wide { 4 } else { 2 };
        self.bytes.copy_within(head + 1..self.len, head + 1 + extra);
        self.bytes[head] = marker16 + u8::from(wide);
        // A host's chunk is shorter than 4 GiB.
        let bytes = (len as u32).to_be_bytes();
        self.bytes[head + 1..=head + extra].copy_from_slice(&bytes[4 - extra..]);
        self.len += extra;
    }
}

/// A string that is being written.
#[derive(Debug)]
pub(crate) struct OpenString {
    start: usize,
}

/// What has elements.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Container {
    Map,
    Array,
}

#[cfg(test)]
mod tests {
    use super::*;
    use flb_sidecar_sdk::msgpack::{write_bytes_as_str, write_int, write_uint};
    use proptest::prelude::*;

    fn packed(write: impl FnOnce(&mut Packed<'_>)) -> Vec<u8> {
        let mut bytes = vec![0xee; 200_000];
        let mut packed = Packed::new(&mut bytes);
        write(&mut packed);
        let len = packed.len();
        bytes.truncate(len);
        bytes
    }

    #[test]
    fn strings_have_the_shortest_header() {
        for len in [0, 1, 31, 32, 33, 255, 256, 65535, 65536] {
            let text = vec![b'x'; len];
            let mut expected = Vec::new();
            write_bytes_as_str(&mut expected, &text);
            assert_eq!(packed(|p| p.string(&text, 0, len)), expected);
            let opened = packed(|p| {
                let open = p.open_string();
                p.raw(&text, 0, len);
                p.raw(b"rest", 0, 4);
                assert_eq!(p.text(&open).len(), len + 4);
                p.close_string(open, len);
            });
            assert_eq!(opened, expected);
        }
    }

    proptest! {
        #[test]
        fn integers_have_the_shortest_form(n in any::<u64>(), shift in 0u32..64) {
            let n = n >> shift;
            let mut expected = Vec::new();
            write_uint(&mut expected, n);
            prop_assert_eq!(packed(|p| p.unsigned(n)), expected);
            let negative = ((n >> 1) as i64).wrapping_neg();
            let mut expected = Vec::new();
            write_int(&mut expected, negative);
            prop_assert_eq!(packed(|p| p.negative(negative)), expected);
        }

        #[test]
        fn pieces_of_a_text_are_copied_exactly(text in proptest::collection::vec(any::<u8>(), 0..200), cuts in proptest::collection::vec(0usize..200, 0..8)) {
            let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(text.len())).collect();
            cuts.extend([0, text.len()]);
            cuts.sort_unstable();
            let copied = packed(|p| {
                for pair in cuts.windows(2) {
                    p.raw(&text, pair[0], pair[1] - pair[0]);
                }
            });
            prop_assert_eq!(copied, text);
        }
    }
}
