//! SIGHUP with a changed `rules_file`: what it finds from then on, a file that is wrong, and memory.

use std::fs::{self, OpenOptions};
use std::io::Write as _;

use flb_sidecar_tests::build::{self, PLUGINS};
use flb_sidecar_tests::process::{json_lines, Running};
use flb_sidecar_tests::{each_real_host_where, say, wait_until, Host, Pipeline, DEADLINE};
use rustix::process::Signal;

/// A host of which a filter has the rules of a file, and the log that it reads.
struct Reloaded {
    pipeline: Pipeline,
    running: Running,
    log: String,
}

impl Reloaded {
    fn start(host: &Host, rules: &str) -> Self {
        let mut pipeline = Pipeline::bare(host);
        build::link_plugins(pipeline.folder(), &build::library(), PLUGINS);
        for name in PLUGINS {
            let file = pipeline.path(&format!("flb-{name}.so"));
            pipeline.arg("-e").arg(&file);
        }
        let log = pipeline.file("a.log", "");
        let (file, db) = (pipeline.file("rules.toml", rules), pipeline.path("db"));
        let config = pipeline.file(
            "pipeline.conf",
            format!(
                "[SERVICE]\n    flush 0.2\n    hot_reload on\n\
                 [INPUT]\n    name sidecar_tail\n    path {log}\n    db {db}\n    refresh_interval 1\n\
                 [FILTER]\n    name pii_redact\n    match *\n    rules_file {file}\n\
                 [OUTPUT]\n    name stdout\n    match *\n    format json_lines\n"
            ),
        );
        pipeline.arg("-c").arg(&config).arg("-Y");
        let running = pipeline.start();
        Reloaded {
            pipeline,
            running,
            log,
        }
    }

    /// Writes a line, and gives what becomes of it.
    fn line(&mut self, line: &str) -> String {
        let logs = |text: &str| json_lines(text).len();
        let before = logs(&self.running.output().stdout());
        let mut file = OpenOptions::new().append(true).open(&self.log).unwrap();
        writeln!(file, "{line}").unwrap();
        self.running
            .wait_for("the line", |out| logs(&out.stdout()) > before);
        let all = json_lines(&self.running.output().stdout());
        all[before]["log"].as_str().unwrap_or_default().to_owned()
    }

    /// Reloads with other rules, until the old ones have ended.
    fn reload(&mut self, rules: &str) {
        let ended = |text: &str| text.matches("start everything").count();
        let before = ended(&self.running.output().stderr());
        // What reloads inside the handler of the signal must have started.
        let asleep = wait_until(DEADLINE, || self.running.main_thread_sleeps().then_some(()));
        assert!(asleep.is_some(), "{}", self.running.output());
        self.pipeline.file("rules.toml", rules);
        self.running.signal(Signal::HUP);
        self.running
            .wait_for("the reload", |out| ended(&out.stderr()) > before);
    }

    fn resident(&self) -> u64 {
        let file = format!("/proc/{}/status", self.running.id());
        let text = fs::read_to_string(file).unwrap();
        let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        line.and_then(|line| line.split_whitespace().next()?.parse().ok())
            .expect("the kernel tells the resident memory")
    }
}

fn rule(id: &str, regex: &str, keyword: &str) -> String {
    format!("[[rules]]\nid = \"{id}\"\nregex = '''{regex}'''\nkeywords = [\"{keyword}\"]\n")
}

const LINE: &str = "shop_a1b2c3d4e5f6 till-1234";

#[test]
fn what_a_file_of_rules_has_counts_after_a_reload_and_a_wrong_one_ends_the_host_with_a_reason() {
    let reloads = |host: &Host| host.since(2, 1, 0);
    each_real_host_where("rules and hot reload", reloads, |host| {
        let shop = rule("shop", r"\bshop_[a-z0-9]{12}\b", "shop_");
        let till = rule("till", r"\btill-[0-9]{4}\b", "till-");
        let mut host = Reloaded::start(host, &shop);
        assert_eq!(host.line(LINE), "[SHOP] till-1234");
        host.reload(&till);
        assert_eq!(host.line(LINE), "shop_a1b2c3d4e5f6 [TILL]");
        host.reload(&rule("till", "till-(", "till-"));
        // What is written now is for the next start: nothing goes on without the rules.
        let ended = host.running.end();
        let errors = ended.error_lines().join("\n");
        for part in ["rules_file", "rule 'till'", "'regex'", "unclosed group"] {
            ended.check(&format!("'{part}' in {errors}"), errors.contains(part));
        }
        ended.check_status(255);
        ended.check("two lines", ended.records().len() == 2);
    });
}

#[test]
fn reloads_with_many_rules_need_no_more_memory_each_time() {
    const RELOADS: usize = 20;
    let reloads = |host: &Host| host.since(2, 1, 0);
    each_real_host_where("memory of reloads with rules", reloads, |host| {
        let rules = |round: usize| -> String {
            let name = |n: usize| format!("r{n}x{round}");
            let one = |n: usize| {
                let regex = format!(r#"(?i)[\w.-]{{0,50}}?{}[=:]"?([a-z0-9]{{32}})\b"#, name(n));
                rule(&name(n), &regex, &name(n))
            };
            (0..200).map(one).collect()
        };
        let mut host = Reloaded::start(host, &rules(0));
        let mut resident = Vec::new();
        for round in 0..=RELOADS {
            let secret = format!("r7x{round}=0123456789abcdef0123456789abcdef");
            let text = host.line(&secret);
            assert!(text.contains(&format!("[R7X{round}]")), "{text}");
            resident.push(host.resident());
            if round < RELOADS {
                host.reload(&rules(round + 1));
            }
        }
        say(&format!("resident with 200 rules, KiB: {resident:?}"));
        // One set of rules that stays each time would be 5 MiB.
        let (few, all) = (resident[RELOADS / 4], resident[RELOADS]);
        assert!(all < few + 8 * 1024, "KiB: {resident:?}");
        host.running.terminate().check_status(0);
    });
}
