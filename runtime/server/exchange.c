/* An exchange: one request and its answer, seen from the handlers. */
#include "runtime/server/server-internal.h"

#include <assert.h>

#include "base/mem.h"
#include "runtime/config.h"

#define SLOT_BITS 20

/* --- life --------------------------------------------------------------------------------- */

struct sp_exchange *sp_exchange_new(struct sp_conn *conn, const struct sp_http_request *head)
{
    struct sp_server *server = conn->server;
    struct sp_exchange *ex = sp_new0(struct sp_exchange);

    ex->conn = conn;
    ex->id = ++server->exchanges << SLOT_BITS | conn->slot;
    ex->req = sp_new0(struct sp_request_state);
    ex->req->head = head;
    ex->keep_alive = head->keep_alive && !server->stopping;
    ex->http10 = head->minor == 0;
    ex->head_only = head->method == SP_HTTP_HEAD;
    conn->ex = ex;
    return ex;
}

void sp_exchange_release_request(struct sp_exchange *ex)
{
    struct sp_request_state *req = ex->req;

    if (!req)
        return;
    if (ex->conn->server->n_trusted)
        (void)sp_exchange_peer(ex); /* known only from the head that goes now */
    ex->conn->server->body_bytes -= req->body_counted + req->head_counted;
    sp_buf_done(&req->body);
    sp_buf_done(&req->extra);
    free(req->kept);
    free(req->base_url);
    free(req);
    ex->req = NULL;
}

void sp_exchange_free(struct sp_exchange *ex)
{
    sp_exchange_release_request(ex);
    free(ex->params);
    free(ex->peer);
    free(ex);
}

void sp_exchange_detach(struct sp_exchange *ex)
{
    struct sp_conn *conn = ex->conn;

    if (ex->file)
        sp_file_reply_detach(ex->file);
    if (conn->state == SP_CONN_STREAM)
        conn->server->stats.streams--;
    conn->ex = NULL;
    ex->gone = NULL;
    ex->ended = true;
    if (!ex->in_handler)
        sp_exchange_free(ex);
}

void sp_exchange_end(struct sp_exchange *ex)
{
    struct sp_conn *conn = ex->conn;
    bool keep = ex->keep_alive && ex->body_complete && !conn->server->stopping;

    if (!ex->body_complete)
        conn->linger = true;
    sp_exchange_detach(ex);
    if (!keep) {
        sp_conn_finish(conn);
        return;
    }
    conn->state = SP_CONN_HEAD;
    if (!conn->processing)
        sp_conn_wake(conn); /* the next request may have come already */
}

bool sp_exchange_leave(struct sp_exchange *ex)
{
    ex->in_handler = false;
    if (ex->ended) {
        sp_exchange_free(ex);
        return false;
    }
    return true;
}

/* The head lies in a buffer that is used again: it goes unless somebody has asked to keep it. */
static void forget_head(struct sp_exchange *ex)
{
    if (!ex->req)
        return;
    if (!ex->keep && ex->conn->state == SP_CONN_STREAM) {
        sp_exchange_release_request(ex);
        return;
    }
    if (!ex->req->kept)
        ex->req->head = NULL;
    if (!ex->req->body.data)
        ex->req->body_view = (struct sp_slice){0};
}

void sp_exchange_run(struct sp_exchange *ex)
{
    struct sp_server *server = ex->conn->server;

    sp_exchange_enter(ex);
    if (!server->options.gate || server->options.gate(ex))
        ex->route->handler(ex);
    if (sp_exchange_leave(ex))
        forget_head(ex);
}

/* --- the request -------------------------------------------------------------------------- */

static void rebase(struct sp_slice *s, const char *old, size_t len, char *copy)
{
    if (s->ptr && s->ptr >= old && s->ptr <= old + len)
        s->ptr = copy + (s->ptr - old);
}

/* All of a head's pieces lie between the method's name and the end of the last header. */
static void head_range(const struct sp_http_request *head, const char **ret, size_t *ret_len)
{
    const char *begin = head->method_name.ptr;
    const char *end = head->target.ptr + head->target.len;

    for (size_t i = 0; i < head->n_headers; i++) {
        const struct sp_slice *value = &head->headers[i].value;
        const struct sp_slice *name = &head->headers[i].name;

        if (name->ptr + name->len > end)
            end = name->ptr + name->len;
        if (value->ptr && value->ptr + value->len > end)
            end = value->ptr + value->len;
    }
    *ret = begin;
    *ret_len = (size_t)(end - begin);
}

void sp_exchange_keep_head(struct sp_exchange *ex)
{
    const struct sp_http_request *head = ex->req->head;
    struct sp_http_request *kept;
    size_t fields;
    size_t len;
    const char *old;
    char *copy;

    if (!head || ex->req->kept)
        return;
    /* Cut behind the last header in use: the whole array would be 4 kB for each that waits. */
    fields =
        offsetof(struct sp_http_request, headers) + head->n_headers * sizeof(struct sp_http_header);
    head_range(head, &old, &len);
    kept = sp_realloc(NULL, fields + len, 1);
    ex->req->head_counted = fields + len;
    ex->conn->server->body_bytes += fields + len;
    copy = (char *)kept + fields;
    memcpy(kept, head, fields);
    memcpy(copy, old, len);

    rebase(&kept->method_name, old, len, copy);
    rebase(&kept->target, old, len, copy);
    rebase(&kept->path, old, len, copy);
    rebase(&kept->query, old, len, copy);
    rebase(&kept->host, old, len, copy);
    for (size_t i = 0; i < kept->n_headers; i++) {
        rebase(&kept->headers[i].name, old, len, copy);
        rebase(&kept->headers[i].value, old, len, copy);
    }
    ex->req->kept = kept;
    ex->req->head = kept;
}

/* A body that lies in the read buffer moves into one of its own. */
static void keep_body(struct sp_exchange *ex)
{
    struct sp_request_state *req = ex->req;

    if (!req->body_view.len || req->body.data)
        return;
    (void)sp_buf_append_slice(&req->body, req->body_view);
    req->body_view = sp_buf_slice(&req->body);
    /* At most limit.request_body and one read buffer: counted, but no reason to refuse any more. */
    ex->conn->server->body_bytes += req->body.cap - req->body_counted;
    req->body_counted = req->body.cap;
}

void sp_exchange_keep(struct sp_exchange *ex)
{
    ex->keep = true;
    if (!ex->req)
        return;
    sp_exchange_keep_head(ex);
    keep_body(ex);
}

struct sp_slice sp_exchange_body(const struct sp_exchange *ex)
{
    return ex->req ? ex->req->body_view : (struct sp_slice){0};
}

char *sp_exchange_steal_body(struct sp_exchange *ex, size_t *ret_len)
{
    struct sp_request_state *req = ex->req;
    char *bytes;

    assert(req);
    if (req->body_view.len && !req->body.data)
        (void)sp_buf_append_slice(&req->body, req->body_view);
    ex->conn->server->body_bytes -= req->body_counted;
    req->body_counted = 0;
    req->body_view = (struct sp_slice){0};
    bytes = sp_buf_steal(&req->body, ret_len);
    return bytes;
}

const struct sp_http_request *sp_exchange_request(const struct sp_exchange *ex)
{
    return ex->req ? ex->req->head : NULL;
}

const char *sp_exchange_param(const struct sp_exchange *ex, const char *name)
{
    return ex->params ? sp_route_param(ex->route, ex->params, name) : "";
}

/* --- identity ----------------------------------------------------------------------------- */

uint64_t sp_exchange_id(const struct sp_exchange *ex)
{
    return ex->id;
}

struct sp_exchange *sp_exchange_find(struct sp_server *server, uint64_t id)
{
    uint32_t slot = (uint32_t)(id & ((1u << SLOT_BITS) - 1));
    struct sp_conn *conn = slot < server->n_slots ? server->slots[slot] : NULL;

    if (!conn || conn->broken || !conn->ex || conn->ex->id != id)
        return NULL;
    /* A file on its way has been answered: there is nothing left to say. */
    return conn->ex->answered && conn->state != SP_CONN_STREAM ? NULL : conn->ex;
}

struct sp_server *sp_exchange_server(const struct sp_exchange *ex)
{
    return ex->conn->server;
}

void *sp_exchange_app(const struct sp_exchange *ex)
{
    return ex->conn->server->options.app;
}

const struct sp_route *sp_exchange_route(const struct sp_exchange *ex)
{
    return ex->route;
}

void sp_exchange_set_user(struct sp_exchange *ex, const void *user)
{
    ex->user = user;
}

const void *sp_exchange_user(const struct sp_exchange *ex)
{
    return ex->user;
}

void sp_exchange_set_space(struct sp_exchange *ex, uint64_t space_id)
{
    ex->space = space_id;
}

uint64_t sp_exchange_space(const struct sp_exchange *ex)
{
    return ex->space;
}

/* --- where it comes from ------------------------------------------------------------------ */

static bool from_trusted(const struct sp_exchange *ex)
{
    const struct sp_server *server = ex->conn->server;

    return sp_networks_hold(server->trusted, server->n_trusted, &ex->conn->address);
}

/* Walks X-Forwarded-For from its end, which our own proxies wrote, to the first that is not ours.
 */
static bool forwarded_address(const struct sp_exchange *ex, struct sp_address *ret)
{
    const struct sp_server *server = ex->conn->server;
    struct sp_slice list = sp_http_header(ex->req->head, "X-Forwarded-For");
    bool found = false;

    while (list.len > 0) {
        const char *comma = memrchr(list.ptr, ',', list.len);
        const char *begin = comma ? comma + 1 : list.ptr;
        struct sp_slice piece = sp_slice(begin, (size_t)(list.ptr + list.len - begin));

        if (!sp_address_parse(sp_slice_trim(piece), ret))
            break;
        found = true;
        if (!sp_networks_hold(server->trusted, server->n_trusted, ret))
            break;
        list.len = comma ? (size_t)(comma - list.ptr) : 0;
    }
    return found;
}

const char *sp_exchange_peer(const struct sp_exchange *ex)
{
    struct sp_exchange *mine = (struct sp_exchange *)ex; /* a cached value */
    struct sp_address address = ex->conn->address;
    struct sp_address forwarded;
    char text[INET6_ADDRSTRLEN];

    if (ex->peer)
        return ex->peer;
    if (ex->req && ex->req->head && from_trusted(ex) && forwarded_address(ex, &forwarded))
        address = forwarded;
    sp_address_to_string(&address, text, sizeof(text));
    mine->peer = sp_strdup(text);
    return ex->peer;
}

/* What may stand in a Host: names, literals, a port. Everything else could break out of a URL. */
static bool is_host(struct sp_slice host)
{
    if (host.len == 0 || host.len > 255)
        return false;
    for (size_t i = 0; i < host.len; i++) {
        char c = host.ptr[i];

        if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
              (c && strchr(".-_:[]", c))))
            return false;
    }
    return true;
}

static char *make_base_url(const struct sp_exchange *ex)
{
    const struct sp_http_request *head = ex->req->head;
    const char *public_url = sp_config_str(ex->conn->server->options.config, "public_url");
    struct sp_slice host = head ? head->host : (struct sp_slice){0};
    struct sp_slice proto = {0};
    size_t len = strlen(public_url);

    if (head && from_trusted(ex)) {
        struct sp_slice forwarded = sp_http_header(head, "X-Forwarded-Host");

        proto = sp_http_header(head, "X-Forwarded-Proto");
        if (is_host(forwarded))
            host = forwarded;
    }
    if (!proto.ptr && len) {
        while (len && public_url[len - 1] == '/')
            len--;
        return sp_strndup(public_url, len);
    }
    if (!is_host(host))
        host = SP_SLICE("localhost");
    return sp_asprintf("%s://%.*s", sp_slice_eq_str(proto, "https") ? "https" : "http",
                       (int)host.len, host.ptr);
}

const char *sp_exchange_base_url(const struct sp_exchange *ex)
{
    if (!ex->req)
        return sp_config_str(ex->conn->server->options.config, "public_url");
    if (!ex->req->base_url)
        ex->req->base_url = make_base_url(ex);
    return ex->req->base_url;
}

/* --- bodies in pieces --------------------------------------------------------------------- */

void sp_exchange_read_body(struct sp_exchange *ex, uint64_t max_bytes,
                           bool (*on_data)(struct sp_exchange *ex, void *arg,
                                           struct sp_slice piece),
                           void *arg)
{
    struct sp_conn *conn = ex->conn;

    assert(ex->req && ex->route->body == SP_BODY_STREAM && !ex->req->on_data);
    ex->req->body_limit = max_bytes;
    ex->req->on_data = on_data;
    ex->req->on_data_arg = arg;
    if (ex->body_complete) { /* there is none: say so like any end */
        ex->req->decoder = (struct sp_http_body_decoder){.kind = SP_HTTP_BODY_LENGTH};
        ex->body_complete = false;
        conn->state = SP_CONN_BODY;
    } else if (ex->req->head && ex->req->head->expect_continue && conn->in_len == 0) {
        (void)sp_buf_append_str(sp_conn_out(conn), "HTTP/1.1 100 Continue\r\n\r\n");
        sp_conn_out_done(conn);
    }
    sp_conn_wake(conn);
}

void sp_exchange_pause_body(struct sp_exchange *ex, bool paused)
{
    ex->body_paused = paused;
    sp_conn_wake(ex->conn);
}

void sp_exchange_on_gone(struct sp_exchange *ex, void (*gone)(void *arg), void *arg)
{
    ex->gone = gone;
    ex->gone_arg = arg;
}
