//! What only the C test host can do: calls with NULL, broken chunks, memory checkers, and the
//! test host's own proof.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;

use flb_sidecar_tests::build::{self, Check};
use flb_sidecar_tests::{
    each_real_host, each_test_host, say, Ended, Host, Pipeline, Version, NO_OPTIONS,
};

/// Generations that a memory checker sees: one per filter signature and input layout would be
/// too slow, and the layouts are proven without it.
const CHECKED: &[Version] = &[Version(1, 9, 0), Version(2, 1, 0), Version(5, 1, 0)];

/// The C probe against the test host's own numbers: proves the test host, and on a real Fluent
/// Bit the numbers.
fn c_probe(host: &Host) {
    let mut pipeline = Pipeline::bare(host);
    let library = build::c_probe(host.version);
    for name in build::PROBES {
        let file = pipeline.path(&format!("flb-{name}.so"));
        symlink(&library, &file).unwrap();
        pipeline.arg("-e").arg(&file);
    }
    pipeline.arg("-f").arg("0.2");
    pipeline
        .input("probe", NO_OPTIONS)
        .filter("probe", "*", NO_OPTIONS)
        .output("probe", "*", NO_OPTIONS)
        .print();
    let ended = pipeline.run();
    ended.check_status(7);
    let numbers: Vec<u64> = ended
        .records()
        .iter()
        .filter_map(|r| r["N"].as_u64())
        .collect();
    ended.check(
        "three records, and one more from the pause callback",
        numbers == [0, 1, 2, 100],
    );
}

#[test]
fn c_probe_on_the_test_host() {
    each_test_host("C probe", c_probe);
}

#[test]
fn c_probe_on_real_hosts() {
    each_real_host("C probe", c_probe);
}

/// A pipeline with every plugin that ends by itself.
fn everything(host: &Host) -> Pipeline {
    let mut pipeline = Pipeline::new(host);
    let log = pipeline.file("a.log", "one bob@example.com\ntwo 4012888888881881\nthree");
    let chunk = pipeline.file("chunk", [0x92, 0xff, 0xc1, 0x00, 0x92]);
    let flag = pipeline.file("flag", "");
    pipeline
        .env("POD_NAME", "p")
        .input("sidecar_tail", &[("path", &log)])
        .input("raw_chunk", &[("path", &chunk)])
        .filter("pii_redact", "*", NO_OPTIONS)
        .filter("kube_metadata", "*", NO_OPTIONS)
        .print()
        .output("completion_exit", "*", &[("flag_file", &flag)]);
    pipeline
}

fn check_everything(ended: &Ended) {
    ended.check_status(0);
    let logs: Vec<String> = ended
        .records()
        .iter()
        .filter_map(|r| r["log"].as_str().map(str::to_owned))
        .collect();
    ended.check(
        "three lines, redacted",
        logs == ["one [EMAIL]", "two [CARD]", "three"],
    );
}

#[test]
fn null_in_every_callback() {
    each_test_host("NULL in every callback", |host| {
        let mut pipeline = everything(host);
        pipeline.arg("--null-calls");
        check_everything(&pipeline.run());
    });
}

#[test]
fn null_in_every_callback_of_the_probes() {
    each_test_host("NULL in every callback of the probes", |host| {
        let mut pipeline = Pipeline::probe(host);
        let chunk = pipeline.file("chunk", [0x92]);
        pipeline.arg("--null-calls").arg("--once");
        pipeline
            .input("raw_chunk", &[("path", &chunk)])
            .input("probe", NO_OPTIONS);
        pipeline
            .filter("probe", "*", NO_OPTIONS)
            .output("probe", "*", NO_OPTIONS);
        pipeline.run().check_status(0);
    });
}

/// Chunks that are cut, or no msgpack at all: nothing crashes, and what cannot be read arrives as
/// it was.
#[test]
fn broken_chunks_pass() {
    each_test_host("broken chunks", |host| {
        let whole: &[u8] =
            b"\x92\x92\xd7\x00\x65\x00\x00\x00\x00\x00\x00\x01\x80\x81\xa3log\xa5hello";
        let mut pipeline = Pipeline::new(host);
        let out = pipeline.path("out");
        fs::create_dir(&out).unwrap();
        pipeline.arg("--once");
        let mut chunks: Vec<Vec<u8>> = (1..whole.len()).map(|n| whole[..n].to_vec()).collect();
        chunks.extend((0..=u8::MAX).map(|byte| vec![byte; 40]));
        // Lengths that promise four gigabytes.
        chunks.extend(
            [0xc6u8, 0xc9, 0xdb, 0xdd, 0xdf].map(|marker| vec![marker, 0xff, 0xff, 0xff, 0xff]),
        );
        chunks.push([0x91].repeat(100_000));
        for (index, chunk) in chunks.iter().enumerate() {
            let file = pipeline.file(&format!("in/{index}"), chunk);
            pipeline.input("raw_chunk", &[("path", file), ("tag", index.to_string())]);
        }
        pipeline.env("POD_NAME", "p");
        pipeline
            .filter("pii_redact", "*", NO_OPTIONS)
            .filter("kube_metadata", "*", NO_OPTIONS);
        pipeline.output("raw_file", "*", &[("dir", &out)]);
        let ended = pipeline.run();
        ended.check_status(0);
        for (index, chunk) in chunks.iter().enumerate() {
            let got = fs::read(Path::new(&out).join(index.to_string())).unwrap_or_default();
            ended.check(
                &format!("chunk {index} {chunk:02x?} became {got:02x?}"),
                got == *chunk,
            );
        }
    });
}

#[test]
fn address_sanitizer() {
    for &version in CHECKED {
        let host = Host::test(version, Check::Address);
        let mut pipeline = everything(&host);
        pipeline.arg("--null-calls");
        // The Rust library is not instrumented; its allocations are, through malloc.
        let ended = pipeline.run();
        check_everything(&ended);
        // It says so itself when the first coroutine starts.
        ended.check("AddressSanitizer is on", ended.stderr.contains("ASan"));
        ended.check("nothing is reported", !ended.stderr.contains("ERROR: "));
        say(&format!("AddressSanitizer: {host}: ok"));
    }
}

#[test]
fn valgrind() {
    if !Command::new("valgrind")
        .arg("--version")
        .output()
        .is_ok_and(|o| o.status.success())
    {
        say("SKIPPED valgrind: it is not installed");
        return;
    }
    for &version in CHECKED {
        let host = Host::test(version, Check::None);
        let pipeline = everything(&host);
        let plain = pipeline.command();
        let mut command = Command::new("valgrind");
        command.args([
            "-q",
            "--error-exitcode=9",
            "--leak-check=full",
            "--show-leak-kinds=definite",
            "--errors-for-leak-kinds=definite",
        ]);
        let suppressions = build::root().join("tests/host/valgrind.supp");
        command.arg(format!("--suppressions={}", suppressions.display()));
        command
            .arg(plain.get_program())
            .args(plain.get_args())
            .current_dir(pipeline.folder());
        command.env("POD_NAME", "p");
        let ended = flb_sidecar_tests::Running::start(&mut command, pipeline.folder()).end();
        check_everything(&ended);
        say(&format!(
            "valgrind: {host}: ok in {:.1} s",
            ended.took.as_secs_f64()
        ));
    }
}
