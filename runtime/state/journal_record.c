#include "runtime/state/journal-internal.h"

#include <endian.h>
#include <pthread.h>
#include <string.h>

#define RECORD_MAGIC 0x4a525053u /* "SPRJ" on the disk */
#define FLAG_FILE    1u

static const char segment_magic[8] = {'S', 'P', 'J', 'O', 'U', 'R', 'N', '\n'};

/* --- CRC-32C (Castagnoli), eight bytes at a time ---------------------------------------------- */

static uint32_t crc_table[8][256];

static void make_crc_table(void)
{
    for (uint32_t i = 0; i < 256; i++) {
        uint32_t crc = i;

        for (int bit = 0; bit < 8; bit++)
            crc = crc & 1 ? crc >> 1 ^ 0x82f63b78u : crc >> 1;
        crc_table[0][i] = crc;
    }
    for (uint32_t i = 0; i < 256; i++)
        for (size_t t = 1; t < 8; t++)
            crc_table[t][i] = crc_table[t - 1][i] >> 8 ^ crc_table[0][crc_table[t - 1][i] & 0xff];
}

uint32_t journal_crc32c(uint32_t crc, const void *data, size_t len)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    const uint8_t *at = data;

    (void)pthread_once(&once, make_crc_table);
    crc = ~crc;
    for (; len >= 8; at += 8, len -= 8) {
        uint64_t word;

        memcpy(&word, at, 8);
        word = le64toh(word) ^ crc;
        crc = 0;
        for (size_t i = 0; i < 8; i++)
            crc ^= crc_table[7 - i][word >> 8 * i & 0xff];
    }
    for (; len; at++, len--)
        crc = crc >> 8 ^ crc_table[0][(crc ^ *at) & 0xff];
    return ~crc;
}

/* --- numbers, little-endian ------------------------------------------------------------------- */

static void put32(uint8_t *to, uint32_t value)
{
    value = htole32(value);
    memcpy(to, &value, sizeof(value));
}

static void put64(uint8_t *to, uint64_t value)
{
    value = htole64(value);
    memcpy(to, &value, sizeof(value));
}

static uint32_t get32(const uint8_t *from)
{
    uint32_t value;

    memcpy(&value, from, sizeof(value));
    return le32toh(value);
}

static uint64_t get64(const uint8_t *from)
{
    uint64_t value;

    memcpy(&value, from, sizeof(value));
    return le64toh(value);
}

/* --- records: docs/journal.md has the layout -------------------------------------------------- */

size_t journal_record_size(const struct journal_record *record)
{
    return JOURNAL_RECORD_HEAD + record->meta.len + (record->file ? 0 : record->payload_len);
}

void journal_record_head(const struct journal_record *record, uint8_t ret[JOURNAL_RECORD_HEAD])
{
    uint32_t crc;

    memset(ret, 0, JOURNAL_RECORD_HEAD);
    put32(ret, RECORD_MAGIC);
    ret[8] = (uint8_t)record->type;
    ret[9] = record->file ? FLAG_FILE : 0;
    put32(ret + 12, (uint32_t)record->meta.len);
    put32(ret + 16, record->payload_len);
    put32(ret + 20, record->payload_crc);
    put64(ret + 24, record->seq);
    put64(ret + 32, record->order);
    put64(ret + 40, record->space);
    put64(ret + 48, (uint64_t)record->wall_ms);
    memcpy(ret + 56, record->event.bytes, sizeof(record->event.bytes));
    put64(ret + 72, record->file);
    crc = journal_crc32c(0, ret + 8, JOURNAL_RECORD_HEAD - 8);
    crc = journal_crc32c(crc, record->meta.ptr, record->meta.len);
    if (!record->file)
        crc = journal_crc32c(crc, record->payload.ptr, record->payload.len);
    put32(ret + 4, crc);
}

/* What the head alone can tell: is this a length worth waiting for? */
static bool head_plausible(const uint8_t *head)
{
    bool in_file = head[9] == FLAG_FILE;

    return get32(head) == RECORD_MAGIC && head[8] >= SP_JOURNAL_ACCEPTED &&
           head[8] <= SP_JOURNAL_FORGET && head[9] <= FLAG_FILE && head[10] == 0 && head[11] == 0 &&
           get32(head + 12) <= JOURNAL_META_MAX &&
           (in_file || get32(head + 16) <= JOURNAL_INLINE_MAX) &&
           in_file == (get64(head + 72) != 0);
}

enum journal_parsed journal_record_parse(const uint8_t *bytes, size_t len,
                                         struct journal_record *ret)
{
    struct journal_record record = {0};
    size_t size;

    if (len < JOURNAL_RECORD_HEAD)
        return JOURNAL_SHORT;
    if (!head_plausible(bytes))
        return JOURNAL_BAD;
    record.type = bytes[8];
    record.payload_len = get32(bytes + 16);
    record.payload_crc = get32(bytes + 20);
    record.seq = get64(bytes + 24);
    record.order = get64(bytes + 32);
    record.space = get64(bytes + 40);
    record.wall_ms = (int64_t)get64(bytes + 48);
    memcpy(record.event.bytes, bytes + 56, sizeof(record.event.bytes));
    record.file = get64(bytes + 72);
    record.meta = sp_slice((const char *)bytes + JOURNAL_RECORD_HEAD, get32(bytes + 12));
    record.payload =
        sp_slice(record.meta.ptr + record.meta.len, record.file ? 0 : record.payload_len);

    size = journal_record_size(&record);
    if (len < size)
        return JOURNAL_SHORT;
    if (journal_crc32c(0, bytes + 8, size - 8) != get32(bytes + 4))
        return JOURNAL_BAD;
    *ret = record;
    return JOURNAL_WHOLE;
}

/* --- the head of a segment -------------------------------------------------------------------- */

void journal_segment_head(uint64_t number, uint64_t first_seq, uint8_t ret[JOURNAL_SEGMENT_HEAD])
{
    memcpy(ret, segment_magic, sizeof(segment_magic));
    put32(ret + 8, JOURNAL_VERSION);
    put64(ret + 12, number);
    put64(ret + 20, first_seq);
    put32(ret + 28, journal_crc32c(0, ret, 28));
}

int journal_segment_head_parse(const uint8_t bytes[JOURNAL_SEGMENT_HEAD], uint64_t *ret_number,
                               uint64_t *ret_first_seq, struct sp_error *err)
{
    if (memcmp(bytes, segment_magic, sizeof(segment_magic)) != 0)
        return sp_error_set(err, SP_ERR_INVALID, 0, "not a segment of a journal");
    if (get32(bytes + 8) > JOURNAL_VERSION)
        return sp_error_set(err, SP_ERR_CONFLICT, 0,
                            "the journal has version %u, this program knows %d", get32(bytes + 8),
                            JOURNAL_VERSION);
    if (get32(bytes + 28) != journal_crc32c(0, bytes, 28))
        return sp_error_set(err, SP_ERR_INVALID, 0, "the head of the segment is damaged");
    *ret_number = get64(bytes + 12);
    *ret_first_seq = get64(bytes + 20);
    return 0;
}
