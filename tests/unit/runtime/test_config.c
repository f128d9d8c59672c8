/* The table of settings: defaults, sources, bounds, and docs that follow it. */
#include "runtime/config.h"

#include <fcntl.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/error.h"
#include "base/fd.h"
#include "base/mem.h"
#include "runtime/config-internal.h"
#include "tests/support/test.h"

#define DOCS "docs/config.md"

static char path[64];

static const char *write_file(const char *text)
{
    int fd;

    (void)snprintf(path, sizeof(path), "/tmp/sp-test-config-XXXXXX");
    fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(sp_write_all(fd, text, strlen(text)), 0);
    (void)close(fd);
    return path;
}

static void test_every_default_is_within_its_own_bounds(void **state)
{
    struct sp_config *config = sp_config_new(); /* aborts when one is not */

    (void)state;
    assert_string_equal(sp_config_str(config, "listen"), "127.0.0.1:7860");
    assert_int_equal(sp_config_int(config, "limit.connections"), 4096);
    assert_int_equal(sp_config_size(config, "limit.head"), 32 * 1024);
    assert_int_equal(sp_config_duration(config, "queue.grace"), 15000);
    assert_int_equal(sp_config_int(config, "queue.max_size"), 0);    /* "none" */
    assert_true(sp_config_size(config, "space.memory") >= 16 << 20); /* "auto" */
    assert_false(sp_config_bool(config, "insecure_http"));
    sp_config_free(config);
}

static void test_every_row_is_named_once_and_explained(void **state)
{
    (void)state;
    for (unsigned i = 0; i < sp_config_n_rows; i++) {
        assert_true(strlen(sp_config_rows[i].help) > 10);
        assert_null(strchr(sp_config_rows[i].help, '|')); /* would break the table of the docs */
        for (unsigned j = 0; j < i; j++)
            assert_string_not_equal(sp_config_rows[i].name, sp_config_rows[j].name);
    }
}

static void test_a_file_sets_values(void **state)
{
    struct sp_config *config = sp_config_new();
    struct sp_error err = {0};
    const char *file = write_file("# ours\n\nlimit.head = 16k\r\n  queue.grace=1m\n"
                                  "public_url = \"https://a.example/x=y\"\nqueue.max_size = none");

    (void)state;
    assert_int_equal(sp_config_load_file(config, file, &err), 0);
    assert_int_equal(sp_config_size(config, "limit.head"), 16 * 1024);
    assert_int_equal(sp_config_duration(config, "queue.grace"), 60000);
    assert_string_equal(sp_config_str(config, "public_url"), "https://a.example/x=y");
    (void)unlink(file);
    sp_config_free(config);
}

static void refuse(const char *text, const char *message)
{
    struct sp_config *config = sp_config_new();
    struct sp_error err = {0};
    const char *file = write_file(text);
    char expected[256];

    (void)snprintf(expected, sizeof(expected), "%s%s", file, message);
    assert_int_not_equal(sp_config_load_file(config, file, &err), 0);
    assert_string_equal(err.msg, expected);
    /* Refused whole: the right line before the wrong one changes nothing. */
    assert_int_equal(sp_config_int(config, "limit.connections"), 4096);
    (void)unlink(file);
    sp_config_free(config);
}

static void test_a_wrong_file_is_refused_whole_with_its_line(void **state)
{
    (void)state;
    refuse("limit.connections = 7\nlimit.head = big\n",
           ":2: limit.head: expected a size such as 512M");
    refuse("limit.connections = 7\n\nlimit.heads = 1k\n",
           ":3: limit.heads: there is no such setting");
    refuse("limit.connections = 7\nlimit.head = 64k\n", ":2: limit.head: expected 1k to 32k");
    refuse("limit.connections = 7\njust words\n", ":2: expected 'name = value'");
    refuse("limit.connections = 7\nqueue.max_size = some\n",
           ":2: queue.max_size: expected a number such as 100 or none");
    refuse("limit.connections = 7\ninsecure_http = maybe\n",
           ":2: insecure_http: expected true or false");
    refuse("limit.connections = 7\ntrusted_proxies = 10.0.0.0/8, me\n",
           ":2: trusted_proxies: 'me' is not an address or a network");
    refuse("limit.connections = 7\nlog.level = loud\n",
           ":2: log.level: expected debug, info, warn or error");
    refuse("limit.connections = 7\npublic_url = example.org\n",
           ":2: public_url: expected a URL such as https://spaces.example.org");
}

static void test_flags_go_before_the_environment_and_that_before_the_file(void **state)
{
    struct sp_config *config = sp_config_new();
    struct sp_error err = {0};
    char other[] = "PATH=/bin";
    char head[] = "SPACESD_TIMEOUT_HEAD=4s";
    char sessions[] = "SPACESD_LIMIT_SESSIONS=5";
    char *environment[] = {other, head, sessions, NULL};
    const char *file = write_file("timeout.head = 3s\ntimeout.body = 3s\nlimit.sessions = 3\n");

    (void)state;
    assert_int_equal(sp_config_load_file(config, file, &err), 0);
    assert_int_equal(sp_config_load_env(config, environment, &err), 0);
    assert_int_equal(sp_config_set(config, "limit.sessions", "6", "flag --set", &err), 0);
    assert_int_equal(sp_config_duration(config, "timeout.body"), 3000);
    assert_int_equal(sp_config_duration(config, "timeout.head"), 4000);
    assert_int_equal(sp_config_int(config, "limit.sessions"), 6);
    (void)unlink(file);
    sp_config_free(config);
}

static void test_an_isolation_that_is_not_built_is_refused_with_what_to_do(void **state)
{
    struct sp_config *config = sp_config_new();
    struct sp_error err = {0};

    (void)state;
    assert_int_equal(sp_config_set(config, "sandbox.isolation", "native", "flag --set", &err), 0);
    assert_true(sp_config_set(config, "sandbox.isolation", "gvisor", "flag --set", &err) < 0);
    assert_non_null(strstr(err.msg, "set it to native"));
    assert_true(sp_config_set(config, "sandbox.isolation", "none", "flag --set", &err) < 0);
    assert_non_null(strstr(err.msg, "expected native or gvisor"));
    sp_config_free(config);
}

static void test_a_wrong_variable_is_refused(void **state)
{
    struct sp_config *config = sp_config_new();
    struct sp_error err = {0};
    char no_such[] = "SPACESD_NO_SUCH=1";
    char bad_head[] = "SPACESD_LIMIT_HEAD=x";
    char *unknown[] = {no_such, NULL};
    char *wrong[] = {bad_head, NULL};

    (void)state;
    assert_int_not_equal(sp_config_load_env(config, unknown, &err), 0);
    assert_string_equal(err.msg, "environment: SPACESD_NO_SUCH: there is no such setting");
    assert_int_not_equal(sp_config_load_env(config, wrong, &err), 0);
    assert_string_equal(err.msg, "environment: limit.head: expected a size such as 512M");
    sp_config_free(config);
}

static void test_json_shows_values_and_where_they_came_from(void **state)
{
    struct sp_config *config = sp_config_new();
    json_t *list;
    json_t *row;
    size_t i;
    bool seen = false;

    (void)state;
    assert_int_equal(sp_config_set(config, "limit.head", "8k", "flag --set", NULL), 0);
    list = sp_config_to_json(config);
    assert_int_equal(json_array_size(list), sp_config_n_rows);
    json_array_foreach (list, i, row) {
        if (strcmp(json_string_value(json_object_get(row, "name")), "limit.head") != 0)
            continue;
        seen = true;
        assert_string_equal(json_string_value(json_object_get(row, "value")), "8k");
        assert_string_equal(json_string_value(json_object_get(row, "default")), "32k");
        assert_string_equal(json_string_value(json_object_get(row, "source")), "flag --set");
    }
    assert_true(seen);
    json_decref(list);
    sp_config_free(config);
}

static void test_docs_follow_the_table(void **state)
{
    SP_AUTO_FREE char *docs = NULL;
    SP_AUTO_BUF struct sp_buf wanted;
    struct sp_error err;
    size_t len;

    (void)state;
    sp_buf_init(&wanted, 0);
    sp_config_write_docs(&wanted);
    if (sp_file_read(AT_FDCWD, DOCS, 1 << 20, &docs, &len, &err) < 0) {
        skip(); /* not run from the root of the repository */
        return;
    }
    if (strcmp(docs, sp_buf_str(&wanted)) != 0)
        fail_msg("%s is not what the table says: write it with `test_config --write-docs`", DOCS);
}

/* `test_config --write-docs` from the root of the repository writes docs/config.md. */
static int write_docs(void)
{
    SP_AUTO_BUF struct sp_buf docs;
    struct sp_error err;

    sp_buf_init(&docs, 0);
    sp_config_write_docs(&docs);
    if (sp_file_replace(AT_FDCWD, DOCS, 0644, sp_buf_slice(&docs), &err) == 0)
        return 0;
    (void)fprintf(stderr, "%s\n", err.msg);
    return 1;
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_default_is_within_its_own_bounds),
        cmocka_unit_test(test_every_row_is_named_once_and_explained),
        cmocka_unit_test(test_a_file_sets_values),
        cmocka_unit_test(test_a_wrong_file_is_refused_whole_with_its_line),
        cmocka_unit_test(test_flags_go_before_the_environment_and_that_before_the_file),
        cmocka_unit_test(test_an_isolation_that_is_not_built_is_refused_with_what_to_do),
        cmocka_unit_test(test_a_wrong_variable_is_refused),
        cmocka_unit_test(test_json_shows_values_and_where_they_came_from),
        cmocka_unit_test(test_docs_follow_the_table),
    };

    if (argc > 1 && strcmp(argv[1], "--write-docs") == 0)
        return write_docs();
    return cmocka_run_group_tests_name("config", tests, NULL, NULL);
}
