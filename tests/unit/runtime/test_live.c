/* The page's WebSocket: numbers, resume, snapshot; and the WebSocket of Gradio 3. */
#include "tests/unit/runtime/app_world.h"

struct session {
    char session[65];
    char secret[65];
    char epoch[65];
};

static void copy_string(char *to, size_t size, const json_t *obj, const char *key)
{
    const char *value = json_string_value(json_object_get(obj, key));

    assert_non_null(value);
    (void)snprintf(to, size, "%s", value);
}

static bool read_hello(struct client *c, struct session *ret)
{
    char *text = ws_next(c);
    json_t *hello = json_loads(text, 0, NULL);
    bool resumed;

    assert_non_null(hello);
    assert_string_equal(json_string_value(json_object_get(hello, "msg")), "hello");
    copy_string(ret->session, sizeof(ret->session), hello, "session");
    copy_string(ret->secret, sizeof(ret->secret), hello, "secret");
    copy_string(ret->epoch, sizeof(ret->epoch), hello, "epoch");
    resumed = json_is_true(json_object_get(hello, "resumed"));
    json_decref(hello);
    free(text);
    return resumed;
}

static struct client *open_live(struct world *w, struct session *ret)
{
    struct client *c = ws_open(w, "live");

    ws_say(c, "{\"type\":\"hello\",\"v\":1,\"resume\":null}");
    assert_false(read_hello(c, ret));
    return c;
}

static struct client *resume(struct world *w, struct session *s, unsigned last_seq, bool expected)
{
    struct client *c = ws_open(w, "live");
    struct session got;

    ws_say(c,
           "{\"type\":\"hello\",\"v\":1,\"resume\":{\"session\":\"%s\",\"secret\":\"%s\",\"epoch\":"
           "\"%s\",\"last_seq\":%u}}",
           s->session, s->secret, s->epoch, last_seq);
    assert_int_equal(read_hello(c, &got), expected);
    if (expected)
        assert_string_equal(got.session, s->session);
    *s = got;
    return c;
}

static void say_join(struct client *c, const char *ref, unsigned fn, const char *data)
{
    ws_say(c,
           "{\"type\":\"join\",\"ref\":\"%s\",\"fn\":%u,\"data\":%s,\"event_data\":null,"
           "\"trigger_id\":null}",
           ref, fn, data);
}

static unsigned seq_of(const char *text)
{
    json_t *msg = json_loads(text, 0, NULL);
    unsigned seq = (unsigned)json_integer_value(json_object_get(msg, "seq"));

    json_decref(msg);
    return seq;
}

static void test_a_page_joins_and_gets_its_result_numbered(void **state)
{
    struct world *w = world_new(NULL);
    struct session s;
    struct client *c;
    char id[33];
    unsigned seq = 0;
    char *text;

    (void)state;
    worker_ready(w);
    c = open_live(w, &s);
    say_join(c, "r1", 0, "[\"hi\"]");
    worker_call(w, id, "[\"hi\"]");
    worker_return(w, id, "[\"HI\"]");
    text = ws_next(c);
    assert_non_null(strstr(text, "\"msg\":\"joined\""));
    assert_non_null(strstr(text, "\"ref\":\"r1\""));
    assert_non_null(strstr(text, id));
    do {
        assert_int_equal(seq_of(text), ++seq);
        free(text);
        text = ws_next(c);
    } while (!strstr(text, "process_completed"));
    assert_int_equal(seq_of(text), seq + 1);
    assert_non_null(strstr(text, "\"output\":{\"data\":[\"HI\"]"));
    assert_non_null(strstr(text, "\"outcome\":\"done\""));
    free(text);
    client_free(c);
    world_free(w);
}

static void test_the_same_ref_is_the_same_request(void **state)
{
    struct world *w = world_new(NULL);
    struct session s;
    struct client *c;
    char id[33];
    char *text;

    (void)state;
    worker_ready(w);
    c = open_live(w, &s);
    say_join(c, "once", 0, "[1]");
    worker_call(w, id, "[1]");
    free(ws_until(c, "joined"));
    say_join(c, "once", 0, "[1]");
    text = ws_until(c, "joined");
    assert_non_null(strstr(text, id));
    free(text);
    settle(w, 20);
    assert_false(worker_has_line(w));
    client_free(c);
    world_free(w);
}

static void test_refusals_have_a_code_and_a_sentence(void **state)
{
    struct world *w = world_new(NULL);
    struct session s;
    struct client *c;
    char id[33];

    (void)state;
    worker_ready_with(w, default_functions, ",\"max_size\":1");
    c = open_live(w, &s);
    say_join(c, "a", 77, "[1]");
    WS_EXPECT(c, "\"code\":\"no_function\"");
    say_join(c, "b", 0, "[1,2]");
    WS_EXPECT(c, "expected 1 inputs, got 2");
    say_join(c, "c", 0, "[1]");
    worker_call(w, id, NULL);
    free(ws_until(c, "process_starts"));
    say_join(c, "d", 0, "[2]");
    free(ws_until(c, "\"ref\":\"d\""));
    say_join(c, "e", 0, "[3]");
    free(ws_until(c, "\"code\":\"queue_full\""));
    sp_apps_space_stage(w->apps, SPACE, "RUNTIME_ERROR", "it broke");
    free(ws_until(c, "\"msg\":\"stage\""));
    client_free(c);
    world_free(w);
}

static void test_a_lost_socket_is_resumed_where_it_was(void **state)
{
    struct world *w = world_new(NULL);
    struct session s;
    struct client *c;
    unsigned seen;
    char id[33];
    char *text;

    (void)state;
    worker_ready(w);
    c = open_live(w, &s);
    say_join(c, "g", 1, "[3]");
    worker_call(w, id, NULL);
    worker_say(w, "{\"type\":\"yield\",\"id\":\"%s\",\"attempt\":1,\"seq\":1,\"data\":[\"a\"]}",
               id);
    text = ws_until(c, "process_generating");
    seen = seq_of(text);
    free(text);
    client_cut(c);
    worker_say(w,
               "{\"type\":\"yield\",\"id\":\"%s\",\"attempt\":1,\"seq\":2,"
               "\"ops\":[[[\"append\",[],\"b\"]]]}",
               id);
    settle(w, 20);
    c = resume(w, &s, seen, true);
    text = ws_next(c); /* exactly what came after, once, as edits */
    assert_non_null(strstr(text, "[[[\"append\",[],\"b\"]]]"));
    assert_int_equal(seq_of(text), seen + 1);
    free(text);
    worker_return(w, id, "[\"ab\"]");
    WS_EXPECT(c, "\"output\":{\"data\":[\"ab\"],\"is_generating\":false");
    client_free(c);
    world_free(w);
}

static void test_messages_on_their_way_are_repeated_until_acknowledged(void **state)
{
    struct world *w = world_new(NULL);
    struct session s;
    struct client *c;
    unsigned last;
    char id[33];
    char *text;

    (void)state;
    worker_ready(w);
    c = open_live(w, &s);
    say_join(c, "x", 0, "[1]");
    worker_call(w, id, NULL);
    worker_return(w, id, "[1]");
    text = ws_until(c, "process_completed");
    last = seq_of(text);
    free(text);
    client_cut(c);
    c = resume(w, &s, 0, true); /* as if nothing had arrived */
    WS_EXPECT(c, "\"msg\":\"joined\"");
    free(ws_until(c, "process_completed"));
    ws_say(c, "{\"type\":\"ack\",\"seq\":%u}", last);
    ws_say(c, "{\"type\":\"ping\"}");
    WS_EXPECT(c, "pong");
    client_cut(c);
    c = resume(w, &s, 0, true); /* too old now: how things are instead */
    WS_EXPECT(c, "\"msg\":\"snapshot\"");
    client_free(c);
    world_free(w);
}

static void test_without_replay_a_resume_gets_a_snapshot_and_then_edits(void **state)
{
    static const char *const settings[] = {"limit.replay", "1k", NULL};
    struct world *w = world_new(settings);
    struct session s;
    struct client *c;
    char big[1500];
    char id[33];
    char *text;

    (void)state;
    worker_ready(w);
    c = open_live(w, &s);
    say_join(c, "g", 1, "[3]");
    worker_call(w, id, NULL);
    free(ws_until(c, "process_starts"));
    client_cut(c);
    settle(w, 20);
    memset(big, 'z', sizeof(big) - 1);
    big[sizeof(big) - 1] = '\0';
    worker_say(w, "{\"type\":\"yield\",\"id\":\"%s\",\"attempt\":1,\"seq\":1,\"data\":[\"%s\"]}",
               id, big);
    settle(w, 20);
    c = resume(w, &s, 2, true);
    text = ws_next(c);
    assert_non_null(strstr(text, "\"msg\":\"snapshot\""));
    assert_non_null(strstr(text, "\"state\":\"running\""));
    assert_non_null(strstr(text, "zzzz"));
    free(text);
    worker_say(w,
               "{\"type\":\"yield\",\"id\":\"%s\",\"attempt\":1,\"seq\":2,"
               "\"ops\":[[[\"append\",[],\"b\"]]]}",
               id);
    WS_EXPECT(c, "[[[\"append\",[],\"b\"]]]");
    client_free(c);
    world_free(w);
}

static void say_progress(struct world *w, const char *id, int index)
{
    worker_say(
        w,
        "{\"type\":\"progress\",\"id\":\"%s\",\"attempt\":1,\"progress_data\":[{\"index\":%d,"
        "\"length\":9,\"unit\":\"steps\",\"progress\":null,\"desc\":null}]}",
        id, index);
}

static void test_of_progress_the_newest_wins(void **state)
{
    static const char *const settings[] = {"queue.publish", "80ms", NULL};
    struct world *w = world_new(settings);
    struct session s;
    struct client *c;
    char id[33];
    char *text;

    (void)state;
    worker_ready(w);
    c = open_live(w, &s);
    say_join(c, "x", 0, "[1]");
    worker_call(w, id, NULL);
    free(ws_until(c, "process_starts"));
    for (int i = 1; i <= 5; i++)
        say_progress(w, id, i);
    WS_EXPECT(c, "\"progress_data\":[{\"index\":1,");
    WS_EXPECT(c, "\"progress_data\":[{\"index\":5,");
    client_cut(c);
    say_progress(w, id, 6);
    settle(w, 30);
    c = resume(w, &s, 100, true); /* a seq from the future: a snapshot, then the newest */
    WS_EXPECT(c, "snapshot");
    text = ws_next(c);
    assert_non_null(strstr(text, "\"progress_data\":[{\"index\":6,"));
    free(text);
    client_free(c);
    world_free(w);
}

static void test_a_wrong_secret_starts_a_new_session(void **state)
{
    struct world *w = world_new(NULL);
    struct session s;
    struct client *c;
    char old[65];

    (void)state;
    worker_ready(w);
    c = open_live(w, &s);
    (void)snprintf(old, sizeof(old), "%s", s.session);
    (void)snprintf(s.secret, sizeof(s.secret), "%s", "00000000000000000000000000000000");
    client_free(c);
    c = resume(w, &s, 0, false);
    assert_string_not_equal(old, s.session);
    client_free(c);
    world_free(w);
}

static void test_another_visitors_request_cannot_be_cancelled(void **state)
{
    struct world *w = world_new(NULL);
    struct session mine;
    struct session other;
    struct client *a;
    struct client *b;
    char path[200];
    char id[33];
    char *text;

    (void)state;
    worker_ready(w);
    a = open_live(w, &mine);
    b = open_live(w, &other);
    say_join(a, "x", 0, "[1]");
    worker_call(w, id, NULL);
    ws_say(b, "{\"type\":\"cancel\",\"event_id\":\"%s\"}", id);
    ws_say(b, "{\"type\":\"ping\"}");
    WS_EXPECT(b, "pong");
    assert_false(worker_has_line(w));
    /* nor can its session be read by Gradio's path, whose only key is the name */
    (void)snprintf(path, sizeof(path), "queue/data?session_hash=%s", mine.session);
    {
        struct client *thief = get(w, path);

        EXPECT(thief, "session_not_found\":true");
        client_free(thief);
    }
    ws_say(a, "{\"type\":\"cancel\",\"event_id\":\"%s\"}", id);
    json_decref(worker_next(w, "cancel"));
    worker_say(w, "{\"type\":\"cancelled\",\"id\":\"%s\",\"attempt\":1}", id);
    text = ws_until(a, "process_completed");
    assert_non_null(strstr(text, "\"outcome\":\"canceled\""));
    assert_non_null(strstr(text, "\"data\":[null]"));
    free(text);
    client_free(a);
    client_free(b);
    world_free(w);
}

static void test_after_the_grace_a_live_request_is_cancelled(void **state)
{
    static const char *const settings[] = {"queue.grace", "60ms", NULL};
    struct world *w = world_new(settings);
    struct session s;
    struct client *c;
    json_t *end;
    char id[33];

    (void)state;
    worker_ready(w);
    c = open_live(w, &s);
    say_join(c, "x", 0, "[1]");
    worker_call(w, id, NULL);
    free(ws_until(c, "process_starts"));
    client_cut(c);
    json_decref(worker_next(w, "cancel"));
    worker_return(w, id, "[1]");
    end = worker_next(w, "session_end");
    assert_string_equal(json_string_value(json_object_get(end, "session")), s.session);
    json_decref(end);
    world_free(w);
}

static void test_after_a_restart_a_resume_gets_a_snapshot_of_what_is_kept(void **state)
{
    struct world *w = world_new(NULL);
    struct session s;
    struct client *c;
    char id[33];
    char *text;

    (void)state;
    worker_ready(w);
    c = open_live(w, &s);
    say_join(c, "first", 0, "[1]");
    worker_call(w, id, "[1]");
    say_join(c, "second", 0, "[2]");
    free(ws_until(c, "\"ref\":\"second\""));
    close_apps(w);
    client_free(c);
    (void)close(w->worker_fd);
    open_apps(w);
    worker_ready(w);
    settle(w, 30); /* that it is lost is written before it is told */
    c = resume(w, &s, 3, true);
    text = ws_next(c);
    assert_non_null(strstr(text, "\"ref\":\"first\""));
    if (!strstr(text, "\"state\":\"lost\""))
        fail_msg("no lost request in %s", text);
    assert_non_null(strstr(text, "\"ref\":\"second\""));
    free(text);
    worker_call(w, id, "[2]");
    worker_return(w, id, "[\"two\"]");
    text = ws_until(c, "process_completed");
    assert_non_null(strstr(text, "\"data\":[\"two\"]"));
    free(text);
    client_free(c);
    world_free(w);
}

static void test_noise_closes_the_socket_with_1002(void **state)
{
    struct world *w = world_new(NULL);
    struct session s;
    struct client *c;

    (void)state;
    worker_ready(w);
    c = ws_open(w, "live");
    ws_say(c, "noise");
    WS_EXPECT(c, "close 1002");
    client_free(c);
    c = ws_open(w, "live");
    say_join(c, "x", 0, "[1]"); /* before hello */
    WS_EXPECT(c, "close 1002");
    client_free(c);
    c = open_live(w, &s);
    ws_say(c, "{\"type\":\"hello\",\"v\":1,\"resume\":null}");
    WS_EXPECT(c, "close 1002");
    client_free(c);
    world_free(w);
}

/* --- Gradio 3
 * ------------------------------------------------------------------------------------------ */

static void test_gradio_3_gets_its_messages_in_its_order(void **state)
{
    struct world *w = world_new(NULL);
    struct client *c;
    char id[33];
    char *text;

    (void)state;
    worker_ready(w);
    c = ws_open(w, "queue/join");
    text = ws_next(c);
    assert_string_equal(text, "{\"msg\":\"send_hash\"}");
    free(text);
    ws_say(c, "{\"session_hash\": \"hsess000001\", \"fn_index\": 0}");
    text = ws_next(c);
    assert_non_null(strstr(text, "{\"msg\":\"estimation\",\"rank\":0,\"queue_size\":1,"
                                 "\"avg_event_process_time\":"));
    assert_non_null(strstr(text, "\"avg_event_concurrent_process_time\":"));
    assert_non_null(strstr(text, "\"rank_eta\":"));
    assert_non_null(strstr(text, "\"queue_eta\":"));
    assert_null(strstr(text, "event_id"));
    free(text);
    text = ws_next(c);
    assert_string_equal(text, "{\"msg\":\"send_data\"}");
    free(text);
    ws_say(c, "{\"data\": [\"hello\"], \"event_data\": null, \"fn_index\": 0, \"session_hash\": "
              "\"hsess000001\"}");
    worker_call(w, id, "[\"hello\"]");
    text = ws_next(c);
    assert_string_equal(text, "{\"msg\":\"process_starts\"}");
    free(text);
    worker_return(w, id, "[\"hello\"]");
    text = ws_next(c);
    assert_non_null(strstr(text,
                           "{\"msg\":\"process_completed\",\"output\":{\"data\":[\"hello\"],"
                           "\"is_generating\":false,\"duration\":0.25,\"average_duration\":"));
    assert_non_null(strstr(text, "},\"success\":true}"));
    free(text);
    WS_EXPECT(c, "close 1000");
    client_free(c);
    world_free(w);
}

static void test_gradio_3_gets_whole_values_of_a_generator(void **state)
{
    struct world *w = world_new(NULL);
    struct client *c;
    char id[33];
    char *text;

    (void)state;
    worker_ready(w);
    c = ws_open(w, "queue/join");
    ws_say(c, "{\"session_hash\": \"h\", \"fn_index\": 1}");
    free(ws_until(c, "send_data"));
    ws_say(c, "{\"data\": [3], \"fn_index\": 1, \"session_hash\": \"h\"}");
    worker_call(w, id, "[3]");
    worker_say(w, "{\"type\":\"yield\",\"id\":\"%s\",\"attempt\":1,\"seq\":1,\"data\":[\"a \"]}",
               id);
    WS_EXPECT(c, "process_starts");
    WS_EXPECT(c, "\"output\":{\"data\":[\"a \"],\"is_generating\":true");
    worker_say(w,
               "{\"type\":\"yield\",\"id\":\"%s\",\"attempt\":1,\"seq\":2,"
               "\"ops\":[[[\"append\",[],\"b\"]]]}",
               id);
    WS_EXPECT(c, "\"output\":{\"data\":[\"a b\"],\"is_generating\":true");
    worker_say(
        w,
        "{\"type\":\"return\",\"id\":\"%s\",\"attempt\":1,\"data\":[\"a b\"],\"duration\":0.05,"
        "\"generator\":true}",
        id);
    text = ws_next(c);
    assert_non_null(strstr(text, "\"output\":{\"data\":[\"a b\"],\"is_generating\":true"));
    free(text);
    WS_EXPECT(c, "close 1000");
    client_free(c);
    world_free(w);
}

static void test_gradio_3_is_told_of_errors_and_full_queues(void **state)
{
    struct world *w = world_new(NULL);
    struct client *c;
    struct client *full;
    char id[33];

    (void)state;
    worker_ready_with(w, default_functions, ",\"max_size\":0");
    full = ws_open(w, "queue/join");
    ws_say(full, "{\"session_hash\": \"h\", \"fn_index\": 0}");
    WS_EXPECT(full, "send_hash");
    WS_EXPECT(full, "{\"msg\":\"queue_full\"}");
    WS_EXPECT(full, "close 1000");
    client_free(full);
    (void)close(w->worker_fd);
    WAIT_FOR(w, w->n_broken == 1);
    w->n_broken = 0;
    sp_apps_worker_gone(w->apps, w->worker, "gone");
    worker_ready(w);
    c = ws_open(w, "queue/join");
    ws_say(c, "{\"session_hash\": \"h\", \"fn_index\": 0}");
    free(ws_until(c, "send_data"));
    ws_say(c, "{\"data\": [\"x\"], \"fn_index\": 0, \"session_hash\": \"h\"}");
    worker_call(w, id, NULL);
    worker_say(w,
               "{\"type\":\"error\",\"id\":\"%s\",\"attempt\":1,\"error\":\"boom\",\"title\":"
               "\"Error\",\"duration\":10,\"visible\":true}",
               id);
    WS_EXPECT(c, "process_starts");
    WS_EXPECT(c, "{\"msg\":\"process_completed\",\"output\":{\"error\":\"boom\"");
    WS_EXPECT(c, "close 1000");
    client_free(c);
    world_free(w);
}

static void test_gradio_3_that_goes_is_cancelled(void **state)
{
    struct world *w = world_new(NULL);
    struct client *c;
    char id[33];

    (void)state;
    worker_ready(w);
    c = ws_open(w, "queue/join");
    ws_say(c, "{\"session_hash\": \"h\", \"fn_index\": 0}");
    free(ws_until(c, "send_data"));
    ws_say(c, "{\"data\": [\"x\"], \"fn_index\": 0, \"session_hash\": \"h\"}");
    worker_call(w, id, NULL);
    client_cut(c);
    json_decref(worker_next(w, "cancel"));
    world_free(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_page_joins_and_gets_its_result_numbered),
        cmocka_unit_test(test_the_same_ref_is_the_same_request),
        cmocka_unit_test(test_refusals_have_a_code_and_a_sentence),
        cmocka_unit_test(test_a_lost_socket_is_resumed_where_it_was),
        cmocka_unit_test(test_messages_on_their_way_are_repeated_until_acknowledged),
        cmocka_unit_test(test_without_replay_a_resume_gets_a_snapshot_and_then_edits),
        cmocka_unit_test(test_of_progress_the_newest_wins),
        cmocka_unit_test(test_a_wrong_secret_starts_a_new_session),
        cmocka_unit_test(test_another_visitors_request_cannot_be_cancelled),
        cmocka_unit_test(test_after_the_grace_a_live_request_is_cancelled),
        cmocka_unit_test(test_after_a_restart_a_resume_gets_a_snapshot_of_what_is_kept),
        cmocka_unit_test(test_noise_closes_the_socket_with_1002),
        cmocka_unit_test(test_gradio_3_gets_its_messages_in_its_order),
        cmocka_unit_test(test_gradio_3_gets_whole_values_of_a_generator),
        cmocka_unit_test(test_gradio_3_is_told_of_errors_and_full_queues),
        cmocka_unit_test(test_gradio_3_that_goes_is_cancelled),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
