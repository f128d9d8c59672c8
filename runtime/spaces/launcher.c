#include "runtime/spaces/launcher.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/error.h"
#include "base/fd.h"
#include "base/list.h"
#include "base/log.h"
#include "base/map.h"
#include "base/mem.h"

/* A request: first in `unsent` until the socket takes it, then in `waiting` by its seq. */
struct call {
    struct sp_list node;
    struct sp_launch_msg msg;
    int fds[SP_LAUNCH_FDS_MAX];
    size_t n_fds;
    sp_launcher_fn *done;
    void *arg;
};

struct sp_launcher {
    uv_poll_t poll;
    int sock;
    bool closing;
    bool want_write;
    uint64_t next_seq;
    int came_with; /* descriptor of the message that is being handled, or -1 */
    struct sp_list unsent;
    struct sp_map waiting; /* seq -> struct call */
    struct sp_launcher_hooks hooks;
};

static void on_poll(uv_poll_t *poll, int status, int events);

static void call_free(struct call *call)
{
    for (size_t i = 0; i < call->n_fds; i++)
        (void)close(call->fds[i]);
    free(call);
}

/* A call that will never be answered: its caller hears so, and frees what it holds. */
static void call_drop(struct call *call)
{
    struct sp_error err = {0};

    (void)sp_error_set(&err, SP_ERR_UNAVAILABLE, 0, "the launcher is closed");
    if (call->done)
        call->done(call->arg, &err, NULL);
    call_free(call);
}

static void poll_for(struct sp_launcher *launcher, bool want_write)
{
    launcher->want_write = want_write;
    (void)uv_poll_start(&launcher->poll, UV_READABLE | (want_write ? UV_WRITABLE : 0), on_poll);
}

int sp_launcher_new(uv_loop_t *loop, int take_fd, const struct sp_launcher_hooks *hooks,
                    struct sp_launcher **ret, struct sp_error *err)
{
    struct sp_launcher *launcher = sp_new0(struct sp_launcher);
    int r = uv_poll_init(loop, &launcher->poll, take_fd);

    if (r < 0) {
        (void)close(take_fd);
        free(launcher);
        return sp_error_set(err, SP_ERR_INTERNAL, r, "watch the launcher's socket");
    }
    launcher->poll.data = launcher;
    launcher->sock = take_fd;
    launcher->came_with = -1;
    launcher->hooks = *hooks;
    sp_list_init(&launcher->unsent);
    sp_map_init(&launcher->waiting);
    poll_for(launcher, false);
    *ret = launcher;
    return 0;
}

static void on_closed(uv_handle_t *handle)
{
    struct sp_launcher *launcher = handle->data;

    (void)close(launcher->sock);
    sp_map_done(&launcher->waiting);
    free(launcher);
}

void sp_launcher_close(struct sp_launcher *launcher)
{
    struct call *call;
    size_t cursor = 0;

    if (!launcher || launcher->closing)
        return;
    launcher->closing = true;
    SP_LIST_EACH (unsent, &launcher->unsent, struct call, node) {
        sp_list_remove(&unsent->node);
        call_drop(unsent);
    }
    while ((call = sp_map_next(&launcher->waiting, &cursor, NULL)))
        call_drop(call);
    (void)shutdown(launcher->sock, SHUT_RDWR); /* the end, also for a copy that a child may hold */
    uv_close((uv_handle_t *)&launcher->poll, on_closed);
}

static void lose(struct sp_launcher *launcher, const char *why)
{
    if (launcher->closing)
        return;
    (void)uv_poll_stop(&launcher->poll);
    launcher->hooks.lost(launcher->hooks.arg, why);
}

/* Hands over what the socket takes; the rest goes when it is writable. */
static void flush(struct sp_launcher *launcher)
{
    SP_LIST_EACH (call, &launcher->unsent, struct call, node) {
        struct sp_error err = {0};
        int r = sp_launch_send(launcher->sock, &call->msg, call->fds, call->n_fds, &err);

        if (r == -EAGAIN)
            break;
        if (r < 0) {
            lose(launcher, err.msg);
            return;
        }
        sp_list_remove(&call->node);
        for (size_t i = 0; i < call->n_fds; i++)
            (void)close(call->fds[i]);
        call->n_fds = 0;
        (void)sp_map_put_u64(&launcher->waiting, call->msg.seq, call);
    }
    if (launcher->want_write != !sp_list_empty(&launcher->unsent))
        poll_for(launcher, !launcher->want_write);
}

void sp_launcher_call(struct sp_launcher *launcher, struct sp_launch_msg *msg, int *take_fds,
                      size_t n_fds, sp_launcher_fn *done, void *arg)
{
    struct call *call = sp_new0(struct call);

    msg->seq = ++launcher->next_seq;
    call->msg = *msg;
    call->n_fds = n_fds;
    if (n_fds)
        memcpy(call->fds, take_fds, n_fds * sizeof(*take_fds));
    call->done = done;
    call->arg = arg;
    if (launcher->closing) {
        call_drop(call);
        return;
    }
    sp_list_append(&launcher->unsent, &call->node);
    flush(launcher);
}

static void answer(struct sp_launcher *launcher, const struct sp_launch_msg *msg)
{
    struct call *call = sp_map_remove_u64(&launcher->waiting, msg->seq);
    struct sp_error err = {0};

    if (!call) {
        sp_log(SP_LOG_WARN, "launcher.unexpected", "kind=%u seq=%llu", msg->kind,
               (unsigned long long)msg->seq);
        return;
    }
    if (msg->kind == SP_LAUNCH_FAILED)
        (void)sp_error_set(&err, msg->failed.error_kind, 0, "%.*s",
                           (int)sizeof(msg->failed.text) - 1, msg->failed.text);
    if (call->done)
        call->done(call->arg, msg->kind == SP_LAUNCH_FAILED ? &err : NULL, msg);
    call_free(call);
}

int sp_launcher_take_fd(struct sp_launcher *launcher)
{
    return SP_TAKE_FD(launcher->came_with);
}

static void dispatch(struct sp_launcher *launcher, const struct sp_launch_msg *msg)
{
    switch (msg->kind) {
    case SP_LAUNCH_OK:
    case SP_LAUNCH_FAILED: answer(launcher, msg); break;
    case SP_LAUNCH_WORKER_EXITED: launcher->hooks.worker_exited(launcher->hooks.arg, msg); break;
    case SP_LAUNCH_SANDBOX_GONE: launcher->hooks.sandbox_gone(launcher->hooks.arg, msg); break;
    case SP_LAUNCH_LIMIT_HIT: launcher->hooks.limit_hit(launcher->hooks.arg, msg); break;
    default: lose(launcher, "the launcher sent a message of an unknown kind"); break;
    }
}

static void on_poll(uv_poll_t *poll, int status, int events)
{
    struct sp_launcher *launcher = poll->data;

    if (status < 0) {
        lose(launcher, uv_strerror(status));
        return;
    }
    /* A bounded batch, so that a talkative launcher cannot keep the loop. */
    for (int i = 0; i < 64 && events & UV_READABLE && !launcher->closing; i++) {
        struct sp_launch_msg msg;
        struct sp_error err = {0};
        int fds[SP_LAUNCH_FDS_MAX] = {-1, -1};
        size_t n_fds = 0;
        int r = sp_launch_recv(launcher->sock, &msg, fds, &n_fds, &err);

        if (r == -EAGAIN)
            break;
        if (r <= 0) {
            lose(launcher, r == 0 ? "the launcher ended" : err.msg);
            return;
        }
        launcher->came_with = SP_TAKE_FD(fds[0]);
        sp_auto_fd(&fds[1]); /* no message has two */
        dispatch(launcher, &msg);
        sp_auto_fd(&launcher->came_with);
        launcher->came_with = -1;
    }
    if (!launcher->closing)
        flush(launcher);
}
