/* Whether a Space is in use, and workers that are held still with their sandbox. */
#include "runtime/app/app-internal.h"

#include <string.h>

/* Somebody looks at it: a stream, a page's socket, a client's heartbeat. */
static bool has_listener(const struct sp_app_space *space)
{
    const struct sp_app_session *session;
    size_t cursor = 0;

    while ((session = sp_map_next(&space->sessions, &cursor, NULL)))
        if (sp_session_is_held(session))
            return true;
    return false;
}

static bool is_used(struct sp_apps *apps, const struct sp_app_space *space)
{
    uint32_t waiting = 0, running = 0;

    sp_apps_queue_counts(apps, space->id, &waiting, &running);
    if (waiting || running || !sp_list_empty(&space->held) || !sp_list_empty(&space->parked))
        return true;
    SP_LIST_EACH (worker, &space->workers, struct sp_app_worker, in_space)
        if (!sp_list_empty(&worker->events))
            return true;
    return has_listener(space);
}

uint64_t sp_apps_idle_ms(struct sp_apps *apps, uint64_t id)
{
    struct sp_app_space *space = sp_app_space_get(apps, id);

    if (!space)
        return 0;
    if (is_used(apps, space))
        space->used_ms = uv_now(apps->loop);
    return uv_now(apps->loop) - space->used_ms;
}

void sp_app_space_touch(struct sp_app_space *space)
{
    struct sp_apps *apps = space->apps;

    space->used_ms = uv_now(apps->loop);
    if (space->serving && space->serving->held)
        sp_app_worker_wanted(space->serving);
    if (apps->hooks.wake_space && space->stage && strcmp(space->stage, "SLEEPING") == 0)
        apps->hooks.wake_space(apps->hooks.arg, space->id);
}

void sp_app_worker_wanted(void *arg)
{
    struct sp_app_worker *worker = arg;

    if (!SP_TAKE_FLAG(worker->held))
        return;
    if (worker->conn)
        sp_worker_hold(worker->conn, false);
    if (worker->space->apps->hooks.wake_worker)
        worker->space->apps->hooks.wake_worker(worker->space->apps->hooks.arg, worker->id);
}

void sp_apps_worker_hold(struct sp_apps *apps, uint64_t id, bool held)
{
    struct sp_app_worker *worker = sp_app_worker_find(apps, id);

    if (!worker)
        return;
    worker->held = held;
    if (worker->conn)
        sp_worker_hold(worker->conn, held);
}
