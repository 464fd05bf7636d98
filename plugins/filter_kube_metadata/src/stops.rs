//! Where strings of a JSON text stop: quotes and backslashes, found 64 bytes at a time.

use wide::u8x16;

/// Bytes whose stops are found together, one bit each.
const BLOCK: usize = u64::BITS as usize;

/// The stops of a text, asked for mostly from left to right.
#[derive(Debug)]
pub(crate) struct Stops<'t> {
    text: &'t [u8],
    /// The block whose stops are known, and those.
    block: usize,
    bits: u64,
}

impl<'t> Stops<'t> {
    pub(crate) fn new(text: &'t [u8]) -> Self {
        Stops {
            text,
            block: usize::MAX,
            bits: 0,
        }
    }

    /// The first quote or backslash from `at` on.
    #[inline(always)]
    pub(crate) fn next(&mut self, at: usize) -> Option<usize> {
        if at / BLOCK == self.block {
            let found = self.bits >> (at % BLOCK);
            if found != 0 {
                return Some(at + found.trailing_zeros() as usize);
            }
        }
        self.next_in_blocks(at)
    }

    fn next_in_blocks(&mut self, at: usize) -> Option<usize> {
        let mut block = at / BLOCK;
        let mut wanted = u64::MAX << (at % BLOCK);
        loop {
            if block != self.block {
                let rest = self.text.get(block * BLOCK..).filter(|r| !r.is_empty())?;
                self.bits = match rest.first_chunk() {
                    Some(bytes) => bits(bytes),
                    None => {
                        let mut bytes = [0; BLOCK];
                        bytes[..rest.len()].copy_from_slice(rest);
                        bits(&bytes)
                    }
                };
                self.block = block;
            }
            let found = self.bits & wanted;
            if found != 0 {
                return Some(block * BLOCK + found.trailing_zeros() as usize);
            }
            wanted = u64::MAX;
            block += 1;
        }
    }
}

/// A bit for each quote or backslash, the lowest for the first byte.
#[inline]
fn bits(bytes: &[u8; BLOCK]) -> u64 {
    let (quote, backslash) = (u8x16::splat(b'"'), u8x16::splat(b'\\'));
    let mut bits = 0;
    for (index, part) in bytes.chunks_exact(16).enumerate() {
        let mut lane = [0; 16];
        lane.copy_from_slice(part);
        let lane = u8x16::new(lane);
        let found = lane.cmp_eq(quote) | lane.cmp_eq(backslash);
        bits |= u64::from(found.move_mask() as u16) << (16 * index);
    }
    bits
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn the_next_stop_is_that_of_a_plain_search(
            text in proptest::collection::vec(prop_oneof![9 => any::<u8>(), 1 => Just(b'"'), 1 => Just(b'\\')], 0..300),
            starts in proptest::collection::vec(0usize..310, 0..20),
        ) {
            let mut stops = Stops::new(&text);
            for at in starts {
                let plain = text.iter().skip(at).position(|b| matches!(b, b'"' | b'\\'));
                prop_assert_eq!(stops.next(at), plain.map(|found| at + found));
            }
        }
    }
}
