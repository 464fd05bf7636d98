/* A program with the structs and functions that are wanted, for tests of the reader. */
#include <stddef.h>
#include <stdint.h>

struct mk_list { struct mk_list *prev; struct mk_list *next; };
struct flb_config { int more[3]; int is_ingestion_active; int is_shutting_down; };
struct flb_event_chunk { int type; char *tag; void *data; size_t size; size_t total_events; };
struct flb_output_flush;
struct flb_config_map;
struct flb_input_instance;
struct flb_filter_instance;
struct flb_output_instance;

typedef char *text;
typedef int (*input_callback)(struct flb_input_instance *, struct flb_config *, void *);

struct flb_input_plugin {
    unsigned one : 3;
    unsigned other : 5;
    union {
        struct {
            text name;
            const char *const description;
        };
        long both[2];
    };
    struct flb_config_map *config_map;
    input_callback cb_init;
#ifdef BROKEN_CALLBACK
    int (*cb_collect)(struct flb_input_instance *, struct flb_config *, long);
#else
    const input_callback cb_collect;
#endif
    void (*cb_pause)(void *, struct flb_config *);
    void (*cb_resume)(void *, struct flb_config *);
    int (*cb_exit)(void *, struct flb_config *);
};

#ifdef ENDLESS
struct flb_ring_buffer {
#include ENDLESS
    void *ctx;
};
struct flb_ring_buffer *ring;
#endif

struct flb_filter_plugin {
    char *name;
    char *description;
    struct flb_config_map *config_map;
    int (*cb_init)(struct flb_filter_instance *, struct flb_config *, void *);
    int (*cb_filter)(const void *, size_t, const char *, int, void **, size_t *,
                     struct flb_filter_instance *, struct flb_input_instance *, void *,
                     struct flb_config *);
    int (*cb_exit)(void *, struct flb_config *);
};

struct flb_output_plugin {
    char *name;
    char *description;
    struct flb_config_map *config_map;
    int (*cb_init)(struct flb_output_instance *, struct flb_config *, void *);
    void (*cb_flush)(struct flb_event_chunk *, struct flb_output_flush *,
                     struct flb_input_instance *, void *, struct flb_config *);
    int (*cb_exit)(void *, struct flb_config *);
};

struct flb_config_map { enum { STR, INT } type; char *name; char *def_value; int flags; text desc; };

struct cio_options { int initialized; int flags; };
struct cio_ctx { long page; struct cio_options options; };

struct flb_input_instance {
    long first;
    struct flb_input_plugin *p;
    struct mk_list properties;
#ifdef BROKEN_LIST
    long chunks[2];
#else
    struct mk_list chunks;
#endif
};

struct flb_input_plugin in_dummy_plugin;
struct flb_filter_plugin filter_grep_plugin;
struct flb_output_plugin out_null_plugin;
struct cio_ctx chunkio;

int cio_create(struct cio_options *options)
{
    /* Another struct of that name: only what stands at the top counts. */
    struct flb_config_map { int wrong; } local = {options->flags};
    return local.wrong;
}

void flb_input_set_context(struct flb_input_instance *instance, void *context)
{
    instance->p = context;
}

void flb_log_print(int type, const char *file, int line, const char *format, ...)
{
    (void) type; (void) file; (void) line; (void) format;
}

double flb_mixed(struct flb_config_map *map, unsigned long size, double number, int (*call)(void))
{
    return (double) map->flags + (double) size + number + call();
}

extern int other_source(void);

int main(void)
{
    return other_source();
}
