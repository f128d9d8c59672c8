/* A WebSocket on a connection: messages, pings, and the close handshake. */
#include "runtime/server/server-internal.h"

#include "base/mem.h"

#define CLOSE_WAIT_MS 5000                /* for the peer's close frame after ours */
#define PONG_ROOM     ((size_t)64 * 1024) /* above this a client that only pings gets no more pongs */

struct sp_ws_conn {
    struct sp_ws codec;
    struct sp_conn *conn;
    struct sp_ws_callbacks callbacks;
    void *arg;
    uint64_t body_counted; /* in server->body_bytes */
    int code;              /* told to `closed` */
    bool closing : 1;      /* our close frame is out: nothing is sent after it */
    bool alive : 1;        /* something came since the last ping */
};

/* --- the handshake ------------------------------------------------------------------------ */

static void put_upgrade(struct sp_exchange *ex, const char *accept)
{
    struct sp_conn *conn = ex->conn;
    struct sp_buf *out = sp_conn_out(conn);

    sp_http_put_status(out, 101);
    sp_request_put_id(conn->server, ex->id, out);
    (void)sp_buf_append_slice(out, sp_buf_slice(&ex->req->extra));
    (void)sp_buf_printf(out,
                        "Upgrade: websocket\r\nConnection: Upgrade\r\n"
                        "Sec-WebSocket-Accept: %s\r\n\r\n",
                        accept);
    sp_conn_out_done(conn);
}

struct sp_ws_conn *sp_ws_accept(struct sp_exchange *ex, size_t max_message,
                                const struct sp_ws_callbacks *callbacks, void *arg)
{
    struct sp_conn *conn = ex->conn;
    struct sp_server *server = conn->server;
    const struct sp_http_request *head = sp_exchange_request(ex);
    struct sp_ws_conn *ws;
    char accept[29];
    int status = 400;

    if (!head || !ex->body_complete || server->stopping ||
        !sp_ws_handshake(head, accept, &status)) {
        if (status == 426)
            sp_reply_header(ex, "Sec-WebSocket-Version", "13");
        sp_reply_problem(ex, server->stopping ? 503 : status, "invalid",
                         "this path takes a WebSocket upgrade (RFC 6455, version 13)");
        return NULL;
    }
    ws = sp_new0(struct sp_ws_conn);
    ws->conn = conn;
    ws->callbacks = *callbacks;
    ws->arg = arg;
    ws->code = 1006;
    ws->alive = true;
    sp_ws_init(&ws->codec, max_message);

    put_upgrade(ex, accept);
    sp_exchange_detach(ex);
    conn->ws = ws;
    conn->state = SP_CONN_WS;
    server->stats.streams++;
    sp_wheel_set(&server->wheel, &conn->timer, server->limits.ping_ms);
    sp_conn_wake(conn); /* frames may have come behind the head */
    return ws;
}

/* --- out ---------------------------------------------------------------------------------- */

size_t sp_ws_pending(const struct sp_ws_conn *ws)
{
    return sp_conn_pending(ws->conn);
}

bool sp_ws_send(struct sp_ws_conn *ws, struct sp_slice text)
{
    struct sp_conn *conn = ws->conn;
    struct sp_server *server = conn->server;

    if (ws->closing || conn->state != SP_CONN_WS || conn->broken)
        return true; /* `closed` is on its way */
    if (conn->write && (sp_conn_pending(conn) + text.len > server->limits.stream_buffer ||
                        server->buffered_bytes + text.len > server->limits.stream_memory))
        return false;
    sp_ws_put_text(sp_conn_out(conn), text);
    sp_conn_out_done(conn);
    return true;
}

void sp_ws_close(struct sp_ws_conn *ws, int code, const char *reason)
{
    struct sp_conn *conn = ws->conn;

    if (ws->closing || conn->state != SP_CONN_WS)
        return;
    sp_ws_put_close(sp_conn_out(conn), code, reason ? reason : "");
    sp_conn_out_done(conn);
    ws->closing = true;
    /* The peer has a moment to answer with its own close frame. */
    sp_wheel_set(&conn->server->wheel, &conn->timer, CLOSE_WAIT_MS);
}

/* After both close frames: the rest of our output goes out, then the connection ends. */
static void finish(struct sp_ws_conn *ws)
{
    ws->conn->linger = true;
    sp_conn_finish(ws->conn);
}

/* The client has broken the rules: say which, and do not wait for an answer. */
static void fail(struct sp_ws_conn *ws, int code, const char *why)
{
    if (!ws->closing)
        ws->code = code;
    sp_ws_close(ws, code, why);
    finish(ws);
}

static void pong(struct sp_ws_conn *ws, struct sp_slice payload)
{
    if (ws->closing || sp_conn_pending(ws->conn) > PONG_ROOM)
        return;
    sp_ws_put_pong(sp_conn_out(ws->conn), payload);
    sp_conn_out_done(ws->conn);
}

/* --- in ----------------------------------------------------------------------------------- */

/* Messages under way count as request bodies do. */
static bool count_body(struct sp_ws_conn *ws)
{
    struct sp_server *server = ws->conn->server;
    uint64_t cap = ws->codec.body.cap;

    server->body_bytes += cap - ws->body_counted;
    if (cap <= ws->body_counted) {
        ws->body_counted = cap;
        return true;
    }
    ws->body_counted = cap;
    return server->body_bytes <= server->limits.body_memory;
}

static void on_event(struct sp_ws_conn *ws, enum sp_ws_event event)
{
    switch (event) {
    case SP_WS_MORE: break;
    case SP_WS_TEXT:
        if (!ws->closing)
            ws->callbacks.message(ws->arg, ws, ws->codec.message);
        break;
    case SP_WS_BINARY: fail(ws, SP_WS_CLOSE_DATA, "text messages only"); break;
    case SP_WS_PING: pong(ws, ws->codec.message); break;
    case SP_WS_PONG: break;
    case SP_WS_CLOSE:
        ws->code = ws->codec.close_code;
        /* 1005 stands for "no code" and never goes over the wire. */
        sp_ws_close(ws, ws->code == 1005 ? SP_WS_CLOSE_NORMAL : ws->code, "");
        finish(ws);
        break;
    case SP_WS_BAD: fail(ws, ws->codec.close_code, ws->codec.why); break;
    }
}

size_t sp_ws_conn_input(struct sp_conn *conn, const char *data, size_t len)
{
    struct sp_ws_conn *ws = conn->ws;
    struct sp_slice rest = sp_slice(data, len);
    enum sp_ws_event event = sp_ws_feed(&ws->codec, &rest);

    ws->alive = true;
    if (!count_body(ws))
        fail(ws, SP_WS_CLOSE_TRY_LATER, "too many messages at once (limit.body_memory)");
    else
        on_event(ws, event);
    return event == SP_WS_MORE ? len : len - rest.len;
}

/* --- time and end ------------------------------------------------------------------------- */

void sp_ws_conn_on_timer(struct sp_conn *conn)
{
    struct sp_ws_conn *ws = conn->ws;

    if (ws->closing) {
        finish(ws);
        return;
    }
    /* A slow reader that still takes bytes is alive, though our ping may be stuck behind them. */
    if (!ws->alive && !(conn->write && sp_conn_write_progressed(conn))) {
        sp_conn_gone(conn);
        return;
    }
    ws->alive = false;
    if (!conn->write) {
        sp_ws_put_ping(sp_conn_out(conn), (struct sp_slice){0});
        sp_conn_out_done(conn);
    }
    sp_wheel_set(&conn->server->wheel, &conn->timer, conn->server->limits.ping_ms);
}

void sp_ws_conn_drained(struct sp_conn *conn)
{
    struct sp_ws_conn *ws = conn->ws;

    if (!ws->closing && ws->callbacks.drain)
        ws->callbacks.drain(ws->arg, ws);
}

void sp_ws_conn_stop(struct sp_conn *conn)
{
    sp_ws_close(conn->ws, SP_WS_CLOSE_GOING_AWAY, "the server is stopping");
}

void sp_ws_conn_end(struct sp_conn *conn)
{
    struct sp_ws_conn *ws = conn->ws;

    conn->ws = NULL;
    conn->server->body_bytes -= ws->body_counted;
    conn->server->stats.streams--;
    sp_ws_done(&ws->codec);
    if (ws->callbacks.closed)
        ws->callbacks.closed(ws->arg, ws->code);
    free(ws);
}
