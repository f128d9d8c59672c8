/*
 * base/scan.h - finds the fields of a JSON envelope without building a tree.
 *
 * A request's `data` may be a megabyte that the daemon only passes on. The scanner checks that the
 * whole text is one valid JSON object (RFC 8259, UTF-8, depth bounded), and reports where the
 * values of the wanted top-level keys lie. It allocates nothing, reads each byte once, and costs
 * no memory that grows with the input. Fuzzed: tests/fuzz/fuzz_scan.c.
 */
#ifndef SP_BASE_SCAN_H
#define SP_BASE_SCAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/str.h"

struct sp_error;

enum sp_scan_kind {
    SP_SCAN_ABSENT,
    SP_SCAN_NULL,
    SP_SCAN_BOOL,
    SP_SCAN_NUMBER,
    SP_SCAN_STRING,
    SP_SCAN_ARRAY,
    SP_SCAN_OBJECT,
};

/* What the caller wants, and what was found. */
struct sp_scan_field {
    const char *key;        /* plain ASCII; a key written with escapes does not match */
    enum sp_scan_kind kind; /* out */
    struct sp_slice value;  /* out: the raw text of the value, quotes or brackets included */
};

#define SP_SCAN_DEPTH 64 /* nesting above this is refused */

/*
 * Scans one object. A wanted key that appears twice is refused, so that nobody downstream can read
 * another value than we did. SP_ERR_INVALID names the byte offset.
 */
int sp_scan_object(struct sp_slice json, struct sp_scan_field *fields, size_t n_fields,
                   struct sp_error *err);

/* Checks that the text is one valid JSON value with nothing after it but white space. */
int sp_scan_valid(struct sp_slice json, struct sp_error *err);

/*
 * Walks a value that has been scanned already: start with *cursor = 0 on the raw text of an array;
 * true and the raw text of the next element, false at the end.
 */
bool sp_scan_next(struct sp_slice array, size_t *cursor, struct sp_slice *ret);
/* Number of elements of an array that has been scanned already. */
size_t sp_scan_count(struct sp_slice array);

/*
 * Values of scanned fields. False when the field has another kind, does not fit, or is out of
 * range. A string is decoded (escapes resolved to UTF-8) and terminated; one with U+0000 is
 * refused.
 */
bool sp_scan_get_u64(const struct sp_scan_field *field, uint64_t max, uint64_t *ret);
bool sp_scan_get_string(const struct sp_scan_field *field, char *ret, size_t size);
bool sp_scan_get_bool(const struct sp_scan_field *field, bool *ret);

#endif
