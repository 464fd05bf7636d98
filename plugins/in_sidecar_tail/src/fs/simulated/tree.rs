//! Inodes, names and folders of a simulated filesystem, and what can be done to them.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustix::io::Errno;

use super::bytes::Bytes;
use super::events::{Mask, Queues};
use crate::fs::Kind;

/// Number of an inode in the tree; never used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct NodeId(u32);

/// Number of a name in the tree; never used again. It may be that of a name that is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NameId(u32);

pub(super) const ROOT: NodeId = NodeId(0);

/// How many links a path may lead through.
const MOST_LINKS: usize = 40;
/// Steps of the clock of change times, as in kernels with 250 of them a second.
const CLOCK_STEP: u64 = 4_000_000;

/// Who asks: on a network filesystem the one here may get an older answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    Here,
    /// Where the files are: writers, and whoever rotates.
    There,
}

#[derive(Clone, Debug)]
pub(super) enum Content {
    File(Bytes),
    Folder { names: Vec<NameId>, above: NodeId },
    Link(PathBuf),
}

impl Content {
    pub(super) fn kind(&self) -> Kind {
        match self {
            Content::File(_) => Kind::File,
            Content::Folder { .. } => Kind::Folder,
            Content::Link(_) => Kind::Link,
        }
    }
}

#[derive(Debug)]
pub(super) struct Node {
    pub(super) device: usize,
    pub(super) inode: u64,
    pub(super) birth: u64,
    /// Nanoseconds since 1970.
    pub(super) modified: u64,
    pub(super) content: Content,
    pub(super) links: u32,
    pub(super) opened: u32,
    /// May be read by us.
    pub(super) readable: bool,
    freed: bool,
    /// What was last told here of it.
    view: Option<Box<View>>,
}

/// An answer that is kept for a while.
#[derive(Debug)]
struct View {
    at: u64,
    modified: u64,
    content: Content,
}

#[derive(Debug)]
pub(super) struct Name {
    pub(super) folder: NodeId,
    pub(super) text: Box<OsStr>,
    pub(super) node: NodeId,
    /// How often it is open by this name: as long as it is, its folder stays.
    users: u32,
}

/// A mounted filesystem.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Device {
    pub(crate) number: u64,
    /// Nanoseconds for which an answer is given again; `None`: it is a local one.
    pub(crate) stale: Option<u64>,
    /// It tells when a file was made.
    pub(crate) births: bool,
    /// Writing through a map of the file changes its time.
    pub(crate) maps_change_time: bool,
    /// Inodes of deleted files are used again.
    pub(crate) reuses: bool,
}

impl Device {
    pub(crate) const LOCAL: Device = Device {
        number: 1,
        stale: None,
        births: true,
        maps_change_time: true,
        reuses: false,
    };
}

#[derive(Debug)]
pub(super) struct Tree {
    pub(super) nodes: Vec<Node>,
    pub(super) names: Vec<Name>,
    pub(super) devices: Vec<Device>,
    pub(super) queues: Queues,
    free_inodes: Vec<u64>,
    next_inode: u64,
    births: u64,
    cookies: u32,
    /// Nanoseconds, of a clock that nobody sets.
    pub(super) now: u64,
    /// Nanoseconds since 1970.
    pub(super) wall: u64,
}

impl Tree {
    pub(super) fn new(device: Device) -> Self {
        let mut tree = Tree {
            nodes: Vec::new(),
            names: Vec::new(),
            devices: vec![device],
            queues: Queues::default(),
            free_inodes: Vec::new(),
            next_inode: 2,
            births: 0,
            cookies: 0,
            now: 0,
            wall: 0,
        };
        let folder = Content::Folder {
            names: Vec::new(),
            above: ROOT,
        };
        let root = tree.make(0, folder);
        tree.node_mut(root).links = 1;
        tree
    }

    pub(super) fn node(&self, id: NodeId) -> &Node {
        &self.nodes[id.0 as usize]
    }

    pub(super) fn node_mut(&mut self, id: NodeId) -> &mut Node {
        &mut self.nodes[id.0 as usize]
    }

    pub(super) fn name(&self, id: NameId) -> &Name {
        &self.names[id.0 as usize]
    }

    fn clock(&self) -> u64 {
        self.wall - self.wall % CLOCK_STEP
    }

    pub(super) fn make(&mut self, device: usize, content: Content) -> NodeId {
        let used = self.devices[device].reuses.then(|| self.free_inodes.pop());
        let inode = used.flatten().unwrap_or_else(|| {
            self.next_inode += 1;
            self.next_inode
        });
        // No two files are born in the same nanosecond.
        self.births += 1;
        self.nodes.push(Node {
            device,
            inode,
            birth: self.wall + self.births,
            modified: self.clock(),
            content,
            links: 0,
            opened: 0,
            readable: true,
            freed: false,
            view: None,
        });
        NodeId(self.nodes.len() as u32 - 1)
    }

    fn touch(&mut self, id: NodeId) {
        let now = self.clock();
        self.node_mut(id).modified = now;
    }

    /// Has what is told of a node from here be no older than it may be.
    pub(super) fn ask(&mut self, id: NodeId, side: Side) -> Result<(), Errno> {
        let now = self.now;
        let stale = self.device(id).stale;
        if let (Some(stale), Side::Here) = (stale, side) {
            let node = self.node_mut(id);
            if node.view.as_ref().is_none_or(|v| v.at + stale <= now) {
                return node.ask(now);
            }
        }
        Ok(())
    }

    /// The same for a file that is opened: the answer is a new one.
    pub(super) fn ask_again(&mut self, id: NodeId) -> Result<(), Errno> {
        let now = self.now;
        match self.device(id).stale {
            Some(_) => self.node_mut(id).ask(now),
            None => Ok(()),
        }
    }

    pub(super) fn device(&self, id: NodeId) -> &Device {
        &self.devices[self.node(id).device]
    }

    /// What is told of a node, and when that was changed.
    pub(super) fn told(&self, id: NodeId, side: Side) -> (&Content, u64) {
        let node = self.node(id);
        match &node.view {
            Some(view) if side == Side::Here => (&view.content, view.modified),
            _ => (&node.content, node.modified),
        }
    }

    pub(super) fn lookup(&mut self, folder: NodeId, name: &[u8], side: Side) -> Option<NameId> {
        self.ask(folder, side).ok()?;
        let Content::Folder { names, .. } = self.told(folder, side).0 else {
            return None;
        };
        let mut names = names.iter().copied();
        names.find(|id| self.name(*id).text.as_bytes() == name)
    }

    /// What is at a path, and its name.
    pub(super) fn walk(
        &mut self,
        path: &Path,
        follow: bool,
        side: Side,
    ) -> Result<(NodeId, Option<NameId>), Errno> {
        self.walk_from(ROOT, path.as_os_str().as_bytes(), follow, side, MOST_LINKS)
    }

    /// The same where no link may be on the way.
    pub(super) fn walk_without_links(
        &mut self,
        path: &Path,
        side: Side,
    ) -> Result<(NodeId, Option<NameId>), Errno> {
        self.walk_from(ROOT, path.as_os_str().as_bytes(), true, side, 0)
    }

    fn walk_from(
        &mut self,
        from: NodeId,
        path: &[u8],
        follow: bool,
        side: Side,
        links: usize,
    ) -> Result<(NodeId, Option<NameId>), Errno> {
        let mut at = if path.starts_with(b"/") { ROOT } else { from };
        let mut via = None;
        let mut parts = path.split(|byte| *byte == b'/').peekable();
        while let Some(part) = parts.next() {
            if matches!(part, b"" | b".") {
                continue;
            }
            let Content::Folder { above, .. } = &self.node(at).content else {
                return Err(Errno::NOTDIR);
            };
            if part == b".." {
                at = *above;
                via = None;
                continue;
            }
            let name = self.lookup(at, part, side).ok_or(Errno::NOENT)?;
            let node = self.name(name).node;
            let last = parts.clone().all(|part| matches!(part, b"" | b"."));
            if let Content::Link(target) = &self.node(node).content {
                if !last || follow {
                    if links == 0 {
                        return Err(Errno::LOOP);
                    }
                    let target = target.as_os_str().as_bytes().to_vec();
                    let (there, name) = self.walk_from(at, &target, true, side, links - 1)?;
                    at = there;
                    via = name;
                    continue;
                }
            }
            at = node;
            via = Some(name);
        }
        Ok((at, via))
    }

    /// The folder of a path and the last name of it.
    pub(super) fn folder_of<'a>(
        &mut self,
        path: &'a Path,
        side: Side,
    ) -> Result<(NodeId, &'a OsStr), Errno> {
        let name = path.file_name().ok_or(Errno::ISDIR)?;
        let folder = path.parent().unwrap_or(Path::new("/"));
        let (folder, _) = self.walk(folder, true, side)?;
        match self.node(folder).content {
            Content::Folder { .. } => Ok((folder, name)),
            _ => Err(Errno::NOTDIR),
        }
    }

    /// Where something is, by its names and those of the folders that it is in.
    pub(super) fn place(&self, name: Option<NameId>, node: NodeId) -> PathBuf {
        let mut parts: Vec<&OsStr> = Vec::new();
        let mut at = match name {
            Some(name) => {
                parts.push(&self.name(name).text);
                self.name(name).folder
            }
            None => node,
        };
        while let Content::Folder { above, .. } = self.node(at).content {
            if at == ROOT {
                break;
            }
            let Some(name) = self.name_in(above, at) else {
                break;
            };
            parts.push(&self.name(name).text);
            at = above;
        }
        let mut path = PathBuf::from("/");
        path.extend(parts.iter().rev());
        path
    }

    fn name_in(&self, folder: NodeId, node: NodeId) -> Option<NameId> {
        let Content::Folder { names, .. } = &self.node(folder).content else {
            return None;
        };
        names
            .iter()
            .copied()
            .find(|name| self.name(*name).node == node)
    }

    // Changes, all of them where the files are.

    fn is_folder(&self, node: NodeId) -> bool {
        matches!(self.node(node).content, Content::Folder { .. })
    }

    fn mask_of(&self, node: NodeId) -> Mask {
        if self.is_folder(node) {
            Mask::ISDIR
        } else {
            Mask::empty()
        }
    }

    fn insert(&mut self, folder: NodeId, id: NameId) {
        self.touch(folder);
        if let Content::Folder { names, .. } = &mut self.node_mut(folder).content {
            names.push(id);
        }
    }

    fn take_out(&mut self, folder: NodeId, id: NameId) {
        self.touch(folder);
        if let Content::Folder { names, .. } = &mut self.node_mut(folder).content {
            names.retain(|name| *name != id);
        }
    }

    /// Gives a node a name that nothing has.
    pub(super) fn link(&mut self, folder: NodeId, name: &OsStr, node: NodeId) -> NameId {
        let id = NameId(self.names.len() as u32);
        self.names.push(Name {
            folder,
            text: name.into(),
            node,
            users: 0,
        });
        self.insert(folder, id);
        self.node_mut(node).links += 1;
        let mask = Mask::CREATE | self.mask_of(node);
        self.tell(folder, mask, 0, Some(id));
        id
    }

    pub(super) fn unlink(&mut self, path: &Path, side: Side, folder: bool) -> Result<(), Errno> {
        let (above, name) = self.folder_of(path, side)?;
        let id = self
            .lookup(above, name.as_bytes(), side)
            .ok_or(Errno::NOENT)?;
        let node = self.name(id).node;
        match &self.node(node).content {
            Content::Folder { .. } if !folder => return Err(Errno::ISDIR),
            Content::Folder { names, .. } if !names.is_empty() => return Err(Errno::NOTEMPTY),
            Content::Folder { .. } => {}
            _ if folder => return Err(Errno::NOTDIR),
            _ => {}
        }
        let mask = self.mask_of(node);
        self.take_out(above, id);
        self.unlinked(node);
        self.tell(above, Mask::DELETE | mask, 0, Some(id));
        Ok(())
    }

    fn unlinked(&mut self, node: NodeId) {
        self.node_mut(node).links -= 1;
        self.let_go(node);
    }

    /// Frees what has neither a name nor a handle.
    fn let_go(&mut self, id: NodeId) {
        let node = self.node(id);
        let used = node.links > 0 || node.opened > 0 || node.freed;
        if used || self.is_folder(id) && self.is_pinned(id) {
            return;
        }
        let node = self.node_mut(id);
        node.freed = true;
        let inode = node.inode;
        if let Content::File(bytes) = &mut node.content {
            *bytes = Bytes::default();
        }
        self.free_inodes.push(inode);
        if self.is_folder(id) {
            self.queues.gone(id, self.now);
            let Content::Folder { above, .. } = self.node(id).content else {
                return;
            };
            self.let_go(above);
        }
    }

    /// Whether something is open by a name in this folder, or in a folder that was in it.
    fn is_pinned(&self, folder: NodeId) -> bool {
        let mut names = self.names.iter().filter(|name| name.folder == folder);
        names.any(|name| {
            let kept = self.is_folder(name.node) && !self.node(name.node).freed;
            name.users > 0 || kept
        })
    }

    /// Whether an open file stays as long as it is open.
    fn is_kept(&self, id: NodeId, side: Side) -> bool {
        side == Side::There || self.device(id).stale.is_none()
    }

    pub(super) fn opened(&mut self, (id, name): (NodeId, Option<NameId>), side: Side) {
        if self.is_kept(id, side) {
            self.node_mut(id).opened += 1;
            if let Some(name) = name {
                self.names[name.0 as usize].users += 1;
            }
        }
    }

    pub(super) fn closed(&mut self, (id, name): (NodeId, Option<NameId>), side: Side) {
        if self.is_kept(id, side) {
            self.node_mut(id).opened -= 1;
            self.let_go(id);
            if let Some(name) = name {
                let name = &mut self.names[name.0 as usize];
                name.users -= 1;
                let folder = name.folder;
                self.let_go(folder);
            }
        }
    }

    /// Whether a folder is this one, or anywhere in it.
    fn is_in(&self, mut folder: NodeId, other: NodeId) -> bool {
        loop {
            match self.node(folder).content {
                _ if folder == other => return true,
                Content::Folder { above, .. } if folder != ROOT => folder = above,
                _ => return false,
            }
        }
    }

    pub(super) fn rename(&mut self, from: &Path, to: &Path) -> Result<(), Errno> {
        let (old_folder, old) = self.folder_of(from, Side::There)?;
        let (new_folder, new) = self.folder_of(to, Side::There)?;
        let id = self
            .lookup(old_folder, old.as_bytes(), Side::There)
            .ok_or(Errno::NOENT)?;
        let node = self.name(id).node;
        if self.node(old_folder).device != self.node(new_folder).device {
            return Err(Errno::XDEV);
        }
        // A folder does not become one of its own, nor take the place of one that it is in.
        if self.is_in(new_folder, node) {
            return Err(Errno::INVAL);
        }
        let target = self.lookup(new_folder, new.as_bytes(), Side::There);
        if let Some(target) = target {
            let other = self.name(target).node;
            if self.is_in(old_folder, other) {
                return Err(Errno::NOTEMPTY);
            }
            if other == node {
                return Ok(());
            }
            match (self.is_folder(node), &self.node(other).content) {
                (true, Content::Folder { names, .. }) if !names.is_empty() => {
                    return Err(Errno::NOTEMPTY)
                }
                (true, Content::Folder { .. }) => {}
                (true, _) => return Err(Errno::NOTDIR),
                (false, Content::Folder { .. }) => return Err(Errno::ISDIR),
                (false, _) => {}
            }
        }
        self.take_out(old_folder, id);
        if let Some(target) = target {
            self.take_out(new_folder, target);
        }
        self.cookies += 1;
        let (mask, cookie) = (self.mask_of(node), self.cookies);
        self.tell(old_folder, Mask::MOVED_FROM | mask, cookie, Some(id));
        let id = self.name_again(id, new_folder, new);
        self.insert(new_folder, id);
        if let Content::Folder { above, .. } = &mut self.node_mut(node).content {
            *above = new_folder;
        }
        self.tell(new_folder, Mask::MOVED_TO | mask, cookie, Some(id));
        self.tell(node, Mask::MOVE_SELF, 0, None);
        if let Some(target) = target {
            let other = self.name(target).node;
            self.unlinked(other);
        }
        Ok(())
    }

    /// A name becomes another one, or a new one takes its place: an older answer has it as it was.
    fn name_again(&mut self, id: NameId, folder: NodeId, text: &OsStr) -> NameId {
        let node = self.name(id).node;
        if self.device(node).stale.is_none() {
            // Open files know their name by this.
            let name = &mut self.names[id.0 as usize];
            name.folder = folder;
            name.text = text.into();
            return id;
        }
        self.names.push(Name {
            folder,
            text: text.into(),
            node,
            users: 0,
        });
        NameId(self.names.len() as u32 - 1)
    }

    /// The bytes of a file are changed; `told`: as the kernel sees it happen.
    pub(super) fn change<T>(
        &mut self,
        (node, name): (NodeId, Option<NameId>),
        told: bool,
        change: impl FnOnce(&mut Bytes) -> T,
    ) -> Result<T, Errno> {
        let device = *self.device(node);
        let Content::File(bytes) = &mut self.node_mut(node).content else {
            return Err(Errno::ISDIR);
        };
        let changed = change(bytes);
        if told || device.maps_change_time {
            self.touch(node);
        }
        if let Some(name) = name.filter(|_| told) {
            let folder = self.name(name).folder;
            self.tell(folder, Mask::MODIFY, 0, Some(name));
        }
        Ok(changed)
    }

    /// What happens is told to those who watch, but for what happens elsewhere on a network filesystem.
    fn tell(&mut self, folder: NodeId, mask: Mask, cookie: u32, name: Option<NameId>) {
        if self.queues.is_empty() || self.device(folder).stale.is_some() {
            return;
        }
        let text = name.map(|name| self.names[name.0 as usize].text.clone());
        self.queues
            .tell(folder, mask, cookie, text.as_deref(), self.now);
    }
}

impl Node {
    /// Asks where the files are. What was deleted there is gone, whoever here has it open.
    fn ask(&mut self, now: u64) -> Result<(), Errno> {
        if self.freed {
            return Err(Errno::STALE);
        }
        self.view = Some(Box::new(View {
            at: now,
            modified: self.modified,
            content: self.content.clone(),
        }));
        Ok(())
    }
}
