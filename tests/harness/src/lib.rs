//! What the tests of the whole library share.
//!
//! A scenario is one piece of code over a [`Host`]: the C test host of some release
//! (`tests/host`), or a real Fluent Bit. Both take the same command line ([`Pipeline`]).
#![forbid(unsafe_code)]

pub mod build;
pub mod case;
pub mod compare;
pub mod destination;
pub mod e2e;
pub mod fault_script;
pub mod forward;
pub mod freezer;
pub mod host;
pub mod http;
pub mod job;
pub mod memory;
pub mod pipeline;
pub mod pod_api;
pub mod pods;
pub mod port;
pub mod process;
pub mod random;
pub mod random_layout;
pub mod short_job;
pub mod sidecar;
pub mod sink;
pub mod site;
pub mod steps;
pub mod stuck;
pub mod upgrade;

pub use case::Case;
pub use host::{each_real_host, each_real_host_where, each_test_host, Host, Version};
pub use pipeline::Pipeline;
pub use process::{Ended, Running};

use std::time::{Duration, Instant};

/// How long anything in a scenario may take before it counts as failed. Generous: the machine
/// may be busy, and nothing waits for it when all is well.
pub const DEADLINE: Duration = Duration::from_secs(30);

/// For instances without options.
pub const NO_OPTIONS: &[(&str, &str)] = &[];

/// Looks every few milliseconds until `ready` gives something; `None` when the deadline passes.
pub fn wait_until<T>(deadline: Duration, mut ready: impl FnMut() -> Option<T>) -> Option<T> {
    let start = Instant::now();
    loop {
        if let Some(value) = ready() {
            return Some(value);
        }
        if start.elapsed() > deadline {
            return None;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Runs everything at once, each on a thread, and gives the results in the items' order.
///
/// # Panics
/// When one of the runs does, with what that said.
pub fn side_by_side<T: Send, R: Send>(
    items: impl IntoIterator<Item = T>,
    run: impl Fn(T) -> R + Sync,
) -> Vec<R> {
    let run = &run;
    std::thread::scope(|scope| {
        let threads: Vec<_> = items
            .into_iter()
            .map(|item| scope.spawn(move || run(item)))
            .collect();
        let join = |thread: std::thread::ScopedJoinHandle<'_, R>| thread.join();
        let joined: std::thread::Result<Vec<R>> = threads.into_iter().map(join).collect();
        joined.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

/// Writes a line that the test runner does not capture.
pub fn say(line: &str) {
    use std::io::Write as _;
    // Nothing to do about a closed stderr.
    let _ = writeln!(std::io::stderr().lock(), "{line}");
}
