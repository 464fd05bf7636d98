/* What never changed between 1.9.0 and 5.1.1. See README.md. */
#ifndef FLB_SIDECAR_COMMON_H
#define FLB_SIDECAR_COMMON_H

#include <stddef.h>
#include <stdint.h>

/* A node of the host's circular lists; an empty list points to itself. */
struct host_list {
    struct host_list *prev;
    struct host_list *next;
};

/* The host's objects: handed back to it, never looked into by these types. */
struct host_config;
struct host_input;
struct host_filter;
struct host_output;
struct host_flush;

typedef int (*host_input_cb)(struct host_input *, struct host_config *, void *context);
typedef int (*host_filter_cb)(struct host_filter *, struct host_config *, void *data);
typedef int (*host_output_cb)(struct host_output *, struct host_config *, void *data);
typedef void (*host_state_cb)(void *context, struct host_config *);
typedef int (*host_exit_cb)(void *context, struct host_config *);

/*
 * The head of a multiline engine: a string of the host's own, and how many milliseconds a record waits for
 * more lines at most: what the most patient of its parsers says, 0 as long as it has none.
 */
struct host_multiline {
    char *name;
    int flush_ms;
};

/* What an output gets to deliver. `trace` (2.2.0 and later) is left out. */
struct host_event_chunk {
    int type;
    char *tag;
    void *data;
    size_t size;
    size_t total_events;
};

typedef void (*host_flush_cb)(struct host_event_chunk *, struct host_flush *, struct host_input *,
                              void *context, struct host_config *);

/*
 * The filter callback takes ten arguments, except in 1.9.0 to 1.9.2, which leave out the input.
 * The slot is untyped in the layouts, since one layout serves both.
 */
typedef int (*host_filter_cb10)(const void *data, size_t bytes, const char *tag, int tag_len,
                                void **out, size_t *out_bytes, struct host_filter *,
                                struct host_input *, void *context, struct host_config *);
typedef int (*host_filter_cb9)(const void *data, size_t bytes, const char *tag, int tag_len,
                               void **out, size_t *out_bytes, struct host_filter *,
                               void *context, struct host_config *);

/* What FLBPluginRegister gets: only the fields that every release has. */
struct host_proxy_def {
    int type;
    int proxy;
    int flags;
    char *name;
    char *description;
};

/* A key and its value in an instance's list of properties. */
struct host_property {
    char *key;
    char *value;
    struct host_list node;
};

#endif
