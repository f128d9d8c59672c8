/*
 * base/str.h - borrowed pieces of text: a pointer and a length, no terminator, no ownership.
 */
#ifndef SP_BASE_STR_H
#define SP_BASE_STR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* Points into memory that somebody else owns; `ptr` may be NULL when `len` is 0. */
struct sp_slice {
    const char *ptr;
    size_t len;
};

#define SP_SLICE(literal) ((struct sp_slice){(literal), sizeof(literal) - 1})

static inline struct sp_slice sp_slice(const char *ptr, size_t len)
{
    return (struct sp_slice){ptr, len};
}

static inline struct sp_slice sp_slice_str(const char *s)
{
    return (struct sp_slice){s, s ? strlen(s) : 0};
}

bool sp_slice_eq(struct sp_slice a, struct sp_slice b);
bool sp_slice_eq_str(struct sp_slice a, const char *b);
/* ASCII letters only: header names, schemes, host names. */
bool sp_slice_eq_nocase(struct sp_slice a, const char *b);
bool sp_slice_starts(struct sp_slice s, const char *prefix);
bool sp_slice_ends(struct sp_slice s, const char *suffix);
/* Without leading and trailing spaces and tabs. */
struct sp_slice sp_slice_trim(struct sp_slice s);
/* A fresh terminated copy; aborts when memory is out, so bound the length first. */
char *sp_slice_dup(struct sp_slice s);

/*
 * Takes the text before the first `sep` off the front of `*rest` into `*ret` and skips the
 * separator. False when `*rest` is used up (its ptr is NULL then).
 */
bool sp_slice_split(struct sp_slice *rest, char sep, struct sp_slice *ret);

/* The whole slice as a decimal number: digits only, at least one, in [0, max]. */
bool sp_parse_u64(struct sp_slice s, uint64_t max, uint64_t *ret);
/* "512M", "2GiB", "64k" -> bytes; powers of 1024; a bare number is bytes. */
bool sp_parse_size(struct sp_slice s, uint64_t *ret_bytes);
/* "250ms", "15s", "10m", "48h", "14d" -> milliseconds; a bare number is seconds. */
bool sp_parse_duration(struct sp_slice s, uint64_t *ret_ms);

/* An owner's or a Space's name: hub-names rule, 1-96 of [A-Za-z0-9._-], no "--" or "..", not
 * beginning or ending with '-' or '.', not ending in ".git". */
bool sp_name_valid(struct sp_slice s);

/* Constant time for equal lengths: for secrets. */
bool sp_slice_eq_secret(struct sp_slice a, struct sp_slice b);

#endif
