//! A destination that has its moods: an HTTP server for Fluent Bit's `http` output with the formats
//! `json` and `json_lines`, with or without TLS, which may be slow, refuse, reset connections, or
//! be down.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rustls::{ServerConfig, ServerConnection, StreamOwned};
use serde_json::Value as Json;

use crate::process::json_lines;

/// How it takes requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mood {
    /// At once.
    Well,
    /// Answers after this time.
    Slow(Duration),
    /// Answers 503 until this long after the first request, then is well.
    Refuses(Duration),
    /// Answers 503 until [`Destination::open`] is called, then is well.
    Shut,
    /// Resets connections until this long after the first one, then is well.
    Resets(Duration),
    /// Listens only after this time.
    Down(Duration),
    /// Never listens.
    Gone,
    /// As [`Destination::set`] says, at first well.
    Played,
}

/// What a played destination does at present.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Phase {
    /// Takes everything at once.
    #[default]
    Well,
    /// Answers after this time.
    Slow(Duration),
    /// Answers 503.
    Refuses,
    /// Answers 400.
    Rejects,
    /// Closes every connection, with what was sent unread.
    Resets,
    /// Reads, and answers nothing until the next phase.
    Silent,
    /// Does not listen.
    Down,
}

#[derive(Debug, Default)]
struct State {
    first: Option<Instant>,
    open: bool,
    refused: u64,
    phase: Phase,
    over: bool,
    lines: BTreeMap<String, u64>,
}

/// The destination.
#[derive(Debug)]
pub struct Destination {
    port: u16,
    state: Arc<Mutex<State>>,
}

impl Destination {
    /// Takes a port of the loopback interface, until the process ends.
    ///
    /// # Panics
    /// When there is none.
    pub fn new(mood: Mood) -> Self {
        Destination::listen(mood, "log", None)
    }

    /// The same; a record's line is the text of `key`, and with `tls` it takes nothing else.
    ///
    /// # Panics
    /// When there is no port.
    pub fn listen(mood: Mood, key: &'static str, tls: Option<Arc<ServerConfig>>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("a bound socket");
        let state = Arc::<Mutex<State>>::default();
        let server = Server {
            mood,
            key,
            tls,
            state: state.clone(),
        };
        match mood {
            // Bound again later, or never; ports are given out in turn, so nobody takes it soon.
            Mood::Gone => drop(listener),
            Mood::Down(time) => {
                drop(listener);
                std::thread::spawn(move || {
                    std::thread::sleep(time);
                    let listener = TcpListener::bind(address).expect("the port is still free");
                    accept(&listener, &server);
                });
            }
            Mood::Played => {
                std::thread::spawn(move || accept_played(listener, &server));
            }
            _ => {
                std::thread::spawn(move || accept(&listener, &server));
            }
        }
        Destination {
            port: address.port(),
            state,
        }
    }

    /// Options of an `http` output that posts here.
    pub fn options(&self) -> Vec<(&'static str, String)> {
        vec![
            ("host", "127.0.0.1".into()),
            ("port", self.port.to_string()),
            ("format", "json_lines".into()),
        ]
    }

    /// Its port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// How often each line came.
    pub fn lines(&self) -> BTreeMap<String, u64> {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.lines.clone()
    }

    /// Whether a line came.
    pub fn has(&self, line: &str) -> bool {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.lines.contains_key(line)
    }

    /// How many different lines came.
    pub fn count(&self) -> u64 {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.lines.len() as u64
    }

    /// Ends [`Mood::Shut`].
    pub fn open(&self) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.open = true;
    }

    /// What [`Mood::Played`] does from now on.
    pub fn set(&self, phase: Phase) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.phase = phase;
    }

    /// How many requests or connections it did not take.
    pub fn refused(&self) -> u64 {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.refused
    }
}

impl Drop for Destination {
    fn drop(&mut self) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.over = true;
    }
}

/// What every connection needs.
#[derive(Clone)]
struct Server {
    mood: Mood,
    key: &'static str,
    tls: Option<Arc<ServerConfig>>,
    state: Arc<Mutex<State>>,
}

fn accept(listener: &TcpListener, server: &Server) {
    for stream in listener.incoming().flatten() {
        let server = server.clone();
        std::thread::spawn(move || take(stream, &server));
    }
}

/// Listens whenever the phase is another one than down.
fn accept_played(listener: TcpListener, server: &Server) -> Option<()> {
    let address = listener.local_addr().ok()?;
    let mut listening = Some(listener);
    while !server.now(|state| state.over) {
        if server.now(|state| state.phase) == Phase::Down {
            listening = None;
            std::thread::sleep(Duration::from_millis(5));
            continue;
        }
        let listener = match listening.take() {
            Some(listener) => listener,
            None => TcpListener::bind(address).ok()?,
        };
        listener.set_nonblocking(true).ok()?;
        match listener.accept() {
            Ok((stream, _)) => {
                stream.set_nonblocking(false).ok()?;
                let server = server.clone();
                std::thread::spawn(move || take(stream, &server));
            }
            Err(_) => std::thread::sleep(Duration::from_millis(5)),
        }
        listening = Some(listener);
    }
    None
}

impl Server {
    fn now<T>(&self, look: impl Fn(&State) -> T) -> T {
        look(&self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Waits as the phase says. The answer; `None`: there is none.
    fn played(&self) -> Option<&'static str> {
        match self.now(|state| state.phase) {
            Phase::Well => Some("200 OK"),
            Phase::Slow(time) => {
                std::thread::sleep(time);
                Some("200 OK")
            }
            Phase::Refuses => Some("503 Service Unavailable"),
            Phase::Rejects => Some("400 Bad Request"),
            Phase::Resets | Phase::Down => None,
            Phase::Silent => {
                while self.now(|state| state.phase == Phase::Silent && !state.over) {
                    std::thread::sleep(Duration::from_millis(10));
                }
                None
            }
        }
    }
}

/// Whether the bad time is not over; it begins with the first call.
fn is_bad(state: &Mutex<State>, time: Duration) -> bool {
    let mut state = state.lock().unwrap_or_else(PoisonError::into_inner);
    let bad = state.first.get_or_insert_with(Instant::now).elapsed() < time;
    if bad {
        state.refused += 1;
    }
    bad
}

/// Whether it is not open; that counts as a refusal.
fn is_shut(state: &Mutex<State>) -> bool {
    let mut state = state.lock().unwrap_or_else(PoisonError::into_inner);
    state.refused += u64::from(!state.open);
    !state.open
}

fn take(stream: TcpStream, server: &Server) -> Option<()> {
    if let Mood::Resets(time) = server.mood {
        // Closing a socket with unread bytes resets the connection.
        stream.peek(&mut [0]).ok().filter(|n| *n > 0)?;
        if is_bad(&server.state, time) {
            return None;
        }
    }
    if server.mood == Mood::Played && server.now(|state| state.phase) == Phase::Resets {
        stream.peek(&mut [0]).ok().filter(|n| *n > 0)?;
        return None;
    }
    match &server.tls {
        Some(tls) => {
            let connection = ServerConnection::new(tls.clone()).ok()?;
            serve(StreamOwned::new(connection, stream), server)
        }
        None => serve(stream, server),
    }
}

/// The records of a body in either format.
fn records(body: &[u8]) -> Vec<Json> {
    serde_json::from_slice(body).unwrap_or_else(|_| json_lines(&String::from_utf8_lossy(body)))
}

/// Answers requests on one connection until it closes.
fn serve(stream: impl Read + Write, server: &Server) -> Option<()> {
    let mut reader = BufReader::new(stream);
    loop {
        let mut length = 0;
        loop {
            let mut line = String::new();
            reader.read_line(&mut line).ok().filter(|n| *n > 0)?;
            if line.trim_end().is_empty() {
                break;
            }
            if let Some((name, value)) = line.split_once(':') {
                if name.eq_ignore_ascii_case("content-length") {
                    length = value.trim().parse().ok()?;
                }
            }
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body).ok()?;
        let refuses = match server.mood {
            Mood::Refuses(time) => is_bad(&server.state, time),
            Mood::Shut => is_shut(&server.state),
            _ => false,
        };
        if let Mood::Slow(time) = server.mood {
            std::thread::sleep(time);
        }
        let status = if refuses {
            "503 Service Unavailable"
        } else if server.mood == Mood::Played {
            server.played()?
        } else {
            "200 OK"
        };
        if status == "200 OK" {
            let records = records(&body);
            let texts = records
                .iter()
                .filter_map(|record| record[server.key].as_str());
            let mut state = server.state.lock().unwrap_or_else(PoisonError::into_inner);
            for line in texts {
                *state.lines.entry(line.to_owned()).or_default() += 1;
            }
        }
        let answer = format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n");
        let stream = reader.get_mut();
        stream.write_all(answer.as_bytes()).ok()?;
        stream.flush().ok()?;
    }
}
