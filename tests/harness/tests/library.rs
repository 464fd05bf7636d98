//! The library as a file, and the headers it is built from.

use std::path::{Path, PathBuf};
use std::process::Command;

use flb_sidecar_tests::build::{library, root, PLUGINS};

fn run(program: impl AsRef<std::ffi::OsStr>, arguments: &[&str], file: Option<&Path>) -> String {
    let program = Path::new(program.as_ref());
    let output = Command::new(program)
        .args(arguments)
        .args(file)
        .output()
        .unwrap_or_else(|e| panic!("{} does not start: {e}", program.display()));
    assert!(
        output.status.success(),
        "{}: {}",
        program.display(),
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn release_library() -> Option<PathBuf> {
    let path = library();
    let is_release = path.parent().is_some_and(|p| p.ends_with("release"));
    (is_release || std::env::var_os("FLB_SIDECAR_LIBRARY").is_some()).then_some(path)
}

#[test]
fn every_layout_is_as_the_releases_have_it() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let program = folder.path().join("layout");
    let compiler = std::env::var("CC").unwrap_or_else(|_| "cc".to_owned());
    let include = format!("-I{}", root().join("include").display());
    let output = format!("-o{}", program.display());
    let source = root().join("tests/abi/layout.c");
    let strict = ["-std=c11", "-Wall", "-Wextra", "-Werror", "-Wpedantic"];
    let arguments = [&strict[..], &[&include, &output]].concat();
    run(&compiler, &arguments, Some(&source));
    assert!(run(&program, &[], None).contains("every layout"));

    let Some(other) = compiler_for_aarch64() else {
        flb_sidecar_tests::say(
            "SKIPPED layouts of aarch64: no clang, no aarch64-linux-gnu-gcc, no zig in target/tools",
        );
        return;
    };
    let object = format!("-o{}", folder.path().join("layout.o").display());
    let compiler = other.iter().skip(1).map(String::as_str);
    let arguments: Vec<&str> = compiler
        .chain(strict[..4].iter().copied())
        .chain(["-ffreestanding", "-c", &object, &include])
        .collect();
    run(&other[0], &arguments, Some(&source));
}

/// A C compiler for the other processor, with its arguments: Clang compiles for any machine, a GCC for
/// one, and so does the Clang in zig, which links the released library.
fn compiler_for_aarch64() -> Option<Vec<String>> {
    let python = root().join("target/tools/bin/python").display().to_string();
    let all: [&[&str]; 3] = [
        &["clang", "--target=aarch64-linux-gnu"],
        &["aarch64-linux-gnu-gcc"],
        &[
            &python,
            "-m",
            "ziglang",
            "cc",
            "-target",
            "aarch64-linux-gnu",
        ],
    ];
    let starts = |words: &&&[&str]| {
        let version = Command::new(words[0])
            .args(&words[1..])
            .arg("--version")
            .output();
        version.is_ok_and(|output| output.status.success())
    };
    let found = all.iter().find(starts)?;
    Some(found.iter().map(|&word| word.to_owned()).collect())
}

#[test]
fn the_library_exports_the_plugins_and_nothing_else() {
    let symbols = run(
        "nm",
        &["-D", "--defined-only", "--format=just-symbols"],
        Some(&library()),
    );
    let mut found: Vec<&str> = symbols.lines().map(str::trim).collect();
    found.sort_unstable();
    let mut wanted: Vec<String> = PLUGINS.iter().map(|p| format!("{p}_plugin")).collect();
    wanted.push("FLBPluginRegister".to_owned());
    wanted.sort_unstable();
    assert_eq!(found, wanted);
}

#[test]
fn the_library_stays_mapped_and_links_no_function_of_the_host() {
    let dynamic = run("readelf", &["--dynamic", "--wide"], Some(&library()));
    assert!(dynamic.contains("NODELETE"), "{dynamic}");
    let undefined = run("nm", &["-D", "--undefined-only"], Some(&library()));
    for line in undefined.lines() {
        let symbol = line.split_whitespace().last().unwrap_or_default();
        let of_host = ["flb_", "cmt_", "cfl_", "mk_"]
            .iter()
            .any(|p| symbol.starts_with(p));
        assert!(!of_host, "{symbol} is linked instead of looked up");
    }
}

#[test]
fn the_stripped_library_has_at_most_eight_mebibytes() {
    let Some(library) = release_library() else {
        flb_sidecar_tests::say("SKIPPED size of the library: no release build, run `make build`");
        return;
    };
    let bytes = std::fs::metadata(&library)
        .expect("the library is there")
        .len();
    assert!(bytes <= 8 << 20, "{bytes} bytes");
}

#[test]
fn every_plugin_crate_forbids_unsafe_code() {
    let plugins = std::fs::read_dir(root().join("plugins")).expect("plugins/ is there");
    for plugin in plugins {
        let path = plugin
            .expect("a folder can be read")
            .path()
            .join("src/lib.rs");
        let text = std::fs::read_to_string(&path).expect("a plugin has src/lib.rs");
        assert!(
            text.contains("#![forbid(unsafe_code)]"),
            "{}",
            path.display()
        );
    }
}
