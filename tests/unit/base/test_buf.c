#include "base/buf.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "tests/support/test.h"

static void test_appends_add_up(void **state)
{
    SP_AUTO_BUF struct sp_buf buf = {0};

    (void)state;
    assert_string_equal(sp_buf_str(&buf), "");
    assert_true(sp_buf_append_str(&buf, "a"));
    assert_true(sp_buf_append_char(&buf, '\0'));
    assert_true(sp_buf_append_u64(&buf, 0));
    assert_true(sp_buf_append_u64(&buf, UINT64_MAX));
    assert_true(sp_buf_printf(&buf, "-%d-", 7));
    assert_true(sp_buf_append_slice(&buf, (struct sp_slice){0}));
    assert_true(sp_slice_eq(sp_buf_slice(&buf), SP_SLICE("a\0"
                                                         "018446744073709551615-7-")));
}

static void test_a_full_buffer_stays_as_it_was_and_remembers(void **state)
{
    SP_AUTO_BUF struct sp_buf buf;

    (void)state;
    sp_buf_init(&buf, 4);
    assert_true(sp_buf_append_str(&buf, "abcd"));
    assert_false(sp_buf_append_str(&buf, "e"));
    assert_string_equal(sp_buf_str(&buf), "abcd");
    assert_true(buf.failed);
    assert_false(sp_buf_append_str(&buf, "")); /* one check after a run of appends is enough */
    sp_buf_reset(&buf);
    assert_false(sp_buf_printf(&buf, "%s", "abcde"));
    sp_buf_reset(&buf);
    assert_true(sp_buf_append_str(&buf, "wxyz"));
}

static void test_lengths_cannot_overflow(void **state)
{
    SP_AUTO_BUF struct sp_buf buf = {0};

    (void)state;
    assert_true(sp_buf_append_str(&buf, "abc"));
    assert_null(sp_buf_reserve(&buf, SIZE_MAX - 1));
    assert_true(buf.failed);
}

static void test_consuming_drops_from_the_front(void **state)
{
    SP_AUTO_BUF struct sp_buf buf = {0};

    (void)state;
    (void)sp_buf_append_str(&buf, "abcdef");
    sp_buf_consume(&buf, 2);
    assert_string_equal(sp_buf_str(&buf), "cdef");
    sp_buf_consume(&buf, 0);
    sp_buf_consume(&buf, 100);
    assert_int_equal(buf.len, 0);
}

static void test_stealing_hands_the_bytes_over(void **state)
{
    struct sp_buf buf;
    char *text;
    size_t len = 9;

    (void)state;
    sp_buf_init(&buf, 10);
    text = sp_buf_steal(&buf, &len); /* never NULL */
    assert_string_equal(text, "");
    assert_int_equal(len, 0);
    free(text);
    (void)sp_buf_append_str(&buf, "abc");
    text = sp_buf_steal(&buf, &len);
    assert_string_equal(text, "abc");
    assert_int_equal(len, 3);
    assert_int_equal(buf.max, 10);
    free(text);
    sp_buf_done(&buf);
    sp_buf_done(NULL);
}

static void test_json_strings_are_escaped_and_always_utf8(void **state)
{
    static const struct {
        struct sp_slice in;
        const char *out;
    } rows[] = {
        {SP_SLICE(""), "\"\""},
        {SP_SLICE("a\"b\\c/"), "\"a\\\"b\\\\c/\""},
        {SP_SLICE("\n\t\r\x01\x1f\x7f"), "\"\\n\\u0009\\u000d\\u0001\\u001f\x7f\""},
        {SP_SLICE("a\0b"), "\"a\\u0000b\""},
        {SP_SLICE("\xC3\xA9\xE2\x82\xAC\xF0\x9F\x98\x80"),
         "\"\xC3\xA9\xE2\x82\xAC\xF0\x9F\x98\x80\""},
        {SP_SLICE("x\xFFy\xC3"), "\"x\xEF\xBF\xBDy\xEF\xBF\xBD\""},
        {SP_SLICE("\xC0\xAF"), "\"\xEF\xBF\xBD\xEF\xBF\xBD\""},
        {SP_SLICE("\xED\xA0\x80"), "\"\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD\""},
    };

    (void)state;
    for (size_t i = 0; i < SP_LEN(rows); i++) {
        SP_AUTO_BUF struct sp_buf buf = {0};

        assert_true(sp_buf_append_json_string(&buf, rows[i].in));
        assert_string_equal(sp_buf_str(&buf), rows[i].out);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_appends_add_up),
        cmocka_unit_test(test_a_full_buffer_stays_as_it_was_and_remembers),
        cmocka_unit_test(test_lengths_cannot_overflow),
        cmocka_unit_test(test_consuming_drops_from_the_front),
        cmocka_unit_test(test_stealing_hands_the_bytes_over),
        cmocka_unit_test(test_json_strings_are_escaped_and_always_utf8),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
