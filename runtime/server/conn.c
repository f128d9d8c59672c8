/* One connection: bytes in, timeouts, keep-alive, and its end. */
#include "runtime/server/server-internal.h"

#include <sys/socket.h>
#include <unistd.h>

#include "base/mem.h"

static void on_read(uv_stream_t *stream, ssize_t nread, const uv_buf_t *buf);
static void process(struct sp_conn *conn);

/* --- reading ------------------------------------------------------------------------------ */

/* libuv reads right after it has asked for memory: one buffer serves all connections. */
static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *ret)
{
    struct sp_conn *conn = handle->data;

    (void)suggested;
    *ret = uv_buf_init(conn->server->read_buffer, sizeof(conn->server->read_buffer));
}

static void set_reading(struct sp_conn *conn, bool reading)
{
    if (conn->reading == reading || conn->state == SP_CONN_CLOSING || conn->eof)
        return;
    conn->reading = reading;
    if (reading)
        (void)uv_read_start((uv_stream_t *)&conn->tcp, on_alloc, on_read);
    else
        (void)uv_read_stop((uv_stream_t *)&conn->tcp);
}

/* Input that has to wait stops the reading, so that at most one read buffer's worth is kept. */
static bool wants_input(const struct sp_conn *conn)
{
    if (conn->more)
        return false;
    switch (conn->state) {
    case SP_CONN_HEAD: return !conn->write || conn->in_len == 0;
    case SP_CONN_BODY: return conn->in_len == 0 && !conn->ex->body_paused;
    /* Reading on a little way behind a request that waits is how we notice that its client leaves.
     */
    case SP_CONN_BUSY: return conn->in_len < SP_PIPELINE_MAX;
    case SP_CONN_STREAM:
    case SP_CONN_WS:
    case SP_CONN_FLUSH:
    case SP_CONN_LINGER: return true;
    default: return false;
    }
}

/* Kept input counts with the bodies: many halves of heads are memory as well. */
static void set_input(struct sp_conn *conn, char *in, size_t cap)
{
    conn->server->body_bytes += cap;
    conn->server->body_bytes -= conn->in_cap;
    conn->in = in;
    conn->in_cap = (uint32_t)cap;
}

static void grow_input(struct sp_conn *conn, size_t cap)
{
    set_input(conn, sp_realloc(conn->in, cap, 1), cap);
}

static void drop_input(struct sp_conn *conn)
{
    free(conn->in);
    set_input(conn, NULL, 0);
    conn->in_len = 0;
}

/* Keeps what could not be used. `data` may lie inside of conn->in. */
static void keep_input(struct sp_conn *conn, const char *data, size_t len)
{
    if (len == 0) {
        drop_input(conn);
        return;
    }
    if (len > conn->in_cap) /* then `data` is the read buffer: what lies in conn->in fits */
        grow_input(conn, len);
    memmove(conn->in, data, len);
    conn->in_len = (uint32_t)len;
}

/* Bounded: a partial head (limit.head) or, once, a read buffer; reading stops in between. */
static void append_input(struct sp_conn *conn, const char *data, size_t len)
{
    size_t need = conn->in_len + len;

    if (need > conn->in_cap)
        grow_input(conn, need < 1024 ? 1024 : need + need / 4);
    memcpy(conn->in + conn->in_len, data, len);
    conn->in_len = (uint32_t)need;
}

static size_t linger(struct sp_conn *conn, size_t len)
{
    conn->head_seen += (uint32_t)len;
    if (conn->head_seen > SP_LINGER_BYTES)
        sp_conn_close(conn);
    return len;
}

/* One step of whatever the connection is in; 0 when it must wait for something. */
static size_t step(struct sp_conn *conn, const char *data, size_t len)
{
    switch (conn->state) {
    case SP_CONN_HEAD: return conn->write ? 0 : sp_request_head(conn, data, len);
    case SP_CONN_BODY: return sp_request_body(conn, data, len);
    case SP_CONN_WS: return sp_ws_conn_input(conn, data, len);
    case SP_CONN_BUSY: return 0;
    case SP_CONN_LINGER: return linger(conn, len);
    case SP_CONN_STREAM:
        /* Reading on is how we notice that a visitor leaves; what was dropped ends the keep-alive.
         */
        conn->ex->keep_alive = false;
        conn->linger = true;
        return len;
    default: return len;
    }
}

/* A flood of tiny requests or messages gets a share of the turn, not all of it. */
static size_t use_input(struct sp_conn *conn, const char *data, size_t len)
{
    unsigned steps = 0;
    size_t used = 0;

    conn->more = false;
    while (used < len && !conn->broken) {
        size_t n;

        if ((conn->state == SP_CONN_HEAD || conn->state == SP_CONN_WS) &&
            steps++ == SP_TURN_STEPS) {
            conn->more = true;
            sp_conn_wake(conn);
            break;
        }
        n = step(conn, data + used, len - used);

        if (n == 0)
            break;
        used += n;
    }
    return used;
}

static void input(struct sp_conn *conn, const char *data, size_t len)
{
    size_t used;

    conn->processing = true;
    if (conn->in_len) {
        append_input(conn, data, len);
        data = conn->in;
        len = conn->in_len;
    }
    used = use_input(conn, data, len);
    conn->processing = false;
    if (conn->state == SP_CONN_CLOSING)
        return;
    keep_input(conn, data + used, len - used);
    if (conn->state != SP_CONN_HEAD && conn->state != SP_CONN_LINGER)
        conn->head_seen = 0;
    if (conn->state == SP_CONN_HEAD && conn->in_len &&
        conn->server->body_bytes > conn->server->limits.body_memory) {
        sp_request_refuse(conn, 503, "too many requests at once (limit.body_memory)");
        return;
    }
    sp_conn_arm(conn);
    set_reading(conn, wants_input(conn));
}

/* Goes on with kept input after something has changed. */
static void process(struct sp_conn *conn)
{
    size_t used = 0;

    if (conn->state == SP_CONN_CLOSING || conn->processing)
        return;
    conn->processing = true;
    if (conn->state == SP_CONN_BODY)
        sp_request_poke(conn);
    if (conn->in_len)
        used = use_input(conn, conn->in, conn->in_len);
    conn->processing = false;
    if (conn->state == SP_CONN_CLOSING)
        return;
    if (used)
        keep_input(conn, conn->in + used, conn->in_len - used);
    sp_conn_arm(conn);
    set_reading(conn, wants_input(conn));
}

/* The client sends no more. An answer that is on its way still goes out; anything else is over. */
static void on_eof(struct sp_conn *conn)
{
    conn->eof = true;
    conn->reading = false;
    if (conn->state == SP_CONN_FLUSH || (conn->state == SP_CONN_HEAD && conn->write))
        sp_conn_finish(conn);
    else
        sp_conn_gone(conn);
}

static void on_read(uv_stream_t *stream, ssize_t nread, const uv_buf_t *buf)
{
    struct sp_conn *conn = stream->data;
    struct sp_server *server = conn->server;

    if (nread > 0)
        input(conn, buf->base, (size_t)nread);
    else if (nread == UV_EOF)
        on_eof(conn);
    else if (nread < 0)
        sp_conn_gone(conn);
    sp_server_flush(server);
}

/* --- timeouts ----------------------------------------------------------------------------- */

void sp_conn_arm(struct sp_conn *conn)
{
    struct sp_server *server = conn->server;
    struct sp_wheel *wheel = &server->wheel;
    const struct sp_limits *limits = &server->limits;

    switch (conn->state) {
    case SP_CONN_WS: return; /* wsconn.c sets it */
    case SP_CONN_LINGER: return;
    case SP_CONN_CLOSING: return;
    default: break;
    }
    if (conn->write) {
        sp_wheel_set(wheel, &conn->timer, limits->write_ms);
        return;
    }
    switch (conn->state) {
    case SP_CONN_HEAD:
        /* From the first byte of a head on the time runs whatever else trickles in. */
        if (conn->in_len == 0)
            sp_wheel_set(wheel, &conn->timer, limits->keep_alive_ms);
        else if (!conn->in_head)
            sp_wheel_set(wheel, &conn->timer, limits->head_ms);
        conn->in_head = conn->in_len > 0;
        break;
    case SP_CONN_BODY:
        if (conn->ex->answered || conn->ex->body_paused || !wants_input(conn))
            sp_wheel_clear(wheel, &conn->timer);
        else
            sp_wheel_set(wheel, &conn->timer, limits->body_ms);
        break;
    default: sp_wheel_clear(wheel, &conn->timer);
    }
    if (conn->state != SP_CONN_HEAD)
        conn->in_head = false;
}

void sp_conn_on_timer(struct sp_wheel_entry *entry)
{
    struct sp_conn *conn = SP_CONTAINER(entry, struct sp_conn, timer);

    if (conn->state == SP_CONN_WS) {
        sp_ws_conn_on_timer(conn);
    } else if (conn->state == SP_CONN_LINGER) {
        sp_conn_close(conn);
    } else if (conn->write) {
        if (sp_conn_write_progressed(conn))
            sp_conn_arm(conn);
        else
            sp_conn_gone(conn);
    } else if (conn->state == SP_CONN_HEAD && conn->in_len) {
        sp_request_refuse(conn, 408, "the request took too long to arrive (timeout.head)");
    } else if (conn->state == SP_CONN_BODY) {
        sp_request_refuse(conn, 408, "the request's body took too long to arrive (timeout.body)");
    } else {
        sp_conn_gone(conn);
    }
    sp_server_flush(conn->server);
}

/* --- the ready list ----------------------------------------------------------------------- */

void sp_conn_wake(struct sp_conn *conn)
{
    if (conn->state != SP_CONN_CLOSING && sp_list_empty(&conn->ready))
        sp_list_append(&conn->server->ready, &conn->ready);
}

void sp_conn_run_ready(struct sp_server *server)
{
    struct sp_list now;

    /* Only those that are ready now: one that makes itself ready again waits for the next turn. */
    sp_list_init(&now);
    sp_list_move_all(&server->ready, &now);
    while (!sp_list_empty(&now)) {
        struct sp_conn *conn = SP_LIST_TAKE(&now, struct sp_conn, ready);

        if (conn->broken)
            sp_conn_gone(conn);
        else
            process(conn);
    }
}

void sp_conn_drained(struct sp_conn *conn)
{
    switch (conn->state) {
    case SP_CONN_WS: sp_ws_conn_drained(conn); return;
    case SP_CONN_FLUSH: sp_conn_finish(conn); return;
    case SP_CONN_HEAD: process(conn); break;
    default:
        sp_conn_arm(conn);
        if (conn->ex && conn->ex->file)
            sp_file_reply_continue(conn->ex->file);
        else if (conn->ex && conn->ex->drain)
            conn->ex->drain(conn->ex->drain_arg);
    }
    sp_server_flush(conn->server);
}

/* --- life --------------------------------------------------------------------------------- */

static uint32_t take_slot(struct sp_server *server, struct sp_conn *conn)
{
    uint32_t slot;

    if (server->n_free == 0) {
        uint32_t n = server->n_slots ? server->n_slots * 2 : 64;

        server->slots = sp_realloc(server->slots, n, sizeof(struct sp_conn *));
        server->free_slots = sp_realloc(server->free_slots, n, sizeof(uint32_t));
        for (uint32_t i = n; i > server->n_slots; i--)
            server->free_slots[server->n_free++] = i - 1;
        for (uint32_t i = server->n_slots; i < n; i++)
            server->slots[i] = NULL;
        server->n_slots = n;
    }
    slot = server->free_slots[--server->n_free];
    server->slots[slot] = conn;
    return slot;
}

static void on_closed(uv_handle_t *handle)
{
    struct sp_conn *conn = handle->data;
    struct sp_server *server = conn->server;

    if (conn->ws)
        sp_ws_conn_end(conn);
    sp_conn_free_output(conn);
    drop_input(conn);
    server->slots[conn->slot] = NULL;
    server->free_slots[server->n_free++] = conn->slot;
    conn->peer->connections--;
    sp_peer_release(server, conn->peer);
    server->stats.connections--;
    free(conn);
    sp_server_check_stopped(server);
}

void sp_conn_start(struct sp_server *server, int take_fd, const struct sp_address *address,
                   struct sp_peer *peer)
{
    struct sp_conn *conn = sp_new0(struct sp_conn);

    conn->server = server;
    conn->address = *address;
    conn->peer = peer;
    peer->connections++;
    sp_list_init(&conn->ready);
    sp_wheel_entry_init(&conn->timer);
    conn->slot = take_slot(server, conn);
    server->stats.connections++;
    server->stats.accepted++;
    (void)uv_tcp_init(server->loop, &conn->tcp); /* makes no socket: cannot fail */
    conn->tcp.data = conn;

    if (uv_tcp_open(&conn->tcp, take_fd) < 0) {
        (void)close(take_fd);
        sp_conn_close(conn);
        return;
    }
    (void)uv_tcp_nodelay(&conn->tcp, 1);
    /* A visitor that vanished without a word is noticed within minutes, also on a silent stream. */
    (void)uv_tcp_keepalive(&conn->tcp, 1, 60);
    sp_conn_arm(conn);
    set_reading(conn, true);
}

void sp_conn_close(struct sp_conn *conn)
{
    if (conn->state == SP_CONN_CLOSING)
        return;
    if (conn->ex)
        sp_exchange_detach(conn->ex);
    sp_conn_drop_output(conn);
    conn->state = SP_CONN_CLOSING;
    sp_wheel_clear(&conn->server->wheel, &conn->timer);
    sp_list_remove(&conn->ready);
    uv_close((uv_handle_t *)&conn->tcp, on_closed);
}

void sp_conn_reset(struct sp_conn *conn)
{
    struct linger hard = {.l_onoff = 1, .l_linger = 0};
    int fd;

    if (uv_fileno((uv_handle_t *)&conn->tcp, &fd) == 0)
        (void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &hard, sizeof(hard));
    sp_conn_close(conn);
}

void sp_conn_gone(struct sp_conn *conn)
{
    struct sp_exchange *ex = conn->ex;
    void (*gone)(void *arg) = ex ? ex->gone : NULL;
    void *arg = ex ? ex->gone_arg : NULL;

    if (conn->state == SP_CONN_CLOSING)
        return;
    /* The exchange goes first, so that nobody finds it from inside of the callback. */
    sp_conn_close(conn);
    if (gone)
        gone(arg);
}

void sp_conn_finish(struct sp_conn *conn)
{
    int fd;

    if (conn->state == SP_CONN_CLOSING)
        return;
    conn->state = SP_CONN_FLUSH;
    if (!conn->processing)
        drop_input(conn);
    sp_server_flush(conn->server);
    if (conn->broken || conn->write) {
        sp_conn_arm(conn);
        return;
    }
    if (!conn->linger || conn->eof || uv_fileno((uv_handle_t *)&conn->tcp, &fd) < 0) {
        sp_conn_close(conn);
        return;
    }
    /* Closing with unread input would reset the connection and take our answer with it. */
    (void)shutdown(fd, SHUT_WR);
    conn->state = SP_CONN_LINGER;
    conn->head_seen = 0;
    set_reading(conn, true);
    sp_wheel_set(&conn->server->wheel, &conn->timer, SP_LINGER_MS);
}

static bool is_idle(const struct sp_conn *conn)
{
    return conn->state == SP_CONN_HEAD && !conn->write && conn->in_len == 0;
}

bool sp_conn_evict(struct sp_server *server)
{
    struct sp_conn *oldest = NULL;

    for (uint32_t i = 0; i < server->n_slots; i++) {
        struct sp_conn *conn = server->slots[i];

        if (conn && is_idle(conn) && (!oldest || conn->timer.tick < oldest->timer.tick))
            oldest = conn;
    }
    if (!oldest)
        return false;
    sp_conn_close(oldest);
    return true;
}
