//! Files that begin anew or lose their end, and the copies that hold what was truncated.

use std::path::{Path, PathBuf};
use std::time::Duration;

use tracing::{debug, info, warn};

use crate::fs::{Fs, Handle, Metadata};
use crate::read::lines::Splitter;
use crate::track::descriptors::none_left;
use crate::track::file::{pieces_to_advise, Continued, FileId, Held, Rare, TrackedFile};
use crate::track::fingerprint::{read_full, Fingerprint, Head, Identity, Print, Tail, HEAD};
use crate::worker::Worker;

/// How long a file is not read that looks like a copy, once it has stopped growing.
const HOLD: Duration = Duration::from_secs(1);
/// The same however long it grows, and how many bytes a second are copied at least.
const LONGEST_HOLD: Duration = Duration::from_secs(10);
const SLOWEST_COPY: u64 = 1 << 20;

impl Worker {
    /// The file is shorter than it was, or no longer holds what was read from it.
    pub(crate) fn rewritten(&mut self, id: FileId, size: u64) {
        let Some(file) = self.files.get(&id) else {
            return;
        };
        self.counters.truncations.add(1);
        let fingerprint = file.fingerprint();
        let folder = file.path.as_ref().unwrap_or(&file.name).parent();
        let folder = folder.map(Path::to_owned).unwrap_or_default();
        let name = file.name.clone();
        // First of all: many logs begin with the same header again and seem merely cut then.
        let paths = related_in(&self.fs, &folder, &name);
        if let Some((path, handle, metadata)) = self.find_copy(paths, &name, &fingerprint, Some(id))
        {
            self.continue_in_copy(id, &path, handle, &metadata);
            self.end_stream(id);
        } else if !self.skip_short_copy(id) && self.lost_its_end(id, size) {
            return;
        } else {
            self.end_text(id);
            self.lost(self.files.get(&id).map_or(0, |file| file.ahead()), &name);
        }
        info!("{} begins anew", name.display());
        if let Some(file) = self.files.get_mut(&id) {
            self.carried -= file.offset - file.lines.start();
            file.begin_anew(self.time.now());
            self.changed(id);
        }
    }

    /// Goes on with a file that is what it was, up to its end. `false`: it is something else.
    fn lost_its_end(&mut self, id: FileId, size: u64) -> bool {
        let Some(file) = self.files.get_mut(&id) else {
            return false;
        };
        if !file.was_cut_to(size).unwrap_or(false) {
            return false;
        }
        let name = file.name.clone();
        let unread = file.ahead().min(file.seen.size.saturating_sub(size));
        info!("{} lost its end behind byte {size}", name.display());
        if size < file.head.len() as u64 {
            // What follows need not be what was there.
            file.head = Head::default();
            file.seen.size = size;
            if file.grow_head().is_err() {
                debug!("{}: cannot read its head", name.display());
            }
        }
        if size < file.offset {
            self.carried -= file.offset - file.lines.start();
            file.lines.cut_to(size);
            self.carried += size - file.lines.start();
            file.offset = size;
            file.advised = file.advised.min(pieces_to_advise(size));
            file.epoch += 1;
            if let Some(handle) = &file.handle {
                file.tail = Tail::read(handle, size).unwrap_or_default();
            }
            if file.checkpoint > size {
                file.checkpoint = size;
                if let Some(rare) = &mut file.rare {
                    rare.before_checkpoint = None;
                }
                file.checkpoint_tail = Print::of(file.tail.bytes());
            }
            self.changed(id);
        }
        self.lost(unread, &name);
        true
    }

    fn lost(&self, bytes: u64, name: &Path) {
        if bytes > 0 {
            self.counters.lost_bytes.add(bytes);
            warn!("{}: {bytes} bytes were overwritten unread", name.display());
        }
    }

    /// The one of these that holds what was read of another file, whose path is `name`.
    pub(crate) fn find_copy(
        &self,
        paths: impl Iterator<Item = PathBuf>,
        name: &Path,
        fingerprint: &Fingerprint,
        original: Option<FileId>,
    ) -> Option<(PathBuf, Handle, Metadata)> {
        if fingerprint.head.length == 0 {
            return None;
        }
        // Of any number of them only one is open.
        paths
            .filter(|path| is_rotated_form(name, path))
            .filter_map(|path| {
                let metadata = self.fs.metadata(&path).ok()?;
                let known = self.followed(&Identity::of(&metadata));
                // A file that is read by itself is no copy, unless that is what it waits for.
                let free = known.is_none_or(|known| {
                    let held = self.held.get(&known);
                    held.is_some_and(|held| Some(held.original) == original)
                });
                if !free || !metadata.is_file() || metadata.len() < fingerprint.offset {
                    return None;
                }
                let (handle, metadata) = self.confine.open(&path).ok()?;
                let fits = metadata.is_file() && fingerprint.fits(&handle, metadata.len()).ok()?;
                fits.then_some((path, handle, metadata))
            })
            .max_by_key(|(_, _, metadata)| metadata.modified())
    }

    /// What is left of a truncated file is read from its copy.
    fn continue_in_copy(
        &mut self,
        original: FileId,
        path: &Path,
        handle: Handle,
        metadata: &Metadata,
    ) {
        let identity = Identity::of(metadata);
        let Some(file) = self.files.get(&original) else {
            return;
        };
        info!("{} goes on in {}", file.name.display(), path.display());
        let (offset, name) = (file.offset, file.name.clone());
        let id = match self.followed(&identity) {
            Some(held) => held,
            None => self.follow(path, identity, handle, metadata, Some(offset), Some(name)),
        };
        let Some(mut copy) = self.files.remove(&id) else {
            return;
        };
        if let Some(file) = self.files.get_mut(&original) {
            copy.name.clone_from(&file.name);
            copy.tag.clone_from(&file.tag);
            copy.offset = file.offset;
            copy.advised = pieces_to_advise(file.offset);
            copy.lines = std::mem::replace(&mut file.lines, Splitter::at(file.offset));
            copy.code = file.code;
            copy.joined = std::mem::take(&mut file.joined);
            if copy.joined.is_some() {
                self.in_pieces.insert(id);
            }
            copy.head = file.head;
            copy.tail = file.tail;
            copy.checkpoint = file.checkpoint;
            copy.checkpoint_tail = file.checkpoint_tail;
            copy.rare = Some(Box::new(Rare {
                continues: Some(Continued {
                    file: original,
                    epoch: file.epoch,
                    parts_of: file.parts_of(),
                }),
                target: copy.target().cloned(),
                ..file.rare.as_deref().cloned().unwrap_or_default()
            }));
        }
        copy.held = false;
        copy.compared = true;
        self.held.remove(&id);
        self.files.insert(id, copy);
        self.changed(id);
        self.rotated(id);
        self.look(id, true);
    }

    /// Held files that hold less than what was read of the truncated file: all of it was read.
    /// `false`: there are none.
    fn skip_short_copy(&mut self, original: FileId) -> bool {
        let Some(other) = self.files.get(&original) else {
            return false;
        };
        let held_for_it = self.held.iter().filter(|(_, h)| h.original == original);
        let copies: Vec<FileId> = held_for_it
            .map(|(id, _)| *id)
            .filter(|id| {
                self.files.get(id).is_some_and(|file| {
                    file.seen.size <= other.offset && self.begins_like(file, other)
                })
            })
            .collect();
        for id in &copies {
            let id = *id;
            self.held.remove(&id);
            let handle = self.files.get(&id).map(|file| self.at_hand(file));
            if let Some(file) = self.files.get_mut(&id) {
                info!("{} is a copy of what was read", file.name.display());
                file.held = false;
                file.offset = file.seen.size;
                file.lines = Splitter::at(file.offset);
                file.checkpoint = file.offset;
                let tail = handle
                    .and_then(Result::ok)
                    .map(|h| Tail::read(&h, file.offset));
                file.tail = tail.and_then(Result::ok).unwrap_or_default();
                file.checkpoint_tail = Print::of(file.tail.bytes());
                self.changed(id);
            }
        }
        !copies.is_empty()
    }

    // Copies in the making: `copytruncate` with a pattern that matches the copy too.

    /// Does not read a new file for now that begins like one with a related name.
    pub(crate) fn hold_if_copy(&mut self, id: FileId) {
        let Some(file) = self.files.get(&id) else {
            return;
        };
        let Some(path) = &file.path else {
            return;
        };
        let original = originals(path).into_iter().find_map(|path| {
            let original = self
                .by_path
                .get(path.as_path())
                .copied()
                .filter(|o| *o != id)?;
            let other = self.files.get(&original)?;
            (!other.held && self.begins_like(file, other)).then_some(original)
        });
        if let Some(original) = original {
            debug!("{} may be a copy, not read yet", path.display());
            let now = self.time.now();
            if let Some(file) = self.files.get_mut(&id) {
                file.held = true;
                let held = Held {
                    original,
                    since: now,
                    grown: now,
                };
                self.held.insert(id, held);
            }
        }
    }

    /// Reads files after all that turned out to be no copies.
    pub(crate) fn settle_held(&mut self) {
        let over: Vec<FileId> = self
            .held
            .iter()
            .filter(|(id, held)| {
                let original = self.files.get(&held.original);
                let file = self.files.get(id);
                let both = file.zip(original).filter(|(f, o)| self.begins_like(f, o));
                self.time.since(held.grown) >= HOLD
                    || both.is_none_or(|(_, o)| self.time.since(held.since) >= longest_hold(o))
            })
            .map(|(id, _)| *id)
            .collect();
        for id in over {
            self.release(id);
        }
    }

    /// A drain waits for nothing.
    pub(crate) fn release_held(&mut self) {
        let held: Vec<FileId> = self.held.keys().copied().collect();
        for id in held {
            self.release(id);
        }
    }

    fn release(&mut self, id: FileId) {
        self.held.remove(&id);
        if let Some(file) = self.files.get_mut(&id) {
            file.held = false;
            self.look(id, true);
            self.make_ready(id);
        }
    }

    /// Whether both have the same first bytes, as far as the shorter one goes, and the copy holds no
    /// more than the original may have had.
    fn begins_like(&self, copy: &TrackedFile, original: &TrackedFile) -> bool {
        if original.head.is_empty() {
            return false;
        }
        let handle = match self.at_hand(copy) {
            Ok(handle) => handle,
            // Nobody can tell now.
            Err(error) => return none_left(&error),
        };
        let mut head = [0; HEAD];
        let length = read_full(&handle, &mut head, 0).unwrap_or(0);
        if length == 0 || !original.head.begins_like(&head[..length]) {
            return false;
        }
        // What was written to the original last may be known from the copy first.
        copy.seen.size <= original.seen.size
            || original
                .fingerprint()
                .fits(&handle, copy.seen.size)
                .unwrap_or(false)
    }
}

/// How long copying it may take.
fn longest_hold(original: &TrackedFile) -> Duration {
    LONGEST_HOLD + Duration::from_secs(original.seen.size / SLOWEST_COPY)
}

/// Paths of which the file at `path` might be a rotated copy: `app.log.1`, `app.log-20240101`
/// and `app-20240101.log` come from `app.log`.
fn originals(path: &Path) -> Vec<PathBuf> {
    let Some(name) = path.file_name().and_then(|name| name.to_str()) else {
        return Vec::new();
    };
    let extension = path.extension().and_then(|e| e.to_str());
    let mut originals = Vec::new();
    for (at, _) in name
        .match_indices(['.', '-', '_'])
        .filter(|(at, _)| *at > 0)
    {
        originals.push(path.with_file_name(&name[..at]));
        if let Some(extension) = extension {
            originals.push(path.with_file_name(format!("{}.{extension}", &name[..at])));
        }
    }
    originals.retain(|original| original != path);
    originals
}

/// Whether the file at `path` may be a rotated form of the one at `original`, as its name tells.
pub(crate) fn is_rotated_form(original: &Path, path: &Path) -> bool {
    originals(path).iter().any(|other| other == original)
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

/// Paths in a folder whose names look like rotated ones of `original`.
fn related_in<'a>(
    fs: &Fs,
    folder: &'a Path,
    original: &'a Path,
) -> impl Iterator<Item = PathBuf> + use<'a> {
    let names = fs.list(folder).into_iter().flatten().flatten();
    let paths = names.map(move |entry| folder.join(entry.name));
    paths.filter(move |path| related(original, path))
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::os::unix::fs::FileExt as _;

    use super::*;
    use crate::sim::steps::Steps;

    /// Long enough for everything that a worker waits for.
    const LONG: Duration = Duration::from_secs(60);

    #[test]
    fn a_file_that_was_truncated_before_anything_was_read_goes_on_in_its_copy() {
        for pattern in ["a.log", "a.log*"] {
            let mut steps = Steps::new(pattern);
            steps.append("a.log", "one\ntwo\n");
            steps.told();
            steps.copy("a.log", "a.log.1");
            steps.cut("a.log", 0);
            steps.told();
            steps.append("a.log", "three\n");
            steps.round();
            steps.round_after(LONG);
            steps.lines.sort();
            assert_eq!(steps.lines, ["one", "three", "two"], "{pattern}");
            assert_eq!(steps.lost(), 0);
        }
    }

    #[test]
    fn what_begins_with_the_same_header_after_its_truncation_goes_on_in_its_copy() {
        for pattern in ["a.log", "a.log*"] {
            let mut steps = Steps::new(pattern);
            steps.append("a.log", "header\none\n");
            steps.round();
            steps.append("a.log", "two\n");
            steps.copy("a.log", "a.log.1");
            steps.cut("a.log", 0);
            steps.append("a.log", "header\n");
            steps.round();
            steps.append("a.log", "three\n");
            steps.round();
            steps.round_after(LONG);
            steps.lines.sort();
            let all = ["header", "header", "one", "three", "two"];
            assert_eq!(steps.lines, all, "{pattern}");
            assert_eq!(steps.lost(), 0);
        }
    }

    #[test]
    fn unread_bytes_that_a_truncation_takes_are_counted_wherever_it_cuts() {
        for (read, size, lost) in [
            (0, 0, 14),
            (0, 4, 10),
            (8, 0, 6),
            (8, 4, 6),
            (8, 8, 6),
            (8, 10, 4),
        ] {
            let mut steps = Steps::new("a.log");
            steps.append("a.log", &"one\ntwo\nthree\n"[..read]);
            steps.round();
            steps.append("a.log", &"one\ntwo\nthree\n"[read..]);
            steps.told();
            steps.cut("a.log", size);
            steps.round();
            assert_eq!(steps.lost(), lost, "cut to {size}, {read} bytes were read");
            assert_eq!(steps.worker.counters.truncations.get(), 1);
            steps.append("a.log", "|four\n");
            steps.round();
            let last = steps.lines.last().map(String::as_str);
            assert!(last.is_some_and(|line| line.ends_with("|four")), "{last:?}");
        }
    }

    #[test]
    fn a_file_that_lost_its_end_may_go_on_otherwise() {
        for size in [4, 100, 400] {
            let mut steps = Steps::new("a.log");
            steps.append("a.log", "one\n");
            steps.append("a.log", &"0123456789abcde\n".repeat(30));
            steps.round();
            let before = steps.lines.len();
            steps.cut("a.log", size);
            steps.round();
            for _ in 0..30 {
                steps.append("a.log", "edcba9876543210\n");
                steps.round();
            }
            assert_eq!(steps.lines.len(), before + 30, "cut to {size}");
            assert_eq!(steps.worker.counters.truncations.get(), 1);
        }
    }

    #[test]
    fn a_copy_that_is_seen_before_what_was_written_last_is_held() {
        let mut steps = Steps::new("a.log*");
        steps.append("a.log", "one\n");
        steps.round();
        steps.append("a.log", "two\nthree");
        steps.copy("a.log", "a.log.1");
        steps.worker.scan();
        steps.cut("a.log", 0);
        steps.round();
        steps.round_after(LONG);
        assert_eq!(steps.lines, ["one", "two", "three"]);
        assert_eq!(steps.lost(), 0);
    }

    #[test]
    fn a_copy_that_gets_its_name_after_the_truncation_is_a_new_file() {
        let mut steps = Steps::new("*.log");
        steps.append("a.log", "one\n");
        steps.round();
        steps.copy("a.log", "a.copy");
        steps.cut("a.log", 0);
        steps.append("a.log", "two\n");
        steps.round();
        steps.rename("a.copy", "a-copy.log");
        steps.round();
        steps.round_after(LONG);
        assert_eq!(steps.lines, ["one", "two", "one"]);
    }

    #[test]
    fn a_large_copy_is_held_for_as_long_as_it_may_take() {
        let mut steps = Steps::prepared("a.log*", &[("read_from_head", "off")], |dir| {
            let log = File::create(dir.path().join("a.log")).unwrap();
            log.write_all_at("one\n".repeat(64).as_bytes(), 0).unwrap();
            // As much as takes a while to copy.
            log.set_len(100 << 20).unwrap();
        });
        for _ in 0..9 {
            steps.append("a.log.1", "one\n");
            steps.round_after(Duration::from_secs(10));
            assert!(steps.lines.is_empty(), "{:?}", steps.lines);
        }
    }

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
