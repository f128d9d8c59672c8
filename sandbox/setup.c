/*
 * The way into a sandbox, in an order that matters: groups before the cgroup namespace (which is
 * rooted where we are), mounts and network as real root before the user namespace (so that a root
 * inside has no power over them), and the filter last.
 */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <net/if.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/fd.h"
#include "base/slice.h"
#include "sandbox/base_root.h"
#include "sandbox/ctl.h"
#include "sandbox/init.h"
#include "sandbox/landlock.h"
#include "sandbox/privs.h"

static int fail(struct sp_error *err, const char *what)
{
    return sp_error_set(err, SP_ERR_INTERNAL, -errno, "%s", what);
}

static int enter_groups(const struct sp_init_plan *plan, struct sp_error *err)
{
    if (plan->isolate & SP_ISOLATE_LIMITS) {
        int r = sp_cgroup_enter(plan->cgroup, plan->born_in_v2);

        if (r < 0)
            return sp_error_set(err, SP_ERR_INTERNAL, r, "enter the cgroup");
    }
    if ((plan->isolate & SP_ISOLATE_CGROUP) && unshare(CLONE_NEWCGROUP) < 0)
        return fail(err, "make a cgroup namespace");
    return 0;
}

static int raise_loopback(struct sp_error *err)
{
    SP_AUTO_FD int sock = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    struct ifreq req;

    memset(&req, 0, sizeof(req));
    (void)snprintf(req.ifr_name, sizeof(req.ifr_name), "lo");
    req.ifr_flags = IFF_UP | IFF_RUNNING;
    if (sock < 0 || ioctl(sock, SIOCSIFFLAGS, &req) < 0)
        return fail(err, "bring the loopback interface up");
    return 0;
}

/* What is optional comes in this order, without gaps; each gets its place, or -1. */
static size_t place_optional(const struct sp_init_order *order, int *fds)
{
    const bool there[] = {order->limits.data_bytes != 0, order->has_dev, order->has_gpu,
                          order->has_base};
    int at[SP_INIT_ORDER_FDS_MAX - SP_INIT_ORDER_FDS];
    size_t n = SP_INIT_ORDER_FDS;

    for (size_t i = 0; i < sizeof(at) / sizeof(at[0]); i++)
        at[i] = there[i] ? fds[n++] : -1;
    memcpy(fds + SP_INIT_ORDER_FDS, at, sizeof(at));
    return n;
}

/* Waits until this sandbox is given to a Space. */
static int wait_for_order(const struct sp_init_plan *plan, struct sp_init_order *ret, int *fds,
                          struct sp_error *err)
{
    size_t n_fds = 0, wanted = 0;
    static struct sp_ctl msg;
    int r;

    sp_ctl_init(&msg, SP_CTL_WAITING);
    r = sp_ctl_send(plan->ctl, &msg, NULL, 0);
    if (r == 0)
        r = sp_ctl_recv(plan->ctl, &msg, fds, &n_fds);
    if (r > 0)
        memcpy(ret, msg.text, sizeof(*ret));
    if (r > 0 && (plan->isolate & SP_ISOLATE_MOUNT))
        wanted = place_optional(ret, fds);
    if (r <= 0 || msg.kind != SP_CTL_ORDER || n_fds != wanted)
        return sp_error_set(err, SP_ERR_INTERNAL, r < 0 ? r : -EPIPE, "wait for a Space");
    return 0;
}

static int enter_space(const struct sp_init_plan *plan, const struct sp_init_order *order,
                       const int *fds, struct sp_error *err)
{
    const struct sp_mounts mounts = {
        .snapshot_fd = fds[0],
        .files_fd = fds[1],
        .uploads_fd = fds[2],
        .data_fd = fds[3],
        .dev_fd = fds[4],
        .gpu_fd = fds[5],
        .layer_bytes = order->limits.layer_bytes,
        .layer_inodes = order->limits.layer_inodes,
        .shm_bytes = order->limits.shm_bytes,
        .app_uid = plan->mount_uid,
        .app_gid = plan->mount_gid,
        .asks_names = order->asks_names,
        .overlay = (plan->isolate & SP_ISOLATE_OVERLAY) != 0,
    };

    if ((plan->isolate & SP_ISOLATE_UTS) &&
        (sethostname(order->hostname, strlen(order->hostname)) < 0 || setdomainname("", 0) < 0))
        return fail(err, "set the host name");
    if (!(plan->isolate & SP_ISOLATE_MOUNT))
        return 0;
    if (order->has_base && sp_base_root_enter(fds[6], err) < 0)
        return err ? err->sys : -EIO;
    return sp_mounts_put_own(&mounts, err);
}

static int wait_for_maps(int ctl, struct sp_error *err)
{
    int fds[SP_CTL_FDS_MAX];
    static struct sp_ctl msg;
    size_t n_fds;
    int r;

    sp_ctl_init(&msg, SP_CTL_MAP_ME);
    r = sp_ctl_send(ctl, &msg, NULL, 0);
    if (r == 0)
        r = sp_ctl_recv(ctl, &msg, fds, &n_fds);
    if (r <= 0 || msg.kind != SP_CTL_MAPPED)
        return sp_error_set(err, SP_ERR_INTERNAL, r < 0 ? r : -EPIPE, "wait for the id maps");
    return 0;
}

static int enter_user(const struct sp_init_plan *plan, struct sp_error *err)
{
    int r;

    if (!(plan->isolate & SP_ISOLATE_USER))
        return 0;
    if (unshare(CLONE_NEWUSER) < 0)
        return fail(err, "make a user namespace");
    r = wait_for_maps(plan->ctl, err);
    if (r < 0)
        return r;
    if (setgroups(0, NULL) < 0 || setresgid(0, 0, 0) < 0 || setresuid(0, 0, 0) < 0)
        return fail(err, "become root of the user namespace");
    return 0;
}

/* Descriptors 0-2 are /dev/null, 3 is the control socket, and there is no other. */
static int keep_only_ctl(int ctl, struct sp_error *err)
{
    int null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);

    if (null_fd < 0)
        return fail(err, "open '/dev/null'");
    for (int fd = 0; fd <= 2; fd++)
        if (dup2(null_fd, fd) < 0)
            return fail(err, "close what was inherited");
    if (ctl != 3 && dup3(ctl, 3, O_CLOEXEC) < 0)
        return fail(err, "keep the control socket");
    if (close_range(4, ~0u, 0) < 0)
        return fail(err, "close what was inherited");
    return 0;
}

static void mark(const struct sp_init_plan *plan, const char *step)
{
    if (!plan->times ||
        plan->times->n == sizeof(plan->times->marks) / sizeof(plan->times->marks[0]))
        return;
    plan->times->marks[plan->times->n].step = step;
    plan->times->marks[plan->times->n++].at_ns = sp_clock_mono_ns();
}

/* What the process itself gives up; the filter last, because the rest would not pass it. */
static int give_up(const struct sp_init_plan *plan, const struct sp_init_order *order,
                   struct sp_error *err)
{
    const struct sp_seccomp *filter = order->holds_gpu ? plan->seccomp_gpu : plan->seccomp;
    int r;

    (void)setsid();
    sp_privs_new_keyring();
    sp_privs_reset_signals();
    (void)umask(022);
    sp_slice_set(SP_SLICE_APP_US);
    r = keep_only_ctl(plan->ctl, err);
    /* After that: the launcher's descriptors of all sandboxes may be more than this one is given.
     */
    sp_privs_rlimits(&order->limits, plan->counts_pids);
    mark(plan, "descriptors");
    /* While we may still look into folders that are the app's alone. */
    if (r == 0 && (plan->isolate & SP_ISOLATE_LANDLOCK))
        r = sp_landlock_enter(order->has_base, err);
    mark(plan, "landlock");
    if (r == 0)
        r = sp_privs_reduce(err);
    if (r < 0)
        return r;
    /* Both are undone by a change of ids, which lies behind us now. */
    (void)prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
    mark(plan, "privileges");
    r = plan->isolate & SP_ISOLATE_SECCOMP ? sp_seccomp_load(filter) : 0;
    mark(plan, "filter");
    return r < 0 ? sp_error_set(err, SP_ERR_INTERNAL, r, "load the system call filter") : 0;
}

/* The part that no Space is needed for: it may have happened long before the request. */
static int prepare(const struct sp_init_plan *plan, struct sp_error *err)
{
    int r;

    mark(plan, "born");
    (void)prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
    (void)prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
    if (plan->isolate &
        SP_ISOLATE_PID) /* elsewhere the state id in it is how leftovers are found */
        sp_privs_forget_arguments();
    r = enter_groups(plan, err);
    if (r < 0)
        return r;
    mark(plan, "groups");
    sp_privs_oom_score(SP_PRIVS_OOM_PID1); /* by the host's /proc, which the next step takes away */
    if (plan->isolate & SP_ISOLATE_MOUNT)
        r = sp_mounts_enter_root(plan->root_fd, plan->at, err);
    mark(plan, "root");
    if (r == 0 && (plan->isolate & SP_ISOLATE_NET))
        r = raise_loopback(err);
    mark(plan, "network");
    return r;
}

int sp_setup_enter(const struct sp_init_plan *plan, struct sp_init_order *ret_order,
                   struct sp_error *err)
{
    int fds[SP_CTL_FDS_MAX] = {-1, -1, -1, -1, -1, -1, -1};
    int r = prepare(plan, err);

    if (r == 0)
        r = wait_for_order(plan, ret_order, fds, err);
    mark(plan, "order");
    if (r == 0)
        r = enter_space(plan, ret_order, fds, err);
    mark(plan, "mounts");
    if (r == 0)
        r = enter_user(plan, err);
    mark(plan, "user");
    return r < 0 ? r : give_up(plan, ret_order, err);
}
