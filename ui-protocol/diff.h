/*
 * ui-protocol/diff.h - folds a worker's `ops` into whole values, for transports that have no diffs
 * (/call, the 3.x WebSocket, sse and sse_v1).
 *
 * Edits are [action, path, value] with replace, append, add and delete, as Gradio's clients read
 * them. They come from an app and are hostile: path, depth, size and the work that they cause are
 * bounded.
 */
#ifndef SP_UI_PROTOCOL_DIFF_H
#define SP_UI_PROTOCOL_DIFF_H

#include <jansson.h>

#include "base/str.h"

struct sp_buf;
struct sp_error;

/* Most bytes that the folded values may have as JSON text, and most edits of one yield. */
#define SP_DIFF_VALUE_MAX ((size_t)1024 * 1024)
#define SP_DIFF_EDITS_MAX 10000

/*
 * `*value` is an array with one value per output; `ops` an array with one list of edits per output
 * ([] = unchanged). Edits `*value`. After a failure it is half edited: drop it. SP_ERR_INVALID for
 * a broken edit, SP_ERR_LIMIT when the result, or the work it takes, would be too large.
 */
int sp_diff_apply(json_t **value, const json_t *ops, struct sp_error *err);

/*
 * The same on raw JSON: `data` (raw array) edited by `ops` (raw array) is appended to `out`, which
 * is unchanged after a failure. SP_ERR_INVALID also when a value is none that jansson can hold
 * (whole numbers beyond 64 bits): the partial result is left out then; the final one never comes
 * this way.
 */
int sp_diff_fold(struct sp_slice data, struct sp_slice ops, struct sp_buf *out,
                 struct sp_error *err);

#endif
