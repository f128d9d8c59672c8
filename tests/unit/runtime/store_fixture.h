/* What the tests of the store share: a store in a folder of its own, and calls that are waited for.
 */
#ifndef SP_TESTS_UNIT_RUNTIME_STORE_FIXTURE_H
#define SP_TESTS_UNIT_RUNTIME_STORE_FIXTURE_H

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/error.h"
#include "base/fd.h"
#include "base/mem.h"
#include "runtime/state/store.h"
#include "tests/support/test.h"

#define DEADLINE_MS 20000

/* One test's loop, folder and store, and what the last callback said. */
struct fix {
    uv_loop_t loop;
    uv_timer_t deadline;
    char dir[64];
    struct sp_store *store;

    bool called;
    enum sp_err_kind kind;
    bool succeeded;
    uint64_t rev;
    uint64_t lease;
    size_t count;
    bool more;
    char keys[16][64];
    char values[16][64];
    struct sp_store_kv first; /* only its numbers are valid later */

    char changes[4096]; /* "+key=value;" and "-key;" in order */
    size_t n_changes;
    uint64_t last_change_rev;
    enum sp_err_kind watch_kind;
};

static inline void on_deadline(uv_timer_t *timer)
{
    (void)timer;
    fprintf(stderr, "deadline passed\n");
    abort();
}

static inline void wait_for(struct fix *f, const bool *flag)
{
    uv_timer_start(&f->deadline, on_deadline, DEADLINE_MS, 0);
    while (!*flag)
        uv_run(&f->loop, UV_RUN_ONCE);
    uv_timer_stop(&f->deadline);
}

static inline void open_store(struct fix *f)
{
    struct sp_error err = {0};

    if (sp_store_open(&f->loop, f->dir, &f->store, &err) < 0)
        fail_msg("%s", err.msg);
}

static inline void on_closed(void *arg)
{
    *(bool *)arg = true;
}

static inline void close_store(struct fix *f)
{
    bool closed = false;

    sp_store_close(f->store, on_closed, &closed);
    wait_for(f, &closed);
    f->store = NULL;
}

static inline int set_up(void **state)
{
    struct fix *f = sp_new0(struct fix);

    (void)snprintf(f->dir, sizeof(f->dir), "/tmp/sp-store-XXXXXX");
    assert_non_null(mkdtemp(f->dir));
    assert_int_equal(uv_loop_init(&f->loop), 0);
    uv_timer_init(&f->loop, &f->deadline);
    open_store(f);
    *state = f;
    return 0;
}

static inline int tear_down(void **state)
{
    struct fix *f = *state;

    if (f->store)
        close_store(f);
    uv_close((uv_handle_t *)&f->deadline, NULL);
    uv_run(&f->loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&f->loop), 0);
    assert_int_equal(sp_rmtree(AT_FDCWD, f->dir, NULL), 0);
    free(f);
    return 0;
}

/* --- one call, waited for --------------------------------------------------------------------- */

static inline void on_txn(void *arg, const struct sp_error *err, bool succeeded, uint64_t rev)
{
    struct fix *f = arg;

    f->called = true;
    f->kind = err ? err->kind : SP_ERR_NONE;
    f->succeeded = succeeded;
    f->rev = rev;
}

static inline void on_lease(void *arg, const struct sp_error *err, uint64_t lease)
{
    struct fix *f = arg;

    f->called = true;
    f->kind = err ? err->kind : SP_ERR_NONE;
    f->lease = lease;
}

static inline void on_range(void *arg, const struct sp_error *err,
                            const struct sp_store_range *range)
{
    struct fix *f = arg;

    f->called = true;
    f->kind = err ? err->kind : SP_ERR_NONE;
    if (err)
        return;
    f->count = range->count;
    f->more = range->more;
    f->rev = range->rev;
    f->first = range->count ? range->kvs[0] : (struct sp_store_kv){0};
    for (size_t i = 0; i < range->count && i < SP_LEN(f->keys); i++) {
        (void)snprintf(f->keys[i], sizeof(f->keys[i]), "%s", range->kvs[i].key);
        (void)snprintf(f->values[i], sizeof(f->values[i]), "%.*s", (int)range->kvs[i].value.len,
                       range->kvs[i].value.ptr);
    }
}

static inline void txn(struct fix *f, const struct sp_store_txn *what)
{
    struct sp_error err = {0};

    f->called = false;
    if (sp_store_txn(f->store, what, on_txn, f, &err) < 0)
        fail_msg("%s", err.msg);
    assert_false(f->called); /* later, never from inside */
    wait_for(f, &f->called);
}

static inline void put(struct fix *f, const char *key, const char *value)
{
    f->called = false;
    assert_int_equal(sp_store_put(f->store, key, sp_slice_str(value), on_txn, f, NULL), 0);
    wait_for(f, &f->called);
}

static inline void del(struct fix *f, const char *key)
{
    f->called = false;
    assert_int_equal(sp_store_delete(f->store, key, on_txn, f, NULL), 0);
    wait_for(f, &f->called);
}

static inline void range(struct fix *f, const char *key, bool prefix, size_t limit)
{
    f->called = false;
    assert_int_equal(sp_store_range(f->store, key, prefix, limit, on_range, f, NULL), 0);
    wait_for(f, &f->called);
}

static inline void grant(struct fix *f, uint64_t ttl_ms)
{
    f->called = false;
    assert_int_equal(sp_store_lease_grant(f->store, ttl_ms, on_lease, f, NULL), 0);
    wait_for(f, &f->called);
}

static inline void on_change(void *arg, const struct sp_error *err,
                             const struct sp_store_change *change)
{
    struct fix *f = arg;
    size_t len = strlen(f->changes);

    if (err) {
        f->watch_kind = err->kind;
        return;
    }
    f->n_changes++;
    assert_true(change->rev >= f->last_change_rev);
    f->last_change_rev = change->rev;
    if (change->deleted)
        (void)snprintf(f->changes + len, sizeof(f->changes) - len, "-%s;", change->key);
    else
        (void)snprintf(f->changes + len, sizeof(f->changes) - len, "+%s=%.*s;", change->key,
                       (int)change->value.len, change->value.ptr);
}

struct race {
    unsigned answered;
    unsigned winners;
};

static inline void on_race(void *arg, const struct sp_error *err, bool succeeded, uint64_t rev)
{
    struct race *race = arg;

    (void)rev;
    assert_null(err);
    race->winners += succeeded;
    race->answered++;
}

#endif
