/* Which tries with a zygote are remembered as vain. */
#include <string.h>

#include "runtime/spaces/zygote.h"
#include "tests/support/test.h"

static struct sp_zygote_try first(void)
{
    struct sp_zygote_try this = {.space = 7, .snapshot = "aa", .base = ""};

    this.limits.memory_bytes = 1 << 30;
    this.limits.pids = 64;
    return this;
}

static void test_a_vain_try_is_known_again(void **state)
{
    struct sp_zygote_refusals refusals = {0};
    struct sp_zygote_try this = first();

    (void)state;
    assert_false(sp_zygote_refusals_have(&refusals, &this));
    sp_zygote_refusals_add(&refusals, &this);
    assert_true(sp_zygote_refusals_have(&refusals, &this));
}

static void test_another_space_version_base_or_limit_is_another_try(void **state)
{
    struct sp_zygote_refusals refusals = {0};
    struct sp_zygote_try this = first();

    (void)state;
    sp_zygote_refusals_add(&refusals, &this);
    this.space = 8;
    assert_false(sp_zygote_refusals_have(&refusals, &this));
    this = first();
    this.snapshot = "ab";
    assert_false(sp_zygote_refusals_have(&refusals, &this));
    this = first();
    this.base = "cc";
    assert_false(sp_zygote_refusals_have(&refusals, &this));
    this = first();
    this.limits.memory_bytes *= 2;
    assert_false(sp_zygote_refusals_have(&refusals, &this));
    this = first();
    this.limits.pids = 65;
    assert_false(sp_zygote_refusals_have(&refusals, &this));
}

static void test_the_oldest_is_forgotten_first(void **state)
{
    struct sp_zygote_refusals refusals = {0};
    struct sp_zygote_try this = first();

    (void)state;
    for (uint64_t space = 1; space <= 200; space++) {
        this.space = space;
        sp_zygote_refusals_add(&refusals, &this);
    }
    for (uint64_t space = 1; space <= 200; space++) {
        this.space = space;
        assert_int_equal(sp_zygote_refusals_have(&refusals, &this), space > 200 - 64);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_vain_try_is_known_again),
        cmocka_unit_test(test_another_space_version_base_or_limit_is_another_try),
        cmocka_unit_test(test_the_oldest_is_forgotten_first),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
