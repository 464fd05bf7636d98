use std::fs;
use std::os::unix::fs::{chown, symlink, DirBuilderExt, MetadataExt, PermissionsExt};
use std::os::unix::net::UnixListener;

use rustix::fs::{mknodat, CWD};

use super::*;

const OUTSIDE: &[u8] = b"a token of somebody else";

/// What a stranger can put at one of our names, with `outside` as what it is after.
const STRANGERS: [&str; 9] = [
    "link",
    "dangling link",
    "link to a folder",
    "chain of links",
    "loop",
    "fifo",
    "socket",
    "folder",
    "file of another owner",
];

struct Site {
    dir: tempfile::TempDir,
    found: Metric,
}

impl Site {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("volume")).unwrap();
        let everybody = fs::Permissions::from_mode(0o777);
        fs::set_permissions(dir.path().join("volume"), everybody).unwrap();
        fs::create_dir(dir.path().join("outside")).unwrap();
        fs::write(dir.path().join("outside/token"), OUTSIDE).unwrap();
        Site {
            dir,
            found: Metric::default(),
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join("volume").join(name)
    }

    fn file(&self) -> OwnFile {
        OwnFile::at(&self.path("own")).counted(&self.found)
    }

    /// `false`: it cannot be put there by us.
    fn put(&self, stranger: &str, name: &str) -> bool {
        let path = self.path(name);
        let token = self.dir.path().join("outside/token");
        match stranger {
            "link" => symlink(token, path).unwrap(),
            "dangling link" => symlink(self.dir.path().join("outside/new"), path).unwrap(),
            "link to a folder" => symlink(self.dir.path().join("outside"), path).unwrap(),
            "chain of links" => {
                symlink(token, self.path("second")).unwrap();
                symlink("second", path).unwrap();
            }
            "loop" => symlink(name, path).unwrap(),
            "fifo" => {
                let mode = Mode::from_raw_mode(0o666);
                mknodat(CWD, &path, FileType::Fifo, mode, 0).unwrap();
            }
            "socket" => drop(UnixListener::bind(path).unwrap()),
            "folder" => {
                fs::create_dir(&path).unwrap();
                fs::write(path.join("kept"), "kept").unwrap();
            }
            _ => {
                fs::write(&path, "kept").unwrap();
                return chown(&path, Some(12345), None).is_ok();
            }
        }
        true
    }

    /// What is outside is as it was, and what the stranger may have lost is still there.
    fn check(&self, what: &str) {
        let outside = self.dir.path().join("outside");
        assert_eq!(fs::read(outside.join("token")).unwrap(), OUTSIDE, "{what}");
        assert_eq!(fs::read_dir(outside).unwrap().count(), 1, "{what}");
        assert_eq!(self.found.get(), 1, "{what}");
        let names = fs::read_dir(self.path("")).unwrap().flatten();
        let aside = names.map(|entry| entry.path()).find(|path| {
            let name = path.file_name().unwrap().to_string_lossy();
            name.contains(".aside-")
        });
        let kept = match what.split(':').next().unwrap() {
            "folder" => fs::read(aside.unwrap().join("kept")).unwrap(),
            "file of another owner" => fs::read(aside.unwrap()).unwrap(),
            _ => {
                assert_eq!(aside, None, "{what}");
                return;
            }
        };
        assert_eq!(kept, b"kept", "{what}");
    }
}

fn is_private(path: &Path) {
    let metadata = fs::symlink_metadata(path).unwrap();
    assert!(metadata.is_file());
    assert_eq!(metadata.mode() & 0o777, PRIVATE);
}

#[test]
fn whatever_stands_at_our_names_is_out_of_the_way() {
    type Use = fn(&OwnFile) -> Vec<u8>;
    let uses: [(&str, &str, Use); 6] = [
        ("open", "own", |file| {
            assert!(file.open().unwrap().is_none());
            Vec::new()
        }),
        ("read", "own", |file| {
            assert_eq!(file.read(100).unwrap(), None);
            Vec::new()
        }),
        ("open_or_make", "own", |file| {
            file.open_or_make().unwrap().write_all(b"new").unwrap();
            b"new".to_vec()
        }),
        ("make", "own", |file| {
            file.make().unwrap().write_all(b"new").unwrap();
            b"new".to_vec()
        }),
        ("replace", "own", |file| {
            file.replace(PRIVATE, Durability::Name, |f| f.write_all(b"new"))
                .unwrap();
            b"new".to_vec()
        }),
        ("replace, beside", "own.tmp", |file| {
            file.replace(PRIVATE, Durability::None, |f| f.write_all(b"new"))
                .unwrap();
            b"new".to_vec()
        }),
    ];
    for stranger in STRANGERS {
        for (operation, name, run) in uses {
            let site = Site::new();
            let what = format!("{stranger}: {operation}");
            if !site.put(stranger, name) {
                continue;
            }
            let expected = run(&site.file());
            site.check(&what);
            if expected.is_empty() {
                assert!(!fs::exists(site.path("own")).unwrap(), "{what}");
            } else {
                assert_eq!(fs::read(site.path("own")).unwrap(), expected, "{what}");
                is_private(&site.path("own"));
            }
        }
    }
}

#[test]
fn a_users_file_takes_the_place_of_a_stranger_only_where_one_can_be() {
    for stranger in ["link", "fifo", "folder"] {
        for mode in [0o777, 0o700] {
            // Nothing above it may be writable for others either, as /tmp is.
            let home = Path::new(env!("CARGO_MANIFEST_DIR"));
            let shared = Folder::open(home).unwrap().is_shared();
            let dir = tempfile::tempdir_in(env!("CARGO_MANIFEST_DIR")).unwrap();
            let path = dir.path().join("report");
            fs::set_permissions(dir.path(), fs::Permissions::from_mode(mode)).unwrap();
            match stranger {
                "link" => symlink("/etc/passwd", &path).unwrap(),
                "fifo" => mknodat(CWD, &path, FileType::Fifo, Mode::RUSR, 0).unwrap(),
                _ => fs::create_dir(&path).unwrap(),
            }
            let done = OwnFile::named(&path).write(READABLE, b"report");
            if shared || mode == 0o777 {
                done.unwrap();
                assert_eq!(fs::read(&path).unwrap(), b"report");
            } else {
                let error = done.unwrap_err();
                assert!(is_in_the_way(&error), "{error}");
                assert!(!fs::symlink_metadata(&path).unwrap().is_file());
            }
        }
    }
}

/// `ready_file /logs` once moved the log folder aside, and the application could write no more.
#[test]
fn a_folder_in_which_logs_are_read_stays() {
    let site = Site::new();
    let folder = site.path("logs");
    fs::create_dir_all(folder.join("app")).unwrap();
    let read = ReadFolder::new(&folder.join("app"));
    for file in [OwnFile::named(&folder), OwnFile::at(&folder.join("app"))] {
        let error = file.write(READABLE, b"report").unwrap_err();
        assert!(is_in_the_way(&error), "{error}");
        assert!(folder.join("app").is_dir());
    }
    drop(read);
    OwnFile::at(&folder).write(READABLE, b"report").unwrap();
    assert_eq!(fs::read(folder).unwrap(), b"report");
}

#[test]
fn what_was_written_is_read_and_replaced() {
    let site = Site::new();
    let file = site.file();
    for text in ["one", "two"] {
        file.replace(PRIVATE, Durability::Name, |f| f.write_all(text.as_bytes()))
            .unwrap();
        assert_eq!(file.read(3).unwrap().unwrap(), text.as_bytes());
    }
    let error = file.read(2).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::FileTooLarge);
    let aside = file.set_aside(".damaged").unwrap();
    assert_eq!(fs::read(aside).unwrap(), b"two");
    assert_eq!(file.read(3).unwrap(), None);
    file.remove().unwrap();
    OwnFile::named(&site.path("report"))
        .write(READABLE, b"report")
        .unwrap();
    let mode = fs::metadata(site.path("report")).unwrap().mode();
    // As the process's mask lets it.
    assert_eq!(mode & 0o777 & !READABLE, 0);
    assert_eq!(site.found.get(), 0);
    // One that was left behind in the middle of a write.
    fs::write(site.path("own.tmp"), "left behind").unwrap();
    file.replace(PRIVATE, Durability::None, |f| f.write_all(b"three"))
        .unwrap();
    assert_eq!(file.read(5).unwrap().unwrap(), b"three");
    assert_eq!(site.found.get(), 0);
}

#[test]
fn a_failed_write_leaves_what_was_there() {
    let site = Site::new();
    let file = site.file();
    file.replace(PRIVATE, Durability::None, |f| f.write_all(b"one"))
        .unwrap();
    let failed = file.replace(PRIVATE, Durability::None, |f| {
        f.write_all(b"half of")?;
        Err::<(), _>(io::Error::other("no room"))
    });
    assert_eq!(failed.unwrap_err().to_string(), "no room");
    assert_eq!(file.read(10).unwrap().unwrap(), b"one");
    assert!(!fs::exists(site.path("own.tmp")).unwrap());
}

#[test]
fn what_others_could_read_they_cannot_any_more() {
    let site = Site::new();
    fs::write(site.path("own"), "state").unwrap();
    fs::set_permissions(site.path("own"), fs::Permissions::from_mode(0o666)).unwrap();
    assert_eq!(site.file().read(10).unwrap().unwrap(), b"state");
    is_private(&site.path("own"));
}

#[test]
fn a_folder_behind_a_link_counts_only_where_no_stranger_can_have_put_it() {
    let dir = tempfile::tempdir_in(env!("CARGO_MANIFEST_DIR")).unwrap();
    if Folder::open(dir.path()).unwrap().is_shared() {
        return;
    }
    let private = |path: &Path| {
        let mut builder = fs::DirBuilder::new();
        builder.mode(0o700).create(path).unwrap();
    };
    private(&dir.path().join("real"));
    symlink("real", dir.path().join("link")).unwrap();
    symlink(dir.path().join("link"), dir.path().join("absolute")).unwrap();
    for way in ["real", "link", "absolute", "real/../link"] {
        let file = OwnFile::at(&dir.path().join(way).join("own"));
        file.make().unwrap();
        assert!(dir.path().join("real/own").is_file(), "{way}");
        file.remove().unwrap();
    }
    // The very same, below a folder that others can write to, even if we own what is in it.
    let shared = dir.path().join("shared");
    fs::create_dir(&shared).unwrap();
    fs::set_permissions(&shared, fs::Permissions::from_mode(0o777)).unwrap();
    private(&shared.join("ours"));
    symlink(dir.path().join("real"), shared.join("link")).unwrap();
    symlink(dir.path().join("real"), shared.join("ours/link")).unwrap();
    for way in ["link", "ours/link"] {
        let file = OwnFile::at(&shared.join(way).join("own"));
        let error = file.make().unwrap_err();
        assert!(is_in_the_way(&error), "{way}: {error}");
        assert!(is_in_the_way(&file.read(1).unwrap_err()), "{way}");
        assert!(is_in_the_way(&file.remove().unwrap_err()), "{way}");
    }
    assert_eq!(fs::read_dir(dir.path().join("real")).unwrap().count(), 0);
    symlink("loop", dir.path().join("loop")).unwrap();
    let endless = OwnFile::at(&dir.path().join("loop/own"));
    endless.make().unwrap_err();
}

#[test]
fn a_strangers_thing_is_not_removed_in_place_of_ours() {
    for stranger in STRANGERS {
        let site = Site::new();
        if !site.put(stranger, "own") || stranger == "file of another owner" {
            continue;
        }
        let error = site.file().remove().unwrap_err();
        assert!(is_in_the_way(&error), "{stranger}: {error}");
        assert!(fs::symlink_metadata(site.path("own")).is_ok());
    }
}

#[test]
fn what_cannot_be_replaced_is_written_over() {
    let site = Site::new();
    fs::write(site.path("own"), "longer than what comes").unwrap();
    let inode = fs::metadata(site.path("own")).unwrap().ino();
    site.file().write_over(b"report").unwrap();
    assert_eq!(fs::read(site.path("own")).unwrap(), b"report");
    assert_eq!(fs::metadata(site.path("own")).unwrap().ino(), inode);
    // But never through another name of it.
    fs::hard_link(site.path("own"), site.path("other")).unwrap();
    let error = site.file().write_over(b"again").unwrap_err();
    assert!(is_in_the_way(&error), "{error}");
    for stranger in ["link", "chain of links", "fifo"] {
        let site = Site::new();
        site.put(stranger, "own");
        site.file().write_over(b"again").unwrap_err();
        let token = site.dir.path().join("outside/token");
        assert_eq!(fs::read(token).unwrap(), OUTSIDE);
    }
    for error in [Errno::BUSY, Errno::ACCESS, Errno::ROFS] {
        assert!(is_fixed(&error.into()));
    }
    assert!(!is_fixed(&Errno::NOSPC.into()));
}

#[test]
fn without_a_folder_there_is_an_error() {
    let site = Site::new();
    let file = OwnFile::at(&site.path("nowhere/own"));
    assert_eq!(file.make().unwrap_err().kind(), io::ErrorKind::NotFound);
    let file = OwnFile::at(&site.path(".."));
    file.make().unwrap_err();
    let error = OwnFile::at(&site.path("outside/token/own")).make();
    error.unwrap_err();
}

#[test]
fn a_folder_of_ours_stays_ours_whatever_its_name_leads_to() {
    for stranger in STRANGERS {
        let site = Site::new();
        if !site.put(stranger, "own") {
            continue;
        }
        let place = OwnFile::at(&site.path("own"));
        let folder = OwnFolder::make(place.path()).unwrap();
        let mode = fs::metadata(place.path()).unwrap().mode();
        assert_eq!(mode & 0o777, 0o700);
        // It is moved away, and a link stands there.
        fs::rename(place.path(), site.path("moved")).unwrap();
        symlink(site.dir.path().join("outside"), place.path()).unwrap();
        folder
            .make_file("copy")
            .unwrap()
            .write_all(b"copy")
            .unwrap();
        assert_eq!(fs::read(folder.path_of("copy")).unwrap(), b"copy");
        drop(folder);
        assert_eq!(fs::read_dir(site.path("moved")).unwrap().count(), 0);
        let token = site.dir.path().join("outside/token");
        assert_eq!(fs::read(token).unwrap(), OUTSIDE, "{stranger}");
    }
    let site = Site::new();
    let folder = OwnFolder::make(&site.path("own")).unwrap();
    folder.make_file("copy").unwrap();
    drop(folder);
    assert!(!fs::exists(site.path("own")).unwrap());
}

#[test]
fn only_a_plain_file_is_read_and_stays_where_it_is() {
    for stranger in STRANGERS {
        let site = Site::new();
        if !site.put(stranger, "own") {
            continue;
        }
        let opened = open_plain(&site.path("own"));
        if stranger == "file of another owner" {
            opened.unwrap().unwrap();
        } else {
            assert!(is_in_the_way(&opened.unwrap_err()), "{stranger}");
        }
        assert!(fs::symlink_metadata(site.path("own")).is_ok());
    }
    assert!(open_plain(&Site::new().path("own")).unwrap().is_none());
}
