//! An HTTP server that keeps what Fluent Bit's `http` output posts: raw chunks, bit for bit.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};

/// By tag, one after another.
type Chunks = Arc<Mutex<BTreeMap<String, Vec<Vec<u8>>>>>;

/// A listening sink.
#[derive(Debug)]
pub struct Sink {
    port: u16,
    chunks: Chunks,
}

/// Name of the header that carries the tag.
const TAG_HEADER: &str = "x-tag";

impl Sink {
    /// Listens on a free port of the loopback interface, until the process ends.
    ///
    /// # Panics
    /// When there is none.
    pub fn listen() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let port = listener.local_addr().expect("a bound socket").port();
        let chunks = Chunks::default();
        let shared = chunks.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let shared = shared.clone();
                std::thread::spawn(move || serve(&stream, &shared));
            }
        });
        Sink { port, chunks }
    }

    /// Options of an `http` output that posts here.
    pub fn options(&self) -> Vec<(&'static str, String)> {
        vec![
            ("host", "127.0.0.1".into()),
            ("port", self.port.to_string()),
            ("format", "msgpack".into()),
            ("header_tag", TAG_HEADER.into()),
        ]
    }

    /// What came under `tag` so far, all chunks one after another.
    pub fn chunk(&self, tag: &str) -> Vec<u8> {
        self.chunks(tag).concat()
    }

    /// The chunks that came under `tag` so far. One may have overtaken another.
    pub fn chunks(&self, tag: &str) -> Vec<Vec<u8>> {
        let chunks = self.chunks.lock().unwrap_or_else(PoisonError::into_inner);
        chunks.get(tag).cloned().unwrap_or_default()
    }
}

/// Answers requests on one connection until it closes.
fn serve(stream: &TcpStream, chunks: &Chunks) {
    let mut reader = BufReader::new(stream);
    loop {
        let mut tag = String::new();
        let mut length = 0;
        let mut line = String::new();
        if !matches!(reader.read_line(&mut line), Ok(n) if n > 0) {
            return;
        }
        loop {
            line.clear();
            if !matches!(reader.read_line(&mut line), Ok(n) if n > 0) {
                return;
            }
            let Some((name, value)) = line.trim_end().split_once(':') else {
                break;
            };
            if name.eq_ignore_ascii_case("content-length") {
                length = value.trim().parse().unwrap_or(0);
            } else if name.eq_ignore_ascii_case(TAG_HEADER) {
                value.trim().clone_into(&mut tag);
            }
        }
        let mut body = vec![0; length];
        if reader.read_exact(&mut body).is_err() {
            return;
        }
        chunks
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .entry(tag)
            .or_default()
            .push(body);
        let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
        if (&mut &*stream).write_all(answer).is_err() {
            return;
        }
    }
}
