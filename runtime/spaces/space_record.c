/* The stored form of a Space: one JSON document under /spaces/<id>. docs/storage.md lists the keys.
 */
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/json.h"
#include "base/mem.h"
#include "runtime/spaces/spaces.h"

static json_t *card_to_json(const struct sp_card *card)
{
    return json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s}", "title",
                     card->title, "emoji", card->emoji, "colorFrom", card->color_from, "colorTo",
                     card->color_to, "sdk", card->sdk, "app_file", card->app_file, "license",
                     card->license, "short_description", card->short_description, "gradio",
                     card->engine, "python_version", card->python_version, "base", card->base);
}

static json_t *version_to_json(const struct sp_version *version)
{
    if (!version->snapshot[0])
        return json_null();
    return json_pack("{s:s, s:I, s:I, s:o}", "snapshot", version->snapshot, "number",
                     (json_int_t)version->number, "created_ms", (json_int_t)version->created_ms,
                     "card", card_to_json(&version->card));
}

static json_t *failure_to_json(const struct sp_failure *failure)
{
    if (!failure->is_set)
        return json_null();
    return json_pack("{s:I, s:s, s:s}", "number", (json_int_t)failure->number, "stage",
                     sp_stage_to_string(failure->stage), "reason", failure->reason);
}

char *sp_space_to_record(const struct sp_space *space, size_t *ret_len)
{
    SP_AUTO_JSON json_t *doc = json_pack(
        "{s:i, s:s, s:s, s:b, s:b, s:I, s:I, s:s, s:o, s:o, s:o, s:o, s:O*}", "v", 1, "owner",
        space->owner, "name", space->name, "private", space->is_private, "paused", space->paused,
        "created_ms", (json_int_t)space->created_ms, "modified_ms", (json_int_t)space->modified_ms,
        "origin", space->origin, "current", version_to_json(&space->current), "candidate",
        version_to_json(&space->candidate), "failure", failure_to_json(&space->failure),
        "resources", sp_resources_to_record(&space->resources), "env", space->env);
    char *text = json_dumps(doc, JSON_COMPACT);

    if (!text)
        abort(); /* only when memory is out: every string in it is UTF-8 of ours */
    *ret_len = strlen(text);
    return text;
}

/* Copies a string field; false when it is of another type or does not fit. */
static bool copy(const json_t *obj, const char *key, char *ret, size_t size)
{
    const char *value = "";

    if (sp_json_get_str(obj, key, &value, NULL) < 0 || strlen(value) >= size)
        return false;
    (void)snprintf(ret, size, "%s", value);
    return true;
}

#define COPY(obj, key, field) copy(obj, key, field, sizeof(field))

static bool card_from_json(const json_t *obj, struct sp_card *ret)
{
    return COPY(obj, "title", ret->title) && COPY(obj, "emoji", ret->emoji) &&
           COPY(obj, "colorFrom", ret->color_from) && COPY(obj, "colorTo", ret->color_to) &&
           COPY(obj, "sdk", ret->sdk) && COPY(obj, "app_file", ret->app_file) &&
           COPY(obj, "license", ret->license) &&
           COPY(obj, "short_description", ret->short_description) &&
           COPY(obj, "gradio", ret->engine) && COPY(obj, "python_version", ret->python_version) &&
           COPY(obj, "base", ret->base);
}

static bool get_time(const json_t *obj, const char *key, int64_t *ret)
{
    return sp_json_get_int(obj, key, 0, INT64_MAX, ret, NULL) == 0;
}

static bool version_from_json(const json_t *obj, struct sp_version *ret)
{
    int64_t number = 0;

    if (json_is_null(obj))
        return true;
    if (!json_is_object(obj) || !get_time(obj, "number", &number))
        return false;
    ret->number = (uint64_t)number;
    return COPY(obj, "snapshot", ret->snapshot) && get_time(obj, "created_ms", &ret->created_ms) &&
           card_from_json(json_object_get(obj, "card"), &ret->card);
}

static bool failure_from_json(const json_t *obj, struct sp_failure *ret)
{
    char stage[32] = "";
    int64_t number = 0;

    if (json_is_null(obj))
        return true;
    ret->is_set = COPY(obj, "stage", stage) && sp_stage_from_string(stage, &ret->stage) &&
                  COPY(obj, "reason", ret->reason) && get_time(obj, "number", &number);
    ret->number = (uint64_t)number;
    return ret->is_set;
}

int sp_space_from_record(const char *json, size_t len, struct sp_space *ret, struct sp_error *err)
{
    SP_AUTO_JSON json_t *doc = NULL;
    int64_t v = 1;
    json_t *env;
    int r = sp_json_parse(sp_slice(json, len), &doc, err);

    if (r < 0)
        return r;
    env = json_object_get(doc, "env");
    if (!COPY(doc, "owner", ret->owner) || !COPY(doc, "name", ret->name) ||
        sp_json_get_int(doc, "v", 1, 1, &v, NULL) < 0 || !COPY(doc, "origin", ret->origin) ||
        sp_json_get_bool(doc, "private", &ret->is_private, NULL) < 0 ||
        sp_json_get_bool(doc, "paused", &ret->paused, NULL) < 0 ||
        !get_time(doc, "created_ms", &ret->created_ms) ||
        !get_time(doc, "modified_ms", &ret->modified_ms) ||
        !version_from_json(json_object_get(doc, "current"), &ret->current) ||
        !version_from_json(json_object_get(doc, "candidate"), &ret->candidate) ||
        !failure_from_json(json_object_get(doc, "failure"), &ret->failure) ||
        !sp_resources_from_record(json_object_get(doc, "resources"), &ret->resources) ||
        (env && !json_is_object(env)) || !ret->owner[0] || !ret->name[0] ||
        (!ret->current.snapshot[0] && !ret->candidate.snapshot[0]))
        return sp_error_set(err, SP_ERR_INTERNAL, 0, "a field is missing or not as it should be");
    if (env)
        ret->env = json_incref(env);
    return 0;
}
