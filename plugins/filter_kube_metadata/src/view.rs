//! What is known, in the form the records of a container need it.

use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::Arc;

use crate::encode::{Content, Encoded};
use crate::hints::{Allowed, Hints};
use crate::parsers::HostParsers;
use crate::pod::Pod;
use crate::store::Store;

/// Containers whose fields are kept encoded; a pod has far fewer.
const MAX_VIEWS: usize = 256;

/// What the records of one container get.
#[derive(Debug, Default)]
pub(crate) struct View {
    pub(crate) encoded: Encoded,
    pub(crate) hints: Hints,
}

/// The views, made when they are first needed and again when what is known has changed.
#[derive(Debug)]
pub(crate) struct Views {
    content: Arc<Content>,
    allowed: Allowed,
    generation: u64,
    pod: Arc<Pod>,
    views: HashMap<Option<Vec<u8>>, Arc<View>>,
    /// Log what is wrong with annotations; once for each change of them.
    tell_hints: bool,
}

impl Views {
    pub(crate) fn new(content: Arc<Content>, allowed: Allowed, store: &Store) -> Self {
        Views {
            content,
            allowed,
            generation: store.generation(),
            pod: store.pod(),
            views: HashMap::new(),
            tell_hints: true,
        }
    }

    /// Takes over what has changed.
    pub(crate) fn refresh(&mut self, store: &Store) {
        let generation = store.generation();
        if generation == self.generation {
            return;
        }
        let pod = store.pod();
        self.tell_hints = pod.annotations != self.pod.annotations;
        self.generation = generation;
        self.pod = pod;
        self.views.clear();
    }

    /// The view for the records of `container`.
    pub(crate) fn of(&mut self, container: Option<&[u8]>, parsers: &mut HostParsers) -> Arc<View> {
        let key = container.map(<[u8]>::to_vec);
        if let Some(view) = self.views.get(&key) {
            return view.clone();
        }
        if self.views.len() >= MAX_VIEWS {
            self.views.clear();
        }
        let hints = match &self.pod.annotations {
            Some(annotations) => {
                let tell = std::mem::take(&mut self.tell_hints);
                let parsers = RefCell::new(parsers);
                let knows = |name: &str| parsers.borrow_mut().knows(name);
                Hints::read(annotations, container, self.allowed, &knows, tell)
            }
            None => Hints::default(),
        };
        let view = Arc::new(View {
            encoded: Encoded::new(&self.pod, container, &self.content),
            hints,
        });
        self.views.insert(key, view.clone());
        view
    }
}
