#include "runtime/state/snapshot-internal.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/id.h"
#include "base/log.h"
#include "base/mem.h"

enum sp_err_kind sp_snapshot_err_kind(int error)
{
    return error == ENOSPC || error == EDQUOT || error == EFBIG ? SP_ERR_UNAVAILABLE
                                                                : SP_ERR_INTERNAL;
}

/* --- removing --------------------------------------------------------------------------------- */

void sp_snapshot_remove_tree(int parent, const char *name)
{
    struct sp_error err;

    if (sp_rmtree(parent, name, &err) < 0)
        sp_log(SP_LOG_WARN, "snapshot.remove_failed", "name=%s err=%s", sp_log_quoted(name),
               sp_log_quoted(err.msg));
}

/* --- snapshots -------------------------------------------------------------------------------- */

static bool is_hash(const char *name)
{
    size_t len = strspn(name, "0123456789abcdef");

    return len == SP_SNAPSHOT_HEX - 1 && name[len] == '\0';
}

struct removal {
    uv_work_t work;
    int dir_fd;
    char name[8 + SP_ID_HEX];
};

static void on_remove(uv_work_t *work)
{
    struct removal *removal = work->data;

    sp_snapshot_remove_tree(removal->dir_fd, removal->name);
}

static void on_removed(uv_work_t *work, int status)
{
    struct removal *removal = work->data;

    (void)status; /* what is left in staging is swept at the next start */
    sp_auto_fd(&removal->dir_fd);
    free(removal);
}

void sp_snapshot_remove(uv_loop_t *loop, const char *dir, const char *hash)
{
    struct removal *removal;
    char hex[SP_ID_HEX];
    struct sp_id id;

    if (!is_hash(hash))
        return;
    removal = sp_new0(struct removal);
    removal->work.data = removal;
    removal->dir_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    sp_id_random(&id);
    sp_id_to_hex(&id, hex);
    (void)snprintf(removal->name, sizeof(removal->name), "staging/%s", hex);
    /* Out of the way at once: from here on the same content would be a new snapshot. */
    if (removal->dir_fd < 0 || (fchmodat(removal->dir_fd, hash, 0755, 0) < 0 && errno != ENOENT) ||
        (renameat(removal->dir_fd, hash, removal->dir_fd, removal->name) < 0 && errno != ENOENT)) {
        sp_log(SP_LOG_WARN, "snapshot.remove_failed", "name=%s err=%s", hash,
               sp_log_quoted(strerror(errno)));
        on_removed(&removal->work, 0);
        return;
    }
    if (uv_queue_work(loop, &removal->work, on_remove, on_removed) < 0)
        on_removed(&removal->work, 0);
}

static int sweep_folder(int dir_fd, bool staging, bool (*used)(void *arg, const char *hash),
                        void *arg)
{
    SP_AUTO_FD int fd =
        openat(dir_fd, staging ? "staging" : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    struct dirent *entry;
    DIR *list;

    if (fd < 0)
        return errno == ENOENT ? 0 : -errno;
    list = fdopendir(fd);
    if (!list)
        return -errno;
    fd = -1; /* closedir closes it */
    while ((entry = readdir(list))) {
        const char *name = entry->d_name;

        if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
            continue;
        if (staging || (is_hash(name) && !used(arg, name)))
            sp_snapshot_remove_tree(dirfd(list), name);
    }
    (void)closedir(list);
    return 0;
}

int sp_snapshot_sweep(const char *dir, bool (*used)(void *arg, const char *hash), void *arg,
                      struct sp_error *err)
{
    SP_AUTO_FREE char *staging = sp_asprintf("%s/staging", dir);
    SP_AUTO_FD int fd = -1;
    int r = sp_mkdir_p(AT_FDCWD, staging, 0755, err);

    if (r < 0)
        return r;
    fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return sp_error_set(err, SP_ERR_INTERNAL, -errno, "open '%s'", dir);
    if ((r = sweep_folder(fd, true, used, arg)) < 0 || (r = sweep_folder(fd, false, used, arg)) < 0)
        return sp_error_set(err, SP_ERR_INTERNAL, r, "sweep '%s'", dir);
    return 0;
}
