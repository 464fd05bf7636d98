//! Lines parsed by one of the host's own parsers. Runs on the host's thread: they are not for
//! any other.

use flb_sidecar_sdk::event::{self, RecordFormat};
use flb_sidecar_sdk::msgpack::{self, Value};
use flb_sidecar_sdk::{ConfigError, InputHost, ParsedTime, Parser, Parsers};

use tracing::error;

use crate::counters::Counters;
use crate::read::encode::Batch;

/// One of the host's parsers, applied to the line of every record.
pub(crate) struct HostParser {
    parser: Box<dyn Parser>,
    /// Kept, since the parser belongs to them.
    _parsers: Box<dyn Parsers>,
    key: Vec<u8>,
    format: RecordFormat,
    fields: Vec<u8>,
    out: Vec<u8>,
}

impl std::fmt::Debug for HostParser {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("HostParser").finish_non_exhaustive()
    }
}

/// What is said of a parser that the host does not have, where that does not stop the start.
pub(crate) fn unknown(option: &str, name: &str) -> String {
    format!("{option} '{name}' is not registered in the host's parsers file: lines stay text")
}

impl HostParser {
    /// The host's parser of this name. `None`: it has none, which is said, and lines stay text, as
    /// with the stock tail.
    pub(crate) fn new(
        name: &str,
        key: &str,
        host: &dyn InputHost,
    ) -> Result<Option<Self>, ConfigError> {
        let Some(parsers) = host.parsers() else {
            let allowed = "nothing, since this host does not give its parsers; see format";
            return Err(ConfigError::value("parser", name, allowed));
        };
        let Some(parser) = parsers.get(name) else {
            error!("{}", unknown("parser", name));
            return Ok(None);
        };
        Ok(Some(HostParser {
            parser,
            _parsers: parsers,
            key: key.as_bytes().to_vec(),
            format: host.record_format(),
            fields: Vec::new(),
            out: Vec::new(),
        }))
    }

    /// Replaces the line of each record by what the parser finds in it; what it does not match
    /// stays text.
    pub(crate) fn parse(&mut self, batch: &mut Batch, counters: &Counters) {
        self.out.clear();
        for record in event::records(&batch.events) {
            let Ok(record) = record else {
                // The worker writes whole records only.
                break;
            };
            if self.record(&batch.events, record).is_none() {
                counters.undecoded_lines.add(1);
                self.out
                    .extend_from_slice(&batch.events[record.start..record.end]);
            }
        }
        std::mem::swap(&mut self.out, &mut batch.events);
    }

    /// `None`: the parser does not match, and nothing was written.
    fn record(&mut self, events: &[u8], record: event::Record) -> Option<()> {
        let (Value::Map(pairs), mut at) = msgpack::read(events, record.body)? else {
            return None;
        };
        let mut line = None;
        // The pairs around the line: path and offset before it, those of partial lines behind.
        let first = at;
        for _ in 0..pairs {
            let start = at;
            let (key, value_at) = msgpack::read(events, at)?;
            let (value, _) = msgpack::read(events, value_at)?;
            at = msgpack::skip(events, value_at)?;
            if let (
                Value::String { start: k, end },
                Value::String {
                    start: v,
                    end: v_end,
                },
            ) = (key, value)
            {
                if events[k..end] == self.key {
                    line = Some((start, v..v_end, at));
                }
            }
        }
        let (line_at, text, line_end) = line?;
        self.fields.clear();
        let time = match self.parser.parse(&events[text], &mut self.fields)? {
            ParsedTime::At(time) => time,
            ParsedTime::Absent => record.time?,
        };
        let (Value::Map(parsed), body) = msgpack::read(&self.fields, 0)? else {
            return None;
        };
        event::begin_record(&mut self.out, self.format, time);
        msgpack::write_map_len(&mut self.out, parsed + pairs - 1);
        self.out.extend_from_slice(&self.fields[body..]);
        self.out.extend_from_slice(&events[first..line_at]);
        self.out.extend_from_slice(&events[line_end..record.end]);
        Some(())
    }
}
