//! A new file is followed.

use std::path::Path;
use std::sync::Arc;

use tracing::{debug, warn};

use crate::context::Context;
use crate::fs::{Handle, Metadata};
use crate::read::holes::written_end;
use crate::read::lines::{CutLine, Splitter};
use crate::read::tag;
use crate::track::descriptors::make_way;
use crate::track::file::{FileId, Seen, TrackedFile};
use crate::track::files::{Files, Stage};
use crate::track::fingerprint::{Identity, Print, Tail};
use crate::track::life::Life;
use crate::track::queue::Task;
use crate::track::rotation::gone;
use crate::track::transition::Observation;

/// Where a new file is read from.
#[derive(Debug, Default)]
pub(crate) struct Position {
    /// `None`: nothing is known of it.
    pub(crate) offset: Option<u64>,
    /// The name that it has in records, if that is another one than its path.
    pub(crate) name: Option<Arc<Path>>,
    /// The line that is inside.
    pub(crate) cut: Option<CutLine>,
    /// The file that had the parts of this line which were passed on, if that was another one.
    pub(crate) parts_of: Option<Identity>,
    /// It has been rotated since it was read.
    pub(crate) rotated: bool,
    /// What was seen of it when it was opened, if that was just now.
    pub(crate) seen: Option<Seen>,
}

/// Follows a new file.
pub(crate) fn follow(
    files: &mut Files,
    path: &Path,
    identity: Identity,
    handle: Handle,
    metadata: &Metadata,
    position: Position,
) -> FileId {
    gone(files, path, false);
    // As in the stock tail, new files are read from their head if the first ones are.
    let later = files.stage != Stage::Starting;
    let from_head =
        files.ctx.options.read_from_head || later && files.ctx.options.read_new_from_head;
    let offset = match position.offset {
        Some(offset) => offset,
        None if from_head => 0,
        // A log may have been made longer than what is written.
        None => written_end(&handle, metadata.len()).unwrap_or(metadata.len()),
    };
    let name = position.name;
    let same = name.as_ref().filter(|name| ***name == *path);
    let shared: Arc<Path> = same.map_or_else(|| path.into(), Arc::clone);
    let matched = files.ctx.options.globs.matches(path);
    let life = Life::begin(shared.clone(), matched, files.ctx.time.now());
    let name = name.unwrap_or(shared);
    let mut file = TrackedFile::new(identity, name, life, offset);
    let plain = files.ctx.options.globs.name_of(&file.name);
    if plain.as_os_str() != file.name.as_os_str() {
        file.name = plain.into();
    }
    files.linked |= metadata.links() > 1;
    file.tag = tag_of(&files.ctx, &file.name);
    file.tail = Tail::read(&handle, offset).unwrap_or_default();
    file.checkpoint_tail = Print::of(file.tail.bytes());
    file.fresh = files.scanned();
    // Of what was read of it that is known.
    file.compared = offset > 0;
    file.seen.size = offset;
    // It begins inside a line whose beginning was passed on.
    if let Some(line) = position.cut {
        file.lines = Splitter::inside(line, offset);
        file.rare().before_checkpoint = Some(line);
        file.rare().parts_of = position.parts_of.filter(|of| *of != identity);
    }
    let target = files.links.target_of(path).cloned();
    if target.is_some() {
        file.rare().target.clone_from(&target);
    }
    file.remote = files.is_remote(path, metadata.dev());
    // Now, while the new file is not among those that may be closed: it may soon be deleted.
    make_way(files);
    file.handle = Some(Box::new(handle));
    let id = files.registry.insert(file);
    files.handles.opened(id);
    debug!("following {} from byte {offset}", path.display());
    files.changed(id);
    match position.seen {
        Some(seen) => files.queue.push(Task::Seen(id, seen)),
        None => files.look_at(id),
    }
    if position.rotated {
        files.observe(id, Observation::Rotated);
    }
    id
}

fn tag_of(ctx: &Context, name: &Path) -> Option<Arc<str>> {
    let template = ctx.tag_template.as_deref()?;
    let path = name.to_string_lossy();
    let tag = match &ctx.options.tag_regex {
        Some(regex) => tag::expand_groups(template, regex, &path),
        None => tag::expand(template, &path),
    };
    if tag.is_none() {
        warn!("{path}: tag_regex does not match, the tag is {template}");
    }
    tag.map(Arc::from)
}
