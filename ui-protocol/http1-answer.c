/* The answers of apps, as the proxy reads them; docs/http-strictness.md has the rules. */
#include "ui-protocol/http1-internal.h"

#include "base/mem.h"

#define REASON_MAX 512

struct parser {
    struct sp_http_cursor in;
    struct sp_http_answer *answer;
    bool has_encoding;
    bool encoding_is_chunked; /* and nothing else was said */
    bool says_close;
    bool says_keep_alive;
    bool says_upgrade;
    bool to_websocket;
};

static enum sp_http_step refuse(struct parser *p, const char *reason)
{
    return sp_http_step_refuse(&p->in, 502, reason);
}

/* --- the status line -------------------------------------------------------------------------- */

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* "HTTP/1.1 200": twelve bytes, looked at together. */
static enum sp_http_step parse_status(struct parser *p)
{
    const char *v = p->in.at;
    size_t have = (size_t)(p->in.end - v);

    /* Another protocol is told at once, however few its bytes are. */
    if (memcmp(v, "HTTP/1.", have < 7 ? have : 7) != 0)
        return refuse(p, "the app's answer does not begin with HTTP/1.0 or HTTP/1.1");
    if (have < 12)
        return SP_HTTP_STEP_MORE;
    if (v[7] != '0' && v[7] != '1')
        return refuse(p, "the app's answer does not begin with HTTP/1.0 or HTTP/1.1");
    if (v[8] != ' ' || !is_digit(v[9]) || !is_digit(v[10]) || !is_digit(v[11]))
        return refuse(p, "the app's status is not three digits behind one space");
    p->answer->minor = (unsigned)(v[7] - '0');
    p->answer->status = (v[9] - '0') * 100 + (v[10] - '0') * 10 + (v[11] - '0');
    if (p->answer->status < 100 || p->answer->status > 599)
        return refuse(p, "the app's status is not between 100 and 599");
    p->in.at += 12;
    return SP_HTTP_STEP_OK;
}

/* " OK" CRLF. Without a reason some leave the space away too: nothing can hide in that. */
static enum sp_http_step parse_reason(struct parser *p)
{
    const char *from = p->in.at;

    if (from == p->in.end)
        return SP_HTTP_STEP_MORE;
    if (*from != ' ' && *from != '\r')
        return refuse(p, "the app's status is not three digits and a space");
    for (;; p->in.at++) {
        p->in.at = sp_http_find_control(p->in.at, p->in.end);
        if (p->in.at - from > REASON_MAX)
            return refuse(p, "the reason behind the app's status is longer than 512 bytes");
        if (p->in.at == p->in.end)
            return SP_HTTP_STEP_MORE;
        if (*p->in.at != '\t')
            break;
    }
    if (*p->in.at != '\r')
        return refuse(p, "the app's status line holds a control byte");
    if (p->in.end - p->in.at < 2)
        return SP_HTTP_STEP_MORE;
    if (p->in.at[1] != '\n')
        return refuse(p, "the app's status line holds CR without LF");
    p->answer->reason = sp_slice_trim(sp_slice(from, (size_t)(p->in.at - from)));
    p->in.at += 2;
    return SP_HTTP_STEP_OK;
}

/* --- headers that the framing depends on ------------------------------------------------------ */

static enum sp_http_step note_length(struct parser *p, struct sp_slice value)
{
    if (p->answer->has_length)
        return refuse(p, "the app repeats its Content-Length");
    p->answer->has_length = true;
    if (!sp_http_parse_length(value, &p->answer->content_length))
        return refuse(p, "the app's Content-Length is not a number of at most 18 digits");
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

static enum sp_http_step note_header(struct parser *p, struct sp_slice name, struct sp_slice value)
{
    switch (name.len) {
    case 14:
        return sp_slice_eq_nocase(name, "content-length") ? note_length(p, value) : SP_HTTP_STEP_OK;
    case 17:
        if (sp_slice_eq_nocase(name, "transfer-encoding")) {
            p->encoding_is_chunked = !p->has_encoding && sp_slice_eq_nocase(value, "chunked");
            p->has_encoding = true;
        }
        break;
    case 10:
        if (sp_slice_eq_nocase(name, "connection"))
            note_connection(p, value);
        break;
    case 7:
        if (sp_slice_eq_nocase(name, "upgrade"))
            p->to_websocket |= sp_http_list_has(value, "websocket");
        break;
    default: break;
    }
    return SP_HTTP_STEP_OK;
}

static enum sp_http_step parse_headers(struct parser *p)
{
    struct sp_http_answer *answer = p->answer;

    for (;;) {
        struct sp_http_header line;
        enum sp_http_step step = sp_http_header_line(&p->in, &line);

        if (step != SP_HTTP_STEP_OK)
            return step == SP_HTTP_STEP_END ? SP_HTTP_STEP_OK : step;
        if (answer->n_headers == SP_HTTP_HEADERS_MAX)
            return refuse(p, "the app's answer has more than 128 header lines");
        answer->headers[answer->n_headers++] = line;
        if ((step = note_header(p, line.name, line.value)) != SP_HTTP_STEP_OK)
            return step;
    }
}

/* --- the head as a whole ---------------------------------------------------------------------- */

static enum sp_http_step finish(struct parser *p, bool to_head)
{
    struct sp_http_answer *answer = p->answer;

    if (answer->has_length && p->has_encoding)
        return refuse(p, "the app sends both Content-Length and Transfer-Encoding");
    if (p->has_encoding && (!p->encoding_is_chunked || answer->minor == 0))
        return refuse(p, "the app's transfer coding is not chunked, once, in HTTP/1.1");
    if (answer->status < 200 && (p->has_encoding || answer->has_length))
        return refuse(p, "the app gives a body to an answer before the answer (1xx)");
    if (answer->status < 200 && answer->minor == 0)
        return refuse(p, "the app sends an answer before the answer (1xx) in HTTP/1.0");

    if (to_head || answer->status < 200 || answer->status == 204 || answer->status == 304)
        answer->body = SP_HTTP_BODY_NONE;
    else if (p->has_encoding)
        answer->body = SP_HTTP_BODY_CHUNKED;
    else if (answer->has_length)
        answer->body = answer->content_length ? SP_HTTP_BODY_LENGTH : SP_HTTP_BODY_NONE;
    else
        answer->body = SP_HTTP_BODY_CLOSE;
    answer->keep_alive = !p->says_close && (answer->minor == 1 || p->says_keep_alive) &&
                         answer->body != SP_HTTP_BODY_CLOSE;
    answer->upgrade_websocket = p->says_upgrade && p->to_websocket && answer->minor == 1;
    return SP_HTTP_STEP_OK;
}

static enum sp_http_step parse_head(struct parser *p, bool to_head)
{
    enum sp_http_step step = parse_status(p);

    if (step == SP_HTTP_STEP_OK)
        step = parse_reason(p);
    if (step == SP_HTTP_STEP_OK)
        step = parse_headers(p);
    return step == SP_HTTP_STEP_OK ? finish(p, to_head) : step;
}

long sp_http_parse_answer(const char *data, size_t len, bool to_head, struct sp_http_answer *ret,
                          struct sp_http_fail *fail)
{
    size_t usable = len < SP_HTTP_HEAD_MAX ? len : SP_HTTP_HEAD_MAX;
    struct parser p = {.in = {data, data + usable, fail}, .answer = ret};

    ret->n_headers = 0;
    ret->has_length = false;
    ret->content_length = 0;
    if (usable == 0)
        return 0;

    switch (parse_head(&p, to_head)) {
    case SP_HTTP_STEP_BAD: fail->status = 502; return -1;
    case SP_HTTP_STEP_MORE: break;
    default: return p.in.at - data;
    }
    if (usable < SP_HTTP_HEAD_MAX)
        return 0;
    (void)refuse(&p, "the head of the app's answer is longer than 32 KiB");
    return -1;
}
