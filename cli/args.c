/* args.c - a command line, taken apart by the table. */
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "cli/cli.h"

static const struct sp_cli_option output_option = {'o', "output", "json|table",
                                                   "json prints the API's answer"};

const struct sp_cli_command *sp_cli_find(const char *name)
{
    for (const struct sp_cli_command *row = sp_cli_commands; row->name; row++) {
        if (strcmp(row->name, name) == 0)
            return row;
    }
    return NULL;
}

const struct sp_cli_command *sp_cli_match(int argc, char **argv, int *ret_words)
{
    const struct sp_cli_command *row = NULL;

    if (argc >= 2) {
        SP_AUTO_FREE char *two = sp_asprintf("%s %s", argv[0], argv[1]);

        *ret_words = 2;
        row = sp_cli_find(two);
    }
    if (!row && argc >= 1) {
        *ret_words = 1;
        row = sp_cli_find(argv[0]);
    }
    return row;
}

static bool is_called(const struct sp_cli_option *option, char letter, struct sp_slice name)
{
    return letter ? option->letter == letter : sp_slice_eq_str(name, option->name);
}

static const struct sp_cli_option *find_in(const struct sp_cli_option *options, char letter,
                                           struct sp_slice name)
{
    for (; options && options->name; options++) {
        if (is_called(options, letter, name))
            return options;
    }
    return NULL;
}

static const struct sp_cli_option *find_option(const struct sp_cli_command *command, char letter,
                                               struct sp_slice name)
{
    const struct sp_cli_option *option = find_in(command->options, letter, name);

    if (!option && command->has_output && is_called(&output_option, letter, name))
        option = &output_option;
    return option ? option : find_in(sp_cli_global_options, letter, name);
}

/* One option at argv[0]: "-n5", "-n 5", "--lines=5", "--lines 5". Returns how many words it took.
 */
static int parse_option(const struct sp_cli_command *command, int argc, char **argv,
                        struct sp_cli_args *ret, struct sp_error *err)
{
    bool is_long = argv[0][1] == '-';
    struct sp_slice name = sp_slice_str(is_long ? argv[0] + 2 : argv[0] + 1);
    const char *equals = is_long ? memchr(name.ptr, '=', name.len) : NULL;
    const char *value = is_long ? NULL : argv[0] + 2;
    const struct sp_cli_option *option;
    int words = 1;

    if (equals) {
        value = equals + 1;
        name.len = (size_t)(equals - name.ptr);
    } else if (value && !*value) {
        value = NULL;
    }
    option = find_option(command, is_long ? 0 : argv[0][1], name);
    if (!option)
        return sp_error_set(err, SP_ERR_INVALID, 0, "there is no option '%s'", argv[0]);
    if (!option->arg && value)
        return sp_error_set(err, SP_ERR_INVALID, 0, "'--%s' takes no value", option->name);
    if (option->arg && !value) {
        if (argc < 2)
            return sp_error_set(err, SP_ERR_INVALID, 0, "'--%s' wants %s", option->name,
                                option->arg);
        value = argv[1];
        words = 2;
    }
    if (ret->n_options == SP_CLI_OPTIONS_MAX)
        return sp_error_set(err, SP_ERR_INVALID, 0, "too many options");
    ret->option[ret->n_options] = option;
    ret->value[ret->n_options++] = value ? value : "";
    return words;
}

/* How many arguments the row's `args` names; sets how many must be given. */
static int count_args(const char *args, int *ret_required)
{
    struct sp_slice rest = sp_slice_str(args);
    struct sp_slice word;
    int n = 0;

    *ret_required = 0;
    while (*args && sp_slice_split(&rest, ' ', &word)) {
        n++;
        *ret_required += word.ptr[0] != '[';
    }
    return n;
}

int sp_cli_parse(const struct sp_cli_command *command, int argc, char **argv,
                 struct sp_cli_args *ret, struct sp_error *err)
{
    bool only_args = false;
    int required;
    int most = count_args(command->args, &required);

    memset(ret, 0, sizeof(*ret));
    for (int i = 0; i < argc;) {
        if (!only_args && strcmp(argv[i], "--") == 0) {
            only_args = true;
            i++;
        } else if (!only_args && argv[i][0] == '-' && argv[i][1]) {
            int words = parse_option(command, argc - i, argv + i, ret, err);

            if (words < 0)
                return words;
            i += words;
        } else if (ret->n_pos == most) {
            return sp_error_set(err, SP_ERR_INVALID, 0, "'%s' is one argument too many", argv[i]);
        } else {
            ret->pos[ret->n_pos++] = argv[i++];
        }
    }
    if (ret->n_pos < required && !sp_cli_opt(ret, "help"))
        return sp_error_set(err, SP_ERR_INVALID, 0, "it wants %s", command->args);
    return 0;
}

const char *sp_cli_opt(const struct sp_cli_args *args, const char *name)
{
    for (int i = args->n_options - 1; i >= 0; i--) {
        if (strcmp(args->option[i]->name, name) == 0)
            return args->value[i];
    }
    return NULL;
}

/* Names hold nothing that would have to be escaped in a path. */
int sp_cli_space_path(const char *ref, const char *suffix, char **ret_path, struct sp_error *err)
{
    const char *slash = strchr(ref, '/');

    if (!slash || !sp_name_valid(sp_slice(ref, (size_t)(slash - ref))) ||
        !sp_name_valid(sp_slice_str(slash + 1)))
        return sp_error_set(err, SP_ERR_INVALID, 0,
                            "'%s' is not OWNER/NAME: letters, digits, '.', '_' and '-', one slash",
                            ref);
    *ret_path = sp_asprintf("/api/spaces/%s%s", ref, suffix);
    return 0;
}
