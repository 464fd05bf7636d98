//! When to look at chunks that no input of ours follows, and what was seen to be lost of them.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use flb_sidecar_sdk::{EngineHost, InputAccount};

use crate::account::{Others, Unfollowed};
use crate::backlog::Unloaded;
use crate::balance::Routes;
use crate::delivery::believed;
use crate::evictions::{bits, Counting, Evictions};

/// Where every loss is counted by the host, too.
const RARELY: Duration = Duration::from_secs(1);
/// Where the next chunk may come at any moment.
const OFTEN: Duration = Duration::from_millis(100);
/// Where the moment tells what became of a chunk: at every tick.
const ALWAYS: Duration = Duration::ZERO;
/// Looks may take this part of the time.
const SHARE: u32 = 50;

/// What is known of losses that inputs of ours do not see.
#[derive(Debug, Default)]
pub(crate) struct Losses {
    evictions: Evictions,
    routes: Routes,
    unloaded: Unloaded,
    next: Duration,
    told: bool,
}

impl Losses {
    /// Before the engine runs, and throws anything away.
    pub(crate) fn new(host: &dyn EngineHost) -> Self {
        let mut losses = Losses::default();
        if let Some(backlog) = host.backlog() {
            losses.unloaded.observe(backlog, &[]);
        }
        losses
    }

    /// Looks if it is time.
    pub(crate) fn look(&mut self, now: Duration, host: &dyn EngineHost) {
        if now < self.next {
            return;
        }
        let began = Instant::now();
        self.look_now(host);
        let counting = host.counts_evictions();
        let time = match (counting, self.unloaded.is_over()) {
            (_, false) => ALWAYS,
            (true, true) => RARELY,
            (false, true) if self.evictions.sees_some() => ALWAYS,
            (false, true) => OFTEN,
        };
        self.next = now + time.max((began.elapsed() * SHARE).min(RARELY));
    }

    /// Looks in any case: what is asked next shall be up to date.
    pub(crate) fn look_now(&mut self, host: &dyn EngineHost) {
        let Some(chunks) = host.chunks() else {
            return;
        };
        let counting = if host.counts_evictions() {
            Counting::AsDropped
        } else {
            Counting::Nowhere
        };
        let outputs = believed(host.outputs());
        self.evictions.observe(&chunks, &outputs, counting);
        self.routes.observe(&chunks);
        if !self.unloaded.is_over() {
            if let Some(backlog) = host.backlog() {
                self.unloaded.observe(backlog, &chunks);
            }
        }
    }

    /// Says once that the host throws chunks away.
    pub(crate) fn tell(&mut self, host: &dyn EngineHost) {
        if self.told {
            return;
        }
        let accounts = host.accounts();
        let followed = accounts.iter().map(|(_, account)| account.evicted_chunks);
        if self.chunks().saturating_add(followed.sum()) == 0 {
            return;
        }
        self.told = true;
        tracing::warn!(
            "the host throws chunks away for lack of room (storage.total_limit_size): \
             what was in them is lost, and the report counts them"
        );
    }

    /// How many chunks are known to have been thrown away.
    pub(crate) fn chunks(&self) -> u64 {
        let unloaded = self.unloaded.evicted();
        self.evictions.chunks().saturating_add(unloaded)
    }

    /// What is known of the records of those inputs for each output, by its number.
    pub(crate) fn records(
        &self,
        host: &dyn EngineHost,
        followed: &[(String, InputAccount)],
    ) -> BTreeMap<u32, Unfollowed> {
        let mut records: BTreeMap<u32, Unfollowed> = BTreeMap::new();
        for (output, lost) in self.evictions.lost() {
            records.entry(*output).or_default().lost = *lost;
        }
        let sent = host
            .flow()
            .and_then(|flow| self.routes.sent(&flow, followed));
        let Some(sent) = sent else {
            return records;
        };
        for (output, sent) in sent {
            records.entry(output).or_default().sent = Some(sent);
        }
        for chunk in host.chunks().unwrap_or_default() {
            for output in bits(chunk.outputs) {
                let left = &mut records.entry(output).or_default().left;
                *left = left.saturating_add(chunk.records.unwrap_or(0));
            }
        }
        records
    }

    /// Whether inputs that are not followed have sent anything.
    pub(crate) fn others(&self) -> Others {
        self.evictions.others()
    }
}
