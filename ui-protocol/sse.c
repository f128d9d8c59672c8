#include "ui-protocol/sse.h"

#include "base/buf.h"

/* A line break inside would end the field: the rest would be read as another one. */
static void put_line(struct sp_buf *out, struct sp_slice s)
{
    size_t from = 0;

    for (size_t i = 0; i < s.len; i++) {
        if (s.ptr[i] != '\n' && s.ptr[i] != '\r')
            continue;
        (void)sp_buf_append(out, s.ptr + from, i - from);
        (void)sp_buf_append_char(out, ' ');
        from = i + 1;
    }
    (void)sp_buf_append(out, s.ptr + from, s.len - from);
}

void sp_sse_put_data(struct sp_buf *out, struct sp_slice data)
{
    (void)sp_buf_append_str(out, "data: ");
    put_line(out, data);
    (void)sp_buf_append_str(out, "\n\n");
}

void sp_sse_put_event(struct sp_buf *out, const char *event, struct sp_slice data)
{
    (void)sp_buf_append_str(out, "event: ");
    put_line(out, sp_slice_str(event));
    (void)sp_buf_append_char(out, '\n');
    sp_sse_put_data(out, data);
}
