#include "ui-protocol/http1.h"

#include "base/mem.h"
#include "ui-protocol/http1-internal.h"

#define METHOD_MAX    32 /* longest registered: UPDATEREDIRECTREF, 17 */
#define CL_DIGITS_MAX 18

/* What a byte may be part of. */
enum { TOKEN = 1, TARGET = 2, HOST = 4 };

/*
 * RFC 9110 5.6.2 (token), RFC 3986 3 (what a target and a host may hold). A target also takes
 * \ ^ ` { | } which browsers send in queries; never " # < > or bytes outside of ASCII.
 */
static const unsigned char classes[256] = {
    ['!'] = 7, ['"'] = 0,  ['#'] = 1, ['$'] = 7, ['%'] = 7, ['&'] = 7, ['\''] = 7, ['('] = 6,
    [')'] = 6, ['*'] = 7,  ['+'] = 7, [','] = 6, ['-'] = 7, ['.'] = 7, ['/'] = 2,  ['0'] = 7,
    ['1'] = 7, ['2'] = 7,  ['3'] = 7, ['4'] = 7, ['5'] = 7, ['6'] = 7, ['7'] = 7,  ['8'] = 7,
    ['9'] = 7, [':'] = 2,  [';'] = 6, ['='] = 6, ['?'] = 2, ['@'] = 2, ['A'] = 7,  ['B'] = 7,
    ['C'] = 7, ['D'] = 7,  ['E'] = 7, ['F'] = 7, ['G'] = 7, ['H'] = 7, ['I'] = 7,  ['J'] = 7,
    ['K'] = 7, ['L'] = 7,  ['M'] = 7, ['N'] = 7, ['O'] = 7, ['P'] = 7, ['Q'] = 7,  ['R'] = 7,
    ['S'] = 7, ['T'] = 7,  ['U'] = 7, ['V'] = 7, ['W'] = 7, ['X'] = 7, ['Y'] = 7,  ['Z'] = 7,
    ['['] = 2, ['\\'] = 2, [']'] = 2, ['^'] = 3, ['_'] = 7, ['`'] = 3, ['a'] = 7,  ['b'] = 7,
    ['c'] = 7, ['d'] = 7,  ['e'] = 7, ['f'] = 7, ['g'] = 7, ['h'] = 7, ['i'] = 7,  ['j'] = 7,
    ['k'] = 7, ['l'] = 7,  ['m'] = 7, ['n'] = 7, ['o'] = 7, ['p'] = 7, ['q'] = 7,  ['r'] = 7,
    ['s'] = 7, ['t'] = 7,  ['u'] = 7, ['v'] = 7, ['w'] = 7, ['x'] = 7, ['y'] = 7,  ['z'] = 7,
    ['{'] = 2, ['|'] = 3,  ['}'] = 2, ['~'] = 7,
};

static bool is(char c, unsigned class)
{
    return classes[(unsigned char)c] & class;
}

/* Outcome of a step: the head is wrong, its bytes end too early, or the step is done. */
enum step { BAD = -1, MORE = 0, OK = 1 };

struct parser {
    const char *at;
    const char *end;
    struct sp_http_request *req;
    struct sp_http_fail *fail;
    bool has_host;
    bool has_length;
    bool has_encoding;
    bool encoding_is_chunked; /* and nothing else was said */
    bool says_close;
    bool says_keep_alive;
    bool says_upgrade;
    bool to_websocket;
};

static enum step refuse(struct parser *p, int status, const char *reason)
{
    *p->fail = (struct sp_http_fail){status, reason};
    return BAD;
}

/* --- the request line ------------------------------------------------------------------------- */

static enum sp_http_method method_of(struct sp_slice s)
{
    for (enum sp_http_method m = SP_HTTP_GET; m < SP_HTTP_OTHER; m++)
        if (sp_slice_eq_str(s, sp_http_method_to_string(m)))
            return m;
    return SP_HTTP_OTHER;
}

static enum step parse_method(struct parser *p)
{
    const char *from = p->at;

    while (p->at < p->end && is(*p->at, TOKEN))
        if (++p->at - from > METHOD_MAX)
            return refuse(p, 501, "the method is too long");
    if (p->at == p->end)
        return MORE;
    if (*p->at != ' ' || p->at == from)
        return refuse(p, 400, "the request line does not begin with a method and a space");

    p->req->method_name = sp_slice(from, (size_t)(p->at++ - from));
    p->req->method = method_of(p->req->method_name);
    return OK;
}

static enum step parse_target(struct parser *p)
{
    const char *from = p->at;
    const char *at = from;

    while (at < p->end && is(*at, TARGET))
        at++;
    if ((size_t)(at - from) > SP_HTTP_TARGET_MAX)
        return refuse(p, 414, "the request target is longer than 8 KiB");
    p->at = at;
    if (at == p->end)
        return MORE;
    if (*at != ' ' || at == from)
        return refuse(p, 400, "the request target holds a byte that must be percent-encoded");

    p->req->target = sp_slice(from, (size_t)(at - from));
    p->at++;
    return OK;
}

/* "HTTP/1.1" CRLF: ten bytes, looked at together. */
static enum step parse_version(struct parser *p)
{
    const char *v = p->at;

    if (p->end - p->at < 10)
        return MORE;
    if (memcmp(v, "HTTP/", 5) != 0 || v[5] < '0' || v[5] > '9' || v[6] != '.' || v[7] < '0' ||
        v[7] > '9' || v[8] != '\r' || v[9] != '\n')
        return refuse(p, 400, "the request line does not end with a version and CR LF");
    if (v[5] != '1' || v[7] > '1')
        return refuse(p, 505, "only HTTP/1.0 and HTTP/1.1 are spoken here");
    p->req->minor = (unsigned)(v[7] - '0');
    p->at += 10;
    return OK;
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
        while (at < end && is(*at, HOST))
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
static enum step split_absolute(struct parser *p, struct sp_slice rest)
{
    size_t n = 0;

    while (n < rest.len && rest.ptr[n] != '/' && rest.ptr[n] != '?')
        n++;
    p->req->host = sp_slice(rest.ptr, n);
    if (!host_is_valid(p->req->host))
        return refuse(p, 400, "the host in the request target is not valid");
    split_path(p->req, sp_slice(rest.ptr + n, rest.len - n));
    return OK;
}

static enum step split_target(struct parser *p)
{
    struct sp_slice t = p->req->target;

    p->req->host = (struct sp_slice){0};
    if (t.ptr[0] == '/') {
        split_path(p->req, t);
        return OK;
    }
    if (sp_slice_eq_str(p->req->method_name, "CONNECT"))
        return refuse(p, 501, "CONNECT is not served");
    if (t.len == 1 && t.ptr[0] == '*' && p->req->method == SP_HTTP_OPTIONS) {
        p->req->path = t;
        p->req->query = (struct sp_slice){0};
        return OK;
    }
    if (t.len > 7 && sp_slice_eq_nocase(sp_slice(t.ptr, 7), "http://"))
        return split_absolute(p, sp_slice(t.ptr + 7, t.len - 7));
    if (t.len > 8 && sp_slice_eq_nocase(sp_slice(t.ptr, 8), "https://"))
        return split_absolute(p, sp_slice(t.ptr + 8, t.len - 8));
    return refuse(p, 400, "the request target is neither a path nor an http address");
}

/* --- headers that the framing depends on ------------------------------------------------------ */

static enum step note_host(struct parser *p, struct sp_slice value)
{
    if (p->has_host)
        return refuse(p, 400, "the Host header is repeated");
    p->has_host = true;
    if (!host_is_valid(value))
        return refuse(p, 400, "the Host header is not a host name with an optional port");
    if (!p->req->host.ptr)
        p->req->host = value;
    return OK;
}

static enum step note_length(struct parser *p, struct sp_slice value)
{
    if (p->has_length)
        return refuse(p, 400, "the Content-Length header is repeated");
    p->has_length = true;
    if (value.len > CL_DIGITS_MAX || !sp_parse_u64(value, UINT64_MAX, &p->req->content_length))
        return refuse(p, 400, "the Content-Length header is not a number of at most 18 digits");
    return OK;
}

/* Refused at the end of the head: with a Content-Length it is another error. */
static enum step note_encoding(struct parser *p, struct sp_slice value)
{
    p->encoding_is_chunked = !p->has_encoding && sp_slice_eq_nocase(value, "chunked");
    p->has_encoding = true;
    return OK;
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
static enum step note_header(struct parser *p, struct sp_slice name, struct sp_slice value)
{
    switch (name.len) {
    case 4: return sp_slice_eq_nocase(name, "host") ? note_host(p, value) : OK;
    case 14: return sp_slice_eq_nocase(name, "content-length") ? note_length(p, value) : OK;
    case 17: return sp_slice_eq_nocase(name, "transfer-encoding") ? note_encoding(p, value) : OK;
    case 10:
        if (sp_slice_eq_nocase(name, "connection"))
            note_connection(p, value);
        return OK;
    case 6:
        if (sp_slice_eq_nocase(name, "expect"))
            p->req->expect_continue |= sp_slice_eq_nocase(value, "100-continue");
        return OK;
    case 7:
        if (sp_slice_eq_nocase(name, "upgrade"))
            p->to_websocket |= sp_http_list_has(value, "websocket");
        return OK;
    default: return OK;
    }
}

/* --- header lines ----------------------------------------------------------------------------- */

#define EACH(byte) (0x0101010101010101ull * (byte))

/*
 * The first byte that is below 0x20 or is 0x7F; `end` when there is none. Eight at a time, then one
 * by one. A word may be marked in vain (a borrow, a byte from 0x80), which costs time, never a hit:
 * the byte loop decides.
 */
static const char *find_control(const char *at, const char *end)
{
    for (; end - at >= 8; at += 8) {
        uint64_t word;
        uint64_t del;
        uint64_t hit;

        memcpy(&word, at, 8);
        del = word ^ EACH(0x7F);
        hit = ((word - EACH(0x20)) & ~word) | ((del - EACH(1)) & ~del);
        if (hit & EACH(0x80))
            break;
    }
    while (at < end && (unsigned char)*at >= 0x20 && *at != 0x7F)
        at++;
    return at;
}

static enum step parse_name(struct parser *p, struct sp_slice *ret)
{
    const char *from = p->at;

    while (p->at < p->end && is(*p->at, TOKEN))
        p->at++;
    if (p->at == p->end)
        return MORE;
    if (*p->at != ':' || p->at == from)
        return refuse(p, 400,
                      p->at == from && (*from == ' ' || *from == '\t')
                          ? "a header line begins with white space"
                          : "a header line does not begin with a name and a colon");
    *ret = sp_slice(from, (size_t)(p->at++ - from));
    return OK;
}

static enum step parse_value(struct parser *p, struct sp_slice *ret)
{
    const char *from = p->at;

    for (;; p->at++) {
        p->at = find_control(p->at, p->end);
        if (p->at == p->end)
            return MORE;
        if (*p->at != '\t')
            break;
    }
    if (*p->at != '\r')
        return refuse(p, 400, "a header value holds a control byte");
    if (p->end - p->at < 2)
        return MORE;
    if (p->at[1] != '\n')
        return refuse(p, 400, "a header line holds CR without LF");
    *ret = sp_slice_trim(sp_slice(from, (size_t)(p->at - from)));
    p->at += 2;
    return OK;
}

static enum step parse_header(struct parser *p)
{
    struct sp_http_request *req = p->req;
    struct sp_slice name;
    struct sp_slice value;
    enum step step = parse_name(p, &name);

    if (step == OK)
        step = parse_value(p, &value);
    if (step != OK)
        return step;
    if (req->n_headers == SP_HTTP_HEADERS_MAX)
        return refuse(p, 431, "there are more than 128 header lines");
    req->headers[req->n_headers++] = (struct sp_http_header){name, value};
    return note_header(p, name, value);
}

/* To behind the empty line. */
static enum step parse_headers(struct parser *p)
{
    for (;;) {
        enum step step;

        if (p->at == p->end)
            return MORE;
        if (*p->at == '\r') {
            if (p->end - p->at < 2)
                return MORE;
            if (p->at[1] != '\n')
                return refuse(p, 400, "a header line holds CR without LF");
            p->at += 2;
            return OK;
        }
        step = parse_header(p);
        if (step != OK)
            return step;
    }
}

/* --- the head as a whole ---------------------------------------------------------------------- */

static enum step finish(struct parser *p)
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
    return OK;
}

static enum step parse_head(struct parser *p)
{
    static enum step (*const steps[])(struct parser *) = {
        parse_method, parse_target, parse_version, split_target, parse_headers, finish,
    };

    for (size_t i = 0; i < SP_LEN(steps); i++) {
        enum step step = steps[i](p);

        if (step != OK)
            return step;
    }
    return OK;
}

long sp_http_parse_request(const char *data, size_t len, struct sp_http_request *ret,
                           struct sp_http_fail *fail)
{
    size_t usable = len < SP_HTTP_HEAD_MAX ? len : SP_HTTP_HEAD_MAX;
    struct parser p = {.at = data, .end = data + usable, .req = ret, .fail = fail};

    /* Not the headers: 4 KiB that need no clearing. */
    ret->n_headers = 0;
    ret->content_length = 0;
    ret->expect_continue = false;

    switch (parse_head(&p)) {
    case OK: return p.at - data;
    case BAD: return -1;
    case MORE: break;
    }
    if (usable < SP_HTTP_HEAD_MAX)
        return 0;
    (void)refuse(&p, 431, "the request head is longer than 32 KiB");
    return -1;
}
