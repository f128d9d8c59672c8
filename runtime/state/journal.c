/*
 * The journal's front. Appending costs the loop a copy and a list insertion; what one loop turn
 * appends goes to the thread together, just before the loop sleeps. While the thread writes and
 * syncs, the next turn's records gather: one fdatasync serves them all.
 */
#include "runtime/state/journal.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "runtime/state/journal-internal.h"

#define BATCH_MAX 256 /* records in one write */

struct request {
    struct sp_list node;
    struct journal_record record; /* its slices point behind the request */
    enum sp_journal_safety safety;
    sp_journal_fn *done;
    void *arg;
    int result; /* 0 or a negative errno */
    size_t bytes;
};

struct sp_journal {
    uv_loop_t *loop;
    uv_async_t wake;    /* the thread has answers */
    uv_prepare_t flush; /* active while `fresh` holds something */
    uv_thread_t thread;
    unsigned open_handles;
    struct journal_log *log; /* the thread's, once it runs */
    uint64_t max_bytes;

    struct sp_list fresh; /* loop only: appended in this turn */
    bool closing;
    void (*closed)(void *arg);
    void *closed_arg;

    uv_mutex_t lock; /* the fields of this block */
    uv_cond_t asked;
    struct sp_list pending;
    struct sp_list answered;
    bool asleep; /* the thread waits: only then a signal is worth its system call */
    bool stop;
    bool stopped;

    _Atomic uint64_t pending_bytes;
    _Atomic bool failed;
    _Atomic uint64_t live_bytes, records, syncs, sync_ns, segments; /* for sp_journal_stats */
};

/* --- on the thread ---------------------------------------------------------------------------- */

static void publish(struct sp_journal *journal)
{
    const struct journal_log *log = journal->log;

    atomic_store_explicit(&journal->live_bytes, log->live_bytes, memory_order_relaxed);
    atomic_store_explicit(&journal->records, log->next_seq - 1, memory_order_relaxed);
    atomic_store_explicit(&journal->syncs, log->syncs, memory_order_relaxed);
    atomic_store_explicit(&journal->sync_ns, log->sync_ns, memory_order_relaxed);
    atomic_store_explicit(&journal->segments, log->n_segments, memory_order_relaxed);
    atomic_store(&journal->failed, log->failed);
}

/* Nobody waits for these: the failure is told here, and the memory goes here. */
static void finish_silent(struct sp_journal *journal, struct request *request)
{
    static struct sp_log_rate rate = {.burst = 5, .window_ms = 10000};

    if (request->result < 0 && sp_log_allowed(&rate))
        sp_log(SP_LOG_ERROR, "journal.append_failed", "type=%d err=%s", (int)request->record.type,
               sp_log_quoted(strerror(-request->result)));
    atomic_fetch_sub(&journal->pending_bytes, request->bytes);
    free(request);
}

/* Hands the first `n` of `requests` back, in order. */
static void hand_back(struct sp_journal *journal, struct sp_list *requests, size_t n)
{
    bool any = false;
    struct sp_list answered;

    sp_list_init(&answered);
    for (; n > 0 && !sp_list_empty(requests); n--) {
        struct request *request = SP_LIST_TAKE(requests, struct request, node);

        if (!request->done) {
            finish_silent(journal, request);
            continue;
        }
        sp_list_append(&answered, &request->node);
        any = true;
    }
    if (!any)
        return;
    uv_mutex_lock(&journal->lock);
    sp_list_move_all(&answered, &journal->answered);
    uv_mutex_unlock(&journal->lock);
    (void)uv_async_send(&journal->wake);
}

/* Writes up to BATCH_MAX records from `list`; if that fails each alone, so that what fits is kept.
 */
static size_t write_batch(struct journal_log *log, struct sp_list *list)
{
    struct journal_record *records[BATCH_MAX];
    struct request *requests[BATCH_MAX];
    bool sync = false;
    size_t n = 0;
    int r;

    SP_LIST_EACH (request, list, struct request, node) {
        if (n == BATCH_MAX)
            break;
        requests[n] = request;
        records[n++] = &request->record;
        sync |= request->safety == SP_JOURNAL_SYNCED;
    }
    r = journal_log_append(log, records, n, sync);
    for (size_t i = 0; i < n; i++)
        requests[i]->result = r == 0 || n == 1 ? r : journal_log_append(log, &records[i], 1, sync);
    return n;
}

/* Those before the first that needs a sync are as safe as they asked for: they need not wait. */
static size_t unsynced_prefix(const struct sp_list *list, size_t n)
{
    size_t prefix = 0;

    SP_LIST_EACH (request, list, struct request, node) {
        if (prefix == n || request->safety == SP_JOURNAL_SYNCED)
            break;
        prefix++;
    }
    return prefix;
}

/* A record that was written and is not synced is not safe; it may still be there after a crash. */
static void fail_synced(struct sp_list *list, size_t n, int result)
{
    SP_LIST_EACH (request, list, struct request, node) {
        if (n-- == 0)
            break;
        if (request->safety == SP_JOURNAL_SYNCED && request->result == 0)
            request->result = result;
    }
}

static void write_all(struct sp_journal *journal, struct sp_list *list)
{
    while (!sp_list_empty(list)) {
        size_t n = write_batch(journal->log, list);
        size_t prefix = unsynced_prefix(list, n);
        int r;

        hand_back(journal, list, prefix);
        if (prefix < n && (r = journal_log_sync(journal->log)) < 0)
            fail_synced(list, n - prefix, r);
        publish(journal);
        hand_back(journal, list, n - prefix);
    }
}

/* Waits until there is work, or for `wait_ms`; false when it is time to end. */
static bool take_pending(struct sp_journal *journal, uint64_t wait_ms, struct sp_list *ret)
{
    bool go_on;

    uv_mutex_lock(&journal->lock);
    if (sp_list_empty(&journal->pending) && !journal->stop && wait_ms > 0) {
        journal->asleep = true;
        if (wait_ms == UINT64_MAX)
            while (sp_list_empty(&journal->pending) && !journal->stop)
                uv_cond_wait(&journal->asked, &journal->lock);
        else
            (void)uv_cond_timedwait(&journal->asked, &journal->lock, wait_ms * 1000000);
        journal->asleep = false;
    }
    sp_list_move_all(&journal->pending, ret);
    go_on = !sp_list_empty(ret) || !journal->stop;
    uv_mutex_unlock(&journal->lock);
    return go_on;
}

static void thread_main(void *arg)
{
    struct sp_journal *journal = arg;
    uint64_t wait_ms = 0;
    struct sp_list list;

    sp_list_init(&list);
    while (take_pending(journal, wait_ms, &list)) {
        bool idle = sp_list_empty(&list);

        write_all(journal, &list);
        wait_ms = journal_log_reclaim(journal->log, idle);
        if (!idle)
            wait_ms = 0; /* once more, when nothing waits */
        publish(journal);
    }
    (void)journal_log_sync(journal->log);
    journal_log_close(journal->log);

    uv_mutex_lock(&journal->lock);
    journal->stopped = true;
    uv_mutex_unlock(&journal->lock);
    (void)uv_async_send(&journal->wake);
}

/* --- on the loop ------------------------------------------------------------------------------ */

static void on_handle_closed(uv_handle_t *handle)
{
    struct sp_journal *journal = handle->data;
    void (*closed)(void *arg) = journal->closed;
    void *arg = journal->closed_arg;

    if (--journal->open_handles > 0)
        return;
    uv_cond_destroy(&journal->asked);
    uv_mutex_destroy(&journal->lock);
    free(journal);
    if (closed)
        closed(arg);
}

static void close_handles(struct sp_journal *journal)
{
    uv_close((uv_handle_t *)&journal->wake, on_handle_closed);
    uv_close((uv_handle_t *)&journal->flush, on_handle_closed);
}

static void answer(struct sp_journal *journal, struct request *request)
{
    struct sp_error err = {0};

    atomic_fetch_sub(&journal->pending_bytes, request->bytes);
    if (request->result == 0) {
        request->done(request->arg, NULL);
    } else {
        (void)sp_error_set(&err, SP_ERR_UNAVAILABLE, request->result,
                           "write to the queue's journal");
        request->done(request->arg, &err);
    }
    free(request);
}

static void on_wake(uv_async_t *async)
{
    struct sp_journal *journal = async->data;
    struct sp_list answers;
    bool stopped;

    sp_list_init(&answers);
    uv_mutex_lock(&journal->lock);
    sp_list_move_all(&journal->answered, &answers);
    stopped = journal->stopped;
    uv_mutex_unlock(&journal->lock);
    while (!sp_list_empty(&answers))
        answer(journal, SP_LIST_TAKE(&answers, struct request, node));
    if (stopped) {
        (void)uv_thread_join(&journal->thread);
        close_handles(journal);
    }
}

static void flush(struct sp_journal *journal)
{
    bool asleep;

    uv_mutex_lock(&journal->lock);
    sp_list_move_all(&journal->fresh, &journal->pending);
    asleep = journal->asleep;
    uv_mutex_unlock(&journal->lock);
    /* After the unlock, or the thread would wake only to wait for us. */
    if (asleep)
        uv_cond_signal(&journal->asked);
}

static void on_flush(uv_prepare_t *prepare)
{
    (void)uv_prepare_stop(prepare);
    flush(prepare->data);
}

static int check_append(const struct sp_journal *journal, enum sp_journal_type type, size_t meta,
                        size_t payload, struct sp_error *err)
{
    uint64_t pending = atomic_load_explicit(&journal->pending_bytes, memory_order_relaxed);
    uint64_t live = atomic_load_explicit(&journal->live_bytes, memory_order_relaxed);

    if (journal->closing)
        return sp_error_set(err, SP_ERR_UNAVAILABLE, 0, "the queue's journal is closing");
    if (atomic_load_explicit(&journal->failed, memory_order_relaxed))
        return sp_error_set(
            err, SP_ERR_UNAVAILABLE, -EIO,
            "the disk of the queue's journal has failed; restart spacesd when it is mended");
    if (meta > JOURNAL_META_MAX || payload > JOURNAL_PENDING_BYTES)
        return sp_error_set(err, SP_ERR_LIMIT, -EFBIG, "a record of %zu and %zu bytes", meta,
                            payload);
    /* DISPATCHED and FORGET are small, follow an ACCEPTED that fitted, and free more than they
     * take. */
    if ((type == SP_JOURNAL_ACCEPTED || payload > 0) &&
        pending + meta + payload > JOURNAL_PENDING_BYTES)
        return sp_error_set(err, SP_ERR_UNAVAILABLE, 0,
                            "the disk of the queue's journal is too slow: %llu bytes wait",
                            (unsigned long long)pending);
    if (type == SP_JOURNAL_ACCEPTED && live + pending + payload > journal->max_bytes)
        return sp_error_set(err, SP_ERR_UNAVAILABLE, -ENOSPC,
                            "the queue's journal is full (journal.max_bytes)");
    return 0;
}

int sp_journal_append(struct sp_journal *journal, enum sp_journal_type type,
                      const struct sp_id *event, uint64_t space, struct sp_slice meta,
                      struct sp_slice payload, enum sp_journal_safety safety, sp_journal_fn *done,
                      void *arg, struct sp_error *err)
{
    struct request *request;
    char *at;
    int r = check_append(journal, type, meta.len, payload.len, err);

    if (r < 0)
        return r;
    request = malloc(sizeof(*request) + meta.len + payload.len);
    if (!request)
        return sp_error_set(err, SP_ERR_UNAVAILABLE, -ENOMEM, "write to the queue's journal");
    at = (char *)(request + 1);
    if (meta.len)
        memcpy(at, meta.ptr, meta.len);
    if (payload.len)
        memcpy(at + meta.len, payload.ptr, payload.len);
    *request = (struct request){
        .record = {.type = type,
                   .event = *event,
                   .space = space,
                   .wall_ms = sp_clock_wall_ms(),
                   .meta = sp_slice(at, meta.len),
                   .payload = sp_slice(at + meta.len, payload.len)},
        .safety = safety,
        .done = done,
        .arg = arg,
        .bytes = sizeof(*request) + meta.len + payload.len,
    };
    atomic_fetch_add_explicit(&journal->pending_bytes, request->bytes, memory_order_relaxed);
    if (sp_list_empty(&journal->fresh))
        (void)uv_prepare_start(&journal->flush, on_flush);
    sp_list_append(&journal->fresh, &request->node);
    return 0;
}

void sp_journal_stats(const struct sp_journal *journal, struct sp_journal_stats *ret)
{
    *ret = (struct sp_journal_stats){
        .live_bytes = atomic_load_explicit(&journal->live_bytes, memory_order_relaxed),
        .records = atomic_load_explicit(&journal->records, memory_order_relaxed),
        .syncs = atomic_load_explicit(&journal->syncs, memory_order_relaxed),
        .sync_ns = atomic_load_explicit(&journal->sync_ns, memory_order_relaxed),
        .segments = atomic_load_explicit(&journal->segments, memory_order_relaxed),
    };
}

/* --- life ------------------------------------------------------------------------------------- */

static struct sp_journal *journal_new(uv_loop_t *loop, const struct sp_journal_options *options,
                                      struct journal_log *take_log)
{
    struct sp_journal *journal = sp_new0(struct sp_journal);

    journal->loop = loop;
    journal->log = take_log;
    journal->max_bytes = options->max_bytes ? options->max_bytes : UINT64_MAX;
    sp_list_init(&journal->fresh);
    sp_list_init(&journal->pending);
    sp_list_init(&journal->answered);
    if (uv_mutex_init(&journal->lock) < 0 || uv_cond_init(&journal->asked) < 0 ||
        uv_async_init(loop, &journal->wake, on_wake) < 0)
        abort(); /* out of descriptors or memory at start: nothing would work */
    (void)uv_prepare_init(loop, &journal->flush);
    journal->wake.data = journal->flush.data = journal;
    journal->open_handles = 2;
    publish(journal);
    return journal;
}

int sp_journal_open(uv_loop_t *loop, const struct sp_journal_options *options,
                    void (*each)(void *arg, const struct sp_journal_entry *entry), void *arg,
                    struct sp_journal **ret, struct sp_error *err)
{
    uv_thread_options_t thread = {.flags = UV_THREAD_HAS_STACK_SIZE, .stack_size = 512 * 1024};
    struct journal_log *log = NULL;
    struct sp_journal *journal;
    int r;

    if ((r = journal_log_open(options, &log, err)) < 0)
        return r;
    if ((r = journal_log_replay(log, each, arg, err)) < 0) {
        journal_log_close(log);
        return r;
    }
    journal = journal_new(loop, options, log);
    r = uv_thread_create_ex(&journal->thread, &thread, thread_main, journal);
    if (r < 0) {
        journal_log_close(log);
        close_handles(journal);
        return sp_error_set(err, SP_ERR_INTERNAL, r, "start the journal's thread");
    }
    *ret = journal;
    return 0;
}

void sp_journal_close(struct sp_journal *journal, void (*closed)(void *arg), void *arg)
{
    if (!journal || journal->closing)
        return;
    journal->closing = true;
    journal->closed = closed;
    journal->closed_arg = arg;
    flush(journal);
    uv_mutex_lock(&journal->lock);
    journal->stop = true;
    uv_cond_signal(&journal->asked);
    uv_mutex_unlock(&journal->lock);
}
