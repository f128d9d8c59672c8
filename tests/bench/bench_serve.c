/*
 * The HTTP server alone, for bench_get.py and bench_visitors.py: no gate, no Spaces, no store.
 *
 *     bench_serve PORT      /asset 200 bytes; /stream SSE that stays silent; /ws echo; POST /echo;
 *                           /flood SSE that writes without end; /metrics with the loop's lag
 */
#include <stdio.h>

#include "base/buf.h"
#include "base/error.h"
#include "base/str.h"
#include "runtime/config.h"
#include "runtime/loop.h"
#include "runtime/metrics.h"
#include "runtime/server/server.h"

static struct sp_metrics *metrics;
static char asset[200];
static char noise[16 * 1024];

static void handle_asset(struct sp_exchange *ex)
{
    sp_reply_static(ex, 200, "text/plain", sp_slice(asset, sizeof(asset)));
}

static void handle_echo(struct sp_exchange *ex)
{
    sp_reply(ex, 200, "text/plain", sp_exchange_body(ex));
}

static void handle_stream(struct sp_exchange *ex)
{
    sp_stream_start(ex, 200, "text/event-stream");
    (void)sp_stream_write(ex, SP_SLICE("data: {\"msg\":\"estimation\",\"rank\":0}\n\n"));
}

/* As much as the client takes, at most what may wait. */
static void write_noise(void *arg)
{
    struct sp_exchange *ex = arg;

    for (int i = 0; i < 64; i++)
        if (!sp_stream_write(ex, sp_slice(noise, sizeof(noise))) || sp_stream_pending(ex) > 65536)
            return;
}

static void handle_flood(struct sp_exchange *ex)
{
    sp_stream_start(ex, 200, "text/event-stream");
    sp_stream_on_drain(ex, write_noise, ex);
    write_noise(ex);
}

static void on_message(void *arg, struct sp_ws_conn *ws, struct sp_slice text)
{
    (void)arg;
    (void)sp_ws_send(ws, text);
}

static void handle_ws(struct sp_exchange *ex)
{
    static const struct sp_ws_callbacks callbacks = {.message = on_message};

    (void)sp_ws_accept(ex, 1 << 20, &callbacks, NULL);
}

static void handle_metrics(struct sp_exchange *ex)
{
    sp_metrics_reply(metrics, ex);
}

static const struct sp_route routes[] = {
    {"GET", "/asset", SP_ACCESS_ANYONE, SP_BODY_NONE, NULL, handle_asset},
    {"GET", "/stream", SP_ACCESS_ANYONE, SP_BODY_NONE, NULL, handle_stream},
    {"GET", "/flood", SP_ACCESS_ANYONE, SP_BODY_NONE, NULL, handle_flood},
    {"GET", "/ws", SP_ACCESS_ANYONE, SP_BODY_NONE, NULL, handle_ws},
    {"POST", "/echo", SP_ACCESS_ANYONE, SP_BODY_WHOLE, NULL, handle_echo},
    {"GET", "/metrics", SP_ACCESS_ANYONE, SP_BODY_NONE, NULL, handle_metrics},
    {NULL, NULL, SP_ACCESS_ANYONE, SP_BODY_NONE, NULL, NULL},
};

int main(int argc, char **argv)
{
    struct sp_config *config = sp_config_new();
    struct sp_server_options options = {.config = config, .routes = routes};
    struct sp_loop_watch watch;
    struct sp_server *server;
    struct sp_error err;
    char listen[64];
    int port;

    (void)snprintf(listen, sizeof(listen), "127.0.0.1:%s", argc > 1 ? argv[1] : "0");
    (void)sp_config_set(config, "limit.connections", "20000", "bench", NULL);
    (void)sp_config_set(config, "limit.connections_per_address", "20000", "bench", NULL);
    memset(asset, 'a', sizeof(asset));
    memset(noise, 'n', sizeof(noise));
    metrics = sp_metrics_new();
    server = sp_server_new(uv_default_loop(), &options);
    sp_loop_watch_start(&watch, uv_default_loop());
    sp_metrics_add(metrics, sp_loop_watch_collect, &watch);
    sp_metrics_add(metrics, sp_server_collect, server);
    if (sp_server_listen(server, listen, &port, &err) < 0) {
        (void)fprintf(stderr, "%s\n", err.msg);
        return 1;
    }
    (void)printf("ready url=http://127.0.0.1:%d\n", port);
    (void)fflush(stdout);
    return uv_run(uv_default_loop(), UV_RUN_DEFAULT);
}
