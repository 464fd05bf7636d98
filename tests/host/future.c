/*
 * What a release that nobody has seen may do otherwise. A program of the same layout behaves as the
 * environment's TESTHOST_FUTURE says, so that a trial run sees it as well.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "host.h"

/* As an engine may keep records that it has decoded: a list, and objects on it. */
struct record_object {
    struct mk_list head;
    void *metadata;
    void *body;
};

struct chunk_object {
    int type;
    struct mk_list records;
    void *encoder;
    void *decoder;
    size_t count;
};

static struct record_object record;
static struct chunk_object object = {.type = 7, .count = 1};

static const char *const names[] = {"native", "object",  "unmapped", "passes-filters", "ignores-filters",
                                    "crashes", "loses", "refuses"};

bool future_is(enum future wanted)
{
    const char *name = getenv("TESTHOST_FUTURE");
    return name != NULL && strcmp(name, names[wanted]) == 0;
}

/* What a filter gets instead of the records. */
void future_batch(const char **data, size_t *size)
{
    if (future_is(FUTURE_NATIVE) || future_is(FUTURE_OBJECT)) {
        list_init(&object.records);
        list_add(&record.head, &object.records);
        *size = future_is(FUTURE_NATIVE) ? sizeof object : 0;
        *data = (const char *) &object;
    }
    if (future_is(FUTURE_UNMAPPED)) {
        void *hole = mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (hole == MAP_FAILED) {
            fail("no address");
        }
        *data = hole;
    }
}
