/*
 * An input, a filter and an output against the same numbers as the test host, to try the host
 * itself (and, built for its release, those numbers on a real Fluent Bit). Reached through links
 * flb-in_probe.so, flb-filter_probe.so and flb-out_probe.so.
 */
#include <dlfcn.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../generation.h"

struct mk_list;

_Alignas(16) unsigned char in_probe_plugin[512];
_Alignas(16) unsigned char filter_probe_plugin[512];
_Alignas(16) unsigned char out_probe_plugin[512];

static _Alignas(16) unsigned char options[8 * 128];

/* The host's functions; what a release does not have stays undefined until it is called. */
extern void flb_input_set_context(void *ins, void *context);
extern void flb_filter_set_context(void *ins, void *context);
extern void flb_output_set_context(void *ins, void *context);
extern const char *flb_input_get_property(const char *key, void *ins);
extern int flb_input_set_collector_time(void *ins, int (*)(void *, void *, void *), time_t, long, void *);
extern int flb_input_collector_pause(int id, void *ins);
extern int flb_input_collector_resume(int id, void *ins);
extern int flb_engine_flush(void *config, void *plugin);
extern int flb_engine_exit_status(void *config, int status);
extern void *flb_sched_ctx_get(void);
extern int flb_sched_timer_cb_create(void *, int, int, void (*)(void *, void *), void *, void **);
#if HOST_VERSION < 20000
extern int flb_input_chunk_append_raw(void *, const char *, size_t, const void *, size_t);
#define append flb_input_chunk_append_raw
#else
extern int flb_input_log_append(void *, const char *, size_t, const void *, size_t);
#define append flb_input_log_append
#endif

struct input {
    void *ins;
    int collector;
    int appended;
    int refused;
    int limit;
};

/* [EventTime, {"n": n}] */
static int append_number(struct input *input, int n)
{
    unsigned char record[] = {0x92, 0xd7, 0, 0x65, 0, 0, 0, 0, 0, 0, 1, 0x81, 0xa1, 'n', (unsigned char) n};
    if (append(input->ins, NULL, 0, record, sizeof record) != 0) {
        input->refused++;
        return -1;
    }
    input->appended++;
    return 0;
}

static int input_init(void *ins, void *config, void *data)
{
    struct input *input = calloc(1, sizeof *input);
    const char *limit = flb_input_get_property("limit", ins);
    (void) data;
    input->ins = ins;
    input->limit = limit != NULL ? atoi(limit) : 3;
    flb_input_set_context(ins, input);
    input->collector = flb_input_set_collector_time(ins, (int (*)(void *, void *, void *)) (uintptr_t) PTR_AT(
        in_probe_plugin, gen.input_plugin->cb_collect), 0, 20000000, config);
    return 0;
}

static int input_collect(void *ins, void *config, void *context)
{
    struct input *input = context;
    (void) ins;
    (void) config;
    if (input->appended < input->limit) {
        append_number(input, input->appended);
    }
    return 0;
}

static void input_pause(void *context, void *config)
{
    struct input *input = context;
    flb_input_collector_pause(input->collector, input->ins);
    if (input->appended == input->limit && append_number(input, 100) == 0) {
        flb_engine_flush(config, NULL);
    }
}

static void input_resume(void *context, void *config)
{
    struct input *input = context;
    (void) config;
    flb_input_collector_resume(input->collector, input->ins);
}

static int input_exit(void *context, void *config)
{
    (void) config;
    free(context);
    return 0;
}

static int filter_init(void *ins, void *config, void *data)
{
    (void) config;
    (void) data;
    flb_filter_set_context(ins, malloc(1));
    return 0;
}

/* Turns the key "n" into "N" of a one-record batch. */
static int filter_do(const void *data, size_t bytes, void **out, size_t *out_size)
{
    char *copy = malloc(bytes);
    memcpy(copy, data, bytes);
    for (size_t i = 1; i < bytes; i++) {
        if (copy[i] == 'n' && copy[i - 1] == (char) 0xa1) {
            copy[i] = 'N';
        }
    }
    *out = copy;
    *out_size = bytes;
    return 1;
}

#if HOST_FILTER_NINE_ARGUMENTS
static int filter_call(const void *data, size_t bytes, const char *tag, int tag_len, void **out, size_t *out_size,
                       void *ins, void *context, void *config)
#else
static int filter_call(const void *data, size_t bytes, const char *tag, int tag_len, void **out, size_t *out_size,
                       void *ins, void *input, void *context, void *config)
#endif
{
#if !HOST_FILTER_NINE_ARGUMENTS
    (void) input;
#endif
    (void) tag;
    (void) tag_len;
    (void) context;
    if (ins == NULL || PTR_AT(ins, gen.filter->config) != config) {
        abort();
    }
    return filter_do(data, bytes, out, out_size);
}

static int filter_exit(void *context, void *config)
{
    (void) config;
    free(context);
    return 0;
}

static void tick(void *config, void *data)
{
    int *ticks = data;
    if (++*ticks == 4) {
        flb_engine_exit_status(config, 7);
    }
}

static int output_init(void *ins, void *config, void *data)
{
    int *ticks = calloc(1, sizeof *ticks);
    (void) config;
    (void) data;
    flb_output_set_context(ins, ticks);
    return flb_sched_timer_cb_create(flb_sched_ctx_get(), 4, 250, tick, ticks, NULL);
}

static void output_flush(void *chunk, void *flush, void *input, void *context, void *config)
{
    static unsigned char zero[512];
    unsigned char *object = dlsym(RTLD_DEFAULT, "out_exit_plugin");
    void (*acknowledge)(void *, void *, void *, void *, void *) =
        (void (*)(void *, void *, void *, void *, void *)) (uintptr_t) PTR_AT(object, gen.output_plugin->cb_flush);
    (void) context;
    acknowledge(chunk, flush, input, zero, config);
}

static int output_exit(void *context, void *config)
{
    (void) config;
    free(context);
    return 0;
}

#define FILL(object, offset, value) (PTR_AT(object, offset) = (void *) (uintptr_t) (value))

__attribute__((constructor)) static void fill(void)
{
    generation_select();
    FILL(options, gen.config_map->name, "limit");
    INT_AT(options, gen.config_map->type) = 2;
    FILL(options, gen.config_map->def_value, "3");
    FILL(options, gen.config_map->desc, "records to append");
    FILL(in_probe_plugin, gen.input_plugin->name, "probe");
    FILL(in_probe_plugin, gen.input_plugin->description, "test input");
    FILL(in_probe_plugin, gen.input_plugin->config_map, options);
    FILL(in_probe_plugin, gen.input_plugin->cb_init, input_init);
    FILL(in_probe_plugin, gen.input_plugin->cb_collect, input_collect);
    FILL(in_probe_plugin, gen.input_plugin->cb_pause, input_pause);
    FILL(in_probe_plugin, gen.input_plugin->cb_resume, input_resume);
    FILL(in_probe_plugin, gen.input_plugin->cb_exit, input_exit);
    FILL(filter_probe_plugin, gen.filter_plugin->name, "probe");
    FILL(filter_probe_plugin, gen.filter_plugin->cb_init, filter_init);
    FILL(filter_probe_plugin, gen.filter_plugin->cb_filter, filter_call);
    FILL(filter_probe_plugin, gen.filter_plugin->cb_exit, filter_exit);
    FILL(out_probe_plugin, gen.output_plugin->name, "probe");
    FILL(out_probe_plugin, gen.output_plugin->cb_init, output_init);
    FILL(out_probe_plugin, gen.output_plugin->cb_flush, output_flush);
    FILL(out_probe_plugin, gen.output_plugin->cb_exit, output_exit);
}
