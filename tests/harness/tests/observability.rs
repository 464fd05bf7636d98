//! conf/observability: every metric that is named exists, and every message is one of ours.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use flb_sidecar_tests::build::{self, root};
use flb_sidecar_tests::port::free_port;
use flb_sidecar_tests::sidecar::form;
use flb_sidecar_tests::{each_real_host_where, http, wait_until, Host, Pipeline, DEADLINE};
use serde_json::Value as Json;

fn read(name: &str) -> String {
    fs::read_to_string(root().join("conf/observability").join(name)).expect("it is there")
}

/// The names in a text that begin as those of Fluent Bit do.
fn metrics(text: &str) -> BTreeSet<String> {
    text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'))
        .filter(|word| word.starts_with("fluentbit_"))
        .map(str::to_owned)
        .collect()
}

#[test]
fn every_metric_in_the_dashboard_and_the_alerts_exists() {
    let named = [read("dashboard.json"), read("alerts.yaml")].map(|text| metrics(&text));
    let named: BTreeSet<String> = named.into_iter().flatten().collect();
    assert!(named.len() > 15, "{named:?}");
    // Older hosts have no /api/v2.
    each_real_host_where(
        "metrics of the dashboard",
        |host| host.since(2, 0, 9),
        |host| offers(host, &named),
    );
}

/// The sidecar of conf/sidecarset on this host has every metric in `named`.
fn offers(host: &Host, named: &BTreeSet<String>) {
    let port = free_port();
    let mut pipeline = Pipeline::bare(host);
    let plugins = pipeline.path("plugins");
    fs::create_dir(&plugins).expect("a fresh folder takes folders");
    build::link_plugins(Path::new(&plugins), &build::library(), build::PLUGINS);
    let (mut classic, mut yaml) = ("[PLUGINS]\n".to_owned(), "plugins:\n".to_owned());
    for name in build::PLUGINS {
        classic.push_str(&format!("    Path {plugins}/flb-{name}.so\n"));
        yaml.push_str(&format!("  - {plugins}/flb-{name}.so\n"));
    }
    pipeline.file("plugins/plugins.conf", classic);
    pipeline.file("plugins/plugins.yaml", yaml);
    let log = pipeline.file("logs/app.log", "a line of bob@example.com\n");
    let state = pipeline.file("state/empty", "");
    for (name, value) in [
        ("PLUGIN_DIR", plugins.as_str()),
        ("LOG_DIR", log.trim_end_matches("/app.log")),
        ("STATE_DIR", state.trim_end_matches("/empty")),
        ("HTTP_PORT", &port.to_string()),
        ("COLLECTOR_HOST", "127.0.0.1"),
        ("COLLECTOR_PORT", "9"),
        ("POD_NAME", "web-7"),
        ("POD_NAMESPACE", "shop"),
    ] {
        pipeline.env(name, value);
    }
    let config = root().join("conf/sidecarset").join(form(host));
    pipeline
        .arg("-c")
        .arg(config.to_str().expect("a plain path"));
    let running = pipeline.start();
    // Series appear with the first record that passes their plugin, the storage's with a timer.
    let mut missing = BTreeSet::new();
    let complete = wait_until(DEADLINE, || {
        let offered = metrics(&http::get(port, "/api/v2/metrics/prometheus")?.1);
        missing = named.difference(&offered).cloned().collect();
        missing.is_empty().then_some(())
    });
    assert!(
        complete.is_some(),
        "{host} does not offer {missing:?}\n{}",
        running.output()
    );
}

#[test]
fn the_dashboard_has_what_grafana_needs() {
    let dashboard: Json = serde_json::from_str(&read("dashboard.json")).expect("it is JSON");
    let panels = dashboard["panels"].as_array().expect("it has panels");
    let mut ids = BTreeSet::new();
    for panel in panels {
        assert!(ids.insert(panel["id"].as_u64()), "twice: {}", panel["id"]);
        if panel["type"] == "row" {
            continue;
        }
        let targets = panel["targets"].as_array().expect("a panel has queries");
        for target in targets {
            let query = target["expr"].as_str().expect("a query");
            assert!(!metrics(query).is_empty(), "{query}");
            for (open, close) in [('(', ')'), ('{', '}'), ('[', ']')] {
                assert_eq!(
                    query.matches(open).count(),
                    query.matches(close).count(),
                    "{query}"
                );
            }
        }
    }
}

/// All sources of the library as one text, with string literals that go over lines joined.
fn sources(folder: &Path, all: &mut String) {
    for entry in fs::read_dir(folder).expect("a source folder") {
        let path = entry.expect("a folder can be read").path();
        if path.is_dir() {
            sources(&path, all);
        } else if path.extension().is_some_and(|e| e == "rs") {
            let text = fs::read_to_string(&path).expect("a source");
            for line in text.lines() {
                match line.trim_end().strip_suffix('\\') {
                    Some(part) => all.push_str(part.trim_start()),
                    None => {
                        all.push_str(line.trim_start());
                        all.push('\n');
                    }
                }
            }
        }
    }
}

#[test]
fn every_message_of_the_troubleshooting_page_is_in_the_code() {
    let mut code = String::new();
    sources(&root().join("src"), &mut code);
    let plugins = fs::read_dir(root().join("plugins")).expect("plugins/ is there");
    for plugin in plugins {
        let folder = plugin.expect("a folder can be read").path().join("src");
        sources(&folder, &mut code);
    }
    let mut checked = 0;
    for line in read("troubleshooting.md").lines() {
        let Some(message) = line
            .strip_prefix("| `")
            .and_then(|rest| rest.split('`').next())
        else {
            continue;
        };
        for part in message.split('…').filter(|part| part.trim().len() >= 4) {
            assert!(
                code.contains(part.trim()),
                "{part:?} of {message:?} is not in the code"
            );
        }
        checked += 1;
    }
    assert!(checked > 15, "{checked}");
}
