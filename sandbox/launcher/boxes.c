/*
 * The life of one sandbox, as the launcher sees it. States only go forward: starting, running,
 * stopping, killed, removing, gone. Nothing here waits; each step is answered by an event.
 */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/mem.h"
#include "sandbox/ctl.h"
#include "sandbox/init.h"
#include "sandbox/launcher/launcher-internal.h"
#include "sandbox/launcher/network.h"
#include "sandbox/launcher/request.h"

#define START_MAX_MS    20000 /* set-up that takes longer is taken for stuck */
#define DATA_MAX_MS     60000 /* and a /data that takes longer to make or grow */
#define SLACK_MS        300   /* pid 1 kills at the end of the grace; after this we do */
#define REMOVE_POLL_MS  2     /* between two attempts to remove a group that is still emptying */
#define NETWORK_POLL_MS 500
#define FORK_MS         2000 /* as long as pid 1 gives a zygote for a fork */
#define REMOVE_WARN_MS  5000
#define LEAVE_MAX_MS    2000 /* without a pid namespace: for pid 1 to kill the others */

struct sp_box *sp_box_find(struct sp_launcher *l, uint64_t id)
{
    SP_LIST_EACH (box, &l->boxes, struct sp_box, list)
        if (box->id == id)
            return box;
    return NULL;
}

static struct sp_box_worker *find_worker(struct sp_box *box, uint64_t id)
{
    for (size_t i = 0; i < SP_BOX_WORKERS_MAX; i++)
        if (box->workers[i].id == id)
            return &box->workers[i];
    return NULL;
}

static struct sp_box *new_box(struct sp_launcher *l)
{
    struct sp_box *box = sp_new0(struct sp_box);

    box->pidfd = box->ctl = box->idmap_fd = box->netns_fd = -1;
    sp_box_data_init(&box->data);
    box->watch_memory = box->watch_pids = -1;
    box->began_ns = sp_clock_mono_ns();
    box->state = SP_BOX_PREPARING;
    box->deadline_ms = sp_clock_mono_ms() + START_MAX_MS;
    sp_cgroup_init(&box->cgroup);
    sp_list_append(&l->boxes, &box->list);
    l->n_boxes++;
    return box;
}

/* No second attempt any more. */
static void forget_request(struct sp_box *box)
{
    free(box->request);
    box->request = NULL;
    box->again = false;
}

/* --- the end --- */

static void start_again(struct sp_launcher *l, struct sp_box *box);

static void announce_end(struct sp_launcher *l, struct sp_box *box)
{
    struct sp_launch_msg msg;

    if (!box->id)
        return; /* a spare: nobody knows of it */
    if (box->again) {
        start_again(l, box);
        return;
    }
    if (box->start_seq) {
        sp_spacesd_failed(l, box->start_seq, box->id, 0, box->fail_kind, box->fail_text);
        return;
    }
    sp_launch_msg_init(&msg, SP_LAUNCH_SANDBOX_GONE);
    msg.sandbox = box->id;
    msg.usage = box->last_usage;
    sp_spacesd_send(l, &msg);
}

/* Groups first, then the id range, then the news; the box is freed when all is done. */
static void try_remove(struct sp_launcher *l, struct sp_box *box)
{
    uint64_t now = sp_clock_mono_ms();

    if (box->data.pid) { /* it still has our mount; its end brings us back */
        sp_box_data_kill(box);
        box->deadline_ms = 0;
        return;
    }
    sp_watch_end(l, box);
    if (sp_cgroup_remove(&l->groups, &box->cgroup) < 0) {
        sp_cgroup_kill(&l->groups, &box->cgroup);
        if (now - box->began_ns / 1000000 > REMOVE_WARN_MS) {
            sp_log(SP_LOG_WARN, "launcher.group_stays", "sandbox=%llu group=%s",
                   (unsigned long long)box->id, box->cgroup.name);
            box->began_ns = sp_clock_mono_ns();
        }
        box->deadline_ms = now + REMOVE_POLL_MS;
        return;
    }
    if (!sp_box_network_gone(l, box)) {
        box->deadline_ms = now + NETWORK_POLL_MS; /* its answer comes first */
        return;
    }
    if (box->uid_base)
        sp_userns_release(&l->slots, box->uid_base);
    announce_end(l, box);
    sp_gpus_release(l, box);
    sp_auto_fd(&box->pidfd);
    sp_auto_fd(&box->ctl);
    sp_auto_fd(&box->idmap_fd);
    sp_auto_fd(&box->netns_fd);
    sp_box_data_done(&box->data);
    sp_list_remove(&box->list);
    l->n_boxes--;
    free(box->request);
    free(box);
}

static void start_removing(struct sp_launcher *l, struct sp_box *box)
{
    if (box->is_spare || box->again)
        sp_pool_lost(l, box);
    sp_freeze_end(l, box); /* pid 1 may have died while all was to be held */
    box->state = SP_BOX_REMOVING;
    box->began_ns = sp_clock_mono_ns();
    try_remove(l, box);
}

void sp_box_kill(struct sp_launcher *l, struct sp_box *box)
{
    if (box->state == SP_BOX_KILLED || box->state == SP_BOX_REMOVING)
        return;
    box->state = SP_BOX_KILLED;
    box->deadline_ms = 0;
    sp_box_data_kill(box);
    sp_freeze_end(l, box);
    sp_brake_release(l, box, 0);
    if (!(l->isolate & SP_ISOLATE_PID) && box->ctl >= 0) {
        /* Without a pid namespace the others would live on: it kills them itself, then goes. */
        sp_auto_fd(&box->ctl);
        box->ctl = -1;
        box->deadline_ms = sp_clock_mono_ms() + LEAVE_MAX_MS;
        sp_cgroup_kill(&l->groups, &box->cgroup);
        return;
    }
    /* pid 1 of a pid namespace takes everything with it; the group is for where there is none. */
    (void)syscall(SYS_pidfd_send_signal, box->pidfd, SIGKILL, NULL, 0);
    sp_cgroup_kill(&l->groups, &box->cgroup);
}

void sp_box_stop(struct sp_launcher *l, struct sp_box *box, uint32_t grace_ms)
{
    uint64_t deadline = sp_clock_mono_ms() + grace_ms + SLACK_MS;
    struct sp_ctl msg;

    forget_request(box);
    if (box->state >= SP_BOX_KILLED ||
        (box->state == SP_BOX_STOPPING && deadline >= box->deadline_ms))
        return;
    sp_freeze_end(l, box);
    sp_ctl_init(&msg, SP_CTL_STOP);
    msg.grace_ms = grace_ms;
    if (box->state <= SP_BOX_STARTING) {
        box->fail_kind = SP_ERR_UNAVAILABLE;
        (void)snprintf(box->fail_text, sizeof(box->fail_text), "stopped while it was starting");
        sp_box_kill(l, box);
    } else if (sp_ctl_send(box->ctl, &msg, NULL, 0) < 0) {
        sp_box_kill(l, box);
    } else {
        sp_brake_release(l, box, grace_ms);
        box->state = SP_BOX_STOPPING;
        box->deadline_ms = deadline;
    }
}

/* --- the start --- */

static bool may_start(struct sp_launcher *l, const struct sp_launch_msg *msg, struct sp_error *err)
{
    char missing[400];

    if (sp_box_find(l, msg->sandbox)) {
        (void)sp_error_set(err, SP_ERR_CONFLICT, 0, "there is a sandbox of this id");
        return false;
    }
    if (l->n_boxes >= SP_BOXES_MAX && !sp_pool_has_one(l)) {
        (void)sp_error_set(err, SP_ERR_LIMIT, 0, "there are %d sandboxes already", SP_BOXES_MAX);
        return false;
    }
    if (sp_box_network_may(l, msg, err) < 0)
        return false;
    if (!l->allow_weak && !sp_probe_complete(&l->probe)) {
        sp_probe_missing(&l->probe, missing, sizeof(missing));
        (void)sp_error_set(err, SP_ERR_UNAVAILABLE, 0,
                           "this host cannot isolate apps (see --allow-weak-sandbox): %s", missing);
        return false;
    }
    return true;
}

static void fail_start(struct sp_box *box, const struct sp_error *err)
{
    box->fail_kind = err->kind;
    (void)snprintf(box->fail_text, sizeof(box->fail_text), "%.499s", err->msg);
}

static void give_order(struct sp_launcher *l, struct sp_box *box)
{
    struct sp_error err = {0};

    box->state = SP_BOX_STARTING;
    if (sp_box_network_ask(l, box, &err) < 0) {
        fail_start(box, &err);
        sp_box_kill(l, box);
    } else if (sp_box_order(l, box, &err) < 0) {
        if (!box->from_pool || (err.sys != -EPIPE && err.sys != -ECONNRESET))
            fail_start(box, &err); /* else it is dead already, and its pidfd says so next */
        sp_box_kill(l, box);
    }
}

/* pid 1 waits for its order, which waits for /data. */
static void fetch_or_order(struct sp_launcher *l, struct sp_box *box)
{
    struct sp_error err = {0};

    if (!box->limits.data_bytes) {
        give_order(l, box);
        return;
    }
    box->state = SP_BOX_FETCHING;
    box->deadline_ms = sp_clock_mono_ms() + DATA_MAX_MS;
    if (sp_box_data_start(l, box, &err) < 0) {
        fail_start(box, &err);
        sp_box_kill(l, box);
    }
}

void sp_box_on_data(struct sp_launcher *l, struct sp_box *box)
{
    struct sp_error err = {0};
    int r = sp_box_data_end(box, &err);

    if (box->state == SP_BOX_REMOVING) {
        box->deadline_ms = sp_clock_mono_ms();
    } else if (box->state == SP_BOX_FETCHING && r < 0) {
        fail_start(box, &err);
        sp_box_kill(l, box);
    } else if (box->state == SP_BOX_FETCHING) {
        box->deadline_ms = sp_clock_mono_ms() + START_MAX_MS;
        give_order(l, box);
    }
}

/* Sets off its first half; a failure is told when the box has gone. */
static void begin(struct sp_launcher *l, struct sp_box *box)
{
    struct sp_error err = {0};

    if (sp_box_prepare(l, box, &err) < 0) {
        fail_start(box, &err);
        start_removing(l, box);
    }
}

static void adopt(struct sp_box *box, const struct sp_launch_msg *msg)
{
    box->id = msg->sandbox;
    box->space = msg->sandbox_start.space;
    box->start_seq = msg->seq;
    box->began_ns = sp_clock_mono_ns();
    box->deadline_ms = sp_clock_mono_ms() + START_MAX_MS;
    (void)snprintf(box->snapshot, sizeof(box->snapshot), "%s", msg->sandbox_start.snapshot);
    (void)snprintf(box->base, sizeof(box->base), "%s", msg->sandbox_start.base);
    (void)snprintf(box->hostname, sizeof(box->hostname), "%s", msg->sandbox_start.hostname);
    box->network = msg->sandbox_start.network;
    memcpy(box->allow, msg->sandbox_start.allow, sizeof(box->allow));
    sp_launch_request_limits(&msg->sandbox_start.limits, &box->limits);
}

void sp_box_start(struct sp_launcher *l, const struct sp_launch_msg *msg)
{
    struct sp_error err = {0};
    struct sp_gpu_lease gpus;
    struct sp_box *box;

    if (!may_start(l, msg, &err) || sp_gpus_take(l, msg, &gpus, &err) < 0) {
        sp_spacesd_failed(l, msg->seq, msg->sandbox, 0, err.kind, err.msg);
        return;
    }
    box = sp_pool_take(l);
    if (!box) {
        box = new_box(l);
        adopt(box, msg);
        box->gpus = gpus;
        begin(l, box);
        return;
    }
    adopt(box, msg);
    box->gpus = gpus;
    box->request = sp_new0(struct sp_launch_msg);
    *box->request = *msg;
    if (box->state == SP_BOX_WAITING)
        fetch_or_order(l, box);
}

/* A spare that died in the hour of its Space must not cost the Space its start. */
static void start_again(struct sp_launcher *l, struct sp_box *box)
{
    struct sp_box *fresh = new_box(l);

    adopt(fresh, box->request);
    fresh->gpus = box->gpus;
    memset(&box->gpus, 0, sizeof(box->gpus));
    begin(l, fresh);
}

void sp_box_begin_spare(struct sp_launcher *l)
{
    struct sp_box *box = new_box(l);

    box->is_spare = true;
    begin(l, box);
}

/* --- workers --- */

/* Where a new worker is noted; NULL when there may be none. */
static struct sp_box_worker *free_slot(struct sp_box *box, uint64_t worker, struct sp_error *err)
{
    struct sp_box_worker *slot = find_worker(box, 0);

    if (box->state != SP_BOX_RUNNING) {
        (void)sp_error_set(err, SP_ERR_CONFLICT, 0, "the sandbox is not running");
        return NULL;
    }
    if (find_worker(box, worker)) {
        (void)sp_error_set(err, SP_ERR_CONFLICT, 0, "there is a worker of this id");
        return NULL;
    }
    if (!slot)
        (void)sp_error_set(err, SP_ERR_LIMIT, 0, "there are %d workers", SP_BOX_WORKERS_MAX);
    return slot;
}

void sp_box_worker_start(struct sp_launcher *l, struct sp_box *box, const struct sp_launch_msg *msg,
                         const int *fds)
{
    struct sp_error err = {0};
    struct sp_box_worker *slot = free_slot(box, msg->worker, &err);
    struct sp_ctl order;
    int r;

    if (!slot) {
        sp_spacesd_failed(l, msg->seq, msg->sandbox, msg->worker, err.kind, err.msg);
        return;
    }
    sp_ctl_init(&order, SP_CTL_WORKER_START);
    order.worker = msg->worker;
    order.how = msg->worker_start.how;
    order.argc = msg->worker_start.argc;
    order.envc = msg->worker_start.envc;
    order.args_len = msg->worker_start.args_len;
    memcpy(order.text, msg->worker_start.args, sizeof(order.text));
    if (sp_gpus_env(l, box, &order, &err) < 0) {
        sp_spacesd_failed(l, msg->seq, msg->sandbox, msg->worker, err.kind, err.msg);
        return;
    }
    if (!(l->isolate & SP_ISOLATE_MOUNT) && sp_weak_translate(l, box, &order, &err) < 0) {
        sp_spacesd_failed(l, msg->seq, msg->sandbox, msg->worker, err.kind, err.msg);
        return;
    }
    r = sp_ctl_send(box->ctl, &order, fds, SP_LAUNCH_WORKER_FDS);
    if (r < 0) {
        sp_spacesd_failed(l, msg->seq, msg->sandbox, msg->worker, SP_ERR_UNAVAILABLE,
                          "the sandbox does not take orders");
        return;
    }
    slot->id = msg->worker;
    slot->start_seq = msg->seq;
    if (order.how == SP_LAUNCH_FORK)
        sp_brake_release(l, box, FORK_MS); /* pid 1 may have to end what does not fork in time */
}

void sp_box_worker_stop(struct sp_launcher *l, struct sp_box *box, const struct sp_launch_msg *msg)
{
    struct sp_ctl order;

    if (!find_worker(box, msg->worker)) {
        sp_spacesd_failed(l, msg->seq, msg->sandbox, msg->worker, SP_ERR_NOT_FOUND,
                          "there is no such worker");
        return;
    }
    sp_spacesd_ok(l, msg->seq, msg->sandbox, msg->worker);
    if (box->state != SP_BOX_RUNNING)
        return; /* all of them are being stopped */
    sp_freeze_end(l, box);
    sp_ctl_init(&order, SP_CTL_WORKER_STOP);
    order.worker = msg->worker;
    order.grace_ms = msg->stop.grace_ms;
    sp_brake_release(l, box, msg->stop.grace_ms);
    if (sp_ctl_send(box->ctl, &order, NULL, 0) < 0)
        sp_box_kill(l, box);
}

static bool has_workers(const struct sp_box *box)
{
    for (size_t i = 0; i < SP_BOX_WORKERS_MAX; i++)
        if (box->workers[i].id)
            return true;
    return false;
}

static void worker_exited(struct sp_launcher *l, struct sp_box *box, uint64_t id, int status,
                          int sig)
{
    struct sp_box_worker *worker = id ? find_worker(box, id) : NULL;
    struct sp_launch_msg msg;

    if (!worker)
        return;
    sp_launch_msg_init(&msg, SP_LAUNCH_WORKER_EXITED);
    msg.sandbox = box->id;
    msg.worker = id;
    msg.exited.status = status;
    msg.exited.signal = sig;
    if (box->cgroup.exists) {
        sp_watch_memory(l, box);
        sp_cgroup_usage(&l->groups, &box->cgroup, &msg.exited.usage);
        msg.exited.oom = box->ended_by_oom && (sig || status);
    }
    worker->id = 0;
    box->ended_by_oom = box->ended_by_oom && has_workers(box);
    sp_spacesd_send(l, &msg);
}

static void worker_answered(struct sp_launcher *l, struct sp_box *box, const struct sp_ctl *msg)
{
    struct sp_box_worker *worker = msg->worker ? find_worker(box, msg->worker) : NULL;

    if (!worker || !worker->start_seq)
        return;
    if (msg->kind == SP_CTL_STARTED) {
        sp_spacesd_ok(l, worker->start_seq, box->id, worker->id);
        worker->start_seq = 0;
        return;
    }
    /* Before the answer: a memory limit that ended it must not end, or mark, the next one. */
    sp_watch_memory(l, box);
    sp_spacesd_failed(l, worker->start_seq, box->id, worker->id, (uint32_t)msg->status, msg->text);
    memset(worker, 0, sizeof(*worker));
    box->ended_by_oom = box->ended_by_oom && has_workers(box);
}

/* --- events --- */

static void on_map_me(struct sp_launcher *l, struct sp_box *box)
{
    bool same = !(l->isolate & SP_ISOLATE_IDMAP);
    struct sp_error err = {0};
    struct sp_ctl answer;

    sp_ctl_init(&answer, SP_CTL_MAPPED);
    if (sp_userns_map(box->pid, box->uid_base, same ? l->daemon_uid : (uid_t)-1,
                      same ? l->daemon_gid : (gid_t)-1, &err) == 0 &&
        sp_ctl_send(box->ctl, &answer, NULL, 0) == 0)
        return;
    box->fail_kind = SP_ERR_INTERNAL;
    (void)snprintf(box->fail_text, sizeof(box->fail_text), "%.499s", err.msg);
    sp_box_kill(l, box);
}

void sp_box_ready(struct sp_launcher *l, struct sp_box *box, const char *times)
{
    box->state = SP_BOX_RUNNING;
    box->deadline_ms = 0;
    forget_request(box);
    if (box->from_pool)
        sp_pool_served(l);
    sp_watch_start(box);
    sp_brake_start(l, box);
    if (l->trace)
        sp_log(SP_LOG_INFO, "launcher.trace", "group=%s began=%llu %s ready=%llu", box->cgroup.name,
               (unsigned long long)box->began_ns / 1000, times,
               (unsigned long long)sp_clock_mono_ns() / 1000);
    sp_spacesd_ok(l, box->start_seq, box->id, 0);
    box->start_seq = 0;
}

static void on_message(struct sp_launcher *l, struct sp_box *box, const struct sp_ctl *msg)
{
    switch (msg->kind) {
    case SP_CTL_WAITING:
        if (box->state != SP_BOX_PREPARING)
            break;
        box->state = SP_BOX_WAITING;
        if (box->id)
            fetch_or_order(l, box);
        else
            box->deadline_ms = 0;
        if (box->is_spare)
            sp_pool_waiting(l);
        break;
    case SP_CTL_MAP_ME:
        if (box->state == SP_BOX_STARTING)
            on_map_me(l, box);
        break;
    case SP_CTL_READY:
        if (box->state == SP_BOX_STARTING && !sp_box_network_holds(box, msg->text))
            sp_box_ready(l, box, msg->text);
        break;
    case SP_CTL_FAILED:
        if (box->state > SP_BOX_STARTING)
            break;
        box->fail_kind = (uint32_t)msg->status;
        (void)snprintf(box->fail_text, sizeof(box->fail_text), "%.480s", msg->text);
        break;
    case SP_CTL_STARTED:
    case SP_CTL_START_FAILED: worker_answered(l, box, msg); break;
    case SP_CTL_EXITED: worker_exited(l, box, msg->worker, msg->status, msg->signal); break;
    default: break;
    }
}

void sp_box_on_ctl(struct sp_launcher *l, struct sp_box *box)
{
    static struct sp_ctl msg;
    int fds[SP_CTL_FDS_MAX];
    size_t n_fds;
    int r;

    /* A reset: it has ended with an order unread, and what it said last is still to come. */
    while ((r = sp_ctl_recv(box->ctl, &msg, fds, &n_fds)) > 0 || r == -ECONNRESET)
        if (r > 0)
            on_message(l, box, &msg);
    if (r == 0 || (r < 0 && r != -EAGAIN))
        sp_auto_fd(&box->ctl), box->ctl = -1; /* pid 1 is ending; its pidfd says when */
}

void sp_box_on_exit(struct sp_launcher *l, struct sp_box *box)
{
    siginfo_t info;

    while (waitid(P_PIDFD, (id_t)box->pidfd, &info, WEXITED) < 0 && errno == EINTR)
        ;
    if (box->ctl >= 0)
        sp_box_on_ctl(l, box); /* what it said last */
    sp_auto_fd(&box->pidfd);
    box->pidfd = -1;

    for (size_t i = 0; i < SP_BOX_WORKERS_MAX; i++) {
        struct sp_box_worker *worker = &box->workers[i];

        if (worker->id && worker->start_seq) {
            sp_spacesd_failed(l, worker->start_seq, box->id, worker->id, SP_ERR_UNAVAILABLE,
                              "the sandbox has ended");
            memset(worker, 0, sizeof(*worker));
        } else if (worker->id) {
            worker_exited(l, box, worker->id, -1, SIGKILL);
        }
    }
    box->again = box->request && box->start_seq && !box->fail_text[0] && !l->closing;
    if ((box->start_seq || box->is_spare) && !box->fail_text[0]) {
        box->fail_kind = SP_ERR_INTERNAL;
        (void)snprintf(box->fail_text, sizeof(box->fail_text), "pid 1 was killed during set-up");
    }
    if (box->cgroup.exists)
        sp_cgroup_usage(&l->groups, &box->cgroup, &box->last_usage);
    start_removing(l, box);
}

void sp_box_on_time(struct sp_launcher *l, struct sp_box *box)
{
    if (box->state == SP_BOX_REMOVING) {
        try_remove(l, box);
        return;
    }
    if (box->state == SP_BOX_KILLED) {
        box->deadline_ms = 0;
        (void)syscall(SYS_pidfd_send_signal, box->pidfd, SIGKILL, NULL, 0);
        return;
    }
    if (box->state <= SP_BOX_STARTING) {
        box->fail_kind = SP_ERR_UNAVAILABLE;
        (void)snprintf(box->fail_text, sizeof(box->fail_text), "set-up took over %d ms",
                       START_MAX_MS);
    }
    sp_box_kill(l, box);
}
