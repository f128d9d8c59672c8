/* docs/api.md, Spaces: list, show, restart, pause, settings, delete, duplicate, queue. */
#include "runtime/api/handlers.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/json.h"
#include "base/mem.h"
#include "runtime/app/app.h"
#include "runtime/state/applog.h"
#include "runtime/state/auth.h"
#include "runtime/config.h"
#include "runtime/daemon.h"
#include "runtime/api/gate.h"
#include "runtime/api/later.h"
#include "runtime/spaces/space_env.h"

#define LIST_MAX     100
#define FAILURE_TAIL 12 /* log lines that go with a failure */

/* --- documents -------------------------------------------------------------------------------- */

static json_t *time_json(int64_t wall_ms)
{
    char text[SP_TIME_LEN];

    sp_clock_format(wall_ms, text);
    return json_string(text);
}

static json_t *version_json(const struct sp_version *version)
{
    char id[13];

    (void)snprintf(id, sizeof(id), "%.12s", version->snapshot);
    return json_pack("{s:s, s:s, s:I, s:o}", "id", id, "snapshot", version->snapshot, "number",
                     (json_int_t)version->number, "createdAt", time_json(version->created_ms));
}

static void add_line(void *arg, int64_t wall_ms, struct sp_slice line)
{
    (void)wall_ms;
    (void)json_array_append_new(arg, json_stringn(line.ptr, line.len));
}

static json_t *failure_json(struct sp_space *space, const struct sp_user *user)
{
    json_t *log;

    if (!space->failure.is_set)
        return json_null();
    log = json_array();
    if (sp_gate_may_write(user, space))
        sp_applog_tail(space->log, FAILURE_TAIL, add_line, log);
    return json_pack("{s:I, s:s, s:s, s:o}", "version", (json_int_t)space->failure.number, "stage",
                     sp_stage_to_string(space->failure.stage), "reason", space->failure.reason,
                     "log", log);
}

static json_t *usage_json(struct sp_space *space)
{
    struct sp_launch_usage usage;

    if (!space->serving || !sp_instance_usage(space->serving, &usage))
        return json_null();
    return json_pack("{s:I, s:I, s:I, s:I}", "cpu_ns", (json_int_t)usage.cpu_ns, "memory_bytes",
                     (json_int_t)usage.memory_bytes, "memory_peak_bytes",
                     (json_int_t)usage.memory_peak_bytes, "pids", (json_int_t)usage.pids);
}

json_t *sp_space_runtime_json(struct sp_exchange *ex, struct sp_space *space)
{
    int64_t frozen = space->serving ? sp_instance_frozen_since(space->serving) : 0;
    json_t *doc =
        json_pack("{s:s, s:s, s:o, s:o, s:o, s:{s:i}, s:o}", "stage",
                  sp_stage_to_string(space->stage), "reason", space->reason, "since",
                  time_json(space->since_ms), "usage", usage_json(space), "startMs",
                  space->serving ? json_integer((json_int_t)sp_instance_start_ms(space->serving))
                                 : json_null(),
                  "replicas", "current", space->serving ? 1 : 0, "failed",
                  failure_json(space, sp_gate_user(ex)));

    sp_space_resources_to_json(ex, space, doc);
    (void)json_object_set_new(doc, "frozen", frozen ? time_json(frozen) : json_null());
    return doc;
}

static json_t *queue_json(struct sp_exchange *ex, const struct sp_space *space)
{
    uint32_t waiting = 0;
    uint32_t running = 0;

    sp_apps_queue_counts(sp_daemon_of(ex)->apps, space->id, &waiting, &running);
    return json_pack("{s:I, s:I}", "waiting", (json_int_t)waiting, "running", (json_int_t)running);
}

json_t *sp_space_to_json(struct sp_exchange *ex, struct sp_space *space)
{
    const struct sp_user *user = sp_gate_user(ex);
    const struct sp_version *version = sp_space_version(space);
    const struct sp_card *card = &version->card;
    SP_AUTO_FREE char *id = sp_asprintf("%s/%s", space->owner, space->name);
    SP_AUTO_FREE char *url = sp_asprintf("%s/spaces/%s", sp_exchange_base_url(ex), id);
    SP_AUTO_FREE char *app_url = sp_asprintf("%s/app/%s", sp_exchange_base_url(ex), id);
    json_t *doc = json_pack(
        "{s:s, s:s, s:b, s:o, s:o, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s}", "id", id,
        "author", space->owner, "private", space->is_private, "createdAt",
        time_json(space->created_ms), "lastModified", time_json(space->modified_ms), "sdk",
        card->sdk[0] ? card->sdk : "gradio", "title", card->title[0] ? card->title : space->name,
        "emoji", card->emoji, "colorFrom", card->color_from, "colorTo", card->color_to,
        "short_description", card->short_description, "license", card->license, "engine", "builtin",
        "url", url, "app_url", app_url);

    (void)json_object_set_new(doc, "version", version_json(version));
    (void)json_object_set_new(doc, "originSpace",
                              space->origin[0] ? json_pack("{s:s}", "name", space->origin)
                                               : json_null());
    (void)json_object_set_new(doc, "runtime", sp_space_runtime_json(ex, space));
    (void)json_object_set_new(doc, "queue", queue_json(ex, space));
    (void)json_object_set_new(doc, "can",
                              json_pack("{s:b, s:b}", "write", sp_gate_may_write(user, space),
                                        "duplicate", user != NULL));
    (void)json_object_set_new(doc, "weak_sandbox", json_boolean(!sp_daemon_of(ex)->host.complete));
    return doc;
}

/* --- reading ---------------------------------------------------------------------------------- */

static bool contains_nocase(const char *text, const char *part)
{
    return strcasestr(text, part) != NULL;
}

static bool matches(const struct sp_space *space, const char *search, const char *author)
{
    const struct sp_card *card = &sp_space_version(space)->card;

    if (author[0] && strcasecmp(author, space->owner) != 0)
        return false;
    return !search[0] || contains_nocase(space->name, search) ||
           contains_nocase(space->owner, search) || contains_nocase(card->title, search) ||
           contains_nocase(card->short_description, search);
}

static void link_next(struct sp_exchange *ex, uint64_t last_id, size_t limit, const char *search,
                      const char *author)
{
    SP_AUTO_BUF struct sp_buf link;

    sp_buf_init(&link, 0);
    (void)sp_buf_printf(&link,
                        "<%s/api/spaces?limit=%zu&cursor=%llu&search=", sp_exchange_base_url(ex),
                        limit, (unsigned long long)last_id);
    (void)sp_http_percent_encode(sp_slice_str(search), false, &link);
    (void)sp_buf_append_str(&link, "&author=");
    (void)sp_http_percent_encode(sp_slice_str(author), false, &link);
    (void)sp_buf_append_str(&link, ">; rel=\"next\"");
    sp_reply_header(ex, "Link", sp_buf_str(&link));
}

void sp_api_space_list(struct sp_exchange *ex)
{
    struct sp_slice query = sp_exchange_request(ex)->query;
    json_t *list = json_array();
    char search[128] = "";
    char author[128] = "";
    uint64_t limit = LIST_MAX;
    uint64_t cursor = 0;
    uint64_t last_id = 0;
    bool started;

    (void)sp_http_query_get(query, "search", search, sizeof(search));
    (void)sp_http_query_get(query, "author", author, sizeof(author));
    if (!sp_parse_u64(sp_http_query(query, "limit"), LIST_MAX, &limit) || limit == 0)
        limit = LIST_MAX;
    (void)sp_parse_u64(sp_http_query(query, "cursor"), UINT64_MAX, &cursor);
    started = !sp_spaces_by_id(&sp_daemon_of(ex)->spaces, cursor);

    SP_LIST_EACH (space, &sp_daemon_of(ex)->spaces.list, struct sp_space, node) {
        if (!started) {
            started = space->id == cursor;
            continue;
        }
        if (space->stage == SP_STAGE_DELETING || !sp_gate_may_read(sp_gate_user(ex), space) ||
            !matches(space, search, author))
            continue;
        if (json_array_size(list) == limit) {
            link_next(ex, last_id, limit, search, author);
            break;
        }
        (void)json_array_append_new(list, sp_space_to_json(ex, space));
        last_id = space->id;
    }
    sp_reply_json(ex, 200, list);
}

void sp_api_space_show(struct sp_exchange *ex)
{
    sp_reply_json(ex, 200, sp_space_to_json(ex, sp_gate_space(ex)));
}

void sp_api_space_queue(struct sp_exchange *ex)
{
    struct sp_space *space = sp_gate_space(ex);

    sp_reply_json(ex, 200,
                  sp_apps_queue_json(sp_daemon_of(ex)->apps, space->id,
                                     sp_gate_may_write(sp_gate_user(ex), space)));
}

/* --- changing --------------------------------------------------------------------------------- */

static void reply_runtime(void *arg, const struct sp_error *err, struct sp_space *space)
{
    struct sp_exchange *ex = sp_later_take(arg);

    if (ex && err)
        sp_reply_error(ex, err);
    else if (ex)
        sp_reply_json(ex, 202, sp_space_runtime_json(ex, space));
}

void sp_api_space_restart(struct sp_exchange *ex)
{
    sp_spaces_set_paused(sp_gate_space(ex), false, reply_runtime, sp_later_new(ex));
}

void sp_api_space_pause(struct sp_exchange *ex)
{
    sp_spaces_set_paused(sp_gate_space(ex), true, reply_runtime, sp_later_new(ex));
}

static void reply_settings(void *arg, const struct sp_error *err, struct sp_space *space)
{
    struct sp_exchange *ex = sp_later_take(arg);

    if (ex && err)
        sp_reply_error(ex, err);
    else if (ex)
        sp_reply_json(ex, 200, json_pack("{s:b}", "private", space->is_private));
}

void sp_api_space_settings(struct sp_exchange *ex)
{
    SP_AUTO_JSON json_t *body = NULL;
    struct sp_space *space = sp_gate_space(ex);
    bool is_private = space->is_private;
    struct sp_error err = {0};

    if (sp_json_parse(sp_exchange_body(ex), &body, &err) < 0 ||
        sp_json_get_bool(body, "private", &is_private, &err) < 0) {
        sp_reply_error(ex, &err);
        return;
    }
    sp_spaces_set_private(space, is_private, reply_settings, sp_later_new(ex));
}

static void reply_deleted(void *arg, const struct sp_error *err, struct sp_space *space)
{
    struct sp_exchange *ex = sp_later_take(arg);

    (void)space;
    if (ex && err)
        sp_reply_error(ex, err);
    else if (ex)
        sp_reply_empty(ex, 204);
}

void sp_api_space_delete(struct sp_exchange *ex)
{
    sp_spaces_delete(sp_gate_space(ex), reply_deleted, sp_later_new(ex));
}

static void reply_hub_deleted(void *arg, const struct sp_error *err, struct sp_space *space)
{
    struct sp_exchange *ex = sp_later_take(arg);

    (void)space;
    if (ex && err)
        sp_reply_error(ex, err);
    else if (ex)
        sp_reply(ex, 200, "text/plain; charset=utf-8", SP_SLICE("OK"));
}

/* The Hub's form: a body on DELETE, the owner under "organization", ours when it is absent. */
void sp_api_repo_delete(struct sp_exchange *ex)
{
    SP_AUTO_JSON json_t *body = NULL;
    const struct sp_user *user = sp_gate_user(ex);
    const char *name = "";
    const char *owner = user->name;
    struct sp_error err = {0};
    struct sp_space *space;

    if (sp_json_parse(sp_exchange_body(ex), &body, &err) < 0 ||
        sp_json_get_str(body, "name", &name, &err) < 0 ||
        sp_json_get_str(body, "organization", &owner, &err) < 0) {
        sp_reply_error(ex, &err);
        return;
    }
    space = sp_spaces_by_name(&sp_daemon_of(ex)->spaces, owner, name);
    if (!space || !sp_gate_may_read(user, space)) {
        sp_reply_header(ex, "X-Error-Code", "RepoNotFound");
        sp_reply_problem(ex, 404, "not_found", "there is no Space '%s/%s'", owner, name);
        return;
    }
    if (!sp_gate_may_write(user, space)) {
        sp_reply_problem(ex, 403, "denied", "only %s and operators may do that", space->owner);
        return;
    }
    sp_spaces_delete(space, reply_hub_deleted, sp_later_new(ex));
}

/* --- duplicate -------------------------------------------------------------------------------- */

struct duplicate {
    struct sp_later *later;
    json_t *secrets; /* names that the copy has to be given */
};

static struct duplicate *duplicate_new(struct sp_exchange *ex, const struct sp_space *source)
{
    struct duplicate *duplicate = sp_new0(struct duplicate);

    duplicate->later = sp_later_new(ex);
    duplicate->secrets = sp_space_env_secrets(source->env);
    return duplicate;
}

static void reply_duplicated(void *arg, const struct sp_error *err, struct sp_space *space)
{
    SP_AUTO_FREE struct duplicate *duplicate = arg;
    SP_AUTO_JSON json_t *secrets = duplicate->secrets;
    struct sp_exchange *ex = sp_later_take(duplicate->later);
    SP_AUTO_FREE char *id = NULL;
    SP_AUTO_FREE char *url = NULL;

    if (!ex)
        return;
    if (err && err->kind != SP_ERR_CONFLICT) {
        sp_reply_error(ex, err);
        return;
    }
    if (err) {
        sp_reply_json(ex, 409, json_pack("{s:s, s:s}", "error", err->msg, "kind", "conflict"));
        return;
    }
    id = sp_asprintf("%s/%s", space->owner, space->name);
    url = sp_asprintf("%s/spaces/%s", sp_exchange_base_url(ex), id);
    sp_reply_json(ex, 202, json_pack("{s:s, s:s, s:O}", "id", id, "url", url, "secrets", secrets));
}

/* "me/copy" into its parts; a bare name belongs to the asker. */
static bool split_target(const char *repository, const struct sp_user *user, char owner[97],
                         char name[97])
{
    const char *slash = strchr(repository, '/');
    struct sp_slice left =
        slash ? sp_slice(repository, (size_t)(slash - repository)) : sp_slice_str(user->name);
    struct sp_slice right = sp_slice_str(slash ? slash + 1 : repository);

    if (!sp_name_valid(left) || !sp_name_valid(right))
        return false;
    (void)snprintf(owner, 97, "%.*s", (int)left.len, left.ptr);
    (void)snprintf(name, 97, "%.*s", (int)right.len, right.ptr);
    return true;
}

static void reply_taken(struct sp_exchange *ex, const char *owner, const char *name)
{
    SP_AUTO_FREE char *url = sp_asprintf("%s/spaces/%s/%s", sp_exchange_base_url(ex), owner, name);

    sp_reply_json(ex, 409,
                  json_pack("{s:s, s:s, s:s}", "error", "you already have a Space of that name",
                            "kind", "conflict", "url", url));
}

void sp_api_space_duplicate(struct sp_exchange *ex)
{
    SP_AUTO_JSON json_t *body = NULL, *env = NULL;
    struct sp_space *source = sp_gate_space(ex);
    const struct sp_version *version = sp_space_version(source);
    const struct sp_user *user = sp_gate_user(ex);
    SP_AUTO_FREE char *origin = sp_asprintf("%s/%s", source->owner, source->name);
    const char *repository = "";
    bool is_private = true;
    struct sp_error err = {0};
    char owner[97];
    char name[97];

    if (!user) {
        sp_reply_problem(ex, 401, "denied", "sign in to duplicate a Space");
        return;
    }
    if (sp_json_parse(sp_exchange_body(ex), &body, &err) < 0 ||
        sp_json_get_str(body, "repository", &repository, &err) < 0 ||
        sp_json_get_bool(body, "private", &is_private, &err) < 0) {
        sp_reply_error(ex, &err);
        return;
    }
    if (!split_target(repository, user, owner, name)) {
        sp_reply_problem(ex, 400, "invalid",
                         "'repository' must be owner/name of letters, digits, '.', '_' and '-'");
        return;
    }
    if (!sp_gate_may_own(user, owner)) {
        sp_reply_problem(ex, 403, "denied", "you cannot make a Space for %s", owner);
        return;
    }
    if (!version->snapshot[0]) {
        sp_reply_problem(ex, 409, "conflict", "%s/%s has no version to copy: %s", source->owner,
                         source->name, source->reason);
        return;
    }
    if (sp_spaces_by_name(&sp_daemon_of(ex)->spaces, owner, name)) {
        reply_taken(ex, owner, name);
        return;
    }
    env = sp_space_env_public(source->env);
    sp_spaces_deploy(&sp_daemon_of(ex)->spaces,
                     &(struct sp_deploy){.owner = owner,
                                         .name = name,
                                         .snapshot = version->snapshot,
                                         .card = &version->card,
                                         .is_private = is_private,
                                         .origin = origin,
                                         .env = env,
                                         .must_be_new = true,
                                         .unlimited = user->is_admin},
                     reply_duplicated, duplicate_new(ex, source));
}
