#include "cli/folder_watch.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdbool.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/mem.h"
#include "cli/folder.h"

/* Editors save by writing, or by writing beside and renaming. IN_CREATE is for folders: a file that
 * was created says IN_CLOSE_WRITE when it is whole. */
#define CHANGES                                                                                    \
    (IN_CLOSE_WRITE | IN_CREATE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO | IN_DELETE_SELF |       \
     IN_MOVE_SELF)
#define SETTLE_MS      100
#define SETTLE_MOST_MS 2000

static int watch_one(int fd, const char *dir, struct sp_error *err)
{
    if (inotify_add_watch(fd, dir, CHANGES | IN_ONLYDIR | IN_DONT_FOLLOW | IN_EXCL_UNLINK) >= 0)
        return 0;
    if (errno == ENOSPC)
        return sp_error_set(err, SP_ERR_LIMIT, -ENOSPC,
                            "watch '%s': this host watches no more folders "
                            "(sysctl fs.inotify.max_user_watches)",
                            dir);
    return sp_error_set(err, errno == ENOENT ? SP_ERR_NOT_FOUND : SP_ERR_INVALID, -errno,
                        "watch '%s'", dir);
}

/* Watching a folder again that is watched is no harm. One that vanishes meanwhile was no loss. */
static int watch_tree(int fd, const char *dir, int depth, struct sp_error *err)
{
    DIR *list;
    struct dirent *entry;
    int r = watch_one(fd, dir, err);

    if (r < 0 || depth > SP_CLI_FOLDER_DEPTH_MAX)
        return r;
    list = opendir(dir);
    if (!list)
        return sp_error_set(err, SP_ERR_INVALID, -errno, "read '%s'", dir);
    while (r == 0 && (entry = readdir(list))) {
        SP_AUTO_FREE char *path = NULL;
        struct stat st;

        if (sp_cli_is_left_out(entry->d_name))
            continue;
        path = sp_asprintf("%s/%s", dir, entry->d_name);
        if (lstat(path, &st) < 0 || !S_ISDIR(st.st_mode))
            continue;
        r = watch_tree(fd, path, depth + 1, err);
        if (r == -ENOENT)
            r = 0;
    }
    closedir(list);
    return r;
}

int sp_cli_watch_open(const char *dir, struct sp_error *err)
{
    SP_AUTO_FD int fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
    int r;

    if (fd < 0)
        return sp_error_set(err, SP_ERR_LIMIT, -errno, "watch '%s'", dir);
    r = watch_tree(fd, dir, 0, err);
    return r < 0 ? r : SP_TAKE_FD(fd);
}

static bool is_change(const struct inotify_event *event)
{
    if (event->mask & IN_Q_OVERFLOW)
        return true; /* what was lost may have been a change */
    if (event->mask & IN_IGNORED)
        return false;
    if ((event->mask & IN_CREATE) && !(event->mask & IN_ISDIR))
        return false;
    return event->len == 0 || !sp_cli_is_left_out(event->name);
}

/* Reads what there is; true when a change is among it. */
static bool drain(int fd)
{
    char buf[16 * 1024] __attribute__((aligned(__alignof__(struct inotify_event))));
    bool changed = false;
    ssize_t n;

    while ((n = read(fd, buf, sizeof(buf))) > 0) {
        for (const char *at = buf; at < buf + n;) {
            const struct inotify_event *event = (const void *)at;

            changed = changed || is_change(event);
            at += sizeof(*event) + event->len;
        }
    }
    return changed;
}

int sp_cli_watch_wait(int fd, const char *dir, struct sp_error *err)
{
    struct pollfd ready = {.fd = fd, .events = POLLIN};
    uint64_t until;

    do {
        if (poll(&ready, 1, -1) < 0 && errno != EINTR)
            return sp_error_set(err, SP_ERR_INTERNAL, -errno, "watch '%s'", dir);
    } while (!drain(fd));
    until = sp_clock_mono_ms() + SETTLE_MOST_MS;
    while (sp_clock_mono_ms() < until && poll(&ready, 1, SETTLE_MS) > 0)
        (void)drain(fd);
    return watch_tree(fd, dir, 0, err);
}
