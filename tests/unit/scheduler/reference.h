/*
 * reference.h - the same scheduler once more, as naive as it can be: one array of everything,
 * each question answered by going through all of it. Slow and short enough to be read and believed.
 *
 * `broken` makes it wrong on purpose; a comparison that does not notice is worth nothing.
 */
#ifndef SP_TESTS_SCHEDULER_REFERENCE_H
#define SP_TESTS_SCHEDULER_REFERENCE_H

#include <string.h>

#include "scheduler/sched.h"

#define REF_MAX 4096

enum ref_broken { RIGHT, LIFO, LIMIT_PLUS_ONE, NO_SLOTS, NO_KILL, RERUN, BLIND_HEAD, N_BROKEN };
enum ref_state { GONE, WAITING, RUNNING, CANCELING, STOPPING };

struct ref_req {
    uint64_t id, space, worker, start, deadline, start_seq;
    uint32_t fn;
    bool queued;
    enum ref_state state;
};
struct ref_worker {
    uint64_t id, space;
    uint32_t slots;
    bool draining, killed;
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
    enum ref_broken broken;
    uint64_t now, start_seq;
    struct ref_space spaces[WORLD_SPACES + 1];
    struct ref_req reqs[REF_MAX];
    struct ref_worker workers[REF_MAX];
    size_t n_reqs, n_workers, n_out;
    struct sp_sched_action out[REF_MAX]; /* without ESTIMATE and WAKE_AT */
};

#define EACH_REQ(r) for (struct ref_req *r = ref->reqs; r < ref->reqs + ref->n_reqs; r++)
#define EACH_WORKER(w) \
    for (struct ref_worker *w = ref->workers; w < ref->workers + ref->n_workers; w++)

static struct sp_sched_action *ref_out(struct ref *ref, enum sp_sched_action_kind kind,
                                       uint64_t req, uint64_t worker)
{
    struct sp_sched_action *out = &ref->out[ref->n_out++];

    *out = (struct sp_sched_action){.kind = kind, .req = req, .worker = worker};
    return out;
}

static struct ref_fn *ref_fn(struct ref *ref, const struct ref_req *req)
{
    return &ref->spaces[req->space].fns[req->fn];
}

/* How many of the Space (0: any) and group (-1: any) and worker (0: any) are in [from, to]. */
static uint32_t ref_count(struct ref *ref, uint64_t space, int group, uint64_t worker, int queued,
                          enum ref_state from, enum ref_state to)
{
    uint32_t n = 0;

    EACH_REQ (r)
        n += r->state >= from && r->state <= to && (!space || r->space == space) &&
             (group < 0 || ref_fn(ref, r)->group == (uint32_t)group) &&
             (!worker || r->worker == worker) && (queued < 0 || r->queued == queued);
    return n;
}

static void ref_end(struct ref *ref, struct ref_req *req, enum sp_sched_outcome outcome)
{
    struct ref_fn *fn = ref_fn(ref, req);
    struct sp_sched_action *out;

    if (req->state != STOPPING) {
        out = ref_out(ref, SP_SCHED_END, req->id, req->worker);
        out->end.outcome = outcome;
        out->end.service_us = req->state == WAITING ? -1 : (int64_t)(ref->now - req->start);
        out->end.average_us = fn->runs ? (int64_t)(fn->total / fn->runs) : -1;
    }
    req->state = GONE;
}

static struct ref_worker *ref_pick_worker(struct ref *ref, const struct ref_req *req)
{
    struct ref_worker *best = NULL;
    uint32_t best_runs = 0;

    EACH_WORKER (w) {
        uint32_t runs = ref_count(ref, 0, -1, w->id, -1, RUNNING, STOPPING);
        uint32_t used = ref_count(ref, 0, -1, w->id, 1, RUNNING, STOPPING);

        if (w->space != req->space || w->draining || w->killed)
            continue;
        if (req->queued && used >= w->slots && ref->broken != NO_SLOTS)
            continue;
        if (!best || runs < best_runs) {
            best = w;
            best_runs = runs;
        }
    }
    return best;
}

static bool ref_may_start(struct ref *ref, const struct ref_req *req)
{
    const struct ref_space *space = &ref->spaces[req->space];
    uint32_t group = ref_fn(ref, req)->group;
    uint64_t limit = space->limit[group];

    if (!req->queued)
        return true;
    limit += ref->broken == LIMIT_PLUS_ONE;
    return ref_count(ref, req->space, (int)group, 0, 1, RUNNING, STOPPING) < limit &&
           ref_count(ref, req->space, -1, 0, 1, RUNNING, STOPPING) < space->max_running;
}

/* One start at a time until nothing more can start; direct requests first. */
static bool ref_start_one(struct ref *ref, uint64_t space, bool queued)
{
    for (size_t i = 0; i < ref->n_reqs; i++) {
        struct ref_req *r = &ref->reqs[ref->broken == LIFO ? ref->n_reqs - 1 - i : i];
        struct ref_worker *w;

        if (r->state != WAITING || r->space != space || r->queued != queued)
            continue;
        w = ref_may_start(ref, r) ? ref_pick_worker(ref, r) : NULL;
        if (!w && ref->broken == BLIND_HEAD)
            return false;
        if (!w)
            continue;
        r->state = RUNNING;
        r->worker = w->id;
        r->start = ref->now;
        r->start_seq = ++ref->start_seq;
        ref_out(ref, SP_SCHED_DISPATCH, r->id, w->id)->dispatch.eta_us =
            ref_fn(ref, r)->runs ? (int64_t)(ref_fn(ref, r)->total / ref_fn(ref, r)->runs)
                                 : SP_SCHED_NO_ETA;
        return true;
    }
    return false;
}

static void ref_cancel(struct ref *ref, struct ref_req *req)
{
    if (req->state == WAITING) {
        ref_end(ref, req, SP_SCHED_CANCELED);
    } else if (req->state == RUNNING) {
        req->state = CANCELING;
        req->deadline = ref->now + ref->spaces[req->space].grace;
        ref_out(ref, SP_SCHED_SEND_CANCEL, req->id, req->worker);
    }
}

static void ref_kill_if_only_stopping(struct ref *ref, uint64_t worker)
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

static void ref_graces(struct ref *ref)
{
    for (;;) {
        struct ref_req *first = NULL;

        EACH_REQ (r) {
            if (r->state == CANCELING && r->deadline <= ref->now &&
                (!first || r->deadline < first->deadline))
                first = r;
        }
        if (!first)
            return;
        first->state = STOPPING;
        ref_kill_if_only_stopping(ref, first->worker);
        first->state = CANCELING; /* so that its end is told */
        ref_end(ref, first, SP_SCHED_CANCELED);
        first->state = STOPPING;
    }
}
