//! The gate: where in a buffer could something sensitive be?

/// Offset of the first byte at or after `from` that could belong to a match: an `@`, or the
/// twelfth digit of a run whose single separators are blanks or hyphens.
pub(crate) fn first_candidate(buf: &[u8], from: usize) -> Option<usize> {
    let mut digits = 0usize;
    let mut separated = false;
    for (at, byte) in buf.iter().enumerate().skip(from) {
        match byte {
            b'@' => return Some(at),
            b'0'..=b'9' => {
                digits += 1;
                separated = false;
                if digits == 12 {
                    return Some(at);
                }
            }
            b' ' | b'-' if digits > 0 && !separated => separated = true,
            _ => {
                digits = 0;
                separated = false;
            }
        }
    }
    None
}
