use std::fs::File;
use std::os::unix::fs::symlink;

use rustix::fs::CWD;

use super::age::birth;
use super::code::read as read_code;
use super::*;

fn config(patterns: &[String]) -> FlagConfig {
    FlagConfig {
        patterns: patterns.to_vec(),
        mode: Mode::Any,
        stale: Stale::Ignore,
        pod_start_file: None,
        wants_code: false,
    }
}

/// Flags of a pod that started at `start`.
fn flags(config: &FlagConfig, start: Option<SystemTime>) -> Flags {
    Flags {
        pod_start: start,
        ..Flags::new(config)
    }
}

fn found(look: &Look) -> bool {
    matches!(look, Look::Found(_))
}

fn write_old(path: &Path, hours: u64) {
    fs::write(path, "").unwrap();
    let then = SystemTime::now() - Duration::from_secs(hours * 3600);
    File::options()
        .write(true)
        .open(path)
        .unwrap()
        .set_modified(then)
        .unwrap();
}

fn in_an_hour() -> Option<SystemTime> {
    Some(SystemTime::now() + Duration::from_secs(3600))
}

fn an_hour_ago() -> Option<SystemTime> {
    Some(SystemTime::now() - Duration::from_secs(3600))
}

#[test]
fn any_is_one_path_and_all_is_every_path_and_glob() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
    let mut config = config(&[at("one"), at("sub-*/done")]);
    let now = Instant::now();
    assert_eq!(flags(&config, None).look(now), Look::Nothing);
    fs::write(at("one"), "").unwrap();
    assert!(found(&flags(&config, None).look(now)));

    config.mode = Mode::All;
    let mut all = flags(&config, None);
    assert_eq!(all.look(now), Look::Nothing);
    fs::create_dir(at("sub-1")).unwrap();
    assert_eq!(all.look(now), Look::Nothing);
    fs::write(at("sub-1/done"), "").unwrap();
    assert!(found(&all.look(now)));
}

#[test]
fn a_link_to_nowhere_and_a_folder_are_flags() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("flag");
    symlink("nowhere", &path).unwrap();
    let text = path.to_str().unwrap().to_owned();
    assert!(found(
        &flags(&config(std::slice::from_ref(&text)), None).look(Instant::now())
    ));
    fs::remove_file(&path).unwrap();
    fs::create_dir(&path).unwrap();
    assert!(found(&flags(&config(&[text]), None).look(Instant::now())));
}

#[test]
fn the_age_decides_at_the_first_look_only() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("flag");
    let config = config(&[path.to_str().unwrap().to_owned()]);
    let now = Instant::now();

    // There before the pod: stale, until somebody writes it again.
    write_old(&path, 2);
    let mut watching = flags(&config, in_an_hour());
    assert_eq!(watching.look(now), Look::Nothing);
    assert_eq!(watching.look(now), Look::Nothing);
    write_old(&path, 1);
    assert!(found(&watching.look(now)));

    // There at the first look, but younger than the pod: a restart after the flag.
    assert!(found(&flags(&config, an_hour_ago()).look(now)));
    // Unknown age.
    assert!(found(&flags(&config, None).look(now)));

    // Appears later with an old time, as from a server whose clock is behind.
    fs::remove_file(&path).unwrap();
    let mut watching = flags(&config, in_an_hour());
    assert_eq!(watching.look(now), Look::Nothing);
    write_old(&path, 2);
    assert!(found(&watching.look(now)));
}

#[test]
fn a_stale_flag_is_removed_or_honoured_on_demand() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("flag");
    let mut config = config(&[path.to_str().unwrap().to_owned()]);
    write_old(&path, 2);
    config.stale = Stale::Honour;
    assert!(found(&flags(&config, in_an_hour()).look(Instant::now())));

    config.stale = Stale::Remove;
    let mut watching = flags(&config, in_an_hour());
    assert_eq!(watching.look(Instant::now()), Look::Nothing);
    assert!(!path.exists());
    fs::write(&path, "").unwrap();
    assert!(found(&watching.look(Instant::now())));
}

#[test]
fn the_content_is_an_exit_code_and_an_empty_flag_gets_a_moment() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
    let mut config = config(&[at("one"), at("two")]);
    config.wants_code = true;
    let now = Instant::now();
    let code = |look: Look| match look {
        Look::Found(fired) => fired.code,
        other => panic!("{other:?}"),
    };

    fs::write(at("one"), " 3\n").unwrap();
    assert_eq!(code(flags(&config, None).look(now)), Some(3));
    fs::write(at("two"), "7").unwrap();
    assert_eq!(code(flags(&config, None).look(now)), Some(7));
    for bad in ["256", "-1", "done", "1 2", "\u{0}"] {
        fs::write(at("two"), bad).unwrap();
        assert_eq!(code(flags(&config, None).look(now)), Some(3), "{bad:?}");
    }

    fs::write(at("two"), "").unwrap();
    let mut watching = flags(&config, None);
    assert_eq!(watching.look(now), Look::Again(CODE_LOOK));
    assert_eq!(code(watching.look(now + CODE_WAIT)), Some(3));
    let mut watching = flags(&config, None);
    assert_eq!(watching.look(now), Look::Again(CODE_LOOK));
    fs::write(at("two"), "9").unwrap();
    assert_eq!(code(watching.look(now + CODE_LOOK)), Some(9));
}

#[test]
fn a_flag_that_is_a_pipe_is_not_opened() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("flag");
    rustix::fs::mknodat(
        CWD,
        &path,
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::RUSR,
        0,
    )
    .unwrap();
    assert!(matches!(read_code(&path), Code::Unreadable(_)));
}

#[test]
fn what_a_flag_holds_is_not_said() {
    let dir = tempfile::tempdir().unwrap();
    let secret = dir.path().join("token");
    let flag = dir.path().join("flag");
    std::os::unix::fs::symlink(&secret, &flag).unwrap();
    for text in ["a-token", "256", "-1", "12 34", "\x1b[2J"] {
        fs::write(&secret, text).unwrap();
        let Code::Unreadable(why) = read_code(&flag) else {
            panic!("{text} is no status");
        };
        assert!(
            !why.contains(text.trim_start_matches('-')) || text == "-1",
            "{why}"
        );
    }
}

#[test]
fn the_pod_is_as_old_as_the_file_that_the_kubelet_made() {
    let dir = tempfile::tempdir().unwrap();
    let hosts = dir.path().join("hosts");
    assert_eq!(pod_start(None, &hosts), None);
    fs::write(&hosts, "127.0.0.1 localhost\n").unwrap();
    assert_eq!(pod_start(None, &hosts), None, "not made by the kubelet");
    fs::write(
        &hosts,
        "# Kubernetes-managed hosts file.\n127.0.0.1 localhost\n",
    )
    .unwrap();
    assert_eq!(
        pod_start(None, &hosts),
        birth(&fs::metadata(&hosts).unwrap())
    );

    assert_eq!(pod_start(Some(&dir.path().join("missing")), &hosts), None);
    let folder = fs::metadata(dir.path()).unwrap();
    let expected = birth(&folder).or_else(|| folder.modified().ok());
    assert_eq!(pod_start(Some(dir.path()), &hosts), expected);
}

#[test]
fn events_are_sorted_by_name_and_folders_have_no_wildcards() {
    let config = config(&["/a/b*/c/done-*".to_owned(), "flag[1]".to_owned()]);
    let flags = flags(&config, None);
    assert!(flags.may_match("done-1") && flags.may_match("flag1"));
    assert!(!flags.may_match("app.log"));
    let folders: Vec<&Path> = flags.folders().collect();
    assert_eq!(folders, [Path::new("/a"), Path::new(".")]);
}

#[test]
fn a_flag_that_cannot_be_seen_is_known_at_the_start() {
    let dir = tempfile::tempdir().unwrap();
    let place = |name: &str| dir.path().join(name).to_string_lossy().into_owned();
    let blind = |text: &str| Wanted::new(text).blind();
    assert_eq!(blind(&place("flag")), None, "it only is not there yet");
    assert_eq!(blind(&place("*.flag")), None);
    let said = blind(&place("folder/flag")).unwrap();
    assert!(said.contains("/folder is not there yet"), "{said}");
    let said = blind(&place("folder/*.flag")).unwrap();
    assert!(said.contains("/folder is not there yet"), "{said}");
    // A file in the place of the folder, as root may enter every folder.
    fs::write(dir.path().join("file"), "").unwrap();
    let said = blind(&place("file/flag")).unwrap();
    assert!(said.contains("cannot be looked for"), "{said}");
}

fn came(flags: &mut Flags, path: &str) {
    let path = Path::new(path);
    flags.came(path.parent().unwrap(), path.file_name().unwrap());
}

#[test]
fn a_flag_that_is_gone_before_anybody_looks_counts() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
    let now = Instant::now();
    for pattern in [at("flag"), at("f*g"), at("[f]lag")] {
        let mut config = config(&[pattern]);
        config.wants_code = true;
        let mut watching = flags(&config, None);
        came(&mut watching, &at("other"));
        came(&mut watching, &at("sub/flag"));
        assert_eq!(watching.look(now), Look::Nothing);
        came(&mut watching, &at("flag"));
        let Look::Found(fired) = watching.look(now) else {
            panic!("it was there");
        };
        assert_eq!(fired.code, None, "nobody knows what was in it");
        assert_eq!(fired.reason, format!("{} was there", at("flag")));
    }
}

#[test]
fn a_flag_without_a_folder_is_where_the_host_was_started() {
    let at = |pattern: &str, folder: &str, name: &str| {
        Wanted::new(pattern).flag_at(Path::new(folder), OsStr::new(name))
    };
    assert_eq!(at("flag", ".", "flag"), Some(PathBuf::from("flag")));
    assert_eq!(at("./flag", ".", "flag"), Some(PathBuf::from("./flag")));
    assert_eq!(at("./pod-*/flag", ".", "flag"), None);
    assert_eq!(at("/a/pod-*/flag", "/a", "flag"), None);
    assert_eq!(at("/a/flag", ".", "flag"), None);
}

#[test]
fn all_flags_need_not_be_there_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
    let mut config = config(&[at("one"), at("two")]);
    config.mode = Mode::All;
    config.wants_code = true;
    let mut watching = flags(&config, None);
    let now = Instant::now();
    fs::write(at("one"), "4").unwrap();
    assert_eq!(watching.look(now), Look::Nothing);
    fs::remove_file(at("one")).unwrap();
    assert_eq!(watching.look(now), Look::Nothing);
    fs::write(at("two"), "3").unwrap();
    let Look::Found(fired) = watching.look(now) else {
        panic!("both were there");
    };
    assert_eq!(fired.code, Some(4), "what it held stays known");
}

#[test]
fn a_stale_flag_that_comes_anew_counts_even_if_it_is_gone() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("flag").to_str().unwrap().to_owned();
    write_old(Path::new(&path), 2);
    let config = config(std::slice::from_ref(&path));
    let mut watching = flags(&config, in_an_hour());
    assert_eq!(watching.look(Instant::now()), Look::Nothing);
    fs::remove_file(&path).unwrap();
    assert_eq!(watching.look(Instant::now()), Look::Nothing);
    came(&mut watching, &path);
    assert!(found(&watching.look(Instant::now())));
}

/// Whoever looks at the log of a Job that does not end looks at its last lines.
#[test]
fn a_flag_that_cannot_be_seen_is_said_while_it_is_waited_for() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("folder");
    let mut wanted = Wanted::new(folder.join("flag").to_str().unwrap());
    let start = Instant::now();
    let mut said = Vec::new();
    let mut second = 0;
    let mut wait = |wanted: &mut Wanted, until: u64| {
        let from = second;
        second = until;
        let lines = (from..until).filter_map(|n| wanted.complaint(start + Duration::from_secs(n)));
        said.extend(lines);
        std::mem::take(&mut said)
    };
    let missing = wait(&mut wanted, 3600);
    assert!(missing[0].contains("is not there yet"), "{missing:?}");
    assert_eq!(
        missing.len(),
        6,
        "at 0, 1, 3, 7, 15 and 31 minutes: {missing:?}"
    );
    // As root may enter every folder: a file in its place.
    fs::write(&folder, "").unwrap();
    let closed = wait(&mut wanted, 3601);
    assert_eq!(closed.len(), 1);
    assert!(closed[0].contains("cannot be looked for"), "{closed:?}");
    fs::remove_file(&folder).unwrap();
    fs::create_dir(&folder).unwrap();
    assert_eq!(wait(&mut wanted, 7200), [] as [String; 0]);
    fs::remove_dir(&folder).unwrap();
    assert_eq!(wait(&mut wanted, 7201).len(), 1, "it is news again");
}
