/*
 * A malloc that aligns to 8 bytes and never to 16, as Fluent Bit's jemalloc may: preloaded into a
 * host, it finds code that expects more of malloc than is promised.
 *
 * Every block has its true start in the 8 bytes before it, and its size in the 8 before those.
 */
#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

extern void *__libc_malloc(size_t);
extern void __libc_free(void *);

#define HEADER 24

static void *place(char *raw, char *block, size_t size)
{
    ((void **) block)[-1] = raw;
    ((size_t *) block)[-2] = size;
    return block;
}

void *malloc(size_t size)
{
    char *raw = __libc_malloc(size + HEADER);

    /* glibc aligns to 16, so this is 8 behind a multiple of 16. */
    return raw ? place(raw, raw + HEADER, size) : NULL;
}

void free(void *block)
{
    if (block) {
        __libc_free(((void **) block)[-1]);
    }
}

void *calloc(size_t count, size_t size)
{
    size_t bytes;
    void *block;

    if (__builtin_mul_overflow(count, size, &bytes)) {
        errno = ENOMEM;
        return NULL;
    }
    block = malloc(bytes);
    return block ? memset(block, 0, bytes) : NULL;
}

void *realloc(void *block, size_t size)
{
    void *fresh = malloc(size);

    if (fresh && block) {
        size_t old = ((size_t *) block)[-2];
        memcpy(fresh, block, old < size ? old : size);
        free(block);
    }
    return fresh;
}

void *memalign(size_t align, size_t size)
{
    char *raw = __libc_malloc(size + align + HEADER);
    uintptr_t block = ((uintptr_t) raw + HEADER + align - 1) / align * align;

    return raw ? place(raw, (char *) block, size) : NULL;
}

int posix_memalign(void **out, size_t align, size_t size)
{
    *out = memalign(align, size);
    return *out ? 0 : ENOMEM;
}

void *aligned_alloc(size_t align, size_t size)
{
    return memalign(align, size);
}

size_t malloc_usable_size(void *block)
{
    return block ? ((size_t *) block)[-2] : 0;
}
