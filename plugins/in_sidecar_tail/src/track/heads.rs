//! Text of short files that was read together with their heads, when they were looked at first: until they have
//! their turn it need not be read again.

use crate::map::HashMap;
use crate::track::file::FileId;

/// So many, at most: about as many as are open.
const MOST: usize = 512;

#[derive(Debug, Default)]
pub(crate) struct Heads(HashMap<FileId, Box<[u8]>>);

impl Heads {
    /// All of a file that is there.
    pub(crate) fn keep(&mut self, id: FileId, text: &[u8]) {
        if self.0.len() < MOST {
            self.0.insert(id, text.into());
        }
    }

    /// The file has its turn, or is looked at again, or is not followed any more.
    pub(crate) fn take(&mut self, id: FileId) -> Option<Box<[u8]>> {
        self.0.remove(&id)
    }
}
