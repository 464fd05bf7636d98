//! The batch of records that is being made, on its way to the host.

use std::os::unix::ffi::OsStrExt;

use flb_sidecar_sdk::event::RecordFormat;

use crate::context::Context;
use crate::host::queue::{Item, Shared};
use crate::options::Options;
use crate::read::charset::Code;
use crate::read::decode::Joined;
use crate::read::encode::{Batch, Encoder};
use crate::read::lines::Piece;
use crate::track::file::{FileId, TrackedFile};
use crate::track::fingerprint::Identity;

/// A batch goes to the queue when it is this long.
const BATCH: usize = 192 << 10;

/// What lines become records in.
#[derive(Debug)]
pub(crate) struct Outbox {
    encoder: Encoder,
    batch: Batch,
}

impl Outbox {
    pub(crate) fn new(options: &Options, format: RecordFormat) -> Self {
        Outbox {
            encoder: Encoder::new(options, format),
            batch: Batch::default(),
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.batch.is_empty()
    }

    /// Has the batch be one for this file.
    pub(crate) fn begin_batch(&mut self, ctx: &Context, id: FileId, file: &TrackedFile) {
        let alone = ctx.options.join.is_some();
        let last = self.batch.reaches.last();
        let other = alone && last.is_some_and(|r| r.file != id || r.epoch != file.epoch);
        if !self.batch.is_empty() && (self.batch.tag != file.tag || other) {
            self.send(&ctx.shared);
        }
        if self.batch.is_empty() {
            self.batch.tag.clone_from(&file.tag);
            self.batch.name = alone.then(|| file.name.clone());
        }
    }

    /// What comes next are lines of this file; how many records there are before them.
    pub(crate) fn begin(&mut self, ctx: &Context, id: FileId, file: &TrackedFile) -> usize {
        self.begin_batch(ctx, id, file);
        let name = file.name.as_os_str().as_bytes();
        self.encoder.begin(name, ctx.time.timestamp());
        self.batch.records
    }

    /// A piece of the file's text, in one part or two.
    pub(crate) fn piece(
        &mut self,
        ctx: &Context,
        file: (&Identity, Code, &mut Joined),
        at: (Piece, u64),
        text: (&[u8], &[u8]),
    ) {
        self.encoder
            .piece(&mut self.batch, &ctx.counters, file, at, text);
    }

    /// Pieces whose next one does not come.
    pub(crate) fn rest(&mut self, pieces: &mut Joined) {
        self.encoder.rest(&mut self.batch, pieces);
    }

    /// So many bytes of a file are in the batch now, which had `records` before, and all of it up to
    /// `offset`, if that is known.
    pub(crate) fn end(
        &mut self,
        ctx: &Context,
        (id, epoch): (FileId, u32),
        (offset, bytes): (Option<u64>, u64),
        records: usize,
    ) {
        ctx.counters.bytes.add(bytes);
        ctx.counters
            .lines
            .add((self.batch.records - records) as u64);
        if let Some(offset) = offset {
            self.batch.reached(id, epoch, offset, bytes);
        }
    }

    /// Sends it, if it is long enough.
    pub(crate) fn send_full(&mut self, shared: &Shared) -> bool {
        let full = self.batch.events.len() >= BATCH;
        if full {
            self.send(shared);
        }
        full
    }

    /// Sends what has been collected, however little.
    pub(crate) fn flush(&mut self, shared: &Shared) {
        if !self.batch.is_empty() {
            self.send(shared);
        }
    }

    fn send(&mut self, shared: &Shared) {
        let next = Batch {
            events: shared.spare_buffer(),
            ..Batch::default()
        };
        shared.push(Item::Batch(std::mem::replace(&mut self.batch, next)));
    }
}
