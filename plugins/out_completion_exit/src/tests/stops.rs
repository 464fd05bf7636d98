//! Hosts that stop by themselves.

use super::*;

#[test]
fn a_host_that_stops_by_itself_takes_the_ready_file_with_it() {
    let dir = tempfile::tempdir().unwrap();
    let ready = dir.path().join("ready");
    let options = [("time_count", "5"), ("ready_file", ready.to_str().unwrap())];
    let mut host = host(DrainState::Drained);
    let mut plugin = start(&mut host, &options).unwrap();
    plugin.tick_at(Duration::ZERO, &mut host);
    host.stopping = true;
    plugin.tick_at(SECOND * 6, &mut host);
    assert!(host.drains.is_empty());
    plugin.exit();
    assert!(!ready.exists());
}

#[test]
fn a_host_that_stops_in_a_drain_leaves_a_report() {
    let dir = tempfile::tempdir().unwrap();
    let report = dir.path().join("report");
    let options = [
        ("time_count", "5"),
        ("report_file", report.to_str().unwrap()),
    ];
    let mut host = host(DrainState::Draining);
    let mut plugin = start(&mut host, &options).unwrap();
    plugin.tick_at(SECOND * 5, &mut host);
    host.stopping = true;
    plugin.tick_at(SECOND * 6, &mut host);
    plugin.exit();
    assert!(host.exits.is_empty());
    let json: serde_json::Value =
        serde_json::from_str(&fs::read_to_string(&report).unwrap()).unwrap();
    assert_eq!(json["ended_by"], "stopped");
    assert_eq!(
        (&json["complete"], &json["status"]),
        (&false.into(), &().into())
    );
}

/// The one tick that an engine which stops still has may be right behind a look at what would be reported.
#[test]
fn the_first_tick_of_a_stop_leaves_a_report() {
    let dir = tempfile::tempdir().unwrap();
    let report = dir.path().join("report");
    let options = [
        ("report_file", report.to_str().unwrap()),
        ("sigterm_wait", "auto"),
    ];
    let mut host = FakeHost {
        process_end: Some(std::sync::Arc::new(flb_sidecar_sdk::fake::FakeEnd)),
        ..sigterm_host(DrainState::Idle)
    };
    let mut plugin = start(&mut host, &options).unwrap();
    host.terminated = Some(Duration::ZERO);
    plugin.tick_at(SECOND, &mut host);
    host.stopping = true;
    plugin.tick_at(SECOND + CompletionExit::TICK, &mut host);
    plugin.exit();
    let text = fs::read_to_string(&report).unwrap();
    let json: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(json["ended_by"], "stopped");
}

/// A second SIGTERM within `sigterm_wait`, SIGINT, the end that another plugin asked for.
#[test]
fn a_host_that_stops_before_a_drain_leaves_a_report() {
    for (terminated, trigger) in [(true, "sigterm".into()), (false, serde_json::Value::Null)] {
        let dir = tempfile::tempdir().unwrap();
        let report = dir.path().join("report");
        let options = [
            ("report_file", report.to_str().unwrap()),
            ("sigterm_wait", "auto"),
        ];
        let mut host = sigterm_host(DrainState::Idle);
        let mut plugin = start(&mut host, &options).unwrap();
        plugin.tick_at(SECOND, &mut host);
        host.terminated = terminated.then_some(Duration::ZERO);
        plugin.tick_at(SECOND * 2, &mut host);
        host.stopping = true;
        plugin.tick_at(SECOND * 2 + CompletionExit::TICK, &mut host);
        // Nothing is left that can be seen, which proves nothing.
        host.inputs[0].drain = None;
        plugin.tick_at(SECOND * 3, &mut host);
        plugin.exit();
        assert!(host.drains.is_empty() && host.exits.is_empty());
        let text = fs::read_to_string(&report).unwrap();
        let json: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(
            (&json["ended_by"], &json["trigger"]),
            (&"stopped".into(), &trigger)
        );
        assert_ne!(json["complete"], true);
    }
}

#[test]
fn a_host_that_is_about_to_stop_is_not_told_to_end() {
    let mut host = host(DrainState::Drained);
    host.about_to_stop = true;
    let options = [("time_count", "5"), ("exit_code", "7"), ("deadline", "10")];
    let mut plugin = start(&mut host, &options).unwrap();
    let mut tick = |host: &mut FakeHost, seconds| {
        for n in 0..100 {
            plugin.tick_at(SECOND * seconds + CompletionExit::TICK * n, host);
        }
    };
    tick(&mut host, 5);
    tick(&mut host, 7);
    assert!(host.exits.is_empty());
    // The reload has failed.
    host.about_to_stop = false;
    tick(&mut host, 9);
    assert_eq!(host.exits, [7]);
}

#[test]
fn a_host_that_stops_instead_of_our_exit_stops_by_the_deadline() {
    let mut host = host(DrainState::Drained);
    host.about_to_stop = true;
    let options = [("time_count", "5"), ("deadline", "10")];
    let mut plugin = start(&mut host, &options).unwrap();
    for n in 0..100 {
        plugin.tick_at(SECOND * 5 + CompletionExit::TICK * n, &mut host);
    }
    host.stopping = true;
    plugin.tick_at(SECOND * 8, &mut host);
    plugin.tick_at(SECOND * 14, &mut host);
    assert!(host.graces.is_empty());
    plugin.tick_at(SECOND * 15, &mut host);
    plugin.tick_at(SECOND * 16, &mut host);
    assert_eq!(host.graces, [SECOND]);
    assert!(host.exits.is_empty());
}

#[test]
fn a_host_that_stops_in_a_drain_stops_by_the_deadline() {
    let mut host = host(DrainState::Draining);
    let options = [("time_count", "5"), ("deadline", "10")];
    let mut plugin = start(&mut host, &options).unwrap();
    plugin.tick_at(SECOND * 5, &mut host);
    host.stopping = true;
    for second in 6..15 {
        plugin.tick_at(SECOND * second, &mut host);
    }
    assert!(host.graces.is_empty());
    for second in 15..20 {
        plugin.tick_at(SECOND * second, &mut host);
    }
    assert_eq!(host.graces, [LAST_GRACE]);
    assert!(host.exits.is_empty());
    plugin.exit();
}

#[test]
fn a_trigger_or_sigterm_bounds_a_stop_that_began_before() {
    for (options, terminated, by) in [
        (vec![("time_count", "5"), ("deadline", "10")], None, 15),
        (vec![("deadline", "7")], Some(Duration::ZERO), 12),
        (
            vec![("time_count", "5"), ("deadline", "10")],
            Some(SECOND * 4),
            11,
        ),
    ] {
        let mut host = sigterm_host(DrainState::Idle);
        let mut plugin = start(&mut host, &options).unwrap();
        plugin.tick_at(Duration::ZERO, &mut host);
        host.stopping = true;
        plugin.tick_at(SECOND, &mut host);
        host.terminated = terminated;
        for second in 5..by {
            plugin.tick_at(SECOND * second, &mut host);
        }
        assert!(host.graces.is_empty(), "{options:?}");
        plugin.tick_at(SECOND * by, &mut host);
        assert_eq!(host.graces, [LAST_GRACE], "{options:?}");
        assert!(host.drains.is_empty() && host.exits.is_empty());
        plugin.exit();
    }
}

#[test]
fn a_stop_that_waits_for_stored_chunks_alone_is_ended() {
    let ticks = |host: &mut FakeHost, from: u32, to: u32, plugin: &mut CompletionExit| {
        for tick in from * 50..to * 50 {
            plugin.tick_at(CompletionExit::TICK * tick, host);
        }
    };
    let mut host = host(DrainState::Draining);
    let options = [("time_count", "5"), ("deadline", "100")];
    let mut plugin = start(&mut host, &options).unwrap();
    ticks(&mut host, 5, 6, &mut plugin);
    host.stopping = true;
    host.chunks = Some((0, 3));
    host.tasks = Some(1);
    ticks(&mut host, 6, 20, &mut plugin);
    assert!(host.graces.is_empty(), "something is being delivered");
    host.tasks = Some(0);
    ticks(&mut host, 20, 22, &mut plugin);
    assert!(host.graces.is_empty(), "the next round may deliver");
    ticks(&mut host, 22, 30, &mut plugin);
    assert_eq!(host.graces, [LAST_GRACE]);
    plugin.exit();
}
