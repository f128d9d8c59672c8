#include "runtime/config.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>

#include "base/buf.h"
#include "base/error.h"
#include "base/fd.h"
#include "base/mem.h"
#include "base/str.h"
#include "runtime/config-internal.h"

#define FILE_MAX   ((size_t)256 * 1024)
#define ENV_PREFIX "SPACESD_"

struct setting {
    char *text; /* as it was written */
    char *source;
    uint64_t number; /* of every type but strings */
};

struct sp_config {
    struct setting *settings; /* one for each row, in table order */
    unsigned *by_name;        /* row numbers in the order of names */
};

/* --- rows --------------------------------------------------------------------------------- */

static int compare_rows(const void *a, const void *b)
{
    return strcmp(sp_config_rows[*(const unsigned *)a].name,
                  sp_config_rows[*(const unsigned *)b].name);
}

static int compare_name(const void *name, const void *row)
{
    return strcmp(name, sp_config_rows[*(const unsigned *)row].name);
}

static const struct sp_config_row *find_row(const struct sp_config *config, const char *name)
{
    const unsigned *at =
        bsearch(name, config->by_name, sp_config_n_rows, sizeof(unsigned), compare_name);

    return at ? &sp_config_rows[*at] : NULL;
}

static struct setting *setting_of(const struct sp_config *config, const struct sp_config_row *row)
{
    return &config->settings[row - sp_config_rows];
}

/* What a value of the row looks like, for error messages. */
static const char *expected(const struct sp_config_row *row)
{
    switch (row->type) {
    case SP_CONFIG_STR: return "a text";
    case SP_CONFIG_BOOL: return "true or false";
    case SP_CONFIG_INT: return "a number such as 100";
    case SP_CONFIG_SIZE: return "a size such as 512M";
    case SP_CONFIG_DURATION: return "a duration such as 15s";
    }
    return "a value";
}

/* --- values ------------------------------------------------------------------------------- */

static bool parse_bool(struct sp_slice text, uint64_t *ret)
{
    static const char *const yes[] = {"true", "yes", "on", "1"};
    static const char *const no[] = {"false", "no", "off", "0"};

    for (size_t i = 0; i < SP_LEN(yes); i++) {
        if (sp_slice_eq_nocase(text, yes[i]))
            return *ret = 1, true;
        if (sp_slice_eq_nocase(text, no[i]))
            return *ret = 0, true;
    }
    return false;
}

static bool parse_number(const struct sp_config_row *row, struct sp_slice text, uint64_t *ret)
{
    switch (row->type) {
    case SP_CONFIG_STR: *ret = text.len; return memchr(text.ptr, 0, text.len) == NULL;
    case SP_CONFIG_BOOL: return parse_bool(text, ret);
    case SP_CONFIG_INT: return sp_parse_u64(text, UINT64_MAX, ret);
    case SP_CONFIG_SIZE: return sp_parse_size(text, ret);
    case SP_CONFIG_DURATION: return sp_parse_duration(text, ret);
    }
    return false;
}

static void format_number(const struct sp_config_row *row, uint64_t value, char *ret, size_t size)
{
    static const struct {
        enum sp_config_type type;
        uint64_t factor;
        const char *suffix;
    } units[] = {
        {SP_CONFIG_SIZE, 1ull << 40, "T"},   {SP_CONFIG_SIZE, 1ull << 30, "G"},
        {SP_CONFIG_SIZE, 1ull << 20, "M"},   {SP_CONFIG_SIZE, 1ull << 10, "k"},
        {SP_CONFIG_DURATION, 86400000, "d"}, {SP_CONFIG_DURATION, 3600000, "h"},
        {SP_CONFIG_DURATION, 60000, "m"},    {SP_CONFIG_DURATION, 1000, "s"},
        {SP_CONFIG_DURATION, 1, "ms"},
    };

    for (size_t i = 0; i < SP_LEN(units); i++) {
        if (units[i].type == row->type && value && value % units[i].factor == 0) {
            (void)snprintf(ret, size, "%" PRIu64 "%s", value / units[i].factor, units[i].suffix);
            return;
        }
    }
    (void)snprintf(ret, size, "%" PRIu64, value);
}

static int check_bounds(const struct sp_config_row *row, uint64_t value, struct sp_error *err)
{
    char min[32];
    char max[32];

    if (value >= row->min && value <= row->max)
        return 0;
    if (row->type == SP_CONFIG_STR)
        return sp_error_set(err, SP_ERR_INVALID, 0, "%s: expected %" PRIu64 " to %" PRIu64 " bytes",
                            row->name, row->min, row->max);
    format_number(row, row->min, min, sizeof(min));
    format_number(row, row->max, max, sizeof(max));
    return sp_error_set(err, SP_ERR_INVALID, 0, "%s: expected %s to %s", row->name, min, max);
}

static int check_text(const struct sp_config_row *row, struct sp_slice text, struct sp_error *err)
{
    SP_AUTO_FREE char *terminated = NULL;
    struct sp_error why = {0};
    int r;

    if (!row->check)
        return 0;
    terminated = sp_slice_dup(text);
    r = row->check(terminated, &why);
    if (r < 0)
        (void)sp_error_set(err, SP_ERR_INVALID, 0, "%s: %s", row->name, why.msg);
    return r;
}

static int set_value(struct sp_config *config, const struct sp_config_row *row,
                     struct sp_slice text, const char *source, struct sp_error *err)
{
    struct setting *setting = setting_of(config, row);
    uint64_t value = 0;

    if (row->word && sp_slice_eq_nocase(text, row->word)) {
        value = row->resolve ? row->resolve() : 0;
    } else {
        if (!parse_number(row, text, &value))
            return sp_error_set(err, SP_ERR_INVALID, 0, "%s: expected %s%s%s", row->name,
                                expected(row), row->word ? " or " : "", row->word ? row->word : "");
        if (check_bounds(row, value, err) < 0 || check_text(row, text, err) < 0)
            return -EINVAL;
    }

    free(setting->text);
    free(setting->source);
    setting->text = sp_slice_dup(text);
    setting->source = sp_strdup(source);
    setting->number = value;
    return 0;
}

int sp_config_set(struct sp_config *config, const char *name, const char *value, const char *source,
                  struct sp_error *err)
{
    const struct sp_config_row *row = find_row(config, name);

    if (!row)
        return sp_error_set(err, SP_ERR_INVALID, 0, "%s: there is no such setting", name);
    return set_value(config, row, sp_slice_str(value), source, err);
}

/* --- life --------------------------------------------------------------------------------- */

struct sp_config *sp_config_new(void)
{
    struct sp_config *config = sp_new0(struct sp_config);

    config->settings = sp_new0n(struct setting, sp_config_n_rows);
    config->by_name = sp_new0n(unsigned, sp_config_n_rows);
    for (unsigned i = 0; i < sp_config_n_rows; i++)
        config->by_name[i] = i;
    qsort(config->by_name, sp_config_n_rows, sizeof(unsigned), compare_rows);

    for (unsigned i = 0; i < sp_config_n_rows; i++) {
        const struct sp_config_row *row = &sp_config_rows[i];

        if (set_value(config, row, sp_slice_str(row->def), "default", NULL) < 0)
            abort(); /* a row whose default breaks its own rule: test_config finds it */
    }
    return config;
}

void sp_config_free(struct sp_config *config)
{
    if (!config)
        return;
    for (unsigned i = 0; i < sp_config_n_rows; i++) {
        free(config->settings[i].text);
        free(config->settings[i].source);
    }
    free(config->settings);
    free(config->by_name);
    free(config);
}

/* Values that are tried out first, so that a wrong file changes nothing. */
static struct sp_config *copy_config(const struct sp_config *config)
{
    struct sp_config *copy = sp_config_new();

    for (unsigned i = 0; i < sp_config_n_rows; i++) {
        const struct setting *from = &config->settings[i];

        (void)set_value(copy, &sp_config_rows[i], sp_slice_str(from->text), from->source, NULL);
    }
    return copy;
}

static void swap_settings(struct sp_config *a, struct sp_config *b)
{
    struct setting *settings = a->settings;

    a->settings = b->settings;
    b->settings = settings;
}

/* --- the file ----------------------------------------------------------------------------- */

static bool is_comment(struct sp_slice line)
{
    return line.len == 0 || line.ptr[0] == '#';
}

/* "name = value"; the value may stand in double quotes. */
static int load_line(struct sp_config *config, struct sp_slice line, const char *source,
                     struct sp_error *err)
{
    struct sp_slice rest = line;
    struct sp_slice name;
    struct sp_slice value;
    SP_AUTO_FREE char *name_str = NULL;
    const struct sp_config_row *row;

    if (!sp_slice_split(&rest, '=', &name) || !rest.ptr)
        return sp_error_set(err, SP_ERR_INVALID, 0, "expected 'name = value'");
    name = sp_slice_trim(name);
    value = sp_slice_trim(rest);
    if (value.len >= 2 && value.ptr[0] == '"' && value.ptr[value.len - 1] == '"')
        value = sp_slice(value.ptr + 1, value.len - 2);

    name_str = sp_slice_dup(name);
    row = find_row(config, name_str);
    if (!row)
        return sp_error_set(err, SP_ERR_INVALID, 0, "%.100s: there is no such setting", name_str);
    return set_value(config, row, value, source, err);
}

static int load_text(struct sp_config *config, struct sp_slice text, const char *path,
                     struct sp_error *err)
{
    struct sp_slice line;
    unsigned number = 0;

    while (sp_slice_split(&text, '\n', &line)) {
        char source[512];

        number++;
        if (line.len && line.ptr[line.len - 1] == '\r')
            line.len--;
        line = sp_slice_trim(line);
        if (is_comment(line))
            continue;
        (void)snprintf(source, sizeof(source), "%s:%u", path, number);
        if (load_line(config, line, source, err) < 0)
            return sp_error_wrap(err, "%s", source);
    }
    return 0;
}

int sp_config_load_file(struct sp_config *config, const char *path, struct sp_error *err)
{
    SP_AUTO_FREE char *text = NULL;
    struct sp_config *trial;
    struct sp_error fail = {0};
    size_t len;
    int r;

    r = sp_file_read(AT_FDCWD, path, FILE_MAX, &text, &len, err);
    if (r < 0)
        return r;

    trial = copy_config(config);
    r = load_text(trial, sp_slice(text, len), path, &fail);
    if (r == 0)
        swap_settings(config, trial);
    else if (err)
        *err = fail;
    sp_config_free(trial);
    return r;
}

/* --- the environment ---------------------------------------------------------------------- */

/* "limit.head" -> "SPACESD_LIMIT_HEAD" */
static void env_name(const struct sp_config_row *row, char *ret, size_t size)
{
    size_t at = (size_t)snprintf(ret, size, "%s", ENV_PREFIX);

    for (const char *c = row->name; *c && at + 1 < size; c++)
        ret[at++] = *c == '.' ? '_' : (char)toupper((unsigned char)*c);
    ret[at] = '\0';
}

static const struct sp_config_row *row_of_env(struct sp_slice name)
{
    for (unsigned i = 0; i < sp_config_n_rows; i++) {
        char candidate[128];

        env_name(&sp_config_rows[i], candidate, sizeof(candidate));
        if (sp_slice_eq_str(name, candidate))
            return &sp_config_rows[i];
    }
    return NULL;
}

int sp_config_load_env(struct sp_config *config, char **environ_vars, struct sp_error *err)
{
    for (char **var = environ_vars; var && *var; var++) {
        struct sp_slice rest = sp_slice_str(*var);
        struct sp_slice name;
        const struct sp_config_row *row;
        char source[160];

        if (!sp_slice_starts(rest, ENV_PREFIX) || !sp_slice_split(&rest, '=', &name) || !rest.ptr)
            continue;
        row = row_of_env(name);
        if (!row)
            return sp_error_set(err, SP_ERR_INVALID, 0,
                                "environment: %.*s: there is no such setting",
                                (int)(name.len < 100 ? name.len : 100), name.ptr);
        (void)snprintf(source, sizeof(source), "environment %.*s",
                       (int)(name.len < 100 ? name.len : 100), name.ptr);
        if (set_value(config, row, rest, source, err) < 0)
            return sp_error_wrap(err, "environment");
    }
    return 0;
}

/* --- reading ------------------------------------------------------------------------------ */

static const struct setting *get(const struct sp_config *config, const char *name,
                                 enum sp_config_type type)
{
    const struct sp_config_row *row = find_row(config, name);

    if (!row || row->type != type) {
        (void)fprintf(stderr, "config: there is no setting '%s' of this type\n", name);
        abort();
    }
    return setting_of(config, row);
}

const char *sp_config_str(const struct sp_config *config, const char *name)
{
    return get(config, name, SP_CONFIG_STR)->text;
}

uint64_t sp_config_size(const struct sp_config *config, const char *name)
{
    return get(config, name, SP_CONFIG_SIZE)->number;
}

uint64_t sp_config_duration(const struct sp_config *config, const char *name)
{
    return get(config, name, SP_CONFIG_DURATION)->number;
}

uint64_t sp_config_int(const struct sp_config *config, const char *name)
{
    return get(config, name, SP_CONFIG_INT)->number;
}

bool sp_config_bool(const struct sp_config *config, const char *name)
{
    return get(config, name, SP_CONFIG_BOOL)->number != 0;
}

/* --- showing ------------------------------------------------------------------------------ */

json_t *sp_config_to_json(const struct sp_config *config)
{
    json_t *list = json_array();

    for (unsigned i = 0; i < sp_config_n_rows; i++) {
        const struct sp_config_row *row = &sp_config_rows[i];
        const struct setting *setting = &config->settings[i];

        (void)json_array_append_new(list, json_pack("{s:s, s:s, s:s, s:s, s:s}", "name", row->name,
                                                    "value", setting->text, "default", row->def,
                                                    "source", setting->source, "help", row->help));
    }
    return list;
}

static const char *type_name(enum sp_config_type type)
{
    static const char *const names[] = {"text", "yes/no", "number", "size", "duration"};

    return names[type];
}

static void write_row(struct sp_buf *out, const struct sp_config_row *row)
{
    char min[32] = "";
    char max[32] = "";
    const char *mark = row->test ? "`" : "";

    if (row->type >= SP_CONFIG_INT) {
        format_number(row, row->min, min, sizeof(min));
        format_number(row, row->max, max, sizeof(max));
    }
    (void)sp_buf_printf(out, "| `%s` | %s | %s%s%s | %s%s%s | %s | %s%s%s |\n", row->name,
                        type_name(row->type), *row->def ? "`" : "", *row->def ? row->def : "empty",
                        *row->def ? "`" : "", min, *min ? " to " : "", max, row->help, mark,
                        row->test ? row->test : "", mark);
}

static bool is_limit(const struct sp_config_row *row)
{
    return sp_slice_starts(sp_slice_str(row->name), "limit.");
}

static void write_table(struct sp_buf *out, bool limits)
{
    (void)sp_buf_append_str(out, "| name | type | default | allowed | what it is | test |\n"
                                 "|---|---|---|---|---|---|\n");
    for (unsigned i = 0; i < sp_config_n_rows; i++)
        if (is_limit(&sp_config_rows[i]) == limits)
            write_row(out, &sp_config_rows[i]);
}

void sp_config_write_docs(struct sp_buf *out)
{
    (void)sp_buf_append_str(
        out, "# Settings\n\n"
             "Generated from the table in runtime/config_table.c; change it there. The last column "
             "names "
             "the test that\nreaches the end of it: `make test T=NAME`.\n\n"
             "A flag (`--set limit.head=16k`) goes before the environment "
             "(`SPACESD_LIMIT_HEAD=16k`), that\n"
             "before the configuration file (`limit.head = 16k`, one setting a line, `#` begins a "
             "comment),\n"
             "that before the default. A file with a mistake is refused whole: "
             "`spacesd.conf:3: limit.head: expected a size such as 512M`.\n"
             "`spaces config show` prints what is in force and where it came from.\n\n"
             "Sizes are in powers of 1024: `512`, `32k`, `64M`, `1G`. Durations: `500ms`, `15s` "
             "(or `15`), "
             "`10m`, `24h`, `14d`.\n\n");
    write_table(out, false);
    (void)sp_buf_append_str(
        out, "\n## Limits\n\n"
             "Everything that a stranger can make grow, and where it ends. An answer, page or log "
             "line names the setting\nthat was reached.\n\n");
    write_table(out, true);
}
