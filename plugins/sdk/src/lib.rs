//! What every flb-sidecar plugin is written against.
//!
//! A plugin is a safe crate: it implements [`Input`], [`Filter`] or [`Output`], declares its
//! options as data ([`OptionSpec`]) and reads them typed ([`Settings`]). It logs with
//! `tracing`; the border (the root package) turns the events into the host's own log lines.
//! Records are msgpack in Fluent Bit's event format ([`event`]).
//!
//! Nothing here knows Fluent Bit's memory: what a plugin may ask of the host are the traits
//! [`InputHost`] and [`EngineHost`], so every plugin runs in plain unit tests against [`fake`].
#![forbid(unsafe_code)]

pub mod depth;
pub mod drain;
pub mod event;
pub mod fake;
pub mod foreign_file;
pub mod json;
pub mod memory;
pub mod metrics;
pub mod msgpack;
mod options;
pub mod own_file;
mod plugin;
mod why;
pub mod worker;

pub use options::{ConfigError, Kind, OptionSpec, Settings};
pub use plugin::{
    Backlog, Chunk, ChunkInfo, ChunkNews, EngineHost, Filter, FilterHost, Flow, FlushCounts,
    HostRegex, Input, InputAccount, InputHost, InputInfo, Multiline, Output, OutputInfo,
    ParsedTime, Parser, Parsers, Pending, PluginInfo, ProcessEnd, Refused, RegexError, Retry,
    RetryLimit, Routed, StockPosition, StockTail, TaskInfo, Verdict, Wake,
};
pub use why::Why;
