//! conf/EXAMPLES.md: every example, in both forms, gives the record that the page shows.

use std::fs;

use flb_sidecar_tests::build::{self, root};
use flb_sidecar_tests::host::real_hosts;
use flb_sidecar_tests::process::json_lines;
use flb_sidecar_tests::{say, Host, Pipeline};
use serde_json::Value as Json;

const FOLDER: &str = "/var/log/app";

/// An example: what stands in its blocks.
struct Example {
    title: String,
    lines: String,
    classic: String,
    yaml: String,
    records: Vec<Json>,
}

/// The text of the first block in this language.
fn block(text: &str, language: &str) -> Option<String> {
    let (_, rest) = text.split_once(&format!("```{language}\n"))?;
    Some(rest.split_once("```")?.0.to_owned())
}

fn examples() -> Vec<Example> {
    let page = fs::read_to_string(root().join("conf/EXAMPLES.md")).expect("it is there");
    let parts = page.split("\n### ").skip(1);
    parts
        .map(|part| {
            let title = part.lines().next().unwrap_or_default().to_owned();
            let get = |language: &str| {
                block(part, language).unwrap_or_else(|| panic!("{title}: no block {language}"))
            };
            Example {
                lines: get("text"),
                classic: get("ini"),
                yaml: get("yaml"),
                records: json_lines(&get("json")),
                title,
            }
        })
        .collect()
}

/// What the page does not show: plugins, the input of an example without one, outputs, the end.
fn whole(pipeline: &Pipeline, example: &Example, classic: bool) -> String {
    let flag = pipeline.path("flag");
    let plain = !example.classic.contains("[INPUT]");
    let is_json = example.lines.starts_with('{') && !example.classic.contains("Merge_Log");
    let format = if is_json { "json" } else { "none" };
    let text = if classic {
        let input = if plain {
            format!("[INPUT]\n    Name sidecar_tail\n    Tag app\n    Path {FOLDER}/*.log\n    Format {format}\n")
        } else {
            String::new()
        };
        format!(
            "[SERVICE]\n    Flush 0.2\n    Plugins_File {}\n{input}{}\
             [OUTPUT]\n    Name stdout\n    Match *\n    Format json_lines\n\
             [OUTPUT]\n    Name completion_exit\n    Match _none\n    Flag_File {flag}\n",
            pipeline.path("plugins.conf"),
            example.classic
        )
    } else {
        let input = if plain {
            format!("pipeline:\n  inputs:\n    - name: sidecar_tail\n      tag: app\n      path: {FOLDER}/*.log\n      format: {format}\n")
        } else {
            "pipeline:\n".to_owned()
        };
        let own = example.yaml.strip_prefix("pipeline:\n");
        format!(
            "service:\n  flush: 0.2\n  plugins_file: {}\n{input}{}  outputs:\n    \
             - name: stdout\n      match: '*'\n      format: json_lines\n    \
             - name: completion_exit\n      match: _none\n      flag_file: {flag}\n",
            pipeline.path("plugins.yaml"),
            own.expect("an example in YAML is a pipeline")
        )
    };
    text.replace(FOLDER, &pipeline.path("logs"))
}

/// The records of an example in one of its forms.
fn run(host: &Host, example: &Example, classic: bool) -> Vec<Json> {
    let mut pipeline = Pipeline::bare(host);
    fs::create_dir(pipeline.path("logs")).expect("a fresh folder takes folders");
    build::link_plugins(pipeline.folder(), &build::library(), build::PLUGINS);
    let (mut list, mut yaml) = ("[PLUGINS]\n".to_owned(), "plugins:\n".to_owned());
    for name in build::PLUGINS {
        let path = pipeline.path(&format!("flb-{name}.so"));
        list.push_str(&format!("    Path {path}\n"));
        yaml.push_str(&format!("  - {path}\n"));
    }
    pipeline.file("plugins.conf", list);
    pipeline.file("plugins.yaml", yaml);
    pipeline.file("logs/app.log", &example.lines);
    pipeline.file("flag", "");
    let text = whole(&pipeline, example, classic);
    let name = if classic {
        "fluent-bit.conf"
    } else {
        "fluent-bit.yaml"
    };
    let file = pipeline.file(name, text);
    pipeline
        .env("POD_NAME", "web-7")
        .env("POD_NAMESPACE", "shop")
        .arg("-c")
        .arg(file);
    let folder = pipeline.path("logs");
    let ended = pipeline.run();
    ended.check_status(0);
    let mut records = json_lines(&ended.stdout.replace(&folder, FOLDER));
    for record in &mut records {
        record
            .as_object_mut()
            .and_then(|fields| fields.remove("date"));
    }
    records
}

#[test]
fn every_example_gives_the_record_that_is_shown() {
    let examples = examples();
    assert!(examples.len() >= 12, "{}", examples.len());
    let hosts = real_hosts();
    let classic = hosts.iter().rfind(|host| host.reads_classic_lists());
    let yaml = hosts.iter().rfind(|host| host.since(3, 2, 0));
    if classic.is_none() && yaml.is_none() {
        return say("SKIPPED conf/EXAMPLES.md: no Fluent Bit found");
    }
    for example in &examples {
        for (host, classic) in [(classic, true), (yaml, false)] {
            let Some(host) = host else {
                continue;
            };
            let records = run(host, example, classic);
            let form = if classic { "classic" } else { "YAML" };
            assert_eq!(
                records, example.records,
                "{}, {form}, {host}",
                example.title
            );
        }
    }
}
