#include "sandbox/launch.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/error.h"
#include "tests/support/test.h"

static int pair[2];

static int open_pair(void **state)
{
    (void)state;
    return socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair);
}

static int close_pair(void **state)
{
    (void)state;
    (void)close(pair[0]);
    (void)close(pair[1]);
    return 0;
}

static void test_a_message_arrives_as_it_was_sent_with_its_descriptors(void **state)
{
    struct sp_launch_msg sent, got;
    int fds[SP_LAUNCH_FDS_MAX], pipes[2];
    size_t n_fds = 9;
    char byte = 0;

    (void)state;
    assert_int_equal(pipe(pipes), 0);
    sp_launch_msg_init(&sent, SP_LAUNCH_WORKER_START);
    sent.seq = 5;
    sent.sandbox = 6;
    sent.worker = 7;
    assert_int_equal(sp_launch_send(pair[0], &sent, pipes, 2, NULL), 0);
    assert_int_equal(sp_launch_recv(pair[1], &got, fds, &n_fds, NULL), 1);
    assert_memory_equal(&sent, &got, sizeof(sent));
    assert_int_equal(n_fds, 2);
    assert_int_equal(fcntl(fds[0], F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
    assert_int_equal(write(fds[1], "x", 1), 1);
    assert_int_equal(read(pipes[0], &byte, 1), 1);
    assert_int_equal(byte, 'x');
    for (int i = 0; i < 2; i++) {
        (void)close(fds[i]);
        (void)close(pipes[i]);
    }
}

static void test_an_empty_socket_is_eagain_and_a_closed_one_the_end(void **state)
{
    struct sp_launch_msg got;
    int fds[SP_LAUNCH_FDS_MAX];
    size_t n_fds;

    (void)state;
    assert_int_equal(sp_launch_recv(pair[1], &got, fds, &n_fds, NULL), -EAGAIN);
    assert_int_equal(shutdown(pair[0], SHUT_RDWR), 0);
    assert_int_equal(sp_launch_recv(pair[1], &got, fds, &n_fds, NULL), 0);
}

static void test_a_full_socket_is_eagain_and_not_a_wait(void **state)
{
    struct sp_launch_msg msg;
    int r = 0;

    (void)state;
    sp_launch_msg_init(&msg, SP_LAUNCH_OK);
    for (int i = 0; i < 10000 && r == 0; i++)
        r = sp_launch_send(pair[0], &msg, NULL, 0, NULL);
    assert_int_equal(r, -EAGAIN);
}

static void send_raw(const void *data, size_t len, const int *fds, size_t n_fds)
{
    union {
        char buf[CMSG_SPACE(sizeof(int) * 8)];
        struct cmsghdr align;
    } control;
    struct iovec iov = {(void *)(uintptr_t)data, len};
    struct msghdr hdr = {.msg_iov = &iov, .msg_iovlen = 1};
    struct cmsghdr *cmsg;

    memset(&control, 0, sizeof(control));
    if (n_fds) {
        hdr.msg_control = control.buf;
        hdr.msg_controllen = CMSG_SPACE(sizeof(int) * n_fds);
        cmsg = CMSG_FIRSTHDR(&hdr);
        cmsg->cmsg_level = SOL_SOCKET;
        cmsg->cmsg_type = SCM_RIGHTS;
        cmsg->cmsg_len = CMSG_LEN(sizeof(int) * n_fds);
        memcpy(CMSG_DATA(cmsg), fds, sizeof(int) * n_fds);
    }
    assert_int_equal(sendmsg(pair[0], &hdr, 0), (ssize_t)len);
}

static int lowest_free_fd(void)
{
    int fd = open("/dev/null", O_RDONLY);

    (void)close(fd);
    return fd;
}

static void test_packets_that_are_not_messages_are_refused_and_leak_nothing(void **state)
{
    struct sp_launch_msg msg, got;
    char longer[sizeof(msg) + 1];
    int fds[SP_LAUNCH_FDS_MAX], given[8];
    int free_fd = lowest_free_fd();
    size_t n_fds = 0;

    (void)state;
    for (size_t i = 0; i < 8; i++)
        given[i] = 0;
    sp_launch_msg_init(&msg, SP_LAUNCH_OK);
    memset(longer, 0, sizeof(longer));
    memcpy(longer, &msg, sizeof(msg));

    send_raw(&msg, sizeof(msg) - 1, given, 2); /* short */
    assert_int_equal(sp_launch_recv(pair[1], &got, fds, &n_fds, NULL), -EPROTO);
    send_raw(longer, sizeof(longer), given, 1); /* long */
    assert_int_equal(sp_launch_recv(pair[1], &got, fds, &n_fds, NULL), -EPROTO);
    send_raw(&msg, sizeof(msg), given, 3); /* one descriptor more than there can be */
    assert_int_equal(sp_launch_recv(pair[1], &got, fds, &n_fds, NULL), -EPROTO);
    send_raw(&msg, sizeof(msg), given, 8); /* more than the kernel has room for */
    assert_int_equal(sp_launch_recv(pair[1], &got, fds, &n_fds, NULL), -EPROTO);
    msg.magic++;
    send_raw(&msg, sizeof(msg), given, 2);
    assert_int_equal(sp_launch_recv(pair[1], &got, fds, &n_fds, NULL), -EPROTO);
    assert_int_equal(n_fds, 0);
    assert_int_equal(lowest_free_fd(), free_fd);
}

static void test_arguments_are_packed_with_their_terminators(void **state)
{
    const char *const argv[] = {"/bin/x", "", NULL}, *const env[] = {"A=b", NULL};
    struct sp_launch_msg msg;

    (void)state;
    sp_launch_msg_init(&msg, SP_LAUNCH_WORKER_START);
    assert_int_equal(sp_launch_pack_args(&msg, argv, env, NULL), 0);
    assert_int_equal(msg.worker_start.argc, 2);
    assert_int_equal(msg.worker_start.envc, 1);
    assert_int_equal(msg.worker_start.args_len, 12);
    assert_memory_equal(msg.worker_start.args, "/bin/x\0\0A=b", 12);
}

static void test_arguments_that_do_not_fit_are_refused(void **state)
{
    static char big[SP_LAUNCH_ARGS_MAX + 1];
    const char *fits[] = {big, NULL};
    struct sp_launch_msg msg;
    struct sp_error err = {0};

    (void)state;
    memset(big, 'x', SP_LAUNCH_ARGS_MAX);
    sp_launch_msg_init(&msg, SP_LAUNCH_WORKER_START);
    assert_int_equal(sp_launch_pack_args(&msg, fits, NULL, &err), -E2BIG);
    assert_int_equal(err.kind, SP_ERR_LIMIT);
    big[SP_LAUNCH_ARGS_MAX - 1] = '\0';
    assert_int_equal(sp_launch_pack_args(&msg, fits, NULL, &err), 0);
    assert_int_equal(sp_launch_pack_args(&msg, fits, fits, &err), -E2BIG);
}

static void test_every_kind_has_a_name(void **state)
{
    (void)state;
    assert_string_equal(sp_launch_kind_to_string(SP_LAUNCH_HELLO), "hello");
    assert_string_equal(sp_launch_kind_to_string(SP_LAUNCH_SANDBOX_GONE), "sandbox_gone");
    assert_string_equal(sp_launch_kind_to_string((enum sp_launch_kind)99), "unknown");
}

#define WITH_PAIR(test) cmocka_unit_test_setup_teardown(test, open_pair, close_pair)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_PAIR(test_a_message_arrives_as_it_was_sent_with_its_descriptors),
        WITH_PAIR(test_an_empty_socket_is_eagain_and_a_closed_one_the_end),
        WITH_PAIR(test_a_full_socket_is_eagain_and_not_a_wait),
        WITH_PAIR(test_packets_that_are_not_messages_are_refused_and_leak_nothing),
        cmocka_unit_test(test_arguments_are_packed_with_their_terminators),
        cmocka_unit_test(test_arguments_that_do_not_fit_are_refused),
        cmocka_unit_test(test_every_kind_has_a_name),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
