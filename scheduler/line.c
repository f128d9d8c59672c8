/* line.c - who waits, in which order, and who is next. */
#include <assert.h>

#include "base/mem.h"
#include "scheduler/state.h"

/* In order of arrival; the caller has made sure that nobody behind is in the line yet. */
void sp_sched_line_enter(struct request *req)
{
    struct group *group = req->fn->group;

    sp_list_append(&group->line, &req->in_line);
    sp_estimate_enter(&group->sum, &req->fn->estimate, 1);
    group->waiting++;
    group->space->waiting++;
    req->fn->waiting++;
}

/* The pass must not stumble over one that leaves, nor count it among those it has seen. */
static void leave_pass(struct group *group, const struct request *req)
{
    if (group->pass_next == req)
        group->pass_next = sp_sched_behind(req);
    else if (req->seq < group->pass_next->seq)
        group->pass_rank--;
}

void sp_sched_line_leave(struct request *req)
{
    struct group *group = req->fn->group;

    if (req->queued && group->pass_next) /* a pass over the line is half done */
        leave_pass(group, req);
    sp_list_remove(&req->in_line);
    if (!req->queued)
        return;
    assert(group->waiting > 0 && req->fn->waiting > 0);
    sp_estimate_leave(&group->sum, &req->fn->estimate, 1);
    group->waiting--;
    group->space->waiting--;
    req->fn->waiting--;
}

static void refuse(struct sp_sched *sched, struct space *space, uint64_t req,
                   enum sp_sched_refusal reason, uint32_t max_size, uint32_t size)
{
    struct sp_sched_action *action = sp_sched_emit(sched, SP_SCHED_REFUSE, space, req, 0);

    action->refuse.reason = reason;
    action->refuse.max_size = max_size;
    action->refuse.size = size;
    space->refused++;
}

static struct request *admit(struct sp_sched *sched, struct fn *fn, uint64_t id, bool queued)
{
    struct request *req = sp_new0(struct request);

    req->id = id;
    req->seq = sched->next_seq++;
    req->since_us = sched->now_us;
    req->fn = fn;
    req->queued = queued;
    sp_list_init(&req->in_line);
    fn->live++;
    fn->group->space->joined++;
    (void)sp_map_put_u64(&sched->requests, id, req);
    (void)sp_sched_emit(sched, SP_SCHED_ADMIT, fn->group->space, id, 0);
    return req;
}

/* The newcomer is told at once, also when it starts in this very step: Gradio's clients expect
 * one estimate before the start. */
static void admit_to_line(struct sp_sched *sched, struct fn *fn, uint64_t id)
{
    struct group *group = fn->group;
    struct sp_estimate_line ahead = group->sum;
    struct request *req = admit(sched, fn, id, true);

    sp_sched_line_enter(req);
    sp_sched_tell(sched, req, group->waiting - 1,
                  sp_estimate_eta(&fn->estimate, &ahead, group->limit,
                                  sp_sched_free_in(group, sched->now_us)));
    sp_sched_changed(sched, group);
}

void sp_sched_join(struct sp_sched *sched, struct space *space, const struct sp_sched_event *event)
{
    struct fn *fn = sp_map_get_u64(&space->fns_by_index, event->join.fn);
    struct request *req;

    if (!fn || fn->gone) {
        refuse(sched, space, event->req, SP_SCHED_NO_FUNCTION, 0, 0);
    } else if (event->join.queued) {
        if (space->max_size != SP_SCHED_UNLIMITED && space->waiting >= space->max_size) {
            refuse(sched, space, event->req, SP_SCHED_QUEUE_FULL, space->max_size, space->waiting);
            return;
        }
        admit_to_line(sched, fn, event->req);
    } else if (space->direct >= DIRECT_MAX) {
        refuse(sched, space, event->req, SP_SCHED_QUEUE_FULL, DIRECT_MAX, space->direct);
    } else {
        req = admit(sched, fn, event->req, false);
        sp_list_append(&space->direct_line, &req->in_line);
        space->direct++;
    }
    sp_sched_dispatch(sched, space);
}

bool sp_sched_worker_takes_calls(const struct worker *worker)
{
    return !worker->draining && !worker->killed;
}

/* The least busy worker, the eldest of equals; NULL when none will do. */
static struct worker *pick_worker(struct space *space, bool needs_slot)
{
    struct worker *best = NULL;

    SP_LIST_EACH (worker, &space->workers, struct worker, in_space) {
        if (!sp_sched_worker_takes_calls(worker) || (needs_slot && worker->used >= worker->slots))
            continue;
        if (!best || worker->runs < best->runs)
            best = worker;
    }
    return best;
}

/* The eldest head whose group has room: a full group keeps nobody else waiting. */
static struct request *pick_request(struct space *space)
{
    struct request *best = NULL;

    SP_LIST_EACH (group, &space->groups, struct group, in_space) {
        struct request *head = SP_CONTAINER(group->line.next, struct request, in_line);

        if (group->waiting == 0 || group->running >= group->limit)
            continue;
        if (!best || head->seq < best->seq)
            best = head;
    }
    return best;
}

void sp_sched_dispatch(struct sp_sched *sched, struct space *space)
{
    struct worker *worker;
    struct request *req;

    while (!sp_list_empty(&space->direct_line) && (worker = pick_worker(space, false)))
        sp_sched_start(sched, SP_CONTAINER(space->direct_line.next, struct request, in_line),
                       worker);

    while (space->waiting > 0 && space->running < space->max_running) {
        worker = pick_worker(space, true);
        req = worker ? pick_request(space) : NULL;
        if (!req)
            break;
        sp_sched_start(sched, req, worker);
    }
}
