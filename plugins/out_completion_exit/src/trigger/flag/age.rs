//! How old a flag and the pod are.

use std::fs::{self, File, Metadata};
use std::io::Read;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

/// First words of `/etc/hosts` where the kubelet made it.
const KUBELET_HOSTS: &[u8] = b"# Kubernetes-managed hosts file";

/// When the file was made or written last. The time of the last change of the inode is no help:
/// a volume with `fsGroup` gets new owners when it is mounted.
pub(super) fn age(meta: &Metadata) -> SystemTime {
    let modified = meta.modified().unwrap_or_else(|_| SystemTime::now());
    birth(meta).map_or(modified, |birth| birth.max(modified))
}

/// Some file systems answer with the epoch.
pub(super) fn birth(meta: &Metadata) -> Option<SystemTime> {
    meta.created().ok().filter(|birth| *birth > UNIX_EPOCH)
}

/// When the pod started: the birth of `configured` (its last change where the file system has no
/// births), or of the kubelet's `/etc/hosts`, which later container starts only write again.
pub(super) fn pod_start(configured: Option<&Path>, hosts: &Path) -> Option<SystemTime> {
    if let Some(path) = configured {
        let start =
            fs::metadata(path).and_then(|meta| birth(&meta).map_or_else(|| meta.modified(), Ok));
        return start
            .inspect_err(|error| {
                tracing::warn!(
                    "pod_start_file {}: {error}; the pod's age is unknown, every flag counts",
                    path.display()
                );
            })
            .ok();
    }
    let mut head = Vec::new();
    let mut file = File::open(hosts).ok()?;
    file.by_ref()
        .take(KUBELET_HOSTS.len() as u64)
        .read_to_end(&mut head)
        .ok()?;
    if head != KUBELET_HOSTS {
        return None;
    }
    birth(&file.metadata().ok()?)
}
