/*
 * runtime/server/server-internal.h - what the files of the HTTP server share: server.c, listen.c,
 * conn.c, output.c, request.c, exchange.c, reply.c, stream.c, filereply.c, wsconn.c, router.c,
 * peer.c.
 *
 * Life of a connection: HEAD -> (BODY) -> BUSY -> HEAD ..., or -> STREAM, or -> WS; at the end
 * FLUSH and LINGER. A connection that waits for something owns no buffer: input lies in the loop's
 * one read buffer, output in the server's gather buffer, until somebody has to wait for the rest.
 *
 * Nothing is freed and no callback of a handler is called from inside a handler's own call: what
 * must follow goes through the ready list, which runs right before and right after the loop polls.
 */
#ifndef SP_RUNTIME_SERVER_SERVER_INTERNAL_H
#define SP_RUNTIME_SERVER_SERVER_INTERNAL_H

#include "base/buf.h"
#include "base/list.h"
#include "base/map.h"
#include "runtime/server/address.h"
#include "runtime/server/server.h"
#include "runtime/server/wheel.h"
#include "ui-protocol/ws.h"

#define SP_READ_BUFFER  ((size_t)64 * 1024)
#define SP_GATHER_MAX   ((size_t)64 * 1024)   /* output above this is flushed at once */
#define SP_INLINE_BODY  ((size_t)16 * 1024)   /* bodies up to this are copied behind their head */
#define SP_DROP_BODY    ((uint64_t)64 * 1024) /* SP_BODY_NONE reads and drops this much */
#define SP_PIPELINE_MAX ((size_t)16 * 1024)   /* read ahead while a request waits for its answer */
#define SP_TURN_STEPS   64                    /* requests or messages of one connection per turn */
#define SP_LINGER_MS    5000 /* how long a client may still send after our last byte */
#define SP_LINGER_BYTES ((size_t)64 * 1024 * 1024)

/* --- how many connections an address holds (peer.c) -------------------------------------- */

struct sp_server;

/* One address (IPv4) or one /64 (IPv6). */
struct sp_peer {
    unsigned connections;
    uint8_t key[16];
};

/* The count of an address; made when it is new. Release it when no connection came of it. */
struct sp_peer *sp_peer_get(struct sp_server *server, const struct sp_address *address);
void sp_peer_release(struct sp_server *server, struct sp_peer *peer);

/* --- routes (router.c) -------------------------------------------------------------------- */

struct sp_router;

enum sp_route_result { SP_ROUTE_FOUND, SP_ROUTE_NOT_FOUND, SP_ROUTE_BAD_PATH, SP_ROUTE_METHOD };

struct sp_route_match {
    const struct sp_route *route;
    char *params;   /* the values one after another, each terminated; NULL when there are none */
    char allow[80]; /* for SP_ROUTE_METHOD */
};

struct sp_router *sp_router_new(const struct sp_route *routes);
void sp_router_free(struct sp_router *router);
enum sp_route_result sp_router_find(const struct sp_router *router,
                                    const struct sp_http_request *req, struct sp_route_match *ret);
/* The value of `name` among `params`; "" when the pattern has no such name. */
const char *sp_route_param(const struct sp_route *route, const char *params, const char *name);

/* --- the server --------------------------------------------------------------------------- */

struct sp_limits {
    uint64_t connections, per_address, head, request_body, body_memory, stream_buffer,
        stream_memory;
    uint64_t head_ms, body_ms, keep_alive_ms, write_ms, ping_ms;
};

struct sp_conn;

struct sp_server {
    uv_loop_t *loop;
    struct sp_server_options options;
    struct sp_limits limits;
    struct sp_router *router;
    struct sp_network *trusted;
    size_t n_trusted;
    char request_id_prefix[9];

    struct sp_conn **slots; /* by the low bits of an exchange's id */
    uint32_t *free_slots;
    uint32_t n_slots, n_free;
    uint64_t exchanges; /* ever */
    struct sp_map peers;

    struct sp_wheel wheel;
    uv_prepare_t prepare; /* both run the ready list and flush */
    uv_check_t check;
    uv_idle_t idle; /* active while the ready list is not empty: the poll must not sleep */
    uv_timer_t grace;
    struct sp_list listeners;
    struct sp_list ready;
    unsigned open_handles; /* of the server itself and its listeners */

    struct sp_buf gather; /* output of gather_conn that has not been offered to the kernel */
    struct sp_conn *gather_conn;
    struct sp_http_request parsed; /* the head that is being handled */
    char read_buffer[SP_READ_BUFFER];

    uint64_t body_bytes;     /* held by input: bodies, WebSocket messages, heads that are kept */
    uint64_t buffered_bytes; /* wait for slow readers */
    struct sp_server_stats stats;

    bool stopping;
    bool closing; /* the last connection is gone, our own handles are going */
    void (*on_stopped)(void *arg);
    void *stop_arg;
};

/* One more handle of the server's own; the last close of all may end sp_server_stop. */
void sp_server_own_handle(struct sp_server *server);
void sp_server_on_handle_closed(struct sp_server *server);
void sp_server_check_stopped(struct sp_server *server);

/* listen.c: */
void sp_listeners_close(struct sp_server *server);

/* --- a connection (conn.c, output.c) ------------------------------------------------------ */

enum sp_conn_state {
    SP_CONN_HEAD,   /* between requests, or inside of a head */
    SP_CONN_BODY,   /* a body is coming in */
    SP_CONN_BUSY,   /* the request is whole, the answer is not */
    SP_CONN_STREAM, /* the answer is a stream; what the client sends is dropped */
    SP_CONN_WS,
    SP_CONN_FLUSH,   /* the last bytes go out */
    SP_CONN_LINGER,  /* our side is shut; the client gets time to read before we close */
    SP_CONN_CLOSING, /* uv_close has been called */
};

/* Exists while the kernel has not taken everything. */
struct sp_write {
    uv_write_t req;
    struct sp_conn *conn;
    struct sp_buf sending; /* given to libuv */
    struct sp_buf next;    /* what came meanwhile */
    struct sp_slice fixed; /* sent behind `sending`; lives as long as the program */
    size_t counted;        /* in server->buffered_bytes */
    size_t seen_queue;     /* bytes that waited when the stall timer was set */
    bool progressed;       /* a write ended since then */
};

struct sp_conn {
    uv_tcp_t tcp;
    struct sp_server *server;
    struct sp_exchange *ex;
    struct sp_ws_conn *ws;
    struct sp_wheel_entry timer;
    struct sp_list ready;
    struct sp_peer *peer;
    struct sp_write *write; /* NULL: nothing waits */
    char *in;               /* input that could not be used yet */
    uint32_t in_len;
    uint32_t in_cap;
    uint32_t head_seen; /* bytes of `in` known to hold no end of a head; input dropped in LINGER */
    uint32_t slot;
    struct sp_address address;
    uint8_t state; /* enum sp_conn_state */
    bool reading : 1;
    bool broken : 1;     /* a write failed; the end follows from the ready list */
    bool processing : 1; /* sp_conn_process is on the stack */
    bool linger : 1;     /* the client may still be sending when we close */
    bool eof : 1;
    bool more : 1;    /* its share of this turn is used up; `in` holds what could go on */
    bool in_head : 1; /* the timer runs for a head that has begun */
};

/* Takes a connected descriptor; counts it and starts to read. */
void sp_conn_start(struct sp_server *server, int take_fd, const struct sp_address *address,
                   struct sp_peer *peer);
/* The client is gone, or is told nothing more: on_gone is called, then it closes. */
void sp_conn_gone(struct sp_conn *conn);
/* Closes without telling the handler. Harmless twice. */
void sp_conn_close(struct sp_conn *conn);
void sp_conn_reset(struct sp_conn *conn);
/* After everything has been sent: close, or linger. */
void sp_conn_finish(struct sp_conn *conn);
/* Nothing waits any more. */
void sp_conn_drained(struct sp_conn *conn);
/* Look at it again from the ready list: left-over input, a failed write. */
void sp_conn_wake(struct sp_conn *conn);
void sp_conn_run_ready(struct sp_server *server);
/* Sets the one timer to what the state asks for. */
void sp_conn_arm(struct sp_conn *conn);
void sp_conn_on_timer(struct sp_wheel_entry *entry);
/* Closes the connection that has been silent between two requests for longest; false: there is
 * none. */
bool sp_conn_evict(struct sp_server *server);

/* output.c: the buffer to append to, and a call after the appending. */
struct sp_buf *sp_conn_out(struct sp_conn *conn);
void sp_conn_out_done(struct sp_conn *conn);
/* Appends a big piece with as little copying as the kernel allows; `fixed` pieces are never copied.
 */
void sp_conn_out_piece(struct sp_conn *conn, struct sp_slice piece, bool fixed);
/* Bytes that have not reached the kernel. */
size_t sp_conn_pending(const struct sp_conn *conn);
/* Offers the gathered bytes to the kernel. */
void sp_server_flush(struct sp_server *server);
void sp_conn_drop_output(struct sp_conn *conn);
/* When libuv has closed the handle. */
void sp_conn_free_output(struct sp_conn *conn);
/* False when the connection has not sent a byte since the last call. */
bool sp_conn_write_progressed(struct sp_conn *conn);

/* --- a request (request.c, exchange.c) ---------------------------------------------------- */

/* What is known of the request; released when a stream begins. */
struct sp_request_state {
    const struct sp_http_request *head; /* NULL once it is gone */
    struct sp_http_request *kept;       /* our own copy with its bytes, cut after the last header */
    struct sp_http_body_decoder decoder;
    struct sp_buf body; /* collected; its capacity is counted in server->body_bytes */
    struct sp_slice body_view;
    uint64_t body_counted;
    uint64_t head_counted; /* of `kept`, in server->body_bytes as well */
    uint64_t body_limit;
    uint64_t body_seen;
    bool (*on_data)(struct sp_exchange *ex, void *arg, struct sp_slice piece);
    void *on_data_arg;
    struct sp_buf extra; /* headers of the coming answer */
    char *base_url;
};

struct sp_exchange {
    struct sp_conn *conn;
    uint64_t id;
    const struct sp_route *route;
    struct sp_request_state *req;
    char *params;
    char *peer; /* NULL until asked for */
    const void *user;
    uint64_t space;
    void (*gone)(void *arg);
    void *gone_arg;
    void (*drain)(void *arg);
    void *drain_arg;
    struct sp_file_reply *file;
    bool in_handler : 1;
    bool keep : 1; /* sp_exchange_keep was called */
    bool keep_alive : 1;
    bool http10 : 1;
    bool head_only : 1; /* HEAD */
    bool body_complete : 1;
    bool body_paused : 1;
    bool answered : 1; /* a head has been written */
    bool ended : 1;    /* the answer is complete; freed when the handler returns */
    bool chunked : 1;
    bool end_put : 1;     /* the last chunk has been written; sp_exchange_end is still to come */
    bool own_nosniff : 1; /* the handler has set X-Content-Type-Options itself */
};

/* Calls into a handler stand between these: the exchange is not freed in between. */
static inline void sp_exchange_enter(struct sp_exchange *ex)
{
    ex->in_handler = true;
}
/* False when the exchange is over (and freed). */
bool sp_exchange_leave(struct sp_exchange *ex);

/* One step on `data`; returns how much it used, 0 when it needs more or must wait. */
size_t sp_request_head(struct sp_conn *conn, const char *data, size_t len);
size_t sp_request_body(struct sp_conn *conn, const char *data, size_t len);
/* An empty body has no bytes that would bring its end. */
void sp_request_poke(struct sp_conn *conn);
/* Answers a request that cannot be read any further, and closes. */
void sp_request_refuse(struct sp_conn *conn, int status, const char *reason);

struct sp_exchange *sp_exchange_new(struct sp_conn *conn, const struct sp_http_request *head);
void sp_exchange_free(struct sp_exchange *ex);
/* Runs gate and handler. */
void sp_exchange_run(struct sp_exchange *ex);
/* The answer is complete: the connection goes on or ends. */
void sp_exchange_end(struct sp_exchange *ex);
/* Takes the exchange off its connection without a word (upgrade). */
void sp_exchange_detach(struct sp_exchange *ex);
void sp_exchange_release_request(struct sp_exchange *ex);
/* Counts `capacity` bytes for the body; false above limit.body_memory. */
bool sp_exchange_count_body(struct sp_exchange *ex, uint64_t capacity);
/* Copies the head out of the read buffer. */
void sp_exchange_keep_head(struct sp_exchange *ex);
/* Writes X-Request-Id. */
void sp_request_put_id(const struct sp_server *server, uint64_t id, struct sp_buf *out);
void sp_exchange_put_head(struct sp_exchange *ex, struct sp_buf *out, int status,
                          const char *content_type);

/* filereply.c */
void sp_file_reply_continue(struct sp_file_reply *file);
void sp_file_reply_detach(struct sp_file_reply *file);

/* wsconn.c */
size_t sp_ws_conn_input(struct sp_conn *conn, const char *data, size_t len);
void sp_ws_conn_drained(struct sp_conn *conn);
void sp_ws_conn_on_timer(struct sp_conn *conn);
/* Says 1001 and closes. */
void sp_ws_conn_stop(struct sp_conn *conn);
/* The connection is closed: calls `closed` and frees. */
void sp_ws_conn_end(struct sp_conn *conn);

#endif
