#include "ui-protocol/http1.h"

#include <stdio.h>

#include "base/buf.h"
#include "base/mem.h"
#include "tests/support/test.h"

static struct sp_http_fail fail_;

/*
 * Feeds `wire` in pieces of `step` bytes; the body goes to `out`. Returns what the last feed said;
 * `*ret_used` is how much of `wire` was the body's.
 */
static int decode(enum sp_http_body kind, uint64_t length, struct sp_slice wire, size_t step,
                  struct sp_buf *out, size_t *ret_used)
{
    struct sp_http_request req = {.body = kind, .content_length = length};
    struct sp_http_body_decoder dec;
    size_t at = 0;
    int r = 0;

    sp_buf_reset(out);
    sp_http_body_init(&dec, &req);
    while (r == 0) {
        size_t n = wire.len - at < step ? wire.len - at : step;
        struct sp_slice piece;
        size_t used;

        r = sp_http_body_feed(&dec, wire.ptr + at, n, &used, &piece, &fail_);
        assert_true(used <= n);
        if (r >= 0)
            (void)sp_buf_append_slice(out, piece);
        if (r == 0 && n == 0)
            break;
        assert_true(r != 0 || used > 0); /* it gets on */
        at += used;
    }
    *ret_used = at;
    return r;
}

static const struct {
    struct sp_slice wire;
    const char *body;
    size_t used;
} good[] = {
    {SP_SLICE("0\r\n\r\n"), "", 5},
    {SP_SLICE("5\r\nhello\r\n0\r\n\r\nNEXT"), "hello", 15},
    {SP_SLICE("1\r\na\r\n002\r\nbc\r\n00000\r\n\r\n"), "abc", 24},
    {SP_SLICE("A\r\n0123456789\r\na\r\n0123456789\r\n0\r\n\r\n"), "01234567890123456789", 35},
    {SP_SLICE("3;name=value;q=\"x y\"\r\nabc\r\n0;last\r\n\r\n"), "abc", 37},
    {SP_SLICE("2\r\n\r\n\r\n0\r\n\r\n"), "\r\n", 12},
    {SP_SLICE("1\r\na\r\n0\r\nTrailer: x\r\nOther:\r\n\r\n"), "a", 31},
    {SP_SLICE("000000000000001\r\na\r\n0\r\n\r\n"), "a", 25},
};

static void test_chunked_bodies_decode_alike_in_every_split(void **state)
{
    SP_AUTO_BUF struct sp_buf out = {0};

    (void)state;
    for (size_t i = 0; i < SP_LEN(good); i++) {
        for (size_t step = 1; step <= good[i].wire.len; step++) {
            size_t used;
            int r = decode(SP_HTTP_BODY_CHUNKED, 0, good[i].wire, step, &out, &used);

            if (r != 1 || used != good[i].used ||
                !sp_slice_eq_str(sp_buf_slice(&out), good[i].body))
                fail_msg("row %zu, step %zu: %d after %zu bytes, '%s' %s", i, step, r, used,
                         sp_buf_str(&out), r < 0 ? fail_.reason : "");
        }
        /* Nothing short of the whole is complete. */
        for (size_t len = 0; len < good[i].used; len++) {
            size_t used;

            assert_int_equal(
                decode(SP_HTTP_BODY_CHUNKED, 0, sp_slice(good[i].wire.ptr, len), 4096, &out, &used),
                0);
        }
    }
}

static const struct {
    const char *rule;
    struct sp_slice wire;
} bad[] = {
    {"a size is there", SP_SLICE("\r\n")},
    {"a size is hexadecimal", SP_SLICE("g\r\n")},
    {"a size has no sign", SP_SLICE("+1\r\na\r\n")},
    {"a size has no minus", SP_SLICE("-1\r\na\r\n")},
    {"a size has no 0x", SP_SLICE("0x1\r\na\r\n")},
    {"no space before a size", SP_SLICE(" 1\r\na\r\n")},
    {"no space behind a size", SP_SLICE("1 \r\na\r\n")},
    {"a size of 16 digits", SP_SLICE("0000000000000001\r\na\r\n")},
    {"a size that would overflow", SP_SLICE("FFFFFFFFFFFFFFFF1\r\na\r\n")},
    {"a bare LF behind a size", SP_SLICE("1\na\r\n")},
    {"a bare CR behind a size", SP_SLICE("1\rXa\r\n")},
    {"a bare LF in an extension", SP_SLICE("1;a\nb\r\na\r\n")},
    {"a control byte in an extension", SP_SLICE("1;a\x01\r\na\r\n")},
    {"a NUL in an extension", SP_SLICE("1;\0\r\na\r\n")},
    {"a chunk ends with CR LF", SP_SLICE("1\r\naXX0\r\n\r\n")},
    {"a chunk does not end with LF", SP_SLICE("1\r\na\n0\r\n\r\n")},
    {"a chunk does not end with CR", SP_SLICE("1\r\na\rX")},
    {"a chunk is not longer than it says", SP_SLICE("1\r\nab\r\n0\r\n\r\n")},
    {"the last chunk ends with CR LF", SP_SLICE("0\r\n\n")},
    {"the empty line is CR LF", SP_SLICE("0\r\n\rX")},
    {"a trailer has a name", SP_SLICE("0\r\n: a\r\n\r\n")},
    {"a trailer has a colon", SP_SLICE("0\r\nabc\r\n\r\n")},
    {"a trailer has no space before its colon", SP_SLICE("0\r\na : b\r\n\r\n")},
    {"a trailer is not folded", SP_SLICE("0\r\na: b\r\n c\r\n\r\n")},
    {"a trailer ends with CR LF", SP_SLICE("0\r\na: b\n\r\n")},
};

static void test_wrong_chunked_framing_is_refused_in_every_split(void **state)
{
    SP_AUTO_BUF struct sp_buf out = {0};

    (void)state;
    for (size_t i = 0; i < SP_LEN(bad); i++) {
        for (size_t step = 1; step <= bad[i].wire.len; step++) {
            size_t used;

            if (decode(SP_HTTP_BODY_CHUNKED, 0, bad[i].wire, step, &out, &used) != -1)
                fail_msg("%s: taken with step %zu", bad[i].rule, step);
            assert_int_equal(fail_.status, 400);
        }
    }
}

/* A stranger could pay for each byte of body with a kilobyte of extension. */
static void test_extensions_and_trailers_have_one_limit_per_body(void **state)
{
    SP_AUTO_BUF struct sp_buf wire = {0};
    SP_AUTO_BUF struct sp_buf out = {0};
    size_t used;
    int chunks = 0;

    (void)state;
    for (; wire.len < 10000; chunks++)
        (void)sp_buf_append_str(&wire, "1;xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\r\na\r\n");
    assert_int_equal(decode(SP_HTTP_BODY_CHUNKED, 0, sp_buf_slice(&wire), 7, &out, &used), -1);
    assert_true(used > 8 * 1024);

    sp_buf_reset(&wire);
    (void)sp_buf_append_str(&wire, "0\r\nx: ");
    while (wire.len < 10000)
        (void)sp_buf_append_char(&wire, 'x');
    assert_int_equal(decode(SP_HTTP_BODY_CHUNKED, 0, sp_buf_slice(&wire), 7, &out, &used), -1);
}

static void test_a_body_with_a_length_ends_where_it_says(void **state)
{
    SP_AUTO_BUF struct sp_buf out = {0};
    size_t used;

    (void)state;
    for (size_t step = 1; step < 10; step++) {
        assert_int_equal(decode(SP_HTTP_BODY_LENGTH, 5, SP_SLICE("helloGET /"), step, &out, &used),
                         1);
        assert_int_equal(used, 5);
        assert_string_equal(sp_buf_str(&out), "hello");
    }
    assert_int_equal(decode(SP_HTTP_BODY_LENGTH, 5, SP_SLICE("hell"), 4, &out, &used), 0);
    assert_int_equal(decode(SP_HTTP_BODY_NONE, 0, SP_SLICE("GET /"), 5, &out, &used), 1);
    assert_int_equal(used, 0);
    assert_int_equal(decode(SP_HTTP_BODY_LENGTH, 0, SP_SLICE("GET /"), 5, &out, &used), 1);
    assert_int_equal(used, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_chunked_bodies_decode_alike_in_every_split),
        cmocka_unit_test(test_wrong_chunked_framing_is_refused_in_every_split),
        cmocka_unit_test(test_extensions_and_trailers_have_one_limit_per_body),
        cmocka_unit_test(test_a_body_with_a_length_ends_where_it_says),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
