/* Around the requests: workers that come, misbehave and go, a crash, a disk that refuses, the end.
 */
#include "tests/unit/runtime/app_world.h"

#include "base/fault.h"

static void test_a_worker_that_goes_loses_what_ran_in_it(void **state)
{
    struct world *w = world_new(NULL);
    struct client *stream;
    char id[33];
    char waiting[33];

    (void)state;
    worker_ready(w);
    join(w, "queue/join", JOIN(0, "[1]", "l"), id);
    stream = get(w, DATA("l"));
    worker_call(w, id, NULL);
    join(w, "queue/join", JOIN(0, "[2]", "l"), waiting);
    (void)close(w->worker_fd);
    w->worker_fd = -1;
    WAIT_FOR(w, w->n_broken == 1);
    sp_apps_worker_gone(w->apps, w->worker, "it was killed");
    EXPECT(stream,
           "The app was restarted while this was running: it was killed. Please run it again.");
    EXPECT(stream, "\"success\":false");
    worker_ready(w); /* the one that waited runs in the next */
    worker_call(w, id, "[2]");
    assert_string_equal(id, waiting);
    worker_return(w, id, "[\"after\"]");
    EXPECT(stream, "\"data\":[\"after\"]");
    client_free(stream);
    world_free(w);
}

static void test_garbage_ends_the_worker_and_says_why(void **state)
{
    struct world *w = world_new(NULL);

    (void)state;
    worker_connect(w);
    worker_say(w, "this is not JSON");
    WAIT_FOR(w, w->n_failed == 1);
    assert_non_null(strstr(w->why, "protocol error"));
    world_free(w);
}

static void test_a_line_without_end_ends_the_worker(void **state)
{
    static const char *const settings[] = {"limit.worker_line", "64k", NULL};
    struct world *w = world_new(settings);
    static char noise[4096];

    (void)state;
    worker_connect(w);
    memset(noise, 'x', sizeof(noise));
    while (w->n_failed == 0) {
        ssize_t n = send(w->worker_fd, noise, sizeof(noise), MSG_NOSIGNAL);

        (void)n;
        (void)uv_run(&w->loop, UV_RUN_ONCE);
    }
    assert_non_null(strstr(w->why, "limit.worker_line"));
    world_free(w);
}

static void test_a_config_request_waits_for_the_worker(void **state)
{
    struct world *w = world_new(NULL);
    struct client *c;

    (void)state;
    sp_apps_space_stage(w->apps, SPACE, "APP_STARTING", "the app is loading");
    c = get(w, "config");
    settle(w, 30);
    assert_int_equal(c->in.len, 0);
    worker_ready(w);
    EXPECT(c, "HTTP/1.1 200");
    EXPECT(c, "\"root\":");
    client_free(c);
    world_free(w);
}

static void test_a_stopped_app_is_503_with_its_stage(void **state)
{
    struct world *w = world_new(NULL);
    struct client *held;
    struct client *c;

    (void)state;
    held = get(w, "config");
    settle(w, 20);
    sp_apps_space_stage(w->apps, SPACE, "RUNTIME_ERROR", "it broke");
    EXPECT(held, "HTTP/1.1 503");
    EXPECT(held, "\"stage\":\"RUNTIME_ERROR\"}");
    client_free(held);
    c = post(w, "queue/join", JOIN(0, "[1]", "x"));
    EXPECT(c, "{\"detail\":\"The app is not running in this test.\",\"stage\":\"RUNTIME_ERROR\"}");
    client_free(c);
    world_free(w);
}

static void test_a_heartbeat_stays_open_and_its_end_ends_the_session(void **state)
{
    static const char *const settings[] = {"queue.grace", "60ms", NULL};
    struct world *w = world_new(settings);
    struct client *beat;
    struct client *stream;
    json_t *end;
    char id[33];

    (void)state;
    worker_ready(w);
    beat = get(w, "gradio_api/heartbeat/hb");
    EXPECT(beat, "data: ALIVE\n\n");
    join(w, "queue/join", JOIN(0, "[1]", "hb"), id);
    stream = get(w, DATA("hb"));
    worker_call(w, id, NULL);
    worker_return(w, id, "[1]");
    EXPECT(stream, "close_stream");
    client_free(stream);
    assert_false(beat->eof);
    client_free(beat);
    end = worker_next(w, "session_end");
    assert_string_equal(json_string_value(json_object_get(end, "session")), "hb");
    json_decref(end);
    world_free(w);
}

static void test_after_a_crash_what_waited_runs_once_and_what_ran_is_lost(void **state)
{
    struct world *w = world_new(NULL);
    struct client *c;
    char running[33];
    char waiting[33];
    char done[33];
    char path[100];
    char id[33];

    (void)state;
    worker_ready(w);
    join(w, "call/gen", "{\"data\":[0]}", done);
    worker_call(w, id, "[0]");
    worker_return(w, done, "[\"kept\"]");
    join(w, "call/echo", "{\"data\":[1]}", running);
    worker_call(w, id, "[1]");
    join(w, "call/echo", "{\"data\":[2]}", waiting);
    settle(w, 30);
    close_apps(w); /* the journal is as a crash would leave it: no end is written for these */
    (void)close(w->worker_fd);
    open_apps(w);
    worker_ready(w);
    worker_call(w, id, "[2]");
    assert_string_equal(id, waiting);
    worker_return(w, id, "[\"late\"]");
    (void)snprintf(path, sizeof(path), "call/echo/%s", running);
    c = get(w, path);
    EXPECT(c, "event: error\ndata: {\"error\":\"The app was restarted while this was running");
    client_free(c);
    (void)snprintf(path, sizeof(path), "call/echo/%s", waiting);
    c = get(w, path);
    EXPECT(c, "event: complete\ndata: [\"late\"]\n\n");
    client_free(c);
    (void)snprintf(path, sizeof(path), "call/gen/%s", done);
    c = get(w, path);
    EXPECT(c, "event: complete\ndata: [\"kept\"]\n\n");
    client_free(c);
    settle(w, 20);
    assert_false(worker_has_line(w)); /* nothing ran twice */
    world_free(w);
}

static void test_what_cannot_be_stored_is_refused_and_does_not_run(void **state)
{
#ifndef SP_FAULTS
    (void)state;
    skip(); /* the fault points are not compiled in: FAULTS=1 */
#else
    struct world *w = world_new(NULL);
    uint32_t waiting;
    uint32_t running;

    (void)state;
    worker_ready(w);
    sp_fault_plan("journal.sync:1-");
    post_expect(w, "queue/join", JOIN(0, "[1]", "x"), "HTTP/1.1 503");
    post_expect(w, "call/echo", "{\"data\":[1]}", "could not be stored");
    sp_fault_plan(NULL);
    settle(w, 30);
    sp_apps_queue_counts(w->apps, SPACE, &waiting, &running);
    assert_int_equal(waiting, 0);
    assert_int_equal(running, 0);
    assert_false(worker_has_line(w));
    world_free(w);
#endif
}

static void test_a_removed_space_lets_everybody_go(void **state)
{
    struct world *w = world_new(NULL);
    struct client *stream;
    struct client *run;
    char id[33];

    (void)state;
    worker_ready(w);
    join(w, "queue/join", JOIN(0, "[1]", "x"), id);
    stream = get(w, DATA("x"));
    worker_call(w, id, NULL);
    run = post(w, "run/direct", "{\"data\":[\"d\"]}");
    worker_call(w, id, NULL);
    EXPECT(stream, "process_starts");
    sp_apps_space_removed(w->apps, SPACE);
    EXPECT(stream, "\r\n0\r\n\r\n");
    EXPECT(run, "HTTP/1.1 50");
    client_free(stream);
    client_free(run);
    world_free(w);
}

static void on_idle(void *arg, uint64_t worker)
{
    (void)worker;
    ((struct world *)arg)->n_idle++;
}

static void test_a_new_worker_takes_over_and_the_old_one_finishes(void **state)
{
    struct world *w = world_new(NULL);
    struct client *stream;
    uint64_t old;
    int old_fd;
    char first[33];
    char id[33];

    (void)state;
    worker_ready(w);
    join(w, "queue/join", JOIN(0, "[1]", "t"), first);
    stream = get(w, DATA("t"));
    worker_call(w, first, "[1]");
    old = w->worker;
    old_fd = w->worker_fd;
    worker_ready(w);
    sp_apps_worker_retire(w->apps, old, on_idle, w);
    settle(w, 20);
    assert_int_equal(w->n_idle, 0);
    {
        int new_fd = w->worker_fd;

        w->worker_fd = old_fd;
        worker_return(w, first, "[\"from the old\"]");
        WAIT_FOR(w, w->n_idle == 1);
        w->worker_fd = new_fd;
    }
    EXPECT(stream, "from the old");
    sp_apps_worker_gone(w->apps, old, "retired");
    (void)close(old_fd);
    join(w, "queue/join", JOIN(0, "[2]", "t2"), id);
    worker_call(w, id, "[2]");
    sp_apps_worker_retire(w->apps, 4242, on_idle, w);
    WAIT_FOR(w, w->n_idle == 2);
    client_free(stream);
    world_free(w);
}

static void test_the_queue_is_shown_as_json(void **state)
{
    struct world *w = world_new(NULL);
    json_t *queue;
    char id[33];

    (void)state;
    worker_ready(w);
    join(w, "queue/join", JOIN(0, "[1]", "q"), id);
    join(w, "queue/join", JOIN(0, "[2]", "q"), id);
    queue = sp_apps_queue_json(w->apps, SPACE, true);
    assert_non_null(queue);
    assert_int_equal(json_integer_value(json_object_get(queue, "waiting")), 1);
    assert_int_equal(json_integer_value(json_object_get(queue, "running")), 1);
    assert_int_equal(json_array_size(json_object_get(queue, "entries")), 2);
    assert_int_equal(json_array_size(json_object_get(queue, "functions")), 4);
    json_decref(queue);
    world_free(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_worker_that_goes_loses_what_ran_in_it),
        cmocka_unit_test(test_garbage_ends_the_worker_and_says_why),
        cmocka_unit_test(test_a_line_without_end_ends_the_worker),
        cmocka_unit_test(test_a_config_request_waits_for_the_worker),
        cmocka_unit_test(test_a_stopped_app_is_503_with_its_stage),
        cmocka_unit_test(test_a_heartbeat_stays_open_and_its_end_ends_the_session),
        cmocka_unit_test(test_after_a_crash_what_waited_runs_once_and_what_ran_is_lost),
        cmocka_unit_test(test_what_cannot_be_stored_is_refused_and_does_not_run),
        cmocka_unit_test(test_a_removed_space_lets_everybody_go),
        cmocka_unit_test(test_a_new_worker_takes_over_and_the_old_one_finishes),
        cmocka_unit_test(test_the_queue_is_shown_as_json),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
