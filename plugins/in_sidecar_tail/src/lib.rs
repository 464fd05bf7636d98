//! Fluent Bit input `sidecar_tail`: follows files, losing nothing and repeating nothing.
//!
//! # The map of the house
//!
//! | folder | what is there |
//! |---|---|
//! | [`source`] | where files come from: patterns, scans, what the kernel tells, links |
//! | [`track`] | what a file is and what happens to it |
//! | [`read`] | bytes become lines, lines become records |
//! | [`compressed`] | gzip files, decompressed into windows that are read like files |
//! | [`host`] | the plugin as the host sees it: batches out, and what has left the host |
//! | [`checkpoint`] | what survives a restart |
//! | [`worker`] | the thread that moves events to the owners of all this, and runs what they ask for |
//! | [`context`] | what all of them have in common: options, clocks, counters |
//! | [`fs`], [`time`] | the only ways out to files and clocks, so that a simulation can take their place |
//!
//! # The life of a line
//!
//! 1. A writer adds it to a file; inotify tells ([`source::inotify`]), or a scan sees it ([`source::scan`]).
//! 2. The path leads to a tracked file, or a new one is opened and put into the [`track::registry`].
//! 3. The file is looked at ([`track::look`]): has it grown, shrunk, been rewritten?
//! 4. What was seen makes its life go on ([`track::transition`]): here it says that it waits to be read.
//! 5. When it has its turn, the [`worker`] has a block of it read ([`read::reader`]).
//! 6. The block is split into lines ([`read::lines`]), decoded and encoded as records ([`read::encode`]).
//! 7. The batch goes through a bounded queue ([`host::queue`]) to the host's thread, which appends it
//!    ([`host::input`]).
//! 8. When a crash of the host can no longer lose it ([`host::acks`]), the file's position moves over it.
//! 9. The position is written to the state file ([`checkpoint::checkpointer`]).
//! 10. After a restart the file is known again by its fingerprint ([`track::fingerprint`]), and read on from
//!     there ([`checkpoint::recovery`]).
//!
//! # What happens when
//!
//! - a file is renamed, deleted or replaced: [`track::rotation`]; until when it is read on:
//!   [`track::transition`]
//! - it is truncated, and its text may be in a copy: [`track::copies`]; it may become such a copy:
//!   [`track::quarantine`]; what names tell: [`track::names`]
//! - it comes back after it was let go: [`track::dormant`]
//! - there are too many files, or too few descriptors: [`track::beyond`], [`track::descriptors`]
//! - a file cannot be opened: [`troubles`]
//!
//! # Who may do what
//!
//! One thread owns every file and never waits for anything but its wake-ups. A file's life goes on by one
//! pure function, whose effects are queued ([`track::queue`]) and run one after the other
//! ([`worker::Worker::go_on`]): nothing that looks at a file can let go of it meanwhile. Only the registry
//! changes the indexes of files, only the reader has text in its hands, and only the checkpointer changes
//! what is kept of them.
#![forbid(unsafe_code)]

mod checkpoint;
mod compressed;
mod context;
mod counters;
mod fs;
#[cfg(any(test, feature = "fuzzing"))]
#[doc(hidden)]
pub mod fuzzing;
mod host;
mod map;
mod option_table;
mod options;
mod pace;
mod read;
#[cfg(test)]
mod sim;
mod source;
mod time;
mod timers;
mod track;
mod troubles;
mod worker;

pub use host::input::SidecarTail;
