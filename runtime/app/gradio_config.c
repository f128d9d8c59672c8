/* GET /config and /info: what the worker said, with what only the daemon knows put in. */
#include "runtime/app/app-internal.h"

#include "runtime/server/server.h"

static void put_string(struct sp_buf *out, const char *key, const char *value)
{
    (void)sp_buf_printf(out, ",\"%s\":", key);
    if (value)
        (void)sp_buf_append_json_string(out, sp_slice_str(value));
    else
        (void)sp_buf_append_str(out, "null");
}

/*
 * The config may be a megabyte, so it stays text: our fields go to its end, where they win over any
 * of the same name that the app has sent.
 */
static void put_config(struct sp_buf *out, const struct sp_app_space *space,
                       const struct sp_exchange *ex)
{
    SP_AUTO_FREE char *root = sp_asprintf("%s%s", sp_exchange_base_url(ex), space->root);
    SP_AUTO_FREE char *name = sp_asprintf("%s/%s", space->owner, space->name);

    (void)sp_buf_append(out, space->config, space->config_len);
    put_string(out, "root", root);
    put_string(out, "space_id", NULL);
    (void)sp_buf_printf(out, ",\"app_id\":%llu", (unsigned long long)space->apps->app_id);
    put_string(out, "username", sp_app_username(ex));
    put_string(out, "version_id", space->version_id);
    put_string(out, "space", name);
    (void)sp_buf_append_char(out, '}');
}

void sp_gradio_config(struct sp_app_space *space, struct sp_exchange *ex, const char *rest)
{
    struct sp_buf body SP_AUTO_BUF = {0};

    (void)rest;
    if (!sp_app_serves(space)) {
        sp_app_hold(space, ex);
        return;
    }
    sp_buf_init(&body, 0);
    put_config(&body, space, ex);
    sp_reply_header(ex, "Cache-Control", "no-store");
    sp_reply(ex, 200, "application/json", sp_buf_slice(&body));
}

void sp_gradio_info(struct sp_app_space *space, struct sp_exchange *ex, const char *rest)
{
    (void)rest;
    if (!sp_app_serves(space)) {
        sp_app_hold(space, ex);
        return;
    }
    sp_reply(ex, 200, "application/json", sp_slice(space->info, space->info_len));
}

void sp_gradio_app_id(struct sp_app_space *space, struct sp_exchange *ex, const char *rest)
{
    struct sp_buf body SP_AUTO_BUF = {0};

    (void)rest;
    sp_buf_init(&body, 0);
    (void)sp_buf_printf(&body, "{\"app_id\":%llu}", (unsigned long long)space->apps->app_id);
    sp_reply(ex, 200, "application/json", sp_buf_slice(&body));
}

/* Whether events that Gradio runs at its own start were run: ours run in the worker before `ready`.
 */
void sp_gradio_startup(struct sp_app_space *space, struct sp_exchange *ex, const char *rest)
{
    (void)space;
    (void)rest;
    sp_reply(ex, 200, "application/json", SP_SLICE("false"));
}

/* /login_check, /user: apps of ours have no login of their own. */
void sp_gradio_null(struct sp_app_space *space, struct sp_exchange *ex, const char *rest)
{
    (void)space;
    (void)rest;
    sp_reply(ex, 200, "application/json", SP_SLICE("null"));
}
