#include "ui-protocol/http1.h"

#include "base/mem.h"
#include "ui-protocol/http1-internal.h"

#define METHOD_MAX 32 /* longest registered: UPDATEREDIRECTREF, 17 */

struct parser {
    struct sp_http_cursor in;
    struct sp_http_request *req;
    bool has_host;
    bool has_length;
    bool has_encoding;
    bool encoding_is_chunked; /* and nothing else was said */
    bool says_close;
    bool says_keep_alive;
    bool says_upgrade;
    bool to_websocket;
};

static enum sp_http_step refuse(struct parser *p, int status, const char *reason)
{
    return sp_http_step_refuse(&p->in, status, reason);
}

/* --- the request line ------------------------------------------------------------------------- */

static enum sp_http_method method_of(struct sp_slice s)
{
    for (enum sp_http_method m = SP_HTTP_GET; m < SP_HTTP_OTHER; m++)
        if (sp_slice_eq_str(s, sp_http_method_to_string(m)))
            return m;
    return SP_HTTP_OTHER;
}

static enum sp_http_step parse_method(struct parser *p)
{
    const char *from = p->in.at;

    while (p->in.at < p->in.end && sp_http_is(*p->in.at, SP_HTTP_BYTE_TOKEN))
        if (++p->in.at - from > METHOD_MAX)
            return refuse(p, 501, "the method is too long");
    if (p->in.at == p->in.end)
        return SP_HTTP_STEP_MORE;
    if (*p->in.at != ' ' || p->in.at == from)
        return refuse(p, 400, "the request line does not begin with a method and a space");

    p->req->method_name = sp_slice(from, (size_t)(p->in.at++ - from));
    p->req->method = method_of(p->req->method_name);
    return SP_HTTP_STEP_OK;
}

static enum sp_http_step parse_target(struct parser *p)
{
    const char *from = p->in.at;
    const char *at = from;

    while (at < p->in.end && sp_http_is(*at, SP_HTTP_BYTE_TARGET))
        at++;
    if ((size_t)(at - from) > SP_HTTP_TARGET_MAX)
        return refuse(p, 414, "the request target is longer than 8 KiB");
    p->in.at = at;
    if (at == p->in.end)
        return SP_HTTP_STEP_MORE;
    if (*at != ' ' || at == from)
        return refuse(p, 400, "the request target holds a byte that must be percent-encoded");

    p->req->target = sp_slice(from, (size_t)(at - from));
    p->in.at++;
    return SP_HTTP_STEP_OK;
}

/* "HTTP/1.1" CRLF: ten bytes, looked at together. */
static enum sp_http_step parse_version(struct parser *p)
{
    const char *v = p->in.at;

    if (p->in.end - p->in.at < 10)
        return SP_HTTP_STEP_MORE;
    if (memcmp(v, "HTTP/", 5) != 0 || v[5] < '0' || v[5] > '9' || v[6] != '.' || v[7] < '0' ||
        v[7] > '9' || v[8] != '\r' || v[9] != '\n')
        return refuse(p, 400, "the request line does not end with a version and CR LF");
    if (v[5] != '1' || v[7] > '1')
        return refuse(p, 505, "only HTTP/1.0 and HTTP/1.1 are spoken here");
    p->req->minor = (unsigned)(v[7] - '0');
    p->in.at += 10;
    return SP_HTTP_STEP_OK;
}

/* --- host and target -------------------------------------------------------------------------- */

static bool is_hex_digit(char c)
{
    return (c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'f');
}

/* RFC 3986 3.2.2: a name, an IPv4 address, or an IPv6 address in brackets; then perhaps a port. */
static bool host_is_valid(struct sp_slice host)
{
    const char *at = host.ptr;
    const char *end = at + host.len;

    if (host.len && *at == '[') {
        while (++at < end && (is_hex_digit(*at) || *at == ':' || *at == '.'))
            ;
        if (at >= end || *at != ']' || at - host.ptr < 3)
            return false;
        at++;
    } else {
        while (at < end && sp_http_is(*at, SP_HTTP_BYTE_HOST))
            at++;
        if (at == host.ptr)
            return false;
    }
    if (at == end)
        return true;
    if (*at != ':' || end - at > 6)
        return false;
    while (++at < end && *at >= '0' && *at <= '9')
        ;
    return at == end;
}

static void split_path(struct sp_http_request *req, struct sp_slice rest)
{
    const char *mark = rest.len ? memchr(rest.ptr, '?', rest.len) : NULL;

    req->path = rest;
    req->query = (struct sp_slice){0};
    if (mark) {
        req->path.len = (size_t)(mark - rest.ptr);
        req->query = sp_slice(mark + 1, rest.len - req->path.len - 1);
    }
    if (req->path.len == 0)
        req->path = SP_SLICE("/"); /* "http://host" and "http://host?query" */
}

/* After scheme "://": authority, path, query. */
static enum sp_http_step split_absolute(struct parser *p, struct sp_slice rest)
{
    size_t n = 0;

    while (n < rest.len && rest.ptr[n] != '/' && rest.ptr[n] != '?')
        n++;
    p->req->host = sp_slice(rest.ptr, n);
    if (!host_is_valid(p->req->host))
        return refuse(p, 400, "the host in the request target is not valid");
    split_path(p->req, sp_slice(rest.ptr + n, rest.len - n));
    return SP_HTTP_STEP_OK;
}

static enum sp_http_step split_target(struct parser *p)
{
    struct sp_slice t = p->req->target;

    p->req->host = (struct sp_slice){0};
    if (t.ptr[0] == '/') {
        split_path(p->req, t);
        return SP_HTTP_STEP_OK;
    }
    if (sp_slice_eq_str(p->req->method_name, "CONNECT"))
        return refuse(p, 501, "CONNECT is not served");
    if (t.len == 1 && t.ptr[0] == '*' && p->req->method == SP_HTTP_OPTIONS) {
        p->req->path = t;
        p->req->query = (struct sp_slice){0};
        return SP_HTTP_STEP_OK;
    }
    if (t.len > 7 && sp_slice_eq_nocase(sp_slice(t.ptr, 7), "http://"))
        return split_absolute(p, sp_slice(t.ptr + 7, t.len - 7));
    if (t.len > 8 && sp_slice_eq_nocase(sp_slice(t.ptr, 8), "https://"))
        return split_absolute(p, sp_slice(t.ptr + 8, t.len - 8));
    return refuse(p, 400, "the request target is neither a path nor an http address");
}

/* --- headers that the framing depends on ------------------------------------------------------ */

static enum sp_http_step note_host(struct parser *p, struct sp_slice value)
{
    if (p->has_host)
        return refuse(p, 400, "the Host header is repeated");
    p->has_host = true;
    if (!host_is_valid(value))
        return refuse(p, 400, "the Host header is not a host name with an optional port");
    if (!p->req->host.ptr)
        p->req->host = value;
    return SP_HTTP_STEP_OK;
}

static enum sp_http_step note_length(struct parser *p, struct sp_slice value)
{
    if (p->has_length)
        return refuse(p, 400, "the Content-Length header is repeated");
    p->has_length = true;
    if (!sp_http_parse_length(value, &p->req->content_length))
        return refuse(p, 400, "the Content-Length header is not a number of at most 18 digits");
    return SP_HTTP_STEP_OK;
}

/* Refused at the end of the head: with a Content-Length it is another error. */
static enum sp_http_step note_encoding(struct parser *p, struct sp_slice value)
{
    p->encoding_is_chunked = !p->has_encoding && sp_slice_eq_nocase(value, "chunked");
    p->has_encoding = true;
    return SP_HTTP_STEP_OK;
}

static void note_connection(struct parser *p, struct sp_slice list)
{
    struct sp_slice item;

    while (sp_slice_split(&list, ',', &item)) {
        item = sp_slice_trim(item);
        p->says_close |= sp_slice_eq_nocase(item, "close");
        p->says_keep_alive |= sp_slice_eq_nocase(item, "keep-alive");
        p->says_upgrade |= sp_slice_eq_nocase(item, "upgrade");
    }
}

/* The length picks the candidate, so that most headers cost one comparison of a number. */
static enum sp_http_step note_header(struct parser *p, struct sp_slice name, struct sp_slice value)
{
    switch (name.len) {
    case 4: return sp_slice_eq_nocase(name, "host") ? note_host(p, value) : SP_HTTP_STEP_OK;
    case 14:
        return sp_slice_eq_nocase(name, "content-length") ? note_length(p, value) : SP_HTTP_STEP_OK;
    case 17:
        return sp_slice_eq_nocase(name, "transfer-encoding") ? note_encoding(p, value)
                                                             : SP_HTTP_STEP_OK;
    case 10:
        if (sp_slice_eq_nocase(name, "connection"))
            note_connection(p, value);
        return SP_HTTP_STEP_OK;
    case 6:
        if (sp_slice_eq_nocase(name, "expect"))
            p->req->expect_continue |= sp_slice_eq_nocase(value, "100-continue");
        return SP_HTTP_STEP_OK;
    case 7:
        if (sp_slice_eq_nocase(name, "upgrade"))
            p->to_websocket |= sp_http_list_has(value, "websocket");
        return SP_HTTP_STEP_OK;
    default: return SP_HTTP_STEP_OK;
    }
}

/* --- header lines ----------------------------------------------------------------------------- */

/* To behind the empty line. */
static enum sp_http_step parse_headers(struct parser *p)
{
    struct sp_http_request *req = p->req;

    for (;;) {
        struct sp_http_header line;
        enum sp_http_step step = sp_http_header_line(&p->in, &line);

        if (step != SP_HTTP_STEP_OK)
            return step == SP_HTTP_STEP_END ? SP_HTTP_STEP_OK : step;
        if (req->n_headers == SP_HTTP_HEADERS_MAX)
            return refuse(p, 431, "there are more than 128 header lines");
        req->headers[req->n_headers++] = line;
        if ((step = note_header(p, line.name, line.value)) != SP_HTTP_STEP_OK)
            return step;
    }
}

/* --- the head as a whole ---------------------------------------------------------------------- */

static enum sp_http_step finish(struct parser *p)
{
    struct sp_http_request *req = p->req;

    if (!p->has_host && req->minor == 1)
        return refuse(p, 400, "HTTP/1.1 without a Host header");
    if (p->has_length && p->has_encoding)
        return refuse(p, 400, "both Content-Length and Transfer-Encoding");
    if (p->has_encoding && (!p->encoding_is_chunked || req->minor == 0))
        return refuse(p, 501, "the only transfer coding is chunked, once, in HTTP/1.1");

    req->body = p->has_encoding                        ? SP_HTTP_BODY_CHUNKED
                : p->has_length && req->content_length ? SP_HTTP_BODY_LENGTH
                                                       : SP_HTTP_BODY_NONE;
    req->keep_alive = !p->says_close && (req->minor == 1 || p->says_keep_alive);
    req->expect_continue &= req->minor == 1; /* RFC 9110 10.1.1: ignored in HTTP/1.0 */
    req->upgrade_websocket = p->says_upgrade && p->to_websocket && req->minor == 1;
    return SP_HTTP_STEP_OK;
}

static enum sp_http_step parse_head(struct parser *p)
{
    static enum sp_http_step (*const steps[])(struct parser *) = {
        parse_method, parse_target, parse_version, split_target, parse_headers, finish,
    };

    for (size_t i = 0; i < SP_LEN(steps); i++) {
        enum sp_http_step step = steps[i](p);

        if (step != SP_HTTP_STEP_OK)
            return step;
    }
    return SP_HTTP_STEP_OK;
}

long sp_http_parse_request(const char *data, size_t len, struct sp_http_request *ret,
                           struct sp_http_fail *fail)
{
    size_t usable = len < SP_HTTP_HEAD_MAX ? len : SP_HTTP_HEAD_MAX;
    struct parser p = {.in = {data, data + usable, fail}, .req = ret};

    /* Not the headers: 4 KiB that need no clearing. */
    ret->n_headers = 0;
    ret->content_length = 0;
    ret->expect_continue = false;

    switch (parse_head(&p)) {
    case SP_HTTP_STEP_BAD: return -1;
    case SP_HTTP_STEP_MORE: break;
    default: return p.in.at - data;
    }
    if (usable < SP_HTTP_HEAD_MAX)
        return 0;
    (void)refuse(&p, 431, "the request head is longer than 32 KiB");
    return -1;
}
