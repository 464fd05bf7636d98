//! Images as folders: what stands for a stock image, and the stages of docker/Dockerfile over it.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use flb_sidecar_tests::build::root;
use flb_sidecar_tests::Host;

use crate::check;

/// An image: its files, and what its configuration says.
#[derive(Clone, Debug, Default)]
pub(crate) struct Image {
    pub(crate) root: PathBuf,
    /// The system's own programs are visible, as busybox's are.
    pub(crate) has_programs: bool,
    pub(crate) environment: BTreeMap<String, String>,
    pub(crate) user: String,
    pub(crate) entrypoint: Vec<String>,
    pub(crate) command: Vec<String>,
}

/// Copies files and folders with their links and modes.
fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("an image takes folders");
    let from = if from.is_dir() {
        from.join(".")
    } else {
        from.to_owned()
    };
    check(Command::new("cp").arg("-a").arg(from).arg(to));
}

/// An image as fluent/fluent-bit is: the program, what it links, nothing else.
pub(crate) fn stock(host: &Host, folder: PathBuf) -> Image {
    let place = |path: &Path, at: &Path| {
        let target = folder.join(at.strip_prefix("/").unwrap_or(at));
        fs::create_dir_all(target.parent().expect("a file has a folder"))
            .expect("it takes folders");
        // By another process: a program cannot be started while a child of another thread here
        // still has it open for writing.
        check(Command::new("cp").arg("-L").arg(path).arg(&target));
    };
    place(&host.program, Path::new("/fluent-bit/bin/fluent-bit"));
    let libraries = check(Command::new("ldd").arg(&host.program));
    for word in libraries.split_whitespace() {
        if word.starts_with('/') {
            place(Path::new(word), Path::new(word));
        }
    }
    // The library needs these of glibc; a program of a newer glibc does not name them.
    for name in ["libpthread.so.0", "libdl.so.2"] {
        let path = Path::new("/lib/x86_64-linux-gnu").join(name);
        if path.exists() {
            place(&path, &path);
        }
    }
    for name in ["proc", "dev", "tmp"] {
        fs::create_dir_all(folder.join(name)).expect("it takes folders");
    }
    Image {
        root: folder,
        entrypoint: vec!["/fluent-bit/bin/fluent-bit".into()],
        user: "0:0".into(),
        ..Image::default()
    }
}

/// An image as busybox is.
pub(crate) fn system(folder: PathBuf) -> Image {
    for name in ["proc", "dev", "tmp", "usr"] {
        fs::create_dir_all(folder.join(name)).expect("it takes folders");
    }
    for name in ["bin", "lib", "lib64"] {
        symlink(format!("usr/{name}"), folder.join(name)).expect("it takes links");
    }
    Image {
        root: folder,
        has_programs: true,
        user: "0:0".into(),
        ..Image::default()
    }
}

/// Carries out a stage of docker/Dockerfile.
pub(crate) fn build(stage: &str, host: &Host, folder: &Path) -> Image {
    let text = fs::read_to_string(root().join("docker/Dockerfile")).expect("it is there");
    let text = text.replace("\\\n", " ");
    let mut arguments: BTreeMap<String, String> = BTreeMap::new();
    let mut image = Image::default();
    let mut inside = false;
    for line in text.lines().map(str::trim) {
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let mut line = line.to_owned();
        for (name, value) in &arguments {
            line = line.replace(&format!("${{{name}}}"), value);
        }
        let (instruction, rest) = line.split_once(' ').expect("an instruction has arguments");
        let words: Vec<&str> = rest.split_whitespace().collect();
        let list = || -> Vec<String> { serde_json::from_str(rest).expect("the exec form") };
        match instruction {
            "ARG" => {
                let (name, value) = rest.split_once('=').expect("a default");
                arguments.insert(name.into(), value.into());
            }
            "FROM" => {
                inside = words.get(2) == Some(&stage);
                let place = folder.join(stage);
                if inside {
                    image = match words[0] {
                        "scratch" => Image {
                            root: place,
                            ..Image::default()
                        },
                        base if base.starts_with("fluent/fluent-bit:") => stock(host, place),
                        base if base.starts_with("busybox:") => system(place),
                        base => panic!("the test does not know the base {base}"),
                    };
                }
            }
            _ if !inside => {}
            "COPY" => {
                let (to, from) = words.split_last().expect("COPY has arguments");
                assert!(to.starts_with('/') && to.ends_with('/'), "{line}");
                for from in from {
                    copy(&root().join(from), &image.root.join(&to[1..]));
                }
            }
            "ENV" => {
                for word in words {
                    let (name, value) = word.split_once('=').expect("NAME=value");
                    image.environment.insert(name.into(), value.into());
                }
            }
            "USER" => rest.clone_into(&mut image.user),
            "ENTRYPOINT" => {
                image.entrypoint = list();
                image.command.clear();
            }
            "CMD" => image.command = list(),
            _ => panic!("the test does not know {instruction}"),
        }
    }
    assert!(image.root.exists(), "there is no stage {stage}");
    image
}
