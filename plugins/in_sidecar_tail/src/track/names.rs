//! What the names of rotated files tell.

use std::path::{Path, PathBuf};

use crate::fs::Fs;
use crate::track::fingerprint::Identity;

/// Paths of which the file at `path` might be a rotated copy: `app.log.1`, `app.log-20240101`
/// and `app-20240101.log` come from `app.log`.
pub(crate) fn originals(path: &Path) -> Vec<PathBuf> {
    let Some(name) = path.file_name().and_then(|name| name.to_str()) else {
        return Vec::new();
    };
    // From the last dot on, unless that is the first letter.
    let extension = name.rfind('.').filter(|dot| *dot > 0);
    let extension = extension.map(|dot| &name[dot..]);
    let mut originals = Vec::new();
    for (at, _) in name
        .match_indices(['.', '-', '_'])
        .filter(|(at, _)| *at > 0)
    {
        let begin = &name[..at];
        originals.push(path.with_file_name(begin));
        // Not the very same name again.
        let other = extension.filter(|extension| name.strip_prefix(begin) != Some(extension));
        if let Some(extension) = other {
            originals.push(path.with_file_name([begin, extension].concat()));
        }
    }
    originals
}

/// Whether the file at `path` may be a rotated form of the one at `original`, as its name tells.
pub(crate) fn is_rotated_form(original: &Path, path: &Path) -> bool {
    originals(path).iter().any(|other| other == original)
}

/// Whether one may be a rotated form of the other, or both of a third one: `app.log.1` becomes `app.log.2`.
pub(crate) fn are_rotated_alike(one: &Path, other: &Path) -> bool {
    let (ones, others) = (originals(one), originals(other));
    let with_itself = |path: &Path, all: &[PathBuf]| all.iter().any(|original| original == path);
    with_itself(one, &others)
        || with_itself(other, &ones)
        || ones.iter().any(|original| others.contains(original))
}

/// Whether the file that was at `from` may be what is at `path` now and has its number: where nobody tells when files
/// were born, a stranger may have got the number of one that is gone.
pub(crate) fn may_be_at(identity: &Identity, from: &Path, path: &Path) -> bool {
    identity.birth.is_some() || from == path || are_rotated_alike(from, path)
}

/// Whether a name looks like a rotated one of `original`: they share what is before the first dot.
pub(crate) fn related(original: &Path, path: &Path) -> bool {
    let name = path.file_name().and_then(|name| name.to_str());
    stem(original)
        .zip(name)
        .is_some_and(|(stem, name)| name.starts_with(stem))
}

/// What the names of a file's rotated forms begin with.
pub(crate) fn stem(original: &Path) -> Option<&str> {
    let name = original.file_name()?.to_str()?;
    name.split('.').next().filter(|stem| !stem.is_empty())
}

/// What is in a folder that may belong to a file.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Related {
    /// Its name, and others that it has there.
    names: Vec<PathBuf>,
    /// Paths that look like rotated ones of these, and the inodes of their names.
    paths: Vec<(u64, PathBuf)>,
}

impl Related {
    pub(super) fn list(fs: &Fs, folder: &Path, name: &Path, inode: u64) -> Self {
        let mut paths: Vec<_> = fs.paths(folder).collect();
        let others = paths
            .iter()
            .filter(|(its, path)| *its == inode && path != name);
        let mut names = vec![name.to_owned()];
        names.extend(others.map(|(_, path)| path.clone()));
        paths.retain(|(_, path)| names.iter().any(|name| related(name, path)));
        Related { names, paths }
    }

    /// Those that may be rotated forms.
    pub(super) fn forms(&self) -> impl Iterator<Item = PathBuf> + '_ {
        let of_one = |path: &Path| self.names.iter().any(|name| is_rotated_form(name, path));
        let paths = self.paths.iter().map(|(_, path)| path);
        paths.filter(move |path| of_one(path)).cloned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rotated_names_lead_to_their_original() {
        for name in [
            "app.log.1",
            "app.log-20240101",
            "app-20240101.log",
            "app.1.log",
        ] {
            let originals = originals(&Path::new("/var/log").join(name));
            assert!(
                originals.contains(&PathBuf::from("/var/log/app.log")),
                "{name}"
            );
            assert!(
                related(Path::new("/var/log/app.log"), Path::new(name)),
                "{name}"
            );
        }
        assert!(originals(Path::new("/var/log/app")).is_empty());
        assert!(!related(Path::new("app.log"), Path::new("web.log")));
    }
}
