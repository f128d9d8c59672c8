/* The HTTP server over real sockets on 127.0.0.1, one loop for both sides. */
#include "runtime/server.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/error.h"
#include "base/mem.h"
#include "runtime/config.h"
#include "tests/support/http_client.h"
#include "tests/support/test.h"

/* --- the server under test ---------------------------------------------------------------- */

struct fixture {
    uv_loop_t loop;
    struct sp_config *config;
    struct sp_server *server;
    int port;
    bool stopped;
    uint64_t waiting; /* id of the exchange that a handler holds */
    unsigned gone;    /* calls of on_gone */
    unsigned drained;
    unsigned handled;
    uint64_t body_bytes;
    bool body_ended;
};

static void count_gone(void *arg)
{
    ((struct fixture *)arg)->gone++;
}

static void handle_hello(struct sp_exchange *ex)
{
    ((struct fixture *)sp_exchange_app(ex))->handled++;
    sp_reply(ex, 200, "text/plain", SP_SLICE("hello"));
}

static void handle_echo(struct sp_exchange *ex)
{
    sp_reply(ex, 200, "text/plain", sp_exchange_body(ex));
}

static void handle_params(struct sp_exchange *ex)
{
    SP_AUTO_BUF struct sp_buf text;

    sp_buf_init(&text, 0);
    (void)sp_buf_printf(&text, "<%s|%s|%s>", sp_exchange_param(ex, "owner"),
                        sp_exchange_param(ex, "rest"), sp_exchange_param(ex, "other"));
    sp_reply(ex, 200, "text/plain", sp_buf_slice(&text));
}

static void handle_whoami(struct sp_exchange *ex)
{
    SP_AUTO_BUF struct sp_buf text;

    sp_buf_init(&text, 0);
    (void)sp_buf_printf(&text, "<%s %s>", sp_exchange_peer(ex), sp_exchange_base_url(ex));
    sp_reply(ex, 200, "text/plain", sp_buf_slice(&text));
}

/* Answers when the test says so. */
static void handle_later(struct sp_exchange *ex)
{
    struct fixture *fx = sp_exchange_app(ex);

    fx->waiting = sp_exchange_id(ex);
    sp_exchange_keep(ex);
    sp_exchange_on_gone(ex, count_gone, fx);
}

static void on_drain(void *arg)
{
    ((struct fixture *)arg)->drained++;
}

static void handle_stream(struct sp_exchange *ex)
{
    struct fixture *fx = sp_exchange_app(ex);

    fx->waiting = sp_exchange_id(ex);
    sp_exchange_on_gone(ex, count_gone, fx);
    sp_stream_start(ex, 200, "text/event-stream");
    sp_stream_on_drain(ex, on_drain, fx);
    (void)sp_stream_write(ex, SP_SLICE("data: first\n\n"));
}

static bool on_upload(struct sp_exchange *ex, void *arg, struct sp_slice piece)
{
    struct fixture *fx = arg;

    fx->body_bytes += piece.len;
    if (piece.len) /* "refuse" in the body stops the upload */
        return !memmem(piece.ptr, piece.len, "refuse", 6) ||
               (sp_reply(ex, 409, "text/plain", SP_SLICE("refused")), false);
    fx->body_ended = true;
    sp_reply(ex, 200, "text/plain", SP_SLICE("uploaded"));
    return true;
}

static void handle_upload(struct sp_exchange *ex)
{
    struct fixture *fx = sp_exchange_app(ex);

    fx->waiting = sp_exchange_id(ex);
    sp_exchange_on_gone(ex, count_gone, fx);
    sp_exchange_read_body(ex, 4 << 20, on_upload, fx);
}

/* The reader comes later. */
static void handle_upload_later(struct sp_exchange *ex)
{
    struct fixture *fx = sp_exchange_app(ex);

    fx->waiting = sp_exchange_id(ex);
}

static void handle_file(struct sp_exchange *ex)
{
    const char *path = sp_exchange_param(ex, "rest");

    sp_reply_file(ex, "application/octet-stream", open(path, O_RDONLY | O_CLOEXEC));
}

static char big[24 << 20];

static void handle_big(struct sp_exchange *ex)
{
    sp_reply_static(ex, 200, "application/octet-stream", sp_slice(big, sizeof(big)));
}

static void handle_abort(struct sp_exchange *ex)
{
    sp_exchange_abort(ex);
}

static bool gate(struct sp_exchange *ex)
{
    assert_non_null(sp_exchange_route(ex));
    if (!sp_http_header(sp_exchange_request(ex), "X-Blocked").ptr)
        return true;
    sp_reply_problem(ex, 403, "denied", "not through %s", "here");
    return false;
}

static const struct sp_route routes[] = {
    {"GET", "/hello", SP_ACCESS_ANYONE, SP_BODY_NONE, NULL, handle_hello},
    {"POST", "/drop", SP_ACCESS_ANYONE, SP_BODY_NONE, NULL, handle_hello},
    {"POST PUT", "/echo", SP_ACCESS_ANYONE, SP_BODY_WHOLE, NULL, handle_echo},
    {"GET", "/params/:owner/x/*rest", SP_ACCESS_ANYONE, SP_BODY_NONE, NULL, handle_params},
    {"GET", "/whoami", SP_ACCESS_ANYONE, SP_BODY_NONE, NULL, handle_whoami},
    {"GET POST", "/later", SP_ACCESS_ANYONE, SP_BODY_WHOLE, NULL, handle_later},
    {"GET", "/stream", SP_ACCESS_ANYONE, SP_BODY_NONE, NULL, handle_stream},
    {"POST", "/upload", SP_ACCESS_ANYONE, SP_BODY_STREAM, "limit.upload", handle_upload},
    {"POST", "/upload-later", SP_ACCESS_ANYONE, SP_BODY_STREAM, "limit.upload",
     handle_upload_later},
    {"GET", "/file/*rest", SP_ACCESS_ANYONE, SP_BODY_NONE, NULL, handle_file},
    {"GET", "/big", SP_ACCESS_ANYONE, SP_BODY_NONE, NULL, handle_big},
    {"GET", "/abort", SP_ACCESS_ANYONE, SP_BODY_NONE, NULL, handle_abort},
    {NULL, NULL, SP_ACCESS_ANYONE, SP_BODY_NONE, NULL, NULL},
};

/* `settings`: name, value, ..., NULL */
static struct fixture *start(const char *const *settings)
{
    struct fixture *fx = sp_new0(struct fixture);
    struct sp_server_options options = {.routes = routes, .app = fx, .gate = gate};
    struct sp_error err = {0};

    fx->config = sp_config_new();
    for (; settings && *settings; settings += 2)
        assert_int_equal(sp_config_set(fx->config, settings[0], settings[1], "test", &err), 0);
    options.config = fx->config;
    assert_int_equal(uv_loop_init(&fx->loop), 0);
    fx->server = sp_server_new(&fx->loop, &options);
    assert_int_equal(sp_server_listen(fx->server, "127.0.0.1:0", &fx->port, &err), 0);
    return fx;
}

static void on_stopped(void *arg)
{
    ((struct fixture *)arg)->stopped = true;
}

static bool is_stopped(void *arg)
{
    return ((struct fixture *)arg)->stopped;
}

/* Every test ends here: a handle that is left, or a byte that is still counted, fails it. */
static void finish(struct fixture *fx)
{
    struct sp_server_stats stats;

    if (!fx->stopped)
        sp_server_stop(fx->server, 0, on_stopped, fx);
    assert_true(test_run_until(&fx->loop, is_stopped, fx, 7000));
    sp_server_stats(fx->server, &stats);
    assert_int_equal(stats.connections, 0);
    assert_int_equal(stats.streams, 0);
    assert_int_equal(stats.buffered_bytes, 0);
    sp_server_free(fx->server);
    (void)uv_run(&fx->loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&fx->loop), 0);
    sp_config_free(fx->config);
    free(fx);
}

#define HOST      "Host: localhost\r\n"
#define GET(path) "GET " path " HTTP/1.1\r\n" HOST "\r\n"

static struct sp_server_stats stats_of(struct fixture *fx)
{
    struct sp_server_stats stats;

    sp_server_stats(fx->server, &stats);
    return stats;
}

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
        cmocka_unit_test(test_running_out_of_descriptors_is_survived),
        cmocka_unit_test(test_the_server_listens_on_several_addresses),
        cmocka_unit_test(test_a_wrong_or_taken_address_is_an_error),
        cmocka_unit_test(test_stop_lets_a_running_request_finish),
        cmocka_unit_test(test_stop_ends_what_outlasts_the_grace),
    };

    return cmocka_run_group_tests_name("server", tests, NULL, NULL);
}
