//! `kill -9` at any moment, on real hosts: nothing is lost, and what comes twice was in flight.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Write as _;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use flb_sidecar_tests::{each_real_host, each_real_host_where, say, Host, Pipeline, Running};
use rustix::process::Signal;
use serde_json::Value as Json;

/// Kills per host.
const KILLS: usize = 4;
/// Lines between two kills.
const LINES: usize = 300;

/// A log, the state of its reader, and a destination, all of which outlive a pipeline.
struct Site {
    folder: tempfile::TempDir,
    log: File,
    written: usize,
    bytes: u64,
}

impl Site {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        for name in ["out", "storage"] {
            fs::create_dir(folder.path().join(name)).expect("a fresh folder takes a folder");
        }
        let log = File::create(folder.path().join("app.log")).expect("a fresh folder takes a file");
        Site {
            folder,
            log,
            written: 0,
            bytes: 0,
        }
    }

    fn path(&self, name: &str) -> String {
        self.folder.path().join(name).to_string_lossy().into_owned()
    }

    fn write(&mut self, lines: usize) {
        for _ in 0..lines {
            let line = format!("line {}\n", self.written);
            self.write_text(&line);
            self.written += 1;
        }
    }

    fn write_text(&mut self, text: &str) {
        self.log
            .write_all(text.as_bytes())
            .expect("the log takes a line");
        self.bytes += text.len() as u64;
    }

    /// A pipeline with the input, without an output.
    fn input(&self, host: &Host, more: &[(&str, &str)]) -> Pipeline {
        let mut pipeline = Pipeline::new(host);
        let (log, db) = (self.path("app.log"), self.path("state.db"));
        pipeline
            .input("sidecar_tail", &[("path", &log), ("db", &db)])
            .options(more);
        pipeline
    }

    /// An output that appends to a file: it never syncs, but a killed process loses nothing that
    /// it has written.
    fn deliver(&self, pipeline: &mut Pipeline) {
        let out = self.path("out");
        pipeline.output(
            "file",
            "*",
            &[("path", &out[..]), ("file", "out"), ("format", "plain")],
        );
    }

    /// An output whose destination is down.
    fn fail(pipeline: &mut Pipeline) {
        pipeline.output(
            "http",
            "*",
            &[
                ("host", "127.0.0.1"),
                ("port", "1"),
                ("retry_limit", "no_limits"),
            ],
        );
    }

    fn delivered_text(&self) -> String {
        fs::read_to_string(self.path("out/out")).unwrap_or_default()
    }

    /// How often each line was delivered.
    fn delivered(&self) -> BTreeMap<usize, usize> {
        let mut counts = BTreeMap::new();
        let text = self.delivered_text();
        for rest in text.split("line ").skip(1) {
            let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
            if let Ok(number) = digits.parse() {
                *counts.entry(number).or_default() += 1;
            }
        }
        counts
    }

    /// How far the state says that the log is safe: the document, and what its journal adds.
    fn saved(&self) -> u64 {
        let offset = |json: &Json| {
            let files = json["files"].as_array().into_iter().flatten();
            files.filter_map(|file| file["offset"].as_u64()).max()
        };
        let read = |name: &str| fs::read_to_string(self.path(name)).unwrap_or_default();
        let document: Json = serde_json::from_str(&read("state.db.sidecar")).unwrap_or(Json::Null);
        let mut saved = offset(&document).unwrap_or(0);
        for line in read("state.db.sidecar.journal").lines() {
            let json = line
                .get(17..)
                .and_then(|json| serde_json::from_str(json).ok());
            let json: Json = json.unwrap_or(Json::Null);
            if json["journal"] == document["journal"] {
                saved = offset(&json).unwrap_or(saved);
            }
        }
        saved
    }

    fn kill(&self, running: Running) {
        running.signal(Signal::KILL);
        running.end();
    }

    /// Lets a new pipeline deliver what is left, and checks that every line came, at most
    /// `most` times. Says how many came more than once.
    fn finish(&mut self, scenario: &str, host: &Host, mut pipeline: Pipeline, most: usize) {
        self.deliver(&mut pipeline);
        let mut running = pipeline.start();
        running.wait_for("every line", |_| self.delivered().len() == self.written);
        // What is written now comes after everything that the host has to deliver again.
        self.write(1);
        running.wait_for("the last line", |_| self.delivered().len() == self.written);
        let ended = running.terminate();
        let counts = self.delivered();
        let lost: Vec<usize> = (0..self.written)
            .filter(|n| !counts.contains_key(n))
            .collect();
        ended.check(
            &format!("{} lines are lost: {lost:?}", lost.len()),
            lost.is_empty(),
        );
        let repeated = counts.values().filter(|count| **count > 1).count();
        say(&format!(
            "{scenario}: {host}: {repeated} of {} lines came more than once",
            self.written
        ));
        let times = counts.values().max().copied().unwrap_or(0);
        ended.check(&format!("a line came {times} times"), times <= most);
    }
}

#[test]
fn killed_at_any_moment() {
    each_real_host("kill -9", |host| {
        let mut site = Site::new();
        for kill in 0..KILLS {
            let mut pipeline = site.input(host, &[]);
            site.deliver(&mut pipeline);
            let mut running = pipeline.start();
            // The moment differs from kill to kill: at the start, while reading, in a flush.
            let pause = Duration::from_millis(1 + kill as u64 * 2);
            for _ in 0..LINES {
                site.write(1);
                std::thread::sleep(pause / 2);
            }
            if kill % 2 == 1 {
                running.wait_for("a delivery", |_| !site.delivered().is_empty());
            }
            site.kill(running);
        }
        let pipeline = site.input(host, &[]);
        site.finish("kill -9", host, pipeline, KILLS + 1);
    });
}

#[test]
fn what_was_delivered_is_known_soon_after() {
    each_real_host("kill -9 after a delivery", |host| {
        let mut site = Site::new();
        let mut took = Vec::new();
        for _ in 0..KILLS {
            let mut pipeline = site.input(host, &[]);
            site.deliver(&mut pipeline);
            let mut running = pipeline.start();
            site.write(LINES);
            running.wait_for("the delivery", |_| site.delivered().len() == site.written);
            let since = Instant::now();
            running.wait_for("the state", |_| site.saved() == site.bytes);
            took.push(since.elapsed());
            site.kill(running);
        }
        say(&format!(
            "kill -9 after a delivery: {host}: in the state after {took:.0?}"
        ));
        let pipeline = site.input(host, &[]);
        site.finish("kill -9 after a delivery", host, pipeline, 1);
    });
}

/// 2.1.0 to 2.1.2 discard their own chunks after a kill.
fn reads_its_chunks(host: &Host) -> bool {
    !host.since(2, 1, 0) || host.since(2, 1, 3)
}

/// The files of the host's chunks.
fn chunk_files(site: &Site) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for stream in fs::read_dir(site.path("storage"))
        .into_iter()
        .flatten()
        .flatten()
    {
        let chunks = fs::read_dir(stream.path()).into_iter().flatten().flatten();
        files.extend(chunks.map(|chunk| chunk.path()));
    }
    files
}

#[test]
fn what_is_in_the_hosts_files_is_not_read_again() {
    const SCENARIO: &str = "kill -9 with filesystem storage, destination down";
    each_real_host_where(SCENARIO, reads_its_chunks, |host| {
        let mut site = Site::new();
        let storage = site.path("storage");
        let pipeline = |site: &Site| {
            let mut pipeline = site.input(host, &[("storage.type", "filesystem")]);
            pipeline.arg("-b").arg(&storage);
            pipeline
        };
        for _ in 0..KILLS {
            let mut pipeline = pipeline(&site);
            Site::fail(&mut pipeline);
            let mut running = pipeline.start();
            site.write(LINES);
            running.wait_for("the state", |_| site.saved() == site.bytes);
            assert!(!chunk_files(&site).is_empty(), "the host keeps chunks");
            site.kill(running);
        }
        let pipeline = pipeline(&site);
        site.finish(SCENARIO, host, pipeline, 1);
    });
}

#[test]
fn chunks_with_checksums_count_when_they_are_delivered() {
    const SCENARIO: &str = "kill -9 with filesystem storage and checksums";
    each_real_host(SCENARIO, |host| {
        let mut site = Site::new();
        let storage = site.path("storage");
        let service = format!(
            "[SERVICE]\n    storage.path {storage}\n    storage.checksum on\n    flush 0.2\n"
        );
        let pipeline = |site: &Site| {
            let mut pipeline = site.input(host, &[("storage.type", "filesystem")]);
            let file = pipeline.file("service.conf", &service);
            pipeline.arg("-c").arg(file);
            pipeline
        };
        for _ in 0..KILLS {
            let mut pipeline = pipeline(&site);
            Site::fail(&mut pipeline);
            let mut running = pipeline.start();
            site.write(LINES);
            running.wait_for("a failed delivery", |output| {
                output.stderr().contains("failed to flush chunk")
            });
            site.kill(running);
        }
        let pipeline = pipeline(&site);
        site.finish(SCENARIO, host, pipeline, KILLS + 1);
    });
}

#[test]
fn killed_at_any_moment_with_filesystem_storage() {
    const SCENARIO: &str = "kill -9 at any moment with filesystem storage";
    each_real_host(SCENARIO, |host| {
        let mut site = Site::new();
        let storage = site.path("storage");
        let pipeline = |site: &Site| {
            let mut pipeline = site.input(host, &[("storage.type", "filesystem")]);
            pipeline.arg("-b").arg(&storage);
            pipeline
        };
        for kill in 0..KILLS {
            let mut pipeline = pipeline(&site);
            if kill % 2 == 0 {
                Site::fail(&mut pipeline);
            } else {
                site.deliver(&mut pipeline);
            }
            let mut running = pipeline.start();
            for _ in 0..LINES {
                site.write(1);
                std::thread::sleep(Duration::from_millis(1));
            }
            if kill % 2 == 1 {
                running.wait_for("a delivery", |_| !site.delivered().is_empty());
            }
            site.kill(running);
        }
        let pipeline = pipeline(&site);
        site.finish(SCENARIO, host, pipeline, KILLS + 1);
    });
}

#[test]
fn what_a_filter_took_out_counts_when_it_is_delivered() {
    const SCENARIO: &str = "kill -9 with rewrite_tag, destination down";
    each_real_host(SCENARIO, |host| {
        let mut site = Site::new();
        let rewrite = |pipeline: &mut Pipeline| {
            let rule = [("rule", "$log ^line other.tag false")];
            pipeline.filter("rewrite_tag", "sidecar_tail.*", &rule);
        };
        for _ in 0..2 {
            let mut pipeline = site.input(host, &[]);
            rewrite(&mut pipeline);
            Site::fail(&mut pipeline);
            let mut running = pipeline.start();
            site.write(LINES);
            running.wait_for("a failed delivery", |output| {
                output.stderr().contains("failed to flush chunk")
            });
            // Time enough for a position to move that should not.
            std::thread::sleep(Duration::from_millis(2500));
            site.kill(running);
        }
        let mut pipeline = site.input(host, &[]);
        rewrite(&mut pipeline);
        site.finish(SCENARIO, host, pipeline, 3);

        // And it does move when all is well.
        let mut pipeline = site.input(host, &[]);
        rewrite(&mut pipeline);
        site.deliver(&mut pipeline);
        let mut running = pipeline.start();
        site.write(LINES);
        running.wait_for("the state", |_| site.saved() == site.bytes);
        site.kill(running);
    });
}

#[test]
fn what_a_filter_holds_back_is_read_again() {
    const SCENARIO: &str = "kill -9 while the multiline filter waits for more";
    each_real_host(SCENARIO, |host| {
        let mut site = Site::new();
        let join = |pipeline: &mut Pipeline| {
            pipeline.filter(
                "multiline",
                "*",
                &[
                    ("multiline.parser", "python"),
                    ("multiline.key_content", "log"),
                ],
            );
        };
        let mut pipeline = site.input(host, &[]);
        join(&mut pipeline);
        site.deliver(&mut pipeline);
        let mut running = pipeline.start();
        site.write(10);
        running.wait_for("the first lines", |_| {
            site.delivered().len() == site.written
        });
        site.write_text("Traceback (most recent call last):\n  File \"held.py\"\n");
        // Less than the filter waits, and time enough for a position to move that should not.
        std::thread::sleep(Duration::from_millis(1500));
        site.kill(running);

        let mut pipeline = site.input(host, &[]);
        join(&mut pipeline);
        site.deliver(&mut pipeline);
        let mut running = pipeline.start();
        running.wait_for("the held lines", |_| {
            site.delivered_text().contains("held.py")
        });
        running.terminate();
    });
}

#[test]
fn what_waits_in_front_of_a_blocked_engine_is_read_again() {
    const SCENARIO: &str = "kill -9 of a threaded input's blocked engine";
    each_real_host_where(
        SCENARIO,
        |host| host.since(2, 0, 0),
        |host| {
            let mut site = Site::new();
            let mut pipeline = site.input(host, &[("threaded", "on")]);
            let mark = pipeline.path("blocked");
            let script = pipeline.file(
                "block.lua",
                format!(
                    "function block(tag, time, record)\n\
                     if record.log == 'block' then\n\
                     io.open('{mark}', 'w'):close()\n\
                     os.execute('sleep 20')\n\
                     end\n\
                     return 0, time, record\n\
                     end\n"
                ),
            );
            pipeline.filter("lua", "*", &[("script", &script[..]), ("call", "block")]);
            site.deliver(&mut pipeline);
            let mut running = pipeline.start();
            site.write(10);
            running.wait_for("the first lines", |_| {
                site.delivered().len() == site.written
            });
            site.write_text("block\n");
            running.wait_for("the engine is blocked", |_| {
                fs::exists(&mark).unwrap_or(false)
            });
            site.write(LINES);
            // Time enough for a position to move that should not.
            std::thread::sleep(Duration::from_millis(3000));
            site.kill(running);

            let pipeline = site.input(host, &[("threaded", "on")]);
            // The filter lua of 2.1.0 repeats records by itself.
            let most = if host.since(2, 1, 3) { 2 } else { usize::MAX };
            site.finish(SCENARIO, host, pipeline, most);
        },
    );
}
