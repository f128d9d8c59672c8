#include "base/buf.h"

#include <stdarg.h>
#include <stdio.h>

#include "base/mem.h"
#include "base/utf8.h"

void sp_buf_init(struct sp_buf *buf, size_t max)
{
    *buf = (struct sp_buf){.max = max};
}

void sp_buf_done(struct sp_buf *buf)
{
    if (!buf)
        return;
    free(buf->data);
    sp_buf_init(buf, buf->max);
}

void sp_buf_reset(struct sp_buf *buf)
{
    buf->len = 0;
    buf->failed = false;
}

char *sp_buf_reserve(struct sp_buf *buf, size_t len)
{
    size_t need = buf->len + len;

    if (buf->failed || need < len || (buf->max && need > buf->max)) {
        buf->failed = true;
        return NULL;
    }
    /* One byte more than asked, so that sp_buf_str can always terminate. */
    if (need + 1 > buf->cap) {
        size_t cap = buf->cap ? buf->cap * 2 : 64;

        if (cap < need + 1)
            cap = need + 1;
        buf->data = sp_realloc(buf->data, cap, 1);
        buf->cap = cap;
    }
    return buf->data + buf->len;
}

bool sp_buf_append(struct sp_buf *buf, const void *data, size_t len)
{
    char *to = sp_buf_reserve(buf, len);

    if (!to)
        return false;
    if (len)
        memcpy(to, data, len);
    buf->len += len;
    return true;
}

bool sp_buf_append_str(struct sp_buf *buf, const char *s)
{
    return sp_buf_append(buf, s, strlen(s));
}

bool sp_buf_append_slice(struct sp_buf *buf, struct sp_slice s)
{
    return sp_buf_append(buf, s.ptr, s.len);
}

bool sp_buf_append_char(struct sp_buf *buf, char c)
{
    return sp_buf_append(buf, &c, 1);
}

bool sp_buf_append_u64(struct sp_buf *buf, uint64_t value)
{
    char digits[20];
    size_t n = sizeof(digits);

    do {
        digits[--n] = (char)('0' + value % 10);
        value /= 10;
    } while (value);
    return sp_buf_append(buf, digits + n, sizeof(digits) - n);
}

bool sp_buf_printf(struct sp_buf *buf, const char *fmt, ...)
{
    va_list ap;
    va_list again;
    char *to;
    int n;

    va_start(ap, fmt);
    va_copy(again, ap);
    n = vsnprintf(NULL, 0, fmt, ap);
    va_end(ap);

    to = n < 0 ? NULL : sp_buf_reserve(buf, (size_t)n);
    if (to) {
        (void)vsnprintf(to, (size_t)n + 1, fmt, again);
        buf->len += (size_t)n;
    }
    va_end(again);
    return to != NULL;
}

bool sp_buf_append_json_string(struct sp_buf *buf, struct sp_slice s)
{
    size_t plain = 0; /* start of the run that needs no escape */
    size_t i = 0;

    (void)sp_buf_append_char(buf, '"');
    while (i < s.len) {
        unsigned char c = (unsigned char)s.ptr[i];
        size_t seq = c < 0x80 ? 1 : sp_utf8_sequence(s.ptr + i, s.len - i);

        if (seq > 0 && c >= 0x20 && c != '"' && c != '\\') {
            i += seq;
            continue;
        }
        (void)sp_buf_append(buf, s.ptr + plain, i - plain);
        if (seq == 0)
            (void)sp_buf_append_str(buf, "\xEF\xBF\xBD");
        else if (c == '"' || c == '\\')
            (void)sp_buf_printf(buf, "\\%c", c);
        else if (c == '\n')
            (void)sp_buf_append_str(buf, "\\n");
        else
            (void)sp_buf_printf(buf, "\\u%04x", c);
        plain = ++i;
    }
    (void)sp_buf_append(buf, s.ptr + plain, i - plain);
    return sp_buf_append_char(buf, '"');
}

void sp_buf_consume(struct sp_buf *buf, size_t len)
{
    if (len < buf->len)
        memmove(buf->data, buf->data + len, buf->len - len);
    buf->len = len < buf->len ? buf->len - len : 0;
}

const char *sp_buf_str(struct sp_buf *buf)
{
    if (!buf->data)
        return "";
    buf->data[buf->len] = '\0';
    return buf->data;
}

char *sp_buf_steal(struct sp_buf *buf, size_t *ret_len)
{
    char *data = buf->data ? buf->data : sp_strdup("");

    data[buf->len] = '\0';
    if (ret_len)
        *ret_len = buf->len;
    sp_buf_init(buf, buf->max);
    return data;
}
