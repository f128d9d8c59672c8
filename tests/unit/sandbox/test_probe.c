#include "sandbox/probe.h"

#include <string.h>

#include "sandbox/init.h"
#include "tests/support/test.h"

static struct sp_probe made_up(void)
{
    struct sp_probe probe;

    memset(&probe, 0, sizeof(probe));
    probe.n = 3;
    probe.items[0] = (struct sp_probe_item){"user namespace", true, true, SP_ISOLATE_USER, "", "x"};
    probe.items[1] =
        (struct sp_probe_item){"mount namespace", false, true, SP_ISOLATE_MOUNT, "forbidden", "x"};
    probe.items[2] =
        (struct sp_probe_item){"writable layer", true, false, SP_ISOLATE_OVERLAY, "", "x"};
    return probe;
}

static void test_what_is_missing_is_listed_with_the_reason(void **state)
{
    struct sp_probe probe = made_up();
    char text[64], tiny[8];

    (void)state;
    assert_false(sp_probe_complete(&probe));
    sp_probe_missing(&probe, text, sizeof(text));
    assert_string_equal(text, "mount namespace: forbidden");
    sp_probe_missing(&probe, tiny, sizeof(tiny));
    assert_string_equal(tiny, "mount n");
    probe.items[1].on = true;
    assert_true(sp_probe_complete(&probe));
}

static void test_what_needs_a_mount_namespace_goes_with_it(void **state)
{
    struct sp_probe probe = made_up();

    (void)state;
    assert_int_equal(sp_probe_isolate(&probe), SP_ISOLATE_USER);
    probe.items[1].on = true;
    assert_int_equal(sp_probe_isolate(&probe),
                     SP_ISOLATE_USER | SP_ISOLATE_MOUNT | SP_ISOLATE_OVERLAY);
}

static void test_the_real_list_says_how_to_turn_each_thing_on(void **state)
{
    static struct sp_probe probe;

    (void)state;
    sp_probe_run(&probe, "/", NULL);
    assert_true(probe.n > 10 && probe.n <= SP_PROBE_MAX);
    for (size_t i = 0; i < probe.n; i++) {
        assert_non_null(probe.items[i].name);
        assert_true(strlen(probe.items[i].how) > 10);
        assert_true(probe.items[i].on || probe.items[i].why[0] != '\0');
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_is_missing_is_listed_with_the_reason),
        cmocka_unit_test(test_what_needs_a_mount_namespace_goes_with_it),
        cmocka_unit_test(test_the_real_list_says_how_to_turn_each_thing_on),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
