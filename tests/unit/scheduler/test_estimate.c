#include "scheduler/estimate.h"
#include "scheduler/sched.h"
#include "tests/support/test.h"

static void test_an_average_is_over_all_runs_and_rounds_down(void **state)
{
    struct sp_estimate_fn fn = {0};

    (void)state;
    assert_true(sp_estimate_run(&fn) == SP_SCHED_NO_ETA);
    sp_estimate_learn(&fn, 100);
    sp_estimate_learn(&fn, 201);
    assert_int_equal(sp_estimate_run(&fn), 150);
}

static void test_the_line_ahead_is_shared_by_the_limit(void **state)
{
    struct sp_estimate_fn own = {0}, other = {0};
    struct sp_estimate_line ahead = {0};

    (void)state;
    sp_estimate_learn(&own, 1000);
    sp_estimate_learn(&other, 501);
    sp_estimate_enter(&ahead, &other, 3);
    assert_int_equal(sp_estimate_eta(&own, &ahead, 1, 7), 1000 + 1503 + 7);
    assert_int_equal(sp_estimate_eta(&own, &ahead, 2, 7), 1000 + 751 + 7);
    assert_int_equal(sp_estimate_eta(&own, &ahead, SP_SCHED_UNLIMITED, 7), 1000 + 7);
    sp_estimate_leave(&ahead, &other, 3);
    assert_int_equal(sp_estimate_eta(&own, &ahead, 1, 0), 1000);
}

static void test_one_unknown_makes_the_estimate_unknown(void **state)
{
    struct sp_estimate_fn own = {0}, other = {0};
    struct sp_estimate_line ahead = {0};

    (void)state;
    assert_true(sp_estimate_eta(&own, &ahead, 1, 0) == SP_SCHED_NO_ETA);
    sp_estimate_learn(&own, 1000);
    assert_true(sp_estimate_eta(&own, &ahead, 1, SP_SCHED_NO_ETA) == SP_SCHED_NO_ETA);
    sp_estimate_enter(&ahead, &other, 1);
    assert_true(sp_estimate_eta(&own, &ahead, 1, 0) == SP_SCHED_NO_ETA);
    sp_estimate_leave(&ahead, &other, 1);
    assert_int_equal(sp_estimate_eta(&own, &ahead, 1, 0), 1000);
}

static void test_a_run_without_end_does_not_overflow_a_long_line(void **state)
{
    struct sp_estimate_fn fn = {0};
    struct sp_estimate_line ahead = {0};

    (void)state;
    sp_estimate_learn(&fn, UINT64_MAX);
    sp_estimate_learn(&fn, UINT64_MAX);
    sp_estimate_enter(&ahead, &fn, 50000000);
    assert_true(ahead.work_us > 0);
    assert_true(sp_estimate_eta(&fn, &ahead, 1, 0) > ahead.work_us);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_an_average_is_over_all_runs_and_rounds_down),
        cmocka_unit_test(test_the_line_ahead_is_shared_by_the_limit),
        cmocka_unit_test(test_one_unknown_makes_the_estimate_unknown),
        cmocka_unit_test(test_a_run_without_end_does_not_overflow_a_long_line),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
