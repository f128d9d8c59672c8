/*
 * scheduler/sched.h - who waits, who runs, and what everybody is told. The one header of this
 * folder that others include.
 *
 * `sp_sched_step(state, event, now)` decides everything and does nothing: it has no clock, no I/O
 * and no randomness of its own; the caller carries out the actions and feeds back what happened.
 * So a week can be simulated in a moment, and daemon and simulator run the same code. Time is in
 * whole microseconds; no floating point takes part in a decision, so every compiler and every
 * optimisation level decides alike.
 *
 * Ids are chosen by the caller and never reused: spaces, workers and requests are u64, not 0.
 *
 * Life of a request here:
 *
 *     JOIN -> ADMIT (waiting) | REFUSE
 *     waiting -> DISPATCH (running) -> FINISHED by the worker -> END done | failed
 *     waiting -> CANCEL -> END canceled
 *     running -> CANCEL -> SEND_CANCEL -> FINISHED -> END canceled | done
 *                                      -> grace over -> KILL_WORKER if nothing else runs in it,
 *                                                       and in any case END canceled; the request
 *                                                       holds its slot as "stopping" until FINISHED
 *                                                       or WORKER_DOWN, which tell nothing more
 *     running, worker lost -> END lost (canceled, when a cancel was under way)
 *
 * A worker in which nothing is left but stopping requests gets KILL_WORKER too: it is the only way
 * to get their slots back, and hurts nobody. A limit, max_running or slots of 0 counts as 1.
 */
#ifndef SP_SCHEDULER_SCHED_H
#define SP_SCHEDULER_SCHED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct sp_sched;

#define SP_SCHED_UNLIMITED UINT32_MAX
#define SP_SCHED_NO_ETA    INT64_MIN /* an estimate that is not known */

/* One function of a Space. */
struct sp_sched_fn {
    uint32_t fn;    /* index chosen by the app */
    uint32_t group; /* concurrency group within the Space */
    uint32_t limit; /* of that group as this function states it; the lowest of a group wins */
};

enum sp_sched_event_kind {
    SP_SCHED_SPACE_SET,    /* a Space, or a new set of functions for it; waiting requests stay */
    SP_SCHED_SPACE_REMOVE, /* all its requests END canceled; workers that run one get KILL_WORKER;
                            * its other workers are forgotten: the caller stops them */
    SP_SCHED_WORKER_UP,    /* a worker accepts calls */
    SP_SCHED_WORKER_DRAIN, /* no new calls; running ones go on */
    SP_SCHED_WORKER_DOWN,  /* gone: its running requests END lost */
    SP_SCHED_JOIN,         /* a request wants in */
    SP_SCHED_CANCEL,       /* by its owner, or because nobody listens any more */
    SP_SCHED_FINISHED,     /* the worker's last word about a request */
    SP_SCHED_TICK,         /* time went by: deadlines, graces, estimates */
};

enum sp_sched_outcome { SP_SCHED_DONE, SP_SCHED_FAILED, SP_SCHED_CANCELED, SP_SCHED_LOST };
const char *sp_sched_outcome_to_string(enum sp_sched_outcome outcome);

struct sp_sched_event {
    enum sp_sched_event_kind kind;
    uint64_t space;  /* all but CANCEL, FINISHED, TICK */
    uint64_t worker; /* WORKER_* */
    uint64_t req;    /* JOIN, CANCEL, FINISHED */
    union {
        struct {
            const struct sp_sched_fn *fns; /* borrowed for the call */
            size_t n_fns;
            uint32_t max_size;        /* waiting requests of the Space; SP_SCHED_UNLIMITED */
            uint32_t max_running;     /* of the Space over all groups (Gradio: max_threads 40) */
            uint32_t cancel_grace_us; /* from SEND_CANCEL to the kill; 2 s by design */
        } space_set;
        struct {
            uint32_t slots; /* calls it runs at once */
        } worker_up;
        struct {
            uint32_t fn;
            bool queued; /* false: `queue=False`: no place in the group, no rank, no slot; at most
                          * 256 of them per Space, waiting for a worker or running */
        } join;
        struct {
            enum sp_sched_outcome outcome; /* DONE, FAILED or CANCELED */
        } finished;
    };
};

enum sp_sched_refusal {
    SP_SCHED_QUEUE_FULL,  /* max_size waiting already */
    SP_SCHED_NO_FUNCTION, /* the Space has no such fn */
    SP_SCHED_NO_SPACE,    /* unknown Space */
};

enum sp_sched_action_kind {
    SP_SCHED_ADMIT,       /* the request waits now */
    SP_SCHED_REFUSE,      /* it does not; nothing of it is kept */
    SP_SCHED_DISPATCH,    /* send the call to `worker`, as attempt `attempt` */
    SP_SCHED_SEND_CANCEL, /* ask the worker to stop it */
    SP_SCHED_KILL_WORKER, /* end the process; WORKER_DOWN must follow */
    SP_SCHED_END,         /* terminal: `outcome`; the id is forgotten */
    SP_SCHED_ESTIMATE,    /* tell the visitor: rank, size, eta (only while waiting) */
    SP_SCHED_WAKE_AT,     /* send TICK at `at_us`, or earlier if another says so; once per step */
};

struct sp_sched_action {
    enum sp_sched_action_kind kind;
    uint64_t space;
    uint64_t req;
    uint64_t worker;
    union {
        struct {
            enum sp_sched_refusal reason;
            uint32_t
                max_size; /* for Gradio's words: "Queue is full. Max size is N and size is N." */
            uint32_t size;
        } refuse;
        struct {
            uint32_t attempt; /* from 1 */
            int64_t eta_us;   /* expected run time or SP_SCHED_NO_ETA */
        } dispatch;
        struct {
            enum sp_sched_outcome outcome;
            int64_t service_us; /* from dispatch to the end; -1 when it never started */
            int64_t average_us; /* of its function, this run included; -1 unknown */
        } end;
        struct {
            uint32_t rank;  /* 0-based among the waiting of its group */
            uint32_t size;  /* waiting in its group */
            int64_t eta_us; /* until the RESULT, or SP_SCHED_NO_ETA */
        } estimate;
        uint64_t at_us;
    };
};

/* The actions of one step, in the order in which they must be carried out. */
struct sp_sched_actions {
    const struct sp_sched_action *items; /* valid until the next step */
    size_t count;
};

struct sp_sched_options {
    uint32_t publish_min_us; /* at most one ESTIMATE per visitor in this time; 0 = each change */
    uint32_t publish_batch;  /* waiting requests that one step goes through to publish; 0 = 1024 */
};

struct sp_sched *sp_sched_new(const struct sp_sched_options *options);
void sp_sched_free(struct sp_sched *sched);

/*
 * The one way in. `now_us` never goes back. An event about something unknown (a request that has
 * ended, a worker that is gone) is not an error: it yields no action.
 */
struct sp_sched_actions sp_sched_step(struct sp_sched *sched, const struct sp_sched_event *event,
                                      uint64_t now_us);

/* --- reading the state, for pages, the CLI and metrics; changes nothing --------------------------
 */

struct sp_sched_view {
    uint64_t req;
    uint32_t fn;
    uint32_t group;
    bool running;
    bool stopping;     /* canceled but its function has not returned */
    uint32_t rank;     /* while waiting */
    uint64_t since_us; /* when it joined */
    uint64_t start_us; /* when it was dispatched, 0 while waiting */
    int64_t eta_us;    /* until the result, from `now_us`; or SP_SCHED_NO_ETA */
    uint64_t worker;   /* while running */
};

struct sp_sched_totals {
    uint32_t waiting;
    uint32_t running; /* and not stopping */
    uint32_t stopping;
    uint32_t workers;
    uint64_t joined; /* since the Space was first set */
    uint64_t ended;
    uint64_t refused;
};

bool sp_sched_totals(const struct sp_sched *sched, uint64_t space, struct sp_sched_totals *ret);
/* Calls `each` for running, then waiting requests in order; stops after `max`. Returns how many. */
size_t sp_sched_each(const struct sp_sched *sched, uint64_t space, uint64_t now_us, size_t max,
                     void (*each)(void *arg, const struct sp_sched_view *view), void *arg);
/* What a visitor would be told who joined `fn` now. False when the Space has no such function. */
bool sp_sched_preview(const struct sp_sched *sched, uint64_t space, uint32_t fn, uint64_t now_us,
                      struct sp_sched_view *ret);

#endif
