/* The process: answers the launcher, keeps a resolver running, ends with the launcher. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/fd.h"
#include "base/log.h"
#include "sandbox/network/guard-internal.h"
#include "sandbox/packet.h"
#include "sandbox/privs.h"

void sp_guard_make_room(int sock, size_t message_bytes)
{
    /* The kernel's own account of a message is up to twice as much and a few hundred bytes. */
    int bytes = (int)(SP_GUARD_BOXES_MAX * (2 * message_bytes + 1024));

    (void)setsockopt(sock, SOL_SOCKET, SO_SNDBUFFORCE, &bytes, sizeof(bytes));
}

static void answer(struct sp_guard *guard, enum sp_network_kind kind, uint64_t box,
                   const char *text)
{
    struct sp_network_msg msg = {.kind = kind, .box = box};

    if (text)
        (void)snprintf(msg.text, sizeof(msg.text), "%s", text);
    if (sp_packet_send(guard->launcher, &msg, sizeof(msg), NULL, 0) < 0)
        _exit(1); /* the launcher is gone, or does not read: it sweeps when it is back */
}

static void attach(struct sp_guard *guard, const struct sp_network_msg *msg, int netns_fd)
{
    struct sp_error err = {0};

    if (sp_guard_attach(guard, msg, netns_fd, &err) == 0)
        answer(guard, SP_NETWORK_ATTACHED, msg->box, NULL);
    else
        answer(guard, SP_NETWORK_REFUSED, msg->box, err.msg);
}

static _Noreturn void end(struct sp_guard *guard)
{
    for (size_t i = 0; i < SP_GUARD_BOXES_MAX; i++)
        if (guard->boxes[i].id)
            sp_guard_detach(guard, guard->boxes[i].id);
    sp_guard_remove(guard);
    _exit(0);
}

static void on_launcher(struct sp_guard *guard)
{
    static struct sp_network_msg msg;
    SP_AUTO_FD int fd = -1;
    size_t n_fds = 0;
    int r = sp_packet_recv(guard->launcher, &msg, sizeof(msg), &fd, 1, &n_fds);

    if (r == -EAGAIN)
        return;
    if (r <= 0)
        _exit(0); /* its end: what is left is swept by the next life, which may be there already */
    msg.text[sizeof(msg.text) - 1] = '\0';
    switch (msg.kind) {
    case SP_NETWORK_ATTACH: attach(guard, &msg, fd); break;
    case SP_NETWORK_DETACH:
        sp_guard_detach(guard, msg.box);
        answer(guard, SP_NETWORK_DETACHED, msg.box, NULL);
        break;
    case SP_NETWORK_END: end(guard);
    default: break;
    }
}

static int resolver_timeout(const struct sp_guard *guard)
{
    uint64_t now = sp_clock_mono_ms();

    if (!guard->resolver_at_ms)
        return -1;
    return guard->resolver_at_ms > now ? (int)(guard->resolver_at_ms - now) : 0;
}

static void look_after_resolver(struct sp_guard *guard, bool said)
{
    struct sp_error err = {0};

    if (said && guard->resolver >= 0 && !sp_guard_read_resolver(guard)) {
        sp_log(SP_LOG_WARN, "network.resolver_ended", "again_ms=%d", SP_GUARD_AGAIN_MS);
        sp_guard_stop_resolver(guard);
        guard->resolver_at_ms = sp_clock_mono_ms() + SP_GUARD_AGAIN_MS;
    }
    if (!guard->resolver_at_ms || sp_clock_mono_ms() < guard->resolver_at_ms)
        return;
    if (sp_guard_start_resolver(guard, &err) < 0) {
        sp_log(SP_LOG_ERROR, "network.resolver_failed", "err=%s", sp_log_quoted(err.msg));
        guard->resolver_at_ms = sp_clock_mono_ms() + SP_GUARD_AGAIN_MS;
    }
}

void sp_guard_run(struct sp_guard *guard)
{
    struct sp_error err = {0};

    if (sp_privs_keep_network(&err) < 0 || sp_guard_build(guard, &err) < 0) {
        sp_guard_remove(guard);
        answer(guard, SP_NETWORK_FAILED, 0, err.msg);
        _exit(0);
    }
    answer(guard, SP_NETWORK_READY, 0, NULL);
    for (;;) {
        struct pollfd polls[] = {{.fd = guard->launcher, .events = POLLIN},
                                 {.fd = guard->resolver, .events = POLLIN}};

        if (poll(polls, 2, resolver_timeout(guard)) < 0)
            continue;
        look_after_resolver(guard, polls[1].revents != 0);
        if (polls[0].revents)
            on_launcher(guard);
    }
}

int sp_network_start(const struct sp_network_options *options, int *ret_sock, pid_t *ret_pid,
                     struct sp_error *err)
{
    static struct sp_guard guard;
    int pair[2];
    pid_t pid;

    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
        return sp_error_set(err, SP_ERR_INTERNAL, -errno, "make the network's socket");
    sp_guard_make_room(pair[0], sizeof(struct sp_network_msg));
    pid = fork();
    if (pid < 0) {
        (void)close(pair[0]);
        (void)close(pair[1]);
        return sp_error_set(err, SP_ERR_INTERNAL, -errno, "fork for the network");
    }
    if (pid == 0) {
        /* Nothing of the launcher's: not the daemon's socket, not the groups. */
        if (dup3(pair[1], 3, O_CLOEXEC) < 0 && pair[1] != 3)
            _exit(1);
        (void)close_range(4, ~0u, 0);
        (void)prctl(PR_SET_NAME, "spaces-network", 0, 0, 0);
        sp_log_set_program("network");
        guard.options = options;
        guard.resolver_exe = open(options->resolver, O_PATH | O_CLOEXEC);
        guard.launcher = 3;
        sp_guard_run(&guard);
    }
    (void)close(pair[1]);
    (void)fcntl(pair[0], F_SETFL, O_NONBLOCK);
    *ret_sock = pair[0];
    *ret_pid = pid;
    return 0;
}
