/*
 * The host's own input and outputs:
 *   -i raw_chunk -p path=FILE            one append of the file's bytes, whatever they are
 *   -o stdout [-p format=json_lines] [-p path=FILE] [-p delay=MS]   a JSON line per record
 *   -o raw_file -p dir=DIR [-p delay=MS]                           chunk bytes to DIR/<tag>
 *   -o null
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "host.h"

static bool is(const struct instance *instance, const char *name)
{
    return instance->plugin->builtin && strcmp(plugin_name(instance->plugin), name) == 0;
}

bool builtin_is_raw_chunk(const struct instance *instance)
{
    return instance->kind == INPUT && is(instance, "raw_chunk");
}

void builtin_init(struct instance *instance)
{
    const char *path = instance_property(instance, "path");
    if (is(instance, "stdout")) {
        instance->file = stdout;
        if (path != NULL && (instance->file = fopen(path, "w")) == NULL) {
            fail("%s: %s", path, strerror(errno));
        }
    }
    if (is(instance, "raw_file") && instance_property(instance, "dir") == NULL) {
        fail("raw_file needs dir");
    }
}

static char *read_file(const char *path, size_t *size)
{
    FILE *file = path != NULL ? fopen(path, "rb") : NULL;
    char *data = NULL;
    size_t capacity = 0;
    if (file == NULL) {
        fail("raw_chunk: %s: %s", path != NULL ? path : "path", strerror(errno));
    }
    *size = 0;
    for (;;) {
        size_t got;
        capacity = capacity * 2 + 4096;
        data = realloc(data, capacity);
        if (data == NULL) {
            fail("out of memory");
        }
        got = fread(data + *size, 1, capacity - *size, file);
        *size += got;
        if (got == 0) {
            break;
        }
    }
    fclose(file);
    return data;
}

void builtin_run_raw_chunks(void)
{
    for (struct instance *input = host.instances; input != NULL; input = input->next) {
        if (builtin_is_raw_chunk(input)) {
            size_t size;
            char *data = read_file(instance_property(input, "path"), &size);
            engine_append(input, 0, NULL, 0, data, size, false);
            free(data);
        }
    }
}

long builtin_delay(struct instance *instance)
{
    const char *delay = instance->plugin->builtin ? instance_property(instance, "delay") : NULL;
    return delay != NULL ? strtol(delay, NULL, 10) : 0;
}

void builtin_flush(struct instance *instance, const char *tag, const char *data, size_t size)
{
    if (is(instance, "stdout")) {
        const char *format = instance_property(instance, "format");
        print_records(instance->file, tag, (const uint8_t *) data, size,
                      format != NULL && strcmp(format, "json_lines") == 0);
    }
    else if (is(instance, "raw_file")) {
        char path[4096];
        FILE *file;
        snprintf(path, sizeof path, "%s/%s", instance_property(instance, "dir"), tag);
        file = fopen(path, "ab");
        if (file == NULL || fwrite(data, 1, size, file) != size || fclose(file) != 0) {
            fail("%s: %s", path, strerror(errno));
        }
    }
}

void builtin_exit(struct instance *instance)
{
    if (instance->file != NULL && instance->file != stdout) {
        fclose(instance->file);
    }
    instance->file = NULL;
}
