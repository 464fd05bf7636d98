//! A chunk at one look, as it lies in the host's memory.

use std::ffi::c_int;

use crate::abi::bindings::host_config;
use crate::abi::memory::{Memory, Place};
use crate::holdings::Holder;
use crate::tasks;

/// Outputs that are told apart: as many as one word of a chunk's routes has.
pub(crate) const OUTPUTS: u32 = u64::BITS;

/// What is seen of a chunk at one look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Seen {
    /// Where it is: another one may be there later.
    pub(crate) node: usize,
    /// Its records, as filters have left them; `None`: not laid out as known.
    pub(crate) records: Option<u64>,
    /// A bit per output that it may go to; all of them where that is not known.
    pub(crate) routes: u64,
    /// It is on its way to the outputs already.
    pub(crate) has_task: bool,
    /// An output has failed to take it.
    pub(crate) has_failed: bool,
    /// What its first routes come from.
    pub(crate) routing: Routing,
}

impl Seen {
    /// A chunk of which only the place is known.
    pub(crate) fn unknown(node: usize) -> Self {
        Seen {
            node,
            routes: u64::MAX,
            ..Seen::default()
        }
    }

    /// This, or, if nothing is known of it but its place, what was known `before`.
    pub(super) fn or(self, before: Seen) -> Seen {
        match self.records {
            Some(_) => self,
            None => before,
        }
    }
}

/// What decides where a new chunk goes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Routing {
    /// Its tag, so every chunk of one tag has the same outputs, unless one has no room for it.
    ByTag,
    /// Perhaps its records, too.
    #[default]
    Unknown,
}

/// The numbers of the bits that are set.
pub(super) fn bits(word: u64) -> impl Iterator<Item = u32> {
    (0..OUTPUTS).filter(move |bit| word >> bit & 1 == 1)
}

/// What the chunk with this node in the list of the input is. `None`: not laid out as is known: a chunk
/// must lead back to its input. The first task is looked at whole, and none is unless that one is what
/// it must be.
pub(crate) fn see(memory: &mut Memory, holder: &Holder, node: usize) -> Option<Seen> {
    let (layout, input) = (holder.layout, holder.instance);
    let tasks = &holder.host.tasks;
    let known = &layout.input_chunk;
    known.node.iter().find_map(|offset| {
        let chunk = node.checked_sub(offset)?;
        let at = |field: Option<usize>| chunk.checked_add(field?);
        // A pointer, or an array of four words, as long as only tags decided.
        let mut routes = known.routes.iter().filter_map(|at| {
            Some(match offset.checked_sub(at)? {
                8 => (at, Routing::Unknown),
                32 => (at, Routing::ByTag),
                _ => return None,
            })
        });
        let (routes, routing) = routes.next()?;
        let [owner, records, routes, task] = memory.numbers([
            Place::word(at(known.input)?),
            Place::int(at(known.records)?),
            Place::word(at(Some(routes))?),
            Place::word(at(known.task)?),
        ])?;
        if owner != input || i32::try_from(records).is_err() {
            return None;
        }
        let routes = match routing {
            Routing::Unknown => memory.word(routes)?,
            Routing::ByTag => routes,
        };
        if task != 0 && tasks.is_open() {
            let around = (input, holder.config);
            tasks.decide(tasks::is_as_known(memory, layout, around, task));
        }
        if task != 0 && tasks.is_proven() && holder.host.routes.is_open() {
            // An output that has lost its way may still be getting it, but none is new.
            let outputs = outputs_of_task(memory, holder, task);
            let is_known = outputs.is_some_and(|all| all != 0 && all & !(routes as u64) == 0);
            holder.host.routes.decide(is_known);
        }
        let retries = layout.task.retries.filter(|_| task != 0);
        let retries = retries.filter(|_| tasks.is_proven());
        let retries = retries.and_then(|at| memory.list(task.checked_add(at)?));
        Some(Seen {
            node,
            records: Some(records as u64),
            routes: routes as u64,
            has_task: task != 0,
            has_failed: retries.is_some_and(|retries| !retries.is_empty()),
            routing,
        })
    })
}

/// A bit per output that a task goes to.
fn outputs_of_task(memory: &mut Memory, holder: &Holder, task: usize) -> Option<u64> {
    let by_id = holder.host.functions.output_by_id?;
    let config = holder.config as *mut host_config;
    let mut outputs = 0;
    for output in tasks::outputs(memory, holder.layout, task)? {
        outputs |= (0..OUTPUTS).find_map(|number| {
            // SAFETY: the engine's own config, on its thread; NULL for an unknown number.
            let instance = unsafe { by_id(config, number as c_int) };
            (instance as usize == output).then_some(1 << number)
        })?;
    }
    Some(outputs)
}
