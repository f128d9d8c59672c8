/*
 * The contract of runtime/store.h, run against every backend: `backends` has one row each. What is
 * SQLite's own (schema, damage, locks, full disk) comes after.
 */
#include "runtime/store.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <sqlite3.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/fault.h"
#include "base/fd.h"
#include "base/mem.h"
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

static void on_deadline(uv_timer_t *timer)
{
    (void)timer;
    fprintf(stderr, "deadline passed\n");
    abort();
}

static void wait_for(struct fix *f, const bool *flag)
{
    uv_timer_start(&f->deadline, on_deadline, DEADLINE_MS, 0);
    while (!*flag)
        uv_run(&f->loop, UV_RUN_ONCE);
    uv_timer_stop(&f->deadline);
}

static void open_store(struct fix *f)
{
    struct sp_error err = {0};

    if (sp_store_open(&f->loop, f->dir, &f->store, &err) < 0)
        fail_msg("%s", err.msg);
}

static void on_closed(void *arg)
{
    *(bool *)arg = true;
}

static void close_store(struct fix *f)
{
    bool closed = false;

    sp_store_close(f->store, on_closed, &closed);
    wait_for(f, &closed);
    f->store = NULL;
}

static int set_up(void **state)
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

static int tear_down(void **state)
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

static void on_txn(void *arg, const struct sp_error *err, bool succeeded, uint64_t rev)
{
    struct fix *f = arg;

    f->called = true;
    f->kind = err ? err->kind : SP_ERR_NONE;
    f->succeeded = succeeded;
    f->rev = rev;
}

static void on_lease(void *arg, const struct sp_error *err, uint64_t lease)
{
    struct fix *f = arg;

    f->called = true;
    f->kind = err ? err->kind : SP_ERR_NONE;
    f->lease = lease;
}

static void on_range(void *arg, const struct sp_error *err, const struct sp_store_range *range)
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

static void txn(struct fix *f, const struct sp_store_txn *what)
{
    struct sp_error err = {0};

    f->called = false;
    if (sp_store_txn(f->store, what, on_txn, f, &err) < 0)
        fail_msg("%s", err.msg);
    assert_false(f->called); /* later, never from inside */
    wait_for(f, &f->called);
}

static void put(struct fix *f, const char *key, const char *value)
{
    f->called = false;
    assert_int_equal(sp_store_put(f->store, key, sp_slice_str(value), on_txn, f, NULL), 0);
    wait_for(f, &f->called);
}

static void del(struct fix *f, const char *key)
{
    f->called = false;
    assert_int_equal(sp_store_delete(f->store, key, on_txn, f, NULL), 0);
    wait_for(f, &f->called);
}

static void range(struct fix *f, const char *key, bool prefix, size_t limit)
{
    f->called = false;
    assert_int_equal(sp_store_range(f->store, key, prefix, limit, on_range, f, NULL), 0);
    wait_for(f, &f->called);
}

static void grant(struct fix *f, uint64_t ttl_ms)
{
    f->called = false;
    assert_int_equal(sp_store_lease_grant(f->store, ttl_ms, on_lease, f, NULL), 0);
    wait_for(f, &f->called);
}

static void on_change(void *arg, const struct sp_error *err, const struct sp_store_change *change)
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

/* --- keys and values -------------------------------------------------------------------------- */

static void test_a_key_that_was_put_is_read_back_with_its_revisions(void **state)
{
    struct fix *f = *state;

    put(f, "/a", "one");
    assert_int_equal(f->kind, SP_ERR_NONE);
    assert_true(f->succeeded);
    assert_int_equal(f->rev, 1);
    put(f, "/a", "two");
    range(f, "/a", false, 0);
    assert_int_equal(f->count, 1);
    assert_string_equal(f->values[0], "two");
    assert_int_equal(f->first.create_rev, 1);
    assert_int_equal(f->first.mod_rev, 2);
    assert_int_equal(f->first.version, 2);
    assert_int_equal(f->rev, 2);
}

static void test_an_absent_key_is_no_error(void **state)
{
    struct fix *f = *state;

    range(f, "/none", false, 0);
    assert_int_equal(f->kind, SP_ERR_NONE);
    assert_int_equal(f->count, 0);
    del(f, "/none");
    assert_int_equal(f->kind, SP_ERR_NONE);
    assert_int_equal(f->rev, 0); /* nothing changed, so no revision is used up */
}

static void test_a_prefix_range_is_in_key_order_and_says_when_it_is_cut(void **state)
{
    struct fix *f = *state;

    put(f, "/b/2", "2");
    put(f, "/b/10", "10");
    put(f, "/b/1", "1");
    put(f, "/b~", "after");
    put(f, "/a", "before");
    range(f, "/b/", true, 0);
    assert_int_equal(f->count, 3);
    assert_string_equal(f->keys[0], "/b/1");
    assert_string_equal(f->keys[1], "/b/10");
    assert_string_equal(f->keys[2], "/b/2");
    assert_false(f->more);
    range(f, "/b/", true, 3);
    assert_false(f->more);
    range(f, "/b/", true, 2);
    assert_int_equal(f->count, 2);
    assert_true(f->more);
    range(f, "", true, 0);
    assert_int_equal(f->count, 5);
}

static void test_pages_of_a_long_range_follow_each_other(void **state)
{
    struct fix *f = *state;
    char last[64] = "";
    size_t seen = 0;

    put(f, "/a", "before");
    put(f, "/q", "after");
    for (int i = 0; i < 10; i++) {
        char key[32];

        (void)snprintf(key, sizeof(key), "/p/%d", i * 7); /* "/p/7" is a prefix of "/p/70"'s kin */
        put(f, key, "x");
    }
    do {
        f->called = false;
        assert_int_equal(sp_store_range_after(f->store, "/p/", last, 3, on_range, f, NULL), 0);
        wait_for(f, &f->called);
        for (size_t i = 0; i < f->count; i++) {
            assert_true(strcmp(f->keys[i], last) > 0);
            (void)snprintf(last, sizeof(last), "%s", f->keys[i]);
        }
        seen += f->count;
    } while (f->more);
    assert_int_equal(seen, 10);
}

static void test_values_may_be_empty_and_hold_any_bytes(void **state)
{
    struct fix *f = *state;
    struct sp_store_op op = {.op = SP_STORE_PUT, .key = "/z", .value = sp_slice("a\0b", 3)};

    put(f, "/e", "");
    range(f, "/e", false, 0);
    assert_int_equal(f->count, 1);
    assert_int_equal(f->first.value.len, 0);
    txn(f, &(struct sp_store_txn){.then = &op, .n_then = 1});
    range(f, "/z", false, 0);
    assert_int_equal(f->first.value.len, 3);
}

static void test_wrong_keys_and_too_large_values_are_refused_at_once(void **state)
{
    struct fix *f = *state;
    SP_AUTO_FREE char *large = calloc(1, SP_STORE_VALUE_MAX + 1);
    char key[SP_STORE_KEY_MAX + 2];
    struct sp_error err = {0};

    memset(key, 'k', sizeof(key) - 1);
    key[sizeof(key) - 1] = '\0';
    assert_true(sp_store_put(f->store, key, SP_SLICE("x"), on_txn, f, &err) < 0);
    assert_int_equal(err.kind, SP_ERR_INVALID);
    key[SP_STORE_KEY_MAX] = '\0';
    put(f, key, "fits");
    assert_true(sp_store_put(f->store, "", SP_SLICE("x"), on_txn, f, &err) < 0);
    assert_true(sp_store_put(f->store, "/a b", SP_SLICE("x"), on_txn, f, &err) < 0);
    assert_true(sp_store_put(f->store, "/\xc3\xa4", SP_SLICE("x"), on_txn, f, &err) < 0);
    assert_true(
        sp_store_put(f->store, "/l", sp_slice(large, SP_STORE_VALUE_MAX + 1), on_txn, f, &err) < 0);
    assert_int_equal(err.kind, SP_ERR_LIMIT);
    f->called = false;
    assert_int_equal(
        sp_store_put(f->store, "/l", sp_slice(large, SP_STORE_VALUE_MAX), on_txn, f, NULL), 0);
    wait_for(f, &f->called);
    assert_int_equal(f->kind, SP_ERR_NONE);
}

/* --- transactions ----------------------------------------------------------------------------- */

static void test_a_transaction_runs_the_branch_its_comparison_chooses(void **state)
{
    struct fix *f = *state;
    struct sp_store_compare absent = {.key = "/a", .op = SP_STORE_ABSENT};
    struct sp_store_op then = {.op = SP_STORE_PUT, .key = "/a", .value = SP_SLICE("first")};
    struct sp_store_op otherwise = {.op = SP_STORE_PUT, .key = "/b", .value = SP_SLICE("late")};
    struct sp_store_txn what = {&absent, 1, &then, 1, &otherwise, 1};

    txn(f, &what);
    assert_true(f->succeeded);
    txn(f, &what);
    assert_false(f->succeeded);
    assert_int_equal(f->kind, SP_ERR_NONE);
    range(f, "/", true, 0);
    assert_int_equal(f->count, 2);
    assert_string_equal(f->values[0], "first");
    assert_string_equal(f->values[1], "late");
}

static void test_all_comparisons_must_hold(void **state)
{
    struct fix *f = *state;
    struct sp_store_compare compares[] = {
        {.key = "/a", .op = SP_STORE_PRESENT},
        {.key = "/a", .op = SP_STORE_MOD_REV_IS, .rev = 1},
        {.key = "/b", .op = SP_STORE_ABSENT},
    };
    struct sp_store_op then = {.op = SP_STORE_PUT, .key = "/c", .value = SP_SLICE("yes")};
    struct sp_store_txn what = {compares, 3, &then, 1, NULL, 0};

    put(f, "/a", "x");
    txn(f, &what);
    assert_true(f->succeeded);
    put(f, "/a", "y"); /* the revision moves on */
    txn(f, &what);
    assert_false(f->succeeded);
    compares[1].rev = f->rev;
    txn(f, &what);
    assert_true(f->succeeded);
    put(f, "/b", "x");
    txn(f, &what);
    assert_false(f->succeeded);
}

static unsigned winners;

static void on_race(void *arg, const struct sp_error *err, bool succeeded, uint64_t rev)
{
    (void)rev;
    assert_null(err);
    winners += succeeded;
    (*(unsigned *)arg)++;
}

static void test_of_many_that_race_for_a_key_one_wins(void **state)
{
    struct fix *f = *state;
    struct sp_store_compare absent = {.key = "/lock", .op = SP_STORE_ABSENT};
    struct sp_store_op then = {.op = SP_STORE_PUT, .key = "/lock", .value = SP_SLICE("mine")};
    unsigned answered = 0;

    winners = 0;
    for (int i = 0; i < 200; i++)
        assert_int_equal(sp_store_txn(f->store, &(struct sp_store_txn){&absent, 1, &then, 1, 0, 0},
                                      on_race, &answered, NULL),
                         0);
    range(f, "/lock", false, 0); /* comes after them all */
    assert_int_equal(answered, 200);
    assert_int_equal(winners, 1);
    assert_int_equal(f->first.version, 1);
}

static void test_changes_of_one_transaction_share_a_revision(void **state)
{
    struct fix *f = *state;
    struct sp_store_op ops[] = {
        {.op = SP_STORE_PUT, .key = "/d/1", .value = SP_SLICE("1")},
        {.op = SP_STORE_PUT, .key = "/d/2", .value = SP_SLICE("2")},
        {.op = SP_STORE_DELETE_PREFIX, .key = "/old/"},
        {.op = SP_STORE_DELETE, .key = "/gone"},
    };

    put(f, "/old/1", "x");
    put(f, "/old/2", "x");
    put(f, "/older", "stays");
    put(f, "/gone", "x");
    txn(f, &(struct sp_store_txn){.then = ops, .n_then = 4});
    assert_int_equal(f->rev, 5);
    range(f, "/", true, 0);
    assert_int_equal(f->count, 3);
    assert_string_equal(f->keys[2], "/older");
    assert_int_equal(f->first.mod_rev, 5);
}

static void test_a_transaction_that_names_a_key_twice_or_is_too_long_is_refused(void **state)
{
    struct fix *f = *state;
    struct sp_store_op ops[129] = {{.op = SP_STORE_PUT, .key = "/a"},
                                   {.op = SP_STORE_DELETE, .key = "/a"}};
    struct sp_error err = {0};

    assert_true(sp_store_txn(f->store, &(struct sp_store_txn){.then = ops, .n_then = 2}, on_txn, f,
                             &err) < 0);
    assert_int_equal(err.kind, SP_ERR_INVALID);
    assert_true(sp_store_txn(f->store, &(struct sp_store_txn){.otherwise = ops, .n_otherwise = 2},
                             on_txn, f, NULL) < 0);
    for (size_t i = 0; i < SP_LEN(ops); i++)
        ops[i] = (struct sp_store_op){.op = SP_STORE_DELETE_PREFIX, .key = "/a"};
    assert_true(sp_store_txn(f->store, &(struct sp_store_txn){.then = ops, .n_then = 129}, on_txn,
                             f, &err) < 0);
    assert_int_equal(err.kind, SP_ERR_LIMIT);
}

/* --- leases ----------------------------------------------------------------------------------- */

static void put_leased(struct fix *f, const char *key, uint64_t lease)
{
    struct sp_store_op op = {
        .op = SP_STORE_PUT, .key = key, .value = SP_SLICE("leased"), .lease = lease};

    txn(f, &(struct sp_store_txn){.then = &op, .n_then = 1});
}

static void test_a_lease_takes_its_keys_with_it_when_it_is_revoked(void **state)
{
    struct fix *f = *state;
    uint64_t lease;

    grant(f, 60000);
    lease = f->lease;
    assert_true(lease != 0);
    put_leased(f, "/l/1", lease);
    put_leased(f, "/l/2", lease);
    put(f, "/l/2", "kept: put again without the lease");
    f->called = false;
    assert_int_equal(sp_store_lease_revoke(f->store, lease, on_lease, f, NULL), 0);
    wait_for(f, &f->called);
    assert_int_equal(f->kind, SP_ERR_NONE);
    range(f, "/l/", true, 0);
    assert_int_equal(f->count, 1);
    assert_string_equal(f->keys[0], "/l/2");
    put_leased(f, "/l/3", lease);
    assert_int_equal(f->kind, SP_ERR_NOT_FOUND);
}

static void on_any_change(void *arg, const struct sp_error *err,
                          const struct sp_store_change *change)
{
    (void)err;
    if (change->deleted)
        *(bool *)arg = true;
}

static void test_a_lease_ends_by_itself_and_watchers_hear_of_its_keys(void **state)
{
    struct fix *f = *state;
    struct sp_store_watch *watch = NULL;
    uint64_t began = sp_clock_mono_ms();
    bool deleted = false;

    assert_int_equal(sp_store_watch(f->store, "/l/", 0, on_any_change, &deleted, &watch, NULL), 0);
    grant(f, 60);
    put_leased(f, "/l/1", f->lease);
    wait_for(f, &deleted);
    assert_true(sp_clock_mono_ms() - began >= 55);
    range(f, "/l/", true, 0);
    assert_int_equal(f->count, 0);
    sp_store_unwatch(watch);
}

static void test_a_lease_starts_again_after_a_restart(void **state)
{
    struct fix *f = *state;
    bool deleted = false;
    struct sp_store_watch *watch = NULL;

    grant(f, 300);
    put_leased(f, "/l/1", f->lease);
    close_store(f);
    open_store(f);
    assert_int_equal(sp_store_watch(f->store, "/l/", 0, on_any_change, &deleted, &watch, NULL), 0);
    range(f, "/l/", true, 0);
    assert_int_equal(f->count, 1);
    wait_for(f, &deleted);
    sp_store_unwatch(watch);
}

/* --- watches ---------------------------------------------------------------------------------- */

static void test_a_watch_hears_every_change_below_its_prefix_in_order(void **state)
{
    struct fix *f = *state;
    struct sp_store_watch *watch = NULL;

    put(f, "/w/0", "before");
    assert_int_equal(sp_store_watch(f->store, "/w/", 0, on_change, f, &watch, NULL), 0);
    put(f, "/w/1", "a");
    put(f, "/other", "x");
    put(f, "/w/1", "b");
    del(f, "/w/0");
    put(f, "/last", "x"); /* its answer comes after the changes before it */
    assert_string_equal(f->changes, "+/w/1=a;+/w/1=b;-/w/0;");
    sp_store_unwatch(watch);
    put(f, "/w/1", "c");
    range(f, "/w/", true, 0);
    assert_int_equal(f->n_changes, 3);
}

static void test_a_watch_from_a_revision_has_no_gap(void **state)
{
    struct fix *f = *state;
    struct sp_store_watch *watch = NULL;

    put(f, "/w/1", "1");
    put(f, "/w/2", "2");
    put(f, "/w/3", "3");
    /* The put is under way before the watch is asked for and done before it is answered. */
    assert_int_equal(sp_store_put(f->store, "/w/4", SP_SLICE("4"), NULL, NULL, NULL), 0);
    assert_int_equal(sp_store_watch(f->store, "/w/", 2, on_change, f, &watch, NULL), 0);
    put(f, "/w/5", "5");
    put(f, "/end", "");
    assert_string_equal(f->changes, "+/w/2=2;+/w/3=3;+/w/4=4;+/w/5=5;");
    sp_store_unwatch(watch);
}

static void test_a_watch_goes_on_from_a_revision_across_a_restart(void **state)
{
    struct fix *f = *state;
    struct sp_store_watch *watch = NULL;

    put(f, "/w/1", "1");
    put(f, "/w/2", "2");
    close_store(f);
    open_store(f);
    assert_int_equal(sp_store_watch(f->store, "/w/", 2, on_change, f, &watch, NULL), 0);
    put(f, "/w/3", "3");
    assert_int_equal(f->rev, 3);
    put(f, "/end", "");
    assert_string_equal(f->changes, "+/w/2=2;+/w/3=3;");
    sp_store_unwatch(watch);
}

static void on_change_unwatch(void *arg, const struct sp_error *err,
                              const struct sp_store_change *change)
{
    struct sp_store_watch **watch = arg;

    (void)err;
    (void)change;
    assert_non_null(*watch); /* not called again */
    sp_store_unwatch(*watch);
    *watch = NULL;
}

static void test_a_watch_may_be_ended_from_its_own_callback(void **state)
{
    struct fix *f = *state;
    struct sp_store_watch *watch = NULL;
    struct sp_store_watch *other = NULL;

    assert_int_equal(sp_store_watch(f->store, "/w/", 0, on_change_unwatch, &watch, &watch, NULL),
                     0);
    assert_int_equal(sp_store_watch(f->store, "/w/", 0, on_change, f, &other, NULL), 0);
    put(f, "/w/1", "1");
    put(f, "/w/2", "2");
    put(f, "/end", "");
    assert_null(watch);
    assert_int_equal(f->n_changes, 2);
    sp_store_unwatch(other);
}

/* 11,000 changes in transactions of 100: the first are compacted away. */
static void test_a_watch_from_a_compacted_revision_is_told_so(void **state)
{
    struct fix *f = *state;
    struct sp_store_watch *watch = NULL;
    char keys[100][16];
    struct sp_store_op ops[100];

    for (size_t i = 0; i < 100; i++) {
        (void)snprintf(keys[i], sizeof(keys[i]), "/w/%zu", i);
        ops[i] = (struct sp_store_op){.op = SP_STORE_PUT, .key = keys[i], .value = SP_SLICE("v")};
    }
    for (size_t i = 0; i < 110; i++)
        assert_int_equal(sp_store_txn(f->store, &(struct sp_store_txn){.then = ops, .n_then = 100},
                                      NULL, NULL, NULL),
                         0);
    put(f, "/end", "");
    put(f, "/end", ""); /* the first group may have committed late */
    assert_int_equal(sp_store_watch(f->store, "/w/", 1, on_change, f, &watch, NULL), 0);
    range(f, "/w/0", false, 0);
    assert_int_equal(f->watch_kind, SP_ERR_CONFLICT);
    assert_int_equal(f->n_changes, 0);
    sp_store_unwatch(watch);
    /* What is kept is at least the promised number of changes. */
    assert_int_equal(sp_store_watch(f->store, "/w/", 12, on_change, f, &watch, NULL), 0);
    range(f, "/w/0", false, 0);
    assert_int_equal(f->first.version, 110);
    assert_true(f->n_changes >= 9900);
    sp_store_unwatch(watch);
}

/* --- life ------------------------------------------------------------------------------------- */

static void test_close_finishes_what_was_asked(void **state)
{
    struct fix *f = *state;
    bool closed = false;

    f->called = false;
    assert_int_equal(sp_store_put(f->store, "/last", SP_SLICE("x"), on_txn, f, NULL), 0);
    sp_store_close(f->store, on_closed, &closed);
    assert_true(sp_store_put(f->store, "/late", SP_SLICE("x"), on_txn, f, NULL) < 0);
    wait_for(f, &closed);
    assert_true(f->called);
    open_store(f);
    range(f, "/last", false, 0);
    assert_int_equal(f->count, 1);
}

static void test_a_stranger_cannot_queue_without_end(void **state)
{
    struct fix *f = *state;
    SP_AUTO_FREE char *value = calloc(1, SP_STORE_VALUE_MAX);
    struct sp_error err = {0};
    size_t accepted = 0;

    while (accepted < 1000 && sp_store_put(f->store, "/big", sp_slice(value, SP_STORE_VALUE_MAX),
                                           NULL, NULL, &err) == 0)
        accepted++;
    assert_in_range(accepted, 100, 999);
    assert_int_equal(err.kind, SP_ERR_UNAVAILABLE);
    while (f->called = false, sp_store_range(f->store, "/", true, 1, on_range, f, NULL) < 0)
        uv_run(&f->loop, UV_RUN_ONCE);
    wait_for(f, &f->called);
    put(f, "/small", "works again");
    assert_int_equal(f->kind, SP_ERR_NONE);
}

static void test_a_second_opener_is_refused(void **state)
{
    struct fix *f = *state;
    struct sp_store *second = NULL;
    struct sp_error err = {0};

    assert_true(sp_store_open(&f->loop, f->dir, &second, &err) < 0);
    assert_int_equal(err.kind, SP_ERR_CONFLICT);
    assert_null(second);
}

static void tamper(struct fix *f, const char *sql)
{
    char path[128];
    sqlite3 *db;

    (void)snprintf(path, sizeof(path), "%s/store.db", f->dir);
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_close(db), SQLITE_OK);
}

static void test_a_newer_schema_is_refused(void **state)
{
    struct fix *f = *state;
    struct sp_error err = {0};

    close_store(f);
    tamper(f, "UPDATE meta SET value = 2 WHERE name = 'schema'");
    assert_true(sp_store_open(&f->loop, f->dir, &f->store, &err) < 0);
    assert_int_equal(err.kind, SP_ERR_CONFLICT);
    assert_non_null(strstr(err.msg, "version 2"));
}

static void test_a_damaged_file_is_refused(void **state)
{
    struct fix *f = *state;
    struct sp_error err = {0};
    char path[128];
    char junk[8192];
    int fd;

    for (int i = 0; i < 200; i++) {
        char key[32];

        (void)snprintf(key, sizeof(key), "/k/%d", i);
        put(f, key, "some value that fills pages");
    }
    close_store(f);
    (void)snprintf(path, sizeof(path), "%s/store.db", f->dir);
    memset(junk, 0x5a, sizeof(junk));
    fd = open(path, O_WRONLY | O_CLOEXEC);
    assert_int_equal(pwrite(fd, junk, sizeof(junk), 8192), sizeof(junk));
    (void)close(fd);
    assert_true(sp_store_open(&f->loop, f->dir, &f->store, &err) < 0);
    assert_int_equal(err.kind, SP_ERR_INTERNAL);
    assert_non_null(strstr(err.msg, "damaged"));
}

static void test_the_database_is_for_its_owner_only(void **state)
{
    struct fix *f = *state;
    struct stat st;
    char path[128];

    put(f, "/a", "x");
    (void)snprintf(path, sizeof(path), "%s/store.db", f->dir);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    (void)snprintf(path, sizeof(path), "%s/store.db-wal", f->dir);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
}

/* A checkout under /root: the working folder is ours, its parents may not be walked. */
static void open_from_closed_parents(const char *dir)
{
    struct fix f = {0};

    if (chdir(dir) < 0 || chmod("closed", 0700) < 0 || chdir("closed/state") < 0 ||
        setgid(65534) < 0 || setuid(65534) < 0 || access(dir, F_OK) < 0)
        _exit(2);
    (void)snprintf(f.dir, sizeof(f.dir), "kept");
    if (uv_loop_init(&f.loop) < 0 || uv_timer_init(&f.loop, &f.deadline) < 0 ||
        sp_store_open(&f.loop, f.dir, &f.store, NULL) < 0)
        _exit(3);
    put(&f, "/a", "x");
    close_store(&f);
    if (f.kind != SP_ERR_NONE || sp_store_open(&f.loop, f.dir, &f.store, NULL) < 0)
        _exit(4);
    range(&f, "/a", false, 0);
    close_store(&f);
    _exit(f.count == 1 ? 0 : 5);
}

static void test_the_store_opens_where_only_the_working_folder_can_be_walked(void **state)
{
    struct fix *f = *state;
    SP_AUTO_FREE char *path = sp_asprintf("%s/closed/state", f->dir);
    int status = -1;
    pid_t pid;

    if (geteuid() != 0)
        skip();
    assert_int_equal(sp_mkdir_p(AT_FDCWD, path, 0755, NULL), 0);
    assert_int_equal(chown(path, 65534, 65534), 0);
    assert_int_equal(chmod(f->dir, 0755), 0);
    close_store(f); /* the child starts threads, which sanitizers allow after this only */
    pid = fork();
    if (pid == 0)
        open_from_closed_parents(f->dir);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
}

/* --- crashes and full disks ------------------------------------------------------------------- */

struct teller {
    int fd;
    unsigned next;
    struct sp_store *store;
};

static void put_next(struct teller *teller);

static void on_told(void *arg, const struct sp_error *err, bool succeeded, uint64_t rev)
{
    struct teller *teller = arg;

    (void)succeeded;
    (void)rev;
    if (err)
        _exit(1);
    /* The parent counts what it has heard to be safe. */
    if (write(teller->fd, "x", 1) != 1)
        _exit(1);
    put_next(teller);
}

static void put_next(struct teller *teller)
{
    char key[32];

    (void)snprintf(key, sizeof(key), "/k/%08u", teller->next++);
    if (sp_store_put(teller->store, key, SP_SLICE("value"), on_told, teller, NULL) < 0)
        _exit(1);
}

static void tell_for_ever(const char *dir, int fd)
{
    struct teller teller = {.fd = fd};
    uv_loop_t loop;

    if (uv_loop_init(&loop) < 0 || sp_store_open(&loop, dir, &teller.store, NULL) < 0)
        _exit(1);
    for (int i = 0; i < 8; i++)
        put_next(&teller);
    uv_run(&loop, UV_RUN_DEFAULT);
    _exit(1);
}

static void on_count(void *arg, const struct sp_error *err, const struct sp_store_range *range)
{
    struct fix *f = arg;

    assert_null(err);
    f->called = true;
    f->count = range->count;
    for (size_t i = 0; i < range->count; i++) {
        char key[32];

        (void)snprintf(key, sizeof(key), "/k/%08zu", i);
        assert_string_equal(range->kvs[i].key, key); /* in order, without holes */
    }
}

/* Starts a child that writes, kills it after it has reported `heard` writes; what it has reported
 * in all comes back. */
static size_t run_and_kill(struct fix *f, size_t heard)
{
    char buf[256];
    size_t told = 0;
    int pipes[2];
    ssize_t n;
    pid_t pid;

    assert_int_equal(pipe(pipes), 0);
    pid = fork();
    if (pid == 0) {
        (void)close(pipes[0]);
        tell_for_ever(f->dir, pipes[1]);
    }
    (void)close(pipes[1]);
    while (told < heard && (n = read(pipes[0], buf, 1)) == 1)
        told += (size_t)n;
    assert_int_equal(kill(pid, SIGKILL), 0);
    while ((n = read(pipes[0], buf, sizeof(buf))) > 0)
        told += (size_t)n;
    (void)close(pipes[0]);
    assert_int_equal(waitpid(pid, NULL, 0), pid);
    return told;
}

static void test_kill_9_loses_nothing_that_was_reported(void **state)
{
    struct fix *f = *state;

    close_store(f);
    for (size_t round = 0; round < 8; round++) {
        size_t told = run_and_kill(f, 1 + round * 37);

        open_store(f);
        f->called = false;
        assert_int_equal(sp_store_range(f->store, "/k/", true, 0, on_count, f, NULL), 0);
        wait_for(f, &f->called);
        assert_true(told > 0);
        assert_true(f->count >= told);
        f->called = false;
        {
            struct sp_store_op op = {.op = SP_STORE_DELETE_PREFIX, .key = "/k/"};

            txn(f, &(struct sp_store_txn){.then = &op, .n_then = 1});
        }
        close_store(f);
    }
}

static void test_a_full_disk_refuses_and_works_again_when_there_is_space(void **state)
{
    struct fix *f = *state;
    SP_AUTO_FREE char *value = calloc(1, 100 * 1024);
    char ballast[128];
    unsigned stored = 0;

    close_store(f);
    if (mount("none", f->dir, "tmpfs", 0, "size=2m") < 0)
        skip(); /* needs root: the fault point test below covers the rest */
    open_store(f);
    put(f, "/before", "x");
    for (; stored < 100; stored++) {
        char key[32];

        (void)snprintf(key, sizeof(key), "/fill/%u", stored);
        f->called = false;
        assert_int_equal(sp_store_put(f->store, key, sp_slice(value, 100 * 1024), on_txn, f, NULL),
                         0);
        wait_for(f, &f->called);
        if (f->kind != SP_ERR_NONE)
            break;
    }
    assert_in_range(stored, 1, 99);
    assert_int_equal(f->kind, SP_ERR_UNAVAILABLE);
    range(f, "/before", false, 0);
    assert_int_equal(f->count, 1);
    range(f, "/fill/", true, 0);
    assert_int_equal(f->count, stored); /* all of what was answered, none of what was not */

    (void)snprintf(ballast, sizeof(ballast), "remount,size=16m");
    assert_int_equal(mount("none", f->dir, "tmpfs", MS_REMOUNT, "size=16m"), 0);
    put(f, "/after", "x");
    assert_int_equal(f->kind, SP_ERR_NONE);
    close_store(f);
    open_store(f);
    range(f, "/fill/", true, 0);
    assert_int_equal(f->count, stored);
    range(f, "/after", false, 0);
    assert_int_equal(f->count, 1);
    close_store(f);
    assert_int_equal(umount(f->dir), 0);
}

#ifdef SP_FAULTS
static void test_a_failed_commit_fails_only_what_fails_again_alone(void **state)
{
    struct fix *f = *state;
    unsigned answered = 0;

    winners = 0;
    put(f, "/warm", "x");
    sp_fault_plan("store.commit:1"); /* the group's commit; each alone succeeds */
    for (int i = 0; i < 3; i++)
        assert_int_equal(sp_store_put(f->store, "/a", SP_SLICE("x"), on_race, &answered, NULL), 0);
    range(f, "/a", false, 0);
    assert_int_equal(winners, 3);
    assert_int_equal(f->first.version, 3);
    sp_fault_plan("store.commit:1-");
    put(f, "/b", "x");
    assert_int_equal(f->kind, SP_ERR_UNAVAILABLE);
    sp_fault_plan(NULL);
    range(f, "/b", false, 0);
    assert_int_equal(f->count, 0);
    assert_int_equal(f->rev, 4);
    put(f, "/b", "x");
    assert_int_equal(f->rev, 5);
}
#endif

int main(void)
{
#define ROW(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        ROW(test_a_key_that_was_put_is_read_back_with_its_revisions),
        ROW(test_an_absent_key_is_no_error),
        ROW(test_a_prefix_range_is_in_key_order_and_says_when_it_is_cut),
        ROW(test_pages_of_a_long_range_follow_each_other),
        ROW(test_values_may_be_empty_and_hold_any_bytes),
        ROW(test_wrong_keys_and_too_large_values_are_refused_at_once),
        ROW(test_a_transaction_runs_the_branch_its_comparison_chooses),
        ROW(test_all_comparisons_must_hold),
        ROW(test_of_many_that_race_for_a_key_one_wins),
        ROW(test_changes_of_one_transaction_share_a_revision),
        ROW(test_a_transaction_that_names_a_key_twice_or_is_too_long_is_refused),
        ROW(test_a_lease_takes_its_keys_with_it_when_it_is_revoked),
        ROW(test_a_lease_ends_by_itself_and_watchers_hear_of_its_keys),
        ROW(test_a_lease_starts_again_after_a_restart),
        ROW(test_a_watch_hears_every_change_below_its_prefix_in_order),
        ROW(test_a_watch_from_a_revision_has_no_gap),
        ROW(test_a_watch_goes_on_from_a_revision_across_a_restart),
        ROW(test_a_watch_may_be_ended_from_its_own_callback),
        ROW(test_a_watch_from_a_compacted_revision_is_told_so),
        ROW(test_close_finishes_what_was_asked),
        ROW(test_a_stranger_cannot_queue_without_end),
        ROW(test_a_second_opener_is_refused),
        ROW(test_a_newer_schema_is_refused),
        ROW(test_a_damaged_file_is_refused),
        ROW(test_the_database_is_for_its_owner_only),
        ROW(test_the_store_opens_where_only_the_working_folder_can_be_walked),
        ROW(test_kill_9_loses_nothing_that_was_reported),
        ROW(test_a_full_disk_refuses_and_works_again_when_there_is_space),
#ifdef SP_FAULTS
        ROW(test_a_failed_commit_fails_only_what_fails_again_alone),
#endif
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
