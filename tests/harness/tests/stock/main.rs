//! The same records through the filter `kubernetes` of Fluent Bit 5.1.1 and through
//! `kube_metadata` on every real host: the results must be the same, value by value.
//!
//! One process of a host plays all scenarios (`scenarios.json`), each with tags of its own. The
//! pod comes from a file, as `kube_meta_preload_cache_dir` has it, and for `kube_metadata` a second
//! time from the Downward API, without what only the API has.

mod texts;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::Path;

use flb_sidecar_sdk::event::records;
use flb_sidecar_sdk::msgpack::{map_get, read, Value};
use flb_sidecar_tests::forward::Forward;
use flb_sidecar_tests::host::real_hosts;
use flb_sidecar_tests::sink::Sink;
use flb_sidecar_tests::{each_real_host, say, Host, Pipeline, Version, NO_OPTIONS};
use serde_json::Value as Json;

const POD: &str = "app-7d4b9c-x2z8q";
const NAMESPACE: &str = "team-a";
const DOCKER_ID: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

/// The release whose results count.
const STOCK: Version = Version(5, 1, 1);

/// Parsers of the host.
const PARSERS: &str = r"[PARSER]
    Name json
    Format json
[PARSER]
    Name words
    Format regex
    Regex ^(?<first>[^ ]+) (?<second>[^ ]+)$
[PARSER]
    Name timed
    Format regex
    Regex ^(?<time>[0-9]+) (?<word>[^ ]+)$
    Time_Key time
    Time_Format %s
";

/// A configuration of both filters.
struct Scenario {
    name: String,
    options: Vec<(String, String)>,
    /// The pod, as the API gives it.
    pod: Json,
    /// It uses parsers of the host.
    parsers: bool,
}

impl Scenario {
    /// The Downward API has less than it wants.
    fn needs_api(&self) -> bool {
        let in_api = |name: &str| name == "owner_references" || name.starts_with("namespace_");
        self.options.iter().any(|(name, _)| in_api(name))
    }
}

fn pairs(json: &Json) -> Vec<(String, String)> {
    let pairs = json.as_object().into_iter().flatten();
    pairs
        .map(|(key, value)| (key.clone(), value.as_str().unwrap().to_owned()))
        .collect()
}

fn scenarios() -> Vec<Scenario> {
    let scenarios: Vec<Json> = serde_json::from_str(include_str!("scenarios.json")).unwrap();
    let pod: Json = serde_json::from_str(include_str!("pod.json")).unwrap();
    scenarios
        .iter()
        .map(|scenario| {
            let mut pod = pod.clone();
            if let Some(annotations) = scenario.get("annotations") {
                pod["metadata"]["annotations"] = annotations.clone();
            }
            let options = pairs(&scenario["options"]);
            let names_parser = |(name, _): &(String, String)| name.contains("parser");
            Scenario {
                name: scenario["name"].as_str().unwrap().to_owned(),
                parsers: options.iter().any(names_parser),
                options,
                pod,
            }
        })
        .collect()
}

/// Who handles the records of a tag.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Level {
    /// The filter `kubernetes`.
    Stock,
    /// `kube_metadata` with the pod's object.
    Ours,
    /// `kube_metadata` with the Downward API.
    WithoutApi,
}

type Options = Vec<(String, String)>;

fn given(options: &Options) -> Vec<(&str, &str)> {
    let pairs = options.iter();
    pairs
        .map(|(key, value)| (key.as_str(), value.as_str()))
        .collect()
}

impl Level {
    fn prefix(self, scenario: usize) -> String {
        format!("{self:?}{scenario}.var.log.containers.").to_lowercase()
    }

    fn tag(self, scenario: usize) -> String {
        let prefix = self.prefix(scenario);
        format!("{prefix}{POD}_{NAMESPACE}_app-{DOCKER_ID}.log")
    }

    /// Its options, but for those of the scenario.
    fn options(self, pipeline: &Pipeline, index: usize, scenario: &Scenario) -> Options {
        let folder = |name: &str| pipeline.path(&format!("{name}{index}"));
        let own = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        match self {
            Level::Stock => {
                let name = format!("pod{index}/{NAMESPACE}_{POD}.meta");
                pipeline.file(&name, scenario.pod.to_string());
                let name = format!("pod{index}/{NAMESPACE}.namespace_meta");
                pipeline.file(&name, include_str!("namespace.json"));
                vec![
                    own("kube_tag_prefix", &self.prefix(index)),
                    own("kube_meta_preload_cache_dir", &folder("pod")),
                    // Plain HTTP, never called: with TLS it would want the CA file of a cluster.
                    own("kube_url", "http://127.0.0.1:9"),
                    // Without these two it believes that it is in no pod, and crashes where
                    // namespace labels are asked for.
                    own("kube_namespace_file", &pipeline.file("ns", NAMESPACE)),
                    own("kube_token_file", &pipeline.file("token", "token")),
                ]
            }
            // A configuration of the other filter with a new name, and what a sidecar has to say.
            Level::Ours => {
                let mut options = Level::Stock.options(pipeline, index, scenario);
                options.extend([
                    own("pod_name", POD),
                    own("container_name", "app"),
                    own("podinfo_path", "/nowhere"),
                ]);
                options
            }
            Level::WithoutApi => {
                let metadata = &scenario.pod["metadata"];
                for name in ["labels", "annotations"] {
                    let pairs = metadata[name].as_object().unwrap();
                    let text = pairs.iter().fold(String::new(), |mut text, (key, value)| {
                        // No value has a character for which JSON and Go escape differently.
                        writeln!(text, "{key}={value}").unwrap();
                        text
                    });
                    pipeline.file(&format!("podinfo{index}/{name}"), text);
                }
                let text = |json: &Json| json.as_str().unwrap().to_owned();
                vec![
                    own("pod_name", POD),
                    own("namespace_name", NAMESPACE),
                    own("container_name", "app"),
                    own("podinfo_path", &folder("podinfo")),
                    own("pod_id", &text(&metadata["uid"])),
                    own("host", &text(&scenario.pod["spec"]["nodeName"])),
                    own("pod_ip", &text(&scenario.pod["status"]["podIP"])),
                ]
            }
        }
    }

    fn plays(self, scenario: &Scenario) -> bool {
        self != Level::WithoutApi || !scenario.needs_api()
    }
}

/// What comes out for each level and scenario, by the number of the record.
type Results = BTreeMap<(Level, usize), Bodies>;
type Bodies = BTreeMap<usize, String>;

/// Sends the records through the scenarios of these levels on a host. What it said comes with the
/// results.
fn play(host: &Host, levels: &[Level]) -> (Results, String) {
    let scenarios = scenarios();
    let sink = Sink::listen();
    let mut pipeline = if levels == [Level::Stock] {
        Pipeline::bare(host)
    } else {
        Pipeline::new(host)
    };
    // At its end it delivers everything, however long that takes.
    let service = pipeline.file("service.conf", "[SERVICE]\n    flush 0.2\n    grace 30\n");
    pipeline.arg("-c").arg(service);
    let parsers = pipeline.file("parsers.conf", PARSERS);
    pipeline.arg("-R").arg(parsers);
    let socket = pipeline.path("socket");
    let large = [("unix_path", socket.as_str()), ("buffer_max_size", "16M")];
    pipeline.input("forward", &large);
    let mut played = Vec::new();
    for (index, scenario) in scenarios.iter().enumerate() {
        for &level in levels.iter().filter(|level| level.plays(scenario)) {
            let mut options = level.options(&pipeline, index, scenario);
            options.extend_from_slice(&scenario.options);
            let name = match level {
                Level::Stock => "kubernetes",
                Level::Ours | Level::WithoutApi => "kube_metadata",
            };
            pipeline.filter(name, &level.tag(index), &given(&options));
            played.push((level, index));
        }
    }
    pipeline.output("http", "*", &sink.options());
    let running = pipeline.start();
    let mut client = Forward::connect(Path::new(&socket));
    let (count, records) = texts::records();
    for (level, index) in &played {
        client.send(&level.tag(*index), count, &records);
    }
    let ended = running.terminate();
    let results = played.into_iter().map(|(level, index)| {
        let chunk = sink.chunk(&level.tag(index));
        ((level, index), described(&chunk))
    });
    (results.collect(), ended.output())
}

/// A value with its types, all bytes visible.
fn describe(buf: &[u8], at: usize, out: &mut String) -> usize {
    let (value, mut at) = read(buf, at).expect("whole msgpack");
    match value {
        Value::String { start, end } => {
            write!(out, "\"{}\"", buf[start..end].escape_ascii()).unwrap();
        }
        Value::Binary { start, end } => {
            write!(out, "bin\"{}\"", buf[start..end].escape_ascii()).unwrap();
        }
        Value::Extension { start, end, .. } => {
            write!(out, "ext\"{}\"", buf[start..end].escape_ascii()).unwrap();
        }
        Value::Float(bits) => write!(out, "{:?}f{bits:x}", f64::from_bits(bits)).unwrap(),
        Value::Unsigned(n) => write!(out, "{n}").unwrap(),
        Value::Negative(n) => write!(out, "{n}").unwrap(),
        Value::Nil => out.push_str("nil"),
        Value::Boolean(value) => write!(out, "{value}").unwrap(),
        Value::Array(len) => {
            out.push('[');
            for _ in 0..len {
                at = describe(buf, at, out);
                out.push(',');
            }
            out.push(']');
        }
        Value::Map(len) => {
            out.push('{');
            for _ in 0..len {
                at = describe(buf, at, out);
                out.push(':');
                at = describe(buf, at, out);
                out.push(',');
            }
            out.push('}');
        }
    }
    at
}

/// Body and time of each record.
fn described(chunk: &[u8]) -> Bodies {
    let bodies = records(chunk).map(|record| {
        let record = record.expect("whole records");
        let number = map_get(chunk, record.body, texts::NUMBER.as_bytes()).unwrap();
        let (Value::Unsigned(number), _) = read(number, 0).unwrap() else {
            panic!("a record lost its number");
        };
        let mut text = String::new();
        describe(chunk, record.body, &mut text);
        let time = record.time.expect("a record has a time");
        // One that a parser did not find is the current one there, and the record's own here.
        if time.seconds < texts::TIME.seconds || time.seconds == 1_700_000_000 {
            write!(text, " at {time:?}").unwrap();
        }
        (number as usize, text)
    });
    bodies.collect()
}

/// The same without what only the pod's status has.
fn without_status(body: &str) -> String {
    let Some(start) = body.find("\"docker_id\":") else {
        return body.to_owned();
    };
    let image = start + body[start..].find("\"container_image\":").unwrap();
    let end = image + body[image..].find(',').unwrap() + 1;
    // The map is described without its length, so nothing else changes.
    body[..start].to_owned() + &body[end..]
}

/// Where two results differ; empty when they do not.
fn difference(stock: &Bodies, ours: &Bodies) -> String {
    let numbers: BTreeSet<usize> = stock.keys().chain(ours.keys()).copied().collect();
    let differing = numbers.into_iter().filter(|n| stock.get(n) != ours.get(n));
    let differing: Vec<usize> = differing.collect();
    let mut text = String::new();
    for number in differing.iter().take(5) {
        let (theirs, own) = (stock.get(number), ours.get(number));
        writeln!(text, "  kubernetes    {theirs:?}\n  kube_metadata {own:?}").unwrap();
    }
    if differing.len() > 5 {
        writeln!(text, "  and {} more", differing.len() - 5).unwrap();
    }
    text
}

#[test]
fn the_results_are_those_of_the_filter_kubernetes() {
    let title = "the results of kubernetes 5.1.1";
    let hosts = real_hosts();
    let Some(stock) = hosts.iter().find(|host| host.version == STOCK) else {
        say(&format!("SKIPPED {title}: no Fluent Bit {STOCK} found"));
        return;
    };
    let scenarios = scenarios();
    let usual = texts::usual();
    let (golden, said) = play(stock, &[Level::Stock]);
    for ((_, index), bodies) in &golden {
        let name = &scenarios[*index].name;
        let none = name.starts_with("excluded");
        assert!(none || bodies.len() == usual.len(), "{name}: {said}");
    }
    each_real_host(title, |host| {
        let (results, _) = play(host, &[Level::Ours, Level::WithoutApi]);
        let mut wrong = String::new();
        for ((level, index), mut ours) in results {
            let scenario = &scenarios[index];
            let mut expected = golden[&(Level::Stock, index)].clone();
            if level == Level::WithoutApi {
                let bodies = expected.values_mut();
                bodies.for_each(|body| *body = without_status(body));
            }
            if scenario.parsers && host.version != STOCK {
                // The parser is the host's, and so is what it makes of unusual texts.
                expected.retain(|number, _| usual[*number]);
                ours.retain(|number, _| usual[*number]);
            }
            let difference = difference(&expected, &ours);
            if !difference.is_empty() {
                writeln!(wrong, "{}, {level:?}:\n{difference}", scenario.name).unwrap();
            }
        }
        assert!(wrong.is_empty(), "{wrong}");
    });
}

/// Options of the filter `kubernetes` 5.1.1: the name, what kind of value it takes, its default,
/// and what it is about.
fn stock_options() -> Vec<Json> {
    serde_json::from_str(include_str!("options.json")).unwrap()
}

/// What every filter has.
const GENERAL: &[&str] = &[
    "alias",
    "log_level",
    "log_suppress_interval",
    "match",
    "match_regex",
];

#[test]
fn the_list_of_its_options_is_complete() {
    let title = "every option of kubernetes";
    let hosts = real_hosts();
    let Some(stock) = hosts.iter().find(|host| host.version == STOCK) else {
        say(&format!("SKIPPED {title}: no Fluent Bit {STOCK} found"));
        return;
    };
    let mut pipeline = Pipeline::bare(stock);
    pipeline.arg("-F").arg("kubernetes").arg("-h");
    let help = pipeline
        .run()
        .output()
        .replace("\u{1b}[1m", "")
        .replace("\u{1b}[0m", "");
    // Each at the start of a line, behind a general part.
    let options = help.split_once("OPTIONS").expect("a list of options").1;
    let names = options
        .lines()
        .filter(|line| line.starts_with(|c: char| c.is_ascii_lowercase()));
    let mut listed: Vec<&str> = names
        .filter_map(|line| line.split_whitespace().next())
        .collect();
    listed.sort_unstable();
    let options = stock_options();
    let known = options.iter().filter_map(|o| o["name"].as_str());
    let mut known: Vec<&str> = known.chain(GENERAL.iter().copied()).collect();
    known.sort_unstable();
    assert_eq!(listed, known);
}

#[test]
fn every_option_that_changes_records_is_compared() {
    let used: Vec<String> = scenarios()
        .into_iter()
        .flat_map(|scenario| scenario.options)
        .map(|(name, _)| name)
        .collect();
    for option in stock_options() {
        let name = option["name"].as_str().unwrap();
        let about = option["about"].as_str().unwrap();
        assert!(
            matches!(about, "record" | "source" | "api" | "nothing"),
            "{name}: {about}"
        );
        assert_eq!(
            used.iter().any(|used| used == name),
            about == "record",
            "{name}"
        );
    }
}

/// A configuration with every option at its default but for the name of the filter.
#[test]
fn each_option_is_taken_and_those_that_do_nothing_say_so() {
    each_real_host("every option of kubernetes is taken", |host| {
        let options = stock_options();
        let mut pipeline = Pipeline::new(host);
        pipeline.input("dummy", NO_OPTIONS);
        let all: Options = options
            .iter()
            .map(|option| {
                let name = option["name"].as_str().unwrap();
                let value = option["default"].as_str().or(option["example"].as_str());
                (name.to_owned(), value.unwrap().to_owned())
            })
            .collect();
        pipeline.filter("kube_metadata", "*", &given(&all));
        pipeline.print();
        let mut running = pipeline.start();
        running.wait_for("a record", |output| output.stdout().contains("dummy"));
        let ended = running.terminate();
        let idle = ended.stderr.lines().filter_map(|line| {
            let (_, rest) = line.split_once("nothing is done here with ")?;
            Some(rest.split_once(": ")?.0.split(", "))
        });
        let idle = idle.flatten();
        for option in &options {
            let name = option["name"].as_str().unwrap();
            let said = idle.clone().filter(|told| *told == name).count();
            let expected = usize::from(option["about"] == "nothing");
            ended.check(&format!("{name}: {said} lines"), said == expected);
        }
        let api = options.iter().filter(|option| option["about"] == "api");
        let unused = ended
            .stderr
            .lines()
            .find(|line| line.contains("the API is not asked"));
        for option in api {
            let name = option["name"].as_str().unwrap();
            let told = unused.is_some_and(|line| line.contains(name));
            ended.check(&format!("{name} is not told to be unused"), told);
        }
    });
}
