#include "base/id.h"

#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "tests/support/test.h"

static void test_an_id_survives_its_text(void **state)
{
    struct sp_id a;
    struct sp_id b;
    char hex[SP_ID_HEX];

    (void)state;
    sp_id_random(&a);
    sp_id_random(&b);
    assert_false(sp_id_eq(&a, &b));
    sp_id_to_hex(&a, hex);
    assert_int_equal(strlen(hex), 32);
    assert_true(sp_id_from_hex(sp_slice_str(hex), &b));
    assert_true(sp_id_eq(&a, &b));
}

static void test_only_32_lower_case_digits_are_an_id(void **state)
{
    static const char *const bad[] = {"",
                                      "0123456789abcdef0123456789abcde",
                                      "0123456789abcdef0123456789abcdef0",
                                      "0123456789ABCDEF0123456789ABCDEF",
                                      "0123456789abcdef0123456789abcdeg",
                                      "0123456789abcdef 123456789abcdef",
                                      "0123456789abcdef-0123456789abcde"};
    struct sp_id id;

    (void)state;
    for (size_t i = 0; i < SP_LEN(bad); i++)
        if (sp_id_from_hex(sp_slice_str(bad[i]), &id))
            fail_msg("took '%s'", bad[i]);
}

static void test_bytes_are_written_as_digits(void **state)
{
    static const uint8_t bytes[] = {0x00, 0x0F, 0xF0, 0xFF};
    char hex[9];

    (void)state;
    sp_hex(bytes, sizeof(bytes), hex);
    assert_string_equal(hex, "000ff0ff");
}

static void test_times_are_written_as_the_hub_does(void **state)
{
    static const struct {
        int64_t ms;
        const char *text;
    } rows[] = {{0, "1970-01-01T00:00:00.000Z"},
                {951782400000, "2000-02-29T00:00:00.000Z"},
                {1785587696789, "2026-08-01T12:34:56.789Z"}};
    char text[SP_TIME_LEN];

    (void)state;
    for (size_t i = 0; i < SP_LEN(rows); i++) {
        sp_clock_format(rows[i].ms, text);
        assert_string_equal(text, rows[i].text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_an_id_survives_its_text),
        cmocka_unit_test(test_only_32_lower_case_digits_are_an_id),
        cmocka_unit_test(test_bytes_are_written_as_digits),
        cmocka_unit_test(test_times_are_written_as_the_hub_does),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
