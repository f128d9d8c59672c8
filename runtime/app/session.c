/* A visitor's session: who listens, what waits for them, and how long it is kept. */
#include "runtime/app/app-internal.h"

#include "base/error.h"
#include "runtime/server/server.h"
#include "ui-protocol/sse.h"

/* Ends that were handed to the stream are kept in case it breaks right after, up to this many. */
#define TOLD_KEPT 16
/* With more than this unread by the client, generators are slowed down to its pace. */
#define SLOW_BYTES ((size_t)256 * 1024)

static bool in_stream(const struct sp_app_event *ev)
{
    return ev->kind == SP_EVENT_SSE || ev->kind == SP_EVENT_LIVE;
}

/* --- life ------------------------------------------------------------------------------------- */

static void on_flush(struct sp_turn_item *item);
static void flush_stream(struct sp_app_session *session);

struct sp_app_session *sp_session_find(struct sp_app_space *space, struct sp_slice name)
{
    return sp_map_get(&space->sessions, name);
}

/* Idle ones are in the order in which they became idle. */
static bool make_room(struct sp_apps *apps)
{
    struct sp_list *idle = &apps->alarm_classes[SP_ALARM_IDLE].set;

    if (apps->n_sessions < apps->limit.sessions)
        return true;
    if (sp_list_empty(idle))
        return false;
    sp_session_end(SP_CONTAINER(idle->next, struct sp_app_session, alarm.node));
    return true;
}

struct sp_app_session *sp_session_need(struct sp_app_space *space, struct sp_slice name)
{
    struct sp_app_session *session = sp_session_find(space, name);

    if (session)
        return session;
    if (!make_room(space->apps))
        return NULL;
    session = sp_alloc0(1, sizeof(*session) + name.len + 1);
    memcpy(session->name, name.ptr, name.len);
    session->space = space;
    sp_list_init(&session->events);
    sp_alarm_init(&session->alarm);
    sp_turn_item_init(&session->flush, on_flush);
    sp_buf_init(&session->pending, 0);
    space->apps->n_sessions++;
    (void)sp_map_put(&space->sessions, name, session);
    sp_session_settle(session);
    return session;
}

static struct sp_exchange *stream_of(const struct sp_app_session *session)
{
    struct sp_apps *apps = session->space->apps;

    return session->stream ? sp_exchange_find(apps->server, session->stream) : NULL;
}

static void end_stream(struct sp_app_session *session)
{
    struct sp_exchange *ex = stream_of(session);

    if (!session->stream)
        return;
    session->stream = 0;
    session->slow = false;
    sp_alarm_clear(&session->alarm);
    if (!ex)
        return;
    sp_exchange_on_gone(ex, NULL, NULL);
    sp_stream_end(ex);
}

/* The workers forget the session's state and run its unload handlers. */
static void tell_workers(struct sp_app_session *session)
{
    if (!session->called)
        return;
    session->called = false;
    SP_LIST_EACH (worker, &session->space->workers, struct sp_app_worker, in_space)
        if (worker->conn && worker->is_up)
            sp_worker_put_session_end(sp_worker_out(worker->conn), sp_slice_str(session->name));
}

void sp_session_end(struct sp_app_session *session)
{
    struct sp_app_space *space = session->space;

    end_stream(session);
    while (!sp_list_empty(&session->events)) {
        struct sp_app_event *ev =
            SP_CONTAINER(session->events.next, struct sp_app_event, in_session);

        if (in_stream(ev))
            ev->view = NULL;
        if (!space->apps->closing)
            sp_app_event_cancel(ev);
        if (session->events.next == &ev->in_session) /* the end of a /run drops it */
            sp_event_drop(ev);
    }
    tell_workers(session);
    sp_live_free(session->live);
    sp_alarm_clear(&session->alarm);
    sp_turn_forget(&session->flush);
    sp_buf_done(&session->pending);
    (void)sp_map_remove(&space->sessions, sp_slice_str(session->name));
    space->apps->n_sessions--;
    free(session);
}

void sp_session_settle(struct sp_app_session *session)
{
    sp_turn_later(&session->space->apps->turn, &session->flush);
}

void sp_session_goodbye(struct sp_app_session *session)
{
    struct sp_exchange *ex = stream_of(session);
    struct sp_buf *scratch = &session->space->apps->scratch;

    if (session->live)
        sp_live_bye(session, "The server is stopping.");
    if (!ex)
        return;
    if (session->closing_stream) { /* its end is on the way */
        end_stream(session);
        return;
    }
    /* The words by which the official clients know a stopped server. */
    sp_buf_reset(scratch);
    sp_gradio_put_unexpected_error(scratch, "Server stopped unexpectedly.", false);
    sp_buf_reset(&session->pending);
    sp_sse_put_data(&session->pending, sp_buf_slice(scratch));
    (void)sp_stream_write(ex, sp_buf_slice(&session->pending));
    end_stream(session);
}

/* --- what the stream is told ------------------------------------------------------------------ */

/* What was said is forgotten; whoever comes next is told how things are then. */
static void lose(struct sp_app_session *session)
{
    session->lossy = true;
    session->closes = session->closing_stream = false;
    sp_buf_done(&session->pending);
    SP_LIST_EACH (ev, &session->events, struct sp_app_event, in_session)
        if (in_stream(ev))
            ev->told = ev->yielded = false;
}

static struct sp_buf *begin(struct sp_app_event *ev, struct sp_gradio_head *head)
{
    *head = (struct sp_gradio_head){.dialect = SP_GRADIO_SSE, .event_id = &ev->id};
    sp_buf_reset(&ev->apps->scratch);
    return &ev->apps->scratch;
}

static void finish(struct sp_app_session *session)
{
    sp_sse_put_data(&session->pending, sp_buf_slice(&session->space->apps->scratch));
    if (!session->stream && session->pending.len > session->space->apps->limit.replay)
        lose(session);
    sp_session_settle(session);
}

static void answer_join(struct sp_app_event *ev)
{
    struct sp_exchange *ex = sp_exchange_find(ev->apps->server, ev->by.ex);
    struct sp_buf *scratch = &ev->apps->scratch;

    ev->reply_later = false;
    if (!ex)
        return;
    sp_buf_reset(scratch);
    sp_gradio_put_event_id(scratch, &ev->id);
    sp_reply(ex, 200, "application/json", sp_buf_slice(scratch));
}

static void view_accepted(struct sp_app_event *ev, const struct sp_error *err)
{
    struct sp_exchange *ex = sp_exchange_find(ev->apps->server, ev->by.ex);

    if (err && ex)
        sp_app_reply_detail(ex, 503, "The request could not be stored: %s", err->msg);
    else if (!err && ev->session->closing_stream)
        ev->reply_later = true; /* or the client takes the old stream for this one's */
    else if (!err)
        answer_join(ev);
    sp_session_settle(ev->session);
}

static void view_estimate(struct sp_app_event *ev)
{
    struct sp_gradio_head head;

    if (ev->session->lossy)
        return;
    sp_gradio_put_estimation(begin(ev, &head), &head, ev->rank, ev->size, ev->eta_us);
    finish(ev->session);
}

static void view_starts(struct sp_app_event *ev)
{
    struct sp_gradio_head head;

    if (ev->session->lossy)
        return;
    sp_gradio_put_starts(begin(ev, &head), &head, ev->eta_us);
    finish(ev->session);
}

static void view_progress(struct sp_app_event *ev, struct sp_slice progress_data)
{
    struct sp_gradio_head head;

    if (ev->session->lossy)
        return;
    sp_gradio_put_progress(begin(ev, &head), &head, progress_data);
    finish(ev->session);
}

static void view_log(struct sp_app_event *ev, const struct sp_gradio_log *log)
{
    struct sp_gradio_head head;

    if (ev->session->lossy)
        return;
    sp_gradio_put_log(begin(ev, &head), &head, log);
    finish(ev->session);
}

static void view_yield(struct sp_app_event *ev, struct sp_slice data, bool whole)
{
    struct sp_gradio_head head;
    struct sp_gradio_output output = {
        .is_generating = true, .run_us = sp_event_age_us(ev), .average_us = ev->average_us};
    struct sp_buf edits SP_AUTO_BUF = {0};

    if (ev->session->lossy)
        return;
    if (ev->session->slow)
        ev->wants_credit = true;
    sp_buf_init(&edits, 0);
    output.data = sp_event_edits(ev, data, whole, &edits);
    sp_gradio_put_generating(begin(ev, &head), &head, &output);
    finish(ev->session);
}

static void view_ended(struct sp_app_event *ev)
{
    struct sp_gradio_head head;

    if (ev->session->lossy || ev->told)
        return;
    sp_event_put_end(ev, begin(ev, &head), &head);
    ev->told = true;
    ev->session->closes = true;
    finish(ev->session);
}

const struct sp_event_view sp_session_view = {
    .accepted = view_accepted,
    .estimate = view_estimate,
    .starts = view_starts,
    .progress = view_progress,
    .log = view_log,
    .yield = view_yield,
    .ended = view_ended,
    .takes_edits = true,
};

/* --- the stream ------------------------------------------------------------------------------- */

static void on_stream_gone(void *arg)
{
    struct sp_app_session *session = arg;

    session->stream = 0;
    session->slow = false;
    sp_alarm_clear(&session->alarm);
    lose(session);
    sp_session_settle(session);
}

static void on_stream_drain(void *arg)
{
    struct sp_app_session *session = arg;

    session->slow = false;
    SP_LIST_EACH (ev, &session->events, struct sp_app_event, in_session)
        if (ev->wants_credit)
            sp_event_credit(ev);
    sp_session_settle(session);
}

void sp_session_claim(struct sp_app_session *session)
{
    if (!session->restored)
        return;
    session->restored = false;
    SP_LIST_EACH (ev, &session->events, struct sp_app_event, in_session)
        if (in_stream(ev) && ev->state != SP_EVENT_ENDED)
            sp_alarm_clear(&ev->alarm); /* it had been set to give up on the visitor */
}

void sp_session_attach(struct sp_app_session *session, struct sp_exchange *ex)
{
    struct sp_apps *apps = session->space->apps;

    if (session->stream) { /* a second one takes over */
        end_stream(session);
        lose(session);
    }
    session->stream = sp_exchange_id(ex);
    sp_session_claim(session);
    sp_stream_start(ex, 200, "text/event-stream; charset=utf-8");
    sp_exchange_on_gone(ex, on_stream_gone, session);
    sp_stream_on_drain(ex, on_stream_drain, session);
    session->in_grace = false;
    sp_alarm_set(&apps->alarms, SP_ALARM_BEAT, &session->alarm);
    if (session->lossy) {
        session->lossy = false;
        SP_LIST_EACH (ev, &session->events, struct sp_app_event, in_session)
            if (ev->kind == SP_EVENT_SSE && ev->view)
                sp_event_catch_up(ev);
    }
    flush_stream(session); /* what is known leaves together with the head */
    sp_session_settle(session);
}

void sp_session_alarm_beat(void *arg, struct sp_alarm *alarm)
{
    struct sp_app_session *session = SP_CONTAINER(alarm, struct sp_app_session, alarm);
    struct sp_apps *apps = arg;

    if (!session->stream)
        return;
    sp_buf_reset(&apps->scratch);
    sp_gradio_put_heartbeat(&apps->scratch);
    finish(session);
    sp_alarm_set(&apps->alarms, SP_ALARM_BEAT, alarm);
}

static bool has_open(const struct sp_app_session *session)
{
    SP_LIST_EACH (ev, &session->events, struct sp_app_event, in_session)
        if (ev->kind == SP_EVENT_SSE && !ev->told && ev->view)
            return true;
    return false;
}

static void drop_told(struct sp_app_session *session, unsigned keep)
{
    unsigned told = 0;

    SP_LIST_EACH (ev, &session->events, struct sp_app_event, in_session)
        told += ev->told;
    SP_LIST_EACH (ev, &session->events, struct sp_app_event, in_session)
        if (ev->told && told > keep) {
            told--;
            sp_event_drop(ev);
        }
}

/* close_stream has reached the kernel: joins that waited for that are answered. */
static void stream_closed(struct sp_app_session *session)
{
    session->closing_stream = false;
    end_stream(session);
    drop_told(session, 0);
    SP_LIST_EACH (ev, &session->events, struct sp_app_event, in_session)
        if (ev->reply_later)
            answer_join(ev);
}

static void put_close(struct sp_app_session *session)
{
    struct sp_buf *scratch = &session->space->apps->scratch;

    session->closes = false;
    session->closing_stream = true;
    session->asked_again = false;
    sp_buf_reset(scratch);
    sp_gradio_put_close_stream(scratch);
    sp_sse_put_data(&session->pending, sp_buf_slice(scratch));
}

/* What comes after close_stream is for the next stream. */
static bool write_pending(struct sp_app_session *session, struct sp_exchange *ex)
{
    if (session->closes && !has_open(session))
        put_close(session);
    if (session->pending.len && !sp_stream_write(ex, sp_buf_slice(&session->pending)))
        return false;
    sp_buf_done(&session->pending);
    if (session->closing_stream)
        sp_stream_put_end(ex);
    return true;
}

static void flush_stream(struct sp_app_session *session)
{
    struct sp_exchange *ex = stream_of(session);

    if (!ex)
        return; /* none, or its end is about to be reported */
    if (!session->closing_stream && !write_pending(session, ex)) {
        sp_exchange_on_gone(ex, NULL, NULL);
        sp_exchange_abort(ex);
        on_stream_gone(session);
        return;
    }
    session->slow = sp_stream_pending(ex) > SLOW_BYTES;
    if (!session->closing_stream) {
        drop_told(session, TOLD_KEPT);
    } else if (sp_stream_pending(ex) == 0) {
        stream_closed(session);
    } else if (!session->asked_again) {
        /* The server hands its output to the kernel right after us; if the kernel does not take all
         * of it then, drain tells. */
        session->asked_again = true;
        sp_session_settle(session);
    }
}

/* --- how long --------------------------------------------------------------------------------- */

static bool has_unended(const struct sp_app_session *session)
{
    SP_LIST_EACH (ev, &session->events, struct sp_app_event, in_session)
        if (in_stream(ev) && ev->state != SP_EVENT_ENDED)
            return true;
    return false;
}

bool sp_session_is_held(const struct sp_app_session *session)
{
    return session->stream || session->n_heartbeats || sp_live_attached(session->live);
}

/* Made for one /call or /run: nobody can come back for it. */
static bool is_private(const struct sp_app_session *session)
{
    return strncmp(session->name, "call:", 5) == 0;
}

static void set_grace(struct sp_app_session *session)
{
    if (session->in_grace)
        return;
    session->in_grace = true;
    sp_alarm_set(&session->space->apps->alarms, SP_ALARM_GRACE, &session->alarm);
}

static void set_alarm(struct sp_app_session *session)
{
    struct sp_apps *apps = session->space->apps;

    if (session->stream)
        return; /* its heartbeat keeps the alarm */
    if (sp_session_is_held(session) && !has_unended(session)) {
        session->in_grace = false;
        sp_alarm_clear(&session->alarm);
    } else if (sp_live_attached(session->live)) {
        session->in_grace = false;
        sp_alarm_clear(&session->alarm);
    } else if (!session->restored && (has_unended(session) || session->had_heartbeat ||
                                      (session->live && session->called))) {
        set_grace(session);
    } else if (session->n_events) {
        session->in_grace = false;
        sp_alarm_clear(&session->alarm); /* each has a time of its own */
    } else if ((session->called && !is_private(session)) || session->live) {
        session->in_grace = false;
        if (sp_list_empty(&session->alarm.node))
            sp_alarm_set(&apps->alarms, SP_ALARM_IDLE, &session->alarm);
    } else {
        sp_session_end(session);
    }
}

static void on_flush(struct sp_turn_item *item)
{
    struct sp_app_session *session = SP_CONTAINER(item, struct sp_app_session, flush);

    if (session->live)
        sp_live_flush(session);
    else
        flush_stream(session);
    set_alarm(session);
}

/* Nobody came back in time, or nothing has happened for long. */
void sp_session_alarm(void *arg, struct sp_alarm *alarm)
{
    struct sp_app_session *session = SP_CONTAINER(alarm, struct sp_app_session, alarm);

    (void)arg;
    if (!session->in_grace) {
        sp_session_end(session);
        return;
    }
    session->in_grace = false;
    SP_LIST_EACH (ev, &session->events, struct sp_app_event, in_session)
        if (in_stream(ev))
            sp_app_event_cancel(ev);
    if (!session->n_heartbeats) {
        session->had_heartbeat = false;
        tell_workers(session);
    }
    sp_session_settle(session);
}
