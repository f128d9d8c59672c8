#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/fd.h"
#include "base/list.h"
#include "base/log.h"
#include "base/mem.h"
#include "runtime/app/app.h"
#include "runtime/config.h"
#include "runtime/spaces/gpu_slots.h"
#include "runtime/spaces/instance-internal.h"
#include "runtime/spaces/launcher.h"
#include "runtime/state/applog.h"

static void on_timer_closed(uv_handle_t *handle)
{
    struct sp_instance *instance = handle->data;

    sp_list_remove(&instance->node); /* it uses nothing any more */
    sp_gpu_slots_release(instance->all->gpus, instance->sandbox);
    sp_auto_fd(&instance->held_fd);
    instance->hooks.gone(instance->hooks.arg, instance);
    free((char *)instance->plan.owner);
    free((char *)instance->plan.name);
    free((char *)instance->plan.app_file);
    free((char *)instance->plan.snapshot);
    free((char *)instance->plan.host);
    json_decref(instance->plan.env);
    free(instance);
}

void sp_instance_finish(struct sp_instance *instance)
{
    if (!instance->timer_open)
        return;
    instance->timer_open = false;
    sp_freezer_stop(&instance->freezer);
    uv_close((uv_handle_t *)&instance->timer, on_timer_closed);
}

static void on_sandbox_stopped(void *arg, const struct sp_error *err,
                               const struct sp_launch_msg *reply)
{
    struct sp_instance *instance = sp_instance_pending_take(arg);

    (void)reply;
    if (!instance)
        return;
    if (err) {
        /* It never came to be, or is gone already: nothing else will tell us so. */
        sp_log(SP_LOG_DEBUG, "instance.stop_refused", "sandbox=%llu err=%s",
               (unsigned long long)instance->sandbox, sp_log_quoted(err->msg));
        sp_instance_finish(instance);
    }
}

void sp_instance_stop_sandbox(struct sp_instance *instance)
{
    struct sp_launch_msg msg;

    instance->phase = SP_PHASE_STOPPING;
    sp_gpu_slots_ending(instance->all->gpus, instance->sandbox, true);
    sp_freezer_stop(&instance->freezer);
    (void)uv_timer_stop(&instance->timer);
    sp_launch_msg_init(&msg, SP_LAUNCH_SANDBOX_STOP);
    msg.sandbox = instance->sandbox;
    msg.stop.grace_ms = (uint32_t)sp_config_duration(instance->all->config, "space.stop_grace");
    sp_launcher_call(instance->all->launcher, &msg, NULL, 0, on_sandbox_stopped,
                     sp_instance_pending_new(instance));
}

void sp_instance_fail(struct sp_instance *instance, enum sp_stage stage, const char *reason)
{
    enum sp_instance_phase phase = instance->phase;

    if (phase >= SP_PHASE_READY)
        return;
    sp_applog_note(instance->log, "the app did not start: %s", reason);
    sp_instance_stop_sandbox(instance);
    instance->hooks.failed(instance->hooks.arg, instance, stage, reason);
}

/* --- asked for -------------------------------------------------------------------------------- */

static void on_drain_timeout(uv_timer_t *timer)
{
    struct sp_instance *instance = timer->data;

    if (instance->phase == SP_PHASE_DRAINING)
        sp_instance_stop_sandbox(instance);
}

static void on_idle(void *arg, uint64_t worker)
{
    struct sp_instance *instance = sp_instances_by_worker(arg, worker);

    if (instance && instance->phase == SP_PHASE_DRAINING)
        sp_instance_stop_sandbox(instance);
}

void sp_instance_stop(struct sp_instance *instance, uint64_t drain_ms)
{
    if (instance->phase == SP_PHASE_STOPPING)
        return;
    if (instance->phase != SP_PHASE_READY || drain_ms == 0) {
        sp_instance_stop_sandbox(instance);
        return;
    }
    instance->phase = SP_PHASE_DRAINING;
    sp_gpu_slots_ending(instance->all->gpus, instance->sandbox, true);
    sp_freezer_stop(&instance->freezer);
    (void)uv_timer_start(&instance->timer, on_drain_timeout, drain_ms, 0);
    sp_apps_worker_retire(instance->all->apps, instance->worker, on_idle, instance->all);
}

/* --- told by the launcher --------------------------------------------------------------------- */

static void app_gone(struct sp_instance *instance, const char *why)
{
    if (!instance->app_knows)
        return;
    instance->app_knows = false;
    sp_apps_worker_gone(instance->all->apps, instance->worker, why);
}

static char *exit_reason(const struct sp_instance *instance, const struct sp_launch_msg *event)
{
    const struct sp_launch_limits *limits = &instance->limits;
    uint64_t gpu_bytes;

    if (instance->notes.gpu_used_bytes &&
        sp_gpu_slots_held(instance->all->gpus, instance->sandbox, &gpu_bytes))
        return sp_limit_gpu_reason(gpu_bytes, instance->notes.gpu_used_bytes);
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
    struct sp_instance *instance = sp_instances_by_sandbox(all, event->sandbox);

    if (instance && instance->zygote.worker == event->worker &&
        instance->phase != SP_PHASE_STOPPING)
        sp_space_zygote_off(&instance->zygote, all->launcher, instance->log,
                            "the process that had done them has ended");
}

void sp_instances_worker_exited(struct sp_instances *all, const struct sp_launch_msg *event)
{
    struct sp_instance *instance = sp_instances_by_worker(all, event->worker);
    SP_AUTO_FREE char *reason = NULL;
    enum sp_instance_phase phase;

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
    if (phase == SP_PHASE_STOPPING)
        return;
    if (phase < SP_PHASE_READY) {
        sp_instance_fail(instance, SP_STAGE_RUNTIME_ERROR, reason);
        return;
    }
    sp_applog_note(instance->log, "%s", reason);
    if (phase == SP_PHASE_DRAINING) {
        sp_instance_stop_sandbox(instance);
        return;
    }
    instance->phase = SP_PHASE_CRASHED;
    instance->hooks.exited(instance->hooks.arg, instance, reason,
                           SP_TAKE_FLAG(instance->end_asked));
}

void sp_instances_sandbox_gone(struct sp_instances *all, const struct sp_launch_msg *event)
{
    struct sp_instance *instance = sp_instances_by_sandbox(all, event->sandbox);
    enum sp_instance_phase phase;

    if (!instance)
        return;
    phase = instance->phase;
    instance->phase = SP_PHASE_STOPPING;
    app_gone(instance, "the app's sandbox was stopped");
    sp_instance_finish(instance);
    if (phase == SP_PHASE_READY)
        instance->hooks.exited(instance->hooks.arg, instance, "the app's sandbox ended", false);
    else if (phase < SP_PHASE_READY)
        instance->hooks.failed(instance->hooks.arg, instance, SP_STAGE_RUNTIME_ERROR,
                               "the app's sandbox ended");
}
