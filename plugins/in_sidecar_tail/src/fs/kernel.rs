//! The kernel's filesystems, where the standard library does not suffice.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io;
use std::num::NonZeroU64;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustix::fs::{
    fadvise, makedev, memfd_create, openat, openat2, seek, statat, statfs, statx, unlinkat, Advice,
    AtFlags, FileType, FsWord, MemfdFlags, Mode, OFlags, ResolveFlags, SeekFrom, Stat, StatxFlags,
    StatxTimestamp, CWD,
};
use rustix::io::Errno;

use super::{Kind, Magic, Metadata};

/// Filesystems whose changes made elsewhere the kernel here does not tell of (statfs(2)).
const REMOTE: [FsWord; 9] = [
    0x6969,      // NFS
    0x6573_5546, // FUSE
    0x517b,      // SMB
    0xff53_4d42, // CIFS
    0xfe53_4d42, // SMB2
    0x0102_1997, // 9P
    0x00c3_6400, // Ceph
    0x5346_414f, // AFS
    0x0bd0_0bd0, // Lustre
];

/// What the kernel adds to the path of a file that was deleted.
const DELETED: &[u8] = b" (deleted)";

/// Without ever waiting for a FIFO's writer.
fn reading() -> OFlags {
    OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC
}

pub(super) fn open(path: &Path, magic: Magic) -> io::Result<File> {
    let handle = match magic {
        Magic::Followed => openat(CWD, path, reading(), Mode::empty())?,
        Magic::Refused => match open_with(path, reading(), ResolveFlags::NO_MAGICLINKS)? {
            Some(handle) => handle,
            // Where it leads is looked at all the same.
            None => openat(CWD, path, reading(), Mode::empty())?,
        },
    };
    Ok(handle.into())
}

pub(super) fn open_without_links(path: &Path) -> io::Result<Option<File>> {
    let handle = open_with(path, reading(), ResolveFlags::NO_SYMLINKS)?;
    Ok(handle.map(File::from))
}

pub(super) fn open_place(folder: &Path) -> io::Result<File> {
    let access = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let handle = match open_with(folder, access, ResolveFlags::NO_MAGICLINKS)? {
        Some(handle) => handle,
        None => openat(CWD, folder, access, Mode::empty())?,
    };
    Ok(handle.into())
}

/// A folder to whose path no link leads, to come to what is in it. `None`: a link does or may, or it cannot be opened.
pub(super) fn folder_without_links(folder: &Path) -> Option<OwnedFd> {
    let access = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    open_with(folder, access, ResolveFlags::NO_SYMLINKS).ok()?
}

/// Opens what has this name in a folder, if it is no link.
pub(super) fn open_in(folder: &OwnedFd, name: &OsStr) -> io::Result<File> {
    let handle = openat(folder, name, reading() | OFlags::NOFOLLOW, Mode::empty())?;
    Ok(handle.into())
}

/// What has this name in a folder, be it a link. `None`: nothing does, or an older kernel does not tell in this way.
pub(super) fn metadata_in(folder: &OwnedFd, name: &OsStr) -> Option<Metadata> {
    let wanted = StatxFlags::BASIC_STATS | StatxFlags::BTIME;
    let stat = statx(folder, name, AtFlags::SYMLINK_NOFOLLOW, wanted).ok()?;
    let nanos = |time: StatxTimestamp| {
        let nanos = time.tv_sec.saturating_mul(1_000_000_000);
        nanos.saturating_add_unsigned(time.tv_nsec.into())
    };
    let mode = u32::from(stat.stx_mode);
    let told = StatxFlags::from_bits_retain(stat.stx_mask);
    let birth = u64::try_from(nanos(stat.stx_btime)).ok();
    let birth = birth.filter(|_| told.contains(StatxFlags::BTIME));
    told.contains(StatxFlags::BASIC_STATS).then(|| Metadata {
        kind: kind_of(mode),
        device: makedev(stat.stx_dev_major, stat.stx_dev_minor),
        inode: stat.stx_ino,
        birth: birth.and_then(NonZeroU64::new),
        size: stat.stx_size,
        modified: nanos(stat.stx_mtime),
        mode,
        owner: stat.stx_uid,
        links: stat.stx_nlink.into(),
    })
}

fn kind_of(mode: u32) -> Kind {
    match FileType::from_raw_mode(mode) {
        FileType::RegularFile => Kind::File,
        FileType::Directory => Kind::Folder,
        FileType::Symlink => Kind::Link,
        _ => Kind::Other,
    }
}

/// Opens what can be reached in this way: links of /proc, which lead to anything a process has open, are
/// no links of a folder of logs. `Ok(None)`: an older kernel, or a sandbox that does not know it.
fn open_with(path: &Path, access: OFlags, resolve: ResolveFlags) -> Result<Option<OwnedFd>, Errno> {
    match openat2(CWD, path, access, Mode::empty(), resolve) {
        Err(Errno::NOSYS | Errno::PERM | Errno::INVAL | Errno::TOOBIG) => Ok(None),
        opened => opened.map(Some),
    }
}

/// `None`: there is no /proc.
pub(super) fn place(file: &File) -> Option<PathBuf> {
    let place = fs::read_link(format!("/proc/self/fd/{}", file.as_raw_fd())).ok()?;
    let bytes = place.as_os_str().as_bytes();
    let bytes = bytes.strip_suffix(DELETED).unwrap_or(bytes);
    Some(PathBuf::from(OsStr::from_bytes(bytes)))
}

pub(super) fn is_remote(folder: &Path) -> io::Result<bool> {
    Ok(REMOTE.contains(&statfs(folder)?.f_type))
}

pub(super) fn remove_if(path: &Path, wanted: impl FnOnce(&Metadata) -> bool) -> io::Result<bool> {
    let (Some(folder), Some(name)) = (path.parent(), path.file_name()) else {
        return Ok(false);
    };
    let place = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let folder = openat(CWD, folder, place, Mode::empty())?;
    let stat = statat(&folder, name, AtFlags::SYMLINK_NOFOLLOW)?;
    if !wanted(&without_birth(&stat)) {
        return Ok(false);
    }
    unlinkat(&folder, name, AtFlags::empty())?;
    Ok(true)
}

#[allow(
    clippy::useless_conversion,
    reason = "the number of links has 32 bits elsewhere"
)]
fn without_birth(stat: &Stat) -> Metadata {
    let modified = stat.st_mtime.saturating_mul(1_000_000_000);
    Metadata {
        kind: kind_of(stat.st_mode),
        device: stat.st_dev,
        inode: stat.st_ino,
        birth: None,
        size: u64::try_from(stat.st_size).unwrap_or(0),
        modified: modified.saturating_add_unsigned(stat.st_mtime_nsec),
        mode: stat.st_mode,
        owner: stat.st_uid,
        links: u64::from(stat.st_nlink),
    }
}

/// Has what the kernel knows of an open file be what its server does, as opening it would.
pub(super) fn ask_server(file: &File) {
    let how = AtFlags::EMPTY_PATH | AtFlags::STATX_FORCE_SYNC;
    // An older kernel tells what it knows, and a server that is gone is told by the next call.
    let _ = statx(file, "", how, StatxFlags::BASIC_STATS);
}

pub(super) fn anonymous() -> io::Result<File> {
    Ok(memfd_create("flb-sidecar-gz", MemfdFlags::CLOEXEC)?.into())
}

/// Filesystems that know no holes say that all is data.
pub(super) fn next_data(file: &File, offset: u64) -> Option<u64> {
    match seek(file, SeekFrom::Data(offset)) {
        Ok(data) => Some(data.max(offset)),
        Err(Errno::NXIO) => None,
        Err(_) => Some(offset),
    }
}

pub(super) fn advise_read(file: &File, offset: u64) {
    // Only advice: a filesystem that does not take it changes nothing.
    let _ = fadvise(file, 0, NonZeroU64::new(offset), Advice::DontNeed);
}
