//! The manifests under `conf/kubernetes/completion_exit` use options that exist, with good values.

use std::fs;
use std::path::Path;

use flb_sidecar_sdk::{Output, Settings};
use out_completion_exit::CompletionExit;

/// The options of the `completion_exit` section in an INI text that is indented as a whole.
fn section(text: &str) -> Vec<(String, String)> {
    text.lines()
        .map(str::trim)
        .skip_while(|line| *line != "Name          completion_exit")
        .skip(1)
        .take_while(|line| !line.is_empty() && *line != "---")
        // Match is the host's own.
        .filter(|line| !line.starts_with('#') && !line.starts_with("Match"))
        .filter_map(|line| line.split_once(' '))
        .map(|(key, value)| (key.to_owned(), value.trim().to_owned()))
        .collect()
}

#[test]
fn every_manifest_has_a_section_that_is_accepted() {
    let folder =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../conf/kubernetes/completion_exit");
    let mut seen = 0;
    for entry in fs::read_dir(folder).expect("the folder of manifests") {
        let path = entry.expect("an entry").path();
        if path.extension().is_none_or(|extension| extension != "yaml") {
            continue;
        }
        let options = section(&fs::read_to_string(&path).expect("a manifest"));
        assert!(!options.is_empty(), "{}: no section", path.display());
        if let Err(error) =
            Settings::new("completion_exit.0", CompletionExit::INFO.options, options)
        {
            panic!("{}: {error}", path.display());
        }
        seen += 1;
    }
    assert!(seen >= 6, "{seen} manifests");
}
