//! Options of the host's own `tail` in `sidecar_tail`, on the C test host and on real hosts.

use flb_sidecar_tests::{each_real_host, each_real_host_where, each_test_host, Host, Pipeline};

/// The host ends by itself, with success, and every line has been delivered.
fn exit_on_eof(host: &Host, more: &[(&str, &str)]) {
    let mut pipeline = Pipeline::new(host);
    let mut lines: Vec<String> = (0..5000).map(|n| format!("line {n}")).collect();
    pipeline.file("logs/a.log", lines.join("\n") + "\n");
    pipeline.file("logs/b.log", "without a newline");
    lines.push("without a newline".to_owned());
    let pattern = pipeline.path("logs/*.log");
    pipeline
        .input(
            "sidecar_tail",
            &[("path", pattern.as_str()), ("exit_on_eof", "on")],
        )
        .options(more)
        .print();
    let ended = pipeline.run();
    ended.check_status(0);
    let mut got: Vec<String> = ended
        .records()
        .iter()
        .filter_map(|record| record["log"].as_str().map(str::to_owned))
        .collect();
    got.sort();
    lines.sort();
    ended.check("every line once", got == lines);
}

#[test]
fn exit_on_eof_on_the_test_host() {
    each_test_host("exit_on_eof", |host| exit_on_eof(host, &[]));
}

#[test]
fn exit_on_eof_on_real_hosts() {
    each_real_host("exit_on_eof", |host| exit_on_eof(host, &[]));
}

#[test]
fn exit_on_eof_of_a_threaded_input() {
    each_real_host_where(
        "exit_on_eof, threaded",
        |host| host.since(2, 0, 0),
        |host| exit_on_eof(host, &[("threaded", "on")]),
    );
}
