/* Answers without an end in sight: server-sent events, logs. */
#include "runtime/server/server-internal.h"

#include <assert.h>

void sp_stream_start(struct sp_exchange *ex, int status, const char *content_type)
{
    struct sp_conn *conn = ex->conn;
    struct sp_buf *out = sp_conn_out(conn);

    if (content_type && sp_slice_starts(sp_slice_str(content_type), "text/event-stream")) {
        sp_reply_header(ex, "Cache-Control", "no-store");
        sp_reply_header(ex, "X-Accel-Buffering", "no"); /* nginx in front would hold events back */
    }
    ex->chunked = !ex->http10;
    if (ex->http10)
        ex->keep_alive = false; /* the end of the connection is the end of the answer */
    sp_exchange_put_head(ex, out, status, content_type);
    sp_http_end_stream(out, ex->chunked);
    sp_conn_out_done(conn);
    conn->state = SP_CONN_STREAM;
    conn->server->stats.streams++;
    if (!ex->in_handler && !ex->keep)
        sp_exchange_release_request(ex);
    sp_conn_wake(conn); /* input that waited is dropped from here on */
}

/* A slow reader may hold limit.stream_buffer, all together limit.stream_memory. */
static bool too_slow(const struct sp_exchange *ex, size_t len)
{
    const struct sp_server *server = ex->conn->server;
    size_t pending = sp_conn_pending(ex->conn);

    if (!ex->conn->write)
        return false; /* everything before has been taken: the client keeps up */
    return pending + len > server->limits.stream_buffer ||
           server->buffered_bytes + len > server->limits.stream_memory;
}

bool sp_stream_write(struct sp_exchange *ex, struct sp_slice piece)
{
    struct sp_conn *conn = ex->conn;
    char size[24];
    int n;

    assert(conn->state == SP_CONN_STREAM && !ex->end_put);
    if (piece.len == 0 || ex->head_only || conn->broken)
        return true;
    if (too_slow(ex, piece.len))
        return false;
    if (!ex->chunked || piece.len <= SP_INLINE_BODY) {
        struct sp_buf *out = sp_conn_out(conn);

        if (ex->chunked)
            sp_http_put_chunk(out, piece);
        else
            (void)sp_buf_append_slice(out, piece);
        sp_conn_out_done(conn);
        return true;
    }
    /* The same bytes as sp_http_put_chunk's, without copying a big piece. */
    n = snprintf(size, sizeof(size), "%zx\r\n", piece.len);
    (void)sp_buf_append(sp_conn_out(conn), size, (size_t)n);
    sp_conn_out_piece(conn, piece, false);
    (void)sp_buf_append(sp_conn_out(conn), "\r\n", 2);
    sp_conn_out_done(conn);
    return true;
}

size_t sp_stream_pending(const struct sp_exchange *ex)
{
    return sp_conn_pending(ex->conn);
}

void sp_stream_on_drain(struct sp_exchange *ex, void (*drain)(void *arg), void *arg)
{
    ex->drain = drain;
    ex->drain_arg = arg;
}

void sp_stream_put_end(struct sp_exchange *ex)
{
    struct sp_conn *conn = ex->conn;

    assert(conn->state == SP_CONN_STREAM);
    if (ex->chunked && !ex->head_only && !ex->end_put) {
        sp_http_put_last_chunk(sp_conn_out(conn));
        sp_conn_out_done(conn);
    }
    ex->end_put = true;
}

void sp_stream_end(struct sp_exchange *ex)
{
    sp_stream_put_end(ex);
    sp_exchange_end(ex);
}
