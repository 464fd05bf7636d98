//! Memory that was freed.

use std::sync::OnceLock;

static GIVE_BACK: OnceLock<fn()> = OnceLock::new();

/// How memory goes back to the system here; the first one to say so knows.
pub fn goes_back_by(give_back: fn()) {
    let _ = GIVE_BACK.set(give_back);
}

/// Gives back to the system what was freed, behind something that needed very much: a host's malloc may keep it for
/// seconds, and may not use large pieces again for small things.
pub fn give_back() {
    if let Some(give_back) = GIVE_BACK.get() {
        give_back();
    }
}
