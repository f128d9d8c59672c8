#include <stdlib.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/mem.h"
#include "runtime/app/app.h"
#include "runtime/config.h"
#include "runtime/spaces/instance-internal.h"
#include "runtime/spaces/launcher.h"
#include "runtime/spaces/worker_words.h"
#include "runtime/state/applog.h"

/* --- what the app says ------------------------------------------------------------------------ */

static void on_app_ready(void *arg, uint64_t worker)
{
    struct sp_instance *instance = sp_instances_by_worker(arg, worker);

    if (!instance || instance->phase != SP_PHASE_LOADING)
        return;
    (void)uv_timer_stop(&instance->timer);
    instance->phase = SP_PHASE_READY;
    instance->start_ms = sp_clock_mono_ms() - instance->began_ms;
    instance->hooks.ready(instance->hooks.arg, instance);
}

static void on_app_failed(void *arg, uint64_t worker, const char *stage_name, const char *message)
{
    struct sp_instance *instance = sp_instances_by_worker(arg, worker);
    enum sp_stage stage = SP_STAGE_RUNTIME_ERROR;

    if (!instance)
        return;
    /* The worker names the stage, but a worker is an app: it may not claim to run. */
    if (!sp_stage_from_string(stage_name, &stage) || sp_stage_is_serving(stage) ||
        !sp_stage_is_final(stage))
        stage = SP_STAGE_RUNTIME_ERROR;
    sp_instance_fail(instance, stage, message);
}

static void kill_worker(struct sp_instance *instance, uint32_t grace_ms)
{
    struct sp_launch_msg msg;

    if (!instance->worker_alive)
        return;
    sp_freezer_wake(&instance->freezer);
    sp_launch_msg_init(&msg, SP_LAUNCH_WORKER_STOP);
    msg.sandbox = instance->sandbox;
    msg.worker = instance->worker;
    msg.stop.grace_ms = grace_ms;
    sp_launcher_call(instance->all->launcher, &msg, NULL, 0, NULL, NULL);
}

void sp_instances_kill_worker(struct sp_instances *all, uint64_t worker)
{
    struct sp_instance *instance = sp_instances_by_worker(all, worker);

    if (!instance)
        return;
    instance->end_asked = true;
    kill_worker(instance, 0);
}

static void on_app_broken(void *arg, uint64_t worker, const char *why)
{
    struct sp_instance *instance = sp_instances_by_worker(arg, worker);

    if (!instance || instance->phase == SP_PHASE_STOPPING)
        return;
    if (instance->phase < SP_PHASE_READY) {
        sp_instance_fail(instance, SP_STAGE_RUNTIME_ERROR, why);
        return;
    }
    sp_applog_note(instance->log, "the app is ended: %s", why);
    kill_worker(instance, 0);
}

/* --- its start -------------------------------------------------------------------------------- */

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

    instance->phase = SP_PHASE_LOADING;
    instance->app_knows = true;
    sp_apps_worker_start(instance->all->apps, &start);
}

static void on_worker_started(void *arg, const struct sp_error *err,
                              const struct sp_launch_msg *reply)
{
    struct sp_instance *instance = sp_instance_pending_take(arg);

    (void)reply;
    if (!instance)
        return;
    if (err)
        instance->worker_alive = false;
    if (instance->phase != SP_PHASE_WORKER)
        return; /* it is being stopped, with all that is in its sandbox */
    if (!err) {
        attach_app(instance);
    } else if (instance->is_fork) {
        sp_space_zygote_off(&instance->zygote, instance->all->launcher, instance->log, err->msg);
        instance->worker = ++instance->all->last_id;
        sp_instance_start_worker(instance);
    } else {
        sp_instance_fail(instance, SP_STAGE_RUNTIME_ERROR, err->msg);
    }
}

static void close_channels(int socks[2], int pipes[2])
{
    for (int i = 0; i < 2; i++) {
        sp_auto_fd(&socks[i]);
        sp_auto_fd(&pipes[i]);
    }
}

void sp_instance_start_worker(struct sp_instance *instance)
{
    const char *argv[] = {"/usr/bin/python3", "/opt/spacekit/worker.py", NULL};
    struct sp_launch_msg msg;
    struct sp_error err = {0};
    int socks[2] = {-1, -1};
    int pipes[2] = {-1, -1};

    instance->phase = SP_PHASE_WORKER;
    if (sp_worker_channels_open(socks, pipes, &err) < 0) {
        sp_instance_fail(instance, SP_STAGE_RUNTIME_ERROR, err.msg);
        return;
    }
    sp_launch_msg_init(&msg, SP_LAUNCH_WORKER_START);
    msg.sandbox = instance->sandbox;
    msg.worker = instance->worker;
    if (sp_worker_words_pack(instance->all->config, instance->all->secrets, &instance->plan,
                             instance->network, argv, &msg, &err) < 0) {
        close_channels(socks, pipes);
        sp_instance_fail(instance, SP_STAGE_CONFIG_ERROR, err.msg);
        return;
    }
    instance->is_fork = instance->zygote.state == SP_ZYGOTE_READY;
    msg.worker_start.how = instance->is_fork ? SP_LAUNCH_FORK : SP_LAUNCH_EXEC;

    instance->worker_alive = true;
    sp_auto_fd(&instance->held_fd);
    instance->held_fd = socks[0];
    if (sp_applog_take_pipe(instance->log, pipes[0], &err) < 0)
        sp_log(SP_LOG_WARN, "applog.pipe", "err=%s", sp_log_quoted(err.msg));
    sp_launcher_call(instance->all->launcher, &msg, (int[]){socks[1], pipes[1]},
                     SP_LAUNCH_WORKER_FDS, on_worker_started, sp_instance_pending_new(instance));
}

static struct sp_zygote_try zygote_try(const struct sp_instance *instance)
{
    return (struct sp_zygote_try){.space = instance->plan.space,
                                  .limits = instance->limits,
                                  .snapshot = instance->plan.snapshot,
                                  .base = instance->base};
}

static void on_zygote_answered(void *arg, const struct sp_error *err,
                               const struct sp_launch_msg *reply)
{
    struct sp_instance *instance = sp_instance_pending_take(arg);
    struct sp_zygote_try this;

    (void)reply;
    if (!instance || instance->phase != SP_PHASE_WORKER)
        return;
    this = zygote_try(instance);
    sp_space_zygote_answered(&instance->zygote, instance->all->refusals, &this, instance->log, err);
    sp_instance_start_worker(instance);
}

/* The first worker waits for it; see zygote.h. */
static bool start_zygote(struct sp_instance *instance)
{
    const char *argv[] = {"/usr/bin/python3", "/opt/spacekit/worker.py", "--zygote",
                          instance->plan.app_file, NULL};
    const struct sp_zygote_try this = zygote_try(instance);
    struct sp_instance_pending *pending;
    struct sp_launch_msg msg;

    if (!sp_space_zygote_wanted(instance->all->config, instance->all->refusals, &this))
        return false;
    sp_launch_msg_init(&msg, SP_LAUNCH_WORKER_START);
    msg.sandbox = instance->sandbox;
    msg.worker = ++instance->all->last_id;
    if (sp_worker_words_pack(instance->all->config, instance->all->secrets, &instance->plan,
                             instance->network, argv, &msg, NULL) < 0)
        return false; /* the worker says why */
    pending = sp_instance_pending_new(instance);
    if (sp_space_zygote_start(&instance->zygote, instance->all->launcher, instance->log, &msg,
                              on_zygote_answered, pending))
        return true;
    free(pending);
    return false;
}

void sp_instance_first_worker(struct sp_instance *instance)
{
    instance->phase = SP_PHASE_WORKER;
    if (!start_zygote(instance))
        sp_instance_start_worker(instance);
}
