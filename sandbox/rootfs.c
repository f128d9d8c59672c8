#include "sandbox/rootfs.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/mount.h>
#include <sched.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/error.h"
#include "base/fd.h"
#include "base/mem.h"
#include "base/str.h"
#include "sandbox/image.h"

#define RO_ATTRS (MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV)

/* Folders of the root, parents first; what apps mount over or look into. */
static const char *const folders[] = {
    "usr",
    "etc",
    "proc",
    "sys",
    "dev",
    "tmp",
    "home",
    "home/user",
    "run",
    "mnt",
    "run/files",
    "run/gpu",
    "run/space",
    "run/space/state",
    "run/space/data",
    "opt",
    "opt/spacekit",
    "var",
    "root",
    "srv",
    "media",
    "etc/ssl",
    "etc/ssl/certs",
    "var/lib",
    "etc/alternatives",
};

static const struct {
    const char *path, *text;
} files[] = {
    {"etc/passwd", "root:x:0:0:root:/:/usr/sbin/nologin\n"
                   "user:x:1000:1000::/home/user:/bin/sh\n"
                   "nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n"},
    {"etc/group", "root:x:0:\nuser:x:1000:\nnogroup:x:65534:\n"},
    {"etc/hosts", "127.0.0.1 localhost\n::1 localhost ip6-localhost ip6-loopback\n"},
    {"etc/nsswitch.conf", "passwd: files\ngroup: files\nhosts: files dns\n"},
    {"etc/resolv.conf", ""},
    {"etc/os-release", "NAME=\"spacesd sandbox\"\nID=spacesd\nID_LIKE=debian\n"},
};

/* Read-only from the host, where the host has them. */
static const char *const host_parts[] = {
    "etc/ld.so.cache",
    "etc/ssl/certs",
    "etc/alternatives",
    "etc/localtime",
};

static const struct {
    const char *name;
    unsigned major, minor;
} nodes[] = {{"null", 1, 3}, {"zero", 1, 5}, {"full", 1, 7}, {"random", 1, 8}, {"urandom", 1, 9}};

static const struct {
    const char *path, *target;
} links[] = {
    {"var/tmp", "/tmp"},
    {"var/run", "/run"},
    {"etc/mtab", "/proc/self/mounts"},
    {"data", "/run/space/data/" SP_IMAGE_FOLDER}, /* leads nowhere in a Space that has none */
    {"dev/fd", "/proc/self/fd"},
    {"dev/stdin", "/proc/self/fd/0"},
    {"dev/stdout", "/proc/self/fd/1"},
    {"dev/stderr", "/proc/self/fd/2"},
};

int sp_mount_clone(int fd, unsigned long long attrs, int userns_fd, int *ret_fd,
                   struct sp_error *err)
{
    struct mount_attr attr = {.attr_set = attrs};
    SP_AUTO_FD int tree =
        (int)syscall(SYS_open_tree, fd, "", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH);

    if (tree < 0)
        return sp_error_set(err, SP_ERR_UNAVAILABLE, -errno, "clone a mount");
    if (userns_fd >= 0) {
        attr.attr_set |= MOUNT_ATTR_IDMAP;
        attr.userns_fd = (unsigned long long)userns_fd;
    }
    if (syscall(SYS_mount_setattr, tree, "", AT_EMPTY_PATH, &attr, sizeof(attr)) < 0)
        return sp_error_set(err, SP_ERR_UNAVAILABLE, -errno, "set the attributes of a mount%s",
                            userns_fd >= 0 ? " (with its own ids)" : "");
    *ret_fd = SP_TAKE_FD(tree);
    return 0;
}

/* Binds `source` (or the descriptor itself when empty) read-only over `target` below `root`. */
static int bind_ro(int source_fd, const char *source, int root, const char *target,
                   struct sp_error *err)
{
    SP_AUTO_FD int from = -1, tree = -1;
    int r;

    from = *source ? openat(source_fd, source, O_PATH | O_CLOEXEC) : dup(source_fd);
    if (from < 0)
        return sp_error_set(err, SP_ERR_INTERNAL, -errno, "open '%s'", source);
    r = sp_mount_clone(from, RO_ATTRS, -1, &tree, err);
    if (r < 0)
        return sp_error_wrap(err, "bind '%s'", target);
    if (syscall(SYS_move_mount, tree, "", root, target, MOVE_MOUNT_F_EMPTY_PATH) < 0)
        return sp_error_set(err, SP_ERR_INTERNAL, -errno, "bind '%s'", target);
    return 0;
}

static int write_new(int root, const char *path, const char *text, struct sp_error *err)
{
    SP_AUTO_FD int fd = openat(root, path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);

    if (fd < 0 || sp_write_all(fd, text, strlen(text)) < 0)
        return sp_error_set(err, SP_ERR_INTERNAL, -errno, "write '/%s' of the sandbox", path);
    return 0;
}

/* /bin and friends: the host's links into /usr, or the folders themselves on an unmerged host. */
static int put_usr(int root, struct sp_error *err)
{
    static const char *const names[] = {"bin", "sbin", "lib", "lib64", "lib32", "libx32"};
    int r = bind_ro(AT_FDCWD, "/usr", root, "usr", err);

    for (size_t i = 0; i < SP_LEN(names) && r == 0; i++) {
        char path[16], target[256];
        struct stat st;
        ssize_t n;

        (void)snprintf(path, sizeof(path), "/%s", names[i]);
        if (lstat(path, &st) < 0)
            continue;
        if (S_ISLNK(st.st_mode)) {
            n = readlink(path, target, sizeof(target) - 1);
            if (n <= 0)
                continue;
            target[n] = '\0';
            if (symlinkat(target, root, names[i]) < 0)
                r = sp_error_set(err, SP_ERR_INTERNAL, -errno, "link '%s'", path);
        } else if (S_ISDIR(st.st_mode)) {
            if (mkdirat(root, names[i], 0755) < 0)
                r = sp_error_set(err, SP_ERR_INTERNAL, -errno, "make '%s'", path);
            else
                r = bind_ro(AT_FDCWD, path, root, names[i], err);
        }
    }
    return r;
}

static int put_etc(int root, struct sp_error *err)
{
    int r = 0;

    for (size_t i = 0; i < SP_LEN(files) && r == 0; i++)
        r = write_new(root, files[i].path, files[i].text, err);
    for (size_t i = 0; i < SP_LEN(host_parts) && r == 0; i++) {
        char source[64];
        struct stat st;

        (void)snprintf(source, sizeof(source), "/%s", host_parts[i]);
        if (stat(source, &st) < 0)
            continue;
        if (S_ISREG(st.st_mode))
            r = write_new(root, host_parts[i], "", err);
        if (r == 0)
            r = bind_ro(AT_FDCWD, source, root, host_parts[i], err);
    }
    return r;
}

/* A node of our own; where mknod is forbidden (containers) the host's is bound. */
static int put_node(int dev, const char *name, unsigned major, unsigned minor, struct sp_error *err)
{
    char source[32];

    if (mknodat(dev, name, S_IFCHR | 0666, makedev(major, minor)) == 0)
        return fchmodat(dev, name, 0666, 0) < 0
                   ? sp_error_set(err, SP_ERR_INTERNAL, -errno, "chmod '%s'", name)
                   : 0; /* mknod obeys the umask */
    (void)snprintf(source, sizeof(source), "/dev/%s", name);
    if (write_new(dev, name, "", err) < 0)
        return err ? err->sys : -EIO;
    if (mount(source, name, NULL, MS_BIND, NULL) < 0) /* the caller's working folder is `dev` */
        return sp_error_set(err, SP_ERR_INTERNAL, -errno, "bind '%s'", source);
    return 0;
}

static int put_dev(int root, struct sp_error *err)
{
    SP_AUTO_FD int dev = -1;

    /* No MS_NODEV here, and only here: these nodes must work. */
    if (fchdir(root) < 0 ||
        mount("dev", "dev", "tmpfs", MS_NOSUID | MS_NOEXEC, "mode=755,size=64k,nr_inodes=32") < 0)
        return sp_error_set(err, SP_ERR_INTERNAL, -errno, "mount '/dev' of the sandbox");
    dev = openat(root, "dev", O_DIRECTORY | O_RDONLY | O_CLOEXEC);
    if (dev < 0 || fchdir(dev) < 0 || mkdirat(dev, "shm", 0755) < 0)
        return sp_error_set(err, SP_ERR_INTERNAL, -errno, "fill '/dev' of the sandbox");
    for (size_t i = 0; i < SP_LEN(nodes); i++) {
        int r = put_node(dev, nodes[i].name, nodes[i].major, nodes[i].minor, err);

        if (r < 0)
            return r;
    }
    return 0;
}

int sp_rootfs_fill_dev(int dev, struct sp_error *err)
{
    if (mkdirat(dev, "shm", 0755) < 0)
        return sp_error_set(err, SP_ERR_INTERNAL, -errno, "fill '/dev' of the sandbox");
    for (size_t i = 0; i < SP_LEN(nodes); i++)
        if (mknodat(dev, nodes[i].name, S_IFCHR | 0666, makedev(nodes[i].major, nodes[i].minor)) <
                0 ||
            fchmodat(dev, nodes[i].name, 0666, 0) < 0)
            return sp_error_set(err, SP_ERR_UNAVAILABLE, -errno, "make '/dev/%s'", nodes[i].name);
    for (size_t i = 0; i < SP_LEN(links); i++)
        if (strncmp(links[i].path, "dev/", 4) == 0 &&
            symlinkat(links[i].target, dev, links[i].path + 4) < 0)
            return sp_error_set(err, SP_ERR_INTERNAL, -errno, "link '/%s'", links[i].path);
    return 0;
}

/*
 * The SDK. Through an overlay of it and an empty folder where the kernel can: a bind would show
 * the SDK's path on the host in /proc/self/mountinfo.
 */
static int put_sdk(int root, int sdk_fd, struct sp_error *err)
{
    int r = bind_ro(sdk_fd, "", root, "mnt", err);

    if (r < 0)
        return r;
    if (fchdir(root) == 0 && mount("sdk", "opt/spacekit", "overlay",
                                   MS_RDONLY | MS_NOSUID | MS_NODEV, "lowerdir=mnt:srv") == 0)
        r = 0;
    else
        r = bind_ro(sdk_fd, "", root, "opt/spacekit", err);
    if (r == 0 && umount2("mnt", MNT_DETACH) < 0)
        r = sp_error_set(err, SP_ERR_INTERNAL, -errno, "detach the SDK");
    return r;
}

static int put_resolv(int root, const char *nameserver, struct sp_error *err)
{
    char text[80] = "";

    if (nameserver[0])
        (void)snprintf(text, sizeof(text), "nameserver %s\noptions timeout:3 attempts:2\n",
                       nameserver);
    return write_new(root, &SP_ROOTFS_RESOLV[1], text, err);
}

static int fill(int root, int sdk_fd, struct sp_error *err)
{
    int r;

    for (size_t i = 0; i < SP_LEN(folders); i++)
        if (mkdirat(root, folders[i], 0755) < 0)
            return sp_error_set(err, SP_ERR_INTERNAL, -errno, "make '/%s' of the sandbox",
                                folders[i]);
    r = put_usr(root, err);
    if (r == 0)
        r = put_etc(root, err);
    if (r == 0)
        r = put_dev(root, err);
    for (size_t i = 0; i < SP_LEN(links) && r == 0; i++)
        if (symlinkat(links[i].target, root, links[i].path) < 0)
            r = sp_error_set(err, SP_ERR_INTERNAL, -errno, "link '/%s'", links[i].path);
    if (r == 0)
        r = put_sdk(root, sdk_fd, err);
    return r;
}

/* Read-only at last, the mounts below it included; /dev/shm and the rest are mounted over later. */
static int seal(const char *at, struct sp_error *err)
{
    struct mount_attr attr = {.attr_set = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID};

    if (syscall(SYS_mount_setattr, AT_FDCWD, at, AT_RECURSIVE, &attr, sizeof(attr)) < 0)
        return sp_error_set(err, SP_ERR_INTERNAL, -errno, "make the sandbox root read-only");
    return 0;
}

int sp_rootfs_leave_host(struct sp_error *err)
{
    if (unshare(CLONE_NEWNS) < 0)
        return sp_error_set(err, SP_ERR_UNAVAILABLE, -errno, "make a mount namespace");
    /* Slave: what is unmounted on the host does not stay mounted for our sake. */
    if (mount(NULL, "/", NULL, MS_SLAVE | MS_REC, NULL) < 0)
        return sp_error_set(err, SP_ERR_UNAVAILABLE, -errno, "make the mounts our own");
    return 0;
}

const char *sp_rootfs_place(void)
{
    return access("/mnt", F_OK) == 0 ? "/mnt" : "/run";
}

int sp_rootfs_build(struct sp_rootfs *ret, int sdk_fd, struct sp_error *err)
{
    SP_AUTO_FD int root = -1;
    mode_t mask;
    int r;

    (void)snprintf(ret->at, sizeof(ret->at), "%s", sp_rootfs_place());
    if (mount("root", ret->at, "tmpfs", MS_NOSUID | MS_NODEV, "mode=755,size=1m,nr_inodes=256") < 0)
        return sp_error_set(err, SP_ERR_UNAVAILABLE, -errno, "mount a tmpfs");
    root = open(ret->at, O_DIRECTORY | O_RDONLY | O_CLOEXEC);
    if (root < 0)
        return sp_error_set(err, SP_ERR_INTERNAL, -errno, "open '%s'", ret->at);

    mask = umask(022);
    r = fill(root, sdk_fd, err);
    (void)umask(mask);
    (void)chdir("/");
    if (r == 0)
        r = put_resolv(root, ret->nameserver, err);
    if (r == 0)
        r = seal(ret->at, err);
    ret->mounted = r == 0;
    return r;
}

int sp_rootfs_clone(const struct sp_rootfs *rootfs, int *ret_fd, struct sp_error *err)
{
    int fd = (int)syscall(SYS_open_tree, AT_FDCWD, rootfs->at,
                          OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_RECURSIVE);

    if (fd < 0)
        return sp_error_set(err, SP_ERR_UNAVAILABLE, -errno, "clone the sandbox root");
    *ret_fd = fd;
    return 0;
}
