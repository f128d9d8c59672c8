#include "sandbox/packet.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

/* Room for more than is allowed, so that "too many" can be told from "the right number". */
union control {
    char buf[CMSG_SPACE(sizeof(int) * (SP_PACKET_FDS_MAX + 4))];
    struct cmsghdr align;
};

static void put_fds(struct msghdr *hdr, union control *control, const int *fds, size_t n_fds)
{
    struct cmsghdr *cmsg;

    memset(control, 0, sizeof(*control));
    hdr->msg_control = control->buf;
    hdr->msg_controllen = CMSG_SPACE(sizeof(int) * n_fds);
    cmsg = CMSG_FIRSTHDR(hdr);
    cmsg->cmsg_level = SOL_SOCKET;
    cmsg->cmsg_type = SCM_RIGHTS;
    cmsg->cmsg_len = CMSG_LEN(sizeof(int) * n_fds);
    memcpy(CMSG_DATA(cmsg), fds, sizeof(int) * n_fds);
}

int sp_packet_send(int sock, const void *data, size_t size, const int *fds, size_t n_fds)
{
    union control control;
    struct iovec iov = {.iov_base = (void *)data, .iov_len = size};
    struct msghdr hdr = {.msg_iov = &iov, .msg_iovlen = 1};
    ssize_t n;

    if (n_fds > SP_PACKET_FDS_MAX)
        return -EINVAL;
    if (n_fds > 0)
        put_fds(&hdr, &control, fds, n_fds);
    do
        n = sendmsg(sock, &hdr, MSG_NOSIGNAL);
    while (n < 0 && errno == EINTR);
    return n < 0 ? -errno : 0;
}

/* Takes what the packet carried; what does not fit the contract is closed, never leaked. */
static bool take_fds(struct msghdr *hdr, int *fds, size_t max_fds, size_t *ret_n)
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
            if (n < max_fds) {
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

int sp_packet_recv(int sock, void *ret, size_t size, int *fds, size_t max_fds, size_t *ret_n_fds)
{
    union control control;
    struct iovec iov = {.iov_base = ret, .iov_len = size};
    struct msghdr hdr = {.msg_iov = &iov,
                         .msg_iovlen = 1,
                         .msg_control = control.buf,
                         .msg_controllen = sizeof(control.buf)};
    size_t n_fds;
    bool fits;
    ssize_t n;

    *ret_n_fds = 0;
    do
        n = recvmsg(sock, &hdr, MSG_CMSG_CLOEXEC);
    while (n < 0 && errno == EINTR);
    if (n < 0)
        return -errno;
    fits = take_fds(&hdr, fds, max_fds, &n_fds);
    if (n == 0 && n_fds == 0)
        return 0;
    if (!fits || (hdr.msg_flags & MSG_TRUNC) || (size_t)n != size) {
        for (size_t i = 0; i < n_fds; i++)
            (void)close(fds[i]);
        return -EPROTO;
    }
    *ret_n_fds = n_fds;
    return 1;
}
