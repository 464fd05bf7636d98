//! Files that begin anew or lose their end, and the copies that hold what was truncated.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use tracing::{debug, info, warn};

use crate::checkpoint::folder::Folder;
use crate::context::Context;
use crate::fs::{none_left, Handle, Metadata};
use crate::map::HashMap;
use crate::read::charset::Code;
use crate::read::decode::Joined;
use crate::read::lines::Splitter;
use crate::read::reader::Reader;
use crate::source::confine::is_refused;
use crate::track::descriptors::{at_hand, ensure_open, is_missing, make_room};
use crate::track::file::{pieces_to_advise, Continued, FileId, Rare, Seen, TrackedFile};
use crate::track::files::Files;
use crate::track::fingerprint::{Fingerprint, Head, Identity, Print, Tail};
use crate::track::follow::{follow, Position};
use crate::track::names::{originals, Related};
use crate::track::quarantine::begins_like;
use crate::track::transition::Observation;

/// How often a copy is looked for, if the folder is another one whenever that is over.
const MOST_LOOKS: usize = 4;

/// No descriptor is left.
struct NoneLeft;

/// What holds what was read of a truncated file.
enum Copy {
    /// A file that waits to know whether it is that, wherever it is by now.
    Held(FileId),
    At(PathBuf, Handle, Metadata),
}

/// What was read of a file, as it goes on in another one.
struct Text {
    name: Arc<Path>,
    tag: Option<Arc<str>>,
    offset: u64,
    lines: Splitter,
    code: Option<Code>,
    joined: Option<Box<Joined>>,
    head: Head,
    tail: Tail,
    checkpoint: u64,
    checkpoint_tail: Print,
    rare: Rare,
}

impl Text {
    fn goes_on_in(self, copy: &mut TrackedFile) {
        let target = copy.target().cloned();
        copy.name = self.name;
        copy.tag = self.tag;
        copy.offset = self.offset;
        copy.lines = self.lines;
        copy.code = self.code;
        copy.joined = self.joined;
        copy.head = self.head;
        copy.tail = self.tail;
        copy.checkpoint = self.checkpoint;
        copy.checkpoint_tail = self.checkpoint_tail;
        copy.rare = Some(Box::new(Rare {
            target,
            ..self.rare
        }));
        copy.compared = true;
    }
}

/// The file is shorter than it was, or no longer holds what was read from it.
pub(crate) fn rewritten(files: &mut Files, reader: &mut Reader, id: FileId, size: u64) {
    let Some(file) = files.registry.get(id) else {
        return;
    };
    let fingerprint = file.fingerprint();
    let folder = file.shown().parent();
    let folder = folder.map(Path::to_owned).unwrap_or_default();
    let name = file.name.clone();
    // First of all: many logs begin with the same header again and seem merely cut then.
    let identity = file.identity;
    let mut unopened = Vec::new();
    let of = (&*name, &identity);
    let copy = look_for_copy(files, id, &folder, of, &fingerprint, &mut unopened);
    let Ok(copy) = copy else {
        // It is looked at again in its turn.
        return files.observe(id, Observation::ReadToEnd { unfinished: false });
    };
    files.ctx.counters.truncations.add(1);
    if let Some(copy) = copy {
        continue_in_copy(files, reader, id, copy);
        // Its last line goes on there; what the host joins does not.
        reader.end_text(files, id);
    } else if !skip_short_copy(files, id) && lost_its_end(files, reader, id, size) {
        return files.look_at(id);
    } else {
        reader.end_text(files, id);
        let waits = !unopened.is_empty();
        if let Some(file) = files.registry.get(id) {
            if !waits {
                lost(&files.ctx, file.ahead(), &name);
            }
            let now = files.ctx.time.now();
            files.dormant.keep_text(file, unopened, now);
        }
        if waits || is_read_compressed(&files.ctx, &name) {
            // Its copy may be compressed already, and that may not be known before the next start; or it can be opened
            // then.
            files.keep_text(id, waits);
        }
    }
    info!("{} begins anew", name.display());
    if let Some(file) = files.registry.get_mut(id) {
        reader.kept(file.offset - file.lines.start(), 0);
        file.begin_anew();
        files.observe(id, Observation::BeganAnew);
    }
}

/// Goes on with a file that is what it was, up to its end. `false`: it is something else.
fn lost_its_end(files: &mut Files, reader: &mut Reader, id: FileId, size: u64) -> bool {
    let Some(file) = files.registry.get_mut(id) else {
        return false;
    };
    if !file.was_cut_to(size).unwrap_or(false) {
        return false;
    }
    let name = file.name.clone();
    let unread = file.ahead().min(file.seen.size.saturating_sub(size));
    if size < file.lines.start() {
        // Lines before it are gone, so its writer did not take it back.
        reader.end_text(files, id);
    }
    let Some(file) = files.registry.get_mut(id) else {
        return false;
    };
    file.seen.size = size;
    info!("{} lost its end behind byte {size}", name.display());
    if size < file.head.len() as u64 {
        // What follows need not be what was there.
        file.head = Head::default();
        if file.grow_head().is_err() {
            debug!("{}: cannot read its head", name.display());
        }
    }
    if size < file.offset {
        let kept = file.offset - file.lines.start();
        file.lines.cut_to(size);
        reader.kept(kept, size - file.lines.start());
        file.offset = size;
        if let Some(rare) = &mut file.rare {
            rare.advised = rare.advised.min(pieces_to_advise(size));
        }
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
        files.changed(id);
    }
    lost(&files.ctx, unread, &name);
    true
}

/// Whether the patterns match the compressed form of a rotated file, as far as names tell.
fn is_read_compressed(ctx: &Context, name: &Path) -> bool {
    [".1.gz", ".gz"].into_iter().any(|end| {
        let mut path = name.as_os_str().to_owned();
        path.push(end);
        ctx.options.globs.matches(Path::new(&path))
    })
}

fn lost(ctx: &Context, bytes: u64, name: &Path) {
    if bytes > 0 {
        ctx.counters.lost_bytes.add(bytes);
        warn!("{}: {bytes} bytes were overwritten unread", name.display());
    }
}

/// The copy that holds what was read of a truncated file, if there is one. `Err`: nobody can tell now,
/// since no descriptor is left to look.
fn look_for_copy(
    files: &mut Files,
    id: FileId,
    folder: &Path,
    (name, identity): (&Path, &Identity),
    fingerprint: &Fingerprint,
    unopened: &mut Vec<Identity>,
) -> Result<Option<Copy>, NoneLeft> {
    let mut looks = 0;
    loop {
        looks += 1;
        let before = files.ctx.fs.shortages();
        let held = held_copy(files, (id, name), fingerprint).map(Copy::Held);
        let list = || Related::list(&files.ctx.fs, folder, name, identity.inode);
        let mut listed = None;
        let copy = held.or_else(|| {
            let related = listed.insert(list());
            unopened.clear();
            let (of, original) = ((identity, fingerprint), Some(id));
            find_copy(files, related.forms(), of, original, unopened)
                .map(|(path, handle, metadata)| Copy::At(path, handle, metadata))
        });
        let short = copy.is_none() && files.ctx.fs.shortages() > before;
        let found = copy.is_some();
        let sure = copy.as_ref().is_some_and(|copy| match copy {
            Copy::Held(_) => true,
            // An older file may begin alike, and hold the same where the copy goes on.
            Copy::At(_, _, metadata) => Identity::of(metadata).is_younger(identity),
        });
        if !short && !sure && looks < MOST_LOOKS {
            // Whoever rotates numbered files may have renamed it meanwhile.
            if listed.is_some_and(|before| before != list()) {
                continue;
            }
        }
        if !short && (found || ensure_open(files, id)) {
            return Ok(copy);
        }
        if !short || !make_room(files) {
            return Err(NoneLeft);
        }
    }
}

/// The file that waits to know whether it is a copy, and is this one's. It may have been taken for that of another
/// one that begins alike.
fn held_copy(
    files: &Files,
    (id, name): (FileId, &Path),
    fingerprint: &Fingerprint,
) -> Option<FileId> {
    if fingerprint.head.length == 0 {
        return None;
    }
    let held = files.registry.quarantined();
    let for_it = held.filter(|(held, _)| {
        let names = files
            .registry
            .get(*held)
            .map(|file| originals(file.shown()));
        let mut names = names.into_iter().flatten();
        names.any(|other| other == *name || files.named(&other) == Some(id))
    });
    let fits = for_it.filter_map(|(id, _)| {
        let handle = at_hand(files, files.registry.get(id)?).ok()?;
        let metadata = handle.metadata_now().ok()?;
        let fits = fingerprint.fits(&handle, metadata.len()).ok()?;
        fits.then_some((id, metadata.modified()))
    });
    fits.max_by_key(|(_, modified)| *modified).map(|(id, _)| id)
}

/// The one of these that holds what was read of another file; younger ones that cannot be opened now, which may hold it,
/// are noted.
pub(crate) fn find_copy(
    files: &Files,
    paths: impl Iterator<Item = PathBuf>,
    (identity, fingerprint): (&Identity, &Fingerprint),
    original: Option<FileId>,
    unopened: &mut Vec<Identity>,
) -> Option<(PathBuf, Handle, Metadata)> {
    if fingerprint.head.length == 0 {
        return None;
    }
    // Of any number of them only one is open.
    paths
        .filter_map(|path| {
            let metadata = files.ctx.fs.metadata(&path).ok()?;
            let its = Identity::of(&metadata);
            let known = files.registry.followed(&its);
            // A file that is read by itself is no copy, unless that is what it waits for, or nothing was seen in it
            // yet: it is made empty.
            let free = known.is_none_or(|known| {
                let file = files.registry.get(known);
                let waits =
                    file.is_some_and(|file| file.life.quarantine().is_some() || !file.compared);
                original.is_some() && waits
            });
            // The clock may have been set back since the original came to be, but a copy made behind that is new by it.
            let old = files.ctx.is_older(Seen::of(&metadata).modified_second());
            let before = old && !its.is_younger(identity);
            if !free || before || !metadata.is_file() || metadata.len() < fingerprint.offset {
                return None;
            }
            let opened = files.handles.open_at_once(&path);
            let error = opened.as_ref().err();
            let may_be_later = |e| !is_missing(e) && !is_refused(e) && !none_left(e);
            if error.is_some_and(may_be_later) && its.is_younger(identity) {
                unopened.push(its);
            }
            let (handle, metadata) = opened.ok()?;
            let fits = metadata.is_file() && fingerprint.fits(&handle, metadata.len()).ok()?;
            fits.then_some((path, handle, metadata))
        })
        .max_by_key(|(_, _, metadata)| {
            let younger = Identity::of(metadata).is_younger(identity);
            (younger, metadata.modified())
        })
}

/// On a network filesystem a copy may be told of after the truncation, and one that could not be opened may be later.
/// Where a pattern matches it, it is found as any other file; elsewhere only who looks for it finds it.
pub(crate) fn find_late_copies(files: &mut Files) {
    let mut folders = HashMap::default();
    for (waits, text) in files.dormant.looked_for(files.ctx.time.now()) {
        let Some(folder) = text.name.parent() else {
            continue;
        };
        let (fs, globs) = (&files.ctx.fs, &files.ctx.options.globs);
        let folder = Folder::cached(&mut folders, fs, folder);
        let forms = folder.forms(&text.name, waits.identity.inode).into_iter();
        let paths = forms.filter(|path| {
            let there = || fs.metadata(path).ok();
            !globs.matches(path)
                && there().is_some_and(|there| waits.may_be_in(&Identity::of(&there)))
        });
        let paths = paths.cloned();
        let of = (&waits.identity, &text.fingerprint);
        let copy = find_copy(files, paths, of, None, &mut Vec::new());
        if let Some((path, handle, metadata)) = copy {
            info!("{} goes on in {}", text.name.display(), path.display());
            files.goes_on(&waits, &text);
            let position = Position {
                offset: Some(text.fingerprint.offset),
                name: Some(text.name),
                rotated: true,
                ..Position::default()
            };
            let identity = Identity::of(&metadata);
            follow(files, &path, identity, handle, &metadata, position);
        }
    }
}

/// What is left of a truncated file is read from its copy.
fn continue_in_copy(files: &mut Files, reader: &mut Reader, original: FileId, copy: Copy) {
    let Some(file) = files.registry.get(original) else {
        return;
    };
    let (offset, name) = (file.offset, file.name.clone());
    let say = |path: &Path| info!("{} goes on in {}", name.display(), path.display());
    let id = match copy {
        Copy::Held(held) => {
            let held_file = files.registry.get(held);
            held_file.iter().for_each(|file| say(file.shown()));
            held
        }
        Copy::At(path, handle, metadata) => {
            say(&path);
            let identity = Identity::of(&metadata);
            let position = Position {
                offset: Some(offset),
                name: Some(name),
                ..Position::default()
            };
            match files.registry.followed(&identity) {
                Some(held) => held,
                None => follow(files, &path, identity, handle, &metadata, position),
            }
        }
    };
    let text = files.registry.get_mut(original).map(|file| Text {
        name: file.name.clone(),
        tag: file.tag.clone(),
        offset: file.offset,
        lines: std::mem::replace(&mut file.lines, Splitter::at(file.offset)),
        code: file.code,
        joined: std::mem::take(&mut file.joined),
        head: file.head,
        tail: file.tail,
        checkpoint: file.checkpoint,
        checkpoint_tail: file.checkpoint_tail,
        rare: Rare {
            continues: Some(Continued {
                file: original,
                epoch: file.epoch,
            }),
            parts_of: Some(file.parts_of()),
            ..file.rare.as_deref().cloned().unwrap_or_default()
        },
    });
    if let Some((copy, text)) = files.registry.get_mut(id).zip(text) {
        if text.joined.is_some() {
            reader.has_pieces_of(id);
        }
        text.goes_on_in(copy);
    }
    files.observe(id, Observation::Continued);
}

/// Held files that hold less than what was read of the truncated file: all of it was read.
/// `false`: there are none.
fn skip_short_copy(files: &mut Files, original: FileId) -> bool {
    let Some(other) = files.registry.get(original) else {
        return false;
    };
    let for_it = files.registry.quarantined();
    let for_it = for_it.filter(|(_, its)| *its == original);
    let copies = for_it.filter_map(|(id, _)| {
        let file = files.registry.get(id)?;
        let handle = at_hand(files, file).ok()?;
        // It may have become longer since it was looked at.
        let size = handle.metadata_now().ok()?.len();
        let short = size <= other.offset && begins_like(files, file, other);
        short.then(|| (id, size, Tail::read(&handle, size).ok()))
    });
    let copies: Vec<(FileId, u64, Option<Tail>)> = copies.collect();
    for (id, size, tail) in &copies {
        if let Some(file) = files.registry.get_mut(*id) {
            info!("{} is a copy of what was read", file.name.display());
            file.offset = *size;
            file.seen.size = *size;
            file.lines = Splitter::at(file.offset);
            file.checkpoint = file.offset;
            file.tail = tail.unwrap_or_default();
            file.checkpoint_tail = Print::of(file.tail.bytes());
        }
        files.observe(*id, Observation::Skipped);
    }
    !copies.is_empty()
}

#[cfg(test)]
mod tests {
    use std::fs::{self, File};
    use std::os::unix::fs::FileExt as _;
    use std::time::Duration;

    use crate::sim::steps::{age, Steps};

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
    fn what_is_too_old_and_was_there_before_is_no_copy() {
        let options = [("ignore_older", "1h"), ("read_from_head", "off")];
        let mut steps = Steps::prepared("a.log", &options, |dir| {
            let old = dir.path().join("a.log.1");
            fs::write(&old, "header\nold\n").unwrap();
            age(&old);
        });
        steps.append("a.log", "header\n");
        steps.round();
        steps.cut("a.log", 0);
        steps.append("a.log", "new\n");
        steps.round();
        steps.round_after(LONG);
        assert_eq!(steps.lines, ["header", "new"]);
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
            assert_eq!(steps.worker.ctx.counters.truncations.get(), 1);
            steps.append("a.log", "|four\n");
            steps.round();
            let last = steps.lines.last().map(String::as_str);
            assert!(last.is_some_and(|line| line.ends_with("|four")), "{last:?}");
        }
    }

    #[test]
    fn a_file_that_lost_its_end_may_go_on_otherwise() {
        for size in [4, 100, 256, 450] {
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
            assert_eq!(steps.worker.ctx.counters.truncations.get(), 1);
        }
    }

    #[test]
    fn a_copy_is_known_by_every_name_of_its_original() {
        for pattern in ["*.log", "[ab].log*", "a.log"] {
            let mut steps = Steps::prepared(pattern, &[], |dir| {
                std::fs::write(dir.path().join("a.log"), "one\n").unwrap();
                std::fs::hard_link(dir.path().join("a.log"), dir.path().join("b.log")).unwrap();
            });
            steps.round();
            // It was found under the one name or the other.
            let found = steps.worker.files.registry.at(&steps.path("a.log"));
            let log = if found.is_some() { "b.log" } else { "a.log" };
            let copy = format!("{log}.1");
            steps.append("a.log", "two\n");
            steps.copy(log, &copy);
            // Less than a copy may take.
            for _ in 0..5 {
                steps.round_after(Duration::from_secs(1));
            }
            steps.append("a.log", "three");
            steps.append(&copy, "three");
            steps.cut("a.log", 0);
            steps.append("a.log", "four\n");
            steps.round();
            steps.round_after(LONG);
            steps.lines.sort();
            assert_eq!(steps.lines, ["four", "one", "three", "two"], "{pattern}");
            assert_eq!(steps.lost(), 0);
        }
    }

    #[test]
    fn a_copy_that_is_found_with_its_original_is_held() {
        for copy in ["a-1.log", "a.log.1"] {
            let mut steps = Steps::prepared("a*", &[], |dir| {
                for name in [copy, "a.log"] {
                    std::fs::write(dir.path().join(name), "one\n").unwrap();
                }
            });
            steps.round();
            steps.cut("a.log", 0);
            steps.append("a.log", "two\n");
            steps.round();
            steps.round_after(LONG);
            assert_eq!(steps.lines, ["one", "two"], "{copy}");
        }
    }

    /// As an application does that is started again and says the same at first. Nobody has seen the file empty.
    #[test]
    fn what_begins_alike_and_is_shorter_is_read_if_nothing_tells_that_it_is_what_was_read() {
        let banner = "the same in every run of it\n".repeat(10);
        let mut steps = Steps::new("a.log");
        steps.append("a.log", &banner);
        steps.append("a.log", &"one, which goes on and on\n".repeat(10));
        steps.round();
        steps.lines.clear();
        steps.cut("a.log", 0);
        steps.append("a.log", &banner);
        steps.append("a.log", "two\n");
        steps.round();
        assert_eq!(steps.lines.last().map(String::as_str), Some("two"));
        assert_eq!(steps.lines.len(), 11);
    }

    #[test]
    fn a_copy_that_was_empty_when_it_was_seen_is_one() {
        for header in ["", "# a header\n"] {
            let mut steps = Steps::new("a.log*");
            steps.append("a.log", header);
            steps.append("a.log", "one\ntwo");
            steps.round();
            let original = steps.worker.files.registry.ids()[0];
            steps.append("a.log.1", "");
            steps.told();
            steps.append("a.log.1", header);
            steps.append("a.log.1", "one\ntwo");
            steps.cut("a.log", 0);
            steps.append("a.log", header);
            // Before what the kernel tells of the copy.
            steps.worker.files.look_at(original);
            steps.worker.go_on();
            steps.round();
            steps.round_after(LONG);
            steps.lines.retain(|line| !line.starts_with('#'));
            assert_eq!(steps.lines, ["one", "two"], "{header}");
        }
    }

    /// What is read first may have been written behind a truncation that nobody has seen.
    #[test]
    fn what_was_overwritten_before_its_first_line_was_read_is_read_once() {
        for pattern in ["a.log", "a.log*"] {
            let mut steps = Steps::new(pattern);
            steps.append("a.log", "one\ntwo\n");
            steps.told();
            steps.copy("a.log", "a.log.1");
            steps.cut("a.log", 0);
            steps.append("a.log", "three, and more than was there\n");
            steps.read();
            steps.round();
            steps.round_after(LONG);
            steps.lines.sort();
            let all = ["one", "three, and more than was there", "two"];
            assert_eq!(steps.lines, all, "{pattern}");
            assert_eq!(steps.lost(), 0);
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

    /// Whoever copies may wait for the disk before he truncates, as logrotate does (`fsync`: its issue 269), and in the
    /// middle of it, too.
    #[test]
    fn a_copy_is_held_until_the_truncation_however_slow_the_disk_is() {
        for stopped_at in [None, Some(6), Some(9)] {
            for header in ["", "# the same header in every file\n"] {
                let mut steps = Steps::new("a.log*");
                steps.append("a.log", header);
                steps.append("a.log", "one\n");
                steps.round();
                steps.append("a.log", "two\nthree");
                steps.round();
                let text = format!("{header}one\ntwo\nthree");
                let (first, rest) = text.split_at(stopped_at.unwrap_or(text.len()));
                for part in [first, rest] {
                    steps.append("a.log.1", part);
                    for _ in 0..4 {
                        steps.round_after(Duration::from_secs(1));
                    }
                }
                steps.cut("a.log", 0);
                steps.append("a.log", header);
                steps.append("a.log", "four\n");
                steps.round();
                steps.round_after(LONG);
                steps.lines.retain(|line| !line.starts_with('#'));
                let all = ["one", "two", "four", "three"];
                assert_eq!(steps.lines, all, "{stopped_at:?} {header}");
                assert_eq!(steps.lost(), 0);
            }
        }
    }

    #[test]
    fn a_new_file_that_goes_on_otherwise_is_not_held() {
        let mut steps = Steps::new("a*");
        steps.append("a.log", "header\none\n");
        steps.round();
        for (text, other) in [
            ("header\n", "2\n"),
            ("header\none\n", "2\n"),
            ("header\n", "one\n2\n"),
        ] {
            steps.lines.clear();
            steps.append("a-2.log", text);
            steps.round();
            assert!(steps.lines.is_empty(), "{:?}", steps.lines);
            steps.append("a-2.log", other);
            steps.round();
            steps.round();
            assert_eq!(steps.lines.last().map(String::as_str), Some("2"));
            std::fs::remove_file(steps.path("a-2.log")).unwrap();
            steps.round_after(LONG);
        }
    }

    #[test]
    fn a_last_line_that_goes_with_what_is_before_it_is_a_record() {
        for (size, more) in [(7, &["two"][..]), (9, &["two"]), (11, &[]), (12, &[])] {
            let mut steps = Steps::new("a.log");
            steps.append("a.log", "header\none\ntwo");
            steps.round();
            steps.cut("a.log", size);
            steps.round();
            steps.round_after(LONG);
            assert_eq!(steps.lines, [&["header", "one"], more].concat(), "{size}");
        }
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
}
