#include "base/json.h"

#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "tests/support/test.h"

static struct sp_error err;

static void test_documents_are_parsed_or_say_where_they_break(void **state)
{
    static const char *const bad[] = {"", "{", "{\"a\":1,\"a\":2}", "[NaN]", "{} x", "\"\xFF\""};
    SP_AUTO_JSON json_t *value = NULL;

    (void)state;
    assert_int_equal(sp_json_parse(SP_SLICE(" {\"a\":[1]} "), &value, &err), 0);
    assert_true(json_is_object(value));
    for (size_t i = 0; i < SP_LEN(bad); i++) {
        json_t *other = NULL;

        assert_true(sp_json_parse(sp_slice_str(bad[i]), &other, &err) < 0);
        assert_int_equal(err.kind, SP_ERR_INVALID);
        assert_null(other);
    }
}

static void test_a_document_that_is_too_large_is_refused_unread(void **state)
{
    SP_AUTO_BUF struct sp_buf text = {0};
    SP_AUTO_JSON json_t *value = NULL;

    (void)state;
    (void)sp_buf_append_str(&text, "\"");
    while (text.len < SP_JSON_MAX - 1)
        (void)sp_buf_append_char(&text, 'x');
    (void)sp_buf_append_str(&text, "\"");
    assert_int_equal(sp_json_parse(sp_buf_slice(&text), &value, &err), 0);
    (void)sp_buf_append_str(&text, " ");
    json_decref(SP_TAKE(value));
    assert_true(sp_json_parse(sp_buf_slice(&text), &value, &err) < 0);
    assert_int_equal(err.kind, SP_ERR_LIMIT);
}

static void test_fields_have_types_and_ranges(void **state)
{
    SP_AUTO_JSON json_t *obj =
        json_pack("{s:s, s:i, s:b, s:n, s:f}", "s", "x", "i", 5, "b", 1, "n", "f", 1.5);
    const char *s = "default";
    int64_t i = 7;
    bool b = false;

    (void)state;
    assert_int_equal(sp_json_get_str(obj, "s", &s, &err), 0);
    assert_string_equal(s, "x");
    assert_int_equal(sp_json_get_int(obj, "i", 0, 5, &i, &err), 0);
    assert_int_equal(i, 5);
    assert_int_equal(sp_json_get_bool(obj, "b", &b, &err), 0);
    assert_true(b);
    assert_int_equal(sp_json_get_str(obj, "none", &s, &err), 0);
    assert_int_equal(sp_json_get_str(obj, "n", &s, &err), 0);
    assert_string_equal(s, "x"); /* absent and null leave it */
    assert_true(sp_json_get_str(obj, "i", &s, &err) < 0);
    assert_non_null(strstr(err.msg, "'i'"));
    assert_true(sp_json_get_int(obj, "i", 0, 4, &i, &err) < 0);
    assert_true(sp_json_get_int(obj, "f", 0, 4, &i, &err) < 0);
    assert_true(sp_json_get_bool(obj, "i", &b, &err) < 0);
}

static void test_a_dump_is_compact_and_stops_at_the_ceiling(void **state)
{
    SP_AUTO_JSON json_t *value = json_pack("{s:[i,n]}", "a", 1);
    SP_AUTO_BUF struct sp_buf buf = {0};
    SP_AUTO_BUF struct sp_buf small = {.max = 5};

    (void)state;
    assert_true(sp_json_dump(value, &buf));
    assert_string_equal(sp_buf_str(&buf), "{\"a\":[1,null]}");
    assert_false(sp_json_dump(value, &small));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_documents_are_parsed_or_say_where_they_break),
        cmocka_unit_test(test_a_document_that_is_too_large_is_refused_unread),
        cmocka_unit_test(test_fields_have_types_and_ranges),
        cmocka_unit_test(test_a_dump_is_compact_and_stops_at_the_ceiling),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
