//! Paths that cannot be meant: a folder where a file is to be, one path for two files, and files of ours
//! that would count as flags.

use std::path::Path;

use flb_sidecar_sdk::ConfigError;
use glob::{MatchOptions, Pattern};

use super::Config;

/// As files are looked for.
const MATCH: MatchOptions = MatchOptions {
    case_sensitive: true,
    require_literal_separator: true,
    require_literal_leading_dot: false,
};

/// The files that we write, by their options.
pub(super) fn all(config: &Config) -> impl Iterator<Item = (&'static str, &Path)> {
    let all = [
        ("report_file", &config.report_file),
        ("ready_file", &config.ready_file),
        ("healthy_file", &config.healthy_file),
    ];
    let wanted = all.map(|(option, path)| path.as_deref().map(|path| (option, path)));
    wanted.into_iter().flatten()
}

pub(super) fn check(config: &Config) -> Result<(), ConfigError> {
    let own: Vec<(&str, &Path)> = all(config).collect();
    let flags = config.flags.iter().flat_map(|flags| &flags.patterns);
    let flags: Vec<&str> = flags.map(String::as_str).collect();
    for flag in &flags {
        names_a_file("flag_file", flag)?;
    }
    for (at, (option, path)) in own.iter().enumerate() {
        let text = path.to_string_lossy();
        names_a_file(option, &text)?;
        if let Some((other, _)) = own[..at].iter().find(|(_, other)| other == path) {
            let allowed = format!("a path of its own; {other} has this one");
            return Err(ConfigError::value(option, &text, allowed));
        }
        if let Some(flag) = flags.iter().find(|flag| is_flag(flag, path)) {
            let allowed = format!("a path that is no flag; flag_file {flag} would find it");
            return Err(ConfigError::value(option, &text, allowed));
        }
    }
    Ok(())
}

/// What a variable leaves that is not set, in `/logs/${FLAG}`, is a folder, and that is there from the start.
fn names_a_file(option: &str, text: &str) -> Result<(), ConfigError> {
    let last = text.rsplit('/').next().unwrap_or_default();
    if matches!(last, "" | "." | "..") {
        let allowed = "the path of a file, not of a folder";
        return Err(ConfigError::value(option, text, allowed));
    }
    Ok(())
}

fn is_flag(flag: &str, path: &Path) -> bool {
    let pattern = Pattern::new(flag);
    Path::new(flag) == path || pattern.is_ok_and(|glob| glob.matches_path_with(path, MATCH))
}
