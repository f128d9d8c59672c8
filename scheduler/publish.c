/*
 * publish.c - who is told what, and when.
 *
 * A change marks its group; at the end of the step the group's line is gone through once (a long
 * one in batches, over several steps), and then the group cools: until `publish_min_us` has passed,
 * further changes only mark it. So a visitor hears of the first change at once and of a thousand
 * more in one message, and the cost per event does not grow with the line. `cooling` is in order of
 * time because the time is one.
 */
#include "scheduler/state.h"

/* The page shows tenths of a second: a shift of the end below half of that is no news. */
#define NEWS_US 50000

/* Requests that one step goes through: some 0.1 ms, so that a line of a million stalls nobody. */
#define BATCH 1024

struct request *sp_sched_behind(const struct request *req)
{
    const struct sp_list *next = req->in_line.next;

    return next == &req->fn->group->line ? NULL : SP_CONTAINER(next, struct request, in_line);
}

void sp_sched_changed(struct sp_sched *sched, struct group *group)
{
    group->changed = true;
    if (group->cooling || group->passing)
        return;
    sp_list_remove(&group->in_publish);
    sp_list_append(&sched->dirty, &group->in_publish);
}

void sp_sched_changed_all(struct sp_sched *sched, struct space *space)
{
    SP_LIST_EACH (group, &space->groups, struct group, in_space)
        sp_sched_changed(sched, group);
}

/* The soonest that one of the runs which hold the place (of `group`, or any) is due to end. */
static int64_t soonest_end(const struct space *space, const struct group *group, uint64_t now_us)
{
    int64_t best = SP_SCHED_NO_ETA;

    SP_LIST_EACH (run, &space->runs, struct run, in_space) {
        int64_t average = sp_estimate_run(&run->req->fn->estimate);
        int64_t left;

        if (!run->req->queued || (group && run->req->fn->group != group))
            continue;
        if (average == SP_SCHED_NO_ETA)
            return SP_SCHED_NO_ETA;
        left = average - (int64_t)(now_us - run->start_us);
        if (left <= 0)
            left = 0;
        if (best == SP_SCHED_NO_ETA || left < best)
            best = left;
    }
    return best;
}

int64_t sp_sched_free_in(const struct group *group, uint64_t now_us)
{
    const struct space *space = group->space;
    bool any = false;
    bool room = false;

    SP_LIST_EACH (worker, &space->workers, struct worker, in_space) {
        any |= sp_sched_worker_takes_calls(worker);
        room |= sp_sched_worker_takes_calls(worker) && worker->used < worker->slots;
    }
    if (!any)
        return SP_SCHED_NO_ETA; /* a start that nobody can foretell comes first */
    if (group->running >= group->limit)
        return soonest_end(space, group, now_us);
    if (!room || space->running >= space->max_running)
        return soonest_end(space, NULL, now_us);
    return 0;
}

void sp_sched_tell(struct sp_sched *sched, struct request *req, uint32_t rank, int64_t eta_us)
{
    const struct group *group = req->fn->group;
    struct sp_sched_action *action;

    req->told_rank = rank;
    req->told_size = group->waiting;
    req->told_end_us =
        eta_us == SP_SCHED_NO_ETA ? SP_SCHED_NO_ETA : (int64_t)sched->now_us + eta_us;
    action = sp_sched_emit(sched, SP_SCHED_ESTIMATE, group->space, req->id, 0);
    action->estimate.rank = rank;
    action->estimate.size = group->waiting;
    action->estimate.eta_us = eta_us;
}

static bool is_news(const struct sp_sched *sched, const struct request *req, uint32_t rank,
                    int64_t eta_us)
{
    int64_t shift;

    if (req->told_rank != rank || req->told_size != req->fn->group->waiting)
        return true;
    if (eta_us == SP_SCHED_NO_ETA || req->told_end_us == SP_SCHED_NO_ETA)
        return eta_us != req->told_end_us;
    shift = (int64_t)sched->now_us + eta_us - req->told_end_us;
    return shift >= NEWS_US || shift <= -NEWS_US;
}

static void begin_pass(struct group *group)
{
    group->passing = true;
    group->changed = false;
    group->pass_next = SP_CONTAINER(group->line.next, struct request, in_line);
    group->pass_rank = 0;
    group->pass_ahead = (struct sp_estimate_line){0};
}

/* Goes on with the pass for at most `budget` requests; returns how many are left of it. */
static uint32_t go_on(struct sp_sched *sched, struct group *group, uint32_t budget)
{
    int64_t free_in_us = sp_sched_free_in(group, sched->now_us);

    while (budget > 0 && group->pass_next) {
        struct request *req = group->pass_next;
        int64_t eta_us =
            sp_estimate_eta(&req->fn->estimate, &group->pass_ahead, group->limit, free_in_us);

        if (is_news(sched, req, group->pass_rank, eta_us))
            sp_sched_tell(sched, req, group->pass_rank, eta_us);
        sp_estimate_enter(&group->pass_ahead, &req->fn->estimate, 1);
        group->pass_rank++;
        group->pass_next = sp_sched_behind(req);
        budget--;
    }
    return budget;
}

/* A pass over a long line takes several steps, and its group stays in `dirty` meanwhile. */
static uint32_t publish_group(struct sp_sched *sched, struct group *group, uint32_t budget)
{
    sp_list_remove(&group->in_publish);
    if (!group->passing && (!group->changed || group->waiting == 0)) {
        group->changed = false;
        return budget;
    }
    if (!group->passing)
        begin_pass(group);
    budget = go_on(sched, group, budget);
    if (group->pass_next) {
        sp_list_append(&sched->dirty, &group->in_publish);
        return budget;
    }
    group->passing = false;
    if (sched->options.publish_min_us > 0) {
        group->cooling = true;
        group->cool_us = sched->now_us + sched->options.publish_min_us;
        sp_list_append(&sched->cooling, &group->in_publish);
    } else if (group->changed) {
        sp_list_append(&sched->dirty, &group->in_publish);
    }
    return budget;
}

void sp_sched_publish(struct sp_sched *sched)
{
    uint32_t budget = sched->options.publish_batch ? sched->options.publish_batch : BATCH;

    SP_LIST_EACH (group, &sched->cooling, struct group, in_publish) {
        if (group->cool_us > sched->now_us)
            break;
        group->cooling = false;
        sp_list_remove(&group->in_publish);
        sp_list_append(&sched->dirty, &group->in_publish);
    }
    while (budget > 0 && !sp_list_empty(&sched->dirty))
        budget =
            publish_group(sched, SP_CONTAINER(sched->dirty.next, struct group, in_publish), budget);
}
