/*
 * ui-protocol/msg-internal.h - what gradio_msg, live_msg and their decoders share.
 *
 * Writers take the key with everything before it (`,"seq":`), so that a message reads in the code
 * as it does on the wire.
 */
#ifndef SP_UI_PROTOCOL_MSG_INTERNAL_H
#define SP_UI_PROTOCOL_MSG_INTERNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/id.h"
#include "base/scan.h"
#include "base/str.h"

struct sp_buf;
struct sp_error;

void sp_msg_put(struct sp_buf *out, const char *text);
void sp_msg_put_number(struct sp_buf *out, const char *key, uint64_t value);
/* An empty slice is written as `otherwise`. */
void sp_msg_put_raw(struct sp_buf *out, const char *key, struct sp_slice raw,
                    const char *otherwise);
/* NULL is written as null. */
void sp_msg_put_string(struct sp_buf *out, const char *key, const char *value);
void sp_msg_put_bool(struct sp_buf *out, const char *key, bool value);
void sp_msg_put_id(struct sp_buf *out, const char *key, const struct sp_id *id);
/* Microseconds as seconds; negative is null. */
void sp_msg_put_seconds(struct sp_buf *out, const char *key, int64_t us);

/*
 * Readers: 0, or SP_ERR_INVALID that names the field. `need` decides whether an absent or null
 * field is an error; when it is not, the output keeps its value.
 */
int sp_msg_get_string(const struct sp_scan_field *field, bool need, char *ret, size_t size,
                      struct sp_error *err);
int sp_msg_get_u64(const struct sp_scan_field *field, bool need, uint64_t max, uint64_t *ret,
                   struct sp_error *err);
int sp_msg_get_id(const struct sp_scan_field *field, struct sp_id *ret, struct sp_error *err);
/* An array of at most SP_GRADIO_DATA_MAX values. */
int sp_msg_get_data(const struct sp_scan_field *field, bool need, struct sp_slice *ret,
                    size_t *ret_n, struct sp_error *err);
/* A number or null, which is -1. */
int sp_msg_get_trigger(const struct sp_scan_field *field, int64_t *ret, struct sp_error *err);
/* The raw value; the text null when absent. */
struct sp_slice sp_msg_raw(const struct sp_scan_field *field);

#endif
