/*
 * A request and its body: the same answer whether the bytes come at once or one by one, all slices
 * inside the input, and what is decoded encodes back.
 */
#include "ui-protocol/http1.h"

#include <stdlib.h>

#include "base/buf.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define CHECK(cond)                                                                                \
    do {                                                                                           \
        if (!(cond))                                                                               \
            abort();                                                                               \
    } while (0)

static struct sp_http_request whole;
static struct sp_http_request part;

/* The answer to the shortest front of the input that has one. */
static long parse_by_bytes(const char *data, size_t size, struct sp_http_fail *fail)
{
    for (size_t len = 0; len <= size; len++) {
        long n = sp_http_parse_request(data, len, &part, fail);

        if (n != 0)
            return n;
    }
    return 0;
}

static void check_inside(struct sp_slice s, const char *data, long n)
{
    CHECK(!s.ptr || s.len == 0 || sp_slice_eq_str(s, "/") ||
          (s.ptr >= data && s.ptr + s.len <= data + n));
}

static void check_request(const char *data, long n)
{
    check_inside(whole.method_name, data, n);
    check_inside(whole.target, data, n);
    check_inside(whole.path, data, n);
    check_inside(whole.query, data, n);
    check_inside(whole.host, data, n);
    CHECK(whole.path.len > 0 && (whole.path.ptr[0] == '/' || whole.path.ptr[0] == '*'));
    CHECK(whole.minor <= 1 && whole.n_headers <= SP_HTTP_HEADERS_MAX);
    for (size_t i = 0; i < whole.n_headers; i++) {
        check_inside(whole.headers[i].name, data, n);
        check_inside(whole.headers[i].value, data, n);
    }
    (void)sp_http_cookie(&whole, "session");
    (void)sp_http_header_has_token(&whole, "accept", "x");
}

static void check_target(void)
{
    static char text[SP_HTTP_TARGET_MAX + 1];
    static char back[SP_HTTP_TARGET_MAX + 1];
    long n = sp_http_percent_decode(whole.path, true, text, sizeof(text));
    struct sp_buf out = {0};

    (void)sp_http_query_get(whole.query, "a", back, sizeof(back));
    if (n < 0)
        return;
    CHECK(sp_http_percent_encode(sp_slice(text, (size_t)n), true, &out));
    CHECK(sp_http_percent_decode(sp_buf_slice(&out), true, back, sizeof(back)) == n);
    CHECK(memcmp(text, back, (size_t)n) == 0);
    sp_buf_done(&out);
}

/* 1, 0 or -1, the bytes that it took, and the body. */
static int decode(const char *data, size_t size, size_t step, size_t *ret_at, struct sp_buf *body,
                  struct sp_http_fail *fail)
{
    struct sp_http_body_decoder dec;
    int r = 0;

    *ret_at = 0;
    sp_http_body_init(&dec, &whole);
    for (;;) {
        size_t n = size - *ret_at < step ? size - *ret_at : step;
        struct sp_slice piece;
        size_t used = 0;

        r = sp_http_body_feed(&dec, data + *ret_at, n, &used, &piece, fail);
        CHECK(used <= n);
        *ret_at += used;
        if (r < 0)
            return r;
        CHECK(piece.len == 0 || (piece.ptr >= data && piece.ptr + piece.len <= data + *ret_at));
        (void)sp_buf_append_slice(body, piece);
        if (r != 0 || *ret_at == size)
            return r;
        CHECK(used > 0);
    }
}

static void check_body(const char *data, size_t size)
{
    struct sp_buf once = {0};
    struct sp_buf bytes = {0};
    struct sp_http_fail fail = {0};
    size_t a;
    size_t b;
    int r = decode(data, size, size ? size : 1, &a, &once, &fail);

    CHECK(decode(data, size, 1, &b, &bytes, &fail) == r);
    CHECK(a == b && sp_slice_eq(sp_buf_slice(&once), sp_buf_slice(&bytes)));
    sp_buf_done(&once);
    sp_buf_done(&bytes);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *text = (const char *)data;
    struct sp_http_fail fail = {0};
    struct sp_http_fail slow_fail = {0};
    long n;

    if (size == 0 || size > 4096)
        return 0;
    n = sp_http_parse_request(text, size, &whole, &fail);
    CHECK(parse_by_bytes(text, size, &slow_fail) == n);
    CHECK(fail.status == slow_fail.status);
    if (n <= 0) {
        CHECK(n == 0 || (fail.status >= 400 && fail.reason));
        return 0;
    }
    check_request(text, n);
    check_target();
    check_body(text + n, size - (size_t)n);
    return 0;
}
