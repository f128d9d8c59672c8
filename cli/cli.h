/*
 * cli/cli.h - what every command of `spaces` has: the table it is a row of, its arguments, where
 * the daemon is, and how it prints. The program knows spacesd only by the HTTP API (docs/api.md).
 */
#ifndef SP_CLI_CLI_H
#define SP_CLI_CLI_H

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"

#define SP_CLI_ARGS_MAX    4
#define SP_CLI_OPTIONS_MAX 12

struct sp_cli_option {
    char letter;      /* 0: none */
    const char *name; /* without the dashes */
    const char *arg;  /* what it takes, for people, or NULL for a switch */
    const char *help;
};

/* A command line, taken apart. Strings are argv's. */
struct sp_cli_args {
    const char *pos[SP_CLI_ARGS_MAX];
    int n_pos;
    const struct sp_cli_option *option[SP_CLI_OPTIONS_MAX]; /* given ones, in order */
    const char *value[SP_CLI_OPTIONS_MAX];                  /* "" for a switch */
    int n_options;
};

struct sp_cli {
    const char *url;   /* without a slash at the end */
    const char *token; /* "" when there is none */
    bool json;         /* -o json */
    bool out_is_terminal;
    bool err_is_terminal;
    bool colour;
    struct sp_cli_args args;
};

struct sp_cli_command {
    const char *name;    /* one word or two: "queue show" */
    const char *args;    /* "DIR OWNER/NAME [X]": every word one argument, brackets when optional */
    const char *summary; /* one line, without a full stop */
    const char *details; /* more, or NULL */
    bool has_output;     /* takes -o json|table */
    int (*run)(struct sp_cli *cli, struct sp_error *err);
    const struct sp_cli_option *options; /* ends with a NULL name; NULL for none */
};

/* commands.c: the one table; ends with a NULL name. Help, completion, the man page and docs/cli.md
 * are made from it. */
extern const struct sp_cli_command sp_cli_commands[];
extern const struct sp_cli_option sp_cli_global_options[];

/* The whole program. Returns the exit code. */
int sp_cli_main(int argc, char **argv);

/* run.c: "spaces: deploy me/x: what happened" on stderr; subject may be NULL. Returns the exit
 * code. */
int sp_cli_report(const char *command, const char *subject, const struct sp_error *err);

/* args.c */
const struct sp_cli_command *sp_cli_find(const char *name);
/* The command that argv[0..] begins with; sets how many words its name took. */
const struct sp_cli_command *sp_cli_match(int argc, char **argv, int *ret_words);
int sp_cli_parse(const struct sp_cli_command *command, int argc, char **argv,
                 struct sp_cli_args *ret, struct sp_error *err);
/* The value of an option ("" for a switch), or NULL when it was not given. The last one counts. */
const char *sp_cli_opt(const struct sp_cli_args *args, const char *name);
/* Splits "owner/name"; both must be names. `*ret_path` is "/api/spaces/owner/name" + suffix, yours.
 */
int sp_cli_space_path(const char *ref, const char *suffix, char **ret_path, struct sp_error *err);

/* help.c, completion.c, man.c: made from the table */
void sp_cli_print_usage(const struct sp_cli_command *command);
void sp_cli_print_overview(void);
int sp_cli_cmd_help(struct sp_cli *cli, struct sp_error *err);
int sp_cli_cmd_man(struct sp_cli *cli, struct sp_error *err);
int sp_cli_cmd_completion(struct sp_cli *cli, struct sp_error *err);

/* One function per command; each returns 0, or a negative errno with a story. */
int sp_cli_cmd_deploy(struct sp_cli *cli, struct sp_error *err);
int sp_cli_cmd_ls(struct sp_cli *cli, struct sp_error *err);
int sp_cli_cmd_show(struct sp_cli *cli, struct sp_error *err);
int sp_cli_cmd_logs(struct sp_cli *cli, struct sp_error *err);
int sp_cli_cmd_queue_show(struct sp_cli *cli, struct sp_error *err);
int sp_cli_cmd_restart(struct sp_cli *cli, struct sp_error *err);
int sp_cli_cmd_pause(struct sp_cli *cli, struct sp_error *err);
int sp_cli_cmd_delete(struct sp_cli *cli, struct sp_error *err);
int sp_cli_cmd_duplicate(struct sp_cli *cli, struct sp_error *err);
int sp_cli_cmd_visibility(struct sp_cli *cli, struct sp_error *err);
int sp_cli_cmd_hardware(struct sp_cli *cli, struct sp_error *err);
int sp_cli_cmd_storage(struct sp_cli *cli, struct sp_error *err);
int sp_cli_cmd_network(struct sp_cli *cli, struct sp_error *err);
int sp_cli_cmd_sleep(struct sp_cli *cli, struct sp_error *err);
int sp_cli_cmd_base_create(struct sp_cli *cli, struct sp_error *err);
int sp_cli_cmd_base_import(struct sp_cli *cli, struct sp_error *err);
int sp_cli_cmd_base_ls(struct sp_cli *cli, struct sp_error *err);
int sp_cli_cmd_base_show(struct sp_cli *cli, struct sp_error *err);
int sp_cli_cmd_base_rm(struct sp_cli *cli, struct sp_error *err);
int sp_cli_cmd_variable_set(struct sp_cli *cli, struct sp_error *err);
int sp_cli_cmd_variable_list(struct sp_cli *cli, struct sp_error *err);
int sp_cli_cmd_variable_rm(struct sp_cli *cli, struct sp_error *err);
int sp_cli_cmd_secret_set(struct sp_cli *cli, struct sp_error *err);
int sp_cli_cmd_secret_list(struct sp_cli *cli, struct sp_error *err);
int sp_cli_cmd_secret_rm(struct sp_cli *cli, struct sp_error *err);
int sp_cli_cmd_user_add(struct sp_cli *cli, struct sp_error *err);
int sp_cli_cmd_user_ls(struct sp_cli *cli, struct sp_error *err);
int sp_cli_cmd_login_link(struct sp_cli *cli, struct sp_error *err);
int sp_cli_cmd_whoami(struct sp_cli *cli, struct sp_error *err);
int sp_cli_cmd_doctor(struct sp_cli *cli, struct sp_error *err);
int sp_cli_cmd_config_show(struct sp_cli *cli, struct sp_error *err);

/* wait.c: until version `number` of the Space is RUNNING. Anything else it comes to is an error,
 * and the last lines of its log are on stderr then. 0: whatever version it has. */
int sp_cli_wait_running(struct sp_cli *cli, const char *ref, long long number,
                        struct sp_error *err);

#endif
