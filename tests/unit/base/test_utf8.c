#include "base/utf8.h"

#include "base/mem.h"
#include "base/str.h"
#include "tests/support/test.h"

static const struct {
    struct sp_slice text;
    bool valid;
} rows[] = {
    {SP_SLICE(""), true},
    {SP_SLICE("abc\0\x7F"), true},
    {SP_SLICE("\xC2\x80"), true},
    {SP_SLICE("\xDF\xBF"), true},
    {SP_SLICE("\xE0\xA0\x80"), true},
    {SP_SLICE("\xED\x9F\xBF"), true},
    {SP_SLICE("\xEE\x80\x80"), true},
    {SP_SLICE("\xEF\xBF\xBF"), true},
    {SP_SLICE("\xF0\x90\x80\x80"), true},
    {SP_SLICE("\xF4\x8F\xBF\xBF"), true},
    {SP_SLICE("\x80"), false},
    {SP_SLICE("\xC0\x80"), false},
    {SP_SLICE("\xC1\xBF"), false},
    {SP_SLICE("\xC2"), false},
    {SP_SLICE("\xC2\x41"), false},
    {SP_SLICE("\xE0\x9F\xBF"), false},
    {SP_SLICE("\xED\xA0\x80"), false},
    {SP_SLICE("\xE2\x82"), false},
    {SP_SLICE("\xE2\x28\xA1"), false},
    {SP_SLICE("\xF0\x8F\xBF\xBF"), false},
    {SP_SLICE("\xF4\x90\x80\x80"), false},
    {SP_SLICE("\xF5\x80\x80\x80"), false},
    {SP_SLICE("\xF0\x9F\x98"), false},
    {SP_SLICE("\xFE"), false},
    {SP_SLICE("\xFF"), false},
};

static void test_only_utf8_is_utf8_wherever_it_is_cut(void **state)
{
    (void)state;
    for (size_t i = 0; i < SP_LEN(rows); i++) {
        if (sp_utf8_valid(rows[i].text.ptr, rows[i].text.len) != rows[i].valid)
            fail_msg("row %zu", i);
        for (size_t cut = 0; cut <= rows[i].text.len; cut++) {
            struct sp_utf8 check = {0};
            bool ok = sp_utf8_feed(&check, rows[i].text.ptr, cut) &&
                      sp_utf8_feed(&check, rows[i].text.ptr + cut, rows[i].text.len - cut) &&
                      sp_utf8_complete(&check);

            if (ok != rows[i].valid)
                fail_msg("row %zu cut at %zu", i, cut);
        }
    }
}

/* Every code point there is, and every two bytes: against the definition. */
static void test_every_code_point_is_taken_and_no_surrogate(void **state)
{
    (void)state;
    for (unsigned code = 0x10000; code <= 0x10FFFF; code++) {
        char text[4] = {(char)(0xF0 | code >> 18), (char)(0x80 | (code >> 12 & 63)),
                        (char)(0x80 | (code >> 6 & 63)), (char)(0x80 | (code & 63))};

        if (sp_utf8_sequence(text, 4) != 4)
            fail_msg("U+%04X", code);
    }
    for (unsigned code = 0; code < 0x10000; code++) {
        char text[3] = {(char)(0xE0 | code >> 12), (char)(0x80 | (code >> 6 & 63)),
                        (char)(0x80 | (code & 63))};
        bool valid = code >= 0x800 && (code < 0xD800 || code > 0xDFFF);

        if (sp_utf8_sequence(text, 3) != (valid ? 3 : 0))
            fail_msg("U+%04X in three bytes", code);
    }
    for (unsigned pair = 0; pair < 0x10000; pair++) {
        char text[2] = {(char)(pair >> 8), (char)pair};
        unsigned a = pair >> 8;
        unsigned b = pair & 0xFF;
        size_t wanted = a < 0x80 ? 1 : a >= 0xC2 && a <= 0xDF && b >= 0x80 && b <= 0xBF ? 2 : 0;

        if (sp_utf8_sequence(text, 2) != wanted)
            fail_msg("bytes %04X", pair);
    }
    assert_int_equal(sp_utf8_sequence("", 0), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_only_utf8_is_utf8_wherever_it_is_cut),
        cmocka_unit_test(test_every_code_point_is_taken_and_no_surrogate),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
