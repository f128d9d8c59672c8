#include "runtime/spaces/freezer.h"

#include <stdlib.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"
#include "base/mem.h"
#include "runtime/app/app.h"
#include "runtime/spaces/launcher.h"

/* The answer may come when the freezer is gone. */
struct sp_freezer_call {
    struct sp_freezer *freezer; /* NULL: nobody wants to know any more */
};

static void look_again(struct sp_freezer *freezer)
{
    (void)uv_timer_start(freezer->timer, freezer->on_time, freezer->after_ms / 4 + 1, 0);
}

static void forget_call(struct sp_freezer *freezer)
{
    if (freezer->call)
        freezer->call->freezer = NULL;
    freezer->call = NULL;
}

static void on_frozen(void *arg, const struct sp_error *err, const struct sp_launch_msg *reply)
{
    struct sp_freezer *freezer = ((struct sp_freezer_call *)arg)->freezer;

    (void)reply;
    free(arg);
    if (!freezer)
        return;
    freezer->call = NULL;
    if (err) {
        sp_log(SP_LOG_WARN, "instance.not_frozen", "sandbox=%llu err=%s",
               (unsigned long long)freezer->sandbox, sp_log_quoted(err->msg));
        sp_apps_worker_hold(freezer->apps, freezer->worker, false);
        freezer->state = SP_FREEZER_WATCHING;
        (void)uv_timer_start(freezer->timer, freezer->on_time, freezer->after_ms, 0);
        return;
    }
    freezer->state = SP_FREEZER_FROZEN;
    freezer->since_ms = sp_clock_wall_ms();
    freezer->changed(freezer->arg, true);
}

/*
 * What stays held answers nobody for ever: its sandbox is taken down, as after a crash. Other
 * errors say that it is ending already.
 */
static void on_let_go(void *arg, const struct sp_error *err, const struct sp_launch_msg *reply)
{
    struct sp_freezer *freezer = ((struct sp_freezer_call *)arg)->freezer;
    struct sp_launch_msg msg;

    (void)reply;
    free(arg);
    if (!freezer)
        return;
    freezer->call = NULL;
    if (!err || err->kind != SP_ERR_UNAVAILABLE)
        return;
    sp_log(SP_LOG_ERROR, "instance.not_let_go", "sandbox=%llu err=%s",
           (unsigned long long)freezer->sandbox, sp_log_quoted(err->msg));
    sp_launch_msg_init(&msg, SP_LAUNCH_SANDBOX_STOP);
    msg.sandbox = freezer->sandbox;
    sp_launcher_call(freezer->launcher, &msg, NULL, 0, NULL, NULL);
}

static void ask(struct sp_freezer *freezer, bool on)
{
    struct sp_launch_msg msg;

    sp_launch_msg_init(&msg, SP_LAUNCH_FREEZE);
    msg.sandbox = freezer->sandbox;
    msg.freeze.on = on;
    forget_call(freezer);
    freezer->call = sp_new0(struct sp_freezer_call);
    freezer->call->freezer = freezer;
    sp_launcher_call(freezer->launcher, &msg, NULL, 0, on ? on_frozen : on_let_go, freezer->call);
}

void sp_freezer_start(struct sp_freezer *freezer)
{
    freezer->state = freezer->after_ms ? SP_FREEZER_WATCHING : SP_FREEZER_OFF;
    if (freezer->after_ms)
        look_again(freezer);
}

static void watch(struct sp_freezer *freezer)
{
    if (sp_apps_idle_ms(freezer->apps, freezer->space) < freezer->after_ms) {
        look_again(freezer);
        return;
    }
    freezer->state = SP_FREEZER_FREEZING;
    sp_apps_worker_hold(freezer->apps, freezer->worker, true); /* first: no byte may slip by */
    ask(freezer, true);
}

void sp_freezer_on_time(struct sp_freezer *freezer)
{
    if (freezer->state == SP_FREEZER_WATCHING) {
        watch(freezer);
    } else if (freezer->state == SP_FREEZER_WAKING) {
        sp_freezer_start(freezer);
        freezer->changed(freezer->arg, false);
    }
}

/* True when it was held. */
static bool let_go(struct sp_freezer *freezer)
{
    if (freezer->state != SP_FREEZER_FREEZING && freezer->state != SP_FREEZER_FROZEN)
        return false;
    sp_apps_worker_hold(freezer->apps, freezer->worker, false);
    ask(freezer, false);
    return true;
}

void sp_freezer_wake(struct sp_freezer *freezer)
{
    if (!let_go(freezer))
        return;
    freezer->state = SP_FREEZER_WAKING;
    (void)uv_timer_start(freezer->timer, freezer->on_time, 0, 0);
}

void sp_freezer_stop(struct sp_freezer *freezer)
{
    (void)let_go(freezer);
    forget_call(freezer);
    freezer->state = SP_FREEZER_OFF;
}

void sp_freezer_set(struct sp_freezer *freezer, uint64_t after_ms)
{
    freezer->after_ms = after_ms;
    if (freezer->state == SP_FREEZER_FROZEN || freezer->state == SP_FREEZER_FREEZING)
        sp_freezer_wake(freezer);
    else if (freezer->state != SP_FREEZER_WAKING)
        sp_freezer_start(freezer);
}
