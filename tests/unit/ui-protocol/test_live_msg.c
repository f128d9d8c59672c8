#include "ui-protocol/live_msg.h"

#include <string.h>

#include "base/buf.h"
#include "base/error.h"
#include "base/mem.h"
#include "base/scan.h"
#include "tests/support/test.h"
#include "ui-protocol/gradio_msg.h"

#define HEX "f4ffceb62f70487a93029721dd512f5f"

static struct sp_buf out;
static struct sp_id id;

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

static void expect(const char *wanted)
{
    struct sp_error err;

    assert_string_equal(sp_buf_str(&out), wanted);
    assert_int_equal(sp_scan_valid(sp_buf_slice(&out), &err), 0);
    sp_buf_reset(&out);
}

static void test_server_messages_read_as_documented(void **state)
{
    (void)state;
    sp_live_put_hello(&out, &(struct sp_live_hello){"s", "x", "e", true, NULL, 15});
    expect("{\"msg\":\"hello\",\"v\":1,\"session\":\"s\",\"secret\":\"x\",\"epoch\":\"e\","
           "\"resumed\":true,\"version\":null,\"heartbeat_s\":15}");
    sp_live_put_joined(&out, 3, SP_SLICE("r\"1"), &id);
    expect("{\"msg\":\"joined\",\"ref\":\"r\\\"1\",\"event_id\":\"" HEX "\",\"seq\":3}");
    sp_live_put_refused(&out, 4, SP_SLICE("r"), "queue_full", "Queue is full.");
    expect("{\"msg\":\"refused\",\"ref\":\"r\",\"code\":\"queue_full\",\"message\":\"Queue is "
           "full.\",\"seq\":4}");
    sp_live_put_stage(&out, 5, "RUNNING", NULL, "5f0c");
    expect("{\"msg\":\"stage\",\"stage\":\"RUNNING\",\"reason\":null,\"version\":\"5f0c\","
           "\"seq\":5}");
    sp_live_put_pong(&out);
    expect("{\"msg\":\"pong\"}");
    sp_live_put_bye(&out, "stopping");
    expect("{\"msg\":\"bye\",\"reason\":\"stopping\"}");
}

static void test_a_snapshot_lists_its_events(void **state)
{
    struct sp_live_event waiting = {&id, SP_SLICE("r"), 1, "waiting", {0}, 1500000};
    struct sp_live_event done = {&id, {0}, 2, "done", SP_SLICE("{\"data\":[]}"), 0};

    (void)state;
    sp_live_put_snapshot_begin(&out);
    sp_live_put_snapshot_end(&out, 1);
    expect("{\"msg\":\"snapshot\",\"events\":[],\"seq\":1}");
    sp_live_put_snapshot_begin(&out);
    sp_live_put_snapshot_event(&out, true, &waiting);
    sp_live_put_snapshot_event(&out, false, &done);
    sp_live_put_snapshot_end(&out, 2);
    expect("{\"msg\":\"snapshot\",\"events\":["
           "{\"event_id\":\"" HEX "\",\"ref\":\"r\",\"fn\":1,\"state\":\"waiting\",\"age_s\":1.5},"
           "{\"event_id\":\"" HEX
           "\",\"ref\":null,\"fn\":2,\"state\":\"done\",\"output\":{\"data\":[]},\"age_s\":0.0}"
           "],\"seq\":2}");
}

static void test_a_number_can_be_given_later(void **state)
{
    size_t start;

    (void)state;
    (void)sp_buf_append_str(&out, "[");
    start = out.len;
    sp_gradio_put_starts(&out, &(struct sp_gradio_head){SP_GRADIO_LIVE, NULL, 0}, -1);
    sp_live_put_seq(&out, start, 9);
    (void)sp_buf_append_str(&out, "]");
    expect("[{\"msg\":\"process_starts\",\"event_id\":null,\"eta\":null,\"seq\":9}]");
}

static struct sp_live_msg decode(const char *text)
{
    struct sp_live_msg msg;
    struct sp_error err;

    if (sp_live_msg_decode(sp_slice_str(text), &msg, &err) != 0)
        fail_msg("%s: %s", text, err.msg);
    return msg;
}

static void test_client_messages_are_read(void **state)
{
    struct sp_live_msg msg = decode("{\"type\":\"hello\",\"v\":1,\"resume\":null}");

    (void)state;
    assert_int_equal(msg.type, SP_LIVE_HELLO);
    assert_false(msg.resume);
    msg = decode("{\"type\":\"hello\",\"v\":1,\"resume\":{\"session\":\"s\",\"secret\":\"x\","
                 "\"epoch\":\"e\",\"last_seq\":12}}");
    assert_true(msg.resume);
    assert_string_equal(msg.session, "s");
    assert_string_equal(msg.secret, "x");
    assert_string_equal(msg.epoch, "e");
    assert_int_equal(msg.last_seq, 12);
    msg = decode("{\"type\":\"join\",\"ref\":\"a\",\"fn\":3,\"data\":[1,2],\"event_data\":{},"
                 "\"trigger_id\":null}");
    assert_int_equal(msg.type, SP_LIVE_JOIN);
    assert_string_equal(msg.ref, "a");
    assert_int_equal(msg.fn, 3);
    assert_int_equal(msg.n_data, 2);
    assert_int_equal(msg.trigger_id, -1);
    assert_true(sp_slice_eq_str(msg.event_data, "{}"));
    msg = decode("{\"type\":\"cancel\",\"event_id\":\"" HEX "\"}");
    assert_true(sp_id_eq(&msg.event_id, &id));
    assert_int_equal(decode("{\"type\":\"ack\",\"seq\":5}").seq, 5);
    assert_int_equal(decode("{\"type\":\"ping\"}").type, SP_LIVE_PING);
}

static const struct {
    const char *text;
    const char *ref; /* that can be refused by name */
    const char *why;
} bad[] = {
    {"x", "", "not valid JSON"},
    {"{}", "", "'type'"},
    {"{\"type\":\"leave\"}", "", "'leave' is not known"},
    {"{\"type\":\"hello\"}", "", "'v'"},
    {"{\"type\":\"hello\",\"v\":2}", "", "'v'"},
    {"{\"type\":\"hello\",\"v\":1,\"resume\":1}", "", "'resume'"},
    {"{\"type\":\"hello\",\"v\":1,\"resume\":{\"session\":\"s\",\"secret\":\"x\",\"epoch\":\"e\"}}",
     "", "'last_seq'"},
    {"{\"type\":\"hello\",\"v\":1,\"resume\":{\"session\":\"s\",\"epoch\":\"e\",\"last_seq\":1}}",
     "", "'secret'"},
    {"{\"type\":\"join\",\"fn\":0,\"data\":[]}", "", "'ref'"},
    {"{\"type\":\"join\",\"ref\":\"\",\"fn\":0,\"data\":[]}", "", "'ref'"},
    {"{\"type\":\"join\",\"ref\":"
     "\"01234567890123456789012345678901234567890123456789012345678901234\",\"fn\":0,\"data\":[]}",
     "", "'ref'"},
    {"{\"type\":\"join\",\"ref\":\"r\",\"data\":[]}", "r", "'fn'"},
    {"{\"type\":\"join\",\"ref\":\"r\",\"fn\":0}", "r", "'data'"},
    {"{\"type\":\"join\",\"ref\":\"r\",\"fn\":0,\"data\":\"x\"}", "r", "'data'"},
    {"{\"type\":\"join\",\"ref\":\"r\",\"fn\":0,\"data\":[],\"trigger_id\":-1}", "r",
     "'trigger_id'"},
    {"{\"type\":\"cancel\"}", "", "'event_id'"},
    {"{\"type\":\"ack\",\"seq\":\"1\"}", "", "'seq'"},
};

static void test_a_wrong_message_names_its_field(void **state)
{
    (void)state;
    for (size_t i = 0; i < SP_LEN(bad); i++) {
        struct sp_live_msg msg;
        struct sp_error err = {0};

        if (sp_live_msg_decode(sp_slice_str(bad[i].text), &msg, &err) == 0)
            fail_msg("taken: %s", bad[i].text);
        assert_int_equal(err.kind, SP_ERR_INVALID);
        if (!strstr(err.msg, bad[i].why))
            fail_msg("%s: %s", bad[i].text, err.msg);
        assert_string_equal(msg.ref, bad[i].ref);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_server_messages_read_as_documented),
        cmocka_unit_test(test_a_snapshot_lists_its_events),
        cmocka_unit_test(test_a_number_can_be_given_later),
        cmocka_unit_test(test_client_messages_are_read),
        cmocka_unit_test(test_a_wrong_message_names_its_field),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
