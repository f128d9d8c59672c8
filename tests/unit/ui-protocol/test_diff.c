#include "ui-protocol/diff.h"

#include <string.h>

#include "base/buf.h"
#include "base/error.h"
#include "base/json.h"
#include "base/mem.h"
#include "tests/support/test.h"

static const struct {
    const char *data;
    const char *ops;
    const char *result; /* or, beginning with '!', what the refusal says */
} rows[] = {
    {"[\"abc0 \"]", "[[[\"append\",[],\"abc1 \"]]]", "[\"abc0 abc1 \"]"},
    {"[1,2]", "[[],[]]", "[1,2]"},
    {"[]", "[]", "[]"},
    {"[1,2]", "[[],[[\"replace\",[],{\"a\":[]}]]]", "[1,{\"a\":[]}]"},
    {"[{\"a\":1}]", "[[[\"add\",[\"b\"],2],[\"replace\",[\"a\"],3],[\"delete\",[\"b\"],null]]]",
     "[{\"a\":3}]"},
    {"[[1,2,3]]", "[[[\"delete\",[1],null],[\"delete\",[1],null],[\"add\",[1],9],[\"add\",[0],8]]]",
     "[[8,1,9]]"},
    {"[[{\"t\":\"x\"}]]",
     "[[[\"append\",[0,\"t\"],\"y\"],[\"append\",[0,\"t\"],\"\\u0000\\u00e9\"]]]",
     "[[{\"t\":\"xy\\u0000\xC3\xA9\"}]]"},
    {"[[]]", "[[[\"add\",[0],[]],[\"add\",[0,0],[]],[\"add\",[0,0,0],1]]]", "[[[[1]]]]"},
    {"[null]", "[[[\"replace\",[],\"a\"],[\"append\",[],\"b\"]]]", "[\"ab\"]"},
    {"[1]", "[]", "!one list"},
    {"[1]", "[[],[]]", "!one list"},
    {"[1]", "{}", "!one list"},
    {"1", "[]", "!one list"},
    {"[1]", "[1]", "!no list"},
    {"[1]", "[[1]]", "!not [action"},
    {"[1]", "[[[\"replace\",[]]]]", "!not [action"},
    {"[1]", "[[[1,[],1]]]", "!not [action"},
    {"[1]", "[[[\"swap\",[],1]]]", "!not known"},
    {"[1]", "[[[\"replace\",\"x\",1]]]", "!a path is no list"},
    {"[1]", "[[[\"replace\",[0],1]]]", "!does not fit"},
    {"[[1]]", "[[[\"replace\",[\"0\"],1]]]", "!does not fit"},
    {"[[1]]", "[[[\"replace\",[-1],1]]]", "!does not fit"},
    {"[{}]", "[[[\"replace\",[0],1]]]", "!does not fit"},
    {"[{}]", "[[[\"replace\",[\"a\",\"b\"],1]]]", "!nowhere"},
    {"[[1]]", "[[[\"replace\",[1],1]]]", "!out of range"},
    {"[[1]]", "[[[\"add\",[2],1]]]", "!out of range"},
    {"[[1]]", "[[[\"delete\",[1],null]]]", "!nothing is there"},
    {"[{}]", "[[[\"delete\",[\"a\"],null]]]", "!nothing is there"},
    {"[1]", "[[[\"append\",[],\"a\"]]]", "!two strings"},
    {"[\"a\"]", "[[[\"append\",[],1]]]", "!two strings"},
    {"[{}]", "[[[\"append\",[\"a\"],\"b\"]]]", "!two strings"},
    {"[1]", "[[[\"add\",[],1]]]", "!needs a path"},
    {"[1]", "[[[\"delete\",[],null]]]", "!needs a path"},
    {"[123456789012345678901234567890]", "[[]]", "!too big"},
    {"[", "[[]]", "!too large or too deep"},
};

static void test_edits_do_what_the_table_says(void **state)
{
    (void)state;
    for (size_t i = 0; i < SP_LEN(rows); i++) {
        SP_AUTO_BUF struct sp_buf out = {0};
        struct sp_error err = {0};
        int r;

        (void)sp_buf_append_str(&out, "=");
        r = sp_diff_fold(sp_slice_str(rows[i].data), sp_slice_str(rows[i].ops), &out, &err);
        if (rows[i].result[0] == '!' ? r == 0 || !strstr(err.msg, rows[i].result + 1)
                                     : strcmp(sp_buf_str(&out) + 1, rows[i].result) != 0)
            fail_msg("%s %s: %d, %s, %s", rows[i].data, rows[i].ops, r, sp_buf_str(&out), err.msg);
        if (r < 0)
            assert_string_equal(sp_buf_str(&out), "=");
    }
}

static void test_an_inserted_value_is_not_shared_with_the_edits(void **state)
{
    SP_AUTO_JSON json_t *value = json_pack("[[]]");
    SP_AUTO_JSON json_t *ops =
        json_pack("[[[s,[i],{s:i}], [s,[i,s],i]]]", "add", 0, "a", 1, "replace", 0, "a", 2);
    SP_AUTO_JSON json_t *before = json_deep_copy(ops);
    struct sp_error err;

    (void)state;
    assert_int_equal(sp_diff_apply(&value, ops, &err), 0);
    assert_true(json_equal(ops, before));
    assert_int_equal(
        json_integer_value(json_object_get(json_array_get(json_array_get(value, 0), 0), "a")), 2);
}

static void test_a_replacing_value_is_not_shared_with_the_edits(void **state)
{
    SP_AUTO_JSON json_t *value = json_pack("[n]");
    SP_AUTO_JSON json_t *ops =
        json_pack("[[[s,[],{s:[]}], [s,[s,i],i]]]", "replace", "a", "add", "a", 0, 7);
    SP_AUTO_JSON json_t *before = json_deep_copy(ops);
    struct sp_error err;

    (void)state;
    assert_int_equal(sp_diff_apply(&value, ops, &err), 0);
    assert_true(json_equal(ops, before));
}

/* `n` times `item`, in brackets. */
static void put_list(struct sp_buf *out, const char *item, size_t n)
{
    for (size_t i = 0; i < n; i++)
        (void)sp_buf_printf(out, "%s%s", i ? "," : "[", item);
    (void)sp_buf_append_str(out, "]");
}

static void expect_limit(struct sp_buf *data, struct sp_buf *ops, const char *why)
{
    SP_AUTO_BUF struct sp_buf out = {0};
    struct sp_error err = {0};

    assert_true(sp_diff_fold(sp_buf_slice(data), sp_buf_slice(ops), &out, &err) < 0);
    assert_int_equal(err.kind, SP_ERR_LIMIT);
    if (!strstr(err.msg, why))
        fail_msg("'%s' does not say '%s'", err.msg, why);
    sp_buf_reset(data);
    sp_buf_reset(ops);
}

static void test_edits_cannot_grow_without_limit(void **state)
{
    SP_AUTO_BUF struct sp_buf data = {0};
    SP_AUTO_BUF struct sp_buf ops = {0};

    (void)state;
    (void)sp_buf_append_str(&data, "[\"\"]");
    (void)sp_buf_append_str(&ops, "[");
    put_list(&ops, "[\"append\",[],\"\"]", SP_DIFF_EDITS_MAX + 1);
    (void)sp_buf_append_str(&ops, "]");
    expect_limit(&data, &ops, "more than 10000");

    (void)sp_buf_printf(&data, "[\"%0*d\"]", 600000, 0);
    (void)sp_buf_printf(&ops, "[[[\"append\",[],\"%0*d\"]]]", 600000, 0);
    expect_limit(&data, &ops, "longer than 1 MiB");

    (void)sp_buf_printf(&data, "[\"%0*d\"]", 600000, 0);
    (void)sp_buf_append_str(&ops, "[");
    put_list(&ops, "[\"append\",[],\"x\"]", 1000);
    (void)sp_buf_append_str(&ops, "]");
    expect_limit(&data, &ops, "too many bytes");
}

/* Each yield nests its value deeper; the tree must not outgrow the stack. */
static void test_edits_cannot_nest_without_limit(void **state)
{
    SP_AUTO_JSON json_t *value = json_pack("[[]]");
    struct sp_error err;
    int r = 0;
    int yields = 0;

    (void)state;
    for (; r == 0 && yields < 100; yields++) {
        SP_AUTO_JSON json_t *path = json_array();
        SP_AUTO_JSON json_t *ops = NULL;

        for (int i = 0; i <= yields; i++)
            json_array_append_new(path, json_integer(0));
        ops = json_pack("[[[s,O,[]]]]", "add", path);
        r = sp_diff_apply(&value, ops, &err);
    }
    assert_true(r < 0);
    assert_in_range(yields, 60, 64);
}

/* A path of 40 steps and a value of 40 levels: each is allowed, together they are not. */
static void test_path_and_value_count_together_towards_the_depth(void **state)
{
    struct sp_error err;

    (void)state;
    for (int levels = 23; levels <= 24; levels++) {
        SP_AUTO_JSON json_t *value = json_array();
        SP_AUTO_JSON json_t *path = json_array();
        SP_AUTO_JSON json_t *ops = NULL;
        json_t *deep = json_array();
        json_t *tree = json_array();

        for (int i = 1; i < levels; i++)
            deep = json_pack("[o]", deep);
        for (int i = 1; i < 40; i++)
            tree = json_pack("[o]", tree);
        for (int i = 0; i < 40; i++)
            json_array_append_new(path, json_integer(0));
        json_array_append_new(value, tree);
        ops = json_pack("[[[s,O,o]]]", "add", path, deep);
        assert_int_equal(sp_diff_apply(&value, ops, &err) == 0, levels == 23);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_edits_do_what_the_table_says),
        cmocka_unit_test(test_an_inserted_value_is_not_shared_with_the_edits),
        cmocka_unit_test(test_a_replacing_value_is_not_shared_with_the_edits),
        cmocka_unit_test(test_path_and_value_count_together_towards_the_depth),
        cmocka_unit_test(test_edits_cannot_grow_without_limit),
        cmocka_unit_test(test_edits_cannot_nest_without_limit),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
