/*
 * One thread owns the database; the loop is called back in the order of the calls. Everything that
 * waits when the thread comes round is committed together, so that one fsync serves them all.
 */
#include "runtime/state/store-front.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"

/* --- on the thread ---------------------------------------------------------------------------- */

static void hand_back(struct sp_store *store, struct sp_list *requests)
{
    uv_mutex_lock(&store->lock);
    sp_list_move_all(requests, &store->answered);
    uv_mutex_unlock(&store->lock);
    (void)uv_async_send(&store->wake);
}

/* Waits for work or for the end of a lease; moves what waits into `ret`. */
static void take_pending(struct sp_store *store, struct sp_list *ret)
{
    uv_mutex_lock(&store->lock);
    while (sp_list_empty(&store->pending)) {
        uint64_t expiry = store_db_next_expiry(store->db);
        uint64_t now = sp_clock_mono_ms();

        if (expiry <= now)
            break;
        if (expiry == UINT64_MAX)
            uv_cond_wait(&store->asked, &store->lock);
        else
            (void)uv_cond_timedwait(&store->asked, &store->lock, (expiry - now) * 1000000);
    }
    sp_list_move_all(&store->pending, ret);
    uv_mutex_unlock(&store->lock);
}

static void expire_leases(struct sp_store *store)
{
    struct store_request *request = sp_new0(struct store_request);
    struct sp_list one;

    sp_list_init(&request->node);
    if (!store_db_expire(store->db, request)) {
        store_request_free(request);
        return;
    }
    sp_list_init(&one);
    sp_list_append(&one, &request->node);
    hand_back(store, &one);
}

static void thread_main(void *arg)
{
    struct sp_store *store = arg;
    bool stop = false;

    while (!stop) {
        struct sp_list batch;

        sp_list_init(&batch);
        take_pending(store, &batch);
        if (store_db_next_expiry(store->db) != UINT64_MAX)
            expire_leases(store);
        if (sp_list_empty(&batch))
            continue;
        stop = SP_CONTAINER(batch.prev, struct store_request, node)->type == STORE_STOP;
        store_db_run(store->db, &batch, atomic_load(&store->n_watches) > 0);
        if (stop)
            store_db_close(store->db); /* before "closed" is heard: the lock is free by then */
        hand_back(store, &batch);
    }
}

/* --- answers, on the loop --------------------------------------------------------------------- */

void store_watch_free(struct sp_store_watch *watch)
{
    sp_list_remove(&watch->node);
    atomic_fetch_sub(&watch->store->n_watches, 1);
    free(watch->prefix);
    free(watch);
}

static void free_dead_watches(struct sp_store *store)
{
    SP_LIST_EACH (watch, &store->watches, struct sp_store_watch, node) {
        if (!watch->each && !watch->requested)
            store_watch_free(watch);
    }
}

static void deliver_change(struct sp_store_watch *watch, const struct sp_store_change *change)
{
    if (watch->each && change->rev >= watch->from_rev &&
        strncmp(change->key, watch->prefix, strlen(watch->prefix)) == 0)
        watch->each(watch->arg, NULL, change);
}

static void deliver_changes(struct sp_store *store, const struct store_request *request)
{
    for (size_t i = 0; i < request->changes.count; i++) {
        /* One that is added by a callback is not active yet: its own answer tells it the past. */
        SP_LIST_EACH (watch, &store->watches, struct sp_store_watch, node) {
            if (watch->active)
                deliver_change(watch, &request->changes.changes[i]);
        }
    }
}

static void start_watch(struct store_request *request)
{
    struct sp_store_watch *watch = request->watch;

    watch->requested = false;
    if (request->err.kind != SP_ERR_NONE) {
        if (watch->each)
            watch->each(watch->arg, &request->err, NULL);
        return; /* stays until it is unwatched, silent */
    }
    watch->active = true;
    for (size_t i = 0; i < request->changes.count; i++)
        deliver_change(watch, &request->changes.changes[i]);
}

static void answer(struct sp_store *store, struct store_request *request)
{
    const struct sp_error *err = request->err.kind != SP_ERR_NONE ? &request->err : NULL;
    struct sp_store_range range = {
        .kvs = request->rows.rows,
        .count = request->rows.count,
        .more = request->rows.more,
        .rev = request->rev,
    };

    switch (request->type) {
    case STORE_TXN:
        if (request->done.txn)
            request->done.txn(request->arg, err, !err && request->succeeded, request->rev);
        break;
    case STORE_RANGE: request->done.range(request->arg, err, err ? NULL : &range); break;
    case STORE_GRANT:
    case STORE_REVOKE:
        if (request->done.lease)
            request->done.lease(request->arg, err, request->lease);
        break;
    case STORE_WATCH: start_watch(request); return; /* its changes are for this watch only */
    case STORE_EXPIRY:
        if (err)
            sp_log(SP_LOG_ERROR, "store.expiry_failed", "err=%s", sp_log_quoted(err->msg));
        break;
    case STORE_STOP: break;
    }
    if (!err)
        deliver_changes(store, request);
}

static void on_closed(uv_handle_t *handle)
{
    struct sp_store *store = handle->data;
    void (*closed)(void *arg) = store->closed;
    void *arg = store->closed_arg;

    uv_cond_destroy(&store->asked);
    uv_mutex_destroy(&store->lock);
    free(store);
    if (closed)
        closed(arg);
}

static void finish_close(struct sp_store *store)
{
    (void)uv_thread_join(&store->thread);
    SP_LIST_EACH (watch, &store->watches, struct sp_store_watch, node) {
        store_watch_free(watch);
    }
    uv_close((uv_handle_t *)&store->wake, on_closed);
}

static void on_wake(uv_async_t *async)
{
    struct sp_store *store = async->data;
    struct sp_list answers;
    bool stopped = false;

    sp_list_init(&answers);
    uv_mutex_lock(&store->lock);
    sp_list_move_all(&store->answered, &answers);
    uv_mutex_unlock(&store->lock);

    store->delivering++;
    while (!sp_list_empty(&answers)) {
        struct store_request *request = SP_LIST_TAKE(&answers, struct store_request, node);

        stopped |= request->type == STORE_STOP;
        if (request->type != STORE_EXPIRY) {
            store->n_pending--;
            store->bytes_pending -= request->bytes;
        }
        answer(store, request);
        store_request_free(request);
    }
    store->delivering--;
    free_dead_watches(store);
    if (stopped)
        finish_close(store);
}

/* --- life ------------------------------------------------------------------------------------- */

uv_loop_t *sp_store_loop(const struct sp_store *store)
{
    return store->loop;
}

int sp_store_open(uv_loop_t *loop, const char *dir, struct sp_store **ret, struct sp_error *err)
{
    uv_thread_options_t options = {.flags = UV_THREAD_HAS_STACK_SIZE, .stack_size = 1024 * 1024};
    struct sp_store *store = sp_new0(struct sp_store);
    int r = store_db_open(dir, &store->db, err);

    if (r < 0) {
        free(store);
        return r;
    }
    store->loop = loop;
    sp_list_init(&store->pending);
    sp_list_init(&store->answered);
    sp_list_init(&store->watches);
    if (uv_mutex_init(&store->lock) < 0 || uv_cond_init(&store->asked) < 0 ||
        uv_async_init(loop, &store->wake, on_wake) < 0)
        abort(); /* out of descriptors or memory at start: nothing would work */
    store->wake.data = store;
    r = uv_thread_create_ex(&store->thread, &options, thread_main, store);
    if (r < 0) {
        store_db_close(store->db);
        uv_close((uv_handle_t *)&store->wake, on_closed);
        return sp_error_set(err, SP_ERR_INTERNAL, r, "start the store's thread");
    }
    *ret = store;
    return 0;
}

void sp_store_limit(struct sp_store *store, uint64_t max_bytes)
{
    store_db_limit(store->db, max_bytes);
}

void sp_store_close(struct sp_store *store, void (*closed)(void *arg), void *arg)
{
    struct store_request *request;

    if (!store || store->closing)
        return;
    store->closing = true;
    store->closed = closed;
    store->closed_arg = arg;
    request = sp_new0(struct store_request);
    sp_list_init(&request->node);
    request->type = STORE_STOP;
    store_submit(store, request);
}
