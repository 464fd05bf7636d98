//! Plugins that panic and misbehave on demand, for the tests of the border.
//!
//! They are in the library only with the feature `probe`.
#![forbid(unsafe_code)]

mod stopwatch;

use std::os::fd::BorrowedFd;
use std::time::Duration;

use flb_sidecar_sdk::event::{begin_record, Timestamp};
use flb_sidecar_sdk::{
    msgpack, Chunk, ConfigError, EngineHost, Filter, FilterHost, Input, InputHost, Kind,
    OptionSpec, Output, PluginInfo, Settings, Verdict, Wake,
};
use stopwatch::Stopwatch;

const PANIC_IN: OptionSpec = OptionSpec::new(
    "panic_in",
    Kind::String,
    "Name of the callback that panics each time it is called.",
);

/// Which callback panics.
#[derive(Debug)]
struct Fault(Option<String>);

impl Fault {
    fn new(settings: &Settings) -> Self {
        Fault(settings.string("panic_in").map(str::to_owned))
    }

    fn at(&self, callback: &str) {
        if self.0.as_deref() == Some(callback) {
            panic!("deliberate panic in {callback}");
        }
    }
}

/// An input that appends a numbered record per tick.
#[derive(Debug)]
pub struct ProbeInput {
    fault: Fault,
    next: u64,
}

impl Input for ProbeInput {
    const INFO: PluginInfo = PluginInfo {
        name: "probe",
        description: "Test input: one numbered record per tick",
        options: &[
            PANIC_IN,
            OptionSpec::new("word", Kind::String, "Repeated; appended to every record.")
                .repeatable(),
        ],
        sensitive: false,
    };
    const TICK: Duration = Duration::from_millis(100);

    fn init(settings: &Settings, _host: &mut dyn InputHost) -> Result<Self, ConfigError> {
        let fault = Fault::new(settings);
        fault.at("init");
        tracing::info!("words: {}", settings.all("word").join("|"));
        tracing::debug!("a debug line");
        Ok(ProbeInput { fault, next: 0 })
    }

    fn wake_fd(&self) -> Option<BorrowedFd<'_>> {
        None
    }

    fn collect(&mut self, _wake: Wake, host: &mut dyn InputHost) {
        self.fault.at("collect");
        let mut event = Vec::new();
        begin_record(&mut event, host.record_format(), Timestamp::now());
        msgpack::write_map_len(&mut event, 1);
        msgpack::write_str(&mut event, "n");
        msgpack::write_uint(&mut event, self.next);
        if host.append(None, 1, &event).is_ok() {
            self.next += 1;
        }
    }

    fn pause(&mut self, _host: &mut dyn InputHost) {
        self.fault.at("pause");
    }

    fn resume(&mut self, _host: &mut dyn InputHost) {
        self.fault.at("resume");
    }

    fn exit(self) {
        self.fault.at("exit");
    }
}

/// A filter that passes everything.
#[derive(Debug)]
pub struct ProbeFilter {
    fault: Fault,
    stopwatch: Option<Stopwatch>,
    copy: bool,
}

impl Filter for ProbeFilter {
    const INFO: PluginInfo = PluginInfo {
        name: "probe",
        description: "Test filter: passes everything",
        options: &[
            PANIC_IN,
            OptionSpec::new(
                "stopwatch",
                Kind::String,
                "File for the time between filters.",
            ),
            OptionSpec::new("copy", Kind::Boolean, "Hand on a copy of each batch.").default("off"),
        ],
        sensitive: true,
    };

    fn init(settings: &Settings, _host: &mut dyn FilterHost) -> Result<Self, ConfigError> {
        let fault = Fault::new(settings);
        fault.at("init");
        Ok(ProbeFilter {
            fault,
            stopwatch: settings.string("stopwatch").map(Stopwatch::new),
            copy: settings.boolean("copy"),
        })
    }

    fn filter(&mut self, chunk: Chunk<'_>, out: &mut Vec<u8>) -> Verdict {
        if let Some(stopwatch) = &mut self.stopwatch {
            stopwatch.enter();
        }
        self.fault.at("filter");
        if self.copy {
            out.extend_from_slice(chunk.data);
        }
        if let Some(stopwatch) = &mut self.stopwatch {
            stopwatch.leave(self.copy.then_some(chunk.data));
        }
        if self.copy {
            Verdict::Replaced
        } else {
            Verdict::Unchanged
        }
    }

    fn exit(self) {
        self.fault.at("exit");
    }
}

/// An output that counts.
#[derive(Debug)]
pub struct ProbeOutput {
    fault: Fault,
    said: u64,
}

impl Output for ProbeOutput {
    const INFO: PluginInfo = PluginInfo {
        name: "probe",
        description: "Test output: says how many records came",
        options: &[PANIC_IN],
        sensitive: false,
    };
    const TICK: Duration = Duration::from_millis(100);

    fn init(settings: &Settings, _host: &mut dyn EngineHost) -> Result<Self, ConfigError> {
        let fault = Fault::new(settings);
        fault.at("init");
        Ok(ProbeOutput { fault, said: 0 })
    }

    fn tick(&mut self, host: &mut dyn EngineHost) {
        self.fault.at("tick");
        let records = host.flushed().records;
        if records > self.said {
            self.said = records;
            tracing::info!("{records} records came");
        }
    }

    fn exit(self) {
        self.fault.at("exit");
    }
}
