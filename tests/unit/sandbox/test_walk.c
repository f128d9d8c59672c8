#include "sandbox/walk.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
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

static int other_thread(void *ready)
{
    (void)!write(*(int *)ready, "x", 1);
    while (pause() < 0) {
    }
    return 0;
}

/* Its first thread ends, which the kernel shows as a zombie; another one goes on. */
static _Noreturn void live_without_leader(int ready)
{
    static char stack[65536] __attribute__((aligned(16)));

    (void)clone(other_thread, stack + sizeof(stack),
                CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM,
                &ready);
    for (;;)
        (void)syscall(SYS_exit, 0);
}

static bool is_shown_as_zombie(pid_t pid)
{
    char path[40], text[256] = "";
    FILE *file;
    bool is = false;

    (void)snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
    file = fopen(path, "r");
    while (file && fgets(text, sizeof(text), file))
        is |= strncmp(text, "State:\tZ", 8) == 0;
    if (file)
        (void)fclose(file);
    return is;
}

static void test_a_process_whose_first_thread_has_ended_is_found_and_killed(void **state)
{
    int ready[2], status = 0;
    bool is_zombie = false;
    unsigned found;
    char byte;
    pid_t pid;

    (void)state;
    assert_int_equal(pipe(ready), 0);
    pid = fork();
    if (pid == 0)
        live_without_leader(ready[1]);
    (void)close(ready[1]); /* a child that dies is an end of the file */
    assert_int_equal(read(ready[0], &byte, 1), 1);
    for (int i = 0; i < 5000 && !is_zombie; i++) {
        is_zombie = is_shown_as_zombie(pid);
        (void)usleep(1000);
    }
    found = sp_walk_kill_below(getpid());
    (void)kill(pid, SIGKILL); /* found or not, it must not outlive the test */
    assert_int_equal(waitpid(pid, &status, 0), pid);
    (void)close(ready[0]);
    assert_true(is_zombie);
    assert_int_equal(found, 1);
    assert_true(WIFSIGNALED(status));
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
        cmocka_unit_test(test_a_process_whose_first_thread_has_ended_is_found_and_killed),
        cmocka_unit_test(test_a_tag_that_nobody_has_kills_nobody),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
