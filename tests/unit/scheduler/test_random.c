/*
 * Random worlds: after every event the scheduler must have done what the naive reference does, the
 * visitors must know what is true, and in the end nothing may be left.
 */
#include <stdio.h>
#include <stdlib.h>

#include "scheduler/sched.h"
#include "scheduler/state.h"
#include "tests/unit/scheduler/reference.h"
#include "tests/support/test.h"

#define EVENTS 2500

/* What a visitor was told last. */
struct told {
    uint64_t id;
    uint32_t rank, size;
    uint64_t at_us;    /* of the last one that was not the newcomer's; 0 none */
    uint64_t stale_us; /* since when it has not been true; 0 it is */
};

struct check {
    struct sp_sched *sched;
    struct world world;
    struct ref ref;
    struct told told[REF_MAX];
    size_t n_told;
    struct sp_sched_options options;
    const char *wrong; /* the first thing that was; NULL while all is well */
    size_t dispatched, canceled, lost, killed, refused;
};

static void fail_if(struct check *check, bool wrong, const char *what)
{
    if (wrong && !check->wrong)
        check->wrong = what;
}

static int by_kind_and_id(const void *a, const void *b)
{
    const struct sp_sched_action *x = a, *y = b;

    if (x->kind != y->kind)
        return x->kind < y->kind ? -1 : 1;
    if (x->req != y->req)
        return x->req < y->req ? -1 : 1;
    return x->worker < y->worker ? -1 : x->worker > y->worker;
}

static bool same_action(const struct sp_sched_action *a, const struct sp_sched_action *b)
{
    if (by_kind_and_id(a, b) != 0)
        return false;
    if (a->kind == SP_SCHED_REFUSE)
        return a->refuse.reason == b->refuse.reason;
    if (a->kind == SP_SCHED_DISPATCH)
        return a->dispatch.eta_us == b->dispatch.eta_us && a->dispatch.attempt == 1;
    if (a->kind == SP_SCHED_END)
        return a->end.outcome == b->end.outcome && a->end.service_us == b->end.service_us &&
               a->end.average_us == b->end.average_us;
    return true;
}

static void compare(struct check *check, const struct sp_sched_event *event,
                    struct sp_sched_actions actions)
{
    static struct sp_sched_action seen[REF_MAX];
    size_t n = 0;

    for (size_t i = 0; i < actions.count; i++) {
        if (actions.items[i].kind != SP_SCHED_ESTIMATE && actions.items[i].kind != SP_SCHED_WAKE_AT)
            seen[n++] = actions.items[i];
    }
    if (event->kind == SP_SCHED_SPACE_REMOVE) { /* no order is promised */
        qsort(seen, n, sizeof(seen[0]), by_kind_and_id);
        qsort(check->ref.out, check->ref.n_out, sizeof(seen[0]), by_kind_and_id);
    }
    fail_if(check, n != check->ref.n_out, "number of actions");
    for (size_t i = 0; i < n && !check->wrong; i++) {
        fail_if(check, !same_action(&seen[i], &check->ref.out[i]), "an action");
        check->dispatched += seen[i].kind == SP_SCHED_DISPATCH;
        check->killed += seen[i].kind == SP_SCHED_KILL_WORKER;
        check->refused += seen[i].kind == SP_SCHED_REFUSE;
        check->lost += seen[i].kind == SP_SCHED_END && seen[i].end.outcome == SP_SCHED_LOST;
        check->canceled += seen[i].kind == SP_SCHED_END && seen[i].end.outcome == SP_SCHED_CANCELED;
    }
}

static struct ref_req *find_req(struct ref *ref, uint64_t id)
{
    EACH_REQ (r) {
        if (r->id == id)
            return r;
    }
    return NULL;
}

static struct told *find_told(struct check *check, uint64_t id)
{
    for (size_t i = 0; i < check->n_told; i++) {
        if (check->told[i].id == id)
            return &check->told[i];
    }
    check->told[check->n_told] = (struct told){.id = id};
    return &check->told[check->n_told++];
}

static bool in_line_of(struct ref *ref, const struct ref_req *a, const struct ref_req *b)
{
    return a->space == b->space && a->state == WAITING && a->queued &&
           ref_fn(ref, a)->group == ref_fn(ref, b)->group;
}

static uint32_t true_rank(struct ref *ref, const struct ref_req *req)
{
    uint32_t rank = ref->broken == RANK_PLUS_ONE;

    EACH_REQ (r)
        rank += r < req && in_line_of(ref, r, req);
    return rank;
}

static uint32_t true_size(struct ref *ref, const struct ref_req *req)
{
    return ref_count(ref, req->space, (int)ref_fn(ref, req)->group, 0, 1, WAITING, WAITING);
}

/* Gradio's free_in, over those whose end would let the first of the line start. */
static int64_t true_free_in(struct ref *ref, const struct ref_req *req)
{
    const struct ref_space *space = &ref->spaces[req->space];
    int group = (int)ref_fn(ref, req)->group;
    bool full = ref_count(ref, req->space, group, 0, 1, RUNNING, STOPPING) >=
                space->limit[ref_fn(ref, req)->group];
    bool any = false, room = false;
    int64_t best = INT64_MAX;

    EACH_WORKER (w) {
        bool takes = w->space == req->space && !w->off && !w->killed;

        any |= takes;
        room |= takes && ref_count(ref, 0, -1, w->id, 1, RUNNING, STOPPING) < w->slots;
    }
    room = room && ref_count(ref, req->space, -1, 0, 1, RUNNING, STOPPING) < space->max_running;
    if (!any)
        return SP_SCHED_NO_ETA;
    if (!full && room)
        return 0;
    EACH_REQ (r) {
        int64_t left = ref_average(ref_fn(ref, r), SP_SCHED_NO_ETA);

        if (r->space != req->space || r->state < RUNNING || !r->queued ||
            (full && (int)ref_fn(ref, r)->group != group))
            continue;
        if (left == SP_SCHED_NO_ETA)
            return SP_SCHED_NO_ETA;
        left -= (int64_t)(ref->now - r->start);
        left = left < 0 ? 0 : left;
        best = left < best ? left : best;
    }
    return best;
}

static int64_t true_eta(struct ref *ref, const struct ref_req *req)
{
    uint32_t limit = ref->spaces[req->space].limit[ref_fn(ref, req)->group];
    int64_t own = ref_average(ref_fn(ref, req), SP_SCHED_NO_ETA);
    int64_t free_in = true_free_in(ref, req);
    int64_t ahead = 0;

    EACH_REQ (r) {
        int64_t average = ref_average(ref_fn(ref, r), SP_SCHED_NO_ETA);

        if (r >= req || !in_line_of(ref, r, req))
            continue;
        if (average == SP_SCHED_NO_ETA)
            return SP_SCHED_NO_ETA;
        ahead += average;
    }
    if (own == SP_SCHED_NO_ETA || free_in == SP_SCHED_NO_ETA)
        return SP_SCHED_NO_ETA;
    own += ref->broken == ETA_PLUS_ONE;
    return own + (limit == SP_SCHED_UNLIMITED ? 0 : ahead / limit) + free_in;
}

/* The newcomer's ESTIMATE comes right behind its ADMIT, the others at the end of the step. */
static void hear(struct check *check, const struct sp_sched_action *action, bool newcomer)
{
    struct told *told = find_told(check, action->req);
    struct ref_req *req = find_req(&check->ref, action->req);

    told->rank = action->estimate.rank;
    told->size = action->estimate.size;
    if (newcomer)
        return;
    fail_if(check, !req || req->state != WAITING || !req->queued, "estimate for one not waiting");
    if (check->wrong)
        return;
    fail_if(check, told->rank != true_rank(&check->ref, req), "rank");
    fail_if(check, told->size != true_size(&check->ref, req), "size");
    fail_if(check,
            check->options.publish_batch == 0 &&
                action->estimate.eta_us != true_eta(&check->ref, req),
            "eta");
    fail_if(check, told->at_us && check->ref.now - told->at_us < check->options.publish_min_us,
            "told too often");
    told->at_us = check->ref.now;
}

/* After every step a visitor knows the truth, or it is younger than the publishing interval. */
static void check_told(struct check *check)
{
    struct ref *ref = &check->ref;
    uint64_t patience_us = check->options.publish_min_us;

    if (check->options.publish_batch)
        patience_us += 2 * check->options.publish_min_us;

    EACH_REQ (r) {
        struct told *told;

        if (r->state != WAITING || !r->queued)
            continue;
        told = find_told(check, r->id);
        if (told->size == true_size(ref, r) && told->rank == true_rank(ref, r))
            told->stale_us = 0;
        else if (!told->stale_us)
            told->stale_us = ref->now;
        fail_if(check, told->stale_us && ref->now - told->stale_us >= patience_us,
                "somebody waits with an old rank");
    }
}

static void check_totals(struct check *check)
{
    for (uint64_t id = 1; id <= WORLD_SPACES; id++) {
        struct sp_sched_totals totals = {0};
        struct ref *ref = &check->ref;
        bool known = sp_sched_totals(check->sched, id, &totals);

        fail_if(check, known != ref->spaces[id].set, "which Spaces are known");
        fail_if(check,
                totals.waiting != ref_count(ref, id, -1, 0, -1, WAITING, WAITING) ||
                    totals.running != ref_count(ref, id, -1, 0, -1, RUNNING, CANCELING) ||
                    totals.stopping != ref_count(ref, id, -1, 0, -1, STOPPING, STOPPING) ||
                    totals.joined < totals.ended,
                "totals");
    }
}

static void forget_told(struct check *check, const struct sp_sched_event *event)
{
    size_t n = 0;

    for (size_t i = 0; i < check->n_told; i++) {
        /* May have moved to another group, which has its own pace. */
        if (event->kind == SP_SCHED_SPACE_SET)
            check->told[i].at_us = check->told[i].stale_us = 0;
        if (find_req(&check->ref, check->told[i].id))
            check->told[n++] = check->told[i];
    }
    check->n_told = n;
}

static void one_event(struct check *check)
{
    struct sp_sched_event event;
    struct sp_sched_actions actions;

    world_next(&check->world, &event);
    ref_step(&check->ref, &event, check->world.now_us);
    actions = sp_sched_step(check->sched, &event, check->world.now_us);
    compare(check, &event, actions);
    forget_told(check, &event);
    for (size_t i = 0; i < actions.count && !check->wrong; i++) {
        world_sees(&check->world, &actions.items[i]);
        if (actions.items[i].kind == SP_SCHED_ESTIMATE)
            hear(check, &actions.items[i], i > 0 && actions.items[i - 1].kind == SP_SCHED_ADMIT);
    }
    if (check->wrong)
        return;
    check_told(check);
    check_totals(check);
}

static struct check *check_new(uint64_t seed, struct sp_sched_options options, enum broken broken)
{
    struct check *check = calloc(1, sizeof(*check));

    assert_non_null(check);
    check->options = options;
    check->ref.broken = broken;
    world_init(&check->world, seed);
    check->sched = sp_sched_new(&options);
    for (int i = 0; i < EVENTS && !check->wrong; i++)
        one_event(check);
    return check;
}

static void check_free(struct check *check)
{
    sp_sched_free(check->sched);
    free(check);
}

/* No newcomers any more: with workers that answer, all must come to an end. */
static void drain(struct check *check)
{
    struct ref *ref = &check->ref;

    check->world.closing = true;
    for (int i = 0; i < 40000 && ref->n_reqs > 0 && !check->wrong; i++)
        one_event(check);
    fail_if(check, ref->n_reqs != 0, "not everything came to its end");
    fail_if(check, check->sched->requests.count != 0, "a request was left behind");
}

static void run_seeds(uint64_t from, uint64_t to, struct sp_sched_options options)
{
    size_t dispatched = 0, canceled = 0, lost = 0, killed = 0, refused = 0;

    for (uint64_t seed = from; seed < to; seed++) {
        struct check *check = check_new(seed, options, RIGHT);

        if (!check->wrong)
            drain(check);
        if (check->wrong)
            fail_msg("seed %llu at %llu us: %s", (unsigned long long)seed,
                     (unsigned long long)check->world.now_us, check->wrong);
        dispatched += check->dispatched;
        canceled += check->canceled;
        lost += check->lost;
        killed += check->killed;
        refused += check->refused;
        check_free(check);
    }
    /* The worlds must be lively enough for the comparison to mean something. */
    print_message("dispatched %zu canceled %zu lost %zu killed %zu refused %zu\n", dispatched,
                  canceled, lost, killed, refused);
    assert_true(dispatched > 1000 && canceled > 500 && lost > 50 && killed > 20 && refused > 500);
}

static void test_random_worlds_go_as_in_the_reference(void **state)
{
    (void)state;
    run_seeds(1, 41, (struct sp_sched_options){0});
}

static void test_random_worlds_with_coalesced_estimates_go_as_in_the_reference(void **state)
{
    (void)state;
    run_seeds(100, 141, (struct sp_sched_options){.publish_min_us = 300000});
}

static void test_random_worlds_with_passes_over_many_steps_go_as_in_the_reference(void **state)
{
    (void)state;
    run_seeds(200, 241, (struct sp_sched_options){.publish_min_us = 300000, .publish_batch = 3});
}

static void test_a_wrong_reference_is_noticed(void **state)
{
    (void)state;
    for (int broken = RIGHT + 1; broken < N_BROKEN; broken++) {
        bool noticed = false;

        for (uint64_t seed = 1; seed < 10 && !noticed; seed++) {
            struct check *check =
                check_new(seed, (struct sp_sched_options){0}, (enum broken)broken);

            noticed = check->wrong != NULL;
            check_free(check);
        }
        if (!noticed)
            fail_msg("the comparison does not notice mistake %d", broken);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_random_worlds_go_as_in_the_reference),
        cmocka_unit_test(test_random_worlds_with_coalesced_estimates_go_as_in_the_reference),
        cmocka_unit_test(test_random_worlds_with_passes_over_many_steps_go_as_in_the_reference),
        cmocka_unit_test(test_a_wrong_reference_is_noticed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
