/* All Spaces of this host: found, started, stopped, freed. */
#include "runtime/spaces/spaces-internal.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "runtime/app/app.h"
#include "runtime/state/snapshot.h"

/* --- finding ---------------------------------------------------------------------------------- */

char *sp_spaces_name_key(const char *owner, const char *name)
{
    char *key = sp_asprintf("%s/%s", owner, name);

    for (char *c = key; *c; c++)
        *c = (char)tolower((unsigned char)*c);
    return key;
}

struct sp_space *sp_spaces_by_id(struct sp_spaces *all, uint64_t id)
{
    return sp_map_get_u64(&all->by_id, id);
}

struct sp_space *sp_spaces_by_name(struct sp_spaces *all, const char *owner, const char *name)
{
    SP_AUTO_FREE char *key = sp_spaces_name_key(owner, name);

    return sp_map_get(&all->by_name, sp_slice_str(key));
}

void sp_spaces_add(struct sp_spaces *all, struct sp_space *space)
{
    SP_AUTO_FREE char *key = sp_spaces_name_key(space->owner, space->name);

    sp_space_open(space, all);
    (void)sp_map_put_u64(&all->by_id, space->id, space);
    (void)sp_map_put(&all->by_name, sp_slice_str(key), space);
    /* Newest first: in front of the first that is older. */
    SP_LIST_EACH (other, &all->list, struct sp_space, node) {
        if (other->created_ms > space->created_ms)
            continue;
        sp_list_append(&other->node, &space->node);
        return;
    }
    sp_list_append(&all->list, &space->node);
}

void sp_spaces_forget(struct sp_space *space)
{
    SP_AUTO_FREE char *key = sp_spaces_name_key(space->owner, space->name);

    (void)sp_map_remove_u64(&space->all->by_id, space->id);
    (void)sp_map_remove(&space->all->by_name, sp_slice_str(key));
    sp_list_remove(&space->node);
}

/* --- starting and stopping, and the end of deleted ones --------------------------------------- */

void sp_spaces_start(struct sp_spaces *all)
{
    SP_LIST_EACH (space, &all->list, struct sp_space, node)
        sp_space_step(space, SP_SPACE_WANTED, SP_STAGE_COUNT, "");
}

static void on_deleted(struct sp_space *space)
{
    json_decref(space->env);
    free(space);
}

static void free_if_deleted(struct sp_space *space)
{
    struct sp_spaces *all = space->all;
    char current[SP_SNAPSHOT_HEX];
    char candidate[SP_SNAPSHOT_HEX];

    if (sp_spaces_by_id(all, space->id) == space)
        return; /* the daemon stops; the Space stays */
    (void)snprintf(current, sizeof(current), "%s", space->current.snapshot);
    (void)snprintf(candidate, sizeof(candidate), "%s", space->candidate.snapshot);
    sp_list_remove(&space->node);
    sp_apps_space_removed(all->apps, space->id);
    sp_spaces_remove_folders(all, space->id);
    sp_spaces_drop_snapshot(all, current);
    sp_spaces_drop_snapshot(all, candidate);
    sp_space_close(space, on_deleted);
}

void sp_spaces_progress(struct sp_spaces *all)
{
    bool quiet = true;

    SP_LIST_EACH (space, &all->waiting, struct sp_space, wait_node)
        sp_space_step(space, SP_SPACE_BACKOFF_OVER, SP_STAGE_COUNT, "");
    SP_LIST_EACH (space, &all->list, struct sp_space, node) {
        quiet = quiet && sp_space_is_quiet(space);
        if (space->stage == SP_STAGE_DELETING && sp_space_is_quiet(space))
            free_if_deleted(space);
    }
    if (all->stopping && quiet && all->on_stopped) {
        void (*stopped)(void *arg) = SP_TAKE(all->on_stopped);

        stopped(all->on_stopped_arg);
    }
}

void sp_spaces_stop(struct sp_spaces *all, void (*stopped)(void *arg), void *arg)
{
    all->stopping = true;
    sp_trash_stop(&all->trash);
    all->on_stopped = stopped;
    all->on_stopped_arg = arg;
    SP_LIST_EACH (space, &all->list, struct sp_space, node)
        sp_space_step(space, SP_SPACE_SHUTDOWN, SP_STAGE_COUNT, "");
    sp_spaces_progress(all);
}

struct freeing {
    unsigned left;
    void (*freed)(void *arg);
    void *arg;
};

static struct freeing freeing; /* there is one set of Spaces in a process, freed once */

static void count_down(void)
{
    if (--freeing.left == 0)
        freeing.freed(freeing.arg);
}

static void on_space_freed(struct sp_space *space)
{
    json_decref(space->env);
    free(space);
    count_down();
}

void sp_spaces_free(struct sp_spaces *all, void (*freed)(void *arg), void *arg)
{
    freeing = (struct freeing){1, freed, arg};
    SP_LIST_EACH (space, &all->list, struct sp_space, node) {
        sp_list_remove(&space->node);
        freeing.left++;
        sp_space_close(space, on_space_freed);
    }
    sp_map_done(&all->by_id);
    sp_map_done(&all->by_name);
    sp_map_done(&all->pinned);
    sp_map_done(&all->lost);
    count_down();
}
