/*
 * ui-protocol/gradio_msg.h - Gradio's messages (docs/gradio-wire.md): JSON text in the field order
 * and spelling that its clients have seen, and what clients send, decoded with bounds.
 *
 * The messages that only the live protocol has (hello, joined, snapshot, ...) are live_msg.h.
 *
 * An encoder appends one JSON object and no framing: sp_sse_put_data or sp_ws_put_text does that.
 * `data`, `error` and the like are raw JSON, as worker_msg.h hands them over. Times are
 * microseconds and are written as seconds; a negative one is written as null.
 */
#ifndef SP_UI_PROTOCOL_GRADIO_MSG_H
#define SP_UI_PROTOCOL_GRADIO_MSG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/id.h"
#include "base/str.h"

struct sp_buf;
struct sp_error;

#define SP_GRADIO_SESSION_MAX 128  /* bytes of a session_hash */
#define SP_GRADIO_DATA_MAX    1000 /* entries of `data` */

/* --- server to client ------------------------------------------------------------------------- */

enum sp_gradio_dialect {
    SP_GRADIO_SSE, /* sse (v0) to sse_v3: event_id in every message */
    SP_GRADIO_WS,  /* the 3.x WebSocket: no event_id, fewer fields */
    SP_GRADIO_LIVE /* docs/ui-protocol.md: as SSE, plus seq and outcome */
};

/* What all messages about an event have in common. */
struct sp_gradio_head {
    enum sp_gradio_dialect dialect;
    const struct sp_id *event_id; /* NULL = null */
    uint64_t seq;                 /* LIVE only; 0 = leave it out (sp_live_put_seq adds it later) */
};

/* rank < 0: null. `eta_us` is the time until the result. For SP_GRADIO_WS use the next one. */
void sp_gradio_put_estimation(struct sp_buf *out, const struct sp_gradio_head *head, int64_t rank,
                              uint32_t queue_size, int64_t eta_us);

struct sp_gradio_ws_estimation {
    uint32_t rank;
    uint32_t queue_size;   /* with this event */
    int64_t average_us;    /* of one run */
    int64_t concurrent_us; /* average / slots */
    int64_t rank_eta_us;
    int64_t queue_eta_us;
};
void sp_gradio_put_ws_estimation(struct sp_buf *out, const struct sp_gradio_ws_estimation *est);
/* {"msg":"send_hash"}, {"msg":"send_data"}, {"msg":"queue_full"} of the 3.x WebSocket. */
void sp_gradio_put_ws_plain(struct sp_buf *out, const char *msg);

void sp_gradio_put_starts(struct sp_buf *out, const struct sp_gradio_head *head, int64_t eta_us);
void sp_gradio_put_progress(struct sp_buf *out, const struct sp_gradio_head *head,
                            struct sp_slice progress_data);

struct sp_gradio_log {
    struct sp_slice log;      /* raw string */
    const char *level;        /* info, warning, success, error */
    struct sp_slice title;    /* raw string */
    struct sp_slice duration; /* raw number or null; empty = null */
    bool visible;
};
void sp_gradio_put_log(struct sp_buf *out, const struct sp_gradio_head *head,
                       const struct sp_gradio_log *log);

struct sp_gradio_output {
    struct sp_slice data; /* raw array: whole values, or per output a list of edits */
    bool is_generating;
    int64_t run_us;     /* of this step */
    int64_t average_us; /* of the function */
};
void sp_gradio_put_generating(struct sp_buf *out, const struct sp_gradio_head *head,
                              const struct sp_gradio_output *output);

/* `outcome` is written by SP_GRADIO_LIVE only: "done", "failed", "canceled", "lost". */
void sp_gradio_put_completed(struct sp_buf *out, const struct sp_gradio_head *head,
                             const struct sp_gradio_output *output, const char *outcome);
/*
 * A cancelled event ends with success and one value per output: the last ones, or nulls when `last`
 * is empty. Any other form makes one of the two official clients throw (docs/gradio-wire.md).
 */
void sp_gradio_put_cancelled(struct sp_buf *out, const struct sp_gradio_head *head,
                             struct sp_slice last, size_t n_outputs);

struct sp_gradio_failure {
    struct sp_slice error;    /* raw string, or the text null: the app hides its errors */
    struct sp_slice title;    /* raw string; empty = "Error" */
    struct sp_slice duration; /* raw number or null; empty = 10 */
    bool visible;
};
void sp_gradio_put_failed(struct sp_buf *out, const struct sp_gradio_head *head,
                          const struct sp_gradio_failure *failure, const char *outcome);

/* The stream itself, no event. SSE only. */
void sp_gradio_put_heartbeat(struct sp_buf *out);
void sp_gradio_put_close_stream(struct sp_buf *out);
/* Only for a stream of an unknown session: never for a job that failed. */
void sp_gradio_put_unexpected_error(struct sp_buf *out, const char *message,
                                    bool session_not_found);

/* --- bodies of plain answers ------------------------------------------------------------------ */

/* The `output` object alone: the answer of /run. */
void sp_gradio_put_output(struct sp_buf *out, const struct sp_gradio_output *output);
/* {"error","duration","visible","title"}: /call's `event: error`, /run's 500. */
void sp_gradio_put_failure(struct sp_buf *out, const struct sp_gradio_failure *failure);
/* [null, null, ...] */
void sp_gradio_put_nulls(struct sp_buf *out, size_t n);
/* {"event_id":"..."} */
void sp_gradio_put_event_id(struct sp_buf *out, const struct sp_id *event_id);
/* {"detail":"..."} */
void sp_gradio_put_detail(struct sp_buf *out, const char *detail);
/* {"detail":"Queue is full. Max size is N and size is M."}; answered with 503. */
void sp_gradio_put_queue_full(struct sp_buf *out, uint64_t max_size, uint64_t size);

/* --- client to server ------------------------------------------------------------------------- */

/*
 * What a client may say of a job. Decoding fails with SP_ERR_INVALID that names the field. Slices
 * point into the body.
 */
struct sp_gradio_join {
    struct sp_slice data; /* raw array; ptr NULL when absent */
    size_t n_data;        /* its entries */
    bool has_fn;
    uint32_t fn;                             /* fn_index */
    char session[SP_GRADIO_SESSION_MAX + 1]; /* session_hash; "" when absent or null */
    struct sp_slice event_data;              /* raw value; the text null when absent */
    int64_t trigger_id;                      /* -1 when absent or null */
    bool has_event_id; /* event_id: sse v0's POST /queue/data, /cancel, /reset */
    struct sp_id event_id;
};

/* Fields that must be there; an absent one fails by name. */
enum sp_gradio_need {
    SP_GRADIO_NEED_DATA = 1,
    SP_GRADIO_NEED_FN = 2,
    SP_GRADIO_NEED_SESSION = 4,
    SP_GRADIO_NEED_EVENT = 8,
};

/*
 * /queue/join: DATA | FN (a missing session has an answer of its own). /call, /run: DATA.
 * /cancel: EVENT. /reset: 0 (3.x sends no event_id). 3.x WebSocket: FN | SESSION, then DATA.
 * An event_id that is no id of ours leaves has_event_id false and is an error only with EVENT.
 */
int sp_gradio_parse_join(struct sp_slice body, unsigned need, struct sp_gradio_join *ret,
                         struct sp_error *err);

#endif
