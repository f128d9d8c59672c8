#include "sandbox/mounts.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/mount.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/error.h"
#include "base/mem.h"
#include "sandbox/rootfs.h"

#define STATE_BYTES (64ull << 20) /* saved session state of the workers */

/* Parts of /proc that tell about the host or change it. Absent on this kernel: fine. */
static const struct {
    const char *path;
    enum { READ_ONLY, EMPTY_FILE, EMPTY_FOLDER } how;
} proc_parts[] = {
    {"/proc/bus", READ_ONLY},           /* writes reach PCI devices */
    {"/proc/fs", READ_ONLY},            /* file system tuning */
    {"/proc/irq", READ_ONLY},           /* interrupt routing */
    {"/proc/sys", READ_ONLY},           /* core_pattern, modprobe and the rest of sysctl */
    {"/proc/sysrq-trigger", READ_ONLY}, /* reboots the host */
    {"/proc/asound", EMPTY_FOLDER},
    {"/proc/acpi", EMPTY_FOLDER},
    {"/proc/scsi", EMPTY_FOLDER},
    {"/proc/cmdline", EMPTY_FILE}, /* the host's boot options */
    {"/proc/config.gz", EMPTY_FILE},
    {"/proc/interrupts", EMPTY_FILE}, /* timing of the host's other work */
    {"/proc/kallsyms", EMPTY_FILE},
    {"/proc/kcore", EMPTY_FILE},
    {"/proc/keys", EMPTY_FILE},
    {"/proc/kmsg", EMPTY_FILE},
    {"/proc/kpagecount", EMPTY_FILE},
    {"/proc/kpageflags", EMPTY_FILE},
    {"/proc/latency_stats", EMPTY_FILE},
    {"/proc/modules", EMPTY_FILE},
    {"/proc/mtrr", EMPTY_FILE},
    {"/proc/partitions", EMPTY_FILE},
    {"/proc/sched_debug", EMPTY_FILE},
    {"/proc/timer_list", EMPTY_FILE},
    {"/proc/timer_stats", EMPTY_FILE},
};

static int fail(struct sp_error *err, const char *what)
{
    return sp_error_set(err, SP_ERR_INTERNAL, -errno, "%s", what);
}

static int put(int tree_fd, const char *target, struct sp_error *err)
{
    if (syscall(SYS_move_mount, tree_fd, "", AT_FDCWD, target, MOVE_MOUNT_F_EMPTY_PATH) < 0)
        return sp_error_set(err, SP_ERR_INTERNAL, -errno, "mount '%s'", target);
    return 0;
}

static int put_tmpfs(const char *target, const char *name, unsigned long flags, uint64_t bytes,
                     uint32_t inodes, unsigned mode, struct sp_error *err)
{
    char options[128];

    (void)snprintf(options, sizeof(options), "mode=%o,size=%llu,nr_inodes=%u", mode,
                   (unsigned long long)bytes, inodes);
    if (mount(name, target, "tmpfs", MS_NOSUID | MS_NODEV | flags, options) < 0)
        return sp_error_set(err, SP_ERR_INTERNAL, -errno, "mount a tmpfs on '%s'", target);
    return 0;
}

static int enter_root(int root_fd, const char *at, struct sp_error *err)
{
    if (mount(NULL, "/", NULL, MS_PRIVATE | MS_REC, NULL) < 0)
        return fail(err, "make the mounts private");
    if (put(root_fd, at, err) < 0)
        return err ? err->sys : -EIO;
    if (chdir(at) < 0)
        return fail(err, "enter the new root");
    /* The old root lands on top of the new one; detaching "." takes it away. */
    if (syscall(SYS_pivot_root, ".", ".") < 0)
        return fail(err, "pivot_root");
    if (umount2(".", MNT_DETACH) < 0)
        return fail(err, "detach the old root");
    if (chdir("/") < 0)
        return fail(err, "enter the new root");
    return 0;
}

static int mask(const char *path, const char *with, struct sp_error *err)
{
    const unsigned long ro = MS_REMOUNT | MS_BIND | MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC;

    if (mount(with, path, NULL, MS_BIND, NULL) < 0) {
        if (errno == ENOENT || errno == ENOTDIR)
            return 0; /* this kernel does not have it */
        return sp_error_set(err, SP_ERR_INTERNAL, -errno, "cover '%s'", path);
    }
    if (mount(NULL, path, NULL, ro, NULL) < 0)
        return sp_error_set(err, SP_ERR_INTERNAL, -errno, "make '%s' read-only", path);
    return 0;
}

static int put_proc(struct sp_error *err)
{
    if (mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL) < 0)
        return fail(err, "mount '/proc'");
    for (size_t i = 0; i < SP_LEN(proc_parts); i++) {
        const char *with = proc_parts[i].how == READ_ONLY    ? proc_parts[i].path
                           : proc_parts[i].how == EMPTY_FILE ? "/etc/resolv.conf"
                                                             : "/srv";
        int r = mask(proc_parts[i].path, with, err);

        if (r < 0)
            return r;
    }
    return 0;
}

static int make_folder(const char *path, mode_t mode, uid_t uid, gid_t gid, struct sp_error *err)
{
    if (mkdir(path, 0700) < 0 || chown(path, uid, gid) < 0 || chmod(path, mode) < 0)
        return sp_error_set(err, SP_ERR_INTERNAL, -errno, "make '%s' in the layer", path);
    return 0;
}

static int bind(const char *source, const char *target, struct sp_error *err)
{
    if (mount(source, target, NULL, MS_BIND, NULL) < 0)
        return sp_error_set(err, SP_ERR_INTERNAL, -errno, "mount '%s'", target);
    return 0;
}

/*
 * The app's folder: the snapshot below, the layer above. Without overlay only the snapshot.
 * Relative names, because /proc/self/mountinfo shows them; trusted xattrs, because the app can
 * forge those of the user.
 */
static int put_app(const struct sp_mounts *mounts, struct sp_error *err)
{
    static const char options[] = "lowerdir=l,upperdir=u,workdir=w";

    if (!mounts->overlay)
        return put(mounts->snapshot_fd, "/home/user/app", err);
    if (put(mounts->snapshot_fd, "l", err) < 0)
        return err ? err->sys : -EIO;
    if (mount("app", "/home/user/app", "overlay", MS_NOSUID | MS_NODEV, options) < 0)
        return fail(err, "mount the app's files");
    /* The overlay holds what it needs; no path leads to its parts any more. */
    if (umount2("l", MNT_DETACH) < 0)
        return fail(err, "detach the snapshot");
    return 0;
}

/* One tmpfs is everything that the app can write and that is not a file for others. */
static int put_layer(const struct sp_mounts *mounts, struct sp_error *err)
{
    uid_t uid = mounts->app_uid;
    gid_t gid = mounts->app_gid;
    int r;

    r = put_tmpfs("/mnt", "layer", 0, mounts->layer_bytes, mounts->layer_inodes, 0755, err);
    if (r == 0 && chdir("/mnt") < 0)
        r = fail(err, "enter the layer");
    if (r == 0)
        r = make_folder("l", 0755, 0, 0, err);
    if (r == 0)
        r = make_folder("u", 0755, uid, gid, err);
    if (r == 0)
        r = make_folder("w", 0700, 0, 0, err);
    if (r == 0)
        r = make_folder("tmp", 01777, 0, 0, err);
    if (r == 0)
        r = make_folder("home", 0755, uid, gid, err);
    if (r == 0)
        r = make_folder("home/app", 0755, uid, gid, err);
    if (r == 0)
        r = bind("tmp", "/tmp", err);
    if (r == 0)
        r = bind("home", "/home/user", err);
    if (r == 0)
        r = put_app(mounts, err);
    if (r == 0 && (chdir("/") < 0 || umount2("/mnt", MNT_DETACH) < 0))
        r = fail(err, "detach the layer");
    return r;
}

static int put_files(const struct sp_mounts *mounts, struct sp_error *err)
{
    int r = 0;

    if (mounts->files_fd >= 0)
        r = put(mounts->files_fd, "/run/files", err);
    if (r == 0 && mounts->uploads_fd >= 0)
        r = put(mounts->uploads_fd, "/run/files/u", err);
    if (r == 0 && mounts->data_fd >= 0)
        r = put(mounts->data_fd, "/run/space/data", err);
    return r;
}

int sp_mounts_enter_root(int root_fd, const char *at, struct sp_error *err)
{
    int r;

    (void)umask(022);
    r = enter_root(root_fd, at, err);
    return r == 0 ? put_proc(err) : r;
}

int sp_mounts_put_own(const struct sp_mounts *mounts, struct sp_error *err)
{
    int r = mounts->asks_names ? bind(SP_ROOTFS_RESOLV, "/etc/resolv.conf", err) : 0;

    if (r == 0 && mounts->dev_fd >= 0)
        r = put(mounts->dev_fd, "/dev", err);
    if (r == 0 && mounts->gpu_fd >= 0)
        r = put(mounts->gpu_fd, "/run/gpu", err);
    if (r == 0)
        r = put_tmpfs("/dev/shm", "shm", MS_NOEXEC, mounts->shm_bytes, mounts->layer_inodes, 01777,
                      err);
    if (r == 0)
        r = put_layer(mounts, err);
    if (r == 0)
        r = put_files(mounts, err);
    if (r == 0)
        r = put_tmpfs("/run/space/state", "state", MS_NOEXEC, STATE_BYTES, 4096, 0700, err);
    if (r == 0 && chown("/run/space/state", mounts->app_uid, mounts->app_gid) < 0)
        r = fail(err, "give '/run/space/state' to the app");
    return r;
}
