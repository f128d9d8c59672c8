/* A start in two halves: what needs no Space, and what does. A few milliseconds, no waiting. */
#include <errno.h>
#include <fcntl.h>
#include <linux/mount.h>
#include <linux/openat2.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/mem.h"
#include "sandbox/ctl.h"
#include "sandbox/init.h"
#include "sandbox/launcher/launcher-internal.h"
#include "sandbox/launcher/request.h"
#include "sandbox/launcher/socket.h"

void sp_box_trace(const struct sp_launcher *l, const struct sp_box *box, const char *step)
{
    if (l->trace)
        sp_log(SP_LOG_INFO, "launcher.trace", "group=%s began=%llu %s=%llu", box->cgroup.name,
               (unsigned long long)box->began_ns / 1000, step,
               (unsigned long long)sp_clock_mono_ns() / 1000);
}

/* The state folder belongs to the daemon: nothing in it may lead us elsewhere. */
static int open_folder(int dirfd, const char *path, int *ret_fd, struct sp_error *err)
{
    struct open_how how = {.flags = O_PATH | O_DIRECTORY | O_CLOEXEC,
                           .resolve =
                               RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS};
    int fd = (int)syscall(SYS_openat2, dirfd, path, &how, sizeof(how));

    if (fd < 0)
        return sp_error_set(err, errno == ENOENT ? SP_ERR_NOT_FOUND : SP_ERR_INTERNAL, -errno,
                            "open '%.120s' in the state folder", path);
    *ret_fd = fd;
    return 0;
}

/* As open_folder, and makes it, for the daemon, where it is missing. */
static int open_or_make(const struct sp_launcher *l, int dirfd, const char *name, int *ret_fd,
                        struct sp_error *err)
{
    int r = open_folder(dirfd, name, ret_fd, err);

    if (r != -ENOENT)
        return r;
    if (mkdirat(dirfd, name, 0700) < 0 && errno != EEXIST)
        return sp_error_set(err, SP_ERR_INTERNAL, -errno, "make '%.120s'", name);
    r = open_folder(dirfd, name, ret_fd, err);
    /* By descriptor: the daemon may have put an image of root's under this name meanwhile. */
    if (r == 0)
        (void)fchownat(*ret_fd, "", l->daemon_uid, l->daemon_gid, AT_EMPTY_PATH);
    return r;
}

int sp_state_folder(const struct sp_launcher *l, const char *name, int *ret_fd,
                    struct sp_error *err)
{
    return open_or_make(l, l->state_fd, name, ret_fd, err);
}

int sp_state_open(const struct sp_launcher *l, const char *path, int *ret_fd, struct sp_error *err)
{
    return open_folder(l->state_fd, path, ret_fd, err);
}

static int clone_mount(const struct sp_box *box, int fd, unsigned long long attrs, int *ret,
                       struct sp_error *err)
{
    return sp_mount_clone(fd, attrs | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV, box->idmap_fd, ret,
                          err);
}

/* /run/files with its parts: "o" for what the app makes, "u" for uploads, which it only reads. */
static int open_files(const struct sp_launcher *l, const struct sp_box *box, int *ret_files,
                      int *ret_uploads, struct sp_error *err)
{
    SP_AUTO_FD int all = -1, own = -1, out = -1, uploads = -1;
    char name[20];
    int r;

    (void)snprintf(name, sizeof(name), "%016llx", (unsigned long long)box->space);
    r = open_or_make(l, l->state_fd, "files", &all, err);
    if (r == 0)
        r = open_or_make(l, all, name, &own, err);
    if (r == 0)
        r = open_or_make(l, own, "o", &out, err);
    if (r == 0)
        r = open_or_make(l, own, "u", &uploads, err);
    if (r == 0)
        r = clone_mount(box, own, MOUNT_ATTR_NOEXEC, ret_files, err);
    if (r == 0)
        r = clone_mount(box, uploads, MOUNT_ATTR_NOEXEC | MOUNT_ATTR_RDONLY, ret_uploads, err);
    return r < 0 ? sp_error_wrap(err, "prepare '/run/files'") : 0;
}

static int open_snapshot(const struct sp_launcher *l, const struct sp_box *box, int *ret,
                         struct sp_error *err)
{
    SP_AUTO_FD int fd = -1;
    char path[96];
    int r;

    (void)snprintf(path, sizeof(path), "snapshots/%s", box->snapshot);
    r = open_folder(l->state_fd, path, &fd, err);
    if (r == 0)
        r = clone_mount(box, fd, MOUNT_ATTR_RDONLY, ret, err);
    return r < 0 ? sp_error_wrap(err, "prepare the app's files") : 0;
}

/* --- the half that needs no Space --- */

static int make_group(struct sp_launcher *l, struct sp_box *box, struct sp_error *err)
{
    char name[100];
    int r;

    if (!(l->isolate & SP_ISOLATE_LIMITS))
        return 0;
    /* Counted within a life, and lives differ: no name comes back. */
    (void)snprintf(name, sizeof(name), "spacesd-%s/%llu-%08x", l->state_id,
                   (unsigned long long)++l->n_groups, l->life);
    r = sp_cgroup_create(&l->groups, name, &box->cgroup, err);
    if (r == 0)
        r = sp_devices_guard(&l->devices, &l->groups, &box->cgroup, NULL, 0, err);
    if (r == 0)
        sp_watch_add(l, box);
    return r;
}

/* Who runs the app, as seen inside. */
static uint32_t app_inside(const struct sp_launcher *l)
{
    return l->root_inside ? 0 : SP_USERNS_APP;
}

/* Where mounts have no ids of their own, the app's id 1000 is the daemon's id outside. */
static bool is_app_the_daemon(const struct sp_launcher *l)
{
    return !(l->isolate & SP_ISOLATE_IDMAP) || !(l->isolate & SP_ISOLATE_USER);
}

static void fill_plan(const struct sp_launcher *l, const struct sp_box *box, int ctl, int root_fd,
                      struct sp_init_plan *plan)
{
    bool same = is_app_the_daemon(l), has_user = l->isolate & SP_ISOLATE_USER;

    memset(plan, 0, sizeof(*plan));
    plan->isolate = l->isolate;
    plan->ctl = ctl;
    plan->root_fd = root_fd;
    plan->at = l->rootfs.at;
    plan->cgroup = &box->cgroup;
    plan->counts_pids = box->cgroup.exists && sp_cgroup_can(&l->groups, SP_CGROUP_PIDS);
    plan->seccomp = &l->seccomp;
    plan->seccomp_gpu = &l->gpus.seccomp;
    plan->mount_uid = same ? l->daemon_uid : box->uid_base + app_inside(l);
    plan->mount_gid = same ? l->daemon_gid : box->uid_base + app_inside(l);
    plan->app_uid = has_user ? app_inside(l) : l->daemon_uid;
    plan->app_gid = has_user ? app_inside(l) : l->daemon_gid;
}

static uint64_t clone_flags(unsigned isolate)
{
    static const struct {
        unsigned bit;
        uint64_t flag;
    } table[] = {
        {SP_ISOLATE_MOUNT, CLONE_NEWNS}, {SP_ISOLATE_PID, CLONE_NEWPID},
        {SP_ISOLATE_NET, CLONE_NEWNET},  {SP_ISOLATE_IPC, CLONE_NEWIPC},
        {SP_ISOLATE_UTS, CLONE_NEWUTS},
    };
    uint64_t flags = CLONE_PIDFD;

    for (size_t i = 0; i < SP_LEN(table); i++)
        if (isolate & table[i].bit)
            flags |= table[i].flag;
    return flags;
}

/* Born in its version 2 group where the kernel can: moving it later waits for a grace period. */
static pid_t clone_pid1(const struct sp_launcher *l, const struct sp_box *box,
                        struct sp_init_plan *plan, int *ret_pidfd)
{
    int pidfd = -1;
    struct clone_args args = {.flags = clone_flags(plan->isolate),
                              .pidfd = (uint64_t)(uintptr_t)&pidfd,
                              .exit_signal = SIGCHLD};
    pid_t pid = -1;

    if (box->cgroup.dir_v2 >= 0) {
        args.flags |= CLONE_INTO_CGROUP;
        args.cgroup = (uint64_t)box->cgroup.dir_v2;
        plan->born_in_v2 = true;
        pid = (pid_t)syscall(SYS_clone3, &args, sizeof(args));
    }
    if (pid < 0) {
        args.flags &= ~(uint64_t)CLONE_INTO_CGROUP;
        args.cgroup = 0;
        plan->born_in_v2 = false;
        pid = (pid_t)syscall(SYS_clone3, &args, sizeof(args));
    }
    if (pid == 0) {
        /*
         * If the launcher dies before this child has asked for PDEATHSIG, the control socket is
         * what tells it, and the daemon's socket must end: neither may be held by the child itself.
         */
        (void)close(l->sock);
        (void)close(box->ctl);
        sp_init_run(plan);
    }
    *ret_pidfd = pidfd;
    return pid;
}

static int launch(struct sp_launcher *l, struct sp_box *box, int root_fd, struct sp_error *err)
{
    static struct sp_init_times times;
    struct sp_init_plan plan;
    int pair[2], pidfd;
    pid_t pid;

    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
        return sp_error_set(err, SP_ERR_INTERNAL, -errno, "make a control socket");
    box->ctl = pair[0];
    (void)fcntl(box->ctl, F_SETFL, O_NONBLOCK);
    fill_plan(l, box, pair[1], root_fd, &plan);
    times.n = 0;
    plan.times = l->trace ? &times : NULL;
    pid = clone_pid1(l, box, &plan, &pidfd);
    (void)close(pair[1]);
    if (pid < 0)
        return sp_error_set(err, SP_ERR_UNAVAILABLE, -errno, "clone the sandbox's pid 1");
    box->pid = pid;
    box->pidfd = pidfd;
    /* It shares its group's processor with the app, and must be heard beside a fork bomb. */
    if (box->cgroup.exists)
        (void)setpriority(PRIO_PROCESS, (id_t)pid, -20);
    return sp_box_note_netns(l, box, err);
}

int sp_box_prepare(struct sp_launcher *l, struct sp_box *box, struct sp_error *err)
{
    SP_AUTO_FD int root_fd = -1;
    int r = 0;

    if (!sp_userns_take(&l->slots, &box->uid_base))
        return sp_error_set(err, SP_ERR_LIMIT, 0, "all %u ranges of user ids are taken",
                            SP_USERNS_SLOTS);
    if (l->isolate & SP_ISOLATE_IDMAP)
        r = sp_userns_for_mount(l->daemon_uid, l->daemon_gid, box->uid_base + app_inside(l),
                                &box->idmap_fd, err);
    if (r == 0)
        r = make_group(l, box, err);
    sp_box_trace(l, box, "group_made");
    if (r == 0 && (l->isolate & SP_ISOLATE_MOUNT))
        r = sp_rootfs_clone(&l->rootfs, &root_fd, err);
    if (r == 0)
        r = launch(l, box, root_fd, err);
    sp_box_trace(l, box, "cloned");
    return r;
}

/* --- the half that does --- */

static void fill_order(const struct sp_launcher *l, const struct sp_box *box, const int *fds,
                       struct sp_ctl *msg)
{
    struct sp_init_order order;

    memset(&order, 0, sizeof(order));
    order.limits = box->limits;
    order.asks_names = box->network != SP_LAUNCH_NETWORK_NONE;
    order.has_dev = fds[4] >= 0;
    order.has_gpu = fds[5] >= 0;
    order.has_base = fds[6] >= 0;
    order.holds_gpu = box->gpus.n > 0;
    (void)snprintf(order.hostname, sizeof(order.hostname), "%s", box->hostname);
    if (l->isolate & SP_ISOLATE_MOUNT)
        (void)snprintf(order.app_dir, sizeof(order.app_dir), "/home/user/app");
    else
        (void)snprintf(order.app_dir, sizeof(order.app_dir), "%.380s/snapshots/%s", l->state_path,
                       box->snapshot);
    sp_ctl_init(msg, SP_CTL_ORDER);
    memcpy(msg->text, &order, sizeof(order));
}

int sp_box_order(struct sp_launcher *l, struct sp_box *box, struct sp_error *err)
{
    bool has_mounts = l->isolate & SP_ISOLATE_MOUNT;
    SP_AUTO_FD int snapshot = -1, files = -1, uploads = -1, dev = -1, gpu = -1, base = -1;
    struct sp_ctl msg;
    int r = 0;

    sp_box_trace(l, box, "ordered");
    if (l->isolate & SP_ISOLATE_LIMITS)
        r = sp_cgroup_limit(&l->groups, &box->cgroup, &box->limits, err);
    sp_box_trace(l, box, "limited");
    if (r == 0 && has_mounts)
        r = open_snapshot(l, box, &snapshot, err);
    if (r == 0 && has_mounts)
        r = open_files(l, box, &files, &uploads, err);
    if (r == 0 && has_mounts)
        r = sp_gpus_order(l, box, &dev, &gpu, err);
    if (r == 0)
        r = sp_box_base_open(l, box, &base, err);
    if (r < 0)
        return r;
    {
        int fds[SP_INIT_ORDER_FDS_MAX] = {snapshot, files, uploads, box->data.mount_fd,
                                          dev,      gpu,   base};
        size_t n_fds = SP_INIT_ORDER_FDS;

        fill_order(l, box, fds, &msg);
        for (size_t i = SP_INIT_ORDER_FDS; i < SP_INIT_ORDER_FDS_MAX; i++)
            if (fds[i] >= 0)
                fds[n_fds++] = fds[i];
        r = sp_ctl_send(box->ctl, &msg, fds, has_mounts ? n_fds : 0);
        sp_box_data_done(&box->data); /* pid 1 has it */
    }
    sp_box_trace(l, box, "sent");
    return r < 0 ? sp_error_set(err, SP_ERR_INTERNAL, r, "give the sandbox its order") : 0;
}
