//! No panic crosses the border.
//!
//! Every entry point runs inside [`catch`]. The panic hook, which runs before unwinding, says
//! what happened through the instance's logger, for the plugins' own threads as well.

use std::any::Any;
use std::panic::{self, AssertUnwindSafe, PanicHookInfo};
use std::sync::Once;

use crate::log;

/// Runs `body`; `None` when it panicked. The hook has logged it by then.
pub(crate) fn catch<R>(body: impl FnOnce() -> R) -> Option<R> {
    // What a panicking plugin leaves half-changed is its own state only; its next call gets it
    // as it is, and the mutex around it is taken even when poisoned.
    panic::catch_unwind(AssertUnwindSafe(body)).ok()
}

/// Installs the hook. Only the cdylib's constructor does: test programs keep their own.
pub(crate) fn install_hook() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| panic::set_hook(Box::new(report)));
}

fn report(info: &PanicHookInfo<'_>) {
    let place = info
        .location()
        .map_or_else(|| "unknown place".to_owned(), ToString::to_string);
    let text = if log::is_sensitive() {
        // A formatted message may quote the record that was being looked at.
        literal(info.payload()).unwrap_or("(message withheld, it may quote a record)")
    } else {
        message(info.payload())
    };
    log::report_panic(&format!("panic at {place}: {text}"));
}

fn literal(payload: &dyn Any) -> Option<&str> {
    payload.downcast_ref::<&'static str>().copied()
}

fn message(payload: &dyn Any) -> &str {
    literal(payload)
        .or_else(|| payload.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("(no text)")
}
