#include "base/str.h"

#include <stdlib.h>

#include "base/mem.h"
#include "tests/support/test.h"

static void test_slices_compare_by_bytes(void **state)
{
    (void)state;
    assert_true(sp_slice_eq((struct sp_slice){0}, SP_SLICE("")));
    assert_true(sp_slice_eq(SP_SLICE("a\0b"), SP_SLICE("a\0b")));
    assert_false(sp_slice_eq(SP_SLICE("a\0b"), SP_SLICE("a\0c")));
    assert_true(sp_slice_eq_nocase(SP_SLICE("HoSt"), "host"));
    assert_false(sp_slice_eq_nocase(SP_SLICE("host"), "hosts"));
    assert_true(sp_slice_starts(SP_SLICE("abc"), "ab"));
    assert_true(sp_slice_starts(SP_SLICE("abc"), ""));
    assert_false(sp_slice_starts(SP_SLICE("a"), "ab"));
    assert_true(sp_slice_ends(SP_SLICE("abc"), "bc"));
    assert_false(sp_slice_ends(SP_SLICE("c"), "bc"));
    assert_true(sp_slice_eq_secret(SP_SLICE("abc"), SP_SLICE("abc")));
    assert_false(sp_slice_eq_secret(SP_SLICE("abc"), SP_SLICE("abd")));
    assert_false(sp_slice_eq_secret(SP_SLICE("abc"), SP_SLICE("ab")));
}

static void test_trimming_takes_spaces_and_tabs_only(void **state)
{
    (void)state;
    assert_true(sp_slice_eq_str(sp_slice_trim(SP_SLICE(" \t a b\t ")), "a b"));
    assert_int_equal(sp_slice_trim(SP_SLICE(" \t ")).len, 0);
    assert_int_equal(sp_slice_trim((struct sp_slice){0}).len, 0);
    assert_true(sp_slice_eq_str(sp_slice_trim(SP_SLICE("\na")), "\na"));
}

static void test_splitting_gives_every_piece_and_then_stops(void **state)
{
    struct sp_slice rest = SP_SLICE("a,,b,");
    struct sp_slice piece;

    (void)state;
    for (size_t i = 0; i < 4; i++) {
        static const char *const wanted[] = {"a", "", "b", ""};

        assert_true(sp_slice_split(&rest, ',', &piece));
        assert_true(sp_slice_eq_str(piece, wanted[i]));
    }
    assert_false(sp_slice_split(&rest, ',', &piece));
}

static void test_a_copy_is_terminated_and_own(void **state)
{
    SP_AUTO_FREE char *copy = sp_slice_dup(SP_SLICE("abc"));
    SP_AUTO_FREE char *empty = sp_slice_dup((struct sp_slice){0});

    (void)state;
    assert_string_equal(copy, "abc");
    assert_string_equal(empty, "");
}

static void test_numbers_are_digits_within_bounds(void **state)
{
    static const struct {
        const char *text;
        uint64_t max;
        bool ok;
        uint64_t value;
    } rows[] = {
        {"0", 0, true, 0},
        {"007", 10, true, 7},
        {"18446744073709551615", UINT64_MAX, true, UINT64_MAX},
        {"18446744073709551616", UINT64_MAX, false, 0},
        {"99999999999999999999999", UINT64_MAX, false, 0},
        {"11", 10, false, 0},
        {"", 10, false, 0},
        {"-1", 10, false, 0},
        {"+1", 10, false, 0},
        {" 1", 10, false, 0},
        {"1 ", 10, false, 0},
        {"1a", 10, false, 0},
        {"0x1", 10, false, 0},
    };

    (void)state;
    for (size_t i = 0; i < SP_LEN(rows); i++) {
        uint64_t value = 77;
        bool ok = sp_parse_u64(sp_slice_str(rows[i].text), rows[i].max, &value);

        if (ok != rows[i].ok || value != (ok ? rows[i].value : 77))
            fail_msg("'%s'", rows[i].text);
    }
}

static void test_sizes_and_durations_have_units(void **state)
{
    uint64_t v = 0;

    (void)state;
    assert_true(sp_parse_size(SP_SLICE("512M"), &v) && v == 512ull << 20);
    assert_true(sp_parse_size(SP_SLICE("2GiB"), &v) && v == 2ull << 30);
    assert_true(sp_parse_size(SP_SLICE("64k"), &v) && v == 64ull << 10);
    assert_true(sp_parse_size(SP_SLICE("7"), &v) && v == 7);
    assert_false(sp_parse_size(SP_SLICE("M"), &v));
    assert_false(sp_parse_size(SP_SLICE("1.5G"), &v));
    assert_false(sp_parse_size(SP_SLICE("1X"), &v));
    assert_false(sp_parse_size(SP_SLICE("18446744073709551615k"), &v));
    assert_false(sp_parse_size(SP_SLICE("-1M"), &v));

    assert_true(sp_parse_duration(SP_SLICE("250ms"), &v) && v == 250);
    assert_true(sp_parse_duration(SP_SLICE("15"), &v) && v == 15000);
    assert_true(sp_parse_duration(SP_SLICE("10m"), &v) && v == 600000);
    assert_true(sp_parse_duration(SP_SLICE("48h"), &v) && v == 172800000);
    assert_true(sp_parse_duration(SP_SLICE("14d"), &v) && v == 1209600000);
    assert_false(sp_parse_duration(SP_SLICE("1y"), &v));
    assert_false(sp_parse_duration(SP_SLICE(""), &v));
}

static void test_names_follow_the_rule_of_the_hub(void **state)
{
    static const char *const good[] = {"a", "A-b_c.d", "0", "_x", "x_"};
    static const char *const bad[] = {"",    "-a",  "a-",    ".a",       "a.",  "a--b", "a..b",
                                      "a/b", "a b", "a.git", "\xC3\xA9", "a\n", "a%41", ".."};
    char text[98];

    (void)state;
    for (size_t i = 0; i < SP_LEN(good); i++)
        if (!sp_name_valid(sp_slice_str(good[i])))
            fail_msg("refused '%s'", good[i]);
    for (size_t i = 0; i < SP_LEN(bad); i++)
        if (sp_name_valid(sp_slice_str(bad[i])))
            fail_msg("took '%s'", bad[i]);
    memset(text, 'a', sizeof(text));
    assert_true(sp_name_valid(sp_slice(text, 96)));
    assert_false(sp_name_valid(sp_slice(text, 97)));
    assert_false(sp_name_valid(SP_SLICE("a\0b")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_slices_compare_by_bytes),
        cmocka_unit_test(test_trimming_takes_spaces_and_tabs_only),
        cmocka_unit_test(test_splitting_gives_every_piece_and_then_stops),
        cmocka_unit_test(test_a_copy_is_terminated_and_own),
        cmocka_unit_test(test_numbers_are_digits_within_bounds),
        cmocka_unit_test(test_sizes_and_durations_have_units),
        cmocka_unit_test(test_names_follow_the_rule_of_the_hub),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
