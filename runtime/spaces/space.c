#include "runtime/spaces/space.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "runtime/app/app.h"
#include "runtime/state/applog.h"
#include "runtime/config.h"
#include "runtime/spaces/space_gpu.h"
#include "runtime/spaces/spaces.h"

#define PARALLEL_STARTS 4     /* instances that load at the same time on this host */
#define CRASHES_MAX     5     /* in a row, then RUNTIME_ERROR until somebody acts */
#define LONG_LIFE_MS    60000 /* a version that served this long starts a new row */
#define NOT_A_STAGE     SP_STAGE_COUNT
#define FROZEN          "frozen since "

/* --- telling ---------------------------------------------------------------------------------- */

static void tell(struct sp_space *space)
{
    sp_apps_space_stage(space->all->apps, space->id, sp_stage_to_string(space->stage),
                        space->reason);
    SP_LIST_EACH (watcher, &space->watchers, struct sp_space_watcher, node)
        watcher->changed(watcher, space);
}

void sp_space_access(struct sp_space *space)
{
    sp_apps_space_access(space->all->apps, space->id);
    SP_LIST_EACH (watcher, &space->watchers, struct sp_space_watcher, node)
        watcher->changed(watcher, space);
}

static void set_stage(struct sp_space *space, enum sp_stage stage, const char *reason)
{
    if (space->stage == stage && strcmp(space->reason, reason) == 0)
        return;
    sp_log(SP_LOG_INFO, "space.stage", "space=%s/%s from=%s to=%s reason=%s", space->owner,
           space->name, sp_stage_to_string(space->stage), sp_stage_to_string(stage),
           sp_log_quoted(reason));
    if (space->stage != stage)
        space->since_ms = sp_clock_wall_ms();
    space->stage = stage;
    (void)snprintf(space->reason, sizeof(space->reason), "%s", reason);
    tell(space);
}

void sp_space_watch(struct sp_space *space, struct sp_space_watcher *watcher)
{
    sp_list_append(&space->watchers, &watcher->node);
}

void sp_space_unwatch(struct sp_space_watcher *watcher)
{
    sp_list_remove(&watcher->node);
}

/* --- facts ------------------------------------------------------------------------------------ */

static bool version_is_set(const struct sp_version *version)
{
    return version->snapshot[0] != '\0';
}

const struct sp_version *sp_space_version(const struct sp_space *space)
{
    return version_is_set(&space->current) ? &space->current : &space->candidate;
}

bool sp_space_is_quiet(const struct sp_space *space)
{
    return !space->serving && !space->next && space->stopping == 0;
}

/* --- instances -------------------------------------------------------------------------------- */

static void on_ready(void *arg, struct sp_instance *instance)
{
    struct sp_space *space = arg;

    if (instance != space->next)
        return;
    space->all->starting--;
    sp_space_step(space, SP_SPACE_NEXT_READY, NOT_A_STAGE, "");
    sp_spaces_progress(space->all);
}

static void on_failed(void *arg, struct sp_instance *instance, enum sp_stage stage,
                      const char *reason)
{
    struct sp_space *space = arg;

    if (instance != space->next)
        return;
    space->all->starting--;
    space->next = NULL;
    space->stopping++;
    sp_space_step(space, SP_SPACE_NEXT_FAILED, stage, reason);
    sp_spaces_progress(space->all);
}

/*
 * The first end in a row gets another worker in the same sandbox, where the visitors' state is.
 * When that one ends too, the sandbox may be the reason (a full layer, memory that is used up): a
 * new one.
 */
static void keep_for_revival(struct sp_space *space, struct sp_instance *instance)
{
    space->next = instance;
    space->next_is_candidate = false;
    space->next_is_crashed = true;
    space->all->starting++;
}

static void on_exited(void *arg, struct sp_instance *instance, const char *reason, bool asked)
{
    struct sp_space *space = arg;

    if (instance != space->serving)
        return;
    space->serving = NULL;
    if (sp_clock_mono_ms() - space->served_since_ms > LONG_LIFE_MS)
        space->crashes = 0;
    if (!space->next && !space->start_queued && space->crashes == 0 && !space->all->stopping &&
        sp_instance_may_revive(instance)) {
        keep_for_revival(space, instance);
    } else {
        space->stopping++;
        sp_instance_stop(instance, 0);
    }
    sp_space_step(space, asked ? SP_SPACE_ENDED : SP_SPACE_EXITED, NOT_A_STAGE, reason);
}

static void on_gone(void *arg, struct sp_instance *instance)
{
    struct sp_space *space = arg;

    if (instance == space->next) { /* crashed, and its sandbox went too: the back-off starts anew */
        space->next = NULL;
        space->next_is_crashed = false;
        space->all->starting--;
    } else {
        space->stopping--;
    }
    sp_spaces_drop_snapshot(space->all, sp_instance_snapshot(instance));
    sp_spaces_progress(space->all);
}

/* Beside the stage, which stays RUNNING; a reason that tells of a failure is kept. */
static void on_frozen(void *arg, struct sp_instance *instance, bool frozen)
{
    struct sp_space *space = arg;
    char since[SP_TIME_LEN];
    SP_AUTO_FREE char *why = NULL;

    if (instance != space->serving || space->stage != SP_STAGE_RUNNING)
        return;
    if (!frozen && strncmp(space->reason, FROZEN, strlen(FROZEN)) == 0) {
        set_stage(space, SP_STAGE_RUNNING, "");
    } else if (frozen && !space->reason[0]) {
        sp_clock_format(sp_instance_frozen_since(instance), since);
        why = sp_asprintf(FROZEN "%s, wakes with the next visit", since);
        set_stage(space, SP_STAGE_RUNNING, why);
    }
    if (frozen)
        sp_spaces_progress(space->all); /* who waits for a GPU may have its own */
}

static void stop_serving(struct sp_space *space, uint64_t drain_ms)
{
    struct sp_instance *instance = SP_TAKE(space->serving);

    if (!instance)
        return;
    space->stopping++;
    sp_instance_stop(instance, drain_ms);
}

static void stop_next(struct sp_space *space)
{
    struct sp_instance *instance = SP_TAKE(space->next);

    if (!instance)
        return;
    space->next_is_crashed = false;
    space->all->starting--;
    space->stopping++;
    sp_instance_stop(instance, 0);
}

static void set_queued(struct sp_space *space, bool queued)
{
    if (queued && !space->start_queued)
        sp_list_append(&space->all->waiting, &space->wait_node);
    else if (!queued && space->start_queued)
        sp_list_remove(&space->wait_node);
    space->start_queued = queued;
}

static bool may_start(struct sp_space *space)
{
    if (space->all->starting >= PARALLEL_STARTS) {
        (void)snprintf(space->waits, sizeof(space->waits), "waits for other apps to start");
        return false;
    }
    if (space->grows && space->stopping > 0) {
        (void)snprintf(space->waits, sizeof(space->waits),
                       "waits for the last calls of what ran to end, for its storage grows (see "
                       "the setting drain)");
        return false;
    }
    space->grows = false;
    switch (sp_space_gpu_ask(space)) {
    case SP_SPACE_GPU_MAY_START: return true;
    case SP_SPACE_GPU_WAITS: break;
    case SP_SPACE_GPU_IS_OURS:
        stop_serving(space, sp_config_duration(space->all->config, "drain"));
        break;
    }
    return false;
}

/* Starts the candidate, or the current version where there is none; false when nothing is there. */
static bool start_next(struct sp_space *space)
{
    const struct sp_instance_hooks hooks = {on_ready, on_failed, on_exited,
                                            on_gone,  on_frozen, space};
    const struct sp_version *version =
        version_is_set(&space->candidate) ? &space->candidate : &space->current;
    struct sp_instance_plan plan = {
        .space = space->id,
        .owner = space->owner,
        .name = space->name,
        .app_file = version->card.app_file,
        .snapshot = version->snapshot,
        .host = "localhost",
        .base = version->card.base,
        .resources = &space->resources,
        .env = space->env,
    };

    if (!version_is_set(version))
        return false;
    (void)uv_timer_stop(&space->backoff);
    stop_next(space);
    set_queued(space, !may_start(space));
    if (space->start_queued)
        return true; /* sp_spaces_progress brings us back */

    sp_applog_note(space->log, "starting version %llu (%.12s), engine builtin",
                   (unsigned long long)version->number, version->snapshot);
    space->next_is_candidate = version == &space->candidate;
    space->all->starting++;
    space->next = sp_instance_start(&space->all->instances, &plan, space->log, &hooks);
    return true;
}

/* Doubles with each crash; one too many ends it, so that the shift stays small. */
static uint64_t backoff_ms(const struct sp_space *space)
{
    uint64_t ms = sp_config_duration(space->all->config, "space.backoff") << (space->crashes - 1);
    uint64_t most = sp_config_duration(space->all->config, "space.backoff_max");

    return ms < most ? ms : most;
}

static void on_backoff(uv_timer_t *timer)
{
    sp_space_step(timer->data, SP_SPACE_BACKOFF_OVER, NOT_A_STAGE, "");
}

/* --- the steps -------------------------------------------------------------------------------- */

/* What the next version does, or waits for. */
static void tell_start(struct sp_space *space)
{
    set_stage(space, space->serving ? SP_STAGE_RUNNING_APP_STARTING : SP_STAGE_APP_STARTING,
              space->start_queued ? space->waits : "the app is loading");
}

static void step_wanted(struct sp_space *space)
{
    if (space->broken[0]) {
        set_stage(space, SP_STAGE_RUNTIME_ERROR, space->broken);
        return;
    }
    if (space->paused) {
        set_stage(space, SP_STAGE_PAUSED, "paused by its owner");
        return;
    }
    space->crashes = 0;
    if (start_next(space))
        tell_start(space);
}

/* The candidate has proved itself: it is the current version from now on. */
static void promote(struct sp_space *space)
{
    sp_spaces_outdate(space, space->current.snapshot);
    space->current = space->candidate;
    space->candidate = (struct sp_version){0};
    space->failure = (struct sp_failure){0};
    sp_spaces_save(space);
}

static void step_ready(struct sp_space *space)
{
    stop_serving(space, sp_config_duration(space->all->config, "drain"));
    space->serving = SP_TAKE(space->next);
    space->served_since_ms = sp_clock_mono_ms();
    sp_instance_serve(space->serving);
    if (space->next_is_candidate)
        promote(space);
    else if (space->failure.number == space->current.number)
        space->failure = (struct sp_failure){0}; /* it had crashed, and runs again */
    set_stage(space, SP_STAGE_RUNNING, "");
}

static void note_failure(struct sp_space *space, enum sp_stage stage, const char *reason)
{
    space->failure.is_set = true;
    space->failure.stage = stage;
    space->failure.number =
        space->next_is_candidate ? space->candidate.number : space->current.number;
    (void)snprintf(space->failure.reason, sizeof(space->failure.reason), "%s", reason);
    if (space->next_is_candidate && version_is_set(&space->current)) {
        sp_spaces_outdate(space, space->candidate.snapshot);
        space->candidate = (struct sp_version){0};
    }
    sp_spaces_save(space);
}

static void step_failed(struct sp_space *space, enum sp_stage stage, const char *reason)
{
    bool was_candidate = space->next_is_candidate;

    note_failure(space, stage, reason);
    if (space->serving) {
        SP_AUTO_FREE char *why =
            sp_asprintf("version %llu did not start, the one before serves on: %.300s",
                        (unsigned long long)space->failure.number, reason);

        set_stage(space, SP_STAGE_RUNNING, why);
        return;
    }
    if (was_candidate && version_is_set(&space->current)) {
        (void)start_next(space); /* the candidate has failed, so this is the version before it */
        set_stage(space, SP_STAGE_APP_STARTING,
                  space->start_queued ? space->waits : "the version before is loading again");
        return;
    }
    set_stage(space, stage, reason);
}

/* Another worker in the sandbox that lost its own, or a new sandbox. */
static void start_again(struct sp_space *space)
{
    if (!space->next_is_crashed) {
        (void)start_next(space);
        return;
    }
    space->next_is_crashed = false;
    sp_instance_revive(space->next);
}

/* The back-off is over, or one that waited may look again whether it can have what it needs. */
static void step_backoff_over(struct sp_space *space)
{
    bool waited = space->start_queued;

    start_again(space);
    if (waited || space->start_queued)
        tell_start(space);
}

static void step_ended(struct sp_space *space, const char *reason)
{
    set_stage(space, SP_STAGE_APP_STARTING, reason);
    if (!space->next || space->next_is_crashed)
        start_again(space);
    if (space->start_queued)
        tell_start(space);
}

static void step_exited(struct sp_space *space, const char *reason)
{
    SP_AUTO_FREE char *why = NULL;

    if (space->next && !space->next_is_crashed) {
        set_stage(space, SP_STAGE_APP_STARTING, reason);
        return;
    }
    if (++space->crashes >= CRASHES_MAX) {
        why = sp_asprintf(
            "%.300s; it ended %u times in a row and is not started again until you restart it",
            reason, space->crashes);
        space->next_is_candidate = false;
        note_failure(space, SP_STAGE_RUNTIME_ERROR, why);
        set_stage(space, SP_STAGE_RUNTIME_ERROR, why);
        return;
    }
    why = sp_asprintf("%.300s; it is started again", reason);
    set_stage(space, SP_STAGE_APP_STARTING, why);
    (void)uv_timer_start(&space->backoff, on_backoff, backoff_ms(space), 0);
}

static void step_end(struct sp_space *space, enum sp_stage stage, const char *reason,
                     uint64_t drain_ms)
{
    (void)uv_timer_stop(&space->backoff);
    set_queued(space, false);
    stop_next(space);
    stop_serving(space, drain_ms);
    set_stage(space, stage, reason);
}

void sp_space_step(struct sp_space *space, enum sp_space_event event, enum sp_stage stage,
                   const char *reason)
{
    uint64_t drain_ms = sp_config_duration(space->all->config, "drain");

    if (space->stage == SP_STAGE_DELETING || (space->all->stopping && event != SP_SPACE_SHUTDOWN))
        return;
    switch (event) {
    case SP_SPACE_WANTED: step_wanted(space); break;
    case SP_SPACE_REPLACE:
        stop_serving(space, drain_ms);
        step_wanted(space);
        break;
    case SP_SPACE_NEXT_READY: step_ready(space); break;
    case SP_SPACE_NEXT_FAILED: step_failed(space, stage, reason); break;
    case SP_SPACE_EXITED: step_exited(space, reason); break;
    case SP_SPACE_ENDED: step_ended(space, reason); break;
    case SP_SPACE_BACKOFF_OVER: step_backoff_over(space); break;
    case SP_SPACE_PAUSE: step_end(space, SP_STAGE_PAUSED, "paused by its owner", drain_ms); break;
    case SP_SPACE_SLEEP:
        step_end(
            space, SP_STAGE_SLEEPING,
            "sleeps: nobody used it and another Space needed its GPU; the next visit starts it", 0);
        break;
    case SP_SPACE_DELETE: step_end(space, SP_STAGE_DELETING, "deleted by its owner", 0); break;
    case SP_SPACE_SHUTDOWN: step_end(space, SP_STAGE_STOPPED, "spacesd stops", drain_ms); break;
    }
}

/* --- this life -------------------------------------------------------------------------------- */

void sp_space_open(struct sp_space *space, struct sp_spaces *all)
{
    space->all = all;
    space->stage = SP_STAGE_STOPPED;
    space->since_ms = sp_clock_wall_ms();
    sp_list_init(&space->watchers);
    sp_list_init(&space->node);
    sp_list_init(&space->wait_node);
    space->log = sp_applog_new(all->loop, SP_DIR_LOGS, space->id, all->config);
    (void)uv_timer_init(all->loop, &space->backoff);
    space->backoff.data = space;
    space->backoff_open = true;
}

static void on_closed(uv_handle_t *handle)
{
    struct sp_space *space = handle->data;

    space->on_closed(space);
}

void sp_space_close(struct sp_space *space, void (*closed)(struct sp_space *space))
{
    if (!space->backoff_open)
        return;
    space->backoff_open = false;
    space->on_closed = closed;
    sp_applog_close(space->log);
    space->log = NULL;
    uv_close((uv_handle_t *)&space->backoff, on_closed);
}
