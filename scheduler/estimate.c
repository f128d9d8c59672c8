#include "scheduler/estimate.h"

#include "scheduler/sched.h"

/* Longer runs are learned as this: with it no sum over a line that fits in memory overflows. */
#define LONGEST_RUN_US (24 * 3600 * INT64_C(1000000))

int64_t sp_estimate_run(const struct sp_estimate_fn *fn)
{
    return fn->runs ? fn->average_us : SP_SCHED_NO_ETA;
}

void sp_estimate_enter(struct sp_estimate_line *line, const struct sp_estimate_fn *fn,
                       uint64_t count)
{
    if (fn->runs)
        line->work_us += fn->average_us * (int64_t)count;
    else
        line->unknown += count;
}

void sp_estimate_leave(struct sp_estimate_line *line, const struct sp_estimate_fn *fn,
                       uint64_t count)
{
    if (fn->runs)
        line->work_us -= fn->average_us * (int64_t)count;
    else
        line->unknown -= count;
}

void sp_estimate_learn(struct sp_estimate_fn *fn, uint64_t service_us)
{
    fn->total_us += service_us < LONGEST_RUN_US ? service_us : LONGEST_RUN_US;
    fn->runs++;
    fn->average_us = (int64_t)(fn->total_us / fn->runs);
}

int64_t sp_estimate_eta(const struct sp_estimate_fn *own, const struct sp_estimate_line *ahead,
                        uint32_t limit, int64_t free_in_us)
{
    if (!own->runs || ahead->unknown || free_in_us == SP_SCHED_NO_ETA)
        return SP_SCHED_NO_ETA;
    if (limit == SP_SCHED_UNLIMITED)
        return own->average_us + free_in_us;
    return own->average_us + ahead->work_us / limit + free_in_us;
}
