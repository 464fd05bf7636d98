//! The traits that a plugin implements, and what it may ask of its host.

use std::os::fd::BorrowedFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use crate::drain::{Drain, DrainStatus};
use crate::event::{RecordFormat, Timestamp};
use crate::metrics::Metrics;
use crate::options::{ConfigError, OptionSpec, Settings};

/// What the host is told of a plugin when it loads it.
#[derive(Debug)]
pub struct PluginInfo {
    /// Name for the configuration's `Name`, lower case.
    pub name: &'static str,
    /// One line for the host's help.
    pub description: &'static str,
    /// Every option.
    pub options: &'static [OptionSpec],
    /// Panic messages of this plugin may quote records: log only where it panicked, not what it said.
    pub sensitive: bool,
}

/// Why [`Input::collect`] is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wake {
    /// The descriptor of [`Input::wake_fd`] is readable.
    Event,
    /// [`Input::TICK`] has passed.
    Tick,
}

/// The host took nothing: the input is paused, or its queue is full. Keep the records and try again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refused;

/// What of an input's records the host still holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pending {
    /// Chunks that are not delivered, and what waits in the ring of a threaded input.
    pub chunks: usize,
    /// Tasks that are being delivered or wait for a retry.
    pub tasks: usize,
}

/// The chunks of an input, numbered from 0 in the order in which they were made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ChunkNews {
    /// How many there have ever been.
    pub born: u64,
    /// The oldest that the host has.
    pub oldest: Option<u64>,
    /// The host keeps them in files, and may throw old ones away for lack of room.
    pub in_files: bool,
    /// Bytes in them, as they were appended, without those of chunks that an output has failed to take.
    pub under_way: u64,
}

/// What of an input's records was routed to one output.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Routed {
    /// Records that came into chunks for it, behind every filter.
    pub kept: u64,
    /// Those of chunks that the host threw away for lack of room.
    pub evicted: u64,
    /// Those of chunks that are still there.
    pub left: u64,
}

/// What has become of an input's records in the host: `kept` were delivered, are `lost` or `left`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct InputAccount {
    /// Records that came into chunks, behind every filter; `None`: not all were counted.
    pub kept: Option<u64>,
    /// Those of chunks that no output wanted.
    pub unwanted: u64,
    /// Those of chunks that some output gave up, or that the host threw away for lack of room.
    pub lost: u64,
    /// Those of chunks that are still there.
    pub left: u64,
    /// Chunks that the host threw away.
    pub evicted_chunks: u64,
    /// The same for each output, by its name.
    pub outputs: Vec<(String, Routed)>,
}

/// What an input may ask of the host. Valid during one callback only.
pub trait InputHost {
    /// Header form to write.
    fn record_format(&self) -> RecordFormat;

    /// Hands over `records` encoded records. `tag` `None`: the instance's own tag.
    ///
    /// # Errors
    /// [`Refused`]: nothing was taken.
    fn append(&mut self, tag: Option<&str>, records: usize, events: &[u8]) -> Result<(), Refused>;

    /// The instance's own tag, if the host tells.
    fn tag(&self) -> Option<&str>;

    /// The host has paused this input.
    fn is_paused(&self) -> bool;

    /// The engine is shutting down: what is appended now is the last.
    fn is_stopping(&self) -> bool;

    /// Asks the engine to dispatch what it has now instead of at the next flush.
    fn flush(&mut self);

    /// Ends the engine, once; it delivers what it has and the process exits with `status`. `false`:
    /// what was appended is still on its way to the engine, or the host is about to stop or to
    /// reload, so ask again at the next tick.
    fn exit(&mut self, status: i32) -> bool;

    /// What of this input a crash of the host would lose: what is neither delivered nor in the
    /// host's files; `None`: this host does not tell.
    fn pending(&self) -> Option<Pending>;

    /// The parsers of the host's configuration, to be kept until `exit`; `None`: this host does
    /// not give them.
    fn parsers(&self) -> Option<Box<dyn Parsers>> {
        None
    }

    /// A stream of lines through the host's multiline parsers of these names, tried in order; to
    /// be dropped before the plugin's `exit` returns.
    ///
    /// # Errors
    /// The name that the host does not know; an empty one: this host has no multiline engine.
    fn multiline(&self, parsers: &[&str]) -> Result<Box<dyn Multiline>, String> {
        let _ = parsers;
        Err(String::new())
    }

    /// A regular expression in the host's own syntax (Onigmo, that of Ruby).
    ///
    /// # Errors
    /// The host has none to give, or `pattern` is none.
    fn regex(&self, pattern: &str) -> Result<Box<dyn HostRegex>, RegexError> {
        let _ = pattern;
        Err(RegexError::Unavailable)
    }

    /// Adds a number for every chunk that a crash of the host would lose and that may have records
    /// of this input. A number stands for one chunk as long as it is there, and may stand for
    /// another one only after that. `false`: this host does not tell.
    fn undelivered(&self, _chunks: &mut Vec<u64>) -> bool {
        false
    }

    /// The chunks of this input; `None`: this host does not tell. What was appended is in the chunk
    /// that was open then, or in one that was made for it.
    fn chunks(&self) -> Option<ChunkNews> {
        None
    }

    /// The oldest chunk of those that have gone since the last call without being delivered to
    /// every output: thrown away for lack of room, or given up.
    fn take_lost(&mut self) -> Option<u64> {
        None
    }

    /// How many of the newest appends have not come to the engine, where that has a thread of its own;
    /// `None`: this host does not tell.
    fn on_their_way(&self) -> Option<u64> {
        Some(0)
    }

    /// How long after an append its records may be in no chunk yet: where filters hold them back.
    /// `None`: longer than anybody can tell now.
    fn delay(&self) -> Option<Duration> {
        Some(Duration::ZERO)
    }

    /// What the database of the host's own `tail` at `db` says, read with the host's SQLite. The
    /// caller has copied it, so it may be opened as it likes; `None`: it cannot be read.
    fn stock_positions(&self, _db: &Path) -> Option<Vec<StockPosition>> {
        None
    }

    /// The other inputs of this engine that are the host's own `tail`, whether they have begun or not.
    fn stock_tails(&self) -> Vec<StockTail> {
        Vec::new()
    }

    /// Where to register counters.
    fn metrics(&self) -> &Metrics;
}

/// An input that is the host's own `tail`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StockTail {
    /// Its alias, or its name with a number.
    pub name: String,
    /// Its options `path` and `exclude_path`.
    pub path: String,
    /// See there.
    pub exclude_path: String,
    /// Its option `db`.
    pub db: Option<PathBuf>,
}

/// A row of `in_tail_files`, the table of the host's own `tail`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StockPosition {
    /// Path (column `name`); bytes, since nothing makes it UTF-8.
    pub path: Vec<u8>,
    /// Column `inode`.
    pub inode: u64,
    /// Column `offset`.
    pub offset: u64,
}

/// An input plugin. All calls come from one thread.
pub trait Input: Sized + 'static {
    /// Name, options.
    const INFO: PluginInfo;
    /// How often [`Input::collect`] is called without an event.
    const TICK: Duration;

    /// Starts reading.
    ///
    /// # Errors
    /// The host's start stops with this message.
    fn init(settings: &Settings, host: &mut dyn InputHost) -> Result<Self, ConfigError>;

    /// A descriptor whose readiness calls [`Input::collect`]; it must stay open until `exit`.
    fn wake_fd(&self) -> Option<BorrowedFd<'_>>;

    /// Hands records to the host. Never waits.
    fn collect(&mut self, wake: Wake, host: &mut dyn InputHost);

    /// The host paused the input (memory limit, shutdown). Its collectors are stopped already;
    /// called again at shutdown, so it must not matter how often.
    fn pause(&mut self, host: &mut dyn InputHost);

    /// The host resumed the input; its collectors run again.
    fn resume(&mut self, _host: &mut dyn InputHost) {}

    /// For the one who waits until all is read.
    fn drain_handle(&self) -> Option<Arc<dyn Drain>> {
        None
    }

    /// The instance is about to end: the engine has delivered what it could, and can be asked for the
    /// last time.
    fn ending(&mut self, _host: &mut dyn InputHost) {}

    /// The instance ends: join threads, give back everything.
    fn exit(self);
}

/// A batch of records on its way through a filter.
#[derive(Clone, Copy, Debug)]
pub struct Chunk<'a> {
    /// The records in the host's event format ([`crate::event::records`]).
    pub data: &'a [u8],
    /// Tag of the batch; bytes, since nothing makes it UTF-8.
    pub tag: &'a [u8],
}

/// What a filter made of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The batch goes on as it was; the output buffer is ignored.
    Unchanged,
    /// The output buffer replaces the batch. Empty: every record is dropped.
    Replaced,
}

/// What a filter may ask of the host at initialisation.
pub trait FilterHost {
    /// Where to register counters.
    fn metrics(&self) -> &Metrics;

    /// The parsers of the host's configuration, to be kept until `exit`; `None`: this host does
    /// not give them.
    fn parsers(&self) -> Option<Box<dyn Parsers>> {
        None
    }
}

/// The parsers of the host's configuration. Valid as long as the plugin; to be used in callbacks only.
pub trait Parsers: Send {
    /// The parser of this name.
    fn get(&self, name: &str) -> Option<Box<dyn Parser>>;
}

/// One of the host's parsers. To be used in callbacks only.
pub trait Parser: Send {
    /// Reads `text` and appends what it holds to `fields` as one msgpack map; the time it holds.
    /// `None`: it does not match, and nothing was appended.
    fn parse(&mut self, text: &[u8], fields: &mut Vec<u8>) -> Option<ParsedTime>;
}

/// One of the host's regular expressions. To be used on one thread at a time.
pub trait HostRegex: Send {
    /// Searches `text` and calls `group(name, value)` for every named group that matched something.
    /// `false`: the text does not match, or the expression has no named groups.
    fn named_groups(&self, text: &[u8], group: &mut dyn FnMut(&[u8], &[u8])) -> bool;
}

/// Why there is no [`HostRegex`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RegexError {
    /// This host does not give its own.
    Unavailable,
    /// The host does not take the pattern.
    Invalid,
}

/// Joins lines to records with the host's multiline parsers. To be used in callbacks only.
///
/// A record's body has the joined text at the key `log`, or what the multiline parser's own
/// parser made of it. Pending lines stay inside until the next first line or [`Multiline::flush`]:
/// nothing here counts time.
pub trait Multiline: Send {
    /// Adds a line without its newline; appends finished records to `out` and says how many.
    fn push(&mut self, line: &[u8], time: Timestamp, out: &mut Vec<u8>) -> usize;

    /// Lets the pending record out.
    fn flush(&mut self, out: &mut Vec<u8>) -> usize;

    /// Whether a line is inside; `None`: nobody tells.
    fn is_pending(&self) -> Option<bool> {
        None
    }

    /// How long its parsers let a record wait for more lines; `None`: nobody tells.
    fn patience(&self) -> Option<Duration> {
        None
    }
}

/// The time that a parser found in a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ParsedTime {
    /// This time.
    At(Timestamp),
    /// None: the event keeps its own.
    Absent,
}

/// A filter plugin. Calls are serialised, but may come from different threads.
///
/// A whole one, which adds a field to each record, and its test:
///
/// ```
/// use flb_sidecar_sdk::event::{self, RecordFormat, RecordKind, Timestamp};
/// use flb_sidecar_sdk::fake::FakeHost;
/// use flb_sidecar_sdk::msgpack::{self, Value};
/// use flb_sidecar_sdk::{
///     Chunk, ConfigError, Filter, FilterHost, Kind, OptionSpec, PluginInfo, Settings, Verdict,
/// };
///
/// const OPTIONS: &[OptionSpec] =
///     &[OptionSpec::new("greeting", Kind::String, "What each record says.").default("hello")];
///
/// struct Hello {
///     greeting: String,
/// }
///
/// impl Filter for Hello {
///     const INFO: PluginInfo = PluginInfo {
///         name: "hello",
///         description: "Adds a greeting to each record",
///         options: OPTIONS,
///         sensitive: false,
///     };
///
///     fn init(settings: &Settings, _: &mut dyn FilterHost) -> Result<Self, ConfigError> {
///         let greeting = settings.string("greeting").unwrap_or_default();
///         if greeting.is_empty() {
///             return Err(ConfigError::value("greeting", greeting, "a text that is not empty"));
///         }
///         Ok(Hello { greeting: greeting.to_owned() })
///     }
///
///     fn filter(&mut self, chunk: Chunk<'_>, out: &mut Vec<u8>) -> Verdict {
///         for record in event::records(chunk.data) {
///             // What cannot be read goes on as it is.
///             let Ok(record) = record else {
///                 return Verdict::Unchanged;
///             };
///             let map = match record.kind {
///                 RecordKind::Log => msgpack::read(chunk.data, record.body),
///                 RecordKind::Opaque => None,
///             };
///             if let Some((Value::Map(pairs), first)) = map {
///                 out.extend_from_slice(&chunk.data[record.start..record.body]);
///                 msgpack::write_map_len(out, pairs + 1);
///                 out.extend_from_slice(&chunk.data[first..record.end]);
///                 msgpack::write_str(out, "greeting");
///                 msgpack::write_str(out, &self.greeting);
///             } else {
///                 out.extend_from_slice(&chunk.data[record.start..record.end]);
///             }
///         }
///         Verdict::Replaced
///     }
/// }
///
/// let settings = Settings::new("hello.0", OPTIONS, [("greeting", "good day")])?;
/// let mut filter = Hello::init(&settings, &mut FakeHost::default())?;
/// let mut data = Vec::new();
/// event::begin_record(&mut data, RecordFormat::WithMetadata, Timestamp::now());
/// msgpack::write_map_len(&mut data, 0);
/// let mut out = Vec::new();
/// let verdict = filter.filter(Chunk { data: &data, tag: b"app" }, &mut out);
/// assert_eq!(verdict, Verdict::Replaced);
/// assert!(out.ends_with(b"\x81\xa8greeting\xa8good day"));
/// # Ok::<(), ConfigError>(())
/// ```
pub trait Filter: Sized + Send + 'static {
    /// Name, options.
    const INFO: PluginInfo;

    /// Gets ready.
    ///
    /// # Errors
    /// The host's start stops with this message.
    fn init(settings: &Settings, host: &mut dyn FilterHost) -> Result<Self, ConfigError>;

    /// Looks at a batch; on a change writes the whole new batch into `out`, which is empty.
    fn filter(&mut self, chunk: Chunk<'_>, out: &mut Vec<u8>) -> Verdict;

    /// [`Filter::filter`] panicked on this batch; what goes on instead. By default the batch as it was.
    fn recover(&mut self, _chunk: Chunk<'_>, _out: &mut Vec<u8>) -> Verdict {
        Verdict::Unchanged
    }

    /// The instance ends.
    fn exit(self) {}
}

/// What has passed through an output's flush since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FlushCounts {
    /// Flush calls.
    pub flushes: u64,
    /// Records in them.
    pub records: u64,
    /// Bytes in them.
    pub bytes: u64,
}

/// What the engine knows of one of its inputs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct InputInfo {
    /// Name of the instance.
    pub name: String,
    /// Name of its plugin, such as `tail`; empty: this host does not tell.
    pub plugin: String,
    /// It runs on a thread of its own, so what it appends waits in a ring first.
    pub threaded: bool,
    /// What of it is not delivered; `None`: this host does not tell.
    pub pending: Option<Pending>,
    /// The input can be drained, and is this far.
    pub drain: Option<DrainStatus>,
}

/// What the engine knows of one of its outputs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OutputInfo {
    /// Name of the instance.
    pub name: String,
    /// Its number, as [`ChunkInfo::outputs`] has it; `None`: this host does not tell.
    pub number: Option<u32>,
    /// Name of its plugin, such as `http`; empty: this host does not tell.
    pub plugin: String,
    /// Times a chunk is tried again before it is dropped.
    pub retry_limit: RetryLimit,
    /// Records delivered since the start; `None`: this host does not tell.
    pub delivered_records: Option<u64>,
    /// Retries since the start; `None`: this host does not tell.
    pub retries: Option<u64>,
    /// Records given up since the start; `None`: this host does not tell.
    pub dropped_records: Option<u64>,
    /// Deliveries that ended in an error or used up their retries; `None`: this host does not tell.
    pub failures: Option<u64>,
}

/// A chunk of an input that is not followed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ChunkInfo {
    /// Tells it apart from the others of one moment. A later chunk may have it again.
    pub key: u64,
    /// Tells its input apart from the others of the engine.
    pub input: u64,
    /// `None`: this host does not tell.
    pub records: Option<u64>,
    /// A bit per output that it may still go to, by number; 0: this host does not tell.
    pub outputs: u64,
    /// It is being delivered, or waits to be tried again.
    pub has_task: bool,
    /// Chunks of one kind go to the same outputs, unless one has no room for a new one; `None`: not known.
    pub kind: Option<u64>,
    /// It is from an earlier run.
    pub from_before: bool,
}

/// How many records have come into chunks, and what filters made of them, since the start.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Flow {
    /// Of inputs that are followed, before any filter.
    pub followed: u64,
    /// Of each other input, by [`ChunkInfo::input`], before any filter.
    pub others: Vec<(u64, u64)>,
    /// Taken out by all filters together.
    pub taken_out: u64,
    /// Added by all filters together.
    pub added: u64,
}

/// What an earlier run has left in files.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Backlog {
    /// Chunks that the host has not loaded yet.
    pub unloaded: u64,
    /// Records of all that it has loaded so far; `None`: this host does not tell.
    pub loaded_records: Option<u64>,
}

/// A chunk that is being delivered or waits to be tried again.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TaskInfo {
    /// Tells it apart from the others of one moment. A later task may have it again.
    pub key: u64,
    /// Names of the outputs that it goes or went to.
    pub outputs: Vec<String>,
    /// The outputs that have failed to take it and will be tried again, or are right now.
    pub retries: Vec<Retry>,
}

/// A delivery that has failed before.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Retry {
    /// For [`EngineHost::retry_now`].
    pub key: u64,
    /// Name of the output.
    pub output: String,
    /// How many attempts there may be, at least 1: the host drops the chunk when the last one fails.
    pub left: u32,
}

/// How often an output tries a chunk again (`Retry_Limit`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RetryLimit {
    /// This host does not tell.
    #[default]
    Unknown,
    /// This many times; 0 is `no_retries`.
    Times(u32),
    /// Until it is delivered (`no_limits`, `false`).
    Unlimited,
}

/// Ends the process whatever the host does. For any thread, also after the instance is gone.
pub trait ProcessEnd: Send + Sync {
    /// How long ago the first SIGTERM came that was kept from the host.
    fn terminated(&self) -> Option<Duration>;

    /// Writes the instance's log lines that wait. That may take for ever, if nobody reads them.
    fn last_words(&self);

    /// Ends the process with `status`. Nothing of the host or of ours is cleaned up. Never waits for
    /// anything.
    fn end(&self, status: i32);
}

/// What an output may ask of the engine. Valid during one callback only.
pub trait EngineHost {
    /// Tells the engine apart from the others that live at the same time.
    fn engine(&self) -> usize;

    /// Every input of the engine, ours and others.
    fn inputs(&self) -> Vec<InputInfo>;

    /// Asks every input that can to drain within `deadline`.
    fn request_drain(&mut self, deadline: Duration);

    /// What each draining input read per file: JSON arrays as [`Drain::report`] has them.
    fn drain_reports(&self) -> Vec<(String, String)>;

    /// Tasks being delivered (on hosts before 2.0.0 without those that wait for a retry).
    fn running_tasks(&self) -> Option<usize>;

    /// The tasks of every input; `None`: this host does not tell.
    fn tasks(&self) -> Option<Vec<TaskInfo>> {
        None
    }

    /// What has become of the records of the inputs that are followed, by their names. Takes its time
    /// where there are many chunks.
    fn accounts(&self) -> Vec<(String, InputAccount)> {
        Vec::new()
    }

    /// The chunks that some output wants of the inputs that are not followed; `None`: this host does
    /// not tell.
    fn chunks(&self) -> Option<Vec<ChunkInfo>> {
        None
    }

    /// Records that the host has put into chunks since the start, before any filter, of each input that
    /// cannot be drained, by its name. One that is missing is not told.
    fn received(&self) -> Vec<(String, u64)> {
        Vec::new()
    }

    /// The host counts what it throws away for lack of room as dropped.
    fn counts_evictions(&self) -> bool {
        true
    }

    /// What inputs and filters have counted so far; `None`: this host does not tell, or some of its filters or
    /// inputs may take out records uncounted.
    fn flow(&self) -> Option<Flow> {
        None
    }

    /// Records that filters `rewrite_tag` have taken out and could not give back, since their emitters took
    /// no more; `None`: there is none, or this host does not tell.
    fn lost_in_filters(&self) -> Option<u64> {
        None
    }

    /// Records that threaded inputs of ours have given to the host and that it did not take out of their
    /// rings into chunks, though the rings are empty; `None`: this host does not tell.
    fn lost_in_rings(&self) -> Option<u64> {
        None
    }

    /// What an earlier run has left in files, and is not lost while it is there; `None`: there are no
    /// files, or this host does not tell.
    fn backlog(&self) -> Option<Backlog> {
        None
    }

    /// Tries again at once what waits for it; how many of `retries` that were. `None`: this host
    /// has no safe way.
    fn retry_now(&mut self, _retries: &[u64]) -> Option<usize> {
        None
    }

    /// Chunks in memory and on the filesystem; `None` before 4.0.3.
    fn storage_chunks(&self) -> Option<(usize, usize)>;

    /// What this output's flush saw.
    fn flushed(&self) -> FlushCounts;

    /// The engine is shutting down already.
    fn is_stopping(&self) -> bool;

    /// Dispatches every chunk now instead of at the next flush.
    fn flush(&mut self);

    /// Ends the engine, once; the process exits with `status`. `false`: the host has been told to
    /// stop or to reload and is about to, so ask again at the next tick unless it stops.
    fn exit(&mut self, status: i32) -> bool;

    /// Bounds the time that the host itself waits for deliveries once it ends (its `Grace`),
    /// where the host has such a limit and it is longer. For an exit at a deadline.
    fn limit_grace(&mut self, _limit: Duration) {}

    /// For a thread that sees to it that the process ends; `None`: not possible here.
    fn process_end(&self) -> Option<Arc<dyn ProcessEnd>> {
        None
    }

    /// The engine may be stopping for a hot reload, so that the process lives on.
    fn may_reload(&self) -> bool {
        false
    }

    /// Every output of the engine, ours and others; empty: this host does not tell.
    fn outputs(&self) -> Vec<OutputInfo> {
        Vec::new()
    }

    /// Keeps SIGTERM from the host and notes it instead ([`EngineHost::terminate_requested`]).
    /// A second SIGTERM goes to the host, which stops at once. `false`: not possible here.
    fn take_over_sigterm(&mut self) -> bool {
        false
    }

    /// How long ago the first SIGTERM came that was kept from the host. It stays noted across a
    /// hot reload, since the process was told to end.
    fn terminate_requested(&mut self) -> Option<Duration> {
        None
    }

    /// Where to register counters.
    fn metrics(&self) -> &Metrics;
}

/// An output plugin that watches the engine.
///
/// There is no flush callback on purpose: the host calls it on a coroutine stack of 24 KiB
/// without a guard page, which no Rust code that may format or panic should run on. The border
/// counts what comes ([`EngineHost::flushed`]) and acknowledges it.
pub trait Output: Sized + 'static {
    /// Name, options.
    const INFO: PluginInfo;
    /// How often [`Output::tick`] is called, from the engine's thread.
    const TICK: Duration;

    /// Gets ready.
    ///
    /// # Errors
    /// The host's start stops with this message.
    fn init(settings: &Settings, host: &mut dyn EngineHost) -> Result<Self, ConfigError>;

    /// Looks around. Never waits.
    fn tick(&mut self, host: &mut dyn EngineHost);

    /// The instance ends: join threads, give back everything.
    fn exit(self);
}
