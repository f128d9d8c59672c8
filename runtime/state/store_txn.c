#include "runtime/state/store-db.h"

#include <errno.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/fault.h"
#include "base/id.h"
#include "base/mem.h"

/* --- rows ------------------------------------------------------------------------------------- */

/* Key, terminator and value of the current row in one allocation; NULL when memory is out. */
static char *copy_row(sqlite3_stmt *stmt, int key_at, int value_at, struct sp_slice *ret_value)
{
    const void *value = sqlite3_column_blob(stmt, value_at);
    size_t value_len = (size_t)sqlite3_column_bytes(stmt, value_at);
    const void *key = sqlite3_column_text(stmt, key_at);
    size_t key_len = (size_t)sqlite3_column_bytes(stmt, key_at);
    char *copy = malloc(key_len + 1 + value_len);

    if (!copy)
        return NULL;
    memcpy(copy, key, key_len);
    copy[key_len] = '\0';
    if (value_len)
        memcpy(copy + key_len + 1, value, value_len);
    *ret_value = sp_slice(copy + key_len + 1, value_len);
    return copy;
}

static int rows_add(struct store_rows *rows, sqlite3_stmt *stmt, struct sp_error *err)
{
    struct sp_store_kv row = {
        .create_rev = (uint64_t)sqlite3_column_int64(stmt, 2),
        .mod_rev = (uint64_t)sqlite3_column_int64(stmt, 3),
        .version = (uint64_t)sqlite3_column_int64(stmt, 4),
        .lease = (uint64_t)sqlite3_column_int64(stmt, 5),
    };

    row.key = copy_row(stmt, 0, 1, &row.value);
    if (!row.key)
        return sp_error_set(err, SP_ERR_UNAVAILABLE, -ENOMEM, "read from the store");
    if (rows->count == rows->cap) {
        rows->cap = rows->cap ? 2 * rows->cap : 4;
        rows->rows = sp_realloc(rows->rows, rows->cap, sizeof(*rows->rows));
    }
    rows->rows[rows->count++] = row;
    rows->bytes += row.value.len;
    return 0;
}

static int changes_add(struct store_changes *changes, sqlite3_stmt *stmt, struct sp_error *err)
{
    struct sp_store_change change = {
        .rev = (uint64_t)sqlite3_column_int64(stmt, 0),
        .deleted = sqlite3_column_int(stmt, 2) != 0,
    };

    change.key = copy_row(stmt, 1, 3, &change.value);
    if (!change.key)
        return sp_error_set(err, SP_ERR_UNAVAILABLE, -ENOMEM, "read from the store");
    if (changes->count == changes->cap) {
        changes->cap = changes->cap ? 2 * changes->cap : 4;
        changes->changes = sp_realloc(changes->changes, changes->cap, sizeof(*changes->changes));
    }
    changes->changes[changes->count++] = change;
    return 0;
}

void store_clear_answer(struct store_request *request)
{
    for (size_t i = 0; i < request->rows.count; i++)
        free((char *)request->rows.rows[i].key);
    free(request->rows.rows);
    for (size_t i = 0; i < request->changes.count; i++)
        free((char *)request->changes.changes[i].key);
    free(request->changes.changes);
    request->rows = (struct store_rows){0};
    request->changes = (struct store_changes){0};
    request->err = (struct sp_error){0};
}

void store_request_free(struct store_request *request)
{
    if (!request)
        return;
    store_clear_answer(request);
    free(request);
}

/* --- reading ---------------------------------------------------------------------------------- */

static int run_range(struct store_db *db, struct store_request *request)
{
    STORE_AUTO_RESET sqlite3_stmt *stmt =
        db->statements[request->prefix ? STORE_S_RANGE : STORE_S_GET];
    struct store_rows *rows = &request->rows;
    size_t limit =
        request->limit && request->limit < STORE_RANGE_MAX ? request->limit : STORE_RANGE_MAX;
    int r;

    request->rev = db->rev;
    store_bind_text(stmt, 1, request->key);
    if (request->prefix) {
        store_bind_u64(stmt, 2, limit + 1); /* one more tells whether there is more */
        store_bind_text(stmt, 3, request->from);
    }
    while ((r = sqlite3_step(stmt)) == SQLITE_ROW) {
        if (rows->count == limit || rows->bytes > STORE_RANGE_BYTES_MAX) {
            rows->more = true;
            return 0;
        }
        if ((r = rows_add(rows, stmt, &request->err)) < 0)
            return r;
    }
    return r == SQLITE_DONE ? 0 : store_sql_error(db, &request->err, "read from the store");
}

static int collect_changes(struct store_db *db, sqlite3_stmt *stmt, struct store_request *request)
{
    int r;

    while ((r = sqlite3_step(stmt)) == SQLITE_ROW)
        if ((r = changes_add(&request->changes, stmt, &request->err)) < 0)
            return r;
    return r == SQLITE_DONE ? 0 : store_sql_error(db, &request->err, "read from the store");
}

/* What a new watch has missed. The changes that come later reach the loop after this answer. */
static int run_watch(struct store_db *db, struct store_request *request)
{
    STORE_AUTO_RESET sqlite3_stmt *stmt = db->statements[STORE_S_EVENTS_SINCE];

    request->rev = db->rev;
    if (request->from_rev == 0)
        return 0;
    if (request->from_rev <= db->compacted_rev)
        return sp_error_set(&request->err, SP_ERR_CONFLICT, 0,
                            "watch from revision %llu: kept are only those after %llu",
                            (unsigned long long)request->from_rev,
                            (unsigned long long)db->compacted_rev);
    store_bind_u64(stmt, 1, request->from_rev);
    store_bind_text(stmt, 2, request->key);
    return collect_changes(db, stmt, request);
}

/* --- changing --------------------------------------------------------------------------------- */

static int compare_holds(struct store_db *db, const struct sp_store_compare *compare, bool *ret,
                         struct sp_error *err)
{
    STORE_AUTO_RESET sqlite3_stmt *stmt = db->statements[STORE_S_GET];
    bool present;
    int r;

    store_bind_text(stmt, 1, compare->key);
    r = sqlite3_step(stmt);
    if (r != SQLITE_ROW && r != SQLITE_DONE)
        return store_sql_error(db, err, "read from the store");
    present = r == SQLITE_ROW;
    switch (compare->op) {
    case SP_STORE_ABSENT: *ret = !present; break;
    case SP_STORE_PRESENT: *ret = present; break;
    case SP_STORE_MOD_REV_IS:
        *ret = present && (uint64_t)sqlite3_column_int64(stmt, 3) == compare->rev;
        break;
    }
    return 0;
}

static int put(struct store_db *db, const struct sp_store_op *op, uint64_t rev,
               struct sp_error *err)
{
    STORE_AUTO_RESET sqlite3_stmt *stmt = db->statements[STORE_S_PUT];
    STORE_AUTO_RESET sqlite3_stmt *event = db->statements[STORE_S_EVENT_PUT];
    int r;

    if (op->lease && !sp_map_get_u64(&db->leases, op->lease))
        return sp_error_set(err, SP_ERR_NOT_FOUND, 0, "put '%s': its lease has ended", op->key);
    store_bind_text(stmt, 1, op->key);
    store_bind_value(stmt, 2, op->value);
    store_bind_u64(stmt, 3, rev);
    store_bind_u64(stmt, 4, op->lease);
    if ((r = store_step_done(db, stmt, "write to the store", NULL, err)) < 0)
        return r;
    store_bind_u64(event, 1, rev);
    store_bind_text(event, 2, op->key);
    store_bind_value(event, 3, op->value);
    return store_step_done(db, event, "write to the store", NULL, err);
}

/* Deletes one key, or all below it; the events come first because they read what is deleted. */
static int delete_keys(struct store_db *db, const struct sp_store_op *op, uint64_t rev,
                       int *ret_deleted, struct sp_error *err)
{
    bool prefix = op->op == SP_STORE_DELETE_PREFIX;
    STORE_AUTO_RESET sqlite3_stmt *event =
        db->statements[prefix ? STORE_S_EVENT_DELETE_PREFIX : STORE_S_EVENT_DELETE];
    STORE_AUTO_RESET sqlite3_stmt *stmt =
        db->statements[prefix ? STORE_S_DELETE_PREFIX : STORE_S_DELETE];
    int deleted = 0;
    int r;

    store_bind_u64(event, 1, rev);
    store_bind_text(event, 2, op->key);
    store_bind_text(stmt, 1, op->key);
    if (prefix && (r = store_step_done(db, event, "write to the store", NULL, err)) < 0)
        return r;
    if ((r = store_step_done(db, stmt, "write to the store", &deleted, err)) < 0)
        return r;
    *ret_deleted = deleted;
    if (prefix || deleted == 0)
        return 0;
    return store_step_done(db, event, "write to the store", NULL, err);
}

static int apply(struct store_db *db, const struct sp_store_op *ops, size_t n, uint64_t rev,
                 int *ret_changes, struct sp_error *err)
{
    for (size_t i = 0; i < n; i++) {
        int changes = 1;
        int r = ops[i].op == SP_STORE_PUT ? put(db, &ops[i], rev, err)
                                          : delete_keys(db, &ops[i], rev, &changes, err);

        if (r < 0)
            return r;
        *ret_changes += changes;
        db->events += changes;
        if (ops[i].op == SP_STORE_PUT)
            db->event_bytes += (int64_t)ops[i].value.len;
    }
    return 0;
}

/* A revision is used up only by a transaction that changed something. */
static int finish_change(struct store_db *db, uint64_t rev, int changes, bool with_changes,
                         struct store_request *request)
{
    STORE_AUTO_RESET sqlite3_stmt *stmt = db->statements[STORE_S_EVENTS_OF_REV];

    if (changes > 0)
        db->rev = rev;
    request->rev = db->rev;
    if (changes == 0 || !with_changes)
        return 0;
    store_bind_u64(stmt, 1, rev);
    return collect_changes(db, stmt, request);
}

/* Deleting goes on in a full store: it is how there is room again. */
static int check_room(struct store_db *db, const struct sp_store_op *ops, size_t n,
                      struct sp_error *err)
{
    bool puts = false;
    bool full = false;
    int r;

    for (size_t i = 0; i < n; i++)
        puts |= ops[i].op == SP_STORE_PUT;
    if (!puts)
        return 0;
    r = store_is_full(db, &full, err);
    if (r < 0 || !full)
        return r;
    return sp_error_set(err, SP_ERR_LIMIT, 0,
                        "write to the store: it is above its limit (store.max_bytes)");
}

static int run_txn(struct store_db *db, struct store_request *request, bool with_changes)
{
    const struct sp_store_txn *txn = &request->txn;
    uint64_t rev = db->rev + 1;
    bool holds = true;
    int changes = 0;
    int r;

    if (sp_fault("store.txn"))
        return sp_error_set(&request->err, SP_ERR_UNAVAILABLE, -ENOSPC, "write to the store");
    for (size_t i = 0; holds && i < txn->n_compares; i++)
        if ((r = compare_holds(db, &txn->compares[i], &holds, &request->err)) < 0)
            return r;
    request->succeeded = holds;
    if ((r = check_room(db, holds ? txn->then : txn->otherwise,
                        holds ? txn->n_then : txn->n_otherwise, &request->err)) < 0)
        return r;
    r = apply(db, holds ? txn->then : txn->otherwise, holds ? txn->n_then : txn->n_otherwise, rev,
              &changes, &request->err);
    return r < 0 ? r : finish_change(db, rev, changes, with_changes, request);
}

/* --- leases ----------------------------------------------------------------------------------- */

void store_leases_clear(struct store_db *db)
{
    size_t cursor = 0;
    struct store_lease *lease;

    while ((lease = sp_map_next(&db->leases, &cursor, NULL)))
        free(lease);
    sp_map_done(&db->leases);
}

static void find_next_expiry(struct store_db *db)
{
    size_t cursor = 0;
    struct store_lease *lease;

    db->next_expiry_ms = UINT64_MAX;
    while ((lease = sp_map_next(&db->leases, &cursor, NULL)))
        if (lease->ends_ms < db->next_expiry_ms)
            db->next_expiry_ms = lease->ends_ms;
}

void store_lease_remember(struct store_db *db, uint64_t id, uint64_t ttl_ms)
{
    struct store_lease *lease = sp_new0(struct store_lease);

    lease->id = id;
    lease->ends_ms = sp_clock_mono_ms() + ttl_ms;
    free(sp_map_put_u64(&db->leases, id, lease));
    if (lease->ends_ms < db->next_expiry_ms)
        db->next_expiry_ms = lease->ends_ms;
}

static int run_grant(struct store_db *db, struct store_request *request)
{
    uint64_t id;
    int r;

    if (db->leases.count >= STORE_LEASES_MAX)
        return sp_error_set(&request->err, SP_ERR_LIMIT, 0, "grant a lease: %d are out already",
                            STORE_LEASES_MAX);
    do {
        sp_random(&id, sizeof(id));
        id &= INT64_MAX;
    } while (id == 0 || sp_map_get_u64(&db->leases, id));
    r = store_with_numbers(db, STORE_S_LEASE_ADD, id, request->ttl_ms, NULL, &request->err);
    request->lease = id;
    return r;
}

/* Keys and lease go in one step: nobody sees one without the other. */
static int end_lease(struct store_db *db, uint64_t id, uint64_t rev, int *ret_changes,
                     struct sp_error *err)
{
    int deleted = 0;
    int r;

    if ((r = store_with_numbers(db, STORE_S_EVENT_DELETE_LEASE, rev, id, NULL, err)) < 0 ||
        (r = store_with_numbers(db, STORE_S_DELETE_LEASE, id, 0, &deleted, err)) < 0 ||
        (r = store_with_numbers(db, STORE_S_LEASE_END, id, 0, NULL, err)) < 0)
        return r;
    db->events += deleted;
    *ret_changes += deleted;
    return 0;
}

static int run_revoke(struct store_db *db, struct store_request *request, bool with_changes)
{
    uint64_t rev = db->rev + 1;
    int changes = 0;
    int r;

    if (!sp_map_get_u64(&db->leases, request->lease))
        return sp_error_set(&request->err, SP_ERR_NOT_FOUND, 0, "revoke a lease: it has ended");
    r = end_lease(db, request->lease, rev, &changes, &request->err);
    return r < 0 ? r : finish_change(db, rev, changes, with_changes, request);
}

static int run_expiry(struct store_db *db, struct store_request *request, bool with_changes)
{
    uint64_t now = sp_clock_mono_ms();
    uint64_t rev = db->rev + 1;
    int changes = 0;
    size_t cursor = 0;
    struct store_lease *lease;
    int r;

    while ((lease = sp_map_next(&db->leases, &cursor, NULL)))
        if (lease->ends_ms <= now &&
            (r = end_lease(db, lease->id, rev, &changes, &request->err)) < 0)
            return r;
    request->ttl_ms = now; /* commits end the same ones in memory */
    return finish_change(db, rev, changes, with_changes, request);
}

/* What the memory holds of leases changes only when the disk has it. */
void store_leases_committed(struct store_db *db, const struct store_request *request)
{
    size_t cursor = 0;
    struct store_lease *lease;

    if (request->err.kind != SP_ERR_NONE)
        return;
    if (request->type == STORE_GRANT)
        store_lease_remember(db, request->lease, request->ttl_ms);
    if (request->type == STORE_REVOKE)
        free(sp_map_remove_u64(&db->leases, request->lease));
    if (request->type == STORE_EXPIRY)
        while ((lease = sp_map_next(&db->leases, &cursor, NULL)))
            if (lease->ends_ms <= request->ttl_ms)
                free(sp_map_remove_u64(&db->leases, lease->id));
    if (request->type == STORE_REVOKE || request->type == STORE_EXPIRY)
        find_next_expiry(db);
}

uint64_t store_db_next_expiry(const struct store_db *db)
{
    return db->next_expiry_ms;
}

/* --- one request ------------------------------------------------------------------------------ */

bool store_is_write(const struct store_request *request)
{
    return request->type != STORE_RANGE && request->type != STORE_WATCH &&
           request->type != STORE_STOP;
}

void store_run_one(struct store_db *db, struct store_request *request, bool with_changes)
{
    switch (request->type) {
    case STORE_TXN: (void)run_txn(db, request, with_changes); break;
    case STORE_RANGE: (void)run_range(db, request); break;
    case STORE_WATCH: (void)run_watch(db, request); break;
    case STORE_GRANT: (void)run_grant(db, request); break;
    case STORE_REVOKE: (void)run_revoke(db, request, with_changes); break;
    case STORE_EXPIRY: (void)run_expiry(db, request, with_changes); break;
    case STORE_STOP: break;
    }
}
