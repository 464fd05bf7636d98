//! Splits blocks of bytes into lines, with a line's beginning carried over from block to block.

/// Calls `line(length_in_file, first_piece, second_piece)` for every line that ends in `block`.
///
/// The line is `first_piece` followed by `second_piece`, without its newline and without a
/// carriage return before it; `length_in_file` counts both. What follows the last newline is
/// kept in `carry` and begins the next line. Every byte is looked at once.
pub(crate) fn split(carry: &mut Vec<u8>, block: &[u8], mut line: impl FnMut(usize, &[u8], &[u8])) {
    let mut start = 0;
    let mut ends = memchr::memchr_iter(b'\n', block);
    if !carry.is_empty() {
        let Some(end) = ends.next() else {
            carry.extend_from_slice(block);
            return;
        };
        let (first, second) = without_return(carry, &block[..end]);
        line(carry.len() + end + 1, first, second);
        carry.clear();
        start = end + 1;
    }
    for end in ends {
        let (text, _) = without_return(&block[start..end], &[]);
        line(end + 1 - start, text, &[]);
        start = end + 1;
    }
    carry.extend_from_slice(&block[start..]);
}

/// Cuts one carriage return off the end of the two pieces.
pub(crate) fn without_return<'a>(first: &'a [u8], second: &'a [u8]) -> (&'a [u8], &'a [u8]) {
    match (first, second) {
        ([head @ .., b'\r'], []) => (head, second),
        (_, [head @ .., b'\r']) => (first, head),
        _ => (first, second),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines_of(blocks: &[&[u8]]) -> (Vec<Vec<u8>>, Vec<u8>, usize) {
        let mut carry = Vec::new();
        let mut lines = Vec::new();
        let mut length = 0;
        for block in blocks {
            split(&mut carry, block, |in_file, first, second| {
                length += in_file;
                lines.push([first, second].concat());
            });
        }
        (lines, carry, length)
    }

    #[test]
    fn lines_do_not_depend_on_where_blocks_end() {
        let text = b"one\ntwo\r\n\nfo\rur\r\r\n\r\nrest\r";
        let expect: Vec<&[u8]> = vec![b"one", b"two", b"", b"fo\rur\r", b""];
        for first in 0..text.len() {
            for second in first..text.len() {
                let (lines, carry, length) =
                    lines_of(&[&text[..first], &text[first..second], &text[second..]]);
                assert_eq!(lines, expect, "{first} {second}");
                assert_eq!(carry, b"rest\r");
                assert_eq!(length, text.len() - carry.len());
            }
        }
    }
}
