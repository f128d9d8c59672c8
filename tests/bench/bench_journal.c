/*
 * What a durable record costs: the journal with 1 and with 10 synced records outstanding, beside a
 * bare loop of write + fdatasync in the same folder; and what one append costs the loop's thread.
 * Five rounds, interleaved; medians. BENCH_DIR chooses the disk (default: the working folder).
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/fd.h"
#include "base/mem.h"
#include "runtime/state/journal.h"

#define ROUNDS      5
#define RECORDS     2000
#define APPENDS     2000 /* measured on the loop, without waiting */
#define RECORD_SIZE 300

struct bench {
    uv_loop_t loop;
    struct sp_journal *journal;
    struct sp_id event;
    char payload[RECORD_SIZE];
    unsigned left;    /* still to be appended */
    unsigned answers; /* still to come */
    bool closed;
};

static void die(const char *what)
{
    fprintf(stderr, "bench_journal: %s\n", what);
    exit(1);
}

static void no_entry(void *arg, const struct sp_journal_entry *entry)
{
    (void)arg;
    (void)entry;
}

static void on_closed(void *arg)
{
    *(bool *)arg = true;
}

static void open_journal(struct bench *b, const char *dir)
{
    struct sp_journal_options options = {.dir = dir, .result_ttl_ms = 600000};
    struct sp_error err = {0};

    if (sp_journal_open(&b->loop, &options, no_entry, NULL, &b->journal, &err) < 0)
        die(err.msg);
}

static void close_journal(struct bench *b)
{
    b->closed = false;
    sp_journal_close(b->journal, on_closed, &b->closed);
    while (!b->closed)
        uv_run(&b->loop, UV_RUN_ONCE);
}

static void on_done(void *arg, const struct sp_error *err);

static void append(struct bench *b, enum sp_journal_safety safety)
{
    sp_id_random(&b->event);
    if (sp_journal_append(b->journal, SP_JOURNAL_ACCEPTED, &b->event, 1, SP_SLICE("{}"),
                          sp_slice(b->payload, sizeof(b->payload)), safety, on_done, b, NULL) < 0)
        die("append refused");
}

static void on_done(void *arg, const struct sp_error *err)
{
    struct bench *b = arg;

    if (err)
        die(err->msg);
    b->answers--;
    if (b->left == 0)
        return;
    b->left--;
    append(b, SP_JOURNAL_SYNCED);
}

/* Records a second with `outstanding` of them always on their way. */
static double run_synced(struct bench *b, unsigned outstanding)
{
    uint64_t began = sp_clock_mono_ns();

    b->answers = RECORDS;
    b->left = RECORDS - outstanding;
    for (unsigned i = 0; i < outstanding; i++)
        append(b, SP_JOURNAL_SYNCED);
    while (b->answers)
        uv_run(&b->loop, UV_RUN_ONCE);
    return RECORDS * 1e9 / (double)(sp_clock_mono_ns() - began);
}

/* Time that the loop spends on an append; the thread has not heard of them yet. */
static double run_appends(struct bench *b)
{
    uint64_t began = sp_clock_mono_ns();
    uint64_t ended;

    b->answers = APPENDS;
    b->left = 0;
    for (unsigned i = 0; i < APPENDS; i++)
        append(b, SP_JOURNAL_WRITTEN);
    ended = sp_clock_mono_ns();
    while (b->answers)
        uv_run(&b->loop, UV_RUN_ONCE);
    return (double)(ended - began) / APPENDS / 1e3;
}

/* The calibrator: what the disk itself takes for a record of the same size. */
static double run_bare(const char *dir)
{
    SP_AUTO_FREE char *path = sp_asprintf("%s/bare", dir);
    SP_AUTO_FD int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0600);
    char record[RECORD_SIZE + 82] = {0};
    uint64_t began = sp_clock_mono_ns();

    for (unsigned i = 0; i < RECORDS; i++)
        if (sp_write_all(fd, record, sizeof(record)) < 0 || fdatasync(fd) < 0)
            die("bare fdatasync loop failed");
    return RECORDS * 1e9 / (double)(sp_clock_mono_ns() - began);
}

static int by_value(const void *a, const void *b)
{
    double left = *(const double *)a;
    double right = *(const double *)b;

    return left < right ? -1 : left > right;
}

static double median(double values[ROUNDS])
{
    qsort(values, ROUNDS, sizeof(*values), by_value);
    return values[ROUNDS / 2];
}

int main(void)
{
    const char *parent = getenv("BENCH_DIR");
    SP_AUTO_FREE char *dir = sp_asprintf("%s/bench-journal-XXXXXX", parent ? parent : ".");
    double bare[ROUNDS], one[ROUNDS], ten[ROUNDS], cost[ROUNDS];
    struct bench b = {0};

    if (!mkdtemp(dir) || uv_loop_init(&b.loop) < 0)
        die("no folder to write to");
    open_journal(&b, dir);
    for (int i = 0; i < ROUNDS; i++) {
        bare[i] = run_bare(dir);
        one[i] = run_synced(&b, 1);
        ten[i] = run_synced(&b, 10);
        cost[i] = run_appends(&b);
    }
    close_journal(&b);
    (void)sp_rmtree(AT_FDCWD, dir, NULL);
    printf("{\"bench\":\"journal\",\"synced_1_per_s\":%.0f,\"synced_10_per_s\":%.0f,"
           "\"bare_fdatasync_per_s\":%.0f,\"ratio_1\":%.2f,\"ratio_10\":%.2f,"
           "\"append_loop_us\":%.2f}\n",
           median(one), median(ten), median(bare), median(one) / median(bare),
           median(ten) / median(bare), median(cost));
    return 0;
}
