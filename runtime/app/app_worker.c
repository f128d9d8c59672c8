/* Workers of a Space: what they say, which of them serves, and what follows when one goes. */
#include "runtime/app/app-internal.h"

#include <stdio.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"
#include "base/scan.h"
#include "runtime/app/files.h"

struct sp_app_worker *sp_app_worker_find(struct sp_apps *apps, uint64_t id)
{
    return sp_map_get_u64(&apps->workers, id);
}

void sp_app_worker_free(struct sp_app_worker *worker)
{
    struct sp_apps *apps = worker->space->apps;

    SP_LIST_EACH (ev, &worker->events, struct sp_app_event, in_worker)
        sp_event_leave_worker(ev);
    if (worker->space->serving == worker)
        worker->space->serving = NULL;
    sp_worker_close(worker->conn);
    sp_alarm_clear(&worker->ping);
    sp_turn_forget(&worker->idle);
    sp_list_remove(&worker->in_space);
    (void)sp_map_remove_u64(&apps->workers, worker->id);
    free(worker->app_file);
    free(worker->version_id);
    free(worker->config);
    free(worker->info);
    free(worker->fns);
    free(worker);
}

void sp_app_worker_break(struct sp_app_worker *worker, const char *why)
{
    if (!worker->conn)
        return;
    /* One that is being retired was asked to go. */
    sp_log(worker->draining ? SP_LOG_DEBUG : SP_LOG_WARN, "worker.broken",
           "space=%s/%s worker=%llu why=%s", worker->space->owner, worker->space->name,
           (unsigned long long)worker->id, sp_log_quoted(why));
    sp_worker_close(worker->conn);
    worker->conn = NULL;
    sp_alarm_clear(&worker->ping);
    if (worker->answered && worker->start.broken) {
        worker->start.broken(worker->start.arg, worker->id, why);
    } else if (!worker->answered && worker->start.failed) {
        worker->answered = true;
        worker->start.failed(worker->start.arg, worker->id, "RUNTIME_ERROR", why);
    }
}

static void on_broken(void *arg, const char *why)
{
    sp_app_worker_break(arg, why);
}

void sp_app_worker_alarm(void *arg, struct sp_alarm *alarm)
{
    struct sp_app_worker *worker = SP_CONTAINER(alarm, struct sp_app_worker, ping);
    struct sp_apps *apps = arg;

    if (!worker->held && !sp_worker_ping(worker->conn)) {
        sp_app_worker_break(worker, "the app did not answer two pings");
        return;
    }
    sp_alarm_set(&apps->alarms, SP_ALARM_PING, &worker->ping);
}

/* --- ready and failed ----------------------------------------------------------------------------
 */

/* `"key": true` at the top of the config, which has been scanned to be an object. */
static bool config_has(struct sp_slice config, const char *key)
{
    struct sp_scan_field field = {.key = key};

    return sp_scan_object(config, &field, 1, NULL) == 0 && field.kind != SP_SCAN_ABSENT;
}

static bool wants_heartbeat(const struct sp_app_worker *worker)
{
    for (size_t i = 0; i < worker->n_fns; i++)
        if (worker->fns[i].n_state_inputs)
            return true;
    return false;
}

/*
 * The config without its closing brace: what the daemon knows is put at its end for each answer. A
 * key that the app sends although it is the daemon's comes first and so loses: every JSON reader of
 * the clients takes the last.
 */
static void keep_config(struct sp_app_worker *worker, struct sp_slice config)
{
    struct sp_buf text;
    size_t len = config.len;

    while (len && config.ptr[len - 1] != '}')
        len--;
    sp_buf_init(&text, 0);
    (void)sp_buf_append(&text, config.ptr, len ? len - 1 : 0);
    if (!config_has(config, "connect_heartbeat"))
        (void)sp_buf_printf(&text, "%s\"connect_heartbeat\":%s", text.len > 1 ? "," : "",
                            wants_heartbeat(worker) ? "true" : "false");
    worker->config = sp_buf_steal(&text, &worker->config_len);
}

static void on_ready(struct sp_app_worker *worker, const struct sp_worker_msg *msg)
{
    struct sp_error err;

    if (sp_worker_functions_decode(msg->functions, &worker->fns, &worker->n_fns, &err) < 0) {
        (void)sp_error_wrap(&err, "protocol error");
        sp_app_worker_break(worker, err.msg);
        return;
    }
    keep_config(worker, msg->config);
    worker->info = sp_strndup(msg->info.ptr, msg->info.len);
    worker->info_len = msg->info.len;
    worker->max_size = msg->max_size;
    worker->max_threads = msg->max_threads ? msg->max_threads : 1;
    worker->answered = true;
    sp_alarm_set(&worker->space->apps->alarms, SP_ALARM_PING, &worker->ping);
    if (worker->start.ready)
        worker->start.ready(worker->start.arg, worker->id);
}

/* The raw string without its quotes and escapes, cut to the buffer. */
static void plain_text(struct sp_slice raw, char *ret, size_t size)
{
    struct sp_scan_field field = {.kind = SP_SCAN_STRING, .value = raw};

    if (raw.len < 2 || !sp_scan_get_string(&field, ret, size))
        (void)snprintf(ret, size, "the app gave no readable reason");
}

static void on_failed(struct sp_app_worker *worker, const struct sp_worker_msg *msg)
{
    char text[4096];

    plain_text(msg->message, text, sizeof(text));
    worker->answered = true;
    if (worker->start.failed)
        worker->start.failed(worker->start.arg, worker->id, msg->stage, text);
}

static void on_event_message(struct sp_app_worker *worker, const struct sp_worker_msg *msg)
{
    struct sp_app_event *ev = sp_app_event_find(worker->space, &msg->id);
    const char *why = NULL;

    /* About an attempt that is over, or one that another worker has: stale, not wrong. */
    if (!ev || ev->worker != worker || ev->attempt != msg->attempt || !ev->call_sent)
        return;
    if (!sp_event_worker_says(ev, msg, &why))
        sp_app_worker_break(worker, why);
}

static void on_message(void *arg, const struct sp_worker_msg *msg)
{
    struct sp_app_worker *worker = arg;

    switch (msg->type) {
    case SP_WORKER_READY:
    case SP_WORKER_FAILED:
        if (worker->answered)
            sp_app_worker_break(worker, "protocol error: ready or failed was sent twice");
        else if (msg->type == SP_WORKER_READY)
            on_ready(worker, msg);
        else
            on_failed(worker, msg);
        break;
    case SP_WORKER_PONG: break;
    default: on_event_message(worker, msg); break;
    }
}

/* --- start, serve, retire, gone --------------------------------------------------------------- */

static void name_space(struct sp_app_space *space, const struct sp_app_worker_start *start)
{
    if (space->owner)
        return;
    space->owner = sp_strdup(start->owner);
    space->name = sp_strdup(start->name);
    space->root = sp_asprintf("/app/%s/%s", start->owner, start->name);
}

static void run_idle(struct sp_turn_item *item);

static struct sp_app_worker *worker_new(struct sp_apps *apps,
                                        const struct sp_app_worker_start *start)
{
    struct sp_app_space *space = sp_app_space_need(apps, start->space);
    struct sp_app_worker *worker = sp_new0(struct sp_app_worker);

    name_space(space, start);
    worker->space = space;
    worker->id = start->worker;
    worker->start = *start;
    worker->app_file = sp_strdup(start->app_file ? start->app_file : "app.py");
    worker->version_id = sp_strdup(start->version_id ? start->version_id : "");
    sp_list_init(&worker->events);
    sp_alarm_init(&worker->ping);
    sp_turn_item_init(&worker->idle, run_idle);
    sp_list_init(&worker->in_space);
    sp_list_append(&space->workers, &worker->in_space);
    (void)sp_map_put_u64(&apps->workers, worker->id, worker);
    return worker;
}

void sp_apps_worker_start(struct sp_apps *apps, const struct sp_app_worker_start *start)
{
    struct sp_app_worker *worker = worker_new(apps, start);
    SP_AUTO_FREE char *space = sp_asprintf("%s/%s", start->owner, start->name);
    const struct sp_worker_options options = {
        .loop = apps->loop,
        .turn = &apps->turn,
        .read_buffer = apps->read_buffer,
        .line_max = (size_t)apps->limit.worker_line,
        .write_max = SP_APP_BACKLOG_MAX * 4,
        .message = on_message,
        .broken = on_broken,
        .wanted = sp_app_worker_wanted,
        .arg = worker,
    };
    const struct sp_worker_hello hello = {
        .app_file = worker->app_file, .space = space, .root = worker->space->root, .threads = 40};
    struct sp_error err;

    if (sp_worker_new(&options, start->take_fd, &worker->conn, &err) < 0) {
        /* Told later, as any other failure: never from inside of the start. */
        sp_log(SP_LOG_ERROR, "worker.socket", "worker=%llu err=%s", (unsigned long long)worker->id,
               sp_log_quoted(err.msg));
        sp_turn_later(&apps->turn, &worker->idle);
        return;
    }
    sp_worker_put_hello(sp_worker_out(worker->conn), &hello);
}

static void step(struct sp_apps *apps, enum sp_sched_event_kind kind,
                 const struct sp_app_worker *worker)
{
    struct sp_sched_event event = {.kind = kind, .space = worker->space->id, .worker = worker->id};

    if (kind == SP_SCHED_WORKER_UP)
        event.worker_up.slots = worker->max_threads;
    sp_apps_step(apps, &event);
}

static uint32_t max_waiting(const struct sp_app_space *space)
{
    /* 0 is how the setting says "none"; an app may really say 0. */
    uint64_t max = space->apps->limit.max_size ? space->apps->limit.max_size : SP_SCHED_UNLIMITED;

    if (space->max_size >= 0)
        max = (uint64_t)space->max_size;
    return max < SP_SCHED_UNLIMITED ? (uint32_t)max : SP_SCHED_UNLIMITED;
}

static void set_space(struct sp_app_space *space)
{
    struct sp_sched_fn *fns = sp_new0n(struct sp_sched_fn, space->n_fns + 1);
    struct sp_sched_event event = {.kind = SP_SCHED_SPACE_SET, .space = space->id};

    for (size_t i = 0; i < space->n_fns; i++) {
        fns[i].fn = space->fns[i].fn;
        fns[i].group = space->fns[i].group;
        fns[i].limit = space->fns[i].limit ? space->fns[i].limit : SP_SCHED_UNLIMITED;
    }
    event.space_set.fns = fns;
    event.space_set.n_fns = space->n_fns;
    event.space_set.max_size = max_waiting(space);
    event.space_set.max_running = space->max_threads;
    event.space_set.cancel_grace_us = (uint32_t)(space->apps->limit.cancel_grace_ms * 1000);
    sp_apps_step(space->apps, &event);
    space->in_sched = true;
    free(fns);
}

/* What `ready` said becomes the Space's. */
static void move_description(struct sp_app_space *space, struct sp_app_worker *worker)
{
    free(space->config);
    free(space->info);
    free(space->fns);
    free(space->version_id);
    space->config = SP_TAKE(worker->config);
    space->config_len = worker->config_len;
    space->info = SP_TAKE(worker->info);
    space->info_len = worker->info_len;
    space->fns = SP_TAKE(worker->fns);
    space->n_fns = worker->n_fns;
    space->max_size = worker->max_size;
    space->max_threads = worker->max_threads;
    space->version_id = sp_strdup(worker->version_id);
}

static void drain(struct sp_app_worker *worker)
{
    if (worker->draining)
        return;
    worker->draining = true;
    if (worker->is_up)
        step(worker->space->apps, SP_SCHED_WORKER_DRAIN, worker);
}

void sp_apps_worker_serve(struct sp_apps *apps, uint64_t id)
{
    struct sp_app_worker *worker = sp_app_worker_find(apps, id);
    struct sp_app_space *space;

    if (!worker || !worker->conn || !worker->config || worker->is_up || worker->draining)
        return;
    space = worker->space;
    space->used_ms = uv_now(apps->loop);
    SP_LIST_EACH (other, &space->workers, struct sp_app_worker, in_space)
        if (other != worker && other->is_up)
            drain(other);
    move_description(space, worker);
    set_space(space);
    sp_event_unpark(space);
    space->serving = worker;
    worker->is_up = true;
    step(apps, SP_SCHED_WORKER_UP, worker);
    sp_files_watch(apps->files); /* from now on it may make some */
    sp_app_release_held(space);
}

/* A worker that could not even be opened reports through the same item. */
static void run_idle(struct sp_turn_item *item)
{
    struct sp_app_worker *worker = SP_CONTAINER(item, struct sp_app_worker, idle);
    void (*on_idle)(void *arg, uint64_t id) = worker->on_idle;

    if (!worker->conn && !worker->answered) {
        worker->answered = true;
        if (worker->start.failed)
            worker->start.failed(worker->start.arg, worker->id, "RUNTIME_ERROR",
                                 "the app's socket could not be opened");
        return;
    }
    if (!on_idle || !sp_list_empty(&worker->events))
        return;
    worker->on_idle = NULL;
    if (worker->conn)
        sp_worker_put_shutdown(sp_worker_out(worker->conn), 0);
    on_idle(worker->on_idle_arg, worker->id);
}

void sp_app_worker_check_idle(struct sp_app_worker *worker)
{
    if (worker->on_idle && sp_list_empty(&worker->events))
        sp_turn_later(&worker->space->apps->turn, &worker->idle);
}

/* Calls back for an id that nobody knows. */
struct orphan {
    uv_timer_t timer;
    uint64_t worker;
    void (*on_idle)(void *arg, uint64_t worker);
    void *arg;
};

static void on_orphan_closed(uv_handle_t *handle)
{
    free(handle->data);
}

static void on_orphan(uv_timer_t *timer)
{
    struct orphan *orphan = timer->data;

    orphan->on_idle(orphan->arg, orphan->worker);
    uv_close((uv_handle_t *)timer, on_orphan_closed);
}

static void idle_later(struct sp_apps *apps, uint64_t worker,
                       void (*on_idle)(void *arg, uint64_t worker), void *arg)
{
    struct orphan *orphan = sp_new0(struct orphan);

    *orphan = (struct orphan){.worker = worker, .on_idle = on_idle, .arg = arg};
    (void)uv_timer_init(apps->loop, &orphan->timer);
    orphan->timer.data = orphan;
    (void)uv_timer_start(&orphan->timer, on_orphan, 0, 0);
}

void sp_apps_worker_retire(struct sp_apps *apps, uint64_t id,
                           void (*on_idle)(void *arg, uint64_t worker), void *arg)
{
    struct sp_app_worker *worker = sp_app_worker_find(apps, id);

    if (!worker) {
        idle_later(apps, id, on_idle, arg);
        return;
    }
    worker->on_idle = on_idle;
    worker->on_idle_arg = arg;
    if (worker->space->serving == worker)
        worker->space->serving = NULL;
    drain(worker);
    sp_app_worker_check_idle(worker);
}

void sp_apps_worker_gone(struct sp_apps *apps, uint64_t id, const char *why)
{
    struct sp_app_worker *worker = sp_app_worker_find(apps, id);
    struct sp_app_space *space;

    if (!worker)
        return;
    space = worker->space;
    if (space->serving == worker)
        space->serving = NULL;
    SP_LIST_EACH (ev, &worker->events, struct sp_app_event, in_worker)
        if (why && ev->state == SP_EVENT_RUNNING && !ev->error)
            ev->error = sp_strndup(why, strnlen(why, 400));
    if (worker->is_up)
        step(apps, SP_SCHED_WORKER_DOWN, worker);
    sp_app_worker_free(worker);
    sp_app_queue_changed(space);
}
