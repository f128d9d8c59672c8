/* The store's questions: checked, copied into a request and queued for the thread. */
#include "runtime/state/store-front.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

static int check_open(const struct sp_store *store, size_t bytes, struct sp_error *err)
{
    if (store->closing)
        return sp_error_set(err, SP_ERR_UNAVAILABLE, 0, "use the store: it is closing");
    if (store->n_pending >= STORE_PENDING_MAX ||
        store->bytes_pending + bytes > STORE_PENDING_BYTES_MAX)
        return sp_error_set(err, SP_ERR_UNAVAILABLE, 0,
                            "use the store: %zu requests wait for the disk", store->n_pending);
    return 0;
}

/* Memory for a request with `extra` bytes behind it; NULL when out of memory. */
static struct store_request *request_new(enum store_request_type type, size_t extra, void *arg,
                                         struct sp_error *err)
{
    struct store_request *request = calloc(1, sizeof(*request) + extra);

    if (!request) {
        (void)sp_error_set(err, SP_ERR_UNAVAILABLE, -ENOMEM, "use the store");
        return NULL;
    }
    sp_list_init(&request->node);
    request->type = type;
    request->bytes = extra;
    request->arg = arg;
    return request;
}

void store_submit(struct sp_store *store, struct store_request *request)
{
    store->n_pending++;
    store->bytes_pending += request->bytes;
    uv_mutex_lock(&store->lock);
    sp_list_append(&store->pending, &request->node);
    uv_cond_signal(&store->asked);
    uv_mutex_unlock(&store->lock);
}

/* Keys from `from` on, or the one key, copied into the request. */
static struct store_request *key_request(struct sp_store *store, enum store_request_type type,
                                         const char *key, const char *from, void *arg,
                                         struct sp_error *err)
{
    size_t key_size = strlen(key) + 1;
    size_t from_size = strlen(from) + 1;
    struct store_request *request;
    char *at;

    if (check_open(store, key_size + from_size, err) < 0)
        return NULL;
    request = request_new(type, key_size + from_size, arg, err);
    if (!request)
        return NULL;
    at = (char *)(request + 1);
    memcpy(at, key, key_size);
    memcpy(at + key_size, from, from_size);
    request->key = at;
    request->from = at + key_size;
    return request;
}

static int range(struct sp_store *store, const char *key, const char *from, bool prefix,
                 size_t limit, sp_store_range_fn *done, void *arg, struct sp_error *err)
{
    struct store_request *request = key_request(store, STORE_RANGE, key, from, arg, err);

    if (!request)
        return -EAGAIN;
    request->prefix = prefix;
    request->limit = limit;
    request->done.range = done;
    store_submit(store, request);
    return 0;
}

int sp_store_range(struct sp_store *store, const char *key, bool prefix, size_t limit,
                   sp_store_range_fn *done, void *arg, struct sp_error *err)
{
    int r = store_check_key(key, prefix, err);

    return r < 0 ? r : range(store, key, key, prefix, limit, done, arg, err);
}

int sp_store_range_after(struct sp_store *store, const char *prefix, const char *after,
                         size_t limit, sp_store_range_fn *done, void *arg, struct sp_error *err)
{
    char from[SP_STORE_KEY_MAX + 2];
    int r;

    if ((r = store_check_key(prefix, true, err)) < 0 || (r = store_check_key(after, true, err)) < 0)
        return r;
    /* No key holds a byte this low, so it is the place right behind `after`. */
    (void)snprintf(from, sizeof(from), "%s\x01", after);
    if (strcmp(from, prefix) < 0)
        (void)snprintf(from, sizeof(from), "%s", prefix);
    return range(store, prefix, from, true, limit, done, arg, err);
}

/* --- transactions ----------------------------------------------------------------------------- */

int sp_store_txn(struct sp_store *store, const struct sp_store_txn *txn, sp_store_txn_fn *done,
                 void *arg, struct sp_error *err)
{
    struct sp_error local = {0};
    struct store_request *request;
    size_t size;
    int r;

    if (!err)
        err = &local;
    if ((r = store_check_txn(txn, err)) < 0)
        return r;
    size = store_txn_bytes(txn);
    if ((r = check_open(store, size, err)) < 0)
        return r;
    request = request_new(STORE_TXN, size, arg, err);
    if (!request)
        return -ENOMEM;
    store_copy_txn(request, txn);
    request->done.txn = done;
    store_submit(store, request);
    return 0;
}

int sp_store_put(struct sp_store *store, const char *key, struct sp_slice value,
                 sp_store_txn_fn *done, void *arg, struct sp_error *err)
{
    struct sp_store_op op = {.op = SP_STORE_PUT, .key = key, .value = value};

    return sp_store_txn(store, &(struct sp_store_txn){.then = &op, .n_then = 1}, done, arg, err);
}

int sp_store_delete(struct sp_store *store, const char *key, sp_store_txn_fn *done, void *arg,
                    struct sp_error *err)
{
    struct sp_store_op op = {.op = SP_STORE_DELETE, .key = key};

    return sp_store_txn(store, &(struct sp_store_txn){.then = &op, .n_then = 1}, done, arg, err);
}

/* --- leases and watches ----------------------------------------------------------------------- */

static int lease_request(struct sp_store *store, enum store_request_type type, uint64_t ttl_ms,
                         uint64_t lease, sp_store_lease_fn *done, void *arg, struct sp_error *err)
{
    struct store_request *request;
    int r = check_open(store, 0, err);

    if (r < 0)
        return r;
    request = request_new(type, 0, arg, err);
    if (!request)
        return -ENOMEM;
    request->ttl_ms = ttl_ms;
    request->lease = lease;
    request->done.lease = done;
    store_submit(store, request);
    return 0;
}

int sp_store_lease_grant(struct sp_store *store, uint64_t ttl_ms, sp_store_lease_fn *done,
                         void *arg, struct sp_error *err)
{
    if (ttl_ms == 0 || ttl_ms > STORE_LEASE_TTL_MAX)
        return sp_error_set(err, SP_ERR_INVALID, 0, "grant a lease: expected 1 ms to a year");
    return lease_request(store, STORE_GRANT, ttl_ms, 0, done, arg, err);
}

int sp_store_lease_revoke(struct sp_store *store, uint64_t lease, sp_store_lease_fn *done,
                          void *arg, struct sp_error *err)
{
    return lease_request(store, STORE_REVOKE, 0, lease, done, arg, err);
}

int sp_store_watch(struct sp_store *store, const char *prefix, uint64_t from_rev,
                   sp_store_watch_fn *each, void *arg, struct sp_store_watch **ret,
                   struct sp_error *err)
{
    struct store_request *request;
    struct sp_store_watch *watch;
    int r;

    if ((r = store_check_key(prefix, true, err)) < 0)
        return r;
    request = key_request(store, STORE_WATCH, prefix, "", NULL, err);
    if (!request)
        return -EAGAIN;
    request->from_rev = from_rev;

    watch = sp_new0(struct sp_store_watch);
    watch->store = store;
    watch->prefix = sp_strdup(prefix);
    watch->from_rev = from_rev;
    watch->each = each;
    watch->arg = arg;
    watch->requested = true;
    sp_list_append(&store->watches, &watch->node);
    atomic_fetch_add(&store->n_watches, 1); /* before the request: the thread counts from there */
    request->watch = watch;
    store_submit(store, request);
    *ret = watch;
    return 0;
}

void sp_store_unwatch(struct sp_store_watch *watch)
{
    if (!watch)
        return;
    watch->each = NULL;
    watch->active = false;
    if (watch->store->delivering == 0 && !watch->requested)
        store_watch_free(watch);
}
