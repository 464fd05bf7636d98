//! A user who may not do something, on real hosts: whatever it is, the message says who was refused and
//! what helps.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;

use flb_sidecar_tests::{build, each_real_host, say, Ended, Host, Pipeline, Running};

/// Nobody here, and the sidecar's user in its image.
const USER: u32 = 65532;

/// A pipeline that `USER` can start, with a folder `closed` that only root may enter.
fn pipeline(host: &Host) -> Pipeline {
    let pipeline = Pipeline::new(host);
    let open = |mode| Permissions::from_mode(mode);
    fs::set_permissions(pipeline.folder(), open(0o755)).expect("the folder is ours");
    // Where the library is built may be closed to others, too.
    let library = pipeline.path("library.so");
    fs::copy(build::library(), &library).expect("the folder takes files");
    for name in build::PLUGINS {
        let link = pipeline.path(&format!("flb-{name}.so"));
        fs::remove_file(&link).expect("the link is ours");
        std::os::unix::fs::symlink(&library, &link).expect("the folder takes links");
    }
    for file in ["closed/app.log", "closed/rules", "closed/labels"] {
        pipeline.file(file, "");
    }
    let closed = pipeline.path("closed");
    fs::set_permissions(closed, open(0o700)).expect("the folder is ours");
    pipeline.file("app.log", "line\n");
    pipeline
}

fn start(pipeline: &Pipeline) -> Running {
    let mut command = pipeline.command();
    Running::start(command.uid(USER).gid(USER), pipeline.folder())
}

/// Every word of ours that speaks of a refused permission says more.
fn check(ended: &Ended) {
    let refused: Vec<&str> = ended
        .stderr
        .lines()
        .filter(|line| line.contains("Permission denied"))
        .collect();
    let explained = format!("this process is user {USER} of group {USER}; give");
    for line in &refused {
        ended.check(line, line.matches(&explained).count() == 1);
    }
}

#[test]
fn a_refused_permission_says_who_and_what_helps() {
    if !rustix::process::geteuid().is_root() {
        return say("SKIPPED permissions: only root can be somebody else");
    }
    each_real_host("permissions at the start", |host| {
        for (plugin, option, file) in [
            ("sidecar_tail", "db", "closed/db"),
            ("pii_redact", "rules_file", "closed/rules"),
            ("pii_redact", "hmac_key_file", "closed/key"),
        ] {
            let mut pipeline = pipeline(host);
            let file = pipeline.path(file);
            let log = pipeline.path("app.log");
            pipeline.input("sidecar_tail", &[("path", &log)]);
            if plugin != "sidecar_tail" {
                pipeline.filter(plugin, "*", &[] as &[(&str, &str)]);
            }
            pipeline.options(&[(option, &file)]).print();
            let ended = start(&pipeline).end();
            ended.check_refused(host, "Permission denied");
            check(&ended);
        }
    });
    each_real_host("permissions while it runs", |host| {
        let mut pipeline = pipeline(host);
        let file = |name: &str| pipeline.path(&format!("closed/{name}"));
        let paths = format!("{},{}", pipeline.path("app.log"), file("*.log"));
        let (labels, token) = (file("labels"), file("token"));
        let (ready, report, flag) = (file("ready"), file("report"), file("flag"));
        let healthy = file("healthy");
        pipeline
            .env("POD_NAME", "pod")
            .env("POD_NAMESPACE", "shop")
            .input("sidecar_tail", &[("path", &paths)])
            .filter("kube_metadata", "*", &[("labels_file", &labels)])
            .options(&[("use_api", "on"), ("kube_token_file", &token)])
            .print()
            .output("completion_exit", "*", &[("flag_file", &flag)])
            .options(&[("ready_file", &ready), ("report_file", &report)])
            .options(&[("healthy_file", &healthy)]);
        let mut running = start(&pipeline);
        let places = [labels, token, ready, healthy, flag, pipeline.path("closed")];
        running.wait_for("a word about each", |output| {
            let said = output.stderr();
            let about = |place: &String| {
                let of = |line: &str| line.contains(place) && line.contains("Permission denied");
                said.lines().any(of)
            };
            places.iter().all(about)
        });
        let ended = running.terminate();
        ended.check_status(0);
        check(&ended);
    });
}
