#include "base/json.h"

#include "base/error.h"

void sp_auto_json(json_t **value)
{
    json_decref(*value);
}

int sp_json_parse(struct sp_slice text, json_t **ret, struct sp_error *err)
{
    json_error_t at;
    json_t *value;

    if (text.len > SP_JSON_MAX)
        return sp_error_set(err, SP_ERR_LIMIT, 0,
                            "the JSON document has %zu bytes, at most %zu fit", text.len,
                            SP_JSON_MAX);

    value = json_loadb(text.ptr, text.len, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &at);
    if (!value)
        return sp_error_set(err, SP_ERR_INVALID, 0, "not valid JSON at byte %d: %s", at.position,
                            at.text);
    *ret = value;
    return 0;
}

static int wrong_type(const char *key, const char *expected, struct sp_error *err)
{
    return sp_error_set(err, SP_ERR_INVALID, 0, "'%s' must be %s", key, expected);
}

int sp_json_get_str(const json_t *obj, const char *key, const char **ret, struct sp_error *err)
{
    const json_t *value = json_object_get(obj, key);

    if (!value || json_is_null(value))
        return 0;
    if (!json_is_string(value))
        return wrong_type(key, "a string", err);
    *ret = json_string_value(value);
    return 0;
}

int sp_json_get_int(const json_t *obj, const char *key, int64_t min, int64_t max, int64_t *ret,
                    struct sp_error *err)
{
    const json_t *value = json_object_get(obj, key);

    if (!value || json_is_null(value))
        return 0;
    if (!json_is_integer(value))
        return wrong_type(key, "a whole number", err);
    if (json_integer_value(value) < min || json_integer_value(value) > max)
        return sp_error_set(err, SP_ERR_INVALID, 0, "'%s' must lie between %lld and %lld", key,
                            (long long)min, (long long)max);
    *ret = json_integer_value(value);
    return 0;
}

int sp_json_get_bool(const json_t *obj, const char *key, bool *ret, struct sp_error *err)
{
    const json_t *value = json_object_get(obj, key);

    if (!value || json_is_null(value))
        return 0;
    if (!json_is_boolean(value))
        return wrong_type(key, "true or false", err);
    *ret = json_is_true(value);
    return 0;
}

static int append(const char *text, size_t len, void *buf)
{
    return sp_buf_append(buf, text, len) ? 0 : -1;
}

bool sp_json_dump(const json_t *value, struct sp_buf *buf)
{
    return json_dump_callback(value, append, buf, JSON_COMPACT | JSON_ENCODE_ANY) == 0;
}
