//! Which links are followed (`follow_links`): whoever writes the logs may put a link to anything we
//! can read into their folder.
//!
//! What counts is where an opened file is, as the kernel tells of its handle: a path may lead
//! elsewhere a moment after it was looked at, and through any number of links.

use std::fmt;
use std::io;
use std::path::{Component, Path, PathBuf};

use flb_sidecar_sdk::ConfigError;
use rustix::io::Errno;
use rustix::process::geteuid;

use crate::fs::{Folder, Fs, Handle, Magic, Metadata};

/// The option `follow_links`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Follow {
    /// None below the folders that the patterns name.
    Off,
    /// Those that lead below a folder that a pattern names.
    Inside,
    /// All of them.
    On,
}

impl Follow {
    pub(crate) fn read(value: &str) -> Result<Self, ConfigError> {
        match value.to_ascii_lowercase().as_str() {
            "off" | "false" | "no" => Ok(Follow::Off),
            "inside" => Ok(Follow::Inside),
            "on" | "true" | "yes" => Ok(Follow::On),
            _ => Err(ConfigError::value(
                "follow_links",
                value,
                "off, inside or on",
            )),
        }
    }
}

/// A link leads where it must not.
#[derive(Debug)]
struct Refused(Follow);

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            Follow::Off => "a link leads there, so it is not read (follow_links off)",
            _ => {
                "a link leads out of the folders that path names, so it is not read \
                 (follow_links on would)"
            }
        })
    }
}

impl std::error::Error for Refused {}

/// Whether a file was refused because of where it is.
pub(crate) fn is_refused(error: &io::Error) -> bool {
    let inner = error.get_ref();
    inner
        .and_then(|inner| inner.downcast_ref::<Refused>())
        .is_some()
}

/// Opens what may be followed.
#[derive(Debug)]
pub(crate) struct Confine {
    fs: Fs,
    follow: Follow,
    /// Folders that the patterns name, and where each is, as far as it is there.
    roots: Vec<(PathBuf, Option<PathBuf>)>,
}

impl Confine {
    pub(crate) fn new<'a>(fs: &Fs, follow: Follow, roots: impl Iterator<Item = &'a Path>) -> Self {
        Confine {
            fs: fs.clone(),
            follow,
            roots: roots
                .map(|root| (root.to_owned(), place_of_root(fs, root)))
                .collect(),
        }
    }

    /// The same with the folders of the patterns as they are now: they may have come, or moved.
    pub(crate) fn again(&self) -> Self {
        Confine::new(
            &self.fs,
            self.follow,
            self.roots.iter().map(|(root, _)| root.as_path()),
        )
    }

    /// Why a folder is not looked into.
    pub(crate) fn why_refused(&self) -> String {
        Refused(self.follow).to_string()
    }

    /// Opens `path` for reading, without ever waiting for a FIFO's writer.
    pub(crate) fn open(&self, path: &Path) -> io::Result<(Handle, Metadata)> {
        if let Some(handle) = self.open_without_links(path)? {
            let metadata = handle.metadata()?;
            return Ok((handle, metadata));
        }
        let handle = if self.follow == Follow::On {
            self.fs.open(path, Magic::Followed)?
        } else {
            match self.fs.open(path, Magic::Refused) {
                Err(error) if is_loop(&error) => {
                    return Err(io::Error::other(Refused(self.follow)))
                }
                opened => opened?,
            }
        };
        if !self.may_be(&handle, path) {
            return Err(io::Error::other(Refused(self.follow)));
        }
        let metadata = handle.metadata()?;
        Ok((handle, metadata))
    }

    /// A folder from which files are opened to which no link leads. `None`: a link does, or may, or it cannot be
    /// opened, or links are nobody's business.
    pub(crate) fn folder(&self, folder: &Path) -> Option<Folder> {
        if self.follow == Follow::On || !self.is_below_a_root(folder) {
            return None;
        }
        self.fs.folder_without_links(folder)
    }

    /// Opens `path` if no link leads there: then it is where its path says, and nobody needs to ask the
    /// kernel where that is. `Ok(None)`: a link does, or may.
    fn open_without_links(&self, path: &Path) -> io::Result<Option<Handle>> {
        if self.follow == Follow::On || !self.is_below_a_root(path) {
            return Ok(None);
        }
        match self.fs.open_without_links(path) {
            Err(error) if is_loop(&error) => Ok(None),
            opened => opened,
        }
    }

    /// Whether a path without links is below a folder that the patterns name.
    fn is_below_a_root(&self, path: &Path) -> bool {
        let mut roots = self.roots.iter();
        roots.any(|(root, at)| {
            let rest = path.strip_prefix(root).ok();
            at.as_ref() == Some(root)
                && rest.is_some_and(|rest| {
                    let mut parts = rest.components();
                    parts.all(|part| matches!(part, Component::Normal(_)))
                })
        })
    }

    /// Whether what is in a folder behind a link may be looked for.
    pub(crate) fn enters(&self, folder: &Path) -> bool {
        if self.follow == Follow::On {
            return true;
        }
        match self.fs.open_place(folder) {
            Ok(handle) => self.may_be(&handle, folder),
            // What else is wrong is told when it is listed.
            Err(error) => !is_loop(&error),
        }
    }

    /// Whether what is open was come by in an allowed way.
    fn may_be(&self, handle: &Handle, path: &Path) -> bool {
        if self.follow == Follow::On {
            return true;
        }
        let Some(place) = handle.place() else {
            // Without /proc nobody tells where it is: then only what no link leads to.
            return path.ancestors().all(|part| !self.fs.is_symlink(part));
        };
        self.roots.iter().any(|(root, at)| {
            let Some(at) = at else {
                return false;
            };
            match self.follow {
                Follow::Off => path
                    .strip_prefix(root)
                    .is_ok_and(|rest| place == at.join(rest)),
                _ => place.starts_with(at),
            }
        })
    }
}

fn is_loop(error: &io::Error) -> bool {
    error.raw_os_error() == Some(Errno::LOOP.raw_os_error())
}

/// Where a folder that a pattern names is. A link on the way there that others can have put there must
/// not lead out of the folder that it is in.
fn place_of_root(fs: &Fs, root: &Path) -> Option<PathBuf> {
    let place = fs.canonicalize(root).ok()?;
    let whole = std::path::absolute(root).ok()?;
    let mut shared = false;
    let mut above: Option<&Path> = None;
    let mut parts: Vec<&Path> = whole.ancestors().collect();
    parts.reverse();
    for part in parts {
        if let Some(above) = above.filter(|_| shared && fs.is_symlink(part)) {
            let above = fs.canonicalize(above).ok()?;
            return place.starts_with(above).then_some(place);
        }
        shared |= fs.metadata(part).is_ok_and(|m| is_shared(&m));
        above = Some(part);
    }
    Some(place)
}

/// Whether somebody other than root and us can write to a folder.
fn is_shared(metadata: &Metadata) -> bool {
    let stranger = metadata.uid() != 0 && metadata.uid() != geteuid().as_raw();
    stranger || metadata.mode() & 0o022 != 0
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;
    use crate::counters::Trouble;
    use crate::sim::steps::Steps;

    const TOKEN: &str = "a token of somebody else\n";

    /// Ways from the folder of the logs to what is outside of it.
    fn put_links(dir: &Path, outside: &Path) {
        fs::write(outside.join("token.log"), TOKEN).unwrap();
        let link = |target: &Path, name: &str| symlink(target, dir.join(name)).unwrap();
        link(&outside.join("token.log"), "file.log");
        link(Path::new("file.log"), "chain.log");
        link(outside, "folder");
        link(Path::new("/proc/self/environ"), "environ.log");
        link(Path::new("/proc/self/root/etc/hostname"), "root.log");
        link(Path::new("/proc/thread-self/cwd/Cargo.toml"), "cwd.log");
        let up = "../".repeat(20) + outside.to_str().unwrap() + "/token.log";
        link(Path::new(&up), "up.log");
        fs::create_dir(dir.join("sub")).unwrap();
        link(
            &dir.join("../").join(outside.file_name().unwrap()),
            "sub/folder",
        );
    }

    #[test]
    fn nothing_from_outside_is_read_through_whatever_leads_there() {
        for follow in ["off", "inside"] {
            for pattern in ["*.log", "*/*.log", "*/*/*.log", "folder/token.log"] {
                let outside = tempfile::tempdir().unwrap();
                let mut steps = Steps::prepared(pattern, &[("follow_links", follow)], |dir| {
                    put_links(dir.path(), outside.path());
                    fs::write(dir.path().join("good.log"), "good\n").unwrap();
                    fs::write(dir.path().join("sub/good.log"), "good\n").unwrap();
                });
                steps.round();
                // The same, come by through what the kernel tells.
                symlink(outside.path().join("token.log"), steps.path("new.log")).unwrap();
                symlink(outside.path(), steps.path("new")).unwrap();
                steps.told();
                steps.round();
                assert!(
                    steps.lines.iter().all(|line| line == "good"),
                    "{follow} {pattern}: {:?}",
                    steps.lines
                );
                if pattern == "*.log" {
                    assert_eq!(steps.lines, ["good"]);
                    assert!(steps.worker.ctx.counters.errors(Trouble::Link) >= 6);
                }
                let watches = steps.worker.discovery.sources.watches().unwrap();
                let real = fs::canonicalize(outside.path()).unwrap();
                assert!(
                    watches
                        .paths()
                        .all(|path| fs::canonicalize(path).is_ok_and(|path| path != real)),
                    "{follow} {pattern}"
                );
            }
        }
    }

    #[test]
    fn with_on_every_link_is_followed() {
        let outside = tempfile::tempdir().unwrap();
        let mut steps = Steps::prepared("*/*.log", &[("follow_links", "on")], |dir| {
            put_links(dir.path(), outside.path());
        });
        steps.round();
        assert_eq!(steps.lines, [TOKEN.trim()]);
    }

    #[test]
    fn links_that_stay_inside_are_followed_unless_none_is() {
        for (follow, lines) in [("inside", &["one", "three", "two"][..]), ("off", &["one"])] {
            let mut steps = Steps::prepared("*.log", &[("follow_links", follow)], |dir| {
                let path = |name: &str| dir.path().join(name);
                fs::create_dir(path("day")).unwrap();
                fs::write(path("day/2"), "two\n").unwrap();
                fs::write(path("day/3"), "three\n").unwrap();
                symlink("day/2", path("relative.log")).unwrap();
                symlink(path("day/3"), path("absolute.log")).unwrap();
                fs::write(path("plain.log"), "one\n").unwrap();
            });
            steps.round();
            steps.lines.sort();
            assert_eq!(steps.lines, lines, "{follow}");
        }
    }

    #[test]
    fn a_link_that_comes_to_lead_outside_is_left_and_back_inside_followed_again() {
        let outside = tempfile::tempdir().unwrap();
        fs::write(outside.path().join("token.log"), TOKEN).unwrap();
        let mut steps = Steps::prepared("*.log", &[], |dir| {
            fs::write(dir.path().join("1"), "one\n").unwrap();
            symlink("1", dir.path().join("a.log")).unwrap();
        });
        steps.round();
        for n in 2..4 {
            let (new, old) = (steps.path("new"), steps.path("a.log"));
            symlink(outside.path().join("token.log"), &new).unwrap();
            fs::rename(&new, &old).unwrap();
            steps.round();
            steps.append(&n.to_string(), &format!("{n}\n"));
            symlink(n.to_string(), &new).unwrap();
            fs::rename(&new, &old).unwrap();
            steps.round();
        }
        assert_eq!(steps.lines, ["one", "2", "3"]);
    }

    #[test]
    fn the_folder_of_a_pattern_may_be_behind_a_link_that_no_stranger_has_put_there() {
        let outside = tempfile::tempdir().unwrap();
        fs::write(outside.path().join("a.log"), TOKEN).unwrap();
        // Below /tmp, to which everybody can write.
        let mut steps = Steps::prepared("current/*.log", &[], |dir| {
            fs::create_dir(dir.path().join("1")).unwrap();
            fs::write(dir.path().join("1/a.log"), "one\n").unwrap();
            symlink("1", dir.path().join("current")).unwrap();
        });
        steps.round();
        assert_eq!(steps.lines, ["one"]);
        fs::remove_file(steps.path("current")).unwrap();
        symlink(outside.path(), steps.path("current")).unwrap();
        steps.round();
        steps.round();
        assert_eq!(steps.lines, ["one"]);
    }

    #[test]
    fn other_values_are_refused() {
        for value in ["", "all", "outside"] {
            let error = Follow::read(value).unwrap_err().to_string();
            assert!(error.contains("off, inside or on"), "{error}");
        }
    }
}
