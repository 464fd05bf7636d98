//! What others do to the files: those who write and rotate them, on the machine where they are.

use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::io::Errno;

use super::bytes::Bytes;
use super::tree::{Content, Device, NameId, NodeId, Side, ROOT};
use super::{lock, SimFs};

impl SimFs {
    fn make_at(&self, path: &Path, content: Content) -> io::Result<(NodeId, NameId)> {
        let mut tree = self.tree();
        let (folder, name) = tree.folder_of(path, Side::There)?;
        if tree.lookup(folder, name.as_bytes(), Side::There).is_some() {
            return Err(Errno::EXIST.into());
        }
        let device = tree.node(folder).device;
        let above = folder;
        let content = match content {
            Content::Folder { names, .. } => Content::Folder { names, above },
            other => other,
        };
        let node = tree.make(device, content);
        Ok((node, tree.link(folder, name, node)))
    }

    pub(crate) fn make_folder(&self, path: &Path) -> io::Result<()> {
        let folder = Content::Folder {
            names: Vec::new(),
            above: ROOT,
        };
        self.make_at(path, folder).map(drop)
    }

    /// A folder in which another filesystem is mounted.
    pub(crate) fn mount(&self, path: &Path, device: Device) -> io::Result<()> {
        let folder = Content::Folder {
            names: Vec::new(),
            above: ROOT,
        };
        let (node, _) = self.make_at(path, folder)?;
        let mut tree = self.tree();
        tree.devices.push(device);
        tree.node_mut(node).device = tree.devices.len() - 1;
        Ok(())
    }

    pub(crate) fn symlink(&self, target: &Path, path: &Path) -> io::Result<()> {
        self.make_at(path, Content::Link(target.to_owned()))
            .map(drop)
    }

    pub(crate) fn hard_link(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut tree = self.tree();
        let (node, _) = tree.walk(from, false, Side::There)?;
        let (folder, name) = tree.folder_of(to, Side::There)?;
        if tree.lookup(folder, name.as_bytes(), Side::There).is_some() {
            return Err(Errno::EXIST.into());
        }
        if tree.node(folder).device != tree.node(node).device {
            return Err(Errno::XDEV.into());
        }
        if matches!(tree.node(node).content, Content::Folder { .. }) {
            return Err(Errno::PERM.into());
        }
        tree.link(folder, name, node);
        Ok(())
    }

    pub(crate) fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        Ok(self.tree().rename(from, to)?)
    }

    pub(crate) fn unlink(&self, path: &Path) -> io::Result<()> {
        Ok(self.tree().unlink(path, Side::There, false)?)
    }

    pub(crate) fn remove_folder(&self, path: &Path) -> io::Result<()> {
        Ok(self.tree().unlink(path, Side::There, true)?)
    }

    /// Whether we may read what is at a path.
    pub(crate) fn set_readable(&self, path: &Path, readable: bool) -> io::Result<()> {
        let mut tree = self.tree();
        let (node, _) = tree.walk(path, true, Side::There)?;
        tree.node_mut(node).readable = readable;
        Ok(())
    }

    /// Opens a file for writing, or makes one.
    pub(crate) fn writer(&self, path: &Path) -> io::Result<Writer> {
        let found = self.tree().walk(path, true, Side::There);
        let (node, name) = match found {
            Ok((node, name)) => (node, name),
            Err(Errno::NOENT) => {
                let path = self.behind_links(path)?;
                let (node, name) = self.make_at(&path, Content::File(Bytes::default()))?;
                (node, Some(name))
            }
            Err(error) => return Err(error.into()),
        };
        let mut tree = self.tree();
        if matches!(tree.node(node).content, Content::Folder { .. }) {
            return Err(Errno::ISDIR.into());
        }
        tree.opened((node, name), Side::There);
        drop(tree);
        Ok(Writer {
            fs: self.clone(),
            file: (node, name),
        })
    }

    /// Where something would be that is made at a path at which there may be a link to nothing.
    fn behind_links(&self, path: &Path) -> io::Result<PathBuf> {
        let mut tree = self.tree();
        let mut path = path.to_owned();
        while let Ok((node, _)) = tree.walk(&path, false, Side::There) {
            let Content::Link(target) = &tree.node(node).content else {
                return Err(Errno::EXIST.into());
            };
            path = path.parent().unwrap_or(Path::new("/")).join(target);
        }
        Ok(path)
    }

    /// All that is in a file.
    pub(crate) fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        let mut tree = self.tree();
        let (node, _) = tree.walk(path, true, Side::There)?;
        let Content::File(bytes) = &tree.node(node).content else {
            return Err(Errno::ISDIR.into());
        };
        let mut text = vec![0; bytes.len() as usize];
        bytes.read(&mut text, 0);
        Ok(text)
    }

    // How the kernel tells of changes.

    /// Events can be read so much later than they happen.
    pub(crate) fn tell_late(&self, by: Duration) {
        self.tree().queues.late = by.as_nanos() as u64;
    }

    /// So many events are kept; what is beyond them is lost.
    pub(crate) fn tell_at_most(&self, events: usize) {
        self.tree().queues.room = events;
    }
}

/// A file that somebody writes.
#[derive(Debug)]
pub(crate) struct Writer {
    fs: SimFs,
    file: (NodeId, Option<NameId>),
}

impl Drop for Writer {
    fn drop(&mut self) {
        lock(&self.fs.0.tree).closed(self.file, Side::There);
    }
}

impl Writer {
    fn change(&self, told: bool, change: impl FnOnce(&mut Bytes)) {
        let changed = self.fs.tree().change(self.file, told, change);
        changed.expect("a file is open");
    }

    /// How long it is, and when it was changed.
    pub(crate) fn seen(&self) -> (usize, u64) {
        let tree = self.fs.tree();
        let (content, modified) = tree.told(self.file.0, Side::There);
        let length = match content {
            Content::File(bytes) => bytes.len(),
            _ => 0,
        };
        (length as usize, modified)
    }

    pub(crate) fn append(&self, text: &[u8]) {
        self.change(true, |bytes| bytes.write(text, bytes.len()));
    }

    pub(crate) fn write_at(&self, text: &[u8], offset: u64) {
        self.change(true, |bytes| bytes.write(text, offset));
    }

    /// Writes into memory that is a map of the file: nobody is told.
    pub(crate) fn write_mapped(&self, text: &[u8], offset: u64) {
        self.change(false, |bytes| bytes.write(text, offset));
    }

    pub(crate) fn set_len(&self, length: u64) {
        self.change(true, |bytes| bytes.set_len(length));
    }

    /// Makes room up to here (fallocate(2)).
    pub(crate) fn allocate(&self, length: u64) {
        self.change(true, |bytes| bytes.allocate(length));
    }
}
