#include "sandbox/walk.h"

#include <errno.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/support/test.h"

/* A child whose own child is an orphan of it: returns when both are there. */
static pid_t start_family(void)
{
    int ready[2];
    char byte;
    pid_t pid;

    assert_int_equal(pipe(ready), 0);
    pid = fork();
    if (pid == 0) {
        if (fork() == 0) {
            (void)setsid();
            (void)!write(ready[1], "x", 1);
            for (;;)
                (void)pause();
        }
        for (;;)
            (void)pause();
    }
    assert_int_equal(read(ready[0], &byte, 1), 1);
    (void)close(ready[0]);
    (void)close(ready[1]);
    return pid;
}

static void test_descendants_are_found_and_killed_grandchildren_too(void **state)
{
    pid_t pid;
    int reaped = 0;

    (void)state;
    assert_int_equal(prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0), 0);
    pid = start_family();
    assert_true(pid > 0);
    assert_int_equal(sp_walk_kill_below(getpid()), 2);
    while (waitpid(-1, NULL, 0) > 0)
        reaped++;
    assert_int_equal(reaped, 2);
    assert_int_equal(errno, ECHILD);
    assert_int_equal(sp_walk_kill_below(getpid()), 0);
}

static void test_a_tag_that_nobody_has_kills_nobody(void **state)
{
    pid_t pid;

    (void)state;
    pid = start_family();
    assert_int_equal(sp_walk_kill_tagged(3999999999u), 0);
    assert_int_equal(kill(pid, 0), 0);
    assert_int_equal(sp_walk_kill_below(getpid()), 2);
    while (waitpid(-1, NULL, 0) > 0)
        ;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_descendants_are_found_and_killed_grandchildren_too),
        cmocka_unit_test(test_a_tag_that_nobody_has_kills_nobody),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
