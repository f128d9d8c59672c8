#include "ui-protocol/http1.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/buf.h"
#include "base/mem.h"
#include "tests/support/test.h"

static struct sp_http_request req;
static struct sp_http_fail fail_;

static long parse(struct sp_slice head)
{
    fail_ = (struct sp_http_fail){0};
    return sp_http_parse_request(head.ptr, head.len, &req, &fail_);
}

/* --- what is refused -------------------------------------------------------------------------- */

#define H "Host: a\r\n"

/* One row per rule; `rule` is printed when the row fails. */
static const struct {
    const char *rule;
    int status;
    struct sp_slice head;
} refused[] = {
    /* the request line */
    {"an empty line before the request is not skipped", 400,
     SP_SLICE("\r\nGET / HTTP/1.1\r\n" H "\r\n")},
    {"bytes of another protocol", 400, SP_SLICE("\x16\x03\x01\x02")},
    {"a method is a token", 400, SP_SLICE("G(T / HTTP/1.1\r\n" H "\r\n")},
    {"a method is not empty", 400, SP_SLICE(" / HTTP/1.1\r\n" H "\r\n")},
    {"a method has an end", 501, SP_SLICE("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA / HTTP/1.1\r\n")},
    {"one space before the target", 400, SP_SLICE("GET  / HTTP/1.1\r\n" H "\r\n")},
    {"a tab is no space", 400, SP_SLICE("GET\t/ HTTP/1.1\r\n" H "\r\n")},
    {"one space behind the target", 400, SP_SLICE("GET /  HTTP/1.1\r\n" H "\r\n")},
    {"a target is there", 400, SP_SLICE("GET HTTP/1.1\r\n" H "\r\n")},
    {"no version (HTTP/0.9)", 400, SP_SLICE("GET /\r\n\r\n0123456789")},
    {"no control byte in a target", 400, SP_SLICE("GET /a\x01 HTTP/1.1\r\n" H "\r\n")},
    {"no NUL in a target", 400, SP_SLICE("GET /a\0b HTTP/1.1\r\n" H "\r\n")},
    {"no DEL in a target", 400, SP_SLICE("GET /a\x7F HTTP/1.1\r\n" H "\r\n")},
    {"no byte above 0x7F in a target", 400, SP_SLICE("GET /\xC3\xA9 HTTP/1.1\r\n" H "\r\n")},
    {"no fragment in a target", 400, SP_SLICE("GET /#a HTTP/1.1\r\n" H "\r\n")},
    {"no quote in a target", 400, SP_SLICE("GET /\" HTTP/1.1\r\n" H "\r\n")},
    {"no angle bracket in a target", 400, SP_SLICE("GET /<a> HTTP/1.1\r\n" H "\r\n")},
    {"a target is a path or an address", 400, SP_SLICE("GET a/b HTTP/1.1\r\n" H "\r\n")},
    {"another scheme", 400, SP_SLICE("GET ftp://a/ HTTP/1.1\r\n" H "\r\n")},
    {"an address without a host", 400, SP_SLICE("GET http:///x HTTP/1.1\r\n" H "\r\n")},
    {"an address with a user", 400, SP_SLICE("GET http://u@a/ HTTP/1.1\r\n" H "\r\n")},
    {"* is for OPTIONS", 400, SP_SLICE("GET * HTTP/1.1\r\n" H "\r\n")},
    {"CONNECT is not served", 501, SP_SLICE("CONNECT a:443 HTTP/1.1\r\n" H "\r\n")},
    {"the version is upper case", 400, SP_SLICE("GET / http/1.1\r\n" H "\r\n")},
    {"the version has one digit each", 400, SP_SLICE("GET / HTTP/1.10\r\n" H "\r\n")},
    {"a space behind the version", 400, SP_SLICE("GET / HTTP/1.1 \r\n" H "\r\n")},
    {"HTTP/2", 505, SP_SLICE("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")},
    {"HTTP/1.2", 505, SP_SLICE("GET / HTTP/1.2\r\n" H "\r\n")},
    {"HTTP/0.9 by name", 505, SP_SLICE("GET / HTTP/0.9\r\n" H "\r\n")},
    {"a bare LF ends no request line", 400, SP_SLICE("GET / HTTP/1.1\n" H "\r\n")},
    {"a bare CR ends no request line", 400, SP_SLICE("GET / HTTP/1.1\r" H "\r\n")},
    /* header lines */
    {"a bare LF ends no header", 400, SP_SLICE("GET / HTTP/1.1\r\nHost: a\n\r\n")},
    {"a bare CR is in no header", 400, SP_SLICE("GET / HTTP/1.1\r\nHost: a\rX: b\r\n\r\n")},
    {"a bare LF ends no head", 400, SP_SLICE("GET / HTTP/1.1\r\n" H "\n")},
    {"CR without LF ends no head", 400, SP_SLICE("GET / HTTP/1.1\r\n" H "\rX")},
    {"NUL is in no value", 400, SP_SLICE("GET / HTTP/1.1\r\n" H "X: a\0b\r\n\r\n")},
    {"no control byte in a value", 400,
     SP_SLICE("GET / HTTP/1.1\r\n" H "X: aaaaaaaaaa\x02\r\n\r\n")},
    {"no DEL in a value", 400, SP_SLICE("GET / HTTP/1.1\r\n" H "X: aaaaaaaaaa\x7F\r\n\r\n")},
    {"no DEL in a value, with text around it", 400,
     SP_SLICE("GET / HTTP/1.1\r\n" H "X: aaaaaaaaaa\x7F"
              "aaaaaaaaaaaaaaaaaaaaaa\r\n\r\n")},
    {"no control byte in a value, with text around it", 400,
     SP_SLICE("GET / HTTP/1.1\r\n" H "X: aaaaaaaaaa\x1F"
              "aaaaaaaaaaaaaaaaaaaaaa\r\n\r\n")},
    {"no folded line", 400, SP_SLICE("GET / HTTP/1.1\r\n" H "X: a\r\n b\r\n\r\n")},
    {"no folded line with a tab", 400, SP_SLICE("GET / HTTP/1.1\r\n" H "X: a\r\n\tb\r\n\r\n")},
    {"the first header is not folded", 400, SP_SLICE("GET / HTTP/1.1\r\n " H "\r\n")},
    {"no space before the colon", 400, SP_SLICE("GET / HTTP/1.1\r\nHost : a\r\n\r\n")},
    {"no tab before the colon", 400, SP_SLICE("GET / HTTP/1.1\r\nHost\t: a\r\n\r\n")},
    {"a name is not empty", 400, SP_SLICE("GET / HTTP/1.1\r\n" H ": a\r\n\r\n")},
    {"a name is a token", 400, SP_SLICE("GET / HTTP/1.1\r\n" H "X(y): a\r\n\r\n")},
    {"a name is ASCII", 400, SP_SLICE("GET / HTTP/1.1\r\n" H "X\xC3\xA9: a\r\n\r\n")},
    {"a header has a colon", 400, SP_SLICE("GET / HTTP/1.1\r\n" H "X\r\n\r\n")},
    {"NUL is in no name", 400, SP_SLICE("GET / HTTP/1.1\r\n" H "X\0: a\r\n\r\n")},
    /* Host */
    {"HTTP/1.1 has a Host", 400, SP_SLICE("GET / HTTP/1.1\r\nX: a\r\n\r\n")},
    {"one Host", 400, SP_SLICE("GET / HTTP/1.1\r\n" H "HOST: a\r\n\r\n")},
    {"one Host in HTTP/1.0 too", 400, SP_SLICE("GET / HTTP/1.0\r\n" H H "\r\n")},
    {"an address does not replace Host", 400, SP_SLICE("GET http://a/ HTTP/1.1\r\nX: a\r\n\r\n")},
    {"a Host is not empty", 400, SP_SLICE("GET / HTTP/1.1\r\nHost:\r\n\r\n")},
    {"a Host has no path", 400, SP_SLICE("GET / HTTP/1.1\r\nHost: a/b\r\n\r\n")},
    {"a Host has no user", 400, SP_SLICE("GET / HTTP/1.1\r\nHost: u@a\r\n\r\n")},
    {"a Host has no space", 400, SP_SLICE("GET / HTTP/1.1\r\nHost: a b\r\n\r\n")},
    {"a port is digits", 400, SP_SLICE("GET / HTTP/1.1\r\nHost: a:8x\r\n\r\n")},
    {"a port has five digits", 400, SP_SLICE("GET / HTTP/1.1\r\nHost: a:808080\r\n\r\n")},
    {"an address in brackets is closed", 400, SP_SLICE("GET / HTTP/1.1\r\nHost: [::1\r\n\r\n")},
    {"an address in brackets is hexadecimal", 400,
     SP_SLICE("GET / HTTP/1.1\r\nHost: [::g]\r\n\r\n")},
    /* Content-Length */
    {"one Content-Length", 400,
     SP_SLICE("POST / HTTP/1.1\r\n" H "Content-Length: 1\r\nContent-Length: 2\r\n\r\n")},
    {"one Content-Length, even when equal", 400,
     SP_SLICE("POST / HTTP/1.1\r\n" H "Content-Length: 1\r\nContent-length: 1\r\n\r\n")},
    {"no list of lengths", 400, SP_SLICE("POST / HTTP/1.1\r\n" H "Content-Length: 1, 1\r\n\r\n")},
    {"no sign", 400, SP_SLICE("POST / HTTP/1.1\r\n" H "Content-Length: +1\r\n\r\n")},
    {"no minus", 400, SP_SLICE("POST / HTTP/1.1\r\n" H "Content-Length: -1\r\n\r\n")},
    {"no hexadecimal length", 400, SP_SLICE("POST / HTTP/1.1\r\n" H "Content-Length: 0x1\r\n\r\n")},
    {"no empty length", 400, SP_SLICE("POST / HTTP/1.1\r\n" H "Content-Length:\r\n\r\n")},
    {"no space inside a length", 400,
     SP_SLICE("POST / HTTP/1.1\r\n" H "Content-Length: 1 1\r\n\r\n")},
    {"no length of 19 digits", 400,
     SP_SLICE("POST / HTTP/1.1\r\n" H "Content-Length: 1000000000000000000\r\n\r\n")},
    {"no length of 30 digits", 400,
     SP_SLICE("POST / HTTP/1.1\r\n" H "Content-Length: 100000000000000000000000000000\r\n\r\n")},
    /* Transfer-Encoding */
    {"both framings", 400,
     SP_SLICE("POST / HTTP/1.1\r\n" H "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n")},
    {"both framings the other way", 400,
     SP_SLICE("POST / HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\nContent-Length: 0\r\n\r\n")},
    {"another coding", 501, SP_SLICE("POST / HTTP/1.1\r\n" H "Transfer-Encoding: gzip\r\n\r\n")},
    {"another coding besides", 501,
     SP_SLICE("POST / HTTP/1.1\r\n" H "Transfer-Encoding: gzip, chunked\r\n\r\n")},
    {"identity", 501, SP_SLICE("POST / HTTP/1.1\r\n" H "Transfer-Encoding: identity\r\n\r\n")},
    {"chunked twice in a list", 501,
     SP_SLICE("POST / HTTP/1.1\r\n" H "Transfer-Encoding: chunked, chunked\r\n\r\n")},
    {"chunked twice in lines", 501,
     SP_SLICE("POST / HTTP/1.1\r\n" H
              "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n")},
    {"chunked, then another line", 501,
     SP_SLICE("POST / HTTP/1.1\r\n" H
              "Transfer-Encoding: chunked\r\nTransfer-Encoding: x\r\n\r\n")},
    {"another line, then chunked", 501,
     SP_SLICE("POST / HTTP/1.1\r\n" H
              "Transfer-Encoding: x\r\nTransfer-Encoding: chunked\r\n\r\n")},
    {"no empty coding", 501, SP_SLICE("POST / HTTP/1.1\r\n" H "Transfer-Encoding:\r\n\r\n")},
    {"chunked with a tail", 501,
     SP_SLICE("POST / HTTP/1.1\r\n" H "Transfer-Encoding: chunkedx\r\n\r\n")},
    {"chunked in quotes", 501,
     SP_SLICE("POST / HTTP/1.1\r\n" H "Transfer-Encoding: \"chunked\"\r\n\r\n")},
    {"chunked with a vertical tab", 400,
     SP_SLICE("POST / HTTP/1.1\r\n" H "Transfer-Encoding: \x0B"
              "chunked\r\n\r\n")},
    {"chunked in HTTP/1.0", 501,
     SP_SLICE("POST / HTTP/1.0\r\n" H "Transfer-Encoding: chunked\r\n\r\n")},
};

static void test_every_strict_rule_refuses_with_its_status(void **state)
{
    (void)state;
    for (size_t i = 0; i < SP_LEN(refused); i++) {
        long n = parse(refused[i].head);

        if (n != -1 || fail_.status != refused[i].status)
            fail_msg("%s: got %ld, status %d (%s), wanted %d", refused[i].rule, n, fail_.status,
                     fail_.reason ? fail_.reason : "", refused[i].status);
        assert_non_null(fail_.reason);
    }
}

static void test_a_refusal_does_not_depend_on_how_the_bytes_arrive(void **state)
{
    (void)state;
    for (size_t i = 0; i < SP_LEN(refused); i++) {
        long n = 0;

        for (size_t len = 0; n == 0 && len <= refused[i].head.len; len++)
            n = parse(sp_slice(refused[i].head.ptr, len));
        if (n != -1 || fail_.status != refused[i].status)
            fail_msg("%s: byte by byte %ld, status %d", refused[i].rule, n, fail_.status);
    }
}

/* --- what is taken ---------------------------------------------------------------------------- */

static const struct sp_slice accepted[] = {
    SP_SLICE("GET / HTTP/1.1\r\nHost: a\r\n\r\n"),
    SP_SLICE("GET / HTTP/1.0\r\n\r\n"),
    SP_SLICE("GET /a%20b?q=%7B&r={x|y}\\^` HTTP/1.1\r\nhOST:a.example:8080\r\n\r\n"),
    SP_SLICE("GET http://b.example:81/x?y HTTP/1.1\r\nHost: a\r\n\r\n"),
    SP_SLICE("GET HTTPS://b.example HTTP/1.1\r\nHost: a\r\n\r\n"),
    SP_SLICE("OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n"),
    SP_SLICE("BREW /pot HTTP/1.1\r\nHost: a\r\n\r\n"),
    SP_SLICE("POST / HTTP/1.1\r\nHost: [::1]:7860\r\nContent-Length: 007\r\n\r\n"),
    SP_SLICE("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: \t Chunked \t\r\n\r\n"),
    SP_SLICE("GET / HTTP/1.1\r\nHost: a\r\nX:\r\nY: \t \r\nZ: a\tb  c\xFF\xC3\xA9 \t\r\n\r\n"),
    SP_SLICE("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 999999999999999999\r\n\r\n"),
};

static void test_good_heads_are_taken_whole_and_no_sooner(void **state)
{
    (void)state;
    for (size_t i = 0; i < SP_LEN(accepted); i++) {
        for (size_t len = 0; len < accepted[i].len; len++)
            if (parse(sp_slice(accepted[i].ptr, len)) != 0)
                fail_msg("head %zu answered at byte %zu: %s", i, len, fail_.reason);
        if (parse(accepted[i]) != (long)accepted[i].len)
            fail_msg("head %zu: %s", i, fail_.reason);
    }
}

static void assert_slice(struct sp_slice got, const char *wanted)
{
    if (!sp_slice_eq_str(got, wanted))
        fail_msg("got '%.*s', wanted '%s'", (int)got.len, got.ptr, wanted);
}

static void test_fields_of_a_request_are_where_they_stand(void **state)
{
    (void)state;
    assert_true(
        parse(SP_SLICE("PUT /a/b?x=1&y=2?3 HTTP/1.1\r\nHost: h:1\r\nExpect: 100-continue\r\n"
                       "Content-Length: 42\r\nX-Empty:\r\nX-Space: \t a b \t\r\n\r\nBODY")) > 0);
    assert_int_equal(req.method, SP_HTTP_PUT);
    assert_slice(req.method_name, "PUT");
    assert_slice(req.target, "/a/b?x=1&y=2?3");
    assert_slice(req.path, "/a/b");
    assert_slice(req.query, "x=1&y=2?3");
    assert_slice(req.host, "h:1");
    assert_int_equal(req.minor, 1);
    assert_true(req.keep_alive);
    assert_true(req.expect_continue);
    assert_false(req.upgrade_websocket);
    assert_int_equal(req.body, SP_HTTP_BODY_LENGTH);
    assert_int_equal(req.content_length, 42);
    assert_int_equal(req.n_headers, 5);
    assert_slice(sp_http_header(&req, "x-space"), "a b");
    assert_non_null(sp_http_header(&req, "x-empty").ptr);
    assert_int_equal(sp_http_header(&req, "x-empty").len, 0);
    assert_null(sp_http_header(&req, "x-none").ptr);
}

static void test_an_absolute_target_names_the_host(void **state)
{
    (void)state;
    assert_true(parse(SP_SLICE("GET http://b:81?q HTTP/1.1\r\nHost: a\r\n\r\n")) > 0);
    assert_slice(req.host, "b:81");
    assert_slice(req.path, "/");
    assert_slice(req.query, "q");

    assert_true(parse(SP_SLICE("GET / HTTP/1.0\r\n\r\n")) > 0);
    assert_null(req.host.ptr);
    assert_null(req.query.ptr);
}

static const struct {
    struct sp_slice headers;
    unsigned minor;
    bool keep_alive;
    bool websocket;
} connections[] = {
    {SP_SLICE(""), 1, true, false},
    {SP_SLICE(""), 0, false, false},
    {SP_SLICE("Connection: close\r\n"), 1, false, false},
    {SP_SLICE("Connection: Keep-Alive\r\n"), 0, true, false},
    {SP_SLICE("Connection: keep-alive, close\r\n"), 0, false, false},
    {SP_SLICE("Connection: x\r\nConnection: ,, CLOSE ,\r\n"), 1, false, false},
    {SP_SLICE("Connection: closed\r\n"), 1, true, false},
    {SP_SLICE("Connection: keep-alive, Upgrade\r\nUpgrade: WebSocket\r\n"), 1, true, true},
    {SP_SLICE("Upgrade: h2c, websocket\r\nConnection: upgrade\r\n"), 1, true, true},
    {SP_SLICE("Upgrade: websocket\r\n"), 1, true, false},
    {SP_SLICE("Connection: upgrade\r\nUpgrade: h2c\r\n"), 1, true, false},
    {SP_SLICE("Connection: upgrade\r\nUpgrade: websocket\r\n"), 0, false, false},
};

static void test_connection_options_are_read_as_a_list(void **state)
{
    (void)state;
    for (size_t i = 0; i < SP_LEN(connections); i++) {
        char head[256];
        int n = snprintf(head, sizeof(head), "GET / HTTP/1.%u\r\nHost: a\r\n%s\r\n",
                         connections[i].minor, connections[i].headers.ptr);

        assert_int_equal(parse(sp_slice(head, (size_t)n)), n);
        if (req.keep_alive != connections[i].keep_alive ||
            req.upgrade_websocket != connections[i].websocket)
            fail_msg("row %zu: keep_alive %d websocket %d", i, req.keep_alive,
                     req.upgrade_websocket);
    }
}

static void test_expect_counts_only_in_http_1_1(void **state)
{
    (void)state;
    assert_true(parse(SP_SLICE("GET / HTTP/1.0\r\nExpect: 100-continue\r\n\r\n")) > 0);
    assert_false(req.expect_continue);
    assert_true(parse(SP_SLICE("GET / HTTP/1.1\r\n" H "Expect: 200-maybe\r\n\r\n")) > 0);
    assert_false(req.expect_continue);
}

static void test_nothing_is_left_over_from_the_request_before(void **state)
{
    (void)state;
    assert_true(parse(SP_SLICE("POST /x?y HTTP/1.1\r\n" H
                               "Content-Length: 5\r\nExpect: 100-continue\r\n\r\n")) > 0);
    assert_true(parse(SP_SLICE("GET / HTTP/1.0\r\n\r\n")) > 0);
    assert_int_equal(req.body, SP_HTTP_BODY_NONE);
    assert_int_equal(req.content_length, 0);
    assert_int_equal(req.n_headers, 0);
    assert_null(req.host.ptr);
    assert_null(req.query.ptr);
    assert_false(req.expect_continue);
}

static void test_methods_have_names(void **state)
{
    static const char *const names[] = {"GET",   "HEAD",   "POST",    "PUT",
                                        "PATCH", "DELETE", "OPTIONS", "OTHER"};

    (void)state;
    for (int m = SP_HTTP_GET; m <= SP_HTTP_OTHER; m++) {
        char head[64];
        int n = snprintf(head, sizeof(head), "%s / HTTP/1.0\r\n\r\n", names[m]);

        assert_string_equal(sp_http_method_to_string((enum sp_http_method)m), names[m]);
        assert_int_equal(parse(sp_slice(head, (size_t)n)), n);
        assert_int_equal(req.method, m);
    }
    assert_true(parse(SP_SLICE("get / HTTP/1.0\r\n\r\n")) > 0); /* methods are case-sensitive */
    assert_int_equal(req.method, SP_HTTP_OTHER);
}

/* --- limits ----------------------------------------------------------------------------------- */

/* A head of exactly `size` bytes. */
static struct sp_slice head_of(size_t size, struct sp_buf *buf)
{
    static const char begin[] = "GET / HTTP/1.1\r\nHost: a\r\nX: ";

    sp_buf_reset(buf);
    (void)sp_buf_append_str(buf, begin);
    while (buf->len < size - 4)
        (void)sp_buf_append_char(buf, 'x');
    (void)sp_buf_append_str(buf, "\r\n\r\n");
    return sp_buf_slice(buf);
}

static void test_a_head_of_32_kib_fits_and_one_byte_more_does_not(void **state)
{
    SP_AUTO_BUF struct sp_buf buf = {0};
    struct sp_slice head = head_of(SP_HTTP_HEAD_MAX, &buf);

    (void)state;
    assert_int_equal(parse(head), SP_HTTP_HEAD_MAX);
    assert_int_equal(parse(sp_slice(head.ptr, head.len - 1)), 0);

    head = head_of(SP_HTTP_HEAD_MAX + 1, &buf);
    assert_int_equal(parse(head), -1);
    assert_int_equal(fail_.status, 431);
    assert_int_equal(parse(sp_slice(head.ptr, head.len - 1)), -1); /* without waiting for the end */
    assert_int_equal(fail_.status, 431);
}

static void test_a_target_of_8_kib_fits_and_one_byte_more_does_not(void **state)
{
    SP_AUTO_BUF struct sp_buf buf = {0};

    (void)state;
    for (size_t extra = 0; extra < 2; extra++) {
        sp_buf_reset(&buf);
        (void)sp_buf_append_str(&buf, "GET /");
        for (size_t i = 1; i < SP_HTTP_TARGET_MAX + extra; i++)
            (void)sp_buf_append_char(&buf, 'a');
        if (extra) { /* known before the end of the target has come */
            assert_int_equal(parse(sp_buf_slice(&buf)), -1);
            assert_int_equal(fail_.status, 414);
        }
        (void)sp_buf_append_str(&buf, " HTTP/1.0\r\n\r\n");
        assert_int_equal(parse(sp_buf_slice(&buf)), extra ? -1 : (long)buf.len);
    }
    assert_int_equal(fail_.status, 414);
}

static void test_128_headers_fit_and_one_more_does_not(void **state)
{
    SP_AUTO_BUF struct sp_buf buf = {0};

    (void)state;
    (void)sp_buf_append_str(&buf, "GET / HTTP/1.0\r\n");
    for (int i = 0; i < SP_HTTP_HEADERS_MAX; i++)
        (void)sp_buf_append_str(&buf, "a: b\r\n");
    (void)sp_buf_append_str(&buf, "\r\n");
    assert_int_equal(parse(sp_buf_slice(&buf)), buf.len);
    assert_int_equal(req.n_headers, SP_HTTP_HEADERS_MAX);

    buf.len -= 2;
    (void)sp_buf_append_str(&buf, "a: b\r\n\r\n");
    assert_int_equal(parse(sp_buf_slice(&buf)), -1);
    assert_int_equal(fail_.status, 431);
}

/* --- lookups ---------------------------------------------------------------------------------- */

static void test_cookies_are_found_in_any_cookie_header(void **state)
{
    (void)state;
    assert_true(parse(SP_SLICE("GET / HTTP/1.1\r\n" H "Cookie: a=1; session=x=y; sess=2\r\n"
                               "Cookie: b=\r\n\r\n")) > 0);
    assert_slice(sp_http_cookie(&req, "a"), "1");
    assert_slice(sp_http_cookie(&req, "session"), "x=y");
    assert_slice(sp_http_cookie(&req, "sess"), "2");
    assert_non_null(sp_http_cookie(&req, "b").ptr);
    assert_int_equal(sp_http_cookie(&req, "b").len, 0);
    assert_null(sp_http_cookie(&req, "ses").ptr);
    assert_null(sp_http_cookie(&req, "y").ptr);
}

static void test_tokens_are_found_in_lists(void **state)
{
    (void)state;
    assert_true(parse(SP_SLICE("GET / HTTP/1.1\r\n" H "Accept-Encoding: br, GZIP ,x\r\n"
                               "Accept-Encoding: deflate\r\n\r\n")) > 0);
    assert_true(sp_http_header_has_token(&req, "accept-encoding", "gzip"));
    assert_true(sp_http_header_has_token(&req, "accept-encoding", "deflate"));
    assert_false(sp_http_header_has_token(&req, "accept-encoding", "gz"));
    assert_false(sp_http_header_has_token(&req, "accept", "br"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_strict_rule_refuses_with_its_status),
        cmocka_unit_test(test_a_refusal_does_not_depend_on_how_the_bytes_arrive),
        cmocka_unit_test(test_good_heads_are_taken_whole_and_no_sooner),
        cmocka_unit_test(test_fields_of_a_request_are_where_they_stand),
        cmocka_unit_test(test_an_absolute_target_names_the_host),
        cmocka_unit_test(test_connection_options_are_read_as_a_list),
        cmocka_unit_test(test_expect_counts_only_in_http_1_1),
        cmocka_unit_test(test_nothing_is_left_over_from_the_request_before),
        cmocka_unit_test(test_methods_have_names),
        cmocka_unit_test(test_a_head_of_32_kib_fits_and_one_byte_more_does_not),
        cmocka_unit_test(test_a_target_of_8_kib_fits_and_one_byte_more_does_not),
        cmocka_unit_test(test_128_headers_fit_and_one_more_does_not),
        cmocka_unit_test(test_cookies_are_found_in_any_cookie_header),
        cmocka_unit_test(test_tokens_are_found_in_lists),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
