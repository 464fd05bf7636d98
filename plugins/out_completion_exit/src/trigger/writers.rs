//! Who has a file open for writing, as far as `/proc` shows it.
//!
//! Other containers are visible with `shareProcessNamespace` only, and their descriptors to the
//! same user or root only. So a writer that is found is proof, and none found is not.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// What a search saw.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Writers {
    /// Process and file of the first writer found.
    pub(crate) found: Option<(u32, PathBuf)>,
    /// Processes whose descriptors were shown.
    pub(crate) seen: usize,
    /// Processes whose descriptors were not shown.
    pub(crate) hidden: usize,
}

/// Looks for a process other than `own` that has one of `files` open for writing.
pub(crate) fn search(proc: &Path, own: u32, files: &[PathBuf]) -> Writers {
    let wanted: Vec<(u64, u64, &PathBuf)> = files
        .iter()
        .filter_map(|path| {
            let meta = fs::metadata(path).ok()?;
            Some((meta.dev(), meta.ino(), path))
        })
        .collect();
    let mut writers = Writers::default();
    let pids = fs::read_dir(proc).into_iter().flatten().flatten();
    for pid in pids.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok()) {
        if pid == own {
            continue;
        }
        let folder = proc.join(pid.to_string());
        let Ok(descriptors) = fs::read_dir(folder.join("fd")) else {
            writers.hidden += 1;
            continue;
        };
        writers.seen += 1;
        for descriptor in descriptors.flatten() {
            // Follows the descriptor to the file, across mount namespaces.
            let Ok(meta) = fs::metadata(descriptor.path()) else {
                continue;
            };
            let Some((_, _, path)) = wanted
                .iter()
                .find(|(dev, ino, _)| (*dev, *ino) == (meta.dev(), meta.ino()))
            else {
                continue;
            };
            if is_writable(&folder.join("fdinfo").join(descriptor.file_name())) {
                writers.found = Some((pid, (*path).clone()));
                return writers;
            }
        }
    }
    writers
}

/// The two lowest bits of the open flags: 0 is reading only. Unknown counts as writing.
fn is_writable(fdinfo: &Path) -> bool {
    fs::read_to_string(fdinfo)
        .ok()
        .and_then(|text| {
            let flags = text.lines().find_map(|line| line.strip_prefix("flags:"))?;
            u32::from_str_radix(flags.trim(), 8).ok()
        })
        .is_none_or(|flags| flags & 3 != 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::File;
    use std::process::{Command, Stdio};

    #[test]
    fn a_writer_is_found_and_a_reader_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.log");
        fs::write(&path, "x").unwrap();
        let search = || {
            search(
                Path::new("/proc"),
                std::process::id(),
                std::slice::from_ref(&path),
            )
        };

        let mut reader = Command::new("sleep")
            .arg("60")
            .stdin(Stdio::from(File::open(&path).unwrap()))
            .spawn()
            .unwrap();
        assert_eq!(search().found, None);
        let mut writer = Command::new("sleep")
            .arg("60")
            .stdout(Stdio::from(
                File::options().append(true).open(&path).unwrap(),
            ))
            .spawn()
            .unwrap();
        assert_eq!(search().found, Some((writer.id(), path.clone())));
        writer.kill().unwrap();
        writer.wait().unwrap();
        assert_eq!(search().found, None);
        reader.kill().unwrap();
        reader.wait().unwrap();
    }
}
