#include "ui-protocol/http1.h"

#include <string.h>

#include "base/buf.h"
#include "base/mem.h"
#include "tests/support/test.h"

static const struct {
    struct sp_slice in;
    bool path;
    const char *out; /* NULL: refused */
} decodings[] = {
    {SP_SLICE(""), true, ""},
    {SP_SLICE("/a%20b/%C3%A9"), true, "/a b/\xC3\xA9"},
    {SP_SLICE("a%2Fb"), false, "a/b"},
    {SP_SLICE("a+b%2B"), false, "a+b+"},
    {SP_SLICE("%2541"), true, "%41"}, /* once, never twice */
    {SP_SLICE("/.../..a/a.."), true, "/.../..a/a.."},
    {SP_SLICE("/../x"), false, "/../x"},
    {SP_SLICE("%"), false, NULL},
    {SP_SLICE("%4"), false, NULL},
    {SP_SLICE("%4g"), false, NULL},
    {SP_SLICE("%-1"), false, NULL},
    {SP_SLICE("%00"), false, NULL},
    {SP_SLICE("%0A"), false, NULL},
    {SP_SLICE("%7f"), false, NULL},
    {SP_SLICE("a\x01"), false, NULL},
    {SP_SLICE("%FF"), false, NULL},
    {SP_SLICE("%C3"), false, NULL},
    {SP_SLICE("%C0%AF"), true, NULL},    /* an overlong '/' */
    {SP_SLICE("%ED%A0%80"), true, NULL}, /* a surrogate */
    {SP_SLICE("/a%2Fb"), true, NULL},
    {SP_SLICE("/a%5Cb"), true, NULL},
    {SP_SLICE("/a\\b"), true, NULL},
    {SP_SLICE("/a/../b"), true, NULL},
    {SP_SLICE("/a/.."), true, NULL},
    {SP_SLICE("/./a"), true, NULL},
    {SP_SLICE("/%2e%2E/a"), true, NULL},
    {SP_SLICE("/.%2e"), true, NULL},
    {SP_SLICE(".."), true, NULL},
};

static void test_percent_decoding_takes_and_refuses_what_the_table_says(void **state)
{
    (void)state;
    for (size_t i = 0; i < SP_LEN(decodings); i++) {
        char out[64];
        long n = sp_http_percent_decode(decodings[i].in, decodings[i].path, out, sizeof(out));

        if (!decodings[i].out ? n != -1 : n < 0 || strcmp(out, decodings[i].out) != 0)
            fail_msg("'%s': %ld", decodings[i].in.ptr, n);
    }
}

static void test_percent_decoding_needs_room_for_the_terminator(void **state)
{
    char out[4] = "zzz";

    (void)state;
    assert_int_equal(sp_http_percent_decode(SP_SLICE("ab%63"), false, out, 4), 3);
    assert_string_equal(out, "abc");
    assert_int_equal(sp_http_percent_decode(SP_SLICE("abcd"), false, out, 4), -1);
    assert_int_equal(sp_http_percent_decode(SP_SLICE(""), false, out, 0), -1);
}

/* The digits behind the end are somebody else's. */
static void test_an_escape_is_not_completed_from_beyond_the_end(void **state)
{
    char out[8];

    (void)state;
    assert_int_equal(sp_http_percent_decode(sp_slice("a%41", 3), false, out, sizeof(out)), -1);
    assert_int_equal(sp_http_percent_decode(sp_slice("a%41", 2), false, out, sizeof(out)), -1);
    assert_int_equal(sp_http_form_decode(sp_slice("a%41", 3), out, sizeof(out)), -1);
    assert_int_equal(sp_http_percent_decode(sp_slice("a%41", 4), false, out, sizeof(out)), 2);
}

static void test_query_parameters_are_found_by_their_whole_name(void **state)
{
    struct sp_slice q = SP_SLICE("ab=0&a=1%20x+y&flag&a=2&=3&e=");
    char out[16];

    (void)state;
    assert_true(sp_slice_eq_str(sp_http_query(q, "a"), "1%20x+y"));
    assert_true(sp_http_query_get(q, "a", out, sizeof(out)));
    assert_string_equal(out, "1 x y");
    assert_true(sp_slice_eq_str(sp_http_query(q, "ab"), "0"));
    assert_non_null(sp_http_query(q, "flag").ptr);
    assert_true(sp_http_query_get(q, "e", out, sizeof(out)));
    assert_string_equal(out, "");
    assert_null(sp_http_query(q, "fla").ptr);
    assert_null(sp_http_query(q, "flags").ptr);
    assert_null(sp_http_query((struct sp_slice){0}, "a").ptr);
    assert_false(sp_http_query_get(q, "none", out, sizeof(out)));
    assert_false(sp_http_query_get(SP_SLICE("a=%zz"), "a", out, sizeof(out)));
    assert_false(sp_http_query_get(SP_SLICE("a=0123456789abcdef"), "a", out, sizeof(out)));
}

static void test_every_byte_comes_back_from_encoding_and_decoding(void **state)
{
    SP_AUTO_BUF struct sp_buf out = {0};
    char back[512];

    (void)state;
    for (unsigned c = 0x20; c < 0x7F; c++) {
        char text[1] = {(char)c};

        sp_buf_reset(&out);
        assert_true(sp_http_percent_encode(sp_slice(text, 1), false, &out));
        assert_int_equal(sp_http_percent_decode(sp_buf_slice(&out), false, back, sizeof(back)), 1);
        assert_int_equal(back[0], text[0]);
    }
    sp_buf_reset(&out);
    assert_true(sp_http_percent_encode(SP_SLICE("/a b/\xC3\xA9\"~"), true, &out));
    assert_string_equal(sp_buf_str(&out), "/a%20b/%C3%A9%22~");
    sp_buf_reset(&out);
    assert_true(sp_http_percent_encode(SP_SLICE("/"), false, &out));
    assert_string_equal(sp_buf_str(&out), "%2F");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_percent_decoding_takes_and_refuses_what_the_table_says),
        cmocka_unit_test(test_percent_decoding_needs_room_for_the_terminator),
        cmocka_unit_test(test_an_escape_is_not_completed_from_beyond_the_end),
        cmocka_unit_test(test_query_parameters_are_found_by_their_whole_name),
        cmocka_unit_test(test_every_byte_comes_back_from_encoding_and_decoding),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
