//! The options, declared once: their names, kinds, defaults and what they mean.

use flb_sidecar_sdk::{Kind, OptionSpec};

/// Every option of the plugin.
pub(crate) static OPTIONS: &[OptionSpec] = &[
    OptionSpec::new(
        "path",
        Kind::CommaList,
        "Files to follow: paths or shell patterns, separated by commas. Required.",
    )
    .repeatable(),
    OptionSpec::new(
        "exclude_path",
        Kind::CommaList,
        "Shell patterns, separated by commas, of paths to leave out, such as *.gz,*.zip.",
    )
    .repeatable(),
    OptionSpec::new(
        "key",
        Kind::String,
        "Key of the line in the record.",
    )
    .default("log"),
    OptionSpec::new(
        "path_key",
        Kind::String,
        "Adds the file's path to the record under this key.",
    ),
    OptionSpec::new(
        "offset_key",
        Kind::String,
        "Adds the offset of the line's first byte to the record under this key.",
    ),
    OptionSpec::new(
        "tag_regex",
        Kind::String,
        "Regular expression of Ruby over the path; its named groups replace <name> in the tag.",
    ),
    OptionSpec::new(
        "read_from_head",
        Kind::Boolean,
        "Read files found at the start from their head; off: from their end.",
    )
    .default("on"),
    OptionSpec::new(
        "read_newly_discovered_files_from_head",
        Kind::Boolean,
        "Read files found later from their head; off: from their end.",
    )
    .default("on"),
    OptionSpec::new(
        "refresh_interval",
        Kind::Time,
        "How often the folders are scanned; new files in known folders are found at once all the same.",
    )
    .default("1"),
    OptionSpec::new(
        "ignore_older",
        Kind::Time,
        "Leave out files that were last written longer ago than this; 0: none.",
    )
    .default("0"),
    OptionSpec::new(
        "ignore_active_older_files",
        Kind::Boolean,
        "Also stop following files that become older than ignore_older.",
    )
    .default("off"),
    OptionSpec::new(
        "rotate_wait",
        Kind::Time,
        "How long a file that was renamed or deleted is read on, counted from its end of file.",
    )
    .default("5"),
    OptionSpec::new(
        "inotify_watcher",
        Kind::Boolean,
        "Be told of changes by the kernel; off: look at every file four times a second.",
    )
    .default("on"),
    OptionSpec::new(
        "watcher_interval",
        Kind::Time,
        "How often symbolic links are checked for a new target.",
    )
    .default("2"),
    OptionSpec::new(
        "progress_check_interval",
        Kind::Time,
        "How often files are looked at for changes that the kernel did not tell of.",
    )
    .default("2"),
    OptionSpec::new(
        "progress_check_interval_nsec",
        Kind::Integer,
        "Nanoseconds added to progress_check_interval.",
    )
    .default("0"),
    OptionSpec::new(
        "buffer_chunk_size",
        Kind::Size,
        "Bytes of one read.",
    )
    .default("131072"),
    OptionSpec::new(
        "buffer_max_size",
        Kind::Size,
        "Longest line in one record; a longer one is split into marked parts.",
    )
    .default("32768"),
    OptionSpec::new(
        "skip_long_lines",
        Kind::Boolean,
        "Leave out lines longer than buffer_max_size, and count them.",
    )
    .default("off"),
    OptionSpec::new(
        "truncate_long_lines",
        Kind::Boolean,
        "Cut lines at buffer_max_size, and count them.",
    )
    .default("off"),
    OptionSpec::new(
        "skip_empty_lines",
        Kind::Boolean,
        "Leave out lines without a byte.",
    )
    .default("off"),
    OptionSpec::new(
        "exit_on_eof",
        Kind::Boolean,
        "End the host once every file that is there has been read to its end and given to it.",
    )
    .default("off"),
    OptionSpec::new(
        "static_batch_size",
        Kind::Size,
        "Bytes that a file found at the start may read before others have their turn, at most 1M.",
    )
    .default("50M"),
    OptionSpec::new(
        "event_batch_size",
        Kind::Size,
        "The same for files found later.",
    )
    .default("50M"),
    OptionSpec::new(
        "file_cache_advise",
        Kind::Boolean,
        "Tell the kernel that what was read need not stay in its cache.",
    )
    .default("on"),
    OptionSpec::new(
        "parser",
        Kind::String,
        "One of the host's parsers, by name; lines that it does not match stay text.",
    ),
    OptionSpec::new(
        "multiline.parser",
        Kind::CommaList,
        "The host's multiline parsers, by name, tried in order: docker, cri, go, java, python, ruby or the user's own.",
    )
    .repeatable(),
    OptionSpec::new(
        "multiline",
        Kind::Boolean,
        "Join lines: one that parser_firstline matches begins a record. See multiline.parser.",
    )
    .default("off"),
    OptionSpec::new(
        "multiline_flush",
        Kind::Time,
        "With multiline: how long a record waits for more lines.",
    )
    .default("4"),
    OptionSpec::new(
        "parser_firstline",
        Kind::String,
        "With multiline: the host's parser that matches the first line of a record.",
    ),
    OptionSpec::new(
        "docker_mode",
        Kind::Boolean,
        "Put the pieces of Docker's JSON lines together before parser sees them.",
    )
    .default("off"),
    OptionSpec::new(
        "docker_mode_flush",
        Kind::Time,
        "With docker_mode: how long a piece waits for the next one.",
    )
    .default("4"),
    OptionSpec::new(
        "docker_mode_parser",
        Kind::String,
        "With docker_mode: the host's parser that matches the first line of a record; others are added to it.",
    ),
    OptionSpec::new(
        "format",
        Kind::String,
        "Decode lines without one of the host's parsers: json, cri, docker, logfmt or none.",
    )
    .default("none"),
    OptionSpec::new(
        "time_key",
        Kind::String,
        "With format json or logfmt: the key whose value is the record's time.",
    ),
    OptionSpec::new(
        "time_format",
        Kind::String,
        "Form of that time in the letters of strptime, with %L for a fraction; RFC 3339 if unset.",
    ),
    OptionSpec::new(
        "time_keep",
        Kind::Boolean,
        "Keep the time in the record too.",
    )
    .default("off"),
    OptionSpec::new(
        "unicode.encoding",
        Kind::String,
        "Encoding of the files, made UTF-8: UTF-16LE, UTF-16BE, or auto for what a file's head tells.",
    ),
    OptionSpec::new(
        "generic.encoding",
        Kind::String,
        "The same: ShiftJIS, UHC, GBK, GB18030, Big5, Win866, Win874, Win1250 to Win1256.",
    ),
    OptionSpec::new(
        "remove_after",
        Kind::Time,
        "Delete rotated files that are fully read, delivered and were last written longer ago than this.",
    ),
    OptionSpec::new(
        "follow_links",
        Kind::String,
        "Symbolic links that are followed: inside (to below a folder that path names), on (all) or off (none).",
    )
    .default("inside"),
    OptionSpec::new(
        "max_files",
        Kind::Integer,
        "Files that are followed at a time; others wait until one of them ends.",
    )
    .default("10000"),
    OptionSpec::new(
        "db",
        Kind::String,
        "Keep positions across restarts in a state file beside this path, named like it with .sidecar added.",
    ),
    OptionSpec::new(
        "db.sync",
        Kind::String,
        "How the state is written: off (not synced), normal (the document is), full or extra (journal and folder too).",
    )
    .default("normal"),
    OptionSpec::new(
        "db.locking",
        Kind::Boolean,
        "Accepted for a change from tail: the state is always locked.",
    )
    .default("off"),
    OptionSpec::new(
        "db.journal_mode",
        Kind::String,
        "Accepted for a change from tail: the state is always a document and a journal of changes.",
    )
    .default("WAL"),
    OptionSpec::new(
        "db.compare_filename",
        Kind::Boolean,
        "A position is taken up only by a file of the same path.",
    )
    .default("off"),
    OptionSpec::new(
        "parser_",
        Kind::Prefix,
        "With multiline: parser_1, parser_2 and so on, the host's parsers for lines behind the first.",
    )
    .repeatable(),
];
