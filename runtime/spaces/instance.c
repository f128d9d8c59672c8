#include "runtime/spaces/instance.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/list.h"
#include "base/mem.h"
#include "runtime/app/app.h"
#include "runtime/config.h"
#include "runtime/spaces/bases.h"
#include "runtime/spaces/freezer.h"
#include "runtime/spaces/instance-internal.h"
#include "runtime/spaces/launcher.h"
#include "runtime/spaces/limit_note.h"
#include "runtime/spaces/resources.h"
#include "runtime/spaces/zygote.h"
#include "runtime/state/applog.h"

/* Launcher answers come back by sandbox id: the instance may be gone by then. */
struct sp_instance_pending {
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

struct sp_instance *sp_instances_by_sandbox(struct sp_instances *all, uint64_t sandbox)
{
    SP_LIST_EACH (instance, all->all, struct sp_instance, node)
        if (instance->sandbox == sandbox)
            return instance;
    return NULL;
}

struct sp_instance *sp_instances_by_worker(struct sp_instances *all, uint64_t worker)
{
    SP_LIST_EACH (instance, all->all, struct sp_instance, node)
        if (instance->worker == worker)
            return instance;
    return NULL;
}

struct sp_instance_pending *sp_instance_pending_new(struct sp_instance *instance)
{
    struct sp_instance_pending *pending = sp_new0(struct sp_instance_pending);

    pending->all = instance->all;
    pending->sandbox = instance->sandbox;
    return pending;
}

struct sp_instance *sp_instance_pending_take(void *arg)
{
    struct sp_instance_pending pending = *(struct sp_instance_pending *)arg;

    free(arg);
    return sp_instances_by_sandbox(pending.all, pending.sandbox);
}

/* --- the start -------------------------------------------------------------------------------- */

static void on_sandbox_started(void *arg, const struct sp_error *err,
                               const struct sp_launch_msg *reply)
{
    struct sp_instance *instance = sp_instance_pending_take(arg);

    (void)reply;
    if (!instance)
        return;
    if (instance->phase != SP_PHASE_SANDBOX) {
        /* Stopped meanwhile. A start that failed leaves nothing, so nothing else will tell us so.
         */
        if (err)
            sp_instance_finish(instance);
        return;
    }
    if (err) {
        sp_instance_fail(instance, SP_STAGE_RUNTIME_ERROR, err->msg);
        return;
    }
    sp_instance_first_worker(instance);
}

static void on_start_timeout(uv_timer_t *timer)
{
    struct sp_instance *instance = timer->data;
    uint64_t limit_ms = sp_config_duration(instance->all->config, "space.start_timeout");
    SP_AUTO_FREE char *reason =
        sp_asprintf("the app did not answer within %llu s (space.start_timeout)",
                    (unsigned long long)(limit_ms / 1000));

    sp_instance_fail(instance, SP_STAGE_RUNTIME_ERROR, reason);
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

    sp_instance_fail(instance, SP_STAGE_CONFIG_ERROR, instance->refusal);
}

static int take_base(struct sp_instance *instance, const char *word, struct sp_launch_msg *msg,
                     struct sp_error *err)
{
    const char *digest = "";
    int r = sp_bases_resolve(instance->all->bases, word, &digest, err);

    (void)snprintf(instance->base, sizeof(instance->base), "%s", digest);
    (void)snprintf(msg->sandbox_start.base, sizeof(msg->sandbox_start.base), "%s", digest);
    return r;
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
        .env = json_incref(plan->env),
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
    if (take_base(instance, plan->base, &msg, &err) < 0 ||
        sp_resources_fill(all->config, all->gpus, plan->resources, &msg, &err) < 0) {
        (void)snprintf(instance->refusal, sizeof(instance->refusal), "%s", err.msg);
        (void)uv_timer_start(&instance->timer, on_refused, 0, 0);
        return instance;
    }
    instance->limits = msg.sandbox_start.limits;
    instance->network = msg.sandbox_start.network;
    instance->freezer.after_ms = sp_resources_freeze_ms(all->config, plan->resources);
    sp_launcher_call(all->launcher, &msg, NULL, 0, on_sandbox_started,
                     sp_instance_pending_new(instance));
    return instance;
}

bool sp_instance_may_revive(const struct sp_instance *instance)
{
    return instance->phase == SP_PHASE_CRASHED && !instance->notes.gpu_used_bytes;
}

void sp_instance_revive(struct sp_instance *instance)
{
    if (instance->phase != SP_PHASE_CRASHED)
        return;
    instance->worker = ++instance->all->last_id;
    instance->began_ms = sp_clock_mono_ms();
    start_timeout(instance);
    sp_instance_start_worker(instance);
}

/* --- serving, and held still ------------------------------------------------------------------ */

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
    if (instance->phase == SP_PHASE_READY && instance->freezer.timer)
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
    struct sp_instance *instance = sp_instances_by_worker(all, worker);

    if (instance)
        sp_freezer_wake(&instance->freezer);
}

/* --- facts ------------------------------------------------------------------------------------ */

/* The end for memory is told by the exit that follows. */
void sp_instances_limit_hit(struct sp_instances *all, const struct sp_launch_msg *event)
{
    struct sp_instance *instance = sp_instances_by_sandbox(all, event->sandbox);
    SP_AUTO_FREE char *note = NULL;

    if (!instance)
        return;
    instance->usage = event->hit.usage;
    instance->has_usage = true;
    note = sp_limit_note(&instance->notes, &instance->limits, event, sp_clock_mono_ms());
    if (note)
        sp_applog_note(instance->log, "%s", note);
}

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

bool sp_instances_use_base(const struct sp_instances *all, const char *digest)
{
    SP_LIST_EACH (instance, all->all, struct sp_instance, node)
        if (strcmp(instance->base, digest) == 0)
            return true;
    return false;
}

uint64_t sp_instance_sandbox(const struct sp_instance *instance)
{
    return instance->sandbox;
}

uint64_t sp_instance_start_ms(const struct sp_instance *instance)
{
    return instance->start_ms;
}

static void on_usage(void *arg, const struct sp_error *err, const struct sp_launch_msg *reply)
{
    struct sp_instance *instance = sp_instance_pending_take(arg);

    if (!instance || err)
        return;
    instance->usage = reply->usage;
    instance->has_usage = true;
}

bool sp_instance_usage(struct sp_instance *instance, struct sp_launch_usage *ret)
{
    uint64_t now = sp_clock_mono_ms();

    if (now - instance->usage_at_ms > 1000 && instance->phase == SP_PHASE_READY) {
        struct sp_launch_msg msg;

        instance->usage_at_ms = now;
        sp_launch_msg_init(&msg, SP_LAUNCH_USAGE);
        msg.sandbox = instance->sandbox;
        sp_launcher_call(instance->all->launcher, &msg, NULL, 0, on_usage,
                         sp_instance_pending_new(instance));
    }
    *ret = instance->usage;
    return instance->has_usage;
}
