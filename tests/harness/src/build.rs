//! Where the library is, and building the C programs that load it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, OnceLock};
use std::time::SystemTime;

use crate::host::Version;
use crate::random_layout::Changed;

/// Files that a host loads, without `flb-` and `.so`.
pub const PLUGINS: &[&str] = &[
    "in_sidecar_tail",
    "filter_pii_redact",
    "filter_kube_metadata",
    "out_completion_exit",
];

/// The same for the library with the feature `probe`.
pub const PROBES: &[&str] = &["in_probe", "filter_probe", "out_probe"];

/// Root of the repository.
pub fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.ancestors().nth(2).unwrap_or(here).to_owned()
}

/// Cargo's target folder, from the running program's place in it.
fn target_folder() -> PathBuf {
    let program = std::env::current_exe().expect("a program knows its own path");
    program
        .ancestors()
        .find(|folder| folder.join("CACHEDIR.TAG").exists())
        .map_or_else(|| root().join("target"), Path::to_owned)
}

/// The library under test: `FLB_SIDECAR_LIBRARY`, or what `make build` or `cargo build` left,
/// whichever is newer.
///
/// # Panics
/// When there is none.
pub fn library() -> PathBuf {
    if let Some(path) = std::env::var_os("FLB_SIDECAR_LIBRARY") {
        return PathBuf::from(path);
    }
    let built = ["release", "debug"].map(|p| target_folder().join(p).join("libflb_sidecar.so"));
    let modified = |path: &PathBuf| fs::metadata(path).and_then(|m| m.modified()).ok();
    built
        .into_iter()
        .filter(|path| path.exists())
        .max_by_key(modified)
        .expect("the library is not built: run `make build`")
}

/// Whether [`library`] is an optimised one, for tests that measure.
pub fn library_is_release() -> bool {
    let release = library().parent().is_some_and(|p| p.ends_with("release"));
    release || std::env::var_os("FLB_SIDECAR_LIBRARY").is_some()
}

/// The library with the probe plugins: `FLB_SIDECAR_PROBE_LIBRARY`, or built here once, in a
/// target folder of its own so that it never replaces the real one.
pub fn probe_library() -> PathBuf {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT
        .get_or_init(|| {
            if let Some(path) = std::env::var_os("FLB_SIDECAR_PROBE_LIBRARY") {
                return PathBuf::from(path);
            }
            let target = target_folder().join("probe");
            let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
            let status = Command::new(cargo)
                .current_dir(root())
                .args(["build", "--quiet", "--lib", "--features", "probe"])
                .arg("--target-dir")
                .arg(&target)
                .status()
                .expect("cargo runs");
            assert!(status.success(), "the probe library does not build");
            target.join("debug/libflb_sidecar.so")
        })
        .clone()
}

/// The program that writes a host's layouts to a file: beside the library under test, or built here.
///
/// # Panics
/// When it does not build.
pub fn abi_program() -> PathBuf {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT
        .get_or_init(|| {
            let beside = library().with_file_name("flb-sidecar-abi");
            if beside.exists() {
                return beside;
            }
            let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
            let status = Command::new(cargo)
                .current_dir(root())
                .args([
                    "build",
                    "--quiet",
                    "--bin",
                    "flb-sidecar-abi",
                    "--target-dir",
                ])
                .arg(target_folder())
                .status()
                .expect("cargo runs");
            assert!(status.success(), "flb-sidecar-abi does not build");
            target_folder().join("debug/flb-sidecar-abi")
        })
        .clone()
}

/// Makes `flb-<name>.so` links to `library` in `folder`.
pub fn link_plugins(folder: &Path, library: &Path, names: &[&str]) {
    for name in names {
        std::os::unix::fs::symlink(library, folder.join(format!("flb-{name}.so")))
            .expect("a fresh folder takes links");
    }
}

/// What runs a host that is of another machine, from `FLB_SIDECAR_RUNNER`: a program and arguments.
pub fn runner() -> Vec<String> {
    let words = std::env::var("FLB_SIDECAR_RUNNER").unwrap_or_default();
    words.split_whitespace().map(str::to_owned).collect()
}

/// The command that starts a host.
pub fn host_command(program: &Path) -> Command {
    let runner = runner();
    match runner.split_first() {
        None => Command::new(program),
        Some((first, rest)) => {
            let mut command = Command::new(first);
            command.args(rest).arg(program);
            command
        }
    }
}

/// How a C program is checked while it runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Check {
    /// Not at all.
    None,
    /// Built with AddressSanitizer.
    Address,
}

fn newest(paths: &[PathBuf]) -> SystemTime {
    paths
        .iter()
        .filter_map(|p| fs::metadata(p).and_then(|m| m.modified()).ok())
        .max()
        .unwrap_or(SystemTime::UNIX_EPOCH)
}

/// Compiles `sources` into `target/testhost/<name>` unless that is newer than all of `tests/host`.
fn compile(name: &str, sources: &[PathBuf], flags: &[String]) -> PathBuf {
    // One compiler at a time: tests run in parallel, and two may want the same program.
    static ONE: Mutex<()> = Mutex::new(());
    let _guard = ONE
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner);
    // Programs of another machine do not replace those of this one.
    let machine = if runner().is_empty() { "" } else { "-other" };
    let folder = target_folder().join(format!("testhost{machine}"));
    fs::create_dir_all(&folder).expect("target takes folders");
    let program = folder.join(name);
    let all: Vec<PathBuf> = fs::read_dir(root().join("tests/host"))
        .expect("tests/host is there")
        .map(|entry| entry.expect("a folder can be read").path())
        .chain(sources.iter().cloned())
        .collect();
    let built = fs::metadata(&program).and_then(|m| m.modified());
    if built.is_ok_and(|built| built > newest(&all)) {
        return program;
    }
    // Written aside and renamed: another test process may be about to run the old one.
    let fresh = folder.join(format!("{name}.{}", std::process::id()));
    // One for hosts alone: CC is also what crates are built with.
    let compiler = std::env::var_os("FLB_SIDECAR_CC")
        .or_else(|| std::env::var_os("CC"))
        .unwrap_or_else(|| "cc".into());
    let output = Command::new(compiler)
        .args([
            "-std=c11",
            "-D_GNU_SOURCE",
            "-g",
            "-O1",
            "-fno-strict-aliasing",
        ])
        .args(["-Wall", "-Wextra", "-Werror", "-rdynamic"])
        .args(flags)
        .args(sources)
        .args(["-ldl", "-lpthread", "-o"])
        .arg(&fresh)
        .output()
        .expect("a C compiler is installed");
    assert!(
        output.status.success(),
        "{name} does not compile:\n{}",
        String::from_utf8_lossy(&output.stderr)
    );
    fs::rename(&fresh, &program).expect("a rename within one folder");
    program
}

fn host_sources() -> Vec<PathBuf> {
    [
        "api",
        "builtin",
        "engine",
        "future",
        "generation",
        "instance",
        "layout",
        "main",
        "memory",
        "pack",
    ]
    .iter()
    .map(|name| root().join("tests/host").join(format!("{name}.c")))
    .collect()
}

/// The test host of a release. `flags` are further `-D` definitions, named `variant` for the file.
pub fn test_host(version: Version, check: Check, variant: &str, flags: &[&str]) -> PathBuf {
    let mut all = vec![format!("-DHOST_VERSION={}", version.number())];
    all.extend(flags.iter().map(|&flag| flag.to_owned()));
    let mut name = format!("testhost-{version}{variant}");
    if check == Check::Address {
        all.push("-fsanitize=address".into());
        name.push_str("-asan");
    }
    compile(&name, &host_sources(), &all)
}

/// A test host with what has `changed` in random places, and debug information that says where.
///
/// # Panics
/// When its header cannot be written.
pub fn random_host(seed: u64, changed: Changed) -> PathBuf {
    let name = changed.name();
    let header = target_folder().join(format!("testhost/{name}-{seed}.h"));
    fs::create_dir_all(header.parent().unwrap_or(&header)).expect("target takes folders");
    let generations = fs::read_to_string(root().join("tests/host/generation.c"));
    let generations = generations.expect("tests/host is there");
    let text = crate::random_layout::header(seed, changed, &generations);
    fs::write(&header, text).expect("target takes files");
    let define = format!("-DHOST_LAYOUT=\"{}\"", header.display());
    let keep = "-fno-eliminate-unused-debug-types";
    let variant = format!("-{name}-{seed}");
    test_host(Version(5, 1, 0), Check::None, &variant, &[&define, keep])
}

/// A program that is no Fluent Bit.
pub fn bare_program() -> PathBuf {
    compile("bare", &[root().join("tests/host/bare/main.c")], &[])
}

/// The C probe plugin for a release, as a library.
pub fn c_probe(version: Version) -> PathBuf {
    let host = root().join("tests/host");
    compile(
        &format!("probe-{version}.so"),
        &[host.join("probes/probe.c"), host.join("generation.c")],
        &[
            format!("-DHOST_VERSION={}", version.number()),
            "-fPIC".into(),
            "-shared".into(),
        ],
    )
}

/// A library whose `malloc` aligns to 8 bytes, to be preloaded into a host.
pub fn odd_malloc() -> PathBuf {
    compile(
        "odd-malloc.so",
        &[root().join("tests/host/odd/malloc.c")],
        &["-fPIC".into(), "-shared".into(), "-fno-builtin".into()],
    )
}
