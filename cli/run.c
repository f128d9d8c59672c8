/* run.c - finds the command, sets the scene, runs it, and turns its error into one sentence. */
#include <curl/curl.h>
#include <locale.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/str.h"
#include "cli/cli.h"
#include "cli/print.h"

#define DEFAULT_URL "http://127.0.0.1:7860"

static const char *setting(const struct sp_cli *cli, const char *option, const char *variable,
                           const char *otherwise)
{
    const char *value = sp_cli_opt(&cli->args, option);

    if (!value)
        value = getenv(variable);
    return value && *value ? value : otherwise;
}

static int set_scene(struct sp_cli *cli, char **ret_url, struct sp_error *err)
{
    const char *output = sp_cli_opt(&cli->args, "output");
    const char *no_colour = getenv("NO_COLOR");
    size_t len;

    if (output && strcmp(output, "json") != 0 && strcmp(output, "table") != 0)
        return sp_error_set(err, SP_ERR_INVALID, 0, "--output is json or table, not '%s'", output);
    cli->json = output && strcmp(output, "json") == 0;
    cli->token = setting(cli, "token", "SPACES_TOKEN", "");
    *ret_url = sp_strdup(setting(cli, "url", "SPACES_URL", DEFAULT_URL));
    len = strlen(*ret_url);
    while (len > 0 && (*ret_url)[len - 1] == '/')
        (*ret_url)[--len] = '\0';
    cli->url = *ret_url;
    cli->out_is_terminal = isatty(STDOUT_FILENO);
    cli->err_is_terminal = isatty(STDERR_FILENO);
    cli->colour = cli->out_is_terminal && !(no_colour && *no_colour);
    if (strpbrk(cli->token, "\r\n"))
        return sp_error_set(err, SP_ERR_INVALID, 0, "the token has a line end in it");
    return 0;
}

/* The first argument that names a Space, or NULL. */
static const char *subject_of(const struct sp_cli_command *command, const struct sp_cli_args *args)
{
    struct sp_slice rest = sp_slice_str(command->args);
    struct sp_slice word;

    for (int i = 0; i < args->n_pos && sp_slice_split(&rest, ' ', &word); i++) {
        if (sp_slice_eq_str(word, "OWNER/NAME") || sp_slice_eq_str(word, "[OWNER/NAME]"))
            return args->pos[i];
    }
    return NULL;
}

int sp_cli_report(const char *command, const char *subject, const struct sp_error *err)
{
    (void)fflush(stdout);
    sp_cli_progress_end();
    fprintf(stderr, "spaces: %s%s%s: %s\n", command, subject ? " " : "", subject ? subject : "",
            err->msg);
    return sp_err_kind_to_exit(err->kind);
}

static int report(const struct sp_cli_command *command, const struct sp_cli_args *args,
                  const struct sp_error *err)
{
    return sp_cli_report(command->name, subject_of(command, args), err);
}

/* A closed pipe (`| head`) is nobody's mistake: the program ends as one that knows nothing of it.
 */
static int finish_output(const struct sp_cli_command *command, const struct sp_cli *cli,
                         struct sp_error *err)
{
    struct pollfd out = {.fd = STDOUT_FILENO};

    if (fflush(stdout) == 0 && !ferror(stdout))
        return 0;
    if (poll(&out, 1, 0) == 1 && (out.revents & POLLERR)) {
        (void)signal(SIGPIPE, SIG_DFL);
        (void)raise(SIGPIPE);
    }
    (void)sp_error_set(err, SP_ERR_INTERNAL, 0, "the output could not be written");
    return report(command, &cli->args, err);
}

static int run(const struct sp_cli_command *command, int argc, char **argv)
{
    struct sp_cli cli = {0};
    struct sp_error err = {0};
    SP_AUTO_FREE char *url = NULL;

    if (sp_cli_parse(command, argc, argv, &cli.args, &err) < 0) {
        int code = report(command, &(struct sp_cli_args){0}, &err);

        fprintf(stderr, "usage: spaces %s%s%s; more with --help\n", command->name,
                *command->args ? " " : "", command->args);
        return code;
    }
    if (sp_cli_opt(&cli.args, "help")) {
        sp_cli_print_usage(command);
        return 0;
    }
    if (set_scene(&cli, &url, &err) < 0 || command->run(&cli, &err) < 0)
        return report(command, &cli.args, &err);
    return finish_output(command, &cli, &err);
}

static int unknown(int argc, char **argv)
{
    size_t len = strlen(argv[0]);
    SP_AUTO_FREE char *name = sp_cli_printable(argv[0]);
    bool is_first_word = false;

    for (const struct sp_cli_command *row = sp_cli_commands; row->name; row++)
        is_first_word |= strncmp(row->name, argv[0], len) == 0 && row->name[len] == ' ';
    if (is_first_word && argc < 2)
        fprintf(stderr, "spaces: '%s' wants one more word; see 'spaces help'\n", name);
    else
        fprintf(stderr, "spaces: there is no command '%s'; see 'spaces help'\n", name);
    return sp_err_kind_to_exit(SP_ERR_INVALID);
}

int sp_cli_main(int argc, char **argv)
{
    const struct sp_cli_command *command;
    int words = 0;
    int code;

    (void)setlocale(LC_CTYPE, "");
    if (argc < 2 || strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0) {
        sp_cli_print_overview();
        return argc < 2 ? sp_err_kind_to_exit(SP_ERR_INVALID) : 0;
    }
    if (strcmp(argv[1], "--version") == 0) {
        printf("spaces %s\n", SP_VERSION);
        return 0;
    }
    command = sp_cli_match(argc - 1, argv + 1, &words);
    if (!command)
        return unknown(argc - 1, argv + 1);
    sp_cli_catch_interrupt();
    if (curl_global_init(CURL_GLOBAL_DEFAULT) != 0)
        return 1;
    code = run(command, argc - 1 - words, argv + 1 + words);
    curl_global_cleanup();
    return code;
}
