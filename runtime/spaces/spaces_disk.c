/* What Spaces keep on disk beside their record: snapshots, folders, and their sweep at the start.
 */
#include "runtime/spaces/spaces-internal.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/mem.h"
#include "runtime/state/applog.h"
#include "runtime/state/snapshot.h"

static bool refers(const struct sp_space *space, const char *snapshot)
{
    return strcmp(space->current.snapshot, snapshot) == 0 ||
           strcmp(space->candidate.snapshot, snapshot) == 0;
}

static bool is_used(void *arg, const char *snapshot)
{
    struct sp_spaces *all = arg;

    if (sp_map_get(&all->pinned, sp_slice_str(snapshot)) ||
        sp_instances_use(&all->instances, snapshot))
        return true;
    if (all->lost.count)
        return true; /* nobody knows what it refers to */
    SP_LIST_EACH (space, &all->list, struct sp_space, node)
        if (space->broken[0] || refers(space, snapshot))
            return true;
    return false;
}

/* Somebody's: what lies under this id is not for the sweep. */
static bool is_taken(struct sp_spaces *all, uint64_t id)
{
    return sp_spaces_by_id(all, id) || sp_map_get_u64(&all->lost, id);
}

void sp_spaces_drop_snapshot(struct sp_spaces *all, const char *snapshot)
{
    if (snapshot[0] && !is_used(all, snapshot))
        sp_snapshot_remove(all->loop, SP_DIR_SNAPSHOTS, snapshot);
}

void sp_spaces_pin(struct sp_spaces *all, const char *snapshot)
{
    uintptr_t count = (uintptr_t)sp_map_get(&all->pinned, sp_slice_str(snapshot));

    (void)sp_map_put(&all->pinned, sp_slice_str(snapshot), (void *)(count + 1));
}

void sp_spaces_unpin(struct sp_spaces *all, const char *snapshot)
{
    uintptr_t count;

    if (!snapshot[0])
        return;
    count = (uintptr_t)sp_map_get(&all->pinned, sp_slice_str(snapshot));

    if (count > 1) {
        (void)sp_map_put(&all->pinned, sp_slice_str(snapshot), (void *)(count - 1));
        return;
    }
    (void)sp_map_remove(&all->pinned, sp_slice_str(snapshot));
    sp_spaces_drop_snapshot(all, snapshot);
}

void sp_spaces_base_used_by(const struct sp_spaces *all, const char *name, const char *digest,
                            char *ret, size_t size)
{
    (void)snprintf(ret, size, "%s", all->lost.count ? "a Space whose record cannot be read" : "");
    SP_LIST_EACH (space, &all->list, struct sp_space, node) {
        if (!space->broken[0] && strcmp(space->current.card.base, name) != 0 &&
            strcmp(space->candidate.card.base, name) != 0)
            continue;
        (void)snprintf(ret, size, "%s/%s", space->owner, space->name);
        return;
    }
    if (sp_instances_use_base(&all->instances, digest))
        (void)snprintf(ret, size, "a Space that runs in it");
}

int sp_spaces_make_folders(uint64_t id, struct sp_error *err)
{
    char path[64];
    int r;

    (void)snprintf(path, sizeof(path), SP_DIR_FILES "/%016" PRIx64 "/u", id);
    r = sp_mkdir_p(AT_FDCWD, path, 0700, err);
    if (r < 0)
        return r;
    path[strlen(path) - 1] = 'o';
    return sp_mkdir_p(AT_FDCWD, path, 0700, err);
}

/* Of one image. A sandbox that still has it keeps it until it ends: only the names go. */
static const struct {
    const char *before, *after;
} data_names[] = {
    {"", ".img"},
    {".", ".new"},  /* mkfs was at it when it was killed */
    {".", ".undo"}, /* resize2fs was: its next start needs it */
};

static void remove_data(const char *name)
{
    SP_AUTO_FREE char *path = sp_asprintf(SP_DIR_DATA "/%s", name);

    if (unlink(path) < 0 && errno != ENOENT)
        sp_log(SP_LOG_WARN, "space.data_left", "path=%s errno=%d", path, errno);
}

void sp_spaces_remove_data(uint64_t id)
{
    char name[32];

    for (size_t i = 0; i < SP_LEN(data_names); i++) {
        (void)snprintf(name, sizeof(name), "%s%016" PRIx64 "%s", data_names[i].before, id,
                       data_names[i].after);
        remove_data(name);
    }
}

void sp_spaces_remove_folders(struct sp_spaces *all, uint64_t id)
{
    char path[64];

    (void)snprintf(path, sizeof(path), SP_DIR_FILES "/%016" PRIx64, id);
    sp_trash_put(&all->trash, path);
    sp_spaces_remove_data(id);
    sp_applog_erase(SP_DIR_LOGS, id);
}

uint64_t sp_spaces_data_bytes(uint64_t id)
{
    struct stat st;
    char path[64];

    (void)snprintf(path, sizeof(path), SP_DIR_DATA "/%016" PRIx64 ".img", id);
    return stat(path, &st) < 0 ? 0 : (uint64_t)st.st_size;
}

/* Folders of Spaces that are no more: a delete that was cut short by a crash. */
static void sweep_folders(struct sp_spaces *all, const char *dir)
{
    DIR *entries = opendir(dir);
    struct dirent *entry;

    while (entries && (entry = readdir(entries))) {
        uint64_t id = strtoull(entry->d_name, NULL, 16);

        if (strlen(entry->d_name) == 16 && id && !is_taken(all, id))
            sp_spaces_remove_folders(all, id);
    }
    if (entries)
        (void)closedir(entries);
}

/* The Space whose image this is, or belongs to; 0: none. */
static uint64_t data_of(const char *name, bool *ret_is_new)
{
    for (size_t i = 0; i < SP_LEN(data_names); i++) {
        size_t before = strlen(data_names[i].before);

        if (strlen(name) == before + 16 + strlen(data_names[i].after) &&
            strncmp(name, data_names[i].before, before) == 0 &&
            strcmp(name + before + 16, data_names[i].after) == 0) {
            *ret_is_new = strcmp(data_names[i].after, ".new") == 0;
            return strtoull(name + before, NULL, 16);
        }
    }
    return 0;
}

/*
 * An image of a Space that has storage; and all of one whose record cannot be read. Nobody makes
 * one yet.
 */
static bool is_data_kept(struct sp_spaces *all, uint64_t id, bool is_new)
{
    const struct sp_space *space = sp_spaces_by_id(all, id);

    if (!space || space->broken[0])
        return is_taken(all, id);
    return space->resources.storage[0] && !is_new;
}

/* Images of Spaces that are no more or have no storage any more, and such as were being made. */
static void sweep_data(struct sp_spaces *all)
{
    DIR *entries = opendir(SP_DIR_DATA);
    struct dirent *entry;

    while (entries && (entry = readdir(entries))) {
        bool is_new = false;
        uint64_t id = data_of(entry->d_name, &is_new);

        if (id && !is_data_kept(all, id, is_new))
            remove_data(entry->d_name);
    }
    if (entries)
        (void)closedir(entries);
}

void sp_spaces_sweep(struct sp_spaces *all)
{
    struct sp_error err = {0};

    sp_trash_empty(&all->trash);
    sweep_folders(all, SP_DIR_FILES);
    sweep_folders(all, SP_DIR_LOGS);
    sweep_data(all);
    if (sp_snapshot_sweep(SP_DIR_SNAPSHOTS, is_used, all, &err) < 0)
        sp_log(SP_LOG_WARN, "snapshot.sweep", "err=%s", sp_log_quoted(err.msg));
}
