/*
 * runtime/spaces/space_env.h - the variables and secrets of a Space: what its owner adds to the
 * environment of its app. Documents that never change: a change makes another one.
 *
 *     {"variables": {KEY: {"value", "description", "updated_ms"}},
 *      "secrets":   {KEY: {"sealed", "description", "updated_ms"}}}
 *
 * A secret is sealed the moment it arrives (runtime/state/secrets.h) and opened for a start alone.
 */
#ifndef SP_RUNTIME_SPACES_SPACE_ENV_H
#define SP_RUNTIME_SPACES_SPACE_ENV_H

#include <stdbool.h>
#include <stdint.h>

#include <jansson.h>

struct sp_config;
struct sp_error;
struct sp_secrets;

enum sp_env_kind { SP_ENV_VARIABLE, SP_ENV_SECRET };

struct sp_env_change {
    enum sp_env_kind kind;
    const char *key;
    const char *value; /* NULL = take it away */
    const char *description;
};

/* `env` may be NULL, which is an empty one. `*ret` is a new reference. */
int sp_space_env_change(const json_t *env, const struct sp_config *config,
                        const struct sp_secrets *secrets, uint64_t space,
                        const struct sp_env_change *change, json_t **ret, struct sp_error *err);
/* For a duplicate: the variables alone; NULL when there are none. A new reference. */
json_t *sp_space_env_public(const json_t *env);
/* For people: {KEY: {"value" of variables, "description", "updatedAt"}}. A new reference. */
json_t *sp_space_env_to_json(const json_t *env, enum sp_env_kind kind);
/* The names of the secrets, a new reference to a list. */
json_t *sp_space_env_secrets(const json_t *env);

/*
 * All of them as KEY=VALUE, ended by NULL; erase it with sp_space_env_erase. Fails when a secret
 * cannot be opened, and says which.
 */
int sp_space_env_open(const json_t *env, const struct sp_secrets *secrets, uint64_t space,
                      char ***ret, struct sp_error *err);
void sp_space_env_erase(char **list);

#endif
