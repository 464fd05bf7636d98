//! What of an input's records the host still holds, and whether a crash would take it along.
//!
//! Besides an input's own chunks there are three places: the ring of a threaded input; filters
//! that take records out and give them back through an emitter, an input of their own
//! (`rewrite_tag`, `multiline`); and chunks in the filesystem, which a killed host leaves whole,
//! since they are memory maps of files whose header is written with every append.

use std::ffi::c_void;
use std::ops::Range;
use std::time::Duration;

use flb_sidecar_sdk::drain::MOST_IN_EMITTERS;
use host_abi::Layout;

use crate::abi::bindings::host_config;

use crate::abi::memory::Memory;
use crate::host::{self, Host, Section};

/// Emitters of `rewrite_tag` have this name unless the filter has an alias or names its emitter.
const PASSING: &str = "emitter_for_rewrite_tag";
/// How long such an emitter may have records outside its chunks.
const PASSING_DELAY: Duration = Duration::from_millis(500);
/// The same for all others: `multiline` waits for more lines for up to twice its `flush_ms`,
/// which is 2 seconds by default.
const JOINING_DELAY: Duration = Duration::from_millis(4500);
/// How long after a threaded input's ring was seen to hold something that may be on its way into
/// a chunk. The chunk is there before the filters run, so they may take their time.
const RING_DELAY: Duration = Duration::from_millis(250);
/// The same after an append where the ring cannot be seen: the engine empties it every quarter of
/// a second.
pub(crate) const BLIND_RING_DELAY: Duration = Duration::from_secs(1);

/// In the flags of chunkio: chunks are written with a checksum, which is right only after a sync.
const CHECKSUM: i32 = 4;

/// What a ring holds.
const POINTER: usize = size_of::<usize>();

/// How far a ring was written and read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Positions {
    size: usize,
    read: usize,
    write: usize,
}

/// An input instance whose layout is what the table says.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Holder {
    pub(crate) host: &'static Host,
    pub(crate) layout: &'static Layout,
    pub(crate) instance: usize,
    pub(crate) config: usize,
}

/// What holds an input's records besides its own chunks in memory.
#[derive(Debug)]
pub(crate) struct Surroundings {
    /// Its own chunks are files.
    pub(crate) on_disk: bool,
    emitters: Vec<Emitter>,
    /// How long after an append records may be in none of the chunks.
    pub(crate) delay: Duration,
}

/// The input behind a filter that takes records out.
#[derive(Debug)]
struct Emitter {
    holder: Holder,
    on_disk: bool,
}

impl Holder {
    pub(crate) fn new(
        host: &'static Host,
        layout: &'static Layout,
        instance: *mut c_void,
        config: *mut host_config,
    ) -> Self {
        Holder {
            host,
            layout,
            instance: instance as usize,
            config: config as usize,
        }
    }

    fn field(&self, offset: Option<usize>) -> Option<usize> {
        self.instance.checked_add(offset?)
    }

    /// Where the engine's configuration is.
    fn engine(&self) -> Range<usize> {
        self.config..self.config + self.layout.config.bytes
    }

    /// The nodes of its chunks.
    pub(crate) fn chunks(&self, memory: &mut Memory) -> Option<Vec<usize>> {
        memory.list(self.field(self.layout.input.chunks)?)
    }

    /// How many tasks it has.
    pub(crate) fn tasks(&self, memory: &mut Memory) -> Option<usize> {
        let tasks = self.field(self.layout.input.tasks)?;
        Some(memory.list(tasks)?.len())
    }

    /// What is appended is in a file of the host when the append returns, and is found again
    /// after a kill. Not so where chunks have checksums: those are right only after a sync.
    pub(crate) fn is_on_disk(&self, memory: &mut Memory) -> bool {
        self.host.behaviour.keeps_chunks && self.has_files(memory) == Some(true)
    }

    /// Its chunks are files, whether a kill would spare them or not.
    pub(crate) fn uses_files(&self, memory: &mut Memory) -> bool {
        let storage = self.field(self.layout.input.storage);
        let storage = storage.and_then(|at| memory.word(at)).filter(|at| *at != 0);
        let kind = storage.and_then(|at| at.checked_add(self.layout.storage.kind?));
        kind.and_then(|at| memory.int(at)) == Some(0)
    }

    /// `None`: it cannot be told.
    fn has_files(&self, memory: &mut Memory) -> Option<bool> {
        let storage = memory.word(self.field(self.layout.input.storage)?)?;
        if storage == 0 {
            return Some(false);
        }
        let known = &self.layout.storage;
        let kind = memory.int(storage.checked_add(known.kind?)?)?;
        let chunkio = memory.word(storage.checked_add(known.chunkio?)?)?;
        let mut checksum = None;
        for offset in self.layout.chunkio.flags.iter() {
            let flags = memory.int(chunkio.checked_add(offset)?)?;
            checksum = Some(checksum.unwrap_or(0) | flags & CHECKSUM);
        }
        Some(kind == 0 && checksum? == 0)
    }

    /// It takes nothing, for lack of room.
    pub(crate) fn is_paused(&self, memory: &mut Memory) -> bool {
        let input = &self.layout.input;
        [input.running, input.storage_running]
            .into_iter()
            .filter_map(|offset| self.field(offset))
            .any(|at| memory.int(at) == Some(0))
    }

    /// Whether its ring holds something; `None`: there is none, or it cannot be told.
    pub(crate) fn ring_holds_something(&self, memory: &mut Memory) -> Option<bool> {
        Some(self.ring_holds(memory)? > 0)
    }

    /// How many appends its ring holds; `None`: there is none, or it cannot be told.
    pub(crate) fn ring_holds(&self, memory: &mut Memory) -> Option<u64> {
        let Positions { size, read, write } = self.ring(memory)?;
        let held = ((write + size - read) % size / POINTER) as u64;
        self.host.rings.is_proven().then_some(held)
    }

    /// One append has gone into it since: a pointer more was written.
    pub(crate) fn prove_ring(&self, memory: &mut Memory, before: Positions) {
        let now = self.ring(memory);
        let grown = now.map(|now| (now.write + now.size - before.write % now.size) % now.size);
        self.host.rings.decide(grown == Some(POINTER));
    }

    /// How far its ring was written and read.
    pub(crate) fn ring(&self, memory: &mut Memory) -> Option<Positions> {
        let ring = memory
            .word(self.field(self.layout.input.ring)?)
            .filter(|ring| *ring != 0)?;
        let known = &self.layout.buffer;
        let positions = [known.data?, known.size?, known.read?, known.write?];
        self.layout.ring.buffer.iter().find_map(|offset| {
            let buffer = memory.word(ring.checked_add(offset)?)?;
            let mut words = [0; 4];
            for (word, at) in words.iter_mut().zip(positions) {
                *word = memory.word(buffer.checked_add(at)?)?;
            }
            let [data, size, read, write] = words;
            // The size is that of pointers and one byte more.
            let plausible = data != 0 && size % POINTER == 1 && read < size && write < size;
            plausible.then_some(Positions { size, read, write })
        })
    }

    /// Every other input of the engine: from the list that holds them all, or, where that is not
    /// where it should be, from the host, which only its own thread may ask.
    pub(crate) fn others(&self, memory: &mut Memory, threaded: bool) -> Option<Vec<Holder>> {
        let other = |instance| Holder { instance, ..*self };
        let config = self.engine();
        let offset = self.layout.input.node;
        let nodes = self.field(offset).and_then(|node| memory.list(node));
        if let Some(nodes) = nodes.filter(|nodes| nodes.iter().any(|node| config.contains(node))) {
            let others = nodes.iter().filter(|node| !config.contains(node));
            return others
                .map(|node| node.checked_sub(offset?).map(other))
                .collect();
        }
        if threaded {
            return None;
        }
        // SAFETY: the host's own config; an input without a thread is called on the engine's.
        let inputs = unsafe { self.host.inputs(self.config as *mut host_config) }?;
        let instances = inputs.into_iter().map(|input| input as usize);
        let others = instances.filter(|input| *input != self.instance);
        Some(others.map(other).collect())
    }

    /// Where the name of its plugin is.
    fn plugin_name(&self, memory: &mut Memory) -> Option<usize> {
        let (plugin, name) = (self.layout.input.plugin, self.layout.input_plugin.name);
        host::plugin_name_at(memory, self.instance, plugin, name)
    }

    /// Looks for every emitter of the engine.
    pub(crate) fn surroundings(&self, memory: &mut Memory, threaded: bool) -> Option<Surroundings> {
        let on_disk = self.is_on_disk(memory);
        let ring = match (threaded, self.ring_holds_something(memory)) {
            (false, _) => Duration::ZERO,
            (true, Some(_)) => RING_DELAY,
            (true, None) => BLIND_RING_DELAY,
        };
        let mut emitters = Vec::new();
        // They may go through one after the other.
        let mut through = Duration::ZERO;
        for holder in self.others(memory, threaded)? {
            let name = holder.plugin_name(memory)?;
            if memory.name(name).as_deref() != Some("emitter") {
                continue;
            }
            let object = holder.instance as *mut c_void;
            let name = host::instance_name(self.host, Section::Input, object);
            through += match name {
                Some(name) if name.starts_with(PASSING) => PASSING_DELAY,
                _ => JOINING_DELAY,
            };
            let on_disk = holder.is_on_disk(memory);
            emitters.push(Emitter { holder, on_disk });
        }
        Some(Surroundings {
            on_disk,
            emitters,
            delay: ring + through.min(MOST_IN_EMITTERS),
        })
    }
}

impl Surroundings {
    /// Adds the nodes of the emitters' chunks that a crash would take along.
    pub(crate) fn chunks(&self, memory: &mut Memory, chunks: &mut Vec<usize>) -> Option<()> {
        for emitter in self.emitters.iter().filter(|emitter| !emitter.on_disk) {
            chunks.extend(emitter.holder.chunks(memory)?);
        }
        Some(())
    }

    /// An emitter takes nothing at present, so records wait in front of it.
    pub(crate) fn any_paused(&self, memory: &mut Memory) -> bool {
        self.emitters.iter().any(|e| e.holder.is_paused(memory))
    }

    /// Records go through an emitter. A host that stops pauses it for good, and what it holds then
    /// is lost, without being told apart from what it has passed on.
    pub(crate) fn has_emitters(&self) -> bool {
        !self.emitters.is_empty()
    }
}
