/*
 * sandbox/ctl.h - the conversation between the launcher and pid 1 of a sandbox: one packet, one
 * message, over a SOCK_SEQPACKET pair. The app cannot reach either end.
 */
#ifndef SP_SANDBOX_CTL_H
#define SP_SANDBOX_CTL_H

#include <stddef.h>
#include <stdint.h>

#include "sandbox/launch.h"
#include "sandbox/packet.h"

enum sp_ctl_kind {
    /* launcher -> pid 1 */
    SP_CTL_ORDER = 1, /* which Space this is for: struct sp_init_order in text, descriptors */
    SP_CTL_MAPPED,    /* the id maps are written: go on */
    SP_CTL_WORKER_START,
    SP_CTL_WORKER_STOP,
    SP_CTL_STOP,
    SP_CTL_END_WORKERS, /* kill all of them at once; pid 1 and what they have saved stay */

    /* pid 1 -> launcher */
    SP_CTL_WAITING = 64, /* in its groups and namespaces; knows nothing of any Space yet */
    SP_CTL_MAP_ME,       /* a new user namespace waits for its id maps */
    SP_CTL_READY,
    SP_CTL_FAILED, /* set-up: text says why; pid 1 ends */
    SP_CTL_STARTED,
    SP_CTL_START_FAILED, /* text */
    SP_CTL_EXITED,       /* the worker and all its descendants are gone */
};

/* ORDER: snapshot, files, uploads. WORKER_START: as in sandbox/launch.h. */
#define SP_CTL_FDS_MAX SP_PACKET_FDS_MAX

struct sp_ctl {
    uint32_t kind;
    uint32_t grace_ms;
    uint64_t worker;
    int32_t status; /* EXITED: exit code or -1; *_FAILED: enum sp_err_kind */
    int32_t signal;
    uint32_t argc, envc, args_len;
    uint32_t how;                  /* WORKER_START: enum sp_launch_how */
    char text[SP_LAUNCH_ARGS_MAX]; /* packed strings of WORKER_START, or a sentence */
};

void sp_ctl_init(struct sp_ctl *msg, enum sp_ctl_kind kind);
/* 0 or negative errno; -EAGAIN when the other side does not read. */
int sp_ctl_send(int sock, const struct sp_ctl *msg, const int *fds, size_t n_fds);
/* 1, 0 at the end, negative errno. Descriptors are the caller's. */
int sp_ctl_recv(int sock, struct sp_ctl *ret, int fds[SP_CTL_FDS_MAX], size_t *ret_n_fds);

#endif
