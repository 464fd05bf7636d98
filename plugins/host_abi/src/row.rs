//! The next row of the table, and those of the C test host, as source text.

use std::fmt::Write as _;

use crate::facts::Facts;
use crate::layout::{Layout, WANTED};

/// What the C test host has to know: its rows in `tests/host/generation.c`, the struct, its fields in
/// their order.
const TEST_HOST: &[(&str, &str, &[&str])] = &[
    (
        "input_plugin_rows",
        "flb_input_plugin",
        &[
            "flags",
            "name",
            "description",
            "config_map",
            "cb_init",
            "cb_pre_run",
            "cb_collect",
            "cb_pause",
            "cb_resume",
            "cb_pause_checked",
            "cb_resume_checked",
            "cb_exit",
            "cb_destroy",
            "_head",
        ],
    ),
    (
        "filter_plugin_rows",
        "flb_filter_plugin",
        &[
            "name",
            "description",
            "config_map",
            "cb_pre_run",
            "cb_init",
            "cb_filter",
            "cb_exit",
            "_head",
        ],
    ),
    (
        "output_plugin_rows",
        "flb_output_plugin",
        &[
            "name",
            "description",
            "config_map",
            "cb_init",
            "cb_pre_run",
            "cb_flush",
            "cb_exit",
            "cb_destroy",
            "workers",
            "_head",
        ],
    ),
    (
        "config_map_rows",
        "flb_config_map",
        &["type", "name", "def_value", "flags", "set_property", "desc"],
    ),
    (
        "event_chunk_rows",
        "flb_event_chunk",
        &["type", "tag", "data", "size", "total_events"],
    ),
    (
        "input_instance_rows",
        "flb_input_instance",
        &[
            "id",
            "flags",
            "log_level",
            "name",
            "alias",
            "context",
            "p",
            "tag",
            "tag_len",
            "mem_chunks_size",
            "mem_buf_limit",
            "mem_buf_status",
            "storage_buf_status",
            "_head",
            "properties",
            "collectors",
            "chunks",
            "tasks",
            "is_threaded",
            "cmt",
            "config",
        ],
    ),
    ("filter_instance_rows", "flb_filter_instance", INSTANCE),
    ("output_instance_rows", "flb_output_instance", INSTANCE),
    (
        "config_rows",
        "flb_config",
        &[
            "is_running",
            "is_ingestion_active",
            "is_shutting_down",
            "flush",
            "grace",
            "exit_status_code",
            "evl",
            "sched",
            "in_plugins",
            "filter_plugins",
            "out_plugins",
            "inputs",
            "filters",
            "outputs",
        ],
    ),
];
const INSTANCE: &[&str] = &[
    "id",
    "log_level",
    "name",
    "alias",
    "context",
    "p",
    "match",
    "_head",
    "properties",
    "cmt",
    "config",
];

/// The groups of `row` that say something else than `base`, as they stand in a row after the one that
/// is called `base_name`; empty if there are none.
pub fn groups(base: &Layout, base_name: &str, row: &Layout) -> String {
    let mut text = String::new();
    let (before, after) = (base.values(), row.values());
    for group in WANTED {
        let of_group = |(name, _, _): &&(&str, &str, String)| *name == group.group;
        let fields: Vec<_> = after.iter().filter(of_group).collect();
        let changed: Vec<_> = before
            .iter()
            .filter(of_group)
            .zip(&fields)
            .filter(|(before, after)| before.2 != after.2)
            .map(|(_, after)| *after)
            .collect();
        if changed.is_empty() {
            continue;
        }
        // Writing to a String does not fail, here and below.
        let _ = writeln!(text, "{}: {} {{", group.group, group.row_type);
        for (_, field, value) in &changed {
            let _ = writeln!(text, "    {field}: {value},");
        }
        if changed.len() < fields.len() {
            let _ = writeln!(text, "    ..{base_name}.layout.{}", group.group);
        }
        text.push_str("},\n");
    }
    text
}

/// The rows of the C test host for a release (50200 is 5.2.0): name of the table, and its row.
pub fn test_host(release: u32, facts: &Facts) -> Vec<(&'static str, String)> {
    let row = |(table, name, fields): &(&'static str, &str, &[&str])| {
        let layout = facts.structs.get(*name)?;
        let mut text = format!("{{{release}, {}", layout.bytes);
        for field in *fields {
            let _ = match layout.fields.get(*field) {
                Some(found) => write!(text, ", {}", found.offset),
                None => write!(text, ", -1"),
            };
        }
        text.push_str("},");
        Some((*table, text))
    };
    TEST_HOST.iter().filter_map(row).collect()
}
