/*
 * ui-protocol/worker_msg.h - docs/worker-protocol.md: lines to structs and structs to lines.
 *
 * What an app computed is never parsed into a tree here: `data`, `ops`, `config` and the like stay
 * raw JSON, checked to be valid, and point into the line that they came from. Raw JSON strings keep
 * their quotes, so that they can be written into another message as they are.
 */
#ifndef SP_UI_PROTOCOL_WORKER_MSG_H
#define SP_UI_PROTOCOL_WORKER_MSG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/id.h"
#include "base/str.h"

struct sp_buf;
struct sp_error;
struct sp_http_request;

#define SP_WORKER_PROTOCOL      1
#define SP_WORKER_LINE_MAX      ((size_t)1024 * 1024 + 64 * 1024) /* limit.worker_line */
#define SP_WORKER_FUNCTIONS_MAX 1000
#define SP_WORKER_OUTPUTS_MAX   1000 /* inputs or outputs of one function */
#define SP_WORKER_CANCELS_MAX   1000
#define SP_WORKER_API_NAME_MAX  128
#define SP_WORKER_SESSION_MAX   128

/* --- from the worker -------------------------------------------------------------------------- */

enum sp_worker_msg_type {
    SP_WORKER_READY,
    SP_WORKER_FAILED,
    SP_WORKER_PROGRESS,
    SP_WORKER_LOG,
    SP_WORKER_YIELD,
    SP_WORKER_RETURN,
    SP_WORKER_ERROR,
    SP_WORKER_CANCELLED,
    SP_WORKER_PONG,
};
const char *sp_worker_msg_type_to_string(enum sp_worker_msg_type type);

/* Slices point into the line; only the fields that are named beside a type are set for it. */
struct sp_worker_msg {
    enum sp_worker_msg_type type;

    /* PROGRESS, LOG, YIELD, RETURN, ERROR, CANCELLED */
    struct sp_id id;
    uint32_t attempt;

    struct sp_slice progress_data; /* PROGRESS: raw array */

    struct sp_slice data; /* RETURN: raw array. YIELD: raw array, or ptr NULL when there is `ops` */
    struct sp_slice ops;  /* YIELD: raw array, or ptr NULL when there is `data` */
    uint64_t seq;         /* YIELD */
    int64_t run_us;       /* RETURN: what the worker measured; -1 when it did not say */
    bool generator;       /* RETURN */

    struct sp_slice log;      /* LOG: raw string */
    const char *level;        /* LOG: "info", "warning", "success" or "error" (static) */
    struct sp_slice error;    /* ERROR: raw string, or the text null */
    struct sp_slice title;    /* LOG, ERROR: raw string; "Error" or the level's name when absent */
    struct sp_slice duration; /* LOG, ERROR: raw number or the text null; 10 when absent */
    bool visible;             /* LOG, ERROR: true when absent */

    uint64_t n; /* PONG */

    const char *stage;       /* FAILED: "BUILD_ERROR", "CONFIG_ERROR" or "RUNTIME_ERROR" (static) */
    struct sp_slice message; /* FAILED: raw string */
    struct sp_slice missing; /* FAILED: raw array of strings; ptr NULL when absent */

    struct sp_slice engine;    /* READY: raw string; the text null when absent */
    struct sp_slice config;    /* READY: raw object, byte for byte */
    struct sp_slice info;      /* READY: raw object, byte for byte */
    struct sp_slice functions; /* READY: raw array; see sp_worker_functions_decode */
    int64_t max_size;          /* READY: most waiting requests; -1 = no limit of the app's own */
    uint32_t max_threads;      /* READY: 40 when absent */
};

/*
 * One line, without its line feed. SP_ERR_INVALID says what is wrong in the words that end the
 * worker ("protocol error: ..." is put in front by the caller). `ret` is defined only after 0.
 */
int sp_worker_msg_decode(struct sp_slice line, struct sp_worker_msg *ret, struct sp_error *err);

/* One entry of `ready`'s functions. The arrays belong to the block that decode returns. */
struct sp_worker_function {
    uint32_t fn;                               /* = dependency id */
    char api_name[SP_WORKER_API_NAME_MAX + 1]; /* "" = null: not callable by name */
    bool queue;
    bool generator;
    bool backend;
    const char *api_visibility; /* "public", "undocumented" or "private" (static) */
    uint32_t group;
    uint32_t limit; /* at once in the group; 0 = no limit */
    uint32_t inputs;
    uint32_t outputs;
    const uint32_t *state_inputs; /* positions, ascending, all < inputs */
    size_t n_state_inputs;
    const uint32_t *cancels; /* fn of other functions */
    size_t n_cancels;
};

/*
 * Decodes READY's `functions` (at most SP_WORKER_FUNCTIONS_MAX; their fn must differ) into one
 * block that free() frees. `*ret` is never NULL on success, even for none. SP_ERR_INVALID names the
 * entry and the field.
 */
int sp_worker_functions_decode(struct sp_slice functions, struct sp_worker_function **ret,
                               size_t *ret_n, struct sp_error *err);

/* --- to the worker: each appends one line with its '\n' --------------------------------------- */

struct sp_worker_hello {
    const char *app_file; /* "app.py" */
    const char *space;    /* "owner/name" */
    const char *root;     /* "/app/owner/name" */
    uint32_t threads;
};
void sp_worker_put_hello(struct sp_buf *out, const struct sp_worker_hello *hello);

struct sp_worker_call {
    const struct sp_id *id;
    uint32_t attempt;
    uint32_t fn;
    struct sp_slice session;    /* plain text */
    struct sp_slice data;       /* raw array */
    struct sp_slice event_data; /* raw value; empty = null */
    int64_t trigger;            /* -1 = null */
    struct sp_slice request;    /* raw object, from sp_worker_put_request; empty = null */
};
void sp_worker_put_call(struct sp_buf *out, const struct sp_worker_call *call);

void sp_worker_put_cancel(struct sp_buf *out, const struct sp_id *id, uint32_t attempt);
void sp_worker_put_session_end(struct sp_buf *out, struct sp_slice session);
void sp_worker_put_credit(struct sp_buf *out, const struct sp_id *id, uint32_t attempt, uint32_t n);
void sp_worker_put_ping(struct sp_buf *out, uint64_t n);
void sp_worker_put_shutdown(struct sp_buf *out, uint64_t grace_ms);

/*
 * The `request` object of a call, without a line feed: what an app's gr.Request shows. Left out are
 * Cookie, Authorization, Proxy-Authorization and hop-by-hop headers: the first three hold the hub's
 * own secrets. A repeated header or parameter counts once, the first. `base_url` is our address as
 * the client sees it: URLs of output files begin with it. `username` may be NULL.
 */
void sp_worker_put_request(struct sp_buf *out, const struct sp_http_request *req, const char *peer,
                           const char *base_url, const char *username);

#endif
