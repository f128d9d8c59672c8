#include "sandbox/probe.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/keyctl.h>
#include <linux/mount.h>
#include <linux/securebits.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/error.h"
#include "base/fd.h"
#include "base/mem.h"
#include "sandbox/cgroup.h"
#include "sandbox/devices.h"
#include "sandbox/image.h"
#include "sandbox/init.h"
#include "sandbox/landlock.h"
#include "sandbox/rootfs.h"
#include "sandbox/seccomp.h"
#include "sandbox/userns.h"

typedef int try_fn(void); /* in a child of its own; 0 or negative errno */

/* The child's answer comes back as its exit code: an errno fits. */
static int try_in_child(try_fn *attempt)
{
    int status = 0;
    pid_t pid = fork();

    if (pid == 0)
        _exit((unsigned char)-attempt());
    if (pid < 0)
        return -errno;
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    return WIFEXITED(status) ? -WEXITSTATUS(status) : -EIO;
}

static int try_unshare(int flag)
{
    return unshare(flag) < 0 ? -errno : 0;
}

static int try_root(void)
{
    return geteuid() == 0 ? 0 : -EPERM;
}

static int try_resource(void)
{
    /* Only with the capability may a limit go up again; the child's own, nobody else's. */
    struct rlimit low = {16, 16}, high = {32, 32};

    if (setrlimit(RLIMIT_NOFILE, &low) < 0 || setrlimit(RLIMIT_NOFILE, &high) < 0)
        return -errno;
    return 0;
}

static int try_user(void)
{
    return try_unshare(CLONE_NEWUSER);
}

static int try_mount(void)
{
    if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_PRIVATE | MS_REC, NULL) < 0)
        return -errno;
    return mount("probe", "/tmp", "tmpfs", 0, "size=64k") < 0 ? -errno : 0;
}

static int try_pid(void)
{
    return try_unshare(CLONE_NEWPID);
}

static int try_net(void)
{
    return try_unshare(CLONE_NEWNET);
}

static int try_ipc(void)
{
    return try_unshare(CLONE_NEWIPC);
}

static int try_uts(void)
{
    return try_unshare(CLONE_NEWUTS);
}

static int try_cgroup(void)
{
    return try_unshare(CLONE_NEWCGROUP);
}

static int try_open_tree(void)
{
    int fd;

    if (unshare(CLONE_NEWNS) < 0)
        return -errno;
    fd = (int)syscall(SYS_open_tree, AT_FDCWD, "/usr", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
    return fd < 0 ? -errno : 0;
}

static int try_overlay(void)
{
    int r = try_mount();

    if (r < 0)
        return r;
    if (chdir("/tmp") < 0 || mkdir("l", 0755) < 0 || mkdir("u", 0755) < 0 || mkdir("w", 0755) < 0)
        return -errno;
    return mount("probe", "l", "overlay", 0, "lowerdir=l,upperdir=u,workdir=w") < 0 ? -errno : 0;
}

static int try_image(void)
{
    struct sp_error err = {0};

    return sp_image_possible(&err);
}

static int try_seccomp(void)
{
    struct sp_seccomp filter = {0};

    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
        return -errno;
    if (sp_seccomp_compile(&filter, NULL) < 0)
        return -ENOSYS;
    return sp_seccomp_load(&filter);
}

static int try_landlock(void)
{
    struct sp_error err = {0};

    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
        return -errno;
    return sp_landlock_enter(false, &err);
}

/* Set for good in this child alone. */
static int try_securebits(void)
{
    return prctl(PR_SET_SECUREBITS, SECBIT_NOROOT | SECBIT_NOROOT_LOCKED, 0, 0, 0) < 0 ? -errno : 0;
}

static int try_keyring(void)
{
    return syscall(SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, NULL, 0, 0, 0) < 0 ? -errno : 0;
}

/* The folder whose mount is asked about. */
static const char *idmap_of;

static int try_idmap(void)
{
    SP_AUTO_FD int ns = -1, tree = -1, dir = -1;
    struct sp_error err = {0};

    if (unshare(CLONE_NEWNS) < 0)
        return -errno;
    /* By its path: a mount can be cloned only from the namespace that we are in now. */
    dir = open(idmap_of, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (sp_userns_for_mount(1, 1, SP_USERNS_FIRST, &ns, &err) < 0)
        return err.sys ? err.sys : -EPERM;
    if (sp_mount_clone(dir, 0, ns, &tree, &err) < 0)
        return err.sys ? err.sys : -EPERM;
    return 0;
}

static void add(struct sp_probe *probe, const char *name, bool required, unsigned bit, int result,
                const char *how)
{
    struct sp_probe_item *item;

    assert(probe->n < SP_PROBE_MAX);
    item = &probe->items[probe->n++];
    item->name = name;
    item->required = required;
    item->bit = bit;
    item->on = result == 0;
    item->how = how;
    if (result < 0)
        (void)snprintf(item->why, sizeof(item->why), "%s", strerror(-result));
    else if (bit == SP_ISOLATE_LANDLOCK)
        (void)snprintf(item->why, sizeof(item->why), "version %d%s", sp_landlock_abi(),
                       sp_landlock_abi() >= 6 ? "" : "; signals and abstract sockets from 6");
}

static const struct {
    const char *name;
    bool required;
    unsigned bit;
    try_fn *attempt;
    const char *how;
} tries[] = {
    {"root", true, SP_ISOLATE_ALL & ~SP_ISOLATE_SECCOMP, try_root,
     "start spacesd as root; it keeps root only in spaces-launcher"},
    {"user namespace", true, SP_ISOLATE_USER, try_user,
     "set sysctl user.max_user_namespaces above 0; in a container allow unshare and clone with "
     "namespace flags. Without it an app runs under the daemon's own user id"},
    {"mount namespace", true, SP_ISOLATE_MOUNT, try_mount,
     "give the container CAP_SYS_ADMIN and a seccomp profile that allows mount. Without it apps "
     "see the host's files"},
    {"mount by descriptor", true, SP_ISOLATE_MOUNT, try_open_tree,
     "Linux 5.2 or newer, and open_tree allowed"},
    {"pid namespace", true, SP_ISOLATE_PID, try_pid,
     "give the container CAP_SYS_ADMIN. Without it apps see other processes"},
    {"network namespace", true, SP_ISOLATE_NET, try_net,
     "give the container CAP_SYS_ADMIN. Without it apps use the host's network"},
    {"ipc namespace", true, SP_ISOLATE_IPC, try_ipc, "give the container CAP_SYS_ADMIN"},
    {"uts namespace", true, SP_ISOLATE_UTS, try_uts, "give the container CAP_SYS_ADMIN"},
    {"cgroup namespace", true, SP_ISOLATE_CGROUP, try_cgroup, "Linux 4.6 or newer"},
    {"system call filter", true, SP_ISOLATE_SECCOMP, try_seccomp,
     "a kernel with CONFIG_SECCOMP_FILTER. Without it apps reach the whole kernel"},
    {"landlock", false, SP_ISOLATE_LANDLOCK, try_landlock,
     "Linux 5.19 or newer with CONFIG_SECURITY_LANDLOCK, and landlock in the boot option lsm=. "
     "Without "
     "it files are kept by mounts alone"},
    {"locked securebits", false, 0, try_securebits,
     "give the container CAP_SETPCAP. Without it the empty bounding set alone keeps capabilities "
     "away"},
    {"session keyring", false, 0, try_keyring,
     "a kernel with CONFIG_KEYS, and keyctl allowed in the container. Apps cannot call keyctl "
     "either way"},
    {"mounts with their own ids", false, SP_ISOLATE_IDMAP, try_idmap,
     "Linux 5.12 or newer and a file system that can (ext4, xfs, btrfs, overlay from 5.19). "
     "Without "
     "it the app's user is the daemon's user outside of its namespace"},
    {"fixed OOM score", false, 0, try_resource,
     "give spacesd CAP_SYS_RESOURCE. Without it an app can make itself as dear as the daemon when "
     "the whole host is out of memory; the limits of the groups hold"},
    {"kept storage (/data)", false, 0, try_image,
     "in a container allow /dev/loop-control and block devices 7:*; install e2fsprogs. Without it "
     "Spaces cannot have storage"},
    {"writable layer", false, SP_ISOLATE_OVERLAY, try_overlay,
     "load the overlay module. Without it an app's own folder is read-only"},
};

static int try_devices(const struct sp_cgroup_host *groups)
{
    struct sp_devices devices;
    struct sp_error err = {0};
    int r = groups ? sp_devices_init(groups, &devices, &err) : -ENOENT;

    if (r == 0)
        sp_devices_done(&devices);
    return r == 0 || err.sys == 0 ? r : err.sys;
}

static int try_write_rate(const struct sp_cgroup_host *groups, const char *state_path)
{
    char disk[24];

    if (!groups || !sp_cgroup_can(groups, SP_CGROUP_IO))
        return -ENOENT;
    return state_path ? sp_cgroup_disk_of(state_path, disk, sizeof(disk)) : 0;
}

static void probe_limits(struct sp_probe *ret, const struct sp_cgroup_host *groups,
                         const char *state_path)
{
    static const struct {
        const char *name, *how;
        enum sp_cgroup_tree tree;
        bool required;
    } limits[] = {
        {"CPU limit", "mount the cpu cgroup controller. Without it one app can take all cores",
         SP_CGROUP_CPU, true},
        {"memory limit", "mount the memory cgroup controller (boot option cgroup_enable=memory)",
         SP_CGROUP_MEMORY, true},
        {"process limit", "mount the pids cgroup controller. Without it a fork bomb takes the host",
         SP_CGROUP_PIDS, true},
        {"kill by group", "mount cgroup2. Without it pid 1 alone ends the sandbox",
         SP_CGROUP_UNIFIED, false},
    };

    for (size_t i = 0; i < SP_LEN(limits); i++) {
        bool can = groups && sp_cgroup_can(groups, limits[i].tree) &&
                   access(groups->mount[limits[i].tree], W_OK) == 0;

        /* One controller is enough to make groups; each is reported for itself. */
        add(ret, limits[i].name, limits[i].required, i < 3 && can ? SP_ISOLATE_LIMITS : 0,
            can ? 0 : -ENOENT, limits[i].how);
    }
    add(ret, "device filter", false, 0, try_devices(groups),
        "mount cgroup2 and leave spacesd CAP_SYS_ADMIN or CAP_BPF, or mount the devices cgroup "
        "controller. Without it GPU slots are refused; the nodes in an app's /dev stay the only "
        "ones it can reach");
    add(ret, "disk weight", false, 0, groups && groups->has_io_weight ? 0 : -ENOENT,
        "the io cgroup controller and a disk scheduler that knows it (bfq). Without it Spaces "
        "share the disk as the kernel likes");
    add(ret, "disk write rate", false, 0, try_write_rate(groups, state_path),
        "mount the io cgroup controller (blkio on version 1), and keep the state folder on a file "
        "system of one disk. Without it a Space that fills the disk makes others wait");
    add(ret, "no swap", false, 0, groups && (groups->v2 || groups->has_memsw) ? 0 : -ENOENT,
        "boot option swapaccount=1. Without it an app may be swapped out beyond its limit");
}

void sp_probe_run(struct sp_probe *ret, const char *state_path, const struct sp_cgroup_host *groups)
{
    struct sp_cgroup_host own;

    memset(ret, 0, sizeof(*ret));
    idmap_of = state_path ? state_path : "/";
    for (size_t i = 0; i < SP_LEN(tries); i++)
        add(ret, tries[i].name, tries[i].required, tries[i].bit, try_in_child(tries[i].attempt),
            tries[i].how);
    if (!groups && sp_cgroup_host_init(&own, NULL) == 0)
        groups = &own;
    probe_limits(ret, groups, state_path);
}

bool sp_probe_complete(const struct sp_probe *probe)
{
    for (size_t i = 0; i < probe->n; i++)
        if (probe->items[i].required && !probe->items[i].on)
            return false;
    return true;
}

unsigned sp_probe_isolate(const struct sp_probe *probe)
{
    unsigned on = 0, off = 0;

    for (size_t i = 0; i < probe->n; i++) {
        if (probe->items[i].on)
            on |= probe->items[i].bit;
        else
            off |= probe->items[i].bit;
    }
    /* What needs two things has both or none. */
    on &= ~off;
    if (!(on & SP_ISOLATE_MOUNT))
        on &= ~(unsigned)(SP_ISOLATE_OVERLAY | SP_ISOLATE_IDMAP | SP_ISOLATE_LANDLOCK);
    return on;
}

void sp_probe_missing(const struct sp_probe *probe, char *ret, size_t size)
{
    size_t len = 0;

    ret[0] = '\0';
    for (size_t i = 0; i < probe->n && len < size; i++) {
        int n;

        if (probe->items[i].on || !(probe->items[i].required || probe->items[i].bit))
            continue;
        n = snprintf(ret + len, size - len, "%s%s: %s", len ? "; " : "", probe->items[i].name,
                     probe->items[i].why);
        len += n > 0 ? (size_t)n : 0;
    }
}
