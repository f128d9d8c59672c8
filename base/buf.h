/*
 * base/buf.h - a growing byte buffer with a ceiling.
 *
 * Every buffer that a stranger can fill has a limit: when an append would pass `max`, nothing is
 * appended and the buffer remembers that it failed, so that a run of appends needs one check.
 *
 * Ownership: the buffer owns its bytes; sp_buf_steal hands them over.
 */
#ifndef SP_BASE_BUF_H
#define SP_BASE_BUF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/str.h"

struct sp_buf {
    char *data; /* not terminated, except by sp_buf_str */
    size_t len;
    size_t cap;
    size_t max;  /* ceiling in bytes; 0 = no ceiling, for output of our own making */
    bool failed; /* an append went past `max`; cleared by sp_buf_reset */
};

/* Allocates nothing until the first append. */
void sp_buf_init(struct sp_buf *buf, size_t max);
/* Frees the bytes; the buffer can be used again. NULL is fine. */
void sp_buf_done(struct sp_buf *buf);
/* Empties it and keeps the memory. */
void sp_buf_reset(struct sp_buf *buf);

/* Each returns false when the ceiling is (or was) reached. */
bool sp_buf_append(struct sp_buf *buf, const void *data, size_t len);
bool sp_buf_append_str(struct sp_buf *buf, const char *s);
bool sp_buf_append_slice(struct sp_buf *buf, struct sp_slice s);
bool sp_buf_append_char(struct sp_buf *buf, char c);
bool sp_buf_append_u64(struct sp_buf *buf, uint64_t value);
bool sp_buf_printf(struct sp_buf *buf, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* A JSON string with its quotes; bytes that are not UTF-8 become U+FFFD. */
bool sp_buf_append_json_string(struct sp_buf *buf, struct sp_slice s);

/* Room for `len` more bytes to be written at data + len; NULL when over the ceiling. */
char *sp_buf_reserve(struct sp_buf *buf, size_t len);
/* Drops the first `len` bytes. */
void sp_buf_consume(struct sp_buf *buf, size_t len);
/* The bytes as a terminated string, borrowed until the next call. */
const char *sp_buf_str(struct sp_buf *buf);
/* Hands the bytes over (free() them) and leaves the buffer empty. Never NULL; terminated. */
char *sp_buf_steal(struct sp_buf *buf, size_t *ret_len);

static inline struct sp_slice sp_buf_slice(const struct sp_buf *buf)
{
    return sp_slice(buf->data, buf->len);
}

#define SP_AUTO_BUF __attribute__((cleanup(sp_buf_done)))

#endif
