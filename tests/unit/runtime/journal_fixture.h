/* What the tests of the journal share: one in a folder of its own, and a replay as a line of text.
 */
#ifndef SP_TESTS_UNIT_RUNTIME_JOURNAL_FIXTURE_H
#define SP_TESTS_UNIT_RUNTIME_JOURNAL_FIXTURE_H

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/mem.h"
#include "runtime/state/journal-internal.h"
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

static inline void on_deadline(uv_timer_t *timer)
{
    (void)timer;
    fprintf(stderr, "deadline passed\n");
    abort();
}

static inline void wait_for(struct fix *f, const bool *flag)
{
    uv_timer_start(&f->deadline, on_deadline, 30000, 0);
    while (!*flag)
        uv_run(&f->loop, UV_RUN_ONCE);
    uv_timer_stop(&f->deadline);
}

/* "0000...NN": tests name requests by a number. */
static inline struct sp_id id_of(unsigned number)
{
    struct sp_id id = {{0}};

    id.bytes[0] = (uint8_t)(number >> 24);
    id.bytes[1] = (uint8_t)(number >> 16);
    id.bytes[2] = (uint8_t)(number >> 8);
    id.bytes[3] = (uint8_t)number;
    id.bytes[15] = 0x77;
    return id;
}

static inline unsigned number_of(const struct sp_id *id)
{
    return (unsigned)id->bytes[0] << 24 | (unsigned)id->bytes[1] << 16 |
           (unsigned)id->bytes[2] << 8 | id->bytes[3];
}

static inline void note_entry(void *arg, const struct sp_journal_entry *entry)
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

static inline void open_journal(struct fix *f)
{
    struct sp_error err = {0};

    f->replay[0] = '\0';
    f->replayed = 0;
    if (sp_journal_open(&f->loop, &f->options, note_entry, f, &f->journal, &err) < 0)
        fail_msg("%s", err.msg);
}

static inline void on_closed(void *arg)
{
    *(bool *)arg = true;
}

static inline void close_journal(struct fix *f)
{
    bool closed = false;

    sp_journal_close(f->journal, on_closed, &closed);
    wait_for(f, &closed);
    f->journal = NULL;
}

static inline void reopen(struct fix *f)
{
    close_journal(f);
    open_journal(f);
}

static inline int set_up(void **state)
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

static inline int tear_down(void **state)
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

static inline void on_appended(void *arg, const struct sp_error *err)
{
    struct fix *f = arg;

    f->answered++;
    f->failed += err != NULL;
    if (err)
        assert_int_equal(err->kind, SP_ERR_UNAVAILABLE);
}

static inline void append(struct fix *f, enum sp_journal_type type, unsigned number,
                          const char *meta, struct sp_slice payload, enum sp_journal_safety safety)
{
    struct sp_id id = id_of(number);
    struct sp_error err = {0};

    if (sp_journal_append(f->journal, type, &id, 7, sp_slice_str(meta), payload, safety,
                          on_appended, f, &err) < 0)
        fail_msg("%s", err.msg);
}

static inline void settle(struct fix *f, unsigned answers)
{
    uv_timer_start(&f->deadline, on_deadline, 30000, 0);
    while (f->answered < answers)
        uv_run(&f->loop, UV_RUN_ONCE);
    uv_timer_stop(&f->deadline);
    f->answered = 0;
}

static inline void admit(struct fix *f, unsigned number, const char *meta, const char *payload)
{
    append(f, SP_JOURNAL_ACCEPTED, number, meta, sp_slice_str(payload), SP_JOURNAL_SYNCED);
}

static inline void dispatch(struct fix *f, unsigned number)
{
    append(f, SP_JOURNAL_DISPATCHED, number, "", SP_SLICE(""), SP_JOURNAL_WRITTEN);
}

static inline void done(struct fix *f, unsigned number, const char *meta, const char *payload)
{
    append(f, SP_JOURNAL_DONE, number, meta, sp_slice_str(payload), SP_JOURNAL_WRITTEN);
}

static inline void forget(struct fix *f, unsigned number)
{
    append(f, SP_JOURNAL_FORGET, number, "", SP_SLICE(""), SP_JOURNAL_WRITTEN);
}

/* Files in the folder whose name ends so; `*ret_bytes` (may be NULL) is their size. */
static inline unsigned count_files(struct fix *f, const char *suffix, uint64_t *ret_bytes)
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

static inline char *segment_path(struct fix *f, unsigned number)
{
    return sp_asprintf("%s/%016x.seg", f->dir, number);
}

#endif
