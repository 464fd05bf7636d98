use super::*;
use crate::config::{Mode, Stale};
use crate::trigger::Trigger;
use std::fs;
use std::process::{Command, Stdio};

const LONG: Duration = Duration::from_secs(10);

fn flag(path: &Path) -> FlagConfig {
    FlagConfig {
        patterns: vec![path.to_str().unwrap().to_owned()],
        mode: Mode::Any,
        stale: Stale::Ignore,
        pod_start_file: None,
        wants_code: false,
    }
}

fn start(path: &Path) -> Watch {
    Watch::start(Some(flag(path)), None, Alarm::silent()).unwrap()
}

fn news_within(watch: &Watch, limit: Duration) -> Option<News> {
    let begin = Instant::now();
    loop {
        if let Some(news) = watch.news() {
            return Some(news);
        }
        if begin.elapsed() > limit {
            return None;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
}

#[test]
fn a_flag_that_is_there_already_fires_once() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("flag");
    fs::write(&path, "").unwrap();
    let watch = start(&path);
    let news = news_within(&watch, LONG).unwrap();
    assert_eq!(news.fired.len(), 1);
    assert_eq!(news.fired[0].trigger, Trigger::Flag);
    assert!(news.fired[0].reason.contains(path.to_str().unwrap()));
    assert!(watch.news().is_none());
}

#[test]
fn a_flag_in_a_folder_that_comes_later_fires() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("a/b");
    let watch = start(&folder.join("flag"));
    fs::create_dir_all(&folder).unwrap();
    assert!(watch.news().is_none());
    fs::write(folder.join("flag"), "").unwrap();
    assert!(news_within(&watch, LONG).is_some());
}

#[test]
fn a_flag_that_was_renamed_fires() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("flag");
    let watch = start(&path);
    fs::write(dir.path().join("other"), "").unwrap();
    fs::rename(dir.path().join("other"), &path).unwrap();
    assert!(news_within(&watch, LONG).is_some());
}

/// The thread has looked once, so it watches.
fn wait_until_it_watches(watch: &Watch) {
    watch.ask_for_writers(Vec::new());
    let news = news_within(watch, LONG).unwrap();
    assert!(news.writers.is_some() && news.fired.is_empty());
}

#[test]
fn a_flag_that_is_gone_within_microseconds_fires() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("a");
    let path = folder.join("flag");
    for there in [true, false] {
        let watch = if there {
            fs::create_dir(&folder).unwrap();
            start(&path)
        } else {
            // The folder comes later: it is watched after one look.
            fs::remove_dir(&folder).unwrap();
            let watch = start(&path);
            wait_until_it_watches(&watch);
            fs::create_dir(&folder).unwrap();
            watch
        };
        wait_until_it_watches(&watch);
        // Of another name, and of another folder.
        for other in [dir.path().join("flag"), folder.join("flag2")] {
            fs::write(&other, "").unwrap();
            fs::remove_file(&other).unwrap();
        }
        wait_until_it_watches(&watch);
        fs::write(&path, "").unwrap();
        fs::remove_file(&path).unwrap();
        let fired = news_within(&watch, LONG).unwrap().fired;
        assert_eq!(fired.len(), 1, "{fired:?}");
    }
}

#[test]
fn a_busy_folder_does_not_hide_the_flag() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("flag");
    let watch = start(&path);
    for n in 0..2000 {
        fs::write(dir.path().join(format!("{n}.log")), "").unwrap();
    }
    fs::write(&path, "").unwrap();
    assert!(news_within(&watch, LONG).is_some());
}

#[test]
fn dropping_the_watch_does_not_wait_for_the_next_look() {
    let dir = tempfile::tempdir().unwrap();
    // The shortest of several: on a busy machine one of them may take long by chance, but if the
    // thread slept on, all would.
    let shortest = (0..5)
        .map(|_| {
            let watch = start(&dir.path().join("flag"));
            std::thread::sleep(LOOK_EVERY / 20);
            let begin = Instant::now();
            drop(watch);
            begin.elapsed()
        })
        .min()
        .unwrap();
    assert!(shortest < LOOK_EVERY / 2, "{shortest:?}");
}

#[test]
fn a_process_fires_when_it_ends_and_not_before() {
    let dir = tempfile::tempdir().unwrap();
    let pid_file = dir.path().join("main.pid");
    let config = ProcessConfig {
        pid_files: vec![pid_file.clone()],
        names: Vec::new(),
        cgroups: Vec::new(),
        start_timeout: None,
        gone_time: Duration::ZERO,
    };
    let watch = Watch::start(None, Some(config), Alarm::silent()).unwrap();
    // Runs until its input closes, which is when this test says so.
    let mut main = Command::new("cat").stdin(Stdio::piped()).spawn().unwrap();
    fs::write(&pid_file, format!("{}\n", main.id())).unwrap();
    assert!(news_within(&watch, LOOK_EVERY * 2).is_none());
    drop(main.stdin.take());
    let news = news_within(&watch, LONG).unwrap();
    assert_eq!(news.fired[0].trigger, Trigger::Process);
    main.wait().unwrap();
}

#[test]
fn the_question_for_writers_is_answered() {
    let watch = Watch::start(None, None, Alarm::silent()).unwrap();
    watch.ask_for_writers(Vec::new());
    let writers = news_within(&watch, LONG).unwrap().writers.unwrap();
    assert_eq!(writers.found, None);
}
