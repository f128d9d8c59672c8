/* A request coming in: its head, its body, and the moment when the handler gets it. */
#include "runtime/server/server-internal.h"

#include <stdio.h>

#include "base/error.h"
#include "base/mem.h"
#include "runtime/config.h"

/* --- refusals ----------------------------------------------------------------------------- */

static void put_refusal(struct sp_conn *conn, int status, const char *reason)
{
    struct sp_buf *out = sp_conn_out(conn);
    SP_AUTO_BUF struct sp_buf body;

    sp_buf_init(&body, 0);
    (void)sp_buf_append_str(&body, "{\"error\":");
    (void)sp_buf_append_json_string(&body, sp_slice_str(reason));
    (void)sp_buf_printf(&body, ",\"kind\":\"%s\"}", status == 503 ? "unavailable" : "invalid");
    sp_http_put_status(out, status);
    sp_http_put_header_str(out, "Content-Type", "application/json");
    sp_http_put_header_str(out, "X-Content-Type-Options", "nosniff");
    sp_request_put_id(conn->server, conn->server->exchanges << 20 | conn->slot, out);
    sp_http_end_length(out, status, body.len, false);
    (void)sp_buf_append_slice(out, sp_buf_slice(&body));
    sp_conn_out_done(conn);
}

void sp_request_refuse(struct sp_conn *conn, int status, const char *reason)
{
    struct sp_exchange *ex = conn->ex;
    void (*gone)(void *arg) = ex ? ex->gone : NULL;
    void *arg = ex ? ex->gone_arg : NULL;

    conn->server->stats.bad_requests++;
    if (ex && ex->answered) { /* too late for words */
        sp_conn_gone(conn);
        return;
    }
    if (ex)
        sp_exchange_detach(ex);
    else
        conn->server->exchanges++; /* for an id of its own */
    put_refusal(conn, status, reason);
    conn->linger = true;
    sp_conn_finish(conn);
    if (gone)
        gone(arg);
}

/* --- heads -------------------------------------------------------------------------------- */

/* A head that trickles in byte by byte is parsed again only when its end has come. */
static bool may_be_complete(const struct sp_conn *conn, const char *data, size_t len)
{
    size_t from = conn->head_seen > 3 ? conn->head_seen - 3 : 0;

    if (conn->head_seen == 0 || len < conn->head_seen || len >= conn->server->limits.head)
        return true;
    return memmem(data + from, len - from, "\r\n\r\n", 4) != NULL;
}

static uint64_t body_limit(const struct sp_server *server, const struct sp_route *route)
{
    if (route->body == SP_BODY_NONE)
        return SP_DROP_BODY;
    if (route->body_limit)
        return sp_config_size(server->options.config, route->body_limit);
    return server->limits.request_body;
}

/* The answer names the setting, for the operator that the visitor will ask. */
static void refuse_body(struct sp_exchange *ex)
{
    const char *setting = ex->route->body_limit ? ex->route->body_limit : "limit.request_body";
    char reason[128] = "this request takes no body";

    if (ex->route->body != SP_BODY_NONE)
        (void)snprintf(reason, sizeof(reason), "the request's body is too large (%s)", setting);
    sp_request_refuse(ex->conn, 413, reason);
}

static void answer_no_route(struct sp_exchange *ex, enum sp_route_result result, const char *allow)
{
    switch (result) {
    case SP_ROUTE_METHOD:
        sp_reply_header(ex, "Allow", allow);
        sp_reply_problem(ex, 405, "invalid", "this path takes %s", allow);
        break;
    case SP_ROUTE_BAD_PATH: sp_reply_problem(ex, 400, "invalid", "the path is not valid"); break;
    default: sp_reply_problem(ex, 404, "not_found", "there is nothing at this path");
    }
}

static void send_continue(struct sp_conn *conn)
{
    (void)sp_buf_append_str(sp_conn_out(conn), "HTTP/1.1 100 Continue\r\n\r\n");
    sp_conn_out_done(conn);
}

/* The body lies whole behind its head: used where it is. */
static bool body_is_here(const struct sp_http_request *head, size_t rest)
{
    return head->body == SP_HTTP_BODY_LENGTH && head->content_length <= rest;
}

/* The body will be collected (or dropped) before the handler runs. */
static void expect_body(struct sp_exchange *ex, size_t rest)
{
    sp_http_body_init(&ex->req->decoder, ex->req->head);
    sp_buf_init(&ex->req->body, 0);
    sp_exchange_keep_head(ex);
    ex->conn->state = SP_CONN_BODY;
    if (ex->req->head->expect_continue && rest == 0)
        send_continue(ex->conn);
}

/* Returns how many bytes behind the head have been used as its body. */
static size_t begin(struct sp_exchange *ex, const char *behind, size_t rest)
{
    const struct sp_http_request *head = ex->req->head;

    ex->req->body_limit = body_limit(ex->conn->server, ex->route);
    if (head->body == SP_HTTP_BODY_NONE) {
        ex->body_complete = true;
    } else if (ex->route->body == SP_BODY_STREAM) {
        sp_http_body_init(&ex->req->decoder, head);
        ex->conn->state = SP_CONN_BODY;
        sp_exchange_run(ex);
        return 0;
    } else if (head->body == SP_HTTP_BODY_LENGTH && head->content_length > ex->req->body_limit) {
        refuse_body(ex);
        return rest;
    } else if (body_is_here(head, rest)) {
        rest = (size_t)head->content_length;
        if (ex->route->body == SP_BODY_WHOLE)
            ex->req->body_view = sp_slice(behind, rest);
        ex->body_complete = true;
        sp_exchange_run(ex);
        return rest;
    } else {
        expect_body(ex, rest);
        return 0;
    }
    sp_exchange_run(ex);
    return 0;
}

static size_t on_head(struct sp_conn *conn, const char *behind, size_t rest)
{
    struct sp_server *server = conn->server;
    struct sp_exchange *ex = sp_exchange_new(conn, &server->parsed);
    struct sp_route_match match = {0};
    enum sp_route_result result = sp_router_find(server->router, &server->parsed, &match);

    server->stats.requests++;
    conn->state = SP_CONN_BUSY;
    if (result != SP_ROUTE_FOUND) {
        ex->body_complete = server->parsed.body == SP_HTTP_BODY_NONE;
        answer_no_route(ex, result, match.allow);
        return 0;
    }
    ex->route = match.route;
    ex->params = match.params;
    return begin(ex, behind, rest);
}

size_t sp_request_head(struct sp_conn *conn, const char *data, size_t len)
{
    struct sp_server *server = conn->server;
    struct sp_http_fail fail = {0};
    long n = 0;

    if (may_be_complete(conn, data, len))
        n = sp_http_parse_request(data, len, &server->parsed, &fail);
    if (n < 0) {
        sp_request_refuse(conn, fail.status, fail.reason);
        return len;
    }
    if ((size_t)n > server->limits.head || (n == 0 && len >= server->limits.head)) {
        sp_request_refuse(conn, 431, "the request's head is too large (limit.head)");
        return len;
    }
    conn->head_seen = n == 0 ? (uint32_t)len : 0;
    if (n == 0)
        return 0;
    return (size_t)n + on_head(conn, data + n, len - (size_t)n);
}

/* --- bodies ------------------------------------------------------------------------------- */

bool sp_exchange_count_body(struct sp_exchange *ex, uint64_t capacity)
{
    struct sp_server *server = ex->conn->server;
    struct sp_request_state *req = ex->req;

    if (capacity > req->body_counted &&
        server->body_bytes + (capacity - req->body_counted) > server->limits.body_memory)
        return false;
    server->body_bytes += capacity - req->body_counted;
    req->body_counted = capacity;
    return true;
}

/* The buffer grows with what has come, not with what the client has announced. */
static bool collect(struct sp_exchange *ex, struct sp_slice piece)
{
    struct sp_request_state *req = ex->req;
    uint64_t need = req->body.len + piece.len;

    if (ex->route->body == SP_BODY_NONE)
        return true;
    if (need > req->body.cap) {
        uint64_t cap = need * 2 < req->body_limit ? need * 2 : req->body_limit;

        if (!sp_exchange_count_body(ex, cap)) {
            sp_request_refuse(ex->conn, 503, "too many request bodies at once (limit.body_memory)");
            return false;
        }
        req->body.data = sp_realloc(req->body.data, cap, 1);
        req->body.cap = cap;
    }
    memcpy(req->body.data + req->body.len, piece.ptr, piece.len);
    req->body.len += piece.len;
    return true;
}

static bool hand_over(struct sp_exchange *ex, struct sp_slice piece)
{
    struct sp_request_state *req = ex->req;
    bool wanted;

    sp_exchange_enter(ex);
    wanted = req->on_data(ex, req->on_data_arg, piece);
    if (!wanted && !ex->answered && !ex->ended)
        sp_conn_reset(ex->conn); /* refused without an answer */
    return sp_exchange_leave(ex);
}

/* False when the exchange is over. */
static bool take_piece(struct sp_exchange *ex, struct sp_slice piece)
{
    ex->req->body_seen += piece.len;
    if (ex->req->body_seen > ex->req->body_limit) {
        refuse_body(ex);
        return false;
    }
    return ex->route->body == SP_BODY_STREAM ? hand_over(ex, piece) : collect(ex, piece);
}

static void body_done(struct sp_exchange *ex)
{
    ex->body_complete = true;
    ex->conn->state = SP_CONN_BUSY;
    if (ex->route->body == SP_BODY_STREAM) {
        (void)hand_over(ex, (struct sp_slice){0});
        return;
    }
    ex->req->body_view = sp_buf_slice(&ex->req->body);
    sp_exchange_run(ex);
}

static bool waits_for_reader(const struct sp_exchange *ex)
{
    return ex->body_paused || (ex->route->body == SP_BODY_STREAM && !ex->req->on_data);
}

size_t sp_request_body(struct sp_conn *conn, const char *data, size_t len)
{
    struct sp_exchange *ex = conn->ex;
    struct sp_http_fail fail = {0};
    struct sp_slice piece = {0};
    size_t used = 0;
    int r;

    if (ex->answered)
        return len; /* answered before its end (a file is on its way): the rest is dropped */
    if (waits_for_reader(ex))
        return 0;
    r = sp_http_body_feed(&ex->req->decoder, data, len, &used, &piece, &fail);
    if (r < 0) {
        sp_request_refuse(conn, fail.status ? fail.status : 400, fail.reason);
        return len;
    }
    if (piece.len && !take_piece(ex, piece))
        return used;
    if (r > 0 && conn->state == SP_CONN_BODY && !ex->answered)
        body_done(ex);
    return used;
}

void sp_request_poke(struct sp_conn *conn)
{
    struct sp_exchange *ex = conn->ex;

    if (ex->answered || waits_for_reader(ex))
        return;
    if (ex->req->decoder.kind == SP_HTTP_BODY_LENGTH && ex->req->decoder.left == 0)
        body_done(ex);
}
