//! Reading debug information as compilers, packagers and accidents leave it.

use std::fs;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use host_abi::{debug_info, file, Facts, Layout};
use proptest::prelude::*;

const FUNCTIONS: &[&str] = &[
    "flb_input_set_context",
    "flb_log_print",
    "flb_mixed",
    "flb_that_is_not_there",
];

fn run(program: &str, arguments: &[&str]) -> Result<(), String> {
    let output = Command::new(program)
        .args(arguments)
        .output()
        .map_err(|error| format!("{program}: {error}"))?;
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    output.status.success().then_some(()).ok_or(errors)
}

/// Compiles the two sources; `Err`: this compiler cannot.
fn build(folder: &Path, compiler: &str, flags: &[&str]) -> Result<PathBuf, String> {
    let here = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests");
    let sources = ["host.c", "other.c"].map(|name| here.join(name).display().to_string());
    let name: String = flags.concat().replace(['/', '.'], "_");
    let program = folder.join(format!("{compiler}{name}"));
    let output = format!("-o{}", program.display());
    let always = ["-O1", "-rdynamic", "-fno-inline", "-Wl,--build-id", &output];
    let sources = [sources[0].as_str(), sources[1].as_str()];
    run(compiler, &[&always[..], flags, &sources[..]].concat())?;
    Ok(program)
}

fn read(program: &Path) -> Result<Facts, debug_info::Failure> {
    debug_info::read(program, Path::new("/nonexistent"), FUNCTIONS)
}

fn check(facts: &Facts, how: &str) {
    let (layout, _) = Layout::from_facts(facts).unwrap_or_else(|why| panic!("{how}: {why}"));
    assert_eq!(layout.input_plugin.name, 8, "{how}");
    assert_eq!(layout.input_plugin.description, 16, "{how}");
    assert_eq!(layout.input_plugin.cb_collect, 40, "{how}");
    assert_eq!(layout.input_plugin.bytes, 72, "{how}");
    assert_eq!(layout.filter_plugin.cb_filter, 32, "{how}");
    assert_eq!(layout.output_plugin.cb_flush, 32, "{how}");
    assert_eq!(layout.option.bytes, 40, "{how}");
    assert_eq!(layout.config.shutting_down, Some(16), "{how}");
    assert_eq!(
        layout.chunkio.flags.iter().collect::<Vec<_>>(),
        [12],
        "{how}"
    );
    assert_eq!(layout.input.chunks, Some(32), "{how}");
    assert_eq!(layout.input.tag, None, "{how}");
    let signature = |name: &str| facts.functions.get(name).map(ToString::to_string);
    for (name, wanted) in [
        ("flb_input_set_context", "void(flb_input_instance*,*)"),
        ("flb_log_print", "void(int4,*,int4,*,...)"),
        ("flb_mixed", "float8(flb_config_map*,int8,float8,*)"),
    ] {
        assert_eq!(signature(name).as_deref(), Some(wanted), "{how}");
    }
    assert_eq!(signature("flb_that_is_not_there"), None, "{how}");
}

#[test]
fn every_form_of_debug_information_says_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let forms: &[&[&str]] = &[
        &["-g"],
        &["-gdwarf-4"],
        &["-gdwarf-5", "-gz=zlib"],
        &["-gdwarf-4", "-gz=zlib-gnu"],
        &["-gdwarf-5", "-gz=zstd"],
        // acmel/dwarves #63: functions stand in a unit that refers to those with the structs.
        &["-g", "-flto"],
        &["-g3"],
    ];
    let mut read_at_all = 0;
    for compiler in ["cc", "clang"] {
        for form in forms {
            // Not every compiler knows every form; that of the first line every one does.
            let Ok(program) = build(folder.path(), compiler, form) else {
                continue;
            };
            let how = format!("{compiler} {form:?}");
            let facts = read(&program).unwrap_or_else(|why| panic!("{how}: {why}"));
            check(&facts, &how);
            assert_eq!(
                file::parse(&file::write(&facts)).as_ref(),
                Ok(&facts),
                "{how}"
            );
            read_at_all += 1;
        }
    }
    assert!(
        read_at_all >= 3,
        "the C compiler made {read_at_all} of the forms"
    );
}

#[test]
fn a_glance_finds_the_same_structs_or_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let plain = build(folder.path(), "cc", &["-g"]).unwrap();
    let facts = debug_info::glance(&plain).unwrap();
    assert_eq!(facts.structs, read(&plain).unwrap().structs);
    assert!(facts.functions.is_empty());

    let path = |program: &Path| program.to_str().unwrap().to_owned();
    let changed = |name: &str, arguments: &[&str]| {
        let program = folder.path().join(name);
        let (from, to) = (path(&plain), path(&program));
        run("objcopy", &[arguments, &[&from, &to]].concat()).unwrap();
        program
    };
    for costs_more in [
        changed("no-index", &["--remove-section=.debug_aranges"]),
        changed("packed", &["--compress-debug-sections"]),
        changed("stripped", &["--strip-debug"]),
    ] {
        assert_eq!(debug_info::glance(&costs_more), None, "{costs_more:?}");
    }
}

#[test]
fn without_an_index_every_unit_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let program = build(folder.path(), "cc", &["-g"]).unwrap();
    let path = program.to_str().unwrap();
    run("objcopy", &["--remove-section=.debug_aranges", path]).unwrap();
    check(&read(&program).unwrap(), "no .debug_aranges");
}

/// gimli #559: an index of a version that no standard has, and one that leads to no unit.
#[test]
fn an_index_that_is_none_is_left() {
    let folder = tempfile::tempdir().unwrap();
    let program = build(folder.path(), "cc", &["-g"]).unwrap();
    let path = program.to_str().unwrap();
    let section = folder.path().join("aranges");
    let dump = format!(".debug_aranges={}", section.display());
    run("objcopy", &["--dump-section", &dump, path]).unwrap();
    let good = fs::read(&section).unwrap();
    // A table begins with its length, its version in two bytes, and the offset of its unit.
    for (at, byte) in [(4, 3), (6, good[6] ^ 0x55), (9, 0x7f)] {
        let mut bad = good.clone();
        bad[at] = byte;
        fs::write(&section, bad).unwrap();
        run("objcopy", &["--update-section", &dump, path]).unwrap();
        check(&read(&program).unwrap(), &format!("byte {at} of the index"));
    }
}

/// gimli #436: a unit with nothing in it, which linkers leave of one that is not needed.
#[test]
fn an_empty_unit_is_passed_over() {
    let folder = tempfile::tempdir().unwrap();
    let source = folder.path().join("empty.s");
    let unit = ".section .debug_info,\"\",@progbits\n.long 7\n.short 2\n.long 0\n.byte 8\n";
    fs::write(
        &source,
        format!("{unit}.section .note.GNU-stack,\"\",@progbits\n"),
    )
    .unwrap();
    let program = build(folder.path(), "cc", &["-g", source.to_str().unwrap()]).unwrap();
    check(&read(&program).unwrap(), "an empty unit, and an index");
    let path = program.to_str().unwrap();
    run("objcopy", &["--remove-section=.debug_aranges", path]).unwrap();
    check(&read(&program).unwrap(), "an empty unit");
}

#[test]
fn a_stripped_program_is_read_through_its_own_debug_file_only() {
    let folder = tempfile::tempdir().unwrap();
    let program = build(folder.path(), "cc", &["-g"]).unwrap();
    let id = debug_info::build_id(&program).unwrap();
    let stripped = folder.path().join("stripped");
    let (from, to) = (program.to_str().unwrap(), stripped.to_str().unwrap());
    run("strip", &["-o", to, from]).unwrap();
    let failure = read(&stripped).unwrap_err().to_string();
    assert!(
        failure.contains("no debug information") && failure.contains(&id[2..]),
        "{failure}"
    );

    let beside = folder.path().join(".build-id").join(&id[..2]);
    fs::create_dir_all(&beside).unwrap();
    let debug = beside.join(format!("{}.debug", &id[2..]));
    run(
        "objcopy",
        &["--only-keep-debug", from, debug.to_str().unwrap()],
    )
    .unwrap();
    let facts = debug_info::read(&stripped, folder.path(), FUNCTIONS).unwrap();
    check(&facts, "a debug file");

    // What an upgrade of one package without the other leaves.
    let other = build(folder.path(), "cc", &["-g", "-DBROKEN_LIST"]).unwrap();
    fs::copy(other, &debug).unwrap();
    let failure = debug_info::read(&stripped, folder.path(), FUNCTIONS).unwrap_err();
    assert!(failure.to_string().contains("another build"), "{failure}");
}

#[test]
fn sources_that_disagree_are_not_believed() {
    let folder = tempfile::tempdir().unwrap();
    let program = build(folder.path(), "cc", &["-g", "-DCONFLICT"]).unwrap();
    // With an index the source with the plugins' functions is read, and it alone.
    run(
        "objcopy",
        &["--remove-section=.debug_aranges", program.to_str().unwrap()],
    )
    .unwrap();
    let facts = read(&program).unwrap();
    assert_eq!(facts.conflicts, ["flb_output_plugin"]);
    let why = Layout::from_facts(&facts).unwrap_err();
    assert!(
        why.contains("do not agree about struct flb_output_plugin"),
        "{why}"
    );
}

#[test]
fn a_callback_with_other_arguments_is_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let program = build(folder.path(), "cc", &["-g", "-DBROKEN_CALLBACK"]).unwrap();
    let why = Layout::from_facts(&read(&program).unwrap()).unwrap_err();
    assert!(
        why.contains("flb_input_plugin.cb_collect is 'function int4("),
        "{why}"
    );
    assert!(why.contains("int8"), "{why}");
}

#[test]
fn a_field_of_another_kind_is_not_used() {
    let folder = tempfile::tempdir().unwrap();
    let program = build(folder.path(), "cc", &["-g", "-DBROKEN_LIST"]).unwrap();
    let (layout, unproven) = Layout::from_facts(&read(&program).unwrap()).unwrap();
    assert_eq!(layout.input.chunks, None);
    let named = unproven
        .iter()
        .any(|why| why.starts_with("flb_input_instance.chunks is 'other"));
    assert!(named, "{unproven:?}");
}

#[test]
fn a_packed_program_is_read_or_refused_with_the_reason() {
    let folder = tempfile::tempdir().unwrap();
    // acmel/dwarves #11: what Fedora's packages go through, types move into parts that units share.
    let packed = build(folder.path(), "cc", &["-g"])
        .and_then(|program| run("dwz", &[program.to_str().unwrap()]).map(|()| program));
    // A form in which structs without a name stand in units of their own.
    let types = build(folder.path(), "cc", &["-g", "-fdebug-types-section"]);
    for program in [packed, types].into_iter().flatten() {
        match read(&program) {
            Ok(facts) => check(&facts, "packed"),
            Err(why) => assert!(why.to_string().contains("units share their types"), "{why}"),
        }
    }
}

/// acmel/dwarves #23.
#[test]
fn what_stands_in_files_beside_the_program_is_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    for form in [
        &["-g", "-gsplit-dwarf"][..],
        &["-gdwarf-4", "-gsplit-dwarf"],
    ] {
        let program = build(folder.path(), "cc", form).unwrap();
        let why = read(&program).unwrap_err().to_string();
        assert!(why.contains(".dwo files, which are not read"), "{why}");
    }
}

/// Structs inside structs, which are looked into anew each time: the work grows with their product.
#[test]
fn a_unit_that_leads_nowhere_is_left() {
    let folder = tempfile::tempdir().unwrap();
    let nameless: String = (0..5000)
        .map(|n| format!("struct {{ char a{n}; }};\n"))
        .collect();
    let header = folder.path().join("e.h");
    fs::write(&header, nameless).unwrap();
    let define = format!("-DENDLESS=\"{}\"", header.display());
    let program = build(folder.path(), "cc", &["-g", &define]).unwrap();
    let why = read(&program).unwrap_err().to_string();
    assert!(why.contains("leads nowhere"), "{why}");
}

#[test]
fn what_is_no_program_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let text = folder.path().join("text");
    fs::write(&text, "no program").unwrap();
    assert!(read(&text)
        .unwrap_err()
        .to_string()
        .contains("no 64-bit ELF file"));
    let absent = read(&folder.path().join("absent")).unwrap_err().to_string();
    assert!(absent.contains("No such file"), "{absent}");
}

/// A FIFO without a writer was waited for, /dev/zero read until the memory was full.
#[test]
fn what_never_ends_is_not_waited_for() {
    let folder = tempfile::tempdir().unwrap();
    let fifo = folder.path().join("fifo");
    run("mkfifo", &[fifo.to_str().unwrap()]).unwrap();
    for endless in [fifo.as_path(), Path::new("/dev/zero"), folder.path()] {
        let why = read(endless).unwrap_err().to_string();
        assert!(why.contains("it is no regular file"), "{why}");
        assert_eq!(debug_info::build_id(endless), None);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    /// llvm/llvm-project #53511, where a tool behind the linker wrote what no reader takes. Damage anywhere
    /// in the file: facts or an error, and never a panic.
    #[test]
    fn a_damaged_program_is_read_or_refused(
        places in prop::collection::vec((0.0..1.0f64, any::<u8>()), 1..40),
        cut in prop::option::of(0.0..1.0f64),
    ) {
        let folder = tempfile::tempdir().unwrap();
        let program = build_once().clone();
        let damaged = folder.path().join("damaged");
        fs::copy(program, &damaged).unwrap();
        let file = fs::OpenOptions::new().write(true).open(&damaged).unwrap();
        let bytes = file.metadata().unwrap().len();
        let at = |part: f64| (part * bytes as f64) as u64;
        for (place, byte) in places {
            file.write_at(&[byte], at(place)).unwrap();
        }
        if let Some(cut) = cut {
            file.set_len(at(cut)).unwrap();
        }
        if let Ok(facts) = read(&damaged) {
            let _ = Layout::from_facts(&facts);
        }
    }
}

/// A program for all the cases above, in a folder that stays as long as the test's process.
fn build_once() -> &'static PathBuf {
    static BUILT: std::sync::OnceLock<PathBuf> = std::sync::OnceLock::new();
    BUILT.get_or_init(|| {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("damage");
        fs::create_dir_all(&folder).unwrap();
        build(&folder, "cc", &["-g"]).unwrap()
    })
}
