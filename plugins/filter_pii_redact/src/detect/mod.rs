//! The detectors: one family per module, each a verifier of candidates.

mod card;
mod email;

/// What was found, as offsets into the string.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Match {
    pub(crate) start: usize,
    pub(crate) end: usize,
    pub(crate) placeholder: &'static str,
}

/// Replaces `found` with the matches of `text`: leftmost-longest, none overlapping another.
pub(crate) fn find(text: &[u8], found: &mut Vec<Match>) {
    found.clear();
    email::find(text, found);
    card::find(text, found);
    found.sort_unstable_by(|a, b| a.start.cmp(&b.start).then(b.end.cmp(&a.end)));
    let mut end = 0;
    found.retain(|m| {
        let free = m.start >= end;
        if free {
            end = m.end;
        }
        free
    });
}
