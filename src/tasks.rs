//! The tasks of the engine: what is being delivered, and what waits to be tried again.
//!
//! A retry that waits has a request in the scheduler; one that is under way has none, though it
//! stays in its task's list. So the host itself says which is which: it is told to forget the
//! request, and only where it had one the retry is dispatched, as it does when the request is due.

use std::ffi::c_void;

use flb_sidecar_sdk::{Retry, RetryLimit, TaskInfo};

use host_abi::Layout;

use crate::abi::bindings::host_config;
use crate::abi::memory::Memory;
use crate::host::Host;

/// In front of the node of a task's route: its output, in every release.
const OUTPUT_BEFORE_NODE: usize = 8;

/// An output of the engine.
pub(crate) struct Destination {
    pub(crate) instance: usize,
    pub(crate) name: String,
    pub(crate) limit: RetryLimit,
}

/// The tasks of one input, from the nodes of its list; `None`: they are not laid out as the table
/// says. Each must lead back to its input and to the engine's configuration.
pub(crate) fn of_input(
    memory: &mut Memory,
    layout: &Layout,
    input: usize,
    config: usize,
    nodes: &[usize],
    destinations: &[Destination],
) -> Option<Vec<TaskInfo>> {
    let named = |instance: usize| destinations.iter().find(|d| d.instance == instance);
    let (known, of_retry) = (&layout.task, &layout.retry);
    let mut tasks = Vec::new();
    for node in nodes {
        let task = node.checked_sub(known.node?)?;
        let mut word = |at: Option<usize>| memory.word(task.checked_add(at?)?);
        let leads_back = word(known.input)? == input && word(known.config)? == config;
        if !leads_back {
            return None;
        }
        let mut outputs = Vec::new();
        for route in memory.list(task + known.routes?)? {
            let output = memory.word(route.checked_sub(OUTPUT_BEFORE_NODE)?)?;
            outputs.push(named(output)?.name.clone());
        }
        let mut retries = Vec::new();
        for node in memory.list(task + known.retries?)? {
            let retry = node.checked_sub(of_retry.node?)?;
            if memory.word(retry + of_retry.task?)? != task {
                return None;
            }
            let output = named(memory.word(retry + of_retry.output?)?)?;
            let attempts = memory.int(retry + of_retry.attempts?)?;
            retries.push(Retry {
                key: retry as u64,
                output: output.name.clone(),
                is_last: match output.limit {
                    RetryLimit::Unlimited => false,
                    RetryLimit::Times(limit) => u32::try_from(attempts).ok()? >= limit,
                    RetryLimit::Unknown => true,
                },
            });
        }
        tasks.push(TaskInfo {
            key: task as u64,
            outputs,
            retries,
        });
    }
    Some(tasks)
}

/// Dispatches the retry `key` if it waits; whether it did.
///
/// # Safety
/// `config` is the host's own, and this is the engine's thread, outside of any walk over its tasks.
pub(crate) unsafe fn retry_now(host: &Host, config: *mut host_config, key: u64) -> bool {
    let functions = &host.functions;
    let (Some(forget), Some(dispatch)) = (functions.forget_request, functions.dispatch_retry)
    else {
        return false;
    };
    let retry = key as usize as *mut c_void;
    // SAFETY: as the caller says. The address is only compared with those that requests have.
    if unsafe { forget(config, retry) } != 0 {
        return false;
    }
    // SAFETY: as the caller says. A request had this address a moment ago, so it is a live retry of
    // the engine; the host does the same when the request is due, and sees to what fails.
    unsafe { dispatch(retry, config) };
    true
}
