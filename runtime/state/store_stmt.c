#include "runtime/state/store-db.h"

#include <errno.h>

#define ROW_COLUMNS   "key, value, create_rev, mod_rev, version, lease"
#define EVENT_COLUMNS "rev, key, deleted, value"

/* In every statement ?1 is the revision or the key it is about. */
const char *const store_statement_sql[STORE_S_COUNT] = {
    [STORE_S_BEGIN] = "BEGIN IMMEDIATE",
    [STORE_S_COMMIT] = "COMMIT",
    [STORE_S_ROLLBACK] = "ROLLBACK",
    [STORE_S_SAVEPOINT] = "SAVEPOINT one",
    [STORE_S_RELEASE] = "RELEASE one",
    [STORE_S_ROLLBACK_TO] = "ROLLBACK TO one",
    [STORE_S_GET] = "SELECT " ROW_COLUMNS " FROM kv WHERE key = ?1",
    [STORE_S_RANGE] = "SELECT " ROW_COLUMNS " FROM kv WHERE key >= ?3 AND key < ?1 || x'7f'"
                      " ORDER BY key LIMIT ?2",
    [STORE_S_PUT] = "INSERT INTO kv (key, value, create_rev, mod_rev, version, lease)"
                    " VALUES (?1, ?2, ?3, ?3, 1, ?4) ON CONFLICT (key) DO UPDATE SET"
                    " value = ?2, mod_rev = ?3, version = version + 1, lease = ?4",
    [STORE_S_DELETE] = "DELETE FROM kv WHERE key = ?1",
    [STORE_S_DELETE_PREFIX] = "DELETE FROM kv WHERE key >= ?1 AND key < ?1 || x'7f'",
    [STORE_S_DELETE_LEASE] = "DELETE FROM kv WHERE lease = ?1 AND lease <> 0",
    [STORE_S_EVENT_PUT] = "INSERT INTO event (rev, key, deleted, value) VALUES (?1, ?2, 0, ?3)",
    [STORE_S_EVENT_DELETE] = "INSERT INTO event (rev, key, deleted) VALUES (?1, ?2, 1)",
    [STORE_S_EVENT_DELETE_PREFIX] =
        "INSERT INTO event (rev, key, deleted) SELECT ?1, key, 1 FROM kv"
        " WHERE key >= ?2 AND key < ?2 || x'7f' ORDER BY key",
    [STORE_S_EVENT_DELETE_LEASE] = "INSERT INTO event (rev, key, deleted) SELECT ?1, key, 1 FROM kv"
                                   " WHERE lease = ?2 AND lease <> 0 ORDER BY key",
    [STORE_S_EVENTS_OF_REV] = "SELECT " EVENT_COLUMNS " FROM event WHERE rev = ?1 ORDER BY seq",
    [STORE_S_EVENTS_SINCE] = "SELECT " EVENT_COLUMNS " FROM event WHERE rev >= ?1 AND key >= ?2"
                             " AND key < ?2 || x'7f' ORDER BY seq",
    [STORE_S_EVENTS_COUNT] =
        "SELECT count(*), coalesce(sum(length(value)), 0),"
        " max(coalesce(max(rev), 0), (SELECT value FROM meta WHERE name = 'compacted')),"
        " (SELECT value FROM meta WHERE name = 'compacted') FROM event",
    [STORE_S_TRIM_BY_COUNT] = "SELECT rev FROM event ORDER BY seq DESC LIMIT 1 OFFSET ?1",
    [STORE_S_TRIM_BY_BYTES] = "SELECT rev FROM (SELECT rev, seq, sum(length(value)) OVER"
                              " (ORDER BY seq DESC) AS bytes FROM event) WHERE bytes > ?1"
                              " ORDER BY seq DESC LIMIT 1",
    [STORE_S_TRIM] = "DELETE FROM event WHERE rev <= ?1",
    [STORE_S_COMPACTED] = "UPDATE meta SET value = ?1 WHERE name = 'compacted'",
    [STORE_S_LEASE_ADD] = "INSERT INTO lease (id, ttl_ms) VALUES (?1, ?2)",
    [STORE_S_LEASE_END] = "DELETE FROM lease WHERE id = ?1",
    [STORE_S_SIZE] = "SELECT (page_count - freelist_count) * page_size"
                     " FROM pragma_page_count, pragma_freelist_count, pragma_page_size",
};

int store_sql_error(struct store_db *db, struct sp_error *err, const char *what)
{
    int code = sqlite3_errcode(db->sql) & 0xff;
    int sys = sqlite3_system_errno(db->sql);

    /* A file size limit or a quota is a full disk to us; SQLite knows only ENOSPC as one. */
    if (code == SQLITE_FULL || sys == ENOSPC || sys == EDQUOT || sys == EFBIG)
        return sp_error_set(err, SP_ERR_UNAVAILABLE, -ENOSPC, "%s", what);
    if (code == SQLITE_BUSY)
        return sp_error_set(err, SP_ERR_CONFLICT, -EBUSY, "%s: in use by another process", what);
    if (code == SQLITE_CORRUPT || code == SQLITE_NOTADB)
        return sp_error_set(err, SP_ERR_INTERNAL, -EIO, "%s: the database is damaged", what);
    return sp_error_set(err, SP_ERR_INTERNAL, sys ? -sys : -EIO, "%s: %s", what,
                        sqlite3_errmsg(db->sql));
}

void store_auto_reset(sqlite3_stmt **stmt)
{
    (void)sqlite3_reset(*stmt);
    (void)sqlite3_clear_bindings(*stmt);
}

void store_bind_text(sqlite3_stmt *stmt, int at, const char *s)
{
    (void)sqlite3_bind_text(stmt, at, s, -1, SQLITE_STATIC);
}

void store_bind_u64(sqlite3_stmt *stmt, int at, uint64_t value)
{
    (void)sqlite3_bind_int64(stmt, at, (sqlite3_int64)value);
}

/* Never NULL, which would be stored as SQL NULL. */
void store_bind_value(sqlite3_stmt *stmt, int at, struct sp_slice value)
{
    (void)sqlite3_bind_blob(stmt, at, value.len ? value.ptr : "", (int)value.len, SQLITE_STATIC);
}

int store_step_done(struct store_db *db, sqlite3_stmt *stmt, const char *what, int *ret_changed,
                    struct sp_error *err)
{
    if (sqlite3_step(stmt) != SQLITE_DONE)
        return store_sql_error(db, err, what);
    if (ret_changed)
        *ret_changed = sqlite3_changes(db->sql);
    return 0;
}

int store_simple(struct store_db *db, enum store_statement which, struct sp_error *err)
{
    STORE_AUTO_RESET sqlite3_stmt *stmt = db->statements[which];

    return store_step_done(db, stmt, store_statement_sql[which], NULL, err);
}

int store_with_numbers(struct store_db *db, enum store_statement which, uint64_t a, uint64_t b,
                       int *ret_changed, struct sp_error *err)
{
    STORE_AUTO_RESET sqlite3_stmt *stmt = db->statements[which];

    store_bind_u64(stmt, 1, a);
    if (sqlite3_bind_parameter_count(stmt) > 1)
        store_bind_u64(stmt, 2, b);
    return store_step_done(db, stmt, "write to the store", ret_changed, err);
}
