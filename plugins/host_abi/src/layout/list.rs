//! The list itself, and what is made of each of its lines.

use super::{behind, Holds, Need, Places, WantedField, WantedStruct};
use crate::facts::Facts;

macro_rules! wanted {
    (@type needed) => { usize };
    (@type optional) => { Option<usize> };
    (@type places) => { Places };
    (@need needed) => { Need::Needed };
    (@need optional) => { Need::Optional };
    (@need places) => { Need::Optional };
    (@from needed $found:expr, $unproven:ident) => { $found? };
    (@from optional $found:expr, $unproven:ident) => {
        $found.map_err(|why| $unproven.push(why)).ok()
    };
    (@from places $found:expr, $unproven:ident) => {
        $found.map_err(|why| $unproven.push(why)).map_or(Places::NONE, |at| Places::at(&[at]))
    };
    (@show needed $value:expr) => { format!("{}", $value) };
    (@show optional $value:expr) => {
        $value.map_or_else(|| "None".to_owned(), |at| format!("Some({at})"))
    };
    (@show places $value:expr) => { format!("Places::at(&{:?})", $value.iter().collect::<Vec<_>>()) };
    (@differ needed $mine:expr, $other:expr) => { $mine != $other };
    // What a row does not say is not used.
    (@differ optional $mine:expr, $other:expr) => { $mine.is_some() && $mine != $other };
    (@grown needed $value:expr, $from:ident, $bytes:ident) => { behind($value, $from, $bytes) };
    (@grown optional $value:expr, $from:ident, $bytes:ident) => {
        match $value {
            Some(at) => Some(behind(at, $from, $bytes)),
            None => None,
        }
    };
    (@grown places $value:expr, $from:ident, $bytes:ident) => { $value.grown($from, $bytes) };
    // One of the places is enough.
    (@differ places $mine:expr, $other:expr) => {
        !$other.iter().all(|at| $mine.iter().any(|mine| mine == at))
    };
    ($(
        $(#[$doc:meta])*
        $group:ident: $type:ident = $struct:literal by $anchor:literal {
            $( $(#[$field_doc:meta])* $field:ident: $need:ident $($path:literal)|+ = $holds:expr; )*
        }
    )*) => {
        $(
            $(#[$doc])*
            #[derive(Clone, Copy, Debug, PartialEq, Eq)]
            pub struct $type {
                /// Its size; 0 where it is not known.
                pub bytes: usize,
                $( $(#[$field_doc])* pub $field: wanted!(@type $need), )*
            }

            impl $type {
                /// The same in a release that has so many bytes more at `from`: every field there or
                /// behind is moved.
                #[must_use]
                pub const fn grown(self, from: usize, bytes: isize) -> Self {
                    $type {
                        bytes: self.bytes,
                        $( $field: wanted!(@grown $need self.$field, from, bytes), )*
                    }
                }
            }
        )*

        /// Where everything is in one host.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub struct Layout {
            $( $(#[$doc])* pub $group: $type, )*
        }

        /// The list, for what goes over all of it.
        pub static WANTED: &[WantedStruct] = &[ $( WantedStruct {
            name: $struct,
            anchor: $anchor,
            group: stringify!($group),
            row_type: stringify!($type),
            fields: &[ $( WantedField {
                name: stringify!($field),
                paths: &[ $($path),+ ],
                holds: $holds,
                need: wanted!(@need $need),
            }, )* ],
        }, )* ];

        impl Layout {
            /// The layout that `facts` show, and why each of the optional fields that are missing is.
            ///
            /// # Errors
            /// Why a needed field cannot be used.
            pub fn from_facts(facts: &Facts) -> Result<(Self, Vec<String>), String> {
                let mut unproven = Vec::new();
                let mut wanted = WANTED.iter();
                let layout = Layout {
                    $( $group: {
                        let layout = wanted.next().ok_or("the list ends early")?;
                        let mut fields = layout.fields.iter();
                        let known = facts.structs.get(layout.name);
                        $type {
                            bytes: known.map_or(0, |found| found.bytes as usize),
                            $( $field: {
                                let field = fields.next().ok_or("the list ends early")?;
                                wanted!(@from $need layout.find(facts, field), unproven)
                            }, )*
                        }
                    }, )*
                };
                unproven.dedup();
                Ok((layout, unproven))
            }

            /// What a row of the table says otherwise than `found`: one text a field.
            pub fn differences(&self, found: &Layout) -> Vec<String> {
                let mut all = Vec::new();
                $( $(
                    let (mine, other) = (self.$group.$field, found.$group.$field);
                    // A struct that the host does not have at all is not looked at there.
                    if found.$group.bytes > 0 && wanted!(@differ $need mine, other) {
                        all.push(format!(
                            "{}.{}: {} instead of {}",
                            $struct,
                            stringify!($field),
                            wanted!(@show $need mine),
                            wanted!(@show $need other),
                        ));
                    }
                )* )*
                all
            }

            /// What a row would say of a host that `found` was read from, where this is the row before
            /// it: what still holds stays as it is.
            #[must_use]
            pub fn updated(&self, found: &Layout) -> Layout {
                let mut wanted = WANTED.iter();
                Layout {
                    $( $group: {
                        let there = found.$group.bytes > 0;
                        // Only what we fill in has to be known whole.
                        let whole = wanted.next().is_some_and(|group| group.need() == Need::Needed);
                        $type {
                            bytes: if there && whole { found.$group.bytes } else { self.$group.bytes },
                            $( $field: {
                                let (mine, other) = (self.$group.$field, found.$group.$field);
                                if there && wanted!(@differ $need mine, other) { other } else { mine }
                            }, )*
                        }
                    }, )*
                }
            }

            /// Every value as it stands in a row of the table: group, field, text.
            pub fn values(&self) -> Vec<(&'static str, &'static str, String)> {
                vec![ $(
                    (stringify!($group), "bytes", self.$group.bytes.to_string()),
                    $( (
                        stringify!($group),
                        stringify!($field),
                        wanted!(@show $need self.$group.$field),
                    ), )*
                )* ]
            }
        }
    };
}

/// Input callbacks that get an instance.
pub const INPUT_CALLBACK: &str = "int4(flb_input_instance*,flb_config*,*)";
/// The same of filters.
pub const FILTER_CALLBACK: &str = "int4(flb_filter_instance*,flb_config*,*)";
/// The same of outputs.
pub const OUTPUT_CALLBACK: &str = "int4(flb_output_instance*,flb_config*,*)";
/// Pause and resume.
pub const STATE_CALLBACK: &str = "void(*,flb_config*)";
/// The end of an instance.
pub const EXIT_CALLBACK: &str = "int4(*,flb_config*)";
/// The filter itself, with the input.
pub const FILTER_TEN: &str =
    "int4(*,int8,*,int4,*,*,flb_filter_instance*,flb_input_instance*,*,flb_config*)";
/// The filter itself, without it.
pub const FILTER_NINE: &str = "int4(*,int8,*,int4,*,*,flb_filter_instance*,*,flb_config*)";
/// The flush of an output.
pub const FLUSH_CALLBACK: &str = "void(flb_event_chunk*,*,flb_input_instance*,*,flb_config*)";

wanted! {
    /// What an input registers.
    input_plugin: InputPlugin = "flb_input_plugin" by "flb_input_set_context" {
        /// Its name.
        name: needed "name" = Holds::Pointer;
        /// One line about it.
        description: needed "description" = Holds::Pointer;
        /// Its option table.
        config_map: needed "config_map" = Holds::Pointer;
        /// Starts an instance.
        cb_init: needed "cb_init" = Holds::Function(&[INPUT_CALLBACK]);
        /// Called when there is something to read.
        cb_collect: needed "cb_collect" = Holds::Function(&[INPUT_CALLBACK]);
        /// No more room.
        cb_pause: needed "cb_pause" = Holds::Function(&[STATE_CALLBACK]);
        /// Room again.
        cb_resume: needed "cb_resume" = Holds::Function(&[STATE_CALLBACK]);
        /// Ends an instance.
        cb_exit: needed "cb_exit" = Holds::Function(&[EXIT_CALLBACK]);
    }
    /// What a filter registers.
    filter_plugin: FilterPlugin = "flb_filter_plugin" by "flb_filter_set_context" {
        /// Its name.
        name: needed "name" = Holds::Pointer;
        /// One line about it.
        description: needed "description" = Holds::Pointer;
        /// Its option table.
        config_map: needed "config_map" = Holds::Pointer;
        /// Starts an instance.
        cb_init: needed "cb_init" = Holds::Function(&[FILTER_CALLBACK]);
        /// Filters records.
        cb_filter: needed "cb_filter" = Holds::Function(&[FILTER_TEN, FILTER_NINE]);
        /// Ends an instance.
        cb_exit: needed "cb_exit" = Holds::Function(&[EXIT_CALLBACK]);
    }
    /// What an output registers.
    output_plugin: OutputPlugin = "flb_output_plugin" by "flb_output_set_context" {
        /// Its name.
        name: needed "name" = Holds::Pointer;
        /// One line about it.
        description: needed "description" = Holds::Pointer;
        /// Its option table.
        config_map: needed "config_map" = Holds::Pointer;
        /// Starts an instance.
        cb_init: needed "cb_init" = Holds::Function(&[OUTPUT_CALLBACK]);
        /// Delivers a chunk.
        cb_flush: needed "cb_flush" = Holds::Function(&[FLUSH_CALLBACK]);
        /// Ends an instance.
        cb_exit: needed "cb_exit" = Holds::Function(&[EXIT_CALLBACK]);
    }
    /// An entry of an option table.
    option: OptionEntry = "flb_config_map" by "flb_config_map_create" {
        /// Kind of value.
        kind: needed "type" = Holds::Int;
        /// Name.
        name: needed "name" = Holds::Pointer;
        /// Default.
        default_value: needed "def_value" = Holds::Pointer;
        /// May it be repeated.
        flags: needed "flags" = Holds::Int;
        /// One line about it.
        description: needed "desc" = Holds::Pointer;
    }
    /// What an output gets to deliver.
    chunk: EventChunk = "flb_event_chunk" by "flb_event_chunk_create" {
        /// Its bytes.
        size: optional "size" = Holds::Word;
        /// Its records.
        records: optional "total_events" = Holds::Word;
    }
    /// A node of a list.
    node: ListNode = "mk_list" by "flb_kv_init" {
        /// The one before.
        previous: optional "prev" = Holds::Pointer;
        /// The one behind.
        next: optional "next" = Holds::Pointer;
    }
    /// An instance's property.
    property: Property = "flb_kv" by "flb_kv_init" {
        /// Its key.
        key: optional "key" = Holds::Pointer;
        /// Its value.
        value: optional "val" = Holds::Pointer;
        /// Its node in the instance's list.
        node: optional "_head" = Holds::List;
    }
    /// An input instance.
    input: InputInstance = "flb_input_instance" by "flb_input_set_context" {
        /// Log level.
        log_level: optional "log_level" = Holds::Int;
        /// What the plugin set.
        context: optional "context" = Holds::Pointer;
        /// Its plugin's registration struct.
        plugin: optional "p" = Holds::Pointer;
        /// Its tag.
        tag: optional "tag" = Holds::Pointer;
        /// Its storage: kind, stream, chunkio's context.
        storage: optional "storage" = Holds::Pointer;
        /// 0 while it is paused for lack of memory.
        running: optional "mem_buf_status" = Holds::Int;
        /// 0 while it is paused for lack of storage.
        storage_running: optional "storage_buf_status" = Holds::Int;
        /// The node in the list of inputs.
        node: optional "_head" = Holds::List;
        /// Its options.
        properties: optional "properties" = Holds::List;
        /// Its chunks.
        chunks: optional "chunks" = Holds::List;
        /// Its tasks.
        tasks: optional "tasks" = Holds::List;
        /// Absent before 2.0.0.
        threaded: optional "is_threaded" = Holds::Int;
        /// What a threaded input appended and the engine has not taken; absent before 2.0.0.
        ring: optional "rb" = Holds::Pointer;
        /// Only used where `flb_input_get_cmt_instance` is missing.
        metrics: optional "cmt" = Holds::Pointer;
    }
    /// A filter instance.
    filter: FilterInstance = "flb_filter_instance" by "flb_filter_set_context" {
        /// Log level.
        log_level: optional "log_level" = Holds::Int;
        /// Its plugin's registration struct.
        plugin: optional "p" = Holds::Pointer;
        /// Its options.
        properties: optional "properties" = Holds::List;
        /// The node in the list of filters.
        node: optional "_head" = Holds::List;
        /// Its metrics: no release has a function that gives them.
        metrics: optional "cmt" = Holds::Pointer;
    }
    /// An output instance.
    output: OutputInstance = "flb_output_instance" by "flb_output_set_context" {
        /// Log level.
        log_level: optional "log_level" = Holds::Int;
        /// Its plugin's registration struct.
        plugin: optional "p" = Holds::Pointer;
        /// Its options.
        properties: optional "properties" = Holds::List;
        /// How often a chunk is tried again.
        retry_limit: optional "retry_limit" = Holds::Int;
        /// The node in the list of outputs. It moved inside some ranges of releases: the right one
        /// is part of a list that leads to the engine's configuration.
        node: places "_head" = Holds::List;
        /// Only used where `flb_output_get_cmt_instance` is missing.
        metrics: optional "cmt" = Holds::Pointer;
    }
    /// The engine's configuration.
    config: Config = "flb_config" by "flb_config_init" {
        /// 0 once the engine takes no more records.
        ingestion_active: optional "is_ingestion_active" = Holds::Int;
        /// 1 once it ends.
        shutting_down: optional "is_shutting_down" = Holds::Int;
        /// The list of filters. It moved inside some ranges of releases.
        filters: places "filters" = Holds::List;
    }
    /// The storage of an input.
    storage: Storage = "flb_storage_input" by "flb_storage_input_create" {
        /// 0 is the filesystem.
        kind: optional "type" = Holds::Int;
        /// Chunkio's context.
        chunkio: optional "cio" = Holds::Pointer;
    }
    /// The context of chunkio.
    chunkio: Chunkio = "cio_ctx" by "cio_create" {
        /// Its flags. In the table also where they are in other releases: none of those ever has the
        /// bit that is looked at.
        flags: places "options.flags" | "flags" = Holds::Int;
    }
    /// The ring of a threaded input.
    ring: Ring = "flb_ring_buffer" by "flb_ring_buffer_create" {
        /// The buffer behind it.
        buffer: places "ctx" = Holds::Pointer;
    }
    /// That buffer.
    buffer: RingBuffer = "lwrb" by "lwrb_init" {
        /// Its data.
        data: optional "buff" = Holds::Pointer;
        /// Its size.
        size: optional "size" = Holds::Word;
        /// Where is read next.
        read: optional "r" = Holds::Word;
        /// Where is written next.
        write: optional "w" = Holds::Word;
    }
    /// What is being delivered: a chunk on its way to its outputs.
    task: Task = "flb_task" by "flb_task_destroy" {
        /// The outputs that it goes to.
        routes: optional "routes" = Holds::List;
        /// Those that have failed to take it.
        retries: optional "retries" = Holds::List;
        /// The node in its input's list.
        node: optional "_head" = Holds::List;
        /// Its input.
        input: optional "i_ins" = Holds::Pointer;
        /// The engine's configuration.
        config: optional "config" = Holds::Pointer;
    }
    /// A chunk of an input.
    input_chunk: InputChunk = "flb_input_chunk" by "flb_input_chunk_destroy" {
        /// Its records, as filters have left them.
        records: optional "total_records" = Holds::Int;
        /// Its input.
        input: optional "in" = Holds::Pointer;
        /// What delivers it.
        task: optional "task" = Holds::Pointer;
        /// Where it may go: a bit per output. In an array that ends where the node begins, or behind
        /// a pointer right before that.
        routes: places "routes_mask" = Holds::Routes;
        /// The node in its input's list.
        node: places "_head" = Holds::List;
    }
    /// A delivery that is to be tried again.
    retry: TaskRetry = "flb_task_retry" by "flb_task_retry_create" {
        /// How often it was tried.
        attempts: optional "attempts" = Holds::Int;
        /// Its output.
        output: optional "o_ins" = Holds::Pointer;
        /// Its task.
        task: optional "parent" = Holds::Pointer;
        /// The node in its task's list.
        node: optional "_head" = Holds::List;
    }
    /// A metrics context.
    metrics: Metrics = "cmt" by "cmt_create" {
        /// The list of counters.
        counters: optional "counters" = Holds::List;
    }
}
