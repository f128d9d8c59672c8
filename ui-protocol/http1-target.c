/* The target part of http1.h: percent-encoding and query strings. */
#include "ui-protocol/http1.h"

#include "base/buf.h"
#include "base/utf8.h"

static int hex_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if ((c | 0x20) >= 'a' && (c | 0x20) <= 'f')
        return (c | 0x20) - 'a' + 10;
    return -1;
}

static bool is_control(char c)
{
    return (unsigned char)c < 0x20 || c == 0x7F;
}

/* "." and ".." as whole segments of a decoded path: they would step out of where it begins. */
static bool has_dot_segment(struct sp_slice path)
{
    struct sp_slice segment;

    while (sp_slice_split(&path, '/', &segment))
        if (sp_slice_eq_str(segment, ".") || sp_slice_eq_str(segment, ".."))
            return true;
    return false;
}

/* `plus` turns '+' into a space, as forms encode it. */
static long decode(struct sp_slice in, bool path, bool plus, char *ret, size_t size)
{
    size_t len = 0;

    for (size_t i = 0; i < in.len; i++) {
        char c = in.ptr[i];
        bool encoded = c == '%';

        if (encoded) {
            int high = i + 2 < in.len ? hex_value(in.ptr[i + 1]) : -1;
            int low = i + 2 < in.len ? hex_value(in.ptr[i + 2]) : -1;

            if (high < 0 || low < 0)
                return -1;
            c = (char)(high << 4 | low);
            i += 2;
        } else if (plus && c == '+') {
            c = ' ';
        }
        if (is_control(c) || (path && (c == '\\' || (encoded && c == '/'))) || len + 1 >= size)
            return -1;
        ret[len++] = c;
    }
    if (size == 0 || !sp_utf8_valid(ret, len))
        return -1;
    ret[len] = '\0';
    return path && has_dot_segment(sp_slice(ret, len)) ? -1 : (long)len;
}

long sp_http_percent_decode(struct sp_slice in, bool path, char *ret, size_t size)
{
    return decode(in, path, false, ret, size);
}

long sp_http_form_decode(struct sp_slice in, char *ret, size_t size)
{
    return decode(in, false, true, ret, size);
}

struct sp_slice sp_http_query(struct sp_slice query, const char *name)
{
    size_t n = strlen(name);
    struct sp_slice item;

    while (sp_slice_split(&query, '&', &item)) {
        if (item.len < n || memcmp(item.ptr, name, n) != 0)
            continue;
        if (item.len == n)
            return sp_slice(item.ptr + n, 0);
        if (item.ptr[n] == '=')
            return sp_slice(item.ptr + n + 1, item.len - n - 1);
    }
    return (struct sp_slice){0};
}

bool sp_http_query_get(struct sp_slice query, const char *name, char *ret, size_t size)
{
    struct sp_slice raw = sp_http_query(query, name);

    return raw.ptr && sp_http_form_decode(raw, ret, size) >= 0;
}

static bool is_unreserved(char c)
{
    return (c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z') || c == '-' ||
           c == '.' || c == '_' || c == '~';
}

bool sp_http_percent_encode(struct sp_slice in, bool keep_slash, struct sp_buf *out)
{
    static const char digits[] = "0123456789ABCDEF";

    for (size_t i = 0; i < in.len; i++) {
        unsigned char c = (unsigned char)in.ptr[i];
        char escape[3] = {'%', digits[c >> 4], digits[c & 15]};

        if (is_unreserved((char)c) || (keep_slash && c == '/'))
            (void)sp_buf_append_char(out, (char)c);
        else
            (void)sp_buf_append(out, escape, sizeof(escape));
    }
    return !out->failed;
}
