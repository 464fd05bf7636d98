//! Hosts that are in no table: their layouts come from debug information or from a file.

mod lies;

use std::path::Path;
use std::process::{Command, Stdio};

use flb_sidecar_tests::build;
use flb_sidecar_tests::process::script;
use flb_sidecar_tests::random_layout::Changed;
use flb_sidecar_tests::{each_real_host, random, say, Ended, Host, Pipeline, Version, NO_OPTIONS};

/// Seeds of the layouts that every run sees; one more is of the clock.
const SEEDS: &[u64] = &[1, 2, 3, 4, 5];

/// Every plugin, options that repeat, an end by a flag file, metrics.
fn everything(host: &Host) -> Pipeline {
    let mut pipeline = Pipeline::new(host);
    let log = pipeline.file("a.log", "one bob@example.com\ntwo 4012888888881881\nthree");
    let flag = pipeline.file("flag", "");
    pipeline
        .input("sidecar_tail", &[("path", log.as_str()), ("tag", "a.log")])
        .filter(
            "pii_redact",
            "*",
            &[("rule", "first /one/"), ("rule", "last /three/")],
        )
        .filter(
            "kube_metadata",
            "*",
            &[("pod_name", "web-0"), ("namespace_name", "shop")],
        )
        .print()
        .output("completion_exit", "*", &[("flag_file", &flag)]);
    pipeline
}

fn check(ended: &Ended, how: Option<&str>) {
    ended.check_status(0);
    let logs: Vec<String> = ended
        .records()
        .iter()
        .filter_map(|record| record["log"].as_str().map(str::to_owned))
        .collect();
    ended.check("three lines, redacted", logs.len() == 3);
    ended.check(
        "no card, no address",
        !ended.output().contains("4012888888881881"),
    );
    for unwanted in ["not laid out", "does not find this input"] {
        ended.check(unwanted, !ended.output().contains(unwanted));
    }
    if let Some(how) = how {
        ended.check(&format!("'{how}' is said"), ended.output().contains(how));
    }
}

/// The same host without symbols and debug information, in `folder`.
fn stripped(host: &Host, folder: &Path) -> Host {
    let program = folder.join("stripped");
    let status = Command::new("strip")
        .arg("-o")
        .args([&program, &host.program])
        .status()
        .expect("binutils are installed");
    assert!(status.success(), "strip");
    Host {
        program,
        ..host.clone()
    }
}

/// What `flb-sidecar-abi` writes about a host.
fn written(host: &Host) -> String {
    let output = Command::new(build::abi_program())
        .arg(&host.program)
        .output()
        .expect("flb-sidecar-abi starts");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    String::from_utf8(output.stdout).expect("the file is text")
}

fn check_refused(ended: &Ended, parts: &[&str]) {
    ended.check_status(1);
    ended.check("one line says why", ended.stderr.lines().count() == 1);
    for part in parts {
        ended.check(&format!("it names '{part}'"), ended.stderr.contains(part));
    }
}

/// A test host that looks like 5.1.0, with what has changed in random places.
fn changed_host(seed: u64, changed: Changed) -> Host {
    Host {
        version: Version(5, 1, 0),
        program: build::random_host(seed, changed),
        real: false,
    }
}

fn random_hosts() -> Vec<(u64, Host)> {
    let fresh = random::seed() % 1_000_000;
    let host = |seed| changed_host(seed, Changed::Everything);
    SEEDS
        .iter()
        .copied()
        .chain([fresh])
        .map(|seed| (seed, host(seed)))
        .collect()
}

#[test]
fn fields_in_random_places_are_found_in_debug_information() {
    for (seed, host) in random_hosts() {
        say(&format!("random layout of seed {seed}"));
        check(&everything(&host).run(), Some("its debug information"));
    }
}

/// A fork whose registration structs and functions are those of 5.1.0, and nothing else. As in fluent/fluent-bit
/// #3221, where a plugin that was compiled for other structs crashed the host without a word.
#[test]
fn a_host_that_only_looks_like_a_release_is_not_taken_for_it() {
    for seed in &SEEDS[..2] {
        say(&format!("random insides of seed {seed}"));
        let host = changed_host(*seed, Changed::Inside);
        let ended = everything(&host).run();
        check(&ended, Some("its debug information"));
        let passed = "a record went through a trial run in";
        ended.check("it was tried", ended.output().contains(passed));
    }
}

/// The same without its debug information: nothing says that it is no 5.1.0 but what is seen of it while
/// it runs. A second rule that is silently left out would let a secret pass.
#[test]
fn a_stripped_host_that_only_looks_like_a_release_redacts_by_every_rule_or_refuses() {
    let folder = tempfile::tempdir().unwrap();
    let fresh = random::seed() % 1_000_000;
    for seed in SEEDS[..2].iter().copied().chain([fresh]) {
        say(&format!("random insides of seed {seed}, stripped"));
        let host = stripped(&changed_host(seed, Changed::Inside), folder.path());
        let ended = everything(&host).run();
        let texts = ended.records();
        let texts = texts.iter().filter_map(|record| record["log"].as_str());
        let secret = texts.filter(|text| text.contains("one") || text.contains("three"));
        ended.check("no rule is left out", secret.count() == 0);
        ended.check(
            "the way out is named",
            ended.output().contains("FLB_SIDECAR_ABI=FILE"),
        );
        let alone = |rules: &[(&str, &str)]| {
            let mut pipeline = Pipeline::new(&host);
            let chunk = pipeline.file("chunk", b"\x92\x01\x81\xa3log\xa3one");
            pipeline
                .arg("--once")
                .input("raw_chunk", &[("path", chunk.as_str())])
                .filter("pii_redact", "*", rules)
                .print();
            pipeline.run()
        };
        let ended = alone(&[("rule", "first /two/"), ("rule", "last /one/")]);
        ended.check_status(1);
        for part in [
            "rule: may be given more than once",
            "rules_file",
            "FLB_SIDECAR_ABI",
        ] {
            ended.check(&format!("it names '{part}'"), ended.output().contains(part));
        }
        alone(NO_OPTIONS).check_status(0);
    }
}

#[test]
fn a_stripped_host_is_known_from_a_file_or_refused_with_the_way_out() {
    let folder = tempfile::tempdir().unwrap();
    let (_, host) = random_hosts().remove(0);
    let stripped = stripped(&host, folder.path());
    let way_out = [
        "this library does not know",
        "no debug information",
        "FLB_SIDECAR_ABI=FILE",
    ];
    check_refused(&everything(&stripped).run(), &way_out);

    let with_file = |text: &str| {
        let mut pipeline = everything(&stripped);
        let file = pipeline.file("host.abi", text);
        pipeline.env("FLB_SIDECAR_ABI", &file);
        pipeline.run()
    };
    let good = written(&host);
    check(&with_file(&good), Some("FLB_SIDECAR_ABI="));

    // Checked in the same way as debug information is.
    let replaced = |from: &str, to: &str| {
        assert!(good.contains(from), "{from}");
        good.replacen(from, to, 1)
    };
    let line_of = |begin: &str| {
        let start = good.find(begin).expect("the line is there");
        good[start..].lines().next().expect("a line").to_owned()
    };
    let line = |name: &str| line_of(&format!("  {name} "));
    for (wrong, part) in [
        (String::from("something else"), "line 1"),
        (replaced("build-id ", "build-id 00"), "runs here"),
        (
            replaced(&format!("{}\n", line_of("build-id ")), ""),
            "a build that has no id",
        ),
        (replaced(&line("cb_init"), "  cb_init 0 pointer"), "cb_init"),
        (
            replaced(&line("cb_collect"), ""),
            "no flb_input_plugin.cb_collect",
        ),
        (
            replaced(
                "function flb_log_print void(",
                "function flb_log_print int4(",
            ),
            "flb_log_print",
        ),
        (
            replaced(
                &line("_head"),
                &line("_head").replace(" struct ", " something "),
            ),
            "line ",
        ),
    ] {
        check_refused(&with_file(&wrong), &["FLB_SIDECAR_ABI", part]);
    }
    let mut pipeline = everything(&stripped);
    let fifo = pipeline.path("fifo");
    let made = Command::new("mkfifo").arg(&fifo).status();
    assert!(made.is_ok_and(|status| status.success()), "mkfifo");
    pipeline.env("FLB_SIDECAR_ABI", &fifo);
    check_refused(&pipeline.run(), &["FLB_SIDECAR_ABI", "no regular file"]);
    let mut pipeline = everything(&stripped);
    pipeline.env("FLB_SIDECAR_ABI", "/dev/zero");
    check_refused(&pipeline.run(), &["/dev/zero", "no regular file"]);
    let mut pipeline = everything(&stripped);
    pipeline.env("FLB_SIDECAR_ABI", "/nowhere/host.abi");
    check_refused(
        &pipeline.run(),
        &["/nowhere/host.abi", "allowed: 'discover'"],
    );
}

/// A host of no table that behaves as `future` says gets a record for a filter.
fn from_the_future(mut pipeline: Pipeline, future: &str) -> Pipeline {
    let record = b"\x92\x01\x81\xa3log\xa3one";
    let chunk = pipeline.file("chunk", record);
    pipeline
        .arg("--once")
        .env("TESTHOST_FUTURE", future)
        .input("raw_chunk", &[("path", chunk.as_str())])
        .filter("pii_redact", "*", NO_OPTIONS)
        .output("null", "*", NO_OPTIONS);
    pipeline
}

#[test]
fn a_trial_run_shows_what_layouts_do_not() {
    let (_, host) = random_hosts().remove(0);
    let today = from_the_future(Pipeline::new(&host), "").run();
    today.check_status(0);
    let passed = "a record went through a trial run in";
    today.check("it is said", today.output().contains(passed));
    // Copies of the library share no memory.
    let mut copies = Pipeline::bare(&host);
    for name in build::PLUGINS {
        let copy = copies.path(&format!("flb-{name}.so"));
        std::fs::copy(build::library(), &copy).expect("a temporary folder takes files");
        copies.arg("-e").arg(&copy);
    }
    copies.arg("-f").arg("0.2");
    let ended = from_the_future(copies, "").run();
    ended.check_status(0);
    ended.check("copies pass, too", ended.output().contains(passed));
    // What filters get is wrong: filters do not start, and say why.
    for (future, why) in [
        ("native", "48 bytes, which begin with 0x07"),
        ("object", "as if there were no filter"),
        ("unmapped", "as if there were no filter"),
        ("passes-filters", "as if there were no filter"),
        ("ignores-filters", "as if there were no filter"),
    ] {
        let ended = from_the_future(Pipeline::new(&host), future).run();
        ended.check_status(1);
        for part in ["pii_redact", "in a trial run of this Fluent Bit", why] {
            ended.check(
                &format!("{future}: '{part}'"),
                ended.output().contains(part),
            );
        }
        // Who needs no filter is not kept from running.
        let mut pipeline = Pipeline::new(&host);
        let log = pipeline.file("a.log", "one\n");
        pipeline
            .env("TESTHOST_FUTURE", future)
            .input(
                "sidecar_tail",
                &[("path", log.as_str()), ("exit_on_eof", "on")],
            )
            .print();
        let ended = pipeline.run();
        ended.check_status(0);
        ended.check("the record came", ended.records().len() == 1);
    }
    for (future, why) in [
        ("crashes", "a record crashed it (signal 6)"),
        ("loses", "came to no output"),
        ("refuses", "no input could append a record"),
    ] {
        check_refused(
            &from_the_future(Pipeline::new(&host), future).run(),
            &[why, "no table"],
        );
    }
}

/// Without a trial run nothing is known before the first batch.
#[test]
fn batches_that_are_no_records_are_noticed() {
    let (_, host) = random_hosts().remove(0);
    let run = |future: &str| {
        let mut pipeline = Pipeline::bare(&host);
        let alone = "filter_pii_redact";
        build::link_plugins(pipeline.folder(), &build::library(), &[alone]);
        let link = pipeline.path(&format!("flb-{alone}.so"));
        pipeline.arg("-e").arg(&link).arg("-f").arg("0.2");
        let ended = from_the_future(pipeline, future).run();
        ended.check_status(0);
        ended.check(
            "no trial",
            ended
                .output()
                .contains("no trial run shows how records fare here: there is no"),
        );
        ended
            .output()
            .contains("something else than msgpack records")
    };
    for future in ["native", "object", "unmapped"] {
        assert!(run(future), "{future}");
    }
    assert!(!run(""));
}

/// The way of everything above on real hosts, and what it costs.
#[test]
fn real_hosts_are_known_from_their_debug_information() {
    each_real_host("layouts from debug information", |host| {
        let mut pipeline = everything(host);
        pipeline.env("FLB_SIDECAR_ABI", "discover");
        let ended = pipeline.run();
        if ended.stderr.contains("has no debug information") {
            say(&format!(
                "SKIPPED layouts from debug information: {host} has none"
            ));
            return;
        }
        check(&ended, Some("its debug information (read in"));
        let took = ended.output();
        let took = took
            .split("read in ")
            .nth(1)
            .and_then(|rest| rest.split(' ').next());
        say(&format!(
            "layouts from debug information: {host}: {} ms",
            took.unwrap_or("?")
        ));
    });
}

/// Under `ulimit -s 64`, with which a Fluent Bit starts. Without optimisation callbacks take more.
#[test]
fn a_small_stack_is_enough_to_be_loaded() {
    each_real_host("a small stack", |host| {
        let folder = tempfile::tempdir().unwrap();
        let optimised = build::library()
            .components()
            .any(|part| part.as_os_str() == "release");
        let kib = if optimised { 64 } else { 2048 };
        for abi in ["", "discover"] {
            let program = folder.path().join("small-stack");
            let path = host.program.display();
            let text = format!("#!/bin/sh\nulimit -s {kib}\nexec '{path}' \"$@\"\n");
            script(&program, &text);
            let small = Host {
                program,
                ..host.clone()
            };
            let mut pipeline = everything(&small);
            pipeline.env("FLB_SIDECAR_ABI", abi);
            check(&pipeline.run(), None);
        }
    });
}

/// The same host where `/proc` is empty.
fn without_proc(host: &Host, folder: &Path) -> Host {
    let program = folder.join("without-proc");
    let text = format!(
        "#!/bin/sh\nexec bwrap --dev-bind / / --tmpfs /proc --die-with-parent -- '{}' \"$@\"\n",
        host.program.display()
    );
    script(&program, &text);
    Host {
        program,
        ..host.clone()
    }
}

/// ConchSandbox/Conch #138, longld/peda #34: sandboxes and hardened systems whose /proc/self says nothing.
#[test]
fn a_release_is_known_without_proc_and_another_host_is_told_why_not() {
    let title = "no /proc";
    let bubble = ["--dev-bind", "/", "/", "--tmpfs", "/proc", "true"];
    let works = Command::new("bwrap")
        .args(bubble)
        .stderr(Stdio::null())
        .status();
    if !works.is_ok_and(|status| status.success()) {
        say(&format!(
            "SKIPPED {title}: bubblewrap is not installed or not allowed here"
        ));
        return;
    }
    each_real_host(title, |host| {
        let folder = tempfile::tempdir().unwrap();
        let host = without_proc(host, folder.path());
        let mut pipeline = everything(&host);
        pipeline.env("FLB_SIDECAR_ABI", "");
        check(&pipeline.run(), None);
        let mut pipeline = everything(&host);
        pipeline.env("FLB_SIDECAR_ABI", "discover");
        check_refused(&pipeline.run(), &["is /proc mounted?"]);
    });
}

#[test]
fn real_hosts_are_known_from_a_file() {
    each_real_host("layouts from a file", |host| {
        let folder = tempfile::tempdir().unwrap();
        let stripped = stripped(host, folder.path());
        let mut pipeline = everything(&stripped);
        let file = pipeline.file("host.abi", written(host));
        pipeline.env("FLB_SIDECAR_ABI", &file);
        check(&pipeline.run(), Some("FLB_SIDECAR_ABI="));
    });
}
