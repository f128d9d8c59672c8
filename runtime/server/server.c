/* The server as a whole: its handles, its turn of the loop, its end. */
#include "runtime/server/server.h"

#include <signal.h>
#include <sys/resource.h>

#include "base/id.h"
#include "base/log.h"
#include "base/mem.h"
#include "runtime/config.h"
#include "runtime/metrics.h"
#include "runtime/server/server-internal.h"

#define OTHER_DESCRIPTORS 1000 /* for workers, logs, the store, files */

static void read_limits(const struct sp_config *config, struct sp_limits *ret)
{
    *ret = (struct sp_limits){
        .connections = sp_config_int(config, "limit.connections"),
        .per_address = sp_config_int(config, "limit.connections_per_address"),
        .head = sp_config_size(config, "limit.head"),
        .request_body = sp_config_size(config, "limit.request_body"),
        .body_memory = sp_config_size(config, "limit.body_memory"),
        .stream_buffer = sp_config_size(config, "limit.stream_buffer"),
        .stream_memory = sp_config_size(config, "limit.stream_memory"),
        .head_ms = sp_config_duration(config, "timeout.head"),
        .body_ms = sp_config_duration(config, "timeout.body"),
        .keep_alive_ms = sp_config_duration(config, "timeout.keep_alive"),
        .write_ms = sp_config_duration(config, "timeout.write"),
        .ping_ms = sp_config_duration(config, "timeout.ping"),
    };
}

static void read_trusted(struct sp_server *server)
{
    const char *text = sp_config_str(server->options.config, "trusted_proxies");

    if (sp_networks_parse(text, &server->trusted, &server->n_trusted, NULL) < 0)
        abort(); /* the configuration has checked it */
}

/*
 * Every connection is a descriptor, and the rest of the daemon needs some too. The soft limit,
 * often 1,024, is raised as far as the hard one lets us; what is missing then comes off the
 * connections.
 */
static void reserve_descriptors(struct sp_server *server)
{
    uint64_t want = server->limits.connections + OTHER_DESCRIPTORS;
    struct rlimit files;
    uint64_t spare;

    if (getrlimit(RLIMIT_NOFILE, &files) < 0 || files.rlim_cur >= want)
        return;
    files.rlim_cur = files.rlim_max < want ? files.rlim_max : want;
    if (setrlimit(RLIMIT_NOFILE, &files) < 0)
        (void)getrlimit(RLIMIT_NOFILE, &files);
    if (files.rlim_cur >= want)
        return;
    spare = files.rlim_cur / 2 < OTHER_DESCRIPTORS ? files.rlim_cur / 2 : OTHER_DESCRIPTORS;
    server->limits.connections = files.rlim_cur - spare;
    sp_log(SP_LOG_WARN, "server.few_descriptors", "limit.connections=%llu open_files=%llu",
           (unsigned long long)server->limits.connections, (unsigned long long)files.rlim_cur);
}

/* --- one turn of the loop ----------------------------------------------------------------- */

static void turn(struct sp_server *server)
{
    if (!sp_list_empty(&server->ready))
        sp_conn_run_ready(server);
    sp_server_flush(server);
}

static void on_idle(uv_idle_t *idle)
{
    (void)idle; /* only keeps the poll from sleeping */
}

/* Before the poll: what timers and other modules have written goes out. */
static void on_prepare(uv_prepare_t *prepare)
{
    struct sp_server *server = prepare->data;

    turn(server);
    if (sp_list_empty(&server->ready))
        (void)uv_idle_stop(&server->idle);
    else
        (void)uv_idle_start(&server->idle, on_idle);
}

/* After the poll: what the handlers of this turn have written goes out. */
static void on_check(uv_check_t *check)
{
    turn(check->data);
}

/* --- life --------------------------------------------------------------------------------- */

static void init_handles(struct sp_server *server)
{
    uv_loop_t *loop = server->loop;

    (void)uv_prepare_init(loop, &server->prepare); /* these cannot fail */
    (void)uv_check_init(loop, &server->check);
    (void)uv_idle_init(loop, &server->idle);
    (void)uv_timer_init(loop, &server->grace);
    sp_wheel_init(&server->wheel, loop, sp_conn_on_timer);
    server->prepare.data = server->check.data = server->idle.data = server->grace.data = server;
    server->open_handles = 5;
    (void)uv_prepare_start(&server->prepare, on_prepare);
    (void)uv_check_start(&server->check, on_check);
    /* They serve other handles and do not keep the loop alive by themselves. */
    uv_unref((uv_handle_t *)&server->prepare);
    uv_unref((uv_handle_t *)&server->check);
}

struct sp_server *sp_server_new(uv_loop_t *loop, const struct sp_server_options *options)
{
    struct sp_server *server = sp_new0(struct sp_server);
    uint8_t random[4];

    /* Writing to a client that has gone is an error code, not a death. */
    (void)signal(SIGPIPE, SIG_IGN);
    server->loop = loop;
    server->options = *options;
    read_limits(options->config, &server->limits);
    read_trusted(server);
    reserve_descriptors(server);
    server->router = sp_router_new(options->routes);
    sp_random(random, sizeof(random));
    sp_hex(random, sizeof(random), server->request_id_prefix);
    sp_map_init(&server->peers);
    sp_list_init(&server->listeners);
    sp_list_init(&server->ready);
    sp_buf_init(&server->gather, 0);
    init_handles(server);
    return server;
}

void sp_server_free(struct sp_server *server)
{
    if (!server)
        return;
    sp_router_free(server->router);
    sp_map_done(&server->peers);
    sp_buf_done(&server->gather);
    free(server->trusted);
    free(server->slots);
    free(server->free_slots);
    free(server);
}

void sp_server_stats(const struct sp_server *server, struct sp_server_stats *ret)
{
    *ret = server->stats;
    ret->buffered_bytes = server->buffered_bytes + server->body_bytes;
}

void sp_server_collect(void *arg, struct sp_buf *out)
{
    struct sp_server_stats stats;

    sp_server_stats(arg, &stats);
    sp_metrics_gauge(out, "spacesd_http_connections", "Open connections",
                     (double)stats.connections);
    sp_metrics_gauge(out, "spacesd_http_streams", "Open event streams and WebSockets",
                     (double)stats.streams);
    sp_metrics_gauge(out, "spacesd_http_buffered_bytes",
                     "Bodies being received and output that waits for slow readers",
                     (double)stats.buffered_bytes);
    sp_metrics_counter(out, "spacesd_http_connections_total", "Accepted connections",
                       stats.accepted);
    sp_metrics_counter(out, "spacesd_http_refused_total", "Connections refused over a limit",
                       stats.refused);
    sp_metrics_counter(out, "spacesd_http_requests_total", "Requests", stats.requests);
    sp_metrics_counter(out, "spacesd_http_bad_requests_total",
                       "Requests that were malformed, too large or too slow", stats.bad_requests);
}

/* --- the end ------------------------------------------------------------------------------ */

void sp_server_own_handle(struct sp_server *server)
{
    server->open_handles++;
}

/* The last close of all: nothing of the server is known to libuv any more. */
void sp_server_on_handle_closed(struct sp_server *server)
{
    if (--server->open_handles == 0 && server->on_stopped)
        server->on_stopped(server->stop_arg);
}

static void on_own_closed(uv_handle_t *handle)
{
    sp_server_on_handle_closed(handle->data);
}

static void on_wheel_closed(uv_handle_t *handle)
{
    struct sp_wheel *wheel = handle->data;

    sp_server_on_handle_closed(SP_CONTAINER(wheel, struct sp_server, wheel));
}

/* With the last connection gone the server's own handles follow. */
void sp_server_check_stopped(struct sp_server *server)
{
    if (!server->stopping || server->stats.connections > 0 || server->closing)
        return;
    server->closing = true;
    sp_wheel_close(&server->wheel, on_wheel_closed);
    uv_close((uv_handle_t *)&server->prepare, on_own_closed);
    uv_close((uv_handle_t *)&server->check, on_own_closed);
    uv_close((uv_handle_t *)&server->idle, on_own_closed);
    uv_close((uv_handle_t *)&server->grace, on_own_closed);
}

static void each_conn(struct sp_server *server, void (*each)(struct sp_conn *conn))
{
    for (uint32_t i = 0; i < server->n_slots; i++)
        if (server->slots[i])
            each(server->slots[i]);
}

static void wind_down(struct sp_conn *conn)
{
    if (conn->state == SP_CONN_WS)
        sp_ws_conn_stop(conn);
    else if (conn->state == SP_CONN_HEAD)
        sp_conn_finish(conn);
}

static void on_grace_over(uv_timer_t *timer)
{
    each_conn(timer->data, sp_conn_gone);
}

void sp_server_stop(struct sp_server *server, uint64_t grace_ms, void (*done)(void *arg), void *arg)
{
    if (server->stopping)
        return;
    server->stopping = true;
    server->on_stopped = done;
    server->stop_arg = arg;
    sp_listeners_close(server);
    each_conn(server, wind_down);
    (void)uv_timer_start(&server->grace, on_grace_over, grace_ms, 0);
    sp_server_check_stopped(server);
}
