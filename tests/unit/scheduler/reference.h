/*
 * reference.h - the same scheduler once more, as naive as it can be: one array of everything,
 * each question answered by going through all of it. Slow and short enough to be read and believed.
 * It makes all actions but ESTIMATE and WAKE_AT, which test_random.c checks by the state.
 *
 * `broken` makes it wrong on purpose; a comparison that does not notice is worth nothing.
 */
#ifndef SP_TESTS_SCHEDULER_REFERENCE_H
#define SP_TESTS_SCHEDULER_REFERENCE_H

#include <string.h>

#include "scheduler/sched.h"
#include "tests/unit/scheduler/world.h"

#define REF_MAX 4096

enum broken {
    RIGHT,
    LIFO,
    LIMIT_PLUS_ONE,
    NO_SLOTS,
    NO_KILL,
    SIZE_PLUS_ONE,
    BLIND_HEAD,
    RERUN_LOST,
    RANK_PLUS_ONE, /* used by test_random.c */
    ETA_PLUS_ONE,
    N_BROKEN
};
enum ref_state { GONE, WAITING, RUNNING, CANCELING, STOPPING };

struct ref_req {
    uint64_t id, space, worker, start, deadline, start_seq, cancel_seq;
    uint32_t fn;
    bool queued;
    enum ref_state state;
};
struct ref_worker {
    uint64_t id, space;
    uint32_t slots;
    bool off, killed;
};
struct ref_fn {
    bool present;
    uint32_t group, limit;
    uint64_t total, runs;
};
struct ref_space {
    bool set;
    uint32_t max_size, max_running, grace, limit[WORLD_GROUPS];
    struct ref_fn fns[2 * WORLD_FNS];
};
struct ref {
    enum broken broken;
    uint64_t now, seq;
    struct ref_space spaces[100];
    struct ref_req reqs[REF_MAX];
    struct ref_worker workers[REF_MAX];
    size_t n_reqs, n_workers, n_out;
    struct sp_sched_action out[REF_MAX];
};

#define EACH_REQ(r) for (struct ref_req *r = ref->reqs; r < ref->reqs + ref->n_reqs; r++)
#define EACH_WORKER(w)                                                                             \
    for (struct ref_worker *w = ref->workers; w < ref->workers + ref->n_workers; w++)

static inline struct sp_sched_action *ref_out(struct ref *ref, enum sp_sched_action_kind kind,
                                              uint64_t req, uint64_t worker)
{
    ref->out[ref->n_out] = (struct sp_sched_action){.kind = kind, .req = req, .worker = worker};
    return &ref->out[ref->n_out++];
}

static inline struct ref_fn *ref_fn(struct ref *ref, const struct ref_req *req)
{
    return &ref->spaces[req->space].fns[req->fn];
}

static inline int64_t ref_average(const struct ref_fn *fn, int64_t unknown)
{
    return fn->runs ? (int64_t)(fn->total / fn->runs) : unknown;
}

/* How many of the Space (0: any), group (-1), worker (0), kind (-1) are in states [from, to]. */
static inline uint32_t ref_count(struct ref *ref, uint64_t space, int group, uint64_t worker,
                                 int queued, enum ref_state from, enum ref_state to)
{
    uint32_t n = 0;

    EACH_REQ (r)
        n += r->state >= from && r->state <= to && (!space || r->space == space) &&
             (group < 0 || ref_fn(ref, r)->group == (uint32_t)group) &&
             (!worker || r->worker == worker) && (queued < 0 || r->queued == queued);
    return n;
}

static inline void ref_end(struct ref *ref, struct ref_req *r, enum sp_sched_outcome outcome)
{
    struct sp_sched_action *out = ref_out(ref, SP_SCHED_END, r->id, r->worker);

    out->end.outcome = outcome;
    out->end.service_us = r->state == WAITING ? -1 : (int64_t)(ref->now - r->start);
    out->end.average_us = ref_average(ref_fn(ref, r), -1);
}

static inline struct ref_worker *ref_pick_worker(struct ref *ref, const struct ref_req *req)
{
    uint32_t best_runs = UINT32_MAX;
    struct ref_worker *best = NULL;

    EACH_WORKER (w) {
        uint32_t runs = ref_count(ref, 0, -1, w->id, -1, RUNNING, STOPPING);
        bool full = ref_count(ref, 0, -1, w->id, 1, RUNNING, STOPPING) >= w->slots;

        full = full && req->queued && ref->broken != NO_SLOTS;
        if (w->space != req->space || w->off || w->killed || full || runs >= best_runs)
            continue;
        best = w;
        best_runs = runs;
    }
    return best;
}

static inline bool ref_may_start(struct ref *ref, const struct ref_req *req)
{
    const struct ref_space *space = &ref->spaces[req->space];
    uint32_t group = ref_fn(ref, req)->group;
    uint64_t limit = (uint64_t)space->limit[group] + (ref->broken == LIMIT_PLUS_ONE);

    return !req->queued ||
           (ref_count(ref, req->space, (int)group, 0, 1, RUNNING, STOPPING) < limit &&
            ref_count(ref, req->space, -1, 0, 1, RUNNING, STOPPING) < space->max_running);
}

/* The first that may start, in order of arrival. False when there is none. */
static inline bool ref_start_one(struct ref *ref, uint64_t space, bool queued)
{
    for (size_t i = 0; i < ref->n_reqs; i++) {
        struct ref_req *r = &ref->reqs[ref->broken == LIFO ? ref->n_reqs - 1 - i : i];
        bool waits = r->state == WAITING && r->space == space && r->queued == queued;
        struct ref_worker *w = waits && ref_may_start(ref, r) ? ref_pick_worker(ref, r) : NULL;

        if (waits && !w && ref->broken == BLIND_HEAD)
            return false;
        if (!w)
            continue;
        r->state = RUNNING;
        r->worker = w->id;
        r->start = ref->now;
        r->start_seq = ++ref->seq;
        ref_out(ref, SP_SCHED_DISPATCH, r->id, w->id)->dispatch.eta_us =
            ref_average(ref_fn(ref, r), SP_SCHED_NO_ETA);
        return true;
    }
    return false;
}

static inline void ref_cancel(struct ref *ref, struct ref_req *r)
{
    if (r->state == WAITING) {
        ref_end(ref, r, SP_SCHED_CANCELED);
        r->state = GONE;
    } else if (r->state == RUNNING) {
        r->state = CANCELING;
        r->cancel_seq = ++ref->seq;
        r->deadline = ref->now + ref->spaces[r->space].grace;
        ref_out(ref, SP_SCHED_SEND_CANCEL, r->id, r->worker);
    }
}

static inline void ref_kill_if_only_stopping(struct ref *ref, uint64_t worker)
{
    EACH_WORKER (w) {
        if (w->id != worker || w->killed || ref->broken == NO_KILL ||
            ref_count(ref, 0, -1, worker, -1, RUNNING, CANCELING) ||
            !ref_count(ref, 0, -1, worker, -1, STOPPING, STOPPING))
            continue;
        w->killed = true;
        ref_out(ref, SP_SCHED_KILL_WORKER, 0, worker);
    }
}

static inline void ref_graces(struct ref *ref)
{
    struct ref_req *first;

    do {
        first = NULL;
        EACH_REQ (r) {
            if (r->state == CANCELING && r->deadline <= ref->now &&
                (!first || r->deadline < first->deadline ||
                 (r->deadline == first->deadline && r->cancel_seq < first->cancel_seq)))
                first = r;
        }
        if (!first)
            return;
        first->state = STOPPING;
        ref_kill_if_only_stopping(ref, first->worker);
        ref_end(ref, first, SP_SCHED_CANCELED);
    } while (first);
}

static inline void ref_finished(struct ref *ref, struct ref_req *r, enum sp_sched_outcome outcome)
{
    if (r->state < RUNNING)
        return;
    if (r->state != STOPPING) {
        ref_fn(ref, r)->total += outcome == SP_SCHED_DONE ? ref->now - r->start : 0;
        ref_fn(ref, r)->runs += outcome == SP_SCHED_DONE;
        ref_end(ref, r, outcome);
    }
    r->state = GONE;
    ref_kill_if_only_stopping(ref, r->worker);
}

static inline void ref_worker_down(struct ref *ref, uint64_t worker)
{
    struct ref_req *first;

    do {
        first = NULL;
        EACH_REQ (r) {
            if (r->worker == worker && r->state >= RUNNING &&
                (!first || r->start_seq < first->start_seq))
                first = r;
        }
        if (first && first->state != STOPPING)
            ref_end(ref, first, first->state == RUNNING ? SP_SCHED_LOST : SP_SCHED_CANCELED);
        if (first)
            first->state = ref->broken == RERUN_LOST ? WAITING : GONE;
    } while (first);
    EACH_WORKER (w)
        w->off |= w->id == worker;
}

static inline void ref_space_set(struct ref *ref, struct ref_space *space,
                                 const struct sp_sched_event *event)
{
    bool seen[WORLD_GROUPS] = {false};

    space->set = true;
    space->max_size = event->space_set.max_size;
    space->max_running = event->space_set.max_running;
    space->grace = event->space_set.cancel_grace_us;
    for (size_t i = 0; i < 2 * WORLD_FNS; i++)
        space->fns[i].present = false;
    for (size_t i = 0; i < event->space_set.n_fns; i++) {
        struct ref_fn *fn = &space->fns[event->space_set.fns[i].fn];

        fn->present = true;
        fn->group = event->space_set.fns[i].group;
        fn->limit = event->space_set.fns[i].limit;
    }
    for (size_t i = 0; i < 2 * WORLD_FNS; i++) {
        struct ref_fn *fn = &space->fns[i];

        if (fn->present && (!seen[fn->group] || fn->limit < space->limit[fn->group]))
            space->limit[fn->group] = fn->limit;
        seen[fn->group] |= fn->present;
    }
    (void)ref;
}

static inline void ref_space_remove(struct ref *ref, struct ref_space *space, uint64_t id)
{
    EACH_WORKER (w) {
        if (w->space == id && !w->killed && ref_count(ref, 0, -1, w->id, -1, RUNNING, STOPPING))
            ref_out(ref, SP_SCHED_KILL_WORKER, 0, w->id);
        w->off |= w->space == id;
    }
    EACH_REQ (r) {
        if (r->space != id)
            continue;
        if (r->state != GONE && r->state != STOPPING)
            ref_end(ref, r, SP_SCHED_CANCELED);
        r->state = GONE;
    }
    memset(space, 0, sizeof(*space));
}

static inline void ref_join(struct ref *ref, struct ref_space *space,
                            const struct sp_sched_event *event)
{
    uint32_t waiting = ref_count(ref, event->space, -1, 0, 1, WAITING, WAITING);
    uint32_t max = space->max_size;

    if (!space->set)
        ref_out(ref, SP_SCHED_REFUSE, event->req, 0)->refuse.reason = SP_SCHED_NO_SPACE;
    else if (!space->fns[event->join.fn].present)
        ref_out(ref, SP_SCHED_REFUSE, event->req, 0)->refuse.reason = SP_SCHED_NO_FUNCTION;
    else if (event->join.queued && max != SP_SCHED_UNLIMITED &&
             waiting >= max + (ref->broken == SIZE_PLUS_ONE))
        ref_out(ref, SP_SCHED_REFUSE, event->req, 0)->refuse.reason = SP_SCHED_QUEUE_FULL;
    else {
        ref->reqs[ref->n_reqs++] = (struct ref_req){.id = event->req,
                                                    .space = event->space,
                                                    .fn = event->join.fn,
                                                    .queued = event->join.queued,
                                                    .state = WAITING};
        ref_out(ref, SP_SCHED_ADMIT, event->req, 0);
    }
}

/* What is gone is forgotten, and so is a function that is gone and has no request left. */
static inline void ref_forget(struct ref *ref)
{
    size_t n = 0;

    for (size_t i = 0; i < ref->n_reqs; i++) {
        if (ref->reqs[i].state != GONE)
            ref->reqs[n++] = ref->reqs[i];
    }
    ref->n_reqs = n;
    for (uint64_t id = 1; id <= WORLD_SPACES; id++) {
        for (uint32_t i = 0; i < 2 * WORLD_FNS; i++) {
            bool used = ref->spaces[id].fns[i].present;

            EACH_REQ (r)
                used |= r->space == id && r->fn == i && r->state != GONE;
            if (!used)
                ref->spaces[id].fns[i].total = ref->spaces[id].fns[i].runs = 0;
        }
    }
}

static inline void ref_step(struct ref *ref, const struct sp_sched_event *event, uint64_t now)
{
    struct ref_space *space = &ref->spaces[event->space];

    ref->now = now;
    ref->n_out = 0;
    if (event->kind == SP_SCHED_SPACE_SET)
        ref_space_set(ref, space, event);
    else if (event->kind == SP_SCHED_SPACE_REMOVE)
        ref_space_remove(ref, space, event->space);
    else if (event->kind == SP_SCHED_JOIN)
        ref_join(ref, space, event);
    else if (event->kind == SP_SCHED_WORKER_UP && space->set)
        ref->workers[ref->n_workers++] = (struct ref_worker){
            .id = event->worker, .space = event->space, .slots = event->worker_up.slots};
    else if (event->kind == SP_SCHED_WORKER_DOWN)
        ref_worker_down(ref, event->worker);
    EACH_WORKER (w)
        w->off |= event->kind == SP_SCHED_WORKER_DRAIN && w->id == event->worker;
    EACH_REQ (r) {
        if (r->id != event->req || r->state == GONE)
            continue;
        if (event->kind == SP_SCHED_CANCEL)
            ref_cancel(ref, r);
        else if (event->kind == SP_SCHED_FINISHED)
            ref_finished(ref, r, event->finished.outcome);
    }
    for (uint64_t id = 1; id <= WORLD_SPACES; id++) {
        while (ref_start_one(ref, id, false) || ref_start_one(ref, id, true))
            ;
    }
    ref_graces(ref);
    ref_forget(ref);
}

#endif
