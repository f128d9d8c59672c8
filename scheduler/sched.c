#include "scheduler/sched.h"

#include <assert.h>
#include <string.h>

#include "base/mem.h"
#include "scheduler/state.h"

/* The end of a Space may need a great many actions once; so many are kept for the next step. */
#define KEPT_ACTIONS 2048

const char *sp_sched_outcome_to_string(enum sp_sched_outcome outcome)
{
    static const char *const names[] = {
        [SP_SCHED_DONE] = "done",
        [SP_SCHED_FAILED] = "failed",
        [SP_SCHED_CANCELED] = "canceled",
        [SP_SCHED_LOST] = "lost",
    };

    return names[outcome];
}

struct sp_sched *sp_sched_new(const struct sp_sched_options *options)
{
    struct sp_sched *sched = sp_new0(struct sp_sched);

    sched->options = *options;
    sched->wake_us = UINT64_MAX;
    sp_map_init(&sched->spaces);
    sp_map_init(&sched->workers);
    sp_map_init(&sched->requests);
    sp_list_init(&sched->dirty);
    sp_list_init(&sched->cooling);
    sp_list_init(&sched->graces);
    return sched;
}

void sp_sched_free(struct sp_sched *sched)
{
    struct space *space;
    struct worker *worker;
    struct request *req;
    size_t at;

    if (!sched)
        return;
    for (at = 0; (req = sp_map_next(&sched->requests, &at, NULL));) {
        free(req->run);
        free(req);
    }
    for (at = 0; (worker = sp_map_next(&sched->workers, &at, NULL));)
        free(worker);
    for (at = 0; (space = sp_map_next(&sched->spaces, &at, NULL));)
        sp_sched_space_free(space);
    sp_map_done(&sched->requests);
    sp_map_done(&sched->workers);
    sp_map_done(&sched->spaces);
    free(sched->items);
    free(sched);
}

struct sp_sched_action *sp_sched_emit(struct sp_sched *sched, enum sp_sched_action_kind kind,
                                      const struct space *space, uint64_t req, uint64_t worker)
{
    struct sp_sched_action *action;

    if (sched->n_items == sched->cap_items) {
        sched->cap_items = sched->cap_items ? 2 * sched->cap_items : 16;
        sched->items = sp_realloc(sched->items, sched->cap_items, sizeof(*sched->items));
    }
    action = &sched->items[sched->n_items++];
    memset(action, 0, sizeof(*action));
    action->kind = kind;
    action->space = space ? space->id : 0;
    action->req = req;
    action->worker = worker;
    return action;
}

static void begin(struct sp_sched *sched, uint64_t now_us)
{
    assert(now_us >= sched->now_us);
    sched->now_us = now_us;
    sched->n_items = 0;
    if (sched->cap_items > KEPT_ACTIONS) {
        sched->cap_items = KEPT_ACTIONS;
        sched->items = sp_realloc(sched->items, KEPT_ACTIONS, sizeof(*sched->items));
    }
}

static void join_or_refuse(struct sp_sched *sched, struct space *space,
                           const struct sp_sched_event *event)
{
    struct sp_sched_action *action;

    assert(event->req != 0 && !sp_map_get_u64(&sched->requests, event->req));
    if (space) {
        sp_sched_join(sched, space, event);
        return;
    }
    action = sp_sched_emit(sched, SP_SCHED_REFUSE, NULL, event->req, 0);
    action->space = event->space;
    action->refuse.reason = SP_SCHED_NO_SPACE;
}

static void apply_to_worker(struct sp_sched *sched, struct worker *worker,
                            enum sp_sched_event_kind kind)
{
    struct space *space = worker->space;

    if (kind == SP_SCHED_WORKER_DRAIN)
        worker->draining = true;
    else
        sp_sched_worker_down(sched, worker);
    sp_sched_changed_all(sched, space);
    sp_sched_dispatch(sched, space);
}

static void apply_to_request(struct sp_sched *sched, struct request *req,
                             const struct sp_sched_event *event)
{
    struct space *space = req->fn->group->space;

    if (event->kind == SP_SCHED_CANCEL)
        sp_sched_cancel(sched, req);
    else if (req->run)
        sp_sched_finished(sched, req, event->finished.outcome);
    sp_sched_dispatch(sched, space);
}

/* Events about something unknown fall through: they are late, not wrong. */
static void apply(struct sp_sched *sched, const struct sp_sched_event *event)
{
    struct space *space = sp_map_get_u64(&sched->spaces, event->space);
    struct worker *worker = sp_map_get_u64(&sched->workers, event->worker);
    struct request *req = sp_map_get_u64(&sched->requests, event->req);

    switch (event->kind) {
    case SP_SCHED_SPACE_SET: sp_sched_space_set(sched, event); break;
    case SP_SCHED_SPACE_REMOVE:
        if (space)
            sp_sched_space_remove(sched, space);
        break;
    case SP_SCHED_WORKER_UP:
        if (space)
            sp_sched_worker_up(sched, space, event);
        break;
    case SP_SCHED_WORKER_DRAIN:
    case SP_SCHED_WORKER_DOWN:
        if (worker)
            apply_to_worker(sched, worker, event->kind);
        break;
    case SP_SCHED_JOIN: join_or_refuse(sched, space, event); break;
    case SP_SCHED_CANCEL:
    case SP_SCHED_FINISHED:
        if (req)
            apply_to_request(sched, req, event);
        break;
    case SP_SCHED_TICK:
        sched->wake_us = UINT64_MAX; /* used up, even if the caller's clock came a little early */
        break;
    }
}

/* Says when to come back, unless an earlier or equal call is on its way already. */
static void ask_to_be_woken(struct sp_sched *sched)
{
    uint64_t at_us = UINT64_MAX;

    if (!sp_list_empty(&sched->cooling))
        at_us = SP_CONTAINER(sched->cooling.next, struct group, in_publish)->cool_us;
    if (!sp_list_empty(&sched->dirty)) /* a pass over a long line is half done */
        at_us = sched->now_us;
    if (!sp_list_empty(&sched->graces)) {
        uint64_t grace_us = SP_CONTAINER(sched->graces.next, struct run, in_grace)->deadline_us;

        at_us = grace_us < at_us ? grace_us : at_us;
    }
    if (sched->wake_us <= sched->now_us)
        sched->wake_us = UINT64_MAX;
    if (at_us >= sched->wake_us)
        return;
    sched->wake_us = at_us;
    sp_sched_emit(sched, SP_SCHED_WAKE_AT, NULL, 0, 0)->at_us = at_us;
}

struct sp_sched_actions sp_sched_step(struct sp_sched *sched, const struct sp_sched_event *event,
                                      uint64_t now_us)
{
    begin(sched, now_us);
    apply(sched, event);
    sp_sched_run_graces(sched);
    sp_sched_publish(sched);
    ask_to_be_woken(sched);
    return (struct sp_sched_actions){sched->items, sched->n_items};
}
