//! A thread that is joined when its owner goes, but never for long.

use std::io;
use std::sync::mpsc::{channel, Receiver, RecvTimeoutError};
use std::thread::JoinHandle;
use std::time::Duration;

/// A thread that hangs in a file system that hangs must not keep the host from ending.
const JOIN_WITHIN: Duration = Duration::from_secs(2);

/// A named thread. Its owner tells it to end before this is dropped.
#[derive(Debug)]
pub(crate) struct Worker {
    name: &'static str,
    /// Closed when the body ends, by a panic too.
    ended: Receiver<()>,
    thread: Option<JoinHandle<()>>,
}

impl Worker {
    /// Starts `body`.
    ///
    /// # Errors
    /// When the system has no thread left.
    pub(crate) fn start(
        name: &'static str,
        body: impl FnOnce() + Send + 'static,
    ) -> io::Result<Self> {
        let (running, ended) = channel();
        let thread = flb_sidecar_sdk::worker::spawn(name, move || {
            // Taken into the thread, so that it is dropped with it.
            let _running = running;
            body();
        })?;
        Ok(Worker {
            name,
            ended,
            thread: Some(thread),
        })
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        let Some(thread) = self.thread.take() else {
            return;
        };
        if self.ended.recv_timeout(JOIN_WITHIN) == Err(RecvTimeoutError::Timeout) {
            tracing::error!("thread {} does not end, left behind", self.name);
        } else if thread.join().is_err() {
            tracing::error!("thread {} panicked", self.name);
        }
    }
}
