/* The lines of a head, which requests and answers have in common. */
#include "ui-protocol/http1-internal.h"

#define LENGTH_DIGITS_MAX 18

/*
 * RFC 9110 5.6.2 (token), RFC 3986 3 (what a target and a host may hold). A target also takes
 * \ ^ ` { | } which browsers send in queries; never " # < > or bytes outside of ASCII.
 */
const unsigned char sp_http_classes[256] = {
    ['!'] = 7, ['"'] = 0,  ['#'] = 1, ['$'] = 7, ['%'] = 7, ['&'] = 7, ['\''] = 7, ['('] = 6,
    [')'] = 6, ['*'] = 7,  ['+'] = 7, [','] = 6, ['-'] = 7, ['.'] = 7, ['/'] = 2,  ['0'] = 7,
    ['1'] = 7, ['2'] = 7,  ['3'] = 7, ['4'] = 7, ['5'] = 7, ['6'] = 7, ['7'] = 7,  ['8'] = 7,
    ['9'] = 7, [':'] = 2,  [';'] = 6, ['='] = 6, ['?'] = 2, ['@'] = 2, ['A'] = 7,  ['B'] = 7,
    ['C'] = 7, ['D'] = 7,  ['E'] = 7, ['F'] = 7, ['G'] = 7, ['H'] = 7, ['I'] = 7,  ['J'] = 7,
    ['K'] = 7, ['L'] = 7,  ['M'] = 7, ['N'] = 7, ['O'] = 7, ['P'] = 7, ['Q'] = 7,  ['R'] = 7,
    ['S'] = 7, ['T'] = 7,  ['U'] = 7, ['V'] = 7, ['W'] = 7, ['X'] = 7, ['Y'] = 7,  ['Z'] = 7,
    ['['] = 2, ['\\'] = 2, [']'] = 2, ['^'] = 3, ['_'] = 7, ['`'] = 3, ['a'] = 7,  ['b'] = 7,
    ['c'] = 7, ['d'] = 7,  ['e'] = 7, ['f'] = 7, ['g'] = 7, ['h'] = 7, ['i'] = 7,  ['j'] = 7,
    ['k'] = 7, ['l'] = 7,  ['m'] = 7, ['n'] = 7, ['o'] = 7, ['p'] = 7, ['q'] = 7,  ['r'] = 7,
    ['s'] = 7, ['t'] = 7,  ['u'] = 7, ['v'] = 7, ['w'] = 7, ['x'] = 7, ['y'] = 7,  ['z'] = 7,
    ['{'] = 2, ['|'] = 3,  ['}'] = 2, ['~'] = 7,
};

enum sp_http_step sp_http_step_refuse(struct sp_http_cursor *in, int status, const char *reason)
{
    *in->fail = (struct sp_http_fail){status, reason};
    return SP_HTTP_STEP_BAD;
}

bool sp_http_parse_length(struct sp_slice value, uint64_t *ret)
{
    return value.len <= LENGTH_DIGITS_MAX && sp_parse_u64(value, UINT64_MAX, ret);
}

#define EACH(byte) (0x0101010101010101ull * (byte))

/*
 * The first byte that is below 0x20 or is 0x7F; `end` when there is none. Eight at a time, then one
 * by one. A word may be marked in vain (a borrow, a byte from 0x80), which costs time, never a hit:
 * the byte loop decides.
 */
const char *sp_http_find_control(const char *at, const char *end)
{
    for (; end - at >= 8; at += 8) {
        uint64_t word;
        uint64_t del;
        uint64_t hit;

        memcpy(&word, at, 8);
        del = word ^ EACH(0x7F);
        hit = ((word - EACH(0x20)) & ~word) | ((del - EACH(1)) & ~del);
        if (hit & EACH(0x80))
            break;
    }
    while (at < end && (unsigned char)*at >= 0x20 && *at != 0x7F)
        at++;
    return at;
}

static enum sp_http_step parse_name(struct sp_http_cursor *in, struct sp_slice *ret)
{
    const char *from = in->at;

    while (in->at < in->end && sp_http_is(*in->at, SP_HTTP_BYTE_TOKEN))
        in->at++;
    if (in->at == in->end)
        return SP_HTTP_STEP_MORE;
    if (*in->at != ':' || in->at == from)
        return sp_http_step_refuse(in, 400,
                                   in->at == from && (*from == ' ' || *from == '\t')
                                       ? "a header line begins with white space"
                                       : "a header line does not begin with a name and a colon");
    *ret = sp_slice(from, (size_t)(in->at++ - from));
    return SP_HTTP_STEP_OK;
}

static enum sp_http_step parse_value(struct sp_http_cursor *in, struct sp_slice *ret)
{
    const char *from = in->at;

    for (;; in->at++) {
        in->at = sp_http_find_control(in->at, in->end);
        if (in->at == in->end)
            return SP_HTTP_STEP_MORE;
        if (*in->at != '\t')
            break;
    }
    if (*in->at != '\r')
        return sp_http_step_refuse(in, 400, "a header value holds a control byte");
    if (in->end - in->at < 2)
        return SP_HTTP_STEP_MORE;
    if (in->at[1] != '\n')
        return sp_http_step_refuse(in, 400, "a header line holds CR without LF");
    *ret = sp_slice_trim(sp_slice(from, (size_t)(in->at - from)));
    in->at += 2;
    return SP_HTTP_STEP_OK;
}

/* CR LF and nothing before it. */
static enum sp_http_step end_line(struct sp_http_cursor *in)
{
    if (in->end - in->at < 2)
        return SP_HTTP_STEP_MORE;
    if (in->at[1] != '\n')
        return sp_http_step_refuse(in, 400, "a header line holds CR without LF");
    in->at += 2;
    return SP_HTTP_STEP_END;
}

enum sp_http_step sp_http_header_line(struct sp_http_cursor *in, struct sp_http_header *ret)
{
    enum sp_http_step step;

    if (in->at == in->end)
        return SP_HTTP_STEP_MORE;
    if (*in->at == '\r')
        return end_line(in);
    step = parse_name(in, &ret->name);
    return step == SP_HTTP_STEP_OK ? parse_value(in, &ret->value) : step;
}
