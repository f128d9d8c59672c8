#include "runtime/state/card.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/error.h"
#include "tests/support/test.h"

static int parse(const char *text, struct sp_card *card, struct sp_error *err)
{
    memset(card, 0, sizeof(*card));
    memset(err, 0, sizeof(*err));
    return sp_card_parse(sp_slice_str(text), card, err);
}

/* The text is refused and the message is exactly this. */
static void refused(const char *text, const char *message)
{
    struct sp_card card;
    struct sp_error err;

    assert_true(parse(text, &card, &err) < 0);
    assert_int_equal(err.kind, SP_ERR_INVALID);
    assert_string_equal(err.msg, message);
}

static void test_a_whole_card_is_read(void **state)
{
    struct sp_card card;
    struct sp_error err;

    (void)state;
    assert_int_equal(parse("---\n"
                           "title: Hello \"World\"\n"
                           "emoji: \xf0\x9f\x9a\x80\n"
                           "colorFrom: red\n"
                           "colorTo: 'indigo'\n"
                           "sdk: gradio\n"
                           "sdk_version: 5.1.0\n"
                           "python_version: 3.11\n"
                           "app_file: src/main.py\n"
                           "pinned: false\n"
                           "license: apache-2.0\n"
                           "short_description: >\n"
                           "  one\n"
                           "  line\n"
                           "gradio: builtin\n"
                           "tags: [a, {b: [c]}]\n"
                           "---\n# text\n---\n",
                           &card, &err),
                     0);
    assert_string_equal(card.title, "Hello \"World\"");
    assert_string_equal(card.emoji, "\xf0\x9f\x9a\x80");
    assert_string_equal(card.color_from, "red");
    assert_string_equal(card.color_to, "indigo");
    assert_string_equal(card.sdk, "gradio");
    assert_string_equal(card.app_file, "src/main.py");
    assert_string_equal(card.license, "apache-2.0");
    assert_string_equal(card.short_description, "one line");
    assert_string_equal(card.engine, "builtin");
    assert_string_equal(card.python_version, "3.11");
}

static void test_no_card_gives_the_defaults(void **state)
{
    static const char *const texts[] = {"",
                                        "# A readme",
                                        "---\n---\n",
                                        "---\n# nothing\n---\n",
                                        "---\ntitle:\nsdk: null\n---",
                                        "\n---\ntitle: late\n---\n"};
    struct sp_card card;
    struct sp_error err;

    (void)state;
    for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++) {
        if (parse(texts[i], &card, &err) < 0)
            fail_msg("%zu: %s", i, err.msg);
        assert_string_equal(card.title, "");
        assert_string_equal(card.sdk, "gradio");
        assert_string_equal(card.app_file, "app.py");
        assert_string_equal(card.engine, "");
    }
}

static void test_line_ends_and_marks_of_other_systems_are_read(void **state)
{
    struct sp_card card;
    struct sp_error err;

    (void)state;
    assert_int_equal(parse("\xef\xbb\xbf---\r\ntitle: T\r\n---\r\n", &card, &err), 0);
    assert_string_equal(card.title, "T");
}

static void test_a_wrong_value_is_refused_with_its_line(void **state)
{
    (void)state;
    refused("---\ntitle: x\nemoji: [a]\n---\n", "README.md:3: emoji: expected a short text");
    refused("---\ncolorFrom: teal\n---\n",
            "README.md:2: colorFrom: expected one of red, yellow, green, blue, indigo, purple, "
            "pink, gray");
    refused("---\n\n\napp_file: ../x.py\n---\n",
            "README.md:4: app_file: expected a relative path without '..'");
    refused("---\napp_file: /etc/passwd\n---\n",
            "README.md:2: app_file: expected a relative path without '..'");
    refused("---\ngradio: latest\n---\n", "README.md:2: gradio: expected builtin or pip");
    refused("---\npython_version: three\n---\n",
            "README.md:2: python_version: expected a version such as 3.11");
    refused("---\nsdk: Gradio!\n---\n", "README.md:2: sdk: expected a word such as gradio");
    refused("---\ntitle: \"a\\0b\"\n---\n", "README.md:2: title: expected a short text");
    refused("---\ntitle: a\ntitle: b\n---\n", "README.md:3: title: given twice");
    refused("---\nemoji: 0123456789012345678901234567890123456789\n---\n",
            "README.md:2: emoji: longer than 31 bytes");
}

static void test_what_is_not_a_card_is_refused_with_its_line(void **state)
{
    struct sp_card card;
    struct sp_error err;

    (void)state;
    refused("---\ntitle: x\n", "README.md:1: the front matter has no closing line '---'");
    refused("---\n- a\n- b\n---\n", "README.md:2: expected lines of the form 'key: value'");
    refused("---\njust text\n---\n", "README.md:2: expected lines of the form 'key: value'");
    assert_true(parse("---\ntitle: x\n  bad: [\n---\n", &card, &err) < 0);
    assert_non_null(strstr(err.msg, "README.md:3: not valid YAML: "));
    assert_true(parse("---\ntitle: \xff\xfe\n---\n", &card, &err) < 0);
    assert_int_equal(err.kind, SP_ERR_INVALID);
}

static void test_aliases_are_refused(void **state)
{
    (void)state;
    refused("---\na: &x [1]\n---\n", "README.md:2: anchors and aliases are not supported");
    refused("---\ntitle: &t x\n---\n", "README.md:2: anchors and aliases are not supported");
    refused("---\nb: 1\na: *x\n---\n", "README.md:3: anchors and aliases are not supported");
}

static void test_depth_and_size_have_limits(void **state)
{
    SP_AUTO_BUF struct sp_buf buf;
    struct sp_card card;
    struct sp_error err;

    (void)state;
    sp_buf_init(&buf, 0);
    sp_buf_append_str(&buf, "---\na: ");
    for (int i = 0; i < 100; i++)
        sp_buf_append_char(&buf, '[');
    for (int i = 0; i < 100; i++)
        sp_buf_append_char(&buf, ']');
    sp_buf_append_str(&buf, "\n---\n");
    refused(sp_buf_str(&buf), "README.md:2: nested too deeply");

    sp_buf_reset(&buf);
    sp_buf_append_str(&buf, "---\n");
    while (buf.len < 70 * 1024)
        sp_buf_append_str(&buf, "key: value of some length\n");
    sp_buf_append_str(&buf, "---\n");
    assert_true(parse(sp_buf_str(&buf), &card, &err) < 0);
    assert_int_equal(err.kind, SP_ERR_LIMIT);
}

static void test_a_refused_card_leaves_the_result_alone(void **state)
{
    struct sp_card card = {.title = "before"};

    (void)state;
    assert_true(sp_card_parse(SP_SLICE("---\ntitle: new\nsdk: [x]\n---\n"), &card, NULL) < 0);
    assert_string_equal(card.title, "before");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_whole_card_is_read),
        cmocka_unit_test(test_no_card_gives_the_defaults),
        cmocka_unit_test(test_line_ends_and_marks_of_other_systems_are_read),
        cmocka_unit_test(test_a_wrong_value_is_refused_with_its_line),
        cmocka_unit_test(test_what_is_not_a_card_is_refused_with_its_line),
        cmocka_unit_test(test_aliases_are_refused),
        cmocka_unit_test(test_depth_and_size_have_limits),
        cmocka_unit_test(test_a_refused_card_leaves_the_result_alone),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
