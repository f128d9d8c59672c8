#include "runtime/spaces/space_env.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/str.h"
#include "runtime/config.h"
#include "runtime/state/secrets.h"

#define KEY_MAX         128u
#define DESCRIPTION_MAX 512u

static const char *const kinds[] = {[SP_ENV_VARIABLE] = "variables", [SP_ENV_SECRET] = "secrets"};

static json_t *all_of(const json_t *env, enum sp_env_kind kind)
{
    return json_object_get(env, kinds[kind]);
}

static char *context_of(uint64_t space, const char *key)
{
    return sp_asprintf("space %016" PRIx64 " %s", space, key);
}

static int check_key(const char *key, struct sp_error *err)
{
    static const char *const ours[] = {"SPACEKIT_FD", "SYSTEM"};
    size_t len = strlen(key);
    bool ok = len > 0 && len <= KEY_MAX && !(key[0] >= '0' && key[0] <= '9');

    for (const char *c = key; *c && ok; c++)
        ok = (*c >= 'a' && *c <= 'z') || (*c >= 'A' && *c <= 'Z') || (*c >= '0' && *c <= '9') ||
             *c == '_';
    if (!ok)
        return sp_error_set(err, SP_ERR_INVALID, 0,
                            "'%.60s' is no name: letters, digits and '_', at most %u", key,
                            KEY_MAX);
    for (size_t i = 0; i < SP_LEN(ours); i++)
        ok = ok && strcmp(key, ours[i]) != 0;
    if (!ok || strncmp(key, "SPACE_", 6) == 0)
        return sp_error_set(err, SP_ERR_INVALID, 0, "'%s' is set by spacesd", key);
    return 0;
}

/* What all of them take in the environment; of a secret, what is sealed tells its length. */
static uint64_t size_of(const json_t *env)
{
    uint64_t sum = 0;

    for (int kind = SP_ENV_VARIABLE; kind <= SP_ENV_SECRET; kind++) {
        const char *key;
        json_t *one;

        json_object_foreach (all_of(env, (enum sp_env_kind)kind), key, one)
            sum += strlen(key) + 2 + json_string_length(json_object_get(one, "value")) +
                   json_string_length(json_object_get(one, "sealed")) * 3 / 4;
    }
    return sum;
}

static json_t *entry_of(const struct sp_env_change *change, const struct sp_secrets *secrets,
                        uint64_t space)
{
    SP_AUTO_FREE char *context = context_of(space, change->key), *sealed = NULL;
    json_t *one =
        json_pack("{s:s?, s:I}", "description", change->description[0] ? change->description : NULL,
                  "updated_ms", (json_int_t)sp_clock_wall_ms());

    if (change->kind == SP_ENV_SECRET) {
        sp_secrets_seal(secrets, context, sp_slice_str(change->value), &sealed);
        (void)json_object_set_new(one, "sealed", json_string(sealed));
    } else {
        (void)json_object_set_new(one, "value", json_string(change->value));
    }
    return one;
}

int sp_space_env_change(const json_t *env, const struct sp_config *config,
                        const struct sp_secrets *secrets, uint64_t space,
                        const struct sp_env_change *change, json_t **ret, struct sp_error *err)
{
    enum sp_env_kind other = change->kind == SP_ENV_SECRET ? SP_ENV_VARIABLE : SP_ENV_SECRET;
    uint64_t most = sp_config_size(config, "space.env");
    SP_AUTO_JSON json_t *next = NULL;
    int r = check_key(change->key, err);

    if (r < 0)
        return r;
    if (change->value && strlen(change->description) > DESCRIPTION_MAX)
        return sp_error_set(err, SP_ERR_INVALID, 0, "a description has at most %u bytes",
                            DESCRIPTION_MAX);
    if (change->value && json_object_get(all_of(env, other), change->key))
        return sp_error_set(err, SP_ERR_CONFLICT, 0, "'%s' is one of the %s already", change->key,
                            kinds[other]);
    next = env ? json_deep_copy(env) : json_pack("{s:{}, s:{}}", "variables", "secrets");
    if (!change->value)
        (void)json_object_del(all_of(next, change->kind), change->key);
    else
        (void)json_object_set_new(all_of(next, change->kind), change->key,
                                  entry_of(change, secrets, space));
    if (change->value && size_of(next) > most)
        return sp_error_set(err, SP_ERR_LIMIT, 0,
                            "variables and secrets together are over %" PRIu64 " bytes (space.env)",
                            most);
    *ret = SP_TAKE(next);
    return 0;
}

json_t *sp_space_env_public(const json_t *env)
{
    json_t *variables = all_of(env, SP_ENV_VARIABLE);

    return json_object_size(variables)
               ? json_pack("{s:o, s:{}}", "variables", json_deep_copy(variables), "secrets")
               : NULL;
}

json_t *sp_space_env_to_json(const json_t *env, enum sp_env_kind kind)
{
    json_t *ret = json_object();
    const char *key;
    json_t *one;

    json_object_foreach (all_of(env, kind), key, one) {
        char updated[SP_TIME_LEN];

        sp_clock_format(json_integer_value(json_object_get(one, "updated_ms")), updated);
        (void)json_object_set_new(
            ret, key,
            json_pack("{s:O*, s:O*, s:s}", "value", json_object_get(one, "value"), "description",
                      json_object_get(one, "description"), "updatedAt", updated));
    }
    return ret;
}

json_t *sp_space_env_secrets(const json_t *env)
{
    json_t *ret = json_array();
    const char *key;
    json_t *one;

    json_object_foreach (all_of(env, SP_ENV_SECRET), key, one)
        (void)json_array_append_new(ret, json_string(key));
    return ret;
}

/* --- for a start ------------------------------------------------------------------------------ */

static int open_one(const char *key, const json_t *one, const struct sp_secrets *secrets,
                    uint64_t space, char **ret, struct sp_error *err)
{
    const char *value = json_string_value(json_object_get(one, "value"));
    const char *sealed = json_string_value(json_object_get(one, "sealed"));
    SP_AUTO_FREE char *context = context_of(space, key);
    char *plain = NULL;
    int r = sealed ? sp_secrets_unseal(secrets, context, sealed, &plain, err) : 0;

    if (r < 0)
        return sp_error_wrap(err, "open the secret '%s'", key);
    *ret = sp_asprintf("%s=%s", key, plain ? plain : value ? value : "");
    sp_secrets_erase(plain);
    return 0;
}

int sp_space_env_open(const json_t *env, const struct sp_secrets *secrets, uint64_t space,
                      char ***ret, struct sp_error *err)
{
    size_t n = json_object_size(all_of(env, SP_ENV_VARIABLE)) +
               json_object_size(all_of(env, SP_ENV_SECRET));
    char **list = sp_new0n(char *, n + 1);
    size_t at = 0;

    for (int kind = SP_ENV_VARIABLE; kind <= SP_ENV_SECRET; kind++) {
        const char *key;
        json_t *one;

        json_object_foreach (all_of(env, (enum sp_env_kind)kind), key, one) {
            int r = open_one(key, one, secrets, space, &list[at], err);

            if (r < 0) {
                sp_space_env_erase(list);
                return r;
            }
            at++;
        }
    }
    *ret = list;
    return 0;
}

void sp_space_env_erase(char **list)
{
    for (char **at = list; list && *at; at++)
        sp_secrets_erase(*at);
    free(list);
}
