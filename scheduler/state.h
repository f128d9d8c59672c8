/*
 * scheduler/state.h - what the scheduler remembers; for the files of this folder only.
 *
 *     sched ── spaces ── groups ── line of waiting requests (FIFO)
 *                     ├─ functions (each in one group)
 *                     ├─ direct: waiting requests that take no place (queue=False)
 *                     ├─ workers
 *                     └─ runs: what was sent to a worker and has not come back
 *
 * Decisions never walk a hash map, whose order nobody promises, and never read a clock.
 */
#ifndef SP_SCHEDULER_STATE_H
#define SP_SCHEDULER_STATE_H

#include "base/list.h"
#include "base/map.h"
#include "scheduler/estimate.h"
#include "scheduler/sched.h"

/* Requests with queue=False that a Space may hold at once, waiting and running. */
#define DIRECT_MAX 256

/* One admitted request. A hundred thousand may wait, so what only runs need is in struct run. */
struct request {
    uint64_t id;
    uint64_t seq; /* order of arrival over all Spaces */
    uint64_t since_us;
    struct sp_list in_line; /* of its group, or of the Space's direct ones, while it waits */
    struct fn *fn;
    struct run *run;     /* NULL while it waits */
    int64_t told_end_us; /* last ESTIMATE: now + eta, or SP_SCHED_NO_ETA */
    uint32_t told_rank;
    uint32_t told_size;
    bool queued;
};

/* A request that was dispatched, until the worker has spoken its last word about it. */
struct run {
    struct request *req;
    struct worker *worker;
    uint64_t start_us;
    uint64_t deadline_us;     /* when the patience after a cancel ends */
    struct sp_list in_space;  /* by start */
    struct sp_list in_worker; /* by start */
    struct sp_list in_grace;  /* of the scheduler, by deadline, between SEND_CANCEL and the end */
    bool canceling;           /* SEND_CANCEL was sent */
    bool stopping;            /* its END was told already; it only holds its slot */
};

struct fn {
    uint32_t index;
    uint32_t limit;
    uint32_t waiting; /* in the line of its group */
    uint32_t live;    /* requests that point here */
    bool gone;        /* not in the Space's last set of functions: goes with its last request */
    struct group *group;
    struct sp_estimate_fn estimate;
    struct sp_list in_space;
};

/* Functions that share a limit. */
struct group {
    uint32_t index;
    uint32_t limit;   /* at least 1 */
    uint32_t waiting; /* length of `line` */
    uint32_t running; /* runs that hold a place, stopping ones included */
    struct sp_list line;
    struct sp_estimate_line sum; /* of `line` */
    struct space *space;
    struct sp_list in_space;
    struct sp_list in_publish; /* of `sched->dirty`, `sched->cooling`, or of none */
    uint64_t cool_us;          /* no publishing before this */
    bool cooling;
    bool changed; /* somebody who waits here may have to be told something new */
    bool passing; /* a pass over the line is half done: */
    uint32_t pass_rank;
    struct request *pass_next;          /* the next to be told; NULL at the end */
    struct sp_estimate_line pass_ahead; /* of those it has seen */
};

struct worker {
    uint64_t id;
    struct space *space;
    uint32_t slots;
    uint32_t used;     /* slots taken by queued requests */
    uint32_t runs;     /* all that it runs, direct and stopping ones included */
    uint32_t stopping; /* of these */
    bool draining;
    bool killed; /* KILL_WORKER was sent */
    struct sp_list running;
    struct sp_list in_space; /* by arrival */
};

struct space {
    uint64_t id;
    uint32_t max_size;
    uint32_t max_running;
    uint32_t cancel_grace_us;
    uint32_t waiting; /* in the lines of all groups */
    uint32_t running; /* that hold a slot, stopping ones included */
    uint32_t direct;  /* waiting and running */
    uint32_t n_runs;
    uint32_t n_stopping;
    uint32_t n_workers;
    uint64_t joined;
    uint64_t ended;
    uint64_t refused;
    struct sp_map fns_by_index;
    struct sp_list fns;
    struct sp_list groups;
    struct sp_list workers;
    struct sp_list runs;
    struct sp_list direct_line;
};

struct sp_sched {
    struct sp_sched_options options;
    struct sp_map spaces;
    struct sp_map workers;
    struct sp_map requests;
    struct sp_list dirty;   /* groups to publish at the end of this step */
    struct sp_list cooling; /* groups published lately, by cool_us */
    struct sp_list graces;  /* runs by deadline_us */
    uint64_t next_seq;
    uint64_t now_us;
    uint64_t wake_us; /* the last WAKE_AT that has not come yet; UINT64_MAX when none */
    struct sp_sched_action *items;
    size_t n_items;
    size_t cap_items;
};

/* sched.c */
struct sp_sched_action *sp_sched_emit(struct sp_sched *sched, enum sp_sched_action_kind kind,
                                      const struct space *space, uint64_t req, uint64_t worker);

/* space.c: a Space, its functions and groups */
void sp_sched_space_set(struct sp_sched *sched, const struct sp_sched_event *event);
void sp_sched_space_remove(struct sp_sched *sched, struct space *space);
void sp_sched_space_free(struct space *space);
void sp_sched_fn_release(struct fn *fn);

/* line.c: who waits, and who is next */
void sp_sched_join(struct sp_sched *sched, struct space *space, const struct sp_sched_event *event);
void sp_sched_line_enter(struct request *req);
void sp_sched_line_leave(struct request *req);
void sp_sched_dispatch(struct sp_sched *sched, struct space *space);

/* run.c: what was sent to a worker */
void sp_sched_worker_up(struct sp_sched *sched, struct space *space,
                        const struct sp_sched_event *event);
void sp_sched_worker_down(struct sp_sched *sched, struct worker *worker);
void sp_sched_start(struct sp_sched *sched, struct request *req, struct worker *worker);
void sp_sched_finished(struct sp_sched *sched, struct request *req, enum sp_sched_outcome outcome);
void sp_sched_cancel(struct sp_sched *sched, struct request *req);
void sp_sched_end(struct sp_sched *sched, struct request *req, enum sp_sched_outcome outcome);
void sp_sched_forget(struct sp_sched *sched, struct request *req);
/* Carries out the graces that are over. That frees no slot by itself, so nothing can start. */
void sp_sched_run_graces(struct sp_sched *sched);

/* publish.c: who is told what, and when */
struct request *sp_sched_behind(const struct request *req); /* in its line; NULL for the last */
void sp_sched_changed(struct sp_sched *sched, struct group *group);
void sp_sched_changed_all(struct sp_sched *sched, struct space *space);
void sp_sched_tell(struct sp_sched *sched, struct request *req, uint32_t rank, int64_t eta_us);
void sp_sched_publish(struct sp_sched *sched);
/* Until the first of the group's line may start; SP_SCHED_NO_ETA when nobody knows. */
int64_t sp_sched_free_in(const struct group *group, uint64_t now_us);
bool sp_sched_worker_takes_calls(const struct worker *worker);

#endif
