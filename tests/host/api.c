/*
 * What the executable exports to a plugin: its own plugin objects with their sizes, the marker
 * symbols of its release, and the functions, each with the signature of its release.
 */
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "host.h"

/* A real host would have these from its headers. */
#pragma GCC diagnostic ignored "-Wmissing-prototypes"

#define EXPORT __attribute__((used, visibility("default")))

/* ---- plugin objects: their ELF sizes tell the generation ---- */

EXPORT _Alignas(16) unsigned char in_dummy_plugin[HOST_INPUT_SIZE];
EXPORT _Alignas(16) unsigned char in_emitter_plugin[HOST_INPUT_SIZE];
EXPORT _Alignas(16) unsigned char in_lib_plugin[HOST_INPUT_SIZE];
EXPORT _Alignas(16) unsigned char in_storage_backlog_plugin[HOST_INPUT_SIZE];
EXPORT _Alignas(16) unsigned char in_tail_plugin[HOST_INPUT_SIZE];
EXPORT _Alignas(16) unsigned char filter_grep_plugin[HOST_FILTER_SIZE];
EXPORT _Alignas(16) unsigned char filter_modify_plugin[HOST_FILTER_SIZE];
EXPORT _Alignas(16) unsigned char filter_stdout_plugin[HOST_FILTER_SIZE];
EXPORT _Alignas(16) unsigned char filter_record_modifier_plugin[HOST_FILTER_SIZE];
EXPORT _Alignas(16) unsigned char out_null_plugin[HOST_OUTPUT_SIZE];
EXPORT _Alignas(16) unsigned char out_stdout_plugin[HOST_OUTPUT_SIZE];
EXPORT _Alignas(16) unsigned char out_lib_plugin[HOST_OUTPUT_SIZE];
EXPORT _Alignas(16) unsigned char out_counter_plugin[HOST_OUTPUT_SIZE];
EXPORT _Alignas(16) unsigned char out_exit_plugin[HOST_OUTPUT_SIZE];

/* {int is_running, …}: while it is zero the real out_exit only counts and acknowledges. */
static void exit_flush(void *chunk, void *flush, void *input, void *context, void *config)
{
    const unsigned char *state = context;
    int is_running;
    (void) chunk;
    (void) flush;
    (void) input;
    (void) config;
    if (context == NULL) {
        fail("out_exit_plugin: flush with a NULL context");
    }
    memcpy(&is_running, state, sizeof is_running);
    if (is_running != 0) {
        fail("out_exit_plugin: flush with a context that says is_running");
    }
    if (HOST_VERSION < 20000) {
        /* Releases that count in any case. */
        ((int *) context)[1]++;
    }
    flush_done(FLB_OK);
}

/* {ins, int out_format, int json_date_format, sds json_date_key, sds date_key} */
static void null_flush(void *chunk, void *flush, void *input, void *context, void *config)
{
    (void) chunk;
    (void) flush;
    (void) input;
    (void) config;
    if (context == NULL || PTR_AT(context, 0) == NULL) {
        fail("out_null_plugin: flush with a context that has no instance");
    }
    instance_of(PTR_AT(context, 0));
    flush_done(FLB_OK);
}

/* What a real plugin's object has: name, description, an option table, code. */
static int some_callback(void)
{
    fail("a callback of the test host's own plugins is only looked at");
}

static void set_pointer(unsigned char *object, int offset, const void *value)
{
    if (offset >= 0) {
        memcpy(object + offset, &value, sizeof value);
    }
}

static void *option_table(void)
{
    static const char *const names[] = {"path", "interval_sec"};
    static unsigned char table[3 * 256];
    for (int i = 0; i < 2; i++) {
        unsigned char *entry = table + i * gen.config_map->bytes;
        set_pointer(entry, gen.config_map->name, names[i]);
        set_pointer(entry, gen.config_map->desc, "Only looked at.");
    }
    return table;
}

static void fill(enum kind kind, unsigned char *object, const char *name, const void *flush)
{
    int (*callback)(void) = some_callback;
    const void *code;
    memcpy(&code, &callback, sizeof code);
    if (kind == INPUT) {
        const struct input_plugin_layout *in = gen.input_plugin;
        set_pointer(object, in->name, name);
        set_pointer(object, in->description, "An input of the test host.");
        set_pointer(object, in->config_map, option_table());
        set_pointer(object, in->cb_init, code);
        set_pointer(object, in->cb_collect, code);
        set_pointer(object, in->cb_exit, code);
    }
    else if (kind == FILTER) {
        const struct filter_plugin_layout *filter = gen.filter_plugin;
        set_pointer(object, filter->name, name);
        set_pointer(object, filter->description, "A filter of the test host.");
        set_pointer(object, filter->config_map, option_table());
        set_pointer(object, filter->cb_init, code);
        set_pointer(object, filter->cb_filter, code);
    }
    else {
        const struct output_plugin_layout *out = gen.output_plugin;
        set_pointer(object, out->name, name);
        set_pointer(object, out->description, "An output of the test host.");
        set_pointer(object, out->config_map, option_table());
        set_pointer(object, out->cb_init, code);
        set_pointer(object, out->cb_flush, flush != NULL ? flush : code);
    }
}

void objects_fill(void)
{
    void (*callback)(void *, void *, void *, void *, void *) = exit_flush;
    const void *flush;
    fill(INPUT, in_dummy_plugin, "dummy", NULL);
    fill(INPUT, in_emitter_plugin, "emitter", NULL);
    fill(INPUT, in_lib_plugin, "lib", NULL);
    fill(INPUT, in_storage_backlog_plugin, "storage_backlog", NULL);
    fill(INPUT, in_tail_plugin, "tail", NULL);
    fill(FILTER, filter_grep_plugin, "grep", NULL);
    fill(FILTER, filter_modify_plugin, "modify", NULL);
    fill(FILTER, filter_stdout_plugin, "stdout", NULL);
    fill(FILTER, filter_record_modifier_plugin, "record_modifier", NULL);
    memcpy(&flush, &callback, sizeof flush);
    fill(OUTPUT, out_exit_plugin, "exit", flush);
    callback = null_flush;
    memcpy(&flush, &callback, sizeof flush);
    fill(OUTPUT, out_null_plugin, "null", flush);
    fill(OUTPUT, out_stdout_plugin, "stdout", NULL);
    fill(OUTPUT, out_lib_plugin, "lib", NULL);
    fill(OUTPUT, out_counter_plugin, "counter", NULL);
}

/* ---- marker symbols: nobody calls them ---- */

#define MARKER(name) EXPORT void name(void) { fail("%s is only a marker", #name); }

#if HOST_MARKERS >= 10900
MARKER(flb_output_flush_prepare_destroy)
MARKER(flb_event_chunk_create)
#endif
#if HOST_MARKERS >= 10903
MARKER(flb_ra_update_kv_pair)
MARKER(flb_ra_key_value_update)
#endif
#if HOST_MARKERS >= 20000
MARKER(flb_chunk_trace_do_input)
MARKER(flb_input_pause)
#if HOST_VERSION < 20000
MARKER(flb_input_log_append)
#endif
#endif
#if HOST_MARKERS < 20001
MARKER(flb_input_event_type_is_log)
#endif
#if HOST_MARKERS >= 20007
MARKER(proxy_go_input_unregister)
#endif
#if HOST_MARKERS >= 20009
MARKER(flb_log_cache_create)
#endif
#if HOST_MARKERS >= 20100
MARKER(flb_log_event_decoder_init)
MARKER(flb_filter_init)
MARKER(flb_context_get)
#endif
#if HOST_MARKERS >= 20104
MARKER(flb_input_log_append_skip_processor_stages)
#endif
#if HOST_MARKERS >= 20109
MARKER(flb_input_thread_instance_resume)
#endif
#if HOST_MARKERS >= 20200
MARKER(flb_proxy_output_cb_init)
MARKER(flb_chunk_trace_output)
#endif
#if HOST_MARKERS >= 30000
MARKER(flb_input_set_processor)
#endif
#if HOST_MARKERS >= 30100
MARKER(flb_log_event_decoder_get_record_type)
#endif
#if HOST_MARKERS >= 30200
MARKER(flb_notification_enqueue)
MARKER(flb_input_handle_notification)
#endif
#if HOST_MARKERS >= 30202
MARKER(flb_output_set_http_test)
#endif
#if HOST_MARKERS >= 30203
MARKER(flb_input_set_test)
#endif
#if HOST_MARKERS >= 40000
MARKER(flb_config_task_map_resize)
#endif
#if HOST_MARKERS >= 40003
MARKER(flb_engine_stop_ingestion)
#endif
#if HOST_MARKERS >= 40004
MARKER(flb_processor_unit_set_property_str)
#endif
#if HOST_MARKERS >= 40100
MARKER(flb_kv_item_set)
#endif
#if HOST_MARKERS >= 40200
MARKER(flb_router_create)
#endif
#if HOST_MARKERS >= 50000
MARKER(flb_mp_count_log_records)
#endif
#if HOST_MARKERS >= 50003
MARKER(flb_config_map_get_raw)
MARKER(flb_env_set_extended)
#endif
#if HOST_MARKERS >= 50005
MARKER(flb_input_log_append_processed)
#endif
#if HOST_MARKERS >= 50008
MARKER(flb_input_chunk_release_route)
#endif
#if HOST_MARKERS >= 50100
MARKER(flb_input_plugin_pause)
#endif

/* ---- instances ---- */

static void set_context(void *raw, enum kind kind, int offset, void *context)
{
    if (instance_of(raw)->kind != kind) {
        fail("set_context for the wrong kind of instance");
    }
    PTR_AT(raw, offset) = context;
}

EXPORT void flb_input_set_context(void *ins, void *context)
{
    set_context(ins, INPUT, gen.input->context, context);
}

EXPORT void flb_filter_set_context(void *ins, void *context)
{
    set_context(ins, FILTER, gen.filter->context, context);
}

EXPORT void flb_output_set_context(void *ins, void *context)
{
    set_context(ins, OUTPUT, gen.output->context, context);
}

static const char *get_property(const char *key, void *raw, enum kind kind)
{
    struct instance *instance = instance_of(raw);
    if (instance->kind != kind) {
        fail("get_property for the wrong kind of instance");
    }
    return instance_property(instance, key);
}

EXPORT const char *flb_input_get_property(const char *key, void *ins)
{
    return get_property(key, ins, INPUT);
}

EXPORT const char *flb_filter_get_property(const char *key, void *ins)
{
    return get_property(key, ins, FILTER);
}

EXPORT const char *flb_output_get_property(const char *key, void *ins)
{
    return get_property(key, ins, OUTPUT);
}

/* Only the limit of retries, which stands right in front of the match rule in every release. */
EXPORT int flb_output_set_property(void *ins, const char *key, const char *value)
{
    if (instance_of(ins)->kind != OUTPUT || strcasecmp(key, "retry_limit") != 0) {
        fail("set_property for something else than an output's limit of retries");
    }
#ifndef OUTPUT_ROW
    INT_AT(ins, gen.output->match - 8) = strcasecmp(value, "no_limits") == 0 ? -1 : atoi(value);
#else
    /* A layout with random places has none. */
    (void) value;
#endif
    return 0;
}

EXPORT const char *flb_input_name(void *ins)
{
    return instance_name(instance_of(ins));
}

EXPORT const char *flb_filter_name(void *ins)
{
    return instance_name(instance_of(ins));
}

EXPORT const char *flb_output_name(void *ins)
{
    return instance_name(instance_of(ins));
}

EXPORT void *flb_input_get_instance(void *config, int id)
{
    (void) config;
    for (struct instance *instance = host.instances; instance != NULL; instance = instance->next) {
        if (instance->kind == INPUT && INT_AT(instance->raw, gen.input->id) == id) {
            return instance->raw;
        }
    }
    return NULL;
}

#if HOST_VERSION >= 20000
EXPORT int flb_input_log_check(void *ins, int level)
{
    return level <= instance_log_level(instance_of(ins));
}

EXPORT int flb_output_log_check(void *ins, int level)
{
    return level <= instance_log_level(instance_of(ins));
}

EXPORT void *flb_input_get_cmt_instance(void *ins)
{
    return instance_of(ins)->cmt;
}

EXPORT void *flb_output_get_cmt_instance(void *ins)
{
    return instance_of(ins)->cmt;
}
#endif

/* ---- log ---- */

EXPORT void flb_log_print(int type, const char *file, int line, const char *format, ...)
{
    static const char *const names[] = {"  off", "error", " warn", " info", "debug", "trace", " help"};
    char text[4096];
    char stamp[32];
    struct timespec now;
    struct tm local;
    va_list args;
    (void) file;
    (void) line;
    if (type < 0 || type > 6) {
        fail("log line with the type %d", type);
    }
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    clock_gettime(CLOCK_REALTIME, &now);
    localtime_r(&now.tv_sec, &local);
    strftime(stamp, sizeof stamp, "%Y/%m/%d %H:%M:%S", &local);
    fprintf(stderr, "[%s.%09ld] [%s] %s\n", stamp, now.tv_nsec, names[type], text);
}

/* ---- collectors ---- */

static int add_collector(void *ins, enum collector_kind kind, collect_callback callback, time_t seconds,
                         long nanoseconds, int fd)
{
    struct instance *instance = instance_of(ins);
    struct collector *collector = host_alloc(sizeof *collector);
    collector->instance = instance;
    collector->kind = kind;
    collector->callback = callback;
    collector->seconds = seconds;
    collector->milliseconds = nanoseconds / 1000000;
    collector->event.fd = fd;
    collector->id = instance->next_collector++;
    collector->next = instance->collectors;
    instance->collectors = collector;
    return collector->id;
}

EXPORT int flb_input_set_collector_time(void *ins, collect_callback callback, time_t seconds, long nanoseconds,
                                        void *config)
{
    (void) config;
    if (seconds == 0 && nanoseconds < 1000000) {
        fail("time collector with an interval below one millisecond");
    }
    return add_collector(ins, COLLECT_TIME, callback, seconds, nanoseconds, -1);
}

EXPORT int flb_input_set_collector_event(void *ins, collect_callback callback, int fd, void *config)
{
    (void) config;
    return add_collector(ins, COLLECT_EVENT, callback, 0, 0, fd);
}

static struct collector *find_collector(int id, void *ins)
{
    for (struct collector *collector = instance_of(ins)->collectors; collector != NULL; collector = collector->next) {
        if (collector->id == id) {
            return collector;
        }
    }
    fail("there is no collector %d", id);
}

EXPORT int flb_input_collector_start(int id, void *ins)
{
    return engine_collector_start(find_collector(id, ins));
}

EXPORT int flb_input_collector_pause(int id, void *ins)
{
    return engine_collector_stop(find_collector(id, ins));
}

EXPORT int flb_input_collector_resume(int id, void *ins)
{
    if (!INT_AT(host.config, gen.config->is_ingestion_active)) {
        return 0;
    }
    return engine_collector_start(find_collector(id, ins));
}

EXPORT int flb_input_collector_running(int id, void *ins)
{
    return find_collector(id, ins)->running;
}

EXPORT int flb_input_collector_delete(int id, void *ins)
{
    struct collector *collector = find_collector(id, ins);
    struct collector **link = &instance_of(ins)->collectors;
    engine_collector_stop(collector);
    while (*link != collector) {
        link = &(*link)->next;
    }
    *link = collector->next;
    free(collector);
    return 0;
}

/* ---- scheduler timers ---- */

struct flb_sched_timer {
    struct flb_sched_timer *next;
    struct event event;
    int type;
    bool valid;
    void (*callback)(void *config, void *data);
    void *data;
};

static struct flb_sched_timer *sched_timers;
static int scheduler;

EXPORT void *flb_sched_ctx_get(void)
{
    return &scheduler;
}

EXPORT int flb_sched_timer_cb_create(void *sched, int type, int ms, void (*callback)(void *, void *), void *data,
                                     struct flb_sched_timer **out)
{
    struct flb_sched_timer *timer = host_alloc(sizeof *timer);
    struct itimerspec spec = {0};
    if (sched != &scheduler) {
        fail("timer for a scheduler that is not ours");
    }
    if ((type != 3 && type != 4) || ms <= 0) {
        fail("timer of type %d every %d ms", type, ms);
    }
    timer->type = type;
    timer->valid = true;
    timer->callback = callback;
    timer->data = data;
    timer->event.kind = EVENT_TIMER;
    timer->event.owner = timer;
    timer->event.fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
    spec.it_value.tv_sec = ms / 1000;
    spec.it_value.tv_nsec = ms % 1000 * 1000000L;
    if (type == 4) {
        spec.it_interval = spec.it_value;
    }
    timerfd_settime(timer->event.fd, 0, &spec, NULL);
    engine_watch(&timer->event);
    timer->next = sched_timers;
    sched_timers = timer;
    if (out != NULL) {
        *out = timer;
    }
    return 0;
}

static void invalidate(struct flb_sched_timer *timer)
{
    if (timer->valid) {
        timer->valid = false;
        engine_unwatch(&timer->event);
        close(timer->event.fd);
    }
}

EXPORT int flb_sched_timer_cb_disable(struct flb_sched_timer *timer)
{
    engine_unwatch(&timer->event);
    return 0;
}

EXPORT int flb_sched_timer_cb_destroy(struct flb_sched_timer *timer)
{
    invalidate(timer);
    return 0;
}

void timer_fire(struct event *event)
{
    struct flb_sched_timer *timer = event->owner;
    uint64_t expirations;
    if (!timer->valid || read(event->fd, &expirations, sizeof expirations) < 0) {
        return;
    }
    if (timer->type == 3) {
        invalidate(timer);
    }
    timer->callback(host.config, timer->data);
}

/* Frees what was destroyed; not while a callback may still hold it. */
void timers_sweep(void)
{
    struct flb_sched_timer **link = &sched_timers;
    while (*link != NULL) {
        struct flb_sched_timer *timer = *link;
        if (timer->valid) {
            link = &timer->next;
        }
        else {
            *link = timer->next;
            free(timer);
        }
    }
}

void timers_free(void)
{
    for (struct flb_sched_timer *timer = sched_timers; timer != NULL; timer = timer->next) {
        invalidate(timer);
    }
    timers_sweep();
}

/* ---- records ---- */

#if HOST_VERSION < 20000
EXPORT int flb_input_chunk_append_raw(void *ins, const char *tag, size_t tag_len, const void *buf, size_t size)
{
    return engine_append(instance_of(ins), 0, tag, tag_len, buf, size, true);
}

EXPORT int flb_input_chunk_append_raw2(void *ins, size_t records, const char *tag, size_t tag_len, const void *buf,
                                       size_t size)
{
    return engine_append(instance_of(ins), records, tag, tag_len, buf, size, true);
}
#else
EXPORT int flb_input_log_append(void *ins, const char *tag, size_t tag_len, const void *buf, size_t size)
{
    return engine_append(instance_of(ins), 0, tag, tag_len, buf, size, true);
}

EXPORT int flb_input_log_append_records(void *ins, size_t records, const char *tag, size_t tag_len, const void *buf,
                                        size_t size)
{
    return engine_append(instance_of(ins), records, tag, tag_len, buf, size, true);
}

/* Bypasses what flb_input_log_append does: a plugin must not use it here. */
EXPORT int flb_input_chunk_append_raw(void *ins, int event_type, size_t records, const char *tag, size_t tag_len,
                                      const void *buf, size_t size)
{
    (void) ins;
    (void) event_type;
    (void) records;
    (void) tag;
    (void) tag_len;
    (void) buf;
    (void) size;
    fail("flb_input_chunk_append_raw on a release that has flb_input_log_append");
}
#endif

EXPORT size_t flb_input_chunk_total_size(void *ins)
{
    instance_of(ins);
    return SIZE_AT(ins, gen.input->mem_chunks_size);
}

/* ---- engine ---- */

EXPORT int flb_engine_flush(void *config, void *plugin)
{
    if (config != host.config || plugin != NULL) {
        fail("flb_engine_flush(%p, %p)", config, plugin);
    }
    engine_flush();
    return 0;
}

EXPORT int flb_engine_exit(void *config)
{
    if (config != host.config) {
        fail("flb_engine_exit of a foreign configuration");
    }
    engine_stop(0, false);
    return 0;
}

EXPORT int flb_engine_exit_status(void *config, int status)
{
    if (config != host.config) {
        fail("flb_engine_exit_status of a foreign configuration");
    }
    engine_stop(status, true);
    return 0;
}

EXPORT int flb_task_running_count(void *config)
{
    (void) config;
    return engine_running_tasks();
}

#if HOST_VERSION >= 40003
EXPORT void flb_storage_chunk_count(void *config, int *mem_chunks, int *fs_chunks)
{
    (void) config;
    *mem_chunks = engine_chunks();
    *fs_chunks = 0;
}
#endif

/* ---- metrics ---- */

struct series {
    struct series *next;
    char **labels;
    double value;
};

struct metric {
    struct metric *next;
    char *name;
    int label_count;
    char **label_names;
    struct series *series;
    bool counter;
};

/* As in all releases up to the list of counters, which stays empty here. */
struct cmt {
    int log_level;
    void (*log_cb)(void *, int, const char *, int, const char *);
    void *internal_metadata;
    void *external_metadata;
    void *static_labels;
    struct mk_list counters;
    struct metric *metrics;
};

struct cmt *metrics_new(void)
{
    struct cmt *cmt = host_alloc(sizeof(struct cmt));
    list_init(&cmt->counters);
    return cmt;
}

static void free_texts(char **texts, int count)
{
    for (int i = 0; i < count; i++) {
        free(texts[i]);
    }
    free(texts);
}

static char **copy_texts(char **texts, int count)
{
    char **copy = host_alloc(sizeof(char *) * (size_t) (count + 1));
    for (int i = 0; i < count; i++) {
        copy[i] = host_strdup(texts[i]);
    }
    return copy;
}

void metrics_free(struct cmt *cmt)
{
    while (cmt->metrics != NULL) {
        struct metric *metric = cmt->metrics;
        cmt->metrics = metric->next;
        while (metric->series != NULL) {
            struct series *series = metric->series;
            metric->series = series->next;
            free_texts(series->labels, metric->label_count);
            free(series);
        }
        free_texts(metric->label_names, metric->label_count);
        free(metric->name);
        free(metric);
    }
    free(cmt);
}

void metrics_print(FILE *file, const char *instance, struct cmt *cmt)
{
    for (struct metric *metric = cmt->metrics; metric != NULL; metric = metric->next) {
        for (struct series *series = metric->series; series != NULL; series = series->next) {
            fprintf(file, "%s{instance=\"%s\"", metric->name, instance);
            for (int i = 0; i < metric->label_count; i++) {
                fprintf(file, ",%s=\"%s\"", metric->label_names[i], series->labels[i]);
            }
            fprintf(file, "} %.17g\n", series->value);
        }
    }
}

static struct metric *create(struct cmt *cmt, bool counter, char *ns, char *subsystem, char *name, char *help,
                             int label_count, char **label_keys)
{
    struct metric *metric;
    struct metric **last = &cmt->metrics;
    size_t length;
    /* The real one makes nothing of a metric without namespace, name or help. */
    if (ns == NULL || *ns == '\0' || subsystem == NULL || name == NULL || *name == '\0' || help == NULL ||
        *help == '\0') {
        return NULL;
    }
    metric = host_alloc(sizeof *metric);
    length = strlen(ns) + strlen(subsystem) + strlen(name) + 3;
    metric->name = host_alloc(length);
    snprintf(metric->name, length, "%s%s%s_%s", ns, *subsystem != '\0' ? "_" : "", subsystem, name);
    metric->counter = counter;
    metric->label_count = label_count;
    metric->label_names = copy_texts(label_keys, label_count);
    while (*last != NULL) {
        last = &(*last)->next;
    }
    *last = metric;
    return metric;
}

static struct series *find_series(struct metric *metric, int label_count, char **label_values)
{
    struct series *series;
    if (label_count != metric->label_count) {
        fail("%s has %d labels, not %d", metric->name, metric->label_count, label_count);
    }
    for (series = metric->series; series != NULL; series = series->next) {
        bool same = true;
        for (int i = 0; i < label_count; i++) {
            same = same && strcmp(series->labels[i], label_values[i]) == 0;
        }
        if (same) {
            return series;
        }
    }
    series = host_alloc(sizeof *series);
    series->labels = copy_texts(label_values, label_count);
    series->next = metric->series;
    metric->series = series;
    return series;
}

static int change(struct metric *metric, bool counter, double by, int label_count, char **label_values)
{
    if (metric->counter != counter) {
        fail("%s is the other kind of metric", metric->name);
    }
    find_series(metric, label_count, label_values)->value += by;
    return 0;
}

EXPORT struct metric *cmt_counter_create(struct cmt *cmt, char *ns, char *subsystem, char *name, char *help,
                                         int label_count, char **label_keys)
{
    return create(cmt, true, ns, subsystem, name, help, label_count, label_keys);
}

EXPORT struct metric *cmt_gauge_create(struct cmt *cmt, char *ns, char *subsystem, char *name, char *help,
                                       int label_count, char **label_keys)
{
    return create(cmt, false, ns, subsystem, name, help, label_count, label_keys);
}

EXPORT int cmt_counter_inc(struct metric *counter, uint64_t timestamp, int label_count, char **label_values)
{
    (void) timestamp;
    return change(counter, true, 1, label_count, label_values);
}

EXPORT int cmt_counter_add(struct metric *counter, uint64_t timestamp, double value, int label_count,
                           char **label_values)
{
    (void) timestamp;
    if (value < 0) {
        fail("%s: a counter does not go down", counter->name);
    }
    return change(counter, true, value, label_count, label_values);
}

EXPORT int cmt_counter_set(struct metric *counter, uint64_t timestamp, double value, int label_count,
                           char **label_values)
{
    struct series *series = find_series(counter, label_count, label_values);
    (void) timestamp;
    if (!counter->counter || value < series->value) {
        fail("%s: a counter does not go down", counter->name);
    }
    series->value = value;
    return 0;
}

EXPORT int cmt_gauge_set(struct metric *gauge, uint64_t timestamp, double value, int label_count, char **label_values)
{
    (void) timestamp;
    if (gauge->counter) {
        fail("%s is no gauge", gauge->name);
    }
    find_series(gauge, label_count, label_values)->value = value;
    return 0;
}

EXPORT int cmt_gauge_inc(struct metric *gauge, uint64_t timestamp, int label_count, char **label_values)
{
    (void) timestamp;
    return change(gauge, false, 1, label_count, label_values);
}

EXPORT int cmt_gauge_dec(struct metric *gauge, uint64_t timestamp, int label_count, char **label_values)
{
    (void) timestamp;
    return change(gauge, false, -1, label_count, label_values);
}

static uint64_t nanoseconds_now(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (uint64_t) now.tv_sec * 1000000000u + (uint64_t) now.tv_nsec;
}

#if HOST_VERSION >= 20000
EXPORT uint64_t cfl_time_now(void)
{
    return nanoseconds_now();
}
#else
EXPORT uint64_t cmt_time_now(void)
{
    return nanoseconds_now();
}
#endif
