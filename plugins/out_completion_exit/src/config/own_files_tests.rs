use std::collections::HashMap;
use std::fs;
use std::os::unix::fs::{symlink, MetadataExt as _};

use flb_sidecar_sdk::Settings;
use tempfile::TempDir;

use super::*;
use crate::options::OPTIONS;

/// `there` and `link`, which leads into `elsewhere/inside`; `none` is not there.
fn folders() -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir_all(dir.path().join("there/below")).unwrap();
    fs::create_dir_all(dir.path().join("elsewhere/inside")).unwrap();
    symlink("elsewhere/inside", dir.path().join("link")).unwrap();
    symlink("nowhere", dir.path().join("dangling")).unwrap();
    dir
}

/// The options, where `$D` is the folder.
fn read(dir: &TempDir, options: &[(&str, &str)]) -> Result<Config, ConfigError> {
    let folder = dir.path().to_str().unwrap();
    let options = options
        .iter()
        .map(|(name, value)| ((*name).to_owned(), value.replace("$D", folder)));
    Config::read(&Settings::new("completion_exit.0", OPTIONS, options)?)
}

/// Spellings of one place, and of two.
const SAME: &[(&str, &str)] = &[
    ("$D/x", "$D//./x"),
    ("$D/x", "$D/there/../x"),
    ("$D/x", "$D/there/below/../../x"),
    ("$D/elsewhere/inside/x", "$D/link/x"),
    ("$D/elsewhere/x", "$D/link/../x"),
    ("$D/x", "$D/none/../x"),
    ("$D/none/x", "$D/none/./deeper/../x"),
    ("$D/link/none/x", "$D/elsewhere/inside/none/x"),
    ("x", "./x"),
];
const DIFFERENT: &[(&str, &str)] = &[
    ("$D/x", "$D/link/../x"),
    ("$D/there/x", "$D/link/x"),
    ("$D/x", "$D/none/x"),
    ("$D/x", "$D/X"),
    // No link at a file's own name is followed.
    ("$D/dangling", "$D/nowhere"),
];

#[test]
fn places_are_compared_and_not_spellings() {
    let dir = folders();
    for (one, two) in SAME {
        for (one, two) in [(one, two), (two, one)] {
            let files = [("report_file", *one), ("healthy_file", *two)];
            let error = read(&dir, &files).unwrap_err().to_string();
            assert!(error.contains("'healthy_file'"), "{error}");
            assert!(error.contains("report_file has this one"), "{error}");
            let flag = [("flag_file", *one), ("ready_file", *two)];
            let error = read(&dir, &flag).unwrap_err().to_string();
            assert!(error.contains("'ready_file'"), "{error}");
            assert!(error.contains("a path that is no flag"), "{error}");
        }
    }
    for (one, two) in DIFFERENT {
        for first in ["report_file", "flag_file"] {
            let options = [(first, *one), ("ready_file", *two)];
            assert!(read(&dir, &options).is_ok(), "{one} {two}");
        }
    }
}

/// All ways of up to four steps: two lead to one place exactly if the kernel says so.
#[test]
fn a_place_is_where_the_kernel_finds_it() {
    let dir = folders();
    let steps = ["..", "there", "below", "link", "elsewhere", "inside"];
    let mut ways = vec![dir.path().to_owned()];
    let mut last = ways.clone();
    for _ in 0..4 {
        let further = last.iter().flat_map(|way| steps.map(|step| way.join(step)));
        last = further.filter(|way| way.is_dir()).collect();
        ways.extend(last.iter().cloned());
    }
    let (mut places, mut folders) = (HashMap::new(), HashMap::new());
    for way in ways {
        let folder = fs::metadata(&way).unwrap();
        let (folder, place) = ((folder.dev(), folder.ino()), place(&way.join("x")));
        let known = places.entry(folder).or_insert_with(|| place.clone());
        assert_eq!(known, &place, "{}", way.display());
        let known = folders.entry(place).or_insert(folder);
        assert_eq!(known, &folder, "{}", way.display());
    }
    assert!(places.len() > 4);
}

#[test]
fn a_glob_finds_a_file_through_its_folder() {
    let dir = folders();
    for (flag, ready) in [
        ("$D/link/*", "$D/elsewhere/inside/x"),
        ("$D/elsewhere/inside/?", "$D/link/x"),
        ("$D/there/../link/*", "$D/elsewhere/inside/x"),
        ("$D/none/../*", "$D/x"),
        ("$D/*/x", "$D/there/x"),
        ("$D/there/../*/x", "$D/elsewhere/x"),
    ] {
        let options = [("flag_file", flag), ("ready_file", ready)];
        assert!(read(&dir, &options).is_err(), "{flag} {ready}");
    }
    for (flag, ready) in [
        ("$D/link/*", "$D/link/none/x"),
        ("$D/link/*.done", "$D/elsewhere/inside/x"),
        ("$D/link/../*", "$D/x"),
    ] {
        let options = [("flag_file", flag), ("ready_file", ready)];
        assert!(read(&dir, &options).is_ok(), "{flag} {ready}");
    }
}

#[test]
fn instances_of_one_engine_do_not_share_a_file() {
    let dir = folders();
    let claim = |engine, options: &[(&str, &str)]| {
        let config = read(&dir, options).unwrap();
        Claim::make(&config, "completion_exit.0", engine)
    };
    // Addresses that no other test has.
    let (engine, next) = (
        dir.path().as_os_str().as_encoded_bytes().as_ptr() as usize,
        1,
    );
    let one = [("report_file", "$D/x"), ("flag_file", "$D/flag*")];
    let held = claim(engine, &one).unwrap();
    for (options, named) in [
        ([("report_file", "$D/there/../x")], "'report_file'"),
        ([("healthy_file", "$D/x")], "'healthy_file'"),
        ([("ready_file", "$D/flag7")], "'ready_file'"),
        ([("flag_file", "$D/?")], "'flag_file'"),
    ] {
        let error = claim(engine, &options).unwrap_err().to_string();
        assert!(error.contains(named), "{error}");
        assert!(error.contains("completion_exit.0"), "{error}");
    }
    // A flag may be that of several.
    drop(claim(engine, &[("flag_file", "$D/flag"), ("report_file", "$D/y")]).unwrap());
    // The instance that a reload replaces may still be there.
    let reloaded = claim(next, &one).unwrap();
    drop(held);
    drop(reloaded);
    drop(claim(engine, &one).unwrap());
}
