use std::path::Path;

use flb_sidecar_tests::{each_real_host, say, Version};
use host_abi::debug_info;

use super::super::functions::NAMES;
use super::*;

/// The row whose releases have `version` among them.
fn row_of(version: Version) -> Option<&'static Generation> {
    let number = |release: &str| {
        let mut parts = release.split('.').map(|part| part.parse().ok());
        Some(Version(parts.next()??, parts.next()??, parts.next()??))
    };
    GENERATIONS.iter().find(|row| {
        let (first, last) = row
            .releases
            .split_once(" to ")
            .unwrap_or((row.releases, row.releases));
        number(first) <= Some(version) && Some(version) <= number(last)
    })
}

/// The table is only a cache: every row says what the debug information of its releases says.
#[test]
fn every_row_is_what_real_hosts_say_of_themselves() {
    each_real_host("rows of the table", |host| {
        let Some(row) = row_of(host.version) else {
            say(&format!("rows of the table: {host} has none"));
            return;
        };
        let folder = Path::new(debug_info::DEBUG_FOLDER);
        let facts = match debug_info::read(&host.program, folder, NAMES) {
            Ok(facts) => facts,
            Err(why) => {
                say(&format!("SKIPPED rows of the table: {host}: {why}"));
                return;
            }
        };
        let (found, _) = Layout::from_facts(&facts).unwrap();
        let traced = facts.structs["flb_input_instance"]
            .fields
            .contains_key("chunk_trace_ctxt");
        let differences = row.layout(InputShift::new(traced)).differences(&found);
        assert!(differences.is_empty(), "{host}: {differences:#?}");
    });
}

#[test]
fn offsets_shift_only_behind_the_mutex() {
    let traced = InputShift::new(true);
    let untraced = InputShift::new(false);
    let extra = traced.bytes;
    let plugin = |row: &Generation, shift| row.layout(shift).input.plugin;
    assert_eq!(plugin(&V1_9_3, untraced), Some(160));
    assert_eq!(plugin(&V5_1_0, traced), Some((224 + extra) as usize));
    assert_eq!(plugin(&V5_1_0, untraced), Some(224 - 48));
    let node = |row: &Generation, shift| row.layout(shift).input_chunk.node;
    assert_eq!(node(&V1_9_3, untraced), node(&V1_9_3, traced));
    assert_eq!(node(&V5_1_0, untraced), Places::at(&[96, 104, 112, 120]));
}
