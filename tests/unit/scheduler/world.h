/*
 * world.h - a seeded world around a scheduler: visitors who come and leave, workers that answer,
 * hang, drain and die, Spaces that change. It makes the next event from what it has seen of the
 * actions, so that most events mean something and some come late, twice, or about nothing.
 */
#ifndef SP_TESTS_SCHEDULER_WORLD_H
#define SP_TESTS_SCHEDULER_WORLD_H

#include <string.h>

#include "scheduler/sched.h"

#define WORLD_SPACES  3
#define WORLD_FNS     6
#define WORLD_GROUPS  3
#define WORLD_REQS    512
#define WORLD_WORKERS 16

struct world_req {
    uint64_t id;
    uint64_t worker; /* 0 while it waits */
};

struct world {
    uint64_t seed;
    uint64_t now_us;
    uint64_t wake_us;
    uint64_t last_id;
    struct world_req reqs[WORLD_REQS]; /* whatever a FINISHED or CANCEL may still be about */
    size_t n_reqs;
    uint64_t workers[WORLD_WORKERS];
    bool killed[WORLD_WORKERS];
    size_t n_workers;
    struct sp_sched_fn fns[WORLD_FNS];
    bool closing; /* no newcomers; everything comes to its end */
};

static inline uint32_t world_rand(struct world *world, uint32_t below)
{
    world->seed ^= world->seed << 13;
    world->seed ^= world->seed >> 7;
    world->seed ^= world->seed << 17;
    return (uint32_t)(world->seed >> 33) % below;
}

static inline void world_init(struct world *world, uint64_t seed)
{
    memset(world, 0, sizeof(*world));
    world->seed = seed * 0x9e3779b97f4a7c15ull + 1;
    world->wake_us = UINT64_MAX;
    world->now_us = 1000000;
}

static inline uint64_t world_space(struct world *world)
{
    return 1 + world_rand(world, WORLD_SPACES);
}

static inline void world_space_set(struct world *world, struct sp_sched_event *event)
{
    static const uint32_t limits[] = {1, 1, 1, 2, 3, SP_SCHED_UNLIMITED};
    static const uint32_t sizes[] = {5, 30, SP_SCHED_UNLIMITED};
    size_t n = 1 + world_rand(world, WORLD_FNS);

    for (size_t i = 0; i < n; i++)
        world->fns[i] = (struct sp_sched_fn){
            .fn = (uint32_t)i + world_rand(world, 8) / 7 * WORLD_FNS,
            .group = world_rand(world, WORLD_GROUPS),
            .limit = limits[world_rand(world, 6)],
        };
    event->kind = SP_SCHED_SPACE_SET;
    event->space = world->last_id < WORLD_SPACES ? ++world->last_id : world_space(world);
    event->space_set.fns = world->fns;
    event->space_set.n_fns = n;
    event->space_set.max_size = sizes[world_rand(world, 3)];
    event->space_set.max_running = 1 + world_rand(world, 6);
    event->space_set.cancel_grace_us = 100000 + world_rand(world, 3) * 700000;
}

static inline void world_worker_event(struct world *world, struct sp_sched_event *event)
{
    size_t at = world->n_workers ? world_rand(world, (uint32_t)world->n_workers) : 0;

    if (world->n_workers < 6 || (world_rand(world, 3) == 0 && world->n_workers < WORLD_WORKERS)) {
        event->kind = SP_SCHED_WORKER_UP;
        event->space = world_space(world);
        event->worker = ++world->last_id;
        event->worker_up.slots = 1 + world_rand(world, 4);
        world->killed[world->n_workers] = false;
        world->workers[world->n_workers++] = event->worker;
        return;
    }
    event->worker = world->workers[at];
    event->kind = world_rand(world, 6) ? SP_SCHED_WORKER_DOWN : SP_SCHED_WORKER_DRAIN;
    if (event->kind == SP_SCHED_WORKER_DRAIN)
        return;
    world->n_workers--;
    world->workers[at] = world->workers[world->n_workers];
    world->killed[at] = world->killed[world->n_workers];
}

/* A worker that was to be killed is gone at some time. */
static inline bool world_reap(struct world *world, struct sp_sched_event *event)
{
    for (size_t i = 0; i < world->n_workers; i++) {
        if (!world->killed[i] || (!world->closing && world_rand(world, 4)))
            continue;
        event->kind = SP_SCHED_WORKER_DOWN;
        event->worker = world->workers[i];
        world->n_workers--;
        world->workers[i] = world->workers[world->n_workers];
        world->killed[i] = world->killed[world->n_workers];
        return true;
    }
    return false;
}

static inline bool world_request_event(struct world *world, struct sp_sched_event *event,
                                       bool cancel)
{
    size_t at;

    if (world->n_reqs == 0)
        return false;
    at = world_rand(world, (uint32_t)world->n_reqs);
    event->req = world->reqs[at].id;
    event->kind = cancel ? SP_SCHED_CANCEL : SP_SCHED_FINISHED;
    if (cancel)
        return true;
    if (!world->reqs[at].worker && world_rand(world, 50))
        return false; /* now and then a last word about a call that nobody made */
    event->finished.outcome = world_rand(world, 6) ? SP_SCHED_DONE : SP_SCHED_FAILED;
    if (world->reqs[at].worker)
        world->reqs[at] = world->reqs[--world->n_reqs];
    return true;
}

static inline void world_join(struct world *world, struct sp_sched_event *event)
{
    event->kind = SP_SCHED_JOIN;
    event->space = world_rand(world, 60) ? world_space(world) : 99;
    event->req = ++world->last_id;
    event->join.fn = world_rand(world, WORLD_FNS + 1);
    event->join.queued = world_rand(world, 12) != 0;
}

/* Always something; the time of it is world->now_us. */
static inline void world_next(struct world *world, struct sp_sched_event *event)
{
    uint32_t dice = world_rand(world, 1000);
    uint64_t later_us = world->now_us + world_rand(world, 30000);

    memset(event, 0, sizeof(*event));
    event->kind = SP_SCHED_TICK;
    if (world->wake_us < later_us && world_rand(world, 5)) {
        world->now_us = world->wake_us > world->now_us ? world->wake_us : world->now_us;
        world->wake_us = UINT64_MAX;
        return;
    }
    world->now_us = later_us;
    if (world_reap(world, event))
        return;
    if (dice < 8 || world->last_id < WORLD_SPACES)
        world_space_set(world, event);
    else if (dice < 9)
        *event =
            (struct sp_sched_event){.kind = SP_SCHED_SPACE_REMOVE, .space = world_space(world)};
    else if (dice < 40)
        world_worker_event(world, event);
    else if (dice < 100)
        (void)world_request_event(world, event, true);
    else if (dice < 520 && !world->closing && world->n_reqs < WORLD_REQS)
        world_join(world, event);
    else if (!world_request_event(world, event, false))
        event->kind = SP_SCHED_TICK;
}

static inline void world_forget(struct world *world, uint64_t req)
{
    for (size_t i = 0; i < world->n_reqs; i++) {
        if (world->reqs[i].id != req)
            continue;
        world->reqs[i] = world->reqs[--world->n_reqs];
        return;
    }
}

static inline void world_sees(struct world *world, const struct sp_sched_action *action)
{
    switch (action->kind) {
    case SP_SCHED_ADMIT:
        world->reqs[world->n_reqs++] = (struct world_req){.id = action->req};
        break;
    case SP_SCHED_DISPATCH:
        for (size_t i = 0; i < world->n_reqs; i++) {
            if (world->reqs[i].id == action->req)
                world->reqs[i].worker = action->worker;
        }
        break;
    case SP_SCHED_END:
        /* A function that was given up goes on running: its last word may still come. */
        if (!action->worker || world_rand(world, 2))
            world_forget(world, action->req);
        break;
    case SP_SCHED_KILL_WORKER:
        for (size_t i = 0; i < world->n_workers; i++)
            world->killed[i] |= world->workers[i] == action->worker;
        break;
    case SP_SCHED_WAKE_AT: world->wake_us = action->at_us; break;
    default: break;
    }
}

#endif
