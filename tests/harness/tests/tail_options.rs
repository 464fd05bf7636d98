//! Options of the host's own `tail` in `sidecar_tail`, on the C test host and on real hosts.

use flb_sidecar_tests::case::bodies;
use flb_sidecar_tests::sink::Sink;
use flb_sidecar_tests::{
    each_real_host, each_real_host_where, each_test_host, wait_until, Host, Pipeline, DEADLINE,
};

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

/// What a `parsers` file has in these tests.
const PARSERS: &str = r#"
[PARSER]
    Name   docker_json
    Format json
    Time_Key time
    Time_Format %Y-%m-%dT%H:%M:%S.%L
    Time_Keep On
[PARSER]
    Name   docker_first
    Format regex
    Regex  (?<first>^{"log":"\d{4}-\d{2}-\d{2}.*)
[PARSER]
    Name   first
    Format regex
    Regex  ^(?<level>[A-Z]+) (?<message>.*)$
[PARSER]
    Name   detail
    Format regex
    Regex  ^  (?<key>\w+)=(?<value>.*)$
"#;

/// The host's own `tail` and ours read the same file with the same options in one process: the
/// same records come out. `records`: how many that is.
fn same_as_tail(host: &Host, options: &[(&str, &str)], text: &[u8], records: usize) {
    let sink = Sink::listen();
    let mut pipeline = Pipeline::new(host);
    let log = pipeline.file("a.log", text);
    let parsers = pipeline.file("parsers.conf", PARSERS);
    pipeline.arg("-R").arg(&parsers);
    for plugin in ["tail", "sidecar_tail"] {
        let given = [("tag", plugin), ("path", &log), ("read_from_head", "on")];
        pipeline.input(plugin, &given).options(options);
    }
    pipeline.output("http", "*", &sink.options());
    let running = pipeline.start();
    let got = |tag: &str| bodies(tag, &sink.chunk(tag));
    let all = wait_until(DEADLINE, || {
        let both = [got("tail"), got("sidecar_tail")];
        both.iter()
            .all(|bodies| bodies.len() >= records)
            .then_some(both)
    });
    let Some([stock, ours]) = all else {
        let (stock, ours) = (got("tail"), got("sidecar_tail"));
        panic!("not {records}: {stock:#?}\n{ours:#?}\n{}", running.output());
    };
    // In any order of keys: generations of tail differ in where they put the path.
    assert_eq!(ours, stock, "ours, then the host's own");
}

/// Lines as Docker writes them: two records of several lines, one of them in pieces.
const DOCKER: &str = r#"{"log":"before the first\n","stream":"stdout","time":"2024-01-01T00:00:00.1Z"}
{"log":"2024-01-01 one\n","stream":"stdout","time":"2024-01-01T00:00:01.2Z"}
{"log":"  at \u00e9 \"line\" ","stream":"stdout","time":"2024-01-01T00:00:01.3Z"}
{"log":"two\n","stream":"stdout","time":"2024-01-01T00:00:01.4Z"}
not JSON at all
{"log":"2024-01-02 three\n","stream":"stderr","time":"2024-01-01T00:00:02.5Z"}
{"log":"  at four\n","stream":"stderr","time":"2024-01-01T00:00:02.6Z"}
"#;

#[test]
fn docker_mode_as_in_tail() {
    each_real_host("docker_mode as in tail", |host| {
        let docker = [("docker_mode", "on"), ("docker_mode_flush", "1")];
        let with = |more: &[(&'static str, &'static str)]| [&docker, more].concat();
        let first = ("docker_mode_parser", "docker_first");
        let parser = ("parser", "docker_json");
        same_as_tail(host, &with(&[]), DOCKER.as_bytes(), 6);
        same_as_tail(host, &with(&[parser]), DOCKER.as_bytes(), 6);
        same_as_tail(host, &with(&[first]), DOCKER.as_bytes(), 4);
        let all = [first, parser, ("path_key", "file"), ("key", "message")];
        same_as_tail(host, &with(&all), DOCKER.as_bytes(), 4);
    });
}

#[test]
fn multiline_as_in_tail() {
    let lines = "ERROR one\n  name=value\n  at two\nWARN three\nINFO four\n";
    each_real_host("multiline as in tail", |host| {
        let options = [
            ("multiline", "on"),
            ("multiline_flush", "1"),
            ("parser_firstline", "first"),
            ("parser_1", "detail"),
            ("key", "message"),
        ];
        same_as_tail(host, &options, lines.as_bytes(), 3);
    });
}
