//! A host for tests: takes records, refuses on demand, and is asked afterwards what it got.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use crate::event::{self, RecordFormat, RecordKind};
use crate::metrics::Metrics;
use crate::plugin::{
    EngineHost, FilterHost, FlushCounts, InputHost, InputInfo, OutputInfo, Pending, ProcessEnd,
    Refused, StockPosition, StockTail,
};

/// A process that nothing ends.
#[derive(Debug)]
pub struct FakeEnd;

impl ProcessEnd for FakeEnd {
    fn terminated(&self) -> Option<Duration> {
        None
    }

    fn last_words(&self) {}

    fn end(&self, _status: i32) {}
}

/// A host whose answers are fields.
#[derive(Debug)]
pub struct FakeHost {
    /// Header form that inputs write.
    pub format: RecordFormat,
    /// Refuse appends, as a paused input does.
    pub paused: bool,
    /// The engine shuts down.
    pub stopping: bool,
    /// What was appended: tag and record bytes of each call.
    pub appended: Vec<(Option<String>, Vec<u8>)>,
    /// Number of flushes asked for.
    pub flushes: usize,
    /// Answer to [`InputHost::pending`].
    pub pending: Option<Pending>,
    /// Answer to [`EngineHost::inputs`].
    pub inputs: Vec<InputInfo>,
    /// Answer to [`EngineHost::received`].
    pub received: Vec<(String, u64)>,
    /// Answer to [`EngineHost::running_tasks`].
    pub tasks: Option<usize>,
    /// Answer to [`EngineHost::storage_chunks`].
    pub chunks: Option<(usize, usize)>,
    /// Answer to [`EngineHost::flushed`].
    pub flushed: FlushCounts,
    /// Deadlines of the drains asked for.
    pub drains: Vec<Duration>,
    /// Answer to [`EngineHost::drain_reports`].
    pub reports: Vec<(String, String)>,
    /// Answer to [`EngineHost::outputs`].
    pub outputs: Vec<OutputInfo>,
    /// Answer to [`EngineHost::take_over_sigterm`].
    pub gives_sigterm: bool,
    /// SIGTERM was taken over.
    pub sigterm_taken: bool,
    /// Answer to [`EngineHost::terminate_requested`].
    pub terminated: Option<Duration>,
    /// Limits of the grace asked for.
    pub graces: Vec<Duration>,
    /// [`EngineHost::exit`] is refused.
    pub about_to_stop: bool,
    /// Answer to [`EngineHost::process_end`].
    pub process_end: Option<Arc<FakeEnd>>,
    /// Exit statuses asked for.
    pub exits: Vec<i32>,
    /// Answer to [`InputHost::undelivered`].
    pub undelivered: Option<Vec<u64>>,
    /// What [`InputHost::on_their_way`] says.
    pub on_their_way: u64,
    /// Answer to [`InputHost::delay`].
    pub delay: Option<Duration>,
    /// Answer to [`InputHost::stock_positions`].
    pub stock: Option<Vec<StockPosition>>,
    /// Answer to [`InputHost::stock_tails`].
    pub stock_tails: Vec<StockTail>,
    /// Registered series.
    pub metrics: Metrics,
}

impl Default for FakeHost {
    fn default() -> Self {
        FakeHost {
            format: RecordFormat::WithMetadata,
            paused: false,
            stopping: false,
            appended: Vec::new(),
            flushes: 0,
            pending: None,
            inputs: Vec::new(),
            received: Vec::new(),
            tasks: None,
            chunks: None,
            flushed: FlushCounts::default(),
            drains: Vec::new(),
            reports: Vec::new(),
            outputs: Vec::new(),
            gives_sigterm: false,
            sigterm_taken: false,
            terminated: None,
            graces: Vec::new(),
            about_to_stop: false,
            process_end: None,
            exits: Vec::new(),
            undelivered: None,
            on_their_way: 0,
            delay: Some(Duration::ZERO),
            stock: None,
            stock_tails: Vec::new(),
            metrics: Metrics::default(),
        }
    }
}

impl FakeHost {
    /// The bodies of all appended records as JSON, in order.
    ///
    /// # Panics
    /// When an appended buffer is not a row of log records.
    pub fn bodies(&self) -> Vec<serde_json::Value> {
        let mut bodies = Vec::new();
        for (_, data) in &self.appended {
            for record in event::records(data) {
                let record = record.expect("appended records are whole");
                assert_eq!(
                    record.kind,
                    RecordKind::Log,
                    "appended records are log records"
                );
                bodies.push(
                    crate::json::read(data, record.body)
                        .expect("a body is msgpack")
                        .0,
                );
            }
        }
        bodies
    }
}

impl InputHost for FakeHost {
    fn record_format(&self) -> RecordFormat {
        self.format
    }

    fn append(&mut self, tag: Option<&str>, records: usize, events: &[u8]) -> Result<(), Refused> {
        if self.paused {
            return Err(Refused);
        }
        assert_eq!(
            event::records(events).filter(Result::is_ok).count(),
            records,
            "the record count of an append is right"
        );
        self.appended
            .push((tag.map(str::to_owned), events.to_vec()));
        Ok(())
    }

    fn tag(&self) -> Option<&str> {
        Some("fake.0")
    }

    fn is_paused(&self) -> bool {
        self.paused
    }

    fn is_stopping(&self) -> bool {
        self.stopping
    }

    fn flush(&mut self) {
        self.flushes += 1;
    }

    fn exit(&mut self, status: i32) -> bool {
        self.exits.push(status);
        self.stopping = true;
        true
    }

    fn pending(&self) -> Option<Pending> {
        self.pending
    }

    fn undelivered(&self, chunks: &mut Vec<u64>) -> bool {
        chunks.extend(self.undelivered.iter().flatten());
        self.undelivered.is_some()
    }

    fn on_their_way(&self) -> Option<u64> {
        Some(self.on_their_way)
    }

    fn delay(&self) -> Option<Duration> {
        self.delay
    }

    fn stock_positions(&self, db: &Path) -> Option<Vec<StockPosition>> {
        self.stock.clone().filter(|_| db.is_file())
    }

    fn stock_tails(&self) -> Vec<StockTail> {
        self.stock_tails.clone()
    }

    fn metrics(&self) -> &Metrics {
        &self.metrics
    }
}

impl FilterHost for FakeHost {
    fn metrics(&self) -> &Metrics {
        &self.metrics
    }
}

impl EngineHost for FakeHost {
    fn engine(&self) -> usize {
        std::ptr::from_ref(self) as usize
    }

    fn inputs(&self) -> Vec<InputInfo> {
        self.inputs.clone()
    }

    fn request_drain(&mut self, deadline: Duration) {
        self.drains.push(deadline);
    }

    fn drain_reports(&self) -> Vec<(String, String)> {
        self.reports.clone()
    }

    fn received(&self) -> Vec<(String, u64)> {
        self.received.clone()
    }

    fn running_tasks(&self) -> Option<usize> {
        self.tasks
    }

    fn storage_chunks(&self) -> Option<(usize, usize)> {
        self.chunks
    }

    fn flushed(&self) -> FlushCounts {
        self.flushed
    }

    fn is_stopping(&self) -> bool {
        self.stopping
    }

    fn flush(&mut self) {
        self.flushes += 1;
    }

    fn exit(&mut self, status: i32) -> bool {
        if self.about_to_stop {
            return false;
        }
        self.exits.push(status);
        self.stopping = true;
        true
    }

    fn limit_grace(&mut self, limit: Duration) {
        self.graces.push(limit);
    }

    fn process_end(&self) -> Option<Arc<dyn ProcessEnd>> {
        self.process_end
            .clone()
            .map(|end| end as Arc<dyn ProcessEnd>)
    }

    fn outputs(&self) -> Vec<OutputInfo> {
        self.outputs.clone()
    }

    fn take_over_sigterm(&mut self) -> bool {
        self.sigterm_taken = self.gives_sigterm;
        self.gives_sigterm
    }

    fn terminate_requested(&mut self) -> Option<Duration> {
        self.terminated
    }

    fn metrics(&self) -> &Metrics {
        &self.metrics
    }
}
