#include "ui-protocol/multipart.h"

#include "base/utf8.h"

enum state {
    PREAMBLE,  /* before the first delimiter: ignored (RFC 2046 5.1.1) */
    DELIMITED, /* behind a delimiter: "--", or padding and CR LF */
    HEAD,
    BODY,
    DONE,
    BAD,
};

#define PADDING_MAX 64 /* white space behind a delimiter; nobody sends any */

/* --- parameters: `; name=value; name="value"` ----------------------------------------------------
 */

static bool is_token(char c)
{
    return (c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z') ||
           (c && strchr("!#$%&'*+-.^_`|~", c));
}

static struct sp_slice take_token(struct sp_slice *in)
{
    struct sp_slice token = sp_slice(in->ptr, 0);

    while (token.len < in->len && is_token(in->ptr[token.len]))
        token.len++;
    in->ptr += token.len;
    in->len -= token.len;
    return token;
}

static void skip(struct sp_slice *in, size_t n)
{
    in->ptr += n;
    in->len -= n;
}

/*
 * A quoted string into `ret`. Only \" and \\ are escapes: old browsers send a file name such as
 * C:\new.txt with bare backslashes (and current ones send %22, which stays as it is).
 */
static bool take_quoted(struct sp_slice *in, char *ret, size_t size)
{
    size_t len = 0;

    skip(in, 1);
    while (in->len && *in->ptr != '"') {
        if (in->len > 1 && *in->ptr == '\\' && (in->ptr[1] == '"' || in->ptr[1] == '\\'))
            skip(in, 1);
        if (len + 1 >= size)
            return false;
        ret[len++] = *in->ptr;
        skip(in, 1);
    }
    if (!in->len)
        return false;
    skip(in, 1);
    ret[len] = '\0';
    return true;
}

/* The next parameter; false at the end and when it is malformed (then `*in` is not empty). */
static bool next_param(struct sp_slice *in, struct sp_slice *ret_name, char *ret, size_t size)
{
    struct sp_slice rest = sp_slice_trim(*in);
    struct sp_slice token;

    if (rest.len == 0 || *rest.ptr != ';') {
        *in = rest;
        return false;
    }
    rest = sp_slice_trim(sp_slice(rest.ptr + 1, rest.len - 1));
    *ret_name = take_token(&rest);
    if (ret_name->len == 0 || rest.len < 2 || *rest.ptr != '=')
        return false;
    skip(&rest, 1);
    if (*rest.ptr == '"') {
        if (!take_quoted(&rest, ret, size))
            return false;
    } else {
        token = take_token(&rest);
        if (token.len == 0 || token.len >= size)
            return false;
        memcpy(ret, token.ptr, token.len);
        ret[token.len] = '\0';
    }
    *in = rest;
    return true;
}

/* --- the boundary ----------------------------------------------------------------------------- */

/* RFC 2046 5.1.1: bchars, not ending in a space. */
static bool boundary_is_valid(const char *s)
{
    size_t len = strlen(s);

    if (len < 1 || len > SP_MULTIPART_BOUNDARY_MAX || s[len - 1] == ' ')
        return false;
    for (size_t i = 0; i < len; i++)
        if (!((s[i] >= '0' && s[i] <= '9') || ((s[i] | 0x20) >= 'a' && (s[i] | 0x20) <= 'z') ||
              strchr("'()+_,-./:=? ", s[i])))
            return false;
    return true;
}

bool sp_multipart_init(struct sp_multipart *mp, struct sp_slice content_type)
{
    static const char type[] = "multipart/form-data";
    char value[SP_MULTIPART_BOUNDARY_MAX + 2] = "";
    struct sp_slice rest;
    struct sp_slice name;
    unsigned found = 0;

    *mp = (struct sp_multipart){.state = PREAMBLE};
    if (content_type.len < sizeof(type) - 1 ||
        !sp_slice_eq_nocase(sp_slice(content_type.ptr, sizeof(type) - 1), type))
        return false;
    rest = sp_slice(content_type.ptr + sizeof(type) - 1, content_type.len - (sizeof(type) - 1));
    while (next_param(&rest, &name, value, sizeof(value))) {
        if (!sp_slice_eq_nocase(name, "boundary"))
            continue;
        if (!boundary_is_valid(value))
            return false;
        memcpy(mp->boundary, "\r\n--", 4);
        memcpy(mp->boundary + 4, value, strlen(value) + 1);
        found++;
    }
    mp->boundary_len = strlen(mp->boundary);
    mp->matched = 2; /* the first delimiter needs no line break before it */
    return found == 1 && rest.len == 0;
}

/* --- the head of a part ----------------------------------------------------------------------- */

static enum sp_multipart_event bad(struct sp_multipart *mp, const char *why)
{
    mp->state = BAD;
    mp->why = why;
    return SP_MULTIPART_BAD;
}

static const char *read_disposition(struct sp_multipart *mp, struct sp_slice value, bool *has_name)
{
    char text[SP_MULTIPART_NAME_MAX + 1];
    struct sp_slice name;
    struct sp_slice type = take_token(&value);

    if (*has_name)
        return "a part has two Content-Disposition headers or names";
    if (!sp_slice_eq_nocase(type, "form-data"))
        return "the Content-Disposition of a part is not form-data";
    while (next_param(&value, &name, text, sizeof(text))) {
        bool is_name = sp_slice_eq_nocase(name, "name");

        if (!is_name && !sp_slice_eq_nocase(name, "filename"))
            continue;
        if (is_name ? *has_name : mp->has_filename)
            return "a part has two Content-Disposition headers or names";
        if (!sp_utf8_valid(text, strlen(text)))
            return "the name of a field or file is not UTF-8";
        memcpy(is_name ? mp->name : mp->filename, text, strlen(text) + 1);
        *(is_name ? has_name : &mp->has_filename) = true;
    }
    return value.len ? "the Content-Disposition of a part is malformed or too long" : NULL;
}

static const char *read_header(struct sp_multipart *mp, struct sp_slice line, bool *has_name)
{
    struct sp_slice name = take_token(&line);

    for (size_t i = 0; i < line.len; i++)
        if (((unsigned char)line.ptr[i] < 0x20 && line.ptr[i] != '\t') || line.ptr[i] == 0x7F)
            return "a header of a part holds a control byte";
    if (name.len == 0 || line.len == 0 || *line.ptr != ':')
        return "a header of a part has no name and colon";
    line = sp_slice_trim(sp_slice(line.ptr + 1, line.len - 1));
    if (sp_slice_eq_nocase(name, "content-disposition"))
        return read_disposition(mp, line, has_name);
    if (sp_slice_eq_nocase(name, "content-type")) {
        if (line.len >= sizeof(mp->content_type))
            return "the Content-Type of a part is too long";
        memcpy(mp->content_type, line.ptr, line.len);
        mp->content_type[line.len] = '\0';
    }
    return NULL;
}

/* `head` holds whole lines, each with its CR LF, and no empty one. */
static enum sp_multipart_event read_head(struct sp_multipart *mp)
{
    struct sp_slice rest = sp_slice(mp->head, mp->head_len);
    bool has_name = false;

    mp->name[0] = mp->filename[0] = mp->content_type[0] = '\0';
    mp->has_filename = false;
    while (rest.len) {
        const char *lf = memchr(rest.ptr, '\n', rest.len);
        size_t line = (size_t)(lf - rest.ptr) + 1;
        const char *why;

        if (line < 2 || lf[-1] != '\r')
            return bad(mp, "a header line of a part does not end in CR LF");
        why = read_header(mp, sp_slice(rest.ptr, line - 2), &has_name);
        if (why)
            return bad(mp, why);
        skip(&rest, line);
    }
    if (!has_name)
        return bad(mp, "a part has no name");
    mp->state = BODY;
    mp->matched = 0;
    return SP_MULTIPART_PART;
}

static bool head_is_complete(const struct sp_multipart *mp)
{
    const char *end = mp->head + mp->head_len;

    if (mp->head_len == 2)
        return memcmp(mp->head, "\r\n", 2) == 0;
    return mp->head_len >= 4 && memcmp(end - 4, "\r\n\r\n", 4) == 0;
}

static enum sp_multipart_event collect_head(struct sp_multipart *mp, struct sp_slice *in)
{
    while (in->len) {
        if (mp->head_len == sizeof(mp->head))
            return bad(mp, "the headers of a part are longer than 4 KiB");
        mp->head[mp->head_len++] = *in->ptr;
        skip(in, 1);
        if (head_is_complete(mp)) {
            mp->head_len -= 2; /* the empty line */
            return read_head(mp);
        }
    }
    return SP_MULTIPART_MORE;
}

/* --- delimiters and data ---------------------------------------------------------------------- */

/*
 * How many bytes at the front cannot belong to a delimiter. A boundary holds no CR, so that only a
 * CR can begin one.
 */
static size_t plain_bytes(const struct sp_multipart *mp, struct sp_slice in)
{
    size_t at = 0;

    while (at < in.len) {
        const char *cr = memchr(in.ptr + at, '\r', in.len - at);
        size_t left;
        size_t n;

        if (!cr)
            return in.len;
        at = (size_t)(cr - in.ptr);
        left = in.len - at;
        n = left < mp->boundary_len ? left : mp->boundary_len;
        if (memcmp(cr, mp->boundary, n) == 0)
            return at;
        at++;
    }
    return at;
}

/* Goes on with a delimiter that may have begun in an earlier piece. */
static enum sp_multipart_event match_delimiter(struct sp_multipart *mp, struct sp_slice *in)
{
    bool in_part = mp->state == BODY;

    while (in->len && mp->matched < mp->boundary_len && *in->ptr == mp->boundary[mp->matched]) {
        mp->matched++;
        skip(in, 1);
    }
    if (mp->matched == mp->boundary_len) {
        mp->state = DELIMITED;
        mp->matched = 0;
        mp->head_len = 0;
        return in_part ? SP_MULTIPART_END : SP_MULTIPART_MORE;
    }
    if (in->len) {
        /* It was data after all, and the same bytes stand in `boundary`. */
        mp->data = sp_slice(mp->boundary, mp->matched);
        mp->matched = 0;
        return in_part ? SP_MULTIPART_DATA : SP_MULTIPART_MORE;
    }
    return SP_MULTIPART_MORE;
}

static enum sp_multipart_event read_data(struct sp_multipart *mp, struct sp_slice *in)
{
    size_t n;

    if (mp->matched)
        return match_delimiter(mp, in);
    n = plain_bytes(mp, *in);
    if (n == 0)
        return match_delimiter(mp, in);
    mp->data = sp_slice(in->ptr, n);
    skip(in, n);
    return mp->state == BODY ? SP_MULTIPART_DATA : SP_MULTIPART_MORE;
}

/* `head` collects what follows a delimiter: "--", or white space and CR LF. */
static enum sp_multipart_event read_delimited(struct sp_multipart *mp, struct sp_slice *in)
{
    char c = *in->ptr;
    char before = mp->head_len ? mp->head[mp->head_len - 1] : '\0';

    skip(in, 1);
    if (c == '-' && mp->head_len == 1 && before == '-') {
        mp->state = DONE;
        return SP_MULTIPART_DONE;
    }
    if (c == '\n' && before == '\r') {
        mp->state = HEAD;
        mp->head_len = 0;
        return SP_MULTIPART_MORE;
    }
    if (mp->head_len == PADDING_MAX || before == '-' || before == '\r' ||
        !(c == ' ' || c == '\t' || c == '\r' || (c == '-' && mp->head_len == 0)))
        return bad(mp, "a boundary is followed by something else than CR LF or --");
    mp->head[mp->head_len++] = c;
    return SP_MULTIPART_MORE;
}

enum sp_multipart_event sp_multipart_feed(struct sp_multipart *mp, struct sp_slice *in)
{
    enum sp_multipart_event event = SP_MULTIPART_MORE;

    while (event == SP_MULTIPART_MORE && in->len) {
        switch ((enum state)mp->state) {
        case PREAMBLE:
        case BODY: event = read_data(mp, in); break;
        case DELIMITED: event = read_delimited(mp, in); break;
        case HEAD: event = collect_head(mp, in); break;
        case DONE: return SP_MULTIPART_DONE;
        case BAD: return SP_MULTIPART_BAD;
        }
    }
    return event;
}
