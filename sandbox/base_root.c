#include "sandbox/base_root.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/mount.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/error.h"
#include "base/fd.h"
#include "base/mem.h"
#include "sandbox/image.h"
#include "sandbox/rootfs.h"

#define RESOLV_MAX 256

/*
 * Everything that something is mounted on, with its parents. In an overlay a folder hides what is
 * no folder below it, so none of these can be a link of the base's.
 */
static const char *const folders[] = {
    "proc",           "sys",          "dev", "tmp",       "home", "home/user", "run",
    "run/files",      "run/gpu",      "mnt", "run/space", "opt",  "var",       "run/space/state",
    "run/space/data", "opt/spacekit", "etc",
};

static const struct {
    const char *path, *target;
} links[] = {
    {"var/tmp", "/tmp"},
    {"var/run", "/run"},
    {"etc/mtab", "/proc/self/mounts"},
    {"data", "/run/space/data/" SP_IMAGE_FOLDER},
};

/* What the shared root has mounted goes along, with what is mounted on it. */
static const struct {
    const char *from, *to;
} moved[] = {{"/proc", "r/proc"}, {"/dev", "r/dev"}, {"/opt/spacekit", "r/opt/spacekit"}};

static int fail(struct sp_error *err, const char *what)
{
    return sp_error_set(err, SP_ERR_INTERNAL, -errno, "%s", what);
}

static int write_new(const char *path, const char *text, struct sp_error *err)
{
    SP_AUTO_FD int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);

    return fd < 0 || sp_write_all(fd, text, strlen(text)) < 0
               ? sp_error_set(err, SP_ERR_INTERNAL, -errno, "write '%s' above the base", path)
               : 0;
}

static int put_etc(struct sp_error *err)
{
    SP_AUTO_FREE char *resolv = NULL;
    size_t len;
    int r = sp_file_read(AT_FDCWD, SP_ROOTFS_RESOLV, RESOLV_MAX, &resolv, &len, err);

    if (r == 0)
        r = write_new("a" SP_ROOTFS_RESOLV, resolv, err);
    if (r == 0)
        r = write_new("a/etc/resolv.conf", "", err);
    if (r == 0)
        r = write_new("a/etc/hosts",
                      "127.0.0.1 localhost\n::1 localhost ip6-localhost ip6-loopback\n", err);
    return r;
}

/* In "a": what lies above the base. */
static int put_above(struct sp_error *err)
{
    char path[64];

    for (size_t i = 0; i < SP_LEN(folders); i++) {
        (void)snprintf(path, sizeof(path), "a/%s", folders[i]);
        if (mkdir(path, 0755) < 0)
            return sp_error_set(err, SP_ERR_INTERNAL, -errno, "make '%s' above the base", path);
    }
    for (size_t i = 0; i < SP_LEN(links); i++) {
        (void)snprintf(path, sizeof(path), "a/%s", links[i].path);
        if (symlink(links[i].target, path) < 0)
            return sp_error_set(err, SP_ERR_INTERNAL, -errno, "link '%s' above the base", path);
    }
    return put_etc(err);
}

/* Relative names: /proc/self/mountinfo shows them. */
static int put_overlay(int base_fd, struct sp_error *err)
{
    static const char *const parts[] = {"a", "b", "r"};

    if (mount("base", "/mnt", "tmpfs", MS_NOSUID | MS_NODEV, "mode=755,size=256k,nr_inodes=64") < 0)
        return fail(err, "mount a tmpfs for the base");
    if (chdir("/mnt") < 0)
        return fail(err, "enter it");
    for (size_t i = 0; i < SP_LEN(parts); i++)
        if (mkdir(parts[i], 0755) < 0)
            return fail(err, "make a folder for the base");
    if (put_above(err) < 0)
        return err ? err->sys : -EIO;
    if (syscall(SYS_move_mount, base_fd, "", AT_FDCWD, "b", MOVE_MOUNT_F_EMPTY_PATH) < 0)
        return fail(err, "mount the base");
    if (mount("base", "r", "overlay", MS_RDONLY | MS_NOSUID | MS_NODEV, "lowerdir=a:b") < 0)
        return fail(err, "mount the base below our folders");
    return 0;
}

int sp_base_root_enter(int base_fd, struct sp_error *err)
{
    int r = put_overlay(base_fd, err);

    for (size_t i = 0; i < SP_LEN(moved) && r == 0; i++)
        if (mount(moved[i].from, moved[i].to, NULL, MS_MOVE, NULL) < 0)
            r = sp_error_set(err, SP_ERR_INTERNAL, -errno, "move '%s'", moved[i].from);
    if (r < 0)
        return r;
    /* As in mounts.c: the old root lands on top of the new one. With it goes all that led here. */
    if (chdir("r") < 0 || syscall(SYS_pivot_root, ".", ".") < 0)
        return fail(err, "make the base the root");
    if (umount2(".", MNT_DETACH) < 0 || chdir("/") < 0)
        return fail(err, "detach the shared root");
    return 0;
}
