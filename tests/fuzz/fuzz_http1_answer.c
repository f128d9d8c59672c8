/*
 * An app's answer and its body: the same reading whether the bytes come at once or one by one, all
 * slices inside the input, and a framing that is one of four. The first byte says whether it
 * answers HEAD.
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

static struct sp_http_answer whole;
static struct sp_http_answer part;

static long parse_by_bytes(const char *data, size_t size, bool to_head, struct sp_http_fail *fail)
{
    for (size_t len = 0; len <= size; len++) {
        long n = sp_http_parse_answer(data, len, to_head, &part, fail);

        if (n != 0)
            return n;
    }
    return 0;
}

static void check_inside(struct sp_slice s, const char *data, long n)
{
    CHECK(s.len == 0 || (s.ptr >= data && s.ptr + s.len <= data + n));
    for (size_t i = 0; i < s.len; i++)
        CHECK(s.ptr[i] != '\r' && s.ptr[i] != '\n' && s.ptr[i] != '\0');
}

static void check_answer(const char *data, long n, bool to_head)
{
    CHECK(whole.status >= 100 && whole.status <= 599 && whole.minor <= 1);
    CHECK(whole.n_headers <= SP_HTTP_HEADERS_MAX);
    check_inside(whole.reason, data, n);
    for (size_t i = 0; i < whole.n_headers; i++) {
        check_inside(whole.headers[i].name, data, n);
        check_inside(whole.headers[i].value, data, n);
        CHECK(whole.headers[i].name.len > 0);
    }
    if (to_head || whole.status < 200 || whole.status == 204 || whole.status == 304)
        CHECK(whole.body == SP_HTTP_BODY_NONE);
    CHECK((whole.body == SP_HTTP_BODY_LENGTH) <= whole.has_length);
    CHECK(whole.body != SP_HTTP_BODY_CLOSE || !whole.keep_alive);
    CHECK(whole.status >= 200 || whole.minor == 1);
}

static int decode(const char *data, size_t size, size_t step, size_t *ret_at, struct sp_buf *body,
                  struct sp_http_fail *fail)
{
    struct sp_http_body_decoder dec;
    int r = 0;

    *ret_at = 0;
    sp_http_body_init_answer(&dec, &whole);
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
    CHECK(whole.body != SP_HTTP_BODY_NONE || once.len == 0);
    CHECK(whole.body != SP_HTTP_BODY_CLOSE || (r == 0 && once.len == size));
    sp_buf_done(&once);
    sp_buf_done(&bytes);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct sp_http_fail fail = {0};
    struct sp_http_fail slow_fail = {0};
    const char *text = (const char *)data + 1;
    bool to_head;
    long n;

    if (size < 2 || size > 4096)
        return 0;
    to_head = data[0] & 1;
    size--;
    n = sp_http_parse_answer(text, size, to_head, &whole, &fail);
    CHECK(parse_by_bytes(text, size, to_head, &slow_fail) == n);
    CHECK(fail.status == slow_fail.status);
    if (n <= 0) {
        CHECK(n == 0 || (fail.status == 502 && fail.reason));
        return 0;
    }
    check_answer(text, n, to_head);
    check_body(text + n, size - (size_t)n);
    return 0;
}
