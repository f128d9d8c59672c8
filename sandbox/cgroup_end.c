/* The end of a group: kill, remove, sweep. */
#include "sandbox/cgroup-internal.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/fault.h"
#include "base/fd.h"
#include "base/mem.h"
#include "base/str.h"

int sp_cgroup_freeze(const struct sp_cgroup_host *host, const struct sp_cgroup *group, bool on)
{
    char path[SP_CGROUP_PATH];

    if (!group->exists)
        return -ENOENT;
    if (!on && sp_fault("cgroup.let_go"))
        return -EIO;
    if (sp_cgroup_can(host, SP_CGROUP_UNIFIED)) {
        sp_cgroup_path(host, SP_CGROUP_UNIFIED, group->name, "cgroup.freeze", path);
        return sp_cgroup_write(path, on ? "1" : "0");
    }
    if (!sp_cgroup_can(host, SP_CGROUP_FREEZER))
        return -ENOENT;
    sp_cgroup_path(host, SP_CGROUP_FREEZER, group->name, "freezer.state", path);
    return sp_cgroup_write(path, on ? "FROZEN" : "THAWED");
}

bool sp_cgroup_is_frozen(const struct sp_cgroup_host *host, const struct sp_cgroup *group)
{
    bool is_v2 = sp_cgroup_can(host, SP_CGROUP_UNIFIED);
    SP_AUTO_FREE char *text = NULL;
    char path[SP_CGROUP_PATH];
    size_t len;

    if (!is_v2 && !sp_cgroup_can(host, SP_CGROUP_FREEZER))
        return false;
    sp_cgroup_path(host, is_v2 ? SP_CGROUP_UNIFIED : SP_CGROUP_FREEZER, group->name,
                   is_v2 ? "cgroup.events" : "freezer.state", path);
    if (sp_file_read(AT_FDCWD, path, 4096, &text, &len, NULL) < 0)
        return false;
    return is_v2 ? strstr(text, "frozen 1") != NULL : strncmp(text, "FROZEN", 6) == 0;
}

/* Each process by its number, however long the list is. */
static void kill_by_list(const char *path)
{
    FILE *list = fopen(path, "re");
    struct sp_slice text;
    char line[32];
    uint64_t pid;

    while (list && fgets(line, sizeof(line), list)) {
        text = sp_slice(line, strcspn(line, "\n"));
        if (sp_parse_u64(text, INT32_MAX, &pid) && pid > 1)
            (void)kill((pid_t)pid, SIGKILL);
    }
    if (list)
        (void)fclose(list);
}

/*
 * Version 1 has no kill file. Held, they cannot fork away from the list; and what is killed while
 * it is held dies when it goes on. Holding takes its time, so one pass may miss some: the caller
 * repeats until the group is empty.
 */
static void kill_held(const struct sp_cgroup_host *host, const struct sp_cgroup *group)
{
    char path[SP_CGROUP_PATH];

    (void)sp_cgroup_freeze(host, group, true);
    for (int t = 0; t < SP_CGROUP_TREES; t++) {
        if (!sp_cgroup_is_own_tree(host, t))
            continue;
        sp_cgroup_path(host, t, group->name, "cgroup.procs", path);
        kill_by_list(path);
    }
    (void)sp_cgroup_freeze(host, group, false);
}

void sp_cgroup_kill(const struct sp_cgroup_host *host, const struct sp_cgroup *group)
{
    char path[SP_CGROUP_PATH];

    if (!group->exists)
        return;
    if (sp_cgroup_can(host, SP_CGROUP_UNIFIED)) {
        sp_cgroup_path(host, SP_CGROUP_UNIFIED, group->name, "cgroup.kill", path);
        if (sp_cgroup_write(path, "1") == 0)
            return;
    }
    kill_held(host, group);
}

int sp_cgroup_remove(const struct sp_cgroup_host *host, struct sp_cgroup *group)
{
    char path[SP_CGROUP_PATH];
    int r = 0;

    if (!group->exists)
        return 0;
    sp_cgroup_done(group);
    /* rmdir only: libcgroup's delete moves the living to the parent, out of every limit. */
    for (int t = 0; t < SP_CGROUP_TREES; t++) {
        if (!sp_cgroup_is_own_tree(host, t))
            continue;
        sp_cgroup_path(host, t, group->name, NULL, path);
        if (rmdir(path) < 0 && errno != ENOENT)
            r = -errno;
    }
    group->exists = r < 0;
    return r;
}

void sp_cgroup_done(struct sp_cgroup *group)
{
    for (int i = 0; i < SP_CGROUP_TREES; i++)
        sp_auto_fd(&group->procs[i]);
    for (size_t i = 0; i < SP_LEN(group->usage_fd); i++)
        sp_auto_fd(&group->usage_fd[i]);
    sp_auto_fd(&group->dir_v2);
    for (int i = 0; i < SP_CGROUP_TREES; i++)
        group->procs[i] = -1;
    for (size_t i = 0; i < SP_LEN(group->usage_fd); i++)
        group->usage_fd[i] = -1;
    group->dir_v2 = -1;
}

static int remove_one(const struct sp_cgroup_host *host, const char *name)
{
    struct sp_cgroup group;

    sp_cgroup_init(&group);
    group.exists = true;
    (void)snprintf(group.name, sizeof(group.name), "%s", name);
    if (sp_cgroup_remove(host, &group) == 0)
        return 0;
    sp_cgroup_kill(host, &group);
    return sp_cgroup_remove(host, &group);
}

/* Removes what lies in the parent, in every tree; -EBUSY while something is alive. */
static int sweep_pass(const struct sp_cgroup_host *host, const char *parent)
{
    int r = 0;

    for (int t = 0; t < SP_CGROUP_TREES; t++) {
        char path[SP_CGROUP_PATH], name[SP_CGROUP_PATH];
        const struct dirent *entry;
        DIR *dir;

        if (!sp_cgroup_is_own_tree(host, t))
            continue;
        sp_cgroup_path(host, t, parent, NULL, path);
        dir = opendir(path);
        while (dir && (entry = readdir(dir))) {
            if (entry->d_type != DT_DIR || entry->d_name[0] == '.')
                continue;
            (void)snprintf(name, sizeof(name), "%s/%s", parent, entry->d_name);
            if (remove_one(host, name) < 0)
                r = -EBUSY;
        }
        if (dir)
            (void)closedir(dir);
    }
    return r < 0 ? r : remove_one(host, parent);
}

int sp_cgroup_sweep(const struct sp_cgroup_host *host, const char *name, unsigned wait_ms,
                    struct sp_error *err)
{
    uint64_t deadline = sp_clock_mono_ms() + wait_ms;
    int r;

    while ((r = sweep_pass(host, name)) < 0 && sp_clock_mono_ms() < deadline) {
        struct timespec pause = {.tv_nsec = 2000000};

        (void)nanosleep(&pause, NULL); /* the killed leave the group when the kernel gets to them */
    }
    if (r < 0)
        return sp_error_set(err, SP_ERR_UNAVAILABLE, r, "remove the old groups of '%s'", name);
    return 0;
}
