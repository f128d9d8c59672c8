/* One start: ids, folders, group, and the clone that becomes pid 1. A few milliseconds, no waiting.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/mount.h>
#include <linux/openat2.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
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

/* What one start opens, and closes again once pid 1 has its copies. */
struct kit {
    int root_fd, snapshot_fd, files_fd, uploads_fd, idmap_fd;
    int ctl[2];
};

static void close_kit(struct kit *kit)
{
    sp_auto_fd(&kit->root_fd);
    sp_auto_fd(&kit->snapshot_fd);
    sp_auto_fd(&kit->files_fd);
    sp_auto_fd(&kit->uploads_fd);
    sp_auto_fd(&kit->idmap_fd);
    sp_auto_fd(&kit->ctl[0]);
    sp_auto_fd(&kit->ctl[1]);
}

static void trace(const struct sp_launcher *l, const struct sp_box *box, const char *step)
{
    if (l->trace)
        sp_log(SP_LOG_INFO, "launcher.trace", "sandbox=%llu began=%llu %s=%llu",
               (unsigned long long)box->id, (unsigned long long)box->began_ns / 1000, step,
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
    /* Not following: if the daemon put a link there meanwhile, the link changes hands. */
    (void)fchownat(dirfd, name, l->daemon_uid, l->daemon_gid, AT_SYMLINK_NOFOLLOW);
    return open_folder(dirfd, name, ret_fd, err);
}

static int clone_mount(const struct sp_launcher *l, const struct kit *kit, int fd,
                       unsigned long long attrs, int *ret, struct sp_error *err)
{
    int userns = l->isolate & SP_ISOLATE_IDMAP ? kit->idmap_fd : -1;

    return sp_mount_clone(fd, attrs | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV, userns, ret, err);
}

/* /run/files with its parts: "o" for what the app makes, "u" for uploads, which it only reads. */
static int open_files(const struct sp_launcher *l, struct kit *kit, uint64_t space,
                      struct sp_error *err)
{
    SP_AUTO_FD int all = -1, own = -1, out = -1, uploads = -1;
    char name[20];
    int r;

    (void)snprintf(name, sizeof(name), "%016llx", (unsigned long long)space);
    r = open_or_make(l, l->state_fd, "files", &all, err);
    if (r == 0)
        r = open_or_make(l, all, name, &own, err);
    if (r == 0)
        r = open_or_make(l, own, "o", &out, err);
    if (r == 0)
        r = open_or_make(l, own, "u", &uploads, err);
    if (r == 0)
        r = clone_mount(l, kit, own, MOUNT_ATTR_NOEXEC, &kit->files_fd, err);
    if (r == 0)
        r = clone_mount(l, kit, uploads, MOUNT_ATTR_NOEXEC | MOUNT_ATTR_RDONLY, &kit->uploads_fd,
                        err);
    return r < 0 ? sp_error_wrap(err, "prepare '/run/files'") : 0;
}

static int open_snapshot(const struct sp_launcher *l, struct kit *kit, const char *hash,
                         struct sp_error *err)
{
    SP_AUTO_FD int fd = -1;
    char path[96];
    int r;

    (void)snprintf(path, sizeof(path), "snapshots/%s", hash);
    r = open_folder(l->state_fd, path, &fd, err);
    if (r == 0)
        r = clone_mount(l, kit, fd, MOUNT_ATTR_RDONLY, &kit->snapshot_fd, err);
    return r < 0 ? sp_error_wrap(err, "prepare the app's files") : 0;
}

static int open_mounts(struct sp_launcher *l, struct sp_box *box, struct kit *kit,
                       const struct sp_launch_msg *msg, struct sp_error *err)
{
    int r = 0;

    if (!(l->isolate & SP_ISOLATE_MOUNT))
        return 0;
    if (l->isolate & SP_ISOLATE_IDMAP)
        r = sp_userns_for_mount(l->daemon_uid, l->daemon_gid, box->uid_base, &kit->idmap_fd, err);
    trace(l, box, "idmap");
    if (r == 0)
        r = open_snapshot(l, kit, msg->sandbox_start.snapshot, err);
    if (r == 0)
        r = open_files(l, kit, msg->sandbox_start.space, err);
    if (r == 0)
        r = sp_rootfs_clone(&l->rootfs, &kit->root_fd, err);
    trace(l, box, "folders");
    return r;
}

static int make_group(struct sp_launcher *l, struct sp_box *box, struct sp_error *err)
{
    char name[100];
    int r;

    if (!(l->isolate & SP_ISOLATE_LIMITS))
        return 0;
    /* Sandbox ids are never used twice in a life, and lives differ: no name comes back. */
    (void)snprintf(name, sizeof(name), "spacesd-%s/%llx-%08x", l->state_id,
                   (unsigned long long)box->id, l->life);
    r = sp_cgroup_create(&l->groups, name, &box->limits, &box->cgroup, err);
    trace(l, box, "cgroup");
    return r;
}

/* Where mounts have no ids of their own, the app's id 1000 is the daemon's id outside. */
static bool is_app_the_daemon(const struct sp_launcher *l)
{
    return !(l->isolate & SP_ISOLATE_IDMAP) || !(l->isolate & SP_ISOLATE_USER);
}

static void fill_plan(const struct sp_launcher *l, const struct sp_box *box, const struct kit *kit,
                      const struct sp_launch_msg *msg, struct sp_init_plan *plan)
{
    bool same = is_app_the_daemon(l);

    memset(plan, 0, sizeof(*plan));
    plan->isolate = l->isolate;
    plan->ctl = kit->ctl[1];
    plan->cgroup = &box->cgroup;
    plan->seccomp = &l->seccomp;
    plan->limits = box->limits;
    (void)snprintf(plan->hostname, sizeof(plan->hostname), "%s", msg->sandbox_start.hostname);
    plan->app_uid = l->isolate & SP_ISOLATE_USER ? SP_USERNS_APP : l->daemon_uid;
    plan->app_gid = l->isolate & SP_ISOLATE_USER ? SP_USERNS_APP : l->daemon_gid;
    if (l->isolate & SP_ISOLATE_MOUNT)
        (void)snprintf(plan->app_dir, sizeof(plan->app_dir), "/home/user/app");
    else
        (void)snprintf(plan->app_dir, sizeof(plan->app_dir), "%.380s/snapshots/%s", l->state_path,
                       msg->sandbox_start.snapshot);
    plan->mounts = (struct sp_mounts){
        .root_fd = kit->root_fd,
        .snapshot_fd = kit->snapshot_fd,
        .files_fd = kit->files_fd,
        .uploads_fd = kit->uploads_fd,
        .at = l->rootfs.at,
        .layer_bytes = box->limits.layer_bytes,
        .layer_inodes = box->limits.layer_inodes,
        .shm_bytes = box->limits.shm_bytes,
        .app_uid = same ? l->daemon_uid : box->uid_base + SP_USERNS_APP,
        .app_gid = same ? l->daemon_gid : box->uid_base + SP_USERNS_APP,
        .overlay = (l->isolate & SP_ISOLATE_OVERLAY) != 0,
    };
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
static pid_t clone_pid1(const struct sp_box *box, struct sp_init_plan *plan, int *ret_pidfd)
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
    if (pid == 0)
        sp_init_run(plan);
    *ret_pidfd = pidfd;
    return pid;
}

static int launch(struct sp_launcher *l, struct sp_box *box, struct kit *kit,
                  const struct sp_launch_msg *msg, struct sp_error *err)
{
    static struct sp_init_times times;
    struct sp_init_plan plan;
    int pidfd;
    pid_t pid;

    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, kit->ctl) < 0 ||
        fcntl(kit->ctl[0], F_SETFL, O_NONBLOCK) < 0)
        return sp_error_set(err, SP_ERR_INTERNAL, -errno, "make a control socket");
    fill_plan(l, box, kit, msg, &plan);
    times.n = 0;
    plan.times = l->trace ? &times : NULL;
    pid = clone_pid1(box, &plan, &pidfd);
    if (pid < 0)
        return sp_error_set(err, SP_ERR_UNAVAILABLE, -errno, "clone the sandbox's pid 1");
    box->pid = pid;
    box->pidfd = pidfd;
    box->ctl = SP_TAKE_FD(kit->ctl[0]);
    trace(l, box, "clone");
    return 0;
}

int sp_box_spawn(struct sp_launcher *l, struct sp_box *box, const struct sp_launch_msg *msg,
                 struct sp_error *err)
{
    struct kit kit = {-1, -1, -1, -1, -1, {-1, -1}};
    int r;

    sp_launch_request_limits(&msg->sandbox_start.limits, &box->limits);
    if (!sp_userns_take(&l->slots, &box->uid_base))
        return sp_error_set(err, SP_ERR_LIMIT, 0, "all %u ranges of user ids are taken",
                            SP_USERNS_SLOTS);
    r = open_mounts(l, box, &kit, msg, err);
    if (r == 0)
        r = make_group(l, box, err);
    if (r == 0)
        r = launch(l, box, &kit, msg, err);
    close_kit(&kit);
    return r;
}
