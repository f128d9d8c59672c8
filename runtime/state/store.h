/*
 * runtime/state/store.h - what must survive: keys and JSON values, shaped like etcd's, so that a
 * cluster backend can take SQLite's place. Implemented by store_sqlite.c; contract test in
 * tests/unit/runtime/test_store.c runs against every backend.
 *
 * Everything is asynchronous: a call that returns 0 calls back exactly once, later, on the loop.
 * A transaction that is reported ok is on the disk (WAL, synchronous=FULL).
 *
 * Keys are ASCII paths such as "/spaces/00000000000000a1"; values are at most 256 KiB.
 */
#ifndef SP_RUNTIME_STATE_STORE_H
#define SP_RUNTIME_STATE_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <uv.h>

#include "base/str.h"

struct sp_error;
struct sp_store;

#define SP_STORE_VALUE_MAX ((size_t)256 * 1024)
#define SP_STORE_KEY_MAX   512

/*
 * Opens or creates the store in `dir` (relative to the working folder). Refuses a schema version
 * newer than ours (SP_ERR_CONFLICT), a damaged file (SP_ERR_INTERNAL) and a second opener
 * (SP_ERR_CONFLICT). Starts the writer thread.
 */
int sp_store_open(uv_loop_t *loop, const char *dir, struct sp_store **ret, struct sp_error *err);
/* Above so many bytes of the database (0: any), transactions that put are refused: SP_ERR_LIMIT. */
void sp_store_limit(struct sp_store *store, uint64_t max_bytes);
/* Finishes what was asked, stops the thread, then calls `closed`. */
void sp_store_close(struct sp_store *store, void (*closed)(void *arg), void *arg);

/* The loop it calls back on. */
uv_loop_t *sp_store_loop(const struct sp_store *store);

struct sp_store_kv {
    const char *key;
    struct sp_slice value;
    uint64_t create_rev;
    uint64_t mod_rev;
    uint64_t version; /* 1 for a new key */
    uint64_t lease;   /* 0 for none */
};

struct sp_store_range {
    const struct sp_store_kv *kvs; /* in key order; valid during the callback */
    size_t count;
    bool more;    /* the limit cut it short */
    uint64_t rev; /* the store's revision that this shows */
};

typedef void sp_store_range_fn(void *arg, const struct sp_error *err,
                               const struct sp_store_range *range);

/* One key, or all keys that begin with `key` when `prefix`. limit 0 = 10,000. */
int sp_store_range(struct sp_store *store, const char *key, bool prefix, size_t limit,
                   sp_store_range_fn *done, void *arg, struct sp_error *err);

/* The keys that begin with `prefix` and come after `after`: the next page when `more` was set. */
int sp_store_range_after(struct sp_store *store, const char *prefix, const char *after,
                         size_t limit, sp_store_range_fn *done, void *arg, struct sp_error *err);

/* What a transaction compares: all must hold. */
struct sp_store_compare {
    const char *key;
    enum { SP_STORE_ABSENT, SP_STORE_PRESENT, SP_STORE_MOD_REV_IS } op;
    uint64_t rev;
};

struct sp_store_op {
    enum { SP_STORE_PUT, SP_STORE_DELETE, SP_STORE_DELETE_PREFIX } op;
    const char *key;
    struct sp_slice value; /* PUT */
    uint64_t lease;        /* PUT: 0 for none */
};

struct sp_store_txn {
    const struct sp_store_compare *compares;
    size_t n_compares;
    const struct sp_store_op *then;
    size_t n_then;
    const struct sp_store_op *otherwise;
    size_t n_otherwise;
};

/* `succeeded`: which branch ran. `err` is set when neither did (full disk: SP_ERR_UNAVAILABLE). */
typedef void sp_store_txn_fn(void *arg, const struct sp_error *err, bool succeeded, uint64_t rev);

/* Everything in `txn` is copied. At most 128 operations; a branch names no key twice. */
int sp_store_txn(struct sp_store *store, const struct sp_store_txn *txn, sp_store_txn_fn *done,
                 void *arg, struct sp_error *err);
/* A transaction of one PUT or one DELETE without comparison. */
int sp_store_put(struct sp_store *store, const char *key, struct sp_slice value,
                 sp_store_txn_fn *done, void *arg, struct sp_error *err);
int sp_store_delete(struct sp_store *store, const char *key, sp_store_txn_fn *done, void *arg,
                    struct sp_error *err);

/* A lease deletes its keys when it ends; times are monotonic and start again at a restart. */
typedef void sp_store_lease_fn(void *arg, const struct sp_error *err, uint64_t lease);
int sp_store_lease_grant(struct sp_store *store, uint64_t ttl_ms, sp_store_lease_fn *done,
                         void *arg, struct sp_error *err);
int sp_store_lease_revoke(struct sp_store *store, uint64_t lease, sp_store_lease_fn *done,
                          void *arg, struct sp_error *err);

struct sp_store_change {
    uint64_t rev;
    const char *key;
    bool deleted;
    struct sp_slice value;
};
typedef void sp_store_watch_fn(void *arg, const struct sp_error *err,
                               const struct sp_store_change *change);
struct sp_store_watch;
/*
 * Changes below `prefix` from revision `from_rev` on (0 = from now), without a gap, in order.
 * A revision that has been compacted away: one callback with SP_ERR_CONFLICT, then nothing.
 */
int sp_store_watch(struct sp_store *store, const char *prefix, uint64_t from_rev,
                   sp_store_watch_fn *each, void *arg, struct sp_store_watch **ret,
                   struct sp_error *err);
void sp_store_unwatch(struct sp_store_watch *watch); /* no call after this */

#endif
