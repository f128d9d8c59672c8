/* The HTTP server: requests and their bodies. */
#include "tests/unit/runtime/server_fixture.h"

/* --- requests ----------------------------------------------------------------------------- */

static void test_a_connection_serves_one_request_after_another(void **state)
{
    struct fixture *fx = start(NULL);
    struct test_client *client = test_client_new(&fx->loop, fx->port);

    (void)state;
    test_client_send_str(client, GET("/hello"));
    assert_true(test_client_expect(client, "\r\n\r\nhello"));
    assert_int_equal(test_client_count(client, "X-Request-Id: "), 1);
    assert_int_equal(test_client_count(client, "X-Content-Type-Options: nosniff\r\n"), 1);
    assert_int_equal(test_client_count(client, "Date: "), 1);
    test_client_forget(client);
    test_client_send_str(client, GET("/hello"));
    assert_true(test_client_expect(client, "\r\n\r\nhello"));
    assert_int_equal(stats_of(fx).accepted, 1);
    assert_false(client->eof);
    test_client_free(client);
    finish(fx);
}

static void test_pipelined_requests_are_answered_in_order(void **state)
{
    struct fixture *fx = start(NULL);
    struct test_client *client = test_client_new(&fx->loop, fx->port);
    const char *later;

    (void)state;
    test_client_send_str(client, GET("/later") GET("/hello") GET("/nothing"));
    test_run_for(&fx->loop, 50);
    assert_int_equal(fx->handled, 0); /* the second waits for the first */
    sp_reply(sp_exchange_find(fx->server, fx->waiting), 200, "text/plain", SP_SLICE("at last"));
    assert_true(test_client_expect(client, "there is nothing at this path"));
    later = sp_buf_str(&client->in);
    assert_true(strstr(later, "at last") < strstr(later, "hello"));
    assert_true(strstr(later, "hello") < strstr(later, "404"));
    test_client_free(client);
    finish(fx);
}

static void test_a_flood_of_pipelined_requests_is_answered_completely(void **state)
{
    struct fixture *fx = start(NULL);
    struct test_client *client = test_client_new(&fx->loop, fx->port);
    SP_AUTO_BUF struct sp_buf flood;

    (void)state;
    sp_buf_init(&flood, 0);
    for (int i = 0; i < 3000; i++)
        (void)sp_buf_append_str(&flood, GET("/hello"));
    test_client_send(client, flood.data, flood.len);
    assert_true(test_client_expect_count(client, "\r\n\r\nhello", 3000));
    test_client_free(client);
    finish(fx);
}

static void test_a_head_may_come_byte_by_byte(void **state)
{
    struct fixture *fx = start(NULL);
    struct test_client *client = test_client_new(&fx->loop, fx->port);
    const char *text = GET("/hello");

    (void)state;
    for (const char *c = text; *c; c++) {
        test_client_send(client, c, 1);
        test_run_for(&fx->loop, 1);
    }
    assert_true(test_client_expect(client, "\r\n\r\nhello"));
    test_client_free(client);
    finish(fx);
}

static void test_head_has_the_length_and_no_body(void **state)
{
    struct fixture *fx = start(NULL);
    struct test_client *client = test_client_new(&fx->loop, fx->port);

    (void)state;
    test_client_send_str(client, "HEAD /hello HTTP/1.1\r\n" HOST "\r\n" GET("/nothing"));
    assert_true(test_client_expect(client, "404"));
    assert_int_equal(test_client_count(client, "Content-Length: 5\r\n"), 1);
    assert_int_equal(test_client_count(client, "hello"), 0);
    test_client_free(client);
    finish(fx);
}

static void test_connection_close_is_honoured(void **state)
{
    struct fixture *fx = start(NULL);
    struct test_client *client = test_client_new(&fx->loop, fx->port);

    (void)state;
    test_client_send_str(client, "GET /hello HTTP/1.1\r\n" HOST "Connection: close\r\n\r\n");
    assert_true(test_client_expect(client, "Connection: close\r\n"));
    assert_true(test_client_expect_end(client, 2000));
    assert_true(client->eof);
    test_client_free(client);
    finish(fx);
}

static void test_routes_take_names_and_the_rest(void **state)
{
    struct fixture *fx = start(NULL);
    struct test_client *client = test_client_new(&fx->loop, fx->port);

    (void)state;
    test_client_send_str(client, GET("/params/me%20too/x/a/b.txt"));
    assert_true(test_client_expect(client, "<me too|a/b.txt|>"));
    test_client_send_str(client, GET("/params/%2e%2e/x/"));
    assert_true(test_client_expect(client, "the path is not valid"));
    test_client_send_str(client, "DELETE /echo HTTP/1.1\r\n" HOST "\r\n");
    assert_true(test_client_expect(client, "Allow: POST, PUT\r\n"));
    test_client_free(client);
    finish(fx);
}

static void test_the_gate_answers_before_the_handler(void **state)
{
    struct fixture *fx = start(NULL);
    struct test_client *client = test_client_new(&fx->loop, fx->port);

    (void)state;
    test_client_send_str(client, "GET /hello HTTP/1.1\r\n" HOST "X-Blocked: 1\r\n\r\n");
    assert_true(test_client_expect(client, "{\"error\":\"not through here\",\"kind\":\"denied\"}"));
    assert_int_equal(fx->handled, 0);
    test_client_free(client);
    finish(fx);
}

static void test_a_bad_head_is_refused_and_the_connection_closed(void **state)
{
    struct fixture *fx = start(NULL);
    struct test_client *client = test_client_new(&fx->loop, fx->port);

    (void)state;
    test_client_send_str(client, "GET /hello HTTP/1.1\r\nHost : x\r\n\r\n" GET("/hello"));
    assert_true(test_client_expect(client, "HTTP/1.1 400 "));
    assert_int_equal(test_client_count(client, "Connection: close\r\n"), 1);
    assert_true(test_client_expect_end(client, 2000));
    assert_int_equal(fx->handled, 0);
    assert_int_equal(stats_of(fx).bad_requests, 1);
    test_client_free(client);
    finish(fx);
}

/* --- bodies ------------------------------------------------------------------------------- */

static void test_a_body_comes_whole_however_it_is_sent(void **state)
{
    struct fixture *fx = start(NULL);
    struct test_client *client = test_client_new(&fx->loop, fx->port);

    (void)state;
    test_client_send_str(client, "POST /echo HTTP/1.1\r\n" HOST "Content-Length: 5\r\n\r\nfives");
    assert_true(test_client_expect(client, "\r\n\r\nfives"));
    test_client_send_str(client, "POST /echo HTTP/1.1\r\n" HOST "Content-Length: 6\r\n\r\n");
    test_run_for(&fx->loop, 20);
    test_client_send_str(client, "six");
    test_run_for(&fx->loop, 20);
    test_client_send_str(client, "six" GET("/nothing"));
    assert_true(test_client_expect(client, "\r\n\r\nsixsix"));
    assert_true(test_client_expect(client, "404"));
    test_client_send_str(client, "POST /echo HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n"
                                 "4\r\nchun\r\n");
    test_run_for(&fx->loop, 20);
    test_client_send_str(client, "3\r\nked\r\n0\r\n\r\n");
    assert_true(test_client_expect(client, "\r\n\r\nchunked"));
    test_client_send_str(client,
                         "POST /echo HTTP/1.1\r\n" HOST "Content-Length: 0\r\n\r\n" GET("/hello"));
    assert_true(test_client_expect(client, "hello"));
    test_client_free(client);
    finish(fx);
}

static void test_expect_continue_is_answered(void **state)
{
    struct fixture *fx = start(NULL);
    struct test_client *client = test_client_new(&fx->loop, fx->port);

    (void)state;
    test_client_send_str(client, "POST /echo HTTP/1.1\r\n" HOST
                                 "Content-Length: 3\r\nExpect: 100-continue\r\n\r\n");
    assert_true(test_client_expect(client, "HTTP/1.1 100 Continue\r\n\r\n"));
    test_client_send_str(client, "abc");
    assert_true(test_client_expect(client, "\r\n\r\nabc"));
    test_client_free(client);
    finish(fx);
}

static void test_a_body_above_limit_request_body_is_refused(void **state)
{
    const char *const settings[] = {"limit.request_body", "1k", NULL};
    struct fixture *fx = start(settings);
    struct test_client *client = test_client_new(&fx->loop, fx->port);
    SP_AUTO_BUF struct sp_buf chunks;

    (void)state;
    test_client_send_str(client, "POST /echo HTTP/1.1\r\n" HOST "Content-Length: 1025\r\n\r\n");
    assert_true(test_client_expect(client, "HTTP/1.1 413 "));
    assert_true(test_client_expect_end(client, 2000));
    test_client_free(client);

    /* No length is announced: it is refused when it passes the limit. */
    client = test_client_new(&fx->loop, fx->port);
    sp_buf_init(&chunks, 0);
    (void)sp_buf_append_str(&chunks,
                            "POST /echo HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n");
    for (int i = 0; i < 70; i++)
        (void)sp_buf_append_str(&chunks, "10\r\n0123456789abcdef\r\n");
    test_client_send(client, chunks.data, chunks.len);
    assert_true(test_client_expect(client, "HTTP/1.1 413 "));
    test_client_free(client);
    finish(fx);
}

/* A client that sends on for a while must be able to read why it was refused. */
static void test_a_refusal_reaches_a_client_that_is_still_sending(void **state)
{
    struct fixture *fx = start(NULL);
    struct test_client *client = test_client_new(&fx->loop, fx->port);
    SP_AUTO_FREE char *noise = sp_new0n(char, 16 << 20);

    (void)state;
    test_client_send_str(client, "POST /echo HTTP/1.1\r\n" HOST "Content-Length: 16777216\r\n\r\n");
    test_client_send(client, noise, 16 << 20);
    assert_true(test_client_expect(client, "HTTP/1.1 413 "));
    assert_true(test_client_expect_end(client, 2000));
    assert_true(client->eof);
    assert_int_equal(stats_of(fx).buffered_bytes, 0);
    test_client_free(client);
    finish(fx);
}

static void test_bodies_of_all_connections_stay_below_limit_body_memory(void **state)
{
    const char *const settings[] = {"limit.body_memory", "64k", NULL};
    struct fixture *fx = start(settings);
    struct test_client *clients[4];
    char piece[24 * 1024];
    unsigned refused = 0;

    (void)state;
    memset(piece, 'x', sizeof(piece));
    for (int i = 0; i < 4; i++) {
        clients[i] = test_client_new(&fx->loop, fx->port);
        test_client_send_str(clients[i],
                             "POST /echo HTTP/1.1\r\n" HOST "Content-Length: 100000\r\n\r\n");
        test_client_send(clients[i], piece, sizeof(piece));
        test_run_for(&fx->loop, 30);
        assert_true(stats_of(fx).buffered_bytes <= 64 * 1024);
    }
    for (int i = 0; i < 4; i++)
        refused += test_client_count(clients[i], "HTTP/1.1 503 ");
    assert_true(refused >= 2 && refused < 4);
    for (int i = 0; i < 4; i++)
        test_client_free(clients[i]);
    finish(fx);
}

static void test_halves_of_heads_stay_below_limit_body_memory(void **state)
{
    const char *const settings[] = {"limit.body_memory", "64k", NULL};
    struct fixture *fx = start(settings);
    struct test_client *clients[8];
    char padding[16 * 1024];
    unsigned refused = 0;

    (void)state;
    memset(padding, 'x', sizeof(padding));
    for (int i = 0; i < 8; i++) {
        clients[i] = test_client_new(&fx->loop, fx->port);
        test_client_send_str(clients[i], "GET /hello HTTP/1.1\r\n" HOST "X-Padding: ");
        test_client_send(clients[i], padding, sizeof(padding));
        test_run_for(&fx->loop, 20);
        assert_true(stats_of(fx).buffered_bytes <= 64 * 1024);
    }
    for (int i = 0; i < 8; i++)
        refused += test_client_count(clients[i], "HTTP/1.1 503 ");
    assert_in_range(refused, 4, 6);
    for (int i = 0; i < 8; i++)
        test_client_free(clients[i]);
    finish(fx);
}

static void test_an_unwanted_body_is_dropped(void **state)
{
    struct fixture *fx = start(NULL);
    struct test_client *client = test_client_new(&fx->loop, fx->port);

    (void)state;
    test_client_send_str(client, "POST /drop HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n"
                                 "4\r\nnope\r\n0\r\n\r\n" GET("/hello"));
    assert_true(test_client_expect_count(client, "hello", 2));
    test_client_send_str(client, "POST /drop HTTP/1.1\r\n" HOST "Content-Length: 65537\r\n\r\n");
    assert_true(test_client_expect(client, "HTTP/1.1 413 "));
    test_client_free(client);
    finish(fx);
}

static void test_an_upload_comes_in_pieces(void **state)
{
    struct fixture *fx = start(NULL);
    struct test_client *client = test_client_new(&fx->loop, fx->port);
    SP_AUTO_FREE char *data = sp_new0n(char, 1 << 20);

    (void)state;
    test_client_send_str(client,
                         "POST /upload HTTP/1.1\r\n" HOST "Content-Length: 1048576\r\n\r\n");
    test_client_send(client, data, 1 << 20);
    test_client_send_str(client, GET("/hello"));
    assert_true(test_client_expect(client, "uploaded"));
    assert_true(test_client_expect(client, "hello"));
    assert_int_equal(fx->body_bytes, 1 << 20);
    test_client_free(client);
    finish(fx);
}

static void test_an_empty_upload_ends_at_once(void **state)
{
    struct fixture *fx = start(NULL);
    struct test_client *client = test_client_new(&fx->loop, fx->port);

    (void)state;
    test_client_send_str(client, "POST /upload HTTP/1.1\r\n" HOST "\r\n");
    assert_true(test_client_expect_count(client, "uploaded", 1));
    test_client_send_str(client, "POST /upload HTTP/1.1\r\n" HOST "Content-Length: 0\r\n\r\n");
    assert_true(test_client_expect_count(client, "uploaded", 2));
    test_client_free(client);
    finish(fx);
}

static void test_an_upload_can_be_refused_in_the_middle(void **state)
{
    struct fixture *fx = start(NULL);
    struct test_client *client = test_client_new(&fx->loop, fx->port);

    (void)state;
    test_client_send_str(client,
                         "POST /upload HTTP/1.1\r\n" HOST "Content-Length: 1000\r\n\r\nrefuse");
    assert_true(test_client_expect(client, "refused"));
    assert_true(test_client_expect_end(client, 2000));
    assert_false(fx->body_ended);
    test_client_free(client);
    finish(fx);
}

static void test_an_upload_above_its_limit_is_refused_and_its_handler_told(void **state)
{
    struct fixture *fx = start(NULL);
    struct test_client *client = test_client_new(&fx->loop, fx->port);
    SP_AUTO_FREE char *data = sp_new0n(char, 5 << 20);

    (void)state;
    test_client_send_str(client,
                         "POST /upload HTTP/1.1\r\n" HOST "Content-Length: 5242880\r\n\r\n");
    test_client_send(client, data, 5 << 20);
    assert_true(test_client_expect(client, "HTTP/1.1 413 "));
    assert_int_equal(fx->gone, 1);
    assert_true(fx->body_bytes <= 4 << 20);
    test_client_free(client);
    finish(fx);
}

static void test_a_body_waits_for_its_reader(void **state)
{
    struct fixture *fx = start(NULL);
    struct test_client *client = test_client_new(&fx->loop, fx->port);
    SP_AUTO_FREE char *data = sp_new0n(char, 2 << 20);
    struct sp_exchange *ex;

    (void)state;
    test_client_send_str(client,
                         "POST /upload-later HTTP/1.1\r\n" HOST "Content-Length: 2097152\r\n\r\n");
    test_client_send(client, data, 2 << 20);
    test_run_for(&fx->loop, 50);
    ex = sp_exchange_find(fx->server, fx->waiting);
    assert_non_null(ex);
    sp_exchange_read_body(ex, 4 << 20, on_upload, fx);
    sp_exchange_pause_body(ex, true);
    test_run_for(&fx->loop, 50);
    assert_int_equal(fx->body_bytes, 0);
    sp_exchange_pause_body(ex, false);
    assert_true(test_client_expect(client, "uploaded"));
    assert_int_equal(fx->body_bytes, 2 << 20);
    test_client_free(client);
    finish(fx);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_connection_serves_one_request_after_another),
        cmocka_unit_test(test_pipelined_requests_are_answered_in_order),
        cmocka_unit_test(test_a_flood_of_pipelined_requests_is_answered_completely),
        cmocka_unit_test(test_a_head_may_come_byte_by_byte),
        cmocka_unit_test(test_head_has_the_length_and_no_body),
        cmocka_unit_test(test_connection_close_is_honoured),
        cmocka_unit_test(test_routes_take_names_and_the_rest),
        cmocka_unit_test(test_the_gate_answers_before_the_handler),
        cmocka_unit_test(test_a_bad_head_is_refused_and_the_connection_closed),
        cmocka_unit_test(test_a_body_comes_whole_however_it_is_sent),
        cmocka_unit_test(test_expect_continue_is_answered),
        cmocka_unit_test(test_a_body_above_limit_request_body_is_refused),
        cmocka_unit_test(test_a_refusal_reaches_a_client_that_is_still_sending),
        cmocka_unit_test(test_bodies_of_all_connections_stay_below_limit_body_memory),
        cmocka_unit_test(test_halves_of_heads_stay_below_limit_body_memory),
        cmocka_unit_test(test_an_unwanted_body_is_dropped),
        cmocka_unit_test(test_an_upload_comes_in_pieces),
        cmocka_unit_test(test_an_empty_upload_ends_at_once),
        cmocka_unit_test(test_an_upload_can_be_refused_in_the_middle),
        cmocka_unit_test(test_an_upload_above_its_limit_is_refused_and_its_handler_told),
        cmocka_unit_test(test_a_body_waits_for_its_reader),
    };

    return cmocka_run_group_tests_name("server", tests, NULL, NULL);
}
