//! Symbolic links under the patterns, and where they lead: what happens there happens to the file at
//! the link. A link outlives the file behind it, which may be rotated where it is.

use std::path::Path;
use std::sync::Arc;

use crate::map::HashMap;
use crate::track::limit::MOST_PATHS;

/// Links by their paths and by where they lead.
#[derive(Debug, Default)]
pub(crate) struct Links {
    targets: HashMap<Arc<Path>, Arc<Path>>,
    by_target: HashMap<Arc<Path>, Vec<Arc<Path>>>,
}

impl Links {
    /// The link leads to `target` now.
    pub(crate) fn insert(&mut self, link: Arc<Path>, target: Arc<Path>) {
        if self.targets.get(&link) == Some(&target) {
            return;
        }
        self.remove(&link);
        self.by_target
            .entry(target.clone())
            .or_default()
            .push(link.clone());
        self.targets.insert(link, target);
    }

    /// There is no such link any more; where it led.
    pub(crate) fn remove(&mut self, link: &Path) -> Option<Arc<Path>> {
        let target = self.targets.remove(link)?;
        if let Some(links) = self.by_target.get_mut(&target) {
            links.retain(|other| **other != *link);
            if links.is_empty() {
                self.by_target.remove(&target);
            }
        }
        Some(target)
    }

    pub(crate) fn target_of(&self, link: &Path) -> Option<&Arc<Path>> {
        self.targets.get(link)
    }

    /// Links that lead to `target`.
    pub(crate) fn to(&self, target: &Path) -> &[Arc<Path>] {
        self.by_target.get(target).map_or(&[], Vec::as_slice)
    }

    pub(crate) fn all(&self) -> impl Iterator<Item = &Arc<Path>> {
        self.targets.keys()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.targets.is_empty()
    }

    /// Whether one more would be too many: files are looked at now and then without it, too.
    pub(crate) fn is_full(&self, max_files: usize) -> bool {
        self.len() >= max_files.max(MOST_PATHS)
    }

    pub(crate) fn len(&self) -> usize {
        self.targets.len()
    }

    /// Forgets those of which `keep` says no.
    pub(crate) fn retain(&mut self, keep: impl Fn(&Path) -> bool) {
        let gone: Vec<Arc<Path>> = self.all().filter(|link| !keep(link)).cloned().collect();
        for link in gone {
            self.remove(&link);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(name: &str) -> Arc<Path> {
        Path::new(name).into()
    }

    #[test]
    fn links_are_found_by_where_they_lead_until_they_lead_elsewhere() {
        let mut links = Links::default();
        links.insert(path("/logs/a"), path("/real/1"));
        links.insert(path("/logs/b"), path("/real/1"));
        assert_eq!(links.to(Path::new("/real/1")).len(), 2);
        links.insert(path("/logs/a"), path("/real/2"));
        assert_eq!(links.to(Path::new("/real/1")), [path("/logs/b")]);
        assert_eq!(links.remove(Path::new("/logs/a")), Some(path("/real/2")));
        links.retain(|_| false);
        assert!(links.is_empty() && links.by_target.is_empty());
    }
}
