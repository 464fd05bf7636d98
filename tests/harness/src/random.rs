//! Random numbers that a seed repeats.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// SplitMix64 (Steele, Lea, Flood 2014).
#[derive(Clone, Debug)]
pub struct Random(u64);

impl Random {
    /// The same seed gives the same numbers.
    pub fn new(seed: u64) -> Self {
        Random(seed)
    }

    /// The next number.
    pub fn number(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `end`, which is above zero.
    pub fn below(&mut self, end: u64) -> u64 {
        self.number() % end.max(1)
    }

    /// A time between the two, as often below their geometric mean as above it.
    pub fn time(&mut self, least: Duration, most: Duration) -> Duration {
        let part = self.below(1 << 20) as f64 / f64::from(1 << 20);
        least.mul_f64((most.as_secs_f64() / least.as_secs_f64()).powf(part))
    }
}

/// The number in the environment variable `FLB_SIDECAR_SEED`, else one of the clock.
///
/// # Panics
/// When the variable is no number.
pub fn seed() -> u64 {
    if let Ok(text) = std::env::var("FLB_SIDECAR_SEED") {
        return text.parse().expect("FLB_SIDECAR_SEED is a number");
    }
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    now.map_or(1, |now| {
        now.as_secs() * 1000 + u64::from(now.subsec_millis())
    })
}
