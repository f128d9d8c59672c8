#include "base/fd.h"

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
#include "base/id.h"
#include "base/mem.h"

void sp_auto_fd(int *fd)
{
    if (*fd >= 0)
        (void)close(*fd);
}

static enum sp_err_kind kind_of(int error)
{
    return error == ENOENT                      ? SP_ERR_NOT_FOUND
           : error == ENOSPC || error == EDQUOT ? SP_ERR_UNAVAILABLE
                                                : SP_ERR_INTERNAL;
}

int sp_file_read(int dirfd, const char *path, size_t max, char **ret, size_t *ret_len,
                 struct sp_error *err)
{
    SP_AUTO_FD int fd = -1;
    SP_AUTO_FREE char *buf = NULL;
    size_t len = 0;

    /* O_NONBLOCK: the path may come from an app, and opening a FIFO would hang us. */
    fd = openat(dirfd, path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (fd < 0)
        return sp_error_set(err, kind_of(errno), -errno, "open '%s'", path);

    buf = malloc(max + 2);
    if (!buf)
        return sp_error_set(err, SP_ERR_INTERNAL, -ENOMEM, "read '%s'", path);

    /* One byte more than `max`, so that "too large" can be told from "just fits". */
    while (len <= max) {
        ssize_t n = read(fd, buf + len, max + 1 - len);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return sp_error_set(err, SP_ERR_INTERNAL, -errno, "read '%s'", path);
        if (n == 0)
            break;
        len += (size_t)n;
    }
    if (len > max)
        return sp_error_set(err, SP_ERR_LIMIT, -EFBIG, "read '%s': over %zu bytes", path, max);

    buf[len] = '\0';
    *ret_len = len;
    *ret = SP_TAKE(buf); /* nothing can fail after this line */
    return 0;
}

int sp_write_all(int fd, const void *data, size_t len)
{
    const char *from = data;

    while (len) {
        ssize_t n = write(fd, from, len);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -errno;
        from += n;
        len -= (size_t)n;
    }
    return 0;
}

/* The folder entry must reach the disk too, or the rename may be lost with the power. */
static int sync_parent(int dirfd, const char *path)
{
    SP_AUTO_FREE char *parent = sp_strdup(path);
    SP_AUTO_FD int fd = -1;
    char *slash = strrchr(parent, '/');

    if (slash)
        *slash = '\0';
    fd = openat(dirfd, slash ? (*parent ? parent : "/") : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return fd < 0 || fsync(fd) < 0 ? -errno : 0;
}

static int write_temp(int dirfd, const char *temp, mode_t mode, struct sp_slice data)
{
    SP_AUTO_FD int fd = openat(dirfd, temp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
    int r;

    if (fd < 0)
        return -errno;
    r = sp_write_all(fd, data.ptr, data.len);
    if (r == 0 && fdatasync(fd) < 0)
        r = -errno;
    return r;
}

int sp_file_replace(int dirfd, const char *path, mode_t mode, struct sp_slice data,
                    struct sp_error *err)
{
    SP_AUTO_FREE char *temp = NULL;
    char unique[SP_ID_HEX];
    struct sp_id id;
    int r;

    sp_id_random(&id);
    sp_id_to_hex(&id, unique);
    temp = sp_asprintf("%s.%s", path, unique);

    r = write_temp(dirfd, temp, mode, data);
    if (r == 0 && renameat(dirfd, temp, dirfd, path) < 0)
        r = -errno;
    if (r < 0) {
        (void)unlinkat(dirfd, temp, 0);
        return sp_error_set(err, kind_of(-r), r, "write '%s'", path);
    }
    r = sync_parent(dirfd, path);
    return r < 0 ? sp_error_set(err, SP_ERR_INTERNAL, r, "sync the folder of '%s'", path) : 0;
}

int sp_mkdir_p(int dirfd, const char *path, mode_t mode, struct sp_error *err)
{
    SP_AUTO_FREE char *part = sp_strdup(path);

    for (char *at = part + 1; *part; at++) {
        char c = *at;

        if (c != '/' && c != '\0')
            continue;
        *at = '\0';
        if (mkdirat(dirfd, part, mode) < 0 && errno != EEXIST)
            return sp_error_set(err, kind_of(errno), -errno, "make folder '%s'", part);
        if (c == '\0')
            break;
        *at = c;
    }
    return 0;
}

/* Snapshots are read-only, and an app may take all rights off its own folders: given back, so that
 * they can be emptied without root. */
static int open_to_empty(int parent, const char *name)
{
    const int flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
    int fd = openat(parent, name, flags);

    if (fd < 0 && errno == EACCES && fchmodat(parent, name, 0700, AT_SYMLINK_NOFOLLOW) == 0)
        fd = openat(parent, name, flags);
    if (fd >= 0)
        (void)fchmod(fd, 0700); /* where it matters and fails, removing says so */
    return fd;
}

#define RMTREE_LEVELS 64   /* folders open at the same time */
#define RMTREE_PASSES 1024 /* so a tree may be 65,536 levels deep */

struct removal {
    int top;         /* the tree's own folder while it is open, else -1 */
    unsigned lifted; /* folders moved up into it in this pass */
};

/* A folder too deep to go into moves up to the top, where the next pass finds it. */
static int lift(struct removal *rm, int parent, const char *name)
{
    SP_AUTO_FD int fd = open_to_empty(parent, name); /* makes it writable, as a move needs */
    char unique[SP_ID_HEX];
    struct sp_id id;

    if (fd < 0)
        return -errno;
    sp_id_random(&id);
    sp_id_to_hex(&id, unique);
    if (renameat(parent, name, rm->top, unique) < 0)
        return -errno;
    rm->lifted++;
    return 0;
}

static int rmtree_at(struct removal *rm, int parent, const char *name, unsigned levels)
{
    SP_AUTO_FD int fd = -1;
    struct dirent *entry;
    DIR *dir;
    int r = 0;

    if (unlinkat(parent, name, 0) == 0 || errno == ENOENT)
        return 0;
    if (errno != EISDIR && errno != EPERM)
        return -errno;
    if (levels == 0)
        return lift(rm, parent, name);

    fd = open_to_empty(parent, name);
    if (fd < 0)
        return -errno;
    dir = fdopendir(fd);
    if (!dir)
        return -errno;
    fd = -1; /* closedir closes it */
    if (levels == RMTREE_LEVELS)
        rm->top = dirfd(dir);
    while (r == 0 && (entry = readdir(dir)))
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            r = rmtree_at(rm, dirfd(dir), entry->d_name, levels - 1);
    (void)closedir(dir);
    if (r == 0 && unlinkat(parent, name, AT_REMOVEDIR) < 0 && errno != ENOENT)
        r = -errno;
    return r;
}

int sp_rmtree(int dirfd, const char *path, struct sp_error *err)
{
    struct removal rm;
    int r;

    for (int pass = 0; pass < RMTREE_PASSES; pass++) {
        rm = (struct removal){.top = -1};
        r = rmtree_at(&rm, dirfd, path, RMTREE_LEVELS);
        if (rm.lifted == 0 || (r < 0 && r != -ENOTEMPTY))
            break;
    }
    return r < 0 ? sp_error_set(err, SP_ERR_INTERNAL, r, "remove '%s'", path) : 0;
}

int sp_open_beneath(int dirfd, const char *path, int flags, mode_t mode, int *ret_fd,
                    struct sp_error *err)
{
    struct open_how how = {
        .flags = (unsigned)(flags | O_CLOEXEC | O_NONBLOCK | O_NOFOLLOW),
        .mode = mode,
        .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS,
    };
    SP_AUTO_FD int fd = -1;
    struct stat st;

    fd = (int)syscall(SYS_openat2, dirfd, path, &how, sizeof(how));
    if (fd < 0)
        return sp_error_set(err, errno == EXDEV || errno == ELOOP ? SP_ERR_DENIED : kind_of(errno),
                            -errno, "open '%s'", path);
    if (fstat(fd, &st) < 0)
        return sp_error_set(err, SP_ERR_INTERNAL, -errno, "stat '%s'", path);
    if (flags & O_DIRECTORY ? !S_ISDIR(st.st_mode) : !S_ISREG(st.st_mode))
        return sp_error_set(err, SP_ERR_DENIED, 0, "open '%s': not a regular file", path);
    *ret_fd = SP_TAKE_FD(fd);
    return 0;
}
