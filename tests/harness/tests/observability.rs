//! conf/observability: every metric that is named exists, and every message is one of ours.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

use flb_sidecar_tests::build::{self, root};
use flb_sidecar_tests::host::real_hosts;
use flb_sidecar_tests::port::free_port;
use flb_sidecar_tests::sidecar::form;
use flb_sidecar_tests::{each_real_host_where, http, say, wait_until, Host, Pipeline, DEADLINE};
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
fn the_picture_shows_every_panel_of_the_dashboard() {
    let picture = read("dashboard.svg");
    let dashboard: Json = serde_json::from_str(&read("dashboard.json")).expect("it is JSON");
    let panels = dashboard["panels"].as_array().expect("it has panels");
    for panel in panels {
        let title = panel["title"].as_str().expect("a panel has a title");
        let there = picture.contains(&format!(">{title}</text>"));
        assert!(there, "draw it again with tests/dashboard.py: {title}");
    }
    assert!(picture.len() < 100_000, "{}", picture.len());
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

/// The string literals of a source: continued lines joined, what is filled in as `…`.
fn literals(text: &str, all: &mut Vec<String>) {
    let mut signs = text.chars().peekable();
    let mut open: Option<String> = None;
    let mut depth = 0;
    while let Some(sign) = signs.next() {
        let Some(literal) = &mut open else {
            match sign {
                '"' => open = Some(String::new()),
                // A quote as a character, and a comment, begin no literal.
                '\'' if signs.peek() == Some(&'"') => _ = signs.next(),
                '/' if signs.peek() == Some(&'/') => _ = signs.by_ref().find(|&c| c == '\n'),
                _ => {}
            }
            continue;
        };
        match sign {
            '"' => {
                all.extend(open.take());
                depth = 0;
            }
            '\\' if signs.peek() == Some(&'\n') => {
                while signs.next_if(|c| c.is_whitespace()).is_some() {}
            }
            '\\' => literal.extend(signs.next()),
            '{' if signs.next_if_eq(&'{').is_some() => literal.push('{'),
            '{' => {
                depth += 1;
                literal.push('…');
            }
            '}' if depth > 0 => depth -= 1,
            _ if depth > 0 => {}
            _ => literal.push(sign),
        }
    }
}

fn sources(folder: &Path, all: &mut Vec<String>) {
    for entry in fs::read_dir(folder).expect("a source folder") {
        let path = entry.expect("a folder can be read").path();
        if path.is_dir() {
            sources(&path, all);
        } else if path.extension().is_some_and(|e| e == "rs") {
            literals(&fs::read_to_string(&path).expect("a source"), all);
        }
    }
}

/// Messages in the tables of the page: those of the host, and ours.
fn messages() -> (Vec<String>, Vec<String>) {
    let page = read("troubleshooting.md");
    let (mut hosts, mut ours) = (Vec::new(), Vec::new());
    for part in page.split("\n## ") {
        let own = !part
            .lines()
            .next()
            .is_some_and(|title| title.ends_with("itself"));
        let found = part.lines().filter_map(|line| {
            let rest = line.strip_prefix("| `")?;
            rest.split('`').next().map(str::to_owned)
        });
        if own {
            ours.extend(found);
        } else {
            hosts.extend(found);
        }
    }
    (hosts, ours)
}

/// Each message stands in the code as a whole, in one literal, not only its pieces somewhere.
#[test]
fn every_message_of_the_troubleshooting_page_is_in_the_code() {
    let mut code = Vec::new();
    sources(&root().join("src"), &mut code);
    for plugin in fs::read_dir(root().join("plugins")).expect("plugins/ is there") {
        let folder = plugin.expect("a folder can be read").path().join("src");
        sources(&folder, &mut code);
    }
    let (_, ours) = messages();
    for message in &ours {
        // Whose it is, and the reason behind it, may be put around it elsewhere.
        let whole = message.strip_prefix("…: ").unwrap_or(message);
        let whole = whole.strip_suffix(": …").unwrap_or(whole).trim();
        let known = code.iter().any(|literal| literal.contains(whole));
        assert!(known, "{message:?} is not in the code");
    }
    assert!(ours.len() > 20, "{}", ours.len());
}

/// What the host says when its configuration is wrong, in the cases that the page explains.
#[test]
fn every_message_of_the_host_is_one() {
    let input = "[INPUT]\n    Name sidecar_tail\n    Path /nowhere/*.log\n";
    let output = "[OUTPUT]\n    Name null\n    Match *\n";
    let (hosts, _) = messages();
    let all = real_hosts();
    if all.is_empty() {
        return say("SKIPPED messages of the host: no Fluent Bit found");
    }
    let mut seen = String::new();
    for host in all {
        let run = |name: &str, text: String, more: &[&str]| {
            let mut pipeline = Pipeline::bare(&host);
            build::link_plugins(pipeline.folder(), &build::library(), build::PLUGINS);
            let file = pipeline.file(name, text.replace("HERE", &pipeline.path("")));
            pipeline.file(
                "good.conf",
                format!(
                    "[PLUGINS]\n    Path {}\n",
                    pipeline.path("flb-in_sidecar_tail.so")
                ),
            );
            pipeline.arg("-c").arg(file);
            for argument in more {
                pipeline.arg(*argument);
            }
            let ended = pipeline.run();
            format!("{}{}", ended.stdout, ended.stderr)
        };
        let list = |path: &str| format!("[SERVICE]\n    Plugins_File {path}\n{input}{output}");
        seen += &run("a.conf", list("/nowhere/plugins.conf"), &[]);
        seen += &run("b.conf", format!("{input}{output}"), &[]);
        seen += &run("c.conf", list("HERE/good.conf"), &["--dry-run"]);
        let wrong = ["-e", "/nowhere/flb-in_sidecar_tail.so"];
        seen += &run("d.conf", format!("{input}{output}"), &wrong);
        if host.since(3, 2, 3) {
            let glued =
                "plugins:\n  - HERE/flb-in_sidecar_tail.so\n    HERE/flb-out_completion_exit.so\n";
            let said = run("e.yaml", glued.to_owned(), &[]);
            assert!(
                said.contains("cannot open shared object file"),
                "{host}: {said}"
            );
        }
    }
    for message in &hosts {
        assert!(
            seen.contains(message.as_str()),
            "{message:?} is not in\n{seen}"
        );
    }
    assert!(hosts.len() >= 5, "{hosts:?}");
}

/// The rules of the operator are those of the file, which promtool knows.
#[test]
fn the_operator_gets_the_same_rules() {
    let rules = read("kubernetes/rules.yaml");
    let (_, rules) = rules.split_once("spec:\n").expect("it has a spec");
    let alerts = read("alerts.yaml");
    let (_, alerts) = alerts.split_once("groups:\n").expect("there are groups");
    let inner = |line: &str| line.strip_prefix("  ").unwrap_or(line).to_owned();
    let rules: Vec<String> = rules.lines().map(inner).collect();
    let alerts: Vec<String> = format!("groups:\n{alerts}")
        .lines()
        .map(str::to_owned)
        .collect();
    assert_eq!(rules, alerts);
    assert!(read("kubernetes/pod-monitor.yaml").contains("- port: flb-metrics\n"));
}

#[test]
fn every_alert_has_a_chapter_that_is_there() {
    let alerts = read("alerts.yaml");
    let page = read("troubleshooting.md");
    let anchors: BTreeSet<String> = page
        .lines()
        .filter_map(|line| line.strip_prefix("## "))
        .map(|title| {
            let kept = title
                .chars()
                .filter(|c| c.is_alphanumeric() || "- ".contains(*c));
            kept.collect::<String>().to_lowercase().replace(' ', "-")
        })
        .collect();
    let named: Vec<&str> = alerts
        .lines()
        .filter_map(|line| {
            line.trim()
                .strip_prefix("runbook_url: \"troubleshooting.md#")
        })
        .filter_map(|rest| rest.strip_suffix('"'))
        .collect();
    assert_eq!(named.len(), alerts.matches("- alert:").count());
    for name in named {
        assert!(anchors.contains(name), "{name} is not in {anchors:?}");
    }
}

#[test]
fn promtool_finds_every_alert_firing_when_it_should() {
    let folder = root().join("conf/observability");
    let own = root().join("target/tools/bin/promtool");
    let program = if own.exists() { own } else { "promtool".into() };
    for arguments in [
        ["check", "rules", "alerts.yaml"],
        ["test", "rules", "alerts_test.yaml"],
    ] {
        let output = Command::new(&program)
            .args(arguments)
            .current_dir(&folder)
            .output();
        let Ok(output) = output else {
            return say("SKIPPED promtool: not installed (Debian's package prometheus has it)");
        };
        let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
        assert!(output.status.success(), "{said}");
    }
    let tests = read("alerts_test.yaml");
    for line in read("alerts.yaml").lines() {
        if let Some(name) = line.trim().strip_prefix("- alert: ") {
            assert!(tests.contains(name), "{name} has no test");
        }
    }
}
