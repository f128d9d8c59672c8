#include "runtime/spaces/trash.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "base/fault.h"
#include "base/fd.h"
#include "base/id.h"
#include "base/log.h"

/* trash/<id>/o/<output>: a stop is heard between two outputs, however many there are. */
#define LEVELS 3

static void log_left(const char *why)
{
    sp_log(SP_LOG_WARN, "space.files_left", "err=%s", sp_log_quoted(why));
}

/* --- in the pool ------------------------------------------------------------------------------ */

static DIR *open_folder(int dir_fd, const char *name)
{
    int fd = openat(dir_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    DIR *dir = fd < 0 ? NULL : fdopendir(fd);

    if (fd >= 0 && !dir)
        (void)close(fd);
    return dir;
}

/* False: the daemon stops. */
static bool remove_below(struct sp_trash *trash, int dir_fd, const char *name, unsigned levels)
{
    DIR *dir = levels > 0 ? open_folder(dir_fd, name) : NULL;
    struct sp_error err = {0};
    struct dirent *entry;

    while (dir && !atomic_load(&trash->stopping) && (entry = readdir(dir)))
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0 &&
            !remove_below(trash, dirfd(dir), entry->d_name, levels - 1))
            break;
    if (dir)
        (void)closedir(dir);
    if (levels == 0 && sp_fault("trash.slow"))
        (void)usleep(10000);
    if (atomic_load(&trash->stopping))
        return false;
    /* Also what was left of it: an app may have closed a folder to all, or nested it deeper. */
    if (levels < LEVELS && sp_rmtree(dir_fd, name, &err) < 0)
        log_left(err.msg);
    return true;
}

static void on_work(uv_work_t *work)
{
    (void)remove_below(work->data, AT_FDCWD, SP_DIR_TRASH, LEVELS);
}

/* --- on the loop ------------------------------------------------------------------------------ */

static void after_work(uv_work_t *work, int status)
{
    struct sp_trash *trash = work->data;

    (void)status;
    trash->working = false;
    if (trash->again)
        sp_trash_empty(trash);
}

void sp_trash_empty(struct sp_trash *trash)
{
    trash->again = trash->working;
    if (trash->working || atomic_load(&trash->stopping))
        return;
    trash->work.data = trash;
    trash->working = uv_queue_work(trash->loop, &trash->work, on_work, after_work) == 0;
}

void sp_trash_put(struct sp_trash *trash, const char *path)
{
    char to[sizeof(SP_DIR_TRASH) + 1 + SP_ID_HEX], hex[SP_ID_HEX];
    struct sp_error err = {0};
    struct sp_id id;

    sp_id_random(&id);
    sp_id_to_hex(&id, hex);
    (void)snprintf(to, sizeof(to), SP_DIR_TRASH "/%s", hex);
    /*
     * Not synced: after a power cut it lies here or there, and its Space's record is gone. The
     * sweep at the start finds either.
     */
    if (rename(path, to) == 0) {
        sp_trash_empty(trash);
        return;
    }
    if (errno == ENOENT && access(SP_DIR_TRASH, F_OK) == 0)
        return;
    /* The operator has put another file system there, or has taken the trash away. */
    if (sp_rmtree(AT_FDCWD, path, &err) < 0)
        log_left(err.msg);
}

void sp_trash_init(struct sp_trash *trash, uv_loop_t *loop)
{
    struct sp_error err = {0};

    *trash = (struct sp_trash){.loop = loop};
    if (sp_mkdir_p(AT_FDCWD, SP_DIR_TRASH, 0700, &err) < 0)
        log_left(err.msg);
}

void sp_trash_stop(struct sp_trash *trash)
{
    atomic_store(&trash->stopping, true);
}
