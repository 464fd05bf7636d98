use super::*;
use crate::drain::{Cause, Left};
use crate::trigger::Trigger;
use flb_sidecar_sdk::drain::{DrainState, DrainStatus};
use flb_sidecar_sdk::{Pending, Routed};
use proptest::prelude::*;

fn routed(kept: u64, evicted: u64, left: u64) -> Routed {
    Routed {
        kept,
        evicted,
        left,
    }
}

fn report() -> Report {
    Report {
        fired: vec![Fired {
            code: Some(3),
            ..Fired::new(Trigger::Flag, "/logs/flag is there")
        }],
        code: Some(3),
        status: Some(3),
        end: End {
            cause: Cause::Drained,
            left: Left::default(),
            took: Duration::from_millis(80),
        },
        waited: Duration::from_millis(12_345),
        inputs: vec![InputInfo {
            name: "sidecar_tail.0".to_owned(),
            pending: Some(Pending::default()),
            drain: Some(DrainStatus {
                state: DrainState::Drained,
                starting: false,
                files: 2,
                read_bytes: 100,
                unread_bytes: 0,
                missed_files: 0,
                records: 10,
            }),
            ..InputInfo::default()
        }],
        outputs: vec![OutputInfo {
            name: "http.0".to_owned(),
            plugin: "http".to_owned(),
            delivered_records: Some(10),
            retries: Some(2),
            dropped_records: Some(0),
            ..OutputInfo::default()
        }],
        followed: vec![(
            "sidecar_tail.0".to_owned(),
            InputAccount {
                kept: Some(10),
                outputs: vec![("http.0".to_owned(), routed(10, 0, 0))],
                ..InputAccount::default()
            },
        )],
        evicted: 0,
        lost_in_filters: None,
        lost_in_rings: 0,
        unfollowed: BTreeMap::new(),
        others: Others::Silent,
        files: vec![(
            "sidecar_tail.0".to_owned(),
            r#"[{"path":"/logs/a.log","read_bytes":100,"unread_bytes":0}]"#.to_owned(),
        )],
    }
}

#[test]
fn the_json_has_every_key() {
    assert_eq!(
        serde_json::from_str::<Value>(&report().json()).unwrap(),
        json!({
            "trigger": "flag_file",
            "reason": "flag_file: /logs/flag is there",
            "trigger_code": 3,
            "status": 3,
            "complete": true,
            "ended_by": "drained",
            "seconds": {"waited": 12.345, "drain": 0.08},
            "records": {"in": 10, "filtered": 0, "unwanted": 0, "out": 10, "dropped": 0, "left": 0},
            "retries": 2,
            "evicted_chunks": 0,
            "left": {"inputs": 0, "unread_bytes": 0, "missed_files": 0, "chunks": 0, "tasks": 0},
            "outputs": [{"name": "http.0", "in": 10, "out": 10, "dropped": 0, "left": 0}],
            "inputs": [{"name": "sidecar_tail.0", "files": 2, "read_bytes": 100,
                        "unread_bytes": 0, "records": 10,
                        "in": 10, "out": 10, "dropped": 0, "left": 0}],
            "files": [{"path": "/logs/a.log", "read_bytes": 100, "unread_bytes": 0}],
        })
    );
}

#[test]
fn what_was_thrown_away_or_could_not_be_read_is_a_loss() {
    let mut evicted = report();
    evicted.evicted = 3;
    assert!(evicted.has_loss());
    assert!(
        evicted.to_string().contains("3 chunks thrown away"),
        "{evicted}"
    );
    let mut missed = report();
    missed.end.left.missed_files = 1;
    assert!(missed.has_loss());
    assert!(
        missed.to_string().contains("1 files could not be read"),
        "{missed}"
    );
    let json: Value = serde_json::from_str(&missed.json()).unwrap();
    assert_eq!(json["complete"], false);
}

#[test]
fn the_summary_is_one_line_with_what_was_left() {
    let mut report = report();
    assert_eq!(
        report.to_string(),
        "drained after 80 ms (flag_file: /logs/flag is there): 2 files, 100 bytes and 10 records \
         read, nothing left; exit status 3"
    );
    report.end.cause = Cause::Deadline;
    report.end.left = Left {
        inputs: 1,
        unread_bytes: 5,
        missed_files: 0,
        chunks: 2,
        tasks: 1,
        unseen: false,
    };
    assert_eq!(
        report.to_string(),
        "deadline after 80 ms (flag_file: /logs/flag is there): 2 files, 100 bytes and 10 records \
         read; left: 1 inputs not read out, 5 bytes unread, 2 chunks and 1 tasks undelivered; \
         exit status 3"
    );
}

#[test]
fn what_the_host_threw_away_without_a_word_is_in_the_account() {
    let mut report = report();
    report.outputs[0].delivered_records = Some(4);
    let (_, account) = &mut report.followed[0];
    account.lost = 5;
    account.left = 1;
    account.evicted_chunks = 1;
    account.outputs[0].1 = routed(10, 5, 1);
    assert!(report.has_loss());
    let json: Value = serde_json::from_str(&report.json()).unwrap();
    assert_eq!(
        json["records"],
        json!({"in": 10, "filtered": 0, "unwanted": 0, "out": 4, "dropped": 5, "left": 1})
    );
    assert_eq!(
        json["outputs"],
        json!([{"name": "http.0", "in": 10, "out": 4, "dropped": 5, "left": 1}])
    );
    assert_eq!(json["evicted_chunks"], 1);
    assert_eq!(json["inputs"][0]["out"], 4);
}

/// Nobody counted them, no chunk has them, nothing threw them away.
#[test]
fn a_sum_that_does_not_close_is_a_loss() {
    let mut report = report();
    report.outputs[0].delivered_records = Some(8);
    assert!(report.has_loss());
    assert!(
        report
            .to_string()
            .contains("2 of them gone without a trace"),
        "{report}"
    );
    let json: Value = serde_json::from_str(&report.json()).unwrap();
    assert_eq!(
        (&json["complete"], &json["records"]["dropped"]),
        (&json!(false), &json!(2))
    );
}

/// A full emitter of `rewrite_tag`: what it did not take is gone, or has a tag that nobody wants.
#[test]
fn what_an_emitter_turned_back_is_a_loss_or_not_known() {
    let mut report = report();
    report.followed[0].1.unwanted = 3;
    assert_eq!(report.complete(), Some(true));
    assert!(report
        .to_string()
        .contains(", 3 records that no output wants"));
    report.lost_in_filters = Some(0);
    assert_eq!((report.complete(), report.has_loss()), (None, false));
    report.lost_in_filters = Some(2);
    assert_eq!((report.complete(), report.has_loss()), (Some(false), true));
    assert_eq!(report.dropped(), Some(2));
}

#[test]
fn what_an_output_dropped_is_a_loss() {
    let mut report = report();
    assert!(!report.has_loss());
    report.outputs = vec![
        OutputInfo::default(),
        OutputInfo {
            dropped_records: Some(4),
            delivered_records: Some(6),
            retries: Some(1),
            ..OutputInfo::default()
        },
        // It has a Match, and delivers nothing.
        OutputInfo {
            plugin: "completion_exit".to_owned(),
            delivered_records: Some(10),
            ..OutputInfo::default()
        },
    ];
    assert!(report.has_loss());
    assert!(report.to_string().contains(", 4 records dropped"));
    let json: Value = serde_json::from_str(&report.json()).unwrap();
    assert_eq!(
        json["records"],
        json!({"in": 10, "filtered": 0, "unwanted": 0, "out": 6, "dropped": 4, "left": 0})
    );
    assert_eq!(
        (&json["retries"], &json["complete"]),
        (&json!(1), &json!(false))
    );
}

#[test]
fn what_the_host_does_not_tell_is_never_complete() {
    let complete = |report: &Report| -> Value {
        let json: Value = serde_json::from_str(&report.json()).unwrap();
        json["complete"].clone()
    };
    let mut blind = report();
    blind.outputs[0].dropped_records = None;
    // What one output tells does not speak for another.
    blind.outputs.push(report().outputs.remove(0));
    let mut mute = report();
    mute.outputs.clear();
    for report in [blind, mute] {
        assert!(!report.has_loss());
        assert_eq!(complete(&report), Value::Null);
        let text = report.to_string();
        assert!(text.contains("drops unknown, nothing left"), "{text}");
    }
    let mut unseen = report();
    unseen.end.left.unseen = true;
    assert_eq!(complete(&unseen), Value::Null);
    assert!(unseen.to_string().contains("as far as the host shows"));
    unseen.end.left.chunks = 1;
    assert_eq!(complete(&unseen), Value::Bool(false));
    // This plugin delivers nothing, so what it drops is nobody's loss.
    let mut own = report();
    own.outputs.push(OutputInfo {
        plugin: "completion_exit".to_owned(),
        ..OutputInfo::default()
    });
    assert_eq!(complete(&own), Value::Bool(true));
}

#[test]
fn unread_files_come_first_and_the_rest_is_counted() {
    let mut report = report();
    let files: Vec<Value> = (0..500)
        .map(|n| json!({"path": format!("/logs/{n}.log"), "read_bytes": 1, "unread_bytes": n % 2}))
        .collect();
    report.files = vec![("x".to_owned(), Value::Array(files).to_string())];
    let text = report.json();
    assert!(
        (MAX_BYTES - 200..=MAX_BYTES).contains(&text.len()),
        "{}",
        text.len()
    );
    let json: Value = serde_json::from_str(&text).unwrap();
    let kept = json["files"].as_array().unwrap();
    assert_eq!(kept[0]["unread_bytes"], 1);
    assert_eq!(json["files_omitted"], 500 - kept.len());
}

proptest! {
    #[test]
    fn the_report_always_fits(
        reason in "\\PC{0,2000}",
        control in "[\u{0}-\u{1f}]{0,400}",
        paths in prop::collection::vec("[\u{0}-\u{ff}]{0,600}", 0..40),
        names in prop::collection::vec("\\PC{0,200}", 0..40),
    ) {
        let mut report = report();
        report.fired = vec![
            Fired::new(Trigger::Flag, reason),
            Fired::new(Trigger::Idle, control),
        ];
        let files: Vec<Value> = paths.iter().map(|path| json!({"path": path})).collect();
        report.files = vec![
            ("x".to_owned(), Value::Array(files).to_string()),
            ("y".to_owned(), "not json".to_owned()),
        ];
        report.inputs = names
            .iter()
            .map(|name| InputInfo { name: name.clone(), ..InputInfo::default() })
            .collect();
        let text = report.json();
        prop_assert!(text.len() <= MAX_BYTES, "{}", text.len());
        prop_assert!(serde_json::from_str::<Value>(&text).is_ok());
        prop_assert!(!report.to_string().contains('\n'));
    }
}

/// A host whose insides have moved: `records.in` was 0 beside 1100 delivered ones.
#[test]
fn what_an_input_that_is_not_found_has_read_is_not_known() {
    for plugin in ["sidecar_tail", "", "tail"] {
        let mut report = report();
        report.followed.clear();
        report.inputs[0].drain = None;
        report.inputs[0].plugin = plugin.to_owned();
        let json: Value = serde_json::from_str(&report.json()).unwrap();
        let is_known = plugin == "tail";
        for value in [
            &json["records"]["in"],
            &json["left"]["unread_bytes"],
            &json["left"]["missed_files"],
            &json["complete"],
        ] {
            assert_eq!(value.is_null(), !is_known, "{plugin}: {json}");
        }
        let line = report.to_string();
        assert_eq!(line.contains("what was read is not known"), !is_known);
        assert_eq!(line.contains("0 records read"), is_known, "{line}");
    }
}
