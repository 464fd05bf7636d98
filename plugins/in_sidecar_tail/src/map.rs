//! Maps and sets. Keys are numbers of ours, inodes and paths, and there are several look-ups for each file at
//! whatever happens to it: hashing is fast, and its seed is another one in each process, so that nobody who
//! names files can fill one place of a map.
//!
//! In tests their order is the same in every run: a failure must come again.

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
