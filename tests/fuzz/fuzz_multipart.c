/* The first line is the Content-Type; the rest is a form, fed whole, by bytes and in two pieces. */
#include "ui-protocol/multipart.h"

#include <stdint.h>
#include <stdlib.h>

#include "base/buf.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define CHECK(cond)                                                                                \
    do {                                                                                           \
        if (!(cond))                                                                               \
            abort();                                                                               \
    } while (0)

/* Writes down what happens; data only by its bytes, so that the pieces do not matter. */
static bool feed(struct sp_multipart *mp, struct sp_slice in, struct sp_buf *log)
{
    for (;;) {
        enum sp_multipart_event event = sp_multipart_feed(mp, &in);

        switch (event) {
        case SP_MULTIPART_MORE: CHECK(in.len == 0); return true;
        case SP_MULTIPART_DATA: (void)sp_buf_append_slice(log, mp->data); break;
        case SP_MULTIPART_PART:
            CHECK(strlen(mp->name) <= SP_MULTIPART_NAME_MAX);
            (void)sp_buf_printf(log, "<%s|%d%s|%s>", mp->name, mp->has_filename, mp->filename,
                                mp->content_type);
            break;
        case SP_MULTIPART_END: (void)sp_buf_append_str(log, "<end>"); break;
        case SP_MULTIPART_DONE:
        case SP_MULTIPART_BAD:
            CHECK(event == SP_MULTIPART_DONE || mp->why);
            (void)sp_buf_append_str(log, event == SP_MULTIPART_BAD ? "<bad>" : "<done>");
            return false;
        }
    }
}

static void run(struct sp_slice type, struct sp_slice form, size_t first, size_t step,
                struct sp_buf *log)
{
    static struct sp_multipart mp;

    sp_buf_reset(log);
    if (!sp_multipart_init(&mp, type))
        return;
    for (size_t at = 0; at < form.len;) {
        size_t n = at == 0 && first ? first : step;

        if (n > form.len - at)
            n = form.len - at;
        if (!feed(&mp, sp_slice(form.ptr + at, n), log))
            return;
        at += n;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct sp_slice form = sp_slice((const char *)data, size);
    struct sp_buf whole = {0};
    struct sp_buf other = {0};
    struct sp_slice type;

    if (size == 0 || !sp_slice_split(&form, '\n', &type) || !form.ptr)
        return 0;
    run(type, form, 0, form.len, &whole);
    run(type, form, 0, 1, &other);
    CHECK(sp_slice_eq(sp_buf_slice(&whole), sp_buf_slice(&other)));
    run(type, form, data[size - 1], form.len, &other);
    CHECK(sp_slice_eq(sp_buf_slice(&whole), sp_buf_slice(&other)));
    sp_buf_done(&whole);
    sp_buf_done(&other);
    return 0;
}
