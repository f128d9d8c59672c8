/* What the contract in sched.h promises, one promise a test. */
#include <stdlib.h>
#include <string.h>

#include "scheduler/sched.h"
#include "scheduler/state.h"
#include "tests/support/test.h"

#define SPACE  7
#define WORKER 100
#define GRACE  2000000

static struct sp_sched *sched;
static struct sp_sched_actions last;
static uint64_t now_us;

static void step(struct sp_sched_event event)
{
    last = sp_sched_step(sched, &event, now_us);
}

static const struct sp_sched_action *find(enum sp_sched_action_kind kind, uint64_t req)
{
    for (size_t i = 0; i < last.count; i++) {
        if (last.items[i].kind == kind && (!req || last.items[i].req == req))
            return &last.items[i];
    }
    return NULL;
}

static size_t count(enum sp_sched_action_kind kind)
{
    size_t n = 0;

    for (size_t i = 0; i < last.count; i++)
        n += last.items[i].kind == kind;
    return n;
}

static void space_set(const struct sp_sched_fn *fns, size_t n, uint32_t max_size, uint32_t running)
{
    step((struct sp_sched_event){.kind = SP_SCHED_SPACE_SET,
                                 .space = SPACE,
                                 .space_set = {.fns = fns,
                                               .n_fns = n,
                                               .max_size = max_size,
                                               .max_running = running,
                                               .cancel_grace_us = GRACE}});
}

static void worker_up(uint64_t worker, uint32_t slots)
{
    step((struct sp_sched_event){
        .kind = SP_SCHED_WORKER_UP, .space = SPACE, .worker = worker, .worker_up.slots = slots});
}

static void worker_event(enum sp_sched_event_kind kind, uint64_t worker)
{
    step((struct sp_sched_event){.kind = kind, .space = SPACE, .worker = worker});
}

static void join(uint64_t req, uint32_t fn)
{
    step((struct sp_sched_event){
        .kind = SP_SCHED_JOIN, .space = SPACE, .req = req, .join = {.fn = fn, .queued = true}});
}

static void join_direct(uint64_t req)
{
    step((struct sp_sched_event){.kind = SP_SCHED_JOIN, .space = SPACE, .req = req});
}

static void cancel(uint64_t req)
{
    step((struct sp_sched_event){.kind = SP_SCHED_CANCEL, .req = req});
}

static void finished(uint64_t req, enum sp_sched_outcome outcome)
{
    step((struct sp_sched_event){
        .kind = SP_SCHED_FINISHED, .req = req, .finished.outcome = outcome});
}

static void tick(void)
{
    step((struct sp_sched_event){.kind = SP_SCHED_TICK});
}

static struct sp_sched_totals totals(void)
{
    struct sp_sched_totals ret;

    assert_true(sp_sched_totals(sched, SPACE, &ret));
    return ret;
}

/* fn 0 and 1 share group 0 with limit 1; fn 2 has group 1 with limit 2; fn 3 is unlimited. */
static const struct sp_sched_fn fns[] = {
    {.fn = 0, .group = 0, .limit = 1},
    {.fn = 1, .group = 0, .limit = 5},
    {.fn = 2, .group = 1, .limit = 2},
    {.fn = 3, .group = 2, .limit = SP_SCHED_UNLIMITED},
};

static void start_with(uint32_t publish_min_us)
{
    sched = sp_sched_new(&(struct sp_sched_options){.publish_min_us = publish_min_us});
    now_us = 1000000;
    space_set(fns, 4, SP_SCHED_UNLIMITED, 40);
}

static int setup(void **state)
{
    (void)state;
    start_with(2000000);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    sp_sched_free(sched);
    return 0;
}

static void test_a_request_is_admitted_estimated_and_sent_in_one_step(void **state)
{
    (void)state;
    worker_up(WORKER, 4);
    join(1, 0);
    assert_int_equal(last.count, 3);
    assert_int_equal(last.items[0].kind, SP_SCHED_ADMIT);
    assert_int_equal(last.items[1].kind, SP_SCHED_ESTIMATE);
    assert_int_equal(last.items[1].estimate.rank, 0);
    assert_int_equal(last.items[1].estimate.size, 1);
    assert_true(last.items[1].estimate.eta_us == SP_SCHED_NO_ETA);
    assert_int_equal(last.items[2].kind, SP_SCHED_DISPATCH);
    assert_int_equal(last.items[2].worker, WORKER);
    assert_int_equal(last.items[2].dispatch.attempt, 1);
}

static void test_requests_wait_until_a_worker_is_up_and_start_in_order(void **state)
{
    (void)state;
    join(1, 0);
    join(2, 2);
    join(3, 2);
    assert_null(find(SP_SCHED_DISPATCH, 0));
    worker_up(WORKER, 2);
    assert_int_equal(count(SP_SCHED_DISPATCH), 2);
    assert_non_null(find(SP_SCHED_DISPATCH, 1));
    assert_non_null(find(SP_SCHED_DISPATCH, 2));
    assert_int_equal(totals().waiting, 1);
}

static void test_a_full_group_does_not_block_another(void **state)
{
    (void)state;
    worker_up(WORKER, 8);
    join(1, 0);
    join(2, 1);
    assert_null(find(SP_SCHED_DISPATCH, 0)); /* the lowest limit of the group, 1, wins */
    join(3, 2);
    assert_non_null(find(SP_SCHED_DISPATCH, 3));
    finished(1, SP_SCHED_DONE);
    assert_non_null(find(SP_SCHED_DISPATCH, 2));
}

static void test_a_full_queue_refuses_with_its_size(void **state)
{
    (void)state;
    space_set(fns, 4, 2, 40);
    join(1, 0);
    join(2, 2);
    join(3, 3);
    assert_int_equal(last.count, 1);
    assert_int_equal(last.items[0].kind, SP_SCHED_REFUSE);
    assert_int_equal(last.items[0].refuse.reason, SP_SCHED_QUEUE_FULL);
    assert_int_equal(last.items[0].refuse.max_size, 2);
    assert_int_equal(last.items[0].refuse.size, 2);
    assert_int_equal(totals().refused, 1);
    join_direct(4); /* takes no place */
    assert_non_null(find(SP_SCHED_ADMIT, 4));
}

static void test_unknown_things_are_refused_or_ignored(void **state)
{
    (void)state;
    join(1, 9);
    assert_int_equal(last.items[0].refuse.reason, SP_SCHED_NO_FUNCTION);
    step((struct sp_sched_event){.kind = SP_SCHED_JOIN, .space = 99, .req = 2});
    assert_int_equal(last.items[0].refuse.reason, SP_SCHED_NO_SPACE);
    assert_int_equal(last.items[0].space, 99);
    cancel(55);
    assert_int_equal(last.count, 0);
    finished(55, SP_SCHED_DONE);
    assert_int_equal(last.count, 0);
    worker_event(SP_SCHED_WORKER_DOWN, 55);
    assert_int_equal(last.count, 0);
    join(3, 0);
    finished(3, SP_SCHED_DONE); /* about a call that nobody has made */
    assert_null(find(SP_SCHED_END, 0));
    assert_int_equal(totals().waiting, 1);
}

static void test_a_direct_request_needs_a_worker_but_no_slot(void **state)
{
    (void)state;
    join_direct(1);
    assert_null(find(SP_SCHED_DISPATCH, 0));
    worker_up(WORKER, 1);
    assert_non_null(find(SP_SCHED_DISPATCH, 1));
    join(2, 0);
    assert_non_null(find(SP_SCHED_DISPATCH, 2));
    join_direct(3);
    assert_non_null(find(SP_SCHED_DISPATCH, 3));
    assert_null(find(SP_SCHED_ESTIMATE, 3));
}

static void test_direct_requests_have_a_limit_of_their_own(void **state)
{
    (void)state;
    worker_up(WORKER, 1);
    for (uint64_t req = 1; req <= 256; req++) {
        join_direct(req);
        assert_non_null(find(SP_SCHED_ADMIT, req));
    }
    join_direct(257);
    assert_int_equal(last.items[0].refuse.reason, SP_SCHED_QUEUE_FULL);
    assert_int_equal(last.items[0].refuse.max_size, 256);
    finished(1, SP_SCHED_DONE);
    join_direct(258);
    assert_non_null(find(SP_SCHED_ADMIT, 258));
}

static void test_a_space_runs_no_more_than_it_may_at_once(void **state)
{
    (void)state;
    space_set(fns, 4, SP_SCHED_UNLIMITED, 2);
    worker_up(WORKER, 10);
    for (uint64_t req = 1; req <= 4; req++)
        join(req, 3);
    assert_int_equal(totals().running, 2);
    finished(2, SP_SCHED_DONE);
    assert_non_null(find(SP_SCHED_DISPATCH, 3));
}

static void test_the_least_busy_worker_is_taken(void **state)
{
    (void)state;
    worker_up(WORKER, 4);
    worker_up(WORKER + 1, 4);
    join(1, 3);
    assert_int_equal(find(SP_SCHED_DISPATCH, 1)->worker, WORKER);
    join(2, 3);
    assert_int_equal(find(SP_SCHED_DISPATCH, 2)->worker, WORKER + 1);
    finished(1, SP_SCHED_DONE);
    join(3, 3);
    assert_int_equal(find(SP_SCHED_DISPATCH, 3)->worker, WORKER);
}

static void test_a_draining_worker_gets_nothing_new(void **state)
{
    (void)state;
    worker_up(WORKER, 4);
    join(1, 3);
    worker_event(SP_SCHED_WORKER_DRAIN, WORKER);
    join(2, 3);
    assert_null(find(SP_SCHED_DISPATCH, 0));
    finished(1, SP_SCHED_DONE);
    assert_non_null(find(SP_SCHED_END, 1));
    worker_up(WORKER + 1, 4);
    assert_non_null(find(SP_SCHED_DISPATCH, 2));
}

static void test_cancel_of_a_waiting_request_ends_it_at_once(void **state)
{
    (void)state;
    join(1, 0);
    cancel(1);
    assert_int_equal(find(SP_SCHED_END, 1)->end.outcome, SP_SCHED_CANCELED);
    assert_true(find(SP_SCHED_END, 1)->end.service_us == -1);
    assert_int_equal(totals().waiting, 0);
    worker_up(WORKER, 1);
    assert_null(find(SP_SCHED_DISPATCH, 0));
}

static void test_cancel_of_a_running_request_asks_first(void **state)
{
    (void)state;
    worker_up(WORKER, 1);
    join(1, 0);
    cancel(1);
    assert_non_null(find(SP_SCHED_SEND_CANCEL, 1));
    assert_null(find(SP_SCHED_END, 1));
    assert_true(find(SP_SCHED_WAKE_AT, 0)->at_us == now_us + GRACE);
    cancel(1); /* once is enough */
    assert_int_equal(last.count, 0);
    now_us += 1000;
    finished(1, SP_SCHED_CANCELED);
    assert_int_equal(find(SP_SCHED_END, 1)->end.outcome, SP_SCHED_CANCELED);
    assert_int_equal(find(SP_SCHED_END, 1)->end.service_us, 1000);
}

static void test_a_deaf_function_alone_in_its_worker_costs_the_worker(void **state)
{
    (void)state;
    worker_up(WORKER, 4);
    join(1, 0);
    join(2, 0);
    cancel(1);
    now_us += GRACE - 1;
    tick();
    assert_int_equal(count(SP_SCHED_KILL_WORKER), 0);
    /* The caller's clock was a little early: it has to come again. */
    assert_true(find(SP_SCHED_WAKE_AT, 0)->at_us == now_us + 1);
    now_us += 1;
    tick();
    assert_int_equal(find(SP_SCHED_KILL_WORKER, 0)->worker, WORKER);
    assert_int_equal(find(SP_SCHED_END, 1)->end.outcome, SP_SCHED_CANCELED);
    assert_null(find(SP_SCHED_DISPATCH, 0)); /* not into a worker that is about to die */
    assert_int_equal(totals().stopping, 1);
    worker_event(SP_SCHED_WORKER_DOWN, WORKER);
    assert_null(find(SP_SCHED_END, 1)); /* told once */
    worker_up(WORKER + 1, 4);
    assert_non_null(find(SP_SCHED_DISPATCH, 2));
}

static void test_a_deaf_function_beside_others_keeps_its_slot(void **state)
{
    (void)state;
    worker_up(WORKER, 4);
    join(1, 0);
    join(2, 3);
    cancel(1);
    now_us += GRACE;
    tick();
    assert_null(find(SP_SCHED_KILL_WORKER, 0));
    assert_int_equal(find(SP_SCHED_END, 1)->end.outcome, SP_SCHED_CANCELED);
    join(3, 0);
    assert_null(find(SP_SCHED_DISPATCH, 3)); /* group 0 is still full */
    finished(1, SP_SCHED_DONE);              /* it came back after all */
    assert_null(find(SP_SCHED_END, 1));
    assert_non_null(find(SP_SCHED_DISPATCH, 3));
}

static void test_a_worker_with_only_deaf_functions_left_is_killed(void **state)
{
    (void)state;
    worker_up(WORKER, 4);
    join(1, 0);
    join(2, 3);
    cancel(1);
    now_us += GRACE;
    tick();
    finished(2, SP_SCHED_DONE);
    assert_int_equal(find(SP_SCHED_KILL_WORKER, 0)->worker, WORKER);
}

static void test_a_lost_worker_loses_what_runs_and_nothing_that_waits(void **state)
{
    (void)state;
    worker_up(WORKER, 4);
    join(1, 0);
    join(2, 0);
    join(3, 3);
    cancel(3);
    worker_event(SP_SCHED_WORKER_DOWN, WORKER);
    assert_int_equal(find(SP_SCHED_END, 1)->end.outcome, SP_SCHED_LOST);
    assert_int_equal(find(SP_SCHED_END, 3)->end.outcome, SP_SCHED_CANCELED);
    assert_null(find(SP_SCHED_END, 2));
    worker_up(WORKER + 1, 4);
    assert_int_equal(count(SP_SCHED_DISPATCH), 1);
    assert_non_null(find(SP_SCHED_DISPATCH, 2));
}

static void test_removing_a_space_ends_everything(void **state)
{
    (void)state;
    worker_up(WORKER, 4);
    worker_up(WORKER + 1, 4);
    join(1, 0);
    join(2, 0);
    join_direct(3);
    worker_event(SP_SCHED_SPACE_REMOVE, 0);
    assert_int_equal(count(SP_SCHED_END), 3);
    assert_int_equal(count(SP_SCHED_KILL_WORKER), 2);
    assert_false(sp_sched_totals(sched, SPACE, &(struct sp_sched_totals){0}));
    finished(1, SP_SCHED_DONE);
    assert_int_equal(last.count, 0);
    assert_int_equal(sched->requests.count + sched->workers.count + sched->spaces.count, 0);
}

static void test_a_new_set_of_functions_keeps_the_line_in_order(void **state)
{
    static const struct sp_sched_fn one_group[] = {
        {.fn = 0, .group = 5, .limit = 1},
        {.fn = 2, .group = 5, .limit = 1},
    };

    (void)state;
    join(1, 2);
    join(2, 0);
    join(3, 1); /* a function that will be gone */
    join(4, 2);
    space_set(one_group, 2, SP_SCHED_UNLIMITED, 40);
    assert_int_equal(totals().waiting, 4);
    join(5, 1);
    assert_int_equal(last.items[0].refuse.reason, SP_SCHED_NO_FUNCTION);
    worker_up(WORKER, 1);
    assert_non_null(find(SP_SCHED_DISPATCH, 1));
    for (uint64_t req = 1; req < 4; req++) {
        finished(req, SP_SCHED_DONE);
        assert_int_equal(find(SP_SCHED_DISPATCH, 0)->req, req + 1);
    }
}

static void test_estimates_follow_gradios_formula(void **state)
{
    const struct sp_sched_action *told;

    (void)state;
    worker_up(WORKER, 4);
    join(1, 0);
    now_us += 300000;
    finished(1, SP_SCHED_DONE);
    assert_int_equal(find(SP_SCHED_END, 1)->end.average_us, 300000);
    join(2, 0);
    assert_int_equal(find(SP_SCHED_ESTIMATE, 2)->estimate.eta_us, 300000);
    assert_int_equal(find(SP_SCHED_DISPATCH, 2)->dispatch.eta_us, 300000);
    now_us += 100000;
    join(3, 0); /* the running one has 0.2 s to go */
    assert_int_equal(find(SP_SCHED_ESTIMATE, 3)->estimate.eta_us, 200000 + 300000);
    join(4, 0);
    told = find(SP_SCHED_ESTIMATE, 4);
    assert_int_equal(told->estimate.eta_us, 200000 + 300000 + 300000);
    assert_int_equal(told->estimate.rank, 1);
    assert_int_equal(told->estimate.size, 2);
    join(5, 1); /* its function has never run */
    assert_true(find(SP_SCHED_ESTIMATE, 5)->estimate.eta_us == SP_SCHED_NO_ETA);
    join(6, 0); /* and it stands in front of this one */
    assert_true(find(SP_SCHED_ESTIMATE, 6)->estimate.eta_us == SP_SCHED_NO_ETA);
    cancel(5);
    finished(2, SP_SCHED_FAILED); /* teaches nothing */
    assert_int_equal(find(SP_SCHED_END, 2)->end.average_us, 300000);
}

static void test_many_changes_make_one_estimate_per_interval(void **state)
{
    uint64_t told = 0;

    (void)state;
    for (uint64_t req = 1; req <= 100; req++)
        join(req, 3);
    tick();
    for (uint64_t req = 1; req <= 50; req++) { /* 50 changes within one interval */
        now_us += 1000;
        cancel(req);
        told += count(SP_SCHED_ESTIMATE);
    }
    assert_int_equal(told, 0);
    now_us += 2000000;
    tick();
    assert_int_equal(count(SP_SCHED_ESTIMATE), 50);
    assert_int_equal(find(SP_SCHED_ESTIMATE, 51)->estimate.rank, 0);
    assert_int_equal(find(SP_SCHED_ESTIMATE, 51)->estimate.size, 50);
    now_us += 2000000;
    tick();
    assert_int_equal(count(SP_SCHED_ESTIMATE), 0); /* nothing new */
}

static void test_an_idle_scheduler_asks_for_no_tick(void **state)
{
    (void)state;
    worker_up(WORKER, 1);
    join(1, 0);
    join(2, 0);
    finished(1, SP_SCHED_DONE);
    finished(2, SP_SCHED_DONE);
    for (int i = 0; i < 3; i++) {
        now_us += 10000000;
        tick();
    }
    assert_int_equal(last.count, 0);
}

struct seen {
    struct sp_sched_view views[8];
    size_t n;
};

static void collect(void *arg, const struct sp_sched_view *view)
{
    struct seen *seen = arg;

    seen->views[seen->n++] = *view;
}

static void test_the_view_shows_running_then_waiting_in_order(void **state)
{
    struct seen seen = {0};
    struct sp_sched_view preview;

    (void)state;
    worker_up(WORKER, 4);
    for (uint64_t req = 1; req <= 3; req++)
        join(req, 0);
    assert_int_equal(sp_sched_each(sched, SPACE, now_us, 8, collect, &seen), 3);
    assert_true(seen.views[0].running && seen.views[0].req == 1 && seen.views[0].worker == WORKER);
    assert_true(!seen.views[1].running && seen.views[1].req == 2 && seen.views[1].rank == 0);
    assert_true(seen.views[2].req == 3 && seen.views[2].rank == 1);
    seen.n = 0;
    assert_int_equal(sp_sched_each(sched, SPACE, now_us, 2, collect, &seen), 2);
    assert_true(sp_sched_preview(sched, SPACE, 1, now_us, &preview));
    assert_int_equal(preview.rank, 2);
    assert_false(sp_sched_preview(sched, SPACE, 9, now_us, &preview));
}

static void test_a_waiting_request_is_small(void **state)
{
    (void)state;
    assert_true(sizeof(struct request) <= 96);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_a_request_is_admitted_estimated_and_sent_in_one_step),
        TEST(test_requests_wait_until_a_worker_is_up_and_start_in_order),
        TEST(test_a_full_group_does_not_block_another),
        TEST(test_a_full_queue_refuses_with_its_size),
        TEST(test_unknown_things_are_refused_or_ignored),
        TEST(test_a_direct_request_needs_a_worker_but_no_slot),
        TEST(test_direct_requests_have_a_limit_of_their_own),
        TEST(test_a_space_runs_no_more_than_it_may_at_once),
        TEST(test_the_least_busy_worker_is_taken),
        TEST(test_a_draining_worker_gets_nothing_new),
        TEST(test_cancel_of_a_waiting_request_ends_it_at_once),
        TEST(test_cancel_of_a_running_request_asks_first),
        TEST(test_a_deaf_function_alone_in_its_worker_costs_the_worker),
        TEST(test_a_deaf_function_beside_others_keeps_its_slot),
        TEST(test_a_worker_with_only_deaf_functions_left_is_killed),
        TEST(test_a_lost_worker_loses_what_runs_and_nothing_that_waits),
        TEST(test_removing_a_space_ends_everything),
        TEST(test_a_new_set_of_functions_keeps_the_line_in_order),
        TEST(test_estimates_follow_gradios_formula),
        TEST(test_many_changes_make_one_estimate_per_interval),
        TEST(test_an_idle_scheduler_asks_for_no_tick),
        TEST(test_the_view_shows_running_then_waiting_in_order),
        TEST(test_a_waiting_request_is_small),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
