/*
 * sandbox/init.h - pid 1 of a sandbox: our own code, forked from the launcher, never exec'd.
 *
 * It takes the set-up through its steps, then waits for orders: start a worker, stop one, stop
 * all. It reaps everything, and reports a worker's end only when nothing that came from it lives.
 * It is not dumpable, holds three capabilities in its own user namespace, and runs under the same
 * system call filter as the app. When its control socket ends, everything in the sandbox ends.
 */
#ifndef SP_SANDBOX_INIT_H
#define SP_SANDBOX_INIT_H

#include <stdbool.h>
#include <sys/types.h>

#include "sandbox/cgroup.h"
#include "sandbox/launch.h"
#include "sandbox/mounts.h"
#include "sandbox/seccomp.h"

/* What this sandbox is made of; each bit that is missing is something the host could not give. */
enum sp_isolate {
    SP_ISOLATE_USER = 1 << 0,
    SP_ISOLATE_MOUNT = 1 << 1,
    SP_ISOLATE_PID = 1 << 2,
    SP_ISOLATE_NET = 1 << 3,
    SP_ISOLATE_IPC = 1 << 4,
    SP_ISOLATE_UTS = 1 << 5,
    SP_ISOLATE_CGROUP = 1 << 6,
    SP_ISOLATE_SECCOMP = 1 << 7,
    SP_ISOLATE_IDMAP = 1 << 8,   /* mounts with their own ids */
    SP_ISOLATE_OVERLAY = 1 << 9, /* a writable layer above the app's files */
    SP_ISOLATE_LIMITS = 1 << 10, /* cgroups */
    SP_ISOLATE_LANDLOCK = 1 << 11,
    SP_ISOLATE_ALL = (1 << 12) - 1,
};

/* What is known when pid 1 is born. It may wait for its Space: see struct sp_init_order. */
struct sp_init_plan {
    unsigned isolate; /* enum sp_isolate */
    int ctl;          /* blocking end of the control socket */
    int root_fd;      /* clone of the shared root (sp_rootfs_clone) */
    const char *at;   /* a folder that exists, to put the root on */
    bool born_in_v2;  /* clone3 has put it into the version 2 group */
    bool counts_pids; /* the group limits processes, and counts what it refuses */
    const struct sp_cgroup *cgroup;
    const struct sp_seccomp *seccomp;
    const struct sp_seccomp *seccomp_gpu; /* for the order's holds_gpu */
    uid_t mount_uid;                      /* the app as the host sees it */
    gid_t mount_gid;
    uid_t app_uid; /* as seen inside: 1000, or the daemon's where there is no user namespace */
    gid_t app_gid;
    struct sp_init_times *times; /* NULL unless traced */
};

/* Which Space it is for; travels as plain bytes in SP_CTL_ORDER, with the mounts' descriptors. */
struct sp_init_order {
    struct sp_launch_limits limits;
    char hostname[64];
    bool asks_names;   /* it has a network: /etc/resolv.conf names our resolver */
    char app_dir[512]; /* working folder of workers */
    bool has_dev;      /* a /dev of its own comes along: it holds GPU slots */
    bool has_gpu;      /* and files of the GPU's driver */
    bool holds_gpu;    /* it makes the requests of a GPU's driver */
    bool has_base;     /* the root is a base, not the host's */
};
#define SP_INIT_ORDER_FDS 3 /* snapshot, files, uploads; none without a mount namespace */
/* And /data, where limits.data_bytes is not 0; /dev; /run/gpu; the base. */
#define SP_INIT_ORDER_FDS_MAX 7

/* When each step of the set-up was over, for SP_LAUNCH_TRACE. */
struct sp_init_times {
    size_t n;
    struct {
        const char *step;
        uint64_t at_ns;
    } marks[16];
};

/* Never returns. The caller is the freshly cloned child. */
void sp_init_run(const struct sp_init_plan *plan) __attribute__((noreturn));

/* The steps before pid 1 is ready (setup.c). */
struct sp_error;
int sp_setup_enter(const struct sp_init_plan *plan, struct sp_init_order *ret_order,
                   struct sp_error *err);

#endif
