#include "runtime/state/applog.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/fault.h"
#include "base/fd.h"
#include "base/mem.h"
#include "base/utf8.h"
#include "runtime/config.h"
#include "tests/support/test.h"

#define SPACE 0xabcu

struct fix {
    uv_loop_t loop;
    uv_timer_t deadline;
    char dir[64];
    struct sp_config *config;
    struct sp_applog *log;
    struct sp_buf seen; /* "line\n" for each line told */
    size_t lines;
    int64_t last_ms;
    bool ended;
};

static void on_deadline(uv_timer_t *timer)
{
    (void)timer;
    fprintf(stderr, "deadline passed\n");
    abort();
}

static int set_up(void **state)
{
    struct fix *f = sp_new0(struct fix);

    (void)snprintf(f->dir, sizeof(f->dir), "/tmp/sp-applog-XXXXXX");
    assert_non_null(mkdtemp(f->dir));
    assert_int_equal(uv_loop_init(&f->loop), 0);
    uv_timer_init(&f->loop, &f->deadline);
    f->config = sp_config_new();
    sp_buf_init(&f->seen, 0);
    f->log = sp_applog_new(&f->loop, f->dir, SPACE, f->config);
    *state = f;
    return 0;
}

static void close_log(struct fix *f)
{
    sp_applog_close(f->log);
    f->log = NULL;
    uv_run(&f->loop, UV_RUN_DEFAULT);
}

static void reopen(struct fix *f)
{
    close_log(f);
    f->log = sp_applog_new(&f->loop, f->dir, SPACE, f->config);
}

static int tear_down(void **state)
{
    struct fix *f = *state;

    if (f->log)
        close_log(f);
    uv_close((uv_handle_t *)&f->deadline, NULL);
    uv_run(&f->loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&f->loop), 0);
    assert_int_equal(sp_rmtree(AT_FDCWD, f->dir, NULL), 0);
    sp_config_free(f->config);
    sp_buf_done(&f->seen);
    free(f);
    return 0;
}

static void set(struct fix *f, const char *name, const char *value)
{
    assert_int_equal(sp_config_set(f->config, name, value, "test", NULL), 0);
    reopen(f);
}

static void note_line(void *arg, int64_t wall_ms, struct sp_slice line)
{
    struct fix *f = arg;

    assert_true(sp_utf8_valid(line.ptr, line.len));
    assert_true(wall_ms >= f->last_ms);
    f->last_ms = wall_ms;
    f->lines++;
    sp_buf_append_slice(&f->seen, line);
    sp_buf_append_char(&f->seen, '\n');
}

static const char *tail(struct fix *f, size_t max)
{
    sp_buf_reset(&f->seen);
    f->lines = 0;
    f->last_ms = 0;
    sp_applog_tail(f->log, max, note_line, f);
    return sp_buf_str(&f->seen);
}

/* Runs the loop until all pipes have reached their end (or the deadline). */
static void drain(struct fix *f)
{
    uv_timer_start(&f->deadline, on_deadline, 60000, 0);
    uv_unref((uv_handle_t *)&f->deadline);
    uv_run(&f->loop, UV_RUN_DEFAULT);
    uv_ref((uv_handle_t *)&f->deadline);
    uv_timer_stop(&f->deadline);
}

/* What an app that printed exactly this would leave. */
static void print_bytes(struct fix *f, const void *text, size_t len)
{
    int pipes[2];

    assert_int_equal(pipe(pipes), 0);
    assert_int_equal(sp_applog_take_pipe(f->log, pipes[0], NULL), 0);
    while (len) {
        size_t n = len < 60000 ? len : 60000; /* a pipe holds 64 kB */

        assert_int_equal(write(pipes[1], text, n), n);
        text = (const char *)text + n;
        len -= n;
        uv_run(&f->loop, UV_RUN_NOWAIT);
    }
    (void)close(pipes[1]);
    drain(f);
}

static void print(struct fix *f, const char *text)
{
    print_bytes(f, text, strlen(text));
}

static uint64_t file_size(struct fix *f, const char *name)
{
    SP_AUTO_FREE char *path = sp_asprintf("%s/%016x/%s", f->dir, SPACE, name);
    struct stat st;

    return stat(path, &st) < 0 ? 0 : (uint64_t)st.st_size;
}

/* --- lines ------------------------------------------------------------------------------------ */

static void test_lines_come_back_from_memory_and_from_the_file(void **state)
{
    struct fix *f = *state;

    print(f, "one\ntwo\n\nfour");
    assert_string_equal(tail(f, 10), "one\ntwo\n\nfour\n");
    assert_string_equal(tail(f, 2), "\nfour\n");
    reopen(f);
    assert_string_equal(tail(f, 10), "one\ntwo\n\nfour\n");
    assert_string_equal(tail(f, 2), "\nfour\n");
    assert_string_equal(tail(f, 0), "");
    assert_true(f->last_ms == 0);
}

static void test_a_line_in_pieces_is_one_line(void **state)
{
    struct fix *f = *state;
    int pipes[2];

    assert_int_equal(pipe(pipes), 0);
    assert_int_equal(sp_applog_take_pipe(f->log, pipes[0], NULL), 0);
    assert_int_equal(write(pipes[1], "half \xc3", 6), 6);
    uv_run(&f->loop, UV_RUN_NOWAIT);
    assert_int_equal(write(pipes[1], "\xa4 whole\n", 8), 8);
    (void)close(pipes[1]);
    drain(f);
    assert_string_equal(tail(f, 10), "half \xc3\xa4 whole\n");
}

static void test_a_progress_bar_is_lines(void **state)
{
    struct fix *f = *state;

    print(f, "\r10%\r20%\r\ndos\r\nend");
    assert_string_equal(tail(f, 10), "\n10%\n20%\ndos\nend\n");
}

static void test_bytes_that_are_not_text_are_replaced(void **state)
{
    static const char text[] = "a\0b\x07\tc \x1b[31mred\x1b[0m \xff\xc0 \xf0\x9f\x9a\x80\x7f\n";
    struct fix *f = *state;

    print_bytes(f, text, sizeof(text) - 1);
    assert_string_equal(tail(f, 1), "a?b?\tc \x1b[31mred\x1b[0m \xef\xbf\xbd\xef\xbf\xbd "
                                    "\xf0\x9f\x9a\x80?\n");
}

static void test_a_long_line_is_cut_but_not_inside_a_character(void **state)
{
    struct fix *f = *state;
    SP_AUTO_BUF struct sp_buf text;

    sp_buf_init(&text, 0);
    while (text.len < 200000) /* 8192 falls inside of a character */
        sp_buf_append_str(&text, "\xe2\x82\xac");
    sp_buf_append_str(&text, "\nnext\n");
    print_bytes(f, text.data, text.len);
    tail(f, 10);
    assert_int_equal(f->lines, 2);
    assert_int_equal(f->seen.len, 8190 + strlen(" [cut]\nnext\n"));
    assert_string_equal(f->seen.data + 8190, " [cut]\nnext\n");
    assert_memory_equal(f->seen.data, text.data, 8190);
}

static void test_notes_are_marked(void **state)
{
    struct fix *f = *state;

    sp_applog_note(f->log, "starting version %d\n", 3);
    assert_string_equal(tail(f, 1), "===== starting version 3?\n");
}

static void test_half_a_line_left_by_a_crash_is_ended(void **state)
{
    struct fix *f = *state;
    SP_AUTO_FREE char *path = sp_asprintf("%s/%016x/run.log", f->dir, SPACE);

    print(f, "before\n");
    close_log(f);
    {
        SP_AUTO_FD int fd = open(path, O_WRONLY | O_APPEND | O_CLOEXEC);

        assert_int_equal(write(fd, "9999999999999 hal", 17), 17);
    }
    f->log = sp_applog_new(&f->loop, f->dir, SPACE, f->config);
    tail(f, 10);
    assert_int_equal(f->lines, 2);
    f->last_ms = 0;
    sp_applog_note(f->log, "after");
    reopen(f);
    sp_buf_reset(&f->seen);
    f->lines = 0;
    f->last_ms = -1;
    sp_applog_tail(f->log, 1, note_line, f);
    assert_string_equal(sp_buf_str(&f->seen), "===== after\n");
}

/* --- limits ----------------------------------------------------------------------------------- */

static void test_files_are_rotated_and_never_exceed_the_limit(void **state)
{
    struct fix *f = *state;
    SP_AUTO_BUF struct sp_buf text;

    set(f, "log.max_bytes", "64k");
    set(f, "log.rate", "1000000");
    sp_buf_init(&text, 0);
    for (int i = 0; i < 20000; i++)
        sp_buf_printf(&text, "line %d\n", i);
    print_bytes(f, text.data, text.len);
    assert_in_range(file_size(f, "run.log") + file_size(f, "run.log.1"), 30000, 65536);
    assert_string_equal(tail(f, 2), "line 19998\nline 19999\n");
    tail(f, 5000);
    assert_in_range(f->lines, 1000, 5000);
    assert_non_null(strstr(sp_buf_str(&f->seen), "line 19000\nline 19001\n"));
    reopen(f);
    tail(f, 5000);
    assert_in_range(f->lines, 1000, 5000);
    assert_string_equal(f->seen.data + f->seen.len - 11, "line 19999\n");
}

static void test_the_tail_is_never_longer_than_asked(void **state)
{
    struct fix *f = *state;
    SP_AUTO_BUF struct sp_buf text;

    set(f, "log.rate", "1000000");
    sp_buf_init(&text, 0);
    for (int i = 0; i < 6000; i++)
        sp_buf_printf(&text, "%d\n", i);
    print_bytes(f, text.data, text.len);
    for (size_t max = 1; max < 6000; max = 3 * max + 1) {
        tail(f, max);
        assert_int_equal(f->lines, max);
        reopen(f);
        tail(f, max);
        assert_int_equal(f->lines, max);
    }
    tail(f, 1000000);
    assert_int_equal(f->lines, 5000);
}

static void test_above_the_rate_lines_are_dropped_and_counted(void **state)
{
    struct fix *f = *state;
    SP_AUTO_BUF struct sp_buf text;

    set(f, "log.rate", "100");
    sp_buf_init(&text, 0);
    for (int i = 0; i < 5000; i++)
        sp_buf_printf(&text, "line %d\n", i);
    print_bytes(f, text.data, text.len); /* ends when the window's timer has told the rest */
    tail(f, 5000);
    assert_int_equal(f->lines, 101);
    assert_non_null(strstr(sp_buf_str(&f->seen), "line 99\n===== 4900 lines dropped (log.rate)\n"));
}

static void test_a_full_disk_keeps_the_last_lines_in_memory(void **state)
{
    struct fix *f = *state;

    print(f, "before\n");
    sp_fault_plan("applog.write:1-");
    print(f, "during\n");
#ifdef SP_FAULTS
    assert_string_equal(tail(f, 10), "before\nduring\n");
#endif
    sp_fault_plan(NULL);
    print(f, "after\n");
    assert_string_equal(tail(f, 3), "before\nduring\nafter\n");
}

/* --- followers -------------------------------------------------------------------------------- */

static void on_end(void *arg)
{
    struct fix *f = arg;

    f->ended = true;
}

static void test_a_follower_hears_lines_as_they_come_and_the_end(void **state)
{
    struct fix *f = *state;

    print(f, "before\n");
    sp_applog_follow(f->log, note_line, on_end, f);
    print(f, "one\ntwo\n");
    sp_applog_note(f->log, "three");
    assert_string_equal(sp_buf_str(&f->seen), "one\ntwo\n===== three\n");
    assert_false(f->ended);
    sp_applog_close(f->log);
    assert_false(f->ended); /* not from inside of the close */
    f->log = NULL;
    uv_run(&f->loop, UV_RUN_DEFAULT);
    assert_true(f->ended);
}

static struct sp_applog_follower *leaving;

static void leave(void *arg, int64_t wall_ms, struct sp_slice line)
{
    assert_non_null(leaving); /* not called again */
    note_line(arg, wall_ms, line);
    sp_applog_unfollow(SP_TAKE(leaving));
}

static void test_a_follower_may_leave_from_its_own_callback(void **state)
{
    struct fix *f = *state;
    struct sp_applog_follower *other = sp_applog_follow(f->log, note_line, on_end, f);

    leaving = sp_applog_follow(f->log, leave, on_end, f);
    print(f, "one\ntwo\n");
    assert_int_equal(f->lines, 3);
    sp_applog_unfollow(other);
    close_log(f);
    assert_false(f->ended); /* neither is there any more */
}

/* --- life ------------------------------------------------------------------------------------- */

static void test_close_keeps_what_was_printed_and_erase_removes_it(void **state)
{
    struct fix *f = *state;
    int pipes[2];

    assert_int_equal(pipe(pipes), 0);
    assert_int_equal(sp_applog_take_pipe(f->log, pipes[0], NULL), 0);
    assert_int_equal(write(pipes[1], "last words", 10), 10);
    uv_run(&f->loop, UV_RUN_NOWAIT);
    close_log(f); /* the app is still there */
    f->log = sp_applog_new(&f->loop, f->dir, SPACE, f->config);
    assert_string_equal(tail(f, 10), "last words\n");
    sp_applog_close(f->log);
    sp_applog_erase(f->dir, SPACE); /* in the same turn */
    f->log = NULL;
    uv_run(&f->loop, UV_RUN_DEFAULT);
    assert_int_equal(file_size(f, "run.log"), 0);
    (void)close(pipes[1]);
}

static void test_old_logs_are_removed_when_the_space_is_taken_up(void **state)
{
    struct fix *f = *state;
    SP_AUTO_FREE char *path = sp_asprintf("%s/%016x/run.log", f->dir, SPACE);
    struct timespec times[2];

    print(f, "old\n");
    assert_int_equal(clock_gettime(CLOCK_REALTIME, &times[0]), 0);
    times[0].tv_sec -= 13 * 86400;
    times[1] = times[0];
    assert_int_equal(utimensat(AT_FDCWD, path, times, 0), 0);
    reopen(f);
    assert_string_equal(tail(f, 10), "old\n");
    times[0].tv_sec -= 2 * 86400;
    times[1] = times[0];
    assert_int_equal(utimensat(AT_FDCWD, path, times, 0), 0);
    reopen(f);
    assert_string_equal(tail(f, 10), "");
}

static void test_nothing_is_made_before_the_first_line(void **state)
{
    struct fix *f = *state;
    SP_AUTO_FREE char *path = sp_asprintf("%s/%016x", f->dir, SPACE);

    print(f, "");
    assert_string_equal(tail(f, 10), "");
    assert_int_not_equal(access(path, F_OK), 0);
}

/* --- a flood ---------------------------------------------------------------------------------- */

struct lag {
    uv_timer_t timer;
    uint64_t last_ns;
    uint64_t worst_ns;
};

static void on_tick(uv_timer_t *timer)
{
    struct lag *lag = timer->data;
    uint64_t now = sp_clock_mono_ns();
    uint64_t late = now - lag->last_ns;

    lag->last_ns = now;
    if (late > lag->worst_ns)
        lag->worst_ns = late;
}

static void flood(int fd, size_t bytes)
{
    static char block[1 << 16];

    for (size_t i = 0; i < sizeof(block); i++)
        block[i] = i % 100 == 99 ? '\n' : 'f';
    for (size_t sent = 0; sent < bytes; sent += sizeof(block))
        if (sp_write_all(fd, block, sizeof(block)) < 0)
            _exit(1);
    _exit(0);
}

static void test_200_mb_of_output_are_drained_and_stay_small(void **state)
{
    struct fix *f = *state;
    struct lag lag = {0};
    uint64_t began = sp_clock_mono_ns();
    int status = -1;
    int pipes[2];
    pid_t pid;

    assert_int_equal(pipe(pipes), 0);
    pid = fork();
    if (pid == 0) {
        (void)close(pipes[0]);
        flood(pipes[1], (size_t)200 << 20);
    }
    (void)close(pipes[1]);
    assert_int_equal(sp_applog_take_pipe(f->log, pipes[0], NULL), 0);
    uv_timer_init(&f->loop, &lag.timer);
    lag.timer.data = &lag;
    lag.last_ns = sp_clock_mono_ns();
    uv_timer_start(&lag.timer, on_tick, 1, 1);
    uv_unref((uv_handle_t *)&lag.timer);
    drain(f);
    printf("200 MB in %.0f ms, worst loop lag %.1f ms\n",
           (double)(sp_clock_mono_ns() - began) / 1e6, (double)lag.worst_ns / 1e6);
    uv_ref((uv_handle_t *)&lag.timer);
    uv_close((uv_handle_t *)&lag.timer, NULL);
    uv_run(&f->loop, UV_RUN_DEFAULT);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0); /* it was never blocked for good, and never broke */
    assert_in_range(file_size(f, "run.log") + file_size(f, "run.log.1"), 1, 10 << 20);
    tail(f, 5000);
    assert_non_null(strstr(sp_buf_str(&f->seen), " lines dropped (log.rate)\n"));
}

int main(void)
{
#define ROW(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        ROW(test_lines_come_back_from_memory_and_from_the_file),
        ROW(test_a_line_in_pieces_is_one_line),
        ROW(test_a_progress_bar_is_lines),
        ROW(test_bytes_that_are_not_text_are_replaced),
        ROW(test_a_long_line_is_cut_but_not_inside_a_character),
        ROW(test_notes_are_marked),
        ROW(test_half_a_line_left_by_a_crash_is_ended),
        ROW(test_files_are_rotated_and_never_exceed_the_limit),
        ROW(test_the_tail_is_never_longer_than_asked),
        ROW(test_above_the_rate_lines_are_dropped_and_counted),
        ROW(test_a_full_disk_keeps_the_last_lines_in_memory),
        ROW(test_a_follower_hears_lines_as_they_come_and_the_end),
        ROW(test_a_follower_may_leave_from_its_own_callback),
        ROW(test_close_keeps_what_was_printed_and_erase_removes_it),
        ROW(test_old_logs_are_removed_when_the_space_is_taken_up),
        ROW(test_nothing_is_made_before_the_first_line),
        ROW(test_200_mb_of_output_are_drained_and_stay_small),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
