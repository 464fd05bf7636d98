//! The released files that `make dist` leaves: what they need of a system, and that they run.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use flb_sidecar_tests::build::{root, PLUGINS};
use flb_sidecar_tests::job::Job;
use flb_sidecar_tests::{each_real_host, say};

/// The glibc of the oldest systems that are served.
const GLIBC: (u32, u32) = (2, 17);

/// Shared libraries that a stock image has: parts of glibc, its loader, GCC's runtime.
const LIBRARIES: &[&str] = &[
    "libc.so.6",
    "libm.so.6",
    "libdl.so.2",
    "libpthread.so.0",
    "libgcc_s.so.1",
    "ld-linux-x86-64.so.2",
    "ld-linux-aarch64.so.1",
];

fn run(program: &str, arguments: &[&str], folder: &Path) -> String {
    let output = Command::new(program)
        .args(arguments)
        .current_dir(folder)
        .output()
        .unwrap_or_else(|e| panic!("{program} does not start: {e}"));
    assert!(
        output.status.success(),
        "{program} {arguments:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// The folders with released files; says SKIPPED when there is none.
fn released(what: &str) -> Vec<PathBuf> {
    let folders: Vec<PathBuf> = ["dist", "dist-aarch64"]
        .iter()
        .map(|folder| root().join(folder))
        .filter(|folder| folder.join("libflb_sidecar.so").exists())
        .collect();
    if folders.is_empty() {
        say(&format!("SKIPPED {what}: no dist/, run `make dist`"));
    }
    folders
}

/// `GLIBC_2.17` as a pair; `None` for anything else.
fn glibc(version: &str) -> Option<(u32, u32)> {
    let mut parts = version.strip_prefix("GLIBC_")?.split('.');
    Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
}

/// What is wrong with a library's undefined symbols, as `nm -D --undefined-only` lists them.
fn unmet(symbols: &str) -> Vec<&str> {
    let fits = |line: &&str| {
        let mut words = line.split_whitespace();
        let (Some(kind), Some(symbol)) = (words.next(), words.next()) else {
            return false;
        };
        match symbol.split_once('@') {
            // A version that an old glibc does not have stops the loader, weak or not.
            Some((_, version)) => {
                version.starts_with("GCC_") || glibc(version).is_some_and(|v| v <= GLIBC)
            }
            // Weak and without a version: looked for, and done without.
            None => kind == "w",
        }
    };
    symbols.lines().filter(|line| !fits(line)).collect()
}

#[test]
fn a_newer_symbol_is_found() {
    let symbols = "                 U memcpy@GLIBC_2.14\n                 w gettid\n                 \
                   U gettid@GLIBC_2.30\n                 w statx@GLIBC_2.28\n                 U flb_log";
    let lines: Vec<&str> = unmet(symbols).iter().map(|line| line.trim()).collect();
    assert_eq!(
        lines,
        ["U gettid@GLIBC_2.30", "w statx@GLIBC_2.28", "U flb_log"]
    );
}

#[test]
fn it_needs_glibc_2_17_and_nothing_else() {
    for folder in released("needs of the released library") {
        let symbols = run(
            "nm",
            &["-D", "--undefined-only", "libflb_sidecar.so"],
            &folder,
        );
        assert_eq!(unmet(&symbols), Vec::<&str>::new());
        // Versions may be needed without a symbol, as GLIBC_ABI_DT_RELR is.
        let versions = run("readelf", &["-V", "-W", "libflb_sidecar.so"], &folder);
        for line in versions.lines().filter(|line| line.contains("Name: ")) {
            let name = line
                .split("Name: ")
                .nth(1)
                .and_then(|s| s.split(' ').next());
            let name = name.unwrap_or_default();
            let fits = name.starts_with("GCC_") || glibc(name).is_some_and(|v| v <= GLIBC);
            assert!(fits, "{line}");
        }
        let dynamic = run("readelf", &["-d", "-W", "libflb_sidecar.so"], &folder);
        let needed: Vec<&str> = dynamic
            .lines()
            .filter(|line| line.contains("(NEEDED)"))
            .filter_map(|line| line.split(['[', ']']).nth(1))
            .collect();
        assert!(needed.contains(&"libc.so.6"), "{dynamic}");
        for library in needed {
            assert!(LIBRARIES.contains(&library), "{library} is needed");
        }
        assert!(dynamic.contains("NODELETE"), "{dynamic}");
        assert!(!dynamic.contains("PATH)"), "a search path: {dynamic}");
    }
}

#[test]
fn it_exports_the_plugins_and_names_no_folder_of_the_build() {
    for folder in released("exports of the released library") {
        let arguments = ["-D", "--defined-only", "--format=just-symbols"];
        let symbols = run(
            "nm",
            &[&arguments[..], &["libflb_sidecar.so"]].concat(),
            &folder,
        );
        let found: BTreeSet<&str> = symbols.lines().map(str::trim).collect();
        let mut wanted: Vec<String> = PLUGINS.iter().map(|p| format!("{p}_plugin")).collect();
        wanted.push("FLBPluginRegister".to_owned());
        assert_eq!(found, wanted.iter().map(String::as_str).collect());

        let bytes = fs::read(folder.join("libflb_sidecar.so")).expect("the library can be read");
        assert!(bytes.len() <= 8 << 20, "{} bytes", bytes.len());
        let text = String::from_utf8_lossy(&bytes);
        let root = fs::canonicalize(root()).expect("the repository is there");
        let home = std::env::var("HOME").unwrap_or_default();
        for place in [
            root.to_string_lossy().into_owned(),
            format!("{home}/.cargo"),
        ] {
            let at = text.find(&place);
            assert!(at.is_none(), "the library names {place}");
        }
    }
}

#[test]
fn the_lists_and_checksums_are_right() {
    for folder in released("lists of the released files") {
        run("sha256sum", &["--check", "--strict", "SHA256SUMS"], &folder);
        let read = |name: &str| fs::read_to_string(folder.join(name)).expect("it can be read");
        let sums = read("SHA256SUMS");
        let (classic, yaml) = (read("plugins.conf"), read("plugins.yaml"));
        for plugin in PLUGINS {
            let file = format!("flb-{plugin}.so");
            assert!(sums.contains(&file), "{file} has no checksum");
            let place = format!("/fluent-bit/plugins/{file}");
            assert!(
                classic.contains(&format!("    Path {place}\n")),
                "{classic}"
            );
            assert!(yaml.contains(&format!("  - {place}\n")), "{yaml}");
            let link = fs::read_link(folder.join(&file)).expect("it is a link");
            assert_eq!(link, Path::new("libflb_sidecar.so"));
        }
    }
}

#[test]
fn the_programs_need_nothing_of_an_image() {
    for folder in released("the released programs") {
        for name in ["flb-sidecar-probe", "flb-sidecar-start"] {
            let all = run("readelf", &["-l", "-d", "-W", name], &folder);
            assert!(
                !all.contains("(NEEDED)") && !all.contains("INTERP"),
                "{all}"
            );
        }
    }
    let probe = root().join("dist/flb-sidecar-probe");
    if cfg!(target_arch = "x86_64") && probe.exists() {
        let status = |file: &Path| Command::new(&probe).arg(file).env_clear().status();
        let code = |file: &Path| status(file).expect("it starts").code();
        assert_eq!(code(&probe), Some(0));
        assert_eq!(code(&root().join("not-there")), Some(1));
    }
}

#[test]
fn it_runs_the_job_on_every_real_host() {
    let library = root().join("dist/libflb_sidecar.so");
    if cfg!(not(target_arch = "x86_64")) || !library.exists() {
        say("SKIPPED the Job with the released library: no dist/, run `make dist`");
        return;
    }
    std::env::set_var("FLB_SIDECAR_LIBRARY", &library);
    each_real_host("the Job with the released library", |host| {
        let outcome = Job::new(host).run(50, "0.01", |_| {});
        outcome.verdict().unwrap_or_else(|wrong| {
            panic!(
                "{wrong}\n{}{}",
                outcome.sidecar.stdout, outcome.sidecar.stderr
            )
        });
    });
}
