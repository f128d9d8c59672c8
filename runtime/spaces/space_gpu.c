#include "runtime/spaces/space_gpu.h"

#include <stdio.h>

#include "base/error.h"
#include "runtime/spaces/gpu_slots.h"
#include "runtime/spaces/spaces.h"

#define CANDIDATES_MAX 64 /* Spaces that are put to sleep for one; a start asks for 8 slots */

static enum sp_gpu_fit fit(const struct sp_space *space, uint64_t without, struct sp_error *why)
{
    return sp_resources_gpu_fit(space->all->config, space->all->instances.gpus, &space->resources,
                                without, why);
}

/* Frozen, with a lease that is not ending, and with nothing else on its mind. */
static bool may_sleep(const struct sp_space *space)
{
    return space->serving && !space->next && !space->start_queued &&
           sp_instance_frozen_since(space->serving) &&
           sp_gpu_slots_held(space->all->instances.gpus, sp_instance_sandbox(space->serving), NULL);
}

static bool is_in(struct sp_space *const *list, size_t n, const struct sp_space *space)
{
    for (size_t i = 0; i < n; i++)
        if (list[i] == space)
            return true;
    return false;
}

static struct sp_space *longest_frozen(struct sp_spaces *all, struct sp_space *const *but, size_t n)
{
    struct sp_space *found = NULL;

    SP_LIST_EACH (space, &all->list, struct sp_space, node)
        if (may_sleep(space) && !is_in(but, n, space) &&
            (!found ||
             sp_instance_frozen_since(space->serving) < sp_instance_frozen_since(found->serving)))
            found = space;
    return found;
}

static void try_without(struct sp_spaces *all, const struct sp_space *space, bool without)
{
    sp_gpu_slots_ending(all->instances.gpus, sp_instance_sandbox(space->serving), without);
}

/* Puts to sleep whom it takes, or nobody. */
static bool make_room(struct sp_space *space)
{
    struct sp_spaces *all = space->all;
    struct sp_space *asleep[CANDIDATES_MAX];
    size_t n = 0, kept = 0;

    while (fit(space, 0, NULL) == SP_GPU_BUSY && n < CANDIDATES_MAX &&
           (asleep[n] = longest_frozen(all, asleep, n)))
        try_without(all, asleep[n++], true);
    if (fit(space, 0, NULL) == SP_GPU_BUSY) {
        for (size_t i = 0; i < n; i++)
            try_without(all, asleep[i], false);
        return false;
    }
    /* The oldest may hold what this one has no use for. */
    for (size_t i = 0; i < n; i++) {
        try_without(all, asleep[i], false);
        if (fit(space, 0, NULL) != SP_GPU_BUSY)
            continue;
        try_without(all, asleep[i], true);
        asleep[kept++] = asleep[i];
    }
    for (size_t i = 0; i < kept; i++)
        sp_space_step(asleep[i], SP_SPACE_SLEEP, SP_STAGE_COUNT, "");
    return true;
}

enum sp_space_gpu sp_space_gpu_ask(struct sp_space *space)
{
    const struct sp_gpu_slots *gpus = space->all->instances.gpus;
    enum sp_space_gpu answer = SP_SPACE_GPU_WAITS;
    struct sp_error why = {0};

    switch (fit(space, 0, &why)) {
    case SP_GPU_FITS:
    case SP_GPU_NEVER: return SP_SPACE_GPU_MAY_START;
    case SP_GPU_SOON: break;
    case SP_GPU_BUSY:
        if (space->serving && fit(space, space->id, NULL) < SP_GPU_BUSY &&
            sp_gpu_slots_held(gpus, sp_instance_sandbox(space->serving), NULL)) {
            (void)sp_error_set(&why, SP_ERR_LIMIT, 0,
                               "waits for its GPU: the version before lets go of it first");
            answer = SP_SPACE_GPU_IS_OURS;
        } else if (make_room(space)) {
            (void)fit(space, 0, &why);
        }
        break;
    }
    (void)snprintf(space->waits, sizeof(space->waits), "%s", why.msg);
    return answer;
}
