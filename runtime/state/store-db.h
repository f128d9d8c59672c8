/*
 * runtime/state/store-db.h - what the files of the SQLite backend share: the open database, its
 * prepared statements and the helpers around them. store_sqlite.c opens, store_stmt.c holds the
 * statements, store_txn.c carries out one request, store_group.c commits many at once.
 */
#ifndef SP_RUNTIME_STATE_STORE_DB_H
#define SP_RUNTIME_STATE_STORE_DB_H

#include <stdatomic.h>

#include <sqlite3.h>

#include "base/map.h"
#include "runtime/state/store-internal.h"

enum store_statement {
    STORE_S_BEGIN,
    STORE_S_COMMIT,
    STORE_S_ROLLBACK,
    STORE_S_SAVEPOINT,
    STORE_S_RELEASE,
    STORE_S_ROLLBACK_TO,
    STORE_S_GET,
    STORE_S_RANGE,
    STORE_S_PUT,
    STORE_S_DELETE,
    STORE_S_DELETE_PREFIX,
    STORE_S_DELETE_LEASE,
    STORE_S_EVENT_PUT,
    STORE_S_EVENT_DELETE,
    STORE_S_EVENT_DELETE_PREFIX,
    STORE_S_EVENT_DELETE_LEASE,
    STORE_S_EVENTS_OF_REV,
    STORE_S_EVENTS_SINCE,
    STORE_S_EVENTS_COUNT,
    STORE_S_TRIM_BY_COUNT,
    STORE_S_TRIM_BY_BYTES,
    STORE_S_TRIM,
    STORE_S_COMPACTED,
    STORE_S_LEASE_ADD,
    STORE_S_LEASE_END,
    STORE_S_SIZE,
    STORE_S_COUNT,
};

struct store_lease {
    uint64_t id;
    uint64_t ends_ms; /* monotonic */
};

struct store_db {
    sqlite3 *sql;
    sqlite3_stmt *statements[STORE_S_COUNT];
    int lock_fd;
    atomic_uint_fast64_t max_bytes; /* store.max_bytes; 0: none */
    uint64_t rev;                   /* of the last change */
    uint64_t compacted_rev;         /* changes up to here are no longer kept */
    int64_t events;
    int64_t event_bytes;
    struct sp_map leases; /* id -> struct store_lease */
    uint64_t next_expiry_ms;
};

extern const char *const store_statement_sql[STORE_S_COUNT];

/* Fills `err` from SQLite's last error; a full disk, a quota or a size limit is UNAVAILABLE. */
int store_sql_error(struct store_db *db, struct sp_error *err, const char *what);

void store_auto_reset(sqlite3_stmt **stmt);
/* A statement that is reset however the function is left. */
#define STORE_AUTO_RESET __attribute__((cleanup(store_auto_reset)))

void store_bind_text(sqlite3_stmt *stmt, int at, const char *s);
void store_bind_u64(sqlite3_stmt *stmt, int at, uint64_t value);
void store_bind_value(sqlite3_stmt *stmt, int at, struct sp_slice value);

/* Runs a statement that answers no rows; `*ret_changed` (may be NULL) is how many it changed. */
int store_step_done(struct store_db *db, sqlite3_stmt *stmt, const char *what, int *ret_changed,
                    struct sp_error *err);
/* A statement without parameters, and one with numbers ?1 and ?2. */
int store_simple(struct store_db *db, enum store_statement which, struct sp_error *err);
int store_with_numbers(struct store_db *db, enum store_statement which, uint64_t a, uint64_t b,
                       int *ret_changed, struct sp_error *err);

/* Reads revision and counts from the tables, at start and after a rollback. */
int store_load_counters(struct store_db *db, struct sp_error *err);

/* Is the database above store.max_bytes, even without the past that watches may go back to? */
int store_is_full(struct store_db *db, bool *ret, struct sp_error *err);

/* Carries out one request; what went wrong is in its `err`. */
void store_run_one(struct store_db *db, struct store_request *request, bool with_changes);
bool store_is_write(const struct store_request *request);
/* Forgets rows, changes and error, so that the request can be run again. */
void store_clear_answer(struct store_request *request);

/* Leases in memory follow the disk, never the other way round. */
void store_lease_remember(struct store_db *db, uint64_t id, uint64_t ttl_ms);
void store_leases_committed(struct store_db *db, const struct store_request *request);
void store_leases_clear(struct store_db *db);

#endif
