#include "base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "tests/support/test.h"

static char text[8192];

/* stderr goes into a pipe while `say` runs; what it wrote is in `text`. */
static void capture(void (*say)(void))
{
    int fds[2];
    int saved = dup(STDERR_FILENO);
    ssize_t n;

    assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
    (void)dup2(fds[1], STDERR_FILENO);
    say();
    (void)dup2(saved, STDERR_FILENO);
    (void)close(fds[1]);
    n = read(fds[0], text, sizeof(text) - 1);
    text[n > 0 ? n : 0] = '\0';
    (void)close(fds[0]);
    (void)close(saved);
}

static void say_one(void)
{
    errno = E2BIG;
    sp_log(SP_LOG_INFO, "space.started", "space=%s pid=%d", "a/b", 7);
    assert_int_equal(errno, E2BIG);
}

static void test_a_line_has_time_level_event_and_fields(void **state)
{
    (void)state;
    capture(say_one);
    assert_int_equal(strlen(text),
                     strlen("2026-01-01T00:00:00.000Z info space.started space=a/b pid=7\n"));
    assert_int_equal(text[10], 'T');
    assert_string_equal(text + 23, "Z info space.started space=a/b pid=7\n");
}

static void say_hostile(void)
{
    sp_log(SP_LOG_WARN, "x", "v=%s", "a\nfake info line\x1b[2J\t");
}

static void test_nothing_from_outside_begins_a_line(void **state)
{
    (void)state;
    capture(say_hostile);
    assert_non_null(strstr(text, "v=a?fake info line?[2J?\n"));
    assert_ptr_equal(strchr(text, '\n'), text + strlen(text) - 1);
}

static void say_long(void)
{
    static char big[5000];

    memset(big, 'x', sizeof(big) - 1);
    sp_log(SP_LOG_ERROR, "x", "%s", big);
}

static void test_long_lines_are_cut(void **state)
{
    (void)state;
    capture(say_long);
    assert_in_range(strlen(text), 2000, 2048);
    assert_int_equal(text[strlen(text) - 1], '\n');
}

static void say_debug(void)
{
    sp_log(SP_LOG_DEBUG, "x", "quiet");
    sp_log_set_level(SP_LOG_DEBUG);
    sp_log_set_program("launcher");
    sp_log(SP_LOG_DEBUG, "x", "loud");
    sp_log_set_level(SP_LOG_INFO);
    sp_log_set_program(NULL);
}

static void test_levels_and_the_program_name_are_kept(void **state)
{
    (void)state;
    capture(say_debug);
    assert_null(strstr(text, "quiet"));
    assert_non_null(strstr(text, " debug launcher x loud\n"));
    assert_int_equal(sp_log_level_from_string("warn"), SP_LOG_WARN);
    assert_int_equal(sp_log_level_from_string("loud"), -1);
}

static void test_quoted_values_cannot_end_their_quotes(void **state)
{
    char big[1000];

    (void)state;
    assert_string_equal(sp_log_quoted("a b"), "\"a b\"");
    assert_string_equal(sp_log_quoted("a\" x=\"\\"), "\"a\\\" x=\\\"\\\\\"");
    assert_string_equal(sp_log_quoted("a\nb\r\x01\x7f"), "\"a\\nb???\"");
    assert_string_equal(sp_log_quoted(NULL), "\"\"");
    memset(big, '"', sizeof(big) - 1);
    big[sizeof(big) - 1] = '\0';
    assert_int_equal(strlen(sp_log_quoted(big)), 2 * 400 + 2);
}

static void test_quoted_values_neither_command_a_terminal_nor_turn_the_text(void **state)
{
    static const char *const pairs[][2] = {
        {"\xc2\x9b"
         "31m",
         "\"\\u009b31m\""}, /* CSI as UTF-8 */
        {"\x9b"
         "31m",
         "\"?31m\""}, /* and as a byte */
        {"a\xc2\x85"
         "b",
         "\"a\\u0085b\""}, /* next line */
        {"\xe2\x80\xae"
         "gpj.exe",
         "\"\\u202egpj.exe\""}, /* right-to-left override */
        {"\xe2\x81\xa6x\xe2\x81\xa9", "\"\\u2066x\\u2069\""},
        {"\xe2\x80\x8f\xd8\x9c", "\"\\u200f\\u061c\""},
        {"\xe2\x80\xa8", "\"\\u2028\""},
        {"gr\xc3\xbc\xc3\x9f \xe6\x97\xa5 \xf0\x9f\x98\x80",
         "\"gr\xc3\xbc\xc3\x9f \xe6\x97\xa5 \xf0\x9f\x98\x80\""},
        {"cut \xe2\x80", "\"cut ??\""},
    };
    char big[1000];

    (void)state;
    for (size_t i = 0; i < SP_LEN(pairs); i++)
        assert_string_equal(sp_log_quoted(pairs[i][0]), pairs[i][1]);
    for (size_t i = 0; i + 2 < sizeof(big); i += 2)
        memcpy(big + i, "\xc2\x80", 3);
    assert_int_equal(strlen(sp_log_quoted(big)), 200 * 6 + 2);
}

static void test_eight_quoted_values_can_stand_in_one_line(void **state)
{
    const char *q[8];

    (void)state;
    for (int i = 0; i < 8; i++) {
        char number[2] = {(char)('0' + i)};

        q[i] = sp_log_quoted(number);
    }
    for (int i = 0; i < 8; i++)
        assert_int_equal(q[i][1], '0' + i);
}

static void test_repeats_are_let_through_up_to_the_burst(void **state)
{
    struct sp_log_rate rate = {.burst = 3, .window_ms = 3600000};

    (void)state;
    for (int i = 0; i < 10; i++)
        assert_int_equal(sp_log_allowed(&rate), i < 3);
    assert_int_equal(rate.dropped, 7);
    rate.window_began_ms -= 3600000; /* an hour later */
    assert_true(sp_log_allowed(&rate));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_line_has_time_level_event_and_fields),
        cmocka_unit_test(test_nothing_from_outside_begins_a_line),
        cmocka_unit_test(test_long_lines_are_cut),
        cmocka_unit_test(test_levels_and_the_program_name_are_kept),
        cmocka_unit_test(test_quoted_values_cannot_end_their_quotes),
        cmocka_unit_test(test_quoted_values_neither_command_a_terminal_nor_turn_the_text),
        cmocka_unit_test(test_eight_quoted_values_can_stand_in_one_line),
        cmocka_unit_test(test_repeats_are_let_through_up_to_the_burst),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
