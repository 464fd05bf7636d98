//! What is in a folder, looked into once for many positions.

use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use crate::checkpoint::entry::Entry;
use crate::fs::Fs;
use crate::map::HashMap;
use crate::track::fingerprint::Identity;
use crate::track::names::{is_rotated_form, stem};

/// What is in a folder: there may be thousands of files in it, and as many are looked for.
#[derive(Debug)]
pub(crate) struct Folder {
    pub(crate) by_inode: HashMap<u64, PathBuf>,
    /// In the order of their bytes.
    paths: Vec<PathBuf>,
    /// Names of files that have several, and their inodes.
    links: HashMap<PathBuf, u64>,
}

impl Folder {
    pub(crate) fn list(fs: &Fs, folder: &Path) -> Self {
        let (mut by_inode, mut links) = (HashMap::default(), HashMap::default());
        let mut paths = Vec::new();
        for (inode, path) in fs.paths(folder) {
            paths.push(path.clone());
            if let Some(other) = by_inode.insert(inode, path.clone()) {
                links.extend([(other, inode), (path, inode)]);
            }
        }
        paths.sort_unstable_by(|one, two| one.as_os_str().cmp(two.as_os_str()));
        Folder {
            by_inode,
            paths,
            links,
        }
    }

    /// What is in this folder, listed if it was not yet.
    pub(crate) fn cached<'a>(
        folders: &'a mut HashMap<PathBuf, Folder>,
        fs: &Fs,
        folder: &Path,
    ) -> &'a Folder {
        let listed = folders.entry(folder.to_owned());
        listed.or_insert_with(|| Folder::list(fs, folder))
    }

    /// Paths that may be rotated forms of a file, by this name or others that it has.
    pub(crate) fn forms(&self, name: &Path, inode: u64) -> Vec<&PathBuf> {
        let names: Vec<&Path> = self.names_of(inode).chain([name]).collect();
        let related = names.iter().flat_map(|name| self.related(name));
        let is_form = |path: &Path| names.iter().any(|name| is_rotated_form(name, path));
        related.filter(|path| is_form(path)).collect()
    }

    /// Names of the file with this inode, if it has several.
    pub(crate) fn names_of(&self, inode: u64) -> impl Iterator<Item = &Path> {
        let names = self.links.iter().filter(move |(_, its)| **its == inode);
        names.map(|(path, _)| &**path)
    }

    /// That of the file with this name, if it has several.
    pub(crate) fn inode_of(&self, name: &Path) -> Option<u64> {
        self.links.get(name).copied()
    }

    /// Paths that look like rotated ones of `original`.
    pub(crate) fn related(&self, original: &Path) -> &[PathBuf] {
        let Some(stem) = stem(original) else {
            return &[];
        };
        let begin = original.with_file_name(stem);
        let begin = begin.as_os_str().as_bytes();
        let from = self
            .paths
            .partition_point(|path| path.as_os_str().as_bytes() < begin);
        let rest = &self.paths[from..];
        &rest[..rest.partition_point(|path| path.as_os_str().as_bytes().starts_with(begin))]
    }
}

/// Where the file of a position is, whatever it holds: at its path, or in the folder of that or of where
/// it led, since a link stays where it is when what it led to is renamed.
pub(super) fn place_of(
    fs: &Fs,
    entry: &Entry,
    folders: &mut HashMap<PathBuf, Folder>,
) -> Option<PathBuf> {
    let is_it = |path: &Path| {
        fs.metadata(path)
            .is_ok_and(|metadata| Identity::of(&metadata).compatible(&entry.identity))
    };
    if is_it(&entry.path) {
        return Some(entry.path.to_path_buf());
    }
    let mut near = entry.places().filter_map(Path::parent);
    near.find_map(|folder| {
        let folder = Folder::cached(folders, fs, folder);
        let renamed = folder.by_inode.get(&entry.identity.inode);
        renamed.filter(|path| is_it(path)).cloned()
    })
}

/// Paths in a folder by the inodes of their names.
pub(crate) fn list(fs: &Fs, folder: &Path) -> HashMap<u64, PathBuf> {
    fs.paths(folder).collect()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::checkpoint::unclaimed::Unclaimed;
    use crate::track::fingerprint::Fingerprint;
    use crate::track::names::related;

    const NAMES: [&str; 12] = [
        "app",
        "app.log",
        "app.log.1",
        "app-2024.log",
        "app1.log",
        "apple.log",
        "ap.log",
        "b.log",
        "b.log.gz",
        ".hidden",
        ".hidden.1",
        "\u{e4}pp.log",
    ];

    #[test]
    fn what_looks_like_a_rotated_form_is_found_without_looking_at_all_there_is() {
        let dir = tempfile::tempdir().unwrap();
        for name in NAMES {
            fs::write(dir.path().join(name), "").unwrap();
        }
        let folder = Folder::list(&Fs::default(), dir.path());
        assert_eq!(folder.paths.len(), NAMES.len());
        for name in NAMES {
            let original = dir.path().join(name);
            let all = folder.paths.iter();
            let wanted: Vec<_> = all.filter(|path| related(&original, path)).collect();
            assert_eq!(
                folder.related(&original).iter().collect::<Vec<_>>(),
                wanted,
                "{name}"
            );
        }
    }

    #[test]
    fn positions_are_found_by_the_names_of_rotated_forms() {
        let dir = tempfile::tempdir().unwrap();
        let identity = Identity::of(&fs::metadata(dir.path()).unwrap().into());
        let entry = |name: &&str| Entry {
            path: Path::new("/logs").join(name).into(),
            identity,
            fingerprint: Fingerprint::default(),
            rotated: false,
            seen: 0,
            rare: None,
        };
        let entries: Vec<_> = NAMES.iter().map(entry).collect();
        let unclaimed = Unclaimed::new(entries.clone());
        for name in NAMES {
            let path = Path::new("/logs").join(name);
            let all = entries.iter().map(|entry| &entry.path);
            let mut wanted: Vec<_> = all.filter(|original| related(original, &path)).collect();
            let found = unclaimed.originals(&path).map(|entry| &entry.path);
            let mut found: Vec<_> = found.collect();
            wanted.sort();
            found.sort();
            assert_eq!(found, wanted, "{name}");
        }
    }
}
