#include "sandbox/gpu/pool.h"

#include <stdio.h>

#include "base/error.h"
#include "tests/support/test.h"

static struct sp_gpu_pool pool;

static int set_up(void **state)
{
    static const enum sp_gpu_kind kinds[] = {SP_GPU_WHOLE, SP_GPU_MIG, SP_GPU_SHARED};
    struct sp_gpu_list list;

    (void)state;
    sp_gpu_list_init(&list);
    for (size_t i = 0; i < 3; i++) {
        struct sp_gpu_slot *slot = sp_gpu_list_add(&list);

        (void)snprintf(slot->id, sizeof(slot->id), "%s", sp_gpu_kind_to_string(kinds[i]));
        slot->kind = kinds[i];
        slot->memory_bytes = 100;
    }
    sp_gpu_pool_init(&pool, &list);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    sp_gpu_pool_done(&pool);
    return 0;
}

static int take(const char *id, uint64_t bytes, struct sp_gpu_lease *ret)
{
    struct sp_launch_gpu asked = {.memory_bytes = bytes};

    (void)snprintf(asked.id, sizeof(asked.id), "%s", id);
    return sp_gpu_pool_take(&pool, &asked, 1, ret, NULL);
}

static void test_whole_and_mig_have_one_holder_until_it_is_released(void **state)
{
    struct sp_gpu_lease a = {.n = 0}, b = {.n = 0};

    (void)state;
    for (int i = 0; i < 2; i++) {
        const char *id = i ? "mig" : "whole";

        assert_int_equal(take(id, 0, &a), 0);
        assert_true(take(id, 0, &b) < 0);
        assert_int_equal(b.n, 0);
        sp_gpu_pool_release(&pool, &a);
        assert_int_equal(take(id, 0, &b), 0);
        sp_gpu_pool_release(&pool, &b);
        sp_gpu_pool_release(&pool, &b); /* an empty lease gives nothing back */
        assert_int_equal(pool.n_leases, 0);
    }
}

static void test_shares_never_add_up_to_more_than_there_is(void **state)
{
    struct sp_gpu_lease a = {.n = 0}, b = {.n = 0}, c = {.n = 0};

    (void)state;
    assert_int_equal(take("shared", 60, &a), 0);
    assert_true(take("shared", 41, &b) < 0);
    assert_true(take("shared", UINT64_MAX, &b) < 0);
    assert_int_equal(take("shared", 40, &b), 0);
    assert_true(take("shared", 1, &c) < 0);
    sp_gpu_pool_release(&pool, &a);
    assert_int_equal(pool.lent_bytes[2], 40);
    sp_gpu_pool_release(&pool, &b);
    assert_int_equal(pool.lent_bytes[2] + pool.holders[2] + pool.n_leases, 0);
}

static void test_a_request_gets_all_or_nothing(void **state)
{
    const struct sp_launch_gpu asked[] = {{.id = "whole"}, {.id = "shared", .memory_bytes = 101}};
    struct sp_gpu_lease lease = {.n = 0};

    (void)state;
    assert_true(sp_gpu_pool_take(&pool, asked, 2, &lease, NULL) < 0);
    assert_int_equal(pool.holders[0] + pool.n_leases, 0);
    assert_true(take("whole", 1, &lease) < 0);
    assert_true(take("shared", 0, &lease) < 0);
    assert_true(take("other", 0, &lease) < 0);
}

static void test_two_readings_in_a_row_above_are_too_many(void **state)
{
    static const struct {
        uint64_t used;
        bool overdrawn;
    } readings[] = {{51, false}, {50, false}, {51, false}, {51, true}, {0, false}};
    struct sp_gpu_lease lease = {.n = 0};

    (void)state;
    assert_int_equal(take("shared", 50, &lease), 0);
    for (size_t i = 0; i < sizeof(readings) / sizeof(readings[0]); i++) {
        lease.held[0].used_bytes = readings[i].used;
        assert_int_equal(sp_gpu_lease_overdrawn(&pool, &lease), readings[i].overdrawn);
    }
    sp_gpu_pool_release(&pool, &lease);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_whole_and_mig_have_one_holder_until_it_is_released),
        cmocka_unit_test(test_shares_never_add_up_to_more_than_there_is),
        cmocka_unit_test(test_a_request_gets_all_or_nothing),
        cmocka_unit_test(test_two_readings_in_a_row_above_are_too_many),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
