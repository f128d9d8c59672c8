/* view.c - the state as pages, the command line and metrics see it. Changes nothing. */
#include "scheduler/state.h"

bool sp_sched_totals(const struct sp_sched *sched, uint64_t space_id, struct sp_sched_totals *ret)
{
    const struct space *space = sp_map_get_u64(&sched->spaces, space_id);

    if (!space)
        return false;
    *ret = (struct sp_sched_totals){
        .waiting = (uint32_t)(space->joined - space->ended) - (space->n_runs - space->n_stopping),
        .running = space->n_runs - space->n_stopping,
        .stopping = space->n_stopping,
        .workers = space->n_workers,
        .joined = space->joined,
        .ended = space->ended,
        .refused = space->refused,
    };
    return true;
}

static struct sp_sched_view view_of(const struct request *req)
{
    return (struct sp_sched_view){
        .req = req->id,
        .fn = req->fn->index,
        .group = req->fn->group->index,
        .since_us = req->since_us,
        .eta_us = SP_SCHED_NO_ETA,
    };
}

static struct sp_sched_view view_of_run(const struct run *run, uint64_t now_us)
{
    struct sp_sched_view view = view_of(run->req);
    int64_t average_us = sp_estimate_run(&run->req->fn->estimate);
    int64_t ran_us = (int64_t)(now_us - run->start_us);

    view.running = true;
    view.stopping = run->stopping;
    view.start_us = run->start_us;
    view.worker = run->worker->id;
    if (average_us != SP_SCHED_NO_ETA)
        view.eta_us = average_us > ran_us ? average_us - ran_us : 0;
    return view;
}

/* Where the walk over a Space has got to. */
struct walk {
    uint64_t now_us;
    size_t max;
    size_t n;
    void (*each)(void *arg, const struct sp_sched_view *view);
    void *arg;
};

static void show(struct walk *walk, struct sp_sched_view view)
{
    walk->each(walk->arg, &view);
    walk->n++;
}

static void walk_line(struct walk *walk, const struct group *group)
{
    struct sp_estimate_line ahead = {0};
    int64_t free_in_us = sp_sched_free_in(group, walk->now_us);
    uint32_t rank = 0;

    SP_LIST_EACH (req, &group->line, struct request, in_line) {
        struct sp_sched_view view = view_of(req);

        if (walk->n >= walk->max)
            return;
        view.rank = rank++;
        view.eta_us = sp_estimate_eta(&req->fn->estimate, &ahead, group->limit, free_in_us);
        show(walk, view);
        sp_estimate_enter(&ahead, &req->fn->estimate, 1);
    }
}

size_t sp_sched_each(const struct sp_sched *sched, uint64_t space_id, uint64_t now_us, size_t max,
                     void (*each)(void *arg, const struct sp_sched_view *view), void *arg)
{
    const struct space *space = sp_map_get_u64(&sched->spaces, space_id);
    struct walk walk = {.now_us = now_us, .max = max, .each = each, .arg = arg};

    if (!space)
        return 0;
    SP_LIST_EACH (run, &space->runs, struct run, in_space) {
        if (walk.n >= max)
            return walk.n;
        show(&walk, view_of_run(run, now_us));
    }
    SP_LIST_EACH (req, &space->direct_line, struct request, in_line) {
        if (walk.n >= max)
            return walk.n;
        show(&walk, view_of(req));
    }
    SP_LIST_EACH (group, &space->groups, struct group, in_space)
        walk_line(&walk, group);
    return walk.n;
}

bool sp_sched_preview(const struct sp_sched *sched, uint64_t space_id, uint32_t index,
                      uint64_t now_us, struct sp_sched_view *ret)
{
    const struct space *space = sp_map_get_u64(&sched->spaces, space_id);
    const struct fn *fn = space ? sp_map_get_u64(&space->fns_by_index, index) : NULL;

    if (!fn || fn->gone)
        return false;
    *ret = (struct sp_sched_view){
        .fn = index,
        .group = fn->group->index,
        .rank = fn->group->waiting,
        .since_us = now_us,
        .eta_us = sp_estimate_eta(&fn->estimate, &fn->group->sum, fn->group->limit,
                                  sp_sched_free_in(fn->group, now_us)),
    };
    return true;
}
