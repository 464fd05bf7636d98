//! How a running host is matched to a row of the table of generations.

use std::ffi::CStr;
use std::fmt;

use flb_sidecar_sdk::event::RecordFormat;

use super::table::{Generation, GENERATIONS};

/// Sizes in bytes of the host's own registration structs, as its symbol table has them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sizes {
    /// `struct flb_input_plugin`
    pub input: u64,
    /// `struct flb_filter_plugin`
    pub filter: u64,
    /// `struct flb_output_plugin`
    pub output: u64,
}

impl fmt::Display for Sizes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Sizes {
            input,
            filter,
            output,
        } = self;
        write!(f, "input {input}, filter {filter}, output {output} bytes")
    }
}

/// How many arguments the filter callback gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FilterArguments {
    /// Without the input instance.
    Nine,
    /// With it.
    Ten,
}

/// Which family of append functions the host has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AppendCall {
    /// `flb_input_chunk_append_raw2`, with the number of records; else `flb_input_chunk_append_raw`,
    /// five arguments, where the host unpacks all of it to count them.
    ChunkRaw,
    /// `flb_input_log_append_records`, or `flb_input_log_append`.
    Log,
}

/// How a host behaves where no layout shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Behaviour {
    /// Filter callback.
    pub filter_arguments: FilterArguments,
    /// Append call.
    pub append: AppendCall,
    /// Header of the records that inputs write.
    pub record_format: RecordFormat,
    /// A killed host reads the chunks in its files again. 2.1.0 to 2.1.2 take their own header of
    /// records for damage.
    pub keeps_chunks: bool,
    /// The host says in `flb_bin_restarting` that it is reloading; before 2.2.0 its handler of SIGHUP
    /// does it all.
    pub reload_is_flagged: bool,
    /// What the host throws away for lack of room it counts as dropped; before 2.2.0 nowhere.
    pub counts_evictions: bool,
    /// The host takes `threaded` from any input's options; before, it is ours to accept.
    pub threaded_inputs: bool,
}

/// Symbol that 1.9.0 has and every older release has not.
const SINCE_1_9: &CStr = c"flb_output_flush_prepare_destroy";

/// What was seen of the running host.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// Size of each own input plugin that was found: its symbol and its bytes.
    pub inputs: Vec<(&'static str, u64)>,
    /// The same for filters.
    pub filters: Vec<(&'static str, u64)>,
    /// The same for outputs.
    pub outputs: Vec<(&'static str, u64)>,
}

/// Why the library does not register with this host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// None of the host's plugins are there: some other program.
    NotFluentBit,
    /// Older than 1.9.0.
    TooOld(Sizes),
    /// Some kinds of plugins were found and others not.
    Incomplete(Seen),
    /// The host's own plugins of one kind differ in size.
    Inconsistent(Seen),
    /// No generation has these sizes.
    UnknownSizes(Sizes),
    /// Generations with these sizes exist, but their symbols say otherwise.
    Contradiction {
        /// What was seen.
        sizes: Sizes,
        /// For each candidate: its releases and the symbol that speaks against it.
        candidates: Vec<(&'static str, String)>,
    },
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Refusal::NotFluentBit => f.write_str(
                "this program is not Fluent Bit: it exports none of in_dummy_plugin, \
                 filter_grep_plugin, out_null_plugin and their like (nor does a Fluent Bit that was linked \
                 with --no-export-dynamic)",
            ),
            Refusal::TooOld(sizes) => write!(
                f,
                "this Fluent Bit is older than 1.9.0 (seen: {sizes}; no {})",
                SINCE_1_9.to_string_lossy()
            ),
            Refusal::Incomplete(seen) => write!(
                f,
                "this Fluent Bit does not export all kinds of its own plugins (seen: {seen:?})"
            ),
            Refusal::Inconsistent(seen) => write!(
                f,
                "this Fluent Bit's own plugins differ in size, so its ABI is unclear (seen: {seen:?})"
            ),
            Refusal::UnknownSizes(sizes) => {
                let newest = GENERATIONS.last().map_or("none", |g| g.releases);
                write!(
                    f,
                    "this Fluent Bit has a plugin ABI that this library does not know (seen: \
                     {sizes}; the newest known is {newest})"
                )
            }
            Refusal::Contradiction { sizes, candidates } => {
                write!(
                    f,
                    "this Fluent Bit's struct sizes and functions do not agree (seen: {sizes}"
                )?;
                for (releases, why) in candidates {
                    write!(f, "; not {releases}: {why}")?;
                }
                f.write_str(")")
            }
        }
    }
}

/// Finds the generation that was `seen`; `has` tells whether the host exports a symbol.
///
/// Sizes decide, symbols tell apart the generations that share them; both must agree.
///
/// # Errors
/// A [`Refusal`] that says what was seen.
pub fn detect(seen: &Seen, has: impl Fn(&CStr) -> bool) -> Result<&'static Generation, Refusal> {
    if seen.inputs.is_empty() && seen.filters.is_empty() && seen.outputs.is_empty() {
        return Err(Refusal::NotFluentBit);
    }
    let one = |found: &[(&'static str, u64)]| -> Result<u64, Refusal> {
        let (_, size) = found
            .first()
            .ok_or_else(|| Refusal::Incomplete(seen.clone()))?;
        if found.iter().any(|(_, other)| other != size) {
            return Err(Refusal::Inconsistent(seen.clone()));
        }
        Ok(*size)
    };
    let sizes = Sizes {
        input: one(&seen.inputs)?,
        filter: one(&seen.filters)?,
        output: one(&seen.outputs)?,
    };
    if !has(SINCE_1_9) {
        return Err(Refusal::TooOld(sizes));
    }
    let mut candidates = Vec::new();
    for generation in GENERATIONS.iter().filter(|g| g.sizes() == sizes) {
        let missing = generation.present.iter().find(|s| !has(s));
        let surplus = generation.absent.iter().find(|s| has(s));
        match (missing, surplus) {
            (None, None) => return Ok(generation),
            (Some(symbol), _) => candidates.push((
                generation.releases,
                format!("no {}", symbol.to_string_lossy()),
            )),
            (None, Some(symbol)) => {
                candidates.push((generation.releases, symbol.to_string_lossy().into_owned()));
            }
        }
    }
    Err(if candidates.is_empty() {
        Refusal::UnknownSizes(sizes)
    } else {
        Refusal::Contradiction { sizes, candidates }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// First releases of the symbols the table uses, from the releases themselves.
    const HISTORY: &[(&CStr, u32, u32)] = &[
        (c"flb_output_flush_prepare_destroy", 10900, u32::MAX),
        (c"flb_ra_update_kv_pair", 10903, u32::MAX),
        (c"flb_input_log_append", 20000, u32::MAX),
        (c"flb_input_event_type_is_log", 10900, 20001),
        (c"flb_log_event_decoder_init", 20100, u32::MAX),
        (
            c"flb_input_log_append_skip_processor_stages",
            20104,
            u32::MAX,
        ),
        (c"flb_input_set_processor", 30000, u32::MAX),
        (c"flb_log_event_decoder_get_record_type", 30100, u32::MAX),
        (c"flb_notification_enqueue", 30200, u32::MAX),
        (c"flb_output_set_http_test", 30202, u32::MAX),
        (c"flb_input_set_test", 30203, u32::MAX),
        (c"flb_config_task_map_resize", 40000, u32::MAX),
        (c"flb_config_map_get_raw", 50003, u32::MAX),
        (c"flb_input_plugin_pause", 50100, u32::MAX),
    ];

    fn sizes_of(release: u32) -> (u64, u64, u64) {
        // Each size with the first release that has it.
        let inputs = [
            (0, 128),
            (20000, 144),
            (20007, 152),
            (30200, 160),
            (30203, 208),
            (50100, 232),
        ];
        let filters = [(0, 72), (20200, 80), (30200, 88)];
        let outputs = [
            (0, 200),
            (20007, 208),
            (30200, 232),
            (30202, 280),
            (50100, 288),
        ];
        let size = |sizes: &[(u32, u64)]| {
            let known = sizes.iter().rev().find(|(first, _)| release >= *first);
            known.expect("the first entry fits all").1
        };
        (size(&inputs), size(&filters), size(&outputs))
    }

    fn seen(sizes: (u64, u64, u64)) -> Seen {
        Seen {
            inputs: vec![("in_dummy_plugin", sizes.0), ("in_lib_plugin", sizes.0)],
            filters: vec![("filter_grep_plugin", sizes.1)],
            outputs: vec![("out_null_plugin", sizes.2)],
        }
    }

    fn has(release: u32) -> impl Fn(&CStr) -> bool {
        move |symbol| {
            let (_, first, gone) = HISTORY
                .iter()
                .find(|(name, _, _)| *name == symbol)
                .unwrap_or_else(|| panic!("no history for {symbol:?}"));
            (*first..*gone).contains(&release)
        }
    }

    fn number(release: &str) -> u32 {
        let mut parts = release.split('.').map(|p| p.parse::<u32>().unwrap());
        let mut next = || parts.next().unwrap();
        next() * 10000 + next() * 100 + next()
    }

    #[test]
    fn every_release_is_matched_to_the_row_that_names_it() {
        let last_patch = [
            (109, 10),
            (200, 14),
            (201, 10),
            (202, 3),
            (300, 7),
            (301, 10),
            (302, 10),
            (400, 14),
            (401, 2),
            (402, 8),
            (500, 9),
            (501, 1),
        ];
        for (minor, last) in last_patch {
            for patch in 0..=last {
                let release = minor * 100 + patch;
                let row = detect(&seen(sizes_of(release)), has(release))
                    .unwrap_or_else(|e| panic!("{release}: {e}"));
                let (first, last) = row
                    .releases
                    .split_once(" to ")
                    .unwrap_or((row.releases, row.releases));
                assert!(
                    (number(first)..=number(last)).contains(&release),
                    "{release} was taken for {}",
                    row.releases
                );
            }
        }
    }

    #[test]
    fn a_newer_release_with_known_sizes_is_that_generation() {
        let row = detect(&seen(sizes_of(50100)), has(60000)).unwrap();
        assert_eq!(row.releases, "5.1.0 to 5.1.1");
    }

    #[test]
    fn what_is_not_known_is_refused_with_what_was_seen() {
        let nothing = Seen::default();
        assert_eq!(
            detect(&nothing, |_| false).unwrap_err(),
            Refusal::NotFluentBit
        );
        let old = detect(&seen((128, 72, 200)), |_| false).unwrap_err();
        assert!(old.to_string().contains("older than 1.9.0"), "{old}");
        let unknown = detect(&seen((240, 88, 288)), has(50100)).unwrap_err();
        assert!(unknown.to_string().contains("input 240"), "{unknown}");
        let torn = detect(&seen((232, 88, 288)), has(30200)).unwrap_err();
        assert!(
            torn.to_string().contains("no flb_input_plugin_pause"),
            "{torn}"
        );
        let mut mixed = seen((232, 88, 288));
        mixed.inputs.push(("in_tail_plugin", 208));
        assert!(matches!(
            detect(&mixed, has(50100)),
            Err(Refusal::Inconsistent(_))
        ));
        let mut partial = seen((232, 88, 288));
        partial.filters.clear();
        assert!(matches!(
            detect(&partial, has(50100)),
            Err(Refusal::Incomplete(_))
        ));
    }
}
