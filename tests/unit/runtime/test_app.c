/* Requests over SSE, from the join to the result, and everything that can go wrong on the way. */
#include "tests/unit/runtime/app_world.h"

static void test_an_echo_goes_through_the_queue(void **state)
{
    struct world *w = world_new(NULL);
    struct client *stream;
    char id[33];
    char called[33];

    (void)state;
    worker_ready(w);
    join(w, "gradio_api/queue/join", JOIN(0, "[\"hi\"]", "s1"), id);
    stream = get(w, DATA("s1"));
    worker_call(w, called, "[\"hi\"]");
    assert_string_equal(called, id);
    worker_return(w, id, "[\"HI\"]");
    EXPECT(stream, "text/event-stream");
    EXPECT(stream, "data: {\"msg\":\"estimation\",\"event_id\":\"");
    client_skip(stream, "\"rank\":0,\"queue_size\":1");
    EXPECT(stream, "data: {\"msg\":\"process_starts\",\"event_id\":\"");
    EXPECT(stream, "\"msg\":\"process_completed\"");
    EXPECT(stream, "\"output\":{\"data\":[\"HI\"],\"is_generating\":false,\"duration\":0.25,");
    EXPECT(stream, "\"success\":true");
    EXPECT(stream, "data: {\"msg\":\"close_stream\",\"event_id\":null}\n\n");
    EXPECT(stream, "\r\n0\r\n\r\n"); /* the answer ends with it */
    client_free(stream);
    world_free(w);
}

static void test_paths_work_without_the_prefix(void **state)
{
    struct world *w = world_new(NULL);
    struct client *c;
    char id[33];

    (void)state;
    worker_ready(w);
    c = get(w, "config");
    EXPECT(c, "\"root\":\"http://127.0.0.1/app/ann/demo\",\"space_id\":null,\"app_id\":");
    EXPECT(c, "\"connect_heartbeat\":true");
    EXPECT(c, "\"username\":null,\"version_id\":\"v1\",\"space\":\"ann/demo\"}");
    client_free(c);
    c = get(w, "gradio_api/info?serialize=False");
    EXPECT(c, "\"named_endpoints\":{\"/echo\":");
    client_free(c);
    c = get(w, "app_id");
    EXPECT(c, "{\"app_id\":");
    client_free(c);
    join(w, "queue/join", JOIN(0, "[1]", "s"), id);
    c = get(w, "queue/data?session_hash=s");
    worker_call(w, id, "[1]");
    worker_return(w, id, "[2]");
    EXPECT(c, "close_stream");
    client_free(c);
    world_free(w);
}

static void test_a_generator_sends_whole_values_then_edits(void **state)
{
    struct world *w = world_new(NULL);
    struct client *stream;
    char id[33];

    (void)state;
    worker_ready(w);
    join(w, "queue/join", JOIN(1, "[3]", "g"), id);
    stream = get(w, DATA("g"));
    worker_call(w, id, "[3]");
    EXPECT(stream, "process_starts");
    worker_say(w, "{\"type\":\"yield\",\"id\":\"%s\",\"attempt\":1,\"seq\":1,\"data\":[\"a\"]}",
               id);
    EXPECT(stream, "\"msg\":\"process_generating\"");
    EXPECT(stream, "\"output\":{\"data\":[\"a\"],\"is_generating\":true");
    worker_say(w,
               "{\"type\":\"yield\",\"id\":\"%s\",\"attempt\":1,\"seq\":2,"
               "\"ops\":[[[\"append\",[],\"b\"]]]}",
               id);
    EXPECT(stream, "\"output\":{\"data\":[[[\"append\",[],\"b\"]]],\"is_generating\":true");
    worker_say(w, "{\"type\":\"yield\",\"id\":\"%s\",\"attempt\":1,\"seq\":3,\"data\":[\"new\"]}",
               id);
    EXPECT(stream, "\"output\":{\"data\":[[[\"replace\",[],\"new\"]]],\"is_generating\":true");
    worker_say(w,
               "{\"type\":\"return\",\"id\":\"%s\",\"attempt\":1,\"data\":[\"new\"],\"duration\":1,"
               "\"generator\":true}",
               id);
    EXPECT(stream, "\"output\":{\"data\":[\"new\"],\"is_generating\":false");
    EXPECT(stream, "close_stream");
    client_free(stream);
    world_free(w);
}

static void test_yields_are_paid_with_credits(void **state)
{
    struct world *w = world_new(NULL);
    struct client *stream;
    json_t *credit;
    char id[33];

    (void)state;
    worker_ready(w);
    join(w, "queue/join", JOIN(1, "[3]", "g"), id);
    stream = get(w, DATA("g"));
    worker_call(w, id, "[3]");
    for (int i = 1; i <= 4; i++)
        worker_say(w, "{\"type\":\"yield\",\"id\":\"%s\",\"attempt\":1,\"seq\":%d,\"data\":[%d]}",
                   id, i, i);
    credit = worker_next(w, "credit");
    assert_int_equal(json_integer_value(json_object_get(credit, "n")), 4);
    json_decref(credit);
    client_free(stream);
    world_free(w);
}

static void test_progress_and_log_are_passed_on(void **state)
{
    struct world *w = world_new(NULL);
    struct client *stream;
    char id[33];

    (void)state;
    worker_ready(w);
    join(w, "queue/join", JOIN(0, "[\"x\"]", "p"), id);
    stream = get(w, DATA("p"));
    worker_call(w, id, NULL);
    EXPECT(stream, "process_starts");
    worker_say(w,
               "{\"type\":\"progress\",\"id\":\"%s\",\"attempt\":1,\"progress_data\":[{\"index\":1,"
               "\"length\":3,\"unit\":\"steps\",\"progress\":null,\"desc\":\"d\"}]}",
               id);
    EXPECT(stream, "\"msg\":\"progress\",\"event_id\":\"");
    EXPECT(stream, "\"progress_data\":[{\"index\":1,\"length\":3,\"unit\":\"steps\"");
    worker_say(w,
               "{\"type\":\"log\",\"id\":\"%s\",\"attempt\":1,\"log\":\"note\",\"level\":\"info\","
               "\"title\":\"Info\",\"duration\":10,\"visible\":true}",
               id);
    EXPECT(stream, "\"log\":\"note\",\"level\":\"info\"");
    worker_return(w, id, "[\"x\"]");
    EXPECT(stream, "close_stream");
    client_free(stream);
    world_free(w);
}

static void test_an_exception_is_a_completed_message_without_success(void **state)
{
    struct world *w = world_new(NULL);
    struct client *stream;
    char id[33];

    (void)state;
    worker_ready(w);
    join(w, "queue/join", JOIN(0, "[\"x\"]", "e"), id);
    stream = get(w, DATA("e"));
    worker_call(w, id, NULL);
    worker_say(w,
               "{\"type\":\"error\",\"id\":\"%s\",\"attempt\":1,\"error\":\"boom: x\",\"title\":"
               "\"Error\",\"duration\":10,\"visible\":true}",
               id);
    EXPECT(stream, "\"output\":{\"error\":\"boom: x\",\"duration\":10,\"visible\":true,\"title\":"
                   "\"Error\"},\"success\":false");
    EXPECT(stream, "close_stream");
    client_free(stream);
    world_free(w);
}

static void test_a_waiting_request_is_cancelled_with_nulls(void **state)
{
    struct world *w = world_new(NULL);
    struct client *stream;
    char first[33];
    char second[33];
    char body[200];

    (void)state;
    worker_ready(w);
    join(w, "queue/join", JOIN(0, "[1]", "c"), first);
    worker_call(w, first, "[1]");
    join(w, "queue/join", JOIN(0, "[2]", "c"), second);
    stream = get(w, DATA("c"));
    (void)snprintf(body, sizeof(body),
                   "{\"event_id\":\"%s\",\"session_hash\":\"c\",\"fn_index\":0}", second);
    post_expect(w, "gradio_api/cancel", body, "{\"success\":true}");
    EXPECT(stream, "\"output\":{\"data\":[null]");
    worker_return(w, first, "[\"done\"]");
    EXPECT(stream, "\"data\":[\"done\"]");
    EXPECT(stream, "close_stream");
    client_free(stream);
    world_free(w);
}

static void test_a_running_generator_is_cancelled_with_its_last_value(void **state)
{
    struct world *w = world_new(NULL);
    struct client *stream;
    char id[33];
    char body[200];

    (void)state;
    worker_ready(w);
    join(w, "queue/join", JOIN(1, "[1]", "c"), id);
    stream = get(w, DATA("c"));
    worker_call(w, id, "[1]");
    worker_say(w, "{\"type\":\"yield\",\"id\":\"%s\",\"attempt\":1,\"seq\":1,\"data\":[\"a\"]}",
               id);
    worker_say(w,
               "{\"type\":\"yield\",\"id\":\"%s\",\"attempt\":1,\"seq\":2,"
               "\"ops\":[[[\"append\",[],\"b\"]]]}",
               id);
    EXPECT(stream, "append");
    (void)snprintf(body, sizeof(body), "{\"event_id\":\"%s\"}", id);
    post_expect(w, "cancel", body, "{\"success\":true}");
    json_decref(worker_next(w, "cancel"));
    worker_say(w, "{\"type\":\"cancelled\",\"id\":\"%s\",\"attempt\":1}", id);
    EXPECT(stream, "\"msg\":\"process_completed\"");
    EXPECT(stream, "\"output\":{\"data\":[\"ab\"]");
    EXPECT(stream, "\"success\":true");
    client_free(stream);
    world_free(w);
}

static void test_a_cancel_with_the_session_of_another_does_nothing(void **state)
{
    struct world *w = world_new(NULL);
    struct client *stream;
    char id[33];
    char body[200];

    (void)state;
    worker_ready(w);
    join(w, "queue/join", JOIN(0, "[1]", "mine"), id);
    stream = get(w, DATA("mine"));
    worker_call(w, id, "[1]");
    (void)snprintf(body, sizeof(body), "{\"event_id\":\"%s\",\"session_hash\":\"other\"}", id);
    post_expect(w, "cancel", body, "{\"success\":true}");
    post_expect(w, "cancel", "{\"event_id\":\"00000000000000000000000000000000\"}",
                "{\"success\":true}");
    worker_return(w, id, "[\"kept\"]");
    EXPECT(stream, "\"data\":[\"kept\"]");
    client_free(stream);
    world_free(w);
}

static void test_a_full_queue_says_so_in_gradios_words(void **state)
{
    struct world *w = world_new(NULL);
    char id[33];

    (void)state;
    worker_ready_with(w, default_functions, ",\"max_size\":1");
    join(w, "queue/join", JOIN(0, "[1]", "f"), id);
    worker_call(w, id, "[1]");
    join(w, "queue/join", JOIN(0, "[2]", "f"), id);
    post_expect(w, "queue/join", JOIN(0, "[3]", "f"), "HTTP/1.1 503");
    post_expect(w, "queue/join", JOIN(0, "[3]", "f"),
                "{\"detail\":\"Queue is full. Max size is 1 and size is 1.\"}");
    world_free(w);
}

static void test_wrong_requests_are_refused_with_a_sentence(void **state)
{
    struct world *w = world_new(NULL);
    struct client *c;

    (void)state;
    worker_ready(w);
    post_expect(w, "queue/join", JOIN(0, "[1,2,3]", "x"),
                "{\"detail\":\"expected 1 inputs, got 3\"}");
    post_expect(w, "queue/join", JOIN(99, "[1]", "x"), "HTTP/1.1 404");
    post_expect(w, "queue/join", "{\"data\":[1],\"fn_index\":0}",
                "{\"detail\":\"Session hash not found.\"}");
    post_expect(w, "queue/join", "{\"data\":", "HTTP/1.1 422");
    post_expect(w, "queue/join", JOIN(0, "[1]", "live:1234"), "HTTP/1.1 400");
    post_expect(w, "call/state", "{\"data\":[1]}", "HTTP/1.1 404"); /* private */
    c = get(w, DATA("nobody"));
    EXPECT(c,
           "data: {\"msg\":\"unexpected_error\",\"event_id\":null,\"message\":\"404: Not Found\","
           "\"session_not_found\":true,\"success\":false}\n\n");
    client_free(c);
    c = get(w, "nothing/here");
    EXPECT(c, "HTTP/1.1 404");
    client_free(c);
    world_free(w);
}

static void test_what_a_session_may_queue_is_bounded(void **state)
{
    static const char *const settings[] = {"limit.session_events", "2", NULL};
    struct world *w = world_new(settings);
    char id[33];

    (void)state;
    worker_ready(w);
    join(w, "queue/join", JOIN(0, "[1]", "b"), id);
    join(w, "queue/join", JOIN(0, "[2]", "b"), id);
    post_expect(w, "queue/join", JOIN(0, "[3]", "b"), "limit.session_events");
    join(w, "queue/join", JOIN(0, "[4]", "other"), id);
    world_free(w);
}

static void test_a_stream_that_comes_back_within_the_grace_loses_nothing(void **state)
{
    static const char *const settings[] = {"queue.grace", "3s", NULL};
    struct world *w = world_new(settings);
    struct client *stream;
    char id[33];

    (void)state;
    worker_ready(w);
    join(w, "queue/join", JOIN(1, "[1]", "r"), id);
    stream = get(w, DATA("r"));
    worker_call(w, id, "[1]");
    worker_say(w, "{\"type\":\"yield\",\"id\":\"%s\",\"attempt\":1,\"seq\":1,\"data\":[\"a\"]}",
               id);
    EXPECT(stream, "process_generating");
    client_cut(stream);
    worker_say(w,
               "{\"type\":\"yield\",\"id\":\"%s\",\"attempt\":1,\"seq\":2,"
               "\"ops\":[[[\"append\",[],\"b\"]]]}",
               id);
    settle(w, 30);
    stream = get(w, DATA("r"));
    EXPECT(stream, "\"output\":{\"data\":[\"ab\"],\"is_generating\":true");
    worker_return(w, id, "[\"abc\"]");
    EXPECT(stream, "\"output\":{\"data\":[\"abc\"],\"is_generating\":false");
    EXPECT(stream, "close_stream");
    client_free(stream);
    world_free(w);
}

static void test_after_the_grace_a_running_request_is_cancelled(void **state)
{
    static const char *const settings[] = {"queue.grace", "60ms", NULL};
    struct world *w = world_new(settings);
    struct client *stream;
    char id[33];

    (void)state;
    worker_ready(w);
    join(w, "queue/join", JOIN(0, "[1]", "r"), id);
    stream = get(w, DATA("r"));
    worker_call(w, id, "[1]");
    EXPECT(stream, "process_starts");
    client_cut(stream);
    json_decref(worker_next(w, "cancel"));
    world_free(w);
}

static void test_a_join_whose_stream_never_opens_is_abandoned(void **state)
{
    static const char *const settings[] = {"queue.grace", "60ms", NULL};
    struct world *w = world_new(settings);
    char running[33];
    char waiting[33];
    uint32_t n_waiting;
    uint32_t n_running;

    (void)state;
    worker_ready(w);
    join(w, "queue/join", JOIN(0, "[1]", "a"), running);
    worker_call(w, running, NULL);
    join(w, "queue/join", JOIN(0, "[2]", "b"), waiting);
    json_decref(worker_next(w, "cancel"));
    worker_return(w, running, "[1]");
    settle(w, 50);
    sp_apps_queue_counts(w->apps, SPACE, &n_waiting, &n_running);
    assert_int_equal(n_waiting, 0);
    assert_int_equal(n_running, 0);
    world_free(w);
}

static void test_call_returns_an_id_and_a_fetch_its_values(void **state)
{
    struct world *w = world_new(NULL);
    struct client *c;
    char path[100];
    char id[33];

    (void)state;
    worker_ready(w);
    join(w, "gradio_api/call/gen", "{\"data\":[3]}", id);
    (void)snprintf(path, sizeof(path), "gradio_api/call/gen/%s", id);
    c = get(w, path);
    worker_call(w, id, "[3]");
    EXPECT(c, "text/event-stream");
    worker_say(w, "{\"type\":\"yield\",\"id\":\"%s\",\"attempt\":1,\"seq\":1,\"data\":[\"a\"]}",
               id);
    EXPECT(c, "event: generating\ndata: [\"a\"]\n\n");
    worker_say(w,
               "{\"type\":\"yield\",\"id\":\"%s\",\"attempt\":1,\"seq\":2,"
               "\"ops\":[[[\"append\",[],\"b\"]]]}",
               id);
    EXPECT(c, "event: generating\ndata: [\"ab\"]\n\n");
    worker_return(w, id, "[\"abc\"]");
    EXPECT(c, "event: complete\ndata: [\"abc\"]\n\n");
    EXPECT(c, "\r\n0\r\n\r\n");
    client_free(c);
    c = get(w, path); /* the result can be fetched again */
    EXPECT(c, "event: complete\ndata: [\"abc\"]\n\n");
    client_free(c);
    c = get(w, "call/gen/00000000000000000000000000000000");
    EXPECT(c, "event: error\ndata: \"404: Not Found\"\n\n");
    client_free(c);
    world_free(w);
}

static void test_call_v2_takes_named_arguments(void **state)
{
    struct world *w = world_new(NULL);
    char id[33];
    char called[33];

    (void)state;
    worker_ready(w);
    join(w, "call/v2/echo", "{\"x\":\"named\"}", id);
    worker_call(w, called, "[\"named\"]");
    assert_string_equal(called, id);
    post_expect(w, "call/v2/echo", "{\"y\":1}", "missing argument 'x'");
    world_free(w);
}

static void test_run_answers_with_the_result(void **state)
{
    struct world *w = world_new(NULL);
    struct client *c;
    char id[33];

    (void)state;
    worker_ready(w);
    c = post(w, "gradio_api/run/direct",
             "{\"data\":[\"d\"],\"fn_index\":3,\"session_hash\":\"s\"}");
    worker_call(w, id, "[\"d\"]");
    worker_return(w, id, "[\"D\"]");
    EXPECT(c, "HTTP/1.1 200");
    EXPECT(c, "{\"data\":[\"D\"],\"is_generating\":false,\"duration\":0.25,");
    client_free(c);
    c = post(w, "api/direct/", "{\"data\":[\"d\"]}");
    worker_call(w, id, "[\"d\"]");
    worker_say(w,
               "{\"type\":\"error\",\"id\":\"%s\",\"attempt\":1,\"error\":\"boom\",\"title\":"
               "\"Error\",\"duration\":10,\"visible\":true}",
               id);
    EXPECT(c, "HTTP/1.1 500");
    EXPECT(c, "{\"error\":\"boom\",");
    client_free(c);
    world_free(w);
}

static void test_a_run_whose_client_goes_is_cancelled(void **state)
{
    struct world *w = world_new(NULL);
    struct client *c;
    char id[33];

    (void)state;
    worker_ready(w);
    c = post(w, "run/direct", "{\"data\":[\"d\"]}");
    worker_call(w, id, "[\"d\"]");
    client_cut(c);
    json_decref(worker_next(w, "cancel"));
    worker_return(w, id, "[\"late\"]");
    settle(w, 20);
    world_free(w);
}

static void test_a_function_may_cancel_others_of_the_same_visitor(void **state)
{
    static const char functions[] =
        "[{\"fn\":0,\"api_name\":\"gen\",\"queue\":true,\"group\":0,\"limit\":2,\"inputs\":1,"
        "\"outputs\":1,\"state_inputs\":[],\"generator\":true,\"api_visibility\":\"public\","
        "\"backend\":true,\"cancels\":[]},"
        "{\"fn\":1,\"api_name\":\"stop\",\"queue\":true,\"group\":1,\"limit\":1,\"inputs\":0,"
        "\"outputs\":0,\"state_inputs\":[],\"generator\":false,\"api_visibility\":\"public\","
        "\"backend\":true,\"cancels\":[0]}]";
    struct world *w = world_new(NULL);
    json_t *cancel;
    char mine[33];
    char other[33];
    char id[33];

    (void)state;
    worker_ready_with(w, functions, "");
    join(w, "queue/join", JOIN(0, "[1]", "me"), mine);
    worker_call(w, id, NULL);
    join(w, "queue/join", JOIN(0, "[2]", "you"), other);
    worker_call(w, id, NULL);
    join(w, "queue/join", JOIN(1, "[]", "me"), id);
    cancel = worker_next(w, "cancel");
    assert_string_equal(json_string_value(json_object_get(cancel, "id")), mine);
    json_decref(cancel);
    settle(w, 20);
    assert_null(strstr(sp_buf_str(&w->worker_in), other));
    world_free(w);
}

static void test_states_may_be_left_out(void **state)
{
    struct world *w = world_new(NULL);
    char id[33];

    (void)state;
    worker_ready(w);
    join(w, "queue/join", JOIN(2, "[\"a\"]", "s"), id);
    worker_call(w, id, "[\"a\",null]");
    world_free(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_an_echo_goes_through_the_queue),
        cmocka_unit_test(test_paths_work_without_the_prefix),
        cmocka_unit_test(test_a_generator_sends_whole_values_then_edits),
        cmocka_unit_test(test_yields_are_paid_with_credits),
        cmocka_unit_test(test_progress_and_log_are_passed_on),
        cmocka_unit_test(test_an_exception_is_a_completed_message_without_success),
        cmocka_unit_test(test_a_waiting_request_is_cancelled_with_nulls),
        cmocka_unit_test(test_a_running_generator_is_cancelled_with_its_last_value),
        cmocka_unit_test(test_a_cancel_with_the_session_of_another_does_nothing),
        cmocka_unit_test(test_a_full_queue_says_so_in_gradios_words),
        cmocka_unit_test(test_wrong_requests_are_refused_with_a_sentence),
        cmocka_unit_test(test_what_a_session_may_queue_is_bounded),
        cmocka_unit_test(test_a_stream_that_comes_back_within_the_grace_loses_nothing),
        cmocka_unit_test(test_after_the_grace_a_running_request_is_cancelled),
        cmocka_unit_test(test_a_join_whose_stream_never_opens_is_abandoned),
        cmocka_unit_test(test_call_returns_an_id_and_a_fetch_its_values),
        cmocka_unit_test(test_call_v2_takes_named_arguments),
        cmocka_unit_test(test_run_answers_with_the_result),
        cmocka_unit_test(test_a_run_whose_client_goes_is_cancelled),
        cmocka_unit_test(test_a_function_may_cancel_others_of_the_same_visitor),
        cmocka_unit_test(test_states_may_be_left_out),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
