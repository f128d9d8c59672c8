/* Sessions: what is kept, for how long, how much, and for whom. */
#include "tests/unit/runtime/app_world.h"

static void yield_text(struct world *w, const char *id, unsigned seq, const char *text)
{
    worker_say(w, "{\"type\":\"yield\",\"id\":\"%s\",\"attempt\":1,\"seq\":%u,\"data\":[\"%s\"]}",
               id, seq, text);
}

static uint64_t n_sessions(struct world *w)
{
    struct sp_apps_stats stats;

    sp_apps_stats(w->apps, &stats);
    return stats.sessions;
}

static void test_a_stream_closes_after_the_last_of_its_requests(void **state)
{
    struct world *w = world_new(NULL);
    struct client *stream;
    char first[33];
    char second[33];

    (void)state;
    worker_ready(w);
    join(w, "queue/join", JOIN(1, "[1]", "s"), first);
    join(w, "queue/join", JOIN(1, "[2]", "s"), second);
    stream = get(w, DATA("s"));
    worker_call(w, first, "[1]");
    worker_call(w, second, "[2]");
    worker_return(w, second, "[\"b\"]");
    EXPECT(stream, "\"data\":[\"b\"]");
    settle(w, 30);
    assert_false(client_has(stream, "close_stream"));
    worker_return(w, first, "[\"a\"]");
    EXPECT(stream, "\"data\":[\"a\"]");
    EXPECT(stream, "close_stream");
    client_free(stream);
    world_free(w);
}

static void test_messages_wait_for_a_stream_that_opens_late(void **state)
{
    struct world *w = world_new(NULL);
    struct client *stream;
    char id[33];

    (void)state;
    worker_ready(w);
    join(w, "queue/join", JOIN(1, "[1]", "s"), id);
    worker_call(w, id, NULL);
    yield_text(w, id, 1, "a");
    worker_say(w,
               "{\"type\":\"yield\",\"id\":\"%s\",\"attempt\":1,\"seq\":2,"
               "\"ops\":[[[\"append\",[],\"b\"]]]}",
               id);
    worker_return(w, id, "[\"ab\"]");
    settle(w, 30);
    stream = get(w, DATA("s"));
    EXPECT(stream, "\"msg\":\"estimation\"");
    EXPECT(stream, "\"output\":{\"data\":[\"a\"],\"is_generating\":true");
    EXPECT(stream, "\"data\":[[[\"append\",[],\"b\"]]]");
    EXPECT(stream, "\"output\":{\"data\":[\"ab\"],\"is_generating\":false");
    EXPECT(stream, "close_stream");
    client_free(stream);
    world_free(w);
}

static void test_what_waits_for_a_stream_is_bounded_and_made_up_for(void **state)
{
    static const char *const settings[] = {"limit.replay", "1k", NULL};
    struct world *w = world_new(settings);
    struct client *stream;
    char id[33];
    char text[400];

    (void)state;
    worker_ready(w);
    join(w, "queue/join", JOIN(1, "[1]", "s"), id);
    worker_call(w, id, NULL);
    for (unsigned i = 1; i <= 6; i++) {
        memset(text, 'a' + (int)i, sizeof(text) - 1);
        text[sizeof(text) - 1] = '\0';
        yield_text(w, id, i, text);
    }
    settle(w, 30);
    stream = get(w, DATA("s"));
    EXPECT(stream, "\"msg\":\"process_starts\"");
    EXPECT(stream, "\"output\":{\"data\":[\"gggg"); /* the newest, whole */
    assert_false(client_has(stream, "bbbb"));
    worker_return(w, id, "[\"end\"]");
    EXPECT(stream, "\"data\":[\"end\"]");
    EXPECT(stream, "close_stream");
    client_free(stream);
    world_free(w);
}

static void test_a_second_stream_takes_over(void **state)
{
    struct world *w = world_new(NULL);
    struct client *first;
    struct client *second;
    char id[33];

    (void)state;
    worker_ready(w);
    join(w, "queue/join", JOIN(0, "[1]", "s"), id);
    worker_call(w, id, NULL);
    first = get(w, DATA("s"));
    EXPECT(first, "process_starts");
    second = get(w, DATA("s"));
    EXPECT(first, "\r\n0\r\n\r\n");
    EXPECT(second, "process_starts");
    worker_return(w, id, "[\"x\"]");
    EXPECT(second, "close_stream");
    client_free(first);
    client_free(second);
    world_free(w);
}

static void test_a_session_is_used_again_after_its_stream_closed(void **state)
{
    struct world *w = world_new(NULL);
    struct client *stream;
    char id[33];

    (void)state;
    worker_ready(w);
    for (int i = 0; i < 3; i++) {
        join(w, "queue/join", JOIN(0, "[1]", "again"), id);
        stream = get(w, DATA("again"));
        worker_call(w, id, NULL);
        worker_return(w, id, "[\"x\"]");
        EXPECT(stream, "close_stream");
        assert_non_null(strstr(sp_buf_str(&stream->in), id));
        client_free(stream);
    }
    assert_int_equal(n_sessions(w), 1);
    world_free(w);
}

static void test_sessions_are_bounded_and_idle_ones_make_room(void **state)
{
    static const char *const settings[] = {"limit.sessions", "2", NULL};
    struct world *w = world_new(settings);
    struct client *stream;
    char id[33];
    char other[33];

    (void)state;
    worker_ready(w);
    join(w, "queue/join", JOIN(0, "[1]", "a"), id);
    stream = get(w, DATA("a"));
    worker_call(w, id, NULL);
    join(w, "queue/join", JOIN(0, "[1]", "b"), other);
    post_expect(w, "queue/join", JOIN(0, "[1]", "c"), "limit.sessions");
    worker_return(w, id, "[1]");
    EXPECT(stream, "close_stream"); /* a is idle from here on */
    client_free(stream);
    settle(w, 20);
    join(w, "queue/join", JOIN(0, "[1]", "c"), id);
    assert_int_equal(n_sessions(w), 2);
    world_free(w);
}

static void test_waiting_is_bounded_over_all_spaces(void **state)
{
    static const char *const settings[] = {"limit.waiting", "2", NULL};
    struct world *w = world_new(settings);
    char id[33];

    (void)state;
    worker_ready(w);
    join(w, "queue/join", JOIN(0, "[1]", "a"), id);
    worker_call(w, id, NULL);
    join(w, "queue/join", JOIN(0, "[2]", "a"), id);
    join(w, "queue/join", JOIN(0, "[3]", "a"), id);
    post_expect(w, "queue/join", JOIN(0, "[4]", "a"), "limit.waiting");
    world_free(w);
}

static void call_and_return(struct world *w, const char *text, char id[33])
{
    char data[5000];
    char called[33];

    join(w, "call/gen", "{\"data\":[1]}", id);
    worker_call(w, called, NULL);
    (void)snprintf(data, sizeof(data), "[\"%s\"]", text);
    worker_return(w, id, data);
}

static void fetch_expect(struct world *w, const char *id, const char *expected)
{
    char path[100];
    struct client *c;

    (void)snprintf(path, sizeof(path), "call/gen/%s", id);
    c = get(w, path);
    EXPECT(c, expected);
    client_free(c);
}

static void test_results_above_the_memory_limit_go_oldest_first(void **state)
{
    static const char *const settings[] = {"limit.result_memory", "1M", NULL};
    struct world *w = world_new(settings);
    static char text[4001];
    char first[33];
    char last[33];

    (void)state;
    worker_ready(w);
    memset(text, 'r', sizeof(text) - 1);
    call_and_return(w, text, first);
    fetch_expect(w, first, "event: complete");
    for (int i = 0; i < 300; i++)
        call_and_return(w, text, last);
    fetch_expect(w, last, "event: complete");
    fetch_expect(w, first, "404: Not Found");
    world_free(w);
}

static void test_results_go_when_their_time_is_over(void **state)
{
    static const char *const settings[] = {"result.ttl", "1s", NULL};
    struct world *w = world_new(settings);
    char id[33];

    (void)state;
    worker_ready(w);
    call_and_return(w, "x", id);
    fetch_expect(w, id, "event: complete");
    WAIT_FOR(w, n_sessions(w) == 0);
    fetch_expect(w, id, "404: Not Found");
    world_free(w);
}

static bool has_credit(struct world *w)
{
    (void)drain_fd(w->worker_fd, &w->worker_in);
    return strstr(sp_buf_str(&w->worker_in), "\"credit\"") != NULL;
}

static bool reads_and_has_credit(struct world *w, struct client *stream)
{
    (void)drain_fd(stream->fd, &stream->in);
    sp_buf_reset(&stream->in);
    return has_credit(w);
}

static void test_a_client_that_does_not_read_slows_its_generator_down(void **state)
{
    struct world *w = world_new(NULL);
    struct client *stream = client_new(w);
    static char text[60001];
    unsigned seq = 0;
    char id[33];

    (void)state;
    worker_ready(w);
    memset(text, 's', sizeof(text) - 1);
    join(w, "queue/join", JOIN(1, "[1]", "slow"), id);
    client_send(stream, "GET", DATA("slow"), "", (struct sp_slice){0});
    worker_call(w, id, NULL);
    do { /* four yields at a time, as long as they are paid for */
        sp_buf_reset(&w->worker_in);
        for (int i = 0; i < 4; i++)
            yield_text(w, id, ++seq, text);
        settle(w, 20);
        assert_true(seq < 2000);
    } while (has_credit(w));
    assert_true(seq > 4);
    WAIT_FOR(w, reads_and_has_credit(w, stream)); /* it reads: the generator goes on */
    client_free(stream);
    world_free(w);
}

static void test_a_heartbeat_alone_holds_a_session(void **state)
{
    static const char *const settings[] = {"queue.grace", "40ms", NULL};
    struct world *w = world_new(settings);
    struct client *beat;

    (void)state;
    worker_ready(w);
    beat = get(w, "heartbeat/alone");
    EXPECT(beat, "ALIVE");
    settle(w, 80);
    assert_int_equal(n_sessions(w), 1);
    client_free(beat);
    WAIT_FOR(w, n_sessions(w) == 0);
    world_free(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_stream_closes_after_the_last_of_its_requests),
        cmocka_unit_test(test_messages_wait_for_a_stream_that_opens_late),
        cmocka_unit_test(test_what_waits_for_a_stream_is_bounded_and_made_up_for),
        cmocka_unit_test(test_a_second_stream_takes_over),
        cmocka_unit_test(test_a_session_is_used_again_after_its_stream_closed),
        cmocka_unit_test(test_sessions_are_bounded_and_idle_ones_make_room),
        cmocka_unit_test(test_waiting_is_bounded_over_all_spaces),
        cmocka_unit_test(test_results_above_the_memory_limit_go_oldest_first),
        cmocka_unit_test(test_results_go_when_their_time_is_over),
        cmocka_unit_test(test_a_client_that_does_not_read_slows_its_generator_down),
        cmocka_unit_test(test_a_heartbeat_alone_holds_a_session),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
