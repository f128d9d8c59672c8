/*
 * POST /api/spaces/{owner}/{name}/deploy: a folder as multipart/form-data, straight into staging.
 *
 * Nothing is answered before the version is stored. The order of the parts matters: fields first.
 */
#include "runtime/api/handlers.h"

#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/json.h"
#include "base/log.h"
#include "base/mem.h"
#include "runtime/state/auth.h"
#include "runtime/state/card.h"
#include "runtime/config.h"
#include "runtime/daemon.h"
#include "runtime/api/gate.h"
#include "runtime/api/later.h"
#include "ui-protocol/multipart.h"

#define README_MAX ((size_t)1 << 20)

struct deploy {
    struct sp_daemon *daemon;
    uint64_t exchange;
    char owner[97];
    char name[97];
    struct sp_multipart parts;
    struct sp_staging *staging;
    bool in_file;
    char field[64]; /* the form field under way, "" while in a file */
    char value[256];
    size_t value_len;
    bool is_private;
    bool by_admin;
    bool counted; /* in daemon->deploys */
    bool over;    /* the closing delimiter has been read */
    bool created;
    struct sp_card card;
};

static void deploy_free(void *arg)
{
    struct deploy *deploy = arg;

    deploy->daemon->deploys -= deploy->counted;
    sp_staging_free(deploy->staging);
    free(deploy);
}

static struct sp_exchange *find(const struct deploy *deploy)
{
    return sp_exchange_find(deploy->daemon->server, deploy->exchange);
}

/* --- the parts -------------------------------------------------------------------------------- */

static int begin_part(struct deploy *deploy, struct sp_error *err)
{
    const struct sp_multipart *mp = &deploy->parts;

    deploy->in_file = strcmp(mp->name, "file") == 0;
    deploy->value_len = 0;
    if (deploy->in_file)
        return sp_staging_file(deploy->staging, sp_slice_str(mp->filename), err);
    if (strlen(mp->name) >= sizeof(deploy->field))
        return sp_error_set(err, SP_ERR_INVALID, 0, "a form field has a name that is too long");
    (void)snprintf(deploy->field, sizeof(deploy->field), "%.63s", mp->name);
    return 0;
}

static int part_data(struct deploy *deploy, struct sp_error *err)
{
    struct sp_slice data = deploy->parts.data;

    if (deploy->in_file)
        return sp_staging_write(deploy->staging, data, err);
    if (deploy->value_len + data.len >= sizeof(deploy->value))
        return sp_error_set(err, SP_ERR_INVALID, 0, "the form field '%s' is too long",
                            deploy->field);
    memcpy(deploy->value + deploy->value_len, data.ptr, data.len);
    deploy->value_len += data.len;
    return 0;
}

static int end_part(struct deploy *deploy, struct sp_error *err)
{
    if (deploy->in_file)
        return sp_staging_end(deploy->staging, err);
    if (strcmp(deploy->field, "private") == 0)
        deploy->is_private = sp_slice_eq_str(sp_slice(deploy->value, deploy->value_len), "true");
    return 0; /* "message" is for the version history that is to come; others are not ours */
}

static int take_event(struct deploy *deploy, enum sp_multipart_event event, struct sp_error *err)
{
    switch (event) {
    case SP_MULTIPART_PART: return begin_part(deploy, err);
    case SP_MULTIPART_DATA: return part_data(deploy, err);
    case SP_MULTIPART_END: return end_part(deploy, err);
    case SP_MULTIPART_DONE: deploy->over = true; return 0;
    case SP_MULTIPART_BAD:
        return sp_error_set(err, SP_ERR_INVALID, 0, "the form is malformed: %s", deploy->parts.why);
    case SP_MULTIPART_MORE: return 0;
    }
    return 0;
}

/* --- the version ------------------------------------------------------------------------------ */

static void reply_stored(void *arg, const struct sp_error *err, struct sp_space *space)
{
    struct deploy *deploy = arg;
    struct sp_exchange *ex = find(deploy);
    const struct sp_version *version;
    SP_AUTO_FREE char *id = NULL;
    SP_AUTO_FREE char *url = NULL;

    if (ex && err && err->kind == SP_ERR_LIMIT && deploy->staging)
        sp_reply_problem(ex, 413, "limit", "%s", err->msg); /* still being received */
    else if (ex && err)
        sp_reply_error(ex, err);
    if (ex && !err) {
        version = space->candidate.snapshot[0] ? &space->candidate : &space->current;
        id = sp_asprintf("%s/%s", space->owner, space->name);
        url = sp_asprintf("%s/spaces/%s", sp_exchange_base_url(ex), id);
        sp_reply_json(ex, 202,
                      json_pack("{s:s, s:b, s:s, s:{s:s, s:I}}", "id", id, "created",
                                deploy->created, "url", url, "version", "snapshot",
                                version->snapshot, "number", (json_int_t)version->number));
    }
    deploy_free(deploy);
}

static void on_snapshot(void *arg, const struct sp_error *err, const char *hash)
{
    struct deploy *deploy = arg;
    struct sp_spaces *spaces = &deploy->daemon->spaces;
    struct sp_error stopping = {0};

    if (!err && deploy->daemon->stopping) { /* the store may be closed; the next start sweeps */
        (void)sp_error_set(&stopping, SP_ERR_UNAVAILABLE, 0, "spacesd stops");
        err = &stopping;
    }
    if (err) {
        reply_stored(deploy, err, NULL);
        return;
    }
    deploy->created = !sp_spaces_by_name(spaces, deploy->owner, deploy->name);
    sp_spaces_deploy(spaces,
                     &(struct sp_deploy){.owner = deploy->owner,
                                         .name = deploy->name,
                                         .snapshot = hash,
                                         .card = &deploy->card,
                                         .is_private = deploy->is_private,
                                         .unlimited = deploy->by_admin},
                     reply_stored, deploy);
}

/* Reads the card and refuses what cannot run on this host before anything is stored. */
static int check_version(struct deploy *deploy, struct sp_error *err)
{
    SP_AUTO_FREE char *readme = NULL;
    SP_AUTO_FREE char *app = NULL;
    size_t len = 0;
    int r = sp_staging_read(deploy->staging, "README.md", README_MAX, &readme, &len, err);

    if (r < 0 && err->kind != SP_ERR_NOT_FOUND)
        return r;
    r = sp_card_parse(sp_slice(readme, len), &deploy->card, err);
    if (r < 0)
        return r;
    if (strcmp(deploy->card.sdk, "gradio") != 0)
        return sp_error_set(err, SP_ERR_INVALID, 0,
                            "README.md: sdk: '%s' is not supported here yet, only 'gradio'",
                            deploy->card.sdk);
    if (strcmp(deploy->card.engine, "pip") == 0)
        return sp_error_set(
            err, SP_ERR_INVALID, 0,
            "README.md: gradio: 'pip' needs a package index, which is not supported here yet");
    r = sp_staging_read(deploy->staging, deploy->card.app_file, README_MAX, &app, &len, err);
    if (r < 0 && err->kind == SP_ERR_NOT_FOUND)
        return sp_error_set(
            err, SP_ERR_INVALID, 0,
            "the folder has no '%s': add it, or name another in the card's app_file",
            deploy->card.app_file);
    return r < 0 && err->kind != SP_ERR_LIMIT ? r : 0;
}

static void finish(struct deploy *deploy)
{
    struct sp_error err = {0};
    int r = deploy->over ? check_version(deploy, &err)
                         : sp_error_set(&err, SP_ERR_INVALID, 0,
                                        "the form ends before its closing delimiter");

    if (r < 0) {
        reply_stored(deploy, &err, NULL);
        return;
    }
    sp_staging_consume_finish(SP_TAKE(deploy->staging), deploy->daemon->loop, on_snapshot, deploy);
}

static bool on_body(struct sp_exchange *ex, void *arg, struct sp_slice piece)
{
    struct deploy *deploy = arg;
    struct sp_error err = {0};
    enum sp_multipart_event event;

    if (piece.len == 0) {
        sp_exchange_on_gone(ex, NULL, NULL); /* from here on the version is stored, heard or not */
        finish(deploy);
        return true;
    }
    do {
        event = sp_multipart_feed(&deploy->parts, &piece);
        if (take_event(deploy, event, &err) < 0) {
            sp_exchange_on_gone(ex, NULL, NULL);
            reply_stored(deploy, &err, NULL);
            return false;
        }
    } while (event != SP_MULTIPART_MORE && event != SP_MULTIPART_DONE);
    return true;
}

/* --- the head --------------------------------------------------------------------------------- */

static bool check_target(struct sp_exchange *ex, const char *owner, const char *name)
{
    const struct sp_user *user = sp_gate_user(ex);

    if (!sp_name_valid(sp_slice_str(owner)) || !sp_name_valid(sp_slice_str(name))) {
        sp_reply_problem(ex, 400, "invalid",
                         "'%s/%s' is not a name: 1-96 letters, digits, '.', '_' or '-'", owner,
                         name);
        return false;
    }
    if (sp_gate_may_own(user, owner))
        return true;
    /* The same whether it exists or not: otherwise this would tell the names of private Spaces. */
    sp_reply_problem(ex, 403, "denied", "only %s and operators may deploy to '%s/%s'", owner, owner,
                     name);
    return false;
}

void sp_api_space_deploy(struct sp_exchange *ex)
{
    const char *owner = sp_exchange_param(ex, "owner");
    const char *name = sp_exchange_param(ex, "name");
    struct sp_daemon *daemon = sp_daemon_of(ex);
    struct deploy *deploy;
    struct sp_error err = {0};

    if (!check_target(ex, owner, name))
        return;
    if (daemon->deploys >= sp_config_int(daemon->config, "deploy.parallel")) {
        sp_reply_header(ex, "Retry-After", "5");
        sp_reply_problem(ex, 503, "unavailable",
                         "%u versions are being received already (deploy.parallel), try again soon",
                         daemon->deploys);
        return;
    }
    deploy = sp_new0(struct deploy);
    deploy->daemon = daemon;
    deploy->by_admin = sp_gate_user(ex)->is_admin;
    deploy->counted = true;
    daemon->deploys++;
    deploy->exchange = sp_exchange_id(ex);
    (void)snprintf(deploy->owner, sizeof(deploy->owner), "%s", owner);
    (void)snprintf(deploy->name, sizeof(deploy->name), "%s", name);
    if (!sp_multipart_init(&deploy->parts,
                           sp_http_header(sp_exchange_request(ex), "content-type"))) {
        deploy_free(deploy);
        sp_reply_problem(ex, 400, "invalid", "send the folder as multipart/form-data");
        return;
    }
    if (sp_staging_new(SP_DIR_SNAPSHOTS, daemon->config, &deploy->staging, &err) < 0) {
        deploy_free(deploy);
        sp_reply_error(ex, &err);
        return;
    }
    sp_exchange_keep(ex); /* the answer comes long after the head has left the buffer */
    sp_exchange_on_gone(ex, deploy_free, deploy);
    sp_exchange_read_body(ex, sp_config_size(daemon->config, "deploy.max_bytes"), on_body, deploy);
}
