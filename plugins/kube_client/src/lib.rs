//! A small client of the Kubernetes API: one object at a time, with the service account's token.
//!
//! Nothing here runs on its own: the plugins call from a thread of theirs.
#![forbid(unsafe_code)]

mod client;
mod pace;
#[cfg(feature = "testing")]
pub mod testing;

use std::io;
use std::path::Path;

pub use client::{Client, ClientOptions, Failure, Interrupt};
pub use pace::{jitter, Pace};

/// Largest file read: the Downward API's are bounded by the API server's 1.5 MiB per object.
const MAX_FILE: u64 = 4 << 20;

/// Environment variables with the own pod's name, in the order they are asked.
pub const POD_NAME_VARIABLES: &[&str] = &[
    "POD_NAME",
    "K8S_POD_NAME",
    "MY_POD_NAME",
    "KUBERNETES_POD_NAME",
];

/// Environment variables with the own pod's namespace, in the order they are asked.
pub const NAMESPACE_VARIABLES: &[&str] = &[
    "POD_NAMESPACE",
    "K8S_POD_NAMESPACE",
    "K8S_NAMESPACE",
    "MY_POD_NAMESPACE",
    "KUBERNETES_NAMESPACE",
];

/// Environment variables with the own pod's UID, in the order they are asked.
pub const POD_UID_VARIABLES: &[&str] =
    &["POD_UID", "K8S_POD_UID", "MY_POD_UID", "KUBERNETES_POD_UID"];

/// What a URL of the API must look like, for messages.
pub const URL_ALLOWED: &str = "a URL such as https://kubernetes.default.svc";

/// `text` without slashes at its end; `None`: it is no URL of an API.
pub fn url(text: &str) -> Option<&str> {
    let url = text.trim_end_matches('/');
    let rest = ["https://", "http://"]
        .iter()
        .find_map(|scheme| url.strip_prefix(scheme))?;
    (!rest.is_empty()).then_some(url)
}

/// A DNS subdomain, as names of pods and namespaces are: nothing that changes the path.
pub fn is_name(text: &str) -> bool {
    let allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'.';
    !text.is_empty() && text.len() <= 253 && text.bytes().all(allowed) && !text.starts_with('.')
}

/// Reads a plain file of at most 4 MiB, without waiting for anybody.
///
/// # Errors
/// As of the file system, and for a larger file.
pub fn read_file(path: &Path) -> io::Result<Vec<u8>> {
    flb_sidecar_sdk::foreign_file::read(path, MAX_FILE)
}
