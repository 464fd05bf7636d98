//! The values of the options ([`OPTIONS`]) in the form that the rest works with.

use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

use flb_sidecar_sdk::{ConfigError, InputHost, Settings};
use tracing::warn;

use crate::host::multiline::Join;
pub(crate) use crate::option_table::OPTIONS;
use crate::read::charset::{self, Code, Source};
use crate::read::decode::{Decoder, Format};
use crate::read::lines::LongLines;
use crate::read::tag::TagRegex;
use crate::read::timestamp::Clock;
use crate::source::confine::Follow;
use crate::source::globs::Globs;

/// The options of one instance.
#[derive(Debug)]
pub(crate) struct Options {
    pub(crate) globs: Globs,
    pub(crate) key: String,
    pub(crate) path_key: Option<String>,
    pub(crate) offset_key: Option<String>,
    pub(crate) tag_regex: Option<TagRegex>,
    pub(crate) read_from_head: bool,
    pub(crate) read_new_from_head: bool,
    pub(crate) refresh_interval: Duration,
    pub(crate) ignore_older: Option<Duration>,
    pub(crate) ignore_active_older: bool,
    pub(crate) rotate_wait: Duration,
    pub(crate) inotify: bool,
    pub(crate) watcher_interval: Duration,
    pub(crate) check_interval: Duration,
    pub(crate) block: usize,
    /// Bytes of one record's text, as they are in the file.
    pub(crate) longest_line: usize,
    pub(crate) long_lines: LongLines,
    pub(crate) source: Source,
    pub(crate) skip_empty_lines: bool,
    pub(crate) exit_on_eof: bool,
    pub(crate) static_turn: u64,
    pub(crate) event_turn: u64,
    pub(crate) advise_cache: bool,
    pub(crate) parser: Option<String>,
    pub(crate) join: Option<Join>,
    pub(crate) format: Option<Format>,
    pub(crate) time_key: Option<String>,
    /// `None`: RFC 3339.
    pub(crate) time_formats: Option<Vec<String>>,
    pub(crate) time_keep: bool,
    pub(crate) remove_after: Option<Duration>,
    pub(crate) follow_links: Follow,
    pub(crate) max_files: usize,
    pub(crate) db: Option<PathBuf>,
    pub(crate) sync: Sync,
    pub(crate) compare_filename: bool,
}

/// How durably the state is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Sync {
    Off,
    File,
    Folder,
}

/// Shortest longest line: enough for any UTF-8 character.
const SHORTEST_LIMIT: u64 = 4;
/// Longest longest line.
const LONGEST_LIMIT: u64 = 256 << 20;
/// Bytes of one read, whatever `buffer_chunk_size` says.
const READS: RangeInclusive<u64> = 1024..=16 << 20;

impl Options {
    pub(crate) fn read(settings: &Settings, host: &dyn InputHost) -> Result<Self, ConfigError> {
        let paths = settings.list("path");
        if paths.is_empty() {
            return Err(ConfigError::missing(
                "path",
                "paths or shell patterns, separated by commas",
            ));
        }
        let text = |name| settings.string(name).filter(|v| !v.is_empty());
        let time = |name| settings.time(name).unwrap_or_default();
        let nanos = settings
            .integer("progress_check_interval_nsec")
            .unwrap_or(0);
        let nanos = u64::try_from(nanos).map_err(|_| {
            ConfigError::value(
                "progress_check_interval_nsec",
                &nanos.to_string(),
                "a number of nanoseconds",
            )
        })?;
        let size = |name| settings.size(name).unwrap_or_default();
        let long_lines = if settings.boolean("truncate_long_lines") {
            LongLines::Cut
        } else if settings.boolean("skip_long_lines") {
            LongLines::Skip
        } else {
            LongLines::Split
        };
        check_journal_mode(settings)?;
        Ok(Options {
            globs: Globs::parse(&paths, &settings.list("exclude_path"))?,
            key: settings.string("key").unwrap_or("log").to_owned(),
            path_key: text("path_key").map(str::to_owned),
            offset_key: text("offset_key").map(str::to_owned),
            tag_regex: text("tag_regex")
                .map(|pattern| TagRegex::new(pattern, host))
                .transpose()?,
            read_from_head: settings.boolean("read_from_head"),
            read_new_from_head: settings.boolean("read_newly_discovered_files_from_head"),
            refresh_interval: time("refresh_interval").max(SHORTEST_INTERVAL),
            ignore_older: Some(time("ignore_older")).filter(|t| !t.is_zero()),
            ignore_active_older: settings.boolean("ignore_active_older_files"),
            rotate_wait: time("rotate_wait"),
            inotify: settings.boolean("inotify_watcher"),
            watcher_interval: time("watcher_interval").max(SHORTEST_INTERVAL),
            check_interval: (time("progress_check_interval") + Duration::from_nanos(nanos))
                .max(SHORTEST_INTERVAL),
            block: size("buffer_chunk_size").clamp(*READS.start(), *READS.end()) as usize,
            longest_line: longest_line(settings, long_lines)?,
            long_lines,
            source: source(text("unicode.encoding"), text("generic.encoding"))?,
            skip_empty_lines: settings.boolean("skip_empty_lines"),
            exit_on_eof: settings.boolean("exit_on_eof"),
            static_turn: size("static_batch_size").clamp(*TURNS.start(), *TURNS.end()),
            event_turn: size("event_batch_size").clamp(*TURNS.start(), *TURNS.end()),
            advise_cache: settings.boolean("file_cache_advise"),
            parser: text("parser").map(str::to_owned),
            join: join(settings)?,
            format: format(settings.string("format").unwrap_or("none"))?,
            time_key: text("time_key").map(str::to_owned),
            time_formats: text("time_format").map(Clock::formats).transpose()?,
            time_keep: settings.boolean("time_keep"),
            remove_after: settings.time("remove_after"),
            follow_links: Follow::read(settings.string("follow_links").unwrap_or("inside"))?,
            max_files: max_files(settings)?,
            db: text("db").map(PathBuf::from),
            sync: sync(settings),
            compare_filename: settings.boolean("db.compare_filename"),
        })
    }
}

impl Options {
    /// Decodes lines as these options say; `None`: lines are text.
    pub(crate) fn decoder(&self) -> Option<Decoder> {
        self.format.map(|format| Decoder {
            format,
            time_key: self.time_key.clone(),
            clock: self
                .time_formats
                .clone()
                .map_or_else(Clock::rfc3339, Clock::Formats),
            keep_time: self.time_keep,
            key: self.key.clone(),
        })
    }
}

/// Most files that anybody has followed at a time.
const MOST_FILES: i64 = 1_000_000;

fn max_files(settings: &Settings) -> Result<usize, ConfigError> {
    let number = settings.integer("max_files").unwrap_or(10_000);
    let most = (1..=MOST_FILES).contains(&number).then_some(number);
    most.and_then(|most| usize::try_from(most).ok())
        .ok_or_else(|| {
            let allowed = format_args!("a number from 1 to {MOST_FILES}");
            ConfigError::value("max_files", &number.to_string(), allowed)
        })
}

/// How lines are joined, if at all.
fn join(settings: &Settings) -> Result<Option<Join>, ConfigError> {
    let own = |name: &str| {
        let value = settings.string(name).filter(|v| !v.is_empty());
        value.map(str::to_owned)
    };
    let mut given = Vec::new();
    if settings.boolean("multiline") {
        let first = own("parser_firstline").ok_or_else(|| {
            let what = "multiline on needs the name of the parser that matches first lines";
            ConfigError::missing("parser_firstline", what)
        })?;
        let mut others = settings.prefixed("parser_");
        others.retain(|(number, _)| number.parse::<u32>().is_ok());
        others.sort_unstable_by_key(|(number, _)| number.parse::<u32>().unwrap_or(u32::MAX));
        let others = others
            .into_iter()
            .map(|(_, name)| name.to_owned())
            .collect();
        let flush = settings.time("multiline_flush").unwrap_or_default();
        given.push((
            "multiline",
            Join::FirstLine {
                first,
                others,
                flush,
            },
        ));
    }
    if settings.boolean("docker_mode") {
        let flush = settings.time("docker_mode_flush").unwrap_or_default();
        let docker = Join::Docker {
            first: own("docker_mode_parser"),
            parser: own("parser"),
            // As in the stock tail: at once would be never whole.
            flush: flush.max(Duration::from_secs(1)),
        };
        given.push(("docker_mode", docker));
    }
    let names = settings.list("multiline.parser");
    let format = settings.string("format").unwrap_or("none");
    if let ([_], false) = (given.as_slice(), names.is_empty()) {
        let (other, _) = given.remove(0);
        warn!("multiline.parser is given, so {other} is not used");
    }
    if !names.is_empty() {
        let names = names.into_iter().map(str::to_owned).collect();
        given.push(("multiline.parser", Join::Engine(names)));
    }
    if !given.is_empty() && !format.eq_ignore_ascii_case("none") {
        given.truncate(1);
        given.push(("format", Join::Engine(Vec::new())));
    }
    if let [(one, _), (other, _), ..] = given.as_slice() {
        return Err(ConfigError::other(format!(
            "options '{one}' and '{other}' are both given: allowed is one of them"
        )));
    }
    Ok(given.pop().map(|(_, join)| join))
}

/// What the files' bytes are.
fn source(unicode: Option<&str>, generic: Option<&str>) -> Result<Source, ConfigError> {
    match (unicode, generic) {
        (None, None) => Ok(Source::Fixed(Code::Plain)),
        (Some(name), None) => charset::unicode(name).ok_or_else(|| {
            let allowed = "auto, UTF-16LE or UTF-16BE";
            ConfigError::value("unicode.encoding", name, allowed)
        }),
        (None, Some(name)) => charset::generic(name).map(Source::Fixed).ok_or_else(|| {
            let allowed = "ShiftJIS, UHC, GBK, GB18030, Big5, Win866, Win874 or Win1250 to Win1256";
            ConfigError::value("generic.encoding", name, allowed)
        }),
        (Some(_), Some(_)) => Err(ConfigError::other(
            "options 'unicode.encoding' and 'generic.encoding' are both given: allowed is one of them",
        )),
    }
}

fn format(text: &str) -> Result<Option<Format>, ConfigError> {
    Ok(Some(match text.to_ascii_lowercase().as_str() {
        "json" => Format::Json,
        "cri" => Format::Cri,
        "docker" => Format::Docker,
        "logfmt" => Format::Logfmt,
        "none" | "" => return Ok(None),
        _ => {
            let allowed = "json, cri, docker, logfmt or none";
            return Err(ConfigError::value("format", text, allowed));
        }
    }))
}

/// Anything shorter would only keep the processor busy.
const SHORTEST_INTERVAL: Duration = Duration::from_millis(50);
/// Bytes that one file may read before the next one has its turn, whatever the options say.
const TURNS: RangeInclusive<u64> = 1024..=1 << 20;

/// Bytes of a line that is not too long.
fn longest_line(settings: &Settings, long_lines: LongLines) -> Result<usize, ConfigError> {
    let name = "buffer_max_size";
    let value = settings.size(name).unwrap_or_default();
    let text = settings.string(name).unwrap_or_default();
    // The stock tail keeps a byte of its buffer for a NUL, and a line that it does not skip has its
    // newline there, too. What is skipped or cut there is so here.
    let taken = match long_lines {
        LongLines::Split => 0,
        LongLines::Cut => 1,
        LongLines::Skip => 2,
    };
    let least = SHORTEST_LIMIT + taken;
    if value < least {
        let allowed = format_args!("a size of at least {least} bytes");
        return Err(ConfigError::value(name, text, allowed));
    }
    if value > LONGEST_LIMIT {
        warn!("{name} {text} is more than a record can have: lines are long from {LONGEST_LIMIT} bytes on");
    }
    Ok((value.min(LONGEST_LIMIT) - taken) as usize)
}

fn sync(settings: &Settings) -> Sync {
    let value = settings.string("db.sync").unwrap_or_default();
    match value.to_ascii_lowercase().as_str() {
        "off" => Sync::Off,
        "normal" => Sync::File,
        "full" | "extra" => Sync::Folder,
        _ => {
            // The stock tail goes on, too.
            warn!("db.sync '{value}' is none of extra, full, normal and off: normal is used");
            Sync::File
        }
    }
}

/// The state has no such modes, but a mistake in a configuration is one there, too.
fn check_journal_mode(settings: &Settings) -> Result<(), ConfigError> {
    let name = "db.journal_mode";
    let modes = ["DELETE", "TRUNCATE", "PERSIST", "MEMORY", "WAL", "OFF"];
    let value = settings.string(name).unwrap_or_default();
    if modes.iter().any(|mode| mode.eq_ignore_ascii_case(value)) {
        return Ok(());
    }
    let allowed = "DELETE, TRUNCATE, PERSIST, MEMORY, WAL or OFF";
    Err(ConfigError::value(name, value, allowed))
}

#[cfg(test)]
mod tests {
    use super::*;
    use flb_sidecar_sdk::fake::FakeHost;

    #[test]
    fn the_readme_lists_every_option_with_its_default() {
        let rows: Vec<(String, String)> = include_str!("../README.md")
            .lines()
            .skip_while(|line| *line != "## Options")
            .filter(|line| line.starts_with("| `"))
            .map(|line| {
                let cells: Vec<&str> = line.split('|').map(str::trim).collect();
                let plain = |cell: &str| cell.trim_matches('`').to_owned();
                (plain(cells[1]), plain(cells[3]))
            })
            .collect();
        let declared: Vec<(String, String)> = OPTIONS
            .iter()
            .map(|o| (o.name.to_owned(), o.default.unwrap_or_default().to_owned()))
            .collect();
        assert_eq!(rows, declared);
    }

    #[test]
    fn times_have_their_unit() {
        let given = [
            ("path", "/x"),
            ("refresh_interval", "5m"),
            ("docker_mode", "on"),
            ("docker_mode_flush", "5m"),
        ];
        let settings = Settings::new("t.0", OPTIONS, given).unwrap();
        let options = Options::read(&settings, &FakeHost::default()).unwrap();
        let five = Duration::from_secs(300);
        assert_eq!(options.refresh_interval, five);
        let flush = match options.join {
            Some(Join::Docker { flush, .. }) => flush,
            other => panic!("{other:?}"),
        };
        assert_eq!(flush, five);
    }
}
