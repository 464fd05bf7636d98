//! The destination of `make e2e`: takes HTTP, and answers, refuses, hangs, drips or resets on demand.
//! The standard library alone, so that `rustc` makes a static program of this one file.
//!
//! ```text
//! POST   /NAME   the body is kept, answered as the mood of this name says
//! GET    /NAME   everything that was kept of it, one body a line
//! PUT    /NAME?mood=MOOD   its mood: ok, refuse (503), hang, drip, reset; requests under way are not touched
//! DELETE /NAME   forgets everything of it
//! ```
//!
//! Each name has a mood of its own, so that many Jobs can be tried at once.
#![forbid(unsafe_code)]

use std::collections::HashMap;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

/// How the destination answers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Mood {
    #[default]
    Ok,
    Refuse,
    Hang,
    Drip,
    Reset,
}

impl Mood {
    fn parse(name: &str) -> Option<Self> {
        Some(match name {
            "ok" => Mood::Ok,
            "refuse" => Mood::Refuse,
            "hang" => Mood::Hang,
            "drip" => Mood::Drip,
            "reset" => Mood::Reset,
            _ => return None,
        })
    }
}

/// What is kept under one name.
#[derive(Debug, Default)]
struct Kept {
    mood: Mood,
    /// Bodies that were answered with 200 or were to be.
    bodies: Vec<Vec<u8>>,
}

type State = HashMap<String, Kept>;

/// Longest body that is read.
const LONGEST: usize = 64 << 20;

struct Request {
    method: String,
    path: String,
    body: Vec<u8>,
}

/// The next request; `None` when there is none that can be understood.
fn read(from: &mut BufReader<TcpStream>) -> Option<Request> {
    let mut line = String::new();
    from.read_line(&mut line).ok().filter(|n| *n > 0)?;
    let mut words = line.split_whitespace();
    let (method, path) = (words.next()?.to_owned(), words.next()?.to_owned());
    let mut length = 0;
    let mut is_chunked = false;
    loop {
        let mut header = String::new();
        from.read_line(&mut header).ok().filter(|n| *n > 0)?;
        let header = header.trim();
        if header.is_empty() {
            break;
        }
        let (name, value) = header.split_once(':')?;
        if name.eq_ignore_ascii_case("content-length") {
            length = value.trim().parse().ok().filter(|n| *n <= LONGEST)?;
        }
        // An API server that hands a request on does not know its length.
        is_chunked |= name.eq_ignore_ascii_case("transfer-encoding")
            && value.trim().eq_ignore_ascii_case("chunked");
    }
    let mut body = vec![0; length];
    from.read_exact(&mut body).ok()?;
    while is_chunked {
        let mut size = String::new();
        from.read_line(&mut size).ok().filter(|n| *n > 0)?;
        let size = usize::from_str_radix(size.trim(), 16).ok()?;
        let mut chunk = vec![0; size.checked_add(2).filter(|n| *n <= LONGEST)?];
        from.read_exact(&mut chunk).ok()?;
        is_chunked = size > 0;
        body.extend(&chunk[..size]);
    }
    Some(Request { method, path, body })
}

fn answer(to: &mut TcpStream, status: &str, body: &[u8]) -> Option<()> {
    let head = format!(
        "HTTP/1.1 {status}\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    to.write_all(head.as_bytes()).ok()?;
    to.write_all(body).ok()
}

/// Serves one connection to its end.
fn serve(stream: TcpStream, state: &Mutex<State>) -> Option<()> {
    let mut to = stream.try_clone().ok()?;
    let mut from = BufReader::new(stream);
    while let Some(request) = read(&mut from) {
        let (path, query) = request.path.split_once('?').unwrap_or((&request.path, ""));
        let of = |change: &mut dyn FnMut(&mut Kept)| {
            let mut all = state.lock().unwrap_or_else(PoisonError::into_inner);
            change(all.entry(path.to_owned()).or_default());
        };
        match request.method.as_str() {
            "GET" => {
                let mut all = Vec::new();
                of(&mut |kept| all = kept.bodies.join(&b'\n'));
                answer(&mut to, "200 OK", &all)?;
            }
            "DELETE" => {
                of(&mut |kept| kept.bodies.clear());
                answer(&mut to, "200 OK", b"")?;
            }
            "PUT" => match query
                .split('&')
                .find_map(|part| Mood::parse(part.strip_prefix("mood=")?))
            {
                Some(mood) => {
                    of(&mut |kept| kept.mood = mood);
                    answer(&mut to, "200 OK", b"")?;
                }
                None => answer(&mut to, "400 Bad Request", b"")?,
            },
            "POST" => {
                let mut mood = Mood::Ok;
                of(&mut |kept| mood = kept.mood);
                let keep = || of(&mut |kept| kept.bodies.push(request.body.clone()));
                match mood {
                    Mood::Refuse => answer(&mut to, "503 Service Unavailable", b"")?,
                    Mood::Hang => thread::sleep(Duration::from_secs(3600)),
                    // An answer that was begun is no delivery: the sender does not know of it.
                    Mood::Drip => {
                        for byte in b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n" {
                            to.write_all(&[*byte]).ok()?;
                            thread::sleep(Duration::from_secs(1));
                        }
                        keep();
                    }
                    // Unread data makes the kernel send a reset.
                    Mood::Reset => return None,
                    Mood::Ok => {
                        keep();
                        answer(&mut to, "200 OK", b"")?;
                    }
                }
            }
            _ => answer(&mut to, "405 Method Not Allowed", b"")?,
        }
    }
    Some(())
}

fn main() -> ExitCode {
    let address = std::env::args().nth(1).unwrap_or_default();
    let listener = match TcpListener::bind(&address) {
        Ok(listener) => listener,
        Err(error) => {
            // Nobody reads what cannot be written; the status says it all.
            let _ = writeln!(std::io::stderr(), "collector ADDRESS: {address}: {error}");
            return ExitCode::from(2);
        }
    };
    if let Ok(address) = listener.local_addr() {
        let _ = writeln!(std::io::stdout(), "listening at {address}");
    }
    let state = Arc::new(Mutex::new(State::new()));
    for stream in listener.incoming().flatten() {
        let state = state.clone();
        thread::spawn(move || serve(stream, &state));
    }
    ExitCode::SUCCESS
}
