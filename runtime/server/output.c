/*
 * Output of connections. Small pieces are gathered in one buffer of the server and offered to the
 * kernel once per turn; only what the kernel does not take is copied and waits in a struct
 * sp_write.
 */
#include "runtime/server/server-internal.h"

#include "base/mem.h"

static void on_written(uv_write_t *req, int status);

static void free_write(struct sp_write *write)
{
    sp_buf_done(&write->sending);
    sp_buf_done(&write->next);
    free(write);
}

/* Keeps server->buffered_bytes true after `sending` or `next` has changed. */
static void recount(struct sp_write *write)
{
    struct sp_server *server = write->conn->server;
    size_t now = write->sending.len + write->next.len;

    server->buffered_bytes += now - write->counted;
    write->counted = now;
}

/* The connection cannot be written to any more; its end comes from the ready list, not from here.
 */
static void mark_broken(struct sp_conn *conn)
{
    conn->broken = true;
    sp_conn_wake(conn);
}

static void start_write(struct sp_write *write)
{
    struct sp_conn *conn = write->conn;
    uv_buf_t bufs[2];
    unsigned n = 0;

    if (write->sending.len)
        bufs[n++] = uv_buf_init(write->sending.data, (unsigned)write->sending.len);
    if (write->fixed.len)
        bufs[n++] = uv_buf_init((char *)write->fixed.ptr, (unsigned)write->fixed.len);
    if (uv_write(&write->req, (uv_stream_t *)&conn->tcp, bufs, n, on_written) < 0) {
        sp_conn_drop_output(conn);
        mark_broken(conn);
    }
}

/* Makes the connection wait with these bytes. `fixed` is not copied and comes last. */
static void wait_with(struct sp_conn *conn, struct sp_slice a, struct sp_slice b,
                      struct sp_slice fixed)
{
    struct sp_write *write = sp_new0(struct sp_write);

    write->conn = conn;
    write->fixed = fixed;
    sp_buf_init(&write->sending, 0);
    sp_buf_init(&write->next, 0);
    (void)sp_buf_append_slice(&write->sending, a);
    (void)sp_buf_append_slice(&write->sending, b);
    recount(write);
    conn->write = write;
    start_write(write);
    write->seen_queue = uv_stream_get_write_queue_size((uv_stream_t *)&conn->tcp);
    if (!conn->broken)
        sp_conn_arm(conn);
}

static void end_write(struct sp_write *write)
{
    struct sp_conn *conn = write->conn;

    conn->write = NULL;
    sp_buf_reset(&write->sending);
    sp_buf_reset(&write->next);
    recount(write);
    free_write(write);
}

static void send_next(struct sp_write *write)
{
    struct sp_buf sent = write->sending;

    write->sending = write->next;
    write->next = sent;
    sp_buf_done(&write->next);
    sp_buf_init(&write->next, 0);
    write->fixed = (struct sp_slice){0};
    write->progressed = true;
    recount(write);
    start_write(write);
}

static void on_written(uv_write_t *req, int status)
{
    struct sp_write *write = SP_CONTAINER(req, struct sp_write, req);
    struct sp_conn *conn = write->conn;

    if (status == 0 && conn->state != SP_CONN_CLOSING && !conn->broken && write->next.len) {
        send_next(write);
        return;
    }
    end_write(write);
    if (conn->state == SP_CONN_CLOSING || conn->broken)
        return;
    if (status < 0)
        sp_conn_gone(conn);
    else
        sp_conn_drained(conn);
}

static void skip(struct sp_slice *s, size_t *n)
{
    size_t cut = *n < s->len ? *n : s->len;

    if (cut == 0)
        return;
    s->ptr += cut;
    s->len -= cut;
    *n -= cut;
}

/* Offers `a` and then `b` to the kernel; the rest waits. Nothing may be waiting already. */
static void offer(struct sp_conn *conn, struct sp_slice a, struct sp_slice b, bool b_is_fixed)
{
    uv_buf_t bufs[2];
    unsigned n = 0;
    size_t taken;
    int r;

    if (a.len)
        bufs[n++] = uv_buf_init((char *)a.ptr, (unsigned)a.len);
    if (b.len)
        bufs[n++] = uv_buf_init((char *)b.ptr, (unsigned)b.len);
    if (n == 0 || conn->broken)
        return;

    r = uv_try_write((uv_stream_t *)&conn->tcp, bufs, n);
    if (r < 0 && r != UV_EAGAIN) {
        mark_broken(conn);
        return;
    }
    taken = r > 0 ? (size_t)r : 0;
    skip(&a, &taken);
    skip(&b, &taken);
    if (a.len + b.len == 0)
        return;
    if (b_is_fixed)
        wait_with(conn, a, (struct sp_slice){0}, b);
    else
        wait_with(conn, a, b, (struct sp_slice){0});
}

void sp_server_flush(struct sp_server *server)
{
    struct sp_conn *conn = server->gather_conn;

    if (!conn)
        return;
    server->gather_conn = NULL;
    offer(conn, sp_buf_slice(&server->gather), (struct sp_slice){0}, false);
    sp_buf_reset(&server->gather);
    if (server->gather.cap > 4 * SP_GATHER_MAX)
        sp_buf_done(&server->gather);
}

struct sp_buf *sp_conn_out(struct sp_conn *conn)
{
    struct sp_server *server = conn->server;

    if (conn->write)
        return &conn->write->next;
    if (server->gather_conn != conn) {
        sp_server_flush(server);
        server->gather_conn = conn;
    }
    return &server->gather;
}

void sp_conn_out_done(struct sp_conn *conn)
{
    struct sp_server *server = conn->server;

    if (conn->state == SP_CONN_CLOSING || conn->broken)
        sp_conn_drop_output(conn);
    else if (conn->write)
        recount(conn->write);
    else if (server->gather_conn == conn && server->gather.len >= SP_GATHER_MAX)
        sp_server_flush(server);
}

void sp_conn_out_piece(struct sp_conn *conn, struct sp_slice piece, bool fixed)
{
    struct sp_server *server = conn->server;
    struct sp_slice gathered = {0};

    if (conn->state == SP_CONN_CLOSING || conn->broken)
        return;
    if (piece.len <= SP_INLINE_BODY || conn->write) {
        (void)sp_buf_append_slice(sp_conn_out(conn), piece);
        sp_conn_out_done(conn);
        return;
    }
    if (server->gather_conn == conn)
        gathered = sp_buf_slice(&server->gather);
    else
        sp_server_flush(server);
    server->gather_conn = NULL;
    offer(conn, gathered, piece, fixed);
    sp_buf_reset(&server->gather);
}

size_t sp_conn_pending(const struct sp_conn *conn)
{
    const struct sp_server *server = conn->server;
    size_t pending = server->gather_conn == conn ? server->gather.len : 0;

    if (conn->write)
        pending +=
            uv_stream_get_write_queue_size((const uv_stream_t *)&conn->tcp) + conn->write->next.len;
    return pending;
}

void sp_conn_drop_output(struct sp_conn *conn)
{
    struct sp_server *server = conn->server;

    if (server->gather_conn == conn) {
        server->gather_conn = NULL;
        sp_buf_reset(&server->gather);
    }
    if (conn->write) {
        /* What libuv holds goes when its callback says so. */
        sp_buf_reset(&conn->write->next);
        recount(conn->write);
    }
}

bool sp_conn_write_progressed(struct sp_conn *conn)
{
    struct sp_write *write = conn->write;
    size_t queue = uv_stream_get_write_queue_size((uv_stream_t *)&conn->tcp);
    bool progressed;

    if (!write)
        return true;
    progressed = write->progressed || queue < write->seen_queue;
    write->progressed = false;
    write->seen_queue = queue;
    return progressed;
}

void sp_conn_free_output(struct sp_conn *conn)
{
    sp_conn_drop_output(conn);
    if (conn->write)
        end_write(conn->write); /* one that libuv has refused */
}
