/* Any bytes as an archive. Blocks that look like headers get a checksum that fits, or none would be
 * read. */
#include "helpers/tar.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define CHECK(cond)                                                                                \
    do {                                                                                           \
        if (!(cond))                                                                               \
            abort();                                                                               \
    } while (0)

struct input {
    const uint8_t *data;
    size_t size, at;
};

static long read_input(void *arg, void *buf, size_t len, struct sp_error *err)
{
    struct input *in = arg;
    size_t n = in->size - in->at < len ? in->size - in->at : len;

    (void)err;
    memcpy(buf, in->data + in->at, n);
    in->at += n;
    return (long)n;
}

static void mend(uint8_t *data, size_t size)
{
    for (size_t at = 0; at + 512 <= size; at += 512) {
        unsigned sum = 0;

        if (memcmp(data + at + 257, "ustar", 5) != 0)
            continue;
        memset(data + at + 148, ' ', 8);
        for (size_t i = 0; i < 512; i++)
            sum += data[at + i];
        (void)snprintf((char *)data + at + 148, 8, "%06o", sum);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct sp_tar_entry entry;
    uint8_t *copy = malloc(size + 1);
    struct input in = {copy, size, 0};
    struct sp_error err = {0};
    struct sp_tar tar;
    char content[700];
    long n;

    memcpy(copy, data, size);
    mend(copy, size);
    sp_tar_init(&tar, read_input, &in);
    while (sp_tar_next(&tar, &entry, &err) > 0) {
        CHECK(entry.path[0] && strlen(entry.path) < sizeof(entry.path));
        CHECK(strlen(entry.link) < sizeof(entry.link) && entry.mode <= 07777);
        if (in.at % 2)
            continue;
        while ((n = sp_tar_content(&tar, content, sizeof(content), &err)) > 0)
            CHECK((size_t)n <= sizeof(content));
    }
    free(copy);
    return 0;
}
