#include "sandbox/userns.h"

#include "tests/support/test.h"

static void test_ranges_do_not_overlap_and_lie_where_nobody_else_allocates(void **state)
{
    static struct sp_userns_slots slots;
    uint32_t a = 0, b = 0;

    (void)state;
    sp_userns_slots_init(&slots, 7);
    assert_true(sp_userns_take(&slots, &a));
    assert_true(sp_userns_take(&slots, &b));
    assert_int_equal(b - a, SP_USERNS_WIDTH);
    assert_true(a >= 0x70000000u);
    /* systemd's foreign ids begin at 0x7ffe0000. */
    assert_true(SP_USERNS_FIRST + (uint64_t)SP_USERNS_SLOTS * SP_USERNS_WIDTH <= 0x7ffe0000u);
}

static void test_a_range_rests_before_it_is_used_again(void **state)
{
    static struct sp_userns_slots slots;
    uint32_t first = 0, next = 0;

    (void)state;
    sp_userns_slots_init(&slots, 0);
    assert_true(sp_userns_take(&slots, &first));
    sp_userns_release(&slots, first);
    assert_true(sp_userns_take(&slots, &next));
    assert_int_not_equal(next, first);
}

static void test_the_last_range_is_the_last(void **state)
{
    static struct sp_userns_slots slots;
    uint32_t base = 0, again = 0;

    (void)state;
    sp_userns_slots_init(&slots, 3999);
    for (unsigned i = 0; i < SP_USERNS_SLOTS; i++)
        assert_true(sp_userns_take(&slots, &base));
    assert_false(sp_userns_take(&slots, &again));
    sp_userns_release(&slots, base);
    assert_true(sp_userns_take(&slots, &again));
    assert_int_equal(again, base);
    sp_userns_release(&slots, 0); /* never taken: ignored */
    sp_userns_release(&slots, UINT32_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ranges_do_not_overlap_and_lie_where_nobody_else_allocates),
        cmocka_unit_test(test_a_range_rests_before_it_is_used_again),
        cmocka_unit_test(test_the_last_range_is_the_last),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
