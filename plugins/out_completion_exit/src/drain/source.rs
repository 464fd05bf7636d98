//! What is known of the host's own inputs: how long each must be quiet until it is drained.
//!
//! Intervals are those of Fluent Bit's sources: `tail` looks at renamed and deleted files every
//! 2.5 s, the ring of a `threaded` input is emptied every 0.25 s, the filter `multiline` holds a
//! message for 2 s and its parsers for 4 s, `storage_backlog` loads chunks every second.

use std::time::Duration;

use flb_sidecar_sdk::drain::MOST_IN_EMITTERS;
use flb_sidecar_sdk::InputInfo;

/// Two rounds of a threaded input's ring, and some.
const RING: Duration = Duration::from_millis(600);
/// An emitter that only queues: 25 ms, with a ring 1 s.
const EMITTER: Duration = Duration::from_millis(1100);
/// An emitter behind a multiline buffer. `sidecar_tail` relies on as much, see `src/holdings.rs`.
const MULTILINE: Duration = Duration::from_millis(4500);
/// Two rounds of the loader of stored chunks.
const BACKLOG: Duration = Duration::from_millis(2500);
/// Two check intervals of a stock `tail`; taken for every other input as well.
const STOCK: Duration = Duration::from_secs(5);
/// The host does not show an input's chunks: a flush and its delivery must have had time.
const BLIND: Duration = Duration::from_millis(1500);

/// Inputs that make records for as long as they run. Waiting for their silence is pointless.
const ENDLESS: &[&str] = &[
    "cpu",
    "disk",
    "docker",
    "dummy",
    "exec",
    "fluentbit_logs",
    "fluentbit_metrics",
    "gpu_metrics",
    "head",
    "health",
    "mem",
    "netif",
    "nginx_metrics",
    "node_exporter_metrics",
    "podman_metrics",
    "proc",
    "process_exporter_metrics",
    "prometheus_scrape",
    "prometheus_textfile",
    "random",
    "thermal",
];

/// Whether silence of this input means nothing.
pub(crate) fn is_endless(input: &InputInfo) -> bool {
    ENDLESS.contains(&input.plugin.as_str())
}

/// How long nothing may come until all `inputs` are drained. `configured` replaces what is
/// guessed for inputs of the host.
pub(crate) fn quiet_window(
    inputs: &[InputInfo],
    storage_known: bool,
    configured: Option<Duration>,
) -> Duration {
    let windows = inputs
        .iter()
        .map(|input| window(input, storage_known, configured));
    let longest = windows.max().unwrap_or(configured.unwrap_or(STOCK));
    // Records may go from an input through one emitter after the other, and be seen in none of them: whoever
    // waits for their delivery waits for that as well.
    let (emitters, others): (Vec<_>, Vec<_>) = inputs.iter().partition(|input| is_emitter(input));
    let way = others.iter().map(|input| passage(input)).max();
    let through: Duration = emitters.iter().map(|input| emitter_window(input)).sum();
    match configured {
        Some(_) => longest,
        None => longest.max(way.unwrap_or_default() + through.min(MOST_IN_EMITTERS)),
    }
}

fn window(input: &InputInfo, storage_known: bool, configured: Option<Duration>) -> Duration {
    let own = if input.drain.is_some() || is_endless(input) {
        Duration::ZERO
    } else if input.plugin == "storage_backlog" {
        if storage_known {
            Duration::ZERO
        } else {
            BACKLOG
        }
    } else if let Some(configured) = configured {
        configured
    } else if is_emitter(input) {
        emitter_window(input)
    } else {
        STOCK
    };
    own.max(passage(input))
}

/// How long what an input has passed on may be nowhere to be seen.
fn passage(input: &InputInfo) -> Duration {
    let ring = if input.threaded { RING } else { Duration::ZERO };
    let blind = if input.pending.is_none() {
        BLIND
    } else {
        Duration::ZERO
    };
    ring.max(blind)
}

/// How long a filter may keep what it gives to its emitter.
fn emitter_window(input: &InputInfo) -> Duration {
    // A filter with an alias gives its emitter that name, so only the default name is proof.
    if input.name.starts_with("emitter_for_rewrite_tag") {
        EMITTER
    } else {
        MULTILINE
    }
}

fn is_emitter(input: &InputInfo) -> bool {
    input.plugin == "emitter" || (input.plugin.is_empty() && input.name.starts_with("emitter_for_"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use flb_sidecar_sdk::drain::DrainStatus;
    use flb_sidecar_sdk::Pending;

    fn input(plugin: &str, name: &str) -> InputInfo {
        InputInfo {
            name: name.to_owned(),
            plugin: plugin.to_owned(),
            pending: Some(Pending::default()),
            ..InputInfo::default()
        }
    }

    fn own(plugin: &str, name: &str) -> Duration {
        window(&input(plugin, name), true, None)
    }

    #[test]
    fn an_input_that_answers_needs_no_silence() {
        let mut tail = input("sidecar_tail", "sidecar_tail.0");
        tail.drain = Some(DrainStatus::default());
        assert_eq!(window(&tail, true, Some(STOCK)), Duration::ZERO);
        tail.threaded = true;
        assert_eq!(window(&tail, true, None), RING);
        tail.pending = None;
        assert_eq!(window(&tail, true, None), BLIND);
    }

    #[test]
    fn the_longest_window_counts() {
        let inputs = [input("cpu", "cpu.0"), input("tail", "tail.0")];
        assert_eq!(quiet_window(&inputs, true, None), STOCK);
        assert_eq!(quiet_window(&inputs[..1], true, None), Duration::ZERO);
        assert_eq!(quiet_window(&[], true, None), STOCK);
        let second = Duration::from_secs(1);
        assert_eq!(quiet_window(&inputs, true, Some(second)), second);
    }

    #[test]
    fn records_may_go_through_one_emitter_after_the_other() {
        let mut tail = input("sidecar_tail", "sidecar_tail.0");
        tail.drain = Some(DrainStatus::default());
        let rewrite = input("emitter", "emitter_for_rewrite_tag.1");
        let multiline = input("emitter", "emitter_for_multiline.2");
        let mut inputs = vec![tail, rewrite, multiline];
        assert_eq!(quiet_window(&inputs, true, None), EMITTER + MULTILINE);
        inputs[0].threaded = true;
        assert_eq!(
            quiet_window(&inputs, true, None),
            RING + EMITTER + MULTILINE
        );
        let second = Duration::from_secs(1);
        assert_eq!(quiet_window(&inputs, true, Some(second)), second);
        inputs.push(input("tail", "tail.3"));
        assert_eq!(
            quiet_window(&inputs, true, None),
            RING + EMITTER + MULTILINE
        );
        assert_eq!(quiet_window(&inputs[3..], true, None), STOCK);
        // Most of many are of `rewrite_tag`, whatever their names.
        inputs.extend(vec![input("emitter", "re_emitted"); 9]);
        assert_eq!(quiet_window(&inputs, true, None), RING + MOST_IN_EMITTERS);
    }

    #[test]
    fn an_emitter_of_unknown_origin_may_hold_a_multiline_buffer() {
        assert_eq!(own("emitter", "emitter_for_rewrite_tag.0"), EMITTER);
        assert_eq!(own("emitter", "emitter_for_multiline.0"), MULTILINE);
        assert_eq!(own("emitter", "emitter_for_my_alias"), MULTILINE);
        assert_eq!(own("emitter", "re_emitted"), MULTILINE);
        assert_eq!(own("", "emitter_for_multiline.0"), MULTILINE);
    }

    #[test]
    fn stored_chunks_are_counted_where_the_host_tells_and_awaited_where_not() {
        let backlog = input("storage_backlog", "storage_backlog.1");
        assert_eq!(window(&backlog, true, None), Duration::ZERO);
        assert_eq!(window(&backlog, false, None), BACKLOG);
    }
}
