/*
 * runtime/spaces/instance.h - one version of one Space as it runs: a sandbox and its worker.
 *
 *     new -> (sandbox up) -> (worker loads) -> READY -> serving -> stop -> GONE
 *                     \______________\^_______ FAILED ______________/
 *                                     \______ EXITED (sp_instance_revive)
 *
 * An instance reports READY or FAILED once for each worker, EXITED when the worker of a ready one
 * ends by itself (the sandbox, and the session state in it, stays until revive or stop), and GONE
 * last, when nothing of it is left. After GONE it does not exist any more. It never decides what
 * happens next: that is space.c's.
 */
#ifndef SP_RUNTIME_SPACES_INSTANCE_H
#define SP_RUNTIME_SPACES_INSTANCE_H

#include <stdbool.h>
#include <stdint.h>

#include <jansson.h>
#include <uv.h>

#include "runtime/state/snapshot.h"
#include "runtime/spaces/stage.h"
#include "sandbox/launch.h"

struct sp_apps;
struct sp_applog;
struct sp_bases;
struct sp_config;
struct sp_gpu_slots;
struct sp_instance;
struct sp_launcher;
struct sp_resources;
struct sp_secrets;
struct sp_zygote_refusals;

/* What an instance is made from. Strings are copied. */
struct sp_instance_plan {
    uint64_t space;
    const char *owner;
    const char *name;
    const char *app_file;
    const char *snapshot;                 /* hash */
    const char *host;                     /* for SPACE_HOST */
    const char *base;                     /* the card's word; borrowed for the start */
    const struct sp_resources *resources; /* borrowed for the start */
    json_t *env;                          /* variables and secrets, or NULL */
};

/* The rest of the daemon, as instances see it. */
struct sp_instances {
    uv_loop_t *loop;
    const struct sp_config *config;
    struct sp_launcher *launcher;
    struct sp_apps *apps;
    struct sp_gpu_slots *gpus;        /* set after the init; not NULL */
    struct sp_bases *bases;           /* the same */
    const struct sp_secrets *secrets; /* the same */
    uint64_t last_id;    /* ids of sandboxes and workers: never reused while the launcher lives */
    struct sp_list *all; /* private to instance*.c, like the next */
    struct sp_zygote_refusals *refusals;
};

struct sp_instance_hooks {
    void (*ready)(void *arg, struct sp_instance *instance);
    void (*failed)(void *arg, struct sp_instance *instance, enum sp_stage stage,
                   const char *reason);
    /* `asked`: the scheduler wanted this end (a cancel that the app ignored), so it is no crash. */
    void (*exited)(void *arg, struct sp_instance *instance, const char *reason, bool asked);
    void (*gone)(void *arg, struct sp_instance *instance);
    /* It is held still because nobody uses it, or goes on. */
    void (*frozen)(void *arg, struct sp_instance *instance, bool frozen);
    void *arg;
};

void sp_instances_init(struct sp_instances *all, uv_loop_t *loop, const struct sp_config *config,
                       struct sp_launcher *launcher, struct sp_apps *apps);
void sp_instances_done(struct sp_instances *all);

struct sp_instance *sp_instance_start(struct sp_instances *all, const struct sp_instance_plan *plan,
                                      struct sp_applog *log, const struct sp_instance_hooks *hooks);
/* Its calls go to it from now on; only after READY. */
void sp_instance_serve(struct sp_instance *instance);
/* After EXITED: its sandbox is still of use; false where the launcher ends that too. */
bool sp_instance_may_revive(const struct sp_instance *instance);
/* After EXITED: another worker in the same sandbox. READY or FAILED follows. */
void sp_instance_revive(struct sp_instance *instance);
/* Lets running calls finish (bounded by `drain_ms`), then stops. GONE follows. Harmless twice. */
void sp_instance_stop(struct sp_instance *instance, uint64_t drain_ms);

const char *sp_instance_snapshot(const struct sp_instance *instance);
/* Some instance, perhaps one on its way out, has this snapshot's files before its eyes. */
bool sp_instances_use(const struct sp_instances *all, const char *snapshot);
/* The same of a base's files, by digest. */
bool sp_instances_use_base(const struct sp_instances *all, const char *digest);
uint64_t sp_instance_start_ms(const struct sp_instance *instance); /* from start to READY */
uint64_t sp_instance_sandbox(const struct sp_instance *instance);
/* Wall clock; 0 = it is not frozen. */
int64_t sp_instance_frozen_since(const struct sp_instance *instance);
/* Another idle time until it is frozen; 0 = never. */
void sp_instance_set_freeze(struct sp_instance *instance, uint64_t after_ms);
/* The last counters; asks for new ones if they are older than a second. False before the first. */
bool sp_instance_usage(struct sp_instance *instance, struct sp_launch_usage *ret);

/* From the launcher and the scheduler, by id; unknown ids are stale and ignored. */
void sp_instances_worker_exited(struct sp_instances *all, const struct sp_launch_msg *event);
void sp_instances_sandbox_gone(struct sp_instances *all, const struct sp_launch_msg *event);
/* Something is wanted of it. */
void sp_instances_wake_worker(struct sp_instances *all, uint64_t worker);
void sp_instances_limit_hit(struct sp_instances *all, const struct sp_launch_msg *event);
void sp_instances_kill_worker(struct sp_instances *all, uint64_t worker);

#endif
