/* The HTTP server: answers that come later, streams, files. */
#include "tests/unit/runtime/server_fixture.h"

/* --- answers that come later -------------------------------------------------------------- */

static bool was_told(void *arg)
{
    return ((struct fixture *)arg)->gone == 1;
}

static void test_a_client_that_leaves_is_reported_once(void **state)
{
    struct fixture *fx = start(NULL);
    struct test_client *client = test_client_new(&fx->loop, fx->port);

    (void)state;
    test_client_send_str(client, GET("/later"));
    test_run_for(&fx->loop, 30);
    assert_non_null(sp_exchange_find(fx->server, fx->waiting));
    test_client_free(client);
    assert_true(test_run_until(&fx->loop, was_told, fx, 2000));
    assert_null(sp_exchange_find(fx->server, fx->waiting));
    finish(fx);
}

static void test_a_client_that_pipelined_and_leaves_is_noticed(void **state)
{
    struct fixture *fx = start(NULL);
    struct test_client *client = test_client_new(&fx->loop, fx->port);

    (void)state;
    test_client_send_str(client, GET("/later") GET("/hello"));
    test_run_for(&fx->loop, 30);
    test_client_free(client);
    assert_true(test_run_until(&fx->loop, was_told, fx, 2000));
    assert_int_equal(fx->handled, 0);
    finish(fx);
}

static void test_a_kept_request_outlives_its_handler(void **state)
{
    struct fixture *fx = start(NULL);
    struct test_client *client = test_client_new(&fx->loop, fx->port);
    struct test_client *other = test_client_new(&fx->loop, fx->port);
    struct sp_exchange *ex;

    (void)state;
    test_client_send_str(client, "POST /later?a=b HTTP/1.1\r\n" HOST
                                 "X-Mark: kept\r\nContent-Length: 4\r\n\r\nbody");
    test_run_for(&fx->loop, 30);
    ex = sp_exchange_find(fx->server, fx->waiting);
    assert_non_null(ex);
    test_client_send_str(other, GET("/hello")); /* uses the shared buffers again */
    assert_true(test_client_expect(other, "hello"));
    assert_true(sp_slice_eq_str(sp_http_header(sp_exchange_request(ex), "x-mark"), "kept"));
    assert_true(sp_slice_eq_str(sp_exchange_request(ex)->query, "a=b"));
    sp_reply(ex, 200, "text/plain", sp_exchange_body(ex));
    assert_true(test_client_expect(client, "\r\n\r\nbody"));
    test_client_free(client);
    test_client_free(other);
    finish(fx);
}

static void test_an_abort_resets_the_connection(void **state)
{
    struct fixture *fx = start(NULL);
    struct test_client *client = test_client_new(&fx->loop, fx->port);

    (void)state;
    test_client_send_str(client, GET("/abort"));
    assert_true(test_client_expect_end(client, 2000));
    assert_int_equal(client->error, UV_ECONNRESET);
    test_client_free(client);
    finish(fx);
}

/* --- streams ------------------------------------------------------------------------------ */

static void test_a_stream_goes_out_in_pieces_and_ends(void **state)
{
    struct fixture *fx = start(NULL);
    struct test_client *client = test_client_new(&fx->loop, fx->port);
    struct sp_exchange *ex;

    (void)state;
    test_client_send_str(client, GET("/stream"));
    assert_true(test_client_expect(client, "d\r\ndata: first\n\n\r\n"));
    assert_int_equal(test_client_count(client, "Cache-Control: no-store\r\n"), 1);
    assert_int_equal(stats_of(fx).streams, 1);
    ex = sp_exchange_find(fx->server, fx->waiting);
    assert_true(sp_stream_write(ex, SP_SLICE("data: second\n\n")));
    assert_true(test_client_expect(client, "data: second\n\n"));
    sp_stream_end(ex);
    assert_null(sp_exchange_find(fx->server, fx->waiting));
    assert_true(test_client_expect(client, "0\r\n\r\n"));
    test_client_send_str(client, GET("/hello"));
    assert_true(test_client_expect(client, "hello"));
    assert_int_equal(fx->gone, 0);
    test_client_free(client);
    finish(fx);
}

static void test_a_stream_to_http10_ends_with_the_connection(void **state)
{
    struct fixture *fx = start(NULL);
    struct test_client *client = test_client_new(&fx->loop, fx->port);

    (void)state;
    test_client_send_str(client, "GET /stream HTTP/1.0\r\n" HOST "\r\n");
    assert_true(test_client_expect(client, "\r\n\r\ndata: first\n\n"));
    sp_stream_end(sp_exchange_find(fx->server, fx->waiting));
    assert_true(test_client_expect_end(client, 2000));
    test_client_free(client);
    finish(fx);
}

/* What waits for a client that does not read ends at limit.stream_buffer; then it drains. */
static void test_a_slow_reader_is_bounded_and_can_catch_up(void **state)
{
    const char *const settings[] = {"limit.stream_buffer", "64k", NULL};
    struct fixture *fx = start(settings);
    struct test_client *client = test_client_new(&fx->loop, fx->port);
    char piece[8 * 1024];
    struct sp_exchange *ex;
    size_t written = 0;

    (void)state;
    memset(piece, 'x', sizeof(piece));
    test_client_send_str(client, GET("/stream"));
    assert_true(test_client_expect(client, "first"));
    test_client_pause(client, true);
    ex = sp_exchange_find(fx->server, fx->waiting);
    while (sp_stream_write(ex, sp_slice(piece, sizeof(piece)))) {
        written += sizeof(piece);
        assert_true(written < 64 << 20);
        (void)uv_run(&fx->loop, UV_RUN_NOWAIT);
        assert_true(stats_of(fx).buffered_bytes <= 64 * 1024 + 16);
    }
    assert_true(sp_stream_pending(ex) > 0);
    test_client_pause(client, false);
    for (int i = 0; i < 1000 && fx->drained == 0; i++)
        test_run_for(&fx->loop, 5);
    assert_int_equal(fx->drained, 1);
    assert_int_equal(sp_stream_pending(ex), 0);
    sp_stream_end(ex);
    assert_true(test_client_expect(client, "\r\n0\r\n\r\n"));
    assert_true(client->in.len > written);
    test_client_free(client);
    finish(fx);
}

static void test_all_slow_readers_share_limit_stream_memory(void **state)
{
    const char *const settings[] = {"limit.stream_buffer", "64M", "limit.stream_memory", "256k",
                                    NULL};
    struct fixture *fx = start(settings);
    struct test_client *clients[3];
    uint64_t ids[3];
    char piece[16 * 1024];

    (void)state;
    memset(piece, 'x', sizeof(piece));
    for (int i = 0; i < 3; i++) {
        clients[i] = test_client_new(&fx->loop, fx->port);
        test_client_send_str(clients[i], GET("/stream"));
        assert_true(test_client_expect(clients[i], "first"));
        test_client_pause(clients[i], true);
        ids[i] = fx->waiting;
    }
    for (int i = 0; i < 3; i++) {
        size_t rounds = 0;

        while (
            sp_stream_write(sp_exchange_find(fx->server, ids[i]), sp_slice(piece, sizeof(piece))))
            assert_true(rounds++ < 4096);
        /* Who has been keeping up may go over by what is gathered in one turn. */
        assert_true(stats_of(fx).buffered_bytes <= 256 * 1024 + 3 * (64 + 16) * 1024);
    }
    for (int i = 0; i < 3; i++)
        test_client_free(clients[i]);
    finish(fx);
}

static void test_a_big_answer_to_a_slow_reader_arrives_whole(void **state)
{
    struct fixture *fx = start(NULL);
    struct test_client *client = test_client_new(&fx->loop, fx->port);

    (void)state;
    for (size_t i = 0; i < sizeof(big); i++)
        big[i] = (char)('a' + i % 26);
    test_client_pause(client, true);
    test_client_send_str(client, GET("/big") GET("/hello"));
    test_run_for(&fx->loop, 100);
    assert_int_equal(fx->handled, 0); /* the next waits until this one is out */
    test_client_pause(client, false);
    assert_true(test_client_expect(client, "\r\n\r\nhello"));
    assert_non_null(memmem(client->in.data, client->in.len, big, sizeof(big)));
    test_client_free(client);
    finish(fx);
}

/* --- files -------------------------------------------------------------------------------- */

static void test_a_file_is_sent_with_ranges_and_a_tag(void **state)
{
    struct fixture *fx = start(NULL);
    struct test_client *client = test_client_new(&fx->loop, fx->port);
    char path[] = "/tmp/sp-test-file-XXXXXX";
    int fd = mkstemp(path);
    char request[512];
    char etag[80] = "";
    const char *at;

    (void)state;
    assert_true(fd >= 0);
    assert_int_equal(write(fd, big, sizeof(big)), (ssize_t)sizeof(big));
    (void)snprintf(request, sizeof(request), "GET /file/%s HTTP/1.1\r\n" HOST "\r\n", path);
    test_client_send_str(client, request);
    for (int i = 0; i < 1000 && client->in.len < sizeof(big); i++)
        test_run_for(&fx->loop, 5);
    assert_non_null(memmem(client->in.data, client->in.len, big, sizeof(big)));
    at = memmem(client->in.data, client->in.len, "ETag: ", 6);
    assert_non_null(at);
    memcpy(etag, at + 6, strcspn(at + 6, "\r"));

    test_client_forget(client);
    (void)snprintf(request, sizeof(request),
                   "GET /file/%s HTTP/1.1\r\n" HOST "Range: bytes=10-14\r\n\r\n", path);
    test_client_send_str(client, request);
    assert_true(test_client_expect(client, "\r\n\r\nklmno"));
    assert_int_equal(test_client_count(client, "Content-Range: bytes 10-14/25165824\r\n"), 1);
    assert_int_equal(test_client_count(client, "HTTP/1.1 206 "), 1);

    (void)snprintf(request, sizeof(request),
                   "GET /file/%s HTTP/1.1\r\n" HOST "If-None-Match: %s\r\n\r\n", path, etag);
    test_client_send_str(client, request);
    assert_true(test_client_expect(client, "HTTP/1.1 304 "));
    (void)snprintf(request, sizeof(request),
                   "GET /file/%s HTTP/1.1\r\n" HOST "Range: bytes=99999999-\r\n\r\n", path);
    test_client_send_str(client, request);
    assert_true(test_client_expect(client, "HTTP/1.1 416 "));
    assert_int_equal(test_client_count(client, "bytes */25165824"), 1);
    (void)close(fd);
    (void)unlink(path);
    test_client_free(client);
    finish(fx);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_client_that_leaves_is_reported_once),
        cmocka_unit_test(test_a_client_that_pipelined_and_leaves_is_noticed),
        cmocka_unit_test(test_a_kept_request_outlives_its_handler),
        cmocka_unit_test(test_an_abort_resets_the_connection),
        cmocka_unit_test(test_a_stream_goes_out_in_pieces_and_ends),
        cmocka_unit_test(test_a_stream_to_http10_ends_with_the_connection),
        cmocka_unit_test(test_a_slow_reader_is_bounded_and_can_catch_up),
        cmocka_unit_test(test_all_slow_readers_share_limit_stream_memory),
        cmocka_unit_test(test_a_big_answer_to_a_slow_reader_arrives_whole),
        cmocka_unit_test(test_a_file_is_sent_with_ranges_and_a_tag),
    };

    return cmocka_run_group_tests_name("server_answers", tests, NULL, NULL);
}
