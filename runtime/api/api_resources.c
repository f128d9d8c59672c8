/* docs/api.md, Spaces: hardware, sleeptime, storage, network. */
#include "runtime/api/handlers.h"

#include <string.h>

#include "base/buf.h"
#include "base/error.h"
#include "base/json.h"
#include "runtime/api/gate.h"
#include "runtime/api/later.h"
#include "runtime/daemon.h"
#include "runtime/spaces/resources.h"

void sp_space_resources_to_json(struct sp_exchange *ex, const struct sp_space *space, json_t *doc)
{
    const struct sp_daemon *daemon = sp_daemon_of(ex);
    const struct sp_config *config = daemon->config;
    const struct sp_resources *resources = &space->resources;
    const char *hardware = sp_resources_hardware(resources);
    const char *promise = sp_resources_promise(config, daemon->spaces.instances.gpus, resources);
    uint64_t freeze_ms = sp_resources_freeze_ms(config, resources);
    struct sp_launch_limits limits;

    sp_resources_limits(config, resources, &limits);
    sp_space_base_to_json(ex, space, doc);
    (void)json_object_set_new(doc, "hardware",
                              json_pack("{s:s, s:s}", "current", hardware, "requested", hardware));
    if (promise[0])
        (void)json_object_set_new(json_object_get(doc, "hardware"), "promise",
                                  json_string(promise));
    (void)json_object_set_new(
        doc, "limits",
        json_pack("{s:I, s:I, s:I, s:I, s:I, s:I}", "cpu_millis", (json_int_t)limits.cpu_millis,
                  "memory_bytes", (json_int_t)limits.memory_bytes, "pids", (json_int_t)limits.pids,
                  "layer_bytes", (json_int_t)limits.layer_bytes, "data_bytes",
                  (json_int_t)limits.data_bytes, "data_files", (json_int_t)limits.data_inodes));
    (void)json_object_set_new(
        doc, "storage", resources->storage[0] ? json_string(resources->storage) : json_null());
    (void)json_object_set_new(
        doc, "gcTimeout", freeze_ms ? json_integer((json_int_t)(freeze_ms / 1000)) : json_null());
    (void)json_object_set_new(doc, "network",
                              json_pack("{s:s, s:o}", "mode",
                                        sp_resources_network_to_string(resources->network), "allow",
                                        sp_resources_allow_json(resources)));
}

void sp_api_hardware_list(struct sp_exchange *ex)
{
    const struct sp_daemon *daemon = sp_daemon_of(ex);

    sp_reply_json(ex, 200,
                  sp_resources_flavors_json(daemon->config, daemon->spaces.instances.gpus));
}

static void reply_runtime(void *arg, const struct sp_error *err, struct sp_space *space)
{
    struct sp_exchange *ex = sp_later_take(arg);

    if (ex && err)
        sp_reply_error(ex, err);
    else if (ex)
        sp_reply_json(ex, 202, sp_space_runtime_json(ex, space));
}

/* `r` is what checking the choice said; what it refused has changed nothing. */
static void finish(struct sp_exchange *ex, int r, const struct sp_resources *next,
                   const struct sp_error *err)
{
    if (r < 0)
        sp_reply_error(ex, err);
    else
        sp_spaces_set_resources(sp_gate_space(ex), next, reply_runtime, sp_later_new(ex));
}

/* A field that must be there, as text. */
static int get_text(const json_t *body, const char *key, const char **ret, struct sp_error *err)
{
    int r = sp_json_get_str(body, key, ret, err);

    if (r == 0 && !*ret)
        r = sp_error_set(err, SP_ERR_INVALID, 0, "'%s' is missing", key);
    return r;
}

static int get_seconds(const json_t *body, const char *key, struct sp_resources *next,
                       struct sp_error *err)
{
    int64_t seconds = 0;
    int r = sp_json_get_int(body, key, -1, INT32_MAX, &seconds, err);

    return r == 0 && json_object_get(body, key) ? sp_resources_set_sleep(next, seconds, err) : r;
}

void sp_api_space_hardware(struct sp_exchange *ex)
{
    const struct sp_daemon *daemon = sp_daemon_of(ex);
    struct sp_resources next = sp_gate_space(ex)->resources;
    SP_AUTO_JSON json_t *body = NULL;
    const char *flavor = NULL;
    struct sp_error err = {0};
    int r = sp_json_parse(sp_exchange_body(ex), &body, &err);

    if (r == 0)
        r = get_text(body, "flavor", &flavor, &err);
    if (r == 0)
        r = sp_resources_set_hardware(daemon->config, daemon->spaces.instances.gpus, &next, flavor,
                                      &err);
    if (r == 0)
        r = get_seconds(body, "sleepTimeSeconds", &next, &err);
    finish(ex, r, &next, &err);
}

void sp_api_space_sleeptime(struct sp_exchange *ex)
{
    struct sp_resources next = sp_gate_space(ex)->resources;
    SP_AUTO_JSON json_t *body = NULL;
    struct sp_error err = {0};
    int r = sp_json_parse(sp_exchange_body(ex), &body, &err);

    if (r == 0 && !json_object_get(body, "seconds"))
        r = sp_error_set(&err, SP_ERR_INVALID, 0, "'seconds' is missing");
    if (r == 0)
        r = get_seconds(body, "seconds", &next, &err);
    finish(ex, r, &next, &err);
}

void sp_api_space_storage(struct sp_exchange *ex)
{
    struct sp_resources next = sp_gate_space(ex)->resources;
    SP_AUTO_JSON json_t *body = NULL;
    const char *tier = NULL;
    struct sp_error err = {0};
    int r = sp_json_parse(sp_exchange_body(ex), &body, &err);

    if (r == 0)
        r = get_text(body, "tier", &tier, &err);
    if (r == 0)
        r = sp_resources_set_storage(sp_daemon_of(ex)->config, &next, tier,
                                     sp_spaces_data_bytes(sp_gate_space(ex)->id), &err);
    finish(ex, r, &next, &err);
}

void sp_api_space_storage_delete(struct sp_exchange *ex)
{
    struct sp_resources next = sp_gate_space(ex)->resources;

    next.storage[0] = '\0';
    finish(ex, 0, &next, NULL);
}

/* ["a", "b"] as "a,b". */
static int join_names(const json_t *list, struct sp_buf *out, struct sp_error *err)
{
    const json_t *item;
    size_t i;

    if (list && !json_is_null(list) && !json_is_array(list))
        return sp_error_set(err, SP_ERR_INVALID, 0, "'allow' is not a list of names");
    json_array_foreach (list, i, item) {
        const char *name = json_string_value(item);

        if (!name || !*name || strchr(name, ','))
            return sp_error_set(err, SP_ERR_INVALID, 0, "'allow' is not a list of names");
        if (i)
            (void)sp_buf_append_char(out, ',');
        (void)sp_buf_append_str(out, name);
    }
    return 0;
}

void sp_api_space_network(struct sp_exchange *ex)
{
    struct sp_resources next = sp_gate_space(ex)->resources;
    SP_AUTO_JSON json_t *body = NULL;
    SP_AUTO_BUF struct sp_buf allow;
    const char *mode = NULL;
    struct sp_error err = {0};
    int r = sp_json_parse(sp_exchange_body(ex), &body, &err);

    sp_buf_init(&allow, 0);
    if (r == 0)
        r = get_text(body, "mode", &mode, &err);
    if (r == 0)
        r = join_names(json_object_get(body, "allow"), &allow, &err);
    if (r == 0)
        r = sp_resources_set_network(sp_daemon_of(ex)->config, &next, mode, sp_buf_str(&allow),
                                     &err);
    finish(ex, r, &next, &err);
}
