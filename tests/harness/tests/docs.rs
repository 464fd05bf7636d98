//! The documentation: every configuration and command in it runs, every link leads somewhere,
//! every target of make exists.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use flb_sidecar_tests::build::{self, root, PLUGINS};
use flb_sidecar_tests::host::{real_hosts, GENERATIONS};
use flb_sidecar_tests::{say, Host, Pipeline, Version};

/// Every page, with its text.
fn pages() -> Vec<(PathBuf, String)> {
    let listing = Command::new("find")
        .args([
            ".", "-name", "target", "-prune", "-o", "-name", "dist*", "-prune",
        ])
        .args(["-o", "-name", "*.md", "-print"])
        .current_dir(root())
        .output()
        .expect("find runs");
    let listing = String::from_utf8_lossy(&listing.stdout).into_owned();
    let mut pages: Vec<(PathBuf, String)> = listing
        .lines()
        .map(|path| {
            let text = fs::read_to_string(root().join(path)).expect("a page can be read");
            (PathBuf::from(path), text)
        })
        .collect();
    pages.sort();
    assert!(pages.len() >= 15, "{listing}");
    pages
}

/// The blocks of a page: language and text.
fn blocks(page: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut open: Option<(String, String)> = None;
    for line in page.lines() {
        match (line.trim_start().strip_prefix("```"), &mut open) {
            (Some(language), None) => open = Some((language.to_owned(), String::new())),
            (Some(_), Some(_)) => found.extend(open.take()),
            (None, Some((_, text))) => {
                text.push_str(line);
                text.push('\n');
            }
            (None, None) => {}
        }
    }
    assert!(open.is_none(), "a block is not closed");
    found
}

/// Starts the pipeline with `arguments`, and ends it once it runs.
fn start(pipeline: &mut Pipeline, arguments: &[String], what: &str) {
    for argument in arguments {
        pipeline.arg(argument);
    }
    pipeline.env("POD_NAME", "web-7");
    let mut running = pipeline.start();
    running.wait_for(&format!("the start of {what}"), |output| {
        output.stderr().contains("stream processor started")
    });
    let ended = running.terminate();
    ended.check(what, ended.error_lines().is_empty());
    ended.check_status(0);
}

/// A pipeline with the plugins in `plugins`, and the folders that examples name.
fn place(host: &Host) -> Pipeline {
    let pipeline = Pipeline::bare(host);
    for folder in [
        "plugins",
        "var/log/app",
        "var/lib/sidecar",
        "logs",
        "run/secrets",
    ] {
        fs::create_dir_all(pipeline.path(folder)).expect("a fresh folder takes folders");
    }
    pipeline.file("run/secrets/pii-key", "sixteen bytes and more");
    let plugins = pipeline.path("plugins");
    build::link_plugins(Path::new(&plugins), &build::library(), PLUGINS);
    let lines: String = PLUGINS
        .iter()
        .map(|name| format!("    Path {plugins}/flb-{name}.so\n"))
        .collect();
    pipeline.file("plugins/plugins.conf", format!("[PLUGINS]\n{lines}"));
    pipeline
}

/// The text with the folders of an image in the pipeline's own.
fn moved(text: &str, pipeline: &Pipeline) -> String {
    let mut text = text.to_owned();
    for (from, to) in [
        ("/fluent-bit/plugins", "plugins"),
        ("target/plugins", "plugins"),
        ("/var/l", "var/l"),
        ("/run/", "run/"),
        (" /logs/", " logs/"),
    ] {
        let lead = if from.starts_with(' ') { " " } else { "" };
        text = text.replace(from, &format!("{lead}{}", pipeline.path(to)));
    }
    text
}

#[test]
fn every_classic_configuration_runs() {
    let host = real_hosts().into_iter().rfind(Host::reads_classic_lists);
    let Some(host) = host else {
        return say(
            "SKIPPED configurations in the documentation: no Fluent Bit found that reads them",
        );
    };
    let mut count = 0;
    for (path, page) in pages() {
        // Run with its records by examples.rs.
        if path.ends_with("conf/EXAMPLES.md") {
            continue;
        }
        for (language, block) in blocks(&page) {
            if language != "ini" {
                let other = language == "toml" || !block.starts_with('[');
                assert!(other, "{}: no language", path.display());
                continue;
            }
            let mut pipeline = place(&host);
            let mut text = block.clone();
            if !block.contains("[SERVICE]") {
                text.push_str("[SERVICE]\n    Plugins_File /fluent-bit/plugins/plugins.conf\n");
            }
            if !block.contains("[INPUT]") {
                text.push_str("[INPUT]\n    Name dummy\n");
            }
            if !block.contains("[OUTPUT]") {
                text.push_str("[OUTPUT]\n    Name null\n    Match *\n");
            }
            let config = pipeline.file("fluent-bit.conf", moved(&text, &pipeline));
            let what = format!("{}:\n{block}", path.display());
            start(&mut pipeline, &["-c".to_owned(), config], &what);
            count += 1;
        }
    }
    assert!(count >= 5, "{count}");
}

#[test]
fn every_yaml_configuration_runs() {
    let newest = real_hosts().pop().filter(|host| host.since(3, 2, 0));
    let Some(host) = newest else {
        return say("SKIPPED YAML in the documentation: no Fluent Bit from 3.2.0 on found");
    };
    let mut count = 0;
    for (path, page) in pages() {
        for (language, block) in blocks(&page) {
            if language != "yaml" || !block.starts_with("plugins:") {
                continue;
            }
            let mut pipeline = place(&host);
            let pipes = "pipeline:\n  inputs:\n    - name: dummy\n  outputs:\n    - name: 'null'\n      match: '*'\n";
            let text = moved(&block, &pipeline) + pipes;
            let config = pipeline.file("fluent-bit.yaml", text);
            let what = format!("{}:\n{block}", path.display());
            start(&mut pipeline, &["-c".to_owned(), config], &what);
            count += 1;
        }
    }
    assert!(count >= 1, "{count}");
}

#[test]
fn every_command_of_the_host_runs() {
    let Some(host) = real_hosts().pop() else {
        return say("SKIPPED commands in the documentation: no Fluent Bit found");
    };
    let mut count = 0;
    for (path, page) in pages() {
        for (_, block) in blocks(&page) {
            for line in block.lines() {
                let Some(arguments) = line.strip_prefix("fluent-bit ") else {
                    continue;
                };
                let mut pipeline = place(&host);
                let arguments = moved(arguments, &pipeline);
                let words: Vec<String> = arguments.split_whitespace().map(str::to_owned).collect();
                let what = format!("{}: {line}", path.display());
                start(&mut pipeline, &words, &what);
                count += 1;
            }
        }
    }
    assert!(count >= 1, "{count}");
}

#[test]
fn every_diagram_can_be_read() {
    let modules = root().join("target/tools/node/node_modules");
    if !modules.join("mermaid").exists() {
        return say("SKIPPED diagrams: see tests/tools-npm.txt");
    }
    let read = |files: &[PathBuf]| -> Vec<String> {
        let output = Command::new("node")
            .arg(root().join("tests/mermaid.mjs"))
            .arg(&modules)
            .args(files)
            .current_dir(root())
            .output();
        let output = output.expect("node starts");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{said}");
        let lines = String::from_utf8_lossy(&output.stdout).into_owned();
        lines.lines().map(str::to_owned).collect()
    };
    let pages: Vec<PathBuf> = pages()
        .into_iter()
        .filter(|(_, text)| text.contains("```mermaid"))
        .map(|(path, _)| path)
        .collect();
    let found = read(&pages);
    assert!(found.len() >= pages.len() && !pages.is_empty(), "{found:?}");
    assert!(
        found.iter().all(|line| line.starts_with("ok ")),
        "{found:?}"
    );
    let folder = tempfile::tempdir().expect("a temporary folder");
    let wrong = folder.path().join("wrong.md");
    fs::write(&wrong, "```mermaid\nflowchart LR\n  a -->\n```\n").expect("it takes files");
    let found = read(&[wrong]);
    assert!(found[0].starts_with("wrong "), "{found:?}");
}

#[test]
fn every_link_leads_somewhere() {
    let mut broken = Vec::new();
    for (path, page) in pages() {
        let folder = root().join(path.parent().unwrap_or(Path::new(".")));
        for part in page.split("](").skip(1) {
            let link = part.split(')').next().unwrap_or_default();
            let (file, anchor) = link.split_once('#').unwrap_or((link, ""));
            if file.contains("://") {
                continue;
            }
            let target = if file.is_empty() {
                root().join(&path)
            } else {
                folder.join(file)
            };
            let heading = |line: &str| {
                let title = line.trim_start_matches('#').trim().to_lowercase();
                let title: String = title
                    .chars()
                    .filter(|c| c.is_alphanumeric() || "-_ ".contains(*c))
                    .collect();
                line.starts_with('#') && title.replace(' ', "-") == anchor
            };
            let text = || fs::read_to_string(&target).unwrap_or_default();
            if !target.exists() || (!anchor.is_empty() && !text().lines().any(heading)) {
                broken.push(format!("{}: {link}", path.display()));
            }
        }
    }
    assert!(broken.is_empty(), "{broken:#?}");
}

#[test]
fn every_target_of_make_and_every_named_path_exists() {
    let makefile = fs::read_to_string(root().join("Makefile")).expect("it is there");
    let mut wrong = Vec::new();
    for (path, page) in pages() {
        for part in page.split("make ").skip(1) {
            let end = |c: char| !(c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-');
            let target = part.split(end).next().unwrap_or_default();
            let is_code = part[target.len()..].starts_with(['`', '\n', ' ']);
            let named = page.contains(&format!("`make {target}"));
            let exists = makefile.contains(&format!("\n{target}:"));
            if is_code && named && !target.is_empty() && !exists {
                wrong.push(format!("{}: make {target}", path.display()));
            }
        }
        // Paths from the repository's root, in code marks.
        for code in page.split('`').skip(1).step_by(2) {
            let first = code.split('/').next().unwrap_or_default();
            let known = ["conf", "docker", "include", "plugins", "src", "tests"].contains(&first);
            let plain = code.contains('/') && !code.contains(['*', '<', '{', ' ', '…', '\n']);
            // The plugin of the guide does not exist.
            let guide = code.contains("hello");
            if known && plain && !guide && !root().join(code).exists() {
                let beside = path.parent().map(|folder| root().join(folder).join(code));
                if !beside.is_some_and(|path| path.exists()) {
                    wrong.push(format!("{}: {code}", path.display()));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn the_page_of_hosts_names_every_release_of_the_test_host() {
    let readme = fs::read_to_string(root().join("include/HOSTS.md")).expect("it is there");
    let list = readme.split("The C test host plays").nth(1);
    let list = list.and_then(|rest| rest.split_once(':')?.1.split_once(". "));
    let (list, _) = list.expect("the list ends with a full stop");
    let named: Vec<&str> = list.split(',').map(str::trim).collect();
    let played: Vec<String> = GENERATIONS.iter().map(Version::to_string).collect();
    assert_eq!(named, played);
}
