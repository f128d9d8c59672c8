/*
 * The brake on fork bombs. A refused fork is dear to others: the kernel throws away a stack and
 * credentials later, in pieces of milliseconds that run ahead of everybody, and the shares of the
 * processor say nothing about that work. So an app that goes on asking for processes after it was
 * refused hundreds of times in a second gets a small, fixed part of a processor until it stops.
 *
 * Version 2 tells of refused forks by inotify; on version 1 we look. Whether a bomb has stopped is
 * seen by the look that watch.c takes anyway.
 * Not while it is being stopped: its end must be fast, and pid 1 shares its group. The rate of
 * writes goes too: who waits for the disk cannot be killed before the disk has answered.
 */
#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"
#include "sandbox/cgroup.h"
#include "sandbox/launcher/launcher-internal.h"

#define LOOK_MS      250 /* on version 1, whose pids.events tells nobody that it changed */
#define WINDOW_MS    1000
#define BOMB_REFUSED 300 /* in a window: puts the brake on */
#define CALM_REFUSED 50  /* in a window, at most: takes it off */
#define SLACK_MS     2000

static void set(struct sp_launcher *l, struct sp_box *box, uint32_t cpu_millis, bool on)
{
    struct sp_error err = {0};

    if (sp_cgroup_limit_cpu(&l->groups, &box->cgroup, cpu_millis, &err) < 0)
        sp_log(SP_LOG_WARN, "launcher.no_brake", "sandbox=%llu err=%s", (unsigned long long)box->id,
               sp_log_quoted(err.msg));
    box->brake.on = on;
}

static void limit_writes(struct sp_launcher *l, struct sp_box *box, uint64_t bytes)
{
    (void)sp_cgroup_limit_writes(&l->groups, &box->cgroup, bytes, NULL);
    box->brake.writes_freely = bytes == 0;
}

/* The same moment for all sandboxes, so that the launcher wakes four times a second at most. */
static uint64_t next_look(uint64_t now)
{
    return (now / LOOK_MS + 1) * LOOK_MS;
}

void sp_brake_start(struct sp_launcher *l, struct sp_box *box)
{
    box->brake.since_ms = sp_clock_mono_ms();
    box->brake.look_at_ms =
        !l->groups.v2 && sp_cgroup_can(&l->groups, SP_CGROUP_PIDS) && box->cgroup.exists
            ? next_look(box->brake.since_ms)
            : 0;
}

void sp_brake_look(struct sp_launcher *l, struct sp_box *box)
{
    struct sp_box_brake *brake = &box->brake;
    uint64_t now = sp_clock_mono_ms();
    uint64_t refused = sp_cgroup_refused(&box->cgroup);
    uint64_t more = refused > brake->refused ? refused - brake->refused : 0; /* 0: unreadable */
    uint64_t took_ms = now - brake->since_ms;
    bool is_over = took_ms >= WINDOW_MS; /* the window, which may be longer */

    if (brake->look_at_ms)
        brake->look_at_ms = box->state == SP_BOX_RUNNING ? next_look(now) : 0;
    if (box->state != SP_BOX_RUNNING || now < brake->not_before_ms)
        return;
    if (brake->writes_freely)
        limit_writes(l, box, box->limits.disk_write_bytes);
    if (!brake->on && more >= BOMB_REFUSED * (is_over ? took_ms : WINDOW_MS) / WINDOW_MS) {
        set(l, box, SP_BRAKE_CPU_MILLIS, true);
        sp_watch_hit(l, box, SP_LAUNCH_LIMIT_FORKS);
    } else if (brake->on && is_over && more <= CALM_REFUSED) {
        set(l, box, box->limits.cpu_millis, false);
    }
    if (is_over) {
        brake->since_ms = now;
        brake->refused = refused;
    }
}

void sp_brake_release(struct sp_launcher *l, struct sp_box *box, uint32_t grace_ms)
{
    box->brake.not_before_ms = sp_clock_mono_ms() + grace_ms + SLACK_MS;
    if (box->brake.on)
        set(l, box, box->limits.cpu_millis, false);
    if (!box->brake.writes_freely)
        limit_writes(l, box, 0);
}
