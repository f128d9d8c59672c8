/* help.c - the table as help texts and as docs/cli.md. */
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "cli/cli.h"

static const char about[] = "the command line of spacesd, a Spaces runtime";

/* "-n, --lines N" */
static char *spelling(const struct sp_cli_option *option)
{
    SP_AUTO_FREE char *letter = option->letter ? sp_asprintf("-%c, ", option->letter) : NULL;

    return sp_asprintf("%s--%s%s%s", letter ? letter : "    ", option->name, option->arg ? " " : "",
                       option->arg ? option->arg : "");
}

static void print_options(const struct sp_cli_option *options)
{
    for (; options && options->name; options++) {
        SP_AUTO_FREE char *left = spelling(options);

        printf("  %-26s %s\n", left, options->help);
    }
}

static void print_output_option(void)
{
    printf("  %-26s %s\n", "-o, --output json|table", "json prints the API's answer");
}

void sp_cli_print_usage(const struct sp_cli_command *command)
{
    printf("usage: spaces %s%s%s [OPTIONS]\n\n%s\n", command->name, *command->args ? " " : "",
           command->args, command->summary);
    if (command->details)
        printf("\n%s\n", command->details);
    printf("\noptions:\n");
    print_options(command->options);
    if (command->has_output)
        print_output_option();
    print_options(sp_cli_global_options);
}

void sp_cli_print_overview(void)
{
    printf("spaces: %s\n\nusage: spaces COMMAND [ARGUMENTS] [OPTIONS]\n\n", about);
    for (const struct sp_cli_command *row = sp_cli_commands; row->name; row++)
        printf("  %-13s %s\n", row->name, row->summary);
    printf("\nMore about one: spaces help COMMAND. Where spacesd answers is in SPACES_URL, your "
           "token in "
           "SPACES_TOKEN.\n");
}

static void print_markdown_options(const struct sp_cli_command *command)
{
    if (!command->options && !command->has_output)
        return;
    printf("| option | |\n|---|---|\n");
    for (const struct sp_cli_option *option = command->options; option && option->name; option++) {
        SP_AUTO_FREE char *left = spelling(option);

        printf("| `%s` | %s |\n", left + strspn(left, " "), option->help);
    }
    if (command->has_output)
        printf("| `-o, --output json\\|table` | json prints the API's answer |\n");
    printf("\n");
}

/* "|" would end a cell or look like one; in code within text it is fine as it is. */
static void print_markdown(void)
{
    printf(
        "# The spaces command\n\n"
        "Made by `spaces help --markdown`; do not edit. `spaces` is %s, and uses only its HTTP API "
        "([api.md](api.md)).\n\n"
        "`SPACES_URL` says where spacesd answers (default `http://127.0.0.1:7860`), `SPACES_TOKEN` "
        "who you are; `--url` and `--token` do it for one call. Errors are one sentence on stderr. "
        "Exit codes: 0 done, 2 the input is wrong, 3 not found, 4 conflict, 5 denied, 6 a limit is "
        "reached, 7 not available now, 1 anything else.\n\n",
        about);
    for (const struct sp_cli_command *row = sp_cli_commands; row->name; row++) {
        printf("## `spaces %s%s%s`\n\n%c%s.\n\n", row->name, *row->args ? " " : "", row->args,
               row->summary[0] - 'a' + 'A', row->summary + 1);
        if (row->details)
            printf("%s\n\n", row->details);
        print_markdown_options(row);
    }
}

int sp_cli_cmd_help(struct sp_cli *cli, struct sp_error *err)
{
    const struct sp_cli_command *command;
    SP_AUTO_FREE char *name = NULL;

    if (sp_cli_opt(&cli->args, "markdown")) {
        print_markdown();
        return 0;
    }
    if (cli->args.n_pos == 0) {
        sp_cli_print_overview();
        return 0;
    }
    name = sp_asprintf("%s%s%s", cli->args.pos[0], cli->args.n_pos > 1 ? " " : "",
                       cli->args.n_pos > 1 ? cli->args.pos[1] : "");
    command = sp_cli_find(name);
    if (!command)
        return sp_error_set(err, SP_ERR_NOT_FOUND, 0, "there is no command '%s'", name);
    sp_cli_print_usage(command);
    return 0;
}
