//! Instances that are not what their row says.

use std::ffi::{c_char, c_int, c_void, CStr};

use host_abi::Layout;

use super::instance::NO_INPUT;
use super::Instance;
use crate::abi::discover::Voucher;
use crate::abi::functions::SetProperty;
use crate::abi::memory::Memory;
use crate::abi::table::GENERATIONS;
use crate::host::Section;

/// Memory that plays an input of 1.9: the row's releases have their metrics behind a build option.
struct Input {
    words: Vec<usize>,
    plugin: Vec<usize>,
    name: Box<c_char>,
    layout: Layout,
}

impl Input {
    fn new() -> Self {
        let layout = GENERATIONS[0].layout;
        let mut input = Input {
            words: vec![0; 256],
            plugin: vec![0; 64],
            name: Box::new(0),
            layout,
        };
        let name = input.our_name() as usize;
        input.plugin[layout.input_plugin.name / 8] = name;
        let plugin = input.plugin.as_ptr() as usize;
        input.words[layout.input.plugin.unwrap() / 8] = plugin;
        input
    }

    fn our_name(&mut self) -> *mut c_char {
        &mut *self.name
    }

    /// What is proven of it in an engine at `config`, and what is not.
    fn proven(&mut self, config: usize, needs_metrics: bool) -> (Layout, Vec<&'static str>) {
        let instance = Instance {
            section: Section::Input,
            address: self.words.as_ptr() as usize,
            config: std::hint::black_box(config),
            our_name: self.our_name(),
            needs_metrics,
            set_property: None,
            voucher: Voucher::Markers,
        };
        let mut memory = Memory::open().unwrap();
        super::instance(&mut memory, &self.layout, instance)
    }

    /// With this where its metrics should be.
    fn prove(&mut self, metrics: usize, needs_metrics: bool) -> (Option<usize>, bool) {
        self.words[self.layout.input.metrics.unwrap() / 8] = metrics;
        let engine = self.words.as_ptr() as usize;
        let (proven, failed) = self.proven(engine, needs_metrics);
        assert_eq!(proven.input.plugin, self.layout.input.plugin);
        (proven.input.metrics, failed.contains(&"metrics"))
    }
}

#[test]
fn metrics_of_a_row_are_used_only_if_they_are_there() {
    let mut input = Input::new();
    let known = input.layout.input.metrics;
    let counters = input.layout.metrics.counters.unwrap() / 8;

    let mut context = [0usize; 32];
    let list = &raw const context[counters] as usize;
    context[counters] = list;
    context[counters + 1] = list;
    let context = std::hint::black_box(context.as_ptr() as usize);
    assert_eq!(input.prove(context, true), (known, false));

    let text = [0x6161_6161_6161_6161_usize; 32];
    let zeroes = [0usize; 32];
    let others = [
        ("nothing", 0),
        ("a small number", 8),
        ("text", text.as_ptr() as usize),
        ("zeroes", zeroes.as_ptr() as usize),
        ("no address of a program", usize::MAX - 7),
        (
            "code",
            metrics_of_a_row_are_used_only_if_they_are_there as fn() as usize,
        ),
    ];
    for (what, word) in others {
        assert_eq!(input.prove(word, true), (None, true), "{what}");
        // A host with a function for it is asked, and its field not looked at.
        assert_eq!(input.prove(word, false), (known, false), "{what}");
    }
}

/// An output of a fork that has its limit of retries, and a flag beside it, the other way round.
#[test]
fn a_retry_limit_is_where_the_host_itself_changes_it() {
    const LIMIT: usize = 40;
    unsafe extern "C" fn set(
        instance: *mut c_void,
        key: *const c_char,
        value: *const c_char,
    ) -> c_int {
        // SAFETY: the texts are C strings, and the instance is the words below.
        let (key, value) = unsafe { (CStr::from_ptr(key), CStr::from_ptr(value)) };
        assert_eq!(key, c"retry_limit");
        let limit = match value.to_str().unwrap() {
            "no_limits" => -1,
            "no_retries" => 0,
            number => number.parse().unwrap(),
        };
        // SAFETY: as above; the next int is the flag.
        unsafe {
            let ints = instance.cast::<c_int>();
            ints.add(LIMIT).write(limit);
            ints.add(LIMIT + 1).write(1);
        }
        0
    }
    let mut layout = GENERATIONS[0].layout;
    let mut name: Box<c_char> = Box::new(0);
    let our_name = &raw mut *name;
    let mut plugin = vec![0usize; 64];
    plugin[layout.output_plugin.name / 8] = our_name as usize;
    let mut ints = vec![0i32; 512];
    for before in [-1, 0, 1, 9] {
        for (known, setter, voucher, proven) in [
            (LIMIT, Some(set as SetProperty), Voucher::Markers, true),
            (LIMIT + 1, Some(set), Voucher::Markers, false),
            (LIMIT + 1, Some(set), Voucher::DebugInformation, false),
            (LIMIT, None, Voucher::Markers, false),
            (LIMIT, None, Voucher::DebugInformation, true),
        ] {
            ints[LIMIT] = before;
            ints[LIMIT + 1] = 0;
            layout.output.retry_limit = Some(known * 4);
            let at = layout.output.plugin.unwrap();
            let address = ints.as_mut_ptr().cast::<u8>();
            // SAFETY: inside of the ints; a pointer has room there.
            unsafe {
                address
                    .add(at)
                    .cast::<usize>()
                    .write_unaligned(plugin.as_ptr() as usize);
            };
            let instance = Instance {
                section: Section::Output,
                address: address as usize,
                config: address as usize,
                our_name,
                needs_metrics: false,
                set_property: setter,
                voucher,
            };
            let mut memory = Memory::open().unwrap();
            let (found, failed) = super::instance(&mut memory, &layout, instance);
            assert_eq!(
                found.output.retry_limit.is_some(),
                proven,
                "{known} {before}"
            );
            assert_eq!(failed.contains(&"retry limit"), !proven);
            if proven {
                assert_eq!(ints[LIMIT], before, "it is as it was");
            }
        }
    }
}

/// An engine with these two flags.
fn engine(layout: &Layout, ingestion_active: u32, shutting_down: u32) -> [u32; 512] {
    let mut ints = [0; 512];
    ints[layout.config.ingestion_active.unwrap() / 4] = ingestion_active;
    ints[layout.config.shutting_down.unwrap() / 4] = shutting_down;
    ints
}

/// Before its plugin is found in it, nothing of an instance is believed.
#[test]
fn an_instance_without_our_plugin_is_not_looked_at() {
    let mut input = Input::new();
    let engine = engine(&input.layout, 1, 0);
    let plugin = input.layout.input.plugin.unwrap() / 8;
    for word in [0, 8, input.words.as_ptr() as usize, usize::MAX - 7] {
        input.words[plugin] = word;
        let (proven, failed) = input.proven(engine.as_ptr() as usize, true);
        assert_eq!(proven.input, NO_INPUT, "{word:#x}");
        assert_eq!(failed, ["its plugin"], "{word:#x}");
    }
}

#[test]
fn the_engines_flags_are_read_only_where_flags_are() {
    let mut input = Input::new();
    let engine = |takes, ends| engine(&input.layout, takes, ends);
    let (takes, ends, begins, both) = (engine(1, 0), engine(0, 1), engine(0, 0), engine(1, 1));
    let text = [0x6161_6161_u32; 512];
    // An engine that makes instances takes records and does not end.
    for (config, wanted) in [
        (takes.as_ptr() as usize, [true, true]),
        (ends.as_ptr() as usize, [false, false]),
        (begins.as_ptr() as usize, [false, true]),
        (both.as_ptr() as usize, [true, false]),
        (text.as_ptr() as usize, [false, false]),
        (8, [false, false]),
        (usize::MAX - 7, [false, false]),
    ] {
        let (proven, failed) = input.proven(config, false);
        let found = [proven.config.ingestion_active, proven.config.shutting_down];
        assert_eq!(found.map(|at| at.is_some()), wanted);
        let said = [
            "whether the engine takes records",
            "whether the engine ends",
        ]
        .map(|name| !failed.contains(&name));
        assert_eq!(said, wanted);
    }
}

/// A release that moved fields inside the storage looked like one of the table: what is taken for files
/// that outlive a kill may be memory.
#[test]
fn storage_is_believed_only_with_the_engines_own_chunkio() {
    let mut input = Input::new();
    let layout = input.layout;
    let chunkio = 0x7000usize;
    let mut config = [0usize; 512];
    config[300] = chunkio;
    for (kind, of_storage, wanted) in [
        (0, chunkio, true),
        (1, chunkio, true),
        (77, chunkio, false),
        (0, 0x8000, false),
        (0, 0, false),
    ] {
        let mut storage = [0usize; 8];
        storage[layout.storage.chunkio.unwrap() / 8] = of_storage;
        storage[layout.storage.kind.unwrap() / 8] = kind;
        input.words[layout.input.storage.unwrap() / 8] =
            std::hint::black_box(storage.as_ptr() as usize);
        let (proven, failed) = input.proven(config.as_ptr() as usize, false);
        assert_eq!(
            proven.input.storage.is_some(),
            wanted,
            "{kind} {of_storage:#x}"
        );
        assert_eq!(failed.contains(&"storage"), !wanted);
    }
}
