#include "ui-protocol/gradio_msg.h"

#include <string.h>

#include "base/buf.h"
#include "base/error.h"
#include "base/mem.h"
#include "base/scan.h"
#include "tests/support/test.h"

#define HEX "f4ffceb62f70487a93029721dd512f5f"
#define EV  "\"event_id\":\"" HEX "\""

static struct sp_buf out;
static struct sp_id id;
static struct sp_gradio_head sse = {SP_GRADIO_SSE, &id, 0};
static struct sp_gradio_head ws = {SP_GRADIO_WS, &id, 0};
static struct sp_gradio_head live = {SP_GRADIO_LIVE, &id, 7};

static int setup(void **state)
{
    (void)state;
    return sp_id_from_hex(SP_SLICE(HEX), &id) ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    sp_buf_done(&out);
    return 0;
}

/* The text is what recorded servers wrote (with our six decimals), and valid by our own scanner. */
static void expect(const char *wanted)
{
    struct sp_error err;

    assert_string_equal(sp_buf_str(&out), wanted);
    assert_int_equal(sp_scan_valid(sp_buf_slice(&out), &err), 0);
    sp_buf_reset(&out);
}

static void test_waiting_reads_as_gradio_writes_it(void **state)
{
    (void)state;
    sp_gradio_put_estimation(&out, &sse, 0, 1, -1);
    expect("{\"msg\":\"estimation\"," EV ",\"rank\":0,\"queue_size\":1,\"rank_eta\":null}");
    sp_gradio_put_estimation(&out, &sse, 1, 2, 437887);
    expect("{\"msg\":\"estimation\"," EV ",\"rank\":1,\"queue_size\":2,\"rank_eta\":0.437887}");
    sp_gradio_put_estimation(&out, &(struct sp_gradio_head){SP_GRADIO_SSE, NULL, 0}, -1, 0, -1);
    expect("{\"msg\":\"estimation\",\"event_id\":null,\"rank\":null,\"queue_size\":0,\"rank_eta\":"
           "null}");
    sp_gradio_put_starts(&out, &sse, -1);
    expect("{\"msg\":\"process_starts\"," EV ",\"eta\":null}");
    sp_gradio_put_starts(&out, &sse, 10534);
    expect("{\"msg\":\"process_starts\"," EV ",\"eta\":0.010534}");
}

static void test_seconds_are_written_with_at_least_one_decimal(void **state)
{
    static const struct {
        int64_t us;
        const char *text;
    } rows[] = {{0, "0.0"},         {1, "0.000001"},
                {100000, "0.1"},    {1000000, "1.0"},
                {13500000, "13.5"}, {999999, "0.999999"},
                {-1, "null"},       {315360000000000, "315360000.0"}};

    (void)state;
    for (size_t i = 0; i < SP_LEN(rows); i++) {
        sp_gradio_put_starts(&out, &sse, rows[i].us);
        assert_true(sp_slice_ends(sp_buf_slice(&out), "}"));
        out.len--;
        if (!sp_slice_ends(sp_buf_slice(&out), rows[i].text))
            fail_msg("%s", sp_buf_str(&out));
        sp_buf_reset(&out);
    }
}

static void test_running_reads_as_gradio_writes_it(void **state)
{
    struct sp_gradio_output first = {SP_SLICE("[\"abc0 \"]"), true, 50670, 50670};

    (void)state;
    sp_gradio_put_progress(
        &out, &sse,
        SP_SLICE(
            "[{\"index\":0,\"length\":3,\"unit\":\"steps\",\"progress\":null,\"desc\":\"step\"}]"));
    expect("{\"msg\":\"progress\"," EV ",\"progress_data\":[{\"index\":0,\"length\":3,\"unit\":"
           "\"steps\",\"progress\":null,\"desc\":\"step\"}]}");
    sp_gradio_put_log(&out, &sse,
                      &(struct sp_gradio_log){SP_SLICE("\"note\""), "info", SP_SLICE("\"Info\""),
                                              SP_SLICE("10.0"), true});
    expect("{\"msg\":\"log\"," EV ",\"log\":\"note\",\"level\":\"info\",\"duration\":10.0,"
           "\"visible\":true,\"title\":\"Info\"}");
    sp_gradio_put_generating(&out, &sse, &first);
    expect("{\"msg\":\"process_generating\"," EV ",\"output\":{\"data\":[\"abc0 "
           "\"],\"is_generating\":true,\"duration\":0.05067,\"average_duration\":0.05067,\"render_"
           "config\":null,\"changed_state_ids\":[],\"used_cache\":null},\"success\":true,\"time_"
           "limit\":null}");
}

static void test_the_end_reads_as_gradio_writes_it(void **state)
{
    struct sp_gradio_output output = {SP_SLICE("[\"hello\"]"), false, 201213, 201214};
    struct sp_gradio_failure failure = {.error = SP_SLICE("\"boom: x\""), .visible = true};

    (void)state;
    sp_gradio_put_completed(&out, &sse, &output, "done");
    expect("{\"msg\":\"process_completed\"," EV
           ",\"output\":{\"data\":[\"hello\"],\"is_generating\":false,\"duration\":0.201213,"
           "\"average_duration\":0.201214,\"render_config\":null,\"changed_state_ids\":[],\"used_"
           "cache\":null},\"success\":true,\"title\":null,\"used_cache\":null,\"cache_duration\":0."
           "201213,\"avg_time\":0.201214}");
    sp_gradio_put_failed(&out, &sse, &failure, "failed");
    expect("{\"msg\":\"process_completed\"," EV ",\"output\":{\"error\":\"boom: "
           "x\",\"duration\":10,\"visible\":true,\"title\":\"Error\"},\"success\":false,\"title\":"
           "\"Error\",\"used_cache\":null,\"cache_duration\":null,\"avg_time\":null}");
    sp_gradio_put_cancelled(&out, &sse, (struct sp_slice){0}, 2);
    expect("{\"msg\":\"process_completed\"," EV
           ",\"output\":{\"data\":[null,null]},\"success\":true,\"title\":null,\"used_cache\":null,"
           "\"cache_duration\":null,\"avg_time\":null}");
    sp_gradio_put_cancelled(&out, &sse, SP_SLICE("[\"last\"]"), 1);
    assert_non_null(strstr(sp_buf_str(&out), "\"output\":{\"data\":[\"last\"]},\"success\":true"));
    sp_buf_reset(&out);
}

static void test_the_stream_itself_speaks_as_gradio_does(void **state)
{
    (void)state;
    sp_gradio_put_close_stream(&out);
    expect("{\"msg\":\"close_stream\",\"event_id\":null}");
    sp_gradio_put_heartbeat(&out);
    expect("{\"msg\":\"heartbeat\",\"event_id\":null}");
    sp_gradio_put_unexpected_error(&out, "404: Not Found", true);
    expect("{\"msg\":\"unexpected_error\",\"event_id\":null,\"message\":\"404: Not "
           "Found\",\"session_not_found\":true,\"success\":false}");
}

/* Recorded lines of 3.20.1, without the white space that Python puts behind ':' and ','. */
static void test_the_legacy_websocket_speaks_as_gradio_3_does(void **state)
{
    struct sp_gradio_output output = {SP_SLICE("[\"abc0 abc1 \"]"), true, 50782, 42158};
    struct sp_gradio_failure failure = {.error = SP_SLICE("\"'boom: x'\""), .visible = true};

    (void)state;
    sp_gradio_put_ws_plain(&out, "send_hash");
    expect("{\"msg\":\"send_hash\"}");
    sp_gradio_put_ws_estimation(&out, &(struct sp_gradio_ws_estimation){0, 1, 9833, 9833, 9833, 0});
    expect(
        "{\"msg\":\"estimation\",\"rank\":0,\"queue_size\":1,\"avg_event_process_time\":0.009833,"
        "\"avg_event_concurrent_process_time\":0.009833,\"rank_eta\":0.009833,\"queue_eta\":0.0}");
    sp_gradio_put_starts(&out, &ws, 5);
    expect("{\"msg\":\"process_starts\"}");
    sp_gradio_put_progress(&out, &ws, SP_SLICE("[]"));
    expect("{\"msg\":\"progress\",\"progress_data\":[]}");
    sp_gradio_put_log(&out, &ws,
                      &(struct sp_gradio_log){SP_SLICE("\"note\""), "info", SP_SLICE("\"Info\""),
                                              SP_SLICE("10"), true});
    expect("{\"msg\":\"log\",\"log\":\"note\",\"level\":\"info\"}");
    sp_gradio_put_generating(&out, &ws, &output);
    expect("{\"msg\":\"process_generating\",\"output\":{\"data\":[\"abc0 abc1 "
           "\"],\"is_generating\":true,\"duration\":0.050782,\"average_duration\":0.042158},"
           "\"success\":true}");
    sp_gradio_put_completed(&out, &ws, &output, "done");
    expect("{\"msg\":\"process_completed\",\"output\":{\"data\":[\"abc0 abc1 "
           "\"],\"is_generating\":true,\"duration\":0.050782,\"average_duration\":0.042158},"
           "\"success\":true}");
    sp_gradio_put_failed(&out, &ws, &failure, "failed");
    expect(
        "{\"msg\":\"process_completed\",\"output\":{\"error\":\"'boom: x'\"},\"success\":false}");
}

static void test_live_messages_add_seq_and_outcome(void **state)
{
    struct sp_gradio_output output = {SP_SLICE("[]"), false, 0, -1};

    (void)state;
    sp_gradio_put_starts(&out, &live, -1);
    expect("{\"msg\":\"process_starts\"," EV ",\"eta\":null,\"seq\":7}");
    sp_gradio_put_completed(&out, &live, &output, "done");
    assert_true(
        sp_slice_ends(sp_buf_slice(&out), ",\"avg_time\":null,\"outcome\":\"done\",\"seq\":7}"));
    sp_buf_reset(&out);
    sp_gradio_put_failed(&out, &live, &(struct sp_gradio_failure){.error = SP_SLICE("null")},
                         "lost");
    assert_non_null(strstr(sp_buf_str(&out), "{\"error\":null,\"duration\":10,\"visible\":false,"));
    assert_true(sp_slice_ends(sp_buf_slice(&out), ",\"outcome\":\"lost\",\"seq\":7}"));
    sp_buf_reset(&out);
    sp_gradio_put_cancelled(&out, &live, (struct sp_slice){0}, 0);
    assert_true(sp_slice_ends(sp_buf_slice(&out), ",\"outcome\":\"canceled\",\"seq\":7}"));
    sp_buf_reset(&out);
}

static void test_plain_answers_read_as_gradio_writes_them(void **state)
{
    (void)state;
    sp_gradio_put_event_id(&out, &id);
    expect("{\"event_id\":\"" HEX "\"}");
    sp_gradio_put_detail(&out, "Session hash not found.");
    expect("{\"detail\":\"Session hash not found.\"}");
    sp_gradio_put_queue_full(&out, 2, 2);
    expect("{\"detail\":\"Queue is full. Max size is 2 and size is 2.\"}");
    sp_gradio_put_output(&out, &(struct sp_gradio_output){SP_SLICE("[\"hi\"]"), false, 233, 2679});
    expect("{\"data\":[\"hi\"],\"is_generating\":false,\"duration\":0.000233,\"average_duration\":"
           "0.002679,\"render_config\":null,\"changed_state_ids\":[],\"used_cache\":null}");
    sp_gradio_put_failure(&out,
                          &(struct sp_gradio_failure){SP_SLICE("\"boom: x\""), SP_SLICE("\"T\""),
                                                      SP_SLICE("null"), true});
    expect("{\"error\":\"boom: x\",\"duration\":null,\"visible\":true,\"title\":\"T\"}");
}

/* --- what clients send ------------------------------------------------------------------------ */

static struct sp_gradio_join parse(const char *body, unsigned need)
{
    struct sp_gradio_join join;
    struct sp_error err;

    if (sp_gradio_parse_join(sp_slice_str(body), need, &join, &err) != 0)
        fail_msg("%s: %s", body, err.msg);
    return join;
}

static void test_recorded_join_bodies_are_read(void **state)
{
    struct sp_gradio_join j = parse("{\"data\":[\"hello\"],\"event_data\":null,\"fn_index\":0,"
                                    "\"trigger_id\":null,\"session_hash\":\"lh87jfsf5d\"}",
                                    SP_GRADIO_NEED_DATA | SP_GRADIO_NEED_FN);

    (void)state;
    assert_true(sp_slice_eq_str(j.data, "[\"hello\"]"));
    assert_int_equal(j.n_data, 1);
    assert_true(j.has_fn);
    assert_int_equal(j.fn, 0);
    assert_string_equal(j.session, "lh87jfsf5d");
    assert_true(sp_slice_eq_str(j.event_data, "null"));
    assert_int_equal(j.trigger_id, -1);
    assert_false(j.has_event_id);

    j = parse("{\"data\":[\"a\",null],\"fn_index\":5,\"session_hash\":\"7b6e20a5-11b5\",\"event_"
              "data\":{\"x\":1},\"trigger_id\":12,\"oauth_token\":null}",
              3);
    assert_int_equal(j.n_data, 2);
    assert_int_equal(j.fn, 5);
    assert_int_equal(j.trigger_id, 12);
    assert_true(sp_slice_eq_str(j.event_data, "{\"x\":1}"));
}

static void test_other_bodies_need_other_fields(void **state)
{
    struct sp_gradio_join j = parse("{\"data\":[]}", SP_GRADIO_NEED_DATA);

    (void)state;
    assert_false(j.has_fn);
    assert_string_equal(j.session, "");
    j = parse("{\"event_id\":\"" HEX "\",\"session_hash\":\"s\",\"fn_index\":2}",
              SP_GRADIO_NEED_EVENT);
    assert_true(j.has_event_id);
    assert_true(sp_id_eq(&j.event_id, &id));
    assert_null(j.data.ptr);
    j = parse("{\"event_id\":\"not ours\"}", 0);
    assert_false(j.has_event_id);
    j = parse("{\"fn_index\":0,\"session_hash\":\"hsess000001\"}",
              SP_GRADIO_NEED_FN | SP_GRADIO_NEED_SESSION);
    assert_string_equal(j.session, "hsess000001");
}

static const struct {
    const char *body;
    unsigned need;
    const char *why;
} bad[] = {
    {"", 0, "not valid JSON"},
    {"[]", 0, "an object"},
    {"{\"data\":[", 0, "not valid JSON"},
    {"{}", SP_GRADIO_NEED_DATA, "'data'"},
    {"{\"data\":null}", SP_GRADIO_NEED_DATA, "'data'"},
    {"{\"data\":{}}", 0, "'data'"},
    {"{\"data\":[],\"data\":[]}", 0, "once"},
    {"{\"data\":[]}", SP_GRADIO_NEED_FN, "'fn_index'"},
    {"{\"fn_index\":\"0\"}", 0, "'fn_index'"},
    {"{\"fn_index\":-1}", 0, "'fn_index'"},
    {"{\"fn_index\":1.5}", 0, "'fn_index'"},
    {"{\"fn_index\":2147483648}", 0, "'fn_index'"},
    {"{}", SP_GRADIO_NEED_SESSION, "'session_hash'"},
    {"{\"session_hash\":1}", 0, "'session_hash'"},
    {"{\"session_hash\":\"a\\u0000b\"}", 0, "'session_hash'"},
    {"{\"trigger_id\":\"x\"}", 0, "'trigger_id'"},
    {"{}", SP_GRADIO_NEED_EVENT, "'event_id'"},
    {"{\"event_id\":\"x\"}", SP_GRADIO_NEED_EVENT, "'event_id'"},
};

static void test_a_wrong_body_names_its_field(void **state)
{
    (void)state;
    for (size_t i = 0; i < SP_LEN(bad); i++) {
        struct sp_gradio_join join;
        struct sp_error err = {0};

        if (sp_gradio_parse_join(sp_slice_str(bad[i].body), bad[i].need, &join, &err) == 0)
            fail_msg("taken: %s", bad[i].body);
        assert_int_equal(err.kind, SP_ERR_INVALID);
        if (!strstr(err.msg, bad[i].why))
            fail_msg("%s: %s", bad[i].body, err.msg);
    }
}

static void test_sessions_and_data_have_limits(void **state)
{
    struct sp_gradio_join join;
    struct sp_error err;

    (void)state;
    for (size_t len = SP_GRADIO_SESSION_MAX; len <= SP_GRADIO_SESSION_MAX + 1; len++) {
        sp_buf_reset(&out);
        (void)sp_buf_printf(&out, "{\"session_hash\":\"%0*d\"}", (int)len, 0);
        assert_int_equal(sp_gradio_parse_join(sp_buf_slice(&out), 0, &join, &err) == 0,
                         len == SP_GRADIO_SESSION_MAX);
    }
    for (size_t n = SP_GRADIO_DATA_MAX; n <= SP_GRADIO_DATA_MAX + 1; n++) {
        sp_buf_reset(&out);
        (void)sp_buf_append_str(&out, "{\"data\":");
        sp_gradio_put_nulls(&out, n);
        (void)sp_buf_append_str(&out, "}");
        assert_int_equal(sp_gradio_parse_join(sp_buf_slice(&out), 0, &join, &err) == 0,
                         n == SP_GRADIO_DATA_MAX);
    }
    sp_buf_reset(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_waiting_reads_as_gradio_writes_it),
        cmocka_unit_test(test_seconds_are_written_with_at_least_one_decimal),
        cmocka_unit_test(test_running_reads_as_gradio_writes_it),
        cmocka_unit_test(test_the_end_reads_as_gradio_writes_it),
        cmocka_unit_test(test_the_stream_itself_speaks_as_gradio_does),
        cmocka_unit_test(test_the_legacy_websocket_speaks_as_gradio_3_does),
        cmocka_unit_test(test_live_messages_add_seq_and_outcome),
        cmocka_unit_test(test_plain_answers_read_as_gradio_writes_them),
        cmocka_unit_test(test_recorded_join_bodies_are_read),
        cmocka_unit_test(test_other_bodies_need_other_fields),
        cmocka_unit_test(test_a_wrong_body_names_its_field),
        cmocka_unit_test(test_sessions_and_data_have_limits),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
