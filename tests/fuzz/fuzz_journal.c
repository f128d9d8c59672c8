/*
 * Any bytes as a segment of a journal: the record parser alone, and the whole reader on a folder in
 * memory. Checksums are mended first where the first byte asks for it, since no fuzzer guesses
 * them.
 */
#include "runtime/state/journal-internal.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/log.h"
#include "base/mem.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define CHECK(cond)                                                                                \
    do {                                                                                           \
        if (!(cond))                                                                               \
            abort();                                                                               \
    } while (0)

static uint32_t get32(const uint8_t *at)
{
    return (uint32_t)at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24;
}

static void put32(uint8_t *at, uint32_t value)
{
    for (int i = 0; i < 4; i++)
        at[i] = (uint8_t)(value >> 8 * i);
}

/* Gives every record that is long enough the checksum and the number that it should have. */
static void mend(uint8_t *bytes, size_t len)
{
    uint64_t seq = 1;

    for (size_t at = 0; at + JOURNAL_RECORD_HEAD <= len;) {
        uint8_t *head = bytes + at;
        uint64_t body = (uint64_t)get32(head + 12) + (head[9] ? 0 : get32(head + 16));

        if (body > len - at - JOURNAL_RECORD_HEAD)
            return;
        put32(head, 0x4a525053u);
        put32(head + 24, (uint32_t)seq++);
        put32(head + 28, 0);
        put32(head + 4, journal_crc32c(0, head + 8, JOURNAL_RECORD_HEAD - 8 + (size_t)body));
        at += JOURNAL_RECORD_HEAD + (size_t)body;
    }
}

/* Writing what was read gives the same bytes. */
static void parse_all(const uint8_t *bytes, size_t len)
{
    struct journal_record record;
    size_t at = 0;

    while (journal_record_parse(bytes + at, len - at, &record) == JOURNAL_WHOLE) {
        uint8_t head[JOURNAL_RECORD_HEAD];

        CHECK(journal_record_size(&record) <= len - at);
        journal_record_head(&record, head);
        CHECK(memcmp(head, bytes + at, sizeof(head)) == 0);
        at += journal_record_size(&record);
    }
}

static const char *folder(void)
{
    static char dir[64];

    if (!dir[0]) {
        (void)snprintf(dir, sizeof(dir), "/dev/shm/sp-fuzz-journal-XXXXXX");
        CHECK(mkdtemp(dir));
        sp_log_set_level((enum sp_log_level)(SP_LOG_ERROR + 1));
    }
    return dir;
}

static void each(void *arg, const struct sp_journal_entry *entry)
{
    (*(uint64_t *)arg)++;
    CHECK(entry->accepted_meta.len <= JOURNAL_META_MAX);
    CHECK(entry->accepted_payload.len <= JOURNAL_INLINE_MAX); /* there are no payload files here */
    CHECK(entry->done || entry->done_payload.len == 0);
}

/* Opens it, and again: the second time there is nothing left to mend. */
static void open_twice(const uint8_t *bytes, size_t len)
{
    struct sp_journal_options options = {
        .dir = folder(), .segment_bytes = 1 << 20, .result_ttl_ms = INT64_MAX};
    uint8_t head[JOURNAL_SEGMENT_HEAD];
    uint64_t seen[2] = {0};
    char path[128];

    CHECK(sp_mkdir_p(AT_FDCWD, options.dir, 0700, NULL) == 0); /* gone after the run before */
    journal_segment_head(1, 1, head);
    (void)snprintf(path, sizeof(path), "%s/%016x.seg", options.dir, 1);
    {
        SP_AUTO_FD int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

        CHECK(sp_write_all(fd, head, sizeof(head)) == 0 && sp_write_all(fd, bytes, len) == 0);
    }
    for (int i = 0; i < 2; i++) {
        struct journal_log *log = NULL;

        CHECK(journal_log_open(&options, &log, NULL) == 0);
        CHECK(log->disk_bytes <= JOURNAL_SEGMENT_HEAD + len);
        CHECK(journal_log_replay(log, each, &seen[i], NULL) == 0);
        CHECK(log->entries.count == seen[i]);
        journal_log_close(log);
    }
    CHECK(seen[0] == seen[1]);
    CHECK(sp_rmtree(AT_FDCWD, options.dir, NULL) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    SP_AUTO_FREE uint8_t *bytes = NULL;
    uint64_t number;
    uint64_t first;

    if (size == 0)
        return 0;
    if (size > JOURNAL_SEGMENT_HEAD)
        (void)journal_segment_head_parse(data, &number, &first, NULL);
    bytes = sp_alloc0(size, 1);
    memcpy(bytes, data + 1, size - 1);
    if (data[0] & 1)
        mend(bytes, size - 1);
    parse_all(bytes, size - 1);
    open_twice(bytes, size - 1);
    return 0;
}
