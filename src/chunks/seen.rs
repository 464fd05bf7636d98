//! A chunk at one look, as it lies in the host's memory.

use host_abi::Layout;

use crate::abi::memory::{Memory, Place};

/// Outputs that are told apart: as many as one word of a chunk's routes has.
pub(crate) const OUTPUTS: u32 = u64::BITS;

/// What is seen of a chunk at one look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Seen {
    /// Where it is: another one may be there later.
    pub(crate) node: usize,
    /// Its records, as filters have left them; `None`: not laid out as known.
    pub(crate) records: Option<u64>,
    /// A bit per output that it may go to.
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
            ..Seen::default()
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

/// What the chunk with this node in the list of `input` is. `None`: not laid out as is known. Chunk and
/// task must lead back to the input.
pub(crate) fn see(memory: &mut Memory, layout: &Layout, input: usize, node: usize) -> Option<Seen> {
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
        if let Some(owner) = layout.task.input.filter(|_| task != 0) {
            if memory.word(task.checked_add(owner)?)? != input {
                return None;
            }
        }
        let retries = layout.task.retries.filter(|_| task != 0);
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
