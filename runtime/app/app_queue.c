/* What the API and the command line see of a Space's queue. */
#include "runtime/app/app-internal.h"

#include "base/clock.h"

#define ENTRIES_MAX 1000

struct listing {
    struct sp_apps *apps;
    struct sp_app_space *space;
    json_t *entries;
    uint64_t now_us;
    int64_t now_wall_ms;
};

static json_t *seconds(int64_t us)
{
    return us < 0 ? json_null() : json_real((double)us / 1e6);
}

static json_t *api_name(const struct sp_worker_function *fn)
{
    return fn && fn->api_name[0] ? json_string(fn->api_name) : json_null();
}

static void each_entry(void *arg, const struct sp_sched_view *view)
{
    struct listing *list = arg;
    struct sp_app_event *ev = sp_map_get_u64(&list->apps->events, view->req);
    const char *state = view->stopping ? "stopping" : view->running ? "running" : "waiting";
    uint64_t age_us = list->now_us - view->since_us;
    char hex[SP_ID_HEX] = "";
    char since[SP_TIME_LEN];

    if (ev)
        sp_id_to_hex(&ev->id, hex);
    sp_clock_format(list->now_wall_ms - (int64_t)(age_us / 1000), since);
    (void)json_array_append_new(
        list->entries,
        json_pack("{s:s, s:i, s:o, s:s, s:o, s:s, s:o, s:o}", "event_id", hex, "fn", (int)view->fn,
                  "api_name", api_name(sp_app_function(list->space, view->fn)), "state", state,
                  "rank", view->running ? json_null() : json_integer(view->rank), "since", since,
                  "age_s", seconds((int64_t)age_us), "eta_s", seconds(view->eta_us)));
}

static json_t *functions(struct listing *list)
{
    json_t *all = json_array();

    for (size_t i = 0; i < list->space->n_fns; i++) {
        const struct sp_worker_function *fn = &list->space->fns[i];
        struct sp_sched_view view;

        if (!sp_sched_preview(list->apps->sched, list->space->id, fn->fn, list->now_us, &view))
            continue;
        (void)json_array_append_new(all, json_pack("{s:i, s:o, s:i, s:o}", "fn", (int)fn->fn,
                                                   "api_name", api_name(fn), "waiting",
                                                   (int)view.rank, "eta_s", seconds(view.eta_us)));
    }
    return all;
}

json_t *sp_apps_queue_json(struct sp_apps *apps, uint64_t space_id, bool entries)
{
    struct listing list = {.apps = apps,
                           .space = sp_app_space_need(apps, space_id),
                           .entries = json_array(),
                           .now_us = sp_clock_mono_ns() / 1000,
                           .now_wall_ms = sp_clock_wall_ms()};
    int64_t max = list.space->max_size;
    uint32_t waiting;
    uint32_t running;

    sp_apps_queue_counts(apps, space_id, &waiting, &running);
    if (entries)
        (void)sp_sched_each(apps->sched, space_id, list.now_us, ENTRIES_MAX, each_entry, &list);
    return json_pack("{s:I, s:I, s:o, s:o, s:o}", "waiting", (json_int_t)waiting, "running",
                     (json_int_t)running, "max_size", max < 0 ? json_null() : json_integer(max),
                     "functions", functions(&list), "entries", list.entries);
}
