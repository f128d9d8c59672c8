#include "sandbox/launch.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "sandbox/packet.h"

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
    {SP_LAUNCH_FREEZE, "freeze"},
    {SP_LAUNCH_SOCKET, "socket"},
    {SP_LAUNCH_GPUS, "gpus"},
    {SP_LAUNCH_OK, "ok"},
    {SP_LAUNCH_FAILED, "failed"},
    {SP_LAUNCH_WORKER_EXITED, "worker_exited"},
    {SP_LAUNCH_SANDBOX_GONE, "sandbox_gone"},
    {SP_LAUNCH_LIMIT_HIT, "limit hit"},
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
    int r;

    if (n_fds > SP_LAUNCH_FDS_MAX)
        return sp_error_set(err, SP_ERR_INVALID, -EINVAL, "send %zu descriptors", n_fds);
    r = sp_packet_send(sock, msg, sizeof(*msg), fds, n_fds);
    if (r < 0)
        return sp_error_set(err, SP_ERR_UNAVAILABLE, r, "send '%s'",
                            sp_launch_kind_to_string(msg->kind));
    return 0;
}

int sp_launch_recv(int sock, struct sp_launch_msg *ret, int fds[SP_LAUNCH_FDS_MAX],
                   size_t *ret_n_fds, struct sp_error *err)
{
    int r = sp_packet_recv(sock, ret, sizeof(*ret), fds, SP_LAUNCH_FDS_MAX, ret_n_fds);

    if (r > 0 && ret->magic != SP_LAUNCH_MAGIC) {
        while (*ret_n_fds > 0)
            (void)close(fds[--*ret_n_fds]);
        r = -EPROTO;
    }
    if (r == -EPROTO)
        return sp_error_set(err, SP_ERR_INVALID, r,
                            "receive from the launch socket: not a message of this version");
    if (r < 0)
        return sp_error_set(err, SP_ERR_UNAVAILABLE, r, "receive from the launch socket");
    return r;
}
