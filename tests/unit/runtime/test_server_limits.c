/* The HTTP server: timeouts, limits of connections, the end. */
#include "tests/unit/runtime/server_fixture.h"

/* --- time --------------------------------------------------------------------------------- */

static void test_half_a_head_and_silence_is_ended(void **state)
{
    const char *const settings[] = {"timeout.head", "1s", NULL};
    struct fixture *fx = start(settings);
    struct test_client *client = test_client_new(&fx->loop, fx->port);

    (void)state;
    test_client_send_str(client, "GET /hello HT");
    assert_true(test_client_expect_end(client, 4000));
    assert_int_equal(test_client_count(client, "HTTP/1.1 408 "), 1);
    test_client_free(client);
    finish(fx);
}

/* Bytes that trickle in do not move the deadline of a head. */
static void test_a_trickling_head_is_ended(void **state)
{
    const char *const settings[] = {"timeout.head", "1s", NULL};
    struct fixture *fx = start(settings);
    struct test_client *client = test_client_new(&fx->loop, fx->port);

    (void)state;
    test_client_send_str(client, "GET /hello HTTP/1.1\r\nX: ");
    for (int i = 0; i < 40 && !client->eof; i++) {
        test_client_send_str(client, "x");
        test_run_for(&fx->loop, 100);
    }
    assert_true(client->eof || client->error);
    test_client_free(client);
    finish(fx);
}

static void test_half_a_body_and_silence_is_ended(void **state)
{
    const char *const settings[] = {"timeout.body", "1s", NULL};
    struct fixture *fx = start(settings);
    struct test_client *client = test_client_new(&fx->loop, fx->port);

    (void)state;
    test_client_send_str(client, "POST /upload HTTP/1.1\r\n" HOST "Content-Length: 10\r\n\r\nhalf");
    assert_true(test_client_expect_end(client, 4000));
    assert_int_equal(test_client_count(client, "HTTP/1.1 408 "), 1);
    assert_int_equal(fx->gone, 1);
    test_client_free(client);
    finish(fx);
}

static void test_an_idle_connection_is_ended(void **state)
{
    const char *const settings[] = {"timeout.keep_alive", "1s", NULL};
    struct fixture *fx = start(settings);
    struct test_client *client = test_client_new(&fx->loop, fx->port);

    (void)state;
    test_client_send_str(client, GET("/hello"));
    assert_true(test_client_expect_end(client, 4000));
    assert_int_equal(test_client_count(client, "hello"), 1);
    assert_true(client->eof);
    test_client_free(client);
    finish(fx);
}

static void test_a_reader_that_takes_nothing_is_ended(void **state)
{
    const char *const settings[] = {"timeout.write", "1s", NULL};
    struct fixture *fx = start(settings);
    struct test_client *client = test_client_new(&fx->loop, fx->port);

    (void)state;
    test_client_pause(client, true);
    test_client_send_str(client, GET("/big"));
    test_run_for(&fx->loop, 100);
    assert_int_equal(stats_of(fx).connections, 1);
    for (int i = 0; i < 40 && stats_of(fx).connections; i++)
        test_run_for(&fx->loop, 100);
    assert_int_equal(stats_of(fx).connections, 0);
    test_client_free(client);
    finish(fx);
}

/* --- limits of connections ---------------------------------------------------------------- */

static void test_a_head_above_limit_head_is_refused(void **state)
{
    const char *const settings[] = {"limit.head", "1k", NULL};
    struct fixture *fx = start(settings);
    struct test_client *client = test_client_new(&fx->loop, fx->port);
    char padding[1100];

    (void)state;
    memset(padding, 'x', sizeof(padding));
    test_client_send_str(client, "GET /hello HTTP/1.1\r\n" HOST "X-Padding: ");
    test_client_send(client, padding, sizeof(padding));
    assert_true(test_client_expect(client, "HTTP/1.1 431 "));
    test_client_free(client);
    finish(fx);
}

static void test_connections_above_limit_connections_are_refused(void **state)
{
    const char *const settings[] = {"limit.connections", "2", NULL};
    struct fixture *fx = start(settings);
    struct test_client *a = test_client_new(&fx->loop, fx->port);
    struct test_client *b = test_client_new(&fx->loop, fx->port);
    struct test_client *c;

    (void)state;
    test_client_send_str(a, GET("/stream"));
    test_client_send_str(b, GET("/stream"));
    assert_true(test_client_expect(a, "first"));
    assert_true(test_client_expect(b, "first"));
    c = test_client_new(&fx->loop, fx->port);
    assert_true(test_client_expect(c, "HTTP/1.1 503 "));
    assert_true(test_client_expect(c, "limit.connections"));
    assert_int_equal(stats_of(fx).refused, 1);
    test_client_free(a); /* makes room */
    test_client_free(c);
    test_run_for(&fx->loop, 20);
    c = test_client_new(&fx->loop, fx->port);
    test_client_send_str(c, GET("/hello"));
    assert_true(test_client_expect(c, "hello"));
    test_client_free(b);
    test_client_free(c);
    finish(fx);
}

static void test_the_longest_idle_connection_makes_room(void **state)
{
    const char *const settings[] = {"limit.connections", "2", NULL};
    struct fixture *fx = start(settings);
    struct test_client *idle = test_client_new(&fx->loop, fx->port);
    struct test_client *busy = test_client_new(&fx->loop, fx->port);
    struct test_client *late;

    (void)state;
    test_client_send_str(idle, GET("/hello"));
    test_client_send_str(busy, GET("/later"));
    assert_true(test_client_expect(idle, "hello"));
    test_run_for(&fx->loop, 20);
    late = test_client_new(&fx->loop, fx->port);
    test_client_send_str(late, GET("/hello"));
    assert_true(test_client_expect(late, "hello"));
    assert_true(test_client_expect_end(idle, 1000));
    assert_non_null(sp_exchange_find(fx->server, fx->waiting));
    assert_int_equal(stats_of(fx).refused, 0);
    test_client_free(idle);
    test_client_free(busy);
    test_client_free(late);
    finish(fx);
}

static void test_connections_above_limit_connections_per_address_are_refused(void **state)
{
    const char *const settings[] = {"limit.connections_per_address", "1", NULL};
    struct fixture *fx = start(settings);
    struct test_client *a = test_client_new(&fx->loop, fx->port);
    struct test_client *b = test_client_new(&fx->loop, fx->port);

    (void)state;
    assert_true(test_client_expect(b, "HTTP/1.1 429 "));
    test_client_free(a);
    test_client_free(b);
    finish(fx);
}

static void test_a_trusted_proxy_speaks_for_its_clients(void **state)
{
    const char *const settings[] = {"limit.connections_per_address", "1", "trusted_proxies",
                                    "10.0.0.0/8, 127.0.0.1", NULL};
    struct fixture *fx = start(settings);
    struct test_client *a = test_client_new(&fx->loop, fx->port);
    struct test_client *b = test_client_new(&fx->loop, fx->port);

    (void)state;
    test_client_send_str(a, "GET /whoami HTTP/1.1\r\n" HOST
                            "X-Forwarded-For: 6.6.6.6, 192.0.2.7, 10.1.2.3\r\n"
                            "X-Forwarded-Proto: https\r\nX-Forwarded-Host: spaces.example\r\n\r\n");
    assert_true(test_client_expect(a, "<192.0.2.7 https://spaces.example>"));
    test_client_send_str(b, GET("/whoami"));
    assert_true(test_client_expect(b, "<127.0.0.1 http://localhost>"));
    test_client_free(a);
    test_client_free(b);
    finish(fx);
}

static void test_a_stranger_cannot_claim_another_address(void **state)
{
    struct fixture *fx = start(NULL);
    struct test_client *client = test_client_new(&fx->loop, fx->port);

    (void)state;
    test_client_send_str(client, "GET /whoami HTTP/1.1\r\n" HOST
                                 "X-Forwarded-For: 192.0.2.7\r\nX-Forwarded-Host: evil\r\n\r\n");
    assert_true(test_client_expect(client, "<127.0.0.1 http://localhost>"));
    test_client_free(client);
    finish(fx);
}

static void test_the_limit_of_open_files_is_raised_for_connections(void **state)
{
    const char *const settings[] = {"limit.connections", "100", NULL};
    struct rlimit old;
    struct rlimit files;
    struct fixture *fx;

    (void)state;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
    if (old.rlim_max < 1100)
        skip();
    files = (struct rlimit){.rlim_cur = 256, .rlim_max = old.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &files), 0);
    fx = start(settings);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &files), 0);
    assert_int_equal(files.rlim_cur, 1100);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0);
    finish(fx);
}

/* Uses up every descriptor below the limit; `ret` gets those to close again. */
static size_t use_all_descriptors(int *ret, size_t max)
{
    size_t n = 0;

    while (n < max) {
        int fd = dup(0);

        if (fd < 0)
            break;
        ret[n++] = fd;
    }
    assert_true(n < max);
    return n;
}

/* Without descriptors the server refuses with its spare one, looks away, and serves again later. */
static void test_running_out_of_descriptors_is_survived(void **state)
{
    struct fixture *fx = start(NULL);
    struct test_client *client = test_client_new(&fx->loop, fx->port);
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)fx->port)};
    struct rlimit old;
    struct rlimit few;
    char answer[512] = "";
    int taken[300];
    size_t n_taken;
    int fd;

    (void)state;
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
    few = (struct rlimit){.rlim_cur = 256, .rlim_max = old.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
    n_taken = use_all_descriptors(taken, SP_LEN(taken));

    (void)connect(fd, (struct sockaddr *)&to, sizeof(to));
    test_run_for(&fx->loop, 50);
    assert_true(recv(fd, answer, sizeof(answer) - 1, MSG_DONTWAIT) > 0);
    assert_non_null(strstr(answer, "HTTP/1.1 503 "));
    assert_int_equal(stats_of(fx).connections, 1);
    test_client_send_str(client, GET("/hello")); /* who is in is served */
    assert_true(test_client_expect(client, "hello"));

    for (size_t i = 0; i < n_taken; i++)
        (void)close(taken[i]);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0);
    (void)close(fd);
    test_client_free(client);
    client = test_client_new(&fx->loop, fx->port);
    test_client_send_str(client, GET("/hello"));
    assert_true(test_client_expect(client, "hello"));
    test_client_free(client);
    finish(fx);
}

static void test_the_server_listens_on_several_addresses(void **state)
{
    struct fixture *fx = start(NULL);
    struct test_client *client;
    struct sp_error err = {0};
    int port = 0;

    (void)state;
    assert_int_equal(sp_server_listen(fx->server, "127.0.0.1:0, 127.0.0.2:0", &port, &err), 0);
    assert_true(port > 0 && port != fx->port);
    client = test_client_new(&fx->loop, port);
    test_client_send_str(client, GET("/hello"));
    assert_true(test_client_expect(client, "hello"));
    test_client_free(client);
    finish(fx);
}

static void test_a_wrong_or_taken_address_is_an_error(void **state)
{
    struct fixture *fx = start(NULL);
    struct sp_error err = {0};
    char taken[32];

    (void)state;
    (void)snprintf(taken, sizeof(taken), "127.0.0.1:%d", fx->port);
    assert_int_equal(sp_server_listen(fx->server, taken, NULL, &err), -EADDRINUSE);
    assert_int_equal(err.kind, SP_ERR_CONFLICT);
    assert_int_not_equal(sp_server_listen(fx->server, "example.org:80", NULL, &err), 0);
    assert_int_not_equal(sp_server_listen(fx->server, "::1:80", NULL, &err), 0);
    assert_int_not_equal(sp_server_listen(fx->server, "127.0.0.1:65536", NULL, &err), 0);
    assert_int_not_equal(sp_server_listen(fx->server, "127.0.0.1", NULL, &err), 0);
    finish(fx);
}

/* --- stop --------------------------------------------------------------------------------- */

static void test_stop_lets_a_running_request_finish(void **state)
{
    struct fixture *fx = start(NULL);
    struct test_client *idle = test_client_new(&fx->loop, fx->port);
    struct test_client *busy = test_client_new(&fx->loop, fx->port);

    (void)state;
    test_client_send_str(busy, GET("/later"));
    test_run_for(&fx->loop, 30);
    sp_server_stop(fx->server, 5000, on_stopped, fx);
    assert_true(test_client_expect_end(idle, 1000));
    assert_false(fx->stopped);
    sp_reply(sp_exchange_find(fx->server, fx->waiting), 200, "text/plain", SP_SLICE("done"));
    assert_true(test_client_expect(busy, "Connection: close\r\n"));
    assert_true(test_client_expect(busy, "done"));
    assert_true(test_run_until(&fx->loop, is_stopped, fx, 1000));
    assert_int_equal(fx->gone, 0);
    test_client_free(idle);
    test_client_free(busy);
    finish(fx);
}

static void test_stop_ends_what_outlasts_the_grace(void **state)
{
    struct fixture *fx = start(NULL);
    struct test_client *client = test_client_new(&fx->loop, fx->port);

    (void)state;
    test_client_send_str(client, GET("/stream"));
    assert_true(test_client_expect(client, "first"));
    sp_server_stop(fx->server, 50, on_stopped, fx);
    assert_true(test_run_until(&fx->loop, is_stopped, fx, 2000));
    assert_int_equal(fx->gone, 1);
    test_client_free(client);
    finish(fx);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_half_a_head_and_silence_is_ended),
        cmocka_unit_test(test_a_trickling_head_is_ended),
        cmocka_unit_test(test_half_a_body_and_silence_is_ended),
        cmocka_unit_test(test_an_idle_connection_is_ended),
        cmocka_unit_test(test_a_reader_that_takes_nothing_is_ended),
        cmocka_unit_test(test_a_head_above_limit_head_is_refused),
        cmocka_unit_test(test_connections_above_limit_connections_are_refused),
        cmocka_unit_test(test_the_longest_idle_connection_makes_room),
        cmocka_unit_test(test_connections_above_limit_connections_per_address_are_refused),
        cmocka_unit_test(test_a_trusted_proxy_speaks_for_its_clients),
        cmocka_unit_test(test_a_stranger_cannot_claim_another_address),
        cmocka_unit_test(test_the_limit_of_open_files_is_raised_for_connections),
        cmocka_unit_test(test_running_out_of_descriptors_is_survived),
        cmocka_unit_test(test_the_server_listens_on_several_addresses),
        cmocka_unit_test(test_a_wrong_or_taken_address_is_an_error),
        cmocka_unit_test(test_stop_lets_a_running_request_finish),
        cmocka_unit_test(test_stop_ends_what_outlasts_the_grace),
    };

    return cmocka_run_group_tests_name("server_limits", tests, NULL, NULL);
}
