//! The compose files with a compose program, as `docker/README.md` says: Debian's `docker-compose` or the
//! client's own plugin.

use std::fs;
use std::path::Path;
use std::process::Command;

use flb_sidecar_tests::build::root;
use flb_sidecar_tests::{say, Running};

use crate::engine::Engine;
use crate::{check, check_orders, compose};

/// Of containers, volumes and images that this makes.
const PROJECT: &str = "flb-sidecar-test";

/// The program with an engine, or `None` where there is none.
fn program(engine: &Engine) -> Option<impl Fn(&[&str]) -> Command + '_> {
    let plugin = |words: &[&str]| engine.command(&[&["compose"], words].concat());
    let own = |words: &[&str]| {
        let mut command = engine.program("docker-compose");
        command.args(words);
        command
    };
    let is_there = |mut command: Command| command.output().is_ok_and(|o| o.status.success());
    let has_plugin = is_there(plugin(&["version"]));
    (has_plugin || is_there(own(&["version"]))).then_some(move |words: &[&str]| {
        if has_plugin {
            plugin(words)
        } else {
            own(words)
        }
    })
}

/// Runs a compose file with it, if there is one.
pub(crate) fn runs(engine: &Engine, name: &str, place: &Path) {
    let Some(program) = program(engine) else {
        say(&format!(
            "SKIPPED docker/{name} with a compose program: none is installed (Debian: docker-compose)"
        ));
        return;
    };
    let Some(file) = compose(name) else {
        return;
    };
    // The engine of a test has no network for them.
    let services = file["services"].as_object().expect("there are services");
    let none: String = services
        .keys()
        .map(|service| format!("  {service}: {{network_mode: none}}\n"))
        .collect();
    let alone = place.join("alone.yaml");
    fs::write(&alone, format!("services:\n{none}")).expect("a temporary folder takes files");
    let (file, alone) = (format!("docker/{name}"), alone.to_string_lossy());
    let run = |words: &[&str]| {
        let mut run = program(&["-p", PROJECT, "-f", &file, "-f", &alone]);
        run.args(words).current_dir(root());
        run
    };
    let up = Running::start(&mut run(&["up", "--build"]), place).end();
    let of = |service: &str| {
        let filter = format!("label=com.docker.compose.service={service}");
        let list = ["ps", "--all", "--quiet", "--filter", &filter];
        check(&mut engine.command(&list)).trim().to_owned()
    };
    let code = |service: &str| {
        let words = ["inspect", "--format", "{{.State.ExitCode}}", &of(service)];
        check(&mut engine.command(&words)).trim().to_owned()
    };
    let codes = (code("main"), code("sidecar"));
    let logs = engine.command(&["logs", &of("sidecar")]).output();
    let logs = logs.expect("docker starts").stdout;
    check(&mut run(&["down", "--volumes"]));
    up.check(
        "main fails, the sidecar does not",
        codes == ("3".into(), "0".into()),
    );
    check_orders(
        &String::from_utf8_lossy(&logs),
        &format!("{file} with a compose program"),
    );
    say(&format!("{file} with a compose program: ok"));
}
