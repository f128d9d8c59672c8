/*
 * runtime/server/server.h - sockets, connections and requests: bytes to handlers and back.
 *
 * One listener, one loop. An *exchange* is one request and its answer. A handler gets it when the
 * head (and, for SP_BODY_WHOLE, the body) is there and answers now or later. Whoever answers later
 * keeps the exchange's id, not its pointer, and copes with its absence: the client may be gone.
 *
 * What a stranger can make grow is bounded here: connections (in all, per address), head, body,
 * bytes waiting to be written; the settings are limit.* in runtime/config.c.
 */
#ifndef SP_RUNTIME_SERVER_SERVER_H
#define SP_RUNTIME_SERVER_SERVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <jansson.h>
#include <uv.h>

#include "base/str.h"
#include "ui-protocol/http1.h"

struct sp_buf;
struct sp_error;
struct sp_config;
struct sp_server;
struct sp_exchange;
struct sp_ws_conn;

/* --- life ------------------------------------------------------------------------------------- */

struct sp_route;

struct sp_server_options {
    const struct sp_config *config; /* borrowed for the server's life */
    const struct sp_route *routes;  /* first match wins; ends with a row whose pattern is NULL */
    void *app;                      /* handed to every handler: sp_exchange_app */
    /* Runs before every handler; returns false when it has answered itself (auth, origin rules). */
    bool (*gate)(struct sp_exchange *ex);
};

struct sp_server *sp_server_new(uv_loop_t *loop, const struct sp_server_options *options);
/*
 * Binds and listens on "ADDRESS:PORT", or on several divided by commas. `*ret_port` is the first's
 * real port (for :0). Done before privileges are dropped.
 */
int sp_server_listen(struct sp_server *server, const char *addr_port, int *ret_port,
                     struct sp_error *err);
/* No new connections; idle ones close; running exchanges get `grace_ms`; then calls `done` once. */
void sp_server_stop(struct sp_server *server, uint64_t grace_ms, void (*done)(void *arg),
                    void *arg);
/* After `done`. */
void sp_server_free(struct sp_server *server);

struct sp_server_stats {
    uint64_t connections; /* open now */
    uint64_t accepted;
    uint64_t refused; /* over a limit */
    uint64_t requests;
    uint64_t bad_requests;
    uint64_t streams; /* SSE and WebSocket, open now */
    uint64_t buffered_bytes;
};
void sp_server_stats(const struct sp_server *server, struct sp_server_stats *ret);
/* The same for /metrics: a collector for sp_metrics_add, whose argument is the server. */
void sp_server_collect(void *server, struct sp_buf *out);

/* --- routes ----------------------------------------------------------------------------------- */

typedef void sp_handler_fn(struct sp_exchange *ex);

enum sp_body_mode {
    SP_BODY_NONE,   /* a body is read and dropped, at most 64 KiB of it */
    SP_BODY_WHOLE,  /* handed over whole, at most the named limit: sp_exchange_body */
    SP_BODY_STREAM, /* the handler runs at the head and calls sp_exchange_read_body */
};

/* Who may pass; the gate (runtime/api/gate.c) enforces it. */
enum sp_access {
    SP_ACCESS_ANYONE,
    SP_ACCESS_SIGNED_IN,
    SP_ACCESS_ADMIN,
    SP_ACCESS_MONITOR,     /* as monitor.access says */
    SP_ACCESS_SPACE_READ,  /* :owner and :name: public, or own, or admin; otherwise 404 */
    SP_ACCESS_SPACE_WRITE, /* owner or admin; 404 when not even readable, 403 otherwise */
    SP_ACCESS_APP, /* a path below /app: as SPACE_READ, hub cookies only with the hub's Origin */
};

struct sp_route {
    /* Space-separated: "GET HEAD". GET also serves HEAD. */
    const char *methods;
    /*
     * Segments divided by '/'; ":name" takes one non-empty segment (percent-decoded), "*name" at
     * the end takes the rest, '/' included. Literal otherwise.
     */
    const char *pattern;
    enum sp_access access;
    enum sp_body_mode body;
    const char *body_limit; /* name of a size setting; NULL = limit.request_body */
    sp_handler_fn *handler;
};

/* --- reading a request -------------------------------------------------------------------------
 */

uint64_t sp_exchange_id(const struct sp_exchange *ex); /* never reused */
/* NULL when the exchange is over or the client has gone. */
struct sp_exchange *sp_exchange_find(struct sp_server *server, uint64_t id);
struct sp_server *sp_exchange_server(const struct sp_exchange *ex);
void *sp_exchange_app(const struct sp_exchange *ex);
/* The row that matched; the gate reads its access. */
const struct sp_route *sp_exchange_route(const struct sp_exchange *ex);
/* The row that matched: what the gate enforces. Never NULL in the gate or a handler. */
const struct sp_route *sp_exchange_route(const struct sp_exchange *ex);

/* Valid until the handler returns, or while the exchange lives once sp_exchange_keep was called. */
const struct sp_http_request *sp_exchange_request(const struct sp_exchange *ex);
/* Copies the head so that it outlives the handler (a bounded allocation of the head's size). */
void sp_exchange_keep(struct sp_exchange *ex);
/* A ":name" or "*name" of the pattern, decoded; "" when the pattern has none. Lives with ex. */
const char *sp_exchange_param(const struct sp_exchange *ex, const char *name);
/* The whole body of SP_BODY_WHOLE; valid as the request is. Steal it to keep it without a copy. */
struct sp_slice sp_exchange_body(const struct sp_exchange *ex);
char *sp_exchange_steal_body(struct sp_exchange *ex, size_t *ret_len);
/* The peer's address, "127.0.0.1" or "::1"; never from X-Forwarded-For unless it is trusted. */
const char *sp_exchange_peer(const struct sp_exchange *ex);
/* "http://host:port" as the client sees us: X-Forwarded-* of a trusted peer, public_url, or Host.
 */
const char *sp_exchange_base_url(const struct sp_exchange *ex);
/* What the gate found out, for the handlers: a user (borrowed) or NULL, and the Space's id or 0. */
void sp_exchange_set_user(struct sp_exchange *ex, const void *user);
const void *sp_exchange_user(const struct sp_exchange *ex);
void sp_exchange_set_space(struct sp_exchange *ex, uint64_t space_id);
uint64_t sp_exchange_space(const struct sp_exchange *ex);

/*
 * SP_BODY_STREAM: `on_data` gets pieces (len 0 = end of the body) and returns false to refuse the
 * rest after it has answered. Reading stops while sp_exchange_pause_body is in force: that is
 * back-pressure down to the client's socket. Nothing is called after the client has gone. Above
 * `max_bytes`, and when the framing is wrong or the client falls silent, the server answers (413,
 * 400, 408) and on_gone is called.
 */
void sp_exchange_read_body(struct sp_exchange *ex, uint64_t max_bytes,
                           bool (*on_data)(struct sp_exchange *ex, void *arg,
                                           struct sp_slice piece),
                           void *arg);
void sp_exchange_pause_body(struct sp_exchange *ex, bool paused);

/* Called once when the client leaves before the answer is complete; then `ex` is invalid. */
void sp_exchange_on_gone(struct sp_exchange *ex, void (*gone)(void *arg), void *arg);

/* --- answering: exactly one of these ------------------------------------------------------------
 */

/* Extra headers for the coming answer; name and value are copied. */
void sp_reply_header(struct sp_exchange *ex, const char *name, const char *value);

void sp_reply(struct sp_exchange *ex, int status, const char *content_type, struct sp_slice body);
/* The bytes live as long as the program (embedded assets): not copied. */
void sp_reply_static(struct sp_exchange *ex, int status, const char *content_type,
                     struct sp_slice body);
void sp_reply_empty(struct sp_exchange *ex, int status);
void sp_reply_json(struct sp_exchange *ex, int status, json_t *consumed_body);
/* {"error": msg, "kind": ...} with the status of its kind. */
void sp_reply_error(struct sp_exchange *ex, const struct sp_error *err);
/* As sp_reply_error with a status and a sentence of its own. */
void sp_reply_problem(struct sp_exchange *ex, int status, const char *kind, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));
/* A regular file with Range, ETag and HEAD; takes the descriptor. Read in pieces by libuv's pool.
 */
void sp_reply_file(struct sp_exchange *ex, const char *content_type, int take_fd);

/*
 * A stream (SSE): head now, body in pieces, chunked. write returns false when the client is too
 * slow: more than limit.stream_buffer bytes wait; the caller closes or drops. The piece is copied
 * only as far as the kernel does not take it at once.
 */
void sp_stream_start(struct sp_exchange *ex, int status, const char *content_type);
bool sp_stream_write(struct sp_exchange *ex, struct sp_slice piece);
size_t sp_stream_pending(const struct sp_exchange *ex); /* bytes that wait */
/* Called each time the pending bytes fall to 0 after a write had to wait. */
void sp_stream_on_drain(struct sp_exchange *ex, void (*drain)(void *arg), void *arg);
void sp_stream_end(struct sp_exchange *ex);
/*
 * The bytes of the end, ahead of sp_stream_end, so that they leave together with the last piece.
 * Nothing may be written after it.
 */
void sp_stream_put_end(struct sp_exchange *ex);
/* Resets the connection: for an answer that cannot be completed honestly. */
void sp_exchange_abort(struct sp_exchange *ex);

/* --- WebSocket ----------------------------------------------------------------------------------
 */

struct sp_ws_callbacks {
    void (*message)(void *arg, struct sp_ws_conn *ws, struct sp_slice text);
    void (*drain)(void *arg, struct sp_ws_conn *ws);
    /* Once, last; `ws` is invalid after it. `code` is the peer's close code or 1006. */
    void (*closed)(void *arg, int code);
};

/*
 * Checks the upgrade and answers 101 (or an error, returning NULL). The exchange is over. Pings
 * every 30 s and answers pings by itself. Text only; a binary message closes with 1003.
 */
struct sp_ws_conn *sp_ws_accept(struct sp_exchange *ex, size_t max_message,
                                const struct sp_ws_callbacks *callbacks, void *arg);
/* False when over limit.stream_buffer bytes wait; the caller closes with 1013 or drops. */
bool sp_ws_send(struct sp_ws_conn *ws, struct sp_slice text);
size_t sp_ws_pending(const struct sp_ws_conn *ws);
/* Sends the close frame and ends; `closed` still comes. */
void sp_ws_close(struct sp_ws_conn *ws, int code, const char *reason);

#endif
