/*
 * What a Fluent Bit release looks like from a plugin's side: sizes and offsets of its structs,
 * as numbers. Chosen at compile time with -DHOST_VERSION=<major*10000 + minor*100 + patch>.
 *
 * The numbers are measured from the public headers of the releases and deliberately written
 * down a second time: the test host shares no header with the library it tests.
 */
#ifndef TESTHOST_GENERATION_H
#define TESTHOST_GENERATION_H

#ifndef HOST_VERSION
#error "compile with -DHOST_VERSION=50100 or another release"
#endif

/* Which release's marker symbols are exported; differs from HOST_VERSION only to provoke a refusal. */
#ifndef HOST_MARKERS
#define HOST_MARKERS HOST_VERSION
#endif

/* A layout of random places: sizes here, rows in generation.c, structs in layout.c. */
#ifdef HOST_LAYOUT
#include HOST_LAYOUT
#endif

/* Sizes of the host's own plugin objects in its dynamic symbol table. */
#ifndef HOST_INPUT_SIZE
#if HOST_VERSION >= 50100
#define HOST_INPUT_SIZE 232
#elif HOST_VERSION >= 30203
#define HOST_INPUT_SIZE 208
#elif HOST_VERSION >= 30200
#define HOST_INPUT_SIZE 160
#elif HOST_VERSION >= 20007
#define HOST_INPUT_SIZE 152
#elif HOST_VERSION >= 20000
#define HOST_INPUT_SIZE 144
#else
#define HOST_INPUT_SIZE 128
#endif
#endif

#ifndef HOST_FILTER_SIZE
#if HOST_VERSION >= 30200
#define HOST_FILTER_SIZE 88
#elif HOST_VERSION >= 20200
#define HOST_FILTER_SIZE 80
#else
#define HOST_FILTER_SIZE 72
#endif
#endif

#ifndef HOST_OUTPUT_SIZE
#if HOST_VERSION >= 50100
#define HOST_OUTPUT_SIZE 288
#elif HOST_VERSION >= 30202
#define HOST_OUTPUT_SIZE 280
#elif HOST_VERSION >= 30200
#define HOST_OUTPUT_SIZE 232
#elif HOST_VERSION >= 20007
#define HOST_OUTPUT_SIZE 208
#else
#define HOST_OUTPUT_SIZE 200
#endif
#endif

/* The filter callback lost its input instance argument in 1.9.0 and got it back in 1.9.3. */
#define HOST_FILTER_NINE_ARGUMENTS (HOST_VERSION >= 10900 && HOST_VERSION < 10903)

/*
 * Layouts: `since` is the first release of the row, -1 means that the release has no such field.
 */
struct input_plugin_layout {
    int since;
    int bytes;
    int flags;
    int name;
    int description;
    int config_map;
    int cb_init;
    int cb_pre_run;
    int cb_collect;
    int cb_pause;
    int cb_resume;
    int cb_pause_checked;
    int cb_resume_checked;
    int cb_exit;
    int cb_destroy;
    int head;
};

struct filter_plugin_layout {
    int since;
    int bytes;
    int name;
    int description;
    int config_map;
    int cb_pre_run;
    int cb_init;
    int cb_filter;
    int cb_exit;
    int head;
};

struct output_plugin_layout {
    int since;
    int bytes;
    int name;
    int description;
    int config_map;
    int cb_init;
    int cb_pre_run;
    int cb_flush;
    int cb_exit;
    int cb_destroy;
    int workers;
    int head;
};

struct config_map_layout {
    int since;
    int bytes;
    int type;
    int name;
    int def_value;
    int flags;
    int set_property;
    int desc;
};

struct event_chunk_layout {
    int since;
    int bytes;
    int type;
    int tag;
    int data;
    int size;
    int total_events;
};

struct input_instance_layout {
    int since;
    int bytes;
    int id;
    int flags;
    int log_level;
    int name;
    int alias;
    int context;
    int p;
    int tag;
    int tag_len;
    int mem_chunks_size;
    int mem_buf_limit;
    int mem_buf_status;
    int storage_buf_status;
    int head;
    int properties;
    int collectors;
    int chunks;
    int tasks;
    int is_threaded;
    int cmt;
    int config;
};

struct filter_instance_layout {
    int since;
    int bytes;
    int id;
    int log_level;
    int name;
    int alias;
    int context;
    int p;
    int match;
    int head;
    int properties;
    int cmt;
    int config;
};

struct output_instance_layout {
    int since;
    int bytes;
    int id;
    int log_level;
    int name;
    int alias;
    int context;
    int p;
    int match;
    int head;
    int properties;
    int cmt;
    int config;
};

struct config_layout {
    int since;
    int bytes;
    int is_running;
    int is_ingestion_active;
    int is_shutting_down;
    int flush;
    int grace;
    int exit_status_code;
    int evl;
    int sched;
    int in_plugins;
    int filter_plugins;
    int out_plugins;
    int inputs;
    int filters;
    int outputs;
};

/* The rows that hold for HOST_VERSION. */
struct generation {
    const struct input_plugin_layout *input_plugin;
    const struct filter_plugin_layout *filter_plugin;
    const struct output_plugin_layout *output_plugin;
    const struct config_map_layout *config_map;
    const struct event_chunk_layout *event_chunk;
    const struct input_instance_layout *input;
    const struct filter_instance_layout *filter;
    const struct output_instance_layout *output;
    const struct config_layout *config;
};

extern struct generation gen;

/* Fills `gen`; ends the process when the tables and the exported sizes do not agree. */
void generation_select(void);

/* Fields of a struct that only an offset describes. */
#define AT(base, offset) ((char *) (base) + (offset))
#define INT_AT(base, offset) (*(int *) AT(base, offset))
#define SIZE_AT(base, offset) (*(size_t *) AT(base, offset))
#define DOUBLE_AT(base, offset) (*(double *) AT(base, offset))
#define PTR_AT(base, offset) (*(void **) AT(base, offset))
#define LIST_AT(base, offset) ((struct mk_list *) AT(base, offset))

#endif
