/*
 * Our parser beside llhttp 8 in strict mode (the parser of Node.js) on heads made by hand and by
 * mutation with a fixed seed. They may disagree only in the ways that docs/http-strictness.md lists
 * with a reason each: a disagreement of no listed class fails the test.
 */
#include "ui-protocol/http1.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/buf.h"
#include "base/error.h"
#include "base/fd.h"
#include "base/mem.h"
#include "tests/support/test.h"
#include "tests/unit/ui-protocol/llhttp-adapter.h"

#ifdef SP_LLHTTP

#include <fcntl.h>

#define MUTANTS 60000

/* --- heads made by hand: between them they reach every class ---------------------------------- */

#define H "Host: a\r\n"

static const struct sp_slice heads[] = {
    SP_SLICE("GET / HTTP/1.1\r\nHost: a\r\n\r\n"),
    SP_SLICE("GET /a%20b/c?d=e&f=%C3%A9 HTTP/1.1\r\nHost: a.example:8080\r\nAccept: */*\r\n"
             "User-Agent: Mozilla/5.0 (X11; Linux x86_64)\r\nCookie: a=b; c=d\r\n\r\n"),
    SP_SLICE("POST /queue/join HTTP/1.1\r\n" H
             "Content-Length: 12\r\nExpect: 100-continue\r\n\r\n"),
    SP_SLICE("POST / HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n\r\n"),
    SP_SLICE("PUT / HTTP/1.1\r\n" H "Content-Length: 0\r\nConnection: close\r\n\r\n"),
    SP_SLICE("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"),
    SP_SLICE("DELETE /x HTTP/1.1\r\n" H "X-Empty:\r\nX-Tab:\ta\tb\t\r\n\r\n"),
    SP_SLICE("GET /ws HTTP/1.1\r\n" H "Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n"),
    SP_SLICE("OPTIONS * HTTP/1.1\r\n" H "\r\n"),
    SP_SLICE("GET http://b.example:81/x?y HTTP/1.1\r\n" H "\r\n"),
    SP_SLICE("PATCH /x HTTP/1.1\r\nHost: [::1]:80\r\nX: \xC3\xA9\xFF\r\n\r\n"),
    /* where we are stricter */
    SP_SLICE("\r\nGET / HTTP/1.1\r\n" H "\r\n"),
    SP_SLICE("GET  / HTTP/1.1\r\n" H "\r\n"),
    SP_SLICE("GET / HTTP/1.1\nHost: a\n\n"),
    SP_SLICE("GET / HTTP/1.1\r\nX: y\r\n\r\n"),
    SP_SLICE("GET / HTTP/1.1\r\n" H "Host: b\r\n\r\n"),
    SP_SLICE("GET / HTTP/1.1\r\nHost:\r\n\r\n"),
    SP_SLICE("GET / HTTP/1.1\r\nHost: a/b\r\n\r\n"),
    SP_SLICE("GET / HTTP/1.1\r\n" H "X: a\r\n b\r\n\r\n"),
    SP_SLICE("GET / HTTP/1.1\r\n" H "X: a\x01\r\n\r\n"),
    SP_SLICE("GET / HTTP/1.1\r\n" H "X: a\x7F\r\n\r\n"),
    SP_SLICE("GET / HTTP/1.1\r\n" H "X: a\r\rb\r\n\r\n"),
    SP_SLICE("GET / HTTP/1.1\r\n" H "X: a\rb\r\n\r\n"),
    SP_SLICE("GET /\xC3\xA9 HTTP/1.1\r\n" H "\r\n"),
    SP_SLICE("GET /#a HTTP/1.1\r\n" H "\r\n"),
    SP_SLICE("GET /\"<> HTTP/1.1\r\n" H "\r\n"),
    SP_SLICE("GET ftp://a/b HTTP/1.1\r\n" H "\r\n"),
    SP_SLICE("GET * HTTP/1.1\r\n" H "\r\n"),
    SP_SLICE("GET http://u@a/b HTTP/1.1\r\n" H "\r\n"),
    SP_SLICE("CONNECT a:443 HTTP/1.1\r\n" H "\r\n"),
    SP_SLICE("GET / HTTP/2.0\r\n" H "\r\n"),
    SP_SLICE("GET / HTTP/0.9\r\n" H "\r\n"),
    SP_SLICE("GET / HTTP/1.2\r\n" H "\r\n"),
    SP_SLICE("GET /\r\n" H "\r\n"),
    SP_SLICE("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
    SP_SLICE("POST / HTTP/1.1\r\n" H "Content-Length: 1\r\nContent-Length: 1\r\n\r\n"),
    SP_SLICE("POST / HTTP/1.1\r\n" H "Content-Length: 1000000000000000000\r\n\r\n"),
    SP_SLICE("POST / HTTP/1.1\r\n" H "Content-Length: 1 1\r\n\r\n"),
    SP_SLICE("POST / HTTP/1.1\r\n" H "Content-Length:\r\n\r\n"),
    SP_SLICE("POST / HTTP/1.1\r\n" H "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n"),
    SP_SLICE("POST / HTTP/1.1\r\n" H "Transfer-Encoding: gzip, chunked\r\n\r\n"),
    SP_SLICE("POST / HTTP/1.1\r\n" H "Transfer-Encoding: identity\r\n\r\n"),
    SP_SLICE("POST / HTTP/1.0\r\n" H "Transfer-Encoding: chunked\r\n\r\n"),
    SP_SLICE("POST / HTTP/1.1\r\n" H
             "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n"),
    /* where llhttp is */
    SP_SLICE("BREW / HTTP/1.1\r\n" H "\r\n"),
    SP_SLICE("GET\x7F/ HTTP/1.1\r\n" H "\r\n"),
    SP_SLICE("GET http://a HTTP/1.1\r\n" H "\r\n"),
    SP_SLICE("GET HTTPS://a?b HTTP/1.1\r\n" H "\r\n"),
    SP_SLICE("SOURCE / HTTP/1.1\r\n" H "\r\n"),
    SP_SLICE("GET / HTTP/1.1\r\n" H "Upgrade: h2c\r\nConnection: Upgrade, close\r\n\r\n"),
    SP_SLICE("GET / HTTP/1.1\r\n" H "Connection: keep-alive, close\r\n\r\n"),
    SP_SLICE("GET / HTTP/1.0\r\n" H "Connection: close, keep-alive\r\n\r\n"),
};

/* --- the classes of disagreement -------------------------------------------------------------- */

/* Where we refuse and llhttp does not: by the reason that we give. */
static const struct {
    const char *reason;
    const char *class;
} stricter[] = {
    {"the request line does not begin with a method and a space", "request-line-start"},
    {"the request target holds a byte that must be percent-encoded", "target-bytes"},
    {"the request target is neither a path nor an http address", "target-form"},
    {"the host in the request target is not valid", "target-host"},
    {"CONNECT is not served", "connect"},
    {"the request line does not end with a version and CR LF", "request-line-end"},
    {"only HTTP/1.0 and HTTP/1.1 are spoken here", "version"},
    {"a header line begins with white space", "folded-line"},
    {"a header line does not begin with a name and a colon", "header-name"},
    {"the Host header is repeated", "host-repeated"},
    {"the Host header is not a host name with an optional port", "host-syntax"},
    {"HTTP/1.1 without a Host header", "host-missing"},
    {"the Content-Length header is not a number of at most 18 digits", "length-digits"},
    {"the only transfer coding is chunked, once, in HTTP/1.1", "other-coding"},
};

static const char *class_of_refusal(const struct sp_http_fail *fail)
{
    for (size_t i = 0; i < SP_LEN(stricter); i++)
        if (strcmp(stricter[i].reason, fail->reason) == 0)
            return stricter[i].class;
    return NULL;
}

/* Where llhttp refuses and we do not: only a method that is not in its list of 46. */
static const char *class_of_leniency(const struct sp_http_request *req, const struct peer *peer)
{
    return peer->error == HPE_INVALID_METHOD && req->method == SP_HTTP_OTHER ? "method-list" : NULL;
}

/* Both took it: do they read the same? */
static const char *class_of_reading(const struct sp_http_request *req, const struct peer *peer)
{
    SP_AUTO_BUF struct sp_buf headers = {0};

    for (size_t i = 0; i < req->n_headers; i++) {
        (void)sp_buf_append_slice(&headers, req->headers[i].name);
        (void)sp_buf_append_str(&headers, ": ");
        (void)sp_buf_append_slice(&headers, req->headers[i].value);
        (void)sp_buf_append_char(&headers, '\n');
    }
    if (!sp_slice_eq_str(req->method_name, peer->method) ||
        !sp_slice_eq(req->target, sp_buf_slice(&peer->target)) ||
        !sp_slice_eq(sp_buf_slice(&headers), sp_buf_slice(&peer->headers)) ||
        req->minor != peer->minor || req->body != peer->body ||
        (req->body == SP_HTTP_BODY_LENGTH && req->content_length != peer->content_length))
        return NULL; /* never: this is how requests are smuggled */
    if (req->keep_alive == peer->keep_alive)
        return "agree";
    return req->keep_alive ? NULL : "keep-alive"; /* only ever sooner closed */
}

/* --- counting --------------------------------------------------------------------------------- */

static struct {
    const char *class;
    unsigned count;
} counts[64];
static size_t n_counts;

static void count(const char *class)
{
    size_t i = 0;

    while (i < n_counts && strcmp(counts[i].class, class) != 0)
        i++;
    if (i == n_counts)
        counts[n_counts++].class = class;
    assert_true(n_counts < SP_LEN(counts));
    counts[i].count++;
}

static void complain(struct sp_slice head, long ours, const struct sp_http_fail *fail,
                     const struct peer *peer)
{
    SP_AUTO_BUF struct sp_buf text = {0};

    for (size_t i = 0; i < head.len; i++)
        (void)sp_buf_printf(&text, isprint((unsigned char)head.ptr[i]) ? "%c" : "\\x%02x",
                            (unsigned char)head.ptr[i]);
    fail_msg("no listed class: we say %ld (%s), llhttp %d (%s), of %s", ours,
             ours < 0 ? fail->reason : "", peer->verdict, llhttp_errno_name(peer->error),
             sp_buf_str(&text));
}

static void compare(struct sp_slice head)
{
    static struct sp_http_request req;
    static struct peer peer;
    struct sp_http_fail fail = {0};
    long n = sp_http_parse_request(head.ptr, head.len, &req, &fail);
    const char *class;

    peer_judge(head, &peer);
    if (n > 0 && peer.verdict == PEER_TAKEN)
        class = class_of_reading(&req, &peer);
    else if (n > 0 && peer.verdict == PEER_REFUSED)
        class = class_of_leniency(&req, &peer);
    else if (n < 0 && peer.verdict != PEER_REFUSED)
        class = class_of_refusal(&fail);
    else
        class = n < 0 ? "both refuse" : n == 0 && peer.verdict == PEER_MORE ? "both wait" : NULL;
    if (n == 0 && peer.verdict == PEER_REFUSED)
        class = "refused-later"; /* the rest of the line decides; it is refused or harmless then */
    if (!class)
        complain(head, n, &fail, &peer);
    count(class);
}

/* --- mutation --------------------------------------------------------------------------------- */

static uint64_t seed = 20260801;

static size_t below(size_t n)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return (size_t)(seed >> 11) % n;
}

/* The line around a byte, with its end. */
static struct sp_slice line_at(struct sp_slice text, size_t at)
{
    size_t from = at;
    size_t to = from;

    while (from && text.ptr[from - 1] != '\n')
        from--;
    while (to < text.len && text.ptr[to] != '\n')
        to++;
    return sp_slice(text.ptr + from, to - from + (to < text.len));
}

/* Mostly behind the request line: there almost every change is refused by both. */
static size_t some_place(struct sp_slice text)
{
    const char *end = memchr(text.ptr, '\n', text.len);
    size_t line = end ? (size_t)(end - text.ptr) + 1 : 0;

    return line < text.len && below(8) ? line + below(text.len - line) : below(text.len);
}

static void mutate(struct sp_buf *buf)
{
    static const char bytes[] =
        "\r\n \t:;,/?#*%@[]\"<>\\{}|^`~!$&'()+-._=09afzAFZ\0\x01\x0B\x1F\x7F\x80\xC3\xFF";
    static const struct sp_slice pieces[] = {
        SP_SLICE("\r\n"),
        SP_SLICE("\n"),
        SP_SLICE("\r"),
        SP_SLICE("\r\n "),
        SP_SLICE("\r\n\t"),
        SP_SLICE("Host: b\r\n"),
        SP_SLICE("Content-Length: 5\r\n"),
        SP_SLICE(", 5"),
        SP_SLICE("Transfer-Encoding: chunked\r\n"),
        SP_SLICE("transfer-encoding: x\r\n"),
        SP_SLICE(", chunked"),
        SP_SLICE("HTTP/1.1"),
        SP_SLICE("0"),
        SP_SLICE("Connection: close\r\n"),
        SP_SLICE("connection: keep-alive\r\n"),
        SP_SLICE("http://c"),
        SP_SLICE("99999999999999999999"),
    };
    struct sp_slice text = sp_buf_slice(buf);
    size_t at = some_place(text);
    struct sp_slice line = line_at(text, at);
    struct sp_slice put = {0};
    size_t drop = 0;
    SP_AUTO_BUF struct sp_buf out = {0};

    switch (below(6)) {
    case 0: drop = 1; break;
    case 1: drop = 1; /* fall through */
    case 2: put = sp_slice(bytes + below(sizeof(bytes) - 1), 1); break;
    case 3: put = pieces[below(SP_LEN(pieces))]; break;
    case 4: put = line, at = (size_t)(line.ptr - text.ptr); break;
    default: drop = line.len, at = (size_t)(line.ptr - text.ptr); break;
    }
    (void)sp_buf_append(&out, text.ptr, at);
    (void)sp_buf_append_slice(&out, put);
    (void)sp_buf_append(&out, text.ptr + at + drop, text.len - at - drop);
    sp_buf_reset(buf);
    (void)sp_buf_append_slice(buf, sp_buf_slice(&out));
}

static void compare_all(void)
{
    for (size_t i = 0; i < SP_LEN(heads); i++)
        compare(heads[i]);
    for (size_t i = 0; i < MUTANTS; i++) {
        SP_AUTO_BUF struct sp_buf head = {0};

        (void)sp_buf_append_slice(&head, heads[below(SP_LEN(heads))]);
        for (size_t n = 1 + below(3); n && head.len; n--)
            mutate(&head);
        if (head.len)
            compare(sp_buf_slice(&head));
    }
}

static void test_disagreements_with_llhttp_are_those_that_are_listed(void **state)
{
    static const char *const path = "docs/http-strictness.md"; /* tests run in the root */
    SP_AUTO_FREE char *doc = NULL;
    struct sp_error err;
    size_t len;

    (void)state;
    assert_int_equal(sp_file_read(AT_FDCWD, path, 65536, &doc, &len, &err), 0);
    compare_all();
    for (size_t i = 0; i < n_counts; i++)
        print_message("%6u %s\n", counts[i].count, counts[i].class);
    for (size_t i = 0; i < n_counts; i++) {
        SP_AUTO_FREE char *row = sp_asprintf("| `%s` |", counts[i].class);

        if (strcmp(counts[i].class, "agree") != 0 && strncmp(counts[i].class, "both ", 5) != 0 &&
            !strstr(doc, row))
            fail_msg("%s has no row '%s'", path, row);
    }
    /* A class that nothing reaches any more must go from the list. */
    for (size_t i = 0; i < SP_LEN(stricter); i++) {
        bool reached = false;

        for (size_t j = 0; j < n_counts; j++)
            reached |= strcmp(counts[j].class, stricter[i].class) == 0;
        if (!reached)
            fail_msg("no head reaches class '%s'", stricter[i].class);
    }
}

#else

static void test_disagreements_with_llhttp_are_those_that_are_listed(void **state)
{
    (void)state;
    print_message("skipped: llhttp's sources are not installed (Debian: node-llhttp)\n");
    skip();
}

#endif

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_disagreements_with_llhttp_are_those_that_are_listed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
