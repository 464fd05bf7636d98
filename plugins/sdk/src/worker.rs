//! Threads of a plugin: named, and logging as the instance that started them.

use std::io;
use std::thread::{Builder, JoinHandle};

/// Starts a thread. Its log lines carry the name and level of the instance whose callback calls this.
///
/// `name` is cut to the 15 bytes that Linux shows. The plugin joins the thread in its `exit`.
///
/// # Errors
/// When the system has no thread left.
pub fn spawn<T: Send + 'static>(
    name: &str,
    body: impl FnOnce() -> T + Send + 'static,
) -> io::Result<JoinHandle<T>> {
    let span = tracing::Span::current();
    let short: String = name.chars().take(15).collect();
    Builder::new()
        .name(short)
        .spawn(move || span.in_scope(body))
}
