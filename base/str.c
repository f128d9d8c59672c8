#include "base/str.h"

#include <strings.h>

#include "base/mem.h"

bool sp_slice_eq(struct sp_slice a, struct sp_slice b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.ptr, b.ptr, a.len) == 0);
}

bool sp_slice_eq_str(struct sp_slice a, const char *b)
{
    return sp_slice_eq(a, sp_slice_str(b));
}

bool sp_slice_eq_nocase(struct sp_slice a, const char *b)
{
    return a.len == strlen(b) && (a.len == 0 || strncasecmp(a.ptr, b, a.len) == 0);
}

bool sp_slice_starts(struct sp_slice s, const char *prefix)
{
    size_t n = strlen(prefix);

    return s.len >= n && memcmp(s.ptr, prefix, n) == 0;
}

bool sp_slice_ends(struct sp_slice s, const char *suffix)
{
    size_t n = strlen(suffix);

    return s.len >= n && memcmp(s.ptr + s.len - n, suffix, n) == 0;
}

struct sp_slice sp_slice_trim(struct sp_slice s)
{
    while (s.len && (s.ptr[0] == ' ' || s.ptr[0] == '\t')) {
        s.ptr++;
        s.len--;
    }
    while (s.len && (s.ptr[s.len - 1] == ' ' || s.ptr[s.len - 1] == '\t'))
        s.len--;
    return s;
}

char *sp_slice_dup(struct sp_slice s)
{
    char *copy = sp_alloc0(s.len + 1, 1);

    /* Not strndup: a slice may hold zero bytes (an address as the key of a map). */
    if (s.len)
        memcpy(copy, s.ptr, s.len);
    return copy;
}

bool sp_slice_split(struct sp_slice *rest, char sep, struct sp_slice *ret)
{
    const char *at;

    if (!rest->ptr)
        return false;

    at = memchr(rest->ptr, sep, rest->len);
    if (!at) {
        *ret = *rest;
        *rest = (struct sp_slice){0};
        return true;
    }
    *ret = sp_slice(rest->ptr, (size_t)(at - rest->ptr));
    rest->len -= ret->len + 1;
    rest->ptr = at + 1;
    return true;
}

bool sp_parse_u64(struct sp_slice s, uint64_t max, uint64_t *ret)
{
    uint64_t value = 0;

    if (s.len == 0)
        return false;
    for (size_t i = 0; i < s.len; i++) {
        unsigned digit = (unsigned)(s.ptr[i] - '0');

        if (digit > 9 || value > (UINT64_MAX - digit) / 10)
            return false;
        value = value * 10 + digit;
    }
    if (value > max)
        return false;
    *ret = value;
    return true;
}

/* A number followed by one of the table's suffixes; the first row's suffix is "". */
struct unit {
    const char *suffix;
    uint64_t factor;
};

static bool parse_with_unit(struct sp_slice s, const struct unit *units, size_t n, uint64_t *ret)
{
    size_t digits = 0;
    uint64_t value;

    while (digits < s.len && s.ptr[digits] >= '0' && s.ptr[digits] <= '9')
        digits++;
    if (!sp_parse_u64(sp_slice(s.ptr, digits), UINT64_MAX, &value))
        return false;

    for (size_t i = 0; i < n; i++) {
        if (!sp_slice_eq_nocase(sp_slice(s.ptr + digits, s.len - digits), units[i].suffix))
            continue;
        if (value > UINT64_MAX / units[i].factor)
            return false;
        *ret = value * units[i].factor;
        return true;
    }
    return false;
}

bool sp_parse_size(struct sp_slice s, uint64_t *ret_bytes)
{
    static const struct unit units[] = {
        {"", 1},
        {"b", 1},
        {"k", 1ull << 10},
        {"kb", 1ull << 10},
        {"kib", 1ull << 10},
        {"m", 1ull << 20},
        {"mb", 1ull << 20},
        {"mib", 1ull << 20},
        {"g", 1ull << 30},
        {"gb", 1ull << 30},
        {"gib", 1ull << 30},
        {"t", 1ull << 40},
        {"tb", 1ull << 40},
        {"tib", 1ull << 40},
    };

    return parse_with_unit(s, units, SP_LEN(units), ret_bytes);
}

bool sp_parse_duration(struct sp_slice s, uint64_t *ret_ms)
{
    static const struct unit units[] = {
        {"", 1000},       {"ms", 1},          {"s", 1000},
        {"m", 60 * 1000}, {"h", 3600 * 1000}, {"d", 86400 * 1000},
    };

    return parse_with_unit(s, units, SP_LEN(units), ret_ms);
}

static bool is_name_char(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
           c == '_' || c == '-';
}

bool sp_name_valid(struct sp_slice s)
{
    if (s.len < 1 || s.len > 96 || sp_slice_ends(s, ".git"))
        return false;
    if (strchr("-.", s.ptr[0]) || strchr("-.", s.ptr[s.len - 1]))
        return false;
    for (size_t i = 0; i < s.len; i++) {
        if (!is_name_char(s.ptr[i]))
            return false;
        if (i && (s.ptr[i] == '-' || s.ptr[i] == '.') && s.ptr[i] == s.ptr[i - 1])
            return false;
    }
    return true;
}

bool sp_slice_eq_secret(struct sp_slice a, struct sp_slice b)
{
    unsigned char diff = 0;

    if (a.len != b.len)
        return false;
    for (size_t i = 0; i < a.len; i++)
        diff |= (unsigned char)(a.ptr[i] ^ b.ptr[i]);
    return diff == 0;
}
