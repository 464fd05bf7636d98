//! The options, declared once, and their values in the form that the rest works with.

use flb_sidecar_sdk::{ConfigError, Kind, OptionSpec, Settings};

use crate::discovery::Globs;

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
    OptionSpec::new("key", Kind::String, "Key of the line in the record.").default("log"),
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
        "read_from_head",
        Kind::Boolean,
        "Read files found at the start from their head; off: from their end.",
    )
    .default("on"),
    OptionSpec::new(
        "skip_empty_lines",
        Kind::Boolean,
        "Leave out lines without a byte.",
    )
    .default("off"),
    OptionSpec::new(
        "rotate_wait",
        Kind::Time,
        "How long a file that was renamed or deleted is read on, counted from its end of file.",
    )
    .default("5"),
];

/// The options of one instance.
#[derive(Debug)]
pub(crate) struct Options {
    pub(crate) globs: Globs,
    pub(crate) key: String,
    pub(crate) path_key: Option<String>,
    pub(crate) offset_key: Option<String>,
    pub(crate) read_from_head: bool,
    pub(crate) skip_empty_lines: bool,
    pub(crate) rotate_wait: std::time::Duration,
}

impl Options {
    pub(crate) fn read(settings: &Settings) -> Result<Self, ConfigError> {
        let paths = settings.list("path");
        if paths.is_empty() {
            return Err(ConfigError::missing(
                "path",
                "paths or shell patterns, separated by commas",
            ));
        }
        Ok(Options {
            globs: Globs::parse(&paths, &settings.list("exclude_path"))?,
            key: settings.string("key").unwrap_or("log").to_owned(),
            path_key: settings.string("path_key").map(str::to_owned),
            offset_key: settings.string("offset_key").map(str::to_owned),
            read_from_head: settings.boolean("read_from_head"),
            skip_empty_lines: settings.boolean("skip_empty_lines"),
            rotate_wait: settings.time("rotate_wait").unwrap_or_default(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::OPTIONS;

    #[test]
    fn the_readme_lists_every_option_with_its_default() {
        let rows: Vec<(String, String)> = include_str!("../README.md")
            .lines()
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
}
