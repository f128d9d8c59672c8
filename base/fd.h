/*
 * base/fd.h - descriptors that close themselves, and whole small files.
 */
#ifndef SP_BASE_FD_H
#define SP_BASE_FD_H

#include <stddef.h>
#include <sys/types.h>

#include "base/str.h"

struct sp_error;

void sp_auto_fd(int *fd);
/* Closes the descriptor when it goes out of scope; -1 is fine. */
#define SP_AUTO_FD __attribute__((cleanup(sp_auto_fd)))
/* Hands a descriptor on and clears the variable. */
#define SP_TAKE_FD(var)                                                                            \
    ({                                                                                             \
        int fd_ = (var);                                                                           \
        (var) = -1;                                                                                \
        fd_;                                                                                       \
    })

/*
 * Reads a small file whole. Larger than `max` is an error, not a short read. `*ret` is terminated
 * and yours. Never follows a link at the last component and never hangs on a FIFO.
 */
int sp_file_read(int dirfd, const char *path, size_t max, char **ret, size_t *ret_len,
                 struct sp_error *err);

/* Replaces `path` as a whole: writes beside it, fdatasync, rename, fsync of the folder. */
int sp_file_replace(int dirfd, const char *path, mode_t mode, struct sp_slice data,
                    struct sp_error *err);

/* Writes all or fails; for blocking descriptors. Returns 0 or a negative errno. */
int sp_write_all(int fd, const void *data, size_t len);

/* mkdir -p below `dirfd`; what exists is fine. */
int sp_mkdir_p(int dirfd, const char *path, mode_t mode, struct sp_error *err);

/*
 * Removes a tree, read-only folders included, without following links; absent is fine. Holds at
 * most 64 folders open however deep the tree is: an app may have made it.
 */
int sp_rmtree(int dirfd, const char *path, struct sp_error *err);

/*
 * Opens a path that comes from outside beneath `dirfd`: openat2 with RESOLVE_BENEATH and
 * RESOLVE_NO_SYMLINKS, plus O_CLOEXEC | O_NONBLOCK | O_NOFOLLOW. Anything but a regular file (or a
 * folder when O_DIRECTORY is in `flags`) is refused.
 */
int sp_open_beneath(int dirfd, const char *path, int flags, mode_t mode, int *ret_fd,
                    struct sp_error *err);

#endif
