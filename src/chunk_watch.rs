//! Looks at the chunks of an input of ours at the moments that tell what becomes of them: when the
//! engine calls us, and when we have appended.

use std::collections::BTreeMap;
use std::ffi::{c_int, CStr};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Mutex, MutexGuard, PoisonError};

use flb_sidecar_sdk::ChunkNews;

use crate::abi::bindings::host_config;
use crate::abi::memory::Memory;
use crate::chunks::{self, Account, Between, Chunks, Known, Seen, Tag, Ways};
use crate::holdings::Holder;
use crate::host::{self, Host};
use crate::metrics;

/// More than any chunk has: an output that may have given up anything.
const UNKNOWN: u64 = u64::MAX;

/// The chunks of one input on the engine's thread.
#[derive(Debug)]
pub(crate) struct ChunkWatch(Mutex<State>);

#[derive(Debug)]
struct State {
    chunks: Chunks,
    /// What each output, by its number, has given up until the last look.
    dropped: BTreeMap<u32, u64>,
    /// Bytes and records that were appended since the last look.
    appended: u64,
    records: u64,
    tags: Tags,
    /// While a callback runs: opening it costs more than a look.
    memory: Option<Memory>,
    /// The host keeps the chunks in files.
    in_files: Option<bool>,
    /// The host's list could not be read: nothing is told from then on.
    blind: bool,
}

/// With which tags something was appended since the last look.
#[derive(Clone, Copy, Debug)]
enum Tags {
    None,
    One(Tag),
    Several,
}

impl Tags {
    fn and(self, tag: Tag) -> Self {
        match self {
            Tags::None => Tags::One(tag),
            Tags::One(known) if known == tag => self,
            Tags::One(_) | Tags::Several => Tags::Several,
        }
    }

    /// The only one.
    fn only(self) -> Option<Tag> {
        match self {
            Tags::One(tag) => Some(tag),
            Tags::None | Tags::Several => None,
        }
    }
}

impl ChunkWatch {
    pub(crate) fn new() -> Self {
        ChunkWatch(Mutex::new(State {
            chunks: Chunks::new(),
            dropped: BTreeMap::new(),
            appended: 0,
            records: 0,
            tags: Tags::None,
            memory: None,
            in_files: None,
            blind: false,
        }))
    }

    /// For an input that may not be looked at like that.
    pub(crate) fn blind() -> Self {
        let watch = ChunkWatch::new();
        watch.lock().blind = true;
        watch
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The engine has been at work since the last look.
    pub(crate) fn called(&self, holder: &Holder) {
        let mut state = self.lock();
        let Some(seen) = state.see(holder) else {
            return;
        };
        let mut given_up = BTreeMap::new();
        if state.chunks.any_gone(&seen) {
            given_up = state.given_up(holder);
        }
        state.chunks.look(&seen, &Between::Engine(&given_up));
    }

    /// We have appended so many records and bytes. `tag` `None`: the instance's own.
    pub(crate) fn appended(
        &self,
        holder: &Holder,
        tag: Option<&CStr>,
        records: usize,
        bytes: usize,
    ) {
        let mut hasher = DefaultHasher::new();
        tag.hash(&mut hasher);
        let mut state = self.lock();
        state.tags = state.tags.and(hasher.finish());
        state.appended += bytes as u64;
        state.records += records as u64;
        state.look(holder, false);
    }

    /// We have appended, and are done with it for now.
    pub(crate) fn over(&self, holder: &Holder) {
        let mut state = self.lock();
        // Nothing has happened since a look behind the last append.
        if !matches!(state.tags, Tags::None) {
            state.look(holder, true);
        }
    }

    /// The host has refused to append something. It may have made room all the same.
    pub(crate) fn refused(&self, holder: &Holder) {
        self.lock().look(holder, true);
    }

    /// The callback is over: no descriptor of ours is open in between.
    pub(crate) fn left(&self) {
        self.lock().memory = None;
    }

    /// It is known what becomes of the chunks.
    pub(crate) fn sees(&self) -> bool {
        !self.lock().blind
    }

    /// `None`: not known.
    pub(crate) fn news(&self) -> Option<ChunkNews> {
        let state = self.lock();
        (!state.blind).then(|| ChunkNews {
            born: state.chunks.born(),
            oldest: state.chunks.oldest(),
            in_files: state.in_files == Some(true),
            under_way: state.chunks.under_way() + state.appended,
        })
    }

    pub(crate) fn take_lost(&self) -> Option<u64> {
        self.lock().chunks.take_lost()
    }

    /// What has become of it all; `None`: not known.
    pub(crate) fn account(&self, holder: &Holder) -> Option<Account> {
        let state = self.lock();
        let mut account = (!state.blind).then(|| state.chunks.account())?;
        let proof = &holder.host.chunks;
        if state.chunks.born() > 0 && !proof.is_proven() {
            account.kept = None;
            if proof.give_up() {
                let why = holder
                    .host
                    .origin
                    .contradicted("what chunks hold (no chunk proves it)");
                tracing::warn!("{why}");
            }
        }
        Some(account)
    }
}

impl State {
    fn look(&mut self, holder: &Holder, last: bool) {
        if !last && !self.chunks.are_few() {
            return;
        }
        let Some(mut seen) = self.see(holder) else {
            return;
        };
        let proof = &holder.host.chunks;
        let records = std::mem::take(&mut self.records);
        let newborn = self.chunks.newborn(&seen);
        if let Some(read) = newborn.and_then(|newborn| newborn.records) {
            proof.chunk_born(records, read);
        }
        if !proof.holds() {
            seen = seen.iter().map(|seen| Seen::unknown(seen.node)).collect();
        }
        let gone = self.chunks.any_gone(&seen);
        let tag = std::mem::replace(&mut self.tags, Tags::None).only();
        self.chunks.look(&seen, &Between::Appending(tag));
        self.chunks.add_bytes(std::mem::take(&mut self.appended));
        if gone {
            // Releases since 2.2 count what they throw away as dropped.
            self.given_up(holder);
        }
    }

    fn see(&mut self, holder: &Holder) -> Option<Vec<Seen>> {
        if self.blind {
            return None;
        }
        self.memory = self.memory.take().or_else(Memory::open);
        let seen = self.memory.as_mut().and_then(|memory| {
            let in_files = &mut self.in_files;
            in_files.get_or_insert_with(|| holder.uses_files(memory));
            let nodes = holder.chunks(memory)?;
            let see = |known: Known| match known {
                Known::Look(blank) => chunks::see(memory, holder, blank.node)
                    .filter(|_| holder.host.chunks.holds())
                    .unwrap_or(blank),
                Known::AsBefore(seen) => seen,
            };
            Some(self.chunks.known(&nodes).into_iter().map(see).collect())
        });
        self.blind = seen.is_none();
        let host = holder.host;
        self.chunks
            .set_ways(if host.routes.is_proven() && host.chunks.is_proven() {
                Ways::Proven
            } else {
                Ways::Unproven
            });
        seen
    }

    /// How many records each output has given up since the last call.
    fn given_up(&mut self, holder: &Holder) -> BTreeMap<u32, u64> {
        let config = holder.config as *mut host_config;
        let memory = self.memory.as_mut();
        // SAFETY: the engine's own config; only inputs on the engine's thread are looked at.
        let dropped = unsafe { dropped_records(holder.host, holder.layout, config, memory) };
        let mut since = BTreeMap::new();
        for (output, now) in dropped {
            let before = self.dropped.get(&output).copied().unwrap_or(0);
            since.insert(
                output,
                now.map_or(UNKNOWN, |now| now.saturating_sub(before)),
            );
            if let Some(now) = now {
                self.dropped.insert(output, now);
            }
        }
        if since.values().any(|more| *more == UNKNOWN) {
            holder.host.drops.decide(false);
        }
        since
    }
}

/// How many records each output, by its number, has given up; `None`: not known.
///
/// # Safety
/// `config` is the host's own, and this is the engine's thread.
unsafe fn dropped_records(
    host: &Host,
    layout: &host_abi::Layout,
    config: *mut host_config,
    memory: Option<&mut Memory>,
) -> BTreeMap<u32, Option<u64>> {
    let mut all = BTreeMap::new();
    let (Some(by_id), Some(memory)) = (host.functions.output_by_id, memory) else {
        return (0..chunks::OUTPUTS).map(|number| (number, None)).collect();
    };
    for number in 0..chunks::OUTPUTS {
        // SAFETY: as the caller says; NULL for an unknown number.
        let instance = unsafe { by_id(config, number as c_int) };
        if instance.is_null() {
            break;
        }
        let plugin = host::output_plugin(layout, memory, instance as usize);
        // It cannot fail, but 2.1.0 counts what it prints without a format as dropped.
        if plugin.as_deref() == Some("stdout") {
            continue;
        }
        let dropped = host::output_metrics(host, layout, memory, instance)
            // SAFETY: the context of an output of the engine, on its thread.
            .and_then(|context| unsafe { metrics::text(host, context) })
            .map(|text| metrics::count_in(&text, "fluentbit_output_dropped_records_total"));
        all.insert(number, dropped);
    }
    all
}
