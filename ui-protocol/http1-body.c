/* The body part of http1.h: takes the framing off, byte-exact. */
#include "ui-protocol/http1.h"

#define SIZE_DIGITS_MAX 15         /* 2^60: far from overflow, and more than anybody sends */
#define EXTRA_MAX       (8 * 1024) /* extensions and trailers of one body, which nobody reads */

enum state {
    SIZE,      /* digits of a chunk size */
    EXTENSION, /* after ';', ignored */
    SIZE_LF,   /* CR was read */
    DATA,
    DATA_CR,
    DATA_LF,
    TRAILER_BEGIN, /* of a line, or CR of the empty line */
    TRAILER_NAME,
    TRAILER_VALUE,
    TRAILER_LF,
    LAST_LF, /* LF of the empty line */
    DONE,
};

static void init(struct sp_http_body_decoder *dec, enum sp_http_body kind, uint64_t length)
{
    *dec = (struct sp_http_body_decoder){.kind = kind};
    switch (kind) {
    case SP_HTTP_BODY_NONE: dec->state = DONE; break;
    case SP_HTTP_BODY_CHUNKED: dec->state = SIZE; break;
    case SP_HTTP_BODY_LENGTH:
        dec->left = length;
        dec->state = length ? DATA : DONE;
        break;
    case SP_HTTP_BODY_CLOSE:
        dec->left = UINT64_MAX;
        dec->state = DATA;
        break;
    }
}

void sp_http_body_init(struct sp_http_body_decoder *dec, const struct sp_http_request *req)
{
    init(dec, req->body, req->content_length);
}

void sp_http_body_init_answer(struct sp_http_body_decoder *dec, const struct sp_http_answer *answer)
{
    init(dec, answer->body, answer->content_length);
}

static int hex_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if ((c | 0x20) >= 'a' && (c | 0x20) <= 'f')
        return (c | 0x20) - 'a' + 10;
    return -1;
}

/* Each takes one byte and returns NULL, or what is wrong. */

static const char *on_size(struct sp_http_body_decoder *dec, char c)
{
    int digit = hex_value(c);

    if (digit >= 0) {
        if (++dec->line_len > SIZE_DIGITS_MAX)
            return "a chunk size has more than 15 digits";
        dec->left = dec->left << 4 | (unsigned)digit;
        return NULL;
    }
    if (dec->line_len == 0 || (c != ';' && c != '\r'))
        return "a chunk does not begin with its size in hexadecimal digits";
    dec->state = c == ';' ? EXTENSION : SIZE_LF;
    return NULL;
}

/* Text of an extension or a trailer: nothing of it is kept, but it cannot go on for ever. */
static const char *on_extra(struct sp_http_body_decoder *dec, char c, enum state after_cr)
{
    if (++dec->extra > EXTRA_MAX)
        return "chunk extensions and trailers are longer than 8 KiB";
    if (c == '\r')
        dec->state = after_cr;
    else if (((unsigned char)c < 0x20 && c != '\t') || c == 0x7F)
        return "a chunk extension or trailer holds a control byte";
    return NULL;
}

static bool is_token(char c)
{
    return (c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z') ||
           (c && strchr("!#$%&'*+-.^_`|~", c));
}

static const char *on_trailer_name(struct sp_http_body_decoder *dec, char c)
{
    if (c == ':' && dec->state == TRAILER_NAME)
        dec->state = TRAILER_VALUE;
    else if (is_token(c))
        dec->state = TRAILER_NAME;
    else
        return "a trailer line does not begin with a name and a colon";
    return on_extra(dec, c, TRAILER_LF);
}

static const char *expect(struct sp_http_body_decoder *dec, char c, char wanted, enum state next)
{
    dec->state = next;
    return c == wanted ? NULL : "CR LF is missing in the chunked framing";
}

static const char *on_byte(struct sp_http_body_decoder *dec, char c)
{
    const char *why;

    switch ((enum state)dec->state) {
    case SIZE: return on_size(dec, c);
    case EXTENSION: return on_extra(dec, c, SIZE_LF);
    case SIZE_LF: return expect(dec, c, '\n', dec->left ? DATA : TRAILER_BEGIN);
    case DATA_CR: return expect(dec, c, '\r', DATA_LF);
    case DATA_LF:
        why = expect(dec, c, '\n', SIZE);
        dec->line_len = 0;
        return why;
    case TRAILER_BEGIN: return c == '\r' ? expect(dec, c, '\r', LAST_LF) : on_trailer_name(dec, c);
    case TRAILER_NAME: return on_trailer_name(dec, c);
    case TRAILER_VALUE: return on_extra(dec, c, TRAILER_LF);
    case TRAILER_LF: return expect(dec, c, '\n', TRAILER_BEGIN);
    case LAST_LF: return expect(dec, c, '\n', DONE);
    case DATA:
    case DONE: break;
    }
    return NULL; /* not reached: the caller handles DATA and DONE */
}

int sp_http_body_feed(struct sp_http_body_decoder *dec, const char *data, size_t len,
                      size_t *ret_used, struct sp_slice *ret_piece, struct sp_http_fail *fail)
{
    size_t used = 0;

    *ret_piece = sp_slice(data, 0);
    while (used < len && dec->state != DATA && dec->state != DONE) {
        const char *why = on_byte(dec, data[used]);

        if (why) {
            *ret_used = used;
            *fail = (struct sp_http_fail){400, why};
            return -1;
        }
        used++;
    }
    if (dec->state == DATA) {
        size_t n = len - used < dec->left ? len - used : (size_t)dec->left;

        *ret_piece = sp_slice(data + used, n);
        used += n;
        dec->left -= n;
        if (dec->left == 0)
            dec->state = dec->kind == SP_HTTP_BODY_CHUNKED ? DATA_CR : DONE;
    }
    *ret_used = used;
    return dec->state == DONE;
}
