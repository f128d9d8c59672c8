#include "runtime/app/app-internal.h"

#include <stdio.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"
#include "runtime/config.h"
#include "runtime/state/journal.h"

/* --- Spaces ------------------------------------------------------------------------------------
 */

struct sp_app_space *sp_app_space_get(struct sp_apps *apps, uint64_t id)
{
    return sp_map_get_u64(&apps->spaces, id);
}

struct sp_app_space *sp_app_space_need(struct sp_apps *apps, uint64_t id)
{
    struct sp_app_space *space = sp_app_space_get(apps, id);

    if (space)
        return space;
    space = sp_new0(struct sp_app_space);
    space->apps = apps;
    space->id = id;
    sp_map_init(&space->sessions);
    sp_list_init(&space->workers);
    sp_list_init(&space->held);
    sp_list_init(&space->parked);
    (void)sp_map_put_u64(&apps->spaces, id, space);
    return space;
}

static void space_free(struct sp_app_space *space)
{
    sp_map_done(&space->sessions);
    free(space->owner);
    free(space->name);
    free(space->root);
    free(space->version_id);
    free(space->stage);
    free(space->reason);
    free(space->config);
    free(space->info);
    free(space->fns);
    free(space);
}

const struct sp_worker_function *sp_app_function(const struct sp_app_space *space, uint32_t fn)
{
    /* Nearly always the entry at its own index; ids may have gaps after a re-render. */
    if (fn < space->n_fns && space->fns[fn].fn == fn)
        return &space->fns[fn];
    for (size_t i = 0; i < space->n_fns; i++)
        if (space->fns[i].fn == fn)
            return &space->fns[i];
    return NULL;
}

const struct sp_worker_function *sp_app_function_named(const struct sp_app_space *space,
                                                       struct sp_slice api_name)
{
    for (size_t i = 0; i < space->n_fns && api_name.len; i++)
        if (sp_slice_eq_str(api_name, space->fns[i].api_name))
            return &space->fns[i];
    return NULL;
}

void sp_app_queue_changed(struct sp_app_space *space)
{
    const struct sp_apps_hooks *hooks = &space->apps->hooks;

    if (hooks->queue_changed && !space->apps->closing)
        hooks->queue_changed(hooks->arg, space->id);
}

static void set_string(char **at, const char *value)
{
    free(*at);
    *at = value ? sp_strdup(value) : NULL;
}

void sp_apps_space_stage(struct sp_apps *apps, uint64_t space_id, const char *stage,
                         const char *reason)
{
    struct sp_app_space *space = sp_app_space_need(apps, space_id);
    struct sp_app_session *session;
    size_t cursor = 0;

    set_string(&space->stage, stage);
    set_string(&space->reason, reason);
    while ((session = sp_map_next(&space->sessions, &cursor, NULL)))
        if (session->live)
            sp_live_stage(session);
    sp_app_release_held(space);
}

void sp_apps_space_removed(struct sp_apps *apps, uint64_t space_id)
{
    struct sp_sched_event event = {.kind = SP_SCHED_SPACE_REMOVE, .space = space_id};
    struct sp_app_space *space = sp_app_space_get(apps, space_id);
    struct sp_app_session *session;
    size_t cursor = 0;

    sp_files_space_removed(apps->files, space_id);
    if (!space)
        return;
    space->removed = true;
    sp_apps_step(apps, &event);
    space->in_sched = false;
    sp_app_release_held(space);
    while ((session = sp_map_next(&space->sessions, &cursor, NULL)))
        sp_session_end(session);
    SP_LIST_EACH (worker, &space->workers, struct sp_app_worker, in_space)
        sp_app_worker_free(worker);
    (void)sp_map_remove_u64(&apps->spaces, space_id);
    space_free(space);
}

/* --- the scheduler -------------------------------------------------------------------------------
 */

struct deferred {
    struct sp_list node;
    struct sp_sched_event event;
    struct sp_sched_fn *fns; /* a copy: the caller's end with its call */
};

static void defer(struct sp_apps *apps, const struct sp_sched_event *event)
{
    struct deferred *later = sp_new0(struct deferred);

    later->event = *event;
    if (event->kind == SP_SCHED_SPACE_SET) {
        later->fns = sp_new0n(struct sp_sched_fn, event->space_set.n_fns + 1);
        memcpy(later->fns, event->space_set.fns, event->space_set.n_fns * sizeof(*later->fns));
        later->event.space_set.fns = later->fns;
    }
    sp_list_append(&apps->deferred, &later->node);
}

static void on_sched_timer(uv_timer_t *timer)
{
    struct sp_apps *apps = timer->data;
    struct sp_sched_event tick = {.kind = SP_SCHED_TICK};

    apps->sched_at_us = 0;
    sp_apps_step(apps, &tick);
}

static void wake_at(struct sp_apps *apps, uint64_t at_us)
{
    uint64_t now = sp_clock_mono_ns() / 1000;
    uint64_t after_ms = at_us > now ? (at_us - now + 999) / 1000 : 0;

    /* A tick too many is harmless, so the timer only moves forward. */
    if ((apps->sched_at_us && apps->sched_at_us <= at_us) || apps->closing)
        return;
    apps->sched_at_us = at_us;
    uv_update_time(apps->loop);
    (void)uv_timer_start(&apps->sched_timer, on_sched_timer, after_ms, 0);
}

static void carry_out(struct sp_apps *apps, const struct sp_sched_action *action)
{
    struct sp_app_event *ev = action->req ? sp_map_get_u64(&apps->events, action->req) : NULL;

    if (action->kind == SP_SCHED_WAKE_AT) {
        wake_at(apps, action->at_us);
        return;
    }
    if (action->kind == SP_SCHED_KILL_WORKER) {
        apps->hooks.kill_worker(apps->hooks.arg, action->worker);
        return;
    }
    if (!ev)
        return;
    switch (action->kind) {
    case SP_SCHED_ADMIT: ev->in_sched = true; break;
    case SP_SCHED_REFUSE:
        if (apps->refused) {
            apps->refused->why = action->refuse.reason == SP_SCHED_QUEUE_FULL ? SP_REFUSED_FULL
                                                                              : SP_REFUSED_FUNCTION;
            apps->refused->max_size = action->refuse.max_size;
            apps->refused->size = action->refuse.size;
        }
        break;
    case SP_SCHED_DISPATCH: sp_event_dispatch(ev, action); break;
    case SP_SCHED_SEND_CANCEL: sp_event_send_cancel(ev); break;
    case SP_SCHED_END: sp_event_end(ev, action); break;
    case SP_SCHED_ESTIMATE: sp_event_estimate(ev, action); break;
    default: break;
    }
}

static void step_now(struct sp_apps *apps, const struct sp_sched_event *event)
{
    struct sp_sched_actions actions = sp_sched_step(apps->sched, event, sp_clock_mono_ns() / 1000);

    for (size_t i = 0; i < actions.count; i++)
        carry_out(apps, &actions.items[i]);
}

void sp_apps_step(struct sp_apps *apps, const struct sp_sched_event *event)
{
    /* Carrying out may cause events; the actions at hand are valid only until the next step. */
    if (apps->stepping) {
        defer(apps, event);
        return;
    }
    apps->stepping = true;
    step_now(apps, event);
    while (!sp_list_empty(&apps->deferred)) {
        struct deferred *next = SP_LIST_TAKE(&apps->deferred, struct deferred, node);

        step_now(apps, &next->event);
        free(next->fns);
        free(next);
    }
    apps->stepping = false;
}

/* --- what is asked ---------------------------------------------------------------------------- */

void sp_apps_queue_counts(struct sp_apps *apps, uint64_t space_id, uint32_t *ret_waiting,
                          uint32_t *ret_running)
{
    struct sp_app_space *space = sp_app_space_get(apps, space_id);
    struct sp_sched_totals totals = {0};

    (void)sp_sched_totals(apps->sched, space_id, &totals);
    if (space)
        SP_LIST_EACH (ev, &space->parked, struct sp_app_event, in_worker) {
            (void)ev;
            totals.waiting++;
        }
    *ret_waiting = totals.waiting;
    *ret_running = totals.running;
}

static uint64_t buffered_bytes(const struct sp_app_space *space)
{
    const struct sp_app_session *session;
    uint64_t sum = 0;
    size_t cursor = 0;

    while ((session = sp_map_next(&space->sessions, &cursor, NULL)))
        sum += session->pending.len + (session->live ? sp_live_kept(session->live) : 0);
    return sum;
}

void sp_apps_stats(const struct sp_apps *apps, struct sp_apps_stats *ret)
{
    size_t cursor = 0;
    const struct sp_app_space *space;

    *ret = apps->stats;
    ret->sessions = apps->n_sessions;
    ret->buffered_bytes = apps->result_bytes;
    ret->waiting = ret->running = 0;
    while ((space = sp_map_next(&apps->spaces, &cursor, NULL))) {
        struct sp_sched_totals totals = {0};

        if (sp_sched_totals(apps->sched, space->id, &totals)) {
            ret->waiting += totals.waiting;
            ret->running += totals.running;
        }
        ret->buffered_bytes += buffered_bytes(space);
    }
}

/* --- life ------------------------------------------------------------------------------------- */

static void read_limits(struct sp_app_limits *limit, const struct sp_config *config)
{
    limit->sessions = sp_config_int(config, "limit.sessions");
    limit->session_events = sp_config_int(config, "limit.session_events");
    limit->waiting = sp_config_int(config, "limit.waiting");
    limit->held = sp_config_int(config, "limit.held");
    limit->result_memory = sp_config_size(config, "limit.result_memory");
    limit->replay = sp_config_size(config, "limit.replay");
    limit->worker_line = sp_config_size(config, "limit.worker_line");
    limit->request_body = sp_config_size(config, "limit.request_body");
    limit->upload = sp_config_size(config, "limit.upload");
    limit->files_per_space = sp_config_size(config, "limit.files_per_space");
    limit->grace_ms = sp_config_duration(config, "queue.grace");
    limit->detached_ms = sp_config_duration(config, "queue.call_detached");
    limit->publish_ms = sp_config_duration(config, "queue.publish");
    limit->cancel_grace_ms = sp_config_duration(config, "queue.cancel_grace");
    limit->max_size = sp_config_int(config, "queue.max_size");
    limit->result_ttl_ms = sp_config_duration(config, "result.ttl");
    limit->upload_ttl_ms = sp_config_duration(config, "upload.ttl");
    limit->output_ttl_ms = sp_config_duration(config, "output.ttl");
}

static void init_alarms(struct sp_apps *apps)
{
    const struct sp_app_limits *limit = &apps->limit;
    const struct sp_alarm_class classes[SP_ALARM_N] = {
        [SP_ALARM_GRACE] = {.after_ms = limit->grace_ms, .fire = sp_session_alarm},
        [SP_ALARM_BEAT] = {.after_ms = SP_APP_BEAT_MS, .fire = sp_session_alarm_beat},
        [SP_ALARM_IDLE] = {.after_ms = limit->result_ttl_ms, .fire = sp_session_alarm},
        [SP_ALARM_RESULT] = {.after_ms = limit->result_ttl_ms, .fire = sp_event_alarm_result},
        [SP_ALARM_DETACHED] = {.after_ms = limit->detached_ms, .fire = sp_event_alarm_detached},
        [SP_ALARM_FOLLOWED] = {.after_ms = SP_APP_BEAT_MS, .fire = sp_gradio_fetch_alarm},
        [SP_ALARM_PUBLISH] = {.after_ms = limit->publish_ms, .fire = sp_live_publish_alarm},
        [SP_ALARM_HOLD] = {.after_ms = SP_APP_HOLD_MS, .fire = sp_app_alarm_hold},
        [SP_ALARM_PING] = {.after_ms = SP_APP_BEAT_MS, .fire = sp_app_worker_alarm},
        [SP_ALARM_SOCKET] = {.after_ms = SP_APP_BEAT_MS, .fire = sp_gradio_ws_alarm},
        [SP_ALARM_ALIVE] = {.after_ms = SP_APP_BEAT_MS, .fire = sp_gradio_alive_alarm},
    };

    memcpy(apps->alarm_classes, classes, sizeof(classes));
    sp_alarms_init(&apps->alarms, apps->loop, apps->alarm_classes, SP_ALARM_N, apps);
}

static void init_ids(struct sp_apps *apps)
{
    uint8_t bytes[8];

    sp_random(&apps->app_id, sizeof(apps->app_id));
    apps->app_id &= (1ull << 53) - 1;
    sp_random(bytes, sizeof(bytes));
    sp_hex(bytes, sizeof(bytes), apps->epoch);
}

static void free_all(struct sp_apps *apps)
{
    struct sp_app_event *ev;
    size_t cursor = 0;

    /* Those that the scheduler still had; the journal keeps what is to be done after the restart.
     */
    while ((ev = sp_map_next(&apps->events, &cursor, NULL)))
        sp_event_free(ev);
    sp_sched_free(apps->sched);
    sp_map_done(&apps->spaces);
    sp_map_done(&apps->workers);
    sp_map_done(&apps->events);
    sp_buf_done(&apps->scratch);
    free(apps->read_buffer);
    free(apps);
}

void sp_app_handle_closed(struct sp_apps *apps)
{
    void (*closed)(void *arg) = apps->closed;
    void *arg = apps->closed_arg;

    if (--apps->closing_handles > 0)
        return;
    free_all(apps);
    if (closed)
        closed(arg);
}

static void on_alarms_closed(uv_handle_t *handle)
{
    sp_app_handle_closed(((struct sp_alarms *)handle->data)->arg);
}

static void on_timer_closed(uv_handle_t *handle)
{
    sp_app_handle_closed(handle->data);
}

static void on_turn_closed(struct sp_turn *turn)
{
    sp_app_handle_closed(SP_CONTAINER(turn, struct sp_apps, turn));
}

static void close_handles(struct sp_apps *apps)
{
    sp_alarms_close(&apps->alarms, on_alarms_closed);
    uv_close((uv_handle_t *)&apps->sched_timer, on_timer_closed);
    sp_turn_close(&apps->turn, on_turn_closed);
}

int sp_apps_new(const struct sp_apps_options *options, struct sp_apps **ret, struct sp_error *err)
{
    struct sp_apps *apps = sp_new0(struct sp_apps);
    struct sp_sched_options sched = {0};
    int r;

    apps->loop = options->loop;
    apps->config = options->config;
    apps->files_dir = options->files_dir;
    apps->hooks = options->hooks;
    read_limits(&apps->limit, options->config);
    sp_list_init(&apps->deferred);
    sp_list_init(&apps->links);
    apps->read_buffer = sp_new0n(char, SP_WORKER_READ_BUFFER);
    sp_buf_init(&apps->scratch, 0);
    init_ids(apps);
    sched.publish_min_us = (uint32_t)(apps->limit.publish_ms * 1000);
    apps->sched = sp_sched_new(&sched);
    sp_turn_init(&apps->turn, apps->loop);
    sp_turn_item_init(&apps->evict, sp_event_evict);
    init_alarms(apps);
    (void)uv_timer_init(apps->loop, &apps->sched_timer);
    apps->sched_timer.data = apps;
    apps->files = sp_files_new(apps);
    apps->closing_handles = 4; /* those three and the files */

    r = sp_app_journal_open(apps, options->journal_dir, err);
    if (r < 0) {
        sp_files_close(apps->files);
        close_handles(apps);
        return r;
    }
    *ret = apps;
    return 0;
}

/* The journal has answered everything: nothing points at an event any more. */
static void on_journal_closed(void *arg)
{
    struct sp_apps *apps = arg;
    struct sp_app_space *space;
    size_t cursor = 0;

    apps->journal = NULL;
    while (!sp_list_empty(&apps->links)) {
        struct sp_app_link *link = SP_LIST_TAKE(&apps->links, struct sp_app_link, node);

        link->orphan(link);
    }
    while ((space = sp_map_next(&apps->spaces, &cursor, NULL))) {
        struct sp_app_session *session;
        size_t at = 0;

        while ((session = sp_map_next(&space->sessions, &at, NULL)))
            sp_session_end(session);
        SP_LIST_EACH (worker, &space->workers, struct sp_app_worker, in_space)
            sp_app_worker_free(worker);
        (void)sp_map_remove_u64(&apps->spaces, space->id);
        space_free(space);
    }
    close_handles(apps);
}

static void say_goodbye(struct sp_app_space *space)
{
    struct sp_app_session *session;
    size_t at = 0;

    space->removed = true; /* held requests are refused, not held again */
    sp_app_release_held(space);
    while ((session = sp_map_next(&space->sessions, &at, NULL)))
        sp_session_goodbye(session);
    SP_LIST_EACH (worker, &space->workers, struct sp_app_worker, in_space) {
        sp_alarm_clear(&worker->ping); /* or it pings a worker that has no socket any more */
        sp_worker_close(worker->conn);
        worker->conn = NULL;
    }
}

void sp_apps_close(struct sp_apps *apps, void (*done)(void *arg), void *arg)
{
    struct sp_app_space *space;
    size_t cursor = 0;

    if (apps->closing)
        return;
    apps->closing = true;
    apps->closed = done;
    apps->closed_arg = arg;
    while ((space = sp_map_next(&apps->spaces, &cursor, NULL)))
        say_goodbye(space);
    sp_files_close(apps->files);
    sp_journal_close(apps->journal, on_journal_closed, apps);
}
