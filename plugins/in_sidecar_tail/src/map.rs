//! Maps and sets, whose order is the same in every run of a test: a failure must come again.

#[cfg(not(test))]
pub(crate) use std::collections::{HashMap, HashSet};

#[cfg(test)]
type Fixed = std::hash::BuildHasherDefault<std::hash::DefaultHasher>;
#[cfg(test)]
pub(crate) type HashMap<K, V> = std::collections::HashMap<K, V, Fixed>;
#[cfg(test)]
pub(crate) type HashSet<T> = std::collections::HashSet<T, Fixed>;
