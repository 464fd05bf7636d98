//! A simulated filesystem, for one thread: what is here is the process under test (`Fs`, `Handle`,
//! `Notify`, `Own`); what others do to the files is in [`there`].
//!
//! It has inodes and names, hard and symbolic links, holes, files without a name that are open, mounts
//! with and without inotify, and it can be full, refuse, run out of descriptors and end the process in
//! the middle of anything. [`check`] holds it against the kernel's filesystems.

mod bytes;
mod check;
mod events;
mod there;
mod tree;

use std::fmt;
use std::io;
use std::num::NonZeroU64;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::UNIX_EPOCH;

use rustix::io::Errno;

use super::notify::Wanted;
use super::{Entry, Kind, Metadata};
use crate::time::Time;
use bytes::Bytes;
pub(crate) use events::Told;
pub(crate) use there::Writer;
pub(crate) use tree::Device;
use tree::{Content, NameId, NodeId, Side, Tree};

/// What happens in the middle of what the process does.
type Interrupt = Box<dyn FnOnce() + Send>;

#[derive(Clone)]
pub(crate) struct SimFs(Arc<Shared>);

struct Shared {
    time: Time,
    tree: Mutex<Tree>,
    /// Calls before the interrupt; `u64::MAX`: there is none.
    calls: AtomicU64,
    interrupt: Mutex<Option<Interrupt>>,
    /// Calls that the process may make before something else has its turn.
    patience: AtomicU64,
    /// The process is gone: whatever it still does has no effect.
    dead: AtomicBool,
    /// There is no room for files of ours.
    full: AtomicBool,
    /// How many files we have open, and may have.
    open: AtomicUsize,
    most: AtomicUsize,
}

impl fmt::Debug for SimFs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SimFs")
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl SimFs {
    pub(crate) fn new(time: Time, device: Device) -> Self {
        SimFs(Arc::new(Shared {
            time,
            tree: Mutex::new(Tree::new(device)),
            calls: AtomicU64::new(u64::MAX),
            interrupt: Mutex::new(None),
            patience: AtomicU64::new(u64::MAX),
            dead: AtomicBool::new(false),
            full: AtomicBool::new(false),
            open: AtomicUsize::new(0),
            most: AtomicUsize::new(usize::MAX),
        }))
    }

    /// The tree at this moment, for those who change it.
    fn tree(&self) -> MutexGuard<'_, Tree> {
        let mut tree = lock(&self.0.tree);
        let wall = self.0.time.wall().duration_since(UNIX_EPOCH);
        tree.wall = wall.unwrap_or_default().as_nanos() as u64;
        tree.now = self.0.time.nanos();
        tree
    }

    /// The same for the process under test.
    fn call(&self) -> Result<MutexGuard<'_, Tree>, Errno> {
        let calls = &self.0.calls;
        if calls.load(Ordering::Relaxed) != u64::MAX && calls.fetch_sub(1, Ordering::Relaxed) == 0 {
            calls.store(u64::MAX, Ordering::Relaxed);
            self.interrupt_now();
        }
        if self.0.dead.load(Ordering::Relaxed) {
            return Err(Errno::IO);
        }
        let left = self.0.patience.fetch_sub(1, Ordering::Relaxed);
        assert!(left > 0, "the process goes round in circles");
        Ok(self.tree())
    }

    /// The process may make so many calls from now on: more are those of one that never ends.
    pub(crate) fn has_patience(&self, calls: u64) {
        self.0.patience.store(calls, Ordering::Relaxed);
    }

    /// How many of them are left.
    pub(crate) fn calls_left(&self) -> u64 {
        self.0.patience.load(Ordering::Relaxed)
    }

    /// Has something happen behind so many calls of the process.
    pub(crate) fn interrupt(&self, calls: u64, what: impl FnOnce() + Send + 'static) {
        *lock(&self.0.interrupt) = Some(Box::new(what));
        self.0.calls.store(calls, Ordering::Relaxed);
    }

    /// What was to happen and has not happens now. `false`: it has.
    pub(crate) fn interrupt_now(&self) -> bool {
        self.0.calls.store(u64::MAX, Ordering::Relaxed);
        let interrupt = lock(&self.0.interrupt).take();
        let waits = interrupt.is_some();
        if let Some(interrupt) = interrupt {
            interrupt();
        }
        waits
    }

    /// It does not happen. `false`: it has.
    pub(crate) fn forget_interrupt(&self) -> bool {
        self.0.calls.store(u64::MAX, Ordering::Relaxed);
        lock(&self.0.interrupt).take().is_some()
    }

    pub(crate) fn set_dead(&self, dead: bool) {
        self.0.dead.store(dead, Ordering::Relaxed);
    }

    pub(crate) fn set_full(&self, full: bool) {
        self.0.full.store(full, Ordering::Relaxed);
    }

    /// How many files the process may have open.
    pub(crate) fn set_descriptors(&self, most: usize) {
        self.0.most.store(most, Ordering::Relaxed);
    }

    fn opened(&self, mut tree: MutexGuard<'_, Tree>, node: NodeId, name: Option<NameId>) -> Opened {
        tree.opened((node, name), Side::Here);
        self.0.open.fetch_add(1, Ordering::Relaxed);
        Opened {
            fs: self.clone(),
            node,
            name,
        }
    }

    fn has_descriptor(&self) -> Result<(), Errno> {
        let open = self.0.open.load(Ordering::Relaxed);
        if open < self.0.most.load(Ordering::Relaxed) {
            Ok(())
        } else {
            Err(Errno::MFILE)
        }
    }

    pub(super) fn open(&self, path: &Path) -> io::Result<Opened> {
        let mut tree = self.call()?;
        let there = tree.walk(path, true, Side::Here)?;
        self.open_node(tree, there)
    }

    pub(super) fn open_without_links(&self, path: &Path) -> io::Result<Opened> {
        let mut tree = self.call()?;
        let there = tree.walk_without_links(path, Side::Here)?;
        self.open_node(tree, there)
    }

    fn open_node(
        &self,
        mut tree: MutexGuard<'_, Tree>,
        (node, name): (NodeId, Option<NameId>),
    ) -> io::Result<Opened> {
        if !tree.node(node).readable {
            return Err(Errno::ACCESS.into());
        }
        self.has_descriptor()?;
        tree.ask_again(node)?;
        Ok(self.opened(tree, node, name))
    }

    pub(super) fn open_place(&self, folder: &Path) -> io::Result<Opened> {
        let mut tree = self.call()?;
        let (node, name) = tree.walk(folder, true, Side::Here)?;
        if !matches!(tree.node(node).content, Content::Folder { .. }) {
            return Err(Errno::NOTDIR.into());
        }
        self.has_descriptor()?;
        Ok(self.opened(tree, node, name))
    }

    fn stat(&self, path: &Path, follow: bool) -> io::Result<Metadata> {
        let mut tree = self.call()?;
        let (node, _) = tree.walk(path, follow, Side::Here)?;
        Ok(tree.metadata(node, Side::Here)?)
    }

    pub(super) fn metadata(&self, path: &Path) -> io::Result<Metadata> {
        self.stat(path, true)
    }

    pub(super) fn symlink_metadata(&self, path: &Path) -> io::Result<Metadata> {
        self.stat(path, false)
    }

    pub(super) fn canonicalize(&self, path: &Path) -> io::Result<PathBuf> {
        let mut tree = self.call()?;
        let (node, name) = tree.walk(path, true, Side::Here)?;
        Ok(tree.place(name, node))
    }

    pub(super) fn list(&self, folder: &Path) -> io::Result<std::vec::IntoIter<Entry>> {
        let mut tree = self.call()?;
        let (node, _) = tree.walk(folder, true, Side::Here)?;
        if !tree.node(node).readable {
            return Err(Errno::ACCESS.into());
        }
        self.has_descriptor()?;
        tree.ask(node, Side::Here)?;
        let Content::Folder { names, .. } = tree.told(node, Side::Here).0 else {
            return Err(Errno::NOTDIR.into());
        };
        let entries = names.iter().map(|name| {
            let name = tree.name(*name);
            let node = tree.node(name.node);
            Entry {
                name: name.text.to_os_string(),
                inode: node.inode,
                kind: Some(node.content.kind()),
            }
        });
        Ok(entries.collect::<Vec<_>>().into_iter())
    }

    pub(super) fn is_remote(&self, folder: &Path) -> io::Result<bool> {
        let mut tree = self.call()?;
        let (node, _) = tree.walk(folder, true, Side::Here)?;
        Ok(tree.device(node).stale.is_some())
    }

    pub(super) fn remove_if(
        &self,
        path: &Path,
        wanted: impl FnOnce(&Metadata) -> bool,
    ) -> io::Result<bool> {
        let mut tree = self.call()?;
        let (node, _) = tree.walk(path, false, Side::Here)?;
        if !wanted(&tree.metadata(node, Side::Here)?) {
            return Ok(false);
        }
        tree.unlink(path, Side::Here, false)?;
        Ok(true)
    }

    pub(super) fn anonymous(&self) -> io::Result<Opened> {
        let mut tree = self.call()?;
        self.has_descriptor()?;
        let node = tree.make(0, Content::File(Bytes::default()));
        Ok(self.opened(tree, node, None))
    }

    // Files of ours.

    fn has_room(&self) -> Result<(), Errno> {
        if self.0.full.load(Ordering::Relaxed) {
            Err(Errno::NOSPC)
        } else {
            Ok(())
        }
    }

    fn writing(&self, tree: MutexGuard<'_, Tree>, node: NodeId, name: Option<NameId>) -> Writing {
        Writing {
            file: self.opened(tree, node, name),
            at: 0,
        }
    }

    pub(super) fn open_own(&self, path: &Path) -> io::Result<Writing> {
        let mut tree = self.call()?;
        let (node, name) = tree.walk(path, true, Side::Here)?;
        Ok(self.writing(tree, node, name))
    }

    /// A new one in the place of what is there.
    pub(super) fn make_own(&self, path: &Path) -> io::Result<Writing> {
        let mut tree = self.call()?;
        match tree.unlink(path, Side::Here, false) {
            Ok(()) | Err(Errno::NOENT) => {}
            Err(error) => return Err(error.into()),
        }
        self.has_room()?;
        let (folder, name) = tree.folder_of(path, Side::Here)?;
        let device = tree.node(folder).device;
        let node = tree.make(device, Content::File(Bytes::default()));
        let name = tree.link(folder, name, node);
        Ok(self.writing(tree, node, Some(name)))
    }

    pub(super) fn rename_own(&self, from: &Path, to: &Path) -> io::Result<()> {
        Ok(self.call()?.rename(from, to)?)
    }

    pub(super) fn unlink_own(&self, path: &Path) -> io::Result<()> {
        Ok(self.call()?.unlink(path, Side::Here, false)?)
    }

    // inotify.

    pub(super) fn notify(&self) -> SimNotify {
        SimNotify {
            fs: self.clone(),
            queue: self.tree().queues.open(),
        }
    }

    /// When the process can read the next event, on its clock.
    pub(crate) fn next_event_at(&self) -> Option<u64> {
        lock(&self.0.tree).queues.next_at()
    }
}

impl Tree {
    fn metadata(&mut self, node: NodeId, side: Side) -> Result<Metadata, Errno> {
        self.ask(node, side)?;
        let device = *self.device(node);
        let (content, modified) = self.told(node, side);
        let kind = content.kind();
        let size = match content {
            Content::File(bytes) => bytes.len(),
            Content::Folder { .. } => 0,
            Content::Link(target) => target.as_os_str().len() as u64,
        };
        let node = self.node(node);
        Ok(Metadata {
            kind,
            device: device.number,
            inode: node.inode,
            birth: NonZeroU64::new(node.birth).filter(|_| device.births),
            size,
            modified: modified as i64,
            mode: if kind == Kind::Folder { 0o755 } else { 0o644 },
            owner: 0,
            links: node.links.into(),
        })
    }
}

/// A file that the process has open.
#[derive(Debug)]
pub(crate) struct Opened {
    fs: SimFs,
    node: NodeId,
    name: Option<NameId>,
}

impl Drop for Opened {
    fn drop(&mut self) {
        lock(&self.fs.0.tree).closed((self.node, self.name), Side::Here);
        self.fs.0.open.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Opened {
    pub(super) fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let mut tree = self.fs.call()?;
        tree.ask(self.node, Side::Here)?;
        match tree.told(self.node, Side::Here).0 {
            Content::File(bytes) => Ok(bytes.read(buffer, offset)),
            _ => Err(Errno::ISDIR.into()),
        }
    }

    pub(super) fn metadata(&self) -> io::Result<Metadata> {
        Ok(self.fs.call()?.metadata(self.node, Side::Here)?)
    }

    pub(super) fn metadata_now(&self) -> io::Result<Metadata> {
        self.fs.call()?.ask_again(self.node)?;
        self.metadata()
    }

    pub(super) fn place(&self) -> PathBuf {
        self.fs.tree().place(self.name, self.node)
    }

    pub(super) fn next_data(&self, offset: u64) -> Option<u64> {
        let tree = self.fs.call().ok()?;
        match tree.told(self.node, Side::Here).0 {
            Content::File(bytes) => bytes.next_data(offset),
            _ => None,
        }
    }

    fn change(&self, change: impl FnOnce(&mut Bytes)) -> io::Result<()> {
        let file = (self.node, self.name);
        Ok(self.fs.call()?.change(file, true, change)?)
    }

    pub(super) fn write_all_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.change(|file| file.write(bytes, offset))
    }
}

/// A file of ours, from its beginning on.
#[derive(Debug)]
pub(crate) struct Writing {
    file: Opened,
    at: u64,
}

impl Writing {
    pub(super) fn metadata(&self) -> io::Result<Metadata> {
        self.file.metadata()
    }
}

impl io::Read for Writing {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = self.file.read_at(buffer, self.at)?;
        self.at += length as u64;
        Ok(length)
    }
}

impl io::Write for Writing {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let room = self.file.fs.has_room();
        // The last of the room is used up.
        let length = if room.is_ok() {
            bytes.len()
        } else {
            bytes.len() / 2
        };
        self.file.write_all_at(&bytes[..length], self.at)?;
        self.at += length as u64;
        if length == 0 {
            room?;
        }
        Ok(length)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A queue of events.
#[derive(Debug)]
pub(crate) struct SimNotify {
    fs: SimFs,
    queue: usize,
}

impl Drop for SimNotify {
    fn drop(&mut self) {
        lock(&self.fs.0.tree).queues.close(self.queue);
    }
}

impl SimNotify {
    pub(super) fn add(&self, folder: &Path, wanted: Wanted) -> io::Result<i32> {
        let mut tree = self.fs.call()?;
        let (node, _) = tree.walk(folder, true, Side::Here)?;
        if !matches!(tree.node(node).content, Content::Folder { .. }) {
            return Err(Errno::NOTDIR.into());
        }
        Ok(tree.queues.watch(self.queue, node, wanted))
    }

    pub(super) fn remove(&self, watch: i32) {
        let mut tree = self.fs.tree();
        let now = tree.now;
        tree.queues.forget(self.queue, watch, now);
    }

    pub(super) fn next(&self) -> Option<Told> {
        let mut tree = self.fs.call().ok()?;
        let now = tree.now;
        tree.queues.next(self.queue, now)
    }
}
