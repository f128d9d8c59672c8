#include "base/fault.h"

#include "base/mem.h"
#include "tests/support/test.h"

#ifdef SP_FAULTS

static void test_the_plan_says_which_call_fails(void **state)
{
    (void)state;
    sp_fault_plan("a:2,b:3-,broken,c:x,d:1");
    for (int call = 1; call <= 5; call++) {
        assert_int_equal(sp_fault("a"), call == 2);
        assert_int_equal(sp_fault("b"), call >= 3);
        assert_false(sp_fault("broken"));
        assert_false(sp_fault("c"));
        assert_int_equal(sp_fault("d"), call == 1);
        assert_false(sp_fault("e"));
    }
    sp_fault_plan("a:1"); /* a new plan counts anew */
    assert_true(sp_fault("a"));
    assert_false(sp_fault("b"));
    sp_fault_plan(NULL);
    assert_false(sp_fault("a"));
}

#else

static void test_the_plan_says_which_call_fails(void **state)
{
    (void)state;
    skip(); /* needs a build with FAULTS=1 */
}

#endif

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_plan_says_which_call_fails),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
