//! The host's parsers, looked up once.

use std::collections::HashMap;

use flb_sidecar_sdk::{Parser, Parsers, Settings};
use tracing::{error, warn};

/// The parser of `merge_parser`, and those that annotations name.
#[derive(Default)]
pub(crate) struct HostParsers {
    host: Option<Box<dyn Parsers>>,
    found: HashMap<String, Option<Box<dyn Parser>>>,
    of_option: Option<Box<dyn Parser>>,
}

impl HostParsers {
    /// Reads the option `merge_parser`; says so when there is no such parser.
    pub(crate) fn new(settings: &Settings, host: Option<Box<dyn Parsers>>) -> Self {
        let mut parsers = HostParsers {
            host,
            ..HostParsers::default()
        };
        let name = settings
            .string("merge_parser")
            .filter(|name| !name.is_empty());
        if let Some(name) = name {
            match &parsers.host {
                None => warn!("option 'merge_parser': this host gives no access to its parsers, log is read as JSON"),
                Some(host) => {
                    parsers.of_option = host.get(name);
                    if parsers.of_option.is_none() {
                        error!("parser '{name}' is not registered, log is read as JSON");
                    }
                }
            }
        }
        parsers
    }

    /// The host has a parser of this name.
    pub(crate) fn knows(&mut self, name: &str) -> bool {
        self.find(name).is_some()
    }

    /// The parser for a record: the one an annotation names, else that of the option. `None`: JSON.
    pub(crate) fn choose(&mut self, annotated: Option<&str>) -> Option<&mut dyn Parser> {
        let parser = match annotated {
            Some(name) => self.find(name)?,
            None => self.of_option.as_mut()?,
        };
        Some(&mut **parser)
    }

    fn find(&mut self, name: &str) -> Option<&mut Box<dyn Parser>> {
        if !self.found.contains_key(name) {
            let parser = self.host.as_ref().and_then(|host| host.get(name));
            self.found.insert(name.to_owned(), parser);
        }
        self.found.get_mut(name)?.as_mut()
    }
}
