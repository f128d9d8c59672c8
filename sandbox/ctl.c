#include "sandbox/ctl.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

void sp_ctl_init(struct sp_ctl *msg, enum sp_ctl_kind kind)
{
    memset(msg, 0, sizeof(*msg));
    msg->kind = (uint32_t)kind;
}

union control {
    char buf[CMSG_SPACE(sizeof(int) * SP_CTL_FDS_MAX)];
    struct cmsghdr align;
};

int sp_ctl_send(int sock, const struct sp_ctl *msg, const int *fds, size_t n_fds)
{
    union control control;
    struct iovec iov = {.iov_base = (void *)msg, .iov_len = sizeof(*msg)};
    struct msghdr hdr = {.msg_iov = &iov, .msg_iovlen = 1};
    ssize_t n;

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
    return n < 0 ? -errno : 0;
}

int sp_ctl_recv(int sock, struct sp_ctl *ret, int fds[SP_CTL_FDS_MAX], size_t *ret_n_fds)
{
    union control control;
    struct iovec iov = {.iov_base = ret, .iov_len = sizeof(*ret)};
    struct msghdr hdr = {.msg_iov = &iov,
                         .msg_iovlen = 1,
                         .msg_control = control.buf,
                         .msg_controllen = sizeof(control.buf)};
    const struct cmsghdr *cmsg;
    ssize_t n;

    *ret_n_fds = 0;
    do
        n = recvmsg(sock, &hdr, MSG_CMSG_CLOEXEC);
    while (n < 0 && errno == EINTR);
    if (n <= 0)
        return n < 0 ? -errno : 0;
    cmsg = CMSG_FIRSTHDR(&hdr);
    if (cmsg && cmsg->cmsg_level == SOL_SOCKET && cmsg->cmsg_type == SCM_RIGHTS) {
        *ret_n_fds = (cmsg->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        memcpy(fds, CMSG_DATA(cmsg), *ret_n_fds * sizeof(int));
    }
    if ((size_t)n != sizeof(*ret)) {
        for (size_t i = 0; i < *ret_n_fds; i++)
            (void)close(fds[i]);
        *ret_n_fds = 0;
        return -EPROTO;
    }
    ret->text[sizeof(ret->text) - 1] = '\0';
    return 1;
}
