/*
 * base/json.h - small JSON documents by jansson, with limits. Big values never come here: see
 * base/scan.h.
 */
#ifndef SP_BASE_JSON_H
#define SP_BASE_JSON_H

#include <stdbool.h>
#include <stdint.h>

#include <jansson.h>

#include "base/buf.h"
#include "base/str.h"

struct sp_error;

/* Documents above this are refused: they would cost a tree of many times their size. */
#define SP_JSON_MAX ((size_t)256 * 1024)

void sp_auto_json(json_t **value);
/* Drops the reference when it goes out of scope. */
#define SP_AUTO_JSON __attribute__((cleanup(sp_auto_json)))

/* Any JSON value; duplicate keys, NaN and text after the value are refused (SP_ERR_INVALID). */
int sp_json_parse(struct sp_slice text, json_t **ret, struct sp_error *err);

/*
 * Reads the field `key`. Absent or null: returns 0 and leaves `*ret` as it was. Another type, or
 * a number outside of [min, max]: SP_ERR_INVALID that names the key. Strings are borrowed from
 * `obj`.
 */
int sp_json_get_str(const json_t *obj, const char *key, const char **ret, struct sp_error *err);
int sp_json_get_int(const json_t *obj, const char *key, int64_t min, int64_t max, int64_t *ret,
                    struct sp_error *err);
int sp_json_get_bool(const json_t *obj, const char *key, bool *ret, struct sp_error *err);

/* Compact text at the end of `buf`; false when the ceiling is reached. */
bool sp_json_dump(const json_t *value, struct sp_buf *buf);

#endif
