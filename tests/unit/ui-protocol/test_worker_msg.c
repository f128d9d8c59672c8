#include "ui-protocol/worker_msg.h"

#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/error.h"
#include "base/mem.h"
#include "base/scan.h"
#include "tests/support/test.h"
#include "ui-protocol/http1.h"

#define ID "\"id\":\"0123456789abcdef0123456789abcdef\",\"attempt\":2"

static struct sp_error err;

static struct sp_worker_msg decode(const char *line)
{
    struct sp_worker_msg msg;

    if (sp_worker_msg_decode(sp_slice_str(line), &msg, &err) != 0)
        fail_msg("%s: %s", line, err.msg);
    return msg;
}

static void assert_raw(struct sp_slice got, const char *wanted)
{
    if (!sp_slice_eq_str(got, wanted))
        fail_msg("got '%.*s', wanted '%s'", (int)got.len, got.ptr, wanted);
}

static void test_a_return_keeps_its_data_byte_for_byte(void **state)
{
    struct sp_worker_msg msg = decode("{\"type\":\"return\"," ID ",\"data\":[ 1.50, \"\\u00e9\" ],"
                                      "\"duration\":0.25,\"generator\":true,\"new\":{}}");
    char hex[SP_ID_HEX];

    (void)state;
    assert_int_equal(msg.type, SP_WORKER_RETURN);
    sp_id_to_hex(&msg.id, hex);
    assert_string_equal(hex, "0123456789abcdef0123456789abcdef");
    assert_int_equal(msg.attempt, 2);
    assert_raw(msg.data, "[ 1.50, \"\\u00e9\" ]");
    assert_int_equal(msg.run_us, 250000);
    assert_true(msg.generator);
}

static void test_durations_become_microseconds(void **state)
{
    static const struct {
        const char *text;
        int64_t us;
    } rows[] = {{"0", 0},
                {"1.5e-05", 15},
                {"0.0000004", 0},
                {"-1", -1},
                {"12", 12000000},
                {"1e3", 1000000000},
                {"1e300", -1},
                {"null", -1},
                {"0.20120359825134277", 201204},
                {"0.00000000000000000000000000000000000000001", -1}};

    (void)state;
    for (size_t i = 0; i < SP_LEN(rows); i++) {
        SP_AUTO_FREE char *line =
            sp_asprintf("{\"type\":\"return\"," ID ",\"data\":[],\"duration\":%s}", rows[i].text);

        assert_int_equal(decode(line).run_us, rows[i].us);
    }
}

static void test_a_yield_has_data_or_ops(void **state)
{
    struct sp_worker_msg msg = decode("{\"type\":\"yield\"," ID ",\"seq\":1,\"data\":[\"a\"]}");

    (void)state;
    assert_int_equal(msg.seq, 1);
    assert_raw(msg.data, "[\"a\"]");
    assert_null(msg.ops.ptr);
    msg = decode("{\"type\":\"yield\"," ID ",\"seq\":2,\"data\":null,\"ops\":[[]]}");
    assert_null(msg.data.ptr);
    assert_raw(msg.ops, "[[]]");
}

static void test_toasts_and_errors_have_defaults(void **state)
{
    struct sp_worker_msg msg =
        decode("{\"type\":\"log\"," ID ",\"log\":\"n\\\"\",\"level\":\"warning\"}");

    (void)state;
    assert_raw(msg.log, "\"n\\\"\"");
    assert_string_equal(msg.level, "warning");
    assert_raw(msg.title, "\"Warning\"");
    assert_raw(msg.duration, "10");
    assert_true(msg.visible);

    msg = decode("{\"type\":\"error\"," ID ",\"error\":null,\"duration\":null,\"visible\":false,"
                 "\"title\":\"Oh\"}");
    assert_raw(msg.error, "null");
    assert_raw(msg.duration, "null");
    assert_raw(msg.title, "\"Oh\"");
    assert_false(msg.visible);
    msg = decode("{\"type\":\"error\"," ID ",\"error\":\"boom\",\"duration\":2.5}");
    assert_raw(msg.error, "\"boom\"");
    assert_raw(msg.title, "\"Error\"");
    assert_raw(msg.duration, "2.5");
}

static void test_ready_passes_its_documents_through(void **state)
{
    struct sp_worker_msg msg =
        decode("{\"type\":\"ready\",\"version\":1,\"features\":[],\"engine\":\"spacekit 0.1\","
               "\"config\":{\"a\": [1,2] },\"info\":{},\"functions\":[{}],\"max_size\":null,"
               "\"max_threads\":8}");

    (void)state;
    assert_raw(msg.config, "{\"a\": [1,2] }");
    assert_raw(msg.info, "{}");
    assert_raw(msg.functions, "[{}]");
    assert_raw(msg.engine, "\"spacekit 0.1\"");
    assert_int_equal(msg.max_size, -1);
    assert_int_equal(msg.max_threads, 8);
    msg = decode("{\"type\":\"ready\",\"version\":1,\"config\":{},\"info\":{},\"functions\":[],"
                 "\"max_size\":0}");
    assert_int_equal(msg.max_size, 0);
    assert_int_equal(msg.max_threads, 40);
}

static void test_the_other_types_are_read(void **state)
{
    struct sp_worker_msg msg = decode("{\"type\":\"pong\",\"n\":18446744073709551615}");

    (void)state;
    assert_true(msg.n == UINT64_MAX);
    assert_int_equal(decode("{\"type\":\"cancelled\"," ID "}").type, SP_WORKER_CANCELLED);
    assert_raw(decode("{\"type\":\"progress\"," ID ",\"progress_data\":[{}]}").progress_data,
               "[{}]");
    msg = decode("{\"type\":\"failed\",\"stage\":\"BUILD_ERROR\",\"message\":\"no torch\","
                 "\"missing\":[\"torch\"]}");
    assert_string_equal(msg.stage, "BUILD_ERROR");
    assert_raw(msg.message, "\"no torch\"");
    assert_raw(msg.missing, "[\"torch\"]");
    assert_string_equal(sp_worker_msg_type_to_string(SP_WORKER_CANCELLED), "cancelled");
}

/* What ends a worker, and the word that the reason must hold. */
static const struct {
    const char *line;
    const char *why;
} bad[] = {
    {"", "not valid JSON"},
    {"[]", "an object"},
    {"{}", "'type'"},
    {"{\"type\":5}", "'type'"},
    {"{\"type\":\"call\"}", "'call' is not known"},
    {"{\"type\":\"a type of more than sixteen bytes\"}", "'type'"},
    {"{\"type\":\"pong\",\"n\":1} x", "nothing after"},
    {"{\"type\":\"pong\",\"n\":1,\"n\":2}", "once"},
    {"{\"type\":\"pong\",\"n\":-1}", "'n'"},
    {"{\"type\":\"pong\",\"n\":1.0}", "'n'"},
    {"{\"type\":\"pong\"}", "'n'"},
    {"{\"type\":\"cancelled\",\"attempt\":1}", "'id'"},
    {"{\"type\":\"cancelled\",\"id\":\"0123456789ABCDEF0123456789abcdef\",\"attempt\":1}", "'id'"},
    {"{\"type\":\"cancelled\",\"id\":\"\",\"attempt\":1}", "'id'"},
    {"{\"type\":\"cancelled\",\"id\":7,\"attempt\":1}", "'id'"},
    {"{\"type\":\"cancelled\",\"id\":\"0123456789abcdef0123456789abcdef\"}", "'attempt'"},
    {"{\"type\":\"cancelled\",\"id\":\"0123456789abcdef0123456789abcdef\",\"attempt\":4294967296}",
     "'attempt'"},
    {"{\"type\":\"return\"," ID "}", "'data'"},
    {"{\"type\":\"return\"," ID ",\"data\":{}}", "'data'"},
    {"{\"type\":\"return\"," ID ",\"data\":[NaN]}", "not valid JSON"},
    {"{\"type\":\"return\"," ID ",\"data\":[],\"generator\":1}", "'generator'"},
    {"{\"type\":\"return\"," ID ",\"data\":[],\"duration\":\"1\"}", "'duration'"},
    {"{\"type\":\"yield\"," ID ",\"seq\":1}", "'data'"},
    {"{\"type\":\"yield\"," ID ",\"seq\":1,\"data\":[],\"ops\":[]}", "'data'"},
    {"{\"type\":\"yield\"," ID ",\"data\":[]}", "'seq'"},
    {"{\"type\":\"log\"," ID ",\"log\":\"x\",\"level\":\"debug\"}", "'level'"},
    {"{\"type\":\"log\"," ID ",\"log\":null,\"level\":\"info\"}", "'log'"},
    {"{\"type\":\"error\"," ID ",\"error\":{}}", "'error'"},
    {"{\"type\":\"error\"," ID ",\"error\":null,\"title\":1}", "'title'"},
    {"{\"type\":\"error\"," ID ",\"error\":null,\"duration\":\"1\"}", "'duration'"},
    {"{\"type\":\"failed\",\"stage\":\"PAUSED\",\"message\":\"\"}", "'stage'"},
    {"{\"type\":\"failed\",\"stage\":\"BUILD_ERROR\"}", "'message'"},
    {"{\"type\":\"ready\",\"version\":2,\"config\":{},\"info\":{},\"functions\":[]}", "'version'"},
    {"{\"type\":\"ready\",\"version\":1,\"info\":{},\"functions\":[]}", "'config'"},
    {"{\"type\":\"ready\",\"version\":1,\"config\":{},\"info\":[],\"functions\":[]}", "'info'"},
    {"{\"type\":\"ready\",\"version\":1,\"config\":{},\"info\":{}}", "'functions'"},
};

static void test_what_is_wrong_with_a_line_is_named(void **state)
{
    (void)state;
    for (size_t i = 0; i < SP_LEN(bad); i++) {
        struct sp_worker_msg msg;

        if (sp_worker_msg_decode(sp_slice_str(bad[i].line), &msg, &err) == 0)
            fail_msg("taken: %s", bad[i].line);
        assert_int_equal(err.kind, SP_ERR_INVALID);
        if (!strstr(err.msg, bad[i].why))
            fail_msg("%s: '%s' does not say %s", bad[i].line, err.msg, bad[i].why);
    }
}

/* --- functions -------------------------------------------------------------------------------- */

static void test_functions_are_decoded_with_their_lists(void **state)
{
    SP_AUTO_FREE struct sp_worker_function *fns = NULL;
    size_t n;

    (void)state;
    assert_int_equal(
        sp_worker_functions_decode(
            SP_SLICE("[{\"fn\":0,\"api_name\":\"echo\",\"queue\":true,\"group\":0,\"limit\":1,"
                     "\"inputs\":3,\"outputs\":2,\"state_inputs\":[0, 2],\"generator\":false,"
                     "\"api_visibility\":\"private\",\"backend\":true,\"cancels\":[]},"
                     "{\"fn\":7,\"api_name\":null,\"queue\":false,\"group\":1,\"limit\":null,"
                     "\"inputs\":0,\"outputs\":0,\"state_inputs\":[],\"generator\":true,"
                     "\"api_visibility\":\"public\",\"backend\":false,\"cancels\":[0,9]}]"),
            &fns, &n, &err),
        0);
    assert_int_equal(n, 2);
    assert_string_equal(fns[0].api_name, "echo");
    assert_true(fns[0].queue && fns[0].backend && !fns[0].generator);
    assert_int_equal(fns[0].limit, 1);
    assert_int_equal(fns[0].n_state_inputs, 2);
    assert_int_equal(fns[0].state_inputs[1], 2);
    assert_string_equal(fns[0].api_visibility, "private");
    assert_int_equal(fns[1].fn, 7);
    assert_string_equal(fns[1].api_name, "");
    assert_int_equal(fns[1].limit, 0);
    assert_int_equal(fns[1].group, 1);
    assert_int_equal(fns[1].n_cancels, 2);
    assert_int_equal(fns[1].cancels[1], 9);
}

#define FN "\"group\":0,\"inputs\":2,\"outputs\":1"

static const struct {
    const char *entries;
    const char *why;
} bad_functions[] = {
    {"[1]", "function 0"},
    {"[{}]", "'fn'"},
    {"[{\"fn\":0}]", "'group'"},
    {"[{\"fn\":0," FN ",\"limit\":0}]", "'limit'"},
    {"[{\"fn\":0,\"group\":0,\"inputs\":1001,\"outputs\":1}]", "'inputs'"},
    {"[{\"fn\":0,\"group\":0,\"inputs\":1,\"outputs\":-1}]", "'outputs'"},
    {"[{\"fn\":0," FN ",\"api_name\":\"a/b\"}]", "'api_name'"},
    {"[{\"fn\":0," FN ",\"api_name\":\"\"}]", "'api_name'"},
    {"[{\"fn\":0," FN ",\"api_visibility\":\"secret\"}]", "'api_visibility'"},
    {"[{\"fn\":0," FN ",\"state_inputs\":[2]}]", "'state_inputs'"},
    {"[{\"fn\":0," FN ",\"state_inputs\":[1,0]}]", "'state_inputs'"},
    {"[{\"fn\":0," FN ",\"state_inputs\":[1,1]}]", "'state_inputs'"},
    {"[{\"fn\":0," FN ",\"state_inputs\":[\"0\"]}]", "'state_inputs'"},
    {"[{\"fn\":0," FN ",\"cancels\":{}}]", "'cancels'"},
    {"[{\"fn\":0," FN "},{\"fn\":0," FN "}]", "function 1"},
};

static void test_what_is_wrong_with_a_function_is_named(void **state)
{
    (void)state;
    for (size_t i = 0; i < SP_LEN(bad_functions); i++) {
        struct sp_worker_function *fns = NULL;
        size_t n;

        if (sp_worker_functions_decode(sp_slice_str(bad_functions[i].entries), &fns, &n, &err) == 0)
            fail_msg("taken: %s", bad_functions[i].entries);
        assert_null(fns);
        if (!strstr(err.msg, bad_functions[i].why))
            fail_msg("%s: '%s'", bad_functions[i].entries, err.msg);
    }
}

static void test_a_thousand_functions_fit_and_one_more_does_not(void **state)
{
    (void)state;
    for (size_t count = 1000; count <= 1001; count++) {
        SP_AUTO_BUF struct sp_buf list = {0};
        SP_AUTO_FREE struct sp_worker_function *fns = NULL;
        size_t n = 0;
        int r;

        for (size_t i = 0; i < count; i++)
            (void)sp_buf_printf(&list, "%c{\"fn\":%zu," FN "}", i ? ',' : '[', i);
        (void)sp_buf_append_char(&list, ']');
        r = sp_worker_functions_decode(sp_buf_slice(&list), &fns, &n, &err);
        assert_int_equal(r == 0, count == 1000);
        assert_int_equal(n, count == 1000 ? 1000 : 0);
    }
}

static void test_an_app_without_functions_is_an_app(void **state)
{
    SP_AUTO_FREE struct sp_worker_function *fns = NULL;
    size_t n = 1;

    (void)state;
    assert_int_equal(sp_worker_functions_decode(SP_SLICE("[]"), &fns, &n, &err), 0);
    assert_int_equal(n, 0);
    assert_non_null(fns);
}

/* --- to the worker ---------------------------------------------------------------------------- */

static void assert_text(struct sp_buf *out, const char *wanted)
{
    assert_string_equal(sp_buf_str(out), wanted);
    if (sp_slice_ends(sp_buf_slice(out), "\n")) /* one line, valid by our own scanner */
        assert_int_equal(sp_scan_valid(sp_slice(out->data, out->len - 1), &err), 0);
    assert_ptr_equal(memchr(out->data, '\n', out->len),
                     strchr(wanted, '\n') ? out->data + out->len - 1 : NULL);
    sp_buf_reset(out);
}

static void test_messages_to_the_worker_read_as_documented(void **state)
{
    SP_AUTO_BUF struct sp_buf out = {0};
    struct sp_id id;

    (void)state;
    assert_true(sp_id_from_hex(SP_SLICE("0123456789abcdef0123456789abcdef"), &id));
    sp_worker_put_hello(&out, &(struct sp_worker_hello){"app.py", "me/x", "/app/me/x", 40});
    assert_text(&out, "{\"type\":\"hello\",\"version\":1,\"features\":[],\"app_file\":\"app.py\","
                      "\"space\":\"me/x\",\"root\":\"/app/me/x\",\"threads\":40}\n");
    sp_worker_put_call(&out, &(struct sp_worker_call){.id = &id,
                                                      .attempt = 2,
                                                      .fn = 3,
                                                      .session = SP_SLICE("s\"\n"),
                                                      .data = SP_SLICE("[\"hi\"]"),
                                                      .trigger = 5,
                                                      .request = SP_SLICE("{}")});
    assert_text(&out,
                "{\"type\":\"call\"," ID ",\"fn\":3,\"session\":\"s\\\"\\n\",\"data\":[\"hi\"],"
                "\"event_data\":null,\"trigger\":5,\"request\":{}}\n");
    sp_worker_put_call(&out, &(struct sp_worker_call){.id = &id,
                                                      .attempt = 2,
                                                      .session = SP_SLICE("s"),
                                                      .data = SP_SLICE("[]"),
                                                      .event_data = SP_SLICE("{\"index\":1}"),
                                                      .trigger = -1});
    assert_text(&out, "{\"type\":\"call\"," ID ",\"fn\":0,\"session\":\"s\",\"data\":[],"
                      "\"event_data\":{\"index\":1},\"trigger\":null,\"request\":null}\n");
    sp_worker_put_cancel(&out, &id, 2);
    assert_text(&out, "{\"type\":\"cancel\"," ID "}\n");
    sp_worker_put_session_end(&out, SP_SLICE("s"));
    assert_text(&out, "{\"type\":\"session_end\",\"session\":\"s\"}\n");
    sp_worker_put_credit(&out, &id, 2, 4);
    assert_text(&out, "{\"type\":\"credit\"," ID ",\"n\":4}\n");
    sp_worker_put_ping(&out, 9);
    assert_text(&out, "{\"type\":\"ping\",\"n\":9}\n");
    sp_worker_put_shutdown(&out, 5000);
    assert_text(&out, "{\"type\":\"shutdown\",\"grace_ms\":5000}\n");
}

static void test_an_app_sees_the_request_without_the_hubs_secrets(void **state)
{
    static struct sp_http_request req;
    SP_AUTO_BUF struct sp_buf out = {0};
    struct sp_slice head =
        SP_SLICE("GET /x?a=1+2&b=%C3%A9&a=3&%61=4&c&=5&d=%zz HTTP/1.1\r\nHost: h\r\n"
                 "User-Agent: \"q\"\xFF\r\nX-Two: 1\r\nx-two: 2\r\nCookie: session=secret\r\n"
                 "Authorization: Bearer secret\r\nX-HF-Authorization: Bearer secret\r\n"
                 "Connection: close\r\n\r\n");
    struct sp_http_fail fail_;

    (void)state;
    assert_true(sp_http_parse_request(head.ptr, head.len, &req, &fail_) > 0);
    sp_worker_put_request(&out, &req, "127.0.0.1", "http://h:1", NULL);
    assert_text(&out,
                "{\"headers\":{\"host\":\"h\",\"user-agent\":\"\\\"q\\\"\xEF\xBF\xBD\","
                "\"x-two\":\"1\"},\"query\":{\"a\":\"1 2\",\"b\":\"\xC3\xA9\",\"c\":\"\"},"
                "\"client\":{\"host\":\"127.0.0.1\"},\"base\":\"http://h:1\",\"username\":null}");
    sp_worker_put_request(&out, &req, "::1", "http://h:1", "ada");
    assert_non_null(
        strstr(sp_buf_str(&out),
               "\"client\":{\"host\":\"::1\"},\"base\":\"http://h:1\",\"username\":\"ada\"}"));
    assert_null(strstr(sp_buf_str(&out), "secret"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_return_keeps_its_data_byte_for_byte),
        cmocka_unit_test(test_durations_become_microseconds),
        cmocka_unit_test(test_a_yield_has_data_or_ops),
        cmocka_unit_test(test_toasts_and_errors_have_defaults),
        cmocka_unit_test(test_ready_passes_its_documents_through),
        cmocka_unit_test(test_the_other_types_are_read),
        cmocka_unit_test(test_what_is_wrong_with_a_line_is_named),
        cmocka_unit_test(test_functions_are_decoded_with_their_lists),
        cmocka_unit_test(test_what_is_wrong_with_a_function_is_named),
        cmocka_unit_test(test_a_thousand_functions_fit_and_one_more_does_not),
        cmocka_unit_test(test_an_app_without_functions_is_an_app),
        cmocka_unit_test(test_messages_to_the_worker_read_as_documented),
        cmocka_unit_test(test_an_app_sees_the_request_without_the_hubs_secrets),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
