//! Maps and sets. Keys are numbers of ours, inodes and paths, and there are several look-ups for each file at
//! whatever happens to it: hashing is fast, and its seed is another one in each process, so that nobody who
//! names files can fill one place of a map.
//!
//! In tests their order is the same in every run: a failure must come again.

use std::hash::{Hash, Hasher};

#[cfg(not(test))]
type Hashing = foldhash::fast::RandomState;
/// For hashes that stand for what they are of: nobody who chooses that can find two with the same one.
#[cfg(not(test))]
pub(crate) type Standing = std::hash::RandomState;

#[cfg(test)]
type Hashing = Standing;
#[cfg(test)]
pub(crate) type Standing = std::hash::BuildHasherDefault<std::hash::DefaultHasher>;

pub(crate) type HashMap<K, V> = std::collections::HashMap<K, V, Hashing>;
pub(crate) type HashSet<T> = std::collections::HashSet<T, Hashing>;

/// A number that stands for something, as the key of a map with very many small values: nothing is left between them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Number([u8; 8]);

impl From<u64> for Number {
    fn from(number: u64) -> Self {
        Number(number.to_ne_bytes())
    }
}

impl Hash for Number {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(u64::from_ne_bytes(self.0));
    }
}
