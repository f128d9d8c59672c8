#include "base/slice.h"

#include <stdint.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "tests/support/test.h"

/* As in linux/sched/types.h. */
struct attributes {
    uint32_t size, policy;
    uint64_t flags;
    int32_t nice;
    uint32_t priority;
    uint64_t runtime, deadline, period;
};

static void test_a_slice_is_what_the_scheduler_then_says(void **state)
{
    struct attributes attr = {0};

    (void)state;
    sp_slice_set(SP_SLICE_APP_US);
    assert_int_equal(syscall(SYS_sched_getattr, 0, &attr, sizeof(attr), 0), 0);
    if (attr.runtime == 0) {
        print_message("this kernel has no slices of one's own (Linux 6.12)\n");
        skip();
    }
    assert_int_equal(attr.runtime, SP_SLICE_APP_US * 1000);
    assert_int_equal(attr.policy, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_slice_is_what_the_scheduler_then_says),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
