//! The last log lines of a process.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{channel, Sender};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use flb_sidecar_sdk::ProcessEnd;

/// What is said.
#[derive(Clone, Copy, Debug)]
struct Said {
    status: i32,
    /// By the guard's clock, behind the deadline.
    late: Duration,
}

/// A thread that writes the last log lines, and may hang with who reads them.
pub(super) struct LastWords {
    /// Closed when the guard has ended without an end of the process: then the thread ends.
    said: Option<Sender<Said>>,
    open: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl LastWords {
    /// Without a thread they stay unsaid.
    pub(super) fn prepare(end: Arc<dyn ProcessEnd>) -> Self {
        let (say, said) = channel::<Said>();
        let open = Arc::new(AtomicBool::new(false));
        let thread = flb_sidecar_sdk::worker::spawn("flb-sc-words", {
            let open = open.clone();
            move || {
                if let Ok(Said { status, late }) = said.recv() {
                    tracing::warn!(
                        "the host has not ended by itself: the process ends now, {:.2} s after the \
                         deadline, with status {status}",
                        late.as_secs_f64()
                    );
                    end.last_words();
                    open.store(false, Ordering::Release);
                }
            }
        });
        LastWords {
            said: Some(say),
            open,
            thread: thread
                .inspect_err(|error| tracing::warn!("no thread for the last log lines: {error}"))
                .ok(),
        }
    }

    pub(super) fn say(&self, status: i32, late: Duration) {
        self.open.store(true, Ordering::Release);
        let said = Said { status, late };
        let sent = self.said.as_ref().map(|thread| thread.send(said));
        if !matches!(sent, Some(Ok(()))) {
            self.open.store(false, Ordering::Release);
        }
    }

    pub(super) fn said(&self) -> bool {
        !self.open.load(Ordering::Acquire)
    }
}

impl Drop for LastWords {
    fn drop(&mut self) {
        self.said = None;
        // One that is still at it may never end.
        if let Some(thread) = self.thread.take().filter(|_| self.said()) {
            // A panic of it was logged by the hook.
            let _ = thread.join();
        }
    }
}
