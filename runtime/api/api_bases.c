/* docs/api.md, Bases. */
#include "runtime/api/handlers.h"

#include <string.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/json.h"
#include "runtime/api/later.h"
#include "runtime/config.h"
#include "runtime/daemon.h"
#include "runtime/spaces/bases.h"

static json_t *base_json(const struct sp_base *base)
{
    char created[SP_TIME_LEN] = "";

    if (base->created_ms)
        sp_clock_format(base->created_ms, created);
    return json_pack("{s:s, s:s, s:s?, s:s, s:s, s:s, s:I, s:I, s:s?, s:O?}", "name", base->name,
                     "state", sp_base_state_to_string(base->state), "digest",
                     base->state == SP_BASE_READY ? base->digest : NULL, "source", base->source,
                     "step", base->state == SP_BASE_MAKING ? base->step : "", "reason",
                     base->reason, "bytes", (json_int_t)base->bytes, "files",
                     (json_int_t)base->files, "createdAt", created[0] ? created : NULL, "config",
                     base->config);
}

void sp_space_base_to_json(struct sp_exchange *ex, const struct sp_space *space, json_t *doc)
{
    const struct sp_daemon *daemon = sp_daemon_of(ex);
    const char *word = sp_space_version(space)->card.base, *digest = "";

    (void)sp_bases_resolve(daemon->bases, word, &digest, NULL);
    (void)json_object_set_new(
        doc, "base",
        json_pack("{s:s, s:s?}", "name",
                  word[0] ? word : sp_config_str(daemon->config, "base.default"), "digest",
                  digest[0] ? digest : NULL));
}

void sp_api_base_list(struct sp_exchange *ex)
{
    json_t *list = json_array();

    SP_LIST_EACH (base, sp_bases_list(sp_daemon_of(ex)->bases), struct sp_base, node)
        (void)json_array_append_new(list, base_json(base));
    sp_reply_json(ex, 200, list);
}

static const struct sp_base *find(struct sp_exchange *ex)
{
    const char *name = sp_exchange_param(ex, "base");
    const struct sp_base *base = sp_bases_find(sp_daemon_of(ex)->bases, name);

    if (!base)
        sp_reply_problem(ex, 404, "not_found", "there is no base '%.63s'", name);
    return base;
}

void sp_api_base_show(struct sp_exchange *ex)
{
    const struct sp_base *base = find(ex);

    if (base)
        sp_reply_json(ex, 200, base_json(base));
}

static void join(const json_t *list, struct sp_buf *out)
{
    const json_t *item;
    size_t i;

    json_array_foreach (list, i, item) {
        if (out->len)
            (void)sp_buf_append_char(out, ',');
        (void)sp_buf_append_str(out, json_is_string(item) ? json_string_value(item) : "?");
    }
}

void sp_api_base_make(struct sp_exchange *ex)
{
    struct sp_daemon *daemon = sp_daemon_of(ex);
    const char *name = "", *source = "", *mirror = "";
    SP_AUTO_JSON json_t *body = NULL;
    SP_AUTO_BUF struct sp_buf packages;
    struct sp_error err = {0};
    int r = sp_json_parse(sp_exchange_body(ex), &body, &err);

    sp_buf_init(&packages, 8192);
    if (r == 0)
        r = sp_json_get_str(body, "name", &name, &err);
    if (r == 0)
        r = sp_json_get_str(body, "source", &source, &err);
    if (r == 0)
        r = sp_json_get_str(body, "mirror", &mirror, &err);
    join(json_object_get(body, "packages"), &packages);
    if (r == 0)
        r = sp_bases_make(daemon->bases, name, source, sp_buf_str(&packages), mirror, &err);
    if (r < 0)
        sp_reply_error(ex, &err);
    else
        sp_reply_json(ex, 202, base_json(sp_bases_find(daemon->bases, name)));
}

static void on_removed(void *arg, const struct sp_error *err)
{
    struct sp_exchange *ex = sp_later_take(arg);

    if (ex && err)
        sp_reply_error(ex, err);
    else if (ex)
        sp_reply_empty(ex, 204);
}

void sp_api_base_remove(struct sp_exchange *ex)
{
    sp_bases_remove(sp_daemon_of(ex)->bases, sp_exchange_param(ex, "base"), on_removed,
                    sp_later_new(ex));
}
