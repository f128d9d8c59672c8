#include "helpers/layer.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/error.h"
#include "base/fd.h"
#include "base/str.h"

#define WHITEOUT ".wh."
#define OPAQUE   ".wh..wh..opq"
#define DEPTH    64

static int refuse(struct sp_error *err, const char *path, const char *why)
{
    return sp_error_set(err, SP_ERR_INVALID, -EINVAL, "the image has '%.200s': %s", path, why);
}

/* "./usr//bin/" as "usr/bin"; "" is the root. False for absolute names, "..", and what is too deep.
 */
static bool normalise(const char *path, char ret[SP_TAR_PATH_MAX])
{
    struct sp_slice rest = sp_slice_str(path), part;
    unsigned depth = 0;
    size_t len = 0;

    if (path[0] == '/')
        return false;
    while (sp_slice_split(&rest, '/', &part)) {
        if (part.len == 0 || sp_slice_eq_str(part, "."))
            continue;
        if (sp_slice_eq_str(part, "..") || part.len > 255 || ++depth > DEPTH)
            return false;
        if (len)
            ret[len++] = '/';
        memcpy(ret + len, part.ptr, part.len);
        len += part.len;
    }
    ret[len] = '\0';
    return true;
}

/* No link leads out of the root, not even one that would come back. */
static int open_folder(int root, const char *path)
{
    struct open_how how = {.flags = O_RDONLY | O_DIRECTORY | O_CLOEXEC,
                           .resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_XDEV};
    int fd = (int)syscall(SYS_openat2, root, *path ? path : ".", &how, sizeof(how));

    return fd < 0 ? -errno : fd;
}

/* As open_folder, and makes what is missing: some tools leave folders out of their archives. */
static int need_folder(int root, const char *path)
{
    char part[SP_TAR_PATH_MAX];
    int fd = open_folder(root, path);

    if (fd != -ENOENT)
        return fd;
    for (const char *slash = strchr(path, '/');; slash = strchr(slash + 1, '/')) {
        SP_AUTO_FD int parent = -1;
        size_t len = slash ? (size_t)(slash - path) : strlen(path);
        const char *name;

        memcpy(part, path, len);
        part[len] = '\0';
        name = strrchr(part, '/');
        if (name) {
            part[name - part] = '\0';
            parent = open_folder(root, part);
            name++;
        } else {
            parent = open_folder(root, "");
            name = part;
        }
        if (parent < 0)
            return parent;
        if (mkdirat(parent, name, 0755) < 0 && errno != EEXIST)
            return -errno;
        if (!slash)
            return open_folder(root, path);
    }
}

/* The folder that an entry lies in, and its name there. */
static int open_parent(int root, char *path, bool make, int *ret_fd, const char **ret_name,
                       struct sp_error *err)
{
    char *slash = strrchr(path, '/');
    int fd;

    if (slash)
        *slash = '\0';
    fd = make ? need_folder(root, slash ? path : "") : open_folder(root, slash ? path : "");
    *ret_name = slash ? slash + 1 : path;
    if (fd >= 0) {
        *ret_fd = fd;
        return 0;
    }
    if (fd == -EXDEV || fd == -ELOOP || fd == -ENOTDIR)
        return refuse(err, path, "its folder is a link that leads elsewhere");
    return sp_error_set(err, fd == -ENOENT ? SP_ERR_NOT_FOUND : SP_ERR_UNAVAILABLE, fd,
                        "open '%.200s' of the image", path);
}

/* --- what is no more --- */

static int remove_all_in(int folder, struct sp_error *err)
{
    SP_AUTO_FD int copy = openat(folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *list = copy < 0 ? NULL : fdopendir(copy);
    struct dirent *entry;
    int r = 0;

    if (!list)
        return sp_error_set(err, SP_ERR_INTERNAL, -errno, "list a folder of the image");
    copy = -1; /* closedir closes it */
    while (r == 0 && (entry = readdir(list)))
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            r = sp_rmtree(dirfd(list), entry->d_name, err);
    (void)closedir(list);
    return r;
}

static int white_out(int root, char *path, struct sp_error *err)
{
    SP_AUTO_FD int parent = -1;
    const char *name;
    int r = open_parent(root, path, false, &parent, &name, err);

    if (r < 0)
        return err && err->kind == SP_ERR_NOT_FOUND ? 0 : r; /* nothing is there anyway */
    if (strcmp(name, OPAQUE) == 0)
        return remove_all_in(parent, err);
    name += strlen(WHITEOUT);
    if (!*name || strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
        return refuse(err, name, "it takes away what has no name");
    return sp_rmtree(parent, name, err);
}

static bool is_whiteout(const char *path)
{
    const char *slash = strrchr(path, '/');

    return sp_slice_starts(sp_slice_str(slash ? slash + 1 : path), WHITEOUT);
}

static int over(struct sp_error *err, const char *what, uint64_t max, const char *setting)
{
    return sp_error_set(err, SP_ERR_LIMIT, -EFBIG, "the image has over %llu %s (%s)",
                        (unsigned long long)max, what, setting);
}

int sp_layer_whiteouts(int root_fd, struct sp_tar *tar, const struct sp_layer_limits *limits,
                       struct sp_error *err)
{
    static struct sp_tar_entry entry;
    static char path[SP_TAR_PATH_MAX];
    uint64_t bytes = 0, files = 0;
    int r;

    while ((r = sp_tar_next(tar, &entry, err)) > 0) {
        if (++files > limits->max_files)
            return over(err, "files", limits->max_files, "base.max_files");
        if (entry.size > limits->max_bytes || (bytes += entry.size) > limits->max_bytes)
            return over(err, "bytes", limits->max_bytes, "base.max_bytes");
        if (!normalise(entry.path, path))
            return refuse(err, entry.path, "names begin at the root and hold no '..'");
        if (!is_whiteout(path))
            continue;
        r = white_out(root_fd, path, err);
        if (r < 0)
            return r;
    }
    return r;
}

/* --- what there is --- */

static int failed(struct sp_error *err, const char *path)
{
    return sp_error_set(err,
                        errno == ENOSPC || errno == EDQUOT ? SP_ERR_UNAVAILABLE : SP_ERR_INVALID,
                        -errno, "put '%.200s' of the image", path);
}

static int put_folder(int parent, const char *name, const struct sp_tar_entry *entry,
                      struct sp_error *err)
{
    struct stat st;

    if (fstatat(parent, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && !S_ISDIR(st.st_mode) &&
        unlinkat(parent, name, 0) < 0)
        return failed(err, entry->path);
    if (mkdirat(parent, name, 0700) < 0 && errno != EEXIST)
        return failed(err, entry->path);
    /* A folder that we have just looked at, in a tree that nobody else writes to. */
    return fchmodat(parent, name, (entry->mode & 01777) | 0700, 0) < 0 ? failed(err, entry->path)
                                                                       : 0;
}

static int put_file(int parent, const char *name, struct sp_tar *tar,
                    const struct sp_tar_entry *entry, struct sp_error *err)
{
    static char data[1 << 16];
    SP_AUTO_FD int fd =
        openat(parent, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    long n;

    if (fd < 0)
        return failed(err, entry->path);
    while ((n = sp_tar_content(tar, data, sizeof(data), err)) > 0) {
        int r = sp_write_all(fd, data, (size_t)n);

        if (r < 0) {
            errno = -r;
            return failed(err, entry->path);
        }
    }
    if (n < 0)
        return (int)n;
    return fchmod(fd, (entry->mode & 0777) | 0400) < 0 ? failed(err, entry->path) : 0;
}

static int put_hardlink(int root, int parent, const char *name, const struct sp_tar_entry *entry,
                        struct sp_error *err)
{
    static char target[SP_TAR_PATH_MAX];
    SP_AUTO_FD int folder = -1;
    const char *target_name;
    struct stat st;
    int r;

    if (!normalise(entry->link, target) || !*target)
        return refuse(err, entry->path, "a hard link out of the image");
    r = open_parent(root, target, false, &folder, &target_name, err);
    if (r < 0)
        return r;
    if (fstatat(folder, target_name, &st, AT_SYMLINK_NOFOLLOW) < 0 || S_ISDIR(st.st_mode))
        return refuse(err, entry->path, "a hard link to what is not there");
    return linkat(folder, target_name, parent, name, 0) < 0 ? failed(err, entry->path) : 0;
}

static int put(int root, struct sp_tar *tar, const struct sp_tar_entry *entry, char *path,
               struct sp_error *err)
{
    SP_AUTO_FD int parent = -1;
    const char *name;
    struct stat st;
    int r;

    if (!*path)
        return entry->type == SP_TAR_FOLDER ? 0 : refuse(err, entry->path, "it is no folder");
    r = open_parent(root, path, true, &parent, &name, err);
    if (r < 0)
        return r;
    if (entry->type == SP_TAR_FOLDER)
        return put_folder(parent, name, entry, err);
    if (fstatat(parent, name, &st, AT_SYMLINK_NOFOLLOW) == 0)
        r = sp_rmtree(parent, name, err);
    if (r < 0)
        return r;
    switch (entry->type) {
    case SP_TAR_FILE: return put_file(parent, name, tar, entry, err);
    case SP_TAR_HARDLINK: return put_hardlink(root, parent, name, entry, err);
    case SP_TAR_SYMLINK:
        return !entry->link[0] ? refuse(err, entry->path, "a link to nothing")
               : symlinkat(entry->link, parent, name) < 0 ? failed(err, entry->path)
                                                          : 0;
    default: return refuse(err, entry->path, "a device node or a pipe");
    }
}

int sp_layer_files(int root_fd, struct sp_tar *tar, const struct sp_layer_limits *limits,
                   struct sp_layer_count *count, struct sp_error *err)
{
    static struct sp_tar_entry entry;
    static char path[SP_TAR_PATH_MAX];
    int r;

    while ((r = sp_tar_next(tar, &entry, err)) > 0) {
        if (!normalise(entry.path, path))
            return refuse(err, entry.path, "names begin at the root and hold no '..'");
        if (is_whiteout(path))
            continue;
        if (++count->files > limits->max_files)
            return over(err, "files", limits->max_files, "base.max_files");
        if (entry.size > limits->max_bytes || (count->bytes += entry.size) > limits->max_bytes)
            return over(err, "bytes", limits->max_bytes, "base.max_bytes");
        r = put(root_fd, tar, &entry, path, err);
        if (r < 0)
            return r;
    }
    return r;
}
