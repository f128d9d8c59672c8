/*
 * same.c - prints one hash over all actions of a long seeded run. tools/sched-same.sh builds it
 * with two compilers at two levels of optimisation and wants the same hash from all.
 */
#include <inttypes.h>
#include <stdio.h>

#include "scheduler/sched.h"
#include "tests/unit/scheduler/world.h"

#define EVENTS 100000

static uint64_t hash;

static void mix(uint64_t value)
{
    hash = (hash ^ value) * 0x100000001b3ull;
    hash ^= hash >> 29;
}

/* Field by field: padding and unused members of the union say nothing. */
static void mix_action(const struct sp_sched_action *action)
{
    mix(action->kind);
    mix(action->space);
    mix(action->req);
    mix(action->worker);
    switch (action->kind) {
    case SP_SCHED_REFUSE:
        mix(action->refuse.reason);
        mix(action->refuse.size);
        break;
    case SP_SCHED_DISPATCH: mix((uint64_t)action->dispatch.eta_us); break;
    case SP_SCHED_END:
        mix(action->end.outcome);
        mix((uint64_t)action->end.service_us);
        mix((uint64_t)action->end.average_us);
        break;
    case SP_SCHED_ESTIMATE:
        mix(action->estimate.rank);
        mix(action->estimate.size);
        mix((uint64_t)action->estimate.eta_us);
        break;
    case SP_SCHED_WAKE_AT: mix(action->at_us); break;
    default: break;
    }
}

int main(void)
{
    struct sp_sched *sched = sp_sched_new(&(struct sp_sched_options){.publish_min_us = 200000});
    struct world world;
    size_t n_actions = 0;

    world_init(&world, 42);
    for (int i = 0; i < EVENTS; i++) {
        struct sp_sched_event event;
        struct sp_sched_actions actions;

        world_next(&world, &event);
        actions = sp_sched_step(sched, &event, world.now_us);
        for (size_t k = 0; k < actions.count; k++) {
            mix_action(&actions.items[k]);
            world_sees(&world, &actions.items[k]);
        }
        n_actions += actions.count;
    }
    printf("%016" PRIx64 " events=%d actions=%zu\n", hash, EVENTS, n_actions);
    sp_sched_free(sched);
    return 0;
}
