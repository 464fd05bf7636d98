/*
 * The engine: one thread "flb-pipeline" with an event loop, chunks per input and tag, tasks, and
 * the ways to stop of the different releases.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/timerfd.h>
#include <ucontext.h>
#include <unistd.h>

#include "host.h"

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#endif

/* Records of one input under one tag. In the input's `chunks` ring until every output has it. */
struct chunk {
    struct mk_list head;
    char *tag;
    char *data;
    size_t size;
    bool busy;
};

#define CHUNK_HEAD 128

/* A chunk on its way to the outputs that have not taken it yet. */
struct task {
    struct task *next;
    struct mk_list head;
    struct instance *input;
    struct chunk *chunk;
    struct delivery {
        struct instance *output;
        int64_t due;
    } *deliveries;
    size_t delivery_count;
};

/* A stack with a guard page that the host's coroutines do not have. */
struct stack {
    ucontext_t caller;
    ucontext_t self;
    char *memory;
    size_t page;
    size_t size;
    unsigned valgrind;
};

/* A filter callback on a coroutine, as inputs that run as coroutines call it. */
struct filtering {
    struct stack stack;
    struct instance *filter;
    struct instance *input;
    const char *tag;
    size_t tag_length;
    const char *data;
    size_t size;
    void *out;
    size_t out_size;
    int result;
};

/* Less than any host gives its coroutines. */
#define FILTER_STACK_SIZE 16384u

/* A flush callback on its coroutine. */
struct flush {
    struct stack stack;
    struct instance *output;
    struct instance *input;
    void *event_chunk;
    bool ended;
    int result;
};

#define STACK_SIZE (HOST_VERSION >= 50100 ? 65536u : 24576u)

typedef int (*init_callback)(void *ins, void *config, void *data);
typedef int (*context_callback)(void *context, void *config);
typedef void (*pause_callback)(void *context, void *config);
typedef void (*flush_callback)(void *chunk, void *flush, void *input, void *context, void *config);
#if HOST_FILTER_NINE_ARGUMENTS
typedef int (*filter_callback)(const void *, size_t, const char *, int, void **, size_t *, void *, void *, void *);
#else
typedef int (*filter_callback)(const void *, size_t, const char *, int, void **, size_t *, void *, void *, void *,
                               void *);
#endif

static struct {
    int epoll;
    struct event channel;
    struct event flush_timer;
    struct event tick_timer;
    struct task *tasks;
    pthread_t thread;
    pthread_t pausing;       /* releases before 2.0.0: the thread that stops the engine */
    bool pausing_elsewhere;
    pthread_mutex_t lock;    /* held while the engine's thread works */
    bool running;
    bool stopping;
    bool ticking;
    int exit_calls;
    int64_t stop_deadline;
    int start_result;
    bool started;
    pthread_mutex_t start_lock;
    pthread_cond_t start_signal;
    struct flush *current;
    struct filtering *filtering;
    size_t deepest_flush;
    size_t deepest_filter;
} engine;

#define CALLBACK(type, base, offset) ((type) (uintptr_t) PTR_AT(base, offset))

static int64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t) now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static bool on_owning_thread(void)
{
    return pthread_equal(pthread_self(), engine.thread) ||
           (engine.pausing_elsewhere && pthread_equal(pthread_self(), engine.pausing));
}

/* ---- event loop ---- */

void engine_watch(struct event *event)
{
    struct epoll_event wanted = {.events = EPOLLIN, .data.ptr = event};
    if (epoll_ctl(engine.epoll, EPOLL_CTL_ADD, event->fd, &wanted) != 0 && errno != EEXIST) {
        fail("epoll does not take descriptor %d: %s", event->fd, strerror(errno));
    }
}

void engine_unwatch(struct event *event)
{
    epoll_ctl(engine.epoll, EPOLL_CTL_DEL, event->fd, NULL);
}

static void timer_arm(int fd, long milliseconds)
{
    struct itimerspec spec = {
        .it_interval = {.tv_sec = milliseconds / 1000, .tv_nsec = milliseconds % 1000 * 1000000},
        .it_value = {.tv_sec = milliseconds / 1000, .tv_nsec = milliseconds % 1000 * 1000000},
    };
    timerfd_settime(fd, 0, &spec, NULL);
}

static void timer_read(int fd)
{
    uint64_t expirations;
    if (read(fd, &expirations, sizeof expirations) < 0 && errno != EAGAIN) {
        fail("timer: %s", strerror(errno));
    }
}

static void watch_timer(struct event *event, enum event_kind kind, long milliseconds)
{
    event->kind = kind;
    event->fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
    timer_arm(event->fd, milliseconds);
    engine_watch(event);
}

static void tick_on(void)
{
    if (!engine.ticking) {
        engine.ticking = true;
        timer_arm(engine.tick_timer.fd, 20);
    }
}

/* ---- collectors ---- */

int engine_collector_start(struct collector *collector)
{
    if (collector->running) {
        return 0;
    }
    collector->running = true;
    collector->event.kind = EVENT_COLLECTOR;
    collector->event.owner = collector;
    if (collector->kind == COLLECT_TIME) {
        /* As the real host: the first expiry is at a whole second, so that intervals below one
         * second fire at once. */
        struct timespec now;
        struct itimerspec spec = {0};
        clock_gettime(CLOCK_MONOTONIC, &now);
        spec.it_interval.tv_sec = collector->seconds;
        spec.it_interval.tv_nsec = collector->milliseconds * 1000000;
        spec.it_value.tv_sec = now.tv_sec + collector->seconds;
        collector->event.fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
        timerfd_settime(collector->event.fd, TFD_TIMER_ABSTIME, &spec, NULL);
    }
    engine_watch(&collector->event);
    return 0;
}

int engine_collector_stop(struct collector *collector)
{
    if (!collector->running) {
        return 0;
    }
    collector->running = false;
    engine_unwatch(&collector->event);
    if (collector->kind == COLLECT_TIME) {
        close(collector->event.fd);
    }
    return 0;
}

/* ---- pause and resume ---- */

static bool input_paused(struct instance *input)
{
    return INT_AT(input->raw, gen.input->mem_buf_status) == FLB_INPUT_PAUSED ||
           INT_AT(input->raw, gen.input->storage_buf_status) == FLB_INPUT_PAUSED;
}

static void call_pause(struct instance *input)
{
    void *copy = input->plugin->copy;
    void *context = instance_context(input);
    if (input->plugin->builtin || context == NULL) {
        return;
    }
    input->pauses++;
    if (gen.input_plugin->cb_pause_checked >= 0 && PTR_AT(copy, gen.input_plugin->cb_pause_checked) != NULL) {
        CALLBACK(context_callback, copy, gen.input_plugin->cb_pause_checked)(context, host.config);
    }
    else if (PTR_AT(copy, gen.input_plugin->cb_pause) != NULL) {
        CALLBACK(pause_callback, copy, gen.input_plugin->cb_pause)(context, host.config);
    }
}

static void call_resume(struct instance *input)
{
    void *copy = input->plugin->copy;
    void *context = instance_context(input);
    if (input->plugin->builtin || context == NULL) {
        return;
    }
    if (gen.input_plugin->cb_resume_checked >= 0 && PTR_AT(copy, gen.input_plugin->cb_resume_checked) != NULL) {
        CALLBACK(context_callback, copy, gen.input_plugin->cb_resume_checked)(context, host.config);
    }
    else if (PTR_AT(copy, gen.input_plugin->cb_resume) != NULL) {
        CALLBACK(pause_callback, copy, gen.input_plugin->cb_resume)(context, host.config);
    }
}

/* Pauses what is not paused; releases before 2.0.0 also refuse its appends from then on. */
static void pause_all(void)
{
    for (struct instance *input = host.instances; input != NULL; input = input->next) {
        if (input->kind == INPUT && input->initialised && !input_paused(input)) {
            call_pause(input);
            if (HOST_VERSION < 20000) {
                INT_AT(input->raw, gen.input->mem_buf_status) = FLB_INPUT_PAUSED;
            }
        }
    }
}

/* ---- small stacks ---- */

static void stack_start(struct stack *stack, size_t size, void (*entry)(void))
{
    stack->page = (size_t) sysconf(_SC_PAGESIZE);
    stack->size = size;
    stack->memory = mmap(NULL, stack->page + size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (stack->memory == MAP_FAILED || mprotect(stack->memory, stack->page, PROT_NONE) != 0) {
        fail("no stack: %s", strerror(errno));
    }
    stack->valgrind =
        VALGRIND_STACK_REGISTER(stack->memory + stack->page, stack->memory + stack->page + size);
    getcontext(&stack->self);
    stack->self.uc_stack.ss_sp = stack->memory + stack->page;
    stack->self.uc_stack.ss_size = size;
    stack->self.uc_link = NULL;
    makecontext(&stack->self, entry, 0);
    swapcontext(&stack->caller, &stack->self);
}

/* Back to where the stack was started. */
static void stack_leave(struct stack *stack)
{
    swapcontext(&stack->self, &stack->caller);
}

/* Gives it back; the largest number of bytes of it that were written to goes to `deepest`. */
static void stack_end(struct stack *stack, size_t *deepest)
{
    const char *bytes = stack->memory + stack->page;
    size_t untouched = 0;
#if defined(__SANITIZE_ADDRESS__)
    __asan_unpoison_memory_region(bytes, stack->size);
#endif
    VALGRIND_STACK_DEREGISTER(stack->valgrind);
    (void) VALGRIND_MAKE_MEM_DEFINED(bytes, stack->size);
    while (untouched < stack->size && bytes[untouched] == 0) {
        untouched++;
    }
    if (stack->size - untouched > *deepest) {
        *deepest = stack->size - untouched;
    }
    munmap(stack->memory, stack->page + stack->size);
}

/* ---- records: append, filter, dispatch ---- */

static void filter_entry(void)
{
    struct filtering *f = engine.filtering;
    void *copy = f->filter->plugin->copy;
#if HOST_FILTER_NINE_ARGUMENTS
    f->result = CALLBACK(filter_callback, copy, gen.filter_plugin->cb_filter)(
        f->data, f->size, f->tag, (int) f->tag_length, &f->out, &f->out_size, f->filter->raw,
        instance_context(f->filter), host.config);
#else
    f->result = CALLBACK(filter_callback, copy, gen.filter_plugin->cb_filter)(
        f->data, f->size, f->tag, (int) f->tag_length, &f->out, &f->out_size, f->filter->raw, f->input->raw,
        instance_context(f->filter), host.config);
#endif
    stack_leave(&f->stack);
}

/* The result of a filter, or what it was given. */
static char *run_filter(struct instance *filter, struct instance *input, const char *tag, size_t tag_length,
                        char *data, size_t *size)
{
    void *out;
    size_t out_size;
    /* Exactly as long as it is, without a NUL: processors do not promise one. */
    char *exact_tag = host_copy(tag, tag_length);
    char *before = host_copy(data, *size);
    struct filtering f = {.filter = filter, .input = input, .tag = exact_tag, .tag_length = tag_length,
                          .data = data, .size = *size};
    struct filtering *outer = engine.filtering;
    int result;

    future_batch(&f.data, &f.size);
    engine.filtering = &f;
    stack_start(&f.stack, FILTER_STACK_SIZE, filter_entry);
    engine.filtering = outer;
    stack_end(&f.stack, &engine.deepest_filter);
    out = f.out;
    out_size = f.out_size;
    result = f.result;
    free(exact_tag);
    if (memcmp(before, data, *size) != 0) {
        fail("filter %s wrote into its input", instance_name(filter));
    }
    free(before);
    if (future_is(FUTURE_IGNORES_FILTERS)) {
        free(out);
        return data;
    }
    if (result == FLB_FILTER_NOTOUCH) {
        if (out != NULL || out_size != 0) {
            fail("filter %s says NOTOUCH but hands over a buffer", instance_name(filter));
        }
        return data;
    }
    if (result != FLB_FILTER_MODIFIED) {
        fail("filter %s returns %d", instance_name(filter), result);
    }
    if ((out == NULL) != (out_size == 0)) {
        fail("filter %s hands over %p with %zu bytes", instance_name(filter), out, out_size);
    }
    free(data);
    *size = out_size;
    if (out == NULL) {
        return host_copy("", 0);
    }
    /* A fresh copy: what frees `out` here must be what allocated it there. */
    data = host_copy(out, out_size);
    free(out);
    return data;
}

static struct chunk *open_chunk(struct instance *input, const char *tag, size_t tag_length)
{
    struct mk_list *chunks = LIST_AT(input->raw, gen.input->chunks);
    struct chunk *chunk;
    for (struct mk_list *head = chunks->next; head != chunks; head = head->next) {
        chunk = (struct chunk *) head;
        if (!chunk->busy && sds_length(chunk->tag) == tag_length && memcmp(chunk->tag, tag, tag_length) == 0) {
            return chunk;
        }
    }
    /* What a release has in front of the node is never looked at: it does not lead to the input. */
    chunk = (struct chunk *) ((char *) host_alloc(CHUNK_HEAD + sizeof *chunk) + CHUNK_HEAD);
    chunk->tag = sds_new(tag, tag_length);
    list_add(&chunk->head, chunks);
    return chunk;
}

static void chunk_free(struct chunk *chunk)
{
    list_del(&chunk->head);
    sds_free(chunk->tag);
    free(chunk->data);
    free((char *) chunk - CHUNK_HEAD);
}

/* Memory in use, and whether the input may go on. */
static void account(struct instance *input)
{
    struct mk_list *chunks = LIST_AT(input->raw, gen.input->chunks);
    size_t limit = SIZE_AT(input->raw, gen.input->mem_buf_limit);
    size_t total = 0;
    for (struct mk_list *head = chunks->next; head != chunks; head = head->next) {
        total += ((struct chunk *) head)->size;
    }
    SIZE_AT(input->raw, gen.input->mem_chunks_size) = total;
    if (limit == 0) {
        return;
    }
    if (total >= limit && !input_paused(input)) {
        INT_AT(input->raw, gen.input->mem_buf_status) = FLB_INPUT_PAUSED;
        flb_log_print(FLB_LOG_WARN, NULL, 0, "[input] %s paused (mem buf overlimit)", instance_name(input));
        /* From inside the append that crossed the limit. */
        call_pause(input);
    }
    else if (total < limit && input_paused(input) &&
             INT_AT(host.config, gen.config->is_ingestion_active)) {
        INT_AT(input->raw, gen.input->mem_buf_status) = FLB_INPUT_RUNNING;
        flb_log_print(FLB_LOG_INFO, NULL, 0, "[input] %s resume (mem buf overlimit)", instance_name(input));
        call_resume(input);
    }
}

int engine_append(struct instance *input, size_t records, const char *tag, size_t tag_length, const void *buffer,
                  size_t size, bool check)
{
    char *data;
    struct chunk *chunk;
    char *own_tag;

    if (!on_owning_thread()) {
        fail("%s appends from a thread that does not own it", instance_name(input));
    }
    if (size == 0) {
        return -1;
    }
    if (input_paused(input)) {
        return -1;
    }
    if (check) {
        bool whole;
        size_t count = msgpack_count(buffer, size, &whole);
        if (!whole) {
            fail("%s appends a buffer that is no row of whole msgpack values", instance_name(input));
        }
        if (records != 0 && count != records) {
            fail("%s appends %zu records and says %zu", instance_name(input), count, records);
        }
    }
    if (tag == NULL || tag_length == 0) {
        tag = PTR_AT(input->raw, gen.input->tag);
        tag_length = strlen(tag);
    }
    else if (tag[tag_length] != '\0') {
        fail("%s appends with a tag that no NUL ends: flb_router_match reads it", instance_name(input));
    }
    if (future_is(FUTURE_CRASHES)) {
        abort();
    }
    if (future_is(FUTURE_LOSES)) {
        return 0;
    }
    if (future_is(FUTURE_REFUSES)) {
        return -1;
    }
    own_tag = sds_new(tag, tag_length);
    data = host_copy(buffer, size);
    for (struct instance *filter = host.instances; filter != NULL && size > 0; filter = filter->next) {
        if (future_is(FUTURE_PASSES_FILTERS)) {
            continue;
        }
        if (filter->kind == FILTER && filter->initialised && tag_matches(filter->match, own_tag, tag_length)) {
            data = run_filter(filter, input, own_tag, tag_length, data, &size);
        }
    }
    if (size > 0) {
        chunk = open_chunk(input, own_tag, tag_length);
        chunk->data = realloc(chunk->data, chunk->size + size);
        if (chunk->data == NULL) {
            fail("out of memory");
        }
        memcpy(chunk->data + chunk->size, data, size);
        chunk->size += size;
    }
    free(data);
    sds_free(own_tag);
    account(input);
    return 0;
}

/* ---- flush ---- */

static void flush_entry(void)
{
    struct flush *flush = engine.current;
    void *copy = flush->output->plugin->copy;
    CALLBACK(flush_callback, copy, gen.output_plugin->cb_flush)(
        flush->event_chunk, flush, flush->input != NULL ? flush->input->raw : NULL,
        instance_context(flush->output), host.config);
    fail("cb_flush of %s returned: it must end through the host", instance_name(flush->output));
}

/* The end of a flush, called on the coroutine; does not return there. */
void flush_done(int result)
{
    struct flush *flush = engine.current;
    if (flush == NULL) {
        fail("a flush ends that was never started");
    }
    flush->ended = true;
    flush->result = result;
    stack_leave(&flush->stack);
    fail("a flush goes on after its end");
}

/* Runs cb_flush on a stack as small as the host's. */
static int run_flush(struct instance *output, struct instance *input, void *event_chunk)
{
    struct flush flush = {.output = output, .input = input, .event_chunk = event_chunk};
    struct flush *outer = engine.current;

    engine.current = &flush;
    stack_start(&flush.stack, STACK_SIZE, flush_entry);
    engine.current = outer;
    stack_end(&flush.stack, &engine.deepest_flush);
    if (!flush.ended) {
        fail("cb_flush of %s did not end", instance_name(output));
    }
    return flush.result;
}

static void deliver(struct instance *output, struct instance *input, struct chunk *chunk)
{
    void *event_chunk;
    char *data;
    char *tag;
    bool whole;

    if (output->plugin->builtin) {
        builtin_flush(output, chunk->tag, chunk->data, chunk->size);
        return;
    }
    event_chunk = host_alloc((size_t) gen.event_chunk->bytes);
    data = host_copy(chunk->data, chunk->size);
    tag = sds_new(chunk->tag, sds_length(chunk->tag));
    PTR_AT(event_chunk, gen.event_chunk->tag) = tag;
    PTR_AT(event_chunk, gen.event_chunk->data) = data;
    SIZE_AT(event_chunk, gen.event_chunk->size) = chunk->size;
    SIZE_AT(event_chunk, gen.event_chunk->total_events) =
        msgpack_count((const uint8_t *) chunk->data, chunk->size, &whole);
    if (run_flush(output, input, event_chunk) != FLB_OK) {
        fail("flush of %s: only OK is played here", instance_name(output));
    }
    if (memcmp(data, chunk->data, chunk->size) != 0) {
        fail("output %s wrote into the chunk", instance_name(output));
    }
    sds_free(tag);
    free(data);
    free(event_chunk);
}

/* Delivers what is due; a task without deliveries left is done. */
static void work_on_tasks(void)
{
    struct task **link = &engine.tasks;
    while (*link != NULL) {
        struct task *task = *link;
        size_t left = 0;
        for (size_t i = 0; i < task->delivery_count; i++) {
            struct delivery *delivery = &task->deliveries[i];
            if (delivery->due <= now_ms()) {
                deliver(delivery->output, task->input, task->chunk);
            }
            else {
                task->deliveries[left++] = *delivery;
            }
        }
        task->delivery_count = left;
        if (left > 0) {
            tick_on();
            link = &task->next;
            continue;
        }
        *link = task->next;
        list_del(&task->head);
        chunk_free(task->chunk);
        free(task->deliveries);
        account(task->input);
        free(task);
    }
}

/* Starts a task for every chunk that has none. */
void engine_flush(void)
{
    if (!on_owning_thread()) {
        fail("flb_engine_flush from a thread that is not the engine's");
    }
    for (struct instance *input = host.instances; input != NULL; input = input->next) {
        struct mk_list *chunks;
        if (input->kind != INPUT) {
            continue;
        }
        chunks = LIST_AT(input->raw, gen.input->chunks);
        for (struct mk_list *head = chunks->next; head != chunks; head = head->next) {
            struct chunk *chunk = (struct chunk *) head;
            struct task *task;
            struct task **last = &engine.tasks;
            if (chunk->busy) {
                continue;
            }
            chunk->busy = true;
            task = host_alloc(sizeof *task);
            task->input = input;
            task->chunk = chunk;
            task->deliveries = host_alloc(sizeof *task->deliveries);
            for (struct instance *output = host.instances; output != NULL; output = output->next) {
                if (output->kind == OUTPUT && tag_matches(output->match, chunk->tag, sds_length(chunk->tag))) {
                    task->deliveries = realloc(task->deliveries,
                                               (task->delivery_count + 1) * sizeof *task->deliveries);
                    if (task->deliveries == NULL) {
                        fail("out of memory");
                    }
                    task->deliveries[task->delivery_count].output = output;
                    task->deliveries[task->delivery_count++].due = now_ms() + builtin_delay(output);
                }
            }
            list_add(&task->head, LIST_AT(input->raw, gen.input->tasks));
            while (*last != NULL) {
                last = &(*last)->next;
            }
            *last = task;
        }
    }
    work_on_tasks();
}

int engine_running_tasks(void)
{
    int count = 0;
    for (struct task *task = engine.tasks; task != NULL; task = task->next) {
        count++;
    }
    return count;
}

int engine_chunks(void)
{
    int count = 0;
    for (struct instance *input = host.instances; input != NULL; input = input->next) {
        if (input->kind == INPUT) {
            struct mk_list *chunks = LIST_AT(input->raw, gen.input->chunks);
            for (struct mk_list *head = chunks->next; head != chunks; head = head->next) {
                count++;
            }
        }
    }
    return count;
}

/* ---- stop ---- */

/* Callable from any thread from 2.0.0 on; before, the inputs are paused on the caller's thread. */
void engine_stop(int status, bool set_status)
{
    uint64_t one = 1;
    if (set_status) {
        INT_AT(host.config, gen.config->exit_status_code) = status;
    }
    if (++engine.exit_calls > 1) {
        flb_log_print(FLB_LOG_ERROR, NULL, 0, "[testhost] flb_engine_exit called %d times", engine.exit_calls);
    }
    if (HOST_VERSION < 20000) {
        bool elsewhere = !pthread_equal(pthread_self(), engine.thread);
        if (elsewhere) {
            pthread_mutex_lock(&engine.lock);
            engine.pausing = pthread_self();
            engine.pausing_elsewhere = true;
        }
        INT_AT(host.config, gen.config->is_ingestion_active) = 0;
        INT_AT(host.config, gen.config->is_shutting_down) = 1;
        pause_all();
        if (elsewhere) {
            engine.pausing_elsewhere = false;
            pthread_mutex_unlock(&engine.lock);
        }
    }
    if (write(engine.channel.fd, &one, sizeof one) < 0) {
        fail("channel: %s", strerror(errno));
    }
}

static bool pending(void)
{
    return engine.tasks != NULL || (HOST_VERSION >= 40003 && engine_chunks() > 0);
}

static void stop_requested(void)
{
    if (engine.stopping) {
        return;
    }
    engine.stopping = true;
    engine.stop_deadline = now_ms() + INT_AT(host.config, gen.config->grace) * 1000;
    flb_log_print(FLB_LOG_WARN, NULL, 0, "[engine] service will shutdown in max %d seconds",
                  INT_AT(host.config, gen.config->grace));
    engine_flush();
    if (HOST_VERSION >= 20000) {
        INT_AT(host.config, gen.config->is_ingestion_active) = 0;
        INT_AT(host.config, gen.config->is_shutting_down) = 1;
        pause_all();
    }
    tick_on();
}

static void tick(void)
{
    work_on_tasks();
    if (engine.stopping) {
        if (HOST_VERSION >= 40003 || HOST_VERSION < 20000) {
            engine_flush();
        }
        if (!pending() || now_ms() >= engine.stop_deadline) {
            engine.running = false;
        }
    }
    else if (engine.tasks == NULL) {
        engine.ticking = false;
        timer_arm(engine.tick_timer.fd, 0);
    }
}

/* ---- start and end ---- */

static void null_calls(struct instance *instance)
{
    void *copy = instance->plugin->copy;
    void *out = NULL;
    size_t size = 0;
    if (instance->plugin->builtin) {
        return;
    }
    switch (instance->kind) {
    case INPUT:
        CALLBACK(init_callback, copy, gen.input_plugin->cb_init)(NULL, NULL, NULL);
        if (PTR_AT(copy, gen.input_plugin->cb_collect) != NULL) {
            CALLBACK(init_callback, copy, gen.input_plugin->cb_collect)(NULL, NULL, NULL);
        }
        if (PTR_AT(copy, gen.input_plugin->cb_pause) != NULL) {
            CALLBACK(pause_callback, copy, gen.input_plugin->cb_pause)(NULL, NULL);
        }
        if (PTR_AT(copy, gen.input_plugin->cb_resume) != NULL) {
            CALLBACK(pause_callback, copy, gen.input_plugin->cb_resume)(NULL, NULL);
        }
        CALLBACK(context_callback, copy, gen.input_plugin->cb_exit)(NULL, NULL);
        break;
    case FILTER:
        CALLBACK(init_callback, copy, gen.filter_plugin->cb_init)(NULL, NULL, NULL);
#if HOST_FILTER_NINE_ARGUMENTS
        CALLBACK(filter_callback, copy, gen.filter_plugin->cb_filter)(NULL, 0, NULL, 0, NULL, NULL, NULL, NULL, NULL);
        CALLBACK(filter_callback, copy, gen.filter_plugin->cb_filter)(NULL, 0, NULL, 0, &out, &size, instance->raw,
                                                                      instance_context(instance), host.config);
#else
        CALLBACK(filter_callback, copy, gen.filter_plugin->cb_filter)(NULL, 0, NULL, 0, NULL, NULL, NULL, NULL, NULL,
                                                                      NULL);
        CALLBACK(filter_callback, copy, gen.filter_plugin->cb_filter)(NULL, 0, NULL, 0, &out, &size, instance->raw,
                                                                      NULL, instance_context(instance), host.config);
#endif
        if (out != NULL || size != 0) {
            fail("filter %s makes a buffer out of nothing", instance_name(instance));
        }
        CALLBACK(context_callback, copy, gen.filter_plugin->cb_exit)(NULL, NULL);
        break;
    case OUTPUT:
        CALLBACK(init_callback, copy, gen.output_plugin->cb_init)(NULL, NULL, NULL);
        run_flush(instance, NULL, NULL);
        CALLBACK(context_callback, copy, gen.output_plugin->cb_exit)(NULL, NULL);
        break;
    }
}

static const char *kind_name(enum kind kind)
{
    return kind == INPUT ? "input" : kind == FILTER ? "filter" : "output";
}

static int init_instance(struct instance *instance)
{
    void *copy = instance->plugin->copy;
    int result = 0;
    if (INT_AT(instance->raw, instance->kind == INPUT ? gen.input->log_level
               : instance->kind == FILTER ? gen.filter->log_level : gen.output->log_level) == -1) {
        INT_AT(instance->raw, instance->kind == INPUT ? gen.input->log_level
               : instance->kind == FILTER ? gen.filter->log_level : gen.output->log_level) = host.log_level;
    }
    if (instance->kind == INPUT && PTR_AT(instance->raw, gen.input->tag) == NULL) {
        instance_set(instance, "tag", AT(instance->raw, gen.input->name));
    }
    if (instance->kind != INPUT) {
        const char *match = PTR_AT(instance->raw, instance->kind == FILTER ? gen.filter->match : gen.output->match);
        instance->match = host_strdup(match != NULL ? match : "*");
    }
    if (instance->plugin->builtin) {
        builtin_init(instance);
        instance->initialised = true;
        return 0;
    }
    if (instance_check_properties(instance) != 0) {
        return -1;
    }
    switch (instance->kind) {
    case INPUT:
        result = CALLBACK(init_callback, copy, gen.input_plugin->cb_init)(instance->raw, host.config, NULL);
        break;
    case FILTER:
        if (gen.filter_plugin->cb_pre_run >= 0 && PTR_AT(copy, gen.filter_plugin->cb_pre_run) != NULL) {
            result = CALLBACK(init_callback, copy, gen.filter_plugin->cb_pre_run)(instance->raw, host.config, NULL);
        }
        if (result == 0) {
            result = CALLBACK(init_callback, copy, gen.filter_plugin->cb_init)(instance->raw, host.config, NULL);
        }
        break;
    case OUTPUT:
        result = CALLBACK(init_callback, copy, gen.output_plugin->cb_init)(instance->raw, host.config, NULL);
        if (result != 0 && result != -1) {
            fail("cb_init of output %s returns %d, which the host takes for success", instance_name(instance), result);
        }
        break;
    }
    if (result != 0) {
        flb_log_print(FLB_LOG_ERROR, NULL, 0, "[%s] failed initialize %s %s", kind_name(instance->kind),
                      kind_name(instance->kind), instance_name(instance));
        return -1;
    }
    if (instance->kind != OUTPUT && instance_context(instance) == NULL) {
        fail("%s %s set no context: its cb_exit would be skipped", kind_name(instance->kind), instance_name(instance));
    }
    instance->initialised = true;
    return 0;
}

static int init_all(void)
{
    static const enum kind order[] = {INPUT, FILTER, OUTPUT};
    for (int i = 0; i < 3; i++) {
        for (struct instance *instance = host.instances; instance != NULL; instance = instance->next) {
            if (instance->kind == order[i] && init_instance(instance) != 0) {
                return -1;
            }
        }
        if (order[i] != FILTER) {
            continue;
        }
        for (struct instance *instance = host.instances; instance != NULL; instance = instance->next) {
            void *copy = instance->plugin->copy;
            if (instance->kind == INPUT && PTR_AT(copy, gen.input_plugin->cb_pre_run) != NULL) {
                CALLBACK(init_callback, copy, gen.input_plugin->cb_pre_run)(instance->raw, host.config,
                                                                            instance_context(instance));
            }
        }
    }
    for (struct instance *instance = host.instances; instance != NULL; instance = instance->next) {
        void *copy = instance->plugin->copy;
        if (instance->kind == OUTPUT && PTR_AT(copy, gen.output_plugin->cb_pre_run) != NULL) {
            CALLBACK(context_callback, copy, gen.output_plugin->cb_pre_run)(instance_context(instance), host.config);
        }
    }
    return 0;
}

static void exit_instance(struct instance *instance)
{
    void *copy = instance->plugin->copy;
    void *context = instance_context(instance);
    if (!instance->initialised) {
        return;
    }
    instance->initialised = false;
    if (instance->plugin->builtin) {
        builtin_exit(instance);
        return;
    }
    switch (instance->kind) {
    case INPUT:
        if (context != NULL) {
            CALLBACK(context_callback, copy, gen.input_plugin->cb_exit)(context, host.config);
        }
        break;
    case FILTER:
        if (context != NULL) {
            CALLBACK(context_callback, copy, gen.filter_plugin->cb_exit)(context, host.config);
        }
        break;
    case OUTPUT:
        CALLBACK(context_callback, copy, gen.output_plugin->cb_exit)(context, host.config);
        break;
    }
}

static void exit_all(void)
{
#if HOST_VERSION >= 20108
    static const enum kind order[] = {FILTER, OUTPUT, INPUT};
#elif HOST_VERSION >= 20000
    static const enum kind order[] = {INPUT, FILTER, OUTPUT};
#else
    static const enum kind order[] = {FILTER, INPUT, OUTPUT};
#endif
    for (int i = 0; i < 3; i++) {
        for (struct instance *instance = host.instances; instance != NULL; instance = instance->next) {
            if (instance->kind == order[i]) {
                exit_instance(instance);
            }
        }
    }
}

static void print_metrics(void)
{
    FILE *file;
    if (host.metrics_path == NULL) {
        return;
    }
    file = fopen(host.metrics_path, "w");
    if (file == NULL) {
        fail("%s: %s", host.metrics_path, strerror(errno));
    }
    for (struct instance *instance = host.instances; instance != NULL; instance = instance->next) {
        metrics_print(file, instance_name(instance), instance->cmt);
    }
    fclose(file);
}

static void release(void)
{
    while (engine.tasks != NULL) {
        struct task *next = engine.tasks->next;
        list_del(&engine.tasks->head);
        engine.tasks->chunk->busy = false;
        free(engine.tasks->deliveries);
        free(engine.tasks);
        engine.tasks = next;
    }
    print_metrics();
    while (host.instances != NULL) {
        struct instance *instance = host.instances;
        host.instances = instance->next;
        while (instance->collectors != NULL) {
            struct collector *next = instance->collectors->next;
            engine_collector_stop(instance->collectors);
            free(instance->collectors);
            instance->collectors = next;
        }
        if (instance->kind == INPUT) {
            struct mk_list *chunks = LIST_AT(instance->raw, gen.input->chunks);
            while (!list_empty(chunks)) {
                struct chunk *chunk = (struct chunk *) chunks->next;
                flb_log_print(FLB_LOG_WARN, NULL, 0, "[testhost] %s: %zu bytes of %s are lost",
                              instance_name(instance), chunk->size, chunk->tag);
                chunk_free(chunk);
            }
        }
        free(instance->match);
        instance_free(instance);
    }
    timers_free();
    close(engine.channel.fd);
    close(engine.flush_timer.fd);
    close(engine.tick_timer.fd);
    close(engine.epoll);
}

static void dispatch(struct event *event)
{
    switch (event->kind) {
    case EVENT_COLLECTOR: {
        struct collector *collector = event->owner;
        if (collector->kind == COLLECT_TIME) {
            timer_read(event->fd);
        }
        collector->callback(collector->instance->raw, host.config, instance_context(collector->instance));
        break;
    }
    case EVENT_TIMER:
        timer_fire(event);
        break;
    case EVENT_FLUSH:
        timer_read(event->fd);
        engine_flush();
        break;
    case EVENT_CHANNEL:
        timer_read(event->fd);
        stop_requested();
        break;
    case EVENT_TICK:
        timer_read(event->fd);
        tick();
        break;
    }
    timers_sweep();
}

static void announce(int result)
{
    pthread_mutex_lock(&engine.start_lock);
    engine.start_result = result;
    engine.started = true;
    pthread_cond_signal(&engine.start_signal);
    pthread_mutex_unlock(&engine.start_lock);
}

static void run_once(void)
{
    if (host.once && !engine.stopping && engine.exit_calls == 0 && engine.tasks == NULL && engine_chunks() == 0) {
        engine_stop(0, false);
    }
}

static void *engine_main(void *unused)
{
    int result;
    (void) unused;
    pthread_setname_np(pthread_self(), "flb-pipeline");
    pthread_mutex_lock(&engine.lock);
    engine.thread = pthread_self();
    engine.running = true;
    INT_AT(host.config, gen.config->is_running) = 1;
    DOUBLE_AT(host.config, gen.config->flush) = host.flush_seconds;
    result = init_all();
    if (result == 0) {
        watch_timer(&engine.flush_timer, EVENT_FLUSH, (long) (host.flush_seconds * 1000));
        for (struct instance *instance = host.instances; instance != NULL; instance = instance->next) {
            for (struct collector *collector = instance->collectors; collector != NULL; collector = collector->next) {
                engine_collector_start(collector);
            }
        }
        if (host.null_calls) {
            for (struct instance *instance = host.instances; instance != NULL; instance = instance->next) {
                null_calls(instance);
            }
        }
        builtin_run_raw_chunks();
        if (host.once) {
            engine_flush();
            run_once();
        }
    }
    announce(result);
    while (result == 0 && engine.running) {
        struct epoll_event event;
        int ready;
        pthread_mutex_unlock(&engine.lock);
        ready = epoll_wait(engine.epoll, &event, 1, -1);
        pthread_mutex_lock(&engine.lock);
        if (ready == 1) {
            dispatch(event.data.ptr);
            run_once();
        }
        else if (ready < 0 && errno != EINTR) {
            fail("epoll_wait: %s", strerror(errno));
        }
    }
    if (result == 0 && HOST_VERSION >= 20000) {
        /* Once more, after the last flush: what is appended now goes nowhere. */
        pause_all();
    }
    exit_all();
    flb_log_print(FLB_LOG_INFO, NULL, 0, "[engine] service has stopped");
    if (engine.deepest_flush > 0) {
        flb_log_print(FLB_LOG_INFO, NULL, 0, "[testhost] cb_flush used at most %zu of %u bytes of stack",
                      engine.deepest_flush, STACK_SIZE);
    }
    if (engine.deepest_filter > 0) {
        flb_log_print(FLB_LOG_INFO, NULL, 0, "[testhost] cb_filter used at most %zu of %u bytes of stack",
                      engine.deepest_filter, FILTER_STACK_SIZE);
    }
    release();
    pthread_mutex_unlock(&engine.lock);
    return NULL;
}

static pthread_t thread;

/* Starts the engine's thread and waits until every plugin is initialised. */
int engine_start(void)
{
    pthread_mutexattr_t recursive;
    engine.epoll = epoll_create1(EPOLL_CLOEXEC);
    engine.channel.kind = EVENT_CHANNEL;
    engine.channel.fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    engine_watch(&engine.channel);
    engine.flush_timer.fd = -1;
    watch_timer(&engine.tick_timer, EVENT_TICK, 0);
    pthread_mutexattr_init(&recursive);
    pthread_mutexattr_settype(&recursive, PTHREAD_MUTEX_RECURSIVE);
    pthread_mutex_init(&engine.lock, &recursive);
    pthread_mutexattr_destroy(&recursive);
    pthread_mutex_init(&engine.start_lock, NULL);
    pthread_cond_init(&engine.start_signal, NULL);
    if (pthread_create(&thread, NULL, engine_main, NULL) != 0) {
        fail("no thread");
    }
    pthread_mutex_lock(&engine.start_lock);
    while (!engine.started) {
        pthread_cond_wait(&engine.start_signal, &engine.start_lock);
    }
    pthread_mutex_unlock(&engine.start_lock);
    if (engine.start_result != 0) {
        pthread_join(thread, NULL);
        return -1;
    }
    return 0;
}

/* Waits for the engine's end; the status that it leaves. */
int engine_wait(void)
{
    pthread_join(thread, NULL);
    return INT_AT(host.config, gen.config->exit_status_code);
}
