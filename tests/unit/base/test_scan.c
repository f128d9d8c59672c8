#include "base/scan.h"

#include <string.h>

#include "base/buf.h"
#include "base/error.h"
#include "base/json.h"
#include "base/mem.h"
#include "tests/support/test.h"

/* --- valid or not, beside jansson ------------------------------------------------------------- */

/* Where the scanner differs from jansson, which must hold every value in memory. */
enum difference {
    SAME,
    SURROGATE, /* \ud800 alone: text to us, not a character to jansson */
    BIG,       /* numbers beyond 64 bits or a double */
    NUL_KEY,   /* \u0000 in a key */
};

static const struct {
    struct sp_slice text;
    bool valid;
    enum difference differs;
} texts[] = {
    {SP_SLICE("{}"), true, SAME},
    {SP_SLICE(" \t\r\n[ ] \n"), true, SAME},
    {SP_SLICE("null"), true, SAME},
    {SP_SLICE("true"), true, SAME},
    {SP_SLICE("false"), true, SAME},
    {SP_SLICE("\"\""), true, SAME},
    {SP_SLICE("0"), true, SAME},
    {SP_SLICE("-0"), true, SAME},
    {SP_SLICE("-0.0e-0"), true, SAME},
    {SP_SLICE("1E+5"), true, SAME},
    {SP_SLICE("123456789.125"), true, SAME},
    {SP_SLICE("[1,[2,{\"a\":[]}],{}]"), true, SAME},
    {SP_SLICE("{\"a\":{\"b\":{\"c\":null}},\"d\":[[[]]]}"), true, SAME},
    {SP_SLICE("{\"\\\\\":\"\\\"\",\"\\\"}\":\"]\"}"), true, SAME},
    {SP_SLICE("{\"a\\\\\\\"b\":[\"\\\\\",\"\\\\\\\\\"]}"), true, SAME},
    {SP_SLICE("\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u00e9\\uD83D\\uDE00\""), true, SAME},
    {SP_SLICE("\"\xC3\xA9\xF0\x9F\x98\x80\x7F\""), true, SAME},
    {SP_SLICE("{\"a\":1,\"a\":2}"), true, SAME},
    {SP_SLICE("\"\\u0000\""), true, SAME}, /* with JSON_ALLOW_NUL */
    {SP_SLICE("{\"\\u0000\":1}"), true, NUL_KEY},
    {SP_SLICE("\"\\ud800\""), true, SURROGATE},
    {SP_SLICE("\"\\udc00\\ud800\""), true, SURROGATE},
    {SP_SLICE("123456789012345678901234567890"), true, BIG},
    {SP_SLICE("1e999"), true, BIG},
    {SP_SLICE(""), false, SAME},
    {SP_SLICE(" "), false, SAME},
    {SP_SLICE("{"), false, SAME},
    {SP_SLICE("}"), false, SAME},
    {SP_SLICE("[1"), false, SAME},
    {SP_SLICE("[1,]"), false, SAME},
    {SP_SLICE("[,1]"), false, SAME},
    {SP_SLICE("[1 2]"), false, SAME},
    {SP_SLICE("[1,,2]"), false, SAME},
    {SP_SLICE("[1}"), false, SAME},
    {SP_SLICE("{]"), false, SAME},
    {SP_SLICE("{\"a\"}"), false, SAME},
    {SP_SLICE("{\"a\":}"), false, SAME},
    {SP_SLICE("{\"a\":1,}"), false, SAME},
    {SP_SLICE("{\"a\" 1}"), false, SAME},
    {SP_SLICE("{\"a\":1 \"b\":2}"), false, SAME},
    {SP_SLICE("{,}"), false, SAME},
    {SP_SLICE("{a:1}"), false, SAME},
    {SP_SLICE("{'a':1}"), false, SAME},
    {SP_SLICE("{1:1}"), false, SAME},
    {SP_SLICE("{null:1}"), false, SAME},
    {SP_SLICE("nul"), false, SAME},
    {SP_SLICE("nulll"), false, SAME},
    {SP_SLICE("True"), false, SAME},
    {SP_SLICE("NaN"), false, SAME},
    {SP_SLICE("Infinity"), false, SAME},
    {SP_SLICE("-"), false, SAME},
    {SP_SLICE("+1"), false, SAME},
    {SP_SLICE("01"), false, SAME},
    {SP_SLICE("-01"), false, SAME},
    {SP_SLICE("1."), false, SAME},
    {SP_SLICE(".5"), false, SAME},
    {SP_SLICE("1e"), false, SAME},
    {SP_SLICE("1e+"), false, SAME},
    {SP_SLICE("1e5.5"), false, SAME},
    {SP_SLICE("0x10"), false, SAME},
    {SP_SLICE("1 2"), false, SAME},
    {SP_SLICE("\""), false, SAME},
    {SP_SLICE("\"a"), false, SAME},
    {SP_SLICE("\"\\\""), false, SAME},
    {SP_SLICE("\"\\x41\""), false, SAME},
    {SP_SLICE("\"\\u12\""), false, SAME},
    {SP_SLICE("\"\\u12g4\""), false, SAME},
    {SP_SLICE("\"\\\0\""), false, SAME},
    {SP_SLICE("\"a\nb\""), false, SAME},
    {SP_SLICE("\"a\0b\""), false, SAME},
    {SP_SLICE("\"\x1f\""), false, SAME},
    {SP_SLICE("\"\xFF\""), false, SAME},
    {SP_SLICE("\"\xC3\""), false, SAME},
    {SP_SLICE("\"\xED\xA0\x80\""), false, SAME},
    {SP_SLICE("\"\xC0\x80\""), false, SAME},
    {SP_SLICE("[1]\0"), false, SAME},
    {SP_SLICE("[1] x"), false, SAME},
    {SP_SLICE("[1]]"), false, SAME},
    {SP_SLICE("// c\n1"), false, SAME},
    {SP_SLICE("\xEF\xBB\xBF{}"), false, SAME},
    {SP_SLICE("\f1"), false, SAME},
    {SP_SLICE("\v1"), false, SAME},
    {SP_SLICE("\xC2\xA0"
              "1"),
     false, SAME},
};

static bool jansson_takes(struct sp_slice text)
{
    SP_AUTO_JSON json_t *value =
        json_loadb(text.ptr, text.len, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);

    return value != NULL;
}

static void test_what_is_json_is_what_jansson_says(void **state)
{
    (void)state;
    for (size_t i = 0; i < SP_LEN(texts); i++) {
        struct sp_error err = {0};
        bool valid = sp_scan_valid(texts[i].text, &err) == 0;

        if (valid != texts[i].valid)
            fail_msg("'%s': %s", texts[i].text.ptr, err.msg);
        if ((jansson_takes(texts[i].text) == valid) != (texts[i].differs == SAME))
            fail_msg("'%s': jansson %d", texts[i].text.ptr, !valid);
        if (!valid)
            assert_int_equal(err.kind, SP_ERR_INVALID);
    }
}

/* The same texts as a member of an object: valid there exactly when valid alone. */
static void test_a_value_is_judged_alike_inside_an_envelope(void **state)
{
    (void)state;
    for (size_t i = 0; i < SP_LEN(texts); i++) {
        struct sp_scan_field field = {.key = "data"};
        SP_AUTO_BUF struct sp_buf text = {0};
        struct sp_error err;
        bool valid;

        (void)sp_buf_append_str(&text, "{\"data\":");
        (void)sp_buf_append_slice(&text, texts[i].text);
        (void)sp_buf_append_str(&text, "}");
        valid = sp_scan_object(sp_buf_slice(&text), &field, 1, &err) == 0;
        if (valid != texts[i].valid)
            fail_msg("%s: %s", sp_buf_str(&text), valid ? "taken" : err.msg);
        if (valid) {
            struct sp_slice trimmed = texts[i].text;

            while (trimmed.len && strchr(" \t\r\n", trimmed.ptr[0]))
                trimmed = sp_slice(trimmed.ptr + 1, trimmed.len - 1);
            while (trimmed.len && strchr(" \t\r\n", trimmed.ptr[trimmed.len - 1]))
                trimmed.len--;
            assert_true(sp_slice_eq(field.value, trimmed));
        }
    }
}

static void test_nesting_stops_at_64_levels(void **state)
{
    (void)state;
    for (size_t depth = SP_SCAN_DEPTH; depth <= SP_SCAN_DEPTH + 1; depth++) {
        char text[2 * (SP_SCAN_DEPTH + 1)];
        struct sp_error err;

        memset(text, '[', depth);
        memset(text + depth, ']', depth);
        assert_int_equal(sp_scan_valid(sp_slice(text, 2 * depth), &err) == 0,
                         depth == SP_SCAN_DEPTH);
    }
}

/* --- fields ----------------------------------------------------------------------------------- */

static int scan(const char *text, struct sp_scan_field *fields, size_t n)
{
    struct sp_error err;

    return sp_scan_object(sp_slice_str(text), fields, n, &err);
}

static void test_fields_are_found_at_the_top_level_only(void **state)
{
    struct sp_scan_field f[] = {{.key = "a"}, {.key = "b"}, {.key = "c"}, {.key = "none"}};

    (void)state;
    assert_int_equal(scan("{ \"x\":{\"a\":1}, \"a\" : [ 1 , {\"b\":2} ] ,\"b\":\"a\\\"}\",\"aa\":3,"
                          "\"c\":null}",
                          f, 4),
                     0);
    assert_int_equal(f[0].kind, SP_SCAN_ARRAY);
    assert_true(sp_slice_eq_str(f[0].value, "[ 1 , {\"b\":2} ]"));
    assert_int_equal(f[1].kind, SP_SCAN_STRING);
    assert_true(sp_slice_eq_str(f[1].value, "\"a\\\"}\""));
    assert_int_equal(f[2].kind, SP_SCAN_NULL);
    assert_int_equal(f[3].kind, SP_SCAN_ABSENT);
    assert_null(f[3].value.ptr);
}

static void test_a_wanted_key_may_stand_only_once(void **state)
{
    struct sp_scan_field f[] = {{.key = "a"}};

    (void)state;
    assert_true(scan("{\"a\":1,\"a\":1}", f, 1) < 0);
    assert_int_equal(scan("{\"b\":1,\"b\":2,\"a\":3}", f, 1), 0); /* nobody reads b */
    assert_int_equal(scan("{\"\\u0061\":1,\"a\":2}", f, 1), 0);
    assert_true(sp_slice_eq_str(f[0].value, "2"));
    assert_int_equal(scan("{\"\\\\\":1,\"a\\\"\":2}", f, 1), 0);
    assert_int_equal(f[0].kind, SP_SCAN_ABSENT);
}

static void test_only_an_object_is_an_envelope(void **state)
{
    static const char *const bad[] = {"", "[]", "1", "\"a\"", "null", "{} {}", "{\"a\":1}x"};
    struct sp_scan_field f[] = {{.key = "a"}};

    (void)state;
    for (size_t i = 0; i < SP_LEN(bad); i++)
        assert_true(scan(bad[i], f, 1) < 0);
}

static void test_elements_are_walked_one_by_one(void **state)
{
    struct sp_slice array = SP_SLICE("[ 1, \"a,b]\" ,[2,[3]],{\"c\":[4]} ]");
    static const char *const wanted[] = {"1", "\"a,b]\"", "[2,[3]]", "{\"c\":[4]}"};
    struct sp_slice item;
    size_t cursor = 0;

    (void)state;
    for (size_t i = 0; i < SP_LEN(wanted); i++) {
        assert_true(sp_scan_next(array, &cursor, &item));
        assert_true(sp_slice_eq_str(item, wanted[i]));
    }
    assert_false(sp_scan_next(array, &cursor, &item));
    assert_int_equal(sp_scan_count(array), 4);
    assert_int_equal(sp_scan_count(SP_SLICE("[]")), 0);
    assert_int_equal(sp_scan_count(SP_SLICE("[ ]")), 0);
    assert_int_equal(sp_scan_count(SP_SLICE("[[]]")), 1);
}

/* --- values ----------------------------------------------------------------------------------- */

static const struct {
    const char *text;
    const char *value; /* NULL: refused */
} strings[] = {
    {"\"\"", ""},
    {"\"abc\"", "abc"},
    {"\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"", "\"\\/\b\f\n\r\t"},
    {"\"\\u0041\\u00e9\\u20AC\"", "A\xC3\xA9\xE2\x82\xAC"},
    {"\"\\ud83d\\ude00\"", "\xF0\x9F\x98\x80"},
    {"\"\xC3\xA9\"", "\xC3\xA9"},
    {"\"123456789012345\"", "123456789012345"},
    {"\"1234567890123456\"", NULL}, /* the buffer has 16 bytes */
    {"\"12345678901234\\u00e9\"", NULL},
    {"\"\\u0000\"", NULL},
    {"\"\\ud83d\"", NULL},
    {"\"\\ude00\"", NULL},
    {"\"\\ud83dx\"", NULL},
    {"\"\\ud83d\\n\"", NULL},
    {"\"\\ud83d\\u0041\"", NULL},
    {"1", NULL},
    {"null", NULL},
    {"[\"a\"]", NULL},
};

static void test_strings_are_decoded_or_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < SP_LEN(strings); i++) {
        struct sp_scan_field f = {.key = "s"};
        SP_AUTO_FREE char *text = sp_asprintf("{\"s\":%s}", strings[i].text);
        char out[16];
        bool ok;

        assert_int_equal(scan(text, &f, 1), 0);
        ok = sp_scan_get_string(&f, out, sizeof(out));
        if (ok != (strings[i].value != NULL) || (ok && strcmp(out, strings[i].value) != 0))
            fail_msg("%s: %s", strings[i].text, ok ? out : "refused");
    }
}

static void test_numbers_and_booleans_are_read_strictly(void **state)
{
    struct sp_scan_field f[] = {
        {.key = "a"}, {.key = "b"}, {.key = "c"}, {.key = "d"}, {.key = "e"}};
    uint64_t n = 0;
    bool b = false;

    (void)state;
    assert_int_equal(
        scan("{\"a\":18446744073709551615,\"b\":-1,\"c\":1.0,\"d\":\"1\",\"e\":true}", f, 5), 0);
    assert_true(sp_scan_get_u64(&f[0], UINT64_MAX, &n) && n == UINT64_MAX);
    assert_false(sp_scan_get_u64(&f[0], UINT32_MAX, &n));
    for (size_t i = 1; i < 5; i++)
        assert_false(sp_scan_get_u64(&f[i], UINT64_MAX, &n));
    assert_true(sp_scan_get_bool(&f[4], &b) && b);
    assert_false(sp_scan_get_bool(&f[3], &b));
}

static void test_an_absent_field_has_no_value_of_any_kind(void **state)
{
    struct sp_scan_field f = {.key = "a"};
    char text[4];
    uint64_t n;
    bool b;

    (void)state;
    assert_int_equal(scan("{}", &f, 1), 0);
    assert_false(sp_scan_get_string(&f, text, sizeof(text)));
    assert_false(sp_scan_get_u64(&f, 9, &n));
    assert_false(sp_scan_get_bool(&f, &b));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_is_json_is_what_jansson_says),
        cmocka_unit_test(test_a_value_is_judged_alike_inside_an_envelope),
        cmocka_unit_test(test_nesting_stops_at_64_levels),
        cmocka_unit_test(test_fields_are_found_at_the_top_level_only),
        cmocka_unit_test(test_a_wanted_key_may_stand_only_once),
        cmocka_unit_test(test_only_an_object_is_an_envelope),
        cmocka_unit_test(test_elements_are_walked_one_by_one),
        cmocka_unit_test(test_strings_are_decoded_or_refused),
        cmocka_unit_test(test_numbers_and_booleans_are_read_strictly),
        cmocka_unit_test(test_an_absent_field_has_no_value_of_any_kind),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
