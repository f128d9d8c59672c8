/*
 * ui-protocol/diff.h - folds a worker's `ops` into whole values, for transports that have no diffs
 * (/call, the 3.x WebSocket, sse and sse_v1).
 *
 * Edits are [action, path, value] with replace, append, add and delete, as Gradio's clients read
 * them. They come from an app and are hostile: a broken edit changes nothing and is an error.
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
 * ([] = unchanged). Replaces `*value` by the edited one; on failure it stays as it was.
 * SP_ERR_INVALID for a broken edit, SP_ERR_LIMIT when the result would be too large.
 */
int sp_diff_apply(json_t **value, const json_t *ops, struct sp_error *err);

/*
 * The same on raw JSON: `data` (raw array, at most SP_DIFF_VALUE_MAX) edited by `ops` (raw array)
 * is appended to `out`.
 */
int sp_diff_fold(struct sp_slice data, struct sp_slice ops, struct sp_buf *out,
                 struct sp_error *err);

#endif
