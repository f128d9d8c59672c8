#include "base/scan.h"

#include "base/error.h"
#include "base/utf8.h"

/* Where we are in the text. `at` == NULL after a failure; `why` says what was expected. */
struct scanner {
    const char *begin;
    const char *at;
    const char *end;
    const char *why;
};

static bool fail(struct scanner *s, const char *why)
{
    s->why = why;
    return false;
}

static void skip_space(struct scanner *s)
{
    while (s->at < s->end && (*s->at == ' ' || *s->at == '\n' || *s->at == '\t' || *s->at == '\r'))
        s->at++;
}

static bool take(struct scanner *s, char c)
{
    if (s->at >= s->end || *s->at != c)
        return false;
    s->at++;
    return true;
}

static bool is_hex(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

static bool scan_escape(struct scanner *s)
{
    char c = s->at < s->end ? *s->at++ : '\0';

    if (c == 'u') {
        if (s->end - s->at < 4)
            return fail(s, "four hexadecimal digits");
        for (int i = 0; i < 4; i++)
            if (!is_hex(*s->at++))
                return fail(s, "four hexadecimal digits");
        return true;
    }
    return (c && strchr("\"\\/bfnrt", c)) || fail(s, "a valid escape");
}

/* After the opening quote, to behind the closing one. */
static bool scan_string(struct scanner *s)
{
    while (s->at < s->end) {
        unsigned char c = (unsigned char)*s->at;
        size_t seq;

        if (c == '"') {
            s->at++;
            return true;
        }
        if (c == '\\') {
            s->at++;
            if (!scan_escape(s))
                return false;
            continue;
        }
        if (c < 0x20)
            return fail(s, "no control character in a string");
        seq = c < 0x80 ? 1 : sp_utf8_sequence(s->at, (size_t)(s->end - s->at));
        if (seq == 0)
            return fail(s, "UTF-8");
        s->at += seq;
    }
    return fail(s, "the end of a string");
}

static bool scan_digits(struct scanner *s)
{
    const char *first = s->at;

    while (s->at < s->end && *s->at >= '0' && *s->at <= '9')
        s->at++;
    return s->at > first || fail(s, "a digit");
}

static bool scan_number(struct scanner *s)
{
    (void)take(s, '-');
    if (!take(s, '0') && !scan_digits(s))
        return false;
    if (take(s, '.') && !scan_digits(s))
        return false;
    if (take(s, 'e') || take(s, 'E')) {
        if (!take(s, '+'))
            (void)take(s, '-');
        return scan_digits(s);
    }
    return true;
}

static bool scan_word(struct scanner *s, const char *word)
{
    size_t n = strlen(word);

    if ((size_t)(s->end - s->at) < n || memcmp(s->at, word, n) != 0)
        return fail(s, "a value");
    s->at += n;
    return true;
}

/* A key and its colon; `*ret` is the raw text between the quotes. */
static bool scan_key(struct scanner *s, struct sp_slice *ret)
{
    const char *from = s->at + 1;

    if (!take(s, '"'))
        return fail(s, "a key in quotes");
    if (!scan_string(s))
        return false;
    *ret = sp_slice(from, (size_t)(s->at - 1 - from));
    skip_space(s);
    return take(s, ':') || fail(s, "':'");
}

/* A scalar, or the opening of an array or object, which it pushes on `open`. */
static bool scan_start(struct scanner *s, char *open, unsigned *depth)
{
    char c = s->at < s->end ? *s->at : '\0';

    switch (c) {
    case '{':
    case '[':
        if (*depth == SP_SCAN_DEPTH)
            return fail(s, "at most 64 levels");
        s->at++;
        open[(*depth)++] = c;
        return true;
    case '"': s->at++; return scan_string(s);
    case 't': return scan_word(s, "true");
    case 'f': return scan_word(s, "false");
    case 'n': return scan_word(s, "null");
    default: return scan_number(s);
    }
}

/* One value of any depth, without recursion: a stranger chooses the depth. */
static bool scan_value(struct scanner *s)
{
    char open[SP_SCAN_DEPTH];
    unsigned depth = 0;
    bool first = false; /* nothing has been seen yet in the innermost bracket */
    struct sp_slice key;

    do {
        unsigned before = depth;

        skip_space(s);
        if (depth && take(s, open[depth - 1] == '{' ? '}' : ']')) {
            depth--;
            first = false;
            continue;
        }
        if (depth && !first) {
            if (!take(s, ','))
                return fail(s, "',' or the end of the bracket");
            skip_space(s);
        }
        if (depth && open[depth - 1] == '{' && !scan_key(s, &key))
            return false;
        skip_space(s);
        if (!scan_start(s, open, &depth))
            return false;
        first = depth > before;
    } while (depth);
    return true;
}

static enum sp_scan_kind kind_of(char c)
{
    switch (c) {
    case '{': return SP_SCAN_OBJECT;
    case '[': return SP_SCAN_ARRAY;
    case '"': return SP_SCAN_STRING;
    case 't':
    case 'f': return SP_SCAN_BOOL;
    case 'n': return SP_SCAN_NULL;
    default: return SP_SCAN_NUMBER;
    }
}

static bool note_field(struct scanner *s, struct sp_slice key, struct sp_slice value,
                       struct sp_scan_field *fields, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (!sp_slice_eq_str(key, fields[i].key))
            continue;
        if (fields[i].kind != SP_SCAN_ABSENT)
            return fail(s, "each key once");
        fields[i].kind = kind_of(value.ptr[0]);
        fields[i].value = value;
    }
    return true;
}

static bool scan_members(struct scanner *s, struct sp_scan_field *fields, size_t n)
{
    skip_space(s);
    if (!take(s, '{'))
        return fail(s, "an object");
    skip_space(s);
    if (take(s, '}'))
        return true;
    do {
        struct sp_slice key;
        const char *from;

        skip_space(s);
        if (!scan_key(s, &key))
            return false;
        skip_space(s);
        from = s->at;
        if (!scan_value(s) ||
            !note_field(s, key, sp_slice(from, (size_t)(s->at - from)), fields, n))
            return false;
        skip_space(s);
    } while (take(s, ','));
    return take(s, '}') || fail(s, "',' or '}'");
}

static int finish(struct scanner *s, bool ok, struct sp_error *err)
{
    if (ok) {
        skip_space(s);
        if (s->at == s->end)
            return 0;
        s->why = "nothing after the value";
    }
    return sp_error_set(err, SP_ERR_INVALID, 0, "not valid JSON at byte %zu: expected %s",
                        (size_t)(s->at - s->begin), s->why);
}

int sp_scan_object(struct sp_slice json, struct sp_scan_field *fields, size_t n_fields,
                   struct sp_error *err)
{
    struct scanner s = {json.ptr, json.ptr, json.ptr + json.len, ""};

    for (size_t i = 0; i < n_fields; i++) {
        fields[i].kind = SP_SCAN_ABSENT;
        fields[i].value = (struct sp_slice){0};
    }
    return finish(&s, scan_members(&s, fields, n_fields), err);
}

int sp_scan_valid(struct sp_slice json, struct sp_error *err)
{
    struct scanner s = {json.ptr, json.ptr, json.ptr + json.len, ""};

    return finish(&s, scan_value(&s), err);
}

bool sp_scan_next(struct sp_slice array, size_t *cursor, struct sp_slice *ret)
{
    struct scanner s = {array.ptr, array.ptr + *cursor, array.ptr + array.len, ""};
    const char *from;

    if (*cursor == 0 && !take(&s, '['))
        return false;
    skip_space(&s);
    if (*cursor && !take(&s, ','))
        return false;
    skip_space(&s);
    from = s.at;
    if (s.at >= s.end || *s.at == ']' || !scan_value(&s))
        return false;
    *ret = sp_slice(from, (size_t)(s.at - from));
    *cursor = (size_t)(s.at - array.ptr);
    return true;
}

size_t sp_scan_count(struct sp_slice array)
{
    struct sp_slice item;
    size_t cursor = 0;
    size_t n = 0;

    while (sp_scan_next(array, &cursor, &item))
        n++;
    return n;
}

bool sp_scan_get_u64(const struct sp_scan_field *field, uint64_t max, uint64_t *ret)
{
    return field->kind == SP_SCAN_NUMBER && sp_parse_u64(field->value, max, ret);
}

bool sp_scan_get_bool(const struct sp_scan_field *field, bool *ret)
{
    if (field->kind != SP_SCAN_BOOL)
        return false;
    *ret = field->value.ptr[0] == 't';
    return true;
}

static unsigned hex4(const char *s)
{
    unsigned value = 0;

    for (int i = 0; i < 4; i++) {
        char c = s[i];

        value = value << 4 | (unsigned)(c <= '9' ? c - '0' : (c | 0x20) - 'a' + 10);
    }
    return value;
}

/* Writes `code` as UTF-8 and returns its length; 0 for U+0000 and lone surrogates. */
static size_t put_code(unsigned code, char out[4])
{
    if (code == 0 || (code >= 0xD800 && code <= 0xDFFF))
        return 0;
    if (code < 0x80) {
        out[0] = (char)code;
        return 1;
    }
    if (code < 0x800) {
        out[0] = (char)(0xC0 | code >> 6);
        out[1] = (char)(0x80 | (code & 0x3F));
        return 2;
    }
    if (code < 0x10000) {
        out[0] = (char)(0xE0 | code >> 12);
        out[1] = (char)(0x80 | (code >> 6 & 0x3F));
        out[2] = (char)(0x80 | (code & 0x3F));
        return 3;
    }
    out[0] = (char)(0xF0 | code >> 18);
    out[1] = (char)(0x80 | (code >> 12 & 0x3F));
    out[2] = (char)(0x80 | (code >> 6 & 0x3F));
    out[3] = (char)(0x80 | (code & 0x3F));
    return 4;
}

/* `at` is behind the backslash; returns behind the escape, or NULL when it cannot be decoded. */
static const char *decode_escape(const char *at, const char *end, char out[4], size_t *ret_len)
{
    static const char from[] = "\"\\/bfnrt";
    static const char to[] = "\"\\/\b\f\n\r\t";
    unsigned code;

    if (*at != 'u') {
        out[0] = to[strchr(from, *at) - from];
        *ret_len = 1;
        return at + 1;
    }
    code = hex4(at + 1);
    at += 5;
    if (code >= 0xD800 && code <= 0xDBFF && end - at >= 6 && at[0] == '\\' && at[1] == 'u') {
        unsigned low = hex4(at + 2);

        if (low >= 0xDC00 && low <= 0xDFFF) {
            code = 0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00);
            at += 6;
        }
    }
    *ret_len = put_code(code, out);
    return *ret_len ? at : NULL;
}

bool sp_scan_get_string(const struct sp_scan_field *field, char *ret, size_t size)
{
    const char *at;
    const char *end;
    size_t len = 0;

    if (field->kind != SP_SCAN_STRING)
        return false;
    at = field->value.ptr + 1;
    end = field->value.ptr + field->value.len - 1;
    while (at < end) {
        char out[4] = {*at};
        size_t n = 1;

        if (*at == '\\') {
            at = decode_escape(at + 1, end, out, &n);
            if (!at)
                return false;
        } else {
            at++;
        }
        if (len + n >= size)
            return false;
        memcpy(ret + len, out, n);
        len += n;
    }
    ret[len] = '\0';
    return true;
}
