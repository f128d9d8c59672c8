#include "base/utf8.h"

/*
 * The state holds what the next byte must be: how many continuation bytes are left (low 8 bits),
 * and the range that the very next one must lie in (bits 8-15 and 16-23). RFC 3629 section 4.
 */
#define STATE(left, low, high) ((uint32_t)(left) | (uint32_t)(low) << 8 | (uint32_t)(high) << 16)

static uint32_t after_lead(unsigned char c)
{
    if (c >= 0xC2 && c <= 0xDF)
        return STATE(1, 0x80, 0xBF);
    if (c == 0xE0)
        return STATE(2, 0xA0, 0xBF);
    if (c == 0xED)
        return STATE(2, 0x80, 0x9F); /* no surrogates */
    if (c >= 0xE1 && c <= 0xEF)
        return STATE(2, 0x80, 0xBF);
    if (c == 0xF0)
        return STATE(3, 0x90, 0xBF);
    if (c >= 0xF1 && c <= 0xF3)
        return STATE(3, 0x80, 0xBF);
    if (c == 0xF4)
        return STATE(3, 0x80, 0x8F);
    return 0;
}

bool sp_utf8_feed(struct sp_utf8 *check, const char *s, size_t len)
{
    uint32_t state = check->state;

    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)s[i];

        if (state == 0) {
            if (c < 0x80)
                continue;
            state = after_lead(c);
            if (state == 0)
                return false;
            continue;
        }
        if (c < (state >> 8 & 0xFF) || c > (state >> 16 & 0xFF))
            return false;
        state = (state & 0xFF) > 1 ? STATE((state & 0xFF) - 1, 0x80, 0xBF) : 0;
    }
    check->state = state;
    return true;
}

bool sp_utf8_complete(const struct sp_utf8 *check)
{
    return check->state == 0;
}

bool sp_utf8_valid(const char *s, size_t len)
{
    struct sp_utf8 check = {0};

    return sp_utf8_feed(&check, s, len) && sp_utf8_complete(&check);
}

size_t sp_utf8_sequence(const char *s, size_t len)
{
    struct sp_utf8 check = {0};

    for (size_t n = 1; n <= 4 && n <= len; n++) {
        if (!sp_utf8_feed(&check, s + n - 1, 1))
            return 0;
        if (sp_utf8_complete(&check))
            return n;
    }
    return 0;
}
