//! Options of the host's own `tail` in `sidecar_tail`, on the C test host and on real hosts.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use flb_sidecar_tests::build::root;
use flb_sidecar_tests::case::bodies;
use flb_sidecar_tests::sidecar::append;
use flb_sidecar_tests::sink::Sink;
use flb_sidecar_tests::{
    each_real_host, each_real_host_where, each_test_host, wait_until, Host, Pipeline, DEADLINE,
};
use serde_json::Value as Json;

const TAIL: &str = "sidecar_tail";

type Options = &'static [(&'static str, &'static str)];

/// The host ends by itself, with success, and every line has been delivered.
fn exit_on_eof(host: &Host, more: &[(&str, &str)]) {
    let mut pipeline = Pipeline::new(host);
    let mut lines: Vec<String> = (0..5000).map(|n| format!("line {n}")).collect();
    pipeline.file("logs/a.log", lines.join("\n") + "\n");
    pipeline.file("logs/b.log", "without a newline");
    lines.push("without a newline".to_owned());
    let pattern = pipeline.path("logs/*.log");
    pipeline
        .input(TAIL, &[("path", pattern.as_str()), ("exit_on_eof", "on")])
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

/// Some releases tell an input on a thread of its own to pause through a queue, and to go on directly, so that it
/// may hear of both the other way round. What is appended while it is paused they throw away, as that of their
/// own `tail`; but it reads on.
#[test]
fn a_threaded_input_reads_on_behind_its_limit() {
    const BURSTS: usize = 25;
    each_real_host_where(
        "mem_buf_limit, threaded",
        |host| host.since(2, 0, 0),
        |host| {
            let mut pipeline = Pipeline::new(host);
            let log = pipeline.file("a.log", "");
            let options = [
                ("path", log.as_str()),
                ("threaded", "on"),
                ("mem_buf_limit", "50k"),
            ];
            pipeline.input(TAIL, &options).print();
            let mut running = pipeline.start();
            for burst in 0..BURSTS {
                let lines = (0..200).map(|n| format!("{burst} {n} {:400}", "x"));
                append(Path::new(&log), lines);
                let marker = format!("behind burst {burst}");
                running.wait_for("a line behind a burst", |output| {
                    append(Path::new(&log), [marker.clone()]);
                    output.stdout().contains(&marker)
                });
            }
        },
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
    Name   json
    Format json
[PARSER]
    Name   docker_first
    Format regex
    Regex  (?<first>^{"log":"\d{4}-\d{2}-\d{2}.*)
[PARSER]
    Name   first
    Format regex
    Regex  ^(?<level>[A-Z]+) (?<message>.*)$
[PARSER]
    Name   digits
    Format regex
    Regex  ^(?<number>[0-9]+)$
[PARSER]
    Name   detail
    Format regex
    Regex  ^  (?<key>\w+)=(?<value>.*)$
"#;

/// The host's own `tail` and ours read the same file with the same options in one process: the
/// same records come out. `records`: how many that is.
fn same_as_tail(host: &Host, options: &[(&str, &str)], text: &[u8], records: usize) {
    let (stock, ours) = both(host, [options, options], text, records);
    // In any order of keys: generations of tail differ in where they put the path.
    assert_eq!(ours, stock, "{options:?}: ours, then the host's own");
}

/// What the host's own `tail` makes of the file with the first options, and ours with the second.
fn both(
    host: &Host,
    options: [&[(&str, &str)]; 2],
    text: &[u8],
    records: usize,
) -> (Vec<Json>, Vec<Json>) {
    let sink = Sink::listen();
    let mut pipeline = Pipeline::new(host);
    let log = pipeline.file("a.log", text);
    let parsers = pipeline.file("parsers.conf", PARSERS);
    pipeline.arg("-R").arg(&parsers);
    for (plugin, options) in ["tail", TAIL].into_iter().zip(options) {
        let given = [("tag", plugin), ("path", &log), ("read_from_head", "on")];
        pipeline.input(plugin, &given).options(options);
    }
    pipeline.output("http", "*", &sink.options());
    let running = pipeline.start();
    let got = |tag: &str| bodies(tag, &sink.chunk(tag));
    let all = wait_until(DEADLINE, || {
        let both = [got("tail"), got(TAIL)];
        both.iter()
            .all(|bodies| bodies.len() >= records)
            .then_some(both)
    });
    let Some([stock, ours]) = all else {
        let (stock, ours) = (got("tail"), got(TAIL));
        panic!("not {records}: {stock:#?}\n{ours:#?}\n{}", running.output());
    };
    (stock, ours)
}

/// Neither `tail` nor ours starts; what ours says has this text.
fn both_refuse(host: &Host, options: &[(&str, &str)], says: &str) {
    for plugin in ["tail", TAIL] {
        let mut pipeline = Pipeline::new(host);
        let log = pipeline.file("a.log", "1\n");
        let parsers = pipeline.file("parsers.conf", PARSERS);
        pipeline.arg("-R").arg(&parsers);
        pipeline
            .input(plugin, &[("path", &log)])
            .options(options)
            .print();
        let ended = pipeline.run();
        let refused = ended.status != Some(0);
        ended.check(&format!("{plugin} refuses {options:?}"), refused);
        let said = plugin == "tail" || ended.stderr.contains(says);
        ended.check(&format!("{options:?}: {says}"), said);
    }
}

/// Configurations that `tail` takes, some of them by mistake.
#[test]
fn a_rename_from_tail_starts_and_reads_the_same() {
    let long = &*format!("short\n{}\nend\n", "x".repeat(900));
    let rows: &[(Options, &str, usize)] = &[
        (
            &[("buffer_chunk_size", "1k"), ("buffer_max_size", "1k")],
            long,
            3,
        ),
        (
            &[("buffer_chunk_size", "20M"), ("buffer_max_size", "300M")],
            long,
            3,
        ),
        (
            &[("static_batch_size", "1k"), ("event_batch_size", "1")],
            long,
            3,
        ),
        (&[("parser", "nobody_has_it")], "7\nx\n", 2),
        (&[("db.sync", "sometimes")], "7\n", 1),
        (
            &[("docker_mode", "on"), ("docker_mode_flush", "1s")],
            DOCKER,
            6,
        ),
        (
            &[
                ("docker_mode", "on"),
                ("docker_mode_flush", "1 s"),
                ("parser", "nobody_has_it"),
            ],
            DOCKER,
            6,
        ),
        (
            &[
                ("docker_mode", "on"),
                ("docker_mode_flush", "1"),
                ("docker_mode_parser", "nobody_has_it"),
            ],
            DOCKER,
            6,
        ),
        (
            &[("multiline.parser", "cri"), ("docker_mode", "on")],
            CRI,
            3,
        ),
        (
            &[
                ("multiline.parser", "cri"),
                ("multiline", "on"),
                ("parser_firstline", "first"),
            ],
            CRI,
            3,
        ),
        (&[("multiline.parser", "cri"), ("parser", "digits")], CRI, 3),
        (
            &[
                ("multiline", "on"),
                ("multiline_flush", "1"),
                ("parser_firstline", "first"),
                ("parser", "digits"),
            ],
            "ERROR one\n  at two\nWARN three\n",
            2,
        ),
    ];
    each_real_host("a rename from tail", |host| {
        for (options, text, records) in rows {
            same_as_tail(host, options, text.as_bytes(), *records);
        }
    });
}

const CRI: &str = "2024-01-01T00:00:01.1Z stdout F one
2024-01-01T00:00:02.2Z stdout P t
2024-01-01T00:00:03.3Z stdout F wo
2024-01-01T00:00:04.4Z stderr F three
";

#[test]
fn what_tail_refuses_is_refused() {
    each_real_host("what tail refuses", |host| {
        let rows: [(Options, &str); 5] = [
            (
                &[("db", "tail.db"), ("db.journal_mode", "sometimes")],
                "'db.journal_mode'",
            ),
            (&[("multiline", "on")], "'parser_firstline'"),
            (
                &[("multiline", "on"), ("parser_firstline", "nobody_has_it")],
                "'parser_firstline'",
            ),
            (
                &[
                    ("multiline", "on"),
                    ("parser_firstline", "first"),
                    ("docker_mode", "on"),
                ],
                "'multiline' and 'docker_mode'",
            ),
            (
                &[("multiline.parser", "nobody_has_it")],
                "'multiline.parser'",
            ),
        ];
        for (options, says) in rows {
            both_refuse(host, options, says);
        }
    });
}

/// Patterns in Onigmo's syntax, as the host's own `tail` has them.
#[test]
fn tag_regex_is_the_hosts_own() {
    each_real_host("tag_regex as in tail", |host| {
        for (pattern, tag) in [
            (r"(?<pod>[a-z]+)_(?<space>[^_]+)\.log$", "web.shop7"),
            // Plain groups inside of named ones, as configurations for GKE have them.
            (
                r"(?<pod>[a-z]([-a-z0-9]*[a-z0-9])?(\.[a-z]+)*)_(?<space>[^_]+)\.log$",
                "web.shop7",
            ),
            // Between slashes, a hexadecimal digit, lookahead and a possessive quantifier.
            (r"/(?<pod>[a-z]++)_(?<space>(?!x)\w++)\.log$/", "web.shop7"),
            (
                r"/\/(?<pod>[a-z]++)_(?=shop)(?<space>.*?)\.log/",
                "web.shop7",
            ),
            (r"(?<space>\h\h)\.log", "_.e9"),
        ] {
            let sink = Sink::listen();
            let mut pipeline = Pipeline::new(host);
            let name = if tag.ends_with("e9") {
                "e9"
            } else {
                "web_shop7"
            };
            let log = pipeline.file(&format!("{name}.log"), "line\n");
            for plugin in ["tail", TAIL] {
                let given = [
                    ("tag", &*format!("{plugin}.<pod>.<space>")),
                    ("path", &log),
                    ("read_from_head", "on"),
                    ("tag_regex", pattern),
                ];
                pipeline.input(plugin, &given);
            }
            pipeline.output("http", "*", &sink.options());
            let running = pipeline.start();
            let tags = ["tail", TAIL].map(|plugin| format!("{plugin}.{tag}"));
            let came = |tag: &String| !bodies(tag, &sink.chunk(tag)).is_empty();
            let all = wait_until(DEADLINE, || tags.iter().all(came).then_some(()));
            assert!(all.is_some(), "{pattern}\n{}", running.output());
        }
    });
}

#[test]
fn relative_patterns_as_in_tail() {
    each_real_host("relative paths", |host| {
        for plugin in ["tail", TAIL] {
            let mut pipeline = Pipeline::new(host);
            for name in ["ep_a.txt", "ep_ignore1.txt", "ep_b.txt"] {
                pipeline.file(name, format!("{name}\n"));
            }
            let options = [
                ("path", "ep_*.txt"),
                ("exclude_path", "ep_ignore*.txt"),
                ("path_key", "file"),
                ("read_from_head", "on"),
                ("exit_on_eof", "on"),
            ];
            pipeline.input(plugin, &options).print();
            let ended = pipeline.run();
            let mut got: Vec<_> = ended
                .records()
                .iter()
                .map(|record| (record["log"].clone(), record["file"].clone()))
                .collect();
            got.sort_by_key(|(line, _)| line.to_string());
            let expect = ["ep_a.txt", "ep_b.txt"].map(|name| (name.into(), name.into()));
            ended.check(&format!("{plugin}: {got:?}"), got == expect);
        }
    });
}

/// Which lines are too long, to the byte.
#[test]
fn long_lines_as_in_tail() {
    let text: String = (60..70)
        .map(|length| format!("{}\n", "x".repeat(length)))
        .collect();
    let text = format!("begin\n{text}end\n");
    each_real_host("long lines as in tail", |host| {
        let known = listed_options(host, "tail");
        let small = [("buffer_chunk_size", "64"), ("buffer_max_size", "64")];
        // Lines of 60 to 62 bytes, or the first 63 bytes of longer ones, too.
        for (option, records) in [("skip_long_lines", 5), ("truncate_long_lines", 12)] {
            if known.contains(option) {
                let options = [&small[..], &[(option, "on")]].concat();
                same_as_tail(host, &options, text.as_bytes(), records);
            }
        }
    });
}

/// `format json` reads what the host's JSON parser reads.
#[test]
fn json_as_the_hosts_parser_reads_it() {
    let lines: &[&[u8]] = &[
        br#"{"a":"\ud83d\ude00 \u00e9","n":[1,-2,2.5,null,true]}"#,
        b"{\"a\":\"tab\there \x01 \x1b[0m\"}",
        br#"{"a":"lone \ud83d end","b":"low \udc00 end"}"#,
        b"{\"a\":\"caf\xe9\",\"k\":1}",
        br#"{"a":"bad \q"}"#,
        br#"{"a":1,}"#,
        b"plain",
    ];
    let text = [lines.join(&b"\n"[..]), b"\n".to_vec()].concat();
    each_real_host_where(
        "json as the host's parser reads it",
        // Older parsers make more of lines that are no JSON, each in its own way.
        |host| host.since(5, 1, 0),
        |host| {
            let options: [&[(&str, &str)]; 2] = [&[("parser", "json")], &[("format", "json")]];
            let (stock, ours) = both(host, options, &text, lines.len());
            assert_eq!(ours, stock);
        },
    );
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

/// Lines that the host's multiline parsers join, each with whether it begins a record.
const JOINED: &[(&str, &[(bool, &str)])] = &[
    (
        "docker",
        &[
            (
                true,
                r#"{"log":"one\n","stream":"stdout","time":"2024-01-01T00:00:01Z"}"#,
            ),
            (
                true,
                r#"{"log":"t","stream":"stdout","time":"2024-01-01T00:00:02Z"}"#,
            ),
            (
                false,
                r#"{"log":"wo\n","stream":"stdout","time":"2024-01-01T00:00:03Z"}"#,
            ),
            (
                true,
                r#"{"log":"two\n","stream":"stdout","time":"2024-01-01T00:00:04Z"}"#,
            ),
        ],
    ),
    (
        "cri",
        &[
            (true, "2024-01-01T00:00:01.1Z stdout F one"),
            (true, "2024-01-01T00:00:02.2Z stdout P t"),
            (false, "2024-01-01T00:00:03.3Z stdout F wo"),
            (true, "2024-01-01T00:00:03.3Z stdout F wo"),
        ],
    ),
    (
        "java",
        &[
            (
                true,
                "Exception in thread \"main\" java.lang.RuntimeException: one",
            ),
            (false, "    at a.b.c(X.java:1)"),
            (true, "same"),
            (true, "same"),
            (true, "same"),
        ],
    ),
];

#[test]
fn joined_lines_have_the_offset_of_the_first_one() {
    each_real_host("offsets of joined lines", |host| {
        for (parser, lines) in JOINED {
            let mut text = String::new();
            let mut offsets = Vec::new();
            for (begins, line) in *lines {
                offsets.extend(begins.then_some(text.len() as u64));
                text = text + line + "\n";
            }
            let mut pipeline = Pipeline::new(host);
            let log = pipeline.file("a.log", &text);
            let options = [("multiline.parser", *parser), ("offset_key", "offset")];
            pipeline
                .input(TAIL, &[("path", log.as_str()), ("exit_on_eof", "on")])
                .options(&options)
                .print();
            let ended = pipeline.run();
            let got: Vec<u64> = ended
                .records()
                .iter()
                .filter_map(|record| record["offset"].as_u64())
                .collect();
            ended.check(&format!("{parser}: {offsets:?}"), got == offsets);
        }
    });
}

/// A record of the hasty parser is out before one of a parser of the host's own, and that one before the
/// patient parser's, which goes on.
#[test]
fn a_joined_record_waits_as_long_as_its_parser_says() {
    const PATIENCE: [(&str, &str); 2] = [("hasty", "500"), ("patient", "600000")];
    each_real_host("flush_timeout of a multiline parser", |host| {
        let mut pipeline = Pipeline::new(host);
        let section = |(name, patience): (&str, &str)| {
            let rules =
                "rule \"start_state\" \"/^Begin/\" \"cont\"\n    rule \"cont\" \"/^ /\" \"cont\"";
            let of = format!("name {name}\n    type regex\n    flush_timeout {patience}");
            format!("[MULTILINE_PARSER]\n    {of}\n    {rules}\n")
        };
        let parsers = pipeline.file("parsers.conf", PATIENCE.map(section).concat());
        pipeline.arg("-R").arg(&parsers);
        let begin = "Begin: java.lang.RuntimeException: one\n    at a.b.c(X.java:1)\n";
        for name in ["hasty", "java", "patient"] {
            let log = pipeline.file(&format!("{name}.log"), begin);
            let options = [("path", log.as_str()), ("tag", name), ("path_key", "path")];
            pipeline
                .input(TAIL, &options)
                .options(&[("multiline.parser", name)]);
        }
        pipeline.print();
        let mut running = pipeline.start();
        let has = |stdout: &str, name: &str| stdout.contains(&format!("/{name}.log"));
        running.wait_for("the hasty record", |output| has(&output.stdout(), "hasty"));
        assert!(!has(&running.output().stdout(), "java"));
        running.wait_for("the host's own", |output| has(&output.stdout(), "java"));
        assert!(!has(&running.output().stdout(), "patient"));
        for name in ["hasty", "patient"] {
            append(
                Path::new(&pipeline.path(&format!("{name}.log"))),
                ["    more".to_owned()],
            );
        }
        let hasty = |stdout: &str| stdout.matches("/hasty.log").count();
        running.wait_for("the rest", |output| hasty(&output.stdout()) == 2);
        let ended = running.terminate();
        let of = |name: &str| -> Vec<String> {
            let of = |record: &&Json| {
                record["path"]
                    .as_str()
                    .is_some_and(|path| path.ends_with(&format!("/{name}.log")))
            };
            let text = |record: &Json| record["log"].as_str().unwrap_or_default().to_owned();
            ended.records().iter().filter(of).map(text).collect()
        };
        ended.check(
            "one record of the patient parser",
            of("patient") == [format!("{begin}    more\n")],
        );
        ended.check("two of the hasty one", of("hasty") == [begin, "    more\n"]);
    });
}

/// The options of an input, as a host lists them: words at the beginning of a line with their
/// meaning far to the right or in the next lines.
fn listed_options(host: &Host, input: &str) -> BTreeSet<String> {
    let mut pipeline = Pipeline::new(host);
    pipeline.arg("-i").arg(input).arg("-h");
    let text = pipeline.run().check_status(0).stdout.clone();
    // Without the terminal's bold and plain.
    let text = text.replace("\u{1b}[0m", "").replace("\u{1b}[1m", "");
    text.lines()
        .filter_map(|line| {
            let (name, rest) = line.split_at(line.find(' ').unwrap_or(line.len()));
            let is_name = |byte: u8| byte.is_ascii_lowercase() || b"_.".contains(&byte);
            let alone = rest.is_empty() || rest.starts_with("  ");
            (alone && !name.is_empty() && name.bytes().all(is_name)).then(|| name.to_owned())
        })
        .collect()
}

#[test]
fn every_option_that_the_hosts_tail_lists_is_here() {
    each_real_host("every option of tail", |host| {
        let (stock, ours) = (listed_options(host, "tail"), listed_options(host, TAIL));
        assert!(stock.contains("docker_mode_parser"), "{stock:?}");
        let missing: Vec<_> = stock.difference(&ours).collect();
        assert!(missing.is_empty(), "{missing:?}");
    });
}

/// One instance per option, each with a value that `tail` takes, several in one host. Not all: a
/// system gives 128 inotify instances by default, and `tail` does not start without.
#[test]
fn every_option_of_tail_starts_and_reads() {
    let list = root().join("plugins/in_sidecar_tail/tests/stock_options.json");
    let list: Json = serde_json::from_str(&fs::read_to_string(list).unwrap()).unwrap();
    let list = list["options"].as_array().unwrap();
    each_real_host("an instance per option of tail", |host| {
        for options in list.chunks(12) {
            start_and_read(host, options);
        }
    });
}

fn start_and_read(host: &Host, list: &[Json]) {
    let sink = Sink::listen();
    let mut pipeline = Pipeline::new(host);
    let parsers = pipeline.file("parsers.conf", PARSERS);
    pipeline.arg("-R").arg(&parsers);
    let mut tags = Vec::new();
    for option in list {
        let since = |at: usize| option["since"][at].as_u64().unwrap_or(0) as u32;
        if !host.since(since(0), since(1), since(2)) {
            continue;
        }
        let name = option["name"].as_str().unwrap();
        let dir = pipeline.path(name);
        let log = pipeline.file(&format!("{name}/a.log"), "7\n");
        let place = |value: &Json| value.as_str().unwrap().replace("{dir}", &dir);
        let mut options = vec![(name, place(&option["value"])), ("tag", name.to_owned())];
        let with = option["with"].as_object().into_iter().flatten();
        options.extend(with.map(|(name, value)| (name.as_str(), place(value))));
        if name != "path" {
            options.push(("path", log));
        }
        pipeline.input(TAIL, &options);
        tags.push(name);
    }
    let flag = pipeline.file("flag", "");
    pipeline.output("http", "*", &sink.options());
    pipeline.output("completion_exit", "*", &[("flag_file", &flag)]);
    let ended = pipeline.run();
    ended.check_status(0);
    for tag in tags {
        let records = bodies(tag, &sink.chunk(tag)).len();
        ended.check(&format!("{tag}: one record, not {records}"), records == 1);
    }
}

#[test]
fn encodings_as_in_tail() {
    each_real_host("encodings as in tail", |host| {
        let known = listed_options(host, "tail");
        for (option, encoding, text) in [
            (
                "generic.encoding",
                "Win1252",
                &b"Gr\xf6\xdfe \x80\ntwo\n"[..],
            ),
            ("generic.encoding", "sjis", b"\x95\\\x8e\xa6 \xb1\ntwo\n"),
            (
                "generic.encoding",
                "GB18030",
                b"\xc4\xe3 \x81\x30\x81\x30\ntwo\n",
            ),
            ("unicode.encoding", "auto", b"\xff\xfea\0\xf6\0\n\0b\0\n\0"),
            ("unicode.encoding", "UTF-16BE", b"\0a\0\xf6\0\n\0b\0\n"),
        ] {
            if known.contains(option) {
                same_as_tail(host, &[(option, encoding)], text, 2);
            }
        }
    });
}
