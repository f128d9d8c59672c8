/* WebSockets on the server: handshake, messages, limits, pings and closing. */
#include "runtime/server/server.h"

#include "base/buf.h"
#include "base/error.h"
#include "base/mem.h"
#include "runtime/config.h"
#include "tests/support/http_client.h"
#include "tests/support/test.h"
#include "ui-protocol/ws.h"

struct fixture {
    uv_loop_t loop;
    struct sp_config *config;
    struct sp_server *server;
    int port;
    bool stopped;
    struct sp_ws_conn *ws; /* the newest */
    bool echo;
    unsigned messages;
    unsigned closed;
    unsigned drained;
    int code;
};

static void on_message(void *arg, struct sp_ws_conn *ws, struct sp_slice text)
{
    struct fixture *fx = arg;

    fx->messages++;
    if (sp_slice_eq_str(text, "close me"))
        sp_ws_close(ws, 4000, "as you wish");
    else if (fx->echo)
        (void)sp_ws_send(ws, text);
}

static void on_drain(void *arg, struct sp_ws_conn *ws)
{
    (void)ws;
    ((struct fixture *)arg)->drained++;
}

static void on_closed(void *arg, int code)
{
    struct fixture *fx = arg;

    fx->closed++;
    fx->code = code;
    fx->ws = NULL;
}

static void handle_ws(struct sp_exchange *ex)
{
    static const struct sp_ws_callbacks callbacks = {on_message, on_drain, on_closed};
    struct fixture *fx = sp_exchange_app(ex);
    struct sp_ws_conn *ws = sp_ws_accept(ex, 64 * 1024, &callbacks, fx);

    if (ws)
        fx->ws = ws;
}

static const struct sp_route routes[] = {
    {"GET", "/ws", SP_ACCESS_ANYONE, SP_BODY_NONE, NULL, handle_ws},
    {NULL, NULL, SP_ACCESS_ANYONE, SP_BODY_NONE, NULL, NULL},
};

static struct fixture *start(const char *const *settings)
{
    struct fixture *fx = sp_new0(struct fixture);
    struct sp_server_options options = {.routes = routes, .app = fx};
    struct sp_error err = {0};

    fx->config = sp_config_new();
    fx->echo = true;
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

static bool is_closed(void *arg)
{
    return ((struct fixture *)arg)->closed > 0;
}

static void finish(struct fixture *fx)
{
    struct sp_server_stats stats;

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

#define UPGRADE                                                                                    \
    "GET /ws HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\n"                               \
    "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"                                          \
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"

static const uint8_t mask[4] = {1, 2, 3, 4};

static struct test_client *connect_ws(struct fixture *fx)
{
    struct test_client *client = test_client_new(&fx->loop, fx->port);

    test_client_send_str(client, UPGRADE);
    assert_true(
        test_client_expect(client, "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"));
    assert_true(test_client_expect(client, "\r\n\r\n"));
    assert_int_equal(test_client_count(client, "HTTP/1.1 101 "), 1);
    test_client_forget(client);
    return client;
}

static void send_frame(struct test_client *client, uint8_t opcode, struct sp_slice payload)
{
    SP_AUTO_BUF struct sp_buf frame;

    sp_buf_init(&frame, 0);
    sp_ws_put_client(&frame, opcode, true, payload, mask);
    test_client_send(client, frame.data, frame.len);
}

static bool got_close(struct test_client *client, int code)
{
    char head[] = {(char)0x88, 0, (char)(code >> 8), (char)code, 0};

    if (!test_client_expect(client, "\x88"))
        return false;
    for (size_t i = 0; i + 3 < client->in.len; i++)
        if (client->in.data[i] == head[0] && client->in.data[i + 2] == head[2] &&
            client->in.data[i + 3] == head[3])
            return true;
    return false;
}

static void test_text_is_echoed(void **state)
{
    struct fixture *fx = start(NULL);
    struct test_client *client = connect_ws(fx);

    (void)state;
    send_frame(client, 1, SP_SLICE("hello there"));
    assert_true(test_client_expect(client, "\x81\x0bhello there"));
    test_client_free(client);
    assert_true(test_run_until(&fx->loop, is_closed, fx, 2000));
    assert_int_equal(fx->code, 1006);
    assert_int_equal(fx->closed, 1);
    finish(fx);
}

static void test_a_message_may_come_with_the_upgrade(void **state)
{
    struct fixture *fx = start(NULL);
    struct test_client *client = test_client_new(&fx->loop, fx->port);
    SP_AUTO_BUF struct sp_buf bytes;

    (void)state;
    sp_buf_init(&bytes, 0);
    (void)sp_buf_append_str(&bytes, UPGRADE);
    sp_ws_put_client(&bytes, 1, true, SP_SLICE("early"), mask);
    test_client_send(client, bytes.data, bytes.len);
    assert_true(test_client_expect(client, "\x81\x05"
                                           "early"));
    test_client_free(client);
    finish(fx);
}

static void test_what_is_no_upgrade_is_refused(void **state)
{
    struct fixture *fx = start(NULL);
    struct test_client *client = test_client_new(&fx->loop, fx->port);

    (void)state;
    test_client_send_str(client, "GET /ws HTTP/1.1\r\nHost: localhost\r\n\r\n");
    assert_true(test_client_expect(client, "HTTP/1.1 400 "));
    test_client_send_str(client, "GET /ws HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\n"
                                 "Upgrade: websocket\r\nSec-WebSocket-Version: 8\r\n"
                                 "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n");
    assert_true(test_client_expect(client, "HTTP/1.1 426 "));
    assert_true(test_client_expect(client, "Sec-WebSocket-Version: 13\r\n"));
    test_client_free(client);
    finish(fx);
}

static void test_a_message_above_the_limit_closes_with_1009(void **state)
{
    struct fixture *fx = start(NULL);
    struct test_client *client = connect_ws(fx);
    SP_AUTO_FREE char *text = sp_new0n(char, 64 * 1024 + 1);

    (void)state;
    memset(text, 'x', 64 * 1024 + 1);
    send_frame(client, 1, sp_slice(text, 64 * 1024 + 1));
    assert_true(got_close(client, 1009));
    assert_true(test_client_expect_end(client, 2000));
    assert_true(test_run_until(&fx->loop, is_closed, fx, 7000));
    assert_int_equal(fx->code, 1009);
    assert_int_equal(fx->messages, 0);
    test_client_free(client);
    finish(fx);
}

static void test_text_that_is_not_utf8_closes_with_1007(void **state)
{
    struct fixture *fx = start(NULL);
    struct test_client *client = connect_ws(fx);

    (void)state;
    send_frame(client, 1, SP_SLICE("\xc3\x28"));
    assert_true(got_close(client, 1007));
    assert_int_equal(fx->messages, 0);
    test_client_free(client);
    finish(fx);
}

static void test_a_binary_message_closes_with_1003(void **state)
{
    struct fixture *fx = start(NULL);
    struct test_client *client = connect_ws(fx);

    (void)state;
    send_frame(client, 2, SP_SLICE("bytes"));
    assert_true(got_close(client, 1003));
    test_client_free(client);
    finish(fx);
}

static void test_an_unmasked_frame_closes_with_1002(void **state)
{
    struct fixture *fx = start(NULL);
    struct test_client *client = connect_ws(fx);

    (void)state;
    test_client_send_str(client, "\x81\x02hi");
    assert_true(got_close(client, 1002));
    test_client_free(client);
    finish(fx);
}

static void test_a_ping_is_answered(void **state)
{
    struct fixture *fx = start(NULL);
    struct test_client *client = connect_ws(fx);

    (void)state;
    send_frame(client, 9, SP_SLICE("are you there"));
    assert_true(test_client_expect(client, "\x8a\x0d"
                                           "are you there"));
    test_client_free(client);
    finish(fx);
}

static void test_the_peers_close_is_echoed(void **state)
{
    struct fixture *fx = start(NULL);
    struct test_client *client = connect_ws(fx);

    (void)state;
    send_frame(client, 8,
               SP_SLICE("\x03\xe8"
                        "bye"));
    assert_true(got_close(client, 1000));
    assert_true(test_client_expect_end(client, 2000));
    test_client_free(client);
    assert_true(test_run_until(&fx->loop, is_closed, fx, 7000));
    assert_int_equal(fx->code, 1000);
    finish(fx);
}

static void test_our_close_waits_for_the_peers(void **state)
{
    struct fixture *fx = start(NULL);
    struct test_client *client = connect_ws(fx);

    (void)state;
    send_frame(client, 1, SP_SLICE("close me"));
    send_frame(client, 1, SP_SLICE("too late"));
    assert_true(got_close(client, 4000));
    assert_int_equal(fx->closed, 0);
    send_frame(client, 8, SP_SLICE("\x0f\xa0"));
    assert_true(test_client_expect_end(client, 2000));
    test_client_free(client);
    assert_true(test_run_until(&fx->loop, is_closed, fx, 7000));
    assert_int_equal(fx->closed, 1);
    assert_int_equal(fx->messages, 1);
    finish(fx);
}

static void test_a_silent_peer_is_pinged_and_then_dropped(void **state)
{
    const char *const settings[] = {"timeout.ping", "1s", NULL};
    struct fixture *fx = start(settings);
    struct test_client *client = connect_ws(fx);

    (void)state;
    assert_true(test_client_expect(client, "\x89"));
    assert_true(test_run_until(&fx->loop, is_closed, fx, 5000));
    assert_int_equal(fx->code, 1006);
    test_client_free(client);
    finish(fx);
}

static void test_a_peer_that_answers_pings_stays(void **state)
{
    const char *const settings[] = {"timeout.ping", "1s", NULL};
    struct fixture *fx = start(settings);
    struct test_client *client = connect_ws(fx);

    (void)state;
    for (int i = 0; i < 3; i++) {
        assert_true(test_client_expect(client, "\x89"));
        test_client_forget(client);
        send_frame(client, 10, (struct sp_slice){0});
    }
    assert_int_equal(fx->closed, 0);
    test_client_free(client);
    finish(fx);
}

/* What waits for a slow reader ends at limit.stream_buffer. */
static void test_a_slow_reader_is_bounded(void **state)
{
    const char *const settings[] = {"limit.stream_buffer", "64k", NULL};
    struct fixture *fx = start(settings);
    struct test_client *client = connect_ws(fx);
    char piece[4000];
    size_t sent = 0;

    (void)state;
    memset(piece, 'x', sizeof(piece));
    test_client_pause(client, true);
    while (sp_ws_send(fx->ws, sp_slice(piece, sizeof(piece)))) {
        sent += sizeof(piece);
        assert_true(sent < 64 << 20);
        (void)uv_run(&fx->loop, UV_RUN_NOWAIT);
    }
    assert_true(sp_ws_pending(fx->ws) <= 64 * 1024);
    test_client_pause(client, false);
    for (int i = 0; i < 1000 && fx->drained == 0; i++)
        test_run_for(&fx->loop, 5);
    assert_int_equal(fx->drained, 1);
    for (int i = 0; i < 1000 && client->in.len <= sent; i++)
        test_run_for(&fx->loop, 5); /* what the kernel still holds */
    assert_true(client->in.len > sent);
    test_client_free(client);
    finish(fx);
}

/* Pings without reading the pongs cost the client, not us. */
static void test_a_flood_of_pings_is_bounded(void **state)
{
    struct fixture *fx = start(NULL);
    struct test_client *client = connect_ws(fx);
    SP_AUTO_BUF struct sp_buf flood;
    struct sp_server_stats stats;
    char payload[125];

    (void)state;
    memset(payload, 'x', sizeof(payload));
    sp_buf_init(&flood, 0);
    for (int i = 0; i < 4000; i++)
        sp_ws_put_client(&flood, 9, true, sp_slice(payload, sizeof(payload)), mask);
    test_client_pause(client, true);
    for (int i = 0; i < 30; i++) {
        test_client_send(client, flood.data, flood.len);
        test_run_for(&fx->loop, 10);
        sp_server_stats(fx->server, &stats);
        assert_true(stats.buffered_bytes < 256 * 1024);
    }
    test_client_free(client);
    finish(fx);
}

static void test_messages_under_way_stay_below_limit_body_memory(void **state)
{
    const char *const settings[] = {"limit.body_memory", "64k", NULL};
    struct fixture *fx = start(settings);
    struct test_client *clients[3];
    SP_AUTO_FREE char *text = sp_new0n(char, 40 * 1024);

    (void)state;
    memset(text, 'x', 40 * 1024);
    for (int i = 0; i < 3; i++) {
        SP_AUTO_BUF struct sp_buf frame;

        sp_buf_init(&frame, 0);
        clients[i] = connect_ws(fx);
        sp_ws_put_client(&frame, 1, false, sp_slice(text, 40 * 1024), mask); /* without an end */
        test_client_send(clients[i], frame.data, frame.len);
        test_run_for(&fx->loop, 20);
    }
    assert_true(got_close(clients[2], 1013));
    for (int i = 0; i < 3; i++)
        test_client_free(clients[i]);
    finish(fx);
}

static void test_stop_says_1001(void **state)
{
    struct fixture *fx = start(NULL);
    struct test_client *client = connect_ws(fx);

    (void)state;
    sp_server_stop(fx->server, 100, on_stopped, fx);
    assert_true(got_close(client, 1001));
    assert_true(test_run_until(&fx->loop, is_stopped, fx, 7000));
    assert_int_equal(fx->closed, 1);
    test_client_free(client);
    finish(fx);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_text_is_echoed),
        cmocka_unit_test(test_a_message_may_come_with_the_upgrade),
        cmocka_unit_test(test_what_is_no_upgrade_is_refused),
        cmocka_unit_test(test_a_message_above_the_limit_closes_with_1009),
        cmocka_unit_test(test_text_that_is_not_utf8_closes_with_1007),
        cmocka_unit_test(test_a_binary_message_closes_with_1003),
        cmocka_unit_test(test_an_unmasked_frame_closes_with_1002),
        cmocka_unit_test(test_a_ping_is_answered),
        cmocka_unit_test(test_the_peers_close_is_echoed),
        cmocka_unit_test(test_our_close_waits_for_the_peers),
        cmocka_unit_test(test_a_silent_peer_is_pinged_and_then_dropped),
        cmocka_unit_test(test_a_peer_that_answers_pings_stays),
        cmocka_unit_test(test_a_slow_reader_is_bounded),
        cmocka_unit_test(test_a_flood_of_pings_is_bounded),
        cmocka_unit_test(test_messages_under_way_stay_below_limit_body_memory),
        cmocka_unit_test(test_stop_says_1001),
    };

    return cmocka_run_group_tests_name("ws", tests, NULL, NULL);
}
