/*
 * ui-protocol/sse.h - server-sent events (WHATWG HTML 9.2), the form that Gradio's clients accept.
 *
 * The Python client splits on two line feeds and takes only blocks that begin with "data:", so
 * sp_sse_put_data writes exactly `data: <one line>\n\n`: no comment, no id, no CR.
 */
#ifndef SP_UI_PROTOCOL_SSE_H
#define SP_UI_PROTOCOL_SSE_H

#include "base/str.h"

struct sp_buf;

/* `data` is one line; a line feed or CR in it becomes a space (JSON has none outside of strings).
 */
void sp_sse_put_data(struct sp_buf *out, struct sp_slice data);
/* `event: NAME\ndata: ...\n\n`, for /call/{api}/{event_id}. */
void sp_sse_put_event(struct sp_buf *out, const char *event, struct sp_slice data);

#endif
