#include "base/error.h"

#include <errno.h>
#include <string.h>

#include "base/mem.h"
#include "tests/support/test.h"

static void test_an_error_tells_what_and_why(void **state)
{
    struct sp_error err;

    (void)state;
    assert_int_equal(sp_error_set(&err, SP_ERR_NOT_FOUND, -ENOENT, "open '%s'", "/x"), -ENOENT);
    assert_int_equal(err.kind, SP_ERR_NOT_FOUND);
    assert_int_equal(err.sys, -ENOENT);
    assert_string_equal(err.msg, "open '/x': No such file or directory");
}

static void test_an_error_without_errno_gets_one_that_fits(void **state)
{
    struct sp_error err;

    (void)state;
    assert_int_equal(sp_error_set(&err, SP_ERR_DENIED, 0, "no"), -EACCES);
    assert_int_equal(err.sys, -EACCES);
    assert_string_equal(err.msg, "no");
    assert_int_equal(sp_error_set(NULL, SP_ERR_INVALID, 0, "unheard"), -EINVAL);
}

static void test_context_goes_in_front(void **state)
{
    struct sp_error err;

    (void)state;
    (void)sp_error_set(&err, SP_ERR_LIMIT, 0, "over %d bytes", 5);
    assert_int_equal(sp_error_wrap(&err, "load space '%s'", "a/b"), err.sys);
    assert_string_equal(err.msg, "load space 'a/b': over 5 bytes");
    assert_int_equal(err.kind, SP_ERR_LIMIT);
    assert_int_equal(sp_error_wrap(NULL, "x"), -EIO);
}

static void test_long_messages_are_cut_and_keep_the_outermost_context(void **state)
{
    struct sp_error err;
    char text[2000];

    (void)state;
    memset(text, 'x', sizeof(text) - 1);
    text[sizeof(text) - 1] = '\0';
    (void)sp_error_set(&err, SP_ERR_INVALID, -EINVAL, "%s", text);
    assert_int_equal(strlen(err.msg), sizeof(err.msg) - 1);
    for (int i = 0; i < 10; i++)
        (void)sp_error_wrap(&err, "context %d", i);
    assert_memory_equal(err.msg, "context 9: context 8: ", 22);
    assert_true(strlen(err.msg) < sizeof(err.msg));
}

static void test_every_kind_has_a_name_a_status_and_an_exit_code(void **state)
{
    static const struct {
        enum sp_err_kind kind;
        const char *name;
        int http;
        int exit;
    } rows[] = {
        {SP_ERR_INVALID, "invalid", 400, 2},   {SP_ERR_NOT_FOUND, "not_found", 404, 3},
        {SP_ERR_CONFLICT, "conflict", 409, 4}, {SP_ERR_DENIED, "denied", 403, 5},
        {SP_ERR_LIMIT, "limit", 429, 6},       {SP_ERR_UNAVAILABLE, "unavailable", 503, 7},
        {SP_ERR_INTERNAL, "internal", 500, 1},
    };

    (void)state;
    for (size_t i = 0; i < SP_LEN(rows); i++) {
        assert_string_equal(sp_err_kind_to_string(rows[i].kind), rows[i].name);
        assert_int_equal(sp_err_kind_to_http(rows[i].kind), rows[i].http);
        assert_int_equal(sp_err_kind_to_exit(rows[i].kind), rows[i].exit);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_an_error_tells_what_and_why),
        cmocka_unit_test(test_an_error_without_errno_gets_one_that_fits),
        cmocka_unit_test(test_context_goes_in_front),
        cmocka_unit_test(test_long_messages_are_cut_and_keep_the_outermost_context),
        cmocka_unit_test(test_every_kind_has_a_name_a_status_and_an_exit_code),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
