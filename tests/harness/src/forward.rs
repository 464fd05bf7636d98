//! A client of Fluent Bit's `forward` input: records go in exactly as given.

use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::Path;

use flb_sidecar_sdk::msgpack;

use crate::{wait_until, DEADLINE};

/// A connection to the socket of `-i forward -p unix_path=…`.
#[derive(Debug)]
pub struct Forward(UnixStream);

impl Forward {
    /// Waits for the socket and connects.
    ///
    /// # Panics
    /// When nobody listens in time.
    pub fn connect(socket: &Path) -> Self {
        let stream = wait_until(DEADLINE, || UnixStream::connect(socket).ok());
        Forward(stream.unwrap_or_else(|| panic!("nobody listens at {}", socket.display())))
    }

    /// Sends one message in Forward mode: `[tag, [[time, record], …]]`. `entries` are the encoded
    /// pairs, a row of `[time, record]`; `count` says how many.
    ///
    /// # Panics
    /// When the connection breaks.
    pub fn send(&mut self, tag: &str, count: usize, entries: &[u8]) {
        let mut message = Vec::with_capacity(entries.len() + 64);
        msgpack::write_array_len(&mut message, 3);
        msgpack::write_str(&mut message, tag);
        msgpack::write_array_len(&mut message, count);
        message.extend_from_slice(entries);
        msgpack::write_map_len(&mut message, 1);
        msgpack::write_str(&mut message, "chunk");
        msgpack::write_str(&mut message, tag);
        self.0.write_all(&message).expect("the host reads");
        // One message at a time: hosts take a message again when they read it together with a
        // part of the next one.
        let mut answer = Vec::new();
        while msgpack::skip(&answer, 0).is_none() {
            let mut piece = [0; 256];
            let len = self.0.read(&mut piece).expect("the host acknowledges");
            assert!(len > 0, "the host closed the connection");
            answer.extend_from_slice(&piece[..len]);
        }
    }
}
