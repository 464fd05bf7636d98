//! Writing the state, on a thread of its own: much takes its time, and a sync may, too.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Sender};
use std::sync::Arc;
use std::thread::JoinHandle;

use flb_sidecar_sdk::{worker, Why};
use tracing::{error, info};

use crate::checkpoint::entry::{Changes, Entry};
use crate::checkpoint::store::{Journal, Store};
use crate::counters::{Counters, Trouble};
use crate::options::Sync;
use crate::pace::{Costs, Pace, Stopwatch};
use crate::time::Time;

/// One thing to be written, and the number of the journal.
#[derive(Debug)]
pub(super) enum Job {
    Document(Vec<Vec<Arc<Entry>>>, u64),
    /// A line of the newest document's journal.
    Changes(Changes, u64),
}

/// Writes the state.
#[derive(Debug)]
pub(super) struct Scribe {
    time: Time,
    store: Store,
    sync: Sync,
    counters: Counters,
    documents: Costs,
    lines: Costs,
    /// None after a failure, until the next document: a line may be there in part.
    journal: Option<Journal>,
    failing: bool,
    /// What was handed over last could not be written.
    failed: Arc<AtomicBool>,
}

impl Scribe {
    fn write(&mut self, job: Job) {
        let watch = Stopwatch::start(&self.time);
        let (done, costs) = match job {
            Job::Document(entries, number) => {
                let saved = self.store.save(&entries, number, self.sync);
                let begun = saved.and_then(|()| self.store.begin_journal());
                (begun.map(|b| self.journal = Some(b)), &self.documents)
            }
            Job::Changes(changes, number) => {
                let open = self.journal.as_mut();
                let added = open.map(|j| j.append(&changes, number, self.sync));
                (added.unwrap_or(Ok(())), &self.lines)
            }
        };
        costs.cost(watch.spent());
        match done {
            Ok(()) if self.failing && self.journal.is_some() => {
                self.failing = false;
                info!("{}: can be written again", self.store.state().display());
            }
            Ok(()) => {}
            Err(error) => {
                self.journal = None;
                if !self.failing {
                    let path = self.store.state().display();
                    error!(
                        "{path}: cannot be written: {}; positions are not kept",
                        Why(&error)
                    );
                    self.counters.error(Trouble::State);
                }
                self.failing = true;
                self.failed.store(true, Ordering::Release);
            }
        }
    }
}

/// Who writes, since much takes its time and a sync may, too.
#[derive(Debug)]
pub(super) enum Writer {
    Thread {
        jobs: Sender<Job>,
        busy: Arc<AtomicBool>,
        failed: Arc<AtomicBool>,
        thread: JoinHandle<()>,
    },
    /// The worker itself, at once: a simulation has one thread.
    #[cfg(test)]
    AtOnce(Box<std::sync::Mutex<Scribe>>),
}

impl Writer {
    pub(super) fn start(
        store: &Store,
        sync: Sync,
        (documents, lines): (&Pace, &Pace),
        counters: Counters,
        time: &Time,
    ) -> std::io::Result<Self> {
        let failed = Arc::new(AtomicBool::new(false));
        let mut scribe = Scribe {
            time: time.clone(),
            store: store.clone(),
            sync,
            counters,
            documents: documents.costs(),
            lines: lines.costs(),
            journal: None,
            failing: false,
            failed: failed.clone(),
        };
        #[cfg(test)]
        if time.is_simulated() {
            return Ok(Writer::AtOnce(Box::new(scribe.into())));
        }
        let (jobs, next) = mpsc::channel::<Job>();
        let busy = Arc::new(AtomicBool::new(false));
        let writing = busy.clone();
        let thread = worker::spawn("flb-sc-state", move || {
            while let Ok(job) = next.recv() {
                scribe.write(job);
                writing.store(false, Ordering::Release);
            }
        })?;
        Ok(Writer::Thread {
            jobs,
            busy,
            failed,
            thread,
        })
    }

    /// Whether it has nothing to do.
    pub(super) fn is_free(&self) -> bool {
        match self {
            Writer::Thread { busy, .. } => !busy.load(Ordering::Acquire),
            #[cfg(test)]
            Writer::AtOnce(_) => true,
        }
    }

    /// Whether something that was handed over could not be written since the last time.
    pub(super) fn has_failed(&self) -> bool {
        match self {
            Writer::Thread { failed, .. } => failed.swap(false, Ordering::AcqRel),
            #[cfg(test)]
            Writer::AtOnce(scribe) => {
                let scribe = scribe.lock().unwrap();
                scribe.failed.swap(false, Ordering::AcqRel)
            }
        }
    }

    pub(super) fn write(&self, job: Job) {
        match self {
            Writer::Thread { jobs, busy, .. } => {
                busy.store(true, Ordering::Release);
                // The thread ends only after this end of the channel.
                let _ = jobs.send(job);
            }
            #[cfg(test)]
            Writer::AtOnce(scribe) => scribe.lock().unwrap().write(job),
        }
    }

    /// Waits until all is written.
    pub(super) fn end(self) {
        match self {
            Writer::Thread { jobs, thread, .. } => {
                drop(jobs);
                if thread.join().is_err() {
                    error!("the thread that writes the state has panicked");
                }
            }
            #[cfg(test)]
            Writer::AtOnce(_) => {}
        }
    }
}
