/* How many wrong tokens a network may send. */
#include <string.h>

#include "runtime/api/tries.h"
#include "tests/support/test.h"

static struct sp_tries tries;

static bool take(const char *from, uint64_t now_ms)
{
    struct sp_address address;
    uint64_t wait_ms = 0;
    bool may;

    assert_true(sp_address_parse(sp_slice_str(from), &address));
    may = sp_tries_take(&tries, &address, 2, now_ms, &wait_ms);
    assert_true(may || (wait_ms > 0 && wait_ms <= SP_TRIES_WINDOW_MS));
    return may;
}

static int clear(void **state)
{
    (void)state;
    memset(&tries, 0, sizeof(tries));
    return 0;
}

static void test_a_network_has_its_number_in_a_minute(void **state)
{
    (void)state;
    assert_true(take("192.0.2.1", 1000));
    assert_true(take("192.0.2.1", 2000));
    assert_false(take("192.0.2.1", 60999));
    assert_true(take("192.0.2.1", 61000));
}

static void test_neighbours_are_counted_apart_but_not_within_a_64(void **state)
{
    (void)state;
    assert_true(take("192.0.2.1", 1000));
    assert_true(take("192.0.2.1", 1000));
    assert_true(take("192.0.2.2", 1000));
    assert_true(take("2001:db8::1", 1000));
    assert_true(take("2001:db8::2", 1000));
    assert_false(take("2001:db8::3", 1000));
    assert_true(take("2001:db8:0:1::3", 1000));
}

static void test_a_right_one_is_given_back(void **state)
{
    struct sp_address address;

    (void)state;
    assert_true(sp_address_parse(sp_slice_str("192.0.2.1"), &address));
    for (int i = 0; i < 10; i++) {
        assert_true(take("192.0.2.1", 1000));
        sp_tries_give_back(&tries, &address);
    }
    sp_tries_give_back(&tries, &address); /* never below nothing */
    assert_true(take("192.0.2.1", 1000));
    assert_true(take("192.0.2.1", 1000));
    assert_false(take("192.0.2.1", 1000));
}

static void test_a_flood_of_networks_pushes_out_the_oldest(void **state)
{
    char text[32];

    (void)state;
    for (unsigned i = 0; i < 2 * SP_TRIES_NETWORKS; i++) {
        (void)snprintf(text, sizeof(text), "10.0.%u.%u", i / 256, i % 256);
        assert_true(take(text, 1000 + i));
    }
    assert_true(take(text, 3000));
    assert_false(take(text, 3000));
    assert_true(take("10.0.0.0", 3000));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_a_network_has_its_number_in_a_minute, clear),
        cmocka_unit_test_setup(test_neighbours_are_counted_apart_but_not_within_a_64, clear),
        cmocka_unit_test_setup(test_a_right_one_is_given_back, clear),
        cmocka_unit_test_setup(test_a_flood_of_networks_pushes_out_the_oldest, clear),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
