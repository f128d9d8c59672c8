/*
 * runtime/spaces/instance-internal.h - what the files of an instance share.
 *
 *     instance.c         all instances; one with its sandbox: starts, serves, facts
 *     instance_worker.c  the process in it: forked from a zygote or started, until it is ready
 *     instance_end.c     how it ends: failed, stopped, exited, gone
 */
#ifndef SP_RUNTIME_SPACES_INSTANCE_INTERNAL_H
#define SP_RUNTIME_SPACES_INSTANCE_INTERNAL_H

#include "base/list.h"
#include "runtime/spaces/freezer.h"
#include "runtime/spaces/instance.h"
#include "runtime/spaces/limit_note.h"
#include "runtime/spaces/zygote.h"

/* In the order of a life: what is below READY has not told READY or FAILED yet. */
enum sp_instance_phase {
    SP_PHASE_SANDBOX, /* is being built */
    SP_PHASE_WORKER,  /* is being started, or its zygote */
    SP_PHASE_LOADING, /* app.py */
    SP_PHASE_READY,
    SP_PHASE_CRASHED, /* the sandbox stays until revive or stop */
    SP_PHASE_DRAINING,
    SP_PHASE_STOPPING,
};

struct sp_instance_pending;

struct sp_instance {
    struct sp_list node;
    struct sp_instances *all;
    struct sp_applog *log;
    struct sp_instance_hooks hooks;
    struct sp_instance_plan plan; /* its strings are ours */
    uint64_t sandbox;
    uint64_t worker;
    enum sp_instance_phase phase;
    bool worker_alive; /* the launcher has one for us */
    bool is_fork;      /* ... and was asked to fork it */
    int held_fd; /* our end of its protocol socket, until the launcher says that it is there */
    struct sp_space_zygote zygote;
    bool end_asked; /* we killed it for the scheduler */
    bool app_knows; /* app.c has the worker's socket */
    uint64_t began_ms;
    uint64_t start_ms;
    uint64_t usage_at_ms;
    bool has_usage;
    struct sp_launch_usage usage;
    uint32_t network;               /* enum sp_launch_network */
    struct sp_launch_limits limits; /* what its sandbox was given */
    char refusal[512];
    char base[SP_LAUNCH_HASH_LEN + 1]; /* digest; "" = the host's files */
    struct sp_limit_notes notes;
    struct sp_freezer freezer;
    uv_timer_t timer; /* start timeout, then the freezer's, then the drain */
    bool timer_open;
};

/* --- instance.c --- */

struct sp_instance *sp_instances_by_sandbox(struct sp_instances *all, uint64_t sandbox);
struct sp_instance *sp_instances_by_worker(struct sp_instances *all, uint64_t worker);
/* The argument of a launcher call about `instance`, for exactly one sp_instance_pending_take. */
struct sp_instance_pending *sp_instance_pending_new(struct sp_instance *instance);
/* Frees it. NULL: the instance is gone. */
struct sp_instance *sp_instance_pending_take(void *arg);

/* --- instance_worker.c --- */

/* The sandbox is there: a zygote first, where one is wanted. */
void sp_instance_first_worker(struct sp_instance *instance);
/* By a fork of the zygote where there is one, else from nothing. */
void sp_instance_start_worker(struct sp_instance *instance);

/* --- instance_end.c --- */

/* Before READY: tell once, then take it down. */
void sp_instance_fail(struct sp_instance *instance, enum sp_stage stage, const char *reason);
void sp_instance_stop_sandbox(struct sp_instance *instance);
/* Nothing of it is left in the launcher: GONE follows. Harmless twice. */
void sp_instance_finish(struct sp_instance *instance);

#endif
