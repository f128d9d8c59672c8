/* What the daemon says to a worker (worker_msg.h): structs to lines. */
#include "ui-protocol/worker_msg.h"

#include "base/buf.h"
#include "base/mem.h"
#include "ui-protocol/http1.h"

#define QUERY_MAX 64 /* parameters handed on */

static void put(struct sp_buf *out, const char *text)
{
    (void)sp_buf_append_str(out, text);
}

static void put_string(struct sp_buf *out, const char *key, const char *value)
{
    put(out, key);
    if (value)
        (void)sp_buf_append_json_string(out, sp_slice_str(value));
    else
        put(out, "null");
}

static void put_number(struct sp_buf *out, const char *key, uint64_t value)
{
    put(out, key);
    (void)sp_buf_append_u64(out, value);
}

static void put_raw(struct sp_buf *out, const char *key, struct sp_slice raw)
{
    put(out, key);
    (void)sp_buf_append_slice(out, raw.len ? raw : SP_SLICE("null"));
}

/* {"type":"TYPE","id":"...","attempt":N */
static void put_request_head(struct sp_buf *out, const char *type, const struct sp_id *id,
                             uint32_t attempt)
{
    char hex[SP_ID_HEX];

    sp_id_to_hex(id, hex);
    put_string(out, "{\"type\":", type);
    put_string(out, ",\"id\":", hex);
    put_number(out, ",\"attempt\":", attempt);
}

void sp_worker_put_hello(struct sp_buf *out, const struct sp_worker_hello *hello)
{
    put_number(out, "{\"type\":\"hello\",\"version\":", SP_WORKER_PROTOCOL);
    put_string(out, ",\"features\":[],\"app_file\":", hello->app_file);
    put_string(out, ",\"space\":", hello->space);
    put_string(out, ",\"root\":", hello->root);
    put_number(out, ",\"threads\":", hello->threads);
    put(out, "}\n");
}

void sp_worker_put_call(struct sp_buf *out, const struct sp_worker_call *call)
{
    put_request_head(out, "call", call->id, call->attempt);
    put_number(out, ",\"fn\":", call->fn);
    put(out, ",\"session\":");
    (void)sp_buf_append_json_string(out, call->session);
    put_raw(out, ",\"data\":", call->data);
    put_raw(out, ",\"event_data\":", call->event_data);
    if (call->trigger < 0)
        put(out, ",\"trigger\":null");
    else
        put_number(out, ",\"trigger\":", (uint64_t)call->trigger);
    put_raw(out, ",\"request\":", call->request);
    put(out, "}\n");
}

void sp_worker_put_cancel(struct sp_buf *out, const struct sp_id *id, uint32_t attempt)
{
    put_request_head(out, "cancel", id, attempt);
    put(out, "}\n");
}

void sp_worker_put_session_end(struct sp_buf *out, struct sp_slice session)
{
    put(out, "{\"type\":\"session_end\",\"session\":");
    (void)sp_buf_append_json_string(out, session);
    put(out, "}\n");
}

void sp_worker_put_credit(struct sp_buf *out, const struct sp_id *id, uint32_t attempt, uint32_t n)
{
    put_request_head(out, "credit", id, attempt);
    put_number(out, ",\"n\":", n);
    put(out, "}\n");
}

void sp_worker_put_ping(struct sp_buf *out, uint64_t n)
{
    put_number(out, "{\"type\":\"ping\",\"n\":", n);
    put(out, "}\n");
}

void sp_worker_put_shutdown(struct sp_buf *out, uint64_t grace_ms)
{
    put_number(out, "{\"type\":\"shutdown\",\"grace_ms\":", grace_ms);
    put(out, "}\n");
}

/* --- the request object ----------------------------------------------------------------------- */

/* The hub's own secrets, and what concerns only the connection to the hub. */
static bool is_hidden(struct sp_slice name)
{
    static const char *const hidden[] = {
        "cookie",
        "authorization",
        "proxy-authorization",
        "x-hf-authorization",
        "connection",
        "keep-alive",
        "proxy-connection",
        "te",
        "transfer-encoding",
        "upgrade",
        "trailer",
        "content-length",
    };

    for (size_t i = 0; i < SP_LEN(hidden); i++)
        if (sp_slice_eq_nocase(name, hidden[i]))
            return true;
    return false;
}

/* The header as it stands first: a repeated one would be a repeated key. */
static bool is_first(const struct sp_http_request *req, size_t i)
{
    for (size_t j = 0; j < i; j++)
        if (req->headers[j].name.len == req->headers[i].name.len &&
            strncasecmp(req->headers[j].name.ptr, req->headers[i].name.ptr,
                        req->headers[i].name.len) == 0)
            return false;
    return true;
}

static void put_headers(struct sp_buf *out, const struct sp_http_request *req)
{
    const char *comma = "";

    for (size_t i = 0; i < req->n_headers; i++) {
        struct sp_slice name = req->headers[i].name;

        if (is_hidden(name) || !is_first(req, i))
            continue;
        put(out, comma);
        comma = ",";
        (void)sp_buf_append_char(out, '"');
        for (size_t j = 0; j < name.len; j++) /* a token: needs no escapes */
            (void)sp_buf_append_char(out, (char)(name.ptr[j] >= 'A' && name.ptr[j] <= 'Z'
                                                     ? name.ptr[j] | 0x20
                                                     : name.ptr[j]));
        put(out, "\":");
        (void)sp_buf_append_json_string(out, req->headers[i].value);
    }
}

struct param {
    char name[128];
    char value[2048];
};

static bool read_param(struct sp_slice item, struct param *ret)
{
    struct sp_slice name;

    if (!sp_slice_split(&item, '=', &name) || name.len == 0)
        return false;
    return sp_http_form_decode(name, ret->name, sizeof(ret->name)) > 0 &&
           sp_http_form_decode(item, ret->value, sizeof(ret->value)) >= 0;
}

/* What cannot be decoded, is too long, or comes after the 64th is left out. */
static void put_query(struct sp_buf *out, struct sp_slice query)
{
    char seen[QUERY_MAX][sizeof(((struct param *)0)->name)];
    struct sp_slice item;
    struct param param;
    size_t n = 0;

    while (n < QUERY_MAX && sp_slice_split(&query, '&', &item)) {
        bool repeated = false;

        if (!read_param(item, &param))
            continue;
        for (size_t i = 0; i < n; i++)
            repeated |= strcmp(seen[i], param.name) == 0;
        if (repeated)
            continue;
        put(out, n ? "," : "");
        memcpy(seen[n++], param.name, sizeof(param.name));
        (void)sp_buf_append_json_string(out, sp_slice_str(param.name));
        (void)sp_buf_append_char(out, ':');
        (void)sp_buf_append_json_string(out, sp_slice_str(param.value));
    }
}

void sp_worker_put_request(struct sp_buf *out, const struct sp_http_request *req, const char *peer,
                           const char *base_url, const char *username)
{
    put(out, "{\"headers\":{");
    put_headers(out, req);
    put(out, "},\"query\":{");
    put_query(out, req->query);
    put_string(out, "},\"client\":{\"host\":", peer);
    put_string(out, "},\"base\":", base_url);
    put_string(out, ",\"username\":", username);
    put(out, "}");
}
