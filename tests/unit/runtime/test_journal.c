#include "runtime/journal.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/fault.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/mem.h"
#include "runtime/journal-internal.h"
#include "tests/support/test.h"

struct fix {
    uv_loop_t loop;
    uv_timer_t deadline;
    char dir[64];
    struct sp_journal_options options;
    struct sp_journal *journal;
    unsigned answered;
    unsigned failed;
    unsigned expected; /* the number that the next answer must carry */
    char replay[8192]; /* "id:state:meta:payload:done_meta:done_payload;" in order */
    unsigned replayed;
    uint64_t last_len;
};

static void on_deadline(uv_timer_t *timer)
{
    (void)timer;
    fprintf(stderr, "deadline passed\n");
    abort();
}

static void wait_for(struct fix *f, const bool *flag)
{
    uv_timer_start(&f->deadline, on_deadline, 30000, 0);
    while (!*flag)
        uv_run(&f->loop, UV_RUN_ONCE);
    uv_timer_stop(&f->deadline);
}

/* "0000...NN": tests name requests by a number. */
static struct sp_id id_of(unsigned number)
{
    struct sp_id id = {{0}};

    id.bytes[0] = (uint8_t)(number >> 24);
    id.bytes[1] = (uint8_t)(number >> 16);
    id.bytes[2] = (uint8_t)(number >> 8);
    id.bytes[3] = (uint8_t)number;
    id.bytes[15] = 0x77;
    return id;
}

static unsigned number_of(const struct sp_id *id)
{
    return (unsigned)id->bytes[0] << 24 | (unsigned)id->bytes[1] << 16 |
           (unsigned)id->bytes[2] << 8 | id->bytes[3];
}

static void note_entry(void *arg, const struct sp_journal_entry *entry)
{
    struct fix *f = arg;
    size_t len = strlen(f->replay);

    f->replayed++;
    f->last_len = entry->accepted_payload.len;
    (void)snprintf(f->replay + len, sizeof(f->replay) - len, "%u:%s:%.*s:%.*s:%.*s:%.*s;",
                   number_of(&entry->event),
                   entry->done         ? "done"
                   : entry->dispatched ? "dispatched"
                                       : "accepted",
                   (int)entry->accepted_meta.len, entry->accepted_meta.ptr,
                   entry->accepted_payload.len > 64 ? 3 : (int)entry->accepted_payload.len,
                   entry->accepted_payload.len > 64 ? "big" : entry->accepted_payload.ptr,
                   (int)entry->done_meta.len, entry->done_meta.ptr,
                   entry->done_payload.len > 64 ? 3 : (int)entry->done_payload.len,
                   entry->done_payload.len > 64 ? "big" : entry->done_payload.ptr);
}

static void open_journal(struct fix *f)
{
    struct sp_error err = {0};

    f->replay[0] = '\0';
    f->replayed = 0;
    if (sp_journal_open(&f->loop, &f->options, note_entry, f, &f->journal, &err) < 0)
        fail_msg("%s", err.msg);
}

static void on_closed(void *arg)
{
    *(bool *)arg = true;
}

static void close_journal(struct fix *f)
{
    bool closed = false;

    sp_journal_close(f->journal, on_closed, &closed);
    wait_for(f, &closed);
    f->journal = NULL;
}

static void reopen(struct fix *f)
{
    close_journal(f);
    open_journal(f);
}

static int set_up(void **state)
{
    struct fix *f = sp_new0(struct fix);

    (void)snprintf(f->dir, sizeof(f->dir), "/tmp/sp-journal-XXXXXX");
    assert_non_null(mkdtemp(f->dir));
    f->options = (struct sp_journal_options){
        .dir = f->dir, .segment_bytes = 64 * 1024, .max_bytes = 64 << 20, .result_ttl_ms = 600000};
    assert_int_equal(uv_loop_init(&f->loop), 0);
    uv_timer_init(&f->loop, &f->deadline);
    open_journal(f);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fix *f = *state;

    if (f->journal)
        close_journal(f);
    uv_close((uv_handle_t *)&f->deadline, NULL);
    uv_run(&f->loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&f->loop), 0);
    assert_int_equal(sp_rmtree(AT_FDCWD, f->dir, NULL), 0);
    free(f);
    return 0;
}

/* --- appending, waited for -------------------------------------------------------------------- */

static void on_appended(void *arg, const struct sp_error *err)
{
    struct fix *f = arg;

    f->answered++;
    f->failed += err != NULL;
    if (err)
        assert_int_equal(err->kind, SP_ERR_UNAVAILABLE);
}

static void append(struct fix *f, enum sp_journal_type type, unsigned number, const char *meta,
                   struct sp_slice payload, enum sp_journal_safety safety)
{
    struct sp_id id = id_of(number);
    struct sp_error err = {0};

    if (sp_journal_append(f->journal, type, &id, 7, sp_slice_str(meta), payload, safety,
                          on_appended, f, &err) < 0)
        fail_msg("%s", err.msg);
}

static void settle(struct fix *f, unsigned answers)
{
    uv_timer_start(&f->deadline, on_deadline, 30000, 0);
    while (f->answered < answers)
        uv_run(&f->loop, UV_RUN_ONCE);
    uv_timer_stop(&f->deadline);
    f->answered = 0;
}

static void admit(struct fix *f, unsigned number, const char *meta, const char *payload)
{
    append(f, SP_JOURNAL_ACCEPTED, number, meta, sp_slice_str(payload), SP_JOURNAL_SYNCED);
}

static void dispatch(struct fix *f, unsigned number)
{
    append(f, SP_JOURNAL_DISPATCHED, number, "", SP_SLICE(""), SP_JOURNAL_WRITTEN);
}

static void done(struct fix *f, unsigned number, const char *meta, const char *payload)
{
    append(f, SP_JOURNAL_DONE, number, meta, sp_slice_str(payload), SP_JOURNAL_WRITTEN);
}

static void forget(struct fix *f, unsigned number)
{
    append(f, SP_JOURNAL_FORGET, number, "", SP_SLICE(""), SP_JOURNAL_WRITTEN);
}

/* Files in the folder whose name ends so; `*ret_bytes` (may be NULL) is their size. */
static unsigned count_files(struct fix *f, const char *suffix, uint64_t *ret_bytes)
{
    DIR *dir = opendir(f->dir);
    struct dirent *entry;
    unsigned count = 0;
    uint64_t bytes = 0;

    assert_non_null(dir);
    while ((entry = readdir(dir))) {
        struct stat st;

        if (!sp_slice_ends(sp_slice_str(entry->d_name), suffix))
            continue;
        assert_int_equal(fstatat(dirfd(dir), entry->d_name, &st, 0), 0);
        count++;
        bytes += (uint64_t)st.st_size;
    }
    (void)closedir(dir);
    if (ret_bytes)
        *ret_bytes = bytes;
    return count;
}

static char *segment_path(struct fix *f, unsigned number)
{
    return sp_asprintf("%s/%016x.seg", f->dir, number);
}

/* --- what is remembered ----------------------------------------------------------------------- */

static void test_each_state_is_remembered_in_order_of_acceptance(void **state)
{
    struct fix *f = *state;

    admit(f, 3, "{m3}", "[3]");
    admit(f, 1, "{m1}", "[1]");
    admit(f, 2, "{m2}", "");
    dispatch(f, 1);
    admit(f, 4, "", "[4]");
    dispatch(f, 2);
    done(f, 2, "{ok}", "[result]");
    admit(f, 5, "{m5}", "[5]");
    forget(f, 5);
    settle(f, 9);
    assert_int_equal(f->failed, 0);
    for (int i = 0; i < 2; i++) { /* reading changes nothing */
        reopen(f);
        assert_string_equal(f->replay, "3:accepted:{m3}:[3]::;1:dispatched:{m1}:[1]::;"
                                       "2:done:{m2}::{ok}:[result];4:accepted::[4]::;");
    }
}

static void test_an_empty_journal_replays_nothing(void **state)
{
    struct fix *f = *state;

    reopen(f);
    assert_int_equal(f->replayed, 0);
}

static void test_answers_come_in_order_and_later(void **state)
{
    struct fix *f = *state;

    for (unsigned i = 0; i < 2000; i++)
        append(f, SP_JOURNAL_ACCEPTED, i + 1, "m", SP_SLICE("x"),
               i % 7 ? SP_JOURNAL_WRITTEN : SP_JOURNAL_SYNCED);
    assert_int_equal(f->answered, 0);
    settle(f, 2000);
    reopen(f);
    assert_int_equal(f->replayed, 2000);
    assert_memory_equal(f->replay, "1:accepted:m:x::;2:accepted:m:x::;3:", 36);
}

static void on_in_order(void *arg, const struct sp_error *err)
{
    unsigned *slot = arg;
    static unsigned last;

    assert_null(err);
    if (*slot == 1)
        last = 0;
    assert_int_equal(*slot, last + 1);
    last = *slot;
}

static void test_callbacks_keep_the_order_of_the_calls(void **state)
{
    struct fix *f = *state;
    unsigned numbers[500];

    for (unsigned i = 0; i < SP_LEN(numbers); i++) {
        struct sp_id id = id_of(i + 1);

        numbers[i] = i + 1;
        assert_int_equal(sp_journal_append(f->journal, SP_JOURNAL_ACCEPTED, &id, 7, SP_SLICE("m"),
                                           SP_SLICE("p"),
                                           i % 3 ? SP_JOURNAL_WRITTEN : SP_JOURNAL_SYNCED,
                                           on_in_order, &numbers[i], NULL),
                         0);
        if (i % 50 == 0)
            uv_run(&f->loop, UV_RUN_NOWAIT);
    }
    admit(f, 1000, "", "");
    settle(f, 1);
}

static void test_large_payloads_are_files_and_go_with_their_request(void **state)
{
    struct fix *f = *state;
    SP_AUTO_FREE char *large = malloc(300 * 1024);

    memset(large, 'L', 300 * 1024);
    append(f, SP_JOURNAL_ACCEPTED, 1, "a", sp_slice(large, 300 * 1024), SP_JOURNAL_SYNCED);
    append(f, SP_JOURNAL_ACCEPTED, 2, "b", sp_slice(large, 65536), SP_JOURNAL_SYNCED); /* inline */
    append(f, SP_JOURNAL_DONE, 1, "d", sp_slice(large, 65537), SP_JOURNAL_WRITTEN);
    settle(f, 3);
    assert_int_equal(count_files(f, ".data", NULL), 2);
    reopen(f);
    assert_string_equal(f->replay, "1:done:a:big:d:big;2:accepted:b:big::;");
    assert_int_equal(f->last_len, 65536);
    forget(f, 1);
    settle(f, 1);
    assert_int_equal(count_files(f, ".data", NULL), 0);
    reopen(f);
    assert_string_equal(f->replay, "2:accepted:b:big::;");
}

static void test_a_request_whose_payload_is_gone_is_lost_not_run(void **state)
{
    struct fix *f = *state;
    SP_AUTO_FREE char *large = calloc(1, 100 * 1024);
    SP_AUTO_FREE char *path = sp_asprintf("%s/%016x.data", f->dir, 1);

    append(f, SP_JOURNAL_ACCEPTED, 1, "a", sp_slice(large, 100 * 1024), SP_JOURNAL_SYNCED);
    settle(f, 1);
    close_journal(f);
    assert_int_equal(unlink(path), 0);
    open_journal(f);
    assert_string_equal(f->replay, "1:dispatched:a:::;");
}

static void test_old_results_are_not_replayed(void **state)
{
    struct fix *f = *state;

    admit(f, 1, "", "");
    done(f, 1, "", "old");
    admit(f, 2, "", "");
    settle(f, 3);
    close_journal(f);
    f->options.result_ttl_ms = 0;
    while (sp_clock_wall_ms() % 2 == 0) /* at least one millisecond must pass */
        ;
    while (sp_clock_wall_ms() % 2 == 1)
        ;
    open_journal(f);
    assert_string_equal(f->replay, "2:accepted::::;");
}

/* --- torn and damaged ------------------------------------------------------------------------- */

static uint64_t file_size(const char *path)
{
    struct stat st;

    assert_int_equal(stat(path, &st), 0);
    return (uint64_t)st.st_size;
}

/* The journal as it would be if the power had gone after `size` bytes. */
static void test_a_tail_torn_at_any_byte_is_cut(void **state)
{
    struct fix *f = *state;
    SP_AUTO_FREE char *path = segment_path(f, 1);
    SP_AUTO_FREE char *whole = NULL;
    size_t len = 0;
    uint64_t before;

    admit(f, 1, "first", "[1]");
    settle(f, 1);
    before = file_size(path);
    admit(f, 2, "second", "[2]");
    settle(f, 1);
    close_journal(f);
    assert_int_equal(sp_file_read(AT_FDCWD, path, 1 << 20, &whole, &len, NULL), 0);
    sp_log_set_level(SP_LOG_ERROR); /* a warning for each cut */
    for (size_t size = before; size <= len; size++) {
        assert_int_equal(sp_file_replace(AT_FDCWD, path, 0600, sp_slice(whole, size), NULL), 0);
        open_journal(f);
        assert_string_equal(f->replay, size < len
                                           ? "1:accepted:first:[1]::;"
                                           : "1:accepted:first:[1]::;2:accepted:second:[2]::;");
        assert_int_equal(count_files(f, ".bad", NULL), 0);
        admit(f, 3, "third", "[3]"); /* and it goes on from there */
        settle(f, 1);
        reopen(f);
        assert_non_null(strstr(f->replay, "3:accepted:third:[3]::;"));
        close_journal(f);
    }
    sp_log_set_level(SP_LOG_INFO);
    open_journal(f);
}

/* As above, but the lost bytes are there and wrong: blocks that never reached the disk. */
static void test_a_tail_of_zeros_or_noise_is_cut(void **state)
{
    struct fix *f = *state;
    SP_AUTO_FREE char *path = segment_path(f, 1);
    uint64_t size;

    admit(f, 1, "first", "[1]");
    settle(f, 1);
    size = file_size(path);
    for (int noise = 0; noise < 2; noise++) {
        uint8_t junk[1000];

        close_journal(f);
        for (size_t i = 0; i < sizeof(junk); i++)
            junk[i] = noise ? (uint8_t)(i * 7919 >> 3) : 0;
        {
            SP_AUTO_FD int fd = open(path, O_WRONLY | O_APPEND | O_CLOEXEC);

            assert_int_equal(write(fd, junk, sizeof(junk)), sizeof(junk));
        }
        open_journal(f);
        assert_string_equal(f->replay, "1:accepted:first:[1]::;");
        assert_int_equal(file_size(path), size);
    }
}

static void flip_byte(const char *path, uint64_t offset)
{
    SP_AUTO_FD int fd = open(path, O_RDWR | O_CLOEXEC);
    uint8_t byte;

    assert_int_equal(pread(fd, &byte, 1, (off_t)offset), 1);
    byte ^= 0x40;
    assert_int_equal(pwrite(fd, &byte, 1, (off_t)offset), 1);
}

static void test_a_damaged_record_stops_the_reading_and_keeps_what_is_before(void **state)
{
    struct fix *f = *state;
    SP_AUTO_FREE char *path = segment_path(f, 1);
    uint64_t first;
    uint64_t second;

    admit(f, 1, "first", "[1]");
    settle(f, 1);
    first = file_size(path);
    admit(f, 2, "second", "[2]");
    settle(f, 1);
    second = file_size(path);
    admit(f, 3, "third", "[3]");
    settle(f, 1);
    for (uint64_t offset = first; offset < second; offset += 13) {
        SP_AUTO_FREE char *whole = NULL;
        SP_AUTO_FREE char *bad = sp_asprintf("%s.bad", path);
        size_t len = 0;

        close_journal(f);
        assert_int_equal(sp_file_read(AT_FDCWD, path, 1 << 20, &whole, &len, NULL), 0);
        flip_byte(path, offset);
        open_journal(f);
        assert_string_equal(f->replay, "1:accepted:first:[1]::;");
        assert_int_equal(count_files(f, ".bad", NULL), 1); /* nothing is thrown away */
        assert_int_equal(file_size(bad), len - first);
        admit(f, 4, "", "");
        settle(f, 1);
        reopen(f);
        assert_string_equal(f->replay, "1:accepted:first:[1]::;4:accepted::::;");
        close_journal(f);
        assert_int_equal(unlink(bad), 0);
        assert_int_equal(sp_file_replace(AT_FDCWD, path, 0600, sp_slice(whole, len), NULL), 0);
        open_journal(f);
    }
}

static void fill(struct fix *f, unsigned from, unsigned count)
{
    char payload[1024];

    memset(payload, 'p', sizeof(payload));
    for (unsigned i = 0; i < count; i++)
        append(f, SP_JOURNAL_ACCEPTED, from + i, "", sp_slice(payload, sizeof(payload)),
               i + 1 == count ? SP_JOURNAL_SYNCED : SP_JOURNAL_WRITTEN);
    settle(f, count);
}

static void test_damage_in_an_older_segment_sets_the_later_ones_aside(void **state)
{
    struct fix *f = *state;
    SP_AUTO_FREE char *path = segment_path(f, 2);

    /* Batches, so that each segment ends where it is full. */
    for (unsigned i = 0; i < 20; i++)
        fill(f, 1 + 10 * i, 10);
    close_journal(f);
    assert_true(count_files(f, ".seg", NULL) >= 3);
    flip_byte(path, 5000);
    open_journal(f);
    assert_in_range(f->replayed, 50, 150);
    assert_int_equal(count_files(f, ".seg", NULL), 2);
    assert_true(count_files(f, ".bad", NULL) >= 2);
    admit(f, 9999, "", "");
    settle(f, 1);
    reopen(f);
    assert_non_null(strstr(f->replay, "1:accepted"));
}

static void test_a_newer_version_is_refused_untouched(void **state)
{
    struct fix *f = *state;
    SP_AUTO_FREE char *path = segment_path(f, 1);
    struct sp_error err = {0};
    uint64_t size;
    uint8_t byte = 2;

    admit(f, 1, "", "");
    settle(f, 1);
    close_journal(f);
    size = file_size(path);
    {
        SP_AUTO_FD int fd = open(path, O_RDWR | O_CLOEXEC);

        assert_int_equal(pwrite(fd, &byte, 1, 8), 1);
    }
    assert_true(sp_journal_open(&f->loop, &f->options, note_entry, f, &f->journal, &err) < 0);
    assert_int_equal(err.kind, SP_ERR_CONFLICT);
    assert_int_equal(file_size(path), size);
    f->journal = NULL;
}

static void test_a_second_opener_is_refused(void **state)
{
    struct fix *f = *state;
    struct sp_journal *second = NULL;
    struct sp_error err = {0};

    assert_true(sp_journal_open(&f->loop, &f->options, note_entry, f, &second, &err) < 0);
    assert_int_equal(err.kind, SP_ERR_CONFLICT);
}

/* --- limits and space ------------------------------------------------------------------------- */

static void test_a_full_journal_refuses_new_requests_and_nothing_else(void **state)
{
    struct fix *f = *state;
    SP_AUTO_FREE char *large = calloc(1, 512 * 1024);
    struct sp_slice payload = sp_slice(large, 512 * 1024);
    struct sp_error err = {0};
    struct sp_id id = id_of(99);

    close_journal(f);
    f->options.max_bytes = 1 << 20;
    open_journal(f);
    append(f, SP_JOURNAL_ACCEPTED, 1, "", payload, SP_JOURNAL_SYNCED);
    settle(f, 1);
    append(f, SP_JOURNAL_ACCEPTED, 2, "", sp_slice(large, 400 * 1024), SP_JOURNAL_SYNCED);
    settle(f, 1);
    assert_true(sp_journal_append(f->journal, SP_JOURNAL_ACCEPTED, &id, 7, SP_SLICE(""), payload,
                                  SP_JOURNAL_SYNCED, NULL, NULL, &err) < 0);
    assert_int_equal(err.kind, SP_ERR_UNAVAILABLE);
    assert_non_null(strstr(err.msg, "journal.max_bytes"));
    append(f, SP_JOURNAL_DONE, 1, "", payload, SP_JOURNAL_WRITTEN);
    forget(f, 2);
    forget(f, 1);
    settle(f, 3);
    append(f, SP_JOURNAL_ACCEPTED, 3, "", payload, SP_JOURNAL_SYNCED);
    settle(f, 1);
    assert_int_equal(f->failed, 0);
}

static void test_what_waits_for_a_slow_disk_is_bounded(void **state)
{
    struct fix *f = *state;
    SP_AUTO_FREE char *large = calloc(1, 4 << 20);
    struct sp_error err = {0};
    struct sp_id id = id_of(1);
    unsigned accepted = 0;

    f->options.max_bytes = 1 << 30;
    reopen(f);
    while (accepted < 100 && sp_journal_append(f->journal, SP_JOURNAL_DONE, &id, 7, SP_SLICE(""),
                                               sp_slice(large, 4 << 20), SP_JOURNAL_WRITTEN,
                                               on_appended, f, &err) == 0)
        accepted++;
    assert_in_range(accepted, 10, 16);
    assert_int_equal(err.kind, SP_ERR_UNAVAILABLE);
    forget(f, 1); /* what frees is never refused */
    settle(f, accepted + 1);
    assert_true(sp_journal_append(f->journal, SP_JOURNAL_DONE, &id, 7,
                                  sp_slice(large, JOURNAL_META_MAX + 1), SP_SLICE(""),
                                  SP_JOURNAL_WRITTEN, NULL, NULL, &err) < 0);
    assert_int_equal(err.kind, SP_ERR_LIMIT);
}

/* Request 1 waits for ever while 5,000 others come and go. */
static void test_one_that_lives_long_does_not_keep_all_the_others(void **state)
{
    struct fix *f = *state;
    struct sp_journal_stats stats;
    uint64_t bytes = 0;

    admit(f, 1, "{long}", "[waits]");
    dispatch(f, 1);
    settle(f, 2);
    for (unsigned round = 0; round < 50; round++) {
        fill(f, 1000 + 100 * round, 100);
        for (unsigned i = 0; i < 100; i++)
            forget(f, 1000 + 100 * round + i);
        settle(f, 100);
    }
    reopen(f); /* the thread reclaims before it ends, or at once after the start */
    admit(f, 2, "", "");
    settle(f, 1);
    assert_memory_equal(f->replay, "1:dispatched:{long}:[waits]::;", 30);
    count_files(f, ".seg", &bytes);
    /* 5.5 MB have passed; kept are what is live and a few segments of 64 kB. */
    assert_in_range(bytes, 1, 6 * 130 * 1024);
    sp_journal_stats(f->journal, &stats);
    assert_true(stats.segments < 8);
    reopen(f);
    assert_string_equal(f->replay, "1:dispatched:{long}:[waits]::;2:accepted::::;");
}

static void test_order_of_acceptance_survives_copying(void **state)
{
    struct fix *f = *state;
    SP_AUTO_FREE char *path = segment_path(f, 1);

    for (unsigned i = 1; i <= 20; i++)
        admit(f, 100 - i, "", "");
    settle(f, 20);
    for (unsigned round = 0; round < 20; round++) {
        fill(f, 1000 + 100 * round, 100);
        for (unsigned i = 0; i < 100; i++)
            forget(f, 1000 + 100 * round + i);
        settle(f, 100);
    }
    admit(f, 200, "", "");
    settle(f, 1);
    assert_int_not_equal(access(path, F_OK), 0); /* they were moved */
    reopen(f);
    assert_int_equal(f->replayed, 21);
    assert_memory_equal(f->replay, "99:accepted::::;98:accepted::::;97:", 35);
    assert_string_equal(strstr(f->replay, "81:"), "81:accepted::::;80:accepted::::;"
                                                  "200:accepted::::;");
}

static bool folder_has(struct fix *f, const char *text)
{
    DIR *dir = opendir(f->dir);
    struct dirent *entry;
    bool found = false;

    while ((entry = readdir(dir))) {
        SP_AUTO_FREE char *bytes = NULL;
        size_t len = 0;

        if (sp_file_read(dirfd(dir), entry->d_name, 64 << 20, &bytes, &len, NULL) == 0)
            found |= memmem(bytes, len, text, strlen(text)) != NULL;
    }
    (void)closedir(dir);
    return found;
}

static void test_a_forgotten_payload_is_erased_from_the_disk(void **state)
{
    struct fix *f = *state;
    uint64_t until = sp_clock_mono_ms() + 20000;

    admit(f, 1, "", "[the-secret-of-a-visitor]");
    settle(f, 1);
    assert_true(folder_has(f, "the-secret-of-a-visitor"));
    forget(f, 1);
    settle(f, 1);
    while (folder_has(f, "the-secret-of-a-visitor") && sp_clock_mono_ms() < until)
        uv_run(&f->loop, UV_RUN_NOWAIT);
    assert_false(folder_has(f, "the-secret-of-a-visitor"));
    assert_int_equal(count_files(f, ".seg", NULL), 1);
}

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

/* --- the record format ------------------------------------------------------------------------ */

static void test_the_checksum_is_crc32c(void **state)
{
    (void)state;
    assert_int_equal(journal_crc32c(0, "123456789", 9), 0xe3069283u); /* RFC 3720's check value */
    assert_int_equal(journal_crc32c(journal_crc32c(0, "1234", 4), "56789", 5), 0xe3069283u);
    assert_int_equal(journal_crc32c(0, "", 0), 0);
}

int main(void)
{
#define ROW(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        ROW(test_each_state_is_remembered_in_order_of_acceptance),
        ROW(test_an_empty_journal_replays_nothing),
        ROW(test_answers_come_in_order_and_later),
        ROW(test_callbacks_keep_the_order_of_the_calls),
        ROW(test_large_payloads_are_files_and_go_with_their_request),
        ROW(test_a_request_whose_payload_is_gone_is_lost_not_run),
        ROW(test_old_results_are_not_replayed),
        ROW(test_a_tail_torn_at_any_byte_is_cut),
        ROW(test_a_tail_of_zeros_or_noise_is_cut),
        ROW(test_a_damaged_record_stops_the_reading_and_keeps_what_is_before),
        ROW(test_damage_in_an_older_segment_sets_the_later_ones_aside),
        ROW(test_a_newer_version_is_refused_untouched),
        ROW(test_a_second_opener_is_refused),
        ROW(test_a_full_journal_refuses_new_requests_and_nothing_else),
        ROW(test_what_waits_for_a_slow_disk_is_bounded),
        ROW(test_one_that_lives_long_does_not_keep_all_the_others),
        ROW(test_order_of_acceptance_survives_copying),
        ROW(test_a_forgotten_payload_is_erased_from_the_disk),
        ROW(test_kill_9_loses_nothing_that_was_reported_safe),
        ROW(test_a_full_disk_refuses_and_works_again_when_there_is_space),
#ifdef SP_FAULTS
        ROW(test_a_failed_write_leaves_no_half_record),
        ROW(test_a_batch_that_does_not_fit_is_tried_one_by_one),
        ROW(test_after_a_failed_sync_nothing_is_promised_any_more),
#endif
        cmocka_unit_test(test_the_checksum_is_crc32c),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
