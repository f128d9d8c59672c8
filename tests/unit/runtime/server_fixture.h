/*
 * A server with handlers for every kind of answer, on a loop of its own: shared by test_server*.c.
 * Real sockets on 127.0.0.1, one loop for both sides.
 */
#ifndef SP_TESTS_UNIT_RUNTIME_SERVER_FIXTURE_H
#define SP_TESTS_UNIT_RUNTIME_SERVER_FIXTURE_H

#include "runtime/server/server.h"

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

#define HOST      "Host: localhost\r\n"
#define GET(path) "GET " path " HTTP/1.1\r\n" HOST "\r\n"

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

static inline void count_gone(void *arg)
{
    ((struct fixture *)arg)->gone++;
}

static inline void handle_hello(struct sp_exchange *ex)
{
    ((struct fixture *)sp_exchange_app(ex))->handled++;
    sp_reply(ex, 200, "text/plain", SP_SLICE("hello"));
}

static inline void handle_echo(struct sp_exchange *ex)
{
    sp_reply(ex, 200, "text/plain", sp_exchange_body(ex));
}

static inline void handle_params(struct sp_exchange *ex)
{
    SP_AUTO_BUF struct sp_buf text;

    sp_buf_init(&text, 0);
    (void)sp_buf_printf(&text, "<%s|%s|%s>", sp_exchange_param(ex, "owner"),
                        sp_exchange_param(ex, "rest"), sp_exchange_param(ex, "other"));
    sp_reply(ex, 200, "text/plain", sp_buf_slice(&text));
}

static inline void handle_whoami(struct sp_exchange *ex)
{
    SP_AUTO_BUF struct sp_buf text;

    sp_buf_init(&text, 0);
    (void)sp_buf_printf(&text, "<%s %s>", sp_exchange_peer(ex), sp_exchange_base_url(ex));
    sp_reply(ex, 200, "text/plain", sp_buf_slice(&text));
}

/* Answers when the test says so. */
static inline void handle_later(struct sp_exchange *ex)
{
    struct fixture *fx = sp_exchange_app(ex);

    fx->waiting = sp_exchange_id(ex);
    sp_exchange_keep(ex);
    sp_exchange_on_gone(ex, count_gone, fx);
}

static inline void on_drain(void *arg)
{
    ((struct fixture *)arg)->drained++;
}

static inline void handle_stream(struct sp_exchange *ex)
{
    struct fixture *fx = sp_exchange_app(ex);

    fx->waiting = sp_exchange_id(ex);
    sp_exchange_on_gone(ex, count_gone, fx);
    sp_stream_start(ex, 200, "text/event-stream");
    sp_stream_on_drain(ex, on_drain, fx);
    (void)sp_stream_write(ex, SP_SLICE("data: first\n\n"));
}

static inline bool on_upload(struct sp_exchange *ex, void *arg, struct sp_slice piece)
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

static inline void handle_upload(struct sp_exchange *ex)
{
    struct fixture *fx = sp_exchange_app(ex);

    fx->waiting = sp_exchange_id(ex);
    sp_exchange_on_gone(ex, count_gone, fx);
    sp_exchange_read_body(ex, 4 << 20, on_upload, fx);
}

/* The reader comes later. */
static inline void handle_upload_later(struct sp_exchange *ex)
{
    struct fixture *fx = sp_exchange_app(ex);

    fx->waiting = sp_exchange_id(ex);
}

static inline void handle_file(struct sp_exchange *ex)
{
    const char *path = sp_exchange_param(ex, "rest");

    sp_reply_file(ex, "application/octet-stream", open(path, O_RDONLY | O_CLOEXEC));
}

static char big[24 << 20];

static inline void handle_big(struct sp_exchange *ex)
{
    sp_reply_static(ex, 200, "application/octet-stream", sp_slice(big, sizeof(big)));
}

static inline void handle_abort(struct sp_exchange *ex)
{
    sp_exchange_abort(ex);
}

static inline bool gate(struct sp_exchange *ex)
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
static inline struct fixture *start(const char *const *settings)
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

static inline void on_stopped(void *arg)
{
    ((struct fixture *)arg)->stopped = true;
}

static inline bool is_stopped(void *arg)
{
    return ((struct fixture *)arg)->stopped;
}

/* Every test ends here: a handle that is left, or a byte that is still counted, fails it. */
static inline void finish(struct fixture *fx)
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

static inline struct sp_server_stats stats_of(struct fixture *fx)
{
    struct sp_server_stats stats;

    sp_server_stats(fx->server, &stats);
    return stats;
}

#endif
