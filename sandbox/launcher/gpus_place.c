/* What a sandbox with a lease gets: its own /dev, the driver's files, variables. */
#include <errno.h>
#include <fcntl.h>
#include <linux/mount.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "base/error.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/mem.h"
#include "sandbox/ctl.h"
#include "sandbox/devices.h"
#include "sandbox/init.h"
#include "sandbox/launcher/gpus.h"
#include "sandbox/launcher/launcher-internal.h"
#include "sandbox/rootfs.h"

#define VARIABLES_MAX (SP_LAUNCH_GPUS_MAX * SP_GPU_ENV_MAX + 2)
#define INSIDE        "/run/gpu" /* where the driver's files are */

/* --- the driver's files --- */

/* A sandbox sees the host's /usr already. */
static bool is_seen_anyway(const struct sp_gpu_mount *mount)
{
    static const char *const parts[] = {"/usr/", "/lib/", "/lib64/", "/bin/", "/sbin/"};

    for (size_t i = 0; i < SP_LEN(parts); i++)
        if (strcmp(mount->host, mount->inside) == 0 &&
            strncmp(mount->host, parts[i], strlen(parts[i])) == 0)
            return true;
    return false;
}

/* "libcuda.so.550.54.14" is asked for as "libcuda.so.1": what ldconfig would have linked. */
static void link_version(int dir, const char *name)
{
    const char *so = strstr(name, ".so.");
    SP_AUTO_FREE char *link = NULL;

    if (!so || !strchr(so + 4, '.'))
        return;
    link = sp_asprintf("%.*s.so.1", (int)(so - name), name);
    (void)symlinkat(name, dir, link);
}

static int put_file(int dir, const struct sp_gpu_mount *mount, int source, struct sp_error *err)
{
    const unsigned long long attrs = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV;
    const char *name = strrchr(mount->inside, '/') + 1;
    SP_AUTO_FD int tree = -1, made = -1;
    int r = sp_mount_clone(source, attrs, -1, &tree, err);

    if (r < 0)
        return r;
    made = openat(dir, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
    if (made < 0)
        return sp_error_set(err, SP_ERR_INTERNAL, -errno, "make '%.100s'", name);
    if (syscall(SYS_move_mount, tree, "", dir, name, MOVE_MOUNT_F_EMPTY_PATH) < 0)
        return sp_error_set(err, SP_ERR_INTERNAL, -errno, "bind '%.100s'", name);
    link_version(dir, name);
    return 0;
}

static void refused(const char *path, const struct sp_error *err)
{
    sp_log(SP_LOG_WARN, "launcher.gpu_file", "path=%s err=%s", path, sp_log_quoted(err->msg));
}

/* Sources are opened before `at` is covered: one may lie below it. */
static size_t open_files(const struct sp_gpu_list *list, int fds[SP_GPU_MOUNTS_MAX])
{
    size_t wanted = 0;

    for (size_t i = 0; i < list->n_mounts; i++) {
        struct sp_error err = {0};

        fds[i] = -1;
        if (is_seen_anyway(&list->mounts[i]))
            continue;
        if (sp_gpus_open_file(list->mounts[i].host, &fds[i], &err) < 0)
            refused(list->mounts[i].host, &err);
        else
            wanted++;
    }
    return wanted;
}

void sp_gpus_put_files(struct sp_launcher *l, const char *at)
{
    const struct sp_gpu_list *list = &l->gpus.pool.list;
    int fds[SP_GPU_MOUNTS_MAX];

    /* In a folder of it: the shared root will cover it, and would be cloned along with its top. */
    if (list->n > 0 && open_files(list, fds) > 0 &&
        mount("gpu", at, "tmpfs", MS_NOSUID | MS_NODEV, "mode=755,size=256k,nr_inodes=512") == 0) {
        SP_AUTO_FD int top = open(at, O_PATH | O_DIRECTORY | O_CLOEXEC);

        if (mkdirat(top, "files", 0755) == 0)
            l->gpus.files_fd = openat(top, "files", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    }
    for (size_t i = 0; list->n > 0 && i < list->n_mounts; i++) {
        struct sp_error err = {0};

        if (fds[i] < 0)
            continue;
        if (l->gpus.files_fd >= 0 && put_file(l->gpus.files_fd, &list->mounts[i], fds[i], &err) < 0)
            refused(list->mounts[i].host, &err);
        (void)close(fds[i]);
    }
}

/* --- /dev --- */

static int new_dev(int *ret_fd, struct sp_error *err)
{
    SP_AUTO_FD int fs = (int)syscall(SYS_fsopen, "tmpfs", FSOPEN_CLOEXEC);
    int fd;

    if (fs < 0 || syscall(SYS_fsconfig, fs, FSCONFIG_SET_STRING, "source", "dev", 0) < 0 ||
        syscall(SYS_fsconfig, fs, FSCONFIG_SET_STRING, "mode", "755", 0) < 0 ||
        syscall(SYS_fsconfig, fs, FSCONFIG_SET_STRING, "size", "64k", 0) < 0 ||
        syscall(SYS_fsconfig, fs, FSCONFIG_SET_STRING, "nr_inodes", "128", 0) < 0 ||
        syscall(SYS_fsconfig, fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0)
        return sp_error_set(err, SP_ERR_UNAVAILABLE, -errno, "make a '/dev' for GPU slots");
    fd = (int)syscall(SYS_fsmount, fs, FSMOUNT_CLOEXEC, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC);
    if (fd < 0)
        return sp_error_set(err, SP_ERR_UNAVAILABLE, -errno, "make a '/dev' for GPU slots");
    *ret_fd = fd;
    return 0;
}

static int put_node(int dev, const struct sp_gpu_node *node, struct sp_error *err)
{
    const char *name = node->path + strlen("/dev/"), *slash = strchr(name, '/');
    char folder[64];

    if (slash) {
        (void)snprintf(folder, sizeof(folder), "%.*s", (int)(slash - name), name);
        if (mkdirat(dev, folder, 0755) < 0 && errno != EEXIST)
            return sp_error_set(err, SP_ERR_INTERNAL, -errno, "make '/dev/%s'", folder);
    }
    if (mknodat(dev, name, S_IFCHR | 0666, makedev(node->major, node->minor)) < 0)
        return errno == EEXIST
                   ? 0 /* of two slots: what every process of the driver needs */
                   : sp_error_set(err, SP_ERR_UNAVAILABLE, -errno, "make '%s'", node->path);
    return fchmodat(dev, name, 0666, 0) < 0
               ? sp_error_set(err, SP_ERR_INTERNAL, -errno, "chmod '%s'", node->path)
               : 0; /* mknod obeys the umask */
}

static int make_dev(const struct sp_launcher *l, const struct sp_box *box, int *ret,
                    struct sp_error *err)
{
    struct mount_attr read_only = {.attr_set = MOUNT_ATTR_RDONLY};
    SP_AUTO_FD int dev = -1;
    int r = new_dev(&dev, err);

    if (r == 0)
        r = sp_rootfs_fill_dev(dev, err);
    for (size_t k = 0; r == 0 && k < box->gpus.n; k++) {
        const struct sp_gpu_slot *slot = &l->gpus.pool.list.slots[box->gpus.held[k].slot];

        for (size_t i = 0; r == 0 && i < slot->n_nodes; i++)
            r = put_node(dev, &slot->nodes[i], err);
    }
    if (r == 0 &&
        syscall(SYS_mount_setattr, dev, "", AT_EMPTY_PATH, &read_only, sizeof(read_only)) < 0)
        r = sp_error_set(err, SP_ERR_INTERNAL, -errno, "make '/dev' read-only");
    if (r == 0)
        *ret = SP_TAKE_FD(dev);
    return r;
}

/* The slots' nodes beside the base list; another slot's is refused by the kernel, too. */
static int allow_devices(const struct sp_launcher *l, const struct sp_box *box,
                         struct sp_error *err)
{
    struct sp_device_rule rules[SP_LAUNCH_GPUS_MAX * SP_GPU_NODES_MAX];
    size_t n = 0;

    for (size_t k = 0; k < box->gpus.n; k++) {
        const struct sp_gpu_slot *slot = &l->gpus.pool.list.slots[box->gpus.held[k].slot];

        for (size_t i = 0; i < slot->n_nodes; i++) {
            const struct sp_device_rule rule = {'c', (int32_t)slot->nodes[i].major,
                                                (int32_t)slot->nodes[i].minor, SP_DEVICE_RW};
            size_t at = 0;

            while (at < n && (rules[at].major != rule.major || rules[at].minor != rule.minor))
                at++;
            if (at == n) /* what two slots need is allowed once */
                rules[n++] = rule;
        }
    }
    return sp_devices_guard(&l->devices, &l->groups, &box->cgroup, rules, n, err);
}

int sp_gpus_order(struct sp_launcher *l, const struct sp_box *box, int *ret_dev, int *ret_files,
                  struct sp_error *err)
{
    int r;

    if (box->gpus.n == 0)
        return 0;
    r = allow_devices(l, box, err);
    if (r < 0)
        return r;
    if (l->gpus.files_fd >= 0) {
        int fd = (int)syscall(SYS_open_tree, l->gpus.files_fd, "",
                              OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH | AT_RECURSIVE);
        struct mount_attr read_only = {.attr_set = MOUNT_ATTR_RDONLY};

        if (fd < 0)
            return sp_error_set(err, SP_ERR_INTERNAL, -errno, "clone the GPU driver's files");
        *ret_files = fd;
        if (syscall(SYS_mount_setattr, fd, "", AT_EMPTY_PATH, &read_only, sizeof(read_only)) < 0)
            return sp_error_set(err, SP_ERR_INTERNAL, -errno, "make the driver's files read-only");
    }
    return make_dev(l, box, ret_dev, err);
}

/* --- variables --- */

struct variables {
    size_t n;
    char *text[VARIABLES_MAX];
};

static size_t name_len(const char *text)
{
    return strcspn(text, "=");
}

static bool same_name(const char *a, const char *b)
{
    return name_len(a) == name_len(b) && strncmp(a, b, name_len(a)) == 0;
}

/* Of two slots with one variable both values count: CUDA_VISIBLE_DEVICES=GPU-1,GPU-2. */
static void add_variable(struct variables *all, const char *text)
{
    for (size_t i = 0; i < all->n; i++) {
        SP_AUTO_FREE char *before = NULL;

        if (!same_name(all->text[i], text))
            continue;
        if (strcmp(all->text[i], text) == 0 || !strstr(text, "_VISIBLE_DEVICES="))
            return;
        before = all->text[i];
        all->text[i] = sp_asprintf("%s,%s", before, strchr(text, '=') + 1);
        return;
    }
    if (all->n < VARIABLES_MAX)
        all->text[all->n++] = sp_strdup(text);
}

static void collect(const struct sp_launcher *l, const struct sp_box *box, struct variables *all)
{
    uint64_t share = 0;
    char text[64];

    for (size_t k = 0; k < box->gpus.n; k++) {
        const struct sp_gpu_slot *slot = &l->gpus.pool.list.slots[box->gpus.held[k].slot];

        for (size_t i = 0; i < slot->n_env; i++)
            add_variable(all, slot->env[i]);
        share += box->gpus.held[k].memory_bytes;
    }
    if (share > 0) {
        (void)snprintf(text, sizeof(text), "SPACES_GPU_MEMORY_BYTES=%llu",
                       (unsigned long long)share);
        add_variable(all, text);
    }
    if (l->gpus.files_fd >= 0)
        add_variable(all, "LD_LIBRARY_PATH=" INSIDE);
}

static bool put(struct sp_ctl *order, size_t *at, const char *text)
{
    size_t len = strlen(text) + 1;

    if (*at + len > sizeof(order->text))
        return false;
    memcpy(order->text + *at, text, len);
    *at += len;
    return true;
}

/* The arguments stay, the variables of other names stay, ours follow. */
static bool repack(struct sp_ctl *order, const struct variables *all)
{
    SP_AUTO_FREE struct sp_ctl *old = sp_new0(struct sp_ctl);
    const char *from = old->text;
    uint32_t strings = order->argc + order->envc, envc = 0;
    size_t at = 0;

    memcpy(old, order, sizeof(*old));
    for (uint32_t i = 0; i < strings; i++, from += strlen(from) + 1) {
        bool ours = false;

        for (size_t k = 0; i >= order->argc && k < all->n; k++)
            ours |= same_name(all->text[k], from);
        if (ours)
            continue;
        envc += i >= order->argc;
        if (!put(order, &at, from))
            return false;
    }
    for (size_t k = 0; k < all->n; k++)
        if (!put(order, &at, all->text[k]))
            return false;
    order->envc = envc + (uint32_t)all->n;
    order->args_len = (uint32_t)at;
    return true;
}

int sp_gpus_env(const struct sp_launcher *l, const struct sp_box *box, struct sp_ctl *order,
                struct sp_error *err)
{
    struct variables all = {.n = 0};
    bool fits = true;

    if (box->gpus.n == 0)
        return 0;
    collect(l, box, &all);
    fits = repack(order, &all);
    for (size_t i = 0; i < all.n; i++)
        free(all.text[i]);
    return fits ? 0
                : sp_error_set(
                      err, SP_ERR_LIMIT, 0,
                      "arguments and variables with those of the GPU slots are over %d bytes",
                      SP_LAUNCH_ARGS_MAX);
}
