//! The three plugins of a trial run. They stand under the names of ours, since a host takes kind and
//! name of a plugin from its file.

use std::os::fd::BorrowedFd;
use std::time::Duration;

use flb_sidecar_sdk::event::{self, RecordFormat, RecordKind, Timestamp};
use flb_sidecar_sdk::{
    msgpack, Chunk, ConfigError, EngineHost, Filter, FilterHost, Input, InputHost, Output,
    PluginInfo, Settings, Verdict, Wake,
};

use super::Report;
use crate::entry::filter::{self, FilterPlugin};
use crate::entry::input::{self, InputPlugin};
use crate::entry::output::{self, OutputPlugin};
use crate::entry::OurName;
use crate::load::{Callbacks, Export};

/// How often the input and the output look.
const TICK: Duration = Duration::from_millis(10);
/// Ticks of an engine that runs, which are at least as many hundredths of a second: so often is an append
/// tried, and so long is its record waited for, which begins earlier.
const APPENDS: u32 = 200;
const PATIENCE: u32 = 500;

/// Key of the record's only field, and its text: nothing of anybody's.
const KEY: &str = "flb_sidecar_trial";
const TEXT: &str = "a record without meaning";
/// Key of what the filter adds.
const ADDED: &str = "filtered";

/// The record that is appended, and what the filter hands on: the files of a library may be copies, so
/// the three plugins share no memory.
fn record(format: RecordFormat, is_filtered: bool) -> Vec<u8> {
    let mut record = Vec::new();
    event::begin_record(&mut record, format, Timestamp::now());
    write_body(&mut record, is_filtered);
    record
}

fn write_body(out: &mut Vec<u8>, is_filtered: bool) {
    let fields = [(KEY, TEXT), (ADDED, "yes")];
    let fields = &fields[..1 + usize::from(is_filtered)];
    msgpack::write_map_len(out, fields.len());
    for (key, text) in fields {
        msgpack::write_str(out, key);
        msgpack::write_str(out, text);
    }
}

struct TrialInput {
    refused: u32,
    is_appended: bool,
}

struct TrialFilter;

struct TrialOutput {
    ticks: u32,
}

const fn info(name: &'static str) -> PluginInfo {
    PluginInfo {
        name,
        description: "Tries out this host",
        options: &[],
        sensitive: false,
    }
}

impl Input for TrialInput {
    const INFO: PluginInfo = info("sidecar_tail");
    const TICK: Duration = TICK;

    fn init(_: &Settings, _: &mut dyn InputHost) -> Result<Self, ConfigError> {
        Ok(TrialInput {
            refused: 0,
            is_appended: false,
        })
    }

    fn wake_fd(&self) -> Option<BorrowedFd<'_>> {
        None
    }

    fn collect(&mut self, _: Wake, host: &mut dyn InputHost) {
        if self.is_appended {
            return;
        }
        let record = record(host.record_format(), false);
        self.is_appended = host.append(None, 1, &record).is_ok();
        if self.is_appended {
            host.flush();
            return;
        }
        self.refused += 1;
        if self.refused == APPENDS {
            Report::Nothing("no input could append a record".into()).send();
        }
    }

    fn pause(&mut self, _: &mut dyn InputHost) {}

    fn exit(self) {}
}

impl Filter for TrialFilter {
    const INFO: PluginInfo = info("pii_redact");

    fn init(_: &Settings, _: &mut dyn FilterHost) -> Result<Self, ConfigError> {
        Ok(TrialFilter)
    }

    fn filter(&mut self, chunk: Chunk<'_>, out: &mut Vec<u8>) -> Verdict {
        let mut records = event::records(chunk.data);
        let (Some(Ok(record)), None) = (records.next(), records.next()) else {
            not_ours(chunk.data)
        };
        let found = msgpack::map_get(chunk.data, record.body, KEY.as_bytes());
        if record.kind != RecordKind::Log || found.is_none() {
            not_ours(chunk.data);
        }
        out.extend_from_slice(&chunk.data[record.start..record.body]);
        write_body(out, true);
        Verdict::Replaced
    }
}

/// A filter got something else than the record.
fn not_ours(data: &[u8]) -> ! {
    let first = data.first().copied().unwrap_or(0);
    let bytes = data.len();
    Report::NoFilters(format!(
        "a filter got something else than the msgpack record that was appended: {bytes} bytes, which \
         begin with 0x{first:02x}"
    ))
    .send()
}

impl Output for TrialOutput {
    const INFO: PluginInfo = info("completion_exit");
    const TICK: Duration = TICK;

    fn init(_: &Settings, _: &mut dyn EngineHost) -> Result<Self, ConfigError> {
        Ok(TrialOutput { ticks: 0 })
    }

    fn tick(&mut self, host: &mut dyn EngineHost) {
        self.ticks += 1;
        let came = host.flushed();
        if came.flushes == 0 {
            if self.ticks == PATIENCE {
                Report::Nothing("a record that was appended came to no output".into()).send();
            }
            return;
        }
        let Some(host) = crate::host::get() else {
            return;
        };
        let chunk = &host.layout().chunk;
        if chunk.size.is_none() || chunk.records.is_none() {
            Report::Unmeasured.send();
        }
        let format = host.behaviour.record_format;
        let bytes = |is_filtered| record(format, is_filtered).len() as u64;
        let report = match (came.bytes, came.records) {
            (size, 1) if size == bytes(true) => Report::Passed,
            (size, records) if size == bytes(true) => {
                Report::Nothing(format!("one record came to the output as {records}"))
            }
            (size, _) if size == bytes(false) => {
                Report::NoFilters("a record came to the output as if there were no filter".into())
            }
            (size, _) => Report::NoFilters(format!(
                "what came to the output has {size} bytes, which are not those that a filter handed on"
            )),
        };
        report.send();
    }

    fn exit(self) {}
}

impl InputPlugin for TrialInput {
    fn our_name() -> &'static OurName {
        static NAME: OurName = OurName::new();
        &NAME
    }
}

impl FilterPlugin for TrialFilter {
    fn our_name() -> &'static OurName {
        static NAME: OurName = OurName::new();
        &NAME
    }
}

impl OutputPlugin for TrialOutput {
    fn our_name() -> &'static OurName {
        static NAME: OurName = OurName::new();
        &NAME
    }
}

/// What is exported in a trial run instead of our plugins.
pub(crate) fn exports() -> Vec<Export> {
    vec![
        Export {
            block: &crate::in_sidecar_tail_plugin,
            info: TrialInput::INFO,
            our_name: TrialInput::our_name(),
            callbacks: Callbacks::Input(input::callbacks::<TrialInput>()),
        },
        Export {
            block: &crate::filter_pii_redact_plugin,
            info: TrialFilter::INFO,
            our_name: TrialFilter::our_name(),
            callbacks: Callbacks::Filter(filter::callbacks::<TrialFilter>()),
        },
        Export {
            block: &crate::out_completion_exit_plugin,
            info: TrialOutput::INFO,
            our_name: TrialOutput::our_name(),
            callbacks: Callbacks::Output(output::callbacks::<TrialOutput>()),
        },
    ]
}
