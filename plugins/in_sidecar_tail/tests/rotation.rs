//! Everything that happens to files: rotation, truncation, deletion, links, odd paths.

#![allow(clippy::print_stderr, reason = "what cannot run here is named")]

mod common;

use std::fs::{self, File, FileTimes, OpenOptions};
use std::os::unix::fs::{symlink, FileExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, SystemTime};

use common::{append, delivering, Rig, Setup};
use flb_sidecar_sdk::Input;

/// Has a file or folder look as if nothing had happened to it for long.
fn age(path: &Path) {
    let long_ago = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000_000);
    let times = FileTimes::new().set_modified(long_ago);
    File::open(path).unwrap().set_times(times).unwrap();
}

fn sorted(rig: &Rig) -> Vec<String> {
    let mut lines = rig.lines();
    lines.sort();
    lines
}

#[test]
fn copytruncate_goes_on_in_the_copy() {
    // Paused, so that the truncation overtakes the reading.
    for pattern in ["a.log", "a.log*"] {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("a.log");
        let long = format!("{}\n", "x".repeat(20_000));
        append(&file, "first\n");
        let mut rig = Rig::follow(&dir.path().join(pattern));
        rig.wait_for(&["first"]);
        rig.host.paused = true;
        append(&file, &long.repeat(500));
        append(&file, "last\nhalf");
        let handle = rig.tail().drain_handle().unwrap();
        rig.until("all is seen", |_| handle.status().unread_bytes > 10_000_000);
        fs::copy(&file, dir.path().join("a.log.1")).unwrap();
        OpenOptions::new()
            .write(true)
            .truncate(true)
            .open(&file)
            .unwrap();
        rig.until("the truncation is seen", |rig| {
            rig.metric("truncations_total") == 1
        });
        append(&file, "new\n");
        rig.host.paused = false;
        rig.drain();
        let lines = rig.lines();
        assert_eq!(lines.len(), 504, "{pattern}");
        for line in ["first", "last", "half", "new"] {
            assert_eq!(
                lines.iter().filter(|l| *l == line).count(),
                1,
                "{pattern} {line}"
            );
        }
        assert_eq!(rig.metric("lost_bytes_total"), 0);
    }
}

#[test]
fn a_copy_in_the_making_is_not_read() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("a.log");
    append(&file, "one\ntwo\n");
    let mut rig = Rig::follow(&dir.path().join("a.log*"));
    rig.wait_for(&["one", "two"]);
    fs::copy(&file, dir.path().join("a.log.1")).unwrap();
    // Long enough for the copy to be found, and shorter than it is waited for.
    rig.until("the copy is found", |rig| rig.metric("files_followed") == 2);
    append(&file, "three\n");
    rig.wait_for(&["one", "two", "three"]);
    OpenOptions::new()
        .write(true)
        .truncate(true)
        .open(&file)
        .unwrap();
    append(&file, "four\n");
    rig.drain();
    // What was written between copying and truncating is lost to everybody, but was read here.
    assert_eq!(rig.lines(), ["one", "two", "three", "four"]);
}

/// Half of a line that is being copied is no line, whoever waits for it.
#[test]
fn a_drain_does_not_read_what_is_half_copied() {
    let dir = tempfile::tempdir().unwrap();
    append(&dir.path().join("a.log"), "one\ntwo\n");
    let mut rig = Rig::follow(&dir.path().join("a.log*"));
    rig.wait_for(&["one", "two"]);
    append(&dir.path().join("a.log.1"), "one\ntw");
    rig.until("it is known", |rig| rig.metric("files_followed") == 2);
    rig.drain();
    assert_eq!(rig.lines(), ["one", "two"]);
}

#[test]
fn files_that_begin_alike_are_both_read() {
    let dir = tempfile::tempdir().unwrap();
    append(&dir.path().join("a.log"), "tick\n");
    let mut rig = Rig::follow(&dir.path().join("*.log"));
    rig.wait_for(&["tick"]);
    append(&dir.path().join("a-2.log"), "tick\n");
    append(&dir.path().join("b.log"), "tick\n");
    rig.until("all are known", |rig| rig.metric("files_followed") == 3);
    // One of them may be becoming a copy; a drain does not wait to know.
    rig.drain();
    assert_eq!(rig.lines(), ["tick", "tick", "tick"]);
}

#[test]
fn truncation_to_nothing_and_to_less_and_to_the_same_size() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("a.log");
    append(&file, "one\ntwo\nthr");
    let mut rig = Rig::follow(&file);
    rig.wait_for(&["one", "two"]);
    // To less: what is left was read.
    OpenOptions::new()
        .write(true)
        .open(&file)
        .unwrap()
        .set_len(4)
        .unwrap();
    rig.until("truncated", |rig| rig.metric("truncations_total") == 1);
    append(&file, "2\n");
    // What goes with lines before it was there, too.
    rig.wait_for(&["one", "two", "thr", "2"]);
    // To the same size, with other bytes, in one step.
    File::options()
        .write(true)
        .open(&file)
        .unwrap()
        .write_all_at(b"uno\n3\n", 0)
        .unwrap();
    rig.wait_for(&["one", "two", "thr", "2", "uno", "3"]);
    // To nothing.
    fs::write(&file, "").unwrap();
    append(&file, "next\n");
    rig.wait_for(&["one", "two", "thr", "2", "uno", "3", "next"]);
}

#[test]
fn a_writer_that_goes_on_at_its_old_position_leaves_a_hole_that_is_skipped() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("a.log");
    let writer = File::create(&file).unwrap();
    writer.write_all_at(b"one\ntwo\n", 0).unwrap();
    let mut rig = Rig::follow(&file);
    rig.wait_for(&["one", "two"]);
    writer.set_len(0).unwrap();
    rig.until("truncated", |rig| rig.metric("truncations_total") == 1);
    writer.write_all_at(b"three\n", 8).unwrap();
    rig.wait_for(&["one", "two", "three"]);
    assert_eq!(rig.metric("nul_bytes_skipped_total"), 8);
}

#[test]
fn overwritten_unread_bytes_are_counted() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("a.log");
    let mut rig = Rig::follow(&file);
    rig.host.paused = true;
    append(&file, &"0123456789abcde\n".repeat(500_000));
    let handle = rig.tail().drain_handle().unwrap();
    rig.until("all is seen", |_| handle.status().unread_bytes == 8_000_000);
    fs::write(&file, "").unwrap();
    rig.until("counted", |rig| rig.metric("lost_bytes_total") > 0);
    append(&file, "next\n");
    rig.host.paused = false;
    rig.drain();
    let read = rig.metric("read_bytes_total") - 5;
    assert_eq!(rig.metric("lost_bytes_total") + read, 8_000_000);
    assert_eq!(rig.lines().last().unwrap(), "next");
}

#[test]
fn a_deleted_file_is_read_to_its_end_with_its_last_line() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("a.log");
    append(&file, "one\n");
    let path = file.to_str().unwrap();
    let mut rig = Rig::start(&[("path", path), ("rotate_wait", "0")]);
    rig.wait_for(&["one"]);
    rig.host.paused = true;
    let mut writer = OpenOptions::new().append(true).open(&file).unwrap();
    let long = format!("{}\n", "x".repeat(30_000));
    std::io::Write::write_all(&mut writer, long.repeat(300).as_bytes()).unwrap();
    std::io::Write::write_all(&mut writer, b"last").unwrap();
    drop(writer);
    fs::remove_file(&file).unwrap();
    append(&file, "new\n");
    rig.host.paused = false;
    rig.until("all lines", |rig| rig.lines().len() == 303);
    rig.until("let go", |rig| rig.metric("files_followed") == 1);
    let lines = sorted(&rig);
    assert_eq!(lines[..3], ["last", "new", "one"]);
}

#[test]
fn a_file_that_lives_for_a_moment_is_read() {
    let dir = tempfile::tempdir().unwrap();
    let mut rig = Rig::follow(&dir.path().join("*.log"));
    // The folder is watched once this is found.
    append(&dir.path().join("first.log"), "first\n");
    rig.wait_for(&["first"]);
    let mut read = 1;
    for number in 0..50 {
        let file = dir.path().join(format!("{number}.log"));
        append(&file, &format!("{number}\n"));
        rig.until("followed or missed", |rig| {
            rig.lines().len() > read || rig.missed() > 0
        });
        read = rig.lines().len();
        fs::remove_file(&file).unwrap();
    }
    rig.drain();
    assert_eq!(rig.lines().len() as u64 + rig.missed(), 51);
    assert_eq!(rig.missed(), 0);
}

#[test]
fn a_replacing_rename_is_a_new_file() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("a.log");
    append(&file, "one\n");
    let mut rig = Rig::follow(&file);
    rig.wait_for(&["one"]);
    let next = dir.path().join("a.tmp");
    append(&next, "two\n");
    append(&file, "late\n");
    fs::rename(&next, &file).unwrap();
    rig.until("all", |rig| rig.lines().len() == 3);
    assert_eq!(sorted(&rig), ["late", "one", "two"]);
}

#[test]
fn a_swapped_symbolic_link_is_followed() {
    let dir = tempfile::tempdir().unwrap();
    let real = tempfile::tempdir().unwrap();
    for number in 1..=2 {
        fs::create_dir(real.path().join(number.to_string())).unwrap();
    }
    let link = dir.path().join("a.log");
    append(&real.path().join("1/x"), "one\n");
    symlink(real.path().join("1/x"), &link).unwrap();
    let path = link.to_str().unwrap();
    let mut rig = Rig::start(&[("path", path), ("follow_links", "on")]);
    rig.wait_for(&["one"]);
    append(&real.path().join("1/x"), "two\n");
    rig.wait_for(&["one", "two"]);
    append(&real.path().join("2/x"), "three\n");
    append(&real.path().join("1/x"), "late\n");
    let swap = dir.path().join("swap");
    symlink(real.path().join("2/x"), &swap).unwrap();
    fs::rename(&swap, &link).unwrap();
    rig.until("all", |rig| rig.lines().len() == 4);
    assert_eq!(sorted(&rig), ["late", "one", "three", "two"]);
    append(&real.path().join("2/x"), "four\n");
    rig.until("the new target is followed", |rig| rig.lines().len() == 5);
}

/// Whatever the link is called: a scan goes by names.
#[test]
fn a_file_has_its_own_name_if_a_link_to_it_matches_too() {
    for link in ["a-current.log", "z-current.log"] {
        let setup = Setup::new("*.log");
        let [one, two, link] = ["one.log", "two.log", link].map(|name| setup.file(name));
        append(&one, "1\n");
        symlink("one.log", &link).unwrap();
        let (pattern, db) = (setup.file("*.log"), setup.db());
        let options = [
            ("path", pattern.to_str().unwrap()),
            ("db", db.to_str().unwrap()),
            ("path_key", "file"),
        ];
        let named = |rig: &Rig| -> Vec<(String, String)> {
            let text = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
            let name = |file: String| file.rsplit_once('/').unwrap().1.to_owned();
            let bodies = rig.host.bodies();
            let row = |body: &serde_json::Value| (text(&body["log"]), name(text(&body["file"])));
            bodies.iter().map(row).collect()
        };
        let mut rig = Rig::try_start(&options, delivering()).unwrap();
        rig.wait_for(&["1"]);
        assert_eq!(named(&rig), [("1".into(), "one.log".into())]);
        setup.saved(&mut rig, &one, 2);
        rig.exit();
        // After a restart the link leads elsewhere, and the writer of the first file is late.
        let mut rig = Rig::try_start(&options, delivering()).unwrap();
        append(&two, "2\n");
        let swap = setup.file("swap");
        symlink("two.log", &swap).unwrap();
        fs::rename(&swap, &link).unwrap();
        rig.wait_for(&["2"]);
        append(&one, "late\n");
        rig.wait_for(&["2", "late"]);
        let wanted = [("2", "two.log"), ("late", "one.log")];
        assert_eq!(named(&rig), wanted.map(|(l, f)| (l.into(), f.into())));
    }
}

#[test]
fn a_folder_link_that_is_swapped_leads_to_new_files() {
    let dir = tempfile::tempdir().unwrap();
    for number in ["1", "2"] {
        fs::create_dir(dir.path().join(number)).unwrap();
        append(
            &dir.path().join(number).join("a.log"),
            &format!("{number}\n"),
        );
    }
    symlink(dir.path().join("1"), dir.path().join("now")).unwrap();
    let mut rig = Rig::follow(&dir.path().join("now/*.log"));
    rig.wait_for(&["1"]);
    symlink(dir.path().join("2"), dir.path().join("swap")).unwrap();
    fs::rename(dir.path().join("swap"), dir.path().join("now")).unwrap();
    rig.wait_for(&["1", "2"]);
}

#[test]
fn a_hard_link_is_the_same_file() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("a.log");
    append(&file, "one\n");
    fs::hard_link(&file, dir.path().join("b.log")).unwrap();
    let mut rig = Rig::follow(&dir.path().join("*.log"));
    rig.wait_for(&["one"]);
    append(&dir.path().join("b.log"), "two\n");
    rig.wait_for(&["one", "two"]);
    fs::remove_file(&file).unwrap();
    append(&dir.path().join("b.log"), "three\n");
    rig.wait_for(&["one", "two", "three"]);
    rig.drain();
    assert_eq!(rig.lines(), ["one", "two", "three"]);
}

#[test]
fn odd_paths_are_left_alone_and_counted_once() {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join("folder.log")).unwrap();
    rustix::fs::mknodat(
        rustix::fs::CWD,
        dir.path().join("pipe.log"),
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::RUSR,
        0,
    )
    .unwrap();
    append(&dir.path().join("a.log"), "one\n");
    append(&dir.path().join("b.log.gz"), "\u{1f}");
    OpenOptions::new()
        .write(true)
        .open(dir.path().join("b.log.gz"))
        .unwrap()
        .write_all_at(&[0x1f, 0x8b, 8, 0], 0)
        .unwrap();
    let mut rig = Rig::follow(&dir.path().join("*.log*"));
    rig.wait_for(&["one"]);
    rig.drain();
    rig.drain();
    assert_eq!(rig.lines(), ["one"]);
    assert_eq!(rig.errors("not_a_file"), 2);
    assert_eq!(rig.errors("compressed"), 1);
}

/// Runs one test of this program once more, as what `command` makes of it; or says that `command`
/// does not work here.
fn again(test: &str, command: &[&str]) {
    let mut works = Command::new(command[0]);
    let works = works.args(&command[1..]).arg("true").output();
    if !works.is_ok_and(|output| output.status.success()) {
        eprintln!("SKIPPED {test}: {} does not work here", command[0]);
        return;
    }
    let output = Command::new(command[0])
        .args(&command[1..])
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", test, "--nocapture"])
        .env(AGAIN, "1")
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success() && text.contains("1 passed"),
        "{text}"
    );
}

const AGAIN: &str = "SIDECAR_TAIL_AGAIN";

#[test]
fn a_file_without_permission_is_read_when_it_has_it() {
    if rustix::process::geteuid().is_root() {
        // Root may read everything.
        let nobody = ["--reuid=65534", "--regid=65534", "--clear-groups"];
        again(
            "a_file_without_permission_is_read_when_it_has_it",
            &["setpriv", nobody[0], nobody[1], nobody[2]],
        );
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("folder");
    let (file, other) = (folder.join("a.log"), folder.join("b.log"));
    fs::create_dir(&folder).unwrap();
    append(&file, "one\n");
    append(&other, "two\n");
    let closed = |path: &Path| fs::set_permissions(path, fs::Permissions::from_mode(0o000));
    closed(&file).unwrap();
    // Nothing in it changes when a file or the folder itself is given a permission.
    age(&folder);
    closed(&folder).unwrap();
    let mut rig = Rig::follow(&dir.path().join("folder/*.log"));
    rig.until("the error is counted", |rig| rig.errors("open") == 1);
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o700)).unwrap();
    rig.wait_for(&["two"]);
    rig.until("the error is counted", |rig| rig.errors("open") == 2);
    append(&other, "three\n");
    rig.wait_for(&["two", "three"]);
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
    rig.wait_for(&["two", "three", "one"]);
    assert_eq!(rig.errors("open"), 2, "counted once each");
}

#[test]
fn folders_for_which_no_watch_is_left_are_polled() {
    if std::env::var_os(AGAIN).is_none() {
        // A user namespace has a limit of its own.
        let limited = r#"echo 1 > /proc/sys/user/max_inotify_watches && exec "$0" "$@""#;
        again(
            "folders_for_which_no_watch_is_left_are_polled",
            &["unshare", "--user", "--map-root-user", "sh", "-c", limited],
        );
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    for folder in ["a", "b", "c"] {
        fs::create_dir(dir.path().join(folder)).unwrap();
        append(&dir.path().join(folder).join("x.log"), "one\n");
    }
    let paths = ["a", "b", "c"].map(|f| dir.path().join(f).join("*.log"));
    let paths = paths
        .map(|path| path.to_str().unwrap().to_owned())
        .join(",");
    let mut rig = Rig::start(&[("path", &paths)]);
    rig.wait_for(&["one"; 3]);
    let errors = rig.errors("watch");
    assert!(errors > 0, "a watch was refused");
    for folder in ["a", "b", "c"] {
        append(&dir.path().join(folder).join("x.log"), "two\n");
        append(&dir.path().join(folder).join("new.log"), "two\n");
    }
    rig.until("all lines", |rig| rig.lines().len() == 9);
    rig.drain();
    assert_eq!(rig.lines()[3..], ["two"; 6]);
    assert_eq!(rig.errors("watch"), errors, "counted once for each folder");
}

#[test]
fn a_file_that_cannot_be_read_is_counted_once_and_stops_nobody() {
    // Its size is a page, and every read of it fails.
    let unreadable = Path::new("/sys/class/net/lo/speed");
    if fs::read(unreadable).is_ok() || !fs::metadata(unreadable).is_ok_and(|m| m.len() > 0) {
        eprintln!("SKIPPED: {} is not as expected", unreadable.display());
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("a.log");
    append(&file, "one\n");
    let paths = format!("{},{}", unreadable.display(), file.display());
    let options = [("path", paths.as_str()), ("progress_check_interval", "0")];
    let mut rig = Rig::start(&options);
    rig.wait_for(&["one"]);
    rig.until("the error is counted", |rig| rig.errors("read") == 1);
    append(&file, "two\n");
    rig.wait_for(&["one", "two"]);
    rig.drain();
    assert_eq!(rig.lines(), ["one", "two"]);
    assert_eq!(rig.errors("read"), 1, "counted once");
}

/// A filesystem in a file, mounted read-only, with one log of two lines that no cache holds.
struct Disk {
    base: tempfile::TempDir,
    device: String,
}

impl Disk {
    fn new() -> Option<Disk> {
        let base = tempfile::tempdir().ok()?;
        let (image, folder) = (base.path().join("image"), base.path().join("folder"));
        let (image, folder) = (image.to_str()?, folder.to_str()?);
        fs::create_dir(folder).ok()?;
        File::create(image).ok()?.set_len(1 << 20).ok()?;
        output("mkfs.ext2", &["-q", "-F", image])?;
        // Past the cache, or what is missing in the image would be read as zeroes.
        let device = output("losetup", &["--find", "--show", "--direct-io=on", image])?;
        let disk = Disk { base, device };
        output("mount", &[&disk.device, folder])?;
        append(&disk.log(), "one\ntwo\n");
        output("umount", &[folder])?;
        output("mount", &["-o", "ro", &disk.device, folder])?;
        // Names and sizes are known from now on, without the disk.
        fs::metadata(disk.log()).ok()?;
        Some(disk)
    }

    fn image(&self) -> PathBuf {
        self.base.path().join("image")
    }

    fn log(&self) -> PathBuf {
        self.base.path().join("folder/a.log")
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let folder = self.base.path().join("folder");
        let _ = Command::new("umount").arg("-l").arg(folder).output();
        output("losetup", &["--detach", &self.device]);
    }
}

/// What a command says; `None`: it does not work here.
fn output(command: &str, arguments: &[&str]) -> Option<String> {
    let done = Command::new(command).args(arguments).output().ok()?;
    let text = String::from_utf8(done.stdout).ok()?;
    done.status.success().then(|| text.trim().to_owned())
}

#[test]
fn a_disk_that_fails_for_a_while_loses_nothing() {
    let Some(disk) = Disk::new() else {
        eprintln!("SKIPPED a failing disk: no loop devices with direct I/O here, or not root");
        return;
    };
    let content = fs::read(disk.image()).unwrap();
    fs::write(disk.image(), "").unwrap();
    let failed = fs::read(disk.log()).map_err(|error| error.raw_os_error());
    assert_eq!(failed, Err(Some(5)), "EIO");
    let dir = tempfile::tempdir().unwrap();
    let other = dir.path().join("b.log");
    append(&other, "zero\n");
    let paths = format!("{},{}", disk.log().display(), other.display());
    let options = [("path", paths.as_str()), ("progress_check_interval", "0")];
    let mut rig = Rig::start(&options);
    rig.wait_for(&["zero"]);
    rig.until("the error is counted", |rig| rig.errors("read") == 1);
    fs::write(disk.image(), content).unwrap();
    rig.wait_for(&["zero", "one", "two"]);
    rig.drain();
    assert_eq!(rig.lines(), ["zero", "one", "two"]);
    assert_eq!(rig.errors("read"), 1, "counted once");
    assert_eq!(rig.metric("lost_bytes_total"), 0);
}

/// A folder with a layer above another one, as in a container, in memory.
struct Layers(tempfile::TempDir);

impl Layers {
    fn new() -> Option<Layers> {
        let base = tempfile::tempdir().ok()?;
        let path = base.path().to_str()?.to_owned();
        output("mount", &["-t", "tmpfs", "none", &path])?;
        let layers = Layers(base);
        for name in ["lower", "upper", "work", "folder"] {
            fs::create_dir(layers.path(name)).ok()?;
        }
        Some(layers)
    }

    fn mount(&self) -> Option<()> {
        let (lower, upper, work) = (self.path("lower"), self.path("upper"), self.path("work"));
        let layers = format!(
            "lowerdir={},upperdir={},workdir={}",
            lower.display(),
            upper.display(),
            work.display()
        );
        let folder = self.path("folder");
        output(
            "mount",
            &["-t", "overlay", "overlay", "-o", &layers, folder.to_str()?],
        )?;
        Some(())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }
}

impl Drop for Layers {
    fn drop(&mut self) {
        for path in [self.path("folder"), self.0.path().to_owned()] {
            let _ = Command::new("umount").arg("-l").arg(path).output();
        }
    }
}

#[test]
fn a_file_of_a_lower_layer_is_the_same_when_it_is_written_to() {
    let layers = Layers::new().filter(|layers| {
        append(&layers.path("lower/a.log"), "one\n");
        layers.mount().is_some()
    });
    let Some(layers) = layers else {
        eprintln!("SKIPPED layers: no overlayfs here, or not root");
        return;
    };
    let file = layers.path("folder/a.log");
    let path = file.to_str().unwrap();
    let mut rig = Rig::start(&[("path", path), ("progress_check_interval", "0")]);
    rig.wait_for(&["one"]);
    // It is copied, and the copy was born later.
    append(&file, "two\n");
    rig.wait_for(&["one", "two"]);
    append(&file, "three\n");
    rig.wait_for(&["one", "two", "three"]);
    for _ in 0..10 {
        // Looked at again meanwhile.
        rig.turn();
    }
    rig.drain();
    assert_eq!(rig.lines(), ["one", "two", "three"]);
    assert_eq!(rig.metric("rotations_total"), 0);
}

#[test]
fn long_lines_are_split_cut_or_skipped() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("a.log");
    append(&file, &format!("one\n{}\ntwo\n", "x".repeat(10 << 20)));
    let path = file.to_str().unwrap();
    let mut rig = Rig::start(&[("path", path)]);
    rig.drain();
    let bodies = rig.host.bodies();
    assert_eq!(bodies.len(), 2 + (10 << 20) / 32_768);
    let text: usize = bodies
        .iter()
        .map(|b| b["log"].as_str().unwrap().len())
        .sum();
    assert_eq!(text, 6 + (10 << 20));
    let id = &bodies[1]["partial_id"];
    for (number, body) in bodies[1..bodies.len() - 1].iter().enumerate() {
        let last = number == bodies.len() - 3;
        assert_eq!(body["partial_message"], "true");
        assert_eq!(&body["partial_id"], id);
        assert_eq!(body["partial_ordinal"], (number + 1).to_string());
        assert_eq!(body["partial_last"], last.to_string());
    }
    assert!(bodies[bodies.len() - 1].get("partial_id").is_none());

    let mut rig = Rig::start(&[("path", path), ("skip_long_lines", "on")]);
    rig.drain();
    assert_eq!(rig.lines(), ["one", "two"]);

    let mut rig = Rig::start(&[("path", path), ("truncate_long_lines", "on")]);
    rig.drain();
    assert_eq!(rig.lines(), ["one", &"x".repeat(32_767), "two"]);
}

#[test]
fn many_files_need_few_descriptors() {
    let dir = tempfile::tempdir().unwrap();
    for number in 0..2000 {
        append(&dir.path().join(format!("{number}.log")), "one\n");
    }
    let mut rig = Rig::follow(&dir.path().join("*.log"));
    rig.until("all lines", |rig| {
        rig.host.appended.iter().map(|a| a.1.len()).sum::<usize>() >= 2000 * 20
    });
    rig.drain();
    assert_eq!(rig.lines().len(), 2000);
    let open = fs::read_dir("/proc/self/fd").unwrap().count();
    assert!(open < 1000, "{open}");
    assert!(rig.metric("files_open") <= 401);
    for number in (0..2000).step_by(7) {
        append(&dir.path().join(format!("{number}.log")), "two\n");
    }
    rig.until("the new lines", |rig| {
        rig.metric("lines_total") == 2000 + 286
    });
    rig.until("all are handed over", |rig| rig.lines().len() == 2000 + 286);
}

#[test]
fn few_descriptors_are_enough_and_none_left_is_waited_out() {
    if std::env::var_os(AGAIN).is_none() {
        let test = "few_descriptors_are_enough_and_none_left_is_waited_out";
        again(test, &["prlimit", "--nofile=100:100"]);
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let file = |number: u32, extension| dir.path().join(format!("{number}.{extension}"));
    for number in 0..300 {
        append(&file(number, "new"), "one\n");
    }
    let come = |numbers: std::ops::Range<u32>| {
        for number in numbers {
            fs::rename(file(number, "new"), file(number, "log")).unwrap();
        }
    };
    let all_taken =
        || -> Vec<File> { std::iter::from_fn(|| File::open("/dev/null").ok()).collect() };
    let mut rig = Rig::follow(&dir.path().join("*.log"));
    let mut taken = all_taken();
    assert!(taken.len() > 80);
    come(0..100);
    rig.until("the error is counted", |rig| {
        // The one that listed the folder meanwhile, too.
        taken.extend(all_taken());
        rig.errors("open") > 0
    });
    drop(taken);
    rig.until("all lines", |rig| rig.metric("lines_total") == 100);
    // While they become free one by one it may be said a few times, but not for each file.
    let errors = rig.errors("open");
    assert!(errors < 20, "counted once for all files: {errors}");
    come(100..200);
    rig.until("all lines", |rig| rig.metric("lines_total") == 200);
    let taken = all_taken();
    assert!(
        taken.len() > 30,
        "some are left for others: {}",
        taken.len()
    );
    // Files at their end make room.
    come(200..300);
    rig.until("all lines", |rig| rig.metric("lines_total") == 300);
    assert_eq!(rig.errors("open"), errors);
    drop(taken);
    rig.drain();
    assert_eq!(rig.lines().len(), 300);
}

#[test]
fn many_files_that_are_renamed_at_once_need_few_descriptors() {
    let dir = tempfile::tempdir().unwrap();
    let file = |number: u32, extension| dir.path().join(format!("{number}.{extension}"));
    for number in 0..1000 {
        append(&file(number, "log"), "one\n");
    }
    let pattern = dir.path().join("*.log");
    let mut rig = Rig::follow(&pattern);
    rig.until("all lines", |rig| rig.metric("lines_total") == 1000);
    for number in 0..1000 {
        append(&file(number, "log"), "two\n");
        fs::rename(file(number, "log"), file(number, "old")).unwrap();
        append(&file(number, "old"), "three");
        append(&file(number, "log"), "four\n");
    }
    let mut most = 0;
    rig.until("all lines", |rig| {
        most = most.max(rig.metric("files_open"));
        rig.metric("lines_total") >= 3000
    });
    assert!(most <= 401, "{most} are open");
    rig.drain();
    assert_eq!(rig.lines().len(), 4000);
    assert_eq!(rig.metric("lost_bytes_total"), 0);
}

#[test]
fn without_inotify_files_are_polled() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("a.log");
    append(&file, "one\n");
    let pattern = dir.path().join("*.log");
    let pattern = pattern.to_str().unwrap();
    let mut rig = Rig::start(&[("path", pattern), ("inotify_watcher", "off")]);
    rig.wait_for(&["one"]);
    append(&file, "two\n");
    rig.wait_for(&["one", "two"]);
    fs::rename(&file, dir.path().join("old")).unwrap();
    append(&dir.path().join("old"), "three\n");
    append(&file, "four\n");
    rig.until("all", |rig| rig.lines().len() == 4);
    assert_eq!(sorted(&rig), ["four", "one", "three", "two"]);
}
