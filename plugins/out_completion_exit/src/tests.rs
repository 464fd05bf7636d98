use super::*;
use flb_sidecar_sdk::drain::{DrainState, DrainStatus};
use flb_sidecar_sdk::fake::FakeHost;
use flb_sidecar_sdk::{InputInfo, OutputInfo, Pending};
use std::fs;

mod stops;

fn start(host: &mut FakeHost, options: &[(&str, &str)]) -> Result<CompletionExit, ConfigError> {
    // At once, unless a test is about that.
    let at_once = [("sigterm_wait", "0")];
    let given = options.iter().any(|(name, _)| *name == "sigterm_wait");
    let options = at_once.iter().filter(|_| !given).chain(options);
    let settings = Settings::new("completion_exit.0", OPTIONS, options.copied())?;
    CompletionExit::init(&settings, host)
}

fn host(state: DrainState) -> FakeHost {
    FakeHost {
        inputs: vec![InputInfo {
            name: "sidecar_tail.0".to_owned(),
            plugin: "sidecar_tail".to_owned(),
            pending: Some(Pending::default()),
            drain: Some(DrainStatus {
                state,
                ..DrainStatus::default()
            }),
            ..InputInfo::default()
        }],
        outputs: vec![OutputInfo {
            dropped_records: Some(0),
            ..OutputInfo::default()
        }],
        tasks: Some(0),
        chunks: Some((0, 0)),
        ..FakeHost::default()
    }
}

/// Ticks at `now` until the flag's thread has told; `false` after ten seconds.
fn tick_until_drain(plugin: &mut CompletionExit, host: &mut FakeHost, now: Duration) -> bool {
    let begin = Instant::now();
    while host.drains.is_empty() && begin.elapsed() < Duration::from_secs(10) {
        plugin.tick_at(now, host);
        std::thread::sleep(Duration::from_millis(1));
    }
    !host.drains.is_empty()
}

#[test]
fn the_flag_appears_the_tail_drains_the_host_exits_once() {
    let dir = tempfile::tempdir().unwrap();
    let flag = dir.path().join("flag");
    let mut host = host(DrainState::Draining);
    let mut plugin = start(&mut host, &[("flag_file", flag.to_str().unwrap())]).unwrap();
    let second = Duration::from_secs(1);
    for tick in 0..50 {
        plugin.tick_at(second * tick, &mut host);
    }
    assert!(host.drains.is_empty() && host.exits.is_empty() && host.flushes == 0);

    fs::write(&flag, "").unwrap();
    let now = second * 100;
    assert!(tick_until_drain(&mut plugin, &mut host, now));
    assert_eq!(host.drains, [Duration::from_secs(25)]);
    let tick = CompletionExit::TICK;
    plugin.tick_at(now + tick, &mut host);
    assert!(host.exits.is_empty());

    host.inputs[0].drain.as_mut().unwrap().state = DrainState::Drained;
    host.inputs[0].pending = Some(Pending {
        chunks: 1,
        tasks: 0,
    });
    let flushes = host.flushes;
    plugin.tick_at(now + tick * 2, &mut host);
    assert_eq!(host.flushes, flushes + 1);
    host.inputs[0].pending = Some(Pending::default());
    for n in 3..10 {
        plugin.tick_at(now + tick * n, &mut host);
    }
    assert_eq!(host.exits, [0]);
    assert!(host.graces.is_empty());
    plugin.exit();
}

#[test]
fn a_destination_that_never_answers_ends_at_the_deadline() {
    let dir = tempfile::tempdir().unwrap();
    let flag = dir.path().join("flag");
    fs::write(&flag, "").unwrap();
    let mut host = host(DrainState::Drained);
    host.tasks = Some(1);
    let options = [("flag_file", flag.to_str().unwrap()), ("deadline", "2s")];
    let mut plugin = start(&mut host, &options).unwrap();
    assert!(tick_until_drain(&mut plugin, &mut host, Duration::ZERO));
    plugin.tick_at(Duration::from_millis(1999), &mut host);
    assert!(host.exits.is_empty());
    plugin.tick_at(Duration::from_secs(2), &mut host);
    plugin.tick_at(Duration::from_secs(3), &mut host);
    assert_eq!(host.exits, [0]);
    assert_eq!(host.graces, [LAST_GRACE]);
}

#[test]
fn without_a_trigger_the_start_stops() {
    for options in [&[][..], &[("sigterm", "off")]] {
        let error = start(&mut FakeHost::default(), options)
            .unwrap_err()
            .to_string();
        assert!(error.contains("flag_file"), "{error}");
    }
}

fn sigterm_host(state: DrainState) -> FakeHost {
    FakeHost {
        gives_sigterm: true,
        ..host(state)
    }
}

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn sigterm_is_left_to_the_host_on_demand() {
    let mut host = sigterm_host(DrainState::Drained);
    let plugin = start(&mut host, &[("sigterm", "off"), ("time_count", "5")]).unwrap();
    assert!(!host.sigterm_taken);
    plugin.exit();
    let plugin = start(&mut host, &[]).unwrap();
    assert!(host.sigterm_taken);
    plugin.exit();
}

#[test]
fn sigterm_drains_within_25_seconds_of_the_signal() {
    let mut host = sigterm_host(DrainState::Draining);
    let mut plugin = start(&mut host, &[]).unwrap();
    plugin.tick_at(SECOND, &mut host);
    assert!(host.drains.is_empty());
    host.terminated = Some(SECOND * 5);
    plugin.tick_at(SECOND * 10, &mut host);
    assert_eq!(host.drains, [SECOND * 15]);
    plugin.tick_at(SECOND * 30 - Duration::from_millis(1), &mut host);
    assert!(host.exits.is_empty());
    plugin.tick_at(SECOND * 30, &mut host);
    assert_eq!(host.exits, [0]);
}

#[test]
fn sigterm_in_a_drain_shortens_it() {
    let mut host = sigterm_host(DrainState::Draining);
    let options = [("time_count", "1"), ("deadline", "100")];
    let mut plugin = start(&mut host, &options).unwrap();
    plugin.tick_at(SECOND, &mut host);
    assert_eq!(host.drains, [SECOND * 95]);
    plugin.tick_at(SECOND * 2, &mut host);
    host.terminated = Some(SECOND * 90);
    plugin.tick_at(SECOND * 3, &mut host);
    assert_eq!(host.drains, [SECOND * 95, SECOND * 6]);
    plugin.tick_at(SECOND * 13, &mut host);
    assert_eq!(host.exits, [0]);
}

#[test]
fn after_sigterm_reading_goes_on_until_another_trigger_or_the_end_of_the_wait() {
    for (time_count, drain_at) in [("7", 7), ("100", 12)] {
        let mut host = sigterm_host(DrainState::Draining);
        let options = [("sigterm_wait", "10"), ("time_count", time_count)];
        let mut plugin = start(&mut host, &options).unwrap();
        host.terminated = Some(Duration::ZERO);
        let mut now = SECOND * 2;
        while host.drains.is_empty() {
            assert!(now < SECOND * 60);
            plugin.tick_at(now, &mut host);
            now += CompletionExit::TICK;
        }
        assert_eq!(now - CompletionExit::TICK, SECOND * drain_at);
        // 25 s from the signal, whenever the drain began; 5 s of them are for delivery and the host's end.
        assert_eq!(host.drains, [SECOND * (27 - drain_at - 5)]);
    }
}

/// Ticks until the plugin has left; the statuses.
fn run_out(plugin: &mut CompletionExit, host: &mut FakeHost, from: Duration) -> Vec<i32> {
    for n in 0..2000 {
        plugin.tick_at(from + CompletionExit::TICK * n, host);
    }
    host.exits.clone()
}

#[test]
fn the_counters_of_the_stock_output_fire() {
    for (options, flushes, records) in [
        (&[("flush_count", "2")][..], 2, 0),
        (&[("record_count", "10")], 1, 10),
        (&[("flush_count", "2"), ("record_count", "10")], 1, 10),
        (
            &[
                ("flush_count", "2"),
                ("record_count", "10"),
                ("trigger_mode", "all"),
            ],
            2,
            10,
        ),
    ] {
        let mut host = host(DrainState::Drained);
        let mut plugin = start(&mut host, options).unwrap();
        plugin.tick_at(SECOND, &mut host);
        host.flushed.flushes = flushes - 1;
        plugin.tick_at(SECOND * 2, &mut host);
        assert!(host.drains.is_empty(), "{options:?}");
        host.flushed.flushes = flushes;
        host.flushed.records = records;
        assert_eq!(
            run_out(&mut plugin, &mut host, SECOND * 3),
            [0],
            "{options:?}"
        );
    }
}

#[test]
fn time_counts_without_any_record() {
    let mut host = host(DrainState::Drained);
    let mut plugin = start(&mut host, &[("time_count", "3")]).unwrap();
    plugin.tick_at(SECOND * 3 - Duration::from_millis(1), &mut host);
    assert!(host.drains.is_empty());
    assert_eq!(run_out(&mut plugin, &mut host, SECOND * 3), [0]);
}

#[test]
fn idle_waits_for_silence() {
    let mut host = host(DrainState::Drained);
    let mut plugin = start(&mut host, &[("idle_time", "60")]).unwrap();
    let tick_until_answer = |plugin: &mut CompletionExit, host: &mut FakeHost, now| {
        let begin = Instant::now();
        while host.drains.is_empty() && begin.elapsed() < SECOND * 10 {
            plugin.tick_at(now, host);
            std::thread::sleep(Duration::from_millis(1));
        }
    };
    plugin.tick_at(SECOND * 30, &mut host);
    host.inputs[0].drain.as_mut().unwrap().records = 1;
    plugin.tick_at(SECOND * 50, &mut host);
    plugin.tick_at(SECOND * 109, &mut host);
    assert!(
        !plugin.waiting.has_asked(),
        "nobody is asked while something came"
    );
    tick_until_answer(&mut plugin, &mut host, SECOND * 110);
    assert_eq!(host.drains.len(), 1);
}

/// A destination that is down, and an input that may not read: nothing goes out, and for a while something
/// still comes.
#[test]
fn idle_is_about_what_comes_even_while_nothing_goes_out() {
    let mut host = host(DrainState::Idle);
    host.tasks = Some(1);
    let mut plugin = start(&mut host, &[("idle_time", "60")]).unwrap();
    host.inputs[0].pending = Some(Pending {
        chunks: 3,
        tasks: 1,
    });
    for second in 0..90 {
        // The main container writes for half a minute.
        host.inputs[0].drain.as_mut().unwrap().unread_bytes = u64::from(second.min(30));
        plugin.tick_at(SECOND * second, &mut host);
    }
    assert!(!plugin.waiting.has_asked(), "something has come since");
    plugin.tick_at(SECOND * 90, &mut host);
    assert!(tick_until_drain(&mut plugin, &mut host, SECOND * 90));
    host.inputs[0].drain.as_mut().unwrap().state = DrainState::Draining;
    plugin.tick_at(SECOND * 120, &mut host);
    assert_eq!(host.exits, [0]);
}

#[test]
fn the_status_is_the_configured_one_the_flags_or_that_of_a_loss() {
    let dir = tempfile::tempdir().unwrap();
    let flag = dir.path().join("flag");
    let path = flag.to_str().unwrap();
    let file = ("flag_file", path);
    for (options, content, tasks, expected) in [
        (vec![file], "3", 0, 0),
        (vec![file, ("exit_code", "9")], "3", 0, 9),
        (vec![file, ("exit_code", "trigger")], "3", 0, 3),
        (vec![file, ("exit_code", "trigger")], "", 0, 0),
        (vec![file, ("exit_code", "trigger")], "what", 0, 0),
        (vec![file, ("exit_code", "trigger")], "3", 1, 3),
        (vec![file, ("loss_exit_code", "5")], "3", 0, 0),
        (vec![file, ("loss_exit_code", "5")], "3", 1, 5),
        (
            vec![file, ("exit_code", "trigger"), ("loss_exit_code", "5")],
            "3",
            1,
            5,
        ),
    ] {
        fs::write(&flag, content).unwrap();
        let mut host = host(DrainState::Drained);
        host.tasks = Some(tasks);
        let mut plugin = start(&mut host, &options).unwrap();
        assert!(tick_until_drain(&mut plugin, &mut host, SECOND));
        let exits = run_out(&mut plugin, &mut host, SECOND);
        assert_eq!(exits, [expected], "{options:?} {content}");
    }
}

#[test]
fn the_report_and_the_ready_file_are_written() {
    let dir = tempfile::tempdir().unwrap();
    let (ready, report) = (dir.path().join("ready"), dir.path().join("report"));
    fs::write(&ready, "left behind").unwrap();
    let options = [
        ("time_count", "5"),
        ("ready_file", ready.to_str().unwrap()),
        ("report_file", report.to_str().unwrap()),
    ];
    let mut host = host(DrainState::Drained);
    let mut plugin = start(&mut host, &options).unwrap();
    plugin.tick_at(Duration::ZERO, &mut host);
    let wait_for = |what: &dyn Fn() -> bool| {
        let begin = Instant::now();
        while !what() && begin.elapsed() < SECOND * 10 {
            std::thread::sleep(Duration::from_millis(1));
        }
        assert!(what());
    };
    wait_for(&|| fs::read(&ready).is_ok_and(|text| text == b"ready\n"));
    assert_eq!(run_out(&mut plugin, &mut host, SECOND * 5), [0]);
    plugin.exit();
    assert!(!ready.exists());
    let json: serde_json::Value =
        serde_json::from_str(&fs::read_to_string(&report).unwrap()).unwrap();
    assert_eq!(json["trigger"], "time_count");
    assert_eq!(json["complete"], true);
}

#[test]
fn the_second_instance_leaves_an_engine_that_ends_alone() {
    let mut host = host(DrainState::Drained);
    let mut one = start(&mut host, &[("time_count", "5")]).unwrap();
    let mut two = start(&mut host, &[("time_count", "5"), ("exit_code", "7")]).unwrap();
    for n in 0..1000 {
        let now = SECOND * 5 + CompletionExit::TICK * n;
        one.tick_at(now, &mut host);
        two.tick_at(now, &mut host);
    }
    assert_eq!(host.exits, [0]);
}

#[test]
fn a_hot_reload_in_a_drain_drains_again() {
    let dir = tempfile::tempdir().unwrap();
    let flag = dir.path().join("flag");
    fs::write(&flag, "").unwrap();
    let options = [("flag_file", flag.to_str().unwrap())];
    let mut old = host(DrainState::Draining);
    let mut plugin = start(&mut old, &options).unwrap();
    assert!(tick_until_drain(&mut plugin, &mut old, SECOND));
    old.stopping = true;
    plugin.tick_at(SECOND * 2, &mut old);
    plugin.exit();
    assert!(old.exits.is_empty());

    let mut new = host(DrainState::Drained);
    let mut plugin = start(&mut new, &options).unwrap();
    assert!(tick_until_drain(&mut plugin, &mut new, SECOND));
    assert_eq!(run_out(&mut plugin, &mut new, SECOND), [0]);
    plugin.exit();
}

/// A reload that was asked for right before the exit: the host hears of one of them only.
#[test]
fn ready_is_said_once_every_input_watches() {
    let dir = tempfile::tempdir().unwrap();
    let ready = dir.path().join("ready");
    let options = [
        ("time_count", "500"),
        ("ready_file", ready.to_str().unwrap()),
    ];
    let mut host = host(DrainState::Idle);
    host.inputs[0].drain.as_mut().unwrap().starting = true;
    let mut plugin = start(&mut host, &options).unwrap();
    for second in 0..100 {
        plugin.tick_at(SECOND * second, &mut host);
    }
    assert!(!plugin.signs.is_ready());
    host.inputs[0].drain.as_mut().unwrap().starting = false;
    plugin.tick_at(SECOND * 100, &mut host);
    let begin = Instant::now();
    while !ready.exists() && begin.elapsed() < SECOND * 10 {
        std::thread::sleep(Duration::from_millis(1));
    }
    assert!(ready.exists());
    plugin.exit();
}
