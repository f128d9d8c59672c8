#include "sandbox/kin.h"

#include <stdlib.h>

#include "base/mem.h"
#include "tests/support/test.h"

#define MANY 200000

static enum sp_kin kin(const struct sp_kin_proc *list, size_t n, pid_t pid)
{
    for (size_t i = 0; i < n; i++)
        if (list[i].pid == pid)
            return list[i].kin;
    fail_msg("no process %d", (int)pid);
    return SP_KIN_OPEN;
}

static void test_what_is_below_a_keeper_is_kept_and_the_rest_are_orphans(void **state)
{
    struct sp_kin_proc list[] = {
        {.pid = 12, .parent = 11}, {.pid = 11, .parent = 10}, {.pid = 10, .parent = 1},
        {.pid = 21, .parent = 20}, {.pid = 20, .parent = 1},  {.pid = 30, .parent = 0},
        {.pid = 1, .parent = 0},
    };
    const size_t n = SP_LEN(list);

    (void)state;
    sp_kin_of_keepers(list, n, 1, (pid_t[]){11, 99}, 2);
    assert_int_equal(kin(list, n, 12), SP_KIN_KEPT);
    assert_int_equal(kin(list, n, 11), SP_KIN_KEPT);
    assert_int_equal(kin(list, n, 10), SP_KIN_ORPHAN);
    assert_int_equal(kin(list, n, 20), SP_KIN_ORPHAN);
    assert_int_equal(kin(list, n, 21), SP_KIN_ORPHAN);
    assert_int_equal(kin(list, n, 30), SP_KIN_ORPHAN); /* its parent is outside the namespace */
}

static void test_a_gap_on_the_way_up_says_nothing(void **state)
{
    struct sp_kin_proc list[] = {
        {.pid = 10, .parent = 1, .is_zombie = true},
        {.pid = 11, .parent = 10},
        {.pid = 12, .parent = 11},
        {.pid = 21, .parent = 20}, /* 20 is not in the list */
        {.pid = 22, .parent = 21},
    };
    const size_t n = SP_LEN(list);

    (void)state;
    sp_kin_of_keepers(list, n, 1, (pid_t[]){22}, 1);
    assert_int_equal(kin(list, n, 10), SP_KIN_ORPHAN);
    assert_int_equal(kin(list, n, 11), SP_KIN_UNKNOWN);
    assert_int_equal(kin(list, n, 12), SP_KIN_UNKNOWN);
    assert_int_equal(kin(list, n, 21), SP_KIN_UNKNOWN);
    assert_int_equal(kin(list, n, 22), SP_KIN_KEPT);
}

static void test_a_circle_of_lines_is_unknown_and_ends(void **state)
{
    struct sp_kin_proc list[] = {
        {.pid = 10, .parent = 12}, {.pid = 11, .parent = 10}, {.pid = 12, .parent = 11},
        {.pid = 13, .parent = 12}, {.pid = 20, .parent = 20}, {.pid = 30, .parent = 1},
    };
    const size_t n = SP_LEN(list);

    (void)state;
    sp_kin_of_keepers(list, n, 1, NULL, 0);
    for (pid_t pid = 10; pid <= 13; pid++)
        assert_int_equal(kin(list, n, pid), SP_KIN_UNKNOWN);
    assert_int_equal(kin(list, n, 20), SP_KIN_UNKNOWN);
    assert_int_equal(kin(list, n, 30), SP_KIN_ORPHAN);
}

static void test_below_an_ancestor_through_its_zombies(void **state)
{
    struct sp_kin_proc list[] = {
        {.pid = 1, .parent = 0},   {.pid = 9, .parent = 1},
        {.pid = 10, .parent = 9},  {.pid = 11, .parent = 10, .is_zombie = true},
        {.pid = 12, .parent = 11}, {.pid = 20, .parent = 1},
    };
    const size_t n = SP_LEN(list);

    (void)state;
    sp_kin_of_ancestor(list, n, 10);
    assert_int_equal(kin(list, n, 12), SP_KIN_KEPT);
    assert_int_equal(kin(list, n, 11), SP_KIN_KEPT);
    assert_int_equal(kin(list, n, 10), SP_KIN_KEPT);
    assert_int_not_equal(kin(list, n, 9), SP_KIN_KEPT);
    assert_int_not_equal(kin(list, n, 20), SP_KIN_KEPT);
    sp_kin_of_ancestor(NULL, 0, 10);
}

/* The worst case: looked for one by one in the list, it would be 20 thousand million steps. */
static void test_a_long_chain_is_followed_in_a_moment(void **state)
{
    struct sp_kin_proc *list = sp_realloc(NULL, MANY, sizeof(*list));

    (void)state;
    for (int i = 0; i < MANY; i++) /* the youngest first */
        list[i] = (struct sp_kin_proc){.pid = MANY + 1 - i, .parent = MANY - i};
    sp_kin_of_keepers(list, MANY, 1, (pid_t[]){MANY / 2}, 1);
    assert_int_equal(list[0].pid, 2);
    assert_int_equal(kin(list, MANY, MANY / 2 - 1), SP_KIN_ORPHAN);
    assert_int_equal(kin(list, MANY, MANY / 2), SP_KIN_KEPT);
    assert_int_equal(kin(list, MANY, MANY + 1), SP_KIN_KEPT);
    free(list);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_is_below_a_keeper_is_kept_and_the_rest_are_orphans),
        cmocka_unit_test(test_a_gap_on_the_way_up_says_nothing),
        cmocka_unit_test(test_a_circle_of_lines_is_unknown_and_ends),
        cmocka_unit_test(test_below_an_ancestor_through_its_zombies),
        cmocka_unit_test(test_a_long_chain_is_followed_in_a_moment),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
