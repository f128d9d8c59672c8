#include "runtime/spaces/launcher.h"

#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/error.h"
#include "tests/support/test.h"

struct world {
    uv_loop_t loop;
    struct sp_launcher *launcher;
    int theirs;
    int taken, answers;
    bool takes;
};

static void ignore(void *arg, const struct sp_launch_msg *event)
{
    (void)arg;
    (void)event;
}

static void lost(void *arg, const char *why)
{
    (void)arg;
    fail_msg("lost: %s", why);
}

static void on_answer(void *arg, const struct sp_error *err, const struct sp_launch_msg *reply)
{
    struct world *w = arg;

    assert_null(err);
    assert_int_equal(reply->kind, SP_LAUNCH_OK);
    w->answers++;
    if (w->takes)
        w->taken = sp_launcher_take_fd(w->launcher);
}

static void setup(struct world *w)
{
    const struct sp_launcher_hooks hooks = {ignore, ignore, ignore, lost, w};
    int pair[2];

    memset(w, 0, sizeof(*w));
    w->taken = -1;
    assert_int_equal(uv_loop_init(&w->loop), 0);
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair),
                     0);
    w->theirs = pair[1];
    assert_int_equal(sp_launcher_new(&w->loop, pair[0], &hooks, &w->launcher, NULL), 0);
}

static void teardown(struct world *w)
{
    sp_launcher_close(w->launcher);
    (void)close(w->theirs);
    (void)uv_run(&w->loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&w->loop), 0);
}

/* Asks for a socket, and answers with the read end of a pipe; returns the write end. */
static int ask(struct world *w)
{
    struct sp_launch_msg msg;
    int fds[SP_LAUNCH_FDS_MAX], pipes[2], before = w->answers;
    size_t n;

    sp_launch_msg_init(&msg, SP_LAUNCH_SOCKET);
    msg.sandbox = 7;
    sp_launcher_call(w->launcher, &msg, NULL, 0, on_answer, w);
    assert_int_equal(sp_launch_recv(w->theirs, &msg, fds, &n, NULL), 1);
    assert_int_equal(pipe(pipes), 0);
    msg.kind = SP_LAUNCH_OK;
    assert_int_equal(sp_launch_send(w->theirs, &msg, pipes, 1, NULL), 0);
    (void)close(pipes[0]);
    while (w->answers == before)
        (void)uv_run(&w->loop, UV_RUN_ONCE);
    return pipes[1];
}

static void test_the_caller_takes_the_descriptor_that_came_with_the_answer(void **state)
{
    struct world w;
    char byte = 0;
    int end;

    (void)state;
    setup(&w);
    w.takes = true;
    end = ask(&w);
    assert_true(w.taken >= 0);
    assert_int_equal(write(end, "x", 1), 1);
    assert_int_equal(read(w.taken, &byte, 1), 1);
    assert_int_equal(byte, 'x');
    assert_int_equal(sp_launcher_take_fd(w.launcher), -1);
    (void)close(w.taken);
    (void)close(end);
    teardown(&w);
}

static void test_a_descriptor_that_nobody_takes_is_closed(void **state)
{
    struct world w;
    int end;

    (void)state;
    (void)signal(SIGPIPE, SIG_IGN);
    setup(&w);
    end = ask(&w);
    assert_int_equal(write(end, "x", 1), -1); /* its read end is gone */
    (void)close(end);
    teardown(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_caller_takes_the_descriptor_that_came_with_the_answer),
        cmocka_unit_test(test_a_descriptor_that_nobody_takes_is_closed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
