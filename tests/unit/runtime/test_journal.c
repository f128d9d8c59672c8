#include "tests/unit/runtime/journal_fixture.h"

#include "base/clock.h"

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
        ROW(test_the_checksum_is_crc32c),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
