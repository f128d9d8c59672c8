#include "runtime/spaces/instance.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/fd.h"
#include "base/list.h"
#include "base/log.h"
#include "base/mem.h"
#include "runtime/app/app.h"
#include "runtime/state/applog.h"
#include "runtime/config.h"
#include "runtime/spaces/freezer.h"
#include "runtime/spaces/launcher.h"
#include "runtime/spaces/limit_note.h"
#include "runtime/spaces/resources.h"
#include "runtime/spaces/worker_words.h"
#include "runtime/spaces/zygote.h"

enum phase { SANDBOX_STARTING, WORKER_STARTING, LOADING, READY, CRASHED, DRAINING, STOPPING };

struct sp_instance {
    struct sp_list node;
    struct sp_instances *all;
    struct sp_applog *log;
    struct sp_instance_hooks hooks;
    struct sp_instance_plan plan; /* its strings are ours */
    uint64_t sandbox;
    uint64_t worker;
    enum phase phase;
    bool worker_alive; /* the launcher has one for us */
    bool is_fork;      /* ... and was asked to fork it */
    int held_fd; /* our end of its protocol socket, until the launcher says that it is there */
    struct sp_space_zygote zygote;
    bool end_asked; /* we killed it for the scheduler */
    bool app_knows; /* app.c has the worker's socket */
    uint64_t began_ms;
    uint64_t start_ms;
    uint64_t usage_at_ms;
    bool has_usage;
    struct sp_launch_usage usage;
    uint32_t network;               /* enum sp_launch_network */
    struct sp_launch_limits limits; /* what its sandbox was given */
    char refusal[512];
    struct sp_limit_notes notes;
    struct sp_freezer freezer;
    uv_timer_t timer; /* start timeout, then the freezer's, then the drain */
    bool timer_open;
};

/* Launcher answers come back by sandbox id: the instance may be gone by then. */
struct pending {
    struct sp_instances *all;
    uint64_t sandbox;
};

void sp_instances_init(struct sp_instances *all, uv_loop_t *loop, const struct sp_config *config,
                       struct sp_launcher *launcher, struct sp_apps *apps)
{
    *all = (struct sp_instances){
        .loop = loop,
        .config = config,
        .launcher = launcher,
        .apps = apps,
        .all = sp_new0(struct sp_list),
        .refusals = sp_new0(struct sp_zygote_refusals),
    };
    sp_list_init(all->all);
}

void sp_instances_done(struct sp_instances *all)
{
    free(all->all);
    free(all->refusals);
    all->all = NULL;
    all->refusals = NULL;
}

static struct sp_instance *by_sandbox(struct sp_instances *all, uint64_t sandbox)
{
    SP_LIST_EACH (instance, all->all, struct sp_instance, node)
        if (instance->sandbox == sandbox)
            return instance;
    return NULL;
}

static struct sp_instance *by_worker(struct sp_instances *all, uint64_t worker)
{
    SP_LIST_EACH (instance, all->all, struct sp_instance, node)
        if (instance->worker == worker)
            return instance;
    return NULL;
}

static struct pending *pending_new(struct sp_instance *instance)
{
    struct pending *pending = sp_new0(struct pending);

    pending->all = instance->all;
    pending->sandbox = instance->sandbox;
    return pending;
}

static struct sp_instance *pending_take(void *arg)
{
    struct pending pending = *(struct pending *)arg;

    free(arg);
    return by_sandbox(pending.all, pending.sandbox);
}

/* --- the end ---------------------------------------------------------------------------------- */

static void on_timer_closed(uv_handle_t *handle)
{
    struct sp_instance *instance = handle->data;

    sp_list_remove(&instance->node); /* it uses nothing any more */
    sp_auto_fd(&instance->held_fd);
    instance->hooks.gone(instance->hooks.arg, instance);
    free((char *)instance->plan.owner);
    free((char *)instance->plan.name);
    free((char *)instance->plan.app_file);
    free((char *)instance->plan.snapshot);
    free((char *)instance->plan.host);
    free(instance);
}

static void finish(struct sp_instance *instance)
{
    if (!instance->timer_open)
        return;
    instance->timer_open = false;
    sp_freezer_stop(&instance->freezer);
    uv_close((uv_handle_t *)&instance->timer, on_timer_closed);
}

static void app_gone(struct sp_instance *instance, const char *why)
{
    if (!instance->app_knows)
        return;
    instance->app_knows = false;
    sp_apps_worker_gone(instance->all->apps, instance->worker, why);
}

static void on_sandbox_stopped(void *arg, const struct sp_error *err,
                               const struct sp_launch_msg *reply)
{
    struct sp_instance *instance = pending_take(arg);

    (void)reply;
    if (!instance)
        return;
    if (err) {
        /* It never came to be, or is gone already: nothing else will tell us so. */
        sp_log(SP_LOG_DEBUG, "instance.stop_refused", "sandbox=%llu err=%s",
               (unsigned long long)instance->sandbox, sp_log_quoted(err->msg));
        finish(instance);
    }
}

static void stop_sandbox(struct sp_instance *instance)
{
    struct sp_launch_msg msg;

    instance->phase = STOPPING;
    sp_freezer_stop(&instance->freezer);
    (void)uv_timer_stop(&instance->timer);
    sp_launch_msg_init(&msg, SP_LAUNCH_SANDBOX_STOP);
    msg.sandbox = instance->sandbox;
    msg.stop.grace_ms = (uint32_t)sp_config_duration(instance->all->config, "space.stop_grace");
    sp_launcher_call(instance->all->launcher, &msg, NULL, 0, on_sandbox_stopped,
                     pending_new(instance));
}

/* Before READY: tell once, then take it down. */
static void fail(struct sp_instance *instance, enum sp_stage stage, const char *reason)
{
    enum phase phase = instance->phase;

    if (phase >= READY)
        return;
    sp_applog_note(instance->log, "the app did not start: %s", reason);
    stop_sandbox(instance);
    instance->hooks.failed(instance->hooks.arg, instance, stage, reason);
}

/* --- the start -------------------------------------------------------------------------------- */

static void on_app_ready(void *arg, uint64_t worker)
{
    struct sp_instance *instance = by_worker(arg, worker);

    if (!instance || instance->phase != LOADING)
        return;
    (void)uv_timer_stop(&instance->timer);
    instance->phase = READY;
    instance->start_ms = sp_clock_mono_ms() - instance->began_ms;
    instance->hooks.ready(instance->hooks.arg, instance);
}

static void on_app_failed(void *arg, uint64_t worker, const char *stage_name, const char *message)
{
    struct sp_instance *instance = by_worker(arg, worker);
    enum sp_stage stage = SP_STAGE_RUNTIME_ERROR;

    if (!instance)
        return;
    /* The worker names the stage, but a worker is an app: it may not claim to run. */
    if (!sp_stage_from_string(stage_name, &stage) || sp_stage_is_serving(stage) ||
        !sp_stage_is_final(stage))
        stage = SP_STAGE_RUNTIME_ERROR;
    fail(instance, stage, message);
}

static void kill_worker(struct sp_instance *instance, uint32_t grace_ms)
{
    struct sp_launch_msg msg;

    if (!instance->worker_alive)
        return;
    sp_launch_msg_init(&msg, SP_LAUNCH_WORKER_STOP);
    msg.sandbox = instance->sandbox;
    msg.worker = instance->worker;
    msg.stop.grace_ms = grace_ms;
    sp_launcher_call(instance->all->launcher, &msg, NULL, 0, NULL, NULL);
}

static void on_app_broken(void *arg, uint64_t worker, const char *why)
{
    struct sp_instance *instance = by_worker(arg, worker);

    if (!instance || instance->phase == STOPPING)
        return;
    if (instance->phase < READY) {
        fail(instance, SP_STAGE_RUNTIME_ERROR, why);
        return;
    }
    sp_applog_note(instance->log, "the app is ended: %s", why);
    kill_worker(instance, 0);
}

/* The process is there: from now on app.c talks to it. */
static void attach_app(struct sp_instance *instance)
{
    const struct sp_app_worker_start start = {
        .space = instance->plan.space,
        .worker = instance->worker,
        .owner = instance->plan.owner,
        .name = instance->plan.name,
        .app_file = instance->plan.app_file,
        .version_id = instance->plan.snapshot,
        .take_fd = SP_TAKE_FD(instance->held_fd),
        .ready = on_app_ready,
        .failed = on_app_failed,
        .broken = on_app_broken,
        .arg = instance->all,
    };

    instance->phase = LOADING;
    instance->app_knows = true;
    sp_apps_worker_start(instance->all->apps, &start);
}

static void start_worker(struct sp_instance *instance);

static void on_worker_started(void *arg, const struct sp_error *err,
                              const struct sp_launch_msg *reply)
{
    struct sp_instance *instance = pending_take(arg);

    (void)reply;
    if (!instance)
        return;
    if (err)
        instance->worker_alive = false;
    if (instance->phase != WORKER_STARTING)
        return; /* it is being stopped, with all that is in its sandbox */
    if (!err) {
        attach_app(instance);
    } else if (instance->is_fork) {
        sp_space_zygote_off(&instance->zygote, instance->all->launcher, instance->log, err->msg);
        instance->worker = ++instance->all->last_id;
        start_worker(instance);
    } else {
        fail(instance, SP_STAGE_RUNTIME_ERROR, err->msg);
    }
}

/* By a fork of the zygote where there is one, else from nothing. */
static void start_worker(struct sp_instance *instance)
{
    const char *argv[] = {"/usr/bin/python3", "/opt/spacekit/worker.py", NULL};
    struct sp_launch_msg msg;
    struct sp_error err = {0};
    int socks[2] = {-1, -1};
    int pipes[2] = {-1, -1};

    instance->phase = WORKER_STARTING;
    if (sp_worker_channels_open(socks, pipes, &err) < 0) {
        fail(instance, SP_STAGE_RUNTIME_ERROR, err.msg);
        return;
    }
    sp_launch_msg_init(&msg, SP_LAUNCH_WORKER_START);
    msg.sandbox = instance->sandbox;
    msg.worker = instance->worker;
    sp_worker_words_pack(instance->all->config, &instance->plan, instance->network, argv, &msg);
    instance->is_fork = instance->zygote.state == SP_ZYGOTE_READY;
    msg.worker_start.how = instance->is_fork ? SP_LAUNCH_FORK : SP_LAUNCH_EXEC;

    instance->worker_alive = true;
    sp_auto_fd(&instance->held_fd);
    instance->held_fd = socks[0];
    if (sp_applog_take_pipe(instance->log, pipes[0], &err) < 0)
        sp_log(SP_LOG_WARN, "applog.pipe", "err=%s", sp_log_quoted(err.msg));
    sp_launcher_call(instance->all->launcher, &msg, (int[]){socks[1], pipes[1]},
                     SP_LAUNCH_WORKER_FDS, on_worker_started, pending_new(instance));
}

static void on_zygote_answered(void *arg, const struct sp_error *err,
                               const struct sp_launch_msg *reply)
{
    struct sp_instance *instance = pending_take(arg);

    (void)reply;
    if (!instance || instance->phase != WORKER_STARTING)
        return;
    sp_space_zygote_answered(&instance->zygote, instance->all->refusals, instance->plan.snapshot,
                             instance->log, err);
    start_worker(instance);
}

/* The first worker waits for it; see zygote.h. */
static bool start_zygote(struct sp_instance *instance)
{
    const char *argv[] = {"/usr/bin/python3", "/opt/spacekit/worker.py", "--zygote",
                          instance->plan.app_file, NULL};
    struct pending *pending;
    struct sp_launch_msg msg;

    if (!sp_space_zygote_wanted(instance->all->config, instance->all->refusals,
                                instance->plan.snapshot))
        return false;
    sp_launch_msg_init(&msg, SP_LAUNCH_WORKER_START);
    msg.sandbox = instance->sandbox;
    msg.worker = ++instance->all->last_id;
    sp_worker_words_pack(instance->all->config, &instance->plan, instance->network, argv, &msg);
    pending = pending_new(instance);
    if (sp_space_zygote_start(&instance->zygote, instance->all->launcher, instance->log, &msg,
                              on_zygote_answered, pending))
        return true;
    free(pending);
    return false;
}

static void on_sandbox_started(void *arg, const struct sp_error *err,
                               const struct sp_launch_msg *reply)
{
    struct sp_instance *instance = pending_take(arg);

    (void)reply;
    if (!instance)
        return;
    if (instance->phase != SANDBOX_STARTING) {
        /* Stopped meanwhile. A start that failed leaves nothing, so nothing else will tell us so.
         */
        if (err)
            finish(instance);
        return;
    }
    if (err) {
        fail(instance, SP_STAGE_RUNTIME_ERROR, err->msg);
        return;
    }
    instance->phase = WORKER_STARTING;
    if (!start_zygote(instance))
        start_worker(instance);
}

static void on_start_timeout(uv_timer_t *timer)
{
    struct sp_instance *instance = timer->data;
    uint64_t limit_ms = sp_config_duration(instance->all->config, "space.start_timeout");
    SP_AUTO_FREE char *reason =
        sp_asprintf("the app did not answer within %llu s (space.start_timeout)",
                    (unsigned long long)(limit_ms / 1000));

    fail(instance, SP_STAGE_RUNTIME_ERROR, reason);
}

static void start_timeout(struct sp_instance *instance)
{
    (void)uv_timer_start(&instance->timer, on_start_timeout,
                         sp_config_duration(instance->all->config, "space.start_timeout"), 0);
}

/* The host's settings no longer have what the Space was promised: told from the loop, as all is. */
static void on_refused(uv_timer_t *timer)
{
    struct sp_instance *instance = timer->data;

    fail(instance, SP_STAGE_CONFIG_ERROR, instance->refusal);
}

struct sp_instance *sp_instance_start(struct sp_instances *all, const struct sp_instance_plan *plan,
                                      struct sp_applog *log, const struct sp_instance_hooks *hooks)
{
    struct sp_instance *instance = sp_new0(struct sp_instance);
    struct sp_error err = {0};
    struct sp_launch_msg msg;

    instance->all = all;
    instance->log = log;
    instance->hooks = *hooks;
    instance->plan = (struct sp_instance_plan){
        .space = plan->space,
        .owner = sp_strdup(plan->owner),
        .name = sp_strdup(plan->name),
        .app_file = sp_strdup(plan->app_file),
        .snapshot = sp_strdup(plan->snapshot),
        .host = sp_strdup(plan->host),
    };
    instance->sandbox = ++all->last_id;
    instance->worker = ++all->last_id;
    instance->held_fd = -1;
    instance->began_ms = sp_clock_mono_ms();
    sp_list_append(all->all, &instance->node);

    (void)uv_timer_init(all->loop, &instance->timer);
    instance->timer.data = instance;
    instance->timer_open = true;
    start_timeout(instance);

    sp_launch_msg_init(&msg, SP_LAUNCH_SANDBOX_START);
    msg.sandbox = instance->sandbox;
    msg.sandbox_start.space = plan->space;
    (void)snprintf(msg.sandbox_start.snapshot, sizeof(msg.sandbox_start.snapshot), "%s",
                   plan->snapshot);
    (void)snprintf(msg.sandbox_start.hostname, sizeof(msg.sandbox_start.hostname), "space-%08x",
                   (unsigned)plan->space);
    if (sp_resources_fill(all->config, plan->resources, &msg, &err) < 0) {
        (void)snprintf(instance->refusal, sizeof(instance->refusal), "%s", err.msg);
        (void)uv_timer_start(&instance->timer, on_refused, 0, 0);
        return instance;
    }
    instance->limits = msg.sandbox_start.limits;
    instance->network = msg.sandbox_start.network;
    instance->freezer.after_ms = sp_resources_freeze_ms(all->config, plan->resources);
    sp_launcher_call(all->launcher, &msg, NULL, 0, on_sandbox_started, pending_new(instance));
    return instance;
}

void sp_instance_revive(struct sp_instance *instance)
{
    if (instance->phase != CRASHED)
        return;
    instance->worker = ++instance->all->last_id;
    instance->began_ms = sp_clock_mono_ms();
    start_timeout(instance);
    start_worker(instance);
}

/* --- serving and stopping --------------------------------------------------------------------- */

static void on_freezer_time(uv_timer_t *timer)
{
    struct sp_instance *instance = timer->data;

    sp_freezer_on_time(&instance->freezer);
}

static void on_freezer_changed(void *arg, bool frozen)
{
    struct sp_instance *instance = arg;

    instance->hooks.frozen(instance->hooks.arg, instance, frozen);
}

void sp_instance_serve(struct sp_instance *instance)
{
    instance->freezer = (struct sp_freezer){
        .timer = &instance->timer,
        .on_time = on_freezer_time,
        .launcher = instance->all->launcher,
        .apps = instance->all->apps,
        .space = instance->plan.space,
        .sandbox = instance->sandbox,
        .worker = instance->worker,
        .after_ms = instance->freezer.after_ms,
        .changed = on_freezer_changed,
        .arg = instance,
    };
    sp_apps_worker_serve(instance->all->apps, instance->worker);
    sp_freezer_start(&instance->freezer);
}

void sp_instance_set_freeze(struct sp_instance *instance, uint64_t after_ms)
{
    if (instance->phase == READY && instance->freezer.timer)
        sp_freezer_set(&instance->freezer, after_ms);
    else
        instance->freezer.after_ms = after_ms;
}

int64_t sp_instance_frozen_since(const struct sp_instance *instance)
{
    return instance->freezer.state == SP_FREEZER_FROZEN ? instance->freezer.since_ms : 0;
}

void sp_instances_wake_worker(struct sp_instances *all, uint64_t worker)
{
    struct sp_instance *instance = by_worker(all, worker);

    if (instance)
        sp_freezer_wake(&instance->freezer);
}

static void on_drain_timeout(uv_timer_t *timer)
{
    struct sp_instance *instance = timer->data;

    if (instance->phase == DRAINING)
        stop_sandbox(instance);
}

static void on_idle(void *arg, uint64_t worker)
{
    struct sp_instance *instance = by_worker(arg, worker);

    if (instance && instance->phase == DRAINING)
        stop_sandbox(instance);
}

void sp_instance_stop(struct sp_instance *instance, uint64_t drain_ms)
{
    if (instance->phase == STOPPING)
        return;
    if (instance->phase != READY || drain_ms == 0) {
        stop_sandbox(instance);
        return;
    }
    instance->phase = DRAINING;
    sp_freezer_stop(&instance->freezer);
    (void)uv_timer_start(&instance->timer, on_drain_timeout, drain_ms, 0);
    sp_apps_worker_retire(instance->all->apps, instance->worker, on_idle, instance->all);
}

static char *exit_reason(const struct sp_instance *instance, const struct sp_launch_msg *event)
{
    const struct sp_launch_limits *limits = &instance->limits;

    if (instance->end_asked)
        return sp_strdup("the app was ended because a call did not stop when it was cancelled");
    if (event->exited.oom)
        return sp_limit_oom_reason(limits, &event->exited.usage);
    if (event->exited.signal)
        return sp_asprintf("the app was ended by signal %d (%s)", event->exited.signal,
                           strsignal(event->exited.signal));
    return sp_asprintf("the app exited with code %d", event->exited.status);
}

static void zygote_exited(struct sp_instances *all, const struct sp_launch_msg *event)
{
    struct sp_instance *instance = by_sandbox(all, event->sandbox);

    if (instance && instance->zygote.worker == event->worker && instance->phase != STOPPING)
        sp_space_zygote_off(&instance->zygote, all->launcher, instance->log,
                            "the process that had done them has ended");
}

void sp_instances_worker_exited(struct sp_instances *all, const struct sp_launch_msg *event)
{
    struct sp_instance *instance = by_worker(all, event->worker);
    SP_AUTO_FREE char *reason = NULL;
    enum phase phase;

    if (!instance) {
        zygote_exited(all, event);
        return;
    }
    phase = instance->phase;
    sp_freezer_stop(&instance->freezer);
    instance->worker_alive = false;
    instance->usage = event->exited.usage;
    instance->has_usage = true;
    reason = exit_reason(instance, event);
    app_gone(instance, reason);
    if (phase == STOPPING)
        return;
    if (phase < READY) {
        fail(instance, SP_STAGE_RUNTIME_ERROR, reason);
        return;
    }
    sp_applog_note(instance->log, "%s", reason);
    if (phase == DRAINING) {
        stop_sandbox(instance);
        return;
    }
    instance->phase = CRASHED;
    instance->hooks.exited(instance->hooks.arg, instance, reason,
                           SP_TAKE_FLAG(instance->end_asked));
}

void sp_instances_sandbox_gone(struct sp_instances *all, const struct sp_launch_msg *event)
{
    struct sp_instance *instance = by_sandbox(all, event->sandbox);
    enum phase phase;

    if (!instance)
        return;
    phase = instance->phase;
    instance->phase = STOPPING;
    app_gone(instance, "the app's sandbox was stopped");
    finish(instance);
    if (phase == READY)
        instance->hooks.exited(instance->hooks.arg, instance, "the app's sandbox ended", false);
    else if (phase < READY)
        instance->hooks.failed(instance->hooks.arg, instance, SP_STAGE_RUNTIME_ERROR,
                               "the app's sandbox ended");
}

/* The end for memory is told by the exit that follows. */
void sp_instances_limit_hit(struct sp_instances *all, const struct sp_launch_msg *event)
{
    struct sp_instance *instance = by_sandbox(all, event->sandbox);
    SP_AUTO_FREE char *note = NULL;

    if (!instance)
        return;
    instance->usage = event->hit.usage;
    instance->has_usage = true;
    note = sp_limit_note(&instance->notes, &instance->limits, event, sp_clock_mono_ms());
    if (note)
        sp_applog_note(instance->log, "%s", note);
}

void sp_instances_kill_worker(struct sp_instances *all, uint64_t worker)
{
    struct sp_instance *instance = by_worker(all, worker);

    if (!instance)
        return;
    instance->end_asked = true;
    kill_worker(instance, 0);
}

/* --- facts ------------------------------------------------------------------------------------ */

const char *sp_instance_snapshot(const struct sp_instance *instance)
{
    return instance->plan.snapshot;
}

bool sp_instances_use(const struct sp_instances *all, const char *snapshot)
{
    if (!all->all)
        return false; /* Spaces are loaded before there can be instances */
    SP_LIST_EACH (instance, all->all, struct sp_instance, node)
        if (strcmp(instance->plan.snapshot, snapshot) == 0)
            return true;
    return false;
}

uint64_t sp_instance_start_ms(const struct sp_instance *instance)
{
    return instance->start_ms;
}

static void on_usage(void *arg, const struct sp_error *err, const struct sp_launch_msg *reply)
{
    struct sp_instance *instance = pending_take(arg);

    if (!instance || err)
        return;
    instance->usage = reply->usage;
    instance->has_usage = true;
}

bool sp_instance_usage(struct sp_instance *instance, struct sp_launch_usage *ret)
{
    uint64_t now = sp_clock_mono_ms();

    if (now - instance->usage_at_ms > 1000 && instance->phase == READY) {
        struct sp_launch_msg msg;

        instance->usage_at_ms = now;
        sp_launch_msg_init(&msg, SP_LAUNCH_USAGE);
        msg.sandbox = instance->sandbox;
        sp_launcher_call(instance->all->launcher, &msg, NULL, 0, on_usage, pending_new(instance));
    }
    *ret = instance->usage;
    return instance->has_usage;
}
