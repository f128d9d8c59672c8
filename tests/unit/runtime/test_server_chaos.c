/*
 * Clients that do everything wrong at random moments, against handlers that answer, stream, pause,
 * abort and forget at random moments. Under the sanitizers this finds what is freed too early; the
 * end checks that nothing is left. The seed is fixed, and printed when SP_CHAOS_SEED sets another.
 */
#include "runtime/server/server.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/mem.h"
#include "runtime/config.h"
#include "tests/support/test.h"
#include "ui-protocol/ws.h"

#define CLIENTS 40
#define HELD    65536

static uint64_t rng = 88172645463325252ull;

static unsigned pick(unsigned n)
{
    rng ^= rng << 13;
    rng ^= rng >> 7;
    rng ^= rng << 17;
    return (unsigned)(rng >> 33) % n;
}

/* --- handlers ----------------------------------------------------------------------------- */

static struct sp_server *server;
static uint64_t held[HELD];
static unsigned n_held;
static struct sp_ws_conn *sockets[HELD];
static unsigned n_sockets; /* ever in use */
static unsigned counts[8]; /* handled, gone, pieces, ws messages, ws closed, streams */
static char noise[48 * 1024];

static void hold(struct sp_exchange *ex)
{
    held[n_held++ % HELD] = sp_exchange_id(ex);
}

static void on_gone(void *arg)
{
    uint64_t id = (uint64_t)(uintptr_t)arg;

    counts[1]++;
    assert_null(sp_exchange_find(server, id));
}

static void watch(struct sp_exchange *ex)
{
    sp_exchange_on_gone(ex, on_gone, (void *)(uintptr_t)sp_exchange_id(ex));
}

static void answer(struct sp_exchange *ex)
{
    counts[0]++;
    switch (pick(8)) {
    case 0: sp_exchange_abort(ex); break;
    case 1: sp_reply_empty(ex, 204); break;
    case 2: sp_reply(ex, 200, "text/plain", sp_slice(noise, pick(sizeof(noise)))); break;
    case 3: sp_reply_static(ex, 200, "text/plain", sp_slice(noise, sizeof(noise))); break;
    case 4: sp_reply_problem(ex, 500, "internal", "as %s", "chance has it"); break;
    case 5: sp_reply_file(ex, "text/plain", open("/proc/self/exe", O_RDONLY | O_CLOEXEC)); break;
    default:
        sp_reply_header(ex, "X-Chaos", "yes");
        sp_reply(ex, 200, "text/plain", sp_exchange_body(ex));
    }
}

static void handle_any(struct sp_exchange *ex)
{
    watch(ex);
    if (pick(3) == 0) {
        if (pick(2))
            sp_exchange_keep(ex);
        hold(ex);
        return;
    }
    answer(ex);
}

static void handle_stream(struct sp_exchange *ex)
{
    watch(ex);
    counts[5]++;
    if (pick(2))
        sp_exchange_keep(ex);
    sp_stream_start(ex, 200, "text/event-stream");
    (void)sp_stream_write(ex, sp_slice(noise, pick(sizeof(noise))));
    if (pick(4) == 0)
        sp_stream_end(ex);
    else
        hold(ex);
}

static bool on_data(struct sp_exchange *ex, void *arg, struct sp_slice piece)
{
    (void)arg;
    counts[2]++;
    if (piece.len == 0) {
        answer(ex);
        return true;
    }
    switch (pick(30)) {
    case 0: answer(ex); return false;
    case 1: return false;
    case 2: sp_exchange_pause_body(ex, true); return true;
    default: return true;
    }
}

static void handle_upload(struct sp_exchange *ex)
{
    watch(ex);
    hold(ex);
    if (pick(3))
        sp_exchange_read_body(ex, 1 << 20, on_data, NULL);
}

static void forget_socket(void *arg, int code)
{
    (void)code;
    sockets[(uintptr_t)arg] = NULL;
    counts[4]++;
}

static void on_message(void *arg, struct sp_ws_conn *ws, struct sp_slice text)
{
    (void)arg;
    counts[3]++;
    if (pick(20) == 0)
        sp_ws_close(ws, 1000, "enough");
    else
        (void)sp_ws_send(ws, text);
}

static void handle_ws(struct sp_exchange *ex)
{
    static const struct sp_ws_callbacks callbacks = {.message = on_message,
                                                     .closed = forget_socket};
    uintptr_t at = 0;

    while (at < HELD && sockets[at])
        at++;
    assert_true(at < HELD);
    if (at >= n_sockets)
        n_sockets = (unsigned)at + 1;
    sockets[at] = sp_ws_accept(ex, 4096, &callbacks, (void *)at);
}

static const struct sp_route routes[] = {
    {"GET POST", "/any", SP_ACCESS_ANYONE, SP_BODY_WHOLE, NULL, handle_any},
    {"POST", "/drop", SP_ACCESS_ANYONE, SP_BODY_NONE, NULL, handle_any},
    {"GET", "/stream", SP_ACCESS_ANYONE, SP_BODY_NONE, NULL, handle_stream},
    {"POST", "/upload", SP_ACCESS_ANYONE, SP_BODY_STREAM, "limit.upload", handle_upload},
    {"GET", "/ws", SP_ACCESS_ANYONE, SP_BODY_NONE, NULL, handle_ws},
    {NULL, NULL, SP_ACCESS_ANYONE, SP_BODY_NONE, NULL, NULL},
};

/* Something happens to a held exchange, from outside of any handler. */
static void stir(unsigned at)
{
    struct sp_exchange *ex = sp_exchange_find(server, held[at]);
    struct sp_ws_conn *ws = sockets[pick(n_sockets + 1)];

    if (ws)
        (void)sp_ws_send(ws, sp_slice(noise, pick(4000)));
    if (ws && pick(30) == 0)
        sp_ws_close(ws, 1001, NULL);
    if (!ex)
        return;
    if (strcmp(sp_exchange_route(ex)->pattern, "/stream") == 0) {
        (void)sp_stream_write(ex, sp_slice(noise, pick(sizeof(noise))));
        if (pick(6) == 0)
            sp_stream_end(ex);
    } else if (strcmp(sp_exchange_route(ex)->pattern, "/upload") == 0) {
        sp_exchange_pause_body(ex, false);
        if (pick(3) == 0)
            answer(ex);
    } else {
        answer(ex);
    }
}

/* --- clients: plain blocking-free sockets ------------------------------------------------------
 */

struct chaos_client {
    int fd;
    struct sp_buf out;
    size_t at;
};

static void put_ws(struct sp_buf *out)
{
    static const uint8_t mask[4] = {9, 8, 7, 6};

    (void)sp_buf_append_str(out, "GET /ws HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\n"
                                 "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
                                 "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n");
    for (unsigned i = pick(40); i > 0; i--)
        sp_ws_put_client(out, (uint8_t)(pick(12) ? 1 : pick(16)), pick(10) != 0,
                         sp_slice(noise, pick(110)), mask);
}

static void put_body(struct sp_buf *out, const char *path)
{
    unsigned len = pick(4) ? pick(3000) : pick(200000);

    (void)sp_buf_printf(out, "POST %s HTTP/1.1\r\nHost: a\r\n%s", path,
                        pick(6) ? "" : "Expect: 100-continue\r\n");
    if (pick(2)) {
        (void)sp_buf_printf(out, "Content-Length: %u\r\n\r\n", len);
        while (len > sizeof(noise)) {
            (void)sp_buf_append(out, noise, sizeof(noise));
            len -= sizeof(noise);
        }
        (void)sp_buf_append(out, noise, len);
        return;
    }
    (void)sp_buf_append_str(out, "Transfer-Encoding: chunked\r\n\r\n");
    for (unsigned i = pick(20); i > 0; i--) {
        unsigned piece = 1 + pick(2000);

        (void)sp_buf_printf(out, "%x\r\n", piece);
        (void)sp_buf_append(out, noise, piece);
        (void)sp_buf_append_str(out, pick(200) ? "\r\n" : "\rx");
    }
    (void)sp_buf_append_str(out, "0\r\n\r\n");
}

static void put_request(struct sp_buf *out)
{
    switch (pick(9)) {
    case 0: put_ws(out); break;
    case 1: put_body(out, "/upload"); break;
    case 2: put_body(out, "/any"); break;
    case 3: put_body(out, "/drop"); break;
    case 4: (void)sp_buf_append_str(out, "GET /stream HTTP/1.1\r\nHost: a\r\n\r\n"); break;
    case 5: (void)sp_buf_append_str(out, "GET /stream HTTP/1.0\r\nHost: a\r\n\r\n"); break;
    case 6: (void)sp_buf_append(out, noise, pick(300)); break;
    case 7: (void)sp_buf_append_str(out, "HEAD /any HTTP/1.1\r\nHost: a\r\n\r\n"); break;
    default: (void)sp_buf_append_str(out, "GET /any HTTP/1.1\r\nHost: a\r\n\r\n");
    }
}

static void drop_client(struct chaos_client *client)
{
    struct linger hard = {1, 0};

    if (pick(2))
        (void)setsockopt(client->fd, SOL_SOCKET, SO_LINGER, &hard, sizeof(hard));
    (void)close(client->fd);
    sp_buf_done(&client->out);
    client->fd = -1;
}

static void new_client(struct chaos_client *client, int port)
{
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};

    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    client->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    (void)connect(client->fd, (struct sockaddr *)&to, sizeof(to));
    sp_buf_init(&client->out, 0);
    for (unsigned i = 1 + pick(6); i > 0; i--)
        put_request(&client->out);
    client->at = 0;
}

static void act(struct chaos_client *client, int port)
{
    char buffer[16 * 1024];
    size_t left;
    ssize_t n;

    if (client->fd < 0) {
        new_client(client, port);
        return;
    }
    left = client->out.len - client->at;
    if (left > 0 && pick(4)) {
        n = send(client->fd, client->out.data + client->at,
                 pick(3) ? left : 1 + pick((unsigned)left), MSG_NOSIGNAL);
        if (n > 0)
            client->at += (size_t)n;
    }
    if (pick(3) && recv(client->fd, buffer, 1 + pick(sizeof(buffer)), 0) == 0)
        drop_client(client);
    else if (pick(60) == 0)
        drop_client(client);
    else if (pick(100) == 0)
        (void)shutdown(client->fd, SHUT_WR);
}

/* With everything answered that was held, the connections of those who have left are gone. */
static void settle(uv_loop_t *loop)
{
    uint64_t until = sp_clock_mono_ms() + 8000;
    struct sp_server_stats stats;

    assert_true(n_held < HELD);
    do {
        for (unsigned i = 0; i < n_held; i++)
            stir(i);
        (void)uv_run(loop, UV_RUN_NOWAIT);
        sp_server_stats(server, &stats);
    } while (stats.connections > CLIENTS / 2 && sp_clock_mono_ms() < until);
    assert_true(stats.connections <= CLIENTS / 2);
}

static void on_stopped(void *arg)
{
    *(bool *)arg = true;
}

static void stop(uv_loop_t *loop)
{
    struct sp_server_stats stats;
    bool stopped = false;

    sp_server_stop(server, 20, on_stopped, &stopped);
    while (!stopped)
        (void)uv_run(loop, UV_RUN_ONCE);
    sp_server_stats(server, &stats);
    assert_int_equal(stats.connections, 0);
    assert_int_equal(stats.streams, 0);
    assert_int_equal(stats.buffered_bytes, 0);
    sp_server_free(server);
    (void)uv_run(loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(loop), 0);
}

static void test_nothing_breaks_whatever_clients_and_handlers_do(void **state)
{
    struct sp_config *config = sp_config_new();
    struct sp_server_options options = {.config = config, .routes = routes};
    struct chaos_client clients[CLIENTS];
    uint64_t until = sp_clock_mono_ms() + 2500;
    struct sp_error err;
    uv_loop_t loop;
    int port;

    (void)state;
    if (getenv("SP_CHAOS_SEED"))
        rng = strtoull(getenv("SP_CHAOS_SEED"), NULL, 0) | 1;
    memset(noise, 'x', sizeof(noise));
    assert_int_equal(sp_config_set(config, "limit.stream_buffer", "64k", "test", &err), 0);
    assert_int_equal(sp_config_set(config, "limit.request_body", "128k", "test", &err), 0);
    assert_int_equal(sp_config_set(config, "limit.body_memory", "1M", "test", &err), 0);
    assert_int_equal(uv_loop_init(&loop), 0);
    server = sp_server_new(&loop, &options);
    assert_int_equal(sp_server_listen(server, "127.0.0.1:0", &port, &err), 0);
    for (int i = 0; i < CLIENTS; i++)
        clients[i] = (struct chaos_client){.fd = -1};

    while (sp_clock_mono_ms() < until) {
        for (int i = 0; i < 10; i++)
            act(&clients[pick(CLIENTS)], port);
        if (n_held)
            stir(n_held < HELD ? pick(n_held) : pick(HELD));
        (void)uv_run(&loop, UV_RUN_NOWAIT);
    }
    for (int i = 0; i < CLIENTS; i += 2)
        if (clients[i].fd >= 0)
            drop_client(&clients[i]);
    settle(&loop);
    stop(&loop);
    for (int i = 1; i < CLIENTS; i += 2)
        if (clients[i].fd >= 0)
            drop_client(&clients[i]);
    /* The storm must have reached everything. */
    for (int i = 0; i < 6; i++)
        assert_true(counts[i] > 20);
    sp_config_free(config);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nothing_breaks_whatever_clients_and_handlers_do),
    };

    return cmocka_run_group_tests_name("server_chaos", tests, NULL, NULL);
}
