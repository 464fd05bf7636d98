//! The threads of an instance.

use std::sync::Arc;
use std::thread::JoinHandle;

use flb_sidecar_sdk::worker;
use tracing::error;

use crate::api::Interrupt;
use crate::store::Stop;

/// Threads of the instance; dropping this ends them.
#[derive(Default)]
pub(crate) struct Threads {
    stop: Arc<Stop>,
    /// Ends a call of the API that is under way.
    pub(crate) interrupt: Option<Interrupt>,
    handles: Vec<JoinHandle<()>>,
}

impl Threads {
    /// Starts one; `body` ends when it is told to.
    pub(crate) fn start(&mut self, name: &str, body: impl FnOnce(&Stop) + Send + 'static) {
        let stop = self.stop.clone();
        match worker::spawn(name, move || body(&stop)) {
            Ok(handle) => self.handles.push(handle),
            Err(error) => error!("the thread {name} cannot be started: {error}"),
        }
    }
}

impl Drop for Threads {
    fn drop(&mut self) {
        self.stop.stop();
        if let Some(interrupt) = &self.interrupt {
            interrupt.interrupt();
        }
        for handle in self.handles.drain(..) {
            if handle.join().is_err() {
                error!("a thread ended by a panic");
            }
        }
    }
}
