//! What is known now: written by the threads that watch, read by the filter without waiting.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::pod::Pod;

/// Where a part of the knowledge is from, best first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    /// Options and environment.
    Environment = 0,
    /// Downward API files.
    Files = 1,
    /// A pod object from a file.
    Preloaded = 2,
    /// The API.
    Api = 3,
}

const SOURCES: usize = 4;

/// The pod as all sources together know it.
#[derive(Debug, Default)]
pub(crate) struct Store {
    generation: AtomicU64,
    parts: Mutex<Parts>,
}

#[derive(Debug, Default)]
struct Parts {
    parts: [Pod; SOURCES],
    whole: Arc<Pod>,
}

impl Store {
    /// Replaces what `source` knows. Later sources fill only the gaps of earlier ones.
    pub(crate) fn set(&self, source: Source, pod: Pod) {
        let mut parts = lock(&self.parts);
        let part = &mut parts.parts[source as usize];
        if *part == pod {
            return;
        }
        *part = pod;
        let mut whole = Pod::default();
        for part in &parts.parts {
            whole.fill(part);
        }
        parts.whole = Arc::new(whole);
        self.generation.fetch_add(1, Ordering::Release);
    }

    /// Grows whenever something changed.
    pub(crate) fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }

    /// The pod.
    pub(crate) fn pod(&self) -> Arc<Pod> {
        lock(&self.parts).whole.clone()
    }
}

/// Tells threads to end.
#[derive(Debug, Default)]
pub(crate) struct Stop {
    stopped: Mutex<bool>,
    changed: Condvar,
}

impl Stop {
    /// Ends every [`Stop::wait`], now and later.
    pub(crate) fn stop(&self) {
        *lock(&self.stopped) = true;
        self.changed.notify_all();
    }

    /// Waits; `true` as soon as it is time to end.
    pub(crate) fn wait(&self, time: Duration) -> bool {
        let guard = lock(&self.stopped);
        let (guard, _) = self
            .changed
            .wait_timeout_while(guard, time, |stopped| !*stopped)
            .unwrap_or_else(PoisonError::into_inner);
        *guard
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Every change is one assignment, so what a panicking thread left is whole.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn earlier_sources_win_and_changes_are_told() {
        let store = Store::default();
        let named = |name: &str, uid: Option<&str>| Pod {
            name: Some(name.to_owned()),
            uid: uid.map(str::to_owned),
            ..Pod::default()
        };
        store.set(Source::Api, named("api", Some("u")));
        let first = store.generation();
        store.set(Source::Environment, named("env", None));
        assert!(store.generation() > first);
        assert_eq!(store.pod().name.as_deref(), Some("env"));
        assert_eq!(store.pod().uid.as_deref(), Some("u"));
        let second = store.generation();
        store.set(Source::Environment, named("env", None));
        assert_eq!(store.generation(), second);
    }

    #[test]
    fn a_stop_ends_a_long_wait() {
        let stop = Arc::new(Stop::default());
        let other = stop.clone();
        let waiter = std::thread::spawn(move || other.wait(Duration::from_secs(600)));
        stop.stop();
        assert!(waiter.join().unwrap());
        assert!(stop.wait(Duration::from_secs(600)));
        assert!(!Stop::default().wait(Duration::ZERO));
    }
}
