/* Answers: exactly one for each exchange. */
#include "runtime/server/server-internal.h"

#include <assert.h>
#include <stdarg.h>

#include "base/error.h"
#include "base/json.h"
#include "base/mem.h"

void sp_reply_header(struct sp_exchange *ex, const char *name, const char *value)
{
    assert(ex->req && !ex->answered);
    if (sp_slice_eq_nocase(sp_slice_str(name), "x-content-type-options"))
        ex->own_nosniff = true;
    sp_http_put_header_str(&ex->req->extra, name, value);
}

/* "X-Request-Id: 5f3a9c1b-000000000012a": the start of this daemon and the exchange. */
void sp_request_put_id(const struct sp_server *server, uint64_t id, struct sp_buf *out)
{
    static const char digits[] = "0123456789abcdef";
    char text[8 + 1 + 16];

    memcpy(text, server->request_id_prefix, 8);
    text[8] = '-';
    for (int i = 15; i >= 0; i--) {
        text[9 + i] = digits[id & 15];
        id >>= 4;
    }
    sp_http_put_header(out, "X-Request-Id", sp_slice(text, sizeof(text)));
}

void sp_exchange_put_head(struct sp_exchange *ex, struct sp_buf *out, int status,
                          const char *content_type)
{
    assert(!ex->answered);
    ex->answered = true;
    /* A client that is still sending what nobody reads cannot be kept in step. */
    if (!ex->body_complete || ex->conn->server->stopping)
        ex->keep_alive = false;
    sp_http_put_status(out, status);
    sp_request_put_id(ex->conn->server, ex->id, out);
    if (content_type)
        sp_http_put_header_str(out, "Content-Type", content_type);
    if (!ex->own_nosniff)
        sp_http_put_header(out, "X-Content-Type-Options", SP_SLICE("nosniff"));
    if (ex->req)
        (void)sp_buf_append_slice(out, sp_buf_slice(&ex->req->extra));
}

static void reply(struct sp_exchange *ex, int status, const char *content_type,
                  struct sp_slice body, bool fixed)
{
    struct sp_conn *conn = ex->conn;
    struct sp_buf *out = sp_conn_out(conn);

    sp_exchange_put_head(ex, out, status, content_type);
    sp_http_end_length(out, status, body.len, ex->keep_alive);
    sp_conn_out_done(conn);
    if (!ex->head_only && body.len && status != 204 && status != 304)
        sp_conn_out_piece(conn, body, fixed);
    sp_exchange_end(ex);
}

void sp_reply(struct sp_exchange *ex, int status, const char *content_type, struct sp_slice body)
{
    reply(ex, status, content_type, body, false);
}

void sp_reply_static(struct sp_exchange *ex, int status, const char *content_type,
                     struct sp_slice body)
{
    reply(ex, status, content_type, body, true);
}

void sp_reply_empty(struct sp_exchange *ex, int status)
{
    reply(ex, status, NULL, (struct sp_slice){0}, false);
}

void sp_reply_json(struct sp_exchange *ex, int status, json_t *consumed_body)
{
    SP_AUTO_BUF struct sp_buf text;

    sp_buf_init(&text, 0);
    (void)sp_json_dump(consumed_body, &text);
    json_decref(consumed_body);
    reply(ex, status, "application/json", sp_buf_slice(&text), false);
}

static void reply_problem(struct sp_exchange *ex, int status, const char *kind, const char *msg)
{
    SP_AUTO_BUF struct sp_buf text;

    sp_buf_init(&text, 0);
    (void)sp_buf_append_str(&text, "{\"error\":");
    (void)sp_buf_append_json_string(&text, sp_slice_str(msg));
    (void)sp_buf_append_str(&text, ",\"kind\":");
    (void)sp_buf_append_json_string(&text, sp_slice_str(kind));
    (void)sp_buf_append_char(&text, '}');
    reply(ex, status, "application/json", sp_buf_slice(&text), false);
}

void sp_reply_error(struct sp_exchange *ex, const struct sp_error *err)
{
    reply_problem(ex, sp_err_kind_to_http(err->kind), sp_err_kind_to_string(err->kind), err->msg);
}

void sp_reply_problem(struct sp_exchange *ex, int status, const char *kind, const char *fmt, ...)
{
    char msg[1024];
    va_list args;

    va_start(args, fmt);
    (void)vsnprintf(msg, sizeof(msg), fmt, args);
    va_end(args);
    reply_problem(ex, status, kind, msg);
}

void sp_exchange_abort(struct sp_exchange *ex)
{
    sp_conn_reset(ex->conn);
}
