#include "sandbox/image_grow.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "base/fd.h"
#include "sandbox/image.h"
#include "sandbox/image_super.h"
#include "sandbox/image_tools.h"

static void name_undo(const struct sp_image *image, char *ret, size_t size)
{
    (void)snprintf(ret, size, ".%016llx.undo", (unsigned long long)image->space);
}

/* The daemon owns the folder: what it put there under this name is not followed. */
static int make_undo(const struct sp_image *image, int *ret_fd, struct sp_error *err)
{
    char name[32];

    name_undo(image, name, sizeof(name));
    *ret_fd =
        openat(image->folder_fd, name, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    return *ret_fd < 0 ? sp_error_set(err, SP_ERR_INTERNAL, -errno, "make '%s'", name) : 0;
}

/* Before anybody writes to the image again: put back later, it would take that away. */
static int drop_undo(const struct sp_image *image, int fd, struct sp_error *err)
{
    char name[32];

    name_undo(image, name, sizeof(name));
    if (fsync(fd) < 0 || (unlinkat(image->folder_fd, name, 0) < 0 && errno != ENOENT))
        return sp_error_set(err, SP_ERR_INTERNAL, -errno, "remove '%s'", name);
    return sp_image_sync_folder(image, err);
}

/*
 * e2undo finds nothing to do when resize2fs had not begun: e2fsck has the last word. What comes
 * after the end of a file system that is whole is not its own.
 */
static int put_back(const struct sp_image *image, int fd, int undo_fd, struct sp_error *err)
{
    uint64_t bytes;
    struct stat st;
    int r;

    (void)sp_image_undo_fs(fd, undo_fd, NULL);
    r = sp_image_check_all(image, fd, err);
    if (r < 0)
        return r;
    if (!sp_image_super_bytes(fd, &bytes) || fstat(fd, &st) < 0 ||
        ((uint64_t)st.st_size > bytes && ftruncate(fd, (off_t)bytes) < 0))
        return sp_error_set(err, SP_ERR_INTERNAL, -EIO, "put back the image's size");
    return drop_undo(image, fd, err);
}

int sp_image_recover(const struct sp_image *image, int fd, struct sp_error *err)
{
    SP_AUTO_FD int undo_fd = -1;
    char name[32];
    struct stat st;

    name_undo(image, name, sizeof(name));
    undo_fd = openat(image->folder_fd, name, O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (undo_fd < 0 && errno == ENOENT)
        return 0;
    if (undo_fd < 0 || fstat(undo_fd, &st) < 0 || !sp_image_is_roots(&st))
        return drop_undo(image, fd, err);
    return put_back(image, fd, undo_fd, err);
}

int sp_image_grow(const struct sp_image *image, int fd, struct sp_error *err)
{
    SP_AUTO_FD int undo_fd = -1;
    uint64_t before;
    int r = sp_image_check_all(image, fd, err);

    if (r < 0)
        return r;
    if (!sp_image_super_bytes(fd, &before))
        return sp_image_damaged(image, "it has no superblock", err);
    r = make_undo(image, &undo_fd, err);
    if (r < 0)
        return r;
    if (ftruncate(fd, (off_t)image->bytes) < 0)
        r = sp_error_set(err, SP_ERR_LIMIT, -errno, "make the image larger");
    else
        r = sp_image_resize_fs(fd, undo_fd, err);
    if (r == 0)
        return drop_undo(image, fd, err);
    /* First the room that it has taken beyond the old end: to put back takes some, too. */
    (void)ftruncate(fd, (off_t)before);
    (void)put_back(image, fd, undo_fd, NULL);
    return sp_error_wrap(err,
                         "it stays at %llu MiB, for it cannot grow to %llu MiB (is the disk "
                         "full, or is that over 1000 times its size?)",
                         (unsigned long long)(before >> 20),
                         (unsigned long long)(image->bytes >> 20));
}
