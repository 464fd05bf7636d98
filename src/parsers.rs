//! The host's parsers, for plugins that name one in their options.
//!
//! A parser has scratch memory of its own, so it is used on one thread at a time: the instance's.

use std::ffi::{c_void, CString};

use flb_sidecar_sdk::event::Timestamp;
use flb_sidecar_sdk::{depth, ParsedTime, Parser, Parsers};

use crate::abi::bindings::host_config;
use crate::host::Host;

/// The parsers of one engine.
pub(crate) struct HostParsers {
    host: &'static Host,
    config: *mut host_config,
}

// SAFETY: the pointer is only handed to host functions, in callbacks of the instance that has it.
unsafe impl Send for HostParsers {}

impl HostParsers {
    /// `None` when the host lacks the functions.
    pub(crate) fn new(host: &'static Host, config: *mut host_config) -> Option<Self> {
        let functions = &host.functions;
        (functions.parser_get.is_some() && functions.parser_do.is_some())
            .then_some(HostParsers { host, config })
    }
}

impl Parsers for HostParsers {
    fn get(&self, name: &str) -> Option<Box<dyn Parser>> {
        let name = CString::new(name).ok()?;
        let get = self.host.functions.parser_get?;
        // SAFETY: the engine's own config, in a callback; the name is NUL-terminated.
        let parser = unsafe { get(name.as_ptr(), self.config) };
        (!parser.is_null()).then(|| {
            Box::new(HostParser {
                host: self.host,
                parser,
            }) as Box<dyn Parser>
        })
    }
}

struct HostParser {
    host: &'static Host,
    /// Lives as long as the engine's config, which outlives every instance.
    parser: *mut c_void,
}

// SAFETY: used in callbacks of one instance, which the host serialises.
unsafe impl Send for HostParser {}

impl Parser for HostParser {
    fn parse(&mut self, text: &[u8], fields: &mut Vec<u8>) -> Option<ParsedTime> {
        let parse = self.host.functions.parser_do?;
        let mut out: *mut c_void = std::ptr::null_mut();
        let mut out_bytes = 0;
        // Still zero afterwards: the parser found no time.
        let mut time = libc::timespec {
            tv_sec: 0,
            tv_nsec: 0,
        };
        // SAFETY: the parser is the host's; the text is only read; the three places are ours.
        let code = unsafe {
            parse(
                self.parser,
                text.as_ptr().cast(),
                text.len(),
                &mut out,
                &mut out_bytes,
                &mut time,
            )
        };
        if out.is_null() {
            return None;
        }
        let start = fields.len();
        if code >= 0 {
            // SAFETY: a successful parse gives this many bytes of msgpack.
            fields.extend_from_slice(unsafe {
                std::slice::from_raw_parts(out.cast::<u8>(), out_bytes)
            });
        }
        // SAFETY: allocated by the host with the same malloc, and ours to free.
        unsafe { libc::free(out) };
        // What the host can make it cannot always read again: it would lose what stands behind.
        let fits = code >= 0 && depth::fits(fields, start, depth::MAX_BODY);
        if !fits {
            fields.truncate(start);
        }
        fits.then(|| match (time.tv_sec, time.tv_nsec) {
            (0, 0) => ParsedTime::Absent,
            (seconds, nanos) => ParsedTime::At(Timestamp {
                seconds: u32::try_from(seconds).unwrap_or(0),
                nanos: u32::try_from(nanos).unwrap_or(0),
            }),
        })
    }
}
