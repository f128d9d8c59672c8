/* space.c - a Space with its functions and their groups, and how a new set replaces an old one. */
#include <assert.h>
#include <stdlib.h>

#include "base/mem.h"
#include "scheduler/state.h"

static struct space *space_new(uint64_t id)
{
    struct space *space = sp_new0(struct space);

    space->id = id;
    sp_map_init(&space->fns_by_index);
    sp_list_init(&space->fns);
    sp_list_init(&space->groups);
    sp_list_init(&space->workers);
    sp_list_init(&space->runs);
    sp_list_init(&space->direct_line);
    return space;
}

static void group_free(struct group *group)
{
    sp_list_remove(&group->in_space);
    sp_list_remove(&group->in_publish);
    free(group);
}

/* Requests and workers must be gone, or be freed without looking at the Space. */
void sp_sched_space_free(struct space *space)
{
    SP_LIST_EACH (fn, &space->fns, struct fn, in_space)
        free(fn);
    SP_LIST_EACH (group, &space->groups, struct group, in_space)
        group_free(group);
    sp_map_done(&space->fns_by_index);
    free(space);
}

/* The group with that index; made when there is none. Apps have few, so a list will do. */
static struct group *group_of(struct space *space, uint32_t index)
{
    struct group *group;

    SP_LIST_EACH (known, &space->groups, struct group, in_space) {
        if (known->index == index)
            return known;
    }
    group = sp_new0(struct group);
    group->index = index;
    group->space = space;
    sp_list_init(&group->line);
    sp_list_init(&group->in_publish);
    sp_list_append(&space->groups, &group->in_space);
    return group;
}

static void fn_free(struct space *space, struct fn *fn)
{
    (void)sp_map_remove_u64(&space->fns_by_index, fn->index);
    sp_list_remove(&fn->in_space);
    free(fn);
}

void sp_sched_fn_release(struct fn *fn)
{
    assert(fn->live > 0);
    if (--fn->live == 0 && fn->gone)
        fn_free(fn->group->space, fn);
}

static void set_fn(struct space *space, const struct sp_sched_fn *wanted)
{
    struct fn *fn = sp_map_get_u64(&space->fns_by_index, wanted->fn);

    if (!fn) {
        fn = sp_new0(struct fn);
        fn->index = wanted->fn;
        (void)sp_map_put_u64(&space->fns_by_index, wanted->fn, fn);
        sp_list_append(&space->fns, &fn->in_space);
    }
    fn->gone = false;
    fn->limit = wanted->limit ? wanted->limit : 1;
    fn->group = group_of(space, wanted->group);
}

static int by_arrival(const void *a, const void *b)
{
    const struct request *x = *(struct request *const *)a;
    const struct request *y = *(struct request *const *)b;

    return x->seq < y->seq ? -1 : x->seq > y->seq;
}

/* Takes every waiting request out of its line, in order of arrival. */
static struct request **take_lines(struct space *space, size_t *ret_n)
{
    size_t n = space->waiting;
    struct request **reqs = sp_new0n(struct request *, n + 1);
    size_t i = 0;

    SP_LIST_EACH (group, &space->groups, struct group, in_space) {
        SP_LIST_EACH (req, &group->line, struct request, in_line) {
            sp_sched_line_leave(req);
            reqs[i++] = req;
        }
    }
    assert(i == n);
    qsort(reqs, n, sizeof(struct request *), by_arrival);
    *ret_n = n;
    return reqs;
}

/* The lowest limit of a group wins; one whose functions are all gone keeps what it had. */
static void set_limits(struct space *space)
{
    /* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): what drop_unused frees leaves its list */
    SP_LIST_EACH (group, &space->groups, struct group, in_space) {
        uint32_t lowest = 0;

        group->running = 0;
        SP_LIST_EACH (fn, &space->fns, struct fn, in_space) {
            if (fn->group == group && !fn->gone && (!lowest || fn->limit < lowest))
                lowest = fn->limit;
        }
        group->limit = lowest ? lowest : group->limit;
    }
    SP_LIST_EACH (run, &space->runs, struct run, in_space)
        run->req->fn->group->running += run->req->queued;
}

/* A group whose functions have all moved away. One with requests has a function, if a gone one. */
static void drop_unused(struct space *space)
{
    SP_LIST_EACH (fn, &space->fns, struct fn, in_space) {
        if (fn->gone && !fn->live)
            fn_free(space, fn);
    }
    SP_LIST_EACH (group, &space->groups, struct group, in_space) {
        bool used = false;

        SP_LIST_EACH (fn, &space->fns, struct fn, in_space)
            used |= fn->group == group;
        if (!used)
            group_free(group);
    }
}

void sp_sched_space_set(struct sp_sched *sched, const struct sp_sched_event *event)
{
    struct space *space = sp_map_get_u64(&sched->spaces, event->space);
    SP_AUTO_FREE struct request **waiting = NULL;
    size_t n_waiting;

    assert(event->space != 0);
    if (!space) {
        space = space_new(event->space);
        (void)sp_map_put_u64(&sched->spaces, space->id, space);
    }
    space->max_size = event->space_set.max_size;
    space->max_running = event->space_set.max_running ? event->space_set.max_running : 1;
    space->cancel_grace_us = event->space_set.cancel_grace_us;

    waiting = take_lines(space, &n_waiting);
    SP_LIST_EACH (fn, &space->fns, struct fn, in_space)
        fn->gone = true;
    for (size_t i = 0; i < event->space_set.n_fns; i++)
        set_fn(space, &event->space_set.fns[i]);
    drop_unused(space);
    set_limits(space);
    for (size_t i = 0; i < n_waiting; i++)
        sp_sched_line_enter(waiting[i]);

    sp_sched_changed_all(sched, space);
    sp_sched_dispatch(sched, space);
}

static void end_all(struct sp_sched *sched, struct space *space)
{
    SP_LIST_EACH (group, &space->groups, struct group, in_space) {
        SP_LIST_EACH (req, &group->line, struct request, in_line)
            sp_sched_cancel(sched, req);
    }
    SP_LIST_EACH (req, &space->direct_line, struct request, in_line)
        sp_sched_cancel(sched, req);
    SP_LIST_EACH (run, &space->runs, struct run, in_space) {
        if (!run->stopping)
            sp_sched_end(sched, run->req, SP_SCHED_CANCELED);
        sp_sched_forget(sched, run->req);
    }
}

void sp_sched_space_remove(struct sp_sched *sched, struct space *space)
{
    SP_LIST_EACH (worker, &space->workers, struct worker, in_space) {
        if (worker->runs && !worker->killed)
            (void)sp_sched_emit(sched, SP_SCHED_KILL_WORKER, space, 0, worker->id);
    }
    end_all(sched, space);
    SP_LIST_EACH (worker, &space->workers, struct worker, in_space) {
        (void)sp_map_remove_u64(&sched->workers, worker->id);
        free(worker);
    }
    (void)sp_map_remove_u64(&sched->spaces, space->id);
    sp_sched_space_free(space);
}
