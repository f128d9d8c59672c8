/* kill -9, full disks, failing ones. */
#include "tests/unit/runtime/journal_fixture.h"

#include <signal.h>
#include <sys/mount.h>
#include <sys/wait.h>

#include "base/fault.h"

/* --- crashes ---------------------------------------------------------------------------------- */

struct teller {
    struct sp_journal *journal;
    int fd;
    unsigned next;
};

struct told {
    struct teller *teller;
    unsigned number;
};

static void tell_next(struct teller *teller);

static void on_safe(void *arg, const struct sp_error *err)
{
    struct told *told = arg;

    if (err || write(told->teller->fd, &told->number, sizeof(told->number)) !=
                   (ssize_t)sizeof(told->number))
        _exit(1);
    tell_next(told->teller);
    free(told);
}

/* Every third is dispatched, every ninth is done; some payloads are files. */
static void tell_next(struct teller *teller)
{
    static char payload[80 * 1024];
    struct told *told = sp_new0(struct told);
    struct sp_id id;

    told->teller = teller;
    told->number = ++teller->next;
    id = id_of(told->number);
    if (sp_journal_append(teller->journal, SP_JOURNAL_ACCEPTED, &id, 7, SP_SLICE("{m}"),
                          sp_slice(payload, told->number % 16 ? 100 : sizeof(payload)),
                          SP_JOURNAL_SYNCED, on_safe, told, NULL) < 0)
        _exit(1);
    if (told->number % 3 == 0)
        (void)sp_journal_append(teller->journal, SP_JOURNAL_DISPATCHED, &id, 7, SP_SLICE(""),
                                SP_SLICE(""), SP_JOURNAL_WRITTEN, NULL, NULL, NULL);
    if (told->number % 9 == 0)
        (void)sp_journal_append(teller->journal, SP_JOURNAL_DONE, &id, 7, SP_SLICE("{ok}"),
                                SP_SLICE("[r]"), SP_JOURNAL_WRITTEN, NULL, NULL, NULL);
}

static void each_nothing(void *arg, const struct sp_journal_entry *entry)
{
    (void)arg;
    (void)entry;
}

static void tell_for_ever(const struct sp_journal_options *options, int fd)
{
    struct teller teller = {.fd = fd};
    uv_loop_t loop;

    if (uv_loop_init(&loop) < 0 ||
        sp_journal_open(&loop, options, each_nothing, NULL, &teller.journal, NULL) < 0)
        _exit(1);
    for (int i = 0; i < 10; i++)
        tell_next(&teller);
    uv_run(&loop, UV_RUN_DEFAULT);
    _exit(1);
}

struct check {
    unsigned count;
    bool wrong;
};

static void check_entry(void *arg, const struct sp_journal_entry *entry)
{
    struct check *check = arg;
    unsigned number = number_of(&entry->event);

    /* In order, without holes, whole. */
    check->wrong |= number != ++check->count;
    check->wrong |= entry->accepted_payload.len != (number % 16 ? 100 : 80 * 1024);
    check->wrong |= !sp_slice_eq_str(entry->accepted_meta, "{m}");
    check->wrong |= entry->done && !sp_slice_eq_str(entry->done_payload, "[r]");
    check->wrong |= entry->done && number % 9 != 0;
}

/* The highest number that the child reported as safe before it was killed after `after` of them. */
static unsigned run_and_kill(struct fix *f, unsigned after)
{
    unsigned last = 0;
    unsigned number;
    int pipes[2];
    pid_t pid;

    assert_int_equal(pipe(pipes), 0);
    pid = fork();
    if (pid == 0) {
        (void)close(pipes[0]);
        tell_for_ever(&f->options, pipes[1]);
    }
    (void)close(pipes[1]);
    while (last < after && read(pipes[0], &number, sizeof(number)) == sizeof(number)) {
        assert_int_equal(number, last + 1); /* reported in order */
        last = number;
    }
    assert_int_equal(kill(pid, SIGKILL), 0);
    while (read(pipes[0], &number, sizeof(number)) == sizeof(number))
        last = number;
    (void)close(pipes[0]);
    assert_int_equal(waitpid(pid, NULL, 0), pid);
    return last;
}

static void test_kill_9_loses_nothing_that_was_reported_safe(void **state)
{
    struct fix *f = *state;

    sp_log_set_level(SP_LOG_ERROR);
    close_journal(f);
    for (unsigned round = 0; round < 10; round++) {
        unsigned last = run_and_kill(f, 1 + round * round * 9);
        struct check check = {0};

        assert_true(last > 0);
        assert_int_equal(
            sp_journal_open(&f->loop, &f->options, check_entry, &check, &f->journal, NULL), 0);
        assert_false(check.wrong);
        assert_true(check.count >= last);
        assert_int_equal(count_files(f, ".bad", NULL), 0);
        close_journal(f);
        assert_int_equal(sp_rmtree(AT_FDCWD, f->dir, NULL), 0);
    }
    sp_log_set_level(SP_LOG_INFO);
    open_journal(f);
}

/* --- full and broken disks -------------------------------------------------------------------- */

static void test_a_full_disk_refuses_and_works_again_when_there_is_space(void **state)
{
    struct fix *f = *state;
    SP_AUTO_FREE char *large = malloc(60 * 1024);
    unsigned stored = 0;

    memset(large, 'x', 60 * 1024);
    close_journal(f);
    if (mount("none", f->dir, "tmpfs", 0, "size=1m") < 0)
        skip(); /* needs root: the fault points below cover the rest */
    open_journal(f);
    while (stored < 100) {
        append(f, SP_JOURNAL_ACCEPTED, 1 + stored, "", sp_slice(large, 60 * 1024),
               SP_JOURNAL_SYNCED);
        settle(f, 1);
        if (f->failed)
            break;
        stored++;
    }
    assert_in_range(stored, 5, 30);
    dispatch(f, 1); /* there is room set aside for what ends requests */
    done(f, 1, "{ok}", "[1]");
    forget(f, 2);
    settle(f, 3);
    assert_int_equal(f->failed, 1);
    assert_int_equal(mount("none", f->dir, "tmpfs", MS_REMOUNT, "size=16m"), 0);
    append(f, SP_JOURNAL_ACCEPTED, 500, "{late}", SP_SLICE("y"), SP_JOURNAL_SYNCED);
    settle(f, 1);
    assert_int_equal(f->failed, 1);
    reopen(f);
    assert_int_equal(f->replayed, stored); /* without 2, with 500 */
    assert_memory_equal(f->replay, "1:done::big:{ok}:[1];3:accepted::big::;", 39);
    assert_non_null(strstr(f->replay, "500:accepted:{late}:y::;"));
    close_journal(f);
    assert_int_equal(umount(f->dir), 0);
}

#ifdef SP_FAULTS
static void test_a_failed_write_leaves_no_half_record(void **state)
{
    struct fix *f = *state;

    admit(f, 1, "", "");
    settle(f, 1);
    sp_fault_plan("journal.write:1-");
    admit(f, 2, "", "");
    settle(f, 1);
    assert_int_equal(f->failed, 1);
    sp_fault_plan(NULL);
    admit(f, 3, "", "");
    settle(f, 1);
    assert_int_equal(f->failed, 1);
    reopen(f);
    assert_string_equal(f->replay, "1:accepted::::;3:accepted::::;");
}

static void test_a_batch_that_does_not_fit_is_tried_one_by_one(void **state)
{
    struct fix *f = *state;

    sp_fault_plan("journal.write:1,journal.write:3"); /* the batch, and of its records the second */
    admit(f, 1, "", "");
    admit(f, 2, "", "");
    admit(f, 3, "", "");
    settle(f, 3);
    sp_fault_plan(NULL);
    assert_int_equal(f->failed, 1);
    reopen(f);
    assert_string_equal(f->replay, "1:accepted::::;3:accepted::::;");
}

static void test_after_a_failed_sync_nothing_is_promised_any_more(void **state)
{
    struct fix *f = *state;
    struct sp_error err = {0};
    struct sp_id id = id_of(2);

    sp_fault_plan("journal.sync:1");
    admit(f, 1, "", "");
    settle(f, 1);
    assert_int_equal(f->failed, 1);
    assert_true(sp_journal_append(f->journal, SP_JOURNAL_ACCEPTED, &id, 7, SP_SLICE(""),
                                  SP_SLICE(""), SP_JOURNAL_SYNCED, NULL, NULL, &err) < 0);
    assert_int_equal(err.kind, SP_ERR_UNAVAILABLE);
    sp_fault_plan(NULL);
}
#endif

int main(void)
{
#define ROW(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        ROW(test_kill_9_loses_nothing_that_was_reported_safe),
        ROW(test_a_full_disk_refuses_and_works_again_when_there_is_space),
#ifdef SP_FAULTS
        ROW(test_a_failed_write_leaves_no_half_record),
        ROW(test_a_batch_that_does_not_fit_is_tried_one_by_one),
        ROW(test_after_a_failed_sync_nothing_is_promised_any_more),
#endif
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
