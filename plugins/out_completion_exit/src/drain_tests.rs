use super::*;
use flb_sidecar_sdk::drain::DrainStatus;
use flb_sidecar_sdk::Pending;
use proptest::prelude::*;

const TICK: Duration = Duration::from_millis(20);
const DEADLINE: Duration = Duration::from_secs(30);

fn tail(state: DrainState, chunks: usize, tasks: usize) -> InputInfo {
    InputInfo {
        name: "sidecar_tail.0".to_owned(),
        plugin: "sidecar_tail".to_owned(),
        pending: Some(Pending { chunks, tasks }),
        drain: Some(DrainStatus {
            state,
            ..DrainStatus::default()
        }),
        ..InputInfo::default()
    }
}

fn stock(plugin: &str, chunks: usize) -> InputInfo {
    InputInfo {
        name: format!("{plugin}.1"),
        plugin: plugin.to_owned(),
        pending: Some(Pending { chunks, tasks: 0 }),
        ..InputInfo::default()
    }
}

fn facts(now: Duration, inputs: &[InputInfo]) -> Facts<'_> {
    Facts {
        now,
        inputs,
        tasks: Some(0),
        storage: Some((0, 0)),
        stopping: false,
    }
}

/// Ticks with the same facts until the machine exits.
fn run(machine: &mut Machine, from: Duration, inputs: &[InputInfo]) -> (Duration, End) {
    let mut now = from;
    loop {
        now += TICK;
        assert!(now < from + Duration::from_secs(600), "never ends");
        for action in machine.step(&facts(now, inputs)) {
            if let Action::Exit(end) = action {
                return (now - from, end);
            }
        }
    }
}

fn begun() -> Machine {
    let mut machine = Machine::new(None);
    machine.begin(Duration::ZERO, DEADLINE, Duration::ZERO);
    machine
}

#[test]
fn nothing_happens_before_the_trigger() {
    let mut machine = Machine::new(None);
    assert_eq!(machine.step(&facts(TICK, &[])), []);
}

#[test]
fn an_empty_backlog_takes_two_ticks() {
    let mut machine = begun();
    let inputs = [tail(DrainState::Drained, 0, 0)];
    let first = machine.step(&facts(TICK, &inputs));
    assert!(matches!(
        first[..],
        [Action::RequestDrain(_), Action::Flush]
    ));
    let second = machine.step(&facts(TICK * 2, &inputs));
    let [Action::Exit(end)] = second[..] else {
        panic!("{second:?}")
    };
    assert!(end.cause == Cause::Drained && end.left.is_nothing());
    assert_eq!(machine.step(&facts(TICK * 3, &inputs)), []);
}

#[test]
fn reading_gets_less_than_the_deadline_so_that_delivery_has_time() {
    let request = |deadline: u64| {
        let mut machine = Machine::new(None);
        machine.begin(
            Duration::ZERO,
            Duration::from_secs(deadline),
            Duration::ZERO,
        );
        match machine.step(&facts(Duration::ZERO, &[tail(DrainState::Idle, 0, 0)]))[..] {
            [Action::RequestDrain(time), Action::Flush] => time.as_secs(),
            ref other => panic!("{other:?}"),
        }
    };
    assert_eq!((request(30), request(10)), (25, 6));
}

#[test]
fn what_was_waited_is_no_time_for_delivery() {
    // SIGTERM came 5 s ago, and a log that never pauses was read since then.
    let mut machine = Machine::new(None);
    let now = Duration::from_millis(5000);
    machine.begin(now, now, now);
    let inputs = [];
    let first = machine.step(&facts(now, &inputs));
    assert_eq!(first[0], Action::RequestDrain(Duration::from_secs(1)));
}

#[test]
fn the_moment_all_is_read_is_flushed() {
    let mut machine = begun();
    machine.step(&facts(TICK, &[tail(DrainState::Draining, 0, 0)]));
    let inputs = [tail(DrainState::Draining, 1, 0)];
    assert_eq!(machine.step(&facts(TICK * 2, &inputs)), []);
    let inputs = [tail(DrainState::Drained, 1, 0)];
    assert_eq!(machine.step(&facts(TICK * 3, &inputs)), [Action::Flush]);
    assert_eq!(machine.step(&facts(TICK * 4, &inputs)), []);
    let later = TICK * 3 + FLUSH_EVERY;
    assert_eq!(machine.step(&facts(later, &inputs)), [Action::Flush]);
}

#[test]
fn each_kind_of_leftover_holds_the_exit_until_the_deadline() {
    let drained = tail(DrainState::Drained, 0, 0);
    let held = [
        ("reading", vec![tail(DrainState::Draining, 0, 0)], 0, (0, 0)),
        (
            "not yet asked",
            vec![tail(DrainState::Idle, 0, 0)],
            0,
            (0, 0),
        ),
        ("chunk", vec![tail(DrainState::Drained, 1, 0)], 0, (0, 0)),
        ("retry", vec![tail(DrainState::Drained, 0, 1)], 0, (0, 0)),
        ("task", vec![drained.clone()], 1, (0, 0)),
        ("chunk in memory", vec![drained.clone()], 0, (1, 0)),
        ("chunk on disk", vec![drained], 0, (0, 1)),
    ];
    for (name, inputs, tasks, storage) in held {
        let mut machine = begun();
        let mut now = Duration::ZERO;
        let end = loop {
            now += TICK;
            let tick = Facts {
                tasks: Some(tasks),
                storage: Some(storage),
                ..facts(now, &inputs)
            };
            let exit = machine
                .step(&tick)
                .into_iter()
                .find_map(|action| match action {
                    Action::Exit(end) => Some(end),
                    _ => None,
                });
            if let Some(end) = exit {
                break end;
            }
        };
        assert_eq!(now, DEADLINE, "{name}");
        assert!(
            end.cause == Cause::Deadline && !end.left.is_nothing(),
            "{name}: {end:?}"
        );
    }
}

#[test]
fn an_input_that_gave_up_ends_the_drain_and_is_counted() {
    let mut given_up = tail(DrainState::GaveUp, 0, 0);
    given_up.drain.as_mut().unwrap().unread_bytes = 77;
    let (took, end) = run(&mut begun(), Duration::ZERO, &[given_up]);
    assert!(took < Duration::from_secs(1));
    assert_eq!(end.cause, Cause::Drained);
    assert_eq!((end.left.inputs, end.left.unread_bytes), (1, 77));
}

#[test]
fn stock_inputs_must_be_quiet_and_endless_ones_need_not() {
    let drained = || tail(DrainState::Drained, 0, 0);
    let seconds = |inputs: &[InputInfo]| {
        let (took, end) = run(&mut begun(), Duration::ZERO, inputs);
        assert_eq!(end.cause, Cause::Drained);
        took.as_secs_f64()
    };
    assert!(seconds(&[drained(), stock("cpu", 0)]) < 0.1);
    assert!((5.0..5.1).contains(&seconds(&[drained(), stock("tail", 0)])));
    assert!((4.5..4.6).contains(&seconds(&[drained(), stock("emitter", 0)])));

    let mut machine = Machine::new(Some(Duration::from_secs(1)));
    machine.begin(Duration::ZERO, DEADLINE, Duration::ZERO);
    let (took, _) = run(&mut machine, Duration::ZERO, &[stock("tail", 0)]);
    assert!((1.0..1.1).contains(&took.as_secs_f64()), "{took:?}");
}

#[test]
fn a_record_on_its_way_starts_the_silence_again() {
    let mut machine = begun();
    machine.step(&facts(Duration::from_secs(3), &[stock("tail", 1)]));
    let (took, _) = run(&mut machine, Duration::from_secs(3), &[stock("tail", 0)]);
    assert!((5.0..5.1).contains(&took.as_secs_f64()), "{took:?}");
}

#[test]
fn a_later_trigger_may_only_shorten_the_drain() {
    let inputs = [tail(DrainState::Draining, 0, 0)];
    for (second, expected) in [(5, 6), (100, 30)] {
        let mut machine = begun();
        machine.step(&facts(Duration::from_secs(1), &inputs));
        machine.begin(
            Duration::from_secs(1),
            Duration::from_secs(second),
            Duration::ZERO,
        );
        let asked_again = machine
            .step(&facts(Duration::from_secs(1) + TICK, &inputs))
            .iter()
            .any(|action| matches!(action, Action::RequestDrain(_)));
        assert_eq!(asked_again, second == 5);
        let (took, _) = run(&mut machine, Duration::ZERO, &inputs);
        assert_eq!(took.as_secs(), expected);
    }
}

#[test]
fn an_engine_that_stops_by_itself_is_left_alone() {
    let mut machine = begun();
    let inputs = [tail(DrainState::Drained, 0, 0)];
    let tick = Facts {
        stopping: true,
        ..facts(TICK, &inputs)
    };
    let [Action::Report(end)] = machine.step(&tick)[..] else {
        panic!("no report")
    };
    assert_eq!(end.cause, Cause::Host);
    assert_eq!(machine.step(&facts(TICK * 2, &inputs)), []);
    assert_eq!(machine.phase(), Phase::Ended);
}

fn state() -> impl Strategy<Value = DrainState> {
    prop_oneof![
        1 => Just(DrainState::Idle),
        1 => Just(DrainState::Draining),
        3 => Just(DrainState::Drained),
        1 => Just(DrainState::GaveUp),
    ]
}

fn small() -> impl Strategy<Value = usize> {
    prop_oneof![3 => Just(0usize), 1 => 1usize..3]
}

fn input() -> impl Strategy<Value = InputInfo> {
    (
        prop::option::of(
            small()
                .prop_flat_map(|chunks| small().prop_map(move |tasks| Pending { chunks, tasks })),
        ),
        prop::option::of((state(), 0u64..3)),
        prop::sample::select(vec!["tail", "cpu", "emitter", "storage_backlog", ""]),
        any::<bool>(),
    )
        .prop_map(|(pending, drain, plugin, threaded)| InputInfo {
            name: "any.0".to_owned(),
            plugin: plugin.to_owned(),
            threaded,
            pending,
            drain: drain.map(|(state, records)| DrainStatus {
                state,
                records,
                ..DrainStatus::default()
            }),
        })
}

#[derive(Clone, Debug)]
struct Tick {
    step: Duration,
    inputs: Vec<InputInfo>,
    tasks: Option<usize>,
    storage: Option<(usize, usize)>,
    begin: Option<u64>,
}

fn tick() -> impl Strategy<Value = Tick> {
    (
        prop_oneof![5 => 1u64..60, 1 => 500u64..6000],
        prop::collection::vec(input(), 0..3),
        prop::option::of(small()),
        prop::option::of((small(), small())),
        prop_oneof![9 => Just(None), 1 => (0u64..30_000).prop_map(Some)],
    )
        .prop_map(|(step, inputs, tasks, storage, begin)| Tick {
            step: Duration::from_millis(step),
            inputs,
            tasks,
            storage,
            begin,
        })
}

/// What the machine must not leave: written without the machine's own helpers.
fn is_empty(tick: &Tick) -> bool {
    tick.tasks.unwrap_or(0) == 0
        && tick.storage.is_none_or(|(mem, fs)| mem + fs == 0)
        && tick.inputs.iter().all(|input| {
            input.pending.is_none_or(|p| p.chunks + p.tasks == 0)
                && input.drain.is_none_or(|drain| {
                    drain.state == DrainState::Drained || drain.state == DrainState::GaveUp
                })
        })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    /// Whatever the host says: no exit while something is pending before the deadline, an exit
    /// at the first tick at or behind the deadline at the latest, one exit, and nothing after it.
    #[test]
    fn exits_once_not_early_and_not_late(ticks in prop::collection::vec(tick(), 1..120)) {
        let mut machine = Machine::new(None);
        let mut now = Duration::ZERO;
        let mut deadline: Option<Duration> = None;
        let mut exited = false;
        let mut empty_ticks = 0;
        for tick in &ticks {
            now += tick.step;
            if let (Some(ms), false) = (tick.begin, exited) {
                machine.begin(now, Duration::from_millis(ms), Duration::ZERO);
                let end = now + Duration::from_millis(ms);
                deadline = Some(deadline.map_or(end, |deadline| deadline.min(end)));
            }
            let actions = machine.step(&Facts {
                now,
                inputs: &tick.inputs,
                tasks: tick.tasks,
                storage: tick.storage,
                stopping: false,
            });
            let exits = actions.iter().filter(|a| matches!(a, Action::Exit(_))).count();
            if exited || deadline.is_none() {
                prop_assert!(actions.is_empty(), "{actions:?}");
                continue;
            }
            empty_ticks = if is_empty(tick) { empty_ticks + 1 } else { 0 };
            let due = deadline.is_some_and(|deadline| now >= deadline);
            prop_assert!(exits <= 1);
            if exits == 1 {
                prop_assert!(due || empty_ticks >= SETTLED_TICKS);
                prop_assert_eq!(actions.len(), 1);
                exited = true;
            } else {
                prop_assert!(!due, "the deadline passed without an exit");
            }
        }
    }

    /// Once the host is empty for good, the exit comes within the longest window.
    #[test]
    fn an_empty_host_is_left_soon(ticks in prop::collection::vec(tick(), 0..30), plugin in "[a-z]*") {
        let mut machine = Machine::new(None);
        let mut now = Duration::ZERO;
        machine.begin(now, Duration::from_secs(1_000_000), Duration::ZERO);
        for tick in &ticks {
            now += tick.step;
            let over = machine.step(&Facts {
                now,
                inputs: &tick.inputs,
                tasks: tick.tasks,
                storage: tick.storage,
                stopping: false,
            }).iter().any(|action| matches!(action, Action::Exit(_)));
            if over {
                return Ok(());
            }
        }
        let inputs = [tail(DrainState::Drained, 0, 0), stock(&plugin, 0)];
        let (took, end) = run(&mut machine, now, &inputs);
        prop_assert!(took <= Duration::from_millis(5100), "{took:?}");
        prop_assert!(end.cause == Cause::Drained && end.left.is_nothing());
    }
}
