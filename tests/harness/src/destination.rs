//! A destination that has its moods: an HTTP server for Fluent Bit's `http` output with the format
//! `json_lines`, which may be slow, refuse, reset connections, or be down.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

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
}

#[derive(Debug, Default)]
struct State {
    first: Option<Instant>,
    open: bool,
    refused: u64,
    lines: Vec<String>,
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
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("a bound socket");
        let state = Arc::<Mutex<State>>::default();
        let shared = state.clone();
        match mood {
            // Bound again later, or never; ports are given out in turn, so nobody takes it soon.
            Mood::Gone => drop(listener),
            Mood::Down(time) => {
                drop(listener);
                std::thread::spawn(move || {
                    std::thread::sleep(time);
                    let listener = TcpListener::bind(address).expect("the port is still free");
                    accept(&listener, mood, &shared);
                });
            }
            _ => {
                std::thread::spawn(move || accept(&listener, mood, &shared));
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

    /// How often each line came.
    pub fn lines(&self) -> BTreeMap<String, u64> {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let mut counts = BTreeMap::new();
        for line in &state.lines {
            *counts.entry(line.clone()).or_default() += 1;
        }
        counts
    }

    /// Ends [`Mood::Shut`].
    pub fn open(&self) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.open = true;
    }

    /// How many requests or connections it did not take.
    pub fn refused(&self) -> u64 {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.refused
    }
}

fn accept(listener: &TcpListener, mood: Mood, state: &Arc<Mutex<State>>) {
    for stream in listener.incoming().flatten() {
        let state = state.clone();
        std::thread::spawn(move || serve(&stream, mood, &state));
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

/// Answers requests on one connection until it closes.
fn serve(stream: &TcpStream, mood: Mood, state: &Mutex<State>) -> Option<()> {
    if let Mood::Resets(time) = mood {
        // Closing a socket with unread bytes resets the connection.
        stream.peek(&mut [0]).ok().filter(|n| *n > 0)?;
        if is_bad(state, time) {
            return None;
        }
    }
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
        let refuses = match mood {
            Mood::Refuses(time) => is_bad(state, time),
            Mood::Shut => is_shut(state),
            _ => false,
        };
        if let Mood::Slow(time) = mood {
            std::thread::sleep(time);
        }
        let status = if refuses {
            "503 Service Unavailable"
        } else {
            let lines = json_lines(&String::from_utf8_lossy(&body));
            let mut state = state.lock().unwrap_or_else(PoisonError::into_inner);
            let texts = lines.iter().filter_map(|record| record["log"].as_str());
            state.lines.extend(texts.map(str::to_owned));
            "200 OK"
        };
        let answer = format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n");
        (&mut &*stream).write_all(answer.as_bytes()).ok()?;
    }
}
