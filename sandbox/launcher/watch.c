/*
 * The limits that an app comes to. Refused forks and, on version 2, memory announce themselves by
 * inotify on the group's files; on version 1 memory does by an eventfd, before it has killed: so we
 * look a few times after it. CPU and pressure are states: looked at every WATCH_MS, told when they
 * begin.
 *
 * Out of memory ends the whole app: the kernel kills one process of it, pid 1 the rest. Not by
 * memory.oom.group, which would take pid 1 and with it what the workers have saved.
 */
#include <errno.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"
#include "sandbox/cgroup.h"
#include "sandbox/ctl.h"
#include "sandbox/launcher/launcher-internal.h"

#define WATCH_MS     2000
#define HIT_EVERY_MS 1000
#define OOM_LOOKS    20
#define OOM_LOOK_MS  10

int sp_watch_init(struct sp_launcher *l, struct sp_error *err)
{
    l->inotify = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
    if (l->inotify < 0)
        return sp_error_set(err, SP_ERR_INTERNAL, -errno, "watch the groups");
    if (l->groups.v2 || !sp_cgroup_can(&l->groups, SP_CGROUP_MEMORY))
        return 0;
    l->oom_events = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    return l->oom_events < 0 ? sp_error_set(err, SP_ERR_INTERNAL, -errno, "watch the groups") : 0;
}

void sp_watch_add(struct sp_launcher *l, struct sp_box *box)
{
    box->watch_pids = sp_cgroup_watch(&l->groups, &box->cgroup, SP_LAUNCH_LIMIT_PIDS, l->inotify);
    if (l->oom_events >= 0)
        sp_cgroup_watch_oom(&l->groups, &box->cgroup, l->oom_events);
    else
        box->watch_memory =
            sp_cgroup_watch(&l->groups, &box->cgroup, SP_LAUNCH_LIMIT_MEMORY, l->inotify);
}

void sp_watch_end(struct sp_launcher *l, struct sp_box *box)
{
    if (box->watch_pids >= 0)
        (void)inotify_rm_watch(l->inotify, box->watch_pids);
    if (box->watch_memory >= 0)
        (void)inotify_rm_watch(l->inotify, box->watch_memory);
    box->watch_pids = box->watch_memory = -1;
}

void sp_watch_start(struct sp_box *box)
{
    box->watch_at_ms = box->cgroup.exists ? sp_clock_mono_ms() + WATCH_MS : 0;
}

static bool is_due(const struct sp_box *box, enum sp_launch_limit limit)
{
    return !box->hit_at_ms[limit] || sp_clock_mono_ms() - box->hit_at_ms[limit] >= HIT_EVERY_MS;
}

void sp_watch_hit(struct sp_launcher *l, struct sp_box *box, enum sp_launch_limit limit)
{
    struct sp_launch_msg msg;

    if (!is_due(box, limit))
        return;
    box->hit_at_ms[limit] = sp_clock_mono_ms();
    sp_launch_msg_init(&msg, SP_LAUNCH_LIMIT_HIT);
    msg.sandbox = box->id;
    msg.hit.limit = (uint32_t)limit;
    sp_cgroup_usage(&l->groups, &box->cgroup, &msg.hit.usage);
    sp_spacesd_send(l, &msg);
}

static bool is_alive(const struct sp_box *box)
{
    return box->cgroup.exists && (box->state == SP_BOX_RUNNING || box->state == SP_BOX_STOPPING);
}

void sp_watch_memory(struct sp_launcher *l, struct sp_box *box)
{
    struct sp_ctl order;

    if (!box->cgroup.exists || !sp_cgroup_hit(&box->cgroup, SP_LAUNCH_LIMIT_MEMORY))
        return;
    box->ended_by_oom = true;
    sp_watch_hit(l, box, SP_LAUNCH_LIMIT_MEMORY);
    if (!is_alive(box) || box->ctl < 0)
        return;
    sp_ctl_init(&order, SP_CTL_END_WORKERS);
    if (sp_ctl_send(box->ctl, &order, NULL, 0) < 0)
        sp_box_kill(l, box);
}

static void look_at_pids(struct sp_launcher *l, struct sp_box *box)
{
    sp_brake_look(l, box);
    if (is_due(box, SP_LAUNCH_LIMIT_PIDS) && sp_cgroup_hit(&box->cgroup, SP_LAUNCH_LIMIT_PIDS))
        sp_watch_hit(l, box, SP_LAUNCH_LIMIT_PIDS);
}

/* Told when it begins, not as long as it lasts. */
static void look_at_state(struct sp_launcher *l, struct sp_box *box, enum sp_launch_limit limit)
{
    bool is_over = sp_cgroup_hit(&box->cgroup, limit);
    bool is_ours = limit == SP_LAUNCH_LIMIT_CPU && box->brake.on; /* told as what it is */

    if (is_over && !box->is_over[limit] && !is_ours)
        sp_watch_hit(l, box, limit);
    box->is_over[limit] = is_over;
}

void sp_watch_look(struct sp_launcher *l, struct sp_box *box)
{
    box->watch_at_ms = box->state == SP_BOX_RUNNING ? sp_clock_mono_ms() + WATCH_MS : 0;
    if (!box->watch_at_ms || box->frozen)
        return;
    look_at_state(l, box, SP_LAUNCH_LIMIT_CPU);
    look_at_state(l, box, SP_LAUNCH_LIMIT_PRESSURE);
    look_at_pids(l, box); /* what came within a second of the last one */
}

static void on_file(struct sp_launcher *l, int watch)
{
    SP_LIST_EACH (box, &l->boxes, struct sp_box, list) {
        if (!is_alive(box))
            continue;
        if (watch == box->watch_memory)
            sp_watch_memory(l, box);
        else if (watch == box->watch_pids)
            look_at_pids(l, box);
    }
}

void sp_watch_on_inotify(struct sp_launcher *l)
{
    union {
        struct inotify_event event;
        char bytes[4096];
    } buf;
    ssize_t n = read(l->inotify, &buf, sizeof(buf));
    struct inotify_event event;

    for (ssize_t at = 0; at + (ssize_t)sizeof(event) <= n;
         at += (ssize_t)(sizeof(event) + event.len)) {
        memcpy(&event, buf.bytes + at, sizeof(event));
        if (event.mask & IN_MODIFY)
            on_file(l, event.wd);
    }
}

void sp_watch_look_for_oom(struct sp_launcher *l)
{
    l->oom_look_ms = l->oom_looks-- > 1 ? sp_clock_mono_ms() + OOM_LOOK_MS : 0;
    SP_LIST_EACH (box, &l->boxes, struct sp_box, list)
        if (is_alive(box))
            sp_watch_memory(l, box);
}

void sp_watch_on_oom(struct sp_launcher *l)
{
    uint64_t times;

    (void)!read(l->oom_events, &times, sizeof(times));
    l->oom_looks = OOM_LOOKS;
    sp_watch_look_for_oom(l);
}
