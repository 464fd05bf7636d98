//! Lines joined by the host's multiline parsers, or in one of the older ways. Runs on the host's
//! thread: its parsers are not for any other. Each file has a stream of its own.

use std::collections::HashMap;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use flb_sidecar_sdk::event::{self, Record, RecordFormat};
use flb_sidecar_sdk::msgpack::{self, Value};
use flb_sidecar_sdk::{ConfigError, InputHost, Multiline, Parser, Parsers};
use tracing::{error, warn};

use crate::host::joined_lines::Waiting;
use crate::host::legacy_join::{DockerMode, FirstLine};
use crate::host::parser;
use crate::options::Options;
use crate::read::encode::{Batch, Reach};
use crate::track::file::FileId;

/// Keys of the records that the worker writes for this module: short, and only for inside.
pub(crate) const LINE: &str = "l";
pub(crate) const OFFSET: &str = "o";

/// How long the host's own parsers let a record wait for more lines.
const PATIENCE: Duration = Duration::from_secs(4);

/// The host's engine's own name for the text of a record.
const TEXT: &str = "log";

/// How lines are joined.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Join {
    /// By the host's multiline parsers of these names.
    Engine(Vec<String>),
    /// By a parser that matches first lines (`multiline`).
    FirstLine {
        first: String,
        others: Vec<String>,
        flush: Duration,
    },
    /// Docker's pieces, parsed afterwards (`docker_mode`); with `first` whole lines, too.
    Docker {
        first: Option<String>,
        parser: Option<String>,
        flush: Duration,
    },
}

/// The streams of an instance.
pub(crate) struct HostMultiline {
    join: Join,
    format: RecordFormat,
    key: String,
    path_key: Option<String>,
    offset_key: Option<String>,
    streams: HashMap<FileId, Stream>,
    joined: Vec<u8>,
    /// The host's parsers, the last to go, since those in the streams belong to them.
    parsers: Option<Box<dyn Parsers>>,
}

struct Stream {
    lines: Box<dyn Multiline>,
    tag: Option<Arc<str>>,
    name: Arc<Path>,
    waiting: Waiting,
    /// How far the lines reach that went in.
    end: Reach,
    last: Instant,
}

impl std::fmt::Debug for HostMultiline {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("HostMultiline")
            .field("join", &self.join)
            .finish_non_exhaustive()
    }
}

impl HostMultiline {
    /// What joins lines as the options say.
    pub(crate) fn new(
        options: &Options,
        join: Join,
        host: &dyn InputHost,
    ) -> Result<Self, ConfigError> {
        let mut made = HostMultiline {
            parsers: host.parsers(),
            format: host.record_format(),
            key: options.key.clone(),
            path_key: options.path_key.clone(),
            offset_key: options.offset_key.clone(),
            streams: HashMap::new(),
            joined: Vec::new(),
            join,
        };
        made.leave_out_unknown();
        let lines = made.lines(host)?;
        if matches!(made.join, Join::Engine(_)) && lines.patience().is_none() {
            warn!(
                "this host does not tell flush_timeout of its multiline parsers: records wait {} s",
                PATIENCE.as_secs()
            );
        }
        Ok(made)
    }

    /// What `docker_mode` names and the host does not have is said and not used, as in the stock tail.
    fn leave_out_unknown(&mut self) {
        let (Join::Docker { first, parser, .. }, Some(parsers)) = (&mut self.join, &self.parsers)
        else {
            return;
        };
        for (option, name) in [("docker_mode_parser", first), ("parser", parser)] {
            if let Some(unknown) = name.take_if(|name| parsers.get(name).is_none()) {
                error!("{}", parser::unknown(option, &unknown));
            }
        }
    }

    /// A stream for one file.
    fn lines(&self, host: &dyn InputHost) -> Result<Box<dyn Multiline>, ConfigError> {
        match &self.join {
            Join::Engine(names) => {
                let names: Vec<&str> = names.iter().map(String::as_str).collect();
                host.multiline(&names).map_err(|unknown| {
                    if unknown.is_empty() {
                        let allowed = "nothing, since this host gives no multiline parsers; see format";
                        ConfigError::value("multiline.parser", &names.join(","), allowed)
                    } else {
                        let allowed = "docker, cri, go, java, python, ruby or the name of a [MULTILINE_PARSER]";
                        ConfigError::value("multiline.parser", &unknown, allowed)
                    }
                })
            }
            Join::FirstLine { first, others, .. } => Ok(Box::new(FirstLine {
                first: self.parser("parser_firstline", first)?,
                others: others
                    .iter()
                    .map(|name| self.parser("parser_N", name))
                    .collect::<Result<_, _>>()?,
                format: self.format,
                key: self.key.clone(),
                pending: None,
            })),
            Join::Docker { first, parser, .. } => {
                let get = |option, name: &Option<String>| {
                    let name = name.as_deref();
                    name.map(|name| self.parser(option, name)).transpose()
                };
                Ok(Box::new(DockerMode {
                    first: get("docker_mode_parser", first)?,
                    parser: get("parser", parser)?,
                    format: self.format,
                    key: self.key.clone(),
                    first_seen: false,
                    pending: None,
                }))
            }
        }
    }

    fn parser(&self, option: &str, name: &str) -> Result<Box<dyn Parser>, ConfigError> {
        let parser = self.parsers.as_ref().and_then(|parsers| parsers.get(name));
        let allowed = "the name of a parser in the host's parsers file";
        parser.ok_or_else(|| ConfigError::value(option, name, allowed))
    }

    /// How long a record of these lines waits for more.
    fn patience(&self, lines: &dyn Multiline) -> Duration {
        match &self.join {
            Join::Engine(_) => lines.patience().unwrap_or(PATIENCE),
            Join::FirstLine { flush, .. } | Join::Docker { flush, .. } => *flush,
        }
    }

    /// Puts the lines of `batch` (all of one file) in and leaves what came out.
    pub(crate) fn join(&mut self, batch: &mut Batch, host: &dyn InputHost) {
        let Some(reach) = batch.reaches.last().copied() else {
            return;
        };
        let mut stream = match self.streams.remove(&reach.file) {
            Some(stream) => stream,
            None => match self.open(batch, reach, host) {
                Some(stream) => stream,
                // It was there at the start; without it lines stay lines.
                None => return,
            },
        };
        let mut out = Vec::with_capacity(batch.events.len());
        let mut records = 0;
        for record in event::records(&batch.events).filter_map(Result::ok) {
            let Some((line, offset)) = line_of(&batch.events, record) else {
                continue;
            };
            let Some(time) = record.time else {
                continue;
            };
            self.joined.clear();
            stream.waiting.push(line, offset);
            let made = stream.lines.push(line, time, &mut self.joined);
            records += made;
            self.complete(&mut out, &mut stream, made);
        }
        stream.last = Instant::now();
        stream.end = reach;
        let offset = stream.waiting.first().unwrap_or(u64::MAX).min(reach.offset);
        batch.reaches = vec![Reach { offset, ..reach }];
        batch.events = out;
        batch.records = records;
        self.streams.insert(reach.file, stream);
    }

    /// Lets out what has waited for long enough; `all`: whatever waits.
    pub(crate) fn flush(&mut self, all: bool) -> Vec<Batch> {
        let due: Vec<FileId> = self
            .streams
            .iter()
            .filter(|(_, s)| s.waiting.first().is_some())
            .filter(|(_, s)| all || s.last.elapsed() >= self.patience(&*s.lines))
            .map(|(id, _)| *id)
            .collect();
        due.into_iter()
            .filter_map(|id| self.flush_file(id))
            .collect()
    }

    /// The file ends here: lets out what waits, and closes its stream.
    pub(crate) fn end(&mut self, file: FileId) -> Option<Batch> {
        let batch = self.flush_file(file);
        self.streams.remove(&file);
        batch
    }

    fn flush_file(&mut self, file: FileId) -> Option<Batch> {
        let mut stream = self.streams.remove(&file)?;
        self.joined.clear();
        let records = stream.lines.flush(&mut self.joined);
        let mut batch = Batch {
            tag: stream.tag.clone(),
            records,
            // Its bytes came with earlier batches.
            reaches: vec![Reach {
                bytes: 0,
                ..stream.end
            }],
            parsed: true,
            ..Batch::default()
        };
        self.complete(&mut batch.events, &mut stream, records);
        stream.waiting.clear();
        self.streams.insert(file, stream);
        Some(batch)
    }

    fn open(&self, batch: &Batch, reach: Reach, host: &dyn InputHost) -> Option<Stream> {
        Some(Stream {
            lines: self.lines(host).ok()?,
            tag: batch.tag.clone(),
            name: batch.name.clone()?,
            waiting: Waiting::default(),
            end: reach,
            last: Instant::now(),
        })
    }

    /// Adds path and offset to the `made` records that came out.
    fn complete(&self, out: &mut Vec<u8>, stream: &mut Stream, made: usize) {
        let waits = stream.lines.is_pending();
        for (at, record) in event::records(&self.joined)
            .filter_map(Result::ok)
            .enumerate()
        {
            let Some((Value::Map(pairs), body)) = msgpack::read(&self.joined, record.body) else {
                out.extend_from_slice(&self.joined[record.start..record.end]);
                continue;
            };
            let offset = match waits {
                // The newest line is in the last record, if it does not wait.
                Some(false) if at + 1 == made => stream.waiting.first(),
                Some(_) => stream.waiting.take_before_last(),
                None => stream.waiting.take(text_of(&self.joined, record)),
            };
            let offset = offset.unwrap_or(stream.end.offset);
            let more =
                usize::from(self.path_key.is_some()) + usize::from(self.offset_key.is_some());
            out.extend_from_slice(&self.joined[record.start..record.body]);
            msgpack::write_map_len(out, pairs + more);
            if let Some(key) = &self.path_key {
                msgpack::write_str(out, key);
                msgpack::write_bytes_as_str(out, stream.name.as_os_str().as_bytes());
            }
            if let Some(key) = &self.offset_key {
                msgpack::write_str(out, key);
                msgpack::write_uint(out, offset);
            }
            let mut rest = body;
            // The host's engine names the text `log`, whatever `key` says.
            let is_named = matches!(self.join, Join::Engine(_)) && self.key != TEXT;
            if let Some((key, value)) = is_named
                .then(|| text_key(&self.joined, body, pairs))
                .flatten()
            {
                out.extend_from_slice(&self.joined[body..key]);
                msgpack::write_str(out, &self.key);
                rest = value;
            }
            out.extend_from_slice(&self.joined[rest..record.end]);
        }
        if waits == Some(false) {
            stream.waiting.clear();
        }
    }
}

/// Where the key of the text and its value are, in a map of so many pairs.
fn text_key(joined: &[u8], first: usize, pairs: usize) -> Option<(usize, usize)> {
    let mut at = first;
    for _ in 0..pairs {
        let (key, value) = msgpack::read(joined, at)?;
        if matches!(key, Value::String { start, end } if &joined[start..end] == TEXT.as_bytes()) {
            return Some((at, value));
        }
        at = msgpack::skip(joined, value)?;
    }
    None
}

/// The text of a record that came out.
fn text_of(joined: &[u8], record: Record) -> &[u8] {
    let value = msgpack::map_get(joined, record.body, TEXT.as_bytes());
    match value.and_then(|value| Some((value, msgpack::read(value, 0)?.0))) {
        Some((value, Value::String { start, end })) => &value[start..end],
        _ => &[],
    }
}

/// The line and its offset in a record of the worker.
fn line_of(events: &[u8], record: Record) -> Option<(&[u8], u64)> {
    let string = |value: &[u8]| match msgpack::read(value, 0) {
        Some((Value::String { start, end }, _)) => Some((start, end)),
        _ => None,
    };
    let value = msgpack::map_get(events, record.body, LINE.as_bytes())?;
    let (start, end) = string(value)?;
    let offset = msgpack::map_get(events, record.body, OFFSET.as_bytes())?;
    match msgpack::read(offset, 0)? {
        (Value::Unsigned(offset), _) => Some((&value[start..end], offset)),
        _ => None,
    }
}
