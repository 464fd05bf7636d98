/*
 * The test host: it does to a native plugin what Fluent Bit does, with the struct layouts of one
 * release (generation.h) and checks that a real host does not make.
 */
#ifndef TESTHOST_HOST_H
#define TESTHOST_HOST_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <time.h>

#include "generation.h"

/* Valgrind must be told of a stack that is none of a thread's, and of padding. */
#if __has_include(<valgrind/memcheck.h>)
#include <valgrind/memcheck.h>
#else
#define VALGRIND_STACK_REGISTER(start, end) 0
#define VALGRIND_STACK_DEREGISTER(id) ((void) (id))
#define VALGRIND_MAKE_MEM_DEFINED(start, size) ((void) 0)
#endif

/* Fluent Bit's own names and layouts, the same in all releases. */
struct mk_list {
    struct mk_list *prev;
    struct mk_list *next;
};

struct flb_kv {
    char *key;
    char *val;
    struct mk_list _head;
};

enum { FLB_ERROR = 0, FLB_OK = 1, FLB_RETRY = 2 };
enum { FLB_FILTER_MODIFIED = 1, FLB_FILTER_NOTOUCH = 2 };
enum { FLB_LOG_ERROR = 1, FLB_LOG_WARN = 2, FLB_LOG_INFO = 3, FLB_LOG_DEBUG = 4, FLB_LOG_TRACE = 5 };
enum { FLB_INPUT_PAUSED = 0, FLB_INPUT_RUNNING = 1 };

enum kind { INPUT, FILTER, OUTPUT };

/* A plugin: the host's copy of the registration struct, and what else is known of it. */
struct plugin {
    struct plugin *next;
    enum kind kind;
    void *copy;      /* sizeof(struct flb_*_plugin) of this generation */
    bool builtin;    /* part of the test host: its callbacks are not called */
};

enum collector_kind { COLLECT_TIME, COLLECT_EVENT };

enum event_kind { EVENT_COLLECTOR, EVENT_TIMER, EVENT_FLUSH, EVENT_CHANNEL, EVENT_TICK };

/* Something the event loop waits for. */
struct event {
    enum event_kind kind;
    int fd;
    void *owner;
};

typedef int (*collect_callback)(void *ins, void *config, void *context);

struct collector {
    struct collector *next;
    struct instance *instance;
    struct event event;
    enum collector_kind kind;
    int id;
    long milliseconds;
    time_t seconds;
    bool running;
    collect_callback callback;
};

/* An instance: the memory that plugins see, and the host's own notes. */
struct instance {
    struct instance *next;
    enum kind kind;
    struct plugin *plugin;
    void *raw;
    char *match;
    struct collector *collectors;
    int next_collector;
    int pauses;          /* calls of cb_pause */
    bool initialised;
    FILE *file;          /* built-in outputs */
    struct cmt *cmt;
};

struct host {
    void *config;
    struct plugin *plugins;
    struct instance *instances;
    void **libraries;
    size_t library_count;
    int log_level;
    double flush_seconds;
    bool once;           /* end when every raw_chunk has been delivered */
    bool null_calls;     /* call every callback with NULL pointers, too */
    const char *metrics_path;
};

extern struct host host;

/* memory.c: allocation that never fails, rings, Fluent Bit's strings */
void *host_alloc(size_t size);
char *host_strdup(const char *text);
char *host_copy(const void *data, size_t size);
char *sds_new(const char *text, size_t length);
void sds_free(char *text);
size_t sds_length(const char *text);
void list_init(struct mk_list *list);
void list_add(struct mk_list *item, struct mk_list *list);
void list_del(struct mk_list *item);
bool list_empty(const struct mk_list *list);
void fail(const char *format, ...) __attribute__((format(printf, 1, 2), noreturn));

/* instance.c */
const char *plugin_name(const struct plugin *plugin);
void *plugin_config_map(const struct plugin *plugin);
int plugin_load(const char *path);
void plugins_add_builtin(void);
void plugins_free(void);
struct plugin *plugin_find(enum kind kind, const char *name);
struct instance *instance_new(enum kind kind, const char *name);
int instance_set(struct instance *instance, const char *key, const char *value);
int instance_check_properties(struct instance *instance);
void instance_help(const struct plugin *plugin);
const char *instance_property(struct instance *instance, const char *key);
const char *instance_name(struct instance *instance);
void *instance_context(struct instance *instance);
int instance_log_level(struct instance *instance);
struct mk_list *instance_properties(struct instance *instance);
struct instance *instance_of(const void *raw);
void instance_free(struct instance *instance);
void config_new(void);
void config_free(void);
bool tag_matches(const char *pattern, const char *tag, size_t length);

/* engine.c */
int engine_start(void);
int engine_wait(void);
void engine_stop(int status, bool set_status);
void engine_flush(void);
int engine_running_tasks(void);
int engine_chunks(void);
int engine_append(struct instance *instance, size_t records, const char *tag, size_t tag_length,
                  const void *data, size_t size, bool check);
void engine_watch(struct event *event);
void engine_unwatch(struct event *event);
int engine_collector_start(struct collector *collector);
int engine_collector_stop(struct collector *collector);
void *engine_sched(void);
void flush_done(int result);

/* future.c: what a later release may do otherwise, by the environment's TESTHOST_FUTURE */
enum future {
    FUTURE_NATIVE,          /* filters get an object of the host's, with its size */
    FUTURE_OBJECT,          /* the same without a size */
    FUTURE_UNMAPPED,        /* filters get an address that cannot be read */
    FUTURE_PASSES_FILTERS,  /* filters are not called */
    FUTURE_IGNORES_FILTERS, /* what they hand on is thrown away */
    FUTURE_CRASHES,         /* an append is the end */
    FUTURE_LOSES,           /* what is appended is nowhere */
    FUTURE_REFUSES          /* nothing is appended */
};
bool future_is(enum future wanted);
void future_batch(const char **data, size_t *size);

/* builtin.c: the host's own input and outputs */
void builtin_init(struct instance *instance);
void builtin_run_raw_chunks(void);
bool builtin_is_raw_chunk(const struct instance *instance);
void builtin_flush(struct instance *instance, const char *tag, const char *data, size_t size);
long builtin_delay(struct instance *instance);
void builtin_exit(struct instance *instance);

/* pack.c */
bool msgpack_next(const uint8_t *data, size_t size, size_t *at);
size_t msgpack_count(const uint8_t *data, size_t size, bool *whole);
void print_records(FILE *file, const char *tag, const uint8_t *data, size_t size, bool json_lines);

/* api.c */
void objects_fill(void);
void metrics_free(struct cmt *cmt);
struct cmt *metrics_new(void);
void metrics_print(FILE *file, const char *instance, struct cmt *cmt);
void flb_log_print(int type, const char *file, int line, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
struct timers *timers_new(void);
void timer_fire(struct event *event);
void timers_sweep(void);
void timers_free(void);

#endif
