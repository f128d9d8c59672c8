/*
 * bench_sched.c - what one request costs the scheduler when so many wait already: a newcomer joins,
 * the running call finishes, the next is picked. The clock runs on, so that the publishing passes
 * over the whole line (one per 2 s) are in the number. Prints one JSON line per length of the line.
 */
#include <inttypes.h>
#include <stdio.h>
#include <sys/resource.h>

#include "base/clock.h"
#include "scheduler/sched.h"

#define SPACE  1
#define WORKER 2

static struct sp_sched *sched;
static uint64_t running;
static uint64_t estimates;

static void step(struct sp_sched_event event)
{
    struct sp_sched_actions actions = sp_sched_step(sched, &event, sp_clock_mono_ns() / 1000);

    for (size_t i = 0; i < actions.count; i++) {
        if (actions.items[i].kind == SP_SCHED_DISPATCH)
            running = actions.items[i].req;
        estimates += actions.items[i].kind == SP_SCHED_ESTIMATE;
    }
}

static void join(uint64_t req)
{
    step((struct sp_sched_event){
        .kind = SP_SCHED_JOIN, .space = SPACE, .req = req, .join.queued = true});
}

static void finish_running(void)
{
    step((struct sp_sched_event){
        .kind = SP_SCHED_FINISHED, .req = running, .finished.outcome = SP_SCHED_DONE});
}

static long rss_kb(void)
{
    struct rusage usage;

    (void)getrusage(RUSAGE_SELF, &usage);
    return usage.ru_maxrss;
}

static void bench(uint64_t queued, uint64_t cycles)
{
    const struct sp_sched_fn fn = {.fn = 0, .group = 0, .limit = 1};
    uint64_t next = 1;
    uint64_t began_ns, spent_ns, worst_ns = 0;
    long before_kb = rss_kb();
    long held_kb;

    sched = sp_sched_new(&(struct sp_sched_options){.publish_min_us = 2000000});
    step((struct sp_sched_event){.kind = SP_SCHED_SPACE_SET,
                                 .space = SPACE,
                                 .space_set = {.fns = &fn,
                                               .n_fns = 1,
                                               .max_size = SP_SCHED_UNLIMITED,
                                               .max_running = 40,
                                               .cancel_grace_us = 2000000}});
    step((struct sp_sched_event){
        .kind = SP_SCHED_WORKER_UP, .space = SPACE, .worker = WORKER, .worker_up.slots = 1});
    while (next <= queued + 1)
        join(next++);
    held_kb = rss_kb() - before_kb;

    estimates = 0;
    began_ns = sp_clock_mono_ns();
    for (uint64_t i = 0; i < cycles; i++) {
        uint64_t at_ns = sp_clock_mono_ns();
        uint64_t took_ns;

        join(next++);
        finish_running();
        took_ns = sp_clock_mono_ns() - at_ns;
        worst_ns = took_ns > worst_ns ? took_ns : worst_ns;
    }
    spent_ns = sp_clock_mono_ns() - began_ns;
    printf("{\"bench\":\"sched\",\"queued\":%" PRIu64 ",\"cycles\":%" PRIu64
           ",\"ns_per_cycle\":%" PRIu64 ",\"worst_step_us\":%" PRIu64 ",\"estimates\":%" PRIu64
           ",\"bytes_per_waiting\":%ld}\n",
           queued, cycles, spent_ns / cycles, worst_ns / 1000, estimates,
           held_kb * 1024 / (long)queued);
    sp_sched_free(sched);
}

int main(void)
{
    bench(100, 3000000);
    bench(10000, 3000000);
    bench(1000000, 3000000);
    return 0;
}
