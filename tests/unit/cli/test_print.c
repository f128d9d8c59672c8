#include <stdlib.h>

#include "cli/print.h"
#include "base/mem.h"
#include "tests/support/test.h"

static void assert_shown(const char *text, const char *shown)
{
    SP_AUTO_FREE char *plain = sp_cli_printable(text);

    assert_string_equal(plain, shown);
}

static void test_text_from_outside_is_shown_and_not_obeyed(void **state)
{
    (void)state;
    assert_shown("plain \xc3\xbc", "plain \xc3\xbc");
    assert_shown("\x1b[31m", "\\x1b[31m");
    assert_shown("a\nb\tc\x7f", "a\\x0ab\\x09c\\x7f");
    assert_shown("\xc2\x9b"
                 "31m",
                 "\\u009b31m");
    assert_shown("\xff\xc3", "\\xff\\xc3");
    assert_shown("\xc2\xa0", "\xc2\xa0"); /* the first that is no control */
}

static void assert_ago(long long age_s, const char *text)
{
    char shown[SP_CLI_TIME_LEN];

    sp_cli_ago("2026-08-01T12:34:56.789Z", 1785587696 + age_s, shown);
    assert_string_equal(shown, text);
}

static void test_times_are_relative_until_they_are_old(void **state)
{
    char shown[SP_CLI_TIME_LEN];

    (void)state;
    assert_ago(-5, "just now");
    assert_ago(0, "just now");
    assert_ago(59, "59 s ago");
    assert_ago(60, "1 min ago");
    assert_ago(7199, "1 h ago");
    assert_ago(29 * 86400, "29 d ago");
    assert_ago(30 * 86400, "2026-08-01");
    sp_cli_ago("yesterday", 0, shown);
    assert_string_equal(shown, "-");
}

static void assert_size(unsigned long long bytes, const char *text)
{
    char shown[SP_CLI_SIZE_LEN];

    sp_cli_size(bytes, shown);
    assert_string_equal(shown, text);
}

static void test_sizes_have_three_digits_or_so(void **state)
{
    (void)state;
    assert_size(0, "0 B");
    assert_size(999, "999 B");
    assert_size(1000, "1.0 kB");
    assert_size(999949, "999.9 kB");
    assert_size(999950, "1.0 MB");
    assert_size(18446744073709551615ull, "18.4 EB");
}

static void test_durations_are_short(void **state)
{
    char shown[SP_CLI_TIME_LEN];

    (void)state;
    sp_cli_duration(13.54, shown);
    assert_string_equal(shown, "13.5 s");
    sp_cli_duration(185, shown);
    assert_string_equal(shown, "3 min 5 s");
    sp_cli_duration(7380, shown);
    assert_string_equal(shown, "2 h 3 min");
    sp_cli_duration(1e300, shown);
    assert_string_equal(shown, "-");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_text_from_outside_is_shown_and_not_obeyed),
        cmocka_unit_test(test_times_are_relative_until_they_are_old),
        cmocka_unit_test(test_sizes_have_three_digits_or_so),
        cmocka_unit_test(test_durations_are_short),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
