/* Requests to journal records and back (docs/journal.md has the records, this the JSON in them). */
#include "runtime/app/app-internal.h"

#include "base/clock.h"
#include "base/error.h"
#include "base/json.h"
#include "base/log.h"
#include "base/scan.h"
#include "runtime/config.h"
#include "runtime/state/journal.h"

/* --- writing ---------------------------------------------------------------------------------- */

/*
 * Meta of ACCEPTED: {"s":session,"k":kind,"f":fn,"o":outputs,"q":queued,"t":trigger,"e":bytes of
 * event_data,"r":bytes of request,"ref","sec"}. The payload is data, event_data and request in a
 * row.
 */
static void put_meta(struct sp_buf *out, const struct sp_app_event *ev)
{
    (void)sp_buf_append_str(out, "{\"s\":");
    (void)sp_buf_append_json_string(out, sp_slice_str(ev->session->name));
    (void)sp_buf_printf(out, ",\"k\":%u,\"f\":%u,\"o\":%u,\"q\":%s,\"t\":%lld,\"e\":%u,\"r\":%u",
                        ev->kind, ev->fn, ev->n_outputs, ev->queued ? "true" : "false",
                        (long long)ev->call->trigger + 1, ev->call->event_data_len,
                        ev->call->request_len);
    if (ev->ref) {
        (void)sp_buf_append_str(out, ",\"ref\":");
        (void)sp_buf_append_json_string(out, sp_slice_str(ev->ref));
    }
    if (ev->session->live)
        (void)sp_buf_printf(out, ",\"sec\":\"%s\"", sp_live_secret(ev->session->live));
    (void)sp_buf_append_char(out, '}');
}

static int append(struct sp_app_event *ev, enum sp_journal_type type, struct sp_slice meta,
                  struct sp_slice payload, enum sp_journal_safety safety, sp_journal_fn *done,
                  struct sp_error *err)
{
    int r = sp_journal_append(ev->apps->journal, type, &ev->id, ev->space_id, meta, payload, safety,
                              done, ev, err);

    if (r == 0 && done)
        ev->journal_refs++;
    return r;
}

int sp_event_journal_accepted(struct sp_app_event *ev,
                              void (*done)(void *, const struct sp_error *), struct sp_error *err)
{
    const struct sp_event_call *call = ev->call;
    struct sp_slice payload =
        sp_slice(call->text, (size_t)call->data_len + call->event_data_len + call->request_len);

    sp_buf_reset(&ev->apps->scratch);
    put_meta(&ev->apps->scratch, ev);
    return append(ev, SP_JOURNAL_ACCEPTED, sp_buf_slice(&ev->apps->scratch), payload,
                  SP_JOURNAL_SYNCED, done, err);
}

int sp_event_journal_dispatched(struct sp_app_event *ev,
                                void (*done)(void *, const struct sp_error *), struct sp_error *err)
{
    const struct sp_slice none = {0};

    return append(ev, SP_JOURNAL_DISPATCHED, none, none, SP_JOURNAL_WRITTEN, done, err);
}

int sp_event_journal_done(struct sp_app_event *ev, void (*done)(void *, const struct sp_error *))
{
    char meta[128];
    int n = snprintf(meta, sizeof(meta), "{\"o\":\"%s\",\"u\":%lld,\"a\":%lld,\"g\":%s}",
                     sp_sched_outcome_to_string(ev->outcome), (long long)ev->run_us + 1,
                     (long long)ev->average_us + 1, ev->generator ? "true" : "false");

    return append(ev, SP_JOURNAL_DONE, sp_slice(meta, (size_t)n),
                  sp_slice(ev->result, ev->result_len), SP_JOURNAL_WRITTEN, done, NULL);
}

void sp_event_journal_forget(struct sp_app_event *ev)
{
    const struct sp_slice none = {0};

    (void)append(ev, SP_JOURNAL_FORGET, none, none, SP_JOURNAL_WRITTEN, NULL, NULL);
}

/* --- reading ---------------------------------------------------------------------------------- */

struct meta {
    char session[SP_GRADIO_SESSION_MAX + 1];
    char ref[65];
    char secret[65];
    uint64_t kind, fn, outputs, trigger, event_data_len, request_len;
    bool queued;
};

static bool read_meta(struct sp_slice text, struct meta *ret)
{
    struct sp_scan_field f[] = {{.key = "s"},   {.key = "k"},  {.key = "f"}, {.key = "o"},
                                {.key = "q"},   {.key = "t"},  {.key = "e"}, {.key = "r"},
                                {.key = "ref"}, {.key = "sec"}};

    *ret = (struct meta){.queued = true};
    if (sp_scan_object(text, f, SP_LEN(f), NULL) < 0 ||
        !sp_scan_get_string(&f[0], ret->session, sizeof(ret->session)) ||
        !sp_scan_get_u64(&f[1], SP_EVENT_RUN, &ret->kind) ||
        !sp_scan_get_u64(&f[2], UINT32_MAX, &ret->fn))
        return false;
    (void)sp_scan_get_u64(&f[3], SP_WORKER_OUTPUTS_MAX, &ret->outputs);
    (void)sp_scan_get_bool(&f[4], &ret->queued);
    (void)sp_scan_get_u64(&f[5], INT64_MAX, &ret->trigger);
    (void)sp_scan_get_u64(&f[6], UINT32_MAX, &ret->event_data_len);
    (void)sp_scan_get_u64(&f[7], UINT32_MAX, &ret->request_len);
    (void)sp_scan_get_string(&f[8], ret->ref, sizeof(ret->ref));
    (void)sp_scan_get_string(&f[9], ret->secret, sizeof(ret->secret));
    return true;
}

static struct sp_event_call *read_call(const struct meta *meta, struct sp_slice payload)
{
    uint64_t tail = meta->event_data_len + meta->request_len;
    struct sp_event_call *call;

    if (tail > payload.len || payload.len > UINT32_MAX)
        return NULL;
    call = sp_realloc(NULL, sizeof(*call) + payload.len, 1);
    call->trigger = (int64_t)meta->trigger - 1;
    call->data_len = (uint32_t)(payload.len - tail);
    call->event_data_len = (uint32_t)meta->event_data_len;
    call->request_len = (uint32_t)meta->request_len;
    memcpy(call->text, payload.ptr, payload.len);
    return call;
}

static enum sp_sched_outcome outcome_from(const char *text)
{
    for (int o = SP_SCHED_DONE; o <= SP_SCHED_LOST; o++)
        if (strcmp(text, sp_sched_outcome_to_string(o)) == 0)
            return o;
    return SP_SCHED_LOST;
}

static void restore_done(struct sp_app_event *ev, const struct sp_journal_entry *entry)
{
    struct sp_scan_field f[] = {{.key = "o"}, {.key = "u"}, {.key = "a"}, {.key = "g"}};
    char outcome[16] = "";
    uint64_t run = 0;
    uint64_t average = 0;
    bool generator = false;

    (void)sp_scan_object(entry->done_meta, f, SP_LEN(f), NULL);
    (void)sp_scan_get_string(&f[0], outcome, sizeof(outcome));
    (void)sp_scan_get_u64(&f[1], INT64_MAX, &run);
    (void)sp_scan_get_u64(&f[2], INT64_MAX, &average);
    (void)sp_scan_get_bool(&f[3], &generator);
    ev->state = SP_EVENT_ENDED;
    ev->outcome = (uint8_t)outcome_from(outcome);
    ev->run_us = (int64_t)run - 1;
    ev->average_us = (int64_t)average - 1;
    ev->generator = generator;
    ev->result_len = entry->done_payload.len;
    ev->result = sp_strndup(entry->done_payload.ptr ? entry->done_payload.ptr : "", ev->result_len);
    sp_event_keep(ev);
}

/* Nobody listens yet: it waits as long as a /call does for somebody who comes for it. */
static void restore_waiting(struct sp_app_event *ev, struct sp_app_space *space,
                            struct sp_event_call *call)
{
    ev->call = call;
    ev->apps->n_waiting++;
    sp_list_append(&space->parked, &ev->in_worker);
    sp_alarm_set(&ev->apps->alarms, SP_ALARM_DETACHED, &ev->alarm);
}

static struct sp_app_event *restore(struct sp_apps *apps, const struct sp_journal_entry *entry,
                                    const struct meta *meta)
{
    struct sp_app_space *space = sp_app_space_need(apps, entry->space);
    struct sp_app_session *session = sp_session_need(space, sp_slice_str(meta->session));
    int64_t age_ms = sp_clock_wall_ms() - entry->accepted_ms;
    struct sp_app_event *ev;

    if (!session) {
        sp_log(SP_LOG_ERROR, "journal.not_restored", "space=%llu why=limit.sessions",
               (unsigned long long)entry->space);
        return NULL;
    }
    session->restored = session->lossy = true;
    if (meta->secret[0] && !session->live)
        sp_live_restore(session, meta->secret);
    ev = sp_event_new(session, &entry->event);
    ev->kind = (uint8_t)meta->kind;
    ev->fn = (uint32_t)meta->fn;
    ev->n_outputs = (uint32_t)meta->outputs;
    ev->queued = meta->queued;
    ev->ref = meta->ref[0] ? sp_strdup(meta->ref) : NULL;
    ev->journaled = ev->recorded = ev->accepted = true;
    ev->view = meta->kind == SP_EVENT_SSE    ? &sp_session_view
               : meta->kind == SP_EVENT_LIVE ? &sp_live_view
                                             : NULL;
    if (age_ms > 0 && (uint64_t)age_ms < ev->joined_ms)
        ev->joined_ms -= (uint64_t)age_ms;
    return ev;
}

static void each_entry(void *arg, const struct sp_journal_entry *entry)
{
    struct sp_apps *apps = arg;
    struct sp_event_call *call = NULL;
    struct sp_app_event *ev;
    struct meta meta;

    if (!read_meta(entry->accepted_meta, &meta)) {
        sp_log(SP_LOG_ERROR, "journal.bad_meta", "space=%llu", (unsigned long long)entry->space);
        return;
    }
    if (!entry->done && !entry->dispatched)
        call = read_call(&meta, entry->accepted_payload);
    ev = restore(apps, entry, &meta);
    if (!ev)
        free(call);
    else if (entry->done)
        restore_done(ev, entry);
    else if (call)
        restore_waiting(ev, ev->session->space, call);
    else
        ev->state = SP_EVENT_RUNNING; /* ends below, when the journal can be written */
}

/* What ran when the daemon went is lost: never run twice unless somebody says that it may be. */
static void end_lost(struct sp_apps *apps)
{
    struct sp_app_event *ev;
    size_t cursor = 0;

    while ((ev = sp_map_next(&apps->events, &cursor, NULL)))
        if (ev->state == SP_EVENT_RUNNING)
            sp_event_end_directly(ev, SP_SCHED_LOST, "the server was restarted");
}

int sp_app_journal_open(struct sp_apps *apps, const char *dir, struct sp_error *err)
{
    const struct sp_journal_options options = {
        .dir = dir,
        .segment_bytes = sp_config_size(apps->config, "journal.segment"),
        .max_bytes = sp_config_size(apps->config, "journal.max_bytes"),
        .result_ttl_ms = apps->limit.result_ttl_ms,
    };
    int r = sp_journal_open(apps->loop, &options, each_entry, apps, &apps->journal, err);

    if (r == 0)
        end_lost(apps);
    return r;
}
