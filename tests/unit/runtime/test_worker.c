/* One worker's socket: lines, limits, pings. */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/fd.h"
#include "base/mem.h"
#include "runtime/app/turn.h"
#include "runtime/app/worker.h"
#include "ui-protocol/worker_msg.h"

#include "tests/support/test.h"

#define DEADLINE_MS 4000
#define LINE_MAX_   ((size_t)64 * 1024)

struct world {
    uv_loop_t loop;
    uv_timer_t beat;
    struct sp_turn turn;
    struct sp_worker *worker;
    char *read_buffer;
    int fd;
    int n_messages;
    uint64_t last_seq;
    size_t last_len;
    int n_broken;
    char why[600];
    bool close_in_callback;
};

static void on_message(void *arg, const struct sp_worker_msg *msg)
{
    struct world *w = arg;

    w->n_messages++;
    w->last_seq = msg->seq;
    w->last_len = msg->data.len;
    if (w->close_in_callback) {
        sp_worker_close(w->worker);
        w->worker = NULL;
    }
}

static void on_broken(void *arg, const char *why)
{
    struct world *w = arg;

    w->n_broken++;
    (void)snprintf(w->why, sizeof(w->why), "%s", why);
}

static void on_beat(uv_timer_t *timer)
{
    (void)timer;
}

static int setup(void **state)
{
    struct world *w = sp_new0(struct world);
    struct sp_worker_options options = {.line_max = LINE_MAX_, .write_max = 256 * 1024};
    int pair[2];

    w->read_buffer = sp_new0n(char, SP_WORKER_READ_BUFFER);
    assert_int_equal(uv_loop_init(&w->loop), 0);
    (void)uv_timer_init(&w->loop, &w->beat);
    (void)uv_timer_start(&w->beat, on_beat, 1, 1);
    sp_turn_init(&w->turn, &w->loop);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
    (void)fcntl(pair[1], F_SETFL, O_NONBLOCK);
    w->fd = pair[1];
    options.loop = &w->loop;
    options.turn = &w->turn;
    options.read_buffer = w->read_buffer;
    options.message = on_message;
    options.broken = on_broken;
    options.arg = w;
    assert_int_equal(sp_worker_new(&options, pair[0], &w->worker, NULL), 0);
    *state = w;
    return 0;
}

static void on_turn_closed(struct sp_turn *turn)
{
    (void)turn;
}

static int teardown(void **state)
{
    struct world *w = *state;

    sp_worker_close(w->worker);
    sp_turn_close(&w->turn, on_turn_closed);
    uv_close((uv_handle_t *)&w->beat, NULL);
    while (uv_run(&w->loop, UV_RUN_ONCE))
        ;
    assert_int_equal(uv_loop_close(&w->loop), 0);
    if (w->fd >= 0)
        (void)close(w->fd);
    free(w->read_buffer);
    free(w);
    return 0;
}

#define WAIT_FOR(w, condition)                                                                     \
    do {                                                                                           \
        uint64_t until_ = sp_clock_mono_ms() + DEADLINE_MS;                                        \
        while (!(condition)) {                                                                     \
            if (sp_clock_mono_ms() > until_)                                                       \
                fail_msg("%s:%d: never: %s", __FILE__, __LINE__, #condition);                      \
            (void)uv_run(&(w)->loop, UV_RUN_ONCE);                                                 \
        }                                                                                          \
    } while (0)

/* Writes all, letting the other side read meanwhile. */
static void say(struct world *w, const char *text, size_t len)
{
    while (len && !w->n_broken) {
        ssize_t n = send(w->fd, text, len, MSG_NOSIGNAL);

        if (n > 0) {
            text += n;
            len -= (size_t)n;
        } else {
            (void)uv_run(&w->loop, UV_RUN_ONCE);
        }
    }
}

static void say_str(struct world *w, const char *text)
{
    say(w, text, strlen(text));
}

#define YIELD(seq)                                                                                 \
    "{\"type\":\"yield\",\"id\":\"0123456789abcdef0123456789abcdef\",\"attempt\":1,\"seq\":" #seq  \
    ",\"data\":[1]}\n"

static void test_lines_are_found_however_they_are_cut(void **state)
{
    static const char text[] = YIELD(1) YIELD(2) YIELD(3);
    struct world *w = *state;

    for (size_t i = 0; i < sizeof(text) - 1; i++) {
        say(w, text + i, 1);
        if (i % 7 == 0)
            (void)uv_run(&w->loop, UV_RUN_NOWAIT);
    }
    WAIT_FOR(w, w->n_messages == 3);
    assert_int_equal(w->last_seq, 3);
    say_str(w, YIELD(4) YIELD(5) YIELD(6));
    WAIT_FOR(w, w->n_messages == 6);
    assert_int_equal(w->n_broken, 0);
}

/* A valid yield of exactly `len` bytes without the line feed. */
static char *line_of(size_t len)
{
    static const char head[] =
        "{\"type\":\"yield\",\"id\":\"0123456789abcdef0123456789abcdef\",\"attempt\":1,\"seq\":9,"
        "\"data\":[\"";
    static const char tail[] = "\"]}";
    char *line = sp_alloc0(1, len + 2);

    memset(line, 'x', len);
    memcpy(line, head, sizeof(head) - 1);
    memcpy(line + len - sizeof(tail) + 1, tail, sizeof(tail) - 1);
    line[len] = '\n';
    return line;
}

static void test_a_line_of_the_limit_passes_and_one_byte_more_breaks(void **state)
{
    struct world *w = *state;
    SP_AUTO_FREE char *fits = line_of(LINE_MAX_);
    SP_AUTO_FREE char *over = line_of(LINE_MAX_ + 1);

    say_str(w, YIELD(1)); /* so that the long one does not begin a read */
    say(w, fits, LINE_MAX_ + 1);
    WAIT_FOR(w, w->n_messages == 2);
    assert_int_equal(w->n_broken, 0);
    say(w, over, LINE_MAX_ + 2);
    WAIT_FOR(w, w->n_broken == 1);
    assert_string_equal(w->why, "protocol error: a line is longer than limit.worker_line");
    assert_int_equal(w->n_messages, 2);
}

static void test_nothing_is_read_after_a_wrong_line(void **state)
{
    struct world *w = *state;

    say_str(w, YIELD(1) "garbage\n" YIELD(2));
    WAIT_FOR(w, w->n_broken == 1);
    assert_int_equal(w->n_messages, 1);
    assert_memory_equal(w->why, "protocol error: ", strlen("protocol error: "));
    say_str(w, YIELD(3));
    for (int i = 0; i < 10; i++)
        (void)uv_run(&w->loop, UV_RUN_ONCE);
    assert_int_equal(w->n_messages, 1);
    assert_int_equal(w->n_broken, 1);
}

static void test_the_end_of_the_socket_is_told_once(void **state)
{
    struct world *w = *state;

    (void)close(w->fd);
    w->fd = -1;
    WAIT_FOR(w, w->n_broken == 1);
    assert_string_equal(w->why, "the app closed its connection");
}

static void test_lines_of_one_turn_leave_in_one_write(void **state)
{
    struct world *w = *state;
    struct sp_id id = {{1}};
    char buf[4096];
    ssize_t n;

    for (uint64_t i = 1; i <= 20; i++)
        sp_worker_put_credit(sp_worker_out(w->worker), &id, 1, 1);
    n = recv(w->fd, buf, sizeof(buf), MSG_DONTWAIT);
    assert_int_equal(n, -1); /* nothing before the end of the turn */
    (void)uv_run(&w->loop, UV_RUN_ONCE);
    n = recv(w->fd, buf, sizeof(buf), MSG_DONTWAIT);
    assert_true(n > 0 && buf[n - 1] == '\n');
    assert_int_equal(sp_worker_backlog(w->worker), 0);
    assert_int_equal(recv(w->fd, buf, sizeof(buf), MSG_DONTWAIT), -1);
}

static void test_a_worker_that_does_not_read_is_broken_at_the_limit(void **state)
{
    struct world *w = *state;
    static char noise[8192];

    memset(noise, 'y', sizeof(noise));
    noise[sizeof(noise) - 1] = '\n';
    for (int i = 0; i < 200 && !w->n_broken; i++) {
        (void)sp_buf_append(sp_worker_out(w->worker), noise, sizeof(noise));
        (void)uv_run(&w->loop, UV_RUN_ONCE);
    }
    assert_int_equal(w->n_broken, 1);
    assert_string_equal(w->why, "the app does not read its messages");
}

static void test_what_waited_arrives_when_the_worker_reads_again(void **state)
{
    struct world *w = *state;
    static char piece[4096];
    SP_AUTO_FREE char *got = sp_alloc0(1, 65536);
    size_t sent = 0;
    size_t read = 0;
    uint64_t until = sp_clock_mono_ms() + DEADLINE_MS;

    memset(piece, 'z', sizeof(piece));
    while (sp_worker_backlog(w->worker) < 100 * 1024 && sent < 4 * 1024 * 1024) {
        (void)sp_buf_append(sp_worker_out(w->worker), piece, sizeof(piece));
        sent += sizeof(piece);
        (void)uv_run(&w->loop, UV_RUN_ONCE);
    }
    assert_true(sp_worker_backlog(w->worker) > 0);
    while (read < sent && sp_clock_mono_ms() < until) {
        ssize_t n = recv(w->fd, got, 65536, MSG_DONTWAIT);

        if (n > 0)
            read += (size_t)n;
        (void)uv_run(&w->loop, UV_RUN_NOWAIT);
    }
    assert_int_equal(read, sent);
    assert_int_equal(sp_worker_backlog(w->worker), 0);
    assert_int_equal(w->n_broken, 0);
}

static void test_two_pings_without_an_answer_are_enough(void **state)
{
    struct world *w = *state;

    assert_true(sp_worker_ping(w->worker));
    assert_true(sp_worker_ping(w->worker));
    assert_false(sp_worker_ping(w->worker));
    say_str(w, "{\"type\":\"pong\",\"n\":2}\n" YIELD(1));
    WAIT_FOR(w, w->n_messages == 1); /* a pong is no message for others */
    assert_true(sp_worker_ping(w->worker));
}

static void test_a_pong_that_was_not_asked_for_buys_nothing(void **state)
{
    struct world *w = *state;

    say_str(w, "{\"type\":\"pong\",\"n\":1000}\n" YIELD(1));
    WAIT_FOR(w, w->n_messages == 1);
    assert_true(sp_worker_ping(w->worker));
    assert_true(sp_worker_ping(w->worker));
    assert_false(sp_worker_ping(w->worker));
}

static void test_it_may_be_closed_from_its_own_callback(void **state)
{
    struct world *w = *state;

    w->close_in_callback = true;
    say_str(w, YIELD(1) YIELD(2));
    WAIT_FOR(w, w->worker == NULL);
    for (int i = 0; i < 5; i++)
        (void)uv_run(&w->loop, UV_RUN_ONCE);
    assert_int_equal(w->n_messages, 1);
    assert_int_equal(w->n_broken, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_lines_are_found_however_they_are_cut, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_line_of_the_limit_passes_and_one_byte_more_breaks,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(test_nothing_is_read_after_a_wrong_line, setup, teardown),
        cmocka_unit_test_setup_teardown(test_the_end_of_the_socket_is_told_once, setup, teardown),
        cmocka_unit_test_setup_teardown(test_lines_of_one_turn_leave_in_one_write, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_worker_that_does_not_read_is_broken_at_the_limit,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(test_what_waited_arrives_when_the_worker_reads_again, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_two_pings_without_an_answer_are_enough, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_a_pong_that_was_not_asked_for_buys_nothing, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_it_may_be_closed_from_its_own_callback, setup,
                                        teardown),
    };

    (void)signal(SIGPIPE, SIG_IGN);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
