/*
 * runtime/app/app-internal.h - what the files behind runtime/app/app.h share.
 *
 *     app.c          the whole: life, alarms, counters, one step of the scheduler
 *     app_worker.c   workers of a Space: ready, serve, retire, gone; their messages
 *     app_rest.c     whether a Space is in use; workers that are held still
 *     app_join.c     how a request begins
 *     app_event.c    its life, dispatch and end
 *     app_output.c   what it has put out, and how its end reads
 *     app_journal.c  requests to records and back
 *     session.c      visitors: who listens, what waits for them, how long
 *     app_route.c    the paths below /app/{owner}/{name}
 *     gradio_*.c live.c files.c   the transports
 *
 * Who owns what: sp_apps owns Spaces and the map of events; a Space owns its sessions, a session
 * its events. A worker points at the events that it still may speak of, and they at it.
 */
#ifndef SP_RUNTIME_APP_APP_INTERNAL_H
#define SP_RUNTIME_APP_APP_INTERNAL_H

#include "base/buf.h"
#include "base/id.h"
#include "base/list.h"
#include "base/map.h"
#include "base/mem.h"
#include "runtime/app/alarm.h"
#include "runtime/app/app.h"
#include "runtime/app/turn.h"
#include "runtime/app/worker.h"
#include "scheduler/sched.h"
#include "ui-protocol/gradio_msg.h"
#include "ui-protocol/worker_msg.h"

struct sp_app_event;
struct sp_app_refused;
struct sp_app_session;
struct sp_app_space;
struct sp_app_worker;
struct sp_exchange;
struct sp_journal;
struct sp_server;
struct sp_ws_conn;

/* A worker that has this much unread gets no new requests. */
#define SP_APP_BACKLOG_MAX ((size_t)8 * 1024 * 1024)
#define SP_APP_CREDITS     8 /* that a request starts with: docs/worker-protocol.md */
#define SP_APP_HOLD_MS     30000
#define SP_APP_BEAT_MS     15000

/* Settings read once. */
struct sp_app_limits {
    uint64_t sessions, session_events, waiting, result_memory, replay, worker_line;
    uint64_t request_body, upload, files_per_space, held, stream_buffer;
    uint64_t grace_ms, result_ttl_ms, upload_ttl_ms, output_ttl_ms, detached_ms, publish_ms;
    uint64_t cancel_grace_ms, max_size;
};

enum sp_app_alarm {
    SP_ALARM_GRACE,    /* session: nobody listens */
    SP_ALARM_BEAT,     /* session: a heartbeat on its stream is due */
    SP_ALARM_IDLE,     /* session: nothing waits and nothing is kept */
    SP_ALARM_RESULT,   /* event: kept long enough; the list is in the order of ending */
    SP_ALARM_DETACHED, /* event: nobody came to fetch it */
    SP_ALARM_FOLLOWED, /* event: a heartbeat for who follows it by GET /call */
    SP_ALARM_PUBLISH,  /* event: its next progress may be told */
    SP_ALARM_HOLD,     /* held request */
    SP_ALARM_PING,     /* worker */
    SP_ALARM_SOCKET,   /* legacy WebSocket that owes us a message */
    SP_ALARM_ALIVE,    /* heartbeat streams */
    SP_ALARM_N,
};

/*
 * A socket or stream whose end the server reports, perhaps after sp_apps is gone: `orphan` is
 * called once then, and makes sure that nothing of sp_apps is touched any more.
 */
struct sp_app_link {
    struct sp_list node;
    void (*orphan)(struct sp_app_link *link);
};

struct sp_apps {
    uv_loop_t *loop;
    const struct sp_config *config;
    const char *files_dir;
    struct sp_apps_hooks hooks;
    struct sp_app_limits limit;
    struct sp_sched *sched;
    struct sp_journal *journal;
    struct sp_turn turn;
    struct sp_turn_item evict; /* results above limit.result_memory */
    struct sp_alarms alarms;
    struct sp_alarm_class alarm_classes[SP_ALARM_N];
    uv_timer_t sched_timer;
    uint64_t sched_at_us; /* 0 = not set */

    struct sp_map spaces;  /* id -> sp_app_space */
    struct sp_map workers; /* id -> sp_app_worker */
    struct sp_map events;  /* first 8 bytes of the event id -> sp_app_event */
    uint64_t n_sessions;
    uint64_t n_held;
    uint64_t n_waiting;
    uint64_t result_bytes;
    struct sp_apps_stats stats;

    struct sp_server *server;       /* of the first request; NULL before */
    struct sp_app_refused *refused; /* of the join under way */
    bool stepping;                  /* actions are being carried out */
    bool replaying;                 /* the journal is being read */
    bool closing;
    struct sp_list deferred; /* scheduler events that came meanwhile */
    struct sp_list links;    /* sp_app_link */
    uint64_t app_id;         /* below 2^53: JavaScript reads it */
    char epoch[17];
    char *read_buffer;
    struct sp_buf scratch; /* for encoding one message */
    struct sp_files *files;

    unsigned closing_handles;
    void (*closed)(void *arg);
    void *closed_arg;
};

struct sp_app_space {
    struct sp_apps *apps;
    uint64_t id;
    char *owner;
    char *name;
    char *root; /* "/app/owner/name" */
    char *version_id;
    char *stage;
    char *reason;
    struct sp_app_worker *serving;
    struct sp_map sessions; /* name -> sp_app_session */
    struct sp_list workers;
    struct sp_list held;   /* requests that wait until something serves */
    struct sp_list parked; /* events not known to the scheduler yet, in the order of acceptance */
    bool in_sched;
    bool removed;
    uint64_t used_ms; /* of the loop's clock: when somebody last used it */

    /* of the worker that served last */
    char *config; /* `{...` without its closing brace */
    size_t config_len;
    char *info;
    size_t info_len;
    struct sp_worker_function *fns; /* a block */
    size_t n_fns;
    int64_t max_size;
    uint32_t max_threads;
};

struct sp_app_worker {
    struct sp_app_space *space;
    uint64_t id;
    struct sp_list in_space;
    struct sp_worker *conn; /* NULL once it is broken */
    struct sp_app_worker_start start;
    char *app_file;
    char *version_id;
    bool answered; /* ready or failed */
    bool is_up;    /* the scheduler knows it */
    bool draining;
    bool held; /* its process stands still: bytes for it wait in the socket */
    uint32_t n_running;
    struct sp_list events; /* that it may still speak of */
    struct sp_alarm ping;
    struct sp_turn_item idle;
    void (*on_idle)(void *arg, uint64_t worker);
    void *on_idle_arg;
    /* what `ready` said, until it serves */
    char *config;
    size_t config_len;
    char *info;
    size_t info_len;
    struct sp_worker_function *fns;
    size_t n_fns;
    int64_t max_size;
    uint32_t max_threads;
};

/* --- events ----------------------------------------------------------------------------------- */

enum sp_event_kind { SP_EVENT_SSE, SP_EVENT_LIVE, SP_EVENT_CALL, SP_EVENT_WS, SP_EVENT_RUN };
enum sp_event_state { SP_EVENT_WAITING, SP_EVENT_RUNNING, SP_EVENT_ENDED };

/*
 * How a transport shows an event. Called only between `accepted` and the end, in an order that
 * makes sense: estimate*, starts, (progress | log | yield)*, ended. Whoever comes late gets the
 * same by sp_event_catch_up.
 */
struct sp_event_view {
    /* It is stored; the client may be told its id. Or, with `err`, it is not, and is being undone.
     */
    void (*accepted)(struct sp_app_event *ev, const struct sp_error *err);
    void (*estimate)(struct sp_app_event *ev);
    void (*starts)(struct sp_app_event *ev);
    void (*progress)(struct sp_app_event *ev, struct sp_slice progress_data);
    void (*log)(struct sp_app_event *ev, const struct sp_gradio_log *log);
    /* `whole`: `data` holds values, otherwise edits against the yield before. */
    void (*yield)(struct sp_app_event *ev, struct sp_slice data, bool whole);
    void (*ended)(struct sp_app_event *ev);
    /* It goes without having told its end: whoever waits is let go. May be NULL. */
    void (*dropped)(struct sp_app_event *ev);
    /* Everything the visitor could want to be told in edits, or only in whole values. */
    bool takes_edits;
};

/* What to call with; freed when the call has been sent. */
struct sp_event_call {
    int64_t trigger;
    uint32_t data_len, event_data_len, request_len;
    char text[]; /* data, event_data, request */
};

/* The last yield, for those who come late and for cancel. */
struct sp_event_output {
    struct sp_buf base; /* whole values */
    struct sp_buf ops;  /* "[edits],[edits]": yields since then */
    unsigned n_ops;
};

struct sp_app_event {
    struct sp_id id;
    struct sp_apps *apps;
    uint64_t space_id;
    struct sp_app_session *session; /* NULL once it was dropped */
    struct sp_list in_session;
    struct sp_list in_worker; /* or in space->parked */
    struct sp_app_worker *worker;
    const struct sp_event_view *view; /* NULL: nobody listens now */
    union {
        uint64_t ex; /* the exchange that waits: join's answer, GET /call */
        struct sp_gradio_runner *runner;
        struct sp_gradio_ws *ws;
    } by;
    struct sp_alarm alarm;
    struct sp_event_call *call;
    struct sp_event_output *out;
    char *result; /* when ended: the data array, or the failure object */
    size_t result_len;
    uint64_t joined_ms; /* of the loop's clock */
    uint64_t started_ms;
    int64_t eta_us; /* newest estimate while waiting; expected run time when running */
    int64_t run_us;
    int64_t average_us;
    uint64_t seq; /* of the last yield; live: of the message that told the end */
    uint32_t fn;
    uint32_t attempt;
    uint32_t rank;
    uint32_t size;
    uint32_t n_outputs;
    uint16_t journal_refs; /* answers of the journal that are on their way */
    uint8_t kind;
    uint8_t state;
    uint8_t outcome; /* enum sp_sched_outcome */
    uint8_t spent;   /* yields since the last credit */
    bool queued : 1;
    bool in_sched : 1;
    bool journaled : 1;
    bool recorded : 1;     /* ACCEPTED is on its way to the disk, so others may follow it */
    bool dispatch_due : 1; /* dispatched before that */
    bool accepted : 1;     /* stored, or needs no storing */
    bool call_sent : 1;
    bool cancel_sent : 1;
    bool ending : 1;    /* ended, but DONE is not written yet */
    bool told : 1;      /* the end was handed to a view */
    bool generator : 1; /* the final output repeats a yield */
    bool yielded : 1;
    bool reply_later : 1; /* its join is answered when close_stream has left */
    bool doomed : 1;      /* free as soon as nothing refers to it */
    bool wants_credit : 1;
    bool progress_due : 1; /* `progress` has not been told */
    char *ref;             /* live: the client's name for it */
    char *progress;        /* live: the newest progress_data while it runs */
    char *error;           /* LOST: the sentence */
};

/* --- sessions --------------------------------------------------------------------------------- */

struct sp_live;

struct sp_app_session {
    struct sp_app_space *space;
    struct sp_list events;
    struct sp_alarm alarm;
    struct sp_turn_item flush;
    struct sp_buf pending; /* messages for the stream that have not left yet */
    uint64_t stream;       /* exchange of GET queue/data; 0 = none */
    struct sp_live *live;  /* NULL: a Gradio session */
    uint32_t n_events;     /* in the list */
    uint16_t n_heartbeats;
    bool had_heartbeat : 1;
    bool called : 1;         /* a worker knows this session */
    bool restored : 1;       /* from the journal; nobody has come for it yet */
    bool lossy : 1;          /* `pending` overflowed, or a stream was cut: catch up instead */
    bool closes : 1;         /* close_stream follows as soon as nothing is open */
    bool closing_stream : 1; /* close_stream waits in the socket */
    bool asked_again : 1;    /* whether it still does */
    bool slow : 1;           /* yields are not paid for until the stream has drained */
    bool in_grace : 1;       /* `alarm` is the grace's */
    char name[];
};

/* --- app.c ------------------------------------------------------------------------------------ */

struct sp_app_space *sp_app_space_get(struct sp_apps *apps, uint64_t id);
/* Makes it when it is new. */
struct sp_app_space *sp_app_space_need(struct sp_apps *apps, uint64_t id);
/* One step of the scheduler with all that follows from it. Not for JOIN while stepping. */
void sp_apps_step(struct sp_apps *apps, const struct sp_sched_event *event);
void sp_app_queue_changed(struct sp_app_space *space);
const struct sp_worker_function *sp_app_function(const struct sp_app_space *space, uint32_t fn);
const struct sp_worker_function *sp_app_function_named(const struct sp_app_space *space,
                                                       struct sp_slice api_name);

/* --- app_worker.c ----------------------------------------------------------------------------- */

struct sp_app_worker *sp_app_worker_find(struct sp_apps *apps, uint64_t id);
void sp_app_worker_alarm(void *arg, struct sp_alarm *alarm);
void sp_app_worker_free(struct sp_app_worker *worker);
/* Something of it ended: tell who waits for it to be idle. */
void sp_app_worker_check_idle(struct sp_app_worker *worker);
void sp_app_worker_break(struct sp_app_worker *worker, const char *why);

/* --- app_rest.c ------------------------------------------------------------------------------- */

/* Somebody uses it: now, and a worker that is held is let go. */
void sp_app_space_touch(struct sp_app_space *space);
/* Of a worker: something is about to be sent to it. */
void sp_app_worker_wanted(void *arg);

/* --- app_event.c ------------------------------------------------------------------------------ */

/* What a transport asks for. Slices are copied. */
struct sp_app_join {
    struct sp_app_session *session;
    enum sp_event_kind kind;
    const struct sp_event_view *view;
    const struct sp_worker_function *fn;
    struct sp_slice data;
    struct sp_slice event_data; /* empty = null */
    int64_t trigger;
    struct sp_slice request; /* sp_worker_put_request; empty = null */
    const char *ref;         /* live only */
    bool queued;
};

enum sp_app_refusal {
    SP_REFUSED_FULL,    /* `max_size` and `size` are set */
    SP_REFUSED_SESSION, /* limit.session_events */
    SP_REFUSED_WAITING, /* limit.waiting */
    SP_REFUSED_BUSY,    /* the worker does not read */
    SP_REFUSED_STORAGE,
    SP_REFUSED_FUNCTION,
    SP_REFUSED_CLOSING,
};
struct sp_app_refused {
    enum sp_app_refusal why;
    uint32_t max_size, size;
    char msg[200]; /* a sentence */
};

/* NULL with `*refused` filled. On success `view->accepted` follows later. */
struct sp_app_event *sp_app_join(struct sp_apps *apps, const struct sp_app_join *join,
                                 struct sp_app_refused *refused);
/* Both of the Space itself: an id of another Space is unknown here. */
struct sp_app_event *sp_app_event_find(struct sp_app_space *space, const struct sp_id *id);
void sp_app_event_cancel(struct sp_app_event *ev);
/* Tells `ev->view` all that it would have been told so far. */
void sp_event_catch_up(struct sp_app_event *ev);
/* The last yield as whole values; empty when there is none. Valid until the next yield. */
struct sp_slice sp_event_output(struct sp_app_event *ev);
/*
 * What a stream with edits is told of a yield: the first time whole values, then edits. `buf` is
 * used when edits have to be made up.
 */
struct sp_slice sp_event_edits(struct sp_app_event *ev, struct sp_slice data, bool whole,
                               struct sp_buf *buf);
/* Microseconds since it was dispatched. */
int64_t sp_event_age_us(const struct sp_app_event *ev);
/* Encodes its end (completed, failed, cancelled) with `head`. */
void sp_event_put_end(struct sp_app_event *ev, struct sp_buf *out,
                      const struct sp_gradio_head *head);
void sp_event_failure(struct sp_app_event *ev, struct sp_gradio_failure *ret);
/* Gives the worker what it may send, now that the visitor keeps up. */
void sp_event_credit(struct sp_app_event *ev);
/* Out of every list and map, or as soon as nothing refers to it. */
void sp_event_drop(struct sp_app_event *ev);
/* Whatever still refers to it: only when everything goes. */
void sp_event_free(struct sp_app_event *ev);
/* Dropped, and nothing refers to it any more: frees it. */
void sp_event_free_if_done(struct sp_app_event *ev);
/* Records that it starts; then the call is sent. */
void sp_event_note_dispatch(struct sp_app_event *ev);

/* From app.c: what the scheduler decided. */
void sp_event_dispatch(struct sp_app_event *ev, const struct sp_sched_action *action);
void sp_event_send_cancel(struct sp_app_event *ev);
void sp_event_end(struct sp_app_event *ev, const struct sp_sched_action *action);
void sp_event_estimate(struct sp_app_event *ev, const struct sp_sched_action *action);
/* From app_worker.c: what the worker says. False: it broke the protocol. */
bool sp_event_worker_says(struct sp_app_event *ev, const struct sp_worker_msg *msg,
                          const char **ret_why);
bool sp_event_take_yield(struct sp_app_event *ev, const struct sp_worker_msg *msg);
/* The worker is gone, or said its last word. */
void sp_event_leave_worker(struct sp_app_event *ev);
/* The Space serves: those that were parked join the queue. */
void sp_event_unpark(struct sp_app_space *space);
/* An empty event in a session's list and in the map. */
struct sp_app_event *sp_event_new(struct sp_app_session *session, const struct sp_id *id);
/* Ended events are kept for result.ttl within limit.result_memory. */
void sp_event_keep(struct sp_app_event *ev);
void sp_event_evict(struct sp_turn_item *item);
void sp_event_alarm_result(void *arg, struct sp_alarm *alarm);
void sp_event_alarm_detached(void *arg, struct sp_alarm *alarm);
/* Ends one that the scheduler does not know. */
void sp_event_end_directly(struct sp_app_event *ev, enum sp_sched_outcome outcome, const char *why);

static inline uint64_t sp_event_req(const struct sp_app_event *ev)
{
    uint64_t req;

    memcpy(&req, ev->id.bytes, sizeof(req));
    return req;
}

/* --- app_journal.c ---------------------------------------------------------------------------- */

int sp_app_journal_open(struct sp_apps *apps, const char *dir, struct sp_error *err);
/* The callback of each comes back to app_event.c unless the event needs no journal. */
int sp_event_journal_accepted(struct sp_app_event *ev,
                              void (*done)(void *, const struct sp_error *), struct sp_error *err);
int sp_event_journal_dispatched(struct sp_app_event *ev,
                                void (*done)(void *, const struct sp_error *),
                                struct sp_error *err);
int sp_event_journal_done(struct sp_app_event *ev, void (*done)(void *, const struct sp_error *));
void sp_event_journal_forget(struct sp_app_event *ev);

/* --- session.c -------------------------------------------------------------------------------- */

struct sp_app_session *sp_session_find(struct sp_app_space *space, struct sp_slice name);
/* Finds or makes; NULL when limit.sessions is reached. */
struct sp_app_session *sp_session_need(struct sp_app_space *space, struct sp_slice name);
/* How requests of a Gradio session are shown on its stream. */
extern const struct sp_event_view sp_session_view;
/* Somebody listens: a stream, a page's socket, a client's heartbeat. */
bool sp_session_is_held(const struct sp_app_session *session);
/* Its visitor has come after a restart. */
void sp_session_claim(struct sp_app_session *session);
/* The exchange becomes the session's stream. */
void sp_session_attach(struct sp_app_session *session, struct sp_exchange *ex);
/*
 * Something changed. At the end of the turn: messages leave, the alarm that fits is set, and a
 * session that nothing holds ends. So no caller loses the session under its hands.
 */
void sp_session_settle(struct sp_app_session *session);
/* Cancels what runs or waits, drops what is kept, tells the workers, frees. */
void sp_session_end(struct sp_app_session *session);
/* The daemon stops: the visitor is told, its streams end, what waits stays in the journal. */
void sp_session_goodbye(struct sp_app_session *session);
void sp_session_alarm(void *arg, struct sp_alarm *alarm);
void sp_session_alarm_beat(void *arg, struct sp_alarm *alarm);

/* --- transports ------------------------------------------------------------------------------- */

/* `rest` is the path below the app's root without /gradio_api and without what chose the handler.
 */
typedef void sp_app_handler_fn(struct sp_app_space *space, struct sp_exchange *ex,
                               const char *rest);
/* A worker serves, or one will soon and the functions are known from before. */
bool sp_app_can_join(const struct sp_app_space *space);
bool sp_app_serves(const struct sp_app_space *space);
/* Waits until a worker serves, then handles the request again; 503 when that takes too long. */
void sp_app_hold(struct sp_app_space *space, struct sp_exchange *ex);
void sp_app_release_held(struct sp_app_space *space);
void sp_app_alarm_hold(void *arg, struct sp_alarm *alarm);
/* Why a request cannot be served now. */
void sp_app_describe(const struct sp_app_space *space, char *ret, size_t size);
/* {"detail": sentence} */
void sp_app_reply_detail(struct sp_exchange *ex, int status, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
void sp_app_reply_refused(struct sp_exchange *ex, const struct sp_app_refused *refused);
/* The user's name or NULL. */
const char *sp_app_username(const struct sp_exchange *ex);
/*
 * What is common to every way of joining: finds the session, checks the inputs (states may be left
 * out with `fill_states`), joins. NULL when it has answered `ex`.
 */
struct sp_app_event *sp_app_join_http(struct sp_app_space *space, struct sp_exchange *ex,
                                      const struct sp_gradio_join *body,
                                      const struct sp_worker_function *fn, const char *session,
                                      enum sp_event_kind kind, const struct sp_event_view *view);
/* `data` with a null for each state input; false when the number does not fit. */
bool sp_app_fit_inputs(const struct sp_worker_function *fn, struct sp_slice data, size_t n_data,
                       struct sp_buf *buf, struct sp_slice *ret);

sp_app_handler_fn sp_gradio_config, sp_gradio_info, sp_gradio_join, sp_gradio_data,
    sp_gradio_heartbeat, sp_gradio_cancel, sp_gradio_reset, sp_gradio_status, sp_gradio_app_id,
    sp_gradio_startup, sp_gradio_call, sp_gradio_call_v2, sp_gradio_call_fetch, sp_gradio_run,
    sp_gradio_ws_join, sp_app_live, sp_app_file, sp_app_upload, sp_app_upload_progress,
    sp_gradio_null;

/* What live.c does with a session that has a `live`. */
extern const struct sp_event_view sp_live_view;
void sp_live_free(struct sp_live *live);
bool sp_live_attached(const struct sp_live *live);
/* Bytes kept for a resume. */
uint64_t sp_live_kept(const struct sp_live *live);
void sp_live_flush(struct sp_app_session *session);
void sp_live_stage(struct sp_app_session *session);
void sp_live_bye(struct sp_app_session *session, const char *reason);
/* For the journal: what a resume needs, as hex; and back. */
const char *sp_live_secret(const struct sp_live *live);
void sp_live_restore(struct sp_app_session *session, const char *secret);

void sp_gradio_fetch_alarm(void *arg, struct sp_alarm *alarm);
void sp_live_publish_alarm(void *arg, struct sp_alarm *alarm);
void sp_gradio_ws_alarm(void *arg, struct sp_alarm *alarm);
void sp_gradio_alive_alarm(void *arg, struct sp_alarm *alarm);

/* One of what sp_apps waits for at its end has closed. */
void sp_app_handle_closed(struct sp_apps *apps);

struct sp_files *sp_files_new(struct sp_apps *apps);
void sp_files_close(struct sp_files *files);
void sp_files_space_removed(struct sp_files *files, uint64_t space);

#endif
