//! docker/: the stages of the Dockerfile and the services of the compose files. Without an engine or a
//! registry they are carried out all the same: a stock image is a folder with a local Fluent Bit and
//! the libraries it needs; a container is bubblewrap on that folder, read-only, with the same user.
//! Where there is an engine, it builds and runs them over that stock image ([`engine`]).

mod engine;
mod image;
mod program;

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::SystemTime;

use flb_sidecar_tests::build::root;
use flb_sidecar_tests::host::real_hosts;
use flb_sidecar_tests::process::json_lines;
use flb_sidecar_tests::{say, Host, Running};
use serde_json::Value as Json;
use tempfile::TempDir;

use image::{build, stock, system, Image};

fn tool(name: &str) -> Option<PathBuf> {
    let path = root().join("target/tools/bin").join(name);
    path.exists().then_some(path)
}

fn check(command: &mut Command) -> String {
    let output = command
        .output()
        .unwrap_or_else(|e| panic!("{command:?}: {e}"));
    let text = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    assert!(output.status.success(), "{command:?}: {text}");
    text
}

/// A volume in a container: folder, place, whether it is read-only.
type Mount = (PathBuf, String, bool);

/// The command that runs a container.
fn container(image: &Image, mounts: &[Mount]) -> Command {
    let mut command = Command::new("bwrap");
    command.args(["--unshare-all", "--die-with-parent", "--clearenv"]);
    let (user, group) = image.user.split_once(':').expect("user and group");
    command.args(["--uid", user, "--gid", group]);
    for (_, place, _) in mounts {
        // As an engine does, before the root becomes read-only.
        fs::create_dir_all(image.root.join(&place[1..])).expect("an image takes folders");
    }
    command.arg("--ro-bind").arg(&image.root).arg("/");
    if image.has_programs {
        command.args(["--ro-bind", "/usr", "/usr"]);
        command.args(["--setenv", "PATH", "/usr/bin:/bin"]);
    }
    command.args(["--proc", "/proc", "--dev", "/dev"]);
    for (folder, place, read_only) in mounts {
        let kind = if *read_only { "--ro-bind" } else { "--bind" };
        command.arg(kind).arg(folder).arg(place);
    }
    for (name, value) in &image.environment {
        command.args(["--setenv", name, value]);
    }
    command
        .arg("--")
        .args(&image.entrypoint)
        .args(&image.command);
    command
}

/// Oldest and newest host, or SKIPPED and why.
fn hosts(what: &str) -> Vec<Host> {
    let skip = |why: &str| {
        say(&format!("SKIPPED {what}: {why}"));
        Vec::new()
    };
    if !root().join("dist/libflb_sidecar.so").exists() {
        return skip("no dist/, run `make dist`");
    }
    let bubble = Command::new("bwrap")
        .args([
            "--ro-bind",
            "/",
            "/",
            "--unshare-all",
            "--uid",
            "65532",
            "true",
        ])
        .stderr(Stdio::null())
        .status();
    if !bubble.is_ok_and(|status| status.success()) {
        return skip("bubblewrap is not installed or not allowed here");
    }
    let all: Vec<Host> = real_hosts();
    match all.as_slice() {
        [] => skip("no Fluent Bit found"),
        [one] => vec![one.clone()],
        [first, .., last] => vec![first.clone(), last.clone()],
    }
}

#[test]
fn hadolint_has_nothing_to_say() {
    let Some(hadolint) = tool("hadolint") else {
        say("SKIPPED hadolint: not installed, see tests/tools.txt");
        return;
    };
    check(Command::new(hadolint).arg(root().join("docker/Dockerfile")));
}

#[test]
fn the_image_runs_the_job_without_root_writes_or_shell() {
    for host in hosts("docker/Dockerfile") {
        say(&format!("docker/Dockerfile on {host}"));
        let place = tempfile::tempdir().expect("a temporary folder");
        let mut image = build("sidecar", &host, place.path());
        assert_eq!(image.user, "65532:65532");
        assert!(!image.root.join("bin/sh").exists());
        for entry in fs::read_dir(image.root.join("fluent-bit/plugins")).expect("it is there") {
            let path = entry.expect("a folder can be read").path();
            let mode = fs::metadata(&path)
                .expect("no link is broken")
                .permissions()
                .mode();
            assert_eq!(
                mode & 0o444,
                0o444,
                "{} is not for everybody",
                path.display()
            );
        }
        if !host.reads_classic_lists() {
            image.command[1] = image.command[1].replace(".conf", ".yaml");
        }
        let data = place.path().join("volume");
        fs::create_dir(&data).expect("a temporary folder takes folders");
        fs::write(data.join("app.log"), "to bob@example.com\n").expect("it takes files");
        fs::write(data.join("completion-flag"), "").expect("it takes files");
        let mounts = [(data, "/data".to_owned(), true)];
        let ended = Running::start(&mut container(&image, &mounts), place.path()).end();
        ended.check_status(0);
        let lines = ended.stdout.matches("to [EMAIL]").count();
        ended.check("the line, once", lines == 1);
    }
}

#[test]
fn the_image_for_a_volume_has_the_plugin_files_alone() {
    let Some(host) = hosts("the stage plugins").pop() else {
        return;
    };
    let place = tempfile::tempdir().expect("a temporary folder");
    let image = build("plugins", &host, place.path());
    let all = check(Command::new("find").arg(".").current_dir(&image.root));
    for line in all
        .lines()
        .filter(|line| line.starts_with("./fluent-bit/plugins/"))
    {
        let name = line.rsplit('/').next().unwrap_or_default();
        assert!(root().join("dist").join(name).exists(), "{line}");
    }
    assert!(image.root.join("fluent-bit/plugins/plugins.conf").exists());
    assert_eq!(image.user, "");
}

/// A compose file as JSON; `None` without the parser.
fn compose(name: &str) -> Option<Json> {
    let python = tool("python")?;
    let text = check(
        Command::new(python)
            .args([
                "-c",
                "import json, sys, yaml; print(json.dumps(yaml.safe_load(open(sys.argv[1]))))",
            ])
            .arg(root().join("docker").join(name)),
    );
    serde_json::from_str(&text).ok()
}

fn strings(value: &Json) -> Vec<String> {
    let words = value.as_array().into_iter().flatten();
    words
        .map(|word| word.as_str().unwrap_or_default().replace("$$", "$"))
        .collect()
}

/// The command of a service, with its volumes in `place`.
fn service(file: &Json, name: &str, host: &Host, place: &TempDir) -> Command {
    let service = &file["services"][name];
    let folder = place.path().join("images").join(name);
    let mut image = match (service["image"].as_str(), service["build"].as_object()) {
        (Some(image), None) if image.starts_with("busybox:") => system(folder),
        (Some(image), None) if image.starts_with("fluent/fluent-bit:") => stock(host, folder),
        (None, Some(built)) => {
            assert_eq!(built["dockerfile"], "docker/Dockerfile");
            let stage = built.get("target").and_then(Json::as_str);
            build(stage.unwrap_or("sidecar"), host, &folder)
        }
        other => panic!("{name}: {other:?}"),
    };
    if let Some(user) = service["user"].as_str() {
        user.clone_into(&mut image.user);
    }
    if service["command"].is_array() {
        image.command = strings(&service["command"]);
    }
    for (key, value) in service["environment"].as_object().into_iter().flatten() {
        let value = value.as_str().unwrap_or_default();
        image.environment.insert(key.clone(), value.to_owned());
    }
    if name == "sidecar" {
        assert_eq!(image.user, "65532:65532");
        assert_eq!(service["read_only"], true);
        assert_eq!(strings(&service["cap_drop"]), ["ALL"]);
    }
    let mounts: Vec<Mount> = strings(&service["volumes"])
        .iter()
        .map(|volume| {
            let mut parts = volume.split(':');
            let (from, to) = (
                parts.next().unwrap_or_default(),
                parts.next().unwrap_or_default(),
            );
            let folder = if from.starts_with('.') {
                root().join("docker").join(from)
            } else {
                assert!(file["volumes"].get(from).is_some(), "no volume {from}");
                place.path().join("volumes").join(from)
            };
            fs::create_dir_all(&folder).expect("a temporary folder takes folders");
            (folder, to.to_owned(), parts.next() == Some("ro"))
        })
        .collect();
    container(&image, &mounts)
}

/// Runs all services in the order that they depend on each other.
fn run_compose(name: &str) {
    let Some(file) = compose(name) else {
        say(&format!(
            "SKIPPED docker/{name}: no YAML parser, see tests/tools.txt"
        ));
        return;
    };
    for host in hosts(&format!("docker/{name}")) {
        if !host.reads_classic_lists() {
            say(&format!(
                "SKIPPED docker/{name} on {host}: no classic list of plugins there"
            ));
            continue;
        }
        say(&format!("docker/{name} on {host}"));
        let place = tempfile::tempdir().expect("a temporary folder");
        let services = file["services"].as_object().expect("there are services");
        for first in services
            .keys()
            .filter(|name| *name != "main" && *name != "sidecar")
        {
            check(&mut service(&file, first, &host, &place));
        }
        let sidecar = Running::start(&mut service(&file, "sidecar", &host, &place), place.path());
        let main = service(&file, "main", &host, &place)
            .stdin(Stdio::null())
            .status()
            .expect("bubblewrap starts");
        assert_eq!(main.code(), Some(3));
        let ended = sidecar.end();
        let now = SystemTime::now();
        ended.check_status(0);
        let flag = fs::metadata(place.path().join("volumes/data/completion-flag"))
            .and_then(|metadata| metadata.modified())
            .expect("main leaves the flag");
        let after = now.duration_since(flag).unwrap_or_default();
        ended.check(
            &format!("ended {after:?} after the flag"),
            after.as_secs() < 2,
        );
        check_orders(&ended.stdout, "docker/");
    }
}

#[test]
fn compose_shows_the_job() {
    run_compose("compose.yaml");
}

#[test]
fn compose_shows_the_job_with_the_stock_image() {
    run_compose("compose-stock.yaml");
}

#[test]
fn both_compose_files_have_the_same_job() {
    let (Some(own), Some(stock)) = (compose("compose.yaml"), compose("compose-stock.yaml")) else {
        return say("SKIPPED docker/compose-stock.yaml: no YAML parser, see tests/tools.txt");
    };
    for name in ["main", "volume"] {
        assert_eq!(own["services"][name], stock["services"][name], "{name}");
    }
}

/// The ten orders of the compose files' Job came, each once and redacted.
fn check_orders(stdout: &str, what: &str) {
    let logs: Vec<String> = json_lines(stdout)
        .iter()
        .map(|record| record["log"].as_str().unwrap_or_default().to_owned())
        .collect();
    let wanted: Vec<String> = (1..=10)
        .map(|n| format!("order {n}: [EMAIL] pays with [CARD]"))
        .collect();
    assert_eq!(logs, wanted, "{what}");
}
