#include "sandbox/launch.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/error.h"
#include "base/fd.h"

static const struct {
    enum sp_launch_kind kind;
    const char *name;
} kinds[] = {
    {SP_LAUNCH_HELLO, "hello"},
    {SP_LAUNCH_SANDBOX_START, "sandbox_start"},
    {SP_LAUNCH_WORKER_START, "worker_start"},
    {SP_LAUNCH_WORKER_STOP, "worker_stop"},
    {SP_LAUNCH_SANDBOX_STOP, "sandbox_stop"},
    {SP_LAUNCH_USAGE, "usage"},
    {SP_LAUNCH_OK, "ok"},
    {SP_LAUNCH_FAILED, "failed"},
    {SP_LAUNCH_WORKER_EXITED, "worker_exited"},
    {SP_LAUNCH_SANDBOX_GONE, "sandbox_gone"},
};

const char *sp_launch_kind_to_string(enum sp_launch_kind kind)
{
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
        if (kinds[i].kind == kind)
            return kinds[i].name;
    return "unknown";
}

void sp_launch_msg_init(struct sp_launch_msg *msg, enum sp_launch_kind kind)
{
    /* All of it: the packet is sent whole, and padding must not carry old memory across. */
    memset(msg, 0, sizeof(*msg));
    msg->magic = SP_LAUNCH_MAGIC;
    msg->kind = (uint32_t)kind;
}

/* Appends each string with its terminator; returns how many, or -1 when the space is used up. */
static int pack(char *args, uint32_t *len, const char *const *strings)
{
    int n = 0;

    for (; strings && strings[n]; n++) {
        size_t size = strlen(strings[n]) + 1;

        if (size > SP_LAUNCH_ARGS_MAX - *len)
            return -1;
        memcpy(args + *len, strings[n], size);
        *len += (uint32_t)size;
    }
    return n;
}

int sp_launch_pack_args(struct sp_launch_msg *msg, const char *const *argv, const char *const *env,
                        struct sp_error *err)
{
    uint32_t len = 0;
    int argc = pack(msg->worker_start.args, &len, argv);
    int envc = argc < 0 ? -1 : pack(msg->worker_start.args, &len, env);

    if (argc < 0 || envc < 0)
        return sp_error_set(err, SP_ERR_LIMIT, -E2BIG,
                            "pack the worker's arguments and environment: over %d bytes",
                            SP_LAUNCH_ARGS_MAX);
    msg->worker_start.argc = (uint32_t)argc;
    msg->worker_start.envc = (uint32_t)envc;
    msg->worker_start.args_len = len;
    return 0;
}

int sp_launch_send(int sock, const struct sp_launch_msg *msg, const int *fds, size_t n_fds,
                   struct sp_error *err)
{
    union {
        char buf[CMSG_SPACE(sizeof(int) * SP_LAUNCH_FDS_MAX)];
        struct cmsghdr align;
    } control;
    struct iovec iov = {.iov_base = (void *)msg, .iov_len = sizeof(*msg)};
    struct msghdr hdr = {.msg_iov = &iov, .msg_iovlen = 1};
    ssize_t n;

    if (n_fds > SP_LAUNCH_FDS_MAX)
        return sp_error_set(err, SP_ERR_INVALID, -EINVAL, "send %zu descriptors", n_fds);
    if (n_fds > 0) {
        struct cmsghdr *cmsg;

        memset(&control, 0, sizeof(control));
        hdr.msg_control = control.buf;
        hdr.msg_controllen = CMSG_SPACE(sizeof(int) * n_fds);
        cmsg = CMSG_FIRSTHDR(&hdr);
        cmsg->cmsg_level = SOL_SOCKET;
        cmsg->cmsg_type = SCM_RIGHTS;
        cmsg->cmsg_len = CMSG_LEN(sizeof(int) * n_fds);
        memcpy(CMSG_DATA(cmsg), fds, sizeof(int) * n_fds);
    }

    do
        n = sendmsg(sock, &hdr, MSG_NOSIGNAL);
    while (n < 0 && errno == EINTR);
    if (n < 0)
        return sp_error_set(err, SP_ERR_UNAVAILABLE, -errno, "send '%s'",
                            sp_launch_kind_to_string(msg->kind));
    return 0;
}

/* Takes what the packet carried; what does not fit the contract is closed, never leaked. */
static bool take_fds(struct msghdr *hdr, int fds[SP_LAUNCH_FDS_MAX], size_t *ret_n)
{
    size_t n = 0;
    bool fits = !(hdr->msg_flags & MSG_CTRUNC);

    for (struct cmsghdr *c = CMSG_FIRSTHDR(hdr); c; c = CMSG_NXTHDR(hdr, c)) {
        size_t count;

        if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
            continue;
        count = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        for (size_t i = 0; i < count; i++) {
            int fd;

            memcpy(&fd, CMSG_DATA(c) + i * sizeof(int), sizeof(int));
            if (n < SP_LAUNCH_FDS_MAX) {
                fds[n++] = fd;
            } else {
                (void)close(fd);
                fits = false;
            }
        }
    }
    *ret_n = n;
    return fits;
}

int sp_launch_recv(int sock, struct sp_launch_msg *ret, int fds[SP_LAUNCH_FDS_MAX],
                   size_t *ret_n_fds, struct sp_error *err)
{
    union {
        /* Room for more than is allowed, so that "too many" can be told from "the right number". */
        char buf[CMSG_SPACE(sizeof(int) * (SP_LAUNCH_FDS_MAX + 4))];
        struct cmsghdr align;
    } control;
    struct iovec iov = {.iov_base = ret, .iov_len = sizeof(*ret)};
    struct msghdr hdr = {.msg_iov = &iov,
                         .msg_iovlen = 1,
                         .msg_control = control.buf,
                         .msg_controllen = sizeof(control.buf)};
    bool fits;
    size_t n_fds = 0;
    ssize_t n;

    do
        n = recvmsg(sock, &hdr, MSG_CMSG_CLOEXEC);
    while (n < 0 && errno == EINTR);
    if (n < 0)
        return sp_error_set(err, SP_ERR_UNAVAILABLE, -errno, "receive from the launch socket");

    fits = take_fds(&hdr, fds, &n_fds);
    if (n == 0 && n_fds == 0)
        return 0;
    if (!fits || (hdr.msg_flags & MSG_TRUNC) || (size_t)n != sizeof(*ret) ||
        ret->magic != SP_LAUNCH_MAGIC) {
        for (size_t i = 0; i < n_fds; i++)
            (void)close(fds[i]);
        *ret_n_fds = 0;
        return sp_error_set(err, SP_ERR_INVALID, -EPROTO,
                            "receive from the launch socket: not a message of this version");
    }
    *ret_n_fds = n_fds;
    return 1;
}
