/*
 * sandbox/init-internal.h - what pid 1's two files share: its table of workers (init.c), and the
 * zygote that some of them are forks of (zygote.c).
 */
#ifndef SP_SANDBOX_INIT_INTERNAL_H
#define SP_SANDBOX_INIT_INTERNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "sandbox/ctl.h"
#include "sandbox/init.h"

struct sp_error;

#define SP_INIT_WORKERS_MAX 64

enum worker_state {
    WORKER_FREE,
    WORKER_FORKING, /* ordered from the zygote, which has until `kill_at` */
    WORKER_RUNNING,
    WORKER_STOPPING, /* TERM is sent; killed at `kill_at` */
    WORKER_SWEEPING, /* its main process is reaped or killed; descendants may live */
};

struct worker {
    enum worker_state state;
    uint64_t id;
    pid_t pid;  /* our child; 0 once reaped */
    pid_t main; /* the app's process: of a fork the child of `pid`, its minder */
    gid_t tag;
    bool is_zygote;
    bool is_fork;       /* shares the zygote's tag */
    bool is_unanswered; /* neither STARTED nor START_FAILED was said about it */
    bool is_unwanted;   /* a stop came while it was FORKING */
    uint32_t grace_ms;  /* of that stop */
    uint64_t kill_at;
    unsigned sweeps;
    int status, signal;
    char why[200]; /* why its start fails, when it does */
};

struct init {
    const struct sp_init_plan *plan;
    struct sp_init_order order;
    struct worker workers[SP_INIT_WORKERS_MAX];
    unsigned next_tag;
    int sigchld;
    int zygote; /* our end of the conversation with the zygote, or -1 */
    bool has_pid_ns;
    bool childless; /* waitpid said that nothing is left */
    bool stopping;
    bool exec_hangs; /* by the fault point of tests */
    uint64_t kill_all_at;
};

/* --- init.c --- */

void sp_init_tell(enum sp_ctl_kind kind, uint64_t worker, int status, int sig, const char *text);
struct worker *sp_init_find(struct init *init, uint64_t id);
struct worker *sp_init_find_pid(struct init *init, pid_t pid);
struct worker *sp_init_free_worker(struct init *init);
/* TERM now, KILL after the grace; nothing for one that is ending already. */
void sp_init_stop_worker(struct worker *worker, uint32_t grace_ms);
/* Kills its main process; its descendants follow, then its end is told. */
void sp_init_start_sweep(struct worker *worker);

/* --- zygote.c --- */

/* The two ends of the conversation: ours into init->zygote, the other for the zygote. */
int sp_zygote_open(struct init *init, int *ret_theirs, struct sp_error *err);
/* Orders a fork; its STARTED or START_FAILED is said later. The descriptors stay the caller's. */
int sp_zygote_fork(struct init *init, const struct sp_ctl *msg, const int *fds,
                   struct sp_error *err);
/* Hears one word, or the end of the conversation; false when there is nothing to hear. */
bool sp_zygote_on_readable(struct init *init);
/* Its process is reaped or being killed: what it has not forked by now it never will. */
void sp_zygote_lost(struct init *init);
/* Ends a zygote that is late with a fork. */
void sp_zygote_on_time(struct init *init, uint64_t now);
/* A fork is on its way: nobody would know it from a leftover, so nothing of the kind is swept. */
bool sp_zygote_is_forking(const struct init *init);
/*
 * True when no process is left that came from the zygote and that neither it nor a living fork
 * answers for. Not while one is forking.
 */
bool sp_zygote_sweep(struct init *init, gid_t tag);

#endif
