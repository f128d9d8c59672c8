#include "runtime/state/store-db.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/mem.h"

#define SCHEMA_VERSION 1

static const char schema_sql[] =
    "CREATE TABLE meta (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;"
    "INSERT INTO meta VALUES ('schema', 1), ('compacted', 0);"
    "CREATE TABLE kv (key TEXT PRIMARY KEY, value BLOB NOT NULL, create_rev INTEGER NOT NULL,"
    " mod_rev INTEGER NOT NULL, version INTEGER NOT NULL, lease INTEGER NOT NULL);"
    "CREATE INDEX kv_lease ON kv (lease) WHERE lease <> 0;"
    "CREATE TABLE event (seq INTEGER PRIMARY KEY, rev INTEGER NOT NULL, key TEXT NOT NULL,"
    " deleted INTEGER NOT NULL, value BLOB);"
    "CREATE INDEX event_rev ON event (rev);"
    "CREATE TABLE lease (id INTEGER PRIMARY KEY, ttl_ms INTEGER NOT NULL);";

/* SQLite would make the path absolute and resolve it from "/", where our user may not walk. */
static int keep_path(sqlite3_vfs *vfs, const char *name, int size, char *ret)
{
    (void)vfs;
    return snprintf(ret, (size_t)size, "%s", name) < size ? SQLITE_OK : SQLITE_CANTOPEN;
}

static const char *relative_vfs(void)
{
    static sqlite3_vfs vfs;

    if (!vfs.zName) {
        sqlite3_vfs *base = sqlite3_vfs_find("unix");

        if (!base)
            return NULL; /* not a Unix build: the default will do */
        vfs = *base;
        vfs.pNext = NULL;
        vfs.zName = "spaces-unix";
        vfs.xFullPathname = keep_path;
        (void)sqlite3_vfs_register(&vfs, 0);
    }
    return vfs.zName;
}

static int exec(struct store_db *db, const char *sql, struct sp_error *err)
{
    return sqlite3_exec(db->sql, sql, NULL, NULL, NULL) == SQLITE_OK
               ? 0
               : store_sql_error(db, err, "set up the store");
}

/* The first column of the first row as a number; `*ret` stays when there is none. */
static int query_int(struct store_db *db, const char *sql, int64_t *ret, struct sp_error *err)
{
    sqlite3_stmt *stmt = NULL;
    int r = sqlite3_prepare_v2(db->sql, sql, -1, &stmt, NULL);

    if (r == SQLITE_OK) {
        r = sqlite3_step(stmt);
        if (r == SQLITE_ROW)
            *ret = sqlite3_column_int64(stmt, 0);
    }
    if (r != SQLITE_ROW && r != SQLITE_DONE)
        r = store_sql_error(db, err, "read the store's schema");
    else
        r = 0;
    (void)sqlite3_finalize(stmt);
    return r;
}

/* The lock is a file of its own: closing any descriptor of the database drops SQLite's locks. */
static int take_lock(const char *dir, int *ret_fd, struct sp_error *err)
{
    SP_AUTO_FREE char *path = sp_asprintf("%s/store.lock", dir);
    SP_AUTO_FD int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);

    if (fd < 0)
        return sp_error_set(err, errno == ENOSPC ? SP_ERR_UNAVAILABLE : SP_ERR_INTERNAL, -errno,
                            "open '%s'", path);
    if (flock(fd, LOCK_EX | LOCK_NB) < 0)
        return sp_error_set(err, SP_ERR_CONFLICT, errno == EWOULDBLOCK ? -EBUSY : -errno,
                            "open the store in '%s': another spacesd uses it", dir);
    *ret_fd = SP_TAKE_FD(fd);
    return 0;
}

static int open_sqlite(struct store_db *db, const char *dir, struct sp_error *err)
{
    SP_AUTO_FREE char *path = sp_asprintf("%s/store.db", dir);
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600); /* for the mode */

    if (fd < 0)
        return sp_error_set(err, errno == ENOSPC ? SP_ERR_UNAVAILABLE : SP_ERR_INTERNAL, -errno,
                            "open '%s'", path);
    (void)close(fd);
    if (sqlite3_open_v2(path, &db->sql,
                        SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX,
                        relative_vfs()) != SQLITE_OK)
        return db->sql ? store_sql_error(db, err, "open the store")
                       : sp_error_set(err, SP_ERR_INTERNAL, -ENOMEM, "open '%s'", path);
    /* EXCLUSIVE also spares the shared-memory file. The cache is what the thread costs in memory.
     */
    return exec(db,
                "PRAGMA locking_mode=EXCLUSIVE; PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;"
                "PRAGMA cache_size=-512; PRAGMA mmap_size=0; PRAGMA temp_store=MEMORY;"
                "PRAGMA journal_size_limit=4194304; PRAGMA trusted_schema=OFF",
                err);
}

static int check_schema(struct store_db *db, struct sp_error *err)
{
    int64_t tables = 0;
    int64_t version = 0;
    int64_t whole = 0;
    int r;

    if ((r = query_int(db, "SELECT count(*) FROM sqlite_schema", &tables, err)) < 0)
        return r;
    if (tables == 0) {
        SP_AUTO_FREE char *sql = sp_asprintf("BEGIN; %s COMMIT", schema_sql);

        return exec(db, sql, err);
    }
    if ((r = query_int(db, "SELECT value FROM meta WHERE name = 'schema'", &version, err)) < 0)
        return r;
    if (version != SCHEMA_VERSION)
        return sp_error_set(err, SP_ERR_CONFLICT, 0,
                            "open the store: its schema is version %lld, this program knows %d",
                            (long long)version, SCHEMA_VERSION);
    /* Without an argument: newer SQLite takes quick_check(1), asked like this, for a table's name.
     */
    r = query_int(db, "SELECT quick_check = 'ok' FROM pragma_quick_check LIMIT 1", &whole, err);
    if (r == 0 && !whole)
        return sp_error_set(err, SP_ERR_INTERNAL, -EIO, "open the store: the database is damaged");
    return r;
}

static int prepare_all(struct store_db *db, struct sp_error *err)
{
    for (size_t i = 0; i < STORE_S_COUNT; i++)
        if (sqlite3_prepare_v3(db->sql, store_statement_sql[i], -1, SQLITE_PREPARE_PERSISTENT,
                               &db->statements[i], NULL) != SQLITE_OK)
            return store_sql_error(db, err, "set up the store");
    return 0;
}

int store_load_counters(struct store_db *db, struct sp_error *err)
{
    STORE_AUTO_RESET sqlite3_stmt *stmt = db->statements[STORE_S_EVENTS_COUNT];

    if (sqlite3_step(stmt) != SQLITE_ROW)
        return store_sql_error(db, err, "read from the store");
    db->events = sqlite3_column_int64(stmt, 0);
    db->event_bytes = sqlite3_column_int64(stmt, 1);
    db->rev = (uint64_t)sqlite3_column_int64(stmt, 2);
    db->compacted_rev = (uint64_t)sqlite3_column_int64(stmt, 3);
    return 0;
}

/* Their time starts again: how long the host was down cannot be known by a monotonic clock. */
static int load_leases(struct store_db *db, struct sp_error *err)
{
    sqlite3_stmt *stmt = NULL;
    int r = sqlite3_prepare_v2(db->sql, "SELECT id, ttl_ms FROM lease", -1, &stmt, NULL);

    if (r == SQLITE_OK)
        while ((r = sqlite3_step(stmt)) == SQLITE_ROW)
            store_lease_remember(db, (uint64_t)sqlite3_column_int64(stmt, 0),
                                 (uint64_t)sqlite3_column_int64(stmt, 1));
    r = r == SQLITE_DONE ? 0 : store_sql_error(db, err, "read the store's leases");
    (void)sqlite3_finalize(stmt);
    return r;
}

int store_db_open(const char *dir, struct store_db **ret, struct sp_error *err)
{
    struct store_db *db = sp_new0(struct store_db);
    int r;

    db->lock_fd = -1;
    db->next_expiry_ms = UINT64_MAX;
    sp_map_init(&db->leases);
    if ((r = sp_mkdir_p(AT_FDCWD, dir, 0700, err)) < 0 ||
        (r = take_lock(dir, &db->lock_fd, err)) < 0 || (r = open_sqlite(db, dir, err)) < 0 ||
        (r = check_schema(db, err)) < 0 || (r = prepare_all(db, err)) < 0 ||
        (r = store_load_counters(db, err)) < 0 || (r = load_leases(db, err)) < 0) {
        store_db_close(db);
        return r;
    }
    *ret = db;
    return 0;
}

void store_db_limit(struct store_db *db, uint64_t max_bytes)
{
    atomic_store(&db->max_bytes, max_bytes);
}

void store_db_close(struct store_db *db)
{
    if (!db)
        return;
    for (size_t i = 0; i < STORE_S_COUNT; i++)
        (void)sqlite3_finalize(db->statements[i]);
    (void)sqlite3_close(db->sql);
    store_leases_clear(db);
    sp_auto_fd(&db->lock_fd);
    free(db);
}
