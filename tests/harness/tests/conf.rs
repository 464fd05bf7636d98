//! Every configuration of conf/, checked and run on the oldest and the newest real host, with a
//! real Fluent Bit as its destination.

use std::fs;
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, SystemTime};

use flb_sidecar_tests::build::{library, root};
use flb_sidecar_tests::host::real_hosts;
use flb_sidecar_tests::port::free_port;
use flb_sidecar_tests::process::json_lines;
use flb_sidecar_tests::sidecar::{append, Sidecar};
use flb_sidecar_tests::{say, wait_until, Host, Pipeline, Running, DEADLINE};
use serde_json::Value as Json;

/// What the hosts of one test are: each form of a configuration with an old and a new host.
fn hosts(what: &str) -> Vec<(Host, &'static str)> {
    let all = real_hosts();
    let classic: Vec<&Host> = all
        .iter()
        .filter(|host| host.reads_classic_lists())
        .collect();
    // Hosts before 3.2.0 read no list in YAML.
    let yaml: Vec<&Host> = all.iter().filter(|host| host.since(3, 2, 0)).collect();
    let mut found = Vec::new();
    for (hosts, file) in [(classic, "fluent-bit.conf"), (yaml, "fluent-bit.yaml")] {
        found.extend(hosts.first().map(|&host| (host.clone(), file)));
        if hosts.len() > 1 {
            found.extend(hosts.last().map(|&host| (host.clone(), file)));
        }
    }
    if found.is_empty() {
        say(&format!("SKIPPED {what}: no Fluent Bit found"));
    }
    found
}

/// A Fluent Bit that takes records and prints them.
struct Destination {
    running: Running,
    port: u16,
    _pipeline: Pipeline,
}

impl Destination {
    fn start(input: &str, options: &[(&str, &str)]) -> Self {
        let hosts = real_hosts();
        Destination::on(hosts.last().expect("there is a host"), input, options)
    }

    /// Takes HTTPS; `None`, and it says so, where no host can. Before 2.0.0 no input has TLS, and
    /// 3.2.2 does not take what its own output sends.
    fn https(what: &str, certificate: &str, key: &str) -> Option<Self> {
        let can = |host: &&Host| host.since(4, 0, 0) || host.since(2, 0, 0) && !host.since(3, 2, 0);
        let hosts = real_hosts();
        let Some(host) = hosts.iter().rfind(can) else {
            say(&format!(
                "SKIPPED {what}: no Fluent Bit found that takes HTTPS"
            ));
            return None;
        };
        let options = [
            ("tls", "on"),
            ("tls.verify", "off"),
            ("tls.crt_file", certificate),
            ("tls.key_file", key),
        ];
        Some(Destination::on(host, "http", &options))
    }

    fn on(host: &Host, input: &str, options: &[(&str, &str)]) -> Self {
        let port = free_port();
        let mut pipeline = Pipeline::bare(host);
        pipeline.arg("-f").arg("0.2");
        pipeline.input(
            input,
            &[("listen", "127.0.0.1"), ("port", &port.to_string())],
        );
        pipeline.options(options).print();
        let mut running = pipeline.start();
        running.wait_for("the destination listening", |_| {
            TcpStream::connect(("127.0.0.1", port)).is_ok()
        });
        Destination {
            running,
            port,
            _pipeline: pipeline,
        }
    }

    fn records(&self) -> Vec<Json> {
        json_lines(&self.running.output().stdout())
    }

    fn has(&self, text: &str) -> bool {
        self.running.output().stdout().contains(text)
    }

    /// The values of `key` in the order they came.
    fn values(&self, key: &str) -> Vec<String> {
        let value = |record: &Json| record[key].as_str().unwrap_or_default().to_owned();
        self.records().iter().map(value).collect()
    }

    /// Waits until `key` has exactly these values, in any order.
    fn expect(&self, key: &str, mut wanted: Vec<String>) {
        wanted.sort();
        let complete = wait_until(DEADLINE, || {
            (self.records().len() >= wanted.len()).then_some(())
        });
        let mut found = self.values(key);
        found.sort();
        assert!(
            complete.is_some() && found == wanted,
            "wanted {wanted:#?}\nfound {found:#?}"
        );
    }
}

fn lines(range: std::ops::Range<u32>, mail: &str) -> Vec<String> {
    range
        .map(|n| format!("line {n} of {mail}"))
        .collect::<Vec<_>>()
}

const MAIL: &str = "ann@example.com";
const REDACTED: &str = "[EMAIL]";

fn collector(destination: &Destination) -> Vec<(&'static str, String)> {
    vec![
        ("COLLECTOR_HOST", "127.0.0.1".into()),
        ("COLLECTOR_PORT", destination.port.to_string()),
    ]
}

#[test]
fn job() {
    for (host, file) in hosts("conf/job") {
        say(&format!("conf/job/{file} on {host}"));
        let sidecar = Sidecar::new(&host, "job", file, &[]);
        sidecar.check();
        sidecar.write("app.log", lines(0..5, MAIL));
        let mut running = sidecar.pipeline.start();
        running.wait_for("the first lines", |output| {
            output.stdout().contains("line 4 of [EMAIL]")
        });
        sidecar.write("app.log", lines(5..9, MAIL));
        fs::write(sidecar.path("logs/completion-flag"), "").expect("the folder takes files");
        let ended = running.end();
        ended.check_status(0);
        let found: Vec<&str> = ended.stdout.matches("of [EMAIL]").collect();
        ended.check("nine lines", found.len() == 9);
        ended.check(
            "metadata",
            ended
                .records()
                .iter()
                .all(|r| r["kubernetes"]["pod_name"] == "web-7"),
        );
    }
}

#[test]
fn default() {
    for (host, file) in hosts("conf/default") {
        say(&format!("conf/default/{file} on {host}"));
        let sidecar = Sidecar::new(&host, "default", file, &[]);
        sidecar.check();
        let running = sidecar.start();
        // Written right before the end; there is no flag, and nothing else to wait for.
        sidecar.write("app.log", lines(0..9, MAIL));
        let ended = sidecar.stop(running);
        ended.check(
            "nine lines",
            texts(&ended.records()) == lines(0..9, REDACTED),
        );
    }
}

/// As a process: printed instead of sent to AWS, but for the check of the file as it is.
#[test]
fn ecs() {
    for (host, file) in hosts("conf/ecs") {
        say(&format!("conf/ecs/{file} on {host}"));
        let task = [
            ("TASK_FAMILY", "payments"),
            ("CLUSTER", "shop"),
            ("AWS_REGION", "eu-central-1"),
            ("LOG_GROUP", "/shop/payments"),
            ("LOG_STREAM_PREFIX", "app-"),
        ];
        let task = task.map(|(name, value)| (name, value.to_owned()));
        Sidecar::new(&host, "ecs", file, &task).check();
        let text = fs::read_to_string(root().join("conf/ecs").join(file)).expect("it is there");
        let place = tempfile::tempdir().expect("a temporary folder");
        for folder in ["logs", "state"] {
            fs::create_dir(place.path().join(folder)).expect("a fresh folder takes folders");
        }
        let configuration = place.path().join(file);
        fs::write(&configuration, printed(&text)).expect("it takes files");
        let library = library();
        let sidecar = Sidecar::beside(place.path(), &host, &library, &configuration, &task);
        let running = sidecar.start();
        // The application's last lines: ECS stops the sidecar right behind it.
        sidecar.write("app.log", lines(0..9, MAIL));
        let ended = sidecar.stop(running);
        let records = json_lines(&ended.stdout);
        ended.check("nine lines", texts(&records) == lines(0..9, REDACTED));
        for record in &records {
            assert_eq!(record["ecs_task_family"], "payments", "{record}");
            assert_eq!(record["ecs_cluster"], "shop", "{record}");
        }
    }
}

/// The configuration with `stdout` in the place of `cloudwatch_logs`.
fn printed(text: &str) -> String {
    let of_aws = [
        "region",
        "log_group_name",
        "log_stream_prefix",
        "auto_create_group",
    ];
    let kept = text.lines().filter(|line| {
        let key = line.trim().split([' ', ':']).next().unwrap_or_default();
        !of_aws.contains(&key)
    });
    let text: String = kept.map(|line| format!("{line}\n")).collect();
    let format = if text.contains("[OUTPUT]") {
        "stdout\n    Format             json_lines"
    } else {
        "stdout\n      format: json_lines"
    };
    text.replace("cloudwatch_logs", format)
}

#[test]
fn the_task_definition_is_one() {
    let python = root().join("target/tools/bin/python");
    if !python.exists() {
        return say("SKIPPED conf/ecs/task-definition.json: no botocore, see tests/tools.txt");
    }
    let folder = root().join("conf/ecs");
    let check = |file: &Path| {
        let script = root().join("tests/ecs.py");
        let output = Command::new(&python).arg(script).arg(file).output();
        let output = output.expect("Python starts");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        (output.status.success(), said)
    };
    let file = folder.join("task-definition.json");
    let (good, said) = check(&file);
    assert!(good, "{said}");
    let text = fs::read_to_string(&file).expect("it is there");
    let wrong = tempfile::NamedTempFile::new().expect("a temporary file");
    fs::write(wrong.path(), text.replace("stopTimeout", "stopTime")).expect("it takes text");
    let (good, said) = check(wrong.path());
    assert!(!good && said.contains("stopTime"), "{said}");

    // What the configuration takes from the environment is in the task, and what it says of time fits.
    let task: Json = serde_json::from_str(&text).expect("it is JSON");
    let containers = task["containerDefinitions"].as_array().expect("a list");
    let find = |name: &str| {
        containers
            .iter()
            .find(|c| c["name"] == name)
            .expect("it is there")
    };
    let sidecar = find("logs");
    let has = |name: &str| {
        let all = sidecar["environment"].as_array().expect("a list");
        all.iter().any(|entry| entry["name"] == name)
    };
    let text = fs::read_to_string(folder.join("fluent-bit.conf")).expect("it is there");
    let (_, body) = text.split_once("[SERVICE]").expect("there is a section");
    for name in variables(body).filter(|name| *name != "PLUGIN_DIR") {
        assert!(has(name), "{name} is not in the task");
    }
    let deadline = body
        .split("Deadline")
        .nth(1)
        .and_then(|rest| rest.trim().parse().ok());
    let deadline: u64 = deadline.expect("a number of seconds");
    assert!(deadline + 10 <= sidecar["stopTimeout"].as_u64().expect("a number"));
    // Stopped first, and started only once SIGTERM is taken over.
    let depends = &find("payments")["dependsOn"][0];
    assert_eq!(
        (&depends["containerName"], &depends["condition"]),
        (&"logs".into(), &"HEALTHY".into())
    );
}

#[test]
fn nginx() {
    for (host, file) in hosts("conf/nginx") {
        say(&format!("conf/nginx/{file} on {host}"));
        let destination = Destination::start("forward", &[]);
        let environment = [
            ("AGGREGATOR_HOST", "127.0.0.1".to_owned()),
            ("AGGREGATOR_PORT", destination.port.to_string()),
        ];
        let sidecar = Sidecar::new(&host, "nginx", file, &environment);
        sidecar.check();
        let mut running = sidecar.start();
        let day = Duration::from_secs(24 * 3600);
        for (name, age) in [("access.log.2", day * 2), ("access.log.1", day / 2)] {
            let line = format!("GET /{name}");
            sidecar.write("access.log", [format!("{line} {MAIL}")]);
            running.wait_for("the delivery of the line", |_| destination.has(&line));
            let log = sidecar.path("logs/access.log");
            fs::File::options()
                .append(true)
                .open(&log)
                .and_then(|file| file.set_modified(SystemTime::now() - age))
                .expect("the file is ours");
            fs::rename(&log, sidecar.path(&format!("logs/{name}")))
                .expect("a rename within one folder");
        }
        sidecar.write("access.log", lines(0..20, MAIL));
        sidecar.write("error.log", [format!("[error] denied {MAIL}")]);
        let old = sidecar.path("logs/access.log.2");
        running.wait_for("the removal of a delivered file of two days", |_| {
            !old.exists()
        });
        // Written right before the end.
        sidecar.write("access.log", lines(20..25, MAIL));
        sidecar.stop(running);
        let mut wanted = lines(0..25, REDACTED);
        wanted.extend([
            "GET /access.log.2 [EMAIL]".into(),
            "GET /access.log.1 [EMAIL]".into(),
            "[error] denied [EMAIL]".into(),
        ]);
        destination.expect("log", wanted);
        for name in ["access.log", "access.log.1", "error.log"] {
            assert!(sidecar.path(&format!("logs/{name}")).exists());
        }
    }
}

#[test]
fn sidecarset_upgraded_and_rolled_back() {
    let hosts = hosts("conf/sidecarset");
    for (host, file) in &hosts {
        let new = &hosts.last().expect("there is one").0;
        let new_file = "fluent-bit.yaml";
        say(&format!(
            "conf/sidecarset/{file} on {host}, upgraded to {new} and rolled back"
        ));
        let destination = Destination::start("http", &[]);
        let environment = collector(&destination);
        let first = Sidecar::new(host, "sidecarset", file, &environment);
        first.check();
        let mut running = first.start();
        first.write("app.log", lines(0..10, MAIL));

        // The next containers of the pod have the same volumes.
        let with_volumes = |host: &Host, file: &str| {
            let configuration = root().join("conf/sidecarset").join(file);
            let volumes = first.path("");
            let library = library();
            Sidecar::beside(&volumes, host, &library, &configuration, &environment)
        };
        let mut container = None;
        for round in 1..=2 {
            let (next_host, next_file) = if round % 2 == 1 {
                (new, if new.since(3, 2, 0) { new_file } else { file })
            } else {
                (host, *file)
            };
            // Lines come before, between and after the two containers.
            let from = round * 10;
            first.write("app.log", lines(from..from + 3, MAIL));
            container.as_ref().unwrap_or(&first).stop(running);
            first.write("app.log", lines(from + 3..from + 6, MAIL));
            let next = with_volumes(next_host, next_file);
            running = next.start();
            first.write("app.log", lines(from + 6..from + 10, MAIL));
            container = Some(next);
        }
        container.as_ref().unwrap_or(&first).stop(running);
        destination.expect("log", lines(0..30, REDACTED));
    }
}

#[test]
fn full() {
    for (host, file) in hosts("conf/full") {
        say(&format!("conf/full/{file} on {host}"));
        let certificates = tempfile::tempdir().expect("a temporary folder");
        let names = vec!["localhost".to_owned(), "127.0.0.1".to_owned()];
        let key = rcgen::generate_simple_self_signed(names).expect("a key can be made");
        let place = |name: &str, text: String| {
            let path = certificates.path().join(name);
            fs::write(&path, text).expect("a fresh folder takes files");
            path.to_str().expect("a plain path").to_owned()
        };
        let certificate = place("tls.crt", key.cert.pem());
        let private = place("tls.key", key.key_pair.serialize_pem());
        let taker = Destination::https("conf/full", &certificate, &private);
        let Some(destination) = taker else {
            return;
        };
        let mut environment = collector(&destination);
        environment[0].1 = "localhost".into();
        environment.push(("CA_FILE", certificate));
        environment.push(("COLLECTOR_USER", "sidecar".into()));
        environment.push(("COLLECTOR_PASSWORD", "secret".into()));
        let sidecar = Sidecar::new(&host, "full", file, &environment);
        sidecar.check();
        let mut running = sidecar.start();
        let order = |n: u32| format!(r#"{{"order":"{n}","customer":{{"mail":"{MAIL}"}}}}"#);
        sidecar.write("app.log", (0..10).map(order));
        running.wait_for("the first records", |_| destination.has(r#""order":"9""#));
        // Rotation with lines that nobody has read yet.
        sidecar.write("app.log", (10..20).map(order));
        fs::rename(sidecar.path("logs/app.log"), sidecar.path("logs/app.log.1"))
            .expect("a rename within one folder");
        sidecar.write("app.log", (20..30).map(order));
        running.wait_for("the new file", |_| destination.has(r#""order":"20""#));
        sidecar.stop(running);
        destination.expect("order", (0..30).map(|n| n.to_string()).collect());
        for record in destination.records() {
            assert_eq!(record["customer"]["mail"], REDACTED, "{record}");
            assert_eq!(record["kubernetes"]["namespace_name"], "shop", "{record}");
            assert!(record.get("log").is_none(), "{record}");
        }
    }
}

#[test]
fn full_refuses_a_certificate_that_nobody_signed() {
    for (host, file) in hosts("conf/full with another certificate")
        .into_iter()
        .take(1)
    {
        let place = tempfile::tempdir().expect("a temporary folder");
        let pem = |name: &str, text: String| {
            let path = place.path().join(name);
            fs::write(&path, text).expect("a fresh folder takes files");
            path.to_str().expect("a plain path").to_owned()
        };
        let make = || {
            let names = vec!["localhost".to_owned()];
            rcgen::generate_simple_self_signed(names).expect("a key can be made")
        };
        let (key, other) = (make(), make());
        let certificate = pem("tls.crt", key.cert.pem());
        let private = pem("tls.key", key.key_pair.serialize_pem());
        let taker = Destination::https("conf/full", &certificate, &private);
        let Some(destination) = taker else {
            return;
        };
        let mut environment = collector(&destination);
        environment[0].1 = "localhost".into();
        environment.push(("CA_FILE", pem("other.crt", other.cert.pem())));
        environment.push(("COLLECTOR_USER", String::new()));
        environment.push(("COLLECTOR_PASSWORD", String::new()));
        let sidecar = Sidecar::new(&host, "full", file, &environment);
        let mut running = sidecar.start();
        sidecar.write("app.log", [r#"{"order":"1"}"#.to_owned()]);
        running.wait_for("a failed handshake", |output| {
            output.stderr().contains("[tls]")
        });
        assert!(!destination.has("order"));
    }
}

#[test]
fn shared_volume() {
    for (host, file) in hosts("conf/shared-volume") {
        say(&format!("conf/shared-volume/{file} on {host}"));
        let destination = Destination::start("http", &[]);
        let shared = tempfile::tempdir().expect("a temporary folder");
        let folder = |pod: &str| shared.path().join("shop").join(pod);
        let pods: Vec<(&str, Sidecar, Running)> = ["import-a", "import-b"]
            .into_iter()
            .map(|pod| {
                let mut environment = collector(&destination);
                environment.push(("POD_NAME", pod.into()));
                environment.push(("SHARED_DIR", shared.path().to_string_lossy().into_owned()));
                let sidecar = Sidecar::new(&host, "shared-volume", file, &environment);
                sidecar.check();
                let mut running = sidecar.pipeline.start();
                // As a native sidecar it is there before the kubelet makes the folder.
                running.wait_for("a word about the folder", |output| {
                    let said = output.stderr();
                    said.contains("of db and of all logs is not there yet") && said.contains(pod)
                });
                fs::create_dir_all(folder(pod)).expect("a temporary folder takes folders");
                append(&folder(pod).join("app.log"), [format!("{pod}: {MAIL}")]);
                (pod, sidecar, running)
            })
            .collect();
        let mut wanted = Vec::new();
        for (pod, _sidecar, mut running) in pods {
            let line = format!("{pod}: {REDACTED}");
            running.wait_for("the pod's line", |_| destination.has(&line));
            append(&folder(pod).join("app.log"), ["the last line".to_owned()]);
            fs::write(folder(pod).join("completion-flag"), "").expect("it takes files");
            running.end().check_status(0);
            wanted.extend([line, "the last line".to_owned()]);
        }
        destination.expect("log", wanted);
        for record in destination.records() {
            let pod = record["kubernetes"]["pod_name"]
                .as_str()
                .unwrap_or_default();
            let log = record["log"].as_str().unwrap_or_default();
            assert!(log == "the last line" || log.starts_with(pod), "{record}");
        }
    }
}

/// A configuration of conf/migration, what comes after in both forms.
fn migrate(from: &str, steps: impl Fn(&Migration<'_>)) {
    for (host, file) in hosts(&format!("conf/migration/{from}")) {
        let after = if file == "fluent-bit.conf" {
            "after.conf"
        } else {
            "after.yaml"
        };
        say(&format!("conf/migration/{from}/{after} on {host}"));
        let place = tempfile::tempdir().expect("a temporary folder");
        for folder in ["logs", "state"] {
            fs::create_dir(place.path().join(folder)).expect("a fresh folder takes folders");
        }
        steps(&Migration {
            host: &host,
            after,
            folder: root().join("conf/migration").join(from),
            volumes: place.path(),
        });
    }
}

struct Migration<'a> {
    host: &'a Host,
    /// The new configuration, in the form that the host reads.
    after: &'static str,
    folder: PathBuf,
    volumes: &'a Path,
}

impl Migration<'_> {
    fn sidecar(&self, file: &str) -> Sidecar {
        self.sidecar_with(file, &[])
    }

    fn sidecar_with(&self, file: &str, more: &[(&str, String)]) -> Sidecar {
        let folder = |name: &str| self.folder.join(name).to_string_lossy().into_owned();
        let mut environment = vec![
            ("SCRIPT_DIR", folder("")),
            ("PARSERS_FILE", folder("parsers.conf")),
        ];
        environment.extend_from_slice(more);
        let configuration = self.folder.join(file);
        let sidecar = Sidecar::beside(
            self.volumes,
            self.host,
            &library(),
            &configuration,
            &environment,
        );
        sidecar.check();
        sidecar
    }

    fn write(&self, lines: &[&str]) {
        let lines = lines.iter().map(|&line| line.to_owned());
        append(&self.volumes.join("logs/app.log"), lines);
    }

    /// Runs it until it has printed so many records.
    fn run(&self, file: &str, records: usize) -> Vec<Json> {
        let sidecar = self.sidecar(file);
        let mut running = sidecar.pipeline.start();
        running.wait_for("the records", |output| {
            json_lines(&output.stdout()).len() >= records
        });
        let ended = running.terminate();
        ended.check("no more records", ended.records().len() == records);
        ended.records()
    }
}

fn texts(records: &[Json]) -> Vec<&str> {
    records
        .iter()
        .filter_map(|record| record["log"].as_str())
        .collect()
}

#[test]
fn migration_from_tail() {
    migrate("tail", |migration| {
        migration.write(&["one", "two"]);
        assert_eq!(texts(&migration.run("before.conf", 2)), ["one", "two"]);
        migration.write(&["three"]);
        assert_eq!(texts(&migration.run(migration.after, 1)), ["three"]);
        // The way back repeats what was read since.
        assert_eq!(texts(&migration.run("before.conf", 1)), ["three"]);
    });
}

/// There and back again: each line comes once, redacted the same way.
#[test]
fn migration_of_a_complete_sidecar() {
    migrate("complete", |migration| {
        let destination = Destination::start("http", &[]);
        let collector = collector(&destination);
        let line = |n: u32| format!("order {n} of {MAIL} with 4111 1111 1111 1111");
        let mut wanted = Vec::new();
        let run = |file: &str, range: std::ops::Range<u32>, wanted: &mut Vec<String>| {
            let lines: Vec<String> = range.clone().map(line).collect();
            migration.write(&lines.iter().map(String::as_str).collect::<Vec<_>>());
            let sidecar = migration.sidecar_with(file, &collector);
            let mut running = sidecar.pipeline.start();
            let last = format!("order {} of [EMAIL] with [CARD]", range.end - 1);
            running.wait_for("the last line", |_| destination.has(&last));
            running.terminate().check_status(0);
            wanted.extend(range.map(|n| format!("order {n} of [EMAIL] with [CARD]")));
        };
        run("before.conf", 0..5, &mut wanted);
        run(migration.after, 5..10, &mut wanted);
        destination.expect("log", wanted);
    });
}

#[test]
fn migration_from_kubernetes() {
    migrate("kubernetes", |migration| {
        migration.write(&[r#"{"order":1}"#]);
        // It would ask the API; that it is taken is all that can be seen here.
        migration.sidecar("before.conf");
        let records = migration.run(migration.after, 1);
        assert_eq!(records[0]["order"], 1, "{records:?}");
        assert_eq!(records[0]["kubernetes"]["pod_name"], "web-7", "{records:?}");
        assert!(records[0].get("log").is_none(), "{records:?}");
    });
}

#[test]
fn migration_from_a_script() {
    migrate("lua", |migration| {
        migration.write(&[
            "bob@example.com pays with 4111 1111 1111 1111",
            "shipment 1234 5678 1234 5678",
        ]);
        let redacted = "[EMAIL] pays with [CARD]";
        let before = migration.run("before.conf", 2);
        assert_eq!(texts(&before), [redacted, "shipment [CARD]"]);
        let after = migration.run(migration.after, 2);
        // No card: its check digit is wrong.
        assert_eq!(texts(&after), [redacted, "shipment 1234 5678 1234 5678"]);
    });
}

#[test]
fn migration_from_filebeat() {
    migrate("filebeat", |migration| {
        migration.write(&["[error] broken", "  at line 1", "[info] whole"]);
        let records = migration.run(migration.after, 2);
        let texts: Vec<&str> = texts(&records).iter().map(|text| text.trim_end()).collect();
        assert_eq!(texts, ["[error] broken\n  at line 1", "[info] whole"]);
        for record in &records {
            let file = record["file"].as_str().unwrap_or_default();
            assert!(file.ends_with("/app.log"), "{record}");
            assert_eq!(record["kubernetes"]["namespace_name"], "shop", "{record}");
        }
        assert_eq!(records[0]["offset"], 0, "{records:?}");
    });
}

#[test]
fn migration_from_the_shell_loop() {
    migrate("shell-loop", |migration| {
        migration.write(&["one", "two"]);
        fs::write(migration.volumes.join("logs/completion-flag"), "").expect("it takes files");
        let ended = migration.sidecar(migration.after).pipeline.run();
        ended.check_status(0);
        assert_eq!(texts(&ended.records()), ["one", "two"]);
    });
}

/// Names of the environment in `${}`.
fn variables(text: &str) -> impl Iterator<Item = &str> {
    text.split("${")
        .skip(1)
        .filter_map(|rest| rest.split('}').next())
}

#[test]
fn the_head_of_a_configuration_lists_what_it_takes_from_the_environment() {
    let mut checked = 0;
    for entry in fs::read_dir(root().join("conf")).expect("it is there") {
        let file = entry
            .expect("it can be read")
            .path()
            .join("fluent-bit.conf");
        let Ok(text) = fs::read_to_string(&file) else {
            continue;
        };
        let (head, body) = text.split_once("[SERVICE]").expect("there is a section");
        for name in variables(body) {
            let listed = head.lines().any(|line| {
                let names = line.strip_prefix("#   ").unwrap_or_default();
                names.split([' ', ',']).any(|word| word == name)
            });
            assert!(listed, "{}: {name}", file.display());
        }
        checked += 1;
    }
    assert!(checked >= 6, "{checked}");
}

/// A host warns of an output that matches nothing at each start; `_none` keeps it quiet.
#[test]
fn nothing_in_conf_makes_hosts_warn_of_completion_exit() {
    let listing = Command::new("find")
        .args([".", "-name", "*.conf", "-o", "-name", "*.yaml"])
        .current_dir(root().join("conf"))
        .output()
        .expect("find runs");
    let mut sections = 0;
    for file in String::from_utf8_lossy(&listing.stdout).lines() {
        let text = fs::read_to_string(root().join("conf").join(file)).expect("a text");
        let text = text.to_lowercase();
        let mut lines = text
            .lines()
            .map(|line| line.trim().trim_start_matches("- "));
        while let Some(line) = lines.next() {
            let name = line
                .strip_prefix("name")
                .map(|rest| rest.trim_start_matches(':'));
            if name.map(str::trim) == Some("completion_exit") {
                let next = lines.next().unwrap_or_default();
                let quiet = next.starts_with("match") && next.ends_with("_none");
                assert!(quiet, "{file}: {next}");
                sections += 1;
            }
        }
    }
    assert!(sections >= 15, "{sections}");
}

/// A destination that was down gets what waits soon after its return, whatever output is put in.
#[test]
fn every_configuration_tries_again_soon() {
    let listing = Command::new("find")
        .args([".", "-name", "fluent-bit.*", "-o", "-name", "after.*"])
        .current_dir(root().join("conf"))
        .output()
        .expect("find runs");
    let listing = String::from_utf8_lossy(&listing.stdout).into_owned();
    assert!(listing.lines().count() >= 20, "{listing}");
    for file in listing.lines() {
        let text = fs::read_to_string(root().join("conf").join(file)).expect("a text");
        for set in [["scheduler.base", "1"], ["scheduler.cap", "5"]] {
            let there = text.lines().any(|line| {
                let words = line.split([' ', ':']).filter(|word| !word.is_empty());
                words.eq(set)
            });
            assert!(there, "{file}: {set:?}");
        }
    }
}

#[test]
fn every_set_up_has_both_forms_and_a_test() {
    let tests = include_str!("conf.rs");
    let listing = Command::new("find")
        .args([".", "-name", "fluent-bit.*"])
        .current_dir(root().join("conf"))
        .output()
        .expect("find runs");
    let listing = String::from_utf8_lossy(&listing.stdout).into_owned();
    let files: Vec<&str> = listing.lines().collect();
    assert!(files.len() >= 10, "{files:?}");
    for file in files {
        let path = Path::new(file);
        for extension in ["conf", "yaml"] {
            assert!(root()
                .join("conf")
                .join(path.with_extension(extension))
                .exists());
        }
        let setup = path.parent().and_then(Path::file_name).unwrap_or_default();
        let name = format!("\"{}\", file", setup.to_string_lossy());
        assert!(tests.contains(&name), "{file} is not run by a test");
    }
}
