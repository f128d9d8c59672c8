/* The contract of runtime/state/store.h: it holds for every backend; today there is one. */
#include "tests/unit/runtime/store_fixture.h"

#include "base/clock.h"

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

static void test_of_many_that_race_for_a_key_one_wins(void **state)
{
    struct fix *f = *state;
    struct sp_store_compare absent = {.key = "/lock", .op = SP_STORE_ABSENT};
    struct sp_store_op then = {.op = SP_STORE_PUT, .key = "/lock", .value = SP_SLICE("mine")};
    struct race race = {0};

    for (int i = 0; i < 200; i++)
        assert_int_equal(sp_store_txn(f->store, &(struct sp_store_txn){&absent, 1, &then, 1, 0, 0},
                                      on_race, &race, NULL),
                         0);
    range(f, "/lock", false, 0); /* comes after them all */
    assert_int_equal(race.answered, 200);
    assert_int_equal(race.winners, 1);
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

/* The second operation fails: the first must not be seen, nor may its neighbours in the group. */
static void test_a_transaction_that_fails_half_way_leaves_nothing(void **state)
{
    struct fix *f = *state;
    struct sp_store_op ops[] = {
        {.op = SP_STORE_PUT, .key = "/half/1", .value = SP_SLICE("x")},
        {.op = SP_STORE_PUT, .key = "/half/2", .value = SP_SLICE("x"), .lease = 999},
    };

    put(f, "/warm", "x"); /* the thread sleeps again, so the next three go together */
    assert_int_equal(sp_store_put(f->store, "/before", SP_SLICE("x"), NULL, NULL, NULL), 0);
    txn(f, &(struct sp_store_txn){.then = ops, .n_then = 2});
    assert_int_equal(f->kind, SP_ERR_NOT_FOUND);
    put(f, "/after", "x");
    assert_int_equal(f->rev, 3); /* and no revision was used up */
    range(f, "/half/", true, 0);
    assert_int_equal(f->count, 0);
    range(f, "/", true, 0);
    assert_int_equal(f->count, 3);
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
        ROW(test_a_transaction_that_fails_half_way_leaves_nothing),
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
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
