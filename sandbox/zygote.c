/*
 * pid 1 and the zygote: orders to fork, what it says about them, and which of the processes that
 * carry its tag nobody answers for.
 *
 * The zygote is the app's: it may lie, say nothing, say too much. All it can reach that way is the
 * end of its own Space's processes. pid 1 never waits for it, believes no pid that the kernel does
 * not vouch for, and takes for a worker only what is below a child of its own, both with the
 * zygote's tag: that child is the worker's minder, which reaps its orphans and ends as it ends.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/fd.h"
#include "base/str.h"
#include "sandbox/init-internal.h"
#include "sandbox/walk.h"

#define FORK_MAX_MS 2000 /* then the zygote is taken for stuck and ended */

/* pid 1 -> zygote, with the worker's socket and its log. sdk/python/spacekit/zygote.py reads it. */
struct order {
    uint64_t worker;
    uint32_t argc, envc, args_len, reserved;
    char text[SP_LAUNCH_ARGS_MAX];
};

/* zygote -> pid 1: a verb, a number where it is about a fork, a sentence where it says why. */
struct word {
    char text[256];
    pid_t pid; /* who sent it, by the kernel's word; 0 = unknown */
};

static struct worker *the_zygote(struct init *init)
{
    for (size_t i = 0; i < SP_INIT_WORKERS_MAX; i++)
        if (init->workers[i].state != WORKER_FREE && init->workers[i].is_zygote)
            return &init->workers[i];
    return NULL;
}

static bool is_living(const struct worker *worker)
{
    return worker->state == WORKER_RUNNING || worker->state == WORKER_STOPPING;
}

int sp_zygote_open(struct init *init, int *ret_theirs, struct sp_error *err)
{
    int socks[2], on = 1;

    if (the_zygote(init))
        return sp_error_set(err, SP_ERR_CONFLICT, 0, "the sandbox has a zygote");
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, socks) < 0)
        return sp_error_set(err, SP_ERR_INTERNAL, -errno, "make the zygote's socket");
    (void)setsockopt(socks[0], SOL_SOCKET, SO_PASSCRED, &on, sizeof(on));
    (void)fcntl(socks[0], F_SETFL, O_NONBLOCK); /* our end alone: who does not read holds nobody */
    init->zygote = socks[0];
    *ret_theirs = socks[1];
    return 0;
}

int sp_zygote_fork(struct init *init, const struct sp_ctl *msg, const int *fds,
                   struct sp_error *err)
{
    struct worker *zygote = the_zygote(init), *worker = sp_init_free_worker(init);
    static struct order order;
    int r;

    if (!zygote || zygote->state != WORKER_RUNNING || zygote->is_unanswered)
        return sp_error_set(err, SP_ERR_CONFLICT, 0, "the sandbox has no zygote that is ready");
    if (!worker)
        return sp_error_set(err, SP_ERR_LIMIT, 0, "fork a worker: there are %d",
                            SP_INIT_WORKERS_MAX);
    memset(&order, 0, sizeof(order));
    order.worker = msg->worker;
    order.argc = msg->argc;
    order.envc = msg->envc;
    order.args_len = msg->args_len;
    memcpy(order.text, msg->text, sizeof(order.text));
    r = sp_packet_send(init->zygote, &order, sizeof(order), fds, SP_LAUNCH_WORKER_FDS);
    if (r == -EAGAIN)
        return sp_error_set(err, SP_ERR_UNAVAILABLE, 0, "the zygote leaves its orders unread");
    if (r < 0)
        return sp_error_set(err, SP_ERR_UNAVAILABLE, r, "order a fork from the zygote");

    *worker = (struct worker){
        .state = WORKER_FORKING,
        .id = msg->worker,
        .tag = zygote->tag,
        .is_fork = true,
        .is_unanswered = true,
        .kill_at = sp_clock_mono_ms() + FORK_MAX_MS,
    };
    return 0;
}

/* --- what it says --- */

/* 1, 0 at the end of the conversation, -EAGAIN. Descriptors that it sends find no room. */
static int hear(int sock, struct word *ret)
{
    union {
        char buf[CMSG_SPACE(sizeof(struct ucred))];
        struct cmsghdr align;
    } control;
    struct iovec iov = {.iov_base = ret->text, .iov_len = sizeof(ret->text) - 1};
    struct msghdr hdr = {.msg_iov = &iov,
                         .msg_iovlen = 1,
                         .msg_control = control.buf,
                         .msg_controllen = sizeof(control.buf)};
    struct ucred creds;
    ssize_t n;

    memset(ret, 0, sizeof(*ret));
    n = recvmsg(sock, &hdr, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    /* A reset: it has ended with an order unread, and what it said last is still to come. */
    if (n < 0 && errno == ECONNRESET)
        n = recvmsg(sock, &hdr, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    if (n < 0)
        return errno == EAGAIN || errno == EINTR ? -EAGAIN : 0;
    for (struct cmsghdr *c = n > 0 ? CMSG_FIRSTHDR(&hdr) : NULL; c; c = CMSG_NXTHDR(&hdr, c)) {
        if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_CREDENTIALS)
            continue;
        memcpy(&creds, CMSG_DATA(c), sizeof(creds));
        ret->pid = creds.pid;
    }
    /* The text goes to a person's eyes: one line, nothing a terminal would obey. */
    for (ssize_t i = 0; i < n; i++)
        if ((unsigned char)ret->text[i] < ' ' || ret->text[i] == 0x7f)
            ret->text[i] = ' ';
    return n > 0;
}

static void end_zygote(struct init *init, struct worker *zygote, const char *why)
{
    (void)snprintf(zygote->why, sizeof(zygote->why), "%.199s", why);
    sp_init_start_sweep(zygote);
    sp_zygote_lost(init);
}

static void fail_fork(struct worker *worker, const char *why)
{
    (void)snprintf(worker->why, sizeof(worker->why), "%.199s", why);
    sp_init_start_sweep(worker);
}

/* A fork says that it is in its place: below a minder, which is our child. */
static bool on_forked(struct init *init, struct worker *worker, pid_t pid)
{
    gid_t tag = geteuid() == 0 ? worker->tag : 0;
    pid_t minder = sp_walk_parent(pid);

    if (pid <= 1 || minder <= 1 || sp_init_find_pid(init, minder) ||
        !sp_walk_is_child(pid, minder, tag) || !sp_walk_is_child(minder, getpid(), tag))
        return false;
    worker->state = WORKER_RUNNING;
    worker->pid = minder;
    worker->main = pid;
    worker->is_unanswered = false;
    init->childless = false;
    sp_init_tell(SP_CTL_STARTED, worker->id, 0, 0, "");
    if (worker->is_unwanted)
        sp_init_stop_worker(worker, worker->grace_ms);
    return true;
}

/* False when this word has no place here. */
static bool on_word(struct init *init, struct worker *zygote, const struct word *word)
{
    struct sp_slice rest = sp_slice_str(word->text), verb, number;
    struct worker *worker;
    uint64_t id;

    if (!sp_slice_split(&rest, ' ', &verb))
        return false;
    if (sp_slice_eq_str(verb, "ready") && zygote->is_unanswered && word->pid == zygote->pid) {
        zygote->is_unanswered = false;
        sp_init_tell(SP_CTL_STARTED, zygote->id, 0, 0, "");
        return true;
    }
    if (sp_slice_eq_str(verb, "refused") && zygote->is_unanswered) {
        end_zygote(init, zygote, rest.ptr ? rest.ptr : "no reason given");
        return true;
    }
    if (!sp_slice_split(&rest, ' ', &number) || !sp_parse_u64(number, UINT64_MAX, &id))
        return false;
    worker = sp_init_find(init, id);
    if (!worker || worker->state != WORKER_FORKING)
        return false;
    if (sp_slice_eq_str(verb, "forked"))
        return on_forked(init, worker, word->pid);
    if (!sp_slice_eq_str(verb, "failed"))
        return false;
    fail_fork(worker, rest.ptr ? rest.ptr : "the zygote could not fork");
    return true;
}

bool sp_zygote_on_readable(struct init *init)
{
    struct worker *zygote = the_zygote(init);
    struct word word;
    int r = init->zygote < 0 ? -EAGAIN : hear(init->zygote, &word);

    if (r == -EAGAIN)
        return false;
    if (!zygote || !is_living(zygote))
        sp_zygote_lost(init);
    else if (r == 0)
        end_zygote(init, zygote,
                   zygote->is_unanswered ? "the zygote ended before it was ready"
                                         : "the zygote has ended");
    else if (!on_word(init, zygote, &word))
        end_zygote(init, zygote, "the zygote said what it should not");
    return true;
}

/* --- its end --- */

void sp_zygote_lost(struct init *init)
{
    if (init->zygote >= 0)
        (void)close(init->zygote);
    init->zygote = -1;
    for (size_t i = 0; i < SP_INIT_WORKERS_MAX; i++)
        if (init->workers[i].state == WORKER_FORKING)
            fail_fork(&init->workers[i], "the zygote ended before it forked");
}

void sp_zygote_on_time(struct init *init, uint64_t now)
{
    struct worker *zygote = the_zygote(init);

    for (size_t i = 0; i < SP_INIT_WORKERS_MAX; i++) {
        struct worker *worker = &init->workers[i];

        if (worker->state != WORKER_FORKING || now < worker->kill_at)
            continue;
        fail_fork(worker, "the zygote did not fork in time");
        if (zygote)
            end_zygote(init, zygote, "the zygote did not fork in time");
    }
}

bool sp_zygote_is_forking(const struct init *init)
{
    for (size_t i = 0; i < SP_INIT_WORKERS_MAX; i++)
        if (init->workers[i].state == WORKER_FORKING)
            return true; /* bounded: see FORK_MAX_MS */
    return false;
}

bool sp_zygote_sweep(struct init *init, gid_t tag)
{
    pid_t keepers[SP_INIT_WORKERS_MAX];
    size_t n = 0;

    for (size_t i = 0; i < SP_INIT_WORKERS_MAX; i++) {
        const struct worker *worker = &init->workers[i];

        if (is_living(worker) && worker->pid > 0 && worker->tag == tag)
            keepers[n++] = worker->pid;
    }
    return sp_walk_kill_orphans(tag, keepers, n) == 0;
}
