#include "sandbox/ctl.h"

#include <string.h>

#include "sandbox/packet.h"

void sp_ctl_init(struct sp_ctl *msg, enum sp_ctl_kind kind)
{
    memset(msg, 0, sizeof(*msg));
    msg->kind = (uint32_t)kind;
}

int sp_ctl_send(int sock, const struct sp_ctl *msg, const int *fds, size_t n_fds)
{
    return sp_packet_send(sock, msg, sizeof(*msg), fds, n_fds);
}

int sp_ctl_recv(int sock, struct sp_ctl *ret, int fds[SP_CTL_FDS_MAX], size_t *ret_n_fds)
{
    int r = sp_packet_recv(sock, ret, sizeof(*ret), fds, SP_CTL_FDS_MAX, ret_n_fds);

    if (r > 0)
        ret->text[sizeof(ret->text) - 1] = '\0';
    return r;
}
