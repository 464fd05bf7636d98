/* Allocation that never fails, rings, Fluent Bit's strings. */
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "host.h"

void fail(const char *format, ...)
{
    va_list args;
    fflush(stdout);
    fputs("testhost: VIOLATION: ", stderr);
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fputc('\n', stderr);
    fflush(stderr);
    abort();
}

void *host_alloc(size_t size)
{
    void *memory = calloc(1, size ? size : 1);
    if (memory == NULL) {
        fail("out of memory");
    }
    return memory;
}

char *host_strdup(const char *text)
{
    size_t length = strlen(text);
    char *copy = host_alloc(length + 1);
    memcpy(copy, text, length);
    return copy;
}

/* Exactly `size` bytes, so that a memory checker sees a read behind the end. */
char *host_copy(const void *data, size_t size)
{
    char *copy = malloc(size ? size : 1);
    if (copy == NULL) {
        fail("out of memory");
    }
    if (size > 0) {
        memcpy(copy, data, size);
    }
    return copy;
}

/* flb_sds_t: characters, NUL-terminated, with {u64 length, u64 capacity} in front. */
char *sds_new(const char *text, size_t length)
{
    char *base = host_alloc(16 + length + 1);
    uint64_t size = length;
    memcpy(base, &size, 8);
    memcpy(base + 8, &size, 8);
    memcpy(base + 16, text, length);
    return base + 16;
}

void sds_free(char *text)
{
    if (text != NULL) {
        free(text - 16);
    }
}

size_t sds_length(const char *text)
{
    uint64_t size;
    memcpy(&size, text - 16, 8);
    return (size_t) size;
}

void list_init(struct mk_list *list)
{
    list->prev = list;
    list->next = list;
}

void list_add(struct mk_list *item, struct mk_list *list)
{
    item->prev = list->prev;
    item->next = list;
    list->prev->next = item;
    list->prev = item;
}

void list_del(struct mk_list *item)
{
    item->prev->next = item->next;
    item->next->prev = item->prev;
    item->prev = NULL;
    item->next = NULL;
}

bool list_empty(const struct mk_list *list)
{
    return list->next == list;
}
