//! Watching the Downward API files.
//!
//! The kubelet replaces the whole folder through its `..data` link. The files are read again every
//! half second and compared as bytes: they are small, and this works on every file system, for a
//! folder that appears later, and for a test that writes in place. A file that cannot be used
//! leaves the last good values.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use flb_sidecar_sdk::metrics::Metric;
use tracing::{info, warn};

use crate::environment::read_file;
use crate::pod::Pod;
use crate::podinfo::{self, Pairs};
use crate::store::{Source, Stop, Store};

/// Between two looks; a change is visible within two of them.
pub(crate) const INTERVAL: Duration = Duration::from_millis(500);

/// What was found at the last look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Good,
    Absent,
    Bad,
}

/// One file and its last good values.
#[derive(Debug)]
struct File {
    path: PathBuf,
    /// An absent file is normal unless its path was configured.
    asked_for: bool,
    state: State,
    bytes: Vec<u8>,
    pairs: Option<Pairs>,
    emptied: bool,
}

impl File {
    fn new(path: PathBuf, asked_for: bool) -> Self {
        File {
            path,
            asked_for,
            state: State::Absent,
            bytes: Vec::new(),
            pairs: None,
            emptied: false,
        }
    }

    /// Looks at the file; `true`: the values changed.
    fn look(&mut self, first: bool, failures: &Metric) -> bool {
        let bytes = match read_file(&self.path) {
            Ok(bytes) => bytes,
            Err(error) => {
                let state = if error.kind() == io::ErrorKind::NotFound {
                    State::Absent
                } else {
                    State::Bad
                };
                if state != self.state || (first && self.asked_for) {
                    self.fail(state, &error.to_string(), failures);
                }
                return false;
            }
        };
        if self.state == State::Good && bytes == self.bytes {
            self.emptied = false;
            return false;
        }
        // A file that is being rewritten in place is empty for a moment.
        if bytes.is_empty() && self.pairs.is_some() && !self.emptied {
            self.emptied = true;
            return false;
        }
        self.emptied = false;
        match podinfo::parse(&bytes) {
            Ok(pairs) => {
                if self.state == State::Bad {
                    info!("{} can be read again", self.path.display());
                }
                self.state = State::Good;
                self.bytes = bytes;
                let pairs = Some(pairs).filter(|pairs| !pairs.is_empty());
                let changed = pairs != self.pairs;
                self.pairs = pairs;
                changed
            }
            Err(malformed) => {
                if self.state != State::Bad {
                    let reason = format!("line {}: {}", malformed.line, malformed.reason);
                    self.fail(State::Bad, &reason, failures);
                }
                false
            }
        }
    }

    fn fail(&mut self, state: State, reason: &str, failures: &Metric) {
        self.state = state;
        failures.add(1);
        let path = self.path.display();
        if self.pairs.is_some() {
            warn!("{path}: {reason}; the last good values stay");
        } else {
            warn!("{path}: {reason}");
        }
    }
}

/// Both files.
#[derive(Debug)]
pub(crate) struct Watch {
    labels: File,
    annotations: File,
    failures: Metric,
}

impl Watch {
    /// The files at these paths; the flags say whether a path was configured.
    pub(crate) fn new(
        labels: (PathBuf, bool),
        annotations: (PathBuf, bool),
        failures: Metric,
    ) -> Self {
        Watch {
            labels: File::new(labels.0, labels.1),
            annotations: File::new(annotations.0, annotations.1),
            failures,
        }
    }

    /// Looks once and tells the store.
    pub(crate) fn look(&mut self, store: &Store, first: bool) {
        let labels = self.labels.look(first, &self.failures);
        let annotations = self.annotations.look(first, &self.failures);
        if labels || annotations {
            store.set(
                Source::Files,
                Pod {
                    labels: self.labels.pairs.clone(),
                    annotations: self.annotations.pairs.clone(),
                    ..Pod::default()
                },
            );
        }
    }

    /// Looks until told to stop.
    pub(crate) fn run(mut self, store: &Store, stop: &Stop) {
        while !stop.wait(INTERVAL) {
            self.look(store, false);
        }
    }
}

/// The path of an option, or `name` in the folder.
pub(crate) fn path(option: Option<&str>, folder: &str, name: &str) -> (PathBuf, bool) {
    match option.filter(|path| !path.is_empty()) {
        Some(path) => (path.into(), true),
        None => (Path::new(folder).join(name), false),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;
    use std::sync::Arc;
    use std::time::Instant;

    struct Fixture {
        dir: tempfile::TempDir,
        watch: Watch,
        store: Store,
        failures: Metric,
    }

    fn fixture() -> Fixture {
        let dir = tempfile::tempdir().unwrap();
        let failures = Metric::default();
        let watch = Watch::new(
            (dir.path().join("labels"), false),
            (dir.path().join("annotations"), false),
            failures.clone(),
        );
        Fixture {
            dir,
            watch,
            store: Store::default(),
            failures,
        }
    }

    impl Fixture {
        fn write(&self, text: &str) {
            std::fs::write(self.dir.path().join("labels"), text).unwrap();
        }

        fn label(&mut self) -> Option<String> {
            self.watch.look(&self.store, false);
            let pod = self.store.pod();
            pod.labels
                .as_ref()
                .map(|pairs| String::from_utf8_lossy(&pairs[0].1).into_owned())
        }
    }

    #[test]
    fn a_malformed_or_absent_file_leaves_the_last_good_values_and_is_said_once() {
        let mut f = fixture();
        assert_eq!(f.label(), None);
        assert_eq!(f.failures.get(), 0, "an absent file is normal");
        f.write("a=\"1\"\n");
        assert_eq!(f.label().as_deref(), Some("1"));
        f.write("a=\"2\"\nb=\"half");
        assert_eq!(f.label().as_deref(), Some("1"));
        assert_eq!(f.label().as_deref(), Some("1"));
        assert_eq!(f.failures.get(), 1);
        f.write("a=\"2\"\nb=\"half\"");
        assert_eq!(f.label().as_deref(), Some("2"));
        std::fs::remove_file(f.dir.path().join("labels")).unwrap();
        assert_eq!(f.label().as_deref(), Some("2"));
        assert_eq!(f.label().as_deref(), Some("2"));
        assert_eq!(f.failures.get(), 2);
    }

    #[test]
    fn a_file_must_stay_empty_for_two_looks_to_count_as_empty() {
        let mut f = fixture();
        f.write("a=\"1\"\n");
        assert_eq!(f.label().as_deref(), Some("1"));
        f.write("");
        assert_eq!(f.label().as_deref(), Some("1"));
        f.write("a=\"2\"\n");
        assert_eq!(f.label().as_deref(), Some("2"));
        f.write("");
        assert_eq!(f.label().as_deref(), Some("2"));
        assert_eq!(f.label(), None);
    }

    #[test]
    fn a_configured_path_that_is_absent_is_counted() {
        let failures = Metric::default();
        let store = Store::default();
        let mut watch = Watch::new(
            path(Some("/nowhere/l"), "", ""),
            path(None, "/nowhere", "a"),
            failures.clone(),
        );
        watch.look(&store, true);
        watch.look(&store, false);
        assert_eq!(failures.get(), 1);
    }

    #[test]
    fn a_swap_of_the_data_link_is_seen() {
        let Fixture {
            dir,
            mut watch,
            store,
            ..
        } = fixture();
        let root = dir.path();
        for (name, value) in [("one", "1"), ("two", "2")] {
            std::fs::create_dir(root.join(name)).unwrap();
            std::fs::write(root.join(name).join("labels"), format!("a=\"{value}\"")).unwrap();
        }
        symlink("one", root.join("..data")).unwrap();
        symlink("..data/labels", root.join("labels")).unwrap();
        watch.look(&store, true);
        let store = Arc::new(store);
        let stop = Arc::new(Stop::default());
        let thread = {
            let (store, stop) = (store.clone(), stop.clone());
            std::thread::spawn(move || watch.run(&store, &stop))
        };
        let before = store.generation();
        symlink("two", root.join("..data_tmp")).unwrap();
        std::fs::rename(root.join("..data_tmp"), root.join("..data")).unwrap();
        let swapped = Instant::now();
        while store.generation() == before {
            assert!(swapped.elapsed() < Duration::from_secs(20), "not seen");
            std::thread::sleep(Duration::from_millis(5));
        }
        assert_eq!(store.pod().labels.as_ref().unwrap()[0].1, b"2");
        stop.stop();
        thread.join().unwrap();
    }
}
