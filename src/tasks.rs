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

/// Whether a task of an input is where and what a layout says: it leads back to the input and to the
/// engine's configuration, it is in the input's list, and goes to something.
pub(crate) fn is_as_known(
    memory: &mut Memory,
    layout: &Layout,
    (input, config): (usize, usize),
    task: usize,
) -> bool {
    let known = &layout.task;
    let mut leads_back = || {
        let owner = memory.word(task.checked_add(known.input?)?)?;
        let engine = memory.word(task.checked_add(known.config?)?)?;
        let node = task.checked_add(known.node?)?;
        let tasks = memory.list(input.checked_add(layout.input.tasks?)?)?;
        let routes = memory.list(task.checked_add(known.routes?)?)?;
        memory.list(task.checked_add(known.retries?)?)?;
        Some(owner == input && engine == config && tasks.contains(&node) && !routes.is_empty())
    };
    leads_back() == Some(true)
}

/// The outputs that a task goes to.
pub(crate) fn outputs(memory: &mut Memory, layout: &Layout, task: usize) -> Option<Vec<usize>> {
    let routes = memory.list(task.checked_add(layout.task.routes?)?)?;
    let routes = routes.into_iter();
    routes
        .map(|route| memory.word(route.checked_sub(OUTPUT_BEFORE_NODE)?))
        .collect()
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
        let goes_to = self::outputs(memory, layout, task)?;
        let outputs = goes_to.into_iter().map(|at| Some(named(at)?.name.clone()));
        let outputs = outputs.collect::<Option<_>>()?;
        let mut retries = Vec::new();
        for node in memory.list(task + known.retries?)? {
            let retry = node.checked_sub(of_retry.node?)?;
            if memory.word(retry + of_retry.task?)? != task {
                return None;
            }
            let output = named(memory.word(retry + of_retry.output?)?)?;
            let attempts = memory.int(retry + of_retry.attempts?)?;
            // The host counts from 1, and gives up at the limit.
            let most = match output.limit {
                RetryLimit::Times(limit) => limit.max(1),
                RetryLimit::Unlimited | RetryLimit::Unknown => u32::MAX,
            };
            let done = u32::try_from(attempts).ok();
            let done = done.filter(|done| (1..=most).contains(done))?;
            retries.push(Retry {
                key: retry as u64,
                output: output.name.clone(),
                left: match output.limit {
                    RetryLimit::Times(_) | RetryLimit::Unlimited => most - done + 1,
                    RetryLimit::Unknown => 1,
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::abi::table::{InputShift, GENERATIONS};

    /// Memory that plays an input with one task, which goes to one output.
    struct Played {
        words: Box<[usize; 512]>,
        layout: Layout,
    }

    const TASK: usize = 256;
    const ROUTE: usize = 400;
    const OUTPUT: usize = 0x7700;
    const CONFIG: usize = 0x6600;

    impl Played {
        fn new() -> Self {
            let layout = GENERATIONS.last().unwrap().layout(InputShift::new(true));
            let mut played = Played {
                words: Box::new([0; 512]),
                layout,
            };
            let task = &layout.task;
            let place = |offset: Option<usize>| offset.unwrap() / 8;
            played.words[TASK + place(task.input)] = played.at(0);
            played.words[TASK + place(task.config)] = CONFIG;
            played.words[ROUTE - 1] = OUTPUT;
            played.ring(&[TASK + place(task.routes), ROUTE]);
            played.ring(&[TASK + place(task.retries)]);
            played.ring(&[place(layout.input.tasks), TASK + place(task.node)]);
            played
        }

        fn at(&self, word: usize) -> usize {
            self.words.as_ptr() as usize + word * 8
        }

        /// A list through these places.
        fn ring(&mut self, places: &[usize]) {
            for (index, place) in places.iter().enumerate() {
                let before = places[(index + places.len() - 1) % places.len()];
                let behind = places[(index + 1) % places.len()];
                self.words[*place] = self.at(before);
                self.words[*place + 1] = self.at(behind);
            }
        }

        fn is_as_known(&self, layout: &Layout) -> bool {
            let mut memory = Memory::open().unwrap();
            let around = (self.at(0), CONFIG);
            std::hint::black_box(&self.words);
            is_as_known(&mut memory, layout, around, self.at(TASK))
        }
    }

    #[test]
    fn a_task_is_believed_only_if_every_field_is_where_it_is_said_to_be() {
        let played = Played::new();
        assert!(played.is_as_known(&played.layout));
        let mut memory = Memory::open().unwrap();
        let goes_to = outputs(&mut memory, &played.layout, played.at(TASK));
        assert_eq!(goes_to, Some(vec![OUTPUT]));
        // A fork with one field more, in front of any of those that are known.
        let known = played.layout.task;
        for from in [
            known.routes,
            known.retries,
            known.node,
            known.input,
            known.config,
        ] {
            for bytes in [8, 16, 24, -8] {
                let mut layout = played.layout;
                layout.task = known.grown(from.unwrap(), bytes);
                assert!(
                    !played.is_as_known(&layout),
                    "{bytes} more in front of {from:?}"
                );
            }
        }
    }

    #[test]
    fn a_task_of_another_input_or_engine_is_not_believed() {
        let mut played = Played::new();
        let layout = played.layout;
        for field in [layout.task.input, layout.task.config] {
            let place = TASK + field.unwrap() / 8;
            let truth = std::mem::replace(&mut played.words[place], 0x5500);
            assert!(!played.is_as_known(&layout));
            played.words[place] = truth;
        }
        assert!(played.is_as_known(&layout));
    }
}
