/*
 * scheduler/estimate.h - how long will it take? What is learned from runs that ended, and what a
 * waiting visitor is told. It knows nothing of queues: the caller says who is ahead.
 *
 * This one is Gradio's formula, so that the numbers in a page are those its users know:
 *
 *     eta = average(own) + sum over those ahead average(theirs) / limit + time until a slot is free
 *
 * where an average is over all successful runs of a function, and an average that is not known
 * makes every estimate behind it unknown. Whole microseconds, rounded down.
 */
#ifndef SP_SCHEDULER_ESTIMATE_H
#define SP_SCHEDULER_ESTIMATE_H

#include <stdbool.h>
#include <stdint.h>

/* What is known of one function. Zeroed = nothing yet. */
struct sp_estimate_fn {
    uint64_t total_us; /* of successful runs */
    uint64_t runs;
    int64_t average_us; /* total / runs; meaningless while runs is 0 */
};

/* A line of waiting requests, as a sum: adding and removing one costs the same at any length. */
struct sp_estimate_line {
    int64_t work_us;  /* sum of the known averages */
    uint64_t unknown; /* how many of the line have no average yet */
};

/* The expected run time, or SP_SCHED_NO_ETA. */
int64_t sp_estimate_run(const struct sp_estimate_fn *fn);

/* `count` requests of `fn` enter or leave the line. */
void sp_estimate_enter(struct sp_estimate_line *line, const struct sp_estimate_fn *fn,
                       uint64_t count);
void sp_estimate_leave(struct sp_estimate_line *line, const struct sp_estimate_fn *fn,
                       uint64_t count);

/* One successful run. The caller takes the function out of its line before and puts it back. */
void sp_estimate_learn(struct sp_estimate_fn *fn, uint64_t service_us);

/*
 * Until the result of a request of `own` behind the line `ahead`, when `limit` of the line run at
 * once and the first may start in `free_in_us` (or SP_SCHED_NO_ETA when nobody knows).
 */
int64_t sp_estimate_eta(const struct sp_estimate_fn *own, const struct sp_estimate_line *ahead,
                        uint32_t limit, int64_t free_in_us);

#endif
