/*
 * runtime/config.h - every setting, one row each: name, type, default, bounds, help. Flags, the
 * environment, the configuration file, `spaces config show` and docs/config.md read that table.
 *
 * Precedence: flag over environment (SPACESD_LIMIT_HEAD for limit.head) over file over default.
 * A wrong file is refused whole: "file:line: limit.head: expected a size such as 32k".
 */
#ifndef SP_RUNTIME_CONFIG_H
#define SP_RUNTIME_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <jansson.h>

struct sp_config;
struct sp_error;
struct sp_buf;

struct sp_config *sp_config_new(void); /* the defaults */
void sp_config_free(struct sp_config *config);

/* "name = value" lines, '#' comments. */
int sp_config_load_file(struct sp_config *config, const char *path, struct sp_error *err);
int sp_config_load_env(struct sp_config *config, char **environ_vars, struct sp_error *err);
/* One setting by its name; `source` ("flag --listen") is shown by `config show`. */
int sp_config_set(struct sp_config *config, const char *name, const char *value, const char *source,
                  struct sp_error *err);

/* The name must be a row of the right type: anything else is a bug and aborts. */
const char *sp_config_str(const struct sp_config *config, const char *name);
uint64_t sp_config_size(const struct sp_config *config, const char *name);     /* bytes */
uint64_t sp_config_duration(const struct sp_config *config, const char *name); /* ms */
uint64_t sp_config_int(const struct sp_config *config, const char *name);
bool sp_config_bool(const struct sp_config *config, const char *name);

/* [{"name","value","default","source","help"}] in table order; a new reference. */
json_t *sp_config_to_json(const struct sp_config *config);
/* docs/config.md, generated: one table of settings, one of limits. */
void sp_config_write_docs(struct sp_buf *out);

#endif
