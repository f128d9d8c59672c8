#include "sandbox/launcher/request.h"

#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "tests/support/test.h"

static struct sp_launch_msg good(enum sp_launch_kind kind)
{
    const char *const argv[] = {"/bin/true", "x", NULL}, *const env[] = {"A=b", NULL};
    struct sp_launch_msg msg;

    sp_launch_msg_init(&msg, kind);
    msg.seq = 1;
    msg.sandbox = kind == SP_LAUNCH_HELLO ? 0 : 2;
    if (kind == SP_LAUNCH_WORKER_START || kind == SP_LAUNCH_WORKER_STOP)
        msg.worker = 3;
    if (kind == SP_LAUNCH_SANDBOX_START) {
        msg.sandbox_start.space = 4;
        memset(msg.sandbox_start.snapshot, 'a', SP_LAUNCH_HASH_LEN);
        (void)snprintf(msg.sandbox_start.hostname, sizeof(msg.sandbox_start.hostname), "demo-1");
        msg.sandbox_start.limits.memory_bytes = 64u << 20;
    }
    if (kind == SP_LAUNCH_WORKER_START)
        assert_int_equal(sp_launch_pack_args(&msg, argv, env, NULL), 0);
    return msg;
}

static size_t fds_of(enum sp_launch_kind kind)
{
    return kind == SP_LAUNCH_WORKER_START ? SP_LAUNCH_WORKER_FDS : 0;
}

static const enum sp_launch_kind requests[] = {
    SP_LAUNCH_SANDBOX_START, SP_LAUNCH_WORKER_START, SP_LAUNCH_WORKER_STOP,
    SP_LAUNCH_SANDBOX_STOP,  SP_LAUNCH_USAGE,        SP_LAUNCH_SOCKET,
};

static void test_good_requests_pass(void **state)
{
    struct sp_launch_msg hello = good(SP_LAUNCH_HELLO);

    (void)state;
    assert_int_equal(sp_launch_request_check(&hello, 0, false, NULL), 0);
    for (size_t i = 0; i < SP_LEN(requests); i++) {
        struct sp_launch_msg msg = good(requests[i]);

        assert_int_equal(sp_launch_request_check(&msg, fds_of(requests[i]), true, NULL), 0);
    }
}

static void test_hello_comes_first_and_once(void **state)
{
    struct sp_launch_msg hello = good(SP_LAUNCH_HELLO);

    (void)state;
    assert_true(sp_launch_request_check(&hello, 0, true, NULL) < 0);
    for (size_t i = 0; i < SP_LEN(requests); i++) {
        struct sp_launch_msg msg = good(requests[i]);

        assert_true(sp_launch_request_check(&msg, fds_of(requests[i]), false, NULL) < 0);
    }
}

static void test_descriptors_and_ids_fit_the_kind(void **state)
{
    (void)state;
    for (size_t i = 0; i < SP_LEN(requests); i++) {
        struct sp_launch_msg msg = good(requests[i]);
        size_t n = fds_of(requests[i]);

        assert_true(sp_launch_request_check(&msg, n + 1, true, NULL) < 0);
        assert_true(n == 0 || sp_launch_request_check(&msg, n - 1, true, NULL) < 0);
        msg.worker = msg.worker ? 0 : 3;
        assert_true(sp_launch_request_check(&msg, n, true, NULL) < 0);
        msg = good(requests[i]);
        msg.sandbox = 0;
        assert_true(sp_launch_request_check(&msg, n, true, NULL) < 0);
        msg = good(requests[i]);
        msg.seq = 0;
        assert_true(sp_launch_request_check(&msg, n, true, NULL) < 0);
    }
}

static void test_answers_and_unknown_kinds_are_not_requests(void **state)
{
    static const uint32_t kinds[] = {0, 9, 63, SP_LAUNCH_OK, SP_LAUNCH_SANDBOX_GONE, UINT32_MAX};

    (void)state;
    for (size_t i = 0; i < SP_LEN(kinds); i++) {
        struct sp_launch_msg msg = good(SP_LAUNCH_USAGE);
        struct sp_error err = {0};

        msg.kind = kinds[i];
        assert_true(sp_launch_request_check(&msg, 0, true, &err) < 0);
        assert_int_equal(err.kind, SP_ERR_INVALID);
    }
}

static void refuse_start(const struct sp_launch_msg *msg, const char *said)
{
    struct sp_error err = {0};

    assert_true(sp_launch_request_check(msg, 0, true, &err) < 0);
    assert_non_null(strstr(err.msg, said));
}

static void test_hostile_snapshots_are_refused(void **state)
{
    static const char *const bad[] = {
        "",
        "../../../../etc",
        "abc",
        "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
        "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
        "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\n",
    };

    (void)state;
    for (size_t i = 0; i < SP_LEN(bad); i++) {
        struct sp_launch_msg msg = good(SP_LAUNCH_SANDBOX_START);

        memset(msg.sandbox_start.snapshot, 0, sizeof(msg.sandbox_start.snapshot));
        (void)snprintf(msg.sandbox_start.snapshot, sizeof(msg.sandbox_start.snapshot), "%s",
                       bad[i]);
        refuse_start(&msg, "snapshot");
    }
    {
        struct sp_launch_msg msg = good(SP_LAUNCH_SANDBOX_START);

        msg.sandbox_start.snapshot[SP_LAUNCH_HASH_LEN] = 'a'; /* not terminated */
        refuse_start(&msg, "snapshot");
    }
}

static void test_hostile_host_names_are_refused(void **state)
{
    static const char *const bad[] = {"", "a b", "a/b", "-a", "A", "a.b", "a\n", "\xc3\xa4"};

    (void)state;
    for (size_t i = 0; i < SP_LEN(bad); i++) {
        struct sp_launch_msg msg = good(SP_LAUNCH_SANDBOX_START);

        (void)snprintf(msg.sandbox_start.hostname, sizeof(msg.sandbox_start.hostname), "%s",
                       bad[i]);
        refuse_start(&msg, "host name");
    }
    {
        struct sp_launch_msg msg = good(SP_LAUNCH_SANDBOX_START);

        memset(msg.sandbox_start.hostname, 'a', sizeof(msg.sandbox_start.hostname));
        refuse_start(&msg, "host name");
    }
}

static void test_limits_out_of_bounds_are_refused_and_small_ones_raised(void **state)
{
    struct sp_launch_msg msg = good(SP_LAUNCH_SANDBOX_START);
    struct sp_launch_limits none = {0}, raised;

    (void)state;
    msg.sandbox_start.limits.memory_bytes = UINT64_MAX;
    refuse_start(&msg, "memory limit");
    msg = good(SP_LAUNCH_SANDBOX_START);
    msg.sandbox_start.limits.cpu_millis = UINT32_MAX;
    refuse_start(&msg, "cpu limit");
    msg = good(SP_LAUNCH_SANDBOX_START);
    msg.sandbox_start.limits.nofile = UINT32_MAX;
    refuse_start(&msg, "open files limit");

    sp_launch_request_limits(&none, &raised);
    assert_int_equal(raised.memory_bytes, 16u << 20);
    assert_int_equal(raised.pids, 8);
    assert_int_equal(raised.nofile, 64);
    assert_int_equal(raised.cpu_millis, 10);
    raised.memory_bytes = 1u << 30;
    sp_launch_request_limits(&raised, &none);
    assert_int_equal(none.memory_bytes, 1u << 30);
}

static void refuse_worker(const struct sp_launch_msg *msg)
{
    struct sp_error err = {0};

    assert_true(sp_launch_request_check(msg, SP_LAUNCH_WORKER_FDS, true, &err) < 0);
    assert_int_equal(err.kind, SP_ERR_INVALID);
}

static void test_hostile_arguments_are_refused(void **state)
{
    struct sp_launch_msg msg = good(SP_LAUNCH_WORKER_START);

    (void)state;
    msg.worker_start.args_len = 0;
    refuse_worker(&msg);
    msg.worker_start.args_len = SP_LAUNCH_ARGS_MAX + 1;
    refuse_worker(&msg);
    msg.worker_start.args_len = UINT32_MAX;
    refuse_worker(&msg);
    msg = good(SP_LAUNCH_WORKER_START);
    msg.worker_start.argc = 0;
    refuse_worker(&msg);
    msg.worker_start.argc = UINT32_MAX;
    msg.worker_start.envc = 4;
    refuse_worker(&msg);
    msg = good(SP_LAUNCH_WORKER_START);
    msg.worker_start.envc++; /* announces a string more than there is */
    refuse_worker(&msg);
    msg = good(SP_LAUNCH_WORKER_START);
    msg.worker_start.args_len--; /* the last one loses its end */
    refuse_worker(&msg);
    msg = good(SP_LAUNCH_WORKER_START);
    msg.worker_start.args[0] = 'b'; /* a relative program */
    refuse_worker(&msg);
}

static void test_a_grace_without_end_is_refused(void **state)
{
    struct sp_launch_msg msg = good(SP_LAUNCH_SANDBOX_STOP);

    (void)state;
    msg.stop.grace_ms = 600001;
    assert_true(sp_launch_request_check(&msg, 0, true, NULL) < 0);
    msg.stop.grace_ms = 600000;
    assert_int_equal(sp_launch_request_check(&msg, 0, true, NULL), 0);
}

static void test_random_messages_never_pass_the_ends_of_their_arrays(void **state)
{
    struct sp_launch_msg msg;
    unsigned seed = 12345;

    (void)state;
    for (int round = 0; round < 2000; round++) {
        unsigned char *bytes = (unsigned char *)&msg;

        for (size_t i = 0; i < sizeof(msg); i++) {
            seed = seed * 1103515245u + 12345u;
            bytes[i] = (unsigned char)(seed >> 16);
        }
        msg.kind = seed % 8;
        msg.seq = 1;
        (void)sp_launch_request_check(&msg, seed % 3, true, NULL); /* the sanitizer watches */
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_good_requests_pass),
        cmocka_unit_test(test_hello_comes_first_and_once),
        cmocka_unit_test(test_descriptors_and_ids_fit_the_kind),
        cmocka_unit_test(test_answers_and_unknown_kinds_are_not_requests),
        cmocka_unit_test(test_hostile_snapshots_are_refused),
        cmocka_unit_test(test_hostile_host_names_are_refused),
        cmocka_unit_test(test_limits_out_of_bounds_are_refused_and_small_ones_raised),
        cmocka_unit_test(test_hostile_arguments_are_refused),
        cmocka_unit_test(test_a_grace_without_end_is_refused),
        cmocka_unit_test(test_random_messages_never_pass_the_ends_of_their_arrays),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
