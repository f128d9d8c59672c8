/* completion.c - the table as completion scripts. Words and options are completed, not names of
 * Spaces: that would ask the daemon at every press of a key. */
#include <stdio.h>
#include <string.h>

#include "cli/cli.h"

/* Options of a command, the general ones included, each with a space in front. */
static void put_options(const struct sp_cli_command *row)
{
    const struct sp_cli_option *lists[] = {row->options, sp_cli_global_options};

    for (size_t i = 0; i < 2; i++) {
        for (const struct sp_cli_option *option = lists[i]; option && option->name; option++)
            printf(" --%s", option->name);
    }
    if (row->has_output)
        printf(" --output");
}

/* Choices such as "public|private" among the arguments, each with a space in front. */
static void put_choices(const struct sp_cli_command *row)
{
    for (const char *c = strchr(row->args, '|') ? row->args : ""; *c;) {
        size_t len = strcspn(c, " ");

        if (memchr(c, '|', len)) {
            putchar(' ');
            for (size_t i = 0; i < len; i++)
                putchar(c[i] == '|' ? ' ' : c[i]);
        }
        c += len + (c[len] == ' ');
    }
}

static void put_second_words(const char *first, size_t len)
{
    for (const struct sp_cli_command *row = sp_cli_commands; row->name; row++) {
        if (strncmp(row->name, first, len) == 0 && row->name[len] == ' ')
            printf(" %s", row->name + len + 1);
    }
}

/* The first words of all commands, each once: those of two words stand together in the table. */
static void put_first_words(void)
{
    const char *before = "";

    for (const struct sp_cli_command *row = sp_cli_commands; row->name; row++) {
        size_t len = strcspn(row->name, " ");

        if (strncmp(before, row->name, len) != 0 || before[len] != ' ')
            printf(" %.*s", (int)len, row->name);
        before = row->name;
    }
}

/* Also serves zsh, which can run bash's. */
static void put_bash(void)
{
    printf("_spaces()\n{\n    local cur=${COMP_WORDS[COMP_CWORD]} words=\n"
           "    if [ \"$COMP_CWORD\" -eq 1 ]; then\n        words=\"");
    put_first_words();
    printf("\"\n    else\n        case \"${COMP_WORDS[1]} ${COMP_WORDS[2]}\" in\n");
    for (const struct sp_cli_command *row = sp_cli_commands; row->name; row++) {
        size_t len = strcspn(row->name, " ");

        printf("        \"%s%s\"*) words=\"", row->name, row->name[len] ? "" : " ");
        put_options(row);
        put_choices(row);
        printf("\" ;;\n");
    }
    for (const struct sp_cli_command *row = sp_cli_commands; row->name; row++) {
        size_t len = strcspn(row->name, " ");

        if (!row->name[len])
            continue;
        printf("        \"%.*s \"*) words=\"", (int)len, row->name);
        put_second_words(row->name, len);
        printf("\" ;;\n");
    }
    printf("        esac\n    fi\n"
           "    COMPREPLY=($(compgen -W \"$words\" -- \"$cur\"))\n"
           "    [ ${#COMPREPLY[@]} -gt 0 ] || COMPREPLY=($(compgen -f -- \"$cur\"))\n"
           "}\ncomplete -o filenames -F _spaces spaces\n");
}

static void put_zsh(void)
{
    printf("#compdef spaces\nautoload -U +X bashcompinit && bashcompinit\n");
    put_bash();
}

static void put_quoted(const char *text)
{
    putchar('\'');
    for (; *text; text++) {
        if (*text == '\'' || *text == '\\')
            putchar('\\');
        putchar(*text);
    }
    putchar('\'');
}

static void put_fish_options(const struct sp_cli_command *row, const struct sp_cli_option *options)
{
    for (; options && options->name; options++) {
        printf("complete -c spaces -n '__fish_seen_subcommand_from %.*s'",
               (int)strcspn(row->name, " "), row->name);
        if (options->letter)
            printf(" -s %c", options->letter);
        printf(" -l %s%s -d ", options->name, options->arg ? " -x" : "");
        put_quoted(options->help);
        putchar('\n');
    }
}

static void put_fish(void)
{
    for (const struct sp_cli_command *row = sp_cli_commands; row->name; row++) {
        size_t len = strcspn(row->name, " ");

        printf("complete -c spaces -n __fish_use_subcommand -f -a %.*s -d ", (int)len, row->name);
        put_quoted(row->summary);
        putchar('\n');
        if (row->name[len])
            printf("complete -c spaces -n '__fish_seen_subcommand_from %.*s' -f -a %s\n", (int)len,
                   row->name, row->name + len + 1);
        put_fish_options(row, row->options);
        put_fish_options(row, sp_cli_global_options);
    }
}

int sp_cli_cmd_completion(struct sp_cli *cli, struct sp_error *err)
{
    const char *shell = cli->args.pos[0];

    if (strcmp(shell, "bash") == 0)
        put_bash();
    else if (strcmp(shell, "zsh") == 0)
        put_zsh();
    else if (strcmp(shell, "fish") == 0)
        put_fish();
    else
        return sp_error_set(err, SP_ERR_INVALID, 0, "'%s' is none of bash, zsh, fish", shell);
    return 0;
}
