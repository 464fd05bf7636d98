//! `kill -9` at any moment, on real hosts: nothing is lost, and what comes twice was in flight.

use std::time::{Duration, Instant};

use flb_sidecar_tests::site::Site;
use flb_sidecar_tests::{each_real_host, each_real_host_where, say, Host, Pipeline, Running};
use rustix::process::Signal;

/// Kills per host.
const KILLS: usize = 4;
/// Lines between two kills.
const LINES: usize = 300;
const LOG: &str = "app.log";

fn input(site: &Site, host: &Host, more: &[(&str, &str)]) -> Pipeline {
    site.input(host, "sidecar_tail", LOG, more)
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

/// Runs while the destination is down, until that has been seen with the lines of a round.
fn fail_with_lines(site: &mut Site, pipeline: &mut Pipeline) -> Running {
    fail(pipeline);
    let mut running = pipeline.start();
    site.write(LOG, LINES);
    running.wait_for("a failed delivery", |output| {
        output.stderr().contains("failed to flush chunk")
    });
    running
}

fn kill(running: Running) {
    running.signal(Signal::KILL);
    running.end();
}

/// Lets a new pipeline deliver what is left, and checks that every line came, at most `most`
/// times. Says how many came more than once.
fn finish(scenario: &str, site: &mut Site, host: &Host, mut pipeline: Pipeline, most: usize) {
    site.deliver(&mut pipeline);
    let mut running = pipeline.start();
    running.wait_for("every line", |_| site.all_delivered());
    // What is written now comes after everything that the host has to deliver again.
    site.write(LOG, 1);
    running.wait_for("the last line", |_| site.all_delivered());
    let ended = running.terminate();
    let (lost, repeated) = site.faults();
    ended.check(&format!("lines are lost: {lost:?}"), lost.is_empty());
    say(&format!(
        "{scenario}: {host}: {} of {} lines came more than once",
        repeated.len(),
        site.written()
    ));
    let times = site.delivered().values().max().copied().unwrap_or(0);
    ended.check(&format!("a line came {times} times"), times <= most);
}

#[test]
fn killed_at_any_moment() {
    each_real_host("kill -9", |host| {
        let mut site = Site::new();
        for round in 0..KILLS {
            let mut pipeline = input(&site, host, &[]);
            site.deliver(&mut pipeline);
            let mut running = pipeline.start();
            // The moment differs from kill to kill: at the start, while reading, in a flush.
            let pause = Duration::from_millis(1 + round as u64 * 2);
            for _ in 0..LINES {
                site.write(LOG, 1);
                std::thread::sleep(pause / 2);
            }
            if round % 2 == 1 {
                running.wait_for("a delivery", |_| !site.delivered().is_empty());
            }
            kill(running);
        }
        let pipeline = input(&site, host, &[]);
        finish("kill -9", &mut site, host, pipeline, KILLS + 1);
    });
}

#[test]
fn what_was_delivered_is_known_soon_after() {
    each_real_host("kill -9 after a delivery", |host| {
        let mut site = Site::new();
        let mut took = Vec::new();
        for _ in 0..KILLS {
            let mut pipeline = input(&site, host, &[]);
            site.deliver(&mut pipeline);
            let mut running = pipeline.start();
            site.write(LOG, LINES);
            running.wait_for("the delivery", |_| site.all_delivered());
            let since = Instant::now();
            running.wait_for("the state", |_| site.all_saved(LOG));
            took.push(since.elapsed());
            kill(running);
        }
        say(&format!(
            "kill -9 after a delivery: {host}: in the state after {took:.0?}"
        ));
        let pipeline = input(&site, host, &[]);
        finish("kill -9 after a delivery", &mut site, host, pipeline, 1);
    });
}

/// 2.1.0 to 2.1.2 discard their own chunks after a kill.
fn reads_its_chunks(host: &Host) -> bool {
    !host.since(2, 1, 0) || host.since(2, 1, 3)
}

#[test]
fn what_is_in_the_hosts_files_is_not_read_again() {
    const SCENARIO: &str = "kill -9 with filesystem storage, destination down";
    each_real_host_where(SCENARIO, reads_its_chunks, |host| {
        let mut site = Site::new();
        let storage = site.path("storage");
        let pipeline = |site: &Site| {
            let mut pipeline = input(site, host, &[("storage.type", "filesystem")]);
            pipeline.arg("-b").arg(&storage);
            pipeline
        };
        for _ in 0..KILLS {
            let mut pipeline = pipeline(&site);
            fail(&mut pipeline);
            let mut running = pipeline.start();
            site.write(LOG, LINES);
            running.wait_for("the state", |_| site.all_saved(LOG));
            assert!(site.has_chunk_files(), "the host keeps chunks");
            kill(running);
        }
        let pipeline = pipeline(&site);
        finish(SCENARIO, &mut site, host, pipeline, 1);
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
            let mut pipeline = input(site, host, &[("storage.type", "filesystem")]);
            let file = pipeline.file("service.conf", &service);
            pipeline.arg("-c").arg(file);
            pipeline
        };
        for _ in 0..KILLS {
            let mut pipeline = pipeline(&site);
            let running = fail_with_lines(&mut site, &mut pipeline);
            kill(running);
        }
        let pipeline = pipeline(&site);
        finish(SCENARIO, &mut site, host, pipeline, KILLS + 1);
    });
}

#[test]
fn killed_at_any_moment_with_filesystem_storage() {
    const SCENARIO: &str = "kill -9 at any moment with filesystem storage";
    each_real_host(SCENARIO, |host| {
        let mut site = Site::new();
        let storage = site.path("storage");
        let pipeline = |site: &Site| {
            let mut pipeline = input(site, host, &[("storage.type", "filesystem")]);
            pipeline.arg("-b").arg(&storage);
            pipeline
        };
        for round in 0..KILLS {
            let mut pipeline = pipeline(&site);
            if round % 2 == 0 {
                fail(&mut pipeline);
            } else {
                site.deliver(&mut pipeline);
            }
            let mut running = pipeline.start();
            for _ in 0..LINES {
                site.write(LOG, 1);
                std::thread::sleep(Duration::from_millis(1));
            }
            if round % 2 == 1 {
                running.wait_for("a delivery", |_| !site.delivered().is_empty());
            }
            kill(running);
        }
        let pipeline = pipeline(&site);
        finish(SCENARIO, &mut site, host, pipeline, KILLS + 1);
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
            let mut pipeline = input(&site, host, &[]);
            rewrite(&mut pipeline);
            let running = fail_with_lines(&mut site, &mut pipeline);
            // Time enough for a position to move that should not.
            std::thread::sleep(Duration::from_millis(2500));
            kill(running);
        }
        let mut pipeline = input(&site, host, &[]);
        rewrite(&mut pipeline);
        finish(SCENARIO, &mut site, host, pipeline, 3);

        // And it does move when all is well.
        let mut pipeline = input(&site, host, &[]);
        rewrite(&mut pipeline);
        site.deliver(&mut pipeline);
        let mut running = pipeline.start();
        site.write(LOG, LINES);
        running.wait_for("the state", |_| site.all_saved(LOG));
        kill(running);
    });
}

#[test]
fn what_went_through_several_emitters_is_known_after_a_drain() {
    const SCENARIO: &str = "a drain through rewrite_tag and multiline";
    each_real_host(SCENARIO, |host| {
        let mut site = Site::new();
        let pipeline = |site: &Site| {
            let mut pipeline = input(site, host, &[]);
            let rule = [
                ("rule", "$log ^line other.tag false"),
                // A name of its own: it may be that of any filter.
                ("emitter_name", "re_emitted"),
            ];
            pipeline.filter("rewrite_tag", "sidecar_tail.*", &rule);
            let join = [
                ("multiline.parser", "python"),
                ("multiline.key_content", "log"),
            ];
            pipeline.filter("multiline", "*", &join);
            site.deliver(&mut pipeline);
            pipeline.output("completion_exit", "none", &[("sigterm_wait", "0")]);
            pipeline
        };
        let first = pipeline(&site);
        let mut running = first.start();
        site.write(LOG, LINES);
        running.wait_for("every line", |_| site.all_delivered());
        running.terminate().check_status(0);
        let saved = site.all_saved(LOG);
        let second = pipeline(&site);
        let mut running = second.start();
        site.write(LOG, 1);
        running.wait_for("the last line", |_| site.all_delivered());
        let ended = running.terminate();
        ended.check("the position stays behind", saved);
        let faults = site.faults();
        let none = faults == (Vec::new(), Vec::new());
        ended.check(&format!("lost, repeated: {faults:?}"), none);
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
        let mut pipeline = input(&site, host, &[]);
        join(&mut pipeline);
        site.deliver(&mut pipeline);
        let mut running = pipeline.start();
        site.write(LOG, 10);
        running.wait_for("the first lines", |_| site.all_delivered());
        site.write_text(
            LOG,
            "Traceback (most recent call last):\n  File \"held.py\"\n",
        );
        // Less than the filter waits, and time enough for a position to move that should not.
        std::thread::sleep(Duration::from_millis(1500));
        kill(running);

        let mut pipeline = input(&site, host, &[]);
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
            let mut pipeline = input(&site, host, &[("threaded", "on")]);
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
            site.write(LOG, 10);
            running.wait_for("the first lines", |_| site.all_delivered());
            site.write_text(LOG, "block\n");
            running.wait_for("the engine is blocked", |_| {
                std::fs::exists(&mark).unwrap_or(false)
            });
            site.write(LOG, LINES);
            // Time enough for a position to move that should not.
            std::thread::sleep(Duration::from_millis(3000));
            kill(running);

            let pipeline = input(&site, host, &[("threaded", "on")]);
            // The filter lua of 2.1.0 repeats records by itself.
            let most = if host.since(2, 1, 3) { 2 } else { usize::MAX };
            finish(SCENARIO, &mut site, host, pipeline, most);
        },
    );
}

/// What is on its way then is asked for once more when the host has ended it. What an engine leaves behind of a stream
/// is read again, maybe with what came shortly before; nothing of it is lost.
#[test]
fn a_threaded_input_that_is_stopped_at_once_goes_on_behind_what_was_delivered() {
    for (streams, most) in [(false, 1), (true, KILLS + 1)] {
        let scenario = format!("an early SIGTERM of a threaded input, in a stream: {streams}");
        each_real_host_where(
            &scenario,
            |host| host.since(2, 0, 0),
            |host| {
                let mut site = Site::new();
                for _ in 0..KILLS {
                    let mut pipeline = input(&site, host, &[("threaded", "on")]);
                    site.deliver(&mut pipeline);
                    site.write(LOG, LINES);
                    let mut running = pipeline.start();
                    if streams {
                        running.wait_for("the lines", |_| site.all_delivered());
                        site.write(LOG, LINES);
                    } else {
                        running.wait_for("the engine", |output| {
                            output.stderr().contains("stream processor started")
                        });
                    }
                    running.terminate();
                }
                let pipeline = input(&site, host, &[("threaded", "on")]);
                finish(&scenario, &mut site, host, pipeline, most);
            },
        );
    }
}
