/*
 * base/utf8.h - is this UTF-8 (RFC 3629: no surrogates, nothing above U+10FFFF, shortest form)?
 */
#ifndef SP_BASE_UTF8_H
#define SP_BASE_UTF8_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Length of the one valid sequence at the front, 1 to 4, or 0 when there is none. */
size_t sp_utf8_sequence(const char *s, size_t len);

bool sp_utf8_valid(const char *s, size_t len);

/* A check that goes on across pieces, as a fragmented WebSocket message needs (RFC 6455 8.1). */
struct sp_utf8 {
    uint32_t state; /* 0 between characters; private to utf8.c otherwise */
};

/* False at the first byte that can no longer be UTF-8; feed nothing after that. */
bool sp_utf8_feed(struct sp_utf8 *check, const char *s, size_t len);
/* True when the text may end here: no character is open. */
bool sp_utf8_complete(const struct sp_utf8 *check);

#endif
