//! The list itself.

use super::{behind, Holds, Need, Places, WantedField, WantedStruct};
use crate::facts::Facts;

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
