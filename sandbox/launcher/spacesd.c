/* The daemon's side of the launcher: requests in, answers and events out. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/mem.h"
#include "sandbox/launcher/launcher-internal.h"
#include "sandbox/launcher/request.h"
#include "sandbox/launcher/socket.h"

/* Requests are not read while something waits here, so only events make it grow. */
#define OUT_MAX (SP_BOXES_MAX * (SP_BOX_WORKERS_MAX + 2))

struct out {
    struct sp_list list;
    int fd; /* -1 = none */
    struct sp_launch_msg msg;
};

static int send_one(struct sp_launcher *l, const struct sp_launch_msg *msg, int fd)
{
    int r = sp_launch_send(l->sock, msg, &fd, fd >= 0 ? 1 : 0, NULL);

    return r == -ENOBUFS ? -EAGAIN : r;
}

void sp_spacesd_send(struct sp_launcher *l, const struct sp_launch_msg *msg)
{
    sp_spacesd_send_fd(l, msg, -1);
}

void sp_spacesd_send_fd(struct sp_launcher *l, const struct sp_launch_msg *msg, int take_fd)
{
    SP_AUTO_FD int fd = take_fd;
    struct out *out;
    int r;

    if (l->closing)
        return;
    if (sp_list_empty(&l->out)) {
        r = send_one(l, msg, fd);
        if (r == 0)
            return;
        if (r != -EAGAIN) {
            l->closing = true;
            return;
        }
    }
    if (l->n_out >= OUT_MAX) {
        sp_log(SP_LOG_ERROR, "launcher.daemon_stuck", "waiting=%u", l->n_out);
        l->closing = true;
        return;
    }
    out = sp_new0(struct out);
    out->msg = *msg;
    out->fd = SP_TAKE_FD(fd);
    sp_list_append(&l->out, &out->list);
    l->n_out++;
}

void sp_spacesd_flush(struct sp_launcher *l)
{
    SP_LIST_EACH (out, &l->out, struct out, list) {
        int r = l->closing ? 0 : send_one(l, &out->msg, out->fd);

        if (r == -EAGAIN)
            return;
        if (r < 0)
            l->closing = true;
        sp_list_remove(&out->list);
        l->n_out--;
        sp_auto_fd(&out->fd);
        free(out);
    }
}

void sp_spacesd_ok(struct sp_launcher *l, uint64_t seq, uint64_t sandbox, uint64_t worker)
{
    struct sp_launch_msg msg;

    sp_launch_msg_init(&msg, SP_LAUNCH_OK);
    msg.seq = seq;
    msg.sandbox = sandbox;
    msg.worker = worker;
    sp_spacesd_send(l, &msg);
}

void sp_spacesd_failed(struct sp_launcher *l, uint64_t seq, uint64_t sandbox, uint64_t worker,
                       uint32_t kind, const char *text)
{
    struct sp_launch_msg msg;

    sp_launch_msg_init(&msg, SP_LAUNCH_FAILED);
    msg.seq = seq;
    msg.sandbox = sandbox;
    msg.worker = worker;
    msg.failed.error_kind = kind;
    (void)snprintf(msg.failed.text, sizeof(msg.failed.text), "%.499s", text);
    sp_spacesd_send(l, &msg);
}

static void hello(struct sp_launcher *l, const struct sp_launch_msg *msg)
{
    struct sp_launch_msg answer;

    l->greeted = true;
    sp_pool_start(l);
    sp_launch_msg_init(&answer, SP_LAUNCH_OK);
    answer.seq = msg->seq;
    answer.host.complete = sp_probe_complete(&l->probe);
    sp_probe_missing(&l->probe, answer.host.missing, sizeof(answer.host.missing));
    answer.host.n_gpus = (uint32_t)l->gpus.pool.list.n;
    (void)snprintf(answer.host.gpus_why, sizeof(answer.host.gpus_why), "%.299s",
                   l->gpus.pool.list.why);
    sp_spacesd_send(l, &answer);
}

static void usage(struct sp_launcher *l, const struct sp_box *box, uint64_t seq)
{
    struct sp_launch_msg answer;

    sp_launch_msg_init(&answer, SP_LAUNCH_OK);
    answer.seq = seq;
    answer.sandbox = box->id;
    if (box->cgroup.exists && box->state != SP_BOX_REMOVING)
        sp_cgroup_usage(&l->groups, &box->cgroup, &answer.usage);
    answer.usage.gpu_memory_bytes = sp_gpu_lease_used(&box->gpus);
    sp_spacesd_send(l, &answer);
}

/* About a sandbox that must exist. */
static void about_box(struct sp_launcher *l, const struct sp_launch_msg *msg, const int *fds)
{
    struct sp_box *box = sp_box_find(l, msg->sandbox);

    if (!box) {
        sp_spacesd_failed(l, msg->seq, msg->sandbox, msg->worker, SP_ERR_NOT_FOUND,
                          "there is no such sandbox");
        return;
    }
    if ((box->frozen || box->freeze_seq) && msg->kind == SP_LAUNCH_WORKER_START) {
        sp_spacesd_failed(l, msg->seq, msg->sandbox, msg->worker, SP_ERR_CONFLICT,
                          "the sandbox is frozen");
        return;
    }
    switch (msg->kind) {
    case SP_LAUNCH_FREEZE: sp_freeze(l, box, msg); break;
    case SP_LAUNCH_WORKER_START: sp_box_worker_start(l, box, msg, fds); break;
    case SP_LAUNCH_WORKER_STOP: sp_box_worker_stop(l, box, msg); break;
    case SP_LAUNCH_SANDBOX_STOP:
        sp_spacesd_ok(l, msg->seq, msg->sandbox, 0);
        sp_box_stop(l, box, msg->stop.grace_ms);
        break;
    case SP_LAUNCH_SOCKET: sp_box_socket(l, box, msg); break;
    default: usage(l, box, msg->seq); break;
    }
}

static void on_request(struct sp_launcher *l, const struct sp_launch_msg *msg, const int *fds,
                       size_t n_fds)
{
    struct sp_error err = {0};

    if (sp_launch_request_check(msg, n_fds, l->greeted, &err) < 0)
        sp_spacesd_failed(l, msg->seq, msg->sandbox, msg->worker, err.kind, err.msg);
    else if (msg->kind == SP_LAUNCH_HELLO)
        hello(l, msg);
    else if (msg->kind == SP_LAUNCH_GPUS)
        sp_gpus_tell(l, msg);
    else if (msg->kind == SP_LAUNCH_SANDBOX_START)
        sp_box_start(l, msg);
    else
        about_box(l, msg, fds);
}

void sp_spacesd_read(struct sp_launcher *l)
{
    /* One at a time between polls: the ends of sandboxes are not kept waiting by a flood. */
    static struct sp_launch_msg msg;
    int fds[SP_LAUNCH_FDS_MAX];
    struct sp_error err;
    size_t n_fds = 0;
    int r = sp_launch_recv(l->sock, &msg, fds, &n_fds, &err);

    if (r == -EAGAIN)
        return;
    if (r == -EPROTO) {
        sp_log(SP_LOG_ERROR, "launcher.bad_message", "err=%s", sp_log_quoted(err.msg));
        return;
    }
    if (r <= 0) {
        l->closing = true;
        return;
    }
    on_request(l, &msg, fds, n_fds);
    for (size_t i = 0; i < n_fds; i++)
        (void)close(fds[i]);
}
