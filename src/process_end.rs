//! Ends the process from a thread of ours, while the host hangs.

use std::sync::Arc;
use std::time::Duration;

use flb_sidecar_sdk::ProcessEnd;

use crate::log::InstanceLog;
use crate::signals;

/// For one instance, whose last log lines come out.
pub(crate) struct End(pub(crate) Arc<InstanceLog>);

impl ProcessEnd for End {
    fn terminated(&self) -> Option<Duration> {
        signals::requested()
    }

    fn last_words(&self) {
        self.0.deliver_to_stderr();
    }

    fn end(&self, status: i32) {
        // SAFETY: ends every thread at once. Nothing of the host is called, so whatever state its
        // threads are in does not matter; what it holds is as after a kill.
        unsafe { libc::_exit(status) }
    }
}

/// `false`: it would have to wait. Waits all the same if it is a file on a filesystem that hangs, or
/// if somebody else fills the pipe in between.
pub(crate) fn write_to_stderr(text: &str) -> bool {
    let mut stderr = libc::pollfd {
        fd: libc::STDERR_FILENO,
        events: libc::POLLOUT,
        revents: 0,
    };
    // A pipe that can be written to takes this much without waiting.
    let text = &text.as_bytes()[..text.len().min(libc::PIPE_BUF)];
    // SAFETY: one valid entry; does not wait.
    let ready = unsafe { libc::poll(&mut stderr, 1, 0) };
    if ready != 1 || stderr.revents & libc::POLLOUT == 0 {
        return false;
    }
    // SAFETY: reads that many bytes of a text that lives through the call.
    unsafe { libc::write(libc::STDERR_FILENO, text.as_ptr().cast(), text.len()) > 0 }
}
