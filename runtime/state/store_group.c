#include "runtime/state/store-db.h"

#include <errno.h>

#include "base/clock.h"
#include "base/fault.h"

/*
 * One request inside the group's transaction: what it did is undone when it fails. Returns false
 * when SQLite has rolled back the whole transaction (a full disk may do that).
 */
static bool run_in_group(struct store_db *db, struct store_request *request, bool with_changes)
{
    uint64_t rev = db->rev;
    uint64_t compacted_rev = db->compacted_rev;
    int64_t events = db->events;
    int64_t event_bytes = db->event_bytes;

    if (!store_is_write(request)) {
        store_run_one(db, request, with_changes);
        return sqlite3_get_autocommit(db->sql) == 0;
    }
    if (store_simple(db, STORE_S_SAVEPOINT, &request->err) == 0)
        store_run_one(db, request, with_changes);
    if (sqlite3_get_autocommit(db->sql))
        return false;
    if (request->err.kind != SP_ERR_NONE) {
        db->rev = rev;
        db->compacted_rev = compacted_rev;
        db->events = events;
        db->event_bytes = event_bytes;
        if (store_simple(db, STORE_S_ROLLBACK_TO, NULL) < 0)
            return false;
    }
    return store_simple(db, STORE_S_RELEASE, NULL) == 0;
}

/* The revision up to which changes can go; 0 when there is nothing to trim. */
static uint64_t trim_cutoff(struct store_db *db, enum store_statement which, int64_t kept)
{
    STORE_AUTO_RESET sqlite3_stmt *stmt = db->statements[which];
    uint64_t rev = 0;

    (void)sqlite3_bind_int64(stmt, 1, kept);
    if (sqlite3_step(stmt) == SQLITE_ROW)
        rev = (uint64_t)sqlite3_column_int64(stmt, 0);
    return rev < db->rev ? rev : db->rev - 1; /* the newest is where the counter lives */
}

static int trim(struct store_db *db, uint64_t cutoff, struct sp_error *err)
{
    int r;

    if (cutoff <= db->compacted_rev)
        return 0;
    if ((r = store_with_numbers(db, STORE_S_TRIM, cutoff, 0, NULL, err)) < 0 ||
        (r = store_with_numbers(db, STORE_S_COMPACTED, cutoff, 0, NULL, err)) < 0)
        return r;
    return store_load_counters(db, err);
}

static int is_above(struct store_db *db, bool *ret, struct sp_error *err)
{
    STORE_AUTO_RESET sqlite3_stmt *stmt = db->statements[STORE_S_SIZE];
    uint64_t max = atomic_load(&db->max_bytes);

    *ret = false;
    if (max == 0)
        return 0;
    if (sqlite3_step(stmt) != SQLITE_ROW)
        return store_sql_error(db, err, "read from the store");
    *ret = (uint64_t)sqlite3_column_int64(stmt, 0) > max;
    return 0;
}

int store_is_full(struct store_db *db, bool *ret, struct sp_error *err)
{
    int r = is_above(db, ret, err);

    if (r < 0 || !*ret || db->rev == 0)
        return r;
    r = trim(db, db->rev - 1, err); /* the newest is where the counter lives */
    return r < 0 ? r : is_above(db, ret, err);
}

static int compact(struct store_db *db, struct sp_error *err)
{
    bool by_bytes = db->event_bytes > STORE_EVENT_BYTES_MAX;
    uint64_t cutoff;

    if (db->events <= STORE_EVENTS_KEPT + STORE_EVENTS_SLACK && !by_bytes)
        return 0;
    cutoff = by_bytes ? trim_cutoff(db, STORE_S_TRIM_BY_BYTES, STORE_EVENT_BYTES_MAX / 2)
                      : trim_cutoff(db, STORE_S_TRIM_BY_COUNT, STORE_EVENTS_KEPT);
    return trim(db, cutoff, err);
}

static int run_group(struct store_db *db, struct sp_list *requests, bool with_changes,
                     struct sp_error *err)
{
    int r;

    if ((r = store_simple(db, STORE_S_BEGIN, err)) < 0)
        return r;
    SP_LIST_EACH (request, requests, struct store_request, node) {
        if (!run_in_group(db, request, with_changes))
            return sp_error_set(err, SP_ERR_UNAVAILABLE, -ENOSPC, "write to the store");
    }
    if ((r = compact(db, err)) < 0)
        return r;
    if (sp_fault("store.commit"))
        return sp_error_set(err, SP_ERR_UNAVAILABLE, -ENOSPC, "write to the store");
    return store_simple(db, STORE_S_COMMIT, err);
}

static void roll_back(struct store_db *db)
{
    if (!sqlite3_get_autocommit(db->sql))
        (void)store_simple(db, STORE_S_ROLLBACK, NULL);
    (void)store_load_counters(db, NULL);
}

/* Runs the group; on failure nothing of it has happened and the first error is in `err`. */
static bool try_group(struct store_db *db, struct sp_list *requests, bool with_changes,
                      struct sp_error *err)
{
    if (run_group(db, requests, with_changes, err) < 0) {
        roll_back(db);
        return false;
    }
    SP_LIST_EACH (request, requests, struct store_request, node) {
        store_leases_committed(db, request);
    }
    return true;
}

static void run_alone(struct store_db *db, struct store_request *request, bool with_changes)
{
    struct sp_error err = {0};
    struct sp_list alone;

    sp_list_init(&alone);
    store_clear_answer(request);
    if (!store_is_write(request)) {
        store_run_one(db, request, with_changes);
        return;
    }
    sp_list_append(&alone, &request->node);
    if (!try_group(db, &alone, with_changes, &err)) {
        struct sp_error own = request->err; /* says more about the reason, if there is one */

        store_clear_answer(request);
        request->err = own.kind != SP_ERR_NONE ? own : err;
    }
    sp_list_remove(&request->node);
}

void store_db_run(struct store_db *db, struct sp_list *requests, bool with_changes)
{
    struct sp_list done;
    bool writes = false;

    SP_LIST_EACH (request, requests, struct store_request, node) {
        writes |= store_is_write(request);
    }
    if (writes && try_group(db, requests, with_changes, NULL))
        return;

    sp_list_init(&done);
    while (!sp_list_empty(requests)) {
        struct store_request *request = SP_LIST_TAKE(requests, struct store_request, node);

        run_alone(db, request, with_changes);
        sp_list_append(&done, &request->node);
    }
    sp_list_move_all(&done, requests);
}

bool store_db_expire(struct store_db *db, struct store_request *ret)
{
    if (sp_clock_mono_ms() < db->next_expiry_ms)
        return false;
    ret->type = STORE_EXPIRY;
    run_alone(db, ret, true);
    /* A full disk: the keys stay a little longer rather than being half gone. */
    if (ret->err.kind != SP_ERR_NONE)
        db->next_expiry_ms = sp_clock_mono_ms() + 1000;
    return true;
}
