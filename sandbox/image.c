#include "sandbox/image.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/loop.h>
#include <linux/mount.h>
#include <linux/openat2.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/fd.h"
#include "base/str.h"
#include "sandbox/image_grow.h"
#include "sandbox/image_super.h"
#include "sandbox/image_tools.h"

#define FREE_WAIT_MS  15000 /* for the sandbox before to let go of an image that must grow */
#define FRESH_WAIT_MS 45000 /* for another to make the image */
#define FREE_POLL_US  20000
#define LOOP_TRIES    32 /* while others take what we were about to take */

/* --- the file --- */

static int open_image(const struct sp_image *image, const char *name, int *ret_fd)
{
    struct open_how how = {.flags = O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK,
                           .resolve =
                               RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS};
    int fd = (int)syscall(SYS_openat2, image->folder_fd, name, &how, sizeof(how));

    if (fd < 0)
        return -errno;
    *ret_fd = fd;
    return 0;
}

bool sp_image_is_roots(const struct stat *st)
{
    return S_ISREG(st->st_mode) && st->st_uid == 0 && st->st_nlink == 1 && !(st->st_mode & 0077);
}

/*
 * The file that becomes the image, locked: of several who want to make it one does, and the others
 * wait here and then find it made. What was left by one who was killed is begun anew.
 */
static int open_fresh(const struct sp_image *image, const char *fresh, struct sp_error *err)
{
    uint64_t end = sp_clock_mono_ms() + FRESH_WAIT_MS;

    while (sp_clock_mono_ms() < end) {
        int fd = openat(image->folder_fd, fresh,
                        O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0600);
        bool is_locked, is_named;
        struct stat st, named;

        if (fd < 0)
            break;
        /* By its name again each time: as soon as it is the image, its lock is the loop device's.
         */
        is_locked = flock(fd, LOCK_EX | LOCK_NB) == 0;
        is_named = fstat(fd, &st) == 0 &&
                   fstatat(image->folder_fd, fresh, &named, AT_SYMLINK_NOFOLLOW) == 0 &&
                   named.st_ino == st.st_ino && named.st_dev == st.st_dev;
        if (is_locked && is_named && sp_image_is_roots(&st))
            return fd;
        if (is_named && !sp_image_is_roots(&st))
            (void)unlinkat(image->folder_fd, fresh, 0);
        (void)close(fd);
        (void)usleep(FREE_POLL_US);
    }
    return sp_error_set(err, SP_ERR_INTERNAL, -errno, "make the image");
}

int sp_image_sync_folder(const struct sp_image *image, struct sp_error *err)
{
    SP_AUTO_FD int fd = openat(image->folder_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    if (fd < 0 || fsync(fd) < 0)
        return sp_error_set(err, SP_ERR_INTERNAL, -errno, "sync the image's folder");
    return 0;
}

/* Under another name until it is whole. */
static int make_image(const struct sp_image *image, const char *name, struct sp_error *err)
{
    SP_AUTO_FD int fd = -1;
    char fresh[32];
    int r = 0;

    (void)snprintf(fresh, sizeof(fresh), ".%016llx.new", (unsigned long long)image->space);
    fd = open_fresh(image, fresh, err);
    if (fd < 0)
        return fd;
    if (faccessat(image->folder_fd, name, F_OK, AT_SYMLINK_NOFOLLOW) == 0) {
        (void)unlinkat(image->folder_fd, fresh, 0); /* made while we waited for the lock */
        return 0;
    }
    if (ftruncate(fd, 0) < 0 || ftruncate(fd, (off_t)image->bytes) < 0)
        r = sp_error_set(err, SP_ERR_LIMIT, -errno, "make an image of %llu MiB",
                         (unsigned long long)(image->bytes >> 20));
    else
        r = sp_image_make_fs(image, fd, err);
    if (r == 0 && (fsync(fd) < 0 || renameat2(image->folder_fd, fresh, image->folder_fd, name,
                                              RENAME_NOREPLACE) < 0))
        r = sp_error_set(err, SP_ERR_INTERNAL, -errno, "put the image in place");
    if (r < 0)
        (void)unlinkat(image->folder_fd, fresh, 0);
    return r < 0 ? r : sp_image_sync_folder(image, err);
}

static int check_image(const struct sp_image *image, const struct stat *st, struct sp_error *err)
{
    if (!sp_image_is_roots(st))
        return sp_error_set(err, SP_ERR_DENIED, 0,
                            "its image is not a file of root's alone: what the daemon could have "
                            "written is not mounted");
    if ((uint64_t)st->st_size > image->bytes)
        return sp_error_set(err, SP_ERR_CONFLICT, 0,
                            "it has %llu MiB and the limit is %llu MiB: it is never made smaller",
                            (unsigned long long)st->st_size >> 20,
                            (unsigned long long)image->bytes >> 20);
    return 0;
}

/* --- loop devices --- */

/* Where /dev does not follow the kernel (containers) the node is made where nobody sees it. */
static int open_hidden_node(int number)
{
    SP_AUTO_FD int fs = (int)syscall(SYS_fsopen, "tmpfs", FSOPEN_CLOEXEC);
    SP_AUTO_FD int folder = -1;

    if (fs < 0 || syscall(SYS_fsconfig, fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0)
        return -1;
    folder = (int)syscall(SYS_fsmount, fs, FSMOUNT_CLOEXEC, 0);
    if (folder < 0 || mknodat(folder, "loop", S_IFBLK | 0600, makedev(7, (unsigned)number)) < 0)
        return -1;
    return openat(folder, "loop", O_RDWR | O_CLOEXEC);
}

static int open_loop(int number)
{
    char path[32];
    int fd;

    (void)snprintf(path, sizeof(path), "/dev/loop%d", number);
    fd = open(path, O_RDWR | O_CLOEXEC);
    return fd < 0 && errno == ENOENT ? open_hidden_node(number) : fd;
}

/* The loop device has `fd` from here on, and with it the lock. */
static int attach(const struct sp_image *image, int fd, int *ret_loop, struct sp_error *err)
{
    SP_AUTO_FD int control = open("/dev/loop-control", O_RDWR | O_CLOEXEC);
    struct loop_config config = {
        .fd = (uint32_t)fd,
        .info.lo_flags = LO_FLAGS_AUTOCLEAR | LO_FLAGS_DIRECT_IO,
    };

    if (control < 0)
        return sp_error_set(err, SP_ERR_UNAVAILABLE, -errno, "open '/dev/loop-control'");
    (void)snprintf((char *)config.info.lo_file_name, sizeof(config.info.lo_file_name), "%016llx",
                   (unsigned long long)image->space);
    for (int i = 0; i < LOOP_TRIES; i++) {
        int number = ioctl(control, LOOP_CTL_GET_FREE);
        int loop = number < 0 ? -1 : open_loop(number);

        if (loop >= 0 && ioctl(loop, LOOP_CONFIGURE, &config) == 0) {
            *ret_loop = loop;
            return 0;
        }
        if (loop >= 0)
            (void)close(loop);
        if (loop < 0 || errno != EBUSY) /* somebody else took it: the next one */
            break;
    }
    return sp_error_set(err, SP_ERR_UNAVAILABLE, -errno, "get a loop device");
}

/* The loop device that has the image already; while we hold it open it stays. */
static int find_attached(const struct stat *st)
{
    DIR *all = opendir("/sys/block");
    struct dirent *entry;
    int found = -1;

    while (all && found < 0 && (entry = readdir(all))) {
        struct loop_info64 info;
        uint64_t number;
        char path[300];
        int fd;

        if (strncmp(entry->d_name, "loop", 4) != 0 ||
            !sp_parse_u64(sp_slice_str(entry->d_name + 4), 1 << 20, &number))
            continue;
        (void)snprintf(path, sizeof(path), "/sys/block/%s/loop", entry->d_name);
        if (access(path, F_OK) < 0)
            continue;
        fd = open_loop((int)number);
        if (fd >= 0 && ioctl(fd, LOOP_GET_STATUS64, &info) == 0 && info.lo_device == st->st_dev &&
            info.lo_inode == st->st_ino)
            found = fd;
        else if (fd >= 0)
            (void)close(fd);
    }
    if (all)
        (void)closedir(all);
    return found;
}

/* --- the mount --- */

static int config_fs(int fs, unsigned cmd, const char *key, const char *value)
{
    return (int)syscall(SYS_fsconfig, fs, cmd, key, value, 0);
}

static int mount_loop(const struct sp_image *image, int loop, int *ret_fd, struct sp_error *err)
{
    SP_AUTO_FD int fs = (int)syscall(SYS_fsopen, "ext4", FSOPEN_CLOEXEC);
    char source[32];
    int fd;

    /* The app reads this name in its mountinfo: it tells nothing of the host. */
    (void)snprintf(source, sizeof(source), "/proc/self/fd/%d", loop);
    if (fs < 0 || config_fs(fs, FSCONFIG_SET_STRING, "source", source) < 0 ||
        config_fs(fs, FSCONFIG_SET_STRING, "errors", "remount-ro") < 0 ||
        config_fs(fs, FSCONFIG_SET_FLAG, "discard", NULL) < 0)
        return sp_error_set(err, SP_ERR_UNAVAILABLE, -errno, "mount the image");
    if (config_fs(fs, FSCONFIG_CMD_CREATE, NULL, NULL) < 0)
        return errno == EUCLEAN || errno == EBADMSG || errno == EINVAL
                   ? sp_image_damaged(image, "the kernel does not mount it", err)
                   : sp_error_set(err, SP_ERR_UNAVAILABLE, -errno, "mount the image");
    fd = (int)syscall(SYS_fsmount, fs, FSMOUNT_CLOEXEC, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV);
    if (fd < 0)
        return sp_error_set(err, SP_ERR_UNAVAILABLE, -errno, "mount the image");
    *ret_fd = fd;
    return 0;
}

/* Before the mount has ids of its own: these are the ids on the disk. */
static int prepare_folder(const struct sp_image *image, int mount_fd, struct sp_error *err)
{
    if (mkdirat(mount_fd, SP_IMAGE_FOLDER, 0755) < 0 && errno != EEXIST)
        return sp_error_set(err, SP_ERR_INTERNAL, -errno, "make the app's folder in the image");
    if (fchownat(mount_fd, SP_IMAGE_FOLDER, image->uid, image->gid, AT_SYMLINK_NOFOLLOW) < 0)
        return sp_error_set(err, SP_ERR_INTERNAL, -errno, "give the image to the app");
    return 0;
}

static int give_ids(int mount_fd, int idmap_fd, struct sp_error *err)
{
    struct mount_attr attr = {.attr_set = MOUNT_ATTR_IDMAP,
                              .userns_fd = (unsigned long long)idmap_fd};

    if (idmap_fd >= 0 &&
        syscall(SYS_mount_setattr, mount_fd, "", AT_EMPTY_PATH, &attr, sizeof(attr)) < 0)
        return sp_error_set(err, SP_ERR_UNAVAILABLE, -errno, "give the image's mount its own ids");
    return 0;
}

/* Nobody else has it: what was cut short is put right, and it gets the size that it should have. */
static int make_whole(const struct sp_image *image, int fd, struct sp_error *err)
{
    struct stat st;
    int r = sp_image_recover(image, fd, err);

    if (r < 0)
        return r;
    if (fstat(fd, &st) < 0)
        return sp_error_set(err, SP_ERR_INTERNAL, -errno, "look at the image");
    if ((uint64_t)st.st_size < image->bytes || sp_image_super_is_short(fd, image->bytes))
        return sp_image_grow(image, fd, err);
    return sp_image_check_fs(image, fd, err);
}

/*
 * An open loop device of the image: the one that has it, or a new one. An image that must grow
 * waits until no sandbox has it; one that
 * was cut short at it is grown to the end.
 */
static int get_loop(const struct sp_image *image, int fd, int *ret_loop, struct sp_error *err)
{
    uint64_t end = sp_clock_mono_ms() + FREE_WAIT_MS;
    struct stat st;
    int r;

    for (;;) {
        bool is_ours = flock(fd, LOCK_EX | LOCK_NB) == 0;

        if (fstat(fd, &st) < 0)
            return sp_error_set(err, SP_ERR_INTERNAL, -errno, "look at the image");
        r = check_image(image, &st, err);
        if (r < 0)
            return r;
        if (is_ours) {
            r = make_whole(image, fd, err);
            return r < 0 ? r : attach(image, fd, ret_loop, err);
        }
        if ((uint64_t)st.st_size == image->bytes && (*ret_loop = find_attached(&st)) >= 0)
            return 0;
        if (sp_clock_mono_ms() > end)
            return sp_error_set(err, SP_ERR_UNAVAILABLE, 0,
                                "it can grow when no other sandbox of the Space has it, and one "
                                "still ends its calls: restart the Space when they are over");
        (void)usleep(FREE_POLL_US);
    }
}

int sp_image_possible(struct sp_error *err)
{
    SP_AUTO_FD int control = open("/dev/loop-control", O_RDWR | O_CLOEXEC);

    if (control < 0)
        return sp_error_set(err, SP_ERR_UNAVAILABLE, -errno, "open '/dev/loop-control'");
    return sp_image_tools_found(err);
}

int sp_image_mount(const struct sp_image *image, int *ret_fd, struct sp_error *err)
{
    SP_AUTO_FD int fd = -1, loop = -1, mount_fd = -1;
    char name[32];
    int r;

    (void)snprintf(name, sizeof(name), "%016llx.img", (unsigned long long)image->space);
    r = open_image(image, name, &fd);
    if (r == -ENOENT) {
        r = make_image(image, name, err);
        if (r < 0)
            return r;
        r = open_image(image, name, &fd);
    }
    if (r < 0)
        return sp_error_set(err, SP_ERR_INTERNAL, r, "open the image");
    r = get_loop(image, fd, &loop, err);
    if (r == 0)
        r = mount_loop(image, loop, &mount_fd, err);
    if (r == 0)
        r = prepare_folder(image, mount_fd, err);
    if (r == 0)
        r = give_ids(mount_fd, image->idmap_fd, err);
    if (r == 0)
        *ret_fd = SP_TAKE_FD(mount_fd);
    return r;
}
