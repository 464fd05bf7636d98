//! Ports for hosts to listen at.

use std::net::{Ipv4Addr, TcpListener};
use std::sync::atomic::{AtomicU16, Ordering};

/// Below what the system gives to outgoing connections, which come and go at any time.
const FIRST: u16 = 12_000;
const COUNT: u16 = 20_000;

/// A port that nobody listens at and this process has not named before.
///
/// # Panics
/// When there is none.
pub fn free_port() -> u16 {
    static NAMED: AtomicU16 = AtomicU16::new(0);
    // Processes that run at the same time begin at different ports.
    let start = std::process::id().wrapping_mul(499);
    (0..COUNT)
        .map(|_| u32::from(NAMED.fetch_add(1, Ordering::Relaxed)))
        .map(|named| FIRST + (start.wrapping_add(named) % u32::from(COUNT)) as u16)
        .find(|port| TcpListener::bind((Ipv4Addr::UNSPECIFIED, *port)).is_ok())
        .expect("a free port")
}
