/* docs/api.md, Spaces: variables and secrets. What a secret says is never in an answer. */
#include "runtime/api/handlers.h"

#include <string.h>

#include "base/error.h"
#include "base/json.h"
#include "runtime/api/gate.h"
#include "runtime/api/later.h"
#include "runtime/daemon.h"
#include "runtime/spaces/space_env.h"

static void reply(struct sp_exchange *ex, const struct sp_space *space, enum sp_env_kind kind)
{
    sp_reply_header(ex, "Cache-Control", "no-store");
    sp_reply_json(ex, 200, sp_space_env_to_json(space->env, kind));
}

void sp_api_space_variables(struct sp_exchange *ex)
{
    reply(ex, sp_gate_space(ex), SP_ENV_VARIABLE);
}

void sp_api_space_secrets(struct sp_exchange *ex)
{
    reply(ex, sp_gate_space(ex), SP_ENV_SECRET);
}

static void on_variable(void *arg, const struct sp_error *err, struct sp_space *space)
{
    struct sp_exchange *ex = sp_later_take(arg);

    if (ex && err)
        sp_reply_error(ex, err);
    else if (ex)
        reply(ex, space, SP_ENV_VARIABLE);
}

static void on_secret(void *arg, const struct sp_error *err, struct sp_space *space)
{
    struct sp_exchange *ex = sp_later_take(arg);

    (void)space;
    if (ex && err)
        sp_reply_error(ex, err);
    else if (ex)
        sp_reply_json(ex, 200, json_object());
}

/* POST sets, DELETE takes away what its body names; as the Hub has both. */
static void change(struct sp_exchange *ex, enum sp_env_kind kind, bool sets)
{
    struct sp_space *space = sp_gate_space(ex);
    const struct sp_daemon *daemon = sp_daemon_of(ex);
    struct sp_env_change wanted = {.kind = kind, .description = ""};
    SP_AUTO_JSON json_t *body = NULL, *next = NULL;
    struct sp_error err = {0};
    int r = sp_json_parse(sp_exchange_body(ex), &body, &err);

    if (r == 0)
        r = sp_json_get_str(body, "key", &wanted.key, &err);
    if (r == 0 && sets)
        r = sp_json_get_str(body, "value", &wanted.value, &err);
    if (r == 0)
        r = sp_json_get_str(body, "description", &wanted.description, &err);
    if (r == 0 && (!wanted.key || (sets && !wanted.value)))
        r = sp_error_set(&err, SP_ERR_INVALID, 0, "'%s' is missing", wanted.key ? "value" : "key");
    if (r == 0)
        r = sp_space_env_change(space->env, daemon->config, daemon->secrets, space->id, &wanted,
                                &next, &err);
    if (r < 0)
        sp_reply_error(ex, &err);
    else
        sp_spaces_set_env(space, next, kind == SP_ENV_SECRET ? on_secret : on_variable,
                          sp_later_new(ex));
}

void sp_api_space_variable_set(struct sp_exchange *ex)
{
    change(ex, SP_ENV_VARIABLE, true);
}

void sp_api_space_variable_delete(struct sp_exchange *ex)
{
    change(ex, SP_ENV_VARIABLE, false);
}

void sp_api_space_secret_set(struct sp_exchange *ex)
{
    change(ex, SP_ENV_SECRET, true);
}

void sp_api_space_secret_delete(struct sp_exchange *ex)
{
    change(ex, SP_ENV_SECRET, false);
}
