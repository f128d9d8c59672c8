/*
 * runtime/state/store-internal.h - between store_thread.c (queue, callbacks; on the loop and the
 * thread) and store_sqlite.c (SQL; on the thread only).
 *
 * A request is made on the loop, handed to the thread, filled in there and handed back. Nobody but
 * its holder touches it, so it needs no lock.
 */
#ifndef SP_RUNTIME_STATE_STORE_INTERNAL_H
#define SP_RUNTIME_STATE_STORE_INTERNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/list.h"
#include "runtime/state/store.h"

#define STORE_EVENTS_KEPT       10000               /* changes that a watch can go back to */
#define STORE_EVENTS_SLACK      500                 /* trimmed when so many more have come */
#define STORE_EVENT_BYTES_MAX   ((int64_t)64 << 20) /* of their values; then half is kept */
#define STORE_RANGE_MAX         10000               /* keys in one answer */
#define STORE_RANGE_BYTES_MAX   ((size_t)64 << 20)  /* of their values */
#define STORE_OPS_MAX           128                 /* in one transaction */
#define STORE_PENDING_MAX       16384               /* requests that wait for the thread */
#define STORE_PENDING_BYTES_MAX ((size_t)64 << 20)  /* of their keys and values */
#define STORE_LEASES_MAX        100000
#define STORE_LEASE_TTL_MAX     ((uint64_t)365 * 86400000)

/* A growing array of rows; each row's key and value share one allocation that `key` points to. */
struct store_rows {
    struct sp_store_kv *rows;
    size_t count;
    size_t cap;
    size_t bytes;
    bool more;
};

struct store_changes {
    struct sp_store_change *changes; /* `key` owns the bytes of key and value */
    size_t count;
    size_t cap;
};

enum store_request_type {
    STORE_TXN,
    STORE_RANGE,
    STORE_GRANT,
    STORE_REVOKE,
    STORE_WATCH,
    STORE_EXPIRY, /* made by the thread: leases that ended */
    STORE_STOP,
};

struct store_request {
    struct sp_list node;
    enum store_request_type type;
    size_t bytes; /* counted against STORE_PENDING_BYTES_MAX */
    union {
        sp_store_txn_fn *txn;
        sp_store_range_fn *range;
        sp_store_lease_fn *lease;
    } done;
    void *arg;

    /* asked */
    struct sp_store_txn txn; /* arrays and bytes follow the request in the same allocation */
    const char *key;         /* RANGE, WATCH: likewise */
    const char *from;        /* RANGE with prefix: the first key that may be answered */
    bool prefix;
    size_t limit;
    uint64_t ttl_ms;
    uint64_t from_rev;
    struct sp_store_watch *watch; /* touched on the loop only */

    /* answered */
    struct sp_error err; /* kind NONE when all went well */
    bool succeeded;
    uint64_t rev;
    uint64_t lease; /* REVOKE: asked */
    struct store_rows rows;
    struct store_changes changes; /* what it changed (TXN, ...) or missed (WATCH) */
};

/* A key is printable ASCII without blanks; only a prefix may be empty. */
int store_check_key(const char *key, bool is_prefix, struct sp_error *err);
int store_check_txn(const struct sp_store_txn *txn, struct sp_error *err);
/* The bytes that a copy of `txn` takes, and the copy, made right behind the request. */
size_t store_txn_bytes(const struct sp_store_txn *txn);
void store_copy_txn(struct store_request *request, const struct sp_store_txn *txn);

struct store_db;

/* Opens, checks and migrates. Called before the thread starts. */
int store_db_open(const char *dir, struct store_db **ret, struct sp_error *err);
void store_db_close(struct store_db *db);
/* May be called while the thread works. */
void store_db_limit(struct store_db *db, uint64_t max_bytes);

/*
 * Carries out a list of requests as one SQLite transaction, and if that fails each by itself, so
 * that a full disk refuses only what does not fit. `with_changes`: somebody watches.
 */
void store_db_run(struct store_db *db, struct sp_list *requests, bool with_changes);

/* Monotonic ms at which the next lease ends; UINT64_MAX for none. */
uint64_t store_db_next_expiry(const struct store_db *db);
/* Ends the leases whose time is over; false (and no request filled) when there was none. */
bool store_db_expire(struct store_db *db, struct store_request *ret);

void store_request_free(struct store_request *request);

#endif
