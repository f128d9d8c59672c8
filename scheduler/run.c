/* run.c - what was sent to a worker: start, end, cancel in stages, and workers that come and go. */
#include <assert.h>

#include "base/mem.h"
#include "scheduler/state.h"

void sp_sched_worker_up(struct sp_sched *sched, struct space *space,
                        const struct sp_sched_event *event)
{
    struct worker *worker = sp_map_get_u64(&sched->workers, event->worker);

    assert(event->worker != 0);
    if (!worker) {
        worker = sp_new0(struct worker);
        worker->id = event->worker;
        worker->space = space;
        sp_list_init(&worker->running);
        sp_list_append(&space->workers, &worker->in_space);
        (void)sp_map_put_u64(&sched->workers, worker->id, worker);
        space->n_workers++;
    }
    worker->slots = event->worker_up.slots ? event->worker_up.slots : 1;
    sp_sched_changed_all(sched, worker->space);
    sp_sched_dispatch(sched, worker->space);
}

void sp_sched_start(struct sp_sched *sched, struct request *req, struct worker *worker)
{
    struct space *space = worker->space;
    struct run *run = sp_new0(struct run);
    struct sp_sched_action *action;

    assert(!req->run);
    sp_sched_line_leave(req);
    run->req = req;
    run->worker = worker;
    run->start_us = sched->now_us;
    req->run = run;
    sp_list_init(&run->in_grace);
    sp_list_append(&space->runs, &run->in_space);
    sp_list_append(&worker->running, &run->in_worker);
    space->n_runs++;
    worker->runs++;
    if (req->queued) {
        worker->used++;
        space->running++;
        req->fn->group->running++;
        sp_sched_changed(sched, req->fn->group);
    }
    action = sp_sched_emit(sched, SP_SCHED_DISPATCH, space, req->id, worker->id);
    action->dispatch.attempt = 1; /* nothing is rerun yet */
    action->dispatch.eta_us = sp_estimate_run(&req->fn->estimate);
}

/* Tells the terminal state. The request is still there: it may have to hold its slot. */
void sp_sched_end(struct sp_sched *sched, struct request *req, enum sp_sched_outcome outcome)
{
    struct space *space = req->fn->group->space;
    uint64_t worker = req->run ? req->run->worker->id : 0;
    struct sp_sched_action *action = sp_sched_emit(sched, SP_SCHED_END, space, req->id, worker);

    action->end.outcome = outcome;
    action->end.service_us = req->run ? (int64_t)(sched->now_us - req->run->start_us) : -1;
    action->end.average_us = req->fn->estimate.runs ? req->fn->estimate.average_us : -1;
    space->ended++;
}

static void forget_run(struct sp_sched *sched, struct request *req)
{
    struct run *run = req->run;
    struct worker *worker = run->worker;
    struct space *space = worker->space;

    sp_list_remove(&run->in_space);
    sp_list_remove(&run->in_worker);
    sp_list_remove(&run->in_grace);
    space->n_runs--;
    worker->runs--;
    if (run->stopping) {
        space->n_stopping--;
        worker->stopping--;
    }
    if (req->queued) {
        worker->used--;
        space->running--;
        req->fn->group->running--;
        sp_sched_changed(sched, req->fn->group);
    }
    free(run);
}

/* Takes the request out of everything and frees it. */
void sp_sched_forget(struct sp_sched *sched, struct request *req)
{
    if (req->run) {
        forget_run(sched, req);
    } else {
        sp_sched_line_leave(req);
        if (req->queued)
            sp_sched_changed(sched, req->fn->group);
    }
    if (!req->queued)
        req->fn->group->space->direct--;
    (void)sp_map_remove_u64(&sched->requests, req->id);
    sp_sched_fn_release(req->fn);
    free(req);
}

/*
 * When all that is left in a worker are functions whose visitors have been told "canceled", ending
 * the process hurts nobody, and it is the only way to get the slots back.
 */
static void kill_if_only_stopping(struct sp_sched *sched, struct worker *worker)
{
    if (worker->killed || !worker->stopping || worker->stopping < worker->runs)
        return;
    worker->killed = true;
    (void)sp_sched_emit(sched, SP_SCHED_KILL_WORKER, worker->space, 0, worker->id);
    sp_sched_changed_all(sched, worker->space);
}

/* The average moves under the requests that wait, so their part of the sum is taken anew. */
static void learn(struct fn *fn, uint64_t service_us)
{
    sp_estimate_leave(&fn->group->sum, &fn->estimate, fn->waiting);
    sp_estimate_learn(&fn->estimate, service_us);
    sp_estimate_enter(&fn->group->sum, &fn->estimate, fn->waiting);
}

void sp_sched_finished(struct sp_sched *sched, struct request *req, enum sp_sched_outcome outcome)
{
    struct worker *worker = req->run->worker;

    assert(outcome <= SP_SCHED_CANCELED);
    if (!req->run->stopping) {
        if (outcome == SP_SCHED_DONE)
            learn(req->fn, sched->now_us - req->run->start_us);
        sp_sched_end(sched, req, outcome);
    }
    sp_sched_forget(sched, req);
    kill_if_only_stopping(sched, worker);
}

/* By deadline; nearly all Spaces have the same grace, so the place is found at the end at once. */
static void enter_graces(struct sp_sched *sched, struct run *run)
{
    struct sp_list *before = sched->graces.prev;

    while (before != &sched->graces &&
           SP_CONTAINER(before, struct run, in_grace)->deadline_us > run->deadline_us)
        before = before->prev;
    sp_list_append(before->next, &run->in_grace); /* "at the end of" a node is in front of it */
}

void sp_sched_cancel(struct sp_sched *sched, struct request *req)
{
    struct run *run = req->run;

    if (!run) {
        sp_sched_end(sched, req, SP_SCHED_CANCELED);
        sp_sched_forget(sched, req);
        return;
    }
    if (run->canceling)
        return;
    run->canceling = true;
    run->deadline_us = sched->now_us + run->worker->space->cancel_grace_us;
    enter_graces(sched, run);
    (void)sp_sched_emit(sched, SP_SCHED_SEND_CANCEL, run->worker->space, req->id, run->worker->id);
}

void sp_sched_run_graces(struct sp_sched *sched)
{
    while (!sp_list_empty(&sched->graces)) {
        struct run *run = SP_CONTAINER(sched->graces.next, struct run, in_grace);

        if (run->deadline_us > sched->now_us)
            break;
        sp_list_remove(&run->in_grace);
        run->stopping = true;
        run->worker->stopping++;
        run->worker->space->n_stopping++;
        kill_if_only_stopping(sched, run->worker);
        sp_sched_end(sched, run->req, SP_SCHED_CANCELED);
    }
}

/* What it ran is not run again: it may have had effects. What waits goes on waiting. */
void sp_sched_worker_down(struct sp_sched *sched, struct worker *worker)
{
    SP_LIST_EACH (run, &worker->running, struct run, in_worker) {
        if (!run->stopping)
            sp_sched_end(sched, run->req, run->canceling ? SP_SCHED_CANCELED : SP_SCHED_LOST);
        sp_sched_forget(sched, run->req);
    }
    worker->space->n_workers--;
    sp_list_remove(&worker->in_space);
    (void)sp_map_remove_u64(&sched->workers, worker->id);
    free(worker);
}
