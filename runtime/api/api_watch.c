/* docs/api.md: the answers that wait or go on: runtime?wait, events, logs. */
#include "runtime/api/handlers.h"

#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/json.h"
#include "base/mem.h"
#include "runtime/app/app.h"
#include "runtime/state/applog.h"
#include "runtime/config.h"
#include "runtime/daemon.h"
#include "runtime/api/gate.h"
#include "ui-protocol/sse.h"

#define WAIT_MAX_MS    30000
#define KEEP_ALIVE_MS  15000
#define QUEUE_EVERY_MS 1000
#define LOG_WAITS_MAX  ((size_t)8 << 20) /* of a log, for one reader; more is left out, and said */
#define LOG_PIECE      ((size_t)64 << 10)

/*
 * One client that waits for something of one Space. It goes when the client goes, when the Space is
 * deleted, or when it has been answered; its timer's close callback is the only place that frees
 * it.
 */
struct watch {
    struct sp_space_watcher watcher;
    uv_timer_t timer;
    struct sp_exchange *ex; /* NULL once over */
    uint64_t space;
    struct sp_spaces *spaces;
    struct sp_daemon *daemon;
    struct sp_applog_follower *follower; /* logs only */
    struct sp_buf waits;                 /* logs only: events that the client has no room for yet */
    uint64_t left_out;                   /* lines for which there was no room here either */
    bool ends;                           /* when those have left */
    bool is_wait;                        /* counted in daemon->api_waits */
    bool is_stream;
    bool wants_queue; /* events only */
    bool queue_changed;
    bool queue_cooling; /* a count was sent within the last second */
};

static void on_closed(uv_handle_t *handle)
{
    struct watch *watch = handle->data;

    sp_buf_done(&watch->waits);
    free(watch);
}

/* Lets go of everything; the exchange has been answered or is gone. */
static void over(struct watch *watch)
{
    if (!watch->ex)
        return;
    watch->daemon->api_waits -= watch->is_wait;
    watch->ex = NULL;
    sp_space_unwatch(&watch->watcher);
    if (watch->follower)
        sp_applog_unfollow(SP_TAKE(watch->follower));
    uv_close((uv_handle_t *)&watch->timer, on_closed);
}

static void on_gone(void *arg)
{
    over(arg);
}

static void end_stream(struct watch *watch)
{
    struct sp_exchange *ex = watch->ex;

    if (!ex)
        return;
    sp_exchange_on_gone(ex, NULL, NULL);
    over(watch);
    sp_stream_end(ex);
}

static struct watch *watch_new(struct sp_exchange *ex, struct sp_space *space)
{
    struct watch *watch = sp_new0(struct watch);

    watch->ex = ex;
    watch->space = space->id;
    watch->spaces = space->all;
    watch->daemon = sp_daemon_of(ex);
    sp_buf_init(&watch->waits, 0);
    sp_list_init(&watch->watcher.node);
    (void)uv_timer_init(watch->daemon->loop, &watch->timer);
    watch->timer.data = watch;
    sp_exchange_on_gone(ex, on_gone, watch);
    return watch;
}

static void send_json(struct watch *watch, json_t *consumed)
{
    SP_AUTO_JSON json_t *doc = consumed;
    SP_AUTO_BUF struct sp_buf text;
    SP_AUTO_BUF struct sp_buf event;

    if (!watch->ex)
        return;
    sp_buf_init(&text, 0);
    sp_buf_init(&event, 0);
    (void)sp_json_dump(doc, &text);
    sp_sse_put_data(&event, sp_buf_slice(&text));
    if (!sp_stream_write(watch->ex, sp_buf_slice(&event)))
        end_stream(watch); /* it does not read: it may connect again */
}

static void start_stream(struct watch *watch)
{
    watch->is_stream = true;
    sp_reply_header(watch->ex, "Cache-Control", "no-store");
    sp_reply_header(watch->ex, "X-Accel-Buffering", "no");
    sp_stream_start(watch->ex, 200, "text/event-stream");
}

/* --- runtime ---------------------------------------------------------------------------------- */

static void answer_runtime(struct watch *watch)
{
    struct sp_exchange *ex = watch->ex;
    struct sp_space *space = sp_spaces_by_id(watch->spaces, watch->space);

    sp_exchange_on_gone(ex, NULL, NULL);
    over(watch);
    if (space)
        sp_reply_json(ex, 200, sp_space_runtime_json(ex, space));
    else
        sp_reply_problem(ex, 404, "not_found", "the Space was deleted");
}

static void on_runtime_change(struct sp_space_watcher *watcher, struct sp_space *space)
{
    struct watch *watch = SP_CONTAINER(watcher, struct watch, watcher);

    if (sp_stage_is_final(space->stage) || space->stage == SP_STAGE_DELETING)
        answer_runtime(watch);
}

static void on_runtime_timeout(uv_timer_t *timer)
{
    answer_runtime(timer->data);
}

/* With `wait`: held until nothing moves any more, or 30 s. */
void sp_api_space_runtime(struct sp_exchange *ex)
{
    struct sp_space *space = sp_gate_space(ex);
    struct sp_daemon *daemon = sp_daemon_of(ex);
    struct watch *watch;

    if (!sp_http_query(sp_exchange_request(ex)->query, "wait").ptr ||
        sp_stage_is_final(space->stage) ||
        daemon->api_waits >= sp_config_int(daemon->config, "limit.api_wait")) {
        sp_reply_json(ex, 200, sp_space_runtime_json(ex, space));
        return;
    }
    sp_exchange_keep(ex);
    watch = watch_new(ex, space);
    watch->is_wait = true;
    daemon->api_waits++;
    watch->watcher.changed = on_runtime_change;
    sp_space_watch(space, &watch->watcher);
    (void)uv_timer_start(&watch->timer, on_runtime_timeout, WAIT_MAX_MS, 0);
}

/* --- events ----------------------------------------------------------------------------------- */

static json_t *stage_json(const struct sp_space *space)
{
    char since[SP_TIME_LEN];

    sp_clock_format(space->since_ms, since);
    return json_pack("{s:s, s:s, s:s}", "stage", sp_stage_to_string(space->stage), "reason",
                     space->reason, "since", since);
}

static void on_stage_event(struct sp_space_watcher *watcher, struct sp_space *space)
{
    struct watch *watch = SP_CONTAINER(watcher, struct watch, watcher);

    if (!sp_gate_may_read(sp_exchange_user(watch->ex), space)) {
        end_stream(watch); /* it has become private */
        return;
    }
    send_json(watch, stage_json(space));
    if (space->stage == SP_STAGE_DELETING)
        end_stream(watch);
}

static void on_events_tick(uv_timer_t *timer);

static void send_queue(struct watch *watch)
{
    struct sp_space *space = sp_spaces_by_id(watch->spaces, watch->space);
    uint32_t waiting = 0;
    uint32_t running = 0;

    if (!space)
        return;
    watch->queue_changed = false;
    watch->queue_cooling = true;
    sp_apps_queue_counts(space->all->apps, space->id, &waiting, &running);
    (void)uv_timer_start(&watch->timer, on_events_tick, QUEUE_EVERY_MS, 0);
    send_json(watch, json_pack("{s:{s:I, s:I}}", "queue", "waiting", (json_int_t)waiting, "running",
                               (json_int_t)running));
}

/* Either the second is over in which no further count may be sent, or the stream has been silent.
 */
static void on_events_tick(uv_timer_t *timer)
{
    struct watch *watch = timer->data;
    bool was_cooling = watch->queue_cooling;

    watch->queue_cooling = false;
    if (watch->queue_changed) {
        send_queue(watch);
        return;
    }
    (void)uv_timer_start(timer, on_events_tick, KEEP_ALIVE_MS, 0);
    if (!was_cooling && watch->ex && !sp_stream_write(watch->ex, SP_SLICE(": still here\n\n")))
        end_stream(watch);
}

void sp_api_queue_changed(struct sp_space *space)
{
    SP_LIST_EACH (watcher, &space->watchers, struct sp_space_watcher, node) {
        struct watch *watch;

        if (watcher->changed != on_stage_event)
            continue;
        watch = SP_CONTAINER(watcher, struct watch, watcher);
        watch->queue_changed = true;
        if (!watch->queue_cooling)
            send_queue(watch);
    }
}

void sp_api_space_events(struct sp_exchange *ex)
{
    struct sp_space *space = sp_gate_space(ex);
    struct watch *watch = watch_new(ex, space);

    watch->watcher.changed = on_stage_event;
    sp_space_watch(space, &watch->watcher);
    start_stream(watch);
    send_json(watch, stage_json(space));
    if (watch->ex)
        send_queue(watch);
}

/* --- logs ------------------------------------------------------------------------------------- */

/* The Hub's form: the line with its end in it. */
static void put_line(struct sp_buf *event, int64_t wall_ms, struct sp_slice line)
{
    char time[SP_TIME_LEN];

    sp_clock_format(wall_ms, time);
    (void)sp_buf_append_str(event, "data: {\"data\":");
    (void)sp_buf_append_json_string(event, line);
    event->len--; /* the closing quote moves behind the line end */
    (void)sp_buf_printf(event, "\\n\",\"timestamp\":\"%s\"}\n\n", time);
}

static void send_line(void *arg, int64_t wall_ms, struct sp_slice line)
{
    struct watch *watch = arg;
    SP_AUTO_BUF struct sp_buf event;

    if (!watch->ex)
        return;
    sp_buf_init(&event, 0);
    put_line(&event, wall_ms, line);
    if (!watch->waits.len && sp_stream_write(watch->ex, sp_buf_slice(&event)))
        return;
    if (watch->waits.len + event.len <= LOG_WAITS_MAX)
        (void)sp_buf_append_slice(&watch->waits, sp_buf_slice(&event));
    else
        watch->left_out++;
}

static void say_left_out(struct watch *watch)
{
    SP_AUTO_FREE char *text =
        sp_asprintf("===== %llu lines are left out here: they were not read in time",
                    (unsigned long long)watch->left_out);

    watch->left_out = 0;
    send_line(watch, sp_clock_wall_ms(), sp_slice_str(text));
}

/* The client has room again: as much of what waits as it takes, then the end if it is due. */
static void on_log_drain(void *arg)
{
    struct watch *watch = arg;
    size_t at = 0;

    while (at < watch->waits.len) {
        size_t len = watch->waits.len - at < LOG_PIECE ? watch->waits.len - at : LOG_PIECE;

        if (!sp_stream_write(watch->ex, sp_slice(watch->waits.data + at, len)))
            break;
        at += len;
    }
    sp_buf_consume(&watch->waits, at);
    if (watch->waits.len)
        return;
    sp_buf_done(&watch->waits);
    if (watch->left_out)
        say_left_out(watch);
    if (watch->ends && !watch->waits.len)
        end_stream(watch);
}

static void end_log(struct watch *watch)
{
    watch->ends = true;
    if (!watch->waits.len)
        end_stream(watch);
}

static void on_log_end(void *arg)
{
    struct watch *watch = arg;

    watch->follower = NULL;
    end_log(watch);
}

static void on_log_tick(uv_timer_t *timer)
{
    struct watch *watch = timer->data;

    if (watch->ex && !watch->waits.len && !sp_stream_write(watch->ex, SP_SLICE(": still here\n\n")))
        end_stream(watch);
}

void sp_api_space_logs(struct sp_exchange *ex)
{
    struct sp_slice query = sp_exchange_request(ex)->query;
    struct sp_space *space = sp_gate_space(ex);
    const struct sp_config *config = sp_daemon_of(ex)->config;
    bool follow = sp_slice_eq_str(sp_http_query(query, "follow"), "1");
    struct watch *watch;
    uint64_t lines = 500;

    if (follow && sp_applog_followers(space->log) >= sp_config_int(config, "limit.log_followers")) {
        sp_reply_problem(ex, 429, "limit", "too many follow this output (limit.log_followers)");
        return;
    }
    (void)sp_parse_u64(sp_http_query(query, "lines"), 5000, &lines);
    watch = watch_new(ex, space);
    start_stream(watch);
    sp_stream_on_drain(ex, on_log_drain, watch);
    sp_applog_tail(space->log, lines, send_line, watch);
    if (follow)
        watch->follower = sp_applog_follow(space->log, send_line, on_log_end, watch);
    if (!watch->follower) {
        end_log(watch);
        return;
    }
    (void)uv_timer_start(&watch->timer, on_log_tick, KEEP_ALIVE_MS, KEEP_ALIVE_MS);
}
