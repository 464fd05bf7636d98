//! The row of the table for a new release, from the debug information of a host of it.

use std::collections::BTreeSet;
use std::ffi::CStr;
use std::fmt::Write as _;
use std::path::Path;

use host_abi::{debug_info, row, Facts, Layout};

use super::discover;
use super::functions::NAMES;
use super::generations::Behaviour;
use super::table::{Generation, InputShift, GENERATIONS};

/// A host, as it is needed to write its row.
#[derive(Debug)]
pub struct Release {
    /// 50200 is 5.2.0.
    number: u32,
    facts: Facts,
    exported: BTreeSet<String>,
}

/// What a row says.
#[derive(Debug)]
pub(super) struct Row {
    pub(super) layout: Layout,
    pub(super) behaviour: Behaviour,
}

/// "5.2.0" as 50200.
///
/// # Errors
/// It is no release.
pub fn number(release: &str) -> Result<u32, String> {
    let parts: Vec<u32> = release
        .split('.')
        .map_while(|part| part.parse().ok().filter(|part| *part < 100))
        .collect();
    match parts[..] {
        [major, minor, patch] => Ok(major * 10000 + minor * 100 + patch),
        _ => Err(format!("'{release}' is no release (5.2.0 would be one)")),
    }
}

/// The name of a release, with something between its numbers.
fn name(release: u32, between: &str) -> String {
    let (major, minor, patch) = (release / 10000, release / 100 % 100, release % 100);
    format!("{major}{between}{minor}{between}{patch}")
}

/// The first and the last release of a row.
fn range(row: &Generation) -> Result<(u32, u32), String> {
    let (first, last) = row
        .releases
        .split_once(" to ")
        .unwrap_or((row.releases, row.releases));
    Ok((number(first)?, number(last)?))
}

impl Release {
    /// Reads a host of this machine.
    ///
    /// # Errors
    /// It has no debug information, or that cannot be used.
    pub fn read(release: &str, host: &Path) -> Result<Self, String> {
        let folder = Path::new(debug_info::DEBUG_FOLDER);
        Ok(Release {
            number: number(release)?,
            facts: debug_info::read(host, folder, NAMES).map_err(|why| why.to_string())?,
            exported: debug_info::exported(host)?,
        })
    }

    /// What its row says, if `base` is the one before it.
    pub(super) fn after(&self, base: &Generation) -> Result<Row, String> {
        let (found, _) = Layout::from_facts(&self.facts)?;
        let has = |name: &CStr| self.exported.contains(&*name.to_string_lossy());
        let behaviour = discover::behaviour(&self.facts, &found, has);
        let traced = self
            .facts
            .structs
            .get("flb_input_instance")
            .is_some_and(|input| input.fields.contains_key("chunk_trace_ctxt"));
        let as_row = base.unshifted(found, InputShift::new(traced));
        Ok(Row {
            layout: base.layout.updated(&as_row),
            behaviour,
        })
    }

    /// What has to be written for it: where, and the text. `before` is the program of a release of
    /// the row before it, which tells the two apart where sizes do not.
    ///
    /// # Errors
    /// It cannot be told.
    pub fn describe(&self, before: Option<&Path>) -> Result<String, String> {
        let mut base = GENERATIONS.first().ok_or("the table is empty")?;
        for row in GENERATIONS {
            if range(row)?.0 <= self.number {
                base = row;
            }
        }
        let release = name(self.number, ".");
        let (first, last) = range(base)?;
        let row = self.after(base)?;
        let base_name = format!("V{}", name(first, "_"));
        let groups = row::groups(&base.layout, &base_name, &row.layout);
        let mut text = String::new();
        // Writing to a String does not fail, here and below.
        if groups.is_empty() && row.behaviour == base.behaviour {
            let last = name(last.max(self.number), ".");
            let _ = writeln!(
                text,
                "{release} is what {} are.\n\nsrc/abi/table.rs:\n    releases: \"{} to {last}\",",
                base.releases,
                name(first, "."),
            );
        } else {
            let markers = self.markers(&row.layout, before)?;
            text.push_str("src/abi/table.rs, and its name at the end of GENERATIONS:\n");
            text.push_str(&self.row(base, &base_name, &groups, row.behaviour, &markers));
            if let Some(marker) = &markers {
                let _ = writeln!(
                    text,
                    "and in {base_name}:\n    absent: &[c\"{marker}\"],\n\n\
                     src/abi/generations.rs, tests, HISTORY:\n    (c\"{marker}\", {}, u32::MAX),\n\n\
                     tests/host/api.c: {marker}, as those beside it",
                    self.number
                );
            }
            let layout = &row.layout;
            let _ = writeln!(
                text,
                "\nsrc/abi/generations.rs, tests, sizes_of, what changed of:\n    \
                 ({n}, {}) of inputs, ({n}, {}) of filters, ({n}, {}) of outputs\n\
                 the same in tests/host/generation.h: HOST_INPUT_SIZE, HOST_FILTER_SIZE, \
                 HOST_OUTPUT_SIZE\n\n\
                 tests/harness/src/host.rs, GENERATIONS, and LATEST in \
                 tests/harness/tests/refusals.rs:\n    Version({})",
                layout.input_plugin.bytes,
                layout.filter_plugin.bytes,
                layout.output_plugin.bytes,
                name(self.number, ", "),
                n = self.number,
            );
        }
        let _ = writeln!(
            text,
            "\nsrc/abi/generations.rs, tests, last_patch:\n    ({}, {}),\n\n\
             tests/host/generation.c, each that says other than the last one there for this machine:",
            self.number / 100,
            self.number % 100,
        );
        for (table, row) in row::test_host(self.number, &self.facts) {
            let _ = writeln!(text, "  {table}:\n    {row}");
        }
        Ok(text)
    }

    /// A function that tells this release from those of a row with the same sizes; `None`: it needs
    /// none.
    fn markers(&self, layout: &Layout, before: Option<&Path>) -> Result<Option<String>, String> {
        let measures = |row: &&Generation| {
            row.layout.input_plugin.bytes == layout.input_plugin.bytes
                && row.layout.filter_plugin.bytes == layout.filter_plugin.bytes
                && row.layout.output_plugin.bytes == layout.output_plugin.bytes
        };
        let Some(same) = GENERATIONS.iter().find(measures) else {
            return Ok(None);
        };
        let before = before.ok_or_else(|| {
            format!(
                "its structs measure what those of {} do, so a function has to tell them apart: name \
                 a host of the release before it as well",
                same.releases
            )
        })?;
        let older = debug_info::exported(before)?;
        let mut new = self.exported.difference(&older);
        let marker = new.find(|name| name.starts_with("flb_"));
        let marker =
            marker.ok_or_else(|| format!("it has no function that {} lacks", before.display()))?;
        Ok(Some(marker.clone()))
    }

    /// The row.
    fn row(
        &self,
        base: &Generation,
        base_name: &str,
        groups: &str,
        behaviour: Behaviour,
        marker: &Option<String>,
    ) -> String {
        let mut present: Vec<_> = base
            .present
            .iter()
            .map(|name| format!("c\"{}\"", name.to_string_lossy()))
            .collect();
        present.extend(marker.iter().map(|marker| format!("c\"{marker}\"")));
        let present = present.join(", ");
        let mut text = format!(
            "const V{}: Generation = Generation {{\n    releases: \"{}\",\n    \
             present: &[{present}],\n    absent: &[],\n",
            name(self.number, "_"),
            name(self.number, "."),
        );
        if !groups.is_empty() {
            text.push_str("    layout: Layout {\n");
            for line in groups.lines() {
                let _ = writeln!(text, "        {line}");
            }
            let _ = writeln!(text, "        ..{base_name}.layout\n    }},");
        }
        if behaviour != base.behaviour {
            let _ = writeln!(
                text,
                "    behaviour: Behaviour {{\n        \
                 filter_arguments: FilterArguments::{:?},\n        \
                 append: AppendCall::{:?},\n        \
                 record_format: RecordFormat::{:?},\n        \
                 keeps_chunks: {},\n        reload_is_flagged: {},\n        \
                 counts_evictions: {},\n        threaded_inputs: {},\n    }},",
                behaviour.filter_arguments,
                behaviour.append,
                behaviour.record_format,
                behaviour.keeps_chunks,
                behaviour.reload_is_flagged,
                behaviour.counts_evictions,
                behaviour.threaded_inputs,
            );
        }
        let _ = writeln!(text, "    ..{base_name}\n}};");
        text
    }
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use flb_sidecar_tests::{each_real_host, say};

    use super::*;

    /// From a host and the row before its own comes its own row; from its own, that nothing changed.
    #[test]
    fn the_row_of_every_real_host_is_written_as_it_stands_in_the_table() {
        let test_host = include_str!("../../tests/host/generation.c");
        each_real_host("rows that are written", |host| {
            let version = host.version;
            let release = format!("{}.{}.{}", version.0, version.1, version.2);
            let number = number(&release).unwrap();
            let own = GENERATIONS.iter().position(|row| {
                let (first, last) = range(row).unwrap();
                (first..=last).contains(&number)
            });
            let Some(own) = own else {
                return say(&format!("rows that are written: {host} has none"));
            };
            let read = match Release::read(&release, &host.program) {
                Ok(read) => read,
                Err(why) => return say(&format!("SKIPPED rows that are written: {host}: {why}")),
            };
            let row = &GENERATIONS[own];
            let before = &GENERATIONS[own.saturating_sub(1)];
            let written = read.after(before).unwrap();
            assert_eq!(written.behaviour, row.behaviour, "{host}");
            let differences = row.layout.differences(&written.layout);
            assert!(differences.is_empty(), "{host}: {differences:#?}");
            assert_eq!(
                row.layout.updated(&written.layout),
                row.layout,
                "{host}: sizes"
            );
            let text = read.describe(None).unwrap();
            let unchanged = format!("{release} is what {} are.", row.releases);
            assert!(text.starts_with(&unchanged), "{host}: {text}");
            for (table, row) in row::test_host(number, &read.facts) {
                let numbers = row.split_once(", ").unwrap().1;
                if test_host.contains(numbers) {
                    continue;
                }
                // Whose builder left WASM out has a shorter configuration than the official one.
                let help = Command::new(&host.program).arg("--help").output().unwrap();
                let help = String::from_utf8_lossy(&help.stdout).to_lowercase();
                assert!(
                    table == "config_rows" && number >= 20_000 && !help.contains("wasm"),
                    "{host}: tests/host/generation.c, {table}: {row}"
                );
                say(&format!(
                    "SKIPPED sizes of the configuration: {host} has no WASM"
                ));
            }
        });
    }

    /// A host with a row that is no other's: its text is Rust that says what changed, and no more.
    #[test]
    fn a_row_says_what_changed() {
        let base = GENERATIONS.last().unwrap();
        let mut layout = base.layout;
        layout.input_plugin.bytes += 8;
        layout.input_plugin.cb_exit += 8;
        layout.input.tag = layout.input.tag.map(|at| at + 8);
        let groups = row::groups(&base.layout, "V5_1_0", &layout);
        assert_eq!(
            groups,
            "input_plugin: InputPlugin {\n    bytes: 240,\n    cb_exit: 152,\n    \
             ..V5_1_0.layout.input_plugin\n},\ninput: InputInstance {\n    tag: Some(240),\n    \
             ..V5_1_0.layout.input\n},\n"
        );
    }

    /// Every release that a text names.
    fn releases(text: &str) -> Vec<u32> {
        text.split(|c: char| !c.is_ascii_digit() && c != '.')
            .filter_map(|word| number(word.trim_matches('.')).ok())
            .collect()
    }

    /// The page of hosts against the table: what it calls known has a row that names it, and what it
    /// calls not available has none.
    #[test]
    fn the_page_of_hosts_says_what_the_table_says() {
        let page = include_str!("../../include/HOSTS.md");
        let rows: Vec<_> = GENERATIONS.iter().map(|row| range(row).unwrap()).collect();
        let is_known = |release| {
            rows.iter()
                .any(|(first, last)| (*first..=*last).contains(&release))
        };
        let mut counts = [0, 0];
        for line in page.lines() {
            let mut cells = line.trim_matches('|').split('|');
            let (Some(hosts), Some(how), true) =
                (cells.next(), cells.next(), line.starts_with('|'))
            else {
                continue;
            };
            let available = !how.contains("not available");
            for release in releases(hosts) {
                assert_eq!(is_known(release), available, "{line}");
                counts[usize::from(available)] += 1;
            }
        }
        assert!(counts[0] >= 3 && counts[1] >= 12, "{counts:?}");
        // What the first page promises is the whole table.
        let first = name(rows.first().unwrap().0, ".");
        let last = name(rows.last().unwrap().1, ".");
        let promise = format!("{first} to {last}");
        for page in [
            include_str!("../../README.md"),
            include_str!("../../CHANGELOG.md"),
        ] {
            assert!(page.contains(&promise), "{promise}");
        }
        // Every way to know a host, as the page names it.
        for way in ["table", "debug information", "file"] {
            assert!(page.contains(&format!("| {way}")), "{way}");
        }
        let allowed = format!("{}={}", discover::VARIABLE, discover::DISCOVER);
        assert!(page.contains(&allowed), "{allowed}");
    }

    #[test]
    fn releases_are_numbers() {
        assert_eq!(number("5.2.0"), Ok(50200));
        for wrong in ["", "5.2", "5.2.x", "5.2.0.1", "5.200.0"] {
            assert!(number(wrong).is_err(), "{wrong}");
        }
        assert_eq!(name(50201, "_"), "5_2_1");
    }
}
