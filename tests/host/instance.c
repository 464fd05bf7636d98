/* Plugins and instances: loading as flb_plugin.c does it, memory as plugins see it, properties. */
#include <dlfcn.h>
#include <libgen.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "host.h"

enum { TYPE_STR, TYPE_STR_PREFIX, TYPE_INT, TYPE_BOOL, TYPE_DOUBLE, TYPE_SIZE, TYPE_TIME, TYPE_DEPRECATED };
enum { FLAG_MULT = 1 };

static size_t plugin_size(enum kind kind)
{
    switch (kind) {
    case INPUT: return (size_t) gen.input_plugin->bytes;
    case FILTER: return (size_t) gen.filter_plugin->bytes;
    default: return (size_t) gen.output_plugin->bytes;
    }
}

static int plugin_head(enum kind kind)
{
    switch (kind) {
    case INPUT: return gen.input_plugin->head;
    case FILTER: return gen.filter_plugin->head;
    default: return gen.output_plugin->head;
    }
}

const char *plugin_name(const struct plugin *plugin)
{
    switch (plugin->kind) {
    case INPUT: return PTR_AT(plugin->copy, gen.input_plugin->name);
    case FILTER: return PTR_AT(plugin->copy, gen.filter_plugin->name);
    default: return PTR_AT(plugin->copy, gen.output_plugin->name);
    }
}

void *plugin_config_map(const struct plugin *plugin)
{
    switch (plugin->kind) {
    case INPUT: return PTR_AT(plugin->copy, gen.input_plugin->config_map);
    case FILTER: return PTR_AT(plugin->copy, gen.filter_plugin->config_map);
    default: return PTR_AT(plugin->copy, gen.output_plugin->config_map);
    }
}

/* Everything but the fields that a plugin fills must be zero: what stands there otherwise is a
 * value that was meant for another generation. Padding behind an int may hold anything; in the
 * input of 2.0.0 that place is event_type. */
static void check_registration(const char *file, enum kind kind, const unsigned char *copy)
{
    const struct input_plugin_layout *in = gen.input_plugin;
    const struct filter_plugin_layout *filter = gen.filter_plugin;
    const struct output_plugin_layout *out = gen.output_plugin;
    int input[] = {in->name, in->description, in->config_map, in->cb_init, in->cb_pre_run, in->cb_collect,
                   in->cb_pause, in->cb_resume, in->cb_pause_checked, in->cb_resume_checked, in->cb_exit};
    int filters[] = {filter->name, filter->description, filter->config_map, filter->cb_pre_run,
                     filter->cb_init, filter->cb_filter, filter->cb_exit};
    int output[] = {out->name, out->description, out->config_map, out->cb_init, out->cb_pre_run,
                    out->cb_flush, out->cb_exit};
    const int *fields = kind == INPUT ? input : kind == FILTER ? filters : output;
    size_t count = kind == INPUT ? sizeof input / sizeof *input
                 : kind == FILTER ? sizeof filters / sizeof *filters : sizeof output / sizeof *output;

    for (int at = 0; at < (int) plugin_size(kind); at++) {
        bool known = false;
        for (size_t i = 0; i < count; i++) {
            known = known || (fields[i] >= 0 && at >= fields[i] && at < fields[i] + 8);
        }
        if (kind == OUTPUT) {
            known = known || (at >= out->workers && at < out->workers + 8) || (at >= 20 && at < 24);
        }
        if (kind == INPUT && HOST_VERSION > 20000) {
            known = known || (at >= 4 && at < 8) || (at >= in->flags + 4 && at < in->flags + 8);
        }
        if (kind == FILTER && HOST_VERSION < 20100) {
            known = known || (at >= 4 && at < 8);
        }
        if (known) {
            (void) VALGRIND_MAKE_MEM_DEFINED(copy + at, 1);
        }
        else if (copy[at] != 0) {
            fail("%s: byte %d of the registration struct is %d, but no field of this release is there",
                 file, at, copy[at]);
        }
    }
}

static void plugin_add(enum kind kind, void *copy, bool builtin)
{
    struct plugin *plugin = host_alloc(sizeof *plugin);
    struct plugin **last = &host.plugins;
    int list = kind == INPUT ? gen.config->in_plugins
             : kind == FILTER ? gen.config->filter_plugins : gen.config->out_plugins;
    plugin->kind = kind;
    plugin->copy = copy;
    plugin->builtin = builtin;
    while (*last != NULL) {
        last = &(*last)->next;
    }
    *last = plugin;
    list_add(LIST_AT(copy, plugin_head(kind)), LIST_AT(host.config, list));
}

static void keep_library(void *handle)
{
    host.libraries = realloc(host.libraries, (host.library_count + 1) * sizeof(void *));
    if (host.libraries == NULL) {
        fail("out of memory");
    }
    host.libraries[host.library_count++] = handle;
}

/* A file without the prefix flb- is a Go-style plugin for the host. */
static int load_proxy(const char *path)
{
    int (*register_plugin)(void *);
    void *handle = dlopen(path, RTLD_LAZY);
    int size = HOST_VERSION >= 50101 ? 48 : HOST_VERSION >= 40203 ? 40 : 32;
    void *definition;
    int result;
    if (handle == NULL) {
        flb_log_print(FLB_LOG_ERROR, NULL, 0, "[proxy] error opening plugin %s: '%s'", path, dlerror());
        return -1;
    }
    keep_library(handle);
    *(void **) &register_plugin = dlsym(handle, "FLBPluginRegister");
    if (register_plugin == NULL) {
        flb_log_print(FLB_LOG_ERROR, NULL, 0, "[plugin] error loading proxy plugin: %s", path);
        return -1;
    }
    definition = host_alloc((size_t) size);
    result = register_plugin(definition);
    free(definition);
    if (result == 0) {
        fail("%s: FLBPluginRegister accepted a registration that the test host does not play", path);
    }
    flb_log_print(FLB_LOG_ERROR, NULL, 0, "[plugin] error loading proxy plugin: %s", path);
    return -1;
}

int plugin_load(const char *path)
{
    char *copy_of_path = host_strdup(path);
    char *base = basename(copy_of_path);
    size_t length = strlen(base);
    char symbol[256];
    enum kind kind;
    void *handle;
    void *object;
    void *copy;

    if (strncmp(base, "flb-", 4) != 0) {
        free(copy_of_path);
        return load_proxy(path);
    }
    if (length < 8 || strcmp(base + length - 3, ".so") != 0 || length > 200) {
        flb_log_print(FLB_LOG_ERROR, NULL, 0, "[plugin] invalid plugin extension: %s", base);
        free(copy_of_path);
        return -1;
    }
    snprintf(symbol, sizeof symbol, "%.*s_plugin", (int) (length - 7), base + 4);
    free(copy_of_path);
    if (strncmp(symbol, "in_", 3) == 0) {
        kind = INPUT;
    }
    else if (strncmp(symbol, "filter_", 7) == 0) {
        kind = FILTER;
    }
    else if (strncmp(symbol, "out_", 4) == 0) {
        kind = OUTPUT;
    }
    else {
        flb_log_print(FLB_LOG_ERROR, NULL, 0, "[plugin] invalid plugin type: %s", symbol);
        return -1;
    }
    handle = dlopen(path, RTLD_LAZY);
    if (handle == NULL) {
        flb_log_print(FLB_LOG_ERROR, NULL, 0, "[plugin] dlopen() %s", dlerror());
        return -1;
    }
    keep_library(handle);
    object = dlsym(handle, symbol);
    if (object == NULL) {
        flb_log_print(FLB_LOG_ERROR, NULL, 0, "[plugin] cannot load plugin '%s': %s", path, dlerror());
        return -1;
    }
    copy = host_alloc(plugin_size(kind));
    memcpy(copy, object, plugin_size(kind));
    check_registration(path, kind, copy);
    if (PTR_AT(copy, kind == INPUT ? gen.input_plugin->name
                     : kind == FILTER ? gen.filter_plugin->name : gen.output_plugin->name) == NULL) {
        fail("%s: the registration struct has no name", path);
    }
    plugin_add(kind, copy, false);
    return 0;
}

static void add_builtin(enum kind kind, char *name)
{
    void *copy = host_alloc(plugin_size(kind));
    int offset = kind == INPUT ? gen.input_plugin->name
               : kind == FILTER ? gen.filter_plugin->name : gen.output_plugin->name;
    PTR_AT(copy, offset) = name;
    plugin_add(kind, copy, true);
}

void plugins_add_builtin(void)
{
    static char raw_chunk[] = "raw_chunk", standard[] = "stdout", raw_file[] = "raw_file", null[] = "null";
    add_builtin(INPUT, raw_chunk);
    add_builtin(OUTPUT, standard);
    add_builtin(OUTPUT, raw_file);
    add_builtin(OUTPUT, null);
}

/* The host closes libraries before it forgets the plugins. */
void plugins_free(void)
{
    for (size_t i = 0; i < host.library_count; i++) {
        dlclose(host.libraries[i]);
    }
    free(host.libraries);
    host.libraries = NULL;
    host.library_count = 0;
    while (host.plugins != NULL) {
        struct plugin *next = host.plugins->next;
        free(host.plugins->copy);
        free(host.plugins);
        host.plugins = next;
    }
}

struct plugin *plugin_find(enum kind kind, const char *name)
{
    for (struct plugin *plugin = host.plugins; plugin != NULL; plugin = plugin->next) {
        if (plugin->kind == kind && strcasecmp(plugin_name(plugin), name) == 0) {
            return plugin;
        }
    }
    return NULL;
}

/* ---- configuration and instances ---- */

void config_new(void)
{
    int lists[] = {gen.config->in_plugins, gen.config->filter_plugins, gen.config->out_plugins,
                   gen.config->inputs, gen.config->filters, gen.config->outputs};
    host.config = host_alloc((size_t) gen.config->bytes);
    for (size_t i = 0; i < sizeof lists / sizeof *lists; i++) {
        list_init(LIST_AT(host.config, lists[i]));
    }
    INT_AT(host.config, gen.config->is_ingestion_active) = 1;
    INT_AT(host.config, gen.config->grace) = 5;
}

void config_free(void)
{
    free(host.config);
    host.config = NULL;
}

#define INSTANCE_OFFSET(instance, field)                 \
    ((instance)->kind == INPUT ? gen.input->field        \
     : (instance)->kind == FILTER ? gen.filter->field : gen.output->field)

const char *instance_name(struct instance *instance)
{
    const char *alias = PTR_AT(instance->raw, INSTANCE_OFFSET(instance, alias));
    return alias != NULL ? alias : AT(instance->raw, INSTANCE_OFFSET(instance, name));
}

void *instance_context(struct instance *instance)
{
    return PTR_AT(instance->raw, INSTANCE_OFFSET(instance, context));
}

int instance_log_level(struct instance *instance)
{
    return INT_AT(instance->raw, INSTANCE_OFFSET(instance, log_level));
}

struct mk_list *instance_properties(struct instance *instance)
{
    return LIST_AT(instance->raw, INSTANCE_OFFSET(instance, properties));
}

struct instance *instance_of(const void *raw)
{
    for (struct instance *instance = host.instances; instance != NULL; instance = instance->next) {
        if (instance->raw == raw) {
            return instance;
        }
    }
    fail("%p is no instance of this host", raw);
}

struct instance *instance_new(enum kind kind, const char *name)
{
    struct plugin *plugin = plugin_find(kind, name);
    struct instance *instance;
    struct instance **last = &host.instances;
    int same_plugin = 0;
    int same_kind = 0;
    int list;

    if (plugin == NULL) {
        return NULL;
    }
    while (*last != NULL) {
        same_plugin += (*last)->plugin == plugin;
        same_kind += (*last)->kind == kind;
        last = &(*last)->next;
    }
    instance = host_alloc(sizeof *instance);
    *last = instance;
    instance->kind = kind;
    instance->plugin = plugin;
    instance->raw = host_alloc((size_t) INSTANCE_OFFSET(instance, bytes));
    instance->cmt = metrics_new();
    INT_AT(instance->raw, INSTANCE_OFFSET(instance, id)) = same_kind;
    INT_AT(instance->raw, INSTANCE_OFFSET(instance, log_level)) = -1;
    snprintf(AT(instance->raw, INSTANCE_OFFSET(instance, name)), 32, "%s.%d", plugin_name(plugin), same_plugin);
    PTR_AT(instance->raw, INSTANCE_OFFSET(instance, p)) = plugin->copy;
    PTR_AT(instance->raw, INSTANCE_OFFSET(instance, cmt)) = instance->cmt;
    PTR_AT(instance->raw, INSTANCE_OFFSET(instance, config)) = host.config;
    list_init(instance_properties(instance));
    list = kind == INPUT ? gen.config->inputs : kind == FILTER ? gen.config->filters : gen.config->outputs;
    list_add(LIST_AT(instance->raw, INSTANCE_OFFSET(instance, head)), LIST_AT(host.config, list));
    if (kind == INPUT) {
        list_init(LIST_AT(instance->raw, gen.input->collectors));
        list_init(LIST_AT(instance->raw, gen.input->chunks));
        list_init(LIST_AT(instance->raw, gen.input->tasks));
        INT_AT(instance->raw, gen.input->mem_buf_status) = FLB_INPUT_RUNNING;
        INT_AT(instance->raw, gen.input->storage_buf_status) = FLB_INPUT_RUNNING;
    }
    return instance;
}

void instance_free(struct instance *instance)
{
    struct mk_list *properties = instance_properties(instance);
    while (!list_empty(properties)) {
        struct flb_kv *kv = (struct flb_kv *) AT(properties->next, -(long) offsetof(struct flb_kv, _head));
        list_del(&kv->_head);
        sds_free(kv->key);
        sds_free(kv->val);
        free(kv);
    }
    if (instance->kind == INPUT) {
        sds_free(PTR_AT(instance->raw, gen.input->tag));
    }
    else if (instance->kind == FILTER) {
        sds_free(PTR_AT(instance->raw, gen.filter->match));
    }
    else {
        sds_free(PTR_AT(instance->raw, gen.output->match));
    }
    sds_free(PTR_AT(instance->raw, INSTANCE_OFFSET(instance, alias)));
    list_del(LIST_AT(instance->raw, INSTANCE_OFFSET(instance, head)));
    metrics_free(instance->cmt);
    free(instance->raw);
    free(instance);
}

/* ${NAME} becomes the variable's value, or nothing. */
static char *translate(const char *value)
{
    size_t capacity = 1;
    size_t length = 0;
    char *text = host_alloc(1);
    while (*value != '\0') {
        const char *end = strncmp(value, "${", 2) == 0 ? strchr(value, '}') : NULL;
        const char *piece = value;
        size_t size = 1;
        if (end != NULL) {
            char *name = host_copy(value + 2, (size_t) (end - value - 2) + 1);
            name[end - value - 2] = '\0';
            piece = getenv(name);
            free(name);
            piece = piece != NULL ? piece : "";
            size = strlen(piece);
            value = end;
        }
        if (length + size + 1 > capacity) {
            capacity = (length + size + 1) * 2;
            text = realloc(text, capacity);
            if (text == NULL) {
                fail("out of memory");
            }
        }
        memcpy(text + length, piece, size);
        length += size;
        value++;
    }
    text[length] = '\0';
    return text;
}

static void replace_text(void *raw, int offset, const char *value)
{
    sds_free(PTR_AT(raw, offset));
    PTR_AT(raw, offset) = sds_new(value, strlen(value));
}

static int level_of(const char *name)
{
    static const char *names[] = {"off", "error", "warn", "info", "debug", "trace"};
    for (int i = 0; i < 6; i++) {
        if (strcasecmp(name, names[i]) == 0) {
            return i;
        }
    }
    return strcasecmp(name, "warning") == 0 ? FLB_LOG_WARN : -1;
}

static size_t bytes_of(const char *text)
{
    char *end;
    size_t bytes = strtoul(text, &end, 10);
    switch (*end) {
    case 'k': case 'K': return bytes * 1000;
    case 'm': case 'M': return bytes * 1000 * 1000;
    default: return bytes;
    }
}

/* Options that the host takes itself; they never reach the plugin. */
static int set_own(struct instance *instance, const char *key, const char *value)
{
    if (strcasecmp(key, "log_level") == 0) {
        int level = level_of(value);
        if (level < 0) {
            return -1;
        }
        INT_AT(instance->raw, INSTANCE_OFFSET(instance, log_level)) = level;
        return 1;
    }
    if (strcasecmp(key, "alias") == 0) {
        replace_text(instance->raw, INSTANCE_OFFSET(instance, alias), value);
        return 1;
    }
    if (HOST_VERSION >= 20100 && strcasecmp(key, "log_suppress_interval") == 0) {
        return 1;
    }
    if (instance->kind == INPUT) {
        if (strcasecmp(key, "tag") == 0) {
            replace_text(instance->raw, gen.input->tag, value);
            INT_AT(instance->raw, gen.input->tag_len) = (int) strlen(value);
            return 1;
        }
        if (strcasecmp(key, "mem_buf_limit") == 0) {
            SIZE_AT(instance->raw, gen.input->mem_buf_limit) = bytes_of(value);
            return 1;
        }
        return strcasecmp(key, "storage.type") == 0;
    }
    if (strcasecmp(key, "match") == 0) {
        replace_text(instance->raw, instance->kind == FILTER ? gen.filter->match : gen.output->match, value);
        return 1;
    }
    return instance->kind == OUTPUT &&
           (strcasecmp(key, "workers") == 0 || strcasecmp(key, "retry_limit") == 0);
}

int instance_set(struct instance *instance, const char *key, const char *value)
{
    char *text = translate(value);
    int own = set_own(instance, key, text);
    if (own == 0) {
        struct flb_kv *kv = host_alloc(sizeof *kv);
        kv->key = sds_new(key, strlen(key));
        /* An empty value arrives as no value at all. */
        kv->val = *text != '\0' ? sds_new(text, strlen(text)) : NULL;
        list_add(&kv->_head, instance_properties(instance));
    }
    free(text);
    return own < 0 ? -1 : 0;
}

const char *instance_property(struct instance *instance, const char *key)
{
    struct mk_list *properties = instance_properties(instance);
    for (struct mk_list *head = properties->next; head != properties; head = head->next) {
        struct flb_kv *kv = (struct flb_kv *) AT(head, -(long) offsetof(struct flb_kv, _head));
        if (strcasecmp(kv->key, key) == 0) {
            return kv->val;
        }
    }
    return NULL;
}

/* ---- config_map ---- */

#define MAP_NAME(entry) ((const char *) PTR_AT(entry, gen.config_map->name))
#define MAP_TYPE(entry) INT_AT(entry, gen.config_map->type)
#define MAP_FLAGS(entry) INT_AT(entry, gen.config_map->flags)
#define MAP_DEFAULT(entry) ((const char *) PTR_AT(entry, gen.config_map->def_value))
#define MAP_DESC(entry) ((const char *) PTR_AT(entry, gen.config_map->desc))
#define MAP_NEXT(entry) AT(entry, gen.config_map->bytes)

static const char *type_name(int type)
{
    switch (type) {
    case TYPE_STR: return "string";
    case TYPE_STR_PREFIX: return "prefixed string";
    case TYPE_INT: return "integer";
    case TYPE_BOOL: return "boolean";
    case TYPE_DOUBLE: return "double";
    case TYPE_SIZE: return "size";
    case TYPE_TIME: return "time";
    case TYPE_DEPRECATED: return "deprecated";
    default: return type >= 30 && type <= 34 ? "multiple comma delimited strings"
                  : type >= 40 && type <= 44 ? "space delimited strings" : NULL;
    }
}

static bool map_has(void *map, const char *key, int *flags)
{
    for (char *entry = map; MAP_NAME(entry) != NULL; entry = MAP_NEXT(entry)) {
        size_t length = strlen(MAP_NAME(entry));
        bool prefix = MAP_TYPE(entry) == TYPE_STR_PREFIX;
        if (prefix ? strlen(key) > length && strncasecmp(key, MAP_NAME(entry), length) == 0
                   : strcasecmp(key, MAP_NAME(entry)) == 0) {
            *flags = MAP_FLAGS(entry);
            return true;
        }
    }
    return false;
}

static void check_map(const struct plugin *plugin)
{
    int count = 0;
    for (char *entry = plugin_config_map(plugin); MAP_NAME(entry) != NULL; entry = MAP_NEXT(entry)) {
        if (type_name(MAP_TYPE(entry)) == NULL) {
            fail("%s: option %s has the unknown type %d", plugin_name(plugin), MAP_NAME(entry), MAP_TYPE(entry));
        }
        if (INT_AT(entry, gen.config_map->set_property) & ~1) {
            fail("%s: option %s: set_property is no boolean", plugin_name(plugin), MAP_NAME(entry));
        }
        if (++count > 500) {
            fail("%s: the config_map does not end", plugin_name(plugin));
        }
    }
}

int instance_check_properties(struct instance *instance)
{
    void *map = plugin_config_map(instance->plugin);
    struct mk_list *properties = instance_properties(instance);
    if (map == NULL || instance->plugin->builtin) {
        return 0;
    }
    check_map(instance->plugin);
    for (struct mk_list *head = properties->next; head != properties; head = head->next) {
        struct flb_kv *kv = (struct flb_kv *) AT(head, -(long) offsetof(struct flb_kv, _head));
        int flags = 0;
        int count = 0;
        if (!map_has(map, kv->key, &flags)) {
            flb_log_print(FLB_LOG_ERROR, NULL, 0, "[config] %s: unknown configuration property '%s'",
                          plugin_name(instance->plugin), kv->key);
            return -1;
        }
        for (struct mk_list *other = properties->next; other != properties; other = other->next) {
            struct flb_kv *again = (struct flb_kv *) AT(other, -(long) offsetof(struct flb_kv, _head));
            count += strcasecmp(again->key, kv->key) == 0;
        }
        if (count > 1 && (flags & FLAG_MULT) == 0) {
            flb_log_print(FLB_LOG_ERROR, NULL, 0, "[config] %s: configuration property '%s' is set %d times",
                          plugin_name(instance->plugin), kv->key, count);
            return -1;
        }
    }
    return 0;
}

void instance_help(const struct plugin *plugin)
{
    void *map = plugin_config_map(plugin);
    int description = plugin->kind == INPUT ? gen.input_plugin->description
                    : plugin->kind == FILTER ? gen.filter_plugin->description : gen.output_plugin->description;
    const char *text = PTR_AT(plugin->copy, description);
    printf("HELP\n%s: %s\n\nDESCRIPTION\n%s\n\nOPTIONS\n",
           plugin->kind == INPUT ? "input" : plugin->kind == FILTER ? "filter" : "output",
           plugin_name(plugin), text != NULL ? text : "");
    if (map == NULL) {
        return;
    }
    check_map(plugin);
    for (char *entry = map; MAP_NAME(entry) != NULL; entry = MAP_NEXT(entry)) {
        printf("%s\n    %s\n", MAP_NAME(entry), MAP_DESC(entry) != NULL ? MAP_DESC(entry) : "no description available");
        printf("    > default: %s, type: %s\n\n", MAP_DEFAULT(entry) != NULL ? MAP_DEFAULT(entry) : "-",
               type_name(MAP_TYPE(entry)));
    }
}

bool tag_matches(const char *pattern, const char *tag, size_t length)
{
    while (*pattern != '\0') {
        if (*pattern == '*') {
            while (*pattern == '*') {
                pattern++;
            }
            for (size_t i = 0; i <= length; i++) {
                if (tag_matches(pattern, tag + i, length - i)) {
                    return true;
                }
            }
            return false;
        }
        if (length == 0 || *pattern != *tag) {
            return false;
        }
        pattern++;
        tag++;
        length--;
    }
    return length == 0;
}
